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
from collections.abc import Callable, Sequence
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
    except (IndexError, struct.error):
        machine.fail("damaged, or it ends before it is complete")


class _Machine:
    """The stack machine. What it takes from an empty stack or behind the end of the data is an IndexError or struct.error."""

    def __init__(self, data: bytes, path: str, where: str) -> None:
        self.data, self.path, self.where = data, path, where
        self.at = self.texts = 0
        self.stack: list[Any] = []
        self.marks: list[int] = []  # heights of the stack
        self.memo: dict[int, Any] = {}

    def fail(self, message: str) -> NoReturn:
        raise FormatError(f"{self.where}: byte {self.at}: {message}", self.path)

    def run(self) -> Any:
        data = self.data
        if data[:1] != b"\x80":
            self.fail("no pickle of protocol 2")
        if data[1] != 2:
            raise UnsupportedError(f"{self.path}: {self.where}: protocol {data[1]}; 2 is read")
        self.at = 2
        count = 0
        while (code := data[self.at]) != _STOP:
            self.at += 1
            count += 1
            if count > MAX_OPERATIONS:
                self.fail(f"more than {MAX_OPERATIONS} operations")
            operation = _OPERATIONS.get(code)
            if operation is None:
                raise UnsupportedError(
                    f"{self.path}: {self.where}: byte {self.at}: operation {bytes([code])!r} of a pickle, which files of "
                    "PyTorch do not have"
                )
            operation(self)
        return self.stack.pop()

    # --- data

    def number(self, form: struct.Struct) -> Any:
        (value,) = form.unpack_from(self.data, self.at)
        self.at += form.size
        return value

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self.data):
            raise IndexError
        part = self.data[self.at : end]
        self.at = end
        return part

    def line(self) -> str:
        end = self.data.find(b"\n", self.at, self.at + MAX_NAME)
        if end < 0:
            self.fail(f"a name that does not end within {MAX_NAME} bytes")
        name = self.take(end + 1 - self.at)[:-1].decode("ascii", "replace")
        if not name.isprintable():  # messages show it
            self.fail("a name with characters that cannot be printed")
        return name

    # --- stack

    def from_mark(self) -> list[Any]:
        height = self.marks.pop()
        if height > len(self.stack):
            self.fail("a mark above the stack")
        values = self.stack[height:]
        del self.stack[height:]
        return values

    def top(self, count: int) -> tuple[Any, ...]:
        if count > len(self.stack):
            raise IndexError
        values = tuple(self.stack[-count:])
        del self.stack[-count:]
        return values

    # --- operations

    def drop(self, values: Sequence[Any]) -> None:
        """Tuples that hold themselves are made twice, and one is thrown away."""

    def put(self, form: struct.Struct) -> None:
        self.memo[self.number(form)] = self.stack[-1]

    def get(self, form: struct.Struct) -> None:
        key = self.number(form)
        if key not in self.memo:
            self.fail(f"nothing is remembered as {key}")
        self.stack.append(self.memo[key])

    def long(self) -> None:
        self.stack.append(int.from_bytes(self.take(self.number(_U1)), "little", signed=True))

    def text(self) -> None:
        """A long one is no name or option: compiled code, which nobody needs, and which could take four times its bytes."""
        part = self.take(self.number(_U4))
        if len(part) > MAX_TEXT:
            self.stack.append(None)
            return
        self.texts += len(part)
        if self.texts > MAX_TEXTS:
            self.fail(f"more than {MAX_TEXTS} bytes of texts")
        self.stack.append(part.decode("utf-8", "replace"))

    def mark(self) -> None:
        self.marks.append(len(self.stack))

    def make(self) -> None:
        """A record in place of a call or a new object."""
        what, args = self.top(2)
        name = what.name if isinstance(what, Name) else "unknown"
        if not isinstance(args, tuple):
            self.fail("arguments that are no tuple")
        empty_map = name == "collections.OrderedDict" and not args
        self.stack.append({} if empty_map else Record(name, args))

    def build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Record):
            target.state = state
        elif not isinstance(target, dict):  # an OrderedDict may have a state
            self.fail("the state of what is no object")

    def put_items(self, values: Sequence[Any]) -> None:
        """Keys and values in turn into the map on the stack; of a record, whose class has items, nobody looks at them."""
        target = self.stack[-1]
        if len(values) % 2:
            self.fail("a key without a value")
        if isinstance(target, Record):
            return
        if not isinstance(target, dict):
            self.fail("items of what is no map")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if isinstance(key, str):
                target[key] = value

    def append(self, values: Sequence[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Record):  # of a class that is a list: as above
            return
        if not isinstance(target, list):
            self.fail("elements of what is no list")
        target.extend(values)


_STOP = ord(".")
_U1, _U2, _U4, _I4, _F8 = map(struct.Struct, ("<B", "<H", "<I", "<i", ">d"))
_OPERATIONS: dict[int, Callable[[_Machine], None]] = {
    ord("q"): lambda m: m.put(_U1),  # BINPUT
    ord("r"): lambda m: m.put(_U4),  # LONG_BINPUT
    ord("h"): lambda m: m.get(_U1),  # BINGET
    ord("j"): lambda m: m.get(_U4),  # LONG_BINGET
    ord("N"): lambda m: m.stack.append(None),  # NONE
    0x88: lambda m: m.stack.append(True),  # NEWTRUE
    0x89: lambda m: m.stack.append(False),  # NEWFALSE
    ord(")"): lambda m: m.stack.append(()),  # EMPTY_TUPLE
    ord("]"): lambda m: m.stack.append([]),  # EMPTY_LIST
    ord("}"): lambda m: m.stack.append({}),  # EMPTY_DICT
    ord("K"): lambda m: m.stack.append(m.number(_U1)),  # BININT1
    ord("M"): lambda m: m.stack.append(m.number(_U2)),  # BININT2
    ord("J"): lambda m: m.stack.append(m.number(_I4)),  # BININT
    ord("G"): lambda m: m.stack.append(m.number(_F8)),  # BINFLOAT
    0x8A: _Machine.long,  # LONG1
    ord("X"): _Machine.text,  # BINUNICODE
    ord("c"): lambda m: m.stack.append(Name(f"{m.line()}.{m.line()}")),  # GLOBAL
    ord("Q"): lambda m: m.stack.append(Record(PERSISTENT, m.top(1))),  # BINPERSID
    ord("0"): lambda m: m.drop(m.top(1)),  # POP
    ord("1"): lambda m: m.drop(m.from_mark()),  # POP_MARK
    ord("("): _Machine.mark,  # MARK
    ord("t"): lambda m: m.stack.append(tuple(m.from_mark())),  # TUPLE
    0x85: lambda m: m.stack.append(m.top(1)),  # TUPLE1
    0x86: lambda m: m.stack.append(m.top(2)),  # TUPLE2
    0x87: lambda m: m.stack.append(m.top(3)),  # TUPLE3
    ord("R"): _Machine.make,  # REDUCE
    0x81: _Machine.make,  # NEWOBJ
    ord("b"): _Machine.build,  # BUILD
    ord("s"): lambda m: m.put_items(m.top(2)),  # SETITEM
    ord("u"): lambda m: m.put_items(m.from_mark()),  # SETITEMS
    ord("a"): lambda m: m.append(m.top(1)),  # APPEND
    ord("e"): lambda m: m.append(m.from_mark()),  # APPENDS
}
