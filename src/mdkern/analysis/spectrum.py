"""Vibrational density of states from velocities."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdkern import checks
from mdkern.analysis.kubo import interval

__all__ = ["vibrational_density"]

Float = NDArray[np.float64]

_NUMBERS = 2_000_000  # of one array while velocities are transformed
_FEWEST = 8  # times in a block


def vibrational_density(
    velocities: ArrayLike,
    time: ArrayLike | float,
    masses: ArrayLike | None = None,
    *,
    blocks: int = 10,
) -> tuple[Float, Float, Float]:
    r"""Vibrational density of states: how the kinetic energy is spread over frequencies.

    .. math:: g(\nu) \propto \sum_i m_i \left| \int \mathbf v_i(t) w(t) e^{-2 \pi i \nu t} dt \right|^2,
        \qquad \int g \, d\nu = 1

    the Fourier transform of the velocity autocorrelation function, by blocks with Hann's window w (P. D. Welch, IEEE Trans. Audio
    Electroacoust. 15, 70 (1967)). Lines are as wide as two over the length of a block.

    Parameters
    ----------
    velocities : (n_times, n_atoms, 3) array
        In any unit.
    time : (n_times,) array, or float
        Times of the samples in ps, or their interval: half a period of the fastest vibration at most.
    masses : (n_atoms,) array, optional
        In any unit; by default all are equal.
    blocks : int
        At least 2. Fewer ones resolve more, and are less certain.

    Returns
    -------
    frequency, density, error : (k,) arrays
        THz, 1/THz, and the standard error of the density over the blocks.

    Raises
    ------
    ValueError
        Shapes that do not fit, numbers that are not finite, masses that are not positive, unequal intervals, fewer than 8 times in a
        block, or velocities that are all zero.
    """
    v = checks.finite("velocities", checks.numbers("velocities", velocities))
    if v.ndim != 3 or v.shape[2] != 3 or 0 in v.shape:
        raise ValueError(
            f"velocities: shape {v.shape}; expected (n_times, n_atoms, 3), none of them 0"
        )
    n_atoms = v.shape[1]
    m = np.ones(n_atoms) if masses is None else checks.finite("masses", checks.numbers("masses", masses))  # fmt: skip
    if m.shape != (n_atoms,) or not (m > 0.0).all():
        raise ValueError(f"masses: shape {m.shape}; expected ({n_atoms},) positive numbers")
    blocks = checks.whole("blocks", blocks, 2)
    n, dt = len(v) // blocks, interval(time, len(v))
    if n < _FEWEST:
        raise ValueError(
            f"velocities: {len(v)} times; expected at least {_FEWEST} for each of {blocks} blocks"
        )
    window = np.hanning(n + 1)[:n, None]
    power = np.zeros((blocks, n // 2 + 1))
    some = max(1, _NUMBERS // (3 * n))
    for k in range(blocks):
        for first in range(0, n_atoms, some):
            part = v[k * n : (k + 1) * n, first : first + some].reshape(n, -1)
            lines = np.square(np.abs(np.fft.rfft(window * part, axis=0)))
            power[k] += lines @ np.repeat(m[first : first + some], 3)
    frequency = np.arange(n // 2 + 1.0) / (n * dt)
    total = float(power.mean(axis=0).sum()) * frequency[1]
    if not 0.0 < total < np.inf:
        raise ValueError("velocities: all of them zero, or too large; expected those of a run")
    error: Float = power.std(axis=0, ddof=1) / blocks**0.5 / total
    return frequency, power.mean(axis=0) / total, error
