"""Transport coefficients from equilibrium, by integrals of Green and Kubo, in units of handbooks."""

from __future__ import annotations

import numpy as np
from ase import units
from numpy.typing import ArrayLike, NDArray

from mdkern import checks
from mdkern.analysis.kubo import GreenKubo, block_correlations, coefficient, integrate, interval

__all__ = ["green_kubo_diffusion", "thermal_conductivity", "viscosity"]

Float = NDArray[np.float64]

_PER_PS = 1000.0 * units.fs  # ASE's units of time in a picosecond
_W_PER_M_K = 1e22 / units.J  # of eV/(Angstrom ps K)
_PA_S = 1e-12 / units.Pascal  # of eV ps/Angstrom^3
_NUMBERS = 2_000_000  # of one array while velocities are correlated


def thermal_conductivity(
    flux: ArrayLike,
    time: ArrayLike | float,
    temperature: float,
    volume: float,
    *,
    cutoff: float | None = None,
    blocks: int = 10,
    method: str = "green-kubo",
) -> GreenKubo:
    r"""Thermal conductivity from the heat flux, in W/m/K.

    .. math:: \kappa = \frac{1}{3 V k_B T^2} \int_0^\infty \langle \mathbf J(0) \cdot \mathbf J(t) \rangle dt

    M. S. Green, J. Chem. Phys. 22, 398 (1954); R. Kubo, J. Phys. Soc. Jpn. 12, 570 (1957). Of one kind of atoms: in a mixture
    this also has the heat that diffusion carries. Where the integral ends, and its error: :func:`green_kubo`.

    Parameters
    ----------
    flux : (n, 3) array, or (n,), (n, k)
        Heat flux of the whole cell, not divided by the volume, eV Angstrom per ASE time unit: ``recorded_fluxes().heat`` of a run,
        or the sum of both parts of :func:`heat_flux`. Of a crystal that is not cubic, one column at a time.
    time : (n,) array, or float
        Times of the samples in ps, or their interval.
    temperature : float
        K; the mean of the run.
    volume : float
        Angstrom^3.
    cutoff, blocks, method
        As of :func:`green_kubo`.

    Returns
    -------
    GreenKubo

    Raises
    ------
    ValueError
        As :func:`green_kubo`, and a temperature or volume that is not positive.
    """
    t, v = checks.positive("temperature", temperature), checks.positive("volume", volume)
    factor = _PER_PS**2 * _W_PER_M_K / (v * units.kB * t**2)
    return coefficient("flux", flux, time, factor, "W/m/K", cutoff, blocks, method)


def viscosity(
    pressure: ArrayLike,
    time: ArrayLike | float,
    temperature: float,
    volume: float,
    *,
    cutoff: float | None = None,
    blocks: int = 10,
    method: str = "green-kubo",
) -> GreenKubo:
    r"""Shear viscosity of an isotropic fluid from its pressure tensor, in Pa s.

    .. math:: \eta = \frac{V}{10 k_B T} \int_0^\infty \Big\langle \sum_{ab} P^{os}_{ab}(0) P^{os}_{ab}(t) \Big\rangle dt

    with the symmetric traceless part of the tensor, all nine components of it: P. J. Daivis and D. J. Evans, J. Chem. Phys.
    100, 541 (1994). That is the mean over five independent components, xy, xz, yz, (xx - yy)/2 and
    (2 zz - xx - yy)/sqrt(12), in this order in ``along``. Where the integral ends, and its error: :func:`green_kubo`.

    Parameters
    ----------
    pressure : (n, 6) or (n, 3, 3) array
        eV/Angstrom^3, kinetic part included; six components xx, yy, zz, yz, xz, xy. The sign does not matter: ASE's stresses with
        ``include_ideal_gas=True`` do as well.
    time : (n,) array, or float
        Times of the samples in ps, or their interval.
    temperature : float
        K; the mean of the run.
    volume : float
        Angstrom^3; it must be constant.
    cutoff, blocks, method
        As of :func:`green_kubo`.

    Returns
    -------
    GreenKubo

    Raises
    ------
    ValueError
        As :func:`green_kubo`, and a temperature or volume that is not positive.
    """
    p = checks.finite("pressure", checks.numbers("pressure", pressure))
    if p.ndim not in (2, 3) or p.shape[1:] not in ((6,), (3, 3)) or len(p) == 0:
        raise ValueError(f"pressure: shape {p.shape}; expected (n, 6) or (n, 3, 3)")
    if p.ndim == 3:
        p = 0.5 * (p + p.swapaxes(1, 2))
        p = p.reshape(-1, 9)[:, [0, 4, 8, 5, 2, 1]]
    xx, yy, zz, yz, xz, xy = p.T
    shear = np.stack([xy, xz, yz, 0.5 * (xx - yy), (2.0 * zz - xx - yy) / 12.0**0.5], axis=1)
    t, v = checks.positive("temperature", temperature), checks.positive("volume", volume)
    factor = _PA_S * v / (units.kB * t)
    return coefficient("pressure", shear, time, factor, "Pa s", cutoff, blocks, method)


def green_kubo_diffusion(
    velocities: ArrayLike,
    time: ArrayLike | float,
    *,
    cutoff: float | None = None,
    blocks: int = 10,
) -> GreenKubo:
    r"""Diffusion coefficient from the correlation of velocities, in Angstrom^2/ps (1e-4 cm^2/s).

    .. math:: D = \frac{1}{3} \int_0^\infty \langle \mathbf v_i(0) \cdot \mathbf v_i(t) \rangle_i dt

    :func:`diffusion` has it from positions, which may be far apart in time; velocities have to be recorded several times while
    they are remembered. Where the integral ends, and its error: :func:`green_kubo`.

    Parameters
    ----------
    velocities : (n_times, n_atoms, 3) array
        Angstrom per ASE time unit, as ``atoms.get_velocities()`` has them, of the atoms of one kind, without the drift of the
        whole (:func:`without_drift`).
    time : (n_times,) array, or float
        Times of the samples in ps, or their interval.
    cutoff, blocks
        As of :func:`green_kubo`.

    Returns
    -------
    GreenKubo
        Its ``correlation`` is the velocity autocorrelation function, a third of the scalar product.

    Raises
    ------
    ValueError
        As :func:`green_kubo`.
    """
    v = checks.finite("velocities", checks.numbers("velocities", velocities))
    if v.ndim != 3 or v.shape[2] != 3 or 0 in v.shape:
        raise ValueError(
            f"velocities: shape {v.shape}; expected (n_times, n_atoms, 3), none of them 0"
        )
    blocks = checks.whole("blocks", blocks, 3)
    n, n_atoms = v.shape[:2]
    dt = interval(time, n)
    if n < 2 * blocks:
        raise ValueError(f"velocities: {n} times; expected at least 2 for each of {blocks} blocks")
    largest = float(np.abs(v).max())
    if not 1e-60 < largest < 1e60:
        raise ValueError(f"velocities: up to {largest:g}; expected those of a run")
    some = max(1, _NUMBERS // (3 * n))
    sums: Float = np.zeros((blocks, 3, n // blocks // 2 + 1))
    for first in range(0, n_atoms, some):
        each = block_correlations(v[:, first : first + some].reshape(n, -1), blocks)
        sums += each.reshape(blocks, -1, 3, each.shape[2]).sum(axis=1)
    return integrate(sums / n_atoms, dt, _PER_PS**2, "Angstrom^2/ps", cutoff, None)
