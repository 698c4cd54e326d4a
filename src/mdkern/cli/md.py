"""``mdkern md``: molecular dynamics with the native integrators."""

from __future__ import annotations

import argparse
import contextlib
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mdkern.cli import potential
from mdkern.cli.options import (
    check_outputs,
    finite,
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
    from ase import Atoms

    from mdkern.cli.dynamics import Ensemble, Run
    from mdkern.cli.report import Observer

HELP = "molecular dynamics of a structure"
DESCRIPTION = (
    "Molecular dynamics in native code: velocity Verlet (nve); constant temperature (nvt) with the\n"
    "Bussi, Langevin or Nose-Hoover thermostat; constant pressure (npt) by Martyna, Tobias and Klein."
)
EPILOG = (
    potential.HELP
    + """
examples:
  mdkern md Cu.cif --potential zhou2004 --repeat 10 10 10 --temperature 1200 -o run.extxyz
  mdkern md CuNi.xyz --potential CuNi.eam.alloy --ensemble npt --temperature 600 --pressure 1 \\
      --steps 50000 --timestep 2 --log run.csv --report run.html -o run.traj
  mdkern md argon.xyz --potential lj:epsilon=0.0103,sigma=3.405,rc=8.5 --timestep 5 --json
  mdkern md Cu.cif --potential zhou2004 --steps 500000 --checkpoint run.npz
  mdkern md --restart run.npz --steps 500000 --checkpoint run.npz      # the same bits as 1000000 at once

From a perfect crystal about half of the kinetic energy turns into potential energy: for 600 K with
nve start with 1200 K. Ctrl-C ends the run after the present step: files are complete up to there,
the summary is printed, the exit status is 130. Averages and the drift leave out the first fifth.
Columns of the log: time in ps, energies in eV, temperature in K, pressure in GPa; its first line is
a comment with version, potential, seed and command line as JSON (pandas: comment="#").
"""
)
DEFAULTS = {
    "ensemble": "nve",
    "temperature": 300.0,
    "timestep": 1.0,
    "tau": 100.0,
    "pressure": 0.0,
    "tau_pressure": 1000.0,
    "skin": 0.6,
}
# What a checkpoint says, and the command line must not say again.
_OF_CHECKPOINT = (*DEFAULTS, "thermostat", "barostat", "seed", "repeat", "index", "new_velocities")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("structure", metavar="STRUCTURE", nargs="?", help="any file that ASE reads")
    add("--potential", metavar="P", help="file or built-in potential, see below")
    add("--ensemble", choices=("nve", "nvt", "npt"), help="default: nve")
    add(
        "--thermostat",
        choices=("bussi", "langevin", "nose-hoover"),
        help="with nvt (default: bussi)",
    )
    add(
        "--barostat",
        choices=("isotropic", "full"),
        help="with npt: the volume changes (default), or all lengths and angles of the cell",
    )
    add("--tau", type=positive, metavar="FS", help="of the thermostat (default 100 fs)")
    add("--tau-pressure", type=positive, metavar="FS", help="of the barostat (default 1000 fs)")
    add(
        "--temperature",
        type=non_negative,
        metavar="K",
        help="of the thermostat and of start velocities (default 300 K)",
    )
    add("--pressure", type=finite, metavar="GPA", help="with npt (default 0 GPa)")
    add("--steps", type=non_negative_int, default=1000, metavar="N", help="default 1000")
    add("--timestep", type=positive, metavar="FS", help="default 1 fs")
    add(
        "--new-velocities",
        action="store_true",
        default=None,
        help="draw velocities even if the file has some",
    )
    add("--seed", type=non_negative_int, metavar="N", help="of all random numbers")
    add("--repeat", type=positive_int, nargs=3, metavar="N", help="repeat the cell along a, b, c")
    add("--index", type=int, metavar="N", help="frame of the file (default: the last)")
    add("--skin", type=non_negative, metavar="A", help="of the neighbor list (default 0.6)")
    add("-o", "--output", metavar="FILE", help="frames, .extxyz, .xyz, .traj or .h5md")
    add("--interval", type=positive_int, metavar="N", help="steps between frames (default 100)")
    add("--log", metavar="FILE.csv", help="energies, temperature, pressure")
    add("--log-interval", type=positive_int, metavar="N", help="steps between samples (default 10)")
    add("--plot", metavar="FILE.png", help="picture of energy, temperature, radial distribution")
    add(
        "--report",
        metavar="FILE.html",
        help="one page: energies, temperature, pressure, structure, diffusion, speed",
    )
    add("--checkpoint", metavar="FILE.npz", help="state to go on from, replaced as the run goes")
    add(
        "--checkpoint-interval",
        type=positive_int,
        metavar="N",
        help="steps between two (default 10000), and at the end",
    )
    add("--restart", metavar="FILE.npz", help="go on from a checkpoint instead of a structure")
    add("--overwrite", action="store_true", help="replace existing outputs")
    add("--json", action="store_true", help="summary as one JSON document on stdout")


def run(args: argparse.Namespace) -> int:
    from mdkern.cli import dynamics, report

    _check(args)
    atoms, chosen, integrator, ensemble, seed = (_restarted if args.restart else _started)(args)
    result = dynamics.Run(len(atoms), ensemble.timestep)
    header = _header(args, chosen, ensemble, seed)
    watched = report.Observer(atoms, args.steps) if args.report or args.plot else None
    with _outputs(args, header) as (frames, log):
        _simulate(args, result, integrator, (header, ensemble), (frames, log, watched))
    if args.plot and watched:
        _plot(args, result, watched)
    facts = _facts(args, atoms, integrator, ensemble, result, header)
    if args.report and watched:
        report.write(args.report, result, watched, facts)
    _print(args, facts, result, ensemble, header)
    if result.failure:
        error(f"stopped after step {integrator.nsteps}: {result.failure}")
        return 1
    return 130 if result.interrupted else 0


def _check(args: argparse.Namespace) -> None:
    """Everything that can be refused before any work."""
    from mdkern.cli.trajectory import trajectory_format

    if (args.structure is None) == (args.restart is None):
        raise UsageError("STRUCTURE or --restart FILE: expected one of them")
    if args.restart:
        for name in _OF_CHECKPOINT:
            if getattr(args, name) is not None:
                raise UsageError(f"--{name.replace('_', '-')}: the checkpoint says it already")
    elif args.potential is None:
        raise UsageError("--potential: missing; see mdkern md --help")
    if args.output:
        trajectory_format(args.output)
    _check_ensemble(args)
    if args.plot or args.report:
        from mdkern.cli.plots import check_picture, check_report

        if args.plot:
            check_picture(args.plot)
        if args.report:
            check_report(args.report)
    inputs = [name for name in (args.structure, args.potential, args.restart) if name]
    check_outputs([args.output, args.log, args.plot, args.report], inputs, args.overwrite)
    if args.checkpoint:  # a restart may replace the file that it comes from
        others = [name for name in inputs if name != args.restart]
        replace = args.overwrite or args.checkpoint == args.restart
        check_outputs([args.checkpoint], others, replace)
    for name, needs in (
        ("interval", ("output", "plot")),
        ("log_interval", ("log", "plot", "report")),
        ("checkpoint_interval", ("checkpoint",)),
    ):
        if getattr(args, name) and not any(getattr(args, other) for other in needs):
            warning(f"--{name.replace('_', '-')}: has no effect without --{needs[0]}")


def _check_ensemble(args: argparse.Namespace) -> None:
    ensemble = args.ensemble or "nve"
    if args.thermostat and ensemble != "nvt" and not args.restart:
        raise UsageError(f"--thermostat {args.thermostat}: expected --ensemble nvt with it")
    for name in ("barostat", "pressure", "tau_pressure"):
        if getattr(args, name) is not None and ensemble != "npt":
            raise UsageError(f"--{name.replace('_', '-')}: expected --ensemble npt with it")
    if ensemble != "nve" and args.temperature == 0.0:
        raise UsageError(f"--temperature 0: expected a positive number with --ensemble {ensemble}")


def _option(args: argparse.Namespace, name: str) -> Any:
    value = getattr(args, name)
    return DEFAULTS[name] if value is None else value


def _started(args: argparse.Namespace) -> tuple[Atoms, potential.Potential, Any, Ensemble, int]:
    """Atoms, potential and integrator from a structure."""
    import numpy as np

    from mdkern.cli import dynamics

    atoms = read_structure(args.structure, -1 if args.index is None else args.index)
    if len(atoms) == 0:
        raise UsageError(f"{args.structure}: no atoms")
    if args.repeat:
        atoms = _repeated(atoms, args)
    chosen = potential.make_potential(
        args.potential, atoms.get_chemical_symbols(), _option(args, "skin")
    )
    atoms.calc = chosen.calculator
    seed = args.seed
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    kind = _option(args, "ensemble")
    ensemble = dynamics.Ensemble(
        timestep=_option(args, "timestep"),
        thermostat=(args.thermostat or "bussi") if kind == "nvt" else None,
        barostat=(args.barostat or "isotropic") if kind == "npt" else None,
        temperature=_option(args, "temperature"),
        tau=_option(args, "tau"),
        pressure=_option(args, "pressure"),
        tau_pressure=_option(args, "tau_pressure"),
    )
    _start(atoms, args, ensemble.temperature, np.random.default_rng(seed))
    try:  # before any file is made: an element that the potential lacks ends here
        atoms.get_forces()
        integrator = dynamics.make_integrator(atoms, ensemble, seed)
    except MDKernError as e:
        raise UsageError(f"{args.structure}: {e}") from e
    return atoms, chosen, integrator, ensemble, seed


def _restarted(args: argparse.Namespace) -> tuple[Atoms, potential.Potential, Any, Ensemble, int]:
    """The same from a checkpoint."""
    from mdkern.cli import dynamics
    from mdkern.md import read_checkpoint

    checkpoint = read_checkpoint(args.restart)
    extra = checkpoint.meta["extra"]
    try:
        ensemble = dynamics.Ensemble(**extra["ensemble"])
        spec, digest, seed = extra["potential"], extra["potential_sha256"], int(extra["seed"])
    except (KeyError, TypeError, ValueError):
        raise UsageError(f"{args.restart}: was not written by mdkern md") from None
    skin = checkpoint.meta["parameters"]["skin"]
    symbols = checkpoint.atoms().get_chemical_symbols()
    chosen = potential.make_potential(args.potential or spec, symbols, skin)
    if (chosen.sha256 or "built-in") != digest:
        raise UsageError(
            f"--potential {args.potential or spec}: has another content than in the run so far"
        )
    for name, here in (("version", _version()), ("isa", _isa())):
        if checkpoint.meta[name] != here:
            warning(
                f"{args.restart}: {name} {checkpoint.meta[name]}, here {here}: last digits may differ"
            )
    integrator = checkpoint.dynamics(chosen.calculator)
    return integrator.atoms, chosen, integrator, ensemble, seed


def _version() -> str:
    import mdkern

    return mdkern.__version__


def _isa() -> str:
    import mdkern

    return mdkern.get_isa()


def _repeated(atoms: Atoms, args: argparse.Namespace) -> Atoms:
    for vector, times, name in zip(atoms.cell.array, args.repeat, "abc", strict=True):
        if times > 1 and not vector.any():
            raise UsageError(f"--repeat: {args.structure} has no cell vector {name}")
    if atoms.has("momenta") and not args.new_velocities:
        warning("--repeat: copies start with equal velocities; --new-velocities draws new ones")
    repeated: Atoms = atoms.repeat(args.repeat)
    return repeated


def _start(atoms: Atoms, args: argparse.Namespace, temperature: float, rng: Any) -> None:
    """Velocities of the file where it has some, else Maxwell-Boltzmann ones."""
    from mdkern.cli.dynamics import draw_velocities

    if args.new_velocities or not atoms.has("momenta") or not atoms.get_momenta().any():
        draw_velocities(atoms, temperature, rng)
    elif _option(args, "ensemble") == "nve" and args.temperature is not None:
        warning(
            f"--temperature: {args.structure} has velocities ({atoms.get_temperature():.0f} K), which are"
            " kept; --new-velocities draws new ones"
        )


def _header(
    args: argparse.Namespace, chosen: potential.Potential, ensemble: Ensemble, seed: int
) -> dict[str, Any]:
    """What is needed to repeat the run."""
    import mdkern

    return {
        "version": mdkern.__version__,
        "isa": mdkern.get_isa(),
        "threads": mdkern.get_num_threads(),
        "potential": one_line(chosen.path or chosen.spec, 2000),
        "potential_sha256": chosen.sha256 or "built-in",
        "seed": seed,
        "timestep_fs": ensemble.timestep,
        "command": one_line(shlex.join(args.command_line), 2000),
    }


@contextmanager
def _outputs(args: argparse.Namespace, header: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    from mdkern.cli.dynamics import COLUMNS
    from mdkern.cli.trajectory import BackgroundWriter, LogWriter, open_trajectory

    with contextlib.ExitStack() as stack:
        frames = log = None
        if args.output:
            frames = BackgroundWriter(open_trajectory(args.output, args.overwrite))
            stack.enter_context(contextlib.closing(frames))
        if args.log:
            log = LogWriter(args.log, header, COLUMNS, args.overwrite)
            stack.enter_context(contextlib.closing(log))
        yield frames, log


def _simulate(
    args: argparse.Namespace,
    result: Run,
    integrator: Any,
    about: tuple[dict[str, Any], Ensemble],
    sinks: tuple[Any, Any, Observer | None],
) -> None:
    from mdkern.cli import dynamics, trajectory
    from mdkern.md import write_checkpoint

    header, ensemble = about
    frames, log, watched = sinks
    first = integrator.nsteps
    calls: list[tuple[int, Any]] = []

    def write_frame(step: int) -> None:
        time_ps = 1e-3 * step * result.timestep
        facts = header if step == first else {}
        frames.write(*trajectory.snapshot(integrator.atoms, step, time_ps, facts))

    def keep_state(_step: int) -> None:
        write_checkpoint(args.checkpoint, integrator, {**header, "ensemble": asdict(ensemble)})

    if frames is not None:
        calls.append((args.interval or 100, write_frame))
    if watched is not None:
        calls.append((watched.every, watched.look))
    if args.checkpoint:
        calls.append((args.checkpoint_interval or 10_000, keep_state))
    dynamics.simulate(
        result,
        integrator,
        args.steps,
        sample_every=args.log_interval or 10,
        on_sample=log.write if log is not None else lambda _row: None,
        calls=calls,
        progress=not args.json,
    )


def _plot(args: argparse.Namespace, result: Run, watched: Observer) -> None:
    from mdkern.cli.plots import plot_run

    plot_run(args.plot, result, watched.formula, watched.radial(), len(watched.frames))


def _facts(
    args: argparse.Namespace,
    atoms: Atoms,
    integrator: Any,
    ensemble: Ensemble,
    result: Run,
    header: dict[str, Any],
) -> dict[str, Any]:
    """Everything about the run, for --json."""
    kind = "npt" if ensemble.barostat else "nvt" if ensemble.thermostat else "nve"
    files = ("output", "log", "plot", "report", "checkpoint")
    return {
        "structure": args.structure or args.restart,
        "formula": atoms.get_chemical_formula(empirical=True),
        "n_atoms": len(atoms),
        "ensemble": kind,
        "thermostat": "nose-hoover" if ensemble.barostat else ensemble.thermostat,
        "barostat": ensemble.barostat,
        "steps_requested": args.steps,
        "interrupted": result.interrupted,
        "failure": result.failure or None,
        **result.summary(),
        "neighbor_list_builds": integrator.n_builds,
        "files": {"frames" if k == "output" else k: getattr(args, k) for k in files},
        **header,
    }


def _print(
    args: argparse.Namespace,
    facts: dict[str, Any],
    result: Run,
    ensemble: Ensemble,
    header: dict[str, Any],
) -> None:
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
            "structure": f"{one_line(facts['structure'])}: {facts['n_atoms']:,} atoms, {facts['formula']}",
            "potential": one_line(header["potential"]),
            "ensemble": describe(facts["ensemble"], ensemble),
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


def describe(kind: str, ensemble: Ensemble) -> str:
    """The ensemble in words."""
    if kind == "npt":
        return (
            f"npt, {ensemble.barostat}, {ensemble.temperature:g} K, {ensemble.pressure:g} GPa, "
            f"{ensemble.tau:g} and {ensemble.tau_pressure:g} fs"
        )
    if kind == "nvt":
        return f"nvt, {ensemble.thermostat}, {ensemble.temperature:g} K, {ensemble.tau:g} fs"
    return "nve"


def _mean(x: dict[str, float] | None, unit: str) -> str:
    return "-" if x is None else f"{x['mean']:.4g} +/- {x['std']:.2g} {unit}"
