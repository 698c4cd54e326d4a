"""mdkern's potentials inside LAMMPS."""

from mdkern.lammps.external import attach

__all__ = ["attach"]
