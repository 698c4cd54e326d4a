"""Restart files: all that a relaxation needs to go on with the same bits, in a file that is never half written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from mdkern.checks import shown
from mdkern.errors import FormatError
from mdkern.io.archive import meta_array, read_archive, write_archive
from mdkern.io.documents import decode, json_of

__all__ = ["read_restart", "write_restart"]

_FORMAT = "mdkern relaxation 1"
_MAX_META = 1 << 20  # bytes of JSON
_MAX_ATOMS = 2**29
# Name, kind of number, shape; n: atoms, r: rows of coordinates.
_ARRAYS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "numbers": ("<i8", ("n",)),
    "pbc": ("|b1", (3,)),
    "positions": ("<f8", ("n", 3)),
    "coordinates": ("<f8", ("r", 3)),
    "built_positions": ("<f8", ("n", 3)),
    "cell": ("<f8", (3, 3)),
    "built_cell": ("<f8", (3, 3)),
    "first_cell": ("<f8", (3, 3)),
    "deformation": ("<f8", (3, 3)),
    "logarithm": ("<f8", (3, 3)),
}
_META = {
    "format": str,
    "optimizer": str,
    "parameters": dict,
    "cell": dict,
    "steps": int,
    "version": str,
    "isa": str,
}


def write_restart(path: str | os.PathLike[str], optimizer: Any) -> None:
    """Write the state of a relaxation; an interruption leaves the former file as it was."""
    arrays, meta = optimizer.state()
    write_archive(path, {"meta": meta_array({"format": _FORMAT, **meta}), **arrays})


def read_restart(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Arrays and plain values of a restart file; None where there is no file yet.

    The file is data: nothing in it is executed, and sizes are checked first.

    Raises
    ------
    FormatError
        Not a restart file, or a damaged one.
    OSError
        It could not be written there.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"restart: {shown(path)}; expected the path of a file")
    where = os.fspath(path)
    if Path(where).is_dir():
        raise IsADirectoryError(f"restart: {where} is a folder; expected the path of a file")
    if not Path(where).is_file():
        if not Path(where).absolute().parent.is_dir():
            raise FileNotFoundError(f"restart: {where}; expected a file in a folder that exists")
        return None
    arrays = read_archive(path, "a restart file of mdkern.optimize")
    own = {name for name in arrays if name.startswith("optimizer_")}
    if set(arrays) - own != {*_ARRAYS, "meta"}:
        raise FormatError(
            "not a restart file of mdkern.optimize: other arrays in it; ASE's own files are for ASE's optimizers",
            path=where,
        )
    text = arrays.pop("meta")
    if text.dtype != np.uint8 or text.ndim != 1 or text.size > _MAX_META:
        raise FormatError(
            f"meta: type {text.dtype} and shape {text.shape}; not expected", path=where
        )
    meta = json_of(decode(text.tobytes(), where), where)
    _check_meta(meta, where)
    _check_arrays(arrays, own, meta["cell"].get("kind") != "none", where)
    return {name: a.copy() for name, a in arrays.items()}, meta


def _check_meta(meta: Any, where: str) -> None:
    if not isinstance(meta, dict) or meta.get("format") != _FORMAT:
        raise FormatError(f"not a restart file; expected {_FORMAT!r}", path=where)
    for name, kind in _META.items():
        if not isinstance(meta.get(name), kind):
            found = repr(meta.get(name))[:60]
            raise FormatError(f"{name}: {found}; expected {kind.__name__}", path=where)
    if not 0 <= meta["steps"] <= 2**62:
        raise FormatError(f"steps: {meta['steps']}; expected zero or more", path=where)


def _check_arrays(arrays: dict[str, Any], own: set[str], cell: bool, where: str) -> None:
    n = arrays["numbers"].size
    sizes = {"n": n, "r": n + 3 if cell else n}
    for name, a in arrays.items():
        kind, wanted = ("<f8", (a.size,)) if name in own else _ARRAYS[name]
        shape = tuple(sizes.get(k, k) for k in wanted)
        if a.dtype != np.dtype(kind) or a.shape != shape or n > _MAX_ATOMS:
            raise FormatError(
                f"{name}: type {a.dtype} and shape {a.shape}; not expected", path=where
            )
        if a.dtype.kind == "f" and not np.isfinite(a).all():
            raise FormatError(f"{name}: has values that are not finite", path=where)
