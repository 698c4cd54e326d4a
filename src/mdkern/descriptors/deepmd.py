"""The descriptor inside Deep Potential models."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from mdkern import _core, checks
from mdkern.descriptors.model import ModelDescriptor
from mdkern.errors import UnsupportedError
from mdkern.io.deepmd import read_deepmd
from mdkern.io.deepmd_models import DeepModel, StandardModel
from mdkern.potentials.deepmd import descriptors_of, r_table

__all__ = ["DeepPotSE"]


class DeepPotSE(ModelDescriptor):
    r"""Descriptor of a Deep Potential model: what its fitting networks see.

    For ``se_e2_a``

    .. math:: D_i = T_i T_{i<}^{\mathsf T}, \qquad
        T_i = \frac{1}{N} \sum_j G(s_{ij}) \otimes X_{ij}

    with the normalised environment rows X, the embedding network G of their first component, the sum over all N slots
    for neighbors, and the first ``axis_neuron`` rows :math:`T_{i<}` (L. Zhang et al., NeurIPS 31 (2018)); other kinds as
    the documentation of Deep Potential has them. Dimensionless; the order is that of DeePMD-kit's ``dp eval-desc``.

    Parameters
    ----------
    path : str
        A ``.dp``, ``.yaml`` or ``.json`` file; or the `model` of a potential.
    tabulate : bool
        Evaluate embedding networks from tables, as :class:`mdkern.potentials.DeepPotential` does.
    precision : {"double", "single"}
        Of the networks.
    threads : int, optional
        Threads of each call; by default :func:`mdkern.get_num_threads`.

    Raises
    ------
    FormatError, OSError
        From reading the file.
    UnsupportedError
        The model has no descriptor of its own (pair tables, zbl, linear), or one that is not evaluated.

    Attributes
    ----------
    r_cut : float
        Angstrom.
    species : tuple of str
        Elements of the model.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | DeepModel,
        *,
        tabulate: bool = True,
        precision: str = "double",
        threads: int | None = None,
    ) -> None:
        self.model = path if isinstance(path, DeepModel) else read_deepmd(path)
        if not isinstance(self.model.model, StandardModel):
            raise UnsupportedError(
                f"{self.model.path}: model.type: {self.model.model.kind!r} has no descriptor"
            )
        self.tabulate = checks.flag("tabulate", tabulate)
        self.precision = checks.precision(precision)
        self.species = self.model.species
        self.r_cut = self.model.cutoff
        self.n_features = self.model.model.descriptor.width
        self._start(threads)

    @classmethod
    def from_model(cls, path: str | os.PathLike[str] | DeepModel, **kwargs: Any) -> DeepPotSE:
        """The descriptor of a model file; the same as ``DeepPotSE(path)``."""
        return cls(path, **kwargs)

    def _make_kernel(self) -> Any:
        m = self.model.model
        assert isinstance(m, StandardModel)
        shortest = r_table(self.model) if self.tabulate else 0.0
        fields = {
            "potential": "deep_potential",
            "descriptors": descriptors_of(m, shortest, self.model.path),
            "bias": np.zeros(len(m.type_map)),
            "single": self.precision == "single",
        }
        return _core.Potential(fields)
