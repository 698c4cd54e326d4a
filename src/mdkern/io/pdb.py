"""PDB files: what ASE's reader makes of several models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["models"]


def models(images: list[Atoms]) -> list[Atoms]:
    """The models of a file, with its cell.

    ASE makes a structure without atoms of an ``END`` behind the last ``ENDMDL``, and forgets the record ``CRYST1``, which stands once in
    front of all models, with the first of them. A cell of 1 Angstrom stands, by the format, for none.

    Parameters
    ----------
    images : list of ase.Atoms
        What ASE read; changed in place.
    """
    found = [image for image in images if len(image)]
    before: Atoms | None = None
    for image in found:
        if image.cell.rank:
            before = image.copy()
        elif before is not None:
            image.set_cell(before.cell)
            image.pbc = before.pbc
    for image in found:
        if np.array_equal(image.cell.array, np.eye(3)):
            image.cell = None
            image.pbc = False
    return found
