"""Files and folders with structures: their format, how many there are, and one after the other."""

from __future__ import annotations

import difflib
import errno
import io
import os
import re
import sys
import tempfile
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdkern.errors import FormatError
from mdkern.io import datasets, lammps, pdb, poscar

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["COUNTED", "DATABASES", "Source", "count", "head_of", "opened", "told"]

_PEEK = 65536  # bytes that tell a format
_OTHER_NAMES = {"poscar": "vasp", "contcar": "vasp", "xdatcar": "vasp-xdatcar", "pdb": "proteindatabank",
                "lammpstrj": "lammps-dump-text", "lammps-dump": "lammps-dump-text"}  # fmt: skip
# Opened here, in UTF-8 whatever the locale: a byte order mark is skipped, other bytes of comments do not matter.
_TEXTS = ("extxyz", "xyz", *lammps.FORMATS)
COUNTED = ("extxyz", "xyz", "traj", "lammps-dump-text", "deepmd", "h5md")  # quickly
DATABASES = ("db", "json")


def _text(path: str) -> io.TextIOWrapper:
    from ase.io.formats import open_with_compression

    return io.TextIOWrapper(open_with_compression(path, "rb"), "utf-8-sig", "replace")


@dataclass(frozen=True)
class Source:
    """A file with its format: ASE's name of it, and arguments of ASE's reader."""

    name: str  # for messages
    path: str
    format: str
    options: Mapping[str, Any]
    note: str  # what the file leaves open
    details: str = ""  # of a data set that ASE does not read

    @property
    def single(self) -> bool:
        from ase.io.formats import ioformats

        return self.format not in datasets.FORMATS and bool(ioformats[self.format].single)

    def systems(self) -> list[datasets.SystemReader]:
        """Of a data set that ASE does not read."""
        return datasets.open_systems(self.path, self.format, self.details, self.name)

    def read(self, index: slice) -> list[Atoms]:
        return list(self.iterate(index))

    def iterate(self, index: slice) -> Iterator[Atoms]:
        """Frame by frame, as far as the format allows."""
        from ase import Atoms

        if self.format in datasets.FORMATS:
            yield from self._of_systems(index)
            return
        try:
            for frame in self._by_ase(index):
                if not isinstance(frame, Atoms):
                    raise FormatError(
                        f"expected structures, ASE found {type(frame).__name__}", self.name
                    )
                yield frame
        except (MemoryError, FormatError):
            raise
        except Exception as e:  # ASE's readers raise all kinds of exceptions
            why = f"{type(e).__name__}: {_shortened(str(e))}"
            raise FormatError(
                f"ASE cannot read it as {self.format}: {why}; --format names another format",
                self.name,
            ) from e

    def _by_ase(self, index: slice) -> Iterator[Any]:
        from ase.io import iread, read

        if self.format in DATABASES:
            yield from _rows(self.path, self.format, index)
            return
        with ExitStack() as stack:
            text = stack.enter_context(_text(self.path)) if self.format in _TEXTS else None
            file = self.path if text is None else text
            options = {"format": self.format, "do_not_split_by_at_sign": True, **self.options}
            options.pop(lammps.MASSES, None)
            if self.single:
                yield from [self._mended(read(file, index=0, **options))][index]
            elif self.format == "proteindatabank":
                images: Any = read(file, index=slice(None), **options)
                yield from pdb.models(images)[index]
            else:
                yield from map(self._mended, iread(file, index=index, **options))
                if self.format == "extxyz" and text is not None:
                    _refuse_frames_behind(text, self.name)

    def _mended(self, frame: Any) -> Any:
        """A frame of a LAMMPS file, in which ASE does not do what was asked for."""
        if self.format == "lammps-data" and not self.options.get("sort_by_id", True):
            return lammps.in_order_of_ids(frame)
        if self.format == "lammps-dump-text":
            if self.options.get("specorder"):
                lammps.set_species(frame, self.options["specorder"], self.name)
            if self.options.get(lammps.MASSES):
                lammps.set_masses(frame, self.options[lammps.MASSES])
        return frame

    def _of_systems(self, index: slice) -> Iterator[Atoms]:
        systems = self.systems()
        ends = list(accumulate(map(len, systems)))
        for k in range(ends[-1])[index]:
            which = bisect_right(ends, k)
            yield systems[which].frame(k - (ends[which - 1] if which else 0))


def count(source: Source) -> int:
    from ase.io.formats import open_with_compression

    if source.format in datasets.FORMATS:
        return sum(map(len, source.systems()))
    if source.single:
        return 1
    if source.format in DATABASES:
        from ase.db import connect

        with connect(source.path, type=source.format, serial=True) as database:
            return int(database.count())
    if source.format == "traj":
        from ase.io.trajectory import TrajectoryReader

        with TrajectoryReader(source.path) as reader:
            return len(reader)
    if source.format == "lammps-dump-text":
        with open_with_compression(source.path, "rb") as file:
            return sum(line.startswith(b"ITEM: TIMESTEP") for line in file)
    if source.format in ("extxyz", "xyz"):
        n = 0
        with open_with_compression(source.path, "rb") as file:
            try:
                while (line := file.readline()).strip():
                    rows = int(line) + 1
                    n += sum(1 for _ in islice(file, rows)) == rows
            except ValueError:  # cell vectors as rows, or not such a file: ASE says
                return len(source.read(slice(None)))
            if line:
                _refuse_frames_behind_blank(file, source.name)
        return n
    return len(source.read(slice(None)))


def _refuse_frames_behind(file: io.TextIOWrapper, name: str) -> None:
    """Behind the last frame that was asked for, where a blank line may hide others."""
    line = file.readline()
    if line and not line.strip():
        _refuse_frames_behind_blank(file, name)


def _refuse_frames_behind_blank(file: Any, name: str) -> None:
    """ASE ends at a blank line in place of a number of atoms: frames behind it would be lost without a word."""
    text = next((line for line in file if line.strip()), b"").strip()
    if not text.isdigit():
        return
    file.seek(0)
    number = 1
    while (head := file.readline()).strip():
        try:
            rows = int(head) + 1  # beside this line
        except ValueError:  # the row of a cell vector, or a byte order mark
            rows = 0
        number += 1 + sum(1 for _ in islice(file, rows))
    raise FormatError(
        "a blank line in front of further frames, which would not be read; expected a number of atoms",
        name,
        number,
    )


def _rows(path: str, format: str, index: slice) -> Iterator[Atoms]:
    """Structures of a database of ASE in the order of their ids; key-value pairs go into ``info``, where reference values are looked for."""
    from ase.db import connect

    with connect(path, type=format, serial=True) as database:
        chosen = range(database.count())[index]
        ordered = chosen if chosen.step > 0 else chosen[::-1]
        rows = (
            database.select(offset=ordered.start, limit=len(ordered) * ordered.step)
            if ordered
            else ()
        )
        found = islice(rows, 0, None, ordered.step)
        for row in found if chosen.step > 0 else reversed(list(found)):
            atoms = row.toatoms()
            atoms.info.update(row.key_value_pairs)
            yield atoms


@contextmanager
def opened(path: str | os.PathLike[str], format: str | None) -> Iterator[Source]:
    """The file, or a copy of standard input."""
    name = os.fspath(path)
    if name != "-":
        if not Path(name).exists():
            raise FileNotFoundError(errno.ENOENT, "no such file", name)
        yield _source(name, name, format)
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "input"
        copy.write_bytes(sys.stdin.buffer.read())
        yield _source("standard input", str(copy), format)


def _source(name: str, path: str, format: str | None) -> Source:
    given, _, details = (format or "").partition(":")
    head = b""
    if Path(path).is_file():
        head = head_of(path, name)
    if given in datasets.FORMATS or (not given and (given := datasets.kind_of(path, head) or "")):
        note = datasets.unused(path, name) if given == "deepmd" else ""
        return Source(name, path, given, {}, note, details)
    found = _known(given) if given else told(name, path, head)
    if found == "bundletrajectory" and not given and not (Path(path) / "metadata.json").exists():
        raise FormatError(
            "a folder; expected a file, or a data set of DeePMD-kit with type.raw and set.000, ... in it",
            name,
        )
    if found == "lammps-dump-binary":  # ASE takes the number of a type for that of an element
        raise FormatError(
            "a binary LAMMPS dump names neither columns nor elements; binary2txt of LAMMPS makes a text dump of it",
            name,
        )
    options: dict[str, Any] = {}
    note = ""
    if found in lammps.FORMATS:
        options, note = lammps.reader_options(path, found, details, name)
    elif details:
        raise ValueError(
            f"format {format}: {given} takes no details, {', '.join(lammps.FORMATS)} and deepmd do"
        )
    if found == "extxyz":
        options["properties_parser"] = _second_line
        note = _columns_left_out(head)
    elif found == "cif":
        options["store_tags"] = True
    elif found == "vasp":
        note = poscar.checked(path, name)
    return Source(name, path, found, options, note)


def head_of(path: str, name: str) -> bytes:
    """The beginning of a file that is not empty."""
    from ase.io.formats import open_with_compression

    try:
        with open_with_compression(path, "rb") as file:
            head = bytes(file.read(_PEEK))
    except (OSError, EOFError) as e:
        if isinstance(e, (PermissionError, IsADirectoryError)):
            raise
        raise FormatError(f"is damaged: {e}", name) from e
    if not head.strip():
        raise FormatError("is empty: no structure in it", name)
    return head


def _known(name: str) -> str:
    """ASE's format of this name."""
    from ase.io.formats import ioformats

    name = _OTHER_NAMES.get(name.lower(), name)
    if name == "lammps":
        raise ValueError(f"format lammps: expected {' or '.join(lammps.FORMATS)}")
    if name not in ioformats or not ioformats[name].can_read:
        readable = [key for key, kind in ioformats.items() if kind.can_read]
        near = difflib.get_close_matches(name.lower(), [*readable, *_OTHER_NAMES], n=4, cutoff=0.5)
        near += [key for key in readable if name.lower() in key and key not in near][:4]
        hint = f"like it are {', '.join(near)}" if near else "ase info --formats lists them"
        raise ValueError(f"format {name!r}: ASE reads none of this name; {hint}")
    return name


def told(name: str, path: str, head: bytes) -> str:
    """By content, else by the name."""
    from ase.io.formats import UnknownFileTypeError, filetype, ioformats

    kind = lammps.kind_of(head)
    if kind:
        return kind
    try:
        found = filetype(path)
    except (UnknownFileTypeError, OSError):
        found = ""
    if found not in ioformats:
        raise FormatError(
            "the format cannot be told from name or content; --format NAME says it, by one of ASE's names (extxyz, vasp,"
            " lammps-data, ...)",
            name,
        )
    if not ioformats[found].can_read:
        raise FormatError(f"ASE writes {found} files, but does not read them", name)
    return found


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else line[:197] + "..."


# --- extended XYZ as GPUMD has it -----------------------------------------------------------------

_KEYS = {"lattice": "Lattice", "properties": "Properties", "pbc": "pbc"}
_COLUMNS = {
    "species": "species",
    "pos": "pos",
    "mass": "mass",
    "vel": "vel",
    "force": "force",
    "forces": "forces",
}


def _columns_left_out(head: bytes) -> str:
    """A sentence where the first row has more columns than the second line names: ASE takes as many as are named."""
    lines = head.decode("utf-8-sig", "replace").splitlines()
    if len(lines) < 3 or not lines[0].strip().isdigit() or lines[0].strip() == "0":
        return ""
    named = re.search(r"(?<!\S)properties\s*=\s*[\"']?([^\s\"']+)", lines[1], re.IGNORECASE)
    try:
        n = sum(int(k) for k in named[1].split(":")[2::3]) if named else 4
    except ValueError:  # ASE says what is wrong
        return ""
    there = len(lines[2].split())
    if there <= n:
        return ""
    why = f"Properties= names {n}" if named else f"no Properties= names them, and {n} are usual"
    return f"rows of {there} columns, and {why}: the others are not read"


def _second_line(text: str) -> dict[str, Any]:
    """As ASE's parser; keys of the structure, and columns that GPUMD knows, in any case."""
    from ase.io.extxyz import key_val_str_to_dict

    info: dict[str, Any] = key_val_str_to_dict(text)
    other = [key for key in info if _KEYS.get(key.lower(), key) not in info]
    for key in other:  # ASE reads some of these values by their key
        text = re.sub(rf"(?<![^\s\"]){re.escape(key)}(?=\s*=)", _KEYS[key.lower()], text)
    if other:
        info = key_val_str_to_dict(text)
    properties = info.get("Properties")
    if isinstance(properties, str):
        fields = properties.split(":")
        fields[::3] = [_COLUMNS.get(name.lower(), name) for name in fields[::3]]
        info["Properties"] = ":".join(fields)
    return info
