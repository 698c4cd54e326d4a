"""Structure files: what ASE reads, and what their formats say that ASE leaves aside or guesses.

* LAMMPS data and dump files are known by their content; elements come from the file or from the user, never from the number
  of a type (:mod:`mdkern.io.lammps`).
* Sites that are not fully occupied are refused, or filled by the majority (:mod:`mdkern.io.sites`).
* The second line of an extended XYZ frame is read as GPUMD writes and reads it: ``lattice=`` and ``properties=`` in any case.
  A column ``mass`` holds the masses.
* ``-`` is standard input. Errors name the file, the format and what was expected.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mdkern.errors import FormatError, MDKernWarning
from mdkern.io import datasets, sites
from mdkern.io.sources import COUNTED, DATABASES, Source, count, head_of, opened, told

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
    "with_words",
]


def _warn(text: str) -> None:
    warnings.warn(text, MDKernWarning, stacklevel=4)


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
    with opened(path, format) as source:
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
    """:func:`read_frames` one by one, for files and data sets that are larger than the memory.

    Extended XYZ (also compressed), ASE's trajectories and databases, DeePMD-kit's folders and HDF5 files are read frame by frame; what else
    ASE reads is as lazy as ASE's reader. Parameters and errors are those of :func:`read_frames`, but for

    finite : bool
        False lets positions and cells pass that are not finite: who evaluates the frames finds them.
    """
    with opened(path, format) as source:
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
    with opened(path, format) as source:
        return _read(source, index, occupancy, warn)[0], count(source)


def count_frames(path: str | os.PathLike[str], format: str | None = None) -> int:
    """Number of structures in a file; for extended XYZ, ASE's trajectories and LAMMPS dumps without reading them.

    Raises
    ------
    OSError, FormatError
        As :func:`read_frames`.
    """
    with opened(path, format) as source:
        return count(source)


def quick_count(
    path: str | os.PathLike[str], index: int | slice = slice(None), format: str | None = None
) -> int | None:
    """Number of structures at `index` where it is found without reading them, else None."""
    with opened(path, format) as source:
        if source.format in (*COUNTED, *DATABASES):
            return len(range(count(source))[_part(index, "refuse")])
    return None


def format_of(path: str | os.PathLike[str]) -> str | None:
    """Name of the format of a file or a data set by content and name, ASE's of what ASE reads; None where they do not tell.

    Raises
    ------
    FormatError
        The file is empty.
    """
    name = os.fspath(path)
    head = head_of(name, name) if Path(name).is_file() else b""
    try:
        return datasets.kind_of(name, head) or told(name, name, head)
    except FormatError:
        return None


def parse_index(text: str) -> int | slice:
    """``"3"``, ``":"``, ``"0:100:10"`` as in Python.

    Parameters
    ----------
    text : str
        A number, or up to three of them between colons.

    Returns
    -------
    int or slice

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


def with_words(atoms: Atoms) -> Atoms:
    """The atoms, whose texts are words: columns of extended XYZ end at a blank, and a file with an empty one cannot be read again.

    Empty texts, such as names of residues that a PDB file leaves out, become ``_``, and so do blanks. The given atoms stay as they are.
    """
    changed: dict[str, Any] = {}
    for name, array in atoms.arrays.items():
        if array.dtype.kind in "US" and array.ndim == 1:
            words = ["_".join(str(text).split()) or "_" for text in array.tolist()]
            if words != array.tolist():
                changed[name] = np.array(words)
    if not changed:
        return atoms
    copy: Atoms = atoms.copy()
    copy.calc = atoms.calc
    copy.arrays.update(changed)
    return copy


# --- frames ---------------------------------------------------------------------------------------


def _read(
    source: Source, index: int | slice, policy: str, warn: Callable[[str], None]
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


def _nothing(source: Source, index: int | slice) -> FormatError:
    n = count(source)
    said = index if isinstance(index, int) else _written(index)
    there = "is 1" if n == 1 else f"are {n}"
    return FormatError(f"no frames at index {said}: there {there}", source.name)


def _written(part: slice) -> str:
    numbers = [part.start, part.stop, *([] if part.step is None else [part.step])]
    return ":".join("" if n is None else str(n) for n in numbers)


def _checked(
    frames: Iterable[Atoms],
    n: int | None,
    source: Source,
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
