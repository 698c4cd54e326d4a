"""Currents of heat and momentum, from molecular dynamics and from frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdkern import checks

__all__ = ["Fluxes", "heat_flux"]

Float = NDArray[np.float64]

# Row and column of each of the nine components of a virial: xx, yy, zz, xy, xz, yz, yx, zx, zy.
ROWS, COLUMNS = (0, 1, 2, 0, 0, 1, 1, 2, 2), (0, 1, 2, 1, 2, 2, 0, 0, 1)


@dataclass(frozen=True)
class Fluxes:
    """What :meth:`mdkern.md.VelocityVerlet.record_fluxes` recorded, a row for each step.

    Heat fluxes are not divided by the volume: as :func:`heat_flux` gives them.
    """

    step: NDArray[np.int64]
    """(n,) by the count of steps of the dynamics; times its time step (``dynamics.dt``) it is the time."""
    potential: Float
    """(n, 3) the part of the heat flux that potentials carry, sum of W v; eV Angstrom per ASE time unit. NaN with ``heat=False``."""
    convective: Float
    """(n, 3) the part that atoms carry, sum of e v; likewise."""
    pressure: Float
    """(n, 6) pressure tensor, kinetic part and virial, xx, yy, zz, yz, xz, xy; eV/Angstrom^3. NaN without a cell."""
    volume: Float
    """(n,) Angstrom^3."""
    kinetic: Float
    """(n,) kinetic energy, eV."""

    @property
    def heat(self) -> Float:
        """(n, 3) the heat flux: both parts."""
        return self.potential + self.convective

    def __len__(self) -> int:
        """Steps recorded."""
        return len(self.step)

    @classmethod
    def of_rows(cls, rows: Any) -> Fluxes:
        """From the rows of the core (``cpp/md/loop.hpp``: kMdFlux)."""
        return cls(
            rows[:, 0].astype(np.int64),
            rows[:, 1:4].copy(),
            rows[:, 4:7].copy(),
            rows[:, 7:13].copy(),
            rows[:, 13].copy(),
            rows[:, 14].copy(),
        )


def heat_flux(
    masses: ArrayLike, velocities: ArrayLike, energies: ArrayLike, virials: ArrayLike
) -> tuple[Float, Float]:
    r"""Heat flux of one frame or many: what potentials carry, and what atoms carry with them.

    .. math::

        \mathbf J = \underbrace{\sum_i W_i \mathbf v_i}_\mathrm{potential}
            + \underbrace{\sum_i \Big( \frac{m_i v_i^2}{2} + U_i \Big) \mathbf v_i}_\mathrm{convective},
        \qquad W_i = \sum_j (\mathbf r_j - \mathbf r_i) \otimes \frac{\partial U_j}{\partial \mathbf r_i}

    J is the rate of :math:`\sum_i e_i \mathbf r_i`, with e the energy of each atom, exactly (Z. Fan et al., Phys. Rev. B 92, 094301
    (2015)); it is not divided by the volume. Virials of six components do not give it where forces of more than two bodies act.

    Parameters
    ----------
    masses : (n,) array
        amu.
    velocities : (..., n, 3) array
        Angstrom per ASE time unit, as ``atoms.get_velocities()`` has them.
    energies : (..., n) array
        Potential energies of the atoms in eV: ``energies`` of :func:`mdkern.evaluate`.
    virials : (..., n, 9) array
        eV, xx, yy, zz, xy, xz, yz, yx, zx, zy: ``virials`` of :func:`mdkern.evaluate`, or
        :meth:`mdkern.calculators.Calculator.get_virials`.

    Returns
    -------
    potential, convective : (..., 3) arrays
        eV Angstrom per ASE time unit (of 10.18 fs); the heat flux is their sum.

    Raises
    ------
    ValueError
        Shapes that do not fit, or numbers that are not finite.
    """
    v = checks.finite("velocities", checks.numbers("velocities", velocities))
    if v.ndim < 2 or v.shape[-1] != 3:
        raise ValueError(f"velocities: shape {v.shape}; expected (..., n, 3)")
    m = _shaped("masses", masses, v.shape[-2:-1])
    u = _shaped("energies", energies, v.shape[:-1])
    w = _shaped("virials", virials, (*v.shape[:-1], 9))
    potential = np.zeros((*v.shape[:-2], 3))
    for c, (row, column) in enumerate(zip(ROWS, COLUMNS, strict=True)):
        potential[..., row] += (w[..., c] * v[..., column]).sum(axis=-1)
    e = u + 0.5 * m * (v**2).sum(axis=-1)
    return potential, (e[..., None] * v).sum(axis=-2)


def _shaped(name: str, values: ArrayLike, shape: tuple[int, ...]) -> Float:
    x = checks.finite(name, checks.numbers(name, values))
    if x.shape != shape:
        raise ValueError(f"{name}: shape {x.shape}; expected {shape}, as of the velocities")
    return x
