"""Values of a map in a YAML file of the atomic cluster expansion: of the right kind and within their range, or a message with line, key and value."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from ase.data import atomic_numbers

from mdkern.errors import UnsupportedError
from mdkern.io.ace_model import AceEmbedding, Array
from mdkern.io.ace_products import MAX_DENSITIES, MAX_MAGNITUDE
from mdkern.io.text import show
from mdkern.io.yaml_text import Document, Node

__all__ = [
    "MAX_CUTOFF",
    "MAX_L",
    "MAX_RADIAL",
    "Fields",
    "check_embedding",
    "check_size",
    "check_symbols",
    "embedding",
    "flat",
    "number",
    "told",
]

MAX_L = 24
MAX_RADIAL = 512  # of n and of k
MAX_CUTOFF = 100.0
MAX_SIZE = 2**24  # numbers in the radial coefficients of all pairs
_EMBEDDINGS = ("FinnisSinclair", "FinnisSinclairShiftedScaled")


class Fields:
    """A map and its name for messages.

    Methods raise FormatError with the line of the value, the key, the value and what was expected; `default` stands for a
    key that is not there.
    """

    def __init__(self, document: Document, node: Node, name: str) -> None:
        self.document = document
        self.node = node
        self.name = name
        if not isinstance(node.value, dict):
            document.fail(f"{name}: {told(node)}; expected a map of keys and values", node.at)
        self.map: dict[Any, Node] = node.value

    def __contains__(self, key: str) -> bool:
        return key in self.map

    def fail(self, key: str, message: str, at: int | None = None) -> NoReturn:
        if at is None:
            at = self.map[key].at if key in self.map else self.node.at
        self.document.fail(f"{self.called(key)}: {message}", at)

    def called(self, key: str) -> str:
        return f"{self.name}, {key}" if self.name else key

    def refuse(self, key: str, message: str) -> NoReturn:
        node = self.map.get(key, self.node)
        line = self.document.line(node.at)
        raise UnsupportedError(f"{self.document.path}:{line}: {self.called(key)}: {message}")

    def get(self, key: str) -> Node:
        if key not in self.map:
            self.fail(key, "there is no such key; expected one")
        return self.map[key]

    def within(self, key: str) -> Fields:
        return Fields(self.document, self.get(key), self.called(key))

    def text(self, key: str, default: str | None = None) -> str:
        if default is not None and key not in self.map:
            return default
        value = self.get(key).value
        if not isinstance(value, str):
            self.fail(key, f"{told(self.map[key])}; expected a name")
        return value

    def real(
        self,
        key: str,
        low: float = -MAX_MAGNITUDE,
        high: float = MAX_MAGNITUDE,
        default: float | None = None,
    ) -> float:
        if default is not None and key not in self.map:
            return default
        value = number(self.get(key))
        if value is None or not low <= value <= high:
            self.fail(key, f"{told(self.map[key])}; expected a number from {low:g} to {high:g}")
        return value

    def integer(self, key: str, low: int, high: int) -> int:
        value = number(self.get(key))
        if value is None or value != value // 1 or not low <= value <= high:
            self.fail(key, f"{told(self.map[key])}; expected an integer from {low} to {high}")
        return int(value)

    def list(self, key: str) -> Sequence[Node]:
        value = self.get(key).value
        if isinstance(value, array) and not value:
            return []
        if not isinstance(value, list):
            self.fail(key, f"{told(self.map[key])}; expected a list")
        return value

    def numbers(self, key: str, count: int | None = None, why: str = "") -> array[float]:
        """A flat list; with `count` of this length."""
        node = self.get(key)
        values = flat(node)
        if values is None:
            self.fail(key, f"{told(node)}; expected a list of numbers")
        if count is not None and len(values) != count:
            self.fail(key, f"{len(values)} numbers; expected {count}{why and ', '}{why}")
        return values

    def reals(self, key: str, count: int | None = None, why: str = "") -> Array:
        """As :meth:`numbers`, all of them finite."""
        values = np.array(self.numbers(key, count, why))
        bad = ~(np.abs(values) <= MAX_MAGNITUDE)
        if bad.any():
            self.fail(key, f"{values[bad][0]:g}; expected finite numbers")
        return values

    def integers(self, key: str, count: int, low: int, high: int) -> tuple[int, ...]:
        values = self.numbers(key, count)
        for value in values:
            if not (low <= value <= high and value == value // 1):
                self.fail(key, f"{value:g}; expected integers from {low} to {high}")
        return tuple(int(value) for value in values)

    def symbols(self, key: str) -> tuple[str, ...]:
        node = self.get(key)
        values = node.value
        words = values if isinstance(values, list) else []
        if not words or not all(isinstance(word.value, str) for word in words):
            self.fail(key, f"{told(node)}; expected a list of chemical symbols")
        symbols = tuple(word.value for word in words)
        check_symbols(symbols, lambda message: self.fail(key, message))
        return symbols


def check_symbols(symbols: Sequence[str], fail: Any) -> None:
    """Chemical symbols, each once."""
    for symbol in symbols:
        if not atomic_numbers.get(symbol, 0):
            fail(f"{symbol[:20]!r}; expected a chemical symbol")
    if len(set(symbols)) != len(symbols):
        fail(f"{', '.join(symbols)}; expected different elements")


def check_embedding(kind: str, parameters: Array, refuse: Any, fail: Any) -> tuple[Any, Array, Array]:  # fmt: skip
    """Kind, weights and exponents from w1, m1, w2, m2, ..

    `refuse` and `fail` take a message for the kind and for the parameters.
    """
    if kind not in _EMBEDDINGS:
        refuse(f"embedding {kind[:40]!r}; mdkern evaluates {' and '.join(_EMBEDDINGS)}")
    if len(parameters) % 2 or not 2 <= len(parameters) <= 2 * MAX_DENSITIES:
        fail(f"{len(parameters)} numbers; expected pairs w m, at most {MAX_DENSITIES}")
    weights, exponents = parameters[0::2].copy(), parameters[1::2].copy()
    for m in exponents.tolist():
        if not 0 < m <= 64:
            fail(f"exponent {m:g}; expected one of more than 0 and at most 64")
    return kind, weights, exponents


def embedding(
    kind: str, parameters: Array, cuts: tuple[float, float], refuse: Any, fail: Any
) -> AceEmbedding:
    """An embedding of checked parameters."""
    name, weights, exponents = check_embedding(kind, parameters, refuse, fail)
    return AceEmbedding(name, weights, exponents, *cuts)


def number(node: Node) -> float | None:
    value = node.value
    if not isinstance(value, str) or "_" in value or len(value) > 400:
        return None
    try:
        return float(value)
    except ValueError:
        return None


def flat(node: Node) -> array[float] | None:
    """Numbers of a list, also of one that is written in lines of a block."""
    value = node.value
    if isinstance(value, array):
        return value
    if not isinstance(value, list):
        return None
    found = [number(item) for item in value]
    return None if None in found else array("d", found)  # type: ignore[arg-type]


def told(node: Node) -> str:
    """A value for a message."""
    value = node.value
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return show(value.encode())
    if isinstance(value, dict):
        return "a map"
    return f"a list of {len(value)} numbers" if isinstance(value, array) else f"a list of {len(value)} values"  # fmt: skip


def check_size(n_pairs: int, shape: tuple[int, int, int], fail: Any) -> None:
    """Before memory for the radial coefficients of all pairs is taken."""
    n, l, k = shape
    if n_pairs * n * l * k > MAX_SIZE:
        fail(
            f"{n_pairs} pairs with {n} x {l} x {k} radial coefficients; expected at most {MAX_SIZE} numbers in all"
        )
