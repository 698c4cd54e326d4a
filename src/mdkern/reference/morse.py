"""Morse potential in plain NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mdkern.reference.pairs import Float, Result, pair_list, pair_table, sum_pairs

__all__ = ["morse", "morse_ase"]


def morse(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    species: ArrayLike,
    D: ArrayLike,
    alpha: ArrayLike,
    r0: ArrayLike,
    cutoff: ArrayLike,
    *,
    shift: bool = False,
    onset: ArrayLike | None = None,
) -> Result:
    r"""Energy, forces and virial of a Morse system.

    .. math:: \phi(r) = D [e^{-2\alpha (r - r_0)} - 2 e^{-\alpha (r - r_0)}], \quad r < r_c

    Parameters
    ----------
    positions, cell, pbc
        As in `neighbor_list` (Angstrom).
    species : (n,) int array
        Row of each atom in the tables.
    D, alpha, r0, cutoff : float or (ns, ns) array
        Per pair of species, symmetric (eV, 1/Angstrom, Angstrom, Angstrom).
    shift : bool
        Subtract phi(r_c).
    onset : float or (ns, ns) array, optional
        Multiply phi by a quintic switch that falls from one at `onset` to zero at the cutoff,
        :math:`s^3 (10 - 15 s + 6 s^2)` with :math:`s = (r_c - r) / (r_c - r_{on})`.

    Returns
    -------
    Result
        Pair energies are given half to each atom.
    """
    ns = int(np.max(species, initial=0)) + 1
    shapes = [np.shape(values)[0] for values in (D, alpha, r0, cutoff) if np.ndim(values)]
    ns = max([ns, *shapes])
    rc = pair_table("cutoff", cutoff, ns)
    pairs = pair_list(positions, cell, pbc, species, rc)
    named = {"D": D, "alpha": alpha, "r0": r0}
    depth, rate, centre, rc = (
        table[pairs.a, pairs.b]
        for table in (*(pair_table(name, values, ns) for name, values in named.items()), rc)
    )
    phi, slope = _bare(pairs.r, depth, rate, centre)
    if shift:
        phi = phi - _bare(rc, depth, rate, centre)[0]
    if onset is not None:
        start = pair_table("onset", onset, ns)[pairs.a, pairs.b]
        s = np.minimum((rc - pairs.r) / (rc - start), 1.0)
        switch = s**3 * (10 - 15 * s + 6 * s**2)
        d_switch = -30 * (s * (1 - s)) ** 2 / (rc - start)
        phi, slope = phi * switch, slope * switch + phi * d_switch
    return sum_pairs(pairs, phi, slope)


def morse_ase(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    epsilon: float = 1.0,
    rho0: float = 6.0,
    r0: float = 1.0,
    rcut1: float = 1.9,
    rcut2: float = 2.7,
) -> Result:
    """Parameters of ASE's MorsePotential: alpha = rho0 / r0, switch from rcut1 r0 to rcut2 r0."""
    species = np.zeros(len(np.asarray(positions)), dtype=np.int64)
    return morse(
        positions, cell, pbc, species, epsilon, rho0 / r0, r0, rcut2 * r0, onset=rcut1 * r0
    )


def _bare(r: Float, depth: Float, rate: Float, centre: Float) -> tuple[Float, Float]:
    decay = np.exp(-rate * (r - centre))
    return depth * decay * (decay - 2), -2 * rate * depth * decay * (decay - 1)
