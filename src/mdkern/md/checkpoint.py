"""Checkpoints: all that a run needs to go on with the same bits, in a file that is never half written."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixCom

from mdkern.errors import FormatError
from mdkern.md import integrators
from mdkern.md.dynamics import NativeDynamics

__all__ = ["Checkpoint", "read_checkpoint", "write_checkpoint"]

_FORMAT = "mdkern checkpoint 1"
_MAX_ATOMS = 2**29
_MAX_VARIABLES = 10_000
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
        """
        mine = self.atoms() if atoms is None else atoms
        if atoms is not None:
            if not np.array_equal(atoms.numbers, self.arrays["numbers"]):
                raise ValueError("atoms: other elements than those of the checkpoint")
            atoms.positions, atoms.cell = self.arrays["positions"], self.arrays["cell"]
            atoms.set_momenta(self.arrays["momenta"], apply_constraint=False)
        mine.calc = calculator
        kind = getattr(integrators, self.meta["integrator"])
        dynamics = kind(mine, **{**self.meta["parameters"], **kwargs})
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
    target = Path(path)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, meta=np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8), **arrays)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint. The file is data: nothing in it is executed, and sizes are checked first.

    Raises
    ------
    FormatError
        Not a checkpoint, or a damaged one.
    """
    where = os.fspath(path)
    with Path(path).open("rb"):
        pass
    try:
        _check_sizes(where)
        with np.load(where, allow_pickle=False) as file:
            meta = json.loads(bytes(file["meta"]).decode())
            arrays = {name: np.array(file[name]) for name in _ARRAYS}
    except FormatError:
        raise
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, RecursionError) as e:
        raise FormatError(f"not a checkpoint of mdkern: {e}", path=where) from None
    _check_meta(meta, where)
    for name, a in arrays.items():
        if a.dtype.kind == "f" and not np.isfinite(a).all():
            raise FormatError(f"{name}: has values that are not finite", path=where)
    return Checkpoint(arrays, meta)


def _check_sizes(where: str) -> None:
    """Names, types and shapes from the headers of the archive's members."""
    with zipfile.ZipFile(where) as archive:
        members = {m.filename: m for m in archive.infolist()}
        if set(members) != {f"{name}.npy" for name in (*_ARRAYS, "meta")}:
            raise FormatError("not a checkpoint of mdkern: other arrays in it", path=where)
        n = -1
        for name in (*_ARRAYS, "meta"):
            member = members[f"{name}.npy"]
            with archive.open(member) as stream:
                version = np.lib.format.read_magic(stream)
                if version != (1, 0):
                    raise FormatError(f"{name}: NPY version {version}; expected (1, 0)", path=where)
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
                size = int(np.prod(shape, dtype=object)) * dtype.itemsize
                if member.file_size != stream.tell() + size:
                    raise FormatError(
                        f"{name}: {member.file_size} bytes for shape {shape}", path=where
                    )
            if name == "meta":
                fits = (
                    dtype == np.uint8 and len(shape) == 1 and size <= _MAX_META + _META_PER_ATOM * n
                )
            else:
                kind, wanted = _ARRAYS[name]
                if name == "numbers" and len(shape) == 1:
                    n = shape[0]
                want = tuple({"n": n, "v": shape[0] if shape else -1}.get(k, k) for k in wanted)
                fits = dtype == np.dtype(kind) and shape == want and not fortran
                fits = (
                    fits and n <= _MAX_ATOMS and (name != "variables" or size <= 8 * _MAX_VARIABLES)
                )
            if not fits:
                raise FormatError(
                    f"{name}: type {dtype} and shape {shape}; not expected", path=where
                )


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
            raise FormatError(f"{name}: {meta.get(name)!r}; expected {kind.__name__}", path=where)
    energy = meta.get("potential_energy", 0.0)
    if not isinstance(energy, (int, float)) or not abs(energy) < float("inf"):
        raise FormatError(f"potential_energy: {energy!r}; expected a finite number", path=where)
    if meta["integrator"] not in integrators.__all__ or meta["steps"] < 0:
        raise FormatError(f"integrator {meta['integrator']!r}, step {meta['steps']}", path=where)
