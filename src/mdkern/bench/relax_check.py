"""The optimizers against ASE's on one structure: the same path, the same minimum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ase import optimize as ase_optimize
from ase.filters import FrechetCellFilter
from ase.optimize.fire2 import FIRE2 as AseFire2

from mdkern import optimize
from mdkern.bench.relaxations import Relaxation
from mdkern.errors import MDKernError

__all__ = ["by_ase", "check", "compared", "native", "verdict"]

_ASE: dict[str, Any] = {
    "FIRE": ase_optimize.FIRE,
    "LBFGS": ase_optimize.LBFGS,
    "BFGS": ase_optimize.BFGS,
    "FIRE2": AseFire2,
}


def native(atoms: Any, method: str = "FIRE", cell: str = "full", pressure: float = 0.0) -> Any:
    return getattr(optimize, method)(atoms, logfile=None, cell=cell, scalar_pressure=pressure)


def by_ase(atoms: Any, method: str = "FIRE", cell: str = "full", pressure: float = 0.0) -> Any:
    target = atoms if cell == "none" else FrechetCellFilter(atoms, scalar_pressure=pressure)
    return _ASE[method](target, logfile=None)


def difference(a: Any, b: Any) -> float:
    """Largest difference of positions and cells, Angstrom."""
    return max(
        float(np.abs(a.positions - b.positions).max(initial=0.0)),
        float(np.abs(a.cell.array - b.cell.array).max()),
    )


def start(case: Relaxation, shift: float = 0.0) -> Any:
    """The structure with its calculator; `shift`: displaced at random, Angstrom."""
    atoms = case.atoms.copy()
    if shift > 0.0:
        free = np.ones((len(atoms), 1))
        for constraint in atoms.constraints:
            free[constraint.get_indices()] = 0.0
        noise = np.random.default_rng(0).normal(scale=shift, size=(len(atoms), 3))
        atoms.positions += free * noise
    atoms.calc = case.calculator
    return atoms


def relaxed(
    make: Callable[..., Any],
    case: Relaxation,
    method: str,
    fmax: float,
    steps: int,
    shift: float = 0.0,
) -> tuple[Any, Any, bool, str]:
    """Atoms and optimizer after so many steps, whether it converged, and why it could not go on."""
    atoms = start(case, shift)
    run = make(atoms, method, case.cell, case.scalar_pressure)
    try:
        done = bool(run.run(fmax, steps))
    except (MDKernError, np.linalg.LinAlgError, ValueError) as e:
        return atoms, run, False, str(e)
    return atoms, run, done, ""


def compared(case: Relaxation, method: str, fmax: float, steps: int) -> dict[str, Any]:
    """Our run and ASE's; where they differ, also ASE's from a start that differs by rounding: whether the method can tell.

    A run of ours that is given up is compared up to there.
    """
    a, ours, done, failure = relaxed(native, case, method, fmax, steps)
    if failure:
        fmax, steps = 0.0, ours.nsteps
    b, theirs, done_b, failure_b = relaxed(by_ase, case, method, fmax, steps)
    n = max(1, len(a))

    def energy(x: Any, y: Any) -> float:
        return abs(float(x.get_potential_energy() - y.get_potential_energy())) / n

    row: dict[str, Any] = {
        "method": method,
        "steps": [ours.nsteps, theirs.nsteps],
        "place": difference(a, b),
        "energy": energy(a, b),
        "converged": [done, done_b],
        "failure": [failure, failure_b],
    }
    if row["place"] > (1e-10 if case.cell == "none" else 1e-8) or row["energy"] > 1e-6:
        c, _, _, _ = relaxed(by_ase, case, method, fmax, steps, shift=1e-14)
        row |= {"ase_place": difference(b, c), "ase_energy": energy(b, c)}
    return row


def check(case: Relaxation, methods: tuple[str, ...], minimum: str, fmax: float) -> dict[str, Any]:
    """Paths of 50 steps, and the minimum by another method (by FIRE where that does not converge for either)."""
    out: dict[str, Any] = {"name": case.name, "n_atoms": len(case.atoms), "cell": case.cell}
    out["paths"] = [compared(case, method, 0.0, 50) for method in methods]
    out["minimum"] = compared(case, minimum, fmax, 1500)
    if minimum != "FIRE" and not any(out["minimum"]["converged"]):
        out["minimum"] = compared(case, "FIRE", fmax, 1500)
    return out


def verdict(row: dict[str, Any]) -> str:
    """ "good", "sensitive" (ASE's own run differs as much when its start differs by rounding), or "BAD"."""
    limit = 1e-10 if row["cell"] == "none" else 1e-8
    worst = "good"
    for part, place, energy in (
        *((path, limit, 1e-6) for path in row["paths"]),
        (row["minimum"], 1e-4, 1e-6),
    ):
        if part["place"] <= place and part["energy"] <= energy:
            continue
        if max(part["ase_place"], part["ase_energy"]) < 1e-2 * part["place"]:
            return "BAD"
        worst = "sensitive"
    return worst
