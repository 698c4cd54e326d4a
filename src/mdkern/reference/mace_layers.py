"""The layers of MACE in plain NumPy: sums of messages, linear maps, products; each with its gradient."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from mdkern.io.mace import MaceModel
from mdkern.reference.mace_pairs import Pairs, add_at, apply_mlp, back_mlp, sigmoid, silu
from mdkern.reference.pairs import Float, Int

__all__ = ["Layer", "Messages", "Product", "add"]

MOST_ATOMS = 8  # of which products of features are made at a time


def add(to: list[Float], more: list[Float]) -> None:
    """Adds in place; `more` may end before."""
    for x, y in zip(to, more, strict=False):
        x[...] += y


class Messages:
    r"""The convolution of a layer.

    .. math:: A_{iqkm_3} = \sum_j R_{qk}(r_{ij}) \sum_{m_1 m_2} C^q_{m_1 m_2 m_3} u_{j a_q k m_1} Y_{l_q m_2}, \quad \rho_i = \sum_j \tanh(e_{ij}^2)

    Features are lists over l of (n, 2l + 1, channels) arrays; A has for each l (n, 2l + 1, paths * channels).
    """

    def __init__(self, model: MaceModel, t: int) -> None:
        self.model, self.name, self.layer = model, f"L{t}", model.meta["layers"][t]
        self.dense = "Density" in self.layer["type"] or "NonLinear" in self.layer["type"]
        index, value = (model.arrays[f"L{t}.conv.cg_{what}"] for what in ("idx", "val"))
        last = [ell for _, ell, _ in self.layer["irreps_mid"]]
        self.paths = []  # l1, l2, l3, number among those of l3, coefficients
        for q, (l1, l2, slot) in enumerate(self.layer["paths"]):
            C = np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * last[slot] + 1))
            mine = index[:, 0] == q
            C[tuple(index[mine, 1:].T)] = value[mine]
            self.paths.append((l1, l2, last[slot], last[:slot].count(last[slot]), C))
        self.n_of_l = [last.count(ell) for ell in range(max(last) + 1)]

    def _inputs(self, pairs: Pairs) -> Float:
        """Of the radial nets."""
        b = pairs.basis[0]
        if "NonLinear" not in self.layer["type"]:
            return b
        source, target = (self.model.arrays[f"{self.name}.{end}"] for end in ("source", "target"))
        return np.hstack([b, source[pairs.b], target[pairs.a]])

    def _radial(self, pairs: Pairs) -> tuple[Float, Float, list[Any]]:
        """R (n, paths, channels), what it is the multiple f of, and the net's tape."""
        net, tape = apply_mlp(self.model.arrays, f"{self.name}.radial", self._inputs(pairs))
        net = net.reshape(len(net), len(self.paths), -1)
        if self.model.meta["radial"]["apply_cutoff"]:
            return net, net, tape
        return net * pairs.cutoff[0][:, None, None], net, tape

    def _density(self, pairs: Pairs) -> tuple[Float, Float, Float, list[Any]]:
        """Terms of rho (n,), their derivatives by e and by f, the net's tape."""
        e, tape = apply_mlp(self.model.arrays, f"{self.name}.density", self._inputs(pairs))
        e = e[:, 0]
        term = np.tanh(e * e)
        slope = 2.0 * e * (1.0 - term * term)
        if self.model.meta["radial"]["apply_cutoff"]:
            return term, slope, np.zeros_like(e), tape
        f = pairs.cutoff[0]
        return term * f, slope * f, term, tape

    def forward(self, pairs: Pairs, u: list[Float]) -> tuple[list[Float], Float]:
        n, K = len(u[0]), u[0].shape[2]
        A = [np.zeros((n, 2 * ell + 1, m * K)) for ell, m in enumerate(self.n_of_l)]
        rho = np.zeros(n)
        for _, p in pairs.parts():
            R, Y = self._radial(p)[0], p.harmonics[0]
            for q, (l1, l2, l3, at, C) in enumerate(self.paths):
                T = np.einsum("pb,abc->pca", Y[:, l2 * l2 : (l2 + 1) ** 2], C)
                message = T @ u[l1][p.j] * R[:, q, None, :]
                add_at(A[l3][:, :, at * K : (at + 1) * K], p.i, message)
            if self.dense:
                add_at(rho, p.i, self._density(p)[0])
        return A, rho

    def backward(
        self, pairs: Pairs, u: list[Float], by_A: list[Float], by_rho: Float, pull: Float
    ) -> list[Float]:
        """dE/du, from dE/dA and dE/drho; adds to dE/dD of pairs, `pull`."""
        K = u[0].shape[2]
        by_u = [np.zeros_like(x) for x in u]
        for at_pairs, p in pairs.parts():
            R, net, tape = self._radial(p)
            Y = p.harmonics[0]
            by_R, by_Y = np.empty_like(R), np.zeros_like(Y)
            for q, (l1, l2, l3, at, C) in enumerate(self.paths):
                T = np.einsum("pb,abc->pac", Y[:, l2 * l2 : (l2 + 1) ** 2], C)
                g, uj = by_A[l3][p.i, :, at * K : (at + 1) * K], u[l1][p.j]
                Tg = T @ g
                by_R[:, q] = np.einsum("pak,pak->pk", uj, Tg)
                Ru = uj * R[:, q, None, :]
                by_T = Ru @ g.transpose(0, 2, 1)
                by_Y[:, l2 * l2 : (l2 + 1) ** 2] += np.einsum("pac,abc->pb", by_T, C)
                add_at(by_u[l1], p.j, Tg * R[:, q, None, :])
            by_r = np.zeros(len(p.r))
            if not self.model.meta["radial"]["apply_cutoff"]:
                by_r = np.einsum("pqk,pqk->p", by_R, net) * p.cutoff[1]
                by_R *= p.cutoff[0][:, None, None]
            by_r += self._by_r(p, "radial", tape, by_R.reshape(len(by_R), -1))
            if self.dense:
                _, by_e, by_f, tape = self._density(p)
                by_r += by_rho[p.i] * (
                    self._by_r(p, "density", tape, by_e[:, None]) + by_f * p.cutoff[1]
                )
            pull[at_pairs] += p.pull(by_r, by_Y)
        return by_u

    def _by_r(self, pairs: Pairs, net: str, tape: list[Any], g: Float) -> Float:
        by_input = back_mlp(self.model.arrays, f"{self.name}.{net}", tape, g)
        slope = pairs.basis[1]
        by_r: Float = np.einsum("pn,pn->p", by_input[:, : slope.shape[1]], slope)
        return by_r


class Layer:
    """One layer: features to features, and the gradient back. Features are lists over l of (n, 2l + 1, channels)."""

    def __init__(self, model: MaceModel, t: int, pairs: Pairs, kind: Int) -> None:
        self.arrays, self.name, self.layer = model.arrays, f"L{t}", model.meta["layers"][t]
        self.pairs, self.kind = pairs, kind
        self.messages, self.product = Messages(model, t), Product(model, t)
        block = self.layer["type"]
        self.nonlinear = "NonLinear" in block
        self.residual = "Residual" in block

    def forward(self, h: list[Float]) -> list[Float]:
        self.n_in = len(h)
        self.u = self._linear("up", h)
        A, self.rho = self.messages.forward(self.pairs, self.u)
        self.M = self._linear("lin", A)
        self.denominator = self._denominator()
        M = [x / self.denominator for x in self.M]
        if self.nonlinear:
            add(M, self._linear("res", self.u))
            self.ungated = M
            M = self._linear("lin2", self._gate(M)[0])
        elif not self.residual:
            M = self._of_species(M, back=False)
        self.x = np.concatenate(M, axis=1)
        h_new = self._linear("prod.lin", self.product.forward(self.x, self.kind))
        if self.residual and self.layer["use_sc"]:
            skip = self._linear("skip", h) if self.nonlinear else self._of_species(h, back=False)
            add(h_new, skip)
        return h_new

    def backward(self, by_h_new: list[Float], pull: Float) -> list[Float]:
        """dE/dh from dE/dh_new; adds to dE/dD of pairs, `pull`."""
        by_B = self._linear("prod.lin", by_h_new, back=True)
        by_x = self.product.backward(self.x, self.kind, by_B)
        l_max = self.layer["irreps_target"][-1][1]
        by_M = [by_x[:, ell * ell : (ell + 1) ** 2] for ell in range(l_max + 1)]
        by_u: list[Float] = []
        if self.nonlinear:
            by_M = self._back_gate(self.ungated, self._linear("lin2", by_M, back=True))
            by_u = self._linear("res", by_M, back=True)
        elif not self.residual:
            by_M = self._of_species(by_M, back=True)
        by_M = [g / self.denominator for g in by_M]
        inner = sum(np.einsum("nmk,nmk->n", g, M) for g, M in zip(by_M, self.M, strict=True))
        by_rho = -inner / self.denominator[:, 0, 0] * self._by_rho()
        more = self.messages.backward(
            self.pairs, self.u, self._linear("lin", by_M, back=True), by_rho, pull
        )
        by_h = self._linear("up", [*map(np.add, by_u, more), *more[len(by_u) :]], back=True)
        by_h += [np.zeros((len(self.kind), 2 * ell + 1, by_h[0].shape[2])) for ell in range(len(by_h), self.n_in)]  # fmt: skip
        if self.residual and self.layer["use_sc"]:
            skip = self._linear("skip", by_h_new, back=True) if self.nonlinear else self._of_species(by_h_new, back=True)  # fmt: skip
            add(by_h, skip)
        return by_h

    def _linear(self, name: str, x: list[Float], *, back: bool = False) -> list[Float]:
        """Of each l that the layer has weights for."""
        keys = [f"{self.name}.{name}.{ell}" for ell in range(len(x))]
        weights = [self.arrays[key] for key in keys if key in self.arrays]
        return [f @ (w.T if back else w) for f, w in zip(x, weights, strict=False)]

    def _of_species(self, x: list[Float], *, back: bool) -> list[Float]:
        """The linear map of each atom's species."""
        out = []
        for ell, f in enumerate(x):
            if f"{self.name}.skip.{ell}" not in self.arrays:
                break
            made = np.empty_like(f)
            for s in np.unique(self.kind):
                w = self.arrays[f"{self.name}.skip.{ell}"][s]
                made[self.kind == s] = f[self.kind == s] @ (w.T if back else w)
            out.append(made)
        return out

    def _denominator(self) -> Float:
        n = len(self.rho)
        if self.nonlinear:
            alpha, beta = (self.arrays[f"{self.name}.{x}"] for x in ("alpha", "beta"))
            out: Float = beta * self.rho + alpha
        elif self.messages.dense:
            out = self.rho + 1.0
        else:
            out = np.full(n, self.layer["avg_num_neighbors"])
        return out[:, None, None]

    def _by_rho(self) -> float:
        return float(self.arrays[f"{self.name}.beta"][0]) if self.nonlinear else 1.0

    def _gate(self, y: list[Float]) -> tuple[list[Float], Float, Float, Float]:
        """The first scalars through silu; those of the next go through a sigmoid and multiply an l each."""
        c_silu, c_gate = self.layer["gate_cst"]
        K = y[0].shape[2] // len(y)
        kept, slope = silu(y[0][:, :, :K])
        gates = sigmoid(y[0][:, :, K:])
        of_l = [gates[:, :, (ell - 1) * K : ell * K] for ell in range(1, len(y))]
        out = [c_silu * kept, *(c_gate * g * x for g, x in zip(of_l, y[1:], strict=True))]
        return out, c_silu * slope, c_gate * gates, c_gate * gates * (1.0 - gates)

    def _back_gate(self, y: list[Float], g: list[Float]) -> list[Float]:
        _, slope, gates, by_gates = self._gate(y)
        K = slope.shape[2]
        out = [np.zeros_like(y[0])]
        out[0][:, :, :K] = g[0] * slope
        for ell in range(1, len(y)):
            at = slice((ell - 1) * K, ell * K)
            out.append(g[ell] * gates[:, :, at])
            inner = np.einsum("nmk,nmk->nk", g[ell], y[ell])
            out[0][:, :, ell * K : (ell + 1) * K] = inner[:, None] * by_gates[:, :, at]
        return out


class Product:
    r"""Products of features of an atom, channel by channel.

    .. math:: B_{mk} = \sum_\nu \sum_p W^\nu_{s p k} \sum_{a_1 \dots a_\nu} U^\nu_{m a_1 \dots a_\nu p} x_{a_1 k} \dots x_{a_\nu k}

    U and W are contracted to coefficients of monomials first. A monomial has three factors: x has a component more, which is 1.
    """

    def __init__(self, model: MaceModel, t: int) -> None:
        arrays, layer = model.arrays, model.meta["layers"][t]
        one = (layer["irreps_target"][-1][1] + 1) ** 2
        self.agnostic = layer["agnostic_product"]
        terms, weights = [], []
        for ell, correlation in enumerate(layer["correlation"]):
            for nu in range(1, correlation + 1):
                name = f"L{t}.prod.{ell}"
                index = arrays[f"{name}.U{nu}.idx"].astype(np.int64)
                factors = np.full((len(index), 3), one)
                factors[:, :nu] = index[:, 1 : nu + 1]
                terms.append(np.column_stack([ell * ell + index[:, 0], np.sort(factors, axis=1)]))
                W = arrays[f"{name}.W{nu}"][:, index[:, -1]]
                weights.append(arrays[f"{name}.U{nu}.val"][:, None] * W)
        self.n_out = len(layer["correlation"])
        term, of = np.unique(np.concatenate(terms), axis=0, return_inverse=True)
        monomial, self.monomial_of = np.unique(term[:, 1:], axis=0, return_inverse=True)
        self.factors = monomial.T
        self.monomial_of = self.monomial_of.ravel()
        order = np.argsort(of.ravel(), kind="stable")
        first = np.searchsorted(of.ravel()[order], np.arange(len(term)))
        # (species, terms, channels); the terms of each output component are a slice.
        self.weights = np.add.reduceat(np.concatenate(weights, axis=1)[:, order], first, axis=1)
        ends = np.searchsorted(term[:, 0], np.arange(self.n_out**2 + 1))
        self.of_output = [slice(a, b) for a, b in pairwise(ends)]

    def _parts(self, kind: Int) -> list[tuple[Int, Float]]:
        """Atoms, some of a species at a time, and their coefficients."""
        out = []
        for s in [None] if self.agnostic else np.unique(kind):
            atoms = np.arange(len(kind)) if s is None else np.flatnonzero(kind == s)
            for begin in range(0, len(atoms), MOST_ATOMS):
                out.append((atoms[begin : begin + MOST_ATOMS], self.weights[s or 0]))
        return out

    def _factors(self, x: Float) -> list[Float]:
        x = np.concatenate([x, np.ones_like(x[:, :1])], axis=1)
        return [x[:, f] for f in self.factors]

    def forward(self, x: Float, kind: Int) -> list[Float]:
        out = np.empty((len(x), self.n_out**2, x.shape[2]))
        for atoms, weights in self._parts(kind):
            a, b, c = self._factors(x[atoms])
            monomials = a * b * c
            for m, terms in enumerate(self.of_output):
                out[atoms, m] = np.einsum("tk,ntk->nk", weights[terms], monomials[:, self.monomial_of[terms]])  # fmt: skip
        return [out[:, ell * ell : (ell + 1) ** 2] for ell in range(self.n_out)]

    def backward(self, x: Float, kind: Int, by_out: list[Float]) -> Float:
        g = np.concatenate(by_out, axis=1)
        by_x = np.zeros_like(x)
        for atoms, weights in self._parts(kind):
            factors = self._factors(x[atoms])
            by_monomial = np.zeros_like(factors[0])
            for m, terms in enumerate(self.of_output):
                by_monomial[:, self.monomial_of[terms]] += weights[terms] * g[atoms, m][:, None]
            for k, at in enumerate(self.factors):
                others = factors[(k + 1) % 3] * factors[(k + 2) % 3]
                order = np.argsort(at, kind="stable")
                here, first = np.unique(at[order], return_index=True)
                sums = np.add.reduceat((by_monomial * others)[:, order], first, axis=1)
                inside = here < x.shape[1]
                by_x[atoms[:, None], here[inside]] += sums[:, inside]
        return by_x
