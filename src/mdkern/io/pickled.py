"""Pickles that are not trusted, read without Python's unpickler: what comes out are records, which do nothing.

A pickle is a program of a small stack machine. Python's own runs it by importing what it names and calling it. This one knows the
operations that protocol 2 has for data, and none of them imports, calls or looks anything up:

==================================  =========================================================================
the pickle says                     what is made
==================================  =========================================================================
a name (``GLOBAL``)                 :class:`Name`
a call, a new object                :class:`Record` with the name and the arguments
the state of an object              `Record.state`, as it stands
numbers, texts, tuples, lists       such; a text of more than 256 bytes is None
maps                                dict of the keys that are texts; other keys are dropped
``collections.OrderedDict()``       an empty map
an object outside (``BINPERSID``)   `Record` named ``persistent`` with what identifies it
==================================  =========================================================================

Nothing here recurses, so that deep nesting does no harm; whoever looks at records must not recurse either, as lists and records may contain themselves.
"""

from __future__ import annotations

import struct
from typing import Any, NoReturn

from mdkern.errors import FormatError, UnsupportedError

__all__ = ["PERSISTENT", "Name", "Record", "read_pickle"]

MAX_BYTES = 64 * 2**20
MAX_OPERATIONS = 2**18  # each makes one value at most: some 30 MB
MAX_TEXT = MAX_NAME = 256
MAX_TEXTS = 2**20  # bytes together; in memory up to four times as many
PERSISTENT = "persistent"


class Name:
    """Something that a pickle names, such as ``torch._utils._rebuild_tensor_v2``; it is not looked up."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Record:
    """An object or the result of a call that a pickle asks for: the name, the arguments, the state that it would be given."""

    __slots__ = ("args", "name", "state")

    def __init__(self, name: str, args: tuple[Any, ...]) -> None:
        self.name = name
        self.args = args
        self.state: Any = None


def read_pickle(data: bytes, path: str, where: str) -> Any:
    """What a pickle of protocol 2 holds.

    Parameters
    ----------
    data : bytes
    path, where : str
        File and member, for messages.

    Raises
    ------
    FormatError
        It is damaged, or larger than models are.
    UnsupportedError
        It has another protocol, or operations that files of PyTorch do not have.
    """
    if len(data) > MAX_BYTES:
        raise FormatError(f"{where}: {len(data)} bytes; expected at most {MAX_BYTES}", path)
    machine = _Machine(data, path, where)
    try:
        return machine.run()
    except (IndexError, struct.error):  # the stack or the data have come to their end
        machine.fail("damaged")


class _Machine:
    def __init__(self, data: bytes, path: str, where: str) -> None:
        self.data, self.path, self.where = data, path, where
        self.at = self.texts = 0
        self.stack: list[Any] = []
        self.marks: list[int] = []  # heights of the stack
        self.memo: dict[int, Any] = {}

    def fail(self, message: str) -> NoReturn:
        raise FormatError(f"{self.where}: byte {self.at}: {message}", self.path)

    # --- data

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self.data):
            self.fail("the pickle ends before it is complete")
        part = self.data[self.at : end]
        self.at = end
        return part

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> str:
        end = self.data.find(b"\n", self.at, self.at + MAX_NAME)
        if end < 0:
            self.fail(f"a name that does not end within {MAX_NAME} bytes")
        return self.take(end + 1 - self.at)[:-1].decode("ascii", "replace")

    def text(self) -> str | None:
        """A longer one is no name or option: compiled code, which nobody needs, and which could take four times its bytes."""
        part = self.take(self.number("<I"))
        if len(part) > MAX_TEXT:
            return None
        self.texts += len(part)
        if self.texts > MAX_TEXTS:
            self.fail(f"more than {MAX_TEXTS} bytes of texts")
        return part.decode("utf-8", "replace")

    # --- stack

    def pop_to_mark(self) -> list[Any]:
        height = self.marks.pop()
        if height > len(self.stack):
            self.fail("a mark above the stack")
        values = self.stack[height:]
        del self.stack[height:]
        return values

    def pop_tuple(self, count: int) -> tuple[Any, ...]:
        if count > len(self.stack):
            self.fail("the stack is empty")
        values = tuple(self.stack[-count:])
        del self.stack[-count:]
        return values

    def made(self, what: Any, args: Any) -> Any:
        """A record in place of a call or a new object."""
        name = what.name if isinstance(what, Name) else "unknown"
        if not isinstance(args, tuple):
            self.fail("arguments that are no tuple")
        if name == "collections.OrderedDict" and not args:
            return {}
        return Record(name, args)

    def put_items(self, values: list[Any]) -> None:
        """Keys and values in turn into the map on the stack."""
        target = self.stack[-1]
        if len(values) % 2:
            self.fail("a key without a value")
        if isinstance(target, Record):  # of a class with items, none of which is looked at
            return
        if not isinstance(target, dict):
            self.fail("items of what is no map")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if isinstance(key, str):
                target[key] = value

    def append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Record):  # of a class that is a list
            return
        if not isinstance(target, list):
            self.fail("elements of what is no list")
        target.extend(values)

    def build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Record):
            target.state = state
        elif not isinstance(target, dict):  # an OrderedDict may have a state
            self.fail("the state of what is no object")

    # --- the program

    def run(self) -> Any:
        if self.take(1) != b"\x80":
            self.fail("no pickle of protocol 2")
        protocol = self.number("B")
        if protocol != 2:
            raise UnsupportedError(f"{self.path}: {self.where}: protocol {protocol}; 2 is read")
        count = 0
        while (operation := self.take(1)) != b".":  # STOP
            count += 1
            if count > MAX_OPERATIONS:
                self.fail(f"more than {MAX_OPERATIONS} operations")
            self.step(operation)
        return self.stack.pop()

    def step(self, operation: bytes) -> None:
        stack = self.stack
        if operation in _CONSTANTS:
            stack.append(_CONSTANTS[operation])
        elif operation in _NUMBERS:
            stack.append(self.number(_NUMBERS[operation]))
        elif operation in _TUPLES:
            stack.append(self.pop_tuple(_TUPLES[operation]))
        elif operation in b"qr":  # BINPUT, LONG_BINPUT
            self.memo[self.number("B" if operation == b"q" else "<I")] = stack[-1]
        elif operation in b"hj":  # BINGET, LONG_BINGET
            key = self.number("B" if operation == b"h" else "<I")
            if key not in self.memo:
                self.fail(f"nothing is remembered as {key}")
            stack.append(self.memo[key])
        elif operation == b"X":  # BINUNICODE
            stack.append(self.text())
        elif operation == b"\x8a":  # LONG1
            stack.append(int.from_bytes(self.take(self.number("B")), "little", signed=True))
        elif operation == b"}":  # EMPTY_DICT
            stack.append({})
        elif operation == b"]":  # EMPTY_LIST
            stack.append([])
        elif operation == b"(":  # MARK
            self.marks.append(len(stack))
        elif operation == b"t":  # TUPLE
            stack.append(tuple(self.pop_to_mark()))
        elif operation == b"c":  # GLOBAL
            stack.append(Name(f"{self.line()}.{self.line()}"))
        elif operation in b"R\x81":  # REDUCE, NEWOBJ
            stack.append(self.made(*self.pop_tuple(2)))
        elif operation == b"Q":  # BINPERSID
            stack.append(Record(PERSISTENT, (stack.pop(),)))
        elif operation == b"b":  # BUILD
            self.build()
        elif operation == b"u":  # SETITEMS
            self.put_items(self.pop_to_mark())
        elif operation == b"s":  # SETITEM
            self.put_items(list(self.pop_tuple(2)))
        elif operation == b"e":  # APPENDS
            self.append(self.pop_to_mark())
        elif operation == b"a":  # APPEND
            self.append([stack.pop()])
        else:
            raise UnsupportedError(
                f"{self.path}: {self.where}: byte {self.at}: operation {operation!r} of a pickle, "
                "which files of PyTorch do not have"
            )


_CONSTANTS: dict[bytes, Any] = {b"N": None, b"\x88": True, b"\x89": False, b")": ()}
_NUMBERS = {b"K": "B", b"M": "<H", b"J": "<i", b"G": ">d"}
_TUPLES = {b"\x85": 1, b"\x86": 2, b"\x87": 3}
