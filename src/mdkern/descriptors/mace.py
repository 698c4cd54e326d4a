"""The node features inside MACE models."""

from __future__ import annotations

import os
from typing import Any, NoReturn

from mdkern import _core, checks
from mdkern.descriptors.model import ModelDescriptor
from mdkern.errors import UnsupportedError
from mdkern.io.mace import MaceModel, read_mace
from mdkern.potentials.mace import fields_of

__all__ = ["MACEDescriptor"]


class MACEDescriptor(ModelDescriptor):
    r"""Descriptor of a MACE model: the scalar features of its layers, which its readouts see.

    .. math:: D_i = \big( h^{(1)}_{i,00}, \dots, h^{(T)}_{i,00} \big)

    with the K channels of each of T layers (I. Batatia et al., NeurIPS 35 (2022), arXiv:2206.07697). Dimensionless. Order
    and scale are those of ``get_descriptors(atoms, invariants_only=True)`` of mace-torch's calculator; the first n layers are
    the first n K columns. They are the same for all heads.

    Parameters
    ----------
    path : str
        A file as :class:`mdkern.potentials.MACE` takes it; or the `model` of one.
    precision : {"double", "single"}
        Of features and products.
    threads : int, optional
        Threads of each call; by default :func:`mdkern.get_num_threads`.

    Raises
    ------
    FormatError, UnsupportedError, OSError
        From reading the file.

    Attributes
    ----------
    r_cut : float
        Of a layer (Angstrom): what T layers make of an atom depends on others up to T times as far away.
    species : tuple of str
        Elements of the model.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | MaceModel,
        *,
        precision: str = "double",
        threads: int | None = None,
    ) -> None:
        self.model = path if isinstance(path, MaceModel) else read_mace(path)
        self.precision = checks.precision(precision)
        self.species = self.model.species
        self.r_cut = self.model.cutoff
        self._channels = [layer["irreps_out"][0][0] for layer in self.model.meta["layers"]]
        self.n_features = sum(self._channels)
        self._start(threads)

    def _make_kernel(self) -> Any:
        fields = fields_of(self.model, 0, precision=self.precision)
        return _core.Potential({"potential": "mace"} | fields)

    def feature_names(self) -> list[str]:
        """Name of each feature, such as ``"layer 1 k=0"``: layers are counted from 1, channels from 0."""
        return [f"layer {t} k={k}" for t, n in enumerate(self._channels, 1) for k in range(n)]

    def derivatives(self, *_: Any, **__: Any) -> NoReturn:
        """Not offered, as features depend on neighbors of neighbors: see :meth:`vjp`.

        Raises
        ------
        UnsupportedError
            Always.
        """
        raise UnsupportedError(
            "MACEDescriptor.derivatives: the features of an atom depend on neighbors of neighbors, "
            "whose Jacobian is not formed; expected vjp, derivatives of a weighted sum"
        )
