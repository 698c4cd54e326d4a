"""Arrays in an ``.npz`` file that is not trusted: no pickle, and no more memory than the file's size allows."""

from __future__ import annotations

import io
import json
import math
import os
import re
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdkern.errors import FormatError
from mdkern.io.files import read_bytes

__all__ = ["meta_array", "read_archive", "read_members", "write_archive"]

MAX_FILE_BYTES = 2**31
_UNPACKED = 16 * 2**20  # bytes that arrays may have beyond twice those of the file
_MAX_NUMBERS = 2**40
_MAX_MEMBERS = 1000
_ENTRY = b"PK\x01\x02"  # begins a member in the archive's list
# The header as NumPy writes it, of plain types.
_HEADER = re.compile(
    rb"\{'descr': '([<>|][fiubUS])([0-9]{1,9})', 'fortran_order': (True|False), 'shape': "
    rb"\(((?:[0-9]{1,18}, ?)*[0-9]{0,18})\),? ?\}\s*"
)


def read_archive(path: str | os.PathLike[str], what: str) -> dict[str, NDArray[Any]]:
    """Arrays by name; read-only.

    Parameters
    ----------
    path : str
    what : str
        What is expected, for messages: "a linear model".

    Raises
    ------
    FormatError
        No archive, a damaged one, or one that unpacks to much more than its size; arrays of other things than numbers and texts.
    OSError
        The file cannot be read.
    """
    members = read_members(path, what)
    try:
        return {name: _array(members.pop(name), name) for name in list(members)}
    except (OverflowError, ValueError) as e:
        raise FormatError(f"not {what}: {str(e)[:200]}", os.fspath(path)) from None


def meta_array(values: Mapping[str, Any]) -> NDArray[np.uint8]:
    """JSON types as an array of bytes, for :func:`write_archive`."""
    return np.frombuffer(json.dumps(values).encode(), dtype=np.uint8)


def write_archive(path: str | os.PathLike[str], arrays: Mapping[str, Any]) -> None:
    """Write an ``.npz`` file; an interruption leaves the former file as it was."""
    target = Path(path)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **arrays)
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


def read_members(
    path: str | os.PathLike[str], what: str, most: int = _MAX_MEMBERS
) -> dict[str, bytes]:
    """Members of a zip archive by name, without an ending ``.npy``; at most as many as `most`, none of a name twice.

    Raises
    ------
    FormatError
        No archive, a damaged one, or one that unpacks to much more than its size.
    OSError
        The file cannot be read.
    """
    name = os.fspath(path)
    data = read_bytes(path, MAX_FILE_BYTES)
    out: dict[str, bytes] = {}
    if data.count(_ENTRY) > 2 * most:  # each takes some memory before it can be looked at
        raise FormatError(f"not {what}: more than {most} arrays", name)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            size = sum(item.file_size for item in members)
            if size > 2 * len(data) + _UNPACKED or len(members) > most:
                raise FormatError(
                    f"not {what}: {len(members)} arrays of {size} bytes in {len(data)}", name
                )
            for item in members:
                label = item.filename.removesuffix(".npy")
                if label in out:
                    raise FormatError(f"not {what}: two arrays {label!r}", name)
                with archive.open(item) as stream:
                    out[label] = stream.read(item.file_size + 1)
    except FormatError:
        raise
    except (
        zipfile.BadZipFile, zlib.error, EOFError, OSError, OverflowError, ValueError, RuntimeError, LookupError,
    ) as e:  # fmt: skip
        # NotImplementedError is a RuntimeError: encryption, other ways of compression.
        raise FormatError(f"not {what}: {str(e)[:200]}", name) from None
    return out


def _array(npy: bytes, label: str) -> NDArray[Any]:
    wide = npy[6:7] in (b"\x02", b"\x03")
    start = 12 if wide else 10
    end = start + int.from_bytes(npy[8:start], "little")
    header = _HEADER.fullmatch(npy[start:end])
    if npy[:6] != b"\x93NUMPY" or header is None:
        raise ValueError(f"{label}: not an array of plain numbers or texts")
    kind, item, fortran, dims = header.groups()
    shape = tuple(int(n) for n in dims.replace(b" ", b"").split(b",") if n)
    dtype = np.dtype((kind + item).decode())
    n = math.prod(shape)
    if math.prod(max(d, 1) for d in shape) > _MAX_NUMBERS or len(npy) - end != n * dtype.itemsize:
        raise ValueError(f"{label}: {len(npy) - end} bytes for shape {str(shape)[:60]} of {dtype}")
    if not n or not dtype.itemsize:
        return np.zeros(shape, dtype)
    flat = np.frombuffer(npy, dtype, n, end)
    return flat.reshape(shape, order="F" if fortran == b"True" else "C")
