"""What every potential shares: the result, and the way from chemical elements to species numbers."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from mdkern import _core
from mdkern.errors import MDKernWarning, UnsupportedError
from mdkern.io.mdk import write_model_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "InCore",
    "Potential",
    "Result",
    "SpeciesMap",
    "has_nine_virials",
    "list_cutoff",
    "need_nine_virials",
    "not_finite",
    "pair_entries",
    "properties_of",
    "result_of",
    "virial_width",
    "volume_of",
    "warn_of",
]


@dataclass(frozen=True, slots=True)
class Result:
    r"""Energy and its derivatives, in the caller's order of atoms.

    Attributes
    ----------
    energy : float
        eV.
    energies : (n,) array
        Energy of each atom in eV; they sum to `energy`.
    forces : (n, 3) array
        eV/Angstrom.
    virial : (6,) array
        ``-dE/d(strain)`` in eV, Voigt order xx, yy, zz, yz, xz, xy; stress = -virial / volume.
    virials : (n, 6) or (n, 9) array or None
        Virial of each atom in eV, only where asked for; they sum to `virial`. Six components in its order: symmetric parts, shared
        between atoms as each potential finds it cheapest. Nine, in the order xx, yy, zz, xy, xz, yz, yx, zx, zy (of GPUMD and of
        LAMMPS's ``centroid/stress/atom``): :math:`W_i = \sum_j (r_j - r_i) \otimes dU_j/dr_i` with the energies U of atoms that
        `energies` has, for heat fluxes (:func:`mdkern.analysis.heat_flux`).
    charges : (n,) array or None
        Charge of each atom in e, where the model has charges.
    overflow : bool
        Whether some atoms have more neighbors than the model has room for, of which the farthest were left out, a density beyond
        the end of the model's table, from where on the embedding energy is a straight line, or symmetry functions beyond the range
        of the training.
    deviation : dict or None
        How much several models disagree, from :class:`mdkern.potentials.ModelDeviation`.
    """

    energy: float
    energies: NDArray[np.float64]
    forces: NDArray[np.float64]
    virial: NDArray[np.float64]
    virials: NDArray[np.float64] | None
    charges: NDArray[np.float64] | None = None
    overflow: bool = False
    deviation: dict[str, Any] | None = None


class Potential(Protocol):
    """Parameters of a potential and the call of its kernel.

    What an evaluation changes belongs to the neighbor table: threads may share a potential, each with a table of its own.
    A potential that comes from a file has ``source``, what was read: its constructor takes it in place of the path.
    """

    cutoff: float
    """Largest distance of two atoms that interact, in Angstrom."""
    species: tuple[str, ...] | None
    """Chemical symbols in the order of the species numbers; None: any element, all alike."""

    def compute(self, neighbors: Any, *, virials: bool | int = False, threads: int = 0) -> Result:
        """Evaluate on a neighbor table (`mdkern._core.NeighborTable`) that covers `cutoff`.

        `virials`: components of the virials of atoms, 6 (or True), 9, or 0 for none.
        """
        ...


class InCore:
    """Base of potentials that the compiled core evaluates.

    A subclass has the name under which the core knows it, and :meth:`fields`; its constructor ends with :meth:`make`.
    """

    core_name: ClassVar[str]
    species: tuple[str, ...] | None

    def fields(self) -> dict[str, Any]:
        """What the core makes the potential from (``cpp/potentials``): arrays, numbers, texts, dicts and lists of such.

        ``potential``, where it is among them, is the core's name of this one in place of `core_name`.
        """
        raise NotImplementedError

    def core_fields(self) -> dict[str, Any]:
        """:meth:`fields` with the core's name of the potential: all that the core needs to make it."""
        return {"potential": self.core_name} | self.fields()

    def make(self) -> None:
        """Make the core's potential from the present parameters."""
        self._kernel: Any = _core.Potential(self.core_fields())

    def export(self, path: str | os.PathLike[str]) -> None:
        """Write a model file (``.mdk``): :func:`mdkern.load` and the C interface read it. An existing file is replaced."""
        write_model_file(path, self.core_fields(), self.species)

    def force_step(self) -> Any:
        """The core's potential: what evaluates without Python in between, for :mod:`mdkern.md`."""
        return self._kernel

    def compute(self, neighbors: Any, *, virials: bool | int = False, threads: int = 0) -> Result:
        """Energy, forces and virial on a neighbor table; see :class:`~mdkern.potentials.base.Result`.

        `virials`: components of the virials of atoms, 6 (or True), 9, or 0 for none; UnsupportedError where 9 are asked of a
        potential that has none.
        """
        width = virial_width(self, virials)
        return result_of(self, self._kernel.compute(neighbors, width, threads))

    def warn(self, overflow: bool) -> None:
        """Say once what :attr:`Result.overflow` means; for who evaluates by :meth:`force_step`."""

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_kernel"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.make()


def list_cutoff(potential: Any) -> float:
    """How far the list of a neighbor table has to reach for a potential, in Angstrom; 0: it looks for neighbors by itself."""
    step = getattr(potential, "force_step", lambda: None)()
    return float(getattr(step, "list_cutoff", potential.cutoff))


def has_nine_virials(potential: Any) -> bool:
    """Whether a potential has virials of atoms of nine components, and with them a heat flux."""
    step = getattr(potential, "force_step", lambda: None)()
    return bool(getattr(step, "nine_virials", False))


def need_nine_virials(potential: Any) -> None:
    """Raise UnsupportedError, with the name of the potential or of the part of a sum, where it has no heat flux."""
    if has_nine_virials(potential):
        return
    name = type(potential).__name__
    for part in getattr(potential, "parts", None) or getattr(potential, "potentials", ())[:1]:
        if not has_nine_virials(part):
            name = f"{name}, whose part {type(part).__name__}"
            break
    raise UnsupportedError(
        f"virials of nine components: {name} has none, nor a heat flux; it has stresses"
    )


def virial_width(potential: Any, virials: bool | int) -> int:
    """Components of virials of atoms, from the argument of ``compute``."""
    width: Any = 6 * virials if isinstance(virials, bool) else virials
    if not isinstance(width, (int, np.integer)) or width not in (0, 6, 9):
        raise ValueError(f"virials: {virials!r}; expected False, True, 6 or 9")
    if width == 9:
        need_nine_virials(potential)
    return int(width)


def warn_of(potential: Any, overflow: bool) -> None:
    """What ``potential.compute`` warns of, for who evaluates it by ``force_step``."""
    warn = getattr(potential, "warn", None)
    if warn is not None:
        warn(overflow)


def result_of(potential: Any, values: Sequence[Any]) -> Result:
    """What ``potential.compute`` makes of the core's numbers, for who evaluates it by ``force_step``; it warns as that does."""
    result = Result(*values)
    warn_of(potential, result.overflow)
    if result.deviation is None:
        return result
    return replace(result, deviation=potential.deviation_of(*result.deviation))


def say_once(unsaid: list[str]) -> None:
    """Warn of the only text in the list, and take it out: threads may share the list. The caller is a potential's ``warn``."""
    try:
        message = unsaid.pop()
    except IndexError:
        return
    warnings.warn(message, MDKernWarning, stacklevel=4)


def pair_entries(
    pairs: Mapping[str, Mapping[str, float]], required: tuple[str, ...], optional: tuple[str, ...]
) -> dict[frozenset[str], Mapping[str, float]]:
    """The argument ``pairs`` of a potential, ``{"Ar-Kr": {...}}``, by the unordered pair of symbols.

    Raises
    ------
    ValueError
        Keys that are not two symbols, pairs given twice, entries with missing or unknown names.
    """
    out: dict[frozenset[str], Mapping[str, float]] = {}
    for key, value in pairs.items():
        ends = key.split("-")
        if len(ends) != 2 or not all(ends):
            raise ValueError(f"pairs: key {key!r}; expected two symbols such as 'Ar-Kr'")
        names = set(value)
        if not set(required) <= names <= {*required, *optional}:
            wanted = f"{', '.join(required)} and perhaps {', '.join(optional)}"
            raise ValueError(f"pairs[{key!r}]: {dict(value)}; expected {wanted}")
        if frozenset(ends) in out:
            raise ValueError(f"pairs: {key!r} is given twice")
        out[frozenset(ends)] = value
    return out


class SpeciesMap:
    """Atomic numbers to species numbers of a potential."""

    def __init__(self, species: tuple[str, ...] | None) -> None:
        from ase.data import atomic_numbers

        self.species = species
        self._number = np.full(256, -1 if species is not None else 0, dtype=np.int32)
        for k, symbol in enumerate(species or ()):
            self._number[atomic_numbers[symbol]] = k
        self._last: tuple[bytes, NDArray[np.int32]] = (b"", np.zeros(0, dtype=np.int32))

    def __call__(self, numbers: NDArray[Any]) -> NDArray[np.int32]:
        """Species number of each atom; ValueError names the first atom that the potential lacks."""
        key = numbers.tobytes()
        known, kinds = self._last  # both at once: another thread may replace them
        if known == key:
            return kinds
        inside = (numbers >= 0) & (numbers < 256)
        kinds = np.where(inside, self._number[np.where(inside, numbers, 0)], -1).astype(np.int32)
        if (kinds < 0).any():
            from ase.data import chemical_symbols

            k = int(np.argmax(kinds < 0))
            z = int(numbers[k])
            name = chemical_symbols[z] if 0 <= z < len(chemical_symbols) else f"Z = {z}"
            have = "any element" if self.species is None else ", ".join(self.species)
            msg = f"atom {k} is {name}; the potential has {have}"
            raise ValueError(msg)
        self._last = (key, kinds)
        return kinds


def volume_of(cell: Any) -> float:
    """Volume of a cell; zero where its vectors are dependent."""
    (a, b, c), (d, e, f), (g, h, i) = cell.tolist()
    volume = abs(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g))
    box = math.hypot(a, b, c) * math.hypot(d, e, f) * math.hypot(g, h, i)
    return volume if volume > 1e-12 * box else 0.0


def properties_of(r: Result, cell: Any) -> dict[str, Any]:
    """A result under ASE's names; stresses where the cell has a volume."""
    found: dict[str, Any] = {
        "energy": r.energy,
        "free_energy": r.energy,
        "energies": r.energies,
        "forces": r.forces,
    }
    if r.charges is not None:
        found["charges"] = r.charges
    volume = volume_of(cell)
    if volume > 0.0:
        found["stress"] = r.virial / -volume
        if r.virials is not None:
            found["stresses"] = r.virials / -volume
    return found


def not_finite(r: Result, positions: Any) -> str:
    """What a message says of a result that is not finite, and where the atoms are that made it so."""
    finite = np.isfinite(r.forces).all(axis=1) & np.isfinite(r.energies)
    k = int(np.argmin(finite))
    return (
        f"energy {r.energy}, force on atom {k} {r.forces[k]}; expected finite numbers: atoms overlap near "
        f"{positions[k]}, or numbers of the model overflow"
    )
