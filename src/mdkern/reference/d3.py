"""DFT-D3 dispersion in plain NumPy: Grimme, Antony, Ehrlich, Krieg, J. Chem. Phys. 132, 154104 (2010)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from ase.units import Bohr, Hartree
from numpy.typing import ArrayLike

from mdkern.potentials.d3_parameters import tables
from mdkern.reference.pairs import Float, Int, PairList, Result, pair_list, sum_at

__all__ = ["d3", "d3_coordination"]


class _Weights(NamedTuple):
    """Of each atom, (n, 7): weights of its references, their slope by CN, rows of the table (unused ones have weight 0)."""

    w: Float
    slope: Float
    row: Int


class _Sums(NamedTuple):
    """What pairs and triangles add to, in Hartree and bohr; virial: (3, 3) dE/dstrain."""

    energies: Float
    forces: Float
    strain: Float
    by_cn: Float


def d3(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    numbers: ArrayLike,
    damping: str,
    parameters: Mapping[str, float],
    cutoff: float = 60 * Bohr,
    cn_cutoff: float = 40 * Bohr,
    abc_cutoff: float = 40 * Bohr,
    width: float = 0.0,
    cn_width: float = 0.0,
    abc_width: float = 0.0,
) -> Result:
    r"""Energy, forces and virial of D3 with one of its dampings.

    .. math::

        E = -\tfrac12 \sum_{ij} C_6^{ij} g_{ij}(r), \qquad
        C_6^{ij} = \sum_{pq} W_p(CN_i) W_q(CN_j) C_6^{pq}, \qquad
        CN_i = \sum_j \frac{1}{1 + \exp(-16 (r^{cov}_{ij} / r - 1))}

    and with s9 the three-body term of Axilrod, Teller and Muto.

    Parameters
    ----------
    positions, cell, pbc
        As in `neighbor_list` (Angstrom).
    numbers : (n,) int array
        Atomic numbers, 1 to 103.
    damping : {"bj", "zero", "bjm", "zerom"}
    parameters : dict
        As from `mdkern.potentials.d3_parameters.damping_parameters`.
    cutoff, cn_cutoff, abc_cutoff : float
        Of pairs, of coordination numbers, of the three sides of a triangle; Angstrom, inclusive.
    width, cn_width, abc_width : float
        Angstrom before each cutoff over which the term goes smoothly to zero.

    Returns
    -------
    Result
    """
    longest = max(cutoff, cn_cutoff, abc_cutoff if parameters["s9"] else 0.0)
    pairs = _bohr(pair_list(positions, cell, pbc, numbers, np.nextafter(longest, np.inf)))
    near = _within(pairs, cn_cutoff)
    f, df = _counting(near, cn_cutoff, cn_width)
    weights = _weights(sum_at(near.i, f, pairs.n), np.asarray(numbers, dtype=np.int64))
    sums = _two_body(
        _within(pairs, cutoff), weights, damping, parameters, cutoff / Bohr, width / Bohr
    )
    if parameters["s9"]:
        triangles = _Triangles(weights, parameters, abc_cutoff / Bohr, abc_width / Bohr)
        sums = triangles.add(sums, _within(pairs, abc_cutoff))
    # The coordination numbers change with the pairs within their cutoff.
    pull = ((sums.by_cn[near.i] + sums.by_cn[near.j]) * df / near.r)[:, None] * near.D
    forces = sums.forces + _sum3(near.i, pull, pairs.n)
    strain = sums.strain + 0.5 * near.D.T @ pull
    return Result(
        float(sums.energies.sum()) * Hartree,
        sums.energies * Hartree,
        forces * (Hartree / Bohr),
        -strain * Hartree,
    )


def d3_coordination(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    numbers: ArrayLike,
    cn_cutoff: float = 40 * Bohr,
    cn_width: float = 0.0,
) -> Float:
    """Coordination numbers of the atoms, (n,); parameters as of `d3`."""
    pairs = _bohr(pair_list(positions, cell, pbc, numbers, np.nextafter(cn_cutoff, np.inf)))
    return sum_at(pairs.i, _counting(pairs, cn_cutoff, cn_width)[0], pairs.n)


def _bohr(p: PairList) -> PairList:
    return PairList(p.n, p.i, p.j, p.a, p.b, p.D / Bohr, p.r / Bohr)


def _within(p: PairList, cutoff: float) -> PairList:
    k = p.r <= cutoff / Bohr
    return PairList(p.n, p.i[k], p.j[k], p.a[k], p.b[k], p.D[k], p.r[k])


def _sum3(i: Int, vectors: Float, n: int) -> Float:
    return np.stack([sum_at(i, vectors[:, axis], n) for axis in range(3)], axis=1)


def _smooth(r: Float, cutoff: float, width: float) -> tuple[Float, Float]:
    """t^3 (10 - 15 t + 6 t^2) with t = (cutoff - r) / width, 1 before; and its derivative by r."""
    if width == 0.0:
        return np.ones_like(r), np.zeros_like(r)
    t = np.clip((cutoff - r) / width, 0.0, 1.0)
    return t**3 * (10 - 15 * t + 6 * t**2), -30 * t**2 * (1 - t) ** 2 / width


def _counting(p: PairList, cutoff: float, width: float) -> tuple[Float, Float]:
    """What each pair adds to the coordination number of its atoms, and the derivative by r."""
    x = (tables().rcov[p.a] + tables().rcov[p.b]) / p.r
    f = 1 / (1 + np.exp(-16 * (x - 1)))
    df = -16 * x / p.r * f * (1 - f)
    s, ds = _smooth(p.r, cutoff / Bohr, width / Bohr)
    return f * s, df * s + f * ds


def _weights(cn: Float, numbers: Int) -> _Weights:
    t = tables()
    k = np.arange(np.diff(t.first).max())
    used = k < np.diff(t.first)[numbers][:, None]
    row = np.where(used, t.first[numbers][:, None] + k, 0)
    exponent = np.where(used, -4 * (cn[:, None] - t.ref_cn[row]) ** 2, -np.inf)
    # The nearest reference has 1 before the division, so that the sum is never zero.
    w = np.exp(exponent - exponent.max(axis=1, keepdims=True, initial=-np.inf))
    w = w / w.sum(axis=1, keepdims=True)
    mean = (w * t.ref_cn[row]).sum(axis=1, keepdims=True)
    return _Weights(w, 8 * w * (t.ref_cn[row] - mean), row)


def _c6(weights: _Weights, i: Int, j: Int) -> tuple[Float, Float]:
    """C6 of pairs, and its derivative by the coordination number of i."""
    table = tables().c6[weights.row[i][:, :, None], weights.row[j][:, None, :]]
    right = np.einsum("kpq,kq->kp", table, weights.w[j])
    return (right * weights.w[i]).sum(axis=1), (right * weights.slope[i]).sum(axis=1)


def _two_body(
    p: PairList,
    weights: _Weights,
    damping: str,
    parameters: Mapping[str, float],
    cutoff: float,
    width: float,
) -> _Sums:
    g, dg = _damped(p, damping, parameters)
    s, ds = _smooth(p.r, cutoff, width)
    g, dg = g * s, dg * s + g * ds
    c6, c6_by_cn = _c6(weights, p.i, p.j)
    pull = (-c6 * dg / p.r)[:, None] * p.D
    return _Sums(
        energies=sum_at(p.i, -0.5 * c6 * g, p.n),
        forces=_sum3(p.i, pull, p.n),
        strain=0.5 * p.D.T @ pull,
        by_cn=sum_at(p.i, -c6_by_cn * g, p.n),
    )


def _damped(p: PairList, damping: str, c: Mapping[str, float]) -> tuple[Float, Float]:
    """The energy of a pair is -C6 g(r): g and its derivative."""
    t = tables()
    r, q = p.r, 3 * t.sqrt_q[p.a] * t.sqrt_q[p.b]
    if damping.startswith("bj"):
        radius = c["a1"] * np.sqrt(q) + c["a2"]
        six, eight = r**6 + radius**6, r**8 + radius**8
        g = c["s6"] / six + c["s8"] * q / eight
        return g, -6 * c["s6"] * r**5 / six**2 - 8 * c["s8"] * q * r**7 / eight**2
    r0 = t.r0[p.a, p.b]
    g, dg = np.zeros_like(r), np.zeros_like(r)
    for n, s, scale, alp in (
        (6, c["s6"], c["rs6"], c["alp"]),
        (8, c["s8"] * q, c["rs8"], c["alp"] + 2),
    ):
        y = r / (scale * r0) + c.get("bet", 0.0) * r0
        u = 6 * y**-alp
        f = 1 / (1 + u)
        g += s * f / r**n
        dg += s * (f**2 * u * alp / (y * scale * r0) - n * f / r) / r**n
    return g, dg


class _Triangles:
    """Axilrod-Teller-Muto: every triangle of which all sides are within the cutoff, once."""

    def __init__(
        self, weights: _Weights, parameters: Mapping[str, float], cutoff: float, width: float
    ) -> None:
        self.weights, self.cutoff, self.width = weights, cutoff, width
        self.s9, self.alp = parameters["s9"], parameters["alp"] + 2

    def add(self, sums: _Sums, p: PairList) -> _Sums:
        """The sums with those of all triangles of these pairs."""
        energies, forces, strain, by_cn = (x.copy() for x in sums)
        c6, c6_by_i = _c6(self.weights, p.i, p.j)
        order = np.argsort(p.i, kind="stable")
        ends = np.searchsorted(p.i[order], np.arange(p.n + 1))
        for i in range(p.n):
            mine = order[ends[i] : ends[i + 1]]
            # Each triangle is met three times, once from every corner: a third of it belongs to i.
            u, v = np.triu_indices(len(mine), 1)
            side = p.D[mine[v]] - p.D[mine[u]]
            r = np.sqrt((side**2).sum(axis=1))
            inside = r <= self.cutoff
            u, v, side, r = mine[u[inside]], mine[v[inside]], side[inside], r[inside]
            c6_jk, c6_by_j = _c6(self.weights, p.j[u], p.j[v])
            c6_by_k = _c6(self.weights, p.j[v], p.j[u])[1]
            c9 = self.s9 * np.sqrt(c6[u] * c6[v] * c6_jk)
            e, slopes = self.geometry(np.stack([p.r[u], p.r[v], r]), p.a[u], p.b[u], p.b[v])
            e, slopes = c9 * e / 3, c9 * slopes / 3
            energies[i] += e.sum()
            pull_ij, pull_ik, pull_jk = (
                (s / d)[:, None] * D
                for s, d, D in zip(slopes, (p.r[u], p.r[v], r), (p.D[u], p.D[v], side), strict=True)
            )
            forces[i] += (pull_ij + pull_ik).sum(axis=0)
            forces += _sum3(p.j[u], pull_jk - pull_ij, p.n)
            forces -= _sum3(p.j[v], pull_jk + pull_ik, p.n)
            strain += p.D[u].T @ pull_ij + p.D[v].T @ pull_ik + side.T @ pull_jk
            c6_by_ji = _c6(self.weights, p.j[u], p.i[u])[1]
            c6_by_ki = _c6(self.weights, p.j[v], p.i[v])[1]
            by_cn[i] += (0.5 * e * (c6_by_i[u] / c6[u] + c6_by_i[v] / c6[v])).sum()
            by_cn += sum_at(p.j[u], 0.5 * e * (c6_by_ji / c6[u] + c6_by_j / c6_jk), p.n)
            by_cn += sum_at(p.j[v], 0.5 * e * (c6_by_ki / c6[v] + c6_by_k / c6_jk), p.n)
        return _Sums(energies, forces, strain, by_cn)

    def geometry(self, r: Float, z_i: Int, z_j: Int, z_k: Int) -> tuple[Float, Float]:
        """Energy of triangles with C9 = 1 from their sides ij, ik, jk, (3, m); its derivative by each."""
        t = tables()
        a, b, c = r**2
        product = r.prod(axis=0)
        terms = np.stack([a + b - c, a - b + c, -a + b + c])
        angle = 3 / 8 * terms.prod(axis=0) / product**2 + 1
        signs = np.array([[1, 1, -1], [1, -1, 1], [-1, 1, 1]])
        pair = np.stack([terms[1] * terms[2], terms[0] * terms[2], terms[0] * terms[1]])
        by_square = np.einsum("ts,tm->sm", signs, pair) * 3 / 8 / product**2
        d_angle = 2 * r * by_square - 2 * (angle - 1) / r
        radii = t.r0[z_i, z_j] * t.r0[z_i, z_k] * t.r0[z_j, z_k]
        u = 6 * (4 / 3 * (radii / product) ** (1 / 3)) ** self.alp
        f = 1 / (1 + u)
        d_f = f**2 * u * self.alp / 3 / r
        smooth = [_smooth(side, self.cutoff, self.width) for side in r]
        s = smooth[0][0] * smooth[1][0] * smooth[2][0]
        d_s = np.stack(
            [smooth[k][1] * smooth[(k + 1) % 3][0] * smooth[(k + 2) % 3][0] for k in range(3)]
        )
        e = angle * f / product**3
        slope = (d_angle * f + angle * d_f) / product**3 - 3 * e / r
        return e * s, slope * s + e * d_s
