"""``mdkern bench --score``: two numbers for a machine, in the spirit of HPL and HPCG.

The share of the multiply-add peak that the kernels of `cases` reach which compute, and the share of the memory bandwidth that
those reach which walk through memory. Both limits are measured in the same run, so that the shares are of this machine as
it was. docs/score.md has the definitions.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from functools import partial
from typing import Any

from mdkern import _core
from mdkern.bench import environment
from mdkern.bench.interleave import interleave
from mdkern.bench.limits import Limits, measure_two
from mdkern.bench.score.cases import CASES, VERSION, ScoreCase, Size
from mdkern.bench.score.marks import Observed, cpu_ticks, marks, spread, stolen

__all__ = ["SCHEMA", "Row", "document", "geometric_mean", "measure"]

SCHEMA = 1  # of the JSON document; VERSION is that of the suite
_WHEN = ("before", "middle", "after")
_UNITS = {"compute": "FLOP/s", "memory": "B/s"}


@dataclass(frozen=True, slots=True)
class _Plan:
    """What --quick makes smaller."""

    array: int  # bytes of each of the three arrays of the bandwidth
    repeats: int
    rounds: int
    budget: float  # seconds for the rounds of a case
    memory: float  # bytes that must be available


_FULL = _Plan(256 << 20, 5, 15, 4.0, 3e9)
_QUICK = _Plan(32 << 20, 3, 3, 0.3, 5e8)


@dataclass(frozen=True, slots=True)
class Row:
    """A case with a number of threads.

    Attributes
    ----------
    work : int
        Operations or bytes of one call.
    seconds : float
        Of the fastest of several calls, as the limits are the best of several.
    rate : float
        work / seconds; FLOP/s or B/s.
    share : float
        Of the peak or bandwidth of as many threads.
    """

    name: str
    bound: str
    system: str
    threads: int
    work: int
    seconds: float
    rate: float
    share: float


def geometric_mean(shares: Sequence[float]) -> float:
    """exp of the mean logarithm: a kernel that becomes faster by a factor changes it by the same, whichever it is."""
    return math.exp(math.fsum(math.log(x) for x in shares) / len(shares))


def measure(
    threads: int, *, quick: bool = False, progress: Callable[[int, str], None] | None = None
) -> dict[str, Any]:
    """Run the suite with one thread and with `threads`.

    Parameters
    ----------
    threads : int
    quick : bool
        Smaller systems, some seconds; marked as not comparable.
    progress : function of the number of steps done, of ``len(CASES) + 3``, and a text

    Returns
    -------
    dict
        The JSON document of docs/score.md.

    Raises
    ------
    AssertionError
        A case computes other numbers than those stored: it has no time, and the machine no score.
    MemoryError
        Less memory is available than the suite takes.
    """
    plan = _QUICK if quick else _FULL
    available = _core.available_memory()
    if available < plan.memory:
        msg = f"the score takes {plan.memory / 1e9:.1f} GB of memory; available are {available / 1e9:.1f} GB"
        raise MemoryError(msg)
    counts = sorted({1, threads})
    report = progress or (lambda _done, _text: None)
    around = environment(threads)
    began, ticks = time.perf_counter(), cpu_ticks()
    watch = _Watch()
    limits: list[Limits] = []
    timed: list[tuple[ScoreCase, Size, dict[int, float]]] = []

    def read_limits() -> None:
        report(len(limits) + len(timed), f"limits, {_WHEN[len(limits)]}")
        # Two threads as well: their ratio to one tells whether they have cores of their own.
        those = sorted({*counts, *([2] if threads > 1 else [])})
        limits.append(measure_two(those, plan.array, plan.repeats))

    read_limits()
    for bound in _UNITS:
        for case in CASES:
            if case.bound == bound:
                report(len(limits) + len(timed), case.name)
                size = case.quick if quick else case.full
                timed.append((case, size, _time(case, size, counts, plan, watch)))
        read_limits()
    steal = stolen(ticks, cpu_ticks())
    readings = {name: _readings(limits, name) for name in ("peak", "bandwidth")}
    seen = Observed(
        readings["peak"],
        readings["bandwidth"],
        watch.cpu / watch.elapsed,
        steal,
        threads,
        int(around["available_cpus"]),
        quick,
        around["isa"],
        around["isas_supported"][-1],
    )
    return document(seen, timed, around, limits[0].caches, time.perf_counter() - began)


class _Watch:
    """Calls of one thread: how long they took, and how much of that they had a CPU."""

    def __init__(self) -> None:
        self.cpu = self.elapsed = 0.0

    def call(self, function: Callable[[], object]) -> None:
        cpu, start = time.thread_time(), time.perf_counter()
        function()
        self.cpu += time.thread_time() - cpu
        self.elapsed += time.perf_counter() - start


def _time(
    case: ScoreCase, size: Size, counts: Sequence[int], plan: _Plan, watch: _Watch
) -> dict[int, float]:
    """Seconds of the fastest call, by the number of threads; every number of threads is checked first."""
    run, values = case.make(size.system)
    for n in counts:
        case.check(values(run(n)), size)
    calls = {
        str(n): partial(watch.call, partial(run, n)) if n == 1 else partial(run, n) for n in counts
    }
    turns = interleave(calls, rounds=plan.rounds, budget=plan.budget)
    return {n: float(turns.seconds[str(n)].min()) for n in counts}


def _readings(limits: Sequence[Limits], name: str) -> dict[int, list[float]]:
    """FLOP/s of the fastest instruction set, or B/s of triad or reading, whichever is faster; by the number of threads."""
    names = ("fma double",) if name == "peak" else ("triad", "read")
    threads = sorted({row.threads for row in limits[0].rows})
    return {
        n: [
            max(row.value for row in found.rows if row.name in names and row.threads == n)
            for found in limits
        ]
        for n in threads
    }


def document(
    seen: Observed,
    timed: Sequence[tuple[ScoreCase, Size, dict[int, float]]],
    around: dict[str, Any],
    caches: dict[str, int],
    seconds: float,
) -> dict[str, Any]:
    """The JSON document: rows, shares, scores and marks from what was measured.

    Parameters
    ----------
    seen : Observed
    timed : sequence of (ScoreCase, Size, dict)
        Seconds of a call by the number of threads.
    around : dict
        `mdkern.bench.environment`.
    caches : dict
        Bytes by level.
    seconds : float
        The whole run took.
    """
    limit = {"compute": seen.peak, "memory": seen.bandwidth}
    rows = []
    for case, size, times in timed:
        for n, took in times.items():
            work = size.work * (n if case.each else 1)
            share = work / took / max(limit[case.bound][n])
            rows.append(Row(case.name, case.bound, size.system, n, work, took, work / took, share))
    scores = [
        {
            "threads": n,
            "peak": max(seen.peak[n]),
            "bandwidth": max(seen.bandwidth[n]),
            **{
                bound: geometric_mean(
                    [row.share for row in rows if row.bound == bound and row.threads == n]
                )
                for bound in _UNITS
            },
        }
        for n in sorted({row.threads for row in rows})
    ]
    against = marks(seen)
    software = ("version", "compiler", "openmp", "wait_policy", "python", "numpy")
    return {
        "schema": SCHEMA,
        "score": VERSION,
        "comparable": not against,
        "marks": [asdict(mark) for mark in against],
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "machine": {
            "cpu": around["cpu"],
            "cpus": around["available_cpus"],
            "isa": around["isa"],
            "isas_supported": around["isas_supported"],
            "system": around["system"],
            "caches": caches,
        },
        "software": {name: around[name] for name in software},
        "scores": scores,
        "cases": [asdict(row) | {"unit": _UNITS[row.bound]} for row in rows],
        "steadiness": {
            "peak": {str(n): list(x) for n, x in seen.peak.items()},
            "bandwidth": {str(n): list(x) for n, x in seen.bandwidth.items()},
            "spread": max(spread(x) for one in limit.values() for x in one.values()),
            "two_threads": seen.two_threads,
            "cpu_share": seen.cpu_share,
            "steal": seen.steal,
            "load_average": around["load_average"],
        },
        "seconds": seconds,
    }
