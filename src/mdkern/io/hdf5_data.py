"""Types, shapes and bytes of the datasets and attributes of HDF5 files."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdkern.errors import FormatError
from mdkern.io.hdf5_file import NOTHING, Bytes, show_shape
from mdkern.io.hdf5_trees import chunks_of_fixed_array, chunks_of_tree, records

__all__ = ["TEXT", "Dataset", "datatype", "extent", "read_array"]

TEXT = np.dtype("V16")  # a text of any length: number of bytes, address of a heap, number in it
_IEEE = {
    2: (10, 5, 0, 10),
    4: (23, 8, 0, 23),
    8: (52, 11, 0, 52),
}  # exponent, its bits, mantissa, its bits
_MAX_NUMBERS = 2**48
_DEFLATE, _SHUFFLE, _FLETCHER32 = 1, 2, 3


def extent(file: Bytes, at: int) -> tuple[int, ...] | None:
    """Shape of a dataspace; None: it has no numbers at all."""
    version, rank, _, kind = file.unpack("BBBB", at)
    if version not in (1, 2) or rank > 32 or (version == 2 and kind > 2):
        file.fail(f"dataspace at {at} of version {version}, rank {rank}")
    shape: tuple[int, ...] = file.unpack(f"{rank}Q", at + (8 if version == 1 else 4))
    if math.prod(max(n, 1) for n in shape) > _MAX_NUMBERS:  # NumPy counts so
        file.fail(f"shape {show_shape(shape)}")
    return None if version == 2 and kind == 2 else shape


def datatype(file: Bytes, at: int, name: str) -> np.dtype[Any]:
    """Whole and IEEE numbers, texts of fixed length, and `TEXT`."""
    kind, bits, _, _, size = file.unpack("BBBBI", at)
    if not 1 <= kind >> 4 <= 5:
        file.fail(f"{name!r}: a type of version {kind >> 4}")
    kind &= 15
    if kind == 9 and bits & 15 == 1:
        return TEXT
    if kind == 3 and 0 < size <= 2**20:
        return np.dtype(f"S{size}")
    if kind in (0, 1):
        offset, precision = file.unpack("HH", at + 8)
        whole = offset == 0 and precision == 8 * size
        order = ">" if bits & 1 else "<"
        if kind == 0 and whole and size in (1, 2, 4, 8):
            return np.dtype(f"{order}{'i' if bits & 8 else 'u'}{size}")
        if (
            kind == 1
            and whole
            and not bits & 0x40
            and _IEEE.get(size) == file.unpack("BBBB", at + 12)
        ):
            return np.dtype(f"{order}f{size}")
    return file.refuse(f"{name!r}, of another HDF5 type than numbers and texts,")


def read_array(
    file: Bytes, dtype: np.dtype[Any], shape: tuple[int, ...], at: int, name: str
) -> NDArray[Any]:
    """Numbers that stand one after the other; read-only."""
    n_bytes = file.grant(shape, dtype.itemsize, name)
    if not 0 <= at <= len(file.data) - n_bytes:
        file.fail(f"{name!r} goes beyond the end")
    return np.frombuffer(file.data, dtype, math.prod(shape), at).reshape(shape)


@dataclass
class Dataset:
    """A dataset: its shape and type, and where its numbers stand.

    Attributes
    ----------
    name : str
    shape : tuple of int
    dtype : dtype
    """

    file: Bytes
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    layout: int  # address of the message
    fill: bytes = b""
    filters: list[int] = field(default_factory=list)

    @classmethod
    def at(cls, file: Bytes, header: int, name: str) -> Dataset:
        """The dataset of a header.

        Raises
        ------
        FormatError
            Damaged, or a group.
        UnsupportedError
            External data, types that are not numbers or texts, other filters than deflate, shuffle, fletcher32.
        """
        shape: tuple[int, ...] | None = None
        dtype: np.dtype[Any] | None = None
        layout = -1
        fill, filters = b"", []
        for kind, at, size in file.messages(header):
            if kind == 0x01:
                shape = extent(file, at)
            elif kind == 0x03:
                dtype = datatype(file, at, name)
            elif kind == 0x05:
                fill = _fill(file, at)
            elif kind == 0x08:
                layout = at
            elif kind == 0x0B:
                filters = _pipeline(file, at, size, name)
            elif kind == 0x07:
                file.refuse(f"{name!r}, whose data are in another file,")
            elif kind in (0x02, 0x11):
                raise FormatError(f"{name!r}: a group; expected numbers", file.path)
        if shape is None or dtype is None or layout < 0:
            file.fail(f"dataset {name!r} lacks its shape, type or place")
        return cls(file, name, shape, dtype, layout, fill, filters)

    def read(self, rows: int | None = None) -> NDArray[Any]:
        """The numbers, or those of the first rows; read-only where they stand in the file in one piece."""
        file, name = self.file, self.name
        shape = self.shape if rows is None else (rows, *self.shape[1:])
        version, kind = file.unpack("BB", self.layout)
        if version not in (3, 4, 5) or kind > 2:
            file.refuse(f"dataset {name!r} with an HDF5 layout of version {version}, class {kind},")
        n_bytes = math.prod(shape) * self.dtype.itemsize
        if kind == 2:
            return self._chunked(version, shape)
        if kind == 0:
            (size,) = file.unpack("H", self.layout + 2)
            at = self.layout + 4
        else:
            at, size = file.unpack("QQ", self.layout + 2)
            if at == NOTHING:
                return self._empty(shape)
        if size < n_bytes:
            file.fail(f"{name!r}: {size} bytes for shape {show_shape(shape)} of {self.dtype}")
        return read_array(file, self.dtype, shape, at, name)

    def _empty(self, shape: tuple[int, ...]) -> NDArray[Any]:
        self.file.grant(shape, self.dtype.itemsize, self.name)
        out = np.zeros(shape, self.dtype)
        if len(self.fill) == self.dtype.itemsize and any(self.fill):
            out[...] = np.frombuffer(self.fill, self.dtype)[0]
        return out

    def _chunked(self, version: int, shape: tuple[int, ...]) -> NDArray[Any]:
        file, rank, item = self.file, len(shape), self.dtype.itemsize
        at = self.layout + 2
        if version == 3:
            dims, tree, *sides = file.unpack(f"BQ{rank + 1}I", at)
        else:
            flags, dims, width = file.unpack("BBB", at)
            at += 3
            sides = [file.integer(min(width, 8), at + k * width) for k in range(rank + 1)]
            at += width * (rank + 1)
        if (
            dims != rank + 1
            or not rank
            or not all(0 < s <= 2**32 for s in sides)
            or sides[-1] != item
        ):
            file.fail(f"{self.name!r}: chunks of {dims} dimensions, {sides}")
        chunk = tuple(sides[:rank])
        n_bytes = math.prod(chunk) * item
        if n_bytes > len(file.data) + file.room:
            file.fail(f"{self.name!r}: chunks of {n_bytes} bytes")
        counts = tuple(-(-n // c) for n, c in zip(self.shape, chunk, strict=True))
        found: Iterator[tuple[tuple[int, ...], int, int]]
        if version == 3:
            found = (
                (tuple(o // c for o, c in zip(offset, chunk, strict=True)), address, size)
                for offset, address, size in chunks_of_tree(file, tree, rank)
            )
        else:
            found = self._indexed(version, at, flags, counts, n_bytes)
        out = self._empty(shape)
        for index, address, size in found:
            if not out.size or any(i >= c for i, c in zip(index, counts, strict=True)):
                continue  # of rows that were cut off
            begin = tuple(i * c for i, c in zip(index, chunk, strict=True))
            if begin[0] >= shape[0]:
                continue
            block = np.frombuffer(self._unpacked(address, size, n_bytes), self.dtype)
            where = tuple(slice(b, b + c) for b, c in zip(begin, chunk, strict=True))
            part = out[where]
            part[...] = block.reshape(chunk)[tuple(slice(n) for n in part.shape)]
        return out

    def _indexed(
        self, version: int, at: int, flags: int, counts: tuple[int, ...], n_bytes: int
    ) -> Iterator[tuple[tuple[int, ...], int, int]]:
        """Numbers, address and stored bytes of chunks, by the indexes of newer files."""
        file, rank = self.file, len(counts)
        (kind,) = file.unpack("B", at)
        at += 1
        width = 8 if version == 5 else min(8, 1 + (n_bytes.bit_length() + 7) // 8)
        width = width if self.filters else 0
        if kind == 1:
            size = n_bytes
            if flags & 2:
                size, mask = file.unpack("QI", at)
                at += 12
                if mask:
                    file.refuse("an HDF5 chunk that filters left out")
            (address,) = file.unpack("Q", at)
            if address != NOTHING:
                yield (0,) * rank, address, size
        elif kind == 3:
            yield from chunks_of_fixed_array(file, file.unpack("Q", at + 1)[0], counts, width)
        elif kind == 5:
            for found, place, size in records(file, file.unpack("Q", at + 6)[0], (10, 11)):
                head = 8 + (width + 4 if found == 11 else 0)
                if size != head + 8 * rank or (found == 11) != bool(width):
                    file.fail(f"{self.name!r}: records of {size} bytes")
                stored = file.integer(width, place + 8) if width else 0
                if width and file.unpack("I", place + 8 + width)[0]:
                    file.refuse("an HDF5 chunk that filters left out")
                yield file.unpack(f"{rank}Q", place + head), file.unpack("Q", place)[0], stored
        else:
            file.refuse(f"dataset {self.name!r} with chunks in an index of kind {kind}")

    def _unpacked(self, at: int, size: int, n_bytes: int) -> bytes:
        """The bytes of a chunk behind its filters."""
        file = self.file
        file.decoded -= n_bytes
        if file.decoded < 0:
            file.fail(f"{self.name!r}: chunks that are too many for the file")
        data = file.take(at, size if self.filters else n_bytes)
        for kind in reversed(self.filters):
            if kind == _DEFLATE:
                # A sum of four bytes may stand behind the numbers.
                unzip = zlib.decompressobj()
                try:
                    data = unzip.decompress(data, n_bytes + 4)
                except zlib.error as e:
                    file.fail(f"{self.name!r}: {e}")
            elif kind == _SHUFFLE:
                item = self.dtype.itemsize
                whole = len(data) // item * item
                planes = np.frombuffer(data[:whole], np.uint8).reshape(item, -1)
                data = planes.T.tobytes() + data[whole:]
            else:
                data, stored = data[:-4], data[-4:].rjust(4, b"\0")
                if _fletcher32(data) != tuple(x % 65535 for x in struct.unpack("<HH", stored)):
                    file.fail(f"{self.name!r}: a chunk with another sum (fletcher32)")
        if len(data) != n_bytes:
            file.fail(f"{self.name!r}: a chunk of {len(data)} bytes; expected {n_bytes}")
        return data


def _fill(file: Bytes, at: int) -> bytes:
    (version,) = file.unpack("B", at)
    if version == 3:
        size = file.unpack("I", at + 2)[0] if file.unpack("B", at + 1)[0] & 0x20 else 0
        at += 6
    else:
        defined = file.unpack("B", at + 3)[0]
        size = file.unpack("I", at + 4)[0] if defined or version == 1 else 0
        at += 8
    return file.take(at, size) if size <= 8 else b""


def _pipeline(file: Bytes, at: int, size: int, name: str) -> list[int]:
    version, n = file.unpack("BB", at)
    if version not in (1, 2) or n > 32:
        file.fail(f"{name!r}: filters of version {version}")
    end, out = at + size, []
    at += 8 if version == 1 else 2
    for _ in range(n):
        (kind,) = file.unpack("H", at)
        at += 2
        length = 0
        if version == 1 or kind >= 256:
            (length,) = file.unpack("H", at)
            at += 2
        _, values = file.unpack("HH", at)
        at += 4 + (-(-length // 8) * 8 if version == 1 else length)
        at += 4 * (values + (values & 1 if version == 1 else 0))
        if kind not in (_DEFLATE, _SHUFFLE, _FLETCHER32):
            file.refuse(f"dataset {name!r} with HDF5's filter {kind}")
        out.append(kind)
    if at > end:
        file.fail(f"{name!r}: filters longer than their message")
    return out


def _fletcher32(data: bytes) -> tuple[int, int]:
    """HDF5's sums of a chunk: of numbers of two bytes, big-endian, modulo 65535."""
    words = np.frombuffer(data.ljust(len(data) + len(data) % 2, b"\0"), ">u2").astype(np.uint64)
    weights = np.arange(len(words), 0, -1, dtype=np.uint64) % np.uint64(65535)
    return int(words.sum()) % 65535, int((words * weights).sum()) % 65535
