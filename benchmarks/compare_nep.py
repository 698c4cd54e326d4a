"""NEP beside calorine: energy, forces and stress of one frame through ASE by turns, and whole loops of dynamics.

    pip install calorine   # optional: without it mdkern is timed alone
    python benchmarks/compare_nep.py
    python benchmarks/compare_nep.py --model nep89_20250409.txt

Without --model a file of NEP89's shape is made: 89 elements, cutoffs 6 and 5 Angstrom, 4 functions of 9 terms each, 4- and
5-body terms, 80 neurons, ZBL. Its parameters are random but for a Morse potential that keeps atoms apart
(`mdkern.bench.nep_models.morse_nep`); what is computed for an atom is the same.
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
from ase import Atoms, units
from ase.build import bulk
from ase.io import read
from turns import deviations, evaluation, take_turns

import mdkern
from mdkern.bench import environment
from mdkern.bench.nep_models import morse_nep
from mdkern.bench.relaxations import ELEMENTS
from mdkern.calculators import NEP
from mdkern.md import VelocityVerlet


def systems() -> dict[str, Atoms]:
    """Crystals of about a thousand atoms, somewhat out of order."""
    found = {
        "copper": bulk("Cu", cubic=True) * 6,
        "silicon": bulk("Si", cubic=True) * 5,
        "rock salt": bulk("NaCl", "rocksalt", a=5.64, cubic=True) * 5,
        "perovskite": Atoms(
            "SrTiO3",
            scaled_positions=[
                [0, 0, 0],
                [0.5, 0.5, 0.5],
                [0.5, 0.5, 0],
                [0.5, 0, 0.5],
                [0, 0.5, 0.5],
            ],
            cell=[3.905] * 3,
            pbc=True,
        )
        * 6,
    }
    for atoms in found.values():
        atoms.rattle(0.05, seed=1)
    return found


def calorine_version() -> str | None:
    try:
        return version("calorine")
    except PackageNotFoundError:
        return None


def dynamics(atoms: Atoms, calc: Any, steps: int) -> float:
    """Seconds of a step of velocity Verlet, 1 fs, from 300 K."""
    atoms = atoms.copy()
    atoms.calc = calc
    atoms.set_momenta(
        np.random.default_rng(1).normal(size=(len(atoms), 3))
        * np.sqrt(units.kB * 300 * atoms.get_masses())[:, None]
    )
    run = VelocityVerlet(atoms, timestep=1 * units.fs)
    run.run(5)
    begin = time.perf_counter()
    run.run(steps)
    return (time.perf_counter() - begin) / steps


def compare(name: str, atoms: Atoms, model: str, args: argparse.Namespace) -> dict[str, Any]:
    cores = mdkern.get_num_threads()
    ways: dict[str, Any] = {
        "double": NEP(model, threads=1),
        "single": NEP(model, precision="single", threads=1),
    }
    if calorine_version() is not None:
        from calorine.calculators import CPUNEP

        ways["calorine"] = CPUNEP(model)
    for way, (energy, forces) in deviations(atoms, ways).items():
        # Forces near a minimum are small beside what they are the sum of.
        limit = 1e-4 if way == "single" else 1e-9
        assert energy <= limit, f"{way}: energies differ by {energy} eV per atom"
        assert forces <= 10 * limit, f"{way}: forces differ by {forces} of the largest"
    turns = take_turns(
        {way: evaluation(atoms, calc, sample=0.05) for way, calc in ways.items()}, args.rounds
    )
    step = {
        (precision, n): dynamics(atoms, NEP(model, precision=precision, threads=n), args.steps)
        for precision in ("double", "single")
        for n in sorted({1, cores})
    }
    per_day = {key: 86400 / seconds * 1e-6 for key, seconds in step.items()}  # 1 fs = 1e-6 ns
    cells = [name, len(atoms)]
    for way in ("double", "single"):
        cells.append(f"{1e6 * turns.median(way) / len(atoms):.2f}")
    if "calorine" in ways:
        cells += [
            f"{1e6 * turns.median('calorine') / len(atoms):.0f}",
            turns.ratio("calorine", "double"),
            turns.ratio("calorine", "single"),
        ]
    else:
        cells += ["", "", ""]
    cells += [
        " / ".join(f"{per_day[precision, n]:.0f}" for precision in ("double", "single"))
        for n in sorted({1, cores})
    ]
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    return {
        "system": name,
        "atoms": len(atoms),
        "seconds": {way: turns.seconds[way].tolist() for way in ways},
        "seconds_of_a_step": {f"{way}, {n} threads": s for (way, n), s in step.items()},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--model", metavar="FILE", help="a nep.txt, in place of one of NEP89's shape")
    add("--structure", metavar="FILE", help="a file that ASE reads, in place of four crystals")
    add("--rounds", type=int, default=9)
    add("--steps", type=int, default=100, help="of dynamics")
    add("-o", "--output", metavar="FILE", help="JSON")
    args = parser.parse_args()
    model = args.model or morse_nep(Path(mkdtemp(), "nep.txt"), species=ELEMENTS)
    begin = time.perf_counter()
    NEP(model)
    loaded = time.perf_counter() - begin
    around = environment(1)
    print(
        f"{around['cpu']}, {around['isa']}, mdkern {mdkern.__version__}, calorine "
        f"{calorine_version() or 'not installed'}, {os.cpu_count()} CPUs; "
        f"{Path(model).stat().st_size / 1e6:.1f} MB loaded in {loaded:.2f} s\n"
    )
    threads = "".join(
        f" ns/day, {n} thread{'s' * (n > 1)}, double / single |"
        for n in sorted({1, mdkern.get_num_threads()})
    )
    print(
        f"| system | atoms | double, us per atom | single | calorine | times double | times single |{threads}"
    )
    print("|---" * (7 + threads.count("|")) + "|")
    found = {args.structure: read(args.structure)} if args.structure else systems()
    rows = [compare(name, atoms, model, args) for name, atoms in found.items()]
    if args.output:
        text = json.dumps({"environment": around, "model": args.model, "results": rows}, indent=2)
        Path(args.output).write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
