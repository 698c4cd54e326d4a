"""``mdkern validate``: a potential checked on a structure, as a table of passed and failed."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from mdkern.cli import potential
from mdkern.cli.options import (
    STRUCTURE_HELP,
    add_reading,
    non_negative,
    non_negative_int,
    read_structure,
)
from mdkern.cli.output import Progress, UsageError, error, note, one_line, print_json, print_table
from mdkern.errors import MDKernError

if TYPE_CHECKING:
    from ase import Atoms

HELP = "check a potential on a structure: derivatives, invariances, threads, instruction sets"
DESCRIPTION = (
    "Check a potential on a structure of yours: forces and stress against finite differences,\n"
    "invariances, kept neighbor lists, the same bits for all threads, agreement of instruction sets."
)
EPILOG = (
    potential.HELP
    + """
examples:
  mdkern validate crystal.cif --potential Cu.eam.alloy
  mdkern validate argon.xyz --potential lj:epsilon=0.0103,sigma=3.405,rc=8.5 --json

Atoms are displaced at random by --rattle first, as all forces of a perfect crystal are zero. Potentials
that are cut without a smooth end may fail the differences. The exit status is 1 if a check fails.
Energies, forces and stress that the file has are compared with, on stderr; that is no check.
The former order of arguments, `mdkern validate POTENTIAL STRUCTURE`, still works.
"""
)
MOST_ATOMS = 5000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("structure", metavar="STRUCTURE", help=STRUCTURE_HELP)
    add("second", nargs="?", help=argparse.SUPPRESS)  # the structure, in the former order
    add("--potential", metavar="P", help="file or built-in potential, see below")
    add("--index", type=int, default=-1, metavar="N", help="frame of the file (default: the last)")
    add("--rattle", type=non_negative, default=0.05, metavar="A", help="default 0.05")
    add("--seed", type=non_negative_int, default=0, metavar="N", help="default 0")
    add("--json", action="store_true", help="one JSON document on stdout")
    add_reading(parser)


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from mdkern.validation import validate

    _order(args)
    atoms = read_structure(args.structure, args.index, args)
    if not 0 < len(atoms) <= MOST_ATOMS:
        raise UsageError(f"{args.structure}: {len(atoms)} atoms; expected 1 to {MOST_ATOMS}")
    chosen = potential.make_potential(args.potential, atoms.get_chemical_symbols(), 0.3)
    against = _against_file(args, atoms, chosen.calculator)
    rng = np.random.default_rng(args.seed)
    atoms.positions += rng.normal(scale=args.rattle, size=atoms.positions.shape)
    checks = []
    with Progress("validate", 15, not args.json) as bar:
        try:
            for check in validate(atoms, chosen.calculator, seed=args.seed):
                checks.append(check)
                bar.show(len(checks), check.name)
        except MDKernError as e:
            raise UsageError(f"{args.structure}: {e}") from e
    failed = [check.name for check in checks if not check.passed]
    if args.json:
        print_json(_facts(args, chosen, len(atoms), checks) | {"against_file": against})
    else:
        rows = [
            (
                check.name,
                f"{check.value:.2g}",
                f"{check.bound:.2g}",
                check.unit,
                "pass" if check.passed else "FAIL",
                check.note,
            )
            for check in checks
        ]
        title = f"{one_line(chosen.spec)} on {one_line(args.structure)}, {len(atoms):,} atoms"
        print_table(title, ("check", "found", "allowed", "unit", "", ""), rows, right=False)
        for name, (difference, unit) in against.items():
            note(
                f"{name} of the file (before --rattle): largest difference {difference:.4g} {unit}"
            )
    for name in failed:
        error(f"check failed: {name}")
    return 1 if failed else 0


def _against_file(
    args: argparse.Namespace, atoms: Atoms, calculator: Any
) -> dict[str, tuple[float, str]]:
    """Largest difference to the reference values that the frame carries: no check, as a potential need not fit them."""
    import numpy as np

    import mdkern
    from mdkern.io.labels import read_labels

    units = {"energy": "eV/atom", "forces": "eV/A", "stress": "eV/A^3"}
    labels = {k: v for k, v in read_labels(atoms).values.items() if k in units}
    if atoms.cell.rank < 3:
        labels.pop("stress", None)
    if not labels:
        return {}
    try:
        (found,) = mdkern.evaluate([atoms], calculator, tuple(labels))
    except MDKernError as e:
        raise UsageError(f"{args.structure}: {e}") from e
    out = {}
    for name, value in labels.items():
        scale = len(atoms) if name == "energy" else 1
        out[name] = (float(np.abs(found[name] - value).max()) / scale, units[name])
    return out


def _order(args: argparse.Namespace) -> None:
    """Structure and potential, also from the former order: MODEL STRUCTURE."""
    first, second = args.structure, args.second
    if second is None and args.potential is None:
        raise UsageError("--potential: missing; see mdkern validate --help")
    if second is not None and args.potential is not None:
        raise UsageError(f"{second}: a second structure; expected one, and --potential")
    if second is not None:
        turned = potential.is_built_in(second) and not potential.is_built_in(first)
        args.potential, args.structure = (second, first) if turned else (first, second)


def _facts(
    args: argparse.Namespace, chosen: potential.Potential, n_atoms: int, checks: list[Any]
) -> dict[str, Any]:
    import mdkern

    return {
        "potential": one_line(chosen.path or chosen.spec, 2000),
        "potential_sha256": chosen.sha256 or "built-in",
        "structure": args.structure,
        "n_atoms": n_atoms,
        "rattle_A": args.rattle,
        "seed": args.seed,
        "version": mdkern.__version__,
        "isa": mdkern.get_isa(),
        "passed": all(check.passed for check in checks),
        "checks": [
            {
                "name": check.name,
                "value": check.value,
                "bound": check.bound,
                "unit": check.unit,
                "passed": check.passed,
                "note": check.note,
            }
            for check in checks
        ],
    }
