"""Values in a YAML text that stand in brackets, braces, quotes or alone, and their places: what blocks are made of."""

from __future__ import annotations

import re
import sys
from array import array
from typing import Any, NoReturn

from mdkern.errors import FormatError
from mdkern.io.text import show

__all__ = ["ENTRY", "MAX_NUMBERS", "MAX_TEXT", "NUMBERS", "ODD", "Document", "Flow", "Node"]

MAX_DEPTH = 32
MAX_NUMBERS = 2**22  # of one list
MAX_TEXT = 65535
_FREE_NODES, _BYTES_OF_NODE = 200_000, 12  # a real file has 14 bytes for each value or more

_SPACE = re.compile(r"[ \t\r\n]*")
_BLANK = re.compile(r"[ \t]*")
NUMBERS = re.compile(r"\[([-+0-9.eE, \t\r\n]*)\]")
# A plain entry of a map in braces, with the mark behind it: what nearly all of a long file is.
_PAIR = re.compile(r"\s*([A-Za-z_]\w*)\s*:\s+(?:\[([-+0-9.eE,\s]*)\]|([-+.\w]{1,400}))\s*([,}])")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\[\s\S]){0,65535})"')
_SINGLE = re.compile(r"'((?:[^']|''){0,65535})'")
_FLOW = re.compile(r"(?:[^,\[\]{}:#]|:(?![\s,\[\]{}])|(?<=\S)#){1,65535}")
ENTRY = re.compile(r"\?(?=\s|\Z)")
ODD = {"&": "anchors", "*": "aliases", "!": "tags", "%": "directives", "@": "'@'", "`": "'`'"}
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None}


class Node:
    """A value: dict by key, list of nodes, array of numbers, text, or None, and its place in the text."""

    __slots__ = ("at", "value")

    def __init__(self, value: Any, at: int) -> None:
        self.value = value
        self.at = at


class Document:
    """A parsed text, with the messages that its user needs.

    Attributes
    ----------
    root : Node
    """

    def __init__(self, text: str, path: str) -> None:
        self.text = text
        self.path = path
        self.root = Node(None, 0)

    def line(self, at: int) -> int:
        return self.text.count("\n", 0, at) + 1

    def fail(self, message: str, at: int) -> NoReturn:
        raise FormatError(message, self.path, self.line(at))


class Flow(Document):
    """A place in the text that goes ahead; recursive descent by brackets."""

    def __init__(self, text: str, path: str) -> None:
        super().__init__(text, path)
        self.pos = 0
        self.depth = 0
        self.room = _FREE_NODES + len(text) // _BYTES_OF_NODE

    # --- places

    def skip(self) -> None:
        """To the next letter that is no space and in no comment."""
        text = self.text
        while True:
            match = _SPACE.match(text, self.pos)
            self.pos = match.end() if match else self.pos
            if not text.startswith("#", self.pos):
                return
            end = text.find("\n", self.pos)
            self.pos = len(text) if end < 0 else end

    def skip_in_line(self) -> bool:
        """Whether something is left on this line."""
        match = _BLANK.match(self.text, self.pos)
        self.pos = match.end() if match else self.pos
        return self.pos < len(self.text) and self.text[self.pos] not in "#\r\n"

    def column(self) -> int:
        return self.pos - (self.text.rfind("\n", 0, self.pos) + 1)

    def shown(self) -> str:
        rest = self.text[self.pos : self.pos + 60].split("\n")[0].strip()
        return show(rest.encode()) if rest else "the end of the file"

    def wrong(self, message: str) -> NoReturn:
        self.fail(message, self.pos)

    def node(self, value: Any, at: int) -> Node:
        self.room -= 1
        if self.room < 0:
            self.fail("more values than a file of its size may have", at)
        return Node(value, at)

    def down(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.wrong(f"nested in more than {MAX_DEPTH} levels")

    # --- flow

    def flow(self) -> Node:
        text, at = self.text, self.pos
        first = text[at] if at < len(text) else ""
        if first == "[":
            if match := NUMBERS.match(text, at):
                self.pos = match.end()
                return self.node(self.numbers(match[1], at), at)
            self.down()
            node = self.node(self.flow_items(), at)
            self.depth -= 1
            return node
        if first == "{":
            self.down()
            node = self.node(self.flow_entries(), at)
            self.depth -= 1
            return node
        if first in "\"'" and first:
            return self.node(self.quoted(), at)
        return self.node(self.scalar(self.flow_text()), at)

    def flow_text(self) -> str:
        self.refuse_odd()
        match = _FLOW.match(self.text, self.pos)
        if match is None:
            self.wrong(f"{self.shown()}; expected a value")
        self.pos = match.end()
        return " ".join(match[0].split())

    def flow_items(self) -> list[Node] | array[float]:
        begin = self.pos
        self.pos += 1
        out: list[Node] = []
        while True:
            self.skip()
            if self.closed("]", begin):
                return self.plain_numbers(out)
            out.append(self.flow())
            self.next_item("]", begin)

    def plain_numbers(self, nodes: list[Node]) -> list[Node] | array[float]:
        """Numbers that the quick way did not take, for comments between them, as an array too."""
        if not nodes or not all(isinstance(node.value, str) for node in nodes):
            return nodes
        try:
            return array("d", [float(node.value) for node in nodes if "_" not in node.value])
        except ValueError:
            return nodes

    def flow_entries(self) -> dict[Any, Node]:
        begin = self.pos
        self.pos += 1
        out: dict[Any, Node] = {}
        while True:
            while pair := _PAIR.match(self.text, self.pos):
                key, body, word, mark = pair.groups()
                key = sys.intern(key)
                self.once(out, key, pair.start(1))
                at = pair.start(2) - 1 if body is not None else pair.start(3)
                value = self.numbers(body, at) if body is not None else self.scalar(word)
                out[key] = self.node(value, at)
                self.pos = pair.end()
                if mark == "}":
                    return out
            self.skip()
            if self.closed("}", begin):
                return out
            self.flow_entry(out)
            self.next_item("}", begin)

    def flow_entry(self, out: dict[Any, Node]) -> None:
        """Any other entry."""
        at = self.pos
        if ENTRY.match(self.text, at):
            self.pos += 1
            self.skip()
        if self.text[self.pos : self.pos + 1] in ('"', "'"):
            key: Any = self.quoted()
        elif self.text.startswith("[", self.pos):
            key = self.as_key(self.flow())
        else:
            key = self.flow_text()
        self.skip()
        if not self.text.startswith(":", self.pos):
            self.wrong(f"{self.shown()}; expected ':' behind key {key!r:.60}")
        self.once(out, key, at)
        self.pos += 1
        self.skip()
        if self.text.startswith((",", "}"), self.pos):
            out[key] = self.node(None, self.pos)
        else:
            out[key] = self.flow()

    def closed(self, mark: str, begin: int) -> bool:
        if self.pos >= len(self.text):
            self.fail(f"{'{' if mark == '}' else '['!r} that is not closed", begin)
        if self.text[self.pos] != mark:
            return False
        self.pos += 1
        return True

    def next_item(self, mark: str, begin: int) -> None:
        """Behind the comma; a closing mark is left for the loop."""
        self.skip()
        if self.text.startswith(",", self.pos):
            self.pos += 1
        elif self.pos >= len(self.text):
            self.fail(f"{'{' if mark == '}' else '['!r} that is not closed", begin)
        elif self.text[self.pos] != mark:
            self.wrong(f"{self.shown()}; expected ',' or {mark!r}")

    # --- keys

    def of_numbers(self, values: Any, at: int) -> tuple[int, ...]:
        if not all(abs(value) < 1e9 and value == int(value) for value in values):
            self.fail("a list that is a key; expected integers in it", at)
        return tuple(int(value) for value in values)

    def once(self, found: dict[Any, Node], key: Any, at: int) -> None:
        if key in found:
            self.fail(f"key {key!r:.60} is given twice", at)

    def as_key(self, node: Node) -> Any:
        value = node.value
        if isinstance(value, array):
            return self.of_numbers(value, node.at)
        if isinstance(value, list):
            words = [item.value for item in value]
            if not all(isinstance(w, str) and re.fullmatch("[0-9]{1,9}", w) for w in words):
                self.fail("a list that is a key; expected integers in it", node.at)
            return tuple(int(word) for word in words)
        if not isinstance(value, str):
            self.fail("expected a key that is a text or a list of integers", node.at)
        return value

    # --- values

    def numbers(self, body: str, at: int) -> array[float]:
        if body.count(",") > MAX_NUMBERS:
            self.fail(f"a list of more than {MAX_NUMBERS} numbers", at)
        words = body.split(",")
        if not words[-1].strip():  # an empty list, or a comma at its end
            words.pop()
        try:
            return array("d", map(float, words))
        except ValueError:
            pass
        for word in words:
            try:
                float(word)
            except ValueError:
                self.fail(f"{show(word.strip().encode())}; expected a number", at + 1 + body.find(word))  # fmt: skip
        raise AssertionError

    def quoted(self) -> str:
        text, at = self.text, self.pos
        match = (_DOUBLE if text[at] == '"' else _SINGLE).match(text, at)
        if match is None:
            self.wrong(f"{text[at]} that is not closed (or more than {MAX_TEXT} letters)")
        self.pos = match.end()
        if text[at] == "'":
            return match[1].replace("''", "'")
        return re.sub(r"\\(.)", r"\1", match[1], flags=re.DOTALL)

    def scalar(self, text: str) -> str | None:
        return _WORDS.get(text, text)

    def refuse_odd(self) -> None:
        if self.pos < len(self.text) and (what := ODD.get(self.text[self.pos])):
            self.wrong(f"{self.shown()}; {what} of YAML are refused")
