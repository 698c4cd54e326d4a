"""Where the integral of a correlation function ends: the rule of :func:`mdkern.analysis.green_kubo`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["cumulative", "plateau"]

Float = NDArray[np.float64]

_SCALES = 7.0  # of the time that the correlation takes: exp(-7) of an exponential is left out
_SIGMAS = 2.0  # of the change beyond the window that a longer window must be taken for
_SIGMAS_GIVEN = 3.0  # the same where the user chose the window


def cumulative(y: Float, dt: float) -> Float:
    """Integral up to each sample along the last axis, by the trapezoidal rule."""
    out = np.zeros_like(y)
    np.cumsum(0.5 * dt * (y[..., 1:] + y[..., :-1]), axis=-1, out=out[..., 1:])
    return out


def _first_window(mean: Float, dt: float) -> int | None:
    """The smallest lag, in intervals, that is seven times all three times of a correlation function seen up to there."""
    rho = mean / mean[0]
    t = dt * np.arange(len(rho))
    whole, square, first = (cumulative(y, dt) for y in (rho, rho**2, rho * t))
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = np.where(whole != 0.0, np.abs(first / whole), np.inf)
    longest = np.maximum(np.maximum(whole, 2.0 * square), centre)
    found = np.flatnonzero(t[1:] >= _SCALES * longest[1:])
    return int(found[0]) + 1 if len(found) else None


def plateau(
    means: Float, mean: Float, dt: float, cutoff: float | None
) -> tuple[int | None, float, bool]:
    """Where the integrals of blocks (blocks, lags) end, see :func:`green_kubo`.

    Returns the lag in intervals (None: there is none), by how much the integral changes until twice that, and whether it
    has come to rest.
    """

    def change(end: int) -> tuple[float, float]:
        moved = means[:, 2 * end] - means[:, end]
        return float(moved.mean()), float(moved.std(ddof=1)) / len(means) ** 0.5

    last = (means.shape[1] - 1) // 2
    if cutoff is not None:
        end = min(round(cutoff / dt), last)
        moved, error = change(end)
        return end, moved, abs(moved) <= _SIGMAS_GIVEN * error
    found = _first_window(mean, dt)
    while found is not None and found <= last:
        moved, error = change(found)
        if abs(moved) <= _SIGMAS * error:
            return found, moved, True
        found *= 2
    return None, 0.0, False
