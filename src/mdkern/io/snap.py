"""Coefficients (``.snapcoeff``) and parameters (``.snapparam``) of SNAP, as LAMMPS reads them.

A potential is a pair of files; either is told by its content. ``#`` begins a comment, names may stand in quotes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.eam_text import to_float
from mdkern.io.files import FileModel
from mdkern.io.foreign import check_foreign
from mdkern.io.text import check_units, read_head, read_text, show

__all__ = ["SnapModel", "bispectrum_triples", "is_snap", "read_snap"]

MAX_FILE_BYTES = 256 * 2**20
MAX_TWOJ = 20
MAX_ELEMENTS = 100
MAX_CUTOFF = 100.0  # Angstrom; larger ones are damaged files, and would exhaust the memory later

_SWITCHES = {
    "switchflag": 1,
    "bzeroflag": 1,
    "quadraticflag": 0,
    "chemflag": 0,
    "bnormflag": 0,
    "wselfallflag": 0,
    "switchinnerflag": 0,
}
_NUMBERS = {"rcutfac": None, "rfac0": 0.99363, "rmin0": 0.0}
_IGNORED = ("chunksize", "parallelthresh")  # how LAMMPS divides its work
_KEYWORDS = (*_NUMBERS, "twojmax", *_SWITCHES, "sinner", "dinner", *_IGNORED)

# What ends a line can be read in one way only, the CR of Windows as a part of a comment: else a head of many comments takes for ever.
_END = rb"[ \t]*(?:#[^\n]*|\r?)\n"
_HEAD_COEFF = re.compile(
    rb"\A(?:%E)*[ \t]*\d+[ \t]+\d+%E(?:%E)*"
    rb"[ \t]*[\"']?[A-Za-z][\w+-]*[\"']?[ \t]+[-+.\deEdD]+[ \t]+[-+.\deEdD]+%E"
    rb"(?:%E)*[ \t]*[-+.\deEdD]+(?:%E|[ \t]*(?:#[^\n]*|\r?)\Z)".replace(b"%E", _END)
)
_HEAD_PARAM = re.compile(rb"^[ \t]*(?:rcutfac[ \t]+\S+|twojmax[ \t]+\d+)", re.MULTILINE)

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SnapModel(FileModel):
    """What both files say.

    Attributes
    ----------
    path : str
        The coefficients' file.
    species : tuple of str, length ns
        Names of the elements.
    radii, weights : (ns,) arrays
        R and w of each element. R has the unit of length that `rcutfac` leaves: their product is in Angstrom.
    coefficients : (ns, n) array
        eV. First c_0, then those of the components, with `quadratic` behind them the upper triangle of the quadratic terms by rows.
    twojmax : int
    rcutfac, rfac0, rmin0 : float
    switch, bzero, quadratic, chem, bnorm, wselfall : bool
    sinner, dinner : (ns,) arrays or None
        Centre and half width of the inner switching function in Angstrom, of each element; None: there is none.
    """

    path: str
    species: tuple[str, ...]
    radii: Array
    weights: Array
    coefficients: Array
    twojmax: int
    rcutfac: float
    rfac0: float = 0.99363
    rmin0: float = 0.0
    switch: bool = True
    bzero: bool = True
    quadratic: bool = False
    chem: bool = False
    bnorm: bool = False
    wselfall: bool = False
    sinner: Array | None = None
    dinner: Array | None = None

    @property
    def cutoff(self) -> float:
        """Largest distance of two atoms that interact, in Angstrom."""
        return float(2.0 * self.radii.max() * self.rcutfac)

    @property
    def n_components(self) -> int:
        """Components of the bispectrum of an atom."""
        blocks = len(self.species) ** 3 if self.chem else 1
        return len(bispectrum_triples(self.twojmax)) * blocks


def bispectrum_triples(twojmax: int) -> list[tuple[int, int, int]]:
    """(j1, j2, j), doubled, of the components in their order."""
    return [
        (j1, j2, j)
        for j1 in range(twojmax + 1)
        for j2 in range(j1 + 1)
        for j in range(j1 - j2, min(twojmax, j1 + j2) + 1, 2)
        if j >= j1
    ]


def is_snap(path: str | os.PathLike[str]) -> bool:
    """Whether the file begins as coefficients or parameters of SNAP do."""
    return _kind(read_head(path)) is not None


def _kind(head: bytes) -> str | None:
    if b"\0" in head:
        return None
    if _HEAD_COEFF.match(head):
        return "coeff"
    lines = [line.split(b"#")[0].split() for line in head.splitlines()]
    keywords = {line[0].strip(b"\"'") for line in lines if line}
    if not _HEAD_PARAM.search(head) or not keywords & {b"rcutfac", b"twojmax"}:
        return None
    known = {name.encode() for name in _KEYWORDS}
    return "param" if len(keywords & known) * 2 >= len(keywords) else None


def read_snap(
    path: str | os.PathLike[str], param_path: str | os.PathLike[str] | None = None
) -> SnapModel:
    """Read a potential.

    Parameters
    ----------
    path : path-like
        ``.snapcoeff`` or ``.snapparam``.
    param_path : path-like, optional
        The other one; by default it is looked for beside the first, under the same name with the other ending.

    Raises
    ------
    FormatError
        A file breaks its format, or its numbers do not fit those of the other; the message names path, line, token and expectation.
    UnsupportedError
        Another method's file; other units than LAMMPS's ``metal``; a 2J beyond what is supported.
    OSError
        A file cannot be read, or the other one is not there.
    """
    coeff, param = _both(Path(path), None if param_path is None else Path(param_path))
    parameters = _Parameters(param)
    species, radii, weights, coefficients = _read_coefficients(coeff)
    values = parameters.of(len(species))
    model = SnapModel(os.fspath(coeff), species, radii, weights, coefficients, **values)
    _check(model, param)
    return model


def _both(path: Path, other: Path | None) -> tuple[Path, Path]:
    """Coefficients and parameters."""
    kind = _kind(read_head(path))
    if kind is None:
        check_foreign(path)
        kind = "param" if path.suffix.lower() == ".snapparam" else "coeff"
    if other is None:
        suffix = ".snapparam" if kind == "coeff" else ".snapcoeff"
        what = "parameters" if kind == "coeff" else "coefficients"
        other = path.with_suffix(suffix)
        if not other.exists():
            raise FileNotFoundError(
                f"{path}: SNAP is two files; its {what} are not at {other}, expected them there or as the other path"
            )
    return (path, other) if kind == "coeff" else (other, path)


class _Lines:
    """Lines that have words, with their numbers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        data = read_text(path, MAX_FILE_BYTES)
        if not data.strip():
            raise FormatError("the file is empty", path)
        check_units(path, data)
        self._lines = iter(enumerate(data.split(b"\n"), 1))
        self.number = 0

    def __iter__(self) -> Iterator[list[bytes]]:
        for number, line in self._lines:
            words = line.split(b"#", 1)[0].split()
            if words:
                self.number = number
                yield words

    def next(self, what: str) -> list[bytes]:
        for words in self:
            return words
        return self.fail(f"the file ends; expected {what}")

    def fail(self, message: str) -> NoReturn:
        raise FormatError(message, self.path, self.number or None)

    def number_of(self, word: bytes, what: str) -> float:
        value = to_float(word)
        if value is None:
            self.fail(f"{what}: {show(word)}; expected a finite number")
        return value

    def whole(self, word: bytes, what: str, least: int, most: int) -> int:
        text = word.decode("latin-1")
        if not re.fullmatch(r"\+?[0-9]{1,9}", text) or not least <= int(text) <= most:
            self.fail(f"{what}: {show(word)}; expected an integer from {least} to {most}")
        return int(text)


def _read_coefficients(path: Path) -> tuple[tuple[str, ...], Array, Array, Array]:
    lines = _Lines(path)
    words = lines.next("the numbers of elements and coefficients")
    if len(words) != 2:
        lines.fail(
            f"{show(b' '.join(words))}; expected two integers, the numbers of elements and coefficients"
        )
    most = MAX_FILE_BYTES // 2  # a number and its line end take two bytes
    n_elements = lines.whole(words[0], "number of elements", 1, MAX_ELEMENTS)
    n = lines.whole(words[1], "number of coefficients", 1, most)
    size = path.stat().st_size
    if 2 * n_elements * n > size + 2:
        lines.fail(f"{n_elements} x {n} coefficients are more than a file of {size} bytes can hold")
    names: list[str] = []
    pairs, rows = [], np.zeros((n_elements, n))
    for k in range(n_elements):
        words = lines.next("an element's name, radius and weight")
        if len(words) != 3:
            lines.fail(
                f"{show(b' '.join(words))}; expected an element's name, radius and weight ({n} coefficients per element were announced)"
            )
        name = words[0].strip(b"\"'")
        if not re.fullmatch(rb"[A-Za-z][A-Za-z0-9_.+*-]{0,31}", name):
            lines.fail(f"element: {show(words[0])}; expected a name")
        if name.decode() in names:
            lines.fail(f"element: {show(name)} a second time; expected each once")
        names.append(name.decode())
        radius = lines.number_of(words[1], "radius")
        if not radius > 0.0:
            lines.fail(f"radius: {show(words[1])}; expected a positive number")
        pairs.append((radius, lines.number_of(words[2], "weight")))
        for c in range(n):
            words = lines.next(f"coefficient {c + 1} of {n} of {name.decode()}")
            if len(words) != 1:
                lines.fail(
                    f"{show(b' '.join(words))}; expected one number, coefficient {c + 1} of {n} of {name.decode()}"
                )
            rows[k, c] = lines.number_of(words[0], "coefficient")
    for words in lines:
        lines.fail(
            f"{show(b' '.join(words))} behind the last coefficient; expected {n} of {n_elements} elements"
        )
    radii, weights = np.array(pairs).T.copy()
    return tuple(names), radii, weights, rows


class _Parameters:
    """Keywords of a ``.snapparam``, checked as far as they can be without the other file."""

    def __init__(self, path: Path) -> None:
        lines = _Lines(path)
        self.path = path
        self.values: dict[str, Any] = {}
        self.line: dict[str, int] = {}
        for words in lines:
            name = words[0].strip(b"\"'").decode("latin-1")
            if name not in _KEYWORDS:
                lines.fail(f"keyword {show(words[0])}; expected one of {', '.join(_KEYWORDS)}")
            if len(words) < 2 or (len(words) > 2 and name not in ("sinner", "dinner")):
                lines.fail(f"{name}: {len(words) - 1} values; expected one")
            if name in self.line:
                lines.fail(f"{name} a second time; expected each keyword once")
            self.line[name] = lines.number
            self.values[name] = self._value(lines, name, words[1:])
        for name in ("rcutfac", "twojmax"):
            if name not in self.values:
                raise FormatError(f"no {name}; it is required", path)

    @staticmethod
    def _value(lines: _Lines, name: str, words: list[bytes]) -> Any:
        if name in _IGNORED:
            return None
        if name in _SWITCHES:
            return bool(lines.whole(words[0], name, 0, 1))
        if name == "twojmax":
            two_j = lines.whole(words[0], name, 0, 999)
            if two_j > MAX_TWOJ:
                raise UnsupportedError(
                    f"{lines.path}:{lines.number}: twojmax {two_j}; up to {MAX_TWOJ} is supported"
                )
            return two_j
        if name in ("sinner", "dinner"):
            return np.array([lines.number_of(w, name) for w in words])
        value = lines.number_of(words[0], name)
        if name != "rmin0" and not value > 0.0:
            lines.fail(f"{name}: {show(words[0])}; expected a positive number")
        if name == "rfac0" and value > 2.0:
            lines.fail(f"rfac0: {show(words[0])}; expected at most 2")
        return value

    def of(self, n_elements: int) -> dict[str, Any]:
        """Arguments of :class:`SnapModel`."""
        v = self.values
        out: dict[str, Any] = {
            "twojmax": v["twojmax"],
            "rcutfac": v["rcutfac"],
            "rfac0": v.get("rfac0", _NUMBERS["rfac0"]),
            "rmin0": v.get("rmin0", 0.0),
        }
        flags = {name.removesuffix("flag"): v.get(name, bool(on)) for name, on in _SWITCHES.items()}
        inner = flags.pop("switchinner")
        out |= flags
        for name in ("sinner", "dinner"):
            given = v.get(name)
            if not inner:
                if given is not None:
                    self._fail(name, f"{name} without switchinnerflag 1")
                continue
            if given is None:
                raise FormatError(f"switchinnerflag 1 without {name}", self.path)
            if len(given) != n_elements:
                self._fail(
                    name, f"{name}: {len(given)} numbers; expected {n_elements}, one per element"
                )
            if name == "dinner" and not (given > 0.0).all():
                self._fail(name, f"dinner: {given.min():g}; expected positive numbers")
            out[name] = given
        return out

    def _fail(self, name: str, message: str) -> NoReturn:
        raise FormatError(message, self.path, self.line[name])


def _check(model: SnapModel, param: Path) -> None:
    """What the two files say of each other."""
    n = model.n_components
    expected = 1 + n + (n * (n + 1) // 2 if model.quadratic else 0)
    found = model.coefficients.shape[1]
    if found != expected:
        raise FormatError(
            f"{found} coefficients per element; expected {expected} by twojmax {model.twojmax}, quadraticflag "
            f"{int(model.quadratic)} and chemflag {int(model.chem)} of {param}",
            model.path,
        )
    if model.cutoff > MAX_CUTOFF:
        raise FormatError(
            f"cutoff {model.cutoff:g} Angstrom by the largest radius and rcutfac of {param}; expected at most {MAX_CUTOFF:g}",
            model.path,
        )
    least = float(2.0 * model.radii.min() * model.rcutfac)
    if not model.rmin0 < least:
        raise FormatError(
            f"rmin0 {model.rmin0:g}; expected less than the smallest cutoff, {least:g} Angstrom",
            param,
        )
