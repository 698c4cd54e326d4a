"""Descriptors of Deep Potential models in plain NumPy, with their reverse mode.

Every descriptor is a function that returns the values x and a function `back`: from ``dE/dx`` it makes
``dE_i/d(r_j - r_i)`` of all pairs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdkern.io.deepmd_models import Descriptor, Dpa1, Hybrid, Net, SeA, SeR, SeT
from mdkern.reference.deepmd_attention import attention
from mdkern.reference.deepmd_nets import net_backward, net_forward, type_vectors
from mdkern.reference.pairs import Float, PairList

__all__ = ["Environment", "Slots", "embed", "switch"]

Int = NDArray[np.int64]
Back = Callable[[Float], Float]


@dataclass(frozen=True, slots=True)
class Slots:
    """(n, N) table of entries of the pair list, -1 where a slot is empty; sections begin at `starts`."""

    table: Int
    starts: tuple[int, ...]

    @classmethod
    def fill(cls, pairs: PairList, kinds: Int, r_cut: float, sel: Int, mixed: bool) -> Slots:
        """The nearest ``sum(sel)`` neighbors of each atom, then of each type the nearest `sel` of it."""
        total = int(sel.sum())
        table = np.full((pairs.n, total), -1)
        order = np.lexsort((pairs.r, pairs.i))
        order = order[pairs.r[order] <= r_cut]
        ends = np.searchsorted(pairs.i[order], np.arange(pairs.n + 1))
        for i in range(pairs.n):
            mine = order[ends[i] : ends[i + 1]][:total]
            table[i, : len(mine)] = mine
        slots = cls(table, (0, total))
        return slots if mixed else slots.by_type(pairs, kinds, sel)

    def by_type(self, pairs: PairList, kinds: Int, sel: Int) -> Slots:
        """A section for each type with the nearest `sel` of it, from one section of all."""
        starts = (0, *np.cumsum(sel).tolist())
        table = np.full((pairs.n, starts[-1]), -1)
        for i, row in enumerate(self.table):
            mine = row[row >= 0]
            for t, (begin, end) in enumerate(itertools.pairwise(starts)):
                some = mine[kinds[pairs.j[mine]] == t][: end - begin]
                table[i, begin : begin + len(some)] = some
        return Slots(table, starts)

    def without(self, removed: tuple[tuple[int, int], ...], pairs: PairList) -> Slots:
        """These pairs of types no longer see each other: their slots are empty."""
        table = self.table.copy()
        for pair in removed:
            table[self.of_types(pair, pairs)] = -1
        return Slots(table, self.starts)

    def of_types(self, pair: tuple[int, int], pairs: PairList) -> NDArray[np.bool_]:
        """(n, N): slots with such a pair."""
        if not len(pairs.r):
            return np.zeros(self.table.shape, dtype=bool)
        a, b = pairs.a[self.table], pairs.b[self.table]
        here = ((a == pair[0]) & (b == pair[1])) | ((a == pair[1]) & (b == pair[0]))
        return np.asarray(here & (self.table >= 0))

    def part(self, sel: Int) -> Slots:
        """The nearest `sel` of every section."""
        columns = [np.arange(b, b + n) for b, n in zip(self.starts[:-1], sel.tolist(), strict=True)]
        return Slots(self.table[:, np.concatenate(columns)], (0, *np.cumsum(sel).tolist()))


def switch(r: Float, r_cut_smth: float, r_cut: float) -> tuple[Float, Float]:
    """w(r) from 1 at `r_cut_smth` to 0 at `r_cut`, and its derivative."""
    u = np.clip((r - r_cut_smth) / (r_cut - r_cut_smth), 0.0, 1.0)
    w = 1 - 10 * u**3 + 15 * u**4 - 6 * u**5
    return w, (-30 * u**2 + 60 * u**3 - 30 * u**4) / (r_cut - r_cut_smth)


class Environment:
    """Rows ``X = (R - davg) / dstd`` of all slots, with ``R = (w/(r+p), w d/(r+p)^2)``, zero in empty slots.

    X (n, N, 4) or (n, N, 1), w (n, N); `live` are slots whose row depends on positions.
    """

    def __init__(
        self, d: SeA | SeR | SeT | Dpa1, pairs: PairList, slots: Slots, kinds: Int
    ) -> None:
        self.pairs, self.slots = pairs, slots
        real = slots.table >= 0
        n, total = slots.table.shape
        self.d = np.zeros((n, total, 3))
        self.d[real] = pairs.D[slots.table[real]]
        self.r = np.ones((n, total))
        self.r[real] = pairs.r[slots.table[real]]
        w, dw = switch(self.r, d.r_cut_smth, d.r_cut)
        near = self.r + d.protection
        self.s, self.ds = w / near, dw / near - w / near**2
        self.q, self.dq = w / near**2, dw / near**2 - 2 * w / near**3
        R = np.concatenate([self.s[..., None], self.q[..., None] * self.d], axis=2)
        R[~real] = 0.0
        self.columns = d.davg.shape[1]
        mean, self.std = d.davg[kinds][:, None], d.dstd[kinds][:, None]
        self.X = (R[..., : self.columns] - mean) / self.std
        excluded = np.zeros_like(real)
        for pair in d.exclude:
            excluded |= slots.of_types(pair, pairs)
        self.X[excluded] = 0.0
        self.live = real & ~excluded
        self.w, self.dw = np.where(self.live, w, 0.0), np.where(self.live, dw, 0.0)

    def back(self, gX: Float, gw: Float | None = None) -> Float:
        """dE_i/d(r_j - r_i) of all pairs from dE/dX and dE/dw."""
        g = np.zeros((*self.r.shape, 4))
        g[..., : self.columns] = gX / self.std
        radial = g[..., 0] * self.ds + (g[..., 1:] * self.d).sum(axis=2) * self.dq
        if gw is not None:
            radial = radial + gw * self.dw
        p = (radial / self.r)[..., None] * self.d + g[..., 1:] * self.q[..., None]
        out = np.zeros((len(self.pairs.r), 3))
        out[self.slots.table[self.live]] = p[self.live]
        return out


def embed(d: Descriptor, pairs: PairList, slots: Slots, kinds: Int) -> tuple[Float, Back]:
    """Descriptors (n, width) and their reverse mode."""
    if isinstance(d, Hybrid):
        parts = []
        for part in d.parts:
            own = part.mixed or not d.mixed  # of the sections that all share
            mine = slots.part(part.sel) if own else slots.by_type(pairs, kinds, part.sel)
            parts.append(embed(part, pairs, mine, kinds))
        ends = np.cumsum([part.width for part in d.parts])[:-1]

        def back(g: Float) -> Float:
            pieces = np.split(g, ends, axis=1)
            return np.asarray(sum(f(x) for (_, f), x in zip(parts, pieces, strict=True)))

        return np.concatenate([x for x, _ in parts], axis=1), back
    env = Environment(d, pairs, slots, kinds)
    if isinstance(d, SeA):
        return _se_a(d, env, kinds)
    if isinstance(d, SeR):
        return _se_r(d, env)
    if isinstance(d, SeT):
        return _se_t(d, env)
    return _dpa1(d, env, kinds)


class _Sections:
    """Embedding nets of s, section by section, over all centres: G (n, N, M)."""

    def __init__(
        self, net_of: Callable[[int, int], Net], s: Float, starts: tuple[int, ...], kinds: Int
    ) -> None:
        self.parts = []
        self.shape = s.shape
        self.G = np.empty((*s.shape, net_of(0, 0).n_out))
        for t in range(len(starts) - 1):
            for a in np.unique(kinds).tolist():
                net = net_of(a, t)
                where = np.ix_(np.flatnonzero(kinds == a), np.arange(starts[t], starts[t + 1]))
                self.G[where], tape = net_forward(net, s[where][..., None])
                self.parts.append((net, where, tape))

    def back(self, gG: Float) -> Float:
        """dE/ds, (n, N)."""
        out = np.zeros(self.shape)
        for net, where, tape in self.parts:
            out[where] = net_backward(net, tape, gG[where])[..., 0]
        return out


def _moments(G: Float, X: Float, axis: int) -> tuple[Float, Callable[[Float], tuple[Float, Float]]]:
    """``D = T T[:axis]^T`` with ``T = G^T X / N``, flattened; back gives dE/dG and dE/dX."""
    total = G.shape[1]
    T = np.einsum("inm,inc->imc", G, X) / total
    D = np.einsum("imc,ikc->imk", T, T[:, :axis])

    def back(g: Float) -> tuple[Float, Float]:
        gD = g.reshape(D.shape)
        gT = np.einsum("imk,ikc->imc", gD, T[:, :axis])
        gT[:, :axis] += np.einsum("imk,imc->ikc", gD, T)
        gT /= total
        return np.einsum("inc,imc->inm", X, gT), np.einsum("inm,imc->inc", G, gT)

    return D.reshape(len(D), -1), back


def _se_a(d: SeA, env: Environment, kinds: Int) -> tuple[Float, Back]:
    nets = _Sections(d.net, env.X[..., 0], env.slots.starts, kinds)
    x, moments_back = _moments(nets.G, env.X, d.axis_neuron)

    def back(g: Float) -> Float:
        gG, gX = moments_back(g)
        gX[..., 0] += nets.back(gG)
        return env.back(gX)

    return x, back


def _se_r(d: SeR, env: Environment) -> tuple[Float, Back]:
    """The mean of G over the slots, by 5."""
    s = env.X[..., 0]
    nets = _Sections(lambda _, t: d.nets[t], s, env.slots.starts, np.zeros(len(s), dtype=np.int64))
    scale = 1 / (5 * s.shape[1])

    def back(g: Float) -> Float:
        gG = np.broadcast_to(scale * g[:, None], nets.G.shape)
        return env.back(nets.back(gG)[..., None])

    return scale * nets.G.sum(axis=1), back


def _se_t(d: SeT, env: Environment) -> tuple[Float, Back]:
    """``sum e G(e) / (sel sel')`` over pairs of slots of every two sections, ``e = X_j . X_k``."""
    starts = env.slots.starts
    parts = []
    x = np.zeros((len(env.X), d.width))
    for a in range(len(d.sel)):
        for b in range(a, len(d.sel)):
            j, k = slice(starts[a], starts[a + 1]), slice(starts[b], starts[b + 1])
            net, scale = d.net(a, b), 1 / (d.sel[a] * d.sel[b])
            e = np.einsum("ijc,ikc->ijk", env.X[:, j, 1:], env.X[:, k, 1:])
            G, tape = net_forward(net, e[..., None])
            x += scale * np.einsum("ijk,ijkm->im", e, G)
            parts.append((j, k, net, scale, e, G, tape))

    def back(g: Float) -> Float:
        gX = np.zeros_like(env.X)
        for j, k, net, scale, e, G, tape in parts:
            ge = np.einsum("im,ijkm->ijk", g, G)
            ge += net_backward(net, tape, e[..., None] * g[:, None, None])[..., 0]
            gX[:, j, 1:] += scale * np.einsum("ijk,ikc->ijc", ge, env.X[:, k, 1:])
            gX[:, k, 1:] += scale * np.einsum("ijk,ijc->ikc", ge, env.X[:, j, 1:])
        return env.back(gX)

    return x, back


def _dpa1(d: Dpa1, env: Environment, kinds: Int) -> tuple[Float, Back]:
    vectors = type_vectors(d)
    n, total = env.r.shape
    types = np.full((n, total), kinds[0])  # as the original has it: an empty slot refers to atom 0
    types[env.live] = env.pairs.b[env.slots.table[env.live]]
    neighbor, centre = (
        vectors[types],
        np.broadcast_to(vectors[kinds][:, None], (n, total, d.n_tebd)),
    )
    both = [neighbor] if d.one_side else [neighbor, centre]
    s = env.X[..., :1]
    factor: Float = np.ones((1, 1, 1))
    plain: Float | None = None
    if d.strip_net is not None:
        plain = net_forward(d.strip_net, np.concatenate(both, axis=2))[0]
        factor = 1 + (plain * env.w[..., None] if d.smooth else plain)
        Gs, tape = net_forward(d.net, s)
    else:
        Gs, tape = net_forward(d.net, np.concatenate([s, *both], axis=2))
    G, attention_back = attention(d, Gs * factor, env.X, env.w, env.live)
    own, moments_back = _moments(G, env.X, d.axis_neuron)
    x = np.concatenate([own, vectors[kinds]], axis=1) if d.concat_output else own

    def back(g: Float) -> Float:
        gG, gX = moments_back(g[:, : own.shape[1]])
        gG, gX_more, gw = attention_back(gG)
        gX += gX_more
        gX[..., 0] += net_backward(d.net, tape, gG * factor)[..., 0]
        if plain is not None and d.smooth:
            gw = gw + (gG * Gs * plain).sum(axis=2)
        return env.back(gX, gw)

    return x, back
