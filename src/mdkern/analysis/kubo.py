"""Integrals of correlation functions, with errors by blocks and a rule where they end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdkern import checks
from mdkern.analysis.correlation import correlation_sums
from mdkern.analysis.plateau import cumulative, plateau

__all__ = ["GreenKubo", "block_correlations", "coefficient", "green_kubo", "integrate", "interval"]

Float = NDArray[np.float64]

# What an interval must leave of the correlation: the trapezoids of an exponential are 2 % off there.
_COARSE = 0.6
METHODS = ("green-kubo", "einstein")
FEWEST_SAMPLES = 16  # of a block: a window of one interval has to fit in four times


@dataclass(frozen=True, eq=False, repr=False)
class GreenKubo:
    """The integral of a correlation function; ``print`` tells it in a sentence.

    Attributes
    ----------
    kind : str
        "converged": the integral has come to rest at `window`, and only then there is a `value`. "zero": it has, and is
        less than twice its error; there is a `bound`. "unconverged": it goes on changing up to the longest lag that blocks
        of this length show (a longer run is needed, or fewer blocks), or behind the cutoff that was asked for. "short": fewer
        than 16 samples in a block.
    value, error : float or None
        The integral times its factor, and its standard error: with a probability of 68 % the true value is not farther.
    along, along_error : tuple of float, or None
        The same of each component alone.
    bound : float or None
        Of kind "zero": the integral is below, at two standard errors.
    unit : str
        Of all of these and of `integral`.
    window : float or None
        Lag at which the integral ends, in the unit of time (ps).
    rule : str
        "found": the window was chosen by the rule of :func:`green_kubo`; "given": it was asked for.
    blocks : int
        Independent segments of the run.
    block_time : float
        Length of each.
    time : (k,) array
        Lags up to half a block.
    correlation, correlation_error : (k,) arrays
        The correlation function, mean over components and blocks, and its standard error; in the square of the unit of the
        flux.
    integral, integral_error : (k,) arrays
        The integral up to each lag times the factor: to be drawn, and judged by eye.
    """

    kind: str
    unit: str
    rule: str
    blocks: int
    block_time: float
    time: Float
    correlation: Float
    correlation_error: Float
    integral: Float
    integral_error: Float
    value: float | None = None
    error: float | None = None
    along: tuple[float, ...] | None = None
    along_error: tuple[float, ...] | None = None
    bound: float | None = None
    window: float | None = None

    def __repr__(self) -> str:
        """Without the arrays."""
        shown = {"kind": self.kind, "value": self.value, "error": self.error, "unit": self.unit}
        inside = ", ".join(f"{k}={v!r}" for k, v in shown.items())
        return f"{type(self).__name__}({inside}, window={self.window!r}, rule={self.rule!r})"

    def __str__(self) -> str:
        """A sentence: the value with its error and the window, or why there is none, and whether samples are too far apart."""
        if len(self.correlation) > 1 and self.correlation[1] < _COARSE * self.correlation[0]:
            left = self.correlation[1] / self.correlation[0]
            return f"{self._sentence()}; one interval leaves {left:.2g} of the correlation: record more often"
        return self._sentence()

    def _sentence(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        of = f"{self.blocks} blocks of {self.block_time:.4g} ps"
        if self.kind == "short":
            return f"no value: the run is too short; expected {FEWEST_SAMPLES} samples in each of {self.blocks} blocks"
        if self.kind == "unconverged" and self.window is None:
            return f"no value: the integral does not come to rest within a quarter of a block ({of}): the run is too short"
        if self.kind == "unconverged":
            return f"no value: the integral goes on changing behind the cutoff of {self.window:.3g} ps ({of})"
        ends = f"integral up to {self.window:.3g} ps ({self.rule}), {of}"
        if self.kind == "zero":
            return f"none seen: below {self.bound:.2g}{unit}; {ends}"
        assert self.value is not None
        assert self.error is not None
        return f"{_with_error(self.value, self.error)}{unit}; {ends}"


def _with_error(value: float, error: float) -> str:
    """Both with two digits of the error."""
    if not 0.0 < error < np.inf:
        return f"{value:.6g} +/- {error:.2g}"
    scale = int(np.floor(np.log10(max(abs(value), error))))
    digits = scale - int(np.floor(np.log10(error))) + 1
    if -4 <= scale <= 5:
        places = max(0, digits - scale)
        return f"{value:.{places}f} +/- {error:.{places}f}"
    return f"({value / 10.0**scale:.{digits}f} +/- {error / 10.0**scale:.{digits}f})e{scale:+03d}"


# --- what is correlated


def interval(time: ArrayLike | float, n: int) -> float:
    """The interval of n samples, from itself or from their times; ValueError for anything else."""
    if checks.is_single(time):
        return checks.positive("time", time)
    t = checks.finite("time", checks.numbers("time", time))
    if t.shape != (n,):
        raise ValueError(f"time: shape {t.shape}; expected ({n},), or one number, the interval")
    if n < 2:
        return 1.0
    step = float(t[-1] - t[0]) / (n - 1)
    if not step > 0.0 or np.abs(np.diff(t) - step).max() > 1e-3 * step:
        raise ValueError("time: expected equal intervals")
    return step


def block_correlations(x: Float, blocks: int) -> Float:
    """Correlation functions (blocks, columns, lags up to half a block) of a series (n, columns), pairs within a block only."""
    n = len(x) // blocks
    last = n // 2
    counts = n - np.arange(last + 1.0)
    out = np.empty((blocks, x.shape[1], last + 1))
    for k in range(blocks):  # one at a time: transforms take several times their memory
        out[k] = correlation_sums(x[k * n : (k + 1) * n], last).T / counts
    return out


# --- what is found


def _student(blocks: int) -> float:
    """By how much one standard error of a mean over few blocks has to be larger to hold 68 %.

    Quantile of Student's distribution, R. A. Fisher and E. A. Cornish, Technometrics 2, 209 (1960): two terms.
    """
    freedom = blocks - 1
    return 1.0 + 0.5 / freedom + 0.25 / freedom**2


def integrate(
    correlations: Float,
    dt: float,
    factor: float,
    unit: str,
    cutoff: float | None,
    total: float | None,
    slopes: Callable[[int], Float] | None = None,
) -> GreenKubo:
    """Judge correlation functions (blocks, components, lags), see :func:`green_kubo`.

    `total` is the time over which a mean was taken that has been subtracted, None where none was. `slopes` gives what stands for
    the integrals at a window (blocks, components), if it is not the integrals themselves.
    """
    blocks, _, n_lags = correlations.shape
    block_time = 2 * (n_lags - 1) * dt
    if cutoff is not None:
        cutoff = checks.positive("cutoff", cutoff)
        if not dt <= cutoff <= block_time / 4:
            raise ValueError(
                f"cutoff: {cutoff:g}; expected at least the interval, {dt:g}, and at most {block_time / 4:g},"
                f" a quarter of one of {blocks} blocks"
            )
    time = dt * np.arange(n_lags)
    each = cumulative(correlations, dt)
    means = each.mean(axis=1)
    scale = _student(blocks) / blocks**0.5
    # A mean that was subtracted has taken 2 K / total off every lag, and so 2 T / total of an integral K up to T.
    kept = np.ones(n_lags) if total is None else 1.0 - 2.0 * time / total
    mean = correlations.mean(axis=(0, 1))
    known: dict[str, Any] = {
        "unit": unit,
        "rule": "found" if cutoff is None else "given",
        "blocks": blocks,
        "block_time": block_time,
        "time": time,
        "correlation": mean,
        "correlation_error": scale * correlations.mean(axis=1).std(axis=0, ddof=1),
        "integral": factor * means.mean(axis=0) / kept,
        "integral_error": abs(factor) * scale * means.std(axis=0, ddof=1) / kept,
    }
    if block_time < FEWEST_SAMPLES * dt * (1 - 1e-9):
        return GreenKubo("short", **known)
    end, moved, at_rest = plateau(means, mean, dt, cutoff)
    known["window"] = None if end is None else float(time[end])
    if end is None or not at_rest:
        return GreenKubo("unconverged", **known)
    # The line of a slope goes from the window to twice that.
    ends = each[:, :, end] / kept[end] if slopes is None else slopes(end) / kept[3 * end // 2]
    ends = factor * ends
    value = float(ends.mean())
    # What is left of the correlation behind the window is not seen beside the noise: half of the change counts.
    left = abs(factor) * 0.5 * moved / kept[end]
    error = float(np.hypot(scale * ends.mean(axis=1).std(ddof=1), left))
    if abs(value) < 2.0 * error:
        return GreenKubo("zero", bound=max(value, 0.0) + 2.0 * error, **known)
    return GreenKubo(
        "converged",
        value=value,
        error=error,
        along=tuple(ends.mean(axis=0).tolist()),
        along_error=tuple((scale * ends.std(axis=0, ddof=1)).tolist()),
        **known,
    )


_POINTS = 20  # of the line through displacements


def _slopes(x: Float, blocks: int, dt: float, end: int) -> Float:
    """Half the slope of the mean square displacement of integrated fluxes from a lag to twice that: (blocks, components)."""
    n = len(x) // blocks
    lags = np.unique(np.linspace(end, 2 * end, _POINTS).astype(int))
    centred = dt * (lags - lags.mean())
    weights = 0.5 * centred / (centred @ centred)
    out = np.zeros((blocks, x.shape[1]))
    for k in range(blocks):
        moved = cumulative(x[k * n : (k + 1) * n].T, dt)
        for weight, lag in zip(weights, lags, strict=True):
            out[k] += weight * np.square(moved[:, lag:] - moved[:, :-lag]).mean(axis=1)
    return out


def green_kubo(
    flux: ArrayLike,
    time: ArrayLike | float,
    *,
    factor: float = 1.0,
    unit: str = "",
    cutoff: float | None = None,
    blocks: int = 10,
    method: str = "green-kubo",
    centred: bool = True,
) -> GreenKubo:
    r"""Transport coefficient from the fluctuations of a flux in equilibrium.

    .. math:: K(T) = f \int_0^T \langle J(0) J(t) \rangle dt

    The run is cut into `blocks`, each with a correlation function and an integral (trapezoidal rule) of its own; the
    coefficient is their mean over blocks and components, its error their scatter between blocks (standard error of the
    mean, times Student's factor, so that 68 % of the true values are within it).

    Where the integral ends: at the smallest T that is seven times as long as each of three times of the correlation function
    up to T, :math:`\int \rho dt`, :math:`2 \int \rho^2 dt` and :math:`|\int t \rho dt / \int \rho dt|`, with
    :math:`\rho = C(t) / C(0)` (the first as in A. D. Sokal, Functional Integration (1997), p. 131; all three are one
    decay time for an exponential; the second does not vanish for a correlation that oscillates, and the third sees a slow
    part of small amplitude). Where the integral changes from T to 2 T by more than two standard errors, T is doubled.
    A half of the change that is left counts as error as well. The window may be a quarter of a block at most.

    Parameters
    ----------
    flux : (n,) or (n, components) array
        At equal intervals. Components are equivalent, as those along x, y and z in a liquid.
    time : (n,) array, or float
        Times of the samples in ps, or their interval.
    factor : float
        In front of the integral.
    unit : str
        Of the result, for its text.
    cutoff : float, optional
        T in the unit of `time` instead of the rule above. The value is withheld where the integral changes from T to 2 T by more
        than three standard errors.
    blocks : int
        At least 3. Fewer ones are longer, and their error is less certain.
    method : str
        "green-kubo": the integral at T. "einstein": half the slope of the mean square displacement of :math:`\int J dt` from lag T to
        2 T (E. Helfand, Phys. Rev. 119, 1 (1960)), which is the same mean over the integrals from T to 2 T, by other sums.
    centred : bool
        Whether the mean of each component over the whole run is subtracted; what that takes off the correlations of a finite run
        is given back (U. Wolff, Comput. Phys. Commun. 156, 143 (2004)).

    Returns
    -------
    GreenKubo

    Raises
    ------
    ValueError
        Shapes that do not fit, numbers that are not finite, unequal intervals, a component that is constant, or a cutoff
        longer than a quarter of a block.
    """
    return coefficient("flux", flux, time, factor, unit, cutoff, blocks, method, centred)


def coefficient(
    name: str,
    flux: ArrayLike,
    time: ArrayLike | float,
    factor: float,
    unit: str,
    cutoff: float | None,
    blocks: int,
    method: str,
    centred: bool = True,
) -> GreenKubo:
    """:func:`green_kubo` of an argument that has another name."""
    if checks.is_single(flux):
        raise ValueError(f"{name}: {checks.shown(flux)}; expected an array (n,) or (n, components)")
    x = checks.finite(name, checks.numbers(name, flux))
    if x.ndim == 1:
        x = x[:, None]
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(
            f"{name}: shape {x.shape}; expected (n,) or (n, components), none of them 0"
        )
    blocks = checks.whole("blocks", blocks, 3)
    n, dt = len(x), interval(time, len(x))
    if n < 2 * blocks:
        raise ValueError(f"{name}: {n} samples; expected at least 2 for each of {blocks} blocks")
    mean = x.mean(axis=0)
    constant = np.ptp(x, axis=0) <= 1e-14 * np.abs(x).max(axis=0)
    if constant.any():
        k = int(np.argmax(constant))
        raise ValueError(f"{name}: component {k} is constant, {x[0, k]:g}; expected fluctuations")
    largest = float(np.abs(x).max())
    if not 1e-60 < largest < 1e60:
        raise ValueError(
            f"{name}: numbers up to {largest:g}; expected another unit, of numbers that can be squared"
        )
    centred = checks.flag("centred", centred)
    if not isinstance(unit, str):
        raise TypeError(f"unit: {checks.shown(unit)}; expected a text")
    if method not in METHODS:
        raise ValueError(f"method: {checks.shown(method)}; expected one of {', '.join(METHODS)}")
    if centred:
        x = x - mean
    return integrate(
        block_correlations(x, blocks),
        dt,
        checks.number("factor", factor),
        unit,
        cutoff,
        n * dt if centred else None,
        (lambda end: _slopes(x, blocks, dt, end)) if method == "einstein" else None,
    )
