"""Coupling coefficients of real spherical harmonics, as MACE's convolutions have them."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["coupling"]

Array = NDArray[np.float64]


@cache
def coupling(l1: int, l2: int, l3: int) -> Array:
    """Invariant tensor of three real representations with l1 + l2 + l3 even, shape (2 l1+1, 2 l2+1, 2 l3+1).

    It is proportional to the integral of the product of three harmonics over the sphere, has norm 1, and its middle entry is positive.
    Components go from m = -l to l with y as the polar axis, as in e3nn (Geiger and Smidt, arXiv:2207.09453). The integral is a sum over
    points of a rule that is exact for polynomials of degree l1 + l2 + l3.
    """
    if (l1 + l2 + l3) % 2 or not abs(l1 - l2) <= l3 <= l1 + l2:
        raise ValueError(f"l1, l2, l3: {l1}, {l2}, {l3}; expected a triangle with an even sum")
    degree = l1 + l2 + l3
    cosines, weights = np.polynomial.legendre.leggauss(degree // 2 + 1)
    n = degree + 1
    phi = 2.0 * np.pi * np.arange(n) / n
    y1, y2, y3 = (_harmonics(ell, cosines, phi) for ell in (l1, l2, l3))
    out: Array = np.einsum("atp,btp,ctp,t->abc", y1, y2, y3, weights, optimize=True)
    out /= np.linalg.norm(out)
    out[np.abs(out) < 1e-12] = 0.0
    return out if out[l1, l2, l3] > 0.0 else -out


def _harmonics(ell: int, cosines: Array, phi: Array) -> Array:
    """Real harmonics (m, angle to the axis, angle around it) without a common factor, no Condon-Shortley sign."""
    out = np.empty((2 * ell + 1, len(cosines), len(phi)))
    sines = np.sqrt(1.0 - cosines**2)
    for m in range(ell + 1):
        # (-1)^m P_l^m without its sign: derivatives of the Legendre polynomial.
        p = np.polynomial.legendre.Legendre.basis(ell).deriv(m)(cosines) * sines**m
        p *= math.sqrt((2.0 if m else 1.0) * math.factorial(ell - m) / math.factorial(ell + m))
        out[ell + m] = p[:, None] * np.cos(m * phi)
        if m:
            out[ell - m] = p[:, None] * np.sin(m * phi)
    return out
