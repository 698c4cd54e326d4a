"""What neighbor lists refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from neighbor_checks import gas, raw, run

import mdkern

LISTS = {
    "neighbor_list": lambda atoms, cutoff: mdkern.neighbor_list("ijS", atoms, cutoff),
    "primitive": lambda atoms, cutoff: mdkern.primitive_neighbor_list(
        "ijS", atoms.pbc, atoms.cell, atoms.positions, cutoff, atoms.numbers
    ),
    "class": lambda atoms, cutoff: mdkern.NeighborList(cutoff).update(atoms),
    "batch": lambda atoms, cutoff: mdkern.neighbor_list_batch(
        "ijS", [atoms], [cutoff] if isinstance(cutoff, (list, np.ndarray)) else cutoff
    ),
}
pytestmark = pytest.mark.quick


@pytest.fixture(params=LISTS)
def build(request: pytest.FixtureRequest) -> Any:
    return LISTS[request.param]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("pbc", [True, False])
def test_positions_that_are_not_finite(build: Any, value: float, pbc: bool) -> None:
    atoms = gas(20, 0.05, pbc)
    atoms.positions[7, 1] = value
    with pytest.raises(ValueError, match=r"positions\[7, 1\] is -?(nan|inf).*finite"):
        build(atoms, 3.0)
    atoms.positions[7, 1] = 0.0
    build(atoms, 3.0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_cell_that_is_not_finite(build: Any, value: float) -> None:
    atoms = gas(20, 0.05)
    atoms.cell[1, 2] = value
    with pytest.raises(ValueError, match=r"cell\[1, 2\] is (nan|inf).*finite"):
        build(atoms, 3.0)


@pytest.mark.parametrize(
    ("cell", "pbc"),
    [
        ([[1, 0, 0], [0, 1, 0], [1, 1, 0]], True),
        ([[1, 0, 0], [2, 0, 0], [0, 0, 1]], (True, True, False)),
        ([[1, 0, 0], [0, 1, 0], [0, 0, 0]], True),
        ([[0, 0, 0], [0, 1, 0], [0, 0, 1]], (True, False, False)),
        ([[1, 2, 3], [4, 5, 6], [7, 8, 9]], True),
        (np.zeros((3, 3)), True),
    ],
)
def test_dependent_periodic_vectors(build: Any, cell: Any, pbc: Any) -> None:
    atoms = Atoms("H2", [[0, 0, 0], [0, 0, 0.5]], cell=cell, pbc=pbc)
    with pytest.raises(ValueError, match="cell: the periodic cell vectors are linearly dependent"):
        build(atoms, 3.0)


@pytest.mark.parametrize("cutoff", [-1.0, -1e-300, np.nan, np.inf, np.float64(-2)])
def test_cutoffs_out_of_range(build: Any, cutoff: float) -> None:
    atoms = gas(10, 0.05)
    with pytest.raises(ValueError, match=r"cutoff: .*expected a finite number >= 0"):
        build(atoms, cutoff)
    with pytest.raises(ValueError, match=r"cutoff\[\('Ar', 'Ar'\)\]: .*finite number >= 0"):
        build(atoms, {("Ar", "Ar"): cutoff})
    with pytest.raises(ValueError, match=r"cutoff\[2\]: .*finite radius >= 0"):
        build(atoms, [1.0, 1.0, cutoff] + 7 * [1.0])


def test_radii_of_the_wrong_shape(build: Any) -> None:
    atoms = gas(10, 0.05)
    for radii in (np.ones(9), np.ones(11), np.ones((10, 1)), np.ones((5, 2))):
        with pytest.raises(ValueError, match=r"cutoff: shape .*one radius per atom \(10,\)"):
            build(atoms, radii)


@pytest.mark.parametrize(
    ("cutoff", "text"),
    [
        ({("Xx", "Ar"): 2.0}, "unknown chemical symbol 'Xx'"),
        ({"Ar": 2.0}, "key 'Ar'; expected a pair"),
        ({("Ar", "Ar", "Ar"): 2.0}, "expected a pair"),
    ],
)
def test_bad_keys(build: Any, cutoff: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        build(gas(5, 0.05), cutoff)


@pytest.mark.parametrize("cutoff", ["three", None, {("Ar", "Ar"): "x"}, {("Ar", "Ar"): None}])
def test_cutoffs_that_are_no_numbers(build: Any, cutoff: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        build(gas(5, 0.05), cutoff)


@pytest.mark.parametrize("letters", ["", "x", "ijk", "i j", "I"])
def test_letters(letters: str) -> None:
    atoms = gas(5, 0.05)
    with pytest.raises(ValueError, match=r"(?s)quantities: .*expected .*letters .*ijdDS"):
        mdkern.neighbor_list(letters, atoms, 3.0)
    with pytest.raises(ValueError, match="quantities: "):
        mdkern.neighbor_list_batch(letters, [atoms], 3.0)


@pytest.mark.parametrize("letters", [None, 3, ["i", "j"]])
def test_letters_must_be_a_string(letters: Any) -> None:
    with pytest.raises(TypeError):
        mdkern.neighbor_list(letters, gas(5, 0.05), 3.0)


def test_shapes_of_plain_arrays() -> None:
    def build(pbc: Any, cell: Any, positions: Any) -> Any:
        return mdkern.primitive_neighbor_list("i", pbc, cell, positions, 2.0)

    good = (True, np.eye(3), np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"positions: shape \(2, 2\); expected \(n, 3\)"):
        build(*good[:2], np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"positions: shape \(3\); expected \(n, 3\)"):
        build(*good[:2], np.zeros(3))
    with pytest.raises(ValueError, match=r"cell: shape \(2, 3\); expected \(3, 3\)"):
        build(True, np.zeros((2, 3)), good[2])
    with pytest.raises(ValueError):
        build([True, False], *good[1:])
    with pytest.raises(ValueError, match="numbers: missing"):
        mdkern.primitive_neighbor_list("i", *good, {("H", "H"): 1.0})
    with pytest.raises((ValueError, TypeError)):
        build(*good[:2], [["a", "b", "c"]])


@pytest.mark.parametrize("numbers", [[18] * 4, [18] * 6])
def test_numbers_of_the_wrong_length(numbers: list[int]) -> None:
    atoms = gas(5, 0.05)
    with pytest.raises(ValueError, match="species"):
        mdkern.primitive_neighbor_list(
            "i", True, atoms.cell, atoms.positions, {(18, 18): 3.0}, numbers
        )


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", True])
def test_threads_must_be_a_positive_integer(threads: Any) -> None:
    atoms = gas(5, 0.05)
    with pytest.raises(ValueError, match=r"threads: .*expected an integer >= 1"):
        mdkern.neighbor_list("i", atoms, 3.0, threads=threads)
    with pytest.raises(ValueError, match=r"threads: .*expected an integer >= 1"):
        mdkern.neighbor_list_batch("i", [atoms], 3.0, threads=threads)
    with pytest.raises(ValueError, match=r"threads: .*expected an integer >= 1"):
        mdkern.NeighborList(3.0, threads=threads).update(atoms)


@pytest.mark.parametrize("skin", [-0.1, np.nan, np.inf, "x", None])
def test_skin(skin: Any) -> None:
    with pytest.raises(ValueError, match=r"skin: .*expected a finite number >= 0"):
        mdkern.NeighborList(3.0, skin=skin)


def test_nothing_to_read_before_the_first_update() -> None:
    nl = mdkern.NeighborList(3.0)
    with pytest.raises(RuntimeError, match="call update"):
        _ = nl.n_pairs
    nl.update(gas(5, 0.05))
    with pytest.raises(IndexError, match="i: 5; expected an atom from 0 to 4"):
        nl.neighbors(5)
    with pytest.raises(IndexError):
        nl.neighbors(-6)
    assert np.array_equal(nl.neighbors(-1)[0], nl.neighbors(4)[0])


def test_atoms_too_far_away() -> None:
    atoms = gas(5, 0.05)
    atoms.positions[3, 0] = 1e12
    with pytest.raises(ValueError, match=r"positions\[3\] lies .* cells away"):
        run(atoms, 3.0)


def test_an_error_does_not_spoil_the_next_list() -> None:
    atoms = gas(20, 0.05)
    expected = raw(run(atoms, 4.0))
    bad = atoms.copy()
    bad.positions[0, 0] = np.nan
    nl = mdkern.NeighborList(4.0)
    nl.update(atoms)
    for _ in range(3):
        with pytest.raises(ValueError):
            run(bad, 4.0)
        with pytest.raises(ValueError):
            nl.update(bad)
        assert raw(run(atoms, 4.0)) == expected
    with pytest.raises(RuntimeError, match="call update"):
        _ = nl.d
    assert nl.update(atoms)
    assert nl.n_pairs == len(run(atoms, 4.0)["i"])


def test_max_pairs() -> None:
    atoms = gas(500, 0.05)
    n = len(mdkern.neighbor_list("i", atoms, 5.0))
    assert len(mdkern.neighbor_list("i", atoms, 5.0, max_pairs=2 * n)) == n
    with pytest.raises(MemoryError, match=r"about .* pairs for cutoff 5.*max_pairs = 1000"):
        mdkern.neighbor_list("i", atoms, 5.0, max_pairs=1000)
