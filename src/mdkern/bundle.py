"""Rows of arrays as few large ones: a shard of a hundred frames is pickled as fast as one frame."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["pack", "unpack"]


def pack(rows: Sequence[Any]) -> bytes:
    """Tuples or dicts of the same kinds of arrays are joined, one array for each place; other rows are pickled as they are."""
    first = rows[0] if rows else None
    if isinstance(first, tuple):
        joined = [_joined([row[k] for row in rows]) for k in range(len(first))]
        return pickle.dumps(("tuples", len(rows), joined), protocol=5)
    if isinstance(first, dict) and all(
        type(row) is dict and row.keys() == first.keys() for row in rows
    ):
        columns = {name: _joined([row[name] for row in rows]) for name in first}
        return pickle.dumps(("dicts", len(rows), columns), protocol=5)
    return pickle.dumps(("rows", len(rows), list(rows)), protocol=5)


def unpack(data: bytes, copy: bool = False) -> list[Any]:
    """The rows again, whose arrays are parts of the joined ones, or copies: one that is kept would hold on to all others."""
    kind, n, columns = pickle.loads(data)
    if kind == "rows":
        return list(columns)
    if kind == "tuples":
        parts = [_parted(column, copy) for column in columns]
        return list(zip(*parts, strict=True)) if parts else [()] * n
    parted = {name: _parted(column, copy) for name, column in columns.items()}
    return [{name: values[k] for name, values in parted.items()} for k in range(n)]


def _joined(values: list[Any]) -> Any:
    """Arrays of one type, which differ in their first length at most: that length of each, and all behind each other."""
    first = values[0]
    if isinstance(first, np.ndarray) and first.ndim and all(
        isinstance(x, np.ndarray) and x.dtype == first.dtype and x.shape[1:] == first.shape[1:] and x.ndim
        for x in values
    ):  # fmt: skip
        return [len(x) for x in values], np.concatenate(values)
    return None, values


def _parted(column: Any, copy: bool) -> list[Any]:
    lengths, values = column
    if lengths is None:
        return list(values)
    ends = itertools.accumulate(lengths)
    parts = [values[end - n : end] for n, end in zip(lengths, ends, strict=True)]
    return [part.copy() for part in parts] if copy else parts
