"""What every reference potential shares: checked input, the result, sums over pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdkern.reference.neighbors import neighbor_list, neighbor_list_binned

__all__ = ["PairList", "Result", "pair_list", "pair_table", "sum_at", "sum_pairs"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Result:
    """Energy (eV), atom energies (n,), forces (n, 3) in eV/Angstrom, virial (3, 3) in eV.

    ``virial = -dE/dstrain``, so the stress in ASE's sign is ``-virial / volume``.
    """

    energy: float
    energies: Float
    forces: Float
    virial: Float


@dataclass(frozen=True, slots=True)
class PairList:
    """Ordered pairs: atoms i, j, their species a, b, vector D from i to j, length r."""

    n: int
    i: Int
    j: Int
    a: Int
    b: Int
    D: Float
    r: Float


def pair_list(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    species: ArrayLike,
    cutoff: float | Float,
) -> PairList:
    """Pairs with r < cutoff; `cutoff` is one number or a table over species pairs."""
    kind = np.asarray(species, dtype=np.int64)
    i: Int
    j: Int
    D: Float
    # Small systems by the definition itself; as a baseline for large ones it must not cost O(n^2).
    search = neighbor_list if len(kind) <= 200 else neighbor_list_binned
    i, j, D = search("ijD", positions, cell, pbc, float(np.max(cutoff)))
    r2 = np.einsum("ij,ij->i", D, D)
    limit = np.asarray(cutoff)
    keep = r2 < (limit if limit.ndim == 0 else limit[kind[i], kind[j]]) ** 2
    i, j, D = i[keep], j[keep], D[keep]
    return PairList(len(kind), i, j, kind[i], kind[j], D, np.sqrt(r2[keep]))


def pair_table(name: str, values: ArrayLike, ns: int) -> Float:
    """(ns, ns) table from one number or a symmetric table."""
    table = np.asarray(values, dtype=np.float64)
    if table.ndim == 0:
        table = np.full((ns, ns), table)
    if table.shape != (ns, ns) or not np.array_equal(table, table.T):
        raise ValueError(f"{name}: expected a symmetric ({ns}, {ns}) table, got {table.tolist()}")
    return table


def sum_at(i: Int, values: Float, n: int) -> Float:
    """Sum of the values of each atom's pairs, (n,)."""
    return np.bincount(i, weights=values, minlength=n).astype(np.float64, copy=False)


def sum_pairs(pairs: PairList, phi: Float, slope: Float, own: Float | None = None) -> Result:
    r"""Result of :math:`E = \sum_i e_i + \tfrac12 \sum_{ij} \phi(r_{ij})`.

    Parameters
    ----------
    pairs : PairList
    phi : (m,) array
        Pair energies, given half to each atom.
    slope : (m,) array
        s_ij = s_ji such that the force on i is :math:`\sum_j s_{ij} D_{ij} / r_{ij}`; for a plain
        pair potential phi'. Contributions of `own` to the forces are included by the caller.
    own : (n,) array, optional
        Energies e_i.
    """
    n = pairs.n
    pull = (slope / pairs.r)[:, None] * pairs.D
    forces = np.stack([sum_at(pairs.i, pull[:, axis], n) for axis in range(3)], axis=1)
    energies = sum_at(pairs.i, 0.5 * phi, n)
    if own is not None:
        energies = energies + own
    return Result(float(energies.sum()), energies, forces, -0.5 * pairs.D.T @ pull)
