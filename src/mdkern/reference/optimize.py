r"""Optimizers as loops of NumPy: the definition of :mod:`mdkern.optimize`.

Coordinates q are rows of three numbers, forces f = -dE/dq. Each function returns the coordinates after `steps` steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["bfgs", "fire", "fire2", "lbfgs"]

Array = NDArray[np.float64]
Surface = Callable[[Array], "tuple[float, Array]"]  # energy and forces


def _no_longer(step: Array, most: float) -> Array:
    """The step, the norm over all coordinates at most `most`."""
    length = float(np.sqrt((step**2).sum()))
    shorter: Array = step if length <= most else most * step / length
    return shorter


def _rows_no_longer(step: Array, most: float) -> Array:
    """The step, the longest of its rows at most `most`."""
    length = float(np.sqrt((step**2).sum(axis=1)).max(initial=0.0))
    shorter: Array = step if length < most else step * (most / length)
    return shorter


def _mixed(v: Array, f: Array, a: float) -> Array:
    """The velocity turned towards the forces: (1 - a) v + a f |v| / |f|."""
    length = float(np.sqrt((f**2).sum())) or 1.0
    mixed: Array = (1.0 - a) * v + a * f / length * np.sqrt((v**2).sum())
    return mixed


def fire(
    q: Array,
    surface: Surface,
    steps: int,
    *,
    dt: float = 0.1,
    maxstep: float = 0.2,
    dtmax: float = 1.0,
    Nmin: int = 5,
    finc: float = 1.1,
    fdec: float = 0.5,
    astart: float = 0.1,
    fa: float = 0.99,
    a: float = 0.1,
    downhill_check: bool = False,
) -> Array:
    r"""FIRE: Bitzek et al., Phys. Rev. Lett. 97, 170201 (2006).

    While the power v f is positive, v turns towards f, and after Nmin such steps dt grows and a shrinks; otherwise v = 0. Then

    .. math:: v \leftarrow v + \Delta t f, \quad q \leftarrow q + \Delta t \, v

    Parameters
    ----------
    q : (n, 3) array
    surface : function of q to energy and forces
    steps : int
    **parameters
        As :class:`mdkern.optimize.FIRE`.
    """
    v = np.zeros_like(q)
    downhill = 0
    last_q, last_energy = q, np.inf
    for step in range(steps):
        energy, f = surface(q)
        if step > 0:
            uphill = downhill_check and energy > last_energy
            if uphill:
                q, energy = last_q, last_energy
            if (v * f).sum() > 0.0 and not uphill:
                v = _mixed(v, f, a)
                if downhill > Nmin:
                    dt, a = min(dt * finc, dtmax), a * fa
                downhill += 1
            else:
                v, a, dt, downhill = np.zeros_like(q), astart, dt * fdec, 0
        last_q, last_energy = q, energy
        v = v + dt * f
        q = q + _no_longer(dt * v, maxstep)
    return q


def fire2(
    q: Array,
    surface: Surface,
    steps: int,
    *,
    dt: float = 0.1,
    maxstep: float = 0.2,
    dtmax: float = 1.0,
    dtmin: float = 2e-3,
    Nmin: int = 20,
    finc: float = 1.1,
    fdec: float = 0.5,
    astart: float = 0.25,
    fa: float = 0.99,
    use_abc: bool = False,
) -> Array:
    """FIRE 2.0: Guenole et al., Comput. Mater. Sci. 175, 109584 (2020).

    Where the power is not positive it goes half a step back. With `use_abc` velocities are divided by 1 - (1 - a)^(N + 1), N the
    steps downhill so far, and each is cut by itself: Echeverri Restrepo and Andric, Comput. Mater. Sci. 218, 111978 (2023).
    Parameters are as those of :func:`fire`.
    """
    v = np.zeros_like(q)
    a, downhill = astart, 0
    for step in range(steps):
        f = surface(q)[1]
        if step > 0:
            if (v * f).sum() > 0.0:
                downhill += 1
                if downhill > Nmin:
                    dt, a = min(dt * finc, dtmax), a * fa
            else:
                downhill, dt, a = 0, max(dt * fdec, dtmin), astart
                q = q - 0.5 * dt * v
                f, v = surface(q)[1], np.zeros_like(q)
        v = v + dt * f
        if use_abc:
            a = max(a, 1e-10)
            v = _mixed(v, f, a) / (1.0 - (1.0 - a) ** (downhill + 1))
            v = v.clip(-maxstep / dt, maxstep / dt)
            q = q + dt * v
        else:
            v = _mixed(v, f, a)
            q = q + _no_longer(dt * v, maxstep)
    return q


def lbfgs(
    q: Array,
    surface: Surface,
    steps: int,
    *,
    maxstep: float = 0.2,
    memory: int = 100,
    damping: float = 1.0,
    alpha: float = 70.0,
) -> Array:
    """Limited-memory BFGS: the two loops of Nocedal over the last `memory` moves, from 1 / alpha.

    Parameters are as those of :func:`fire`; the longest row of a step is `maxstep` at most.
    """
    pairs: list[tuple[Array, Array]] = []
    last: Any = None
    for _ in range(steps):
        f = surface(q)[1]
        if last is not None:
            pairs = [*pairs, (q - last[0], last[1] - f)][-memory:] if memory else []
        last = q, f
        p = -f
        factors = []
        for s, y in reversed(pairs):
            factors.append((s * p).sum() / (s * y).sum())
            p = p - factors[-1] * y
        p = p / alpha
        for (s, y), factor in zip(pairs, reversed(factors), strict=True):
            p = p + s * (factor - (y * p).sum() / (s * y).sum())
        q = q + _rows_no_longer(-p, maxstep) * damping
    return q


def bfgs(
    q: Array, surface: Surface, steps: int, *, maxstep: float = 0.2, alpha: float = 70.0
) -> Array:
    r"""BFGS: the step is :math:`|H|^{-1} f`, with the absolute eigenvalues of H, which begins as alpha.

    Parameters are as those of :func:`fire`; the longest row of a step is `maxstep` at most.
    """
    h = np.eye(q.size) * alpha
    last: Any = None
    for _ in range(steps):
        f = surface(q)[1]
        if last is not None and np.abs(q - last[0]).max(initial=0.0) >= 1e-7:
            d, y = (q - last[0]).ravel(), (last[1] - f).ravel()
            w = h @ d
            h = h + np.outer(y, y) / (d @ y) - np.outer(w, w) / (d @ w)
        last = q, f
        values, vectors = np.linalg.eigh(h)
        step = vectors @ ((f.ravel() @ vectors) / np.abs(values))
        q = q + _rows_no_longer(step.reshape(-1, 3), maxstep)
    return q
