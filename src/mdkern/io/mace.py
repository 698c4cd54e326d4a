"""MACE models: ``.npz`` of mdkern, and what torch.save writes (``.model``), without PyTorch."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from mdkern.errors import FormatError
from mdkern.io.archive import read_archive
from mdkern.io.documents import decode, json_of
from mdkern.io.files import FileModel
from mdkern.io.foreign import check_foreign, members
from mdkern.io.mace_contract import check_model
from mdkern.io.mace_modules import read_modules
from mdkern.io.torch_file import read_torch_file

__all__ = ["MaceModel", "is_mace", "mace_format", "read_mace", "write_mace"]

_WHAT = "a MACE model"
MAX_META_BYTES = 2**20
_MODULE = re.compile(rb"\x80\x02cmace\.")  # a pickle that begins with a class of MACE's
_MARKS = {b"meta.npy", b"node_embedding.npy", b"atomic_numbers.npy"}


@dataclass(frozen=True, slots=True, eq=False)
class MaceModel(FileModel):
    """A MACE model, checked.

    Attributes
    ----------
    path : str
    meta : dict
        What the model is: heads, radial basis, layers, readouts.
    arrays : dict
        float64 and whole numbers by name, C-contiguous; their shapes follow from `meta`. Constants, fan-ins and norms of
        paths are folded into the weights.
    """

    path: str
    meta: dict[str, Any]
    arrays: dict[str, NDArray[Any]]

    @property
    def species(self) -> tuple[str, ...]:
        """Chemical symbols in the order of the species numbers."""
        return tuple(chemical_symbols[int(z)] for z in self.arrays["atomic_numbers"])

    @property
    def cutoff(self) -> float:
        """Of each layer, in Angstrom."""
        return float(self.meta["radial"]["r_max"])

    def head(self, name: str | None) -> int:
        """Number of the head with this name; None: the only one, or the one that is called default, in capitals or not.

        Raises
        ------
        ValueError
            No such head, or none that is the default.
        """
        heads: list[str] = self.meta["heads"]
        if name is None:
            found = [x for x in heads if len(heads) == 1 or x.lower() == "default"]
            name = found[0] if len(found) == 1 else None
        if name not in heads:
            raise ValueError(f"head: {name!r}; expected one of {', '.join(map(repr, heads))}")
        return heads.index(name)


def mace_format(path: str | os.PathLike[str]) -> str | None:
    """ "npz", "model" (torch.save) or "script" (TorchScript) by the file's content; None: not a MACE model."""
    names, seen = members(path)
    if set(names) >= _MARKS:
        return "npz"
    archive = names[0].partition(b"/")[0] if names else b""
    if archive + b"/data.pkl" not in names:
        return None
    # Modules hold archives of their own, so that the name of the outer one counts.
    if any(name.startswith(archive + b"/code/__torch__/mace/") for name in names):
        return "script"
    return "model" if _MODULE.search(seen) else None


def is_mace(path: str | os.PathLike[str]) -> bool:
    """Whether the file is an archive with the arrays of a MACE model, or with a module of MACE's as PyTorch saves it."""
    return mace_format(path) is not None


def read_mace(path: str | os.PathLike[str]) -> MaceModel:
    """Read a model, told by its content.

    Raises
    ------
    FormatError
        The file does not follow the format; names the file, the array or key, and the value.
    UnsupportedError
        The model asks for something that is not evaluated; names it.
    OSError
        The file cannot be read.
    """
    name = os.fspath(path)
    kind = mace_format(path)
    if kind is None:
        check_foreign(path)
    if kind in ("model", "script"):
        return MaceModel(name, *check_model(path, *read_modules(read_torch_file(path, _WHAT))))
    arrays = read_archive(path, _WHAT)
    meta = arrays.get("meta")
    if meta is None:
        raise FormatError("no array 'meta': not a MACE model", name)
    if meta.dtype != np.uint8 or meta.ndim != 1 or len(meta) > MAX_META_BYTES:
        raise FormatError(
            f"meta: {meta.dtype} array of shape {meta.shape}; expected at most {MAX_META_BYTES} bytes of JSON",
            name,
        )
    return MaceModel(name, *check_model(path, json_of(decode(meta.tobytes(), name), name), arrays))


def write_mace(path: str | os.PathLike[str], model: MaceModel) -> None:
    """Write an ``.npz`` file; an existing one is replaced."""
    meta = np.frombuffer(json.dumps(model.meta).encode(), np.uint8)
    arrays: dict[str, Any] = {"meta": meta, **model.arrays}
    with Path(path).open("wb") as file:
        np.savez(file, **arrays)
