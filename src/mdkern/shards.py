"""Many frames, one job: in shards of bounded memory over the workers of an executor, results in the order of the frames."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence, Sized
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from mdkern import _core, bundle
from mdkern.errors import MDKernError
from mdkern.journal import Journal
from mdkern.pools import Pool, make_pool, pickled
from mdkern.worker import Failure

__all__ = ["ATOMS", "Job", "Task", "WorkerError", "run_job"]

HERE = 64  # frames of a shard without an executor, for whose threads they are
# Of a shard that travels: 50 ms of work or more with most potentials, and some megabytes.
ATOMS = 65536
FRAMES = 1024
# Towards the end shards become smaller, so that all workers end at the same time: a worker's share of what is left, in so many parts.
PARTS = 2
LEAST = 64  # frames, unless they are few


class WorkerError(MDKernError, RuntimeError):
    """A worker of an executor was lost, or cannot work; the frames are not to blame."""


class Task(Protocol):
    """The work on a shard, beside the thread that reads frames and takes results."""

    def start(self) -> None:
        """Begin; returns at once."""
        ...

    def results(self) -> list[dict[str, Any] | Failure]:
        """All of them, when they are there."""
        ...

    def stop(self) -> list[dict[str, Any] | Failure | None]:
        """End soon; those that are finished, None in place of the others."""
        ...


class Job(Protocol):
    """What is done with frames. It is pickled and sent to each worker once.

    A job may have ``ended()``, which is called behind a run with a journal, ``here(threads)``, how many frames the next shard has in a run without an executor, and ``task(frames, threads)``, which gives a
    `Task`, or None where the frames have to be worked on by the calling thread.
    """

    label: str
    """A word for dashboards."""

    @property
    def shard(self) -> int:
        """Atoms of a shard that travels, not more than `ATOMS`; 1 makes each frame one, where it takes long."""
        ...

    def fingerprint(self) -> str:
        """The same for jobs that give the same results."""
        ...

    def pack(self, atoms: Any, name: str) -> Any:
        """What of a frame travels; TypeError where it is no structure."""
        ...

    def key(self, packed: Any) -> bytes:
        """What tells this frame from others, see :func:`mdkern.journal.digest`."""
        ...

    def run(self, frames: Sequence[Any], threads: int) -> Iterable[dict[str, Any] | Failure]:
        """One for each packed frame. What is raised is the job's fault, not that of a frame."""
        ...


@dataclass
class _Shard:
    """Frames that follow each other: those still to be done, and what is known of the others."""

    first: int
    results: list[Any] = field(default_factory=list)  # None: still to be done
    keys: list[bytes] = field(default_factory=list)
    frames: list[Any] = field(default_factory=list)
    atoms: int = 0
    data: bytes = b""  # the frames as they travel
    future: Any = None

    def __str__(self) -> str:
        last = self.first + len(self.results) - 1
        return f"structure {last}" if last == self.first else f"structures {self.first} to {last}"


def run_job(
    job: Job,
    frames: Iterable[Any],
    executor: Any = None,
    threads: int | None = None,
    journal: Any = None,
    total: int | None = None,
    found: Callable[[int], None] | None = None,
) -> Generator[dict[str, Any] | Failure]:
    """Results of all frames, in their order; a few shards are held at a time.

    Parameters
    ----------
    job : Job
    frames : iterable
        Read as far as shards are wanted.
    executor : concurrent.futures.Executor or dask.distributed.Client, optional
        Without one the job runs here.
    threads : int, optional
        Of each worker, 1 by default; without an executor those of the package.
    journal : path-like, optional
        Where finished results are kept, and found by the next run.
    total : int, optional
        Number of frames, for an iterator that does not say it.
    found : callable, optional
        Called with the index of each frame whose result was in the journal.

    Raises
    ------
    WorkerError
        A worker was lost and not replaced, or cannot work.
    TypeError
        A frame is no structure; no executor.
    FormatError, InUseError
        The journal, see :class:`mdkern.journal.Journal`.
    """
    with ExitStack() as stack:
        book = None
        if journal is not None:
            book = stack.enter_context(closing(Journal(journal, job.fingerprint())))
            stack.callback(getattr(job, "ended", lambda: None))
        if executor is None:
            here = getattr(job, "here", lambda _: 1 if job.shard == 1 else HERE)
            shards = _shards(job, frames, book, lambda _: here(threads or 0), None, found)
            yield from _here(job, shards, threads or 0, book)
            return
        payload = pickled(job, executor)
        name = hashlib.sha256(payload).hexdigest()
        pool = stack.enter_context(closing(make_pool(executor, name, payload)))
        run = _Run(job, name, payload, pool, threads or 1, book)
        n = len(frames) if isinstance(frames, Sized) else total
        most = _sizes(n, max(1, pool.workers()))
        yield from run.results(_shards(job, frames, book, most, min(job.shard, ATOMS), found))


def _shards(
    job: Job,
    frames: Iterable[Any],
    book: Journal | None,
    most: Callable[[int], int],
    atoms: int | None,
    found: Callable[[int], None] | None,
) -> Iterator[_Shard]:
    """Of at most so many frames (by the index of the first one), and atoms; finished frames are looked up."""
    shard, full = _Shard(0), most(0)
    for k, given in enumerate(frames):
        known: Any = None
        try:
            packed = job.pack(given, f"frames[{k}]")
        except ValueError as e:
            known = Failure(e)
        else:
            if book is not None:
                key = job.key(packed)
                known = book.get(key)
                if known is None:
                    shard.keys.append(key)
                elif found is not None:
                    found(k)
        shard.results.append(known)
        if known is None:
            shard.frames.append(packed)
            if atoms is not None:
                shard.atoms += len(given)
        if len(shard.results) >= full or (atoms is not None and shard.atoms >= atoms):
            yield shard
            shard, full = _Shard(k + 1), most(k + 1)
    if shard.results:
        yield shard


def _sizes(n: int | None, workers: int) -> Callable[[int], int]:
    """Frames of a shard by the index of its first frame, where there are `n` of them."""
    if n is None:
        return lambda _: FRAMES
    total, share = n, PARTS * workers
    least = max(1, min(LEAST, total // (2 * share)))
    return lambda first: max(least, min(FRAMES, (total - first) // share))


def _finished(
    shard: _Shard, done: Iterator[Any], book: Journal | None
) -> Iterator[dict[str, Any] | Failure]:
    """All results of a shard in order; new ones go into the journal."""
    if book is None and len(shard.frames) == len(shard.results):
        yield from done
        return
    keys, fresh = [], []
    todo = iter(shard.keys)
    try:
        for result in shard.results:
            if result is not None:
                yield result
                continue
            found = next(done)
            if book is not None:
                key = next(todo)
                if not isinstance(found, Failure):
                    keys.append(key)
                    fresh.append(found)
            yield found
    finally:
        if book is not None:
            book.add(keys, fresh)


def _here(
    job: Job, shards: Iterator[_Shard], threads: int, book: Journal | None
) -> Iterator[dict[str, Any] | Failure]:
    """Without an executor. Where the job has tasks, the next shard is under way while results of one are taken, and frames are read meanwhile."""
    make = getattr(job, "task", lambda *_: None)
    ahead: tuple[_Shard, Task] | None = None
    failure: Exception | None = None
    try:
        while True:
            try:
                shard = next(shards, None)
            except Exception as e:  # noqa: BLE001 - of who reads frames: those before come first
                failure, shard = e, None
            if shard is None:
                break
            task = make(shard.frames, threads)
            former, ahead = ahead, None
            done = _kept(*former, book) if former is not None else []
            if task is None:
                yield from done
                yield from _finished(shard, iter(job.run(shard.frames, threads)), book)
                continue
            task.start()
            ahead = shard, task
            yield from done
        if ahead is not None:
            former, ahead = ahead, None
            yield from _kept(*former, book)
        if failure is not None:
            raise failure
    finally:
        if ahead is not None:
            _keep(ahead[0], ahead[1].stop(), book)


def _kept(shard: _Shard, task: Task, book: Journal | None) -> list[dict[str, Any] | Failure]:
    """All results of a shard in order, those of the task from now on in the journal."""
    try:
        found = task.results()
    except BaseException:
        _keep(shard, task.stop(), book)
        raise
    _keep(shard, found, book)
    fresh = iter(found)
    return [next(fresh) if known is None else known for known in shard.results]


def _keep(shard: _Shard, found: Sequence[Any], book: Journal | None) -> None:
    if book is None:
        return
    pairs = zip(shard.keys, found, strict=True)
    good = [(key, x) for key, x in pairs if x is not None and not isinstance(x, Failure)]
    book.add([key for key, _ in good], [x for _, x in good])


class _Run:
    """Shards under way."""

    def __init__(
        self, job: Job, name: str, payload: bytes, pool: Pool, threads: int, book: Journal | None
    ) -> None:
        self._job, self._name, self._payload = job, name, payload
        self._pool, self._threads, self._book = pool, threads, book
        self._waiting: deque[_Shard] = deque()
        self._broken = False

    def results(self, shards: Iterator[_Shard]) -> Iterator[dict[str, Any] | Failure]:
        try:
            for shard in shards:
                # Two for each worker: the next one is there when it is done with the first.
                while len(self._waiting) >= 2 * self._pool.workers() + 2:
                    yield from self._oldest()
                self._send(shard, self._pool.source)
                self._waiting.append(shard)
            while self._waiting:
                yield from self._oldest()
        finally:
            self._leave()

    def _send(self, shard: _Shard, source: bytes | str) -> None:
        """Give a shard to the pool, unless all of its frames are done."""
        if not shard.frames:
            return
        if not shard.data:
            shard.data = bundle.pack(shard.frames)
        arguments = (self._name, source, _core.__version__, shard.data, self._threads)
        label = f"{self._job.label}-{shard.first}{'-again' if shard.future else ''}"
        try:
            shard.future = self._pool.submit(label, *arguments)
        except Exception as e:
            raise self._lost(shard, e) from e

    def _oldest(self) -> Iterator[dict[str, Any] | Failure]:
        """Results of the shard that was sent first."""
        done = iter(self._done(self._waiting[0]))
        yield from _finished(self._waiting.popleft(), done, self._book)

    def _done(self, shard: _Shard) -> list[Any]:
        if not shard.frames:
            return []
        found = self._result(shard)
        if found is None:
            # A machine that does not see the temporary file. The other shards that came back get the job as well, now.
            back = [s for s in self._waiting if s.frames and s.future.done()]
            for other in [s for s in back if s is shard or self._result(s) is None]:
                self._send(other, self._payload)
            found = self._result(shard)
        if found is None:
            raise self._lost(shard, RuntimeError("the worker took no job"))
        return bundle.unpack(found, copy=True)

    def _result(self, shard: _Shard) -> bytes | None:
        try:
            return self._pool.result(shard.future)
        except (Exception, asyncio.CancelledError) as e:
            raise self._lost(shard, e) from e

    def _lost(self, shard: _Shard, e: BaseException) -> WorkerError:
        """What became of a shard; nothing more is asked of the workers."""
        self._broken = True
        why = f"{type(e).__name__}: {e}".rstrip(": ")
        if isinstance(e, BrokenExecutor):
            why = (
                "a process of the pool was killed or died, and a pool of concurrent.futures does not replace it;"
                " a new pool is needed"
            )
        elif type(e).__name__ == "KilledWorker":
            why = (
                "every worker that took them died; their logs may say why, such as a lack of memory"
            )
        elif "Cancelled" in type(e).__name__:
            why = "the work was cancelled, or the scheduler is gone"
        rest = (
            "journal=FILE would keep what is finished"
            if self._book is None
            else f"what is finished is in {self._book.path}, and the next run goes on from there"
        )
        return WorkerError(f"{shard}: not evaluated: {why} ({rest})")

    def _leave(self) -> None:
        """Keep what is finished, and call off the rest."""
        for shard in self._waiting:
            if shard.future is None:
                continue
            if self._book is not None and not self._broken and shard.future.done():
                # The run ends for another reason, which is to be told; what cannot be had is done again.
                with suppress(Exception, asyncio.CancelledError):
                    found = self._result(shard)
                    done = [] if found is None else bundle.unpack(found)
                    deque(_finished(shard, iter(done), self._book), maxlen=0)
            with suppress(Exception):  # the workers may be gone altogether
                shard.future.cancel()
        self._waiting.clear()
