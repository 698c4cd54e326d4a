"""Coulomb interaction of point charges as charge models of GPUMD have it, in plain NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, exp, pi, sqrt

import numpy as np
from numpy.typing import ArrayLike

from mdkern.reference.pairs import Float, PairList, sum_at

__all__ = ["Coulomb", "coulomb", "half_space"]

COULOMB = 14.399645  # e^2 / (4 pi eps0) in eV Angstrom, with the digits of GPUMD
Bool = np.ndarray


@dataclass(frozen=True, slots=True)
class Coulomb:
    """Energies (n,), potentials dE/dq (n,), forces at fixed charges (n, 3), virials (n, 3, 3)."""

    energies: Float
    potentials: Float
    forces: Float
    virials: Float


def coulomb(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    pairs: PairList,
    near: Bool,
    charges: Float,
    *,
    mode: int,
    r_cut: float,
) -> Coulomb:
    r"""Interaction of charges, :math:`\alpha = \pi / r_{cut}`.

    .. math:: E = \frac K2 \sum_{ij} q_i q_j \frac{\mathrm{erfc}(\alpha r_{ij})}{r_{ij}}
        - \frac{K \alpha}{\sqrt\pi} \sum_i q_i^2
        + \frac{4 \pi K}{V} \sum_{\mathbf k} \frac{e^{-k^2 / 4 \alpha^2}}{k^2} \Big|\sum_i q_i e^{i \mathbf k \mathbf r_i}\Big|^2

    The sum goes over half of the reciprocal vectors with :math:`0 < k < 2 \pi \alpha`. Mode 1 is this Ewald sum (P. P.
    Ewald, Ann. Phys. 369, 253 (1921)); mode 2 its last term alone; mode 3 its first, with :math:`A r + B` added to
    erfc / r that make value and slope vanish at `r_cut`.

    Parameters
    ----------
    near : (n_pairs,) bool array
        Which of the pairs interact in real space.
    """
    n = pairs.n
    result = Coulomb(np.zeros(n), np.zeros(n), np.zeros((n, 3)), np.zeros((n, 3, 3)))
    alpha = pi / r_cut
    if mode != 2:
        _real_space(result, pairs, near, charges, alpha, r_cut if mode == 3 else None)
    if mode == 1:
        self_energy = COULOMB * alpha / sqrt(pi)
        result.energies[:] -= self_energy * charges**2
        result.potentials[:] -= 2 * self_energy * charges
    if mode != 3:
        if not np.all(pbc):
            raise ValueError("pbc: expected a cell periodic in all three directions")
        _reciprocal_space(result, np.asarray(positions), np.asarray(cell), charges, alpha)
    return result


def half_space(cell: Float, k_max: float) -> Float:
    """Reciprocal vectors with 0 < k < k_max, one of each pair k and -k, (n_k, 3)."""
    reciprocal = 2 * pi * np.linalg.inv(cell).T
    most = np.floor(k_max * np.linalg.norm(cell, axis=1) / (2 * pi)).astype(int)
    n1, n2, n3 = (np.arange(-m, m + 1) for m in most)
    n = np.stack(np.meshgrid(n1, n2, n3, indexing="ij"), axis=-1).reshape(-1, 3)
    n = n[len(n) // 2 + 1 :]  # those after (0, 0, 0) in this order
    k = n @ reciprocal
    return np.asarray(k[(k**2).sum(axis=1) < k_max**2])


def _real_space(
    result: Coulomb, pairs: PairList, near: Bool, q: Float, alpha: float, shift_at: float | None
) -> None:
    i, j, D, r = (x[near] for x in (pairs.i, pairs.j, pairs.D, pairs.r))
    gauss = 2 * alpha / sqrt(pi)
    phi = np.array([erfc(alpha * x) for x in r]) / r
    slope = -phi / r - gauss * np.exp(-((alpha * r) ** 2)) / r
    if shift_at is not None:
        value_end = erfc(alpha * shift_at) / shift_at
        slope_end = -(value_end + gauss * exp(-((alpha * shift_at) ** 2))) / shift_at
        phi = phi - value_end - slope_end * (r - shift_at)
        slope = slope - slope_end
    result.potentials[:] += COULOMB * sum_at(i, q[j] * phi, pairs.n)
    result.energies[:] += 0.5 * COULOMB * q * sum_at(i, q[j] * phi, pairs.n)
    pull = (COULOMB * q[i] * q[j] * slope / r)[:, None] * D
    np.add.at(result.forces, i, pull)
    np.add.at(result.virials, i, -0.5 * D[:, :, None] * pull[:, None, :])


def _reciprocal_space(result: Coulomb, x: Float, cell: Float, q: Float, alpha: float) -> None:
    k = half_space(cell, 2 * pi * alpha)
    k2 = (k**2).sum(axis=1)
    weight = COULOMB * 4 * pi / abs(np.linalg.det(cell)) * np.exp(-k2 / (4 * alpha**2)) / k2
    wave = np.exp(1j * x @ k.T)  # (n, n_k)
    part = wave.conj() * (weight * (q @ wave))  # of each k in the potential of each atom
    energy = q[:, None] * part.real
    result.energies[:] += energy.sum(axis=1)
    result.potentials[:] += 2 * part.real.sum(axis=1)
    result.forces[:] -= 2 * q[:, None] * (part.imag @ k)
    stretch = np.eye(3) - (2 / k2 + 1 / (2 * alpha**2))[:, None, None] * k[:, :, None] * k[:, None]
    result.virials[:] += np.einsum("nk,kab->nab", energy, stretch)
