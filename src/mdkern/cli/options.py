"""Argument types and checks that several commands share."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mdkern.cli.output import UsageError, one_line, warning

if TYPE_CHECKING:
    from ase import Atoms

__all__ = [
    "check_outputs",
    "finite",
    "non_negative",
    "non_negative_int",
    "positive",
    "positive_int",
    "read_structure",
    "refuse_empty",
    "warn_of_many_threads",
]


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
        raise UsageError(f"{option} {name}: the file is empty".lstrip())


def warn_of_many_threads(threads: int, cpus: int) -> None:
    """Threads that have no CPU of their own."""
    if threads > cpus:
        warning(
            f"{threads} threads on {cpus} available CPUs: they will wait for each other;"
            " set MDKERN_NUM_THREADS or --threads to at most the number of CPUs"
        )


def read_structure(name: str, index: int = -1) -> Atoms:
    """One structure from any file that ASE reads.

    Raises
    ------
    UsageError
        There is no such file, ASE cannot read it, or a position or the cell is not finite.
    """
    import numpy as np
    from ase import Atoms
    from ase.io import read

    if not Path(name).exists():
        raise UsageError(f"{name}: no such file")
    try:
        atoms = read(name, index=index)
    except MemoryError:
        raise
    except Exception as e:  # ASE's readers raise all kinds of exceptions
        text = one_line(str(e), 200)
        raise UsageError(f"{name}: ASE cannot read it: {type(e).__name__}: {text}") from e
    if not isinstance(atoms, Atoms):
        raise UsageError(f"{name}: expected one structure, ASE found {type(atoms).__name__}")
    finite = np.isfinite(atoms.positions).all(axis=1)
    if not finite.all():
        k = int(np.argmin(finite))
        raise UsageError(f"{name}: atom {k} is at {atoms.positions[k]}; expected finite positions")
    if not np.isfinite(atoms.cell.array).all():
        raise UsageError(f"{name}: cell {atoms.cell.array.tolist()}; expected finite numbers")
    return atoms


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
