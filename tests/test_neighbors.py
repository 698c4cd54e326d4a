"""neighbor_list and primitive_neighbor_list: meaning, form, order, errors."""

from __future__ import annotations

import inspect
import time
from itertools import permutations
from typing import Any

import ase.neighborlist
import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc111, graphene, molecule
from neighbor_checks import (
    DTYPES,
    LETTERS,
    assert_like_ase,
    assert_like_reference,
    assert_same_pairs,
    by_ase,
    canonical,
    check_form,
    gas,
    raw,
    run,
)

import mdkern

# --- the same pairs as ASE ----------------------------------------------------------------------


def slab() -> Atoms:
    atoms = fcc111("Al", (2, 3, 3), vacuum=4.0)
    add_adsorbate(atoms, "O", 1.2, "fcc")
    return atoms


def scattered(seed: int, pbc: Any) -> Atoms:
    """Skewed, left-handed, atoms several cells outside."""
    rng = np.random.default_rng(seed)
    cell = np.array([[5.1, 0.3, -0.4], [1.9, 4.4, 0.2], [0.7, -1.1, -6.0]])
    atoms = Atoms("H3OCu4", rng.uniform(0, 1, (8, 3)) @ cell, cell=cell, pbc=pbc)
    atoms.positions += rng.integers(-4, 5, size=(8, 3)) @ cell
    return atoms


SYSTEMS = {
    "fcc_primitive": (lambda: bulk("Cu"), 6.3),
    "fcc_cubic": (lambda: bulk("Cu", cubic=True) * (3, 2, 2), 4.1),
    "hcp": (lambda: bulk("Mg"), 7.0),
    "diamond": (lambda: bulk("Si"), 6.0),
    "slab": (slab, 5.0),
    "graphene_2d": (lambda: graphene(vacuum=None), 4.3),
    "molecule": (lambda: molecule("C6H6"), 1.6),
    "left_handed": (lambda: scattered(1, True), 6.0),
    "wire": (lambda: scattered(2, (False, True, False)), 7.0),
    "mixed_pbc": (lambda: scattered(3, (True, False, True)), 6.0),
    "open": (lambda: scattered(4, False), 9.0),
    "coincident": (lambda: Atoms("H3", [[1, 1, 1]] * 3, cell=[3, 4, 5], pbc=True), 3.5),
    "one_atom_small_cell": (lambda: Atoms("H", cell=[1.1, 1.3, 0.9], pbc=True), 4.0),
    "gas": (lambda: gas(300, 0.05), 4.5),
    "sparse": (lambda: gas(40, 0.0005), 6.0),
}


@pytest.mark.quick
@pytest.mark.parametrize("self_interaction", [False, True])
@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.usefixtures("isa")
def test_pairs_are_those_of_ase(name: str, self_interaction: bool) -> None:
    make, cutoff = SYSTEMS[name]
    out = assert_like_ase(make(), cutoff, self_interaction)
    assert len(out["i"]) > 0


@pytest.mark.parametrize("name", SYSTEMS)
def test_atoms_are_left_alone(name: str) -> None:
    make, cutoff = SYSTEMS[name]
    atoms = make()
    before = atoms.copy()
    run(atoms, cutoff)
    assert atoms == before


def symmetric(out: dict[str, Any]) -> None:
    back = {**out, "i": out["j"], "j": out["i"], "S": -out["S"], "D": -out["D"]}
    a, b = canonical(out), canonical(back)
    for letter in "ijS":
        assert np.array_equal(a[letter], b[letter])


@pytest.mark.parametrize("name", SYSTEMS)
def test_both_directions_of_every_pair(name: str) -> None:
    make, cutoff = SYSTEMS[name]
    symmetric(run(make(), cutoff))


LATTICES = {
    "sc": lambda a: bulk("Po", "sc", a=a),
    "bcc": lambda a: bulk("Fe", "bcc", a=a, cubic=True),
    "fcc": lambda a: bulk("Cu", "fcc", a=a, cubic=True),
    "fcc_primitive": lambda a: bulk("Cu", "fcc", a=a),
    "bcc_2": lambda a: bulk("Fe", "bcc", a=a, cubic=True) * 2,
    "fcc_3": lambda a: bulk("Cu", "fcc", a=a, cubic=True) * (3, 1, 2),
}


@pytest.mark.parametrize("a", [1.0, 3.0, 3.61, 3.615, 4.05])
@pytest.mark.parametrize("lattice", LATTICES)
@pytest.mark.usefixtures("isa")
def test_a_cutoff_exactly_on_a_shell_is_decided_as_by_ase(lattice: str, a: float) -> None:
    """Rounding decides for each pair of a shell; d < cutoff holds for the d that is returned."""
    atoms = LATTICES[lattice](a)
    for shell in (np.sqrt(0.5) * a, np.sqrt(0.75) * a, a, np.sqrt(2.0) * a, np.sqrt(3.0) * a):
        out = assert_like_ase(atoms, shell)
        assert (out["d"] < shell).all()
        above = run(atoms, np.nextafter(shell, np.inf) * (1 + 1e-12))
        assert len(above["i"]) >= len(out["i"])


@pytest.mark.usefixtures("isa")
def test_the_cutoff_is_strict() -> None:
    atoms = Atoms("H2", [[0, 0, 0], [0, 0, 2.0]])
    assert len(mdkern.neighbor_list("i", atoms, 2.0)) == 0
    assert len(mdkern.neighbor_list("i", atoms, np.nextafter(2.0, 3.0))) == 2
    assert len(mdkern.neighbor_list("i", atoms, {("H", "H"): 2.0})) == 0
    assert len(mdkern.neighbor_list("i", atoms, [1.0, 1.0])) == 0


# --- cells --------------------------------------------------------------------------------------

OPEN_VECTORS = {
    "zero": [0.0, 0.0, 0.0],
    "parallel": [8.0, 0.0, 0.0],
    "in_the_plane": [3.0, -5.0, 0.0],
    "nearly_in_the_plane": [3.0, -5.0, 1e-11],
    "tiny": [0.0, 0.0, 1e-200],
    "huge": [0.0, 0.0, 1e200],
}


@pytest.mark.quick
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("vector", OPEN_VECTORS)
@pytest.mark.usefixtures("isa")
def test_the_vector_of_an_open_direction_does_not_matter(vector: str, axis: int) -> None:
    rng = np.random.default_rng(3)
    plane = np.array([[4.0, 0.5, 0.0], [-0.7, 5.0, 0.0]])
    cell = np.insert(plane, axis, OPEN_VECTORS[vector], axis=0)
    pbc = np.insert([True, True], axis, False)
    atoms = Atoms("H9", rng.uniform(-9, 9, (9, 3)), cell=cell, pbc=pbc)
    good = atoms.copy()
    good.set_cell(np.insert(plane, axis, [0.0, 0.0, 6.0], axis=0))
    mine, expected = run(atoms, 6.0), by_ase(good, 6.0)
    assert_same_pairs(mine, expected, good)
    assert not mine["S"][:, axis].any()


@pytest.mark.parametrize("pbc", [(1, 0, 0), (0, 0, 1), (0, 0, 0)])
@pytest.mark.usefixtures("isa")
def test_one_or_no_cell_vector(pbc: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(4)
    cell = np.zeros((3, 3))
    cell[np.array(pbc, dtype=bool)] = [1.0, 2.0, -1.5]
    atoms = Atoms("H12", rng.uniform(-6, 6, (12, 3)), cell=cell, pbc=pbc)
    assert len(assert_like_reference(atoms, 5.0)["i"]) > 12


SHEARS = {
    "some": [[1, 0, 0], [3, 1, 0], [-2, 3, 1]],
    "strong": [[1, 0, 0], [40, 1, 0], [-7, 40, 1]],
    "one_vector": [[1, 0, 1000], [0, 1, 0], [0, 0, 1]],
    "one_vector_left_handed": [[1, 0, 0], [0, 0, 1], [-20000, 1, 0]],
}


@pytest.mark.quick
@pytest.mark.parametrize("shear", SHEARS)
@pytest.mark.usefixtures("isa")
def test_a_sheared_cell_is_the_same_crystal(shear: str) -> None:
    """cell' = U @ cell with det U = +-1 has the same points, and S = S' @ U."""
    plain = gas(20, 0.06, seed=5)
    U = np.array(SHEARS[shear])
    assert abs(round(np.linalg.det(U))) == 1
    sheared = plain.copy()
    sheared.set_cell(U @ plain.cell.array)
    mine, expected = run(sheared, 6.0), canonical(run(plain, 6.0))
    rounding = 1e-15 * np.abs(mine["S"]).max() * np.abs(sheared.cell.array).max()
    mine["S"] = mine["S"] @ U
    mine = canonical(mine)
    for letter in "ijS":
        assert np.array_equal(mine[letter], expected[letter])
    assert np.abs(mine["D"] - expected["D"]).max() <= rounding


def test_a_cell_sheared_beyond_double_precision_is_refused() -> None:
    atoms = gas(5, 0.06)
    atoms.set_cell(np.array([[1, 0, 0], [10**8, 1, 0], [0, 10**8, 1]]) @ atoms.cell.array)
    with pytest.raises(ValueError, match="cell: the periodic cell vectors are linearly dependent"):
        run(atoms, 3.0)


@pytest.mark.usefixtures("isa")
def test_many_images_of_a_tiny_cell() -> None:
    atoms = Atoms("H2", [[0, 0, 0], [0.1, 0.2, 0.1]], cell=[0.4, 0.5, 0.45], pbc=True)
    out = assert_like_reference(atoms, 4.0)
    density = 2 / atoms.get_volume()
    assert abs(len(out["i"]) / 2 - 4 / 3 * np.pi * 4.0**3 * density) <= 0.05 * len(out["i"])


def test_atoms_very_far_outside() -> None:
    """S counts whole cells; D keeps the accuracy that the coordinates have."""
    inside = gas(30, 0.05, seed=6)
    outside = inside.copy()
    n = np.random.default_rng(7).integers(-1000, 1001, size=(30, 3))
    outside.positions += n @ inside.cell.array
    mine, expected = run(outside, 5.0), run(inside, 5.0)
    mine["S"] = mine["S"] + n[mine["j"]] - n[mine["i"]]
    for letter in "ijS":
        assert np.array_equal(canonical(mine)[letter], canonical(expected)[letter])
    assert np.abs(canonical(mine)["D"] - canonical(expected)["D"]).max() <= 1e-10


def test_a_droplet_in_a_vast_box_costs_what_the_droplet_costs() -> None:
    rng = np.random.default_rng(8)
    atoms = Atoms("H100", rng.uniform(0, 8, (100, 3)), cell=[1e6, 1e6, 1e6], pbc=True)
    start = time.process_time()
    out = run(atoms, 3.0)
    assert time.process_time() - start < 5.0
    alone = Atoms(atoms.symbols, atoms.positions)
    assert_same_pairs(out, by_ase(alone, 3.0), alone)


# --- cutoffs ------------------------------------------------------------------------------------


@pytest.mark.quick
@pytest.mark.parametrize(
    "cutoff",
    [
        {("H", "O"): 1.3},
        {("O", "H"): 1.3, (8, 8): 3.0},
        {("H", 8): 1.1, ("H", "H"): 2.0, ("C", "Fe"): 9.0},
        {(1, 1): 0.0, ("O", "O"): 4.0},
        {},
    ],
)
@pytest.mark.usefixtures("isa")
def test_cutoffs_by_species(cutoff: dict[Any, float]) -> None:
    rng = np.random.default_rng(9)
    atoms = Atoms("OH2" * 8, rng.uniform(0, 6, (24, 3)), cell=[6, 6, 6], pbc=(1, 1, 0))
    mine = run(atoms, cutoff)
    z = atoms.numbers
    if cutoff and ("C", "Fe") not in cutoff:  # ASE has no pair at all with an absent element
        assert_same_pairs(mine, by_ase(atoms, cutoff), atoms)
    table = np.zeros((10, 10))
    number = {"H": 1, "O": 8, "C": 0, "Fe": 0}
    for pair, r in cutoff.items():
        a, b = (number.get(x, x) for x in pair)
        table[a, b] = table[b, a] = r
    every = run(atoms, 5.0)
    keep = every["d"] < table[z[every["i"]], z[every["j"]]]
    assert_same_pairs(mine, {letter: x[keep] for letter, x in every.items()}, atoms)


@pytest.mark.quick
@pytest.mark.parametrize("pbc", [True, False])
@pytest.mark.usefixtures("isa")
def test_one_radius_per_atom(pbc: bool) -> None:
    atoms = gas(60, 0.05, pbc)
    radii = np.random.default_rng(10).uniform(0, 3.0, 60).astype(np.float32)
    radii[3] = 0.0
    mine = assert_like_ase(atoms, radii.astype(np.float64))
    assert_same_pairs(run(atoms, radii.tolist()), mine, atoms)
    assert_same_pairs(run(atoms, radii.astype(np.float32)), mine, atoms)


@pytest.mark.parametrize(
    "cutoff", [4, np.float64(4.0), np.float32(4.0), np.int64(4), np.array(4.0)]
)
def test_any_number_is_a_cutoff(cutoff: Any) -> None:
    atoms = gas(60, 0.05)
    assert raw(run(atoms, cutoff)) == raw(run(atoms, 4.0))


def test_a_cutoff_of_zero_finds_nothing_but_the_atoms_themselves() -> None:
    atoms = bulk("Cu", cubic=True)
    assert len(mdkern.neighbor_list("i", atoms, 0.0)) == 0
    assert len(mdkern.neighbor_list("i", atoms, {("Cu", "Cu"): 0.0})) == 0


def test_self_interaction_adds_every_atom_once() -> None:
    atoms = gas(50, 0.05)
    without, both = run(atoms, 4.0), run(atoms, 4.0, True)
    own = (both["i"] == both["j"]) & ~both["S"].any(axis=1)
    assert np.array_equal(both["i"][own], np.arange(50))
    assert not both["d"][own].any()
    assert_same_pairs({letter: x[~own] for letter, x in both.items()}, without, atoms)


# --- form ---------------------------------------------------------------------------------------


@pytest.mark.quick
def test_letters_in_any_order_and_number() -> None:
    atoms = gas(40, 0.05)
    whole = run(atoms, 4.0)
    for n in range(1, 6):
        for letters in permutations(LETTERS, n):
            word = "".join(letters)
            out = mdkern.neighbor_list(word, atoms, 4.0)
            if n == 1:
                assert isinstance(out, np.ndarray)
                out = (out,)
            assert isinstance(out, tuple)
            assert [raw({"x": x}) for x in out] == [raw({"x": whole[c]}) for c in word]


def test_repeated_letters() -> None:
    out = mdkern.neighbor_list("iid", gas(10, 0.05), 5.0)
    assert len(out) == 3
    assert np.array_equal(out[0], out[1])
    assert len(out[0]) > 0


@pytest.mark.quick
@pytest.mark.parametrize(
    "atoms",
    [Atoms(), Atoms(cell=[1, 1, 1], pbc=True), Atoms("H"), Atoms("H", cell=[9, 9, 9], pbc=True)],
)
@pytest.mark.parametrize("cutoff", [3.0, {("H", "H"): 3.0}, "radii"])
@pytest.mark.usefixtures("isa")
def test_empty_lists_keep_types_and_shapes(atoms: Atoms, cutoff: Any) -> None:
    rule = np.full(len(atoms), 1.5) if cutoff == "radii" else cutoff
    out = run(atoms, rule)
    assert len(out["i"]) == 0
    for letter in LETTERS:
        alone = mdkern.neighbor_list(letter, atoms, rule)
        assert alone.dtype == DTYPES[letter]
        assert alone.shape == ((0, 3) if letter in "DS" else (0,))


def test_types_are_those_of_ase() -> None:
    atoms = gas(30, 0.05)
    mine, theirs = run(atoms, 4.0), by_ase(atoms, 4.0)
    for letter in LETTERS:
        assert mine[letter].dtype == theirs[letter].dtype
        assert mine[letter].shape == theirs[letter].shape
    assert np.array_equal(mine["i"], theirs["i"])


def test_results_belong_to_the_caller() -> None:
    atoms = gas(30, 0.05)
    first = run(atoms, 4.0)
    copy = raw(first)
    run(gas(60, 0.05, seed=11), 5.0)
    assert raw(first) == copy
    first["D"][:] = 0
    assert raw(run(atoms, 4.0)) == copy


# --- order: no thread, no instruction set may change a byte ---------------------------------------

ORDERED = {
    "large": lambda: (gas(6000, 0.08, seed=12), 4.0),
    "large_slab": lambda: (gas(5000, 0.08, (1, 0, 1), seed=13), 4.2),
    "large_open": lambda: (gas(5000, 0.08, False, seed=14), 4.4),
    "large_species": lambda: (
        gas(6000, 0.08, seed=15, symbols="CuNi" * 3000),
        {("Cu", "Ni"): 4.2, (29, 29): 3.9, ("Ni", "Ni"): 4.4},
    ),
    "large_radii": lambda: (
        gas(6000, 0.08, seed=16),
        np.random.default_rng(16).uniform(1.5, 2.4, 6000),
    ),
    "crystal": lambda: (bulk("Cu", cubic=True) * 11, 3.615 * np.sqrt(1.5)),
    "small": lambda: (gas(50, 0.08, seed=17), 4.0),
    "one_tiny_cell": lambda: (Atoms("H", cell=[0.3, 0.25, 0.35], pbc=True), 4.5),
}


@pytest.mark.quick
@pytest.mark.parametrize("name", ORDERED)
def test_same_bytes_for_every_thread_count_and_instruction_set(name: str) -> None:
    atoms, cutoff = ORDERED[name]()
    mdkern.set_isa("scalar")
    expected = run(atoms, cutoff, threads=1)
    if name.startswith("large"):
        assert len(expected["i"]) > 50_000
    for isa in mdkern.info()["isas_supported"]:
        mdkern.set_isa(isa)
        for threads in (1, 2, 3):
            out = run(atoms, cutoff, threads=threads)
            for letter in LETTERS:
                assert raw({letter: out[letter]}) == raw({letter: expected[letter]}), (isa, threads)


@pytest.mark.usefixtures("threads")
def test_repeated_calls_give_the_same_bytes() -> None:
    atoms, cutoff = ORDERED["large"]()
    expected = raw(run(atoms, cutoff))
    for _ in range(5):
        assert raw(run(atoms, cutoff)) == expected


@pytest.mark.parametrize("name", ["large", "large_slab", "large_open", "crystal"])
@pytest.mark.usefixtures("isa")
def test_large_lists_are_those_of_the_reference(name: str) -> None:
    atoms, cutoff = ORDERED[name]()
    expected = mdkern.reference.neighbor_list_binned(
        LETTERS, atoms.positions, atoms.cell.array, atoms.pbc, cutoff
    )
    assert_same_pairs(
        run(atoms, cutoff, threads=2), dict(zip(LETTERS, expected, strict=True)), atoms
    )


@pytest.mark.slow
def test_a_million_atoms() -> None:
    atoms = bulk("Cu", cubic=True) * 63
    assert len(atoms) > 1_000_000
    i, d = mdkern.neighbor_list("id", atoms, 3.0)
    assert np.array_equal(i, np.repeat(np.arange(len(atoms)), 12))
    assert np.abs(d - 3.61 / np.sqrt(2)).max() <= 1e-12


def test_an_uneven_system() -> None:
    """Half the atoms in one spot: the room that a sample of rows predicts does not do."""
    rng = np.random.default_rng(18)
    spread = rng.uniform(0, 120, (6000, 3))
    dense = 60 + rng.normal(size=(400, 3))
    atoms = Atoms("H6400", np.concatenate([spread, dense]), cell=[120, 120, 120], pbc=True)
    expected = mdkern.reference.neighbor_list_binned(
        LETTERS, atoms.positions, atoms.cell.array, atoms.pbc, 3.0
    )
    assert_same_pairs(run(atoms, 3.0), dict(zip(LETTERS, expected, strict=True)), atoms)


# --- the arrays interface -------------------------------------------------------------------------


@pytest.mark.quick
@pytest.mark.parametrize("cutoff", [4.0, {("Ar", "Ar"): 3.0}, "radii"])
def test_primitive_neighbor_list(cutoff: Any) -> None:
    atoms = gas(40, 0.05, (True, False, True))
    rule = np.linspace(1, 2, 40) if cutoff == "radii" else cutoff
    out = mdkern.primitive_neighbor_list(
        LETTERS, atoms.pbc, atoms.cell, atoms.positions, rule, numbers=atoms.numbers
    )
    named = dict(zip(LETTERS, out, strict=True))
    check_form(named, 40)
    assert raw(named) == raw(run(atoms, rule))
    theirs = ase.neighborlist.primitive_neighbor_list(
        LETTERS, atoms.pbc, atoms.cell, atoms.positions, rule, numbers=atoms.numbers
    )
    assert_same_pairs(named, dict(zip(LETTERS, theirs, strict=True)), atoms)


def test_primitive_neighbor_list_takes_what_arrays_can_be() -> None:
    atoms = gas(20, 0.05)
    expected = mdkern.neighbor_list("D", atoms, 5.0)
    strided = np.zeros((20, 6))
    strided[:, ::2] = atoms.positions
    fortran = np.asfortranarray(atoms.positions)
    for positions in (strided[:, ::2], fortran, atoms.positions.tolist()):
        for pbc in (True, [1, 1, 1], (True, True, True), np.array([True] * 3)):
            out = mdkern.primitive_neighbor_list("D", pbc, atoms.cell.array, positions, 5.0)
            assert out.tobytes() == expected.tobytes()
    box = mdkern.primitive_neighbor_list("d", True, [3.0, 3.0, 3.0], [[0, 0, 0]], 3.5)
    assert np.allclose(box, 3.0)
    assert len(box) == 6
    single = atoms.positions.astype(np.float32)
    assert len(mdkern.primitive_neighbor_list("i", True, atoms.cell, single, 5.0)) > 0
    assert len(mdkern.primitive_neighbor_list("i", True, np.eye(3), [], 5.0)) == 0


# --- arguments of ASE's beside ------------------------------------------------------------------
def test_signatures_are_those_of_ase() -> None:
    """Whoever gives arguments by position gets the same; ours are keywords behind them."""
    for name in ("neighbor_list", "primitive_neighbor_list"):
        ours = list(inspect.signature(getattr(mdkern, name)).parameters.values())
        theirs = list(inspect.signature(getattr(ase.neighborlist, name)).parameters.values())
        assert [p.name for p in ours[: len(theirs)]] == [p.name for p in theirs]
        assert [p.default for p in ours[: len(theirs)]] == [p.default for p in theirs]
        assert all(p.kind is p.KEYWORD_ONLY for p in ours[len(theirs) :])


@pytest.mark.parametrize("pbc", [(0, 0, 0), (1, 0, 0), (0, 1, 1), (1, 1, 1)])
@pytest.mark.parametrize("itself", [False, True])
def test_scaled_positions(pbc: Any, itself: bool) -> None:
    """Every way to ask, against ASE's; some atoms lie outside the cell."""
    rng = np.random.default_rng(5)
    cell = np.array([[5.0, 0.3, 0.0], [-1.0, 4.0, 0.5], [0.4, 1.2, 6.0]])
    scaled = rng.uniform(-0.4, 1.6, (40, 3))
    numbers = rng.choice([1, 8], 40)
    for cutoff in (2.2, {("H", "O"): 2.5, (1, 1): 1.5}, rng.uniform(0.5, 1.4, 40)):
        arguments = ("ijdDS", pbc, cell, scaled, cutoff, numbers, itself, True, 1e3)
        got = mdkern.primitive_neighbor_list(*arguments)
        right = ase.neighborlist.primitive_neighbor_list(*arguments)
        assert len(got[0]) == len(right[0]) > 20
        for k in (got, right):
            assert k[0].dtype == k[4].dtype == np.int64
        order = [np.lexsort((*x[4].T, x[1], x[0])) for x in (got, right)]
        for a, b in zip(got, right, strict=True):
            assert np.abs(a[order[0]] - b[order[1]]).max() <= 1e-13


def test_scaled_positions_without_a_cell() -> None:
    """Of a cell of zeros all atoms lie in one place, for ASE too; a wrong number is named as it was given."""
    scaled = np.random.default_rng(0).random((4, 3))
    arguments = ("ijd", False, np.zeros((3, 3)), scaled, 1.0, None, False)
    got = mdkern.primitive_neighbor_list(*arguments, use_scaled_positions=True)
    right = ase.neighborlist.primitive_neighbor_list(
        "ijd", [False] * 3, *arguments[2:], use_scaled_positions=True
    )
    assert len(got[0]) == len(right[0]) == 12
    assert not got[2].any()
    scaled[2, 1] = np.nan
    with pytest.raises(ValueError, match=r"positions\[2, 1\] is nan; expected finite"):
        mdkern.primitive_neighbor_list(*arguments, use_scaled_positions=True)


@pytest.mark.parametrize("max_nbins", [1, 27.0, 1e6, np.inf])
def test_max_nbins_has_no_effect(max_nbins: float) -> None:
    atoms = bulk("Cu", cubic=True) * 3
    right = mdkern.neighbor_list("ijS", atoms, 4.0)
    got = mdkern.neighbor_list("ijS", atoms, 4.0, False, max_nbins)
    assert all(np.array_equal(a, b) for a, b in zip(got, right, strict=True))
