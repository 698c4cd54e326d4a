"""NeighborList, which is kept while atoms move, and lists of many structures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from neighbor_checks import (
    DTYPES,
    LETTERS,
    Arrays,
    assert_same_pairs,
    canonical,
    check_form,
    gas,
    raw,
    run,
)

import mdkern


def arrays(nl: mdkern.NeighborList) -> Arrays:
    return {letter: getattr(nl, letter) for letter in LETTERS}


def assert_fresh(nl: mdkern.NeighborList, atoms: Atoms, cutoff: Any) -> None:
    """Pair by pair and bit by bit what a new list would be."""
    out = arrays(nl)
    check_form(out, len(atoms))
    expected = run(atoms, cutoff)
    assert raw(canonical(out)) == raw(canonical(expected))
    assert nl.n_pairs == len(expected["i"])
    assert np.array_equal(nl.first, np.searchsorted(expected["i"], np.arange(len(atoms) + 1)))


CASES: dict[str, Any] = {
    "bulk": lambda: (bulk("Cu", cubic=True) * 3, 4.0),
    "slab": lambda: (gas(60, 0.05, (1, 1, 0)), 4.0),
    "open": lambda: (gas(60, 0.05, False), 4.0),
    "small_cell": lambda: (bulk("Mg"), 6.0),
    "species": lambda: (gas(60, 0.05, symbols="CuNi" * 30), {("Cu", "Ni"): 3.5, (28, 28): 4.5}),
    "radii": lambda: (gas(60, 0.05), np.linspace(0.5, 2.5, 60)),
}


@pytest.mark.quick
@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("isa")
def test_random_walk(case: str) -> None:
    atoms, cutoff = CASES[case]()
    rng = np.random.default_rng(1)
    nl = mdkern.NeighborList(cutoff, skin=0.3)
    rebuilt = []
    for _ in range(60):
        rebuilt.append(nl.update(atoms))
        assert_fresh(nl, atoms, cutoff)
        atoms.positions += rng.normal(scale=0.02, size=atoms.positions.shape)
    assert rebuilt[0]
    assert nl.n_builds == sum(rebuilt)
    # about 0.02 sqrt(3 k) after k steps, two atoms against 0.3: neither every step nor never
    assert 2 <= nl.n_builds <= 30


def test_attributes_that_are_set_count() -> None:
    atoms = bulk("Cu", cubic=True) * 2
    atoms.rattle(0.05, seed=1)
    atoms.symbols[::2] = "Ni"
    nl = mdkern.NeighborList(3.0, skin=0.5)
    nl.update(atoms)
    nl.cutoff = 4.0
    assert nl.update(atoms)
    assert not nl.update(atoms)
    assert_fresh(nl, atoms, 4.0)
    radii = np.full(len(atoms), 1.4)
    nl.cutoff = radii
    assert nl.update(atoms)
    assert_fresh(nl, atoms, radii)
    radii[::3] = 1.8
    assert nl.update(atoms)
    assert_fresh(nl, atoms, radii)
    pairs = {("Cu", "Ni"): 2.7}
    nl.cutoff = pairs
    assert nl.update(atoms)
    pairs[("Cu", "Cu")] = 3.8
    assert nl.update(atoms)
    assert_fresh(nl, atoms, pairs)
    n = nl.n_pairs
    nl.half = True
    assert nl.update(atoms)
    assert 2 * nl.n_pairs == n
    nl.skin = -1.0
    with pytest.raises(ValueError, match=r"skin: -1\.0; expected a finite number >= 0"):
        nl.update(atoms)


def test_the_same_atoms_and_rigid_steps_below_the_skin_do_not_rebuild() -> None:
    atoms = bulk("Cu", cubic=True) * 2
    nl = mdkern.NeighborList(3.0, skin=1.0)
    assert nl.update(atoms)
    assert not nl.update(atoms)
    atoms.positions += 0.45  # 0.78 in length for two atoms each is beyond the skin
    assert nl.update(atoms)
    atoms.positions[0] += [0.9, 0, 0]  # one atom may use the whole skin
    assert not nl.update(atoms)
    atoms.positions[1] += [-0.2, 0, 0]
    assert nl.update(atoms)
    assert_fresh(nl, atoms, 3.0)
    assert nl.n_builds == 3


def test_two_atoms_that_approach_are_never_missed() -> None:
    """The least favourable motion: head on, each by half of what the skin allows."""
    cutoff, skin = 3.0, 0.5
    nl = mdkern.NeighborList(cutoff, skin=skin)
    for start in (cutoff + skin + 1e-9, cutoff + skin - 1e-9):
        for step in (0.01, 0.1, 0.24, 0.26):
            atoms = Atoms("H2", [[0, 0, 0], [start, 0, 0]])
            nl.update(atoms)
            for _ in range(int(1.0 / step)):
                atoms.positions += [[step, 0, 0], [-step, 0, 0]]
                nl.update(atoms)
                d = atoms.get_distance(0, 1)
                assert nl.n_pairs == (2 if d < cutoff else 0)


def test_without_skin_every_update_builds() -> None:
    atoms = gas(30, 0.05)
    nl = mdkern.NeighborList(4.0, skin=0.0)
    for k in range(3):
        assert nl.update(atoms)
        assert nl.n_builds == k + 1
        assert_fresh(nl, atoms, 4.0)


@pytest.mark.quick
@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("isa")
def test_strained_and_sheared_cells(case: str) -> None:
    """The skin also serves a changing cell, with the atoms carried along or not."""
    atoms, cutoff = CASES[case]()
    rng = np.random.default_rng(2)
    nl = mdkern.NeighborList(cutoff, skin=0.8)
    for step in range(30):
        nl.update(atoms)
        assert_fresh(nl, atoms, cutoff)
        strain = np.eye(3) + rng.normal(scale=0.003, size=(3, 3))
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=bool(step % 3))
    small = nl.n_builds
    assert small < 25
    atoms.set_cell(atoms.cell.array * 0.7, scale_atoms=True)
    nl.update(atoms)
    assert_fresh(nl, atoms, cutoff)
    assert nl.n_builds == small + (1 if atoms.pbc.any() else nl.n_builds - small)


@pytest.mark.quick
@pytest.mark.parametrize("case", ["bulk", "slab", "small_cell", "species"])
@pytest.mark.parametrize("direction", [-1, 1])
@pytest.mark.usefixtures("isa")
def test_a_cell_that_changes_around_atoms_that_do_not_move(case: str, direction: int) -> None:
    """Only images move: by up to what the skin allows, then the list is new."""
    atoms, cutoff = CASES[case]()
    nl = mdkern.NeighborList(cutoff, skin=0.5)
    pairs = set()
    for _ in range(40):
        nl.update(atoms)
        assert_fresh(nl, atoms, cutoff)
        pairs.add(nl.n_pairs)
        change = np.eye(3) + direction * np.array([[3e-3, 1e-3, 0], [0, 2e-3, 0], [0, 2e-3, 4e-3]])
        atoms.set_cell(atoms.cell.array @ change)
    assert len(pairs) > 3
    assert 2 <= nl.n_builds <= 30


@pytest.mark.quick
@pytest.mark.parametrize("kind", [np.float32, ">f8", "fortran"])
def test_positions_of_another_kind(kind: Any) -> None:
    atoms = gas(30, 0.05)
    atoms.positions[:] = atoms.positions.astype(np.float32)
    expected = raw(run(atoms, 4.0))
    array = (
        np.asfortranarray(atoms.positions) if kind == "fortran" else atoms.positions.astype(kind)
    )
    atoms.arrays["positions"] = array
    nl = mdkern.NeighborList(4.0, skin=0.0)
    nl.update(atoms)
    assert raw(arrays(nl)) == expected
    assert raw(run(atoms, 4.0)) == expected
    one = mdkern.neighbor_list_batch(LETTERS, [atoms], 4.0)[0]
    assert raw(dict(zip(LETTERS, one, strict=True))) == expected


def test_an_open_direction_may_change_its_vector() -> None:
    atoms = gas(40, 0.05, (1, 1, 0))
    nl = mdkern.NeighborList(4.0, skin=0.5)
    nl.update(atoms)
    for vector in ([0, 0, 0], [1, 0, 0], [0, 0, 50]):
        atoms.cell[2] = vector
        assert not nl.update(atoms)
        assert_fresh(nl, atoms, 4.0)


def test_atoms_that_leave_through_a_face_keep_their_list() -> None:
    """A wrap is a jump of a whole cell: a new list, the same distances."""
    atoms = bulk("Cu", cubic=True) * 2
    nl = mdkern.NeighborList(3.0, skin=0.5)
    nl.update(atoms)
    before = np.sort(nl.d)
    atoms.positions[:4] += atoms.cell.array[0]
    assert nl.update(atoms)
    assert_fresh(nl, atoms, 3.0)
    assert np.abs(np.sort(nl.d) - before).max() <= 1e-12


@pytest.mark.quick
def test_other_atoms_rebuild() -> None:
    atoms = gas(30, 0.05, symbols="CuNi" * 15)
    cutoff = {("Cu", "Ni"): 4.0, ("Cu", "Cu"): 3.0, ("Zn", "Ni"): 5.0}
    nl = mdkern.NeighborList(cutoff, skin=1.0)
    nl.update(atoms)
    changes = [
        lambda a: a.append("Cu"),
        lambda a: a.pop(3),
        lambda a: a.set_pbc((True, False, True)),
        lambda a: a.symbols.__setitem__(0, "Ni"),
        lambda a: a.symbols.__setitem__(slice(None), "Ni"),
        lambda a: a.symbols.__setitem__(slice(0, 9), "Zn"),
        lambda a: a.__imul__((1, 2, 1)),
        lambda a: a.__delitem__(slice(1, None)),
        lambda a: a.__delitem__(0),
        lambda a: a.extend(Atoms("CuNi", [[0, 0, 0], [1, 1, 1]])),
    ]
    for k, change in enumerate(changes):
        change(atoms)
        assert nl.update(atoms)
        assert_fresh(nl, atoms, cutoff)
        assert nl.n_builds == k + 2
        assert not nl.update(atoms)


@pytest.mark.quick
@pytest.mark.parametrize("skin", [0.0, 0.5])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("isa")
def test_half_lists(case: str, skin: float) -> None:
    """Exactly one of each pair: i < j, or the first non-zero S positive for i == j."""
    atoms, cutoff = CASES[case]()
    rng = np.random.default_rng(3)
    nl = mdkern.NeighborList(cutoff, skin=skin, half=True)
    for _ in range(4):
        nl.update(atoms)
        half, whole = arrays(nl), run(atoms, cutoff)
        check_form(half, len(atoms))
        assert 2 * nl.n_pairs == len(whole["i"])
        first = np.where(
            half["i"] < half["j"],
            1,
            np.where(
                half["i"] == half["j"],
                [next((x for x in s if x), 0) for s in half["S"].tolist()],
                -1,
            ),
        )
        assert (first > 0).all()
        back = {**half, "i": half["j"], "j": half["i"], "S": -half["S"], "D": -half["D"]}
        both = {letter: np.concatenate([half[letter], back[letter]]) for letter in LETTERS}
        assert_same_pairs(both, whole, atoms)
        atoms.positions += rng.normal(scale=0.03, size=atoms.positions.shape)


def test_half_lists_hold_each_atom_once_with_self_interaction() -> None:
    atoms = gas(20, 0.05)
    nl = mdkern.NeighborList(4.0, half=True, self_interaction=True)
    nl.update(atoms)
    own = (nl.i == nl.j) & ~nl.S.any(axis=1)
    assert np.array_equal(nl.i[own], np.arange(20))
    assert 2 * (nl.n_pairs - 20) == len(run(atoms, 4.0)["i"])


def test_self_interaction() -> None:
    atoms = gas(20, 0.05)
    nl = mdkern.NeighborList(4.0, skin=0.4, self_interaction=True)
    for _ in range(3):
        nl.update(atoms)
        assert_same_pairs(arrays(nl), run(atoms, 4.0, True), atoms)
        atoms.positions += 0.05


@pytest.mark.quick
def test_neighbors_of_one_atom() -> None:
    atoms = gas(30, 0.05, (1, 0, 1))
    nl = mdkern.NeighborList(4.0, skin=0.3)
    nl.update(atoms)
    for i in range(30):
        indices, offsets = nl.neighbors(i)
        mine = nl.i == i
        assert indices.dtype == offsets.dtype == np.int64
        assert np.array_equal(indices, nl.j[mine])
        assert np.array_equal(offsets, nl.S[mine])
        D = atoms.positions[indices] - atoms.positions[i] + offsets @ atoms.cell.array
        assert np.abs(D - nl.D[mine]).max(initial=0) <= 1e-12


@pytest.mark.quick
def test_same_bytes_for_every_thread_count_and_instruction_set() -> None:
    results: dict[str, bytes] = {}
    for isa in mdkern.info()["isas_supported"]:
        mdkern.set_isa(isa)
        for threads in (1, 2, 3):
            atoms = gas(9000, 0.08, seed=4)
            rng = np.random.default_rng(5)
            nl = mdkern.NeighborList(3.6, skin=0.5, threads=threads)
            for step in range(3):
                nl.update(atoms)
                assert nl.n_pairs > 50_000
                for letter, array in arrays(nl).items():
                    key = f"{letter}{step}"
                    assert results.setdefault(key, array.tobytes()) == array.tobytes(), (
                        isa,
                        threads,
                    )
                atoms.positions += rng.normal(scale=0.03, size=atoms.positions.shape)
            assert nl.n_builds == 1


def test_empty() -> None:
    nl = mdkern.NeighborList(3.0)
    for atoms in (
        Atoms(),
        Atoms("H"),
        Atoms("H2", [[0, 0, 0], [9, 0, 0]], cell=[50] * 3, pbc=True),
    ):
        assert nl.update(atoms)
        out = arrays(nl)
        check_form(out, len(atoms))
        assert nl.n_pairs == 0
        assert nl.first.tolist() == [0] * (len(atoms) + 1)
    indices, offsets = nl.neighbors(1)
    assert indices.shape == (0,)
    assert offsets.shape == (0, 3)


def test_arrays_that_were_handed_out_stay_as_they_are() -> None:
    atoms = gas(30, 0.05)
    nl = mdkern.NeighborList(4.0, skin=0.5)
    nl.update(atoms)
    kept = nl.D
    copy = kept.copy()
    atoms.positions += np.random.default_rng(6).normal(scale=0.05, size=(30, 3))
    nl.update(atoms)
    assert np.array_equal(kept, copy)
    assert nl.D.tobytes() != copy.tobytes()


# --- many structures in one call ------------------------------------------------------------------


def structures() -> list[Atoms]:
    names = ["H2O", "CH4", "C6H6", "NH3"]
    out = [molecule(names[k % 4]) for k in range(60)]
    for k, atoms in enumerate(out):
        atoms.rotate(17 * k, (1, 2, 3))
        if k % 3 == 0:
            atoms.set_cell(np.eye(3) * (4 + k % 5) + 0.3)
            atoms.pbc = (True, k % 2, True)
    return [*out, Atoms(), Atoms("H"), bulk("Cu"), gas(700, 0.05), bulk("Si", cubic=True)]


CUTOFFS: dict[str, Any] = {
    "number": lambda _: 3.5,
    "species": lambda _: {("H", "O"): 1.2, ("C", "H"): 2.5, ("Cu", "Cu"): 4.0, ("Ar", "Ar"): 4.0},
    "radii": lambda all_: [np.linspace(0.5, 2.2, len(atoms)) for atoms in all_],
}


@pytest.mark.quick
@pytest.mark.parametrize("self_interaction", [False, True])
@pytest.mark.parametrize("kind", CUTOFFS)
@pytest.mark.usefixtures("isa")
def test_a_batch_is_the_single_lists(kind: str, self_interaction: bool) -> None:
    every = structures()
    cutoff = CUTOFFS[kind](every)
    for threads in (1, 2, 3):
        out = mdkern.neighbor_list_batch(LETTERS, every, cutoff, self_interaction, threads=threads)
        assert isinstance(out, list)
        assert len(out) == len(every)
        for k, (atoms, one) in enumerate(zip(every, out, strict=True)):
            assert isinstance(one, tuple)
            named = dict(zip(LETTERS, one, strict=True))
            check_form(named, len(atoms))
            rule = cutoff[k] if kind == "radii" else cutoff
            assert raw(named) == raw(run(atoms, rule, self_interaction))


@pytest.mark.quick
def test_a_batch_in_other_forms() -> None:
    every = structures()
    single = mdkern.neighbor_list_batch("d", every, 3.0)
    assert all(isinstance(x, np.ndarray) and x.dtype == DTYPES["d"] for x in single)
    expected = [mdkern.neighbor_list("d", atoms, 3.0) for atoms in every]
    assert [x.tobytes() for x in single] == [x.tobytes() for x in expected]
    assert mdkern.neighbor_list_batch("ij", [], 3.0) == []
    generator = (atoms for atoms in every)
    assert len(mdkern.neighbor_list_batch("ij", generator, np.float64(3.0))) == len(every)
    i, again, S = mdkern.neighbor_list_batch("iiS", every[:1], 3.0)[0]
    assert np.array_equal(i, again)
    assert S.shape == (len(i), 3)


@pytest.mark.quick
@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_names_the_structure(threads: int) -> None:
    every = structures()
    every[41].positions[2, 0] = np.nan
    with pytest.raises(ValueError, match=r"structure 41: positions\[2, 0\] is nan"):
        mdkern.neighbor_list_batch("ij", every, 3.0, threads=threads)
    every[41].positions[2, 0] = 0.0
    assert len(mdkern.neighbor_list_batch("ij", every, 3.0, threads=threads)) == len(every)
    with pytest.raises(ValueError, match="cutoff: 2 arrays of radii for 65 structures"):
        mdkern.neighbor_list_batch("ij", every, [np.ones(3), np.ones(5)])
    wrong = [np.ones(len(atoms)) for atoms in every]
    wrong[7] = np.ones(99)
    with pytest.raises(ValueError, match=r"structure 7: cutoff: shape \(99,\)"):
        mdkern.neighbor_list_batch("ij", every, wrong)
