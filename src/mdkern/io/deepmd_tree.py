"""The tree of values in DeePMD-kit's model files: ``.dp`` (HDF5), ``.yaml``, ``.json``.

In all three a model is maps, lists, texts and numbers, with arrays as leaves.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from mdkern.errors import FormatError, UnsupportedError
from mdkern.io import hdf5
from mdkern.io.documents import MAX_DEPTH, decode, json_of, yaml_of
from mdkern.io.files import read_bytes
from mdkern.io.foreign import check_foreign

__all__ = ["file_kind", "read_tree"]

MAX_TEXT_BYTES = 256 * 2**20

_KEYS = re.compile(rb'"(@variables|@class|backend|model|software)"\s*:')


def file_kind(path: str | os.PathLike[str]) -> str | None:
    """ "dp", "json" or "yaml" by the file's first bytes; None: not a file of DeePMD-kit's."""
    with Path(path).open("rb") as file:
        head = file.read(4096)
    if head.startswith(hdf5.SIGNATURE):
        return "dp" if hdf5.has_attribute(path, "json") else None
    if re.match(rb'\s*\{\s*"', head) and _KEYS.search(head):
        return "json"
    if re.search(rb"(?m)^(model|backend|'@variables'): ?", head):
        return "yaml"
    return None


def read_tree(path: str | os.PathLike[str]) -> tuple[str, dict[str, Any]]:
    """Kind of the file, and its content with arrays as NumPy arrays.

    Raises
    ------
    FormatError
        The file is damaged, is none of the three, has aliases or links, or is larger than 256 MB (text), 2 GB (HDF5).
    UnsupportedError
        YAML without PyYAML; features of HDF5 that are not read.
    OSError
        The file cannot be read.
    """
    name = os.fspath(path)
    kind = file_kind(path)
    if kind is None:
        check_foreign(path)
        raise FormatError(
            "expected a model of DeePMD-kit as .dp, .yaml or .json; convert others with "
            "'dp convert-backend MODEL model.dp'",
            name,
        )
    if kind == "dp":
        text, arrays = hdf5.read_hdf5(path, "json")
        tree = json_of(text, name)
        used: set[str] = set()
        tree = _Leaves(name, arrays, used).resolve(tree, False, 0)
    else:
        # No name for bytes or text: they go before arrays are made.
        parse = json_of if kind == "json" else yaml_of
        tree = parse(decode(read_bytes(path, MAX_TEXT_BYTES), name), name)
        tree = _Leaves(name, None, set()).resolve(tree, False, 0)
    if not isinstance(tree, dict):
        raise FormatError("expected a map at the top", name)
    return kind, tree


class _Leaves:
    """Puts arrays where the tree names them (HDF5) or spells them out (text)."""

    def __init__(self, path: str, arrays: hdf5.Arrays | None, used: set[str]) -> None:
        self.path = path
        self.arrays = arrays
        self.used = used

    def resolve(self, node: Any, variables: bool, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise FormatError(f"more than {MAX_DEPTH} levels", self.path)
        if isinstance(node, dict):
            if self.arrays is None and node.get("@class") == "np.ndarray":
                return self.spelled(node)
            for k, v in node.items():  # in place: what becomes an array is let go at once
                node[k] = self.resolve(v, variables or k == "@variables", depth + 1)
            return node
        if isinstance(node, list):
            if variables and self.arrays is None and node:
                return self.array(node, "float64")
            for n, v in enumerate(node):
                node[n] = self.resolve(v, variables, depth + 1)
            return node
        if variables and self.arrays is not None and isinstance(node, str):
            name = node.lstrip("/")
            if name in self.used:
                raise FormatError(f"{node!r} is used twice; aliases are refused", self.path)
            if name not in self.arrays:
                raise FormatError(f"no dataset {node!r}", self.path)
            self.used.add(name)
            return self.arrays[name]
        return node

    def spelled(self, node: dict[str, Any]) -> Any:
        dtype = node.get("dtype")
        if dtype not in ("float64", "float32", "float16", "int64", "int32"):
            raise UnsupportedError(f"{self.path}: array of dtype {str(dtype)[:40]!r}")
        return self.array(node.get("value"), dtype)

    def array(self, value: Any, dtype: str) -> Any:
        try:
            return np.array(value, dtype=dtype)
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise FormatError(
                f"array of {dtype}: {str(value)[:60]}...; expected nested lists of numbers",
                self.path,
            ) from None
