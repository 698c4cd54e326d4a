"""What :func:`mdkern.relax` does with frames, here or in workers: see :class:`mdkern.shards.Job`."""

from __future__ import annotations

import copy
import hashlib
import math
import pickle
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.calculators.calculator import CalculationFailed

from mdkern import _core, checks
from mdkern.calculators import is_native
from mdkern.errors import MDKernError
from mdkern.evaluation import model_hash
from mdkern.journal import digest
from mdkern.relaxation_ase import relaxed_by_ase
from mdkern.shards import Interrupted
from mdkern.worker import Failure

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["CELLS", "OPTIMIZERS", "Relaxation", "RelaxationError", "Settings"]

OPTIMIZERS = ("fire", "fire2", "lbfgs", "bfgs")
CELLS = ("none", "volume", "shape", "full")
SHARD = 1024  # atoms, of one that travels: a relaxation is some hundred evaluations
SECONDS = 2.0  # that a shard should take here: so much is lost where a run is killed
SYMPREC = 0.01  # Angstrom, ASE's
FEWEST, MOST = 4, 1024  # frames of a shard here: for each thread, and at all


class RelaxationError(MDKernError, CalculationFailed):
    """A relaxation that cannot go on: atoms overlap, the cell explodes, or a number is not finite."""


@dataclass(frozen=True)
class Settings:
    """What is done with each frame, see :func:`mdkern.relax`; the mask as nine numbers."""

    optimizer: str = "fire"
    fmax: float = 0.01
    steps: int = 500
    cell: str = "full"
    scalar_pressure: float = 0.0
    mask: tuple[float, ...] | None = None
    hydrostatic: bool = False
    symmetry: bool = False  # of the frame at the start is kept

    @classmethod
    def of(
        cls,
        optimizer: Any = "fire",
        fmax: Any = 0.01,
        steps: Any = 500,
        cell: Any = "full",
        scalar_pressure: Any = 0.0,
        mask: Any = None,
        hydrostatic: Any = False,
        symmetry: Any = False,
    ) -> Settings:
        """From arguments of users; ValueError for one that is none."""
        for name, value, known in (("optimizer", optimizer, OPTIMIZERS), ("cell", cell, CELLS)):
            if value not in known:
                expected = ", ".join(known)
                raise ValueError(f"{name}: {checks.shown(value)}; expected one of {expected}")
        pressure = checks.number("scalar_pressure", scalar_pressure)
        hydrostatic = checks.flag("hydrostatic", hydrostatic)
        for name, given in (("mask", mask is not None), ("hydrostatic", hydrostatic)):
            if given and cell == "none":
                raise ValueError(f"{name}: of a cell that relaxes; expected none with cell='none'")
        if pressure and cell in ("none", "shape"):
            raise ValueError(
                f"scalar_pressure: {pressure}; expected 0, as cell='{cell}' keeps the volume"
            )
        if hydrostatic and cell == "shape":
            raise ValueError("hydrostatic: True; expected False, as cell='shape' keeps the volume")
        return cls(
            optimizer,
            checks.positive("fmax", fmax),
            checks.whole("steps", steps),
            cell,
            pressure,
            None if mask is None else _mask(mask),
            hydrostatic,
            checks.flag("symmetry", symmetry),
        )

    def constrain(self, atoms: Atoms) -> None:
        """Add ASE's constraint of symmetry, where it is wanted; ValueError where there is no symmetry to be found."""
        if not self.symmetry:
            return
        if atoms.cell.rank < 3 or not atoms.pbc.all():
            raise ValueError("symmetry: the frame is not periodic in all directions")
        from ase.constraints import FixSymmetry

        try:
            kept = FixSymmetry(atoms, symprec=SYMPREC)  # type: ignore[no-untyped-call]
        except Exception as e:  # spglib's errors are of many kinds
            raise ValueError(f"symmetry: {type(e).__name__}: {e}") from e
        atoms.set_constraint([*atoms.constraints, kept])

    def refuse(self, atoms: Atoms) -> None:
        """ValueError for atoms whose cell cannot relax."""
        if self.cell == "none":
            return
        if atoms.cell.rank < 3:
            raise ValueError(
                f"cell: '{self.cell}', and the frame has no cell with a volume; expected 'none' for it"
            )
        for k in np.flatnonzero(~np.asarray(atoms.pbc)):
            along = np.abs(atoms.cell.array[k]) > 1e-10 * np.abs(atoms.cell.array[k]).max()
            mask = np.ones((3, 3)) if self.mask is None else np.reshape(self.mask, (3, 3))
            if (mask[along].any() or mask[:, along].any()) or self.hydrostatic:
                raise ValueError(
                    f"cell: '{self.cell}', and the frame is not periodic along vector {k} of its cell; expected 'none', or a"
                    " mask without the strains of that direction"
                )


def _mask(mask: Any) -> tuple[float, ...]:
    """Nine numbers, rows of a symmetric matrix of zeros and ones."""
    given = checks.numbers("mask", np.asarray(mask, dtype=float) if not checks.is_single(mask) else mask)
    if given.shape == (6,):
        xx, yy, zz, yz, xz, xy = given.tolist()
        given = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    good = given.shape == (3, 3) and np.isin(given, (0.0, 1.0)).all()
    if not good or (given != given.T).any():
        raise ValueError(
            f"mask: {checks.shown(mask)}; expected six of 0 and 1 (xx, yy, zz, yz, xz, xy), or a symmetric (3, 3)"
        )
    return tuple(given.ravel().tolist())


@dataclass
class Relaxation:
    """A job (see :class:`mdkern.shards.Job`): the nearest minimum of each frame.

    Results have ``positions``, ``cell``, ``energy``, ``forces``, ``stress`` (where the cell has a volume), the energy ``before``, ``steps``,
    ``fmax``, ``converged``, and ``failure``: a text, empty where there was none. A frame that could not be evaluated at all is a
    :class:`~mdkern.worker.Failure`.

    Parameters
    ----------
    calculator
        Of mdkern, or any of ASE's.
    settings : Settings
    """

    calculator: Any
    settings: Settings
    label = "relax"
    sent: bool = field(init=False, default=False)  # this is a worker's copy
    _pace: float = field(init=False, default=0.0)  # seconds of a frame
    _own: Any = field(init=False, default=None)  # a calculator for frames that go by ASE's optimizers

    def __getstate__(self) -> dict[str, Any]:
        return {"calculator": self.calculator, "settings": self.settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["calculator"], state["settings"])  # type: ignore[misc]
        self.sent = True

    @property
    def shard(self) -> int:
        """Calculators of others take milliseconds to days for an evaluation."""
        return SHARD if is_native(self.calculator) else 1

    def here(self, threads: int) -> int:
        """Frames of the next shard of a run without an executor."""
        if not is_native(self.calculator):
            return 1
        least = FEWEST * (threads or _core.get_num_threads())
        return max(least, min(MOST, int(SECONDS / self._pace))) if self._pace > 0.0 else least

    def fingerprint(self) -> str:
        """From the model and what the optimizer does."""
        told = sorted(asdict(self.settings).items())
        out = hashlib.sha256(f"relax {_core.__version__} {told}".encode())
        model_hash(out, self.calculator)
        return out.hexdigest()

    def pack(self, atoms: Any, name: str) -> Any:
        """A copy with its constraints."""
        mine = checks.structure(name, atoms).copy()
        mine.calc = None
        mine.info.clear()
        return mine

    def key(self, packed: Any) -> bytes:
        """Of all that moves or does not move, and of what calculators of others may read."""
        kept = pickle.dumps([_told(c) for c in packed.constraints])
        own = [x for n in sorted(packed.arrays) for x in (np.array(n), packed.arrays[n])]
        more = [packed.cell.array, packed.pbc, np.frombuffer(kept, np.uint8)]
        return digest([*own, *more])

    def run(self, frames: Sequence[Any], threads: int) -> Iterator[dict[str, Any] | Failure]:
        """Results of each; failures without the index of the frame, which the caller knows."""
        begin = time.perf_counter()
        for atoms in frames:
            yield self._by_ase(atoms, threads)
        if frames:
            self._pace = (time.perf_counter() - begin) / len(frames)

    def _by_ase(self, atoms: Atoms, threads: int) -> dict[str, Any] | Failure:
        calculator = self.calculator
        if is_native(calculator):
            # Its own list, threads and results; the user's calculator stays as it is.
            if self._own is None:
                self._own = copy.deepcopy(calculator)
            calculator = self._own
            skin = calculator.parameters["skin"]
            if threads or self.sent:
                calculator.set(threads=threads or 1)
            # Each frame begins with a new list, so that its bits do not depend on the frames before it.
            calculator.set(skin=skin + 1.0)
            calculator.set(skin=skin)
        try:
            if not len(atoms):
                raise ValueError("no atoms")
            checks.finite("positions", atoms.positions)
            checks.finite("cell", atoms.cell.array)
            self.settings.refuse(atoms)
            self.settings.constrain(atoms)
            return relaxed_by_ase(atoms, calculator, self.settings)
        except Exception as e:  # noqa: BLE001 - calculators of others raise all kinds of exceptions
            return Failure(e)

    def warned(
        self, results: Generator[dict[str, Any] | Failure]
    ) -> Generator[dict[str, Any] | Failure]:
        """The same results, with the warning of a potential whose tables or room did not suffice."""
        with closing(results):
            yield from results


def _told(constraint: Any) -> Any:
    """What a constraint says of itself; ASE's of symmetry says nothing."""
    try:
        return constraint.todict()
    except (NotImplementedError, AttributeError):
        return pickle.dumps(constraint)
