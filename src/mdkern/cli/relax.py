"""``mdkern relax``: the nearest minimum of energy, with ASE's optimizers."""

from __future__ import annotations

import argparse
import contextlib
from typing import TYPE_CHECKING, Any

from mdkern.cli import potential
from mdkern.cli.optimize import Settings, optimizer, target
from mdkern.cli.options import (
    add_reading,
    check_outputs,
    finite,
    frames_index,
    non_negative,
    non_negative_int,
    positive,
    read_structure,
)
from mdkern.cli.output import (
    Progress,
    UsageError,
    error,
    number,
    one_line,
    print_fields,
    print_json,
    writing,
)
from mdkern.cli.scheduler import DATASET_HELP, Many, add_many
from mdkern.errors import MDKernError

if TYPE_CHECKING:
    from ase import Atoms

HELP = "relax positions, and the cell if wanted"
DESCRIPTION = (
    "Relax a structure with one of ASE's optimizers until no force is larger than --fmax.\n"
    "With --cell the cell relaxes too, by ASE's FrechetCellFilter."
)
EPILOG = (
    potential.HELP
    + """
examples:
  mdkern relax Cu.cif --potential zhou2004 --cell full -o relaxed.extxyz
  mdkern relax frames.extxyz --index : --potential model.dp --scheduler local -o relaxed.extxyz
  mdkern relax slab.xyz --potential Cu.eam.alloy --optimizer lbfgs --fmax 0.001 --trajectory way.traj

The exit status is 1 where --steps did not suffice (of several frames: for one of them). Constraints of the structure are kept.
"""
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("structure", metavar="STRUCTURE", help=DATASET_HELP)
    add("--potential", required=True, metavar="P", help="file or built-in potential, see below")
    add("--optimizer", choices=("fire", "lbfgs", "bfgs"), default="fire", help="default: fire")
    add("--fmax", type=positive, default=0.01, metavar="F", help="eV/Angstrom (default 0.01)")
    add("--steps", type=non_negative_int, default=1000, metavar="N", help="at most (default 1000)")
    add(
        "--cell",
        choices=("fixed", "full", "volume", "shape"),
        default="fixed",
        help="what of the cell relaxes: nothing (default), all, its volume, its shape at constant volume",
    )
    add("--pressure", type=finite, metavar="GPA", help="with --cell full or volume (default 0)")
    add(
        "--index",
        type=frames_index,
        metavar="N|A:B:C",
        help="frame of the file (default: the last), or several (default with --scheduler: all)",
    )
    add("--skin", type=non_negative, default=0.3, metavar="A", help="of the neighbor list")
    add("-o", "--output", metavar="FILE", help="relaxed structure, a format that ASE writes")
    add("--trajectory", metavar="FILE.traj", help="every step on the way")
    add("--overwrite", action="store_true", help="replace existing outputs")
    add("--json", action="store_true", help="summary as one JSON document on stdout")
    add_many(parser)
    add_reading(parser)


def run(args: argparse.Namespace) -> int:
    from mdkern.io.labels import drop_labels

    _check(args)
    if args.index is None:
        args.index = -1 if args.scheduler is None else slice(None)
    if isinstance(args.index, slice):
        from mdkern.cli.relax_many import relax_many

        return relax_many(args, settings_of(args))
    for name in ("scheduler", "workers", "journal", "on_error"):
        if getattr(args, name) is not None:
            option = name.replace("_", "-")
            raise UsageError(
                f"--{option}: for several frames; expected --index with a slice such as :"
            )
    atoms = read_structure(args.structure, args.index, args)
    if len(atoms) == 0:
        raise UsageError(f"{args.structure}: no atoms")
    if args.cell != "fixed" and (atoms.cell.rank < 3 or not atoms.pbc.all()):
        raise UsageError(f"--cell {args.cell}: {args.structure} is not periodic in all directions")
    drop_labels(atoms)
    chosen = potential.make_potential(args.potential, atoms.get_chemical_symbols(), args.skin)
    atoms.calc = chosen.calculator
    try:
        before = _state(atoms)
    except MDKernError as e:
        raise UsageError(f"{args.structure}: {e}") from e
    settings = settings_of(args)
    interrupted, steps, converged = _optimize(target(atoms, settings), settings, args)
    after = _state(atoms)
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
        "steps": steps,
        "converged": converged,
        "interrupted": interrupted,
        "before": before,
        "after": after,
        "files": {"structure": args.output, "trajectory": args.trajectory},
    }
    _report(args, facts)
    if interrupted:
        return 130
    if not converged:
        error(
            f"not converged after {steps} steps: largest force {after['fmax_eV_per_A']:.3g} eV/A,"
            f" expected {args.fmax:g} with --fmax; --steps allows more"
        )
        return 1
    return 0


def settings_of(args: argparse.Namespace) -> Settings:
    """What the options say of the optimizer."""
    return Settings(args.optimizer, args.fmax, args.steps, args.cell, args.pressure or 0.0)


def _check(args: argparse.Namespace) -> None:
    if args.pressure is not None and args.cell not in ("full", "volume"):
        raise UsageError("--pressure: expected --cell full or volume with it")
    if args.trajectory and not args.trajectory.endswith(".traj"):
        raise UsageError(f"--trajectory {args.trajectory}: expected a name that ends in .traj")
    if args.output:
        from ase.io.formats import UnknownFileTypeError, filetype, ioformats

        try:
            kind = filetype(args.output, read=False)
        except UnknownFileTypeError:
            kind = ""
        if kind not in ioformats or not ioformats[kind].can_write:
            raise UsageError(f"-o {args.output}: ASE knows no format to write by this name")
    outputs, continued = [args.output, args.trajectory], Many.continued(args, args.output)
    inputs = [args.structure, *potential.inputs_of(args.potential)]
    check_outputs([*outputs, args.journal], inputs, args.overwrite, [*continued, args.journal])


def _state(atoms: Atoms) -> dict[str, Any]:
    import numpy as np
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


def _optimize(moved: Any, settings: Settings, args: argparse.Namespace) -> tuple[bool, int, bool]:
    """(interrupted, steps, converged)."""
    import numpy as np

    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(Progress("relax", args.steps, not args.json))
        if args.trajectory:
            stack.enter_context(writing(args.trajectory))
        steps = stack.enter_context(optimizer(moved, settings, args.trajectory))
        converged = False
        try:
            for converged in steps.irun(fmax=args.fmax, steps=args.steps):  # noqa: B007
                if bar.due():
                    largest = np.linalg.norm(moved.get_forces(), axis=1).max()
                    bar.show(steps.nsteps, f"fmax {largest:.3g} eV/A")
        except KeyboardInterrupt:
            return True, int(steps.nsteps), False
        return False, int(steps.nsteps), bool(converged)


def _write(atoms: Atoms, args: argparse.Namespace) -> None:
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write

    names = ("energy", "forces", "stress") if atoms.cell.rank == 3 else ("energy", "forces")
    results = {name: atoms.calc.get_property(name, atoms) for name in names}
    frame = atoms.copy()
    frame.calc = SinglePointCalculator(frame, **results)
    with writing(args.output):
        write(args.output, frame)


def _verdict(args: argparse.Namespace, facts: dict[str, Any]) -> str:
    moved = "force" if args.cell == "fixed" else "force or stress of the cell"
    if facts["converged"]:
        return f"yes: no {moved} above {args.fmax:g}"
    if facts["interrupted"]:
        return "no: interrupted"
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
