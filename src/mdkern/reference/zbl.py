"""Ziegler-Biersack-Littmark repulsion in plain NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mdkern.reference.pairs import Float, Result, pair_list, pair_table, sum_pairs

__all__ = ["zbl"]

_K = 14.399645  # e^2 / (4 pi epsilon_0), eV Angstrom
_WEIGHT = np.array([0.02817, 0.28022, 0.50986, 0.18175])
_DECAY = np.array([0.20162, 0.40290, 0.94229, 3.19980])


def zbl(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    species: ArrayLike,
    z: ArrayLike,
    inner: float,
    outer: float,
) -> Result:
    r"""Energy, forces and virial of screened nuclei, switched to zero between two distances.

    .. math:: \phi(r) = \frac{k Z_i Z_j}{r} \sum_m c_m e^{-d_m r / a_{ij}} + S(r), \quad
              a_{ij} = \frac{0.4685}{Z_i^{0.23} + Z_j^{0.23}}, \quad r < r_\text{outer}

    S(r) = C below `inner`, and A t^3 / 3 + B t^4 / 4 + C with t = r - inner from there on; A, B and C take phi, phi' and phi'' to
    zero at `outer`.

    Parameters
    ----------
    positions, cell, pbc
        As in `neighbor_list` (Angstrom).
    species : (n,) int array
        Place of each atom's element in `z`.
    z : (ns,) array
        Charges of the nuclei.
    inner, outer : float
        Angstrom.

    Returns
    -------
    Result
        Pair energies are given half to each atom.
    """
    z = np.asarray(z, dtype=float)
    pairs = pair_list(positions, cell, pbc, species, pair_table("outer", outer, len(z)))
    zi, zj = z[pairs.a], z[pairs.b]
    t = np.maximum(0.0, pairs.r - inner)
    width = outer - inner
    e, e1, e2 = _bare(np.full_like(pairs.r, outer), zi, zj)
    a = (-3 * e1 + width * e2) / width**2
    b = (2 * e1 - width * e2) / width**3
    c = -e + width * e1 / 2 - width**2 * e2 / 12
    phi, slope, _ = _bare(pairs.r, zi, zj)
    return sum_pairs(pairs, phi + a / 3 * t**3 + b / 4 * t**4 + c, slope + a * t**2 + b * t**3)


def _bare(r: Float, zi: Float, zj: Float) -> tuple[Float, Float, Float]:
    """The screened charges, and the first two derivatives by r."""
    d = _DECAY * ((zi**0.23 + zj**0.23) / 0.46850)[:, None]
    terms = _WEIGHT * np.exp(-d * r[:, None])
    f, f1, f2 = terms.sum(axis=1), -(d * terms).sum(axis=1), (d * d * terms).sum(axis=1)
    q = _K * zi * zj
    return q * f / r, q * (f1 / r - f / r**2), q * (f2 / r - 2 * f1 / r**2 + 2 * f / r**3)
