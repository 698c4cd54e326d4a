"""How much memory neighbor lists take, and that they refuse what would not fit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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
@pytest.mark.parametrize("letters", ["ijdDS", "ij", "i"])
def test_peak_memory_is_little_more_than_the_output(letters: str) -> None:
    peak, size, pairs = measured(f"""
n, edge = 100_000, (100_000 / 0.085) ** (1 / 3)
atoms = Atoms("H100000", np.random.default_rng(0).uniform(0, edge, (n, 3)), cell=[edge] * 3, pbc=True)
atoms.arrays, atoms.cell, atoms.pbc
before = peak()
out = mdkern.neighbor_list({letters!r}, atoms, 5.0)
out = out if isinstance(out, tuple) else (out,)
print(peak() - before, sum(x.nbytes for x in out), len(out[0]))
""")
    assert pairs > 4e6
    # The search has its list (4 bytes per pair) and its points: of i alone they are the larger part.
    assert peak <= (1.3 if len(letters) > 1 else 2.5) * size


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
