"""Seeded sets of structures to relax: perturbed prototypes of crystals, slabs and molecules, the same atoms every time.

Lattice constants follow from covalent radii, so that every combination of elements starts near a volume that it could have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Atoms = Any  # ase.Atoms, whose methods have no types; ASE is imported where a structure is made

__all__ = [
    "CLOSE_PACKED",
    "PROTOTYPES",
    "Prototype",
    "crystals",
    "molecules",
    "perturb",
    "prototype",
    "slabs",
]

_CUBIC = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_FCC = ((0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0))
_BCC = ((-0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.5, 0.5, -0.5))
_HEXAGONAL = ((1.0, 0.0, 0.0), (-0.5, 0.75**0.5, 0.0), (0.0, 0.0, (8.0 / 3.0) ** 0.5))
_FACES = ((0.0, 0.0, 0.0), (0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0))


@dataclass(frozen=True, slots=True)
class Prototype:
    """A kind of crystal: lattice vectors and sites in units of these, and which element each site has (0, 1, 2)."""

    cell: tuple[tuple[float, float, float], ...]
    sites: tuple[tuple[float, float, float], ...]
    kinds: tuple[int, ...]

    @property
    def n_kinds(self) -> int:
        return max(self.kinds) + 1


PROTOTYPES: dict[str, Prototype] = {
    "fcc": Prototype(_CUBIC, _FACES, (0, 0, 0, 0)),
    "bcc": Prototype(_BCC, ((0, 0, 0),), (0,)),
    "hcp": Prototype(_HEXAGONAL, ((0, 0, 0), (1 / 3, 2 / 3, 1 / 2)), (0, 0)),
    "diamond": Prototype(_FCC, ((0, 0, 0), (1 / 4, 1 / 4, 1 / 4)), (0, 0)),
    "rocksalt": Prototype(_FCC, ((0, 0, 0), (1 / 2, 1 / 2, 1 / 2)), (0, 1)),
    "CsCl": Prototype(_CUBIC, ((0, 0, 0), (1 / 2, 1 / 2, 1 / 2)), (0, 1)),
    "zincblende": Prototype(_FCC, ((0, 0, 0), (1 / 4, 1 / 4, 1 / 4)), (0, 1)),
    "wurtzite": Prototype(
        _HEXAGONAL,
        ((1 / 3, 2 / 3, 0), (2 / 3, 1 / 3, 1 / 2), (1 / 3, 2 / 3, 3 / 8), (2 / 3, 1 / 3, 7 / 8)),
        (0, 0, 1, 1),
    ),
    "NiAs": Prototype(
        _HEXAGONAL,
        ((0, 0, 0), (0, 0, 1 / 2), (1 / 3, 2 / 3, 1 / 4), (2 / 3, 1 / 3, 3 / 4)),
        (0, 0, 1, 1),
    ),
    "fluorite": Prototype(
        _FCC, ((0, 0, 0), (1 / 4, 1 / 4, 1 / 4), (3 / 4, 3 / 4, 3 / 4)), (0, 1, 1)
    ),
    "L12": Prototype(_CUBIC, _FACES, (0, 1, 1, 1)),
    "L10": Prototype(_CUBIC, _FACES, (0, 1, 1, 0)),
    "perovskite": Prototype(_CUBIC, ((1 / 2, 1 / 2, 1 / 2), *_FACES), (1, 0, 2, 2, 2)),
    "Heusler": Prototype(
        _FCC,
        ((0, 0, 0), (1 / 2, 1 / 2, 1 / 2), (1 / 4, 1 / 4, 1 / 4), (3 / 4, 3 / 4, 3 / 4)),
        (0, 1, 2, 2),
    ),
}
_PACKING = 0.7  # of spheres with covalent radii, between bcc and fcc
_SMALLEST = (
    0.9  # radius, Angstrom: atoms with less bond in molecules, and are no spheres in a crystal
)
_NEAREST = 0.9  # least distance of two atoms over the sum of their covalent radii

CLOSE_PACKED = ("fcc", "bcc", "hcp", "CsCl", "L12", "L10", "Heusler")  # what metals have


def prototype(name: str, elements: Sequence[str]) -> Atoms:
    """One cell of a prototype, unperturbed: as dense as spheres with covalent radii can be, unless two atoms came too near.

    Raises
    ------
    ValueError
        An unknown name, or another number of elements than it has.
    """
    import ase
    from ase.data import covalent_radii

    if name not in PROTOTYPES:
        raise ValueError(f"prototype {name!r}: unknown; expected one of {', '.join(PROTOTYPES)}")
    p = PROTOTYPES[name]
    if len(elements) != p.n_kinds:
        raise ValueError(f"elements: {len(elements)}; expected {p.n_kinds} for {name}")
    atoms = ase.Atoms(
        [elements[k] for k in p.kinds], cell=p.cell, scaled_positions=p.sites, pbc=True
    )
    radius = np.maximum(covalent_radii[atoms.numbers], _SMALLEST)
    images = np.stack(np.meshgrid(*3 * [[-1, 0, 1]]), axis=-1).reshape(-1, 3) @ atoms.cell.array
    between = atoms.positions[:, None, None] - atoms.positions[None, :, None] - images
    d = np.linalg.norm(between, axis=-1)
    d[d < 1e-6] = np.inf  # an atom itself
    touching = float(((radius[:, None] + radius[None])[:, :, None] / d).max())
    volume = 4.0 / 3.0 * np.pi * float((radius**3).sum()) / _PACKING
    a = max(_NEAREST * touching, (volume / atoms.get_volume()) ** (1.0 / 3.0))
    atoms.set_cell(a * atoms.cell.array, scale_atoms=True)
    return atoms


def perturb(atoms: Atoms, rng: np.random.Generator, stdev: float, strain: float) -> Atoms:
    """Strains the cell by random numbers of deviation `strain`, then displaces the atoms by `stdev` Angstrom."""
    if strain > 0.0:
        deform = np.eye(3) + rng.normal(scale=strain, size=(3, 3))
        atoms.set_cell(atoms.cell.array @ deform, scale_atoms=True)
    atoms.positions += rng.normal(scale=stdev, size=(len(atoms), 3))
    return atoms


def _repeats(n: int, least: int, most: int) -> list[tuple[int, int, int]]:
    """The supercells of a cell of n atoms with `least` to `most` atoms."""
    return [
        (i, j, k)
        for i in range(1, most + 1)
        for j in range(1, i + 1)
        for k in range(1, j + 1)
        if least <= n * i * j * k <= most and i <= 3 * k
    ]


def crystals(
    n: int,
    elements: Sequence[str],
    *,
    kinds: Sequence[str] = tuple(PROTOTYPES),
    atoms: tuple[int, int] = (4, 60),
    stdev: float = 0.08,
    strain: float = 0.03,
    seed: int = 17,
) -> list[Atoms]:
    """Perturbed supercells of prototypes.

    Parameters
    ----------
    n : int
        How many.
    elements : sequence of str
        Of which each takes as many as its prototype has.
    kinds : sequence of str
        Names out of ``PROTOTYPES``; those with more elements than there are do not occur.
    atoms : (int, int)
        Least and largest number of atoms; prototypes that have no supercell of this size do not occur.
    stdev : float
        Standard deviation of displacements, Angstrom.
    strain : float
        Standard deviation of each component of the strain of the cell, rotation included. Lattice constants are
        those of `prototype` times 0.97 to 1.05.
    seed : int

    Returns
    -------
    list of ase.Atoms
        With ``info["prototype"]``.

    Raises
    ------
    ValueError
        No prototype has a supercell of this size, or so few elements.
    """
    rng = np.random.default_rng(seed)
    names = [name for name in kinds if PROTOTYPES[name].n_kinds <= len(elements)]
    repeats = {name: _repeats(len(PROTOTYPES[name].sites), *atoms) for name in names}
    names = [name for name in names if repeats[name]]
    if not names:
        raise ValueError(
            f"atoms: {atoms}; expected numbers that a supercell of one of {', '.join(kinds)} has"
        )
    made = []
    for _ in range(n):
        name = names[int(rng.integers(len(names)))]
        p = PROTOTYPES[name]
        picked = [str(x) for x in rng.choice(list(elements), size=p.n_kinds, replace=False)]
        cell = prototype(name, picked)
        sizes = repeats[name]
        frame = cell.repeat(sizes[int(rng.integers(len(sizes)))])
        frame.set_cell(rng.uniform(0.97, 1.05) * frame.cell.array, scale_atoms=True)
        perturb(frame, rng, stdev, strain)
        frame.info["prototype"] = name
        made.append(frame)
    return made


def slabs(n: int, elements: Sequence[str], *, stdev: float = 0.08, seed: int = 18) -> list[Atoms]:
    """Slabs of fcc and bcc metals with an adatom in every second one: open along the third vector, and the lower half fixed (FixAtoms)."""
    from ase.build import add_adsorbate, bcc110, fcc111
    from ase.constraints import FixAtoms
    from ase.data import atomic_numbers, covalent_radii, reference_states

    rng = np.random.default_rng(seed)
    made = []
    for k in range(n):
        element = str(rng.choice(list(elements)))
        z = atomic_numbers[element]
        state = reference_states[z]
        body = state is not None and state["symmetry"] == "bcc"
        radius = float(covalent_radii[z])
        a = 2.0 * radius * (2.0 / 3.0**0.5 if body else 2.0**0.5)
        size = (int(rng.integers(2, 4)), 2, int(rng.integers(3, 5)))
        make: Any = bcc110 if body else fcc111
        frame = make(element, size, a=a, vacuum=8.0)
        layers = frame.get_tags()
        fixed = np.flatnonzero(layers > size[2] // 2)
        if k % 2:
            add_adsorbate(frame, element, 1.6 * radius, "hollow" if body else "fcc")
        move = rng.normal(scale=stdev, size=(len(frame), 3))
        move[fixed] = 0.0
        frame.positions += move
        frame.set_constraint(FixAtoms(indices=fixed))
        frame.pbc = (True, True, False)
        frame.info["prototype"] = "slab"
        made.append(frame)
    return made


def molecules(
    n: int, elements: Sequence[str], *, atoms: tuple[int, int] = (4, 20), seed: int = 19
) -> list[Atoms]:
    """Free clusters: the atoms nearest to a random point of a perturbed crystal."""
    import ase

    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        element = [str(x) for x in rng.choice(list(elements), size=2, replace=len(elements) < 2)]
        cell = prototype("fcc", [element[0]]).repeat((4, 4, 4))
        size = int(rng.integers(atoms[0], atoms[1] + 1))
        centre = cell.cell.array.sum(axis=0) * rng.uniform(0.4, 0.6, size=3)
        order = np.argsort(np.linalg.norm(cell.positions - centre, axis=1), kind="stable")[:size]
        numbers = cell.numbers[np.sort(order)]
        frame = ase.Atoms(numbers, positions=cell.positions[np.sort(order)])
        frame.symbols[rng.random(size) < 0.4] = element[1]
        frame.positions += rng.normal(scale=0.1, size=(size, 3))
        frame.info["prototype"] = "molecule"
        made.append(frame)
    return made
