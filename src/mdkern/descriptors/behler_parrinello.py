"""The symmetry functions of Behler-Parrinello networks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from mdkern.descriptors.model import ModelDescriptor
from mdkern.io.behler_parrinello import BehlerParrinelloModel
from mdkern.potentials.behler_parrinello import BehlerParrinello

__all__ = ["BehlerParrinelloDescriptor"]


class BehlerParrinelloDescriptor(ModelDescriptor):
    r"""Symmetry functions of a model of n2p2 or RuNNer, not scaled: the values of n2p2's ``function.data``.

    .. math:: G = \sum_j w\,R(r_{ij}), \qquad G = \sum_{j<k} w\,R(r_{ij})\,R(r_{ik})\,[R(r_{jk})]\,A(\theta_{jik})

    (J. Behler, J. Chem. Phys. 134, 074106 (2011)). Dimensionless. Elements have functions of their own: columns behind the last
    function of an atom's element are zero.

    Parameters
    ----------
    path : str or list of str
        As :class:`mdkern.potentials.BehlerParrinello` takes it; or the `model` of one. Of a committee with different functions,
        those of the first member come first.
    length_unit : str or float
        Of the files, as for the potential.
    threads : int, optional
        Threads of each call; by default :func:`mdkern.get_num_threads`.

    Raises
    ------
    ValueError
        An unknown unit.
    FormatError, UnsupportedError, OSError
        From reading the files.

    Attributes
    ----------
    r_cut : float
        Angstrom.
    species : tuple of str
        Elements of the model.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | BehlerParrinelloModel,
        *,
        length_unit: str | float = "bohr",
        threads: int | None = None,
    ) -> None:
        self._potential = BehlerParrinello(path, length_unit=length_unit)
        self.model = self._potential.model
        self.species = self.model.species
        self.r_cut = self._potential.cutoff
        self.n_features = int(self._potential.force_step().n_features)
        self._start(threads)

    def _make_kernel(self) -> Any:
        return self._potential.force_step()

    def n_functions(self, symbol: str) -> int:
        """Functions of an element: columns of its atoms that are not always zero."""
        return self._potential.n_functions(symbol)
