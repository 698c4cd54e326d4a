"""A kernel as a case: what to call, its NumPy baseline, and the work that it cannot avoid. The cases are in `mdkern.bench.cases`.

The counts are per pair of the list and per atom, read off the kernel sources as docs/benchmarks.md
explains. A multiply-add counts two operations; addition, multiplication, division, square root and
rounding one each; comparisons, masks, integers and permutations none.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mdkern import _core, reference
from mdkern.bench.limits import Limits
from mdkern.bench.systems import System

__all__ = [
    "ATOM",
    "CUBIC",
    "EXP",
    "GATHER",
    "INDEX",
    "LOCATE",
    "ROW",
    "SHARED",
    "SLOPE",
    "VECTOR",
    "Case",
    "Counts",
    "Floor",
    "Kernel",
    "pair_counts",
    "potential_case",
    "ready_list",
]


@dataclass(frozen=True, slots=True)
class Counts:
    """Work of one kernel per pair, and where noted per atom.

    Attributes
    ----------
    flops : float
        Floating-point operations per pair.
    loads : float
        Bytes per pair that come from a cache, whichever holds them: rows of neighbors, table rows.
    stream, stream_atom : float
        Bytes per pair and per atom of arrays that are walked through once, read or written.
    written : float
        Bytes per pair of new output arrays.
    """

    flops: float
    loads: float
    stream: float
    stream_atom: float
    written: float = 0.0


# Of a pair, shared by the pair kernels (cpp/forces/pair_loop.hpp).
VECTOR = 3 + 5  # difference of coordinates; its square by one product and two multiply-adds
GATHER = 1 + 3 + 3 + 12  # energy, g times vector, force, virial by six multiply-adds
EXP = 33  # cpp/simd/math.hpp: reduction 8, two polynomials of four multiply-adds 16, the rest 9
CUBIC, SLOPE = 6, 6  # three multiply-adds; two and the factors 3 and 2
ROW, INDEX = 32, 4  # bytes
LOCATE = 1 + 3  # square root; place in the table, its cell, the fraction
# Half lists: g times vector, virial; half of the energy and four additions to row j; energy and
# three multiply-adds for row i.
SHARED = 3 + 12 + 1 + 4 + 1 + 6
_POOL_SHARE = 0.25  # of the memory available: freed outputs kept for the next (cpp/core/pool.hpp)
# Bookkeeping and output of an atom: row, start and length of its list, index, energy, force.
ATOM = ROW + 8 + 4 + 4 + 8 + 24


def pair_counts(flops: float, single: bool = False) -> Counts:
    """Of a kernel by ``pair_loop`` whose formula takes so many operations. Single precision loads rows of half the size, which it makes."""
    of_pair = VECTOR + flops + GATHER
    return Counts(
        of_pair, INDEX + (ROW / 2 if single else ROW), INDEX, ATOM + (ROW if single else 0)
    )


@dataclass(frozen=True, slots=True)
class Floor:
    """The least time that a limit of the machine allows, in seconds, and the name of that limit."""

    seconds: float
    limit: str


@dataclass(frozen=True, slots=True)
class Case:
    """A kernel on a system.

    Attributes
    ----------
    run : function of the number of threads
        The kernel.
    baseline : function
        The same in NumPy.
    agree : function of two results
        Raises AssertionError unless they are equal within rounding.
    peers : dict of name to function of the number of threads
        The same by other packages that are installed.
    """

    kernel: str
    system: System
    counts: Counts
    n_pairs: int
    run: Callable[[int], Any]
    baseline: Callable[[], Any]
    agree: Callable[[Any, Any], None]
    peers: dict[str, Callable[[int], Any]] = field(default_factory=dict)

    @property
    def precision(self) -> str:
        return "single" if self.kernel.endswith("_single") else "double"

    @property
    def flops(self) -> float:
        """Operations of one call."""
        return self.counts.flops * self.n_pairs

    @property
    def stream(self) -> float:
        """Bytes of one call that are walked through, output included."""
        c = self.counts
        return (c.stream + c.written) * self.n_pairs + c.stream_atom * len(self.system.atoms)

    def floor(self, limits: Limits, isa: str, threads: int) -> Floor:
        """The limit that binds: the longest of the times for operations, loads and arrays."""
        c = self.counts
        written = c.written * self.n_pairs
        level = limits.level(self.stream, threads)
        place = "memory" if level == "read" else level.removeprefix("read ")
        times = {
            "flops": self.flops / limits.flops(isa, self.precision, threads),
            "loads, L1": c.loads * self.n_pairs / limits.bandwidth("read L1", threads),
            f"stream, {place}": (self.stream - written) / limits.bandwidth(level, threads),
            # Stores into a cache are not faster than loads from it.
            f"write, {place}": _seconds_to_write(written, limits, level, threads),
        }
        limit = max(times, key=lambda name: times[name])
        return Floor(times[limit], limit)


def _seconds_to_write(size: float, limits: Limits, level: str, threads: int) -> float:
    """Output of so many bytes: into what `level` reads, or memory, mapped as far as the pool goes."""
    if level != "read":
        return size / limits.bandwidth(level, threads)
    warm = min(size, _POOL_SHARE * _core.available_memory())
    seconds = warm / limits.bandwidth("write", threads)
    if size > warm:
        seconds += (size - warm) / limits.bandwidth("write fresh huge pages", threads)
    return seconds


def table_of(system: System, cutoff: float, kinds: Any) -> Any:
    """The core's neighbor table of a system."""
    table = _core.NeighborTable(cutoff, 0.0)
    table.update(*system.arrays, kinds.astype(np.int32), 0)
    return table


def _listed(system: System, cutoff: float) -> tuple[Any, Any, Any]:
    """i, j and D of all pairs, by the binned NumPy reference."""
    i, j, D = reference.neighbor_list_binned("ijD", *system.arrays, cutoff)
    return i, j, D


@contextmanager
def ready_list(pairs: tuple[Any, Any, Any]) -> Iterator[None]:
    """The NumPy potentials use this list instead of making one, as the kernels do.

    Raises
    ------
    RuntimeError
        If they did not: the time would be that of another task, and every ratio to it flattering.
    """
    module = importlib.import_module("mdkern.reference.pairs")
    searches = ("neighbor_list", "neighbor_list_binned")
    originals = [getattr(module, name) for name in searches]
    used = 0

    def ready(*_args: Any, **_kwargs: Any) -> tuple[Any, Any, Any]:
        nonlocal used
        used += 1
        return pairs

    try:
        for name in searches:
            setattr(module, name, ready)
        yield
    finally:
        for name, original in zip(searches, originals, strict=True):
            setattr(module, name, original)
    if used != 1:
        raise RuntimeError(f"the NumPy baseline asked {used} times for its pairs; expected once")


def potential_case(
    kernel: str,
    counts: Counts,
    system: System,
    potential: Any,
    formula: Callable[..., reference.Result],
    tolerance: float,
    kinds: Any = None,
) -> Case:
    """A potential on a ready list, against its NumPy formulas on a ready list.

    `formula` takes positions, cell, pbc and species; `tolerance` is relative to the largest force.
    `kinds` are species numbers, by default all zero.
    """
    if kinds is None:
        kinds = np.zeros(len(system.atoms), dtype=np.int64)
    table = table_of(system, potential.cutoff, kinds)
    pairs: list[Any] = []

    def run(threads: int) -> Any:
        return potential.compute(table, threads=threads)

    def baseline() -> Any:
        if not pairs:
            pairs.append(_listed(system, potential.cutoff))
        with ready_list(pairs[0]):
            return formula(*system.arrays, kinds)

    def agree(a: Any, b: Any) -> None:
        scale = 1.0 + np.abs(b.forces).max(initial=0.0)
        energy = abs(a.energy - b.energy) / max(1, len(system.atoms))
        force = np.abs(a.forces - b.forces).max(initial=0.0)
        assert energy <= tolerance * scale, f"energy per atom differs by {energy} eV"
        assert force <= tolerance * scale, f"forces differ by {force} eV/Angstrom"

    return Case(kernel, system, counts, int(table.n_listed), run, baseline, agree)


@dataclass(frozen=True, slots=True)
class Kernel:
    """How to make the case of a kernel, its work, and the systems to run it on."""

    make: Callable[[System], Case]
    counts: Counts
    systems: tuple[str, ...]
    quick: tuple[str, ...]
