"""``mdkern convert``: a model of another program as a file that needs nothing of that program."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from mdkern.cli.options import check_outputs
from mdkern.cli.output import UsageError, note, writing

HELP = "a MACE model as .npz, without PyTorch"
DESCRIPTION = (
    "Write a model of another program as plain arrays. MACE: what torch.save wrote (.model), or a\n"
    "TorchScript file, as .npz, which mdkern reads faster and anybody may look into. Nothing in the\n"
    "file is executed, and PyTorch is not needed."
)
EPILOG = """\
examples:
  mdkern convert mace MACE-OFF23_small.model off.npz
  mdkern info off.npz
"""


def _mace(source: str, target: str) -> str:
    from mdkern.io.mace import read_mace, write_mace

    model = read_mace(source)
    with writing(target):
        write_mace(target, model)
    return f"{model.meta['model']}, {sum(a.size for a in model.arrays.values()):,} numbers"


_FORMATS: dict[str, tuple[str, Callable[[str, str], str]]] = {"mace": (".npz", _mace)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("format", choices=_FORMATS, metavar="FORMAT", help=", ".join(_FORMATS))
    parser.add_argument("model", metavar="MODEL", help="a .model or TorchScript file, or .npz")
    parser.add_argument("output", metavar="OUTPUT", help="the file to write: .npz")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")


def run(args: argparse.Namespace) -> int:
    suffix, convert = _FORMATS[args.format]
    if not args.output.endswith(suffix):
        raise UsageError(f"{args.output}: expected a name that ends in {suffix}")
    check_outputs([args.output], [args.model], args.overwrite)
    said = convert(args.model, args.output)
    note(f"{args.output}: {Path(args.output).stat().st_size} bytes, {said}")
    return 0
