"""Files that a simulation writes: frames that ASE (H5MD: MDAnalysis, VMD) reads, and a table of samples."""

from __future__ import annotations

import io
import json
import math
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from mdkern.cli.output import UsageError

if TYPE_CHECKING:
    from ase import Atoms

__all__ = [
    "BackgroundWriter",
    "FrameWriter",
    "LogWriter",
    "open_trajectory",
    "snapshot",
    "trajectory_format",
]

_FORMATS = {".extxyz": "extxyz", ".xyz": "extxyz", ".traj": "traj", ".h5md": "h5md", ".h5": "h5md"}
PREFIX = "mdkern_"
QUEUE = 8  # frames that may wait for the disk


def trajectory_format(name: str) -> str:
    """ "extxyz", "traj" or "h5md", from the suffix."""
    suffix = Path(name).suffix
    if suffix not in _FORMATS:
        raise UsageError(f"-o {name}: expected a name that ends in {', '.join(_FORMATS)}")
    if _FORMATS[suffix] == "h5md":
        try:
            import h5py  # noqa: F401
        except ImportError:
            raise UsageError(f"-o {name}: H5MD needs h5py: pip install 'mdkern[h5md]'") from None
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


class _H5mdWriter:
    """H5MD 1.1: P. de Buyl, P. H. Colberg and F. Hoefling, Computer Physics Communications 185, 1546 (2014).

    Group ``/particles/all``; time in ps, lengths in Angstrom, velocities in Angstrom/ps, forces in eV/Angstrom.
    """

    def __init__(self, path: str, overwrite: bool) -> None:
        import h5py

        import mdkern

        self._file = h5py.File(path, "w" if overwrite else "x")
        head = self._file.create_group("h5md")
        head.attrs["version"] = [1, 1]
        head.create_group("author").attrs["name"] = "unknown"
        creator = head.create_group("creator")
        creator.attrs["name"], creator.attrs["version"] = "mdkern", mdkern.__version__
        self._n = 0

    def _series(self, name: str, value: Any, unit: str) -> None:
        import numpy as np

        data = np.asarray(value)
        if self._n == 0:
            group = self._file.create_group(name)
            chunk = (1, *data.shape)
            options = {"maxshape": (None, *data.shape), "chunks": chunk, "dtype": data.dtype}
            made = group.create_dataset("value", shape=(0, *data.shape), **options)
            if unit:
                made.attrs["unit"] = unit
            for key in ("step", "time"):  # one pair serves all series
                group[key] = self._file[key]
        values = self._file[f"{name}/value"]
        values.resize(self._n + 1, axis=0)
        values[self._n] = data

    def write(self, frame: Atoms) -> None:
        import numpy as np
        from ase import units

        file = self._file
        if self._n == 0:
            for key, kind in (("step", np.int64), ("time", np.float64)):
                file.create_dataset(key, shape=(0,), maxshape=(None,), chunks=(1024,), dtype=kind)
            file["time"].attrs["unit"] = "ps"
            box = file.create_group("particles/all/box")
            box.attrs["dimension"] = 3
            box.attrs["boundary"] = ["periodic" if p else "none" for p in frame.pbc]
            file["particles/all/species"] = frame.numbers.astype(np.int32)
            file["particles/all/mass"] = frame.get_masses()
            file["particles/all/mass"].attrs["unit"] = "u"
            metadata = {k: v for k, v in frame.info.items() if str(k).startswith(PREFIX)}
            file["h5md/creator"].attrs.update({k: str(v) for k, v in metadata.items()})
        for key in ("step", "time"):
            file[key].resize(self._n + 1, axis=0)
        file["step"][self._n] = frame.info["step"]
        file["time"][self._n] = frame.info["time_ps"]
        root = "particles/all"
        velocity = frame.get_velocities() * (1000 * units.fs)
        self._series(f"{root}/box/edges", frame.cell.array, "Angstrom")
        self._series(f"{root}/position", frame.positions, "Angstrom")
        self._series(f"{root}/velocity", velocity, "Angstrom ps-1")
        self._series(f"{root}/force", frame.get_forces(apply_constraint=False), "eV Angstrom-1")
        self._series("observables/potential_energy", frame.get_potential_energy(), "eV")
        self._series("observables/kinetic_energy", frame.get_kinetic_energy(), "eV")
        self._n += 1
        file.flush()

    def close(self) -> None:
        self._file.close()


class BackgroundWriter:
    """Hands frames to a thread, so that the simulation goes on while they are formatted and written.

    At most `QUEUE` frames wait; then `write` does. Frames are whole on disk, in order, when `close` returns; what the
    thread's writer raises is raised by the next `write` or by `close`.
    """

    def __init__(self, writer: FrameWriter) -> None:
        self._writer = writer
        self._frames: queue.Queue[Atoms | None] = queue.Queue(QUEUE)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="mdkern frames", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (frame := self._frames.get()) is not None:
            if self._error is None:
                try:
                    self._writer.write(frame)
                except BaseException as e:  # noqa: BLE001 - raised where the frames come from
                    self._error = e

    def _check(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def write(self, frame: Atoms) -> None:
        self._check()
        self._frames.put(frame)

    def close(self) -> None:
        self._frames.put(None)
        self._thread.join()
        self._writer.close()
        self._check()


_WRITERS: dict[str, Callable[[str, bool], FrameWriter]] = {
    "extxyz": _ExtxyzWriter,
    "traj": _TrajWriter,
    "h5md": _H5mdWriter,
}


def open_trajectory(path: str, overwrite: bool) -> FrameWriter:
    """Writer for the format that the suffix names; the file is made at once."""
    return _WRITERS[trajectory_format(path)](path, overwrite)


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
