"""Fluxes of a run, recorded in the core, and the transport coefficients that they give."""

from __future__ import annotations

from typing import Any

from ase import units

from mdkern.analysis import GreenKubo, thermal_conductivity, viscosity
from mdkern.cli.dynamics import Ensemble
from mdkern.cli.output import UsageError, warning
from mdkern.errors import UnsupportedError
from mdkern.moving import degrees_of_freedom

__all__ = ["Coefficients", "start"]

_FEWEST = 20  # samples: two in each block, see green_kubo
_NAMES = ("thermal conductivity", "viscosity")
_SCALARS = ("kind", "value", "error", "bound", "unit", "along", "along_error", "window", "rule", "blocks")  # fmt: skip


class Coefficients:
    """What a run with ``--transport N`` found: texts for people, and numbers for ``--json``."""

    def __init__(self, integrator: Any, every: int, without: dict[str, str]) -> None:
        self.integrator, self.every, self.without = integrator, every, without
        self.found: dict[str, GreenKubo | str] = {}

    def take(self) -> None:
        """From what was recorded since the start, without the first fifth."""
        atoms = self.integrator.atoms
        fluxes = self.integrator.recorded_fluxes()
        n = len(fluxes)
        if n - n // 5 < _FEWEST:
            longer = "no value: expected a longer run"
            self.found = dict(zip(_NAMES, (self.without.get("heat", longer), longer), strict=True))
            return
        settled = slice(n // 5, None)  # as for all averages
        interval = self.every * self.integrator.dt / (1000.0 * units.fs)
        freedom = max(1, degrees_of_freedom(atoms))
        temperature = 2.0 * float(fluxes.kinetic[settled].mean()) / (freedom * units.kB)
        state = (interval, temperature, float(atoms.cell.volume))
        heat = self.without.get("heat") or _tried(
            thermal_conductivity, fluxes.heat[settled], *state
        )
        shear = _tried(viscosity, fluxes.pressure[settled], *state)
        self.found = dict(zip(_NAMES, (heat, shear), strict=True))

    def texts(self) -> dict[str, str]:
        """A sentence for each."""
        return {name: str(f) for name, f in self.found.items()}

    def numbers(self) -> dict[str, Any]:
        """Without correlation functions."""
        return {
            name.replace(" ", "_"): {"kind": "none", "reason": f}
            if isinstance(f, str)
            else {key: getattr(f, key) for key in _SCALARS}
            for name, f in self.found.items()
        }


def _tried(coefficient: Any, *arguments: Any) -> GreenKubo | str:
    """A run of no length, or at rest, is no error of the command."""
    try:
        found: GreenKubo = coefficient(*arguments)
    except ValueError as e:
        return f"no value: {e}"
    return found


def start(integrator: Any, every: int, ensemble: Ensemble) -> Coefficients:
    """Record from now on; UsageError where there is no volume, or it changes."""
    if ensemble.barostat:
        raise UsageError("--transport: expected --ensemble nve or nvt, whose volume is constant")
    if integrator.atoms.cell.rank < 3:
        raise UsageError("--transport: expected a structure with a cell, whose volume is needed")
    if ensemble.thermostat == "langevin":
        warning("--transport: the friction of the Langevin thermostat takes part in the transport")
    without = {}
    try:
        integrator.record_fluxes(every)
    except UnsupportedError as e:
        without["heat"] = f"no value: {e}"
        integrator.record_fluxes(every, heat=False)
    return Coefficients(integrator, every, without)
