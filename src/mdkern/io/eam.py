"""Embedded-atom tables: funcfl (``.eam``), setfl (``.eam.alloy``), Finnis-Sinclair (``.eam.fs``).

The three formats are told apart by their content. A setfl file of one element is also a valid
Finnis-Sinclair file with the same meaning; it is reported as ``"alloy"``.

Tables start at ``r = 0`` and ``rho = 0``; units are eV and Angstrom.
"""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import ArrayLike, NDArray

from mdkern.errors import FormatError, MDKernWarning, UnsupportedError
from mdkern.io.files import read_bytes

__all__ = ["EamTables", "read_eam", "spline_coefficients"]

MAX_FILE_BYTES = 256 * 2**20
MAX_ELEMENTS = 118
MIN_KNOTS = 5
MAX_CUTOFF = 100.0  # Angstrom; larger ones are damaged files, and would exhaust the memory later
MAX_MAGNITUDE = 1e100  # keeps products of two tables and their differences finite
# Rounded constants (eV per Hartree, Angstrom per Bohr) that belong to the funcfl convention.
FUNCFL_FACTOR = 27.2 * 0.529

_NUMBER_BYTES = b"0123456789+-.eEdD "
_FORTRAN = bytes.maketrans(b"dD", b"ee")
_INTEGER = re.compile(rb"[+-]?[0-9]{1,18}")
_WORD = re.compile(rb"[A-Za-z]")
_UNITS = re.compile(rb"UNITS:\s*([A-Za-z]+)")
_CHUNK = 16384  # tokens converted at once: bounds the memory for text objects

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EamTables:
    r"""Tables of :math:`E = \sum_i F_i(\rho_i) + \tfrac12 \sum_{ij} \phi_{ij}(r_{ij})`.

    Attributes
    ----------
    kind : {"funcfl", "alloy", "fs"}
        Format of the file.
    path : str
        File name, or several joined with commas; for messages only.
    species : tuple of str, length ns
        Chemical symbols in the order of the tables.
    masses : (ns,) array
        Atomic masses from the file (amu).
    cutoff : float
        Pairs with ``r < cutoff`` interact (Angstrom).
    dr, drho : float
        Knot spacing; knot k is at ``k * dr`` or ``k * drho``.
    rho_max : float
        Above this density F continues linearly. For funcfl it is the end of the file's table,
        which lies beyond the last resampled knot.
    embedding : (ns, n_rho) array
        F(rho) in eV.
    density : (ns, ns, n_r) array
        ``density[a, b]``: what an atom of species a contributes at the site of species b.
    r_phi : (ns, ns, n_r) array
        r * phi(r) in eV Angstrom, symmetric in the first two axes.
    """

    kind: Literal["funcfl", "alloy", "fs"]
    path: str
    species: tuple[str, ...]
    masses: Array
    cutoff: float
    dr: float
    drho: float
    rho_max: float
    embedding: Array
    density: Array
    r_phi: Array


def read_eam(path: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]]) -> EamTables:
    """Read EAM tables from a file, or mix several funcfl files.

    Parameters
    ----------
    path : path-like or mapping of symbol to path-like
        One file of any of the three formats, or ``{"Cu": path, "Ni": path}`` with one funcfl
        file per element. A single funcfl file takes its element from the atomic number in its
        second line; in a mapping the key decides.

    Returns
    -------
    EamTables
        funcfl tables are resampled to one common grid, as LAMMPS does.

    Raises
    ------
    FormatError
        The file breaks its format; the message names path, line, token and expectation.
    UnsupportedError
        A valid file of another kind (angular-dependent tables, other units).
    OSError
        The file cannot be read.
    """
    if isinstance(path, Mapping):
        return _mix_funcfl(path)
    reader = _Reader(path)
    if reader.looks_like_setfl():
        return _read_setfl(reader)
    single = _read_funcfl(reader)
    return _resample({single.symbol(): single})


def spline_coefficients(values: ArrayLike) -> Array:
    r"""Cubic Hermite coefficients of uniform tables, slopes by finite differences.

    In a cell with knots :math:`y_m, y_{m+1}` and fraction p the value is
    :math:`((c_3 p + c_2) p + c_1) p + c_0`, its derivative with respect to the argument
    :math:`(3 c_3 p^2 + 2 c_2 p + c_1) / \Delta`. Slopes come from the five-point formula inside,
    from three points at the second knot from either end and from two points at the ends, the rule
    of LAMMPS.

    Parameters
    ----------
    values : (..., n) array, n >= 3
        Function values at the knots.

    Returns
    -------
    (..., n - 1, 4) array
        ``[c3, c2, c1, c0]`` per cell.

    Raises
    ------
    ValueError
        Fewer than three knots.
    """
    y = np.asarray(values, dtype=np.float64)
    if y.ndim == 0 or y.shape[-1] < 3:
        raise ValueError(f"values: expected at least 3 knots in the last axis, got shape {y.shape}")
    slope = np.empty_like(y)
    slope[..., 0] = y[..., 1] - y[..., 0]
    slope[..., -1] = y[..., -1] - y[..., -2]
    slope[..., 1] = 0.5 * (y[..., 2] - y[..., 0])
    slope[..., -2] = 0.5 * (y[..., -1] - y[..., -3])
    if y.shape[-1] > 4:
        near = y[..., 3:-1] - y[..., 1:-3]
        slope[..., 2:-2] = (y[..., :-4] - y[..., 4:] + 8.0 * near) / 12.0
    rise = np.diff(y, axis=-1)
    left, right = slope[..., :-1], slope[..., 1:]
    return np.stack(
        [left + right - 2.0 * rise, 3.0 * rise - 2.0 * left - right, left, y[..., :-1]], axis=-1
    )


class _Reader:
    """Line and token cursor over one file; every failure names path and line."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.data = read_bytes(path, MAX_FILE_BYTES)
        self._check_text()
        self.stream = io.BytesIO(self.data)
        self.line = 0
        self.pending: list[bytes] = []  # tokens of the current line that are not used yet

    def _check_text(self) -> None:
        try:
            self.data.decode("utf-8")
            bad = self.data.find(b"\0")
        except UnicodeDecodeError as error:
            bad = error.start
        if bad >= 0:
            line = self.data.count(b"\n", 0, bad) + 1
            raise FormatError(
                f"byte 0x{self.data[bad]:02x}: expected text (ASCII or UTF-8), got binary data",
                self.path,
                line,
            )

    def looks_like_setfl(self) -> bool:
        """Fourth line ``Nel El1 ...`` with symbols: setfl; numbers there: funcfl."""
        head = [self.stream.readline().split() for _ in range(4)]
        self.stream.seek(0)
        fourth = head[3]
        if len(fourth) > 1 and _WORD.match(fourth[1]) and fourth[1].lower() not in (b"nan", b"inf"):
            return True
        if 3 <= len(head[1]) <= 4 and len(head[2]) == 5:
            return False
        raise FormatError(
            f"found {_show(b' '.join(fourth))}: expected the number of elements and their symbols"
            " (setfl, Finnis-Sinclair), or Z, mass, lattice constant, lattice in line 2 and"
            " Nrho drho Nr dr cutoff in line 3 (funcfl)",
            self.path,
            4,
        )

    def fail(self, message: str, line: int | None = None) -> NoReturn:
        raise FormatError(message, self.path, self.line if line is None else line)

    def comment(self) -> bytes:
        """Next line as it stands."""
        raw = self.stream.readline()
        self.line += 1
        return raw

    def header(self, low: int, high: int, what: str) -> list[bytes]:
        """All tokens of the next line that is not blank, `low` to `high` of them."""
        if self.pending:
            self.fail(f"found {_show(self.pending[0])}: expected a new line with {what}")
        words: list[bytes] = []
        while not words:
            raw = self.stream.readline()
            if not raw:
                self.fail(f"file ends: expected {what}")
            self.line += 1
            words = raw.split()
        if not low <= len(words) <= high:
            self.fail(f"found {_show(b' '.join(words))} ({len(words)} values): expected {what}")
        return words

    def integer(self, word: bytes, low: int, high: int, what: str) -> int:
        if not _INTEGER.fullmatch(word) or not low <= int(word) <= high:
            self.fail(f"found {_show(word)}: expected {what}, an integer from {low} to {high}")
        return int(word)

    def real(self, word: bytes, what: str, *, positive: bool = True) -> float:
        value = _to_float(word)
        if value is None or (positive and value <= 0.0):
            self.fail(f"found {_show(word)}: expected {what}, a {_kind(positive)}")
        return value

    def values(self, count: int, what: str) -> Array:
        """Next `count` numbers of the token stream; lines may break anywhere."""
        left = len(self.data) - self.stream.tell()
        if count > len(self.pending) + (left + 1) // 2:
            self.fail(f"{count} values of {what} declared, but only {left} bytes follow")
        out = np.empty(count)
        done = 0
        while done < count:
            chunk: list[tuple[int, list[bytes]]] = []
            size = 0
            while size < min(count - done, _CHUNK):
                words = self.pending or self._next_words(what, done + size, count)
                take, self.pending = words[: count - done - size], words[count - done - size :]
                chunk.append((self.line, take))
                size += len(take)
            out[done : done + size] = self._convert(chunk, what)
            done += size
        return out

    def _next_words(self, what: str, got: int, count: int) -> list[bytes]:
        raw = self.stream.readline()
        if not raw:
            self.fail(f"file ends after {got} of {count} values of {what}")
        self.line += 1
        return raw.split()

    def _convert(self, chunk: list[tuple[int, list[bytes]]], what: str) -> Array:
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
            for word in words:
                if _to_float(word) is None:
                    self.fail(f"found {_show(word)}: expected {what}, a {_kind(False)}", line)
        raise AssertionError("a chunk of valid numbers was refused")

    def is_element_header(self) -> bool:
        """Whether the next line opens an element block rather than going on with numbers."""
        if self.pending:
            return False
        here = self.stream.tell()
        words: list[bytes] = []
        for raw in iter(self.stream.readline, b""):
            words = raw.split()
            if words:
                break
        self.stream.seek(here)
        if not 3 <= len(words) <= 4 or not _INTEGER.fullmatch(words[0]):
            return False
        mass = _to_float(words[1])
        named = len(words) == 4 and _WORD.match(words[3]) is not None
        return named or (int(words[0]) > 0 and mass is not None and mass >= 1.0)

    def end(self, adp_tables: int) -> None:
        """Refuse what follows the last table; `adp_tables` values more make an ADP file."""
        extra = self.pending
        line = self.line
        count = len(extra)
        for raw in self.stream:
            self.line += 1
            words = raw.split()
            count += len(words)
            if words and not extra:
                extra, line = words, self.line
        if extra and count == adp_tables:
            raise UnsupportedError(
                f"{self.path}:{line}: dipole and quadrupole tables follow: angular-dependent (ADP)"
                " potentials are not supported; expected a plain setfl file"
            )
        if extra:
            self.fail(f"found {_show(extra[0])}: expected the end of the file", line)


def _show(word: bytes) -> str:
    """Token for a message: readable and never long."""
    text = word.decode("utf-8", "replace")
    return repr(text if len(text) <= 40 else text[:40] + "...")


def _kind(positive: bool) -> str:
    return "positive finite number" if positive else f"finite number up to {MAX_MAGNITUDE:g}"


def _to_float(word: bytes) -> float | None:
    """Strict number (Fortran's D exponent allowed), None if it is none or out of range."""
    if word.translate(None, _NUMBER_BYTES):
        return None
    try:
        value = float(word.translate(_FORTRAN))
    except ValueError:
        return None
    return value if abs(value) <= MAX_MAGNITUDE else None


@dataclass(frozen=True, slots=True)
class _Grid:
    """Line ``Nrho drho Nr dr cutoff``."""

    n_rho: int
    drho: float
    n_r: int
    dr: float
    cutoff: float

    @staticmethod
    def read(reader: _Reader) -> _Grid:
        words = reader.header(5, 5, "Nrho drho Nr dr cutoff")
        most = max(MIN_KNOTS, len(reader.data))  # a knot takes at least two bytes
        grid = _Grid(
            reader.integer(words[0], MIN_KNOTS, most, "Nrho"),
            reader.real(words[1], "drho"),
            reader.integer(words[2], MIN_KNOTS, most, "Nr"),
            reader.real(words[3], "dr"),
            reader.real(words[4], "the cutoff"),
        )
        if grid.cutoff > MAX_CUTOFF:
            reader.fail(
                f"found {_show(words[4])}: expected the cutoff, at most {MAX_CUTOFF:g} Angstrom"
            )
        if min(grid.dr, grid.drho) < 1e-100:
            reader.fail(f"found drho {grid.drho:g}, dr {grid.dr:g}: expected at least 1e-100")
        return grid


def _check_units(reader: _Reader, comment: bytes) -> None:
    match = _UNITS.search(comment)
    if match and match[1] != b"metal":
        raise UnsupportedError(
            f"{reader.path}:1: units {_show(match[1])} are not supported; expected 'metal'"
        )


def _element_header(reader: _Reader, smallest_z: int) -> tuple[int, float]:
    """Atomic number and mass of a line ``Z mass a lattice``."""
    words = reader.header(3, 4, "Z mass lattice-constant lattice")
    z = reader.integer(words[0], smallest_z, MAX_ELEMENTS, "the atomic number")
    mass = reader.real(words[1], "the mass")
    reader.real(words[2], "the lattice constant", positive=False)
    return z, mass


def _setfl_species(reader: _Reader) -> tuple[str, ...]:
    what = "the number of elements and their symbols"
    words = reader.header(1, MAX_ELEMENTS + 1, what)
    count = reader.integer(words[0], 1, MAX_ELEMENTS, "the number of elements")
    if len(words) != count + 1:
        reader.fail(f"{count} elements declared, {len(words) - 1} symbols found")
    species: list[str] = []
    for word in words[1:]:
        symbol = word.decode("utf-8")
        if not _is_symbol(symbol):
            reader.fail(f"found {_show(word)}: expected a chemical symbol")
        if symbol in species:
            reader.fail(f"found {_show(word)} twice: expected different chemical symbols")
        species.append(symbol)
    return tuple(species)


def _is_symbol(name: object) -> bool:
    return isinstance(name, str) and atomic_numbers.get(name, 0) > 0


def _read_setfl(reader: _Reader) -> EamTables:
    _check_units(reader, reader.comment())
    reader.comment()
    reader.comment()
    species = _setfl_species(reader)
    ns = len(species)
    grid = _Grid.read(reader)
    masses = np.empty(ns)
    embedding: list[Array] = []
    density: list[Array] = []
    is_fs = False
    for a, symbol in enumerate(species):
        # Cu_mishin1 and others carry a wrong atomic number here: the symbol decides.
        masses[a] = _element_header(reader, 0)[1]
        embedding.append(reader.values(grid.n_rho, f"F(rho) of {symbol}"))
        density.append(reader.values(grid.n_r, f"the density of {symbol}"))
        if a == 0 and ns > 1:
            is_fs = not reader.is_element_header()
        if is_fs:
            for other in species[1:]:
                density.append(reader.values(grid.n_r, f"the density of {symbol} at {other}"))
    r_phi = _allocate_pairs(ns, grid.n_r, reader)
    for a in range(ns):
        for b in range(a + 1):
            r_phi[a, b] = reader.values(grid.n_r, f"r*phi of {species[a]}-{species[b]}")
            r_phi[b, a] = r_phi[a, b]
    reader.end(ns * (ns + 1) * grid.n_r)
    by_centre = np.array(density).reshape(ns, -1, grid.n_r)  # (ns, ns or 1, n_r)
    return EamTables(
        kind="fs" if is_fs else "alloy",
        path=reader.path,
        species=species,
        masses=masses,
        cutoff=grid.cutoff,
        dr=grid.dr,
        drho=grid.drho,
        rho_max=(grid.n_rho - 1) * grid.drho,
        embedding=np.array(embedding),
        density=np.repeat(by_centre, ns // by_centre.shape[1], axis=1),
        r_phi=r_phi,
    )


def _allocate_pairs(ns: int, n_r: int, reader: _Reader) -> Array:
    """Zeroed (ns, ns, n_r), after the check that the file can still fill half of it."""
    left = len(reader.data) - reader.stream.tell()
    count = ns * (ns + 1) // 2 * n_r
    if count > len(reader.pending) + (left + 1) // 2:
        reader.fail(f"{count} values of r*phi declared, but only {left} bytes follow")
    return np.zeros((ns, ns, n_r))


@dataclass(frozen=True, slots=True)
class _Funcfl:
    """One funcfl file on its own grid."""

    path: str
    z: int
    mass: float
    grid: _Grid
    embedding: Array
    charge: Array
    density: Array

    def symbol(self) -> str:
        return str(chemical_symbols[self.z])


def _read_funcfl(reader: _Reader) -> _Funcfl:
    _check_units(reader, reader.comment())
    z, mass = _element_header(reader, 1)
    grid = _Grid.read(reader)
    embedding = reader.values(grid.n_rho, "F(rho)")
    charge = reader.values(grid.n_r, "Z(r)")
    density = reader.values(grid.n_r, "the density")
    reader.end(0)
    return _Funcfl(reader.path, z, mass, grid, embedding, charge, density)


def _mix_funcfl(paths: Mapping[str, str | os.PathLike[str]]) -> EamTables:
    if not 1 <= len(paths) <= MAX_ELEMENTS:
        raise ValueError(f"path: got {len(paths)} entries, expected 1 to {MAX_ELEMENTS}")
    files: dict[str, _Funcfl] = {}
    for symbol, path in paths.items():
        if not _is_symbol(symbol):
            raise ValueError(f"path: got key {symbol!r}, expected a chemical symbol")
        reader = _Reader(path)
        if reader.looks_like_setfl():
            raise FormatError(
                "this is a setfl or Finnis-Sinclair file: only funcfl files can be mixed by a"
                f" mapping; pass its path alone (key {symbol!r})",
                reader.path,
                4,
            )
        files[symbol] = _read_funcfl(reader)
        if files[symbol].symbol() != symbol:
            warnings.warn(
                f"{reader.path}:2: the file is for {files[symbol].symbol()}, used for {symbol}",
                MDKernWarning,
                stacklevel=3,
            )
    return _resample(files)


def _resample(files: Mapping[str, _Funcfl]) -> EamTables:
    """Bring funcfl files to the common grid of LAMMPS and form r*phi by their products."""
    grids = [file.grid for file in files.values()]
    dr = max(grid.dr for grid in grids)
    drho = max(grid.drho for grid in grids)
    r_max = max((grid.n_r - 1) * grid.dr for grid in grids)
    rho_max = max((grid.n_rho - 1) * grid.drho for grid in grids)
    # Never more knots than the longest file has: its own spacing is at most the common one.
    r: Array = np.arange(int(r_max / dr + 0.5), dtype=np.float64) * dr
    rho: Array = np.arange(int(rho_max / drho + 0.5), dtype=np.float64) * drho
    charge = np.array([_lagrange(f.charge, f.grid.dr, r) for f in files.values()])
    density = np.array([_lagrange(f.density, f.grid.dr, r) for f in files.values()])
    ns = len(grids)
    return EamTables(
        kind="funcfl",
        path=", ".join(file.path for file in files.values()),
        species=tuple(files),
        masses=np.array([file.mass for file in files.values()]),
        cutoff=max(grid.cutoff for grid in grids),
        dr=dr,
        drho=drho,
        rho_max=rho_max,
        embedding=np.array([_lagrange(f.embedding, f.grid.drho, rho) for f in files.values()]),
        density=np.repeat(density[:, None], ns, axis=1),
        r_phi=FUNCFL_FACTOR * (charge[:, None] * charge[None, :]),
    )


def _lagrange(values: Array, spacing: float, x: Array) -> Array:
    """Four-point interpolation of a uniform table from 0 at points `x`, constant past its end."""
    position = x / spacing  # knot index from 0
    k = np.clip(position, 1, len(values) - 3).astype(np.int64)
    p = np.minimum(position - k, 2.0)
    return np.asarray(
        -p * (p - 1) * (p - 2) / 6 * values[k - 1]
        + (p * p - 1) * (p - 2) / 2 * values[k]
        - p * (p + 1) * (p - 2) / 2 * values[k + 1]
        + p * (p * p - 1) / 6 * values[k + 2]
    )
