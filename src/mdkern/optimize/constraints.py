"""ASE's constraints as the native loop applies them: what is known is translated, anything else refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixCartesian, FixCom, FixSymmetry
from numpy.typing import NDArray

from mdkern import _core
from mdkern.errors import UnsupportedError

__all__ = ["fix_symmetry", "native_constraints"]


def fix_symmetry(
    atoms: Atoms, symprec: float = 0.01, *, positions: bool = True, cell: bool = True
) -> FixSymmetry:
    """ASE's constraint that keeps the space group of a structure, which it finds by spglib.

    Parameters
    ----------
    atoms : ase.Atoms
        Changed: ASE moves the atoms and the cell to the places that the space group asks for exactly. The
        constraint is not set.
    symprec : float
        How far atoms may be from these places, in Angstrom.
    positions, cell : bool
        Whether steps of positions and of the cell are made symmetric.

    Raises
    ------
    ImportError
        Without spglib.
    ValueError
        A structure whose symmetry spglib does not find, such as one without a cell.
    """
    try:
        import spglib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "the symmetry of a structure is found by spglib, which is not installed; "
            "expected it: pip install mdkern[symmetry]"
        ) from error
    if atoms.cell.rank < 3:
        raise ValueError(
            f"cell: {atoms.cell.array.tolist()}; expected three vectors that span a volume, "
            "as a space group is asked for"
        )
    try:
        return FixSymmetry(atoms, symprec, adjust_positions=positions, adjust_cell=cell)
    except Exception as error:  # spglib's own, or of ASE about a data set that is None
        raise ValueError(
            f"atoms: spglib finds no space group of {atoms.get_chemical_formula()} with symprec "
            f"{symprec} ({error}); expected atoms that are farther apart"
        ) from error


def native_constraints(
    atoms: Atoms, ase_name: str = "the optimizer of ase.optimize"
) -> list[_core.Constraint]:
    """What ``atoms.constraints`` asks for, in its order: FixAtoms, FixCom, FixCartesian and FixSymmetry.

    Each is for the atoms as they are: their number, masses, and the operations that FixSymmetry has found.

    Parameters
    ----------
    atoms : ase.Atoms
    ase_name : str
        The optimizer of ASE that takes the other constraints, for the message.

    Raises
    ------
    UnsupportedError
        Another constraint, a subclass of these among them, as it may do something else.
    ValueError
        Indices that are no atoms, or a FixSymmetry that was made of other atoms.
    """
    made = []
    for constraint in atoms.constraints:
        translate = _NATIVE.get(type(constraint))
        if translate is None:
            raise UnsupportedError(
                f"constraint {type(constraint).__name__}: expected FixAtoms, FixCom, FixCartesian or "
                f"FixSymmetry; {ase_name} takes the others, with the same calculator"
            )
        made.append(translate(constraint, atoms))
    return made


def _indices(constraint: Any, atoms: Atoms) -> NDArray[np.int64]:
    """From 0 on; those of ASE may count from the end."""
    n = len(atoms)
    index = np.asarray(constraint.index, np.int64).reshape(-1)
    wrong = index[(index < -n) | (index >= n)]
    if len(wrong):
        raise ValueError(
            f"constraint {type(constraint).__name__}: atom {wrong[0]}; expected an index of {n} atoms"
        )
    return np.where(index < 0, index + n, index)


def _fix_atoms(constraint: Any, atoms: Atoms) -> _core.Constraint:
    return _core.fix_atoms(_indices(constraint, atoms))


def _fix_com(_: Any, atoms: Atoms) -> _core.Constraint:
    return _core.fix_com(atoms.get_masses())


def _fix_cartesian(constraint: Any, atoms: Atoms) -> _core.Constraint:
    stays = np.array(np.broadcast_to(constraint.mask, (3,)), dtype=np.bool_)
    return _core.fix_cartesian(_indices(constraint, atoms), stays)


def _fix_symmetry(constraint: Any, atoms: Atoms) -> _core.Constraint:
    carried_to = np.array(constraint.symm_map, np.int64, ndmin=2)
    if carried_to.shape[1] != len(atoms):
        raise ValueError(
            f"constraint FixSymmetry: made for {carried_to.shape[1]} atoms; expected {len(atoms)}"
        )
    return _core.fix_symmetry(
        np.array(constraint.rotations, np.float64, order="C"),
        carried_to,
        bool(constraint.do_adjust_positions),
        bool(constraint.do_adjust_cell),
    )


_NATIVE: dict[type, Callable[[Any, Atoms], _core.Constraint]] = {
    FixAtoms: _fix_atoms,
    FixCom: _fix_com,
    FixCartesian: _fix_cartesian,
    FixSymmetry: _fix_symmetry,
}
