"""What simulations are judged by: radial distribution, diffusion, energy drift with its error, shells of distances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdkern.fluxes import Fluxes, heat_flux

if TYPE_CHECKING:
    from ase import Atoms

__all__ = [
    "Diffusion",
    "Drift",
    "Fluxes",
    "correlation_time",
    "diffusion",
    "distance_shells",
    "energy_drift",
    "heat_flux",
    "mean_square_displacement",
    "radial_distribution",
    "without_drift",
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


def without_drift(positions: ArrayLike, masses: ArrayLike) -> Float:
    """Positions relative to the centre of mass, whose own motion is no diffusion.

    Parameters
    ----------
    positions : (n_times, n_atoms, 3) array
        Unwrapped, of all atoms that move freely; with fixed atoms there is nothing to remove.
    masses : (n_atoms,) array
    """
    r, m = np.asarray(positions, dtype=np.float64), np.asarray(masses, dtype=np.float64)
    out: Float = r - np.einsum("tac,a->tc", r, m / m.sum())[:, None]
    return out


def _square_displacements(positions: ArrayLike) -> Iterator[Float]:
    """Mean over the origins of time, (n_times, some atoms, 3) at once: its memory is bounded."""
    given = np.asarray(positions, dtype=np.float64)
    n, n_atoms = given.shape[:2]
    lags = np.arange(n)
    some = max(1, _NUMBERS // (3 * n))
    for first in range(0, n_atoms, some):
        r = given[:, first : first + some]
        r = r - r[0]  # digits are lost far from the origin
        spectrum = np.fft.rfft(r, 2 * n, axis=0)
        products = np.fft.irfft(np.abs(spectrum) ** 2, 2 * n, axis=0)[:n]
        total = np.cumsum(r**2, axis=0)
        # Squares of all starts and ends that a lag has.
        ends = total[-1] - np.concatenate([np.zeros_like(r[:1]), total[:-1]])
        starts = total[::-1]
        out = (starts + ends - 2.0 * products) / (n - lags)[:, None, None]
        yield np.maximum(out, 0.0)


_NUMBERS = 2_000_000  # of one array while displacements are computed


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

    Raises
    ------
    ValueError
        Another shape, or a position that is not finite.
    """
    r = _trajectory(positions)
    out: Float = sum(part.sum(axis=1) for part in _square_displacements(r)) / r.shape[1]
    return out


def _trajectory(positions: ArrayLike) -> Float:
    r = np.asarray(positions, dtype=np.float64)
    if r.ndim != 3 or r.shape[2] != 3 or 0 in r.shape:
        raise ValueError(
            f"positions: shape {r.shape}; expected (n_times, n_atoms, 3), none of them 0"
        )
    if not np.isfinite(r).all():
        raise ValueError("positions: not finite; expected finite numbers")
    return r


@dataclass(frozen=True)
class Diffusion:
    """What the mean square displacement M of some atoms says about their diffusion.

    Lengths in Angstrom, times in ps: D in Angstrom^2/ps (1e-4 cm^2/s).

    Attributes
    ----------
    kind : str
        "diffusive": M grows linearly, and only then there is a `value`. "none": M does not grow beyond its errors, or by
        little beside what it has grown at shorter lags (a solid). "subdiffusive", "superdiffusive": it grows more slowly, or
        faster, than linearly (atoms in cages; velocities that have not been forgotten yet). "short": fewer than 20 times.
    value, error : float or None
        D and its standard error.
    along : tuple of three floats or None
        D along x, y and z; `value` is their mean.
    bound : float or None
        Where M grows more slowly than linearly or not at all: D is below, at two standard errors.
    begin, end : float
        First and last lag of the straight line, ps.
    exponent, exponent_error : float or None
        Slope of log M against log lag from `begin` to `end`, and its standard error.
    displacement : float or None
        M at the last lag of the line.
    n_atoms : int
    """

    kind: str
    n_atoms: int
    value: float | None = None
    error: float | None = None
    along: tuple[float, float, float] | None = None
    bound: float | None = None
    begin: float | None = None
    end: float | None = None
    exponent: float | None = None
    exponent_error: float | None = None
    displacement: float | None = None


FEWEST_TIMES = 20


@dataclass(frozen=True)
class _Window:
    """Lags as parts of the whole time, and standard errors that N Brownian atoms have there, times sqrt(3 N).

    The relative error of the slope, and the errors of the exponent and of the curvature (see `diffusion`), depend on
    nothing else where there are many times: found by simulation.
    """

    begin: float
    end: float
    slope: float
    exponent: float
    curvature: float
    longest: float  # of M at half of the time, beside the line prolonged

    def lags(self, n: int) -> NDArray[np.int64]:
        """In intervals of n times."""
        return np.arange(max(1, round(self.begin * (n - 1))), round(self.end * (n - 1)) + 1)


# Short lags have more origins of time, hence the better statistics; long ones are needed where M is not linear before.
_WINDOWS = (
    _Window(0.02, 0.10, 0.47, 0.21, 0.54, 0.85),
    _Window(0.05, 0.25, 0.78, 0.36, 0.99, 0.61),
    _Window(0.10, 0.50, 1.24, 0.59, 1.73, 0.0),
)
_KNOWN_EXPONENT = 0.1  # error that the exponent may have where shorter lags were not linear
_SIGMAS = 3.0  # of statistical error that a deviation from a straight line must exceed
# Exponent of M just before the line, above which velocities are not forgotten there (two of free flight): between the
# flight and the turn of an atom in a crystal M is straight for a short while.
_BALLISTIC = 1.5


def diffusion(time: ArrayLike, positions: ArrayLike) -> Diffusion:
    r"""Diffusion coefficient by Einstein's relation, where the mean square displacement grows linearly.

    .. math:: M(\tau) = A + 6 D \tau

    A straight line from 1/50 to 1/10 of the whole time, or where M is not linear there, from 1/20 to 1/4 or 1/10 to 1/2.
    It only gives D where

    - the exponent :math:`d \ln M / d \ln \tau` is one within 0.15 or three standard errors, and so is (within 0.3)
      the one that follows from the slopes of both halves of the line, :math:`1 + \ln(s_2 / s_1) / \ln(\tau_2 / \tau_1)`,
      which an offset A does not change; or
    - the exponent is between 0.3 and one, as where atoms also vibrate, and the other one is known to be one within 0.25;
    - the slope exceeds three standard errors, M does not come from free flight (exponent above 1.5) just before the line,
      and does not end below it, prolonged to a half of the whole time, by more than three standard errors (or 0.3).

    Standard errors come from the scatter between atoms (with fewer than eight, between their components), are at least
    those of as many independent random walks, and are larger by how much more the slope scatters between ten parts of
    the time than if atoms moved independently.

    Parameters
    ----------
    time : (n_times,) array
        ps, at equal intervals.
    positions : (n_times, n_atoms, 3) array
        Angstrom, unwrapped, of the atoms of one kind, without the drift of the whole (`without_drift`).

    Returns
    -------
    Diffusion

    Raises
    ------
    ValueError
        Shapes that do not fit, numbers that are not finite, or times at unequal intervals.
    """
    r = _trajectory(positions)
    t = np.asarray(time, dtype=np.float64)
    n, n_atoms = r.shape[:2]
    if t.shape != (n,) or not np.isfinite(t).all():
        raise ValueError(f"time: shape {t.shape}; expected ({n},) finite numbers")
    if n < FEWEST_TIMES:
        return Diffusion("short", n_atoms)
    step = (t[-1] - t[0]) / (n - 1)
    if not step > 0.0 or np.abs(np.diff(t) - step).max() > 1e-3 * step:
        raise ValueError("time: expected equal intervals")
    m = np.concatenate([*_square_displacements(r)], axis=1)
    collective = _collective(r, m)
    found = None
    for window in _WINDOWS:
        lags = window.lags(n)
        if lags[0] < 2 and window is not _WINDOWS[-1]:
            continue  # one interval is no lag of a line
        # Beside the line: what comes before it, and the longest lag, up to which it has to go on.
        seen = np.concatenate([[max(1, lags[0] // 2)], lags, [(n - 1) // 2]])
        judged = _judge(window, step * seen, m[seen], collective)
        linear = judged.kind == "diffusive"
        if found and linear and (judged.exponent_error or 0.0) > _KNOWN_EXPONENT:
            continue  # what shorter lags have shown is not undone by lags that show too little
        found = judged
        if linear:
            break
    assert found is not None  # the last window is always looked at
    return found


_PARTS = 10  # of the origins of time
_OVERLAP = 1.25  # variance of a mean over neighboring parts, which are correlated, beside that of independent parts


def _collective(r: Float, m: Float) -> float:
    """By what factor the errors of independent atoms are too small, at least one.

    Atoms of a liquid drag each other along, slow and fast regions live for a while, and conditions may change: found
    from how the slope of the mean square displacement scatters between parts of the time, beside how those of single
    atoms do. Positions r (times, atoms, 3) and their square displacements m (lags, atoms, 3).
    """
    window, n_atoms = _WINDOWS[0], r.shape[1]
    every = window.lags(len(r))
    lags = np.unique(np.linspace(every[0], max(every[-1], every[0] + 1), 8).astype(int))
    weights, origins = _line(lags.astype(np.float64)), len(r) - lags[-1]
    series = np.zeros(origins)
    for weight, lag in zip(weights, lags, strict=True):
        moved = r[lag : lag + origins] - r[:origins]
        series += weight * np.einsum("tac,tac->t", moved, moved) / n_atoms
    parts = np.array([part.mean() for part in np.array_split(series, _PARTS)])
    slopes = weights @ m[lags].sum(axis=2)
    independent = (window.slope * slopes.mean()) ** 2 / 3.0
    if n_atoms >= 3:
        independent = max(independent, float(slopes.var(ddof=1)))
    found = _OVERLAP * float(parts.var(ddof=1)) / _PARTS
    return max(1.0, float(np.sqrt(found * n_atoms / independent))) if independent > 0.0 else 1.0


def _line(x: Float) -> Float:
    """Weights of values at x that give the slope of their line of least squares."""
    centred = x - x.mean()
    out: Float = centred / (centred @ centred)
    return out


def _judge(window: _Window, seen: Float, square: Float, collective: float) -> Diffusion:
    """From square displacements (lags, atoms, 3): of a lag before the line, those of the line, and the longest.

    Errors of independent atoms are multiplied by `collective`.
    """
    tau, part = seen[1:-1], square[1:-1]
    n_atoms = part.shape[1]
    # Few atoms: their components are the samples of the scatter.
    samples = part.sum(axis=2) if n_atoms >= 8 else 3.0 * part.reshape(len(part), -1)
    brownian = float(np.sqrt(3 * n_atoms))
    mean = samples.mean(axis=1)
    known: dict[str, Any] = {
        "n_atoms": n_atoms,
        "begin": float(tau[0]),
        "end": float(tau[-1]),
        "displacement": float(mean[-1]),
    }
    if not mean.min() > 0.0:
        return Diffusion("none", bound=0.0, **known)

    def error_of(values: Float, least: float) -> float:
        """Standard error of the mean over samples, at least that of random walks."""
        m = len(values)
        found = float(values.std(ddof=1)) / m**0.5 if n_atoms >= 3 else 0.0
        return collective * max(found, least / brownian)

    weights = _line(tau)
    slopes = weights @ samples
    slope = float(slopes.mean())
    error = error_of(slopes, window.slope * abs(slope))
    relative = samples / mean[:, None]
    logarithmic = _line(np.log(tau))
    exponent = float(logarithmic @ np.log(mean))
    exponent_error = error_of(logarithmic @ relative, window.exponent)
    known.update(exponent=exponent, exponent_error=exponent_error)
    # The exponent again, from the slopes of both halves: infinite where one does not grow.
    middle = 0.5 * (tau[0] + tau[-1])
    halves = [np.flatnonzero(tau <= middle), np.flatnonzero(tau >= middle)]
    grown = [_line(tau[half]) @ samples[half] for half in halves]
    rates = [float(g.mean()) for g in grown]
    apart = float(np.log(tau[halves[1]].mean() / tau[halves[0]].mean()))
    curved, curved_error = -np.inf if rates[1] <= rates[0] else np.inf, 0.0
    if min(rates) > 0.0:
        curved = 1.0 + float(np.log(rates[1] / rates[0])) / apart
        of_samples = (grown[1] / rates[1] - grown[0] / rates[0]) / apart
        curved_error = error_of(of_samples, window.curvature)
    bound = (max(slope, 0.0) + 2.0 * error) / 6.0
    significant = slope > _SIGMAS * error
    tolerance = max(0.15, _SIGMAS * exponent_error)
    before, after = (float(square[k].sum(axis=1).mean()) for k in (0, -1))
    arrived = (
        float(np.log(mean[0] / before) / np.log(tau[0] / seen[0])) if tau[0] > seen[0] else 1.0
    )
    if exponent > 1.0 + tolerance:
        return Diffusion("superdiffusive", **known)
    if not significant or exponent < min(0.3, 1.0 - tolerance):
        return Diffusion("none", bound=bound, **known)
    straight = abs(curved - 1.0) <= max(0.3, _SIGMAS * curved_error)
    if exponent < 1.0 - tolerance:
        straight = abs(curved - 1.0) <= 0.25 and curved_error <= 0.125
    elif (not straight and curved > 1.0) or arrived > _BALLISTIC:
        return Diffusion("superdiffusive", **known)
    goes_on = after / (float(mean.mean()) + slope * (seen[-1] - float(tau.mean()))) - 1.0
    if not straight or goes_on < -max(0.3, _SIGMAS * collective * window.longest / brownian):
        return Diffusion("subdiffusive", bound=bound, **known)
    x, y, z = (weights @ part.mean(axis=1) / 2.0).tolist()
    return Diffusion("diffusive", value=slope / 6.0, error=error / 6.0, along=(x, y, z), **known)


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
