"""``mdkern relax`` of several frames."""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

from mdkern.cli import potential
from mdkern.cli.jobs import Relaxation
from mdkern.cli.optimize import Settings
from mdkern.cli.options import dataset
from mdkern.cli.output import UsageError, error, one_line, print_fields, print_json
from mdkern.cli.scheduler import Many, connected
from mdkern.cli.trajectory import open_trajectory, trajectory_format
from mdkern.io.structures import with_results

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["relax_many"]


def relax_many(args: argparse.Namespace, settings: Settings) -> int:
    """Relax each of the frames; returns the exit status."""
    if args.trajectory:
        raise UsageError("--trajectory: for one structure; expected --index N with it")
    if args.output and trajectory_format(args.output) == "h5md":
        raise UsageError(f"-o {args.output}: frames of different sizes do not fit H5MD")
    args.frames = args.structure
    continued = Many.continued(args, args.output)
    frames = dataset(args)
    chosen = potential.for_frames(args.potential, frames.again, args.skin)
    begin = time.perf_counter()
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        many = Many(args, stack.enter_context(connected(args)), frames.number)
        results = many.results(Relaxation(chosen.calculator, settings), frames.frames)
        stack.enter_context(closing(results))
        sink = None
        with many.until_interrupted():
            for k, (atoms, result) in enumerate(results):
                if sink is None and args.output:
                    mode: Any = "w" if args.overwrite or continued else "x"
                    sink = stack.enter_context(closing(open_trajectory(args.output, mode)))
                if "error" not in result:
                    names = ("steps", "converged", "before", "energy", "fmax")
                    rows.append(
                        {"frame": k, "n_atoms": len(atoms), **{x: result[x] for x in names}}
                    )
                if sink is not None:
                    sink.write(_frame(atoms, result))
    many.bad.warn(args.frames)
    facts = _facts(args, chosen, rows, many, time.perf_counter() - begin)
    _report(args, facts)
    left = [row["frame"] for row in rows if not row["converged"]]
    if many.interrupted:
        return 130
    if left:
        error(
            f"{len(left):,} of {len(rows):,} frames not converged after {args.steps} steps, frame {left[0]}"
            " the first; --steps allows more"
        )
    return 1 if left else 0


def _frame(atoms: Atoms, result: dict[str, Any]) -> Atoms:
    """The relaxed frame with its results; one that failed as it was, with the reason."""
    from mdkern.io.labels import drop_labels

    frame: Atoms = atoms.copy()
    if "error" in result:
        frame.info["error"] = result["error"]
        return frame
    drop_labels(frame)
    frame.set_cell(result["cell"])
    frame.arrays["positions"][...] = result["positions"]
    frame.info.update(converged=result["converged"], steps=result["steps"])
    names = ("energy", "forces", "stress")
    return with_results(frame, {x: result[x] for x in names if x in result})


def _facts(
    args: argparse.Namespace,
    chosen: potential.Potential,
    rows: list[dict[str, Any]],
    many: Many,
    seconds: float,
) -> dict[str, Any]:
    return {
        "structure": args.structure,
        "frames": len(rows) + len(many.bad.frames),
        "converged": sum(row["converged"] for row in rows),
        "potential": one_line(chosen.path or chosen.spec, 2000),
        "potential_sha256": chosen.sha256 or "built-in",
        "optimizer": args.optimizer,
        "cell": args.cell,
        "pressure_GPa": args.pressure or 0.0,
        "interrupted": many.interrupted,
        "scheduler": args.scheduler,
        "seconds": seconds,
        "results": rows,
        "bad_frames": many.bad.frames,
        "files": {"structure": args.output},
    }


def _report(args: argparse.Namespace, facts: dict[str, Any]) -> None:
    if args.json:
        print_json(facts)
        return
    rows = facts["results"]
    gained = [(row["energy"] - row["before"]) / row["n_atoms"] for row in rows] or [0.0]
    steps = [row["steps"] for row in rows] or [0]
    failed = f", {len(facts['bad_frames']):,} failed" if facts["bad_frames"] else ""
    print_fields(
        "",
        {
            "frames": f"{one_line(args.structure)}: {facts['frames']:,} frames{failed}",
            "potential": facts["potential"],
            "optimizer": f"{args.optimizer}, cell {args.cell}, fmax {args.fmax:g} eV/A",
            "converged": f"{facts['converged']:,} of {len(rows):,}",
            "steps": f"{sum(steps) / len(steps):.3g} on average, at most {max(steps):,}",
            "energy": f"{sum(gained) / len(gained):.3g} eV/atom on average, at most {min(gained):.3g}",
            "time": f"{facts['seconds']:.3g} s",
            "written": one_line(args.output) if args.output else "nothing",
        },
    )
