"""Room for files that are written for a run and go with the process."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

__all__ = ["scratch_folder"]


@cache
def _room() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="mdkern-")


def scratch_folder() -> Path:
    """A new empty folder, removed when Python ends."""
    return Path(mkdtemp(dir=_room().name))
