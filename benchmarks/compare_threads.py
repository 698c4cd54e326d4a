"""Threads in whole loops, by turns: one, two and more, and the default, native and by ASE's loop.

    python benchmarks/compare_threads.py                     (5 minutes)
    python benchmarks/compare_threads.py --busy 1            beside a process that keeps one CPU busy
    python benchmarks/compare_threads.py --loops command     the command `mdkern md`, in processes of its own

The last column is what a user without an opinion gets: the speed with default threads beside the best number of them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from ase import units
from ase.build import bulk
from ase.md.verlet import VelocityVerlet as AseVerlet

import mdkern
from mdkern.bench import environment
from mdkern.bench.interleave import Turns, ratio
from mdkern.bench.nep_models import PUBLIC_SIZES, random_nep
from mdkern.calculators import EAM, NEP, LennardJones
from mdkern.md import VelocityVerlet

SECONDS = 0.25  # that a sample lasts, about


class Model:
    """A potential, its crystal, and how the command names it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.skin = 0.3
        if name == "lj":
            self.crystal = bulk("Ar", cubic=True, a=5.4)
            self.words = "lj:epsilon=0.0103,sigma=3.4,rc=8.5"
            self.skin = 1.0
            self.step, self.kelvin = 4.0, 80.0
            self.make: Callable[..., Any] = partial(LennardJones, epsilon=0.0103, sigma=3.4, rc=8.5)
        elif name == "eam":
            self.crystal = bulk("Cu", cubic=True)
            self.words = "zhou2004"
            self.skin = 0.6
            self.step, self.kelvin = 2.0, 600.0
            self.make = partial(EAM.zhou2004, ["Cu"])
        else:
            path = str(folder / "nep.txt")
            random_nep(path, **PUBLIC_SIZES["Si_2022_5body"])
            self.crystal = bulk("Si", cubic=True)
            self.words = path
            self.step, self.kelvin = 0.05, 1.0
            self.make = partial(NEP, path)

    def atoms(self, n: int) -> Any:
        edge = round((n / len(self.crystal)) ** (1 / 3))
        atoms = self.crystal * (edge, edge, max(1, round(n / len(self.crystal) / edge**2)))
        spread = np.sqrt(self.kelvin * units.kB * atoms.get_masses())[:, None]
        atoms.set_momenta(np.random.default_rng(1).normal(size=(len(atoms), 3)) * spread)
        return atoms

    def loop(self, n: int, threads: int | None, ase: bool) -> Callable[[int], float]:
        """Runs that many steps; returns seconds per step."""
        atoms = self.atoms(n)
        atoms.calc = self.make(threads=threads, skin=self.skin)
        dynamics = (AseVerlet if ase else VelocityVerlet)(atoms, self.step * units.fs)
        dynamics.run(2)

        def steps(k: int) -> float:
            begin = time.perf_counter()
            dynamics.run(k)
            return (time.perf_counter() - begin) / k

        return steps

    def command(self, n: int, threads: int | None, folder: Path) -> Callable[[int], float]:
        """The same by `mdkern md`, which says itself how many steps a second its loop made."""
        path = folder / f"{self.name}-{n}.extxyz"
        self.atoms(n).write(path)
        words = ["md", str(path), "--potential", self.words, "--skin", str(self.skin)]
        words += ["--timestep", str(self.step), "--json"]
        words += ["--threads", str(threads)] if threads else []

        def steps(k: int) -> float:
            text = subprocess.run(
                [sys.executable, "-m", "mdkern", *words, "--steps", str(k)],
                capture_output=True, text=True, check=True,
            ).stdout  # fmt: skip
            return 1.0 / float(json.loads(text)["steps_per_s"])

        return steps


def busy(number: int) -> list[subprocess.Popen[bytes]]:
    return [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]


def compare(calls: dict[str, Callable[[int], float]], rounds: int) -> Turns:
    """All in turn, samples of equal length in steps."""
    steps = {}
    for name, call in calls.items():
        call(3)
        steps[name] = max(3, int(SECONDS / call(5)))
    k = min(steps.values())
    seconds: dict[str, Any] = {name: np.empty(rounds) for name in calls}
    for r in range(rounds):
        for name, call in calls.items():
            seconds[name][r] = call(k)
    return Turns(seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--models", nargs="+", choices=["lj", "eam", "nep"], default=["lj", "eam", "nep"])
    add("--atoms", nargs="+", type=int, default=[108, 256, 864, 4000, 32000])
    add("--loops", nargs="+", choices=["native", "ase", "command"], default=["native", "ase"])
    add("--threads", nargs="+", type=int, default=[1, 2])
    add("--rounds", type=int, default=9)
    add("--busy", type=int, default=0, metavar="N", help="processes that compute beside it")
    add("-o", "--output", metavar="FILE", help="JSON")
    args = parser.parse_args()
    folder = Path(mkdtemp())
    around = environment(max(args.threads))
    print(
        f"{around['cpu']}, {around['isa']}, mdkern {mdkern.__version__}, {os.cpu_count()} CPUs, {args.busy} busy\n"
    )
    heads = [f"{n} threads" for n in args.threads[1:]]
    print(
        "| model | loop | atoms | us/step, 1 thread | "
        + " | ".join(heads)
        + " | default | default / best |"
    )
    print("|---" * (6 + len(heads)) + "|")
    others, rows = busy(args.busy), []
    try:
        for name in args.models:
            model = Model(folder, name)
            for loop in args.loops:
                for n in args.atoms:
                    rows.append(_row(model, loop, n, args, folder))
    finally:
        for p in others:
            p.kill()
    if args.output:
        text = json.dumps({"environment": around, "busy": args.busy, "results": rows}, indent=2)
        Path(args.output).write_text(text + "\n", encoding="utf-8")
    return 0


def _row(model: Model, loop: str, n: int, args: Any, folder: Path) -> dict[str, Any]:
    ways: dict[str, int | None] = {str(k): k for k in args.threads} | {"default": None}
    if loop == "command":
        calls = {name: model.command(n, k, folder) for name, k in ways.items()}
    else:
        calls = {name: model.loop(n, k, loop == "ase") for name, k in ways.items()}
    turns = compare(calls, args.rounds)
    first = str(args.threads[0])
    best = min((str(k) for k in args.threads), key=turns.median)
    default = ratio(turns.seconds[best], turns.seconds["default"])
    gains = [str(turns.ratio(first, str(k))) for k in args.threads[1:]]
    print(
        f"| {model.name} | {loop} | {len(model.atoms(n))} | {1e6 * turns.median(first):.1f} | "
        + " | ".join(gains)
        + f" | {turns.ratio(first, 'default')} | {default} |",
        flush=True,
    )
    return {
        "model": model.name,
        "loop": loop,
        "atoms": len(model.atoms(n)),
        "seconds": {k: v.tolist() for k, v in turns.seconds.items()},
    }


if __name__ == "__main__":
    raise SystemExit(main())
