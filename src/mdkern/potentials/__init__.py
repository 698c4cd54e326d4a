"""Potentials: parameters and the call of their kernels. As ASE calculators: `mdkern.calculators`."""

from mdkern.potentials.base import Potential, Result
from mdkern.potentials.buckingham import Buckingham
from mdkern.potentials.deepmd import DeepPotential
from mdkern.potentials.deviation import ModelDeviation
from mdkern.potentials.eam import EAM
from mdkern.potentials.lennard_jones import LennardJones
from mdkern.potentials.linear import LinearModel
from mdkern.potentials.morse import Morse
from mdkern.potentials.nep import NEP, NEPTensor
from mdkern.potentials.stored import StoredModel

__all__ = [
    "EAM",
    "NEP",
    "Buckingham",
    "DeepPotential",
    "LennardJones",
    "LinearModel",
    "ModelDeviation",
    "Morse",
    "NEPTensor",
    "Potential",
    "Result",
    "StoredModel",
]
