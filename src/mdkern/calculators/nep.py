"""What calculators of NEP models have more than others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import all_changes

from mdkern.calculators.base import Calculator, NonFiniteError

__all__ = ["NepCalculator", "NepTensorCalculator"]


class NepCalculator(Calculator):
    """Charges, where the model has some."""

    def _apply(self, potential: Any) -> None:
        super()._apply(potential)
        charged = potential.model.charge is not None
        of_charges = ["charges", "born_effective_charges"] if charged else []
        self.implemented_properties = [*Calculator.implemented_properties, *of_charges]  # type: ignore[misc]

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Evaluate everything in one call; `stresses` and `born_effective_charges` only where asked for."""
        with self.lock:
            super().calculate(atoms, properties, system_changes)
            if "born_effective_charges" in properties:
                self.results["born_effective_charges"] = self.potential.born_effective_charges(
                    self._table, threads=self.n_threads
                )

    def get_property(
        self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True
    ) -> Any:
        """As ASE's; Born effective charges do not stay in `results`, where ASE's writer of extended XYZ fails on them."""
        with self.lock:
            value = super().get_property(name, atoms, allow_calculation)
            if name == "born_effective_charges":
                self.results.pop(name, None)
            return value


class NepTensorCalculator(Calculator):
    """No energy, no forces: ``results`` has "dipole" (3,) or "polarizability" (3, 3), as the model is trained for."""

    def _apply(self, potential: Any) -> None:
        super()._apply(potential)
        self.implemented_properties = [potential.kind]  # type: ignore[misc]

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = (),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Evaluate the tensor; the units are those of the training data."""
        del properties, system_changes
        with self.lock:
            snapshot = self._take(atoms)
            value = self.potential.compute(self._table, threads=self.n_threads)
            if not np.isfinite(value).all():
                raise NonFiniteError(f"{self.potential.kind} {value}; expected finite numbers")
            self._store({self.potential.kind: value}, None, snapshot)

    def get_polarizability(self, atoms: Atoms | None = None) -> Any:
        """Polarizability, (3, 3)."""
        return self.get_property("polarizability", atoms)
