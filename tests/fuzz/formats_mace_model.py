"""MACE models as PyTorch writes them: the program of the pickle, storages and members that lie."""

from __future__ import annotations

import pickletools
import struct
from functools import cache
from random import Random

from formats import model_format
from formats_mace import potential
from mutants import damage_bytes
from torch_data import TINY, archive, tiny

_INTEGERS = [0, 1, 2, 3, 7, 255]
_NAMES = [
    b"os\nsystem\n",
    b"__builtin__\neval\n",
    b"collections\nOrderedDict\n",
    b"torch._utils\n_rebuild_tensor_v2\n",
    b"torch\nFloatStorage\n",
    b"torch\nHalfStorage\n",
    b"mace.modules.models\nMACE\n",
    b"mace.modules.blocks\nRealAgnosticInteractionBlock\n",
    b"e3nn.o3._linear\nLinear\n",
]
_FLOATS = [0.0, -1.0, 1.0, 5.0, 1e-300, 1e300, float("nan"), float("inf"), 1e9]


@cache
def _seeds() -> list[tuple[str, dict[str, bytes], list[bytes]]]:
    """Name of the pickle, members, operations of the pickle."""
    out = []
    for which in TINY:
        members = tiny(which)
        key = next(name for name in members if name.endswith("/data.pkl"))
        starts = [position for _, _, position in pickletools.genops(members[key])]
        ends = [*starts[1:], len(members[key])]
        steps = [members[key][a:b] for a, b in zip(starts, ends, strict=True)]
        out.append((key, members, steps))
    return out


def _step(rng: Random, steps: list[bytes], step: bytes) -> bytes:
    """The operation with another argument, or another operation."""
    code = step[:1]
    if rng.random() < 0.15:
        return rng.choice(steps)
    if code == b"K":
        return b"K" + bytes([rng.choice([*_INTEGERS, (step[1] + 1) % 256, max(step[1] - 1, 0)])])
    if code in b"MJ":
        value = rng.choice([0, 1, -1, 119, 2**31 - 1, -(2**31)])
        return b"J" + struct.pack("<i", value)
    if code == b"G":
        return b"G" + struct.pack(">d", rng.choice(_FLOATS))
    if code == b"c":
        return b"c" + rng.choice(_NAMES)
    if code in b"hj":
        return b"h" + bytes([rng.randrange(256)])
    if code == b"X":
        texts = [other for other in steps if other[:1] == b"X"]
        return rng.choice(
            [rng.choice(texts), b"X\x01\x00\x00\x00x", b"X\xff\xff\xff\x7fx", b"K\x01"]
        )
    return rng.choice([b"", step + step, b"N", b")", b"]", b"}", b"\x88", b"0", b"(", b"\x8a\x09" + b"\x7f" * 9])  # fmt: skip


def _pickle(rng: Random, steps: list[bytes]) -> bytes:
    out = list(steps)
    # Most of what a pickle says is read by nobody: many changes, so that some are met.
    for _ in range(rng.choice([1, 3, 10, 30])):
        at = rng.randrange(1, len(out))
        what = rng.random()
        if what < 0.85:
            out[at] = _step(rng, steps, out[at])
        elif what < 0.9:
            del out[at]
        elif what < 0.95:
            out[at:at] = out[at : at + rng.choice([1, 5, 50])]
        else:
            del out[at:]
            break
    return b"".join(out)


def _storage(rng: Random, data: bytes) -> bytes:
    if not data or rng.random() < 0.3:
        return rng.choice([data[:-1], data + b"\0", data * 2, b""])
    value = rng.choice(_FLOATS)
    new = (
        struct.pack("<d", value)
        if abs(value) == 1e300
        else struct.pack(rng.choice(["<d", "<f"]), value)
    )
    at = rng.randrange(0, len(data), len(new))
    return (data[:at] + new + data[at + len(new) :])[: len(data)]


def _mutant(rng: Random) -> bytes:
    key, members, steps = rng.choice(_seeds())
    members = dict(members)
    what = rng.random()
    name = rng.choice(list(members))
    if what < 0.55:
        members[key] = _pickle(rng, steps)
    elif what < 0.65:
        members[key] = damage_bytes(rng, members[key])
    elif what < 0.85:
        for _ in range(rng.choice([1, 5, 20])):
            name = rng.choice([other for other in members if "/data/" in other])
            members[name] = _storage(rng, members[name])
    elif what < 0.9:
        members[rng.choice(list(members))] = members.pop(name)
    data = archive(members)
    return damage_bytes(rng, data) if what > 0.93 else data


FORMAT = model_format("mace_model", ".model", _mutant, potential)
