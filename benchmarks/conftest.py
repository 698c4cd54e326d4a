"""Benchmarks: ``pytest benchmarks``, grouped by question, small with ``--quick`` or MDKERN_BENCH_QUICK=1.

Every benchmark first asserts that its result equals the NumPy baseline. All ways to answer one question are timed by turns once,
and that gives the ratios in ``extra_info``; pytest-benchmark's own table times each way on its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import pytest

import mdkern
from mdkern.bench.interleave import Turns, interleave
from mdkern.bench.kernels import KERNELS, Case
from mdkern.bench.peers import neighbor_peers
from mdkern.bench.systems import make



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
    """NumPy, every ISA with one thread, the best one with all, and with `peers` other neighbor lists."""
    most = mdkern.get_num_threads()
    counts = sorted({1, most})
    found = [Way("numpy")]
    for isa in mdkern.info()["isas_supported"]:
        found += [Way(isa, isa, n) for n in (counts if isa == mdkern.get_isa() else [1])]
    if peers:
        for peer in neighbor_peers():
            found += [Way(peer.name, "", n) for n in (counts if peer.threaded else [1])]
    return found


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="small systems and short timings")


def quick() -> bool:
    """Whether to be quick. In the environment, where files that import this one find it too."""
    return os.environ.get("MDKERN_BENCH_QUICK") == "1"


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--quick"):
        os.environ["MDKERN_BENCH_QUICK"] = "1"
    config.addinivalue_line("markers", "kernel(name): the case of mdkern.bench that is timed")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``system`` runs over the systems of the kernel that the test is marked with, ``way`` over all ways."""
    mark = metafunc.definition.get_closest_marker("kernel")
    if mark is None:
        return
    kernel = KERNELS[mark.args[0]]
    metafunc.parametrize("system", kernel.quick if quick() else kernel.systems)
    metafunc.parametrize("way", ways(peers=mark.args[0] == "neighbor_list"), ids=str)


@cache
def case_of(kernel: str, system: str) -> tuple[Case, Any]:
    """The case and the baseline's result."""
    case = KERNELS[kernel].make(make(system))
    return case, case.baseline()


@cache
def turns_of(kernel: str, system: str) -> Turns:
    """All ways by turns."""
    case, _ = case_of(kernel, system)
    all_ways = [
        w
        for w in ways(peers=bool(case.peers))
        if w.isa or w.name == "numpy" or w.name in case.peers
    ]
    isas = {str(w): w.isa for w in all_ways}
    active = mdkern.get_isa()
    try:
        return interleave(
            {str(w): w.call(case) for w in all_ways},
            rounds=5 if quick() else 15,
            budget=1.0 if quick() else 15.0,
            before=lambda name: mdkern.set_isa(isas[name] or active),
        )
    finally:
        mdkern.set_isa(active)


@pytest.fixture(autouse=True)
def _restore_isa() -> Any:
    active = mdkern.get_isa()
    yield
    mdkern.set_isa(active)


@pytest.fixture
def timed(benchmark: Any) -> Callable[[str, str, Way], None]:
    """Assert equality with the baseline, then time one way."""

    def run(kernel: str, system: str, way: Way) -> None:
        case, expected = case_of(kernel, system)
        if not way.isa and way.name not in ("numpy", *case.peers):
            pytest.skip(f"{way.name} needs more memory than there is")
        if way.isa:
            mdkern.set_isa(way.isa)
        call = way.call(case)
        if way.isa:
            case.agree(call(), expected)
        elif way.name != "numpy":
            case.agree(expected, call())
        benchmark.group = f"{kernel}, {system}"
        if benchmark.disabled:
            benchmark(call)
            return
        seconds, info = record(case, way, turns_of(kernel, system))
        time_it(benchmark, call, seconds)
        benchmark.extra_info.update(info)

    return run


def time_it(benchmark: Any, call: Callable[[], Any], seconds: float) -> None:
    """Rounds of at least 2 ms each, for about 1 s (quick: 0.05 s)."""
    iterations = max(1, round(2e-3 / seconds))
    rounds = int((0.05 if quick() else 1.0) / (iterations * seconds))
    benchmark.pedantic(
        call, rounds=min(max(rounds, 3), 50), iterations=iterations, warmup_rounds=1
    )


def record(case: Case, way: Way, turns: Turns) -> tuple[float, dict[str, Any]]:
    """Seconds of one call, and what belongs to the number."""
    seconds = turns.median(str(way))
    best = str(Way(mdkern.get_isa(), mdkern.get_isa(), way.threads))
    info = {
        "n_atoms": len(case.system.atoms),
        "n_pairs": case.n_pairs,
        "cutoff": case.system.cutoff,
        "ns_per_pair": 1e9 * seconds / max(1, case.n_pairs),
        "precision": case.precision,
        "over_numpy": ratio_info(turns, "numpy-1", str(way)),
    }
    if not way.isa and best in turns.seconds:
        info["mdkern_over_this"] = ratio_info(turns, str(way), best)
    return seconds, {**info, **machine(way)}


def ratio_info(turns: Turns, slow: str, fast: str) -> dict[str, float]:
    r = turns.ratio(slow, fast)
    return {"median": r.median, "low": r.low, "high": r.high, "rounds": r.rounds}


def machine(way: Way) -> dict[str, Any]:
    """ISA, threads, wait policy, compiler; pytest-benchmark records the rest."""
    return {
        "isa": way.isa or "as shipped",
        "threads": way.threads,
        "wait_policy": os.environ.get("OMP_WAIT_POLICY", "default"),
        "compiler": mdkern.info()["compiler"],
        "version": mdkern.__version__,
        "peers": {peer.name: peer.version for peer in neighbor_peers()},
    }
