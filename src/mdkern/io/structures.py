"""Structure files: what ASE reads, and what their formats say that ASE leaves aside or guesses.

* LAMMPS data and dump files are known by their content; elements come from the file or from the user, never from the number
  of a type (:mod:`mdkern.io.lammps`).
* Sites that are not fully occupied are refused, or filled by the majority (:mod:`mdkern.io.sites`).
* The second line of an extended XYZ frame is read as GPUMD writes and reads it: ``lattice=`` and ``properties=`` in any case.
  A column ``mass`` holds the masses.
* ``-`` is standard input. Errors name the file, the format and what was expected.
"""

from __future__ import annotations

import difflib
import errno
import io
import os
import re
import sys
import tempfile
import warnings
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import accumulate, chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mdkern.errors import FormatError, MDKernWarning
from mdkern.io import datasets, lammps, sites

if TYPE_CHECKING:
    from ase import Atoms

__all__ = [
    "count_frames",
    "format_of",
    "iter_frames",
    "parse_index",
    "quick_count",
    "read_counted",
    "read_frames",
    "read_structure",
    "with_results",
]

_PEEK = 65536  # bytes that tell a format
_OTHER_NAMES = {"poscar": "vasp", "contcar": "vasp", "xdatcar": "vasp-xdatcar", "pdb": "proteindatabank",
                "lammpstrj": "lammps-dump-text", "lammps-dump": "lammps-dump-text"}  # fmt: skip
# Opened here, in UTF-8 whatever the locale: a byte order mark is skipped, other bytes of comments do not matter.
_TEXTS = ("extxyz", "xyz", *lammps.FORMATS)
_COUNTED = ("extxyz", "xyz", "traj", "lammps-dump-text", "deepmd", "h5md")  # quickly
_DATABASES = ("db", "json")


def _text(path: str) -> io.TextIOWrapper:
    from ase.io.formats import open_with_compression

    return io.TextIOWrapper(open_with_compression(path, "rb"), "utf-8-sig", "replace")


def _warn(text: str) -> None:
    warnings.warn(text, MDKernWarning, stacklevel=4)


@dataclass(frozen=True)
class _Source:
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

        if self.format in _DATABASES:
            yield from _rows(self.path, self.format, index)
            return
        with ExitStack() as stack:
            text = self.format in _TEXTS
            file = stack.enter_context(_text(self.path)) if text else self.path
            options = {"format": self.format, "do_not_split_by_at_sign": True, **self.options}
            if self.single:
                yield from [read(file, index=0, **options)][index]
            else:
                yield from iread(file, index=index, **options)

    def _of_systems(self, index: slice) -> Iterator[Atoms]:
        systems = self.systems()
        ends = list(accumulate(map(len, systems)))
        for k in range(ends[-1])[index]:
            which = bisect_right(ends, k)
            yield systems[which].frame(k - (ends[which - 1] if which else 0))


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


def read_frames(
    path: str | os.PathLike[str],
    index: int | slice | str = ":",
    format: str | None = None,
    occupancy: str = "refuse",
    warn: Callable[[str], None] = _warn,
) -> list[Atoms]:
    """Structures of a file.

    Parameters
    ----------
    path : path-like
        ``-``: standard input.
    index : int, slice or str
        As in Python, of the frames in the file: ``-1``, ``":"``, ``"0:100:10"``.
    format : str, optional
        ASE's name of it, by default told by content and name. LAMMPS files take details as in
        ``"lammps-data:species=Cu-Ni,units=real,atom_style=charge"``: elements of the types 1, 2, ...
    occupancy : {"refuse", "majority"}
        What to do with sites that are occupied in part: an error, or a warning and the species with the largest share, the
        first named of equal ones, on the whole site. Sites with vacancies are filled.
    warn : callable
        Takes what the reader did that may not be expected, as a sentence.

    Returns
    -------
    list of ase.Atoms
        At least one.

    Raises
    ------
    OSError
        There is no such file.
    FormatError
        It is empty, ASE cannot read it, there are no frames at `index`, a site is occupied in part, a position or the cell is
        not finite, a LAMMPS file does not say the elements.
    ValueError
        An argument is not one of those above.
    """
    with _opened(path, format) as source:
        return _read(
            source, parse_index(index) if isinstance(index, str) else index, occupancy, warn
        )


def iter_frames(
    path: str | os.PathLike[str],
    index: int | slice | str = ":",
    format: str | None = None,
    occupancy: str = "refuse",
    warn: Callable[[str], None] = _warn,
    finite: bool = True,
) -> Iterator[Atoms]:
    """The same one by one, for files and data sets that are larger than the memory.

    Extended XYZ (also compressed), ASE's trajectories and databases, DeePMD-kit's folders and HDF5 files are read frame by frame; what else
    ASE reads is as lazy as ASE's reader. Parameters and errors are those of :func:`read_frames`, but for

    finite : bool
        False lets positions and cells pass that are not finite: who evaluates the frames finds them.
    """
    with _opened(path, format) as source:
        index = parse_index(index) if isinstance(index, str) else index
        part = _part(index, occupancy)
        frames = source.iterate(part)
        first = list(islice(frames, 2))
        if not first:
            raise _nothing(source, index)
        n = 1 if len(first) == 1 else None
        yield from _checked(chain(first, frames), n, source, part, occupancy, warn, finite)


def read_structure(
    path: str | os.PathLike[str],
    index: int = -1,
    format: str | None = None,
    occupancy: str = "refuse",
    warn: Callable[[str], None] = _warn,
) -> Atoms:
    """One structure of a file, see :func:`read_frames`."""
    return read_frames(path, index, format, occupancy, warn)[0]


def read_counted(
    path: str | os.PathLike[str],
    index: int = -1,
    format: str | None = None,
    occupancy: str = "refuse",
    warn: Callable[[str], None] = _warn,
) -> tuple[Atoms, int]:
    """One structure, and how many there are (of standard input too, which can be read once only)."""
    with _opened(path, format) as source:
        return _read(source, index, occupancy, warn)[0], _count(source)


def count_frames(path: str | os.PathLike[str], format: str | None = None) -> int:
    """Number of structures in a file; for extended XYZ, ASE's trajectories and LAMMPS dumps without reading them.

    Raises
    ------
    OSError, FormatError
        As :func:`read_frames`.
    """
    with _opened(path, format) as source:
        return _count(source)


def quick_count(
    path: str | os.PathLike[str], index: int | slice = slice(None), format: str | None = None
) -> int | None:
    """Number of structures at `index` where it is found without reading them, else None."""
    with _opened(path, format) as source:
        if source.format in (*_COUNTED, *_DATABASES):
            return len(range(_count(source))[_part(index, "refuse")])
    return None


def format_of(path: str | os.PathLike[str]) -> str | None:
    """ASE's name of a file's format by content and name; None where they do not tell, or ASE does not read it.

    Raises
    ------
    FormatError
        The file is empty.
    """
    name = os.fspath(path)
    head = _head(name, name) if Path(name).is_file() else b""
    try:
        return _told(name, name, head)
    except FormatError:
        return None


def parse_index(text: str) -> int | slice:
    """``"3"``, ``":"``, ``"0:100:10"`` as in Python.

    Raises
    ------
    ValueError
        It is neither a number nor a slice.
    """
    parts = text.split(":")
    try:
        numbers = [int(part) if part.strip() else None for part in parts]
    except ValueError:
        numbers = [None]
    if len(parts) == 1 and numbers[0] is not None:
        return numbers[0]
    if len(parts) not in (2, 3) or numbers[2:] == [0] or len(numbers) != len(parts):
        raise ValueError(f"index {text!r}: expected a number, or a slice such as 0:100:10")
    return slice(*numbers)


def with_results(atoms: Atoms, results: Mapping[str, Any]) -> Atoms:
    """The atoms, with results that they carry into files as ASE writes them.

    Parameters
    ----------
    atoms : ase.Atoms
        Changed in place, and returned.
    results : mapping
        As :func:`mdkern.evaluate` returns them. ASE's extended XYZ has no columns for ``born_effective_charges`` (n, 3, 3):
        they become the array ``bec`` (n, 9), rows of the tensors one after the other, as GPUMD has it.
    """
    from ase.calculators.singlepoint import SinglePointCalculator

    plain = dict(results)
    born = plain.pop("born_effective_charges", None)
    if born is not None:
        atoms.arrays["bec"] = np.reshape(born, (len(atoms), 9))
    atoms.calc = SinglePointCalculator(atoms, **plain)
    return atoms


# --- file and format ------------------------------------------------------------------------------


@contextmanager
def _opened(path: str | os.PathLike[str], format: str | None) -> Iterator[_Source]:
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


def _source(name: str, path: str, format: str | None) -> _Source:
    given, _, details = (format or "").partition(":")
    head = b""
    if Path(path).is_file():
        head = _head(path, name)
    if given in datasets.FORMATS or (not given and (given := datasets.kind_of(path, head) or "")):
        return _Source(name, path, given, {}, "", details)
    found = _known(given) if given else _told(name, path, head)
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
    elif found == "cif":
        options["store_tags"] = True
    return _Source(name, path, found, options, note)


def _head(path: str, name: str) -> bytes:
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


def _told(name: str, path: str, head: bytes) -> str:
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


# --- frames ---------------------------------------------------------------------------------------


def _read(
    source: _Source, index: int | slice, policy: str, warn: Callable[[str], None]
) -> list[Atoms]:
    part = _part(index, policy)
    frames = source.read(part)
    if not frames:
        raise _nothing(source, index)
    return list(_checked(frames, len(frames), source, part, policy, warn))


def _part(index: int | slice, policy: str) -> slice:
    """What to read."""
    if policy not in ("refuse", "majority"):
        raise ValueError(f"occupancy: {policy!r}; expected 'refuse' or 'majority'")
    return index if isinstance(index, slice) else slice(index, index + 1 or None)


def _nothing(source: _Source, index: int | slice) -> FormatError:
    n = _count(source)
    said = index if isinstance(index, int) else _written(index)
    there = "is 1" if n == 1 else f"are {n}"
    return FormatError(f"no frames at index {said}: there {there}", source.name)


def _written(part: slice) -> str:
    numbers = [part.start, part.stop, *([] if part.step is None else [part.step])]
    return ":".join("" if n is None else str(n) for n in numbers)


def _count(source: _Source) -> int:
    from ase.io.formats import open_with_compression

    if source.format in datasets.FORMATS:
        return sum(map(len, source.systems()))
    if source.single:
        return 1
    if source.format in _DATABASES:
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
        return n
    return len(source.read(slice(None)))


def _checked(
    frames: Iterable[Atoms],
    n: int | None,
    source: _Source,
    part: slice,
    policy: str,
    warn: Callable[[str], None],
    finite: bool = True,
) -> Iterator[Atoms]:
    """Frames as mdkern takes them; where their number is known, a single one needs no index in messages."""
    lost: list[list[int]] = []
    if source.format == "proteindatabank":
        lost = sites.pdb_alternatives(source.path, part)
    notes: Counter[str] = Counter()
    if source.note:
        notes[source.note] += 1
    for k, frame in enumerate(frames):
        where = source.name if n == 1 else f"{source.name}: frame {k} of those read"
        if source.format == "lammps-dump-text" and frame.calc is not None:
            frame.calc.results.pop("energy", None)  # ASE's zero, which the file does not say
        _take_masses(frame, where)
        if finite:
            _check_finite(frame, where)
        tags = {}
        if source.format == "cif":
            tags = {key: frame.info.pop(key) for key in [*frame.info] if key.startswith("_")}
        full, note = sites.resolved(frame, where, policy, tags, lost[k] if lost else [])
        notes.update([note] if note else [])
        yield full
    for text, times in notes.items():
        warn(f"{source.name}: {text}" + (f" (in {times} frames)" if times > 1 else ""))


def _take_masses(atoms: Atoms, where: str) -> None:
    """The column ``mass``, which ASE's reader leaves as an array of that name."""
    masses = atoms.arrays.get("mass")
    if masses is None or atoms.has("masses"):
        return
    if masses.shape != (len(atoms),) or masses.dtype.kind not in "fiu":
        raise FormatError(
            f"column mass: expected one number per atom, found {masses.dtype} {masses.shape}", where
        )
    wrong = ~(np.isfinite(masses) & (masses > 0.0))
    if wrong.any():
        k = int(np.argmax(wrong))
        raise FormatError(
            f"column mass: {masses[k]} for atom {k}; expected positive numbers", where
        )
    del atoms.arrays["mass"]
    atoms.set_masses(masses.astype(np.float64))


def _check_finite(atoms: Atoms, where: str) -> None:
    finite = np.isfinite(atoms.positions).all(axis=1)
    if not finite.all():
        k = int(np.argmin(finite))
        raise FormatError(f"atom {k} is at {atoms.positions[k]}; expected finite positions", where)
    if not np.isfinite(atoms.cell.array).all():
        raise FormatError(f"cell {atoms.cell.array.tolist()}; expected finite numbers", where)


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
