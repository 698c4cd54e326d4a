"""What the calculator of EAM has more than others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from mdkern.calculators.base import Calculator

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["EamCalculator"]

Made = TypeVar("Made", bound="EamCalculator")


class EamCalculator(Calculator):
    """Built-in metals."""

    @classmethod
    def zhou2004(
        cls, elements: Sequence[str], *, cutoff: float | None = None, **kwargs: Any
    ) -> Self:
        """Built-in EAM of sixteen metals and their alloys; see :meth:`mdkern.potentials.EAM.zhou2004`."""
        return cls("zhou2004", elements=list(elements), cutoff=cutoff, **kwargs)
