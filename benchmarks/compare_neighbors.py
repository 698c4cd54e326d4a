"""Neighbor lists of mdkern and of other packages by turns, as Markdown tables of ratios.

    OMP_NUM_THREADS=1 python benchmarks/compare_neighbors.py            (15 minutes)
    OMP_NUM_THREADS=1 python benchmarks/compare_neighbors.py --quick    (1 minute)

Everyone makes i, j, d, D and S (pymatgen: no D; "vesin unsorted": in no order), in new arrays. The
pairs are compared first.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import mdkern
from mdkern import _core
from mdkern.bench import environment
from mdkern.bench.cases.neighbors import same_pairs
from mdkern.bench.interleave import interleave
from mdkern.bench.peers import NeighborPeer, neighbor_peers
from mdkern.bench.systems import SYSTEMS, System, make

_LISTED = [name for name in SYSTEMS if not name.startswith("argon")]
_QUICK = ["copper-4000", "water-3000", "slab-4000", "gas-5000", "molecule-20", "vast-9", "cell-1"]


def main() -> int:
    args = _arguments()
    _limit_memory()
    around = environment(args.threads)
    peers = neighbor_peers()
    print(f"{around['cpu']}, {around['isa']}, mdkern {mdkern.__version__}, {args.threads} threads")
    print(", ".join(f"{peer.name} {peer.version}" for peer in peers))
    print(f"wait policy {around['wait_policy']}, load average {around['load_average']:.2f}\n")
    header = ["system", "pairs", "mdkern, us", "ns/pair", *(peer.name for peer in peers)]
    for line in (header, ["---"] * len(header)):
        print("| " + " | ".join(line) + " |")
    results = [_compare(make(name), peers, args) for name in args.systems]
    print("\nTimes longer than mdkern, median and 95 % interval; -: not enough memory.")
    if args.output:
        text = json.dumps({"environment": around, "results": results}, indent=2)
        Path(args.output).write_text(text + "\n", encoding="utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--systems", nargs="+", choices=list(SYSTEMS), metavar="NAME", help=", ".join(SYSTEMS))
    add("--rounds", type=int, default=15, help="in which all take turns (default 15)")
    add("--budget", type=float, default=60.0, help="seconds per system; at least 3 rounds")
    add("--threads", type=int, default=1, help="of mdkern, and of vesin")
    add("--quick", action="store_true", help="a few systems, 2 s each")
    add("-o", "--output", metavar="FILE", help="JSON")
    args = parser.parse_args()
    if args.quick:
        args.budget, args.rounds = 2.0, 5
    args.systems = args.systems or (_QUICK if args.quick else _LISTED)
    return args


def _limit_memory() -> None:
    """Half of what is available: ASE's bins of a droplet in a vast box would take all of it."""
    try:
        import resource
    except ImportError:  # not Unix
        return
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = used + int(0.5 * _core.available_memory())
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _compare(
    system: System, peers: tuple[NeighborPeer, ...], args: argparse.Namespace
) -> dict[str, Any]:
    def ours() -> Any:
        return mdkern.neighbor_list("ijdDS", system.atoms, system.cutoff, threads=args.threads)

    expected = ours()
    n_pairs = len(expected[0])
    calls: dict[str, Callable[[], object]] = {"mdkern": ours}
    failures = {}
    for peer in peers:
        if n_pairs * peer.bytes_per_pair > 0.5 * _core.available_memory():
            failures[peer.name] = "-"
            continue
        call = partial(peer.caller(system), args.threads)
        try:
            _check(expected, call())
        except MemoryError:
            failures[peer.name] = "-"
            continue
        except Exception as error:  # noqa: BLE001 a peer that cannot do a system is a result too
            failures[peer.name] = f"fails: {type(error).__name__}"
            print(f"{system.name}: {peer.name}: {error}", file=sys.stderr)
            continue
        calls[peer.name] = call
    del expected
    turns = interleave(calls, rounds=args.rounds, budget=args.budget)
    seconds = turns.median("mdkern")
    ratios = {name: turns.ratio(name, "mdkern") for name in calls if name != "mdkern"}
    cells = [str(ratios.get(peer.name, failures.get(peer.name, ""))) for peer in peers]
    per_pair = f"{1e9 * seconds / n_pairs:.2f}" if n_pairs else "-"
    print(f"| {system.name} | {n_pairs} | {1e6 * seconds:.4g} | {per_pair} | {' | '.join(cells)} |")
    sys.stdout.flush()
    return {
        "system": system.name,
        "n_pairs": n_pairs,
        "seconds": {name: turns.median(name) for name in calls},
        "times_longer": {k: [r.median, r.low, r.high, r.rounds] for k, r in ratios.items()},
        "failures": failures,
    }


def _check(ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> None:
    """The same pairs; of very long lists, which take minutes to sort, the same sums per atom."""
    if len(ours[0]) <= 3_000_000:
        same_pairs(ours, theirs)
        return
    n = int(ours[0].max()) + 1
    for k in (0, 1):
        assert np.array_equal(
            np.bincount(ours[k], minlength=n), np.bincount(theirs[k], minlength=n)
        )
    a, b = (np.bincount(x[0], weights=x[2], minlength=n) for x in (ours, theirs))
    assert np.abs(a - b).max() <= 1e-8, "different distances"
    assert np.array_equal(ours[4].sum(axis=0), theirs[4].sum(axis=0)), "different shifts"


if __name__ == "__main__":
    sys.exit(main())
