"""What :func:`mdkern.relax` does with frames, here or in workers: see :class:`mdkern.shards.Job`."""

from __future__ import annotations

import atexit
import copy
import hashlib
import pickle
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np

from mdkern import _core, checks
from mdkern.calculators import AtomsError, is_native
from mdkern.errors import MDKernError, UnsupportedError
from mdkern.evaluation import OVERFLOW, leave, model_hash
from mdkern.journal import digest
from mdkern.optimize.constraints import native_constraints
from mdkern.potentials.base import volume_of, warn_of
from mdkern.relaxation_ase import relaxed_by_ase
from mdkern.relaxation_settings import Settings
from mdkern.worker import Failure

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Relaxation"]

SHARD = 1024  # atoms, of one that travels: a relaxation is some hundred evaluations
SECONDS = 2.0  # that a shard should take here: so much is lost where a run is killed
FEWEST, MOST = 4, 1024  # frames of a shard here: for each thread, and at all
GROWTH = 4  # from one to the next


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
    _last: int = field(init=False, default=1)  # frames of the last shard
    _own: Any = field(
        init=False, default=None
    )  # a calculator for frames that go by ASE's optimizers

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
        if not self._pace:
            return least
        # The next frames may be larger than those before.
        self._last = max(least, min(MOST, GROWTH * self._last, int(SECONDS / self._pace)))
        return self._last

    def fingerprint(self) -> str:
        """From the model and what the optimizer does."""
        told = sorted(asdict(self.settings).items())
        out = hashlib.sha256(f"relax {_core.__version__} {told}".encode())
        model_hash(out, self.calculator)
        return out.hexdigest()

    def ended(self) -> None:
        """See :class:`mdkern.shards.Job`."""
        leave(self.calculator)

    def pack(self, atoms: Any, name: str) -> Any:
        """The frame, which stays as it is; without a calculator, which could be anything."""
        if getattr(checks.structure(name, atoms), "calc", None) is None:
            return atoms
        mine = atoms.copy()  # has none
        mine.info.clear()
        return mine

    def key(self, packed: Any) -> bytes:
        """Of all that moves or does not move; calculators of others may read the other arrays too."""
        kept = pickle.dumps([_told(c) for c in packed.constraints])
        arrays = packed.arrays
        names = ["positions", "numbers"] if is_native(self.calculator) else sorted(arrays)
        own = [x for name in names for x in (np.array(name), _hashable(arrays[name]))]
        cell = (packed.cell.array, packed.pbc, packed.get_masses())
        return digest([*own, *cell, np.frombuffer(kept, np.uint8)])

    def run(self, frames: Sequence[Any], threads: int) -> Iterator[dict[str, Any] | Failure]:
        """Results of each; failures without the index of the frame, which the caller knows."""
        step = self._step()
        if step is None:
            for atoms in frames:
                yield self.by_ase(atoms, threads)
            return
        batch = _Batch(self, step, frames, threads)
        batch.work(None)
        yield from batch.results()

    def task(self, frames: Sequence[Any], threads: int) -> _Batch | None:
        """See :class:`mdkern.shards.Job`."""
        step = self._step()
        return None if step is None else _Batch(self, step, frames, threads)

    def _step(self) -> Any:
        """The potential as the core has it; None where it is reached through Python only."""
        if not is_native(self.calculator):
            return None
        return getattr(self.calculator.potential, "force_step", lambda: None)()

    def arguments(self) -> dict[str, Any]:
        """Of the core's ``relax_frames``: what is done with each frame."""
        s = self.settings
        return {
            "optimizer": s.optimizer,
            "cell": "none" if s.cell == "none" else "logarithm",
            "mask": np.ones((3, 3)) if s.mask is None else np.reshape(s.mask, (3, 3)),
            "hydrostatic": s.hydrostatic or s.cell == "volume",
            "constant_volume": s.cell == "shape",
            "pressure": s.scalar_pressure,
            "fmax": s.fmax,
            "steps": s.steps,
        }

    def take_pace(self, seconds: float, n: int) -> None:
        """How long so many frames took."""
        self._pace = seconds / n

    def input(self, atoms: Atoms) -> tuple[Any, ...]:
        """As the core takes it."""
        atoms = self._checked(atoms)
        positions, numbers, cell, pbc = checks.arrays(atoms)
        kinds = self.calculator.species_map(numbers)
        return positions, cell, pbc, kinds, native_constraints(atoms)

    def _checked(self, atoms: Atoms) -> Atoms:
        """The frame, or, where symmetry is kept, a copy with that constraint; ValueError for one that cannot relax."""
        if not len(atoms):
            raise ValueError("the frame has no atoms")
        checks.finite("positions", atoms.positions)
        checks.finite("cell", atoms.cell.array)
        self.settings.refuse(atoms)
        if self.settings.symmetry:
            atoms = atoms.copy()
            self.settings.constrain(atoms)
        return atoms

    def by_ase(self, atoms: Atoms, threads: int) -> dict[str, Any] | Failure:
        """The result of one frame."""
        calculator = self.calculator
        try:
            if is_native(calculator):
                calculator = self._calculator(threads)
            atoms = self._checked(atoms)
            return relaxed_by_ase(atoms.copy(), calculator, self.settings)
        except Exception as e:  # noqa: BLE001 - calculators of others raise all kinds of exceptions
            return Failure(e)

    def _calculator(self, threads: int) -> Any:
        """Of mdkern, with a list, threads and results of its own: the user's stays as it is."""
        if self._own is None:
            self._own = copy.deepcopy(self.calculator)
        if threads:
            self._own.set(threads=threads)
        # Each frame begins with a new list, so that its bits do not depend on the frames before it.
        skin = self._own.parameters["skin"]
        self._own.set(skin=skin + 1.0)
        self._own.set(skin=skin)
        return self._own

    def warned(
        self, results: Generator[dict[str, Any] | Failure]
    ) -> Generator[dict[str, Any] | Failure]:
        """The same results, with the warning of a potential whose tables or room did not suffice."""
        with closing(results):
            for result in results:
                if not isinstance(result, Failure) and OVERFLOW in result:
                    del result[OVERFLOW]
                    warn_of(self.calculator.potential, True)
                yield result


class _Batch:
    """Frames that the core works on, on a thread beside the caller's: see :class:`mdkern.shards.Task`."""

    def __init__(self, job: Relaxation, step: Any, frames: Sequence[Any], threads: int) -> None:
        self._job, self._step, self._frames, self._threads = job, step, frames, threads
        self._found: list[Any] = [None] * len(frames)
        self._inputs: list[Any] = []
        self._at: list[int] = []
        self._by_ase: list[int] = []  # constraints without a native form
        for k, atoms in enumerate(frames):
            try:
                self._inputs.append(job.input(atoms))
            except UnsupportedError:
                self._by_ase.append(k)
            except (MDKernError, ValueError) as e:
                self._found[k] = Failure(e)
            else:
                self._at.append(k)
        self._stop = _core.StopFlag()
        # Not by joining the thread: that takes it for ended where a signal comes (Python 3.11).
        self._ended = threading.Event()
        self._ended.set()
        self._error: BaseException | None = None

    def start(self) -> None:
        """Begin; returns at once."""
        self._ended.clear()
        _running.add(self)
        threading.Thread(target=self._run, name="mdkern relax", daemon=True).start()

    def _run(self) -> None:
        try:
            self.work(self._stop)
        except BaseException as e:  # noqa: BLE001 - raised where results are taken
            self._error = e
        finally:
            self._ended.set()

    def work(self, stop: Any) -> None:
        """By the calling thread; without `stop` until a signal."""
        begin = time.perf_counter()
        results, raised = _core.relax_frames(
            self._step,
            self._job.calculator.parameters["skin"],
            self._inputs,
            threads=self._threads,
            stop=stop,
            **self._job.arguments(),
        )
        for k, result in zip(self._at, results, strict=True):
            if isinstance(result, str):
                self._found[k] = Failure(AtomsError(result))
            elif result is not None:
                self._found[k] = _result(*result)
        if raised is not None:
            raise raised
        if self._at:
            self._job.take_pace(time.perf_counter() - begin, len(self._at))

    def results(self) -> list[dict[str, Any] | Failure]:
        """All of them, when they are there."""
        self._ended.wait()
        if self._error is not None:
            raise self._error
        for k in self._by_ase:
            self._found[k] = self._job.by_ase(self._frames[k], self._threads)
        return self._found

    def stop(self) -> list[dict[str, Any] | Failure | None]:
        """End soon; those that are finished."""
        self._stop.set()
        while not self._ended.is_set():  # whatever signals come: no thread may outlive Python
            with suppress(KeyboardInterrupt):
                self._ended.wait()
        return self._found


# Those that began, for an end of Python in the middle: the core's threads are not to meet an interpreter that is gone.
_running: WeakSet[_Batch] = WeakSet()


@atexit.register
def _stop_all() -> None:
    for batch in list(_running):
        batch.stop()


def _result(
    positions: Any,
    cell: Any,
    energy: float,
    forces: Any,
    virial: Any,
    before: float,
    steps: int,
    fmax: float,
    converged: bool,
    failure: str,
    overflow: bool,
) -> dict[str, Any]:
    """What the core gave, by name."""
    volume = volume_of(cell)
    return {
        "positions": positions,
        "cell": cell,
        "energy": energy,
        "forces": forces,
        **({"stress": virial / -volume} if volume > 0.0 else {}),
        "before": before,
        "steps": steps,
        "fmax": fmax,
        "converged": converged,
        "failure": failure,
        **({OVERFLOW: True} if overflow else {}),
    }


def _hashable(array: Any) -> Any:
    """Arrays of objects as texts."""
    return array.astype(str) if array.dtype.kind == "O" else array


def _told(constraint: Any) -> Any:
    """What a constraint says of itself; ASE's of symmetry says nothing."""
    try:
        return constraint.todict()
    except (NotImplementedError, AttributeError):
        return pickle.dumps(constraint)
