"""Deep Potential for the benchmarks: work per atom, and a random model of the standard size."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from mdkern.bench.deepmd_models import random_deepmd
from mdkern.bench.scratch import scratch_folder

__all__ = ["DEEP_NEIGHBORS", "deep_flops", "deep_kinds", "deep_path"]

DEEP_NEIGHBORS = 90.7  # of an atom of water within 6 Angstrom


def deep_flops(neighbors: float, tabulated: bool = True) -> float:
    """Operations per atom of the standard size, 25-50-100 with 16 axes and 240-240-240; a multiply-add is two.

    Of a neighbor: value and slope of 100 channels, from quintic pieces (5 and 4 multiply-adds) or through the nets (6275
    each), with the first twice where tables make it cheaper than to keep it; four multiply-adds of each channel into T and
    four in reverse, and the slope's. Of an atom: D and its reverse; the fitting net both ways, equal numbers of D once.
    """
    channels, axes = 100, 16
    values = 2 * channels * (5 + 5 + 4) if tabulated else 2 * 2 * 6275 + 10 * 175
    per_neighbor = values + 2 * channels * (4 + 4 + 2) + 60
    fitting = (channels * axes - axes * (axes - 1) // 2) * 240 + 2 * 240 * 240 + 240
    return float(
        neighbors * per_neighbor + 2 * 3 * channels * axes * 4 + 2 * 2 * fitting + 30 * 720
    )


@cache
def deep_path() -> str:
    """File of the random model, written once per process."""
    return random_deepmd(scratch_folder() / "standard.json")


def deep_kinds(species: tuple[str, ...], atoms: Any) -> np.ndarray:
    """Species numbers: by symbol, or one third O and two thirds H where the system is no water."""
    symbols = atoms.get_chemical_symbols()
    if set(symbols) <= set(species):
        return np.array([species.index(s) for s in symbols], dtype=np.int64)
    return np.minimum(np.arange(len(symbols)) % 3, 1)
