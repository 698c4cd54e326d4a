"""Potentials: parameters and the call of their kernels. As ASE calculators: `mdkern.calculators`."""

from mdkern.potentials.base import Potential, Result
from mdkern.potentials.buckingham import Buckingham
from mdkern.potentials.eam import EAM
from mdkern.potentials.lennard_jones import LennardJones
from mdkern.potentials.linear import LinearModel
from mdkern.potentials.morse import Morse

__all__ = ["EAM", "Buckingham", "LennardJones", "LinearModel", "Morse", "Potential", "Result"]
