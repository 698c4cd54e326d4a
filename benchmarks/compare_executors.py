"""Many frames by turns: `mdkern.evaluate` with threads, by pools of threads and processes, and by Dask on this machine.

    OMP_WAIT_POLICY=passive python benchmarks/compare_executors.py             (3 minutes)
    OMP_WAIT_POLICY=passive python benchmarks/compare_executors.py --quick     (half a minute)

Rattled crystals and water of 64 to 200 atoms with a NEP: the public one of 16 metals where $MDKERN_TEST_DATA has it, else random numbers in
its place. Every way has as many threads, or workers with one thread, and its results are those of `mdkern.evaluate` to the last bit. Workers
run before the clock does, as they serve many calls. Needs ``pip install 'mdkern[dask]'`` for Dask, which is left out without.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk

import mdkern
from mdkern.bench import environment
from mdkern.bench.interleave import Turns
from mdkern.bench.nep_models import PUBLIC_SIZES, random_nep
from mdkern.calculators import NEP
from mdkern.cli.scheduler import local_cluster

METALS = ("Ag", "Al", "Au", "Cr", "Cu", "Mg", "Mo", "Ni", "Pb", "Pd", "Pt", "Ta", "Ti", "V", "W", "Zr")  # fmt: skip
EDGES = ((4, 4, 4), (4, 4, 6), (4, 5, 5), (5, 5, 5), (5, 5, 6), (5, 5, 8))  # 64 to 200 atoms


def frames(n: int) -> list[Atoms]:
    """Random alloys, as a training set has them."""
    rng = np.random.default_rng(1)
    out = []
    for k in range(n):
        atoms = bulk("Cu", a=rng.uniform(3.7, 4.1)) * EDGES[k % len(EDGES)]
        atoms.symbols = rng.choice(METALS, len(atoms))
        atoms.rattle(0.1, rng=rng)
        out.append(atoms)
    return out


def model(folder: str) -> NEP:
    public = Path(os.environ.get("MDKERN_TEST_DATA", "")) / "nep/models/UNEP-v1_2024_NEP4_ZBL.txt"
    if public.exists():
        return NEP(public)
    path = Path(folder) / "nep.txt"
    random_nep(path, **{**PUBLIC_SIZES["Si_2022_5body"], "species": list(METALS)})
    return NEP(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--frames", type=int, default=4000)
    add("--workers", type=int, default=2)
    add("--rounds", type=int, default=7)
    add("--quick", action="store_true", help="1000 frames, 3 rounds")
    add("-o", "--output", metavar="FILE", help="JSON")
    args = parser.parse_args()
    n, rounds = (1000, 3) if args.quick else (args.frames, args.rounds)
    around = environment(args.workers)
    given = frames(n)
    atoms = sum(map(len, given))
    print(
        f"{around['cpu']}, {around['isa']}, mdkern {mdkern.__version__}, {os.cpu_count()} CPUs,"
        f" load average {around['load_average']:.2f}"
    )
    print(f"{n:,} frames, {atoms:,} atoms, {args.workers} threads or workers, {rounds} rounds\n")
    with TemporaryDirectory() as folder, ExitStack() as stack:
        calls = ways(model(folder), given, args.workers, stack)
        turns = by_turns(calls, rounds)
    print("| way | s | us/atom | throughput beside `mdkern.evaluate` |\n|---|---|---|---|")
    for name in calls:
        seconds = turns.median(name)
        beside = turns.ratio("threads of mdkern.evaluate", name)
        print(f"| {name} | {seconds:.2f} | {1e6 * seconds / atoms:.2f} | {beside} |")
    if args.output:
        results = {name: seconds.tolist() for name, seconds in turns.seconds.items()}
        text = json.dumps({"environment": around, "atoms": atoms, "seconds": results}, indent=2)
        Path(args.output).write_text(text + "\n", encoding="utf-8")
    return 0


def ways(
    calc: NEP, given: list[Atoms], workers: int, stack: ExitStack
) -> dict[str, Callable[[], Any]]:
    calls: dict[str, Callable[[], Any]] = {
        "threads of mdkern.evaluate": lambda: mdkern.evaluate(given, calc, threads=workers)
    }
    spawn = multiprocessing.get_context("spawn")
    executors: dict[str, Any] = {
        "ThreadPoolExecutor": stack.enter_context(ThreadPoolExecutor(workers)),
        "ProcessPoolExecutor": stack.enter_context(ProcessPoolExecutor(workers, mp_context=spawn)),
    }
    try:
        from distributed import Client
    except ImportError:
        print("Dask is not installed, and left out", file=sys.stderr)
    else:
        cluster = stack.enter_context(local_cluster(workers))
        executors["Dask, as --scheduler local"] = stack.enter_context(Client(cluster))
    for name, executor in executors.items():
        calls[name] = lambda executor=executor: mdkern.evaluate(given, calc, executor=executor)
    return calls


def by_turns(calls: dict[str, Callable[[], Any]], rounds: int) -> Turns:
    """The first call of each, which is not timed, gives what is compared."""
    wanted: list[Any] | None = None
    for name, call in calls.items():
        found = call()
        wanted = wanted or found
        for a, b in zip(wanted, found, strict=True):
            if a["energy"] != b["energy"] or a["forces"].tobytes() != b["forces"].tobytes():
                sys.exit(f"{name}: other results than mdkern.evaluate")
    seconds: dict[str, Any] = {name: np.empty(rounds) for name in calls}
    for r in range(rounds):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            seconds[name][r] = time.perf_counter() - begin
    return Turns(seconds)


if __name__ == "__main__":
    raise SystemExit(main())
