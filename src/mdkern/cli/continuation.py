"""Files of a run that goes on from a checkpoint: kept up to there, so that they end as those of an unbroken run."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdkern.cli.dynamics import COLUMNS
from mdkern.cli.output import UsageError, one_line, warning
from mdkern.cli.trajectory import PREFIX, SERIES, trajectory_format
from mdkern.errors import FormatError
from mdkern.io.hdf5 import Group

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Cut", "Past", "continued_frames", "continued_log", "take_form"]


_CUT_SECONDS = 300  # h5py's library runs for ever on some damaged files


@dataclass(frozen=True)
class Past:
    """The run before a restart.

    Attributes
    ----------
    path : str
        The checkpoint.
    step : int
        Steps done until then.
    facts : dict
        What its files say about the run, of which ``seed``, ``potential_sha256`` and ``timestep_fs`` must agree.
    numbers : array
        Elements.
    interval, log_interval : int
        Steps between frames and between samples.
    """

    path: str
    step: int
    facts: Mapping[str, Any]
    numbers: Any
    interval: int
    log_interval: int


@dataclass(frozen=True)
class Cut:
    """A file that goes on.

    Attributes
    ----------
    last : int
        Step of the last frame or sample that stays.
    apply : callable
        Removes the others; nothing is changed before.
    template : ase.Atoms or None
        The first frame.
    """

    last: int
    apply: Callable[[], None]
    template: Atoms | None = None

    def due(self, step: int, every: int) -> bool:
        """Whether the frame or sample that a restart begins with belongs into the file."""
        return step > self.last and step % every == 0


@dataclass(frozen=True)
class _Found:
    facts: Mapping[str, Any]
    steps: Sequence[int]  # whole frames or rows
    cut: Callable[[int], None]  # leaves the first so many
    template: Atoms | None = None
    numbers: Any = None


def continued_frames(path: str, past: Past) -> Cut:
    """What stays of a trajectory.

    Raises
    ------
    UsageError
        It cannot be read, is of another run, or begins after the checkpoint.
    """
    found = _look(path, {"extxyz": _extxyz, "traj": _traj, "h5md": _h5md}[trajectory_format(path)])
    return _kept(path, past, found, past.interval)


def continued_log(path: str, past: Past) -> Cut:
    """The same of a table of samples."""
    return _kept(path, past, _look(path, _log), past.log_interval)


def _look(path: str, reader: Callable[[str], _Found]) -> _Found:
    try:
        found = reader(path)
        if not found.steps:
            raise ValueError("it has nothing whole")
    except MemoryError:
        raise
    except Exception as e:  # readers of ASE raise all kinds of exceptions
        why = f"{type(e).__name__}: {one_line(str(e), 200)}"
        raise UsageError(
            f"{path}: exists, and cannot be continued: {why}; --overwrite replaces it"
        ) from e
    return found


def _kept(path: str, past: Past, found: _Found, every: int) -> Cut:
    other = [
        f"{key} {one_line(str(found.facts.get(key)))}; {past.path} has {past.facts.get(key)}"
        for key in ("seed", "potential_sha256", "timestep_fs")
        if str(found.facts.get(key)) != str(past.facts.get(key))
    ]
    if found.numbers is not None and found.numbers.tolist() != past.numbers.tolist():
        other.append("other atoms")
    if other:
        raise UsageError(f"{path}: is of another run: {other[0]}; --overwrite replaces it")
    n = bisect_right(found.steps, past.step)
    if n == 0:
        raise UsageError(
            f"{path}: begins at step {found.steps[0]}, {past.path} is at {past.step}; --overwrite replaces it"
        )
    if n > 1 and found.steps[n - 1] == past.step and past.step % every != 0:
        n -= 1  # was only written because the run ended there
    last = found.steps[n - 1]
    if past.step - last > every:
        warning(f"{path}: ends at step {last}, {past.path} is at {past.step}: a part is missing")
    return Cut(last, lambda: found.cut(n), found.template)


def _of_frame(frame: Atoms) -> dict[str, Any]:
    return {k.removeprefix(PREFIX): v for k, v in frame.info.items() if k.startswith(PREFIX)}


def _extxyz(path: str) -> _Found:
    from ase.io import read

    steps: list[int] = []
    ends = [0]
    with Path(path).open("rb") as file:
        while line := file.readline():
            n_atoms, head = int(line), file.readline()
            whole = sum(row.endswith(b"\n") for row in islice(file, n_atoms))
            if whole < n_atoms:
                break  # was being written when the process was killed
            named = re.search(rb"(?:^|\s)step=(\d+)\s", head)
            if named is None:
                raise ValueError(f"frame {len(steps)} has no step")
            steps.append(int(named[1]))
            ends.append(file.tell())
    first: Any = read(path, index=0, format="extxyz")
    return _Found(
        _of_frame(first), steps, lambda n: os.truncate(path, ends[n]), first, first.numbers
    )


def _traj(path: str) -> _Found:
    from ase.io.trajectory import TrajectoryReader

    with TrajectoryReader(path) as reader:
        first = reader[0]
        steps = [int(reader.backend[k].info["step"]) for k in range(len(reader))]

    def cut(n: int) -> None:
        # The count of items in the header (ase.io.ulm); ASE appends behind what is no longer counted.
        with Path(path).open("r+b") as file:
            file.seek(32)
            file.write(struct.pack("<q", n))

    return _Found(_of_frame(first), steps, cut, first, first.numbers)


def _h5md(path: str) -> _Found:
    # Not by h5py, whose library crashes on damaged files.
    root = Group.map(path)
    creator = root.group("h5md/creator")
    facts = {
        name.removeprefix(PREFIX): creator.attribute(name)
        for name in creator.attributes()
        if name.startswith(PREFIX)
    }
    series = [name for name in SERIES if name in root]
    shapes = [root.dataset(name).shape for name in series]
    whole = min((shape[0] if shape else 0 for shape in shapes), default=0)
    steps = root.dataset("step").read(whole)
    numbers = root.dataset("particles/all/species").read().copy()
    if steps.ndim != 1 or steps.dtype.kind not in "iu" or numbers.dtype.kind not in "iu":
        raise FormatError("step, species: expected integers", path)

    def cut(n: int) -> None:
        command = [sys.executable, "-m", "mdkern.cli.h5md_cut", path, str(n), *series]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=_CUT_SECONDS
            )
        except subprocess.TimeoutExpired:
            raise UsageError(
                f"{path}: cannot be continued: h5py did not end in {_CUT_SECONDS} s: the file is damaged; "
                "--overwrite replaces it"
            ) from None
        if done.returncode:
            why = one_line(done.stderr.strip().rpartition("\n")[2], 200)
            if done.returncode < 0:
                why = f"h5py was ended by signal {-done.returncode}: the file is damaged"
            raise UsageError(f"{path}: cannot be continued: {why}; --overwrite replaces it")

    return _Found(facts, steps.tolist(), cut, None, numbers)


def _log(path: str) -> _Found:
    with Path(path).open("rb") as file:
        comment, names = file.readline(), file.readline()
        if not comment.startswith(b"#") or names != (",".join(COLUMNS) + "\n").encode():
            raise ValueError("expected a comment and the columns " + ",".join(COLUMNS))
        facts = dict(json.loads(comment[1:]))
        steps: list[int] = []
        ends = [file.tell()]
        for row in file:
            if not row.endswith(b"\n"):
                break
            steps.append(int(row.partition(b",")[0]))
            ends.append(ends[-1] + len(row))
    return _Found(facts, steps, lambda n: os.truncate(path, ends[n]))


def take_form(atoms: Atoms, template: Atoms) -> None:
    """What frames carry beside positions and momenta, and in which order, as in the first frame."""
    if "masses" not in template.arrays:  # a checkpoint has always some
        atoms.arrays.pop("masses", None)
    arrays = {**template.arrays, **atoms.arrays}
    atoms.arrays.clear()
    atoms.arrays.update(arrays)
    atoms.info.update(template.info)
