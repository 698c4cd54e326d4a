"""Relaxations: mdkern's optimizers beside ASE's with the same calculators, and beside torch-sim's batch on the CPU.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/compare_relax.py           (5 minutes)
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/compare_relax.py --quick   (half a minute)
    python benchmarks/compare_relax.py --check       (200 structures, 20 minutes: paths and minima against ASE)
    python benchmarks/compare_relax.py --torch-sim PYTHON       an interpreter that has torch-sim, with the other tables

Everything is taken in turn, and processor time stands beside wall time where threads do not matter. Published models of
$MDKERN_TEST_DATA take part in ``--check`` where they are there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase import optimize as ase_optimize
from ase.filters import FrechetCellFilter
from ase.optimize.fire2 import FIRE2 as AseFire2

import mdkern
from mdkern import optimize
from mdkern.bench import environment
from mdkern.bench.crystals import CLOSE_PACKED, crystals
from mdkern.bench.interleave import interleave
from mdkern.bench.nep_models import morse_nep
from mdkern.bench.relaxations import ELEMENTS, METALS, Relaxation, relaxations
from mdkern.calculators import EAM, NEP, LennardJones

_ASE = {"FIRE": ase_optimize.FIRE, "LBFGS": ase_optimize.LBFGS, "BFGS": ase_optimize.BFGS, "FIRE2": AseFire2}
_FMAX, _STEPS = 0.01, 500
_ARGON = {"sigma": 3.405, "epsilon": 0.0104, "rc": 8.5}


def native(atoms: Any, method: str = "FIRE", cell: str = "full", pressure: float = 0.0) -> Any:
    return getattr(optimize, method)(atoms, logfile=None, cell=cell, scalar_pressure=pressure)


def by_ase(atoms: Any, method: str = "FIRE", cell: str = "full", pressure: float = 0.0) -> Any:
    target = atoms if cell == "none" else FrechetCellFilter(atoms, scalar_pressure=pressure)
    return _ASE[method](target, logfile=None)


# --- 200 structures: the same paths, the same minima


def difference(a: Any, b: Any) -> float:
    """Largest difference of positions and cells, Angstrom."""
    return max(
        float(np.abs(a.positions - b.positions).max(initial=0.0)),
        float(np.abs(a.cell.array - b.cell.array).max()),
    )


def copy(case: Relaxation) -> Any:
    atoms = case.atoms.copy()
    atoms.calc = case.calculator
    return atoms


def check(case: Relaxation, methods: tuple[str, ...], minimum: str, fmax: float) -> dict[str, Any]:
    """The path of 50 steps by each method, and the minimum by one."""
    out: dict[str, Any] = {"name": case.name, "n_atoms": len(case.atoms), "cell": case.cell}
    for method in methods:
        a, b = copy(case), copy(case)
        try:
            native(a, method, case.cell, case.scalar_pressure).run(0.0, 50)
        except mdkern.errors.MDKernError as e:
            out[method] = f"native: {e}"
            continue
        by_ase(b, method, case.cell, case.scalar_pressure).run(0.0, 50)
        out[method] = difference(a, b)
    a, b = copy(case), copy(case)
    try:
        ours = native(a, minimum, case.cell, case.scalar_pressure)
        done = ours.run(fmax, 1500)
    except mdkern.errors.MDKernError as e:
        out["minimum"] = f"native: {e}"
        return out
    theirs = by_ase(b, minimum, case.cell, case.scalar_pressure)
    done_b = theirs.run(fmax, 1500)
    n = max(1, len(a))
    out |= {
        "minimum": minimum,
        "converged": [bool(done), bool(done_b)],
        "steps": [ours.nsteps, theirs.nsteps],
        "energy": abs(a.get_potential_energy() - b.get_potential_energy()) / n,
        "place": difference(a, b),
    }
    return out


def good(row: dict[str, Any]) -> bool:
    limit = 1e-10 if row["cell"] == "none" else 1e-8
    paths = all(isinstance(row[m], float) and row[m] <= limit for m in _ASE if m in row)
    return paths and "energy" in row and row["energy"] <= 1e-6 and row["place"] <= 1e-4


def run_check(args: argparse.Namespace) -> int:
    data = os.environ.get("MDKERN_TEST_DATA")
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        cases = relaxations(Path(folder), None if data is None else Path(data))
        rows = []
        for k in range(args.first, min(args.last, len(cases))):
            methods = ("FIRE", "LBFGS", *(("BFGS", "FIRE2") if k % 4 == 0 else ()))
            begin = time.perf_counter()
            row = check(cases[k], methods, "LBFGS" if k % 2 else "FIRE", args.fmax)
            row["seconds"] = time.perf_counter() - begin
            rows.append(row)
            bad += not good(row)
            print("good" if good(row) else "BAD ", json.dumps(row), flush=True)
        print(f"{len(rows) - bad} of {len(rows)} agree")
        if args.output:
            Path(args.output).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 1 if bad else 0


def main() -> int:
    args = _arguments()
    warnings.filterwarnings("ignore", message="logm result may be inaccurate")
    if args.check:
        return run_check(args)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--check", action="store_true", help="paths and minima of 200 structures against ASE")
    add("--first", type=int, default=0, help="with --check: from this structure on")
    add("--last", type=int, default=200, help="with --check: up to, and without, this one")
    add("--fmax", type=float, default=1e-6, help="with --check: of the minima (eV/Angstrom)")
    add("--torch-sim", metavar="PYTHON", help="an interpreter with torch-sim")
    add("--quick", action="store_true", help="fewer structures")
    add("-o", "--output", metavar="FILE", help="JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
