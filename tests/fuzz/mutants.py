"""Damage to files by their structure: words and lines of texts, nodes of trees, members of archives, fields of HDF5."""

# ruff: noqa: SIM905 - words
from __future__ import annotations

import ast
import copy
import io
import json
import re
import struct
import zipfile
import zlib
from random import Random
from typing import Any

from mdkern.io import hdf5_file

WORDS = (
    "0 -1 1 2 3 119 1000 65536 2147483648 -2147483649 4294967296 9223372036854775808 99999999999999999999999 "
    "nan NaN inf -inf Infinity 1e308 -1e308 1e-320 1e400 -1e400 1e9 1e5 0.5 -0.5 1e100 1e-100 1e15 5.0 100 20000 "
    "0x10 1_000 --1 + - . e 1e 1d0 1,2 # * / \\ \" ' [ ] { } H O Cu X Og fcc abc None null true \u0661 \u00e9 \x00 \ufeff"
).split(" ")  # fmt: skip


def number_near(rng: Random, word: str) -> str:
    """A number that is not the one that stands there."""
    try:
        value = int(word)
        return str(
            rng.choice([value + 1, value - 1, -value, 2 * value, value * 1000, value // 2, 10**9])
        )
    except ValueError:
        pass
    try:
        return repr(float(word) * rng.choice([-1.0, 0.0, 1e-9, 1e3, 1e9, 1e300, -1e30]))
    except ValueError:
        return rng.choice(WORDS)


def damage_text(rng: Random, text: str, words: tuple[str, ...] = ()) -> bytes:
    """Words replaced, lines moved, counts changed, the end cut off."""
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        what = rng.random()
        lines = text.split("\n")
        k = rng.randrange(min(len(lines), 12) if rng.random() < 0.6 else len(lines))
        if what < 0.6:
            found = list(re.finditer(r"[^\s\[\]{},:]+", lines[k]))
            if found:
                m = rng.choice(found)
                word = m[0]
                new = number_near(rng, word) if rng.random() < 0.5 else rng.choice(words or WORDS)
                if rng.random() < 0.1:
                    new = rng.choice(
                        [
                            "",
                            f"{word} {word}",
                            word[:-1],
                            word + new,
                            "9" * rng.choice([50, 5000, 20000]),
                        ]
                    )
                lines[k] = lines[k][: m.start()] + new + lines[k][m.end() :]
        elif what < 0.66:
            del lines[k]
        elif what < 0.72:
            lines.insert(k, rng.choice(lines))
        elif what < 0.78:
            j = rng.randrange(len(lines))
            lines[k], lines[j] = lines[j], lines[k]
        elif what < 0.82:
            lines[k] = " ".join([lines[k]] * min(rng.choice([2, 50, 1000]), _times(lines[k])))
        elif what < 0.85:
            lines[k:k] = [lines[k]] * min(rng.choice([10, 1000, 10000]), _times(lines[k]))
        elif what < 0.88:
            lines = lines[: rng.randrange(len(lines) + 1)]
        elif what < 0.9:
            lines[k] = rng.choice(
                ["", "#", "\t", "\r", "\x0c", " " * 10000, "\u2028", lines[k] + "\r"]
            )
        elif what < 0.93:
            lines[k : k + 2] = [" ".join(lines[k : k + 2])]
        else:
            return damage_bytes(rng, "\n".join(lines).encode("utf-8", "surrogatepass"))
        text = "\n".join(lines)
    return text.encode("utf-8", "surrogatepass")


def _times(line: str) -> int:
    """How often a line may come without the file becoming large."""
    return max(2, 200_000 // (len(line) + 1))


def damage_bytes(rng: Random, data: bytes) -> bytes:
    """Bytes changed, cut out, put in."""
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8])):
        if not out:
            break
        at = rng.randrange(len(out))
        what = rng.random()
        if what < 0.6:
            out[at] = rng.choice([0, 255, 128, out[at] ^ 1 << rng.randrange(8), rng.randrange(256)])
        elif what < 0.75:
            del out[at : at + rng.choice([1, 4, 8, 100])]
        elif what < 0.9:
            out[at:at] = rng.randbytes(rng.choice([1, 4, 8, 100]))
        else:
            del out[at:]
    return bytes(out)


# --- trees of maps and lists

RAW = "@@"  # marks what stands in the text as it is
LEAVES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 7, 119, 65537, 2**31, 2**63, 2**64, -(2**63), 10**30, 0.0, -0.0, 0.5, 1e-320, 1e308, -1e308, 1e100,
    float("nan"), float("inf"), float("-inf"), RAW + "1e400", RAW + "1" * 5000, RAW + "-" + "9" * 400, "", "x", "H", "1.5", "nan", "\x00", "\ud800",
    [], {}, [[]], [None], [[1.0], [1.0, 2.0]], {"@class": "np.ndarray"}, {"@class": "np.ndarray", "dtype": "float64", "value": [[1], 2]},
    {"@class": "np.ndarray", "dtype": "object", "value": []}, "float32", "tanh", "se_e2_a", "dpa1", "linear", "silut:1e9",
]  # fmt: skip


def damage_tree(rng: Random, tree: Any) -> Any:
    """A copy with one to three nodes that are others."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        holder, key = _some_node(rng, tree)
        if holder is None:
            continue
        node, what = holder[key], rng.random()
        if what < 0.35:
            holder[key] = copy.deepcopy(rng.choice(LEAVES))
        elif what < 0.6 and isinstance(node, (int, float)) and not isinstance(node, bool):
            holder[key] = rng.choice(
                [
                    node + 1,
                    node - 1,
                    -node,
                    node * 2,
                    node * 1000,
                    0,
                    1e30,
                    float(node),
                    [node],
                    str(node),
                ]
            )
        elif what < 0.68:
            del holder[key]
        elif what < 0.76:
            other, there = _some_node(rng, tree)
            if other is not None:
                holder[key] = copy.deepcopy(other[there])
        elif what < 0.84 and isinstance(node, list):
            holder[key] = rng.choice(
                [node * 2, node[:-1], node[::-1], [node], [*node, node], node * 200, node[:1] * 300]
            )
        elif what < 0.9 and isinstance(node, dict) and node:
            name = rng.choice(list(node))
            node[rng.choice(["x", "", name.upper(), "@variables", "type", name + " "])] = node.pop(
                name
            )
        elif what < 0.93:
            deep: Any = node
            for _ in range(rng.choice([3, 70, 900, 3000])):
                deep = [deep] if rng.random() < 0.7 else {"a": deep}
            holder[key] = deep
            break  # nothing copies what is so deep
        elif what < 0.96:
            holder[key] = [0.0] * rng.choice([100, 3000])
        else:
            holder[key] = RAW + "[" * rng.choice([10, 5000, 100000])
    return tree


def _some_node(rng: Random, tree: Any) -> tuple[Any, Any]:
    holder, key, node = None, None, tree
    while isinstance(node, (dict, list)) and node and (holder is None or rng.random() < 0.85):
        holder, key = (
            node,
            rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node)),
        )
        node = holder[key]
    return holder, key


def json_text(tree: Any) -> str:
    """JSON by hand, because what is as deep as this the library does not write."""
    out: list[str] = []
    todo: list[Any] = [(tree,)]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            out.append(item)
            continue
        (node,) = item
        if isinstance(node, str):
            out.append(node[len(RAW) :] if node.startswith(RAW) else json.dumps(node))
        elif isinstance(node, dict):
            todo.append("}")
            for n, (k, v) in enumerate(reversed(node.items())):
                todo += ([","] if n else []) + [(v,), json.dumps(k) + ": "]
            todo.append("{")
        elif isinstance(node, list):
            todo.append("]")
            for n, v in enumerate(reversed(node)):
                todo += ([", "] if n else []) + [(v,)]
            todo.append("[")
        else:
            out.append(json.dumps(node))
    return "".join(out)


# --- archives of arrays

_BOMB = 100 * 2**20
_HEADERS = (
    (r"'[<|>]\w+'", "'<f4' '>f8' '|O' '<U1' '<U1000000000' '<i8' '|b1' '|V8' '<c16' '<M8[s]' '|S0' [('a','<f8')] [('a','|O')] 'x' 1 None '<f2' '|u1'"),
    ("False", "True None 2 'x'"),
    ("shape", "shap 0 'descr' None"),
)  # fmt: skip
_bomb: dict[int, bytes] = {}


def damage_archive(rng: Random, members: dict[str, bytes], text: str) -> bytes:
    """An .npz whose arrays, descriptions, or zip records lie; `text` is the member that has JSON."""
    members = dict(members)
    what = rng.random()
    name = rng.choice(list(members))
    if what < 0.4:
        start = len(_npy_head(members[text]))
        members[text] = _with_text(rng, members[text][:start], members[text][start:])
    elif what < 0.65:
        members[name] = _npy(rng, members[name])
    elif what < 0.72:
        members[name] = damage_bytes(rng, members[name])
    elif what < 0.76:
        members[rng.choice(["x.npy", "weights.npy", "../x.npy", "meta", "\u00e9.npy"])] = (
            members.pop(name)
        )
    elif what < 0.78:
        del members[name]
    method = zipfile.ZIP_DEFLATED if rng.random() < 0.2 else zipfile.ZIP_STORED
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for key, value in members.items():
            archive.writestr(zipfile.ZipInfo(key), value, compress_type=method)
        if rng.random() < 0.02:
            archive.writestr(zipfile.ZipInfo("x.npy"), b"", compress_type=method)
    data = file.getvalue()
    if what > 0.995:
        return _archive_bomb(members, name)
    if what > 0.78:
        return _records(rng, data)
    return data


def _npy_head(npy: bytes) -> bytes:
    return npy[: 10 + int.from_bytes(npy[8:10], "little")]


def _with_head(head: str, data: bytes, rng: Random | None = None) -> bytes:
    raw = re.sub(r"\)\}$", "), }", head.rstrip()).encode("latin-1", "replace")
    raw = raw.ljust(-(-(len(raw) + 11) // 64) * 64 - 11) + b"\n"
    version = b"\x01\x00"
    if rng is not None and rng.random() < 0.1:
        version = rng.choice([b"\x02\x00", b"\x03\x00", b"\x00\x00", b"\xff\xff"])
    return b"\x93NUMPY" + version + len(raw).to_bytes(2, "little") + raw + data


def _with_text(rng: Random, head: bytes, body: bytes) -> bytes:
    """The member that has JSON: bytes, or one text of NumPy's."""
    info = ast.literal_eval(head[10:].decode())
    wide = info["descr"][1] == "U"
    text = body.decode("utf-32-le") if wide else body.decode()
    new = json_text(damage_tree(rng, json.loads(text))) if rng.random() < 0.85 else None
    if new is None:
        new = damage_text(rng, text).decode("utf-8", "replace")
    if wide:
        info["descr"] = f"<U{len(new)}"
        raw = new.encode("utf-32-le", "surrogatepass")
    else:
        raw = new.encode("utf-8", "surrogatepass")
        info["shape"] = (len(raw),)
    return _with_head(repr(info), raw)


def _npy(rng: Random, npy: bytes) -> bytes:
    head = _npy_head(npy)
    text, data = head[10:].decode(), npy[len(head) :]
    for _ in range(rng.choice([1, 1, 2])):
        what = rng.random()
        if what < 0.5:
            shape = rng.choice(
                ["()", "(0,)", "(1,)", "(2, 3)", "(1000000000000,)", "(-1,)", "(4611686018427387904, 4)", "(3, 3, 3)", "[3]",
                 "(1.5,)", "(True,)", "(99999999999999999999,)", "(0, 4611686018427387904)", "(4294967296, 4294967296)", "(" * 50, "(1,)*99"]
            )  # fmt: skip
            before, _, after = text.partition("(")
            text = before + shape + after.partition(")")[2]
        elif what < 0.8:
            old, new = rng.choice(_HEADERS)
            text = re.sub(old, rng.choice(new.split(" ")), text, count=1)
        elif what < 0.9:
            values = [0.0, -1.0, float("nan"), float("inf"), 1e308, -1e308, 1e-320, 1e30]
            if len(data) >= 8:
                at = rng.randrange(len(data) // 8) * 8
                data = data[:at] + struct.pack("<d", rng.choice(values)) + data[at + 8 :]
        else:
            data = rng.choice([data * 2, data[: len(data) // 2], b"", data + b"\0", data[:-1]])
    return _with_head(text, data, rng)


def _archive_bomb(members: dict[str, bytes], name: str) -> bytes:
    """A member of 100 MB of zeros in 100 kB."""
    head = re.sub(r"\(.*?\)", f"({_BOMB // 8},)", _npy_head(members[name])[10:].decode())
    start = _with_head(head, b"")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for key, value in members.items():
            if key != name:
                archive.writestr(key, value)
        if not _bomb:
            pack = zlib.compressobj(1, zlib.DEFLATED, -15)
            _bomb[0] = (
                b"".join([pack.compress(bytes(2**20)) for _ in range(_BOMB >> 20)]) + pack.flush()
            )
        packed = zlib.compressobj(1, zlib.DEFLATED, -15)
        first = packed.compress(start) + packed.flush(zlib.Z_FULL_FLUSH)
        archive.writestr(name, first + _bomb[0])
    data = bytearray(file.getvalue())
    for mark, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        for m in re.finditer(re.escape(mark), data):
            n_name = struct.unpack_from("<H", data, m.start() + (26 if at == 8 else 28))[0]
            begin = m.start() + (30 if at == 8 else 46)
            if data[begin : begin + n_name] == name.encode():
                struct.pack_into("<H", data, m.start() + at, 8)
                struct.pack_into("<I", data, m.start() + at + 14, _BOMB + len(start))
    return bytes(data)


# Records of zip archives: their marks, and where the fields are (offset, bytes).
_FIELDS = {
    b"PK\x03\x04": [(4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)],
    b"PK\x01\x02": [(6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (34, 2), (42, 4)],
    b"PK\x05\x06": [(4, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)],
}  # fmt: skip


def _records(rng: Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4])):
        mark = rng.choice(list(_FIELDS))
        places = [m.start() for m in re.finditer(re.escape(mark), data)]
        offset, size = rng.choice(_FIELDS[mark])
        at = rng.choice(places) + offset
        old = int.from_bytes(out[at : at + size], "little")
        new = rng.choice(
            [
                0,
                1,
                8,
                9,
                12,
                14,
                99,
                old + 1,
                old - 1,
                2 * old,
                2**31,
                256**size - 1,
                rng.randrange(256**size),
                old ^ 1,
            ]
        )
        out[at : at + size] = (new % 256**size).to_bytes(size, "little")
    return bytes(out) if rng.random() < 0.9 else damage_bytes(rng, bytes(out))


# --- HDF5


class Hdf5Seed:
    """A file, and the fields that its reader looks at: recorded while it reads.

    Parameters
    ----------
    data : bytes
    read : callable
        Reads the file at a path.
    path : str
        Where the file stands.
    """

    def __init__(self, data: bytes, read: Any, path: str) -> None:
        self.data = data
        self.fields: list[tuple[int, int]] = []
        self.sums: dict[tuple[int, int], int] = {}
        kept = {k: getattr(hdf5_file.Bytes, k) for k in ("unpack", "take", "check")}
        seen: set[tuple[int, int]] = set()

        def unpack(own: Any, layout: str, at: int) -> Any:
            place = at
            for n, code in re.findall(r"(\d*)([a-zA-Z])", layout):
                size = struct.calcsize("<" + code)
                for _ in range(int(n or 1)):
                    seen.add((place, size))
                    place += size
            return kept["unpack"](own, layout, at)

        def take(own: Any, at: int, n: int) -> Any:
            if 0 < n <= 8:
                seen.add((at, n))
            return kept["take"](own, at, n)

        def check(own: Any, at: int, end: int, place: int | None = None) -> Any:
            self.sums[at, end] = end if place is None else place
            return kept["check"](own, at, end, place)

        try:
            for name, method in (("unpack", unpack), ("take", take), ("check", check)):
                setattr(hdf5_file.Bytes, name, method)
            read(path)
        finally:
            for name, method in kept.items():
                setattr(hdf5_file.Bytes, name, method)
        self.fields = sorted(seen)
        values = {int.from_bytes(data[a : a + 8], "little") for a, n in self.fields if n == 8}
        self.addresses = sorted(v for v in values if 0 < v < len(data))
        found = re.search(rb"\{\"[ -~]{50,}\}", data)
        self.text = found.span() if found else None

    def damaged(self, rng: Random) -> bytes:
        what = rng.random()
        if what < 0.06:
            return damage_bytes(rng, self.data)
        out = bytearray(self.data)
        if what < 0.3 and self.text is not None:
            self._text(rng, out)
        elif what < 0.36:
            values = [float("nan"), float("inf"), -1e308, 1e30, 0.0, -1.0, 1e-320, 1e99]
            at = rng.randrange(len(out) // 8) * 8
            struct.pack_into("<d", out, at, rng.choice(values))
        else:
            for _ in range(rng.choice([1, 1, 1, 2, 3])):
                self._field(rng, out)
        if rng.random() < 0.9:
            for (begin, end), place in self.sums.items():
                if out[begin:end] == self.data[begin:end]:
                    continue
                if place < end:
                    out[place : place + 4] = bytes(4)
                struct.pack_into("<I", out, place, hdf5_file.checksum(bytes(out[begin:end])))
        return bytes(out)

    def _field(self, rng: Random, out: bytearray) -> None:
        at, size = rng.choice(self.fields)
        old = int.from_bytes(out[at : at + size], "little")
        top = 256**size
        choices = [
            0,
            1,
            2,
            3,
            old + 1,
            old - 1,
            2 * old,
            old // 2,
            old << 8,
            top - 1,
            top // 2,
            top - 8,
            rng.randrange(top),
            old ^ 1 << rng.randrange(8 * size),
        ]
        if size == 8:
            choices += [
                at,
                at - 8,
                len(out),
                len(out) - 8,
                *rng.sample(self.addresses, min(8, len(self.addresses))),
            ]
        if size == 4 and rng.random() < 0.3:
            choices += [
                int.from_bytes(m, "little") for m in (b"TREE", b"SNOD", b"GCOL", b"OHDR", b"FHDB")
            ]
        out[at : at + size] = (rng.choice(choices) % top).to_bytes(size, "little")

    def _text(self, rng: Random, out: bytearray) -> None:
        """The JSON in its place: no longer than it was."""
        assert self.text is not None
        begin, end = self.text
        old = bytes(out[begin:end])
        for _ in range(4):
            if rng.random() < 0.7:
                new = json_text(damage_tree(rng, json.loads(old))).encode("utf-8", "surrogatepass")
            else:
                new = damage_text(rng, old.decode())
            if len(new) <= len(old):
                out[begin:end] = new.ljust(len(old))
                return
