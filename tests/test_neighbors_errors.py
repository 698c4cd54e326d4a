"""What neighbor lists refuse, how fast, and how much memory they take."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
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


# --- memory -------------------------------------------------------------------------------------


def test_max_pairs() -> None:
    atoms = gas(500, 0.05)
    n = len(mdkern.neighbor_list("i", atoms, 5.0))
    assert len(mdkern.neighbor_list("i", atoms, 5.0, max_pairs=2 * n)) == n
    with pytest.raises(MemoryError, match=r"about .* pairs for cutoff 5.*max_pairs = 1000"):
        mdkern.neighbor_list("i", atoms, 5.0, max_pairs=1000)


MEASURE = """
import sys, time
import numpy as np
from ase import Atoms
from ase.build import bulk
import mdkern

def peak():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return 1024 * int(line.split()[1])

mdkern.neighbor_list("ijdDS", bulk("Cu"), 3.0)
"""

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="reads the peak memory from /proc"
)


def measured(code: str) -> list[float]:
    out = subprocess.run(
        [sys.executable, "-c", MEASURE + code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert out.returncode == 0, out.stderr
    return [float(x) for x in out.stdout.split()]


HUGE = {
    "images": "atoms = bulk('Cu', cubic=True) * 10; cutoff = 1e4",
    "images_of_one_atom": "atoms = bulk('Cu'); cutoff = 1e5",
    "pairs": "atoms = Atoms('H200000', np.random.default_rng(0).uniform(0, 9, (200000, 3))); cutoff = 1e3",
    "everything": "atoms = bulk('Cu'); cutoff = 1e300",
    "one_direction": "atoms = Atoms('H', cell=[1e-9, 1, 1], pbc=(1, 0, 0)); cutoff = 1e3",
}


@needs_proc
@pytest.mark.parametrize("case", HUGE)
def test_a_huge_cutoff_is_refused_quickly_and_in_little_memory(case: str) -> None:
    seconds, bytes_ = measured(f"""
{HUGE[case]}
before, start = peak(), time.perf_counter()
try:
    mdkern.neighbor_list("ijdDS", atoms, cutoff)
except MemoryError as e:
    assert "cutoff" in str(e) and "expected" in str(e), e
else:
    raise SystemExit("no MemoryError")
print(time.perf_counter() - start, peak() - before)
""")
    assert seconds < 2.0
    assert bytes_ < 100e6


@needs_proc
@pytest.mark.parametrize("letters", ["ijdDS", "ij"])
def test_peak_memory_is_little_more_than_the_output(letters: str) -> None:
    peak, size, pairs = measured(f"""
n, edge = 100_000, (100_000 / 0.085) ** (1 / 3)
atoms = Atoms("H100000", np.random.default_rng(0).uniform(0, edge, (n, 3)), cell=[edge] * 3, pbc=True)
atoms.arrays, atoms.cell, atoms.pbc
before = peak()
out = mdkern.neighbor_list({letters!r}, atoms, 5.0)
print(peak() - before, sum(x.nbytes for x in out), len(out[0]))
""")
    assert pairs > 4e6
    assert peak <= size + 0.35 * 72 * pairs  # 1.35 times the output where that is all letters


@needs_proc
def test_no_growth_over_many_calls() -> None:
    growth, per_list = measured("""
def resident():
    return 4096 * int(open("/proc/self/statm").read().split()[1])

atoms = bulk("Cu", cubic=True) * 3
nl = mdkern.NeighborList(3.5, skin=0.2)
rng = np.random.default_rng(1)
def step():
    atoms.positions += 0.02 * rng.normal(size=atoms.positions.shape)
    nl.update(atoms)
    return nl.d.nbytes + sum(x.nbytes for x in mdkern.neighbor_list("ijdDS", atoms, 3.5))
for _ in range(200):
    size = step()
before = resident()
for _ in range(3000):
    step()
print(resident() - before, size)
""")
    assert growth < 8 * 2**20 < 0.1 * 3000 * per_list
