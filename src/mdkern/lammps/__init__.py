"""mdkern's potentials inside LAMMPS.

``python -m mdkern.lammps build`` makes ``pair_style mdkern``, a plugin, for the LAMMPS that is installed.
"""

from __future__ import annotations

from mdkern.lammps.folder import plugin_folder

__all__ = ["plugin_folder"]
