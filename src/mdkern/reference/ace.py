r"""Atomic cluster expansion: ``.yace``, ``.ace`` and GRACE/FS models.

.. math::
    A_{i\mu nlm} = \sum_{j \in \mu} R_{nl}(r_{ij}) Y_{lm}(\hat r_{ij}), \quad
    \rho_{ip} = \sum_t c_{tp} \operatorname{Re} \prod_k A_{i, a_{tk}}, \quad
    E_i = \sum_p w_p f(\rho_{ip}; m_p)\, P(\rho^{core}_i) + \rho^{core}_i + E^0_{\mu_i}

with harmonics normalised so that Y_00 = 1. GRACE/FS: real harmonics, and A is summed over neighbours of all elements with
weights Z_{mu n}. R. Drautz, Phys. Rev. B 99, 014104 (2019); Y. Lysogorskiy et al., npj Comput. Mater. 7, 97 (2021);
A. Bochkarev, Y. Lysogorskiy and R. Drautz, Phys. Rev. X 14, 021036 (2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdkern.io.ace_model import AceModel, AceProducts
from mdkern.reference.ace_radial import Radial, embed, radial, smooth_step
from mdkern.reference.pairs import Float, Int, PairList, Result, pair_list, sum_at

__all__ = ["ace", "ace_functions"]

_CHUNK = 64  # atoms whose products are in memory at a time
Numbers = NDArray[Any]  # complex for "ace", real for "grace"


def ace(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    species: ArrayLike,
    model: AceModel,
    tables: bool = True,
) -> Result:
    """Energy, forces and virial.

    Parameters
    ----------
    positions, cell, pbc
        As in `neighbor_list` (Angstrom).
    species : (n,) int array
        Index of each atom's element in ``model.elements``.
    model : AceModel
    tables : bool
        Radial functions by the cubic Hermite tables of the format's own evaluator, which is the definition of ChebLinear in the
        last bin; False: the functions themselves.

    Returns
    -------
    Result

    Raises
    ------
    ValueError
        Atoms so near that the tables do not reach them.
    """
    d = _forward(positions, cell, pbc, species, model, tables)
    energies, d_h = np.zeros(d.pairs.n), np.zeros(d.pairs.n)
    core = sum_at(d.pairs.i, d.radial.h, d.pairs.n)
    nearest = _nearest(model, d.pairs)
    near_slope = np.zeros(d.pairs.n)
    W = np.zeros_like(d.A)
    W1 = np.zeros_like(d.A1)
    for e, products in enumerate(model.products):
        mine = np.flatnonzero(d.kind == e)
        for atoms in np.split(mine, range(_CHUNK, len(mine), _CHUNK)):
            rho, backward = _densities(d, products, atoms)
            F, theta = np.zeros(len(atoms)), np.zeros_like(rho)
            embedding = model.embeddings[e]
            for p, (w, m) in enumerate(
                zip(embedding.weights.tolist(), embedding.exponents.tolist(), strict=True)
            ):
                f, df = embed(embedding.kind, rho[:, p], m)
                F, theta[:, p] = F + w * f, w * df
            own, d_own, d_core, d_fc = _switched(model, e, F, core[atoms], nearest, atoms)
            energies[atoms] = model.scale * own + model.shift + model.e0[e]
            d_h[atoms], near_slope[atoms] = d_core, d_fc
            backward(model.scale * d_own[:, None] * theta, W, W1)
    f = _pair_gradients(model, d, W, W1, d_h)
    if nearest is not None:
        at = nearest.pair[nearest.pair >= 0]
        i = d.pairs.i[at]
        f[at] += (near_slope[i] / d.pairs.r[at])[:, None] * d.pairs.D[at]
    i, j, n = d.pairs.i, d.pairs.j, d.pairs.n
    forces = np.stack([sum_at(i, x, n) - sum_at(j, x, n) for x in f.T], axis=1)
    return Result(float(energies.sum()), energies, forces, -d.pairs.D.T @ f)


def ace_functions(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    species: ArrayLike,
    model: AceModel,
    tables: bool = True,
) -> Float:
    """Values of the functions as they stand in the file, not merged.

    Returns
    -------
    (n, n_columns) float64
        Columns: element after element, its functions in the order of the file, and of each one value (GRACE/FS, with gen_cgs and
        without coefficients) or one for each density (.yace and .ace, with the file's ctildes, so that their sum over
        functions is the density). An atom has 0 in the columns of other elements.
    """
    d = _forward(positions, cell, pbc, species, model, tables)
    column = {tuple(row): k for k, row in enumerate(d.index.tolist())}
    rank1 = {tuple(row): k for k, row in enumerate(d.index1.tolist())}
    blocks = []
    for e, functions in enumerate(model.functions):
        mine = d.kind == e
        for f in functions:
            if model.kind == "ace" and len(f.mus) == 1:
                values: Numbers = d.A1[:, [rank1[int(f.mus[0]), int(f.ns[0])]]]
            else:
                values = np.ones((d.pairs.n, len(f.ms)), d.A.dtype)
                for t, (mu, n, l) in enumerate(zip(f.mus.tolist(), f.ns.tolist(), f.ls.tolist(), strict=True)):  # fmt: skip
                    values = values * np.stack([_one(d, column, mu, n, l, m) for m in f.ms[:, t].tolist()], axis=1)  # fmt: skip
            couplings = f.couplings if f.couplings.ndim == 2 else f.couplings[:, None]
            blocks.append(np.where(mine[:, None], (values @ couplings).real, 0.0))
    return np.concatenate(blocks, axis=1) if blocks else np.zeros((d.pairs.n, 0))


@dataclass(frozen=True, slots=True)
class _Forward:
    """Sums over neighbours, and what their derivatives need."""

    kind: Int
    pairs: PairList
    radial: Radial
    index: Int  # (columns, 4): mu, n, l, m of A; m >= 0 for "ace"
    A: Numbers  # (n, columns)
    index1: Int  # (columns, 2): mu, n of the sums of g
    A1: Float
    Y: dict[tuple[int, int], tuple[Numbers, Numbers]]  # l, m: (pairs,), (pairs, 3)
    weights: Float  # (pairs, n_radial_max): norm Z for "grace", else 1


def _forward(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    species: ArrayLike,
    model: AceModel,
    tables: bool,
) -> _Forward:
    n_el = len(model.elements)
    cutoffs = np.array([[model.bonds[a, b].cutoff for b in range(n_el)] for a in range(n_el)])
    pairs = pair_list(positions, cell, pbc, species, cutoffs)
    functions = radial(model, pairs, tables)
    real = model.kind == "grace"
    used = {tuple(row) for p in model.products for row in p.a_index.tolist()}
    used |= {
        (mu, n, l, m)
        for of_element in model.functions
        for f in of_element
        if real or len(f.mus) > 1
        for row in f.ms.tolist()
        for mu, n, l, m in zip(f.mus.tolist(), f.ns.tolist(), f.ls.tolist(), row, strict=True)
    }
    if not real:
        used = {(mu, n, l, abs(m)) for mu, n, l, m in used}
    index = np.array(sorted(used), dtype=np.int64).reshape(-1, 4)
    index1 = np.array(
        sorted({(int(f.mus[0]), int(f.ns[0])) for fs in model.functions for f in fs if len(f.mus) == 1 and not real}),
        dtype=np.int64,
    ).reshape(-1, 2)  # fmt: skip
    Y = _harmonics(pairs, sorted({(l, m) for _, _, l, m in used}), real)
    weights = model.norm * model.species_weights[pairs.b]
    A = np.zeros((pairs.n, len(index)), float if real else complex)
    of_species = [slice(None) if real else pairs.b == mu for mu in range(1 if real else n_el)]
    for k, (mu, n, l, m) in enumerate(index.tolist()):
        s = of_species[mu]
        values = (weights[s, n] * functions.R[s, n, l]) * Y[l, m][0][s]
        A[:, k] = sum_at(pairs.i[s], values.real, pairs.n)
        if not real:
            A[:, k] += 1j * sum_at(pairs.i[s], values.imag, pairs.n)
    A1 = np.zeros((pairs.n, len(index1)))
    for k, (mu, n) in enumerate(index1.tolist()):
        s = of_species[mu]
        A1[:, k] = sum_at(pairs.i[s], functions.g[s, n], pairs.n)
    kind = np.asarray(species, dtype=np.int64)
    return _Forward(kind, pairs, functions, index, A, index1, A1, Y, weights)


def _one(d: _Forward, column: Any, mu: int, n: int, l: int, m: int) -> Numbers:
    """A of any m: for "ace" A_-m = (-1)^m conj(A_m)."""
    if d.A.dtype.kind == "c" and m < 0:
        return np.asarray((-1) ** m * d.A[:, column[mu, n, l, -m]].conj())
    return np.asarray(d.A[:, column[mu, n, l, m]])


def _harmonics(
    pairs: PairList, wanted: list[tuple[int, int]], real: bool
) -> dict[tuple[int, int], tuple[Numbers, Numbers]]:
    """Y_lm of the direction, and its gradient by the vector r."""
    u = pairs.D / pairs.r[:, None]
    x, y, z = u.T
    power = [np.ones_like(x) + 0j]  # (x + i y)^m
    for _ in range(max((abs(m) for _, m in wanted), default=0)):
        power.append(power[-1] * (x + 1j * y))
    out = {}
    for l, signed in wanted:
        m = abs(signed)
        q = np.polynomial.Polynomial(np.polynomial.legendre.leg2poly([0] * l + [1])).deriv(m)
        scale = (-1) ** m * sqrt((2 * l + 1) * factorial(l - m) / factorial(l + m))
        Q, dQ = scale * q(z), scale * q.deriv()(z)
        slope = m * power[m - 1] if m else np.zeros_like(power[0])
        value = Q * power[m]
        free = np.stack([Q * slope, 1j * Q * slope, dQ * power[m]], axis=1)
        if real:
            value, free = _real_part(value, signed), _real_part(free, signed)
        across = free - u * np.einsum("px,px->p", u, free)[:, None]
        out[l, signed] = value, across / pairs.r[:, None]
    return out


def _real_part(Y: Numbers, m: int) -> Float:
    """Of the harmonic of ``abs(m)``: Y_l0, or sqrt(2) (-1)^m times the real (m > 0) or imaginary part."""
    if m == 0:
        return np.asarray(Y.real)
    return np.asarray(sqrt(2) * (-1) ** m * (Y.real if m > 0 else Y.imag))


def _densities(d: _Forward, products: AceProducts, atoms: Int) -> tuple[Float, Any]:
    """rho of atoms of one element, (atoms, ndensity), and the function that adds their gradient to W and W1."""
    column = {tuple(row): k for k, row in enumerate(d.index.tolist())}
    rank1 = {tuple(row): k for k, row in enumerate(d.index1.tolist())}
    columns1 = np.array([rank1[tuple(row)] for row in products.rank1.tolist()], dtype=np.int64)
    complex_ = d.A.dtype.kind == "c"
    index = products.a_index.astype(np.int64)
    m = index[:, 3].copy()
    if complex_:
        index[:, 3] = np.abs(m)
    columns = np.array([column[tuple(row)] for row in index.tolist()], dtype=np.int64)
    turned = complex_ & (m < 0)
    sign = np.where(turned, (-1.0) ** np.abs(m), 1.0)
    A = d.A[np.ix_(atoms, columns)]
    A = np.where(turned, A.conj(), A) * sign
    rho = d.A1[np.ix_(atoms, columns1)] @ products.rank1_coefficients
    for rank, rows in products.terms.items():
        value = A[:, rows[:, 0]]
        for k in range(1, rank):
            value = value * A[:, rows[:, k]]
        rho = rho + value.real @ products.coefficients[rank]

    def backward(theta: Float, W: Numbers, W1: Float) -> None:
        W1[np.ix_(atoms, columns1)] += theta @ products.rank1_coefficients.T
        G = np.zeros((len(columns), len(atoms)), A.dtype)
        for rank, rows in products.terms.items():
            behind = [np.ones((len(atoms), len(rows)), A.dtype)]
            for k in range(rank - 1, 0, -1):
                behind.append(behind[-1] * A[:, rows[:, k]])
            before: Numbers = theta @ products.coefficients[rank].T
            for k in range(rank):
                order = np.argsort(rows[:, k], kind="stable")
                which, start = np.unique(rows[order, k], return_index=True)
                terms = (before * behind[rank - 1 - k]).T[order]
                G[which] += np.add.reduceat(terms, start, axis=0)
                before = before * A[:, rows[:, k]]
        # Re(G dA_-m) = (-1)^m Re(conj(G) dA_m): all weights belong to m >= 0.
        G = np.where(turned[:, None], G.conj(), G) * sign[:, None]
        for k, c in enumerate(columns.tolist()):
            W[atoms, c] += G[k]

    return rho, backward


@dataclass(frozen=True, slots=True)
class _Nearest:
    """For inner_cutoff_type zbl: the pair of each atom that decides (-1: none), fc and its derivative by r."""

    pair: Int
    fc: Float
    slope: Float


def _nearest(model: AceModel, pairs: PairList) -> _Nearest | None:
    """The neighbour of the smallest r - (rcut_in - dcut_in)."""
    if model.inner != "zbl" or model.kind == "grace":
        return None
    n_el = len(model.elements)
    table = np.array([[(model.bonds[a, b].r_in, model.bonds[a, b].d_in) for b in range(n_el)] for a in range(n_el)])  # fmt: skip
    r_in, d_in = np.moveaxis(table[pairs.a, pairs.b].reshape(-1, 2), 1, 0)
    d = pairs.r - (r_in - d_in)
    order = np.lexsort((np.arange(len(d)), d, pairs.i))
    atoms, first = np.unique(pairs.i[order], return_index=True)
    chosen = order[first]
    pair = np.full(pairs.n, -1, dtype=np.int64)
    fc, slope = np.ones(pairs.n), np.zeros(pairs.n)
    pair[atoms] = chosen
    p, dp = smooth_step(d_in[chosen] - d[chosen], d_in[chosen], d_in[chosen])
    fc[atoms], slope[atoms] = p, -dp
    return _Nearest(pair, fc, slope)


def _switched(
    model: AceModel, e: int, F: Float, core: Float, nearest: _Nearest | None, atoms: Int
) -> tuple[Float, Float, Float, Float]:
    """Energy of the expansion with the core repulsion; its derivatives by F, by rho_core, and by the deciding distance."""
    if model.kind == "grace":
        return F, np.ones_like(F), np.zeros_like(F), np.zeros_like(F)
    if nearest is not None:
        fc = nearest.fc[atoms]
        return F * fc + core * (1 - fc), fc, 1 - fc, (F - core) * nearest.slope[atoms]
    embedding = model.embeddings[e]
    p, dp = smooth_step(core, embedding.rho_cut, embedding.drho_cut)
    return F * p + core, p, F * dp + 1, np.zeros_like(F)


def _pair_gradients(model: AceModel, d: _Forward, W: Numbers, W1: Float, d_h: Float) -> Float:
    """f_ij = dE_i/dr_ij, (pairs, 3)."""
    pairs, functions = d.pairs, d.radial
    along, across = d_h[pairs.i] * functions.dh, np.zeros((len(pairs.r), 3))
    real = model.kind == "grace"
    for k, (mu, n) in enumerate(d.index1.tolist()):
        s = np.flatnonzero(pairs.b == mu)
        along[s] += W1[pairs.i[s], k] * functions.dg[s, n]
    for mu, l, m in sorted({(mu, l, m) for mu, _, l, m in d.index.tolist()}):
        columns = np.flatnonzero((d.index[:, [0, 2, 3]] == (mu, l, m)).all(axis=1))
        n = d.index[columns, 1]
        s = np.arange(len(pairs.r)) if real else np.flatnonzero(pairs.b == mu)
        w = W[np.ix_(pairs.i[s], columns)] * d.weights[np.ix_(s, n)]
        Y, dY = d.Y[l, m]
        along[s] += (np.einsum("pn,pn->p", w, functions.dR[s][:, n, l]) * Y[s]).real
        across[s] += (np.einsum("pn,pn->p", w, functions.R[s][:, n, l])[:, None] * dY[s]).real
    return np.asarray(across + (along / pairs.r)[:, None] * pairs.D)
