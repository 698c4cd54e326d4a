"""``scaling.data`` and ``weights.*.data`` of n2p2 and RuNNer."""

from __future__ import annotations

import io
import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mdkern.errors import FormatError
from mdkern.io.text import read_text, show

__all__ = ["Network", "Scaling", "read_scaling", "read_weights"]

Array = NDArray[np.float64]

MOST_SCALING, MOST_WEIGHTS = 2**26, 2**28  # bytes


@dataclass(frozen=True, slots=True)
class Network:
    """Of one element: layer by layer weights (n_in, n_out), biases (n_out) and the letter of the activation."""

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    activations: str


@dataclass(frozen=True, slots=True)
class Scaling:
    """Network inputs are ``shift + slope G``; `lower` and `upper` are the range of G in the training, (n_functions)."""

    slope: Array
    shift: Array
    lower: Array
    upper: Array


def _rows(path: Path, most: int) -> Iterator[tuple[int, list[bytes]]]:
    """Numbers of lines, and words, of lines that are no comments, one at a time."""
    for k, line in enumerate(io.BytesIO(read_text(path, most)), 1):
        words = line.partition(b"#")[0].split(None, 8)
        if words:
            yield k, words


def _number(path: Path, line: int, word: bytes) -> float:
    try:
        value = float(word.replace(b"D", b"e").replace(b"d", b"e"))
    except ValueError:
        value = np.nan
    if not np.isfinite(value) or b"_" in word:
        raise FormatError(f"{show(word)}; expected a finite number", path, line)
    return float(value)


def read_scaling(
    path: Path, sizes: Sequence[int], mode: str, low: float, high: float
) -> tuple[Scaling, ...]:
    """Of each element, for as many functions as `sizes` says.

    Raises
    ------
    FormatError
        Rows that are missing, twice, or no numbers; ranges of zero width where they divide.
    """
    if mode == "none" and not path.exists():
        return tuple(
            Scaling(np.ones(n), np.zeros(n), np.full(n, -np.inf), np.full(n, np.inf)) for n in sizes
        )
    found = [np.full((n, 4), np.nan) for n in sizes]
    of_energies = 0  # line of two numbers: RuNNer has the range of the energies at the end
    for line, words in _rows(path, MOST_SCALING):
        if of_energies:
            raise FormatError("2 numbers; expected at least 5 but at the end", path, of_energies)
        if len(words) == 2:
            of_energies = line
            continue
        if len(words) < 5:
            raise FormatError(
                f"{len(words)} numbers; expected element, function, min, max, mean and perhaps sigma",
                path,
                line,
            )
        e, s = (int(w) - 1 if w.isdigit() and len(w) < 9 else -1 for w in words[:2])
        if not 0 <= e < len(sizes) or not 0 <= s < sizes[e]:
            expected = f"1 to {sizes[e]}" if 0 <= e < len(sizes) else f"elements 1 to {len(sizes)}"
            raise FormatError(
                f"function {show(b' '.join(words[:2]))}; expected {expected}", path, line
            )
        if not np.isnan(found[e][s, 0]):
            raise FormatError(f"function {e + 1} {s + 1} is given twice", path, line)
        values = [_number(path, line, w) for w in words[2:6]]
        if mode == "sigma" and len(values) < 4:
            raise FormatError("no sigma; expected it, as functions are scaled by it", path, line)
        lower, upper = values[:2]
        width = values[3] if mode == "sigma" else upper - lower
        if mode in ("scale", "scale and center", "sigma") and not (
            width > 0.0 and _finite_slope(high - low, width, values)
        ):
            raise FormatError(
                f"function {e + 1} {s + 1}: {'sigma' if mode == 'sigma' else 'a range'} of {width:g}, by which it is"
                " divided; expected a positive number, and not such a small one",
                path,
                line,
            )
        found[e][s, : len(values)] = values
    for e, table in enumerate(found):
        missing = np.flatnonzero(np.isnan(table[:, 0]))
        if len(missing):
            raise FormatError(f"no row of function {e + 1} {missing[0] + 1}", path)
    return tuple(_scaling(table, mode, low, high) for table in found)


def _finite_slope(height: float, width: float, values: Sequence[float]) -> bool:
    """Whether slope and shift are numbers that leave room for weights."""
    return (
        math.log10(max(1.0, abs(height)))
        + math.log10(max(1.0, *map(abs, values)))
        - math.log10(width)
        < 200.0
    )


def _scaling(table: Array, mode: str, low: float, high: float) -> Scaling:
    lower, upper, mean, sigma = table.T.copy()
    if mode == "none":
        slope, shift = np.ones(len(lower)), np.zeros(len(lower))
    elif mode == "center":
        slope, shift = np.ones(len(lower)), -mean
    else:
        slope = (high - low) / (sigma if mode == "sigma" else upper - lower)
        shift = low - slope * (lower if mode == "scale" else mean)
    return Scaling(slope, shift, lower, upper)


def read_weights(
    path: Path, n_in: int, choices: Sequence[tuple[tuple[int, ...], str]], per_node: bool
) -> Network:
    """The network of one element; of the possible numbers of nodes the first that fits the number of weights.

    Parameters
    ----------
    path : Path
    n_in : int
        Inputs.
    choices : sequence of (nodes of hidden layers, activations)
    per_node : bool
        Whether what goes into a node is divided by the number of nodes of the layer before.

    Raises
    ------
    FormatError
        Another number of weights, or values that are no numbers.
    """
    counts = [sum((a + 1) * b for a, b in pairwise((n_in, *nodes, 1))) for nodes, _ in choices]
    numbers = array("d")
    n = 0
    for line, words in _rows(path, MOST_WEIGHTS):
        n += 1
        if n > max(counts):
            raise _other_number(path, "more", n_in, counts, choices)
        numbers.append(_number(path, line, words[0]))
    fitting = [k for k, count in enumerate(counts) if count == n]
    if not fitting:
        raise _other_number(path, str(n), n_in, counts, choices)
    nodes, activations = choices[fitting[0]]
    values = np.array(numbers)
    weights, biases, at = [], [], 0
    for a, b in pairwise((n_in, *nodes, 1)):
        factor = 1.0 / a if per_node else 1.0
        weights.append(values[at : at + a * b].reshape(a, b) * factor)
        biases.append(values[at + a * b : at + (a + 1) * b] * factor)
        at += (a + 1) * b
    return Network(tuple(weights), tuple(biases), activations)


def _other_number(
    path: Path, found: str, n_in: int, counts: Sequence[int], choices: Sequence[tuple[tuple[int, ...], str]]
) -> FormatError:  # fmt: skip
    hidden = " ".join(map(str, choices[0][0])) or "no"
    return FormatError(
        f"{found} weights; expected {counts[0]}, those of {n_in} inputs, {hidden} hidden nodes and one output",
        path,
    )
