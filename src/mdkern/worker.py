"""What runs in the workers of an executor."""

from __future__ import annotations

import pickle
import threading
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from mdkern import bundle
from mdkern.errors import MDKernError

__all__ = ["Failure", "keep", "work"]

KEPT = 4  # jobs that a thread of a worker holds
_payloads: dict[str, bytes] = {}  # by plug-ins of Dask, for all threads of this process
_of_thread = threading.local()


class Failure:
    """Why a frame has no result."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getstate__(self) -> dict[str, Any]:
        error = self.error
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # noqa: BLE001 - exceptions of others may be anything
            error = RuntimeError(f"{type(error).__name__}: {error}")
        return {"error": error}

    def __str__(self) -> str:
        text = str(self.error)
        plain = isinstance(self.error, (MDKernError, ValueError)) and text
        return text if plain else f"{type(self.error).__name__}: {text}"

    def of(self, where: str) -> Exception:
        """The error, which says of which structure; one of others is left as it is."""
        kind = type(self.error)
        if issubclass(kind, (MDKernError, ValueError)):
            with suppress(TypeError):
                return kind(f"{where}: {self.error}")
        return self.error


def work(
    name: str, source: bytes | str, version: str, shard: bytes | str, threads: int
) -> bytes | str | None:
    """Results of the frames of a shard; None where the job of this name, or the shard, is not to be had here.

    A shard that is a file's name gives a file's name, of its results.
    """
    import mdkern

    if version != mdkern.__version__:
        msg = f"this worker has mdkern {mdkern.__version__}, who sends the work has {version}; expected the same"
        raise MDKernError(msg)
    job = _job(name, source)
    if job is None:
        return None
    try:
        data = shard if isinstance(shard, bytes) else Path(shard).read_bytes()
    except FileNotFoundError:  # this is another machine, behind a tunnel
        return None
    found = bundle.pack(list(job.run(bundle.unpack(data), threads)))
    if isinstance(shard, bytes):
        return found
    # A name of its own: where a worker seems to be dead, another does the same work.
    place = Path(f"{shard}-{uuid.uuid4().hex}")
    place.write_bytes(found)
    return str(place)


def _job(name: str, source: bytes | str) -> Any:
    # Each thread has its own: calculators of others are not made for several at a time.
    kept: dict[str, Any] = _of_thread.__dict__.setdefault("jobs", {})
    if name not in kept:
        payload = source if isinstance(source, bytes) else _payloads.get(name)
        if payload is None and source:
            try:
                payload = Path(str(source)).read_bytes()
            except OSError:  # another machine
                return None
        if payload is None:
            return None
        while len(kept) >= KEPT:
            del kept[next(iter(kept))]
        kept[name] = pickle.loads(payload)
    return kept[name]


def keep(name: str, payload: bytes | None) -> None:
    """Hold the bytes of a job for the threads of this process; None forgets them."""
    if payload is None:
        _payloads.pop(name, None)
    else:
        _payloads[name] = payload
