"""The workers of a Dask client. Nothing else in mdkern loads Dask, beside the command line's ``--scheduler``."""

from __future__ import annotations

import shutil
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from distributed import WorkerPlugin

from mdkern.errors import UnsupportedError
from mdkern.worker import keep, work

__all__ = ["JobPlugin", "PoolOfDask"]


LOOPBACK = ("tcp://127.", "tcp://[::1]")  # addresses of workers of this machine


class JobPlugin(WorkerPlugin):  # type: ignore[misc]
    """Brings a job to each worker, also to those that come later or are started again."""

    def __init__(self, job: str, payload: bytes) -> None:
        self.name = f"mdkern-{job}"
        self.job, self.payload = job, payload

    def setup(self, worker: Any) -> None:
        """Called by a worker, before its first task."""
        del worker
        keep(self.job, self.payload)

    def teardown(self, worker: Any) -> None:
        """Called by a worker, when the run is over."""
        del worker
        keep(self.job, None)


class PoolOfDask:
    """See `mdkern.pools.Pool`."""

    source = ""  # the plug-in

    def __init__(self, client: Any, job: str, payload: bytes) -> None:
        if client.asynchronous:
            msg = "executor: an asynchronous Client; expected one with asynchronous=False"
            raise UnsupportedError(msg)
        self._client = client
        self._run = uuid.uuid4().hex[:8]
        # Where two runs have the same job, the first to end takes it from the workers: those ask for it then.
        self._plugin = JobPlugin(job, payload)
        self._n, self._looked = 0, 0.0
        # To workers of this machine shards go as files: through the scheduler each byte is copied a dozen times.
        self._folder = Path(tempfile.mkdtemp(prefix="mdkern-"))
        self._own = False
        client.register_plugin(self._plugin)

    def workers(self) -> int:
        """Threads of all workers at present; asked for once a second, as workers come and go."""
        if time.monotonic() > self._looked + 1.0:
            found = self._client.nthreads()
            self._n = sum(found.values())
            self._own = all(address.startswith(LOOPBACK) for address in found)
            self._looked = time.monotonic()
        return self._n

    def submit(self, label: str, *arguments: Any) -> Any:
        """See `Pool`. Tasks are not pure: the same frames twice are two tasks, whose keys differ."""
        name, source, version, shard, threads = arguments
        if self._own and not source:
            path = self._folder / label
            path.write_bytes(shard)
            shard = str(path)
        key = f"{label}-{self._run}"
        arguments = (name, source, version, shard, threads)
        return self._client.submit(work, *arguments, pure=False, key=key)

    def result(self, future: Any) -> bytes | None:
        """See `Pool`."""
        found = future.result()
        if not isinstance(found, str):
            return None if found is None else bytes(found)
        path = Path(found)
        data = path.read_bytes()
        path.unlink()
        path.with_name(path.name.rpartition("-")[0]).unlink(missing_ok=True)
        return data

    def close(self) -> None:
        """Take the job from the workers."""
        shutil.rmtree(self._folder, ignore_errors=True)
        with suppress(Exception):  # the scheduler is gone, and with it the plug-in
            self._client.unregister_worker_plugin(self._plugin.name)
