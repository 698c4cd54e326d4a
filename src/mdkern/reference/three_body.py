"""What the three-body potentials share: triplets of a pair list, and sums of gradients."""

from __future__ import annotations

import numpy as np

from mdkern.reference.pairs import Float, Int, PairList, Result, sum_at

__all__ = ["Triplets", "spread", "sum_gradients", "triplets"]


class Triplets:
    """Ordered pairs of pairs of one centre: the numbers p and q of a pair i-j and another one i-k, and the cosine of their angle."""

    def __init__(self, pairs: PairList) -> None:
        self.p, self.q = triplets(pairs)
        n = pairs.D / pairs.r[:, None]
        self.n_p, self.n_q = n[self.p], n[self.q]
        self.cos = np.einsum("ij,ij->i", self.n_p, self.n_q)
        self.r_p, self.r_q = pairs.r[self.p], pairs.r[self.q]
        self.kinds = (pairs.a[self.p], pairs.b[self.p], pairs.b[self.q])

    def gradient(self, pairs: PairList, by_p: Float, by_q: Float, by_cos: Float) -> Float:
        """dE/dD of each pair, (m, 3), from the derivatives by the two distances and by the cosine of each triplet."""
        on_p = (by_p - by_cos * self.cos / self.r_p)[:, None] * self.n_p
        on_p += (by_cos / self.r_p)[:, None] * self.n_q
        on_q = (by_q - by_cos * self.cos / self.r_q)[:, None] * self.n_q
        on_q += (by_cos / self.r_q)[:, None] * self.n_p
        m = len(pairs.r)
        return spread(self.p, on_p, m) + spread(self.q, on_q, m)


def triplets(pairs: PairList) -> tuple[Int, Int]:
    """Numbers p != q of all ordered pairs of pairs with one centre."""
    order = np.argsort(pairs.i, kind="stable")
    count = np.bincount(pairs.i, minlength=pairs.n)
    first = np.cumsum(count) - count
    partners = count[pairs.i]
    p = np.repeat(np.arange(len(pairs.i)), partners)
    begin = np.repeat(np.cumsum(partners) - partners, partners)
    q = order[first[pairs.i[p]] + np.arange(len(p)) - begin]
    keep = p != q
    return p[keep], q[keep]


def spread(at: Int, vectors: Float, n: int) -> Float:
    """Sums of the vectors, (n, 3)."""
    return np.stack([sum_at(at, vectors[:, c], n) for c in range(3)], axis=1)


def sum_gradients(pairs: PairList, gradient: Float, energies: Float) -> Result:
    """Result from dE/dD of each pair, D from i to j, and energies of the atoms."""
    forces = spread(pairs.i, gradient, pairs.n) - spread(pairs.j, gradient, pairs.n)
    w = -pairs.D.T @ gradient
    return Result(float(energies.sum()), energies, forces, 0.5 * (w + w.T))
