"""ACE and GRACE/FS of mdkern and of python-ace (pyace), by turns: energy, forces and stress through ASE, one thread.

    python benchmarks/compare_ace.py                       (half a minute; where pyace is installed, with it)
    python benchmarks/compare_ace.py --model my.yace --structure frame.xyz

Models are random ones of the sizes of Cu-PBE and of gracemaker's FS preset "medium". Energies and forces are compared before anything
is timed. Both evaluators of pyace for .yace are timed; its recursive one may give other energies where functions share
products (python-ace 0.4), so it is not compared.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.io import read
from turns import deviations, evaluation, take_turns

import mdkern
from mdkern.bench import environment
from mdkern.bench.ace_models import random_grace, random_yace
from mdkern.bench.cases.ace import COUNTS
from mdkern.bench.limits import Limits, measure
from mdkern.calculators import ACE

NEIGHBORS = {"ace": 140, "ace_grace": 134}  # of the crystals below, within the cutoff


def crystal(elements: tuple[str, ...], n: int) -> Atoms:
    atoms = bulk("Cu", "fcc", a=3.61, cubic=True) * max(1, round((n / 4) ** (1 / 3)))
    atoms.symbols = np.random.default_rng(1).choice(elements, len(atoms))
    atoms.rattle(0.05, seed=1)
    return atoms


def pyace_version() -> str | None:
    try:
        return version("python-ace")
    except PackageNotFoundError:
        return None


def pyace_ways(path: str) -> dict[str, Any]:
    """Calculators of pyace for a file: its product evaluator first."""
    from pyace import PyACECalculator
    from pyace.asecalc import PyGRACEFSCalculator

    if path.endswith(".yaml"):
        return {"pyace": PyGRACEFSCalculator(path)}
    return {
        "pyace product": PyACECalculator(path),
        "pyace recursive": PyACECalculator(path, recursive_evaluator=True, recursive=True),
    }


def compare(kernel: str, atoms: Atoms, path: str, limits: Limits, rounds: int) -> dict[str, Any]:
    ways: dict[str, Any] = {"mdkern": ACE(path, threads=1)}
    if pyace_version() is not None:
        ways |= pyace_ways(path)
    for way, (energy, forces) in deviations(atoms, ways).items():
        print(f"{way}: energy {energy:.1e} eV per atom, forces {forces:.1e} of the largest")
        if "recursive" not in way:
            assert energy <= 1e-9, (way, energy)
            assert forces <= 1e-8, (way, forces)
    turns = take_turns(
        {way: evaluation(atoms, calc, time.process_time) for way, calc in ways.items()}, rounds
    )
    for way in ways:
        share = ""
        if kernel in COUNTS and way == "mdkern":
            floor = COUNTS[kernel].flops * NEIGHBORS[kernel] / limits.flops(mdkern.get_isa(), "double", 1)  # fmt: skip
            share = f"{turns.median(way) / len(atoms) / floor:.2f}"
        print(
            f"| {kernel} | {len(atoms)} | {way} | {1e6 * turns.median(way) / len(atoms):.1f} | {turns.ratio(way, 'mdkern')} | {share} |",
            flush=True,
        )
    return {
        "model": kernel,
        "atoms": len(atoms),
        "seconds": {k: v.tolist() for k, v in turns.seconds.items()},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--model", metavar="FILE", help="a file in place of the random ones")
    add("--structure", metavar="FILE", help="for the file's model; by default fcc of its elements")
    add("--atoms", type=int, default=256)
    add("--rounds", type=int, default=7)
    add("-o", "--output", metavar="FILE", help="JSON")
    args = parser.parse_args()
    around = environment(1)
    print(
        f"{around['cpu']}, {around['isa']}, mdkern {mdkern.__version__}, python-ace {pyace_version() or 'not installed'}, {os.cpu_count()} CPUs\n"
    )
    limits = measure(1, quick=True)
    folder = Path(mkdtemp())
    if args.model:
        models = {args.model: args.model}
    else:
        models = {
            "ace": random_yace(folder / "ace.yace"),
            "ace_grace": random_grace(folder / "ace.yaml"),
        }
    print(
        "| model | atoms | way | us per atom | times mdkern | times the floor |\n"
        + "|---" * 6
        + "|"
    )
    rows = []
    for kernel, path in models.items():
        atoms = (
            read(args.structure)
            if args.structure
            else crystal(ACE(path).potential.species, args.atoms)
        )
        rows.append(compare(kernel, atoms, path, limits, args.rounds))
    if args.output:
        text = json.dumps({"environment": around, "results": rows}, indent=2)
        Path(args.output).write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
