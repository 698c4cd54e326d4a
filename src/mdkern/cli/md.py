"""``mdkern md``: molecular dynamics with ASE's integrators."""

from __future__ import annotations

import argparse
import contextlib
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mdkern.cli import potential
from mdkern.cli.options import (
    check_outputs,
    non_negative,
    non_negative_int,
    positive,
    positive_int,
    read_structure,
)
from mdkern.cli.output import (
    UsageError,
    error,
    number,
    one_line,
    plus_minus,
    print_fields,
    print_json,
    warning,
)
from mdkern.errors import MDKernError

if TYPE_CHECKING:
    import numpy as np
    from ase import Atoms

    from mdkern.cli.dynamics import Run

HELP = "molecular dynamics of a structure"
DESCRIPTION = (
    "Molecular dynamics with ASE's integrators: velocity Verlet (nve), or at constant temperature\n"
    "(nvt) with the Bussi or the Langevin thermostat."
)
EPILOG = (
    potential.HELP
    + """
examples:
  mdkern md Cu.cif --potential zhou2004 --repeat 10 10 10 --temperature 1200 -o run.extxyz
  mdkern md CuNi.xyz --potential CuNi.eam.alloy --ensemble nvt --temperature 600 \\
      --steps 50000 --timestep 2 --log run.csv --plot run.png -o run.traj
  mdkern md argon.xyz --potential lj:epsilon=0.0103,sigma=3.405,rc=8.5 --timestep 5 --json

From a perfect crystal about half of the kinetic energy turns into potential energy: for 600 K with
nve start with 1200 K. Ctrl-C ends the run after the present step: files are complete up to there,
the summary is printed, the exit status is 130. Averages and the drift leave out the first fifth.
Columns of the log: time in ps, energies in eV, temperature in K, pressure in GPa; its first line is
a comment with version, potential, seed and command line as JSON (pandas: comment="#").
"""
)
PLOT_FRAMES = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("structure", metavar="STRUCTURE", help="any file that ASE reads")
    add("--potential", required=True, metavar="P", help="file or built-in potential, see below")
    add("--ensemble", choices=("nve", "nvt"), default="nve", help="default: nve")
    add("--thermostat", choices=("bussi", "langevin"), help="with nvt (default: bussi)")
    add(
        "--tau",
        type=positive,
        default=100.0,
        metavar="FS",
        help="of the thermostat (default 100 fs)",
    )
    add(
        "--temperature",
        type=non_negative,
        metavar="K",
        help="of the thermostat and of start velocities (default 300 K)",
    )
    add("--steps", type=non_negative_int, default=1000, metavar="N", help="default 1000")
    add("--timestep", type=positive, default=1.0, metavar="FS", help="default 1 fs")
    add("--new-velocities", action="store_true", help="draw velocities even if the file has some")
    add("--seed", type=non_negative_int, metavar="N", help="of all random numbers")
    add("--repeat", type=positive_int, nargs=3, metavar="N", help="repeat the cell along a, b, c")
    add("--index", type=int, default=-1, metavar="N", help="frame of the file (default: the last)")
    add(
        "--skin",
        type=non_negative,
        default=0.6,
        metavar="A",
        help="of the neighbor list (default 0.6)",
    )
    add("-o", "--output", metavar="FILE", help="frames, .extxyz, .xyz or .traj")
    add("--interval", type=positive_int, metavar="N", help="steps between frames (default 100)")
    add("--log", metavar="FILE.csv", help="energies, temperature, pressure")
    add("--log-interval", type=positive_int, metavar="N", help="steps between samples (default 10)")
    add("--plot", metavar="FILE.png", help="picture of energy, temperature, radial distribution")
    add("--overwrite", action="store_true", help="replace existing outputs")
    add("--json", action="store_true", help="summary as one JSON document on stdout")


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from mdkern.cli import dynamics

    _check(args)
    atoms = read_structure(args.structure, args.index)
    if len(atoms) == 0:
        raise UsageError(f"{args.structure}: no atoms")
    if args.repeat:
        atoms = _repeated(atoms, args)
    chosen = potential.make_potential(args.potential, atoms.get_chemical_symbols(), args.skin)
    atoms.calc = chosen.calculator
    seed = (
        args.seed if args.seed is not None else int(np.random.SeedSequence().generate_state(1)[0])
    )
    rng = np.random.default_rng(seed)
    temperature = 300.0 if args.temperature is None else args.temperature
    _start(atoms, args, temperature, rng)
    try:  # before any file is made: an element that the potential lacks ends here
        atoms.get_forces()
    except MDKernError as e:
        raise UsageError(f"{args.structure}: {e}") from e
    integrator = dynamics.make_integrator(
        atoms,
        "nve" if args.ensemble == "nve" else args.thermostat or "bussi",
        timestep=args.timestep,
        temperature=temperature,
        tau=args.tau,
        rng=rng,
    )
    result = dynamics.Run(len(atoms), args.timestep)
    kept: list[Atoms] = []
    header = _header(args, chosen, seed)
    with _outputs(args, header) as (frames, log):
        _simulate(args, atoms, result, integrator, header, (frames, log, kept))
    if args.plot:
        _plot(args, result, kept)
    _report(args, atoms, chosen, result, header)
    if result.failure:
        error(f"stopped after step {result.steps}: {result.failure}")
        return 1
    return 130 if result.interrupted else 0


def _check(args: argparse.Namespace) -> None:
    """Everything that can be refused before any work."""
    from mdkern.cli.trajectory import trajectory_format

    if args.output:
        trajectory_format(args.output)
    if args.thermostat and args.ensemble == "nve":
        raise UsageError(f"--thermostat {args.thermostat}: expected --ensemble nvt with it")
    if args.ensemble == "nvt" and args.temperature == 0.0:
        raise UsageError("--temperature 0: expected a positive number with --ensemble nvt")
    if args.plot:
        from mdkern.cli.plots import check_picture

        check_picture(args.plot)
    check_outputs(
        [args.output, args.log, args.plot], [args.structure, args.potential], args.overwrite
    )
    for name, needs in (("interval", "output"), ("log_interval", "log")):
        if getattr(args, name) and not (getattr(args, needs) or args.plot):
            warning(f"--{name.replace('_', '-')}: has no effect without --{needs}")


def _repeated(atoms: Atoms, args: argparse.Namespace) -> Atoms:
    for vector, times, name in zip(atoms.cell.array, args.repeat, "abc", strict=True):
        if times > 1 and not vector.any():
            raise UsageError(f"--repeat: {args.structure} has no cell vector {name}")
    if atoms.has("momenta") and not args.new_velocities:
        warning("--repeat: copies start with equal velocities; --new-velocities draws new ones")
    repeated: Atoms = atoms.repeat(args.repeat)
    return repeated


def _start(
    atoms: Atoms, args: argparse.Namespace, temperature: float, rng: np.random.Generator
) -> None:
    """Velocities of the file where it has some, else Maxwell-Boltzmann ones."""
    from mdkern.cli.dynamics import draw_velocities

    if args.new_velocities or not atoms.has("momenta") or not atoms.get_momenta().any():
        draw_velocities(atoms, temperature, rng)
    elif args.ensemble == "nve" and args.temperature is not None:
        warning(
            f"--temperature: {args.structure} has velocities ({atoms.get_temperature():.0f} K), which are"
            " kept; --new-velocities draws new ones"
        )


def _header(args: argparse.Namespace, chosen: potential.Potential, seed: int) -> dict[str, Any]:
    """What is needed to repeat the run."""
    import mdkern

    return {
        "version": mdkern.__version__,
        "isa": mdkern.get_isa(),
        "threads": mdkern.get_num_threads(),
        "potential": one_line(chosen.path or chosen.spec, 2000),
        "potential_sha256": chosen.sha256 or "built-in",
        "seed": seed,
        "timestep_fs": args.timestep,
        "command": one_line(shlex.join(args.command_line), 2000),
    }


@contextmanager
def _outputs(args: argparse.Namespace, header: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    from mdkern.cli.dynamics import COLUMNS
    from mdkern.cli.trajectory import LogWriter, open_trajectory

    with contextlib.ExitStack() as stack:
        frames = log = None
        if args.output:
            frames = stack.enter_context(
                contextlib.closing(open_trajectory(args.output, args.overwrite))
            )
        if args.log:
            log = LogWriter(args.log, header, COLUMNS, args.overwrite)
            stack.enter_context(contextlib.closing(log))
        yield frames, log


def _simulate(
    args: argparse.Namespace,
    atoms: Atoms,
    result: Run,
    integrator: Any,
    header: dict[str, Any],
    sinks: tuple[Any, Any, list[Atoms]],
) -> None:
    from mdkern.cli import dynamics, trajectory

    frames, log, kept = sinks
    interval = args.interval or 100
    # The picture shows the structure of the second half.
    stride = max(interval, args.steps // (2 * PLOT_FRAMES) or 1)

    def on_frame(step: int) -> None:
        if args.plot and 2 * step >= args.steps and (not kept or step % stride < interval):
            kept.append(atoms.copy())
            del kept[:-PLOT_FRAMES]
        if frames is not None:
            frames.write(
                trajectory.snapshot(
                    atoms, step, 1e-3 * step * args.timestep, header if step == 0 else {}
                )
            )

    dynamics.simulate(
        result,
        integrator,
        dynamics.Sampler(atoms, integrator, args.timestep),
        args.steps,
        sample_every=args.log_interval or 10,
        frame_every=interval,
        on_sample=log.write if log is not None else lambda _row: None,
        on_frame=on_frame,
        progress=not args.json,
    )
    if args.plot and not kept:
        kept.append(atoms.copy())


def _plot(args: argparse.Namespace, result: Run, kept: list[Atoms]) -> None:
    from mdkern.cli.analysis import radial_distribution
    from mdkern.cli.plots import plot_run

    periodic = kept[0].cell.rank == 3 and bool(kept[0].pbc.all())
    curve = radial_distribution(kept) if periodic else None
    plot_run(args.plot, result, kept[-1].get_chemical_formula(empirical=True), curve, len(kept))


def _report(
    args: argparse.Namespace,
    atoms: Atoms,
    chosen: potential.Potential,
    result: Run,
    header: dict[str, Any],
) -> None:
    thermostat = None if args.ensemble == "nve" else args.thermostat or "bussi"
    facts = {
        "structure": args.structure,
        "formula": atoms.get_chemical_formula(empirical=True),
        "n_atoms": len(atoms),
        "ensemble": args.ensemble,
        "thermostat": thermostat,
        "steps_requested": args.steps,
        "interrupted": result.interrupted,
        "failure": result.failure or None,
        **result.summary(),
        "neighbor_list_builds": chosen.calculator.n_builds,
        "files": {"frames": args.output, "log": args.log, "plot": args.plot},
        **header,
    }
    if args.json:
        print_json(facts)
        return
    ended = " (interrupted)" if result.interrupted else ""
    drift = plus_minus(
        facts["drift_meV_per_atom_per_ns"], facts["drift_error_meV_per_atom_per_ns"], "meV/atom/ns"
    )
    print_fields(
        "",
        {
            "structure": f"{one_line(args.structure)}: {len(atoms):,} atoms, {facts['formula']}",
            "potential": one_line(chosen.spec),
            "ensemble": args.ensemble + (f", {thermostat}, {args.tau:g} fs" if thermostat else ""),
            "steps": f"{result.steps:,} of {args.steps:,}{ended}, {facts['time_ps']:.6g} ps",
            "energy": f"{number(facts['energy_end_eV_per_atom'], 8)} eV/atom at the end",
            "drift": f"{drift}, fluctuation "
            f"{number(facts['fluctuation_meV_per_atom'], 3)} meV/atom",
            "temperature": _mean(facts["temperature_K"], "K"),
            "pressure": _mean(facts["pressure_GPa"], "GPa"),
            "speed": f"{number(facts['steps_per_s'])} steps/s, {number(facts['ns_per_day'], 3)} ns/day, "
            f"{number(facts['atom_steps_per_s'], 3)} atom-steps/s",
            "neighbor list": f"built {facts['neighbor_list_builds']} times",
            "threads": f"{header['threads']}, {header['isa']}",
            "seed": str(header["seed"]),
            "written": ", ".join(one_line(f) for f in facts["files"].values() if f) or "nothing",
        },
    )


def _mean(x: dict[str, float] | None, unit: str) -> str:
    return "-" if x is None else f"{x['mean']:.4g} +/- {x['std']:.2g} {unit}"
