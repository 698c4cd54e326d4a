"""What of a structure relaxes, and ASE's optimizer for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mdkern.cli.output import UsageError

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Settings", "optimizer", "target"]


@dataclass(frozen=True)
class Settings:
    """Options of ``mdkern relax``; forces in eV/Angstrom, the pressure in GPa."""

    optimizer: str
    fmax: float
    steps: int
    cell: str
    pressure: float


def target(atoms: Atoms, settings: Settings) -> Any:
    """What the optimizer moves.

    Raises
    ------
    UsageError
        A cell is to relax that is not periodic in all directions.
    """
    if settings.cell == "fixed":
        return atoms
    if atoms.cell.rank < 3 or not atoms.pbc.all():
        raise UsageError(f"--cell {settings.cell}: not periodic in all directions")
    from ase import units
    from ase.filters import FrechetCellFilter

    return FrechetCellFilter(
        atoms,
        hydrostatic_strain=settings.cell == "volume",
        constant_volume=settings.cell == "shape",
        scalar_pressure=settings.pressure * units.GPa,
    )


def optimizer(moved: Any, settings: Settings, trajectory: str | None = None) -> Any:
    """ASE's optimizer, a context."""
    from ase import optimize

    kinds = {"fire": optimize.FIRE, "lbfgs": optimize.LBFGS, "bfgs": optimize.BFGS}
    return kinds[settings.optimizer](moved, logfile=None, trajectory=trajectory)
