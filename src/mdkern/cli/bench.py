"""``mdkern bench``: timings against other codes; the work is in `mdkern.bench`."""

from __future__ import annotations

import argparse

HELP = "timings of mdkern and of the codes it can be compared with"
DESCRIPTION = (
    "Times neighbor lists and potentials on this machine, next to other codes as far as they are\n"
    "installed. Ratios come from runs taken in turn."
)
EPILOG = """\
examples:
  mdkern bench --quick
  mdkern bench --threads 1 -o results          pictures and numbers into the folder results
  mdkern bench --only neighbors --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="small systems, few repetitions")
    parser.add_argument(
        "--only", metavar="NAME", help="only the benchmarks whose name contains NAME"
    )
    parser.add_argument("-o", "--output", metavar="FOLDER", help="write pictures and numbers here")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(args: argparse.Namespace) -> int:
    from mdkern import bench

    return int(bench.run(args) or 0)
