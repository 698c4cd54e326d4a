"""Damaged files for every reader: ``python tests/fuzz [--format NAME ...] [--inputs N] [--seed S]``.

Exit status 1 where something comes out that is no refusal: another exception, a crash, more than 2 s of CPU, more memory than
4 times the file and 64 MB. ``--only INDEX`` repeats one input in this process and keeps its file.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from pathlib import Path

# Before OpenMP starts: the inputs run in forked processes, and are small.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import harness
from formats import FORMATS, missing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--format", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--inputs", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int)
    parser.add_argument("--sanitized", action="store_true", help="longer times, no bound of memory")
    args = parser.parse_args()
    status = 0
    for name in args.format:
        if package := missing(name):
            print(f"{name}: skipped, needs {package}")
            continue
        kind = FORMATS[name]
        if args.only is not None:
            path = Path(f"{name}-{args.seed}-{args.only}{kind.suffix}")
            rng = harness.generator(kind, args.seed, args.only)
            path.write_bytes(kind.mutant(rng))
            print(path, harness.attempt(kind, str(path), rng))
            continue
        report = harness.run(kind, args.inputs, args.seed, args.first, args.sanitized)
        print(report.line(), flush=True)
        same = Counter(str(f.get("where", "")) + f["finding"][:60] for f in report.findings)
        for found in report.findings:
            status = 1
            key = str(found.get("where", "")) + found["finding"][:60]
            if key in same:
                print(
                    f"  --format {name} --seed {args.seed} --only {found['index']}: {same.pop(key)} times {found['finding']}; {found.get('where', '')}"
                )
    return status


if __name__ == "__main__":
    sys.exit(main())
