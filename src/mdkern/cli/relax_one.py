"""``mdkern relax`` of one structure."""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mdkern import optimize
from mdkern.cli import potential
from mdkern.cli.options import read_structure
from mdkern.cli.output import (
    Progress,
    UsageError,
    error,
    note,
    number,
    one_line,
    print_fields,
    print_json,
    writing,
)
from mdkern.errors import FormatError, MDKernError, UnsupportedError
from mdkern.optimize.base import RelaxationError
from mdkern.optimize.constraints import native_constraints
from mdkern.relaxation_ase import filtered, optimizer_class

if TYPE_CHECKING:
    from ase import Atoms

    from mdkern.relaxation_settings import Settings

__all__ = ["relax_one"]

_DRAW_SECONDS, _SAVE_SECONDS = 0.3, 10.0


def relax_one(args: argparse.Namespace, settings: Settings, by_default: bool) -> int:
    """Relax the frame that `args` names, or (`by_default`) the last one; returns the exit status."""
    from mdkern.io.labels import drop_labels

    if by_default:
        _say_of_others(args)
    atoms = read_structure(args.structure, args.index, args)
    if len(atoms) == 0:
        raise UsageError(f"{args.structure}: no atoms")
    drop_labels(atoms)
    chosen = potential.make_potential(args.potential, atoms.get_chemical_symbols(), args.skin)
    try:
        settings.refuse(atoms)
    except ValueError as e:
        raise UsageError(f"--cell {args.cell}: {args.structure}: {e}") from e
    own = list(atoms.constraints)
    try:
        settings.constrain(atoms)
        atoms.calc = chosen.calculator
        before = _state(atoms)
        if args.output:
            _try_to_write(atoms, args)
        run = _optimize(atoms, settings, args)
    except (FormatError, RelaxationError, UsageError):
        raise
    except (MDKernError, ValueError) as e:
        raise UsageError(f"{args.structure}: {e}") from e
    after = _state(atoms)
    atoms.set_constraint(own)  # that of --symmetry has no form in files
    if args.output:
        _write(atoms, args)
    facts = {
        "structure": args.structure,
        "formula": atoms.get_chemical_formula(empirical=True),
        "n_atoms": len(atoms),
        "potential": one_line(chosen.path or chosen.spec, 2000),
        "potential_sha256": chosen.sha256 or "built-in",
        "optimizer": args.optimizer,
        "cell": args.cell,
        "pressure_GPa": args.pressure or 0.0,
        "steps": run.steps,
        "converged": run.converged,
        "interrupted": run.interrupted,
        "failure": run.failure,
        "before": before,
        "after": after,
        "files": {
            "structure": args.output,
            "trajectory": args.trajectory,
            "restart": args.restart,
        },
    }
    _report(args, facts)
    if run.interrupted:
        return 130
    if run.failure:
        error(f"{args.structure}: {run.failure}; what is written is the last good step")
    elif not run.converged:
        error(
            f"not converged after {run.steps} steps: largest force {after['fmax_eV_per_A']:.3g} eV/A,"
            f" expected {args.fmax:g} with --fmax; --steps allows more"
        )
    return 0 if run.converged else 1


@dataclass(frozen=True)
class _Run:
    """How a relaxation ended."""

    steps: int
    converged: bool
    interrupted: bool = False
    failure: str | None = None


def _say_of_others(args: argparse.Namespace) -> None:
    """A file of several frames, of which one is taken because nobody said which."""
    from mdkern.io.structures import quick_count

    n = None if args.structure == "-" else quick_count(args.structure, slice(None), args.format)
    if n is not None and n > 1:
        note(f"{args.structure}: the last of {n:,} frames; --index : relaxes all")


def _state(atoms: Atoms) -> dict[str, Any]:
    from ase import units

    state: dict[str, Any] = {
        "energy_eV": atoms.get_potential_energy(),
        "energy_eV_per_atom": atoms.get_potential_energy() / len(atoms),
        "fmax_eV_per_A": float(np.linalg.norm(atoms.get_forces(), axis=1).max()),
    }
    if atoms.cell.rank == 3:
        stress = atoms.get_stress(voigt=True)
        state["volume_A3"] = atoms.get_volume()
        state["pressure_GPa"] = -float(np.mean(stress[:3])) / units.GPa
        state["cell_lengths_angles"] = atoms.cell.cellpar().tolist()
    return state


def _optimize(atoms: Atoms, settings: Settings, args: argparse.Namespace) -> _Run:
    """Move the atoms, natively where potential and constraints can be."""
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(Progress("relax", args.steps, not args.json))
        if args.trajectory:
            stack.enter_context(writing(args.trajectory))
        try:
            native_constraints(atoms)
            is_native = getattr(atoms.calc.potential, "force_step", lambda: None)() is not None
        except UnsupportedError:
            is_native = False
        if is_native:
            return _by_core(atoms, settings, args, bar, stack)
        if args.restart:
            raise UsageError(
                f"--restart: the potential or a constraint of {args.structure} needs ASE's optimizer; expected none with it"
            )
        return _by_ase(atoms, settings, args, bar, stack)


def _by_core(
    atoms: Atoms,
    settings: Settings,
    args: argparse.Namespace,
    bar: Progress,
    stack: contextlib.ExitStack,
) -> _Run:
    goes_on = bool(args.restart) and Path(args.restart).exists()
    kind = getattr(optimize, settings.optimizer.upper())
    mask = None if settings.mask is None else np.reshape(settings.mask, (3, 3))
    steps = stack.enter_context(
        kind(
            atoms,
            restart=args.restart,
            logfile=None,
            trajectory=args.trajectory,
            append_trajectory=goes_on,
            cell=settings.cell,
            mask=mask,
            scalar_pressure=settings.scalar_pressure,
        )
    )
    if goes_on:
        note(f"{args.restart}: goes on after step {steps.nsteps:,}")
    # Between two calls of the core the bar is drawn, and the restart file written.
    chunk, most = 1, _SAVE_SECONDS if args.restart else _DRAW_SECONDS
    converged = False
    try:
        while True:
            begin = time.perf_counter()
            chunk = min(chunk, max(0, args.steps - steps.nsteps))
            converged = bool(steps.run(fmax=args.fmax, steps=chunk))
            if converged or steps.nsteps >= args.steps:
                return _Run(int(steps.nsteps), converged)
            if bar.due():
                largest = np.linalg.norm(atoms.get_forces(), axis=1).max()
                bar.show(steps.nsteps, f"fmax {largest:.3g} eV/A")
            seconds = max(time.perf_counter() - begin, 1e-6)
            chunk = int(max(1, min(8 * chunk, chunk * most / seconds)))
    except KeyboardInterrupt:
        return _Run(int(steps.nsteps), False, interrupted=True)
    except RelaxationError as e:
        return _Run(int(steps.nsteps), False, failure=str(e))


def _by_ase(
    atoms: Atoms,
    settings: Settings,
    args: argparse.Namespace,
    bar: Progress,
    stack: contextlib.ExitStack,
) -> _Run:
    moved = filtered(atoms, settings)
    kind = optimizer_class(settings.optimizer)
    steps = stack.enter_context(kind(moved, logfile=None, trajectory=args.trajectory))
    converged = False
    try:
        for converged in steps.irun(fmax=args.fmax, steps=args.steps):  # noqa: B007
            if bar.due():
                largest = np.linalg.norm(moved.get_forces(), axis=1).max()
                bar.show(steps.nsteps, f"fmax {largest:.3g} eV/A")
    except KeyboardInterrupt:
        return _Run(int(steps.nsteps), False, interrupted=True)
    return _Run(int(steps.nsteps), bool(converged))


def _try_to_write(atoms: Atoms, args: argparse.Namespace) -> None:
    """Before any work, of which the result would be lost: not every format has a place for every structure."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            _write_to(str(Path(folder) / Path(args.output).name), atoms)
        except OSError:  # of the temporary folder
            return
        except Exception as e:  # ASE's writers raise all kinds of exceptions
            why = one_line(f"{type(e).__name__}: {e}", 300)
            raise UsageError(
                f"-o {args.output}: ASE cannot write {args.structure} so: {why}; expected a name of another"
                " format, such as .extxyz"
            ) from e


def _write(atoms: Atoms, args: argparse.Namespace) -> None:
    with writing(args.output):
        _write_to(args.output, atoms)


def _write_to(path: str, atoms: Atoms) -> None:
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write

    from mdkern.io.structures import with_words

    names = ("energy", "forces", "stress") if atoms.cell.rank == 3 else ("energy", "forces")
    results = {name: atoms.calc.get_property(name, atoms) for name in names}
    frame = atoms.copy()
    frame.calc = SinglePointCalculator(frame, **results)
    write(path, with_words(frame) if path.endswith(("xyz", "xyz.gz")) else frame)


def _verdict(args: argparse.Namespace, facts: dict[str, Any]) -> str:
    moved = "force" if args.cell == "none" else "force or stress of the cell"
    if facts["converged"]:
        return f"yes: no {moved} above {args.fmax:g}"
    if facts["interrupted"]:
        return "no: interrupted"
    if facts["failure"]:
        return f"no: {facts['failure']}"
    return f"no: a {moved} is still above {args.fmax:g}; --steps {args.steps} did not suffice"


def _report(args: argparse.Namespace, facts: dict[str, Any]) -> None:
    if args.json:
        print_json(facts)
        return
    before, after = facts["before"], facts["after"]

    def change(key: str, unit: str, digits: int = 6) -> str:
        if key not in after:
            return "-"
        return f"{number(before[key], digits)} -> {number(after[key], digits)} {unit}"

    fields = {
        "structure": f"{one_line(args.structure)}: {facts['n_atoms']:,} atoms, {facts['formula']}",
        "potential": facts["potential"],
        "optimizer": f"{args.optimizer}, cell {args.cell}, fmax {args.fmax:g} eV/A",
        "steps": f"{facts['steps']:,}" + ("" if facts["converged"] else " (not converged)"),
        "converged": _verdict(args, facts),
        "energy": change("energy_eV_per_atom", "eV/atom", 8),
        "largest force": change("fmax_eV_per_A", "eV/A", 3),
        "pressure": change("pressure_GPa", "GPa", 4),
        "volume": change("volume_A3", "A^3", 7),
        "written": ", ".join(one_line(f) for f in facts["files"].values() if f) or "nothing",
    }
    if "cell_lengths_angles" in after:
        a, b, c, *angles = after["cell_lengths_angles"]
        turn = " ".join(f"{x:.4g}" for x in angles)
        fields["cell"] = f"{a:.6g} {b:.6g} {c:.6g} A, {turn} degrees"
    print_fields("", fields)
