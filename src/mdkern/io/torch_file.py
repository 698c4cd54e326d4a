"""Files of ``torch.save`` and TorchScript, without PyTorch: a zip archive of a pickle and of storages of numbers."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.archive import read_members
from mdkern.io.pickled import PERSISTENT, Name, Record, read_pickle

__all__ = ["TorchFile", "read_torch_file"]

_MAX_MEMBERS = 20_000
_MAX_DIMENSIONS = 8
_PASSING = 16
_DTYPES = {
    "torch.DoubleStorage": "<f8",
    "torch.FloatStorage": "<f4",
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.BoolStorage": "|u1",
}
_PARAMETERS = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")
_TENSOR = "torch._utils._rebuild_tensor_v2"


class TorchFile:
    """What the pickle of a file holds, and the numbers that it refers to.

    Attributes
    ----------
    path : str
    root : object
        See :func:`mdkern.io.pickled.read_pickle`.
    members : dict of bytes
        By name, without the name of the archive.
    """

    def __init__(self, path: str, root: Any, members: dict[str, bytes]) -> None:
        self.path = path
        self.root = root
        self.members = members
        # Tensors may share storages, so that there is no end to what a small file holds.
        self._left = sum(map(len, members.values()))
        self._passing = _PASSING * self._left

    @property
    def is_script(self) -> bool:
        """Whether it is a TorchScript file."""
        return any(name.startswith("code/") for name in self.members)

    def dtype(self, value: Any, where: str) -> str:
        """Name of the type of a tensor's numbers: "float32"."""
        return str(self._parts(value, where)[0])

    def array(self, value: Any, where: str, kept: bool = True) -> NDArray[Any]:
        """Numbers of a tensor or parameter, in the type that they have in the file; read-only.

        Those that are kept may not have more bytes together than the file; others, of which little is taken, some times as many.

        Raises
        ------
        FormatError
            What stands there is no tensor, or one that does not fit its storage.
        UnsupportedError
            Numbers of other kinds, tensors of other kinds.
        """
        dtype, data, offset, shape, strides = self._parts(value, where)
        size = dtype.itemsize
        self._passing -= math.prod(shape) * size
        self._left -= math.prod(shape) * size if kept else 0
        if min(self._left, self._passing) < 0:
            raise FormatError(f"{where}: tensors that have more bytes together than the file", self.path)  # fmt: skip
        if not math.prod(shape):
            return np.zeros(shape, dtype)
        # NumPy checks once more that all of it is within the bytes.
        steps = tuple(n * size for n in strides)
        array: NDArray[Any] = np.ndarray(shape, dtype, data, offset * size, steps)
        return array

    def _parts(
        self, value: Any, where: str
    ) -> tuple[np.dtype[Any], bytes, int, tuple[int, ...], tuple[int, ...]]:
        """Type, bytes, offset, shape and strides of a tensor, checked."""

        def bad(what: str) -> FormatError:
            return FormatError(f"{where}: {what}", self.path)

        if isinstance(value, Record) and value.name in _PARAMETERS and value.args:
            value = value.args[0]
        if not isinstance(value, Record):
            raise bad("no tensor; expected one")
        if value.name != _TENSOR:
            raise UnsupportedError(f"{self.path}: {where}: {value.name} is not read; {_TENSOR} is")
        if len(value.args) < 4:
            raise bad("a tensor without size and strides")
        storage, offset, shape, strides = value.args[:4]
        identity = storage.args[0] if isinstance(storage, Record) and storage.args else None
        if not isinstance(storage, Record) or storage.name != PERSISTENT:
            raise bad("a tensor without a storage")
        if not isinstance(identity, tuple) or len(identity) != 5 or identity[0] != "storage":
            raise bad("a storage that is not identified")
        kind, key, count = identity[1], identity[2], identity[4]
        if not isinstance(kind, Name) or kind.name not in _DTYPES:
            said = kind.name if isinstance(kind, Name) else "unknown"
            raise UnsupportedError(f"{self.path}: {where}: numbers of {said}; double and single precision are read")  # fmt: skip
        dtype = np.dtype(_DTYPES[kind.name])
        data = self.members.get(f"data/{key}") if isinstance(key, str) else None
        if data is None:
            raise bad("no such storage in the file")
        if not _is_size(count) or count * dtype.itemsize != len(data):
            raise bad(f"a storage of {len(data)} bytes; expected {dtype.itemsize} for each number")
        if not isinstance(shape, tuple) or not isinstance(strides, tuple):
            raise bad("a tensor without size and strides")
        sizes = (offset, *shape, *strides)
        if len(shape) != len(strides) or len(shape) > _MAX_DIMENSIONS or not all(map(_is_size, sizes)):  # fmt: skip
            raise bad("size and strides that do not fit together")
        last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        repeated = any(n > 1 and not step for n, step in zip(shape, strides, strict=True))
        total = math.prod(shape)
        if math.prod(max(n, 1) for n in shape) >= 2**48:
            raise bad(f"shape {shape}; too large")
        if total and (repeated or total > count or last >= count):
            raise bad(f"shape {shape} with strides {strides} in a storage of {count} numbers")
        return dtype, data, offset, shape, strides


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**48


def read_torch_file(path: str | os.PathLike[str], what: str) -> TorchFile:
    """Read an archive of ``torch.save`` or TorchScript. Nothing in it is executed or imported.

    Parameters
    ----------
    path : str
    what : str
        What is expected, for messages: "a MACE model".

    Raises
    ------
    FormatError
        It is damaged, or unpacks to much more than its size.
    UnsupportedError
        Numbers of big-endian machines, pickles of other protocols.
    OSError
        The file cannot be read.
    """
    name = os.fspath(path)
    members = read_members(path, what, _MAX_MEMBERS)
    roots = [x.removesuffix("data.pkl") for x in members if x.endswith("/data.pkl") and x.count("/") == 1]  # fmt: skip
    if len(roots) != 1:
        raise FormatError(f"not {what}: expected one member NAME/data.pkl", name)
    inside = {x.removeprefix(roots[0]): data for x, data in members.items() if x.startswith(roots[0])}  # fmt: skip
    if inside.get("byteorder", b"little").strip() != b"little":
        raise UnsupportedError(f"{name}: numbers of a big-endian machine are not read")
    return TorchFile(name, read_pickle(inside.pop("data.pkl"), name, "data.pkl"), inside)
