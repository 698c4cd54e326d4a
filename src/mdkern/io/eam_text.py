"""Lines and numbers of EAM files, by the rules of LAMMPS.

What follows ``#`` is a comment. Numbers of a table may stand on any number of lines, but every table begins on a line of its own: what
stands behind its last number on the same line is not read.
"""

from __future__ import annotations

import io
import re
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from mdkern.errors import FormatError
from mdkern.io.text import show

__all__ = ["EamText", "is_integer", "n_numbers", "to_float"]

MAX_MAGNITUDE = 1e100  # keeps products of two tables and their differences finite

_NUMBER_BYTES = b"0123456789+-.eEdD "
_FORTRAN = bytes.maketrans(b"dD", b"ee")
_INTEGER = re.compile(rb"[+-]?[0-9]{1,18}")
_CHUNK = 16384  # tokens converted at once: bounds the memory for text objects
_MAX_LINE = 2**20  # bytes, for the same reason

Array = NDArray[np.float64]


def is_integer(word: bytes) -> bool:
    """Whether the token is an integer as C would read it."""
    return _INTEGER.fullmatch(word) is not None


def to_float(word: bytes) -> float | None:
    """Strict number (Fortran's D exponent allowed), None if it is none or out of range."""
    if word.translate(None, _NUMBER_BYTES):
        return None
    try:
        value = float(word.translate(_FORTRAN))
    except ValueError:
        return None
    return value if abs(value) <= MAX_MAGNITUDE else None


def n_numbers(words: list[bytes]) -> int:
    """How many numbers stand in front of the first other word."""
    return next((k for k, word in enumerate(words) if to_float(word) is None), len(words))


def _is_element_line(words: list[bytes]) -> bool:
    """``Z mass``, perhaps a lattice constant and more, rather than numbers of a table."""
    if len(words) < 2 or not is_integer(words[0]):
        return False
    mass = to_float(words[1])
    if mass is None:
        return False
    return n_numbers(words) < len(words) or (mass >= 1.0 and len(words) <= 4)


def _kind(positive: bool) -> str:
    return "positive finite number" if positive else f"finite number up to {MAX_MAGNITUDE:g}"


class Rest(NamedTuple):
    """Numbers behind the last table."""

    numbers: int
    line: int
    opening: list[bytes]  # those of the first line
    tables: int  # that they make up; 0: no whole ones


class EamText:
    """Cursor over the lines of one file; every failure names path and line.

    Attributes
    ----------
    line : int
        The line read last.
    joined : bool
        Whether the header read last took more than one line.
    dropped : list of str
        Numbers that were too many on the last line of a table, and are not used.
    """

    def __init__(self, path: str, data: bytes) -> None:
        self.path = path
        self.size = len(data)
        self.stream = io.BytesIO(data)
        self.line = 0
        self.joined = False
        self.dropped: list[str] = []

    def fail(self, message: str, line: int | None = None) -> NoReturn:
        note = f" (further up, {self.dropped[0]})" if self.dropped else ""
        raise FormatError(message + note, self.path, self.line if line is None else line)

    def comment(self) -> bytes:
        """Next line as it stands."""
        raw = self.stream.readline(_MAX_LINE)
        self.line += 1
        if len(raw) == _MAX_LINE:
            self.fail(f"a line of more than {_MAX_LINE} bytes")
        return raw

    def words(self) -> list[bytes]:
        """Words of the next line that has some before a ``#``; none: the file ends."""
        while raw := self.comment():
            words = raw.partition(b"#")[0].split()
            if words:
                return words
        self.line -= 1
        return []

    def header(self, least: int, what: str) -> list[bytes]:
        """Words of the next line, and of those behind it while there are fewer than `least`."""
        words: list[bytes] = []
        lines = 0
        while len(words) < least:
            more = self.words()
            if not more:
                self.fail(f"file ends: expected {what}")
            words += more
            lines += 1
        self.joined = lines > 1
        return words

    def integer(self, word: bytes, low: int, high: int, what: str) -> int:
        if not is_integer(word) or not low <= int(word) <= high:
            self.fail(f"found {show(word)}: expected {what}, an integer from {low} to {high}")
        return int(word)

    def real(self, word: bytes, what: str, *, positive: bool = True) -> float:
        value = to_float(word)
        if value is None or (positive and value <= 0.0):
            self.fail(f"found {show(word)}: expected {what}, a {_kind(positive)}")
        return value

    def check_room(self, count: int, what: str) -> None:
        """Before memory is taken: the rest of the file must be able to hold as many numbers."""
        left = self.size - self.stream.tell()
        if count > (left + 1) // 2:
            self.fail(f"{count} values of {what} declared, but only {left} bytes follow")

    def values(self, count: int, what: str) -> Array:
        """A table: `count` numbers from the next line on."""
        self.check_room(count, what)
        out = np.empty(count)
        done = first = begin = 0
        words: list[bytes] = []
        while done < count:
            chunk: list[tuple[int, list[bytes]]] = []
            size = 0
            while size < min(count - done, _CHUNK):
                words = self.words()
                if not words:
                    self.fail(f"file ends after {done + size} of {count} values of {what}")
                if not first:
                    first, begin = len(words), self.line
                chunk.append((self.line, words[: count - done - size]))
                size += len(chunk[-1][1])
            out[done : done + size] = self._convert(chunk, done, count, what)
            done += size
        self._behind(words, len(chunk[-1][1]), first, count, what, begin)
        return out

    def _behind(
        self, words: list[bytes], used: int, first: int, count: int, what: str, begin: int
    ) -> None:
        """What stands behind the last number of a table on its line: words, or numbers too many."""
        extra = len(words) - used
        if extra == 0:
            return
        if n_numbers(words[used:]) < extra:
            if _is_element_line(words):
                self.fail(
                    f"found {show(b' '.join(words))} after {count - used} of {count} values of {what}"
                )
            return
        if first <= extra and self.line > begin:
            # Its first lines may be the end of the table before: then the last number is none too many.
            self.fail(
                f"{count + extra} numbers on lines {begin} to {self.line} for the {count} of {what}:"
                " which are too many is not clear"
            )
        self.drop(extra, f"{count} of {what}")

    def drop(self, extra: int, wanted: str) -> None:
        """Note numbers of this line that are not used."""
        plural = "s" if extra > 1 else ""
        self.dropped.append(f"{extra} number{plural} more than the {wanted} on line {self.line}")

    def _convert(
        self, chunk: list[tuple[int, list[bytes]]], done: int, count: int, what: str
    ) -> Array:
        text = b" ".join([word for _, words in chunk for word in words])
        if not text.translate(None, _NUMBER_BYTES):
            try:
                out = np.array([float(word) for word in text.translate(_FORTRAN).split()])
            except ValueError:
                pass
            else:
                if np.abs(out).max() <= MAX_MAGNITUDE:
                    return out
        for line, words in chunk:
            if _is_element_line(words) and n_numbers(words) < len(words):
                self.fail(
                    f"found {show(b' '.join(words))} after {done} of {count} values of {what}", line
                )
            for word in words:
                if to_float(word) is None:
                    self.fail(f"found {show(word)}: expected {what}, a {_kind(False)}", line)
            done += len(words)
        raise AssertionError("a chunk of valid numbers was refused")

    def is_at_element(self) -> bool:
        """Whether the next line opens an element block rather than another table."""
        here, line = self.stream.tell(), self.line
        words = self.words()
        if len(words) == 1 and is_integer(words[0]):
            words += self.words()
        self.stream.seek(here)
        self.line = line
        return _is_element_line(words)

    def rest(self, n_knots: int) -> Rest:
        """What follows the last table, up to the first line that is not numbers alone."""
        numbers = tables = filled = at = 0
        opening: list[bytes] = []
        while (words := self.words()) and n_numbers(words) == len(words):
            if not numbers:
                opening, at = words, self.line
            numbers += len(words)
            filled += len(words)
            if filled >= n_knots:
                tables, filled = tables + 1, 0
        return Rest(numbers, at, opening, tables if filled == 0 else 0)
