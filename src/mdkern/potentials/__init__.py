"""Potentials: parameters and the call of their kernels. As ASE calculators: `mdkern.calculators`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mdkern.potentials.base import Potential, Result
from mdkern.registry import entries, resolve

if TYPE_CHECKING:  # what __getattr__ finds, for who reads and for type checkers
    from mdkern.potentials.buckingham import Buckingham as Buckingham
    from mdkern.potentials.deepmd import DeepPotential as DeepPotential
    from mdkern.potentials.deviation import ModelDeviation as ModelDeviation
    from mdkern.potentials.eam import EAM as EAM
    from mdkern.potentials.lennard_jones import LennardJones as LennardJones
    from mdkern.potentials.linear import LinearModel as LinearModel
    from mdkern.potentials.morse import Morse as Morse
    from mdkern.potentials.nep import NEP as NEP
    from mdkern.potentials.nep import NEPTensor as NEPTensor
    from mdkern.potentials.stored import StoredModel as StoredModel

__all__ = ["Potential", "Result"]
__all__.extend(sorted(entry.calculator for entry in entries()))


def __getattr__(name: str) -> Any:
    """The class of a registered potential, imported at its first use."""
    for entry in entries():
        if entry.calculator == name:
            found = globals()[name] = resolve(entry.potential)
            return found
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
