"""Files of SNAP with random numbers."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from mdkern.bench.scratch import scratch_folder
from mdkern.bench.snap_models import random_snap, snap_text

__all__ = ["OWN", "snap_file", "snap_text"]

OWN = Path(__file__).resolve().parent / "data" / "classical"
_made: list[str] = []


@cache
def snap_file(elements: tuple[str, ...], **parameters: Any) -> str:
    """Path of the coefficients, written once; the parameters lie beside them."""
    path = scratch_folder() / f"{len(_made)}.snapcoeff"
    _made.append(random_snap(path, elements, **parameters))
    return _made[-1]
