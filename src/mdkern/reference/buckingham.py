"""Buckingham potential in plain NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mdkern.reference.pairs import Float, Result, pair_list, pair_table, sum_pairs

__all__ = ["buckingham"]


def buckingham(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    species: ArrayLike,
    A: ArrayLike,
    rho: ArrayLike,
    C: ArrayLike,
    cutoff: ArrayLike,
    *,
    shift: bool = False,
) -> Result:
    r"""Energy, forces and virial of a Buckingham system.

    .. math:: \phi(r) = A e^{-r/\rho} - C / r^6, \quad r < r_c

    Parameters
    ----------
    positions, cell, pbc
        As in `neighbor_list` (Angstrom).
    species : (n,) int array
        Row of each atom in the tables.
    A, rho, C, cutoff : float or (ns, ns) array
        Per pair of species, symmetric (eV, Angstrom, eV Angstrom^6, Angstrom).
    shift : bool
        Subtract phi(r_c) of the pair's own cutoff.

    Returns
    -------
    Result
        Pair energies are given half to each atom.
    """
    ns = int(np.max(species, initial=0)) + 1
    shapes = [np.shape(values)[0] for values in (A, rho, C, cutoff) if np.ndim(values)]
    ns = max([ns, *shapes])
    rc = pair_table("cutoff", cutoff, ns)
    pairs = pair_list(positions, cell, pbc, species, rc)
    named = {"A": A, "rho": rho, "C": C}
    a, length, c, rc = (
        table[pairs.a, pairs.b]
        for table in (*(pair_table(name, values, ns) for name, values in named.items()), rc)
    )
    phi, slope = _bare(pairs.r, a, length, c)
    if shift:
        phi = phi - _bare(rc, a, length, c)[0]
    return sum_pairs(pairs, phi, slope)


def _bare(r: Float, A: Float, rho: Float, C: Float) -> tuple[Float, Float]:
    decay = A * np.exp(-r / rho)
    return decay - C / r**6, 6 * C / r**7 - decay / rho
