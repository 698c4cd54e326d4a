"""What the machine can do at best: multiply-adds (as HPL finds them) and memory (as STREAM does).

Every number is the best of several repeats. Bytes are counted as STREAM counts them: what the
program reads and writes. That a store first fetches its cache line is not counted, so `write` shows
about half of what the memory moves.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdkern import _core
from mdkern._runtime import get_isa, info, set_isa

__all__ = ["Limit", "Limits", "cache_sizes", "measure", "measure_two"]

Float = NDArray[np.float64]

_OPERATIONS = {
    "write": (0, 8),
    "copy": (1, 16),
    "triad": (2, 24),
    "read": (3, 8),
}  # code, bytes per element
_SCALE = 3.0
_SAMPLE = 3e-3  # seconds: short, so that some samples of many are undisturbed


@dataclass(frozen=True, slots=True)
class Limit:
    """One measured limit; `value` in FLOP/s or B/s."""

    name: str
    isa: str
    threads: int
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Limits:
    """All limits of this machine.

    Attributes
    ----------
    rows : tuple of Limit
    caches : dict
        Bytes of "L1" and "L2" of one core, and of all "L3" that this process can use.
    """

    rows: tuple[Limit, ...]
    caches: dict[str, int]

    def flops(self, isa: str, precision: str, threads: int) -> float:
        """FLOP/s of fused multiply-adds (separate ones for scalar) in "double" or "single"."""
        return self._value(f"fma {precision}", threads, isa)

    def bandwidth(self, name: str, threads: int) -> float:
        """B/s; names as in `rows`, such as "read" or "write fresh huge pages"."""
        return self._value(name, threads, None)

    def level(self, working_set: float, threads: int) -> str:
        """Name of the read bandwidth of the cache (or the memory) that holds so many bytes."""
        if working_set <= threads * self.caches["L1"]:
            return "read L1"
        if working_set <= threads * self.caches["L2"]:
            return "read L2"
        return "read L3" if working_set <= self.caches["L3"] else "read"

    def _value(self, name: str, threads: int, isa: str | None) -> float:
        for row in self.rows:
            if row.name == name and row.threads == threads and isa in (None, row.isa):
                return row.value
        have = sorted({(row.name, row.isa, row.threads) for row in self.rows})
        raise KeyError(f"no limit {name!r} for {isa} and {threads} threads; measured are {have}")

    def to_list(self) -> list[dict[str, Any]]:
        """For JSON."""
        return [asdict(row) for row in self.rows]


def measure(threads: int, *, quick: bool = False) -> Limits:
    """Measure all limits, with one thread and with `threads`.

    Takes about 5 s (quick: 1 s) and three arrays of four times the last-level cache, at most a
    third of the memory that is available. Quick, each has 128 MB at most: where the last-level
    cache is larger, some of what is called memory is in it.
    """
    repeats = 3 if quick else 15
    caches = cache_sizes()
    counts = sorted({1, threads})
    active = get_isa()
    rows = list(_fma_rows(counts, 3 * repeats))
    rows += _cache_rows(counts, 3 * repeats, caches, active)
    length = _array_length(caches)
    if quick:
        length = min(length, (128 << 20) // 8)
    rows += _memory_rows(counts, repeats, length, active)
    rows += _page_rows(counts, repeats, length, active)
    return Limits(tuple(rows), caches)


def measure_two(counts: Sequence[int], size: int, repeats: int) -> Limits:
    """Measure what the score divides by: multiply-adds in double precision, and memory by triad and by reading.

    Parameters
    ----------
    counts : sequence of int
        Numbers of threads.
    size : int
        Bytes of each of the three arrays.
    repeats : int
        Of which the best counts; of the much shorter multiply-adds three times as many.
    """
    rows = list(_fma_rows(counts, 3 * repeats, ("double",)))
    rows += _memory_rows(counts, repeats, size // 8, get_isa(), ("triad", "read"))
    return Limits(tuple(rows), cache_sizes())


def cache_sizes() -> dict[str, int]:
    """Bytes of the data caches; typical values where the system does not tell."""
    sizes = {"L1": 32 << 10, "L2": 1 << 20, "L3": 32 << 20}
    shared: dict[tuple[str, str], int] = {}
    cpus = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {0}
    for cpu in cpus:
        for index in Path(f"/sys/devices/system/cpu/cpu{cpu}/cache").glob("index[0-9]*"):
            try:
                kind = (index / "type").read_text().strip()
                level = "L" + (index / "level").read_text().strip()
                size = (index / "size").read_text().strip()
                group = (index / "shared_cpu_list").read_text().strip()
            except OSError:
                continue
            if (
                kind != "Instruction"
                and level in sizes
                and size[:-1].isdigit()
                and size[-1] in "KM"
            ):
                shared[level, group] = int(size[:-1]) << (10 if size[-1] == "K" else 20)
    for level in ("L1", "L2"):
        found = [size for (name, _), size in shared.items() if name == level]
        sizes[level] = min(found, default=sizes[level])
    sizes["L3"] = sum(size for (name, _), size in shared.items() if name == "L3") or sizes["L3"]
    return sizes


def _best(call: Callable[[], object], repeats: int) -> float:
    seconds = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds = min(seconds, time.perf_counter() - start)
    return float(seconds)


@contextmanager
def _isa(name: str) -> Iterator[None]:
    before = get_isa()
    set_isa(name)
    try:
        yield
    finally:
        set_isa(before)


def _fma_rows(
    counts: Sequence[int], repeats: int, precisions: Sequence[str] = ("double", "single")
) -> Iterator[Limit]:
    for isa in info()["isas_supported"]:
        with _isa(isa):
            for precision in precisions:
                for n in counts:
                    value = _fma(precision == "single", n, repeats)
                    yield Limit(f"fma {precision}", isa, n, value, "FLOP/s")


def _fma(single: bool, threads: int, repeats: int) -> float:
    """FLOP/s of rounds that last about `_SAMPLE`; the result must be that of all rounds."""
    rounds, start = 20_000, 2.0
    first = _best(lambda: _core.limits_fma(single, rounds, start, 1), 3)
    rounds = max(rounds, int(rounds * _SAMPLE / first))
    sums, flops = _core.limits_fma(single, rounds, start, threads)
    if not np.allclose(sums, 1.0, atol=2e-3):  # the fixed point of the recurrence
        raise ArithmeticError(f"multiply-adds gave {sums}; expected 1")
    return float(flops) / _best(lambda: _core.limits_fma(single, rounds, start, threads), repeats)


def _aligned(n: int) -> Float:
    """n doubles from a 64-byte boundary on: a vector that crosses a line costs twice."""
    raw = np.empty(n + 8)
    skip = -raw.ctypes.data // 8 % 8
    return raw[skip : skip + n]


def _stream(op: str, arrays: tuple[Float, Float, Float], threads: int, repeats: int = 1) -> Float:
    sums: Float = _core.limits_stream(_OPERATIONS[op][0], *arrays, _SCALE, repeats, threads)
    return sums


def _cache_rows(
    counts: list[int], repeats: int, caches: dict[str, int], isa: str
) -> Iterator[Limit]:
    """Loads from arrays that fill half of each cache."""
    for n in counts:
        for level, size in caches.items():
            each = size // (2 * n) if level == "L3" else size // 2
            a = _aligned(n * (each // 64) * 8)
            arrays = (a, a, a)
            _stream("write", arrays, n)
            many = max(1, int(_SAMPLE * 50e9 / (n * each)))
            seconds = _best(partial(_stream, "read", arrays, n, many), repeats)
            total = float(_stream("read", arrays, n).sum())
            if total != _SCALE * len(a):
                raise ArithmeticError(f"{level}: the sum is {total}; expected {_SCALE * len(a)}")
            yield Limit(f"read {level}", isa, n, 8.0 * len(a) * many / seconds, "B/s")


def _array_length(caches: dict[str, int]) -> int:
    """STREAM's rule, four times the last-level cache, but no more than the memory bears."""
    most = float(_core.available_memory()) / 9.0
    return int(min(max(4 * caches["L3"], 64 << 20), most)) // 8


def _memory_rows(
    counts: Sequence[int], repeats: int, n: int, isa: str, names: Sequence[str] = (*_OPERATIONS,)
) -> Iterator[Limit]:
    arrays = (_aligned(n), _aligned(n), _aligned(n))
    for a in arrays:
        _stream("write", (a, a, a), max(counts))  # each thread touches its own part first
    for threads in counts:
        for op in names:
            seconds = _best(partial(_stream, op, arrays, threads), repeats)
            yield Limit(op, isa, threads, _OPERATIONS[op][1] * n / seconds, "B/s")
        # After triad: a = b + s c with b = c = s.
        expected = _SCALE + _SCALE * _SCALE
        if arrays[0][0] != expected or arrays[0][-1] != expected:
            raise ArithmeticError(f"triad gave {arrays[0][[0, -1]]}; expected {expected}")


def _page_rows(counts: list[int], repeats: int, n: int, isa: str) -> Iterator[Limit]:
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return  # not Linux
    for threads in counts:
        for name, advice in (("4 kB", mmap.MADV_NOHUGEPAGE), ("huge", mmap.MADV_HUGEPAGE)):
            seconds = min(_fresh(8 * n, advice, threads) for _ in range(max(2, repeats // 3)))
            yield Limit(f"write fresh {name} pages", isa, threads, 8 * n / seconds, "B/s")


def _fresh(size: int, advice: int, threads: int) -> float:
    """Seconds of the first write into new pages."""
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS  # huge pages are for private memory
    with mmap.mmap(-1, size, flags=private) as pages:
        pages.madvise(advice)
        a = np.frombuffer(pages, dtype=np.float64)
        start = time.perf_counter()
        _stream("write", (a, a, a), threads)
        seconds = time.perf_counter() - start
        written = a[0] == a[-1] == _SCALE
        del a  # mmap refuses to close while an array looks at it
        if not written:
            raise ArithmeticError("a write into fresh pages did not arrive")
        return seconds
