"""What simulations are judged by: radial distribution, energy drift with its error, shells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from ase import Atoms

__all__ = [
    "Diffusion",
    "Drift",
    "correlation_time",
    "diffusion",
    "distance_shells",
    "energy_drift",
    "mean_square_displacement",
    "radial_distribution",
]

Float = NDArray[np.float64]

MAX_PAIRS = 2e7  # of one frame: bounds the memory of a radial distribution


@dataclass(frozen=True)
class Drift:
    """Straight line through an energy; the unit of `slope` is that of energy / time."""

    slope: float
    error: float
    """Standard error of the slope, with the correlation of successive samples."""
    offset: float
    """Value of the line at time zero."""
    rms: float
    """Root mean square of the samples about the line."""


def energy_drift(time: ArrayLike, energy: ArrayLike) -> Drift | None:
    r"""Least-squares line through a time series, with an honest error of its slope.

    .. math:: \sigma_b^2 = \frac{g}{n - 2} \frac{\sum_k (y_k - a - b t_k)^2}{\sum_k (t_k - \bar t)^2}

    where g is the statistical inefficiency of the residuals: with correlated samples the usual
    error (g = 1) is too small.

    Parameters
    ----------
    time, energy : (n,) arrays

    Returns
    -------
    Drift or None
        None for fewer than four samples: two parameters and their error need more.
    """
    t, y = np.asarray(time, dtype=np.float64), np.asarray(energy, dtype=np.float64)
    if len(t) < 4 or np.ptp(t) == 0.0:
        return None
    centred, mean = t - t.mean(), y.mean()
    square = float(centred @ centred)
    slope = float(centred @ (y - mean)) / square
    residual = y - mean - slope * centred
    total = float(residual @ residual)
    inefficiency = correlation_time(residual)
    error = float(np.sqrt(inefficiency * total / (len(t) - 2) / square))
    return Drift(slope, error, float(mean - slope * t.mean()), float(np.sqrt(total / len(t))))


def correlation_time(x: ArrayLike) -> float:
    r"""Statistical inefficiency :math:`1 + 2 \sum_k (1 - k/n) \rho_k` of a series, at least one.

    The sum ends at the first negative correlation, beyond which the estimate is noise.
    """
    values = np.asarray(x, dtype=np.float64)
    n = len(values)
    values = values - values.mean() if n else values
    variance = float(values @ values)
    if n < 2 or variance == 0.0:
        return 1.0
    spectrum = np.fft.rfft(values, 2 * n)
    rho = np.fft.irfft(np.abs(spectrum) ** 2, 2 * n)[:n] / variance  # has the factor 1 - k/n
    negative = np.flatnonzero(rho < 0.0)
    end = int(negative[0]) if len(negative) else n
    return max(1.0, 1.0 + 2.0 * float(rho[1:end].sum()))


def radial_distribution(
    frames: Sequence[Atoms], r_max: float | None = None, bins: int = 200
) -> tuple[Float, Float]:
    r"""Radial distribution function g(r) of periodic structures, averaged over frames.

    .. math:: g(r) = \frac{V}{N^2} \left\langle \sum_{i \ne j} \frac{\delta(r - r_{ij})}{4 \pi r^2} \right\rangle

    Parameters
    ----------
    frames : sequence of Atoms
        With cells of rank 3, each with at least one atom.
    r_max : float, optional
        Angstrom; by default 3.6 times the cube root of the volume per atom. Smaller for very large systems, whose pairs
        up to there would not fit.
    bins : int

    Returns
    -------
    r, g : (bins,) arrays
        Centres of the bins in Angstrom, and g.
    """
    from mdkern.neighbors import neighbor_list

    n = max(len(atoms) for atoms in frames)
    volume = min(float(atoms.cell.volume) / len(atoms) for atoms in frames)
    if r_max is None:
        r_max = 3.6 * volume ** (1 / 3)
    r_max = min(r_max, (MAX_PAIRS / n * volume * 3 / (4 * np.pi)) ** (1 / 3))
    edges = np.linspace(0.0, r_max, bins + 1)
    g = np.zeros(bins)
    for atoms in frames:
        counts = np.histogram(neighbor_list("d", atoms, r_max), edges)[0]
        g += counts * atoms.cell.volume / len(atoms) ** 2
    shell = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    return 0.5 * (edges[1:] + edges[:-1]), g / shell / len(frames)


def mean_square_displacement(positions: ArrayLike) -> Float:
    r"""Mean square displacement against the lag, over all atoms and origins of time, and its three components.

    .. math:: M(\tau) = \langle |r_i(t + \tau) - r_i(t)|^2 \rangle_{i, t}

    by Fourier transforms of the positions (V. Calandrini and others, Collection SFN 12, 201, 2011).

    Parameters
    ----------
    positions : (n_times, n_atoms, 3) array
        Unwrapped, at equal intervals of time.

    Returns
    -------
    (n_times, 3) array
        Along x, y and z; their sum is the whole.
    """
    r = np.asarray(positions, dtype=np.float64)
    n = len(r)
    r = r - r[0]  # digits are lost far from the origin
    square = (r**2).sum(axis=1)
    spectrum = np.fft.rfft(r, 2 * n, axis=0)
    products = np.fft.irfft((np.abs(spectrum) ** 2).sum(axis=1), 2 * n, axis=0)[:n]
    total = np.cumsum(square, axis=0)
    # Squares of all starts and ends that a lag has.
    lags = np.arange(n)
    ends = total[-1] - np.where(lags[:, None] > 0, total[np.maximum(lags - 1, 0)], 0.0)
    starts = total[n - 1 - lags]
    out: Float = (starts + ends - 2.0 * products) / ((n - lags)[:, None] * r.shape[1])
    return np.maximum(out, 0.0)


@dataclass(frozen=True)
class Diffusion:
    """Diffusion coefficient in Angstrom^2/ps (1e-4 cm^2/s) and its standard error."""

    value: float
    error: float
    begin: float
    """First and last lag of the fit, ps."""
    end: float


def diffusion(time: ArrayLike, msd: ArrayLike) -> Diffusion | None:
    r"""Einstein's relation :math:`M = 6 D \tau`, a line fitted from a tenth to a half of the longest lag.

    The error is that of the mean of the three directions.

    Parameters
    ----------
    time : (n,) array
        Lags in ps.
    msd : (n, 3) array
        Components of the mean square displacement, Angstrom^2.
    """
    t, m = np.asarray(time, dtype=np.float64), np.asarray(msd, dtype=np.float64)
    part = slice(max(1, len(t) // 10), len(t) // 2 + 1)
    if len(t[part]) < 4:
        return None
    along = np.array([np.polyfit(t[part], m[part, c], 1)[0] for c in range(3)]) / 2.0
    error = float(along.std(ddof=1) / np.sqrt(3))
    return Diffusion(float(along.mean()), error, float(t[part][0]), float(t[part][-1]))


def distance_shells(distances: ArrayLike, n_atoms: int, gap: float) -> list[dict[str, Any]]:
    """Groups of distances that lie closer to each other than `gap` (Angstrom).

    Parameters
    ----------
    distances : (m,) array
        Of pairs counted in both directions.
    n_atoms : int
    gap : float

    Returns
    -------
    list of dict
        ``mean``, ``min``, ``max`` (Angstrom) and ``per_atom``, nearest first.
    """
    d = np.sort(np.asarray(distances, dtype=np.float64))
    if len(d) == 0:
        return []
    starts = np.concatenate([[0], np.flatnonzero(np.diff(d) > gap) + 1, [len(d)]])
    return [
        {
            "mean": float(d[a:b].mean()),
            "min": float(d[a]),
            "max": float(d[b - 1]),
            "per_atom": (b - a) / n_atoms,
        }
        for a, b in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    ]
