"""``pytest benchmarks``: grouped by question, small with ``--quick`` or MDKERN_BENCH_QUICK=1.

Every benchmark first asserts that its result equals the NumPy baseline. All ways to answer one
question are timed by turns once, and that gives the ratios in ``extra_info``; pytest-benchmark's
own table times each way on its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ways import Way, case_of, quick, record, time_it, turns_of, ways

import mdkern
from mdkern.bench.kernels import KERNELS


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="small systems and short timings")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--quick"):
        os.environ["MDKERN_BENCH_QUICK"] = "1"
    config.addinivalue_line("markers", "kernel(name): the case of mdkern.bench that is timed")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``system`` runs over the systems of the marked kernel, ``way`` over all ways."""
    mark = metafunc.definition.get_closest_marker("kernel")
    if mark is None:
        return
    kernel = KERNELS[mark.args[0]]
    metafunc.parametrize("system", kernel.quick if quick() else kernel.systems)
    metafunc.parametrize("way", ways(peers=mark.args[0] == "neighbor_list"), ids=str)


@pytest.fixture(autouse=True)
def best_isa() -> Iterator[str]:
    """The ISA at the start of the test; restored afterwards."""
    active = mdkern.get_isa()
    yield active
    mdkern.set_isa(active)


@pytest.fixture
def timed(benchmark: Any, best_isa: str) -> Callable[[str, str, Way], None]:
    """Assert equality with the baseline, then time one way."""

    def run(kernel: str, system: str, way: Way) -> None:
        case, expected = case_of(kernel, system)
        if not way.isa and way.name not in ("numpy", *case.peers):
            pytest.skip(f"{way.name} needs more memory than there is")
        mdkern.set_isa(way.isa or best_isa)
        call = way.call(case)
        if way.isa:
            case.agree(call(), expected)
        elif way.name != "numpy":  # a peer, which may return less
            case.agree(expected, call())
        benchmark.group = f"{kernel}, {system}"
        if benchmark.disabled:
            benchmark(call)
            return
        turns = turns_of(kernel, system)
        time_it(benchmark, call, turns.median(str(way)))
        benchmark.extra_info.update(record(case, way, turns, best_isa))

    return run
