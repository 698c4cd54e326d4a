"""Drift of an energy, with its error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mdkern import checks
from mdkern.analysis.correlation import correlation_time

__all__ = ["Drift", "energy_drift"]


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
        In any units; the slope has that of energy / time.

    Returns
    -------
    Drift or None
        None for fewer than four samples: two parameters and their error need more.

    Raises
    ------
    ValueError
        Shapes that do not fit, or numbers that are not finite.
    """
    t = checks.finite("time", checks.numbers("time", time))
    y = checks.finite("energy", checks.numbers("energy", energy))
    for name, x in (("time", t), ("energy", y)):
        if x.ndim != 1 or x.shape != t.shape:
            raise ValueError(f"{name}: shape {x.shape}; expected (n,), as many energies as times")
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
