"""The descriptor inside neuroevolution potentials."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdkern.descriptors.model import ModelDescriptor, indices
from mdkern.io.nep import read_nep
from mdkern.potentials.nep import check_precision, kernel_of

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["NEPDescriptor"]


class NEPDescriptor(ModelDescriptor):
    r"""Descriptor of a NEP model: what its networks see.

    .. math:: q_n = \sum_j g_n(r_{ij}), \qquad q_{nl} = \sum_m C_{lm} \Big|\sum_j g_n(r_{ij}) Y_{lm}(\hat{\mathbf r}_{ij})\Big|^2

    then the 4- and 5-body terms of the model, each times its ``q_scaler`` (Z. Fan et al., J. Chem. Phys. 157, 114801
    (2022)). Dimensionless. Order and scale are those of calorine's ``get_descriptors`` and of GPUMD's ``descriptor.out``.

    Parameters
    ----------
    path : str
        A ``nep.txt``, of a potential or of a tensor model.
    precision : {"double", "single"}
        Of the loops over neighbors.
    threads : int, optional
        Threads of each call; by default :func:`mdkern.get_num_threads`.

    Raises
    ------
    FormatError, UnsupportedError, OSError
        From reading the file.

    Attributes
    ----------
    r_cut : float
        Angstrom.
    species : tuple of str
        Elements of the model.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        precision: str = "double",
        threads: int | None = None,
    ) -> None:
        self.model = read_nep(path)
        self.precision = check_precision(precision)
        self.species = self.model.species
        self.r_cut = self.model.cutoff
        self.n_features = self.model.n_descriptors
        self._scale = self.model.q_scaler
        self._start(threads)

    def _make_kernel(self) -> Any:
        return kernel_of(self.model, precision=self.precision)

    def feature_names(self) -> list[str]:
        """Name of each feature, such as ``"radial n=0"``, ``"l=2 n=3"`` or ``"222 n=1"``."""
        n_radial, n_angular = self.model.c_radial.shape[0], self.model.c_angular.shape[0]
        blocks = [f"l={k}" for k in range(1, self.model.l_max + 1)] + list(self.model.bodies)
        return [f"radial n={n}" for n in range(n_radial)] + [
            f"{block} n={n}" for block in blocks for n in range(n_angular)
        ]

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
        """
        if method not in ("auto", "analytical"):
            raise ValueError(f"method: {method!r}; expected 'auto' or 'analytical'")
        if attach is not None and not attach:
            raise ValueError("attach: False; the centers are atoms, expected True or None")
        n = len(a)
        everything = np.arange(n)
        chosen = everything if centers is None else indices(centers, n, "centers")
        moving = everything
        if include is not None and exclude is not None:
            raise ValueError("include, exclude: both given; expected one of them")
        if include is not None:
            moving = indices(include, n, "include")
        elif exclude is not None:
            moving = np.setdiff1d(everything, indices(exclude, n, "exclude"))
        centre_at, centre_of = _places(chosen, n)
        moving_at, moving_of = _places(moving, n)
        table = self._table(a)
        out = self._kernel.jacobian(
            table,
            centre_at,
            moving_at,
            int(centre_at.max(initial=-1)) + 1,
            int(moving_at.max(initial=-1)) + 1,
            self._n_threads,
        )
        out *= self.model.q_scaler
        if len(centre_of) != len(out) or len(moving_of) != out.shape[1]:  # atoms named twice
            out = out[np.ix_(centre_of, moving_of)]
        if not return_descriptor:
            return out
        q = self._kernel.descriptors(table, self._n_threads)
        q *= self.model.q_scaler
        return out, q[chosen]


def _places(chosen: NDArray[np.int64], n: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Row of each atom among the chosen ones (-1: none), and the row of each choice."""
    at = np.full(n, -1, dtype=np.int32)
    unique = np.unique(chosen)
    if len(unique) == len(chosen):
        at[chosen] = np.arange(len(chosen))
        return at, np.arange(len(chosen))
    at[unique] = np.arange(len(unique))
    return at, at[chosen].astype(np.int64)
