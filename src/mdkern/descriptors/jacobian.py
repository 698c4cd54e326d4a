"""Derivatives of a descriptor where they are not zero."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["SparseJacobian"]


@dataclass(frozen=True, slots=True)
class SparseJacobian:
    """Blocks ``values[b] = dD[center[b]] / dr[atom[b]]`` for all atoms within the cutoff of a center.

    Only features that an atom of its species can change are stored.

    Attributes
    ----------
    center, atom : (n_blocks,) int64
        Sorted by center, then atom. `atom` counts the included atoms.
    packed : array
        The stored numbers, part after part.
    parts : list of (blocks, features)
        What a part holds, (len(blocks), 3, len(features)): numbers of blocks and of features, int64. Other features of
        these blocks are zero.
    shape : tuple
        Of the dense array, (n_centers, n_atoms, 3, n_features).
    """

    center: NDArray[np.int64]
    atom: NDArray[np.int64]
    packed: NDArray[Any]
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64]]]
    shape: tuple[int, int, int, int]

    @classmethod
    def whole(cls, center: Any, atom: Any, values: Any, shape: Any) -> SparseJacobian:
        """Of blocks with all features, values (n_blocks, 3, n_features)."""
        part = (np.arange(len(center)), np.arange(shape[3]))
        return cls(center, atom, values.ravel(), [part], shape)

    @property
    def nbytes(self) -> int:
        return int(self.center.nbytes + self.atom.nbytes + self.packed.nbytes)

    def blocks(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]]:
        """(blocks, features, values) of each part; values are views (len(blocks), 3, len(features))."""
        at = 0
        for block, feature in self.parts:
            n = 3 * len(block) * len(feature)
            yield block, feature, self.packed[at : at + n].reshape(len(block), 3, len(feature))
            at += n

    @property
    def values(self) -> NDArray[Any]:
        """All features of all blocks, (n_blocks, 3, n_features): a new array if some are not stored."""
        n_blocks, n_features = len(self.center), self.shape[3]
        if self.packed.size == 3 * n_blocks * n_features and len(self.parts) == 1:
            return self.packed.reshape(n_blocks, 3, n_features)
        out = np.zeros((n_blocks, 3, n_features), dtype=self.packed.dtype)
        for block, feature, values in self.blocks():
            out[np.ix_(block, np.arange(3), feature)] = values
        return out

    def to_dense(self) -> NDArray[Any]:
        """The array that `derivatives` returns."""
        out = np.zeros(self.shape, dtype=self.packed.dtype)
        out[self.center, self.atom] = self.values
        return out

    def _coordinates(self) -> NDArray[np.int64]:
        """Center, atom, direction and feature of each stored number, (4, n)."""
        all_of = []
        for block, feature, _ in self.blocks():
            b, xyz, f = (x.ravel() for x in np.meshgrid(block, range(3), feature, indexing="ij"))
            all_of.append(np.stack([self.center[b], self.atom[b], xyz, f]))
        return np.concatenate(all_of, axis=1) if all_of else np.zeros((4, 0), dtype=np.int64)

    def to_sparse(self) -> Any:
        """The same as ``sparse.COO`` (package `sparse`)."""
        import sparse

        return sparse.COO(self._coordinates(), self.packed, shape=self.shape, prune=True)

    def to_scipy(self) -> Any:
        """Matrix (n_centers * n_features, 3 * n_atoms) of scipy.sparse: ``J @ dr.ravel()`` is ``dD.ravel()``."""
        from scipy.sparse import coo_matrix

        center, atom, xyz, feature = self._coordinates()
        n_centers, n_atoms, _, n_features = self.shape
        matrix = coo_matrix(
            (self.packed, (center * n_features + feature, 3 * atom + xyz)),
            shape=(n_centers * n_features, 3 * n_atoms),
        ).tocsr()
        matrix.eliminate_zeros()
        return matrix

    def vjp(self, weights: ArrayLike) -> NDArray[np.float64]:
        """Gradient (n_atoms, 3) of ``sum(weights * D)``, weights (n_centers, n_features)."""
        w = np.asarray(weights, dtype=np.float64)
        out = np.zeros((self.shape[1], 3))
        for block, feature, values in self.blocks():
            g = np.einsum("bxf,bf->bx", values, w[np.ix_(self.center[block], feature)])
            np.add.at(out, self.atom[block], g)
        return out
