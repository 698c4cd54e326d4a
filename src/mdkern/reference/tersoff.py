"""Tersoff and its variants in plain NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mdkern.io.tersoff import TersoffModel
from mdkern.io.three_body import one_direction
from mdkern.reference.pairs import Float, Result, pair_list, sum_at
from mdkern.reference.three_body import Triplets, sum_gradients

__all__ = ["tersoff"]

# Beyond it the exponential of the triplets is a constant, as in LAMMPS: 1e30, or 0 below the negative.
_CLIP = 69.0776
# Constants of the repulsion at short range, as in LAMMPS's tersoff/zbl.
_E0, _LENGTH = 0.00552635, 0.8854 * 0.529
_ZBL = ((0.1818, 3.2), (0.5099, 0.9423), (0.2802, 0.4029), (0.02817, 0.2016))

Curve = tuple[Float, Float]  # values and derivatives


def tersoff(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    species: ArrayLike,
    model: TersoffModel,
) -> Result:
    r"""Energy, forces and virial.

    .. math::

        E = \tfrac12 \sum_{i \ne j} f_C(r_{ij}) \left[f_R(r_{ij}) + b_{ij} f_A(r_{ij})\right], \qquad
        b_{ij} = \left(1 + (\beta \zeta_{ij})^\eta\right)^{-q}, \qquad
        \zeta_{ij} = \sum_{k \ne i, j} f_C(r_{ik})\, g(\theta_{ijk})\, e^{(\lambda_3 (r_{ij} - r_{ik}))^m}

    Half of the energy of each (half) bond belongs to either atom.

    Parameters
    ----------
    positions, cell, pbc
        As in `neighbor_list` (Angstrom).
    species : (n,) int array
        Index of each atom's element in ``model.species``.
    model : TersoffModel

    Returns
    -------
    Result
    """
    pairs = pair_list(positions, cell, pbc, species, model.cutoff)
    c = {name: table[pairs.a, pairs.b] for name, table in model.pair.items()}
    r = pairs.r
    cut, d_cut = _cutoff(model, r, c["R"], c["D"])
    bond = r < c["R"] + c["D"]

    t = Triplets(pairs)
    s = {name: table[t.kinds] for name, table in model.triplet.items()}
    used = bond[t.p] & (t.r_q < s["R"] + s["D"])
    cut_q, d_cut_q = _cutoff(model, t.r_q, s["R"], s["D"])
    g, d_g = _angle(model, t.cos, s)
    x = s["lam3"] * (t.r_p - t.r_q)
    argument = np.where(s["m"] == 3.0, x**3, x)
    inside = np.abs(argument) <= _CLIP
    ex = np.where(inside, np.exp(np.where(inside, argument, 0.0)), np.where(argument > 0, 1e30, 0))
    d_ex = np.where(inside, ex * s["lam3"] * np.where(s["m"] == 3.0, 3.0 * x**2, 1.0), 0.0)
    cut_q, d_cut_q = np.where(used, cut_q, 0.0), np.where(used, d_cut_q, 0.0)
    zeta = sum_at(t.p, cut_q * g * ex, len(r))

    b, d_b = _order(zeta, c["beta"], c["eta"], c["q"])
    attraction = -c["B"] * np.exp(-c["lam2"] * r)
    att, d_att = cut * attraction, d_cut * attraction - cut * c["lam2"] * attraction
    if model.style == "tersoff/zbl":
        on, d_on = _switch(r, c["zcut"], c["zscale"])
        att, d_att = on * att, on * d_att + d_on * att

    # The repulsion has one entry for both directions.
    own = one_direction(pairs.i, pairs.j)
    kinds = np.where(own, pairs.a, pairs.b), np.where(own, pairs.b, pairs.a)
    c = {name: table[kinds] for name, table in model.pair.items()}
    cut, d_cut = _cutoff(model, r, c["R"], c["D"])
    repulsion = c["A"] * np.exp(-c["lam1"] * r)
    d_rep = d_cut * (repulsion + c["c0"]) - cut * c["lam1"] * repulsion
    rep = cut * (repulsion + c["c0"])
    if model.style == "tersoff/zbl":
        near, d_near = _screened(r, c["Z_i"], c["Z_j"])
        on, d_on = _switch(r, c["zcut"], c["zscale"])
        d_rep = (1.0 - on) * d_near + on * d_rep + d_on * (rep - near)
        rep = (1.0 - on) * near + on * rep
    both = r < c["R"] + c["D"]
    rep, d_rep = np.where(both, rep, 0.0), np.where(both, d_rep, 0.0)
    att, d_att = np.where(bond, att, 0.0), np.where(bond, d_att, 0.0)
    e, slope = 0.5 * (rep + att * b), 0.5 * (d_rep + d_att * b)
    by_zeta = (0.5 * att * d_b)[t.p]

    gradient = (slope / r)[:, None] * pairs.D + t.gradient(
        pairs,
        by_zeta * cut_q * g * d_ex,
        by_zeta * g * (d_cut_q * ex - cut_q * d_ex),
        by_zeta * cut_q * d_g * ex,
    )
    energies = sum_at(pairs.i, 0.5 * e, pairs.n) + sum_at(pairs.j, 0.5 * e, pairs.n)
    return sum_gradients(pairs, gradient, energies)


def _cutoff(model: TersoffModel, r: Float, R: Float, D: Float) -> Curve:
    """1 up to R - D, 0 from R + D on."""
    safe = np.where(D > 0.0, D, 1.0)
    x = np.where(D > 0.0, np.clip((r - R) / safe, -1.0, 1.0), np.where(r < R, -1.0, 1.0))
    between = np.abs(x) < 1.0
    u = 0.5 * np.pi * x
    if model.is_mod:
        value = 0.5 - 9.0 / 16.0 * np.sin(u) - 1.0 / 16.0 * np.sin(3.0 * u)
        slope = -0.5 * np.pi * (9.0 / 16.0 * np.cos(u) + 3.0 / 16.0 * np.cos(3.0 * u)) / safe
    else:
        value, slope = 0.5 - 0.5 * np.sin(u), -0.25 * np.pi * np.cos(u) / safe
    return np.where(between, value, np.where(x < 0.0, 1.0, 0.0)), np.where(between, slope, 0.0)


def _angle(model: TersoffModel, cos: Float, s: dict[str, Float]) -> Curve:
    """g and its derivative by the cosine."""
    if model.is_mod:
        off = s["h"] - cos
        y = off**2
        fraction, decay = s["c2"] * y / (s["c3"] + y), s["c4"] * np.exp(-s["c5"] * y)
        slope = s["c2"] * s["c3"] / (s["c3"] + y) ** 2 * (1.0 + decay) - fraction * s["c5"] * decay
        return s["c1"] + fraction * (1.0 + decay), -2.0 * off * slope
    off = s["cos0"] - cos
    c2, below = s["c"] ** 2, s["d"] ** 2 + off**2
    # 1 + c^2 / d^2 - c^2 / below, without the difference of two large numbers.
    value = s["gamma"] * (1.0 + c2 / s["d"] ** 2 * off**2 / below)
    return value, -2.0 * s["gamma"] * c2 * off / below**2


def _order(zeta: Float, beta: Float, eta: Float, q: Float) -> Curve:
    """b and db/dzeta. What is lost in the last digit of b is none of it: so the derivative stays finite where eta < 1."""
    t = beta * zeta
    counts = t > (1e-16 / q) ** (1.0 / eta)
    log_t = np.log(np.where(counts, t, 1.0))
    b = np.where(counts, np.exp(-q * np.logaddexp(0.0, eta * log_t)), 1.0)
    part = np.exp(-np.logaddexp(0.0, -eta * log_t))  # t^eta / (1 + t^eta)
    return b, np.where(counts, -q * eta * b * part / np.where(counts, zeta, 1.0), 0.0)


def _switch(r: Float, begin: Float, scale: Float) -> Curve:
    """From the repulsion of nuclei to Tersoff's functions."""
    on = 1.0 / (1.0 + np.exp(-scale * (r - begin)))
    return on, scale * on * (1.0 - on)


def _screened(r: Float, z_i: Float, z_j: Float) -> Curve:
    """The repulsion of two screened nuclei."""
    x = r * (z_i**0.23 + z_j**0.23) / _LENGTH
    bare = z_i * z_j / (4.0 * np.pi * _E0 * r)
    phi = sum(c * np.exp(-a * x) for c, a in _ZBL)
    slope = sum(-a * c * np.exp(-a * x) for c, a in _ZBL) * x / r
    return bare * phi, bare * (slope - phi / r)
