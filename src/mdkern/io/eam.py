"""Embedded-atom tables: funcfl (``.eam``), setfl (``.eam.alloy``), Finnis-Sinclair (``.eam.fs``).

The three formats are told apart by their content. A setfl file of one element is also a valid
Finnis-Sinclair file with the same meaning; it is reported as ``"alloy"``. Lines are read by LAMMPS's rules
(:mod:`mdkern.io.eam_text`); where two readings are possible, the file is refused.

Tables start at ``r = 0`` and ``rho = 0``; units are eV and Angstrom.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import ArrayLike, NDArray

from mdkern.errors import FormatError, MDKernWarning, UnsupportedError
from mdkern.io.eam_text import EamText, is_integer, n_numbers
from mdkern.io.files import FileModel
from mdkern.io.foreign import check_foreign
from mdkern.io.text import check_units, read_head, read_text, show

__all__ = ["EamTables", "is_eam", "read_eam", "spline_coefficients"]

MAX_FILE_BYTES = 256 * 2**20
MAX_ELEMENTS = 118
MIN_KNOTS = 5
MAX_CUTOFF = 100.0  # Angstrom; larger ones are damaged files, and would exhaust the memory later
# Rounded constants (eV per Hartree, Angstrom per Bohr) that belong to the funcfl convention.
FUNCFL_FACTOR = 27.2 * 0.529

_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9_.+*'-]{0,31}")

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EamTables(FileModel):
    r"""Tables of :math:`E = \sum_i F_i(\rho_i) + \tfrac12 \sum_{ij} \phi_{ij}(r_{ij})`.

    Attributes
    ----------
    kind : {"funcfl", "alloy", "fs"}
        Format of the file.
    path : str
        File name, or several joined with commas; for messages only.
    species : tuple of str, length ns
        The file's names of the types in the order of the tables: chemical symbols, but for types that stand for no element
        (average atoms, often "X").
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
        A valid file of another kind: angular-dependent (ADP), concentration-dependent (eam/cd) or eam/he tables, other
        units, another method's file.
    OSError
        The file cannot be read.

    Warns
    -----
    MDKernWarning
        Numbers that were too many on the last line of a table (funcfl: of the grid, too), which LAMMPS does not read either.
    """
    if isinstance(path, Mapping):
        return _mix_funcfl(path)
    kind, reader = _open(path)
    if kind == "setfl":
        return _read_setfl(reader)
    single = _read_funcfl(reader)
    return _resample({str(chemical_symbols[single.z]): single})


def is_eam(path: str | os.PathLike[str]) -> bool:
    """Whether the file begins as one of the three formats does."""
    return _kind_of(path, read_head(path)) is not None


def _kind_of(path: str | os.PathLike[str], head: bytes) -> str | None:
    """ "setfl" by symbols behind three lines, "funcfl" by numbers behind one, None: neither."""
    try:
        text = EamText(os.fspath(path), head)
        for _ in range(3):
            text.comment()
        words = text.words()
        named = len(words) > 1 and is_integer(words[0]) and _NAME.fullmatch(words[1])
        if named and n_numbers(text.header(5, "")) >= 3:
            return "setfl"
        text = EamText(os.fspath(path), head)
        text.comment()
        element = text.header(2, "")
        if text.joined and len(element) > 2:
            return None
        grid = text.header(5, "")
    except FormatError:
        return None
    integers = (element[0], grid[0], grid[2])
    numbers = n_numbers(element) >= 2 and n_numbers(grid) >= 4
    return "funcfl" if numbers and all(map(is_integer, integers)) else None


def _open(path: str | os.PathLike[str]) -> tuple[str, EamText]:
    """Format and reader of a file; raises where it is neither setfl nor funcfl."""
    name, head = os.fspath(path), read_head(path)
    kind = _kind_of(path, head)
    if kind is None:
        check_foreign(path)
        text = EamText(name, head)
        for _ in range(3):
            text.comment()
        text.fail(
            f"found {show(b' '.join(text.words()))}: expected the number of elements and their symbols"
            " (setfl, Finnis-Sinclair), or Z, mass, lattice constant, lattice behind the first line and"
            " Nrho drho Nr dr cutoff behind that (funcfl)",
            4,
        )
    return kind, EamText(name, read_text(path, MAX_FILE_BYTES))


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


@dataclass(frozen=True, slots=True)
class _Grid:
    """Line ``Nrho drho Nr dr cutoff``."""

    n_rho: int
    drho: float
    n_r: int
    dr: float
    cutoff: float

    @staticmethod
    def read(reader: EamText, *, setfl: bool) -> _Grid:
        words = reader.header(5, "Nrho drho Nr dr cutoff")
        found = n_numbers(words)
        if found == 6 and setfl and not reader.joined:
            raise UnsupportedError(
                f"{reader.path}:{reader.line}: a sixth number, {show(words[5])}, behind Nrho drho Nr dr cutoff: tables for"
                " pair_style eam/he, whose densities begin below zero, are not supported"
            )
        if found > 5 and (setfl or reader.joined):
            reader.fail(f"found {found} numbers: expected five, Nrho drho Nr dr cutoff")
        if found > 5:  # in funcfl they have no meaning
            reader.drop(found - 5, "five of Nrho drho Nr dr cutoff")
        most = max(MIN_KNOTS, reader.size)  # a knot takes at least two bytes
        grid = _Grid(
            reader.integer(words[0], MIN_KNOTS, most, "Nrho"),
            reader.real(words[1], "drho"),
            reader.integer(words[2], MIN_KNOTS, most, "Nr"),
            reader.real(words[3], "dr"),
            reader.real(words[4], "the cutoff"),
        )
        if grid.cutoff > MAX_CUTOFF:
            reader.fail(
                f"found {show(words[4])}: expected the cutoff, at most {MAX_CUTOFF:g} Angstrom"
            )
        if min(grid.dr, grid.drho) < 1e-100:
            reader.fail(f"found drho {grid.drho:g}, dr {grid.dr:g}: expected at least 1e-100")
        return grid


def _setfl_species(reader: EamText) -> tuple[str, ...]:
    words = reader.header(1, "the number of elements and their symbols")
    count = reader.integer(words[0], 1, MAX_ELEMENTS, "the number of elements")
    if len(words) != count + 1:
        found = b" ".join(words[1:])
        reader.fail(f"{count} elements declared, {len(words) - 1} symbols found: {show(found)}")
    species: list[str] = []
    for word in words[1:]:
        if not _NAME.fullmatch(word):
            reader.fail(f"found {show(word)}: expected a chemical symbol or another name of a type")
        name = word.decode("ascii")
        if name in species:
            reader.fail(f"found {show(word)} twice: expected different chemical symbols")
        species.append(name)
    return tuple(species)


def _is_symbol(name: object) -> bool:
    return isinstance(name, str) and atomic_numbers.get(name, 0) > 0


def _read_setfl(reader: EamText) -> EamTables:
    check_units(reader.path, reader.comment())
    reader.comment()
    reader.comment()
    species = _setfl_species(reader)
    ns = len(species)
    grid = _Grid.read(reader, setfl=True)
    masses = np.empty(ns)
    embedding: list[Array] = []
    density: list[Array] = []
    is_fs = False
    for a, symbol in enumerate(species):
        # Cu_mishin1 and others carry a wrong atomic number here: the symbol decides.
        words = reader.header(2, f"Z, mass, lattice constant, lattice of {symbol}")
        if not is_integer(words[0]):
            reader.fail(
                f"found {show(b' '.join(words))}: expected Z, mass, lattice constant, lattice of {symbol}, Z an integer"
            )
        masses[a] = reader.real(words[1], "the mass", positive=_is_symbol(symbol))
        embedding.append(reader.values(grid.n_rho, f"F(rho) of {symbol}"))
        density.append(reader.values(grid.n_r, f"the density of {symbol}"))
        if a == 0 and ns > 1:
            is_fs = not reader.is_at_element()
        if is_fs:
            for other in species[1:]:
                density.append(reader.values(grid.n_r, f"the density of {symbol} at {other}"))
    r_phi = _allocate_pairs(ns, grid.n_r, reader)
    for a in range(ns):
        for b in range(a + 1):
            r_phi[a, b] = reader.values(grid.n_r, f"r*phi of {species[a]}-{species[b]}")
            r_phi[b, a] = r_phi[a, b]
    _check_end(reader, ns, grid.n_r)
    _warn_of_dropped(reader)
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


def _check_end(reader: EamText, ns: int, n_r: int) -> None:
    """Words may follow the last table, numbers mean that this is another format or that a count is wrong."""
    rest = reader.rest(n_r)
    if not rest.numbers:
        return
    where = f"{reader.path}:{rest.line}:"
    if ns > 0 and rest.tables == ns * (ns + 1):
        raise UnsupportedError(
            f"{where} dipole and quadrupole tables follow: angular-dependent (ADP) potentials are not supported"
        )
    first = rest.opening[0]
    if ns > 1 and is_integer(first) and rest.numbers == len(rest.opening) == int(first) + 2:
        raise UnsupportedError(
            f"{where} a polynomial of degree {int(first)} follows: concentration-dependent tables for pair_style eam/cd"
            " are not supported"
        )
    reader.fail(
        f"found {show(first)}, the first of {rest.numbers} numbers behind the last table: expected the end of the file",
        rest.line,
    )


def _warn_of_dropped(reader: EamText) -> None:
    """LAMMPS leaves numbers behind a full table on its line out without a word."""
    if reader.dropped:
        more = len(reader.dropped) - 1
        also = f", and so in {more} more table{'s' if more > 1 else ''}" if more else ""
        warnings.warn(
            f"{reader.path}: {reader.dropped[0]}{also}: left out, as LAMMPS does",
            MDKernWarning,
            stacklevel=4,
        )


def _allocate_pairs(ns: int, n_r: int, reader: EamText) -> Array:
    """Zeroed (ns, ns, n_r), after the check that the file can still fill half of it."""
    reader.check_room(ns * (ns + 1) // 2 * n_r, "r*phi")
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


def _read_funcfl(reader: EamText) -> _Funcfl:
    check_units(reader.path, reader.comment())
    words = reader.header(2, "Z, mass, lattice constant, lattice")
    z = reader.integer(words[0], 1, MAX_ELEMENTS, "the atomic number")
    mass = reader.real(words[1], "the mass")
    grid = _Grid.read(reader, setfl=False)
    embedding = reader.values(grid.n_rho, "F(rho)")
    charge = reader.values(grid.n_r, "Z(r)")
    density = reader.values(grid.n_r, "the density")
    _check_end(reader, 0, grid.n_r)
    _warn_of_dropped(reader)
    return _Funcfl(reader.path, z, mass, grid, embedding, charge, density)


def _mix_funcfl(paths: Mapping[str, str | os.PathLike[str]]) -> EamTables:
    if not 1 <= len(paths) <= MAX_ELEMENTS:
        raise ValueError(f"path: got {len(paths)} entries, expected 1 to {MAX_ELEMENTS}")
    files: dict[str, _Funcfl] = {}
    for symbol, path in paths.items():
        if not _is_symbol(symbol):
            raise ValueError(f"path: got key {symbol!r}, expected a chemical symbol")
        kind, reader = _open(path)
        if kind == "setfl":
            raise FormatError(
                "this is a setfl or Finnis-Sinclair file: only funcfl files can be mixed by a"
                f" mapping; pass its path alone (key {symbol!r})",
                reader.path,
                4,
            )
        files[symbol] = _read_funcfl(reader)
        own = str(chemical_symbols[files[symbol].z])
        if own != symbol:
            warnings.warn(
                f"{reader.path}:2: the file is for {own}, used for {symbol}",
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
