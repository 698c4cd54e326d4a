"""Files that a simulation writes: frames that ASE reads, and a table of samples."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from mdkern.cli.output import UsageError

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["FrameWriter", "LogWriter", "open_trajectory", "snapshot", "trajectory_format"]

_FORMATS = {".extxyz": "extxyz", ".xyz": "extxyz", ".traj": "traj"}
PREFIX = "mdkern_"


def trajectory_format(name: str) -> str:
    """ "extxyz" or "traj", from the suffix."""
    suffix = Path(name).suffix
    if suffix not in _FORMATS:
        raise UsageError(f"-o {name}: expected a name that ends in {', '.join(_FORMATS)}")
    return _FORMATS[suffix]


def snapshot(atoms: Atoms, step: int, time_ps: float, header: Mapping[str, Any]) -> Atoms:
    """Copy of the atoms with energy, forces and stress as results, `header` in ``info``."""
    from ase.calculators.singlepoint import SinglePointCalculator

    frame: Atoms = atoms.copy()
    for key in [k for k in frame.info if str(k).startswith(PREFIX)]:  # of an earlier run
        del frame.info[key]
    frame.info.update(step=step, time_ps=time_ps)
    frame.info.update({PREFIX + key: value for key, value in header.items()})
    results = {
        "energy": atoms.get_potential_energy(),
        "forces": atoms.get_forces(apply_constraint=False),
    }
    if atoms.cell.rank == 3:
        results["stress"] = atoms.get_stress(apply_constraint=False)
    frame.calc = SinglePointCalculator(frame, **results)
    return frame


def _create(path: str, overwrite: bool) -> TextIO:
    return Path(path).open("w" if overwrite else "x", encoding="utf-8")


class FrameWriter(Protocol):
    """Takes frames; each one is on disk when `write` returns."""

    def write(self, frame: Atoms) -> None: ...

    def close(self) -> None: ...


class _ExtxyzWriter:
    def __init__(self, path: str, overwrite: bool) -> None:
        self._file = _create(path, overwrite)

    def write(self, frame: Atoms) -> None:
        from ase.io import write

        # In one piece, so that no half frame is left where the process is killed.
        text = io.StringIO()
        write(text, frame, format="extxyz")
        self._file.write(text.getvalue())
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class _TrajWriter:
    def __init__(self, path: str, overwrite: bool) -> None:
        from ase.io.trajectory import TrajectoryWriter

        if not overwrite:
            Path(path).open("xb").close()  # fails where the file exists
        self._writer = TrajectoryWriter(path, mode="w")

    def write(self, frame: Atoms) -> None:
        self._writer.write(frame)

    def close(self) -> None:
        self._writer.close()


def open_trajectory(path: str, overwrite: bool) -> FrameWriter:
    """Writer for the format that the suffix names."""
    return (_ExtxyzWriter if trajectory_format(path) == "extxyz" else _TrajWriter)(path, overwrite)


class LogWriter:
    """CSV: a comment line with the metadata as JSON, names, one row per sample; flushed row by row."""

    def __init__(
        self, path: str, header: Mapping[str, Any], columns: Sequence[str], overwrite: bool
    ) -> None:
        self._file = _create(path, overwrite)
        self._file.write(f"# {json.dumps(dict(header))}\n{','.join(columns)}\n")
        self._file.flush()

    def write(self, row: Sequence[float]) -> None:
        cells = (
            "" if math.isnan(x) else str(x) if isinstance(x, int) else f"{x:.10g}" for x in row
        )
        self._file.write(",".join(cells) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()
