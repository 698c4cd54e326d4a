"""Work in several threads at once, and structures for it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from deepmd_data import system
from programs_data import PATIENCE

from mdkern.bench.mace_models import random_mace
from mdkern.bench.nep_models import random_nep
from mdkern.bench.scratch import scratch_folder
from mdkern.io.mace import MaceModel

# Parts of the interpreter's work between two threads: the default of 5 ms would hide what goes wrong.
SWITCH = 2e-5
N_THREADS = 4


def copper(k: int) -> Atoms:
    """Different numbers of atoms, cells and positions."""
    atoms = bulk("Cu", cubic=True) * (3 + k % 2, 3, 3 + k // 2 % 2)
    atoms.rattle(0.05, seed=k)
    return atoms


def oxides(k: int) -> Atoms:
    """Different elements in different order."""
    atoms = system("crystal") * (1 + k % 2, 1, 1)
    atoms.symbols[:] = np.roll(np.array(atoms.symbols), k)
    atoms.rattle(0.03, seed=k)
    return atoms


@cache
def nep_file() -> str:
    path = scratch_folder() / "nep.txt"
    return random_nep(path, species=["O", "H", "Cu"], cutoffs=(4.0, 3.0))


@cache
def mace_model() -> MaceModel:
    small = {"channels": 5, "num_basis": 5, "radial": (8, 8), "r_max": 4.0, "neighbors": 20}
    return random_mace(species=("O", "H", "Cu"), l_hidden=1, repulsion=True, **small)


def in_threads(work: Callable[[int], Any], n: int = N_THREADS) -> list[Any]:
    """work(k) in n threads that begin together, with the interpreter changing threads often; raises what they raise."""
    gate = threading.Barrier(n)

    def begin(k: int) -> Any:
        gate.wait(60)
        return work(k)

    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    try:
        with ThreadPoolExecutor(n) as pool:
            return list(pool.map(begin, range(n)))
    finally:
        sys.setswitchinterval(before)


def in_child(call: str, module: str) -> None:
    """A function of a test file in an interpreter of its own."""
    code = f"import {module} as t; t.{call}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=300 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}{done.stderr}"


def same(a: Any, b: Any) -> bool:
    return np.asarray(a).tobytes() == np.asarray(b).tobytes()


def close(a: Any, b: Any) -> bool:
    """But for rounding: what else was asked for before decides how a list came about, and whether with `stresses`."""
    size = max(1.0, float(np.abs(b).max()))
    return np.shape(a) == np.shape(b) and bool(np.abs(np.subtract(a, b)).max() < 1e-9 * size)
