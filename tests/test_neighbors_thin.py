"""Thin gases: few neighbors per atom, far fewer atoms than bins of the cutoff's size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from neighbor_checks import LETTERS, assert_like_ase, assert_like_reference, assert_same_pairs, run

import mdkern


def thin(n: int, density: float, pbc: Any, seed: int = 0, skew: float = 0.0) -> Atoms:
    """`density` atoms per cube of 5 Angstrom, some of them outside the cell."""
    rng = np.random.default_rng(seed)
    edge = 5.0 * (n / density) ** (1 / 3)
    cell = edge * (np.eye(3) + skew * np.array([[0, 0, 0], [1, 0, 0], [-0.4, 0.8, 0]]))
    symbols = rng.choice(["H", "O", "Cu"], n)
    return Atoms(symbols, rng.uniform(-0.2, 1.1, (n, 3)) @ cell, cell=cell, pbc=pbc)


CASES = {
    "free": (thin(700, 0.08, False), 5.0),
    "free_denser": (thin(700, 0.6, False), 5.0),
    "free_thinner": (thin(300, 0.01, False), 6.0),
    "periodic": (thin(600, 0.1, True), 5.0),
    "wire": (thin(500, 0.1, (False, False, True)), 5.0),
    "film": (thin(500, 0.1, (True, False, True)), 5.0),
    "skewed": (thin(500, 0.1, True, skew=0.7), 5.0),
}


@pytest.mark.quick
@pytest.mark.parametrize("self_interaction", [False, True])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("isa")
def test_pairs_are_those_of_the_definition(case: str, self_interaction: bool) -> None:
    atoms, cutoff = CASES[case]
    out = assert_like_reference(atoms, cutoff, self_interaction)
    assert 0 < len(out["i"]) < 5 * len(atoms)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("isa")
def test_cutoffs_by_atom_and_by_species(case: str) -> None:
    atoms, cutoff = CASES[case]
    radii = np.random.default_rng(1).uniform(0.2, 0.5, len(atoms)) * cutoff
    assert_like_ase(atoms, radii)
    assert_like_ase(atoms, {("H", "O"): 0.7 * cutoff, ("Cu", "Cu"): cutoff, ("O", "O"): 2.0})


@pytest.mark.parametrize("case", ["free", "periodic", "film"])
@pytest.mark.usefixtures("isa")
def test_half_lists_and_skins(case: str) -> None:
    atoms, cutoff = CASES[case]
    full, half = (mdkern.NeighborList(cutoff, skin=1.0, half=half) for half in (False, True))
    for nl in (full, half):
        nl.update(atoms)
    assert 2 * half.n_pairs == full.n_pairs
    mine = {letter: getattr(full, letter) for letter in LETTERS}
    assert_same_pairs(mine, run(atoms, cutoff), atoms)


@pytest.mark.usefixtures("isa")
def test_the_cutoff_is_strict() -> None:
    """Pairs at exactly the cutoff, and one rounding below, far from the origin too."""
    at = 40.0 * np.stack(np.meshgrid(*3 * [np.arange(8)], indexing="ij"), -1).reshape(-1, 3)
    apart = np.full(len(at), 4.0)
    apart[::2] = np.nextafter(4.0, 0.0)
    partner = at + apart[:, None] * np.array([0.0, 0.0, 1.0])
    atoms = Atoms(f"H{2 * len(at)}", np.concatenate([at, partner]))
    out = assert_like_ase(atoms, 4.0)
    assert 0 < len(out["i"]) < 2 * len(at)


@pytest.mark.usefixtures("isa")
def test_a_dense_spot_in_a_thin_gas() -> None:
    """More neighbors than a group of centres has room for."""
    n = 2100
    rng = np.random.default_rng(2)
    spot = rng.uniform(-0.5, 0.5, (n, 3))
    gas = rng.uniform(100.0, 2000.0, (n, 3))
    atoms = Atoms(f"H{2 * n}", np.concatenate([spot, gas]))
    i, j = mdkern.neighbor_list("ij", atoms, 5.0)
    here = i < n
    assert np.array_equal(np.bincount(i[here], minlength=n), np.full(n, n - 1))
    assert np.array_equal(np.bincount(j[here], minlength=n), np.full(n, n - 1))
    assert (i[here] != j[here]).all()
    assert len(i[~here]) < 2 * n


@pytest.mark.parametrize("pbc", [False, True])
def test_same_bytes_for_every_thread_count(pbc: bool) -> None:
    atoms = thin(40_000, 0.1, pbc)
    one = mdkern.neighbor_list(LETTERS, atoms, 5.0, threads=1)
    assert len(one[0]) > 5_000
    for threads in (2, 3, 8):
        for a, b in zip(
            one, mdkern.neighbor_list(LETTERS, atoms, 5.0, threads=threads), strict=True
        ):
            assert np.array_equal(a, b)
