r"""Built-in EAM of sixteen metals and their alloys, as closed formulas.

X. W. Zhou, R. A. Johnson, H. N. G. Wadley, Phys. Rev. B 69, 144113 (2004). With
:math:`x = r / r_e` and the parameters of one element,

.. math::

    \phi(r) &= \frac{A e^{-\alpha (x - 1)}}{1 + (x - \kappa)^{20}}
             - \frac{B e^{-\beta (x - 1)}}{1 + (x - \lambda)^{20}}, \qquad
    f(r) = \frac{f_e e^{-\beta_1 (x - 1)}}{1 + (x - \lambda_1)^{20}} \\
    \phi_{ab} &= \tfrac12 \left( \frac{f_b}{f_a} \phi_{aa} + \frac{f_a}{f_b} \phi_{bb} \right)

and F(rho) in three pieces, see `embedding_function`. Units: eV, Angstrom; rho has the unit of f.

**Cutoff.** The paper gives none. Tables in use stop at :math:`\sqrt{10}/2` times the largest fcc
lattice constant :math:`\sqrt2 r_e`, where phi still jumps, by up to 0.03 meV (Zr). Here every pair
function is multiplied once by :math:`S(x) = 1 - 10x^3 + 15x^4 - 6x^5` with
:math:`x = (r - r_c)/w + 1` over the last w = 0.5 Angstrom, so energy, forces and their derivatives
are continuous. Unlike pairs use the ratio f_b/f_a of the bare densities (the ratio of switched
ones is 0/0 at the cutoff) and the bare phi_aa, phi_bb; then phi_ab is switched, once.

**Short distances.** The formulas are used as they stand down to r = 0: all are finite there, and
phi is positive and falls monotonically at short range. They were fitted near equilibrium and
mean little below about 0.7 r_e.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdkern import checks

__all__ = [
    "DEFAULT_CELLS",
    "SWITCH_WIDTH",
    "ZhouTables",
    "default_cutoff",
    "density_function",
    "embedding_function",
    "embedding_parameters",
    "pair_function",
    "switch_function",
    "switched_functions",
    "tabulate",
    "zhou2004_parameters",
]

SWITCH_WIDTH = 0.5  # Angstrom
# Derivatives of the tables agree with the formulas to 1e-10 of their maximum over r >= 0.7 r_e
# for every pair of the sixteen elements (tests/test_reference.py).
DEFAULT_CELLS = 10000

Array = NDArray[np.float64]

_EMBEDDING_COLUMNS = (
    "rho_n", "rho_e", "rho_o", "rho_s", "Fn0", "Fn1", "Fn2", "Fn3",
    "F0", "F1", "F2", "F3_minus", "F3_plus", "Fe", "eta",
)  # fmt: skip


@cache
def _load() -> dict[str, Any]:
    text = files("mdkern.potentials").joinpath("zhou2004.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def zhou2004_parameters() -> dict[str, dict[str, float]]:
    """Published parameters per element (a copy); ``rho_n_factor`` is 0.85, for Pt 0.25."""
    return {symbol: dict(values) for symbol, values in _load()["parameters"].items()}


def _element(symbol: str) -> dict[str, float]:
    table: dict[str, dict[str, float]] = _load()["parameters"]
    if symbol not in table:
        raise ValueError(f"species: got {symbol!r}, expected one of {', '.join(table)}")
    return table[symbol]


def _decay(r: Array, re: float, factor: float, rate: float, centre: float) -> tuple[Array, Array]:
    """factor * exp(-rate (x - 1)) / (1 + (x - centre)^20) and its logarithmic derivative."""
    x = r / re
    power = (x - centre) ** 19
    damping = 1.0 + power * (x - centre)
    value = factor * np.exp(-rate * (x - 1.0)) / damping
    return value, -(rate + 20.0 * power / damping) / re


def density_function(symbol: str, r: ArrayLike) -> tuple[Array, Array]:
    """f(r) without switch, and f'(r) (per Angstrom)."""
    p = _element(symbol)
    r = np.asarray(r, dtype=np.float64)
    value, log_slope = _decay(r, p["re"], p["fe"], p["beta1"], p["lambda1"])
    return value, value * log_slope


def pair_function(a: str, b: str, r: ArrayLike) -> tuple[Array, Array]:
    """phi_ab(r) without switch (eV), and phi_ab'(r) (eV/Angstrom); symmetric in a and b."""
    r = np.asarray(r, dtype=np.float64)
    if a == b:
        p = _element(a)
        repulsion, slope_a = _decay(r, p["re"], p["A"], p["alpha"], p["kappa"])
        attraction, slope_b = _decay(r, p["re"], p["B"], p["beta"], p["lambda"])
        return repulsion - attraction, repulsion * slope_a - attraction * slope_b
    a, b = sorted((a, b))  # the same bits in either order
    f_a, df_a = density_function(a, r)
    f_b, df_b = density_function(b, r)
    phi_a, dphi_a = pair_function(a, a, r)
    phi_b, dphi_b = pair_function(b, b, r)
    ratio = f_b / f_a
    log_slope = df_b / f_b - df_a / f_a  # d ln(ratio) / dr
    value = 0.5 * (ratio * phi_a + phi_b / ratio)
    slope = 0.5 * (ratio * (dphi_a + log_slope * phi_a) + (dphi_b - log_slope * phi_b) / ratio)
    return value, slope


def embedding_function(symbol: str, rho: ArrayLike) -> tuple[Array, Array]:
    r"""F(rho) in eV and F'(rho).

    .. math::

        F = \begin{cases}
            \sum_k F_{nk} (\rho/\rho_n - 1)^k & \rho < \rho_n \\
            \sum_k F_k (\rho/\rho_e - 1)^k & \rho_n \le \rho < \rho_o \\
            F_e (1 - \eta \ln(\rho/\rho_s)) (\rho/\rho_s)^\eta & \rho_o \le \rho
        \end{cases}

    with F_3 = F3_minus below rho_e and F3_plus from there on.
    """
    (rho_n, rho_e, rho_o, rho_s, n0, n1, n2, n3, f0, f1, f2, f3m, f3p, fe, eta, _) = (
        embedding_parameters([symbol])[0].tolist()
    )
    rho = np.asarray(rho, dtype=np.float64)
    t = rho / rho_n - 1.0
    low = n0 + t * (n1 + t * (n2 + t * n3))
    d_low = (n1 + t * (2 * n2 + 3 * n3 * t)) / rho_n
    t = rho / rho_e - 1.0
    f3 = np.where(rho < rho_e, f3m, f3p)
    middle = f0 + t * (f1 + t * (f2 + t * f3))
    d_middle = (f1 + t * (2 * f2 + 3 * f3 * t)) / rho_e
    ratio = np.maximum(rho, rho_o) / rho_s  # the logarithm is only wanted from rho_o on
    high = fe * (1.0 - eta * np.log(ratio)) * ratio**eta
    d_high = -fe * eta**2 * np.log(ratio) * ratio ** (eta - 1.0) / rho_s
    pieces = [rho < rho_n, rho < rho_o]
    return np.select(pieces, [low, middle], high), np.select(pieces, [d_low, d_middle], d_high)


def embedding_parameters(species: Sequence[str]) -> Array:
    """Parameters of F for a kernel that evaluates it in closed form.

    Returns
    -------
    (ns, 16) array
        Columns ``rho_n rho_e rho_o rho_s Fn0 Fn1 Fn2 Fn3 F0 F1 F2 F3_minus F3_plus Fe eta 0``.
    """
    out = np.zeros((len(species), 16))
    for row, symbol in zip(out, species, strict=True):
        p = dict(_element(symbol))
        p["rho_n"] = p["rho_n_factor"] * p["rho_e"]
        p["rho_o"] = p["rho_o_factor"] * p["rho_e"]
        row[:15] = [p[name] for name in _EMBEDDING_COLUMNS]
    return out


def default_cutoff(species: Sequence[str]) -> float:
    """sqrt(10)/2 times the largest lattice constant sqrt(2) r_e (Angstrom)."""
    if not species:
        raise ValueError("species: got no element, expected at least one")
    return math.sqrt(5.0) * max(_element(symbol)["re"] for symbol in species)


def switch_function(r: ArrayLike, cutoff: float) -> tuple[Array, Array]:
    """S(r) and S'(r): one below ``cutoff - SWITCH_WIDTH``, zero from `cutoff` on."""
    # In u = 1 - x, so that the small values near the cutoff keep their relative accuracy.
    u = np.clip((cutoff - np.asarray(r, dtype=np.float64)) / SWITCH_WIDTH, 0.0, 1.0)
    return u**3 * (10.0 - u * (15.0 - 6.0 * u)), -30.0 * (u * (1.0 - u)) ** 2 / SWITCH_WIDTH


def switched_functions(a: str, b: str, r: ArrayLike, cutoff: float) -> tuple[Array, ...]:
    """f_a, f_a', phi_ab, phi_ab' with the switch applied: what the model uses."""
    s, ds = switch_function(r, cutoff)
    f, df = density_function(a, r)
    phi, dphi = pair_function(a, b, r)
    return f * s, df * s + f * ds, phi * s, dphi * s + phi * ds


@dataclass(frozen=True, slots=True)
class ZhouTables:
    """Piecewise cubic f and r*phi with the formulas' own slopes at the knots.

    Attributes
    ----------
    kind : "zhou2004"
    path : str
        Name for messages.
    species : tuple of str, length ns
    masses : (ns,) array
        amu
    cutoff : float
        Angstrom; all functions are zero from here on.
    dr : float
        Cell width; cell k spans ``[k * dr, (k + 1) * dr]``. One knot is where the switch begins;
        the last cell holds the cutoff and its cubic is valid up to there.
    density : (ns, ns, n_cell, 4) array
        ``[c3, c2, c1, c0]`` in the fraction of the cell; first axis the source, second the centre
        (the density depends on the source only).
    r_phi : (ns, ns, n_cell, 4) array
        Likewise for r * phi, symmetric.
    embedding : (ns, 16) array
        See `embedding_parameters`.
    """

    kind: Literal["zhou2004"]
    path: str
    species: tuple[str, ...]
    masses: Array
    cutoff: float
    dr: float
    density: Array
    r_phi: Array
    embedding: Array


def tabulate(
    species: Sequence[str], n_r: int = DEFAULT_CELLS, cutoff: float | None = None
) -> ZhouTables:
    """Tables of the switched functions on a uniform grid of `n_r` cells from r = 0.

    Parameters
    ----------
    species : sequence of str
        Different symbols out of `zhou2004_parameters`.
    n_r : int
        Cells wanted, at least 20; one or two fewer may come out. The default keeps f' and phi' within 1e-10 of their maximum in
        r >= 0.7 r_e.
    cutoff : float, optional
        Angstrom, above `SWITCH_WIDTH`; `default_cutoff` if not given.

    Raises
    ------
    ValueError
        Unknown or repeated elements, or a number out of range.
    """
    if len(set(species)) != len(species):
        raise ValueError(f"species: got {list(species)}, expected different elements")
    if n_r < 20:
        raise ValueError(f"n_r: got {n_r}, expected at least 20")
    masses = np.array([_element(symbol)["mass"] for symbol in species])
    cutoff = checked_cutoff(species, cutoff)
    ns = len(species)
    # The third derivative of S jumps where the switch begins and ends. A cubic across a jump
    # would lose two orders of accuracy, so these points are knots, the end by a shorter cell.
    onset = cutoff - SWITCH_WIDTH
    dr = onset / max(1, int(n_r * onset / cutoff))
    r = np.append(np.arange(math.ceil(cutoff / dr - 1e-6)) * dr, cutoff)
    density = np.empty((ns, ns, len(r) - 1, 4))
    r_phi = np.empty((ns, ns, len(r) - 1, 4))
    for k, a in enumerate(species):
        for m, b in enumerate(species):
            f, df, phi, dphi = switched_functions(a, b, r, cutoff)
            density[k, m] = _hermite(r, f, df, dr)
            if m <= k:
                r_phi[k, m] = r_phi[m, k] = _hermite(r, r * phi, phi + r * dphi, dr)
    return ZhouTables(
        kind="zhou2004",
        path="zhou2004",
        species=tuple(species),
        masses=masses,
        cutoff=cutoff,
        dr=dr,
        density=density,
        r_phi=r_phi,
        embedding=embedding_parameters(species),
    )


def checked_cutoff(species: Sequence[str], cutoff: float | None) -> float:
    """`cutoff` as a valid float, `default_cutoff` for None."""
    if cutoff is None:
        return default_cutoff(species)
    wanted = f"number above {SWITCH_WIDTH} Angstrom"
    return checks.number("cutoff", cutoff, wanted, above=SWITCH_WIDTH)


def _hermite(r: Array, y: Array, slope: Array, dr: float) -> Array:
    """[c3, c2, c1, c0] in units of `dr` for cells between the knots `r`, exact slopes at both."""
    width = np.diff(r)
    rise = np.diff(y) / width
    left, right = slope[:-1], slope[1:]
    c2 = (3.0 * rise - 2.0 * left - right) / width
    c3 = (left + right - 2.0 * rise) / width**2
    return np.stack([c3 * dr**3, c2 * dr**2, left * dr, y[:-1]], axis=-1)
