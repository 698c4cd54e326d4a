"""HDF5, read without its library, which damaged files crash: the part that models and trajectories use.

Groups and attributes of the old kind (as h5py writes them by default) and of the new one; datasets that are contiguous, compact or in chunks,
with deflate, shuffle and fletcher32; whole and IEEE numbers, texts. The rest is refused by its name.
"""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.documents import decode
from mdkern.io.files import read_bytes
from mdkern.io.hdf5_data import TEXT, Dataset, datatype, extent, read_array
from mdkern.io.hdf5_file import NOTHING, SIGNATURE, Bytes
from mdkern.io.hdf5_trees import FractalHeap, records, symbols

__all__ = ["SIGNATURE", "Arrays", "Group", "has_attribute", "read_hdf5"]

MAX_FILE_BYTES = 2 * 2**30
MAX_DATASETS = 100_000
MAX_TEXT_BYTES = 64 * 2**20
MAX_TEXTS = 64  # of one attribute

Arrays = dict[str, NDArray[Any]]


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
        The file is damaged, larger than 2 GB, lacks the attribute, has groups, links or two names of the same data, or unpacks to much
        more than its size.
    UnsupportedError
        The file has features of HDF5 that are not read.
    OSError
        The file cannot be read.
    """
    name = os.fspath(path)
    root = Group.open(name, read_bytes(path, MAX_FILE_BYTES))
    text = root.attribute(attribute)
    if not isinstance(text, str):
        raise FormatError(f"no string attribute {attribute!r}", name)
    out: Arrays = {}
    headers: set[int] = set()
    for key, header in root.members().items():
        if header in headers:
            raise FormatError(f"{key!r}: two names of the same data", name)
        headers.add(header)
        data = Dataset.at(root.file, header, key)
        if data.dtype.kind not in "iuf":
            raise FormatError(f"{key!r}: {data.dtype}; expected numbers", name)
        out[key] = data.read()
        out[key].flags.writeable = False
    return text, out


def has_attribute(path: str | os.PathLike[str], attribute: str) -> bool:
    """Whether the root group has an attribute of this name; True also of damaged files, so that their reader says what is wrong."""
    try:
        return attribute in Group.map(path).attributes()
    except UnsupportedError:
        return Path(path).suffix == ".dp"
    except FormatError:
        return True


class Group:
    """A group of an HDF5 file: its attributes, its members by their names.

    Parameters
    ----------
    file : Bytes
    header : int
        Address of its object header.
    """

    def __init__(self, file: Bytes, header: int) -> None:
        self.file = file
        self.header = header

    @classmethod
    def open(cls, path: str, data: bytes | mmap.mmap) -> Group:
        """The root group of a file."""
        file = Bytes(path, data)
        return cls(file, file.root)

    @classmethod
    def map(cls, path: str | os.PathLike[str]) -> Group:
        """The same of a file that is not read at once; arrays hold on to it."""
        with Path(path).open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                raise FormatError("empty; expected HDF5", path)
            # Closed when nothing looks at it any more.
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return cls.open(os.fspath(path), data)

    def group(self, name: str) -> Group:
        """A group below by its path, as ``a/b``."""
        group = self
        for part in name.split("/"):
            group = Group(self.file, group._member(part))
        return group

    def dataset(self, name: str) -> Dataset:
        """A dataset by its path."""
        folder, _, last = name.rpartition("/")
        group = self.group(folder) if folder else self
        return Dataset.at(self.file, group._member(last), name)

    def _member(self, name: str) -> int:
        members = self.members()
        if name not in members:
            raise FormatError(f"no {name!r}", self.file.path)
        return members[name]

    def __contains__(self, name: str) -> bool:
        folder, _, last = name.rpartition("/")
        return (not folder or folder in self) and last in (
            self.group(folder) if folder else self
        ).members()

    def members(self) -> dict[str, int]:
        """Addresses of the headers of what is in the group.

        Raises
        ------
        FormatError
            Damaged; soft and external links; a name that is given twice.
        """
        out: dict[str, int] = {}
        for name, header in self._links():
            if name in out:
                raise FormatError(f"{name!r}: given twice", self.file.path)
            if len(out) >= MAX_DATASETS:
                self.file.fail(f"more than {MAX_DATASETS} names")
            out[name] = header
        return out

    def _links(self) -> Iterator[tuple[str, int]]:
        file = self.file
        found = False
        for kind, at, size in file.messages(self.header):
            if kind == 0x11:
                found = True
                yield from symbols(file, *file.unpack("QQ", at))
            elif kind == 0x02:
                found = True
                _, flags = file.unpack("BB", at)
                heap_at, tree = file.unpack("QQ", at + (10 if flags & 1 else 2))
                if heap_at != NOTHING:
                    heap = FractalHeap(file, heap_at)
                    for _, record, _ in records(file, tree, (5,)):
                        yield self._link(*heap.place(record + 4))
            elif kind == 0x06:
                yield self._link(at, size)
        if not found:
            file.fail("a group without a table of its members")

    def _link(self, at: int, size: int) -> tuple[str, int]:
        file, end = self.file, at + size
        version, flags = file.unpack("BB", at)
        if version != 1:
            file.fail(f"link of version {version}")
        at += 2
        kind = 0
        if flags & 8:
            (kind,) = file.unpack("B", at)
            at += 1
        at += (8 if flags & 4 else 0) + (1 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        n = file.integer(width, at)
        at += width
        if at + n + 8 > end and not kind:
            file.fail(f"link at {at} longer than its message")
        name = file.take(at, n).decode("utf-8", "replace")
        if kind:
            raise FormatError(f"{name!r}: links are refused", file.path)
        return name, file.unpack("Q", at + n)[0]

    def attributes(self) -> dict[str, tuple[int, int]]:
        """Address and size of the messages of attributes, by name."""
        file = self.file
        out: dict[str, tuple[int, int]] = {}

        def keep(at: int, size: int) -> None:
            version, _, n = file.unpack("BBH", at)
            if version not in (1, 2, 3):
                file.fail(f"attribute of version {version}")
            name = file.take(at + (9 if version == 3 else 8), n)
            out.setdefault(name.split(b"\0")[0].decode("utf-8", "replace"), (at, size))

        for kind, at, size in file.messages(self.header):
            if kind == 0x0C:
                keep(at, size)
            elif kind == 0x15:
                _, flags = file.unpack("BB", at)
                heap_at, tree = file.unpack("QQ", at + (4 if flags & 1 else 2))
                if heap_at != NOTHING:
                    heap = FractalHeap(file, heap_at)
                    for _, record, _ in records(file, tree, (8,)):
                        if file.unpack("B", record + 8)[0] & 2:
                            file.refuse("an HDF5 attribute that objects share")
                        keep(*heap.place(record))
        return out

    def attribute(self, name: str) -> str | NDArray[Any] | None:
        """A text or an array of some texts, numbers, or None where there is no such attribute.

        Raises
        ------
        FormatError
            Damaged; a text longer than 64 MB or than the file.
        UnsupportedError
            Types that are not numbers or texts; more than 64 texts.
        """
        file = self.file
        at, size = self.attributes().get(name, (-1, 0))
        if at < 0:
            return None
        version, flags, *sizes = file.unpack("BBHHH", at)
        if version > 1 and flags:
            file.refuse(f"attribute {name!r} of a named HDF5 type")
        step = 8 if version == 1 else 1
        n_name, n_type, n_space = (-(-n // step) * step for n in sizes)
        of_type = at + (9 if version == 3 else 8) + n_name
        data = of_type + n_type + n_space
        shape = extent(file, of_type + n_type)
        dtype = datatype(file, of_type, name)
        if shape is None:
            return None
        if data + math.prod(shape) * dtype.itemsize > at + size:
            file.fail(f"attribute {name!r} is longer than its message")
        if dtype.kind not in "SV":
            return read_array(file, dtype, shape, data, name)
        n = math.prod(shape)
        if not 1 <= n <= MAX_TEXTS:
            file.refuse(f"attribute {name!r} of {n} texts")
        texts = [self._text(data + k * dtype.itemsize, dtype, name) for k in range(n)]
        return texts[0] if n == 1 else np.array(texts)

    def _text(self, at: int, dtype: np.dtype[Any], name: str) -> str:
        """One text of an attribute."""
        file, length = self.file, dtype.itemsize
        if dtype == TEXT:
            length, heap, index = file.unpack("IQI", at)
            at = self._heap_object(heap, index, length) if length else at
        file.grant((length,), 1, name)
        return decode(file.take(at, length).rstrip(b"\0"), file.path)

    def _heap_object(self, at: int, wanted: int, length: int) -> int:
        """Address of an object of a global heap."""
        file = self.file
        file.sign(at, b"GCOL")
        (total,) = file.unpack("Q", at + 8)
        end, at = at + total, at + 16
        while at + 16 <= end:
            index, _, _, size = file.unpack("HHIQ", at)
            if index == wanted:
                if not length <= size <= MAX_TEXT_BYTES:
                    file.fail(f"text of {length} bytes in an object of {size}")
                return at + 16
            if index == 0:
                break
            at += 16 + -(-size // 8) * 8
        return file.fail(f"no object {wanted} in the global heap")
