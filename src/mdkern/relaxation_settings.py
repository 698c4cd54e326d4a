"""What is done with each frame of :func:`mdkern.relax`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mdkern import checks
from mdkern.optimize.cells import mask_for
from mdkern.optimize.constraints import fix_symmetry
from mdkern.potentials.base import volume_of

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["CELLS", "OPTIMIZERS", "Settings"]

OPTIMIZERS = ("fire", "fire2", "lbfgs", "bfgs")
CELLS = ("none", "volume", "shape", "full")


@dataclass(frozen=True)
class Settings:
    """What is done with each frame, see :func:`mdkern.relax`; the mask as nine numbers."""

    optimizer: str = "fire"
    fmax: float = 0.01
    steps: int = 500
    cell: str = "full"
    scalar_pressure: float = 0.0
    mask: tuple[float, ...] | None = None
    hydrostatic: bool = False
    symmetry: bool = False  # of the frame at the start is kept

    @classmethod
    def of(
        cls,
        optimizer: Any = "fire",
        fmax: Any = 0.01,
        steps: Any = 500,
        cell: Any = "full",
        scalar_pressure: Any = 0.0,
        mask: Any = None,
        hydrostatic: Any = False,
        symmetry: Any = False,
    ) -> Settings:
        """From arguments of users; ValueError for one that is none."""
        for name, value, known in (("optimizer", optimizer, OPTIMIZERS), ("cell", cell, CELLS)):
            if value not in known:
                expected = ", ".join(known)
                raise ValueError(f"{name}: {checks.shown(value)}; expected one of {expected}")
        pressure = checks.number("scalar_pressure", scalar_pressure)
        hydrostatic = checks.flag("hydrostatic", hydrostatic)
        for name, given in (("mask", mask is not None), ("hydrostatic", hydrostatic)):
            if given and cell == "none":
                raise ValueError(f"{name}: of a cell that relaxes; expected none with cell='none'")
        if pressure and cell in ("none", "shape"):
            raise ValueError(
                f"scalar_pressure: {pressure}; expected 0, as cell='{cell}' keeps the volume"
            )
        if hydrostatic and cell == "shape":
            raise ValueError("hydrostatic: True; expected False, as cell='shape' keeps the volume")
        return cls(
            optimizer,
            checks.not_negative("fmax", fmax, unit="eV/Angstrom"),
            checks.whole("steps", steps),
            cell,
            pressure,
            None if mask is None else tuple(mask_for(cell, hydrostatic, mask).ravel().tolist()),
            hydrostatic,
            checks.flag("symmetry", symmetry),
        )

    def constrain(self, atoms: Atoms) -> None:
        """Add ASE's constraint of symmetry, where it is wanted; ValueError where there is no symmetry to be found."""
        if not self.symmetry:
            return
        if atoms.cell.rank < 3 or not atoms.pbc.all():
            raise ValueError("symmetry: the frame is not periodic in all directions")
        atoms.set_constraint([*atoms.constraints, fix_symmetry(atoms)])

    def refuse(self, atoms: Atoms) -> None:
        """ValueError for atoms whose cell cannot relax."""
        if self.cell == "none":
            return
        if volume_of(atoms.cell.array) == 0.0:
            raise ValueError(
                f"cell: '{self.cell}', and the frame has no cell with a volume; expected 'none' for it"
            )
        if atoms.pbc.all():
            return
        for k in np.flatnonzero(~np.asarray(atoms.pbc)):
            along = np.abs(atoms.cell.array[k]) > 1e-10 * np.abs(atoms.cell.array[k]).max()
            mask = np.ones((3, 3)) if self.mask is None else np.reshape(self.mask, (3, 3))
            if mask[along].any() or mask[:, along].any():
                raise ValueError(
                    f"cell: '{self.cell}', and the frame is not periodic along vector {k} of its cell; expected 'none', or a"
                    " mask without the strains of that direction"
                )
