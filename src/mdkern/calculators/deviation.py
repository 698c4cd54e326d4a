"""What the calculator of several models has more than others."""

from __future__ import annotations

from typing import Any

from mdkern.calculators.base import Calculator

__all__ = ["DeviationCalculator"]


class DeviationCalculator(Calculator):
    """Deviations beside the results."""

    @property
    def deviation(self) -> dict[str, Any]:
        """Deviations of the last evaluation, see :meth:`mdkern.potentials.ModelDeviation.compute`; empty before the first.

        Where threads share the calculator: of the last evaluation that this thread asked for.
        """
        last = self._last_result()
        return {} if last is None else dict(last.deviation or {})
