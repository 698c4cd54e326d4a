r"""Neighbour lists in plain NumPy: the definition, and a linear-scaling baseline.

A pair (i, j, S) belongs to the list when
:math:`D = r_j - r_i + S \cdot \mathrm{cell}` has a length strictly below the cutoff. S is an
integer vector, zero along directions that are not periodic. The pair i = j with S = 0 is left out
unless asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdkern import checks

__all__ = ["neighbor_list", "neighbor_list_binned"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

_CHUNK = 2**20  # candidate pairs held at once
_MARGIN = 1e-6  # relative; candidates come from wrapped positions, the exact test follows


def neighbor_list(
    quantities: str,
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    cutoff: float,
    self_interaction: bool = False,
) -> Any:
    """Every pair closer than `cutoff`, by trying all atoms and all lattice shifts.

    Parameters
    ----------
    quantities : str
        Any of ``i j d D S``; one letter gives an array, several a tuple in that order.
    positions : (n, 3) array
        Angstrom; atoms may lie outside the cell.
    cell : (3, 3) array
        Rows are the cell vectors. Rows of directions that are not periodic are ignored.
    pbc : bool or (3,) bool
        Periodic directions.
    cutoff : float
        Angstrom, positive.
    self_interaction : bool
        Keep the pairs i = j with S = 0.

    Returns
    -------
    array or tuple of arrays
        ``i``, ``j`` (m,) int64; ``d`` (m,) and ``D`` (m, 3) float64; ``S`` (m, 3) int64, sorted
        by i. Time O(n^2) times the number of shifts.

    Raises
    ------
    ValueError
        An argument that is not finite, has a wrong shape, or dependent periodic vectors.
    """
    box = _Box(quantities, positions, cell, pbc, cutoff)
    # Wrapped atoms differ by less than one cell, so |S_k| <= cutoff / spacing + 1.
    reach = np.where(box.pbc, np.floor(box.search / box.spacing) + 1, 0).astype(np.int64)
    shifts = np.stack(
        np.meshgrid(*(np.arange(-m, m + 1) for m in reach), indexing="ij"), axis=-1
    ).reshape(-1, 3)
    n = len(box.positions)
    origins = box.wrapped[:, None, :] - shifts @ box.cell  # (n, n_shifts, 3)
    rows = origins.reshape(-1, 3)
    found: list[tuple[Int, Int, Int]] = []
    step = max(1, _CHUNK // max(n, 1))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        square = np.zeros((len(block), n))
        for axis in range(3):
            square += (box.wrapped[None, :, axis] - block[:, None, axis]) ** 2
        row, j = np.nonzero(square < box.search**2)
        i, shift = np.divmod(row + start, len(shifts))
        found.append((i, j, shifts[shift]))
    return box.select(iter(found), self_interaction)


def neighbor_list_binned(
    quantities: str,
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    cutoff: float,
    self_interaction: bool = False,
) -> Any:
    """Same as `neighbor_list` in O(n): atoms are sorted into bins about one cutoff wide.

    The Python loop runs over the offsets between bins (27 in a large cell), not over atoms.
    """
    box = _Box(quantities, positions, cell, pbc, cutoff)
    if len(box.positions) == 0:
        return box.select(iter([]), self_interaction)
    parts = zip(*_binned_candidates(box), strict=True)
    i, j, shift = (np.concatenate(part) for part in parts)
    order = np.argsort(i, kind="stable")
    return box.select(iter([(i[order], j[order], shift[order])]), self_interaction)


def _binned_candidates(box: _Box) -> Iterator[tuple[Int, Int, Int]]:
    """Pairs within the search radius, one bin offset after the other."""
    low = np.where(box.pbc, 0.0, box.fractional.min(axis=0))
    extent = np.where(box.pbc, 1.0, np.ptp(box.fractional, axis=0) * (1 + 1e-12)) * box.spacing
    bins = _bin_counts(extent, box.search, 4 * len(box.positions))
    width = np.maximum(extent, 1e-300) / bins
    at = np.floor((box.fractional - low) * box.spacing / width)
    at = np.clip(at, 0, bins - 1).astype(np.int64)
    reach = np.minimum(np.floor(box.search / width) + 1, np.where(box.pbc, np.inf, bins - 1))
    strides = np.array([bins[1] * bins[2], bins[2], 1])
    flat = at @ strides
    atoms = np.argsort(flat, kind="stable")  # atoms in the order of their bins
    starts = np.searchsorted(flat[atoms], np.arange(int(np.prod(bins)) + 1))
    for offset in np.ndindex(*(2 * reach.astype(np.int64) + 1)):
        target = at + np.array(offset) - reach.astype(np.int64)
        shift, target = np.divmod(target, bins)
        inside = np.flatnonzero((box.pbc | (shift == 0)).all(axis=1))
        first = starts[target[inside] @ strides]
        count = starts[target[inside] @ strides + 1] - first
        i = np.repeat(inside, count)
        # 0 .. count-1 within each atom's run, added to the start of its target bin
        rank = np.arange(len(i)) - np.repeat(np.cumsum(count) - count, count)
        j = atoms[np.repeat(first, count) + rank]
        vector = box.wrapped[j] - box.wrapped[i] + shift[i] @ box.cell
        near = np.einsum("ij,ij->i", vector, vector) < box.search**2
        yield i[near], j[near], shift[i[near]]


def _bin_counts(extent: Float, search: float, most: int) -> Int:
    """Bins per direction: at least one search radius wide, about `most` in all."""
    bins = np.clip(np.floor(extent / search), 1, 1e6).astype(np.int64)
    while int(bins[0]) * int(bins[1]) * int(bins[2]) > most + 27:
        largest = int(np.argmax(bins))
        bins[largest] = (bins[largest] + 1) // 2
    return bins


class _Box:
    """Checked input, wrapped positions and plane spacings."""

    def __init__(
        self, quantities: str, positions: ArrayLike, cell: ArrayLike, pbc: ArrayLike, cutoff: float
    ) -> None:
        if not quantities or set(quantities) - set("ijdDS"):
            raise ValueError(f"quantities: got {quantities!r}, expected letters out of 'ijdDS'")
        if not (np.isfinite(cutoff) and cutoff > 0):
            raise ValueError(f"cutoff: got {cutoff!r}, expected a positive finite number")
        self.quantities = quantities
        self.cutoff = float(cutoff)
        self.search = self.cutoff * (1 + _MARGIN)
        self.positions = np.asarray(positions, dtype=np.float64).reshape(-1, 3)
        self.pbc = checks.directions("pbc", pbc, one_for_all=True)
        self.lattice = np.asarray(cell, dtype=np.float64).reshape(3, 3)
        if not (np.isfinite(self.positions).all() and np.isfinite(self.lattice[self.pbc]).all()):
            raise ValueError("positions, cell: expected finite numbers, got NaN or infinity")
        self.cell = _completed(self.lattice, self.pbc)
        inverse = np.linalg.inv(self.cell)
        self.spacing = 1.0 / np.linalg.norm(inverse, axis=0)
        fractional = self.positions @ inverse
        self.wraps = np.where(self.pbc, np.floor(fractional), 0.0).astype(np.int64)
        self.fractional = fractional - self.wraps
        self.wrapped = self.positions - self.wraps @ self.cell

    def select(self, candidates: Iterator[tuple[Int, Int, Int]], self_interaction: bool) -> Any:
        """Exact test on the positions as given, then the asked quantities."""
        out: list[tuple[NDArray[Any], ...]] = []
        empty = np.zeros(0, dtype=np.int64)
        for i, j, wrapped_shift in [(empty, empty, np.zeros((0, 3), np.int64)), *candidates]:
            shift = wrapped_shift + self.wraps[i] - self.wraps[j]
            vector = self.positions[j] - self.positions[i] + shift @ self._periodic_cell()
            distance = np.sqrt((vector * vector).sum(axis=1))
            keep = distance < self.cutoff
            if not self_interaction:
                keep &= (i != j) | shift.any(axis=1)
            whole = {"i": i, "j": j, "d": distance, "D": vector, "S": shift}
            out.append(tuple(whole[letter][keep] for letter in self.quantities))
        arrays = tuple(np.concatenate(part) for part in zip(*out, strict=True))
        return arrays[0] if len(arrays) == 1 else arrays

    def _periodic_cell(self) -> Float:
        """Cell vectors with ignored ones zeroed: they may hold anything, even NaN."""
        return np.where(self.pbc[:, None], self.lattice, 0.0)


def _completed(cell: Float, pbc: NDArray[np.bool_]) -> Float:
    """Replace the vectors of open directions by unit vectors normal to all others."""
    out = np.array(cell)
    periodic = out[pbc]
    rank = len(periodic)
    _, size, axes = np.linalg.svd(periodic.reshape(rank, 3))
    if rank and size[-1] <= 1e-10 * size[0]:
        raise ValueError(f"cell: the periodic vectors {periodic.tolist()} are linearly dependent")
    out[~pbc] = axes[rank:]
    return out
