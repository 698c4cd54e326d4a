"""What MACE takes of pairs, in plain NumPy: harmonics, radial functions, repulsion; each with its derivative."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from math import factorial, sqrt
from typing import Any

import numpy as np
from numpy.polynomial import Legendre, Polynomial
from numpy.typing import NDArray

from mdkern.io.mace import MaceModel
from mdkern.reference.pairs import Float, Int, PairList

__all__ = ["Pairs", "add_at", "apply_mlp", "back_mlp", "harmonics", "sigmoid", "silu", "zbl"]

MOST_PAIRS = 512  # worked on at a time
BOHR = 0.529  # Angstrom, as the models have it


# --- functions of numbers -------------------------------------------------------------------------


def sigmoid(x: Float) -> Float:
    """1 / (1 + exp(-x)), in a form that has no overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def silu(x: Float) -> tuple[Float, Float]:
    """x sigmoid(x) and its derivative."""
    s = sigmoid(x)
    return x * s, s * (1.0 + x * (1.0 - s))


def envelope(r: Float, end: Float | float, p: int) -> tuple[Float, Float]:
    """f(r), 1 at 0 and 0 from `end` on with p - 1 derivatives, and df/dr."""
    t = r / end
    f = (
        1
        - (p + 1) * (p + 2) / 2 * t**p
        + p * (p + 2) * t ** (p + 1)
        - p * (p + 1) / 2 * t ** (p + 2)
    )
    slope = -p * (p + 1) * (p + 2) / 2 * t ** (p - 1) * (1 - t) ** 2
    return np.where(t < 1, f, 0.0), np.where(t < 1, slope / end, 0.0)


def harmonics(u: Float, l_max: int) -> tuple[Float, Float]:
    """Y (n, (l_max + 1)^2) of unit vectors (n, 3), and dY/du (n, (l_max + 1)^2, 3) of their polynomial continuation.

    Real, sum_m Y_lm^2 = 2l + 1, y is the polar axis: with (X, Y, Z) = (z, x, y), Y_lm = N Q(Z) Re (X + iY)^m, for m < 0 Im (X + iY)^|m|, where Q is the |m|-th
    derivative of Legendre's polynomial.
    """
    Z, w = u[:, 1], u[:, 2] + 1j * u[:, 0]
    powers = [np.ones_like(w)]
    for _ in range(l_max):
        powers.append(powers[-1] * w)
    Y = np.empty((len(u), (l_max + 1) ** 2))
    dY = np.empty((*Y.shape, 3))
    for l in range(l_max + 1):
        for m in range(-l, l + 1):
            a, at = abs(m), l * l + l + m
            Q, dQ = (np.polyval(c, Z) for c in _legendre(l, a))
            part = np.imag if m < 0 else np.real
            Y[:, at] = Q * part(powers[a])
            dY[:, at, 1] = dQ * part(powers[a])
            dw = a * powers[a - 1] if a else np.zeros_like(w)
            dY[:, at, 2] = Q * part(dw)
            dY[:, at, 0] = Q * part(1j * dw)
    return Y, dY


@cache
def _legendre(l: int, a: int) -> tuple[Float, Float]:
    """Coefficients of N Q and its derivative, the highest power first."""
    norm = sqrt((2 * l + 1) * (2 if a else 1) * factorial(l - a) / factorial(l + a))
    Q = norm * Legendre.basis(l).convert(kind=Polynomial).deriv(a)
    return Q.coef[::-1], Q.deriv().coef[::-1]


def apply_mlp(arrays: dict[str, NDArray[Any]], name: str, x: Float) -> tuple[Float, list[Any]]:
    """A net with silu between its layers, after a layer norm where it has one; and what :func:`back_mlp` needs."""
    n_layers = sum(f"{name}.W{k}" in arrays for k in range(32))
    tape: list[Any] = []
    for k in range(n_layers):
        x = x @ arrays[f"{name}.W{k}"]
        if f"{name}.b{k}" in arrays:
            x += arrays[f"{name}.b{k}"]
        if k == n_layers - 1:
            break
        normed = width = None
        if f"{name}.g{k}" in arrays:
            x = x - x.mean(axis=1, keepdims=True)
            width = np.sqrt(np.mean(x * x, axis=1, keepdims=True) + 1e-5)
            normed = x / width
            x = normed * arrays[f"{name}.g{k}"] + arrays[f"{name}.h{k}"]
        x, slope = silu(x)
        tape.append((slope, normed, width))
    return x, tape


def back_mlp(arrays: dict[str, NDArray[Any]], name: str, tape: list[Any], g: Float) -> Float:
    """The gradient by the input, from that by the output."""
    for k in range(len(tape), -1, -1):
        if k < len(tape):
            slope, normed, width = tape[k]
            g = g * slope
            if normed is not None:
                g = g * arrays[f"{name}.g{k}"]
                g = g - g.mean(axis=1, keepdims=True) - normed * np.mean(g * normed, axis=1, keepdims=True)  # fmt: skip
                g /= width
        g = g @ arrays[f"{name}.W{k}"].T
    return g


def add_at(to: Float, rows: Int, values: Float) -> None:
    """to[rows[p]] += values[p], for rows that may be there several times."""
    if len(rows) == 0:
        return
    if (rows[1:] < rows[:-1]).any():
        order = np.argsort(rows, kind="stable")
        rows, values = rows[order], values[order]
    first = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])
    to[rows[first]] += np.add.reduceat(values, first, axis=0)


# --- pairs ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pairs:
    """Some pairs, in the order of their centres i: neighbors j, species a of i and b of j, vectors D from i to j, distances r."""

    model: MaceModel
    i: Int
    j: Int
    a: Int
    b: Int
    D: Float
    r: Float

    @classmethod
    def of(cls, model: MaceModel, pairs: PairList) -> Pairs:
        some = cls(model, pairs.i, pairs.j, pairs.a, pairs.b, pairs.D, pairs.r)
        return some.select(np.argsort(pairs.i, kind="stable"))

    def select(self, at: slice | Int) -> Pairs:
        return Pairs(
            self.model, self.i[at], self.j[at], self.a[at], self.b[at], self.D[at], self.r[at]
        )

    def parts(self) -> Iterator[tuple[slice, Pairs]]:
        """These pairs, some at a time, so that what is made of each takes bounded memory."""
        for begin in range(0, len(self.i), MOST_PAIRS):
            at = slice(begin, begin + MOST_PAIRS)
            yield at, self.select(at)

    @cached_property
    def direction(self) -> Float:
        """Unit vectors from the neighbor to the centre."""
        return -self.D / self.r[:, None]

    @cached_property
    def harmonics(self) -> tuple[Float, Float]:
        return harmonics(self.direction, self.model.meta["max_ell"])

    @cached_property
    def cutoff(self) -> tuple[Float, Float]:
        radial = self.model.meta["radial"]
        return envelope(self.r, radial["r_max"], radial["p"])

    @cached_property
    def basis(self) -> tuple[Float, Float]:
        """What enters the radial nets, (n, num_basis), and its derivative by r."""
        radial, arrays = self.model.meta["radial"], self.model.arrays
        x, dx = self._transformed()
        x, dx = x[:, None], dx[:, None]
        if radial["type"] == "bessel":
            w, c = arrays["radial.freq"], arrays["radial.prefactor"]
            b = c * np.sin(w * x) / x
            db = (c * w * np.cos(w * x) - b) / x
        elif radial["type"] == "gaussian":
            b = np.exp(radial["coeff"] * (x - arrays["radial.centers"]) ** 2)
            db = 2.0 * radial["coeff"] * (x - arrays["radial.centers"]) * b
        else:  # T_n and T_n' = n U_(n-1)
            T, U = [np.ones_like(x), x], [np.ones_like(x), 2.0 * x]
            for _ in range(radial["num_basis"] - 1):
                T.append(2.0 * x * T[-1] - T[-2])
                U.append(2.0 * x * U[-1] - U[-2])
            orders = range(1, radial["num_basis"] + 1)
            b = np.hstack([T[n] for n in orders])
            db = np.hstack([n * U[n - 1] for n in orders])
        db = db * dx
        if radial["apply_cutoff"]:
            f, df = (v[:, None] for v in self.cutoff)
            b, db = b * f, db * f + b * df
        return b, db

    def _transformed(self) -> tuple[Float, Float]:
        """x(r) and dx/dr."""
        radial, r = self.model.meta["radial"], self.r
        if radial["transform"] == "none":
            return r, np.ones_like(r)
        radii = self.model.arrays["radial.covalent_radii"]
        both = radii[self.a] + radii[self.b]
        if radial["transform"] == "agnesi":
            a, q, p = (radial["agnesi"][k] for k in "aqp")
            v = 2.0 * r / both
            w = a * v**q / (1.0 + v ** (q - p))
            x = 1.0 / (1.0 + w)
            dw = w / v * (q - (q - p) * v ** (q - p) / (1.0 + v ** (q - p)))
            return x, -x * x * dw * 2.0 / both
        p0, p1 = 0.75 * both, 4.0 / 3.0 * both
        steep = radial["soft"]["alpha"] / (p1 - p0)
        t = np.tanh(steep * (r - 0.5 * (p0 + p1)))
        return p0 + (r - p0) * (1 + t) / 2, (1 + t) / 2 + (r - p0) * steep * (1 - t * t) / 2

    def pull(self, by_r: Float, by_Y: Float) -> Float:
        """dE/dD (n, 3), from dE/dr (n,) and dE/dY."""
        u = self.direction
        g = np.einsum("pm,pmc->pc", by_Y, self.harmonics[1])
        g = (g - u * np.einsum("pc,pc->p", g, u)[:, None]) / self.r[:, None]
        pull: Float = -(g + by_r[:, None] * u)
        return pull


def zbl(pairs: Pairs) -> tuple[Float, Float]:
    """The repulsion of each pair, of which an atom has half, and its derivative by r."""
    z, arrays = pairs.model.meta["zbl"], pairs.model.arrays
    Za, Zb = (arrays["atomic_numbers"][kind].astype(float) for kind in (pairs.a, pairs.b))
    radii = arrays["zbl.covalent_radii"]
    a = z["a_prefactor"] * BOHR / (Za ** z["a_exp"] + Zb ** z["a_exp"])
    terms = np.asarray(z["c"]) * np.exp(np.outer(pairs.r / a, (-3.2, -0.9423, -0.4028, -0.2016)))
    phi, d_phi = terms.sum(axis=1), terms @ (-3.2, -0.9423, -0.4028, -0.2016) / a
    f, df = envelope(pairs.r, radii[pairs.a] + radii[pairs.b], z["p"])
    v = 14.3996 * Za * Zb / pairs.r
    return v * phi * f, v * (d_phi * f + phi * df - phi * f / pairs.r)
