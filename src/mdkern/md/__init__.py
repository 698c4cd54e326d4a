"""Molecular dynamics at native speed, with the call conventions of :mod:`ase.md`.

Change the import and nothing else: ``from mdkern.md import VelocityVerlet``. Positions, velocities, forces and the neighbor
list stay in the core from one observer to the next.
"""

from __future__ import annotations

from mdkern.md.checkpoint import read_checkpoint, write_checkpoint
from mdkern.md.dynamics import DynamicsError, NativeDynamics
from mdkern.md.integrators import (
    MTKNPT,
    Bussi,
    IsotropicMTKNPT,
    Langevin,
    MaskedMTKNPT,
    NoseHooverChain,
    NoseHooverChainNVT,
    VelocityVerlet,
)

__all__ = [
    "MTKNPT",
    "Bussi",
    "DynamicsError",
    "IsotropicMTKNPT",
    "Langevin",
    "MaskedMTKNPT",
    "NativeDynamics",
    "NoseHooverChain",
    "NoseHooverChainNVT",
    "VelocityVerlet",
    "read_checkpoint",
    "write_checkpoint",
]
