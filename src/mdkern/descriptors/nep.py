"""The descriptor inside neuroevolution potentials."""

from __future__ import annotations

import os
from typing import Any

from mdkern import checks
from mdkern.descriptors.model import ModelDescriptor
from mdkern.io.nep import NepModel, read_nep
from mdkern.potentials.nep import kernel_of

__all__ = ["NEPDescriptor"]


class NEPDescriptor(ModelDescriptor):
    r"""Descriptor of a NEP model: what its networks see.

    .. math:: q_n = \sum_j g_n(r_{ij}), \qquad q_{nl} = \sum_m C_{lm} \Big|\sum_j g_n(r_{ij}) Y_{lm}(\hat{\mathbf r}_{ij})\Big|^2

    then the 4- and 5-body terms of the model, each times its ``q_scaler`` (Z. Fan et al., J. Chem. Phys. 157, 114801
    (2022)). Dimensionless. Order and scale are those of calorine's ``get_descriptors`` and of GPUMD's ``descriptor.out``.

    Parameters
    ----------
    path : str
        A ``nep.txt``, of a potential or of a tensor model; or the `model` of one.
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
        path: str | os.PathLike[str] | NepModel,
        *,
        precision: str = "double",
        threads: int | None = None,
    ) -> None:
        self.model = path if isinstance(path, NepModel) else read_nep(path)
        self.precision = checks.precision(precision)
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
