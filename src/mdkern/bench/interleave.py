"""Timing by turns, A B C A B C ...: a drift of the machine cancels in the ratios."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ratio", "Turns", "interleave", "ratio"]

_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Ratio:
    """Median of the ratios of the rounds, and its 95 % bootstrap interval `low` to `high`."""

    median: float
    low: float
    high: float
    rounds: int

    def __str__(self) -> str:
        digits = 2 if self.median < 10 else 1 if self.median < 100 else 0
        text = (f"{x:.{digits}f}" for x in (self.median, self.low, self.high))
        return "{} [{}, {}]".format(*text)


@dataclass(frozen=True, slots=True)
class Turns:
    """Seconds per call of each candidate, (rounds,); round k of all ran back to back."""

    seconds: dict[str, NDArray[np.float64]]

    def median(self, name: str) -> float:
        """Median seconds per call."""
        return float(np.median(self.seconds[name]))

    def ratio(self, slow: str, fast: str) -> Ratio:
        """How many times longer `slow` takes than `fast`."""
        return ratio(self.seconds[slow], self.seconds[fast])


def ratio(slow: NDArray[np.float64], fast: NDArray[np.float64]) -> Ratio:
    """Median of slow / fast, round by round, with its bootstrap interval.

    The rounds are resampled with replacement; the interval spans the 2.5th to the 97.5th percentile
    of the medians. One round gives an interval of no width, and says so in `rounds`.
    """
    slow, fast = np.asarray(slow, dtype=np.float64), np.asarray(fast, dtype=np.float64)
    if slow.shape != fast.shape or slow.ndim != 1 or len(slow) == 0:
        raise ValueError(
            f"slow, fast: shapes {slow.shape} and {fast.shape}; expected the same rounds"
        )
    r = slow / fast
    picks = np.random.default_rng(0).integers(0, len(r), (_RESAMPLES, len(r)))
    low, high = np.percentile(np.median(r[picks], axis=1), (2.5, 97.5))
    return Ratio(float(np.median(r)), float(low), float(high), len(r))


def interleave(
    calls: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 15,
    budget: float = 30.0,
    sample: float = 2e-3,
    before: Callable[[str], object] | None = None,
) -> Turns:
    """Time several calls by turns.

    Parameters
    ----------
    calls : dict of name to function without arguments
    rounds : int
        Wanted rounds. Fewer are run, but at least 3, where they would take longer than `budget`.
    budget : float
        Seconds for all rounds together.
    sample : float
        Seconds that one sample lasts at least: short calls are repeated within it.
    before : function of a name, optional
        Called before each sample, outside the time.
    """
    clock = time.perf_counter
    repeats: dict[str, int] = {}
    once = 0.0
    with _no_garbage_collection():
        for name, call in calls.items():  # the first call warms up, the second one tells the length
            if before is not None:
                before(name)
            start = clock()
            call()
            middle = clock()
            took = middle - start
            if took < 1.0:
                call()
                took = clock() - middle
            repeats[name] = max(1, int(np.ceil(sample / max(took, 1e-9))))
            once += max(took, sample)
        n = int(np.clip(budget / once, min(3, rounds), rounds))
        seconds = {name: np.empty(n) for name in calls}
        for k in range(n):
            for name, call in calls.items():
                if before is not None:
                    before(name)
                many = range(repeats[name])
                start = clock()
                for _ in many:
                    call()
                seconds[name][k] = (clock() - start) / len(many)
    return Turns(seconds)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
