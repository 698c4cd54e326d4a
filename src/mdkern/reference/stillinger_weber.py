"""Stillinger-Weber in plain NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mdkern.io.stillinger_weber import StillingerWeberModel
from mdkern.io.three_body import one_direction
from mdkern.reference.pairs import Float, Int, Result, pair_list, sum_at
from mdkern.reference.three_body import Triplets, sum_gradients

__all__ = ["stillinger_weber"]


def stillinger_weber(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    species: ArrayLike,
    model: StillingerWeberModel,
) -> Result:
    r"""Energy, forces and virial.

    .. math::

        E = \tfrac12 \sum_{ij} A \epsilon \left[B (\sigma/r)^p - (\sigma/r)^q\right] h_{ij}(1)
          + \sum_i \sum_{j<k} \lambda \epsilon \left(\cos\theta_{jik} - \cos\theta_0\right)^2 h_{ij}(\gamma) h_{ik}(\gamma),
        \qquad h(\gamma) = \exp\frac{\gamma \sigma}{r - a \sigma}

    with the parameters of (i, j, j) for pairs, of one of both directions as LAMMPS chooses it, and of (i, j, k) for lambda, epsilon and the angle of triplets. Half of a pair's energy belongs to either atom,
    a third of a triplet's to each of the three.

    Parameters
    ----------
    positions, cell, pbc
        As in `neighbor_list` (Angstrom).
    species : (n,) int array
        Index of each atom's element in ``model.species``.
    model : StillingerWeberModel

    Returns
    -------
    Result
    """
    pairs = pair_list(positions, cell, pbc, species, model.cutoff)
    r = pairs.r

    def decay(a: Int, b: Int, strength: Float) -> tuple[Float, Float]:
        """exp(strength / (r - a sigma)) of entries (a, b, b), zero from the cutoff on, and its derivative."""
        end = model.pair["a"][a, b] * model.pair["sigma"][a, b]
        near = (r < model.cutoffs[a, b]) & (r < end)
        below = np.where(near, r - end, -1.0)
        h = np.where(near, np.exp(strength / below), 0.0)
        return h, -h * strength / below**2

    # Two atoms: one entry for both directions.
    own = one_direction(pairs.i, pairs.j)
    a, b = np.where(own, pairs.a, pairs.b), np.where(own, pairs.b, pairs.a)
    c = {name: table[a, b] for name, table in model.pair.items()}
    x = c["sigma"] / r
    repulsion, attraction = c["B"] * x ** c["p"], x ** c["q"]
    bracket = c["A"] * c["eps"] * (repulsion - attraction)
    d_bracket = c["A"] * c["eps"] * (c["q"] * attraction - c["p"] * repulsion) / r
    h, dh = decay(a, b, c["sigma"])
    phi, d_phi = bracket * h, d_bracket * h + bracket * dh
    gradient = (0.5 * d_phi / r)[:, None] * pairs.D
    energies = sum_at(pairs.i, 0.5 * phi, pairs.n)

    # Three: each triplet is met in both orders, so half of it here.
    t = Triplets(pairs)
    strength = 0.5 * model.strength[t.kinds]
    off = t.cos - model.cos0[t.kinds]
    width = (model.pair["gamma"] * model.pair["sigma"])[pairs.a, pairs.b]
    h, dh = decay(pairs.a, pairs.b, width)
    h_p, h_q = h[t.p], h[t.q]
    e = strength * off**2 * h_p * h_q
    gradient += t.gradient(
        pairs,
        strength * off**2 * dh[t.p] * h_q,
        strength * off**2 * h_p * dh[t.q],
        2.0 * strength * off * h_p * h_q,
    )
    for atom in (pairs.i[t.p], pairs.j[t.p], pairs.j[t.q]):
        energies = energies + sum_at(atom, e / 3.0, pairs.n)
    return sum_gradients(pairs, gradient, energies)
