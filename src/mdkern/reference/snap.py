"""SNAP and the bispectrum in plain NumPy: the definition, one atom at a time."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache
from math import factorial, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdkern.io.snap import SnapModel, bispectrum_triples
from mdkern.reference.pairs import Float, Int, Result, pair_list

__all__ = ["bispectrum", "snap"]

Complex = NDArray[np.complex128]


@cache
def clebsch_gordan(j1: int, j2: int, j: int) -> Float:
    """<j1 m1 j2 m2 | j m> by (m1 + j1/2, m2 + j2/2); angular momenta are doubled."""
    out = np.zeros((j1 + 1, j2 + 1))

    def f(n: int) -> int:
        return factorial(n // 2)

    delta = f(j1 + j2 - j) * f(j1 - j2 + j) * f(j2 - j1 + j) / f(j1 + j2 + j + 2)
    for k1, k2 in itertools.product(range(j1 + 1), range(j2 + 1)):
        m1, m2 = 2 * k1 - j1, 2 * k2 - j2
        m = m1 + m2
        if abs(m) > j:
            continue
        z0 = max(0, (j2 - j - m1) // 2, (j1 - j + m2) // 2)
        z1 = min((j1 + j2 - j) // 2, (j1 - m1) // 2, (j2 + m2) // 2)
        total = sum(
            (-1) ** z
            / (
                factorial(z)
                * factorial((j1 + j2 - j) // 2 - z)
                * factorial((j1 - m1) // 2 - z)
                * factorial((j2 + m2) // 2 - z)
                * factorial((j - j2 + m1) // 2 + z)
                * factorial((j - j1 - m2) // 2 + z)
            )
            for z in range(z0, z1 + 1)
        )
        roots = f(j1 + m1) * f(j1 - m1) * f(j2 + m2) * f(j2 - m2) * f(j + m) * f(j - m) * (j + 1)
        out[k1, k2] = total * sqrt(delta * roots)
    return out


def _switch(r: Float, model: SnapModel, rc: Float) -> tuple[Float, Float]:
    """s(r) and its derivative."""
    if not model.switch:
        return np.ones_like(r), np.zeros_like(r)
    x = pi * (r - model.rmin0) / (rc - model.rmin0)
    inside = r > model.rmin0
    s = np.where(inside, 0.5 * (np.cos(x) + 1.0), 1.0)
    return s, np.where(inside, -0.5 * np.sin(x) * pi / (rc - model.rmin0), 0.0)


def _inner(r: Float, middle: Float, half: Float) -> tuple[Float, Float]:
    x = pi / 2 + (r - middle) * pi / (2 * half)
    inside = (r > middle - half) & (r < middle + half)
    s = np.where(inside, 0.5 * (1.0 - np.cos(x)), np.where(r >= middle + half, 1.0, 0.0))
    return s, np.where(inside, 0.5 * np.sin(x) * pi / (2 * half), 0.0)


def _functions(
    d: Float, r: Float, rc: Float, model: SnapModel
) -> tuple[list[Complex], list[Complex]]:
    """u_j (n, j+1, j+1) of n neighbors and derivatives (n, 3, j+1, j+1), without weights."""
    slope = model.rfac0 * pi / (rc - model.rmin0)
    theta = slope * (r - model.rmin0)
    z0 = r / np.tan(theta)
    dz0 = z0 / r - r * slope * (r**2 + z0**2) / r**2
    r0 = np.sqrt(r**2 + z0**2)
    x, y, z = d.T
    unit = d / r[:, None]
    dinv = (-(r + z0 * dz0) / r0**3)[:, None] * unit
    a = (z0 - 1j * z) / r0
    b = (y - 1j * x) / r0
    da = (dz0[:, None] * unit - 1j * np.array([0, 0, 1.0])) / r0[:, None] + (z0 - 1j * z)[
        :, None
    ] * dinv
    db = np.array([-1j, 1.0, 0]) / r0[:, None] + (y - 1j * x)[:, None] * dinv
    n = len(r)
    u = [np.ones((n, 1, 1), dtype=complex)]
    du = [np.zeros((n, 3, 1, 1), dtype=complex)]
    ca, cb, dca, dcb = a.conj(), b.conj(), da.conj(), db.conj()
    for j in range(1, model.twojmax + 1):
        v = np.zeros((n, j + 1, j + 1), dtype=complex)
        dv = np.zeros((n, 3, j + 1, j + 1), dtype=complex)
        for mb in range(j // 2 + 1):
            for ma in range(j):
                p, q = sqrt((j - ma) / (j - mb)), sqrt((ma + 1) / (j - mb))
                u1, du1 = u[j - 1][:, mb, ma], du[j - 1][:, :, mb, ma]
                v[:, mb, ma] += p * ca * u1
                v[:, mb, ma + 1] = -q * cb * u1
                dv[:, :, mb, ma] += p * (dca * u1[:, None] + ca[:, None] * du1)
                dv[:, :, mb, ma + 1] = -q * (dcb * u1[:, None] + cb[:, None] * du1)
        for mb, ma in itertools.product(range(j // 2 + 1), range(j + 1)):
            sign = (-1) ** (ma + mb)
            v[:, j - mb, j - ma] = sign * v[:, mb, ma].conj()
            dv[:, :, j - mb, j - ma] = sign * dv[:, :, mb, ma].conj()
        u.append(v)
        du.append(dv)
    return u, du


@cache
def _coupling(j1: int, j2: int, j: int) -> Float:
    """Tensor (j+1, j1+1, j2+1) of Clebsch-Gordan coefficients."""
    c = clebsch_gordan(j1, j2, j)
    out = np.zeros((j + 1, j1 + 1, j2 + 1))
    for k1, k2 in itertools.product(range(j1 + 1), range(j2 + 1)):
        k = k1 + k2 - (j1 + j2 - j) // 2
        if 0 <= k <= j:
            out[k, k1, k2] = c[k1, k2]
    return out


def _z(u1: Complex, u2: Complex, j1: int, j2: int, j: int, model: SnapModel) -> Complex:
    c = _coupling(j1, j2, j)
    # "bpq,ars,pr,qs->ba", by matrices
    half: Any = np.tensordot(np.tensordot(c, u1, axes=(1, 0)), u2, axes=(1, 0))
    z: Any = np.tensordot(half, c, axes=([1, 2], [1, 2]))
    out: Complex = z / (j + 1) if model.bnorm else z
    return out


@dataclass(frozen=True, slots=True)
class _Atom:
    """Bispectrum of an atom, (n,), and its derivatives by the vectors to the neighbors, (m, 3, n)."""

    values: Float
    gradients: Float


def _atom(model: SnapModel, a: int, kinds: Int, d: Float, r: Float, derivatives: bool) -> _Atom:
    ns = len(model.species) if model.chem else 1
    rc = model.rcutfac * (model.radii[a] + model.radii[kinds])
    s, ds = _switch(r, model, rc)
    if model.sinner is not None and model.dinner is not None:
        t, dt = _inner(
            r,
            0.5 * (model.sinner[a] + model.sinner[kinds]),
            0.5 * (model.dinner[a] + model.dinner[kinds]),
        )
        s, ds = s * t, ds * t + s * dt
    s, ds = model.weights[kinds] * s, model.weights[kinds] * ds
    u, du = _functions(d, r, rc, model)
    unit = d / r[:, None]
    channel = kinds if model.chem else np.zeros_like(kinds)
    own = [model.wselfall or not model.chem or e == a for e in range(ns)]
    total = []
    for e in range(ns):
        of = channel == e
        total.append(
            [
                np.einsum("n,nab->ab", s[of], u[j][of]) + own[e] * np.eye(j + 1)
                for j in range(model.twojmax + 1)
            ]
        )
    triples = bispectrum_triples(model.twojmax)
    values: list[float] = []
    gradients: list[Any] = []
    pull = [
        ds[:, None, None, None] * unit[:, :, None, None] * u[j][:, None]
        + s[:, None, None, None] * du[j]
        for j in range(model.twojmax + 1)
    ]
    for e1, e2, e3 in itertools.product(range(ns), repeat=3):
        isolated = model.bzero and (model.wselfall or not model.chem or e1 == e2 == e3 == a)
        for j1, j2, j in triples:
            z = _z(total[e1][j1], total[e2][j2], j1, j2, j, model)
            b = np.sum(total[e3][j].conj() * z).real
            values.append(b - (0 if not isolated else 1.0 if model.bnorm else j + 1.0))
            if not derivatives:
                continue
            p, q = (1.0, 1.0) if model.bnorm else ((j + 1) / (j1 + 1), (j + 1) / (j2 + 1))
            parts = (
                (e3, j, z, 1.0),
                (e1, j1, _z(total[e3][j], total[e2][j2], j, j2, j1, model), p),
                (e2, j2, _z(total[e3][j], total[e1][j1], j, j1, j2, model), q),
            )
            g = np.zeros((len(r), 3))
            for e, layer, of_z, factor in parts:
                g += (
                    factor
                    * (channel == e)[:, None]
                    * np.einsum("nxab,ab->nx", pull[layer].conj(), of_z).real
                )
            gradients.append(g)
    return _Atom(
        np.array(values),
        np.moveaxis(np.array(gradients), 0, -1) if derivatives else np.zeros((0, 3, 0)),
    )


def _quadratic(b: Float, g: Float) -> tuple[Float, Float]:
    """Components and, behind them, the products of which quadratic terms are made."""
    i, j = np.triu_indices(len(b))
    half = np.where(i == j, 0.5, 1.0)
    values = np.concatenate([b, half * b[i] * b[j]])
    return values, np.concatenate([g, half * (g[..., i] * b[j] + b[i] * g[..., j])], axis=-1)


def _atoms(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    species: ArrayLike,
    model: SnapModel,
    derivatives: bool,
) -> Any:
    radii = model.rcutfac * (model.radii[:, None] + model.radii[None])
    pairs = pair_list(positions, cell, pbc, species, radii)
    kind = np.asarray(species, dtype=np.int64)
    for i in range(pairs.n):
        of = np.flatnonzero(pairs.i == i)
        found = _atom(model, int(kind[i]), pairs.b[of], pairs.D[of], pairs.r[of], derivatives)
        yield i, pairs.j[of], pairs.D[of], found


def bispectrum(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    species: ArrayLike,
    model: SnapModel,
) -> tuple[Float, Float]:
    """Components of every atom (n, k) and derivatives (n, n, 3, k) by the positions of atoms.

    With ``model.quadratic`` the products that quadratic terms multiply follow: half of the squares, and B_k B_l for k < l, by rows.
    Coefficients of the model are not read.
    """
    n = len(np.asarray(species))
    rows: list[Float] = []
    slopes: list[Float] = []
    for i, j, _, atom in _atoms(positions, cell, pbc, species, model, True):
        b, g = atom.values, atom.gradients
        if model.quadratic:
            b, g = _quadratic(b, g)
        out = np.zeros((n, 3, len(b)))
        np.add.at(out, j, g)
        out[i] -= g.sum(axis=0)
        rows.append(b)
        slopes.append(out)
    return np.array(rows), np.array(slopes)


def snap(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    species: ArrayLike,
    model: SnapModel,
) -> Result:
    r"""Energy, forces and virial of :math:`E_i = c_0 + \sum_k c_k B_k (+ \tfrac12 \sum_{kl} c_{kl} B_k B_l)`.

    Parameters
    ----------
    positions, cell, pbc
        As in `neighbor_list` (Angstrom).
    species : (n,) int array
        Index of each atom's element in ``model.species``.
    model : SnapModel

    Returns
    -------
    Result
    """
    kind = np.asarray(species, dtype=np.int64)
    n = len(kind)
    energies, forces, virial = np.zeros(n), np.zeros((n, 3)), np.zeros((3, 3))
    for i, j, d, atom in _atoms(positions, cell, pbc, species, model, True):
        b, g = atom.values, atom.gradients
        if model.quadratic:
            b, g = _quadratic(b, g)
        c = model.coefficients[kind[i]]
        energies[i] = c[0] + c[1:] @ b
        pull = g @ c[1:]
        forces[i] += pull.sum(axis=0)
        np.add.at(forces, j, -pull)
        virial -= d.T @ pull
    return Result(float(energies.sum()), energies, forces, virial)
