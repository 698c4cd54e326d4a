"""Where shards are worked on: here, by an executor of ``concurrent.futures``, or by the workers of a Dask client.

A job (:class:`mdkern.shards.Job`) reaches each worker once: processes of this machine read it from a temporary file, workers of Dask get it
by a plug-in when they come, and whoever lacks it nevertheless says so and gets it with the shard. Shards and results travel as bytes, which
executors need not look into.
"""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from mdkern import checks
from mdkern.errors import UnsupportedError
from mdkern.worker import work

__all__ = ["Pool", "PoolOfFutures", "make_pool", "pickled"]


class Pool(Protocol):
    """Takes shards and gives futures, whose ``result()`` is that of `work`."""

    source: str  # from where workers take the job

    def workers(self) -> int:
        """How many shards can be worked on at a time."""
        ...

    def submit(self, label: str, *arguments: Any) -> Any:
        """A future of `work` with these arguments."""
        ...

    def result(self, future: Any) -> bytes | None:
        """What `work` returned, when it is done."""
        ...

    def close(self) -> None:
        """Forget the job."""
        ...


class PoolOfFutures:
    """An executor of ``concurrent.futures``, or one with its interface (mpi4py, loky)."""

    def __init__(self, executor: Any, payload: bytes) -> None:
        self._executor = executor
        self._folder = tempfile.mkdtemp(prefix="mdkern-")
        self.source = str(Path(self._folder) / "job")
        Path(self.source).write_bytes(payload)

    def workers(self) -> int:
        """What the executor says, else the number of CPUs."""
        for name in ("_max_workers", "num_workers"):
            n = getattr(self._executor, name, None)
            if isinstance(n, int) and n > 0:
                return n
        return os.cpu_count() or 1

    def submit(self, label: str, *arguments: Any) -> Any:
        """See `Pool`; executors of this kind have no use for the label."""
        del label
        return self._executor.submit(work, *arguments)

    def result(self, future: Any) -> bytes | None:
        """See `Pool`."""
        found: bytes | None = future.result()
        return found

    def close(self) -> None:
        """Remove the temporary file."""
        shutil.rmtree(self._folder, ignore_errors=True)


def make_pool(executor: Any, name: str, payload: bytes) -> Pool:
    """The workers of an executor, who find the job by this name.

    Raises
    ------
    TypeError
        It is no executor.
    """
    if is_client(executor):
        from mdkern.pools_dask import PoolOfDask

        return PoolOfDask(executor, name, payload)
    if not callable(getattr(executor, "submit", None)):
        msg = (
            f"executor: {checks.shown(executor)}; expected one of concurrent.futures, or a"
            " dask.distributed.Client"
        )
        raise TypeError(msg)
    return PoolOfFutures(executor, payload)


def is_client(executor: Any) -> bool:
    """Whether it is a client of Dask, by what it offers: nothing of Dask is loaded for other executors."""
    return all(
        callable(getattr(executor, name, None))
        for name in ("submit", "scatter", "gather", "nthreads")
    )


def pickled(job: Any, executor: Any) -> bytes:
    """The job as bytes; for Dask also with what is defined in a script or a notebook.

    Raises
    ------
    UnsupportedError
        It cannot be pickled, as calculators that hold a running program.
    """
    dumps: Callable[[Any], bytes] = pickle.dumps
    if is_client(executor):
        import cloudpickle

        dumps = cloudpickle.dumps
    try:
        return dumps(job)
    except Exception as e:
        msg = f"calculator: cannot be sent to the workers of an executor: {type(e).__name__}: {e}"
        raise UnsupportedError(msg) from e
