"""Mean square displacement, and positions without the motion of the whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdkern import checks

__all__ = ["mean_square_displacement", "msd", "square_displacements", "trajectory", "without_drift"]

Float = NDArray[np.float64]


def without_drift(positions: ArrayLike, masses: ArrayLike) -> Float:
    """Positions relative to the centre of mass, whose own motion is no diffusion.

    Parameters
    ----------
    positions : (n_times, n_atoms, 3) array
        Unwrapped, of all atoms that move freely; with fixed atoms there is nothing to remove.
    masses : (n_atoms,) array

    Raises
    ------
    ValueError
        Another shape, numbers that are not finite, or masses that are negative or all zero.
    """
    r, m = trajectory(positions), checks.finite("masses", checks.numbers("masses", masses))
    if m.shape != r.shape[1:2] or (m < 0.0).any() or not m.any():
        raise ValueError(f"masses: shape {m.shape}; expected ({r.shape[1]},) masses of the atoms")
    out: Float = r - np.einsum("tac,a->tc", r, m / m.sum())[:, None]
    return out


def square_displacements(positions: ArrayLike) -> Iterator[Float]:
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
    r = trajectory(positions)
    out: Float = sum(part.sum(axis=1) for part in square_displacements(r)) / r.shape[1]
    return out


def trajectory(positions: ArrayLike) -> Float:
    """Positions (n_times, n_atoms, 3) as they are computed with; ValueError for anything else."""
    r = checks.numbers("positions", positions)
    if r.ndim != 3 or r.shape[2] != 3 or 0 in r.shape:
        raise ValueError(
            f"positions: shape {r.shape}; expected (n_times, n_atoms, 3), none of them 0"
        )
    return checks.finite("positions", r)


msd = mean_square_displacement
"""The short name of :func:`mean_square_displacement`, as others have it."""
