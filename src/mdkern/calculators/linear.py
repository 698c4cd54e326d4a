"""What the calculator of linear models has more than others."""

from __future__ import annotations

import os

from mdkern.calculators.base import Calculator

__all__ = ["LinearCalculator"]


class LinearCalculator(Calculator):
    """Can be saved."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model; see :meth:`mdkern.potentials.LinearModel.save`."""
        self.potential.save(path)
