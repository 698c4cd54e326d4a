"""Journals of runs over many frames: a damaged record is cut off or refused, and gives no result that was not written."""

from __future__ import annotations

import struct
import tempfile
import zlib
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from harness import Format
from mutants import damage_bytes, damage_text

from mdkern.journal import Journal

_KEYS = [bytes([k]) * 16 for k in range(6)]
_SIZES = struct.Struct("<QQQI")


@cache
def _seed() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/journal"
        journal = Journal(path, "job")
        for k in range(0, 6, 2):
            found = [
                {"energy": -1.5 * k, "forces": np.full((k + 1, 3), 0.1), "words": "x"},
                {"energy": 2.0, "forces": np.zeros((0, 3)), "stress": np.arange(6.0)},
            ]
            journal.add(_KEYS[k : k + 2], found)
        journal.close()
        return Path(path).read_bytes()


def _mutant(rng: Random) -> bytes:
    data = _seed()
    if rng.random() < 0.4:
        return damage_bytes(rng, data)
    # A record whose checksum is right, and whose description lies.
    head = data.index(b"\n", data.index(b"\n") + 1) + 1
    *sizes, _ = _SIZES.unpack_from(data, head)
    at = head + _SIZES.size
    parts = []
    for size in sizes:
        parts.append(data[at : at + size])
        at += size
    parts[1] = damage_text(rng, parts[1].decode())
    if rng.random() < 0.3:
        parts[2] = parts[2][: rng.randrange(len(parts[2]) + 1)]
    lengths = [len(p) for p in parts]
    if rng.random() < 0.1:
        lengths[rng.randrange(3)] = rng.choice([0, 1, 2**31, 2**63, 2**64 - 1])
    record = _SIZES.pack(*lengths, zlib.crc32(b"".join(parts))) + b"".join(parts)
    return data[:head] + record + data[at:]


def _read(path: str, _: Random) -> list[Any]:
    journal = Journal(path, "job")
    try:
        return [journal.get(key) for key in _KEYS]
    finally:
        journal.close()


def _use(results: list[Any]) -> None:
    for result in results:
        assert result is None or isinstance(result, dict)


FORMAT = Format("journal", ".journal", _mutant, _read, _use)
