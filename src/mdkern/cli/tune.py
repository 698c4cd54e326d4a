"""``mdkern tune``: the fastest skin and number of threads for molecular dynamics of a structure, kept for later runs."""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict
from typing import Any

from mdkern.cli import potential
from mdkern.cli.options import (
    STRUCTURE_HELP,
    add_reading,
    positive,
    positive_int,
    read_structure,
)
from mdkern.cli.output import UsageError, note, one_line, print_fields, print_json, print_table
from mdkern.errors import MDKernError

HELP = "the fastest skin and number of threads for molecular dynamics"
DESCRIPTION = (
    "Measures skins of the neighbor list and numbers of threads for molecular dynamics of a structure,\n"
    "by turns, and keeps the choice for this model, size and machine in a small file."
)
EPILOG = (
    potential.HELP
    + """
examples:
  mdkern tune melt.extxyz --potential zhou2004 --timestep 2
  mdkern md melt.extxyz --potential zhou2004 --timestep 2 --skin 0.8      what it found, said by hand
  MDKERN_TUNE=once mdkern md melt.extxyz --potential zhou2004 --timestep 2      taken from the file
  mdkern tune --show
  mdkern tune --forget EAM

Start from a structure of the temperature and density of the run: the frame of a former one, with its
velocities. Another number of threads keeps the bits of a run, and is taken over unless
MDKERN_TUNE=off; another skin changes last digits, and is taken over with MDKERN_TUNE=once or measure.
The file: $MDKERN_TUNE_FILE, else mdkern/tuning.json in $XDG_CACHE_HOME or ~/.cache.
"""
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("structure", metavar="STRUCTURE", nargs="?", help=STRUCTURE_HELP)
    add("--potential", metavar="P", help="file or built-in potential, see below")
    add("--timestep", type=positive, default=1.0, metavar="FS", help="default 1 fs")
    add(
        "--temperature",
        type=positive,
        default=300.0,
        metavar="K",
        help="of velocities where the file has none (default 300 K)",
    )
    add("--repeat", type=positive_int, nargs=3, metavar="N", help="repeat the cell along a, b, c")
    add("--index", type=int, default=-1, metavar="N", help="frame of the file (default: the last)")
    add(
        "--steps",
        type=positive_int,
        default=200,
        metavar="N",
        help="of each candidate, and of what it is compared with (default 200)",
    )
    add(
        "--seconds",
        type=positive,
        default=120.0,
        metavar="S",
        help="after which no further candidate is tried (default 120)",
    )
    add("--show", action="store_true", help="what is kept")
    add(
        "--forget",
        metavar="WORDS",
        nargs="?",
        const="",
        help="remove what is kept; with WORDS what has them in its name",
    )
    add("--json", action="store_true", help="one JSON document on stdout")
    add_reading(parser)


def run(args: argparse.Namespace) -> int:
    chosen = [args.structure is not None, args.show, args.forget is not None]
    if sum(chosen) != 1:
        raise UsageError("STRUCTURE, --show or --forget: expected one of them")
    if args.show:
        return _show(args)
    if args.forget is not None:
        return _forget(args)
    if args.potential is None:
        raise UsageError("--potential: missing; see mdkern tune --help")
    return _measure(args)


def _show(args: argparse.Namespace) -> int:
    from mdkern import tuning

    choices = tuning.all_choices()
    if args.json:
        kept = {key: asdict(choice) for key, choice in choices.items()}
        print_json({"file": str(tuning.path()), "choices": kept})
        return 0
    print(f"{one_line(str(tuning.path()))}: {len(choices)} kept")
    for key, choice in choices.items():
        print(f"  {one_line(key)}\n      {choice}")
    return 0


def _forget(args: argparse.Namespace) -> int:
    from mdkern import tuning

    gone = tuning.forget(args.forget)
    if args.json:
        print_json({"file": str(tuning.path()), "forgotten": gone})
    else:
        print(f"{one_line(str(tuning.path()))}: {len(gone)} forgotten")
    return 0


def _measure(args: argparse.Namespace) -> int:
    from mdkern import tuning

    dynamics, chosen = _dynamics(args)
    if not args.json:
        note(f"measuring some {args.steps} steps of every candidate, by turns")
    steps = min(10, args.steps)
    try:
        rows = dynamics.tune(
            spans=max(1, round(args.steps / steps)), steps=steps, most_seconds=args.seconds
        )
    except MDKernError as e:
        raise UsageError(f"{args.structure}: {e}") from e
    choice, atoms = dynamics.tuned, dynamics.atoms
    if not rows:
        raise UsageError(f"--seconds: {args.seconds:g}; nothing was measured, expected more")
    if args.json:
        print_json(
            {
                "structure": args.structure,
                "n_atoms": len(atoms),
                "potential": chosen.path or chosen.spec,
                "choice": {**asdict(choice), "gain": choice.gain},
                "measured": [
                    {**asdict(m), "interval": m.interval if math.isfinite(m.interval) else None}
                    for m in rows
                ],
                "file": str(tuning.path()),
            }
        )
        return 0
    print_table(
        f"{one_line(args.structure)}: {len(atoms):,} atoms, {one_line(chosen.path or chosen.spec)}",
        ("skin / A", "threads", "us per step", "steps per build", "times as fast"),
        [
            (
                f"{m.skin:g}",
                str(m.threads),
                f"{1e6 * m.seconds:.4g}",
                f"{m.interval:.3g}" if math.isfinite(m.interval) else "-",
                f"{m.gain:.2f}",
            )
            for m in rows
        ],
    )
    print_fields("", {"chosen": str(choice), "kept in": one_line(str(tuning.path()))})
    return 0


def _dynamics(args: argparse.Namespace) -> tuple[Any, potential.Potential]:
    """Velocity Verlet of the structure, with velocities of its own or drawn ones."""
    import numpy as np

    from mdkern.cli import dynamics
    from mdkern.io.labels import drop_labels
    from mdkern.io.velocities import take_velocities

    atoms = read_structure(args.structure, args.index, args)
    if len(atoms) == 0:
        raise UsageError(f"{args.structure}: no atoms")
    drop_labels(atoms)
    source, _ = take_velocities(atoms)
    if args.repeat:
        atoms = atoms.repeat(args.repeat)
    if not source:
        dynamics.draw_velocities(atoms, args.temperature, np.random.default_rng(0))
    chosen = potential.make_potential(args.potential, atoms.get_chemical_symbols(), 0.3)
    atoms.calc = chosen.calculator
    ensemble = dynamics.Ensemble(timestep=args.timestep)
    try:
        return dynamics.make_integrator(atoms, ensemble, 0), chosen
    except MDKernError as e:
        raise UsageError(f"{args.structure}: {e}") from e
