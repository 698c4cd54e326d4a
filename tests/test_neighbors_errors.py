"""What neighbor lists refuse."""

from __future__ import annotations

from fractions import Fraction
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


@pytest.mark.parametrize(
    "cutoff",
    ["three", "3.0", b"3.0", np.array("3.0"), np.str_("3.0"), None, True, 3 + 0j, np.complex128(3),
     {("Ar", "Ar"): "x"}, {("Ar", "Ar"): "3.0"}, {("Ar", "Ar"): None}, {("Ar", "Ar"): True},
     {(18.5, 18): 3.0}, ["3.0"] * 5, np.full(5, 3.0 + 0j), [True] * 5, [None] * 5],
    ids=repr,
)  # fmt: skip
def test_cutoffs_that_are_no_numbers(build: Any, cutoff: Any) -> None:
    with pytest.raises(ValueError, match=r"cutoff.*: .*expected"):
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
    with pytest.raises(TypeError, match=r"quantities: .*expected a str of the letters"):
        mdkern.neighbor_list(letters, gas(5, 0.05), 3.0)


def test_shapes_of_plain_arrays() -> None:
    def build(pbc: Any, cell: Any, positions: Any) -> Any:
        return mdkern.primitive_neighbor_list("i", pbc, cell, positions, 2.0)

    good = (True, np.eye(3), np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"positions: shape \(2, 2\); expected \(n, 3\)"):
        build(*good[:2], np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"positions: shape \(3\); expected \(n, 3\)"):
        build(*good[:2], np.zeros(3))
    with pytest.raises(ValueError, match=r"positions: shape \(3, 5\); expected \(n, 3\)"):
        build(*good[:2], np.zeros((3, 5)))
    with pytest.raises(ValueError, match=r"positions: shape \(0, 2\); expected \(n, 3\)"):
        build(*good[:2], np.zeros((0, 2)))
    with pytest.raises(ValueError, match=r"cell: shape \(2, 3\); expected \(3, 3\)"):
        build(True, np.zeros((2, 3)), good[2])
    with pytest.raises(ValueError, match="numbers: missing"):
        mdkern.primitive_neighbor_list("i", *good, {("H", "H"): 1.0})


@pytest.mark.parametrize(
    "pbc",
    [
        ["T", "T", "F"], ["F", "F", "F"], "FFF", "TTF", "T T F", "F", b"FFF", np.array(["T", "T", "F"]),
        np.array(["F"] * 3, dtype=object), [True, False], [True], [1, 1, 2], [1, 1, -1], [0.5, 0, 0],
        [1, np.nan, 0], [True, None, False], None, 2, np.nan, 1j, {}, [[1, 1, 0]], np.eye(3),
        np.ones(4, dtype=bool), np.ones((1, 3), dtype=bool), np.array([1, 0, 1], dtype="m8[s]"),
        np.ma.array([1, 0, 1], mask=[0, 1, 0]),
    ],
    ids=repr,
)  # fmt: skip
def test_directions_that_are_none(pbc: Any) -> None:
    """Text is true for Python, whatever it says."""
    with pytest.raises(ValueError, match=r"(?s)pbc: .*; expected three of True and False, or one"):
        mdkern.primitive_neighbor_list("i", pbc, 5 * np.eye(3), np.zeros((2, 3)), 1.0)


@pytest.mark.parametrize(
    ("pbc", "right"),
    [
        (True, 4), (False, 2), (1, 4), (0, 2), (np.True_, 4), ([True, True, False], 2), ((0, 0, 1), 4),
        ([0.0, 0.0, 1.0], 4), (np.array([0, 0, 1], dtype=np.uint8), 4), (np.array(True), 4),
        (np.array([0.0, 0.0, 1.0]), 4), (np.array([0, 0, 1], dtype=object), 4), (range(0, 3, 1), None),
    ],
    ids=repr,
)  # fmt: skip
def test_directions(pbc: Any, right: int | None) -> None:
    def build() -> int:
        x = [[0, 0, 0.2], [0, 0, 2.8]]
        return len(mdkern.primitive_neighbor_list("i", pbc, [9, 9, 5.2], x, 2.7))

    if right is None:
        with pytest.raises(ValueError, match="pbc"):
            build()
    else:
        assert build() == right


_NO_NUMBERS = [
    ("complex", np.ones((2, 3)) * (1 + 1j)),
    ("complex without imaginary part", np.ones((2, 3), dtype=complex)),
    ("complex objects", np.array([[1, 2, 3j], [0, 0, 0]], dtype=object)),
    ("words", [["0.0", "0.0", "0.2"], ["0.0", "0.0", "4.8"]]),
    ("bytes", np.full((2, 3), b"1.0")),
    ("words among objects", np.array([["0", 1, 2], [0, 0, 0]], dtype=object)),
    ("nothing", [[None, 0, 0], [0, 0, 0]]),
    ("bools", np.eye(3, dtype=bool)),
    ("bools among objects", np.array([[True, 1, 2], [0, 0, 0]], dtype=object)),
    ("times", np.zeros((2, 3), dtype="m8[s]")),
    ("dates", np.zeros((2, 3), dtype="M8[s]")),
    ("masked", np.ma.array(np.zeros((2, 3)), mask=np.eye(3)[:2])),
    ("a record", np.zeros(2, dtype=[("x", float), ("y", float), ("z", float)])),
    ("rows of different lengths", [[0, 0, 0], [0, 0]]),
    ("a name", "positions.txt"),
]


@pytest.mark.parametrize(("_name", "x"), _NO_NUMBERS, ids=[n for n, _ in _NO_NUMBERS])
def test_arrays_of_something_else(_name: str, x: Any) -> None:
    """Nothing is dropped or read as a number: imaginary parts, text, masks."""

    def build(**changed: Any) -> Any:
        given = {"cell": np.eye(3), "positions": np.zeros((2, 3)), "cutoff": 2.0, **changed}
        return mdkern.primitive_neighbor_list("i", True, **given)

    with pytest.raises(ValueError, match=r"positions: .*expected .*real numbers"):
        build(positions=x)
    with pytest.raises(ValueError, match=r"cell: .*expected .*real numbers"):
        build(cell=x)
    with pytest.raises(ValueError, match=r"numbers: .*expected .*atomic numbers?"):
        build(cutoff={("H", "H"): 1.0}, numbers=x)
    with pytest.raises(ValueError, match=r"cutoff: .*expected"):
        build(cutoff=x)
    with pytest.raises(ValueError, match=r"numbers: .*expected .*atomic numbers?"):
        build(cutoff={("H", "H"): 1.0}, numbers=[1, 1.5])


def test_arrays_that_are_numbers() -> None:
    """Of any type that holds all of them."""
    right = mdkern.primitive_neighbor_list("ijS", True, np.eye(3) * 4, np.eye(3), 2.0)
    for x in (
        np.eye(3, dtype=np.int8), np.eye(3, dtype=np.float32), np.eye(3, dtype=">f8"), np.eye(3).tolist(),
        np.eye(3, dtype=object), [[Fraction(1), 0, 0], [0, 1, 0], [0, 0, Fraction(2, 2)]], np.asfortranarray(np.eye(3)), np.ma.array(np.eye(3)),
    ):  # fmt: skip
        got = mdkern.primitive_neighbor_list("ijS", True, [4, 4, 4], x, 2)
        assert all(np.array_equal(a, b) for a, b in zip(got, right, strict=True))


@pytest.mark.parametrize("flag", ["F", "False", None, 2, np.nan, [], 1j])
def test_flags(flag: Any) -> None:
    atoms = gas(5, 0.05)
    for call, name in (
        (lambda: mdkern.neighbor_list("i", atoms, 3.0, flag), "self_interaction"),
        (lambda: mdkern.neighbor_list_batch("i", [atoms], 3.0, flag), "self_interaction"),
        (lambda: mdkern.NeighborList(3.0, self_interaction=flag), "self_interaction"),
        (lambda: mdkern.NeighborList(3.0, half=flag), "half"),
        (
            lambda: mdkern.primitive_neighbor_list(
                "i", True, atoms.cell, atoms.positions, 3.0, use_scaled_positions=flag
            ),
            "use_scaled_positions",
        ),
    ):
        with pytest.raises(ValueError, match=rf"{name}: .*; expected True or False"):
            call()


def test_structures_that_are_none() -> None:
    atoms = gas(5, 0.05)
    for thing in ("water.xyz", None, 3, {}, [atoms], atoms.positions):
        with pytest.raises(TypeError, match=r"a: .*expected an ase\.Atoms"):
            mdkern.neighbor_list("i", thing, 3.0)
        with pytest.raises(TypeError, match=r"atoms: .*expected an ase\.Atoms"):
            mdkern.NeighborList(3.0).update(thing)
    for thing in ("water.xyz", None, 3):
        with pytest.raises(TypeError, match=r"structures: .*expected a list of ase\.Atoms"):
            mdkern.neighbor_list_batch("i", thing, 3.0)
    with pytest.raises(TypeError, match=r"structures: one Atoms; expected a list of them"):
        mdkern.neighbor_list_batch("i", atoms, 3.0)
    with pytest.raises(TypeError, match=r"structures\[1\]: 'water.xyz'; expected an ase.Atoms"):
        mdkern.neighbor_list_batch("i", [atoms, "water.xyz"], 3.0)


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
    for name in ("max_pairs", "max_nbins"):
        for wrong in ("1000", 0, np.nan, None, [9]):
            if name == "max_nbins" or wrong is not None:
                with pytest.raises(ValueError, match=rf"{name}: .*expected a number >= 1"):
                    mdkern.neighbor_list("i", atoms, 5.0, **{name: wrong})
    n = len(mdkern.neighbor_list("i", atoms, 5.0))
    assert len(mdkern.neighbor_list("i", atoms, 5.0, max_pairs=2 * n)) == n
    with pytest.raises(MemoryError, match=r"about .* pairs for cutoff 5.*max_pairs = 1000"):
        mdkern.neighbor_list("i", atoms, 5.0, max_pairs=1000)
