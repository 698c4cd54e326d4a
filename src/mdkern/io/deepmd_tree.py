"""The tree of values in DeePMD-kit's model files: ``.dp`` (HDF5), ``.yaml``, ``.json``.

In all three a model is maps, lists, texts and numbers, with arrays as leaves.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from mdkern.errors import FormatError, UnsupportedError
from mdkern.io import hdf5
from mdkern.io.archive import json_of

__all__ = ["file_kind", "read_tree"]

MAX_TEXT_BYTES = 256 * 2**20
_MAX_DEPTH = 64

_KEYS = re.compile(rb'"(@variables|@class|backend|model|software)"\s*:')
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_PLAIN = {"": None, "~": None, "null": None, "true": True, "false": False}


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
        YAML without PyYAML, features of HDF5 without h5py.
    OSError
        The file cannot be read.
    """
    name = os.fspath(path)
    kind = file_kind(path)
    if kind is None:
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
        if Path(path).stat().st_size > MAX_TEXT_BYTES:
            raise FormatError(f"larger than {MAX_TEXT_BYTES >> 20} MB", name)
        try:
            text = Path(path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise FormatError("not UTF-8", name) from None
        tree = json_of(text, name) if kind == "json" else _yaml(name, text)
        tree = _Leaves(name, None, set()).resolve(tree, False, 0)
    if not isinstance(tree, dict):
        raise FormatError("expected a map at the top", name)
    return kind, tree


def _yaml(path: str, text: str) -> Any:
    """The tree by the parser's events: no tags, no anchors, nothing that makes objects."""
    try:
        import yaml
    except ImportError:
        raise UnsupportedError(
            f"{path}: YAML is not read without PyYAML (pip install 'mdkern[deepmd]')"
        ) from None
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    def fail(message: str, event: Any) -> NoReturn:
        raise FormatError(f"YAML: {message}", path, event.start_mark.line + 1)

    root: list[Any] = []
    stack: list[Any] = [root]
    keys: list[str | None] = [None]
    try:
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.AliasEvent):
                fail("aliases are refused", event)
            if isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
                stack.pop()
                keys.pop()
                continue
            if not isinstance(event, yaml.NodeEvent):
                continue
            if event.anchor is not None or getattr(event, "tag", None) is not None:
                fail("anchors and tags are refused", event)
            top = stack[-1]
            scalar = isinstance(event, yaml.ScalarEvent)
            if isinstance(top, dict) and keys[-1] is None:
                if not scalar or event.value in top:
                    fail("expected a key that is a text, once", event)
                keys[-1] = event.value
                continue
            value: Any
            if scalar:
                value = _scalar(event.value) if event.implicit[0] else event.value
            else:
                value = {} if isinstance(event, yaml.MappingStartEvent) else []
            if isinstance(top, dict):
                top[keys[-1]] = value
                keys[-1] = None
            else:
                top.append(value)
            if not scalar:
                if len(stack) > _MAX_DEPTH:
                    fail(f"more than {_MAX_DEPTH} levels", event)
                stack.append(value)
                keys.append(None)
    except yaml.YAMLError as e:
        raise FormatError(f"YAML: {' '.join(str(e).split())[:200]}", path) from None
    if len(root) != 1:
        raise FormatError("YAML: expected one document", path)
    return root[0]


def _scalar(text: str) -> Any:
    """A plain YAML scalar; what is no number, no truth value and not null is a text."""
    if text.lower() in _PLAIN:
        return _PLAIN[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    return text


class _Leaves:
    """Puts arrays where the tree names them (HDF5) or spells them out (text)."""

    def __init__(self, path: str, arrays: hdf5.Arrays | None, used: set[str]) -> None:
        self.path = path
        self.arrays = arrays
        self.used = used

    def resolve(self, node: Any, variables: bool, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise FormatError(f"more than {_MAX_DEPTH} levels", self.path)
        if isinstance(node, dict):
            if self.arrays is None and node.get("@class") == "np.ndarray":
                return self.spelled(node)
            return {
                k: self.resolve(v, variables or k == "@variables", depth + 1)
                for k, v in node.items()
            }
        if isinstance(node, list):
            if variables and self.arrays is None and node:
                return self.array(node, "float64")
            return [self.resolve(v, variables, depth + 1) for v in node]
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
