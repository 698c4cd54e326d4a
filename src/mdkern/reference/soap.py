r"""SOAP power spectrum in NumPy, in DScribe's conventions (A. P. Bartok, R. Kondor and G. Csanyi,
Phys. Rev. B 87, 184115 (2013); L. Himanen et al., Comput. Phys. Commun. 247, 106949 (2020)).

Around a center every neighbor of species Z, the atom on the center included, is a Gaussian of width
sigma with weight w(r). The density of a species is expanded in radial functions and real spherical harmonics,

.. math:: c^Z_{nlm} = \sum_{j \in Z} w(r_j)\, F_{nl}(r_j)\, r_j^l Y_{lm}(\hat r_j), \qquad
          p^{Z Z'}_{nn'l} = \pi \sqrt{\tfrac{8}{2l+1}} \sum_m c^Z_{nlm} c^{Z'}_{n'lm}.

F is what is left of the radial integral when :math:`r^l` is taken out: an even function of r without singularities.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdkern.reference.neighbors import neighbor_list

__all__ = [
    "gto_basis",
    "polynomial_basis",
    "power_blocks",
    "radial_gto",
    "radial_polynomial",
    "reach",
    "soap",
    "solid_harmonics",
    "weight",
]

Float = NDArray[np.float64]
_THRESHOLD = 1e-3  # where DScribe takes a Gaussian for zero
_QUADRATURE = 100  # points of its Gauss-Legendre rule


def reach(r_cut: float, sigma: float) -> float:
    """Distance within which atoms count: a Gaussian at its end has fallen to 1e-3 at r_cut."""
    return r_cut + sigma * float(np.sqrt(-2.0 * np.log(_THRESHOLD)))


def gto_basis(r_cut: float, n_max: int, l_max: int) -> tuple[Float, Float]:
    """Exponents alpha (l, n) and orthonormalising beta (l, n, n) of the primitives r^l exp(-alpha r^2).

    Raises
    ------
    ValueError
        If the primitives are linearly dependent within rounding.
    """
    from scipy.linalg import inv, sqrtm
    from scipy.special import gamma

    a = np.linspace(1.0, r_cut, n_max)
    alpha = np.array([-np.log(_THRESHOLD / a**l) / a**2 for l in range(l_max + 1)])
    beta = np.empty((l_max + 1, n_max, n_max))
    for l in range(l_max + 1):
        overlap = 0.5 * gamma(l + 1.5) * (alpha[l][:, None] + alpha[l]) ** -(l + 1.5)
        # The functions that DScribe calls: for many n other ones give visibly other numbers.
        beta[l] = _orthonormalise(overlap, inv, sqrtm)
    return alpha, beta


def polynomial_basis(r_cut: float, n_max: int) -> Float:
    """beta (n, k) of the radial functions sum_k beta_nk (r_cut - r)^(k + 2), k = 1 .. n_max."""
    from scipy.linalg import sqrtm

    k = np.arange(1, n_max + 1)
    s = k[:, None] + k
    overlap = 2.0 * r_cut ** (7 + s) / ((5 + s) * (6 + s) * (7 + s))
    return _orthonormalise(overlap, np.linalg.inv, sqrtm)


def _orthonormalise(overlap: Float, inv: Any, sqrtm: Any) -> Float:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of SciPy: what is too bad is an error below
        try:
            beta = sqrtm(inv(overlap))
        except np.linalg.LinAlgError:
            beta = np.array(np.nan)
    if not np.isfinite(beta).all() or np.iscomplexobj(beta):
        n_max = len(overlap)
        msg = f"n_max: {n_max}; so many radial functions are linearly dependent within rounding, expected fewer"
        raise ValueError(msg)
    return np.asarray(beta, dtype=np.float64)


def radial_gto(r_cut: float, n_max: int, l_max: int, sigma: float) -> Callable[[Any], Any]:
    """F(r) of shape (l, n, ...), also for complex r."""
    alpha, beta = gto_basis(r_cut, n_max, l_max)
    eta = 0.5 / sigma**2
    q = 1.0 + alpha / eta
    power = np.arange(l_max + 1)[:, None] + 1.5
    scaled = (np.pi / eta) ** 1.5 * beta * (q**-power)[:, None, :]

    def f(r: Any) -> Any:
        r = np.asarray(r)
        return np.einsum("lnk,lk...->ln...", scaled, np.exp(np.multiply.outer(-alpha / q, r * r)))

    return f


def radial_polynomial(r_cut: float, n_max: int, l_max: int, sigma: float) -> Callable[[Any], Any]:
    """F(r) of shape (l, n, ...), also for complex r."""
    beta = polynomial_basis(r_cut, n_max)
    eta = 0.5 / sigma**2
    x, w = np.polynomial.legendre.leggauss(_QUADRATURE)
    x, w = 0.5 * r_cut * (x + 1.0), 0.5 * r_cut * w
    g = beta @ np.array([(r_cut - x) ** (k + 2) for k in range(1, n_max + 1)])

    def f(r: Any) -> Any:
        r = np.asarray(r)
        decay = np.exp(-eta * np.subtract.outer(x, r) ** 2)  # (quadrature points, ...)
        bessel = _bessel(l_max, np.multiply.outer(2.0 * eta * x, r))
        powers = (2.0 * eta * x) ** np.arange(l_max + 1)[:, None]
        return (
            4.0
            * np.pi
            * np.einsum(
                "nq,lq,q...,lq...->ln...", g * w * x**2, powers, decay, bessel, optimize=True
            )
        )

    return f


def _bessel(l_max: int, z: Any) -> Any:
    """exp(-z) i_l(z) / z^l for l = 0 .. l_max, i_l the modified spherical Bessel functions, Re z >= 0."""
    # Upward recurrence where it is stable, |z| > l + 2; below the series in z^2.
    big = np.where(np.abs(z) > 2.0, z, 2.0)
    damped = np.exp(-2.0 * big)
    f = [0.5 * (1 - damped) / big, 0.5 * ((1 + damped) - (1 - damped) / big) / big]
    out = []
    for l in range(l_max + 1):
        if l > 1:
            f.append(f[l - 2] - (2 * l - 1) / big * f[l - 1])
        small = np.abs(z) <= l + 2.0
        s = np.where(small, z, 0.0)
        term = total = np.ones_like(s)
        for k in range(1, 16 + l):
            term = term * (0.5 * s * s) / (k * (2 * l + 2 * k + 1))
            total = total + term
        odd = np.prod(np.arange(1, 2 * l + 2, 2), dtype=np.float64)
        out.append(np.where(small, np.exp(-s) * total / odd, f[l] / big**l))
    return np.array(out)


def weight(r: Float, weighting: Mapping[str, Any] | None) -> Float:
    """w(r) of DScribe's argument ``weighting``."""
    w = np.ones_like(r)
    p = dict(weighting or {})
    kind = p.get("function")
    if kind == "poly":
        x = r / p["r0"]
        w = np.where(x <= 1.0, p["c"] * np.maximum(1 + 2 * x**3 - 3 * x**2, 0.0) ** p["m"], 0.0)
    elif kind == "pow":
        with np.errstate(divide="ignore"):
            w = p["c"] / (p["d"] + (r / p["r0"]) ** p["m"])
    elif kind == "exp":
        w = p["c"] / (p["d"] + np.exp(-r / p["r0"]))
    if "w0" in p:
        w = np.where(r == 0.0, p["w0"], w)
    return w


def solid_harmonics(l_max: int, d: Float) -> tuple[Float, Float]:
    """Real orthonormal r^l Y_lm of vectors d (..., 3), and their gradients.

    Shapes (..., (l_max + 1)^2) and (..., (l_max + 1)^2, 3); index l^2 for m = 0, then cosine and sine of each m.
    The recurrences in l are upward, which is their stable direction.
    """
    from math import factorial

    x, y, z = d[..., 0], d[..., 1], d[..., 2]
    r2 = x * x + y * y + z * z
    a, b = [np.ones_like(x)], [np.zeros_like(x)]  # Re and Im of (x + i y)^m
    for _ in range(l_max):
        a, b = [*a, x * a[-1] - y * b[-1]], [*b, x * b[-1] + y * a[-1]]
    q: dict[tuple[int, int], Float] = {}  # r^l P_l^m / (x^2 + y^2)^(m / 2)
    for m in range(l_max + 1):
        q[m, m] = np.full_like(x, np.prod(np.arange(1, 2 * m, 2), dtype=np.float64))
        for l in range(m + 1, l_max + 1):
            before = q.get((l - 2, m), np.zeros_like(x))
            q[l, m] = ((2 * l - 1) * z * q[l - 1, m] - (l + m - 1) * r2 * before) / (l - m)
    none = np.zeros_like(x)
    value = np.empty((*x.shape, (l_max + 1) ** 2))
    gradient = np.empty((*x.shape, (l_max + 1) ** 2, 3))
    for l in range(l_max + 1):
        for m in range(l + 1):
            norm = np.sqrt(
                (2 - (m == 0)) * (2 * l + 1) / (4 * np.pi) * factorial(l - m) / factorial(l + m)
            )
            lateral, axial = q.get((l - 1, m + 1), none), (l + m) * q.get((l - 1, m), none)
            am, bm = (m * a[m - 1], m * b[m - 1]) if m else (none, none)
            for k, (s, dx, dy) in enumerate([(a[m], am, -bm), (b[m], bm, am)][: 1 + (m > 0)]):
                at = l * l + max(0, 2 * m - 1) + k
                value[..., at] = norm * q[l, m] * s
                gradient[..., at, 0] = norm * (q[l, m] * dx - x * lateral * s)
                gradient[..., at, 1] = norm * (q[l, m] * dy - y * lateral * s)
                gradient[..., at, 2] = norm * axial * s
    return value, gradient


def power_blocks(n_species: int, mode: str) -> list[tuple[int, int, bool]]:
    """Pairs of channels in the order of the output, and whether only n' >= n is kept.

    Channel `n_species` is the sum over species (mu2, mu1nu1).
    """
    every = range(n_species)
    if mode == "mu2":
        return [(n_species, n_species, True)]
    if mode == "mu1nu1":
        return [(z, n_species, False) for z in every]
    return [(a, b, a == b) for a in every for b in every if a == b or (a < b and mode == "off")]


def soap(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    species: ArrayLike,
    centers: ArrayLike,
    *,
    n_species: int,
    r_cut: float,
    n_max: int,
    l_max: int,
    sigma: float = 1.0,
    rbf: str = "gto",
    weighting: Mapping[str, Any] | None = None,
    mode: str = "off",
    species_weights: ArrayLike | None = None,
    average: str = "off",
    attach: bool = True,
    gradient: bool = False,
) -> tuple[Float, Float | None]:
    """Power spectrum (n_centers, n_features), and its derivatives (n_centers, n, 3, n_features).

    `species` counts from 0; `centers` are indices of atoms, or positions (k, 3). An average has one row.
    """
    p = np.asarray(positions, dtype=np.float64)
    kind = np.asarray(species, dtype=np.int64)
    at = np.asarray(centers)
    indices = at if at.ndim == 1 else np.full(len(at), -1)
    spots = p[indices] if at.ndim == 1 else at.astype(np.float64)
    i, j, D = _environments(p, cell, pbc, spots, indices, reach(r_cut, sigma))
    make = radial_gto if rbf == "gto" else radial_polynomial
    f = make(r_cut, n_max, l_max, sigma)
    r = np.linalg.norm(D, axis=1)
    scale = np.ones(n_species) if species_weights is None else np.asarray(species_weights)
    step = 1e-30

    def envelope(x: Any) -> Any:  # w F as (pairs, l, n)
        return np.moveaxis(f(x), -1, 0) * (weight(x, weighting) * scale[kind[j]])[:, None, None]

    y, dy = solid_harmonics(l_max, D)
    l_of = np.repeat(np.arange(l_max + 1), 2 * np.arange(l_max + 1) + 1)
    wf = envelope(r)[:, l_of]  # (pairs, lm, n)
    nc, n = len(spots), len(p)
    c = np.zeros((nc, n_species + 1, len(l_of), n_max))
    np.add.at(c, (i, kind[j]), wf * y[:, :, None])
    c[:, -1] = c[:, :-1].sum(axis=1)
    dc = None
    if gradient:
        shift = np.where(r > 0.0, r, 1.0) + 1j * step
        slope = np.where(r[:, None, None] > 0.0, envelope(shift).imag / step, 0.0)[:, l_of]
        unit = D / np.where(r > 0.0, r, 1.0)[:, None]
        change = wf[..., None] * dy[:, :, None, :] + np.einsum("pln,pl,px->plnx", slope, y, unit)
        dc = np.zeros((nc, n, n_species + 1, len(l_of), n_max, 3))
        np.add.at(dc, (i, j, kind[j]), change)
        if attach:
            moving = indices[i] >= 0
            np.add.at(dc, (i[moving], indices[i[moving]], kind[j[moving]]), -change[moving])
        dc[:, :, -1] = dc[:, :, :-1].sum(axis=2)
    if average == "inner":
        c = c.mean(axis=0, keepdims=True)
        dc = None if dc is None else dc.mean(axis=0, keepdims=True)
    value, slopes = _power(c, dc, l_of, power_blocks(n_species, mode))
    if average == "outer":
        value = value.mean(axis=0, keepdims=True)
        slopes = None if slopes is None else slopes.mean(axis=0, keepdims=True)
    return value, slopes


def _environments(
    p: Float, cell: Any, pbc: Any, spots: Float, indices: Any, cutoff: float
) -> tuple[Any, Any, Float]:
    """Center, atom, vector of every pair; the atom on its center is one of them."""
    n = len(p)
    both = np.concatenate([p, spots])
    # A distance of exactly the cutoff belongs to it.
    i, j, D = neighbor_list("ijD", both, cell, pbc, np.nextafter(cutoff, np.inf), True)
    keep = (i >= n) & (j < n)
    i, j, D = i[keep] - n, j[keep], D[keep]
    # The own atom is at zero, whatever rounding says.
    own = (j == indices[i]) & (np.abs(D).max(axis=1) < 1e-9)
    D[own] = 0.0
    return i, j, D


def _power(c: Float, dc: Float | None, l_of: Any, blocks: Any) -> tuple[Float, Float | None]:
    n_max = c.shape[-1]
    upper = np.triu_indices(n_max)
    values, slopes = [], []
    for a, b, triangle in blocks:
        for l in range(l_of[-1] + 1):
            m = l_of == l
            factor = np.pi * np.sqrt(8.0 / (2 * l + 1))
            ca, cb = c[:, a][:, m], c[:, b][:, m]
            pick = upper if triangle else (slice(None), slice(None))
            block = factor * np.einsum("cmn,cmk->cnk", ca, cb)
            values.append(block[:, pick[0], pick[1]].reshape(len(c), -1))
            if dc is not None:
                da, db = dc[:, :, a][:, :, m], dc[:, :, b][:, :, m]
                slope = np.einsum("cjmnx,cmk->cjxnk", da, cb) + np.einsum(
                    "cmn,cjmkx->cjxnk", ca, db
                )
                slope = factor * slope[..., pick[0], pick[1]]
                slopes.append(slope.reshape(*slope.shape[:3], -1))
    return np.concatenate(values, axis=1), np.concatenate(slopes, axis=-1) if slopes else None
