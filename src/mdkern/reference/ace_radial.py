"""Radial functions and embeddings of the atomic cluster expansion, with derivatives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mdkern.io.ace_model import AceBond, AceModel
from mdkern.reference.pairs import Float, PairList

__all__ = ["Radial", "embed", "radial", "smooth_step"]

_Values = tuple[Float, Float]  # functions (points, functions) and their derivatives

# eV Angstrom, the reference's e^2 / (4 pi epsilon_0), and the universal screening of Ziegler, Biersack and Littmark:
# phi = sum a exp(-b r / length), length = 0.46850 / (Zi^0.23 + Zj^0.23).
COULOMB = 14.399645351950543
SCREENING = ((0.18175, 3.19980), (0.50986, 0.94229), (0.28022, 0.40290), (0.02817, 0.20162))
SCREENING_LENGTH = 0.46850


def smooth_step(t: Float, c: Float | float, w: Float | float) -> _Values:
    """P(t; c, w) and its derivative: 1 up to c - w, 0 from c on, with two continuous derivatives between."""
    c, w = np.broadcast_to(c, t.shape), np.broadcast_to(w, t.shape)
    between = (t > c - w) & (t < c)
    x = 1 - 2 * (1 + (t - c) / np.where(between, w, 1.0))
    p = 0.5 + 3.75 * (x / 4 - x**3 / 6 + x**5 / 20)
    slope = 3.75 * (0.25 - x**2 / 2 + x**4 / 4) * -2 / np.where(between, w, 1.0)
    return np.where(between, p, np.where(t < c, 1.0, 0.0)), np.where(between, slope, 0.0)


def embed(kind: str, x: Float, m: float) -> _Values:
    """f(x; m) and its derivative."""
    a, sign = np.abs(x), np.sign(x)
    if kind == "FinnisSinclairShiftedScaled":
        if m == 1:
            return x, np.ones_like(x)
        n = 1 / m
        xo, yo = n ** (n / (1 - n)) * np.exp(-a), n ** (1 / (1 - n)) * np.exp(-a)
        return sign * ((xo + a) ** m - yo), yo + m * (1 - xo) * (xo + a) ** (m - 1)
    slope0 = 1e-6 ** (m - 1)
    inner = a <= 1e-10
    a = np.where(inner, 1.0, a)
    cube = (1e6 * a) ** 3
    g = np.where(cube > 30, 0.0, np.exp(-np.minimum(cube, 30.0)))
    dg = -3e6 * (1e6 * a) ** 2 * g
    f = (1 - g) * a**m + slope0 * g * a
    df = (1 - g) * m * a ** (m - 1) - dg * a**m + slope0 * (g + dg * a)
    return np.where(inner, slope0 * x, sign * f), np.where(inner, slope0, df)


class Radial:
    """g_k, R_nl and the core repulsion h of every pair, with derivatives.

    Attributes
    ----------
    g, dg : (pairs, n_radial_base)
    R, dR : (pairs, n_radial_max, l_max + 1)
    h, dh : (pairs,)
    """

    def __init__(self, model: AceModel, n_pairs: int) -> None:
        shape = (n_pairs, model.n_radial_max, model.l_max + 1)
        self.g, self.dg = np.zeros((2, n_pairs, model.n_radial_base))
        self.R, self.dR = np.zeros((2, *shape))
        self.h, self.dh = np.zeros((2, n_pairs))


def radial(model: AceModel, pairs: PairList, tables: bool) -> Radial:
    """Of pairs within the cutoff; `tables`: by the reference's cubic Hermite tables, else the functions themselves."""
    out = Radial(model, len(pairs.r))
    for a, b in sorted(set(zip(pairs.a.tolist(), pairs.b.tolist(), strict=True))):
        mine = np.flatnonzero((pairs.a == a) & (pairs.b == b))
        bond = model.bonds[a, b]
        z = (_number(model.elements[a]), _number(model.elements[b]))

        def exact(r: Float, bond: AceBond = bond, z: tuple[int, int] = z) -> _Values:
            g, dg = _inner(model, bond, _basis(model, bond, r), r)
            h, dh = _repulsion(model, bond, z, r)
            return np.column_stack([g, h]), np.column_stack([dg, dh])

        if tables:
            values, slopes = _hermite(model, bond, pairs.r[mine], exact)
        else:
            values, slopes = exact(pairs.r[mine])
        out.g[mine], out.dg[mine] = values[:, :-1], slopes[:, :-1]
        out.h[mine], out.dh[mine] = values[:, -1], slopes[:, -1]
        out.R[mine] = np.einsum("pk,nlk->pnl", values[:, :-1], bond.coefficients, optimize=True)
        out.dR[mine] = np.einsum("pk,nlk->pnl", slopes[:, :-1], bond.coefficients, optimize=True)
    return out


def _number(symbol: str) -> int:
    from ase.data import atomic_numbers

    return int(atomic_numbers[symbol])


def _hermite(
    model: AceModel, bond: AceBond, r: Float, exact: Callable[[Float], _Values]
) -> _Values:
    """Cubic interpolation from values and slopes at both ends of the bin; both are 0 at the cutoff, whatever the functions are."""
    n_bins = int(bond.cutoff / model.spline_bins)
    width = bond.cutoff / n_bins
    k = np.minimum((r / width).astype(np.int64), n_bins - 1)
    if len(k) and k.min() < 1:
        raise ValueError(f"atoms {r.min():g} Angstrom apart; the tables begin at {width:g}")
    nodes = np.unique([k, k + 1])
    v, s = exact(nodes * width)
    v[nodes == n_bins] = s[nodes == n_bins] = 0.0
    left, right = np.searchsorted(nodes, k), np.searchsorted(nodes, k + 1)
    t = (r / width - k)[:, None]
    v0, v1, s0, s1 = v[left], v[right], s[left] * width, s[right] * width
    c2, c3 = 3 * (v1 - v0) - 2 * s0 - s1, 2 * (v0 - v1) + s0 + s1
    return v0 + t * (s0 + t * (c2 + t * c3)), (s0 + t * (2 * c2 + t * 3 * c3)) / width


def _basis(model: AceModel, bond: AceBond, r: Float) -> _Values:
    """g_k for r up to the cutoff."""
    n, rc, lam = model.n_radial_base, bond.cutoff, bond.parameter
    if bond.basis == "zero" or n == 0:
        return np.zeros((len(r), n)), np.zeros((len(r), n))
    if bond.basis == "SBessel":
        return _bessel(r, n, rc)
    if bond.basis == "ChebExpCos":
        decay = np.exp(-lam * r / rc)
        x = 1 - 2 * (decay - np.exp(-lam)) / (1 - np.exp(-lam))
        T, dT = _chebyshev(x, 2 * lam / rc * decay / (1 - np.exp(-lam)), n - 1)
        g, dg = (1 - T) / 2, -dT / 2
        g[:, 0] = 1.0  # (1 - T_0)/2 is 0
        f = (1 + np.cos(np.pi * r / rc)) / 2
        df = -np.pi / rc * np.sin(np.pi * r / rc) / 2
        if bond.dcut > 0:
            end = r > rc - bond.dcut
            angle = np.pi * (r - rc + bond.dcut) / bond.dcut
            last = np.where(end, (1 + np.cos(angle)) / 2, 1.0)
            d_last = np.where(end, -np.pi / bond.dcut * np.sin(angle) / 2, 0.0)
            f, df = f * last, df * last + f * d_last
        return g * f[:, None], dg * f[:, None] + g * df[:, None]
    if bond.basis == "ChebPow":
        rest = np.maximum(1 - r / rc, 0.0)
        x = 1 - 2 * rest**lam
        with np.errstate(divide="ignore"):  # the cutoff itself is a node of tables only
            dx = np.where(rest > 0, 2 * lam / rc * rest ** (lam - 1), 0.0)
    else:
        x, dx = 1 - r / rc, np.full_like(r, -1 / rc)
    T, dT = _chebyshev(x, dx, n)
    return (1 - T[:, 1:]) / 2, -dT[:, 1:] / 2


def _chebyshev(x: Float, dx: Float, n: int) -> _Values:
    """T_0 .. T_n of x, and derivatives by r."""
    T, dT = [np.ones_like(x), x], [np.zeros_like(x), np.ones_like(x)]
    for _ in range(2, n + 1):
        dT.append(2 * T[-1] + 2 * x * dT[-1] - dT[-2])
        T.append(2 * x * T[-1] - T[-2])
    return np.stack(T[: n + 1], axis=1), np.stack(dT[: n + 1], axis=1) * dx[:, None]


def _bessel(r: Float, n: int, rc: float) -> _Values:
    """Simplified spherical Bessel functions, orthogonal by construction."""

    def sinc(q: float) -> _Values:
        x = np.maximum(r * q, 1e-8)
        return np.sin(x) / x, q * (np.cos(x) - np.sin(x) / x) / x

    g: list[Float] = []
    dg: list[Float] = []
    d = 1.0
    for k in range(n):
        (s0, ds0), (s1, ds1) = sinc((k + 1) * np.pi / rc), sinc((k + 2) * np.pi / rc)
        factor = (-1) ** k * np.sqrt(2) * np.pi / rc**1.5
        factor *= (k + 1) * (k + 2) / np.hypot(k + 1, k + 2)
        f, df = factor * (s0 + s1), factor * (ds0 + ds1)
        if k:
            e = k**2 * (k + 2) ** 2 / (4 * (k + 1) ** 4 + 1)
            below, d = d, 1 - e / d
            f, df = f + np.sqrt(e / below) * g[-1], df + np.sqrt(e / below) * dg[-1]
        g.append(f / np.sqrt(d))
        dg.append(df / np.sqrt(d))
    return np.stack(g, axis=1), np.stack(dg, axis=1)


def _inner(model: AceModel, bond: AceBond, values: _Values, r: Float) -> _Values:
    """No functions within r_in - d_in; with the inner cutoff "distance" they are switched on, else they jump there."""
    if model.kind == "grace":
        return values
    g, dg = values
    if model.inner == "distance":
        p, dp = (x[:, None] for x in smooth_step(r, bond.r_in, bond.d_in))
        return g * (1 - p), dg * (1 - p) - g * dp
    there = (r > bond.r_in - bond.d_in)[:, None]
    return np.where(there, g, 0.0), np.where(there, dg, 0.0)


def _repulsion(model: AceModel, bond: AceBond, z: tuple[int, int], r: Float) -> _Values:
    if model.kind == "grace" or bond.prehc == 0:
        return np.zeros_like(r), np.zeros_like(r)
    if model.inner == "zbl":
        return _zbl(bond, z, r)
    exponent = np.minimum(bond.lambdahc * r**2, 50.0)
    tail = np.where(exponent < 50.0, bond.prehc * np.exp(-exponent) / r, 0.0)
    f = (1 + np.cos(np.pi * r / bond.cutoff)) / 2
    df = -np.pi / bond.cutoff * np.sin(np.pi * r / bond.cutoff) / 2
    h, dh = tail * f, tail * (df - f * (2 * bond.lambdahc * r + 1 / r))
    if model.inner == "distance":
        p, dp = smooth_step(r, bond.r_in, bond.d_in)
        h, dh = h * p, dh * p + h * dp
    return h, dh


def _zbl(bond: AceBond, z: tuple[int, int], r: Float) -> _Values:
    """Screened repulsion of nuclei with LAMMPS's switching polynomial, and the outer cutoff once more."""
    rate = (z[0] ** 0.23 + z[1] ** 0.23) / SCREENING_LENGTH
    inner, outer = bond.cutoff - bond.dcut, bond.cutoff

    def bare(x: Float) -> tuple[Float, Float, Float]:
        """phi(x)/x and two derivatives."""
        terms = [(a * np.exp(-b * rate * x), b * rate) for a, b in SCREENING]
        phi = sum(t for t, _ in terms)
        d1 = -sum(q * t for t, q in terms)
        d2 = sum(q * q * t for t, q in terms)
        return phi / x, d1 / x - phi / x**2, d2 / x - 2 * d1 / x**2 + 2 * phi / x**3

    # S: constant within `inner`, quartic beyond; value, slope and curvature vanish at `outer`.
    e, de, dde = (float(y) for y in bare(np.array(outer)))
    w = outer - inner
    A, B, C = (-3 * de + w * dde) / w**2, (2 * de - w * dde) / w**3, -e + w * de / 2 - w**2 * dde / 12  # fmt: skip
    t = np.maximum(r - inner, 0.0)
    value, slope, _ = bare(r)
    value, slope = value + C + A / 3 * t**3 + B / 4 * t**4, slope + A * t**2 + B * t**3
    scale = bond.prehc * COULOMB / 2 * z[0] * z[1]
    p, dp = smooth_step(r, outer, bond.dcut)
    return scale * value * p, scale * (slope * p + value * dp)
