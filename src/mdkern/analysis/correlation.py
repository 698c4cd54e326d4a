"""How long a series remembers itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["correlation_time"]

Float = NDArray[np.float64]


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
