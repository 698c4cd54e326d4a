"""Files that a simulation writes: frames that ASE (H5MD: MDAnalysis, VMD) reads, and a table of samples."""

from __future__ import annotations

import contextlib
import io
import json
import math
import queue
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TextIO

from mdkern.cli.output import UsageError, writing
from mdkern.io.structures import with_results, with_words

if TYPE_CHECKING:
    from ase import Atoms

__all__ = [
    "BackgroundWriter",
    "FrameWriter",
    "LogWriter",
    "extxyz_text",
    "open_trajectory",
    "snapshot",
    "trajectory_format",
]

_FORMATS = {".extxyz": "extxyz", ".xyz": "extxyz", ".traj": "traj", ".h5md": "h5md", ".h5": "h5md"}
PREFIX = "mdkern_"
Mode = Literal["x", "w", "a"]  # a file that must not exist, one that is replaced, one that goes on
_PER_ATOM = ("forces", "charges")  # results
QUEUE = 8  # frames that may wait for the disk
# Of an H5MD file, in the order of writing, with their units.
SERIES = {
    "step": "",
    "time": "ps",
    "particles/all/box/edges/value": "Angstrom",
    "particles/all/position/value": "Angstrom",
    "particles/all/velocity/value": "Angstrom ps-1",
    "particles/all/force/value": "eV Angstrom-1",
    "particles/all/charge/value": "e",  # where the model has charges
    "observables/potential_energy/value": "eV",
    "observables/kinetic_energy/value": "eV",
}


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


def snapshot(
    atoms: Atoms, step: int, time_ps: float, header: Mapping[str, Any]
) -> tuple[Atoms, dict[str, Any]]:
    """Copy of the atoms with `header` in ``info``; their energy, forces, stress, and charges of a model that has some."""
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
    if "charges" in atoms.calc.implemented_properties:
        results["charges"] = atoms.get_charges()
    return frame, results


def _text_file(path: str, mode: Mode) -> TextIO:
    return Path(path).open(mode, encoding="utf-8")


def extxyz_text(frame: Atoms) -> str:
    """A frame as ASE writes it, to the letter; the rows of numbers are formatted in the core where they can be."""
    from ase.io import write

    columns = _columns(frame)
    text = io.StringIO()
    if columns is None:
        write(text, with_words(frame), format="extxyz")
        return text.getvalue()
    import numpy as np
    from ase.calculators.singlepoint import SinglePointCalculator

    from mdkern import _core

    # ASE says what the second line has to say, for one atom of them.
    one = frame[[0]]
    if frame.calc is not None:
        results = {k: v[:1] if k in _PER_ATOM else v for k, v in frame.calc.results.items()}
        one.calc = SinglePointCalculator(one, **results)
    write(text, one, format="extxyz")
    head = text.getvalue().splitlines()[1]
    properties = dict.fromkeys(re.findall(r"(\w+):[SR]:[13]", head.partition("Properties=")[2]))
    if list(properties)[:2] != ["species", "pos"] or set(properties) != {
        "species",
        "pos",
        *columns,
    }:
        text = io.StringIO()
        write(text, frame, format="extxyz")
        return text.getvalue()
    values = [frame.positions, *(columns[name] for name in list(properties)[2:])]
    table = np.hstack([np.reshape(v, (len(frame), -1)) for v in values])
    rows = _core.format_rows(frame.get_chemical_symbols(), np.ascontiguousarray(table))
    return f"{len(frame)}\n{head}\n{rows.decode()}"


def _columns(frame: Atoms) -> dict[str, Any] | None:
    """Arrays beside symbols and positions; None where one is not plain numbers per atom, which is left to ASE."""
    columns = {k: v for k, v in frame.arrays.items() if k not in ("numbers", "positions")}
    results = {} if frame.calc is None else frame.calc.results
    columns.update({k: results[k] for k in _PER_ATOM if k in results})
    shapes = ((len(frame),), (len(frame), 3))
    plain = all(v.dtype == float and v.shape in shapes for v in columns.values())
    known = set(results) <= {"energy", "stress", *_PER_ATOM}
    words = all(re.fullmatch(r"\w+", name) for name in columns)
    return (
        columns if plain and known and words and len(frame) > 1 and not frame.constraints else None
    )


class FrameWriter(Protocol):
    """Takes frames; each one is on disk when `write` returns."""

    def write(self, frame: Atoms) -> None: ...

    def close(self) -> None: ...


class _ExtxyzWriter:
    def __init__(self, path: str, mode: Mode) -> None:
        self._file = _text_file(path, mode)

    def write(self, frame: Atoms) -> None:
        # In one piece, so that no half frame is left where the process is killed.
        self._file.write(extxyz_text(frame))
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class _TrajWriter:
    def __init__(self, path: str, mode: Mode) -> None:
        from ase.io.trajectory import TrajectoryWriter

        if mode == "x":
            Path(path).open("xb").close()  # fails where the file exists
        self._writer = TrajectoryWriter(path, mode="a" if mode == "a" else "w")

    def write(self, frame: Atoms) -> None:
        self._writer.write(frame)

    def close(self) -> None:
        self._writer.close()


class _H5mdWriter:
    """H5MD 1.1: P. de Buyl, P. H. Colberg and F. Hoefling, Computer Physics Communications 185, 1546 (2014).

    Group ``/particles/all``; time in ps, lengths in Angstrom, velocities in Angstrom/ps, forces in eV/Angstrom.
    """

    def __init__(self, path: str, mode: Mode) -> None:
        import h5py

        import mdkern

        self._n = 0
        # By name: looking one up in the file takes as long as writing to it.
        self._series: dict[str, Any] = {}
        self._file = h5py.File(path, "r+" if mode == "a" else mode)
        if mode == "a":
            self._series = {name: self._file[name] for name in SERIES if name in self._file}
            self._n = len(self._series["step"])
            return
        head = self._file.create_group("h5md")
        head.attrs["version"] = [1, 1]
        head.create_group("author").attrs["name"] = "unknown"
        creator = head.create_group("creator")
        creator.attrs["name"], creator.attrs["version"] = "mdkern", mdkern.__version__

    def _append(self, name: str, value: Any) -> None:
        import numpy as np

        data = np.asarray(value)
        series = self._series.get(name)
        if series is None:
            shared = name in ("step", "time")  # one pair serves all series
            chunk = (1024 if shared else 1, *data.shape)
            options = {"maxshape": (None, *data.shape), "chunks": chunk}
            series = self._file.create_dataset(
                name, shape=(0, *data.shape), dtype=data.dtype, **options
            )
            if SERIES[name]:
                series.attrs["unit"] = SERIES[name]
            if not shared:
                for key in ("step", "time"):
                    series.parent[key] = self._file[key]
            self._series[name] = series
        series.resize(self._n + 1, axis=0)
        series[self._n] = data

    def _describe(self, frame: Atoms) -> None:
        import numpy as np

        file = self._file
        box = file.create_group("particles/all/box")
        box.attrs["dimension"] = 3
        box.attrs["boundary"] = ["periodic" if p else "none" for p in frame.pbc]
        file["particles/all/species"] = frame.numbers.astype(np.int32)
        file["particles/all/mass"] = frame.get_masses()
        file["particles/all/mass"].attrs["unit"] = "u"
        metadata = {k: v for k, v in frame.info.items() if str(k).startswith(PREFIX)}
        file["h5md/creator"].attrs.update({k: str(v) for k, v in metadata.items()})

    def write(self, frame: Atoms) -> None:
        from ase import units

        if self._n == 0:
            self._describe(frame)
        results, velocities = frame.calc.results, frame.get_velocities()
        # Not by ASE's method: its dot product starts the threads of BLAS, which take the loop's cores.
        kinetic_energy = 0.5 * (frame.get_momenta() * velocities).sum()
        values = (
            frame.info["step"],
            frame.info["time_ps"],
            frame.cell.array,
            frame.positions,
            velocities * (1000 * units.fs),
            results["forces"],
            results.get("charges"),
            results["energy"],
            kinetic_energy,
        )
        for name, value in zip(SERIES, values, strict=True):
            if value is not None:
                self._append(name, value)
        self._n += 1
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class BackgroundWriter:
    """Hands frames to a thread, so that the simulation goes on while they are formatted and written.

    At most `QUEUE` frames wait; then `write` does. Frames are whole on disk, in order, when `close` returns; what the
    thread's writer raises is raised by the next `write` or by `close`.
    """

    def __init__(self, writer: FrameWriter) -> None:
        self._writer = writer
        self._frames: queue.Queue[tuple[Atoms, Mapping[str, Any]] | None] = queue.Queue(QUEUE)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="mdkern frames", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (given := self._frames.get()) is not None:
            if self._error is None:
                try:
                    self._writer.write(with_results(*given))
                except BaseException as e:  # noqa: BLE001 - raised where the frames come from
                    self._error = e
            self._frames.task_done()

    def _check(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def write(self, frame: Atoms, results: Mapping[str, Any]) -> None:
        """The frame and its results, neither of which the caller may change from now on."""
        self._check()
        self._frames.put((frame, results))

    def flush(self) -> None:
        """Wait until all frames so far are on disk."""
        self._frames.join()
        self._check()

    def close(self) -> None:
        self._frames.put(None)
        self._thread.join()
        self._writer.close()
        self._check()


_WRITERS: dict[str, Callable[[str, Mode], FrameWriter]] = {
    "extxyz": _ExtxyzWriter,
    "traj": _TrajWriter,
    "h5md": _H5mdWriter,
}


class _Named:
    """A writer whose errors name the file."""

    def __init__(self, path: str, mode: Mode) -> None:
        self._path = path
        with writing(path):
            self._writer = _WRITERS[trajectory_format(path)](path, mode)

    def write(self, frame: Atoms) -> None:
        with writing(self._path):
            self._writer.write(frame)

    def close(self) -> None:
        with writing(self._path):
            self._writer.close()


def open_trajectory(path: str, mode: Mode) -> FrameWriter:
    """Writer for the format that the suffix names; the file is made at once."""
    return _Named(path, mode)


class LogWriter:
    """CSV: a comment line with the metadata as JSON, names, one row per sample; flushed row by row."""

    def __init__(
        self, path: str, header: Mapping[str, Any], columns: Sequence[str], mode: Mode
    ) -> None:
        self._path = path
        self._file = _text_file(path, mode)
        if mode != "a":
            try:
                self._append(f"# {json.dumps(dict(header))}\n{','.join(columns)}\n")
            except OSError:
                with contextlib.suppress(OSError):
                    self._file.close()
                raise

    def write(self, row: Sequence[float]) -> None:
        cells = (
            "" if math.isnan(x) else str(x) if isinstance(x, int) else f"{x:.10g}" for x in row
        )
        self._append(",".join(cells) + "\n")

    def _append(self, text: str) -> None:
        with writing(self._path):
            self._file.write(text)
            self._file.flush()

    def close(self) -> None:
        with writing(self._path):
            self._file.close()
