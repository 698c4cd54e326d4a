"""Definitions in plain NumPy: what the compiled kernels must reproduce.

They are written to be read, and serve as oracle in the tests and as baseline in the benchmarks.
"""

from mdkern.reference.buckingham import buckingham
from mdkern.reference.deepmd import deepmd, deepmd_descriptors
from mdkern.reference.dynamics import langevin, velocity_verlet
from mdkern.reference.eam import eam, eam_zhou2004
from mdkern.reference.lennard_jones import lennard_jones
from mdkern.reference.morse import morse, morse_ase
from mdkern.reference.neighbors import neighbor_list, neighbor_list_binned
from mdkern.reference.nep import (
    nep,
    nep_born_charges,
    nep_charges,
    nep_descriptors,
    nep_dipole,
    nep_polarizability,
)
from mdkern.reference.pairs import Result
from mdkern.reference.random import normal_deviates, philox4x32

__all__ = [
    "Result",
    "buckingham",
    "deepmd",
    "deepmd_descriptors",
    "eam",
    "eam_zhou2004",
    "langevin",
    "lennard_jones",
    "morse",
    "morse_ase",
    "neighbor_list",
    "neighbor_list_binned",
    "nep",
    "nep_born_charges",
    "nep_charges",
    "nep_descriptors",
    "nep_dipole",
    "nep_polarizability",
    "normal_deviates",
    "philox4x32",
    "velocity_verlet",
]
