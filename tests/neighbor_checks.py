"""What the tests of neighbor lists share: an order-free comparison, random boxes."""

from __future__ import annotations

from typing import Any

import ase.neighborlist
import numpy as np
from ase import Atoms

import mdkern
from mdkern import reference

LETTERS = "ijdDS"
DTYPES = {"i": np.int64, "j": np.int64, "d": np.float64, "D": np.float64, "S": np.int64}
Arrays = dict[str, Any]


def run(atoms: Atoms, cutoff: Any, self_interaction: bool = False, **kw: Any) -> Arrays:
    """All five arrays, with what holds for every list checked."""
    values = mdkern.neighbor_list(LETTERS, atoms, cutoff, self_interaction, **kw)
    out = dict(zip(LETTERS, values, strict=True))
    check_form(out, len(atoms))
    return out


def check_form(out: Arrays, n_atoms: int) -> None:
    n = len(out["i"])
    for letter, array in out.items():
        assert array.dtype == DTYPES[letter]
        assert array.shape == ((n, 3) if letter in "DS" else (n,))
        assert array.flags.c_contiguous
        assert array.flags.writeable
    assert (np.diff(out["i"]) >= 0).all()
    for letter in "ij":
        assert ((out[letter] >= 0) & (out[letter] < n_atoms)).all()


def by_ase(atoms: Atoms, cutoff: Any, self_interaction: bool = False) -> Arrays:
    values = ase.neighborlist.neighbor_list(
        LETTERS, atoms, cutoff, self_interaction=self_interaction
    )
    return dict(zip(LETTERS, values, strict=True))


def by_reference(atoms: Atoms, cutoff: float, self_interaction: bool = False) -> Arrays:
    values = reference.neighbor_list(
        LETTERS, atoms.positions, atoms.cell.array, atoms.pbc, cutoff, self_interaction
    )
    return dict(zip(LETTERS, values, strict=True))


def canonical(out: Arrays) -> Arrays:
    """The same list sorted by (i, j, S)."""
    S = out["S"]
    order = np.lexsort((S[:, 2], S[:, 1], S[:, 0], out["j"], out["i"]))
    return {letter: array[order] for letter, array in out.items()}


def assert_same_pairs(mine: Arrays, expected: Arrays, atoms: Atoms) -> None:
    """Same (i, j, S), each once; d and D to the rounding of the numbers they are made of."""
    mine, expected = canonical(mine), canonical(expected)
    for letter in "ijS":
        assert np.array_equal(mine[letter], expected[letter])
    scale = 1.0 + np.abs(atoms.positions).max(initial=0.0)
    scale += np.abs(atoms.cell.array[atoms.pbc]).max(initial=0.0) * np.abs(mine["S"]).max(initial=0)
    for letter in "dD":
        assert np.abs(mine[letter] - expected[letter]).max(initial=0.0) <= 1e-13 * scale


def assert_like_ase(atoms: Atoms, cutoff: Any, self_interaction: bool = False) -> Arrays:
    mine = run(atoms, cutoff, self_interaction)
    assert_same_pairs(mine, by_ase(atoms, cutoff, self_interaction), atoms)
    return mine


def assert_like_reference(atoms: Atoms, cutoff: float, self_interaction: bool = False) -> Arrays:
    mine = run(atoms, cutoff, self_interaction)
    assert_same_pairs(mine, by_reference(atoms, cutoff, self_interaction), atoms)
    return mine


def raw(out: Arrays) -> bytes:
    return b"".join(out[letter].tobytes() for letter in sorted(out))


def gas(n: int, density: float, pbc: Any = True, seed: int = 0, symbols: Any = None) -> Atoms:
    """Random points, `density` per cubic Angstrom, in a slightly skewed cell."""
    rng = np.random.default_rng(seed)
    edge = (n / density) ** (1 / 3)
    cell = edge * (np.eye(3) + 0.1 * rng.uniform(-1, 1, size=(3, 3)))
    cell *= edge / abs(np.linalg.det(cell)) ** (1 / 3)
    return Atoms(symbols or f"Ar{n}", rng.uniform(0, 1, (n, 3)) @ cell, cell=cell, pbc=pbc)


def reference_cost(atoms: Atoms, cutoff: float) -> float:
    """Distances that `reference.neighbor_list` computes: its time, about 10 ns each."""
    cell = atoms.cell.array[atoms.pbc]
    if len(cell) == 0:
        return float(len(atoms) ** 2)
    spacing = 1.0 / np.linalg.norm(np.linalg.pinv(cell), axis=0)
    return float(len(atoms) ** 2 * np.prod(2 * np.floor(cutoff / spacing) + 3))
