"""Arrays of a model file that nobody trusts: shape, type, finite numbers, indices in range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdkern.errors import FormatError

__all__ = ["CheckedArrays"]


class CheckedArrays:
    """Hands out the arrays of a file, checked, and keeps them."""

    def __init__(self, path: str, given: Mapping[str, NDArray[Any]]) -> None:
        self.path = path
        self.given = given
        self.kept: dict[str, NDArray[Any]] = {}

    def bad(self, name: str, message: str) -> FormatError:
        return FormatError(f"{name}: {message}", self.path)

    def _get(self, name: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
        said = str(tuple("any" if n is None else n for n in shape)).replace("'", "")
        array = self.given.get(name)
        if array is None:
            raise FormatError(f"no array {name!r}; expected one of shape {said}", self.path)
        fits = array.ndim == len(shape) and all(
            n is None or n == m for n, m in zip(shape, array.shape, strict=True)
        )
        if not fits:
            raise self.bad(name, f"shape {array.shape}; expected {said}")
        return array

    def floats(self, name: str, *shape: int | None, positive: bool = False) -> NDArray[np.float64]:
        array = self._get(name, shape)
        if array.dtype.kind != "f" or array.dtype.itemsize != 8:
            raise self.bad(name, f"{array.dtype} array; expected float64")
        array = np.require(array, np.float64, ("C", "A"))
        if not np.isfinite(array).all():
            raise self.bad(name, "numbers that are not finite")
        if positive and not (array > 0.0).all():
            raise self.bad(name, f"{array.min():g}; expected numbers above 0")
        self.kept[name] = array
        return array

    def indices(
        self, name: str, dtype: type[np.signedinteger[Any]], shape: tuple[int | None, ...]
    ) -> NDArray[Any]:
        """Whole numbers of at least the bytes of `dtype`; their range is checked by :meth:`within`."""
        array = self._get(name, shape)
        if array.dtype.kind != "i" or array.dtype.itemsize < np.dtype(dtype).itemsize:
            raise self.bad(name, f"{array.dtype} array; expected {np.dtype(dtype)}")
        if not len(array):
            raise self.bad(name, "no rows; expected at least one")
        return array

    def within(
        self, name: str, array: NDArray[Any], dtype: type[np.signedinteger[Any]], most: Any
    ) -> None:
        """Keep an array of indices from 0 to `most`, which is broadcast to it."""
        outside = ((array < 0) | (array > most)).reshape(len(array), -1).any(axis=1)
        if outside.any():
            row = int(outside.argmax())
            end = np.broadcast_to(most, array.shape)[row].tolist()
            raise self.bad(name, f"row {row}: {array[row].tolist()}; expected 0 to {end}")
        self.kept[name] = np.require(array, dtype, ("C", "A"))
