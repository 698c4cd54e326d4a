"""Relaxation by ASE's own optimizers: for calculators and constraints that have no native form."""

from __future__ import annotations

import importlib
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from mdkern.errors import UnsupportedError
from mdkern.potentials.base import volume_of

if TYPE_CHECKING:
    from ase import Atoms

    from mdkern.relaxation_settings import Settings

__all__ = ["LARGEST_CHANGE", "filtered", "optimizer_class", "relaxed_by_ase"]

LARGEST_CHANGE = 8.0  # of the volume, either way: beyond it a cell explodes
_CLASSES = {"fire": "FIRE", "fire2": "FIRE2", "lbfgs": "LBFGS", "bfgs": "BFGS"}


def optimizer_class(name: str) -> Any:
    """ASE's class; UnsupportedError where this version of ASE has none."""
    module = importlib.import_module("ase.optimize.fire2" if name == "fire2" else "ase.optimize")
    return getattr(module, _CLASSES[name])


def filtered(atoms: Atoms, settings: Settings) -> Any:
    """What the optimizer moves: atoms, or ASE's filter of their cell."""
    if settings.cell == "none":
        return atoms
    from ase.filters import FrechetCellFilter

    return FrechetCellFilter(
        atoms,
        mask=None if settings.mask is None else np.reshape(settings.mask, (3, 3)),
        hydrostatic_strain=settings.hydrostatic or settings.cell == "volume",
        constant_volume=settings.cell == "shape",
        scalar_pressure=settings.scalar_pressure,
    )


class _Good:
    """The last good geometry, with its results."""

    def __init__(self, atoms: Atoms, moved: Any) -> None:
        self._atoms, self._moved = atoms, moved
        self._volume = volume_of(atoms.cell.array)
        self.steps, self.fmax = 0, 0.0
        self.results: dict[str, Any] = {}

    def take(self, steps: int) -> None:
        """That of this moment; ValueError where it is none."""
        atoms = self._atoms
        volume = volume_of(atoms.cell.array)
        change = volume / self._volume if self._volume else 1.0
        if not 1.0 / LARGEST_CHANGE <= change <= LARGEST_CHANGE:
            raise ValueError(
                f"the cell explodes: its volume is {change:.3g} times the first one; expected 1/8 to 8"
            )
        # Without what constraints such as a Hookean spring add: who asks the frame that comes of it has that added again.
        energy = atoms.get_potential_energy(apply_constraint=False)
        forces = atoms.get_forces(apply_constraint=False)
        largest = float(np.linalg.norm(self._moved.get_forces(), axis=1).max())
        if not (np.isfinite(energy) and np.isfinite(forces).all() and np.isfinite(largest)):
            raise ValueError(
                f"energy {energy}, longest force {largest}; expected finite numbers: atoms overlap"
            )
        self.steps, self.fmax = steps, largest
        self.results = {
            "positions": atoms.positions.copy(),
            "cell": atoms.cell.array.copy(),
            "energy": float(energy),
            "forces": np.array(forces, dtype=float),
        }


def relaxed_by_ase(atoms: Atoms, calculator: Any, settings: Settings) -> dict[str, Any]:
    """The result of :class:`mdkern.relaxation_job.Relaxation` for atoms, which are moved.

    What a calculator raises at the first geometry is raised; what it raises later is the result's ``failure``.
    """
    if settings.cell != "none" and "stress" not in calculator.implemented_properties:
        raise UnsupportedError(
            f"cell: '{settings.cell}', and {type(calculator).__name__} has no stress; expected cell='none' with it"
        )
    with getattr(calculator, "lock", nullcontext()):
        atoms.calc = calculator
        moved = filtered(atoms, settings)
        good = _Good(atoms, moved)
        good.take(0)
        before, failure, converged = good.results["energy"], "", False
        try:
            with optimizer_class(settings.optimizer)(moved, logfile=None) as steps:
                for done in steps.irun(fmax=settings.fmax, steps=settings.steps):
                    good.take(int(steps.nsteps))
                    converged = bool(done)
        except Exception as e:  # noqa: BLE001 - calculators of others raise all kinds of exceptions
            failure = str(e) if isinstance(e, ValueError) and str(e) else f"{type(e).__name__}: {e}"
            converged = False
        _settle(atoms, calculator, good)
    return good.results | {
        "before": before,
        "steps": good.steps,
        "fmax": good.fmax,
        "converged": converged,
        "failure": failure,
    }


def _settle(atoms: Atoms, calculator: Any, good: _Good) -> None:
    """The stress of the last good geometry, where there is one."""
    if atoms.cell.rank < 3 or "stress" not in calculator.implemented_properties:
        return
    atoms.set_constraint()
    atoms.set_cell(good.results["cell"])
    atoms.positions[...] = good.results["positions"]
    try:
        stress = np.array(atoms.get_stress(), dtype=float)
    except Exception:  # noqa: BLE001 - such as one that offers it for some atoms
        return
    if np.isfinite(stress).all():
        good.results["stress"] = stress
