"""``mdkern export``: a potential as a model file that programs in C read without Python."""

from __future__ import annotations

import argparse
from pathlib import Path

from mdkern.cli.options import check_outputs
from mdkern.cli.output import UsageError, note, writing
from mdkern.cli.potential import HELP as POTENTIALS
from mdkern.cli.potential import inputs_of, make_potential, terms_of

HELP = "a potential as a model file for the C interface"
DESCRIPTION = (
    "Write a potential as a model file (.mdk): arrays by name in the layout of safetensors, as the\n"
    "core takes them. mdkern.h, mdkern.load and --potential read it, and give the bits of the original."
)
EPILOG = f"""\
examples:
  mdkern export nep.txt -o nep.mdk
  mdkern export Cu.eam.alloy -o Cu.mdk
  mdkern export mace-mh-1.model --set head=omat_pbe precision=single -o omat.mdk
  mdkern export zhou2004 --elements Cu Ni -o CuNi.mdk
  mdkern export lj:epsilon=0.0103,sigma=3.405,rc=8.5 -o lj.mdk

{POTENTIALS}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("potential", metavar="POTENTIAL", help="a file, or a built-in potential")
    parser.add_argument("-o", "--output", metavar="MODEL.mdk", required=True, help="the model file")
    parser.add_argument(
        "--elements", nargs="+", default=(), metavar="X", help="chemical symbols, for zhou2004"
    )
    parser.add_argument(
        "--set",
        nargs="+",
        default=(),
        metavar="NAME=VALUE",
        help="parameters of a file's potential, such as precision=single",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")


def run(args: argparse.Namespace) -> int:
    if not args.output.endswith(".mdk"):
        raise UsageError(f"-o {args.output}: expected a name that ends in .mdk")
    check_outputs([args.output], inputs_of(args.potential), args.overwrite)
    names = [term.partition(":")[0] for term in terms_of(args.potential)]
    if "zhou2004" in names and not args.elements:
        raise UsageError("--elements: none; zhou2004 needs the elements of the model")
    made = make_potential(args.potential, args.elements, skin=0.3, options=args.set)
    potential = made.calculator.potential
    export = getattr(potential, "export", None)
    if export is None:
        raise UsageError(
            f"{args.potential}: a {type(potential).__name__}; expected a potential that the core evaluates"
        )
    with writing(args.output):
        export(args.output)
    species = "any element" if potential.species is None else " ".join(potential.species)
    note(f"{args.output}: {Path(args.output).stat().st_size} bytes, {species}")
    return 0
