"""Soft spheres in plain NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mdkern.reference.pairs import Result, pair_list, pair_table, sum_pairs

__all__ = ["soft_sphere"]


def soft_sphere(
    positions: ArrayLike, cell: ArrayLike, pbc: ArrayLike, species: ArrayLike, k: float, rc: float
) -> Result:
    r"""Energy, forces and virial of soft spheres.

    .. math:: \phi(r) = \tfrac{k}{2} (r_c - r)^2, \quad r < r_c

    Parameters
    ----------
    positions, cell, pbc
        As in `neighbor_list` (Angstrom).
    species : (n,) int array
        Not looked at: all are alike.
    k, rc : float
        eV/Angstrom^2, Angstrom.

    Returns
    -------
    Result
        Pair energies are given half to each atom.
    """
    alike = np.zeros_like(np.asarray(species))
    pairs = pair_list(positions, cell, pbc, alike, pair_table("rc", rc, 1))
    overlap = rc - pairs.r
    return sum_pairs(pairs, 0.5 * k * overlap**2, -k * overlap)
