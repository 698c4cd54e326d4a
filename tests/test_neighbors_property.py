"""Neighbor lists of whatever Hypothesis thinks of, against ASE and the definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from neighbor_checks import (
    assert_like_ase,
    assert_like_reference,
    assert_same_pairs,
    canonical,
    raw,
    reference_cost,
    run,
)

import mdkern

PBC = st.tuples(st.booleans(), st.booleans(), st.booleans())
SEEDS = st.integers(0, 2**32 - 1)


def unimodular(rng: np.random.Generator, reach: int) -> Any:
    """Integer matrix with determinant +1 or -1: another cell of the same lattice."""
    U = np.eye(3, dtype=np.int64)[rng.permutation(3)]
    for _ in range(3):
        a, b = rng.permutation(3)[:2]
        U[a] += rng.integers(-reach, reach + 1) * U[b]
    return U


@st.composite
def boxes(draw: st.DrawFn, most: int = 12) -> Atoms:
    """Cells of any handedness from tiny to wide, atoms far outside or in one place."""
    rng = np.random.default_rng(draw(SEEDS))
    n = draw(st.integers(0, most))
    size = draw(st.sampled_from([0.6, 2.0, 5.0, 12.0]))
    cell = size * (np.diag(rng.uniform(0.5, 1.5, 3)) + rng.uniform(-0.6, 0.6, (3, 3)))
    assume(abs(np.linalg.det(cell)) > 0.2 * size**3)
    if draw(st.booleans()):
        cell = unimodular(rng, draw(st.integers(0, 4))) @ cell
    if draw(st.booleans()):
        cell[0] *= -1.0
    positions = rng.uniform(0, 1, (n, 3)) @ cell
    if draw(st.booleans()):
        positions += rng.integers(-9, 10, (n, 3)) @ cell
    if n > 2 and draw(st.booleans()):
        positions[1] = positions[0]
    if n > 3 and draw(st.booleans()):  # an exact image
        positions[3] = positions[2] + cell[1]
    return Atoms(f"H{n}" if n else "", positions, cell=cell, pbc=draw(PBC))


def affordable(atoms: Atoms, cutoff: float, cost: float) -> float:
    while reference_cost(atoms, cutoff) > cost and cutoff > 1e-3:
        cutoff *= 0.7
    return cutoff


@pytest.mark.quick
@given(atoms=boxes(), cutoff=st.floats(0.1, 9.0), self_interaction=st.booleans())
@pytest.mark.usefixtures("isa")
def test_pairs_are_those_of_the_definition(
    atoms: Atoms, cutoff: float, self_interaction: bool
) -> None:
    cutoff = affordable(atoms, cutoff, 4e5)
    before = atoms.copy()
    assert_like_reference(atoms, cutoff, self_interaction)
    assert atoms == before


@given(atoms=boxes(6), cutoff=st.floats(0.3, 6.0), self_interaction=st.booleans())
@pytest.mark.usefixtures("isa")
def test_pairs_are_those_of_ase(atoms: Atoms, cutoff: float, self_interaction: bool) -> None:
    assert_like_ase(atoms, affordable(atoms, cutoff, 3e4), self_interaction)


@given(atoms=boxes(8), cutoff=st.floats(0.3, 5.0), seed=SEEDS)
@pytest.mark.usefixtures("isa")
def test_cutoffs_per_atom_and_per_species(atoms: Atoms, cutoff: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cutoff = affordable(atoms, cutoff, 1e5)
    every = run(atoms, cutoff)
    radii = rng.uniform(0, cutoff / 2, len(atoms))
    keep = every["d"] < radii[every["i"]] + radii[every["j"]]
    assert_same_pairs(run(atoms, radii), {k: x[keep] for k, x in every.items()}, atoms)
    atoms.numbers = rng.choice([1, 8, 29], len(atoms))
    rule = {("H", "O"): cutoff, (8, 8): 0.6 * cutoff, ("Cu", 1): 0.3 * cutoff}
    table = np.zeros((30, 30))
    for (a, b), r in (((1, 8), 1.0), ((8, 8), 0.6), ((29, 1), 0.3)):
        table[a, b] = table[b, a] = r * cutoff
    keep = every["d"] < table[atoms.numbers[every["i"]], atoms.numbers[every["j"]]]
    assert_same_pairs(run(atoms, rule), {k: x[keep] for k, x in every.items()}, atoms)


@pytest.mark.quick
@given(atoms=boxes(8), cutoff=st.floats(0.3, 5.0), seed=SEEDS, reach=st.integers(1, 60))
@pytest.mark.usefixtures("isa")
def test_another_cell_of_the_same_lattice(
    atoms: Atoms, cutoff: float, seed: int, reach: int
) -> None:
    """Shears by many cell lengths, far beyond what ASE or the reference can list."""
    atoms.pbc = True
    cutoff = affordable(atoms, cutoff, 2e5)
    U = unimodular(np.random.default_rng(seed), reach)
    other = atoms.copy()
    other.set_cell(U @ atoms.cell.array)
    expected, mine = run(atoms, cutoff), run(other, cutoff)
    # Rounding may decide for a pair at the cutoff.
    rounding = 1e-14 * (1 + np.abs(mine["S"]).max(initial=0)) * (1 + np.abs(other.cell.array).max())
    assume(not (np.abs(run(atoms, cutoff + 1e-6)["d"] - cutoff) < rounding).any())
    mine["S"] = mine["S"] @ U
    for letter in "ijS":
        assert np.array_equal(canonical(mine)[letter], canonical(expected)[letter])
    assert np.abs(canonical(mine)["D"] - canonical(expected)["D"]).max(initial=0) <= rounding


@given(atoms=boxes(10), cutoff=st.floats(0.3, 6.0), seed=SEEDS)
@pytest.mark.usefixtures("isa")
def test_rotated_translated_permuted(atoms: Atoms, cutoff: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cutoff = affordable(atoms, cutoff, 1e5)
    Q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    order = rng.permutation(len(atoms))
    moved = atoms[order]
    moved.set_cell(atoms.cell.array @ Q)
    moved.positions = (moved.positions + rng.uniform(-9, 9, 3)) @ Q
    expected, mine = run(atoms, cutoff), run(moved, cutoff)
    assume(not (np.abs(run(atoms, cutoff + 1e-6)["d"] - cutoff) < 1e-11).any())
    mine["i"], mine["j"], mine["D"] = order[mine["i"]], order[mine["j"]], mine["D"] @ Q.T
    mine, expected = canonical(mine), canonical(expected)
    for letter in "ijS":
        assert np.array_equal(mine[letter], expected[letter])
    assert np.abs(mine["D"] - expected["D"]).max(initial=0) <= 1e-11


@pytest.mark.quick
@settings(max_examples=15)
@given(
    atoms=boxes(10),
    cutoff=st.floats(0.3, 4.0),
    skin=st.floats(0.01, 1.0),
    half=st.booleans(),
    seed=SEEDS,
)
@pytest.mark.usefixtures("isa")
def test_a_kept_list_is_a_fresh_list(
    atoms: Atoms, cutoff: float, skin: float, half: bool, seed: int
) -> None:
    """Moves and strains of every size relative to the skin."""
    rng = np.random.default_rng(seed)
    cutoff = affordable(atoms, cutoff, 1e5)
    nl = mdkern.NeighborList(cutoff, skin=skin, half=half)
    fresh = mdkern.NeighborList(cutoff, skin=0.0, half=half)
    n = len(atoms)
    for _ in range(6):
        nl.update(atoms)
        fresh.update(atoms)
        mine, expected = ({c: getattr(x, c) for c in "ijdDS"} for x in (nl, fresh))
        assert raw(canonical(mine)) == raw(canonical(expected))
        assert len(expected["i"]) == len(run(atoms, cutoff)["i"]) // (2 if half else 1)
        atoms.positions += skin * rng.choice([1e-3, 0.1, 0.4]) * rng.normal(size=(n, 3))
        if rng.integers(2):
            strain = np.eye(3) + rng.choice([1e-4, 1e-2]) * rng.normal(size=(3, 3))
            atoms.set_cell(atoms.cell.array @ strain, scale_atoms=bool(rng.integers(2)))
        if rng.integers(6) == 0:
            atoms.pbc = rng.integers(0, 2, 3).astype(bool)


@settings(max_examples=10)
@given(every=st.lists(boxes(8), max_size=12), cutoff=st.floats(0.2, 3.0), threads=st.integers(1, 3))
@pytest.mark.usefixtures("isa")
def test_a_batch_is_the_single_lists(every: list[Atoms], cutoff: float, threads: int) -> None:
    for atoms in every:
        cutoff = affordable(atoms, cutoff, 1e5)
    out = mdkern.neighbor_list_batch("ijdDS", every, cutoff, threads=threads)
    for atoms, one in zip(every, out, strict=True):
        assert raw(dict(zip("ijdDS", one, strict=True))) == raw(run(atoms, cutoff))
