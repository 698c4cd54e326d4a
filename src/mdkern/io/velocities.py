"""Velocities that a structure file carries beside those that ASE reads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from mdkern.errors import FormatError

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["COLUMNS", "take_velocities"]

# GPUMD writes vel, QUIP velo, in Angstrom/fs; the others are taken to be the same.
COLUMNS = ("vel", "velo", "velocities", "velocity")
_UNIT = "Angstrom/fs"
_LOOKS = re.compile(r"velo|vel_|_vel|momentum|momenta|^v[xyz]?$", re.IGNORECASE)


def take_velocities(atoms: Atoms) -> tuple[str, list[str]]:
    """Turn a column of velocities into momenta.

    Parameters
    ----------
    atoms : ase.Atoms
        Changed in place: gets momenta, loses the column. ``momenta`` that ASE's reader made go first.

    Returns
    -------
    source : str
        Where the velocities are from, with the unit, or an empty text: there are none. Columns of zeros are none.
    notes : list of str
        What was found and not used.

    Raises
    ------
    FormatError
        A column of this name has another shape than three finite numbers per atom.
    """
    from ase import units

    source, notes = "", []
    if atoms.has("momenta"):
        if atoms.get_momenta().any():
            source = "momenta, as ASE reads them"
        else:
            notes.append("momenta of the file are all zero")
    by_case = {str(name).lower(): name for name in atoms.arrays}
    for known in COLUMNS:
        name = by_case.get(known)
        if name is None:
            continue
        column = atoms.arrays.pop(name)
        if column.shape != (len(atoms), 3) or column.dtype.kind not in "fiu":
            raise FormatError(
                f"column {name}: expected three numbers per atom, found {column.dtype} {column.shape}"
            )
        if not np.isfinite(column).all():
            k = int(np.argmin(np.isfinite(column).all(axis=1)))
            raise FormatError(f"column {name}: {column[k]} for atom {k}; expected finite numbers")
        if source:
            notes.append(f"column {name} is not used beside {source.split(',')[0]}")
        elif not column.any():
            notes.append(f"column {name} is all zero")
        else:
            atoms.set_velocities(column / units.fs)
            source = f"column {name}, {_UNIT}"
    for name, column in atoms.arrays.items():
        if name != "momenta" and _LOOKS.search(str(name)) and column.dtype.kind in "fiu":
            notes.append(
                f"column {name} is not used: not a known name of velocities ({', '.join(COLUMNS)})"
            )
    return source, notes
