"""Trees of values in texts that are not trusted: JSON, YAML.

What Python makes of a text can be thirty times as large; a text of which more would come than four times its size and some MB is refused.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from mdkern.errors import FormatError, UnsupportedError

__all__ = ["MAX_DEPTH", "decode", "json_of", "yaml_of"]

MAX_DEPTH = 64
_SPARE = 36 * 2**20  # bytes that values may take beyond twice those of their text
_WIDE = (
    8 * 2**20
)  # bytes of the longest text that is not ASCII, in which letters may take four times their bytes
# Bytes that Python takes, about: of a value with its place in a list, of an empty list and map, of a text of some letters.
_VALUE, _LIST, _MAP, _TEXT = 32, 96, 256, 64

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_PLAIN = {"": None, "~": None, "null": None, "true": True, "false": False}


def decode(data: bytes, path: str) -> str:
    """The text of UTF-8; a long one must be ASCII.

    Raises
    ------
    FormatError
    """
    if len(data) > _WIDE and not data.isascii():
        raise FormatError(f"longer than {_WIDE >> 20} MB and not ASCII", path)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise FormatError("not UTF-8", path) from None


def _crowded(path: str) -> NoReturn:
    raise FormatError("more values than a text of its size may have; as .dp they are read", path)


def json_of(text: str, path: str) -> Any:
    """What a JSON text says: no key twice, no numbers of hundreds of digits.

    Raises
    ------
    FormatError
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        out = dict(pairs)
        if len(out) != len(pairs):
            raise FormatError("JSON: a key is given twice", path)
        return out

    if re.search(r"[0-9]{400}", text):  # slow to read, and to show
        raise FormatError("JSON: a number of more than 399 digits", path)
    costs = (("[", _LIST), ("{", _MAP), (",", _VALUE), ('"', _TEXT // 2))
    if sum(cost * text.count(mark) for mark, cost in costs) > 2 * len(text) + _SPARE:
        _crowded(path)
    try:
        return json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as e:
        if isinstance(e, FormatError):
            raise
        raise FormatError(f"JSON: {str(e)[:200]}", path) from None


def yaml_of(text: str, path: str) -> Any:
    """The tree by the parser's events: no tags, no anchors, nothing that makes objects.

    Raises
    ------
    FormatError
    UnsupportedError
        Without PyYAML.
    """
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
    room = 2 * len(text) + _SPARE
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
                room -= _TEXT
                continue
            value: Any
            if scalar:
                value = _scalar(event.value) if event.implicit[0] else event.value
                room -= _TEXT if isinstance(value, str) else _VALUE
            else:
                value = {} if isinstance(event, yaml.MappingStartEvent) else []
                room -= _MAP if isinstance(value, dict) else _LIST
            if room < 0:
                _crowded(path)
            if isinstance(top, dict):
                top[keys[-1]] = value
                keys[-1] = None
            else:
                top.append(value)
            if not scalar:
                if len(stack) > MAX_DEPTH:
                    fail(f"more than {MAX_DEPTH} levels", event)
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
