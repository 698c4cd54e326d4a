"""mdkern's potentials inside LAMMPS.

``python -m mdkern.lammps build`` makes ``pair_style mdkern``, a plugin, for the LAMMPS that is installed;
:func:`attach` couples a calculator to a running one, without a compiler.
"""

from __future__ import annotations

from mdkern.lammps.external import attach
from mdkern.lammps.folder import plugin_folder

__all__ = ["attach", "plugin_folder"]
