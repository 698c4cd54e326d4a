"""LAMMPS data and dump files: what ASE's readers must be told, or would guess."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mdkern.errors import FormatError

if TYPE_CHECKING:
    from ase import Atoms

__all__ = [
    "FORMATS",
    "MASSES",
    "in_order_of_ids",
    "kind_of",
    "reader_options",
    "set_masses",
    "set_species",
]

FORMATS = ("lammps-data", "lammps-dump-text")
MASSES = "masses"  # among the options of a dump, beside those of ASE's reader: by type or element
_STYLES = ("atomic", "charge", "bond", "angle", "molecular", "full")  # that ASE reads
_MOST_ROWS = 1000  # that tell a style
_TOLERANCE = 0.3  # u, between the mass of a type and that of its element
_SECTION = re.compile(r"[A-Z][A-Za-z]*( [A-Z][A-Za-z]*)*")


def kind_of(head: bytes) -> str | None:
    """One of `FORMATS` from the beginning of a file, else None."""
    text = head.decode("utf-8-sig", "replace")
    if text.startswith("ITEM:"):
        return "lammps-dump-text"
    lines = [line.partition("#")[0].split() for line in text.splitlines()[1:200]]
    counts = any(words[1:] == ["atoms"] and words[0].isdigit() for words in lines)
    types = any(words[1:] == ["atom", "types"] for words in lines)
    box = any(words[2:] == ["xlo", "xhi"] or words[3:] == ["avec"] for words in lines)
    return "lammps-data" if counts and (types or box) else None


def reader_options(path: str, kind: str, details: str, name: str) -> tuple[dict[str, Any], str]:
    """Arguments of ASE's reader, and a sentence where the file does not say something that matters.

    Parameters
    ----------
    details : str
        ``species=Cu-Ni,units=real,atom_style=charge``, any of them.
    name : str
        Of the file, for messages.

    Raises
    ------
    ValueError
        An unknown detail.
    FormatError
        The file does not say which elements its types are, or its style is not told by it or not read by ASE.
    """
    given: dict[str, str] = {}
    known = ("species", "units") if kind != "lammps-data" else ("species", "units", "atom_style")
    for item in filter(None, details.split(",")):
        key, equals, value = item.partition("=")
        if not equals or key not in known or not value:
            raise ValueError(
                f"format {kind}:{details}: {item!r}; expected {', '.join(f'{k}=...' for k in known)}"
            )
        given[key] = value
    species = _species(given.get("species"), kind)
    read = _data_options if kind == "lammps-data" else _dump_options
    return read(path, given, species, name)


def _species(text: str | None, kind: str) -> list[str]:
    from ase.data import atomic_numbers

    names = text.split("-") if text else []
    for name in names:
        if atomic_numbers.get(name, 0) < 1:
            raise ValueError(
                f"format {kind}: species={text}: {name!r} is no element; expected Cu-Ni, in the order of the types"
            )
    return names


def _units(
    given: str | None, said: str | None, matter: bool, kind: str, name: str
) -> tuple[str, str]:
    """The units, and a sentence where they matter and nobody says them: lengths and masses are the same in metal and real."""
    from ase.calculators.lammps import convert

    units = given or said or "metal"
    try:
        convert(1.0, "velocity", units, "ASE")
    except Exception:  # noqa: BLE001 - ASE raises several
        raise FormatError(
            f"LAMMPS units {units}: expected metal, real, si, cgs, electron, micro or nano;"
            f" --format {kind}:units=metal reads the numbers as such",
            name,
        ) from None
    if given or said or not matter:
        return units, ""
    return units, f"LAMMPS units metal are assumed; --format {kind}:units=real, ... says others"


# --- data files -----------------------------------------------------------------------------------


@dataclass
class _Data:
    units: str | None = None
    style: str | None = None
    n_types: int = 0
    masses: dict[int, tuple[float, str]] = field(default_factory=dict)  # with the comment
    labels: dict[int, str] = field(default_factory=dict)
    rows: list[list[str]] = field(default_factory=list)
    sections: set[str] = field(default_factory=set)


def _scanned(path: str, name: str) -> _Data:
    from ase.io.formats import open_with_compression

    data, section = _Data(), ""
    with open_with_compression(path, "rb") as file:
        for number, raw in enumerate(file):
            line, _, comment = raw.decode("latin-1").partition("#")
            line, comment = line.strip(), comment.strip()
            if number == 0:  # LAMMPS writes "..., units = metal" there
                said = re.search(r"\bunits\s*=\s*(\w+)", raw.decode("latin-1"))
                data.units = said[1] if said else None
            elif _SECTION.fullmatch(line):
                section = line
                data.sections.add(section)
                if section == "Atoms":
                    data.style = comment.split()[0] if comment else None
            elif line and section == "Atoms" and len(data.rows) < _MOST_ROWS:
                data.rows.append(line.split())
            elif line and section in ("", "Masses", "Atom Type Labels"):
                try:
                    _scan_types(data, section, line.split(), comment)
                except (ValueError, IndexError):
                    raise FormatError(
                        f"{section}: {line[:80]!r}; expected a type and its value", name, number + 1
                    ) from None
    return data


def _scan_types(data: _Data, section: str, words: list[str], comment: str) -> None:
    if section == "":
        if words[1:] == ["atom", "types"]:
            data.n_types = int(words[0])
    elif section == "Masses":
        if words[0].isdigit():
            data.masses[int(words[0])] = (float(words[1]), comment)
    else:
        data.labels[int(words[0])] = words[1]


def _data_options(
    path: str, given: Mapping[str, str], species: list[str], name: str
) -> tuple[dict[str, Any], str]:
    data = _scanned(path, name)
    if "Atoms" not in data.sections:
        raise FormatError("a LAMMPS data file without a section Atoms", name)
    moving = "Velocities" in data.sections
    units, note = _units(given.get("units"), data.units, moving, "lammps-data", name)
    options: dict[str, Any] = {
        "units": units,
        "atom_style": given.get("atom_style") or data.style or _guessed_style(data, name),
    }
    if options["atom_style"] not in _STYLES:
        raise FormatError(
            f"LAMMPS atom style {options['atom_style']}: ASE reads {', '.join(_STYLES)}; write_data after"
            " 'atom_style atomic' gives such a file",
            name,
        )
    if not species:
        species = _elements_of_types(data, units, name)
    n_types = max([data.n_types, *data.masses, *data.labels])
    if len(species) < n_types:
        raise FormatError(f"species={'-'.join(species)}: the file has {n_types} atom types", name)
    from ase.data import atomic_numbers

    options["Z_of_type"] = {k + 1: atomic_numbers[s] for k, s in enumerate(species)}
    column = 1 if options["atom_style"] in ("atomic", "charge") else 2
    if any(len(row) > column and not row[column].isdigit() for row in data.rows):
        # ASE sorts positions by the ids of the atoms, but not the labels of their types.
        options["sort_by_id"] = False
    return options, note


def in_order_of_ids(atoms: Atoms) -> Atoms:
    """Atoms of a data file in the order of their ids; those with bonds, whose lists count as the file does, stay as they are."""
    import numpy as np

    if {"bonds", "angles", "dihedrals"} & set(atoms.arrays):
        return atoms
    ordered: Atoms = atoms[np.argsort(atoms.arrays["id"], kind="stable")]
    return ordered


def _guessed_style(data: _Data, name: str) -> str:
    """The style where ``Atoms`` has no comment that says it and the rows allow a single one."""
    rows = data.rows
    width = len(rows[0]) if rows else 0
    if any(len(row) != width for row in rows):
        raise FormatError("section Atoms: rows of different lengths", name)

    def whole(column: int) -> bool:
        return all(re.fullmatch(r"[+-]?\d+", row[column]) for row in rows)

    images = width > 7 and all(whole(k) for k in range(width - 3, width))
    columns = width - 3 if images else width
    if columns == 5:
        return "atomic"
    if columns == 7 and whole(2):
        return "full"
    if columns == 6 and not whole(2):
        return "charge"
    hint = "molecular, charge" if columns == 6 else "full, sphere, ..."
    raise FormatError(
        f"section Atoms with {width} columns and no comment with the atom style ({hint}?);"
        " --format lammps-data:atom_style=NAME says it",
        name,
    )


def _elements_of_types(data: _Data, units: str, name: str) -> list[str]:
    """Of labels that are elements, comments beside masses, or masses."""
    from ase.calculators.lammps import convert
    from ase.data import atomic_numbers

    def is_element(text: str) -> bool:
        return atomic_numbers.get(text, 0) > 0

    types = range(1, max([data.n_types, *data.masses, *data.labels]) + 1)
    if all(is_element(data.labels.get(t, "")) for t in types):
        return [data.labels[t] for t in types]
    say = f"--format lammps-data:species={'-'.join(['Cu', 'Ni', 'Al'][: len(types)]) or 'Cu'} names the elements of the types"
    if not data.masses:
        raise FormatError(
            f"{len(types)} atom types and no section Masses: no elements; {say}", name
        )
    found = []
    for t in types:
        if t not in data.masses:
            raise FormatError(f"section Masses has no type {t}; {say}", name)
        mass, comment = data.masses[t]
        said = comment.split()[0] if comment else ""
        element = element_of_mass(float(convert(mass, "mass", units, "ASE")))
        if is_element(said):
            element = said
        if element is None:
            raise FormatError(f"type {t} has mass {mass:g}, which is no element's; {say}", name)
        found.append(element)
    return found


def element_of_mass(mass: float) -> str | None:
    """The element with this mass in u, None where none is near."""
    import numpy as np
    from ase.data import atomic_masses, chemical_symbols

    away = np.abs(np.asarray(atomic_masses[1:]) - mass)
    k = int(np.nanargmin(away))
    return chemical_symbols[k + 1] if away[k] <= _TOLERANCE else None


# --- dump files -----------------------------------------------------------------------------------


def _dump_options(
    path: str, given: Mapping[str, str], species: list[str], name: str
) -> tuple[dict[str, Any], str]:
    from ase.io.formats import open_with_compression

    columns: list[str] = []
    rows: list[list[str]] = []
    said = None
    with open_with_compression(path, "rb") as file:
        lines = enumerate(file, 1)
        for number, raw in lines:
            line = raw.decode("latin-1")
            if line.startswith("ITEM: UNITS"):
                said = next(lines, (0, b""))[1].decode("latin-1").strip()
            elif line.startswith("ITEM: ATOMS"):
                if columns:
                    break
                columns = line.split()[2:]
            elif columns:
                if line.startswith("ITEM:"):
                    break
                if line.strip():
                    rows.append(_row(columns, line, name, number))
    matter = bool({"vx", "fx"} & set(columns))
    units, note = _units(given.get("units"), said, matter, "lammps-dump-text", name)
    options: dict[str, Any] = {"units": units}
    if "mass" in columns:
        options[MASSES], more = _masses_of_rows(columns, rows, units)
        note = "; ".join(filter(None, (note, more)))
    if not columns or ("element" in columns and not species):
        return options, note
    if not species and {"type", "mass"} <= set(columns):
        species = _species_of_rows(columns, rows)
    if not species:
        raise FormatError(
            "a LAMMPS dump with types and without a column element; --format lammps-dump-text:species=Cu-Ni names the"
            " elements of the types 1, 2, ...",
            name,
        )
    if "type" not in columns:
        raise FormatError(
            f"species={'-'.join(species)}: a LAMMPS dump without a column type, only {' '.join(columns)}",
            name,
        )
    most = max((int(row[columns.index("type")]) for row in rows), default=0)
    if most > len(species):
        raise FormatError(f"species={'-'.join(species)}: the file has atom type {most}", name)
    options["specorder"] = species
    return options, note


def _row(columns: list[str], line: str, name: str, number: int) -> list[str]:
    """The words of a row, of which type and mass are numbers."""
    words = line.split()
    if len(words) != len(columns):
        raise FormatError(
            f"{len(words)} words; expected {len(columns)}: {' '.join(columns)}", name, number
        )
    for column, kind in (("type", int), ("mass", float)):
        if column in columns:
            text = words[columns.index(column)]
            try:
                kind(text)
            except ValueError:
                raise FormatError(f"{column}: {text!r}; expected a number", name, number) from None
    return words


def set_species(atoms: Atoms, species: list[str], name: str) -> None:
    """Elements by the types of a dump, whatever its columns ``element`` and ``mass`` say: ASE goes by these first.

    LAMMPS writes C for every type where nobody told it the elements.
    """
    types = atoms.arrays.get("type")
    if types is None:
        return
    if len(types) and not 1 <= types.min() <= types.max() <= len(species):
        raise FormatError(
            f"species={'-'.join(species)}: the file has atom types {types.min()} to {types.max()}",
            name,
        )
    with _same_velocities(atoms):
        atoms.symbols[:] = [species[t - 1] for t in types.tolist()]


def set_masses(atoms: Atoms, masses: Mapping[str, float]) -> None:
    """Masses of a dump, by the types of its atoms, or by their elements where it has no types."""
    types = atoms.arrays.get("type")
    keys = atoms.get_chemical_symbols() if types is None else [str(t) for t in types.tolist()]
    usual = atoms.get_masses().tolist()
    with _same_velocities(atoms):
        atoms.set_masses([masses.get(key, mass) for key, mass in zip(keys, usual, strict=True)])


@contextmanager
def _same_velocities(atoms: Atoms) -> Iterator[None]:
    """Where masses change, which ASE keeps momenta by."""
    velocities = atoms.get_velocities() if atoms.has("momenta") else None
    yield
    if velocities is not None:
        atoms.set_velocities(velocities)


def _masses_of_rows(
    columns: list[str], rows: list[list[str]], units: str
) -> tuple[dict[str, float], str]:
    """Masses in u by type or element, which ASE's reader has no place for, and a sentence where they cannot be kept."""
    from ase.calculators.lammps import convert

    key = next((name for name in ("type", "element") if name in columns), None)
    if key is None:
        return {}, ""
    found: dict[str, set[float]] = {}
    for row in rows:
        found.setdefault(row[columns.index(key)], set()).add(float(row[columns.index("mass")]))
    if any(len(masses) > 1 for masses in found.values()):
        return {}, f"column mass is not used: several masses of one {key}"
    # Grams per mole are u, but for digits of ASE's constants.
    factor = 1.0 if units in ("metal", "real") else float(convert(1.0, "mass", units, "ASE"))
    return {k: factor * mass for k, (mass,) in found.items()}, ""


def _species_of_rows(columns: list[str], rows: list[list[str]]) -> list[str]:
    """Elements by the column mass; none where a type or a mass is missing."""
    by_type = {int(row[columns.index("type")]): float(row[columns.index("mass")]) for row in rows}
    found = [
        element_of_mass(by_type[t]) if t in by_type else None
        for t in range(1, max(by_type, default=0) + 1)
    ]
    return [] if None in found else [str(s) for s in found]
