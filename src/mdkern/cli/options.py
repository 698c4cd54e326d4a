"""Argument types and checks that several commands share."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mdkern.cli.output import UsageError, warning

if TYPE_CHECKING:
    from ase import Atoms

__all__ = [
    "STRUCTURE_HELP",
    "Frames",
    "add_reading",
    "check_outputs",
    "dataset",
    "finite",
    "frames_index",
    "non_negative",
    "non_negative_int",
    "positive",
    "positive_int",
    "read_frames",
    "read_structure",
    "refuse_empty",
    "warn_of_many_threads",
]


STRUCTURE_HELP = "any file that ASE reads; - for standard input"
_LARGEST = 2**63 - 1  # what the core counts with


def _number(
    text: str, kind: Callable[[str], float], ok: Callable[[float], bool], want: str
) -> float:
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and ok(value)):
        raise argparse.ArgumentTypeError(f"{text!r}; expected {want}")
    return value


def positive_int(text: str) -> int:
    return _integer(text, 1)


def non_negative_int(text: str) -> int:
    return _integer(text, 0)


def _integer(text: str, least: int) -> int:
    want = f"an integer >= {least}"
    value = int(_number(text, int, lambda x: x >= least, want))
    if value > _LARGEST:
        raise argparse.ArgumentTypeError(f"{text!r}; expected {want} and up to {_LARGEST}")
    return value


def positive(text: str) -> float:
    return _number(text, float, lambda x: x > 0, "a positive number")


def non_negative(text: str) -> float:
    return _number(text, float, lambda x: x >= 0, "a number >= 0")


def finite(text: str) -> float:
    return _number(text, float, lambda _x: True, "a finite number")


def refuse_empty(name: str, option: str = "") -> None:
    """Say of an empty input that it is empty, before a reader misses its first word."""
    path = Path(name)
    if path.exists() and not path.is_dir() and path.stat().st_size == 0:
        raise UsageError(f"{option} {name}: is empty".lstrip())


def warn_of_many_threads(threads: int, cpus: int) -> None:
    """Threads that have no CPU of their own."""
    if threads > cpus:
        warning(
            f"{threads} threads on {cpus} available CPUs: they will wait for each other;"
            " set MDKERN_NUM_THREADS or --threads to at most the number of CPUs"
        )


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Options of all commands that read structures."""
    group = parser.add_argument_group("reading")
    group.add_argument(
        "--format",
        metavar="NAME",
        help="ASE's name of the file's format (default: told by content and name); lammps-data and"
        " lammps-dump-text take details: lammps-data:species=Cu-Ni,units=real,atom_style=charge",
    )
    group.add_argument(
        "--occupancy",
        choices=("refuse", "majority"),
        help="of sites that are occupied in part: an error (default), or the most frequent species on"
        " the whole site",
    )


def read_frames(name: str, index: int | slice, args: argparse.Namespace) -> list[Atoms]:
    """Structures of a file, or of standard input, with the options of `add_reading`."""
    from mdkern.io import structures

    return structures.read_frames(name, index, args.format, args.occupancy or "refuse", warning)


@dataclass(frozen=True)
class Frames:
    """Frames that are read one by one.

    Attributes
    ----------
    frames : iterable of ase.Atoms
    again : callable
        All of them another time, without the reader's warnings.
    number : int or None
        How many, where that is found out without reading them.
    recorded : bool
        Whether those that fail are named, and the others go on.
    """

    frames: Iterable[Atoms]
    again: Callable[[], Iterable[Atoms]]
    number: int | None
    recorded: bool


def dataset(args: argparse.Namespace) -> Frames:
    """The frames that `args` names.

    Frames that are not finite pass where failures are recorded. Standard input, which is read once only, is held in memory.
    """
    from mdkern.io import structures

    recorded = (args.on_error or ("raise" if args.scheduler is None else "record")) == "record"
    policy = args.occupancy or "refuse"

    def frames(warn: Callable[[str], None] = warning) -> Iterator[Atoms]:
        return structures.iter_frames(
            args.frames, args.index, args.format, policy, warn, not recorded
        )

    if args.frames == "-":
        held = list(frames())
        return Frames(held, lambda: held, len(held), recorded)
    n = structures.quick_count(args.frames, args.index, args.format)
    return Frames(frames(), lambda: frames(lambda _: None), n, recorded)


def read_structure(name: str, index: int, args: argparse.Namespace) -> Atoms:
    """One of them."""
    return read_frames(name, index, args)[0]


def frames_index(text: str) -> int | slice:
    """Type of an argument: which frames."""
    from mdkern.io.structures import parse_index

    try:
        return parse_index(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(
            f"{text!r}; expected a number, or a slice such as 0:100:10"
        ) from e


def check_outputs(
    outputs: Sequence[str | os.PathLike[str] | None],
    inputs: Sequence[str | os.PathLike[str]],
    overwrite: bool,
    continued: Sequence[str | os.PathLike[str] | None] = (),
) -> None:
    """Refuse outputs that would replace an input, each other, or (without `overwrite`) a file not in `continued`."""
    seen: list[Path] = []
    may_exist = [Path(name) for name in continued if name is not None]
    for path in (Path(name) for name in outputs if name is not None):
        if path.is_dir() or not path.resolve().parent.is_dir():
            raise UsageError(f"{path}: not a file in an existing folder")
        for other in map(Path, inputs):
            if path.exists() and other.exists() and path.samefile(other):
                raise UsageError(f"{path}: is an input; refusing to overwrite it")
        if path.resolve() in seen:
            raise UsageError(f"{path}: named for two outputs")
        seen.append(path.resolve())
        if path.exists() and not overwrite and path not in may_exist:
            raise UsageError(f"{path}: exists; --overwrite replaces it")
        if not os.access(path if path.exists() else path.resolve().parent, os.W_OK):
            # Said before any work, of which the result would be lost.
            what = "the file" if path.exists() else "its folder"
            raise UsageError(f"{path}: no permission to write; expected {what} to be writable")
