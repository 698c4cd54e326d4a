"""A map in the tree of a model file of DeePMD-kit: checked values by their keys."""

from __future__ import annotations

import math
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mdkern.errors import FormatError, UnsupportedError

__all__ = ["Map", "is_int", "show"]

MAX_MAGNITUDE = 1e100  # keeps products of two numbers finite

Array = NDArray[np.float64]
Pairs = tuple[tuple[int, int], ...]

ACTIVATIONS = {
    "tanh": "tanh",
    "relu": "relu",
    "relu6": "relu6",
    "softplus": "softplus",
    "sigmoid": "sigmoid",
    "silu": "silu",
    "gelu": "gelu",
    "gelu_tf": "gelu",
    "linear": "linear",
    "none": "linear",
}
PRECISIONS = {
    "float64": "float64",
    "double": "float64",
    "default": "float64",
    "float32": "float32",
    "single": "float32",
}


class Map:
    """A map of the tree: hands out checked values, and at the end refuses keys that nobody asked for."""

    def __init__(self, path: str, where: str, data: Any) -> None:
        self.path = path
        self.where = where
        if not isinstance(data, dict):
            raise FormatError(f"{where or 'top'}: {show(data)}; expected a map", path)
        self.data: dict[str, Any] = data
        self.seen: set[str] = set()

    def name(self, key: str) -> str:
        return f"{self.where}.{key}" if self.where else key

    def bad(self, key: str, expected: str) -> NoReturn:
        raise FormatError(
            f"{self.name(key)}: {show(self.data.get(key))}; expected {expected}", self.path
        )

    def refuse(self, key: str, note: str = "") -> NoReturn:
        raise UnsupportedError(
            f"{self.path}: {self.name(key)}: {show(self.data.get(key))} is not evaluated{note}"
        )

    def get(self, key: str, default: Any = None) -> Any:
        self.seen.add(key)
        value = self.data.get(key)
        return default if value is None else value

    def ignore(self, *keys: str) -> None:
        self.seen.update(keys)

    def done(self) -> None:
        """Keys that are unknown and say something."""
        for key, value in self.data.items():
            if key in self.seen or key.startswith("@"):
                continue
            empty = (
                value is None or value is False or (isinstance(value, (list, dict)) and not value)
            )
            if not empty:
                self.refuse(key, " (an unknown key)")

    def absent(self, *keys: str) -> None:
        """Options that are evaluated only where they are off."""
        for key in keys:
            value = self.get(key)
            if value is None or (not isinstance(value, np.ndarray) and value in (0, [], {})):
                continue
            self.refuse(key)

    def version(self, low: int, high: int) -> int:
        found = self.data.get("@version", low)
        if not is_int(found) or found < 1:
            self.bad("@version", "an integer")
        if not low <= found <= high:
            raise UnsupportedError(
                f"{self.path}: {self.name('@version')}: {found}; versions {low} to {high} are read"
            )
        return int(found)

    def map(self, key: str, *, optional: bool = False) -> Map:
        value = self.get(key, {} if optional else None)
        return Map(self.path, self.name(key), value)

    def maps(self, key: str, most: int) -> list[Any]:
        value = self.get(key)
        if not isinstance(value, list) or len(value) > most:
            self.bad(key, f"a list of at most {most}")
        return value

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        value = self.get(key, default)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not is_int(value) or not low <= value <= high:
            self.bad(key, f"an integer from {low} to {high}")
        return int(value)

    def real(self, key: str, low: float, high: float, default: float | None = None) -> float:
        value = self.get(key, default)
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.item()
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            self.bad(key, f"a number from {low:g} to {high:g}")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self.get(key, default)
        if not isinstance(value, bool):
            self.bad(key, "true or false")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        value = self.get(key, default)
        if not isinstance(value, str):
            self.bad(key, "a text")
        return value

    def precision(self) -> str:
        value = self.text("precision", "default")
        if value not in PRECISIONS:
            self.refuse("precision")
        return PRECISIONS[value]

    def activation(self) -> tuple[str, float]:
        """Name, and the threshold of silut."""
        value = self.text("activation_function", "none").lower()
        if value in ACTIVATIONS:
            return ACTIVATIONS[value], 0.0
        name, _, threshold = value.partition(":")
        if name not in ("silut", "custom_silu"):
            self.refuse("activation_function")
        try:
            number = float(threshold) if threshold else 3.0
        except ValueError:
            number = math.nan
        if not 0.0 < number <= 1e3:
            self.bad("activation_function", "a threshold above 0 behind the colon")
        return "silut", number

    def indices(self, key: str, n_types: int) -> tuple[int, ...]:
        value = self.get(key, [])
        if not isinstance(value, list) or not all(is_int(t) and 0 <= t < n_types for t in value):
            self.bad(key, f"types from 0 to {n_types - 1}")
        return tuple(sorted(set(value)))

    def pairs(self, key: str, n_types: int) -> Pairs:
        value = self.get(key, [])
        out = set()
        for pair in value if isinstance(value, list) else [None]:
            if (
                not isinstance(pair, list)
                or len(pair) != 2
                or not all(is_int(t) and 0 <= t < n_types for t in pair)
            ):
                self.bad(key, f"pairs of types from 0 to {n_types - 1}")
            out.add((min(pair), max(pair)))
        return tuple(sorted(out))

    def array(self, key: str, shape: tuple[int, ...] | None) -> Array:
        """Finite numbers of this shape, as float64."""
        value = self.get(key)
        if isinstance(value, (int, float, list)) and not isinstance(value, bool):
            try:
                value = np.array(value, dtype=np.float64)
            except (ValueError, TypeError, OverflowError):
                value = None
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
            self.bad(key, "an array of numbers")
        if shape is not None and math.prod(shape) == value.size == 1:
            value = value.reshape(shape)
        if shape is not None and value.shape != shape:
            raise FormatError(f"{self.name(key)}: shape {value.shape}; expected {shape}", self.path)
        out = np.array(value, dtype=np.float64, order="C")
        if not (np.abs(out) <= MAX_MAGNITUDE).all():
            raise FormatError(f"{self.name(key)}: expected finite numbers", self.path)
        return out

    def vector(self, key: str, n: int, *, optional: bool = False) -> Array | None:
        """An array of n numbers in any shape: old files have (1, n)."""
        if self.get(key) is None:
            if optional:
                return None
            self.bad(key, f"{n} numbers")
        value = self.array(key, None).ravel()
        if value.size != n:
            raise FormatError(f"{self.name(key)}: {value.size} numbers; expected {n}", self.path)
        return value


def is_int(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def show(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, np.ndarray):
        return f"an array {value.shape}"
    if isinstance(value, (dict, list)) and len(value) > 4:
        return f"a {'map' if isinstance(value, dict) else 'list'} of {len(value)}"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
