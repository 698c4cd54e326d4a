"""Where the plugin for LAMMPS is built to, and found."""

from __future__ import annotations

import os
import site
import sys
from pathlib import Path

__all__ = ["PLUGIN", "plugin_folder"]

PLUGIN = "mdkernplugin.so"  # LAMMPS loads what ends so


def plugin_folder() -> str:
    """Folder of ``pair_style mdkern``, built or not.

    LAMMPS's own package asks for it by the entry point group ``lammps.plugins`` and loads what it finds there; others
    find it by ``export LAMMPS_PLUGIN_PATH=$(python -m mdkern.lammps folder)``. It is in the environment of this Python,
    or, where that cannot be written to, in the user's own folder.
    """
    folders = [
        Path(base) / "lib" / "mdkern" / "lammps" for base in (sys.prefix, site.getuserbase())
    ]
    for folder in folders:
        if (folder / PLUGIN).is_file():
            return str(folder)
    return str(folders[0] if _writable(folders[0]) else folders[1])


def _writable(folder: Path) -> bool:
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    return os.access(there, os.W_OK)
