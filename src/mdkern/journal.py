"""What a run over many frames has finished, in a file that outlives it."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import struct
import sys
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mdkern.checks import shown
from mdkern.errors import FormatError, InUseError

__all__ = ["Journal", "digest", "is_journal"]

_MARK = b"mdkern journal 1\n"
# Of a record: bytes of the digests, of the description in JSON, of the numbers; a checksum of the three.
_SIZES = struct.Struct("<QQQI")
_BYTES = 16  # of a digest
# The byte that is locked on Windows, where nobody reads a locked one: behind all journals.
_LOCKED = 2**31 - 2


def digest(arrays: Iterable[Any]) -> bytes:
    """What tells a frame from others: a hash of the bytes, types and shapes of its arrays."""
    out = hashlib.sha256()
    for array in arrays:
        a = np.ascontiguousarray(array)
        out.update(f"{a.dtype.str}{a.shape}".encode())
        out.update(a.data if a.size else b"")
    return out.digest()[:_BYTES]


def is_journal(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a journal, of whatever job."""
    with Path(path).open("rb") as file:
        return file.read(len(_MARK)) == _MARK


class Journal:
    """Results by the content of their frames, so that frames may come in another order, or more of them.

    Records are appended; one that was cut off, as by a kill, is removed when the file is opened again. Nothing in the file is run:
    it has numbers, texts and JSON.

    Parameters
    ----------
    path : path-like
        Made where it does not exist.
    job : str
        What is done with the frames: model and wanted results. A file of another job is refused.

    Raises
    ------
    FormatError
        Another kind of file, or the journal of another job.
    InUseError
        Another process writes to it.
    """

    def __init__(self, path: str | os.PathLike[str], job: str) -> None:
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"journal: {shown(path)}; expected the path of a file")
        self.path = os.fspath(path)
        self._places: dict[bytes, tuple[int, int]] = {}  # record, and which of its frames
        self._last: tuple[int, list[dict[str, Any]]] = (-1, [])
        head = _MARK + json.dumps({"job": job}).encode() + b"\n"
        # Not truncated, made where there is none.
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self._file = os.fdopen(os.open(self.path, flags, 0o666), "r+b")
        try:
            self._lock()
            if os.fstat(self._file.fileno()).st_size == 0:
                self._file.write(head)
                self._file.flush()
            self._check(head)
            self._end = self._scan(len(head))
        except BaseException:
            self._file.close()
            raise

    def _lock(self) -> None:
        """Until the file is closed."""
        try:
            if sys.platform == "win32":
                import msvcrt

                handle = self._file.fileno()
                os.lseek(handle, _LOCKED, os.SEEK_SET)
                try:
                    msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
                finally:
                    os.lseek(handle, 0, os.SEEK_SET)
            else:
                import fcntl

                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            if e.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
                raise InUseError(f"{self.path}: another run writes to this journal") from None
            return  # a file system without locks

    def _check(self, head: bytes) -> None:
        self._file.seek(0)
        found = self._file.read(len(head))
        if not found.startswith(_MARK[: len(found)]) or not found:
            raise FormatError("no journal of mdkern; expected one, or no file", self.path)
        if found != head:
            raise FormatError(
                "the journal of another model, or of other results; remove it, or name another file",
                self.path,
            )

    def _scan(self, at: int) -> int:
        """Find all whole records; what follows them is cut off."""
        size = os.fstat(self._file.fileno()).st_size
        while True:
            self._file.seek(at)
            parts = self._record(size - at)
            if parts is None:
                break
            digests = parts[0]
            for k in range(len(digests) // _BYTES):
                self._places[digests[k * _BYTES : (k + 1) * _BYTES]] = (at, k)
            at += _SIZES.size + sum(map(len, parts))
        self._file.truncate(at)
        return at

    def _record(self, left: int) -> list[bytes] | None:
        """The three parts of the record here; None where it is not whole."""
        if left < _SIZES.size:
            return None
        *sizes, checksum = _SIZES.unpack(self._file.read(_SIZES.size))
        if sum(sizes) > left - _SIZES.size:
            return None
        parts = [self._file.read(n) for n in sizes]
        return parts if zlib.crc32(b"".join(parts)) == checksum else None

    def __len__(self) -> int:
        """Frames that are finished."""
        return len(self._places)

    def get(self, key: bytes) -> dict[str, Any] | None:
        """The result of a frame by its `digest`, if it is there."""
        place = self._places.get(key)
        if place is None:
            return None
        at, k = place
        if self._last[0] != at:
            self._file.seek(at)
            parts = self._record(self._end - at)
            if parts is None:
                raise FormatError(f"changed while it was open, at byte {at}", self.path)
            try:
                self._last = (at, _unpacked(parts[1], parts[2]))
            except (ValueError, TypeError, AttributeError, IndexError) as e:
                raise FormatError(f"damaged at byte {at}: {e}", self.path) from e
        if k >= len(self._last[1]):
            raise FormatError(f"damaged at byte {at}: {len(self._last[1])} results", self.path)
        # Frames with the same content have one entry: each result is its own.
        entries = self._last[1][k].items()
        return {name: x.copy() if isinstance(x, np.ndarray) else x for name, x in entries}

    def add(self, keys: Sequence[bytes], results: Sequence[dict[str, Any]]) -> None:
        """Append the results of some frames; they are in the file when this returns."""
        if not keys:
            return
        parts = [b"".join(keys), *_packed(results)]
        checksum = zlib.crc32(b"".join(parts))
        self._file.seek(self._end)
        self._file.write(_SIZES.pack(*map(len, parts), checksum) + b"".join(parts))
        self._file.flush()
        for k, key in enumerate(keys):
            self._places[key] = (self._end, k)
        self._end = self._file.tell()

    def close(self) -> None:
        """Close the file, which gives it free for others."""
        self._file.close()


def _packed(results: Sequence[dict[str, Any]]) -> tuple[bytes, bytes]:
    """Numbers and texts in JSON, which keeps their bits; arrays one behind the other."""
    blocks: list[bytes] = []
    described = []
    for result in results:
        entries = {}
        for name, value in result.items():
            if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
                entries[name] = [value.dtype.str, value.shape]
                blocks.append(np.ascontiguousarray(value).tobytes())
            else:
                entries[name] = value.item() if isinstance(value, np.generic) else value
        described.append(entries)
    try:
        text = json.dumps(described)
    except TypeError as e:
        raise TypeError(f"results that a journal cannot keep: {e}") from None
    return text.encode(), b"".join(blocks)


def _unpacked(text: bytes, block: bytes) -> list[dict[str, Any]]:
    at = 0
    results = json.loads(text)
    for result in results:
        for name, value in result.items():
            if isinstance(value, list):
                dtype, shape = np.dtype(str(value[0])), tuple(value[1])
                if dtype.kind not in "fiub":
                    raise ValueError(f"numbers of type {dtype}")
                if not all(type(n) is int and n >= 0 for n in shape):
                    raise ValueError(f"an array of shape {shape}")
                size = math.prod(shape)
                if size * dtype.itemsize > len(block) - at:
                    raise ValueError(f"an array of shape {shape}, which is not there")
                array = np.frombuffer(block, dtype, size, at)
                result[name] = array.reshape(shape).copy()
                at += size * dtype.itemsize
    return list(results)
