"""``mdkern md``: molecular dynamics with the native integrators."""

from __future__ import annotations

import argparse
import contextlib
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from mdkern.cli import potential
from mdkern.cli.options import (
    STRUCTURE_HELP,
    add_reading,
    check_outputs,
    finite,
    non_negative,
    non_negative_int,
    positive,
    positive_int,
    read_structure,
    refuse_empty,
)
from mdkern.cli.output import (
    UsageError,
    error,
    note,
    number,
    one_line,
    plus_minus,
    print_fields,
    print_json,
    warning,
    writing,
)
from mdkern.errors import FormatError, MDKernError

if TYPE_CHECKING:
    from ase import Atoms

    from mdkern.cli.continuation import Cut, Past
    from mdkern.cli.dynamics import Ensemble, Run
    from mdkern.cli.observer import Observer
    from mdkern.cli.trajectory import BackgroundWriter, LogWriter

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
  mdkern md Cu.cif --potential zhou2004 --steps 500000 -o run.traj --log run.csv --checkpoint run.npz
  mdkern md --restart run.npz --steps 500000 -o run.traj --log run.csv --checkpoint run.npz

The second of the last two goes on with the bits of a run of 1000000 steps at once, and with its files:
what they have beyond the checkpoint is removed first.

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
_OF_CHECKPOINT = (*DEFAULTS, "thermostat", "barostat", "seed", "repeat", "index", "new_velocities",
                  "format", "occupancy")  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("structure", metavar="STRUCTURE", nargs="?", help=STRUCTURE_HELP)
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
    add(
        "--skin",
        type=non_negative,
        metavar="A",
        help="of the neighbor list (default 0.6, or with MDKERN_TUNE what is fastest)",
    )
    add("-o", "--output", metavar="FILE", help="frames, .extxyz, .xyz, .traj or .h5md")
    add("--interval", type=positive_int, metavar="N", help="steps between frames (default 100)")
    add("--log", metavar="FILE.csv", help="energies, temperature, pressure")
    add("--log-interval", type=positive_int, metavar="N", help="steps between samples (default 10)")
    add(
        "--plot",
        metavar="FILE.png",
        help="picture of energy, temperature, radial distribution, displacements",
    )
    add(
        "--report",
        metavar="FILE.html",
        help="one page: energies, temperature, pressure, structure, diffusion, speed",
    )
    add(
        "--transport",
        type=positive_int,
        metavar="N",
        help="thermal conductivity and viscosity of a liquid: steps between samples of its fluxes",
    )
    add("--checkpoint", metavar="FILE.npz", help="state to go on from, replaced as the run goes")
    add(
        "--checkpoint-interval",
        type=positive_int,
        metavar="N",
        help="steps between two (default 10000), and at the end",
    )
    add(
        "--restart",
        metavar="FILE.npz",
        help="go on from a checkpoint instead of a structure; frames and log that are there go on as well",
    )
    add("--overwrite", action="store_true", help="replace existing outputs")
    add("--json", action="store_true", help="summary as one JSON document on stdout")
    add_reading(parser)


def run(args: argparse.Namespace) -> int:
    from mdkern.cli import dynamics, observer, report, transport

    _check(args)
    start = _restarted if args.restart else _started
    chosen, integrator, ensemble, seed, past, origin = start(args)
    atoms = integrator.atoms
    args.found = chosen.path or chosen.spec
    args.interval = args.interval or (past.interval if past else 100)
    args.log_interval = args.log_interval or (past.log_interval if past else 10)
    result = dynamics.Run(len(atoms), ensemble.timestep)
    header = {**_header(args, chosen, ensemble, seed), "velocities": one_line(origin)}
    watched = None
    if args.report or args.plot:
        watched = observer.Observer(atoms, args.steps, ensemble.timestep)
    carried = transport.start(integrator, args.transport, ensemble) if args.transport else None
    with _outputs(args, header, atoms, past) as outputs:
        if not args.json:
            note(f"velocities: {origin}; {atoms.get_temperature():.4g} K")
        _simulate(args, result, integrator, (header, ensemble), outputs, watched)
    facts = _facts(args, atoms, integrator, ensemble, result, header)
    diffusion: dict[str, str] = {}
    if carried:
        carried.take()
        facts["transport"] = carried.numbers()
    if watched:
        found = watched.moved.diffusion if watched.moved else {}
        facts["diffusion"] = {symbol: asdict(d) for symbol, d in found.items()}
        diffusion = observer.diffusion_texts(found)
    if carried:
        diffusion |= carried.texts()
    if args.plot and watched:
        _plot(args, result, watched)
    if args.report and watched:
        report.write(args.report, result, watched, facts)
    _print(args, facts, result, ensemble, diffusion)
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
    inputs = [name for name in (args.structure, args.restart) if name]
    inputs += potential.inputs_of(args.potential) if args.potential else []
    continued = [args.output, args.log] if args.restart else []
    outputs = [args.output, args.log, args.plot, args.report]
    check_outputs(outputs, inputs, args.overwrite, continued)
    if args.checkpoint:  # a restart may replace the file that it comes from
        others = [name for name in inputs if name != args.restart]
        replace = args.overwrite or args.checkpoint == args.restart
        check_outputs([args.checkpoint], others, replace)
        # Of these some may exist, so that they are looked at apart.
        check_outputs([*outputs, args.checkpoint], [], True)
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


def _started(args: argparse.Namespace) -> tuple[potential.Potential, Any, Ensemble, int, None, str]:
    """Potential and integrator for a structure, and where its velocities are from."""
    import numpy as np

    from mdkern.cli import dynamics
    from mdkern.io.labels import drop_labels

    atoms = read_structure(args.structure, -1 if args.index is None else args.index, args)
    if len(atoms) == 0:
        raise UsageError(f"{args.structure}: no atoms")
    drop_labels(atoms)
    origin = _velocities(atoms, args)
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
    if not origin:
        dynamics.draw_velocities(atoms, ensemble.temperature, np.random.default_rng(seed))
        origin = f"drawn at {ensemble.temperature:g} K, seed {seed}"
    try:  # before any file is made: an element that the potential lacks ends here
        atoms.get_forces()
        integrator = dynamics.make_integrator(atoms, ensemble, seed, args.skin)
    except MDKernError as e:
        raise UsageError(f"{args.structure}: {e}") from e
    return chosen, integrator, ensemble, seed, None, origin


def _restarted(
    args: argparse.Namespace,
) -> tuple[potential.Potential, Any, Ensemble, int, Past, str]:
    """The same from a checkpoint, and what its files must agree with."""
    from mdkern.cli import continuation, dynamics
    from mdkern.md import read_checkpoint

    refuse_empty(args.restart, "--restart")
    checkpoint = read_checkpoint(args.restart)
    extra = checkpoint.meta["extra"]
    try:
        ensemble = dynamics.Ensemble(**extra["ensemble"])
        spec, digest, seed = extra["potential"], extra["potential_sha256"], int(extra["seed"])
        intervals = [max(1, int(extra.get(*i))) for i in (("interval", 100), ("log_interval", 10))]
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
    past = continuation.Past(
        args.restart, checkpoint.steps, extra, checkpoint.arrays["numbers"], *intervals
    )
    return chosen, integrator, ensemble, seed, past, f"from checkpoint {args.restart}"


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


def _velocities(atoms: Atoms, args: argparse.Namespace) -> str:
    """Where the file has velocities, and the atoms therefore; empty where they are to be drawn."""
    from mdkern.io.velocities import take_velocities

    try:
        source, notes = take_velocities(atoms)
    except FormatError as e:
        raise UsageError(f"{args.structure}: {e}") from e
    for text in notes:
        warning(f"{args.structure}: {text}")
    if not source or args.new_velocities:
        return ""
    if _option(args, "ensemble") == "nve" and args.temperature is not None:
        warning(
            f"--temperature: {args.structure} has velocities ({atoms.get_temperature():.0f} K), which are"
            " kept; --new-velocities draws new ones"
        )
    return f"from {'standard input' if args.structure == '-' else args.structure}: {source}"


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


@dataclass
class Outputs:
    """Open files of a run, and in `cuts` those of them that go on."""

    frames: BackgroundWriter | None = None
    log: LogWriter | None = None
    cuts: dict[str, Cut] = field(default_factory=dict)


@contextmanager
def _outputs(
    args: argparse.Namespace, header: dict[str, Any], atoms: Atoms, past: Past | None
) -> Iterator[Outputs]:
    """New files, or after a restart those that are there, without what they have beyond the checkpoint."""
    from pathlib import Path

    from mdkern.cli import continuation, trajectory
    from mdkern.cli.dynamics import COLUMNS

    outputs = Outputs()
    for name, look in (
        ("output", continuation.continued_frames),
        ("log", continuation.continued_log),
    ):
        path = getattr(args, name)
        if path and past and not args.overwrite and Path(path).exists():
            outputs.cuts[name] = look(path, past)
    for cut in outputs.cuts.values():
        cut.apply()
        if cut.template is not None:
            continuation.take_form(atoms, cut.template)

    def mode(name: str) -> trajectory.Mode:
        return "a" if name in outputs.cuts else "w" if args.overwrite else "x"

    with contextlib.ExitStack() as stack:
        if args.output:
            writer = trajectory.open_trajectory(args.output, mode("output"))
            outputs.frames = trajectory.BackgroundWriter(writer)
            stack.enter_context(contextlib.closing(outputs.frames))
        if args.log:
            outputs.log = trajectory.LogWriter(args.log, header, COLUMNS, mode("log"))
            stack.enter_context(contextlib.closing(outputs.log))
        yield outputs


def _simulate(
    args: argparse.Namespace,
    result: Run,
    integrator: Any,
    about: tuple[dict[str, Any], Ensemble],
    outputs: Outputs,
    watched: Observer | None,
) -> None:
    from mdkern.cli import dynamics, trajectory
    from mdkern.md import write_checkpoint

    header, ensemble = about
    frames, log = outputs.frames, outputs.log
    intervals = {"interval": args.interval, "log_interval": args.log_interval}
    # A restart opens the file by this name, which the header has for people, without repeated blanks.
    extra = {**header, "potential": args.found, "ensemble": asdict(ensemble), **intervals}
    integrator.choose(args.steps)
    first = integrator.nsteps
    calls: list[tuple[int, Any]] = []

    def write_frame(step: int) -> None:
        cut = outputs.cuts.get("output") if step == first else None
        if frames is None or (cut is not None and not cut.due(step, args.interval)):
            return
        time_ps = 1e-3 * step * result.timestep
        facts = header if step == first and cut is None else {}
        frames.write(*trajectory.snapshot(integrator.atoms, step, time_ps, facts))

    def write_row(row: tuple[float, ...]) -> None:
        cut = outputs.cuts.get("log") if row[0] == first else None
        if log is not None and (cut is None or cut.due(first, args.log_interval)):
            log.write(row)

    def keep_state(_step: int) -> None:
        if frames is not None:
            frames.flush()  # a restart writes frames from here on only
        with writing(args.checkpoint):
            write_checkpoint(args.checkpoint, integrator, extra)

    if frames is not None:
        calls.append((args.interval, write_frame))
    if watched is not None:
        calls.append((watched.every, watched.look))
    if args.checkpoint:
        calls.append((args.checkpoint_interval or 10_000, keep_state))
    dynamics.simulate(
        result,
        integrator,
        args.steps,
        sample_every=args.log_interval,
        on_sample=write_row,
        calls=calls,
        progress=not args.json,
    )


def _plot(args: argparse.Namespace, result: Run, watched: Observer) -> None:
    from mdkern.cli.plots import plot_run

    plot_run(args.plot, result, watched)


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
        "skin_A": integrator.parameters()["skin"],
        "tuned": None if integrator.tuned is None else asdict(integrator.tuned),
        "files": {"frames" if k == "output" else k: getattr(args, k) for k in files},
        **header,
    }


def _print(
    args: argparse.Namespace,
    facts: dict[str, Any],
    result: Run,
    ensemble: Ensemble,
    diffusion: dict[str, str],
) -> None:
    from mdkern.tuning import Choice

    if args.json:
        print_json(facts)
        return
    ended = " (interrupted)" if result.interrupted else ""
    drift = plus_minus(
        facts["drift_meV_per_atom_per_ns"], facts["drift_error_meV_per_atom_per_ns"], "meV/atom/ns"
    )
    drift += f", fluctuation {number(facts['fluctuation_meV_per_atom'], 3)} meV/atom"
    builds = facts["neighbor_list_builds"]
    tuned = {} if facts["tuned"] is None else {"tuned": str(Choice(**facts["tuned"]))}
    print_fields(
        "",
        {
            "structure": f"{one_line(facts['structure'])}: {facts['n_atoms']:,} atoms, {facts['formula']}",
            "potential": one_line(facts["potential"]),
            "ensemble": describe(facts["ensemble"], ensemble),
            "steps": f"{result.steps:,} of {args.steps:,}{ended}, {facts['time_ps']:.6g} ps",
            "energy": f"{number(facts['energy_end_eV_per_atom'], 8)} eV/atom at the end",
            "drift": result.why_no_drift() or drift,
            "temperature": _mean(facts["temperature_K"], "K"),
            "pressure": _mean(facts["pressure_GPa"], "GPa"),
            **diffusion,
            "speed": f"{number(facts['steps_per_s'])} steps/s, {number(facts['ns_per_day'], 3)} ns/day, "
            f"{number(facts['atom_steps_per_s'], 3)} atom-steps/s",
            "neighbor list": ("built once" if builds == 1 else f"built {builds:,} times")
            + f", skin {facts['skin_A']:g} A",
            **tuned,
            "threads": f"{facts['threads']}, {facts['isa']}",
            "seed": str(facts["seed"]),
            "velocities": facts["velocities"],
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
