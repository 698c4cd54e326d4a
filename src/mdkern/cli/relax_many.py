"""``mdkern relax`` of several frames."""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdkern.cli import potential
from mdkern.cli.options import dataset
from mdkern.cli.output import UsageError, error, note, one_line, print_json
from mdkern.cli.relax_report import LineWriter, TableWriter, print_report, row_of
from mdkern.cli.scheduler import Many, connected
from mdkern.cli.trajectory import open_trajectory, trajectory_format
from mdkern.errors import FormatError

if TYPE_CHECKING:
    from mdkern.relaxation_job import Relaxation
from mdkern.relaxation_settings import Settings

__all__ = ["relax_many"]


def relax_many(args: argparse.Namespace, settings: Settings) -> int:
    """Relax each of the frames; returns the exit status."""
    from mdkern.relaxation import outcome
    from mdkern.relaxation_job import Relaxation

    if args.output and trajectory_format(args.output) == "h5md":
        raise UsageError(f"-o {args.output}: frames of different sizes do not fit H5MD")
    args.frames = args.structure
    args.on_error = args.on_error or "record"
    outputs = (args.output, args.jsonl, args.table, args.plot)
    replaced = args.overwrite or any(Many.continued(args, *outputs))
    frames = dataset(args)
    recorded = args.on_error == "record"
    chosen = potential.for_frames(args.potential, frames.again, args.skin, recorded)
    job = Relaxation(chosen.calculator, settings)
    _begin_anew(args, job)
    begin = time.perf_counter()
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        many = Many(args, stack.enter_context(connected(args)), frames.number)
        results = many.results(job, frames.frames)
        stack.enter_context(closing(results))
        sinks: list[Any] | None = None
        with many.until_interrupted():
            for k, (atoms, result) in enumerate(results):
                if sinks is None:  # now that the first frame is there
                    sinks = [stack.enter_context(closing(x)) for x in _sinks(args, replaced)]
                frame = outcome(atoms.copy(), result, settings)
                if frame.info["failed"]:
                    text = frame.info["stopped"]
                    if not many.record:
                        raise UsageError(f"{args.frames}: frame {k}: {text}")
                    if "error" not in result:  # others are there already
                        many.bad.add(k, text)
                row = row_of(k, atoms, frame, result)
                rows.append(row)
                for sink in sinks:
                    sink.write(frame if hasattr(sink, "takes_frames") else row)
    if many.found:
        note(f"{many.found:,} of {len(rows):,} frames were finished already, in {args.journal}")
    many.bad.warn(args.frames)
    if args.plot and rows:
        from mdkern.cli.relax_plot import plot_rows

        plot_rows(args.plot, rows, settings)
    if args.beside and not many.interrupted:
        Path(args.beside).unlink(missing_ok=True)
    facts = _facts(args, chosen, rows, many, time.perf_counter() - begin)
    if args.json:
        print_json(facts)
    else:
        print_report(args, facts)
    return 130 if many.interrupted else _status(args, rows)


def _begin_anew(args: argparse.Namespace, job: Relaxation) -> None:
    """The journal that a run with other settings left beside the output does not matter where outputs are replaced."""
    from mdkern.journal import Journal, is_journal

    if not (args.beside and args.overwrite and Path(args.beside).is_file()):
        return
    if not is_journal(args.beside):  # somebody's file of that name: the run will say so
        return
    try:
        Journal(args.beside, job.fingerprint()).close()
    except FormatError:
        Path(args.beside).unlink()


class _Frames:
    """Frames for a file that ASE reads."""

    takes_frames = True

    def __init__(self, writer: Any) -> None:
        self.write, self.close = writer.write, writer.close


def _sinks(args: argparse.Namespace, replaced: bool) -> list[Any]:
    mode: Any = "w" if replaced else "x"
    sinks: list[Any] = []
    if args.output:
        sinks.append(_Frames(open_trajectory(args.output, mode)))
    if args.jsonl:
        sinks.append(LineWriter(args.jsonl, mode))
    if args.table:
        sinks.append(TableWriter(args.table, mode))
    return sinks


def _status(args: argparse.Namespace, rows: list[dict[str, Any]]) -> int:
    left = [row["frame"] for row in rows if not (row["converged"] or row["failed"])]
    if left:
        error(
            f"{len(left):,} of {len(rows):,} frames not converged after {args.steps} steps, frame {left[0]}"
            " the first; --steps allows more"
        )
    return 0 if all(row["converged"] for row in rows) else 1


def _facts(
    args: argparse.Namespace,
    chosen: potential.Potential,
    rows: list[dict[str, Any]],
    many: Many,
    seconds: float,
) -> dict[str, Any]:
    return {
        "structure": args.structure,
        "frames": len(rows),
        "converged": sum(row["converged"] for row in rows),
        "failed": len(many.bad.frames),
        "taken_over": many.found,
        "potential": one_line(chosen.path or chosen.spec, 2000),
        "potential_sha256": chosen.sha256 or "built-in",
        "optimizer": args.optimizer,
        "cell": args.cell,
        "pressure_GPa": args.pressure or 0.0,
        "interrupted": many.interrupted,
        "scheduler": args.scheduler,
        "seconds": seconds,
        "results": [row for row in rows if not row["failed"]],
        "bad_frames": many.bad.frames,
        "files": {
            "structure": args.output,
            "lines": args.jsonl,
            "table": args.table,
            "plot": args.plot,
            "journal": args.journal if many.interrupted or not args.beside else None,
        },
    }
