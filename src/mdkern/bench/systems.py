"""The systems that benchmarks run on: each made by a name, the same atoms every time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Atoms = Any  # ase.Atoms, whose methods have no types; ASE is imported where a system is made

__all__ = ["ARGON", "SYSTEMS", "System", "make"]

ARGON = {"sigma": 3.405, "epsilon": 0.0104, "rc": 8.5}  # Angstrom, eV, Angstrom
_COPPER = 3.615  # lattice constant, Angstrom
_ARGON_DENSITY = 0.8442 / ARGON["sigma"] ** 3  # the density of LAMMPS's Lennard-Jones melt


@dataclass(frozen=True, slots=True)
class System:
    """Atoms, and the neighbor cutoff (Angstrom) that such a system is usually run with."""

    name: str
    atoms: Atoms
    cutoff: float

    @property
    def arrays(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Positions, cell and pbc as the core takes them."""
        a = self.atoms
        return a.positions, a.cell.array, a.pbc


def make(name: str) -> System:
    """A system by its name.

    Raises
    ------
    ValueError
        For an unknown name; the message lists the known ones.
    """
    if name not in SYSTEMS:
        raise ValueError(f"system {name!r}: unknown; expected one of {', '.join(SYSTEMS)}")
    atoms, cutoff = SYSTEMS[name]()
    return System(name, atoms, cutoff)


def _rattled(atoms: Atoms, stdev: float, seed: int = 1) -> Atoms:
    shift = np.random.default_rng(seed).normal(scale=stdev, size=(len(atoms), 3))
    atoms.positions = atoms.positions + shift
    return atoms


def _fcc(symbol: str, a: float, repeats: Any, cubic: bool = True) -> Atoms:
    from ase.build import bulk

    cell: Atoms = bulk(symbol, "fcc", a=a, cubic=cubic)
    return cell.repeat(repeats)


def _copper(repeats: tuple[int, int, int], cubic: bool = True) -> tuple[Atoms, float]:
    return _rattled(_fcc("Cu", _COPPER, repeats, cubic), 0.05), 5.0


def _diamond(symbol: str, a: float, repeats: int) -> tuple[Atoms, float]:
    from ase.build import bulk

    cell: Atoms = bulk(symbol, "diamond", a=a, cubic=True)
    return _rattled(cell.repeat(repeats), 0.05), 5.0


def _argon(repeats: int) -> tuple[Atoms, float]:
    a = (4.0 / _ARGON_DENSITY) ** (1.0 / 3.0)
    return _rattled(_fcc("Ar", a, repeats), 0.2), ARGON["rc"]


def _water(edge: int) -> tuple[Atoms, float]:
    """Molecules in random orientation on a jittered grid, 0.0334 per Angstrom^3."""
    import ase

    rng = np.random.default_rng(2)
    spacing = 0.0334 ** (-1.0 / 3.0)
    half = np.radians(104.52 / 2)
    molecule = 0.9572 * np.array(
        [[0, 0, 0], [np.sin(half), np.cos(half), 0], [-np.sin(half), np.cos(half), 0]]
    )
    grid = np.stack(np.meshgrid(*3 * [np.arange(edge)], indexing="ij"), axis=-1).reshape(-1, 3)
    centres = spacing * (grid + rng.uniform(-0.1, 0.1, grid.shape))
    turns, _ = np.linalg.qr(rng.normal(size=(len(grid), 3, 3)))
    positions = centres[:, None] + np.einsum("ad,mdc->mac", molecule, turns)
    return (
        ase.Atoms(
            "OHH" * len(grid),
            positions=positions.reshape(-1, 3),
            cell=3 * [spacing * edge],
            pbc=True,
        ),
        6.0,
    )


def _triclinic(repeats: int) -> tuple[Atoms, float]:
    """The primitive fcc cell, sheared by lattice vectors: strongly skewed."""
    atoms = _fcc("Cu", _COPPER, repeats, cubic=False)
    atoms.set_cell(np.array([[1, 0, 0], [1, 1, 0], [0, 1, 1]]) @ atoms.cell.array)
    atoms.wrap()
    return _rattled(atoms, 0.05), 5.0


def _slab(repeats: tuple[int, int, int]) -> tuple[Atoms, float]:
    atoms, cutoff = _copper(repeats)
    atoms.pbc = (True, True, False)
    atoms.center(vacuum=10.0, axis=2)
    return atoms, cutoff


def _droplet(n: int, box: float) -> tuple[Atoms, float]:
    """The n atoms of liquid-like argon nearest to the middle of a periodic box."""
    atoms, cutoff = _argon(int(np.ceil((2.0 * n / 4) ** (1.0 / 3.0))) + 1)
    from_middle = np.linalg.norm(atoms.positions - atoms.positions.mean(axis=0), axis=1)
    atoms = atoms[np.sort(np.argsort(from_middle, kind="stable")[:n])]
    atoms.set_cell(3 * [box])
    atoms.center()
    return atoms, cutoff


def _random(symbols: str, box: float) -> tuple[Atoms, float]:
    """Free atoms anywhere in a box."""
    import ase

    atoms = ase.Atoms(symbols, cell=3 * [box])
    atoms.positions = np.random.default_rng(3).uniform(0.0, box, (len(atoms), 3))
    return atoms, 5.0


def _vast(box: float) -> tuple[Atoms, float]:
    """Three water molecules, and nothing else for a long way."""
    atoms, cutoff = _water(2)
    atoms = atoms[:9]
    atoms.set_cell(3 * [box])
    atoms.center()
    return atoms, cutoff


SYSTEMS: dict[str, Callable[[], tuple[Any, float]]] = {
    "copper-4000": partial(_copper, (10, 10, 10)),
    "copper-2048": partial(_copper, (8, 8, 8)),
    "copper-32000": partial(_copper, (20, 20, 20)),
    "copper-100000": partial(_copper, (25, 25, 40)),
    "copper-256000": partial(_copper, (40, 40, 40)),
    "copper-500000": partial(_copper, (50, 50, 50)),
    "silicon-216": partial(_diamond, "Si", 5.431, 3),
    "silicon-1000": partial(_diamond, "Si", 5.431, 5),
    "silicon-8000": partial(_diamond, "Si", 5.431, 10),
    "diamond-216": partial(_diamond, "C", 3.567, 3),
    "diamond-1000": partial(_diamond, "C", 3.567, 5),
    "water-81": partial(_water, 3),
    "water-375": partial(_water, 5),
    "argon-4000": partial(_argon, 10),
    "argon-32000": partial(_argon, 20),
    "argon-256000": partial(_argon, 40),
    "argon-500000": partial(_argon, 50),
    "water-3000": partial(_water, 10),
    "water-12288": partial(_water, 16),
    "water-24000": partial(_water, 20),
    "triclinic-4096": partial(_triclinic, 16),
    "slab-4000": partial(_slab, (10, 10, 10)),
    "droplet-2000": partial(_droplet, 2000, 1000.0),
    "gas-5000": partial(_random, "Ar5000", 200.0),
    "molecule-20": partial(_random, "C6H12O2", 7.0),
    "vast-9": partial(_vast, 1000.0),
    "cell-1": partial(_copper, (1, 1, 1), False),
    "cell-2": partial(_copper, (1, 1, 2), False),
    "cell-4": partial(_copper, (1, 1, 1), True),
    "cell-8": partial(_copper, (2, 2, 2), False),
    "cell-16": partial(_copper, (1, 2, 2), True),
    "cell-32": partial(_copper, (2, 2, 2), True),
    "cell-64": partial(_copper, (4, 4, 4), False),
    "cell-108": partial(_copper, (3, 3, 3), True),
    "cell-256": partial(_copper, (4, 4, 4), True),
    "copper-108": partial(_copper, (3, 3, 3)),
    "argon-108": partial(_argon, 3),
}
