"""Files of LAMMPS's three-body potentials: Stillinger-Weber (``.sw``), Tersoff and its variants (``.tersoff``, ``.tersoff.mod``, ``.modc``, ``.tersoff.zbl``).

An entry is three names of elements and a fixed number of numbers; it begins on a line of its own and may go on over further lines. What follows ``#`` is
a comment. The number of words tells the styles apart, but for two that have 21: these by what their numbers can be. Units are eV and Angstrom.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from mdkern import checks
from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.eam_text import MAX_MAGNITUDE, to_float
from mdkern.io.files import FileModel
from mdkern.io.foreign import check_foreign
from mdkern.io.text import check_units, read_head, read_text, show

__all__ = [
    "STYLES",
    "TERSOFF",
    "Parameters",
    "ThreeBodyFile",
    "check_style",
    "is_stillinger_weber",
    "is_tersoff",
    "one_direction",
    "read_three_body",
    "select",
]

MAX_FILE_BYTES = 16 * 2**20
MAX_ELEMENTS = 118
MAX_CUTOFF = 100.0  # Angstrom; larger ones are damaged files, and would exhaust the memory later

_PLAIN = "m gamma lam3 c d cos0 n beta lam2 B R D lam1 A"
_MOD = "beta alpha h eta beta_ters lam2 B R D lam1 A n c1 c2 c3 c4 c5"
STYLES: dict[str, tuple[str, ...]] = {
    "sw": tuple("eps sigma a lambda gamma cos0 A B p q tol".split()),  # noqa: SIM905
    "tersoff": tuple(_PLAIN.split()),
    "tersoff/mod": tuple(_MOD.split()),
    "tersoff/mod/c": (*_MOD.split(), "c0"),
    "tersoff/zbl": (*_PLAIN.split(), "Z_i", "Z_j", "zcut", "zscale"),
}
"""Names of the numbers of an entry by style: LAMMPS's pair styles."""
TERSOFF = tuple(STYLES)[1:]
_LENGTHS = {
    3 + len(names): [s for s in STYLES if len(STYLES[s]) == len(names)] for names in STYLES.values()
}
_MARKS = {"tersoff/zbl": (".zbl",), "tersoff/mod/c": (".modc", ".mod.c")}
# Styles of LAMMPS whose entries have as many words, by their marks in names of files.
_OTHERS = ("vashishta", "edip", "gw", "sw.mod")

_NAME = re.compile(rb"[A-Za-z][\x21-\x7e]{0,31}")
# No digit can be read in two ways: a head that is one long number takes no longer than another.
_NUMBER = re.compile(rb"[+-]?(\d+(\.\d*)?|\.\d+)([eEdD][+-]?\d+)?")

Array = NDArray[np.float64]
Entry = tuple[tuple[str, str, str], int, tuple[bytes, ...]]


@dataclass(frozen=True, slots=True)
class ThreeBodyFile(FileModel):
    """Entries of a file as they stand there; the numbers of those in use are read by :func:`select`.

    Attributes
    ----------
    style : str
        Key of `STYLES`.
    path : str
        For messages only.
    names : tuple of str
        Elements of the first place, in the order of the file.
    entries : tuple of (names, line, words)
        Three names, the line on which the entry begins, and its numbers as they are written.
    """

    style: str
    path: str
    names: tuple[str, ...]
    entries: tuple[Entry, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Parameters:
    """Numbers of all ordered triplets of some elements.

    Attributes
    ----------
    style, path : str
    species : tuple of str, length n
    values : (n, n, n, len(STYLES[style])) array
        Entry (i, j, k), the centre first.
    lines : (n, n, n) int array
        Where the entries begin in the file.
    """

    style: str
    path: str
    species: tuple[str, ...]
    values: Array
    lines: NDArray[np.int64]

    def triplet(self, name: str) -> Array:
        """One of the numbers, (n, n, n)."""
        return self.values[..., STYLES[self.style].index(name)]

    def pair(self, name: str) -> Array:
        """One of the numbers of entries (i, j, j), (n, n)."""
        n = np.arange(len(self.species))
        return self.triplet(name)[:, n, n]

    def fail(self, at: tuple[int, int, int], name: str, value: float, expected: str) -> FormatError:
        """The error of a number of entry `at`."""
        entry = " ".join(self.species[k] for k in at)
        return FormatError(
            f"{name} of {entry} is {value:g}: expected {expected}",
            self.path,
            int(self.lines[at]),
        )


def one_direction(i: NDArray[np.int64], j: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the entry of a pair of atoms is (i, j, j) rather than (j, i, i), by their numbers: LAMMPS's choice, which evaluates a pair once."""
    return np.asarray((i > j) == ((i + j) % 2 == 1), dtype=np.bool_)


def is_stillinger_weber(path: str | os.PathLike[str]) -> bool:
    """Whether the file begins with an entry of Stillinger-Weber."""
    return _style_of_head(path) == ["sw"]


def is_tersoff(path: str | os.PathLike[str]) -> bool:
    """Whether the file begins with an entry of one of Tersoff's styles."""
    styles = _style_of_head(path)
    return bool(styles) and styles[0] in TERSOFF


def read_three_body(
    path: str | os.PathLike[str], styles: Sequence[str], *, style: str | None = None
) -> ThreeBodyFile:
    """Read the entries of a file.

    Parameters
    ----------
    path : path-like
    styles : sequence of str
        Those that the caller takes.
    style : str, optional
        One of them, where the file is not to decide.

    Raises
    ------
    FormatError
        The file breaks its format; the message names path, line, what is there and what was expected.
    UnsupportedError
        A valid file of another kind, other units, or one that could be of two styles.
    OSError
        The file cannot be read.
    """
    name = os.fspath(path)
    head = read_head(path)
    first = _first_entry(head)
    if not _opens(first) or not all(map(_is_number, first[3:4])) or _other_style(name):
        check_foreign(path)
        line, words = next(_lines(head), (1, [b""]))
        raise FormatError(
            f"found {show(b' '.join(words))}: expected an entry, three elements and {_lengths(styles)} numbers",
            name,
            line,
        )
    data = read_text(path, MAX_FILE_BYTES)
    check_units(name, data)
    length = 3 + len(STYLES[style]) if style is not None else len(first)
    if length not in _LENGTHS:
        line, _ = next(_lines(data))
        expected = ", ".join(f"{n} ({' or '.join(s)})" for n, s in _LENGTHS.items())
        raise FormatError(f"the first entry has {length} words: expected {expected}", name, line)
    entries = _entries(name, data, length)
    if style is None:
        style = _decide(name, length, entries)
    if style not in styles:
        if _styles_of(first):
            check_foreign(path)
        line, _ = next(_lines(data))
        raise FormatError(
            f"the first entry has {length} words: expected three elements and {_lengths(styles)} numbers",
            name,
            line,
        )
    names = dict.fromkeys(triple[0] for triple, _, _ in entries)
    return ThreeBodyFile(style=style, path=name, names=tuple(names), entries=tuple(entries))


def check_style(file: ThreeBodyFile, styles: Sequence[str]) -> None:
    """ValueError where what was read is of none of these styles."""
    if file.style not in styles:
        raise ValueError(f"{file.path}: style: {file.style!r}; expected {' or '.join(styles)}")


def select(file: ThreeBodyFile, elements: Sequence[str] | None) -> Parameters:
    """The numbers of all triplets of these elements, each of which must be there once.

    `elements` None: those of the file, in its order, as far as their triplets with the ones before are complete; names that are no
    chemical symbols are left out.

    Raises
    ------
    ValueError
        Elements that the file does not have.
    FormatError
        Triplets that are missing or there twice; numbers that are none.
    """
    if elements is None:
        chosen = _complete(file)
        if not chosen:
            raise FormatError(
                f"no element with an entry of its own among {', '.join(file.names)}: expected chemical symbols, as in 'Si Si Si'",
                file.path,
            )
    else:
        chosen = checks.elements(elements)
        for e in chosen:
            if e not in file.names:
                raise ValueError(
                    f"elements: {e!r} is not in {file.path}, which has {', '.join(file.names)}"
                )
            if not atomic_numbers.get(e, 0):
                raise ValueError(f"elements: {e!r}; expected a chemical symbol")
    place = {name: k for k, name in enumerate(chosen)}
    n, columns = len(chosen), STYLES[file.style]
    lines = np.zeros((n, n, n), dtype=np.int64)
    values = np.zeros((n, n, n, len(columns)))
    for triple, line, words in file.entries:
        if not all(name in place for name in triple):
            continue
        at = tuple(place[name] for name in triple)
        if lines[at]:
            raise FormatError(
                f"a second entry of {' '.join(triple)}: the first is on line {lines[at]}",
                file.path,
                line,
            )
        lines[at] = line
        for k, word in enumerate(words):
            value = to_float(word)
            if value is None:
                raise FormatError(
                    f"found {show(word)}: expected {columns[k]} of {' '.join(triple)}, a finite number up to {MAX_MAGNITUDE:g}",
                    file.path,
                    line,
                )
            values[at][k] = value
    if not lines.all():
        i, j, k = np.argwhere(lines == 0)[0]
        raise FormatError(
            f"no entry of {chosen[i]} {chosen[j]} {chosen[k]}: expected all {n**3} triplets of {', '.join(chosen)}",
            file.path,
        )
    return Parameters(style=file.style, path=file.path, species=chosen, values=values, lines=lines)


def _complete(file: ThreeBodyFile) -> tuple[str, ...]:
    have = {triple for triple, _, _ in file.entries}
    chosen: list[str] = []
    for name in file.names:
        more = [*chosen, name]
        if not atomic_numbers.get(name, 0) or len(more) > MAX_ELEMENTS:
            continue
        new = ((*t[:k], name, *t[k:]) for t in product(more, repeat=2) for k in range(3))
        if all(t in have for t in new):
            chosen = more
    return tuple(chosen)


def _lines(data: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Numbers and words of the lines that have some."""
    for number, raw in enumerate(data.split(b"\n"), 1):
        words = raw.partition(b"#")[0].split()
        if words:
            yield number, words


def _is_number(word: bytes) -> bool:
    """As it is written; its size is looked at where it is used."""
    return _NUMBER.fullmatch(word) is not None


def _opens(words: list[bytes]) -> bool:
    """Whether a line begins an entry: three names."""
    return len(words) >= 3 and all(_NAME.fullmatch(word) for word in words[:3])


def _first_entry(data: bytes) -> list[bytes]:
    """Words of the first entry: up to the next line that begins with something else than a number."""
    entry: list[bytes] = []
    for _, words in _lines(data):
        if (entry and not _is_number(words[0])) or len(entry) > max(_LENGTHS):
            break
        entry += words
    return entry


def _styles_of(words: Sequence[bytes]) -> list[str]:
    """Styles that an entry can be of."""
    numbers = [to_float(word) for word in words[3:]]

    def fits(style: str) -> bool:
        value = dict(zip(STYLES[style], numbers, strict=True))
        if style == "sw":
            return True
        if style.startswith("tersoff/mod"):
            return value["beta"] in (1.0, 3.0) and value["beta_ters"] == 1.0
        charges = (value["Z_i"], value["Z_j"]) if style == "tersoff/zbl" else ()
        whole = all(z is not None and z == round(z) and 1 <= z <= 118 for z in charges)
        return value["m"] in (1.0, 3.0) and whole

    return [style for style in _LENGTHS.get(len(words), ()) if fits(style)]


def _other_style(path: str) -> bool:
    name = Path(path).name.lower()
    return any(f".{mark}" in name for mark in _OTHERS)


def _style_of_head(path: str | os.PathLike[str]) -> list[str]:
    entry = _first_entry(read_head(path))
    if not _opens(entry) or not all(map(_is_number, entry[3:])) or _other_style(os.fspath(path)):
        return []
    return _styles_of(entry)


def _lengths(styles: Sequence[str]) -> str:
    lengths = sorted({len(STYLES[style]) for style in styles})
    return " or ".join([", ".join(map(str, lengths[:-1])), str(lengths[-1])][len(lengths) == 1 :])


def _entries(path: str, data: bytes, length: int) -> list[Entry]:
    """Entries of so many words, as LAMMPS takes them: lines are added until there are enough."""
    found: list[Entry] = []
    words: list[bytes] = []
    begin = 0
    names: dict[bytes, str] = {}
    for line, more in _lines(data):
        if not words:
            begin = line
            if not _opens(more):
                raise FormatError(
                    f"found {show(b' '.join(more))}: expected an entry, three elements and {length - 3} numbers",
                    path,
                    line,
                )
        elif _opens(more):
            break  # a new entry: the one before is too short
        words += more
        if len(words) < length:
            continue
        if len(words) > length:
            raise FormatError(f"an entry of {len(words)} words: expected {length}", path, begin)
        triple = tuple(names.setdefault(w, w.decode("ascii")) for w in words[:3])
        found.append(((triple[0], triple[1], triple[2]), begin, tuple(words[3:])))
        words = []
    if words:
        raise FormatError(f"an entry of {len(words)} words: expected {length}", path, begin)
    return found


def _decide(path: str, length: int, entries: Sequence[Entry]) -> str:
    """The style of entries of so many words."""
    styles = _LENGTHS[length]
    if len(styles) == 1:
        return styles[0]
    for triple, line, words in entries:
        styles = [
            s for s in styles if s in _styles_of([*(name.encode() for name in triple), *words])
        ]
        if not styles:
            raise FormatError(
                f"the entry of {' '.join(triple)} is none of tersoff/zbl, which has m = 1 or 3 first and atomic numbers as 15th and 16th number, and none of"
                " tersoff/mod/c, which has beta = 1 or 3 first and 1 as 5th number",
                path,
                line,
            )
    name = Path(path).name.lower()
    marked = [s for s in styles if any(mark in name for mark in _MARKS[s])]
    chosen = marked if len(styles) > 1 else styles
    if len(chosen) != 1:
        raise UnsupportedError(
            f"{path}: the entries could be of {' or '.join(styles)}; say which by style={styles[0]!r} or style={styles[1]!r}"
        )
    return chosen[0]
