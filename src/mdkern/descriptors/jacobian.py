"""Derivatives of a descriptor where they are not zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["SparseJacobian"]


@dataclass(frozen=True, slots=True)
class SparseJacobian:
    """Blocks ``values[b] = dD[center[b]] / dr[atom[b]]`` for all atoms within the cutoff of a center.

    Attributes
    ----------
    center, atom : (n_blocks,) int64
        Sorted by center, then atom. `atom` counts the included atoms.
    values : (n_blocks, 3, n_features)
    shape : tuple
        Of the dense array, (n_centers, n_atoms, 3, n_features).
    """

    center: NDArray[np.int64]
    atom: NDArray[np.int64]
    values: NDArray[Any]
    shape: tuple[int, int, int, int]

    @property
    def nbytes(self) -> int:
        return int(self.center.nbytes + self.atom.nbytes + self.values.nbytes)

    def to_dense(self) -> NDArray[Any]:
        """The array that `derivatives` returns."""
        out = np.zeros(self.shape, dtype=self.values.dtype)
        out[self.center, self.atom] = self.values
        return out

    def to_sparse(self) -> Any:
        """The same as ``sparse.COO`` (package `sparse`)."""
        import sparse

        n, _, f = self.values.shape
        block, xyz, feature = (x.ravel() for x in np.indices((n, 3, f)))
        coords = np.stack([self.center[block], self.atom[block], xyz, feature])
        return sparse.COO(coords, self.values.ravel(), shape=self.shape, prune=True)

    def to_scipy(self) -> Any:
        """Matrix (n_centers * n_features, 3 * n_atoms) of scipy.sparse: ``J @ dr.ravel()`` is ``dD.ravel()``."""
        from scipy.sparse import coo_matrix

        n, _, f = self.values.shape
        rows = np.repeat(self.center * f, 3 * f) + np.tile(np.arange(f), 3 * n)
        columns = np.repeat((3 * self.atom[:, None] + np.arange(3)).ravel(), f)
        n_centers, n_atoms, _, _ = self.shape
        matrix = coo_matrix(
            (self.values.ravel(), (rows, columns)), shape=(n_centers * f, 3 * n_atoms)
        ).tocsr()
        matrix.eliminate_zeros()
        return matrix

    def vjp(self, weights: ArrayLike) -> NDArray[np.float64]:
        """Gradient (n_atoms, 3) of ``sum(weights * D)``, weights (n_centers, n_features)."""
        w = np.asarray(weights, dtype=np.float64)
        g = np.einsum("bxf,bf->bx", self.values, w[self.center])
        out = np.zeros((self.shape[1], 3))
        np.add.at(out, self.atom, g)
        return out
