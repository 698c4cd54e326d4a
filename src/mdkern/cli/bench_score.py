"""``mdkern bench --score``: run the suite and show it; the measuring is in `mdkern.bench.score`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from mdkern.cli.output import Progress, UsageError, error, print_fields, print_json, print_table

__all__ = ["run_score"]


def run_score(args: argparse.Namespace) -> int:
    """Measure, show, and return the exit status: 1 where a result is wrong, 0 however the machine is marked."""
    from mdkern import _runtime
    from mdkern.bench import score
    from mdkern.bench.score.cases import CASES

    if args.only is not None:
        raise UsageError(f"--only: {args.only!r}; --score has a fixed list")
    folder = None
    if args.output is not None:  # before the measurement, which takes minutes
        folder = Path(args.output)
        folder.mkdir(parents=True, exist_ok=True)
    threads = args.threads or _runtime.get_num_threads()
    try:
        with Progress("score", len(CASES) + 3) as bar:
            document = score.measure(threads, quick=args.quick, progress=bar.show)
    except AssertionError as wrong:
        error(f"no score: {wrong}")
        return 1
    if args.json:
        print_json(document)
    else:
        _show(document)
    if folder is not None:
        text = json.dumps(document, indent=2) + "\n"
        (folder / "score.json").write_text(text, encoding="utf-8")
    return 0


def _show(document: dict[str, Any]) -> None:
    machine, scores, steady = (document[key] for key in ("machine", "scores", "steadiness"))
    counts = [score["threads"] for score in scores]
    rows: dict[str, list[str]] = {}
    for case in document["cases"]:
        unit = "G" + case["unit"]
        start = [f"{case['name']}, {case['system']}", case["bound"]]
        rows.setdefault(case["name"], start).extend(
            [
                f"{1e3 * case['seconds']:.2f} ms",
                f"{case['rate'] / 1e9:.1f} {unit}",
                f"{100 * case['share']:.1f} %",
            ]
        )
    header = ["case, system", "bound by"]
    for n in counts:
        header += [_threads(n), "rate", "share"]
    print_table(
        f"Score {document['score']}: {machine['cpu']}, {machine['isa']}",
        header,
        list(rows.values()),
    )
    print()
    print_table(
        "",
        ["score", *map(_threads, counts)],
        [
            [
                name,
                *(
                    f"{100 * score[bound]:.1f} % of {score[limit] / 1e9:.1f} {unit}"
                    for score in scores
                ),
            ]
            for name, bound, limit, unit in (
                ("multiply-add peak", "compute", "peak", "GFLOP/s"),
                ("memory bandwidth", "memory", "bandwidth", "GB/s"),
            )
        ],
    )
    print()
    steal, two = steady["steal"], steady["two_threads"]
    load = steady["load_average"]
    print_fields(
        "",
        {
            "readings apart": f"{100 * steady['spread']:.1f} %",
            "CPU of one thread's calls": f"{100 * steady['cpu_share']:.1f} %",
            "stolen by the hypervisor": "unknown" if steal is None else f"{100 * steal:.1f} %",
            "two threads over one": "not measured" if two is None else f"{two:.2f}",
            "load average at the start": "unknown" if load is None else f"{load:.2f}",
            "took": f"{document['seconds']:.0f} s",
        },
    )
    print()
    if document["comparable"]:
        print("steady: this result is for the table of machines")
    for mark in document["marks"]:
        print(f"not for the table, {mark['name']}: {mark['text']}")


def _threads(n: int) -> str:
    return f"{n} thread{'s' if n > 1 else ''}"
