"""``mdkern demo``: what mdkern does, with nothing but the installation."""

from __future__ import annotations

import argparse
import shlex
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdkern.cli.options import check_outputs, non_negative_int, positive_int
from mdkern.cli.output import (
    Progress,
    UsageError,
    error,
    number,
    one_line,
    plus_minus,
    print_fields,
    print_json,
    print_table,
    warning,
)

if TYPE_CHECKING:
    from ase import Atoms

    from mdkern.cli.comparison import Comparison
    from mdkern.cli.dynamics import Run

HELP = "molecular dynamics of copper, its accuracy and its speed, in a table and a picture"
DESCRIPTION = (
    "Needs no file: molecular dynamics (NVE) of fcc copper at about 600 K with the built-in EAM,\n"
    "whether it conserves energy, its radial distribution, and how fast mdkern is on this machine\n"
    "next to ASE's own calculators and to vectorised NumPy, whose results must agree."
)
EPILOG = """\
examples:
  mdkern demo                  about half a minute; writes demo.png, demo.extxyz into mdkern-demo
                               (the picture only where matplotlib is installed)
  mdkern demo --quick          some seconds
  mdkern demo --atoms 32000 --steps 2000 -o big --threads 8

Checks (exit status 1 if one fails): drift of the total energy below 1 meV/atom/ns within twice its
error, fluctuation below 0.02 meV/atom, results of the compared codes equal within rounding (forces of
ASE's EAM, which has other splines: 1e-3 eV/A).
"""

FOLDER = "mdkern-demo"
# Of the expanded crystal, close to zero pressure at 600 K.
LATTICE_CONSTANT = 3.68
TIMESTEP = 2.0  # fs
# Half of the kinetic energy becomes potential energy within the first tenths of a picosecond.
START_TEMPERATURE = 1200.0
MAX_DRIFT, MAX_FLUCTUATION = 1.0, 0.02  # meV/atom/ns, meV/atom
FRAMES = 5
LARGEST_COMPARED = 4000  # atoms


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", metavar="FOLDER", help=f"for demo.png and demo.extxyz (default {FOLDER})"
    )
    parser.add_argument(
        "--atoms", type=positive_int, metavar="N", help="about so many (default 4000; quick 864)"
    )
    parser.add_argument("--steps", type=positive_int, metavar="N", help="default 5000; quick 1500")
    parser.add_argument("--seed", type=non_negative_int, default=1, metavar="N", help="default 1")
    parser.add_argument("--quick", action="store_true", help="smaller and shorter")
    parser.add_argument("--overwrite", action="store_true", help="replace files in FOLDER")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(args: argparse.Namespace) -> int:
    begin = time.perf_counter()
    folder = Path(args.output or FOLDER)
    picture, frames = folder / "demo.png", folder / "demo.extxyz"
    draws = _can_draw()
    folder.mkdir(parents=True, exist_ok=True)
    # The default folder is the demo's own.
    outputs = [picture, frames] if draws else [frames]
    check_outputs(outputs, [], args.overwrite or args.output is None)
    crystal = _copper(args.atoms or (864 if args.quick else 4000))
    result, kept = _dynamics(crystal, args, frames)
    comparisons = [] if result.interrupted else _comparisons(crystal, args)
    failed = _failed_checks(result, comparisons)
    facts = _facts(args, result, comparisons, failed)
    if not result.interrupted:
        facts["files"] = [str(frames)]
        if draws:
            from mdkern.cli.demo_plot import plot_demo

            plot_demo(picture, crystal, kept, result, comparisons)
            facts["files"].insert(0, str(picture))
    facts["seconds"] = time.perf_counter() - begin
    if args.json:
        print_json(facts)
    else:
        _print(facts, result, comparisons)
    if result.interrupted:
        return 130
    for text in failed:
        error(f"check failed: {text}")
    return 1 if failed else 0


def _can_draw() -> bool:
    """Whether there will be a picture; else said before the work begins."""
    from mdkern.cli.plots import check_picture

    try:
        check_picture("demo.png")
    except UsageError as e:
        warning(f"no picture, only the table: {e}")
        return False
    return True


def _copper(n_atoms: int) -> Atoms:
    """Perfect cube of copper with about so many atoms."""
    from ase.build import bulk

    cells = max(3, round((n_atoms / 4) ** (1 / 3)))
    cube: Atoms = bulk("Cu", "fcc", a=LATTICE_CONSTANT, cubic=True) * (cells, cells, cells)
    return cube


def _dynamics(crystal: Atoms, args: argparse.Namespace, path: Path) -> tuple[Run, list[Atoms]]:
    """NVE run; writes some frames and returns the last ones."""
    import numpy as np

    import mdkern
    from mdkern.calculators import EAM
    from mdkern.cli import dynamics, trajectory
    from mdkern.io.structures import with_results

    steps = args.steps or (1500 if args.quick else 5000)
    atoms = crystal.copy()
    rng = np.random.default_rng(args.seed)
    dynamics.draw_velocities(atoms, START_TEMPERATURE, rng)
    atoms.calc = EAM.zhou2004(["Cu"], skin=0.6)
    integrator = dynamics.make_integrator(atoms, dynamics.Ensemble(TIMESTEP), args.seed)
    header = {
        "version": mdkern.__version__,
        "isa": mdkern.get_isa(),
        "threads": mdkern.get_num_threads(),
        "potential": "zhou2004",
        "seed": args.seed,
        "command": one_line(shlex.join(args.command_line), 2000),
    }
    kept: list[Atoms] = []
    every, writer = max(1, steps // 40), trajectory.open_trajectory(str(path), "w")

    def on_frame(step: int) -> None:
        if 2 * step >= steps:
            kept.append(atoms.copy())
            del kept[:-10]
        if step % (every * 40 // (FRAMES - 1)) == 0:
            time_ps = 1e-3 * step * TIMESTEP
            frame = trajectory.snapshot(atoms, step, time_ps, {} if step else header)
            writer.write(with_results(*frame))

    result = dynamics.Run(len(atoms), TIMESTEP)
    try:
        dynamics.simulate(
            result,
            integrator,
            steps,
            sample_every=5,
            calls=[(every, on_frame)],
            progress=not args.json,
            label=f"{len(atoms):,} Cu atoms",
        )
    finally:
        writer.close()
    return result, kept


def _comparisons(crystal: Atoms, args: argparse.Namespace) -> list[Comparison]:
    from mdkern.cli.comparison import compare

    largest = 864 if args.quick else LARGEST_COMPARED
    large = crystal if len(crystal) <= largest else _copper(largest)
    large, small = large.copy(), _copper(256 if args.quick else 864)
    for k, atoms in enumerate((large, small)):
        atoms.rattle(0.1, seed=k)
    rounds = 3 if args.quick else 5
    with Progress("ASE and NumPy", 3 * rounds, not args.json) as bar:
        return compare(large, small, rounds, bar.show)


def _failed_checks(result: Run, comparisons: list[Comparison]) -> list[str]:
    out = [f"molecular dynamics: {result.failure}"] if result.failure else []
    drift = result.drift()
    if drift is not None:
        if abs(drift.slope) > MAX_DRIFT + 2.0 * drift.error:
            out.append(f"energy drift {drift.slope:.3g}, expected up to {MAX_DRIFT} meV/atom/ns")
        if drift.rms > MAX_FLUCTUATION:
            out.append(
                f"energy fluctuation {drift.rms:.3g}, expected up to {MAX_FLUCTUATION} meV/atom"
            )
    out += [
        f"{c.name}: differs by {c.difference_ase:.2g} {c.unit} from ASE, {c.difference_numpy:.2g} from NumPy"
        for c in comparisons
        if not c.agrees
    ]
    return out


def _facts(
    args: argparse.Namespace, result: Run, comparisons: list[Comparison], failed: list[str]
) -> dict[str, Any]:
    import ase
    import numpy as np

    import mdkern

    return {
        "n_atoms": result.n_atoms,
        "potential": "zhou2004",
        "timestep_fs": TIMESTEP,
        "seed": args.seed,
        "interrupted": result.interrupted,
        **result.summary(),
        "comparisons": [asdict(c) for c in comparisons],
        "failed_checks": failed,
        "files": [],
        **mdkern.info(),
        "ase_version": ase.__version__,
        "numpy_version": np.__version__,
    }


def _print(facts: dict[str, Any], result: Run, comparisons: list[Comparison]) -> None:
    drift = result.drift()
    temperature, pressure = facts["temperature_K"], facts["pressure_GPa"]
    print_fields(
        f"Copper, {result.n_atoms:,} atoms, EAM of Zhou et al. (2004), {facts['time_ps']:.4g} ps NVE",
        {
            "temperature": "-"
            if temperature is None
            else plus_minus(temperature["mean"], temperature["std"], "K"),
            "pressure": "-"
            if pressure is None
            else plus_minus(pressure["mean"], pressure["std"], "GPa"),
            "energy drift": result.why_no_drift()
            if drift is None
            else plus_minus(drift.slope, drift.error, "meV/atom/ns"),
            "energy fluctuation": "-" if drift is None else f"{drift.rms:.2g} meV/atom",
            "speed": f"{number(facts['steps_per_s'])} steps/s, {number(facts['ns_per_day'], 3)} ns/day, "
            f"{number(facts['atom_steps_per_s'], 3)} atom-steps/s",
            "machine": f"{facts['cpu']}, {facts['threads']} threads, {facts['isa']}",
        },
    )
    if comparisons:
        print()
        print_table(
            f"One evaluation with a new neighbor list, taken in turn; ASE {facts['ase_version']} and "
            f"NumPy {facts['numpy_version']} on one thread",
            (
                "",
                "atoms",
                "mdkern",
                "1 thread",
                "ASE",
                "NumPy",
                "faster than ASE",
                "than NumPy",
                "same results",
            ),
            [
                (
                    c.name,
                    f"{c.n_atoms:,}",
                    *(
                        _milliseconds(s)
                        for s in (c.seconds, c.serial_seconds, c.ase_seconds, c.numpy_seconds)
                    ),
                    f"{number(c.over_ase, 3)} x",
                    f"{number(c.over_numpy, 3)} x",
                    "yes" if c.agrees else "NO",
                )
                for c in comparisons
            ],
        )
    if facts["files"]:
        print()
        print(f"Written in {facts['seconds']:.0f} s: {', '.join(map(one_line, facts['files']))}")


def _milliseconds(seconds: float) -> str:
    return f"{number(1e3 * seconds, 3)} ms"
