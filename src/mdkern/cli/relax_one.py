"""``mdkern relax`` of one structure."""

from __future__ import annotations

import argparse
import contextlib
from typing import TYPE_CHECKING, Any

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
from mdkern.errors import MDKernError
from mdkern.relaxation_ase import filtered, optimizer_class

if TYPE_CHECKING:
    from ase import Atoms

    from mdkern.relaxation_job import Settings

__all__ = ["relax_one"]


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
        settings.constrain(atoms)
        atoms.calc = chosen.calculator
        before = _state(atoms)
    except (MDKernError, ValueError) as e:
        raise UsageError(f"{args.structure}: {e}") from e
    interrupted, steps, converged = _optimize(filtered(atoms, settings), settings, args)
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


def _say_of_others(args: argparse.Namespace) -> None:
    """A file of several frames, of which one is taken because nobody said which."""
    from mdkern.io.structures import quick_count

    n = None if args.structure == "-" else quick_count(args.structure, slice(None), args.format)
    if n is not None and n > 1:
        note(f"{args.structure}: the last of {n:,} frames; --index : relaxes all")


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
        kind = optimizer_class(settings.optimizer)
        steps = stack.enter_context(kind(moved, logfile=None, trajectory=args.trajectory))
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
    moved = "force" if args.cell == "none" else "force or stress of the cell"
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
