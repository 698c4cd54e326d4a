"""Who answers a benchmark's question, and what belongs to the numbers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import mdkern
from mdkern.bench.case import Case
from mdkern.bench.interleave import Turns, interleave
from mdkern.bench.kernels import KERNELS
from mdkern.bench.peers import neighbor_peers
from mdkern.bench.systems import make

__all__ = [
    "Way",
    "case_of",
    "machine",
    "quick",
    "ratio_info",
    "record",
    "thread_counts",
    "time_by_turns",
    "time_it",
    "turns_of",
    "ways",
]


def quick() -> bool:
    """Small systems and short timings: ``--quick`` or MDKERN_BENCH_QUICK=1."""
    return os.environ.get("MDKERN_BENCH_QUICK") == "1"


def thread_counts() -> list[int]:
    """One, and all that this process may use."""
    return sorted({1, mdkern.get_num_threads()})


@dataclass(frozen=True)
class Way:
    """Who computes: NumPy ("numpy"), one of our ISAs, or another package."""

    name: str
    isa: str = ""
    threads: int = 1

    def __str__(self) -> str:
        return f"{self.name}-{self.threads}"

    def call(self, case: Case) -> Callable[[], Any]:
        if self.name == "numpy":
            return case.baseline
        return partial(case.run if self.isa else case.peers[self.name], self.threads)


def ways(peers: bool = False) -> list[Way]:
    """NumPy, every ISA with one thread, the active one with all; with `peers` other packages."""
    found = [Way("numpy")]
    for isa in mdkern.info()["isas_supported"]:
        counts = thread_counts() if isa == mdkern.get_isa() else [1]
        found += [Way(isa, isa, n) for n in counts]
    for peer in neighbor_peers() if peers else ():
        found += [Way(peer.name, "", n) for n in (thread_counts() if peer.threaded else [1])]
    return found


@cache
def case_of(kernel: str, system: str) -> tuple[Case, Any]:
    """The case and the baseline's result."""
    case = KERNELS[kernel].make(make(system))
    return case, case.baseline()


@cache
def turns_of(kernel: str, system: str) -> Turns:
    """All ways by turns."""
    case, _ = case_of(kernel, system)
    able = {
        str(way): way
        for way in ways(peers=bool(case.peers))
        if way.isa or way.name in ("numpy", *case.peers)
    }
    active = mdkern.get_isa()
    try:
        return interleave(
            {name: way.call(case) for name, way in able.items()},
            rounds=5 if quick() else 15,
            budget=1.0 if quick() else 15.0,
            before=lambda name: mdkern.set_isa(able[name].isa or active),
        )
    finally:
        mdkern.set_isa(active)


def time_it(benchmark: Any, call: Callable[[], Any], seconds: float) -> None:
    """Rounds of at least 2 ms each, for about 1 s (quick: 0.05 s)."""
    iterations = max(1, round(2e-3 / seconds))
    rounds = int((0.05 if quick() else 1.0) / (iterations * seconds))
    benchmark.pedantic(call, rounds=min(max(rounds, 3), 50), iterations=iterations, warmup_rounds=1)


def time_by_turns(
    benchmark: Any, calls: Mapping[str, Any], by: str, turns: Callable[[], Turns], way: Way
) -> Turns | None:
    """Time ``calls[by]``, of which all have taken turns in `turns`; None where pytest-benchmark is switched off."""
    if benchmark.disabled:
        benchmark(calls[by])
        return None
    found = turns()
    time_it(benchmark, calls[by], found.median(by))
    benchmark.extra_info.update(machine(way))
    return found


def record(case: Case, way: Way, turns: Turns, isa: str) -> dict[str, Any]:
    """What belongs to the number of one way; `isa` is the one that others are compared with."""
    seconds = turns.median(str(way))
    ours = str(Way(isa, isa, way.threads))
    info = {
        "n_atoms": len(case.system.atoms),
        "n_pairs": case.n_pairs,
        "cutoff": case.system.cutoff,
        "ns_per_pair": 1e9 * seconds / max(1, case.n_pairs),
        "precision": case.precision,
        "over_numpy": ratio_info(turns, "numpy-1", str(way)),
        **machine(way),
    }
    if not way.isa:
        info["mdkern_over_this"] = ratio_info(turns, str(way), ours)
    return info


def ratio_info(turns: Turns, slow: str, fast: str) -> dict[str, float]:
    """A ratio with its interval, for extra_info."""
    r = turns.ratio(slow, fast)
    return {"median": r.median, "low": r.low, "high": r.high, "rounds": r.rounds}


def machine(way: Way) -> dict[str, Any]:
    """ISA, threads, wait policy, compiler, versions; pytest-benchmark adds CPU and commit."""
    return {
        "isa": way.isa or "as shipped",
        "threads": way.threads,
        "wait_policy": os.environ.get("OMP_WAIT_POLICY", "default"),
        "compiler": mdkern.info()["compiler"],
        "version": mdkern.__version__,
        "peers": {peer.name: peer.version for peer in neighbor_peers()},
    }
