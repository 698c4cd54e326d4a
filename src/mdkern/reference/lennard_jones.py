"""Lennard-Jones potential in plain NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mdkern.reference.pairs import Float, Result, pair_list, pair_table, sum_pairs

__all__ = ["lennard_jones"]


def lennard_jones(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    species: ArrayLike,
    epsilon: ArrayLike,
    sigma: ArrayLike,
    cutoff: ArrayLike,
    *,
    shift: bool = True,
    force_shift: bool = False,
    smooth: bool = False,
    onset: ArrayLike | None = None,
) -> Result:
    r"""Energy, forces and virial of a Lennard-Jones system.

    .. math:: \phi(r) = 4 \epsilon [(\sigma/r)^{12} - (\sigma/r)^6], \quad r < r_c

    Parameters
    ----------
    positions, cell, pbc
        As in `neighbor_list` (Angstrom).
    species : (n,) int array
        Row of each atom in the tables.
    epsilon, sigma, cutoff : float or (ns, ns) array
        Per pair of species, symmetric (eV, Angstrom, Angstrom).
    shift : bool
        Subtract phi(r_c) of the pair's own cutoff.
    force_shift : bool
        Subtract :math:`\phi(r_c) + (r - r_c) \phi'(r_c)`: energy and force vanish at r_c. Wins
        over `shift`.
    smooth : bool
        Multiply the bare phi by ASE's switch between `onset` and the cutoff, in squares
        :math:`x = r^2`: :math:`(x_c - x)^2 (x_c + 2x - 3x_o) / (x_c - x_o)^3`. Wins over both.
    onset : float or (ns, ns) array, optional
        Where the switch begins, 0.66 cutoff if not given.

    Returns
    -------
    Result
        Pair energies are given half to each atom.
    """
    ns = int(np.max(species, initial=0)) + 1
    shapes = [np.shape(values)[0] for values in (epsilon, sigma, cutoff) if np.ndim(values)]
    ns = max([ns, *shapes])
    rc = pair_table("cutoff", cutoff, ns)
    pairs = pair_list(positions, cell, pbc, species, rc)
    r = pairs.r
    eps, sig, rc = (
        table[pairs.a, pairs.b]
        for table in (pair_table("epsilon", epsilon, ns), pair_table("sigma", sigma, ns), rc)
    )
    phi, slope = _bare(r, eps, sig)
    if smooth:
        start = 0.66 * rc if onset is None else pair_table("onset", onset, ns)[pairs.a, pairs.b]
        switch, d_switch = _ase_switch(r, start, rc)
        phi, slope = phi * switch, slope * switch + phi * d_switch
    elif force_shift:
        phi_c, slope_c = _bare(rc, eps, sig)
        phi, slope = phi - phi_c - (r - rc) * slope_c, slope - slope_c
    elif shift:
        phi = phi - _bare(rc, eps, sig)[0]
    return sum_pairs(pairs, phi, slope)


def _bare(r: Float, epsilon: Float, sigma: Float) -> tuple[Float, Float]:
    s6 = (sigma / r) ** 6
    return 4 * epsilon * s6 * (s6 - 1), -24 * epsilon * s6 * (2 * s6 - 1) / r


def _ase_switch(r: Float, onset: Float, rc: Float) -> tuple[Float, Float]:
    """One up to `onset`, zero at `rc`, and the derivative with respect to r."""
    x, xo, xc = r**2, onset**2, rc**2
    value = (xc - x) ** 2 * (xc + 2 * x - 3 * xo) / (xc - xo) ** 3
    slope = 6 * (xc - x) * (xo - x) / (xc - xo) ** 3 * 2 * r
    return np.where(r < onset, 1.0, value), np.where(r < onset, 0.0, slope)
