"""Options of commands for many frames: the workers of Dask, a journal of what is finished, frames that fail."""

from __future__ import annotations

import argparse
import logging
import signal
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdkern.cli.options import STRUCTURE_HELP, positive_int
from mdkern.cli.output import Progress, UsageError, note, warning
from mdkern.errors import FormatError, MDKernError

if TYPE_CHECKING:
    from mdkern.shards import Job

__all__ = ["DATASET_HELP", "Bad", "Many", "add_many", "connected", "local_cluster"]

DATASET_HELP = f"{STRUCTURE_HELP}; data sets of DeePMD-kit (folder, .hdf5)"
WAIT = 10  # seconds for an answer of the scheduler
_SHOWN = 5  # bad frames that are named on stderr


def add_many(
    parser: argparse.ArgumentParser,
    journal: bool = True,
    record: bool = False,
    beside: bool = False,
) -> Any:
    """Options that say by whom frames are worked on; their group, for more of them.

    `record`: frames that fail are named, and the others go on, unless `--on-error` says otherwise. `beside`: without `--journal` there
    is one beside the output.
    """
    group = parser.add_argument_group("many frames")
    add = group.add_argument
    add(
        "--scheduler",
        metavar="ADDRESS|local",
        help="workers of Dask: the address of its scheduler, such as tcp://node1:8786, or a cluster on this machine",
    )
    add(
        "--workers", type=positive_int, metavar="N", help="of --scheduler local (default: all CPUs)"
    )
    if journal:
        add(
            "--journal",
            metavar="FILE",
            help="keeps what is finished: the same command goes on after an interruption, and writes its outputs anew"
            + (" (default: beside the output, until it is complete)" if beside else ""),
        )
    stop, go_on = (
        (" (default)", " (default with --scheduler)") if not record else ("", " (default)")
    )
    add(
        "--on-error",
        choices=("raise", "record"),
        help=f"of a frame that fails: stop{stop}, or name it and go on{go_on}",
    )
    return group


@contextmanager
def connected(args: argparse.Namespace) -> Iterator[Any]:
    """The client of ``--scheduler``; None without."""
    if args.scheduler is None:
        if args.workers is not None:
            raise UsageError("--workers: expected --scheduler local with it")
        yield None
        return
    if args.workers is not None and args.scheduler != "local":
        raise UsageError("--workers: for --scheduler local; others have their workers")
    try:
        from distributed import Client
    except ImportError:
        raise UsageError("--scheduler: needs Dask: pip install 'mdkern[dask]'") from None
    # What its processes say about each other while they end is no news; errors of tasks come back as results.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        address = args.scheduler
        if address == "local":
            import mdkern

            n = args.workers or int(mdkern.info()["available_cpus"])
            with _interrupts_wait():
                address = stack.enter_context(local_cluster(n))
        try:
            client = stack.enter_context(Client(address, timeout=WAIT))
        except Exception as e:  # also what another server's answer leads to
            raise UsageError(
                f"--scheduler {args.scheduler}: no scheduler of Dask answers there: {type(e).__name__}: {e};"
                " expected local, or an address such as tcp://node1:8786"
            ) from e
        if not client.nthreads():
            note(
                f"--scheduler {args.scheduler}: no workers yet; the run begins when the first one comes"
            )
        yield client


def local_cluster(workers: int) -> Any:
    """Processes of one thread on this machine, which look less often at themselves than Dask's: that takes a twentieth of two cores."""
    import dask
    from distributed import LocalCluster

    dask.config.set(
        {
            "distributed.admin.tick.interval": "1s",
            "distributed.admin.system-monitor.interval": "10s",
            "distributed.worker.profile.enabled": False,
        }
    )
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        silence_logs=logging.CRITICAL,
    )


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Ctrl-C comes after this. Threads and processes that are started meanwhile never get it: it goes to all processes of a terminal, and
    workers are to end by order of the scheduler, without a word."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # Started with the first process, it lets the signal through to the thread that starts it, and so to all processes of that.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Bad:
    """Frames that failed."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []

    def add(self, k: int, text: str) -> None:
        self.frames.append({"frame": k, "error": text})

    def warn(self, path: str) -> None:
        """Name the first ones."""
        for bad in self.frames[:_SHOWN]:
            warning(f"{path}: frame {bad['frame']}: {bad['error']}")
        more = len(self.frames) - _SHOWN
        if more > 0:
            warning(f"{path}: {more:,} more frames failed; --json names all")


class Many:
    """A job on the frames of a file, with what the options of `add_many` say.

    Parameters
    ----------
    args : argparse.Namespace
        Of the command: `add_many`, and the file as ``frames``.
    client
        Of `connected`.
    total : int or None
        Number of frames, for the bar.

    Attributes
    ----------
    bad : Bad
    record : bool
        Whether frames that fail are recorded.
    found : int
        Frames whose results were in the journal.
    interrupted : bool
        By Ctrl-C.
    """

    def __init__(self, args: argparse.Namespace, client: Any, total: int | None) -> None:
        self._args, self._path, self._client, self._total = args, args.frames, client, total
        self.record = (args.on_error or ("record" if client is not None else "raise")) == "record"
        self.bad = Bad()
        self.found = 0
        self.interrupted = False

    def results(
        self, job: Job, frames: Iterable[Any], keep: Any = lambda atoms: atoms
    ) -> Generator[tuple[Any, dict[str, Any]]]:
        """What `keep` makes of each frame, and the frame's result; ``{"error": text}`` for one that failed.

        Raises
        ------
        UsageError
            A frame fails, and failures are not recorded; files that cannot be read; lost workers.
        """
        from mdkern.shards import run_job
        from mdkern.worker import Failure

        args = self._args
        waiting: deque[Any] = deque()

        def passing() -> Iterator[Any]:
            for atoms in frames:
                waiting.append(keep(atoms))
                yield atoms

        done = run_job(
            job,
            passing(),
            self._client,
            args.threads if self._client is not None else None,
            args.journal,
            self._total,
            self._count,
        )
        with closing(getattr(job, "warned", lambda x: x)(done)) as found, self._bar() as bar:
            try:
                for k, result in enumerate(found):
                    kept = waiting.popleft()
                    if isinstance(result, Failure):
                        if not self.record:
                            raise UsageError(f"{self._path}: frame {k}: {result}") from result.error
                        self.bad.add(k, str(result))
                        yield kept, {"error": str(result)}
                    else:
                        yield kept, result
                    if bar.due():
                        bar.show(k + 1)
            except (UsageError, FormatError):  # these name the file
                raise
            except MDKernError as e:
                raise UsageError(f"{self._path}: {e}") from e

    def _count(self, _: int) -> None:
        self.found += 1

    @contextmanager
    def until_interrupted(self) -> Iterator[None]:
        """Around the loop over `results`: Ctrl-C ends it, and what follows tells of the frames so far."""
        try:
            yield
        except KeyboardInterrupt:
            self.interrupted = True
            kept = (
                "the same command goes on"
                if self._args.journal
                else "--journal FILE keeps what is finished"
            )
            warning(f"interrupted; {kept}")

    def _bar(self) -> Progress:
        return Progress(self._args.command, self._total, not self._args.json)

    @staticmethod
    def continued(args: argparse.Namespace, *outputs: str | None) -> list[str | None]:
        """Outputs that a run with the journal of an earlier one may replace."""
        return list(outputs) if args.journal and Path(args.journal).exists() else []
