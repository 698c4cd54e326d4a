"""Diffusion by Einstein's relation, where the mean square displacement is a straight line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdkern import checks
from mdkern.analysis.displacement import square_displacements, trajectory

__all__ = ["FEWEST_TIMES", "Diffusion", "diffusion"]

Float = NDArray[np.float64]


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
"""Times that :func:`diffusion` needs at least."""


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
    r = trajectory(positions)
    t = checks.finite("time", checks.numbers("time", time))
    n, n_atoms = r.shape[:2]
    if t.shape != (n,):
        raise ValueError(f"time: shape {t.shape}; expected ({n},)")
    if n < FEWEST_TIMES:
        return Diffusion("short", n_atoms)
    step = (t[-1] - t[0]) / (n - 1)
    if not step > 0.0 or np.abs(np.diff(t) - step).max() > 1e-3 * step:
        raise ValueError("time: expected equal intervals")
    m = np.concatenate([*square_displacements(r)], axis=1)
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
