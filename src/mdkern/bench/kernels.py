"""All kernels that are timed: those of neighbor lists, and of every registered potential."""

from __future__ import annotations

from mdkern.bench.case import Counts, Kernel
from mdkern.bench.cases import neighbors
from mdkern.registry import entries, resolve

__all__ = ["COUNTS", "KERNELS"]

KERNELS: dict[str, Kernel] = dict(neighbors.KERNELS)
for _entry in entries():
    if _entry.benchmarks:
        KERNELS.update(resolve(_entry.benchmarks))

COUNTS: dict[str, Counts] = {name: kernel.counts for name, kernel in KERNELS.items()}
