"""How much several models disagree."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdkern import _core
from mdkern.loading import potential_of
from mdkern.potentials.base import Result, result_of, virial_width, warn_of

__all__ = ["ModelDeviation"]

Array = NDArray[np.float64]


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
        self.potentials = tuple(potential_of("models", m) for m in models)
        self.species: tuple[str, ...] | None = self.potentials[0].species
        for k, p in enumerate(self.potentials):
            if p.species != self.species:
                raise ValueError(f"models[{k}]: species {p.species}; expected {self.species}")
        self.cutoff: float = max(p.cutoff for p in self.potentials)
        self._make()

    def _make(self) -> None:
        """The committee of the core, where it evaluates all of the models; else None."""
        steps: list[Any] = [getattr(p, "force_step", lambda: None)() for p in self.potentials]
        self._kernel: Any = None if None in steps else _core.committee(steps)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_kernel"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._make()

    def force_step(self) -> Any:
        """The core's committee, for :mod:`mdkern.md`, where the deviation is made for the steps that are looked at; or None."""
        return self._kernel

    def warn(self, overflow: bool) -> None:
        """Say once what :attr:`Result.overflow` of the first model means."""
        warn_of(self.potentials[0], overflow)

    def compute(self, neighbors: Any, *, virials: bool | int = False, threads: int = 0) -> Result:
        """Result of the first model, with the deviation.

        Returns
        -------
        Result
            Its ``deviation`` has ``forces`` (n,) of every atom, ``max_devi_f``, ``min_devi_f``, ``avg_devi_f`` over the
            atoms in eV/Angstrom; ``max_devi_v``, ``min_devi_v`` and ``avg_devi_v`` (root mean square) over the nine
            components of the virial per atom in eV; ``devi_e`` of the energy per atom in eV.
        """
        if self._kernel is not None:
            width = virial_width(self, virials)
            return result_of(self, self._kernel.compute(neighbors, width, threads))
        first: Result = self.potentials[0].compute(neighbors, virials=virials, threads=threads)
        results = [first] + [p.compute(neighbors, threads=threads) for p in self.potentials[1:]]
        spread = np.std(np.stack([r.forces for r in results]), axis=0)
        members = np.array([(r.energy, *r.virial.tolist()) for r in results])
        return replace(first, deviation=_summary(np.sqrt((spread**2).sum(axis=1)), members))

    def deviation_of(self, forces: Array, members: Array) -> dict[str, Any]:
        """:attr:`Result.deviation`, from what the core's committee gives: deviation of forces, (energy, virial, overflow) of models."""
        for potential, overflow in zip(self.potentials, members[:, 7], strict=True):
            warn_of(potential, bool(overflow))
        return _summary(forces, members)


def _summary(forces: Array, members: Array) -> dict[str, Any]:
    """From the deviation of forces, and energy and virial of each model."""
    n = max(1, len(forces))
    # Nine components: those off the diagonal twice.
    virial = np.std(members[:, 1:7], axis=0)[[0, 1, 2, 3, 4, 5, 3, 4, 5]] / n
    return {
        "forces": forces,
        "max_devi_f": float(forces.max(initial=0.0)),
        "min_devi_f": float(forces.min(initial=np.inf)) if len(forces) else 0.0,
        "avg_devi_f": float(forces.mean()) if len(forces) else 0.0,
        "max_devi_v": float(virial.max()),
        "min_devi_v": float(virial.min()),
        "avg_devi_v": float(np.sqrt((virial**2).mean())),
        "devi_e": float(np.std(members[:, 0])) / n,
    }
