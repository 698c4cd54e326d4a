"""Definitions in plain NumPy: what the compiled kernels must reproduce.

They are written to be read, and serve as oracle in the tests and as baseline in the benchmarks. Those of potentials are
named by :mod:`mdkern.registry`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mdkern.reference.dynamics import langevin, velocity_verlet
from mdkern.reference.neighbors import neighbor_list, neighbor_list_binned
from mdkern.reference.pairs import Result
from mdkern.reference.random import normal_deviates, philox4x32
from mdkern.registry import entries, resolve

if TYPE_CHECKING:  # what the registry names, for who reads and for type checkers
    from mdkern.reference.buckingham import buckingham as buckingham
    from mdkern.reference.deepmd import deepmd as deepmd
    from mdkern.reference.deepmd import deepmd_descriptors as deepmd_descriptors
    from mdkern.reference.eam import eam as eam
    from mdkern.reference.eam import eam_zhou2004 as eam_zhou2004
    from mdkern.reference.lennard_jones import lennard_jones as lennard_jones
    from mdkern.reference.mace import mace as mace
    from mdkern.reference.mace import mace_descriptors as mace_descriptors
    from mdkern.reference.morse import morse as morse
    from mdkern.reference.morse import morse_ase as morse_ase
    from mdkern.reference.nep import nep as nep
    from mdkern.reference.nep import nep_born_charges as nep_born_charges
    from mdkern.reference.nep import nep_charges as nep_charges
    from mdkern.reference.nep import nep_descriptors as nep_descriptors
    from mdkern.reference.nep import nep_dipole as nep_dipole
    from mdkern.reference.nep import nep_polarizability as nep_polarizability

__all__ = [
    "Result",
    "langevin",
    "neighbor_list",
    "neighbor_list_binned",
    "normal_deviates",
    "philox4x32",
    "velocity_verlet",
]

# At once, not at the first use: functions have the names of their modules, which the import of a module would set otherwise.
_FOUND = {name.partition(":")[2]: resolve(name) for entry in entries() for name in entry.reference}
globals().update(_FOUND)
__all__.extend(sorted(_FOUND))
