r"""Atom-centered symmetry functions in NumPy, in DScribe's conventions (J. Behler, J. Chem. Phys. 134, 074106 (2011)).

With :math:`f(r) = \tfrac12 (1 + \cos(\pi r / r_c))` and sums over neighbors j, or unordered pairs j, k of neighbors,

.. math::
   G^1 &= \sum f(r_j), \quad G^2 = \sum e^{-\eta (r_j - R_s)^2} f(r_j), \quad G^3 = \sum \cos(\kappa r_j) f(r_j) \\
   G^4 &= 2^{1-\zeta} \sum (1 + \lambda \cos\theta)^\zeta e^{-\eta (r_j^2 + r_k^2 + r_{jk}^2)} f(r_j) f(r_k) f(r_{jk}) \\
   G^5 &= 2^{1-\zeta} \sum (1 + \lambda \cos\theta)^\zeta e^{-\eta (r_j^2 + r_k^2)} f(r_j) f(r_k)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdkern.reference.neighbors import neighbor_list

__all__ = ["acsf"]

Float = NDArray[np.float64]


def acsf(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    species: ArrayLike,
    centers: ArrayLike,
    *,
    n_species: int,
    r_cut: float,
    g2: ArrayLike = (),
    g3: ArrayLike = (),
    g4: ArrayLike = (),
    g5: ArrayLike = (),
    gradient: bool = False,
) -> tuple[Float, Float | None]:
    """Functions (n_centers, n_features), and derivatives (n_centers, n, 3, n_features), centers moving with their atoms.

    `species` counts from 0, `centers` are indices of atoms; rows of `g2` are eta, R_s, of `g3` kappa, of `g4` and `g5`
    eta, zeta, lambda. Order: per species G1, G2, G3; then per pair of species (0,0), (1,0), (1,1), (2,0), ... G4, G5.
    """
    kind = np.asarray(species, dtype=np.int64)
    n = len(kind)
    two, three = np.reshape(g2, (-1, 2)), np.reshape(g3, -1)
    angular = [(*row, True) for row in np.reshape(g4, (-1, 3))]
    angular += [(*row, False) for row in np.reshape(g5, (-1, 3))]
    n_radial = 1 + len(two) + len(three)
    n_features = n_species * n_radial + n_species * (n_species + 1) // 2 * len(angular)
    i, j, D = neighbor_list("ijD", positions, cell, pbc, r_cut)
    values = np.zeros((len(np.asarray(centers)), n_features))
    slopes = np.zeros((len(values), n, 3, n_features)) if gradient else None
    for row, center in enumerate(np.asarray(centers, dtype=np.int64)):
        near = i == center
        at, d = j[near], D[near]
        r = np.linalg.norm(d, axis=1)
        f, df = _cutoff(r, r_cut)
        own = values[row], None if slopes is None else slopes[row], center
        for z in range(n_species):
            of = kind[at] == z
            for k in range(n_radial):
                g, dg = _radial(r[of], f[of], df[of], k, two, three)
                _add(own, z * n_radial + k, g, [(at[of], d[of] * (dg / r[of])[:, None])])
        if angular:
            _triplets(own, at, d, r, f, df, kind, n_species, n_radial, angular, r_cut)
    return values, slopes


def _cutoff(r: Float, r_cut: float) -> tuple[Float, Float]:
    x = np.pi * r / r_cut
    inside = r <= r_cut
    return np.where(inside, 0.5 * (np.cos(x) + 1), 0), np.where(
        inside, -0.5 * np.pi / r_cut * np.sin(x), 0
    )


def _radial(r: Float, f: Float, df: Float, k: int, two: Any, three: Any) -> tuple[Float, Float]:
    if k == 0:
        return f, df
    if k <= len(two):
        eta, rs = two[k - 1]
        e = np.exp(-eta * (r - rs) ** 2)
        return e * f, e * (df - 2 * eta * (r - rs) * f)
    kappa = three[k - 1 - len(two)]
    return np.cos(kappa * r) * f, np.cos(kappa * r) * df - kappa * np.sin(kappa * r) * f


def _triplets(
    own: Any, at: Any, d: Any, r: Any, f: Any, df: Any, kind: Any, ns: int, n_radial: int,
    angular: Any, r_cut: float,
) -> None:  # fmt: skip
    a, b = np.triu_indices(len(at), 1)
    side = d[a] - d[b]
    r3 = np.linalg.norm(side, axis=1)
    f3, df3 = _cutoff(r3, r_cut)
    cos = np.einsum("tx,tx->t", d[a], d[b]) / (r[a] * r[b])
    big, small = np.maximum(kind[at[a]], kind[at[b]]), np.minimum(kind[at[a]], kind[at[b]])
    pair = big * (big + 1) // 2 + small
    ua, ub = d[a] / r[a][:, None], d[b] / r[b][:, None]
    dcos_a, dcos_b = (
        (ub - cos[:, None] * ua) / r[a][:, None],
        (ua - cos[:, None] * ub) / r[b][:, None],
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        u3 = np.where(r3[:, None] > 0.0, side / r3[:, None], 0.0)
    for k, (eta, zeta, lam, closed) in enumerate(angular):
        # Rounding must not make the base negative: zeta need not be an integer. A lambda beyond +-1 does, and has integers.
        base = np.maximum(1 + lam * cos, 0.0 if abs(lam) <= 1 else -np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            p = 2 ** (1 - zeta) * base**zeta
            dp = np.where(
                base != 0, 2 ** (1 - zeta) * zeta * lam * base ** (zeta - 1), lam * (zeta == 1)
            )
        s = r[a] ** 2 + r[b] ** 2 + (r3**2 if closed else 0.0)
        g = np.exp(-eta * s)
        w3, dw3 = (f3, df3 - 2 * eta * r3 * f3) if closed else (np.ones_like(r3), np.zeros_like(r3))
        e = p * g * f[a] * f[b] * w3
        on_a = (p * g * w3 * f[b] * (df[a] - 2 * eta * r[a] * f[a]))[:, None] * ua
        on_b = (p * g * w3 * f[a] * (df[b] - 2 * eta * r[b] * f[b]))[:, None] * ub
        turn, push = dp * g * f[a] * f[b] * w3, (p * g * f[a] * f[b] * dw3)[:, None] * u3
        on_a, on_b = on_a + turn[:, None] * dcos_a + push, on_b + turn[:, None] * dcos_b - push
        for q in range(ns * (ns + 1) // 2):
            of = pair == q
            parts = [(at[a[of]], on_a[of]), (at[b[of]], on_b[of])]
            _add(own, ns * n_radial + q * len(angular) + k, e[of], parts)


def _add(own: Any, feature: int, g: Float, parts: Any) -> None:
    values, slopes, center = own
    values[feature] += g.sum()
    if slopes is None:
        return
    for atoms, gradient in parts:
        np.add.at(slopes[:, :, feature], atoms, gradient)
        slopes[center, :, feature] -= gradient.sum(axis=0)
