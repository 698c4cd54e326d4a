"""The part of HDF5 that DeePMD-kit's model files use.

One root group of the old kind (superblock 0, version-1 object headers, symbol table), datasets that are contiguous
and not compressed, attributes that are variable-length strings. Files with other features go to h5py, where it is
installed. (Format: HDF5 File Format Specification 3.0, The HDF Group.)
"""

from __future__ import annotations

import math
import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mdkern.errors import FormatError, UnsupportedError

__all__ = ["SIGNATURE", "has_attribute", "read_hdf5"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"

MAX_FILE_BYTES = 2 * 2**30
MAX_DATASETS = 100_000
MAX_TEXT_BYTES = 64 * 2**20
_MAX_LEVELS = 16
_NOTHING = 2**64 - 1  # the address of what is not there

Arrays = dict[str, NDArray[Any]]


class _OtherFeatureError(Exception):
    """Valid, but not of the part of the format that is read here."""


def read_hdf5(path: str | os.PathLike[str], attribute: str) -> tuple[str, Arrays]:
    """Text of one attribute of the root group, and all its datasets.

    Parameters
    ----------
    path : str
    attribute : str
        Name of a string attribute.

    Returns
    -------
    text : str
    datasets : dict
        Arrays by name; read-only.

    Raises
    ------
    FormatError
        The file is damaged, larger than 2 GB, lacks the attribute, or has links or two names of the same data.
    UnsupportedError
        The file has features of HDF5 that are not read here, and h5py is not installed.
    OSError
        The file cannot be read.
    """
    name = os.fspath(path)
    if Path(path).stat().st_size > MAX_FILE_BYTES:
        raise FormatError(f"larger than {MAX_FILE_BYTES >> 20} MB", name)
    data = Path(path).read_bytes()
    try:
        return _Reader(name, data).read(attribute)
    except _OtherFeatureError as e:
        found = str(e)
    try:
        import h5py
    except ImportError:
        raise UnsupportedError(
            f"{name}: {found}, which is not read without h5py (pip install 'mdkern[deepmd]')"
        ) from None
    return _by_h5py(h5py, name, attribute)


def has_attribute(path: str | os.PathLike[str], attribute: str) -> bool:
    """Whether the root group has an attribute of this name; True also where only h5py could tell."""
    with (
        Path(path).open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        reader = _Reader(os.fspath(path), data)
        try:
            (root,) = reader.unpack("Q", 64)
            names = [
                reader.attribute_name(at) for kind, at, _ in reader.messages(root) if kind == 12
            ]
        except _OtherFeatureError:
            return Path(path).suffix == ".dp"
        except FormatError:
            return True
    return attribute in names


class _Reader:
    def __init__(self, path: str, data: bytes | mmap.mmap) -> None:
        self.path = path
        self.data = data

    def fail(self, message: str) -> NoReturn:
        raise FormatError(f"damaged HDF5 file: {message}", self.path)

    def unpack(self, layout: str, at: int) -> tuple[Any, ...]:
        layout = "<" + layout
        if not 0 <= at <= len(self.data) - struct.calcsize(layout):
            self.fail(f"address {at} is beyond the end, {len(self.data)} bytes")
        return struct.unpack_from(layout, self.data, at)

    def take(self, at: int, n: int) -> bytes:
        if not 0 <= at <= len(self.data) - n or n < 0:
            self.fail(f"{n} bytes at {at} are beyond the end, {len(self.data)} bytes")
        return bytes(self.data[at : at + n])

    def sign(self, at: int, want: bytes) -> None:
        if self.take(at, 4) != want:
            self.fail(f"no {want.decode()} at {at}")

    def read(self, attribute: str) -> tuple[str, Arrays]:
        if self.take(0, 8) != SIGNATURE:
            self.fail("no signature")
        if self.data[8] != 0:
            raise _OtherFeatureError(f"HDF5 superblock of version {self.data[8]}")
        offsets, lengths = self.unpack("BB", 13)
        base, _, end, driver = self.unpack("4Q", 24)
        if (offsets, lengths, base, driver) != (8, 8, 0, _NOTHING):
            raise _OtherFeatureError("HDF5 file with a user block, a driver, or short addresses")
        if end > len(self.data):
            self.fail(f"{len(self.data)} bytes; expected {end}")
        (root,) = self.unpack("Q", 64)
        text: str | None = None
        table: tuple[int, int] | None = None
        for kind, at, size in self.messages(root):
            if kind == 0x11 and size >= 16:
                table = self.unpack("QQ", at)
            elif kind == 0x0C:
                text = self.attribute(at, size, attribute) or text
            elif kind in (0x02, 0x06, 0x15):
                raise _OtherFeatureError("HDF5 groups or attributes of the new kind")
        if table is None:
            self.fail("the root group has no symbol table")
        if text is None:
            raise FormatError(f"no attribute {attribute!r}", self.path)
        return text, self.datasets(*table)

    def messages(self, at: int) -> Iterator[tuple[int, int, int]]:
        """Type, address and size of each message of an object header."""
        version, _, count, _, size = self.unpack("BBHII", at)
        if version != 1:
            if self.take(at, 4) == b"OHDR":
                raise _OtherFeatureError("HDF5 object headers of version 2")
            self.fail(f"object header at {at} of version {version}")
        blocks = [(at + 16, size)]
        while blocks:
            at, size = blocks.pop(0)
            end = at + size
            while count and at + 8 <= end:
                kind, length, flags = self.unpack("HHB", at)
                if at + 8 + length > end:
                    self.fail(f"message at {at} is longer than its block")
                count -= 1
                if flags & 2:
                    raise _OtherFeatureError("HDF5 messages that objects share")
                if kind == 0x10:
                    blocks.append(self.unpack("QQ", at + 8))
                else:
                    yield kind, at + 8, length
                at += 8 + length

    def attribute_name(self, at: int) -> str:
        version, _, n_name = self.unpack("BBH", at)
        name = self.take(at + (9 if version == 3 else 8), n_name)
        return name.split(b"\0")[0].decode("utf-8", "replace")

    def attribute(self, at: int, size: int, wanted: str) -> str | None:
        version, flags, n_name, n_type, n_space = self.unpack("BBHHH", at)
        if version not in (1, 3) or flags:
            raise _OtherFeatureError(f"HDF5 attributes of version {version}, flags {flags}")
        step = 8 if version == 1 else 1
        n_name, n_type, n_space = (-(-n // step) * step for n in (n_name, n_type, n_space))
        place = at + (8 if version == 1 else 9) + n_name
        if place + n_type + n_space > at + size:
            self.fail(f"attribute at {at} is longer than its message")
        if self.attribute_name(at) != wanted:
            return None
        kind, flavor = self.unpack("BB", place)
        if kind & 15 != 9 or flavor & 15 != 1:
            raise _OtherFeatureError(f"HDF5 attribute {wanted!r} of another type than a string")
        length, heap, index = self.unpack("IQI", place + n_type + n_space)
        return self.heap_text(heap, index, length)

    def heap_text(self, at: int, wanted: int, length: int) -> str:
        """One object of a global heap."""
        self.sign(at, b"GCOL")
        (total,) = self.unpack("Q", at + 8)
        end, at, index, size = at + total, at + 16, -1, 0
        while at + 16 <= end and index != 0:
            index, _, _, size = self.unpack("HHIQ", at)
            if index == wanted:
                break
            at += 16 + -(-size // 8) * 8
        if index != wanted:
            self.fail(f"no object {wanted} in the global heap")
        if not length <= size <= MAX_TEXT_BYTES:
            self.fail(f"string of {length} bytes in an object of {size}")
        try:
            return self.take(at + 16, length).decode("utf-8")
        except UnicodeDecodeError:
            self.fail("a string that is not UTF-8")

    def datasets(self, tree: int, heap: int) -> Arrays:
        self.sign(heap, b"HEAP")
        n_names, _, names_at = self.unpack("QQQ", heap + 8)
        names = self.take(names_at, n_names)
        out: Arrays = {}
        headers: set[int] = set()
        total = 0
        for offset, header in self.symbols(tree, 0):
            end = names.find(b"\0", offset)
            if not 0 <= offset < n_names or end < 0:
                self.fail(f"name at {offset} of {n_names} bytes of names")
            name = names[offset:end].decode("utf-8", "replace")
            if header in headers or name in out:
                raise FormatError(f"{name!r}: two names of the same data", self.path)
            headers.add(header)
            if len(out) >= MAX_DATASETS:
                self.fail(f"more than {MAX_DATASETS} datasets")
            out[name] = self.dataset(header, name)
            total += out[name].nbytes
            if total > len(self.data):
                raise FormatError(f"{name!r}: datasets share their bytes", self.path)
        return out

    def symbols(self, at: int, level: int) -> Iterator[tuple[int, int]]:
        """Place of the name, and address of the header, of each member of the group."""
        if level > _MAX_LEVELS:
            self.fail("a tree of names too deep")
        self.sign(at, b"TREE")
        node_type, depth, used = self.unpack("BBH", at + 4)
        if node_type != 0 or depth > _MAX_LEVELS:
            self.fail(f"tree node at {at} of type {node_type}, level {depth}")
        for k in range(used):
            (child,) = self.unpack("Q", at + 24 + 8 + 16 * k)
            if depth:
                if self.take(child, 4) == b"TREE" and self.data[child + 5] >= depth:
                    self.fail(f"tree node at {child} is not below its parent")
                yield from self.symbols(child, level + 1)
                continue
            self.sign(child, b"SNOD")
            (count,) = self.unpack("H", child + 6)
            for m in range(count):
                offset, header, cache = self.unpack("QQI", child + 8 + 40 * m)
                if cache == 2:
                    raise FormatError("symbolic links are refused", self.path)
                yield offset, header

    def dataset(self, header: int, name: str) -> NDArray[Any]:
        shape: tuple[int, ...] | None = None
        dtype: np.dtype[Any] | None = None
        place: tuple[int, int] | None = None
        for kind, at, size in self.messages(header):
            if kind == 0x01:
                shape = self.dataspace(at)
            elif kind == 0x03:
                dtype = self.datatype(at, name)
            elif kind == 0x08 and size >= 18:
                version, layout = self.unpack("BB", at)
                if (version, layout) != (3, 1):
                    raise _OtherFeatureError(f"dataset {name!r} that is chunked or compact")
                place = self.unpack("QQ", at + 2)
            elif kind in (0x07, 0x0B, 0x11):
                raise _OtherFeatureError(f"{name!r}: a group, filters or external data")
        if shape is None or dtype is None or place is None:
            self.fail(f"dataset {name!r} lacks its shape, type or place")
        n_bytes = math.prod(shape) * dtype.itemsize
        if n_bytes == 0:
            return np.zeros(shape, dtype)
        if place[1] < n_bytes or place[0] == _NOTHING:
            self.fail(f"dataset {name!r}: {place[1]} bytes for shape {shape} of {dtype}")
        if not 0 <= place[0] <= len(self.data) - n_bytes:
            self.fail(f"dataset {name!r} goes beyond the end")
        return np.frombuffer(self.data, dtype, math.prod(shape), place[0]).reshape(shape)

    def dataspace(self, at: int) -> tuple[int, ...]:
        version, rank, _, kind = self.unpack("BBBB", at)
        if version not in (1, 2) or rank > 32 or (version == 2 and kind == 2):
            raise _OtherFeatureError(f"HDF5 dataspace of version {version}, rank {rank}")
        shape = self.unpack(f"{rank}Q", at + (8 if version == 1 else 4))
        if any(n > MAX_FILE_BYTES for n in shape):
            self.fail(f"shape {shape}")
        return shape

    def datatype(self, at: int, name: str) -> np.dtype[Any]:
        kind, bits, _, _, size = self.unpack("BBBBI", at)
        offset, precision = self.unpack("HH", at + 8)
        whole = offset == 0 and precision == 8 * size and not bits & 1
        if kind & 15 == 0 and whole and size in (1, 2, 4, 8):
            return np.dtype(f"<{'i' if bits & 8 else 'u'}{size}")
        ieee = {2: (10, 5, 0, 10), 4: (23, 8, 0, 23), 8: (52, 11, 0, 52)}
        if kind & 15 == 1 and whole and ieee.get(size) == self.unpack("BBBB", at + 12):
            return np.dtype(f"<f{size}")
        raise _OtherFeatureError(f"dataset {name!r} of a type that is not little-endian numbers")


def _by_h5py(h5py: Any, path: str, attribute: str) -> tuple[str, Arrays]:
    out: Arrays = {}
    try:
        with h5py.File(path, "r") as file:
            text = file.attrs.get(attribute)
            if not isinstance(text, str):
                raise FormatError(f"no string attribute {attribute!r}", path)
            seen = set()
            total = 0
            for name in file:
                if not isinstance(file.get(name, getlink=True), h5py.HardLink):
                    raise FormatError(f"{name!r}: links are refused", path)
                d = file[name]
                if not isinstance(d, h5py.Dataset) or d.dtype.kind not in "iuf":
                    raise FormatError(f"{name!r}: expected a dataset of numbers", path)
                info = h5py.h5o.get_info(d.id)
                total += math.prod(d.shape or ()) * d.dtype.itemsize
                if info.addr in seen or d.is_virtual or d.external:
                    raise FormatError(f"{name!r}: links are refused", path)
                if total > MAX_FILE_BYTES or len(out) >= MAX_DATASETS:
                    raise FormatError(f"{name!r}: more than {MAX_FILE_BYTES >> 20} MB", path)
                seen.add(info.addr)
                out[name] = np.asarray(d[()])
    except FormatError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as e:
        raise FormatError(f"h5py cannot read the file: {e}", path) from None
    return text, out
