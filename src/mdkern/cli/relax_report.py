"""What ``mdkern relax`` says of many frames: a row for each, as JSON lines, as a table, and in short for people."""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

from mdkern.cli.output import number, one_line, print_fields, print_table, writing

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["LineWriter", "TableWriter", "print_report", "row_of"]

COLUMNS = (
    "frame",
    "formula",
    "n_atoms",
    "converged",
    "failed",
    "steps",
    "before",
    "energy",
    "fmax",
    "volume_before",
    "volume",
    "cell",
    "stopped",
)
_LENGTHS = ("a", "b", "c", "alpha", "beta", "gamma")
_SHOWN = 20  # frames of the table for people
Mode = Literal["x", "w"]


def row_of(k: int, atoms: Atoms, frame: Atoms, result: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of a frame by the names of `COLUMNS`: energies in eV, ``fmax`` in eV/Angstrom, lengths in Angstrom; None where there is none.

    `atoms` as it was read, `frame` as :func:`mdkern.relaxation.outcome` made it.
    """
    known = frame.calc is not None
    has_volume = atoms.cell.rank == 3
    return {
        "frame": k,
        "formula": frame.get_chemical_formula(empirical=True),
        "n_atoms": len(frame),
        "converged": frame.info["converged"],
        "failed": frame.info["failed"],
        "steps": frame.info["steps"],
        "before": float(result["before"]) if known else None,
        "energy": float(result["energy"]) if known else None,
        "fmax": frame.info.get("fmax"),
        "volume_before": float(abs(atoms.cell.volume)) if has_volume else None,
        "volume": float(abs(frame.cell.volume)) if has_volume else None,
        "cell": frame.cell.cellpar().tolist() if has_volume else None,
        "stopped": frame.info.get("stopped"),
    }


def _text_file(path: str, mode: Mode) -> TextIO:
    # Lines end as they are written, on every system.
    return Path(path).open(mode, encoding="utf-8", newline="")


class _RowWriter:
    """A line for each row, on disk when `write` returns."""

    def __init__(self, path: str, mode: Mode) -> None:
        self._path = path
        with writing(path):
            self._file = _text_file(path, mode)

    def line(self, row: Mapping[str, Any]) -> str:
        raise NotImplementedError

    def write(self, row: Mapping[str, Any]) -> None:
        self._append(self.line(row))

    def _append(self, line: str) -> None:
        with writing(self._path):
            self._file.write(line)
            self._file.flush()

    def close(self) -> None:
        with writing(self._path):
            self._file.close()


class LineWriter(_RowWriter):
    """JSON documents, one in each line."""

    def line(self, row: Mapping[str, Any]) -> str:
        plain = {
            k: None if isinstance(x, float) and not math.isfinite(x) else x for k, x in row.items()
        }
        return json.dumps(plain, allow_nan=False) + "\n"


class TableWriter(_RowWriter):
    """Values separated by commas, one line of names first; empty where there is none."""

    def __init__(self, path: str, mode: Mode) -> None:
        super().__init__(path, mode)
        names = [x for name in COLUMNS for x in (_LENGTHS if name == "cell" else (name,))]
        self._append(",".join(names) + "\n")

    def line(self, row: Mapping[str, Any]) -> str:
        cells: list[Any] = []
        for name in COLUMNS:
            value = row[name]
            if name == "cell":
                cells += [""] * 6 if value is None else [f"{x:.10g}" for x in value]
            elif isinstance(value, float):
                cells.append(f"{value:.10g}" if math.isfinite(value) else "")
            else:
                cells.append("" if value is None else value)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(cells)
        return text.getvalue()


def print_report(args: argparse.Namespace, facts: Mapping[str, Any]) -> None:
    """The summary, and a table of some frames."""
    rows = facts["results"]
    gained = [(row["energy"] - row["before"]) / row["n_atoms"] for row in rows] or [0.0]
    steps = [row["steps"] for row in rows] or [0]
    failed = f", {facts['failed']:,} failed" if facts["failed"] else ""
    many = "frame" if facts["frames"] == 1 else "frames"
    rate = facts["frames"] / facts["seconds"] if facts["seconds"] > 0.0 else math.nan
    fresh = facts["frames"] - facts["taken_over"]
    files = [name for name in facts["files"].values() if name]
    fields = {
        "frames": f"{one_line(args.structure)}: {facts['frames']:,} {many}{failed}",
        "potential": facts["potential"],
        "optimizer": f"{args.optimizer}, cell {args.cell}, fmax {args.fmax:g} eV/A",
        "converged": f"{facts['converged']:,} of {facts['frames']:,}",
        "steps": f"{sum(steps) / len(steps):.3g} on average, at most {max(steps):,}",
        "energy": f"{sum(gained) / len(gained):.3g} eV/atom on average, at most {min(gained):.3g}",
        "time": f"{facts['seconds']:.3g} s"
        + (f", {number(rate, 3)} structures/s" if fresh == facts["frames"] > 1 else ""),
        "written": ", ".join(one_line(name) for name in files) or "nothing",
    }
    print_fields("", fields)
    if rows:
        print()
        _print_frames(rows)


def _print_frames(rows: Sequence[Mapping[str, Any]]) -> None:
    names: tuple[str, ...] = (
        "frame",
        "formula",
        "atoms",
        "steps",
        "eV/atom",
        "change",
        "A^3/atom",
        "change",
        "",
    )
    lines: list[tuple[str, ...]] = []
    for row in rows[:_SHOWN]:
        n = row["n_atoms"]
        volume, change = "-", "-"
        if row["volume"] is not None:
            volume = f"{row['volume'] / n:.3f}"
            change = f"{100 * (row['volume'] / row['volume_before'] - 1):+.2f} %"
        lines.append(
            (
                f"{row['frame']}",
                one_line(row["formula"], 20),
                f"{n:,}",
                f"{row['steps']:,}",
                f"{row['energy'] / n:.4f}",
                f"{(row['energy'] - row['before']) / n:+.4f}",
                volume,
                change,
                "" if row["converged"] else "not converged",
            )
        )
    if all(not line[-1] for line in lines):
        names, lines = names[:-1], [line[:-1] for line in lines]
    print_table("", names, lines)
    more = len(rows) - _SHOWN
    if more > 0:
        print(f"and {more:,} more; --table and --jsonl have all")
