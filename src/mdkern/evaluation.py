"""Many structures, one potential."""

from __future__ import annotations

import hashlib
import math
import pickle
import warnings
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from mdkern import _core, checks, potentials
from mdkern.calculators import AtomsError, NonFiniteError, is_native
from mdkern.errors import MDKernWarning
from mdkern.journal import digest
from mdkern.potentials.base import SpeciesMap, need_nine_virials, not_finite, properties_of, warn_of
from mdkern.shards import ATOMS, run_job
from mdkern.terminal import Progress
from mdkern.worker import Failure

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Evaluation", "evaluate", "evaluate_iter", "model_hash"]

VIRIALS = "virials"
_OF_CHARGES = ("charges", "born_effective_charges")
PROPERTIES = (
    "energy",
    "free_energy",
    "energies",
    "forces",
    "stress",
    "stresses",
    VIRIALS,
    *_OF_CHARGES,
)
OVERFLOW = "overflow"  # beside the properties of a frame whose evaluation the potential warns of


def evaluate(
    frames: Iterable[Atoms],
    calculator: Any,
    properties: Sequence[str] = ("energy", "forces"),
    threads: int | None = None,
    progress: bool = False,
    executor: Any = None,
    on_error: str | None = None,
    journal: Any = None,
) -> list[dict[str, Any]]:
    """Energies, forces and stresses of many structures, several at a time, here or by the workers of an executor.

    Results have the same bits for every number of threads, workers and shards, and are those of the calculator itself (where
    all workers have the same instruction set).

    Parameters
    ----------
    frames : iterable of ase.Atoms
        Left as they are; their own calculators do not matter. With an executor they are taken as they are needed, and no more
        than two shards (of 65536 atoms, or 1024 frames) for each worker are held at a time.
    calculator : mdkern.calculators.Calculator
        Any other ASE calculator works too, one structure after the other; with an executor, which needs to pickle it, each
        structure is a shard.
    properties : sequence of str
        Out of ``energy``, ``free_energy`` (eV), ``energies`` (n,), ``forces`` (n, 3) in eV/Angstrom, ``stress`` (6,) and
        ``stresses`` (n, 6) in eV/Angstrom^3, in ASE's signs and order; ``virials`` (n, 9) in eV, as
        :meth:`mdkern.calculators.Calculator.get_virials` has them for heat fluxes; where the model has charges (NEP), ``charges`` (n,) and
        ``born_effective_charges`` (n, 3, 3) in e; and whatever else the calculator offers, such as ``dipole``.
    threads : int, optional
        By default :func:`mdkern.get_num_threads`; with an executor 1 for each of its workers.
    progress : bool
        Draw a bar on a terminal.
    executor : concurrent.futures.Executor or dask.distributed.Client, optional
        Threads, processes, MPI processes (mpi4py) or a cluster that work on the structures. Each worker gets the model once.
    on_error : {"raise", "record"}, optional
        Of a structure that cannot be evaluated: raise its error, or go on and put ``{"error": text}`` in place of its results,
        with a warning at the end. By default the first without and the second with an executor.
    journal : path-like, optional
        File that keeps finished results. An interrupted call, made again with the same model and properties, takes them
        from there, by the content of the structures. Structures that failed are tried again.

    Returns
    -------
    list of dict
        One for each structure, with the properties by name.

    Raises
    ------
    TypeError
        `frames` is one structure, or has something else in it; `calculator` or `executor` is none.
    ValueError
        An unknown property, an element that the potential lacks, a stress without a cell; the message has the index of the
        structure.
    NonFiniteError
        Atoms lie on top of each other.
    WorkerError
        The executor lost a worker and does not replace it, or its workers cannot work.
    UnsupportedError
        A calculator that cannot be pickled, with an executor; ``virials`` of a potential that has none.
    FormatError
        `journal` is no journal, or that of another model or other properties.
    """
    results = evaluate_iter(
        frames, calculator, properties, threads, executor, on_error=on_error, journal=journal
    )
    if not checks.flag("progress", progress):
        return list(results)
    known = frames
    if executor is None and not isinstance(frames, Sized):
        known = checks.structures("frames", frames)
        results = evaluate_iter(
            known, calculator, properties, threads, None, on_error=on_error, journal=journal
        )
    total = len(known) if isinstance(known, Sized) else None
    out = []
    with Progress("evaluate", total) as bar:
        for result in results:
            out.append(result)
            if bar.due():
                bar.show(len(out))
    return out


def evaluate_iter(
    frames: Iterable[Atoms],
    calculator: Any,
    properties: Sequence[str] = ("energy", "forces"),
    threads: int | None = None,
    executor: Any = None,
    *,
    on_error: str | None = None,
    journal: Any = None,
) -> Iterator[dict[str, Any]]:
    """:func:`evaluate`, result by result, with its arguments: no more than some structures are held at a time."""
    frames = checks.several("frames", frames)
    checks.calculator(calculator)
    wanted: tuple[Any, ...] = (properties,)
    if not checks.is_single(properties):
        wanted = tuple(properties)
    offered = (*PROPERTIES, *calculator.implemented_properties)
    for name in wanted:
        if name not in offered:
            raise ValueError(f"properties: {name!r}; expected some of {', '.join(PROPERTIES)}")
    if on_error not in (None, "raise", "record"):
        raise ValueError(f"on_error: {on_error!r}; expected 'raise' or 'record'")
    record = executor is not None if on_error is None else on_error == "record"
    n_threads = checks.threads(threads) or None
    if VIRIALS in wanted and is_native(calculator):
        need_nine_virials(calculator.potential)  # not one failure for each structure
    job = Evaluation(calculator, wanted)
    # What makes frames one by one may yield the same Atoms again, moved, while a shard is still being filled.
    job.copies = not isinstance(frames, Sized)
    done = job.warned(run_job(job, frames, executor, n_threads, journal))
    return _recorded(done) if record else _raised(done)


def _raised(results: Generator[dict[str, Any] | Failure]) -> Iterator[dict[str, Any]]:
    """Until one fails."""
    with closing(results):
        for k, result in enumerate(results):
            if isinstance(result, Failure):
                raise result.of(f"structure {k}")
            yield result


def _recorded(results: Generator[dict[str, Any] | Failure]) -> Iterator[dict[str, Any]]:
    """All of them, and a warning of those that failed."""
    failed, first = 0, ""
    with closing(results):
        for k, result in enumerate(results):
            if not isinstance(result, Failure):
                yield result
                continue
            failed += 1
            first = first or f"structure {k}: {result}"
            yield {"error": str(result)}
    if failed:
        many = "1 structure was" if failed == 1 else f"{failed:,} structures were"
        text = f"{many} not evaluated; {first}"
        warnings.warn(text, MDKernWarning, stacklevel=3)


@dataclass(frozen=True)
class _Native:
    """A potential that the core evaluates alone: nothing in it changes, whoever uses the calculator meanwhile."""

    step: Any
    cutoff: float
    kinds: SpeciesMap
    potential: Any

    @classmethod
    def of(cls, potential: Any) -> _Native | None:
        step = getattr(potential, "force_step", lambda: None)()
        if step is None:
            return None
        return cls(step, potential.cutoff, SpeciesMap(potential.species), potential)


@dataclass
class Evaluation:
    """A job (see :class:`mdkern.shards.Job`): properties of frames by a calculator.

    Parameters
    ----------
    calculator
        Of mdkern, or any of ASE's.
    wanted : tuple of str
        Properties.
    where_there : tuple of str
        Properties that a frame may lack, as the stress without a cell.
    """

    calculator: Any
    wanted: tuple[str, ...]
    where_there: tuple[str, ...] = ()
    native: _Native | None = field(init=False, default=None)
    label = "evaluate"
    sent: bool = field(init=False, default=False)  # this is a worker's copy
    copies: bool = field(init=False, default=False)  # frames may change before they are evaluated

    def __post_init__(self) -> None:
        # Born effective charges take further passes over the list of each structure.
        if is_native(self.calculator) and "born_effective_charges" not in self.wanted:
            self.native = _Native.of(self.calculator.potential)

    def __getstate__(self) -> dict[str, Any]:
        """Of a potential of the core no more than itself: not the results of a calculator, nor its atoms."""
        state = {"wanted": self.wanted, "where_there": self.where_there}
        if self.native is not None:
            return state | {"potential": self.native.potential}
        return state | {"calculator": self.calculator}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.wanted, self.where_there = state["wanted"], state["where_there"]
        self.calculator = state.get("calculator")
        self.native = _Native.of(state["potential"]) if "potential" in state else None
        self.sent = True

    @property
    def shard(self) -> int:
        """Calculators of others take milliseconds to days for a frame."""
        return 1 if self.native is None else ATOMS

    def fingerprint(self) -> str:
        """From the model's numbers where it is mdkern's, not from the file that it was read from."""
        names = "|".join((*self.wanted, "?", *self.where_there))
        out = hashlib.sha256(f"evaluate {_core.__version__} {names}".encode())
        model_hash(out, self.calculator)
        return out.hexdigest()

    def ended(self) -> None:
        """See :class:`mdkern.shards.Job`."""
        leave(self.calculator)

    def pack(self, atoms: Any, name: str) -> Any:
        """Arrays for the core, a copy for other calculators, which they may keep."""
        checks.structure(name, atoms)
        if self.native is not None:
            arrays = checks.arrays(atoms)
            return tuple(x.copy() for x in arrays) if self.copies else arrays
        mine = atoms.copy()
        mine.calc = None
        mine.set_constraint()
        return mine

    def key(self, packed: Any) -> bytes:
        """Of a copy all of its arrays count, such as magnetic moments."""
        if self.native is not None:
            return digest(packed)
        arrays = [
            x for name in sorted(packed.arrays) for x in (np.array(name), packed.arrays[name])
        ]
        return digest([*arrays, packed.cell.array, packed.pbc])

    def run(self, frames: Sequence[Any], threads: int) -> Iterator[dict[str, Any] | Failure]:
        """Results; failures without the index of the structure, which the caller knows."""
        if self.native is None:
            for atoms in frames:
                yield self._one(atoms, threads)
            return
        # A bad one among many: each by itself shows which.
        try:
            found = self._many(frames, threads)
        except AtomsError:
            found = [None] * len(frames)
        for frame, values in zip(frames, found, strict=True):
            yield self._result(frame, values, threads)

    def _result(self, frame: Any, values: Any, threads: int) -> dict[str, Any] | Failure:
        """From what the core gave; None: it is still to be asked for this one."""
        assert self.native is not None
        positions, _, cell, _ = frame
        try:
            if values is None:
                (values,) = self._many([frame], threads)
            values, virials = values
            r = potentials.Result(*values)
            if not math.isfinite(r.energy + sum(r.virial.tolist())):
                raise NonFiniteError(not_finite(r, positions))
            everything = properties_of(r, cell)
            if virials is not None:
                everything[VIRIALS] = virials
            chosen = self._chosen(everything)
        except (AtomsError, NonFiniteError, ValueError) as e:
            return Failure(e)
        return chosen | {OVERFLOW: True} if r.overflow else chosen

    def _many(self, frames: Sequence[Any], threads: int) -> list[Any]:
        """What the core gives for several frames, and virials of nine components or None; AtomsError where one of them is bad."""
        assert self.native is not None
        nine, six = VIRIALS in self.wanted, "stresses" in self.wanted
        found = _many(self.native, frames, 6 if six else 9 if nine else 0, threads)
        if not nine:
            return [(values, None) for values in found]
        # Stresses are not the symmetric parts of the nine: the energy of a pair may be shared otherwise.
        with_nine = _many(self.native, frames, 9, threads) if six else found
        if not six:
            found = [(*values[:4], None, *values[5:]) for values in found]
        return [(values, w[4]) for values, w in zip(found, with_nine, strict=True)]

    def _one(self, atoms: Atoms, threads: int) -> dict[str, Any] | Failure:
        """By the calculator itself."""
        with getattr(self.calculator, "lock", nullcontext()):
            try:
                if self.sent and hasattr(self.calculator, "n_threads"):
                    self.calculator.set(threads=threads)
                # Those of ASE add to what is there: a molecule would have the stress of the crystal before it.
                with suppress(AttributeError):
                    self.calculator.results = {}
                self.calculator.calculate(atoms, list(self.wanted))
                results = self.calculator.results
                found = {k: np.copy(v) if np.ndim(v) else v for k, v in results.items()}
                # (n, 3, 3): ASE's writer of extended XYZ fails on them where they stay.
                results.pop("born_effective_charges", None)
                if VIRIALS in self.wanted and is_native(self.calculator):
                    found[VIRIALS] = self.calculator.get_virials(atoms)
                return self._chosen(found)
            except Exception as e:  # noqa: BLE001 - calculators of others raise all kinds of exceptions
                return Failure(e)

    def _chosen(self, everything: dict[str, Any]) -> dict[str, Any]:
        for name in self.wanted:
            if name not in everything and name not in self.where_there:
                why = "has no cell with a volume" if "stress" in name else "is not offered"
                raise ValueError(f"{name}: {why}")
        return {name: everything[name] for name in self.wanted if name in everything}

    def warned(
        self, results: Generator[dict[str, Any] | Failure]
    ) -> Generator[dict[str, Any] | Failure]:
        """The same results, with the warning of a potential whose tables or room did not suffice, wherever it was evaluated."""
        with closing(results):
            for result in results:
                if not isinstance(result, Failure) and OVERFLOW in result:
                    assert self.native is not None
                    del result[OVERFLOW]
                    warn_of(self.native.potential, True)
                yield result


def _many(native: _Native, frames: Sequence[Any], virials: int, threads: int) -> list[Any]:
    """What the core gives for several frames, with virials of so many components; AtomsError where one of them is bad."""
    inputs = []
    for positions, numbers, cell, pbc in frames:
        try:
            inputs.append((positions, cell, pbc, native.kinds(numbers)))
        except ValueError as e:
            raise AtomsError(str(e)) from None
    found = _core.evaluate_frames(native.step, native.cutoff, inputs, virials, threads)
    if isinstance(found, tuple):
        raise AtomsError(str(found[1]))
    return list(found)


def model_hash(out: Any, calculator: Any) -> None:
    """What a calculator's results depend on, into a hash: of mdkern's the numbers of the model."""
    fields = getattr(getattr(calculator, "potential", None), "core_fields", None)
    if fields is not None and is_native(calculator):
        _feed(out, fields())
        return
    start = now = _state_of(calculator)
    with suppress(TypeError):  # one that has no hash, or no weak references
        left, before = _LEFT.get(calculator, (b"", now))
        start = before if left == now else now
        _LEFT[calculator] = (now, start)
    out.update(start)


# Of calculators of others: their state as a job has left it, and as it was when that began. Most keep results and lists of
# neighbors, with which they would be others in a second call.
_LEFT: WeakKeyDictionary[Any, tuple[bytes, bytes]] = WeakKeyDictionary()


def leave(calculator: Any) -> None:
    """A job has ended, of which :func:`model_hash` was asked: the calculator as it is left is still the same model."""
    if calculator is None or is_native(calculator):
        return
    with suppress(TypeError, KeyError):
        _LEFT[calculator] = (_state_of(calculator), _LEFT[calculator][1])


def _state_of(calculator: Any) -> bytes:
    """A hash of all that a calculator holds, or where it cannot be pickled of its class and parameters."""
    try:
        state = pickle.dumps(calculator)
    except Exception:  # noqa: BLE001 - one that cannot be pickled may still have parameters
        kind = type(calculator)
        parameters = getattr(calculator, "parameters", None)
        state = f"{kind.__module__}.{kind.__qualname__} {parameters!r}".encode()
    return hashlib.sha256(state).digest()


def _feed(out: Any, fields: Any) -> None:
    """Arrays, numbers and texts, in dicts and lists, into a hash."""
    if isinstance(fields, Mapping):
        for name in sorted(fields):
            out.update(f"{name}:".encode())
            _feed(out, fields[name])
    elif isinstance(fields, (list, tuple)):
        out.update(f"[{len(fields)}]".encode())
        for x in fields:
            _feed(out, x)
    else:
        out.update(repr(fields).encode() if isinstance(fields, str) else digest([fields]))
