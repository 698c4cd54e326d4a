r"""Radial functions of SOAP as piecewise polynomials, with a bound on their error.

F(r) of :mod:`mdkern.reference.soap` is analytic, so on each of many equal cells it is interpolated at the Chebyshev nodes.
Where :math:`|F| \le M` on the ellipse with foci at the ends of the cell and half axes
:math:`\tfrac h4 (\rho \pm \rho^{-1})`, the polynomial of degree d deviates by at most

.. math:: \frac{4 M \rho^{-d}}{\rho - 1}

(L. N. Trefethen, Approximation Theory and Approximation Practice, SIAM 2013, theorem 8.2). By the maximum principle M is
attained on the ellipse itself, where F is evaluated. The number of cells is raised until this bound, times
:math:`r^l`, is below `tolerance` of the largest :math:`|r^l F|`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

__all__ = ["COEFFICIENTS", "RadialTable", "tabulate"]

Float = NDArray[np.float64]
COEFFICIENTS = 8  # per cell, kSoapOrder in cpp/descriptors/soap.hpp
_HALF_AXES = (0.9, 1.4, 2.0)  # of the ellipses tried, in units of `width`
_POINTS = 16  # on half of an ellipse: |F| varies slowly there
_BLOCK = 512  # points at once


@dataclass(frozen=True, slots=True)
class RadialTable:
    """Coefficients (cells, l, COEFFICIENTS, n padded) of powers of u in [-1, 1], and the proven error.

    `bound` (l, n) is relative to the largest :math:`|r^l F_{nl}|` within the cutoff.
    """

    table: Float
    cutoff: float
    bound: Float


def tabulate(
    f: Callable[[Any], Any],
    cutoff: float,
    width: float,
    scale: Float,
    tolerance: float = 1e-12,
    most: int = 4096,
) -> RadialTable:
    """Table of ``scale[l] * f(r)`` on [0, cutoff] of at most so many cells; `width` is the length on which f changes.

    Raises
    ------
    ValueError
        No table of reasonable size keeps `tolerance`.
    """
    n_cells = max(4, int(np.ceil(cutoff / (0.2 * width))))
    while n_cells <= most:
        bound = _bound(f, cutoff, width, n_cells)
        if bound.max() <= tolerance:
            return RadialTable(_coefficients(f, cutoff, n_cells, scale), cutoff, bound)
        # It falls with about the 7.5th power of the width of the cells.
        factor = min(2.0, 1.02 * (bound.max() / tolerance) ** (1 / 7.5))
        n_cells = int(np.ceil(max(1.02, factor) * n_cells))
    msg = (
        f"sigma: {width}; too small beside the cutoff {cutoff:g} for tables of the radial functions"
    )
    raise ValueError(msg)


def _blocks(x: NDArray[Any], points: int) -> list[NDArray[Any]]:
    """Parts for which the values of f, at so many points for each, stay small in memory."""
    return np.array_split(x, -(-len(x) * points // _BLOCK))


def _bound(f: Callable[[Any], Any], cutoff: float, width: float, n_cells: int) -> Float:
    h = cutoff / n_cells
    edges = h * np.arange(n_cells + 1)
    with np.errstate(all="ignore"):
        real = np.concatenate([f(part) for part in _blocks(edges, 1)], axis=2)  # (l, n, edges)
    l = np.arange(len(real))[:, None, None]
    largest = np.abs(real * edges**l).max(axis=2, keepdims=True)
    best = np.full((*real.shape[:2], n_cells), np.inf)
    angle = np.pi * (np.arange(_POINTS) + 0.5) / _POINTS
    for axis in _HALF_AXES:
        rho = 4.0 * axis * width / h
        w = rho * np.exp(1j * angle)
        ellipse = 0.25 * h * (w + 1.0 / w)  # the lower half has the conjugate values
        parts = []
        for middle in _blocks(edges[:-1] + 0.5 * h, _POINTS):
            points = middle[:, None] + ellipse
            # f is even: points left of zero have the value of their reflection.
            points = np.where(points.real < 0.0, -points, points)
            with np.errstate(all="ignore"):
                parts.append(np.abs(f(points)).max(axis=-1))
        m = np.concatenate(parts, axis=2)
        e = 4.0 * m * rho ** -(COEFFICIENTS - 1.0) / (rho - 1.0)
        best = np.fmin(best, np.where(np.isfinite(e), e, np.inf))
    bound: Float = (best * edges[1:] ** l / largest).max(axis=2)
    return bound


def _coefficients(f: Callable[[Any], Any], cutoff: float, n_cells: int, scale: Float) -> Float:
    k = COEFFICIENTS
    nodes = chebyshev.chebpts1(k)
    h = cutoff / n_cells
    r = h * (np.arange(n_cells)[:, None] + 0.5 * (nodes + 1.0))
    values = (
        np.concatenate([np.moveaxis(f(x), 2, 0) for x in _blocks(r, k)]) * scale[:, None, None]
    )  # (cells, l, n, k)
    t = chebyshev.chebvander(nodes, k - 1)
    c = np.einsum("clnk,kj->clnj", values, t) * (2.0 / k)
    c[..., 0] *= 0.5
    power = np.zeros((k, k))
    for j in range(k):
        power[j, : j + 1] = chebyshev.cheb2poly(np.eye(k)[j])[: j + 1]
    c = np.einsum("clnj,jp->clpn", c, power)
    room = np.zeros((*c.shape[:3], -(-c.shape[3] // 8) * 8))
    room[..., : c.shape[3]] = c
    return aligned(room)  # a vector of n is one cache line


def aligned(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """C-contiguous copy that begins at a cache line: rows of eight then never straddle two."""
    room = np.empty(x.size + 8)
    start = (-room.ctypes.data % 64) // 8
    out = room[start : start + x.size].reshape(x.shape)
    out[...] = x
    return out
