"""How much several models disagree."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdkern.loading import entry_of
from mdkern.potentials.base import Result
from mdkern.registry import resolve

__all__ = ["ModelDeviation"]


class ModelDeviation:
    r"""Several models on one neighbor list: results of the first, and how much the models deviate.

    .. math:: \epsilon_{F,i} = \sqrt{\big\langle |\mathbf F_i - \langle\mathbf F_i\rangle|^2 \big\rangle}

    with averages over the models, as DeePMD-kit defines it (Y. Zhang et al., Comput. Phys. Commun. 253, 107206 (2020)):
    where the largest of them is high, active learning wants a new calculation.

    Parameters
    ----------
    models : list of str or of calculators
        At least two: files that :func:`mdkern.calculators.load` reads, or mdkern's calculators. All with the same
        species in the same order.

    Raises
    ------
    ValueError
        Fewer than two models, or different species.
    FormatError, UnsupportedError, OSError
        From reading a file.

    Attributes
    ----------
    potentials : tuple
        The models.
    """

    def __init__(self, models: Sequence[Any]) -> None:
        if isinstance(models, (str, bytes, os.PathLike)) or len(models) < 2:
            raise ValueError(f"models: {models!r}; expected at least two")
        self.potentials = tuple(_potential(m) for m in models)
        self.species: tuple[str, ...] | None = self.potentials[0].species
        for k, p in enumerate(self.potentials):
            if p.species != self.species:
                raise ValueError(f"models[{k}]: species {p.species}; expected {self.species}")
        self.cutoff: float = max(p.cutoff for p in self.potentials)

    def compute(self, neighbors: Any, *, virials: bool = False, threads: int = 0) -> Result:
        """Result of the first model, with the deviation.

        Returns
        -------
        Result
            Its ``deviation`` has ``forces`` (n,) of every atom, ``max_devi_f``, ``min_devi_f``, ``avg_devi_f`` over the
            atoms in eV/Angstrom; ``max_devi_v``, ``min_devi_v`` and ``avg_devi_v`` (root mean square) over the nine
            components of the virial per atom in eV; ``devi_e`` of the energy per atom in eV.
        """
        first: Result = self.potentials[0].compute(neighbors, virials=virials, threads=threads)
        results = [first] + [p.compute(neighbors, threads=threads) for p in self.potentials[1:]]
        return replace(first, deviation=_deviation(results))


def _potential(model: Any) -> Any:
    if isinstance(model, (str, os.PathLike)):
        model = resolve(entry_of(model).potential)(model)
    potential = getattr(model, "potential", model)
    if not hasattr(potential, "compute") or not hasattr(potential, "species"):
        raise ValueError(f"models: {model!r}; expected a file or one of mdkern's calculators")
    return potential


def _deviation(results: Sequence[Result]) -> dict[str, Any]:
    n = max(1, len(results[0].energies))
    spread = np.std(np.stack([r.forces for r in results]), axis=0)
    forces: NDArray[np.float64] = np.sqrt((spread**2).sum(axis=1))
    # Nine components: those off the diagonal twice.
    virial = np.std(np.stack([r.virial for r in results]), axis=0)[[0, 1, 2, 3, 4, 5, 3, 4, 5]] / n
    return {
        "forces": forces,
        "max_devi_f": float(forces.max(initial=0.0)),
        "min_devi_f": float(forces.min(initial=np.inf)) if len(forces) else 0.0,
        "avg_devi_f": float(forces.mean()) if len(forces) else 0.0,
        "max_devi_v": float(virial.max()),
        "min_devi_v": float(virial.min()),
        "avg_devi_v": float(np.sqrt((virial**2).mean())),
        "devi_e": float(np.std([r.energy for r in results])) / n,
    }
