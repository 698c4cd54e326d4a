"""Neighbor lists: the arrays, and the table that potentials use."""

from __future__ import annotations

from typing import Any

import numpy as np

from mdkern import _core, neighbors, reference
from mdkern.bench.case import INDEX, ROW, VECTOR, Case, Counts, Kernel
from mdkern.bench.peers import neighbor_peers
from mdkern.bench.systems import System

__all__ = ["KERNELS", "same_pairs"]

_CANDIDATES = 7.2  # distance tests per pair kept, measured: copper, groups of eight centres
_TEST_LOADS = 3 * 8 + INDEX  # coordinates and row number of a candidate
_FILL = 3 * 7 + 6  # D = r_j - r_i + S @ cell, and its length

LIST = Counts(
    flops=_CANDIDATES * VECTOR + _FILL,
    loads=_CANDIDATES * _TEST_LOADS + INDEX + 16 + ROW,
    stream=2 * INDEX,
    stream_atom=3 * ROW,
    written=8 + 8 + 8 + 24 + 24,
)
TABLE = Counts(
    flops=_CANDIDATES * VECTOR,
    loads=_CANDIDATES * _TEST_LOADS,
    stream=INDEX,
    stream_atom=3 * ROW,
)


def _order(i: Any, j: Any, S: Any) -> Any:
    return np.lexsort((S[:, 2], S[:, 1], S[:, 0], j, i))


def same_pairs(ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> None:
    """Both (i, j, d, D, S) hold the same pairs, to 1e-10 Angstrom; `theirs` may lack D."""
    assert len(ours[0]) == len(theirs[0]), f"{len(ours[0])} and {len(theirs[0])} pairs"
    a, b = _order(ours[0], ours[1], ours[4]), _order(theirs[0], theirs[1], theirs[4])
    for k in (0, 1, 4):
        assert np.array_equal(ours[k][a], theirs[k][b]), "different pairs"
    for k in (2, 3):
        if theirs[k] is not None:
            worst = np.abs(ours[k][a] - theirs[k][b]).max(initial=0.0)
            assert worst <= 1e-10, f"distances differ by {worst}"


def _neighbor_list_case(system: System) -> Case:
    def run(threads: int) -> Any:
        return neighbors.neighbor_list("ijdDS", system.atoms, system.cutoff, threads=threads)

    n_pairs = len(run(1)[0])
    peers = {
        peer.name: peer.caller(system)
        for peer in neighbor_peers()
        if n_pairs * peer.bytes_per_pair < 0.5 * _core.available_memory()
    }

    def baseline() -> Any:
        return reference.neighbor_list_binned("ijdDS", *system.arrays, system.cutoff)

    return Case("neighbor_list", system, LIST, n_pairs, run, baseline, same_pairs, peers)


def _neighbor_table_case(system: System) -> Case:
    kinds = np.zeros(len(system.atoms), dtype=np.int32)
    table = _core.NeighborTable(system.cutoff, 0.0)  # no skin: every update builds

    def run(threads: int) -> Any:
        table.update(*system.arrays, kinds, threads)
        return table.n_listed

    def baseline() -> Any:
        return len(reference.neighbor_list_binned("ij", *system.arrays, system.cutoff)[0])

    def agree(a: int, b: int) -> None:
        # Without a skin the table also keeps what lies beyond the cutoff by no more than rounding.
        assert b <= a <= b + 4, f"{a} and {b} pairs"

    return Case("neighbor_table", system, TABLE, int(run(1)), run, baseline, agree)


KERNELS = {
    "neighbor_list": Kernel(
        _neighbor_list_case,
        LIST,
        ("copper-32000", "water-24000", "cell-32", "molecule-20"),
        ("copper-4000", "molecule-20"),
    ),
    "neighbor_table": Kernel(_neighbor_table_case, TABLE, ("copper-32000",), ("copper-4000",)),
}
