"""Sites that are occupied in part: mixed species, vacancies, alternative positions.

ASE reads such a file as full sites. Of a CIF it says the shares in ``info["occupancy"]`` (by the row of the site, which
``spacegroup_kinds`` gives for each atom), of a PDB file in the column ``occupancy``, and leaves out the marks of alternatives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mdkern.errors import FormatError

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["pdb_alternatives", "resolved"]

_FULL = 0.999  # shares are written with few digits
_SAME = 1e-3  # fractional coordinates of one site, as in ASE
_TOO_CLOSE = 1.0  # Angstrom between sites that are occupied in part: one or the other
_MOST_NAMED = 3
_COLUMNS = ("occupancy", "occupancies")  # of PDB files; of the formats mustem and prismatic


@dataclass(frozen=True)
class _Site:
    label: str
    shares: Mapping[str, float]  # of each element, in the order of the file
    atoms: Any  # their numbers

    @property
    def partial(self) -> bool:
        return max(self.shares.values()) < _FULL

    @property
    def majority(self) -> str:
        return max(self.shares, key=lambda s: self.shares[s])  # the first of equal ones

    def __str__(self) -> str:
        parts = [f"{s} {share:g}" for s, share in self.shares.items()]
        vacant = 1.0 - sum(self.shares.values())
        if vacant > 1.0 - _FULL:
            parts.append(f"vacant {vacant:.3g}")
        return f"site {self.label}: {', '.join(parts)}"


def resolved(
    atoms: Atoms,
    where: str,
    policy: str,
    tags: Mapping[str, Any],
    lost: Sequence[int],
) -> tuple[Atoms, str]:
    """The atoms with every site full, and a sentence on what was done to them.

    Parameters
    ----------
    policy : {"refuse", "majority"}
    tags : mapping
        Of the CIF, for the names of sites and the shares of every row.
    lost : sequence of int
        Atoms of a PDB file that are alternatives to others with a larger share.

    Raises
    ------
    FormatError
        A site is occupied in part and `policy` refuses that, or both of two such sites that exclude each other would be filled.
    """
    shares = atoms.info.get("occupancy")
    column = next((name for name in _COLUMNS if name in atoms.arrays), None)
    if isinstance(shares, Mapping):
        sites = _sites(atoms, shares, tags)
    elif column:
        sites = _atoms_as_sites(atoms, column)
    else:
        return atoms, ""
    partial = [site for site in sites if site.partial]
    if not partial and not lost:
        return atoms, ""
    named = "; ".join(str(site) for site in partial[:_MOST_NAMED]) or "alternative locations"
    if len(partial) > _MOST_NAMED:
        named += f"; and {len(partial) - _MOST_NAMED} more"
    if policy == "refuse":
        raise FormatError(
            f"occupancy below 1: {named}. --occupancy majority fills each site with its most frequent species",
            where,
        )
    symbols = np.array(atoms.get_chemical_symbols(), dtype=object)
    touched = np.zeros(len(atoms), dtype=bool)
    for site in partial:
        if len(site.atoms) == 0:
            raise FormatError(
                f"{site}: coincides by symmetry with another site; write both at one place", where
            )
        symbols[site.atoms] = site.majority
        touched[site.atoms] = True
    ties = [
        site
        for site in partial
        if sorted(site.shares.values())[-2:].count(max(site.shares.values())) > 1
    ]
    full: Atoms = atoms.copy()
    full.calc = atoms.calc
    full.symbols[:] = list(symbols)
    full.info.pop("occupancy", None)
    if column:
        del full.arrays[column]
    if lost:
        kept = np.setdiff1d(np.arange(len(atoms)), lost)
        full, touched = full[kept], touched[kept]
    _check_apart(full, touched, partial, where)
    text = f"occupancy below 1, each site filled with its most frequent species: {named}"
    if ties:
        text += f". Equal shares at {', '.join(site.label for site in ties[:_MOST_NAMED])}: the first named was taken"
    if lost:
        text += f". Left out at less frequent alternative locations: atoms {', '.join(map(str, lost[:10]))}"
        text += ", ..." if len(lost) > 10 else ""
    return full, text


def _sites(atoms: Atoms, shares: Mapping[Any, Any], tags: Mapping[str, Any]) -> list[_Site]:
    """One for each place of the asymmetric unit."""
    kinds = atoms.arrays.get("spacegroup_kinds")
    kinds = np.arange(len(atoms)) if kinds is None else kinds
    labels = np.atleast_1d(tags.get("_atom_site_label", []))
    stated = np.atleast_1d(np.array(tags.get("_atom_site_occupancy", []), dtype=object))
    places = [np.atleast_1d(tags.get(f"_atom_site_fract_{x}", [])) for x in "xyz"]
    sites: list[_Site] = []
    known = all(len(x) == len(shares) for x in (labels, stated, *places))
    if not known:  # ASE's summary, as in a file that was written from a CIF
        seen: set[frozenset[str]] = set()
        for key, table in shares.items():
            members = np.flatnonzero(kinds == int(key))
            if len(members) == 0 and frozenset(table) in seen:
                continue  # the same place once more, from the row of another species
            seen.add(frozenset(table))
            label = f"{key} (atom {members[0]})" if len(members) else str(key)
            sites.append(_Site(label, {s: _share(x) for s, x in table.items()}, members))
        return sites
    positions = np.column_stack(places).astype(np.float64)
    rows: list[list[int]] = []
    for k in range(len(positions)):
        for group in rows:
            if np.linalg.norm(positions[group[0]] - positions[k]) < _SAME:
                group.append(k)
                break
        else:
            rows.append([k])
    for group in rows:
        table = {}
        for k in group:  # rows of one element may stand for its charges
            symbol = next(iter(shares[str(k)]))
            table[symbol] = table.get(symbol, 0.0) + _share(stated[k])
        members = np.flatnonzero(np.isin(kinds, group))
        sites.append(_Site("/".join(str(labels[k]) for k in group), table, members))
    return sites


def _share(value: Any) -> float:
    """A number; 1 where the file states none (``?`` and ``.``), as without the column."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return 1.0


def _atoms_as_sites(atoms: Atoms, name: str) -> list[_Site]:
    """By a column; where all are zero it was never filled."""
    column = np.array([_share(x) for x in atoms.arrays[name]])
    if not (column > 0.0).any():
        return []
    names = atoms.arrays.get("atomtypes", atoms.get_chemical_symbols())
    residues = atoms.arrays.get("residuenames")
    numbers = atoms.arrays.get("residuenumbers")
    sites = []
    for k in np.flatnonzero(column < _FULL):
        label = f"atom {k} ({names[k]}"
        if residues is not None and numbers is not None:
            label += f" of {str(residues[k]).strip()} {numbers[k]}"
        sites.append(
            _Site(label + ")", {str(atoms.symbols[int(k)]): float(column[k])}, np.array([k]))
        )
    return sites


def _check_apart(atoms: Atoms, touched: Any, partial: Sequence[_Site], where: str) -> None:
    from mdkern.neighbors import neighbor_list

    if touched.sum() < 2 or not any(sum(site.shares.values()) < _FULL for site in partial):
        return
    chosen = np.flatnonzero(touched)
    some = atoms[chosen]
    i, j, d = neighbor_list("ijd", some, _TOO_CLOSE)
    if len(d):
        k = int(np.argmin(d))
        a, b = (int(chosen[x]) for x in (i[k], j[k]))
        raise FormatError(
            f"atoms {a} ({atoms.symbols[a]}) and {b} ({atoms.symbols[b]}) are alternatives, occupied in part and {d[k]:.3g}"
            " Angstrom apart: the majority does not say which; choose one of them in the file",
            where,
        )


def pdb_alternatives(path: str, part: slice) -> list[list[int]]:
    """For each model the numbers of atoms that are less frequent alternatives, by the letters in column 17, which ASE drops."""
    from ase.io.formats import open_with_compression

    models: list[list[tuple[str, str, float]]] = [[]]
    with open_with_compression(path, "rb") as file:
        for raw in file:
            line = raw.decode("latin-1")
            if line.startswith(("ATOM", "HETATM")):
                # Atom's name, residue, chain and number are one place.
                place = line[12:16] + line[17:27]
                models[-1].append((place, line[16:17].strip(), _share(line[54:60])))
            elif line.startswith("END") and models[-1]:
                models.append([])
    return [_less_frequent(model) for model in [m for m in models if m][part]]


def _less_frequent(model: list[tuple[str, str, float]]) -> list[int]:
    best: dict[str, int] = {}
    for k, (place, mark, share) in enumerate(model):
        if mark and (place not in best or share > model[best[place]][2]):
            best[place] = k
    return [k for k, (place, mark, _) in enumerate(model) if mark and best[place] != k]
