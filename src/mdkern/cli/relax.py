"""``mdkern relax``: the nearest minimum of energy, of one structure or of many."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from mdkern.cli import potential
from mdkern.cli.options import (
    add_reading,
    check_outputs,
    finite,
    frames_index,
    non_negative,
    non_negative_int,
    positive,
)
from mdkern.cli.output import UsageError
from mdkern.cli.scheduler import DATASET_HELP, Many, add_many

if TYPE_CHECKING:
    from mdkern.relaxation_settings import Settings

HELP = "relax positions, and the cell if wanted, of one structure or many"
DESCRIPTION = (
    "Relax a structure, or each frame of a file, until no force is larger than --fmax.\n"
    "With --cell the cell relaxes too, by the coordinates of ASE's FrechetCellFilter."
)
EPILOG = (
    potential.HELP
    + """
examples:
  mdkern relax Cu.cif --potential zhou2004 --cell full -o relaxed.extxyz
  mdkern relax frames.extxyz --index : --potential nep.txt --cell full -o relaxed.extxyz --table relaxed.csv --plot relaxed.png
  mdkern relax frames.extxyz --index : --potential model.dp --scheduler local -o relaxed.extxyz
  mdkern relax slab.xyz --potential Cu.eam.alloy --optimizer lbfgs --fmax 0.001 --trajectory way.traj

The exit status is 1 where --steps did not suffice, or a frame failed (of several frames: one of them). Constraints of the structure are kept.
"""
)
OPTIMIZERS = ("fire", "fire2", "lbfgs", "bfgs")
CELLS = ("none", "volume", "shape", "full")
# Of a run over many frames, and of one structure.
_OF_MANY = ("scheduler", "workers", "journal", "on_error", "table", "jsonl", "plot")
_OF_ONE = ("trajectory", "restart")


def _cell(text: str) -> str:
    return "none" if text == "fixed" else text  # its former name


def _strains(text: str) -> tuple[int, ...]:
    """Type of `--mask`."""
    digits = tuple(text.replace(",", "").replace(" ", ""))
    if len(digits) != 6 or not set(digits) <= {"0", "1"}:
        raise argparse.ArgumentTypeError(
            f"{text!r}; expected six of 0 and 1, for xx, yy, zz, yz, xz, xy, such as 110001"
        )
    return tuple(map(int, digits))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("structure", metavar="STRUCTURE", help=DATASET_HELP)
    add("--potential", required=True, metavar="P", help="file or built-in potential, see below")
    add("--optimizer", choices=OPTIMIZERS, default="fire", help="default: fire")
    add("--fmax", type=positive, default=0.01, metavar="F", help="eV/Angstrom (default 0.01)")
    add("--steps", type=non_negative_int, default=1000, metavar="N", help="at most (default 1000)")
    add(
        "--cell",
        type=_cell,
        choices=CELLS,
        default="none",
        help="what of the cell relaxes: nothing (default), its volume, its shape at constant volume, all",
    )
    add("--pressure", type=finite, metavar="GPA", help="with --cell full or volume (default 0)")
    add(
        "--mask",
        type=_strains,
        metavar="XXYYZZYZXZXY",
        help="strains that relax, 1, or stay, 0, such as 110001 for a slab (default 111111)",
    )
    add(
        "--symmetry",
        action="store_true",
        help="keep the space group that the structure has at the start (needs spglib)",
    )
    add(
        "--index",
        type=frames_index,
        metavar="N|A:B:C",
        help="frame of the file (default: the last), or several (default with --scheduler, --jsonl, --table, --plot: all)",
    )
    add("--skin", type=non_negative, default=0.3, metavar="A", help="of the neighbor list")
    add("-o", "--output", metavar="FILE", help="relaxed structure, a format that ASE writes")
    add("--trajectory", metavar="FILE.traj", help="of one structure: every step on the way")
    add(
        "--restart",
        metavar="FILE",
        help="of one structure: the optimizer's state, written on the way; where the file exists, the run goes on from it",
    )
    add("--overwrite", action="store_true", help="replace existing outputs")
    add("--json", action="store_true", help="summary as one JSON document on stdout")
    many = add_many(parser, record=True, beside=True).add_argument
    many("--jsonl", metavar="FILE", help="a JSON line for each frame, as it is done")
    many("--table", metavar="FILE.csv", help="the same as a table: energies, volumes, steps")
    many("--plot", metavar="FILE", help="a picture of them: .png, .svg, .pdf")
    add_reading(parser)


def run(args: argparse.Namespace) -> int:
    several = any(getattr(args, name) for name in ("scheduler", "jsonl", "table", "plot"))
    given = args.index is not None
    if not given:
        args.index = slice(None) if several else -1
    many = isinstance(args.index, slice)
    for name in _OF_ONE if many else _OF_MANY:
        if getattr(args, name) is not None:
            option = name.replace("_", "-")
            raise UsageError(
                f"--{option}: for one structure; expected --index N with it"
                if many
                else f"--{option}: for several frames; expected --index with a slice such as :"
            )
    if many and args.journal is None:
        beside = args.output or args.jsonl or args.table
        args.beside = f"{beside}.journal" if beside else None
        args.journal = args.beside
    else:
        args.beside = None
    _check(args)
    if many:
        from mdkern.cli.relax_many import relax_many

        return relax_many(args, settings_of(args))
    from mdkern.cli.relax_one import relax_one

    return relax_one(args, settings_of(args), not given)


def settings_of(args: argparse.Namespace) -> Settings:
    """What the options say of the optimizer."""
    from ase import units

    from mdkern.relaxation_settings import Settings

    pressure = (args.pressure or 0.0) * units.GPa
    return Settings.of(
        args.optimizer, args.fmax, args.steps, args.cell, pressure, args.mask, False, args.symmetry
    )


def _check(args: argparse.Namespace) -> None:
    if args.pressure is not None and args.cell not in ("full", "volume"):
        raise UsageError("--pressure: expected --cell full or volume with it")
    if args.mask is not None and args.cell == "none":
        raise UsageError("--mask: expected --cell full, volume or shape with it")
    if args.symmetry and importlib.util.find_spec("spglib") is None:
        raise UsageError("--symmetry: needs spglib: pip install 'mdkern[symmetry]'")
    if args.trajectory and not args.trajectory.endswith(".traj"):
        raise UsageError(f"--trajectory {args.trajectory}: expected a name that ends in .traj")
    if args.jsonl == "-":
        raise UsageError("--jsonl -: expected the name of a file; --json writes to stdout")
    if args.table and not args.table.endswith(".csv"):
        raise UsageError(f"--table {args.table}: expected a name that ends in .csv")
    if args.plot:
        from mdkern.cli.plots import check_picture

        check_picture(args.plot)
    if args.output:
        from ase.io.formats import UnknownFileTypeError, filetype, ioformats

        try:
            kind = filetype(args.output, read=False)
        except UnknownFileTypeError:
            kind = ""
        if kind not in ioformats or not ioformats[kind].can_write:
            raise UsageError(f"-o {args.output}: ASE knows no format to write by this name")
    outputs = [args.output, args.jsonl, args.table, args.plot, args.trajectory]
    goes_on = bool(args.restart) and Path(args.restart).exists()
    continued = outputs if goes_on else Many.continued(args, *outputs)
    inputs = [args.structure, *potential.inputs_of(args.potential)]
    check_outputs(
        [*outputs, args.journal, args.restart],
        inputs,
        args.overwrite,
        [*continued, args.journal, args.restart],
    )
