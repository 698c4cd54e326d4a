"""``mdkern bench``: timings against other codes; the measuring is in `mdkern.bench`."""

from __future__ import annotations

import argparse
from pathlib import Path

from mdkern.cli.bench_score import run_score
from mdkern.cli.output import UsageError, error, print_json

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
  mdkern bench --only relaxation               crystals per second
  mdkern bench --score                         two numbers for this machine, a minute and a half
  mdkern bench --score --json > machine.json   the same for the table in the docs
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="small systems, few repetitions")
    parser.add_argument(
        "--only", metavar="NAME", help="only the benchmarks whose name contains NAME"
    )
    parser.add_argument(
        "--score",
        action="store_true",
        help="a fixed list instead: shares of the multiply-add peak and of the memory bandwidth",
    )
    parser.add_argument("-o", "--output", metavar="FOLDER", help="write pictures and numbers here")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(args: argparse.Namespace) -> int:
    """Measure, report, and return the exit status: 1 where a result differs from the reference."""
    if args.score:
        return run_score(args)

    from mdkern import _runtime
    from mdkern.bench import environment, limits, measure_case, report, screening
    from mdkern.bench.kernels import KERNELS
    from mdkern.bench.systems import make

    wanted = (args.only or "").removesuffix("s")  # "neighbors" too
    chosen = [name for name in KERNELS if wanted in name]
    sets = [name for name in screening.NAMES if wanted in name]
    if not chosen and not sets and wanted != "limit":
        known = (*KERNELS, "relaxation", "limits")
        raise UsageError(f"--only: {args.only!r}; expected (a part of) {', '.join(known)}")
    folder = None
    if args.output is not None:
        folder = Path(args.output)
        folder.mkdir(parents=True, exist_ok=True)
    threads = args.threads or _runtime.get_num_threads()
    found = limits.measure(threads, quick=args.quick)
    around = environment(threads)
    if not args.json:
        report.print_limits(found, around)
    results = []
    for name in chosen:
        kernel = KERNELS[name]
        for system in kernel.quick if args.quick else kernel.systems:
            rounds, budget = (5, 1.5) if args.quick else (15, 30.0)
            try:
                results += measure_case(
                    kernel.make(make(system)), found, threads, rounds=rounds, budget=budget
                )
            except AssertionError as wrong:
                error(f"{name} on {system}: not equal to the reference: {wrong}")
                return 1
    screenings = []
    for name in sets:
        try:
            screenings += screening.measure(name, threads, quick=args.quick)
        except AssertionError as wrong:
            error(f"{name}: {wrong}")
            return 1
    if args.json:
        print_json(report.document(around, found, results, screenings))
    else:
        report.print_measurements(results)
        if screenings:
            report.print_screenings(screenings)
    if folder is not None:
        report.write(folder, around, found, results, screenings)
    return 0
