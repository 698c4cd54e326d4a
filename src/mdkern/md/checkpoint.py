"""Checkpoints: all that a run needs to go on with the same bits, in a file that is never half written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixCom

from mdkern.calculators import AtomsError
from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.archive import meta_array, read_archive, write_archive
from mdkern.io.documents import decode, json_of
from mdkern.md import integrators
from mdkern.md.dynamics import NativeDynamics

__all__ = ["Checkpoint", "read_checkpoint", "write_checkpoint"]

_FORMAT = "mdkern checkpoint 1"
_MAX_ATOMS = 2**29
_MAX_VARIABLES = 10_000
_MAX_STEPS = 2**62
_MAX_SKIN = 20.0  # Angstrom
_MAX_META = 1 << 20  # bytes of JSON, beside
_META_PER_ATOM = 32  # for a number per atom, such as friction
# Name, kind of number, shape; n: atoms, v: any (bounded).
_ARRAYS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "numbers": ("<i8", ("n",)),
    "masses": ("<f8", ("n",)),
    "pbc": ("|b1", (3,)),
    "fixed": ("|b1", ("n",)),
    "positions": ("<f8", ("n", 3)),
    "momenta": ("<f8", ("n", 3)),
    "cell": ("<f8", (3, 3)),
    "built_positions": ("<f8", ("n", 3)),
    "built_cell": ("<f8", (3, 3)),
    "sums": ("<f8", (10,)),
    "variables": ("<f8", ("v",)),
}


# Arguments of integrators that a file may give; no names of files that would be written.
_PARAMETERS = {
    *("timestep", "skin", "temperature_K", "friction", "seed", "taut", "mask", "pressure_au"),
    *("tdamp", "tchain", "tloop", "pdamp", "pchain", "ploop"),
}


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes
    ----------
    arrays : dict of str to array
        Atoms, momenta, and what the neighbor list was built from.
    meta : dict
        Integrator, its parameters, steps done, potential energy (eV), version, instruction set, and under "extra" what the
        writer added.
    """

    arrays: dict[str, Any]
    meta: dict[str, Any]

    @property
    def steps(self) -> int:
        """Steps done."""
        return int(self.meta["steps"])

    def atoms(self) -> Atoms:
        """The atoms, with momenta, masses and constraints."""
        a = self.arrays
        atoms = Atoms(
            numbers=a["numbers"],
            positions=a["positions"],
            cell=a["cell"],
            pbc=a["pbc"],
            masses=a["masses"],
            momenta=a["momenta"],
        )
        if self.meta["fix_com"]:
            atoms.set_constraint(FixCom())
        elif a["fixed"].any():
            atoms.set_constraint(FixAtoms(mask=a["fixed"]))
        return atoms

    def dynamics(self, calculator: Any, atoms: Atoms | None = None, **kwargs: Any) -> Any:
        """The integrator, to go on from here with the same bits.

        Parameters
        ----------
        calculator : mdkern.calculators.Calculator
            With the parameters that the run had.
        atoms : ase.Atoms, optional
            Where the run goes on; by default new ones. Their positions, momenta and cell are replaced.
        **kwargs
            Such as ``trajectory`` and ``logfile``.

        Raises
        ------
        FormatError
            The checkpoint's parameters, cell or variables are none of its integrator's.
        """
        mine = self.atoms() if atoms is None else atoms
        if atoms is not None:
            if not np.array_equal(atoms.numbers, self.arrays["numbers"]):
                raise ValueError("atoms: other elements than those of the checkpoint")
            atoms.positions, atoms.cell = self.arrays["positions"], self.arrays["cell"]
            atoms.set_momenta(self.arrays["momenta"], apply_constraint=False)
        mine.calc = calculator
        kind = getattr(integrators, self.meta["integrator"])
        parameters = self.meta["parameters"]
        try:
            dynamics = kind(mine, **parameters)
            dynamics.restore(self)
        except (AtomsError, UnsupportedError):
            raise
        except (ValueError, TypeError, ArithmeticError) as e:
            raise FormatError(f"checkpoint of {self.meta['integrator']}: {str(e)[:200]}") from None
        if kwargs:
            dynamics = kind(mine, **{**parameters, **kwargs})
            dynamics.restore(self)
        return dynamics


def write_checkpoint(
    path: str | os.PathLike[str], dynamics: NativeDynamics, extra: Mapping[str, Any] | None = None
) -> None:
    """Write the state of a run; an interruption leaves the former file as it was.

    Parameters
    ----------
    path : str
        An ``.npz`` file, replaced where it exists.
    dynamics : NativeDynamics
    extra : dict, optional
        Kept with it; JSON types.
    """
    arrays, meta = dynamics.state()
    meta = {"format": _FORMAT, **meta, "extra": dict(extra or {})}
    write_archive(path, {"meta": meta_array(meta), **arrays})


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint. The file is data: nothing in it is executed, and sizes are checked first.

    Parameters
    ----------
    path : path-like
        What :func:`write_checkpoint` wrote.

    Returns
    -------
    Checkpoint
        With ``arrays``: atoms, momenta, and what the neighbor list was built from; and ``meta``: integrator, its parameters, steps done,
        potential energy (eV), version, instruction set, and under "extra" what the writer added.

    Raises
    ------
    FormatError
        Not a checkpoint, or a damaged one.
    """
    where = os.fspath(path)
    arrays = read_archive(path, "a checkpoint of mdkern")
    if set(arrays) != {*_ARRAYS, "meta"}:
        raise FormatError("not a checkpoint of mdkern: other arrays in it", path=where)
    text = arrays.pop("meta")
    most = _MAX_META + _META_PER_ATOM * arrays["numbers"].size
    if text.dtype != np.uint8 or text.ndim != 1 or text.size > most:
        raise FormatError(
            f"meta: type {text.dtype} and shape {text.shape}; not expected", path=where
        )
    meta = json_of(decode(text.tobytes(), where), where)
    _check_meta(meta, where)
    _check_arrays(arrays, where)
    return Checkpoint({name: a.copy() for name, a in arrays.items()}, meta)


def _check_arrays(arrays: dict[str, Any], where: str) -> None:
    n = arrays["numbers"].size
    for name, (kind, wanted) in _ARRAYS.items():
        a = arrays[name]
        shape = tuple({"n": n, "v": a.size}.get(k, k) for k in wanted)
        if a.dtype != np.dtype(kind) or a.shape != shape or a.size > 3 * _MAX_ATOMS:
            raise FormatError(
                f"{name}: type {a.dtype} and shape {a.shape}; not expected", path=where
            )
        if a.dtype.kind == "f" and not np.isfinite(a).all():
            raise FormatError(f"{name}: has values that are not finite", path=where)
    masses, fixed = arrays["masses"], arrays["fixed"]
    if not ((masses > 0.0) | (fixed & (masses == 0.0))).all():
        raise FormatError(
            "masses: expected positive numbers, or zero of atoms that are held", path=where
        )
    if arrays["variables"].size > _MAX_VARIABLES:
        raise FormatError(f"variables: {arrays['variables'].size} numbers", path=where)


def _check_meta(meta: Any, where: str) -> None:
    wanted = {
        "format": str,
        "integrator": str,
        "parameters": dict,
        "steps": int,
        "fix_com": bool,
        "version": str,
        "isa": str,
        "extra": dict,
    }
    if not isinstance(meta, dict) or meta.get("format") != _FORMAT:
        raise FormatError(f"not a checkpoint of mdkern; expected {_FORMAT!r}", path=where)
    for name, kind in wanted.items():
        if not isinstance(meta.get(name), kind):
            found = repr(meta.get(name))[:60]
            raise FormatError(f"{name}: {found}; expected {kind.__name__}", path=where)
    energy = meta.get("potential_energy", 0.0)
    if not isinstance(energy, (int, float)) or not abs(energy) < float("inf"):
        raise FormatError(
            f"potential_energy: {str(energy)[:60]}; expected a finite number", path=where
        )
    if meta["integrator"] not in integrators.__all__ or not 0 <= meta["steps"] <= _MAX_STEPS:
        raise FormatError(
            f"integrator {meta['integrator'][:40]!r}, step {meta['steps']}", path=where
        )
    skin = meta["parameters"].get("skin")
    if not isinstance(skin, (int, float)) or not 0.0 <= skin <= _MAX_SKIN:
        raise FormatError(f"skin: {skin!r}; expected 0 to {_MAX_SKIN:g}", path=where)
    given = set(meta["parameters"])
    if not {"timestep", "skin"} <= given or given - _PARAMETERS:
        raise FormatError(f"parameters: {str(sorted(given))[:200]}; not expected", path=where)
