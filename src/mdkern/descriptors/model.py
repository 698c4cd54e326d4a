"""What descriptors that come out of a potential's file share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdkern import _core, checks
from mdkern.descriptors.memory import check_memory
from mdkern.potentials.base import SpeciesMap

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["ModelDescriptor"]

Array = NDArray[np.float64]


class ModelDescriptor:
    """Base: structures, neighbors, derivatives of weighted sums.

    A class derived from it sets `species`, `r_cut`, `n_features`, `_scale` (by which the kernel's values are multiplied),
    and makes `_kernel` in `_make_kernel`.
    """

    species: tuple[str, ...]
    r_cut: float
    n_features: int
    _scale: Array | float = 1.0

    def _start(self, threads: int | None) -> None:
        self.threads = threads
        self._n_threads = checks.threads(threads)
        self._make()

    def _make(self) -> None:
        self._kernel = self._make_kernel()
        self._kinds = SpeciesMap(self.species)

    def _make_kernel(self) -> Any:
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_kernel", "_kinds")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._make()

    def get_number_of_features(self) -> int:
        """Length of the descriptor."""
        return self.n_features

    def create(self, a: Atoms | Sequence[Atoms], centers: ArrayLike | None = None) -> Any:
        """Descriptors of atoms.

        Parameters
        ----------
        a : ase.Atoms or list of ase.Atoms
            The structure, or several of them.
        centers : sequence of int, optional
            Indices of the atoms wanted; by default all. For a list of structures one such sequence each.

        Returns
        -------
        (n_centers, n_features) array, or a list of them
        """
        if not checks.is_structure(a):
            return [self.create(x, c) for x, c in checks.paired("a", a, "centers", centers)]
        a = cast("Atoms", a)
        q = self._kernel.descriptors(self._table(a), self._n_threads)
        q *= self._scale
        return q if centers is None else q[_indices("centers", centers, len(a))]

    def derivatives(
        self,
        a: Atoms,
        centers: ArrayLike | None = None,
        include: ArrayLike | None = None,
        exclude: ArrayLike | None = None,
        method: str = "auto",
        attach: bool | None = None,
        return_descriptor: bool = True,
    ) -> Any:
        """Derivatives of the descriptors by the positions of atoms, analytic.

        Parameters
        ----------
        a : ase.Atoms
        centers : sequence of int, optional
            Atoms whose descriptors are differentiated; by default all.
        include, exclude : sequence of int, optional
            Atoms that move: these, or all but these; by default all.
        method : {"auto", "analytical"}
            Both are the same here.
        attach : bool, optional
            Centers are atoms and move with them: None or True.
        return_descriptor : bool
            Return the descriptors too.

        Returns
        -------
        derivatives : (n_centers, n_include, 3, n_features) array
            In 1/Angstrom.
        descriptors : (n_centers, n_features) array
            Only with `return_descriptor`.

        Raises
        ------
        MemoryError
            The derivatives would not fit; raised before the memory is taken.
        """
        if method not in ("auto", "analytical"):
            raise ValueError(f"method: {method!r}; expected 'auto' or 'analytical'")
        if attach is not None and not checks.flag("attach", attach):
            raise ValueError("attach: False; the centers are atoms, expected True or None")
        n = len(checks.structure("a", a))
        everything = np.arange(n)
        chosen = everything if centers is None else _indices("centers", centers, n)
        moving = everything
        if include is not None and exclude is not None:
            raise ValueError("include, exclude: both given; expected one of them")
        if include is not None:
            moving = _indices("include", include, n)
        elif exclude is not None:
            moving = np.setdiff1d(everything, _indices("exclude", exclude, n))
        centre_at, centre_of = _places(chosen, n)
        moving_at, moving_of = _places(moving, n)
        check_memory(
            (len(np.unique(chosen)), len(np.unique(moving)), 3, self.n_features),
            np.float64,
            "vjp, or fewer centers at a time",
        )
        table = self._table(a)
        out = self._kernel.jacobian(
            table,
            centre_at,
            moving_at,
            int(centre_at.max(initial=-1)) + 1,
            int(moving_at.max(initial=-1)) + 1,
            self._n_threads,
        )
        out *= self._scale
        if len(centre_of) != len(out) or len(moving_of) != out.shape[1]:  # atoms named twice
            out = out[np.ix_(centre_of, moving_of)]
        if not return_descriptor:
            return out
        q = self._kernel.descriptors(table, self._n_threads)
        q *= self._scale
        return out, q[chosen]

    def vjp(self, a: Atoms, weights: ArrayLike) -> tuple[Array, Array]:
        r"""Derivatives of a weighted sum of the descriptors, without their Jacobian.

        Parameters
        ----------
        a : ase.Atoms
        weights : (n_atoms, n_features) array
            w of the sum :math:`Q = \sum_{cf} w_{cf} D_{cf}`; for an energy, dE/dD.

        Returns
        -------
        gradient : (n_atoms, 3) array
            :math:`\partial Q / \partial \mathbf r` in 1/Angstrom: minus the forces, if Q is an energy.
        virial : (3, 3) array
            :math:`-\partial Q / \partial \boldsymbol\varepsilon` by the strain of positions and cell, as the virial of a
            potential.
        """
        w = checks.numbers("weights", weights)
        shape = (len(checks.structure("a", a)), self.n_features)
        if w.shape != shape:
            raise ValueError(f"weights: shape {w.shape}; expected {shape}")
        if not np.isfinite(w).all():
            raise ValueError("weights: not finite; expected numbers")
        scaled = np.ascontiguousarray(w * self._scale)
        _, _, forces, virial, *_ = self._kernel.vjp(self._table(a), scaled, self._n_threads)
        xx, yy, zz, yz, xz, xy = virial
        return -forces, np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])

    def _table(self, a: Atoms) -> Any:
        """Neighbor table of the atoms."""
        checks.structure("a", a)
        kinds = self._kinds(checks.atomic_numbers(a.numbers))
        table = _core.NeighborTable(self.r_cut, 0.0)
        table.update(
            checks.positions(a.positions),
            checks.cell(a.cell),
            checks.directions("pbc", a.pbc),
            kinds,
            self._n_threads,
        )
        return table


def _places(chosen: NDArray[np.int64], n: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Row of each atom among the chosen ones (-1: none), and the row of each choice."""
    at = np.full(n, -1, dtype=np.int32)
    unique = np.unique(chosen)
    if len(unique) == len(chosen):
        at[chosen] = np.arange(len(chosen))
        return at, np.arange(len(chosen))
    at[unique] = np.arange(len(unique))
    return at, at[chosen].astype(np.int64)


def _indices(name: str, x: Any, n: int) -> NDArray[np.int64]:
    """Indices of atoms; negative ones count from the end."""
    return checks.indices(name, x, n, least=-n) % max(n, 1)
