"""How long a series remembers itself: correlations by Fourier transforms."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdkern import checks

__all__ = ["autocorrelation", "correlation_sums", "correlation_time"]

Float = NDArray[np.float64]


def autocorrelation(
    x: ArrayLike, lags: int | None = None, *, centred: bool = True, normalized: bool = False
) -> Float:
    r"""Autocorrelation of a series with itself, for every lag, by Fourier transforms.

    .. math:: C_k = \frac{1}{n - k} \sum_{t=0}^{n-k-1} x_t x_{t+k}

    Each lag is divided by the products that it has. Those of the longest lags are few, and noise.

    Parameters
    ----------
    x : (n, ...) array
        Samples at equal intervals along the first axis; each column is correlated with itself.
    lags : int, optional
        The largest lag, in samples; by default n - 1.
    centred : bool
        Whether the mean over all samples is subtracted first.
    normalized : bool
        Whether each column is divided by its value at lag zero.

    Returns
    -------
    (lags + 1, ...) array

    Raises
    ------
    ValueError
        No samples, numbers that are not finite, or more lags than samples; with `normalized`, a constant column.
    """
    if checks.is_single(x):
        raise ValueError(f"x: {checks.shown(x)}; expected an array (n, ...)")
    values = checks.finite("x", checks.numbers("x", x))
    if values.size == 0:
        raise ValueError(f"x: shape {values.shape}; expected (n, ...), none of them 0")
    n = len(values)
    last = n - 1 if lags is None else checks.whole("lags", lags, 0, n - 1)
    if checks.flag("centred", centred):
        values = values - values.mean(axis=0)
    products = correlation_sums(values, last)
    counts = (n - np.arange(last + 1.0)).reshape(-1, *[1] * (values.ndim - 1))
    out: Float = products / counts
    if not checks.flag("normalized", normalized):
        return out
    # What the mean leaves of a constant is rounding.
    if not (out[0] > 1e-28 * np.square(checks.numbers("x", x)).max(axis=0)).all():
        raise ValueError("x: a constant column; expected columns that vary, as they are normalized")
    normal: Float = out / out[0]
    return normal


def correlation_sums(x: Float, last: int) -> Float:
    """Sums of x[t] x[t + k] over t, for k from 0 to `last`, along the first axis: (last + 1, ...)."""
    # Zeros behind the series, as many as there are lags: a transform knows no ends.
    size = _quick_size(len(x) + last)
    spectrum = np.fft.rfft(x, size, axis=0)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    out: Float = np.fft.irfft(power, size, axis=0)[: last + 1]
    return out


def _quick_size(least: int) -> int:
    """The smallest of 1, 3 and 5 times powers of two that is enough: transforms of primes are slow."""
    return min(odd << (-(-least // odd) - 1).bit_length() for odd in (1, 3, 5))


def correlation_time(x: ArrayLike) -> float:
    r"""Statistical inefficiency :math:`1 + 2 \sum_k (1 - k/n) \rho_k` of a series, at least one.

    The sum ends at the first negative correlation, beyond which the estimate is noise.

    Parameters
    ----------
    x : (n,) array
        Samples at equal intervals.

    Returns
    -------
    float
        In intervals: so many samples count as one that is independent.

    Raises
    ------
    ValueError
        Anything but a series of finite numbers.
    """
    values = checks.finite("x", checks.numbers("x", x))
    if values.ndim != 1:
        raise ValueError(f"x: shape {values.shape}; expected a series (n,)")
    n = len(values)
    values = values - values.mean() if n else values
    variance = float(values @ values)
    if n < 2 or variance == 0.0:
        return 1.0
    rho = correlation_sums(values, n - 1) / variance  # has the factor 1 - k/n
    negative = np.flatnonzero(rho < 0.0)
    end = int(negative[0]) if len(negative) else n
    return max(1.0, 1.0 + 2.0 * float(rho[1:end].sum()))
