r"""Integrators of molecular dynamics, as loops of NumPy: the definition, and the baseline of the benchmark.

Momenta p, forces F(r), masses m; units are ASE's (eV, Angstrom, amu, and the time that follows from them).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdkern.reference.random import normal_deviates

__all__ = ["langevin", "velocity_verlet"]

Array = NDArray[np.float64]
Forces = Callable[[Array], Array]


def velocity_verlet(
    r: Array, p: Array, masses: Any, forces: Forces, dt: float, steps: int
) -> tuple[Array, Array]:
    r"""Positions and momenta after some steps of

    .. math::

        p \leftarrow p + \tfrac{\Delta t}{2} F(r), \quad
        r \leftarrow r + \Delta t \, p / m, \quad
        p \leftarrow p + \tfrac{\Delta t}{2} F(r)

    Parameters
    ----------
    r, p : (n, 3) arrays
    masses : (n,) array
    forces : function of positions
    dt : float
    steps : int
    """
    m = np.asarray(masses)[:, None]
    f = forces(r)
    for _ in range(steps):
        p = p + 0.5 * dt * f
        r = r + dt * p / m
        f = forces(r)
        p = p + 0.5 * dt * f
    return r, p


def langevin(
    r: Array,
    p: Array,
    masses: Any,
    forces: Forces,
    dt: float,
    steps: int,
    *,
    kT: float,
    friction: Any,
    seed: int,
    first: int = 0,
) -> tuple[Array, Array]:
    r"""The same with friction and noise: E. Vanden-Eijnden and G. Ciccotti, Chem. Phys. Lett. 429, 310 (2006), eq. 23.

    With :math:`\sigma = \sqrt{2 kT \gamma / m}` and normal deviates :math:`\xi, \eta` of each atom and step,

    .. math::

        v &\leftarrow v + c_1 F(r) / m - c_2 v + (c_3 \xi - c_4 \eta), \quad
        r \leftarrow r + \Delta t \, v + c_5 \eta, \quad
        v \leftarrow v + c_1 F(r) / m - c_2 v + (c_3 \xi - c_4 \eta) \\
        c_1 &= \tfrac{\Delta t}{2} - \tfrac{\gamma \Delta t^2}{8}, \quad
        c_2 = \tfrac{\gamma \Delta t}{2} - \tfrac{\gamma^2 \Delta t^2}{8}, \quad
        c_3 = \sigma (\tfrac{\sqrt{\Delta t}}{2} - \tfrac{\gamma \Delta t^{3/2}}{8}), \quad
        c_5 = \tfrac{\sigma \Delta t^{3/2}}{2 \sqrt 3}, \quad c_4 = \tfrac{\gamma}{2} c_5

    Parameters
    ----------
    kT : float
        eV.
    friction : float or (n, 1) array
        :math:`\gamma` in inverse time, of all atoms or of each.
    seed, first : int
        Of the random numbers, and the number of the first step.
    """
    m = np.asarray(masses)[:, None]
    sigma = np.sqrt(2.0 * kT * friction / m)
    c1 = dt / 2 - dt**2 * friction / 8
    c2 = dt * friction / 2 - dt**2 * friction**2 / 8
    c3 = np.sqrt(dt) * sigma / 2 - dt**1.5 * friction * sigma / 8
    c5 = dt**1.5 * sigma / (2 * np.sqrt(3))
    c4 = friction / 2 * c5
    v, f = p / m, forces(r)
    for step in range(first, first + steps):
        deviates = normal_deviates(np.arange(len(r)), seed, step)
        noise = c3 * deviates[:, :3] - c4 * deviates[:, 3:]
        v = v + (c1 * f / m - c2 * v + noise)
        r = r + dt * v + c5 * deviates[:, 3:]
        f = forces(r)
        v = v + (c1 * f / m - c2 * v + noise)
    return r, m * v
