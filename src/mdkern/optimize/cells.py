"""How the cell relaxes: arguments of ours, or one of ASE's filters, as the core takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.filters import Filter, FrechetCellFilter, UnitCellFilter
from numpy.typing import NDArray

from mdkern import checks
from mdkern.errors import UnsupportedError

__all__ = ["CellSettings", "atoms_and_cell", "mask_for"]

_CELLS = ("none", "volume", "shape", "full")
_KINDS = {"frechet": "logarithm", "unit": "deformation"}


@dataclass(frozen=True)
class CellSettings:
    """What of a cell relaxes.

    Attributes
    ----------
    kind : {"none", "logarithm", "deformation"}
        Coordinates of the cell: none, as FrechetCellFilter, as UnitCellFilter.
    mask : (3, 3) array
        1: relaxes, 0: stays.
    hydrostatic, constant_volume : bool
    pressure : float
        eV/Angstrom^3.
    factor : float
        Of the cell's coordinates.
    first : (3, 3) array
        The undeformed cell.
    """

    kind: str
    mask: NDArray[np.float64]
    hydrostatic: bool
    constant_volume: bool
    pressure: float
    factor: float
    first: NDArray[np.float64]

    def arguments(self) -> tuple[Any, ...]:
        """Of the core's ``set_cell``."""
        return (
            self.kind,
            self.mask,
            self.hydrostatic,
            self.constant_volume,
            self.pressure,
            self.factor,
        )

    def as_dict(self) -> dict[str, Any]:
        """All but the first cell, in JSON types."""
        names = ("kind", "mask", "hydrostatic", "constant_volume", "pressure", "factor")
        return dict(zip(names, self.arguments(), strict=True)) | {"mask": self.mask.tolist()}


def atoms_and_cell(
    moved: Any,
    cell: str,
    mask: Any,
    hydrostatic: bool,
    scalar_pressure: float,
    filter: str,
    ase_name: str,
) -> tuple[Atoms, CellSettings]:
    """Atoms, and what of their cell relaxes.

    Parameters
    ----------
    moved
        Atoms, or a FrechetCellFilter or UnitCellFilter of them, which then has all settings.
    cell, mask, hydrostatic, scalar_pressure, filter
        As :class:`~mdkern.optimize.base.NativeOptimizer` takes them.
    ase_name : str
        ASE's optimizer, for messages.

    Raises
    ------
    UnsupportedError
        Another filter.
    ValueError
        Settings that make no sense, or that a filter has already.
    """
    if cell not in _CELLS:
        raise ValueError(f"cell: {checks.shown(cell)}; expected one of {', '.join(_CELLS)}")
    if filter not in _KINDS:
        raise ValueError(f"filter: {checks.shown(filter)}; expected one of {', '.join(_KINDS)}")
    hydrostatic = checks.flag("hydrostatic", hydrostatic)
    pressure = checks.number("scalar_pressure", scalar_pressure, "finite number of eV/Angstrom^3")
    given = {
        "mask": mask is not None,
        "hydrostatic": hydrostatic,
        "scalar_pressure": pressure != 0.0,
    }
    if isinstance(moved, Filter):
        given["cell"] = cell != "none"
        for name, is_given in given.items():
            if is_given:
                raise ValueError(
                    f"{name}: given, and atoms are a {type(moved).__name__}, which has it; expected one of them"
                )
        return _of_filter(moved, ase_name)
    atoms = _atoms(moved, ase_name)
    if cell == "none":
        for name, is_given in given.items():
            if is_given:
                raise ValueError(
                    f"{name}: given, but cell='none' keeps the cell; expected cell='volume', 'shape' or 'full' with it"
                )
    elif hydrostatic and cell == "shape":
        raise ValueError("hydrostatic: True, but cell='shape' keeps the volume; expected False")
    return atoms, CellSettings(
        "none" if cell == "none" else _KINDS[filter],
        mask_for(cell, hydrostatic, mask),
        hydrostatic or cell == "volume",
        cell == "shape",
        pressure,
        float(max(1, len(atoms))),
        np.array(atoms.cell, dtype=np.float64),
    )


def _of_filter(moved: Any, ase_name: str) -> tuple[Atoms, CellSettings]:
    if type(moved) not in (FrechetCellFilter, UnitCellFilter):
        raise UnsupportedError(
            f"atoms: {type(moved).__name__}; expected Atoms, FrechetCellFilter or UnitCellFilter. "
            f"{ase_name} takes other filters, with the same calculator"
        )
    frechet = type(moved) is FrechetCellFilter
    atoms = _atoms(moved.atoms, ase_name)
    return atoms, CellSettings(
        _KINDS["frechet" if frechet else "unit"],
        _mask(moved.mask),
        bool(moved.hydrostatic_strain),
        bool(moved.constant_volume),
        checks.number("scalar_pressure", moved.scalar_pressure),
        checks.positive(
            "exp_cell_factor" if frechet else "cell_factor",
            moved.exp_cell_factor if frechet else moved.cell_factor,
        ),
        np.array(moved.orig_cell, dtype=np.float64),
    )


def _atoms(moved: Any, ase_name: str) -> Atoms:
    try:
        atoms: Atoms = checks.structure("atoms", moved)
    except TypeError as e:
        raise TypeError(f"{e}. {ase_name} moves other things too, such as NEB") from None
    return atoms


def mask_for(cell: str, hydrostatic: bool, mask: Any) -> NDArray[np.float64]:
    """(3, 3) of a user's mask; ValueError where what relaxes by `cell` needs strains that it excludes."""
    found = _mask(mask)
    if (hydrostatic or cell in ("volume", "shape")) and not np.diag(found).all():
        what = "hydrostatic=True" if hydrostatic else f"cell='{cell}'"
        raise ValueError(
            f"mask: {checks.shown(mask)}, and {what} needs xx, yy and zz; expected 1 for these, or cell='full'"
        )
    return found


def _mask(mask: Any) -> NDArray[np.float64]:
    """(3, 3) of a mask of six, xx, yy, zz, yz, xz, xy, or of nine."""
    if mask is None:
        return np.ones((3, 3))
    try:
        array = np.asarray(mask)
    except ValueError:  # rows of different lengths
        array = np.array(None)
    if (
        array.shape not in ((6,), (3, 3))
        or array.dtype.kind not in "biuf"
        or not np.isin(array, (0, 1)).all()
    ):
        raise ValueError(
            f"mask: {checks.shown(mask)}; expected 6 (xx, yy, zz, yz, xz, xy) or (3, 3) of True and False or 1 and 0"
        )
    array = array.astype(np.float64)
    if array.shape == (3, 3):
        return np.ascontiguousarray(array)
    xx, yy, zz, yz, xz, xy = array
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
