"""Data sets that ASE does not read: DeePMD-kit's folders and HDF5 files, H5MD of mdkern, and what dpdata reads.

Frames come one by one. Arrays of a folder, and those that stand in an HDF5 file in one piece, are mapped into memory and not read at once;
in an HDF5 file with chunks, one set is in memory. Energies, forces and stresses come along as results of a calculator, in ASE's units.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.hdf5 import SIGNATURE, Group

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["FORMATS", "SystemReader", "kind_of", "open_systems", "unused"]

FORMATS = ("deepmd", "h5md", "dpdata")
_TYPES, _ELEMENTS, _OF_FRAMES = "type.raw", "type_map.raw", "real_atom_types"
# Arrays beside positions that the energy of a model may depend on.
_INPUTS = ("fparam", "aparam", "spin")
_VOIGT = [0, 4, 8, 5, 2, 1]


class SystemReader:
    """Frames that share a number of atoms, by their index: one system of a data set."""

    def __len__(self) -> int:
        """Number of frames."""
        raise NotImplementedError

    def frame(self, k: int) -> Atoms:
        """One of them."""
        raise NotImplementedError


def kind_of(path: str, head: bytes) -> str | None:
    """Which of `FORMATS` a folder or a file is, by its content."""
    if Path(path).is_dir():
        return "deepmd" if _folders(path) else None
    if head.startswith(SIGNATURE):
        names = Group.map(path).members()
        if "h5md" in names:
            return "h5md"
        return "deepmd" if next(_groups(Group.map(path), ""), None) else None
    return None


def open_systems(path: str, format: str, details: str, name: str) -> list[SystemReader]:
    """The systems of a data set, in the order of their names.

    Parameters
    ----------
    path, format : str
        One of `FORMATS`.
    details : str
        Of deepmd: ``species=O-H``, elements of the types 0, 1, ... where the data set does not say them. Of dpdata: its name
        of the format, such as ``deepmd/raw``.
    name : str
        For messages.

    Raises
    ------
    FormatError
        Damaged; arrays that do not fit each other; unknown elements; a file of another kind.
    UnsupportedError
        dpdata is not installed.
    """
    if format == "dpdata":
        return _by_dpdata(path, details, name)
    if format == "h5md":
        return [_H5md(path, name)]
    key, _, species = details.partition("=")
    if details and (key != "species" or not species):
        raise ValueError(f"format deepmd:{details}: expected details as in deepmd:species=O-H")
    known = [s.strip() for s in species.replace(",", "-").split("-")] if species else []
    stores = _stores(path, name)
    if not stores:
        raise FormatError(f"no {_TYPES} in it; expected a data set of DeePMD-kit", name)
    if not any(store.sets() for store in stores):
        raise FormatError(
            f"no set.000, ... beside {_TYPES}; expected frames in such folders; --format dpdata:deepmd/raw reads them from"
            " coord.raw, box.raw, ...",
            name,
        )
    return [_DeepmdSystem(store, known) for store in stores]


def unused(path: str, name: str) -> str:
    """A sentence on what a data set of DeePMD-kit says that energies depend on, and that frames cannot hold; empty where there is nothing."""
    found = {
        what
        for store in _stores(path, name)
        for folder in store.sets()
        for what in _INPUTS
        if store.has_array(f"{folder}/{what}")
    }
    if not found:
        return ""
    named = ", ".join(what for what in _INPUTS if what in found)
    return f"{named}: not used; energies of a model that takes them are those of its own or default ones"


# --- DeePMD-kit -----------------------------------------------------------------------------------


def _stores(path: str, name: str) -> list[_Folder | _Hdf5]:
    if Path(path).is_dir():
        return [_Folder(folder) for folder in _folders(path)]
    root = Group.map(path)
    return [_Hdf5(root.group(g) if g else root, f"{name}:/{g}") for g in _groups(root, "")]


def _folders(path: str) -> list[str]:
    """Those with systems: the folder itself, or folders below."""
    found = [os.fspath(p.parent) for p in Path(path).rglob(_TYPES)]
    return sorted(found)


def _groups(group: Group, path: str) -> Iterator[str]:
    names = group.members()
    if _TYPES in names:
        yield path
        return
    for name in sorted(names):
        try:
            below = Group(group.file, names[name])
            below.members()
        except (FormatError, UnsupportedError):  # a dataset
            continue
        yield from _groups(below, f"{path}/{name}".lstrip("/"))


class _Folder:
    """A system as text files and arrays of NumPy."""

    def __init__(self, name: str) -> None:
        self.name, self._path = name, Path(name)

    def sets(self) -> list[str]:
        return sorted(p.name for p in self._path.glob("set.*") if p.is_dir())

    def has(self, name: str) -> bool:
        return (self._path / name).exists()

    def types(self) -> NDArray[Any]:
        path = self._path / _TYPES
        words = path.read_text(encoding="utf-8", errors="replace").split()
        try:
            return np.array([int(word) for word in words], np.int64)
        except (ValueError, OverflowError) as e:
            raise FormatError(f"expected whole numbers: {e}", path) from None

    def elements(self) -> list[str]:
        return (self._path / _ELEMENTS).read_text(encoding="utf-8", errors="replace").split()

    def array(self, name: str) -> NDArray[Any]:
        path = self._path / f"{name}.npy"
        try:
            found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except OSError:
            raise
        except Exception as e:  # noqa: BLE001 - whatever NumPy's parser of headers meets
            raise FormatError(f"no array of NumPy: {type(e).__name__}: {e}", path) from None
        return found

    def has_array(self, name: str) -> bool:
        return self.has(f"{name}.npy")


class _Hdf5:
    """The same in a group of an HDF5 file."""

    def __init__(self, group: Group, name: str) -> None:
        self.name, self._group = name, group

    def sets(self) -> list[str]:
        return sorted(n for n in self._group.members() if n.startswith("set."))

    def has(self, name: str) -> bool:
        return name in self._group

    def types(self) -> NDArray[Any]:
        return self._group.dataset(_TYPES).read().astype(np.int64).ravel()

    def elements(self) -> list[str]:
        found = self._group.dataset(_ELEMENTS).read().ravel().tolist()
        return [x.decode("utf-8", "replace") if isinstance(x, bytes) else str(x) for x in found]

    def array(self, name: str) -> NDArray[Any]:
        return self._group.dataset(f"{name}.npy").read()

    def has_array(self, name: str) -> bool:
        return f"{name}.npy" in self._group


@dataclass(frozen=True)
class _Set:
    """Arrays of a set, (frames, ...); those that are not there are None."""

    coord: NDArray[Any]
    box: NDArray[Any] | None
    energy: NDArray[Any] | None
    force: NDArray[Any] | None
    virial: NDArray[Any] | None
    real_atom_types: NDArray[Any] | None


class _DeepmdSystem(SystemReader):
    def __init__(self, store: _Folder | _Hdf5, species: list[str]) -> None:
        self._store = store
        self._types = store.types()
        symbols = species or (store.elements() if store.has(_ELEMENTS) else [])
        self._numbers = self._elements(symbols)
        self._periodic = not store.has("nopbc")
        self._kept: tuple[int, _Set] | None = None
        self._names = store.sets()
        sizes = [len(self._coord(name)) for name in self._names]
        self._ends = list(itertools.accumulate(sizes))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def _fail(self, text: str) -> FormatError:
        return FormatError(text, self._store.name)

    def _elements(self, symbols: list[str]) -> NDArray[Any]:
        from ase.data import atomic_numbers

        if not symbols:
            raise self._fail(
                f"no {_ELEMENTS}, which names the elements of the types; --format deepmd:species=O-H says them"
            )
        unknown = [s for s in symbols if s not in atomic_numbers]
        if unknown:
            raise self._fail(
                f"type {unknown[0]!r} is no element; --format deepmd:species=O-H says the elements of the types 0, 1, ..."
            )
        last = int(self._types.max(initial=-1))
        if last >= len(symbols) or self._types.min(initial=0) < 0:
            raise self._fail(
                f"{_TYPES}: type {last}; there are elements for 0 to {len(symbols) - 1}"
            )
        return np.array([atomic_numbers[s] for s in symbols])

    def _coord(self, name: str) -> NDArray[Any]:
        coord = self._store.array(f"{name}/coord")
        rows = len(coord) if coord.ndim else 0
        return self._shaped(f"{name}/coord", coord, 3 * len(self._types), rows)

    def _shaped(self, name: str, array: NDArray[Any], width: int, rows: int) -> NDArray[Any]:
        kinds = "iu" if name.endswith(_OF_FRAMES) else "fiu"
        if (
            array.dtype.kind not in kinds
            or not array.ndim
            or array.size != rows * width
            or len(array) != rows
        ):
            raise self._fail(
                f"{name}: {array.dtype} {array.shape}; expected numbers ({rows}, {width})"
            )
        return array.reshape(rows, width)

    def _set(self, k: int) -> _Set:
        if self._kept is None or self._kept[0] != k:
            name, n = self._names[k], len(self._types)
            coord = self._coord(name)
            widths = {"box": 9, "energy": 1, "force": 3 * n, "virial": 9, _OF_FRAMES: n}
            found: dict[str, Any] = dict.fromkeys(widths)
            for what, width in widths.items():
                path = f"{name}/{what}"
                if self._store.has_array(path):
                    found[what] = self._shaped(path, self._store.array(path), width, len(coord))
            if self._periodic and found["box"] is None:
                raise self._fail(
                    f"{name}: no box, and no file nopbc, which says that there is none"
                )
            self._kept = (k, _Set(coord, **found))
        return self._kept[1]

    def frame(self, k: int) -> Atoms:
        from ase import Atoms

        which = int(np.searchsorted(self._ends, k, side="right"))
        part, row = self._set(which), k - (self._ends[which - 1] if which else 0)
        types = self._types if part.real_atom_types is None else part.real_atom_types[row]
        real = types >= 0  # frames of several sizes are filled up with type -1
        if not (types < len(self._numbers)).all():
            raise self._fail(
                f"frame {k}: type {types.max()}; there are elements for 0 to {len(self._numbers) - 1}"
            )
        numbers = self._numbers[types[real].astype(np.int64)]
        positions = np.asarray(part.coord[row], np.float64).reshape(-1, 3)[real]
        box = part.box[row] if self._periodic and part.box is not None else None
        cell = None if box is None else np.asarray(box, np.float64).reshape(3, 3)
        atoms = Atoms(numbers, positions, cell=cell, pbc=self._periodic)
        energy = None if part.energy is None else float(part.energy[row, 0])
        force = None if part.force is None else part.force[row].reshape(-1, 3)[real]
        virial = None if part.virial is None or cell is None else part.virial[row]
        return _labelled(atoms, energy, force, virial)


def _labelled(
    atoms: Atoms, energy: float | None, force: Any, virial: Any, charges: Any = None
) -> Atoms:
    """With what is there as results; the virial is ``-volume * stress`` in eV."""
    from ase.calculators.singlepoint import SinglePointCalculator

    results: dict[str, Any] = {}
    if energy is not None:
        results["energy"] = energy
    if force is not None:
        with np.errstate(invalid="ignore"):  # NaN of a kind that signals
            results["forces"] = np.array(force, np.float64)
    if charges is not None:
        results["charges"] = np.array(charges, np.float64)
    if virial is not None and atoms.cell.rank == 3:
        full = np.asarray(virial, np.float64).reshape(3, 3)
        results["stress"] = (full + full.T).ravel()[_VOIGT] / (-2.0 * atoms.get_volume())
    if results:
        atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


# --- H5MD as mdkern writes it ---------------------------------------------------------------------


class _H5md(SystemReader):
    def __init__(self, path: str, name: str) -> None:
        from ase import Atoms

        root = Group.map(path)
        creator = root.group("h5md/creator").attribute("name") if "h5md/creator" in root else None
        if creator != "mdkern":
            raise FormatError(
                f"H5MD written by {creator or 'an unknown program'}, whose species need not be elements; expected mdkern's",
                name,
            )
        group = root.group("particles/all")
        self._positions = group.dataset("position/value").read()
        self._cells = group.dataset("box/edges/value").read()
        self._numbers = group.dataset("species").read()
        self._forces = group.dataset("force/value").read() if "force/value" in group else None
        boundary = np.asarray(group.group("box").attribute("boundary")).ravel()
        self._pbc = [b in ("periodic", b"periodic") for b in boundary.tolist()]
        energy = "observables/potential_energy/value"
        self._energies = root.dataset(energy).read() if energy in root else None
        shapes = (self._positions.shape[1:], self._cells.shape)
        if shapes != ((len(self._numbers), 3), (len(self._positions), 3, 3)) or len(self._pbc) != 3:
            raise FormatError(
                f"positions and cells of shapes {shapes}; expected those of mdkern", name
            )
        n, frames = len(self._numbers), len(self._positions)
        self._velocities = _there(group, "velocity/value", (frames, n, 3), name)
        self._charges = _there(group, "charge/value", (frames, n), name)
        self._steps = _there(root, "step", (frames,), name)
        self._times = _there(root, "time", (frames,), name)
        self._masses = _there(group, "mass", (n,), name)
        if self._masses is not None:
            if not (np.isfinite(self._masses) & (self._masses > 0.0)).all():
                raise FormatError("particles/all/mass: expected positive numbers", name)
            # Masses of the elements need no array of their own, as in other formats.
            if np.array_equal(self._masses, Atoms(self._numbers).get_masses()):
                self._masses = None

    def __len__(self) -> int:
        return len(self._positions)

    def frame(self, k: int) -> Atoms:
        from ase import Atoms, units

        atoms = Atoms(self._numbers, self._positions[k], cell=self._cells[k], pbc=self._pbc)
        if self._masses is not None:
            atoms.set_masses(self._masses)
        if self._velocities is not None:  # Angstrom/ps
            atoms.set_velocities(self._velocities[k] / (1000.0 * units.fs))
        if self._steps is not None:
            atoms.info["step"] = int(self._steps[k])
        if self._times is not None:
            atoms.info["time_ps"] = float(self._times[k])
        energy = None if self._energies is None else float(self._energies[k])
        force = None if self._forces is None else self._forces[k]
        charges = None if self._charges is None else self._charges[k]
        return _labelled(atoms, energy, force, None, charges)


def _there(group: Group, name: str, shape: tuple[int, ...], file: str) -> NDArray[Any] | None:
    """An array of this shape, or None where the file has none of this name."""
    if name not in group:
        return None
    found = group.dataset(name).read()
    if found.shape != shape or found.dtype.kind not in "fiu":
        raise FormatError(
            f"{name}: {found.dtype} {found.shape}; expected numbers {shape}, as many as positions",
            file,
        )
    return found


# --- dpdata ---------------------------------------------------------------------------------------


class _Listed(SystemReader):
    def __init__(self, frames: list[Atoms]) -> None:
        self._frames = frames

    def __len__(self) -> int:
        return len(self._frames)

    def frame(self, k: int) -> Atoms:
        return self._frames[k]


def _by_dpdata(path: str, format: str, name: str) -> list[SystemReader]:
    """What dpdata makes of it; it holds all frames in memory."""
    if not format:
        raise ValueError(
            "format dpdata: expected dpdata's name of the format, as in dpdata:deepmd/raw"
        )
    try:
        import dpdata
    except ImportError:
        raise UnsupportedError(
            f"{name}: format dpdata:{format} needs dpdata: pip install 'mdkern[dpdata]'"
        ) from None
    try:
        try:
            system = dpdata.LabeledSystem(path, fmt=format)
        except (KeyError, NotImplementedError, FileNotFoundError, RuntimeError):  # without labels
            system = dpdata.System(path, fmt=format)
        return [_Listed(list(system.to("ase/structure")))]
    except Exception as e:  # its readers raise all kinds of exceptions
        why = " ".join(f"{type(e).__name__}: {e}".split())[:200]
        raise FormatError(f"dpdata cannot read it as {format}: {why}", name) from e
