"""The search: one candidate after the other against what there is."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from mdkern import checks
from mdkern.tuning.choice import Choice

__all__ = ["SKINS", "Measured", "Trial", "search"]

SKINS = (0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.4)
"""Angstrom."""

# What is gained must exceed what a busy machine makes believe; a wrong number of threads costs more than a wrong skin.
_LEAST_GAIN, _LEAST_GAIN_OF_THREADS = 1.03, 1.10
_WORSE = 0.95  # than the best so far: candidates beyond are not tried
_LEAST_SECONDS = 1e-9  # of a step: where a clock is too coarse for short spans
_ALIKE = 0.99  # the smallest skin within so much of the fastest is taken: it needs less memory


@dataclass(frozen=True)
class Measured:
    """One skin and number of threads: seconds per step, steps from build to build (inf: none seen), how many times as fast as
    what it was compared with, in turn."""

    skin: float
    threads: int
    seconds: float
    interval: float
    gain: float


class Trial(Protocol):
    """A run with one skin and number of threads."""

    def span(self, steps: int) -> tuple[float, int]:
        """Take so many steps; returns seconds, and how often the list was built."""
        ...


def search(
    trial: Callable[[float, int], Trial],
    skin: float,
    threads: int,
    *,
    skins: Sequence[float] | None = SKINS,
    fewer_threads: bool = True,
    spans: int = 20,
    steps: int = 10,
    most_seconds: float = 30.0,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Choice, list[Measured]]:
    """The fastest skin, then the fastest number of threads, each against what there was, by turns.

    Parameters
    ----------
    trial : callable
        Makes a run from skin (Angstrom) and threads.
    skin, threads
        What there is: it stays unless something else is faster by 3 % (skin) or 10 % (threads).
    skins : sequence of float or None
        Candidates; None: the skin stays.
    fewer_threads : bool
        Whether half of the threads, a quarter, ... down to one are tried.
    spans, steps : int
        Each comparison takes so many spans of so many steps, of either run in turn.
    most_seconds : float
        No comparison begins later.

    Returns
    -------
    Choice, list of Measured
        What was chosen; everything that was measured.

    Raises
    ------
    ValueError
        Skins or seconds that are not above zero, no spans or steps.
    """
    skin, threads = checks.not_negative("skin", skin), checks.whole("threads", threads, 1)
    spans, steps = checks.whole("spans", spans, 1), checks.whole("steps", steps, 1)
    end = clock() + checks.positive("most_seconds", most_seconds)
    rows: list[Measured] = []

    def against(
        skin: float, threads: int, candidates: Iterable[tuple[float, int]], end: float
    ) -> list[Measured]:
        """Candidates one after the other, until they get worse, or the list is no longer built at all."""
        found: list[Measured] = []
        for pair in candidates:
            if clock() > end:
                break
            try:
                # Both from the start: what heats up or melts does so in both.
                present, other = trial(skin, threads), trial(*pair)
            except MemoryError:
                break
            now, then = _by_turns((present, other), spans, steps)
            if not found:
                rows.append(Measured(skin, threads, *now, 1.0))
            if pair[0] != skin and math.isinf(now[1]):
                break  # no list is built: a longer one gains nothing, and what a shorter one costs is not seen
            found.append(Measured(*pair, *then, now[0] / then[0]))
            top = max(1.0, *(m.gain for m in found))
            if found[-1].gain < _WORSE * top or math.isinf(then[1]):
                break
        rows.extend(found)
        return found

    def best(
        skin: float, threads: int, candidates: Iterable[tuple[float, int]], least: float
    ) -> Measured | None:
        """The one that is faster by `least`, also when it is measured once more: of several the luckiest looks best."""
        picked = _pick(against(skin, threads, candidates, end), least)
        if picked is None:
            return None
        again = against(skin, threads, [(picked.skin, picked.threads)], math.inf)
        slower = min([picked, *again], key=lambda m: m.gain)
        return slower if again and slower.gain >= least else None

    choice = Choice()
    if skins is not None:
        if checks.is_single(skins):
            raise ValueError(
                f"skins: {checks.shown(skins)}; expected a sequence of numbers, or None"
            )
        skins = [checks.positive(f"skins[{k}]", s) for k, s in enumerate(skins)]
        longer = sorted(s for s in skins if s > skin)
        shorter = sorted((s for s in skins if s < skin), reverse=True)
        for direction in (longer, shorter):
            found = best(skin, threads, ((s, threads) for s in direction), _LEAST_GAIN)
            if found is not None:
                choice = Choice(found.skin, skin_gain=found.gain, from_skin=skin)
                skin = found.skin
            if found is not None or not rows or math.isinf(rows[0].interval):
                break
    if fewer_threads and threads > 1:
        halves = [threads >> k for k in range(1, threads.bit_length())]
        found = best(skin, threads, ((skin, n) for n in halves), _LEAST_GAIN_OF_THREADS)
        if found is not None:
            choice = replace(choice, threads=found.threads, threads_gain=found.gain)
    return choice, rows


def _pick(found: list[Measured], least: float) -> Measured | None:
    """The fastest one, or the smallest of those that are hardly slower."""
    top = max((m.gain for m in found), default=0.0)
    if top < least:
        return None
    return min((m for m in found if m.gain >= _ALIKE * top), key=lambda m: (m.skin, m.threads))


def _by_turns(trials: Sequence[Trial], spans: int, steps: int) -> list[tuple[float, float]]:
    """(seconds per step, steps from build to build) of each."""
    for run in trials:
        run.span(steps)  # memory is touched, threads are awake
    seen: list[list[tuple[float, int]]] = [[] for _ in trials]
    for _ in range(spans):
        for run, of_run in zip(trials, seen, strict=True):
            of_run.append(run.span(steps))
    return [
        (max(_LEAST_SECONDS, _mean(of_run) / steps), _interval(of_run, steps)) for of_run in seen
    ]


def _mean(spans: Sequence[tuple[float, int]]) -> float:
    """Mean seconds of a span, whatever else the machine did meanwhile.

    Spans in which the list was built equally often are alike. Others only ever delay them: what an eighth of a kind reached
    counts as often as the kind came.
    """
    kinds: dict[int, list[float]] = defaultdict(list)
    for seconds, builds in spans:
        kinds[builds].append(seconds)
    return sum(len(x) * sorted(x)[(len(x) - 1) // 8] for x in kinds.values()) / len(spans)


def _interval(spans: Sequence[tuple[float, int]], steps: int) -> float:
    builds = sum(built for _, built in spans)
    return steps * len(spans) / builds if builds else math.inf
