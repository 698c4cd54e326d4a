"""Neuroevolution potential (NEP) in plain NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mdkern.io.nep import BODY_ORDERS, NepModel, NepNetworks
from mdkern.potentials.nep_tables import cubic_terms, index, polynomial, weight
from mdkern.reference.coulomb import Coulomb, coulomb
from mdkern.reference.pairs import Float, PairList, Result, pair_list, sum_at

__all__ = [
    "nep",
    "nep_born_charges",
    "nep_charges",
    "nep_descriptors",
    "nep_dipole",
    "nep_polarizability",
]

# Ziegler, Biersack, Littmark (1985), with the constants of GPUMD.
COULOMB = 14.399645  # e^2 / (4 pi eps0) in eV Angstrom
UNIVERSAL = (0.18175, 3.1998, 0.50986, 0.94229, 0.28022, 0.4029, 0.02817, 0.20162)


def nep(
    positions: ArrayLike, cell: ArrayLike, pbc: ArrayLike, species: ArrayLike, model: NepModel
) -> Result:
    r"""Energy, forces and virial.

    .. math:: U_i = \sum_\mu w^1_\mu \tanh\Big(\sum_d w^0_{\mu d} q_d - b^0_\mu\Big) - b

    with the descriptors q of `nep_descriptors` (scaled), the network of the type of atom i, and half of the
    ZBL repulsion of each pair where the model has it. Fan et al., J. Chem. Phys. 157, 114801 (2022).

    A model with charges adds the energy of `coulomb`, a function of the charges of `nep_charges`. As every charge
    has the mean subtracted, :math:`\partial E / \partial Q_i` of the raw charge of an atom is its potential less the
    mean of all potentials.

    Parameters
    ----------
    positions, cell, pbc
        As in `neighbor_list` (Angstrom).
    species : (n,) int array
        Index of each atom's element in ``model.species``.
    model : NepModel

    Returns
    -------
    Result
    """
    pairs, d = _descriptors(positions, cell, pbc, species, model)
    energies, slope = _networks(model.networks, d.kind, d.q * model.q_scaler)
    electric: Coulomb | None = None
    if model.charge is not None:
        raw, charge_slope = _networks(model.charge.networks, d.kind, d.q * model.q_scaler)
        electric = _coulomb(positions, cell, pbc, pairs, raw - raw.mean(), model)
        by_raw = electric.potentials - electric.potentials.mean()
        slope = slope + by_raw[:, None] * charge_slope
    p = _pair_gradients(pairs, d, slope * model.q_scaler, model)
    if model.zbl is not None:
        phi, d_phi = _zbl(pairs, model)
        energies = energies + 0.5 * sum_at(pairs.i, phi, pairs.n)
        p += (0.5 * d_phi / pairs.r)[:, None] * pairs.D
    forces = np.stack(
        [sum_at(pairs.i, x, pairs.n) - sum_at(pairs.j, x, pairs.n) for x in p.T], axis=1
    )
    virial = -pairs.D.T @ p
    if electric is not None:
        energies, forces = energies + electric.energies, forces + electric.forces
        virial = virial + electric.virials.sum(axis=0)
    return Result(float(energies.sum()), energies, forces, virial)


def nep_charges(
    positions: ArrayLike, cell: ArrayLike, pbc: ArrayLike, species: ArrayLike, model: NepModel
) -> Float:
    r"""Charges in e, (n,): the network's second output, less its mean over all atoms."""
    assert model.charge is not None
    _, d = _descriptors(positions, cell, pbc, species, model)
    raw = _networks(model.charge.networks, d.kind, d.q * model.q_scaler)[0]
    return np.asarray(raw - raw.mean())


def nep_born_charges(
    positions: ArrayLike, cell: ArrayLike, pbc: ArrayLike, species: ArrayLike, model: NepModel
) -> Float:
    r"""Born effective charges in e, (n, 3, 3).

    .. math:: Z_i = \sqrt{\epsilon_\infty} \Big(Q_i \mathbf 1 + \tfrac12 \sum_j \mathbf r_{ij} \otimes \mathbf p_{ij}
        - \tfrac12 \sum_j \mathbf r_{ji} \otimes \mathbf p_{ji}\Big), \quad
        \mathbf p_{ij} = \partial Q_i / \partial \mathbf r_{ij}
    """
    assert model.charge is not None
    pairs, d = _descriptors(positions, cell, pbc, species, model)
    raw, slope = _networks(model.charge.networks, d.kind, d.q * model.q_scaler)
    p = _pair_gradients(pairs, d, slope * model.q_scaler, model)
    outer = 0.5 * pairs.D[:, :, None] * p[:, None, :]
    Z = (raw - raw.mean())[:, None, None] * np.eye(3)
    np.add.at(Z, pairs.i, outer)
    np.subtract.at(Z, pairs.j, outer)
    return np.asarray(model.charge.sqrt_eps_inf * Z)


def _coulomb(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    pairs: PairList,
    charges: Float,
    model: NepModel,
) -> Coulomb:
    assert model.charge is not None
    near = pairs.r < model.pair_cutoffs(model.rc_radial)[pairs.a, pairs.b]
    r_cut = float(model.rc_radial.max())
    return coulomb(positions, cell, pbc, pairs, near, charges, mode=model.charge.mode, r_cut=r_cut)


def nep_descriptors(
    positions: ArrayLike, cell: ArrayLike, pbc: ArrayLike, species: ArrayLike, model: NepModel
) -> Float:
    r"""Scaled descriptors, (n, n_descriptors): radial, then blocks of l = 1 .. l_max and of the 4- and 5-body terms.

    .. math:: q_n = \sum_j g_n(r_{ij}), \quad q_{nl} = \sum_m C_{lm} S_{nlm}^2, \quad S_{nlm} = \sum_j g_n(r_{ij}) Y_{lm}(\hat r_{ij})
    """
    return _descriptors(positions, cell, pbc, species, model)[1].q * model.q_scaler


def nep_dipole(
    positions: ArrayLike, cell: ArrayLike, pbc: ArrayLike, species: ArrayLike, model: NepModel
) -> Float:
    r"""Dipole of a tensor model, (3,): :math:`-\sum_{ij} r_{ij}^2\, \partial U_i / \partial \mathbf r_{ij}`."""
    pairs, d = _descriptors(positions, cell, pbc, species, model)
    slope = _networks(model.networks, d.kind, d.q * model.q_scaler)[1]
    p = _pair_gradients(pairs, d, slope * model.q_scaler, model)
    return np.asarray(-(pairs.r**2) @ p)


def nep_polarizability(
    positions: ArrayLike, cell: ArrayLike, pbc: ArrayLike, species: ArrayLike, model: NepModel
) -> Float:
    r"""Polarizability of a tensor model, (3, 3): :math:`\sum_i P_i \mathbf 1 - \sum_{ij} \mathbf r_{ij} \otimes \partial U_i / \partial \mathbf r_{ij}`."""
    assert model.scalar is not None
    pairs, d = _descriptors(positions, cell, pbc, species, model)
    q = d.q * model.q_scaler
    slope = _networks(model.networks, d.kind, q)[1]
    p = _pair_gradients(pairs, d, slope * model.q_scaler, model)
    isotropic = _networks(model.scalar, d.kind, q)[0].sum()
    return np.asarray(isotropic * np.eye(3) - pairs.D.T @ p)


@dataclass(frozen=True, slots=True)
class _Forward:
    """Descriptors and what their derivatives need."""

    kind: np.ndarray
    q: Float  # (n, n_descriptors), not scaled
    S: Float  # (n, n_angular, n_lm)
    radial: tuple[Float, Float]  # g and g' of each pair, (pairs, n_radial)
    angular: tuple[Float, Float]  # (pairs, n_angular)
    Y: Float  # (pairs, n_lm)
    dY: Float  # (pairs, n_lm, 3), gradient of the polynomials


def _descriptors(
    positions: ArrayLike, cell: ArrayLike, pbc: ArrayLike, species: ArrayLike, model: NepModel
) -> tuple[PairList, _Forward]:
    pairs = pair_list(positions, cell, pbc, species, model.cutoff)
    radial = _radial_functions(pairs, model, model.rc_radial, model.c_radial)
    angular = _radial_functions(pairs, model, model.rc_angular, model.c_angular)
    Y, dY = _harmonics(pairs.D / pairs.r[:, None], model.l_max)
    S = np.stack([[sum_at(pairs.i, g * y, pairs.n) for y in Y.T] for g in angular[0].T]).transpose(
        2, 0, 1
    )
    q = [np.stack([sum_at(pairs.i, g, pairs.n) for g in radial[0].T], axis=1)]
    q += [value for value, _ in _invariants(S, model)]
    kind = np.asarray(species, dtype=np.int64)
    return pairs, _Forward(kind, np.concatenate(q, axis=1), S, radial, angular, Y, dY)


def _radial_functions(
    pairs: PairList, model: NepModel, rc_type: Float, c: Float
) -> tuple[Float, Float]:
    """g_n(r) = sum_k c_nk f_k(r) and its derivative; f_k = (T_k(x) + 1)/2 fc, x = 2 (r/rc - 1)^2 - 1."""
    rc = model.pair_cutoffs(rc_type)[pairs.a, pairs.b]
    inside = pairs.r < rc
    fc = np.where(inside, 0.5 * (1 + np.cos(np.pi * pairs.r / rc)), 0.0)
    dfc = np.where(inside, -0.5 * np.pi / rc * np.sin(np.pi * pairs.r / rc), 0.0)
    a = pairs.r / rc - 1
    x, dx = 2 * a**2 - 1, 4 * a / rc
    T, dT = [np.ones_like(x), x], [np.zeros_like(x), np.ones_like(x)]
    for _ in range(2, c.shape[1]):
        dT.append(2 * T[-1] + 2 * x * dT[-1] - dT[-2])
        T.append(2 * x * T[-1] - T[-2])
    f = np.stack([(t + 1) / 2 * fc for t in T[: c.shape[1]]])
    df = np.stack(
        [dt / 2 * dx * fc + (t + 1) / 2 * dfc for t, dt in zip(T, dT, strict=True)][: c.shape[1]]
    )
    f[0], df[0] = fc, dfc
    c_pair = c[:, :, pairs.a, pairs.b]  # (n, k, pairs)
    return np.einsum("nkp,kp->pn", c_pair, f), np.einsum("nkp,kp->pn", c_pair, df)


def _harmonics(u: Float, l_max: int) -> tuple[Float, Float]:
    """Y_lm(u) and gradients with x, y, z as free variables."""
    x, y, z = u.T
    power = [np.ones_like(x) + 0j]  # (x + i y)^m
    for _ in range(l_max):
        power.append(power[-1] * (x + 1j * y))
    n_lm = (l_max + 1) ** 2 - 1
    Y, dY = np.zeros((len(x), n_lm)), np.zeros((len(x), n_lm, 3))
    for l in range(1, l_max + 1):
        for m in range(l + 1):
            Z = np.polynomial.Polynomial(polynomial(l, m)[0])
            slope = m * power[m - 1] if m else np.zeros_like(power[0])
            for part, take in (("c", np.real), ("s", np.imag)) if m else (("c", np.real),):
                k = index(l, m, part)
                Y[:, k] = Z(z) * take(power[m])
                dY[:, k] = np.stack(
                    [Z(z) * take(slope), Z(z) * take(1j * slope), Z.deriv()(z) * take(power[m])], 1
                )
    return Y, dY


def _invariants(S: Float, model: NepModel) -> list[tuple[Float, Float]]:
    """Blocks of the angular descriptors (n, n_angular), each with its derivative by S."""
    blocks = []
    for l in range(1, model.l_max + 1):
        w = np.zeros(S.shape[-1])
        for m in range(l + 1):
            w[index(l, m, "c")] = weight(l, m) * (2 if m else 1)
            w[index(l, m, "s")] = weight(l, m) * (2 if m else 1)
        blocks.append((S**2 @ w, 2 * w * S))
    for name in model.bodies:
        if name == "1111":
            value, slope = blocks[0]
            blocks.append((7 / 15 * value**2, 14 / 15 * value[..., None] * slope))
            continue
        value, slope = np.zeros(S.shape[:-1]), np.zeros_like(S)
        for c, i, j, k in cubic_terms(*BODY_ORDERS[name]):
            value += c * S[..., i] * S[..., j] * S[..., k]
            slope[..., i] += c * S[..., j] * S[..., k]
            slope[..., j] += c * S[..., i] * S[..., k]
            slope[..., k] += c * S[..., i] * S[..., j]
        blocks.append((value, slope))
    return blocks


def _networks(net: NepNetworks, kind: np.ndarray, q: Float) -> tuple[Float, Float]:
    """Output of each atom's network, and its derivative by the scaled descriptors."""
    t = kind if len(net.w0) > 1 else np.zeros_like(kind)
    energies, slope = np.zeros(len(q)), np.zeros_like(q)
    for k in np.unique(t):
        mine = t == k
        h = np.tanh(q[mine] @ net.w0[k].T - net.b0[k])
        energies[mine] = h @ net.w1[k] - net.bias[k]
        slope[mine] = ((1 - h**2) * net.w1[k]) @ net.w0[k]
    return energies, slope


def _pair_gradients(pairs: PairList, d: _Forward, B: Float, model: NepModel) -> Float:
    """p_ij = dU_i/dr_ij from B = dU_i/dq, (pairs, 3): the adjoint of the sums S first."""
    n_radial, n_angular = d.radial[0].shape[1], d.angular[0].shape[1]
    adjoint = np.zeros_like(d.S)
    for k, (_, slope) in enumerate(_invariants(d.S, model)):
        at = n_radial + k * n_angular
        adjoint += B[:, at : at + n_angular, None] * slope
    w, dw = np.zeros_like(d.Y), np.zeros_like(d.Y)
    for n in range(n_angular):
        of_centre = adjoint[pairs.i, n]
        w += of_centre * d.angular[0][:, n, None]
        dw += of_centre * d.angular[1][:, n, None]
    s = np.einsum("pn,pn->p", B[pairs.i, :n_radial], d.radial[1]) + (dw * d.Y).sum(axis=1)
    v = np.einsum("pm,pmx->px", w, d.dY)
    u = pairs.D / pairs.r[:, None]
    across = v - u * (u * v).sum(axis=1)[:, None]
    return np.asarray(u * s[:, None] + across / pairs.r[:, None])


def _zbl(pairs: PairList, model: NepModel) -> tuple[Float, Float]:
    """Energy and derivative of every pair, K Zi Zj / r phi(r / a) fz(r)."""
    from ase.data import atomic_numbers

    assert model.zbl is not None
    Z = np.array([atomic_numbers[s] for s in model.species], dtype=float)
    a, b, r = pairs.a, pairs.b, pairs.r
    inner, outer = model.zbl.inner[a, b], model.zbl.outer[a, b]
    inside = (r < outer) & (r < model.rc_angular.max())
    inverse_length = (Z[a] ** 0.23 + Z[b] ** 0.23) * 2.134563
    table = (
        np.broadcast_to(UNIVERSAL, (len(r), 8)) if model.zbl.phi is None else model.zbl.phi[a, b]
    )
    x = r * inverse_length
    terms = [table[:, k] * np.exp(-table[:, k + 1] * x) for k in (0, 2, 4, 6)]
    phi = sum(terms)
    d_phi = inverse_length * sum(-table[:, 2 * k + 1] * t for k, t in enumerate(terms))
    v = COULOMB * Z[a] * Z[b] * phi / r
    dv = COULOMB * Z[a] * Z[b] * (d_phi / r - phi / r**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        angle = np.pi * (r - inner) / (outer - inner)
    between = inside & (r >= inner)
    f = np.where(between, 0.5 * (1 + np.cos(angle)), inside)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(between, -0.5 * np.pi / (outer - inner) * np.sin(angle), 0.0)
    return v * f, dv * f + v * df
