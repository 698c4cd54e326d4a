"""What tuning gains: eight runs of molecular dynamics with the skin that `tune` chooses and with the default one, by turns.

    python benchmarks/compare_tuning.py --threads 1            (3 minutes)
    python benchmarks/compare_tuning.py --threads 2 --quick

Needs files of $MDKERN_TEST_DATA; a case without its file is left out. With one thread the processor time of that thread
is compared, which other processes disturb little; with more the time of the clock, for which the machine should be free.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase import units

import mdkern
from mdkern import calculators, tuning
from mdkern.bench import environment
from mdkern.bench.interleave import ratio
from mdkern.bench.systems import ARGON, make
from mdkern.md import VelocityVerlet

_DATA = Path(os.environ.get("MDKERN_TEST_DATA", "."))
_EAM = _DATA / "potentials" / "Cu_u3.eam"
_TERSOFF = _DATA / "potentials" / "Si.tersoff"
_NEP = _DATA / "nep" / "models" / "Si_2022_NEP4_5body.txt"

# Name: calculator, system, temperature of the start (K), time step (fs).
CASES: dict[str, tuple[Callable[[], Any], str, float, float]] = {
    "argon 108": (lambda: calculators.LennardJones(**ARGON), "argon-108", 240, 5),
    "argon 4,000": (lambda: calculators.LennardJones(**ARGON), "argon-4000", 240, 5),
    "argon 32,000": (lambda: calculators.LennardJones(**ARGON), "argon-32000", 240, 5),
    "EAM copper 108": (lambda: calculators.EAM(_EAM), "copper-108", 800, 2),
    "EAM copper 4,000": (lambda: calculators.EAM(_EAM), "copper-4000", 800, 2),
    "EAM copper 32,000": (lambda: calculators.EAM(_EAM), "copper-32000", 800, 2),
    "Tersoff silicon 1,000": (lambda: calculators.Tersoff(_TERSOFF), "silicon-1000", 1200, 1),
    "NEP silicon 216": (lambda: calculators.NEP(_NEP), "silicon-216", 1200, 1),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--threads", type=int, default=1)
    add("--rounds", type=int, default=9, help="in which both take turns (default 9)")
    add("--only", default="", help="cases whose names have this in them")
    add("--quick", action="store_true", help="three rounds, spans of 5 steps")
    args = parser.parse_args()
    mdkern.set_num_threads(args.threads)
    around = environment(args.threads)
    print(f"{around['cpu']}, {around['isa']}, mdkern {mdkern.__version__}, {args.threads} threads")
    print(f"load average {around['load_average']:.2f}\n")
    print("| case | default, us per step | chosen | times as fast, by turns |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MDKERN_TUNE_FILE"] = f"{folder}/tuning.json"
        for name, (model, *about) in CASES.items():
            if args.only not in name:
                continue
            try:
                model()
            except FileNotFoundError as e:
                print(f"{name}: left out, no {e.filename}", file=sys.stderr)
                continue
            _compare(name, model, *about, args)
    return 0


def _run(model: Callable[[], Any], system: str, kelvin: float, timestep: float) -> VelocityVerlet:
    """Some way behind the crystal that it starts from."""
    atoms = make(system).atoms
    width = np.sqrt(atoms.get_masses()[:, None] * units.kB * kelvin)
    atoms.set_momenta(width * np.random.default_rng(1).normal(size=(len(atoms), 3)))
    atoms.calc = model()
    dynamics = VelocityVerlet(atoms, timestep * units.fs)
    dynamics.run(300 if len(atoms) < 10_000 else 100)
    return dynamics


def _compare(
    name: str,
    model: Callable[[], Any],
    system: str,
    kelvin: float,
    timestep: float,
    args: argparse.Namespace,
) -> None:
    default, tuned = (_run(model, system, kelvin, timestep) for _ in range(2))
    tuned.tune(steps=5 if args.quick else 10)
    chosen = tuned.tuned or tuning.Choice()
    steps = max(20, min(1000, 400_000 // len(default.atoms)))
    clock = time.thread_time if args.threads == 1 else time.perf_counter
    seconds: dict[str, list[float]] = {"default": [], "tuned": []}
    for _ in range(3 if args.quick else args.rounds):
        for key, dynamics in (("default", default), ("tuned", tuned)):
            begin = clock()
            dynamics.run(steps)
            seconds[key].append((clock() - begin) / steps)
    found = ratio(np.array(seconds["default"]), np.array(seconds["tuned"]))
    print(
        f"| {name} | {1e6 * np.median(seconds['default']):.4g} | {chosen} | {found} |", flush=True
    )


if __name__ == "__main__":
    sys.exit(main())
