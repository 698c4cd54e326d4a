"""``mdkern bench``: the limits of this machine, and how near the kernels come to them.

Times are medians of rounds in which all implementations take turns; ratios carry a 95 % interval.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from mdkern.bench.interleave import Ratio

if TYPE_CHECKING:
    from mdkern.bench.case import Case
    from mdkern.bench.limits import Limits

__all__ = ["Measurement", "environment", "measure_case"]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One implementation of a kernel on one system.

    Attributes
    ----------
    seconds : float
        Median of one call.
    speedup : Ratio
        Over the NumPy reference.
    share : float or None
        Of the limit that binds: 1 is as fast as the machine allows. None for other packages.
    limit : str
        Name of that limit.
    flops, stream : float
        Operations and walked bytes of one call.
    """

    kernel: str
    system: str
    n_atoms: int
    n_pairs: int
    name: str
    isa: str
    threads: int
    seconds: float
    speedup: Ratio
    share: float | None
    limit: str
    flops: float
    stream: float

    @property
    def ns_per_pair(self) -> float:
        return 1e9 * self.seconds / max(1, self.n_pairs)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "ns_per_pair": self.ns_per_pair}


def measure_case(
    case: Case, limits: Limits, threads: int, *, rounds: int = 15, budget: float = 30.0
) -> list[Measurement]:
    """Time a kernel with every ISA and up to `threads` threads, its baseline and its peers.

    Raises
    ------
    AssertionError
        If one of them disagrees with the NumPy baseline.
    """
    from mdkern import _runtime
    from mdkern.bench.interleave import interleave

    active = _runtime.get_isa()
    ways = {"numpy": ("", 1)}
    calls: dict[str, Callable[[], object]] = {"numpy": case.baseline}
    for isa in _runtime.info()["isas_supported"]:
        for n in _thread_counts(threads) if isa == active else [1]:
            ways[f"{isa} x{n}"] = (isa, n)
            calls[f"{isa} x{n}"] = partial(case.run, n)
    for name, peer in case.peers.items():
        ways[name] = ("", 1)
        calls[name] = partial(peer, 1)

    def before(name: str) -> None:
        _runtime.set_isa(ways[name][0] or active)

    try:
        expected = case.baseline()
        for name, call in calls.items():
            before(name)
            if ways[name][0]:
                case.agree(call(), expected)
            elif name != "numpy":  # a peer, which may return less
                case.agree(expected, call())
        turns = interleave(calls, rounds=rounds, budget=budget, before=before)
    finally:
        _runtime.set_isa(active)
    return [
        _measurement(
            case, limits, name, *ways[name], turns.median(name), turns.ratio("numpy", name)
        )
        for name in calls
    ]


def _thread_counts(threads: int) -> list[int]:
    """1, 2, 4, ... and `threads`."""
    counts = {1, threads}
    n = 2
    while n < threads:
        counts.add(n)
        n *= 2
    return sorted(counts)


def _measurement(
    case: Case, limits: Limits, name: str, isa: str, threads: int, seconds: float, speedup: Ratio
) -> Measurement:
    known = isa and any(row.threads == threads for row in limits.rows)
    floor = case.floor(limits, isa, threads) if known else None
    return Measurement(
        case.kernel,
        case.system.name,
        len(case.system.atoms),
        case.n_pairs,
        name,
        isa,
        threads,
        seconds,
        speedup,
        floor.seconds / seconds if floor else None,
        floor.limit if floor else "",
        case.flops,
        case.stream,
    )


def environment(threads: int) -> dict[str, Any]:
    """What a number depends on: machine, build, threads, versions."""
    import numpy as np

    from mdkern import _runtime
    from mdkern.bench.peers import neighbor_peers

    return {
        **_runtime.info(),
        "threads": threads,
        "wait_policy": os.environ.get("OMP_WAIT_POLICY", "default"),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.release()}",
        "peers": {peer.name: peer.version for peer in neighbor_peers()},
    }
