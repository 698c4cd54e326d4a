"""Memory of Jacobians, asked before it is taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mdkern import _core

__all__ = ["check_memory"]


def check_memory(shape: Sequence[int], dtype: Any, instead: str) -> None:
    """MemoryError where an array of this shape would not fit; `instead` is what the message advises."""
    size = float(np.prod([float(k) for k in shape])) * np.dtype(dtype).itemsize
    free = _core.available_memory()
    if size > 0.9 * free:
        raise MemoryError(
            f"derivatives of shape {tuple(int(k) for k in shape)} need {size / 2**30:.3g} GiB, {free / 2**30:.3g} GiB are "
            f"available; use {instead}"
        )
