"""The part of YAML in which potentials are written, without PyYAML: block and flow maps and lists, lists as keys of maps, long lists of numbers.

A list of numbers becomes one array at once, which is what makes files of several MB quick. Tags, anchors and aliases are refused, as is a second document; every value knows its place, for messages.
"""

from __future__ import annotations

import re
from array import array
from typing import Any

from mdkern.errors import FormatError
from mdkern.io.yaml_flow import ENTRY, MAX_NUMBERS, MAX_TEXT, NUMBERS, ODD, Document, Flow, Node

__all__ = ["MAX_BYTES", "Document", "Node", "parse_yaml"]

MAX_BYTES = 64 * 2**20

_PLAIN = re.compile(r"(?:[^:#\n]|:(?!\s|\Z)|(?<=\S)#){1,65535}")
_COLON = re.compile(r"[ \t]*:(?=\s|\Z)")
_ITEM = re.compile(r"-(?=\s|\Z)")
_VALUE = re.compile(r":(?=\s|\Z)")
_LITERAL = re.compile(r"[|>][-+1-9]{0,2}[ \t]*(?:#[^\n]*)?(?=\r?\n|\Z)")
_START = re.compile(r"(?:%[^\n]*\n|[ \t]*(?:#[^\n]*|\r?)\n)*---(?=\s|\Z)")
_END = re.compile(r"\.\.\.[ \t]*(?:\r?\n|\Z)")


def parse_yaml(data: bytes, path: str) -> Document:
    """The tree of a text.

    Keys are texts, or tuples of integers where the file has a list of them.

    Raises
    ------
    FormatError
        Not UTF-8, no YAML of the part that is read, a key given twice, too deep, or too many values for its size.
    """
    try:
        text = data.decode("utf-8") if len(data) <= 2**23 else data.decode("ascii")
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        raise FormatError("a letter that is not UTF-8 (or, in a file of more than 8 MB, not ASCII)", path, line) from None  # fmt: skip
    return _Parser(text, path).document()


class _Parser(Flow):
    """Blocks by the column of their first letter."""

    def document(self) -> Document:
        if start := _START.match(self.text, 0, 65536):
            self.pos = start.end()
        self.skip()
        self.root = self.block(0)
        self.skip()
        if self.pos < len(self.text) and (end := _END.match(self.text, self.pos)):
            self.pos = end.end()
            self.skip()
        if self.pos < len(self.text):
            what = "a second document" if self.text.startswith("---", self.pos) else self.shown()
            self.wrong(f"{what}; expected the end of the file or the next key of this block")
        return self

    # --- blocks

    def block(self, least: int) -> Node:
        """The value that begins here, where its column is at least `least`; else nothing."""
        at = self.pos
        if at == len(self.text) or self.column() < least:
            return self.node(None, at)
        self.down()
        column = self.column()
        if _ITEM.match(self.text, at):
            node = self.node(self.items(column), at)
        elif ENTRY.match(self.text, at) or self.key_here():
            node = self.node(self.entries(column), at)
        else:
            node = self.inline(least - 1)
        self.depth -= 1
        return node

    def key_here(self) -> bool:
        """Whether a key and its colon are next; the place stays."""
        at, room = self.pos, self.room
        try:
            return self.key() is not None
        finally:
            self.pos, self.room = at, room

    def key(self) -> Any:
        """A key with its colon on one line, else None."""
        text, at = self.text, self.pos
        first = text[at]
        key: Any = None
        if first == "[":
            match = NUMBERS.match(text, at)
            if match is None or not _COLON.match(text, match.end()):
                return None
            key, self.pos = self.of_numbers(self.numbers(match[1], at), at), match.end()
        elif first in "\"'":
            key = self.quoted()
        elif first in "{|>" or first in ODD:
            return None
        else:
            match = _PLAIN.match(text, at)
            if match is None:
                return None
            key, self.pos = match[0].strip(), match.end()
        if colon := _COLON.match(text, self.pos):
            self.pos = colon.end()
            return key
        return None

    def entries(self, column: int) -> dict[Any, Node]:
        """A map in a block."""
        out: dict[Any, Node] = {}
        while self.pos < len(self.text) and self.column() == column:
            at = self.pos
            if ENTRY.match(self.text, at):  # "? key", ": value", each a block of its own
                self.pos += 1
                self.skip()
                key = self.as_key(self.block(column + 1))
                self.skip()
                if not (_VALUE.match(self.text, self.pos) and self.column() == column):
                    self.wrong(f"{self.shown()}; expected ': ' and the value of the key")
                self.pos += 1
                self.once(out, key, at)
                self.skip()
                out[key] = self.block(column + 1)
            else:
                if self.text.startswith(("---", "..."), at) and column == 0:
                    return out
                key = self.key()
                if key is None:
                    self.pos = at
                    self.refuse_odd()
                    self.wrong(f"{self.shown()}; expected a key and ': '")
                self.once(out, key, at)
                out[key] = self.value(column)
            self.skip()
        if self.pos < len(self.text) and self.column() > column:
            self.wrong(f"{self.shown()}; expected a key at column {column + 1}")
        return out

    def value(self, column: int) -> Node:
        """Behind the colon of a key at `column`."""
        if self.skip_in_line():
            return self.inline(column)
        self.skip()
        if self.pos < len(self.text) and self.column() == column and _ITEM.match(self.text, self.pos):  # fmt: skip
            self.down()
            at = self.pos
            node = self.node(self.items(column), at)
            self.depth -= 1
            return node
        return self.block(column + 1)

    def items(self, column: int) -> list[Node] | array[float]:
        """A list in a block; of numbers alone an array."""
        out: list[Node] = []
        text = self.text
        numbers = self.lines_of_numbers(column)
        while self.pos < len(text) and self.column() == column and _ITEM.match(text, self.pos):
            self.pos += 1
            self.skip()
            out.append(self.block(column + 1))
            self.skip()
        if self.pos < len(text) and self.column() > column:
            self.wrong(f"{self.shown()}; expected '- ' at column {column + 1}")
        if numbers and out:
            out = [self.node(f"{value:.17g}", self.pos) for value in numbers] + out
        return out or numbers

    def lines_of_numbers(self, column: int) -> array[float]:
        """As many items from here on as are plain numbers, one on each line."""
        item = r"-[ ]+[-+.0-9][-+.0-9eE]*[ \t]*\r?\n"
        lines = re.compile(rf"{item}(?:[ ]{{{column}}}{item}){{0,9999}}")
        numbers = array("d")
        while match := lines.match(self.text, self.pos):
            if len(numbers) > MAX_NUMBERS:
                self.wrong(f"a list of more than {MAX_NUMBERS} numbers")
            words = match[0].split()[1::2]
            numbers.extend(self.numbers(",".join(words), self.pos))
            self.pos = match.end()
            self.skip()
            if self.pos >= len(self.text) or self.column() != column:
                break
        return numbers

    def inline(self, column: int) -> Node:
        """A flow value or a scalar of a block whose parent is at `column`."""
        text, at = self.text, self.pos
        first = text[at]
        if first in "[{":
            return self.flow()
        if first in "\"'":
            return self.node(self.quoted(), at)
        if literal := _LITERAL.match(text, at):
            self.pos = literal.end()
            return self.node(self.literal(column), at)
        self.refuse_odd()
        match = _PLAIN.match(text, at)
        if match is None:
            self.wrong(f"{self.shown()}; expected a value")
        words = [match[0].strip()]
        self.pos = match.end()
        while not self.skip_in_line():  # a text goes on in lines that are further in
            end = self.pos
            self.skip()
            more = _PLAIN.match(text, self.pos)
            if self.pos == len(text) or self.column() <= column or more is None or text[end] == "#":
                self.pos = end
                break
            words.append(more[0].strip())
            self.pos = more.end()
        return self.node(self.scalar(" ".join(words)), at)

    def literal(self, column: int) -> str:
        """Lines behind ``|`` or ``>``: all that are further in than the parent, as they are."""
        text = self.text
        newline = text.find("\n", self.pos)
        begin = end = len(text) if newline < 0 else newline + 1
        while end < len(text):
            stop = text.find("\n", end)
            stop = len(text) if stop < 0 else stop + 1
            line = text[end:stop]
            if line.strip() and len(line) - len(line.lstrip(" ")) <= column:
                break
            end = stop
        self.pos = end
        return text[begin:end][:MAX_TEXT]
