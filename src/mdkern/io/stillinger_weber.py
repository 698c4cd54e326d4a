"""Stillinger-Weber files (``.sw``): the numbers of :mod:`mdkern.io.three_body` as the formulas take them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdkern.errors import MDKernWarning
from mdkern.io.three_body import (
    MAX_CUTOFF,
    Parameters,
    ThreeBodyFile,
    check_style,
    is_stillinger_weber,
    read_three_body,
    select,
)

__all__ = [
    "StillingerWeberModel",
    "is_stillinger_weber",
    "read_stillinger_weber",
    "stillinger_weber_model",
]

MAX_POWER = 100.0
_MAX_TOL = 0.01  # LAMMPS takes it for every larger one
_ALIKE = 1e-4  # relative difference of numbers that should be equal, from which on it is said

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StillingerWeberModel:
    """Parameters of some elements.

    Attributes
    ----------
    species : tuple of str, length n
    pair : dict of (n, n) arrays
        ``eps sigma a gamma A B p q`` of entries (i, j, j), centre first.
    cutoffs : (n, n) array
        Where pairs end (Angstrom): a sigma, or less where the file has a `tol`; 0: no interaction.
    strength, cos0 : (n, n, n) arrays
        lambda eps in eV and the cosine of entries (i, j, k): for j != k the mean of both orders.
    """

    species: tuple[str, ...]
    pair: dict[str, Array]
    cutoffs: Array
    strength: Array
    cos0: Array

    @property
    def by_index(self) -> bool:
        """Whether the energy of two atoms depends on which of both comes first: see :func:`mdkern.io.three_body.one_direction`."""
        tables = (self.cutoffs, *(self.pair[name] for name in self.pair if name != "gamma"))
        return any(bool((table != table.T).any()) for table in tables)

    @property
    def cutoff(self) -> float:
        """The largest."""
        return float(self.cutoffs.max())


def read_stillinger_weber(path: str | os.PathLike[str]) -> ThreeBodyFile:
    """Entries of a file; see :func:`mdkern.io.three_body.read_three_body` for what is raised."""
    return read_three_body(path, ("sw",))


def stillinger_weber_model(
    file: ThreeBodyFile, elements: Sequence[str] | None = None
) -> StillingerWeberModel:
    """The parameters of these elements, by default of all that are complete.

    Raises
    ------
    ValueError
        Elements that the file does not have; a file of another style.
    FormatError
        Triplets that are missing, numbers that make no potential.

    Warns
    -----
    MDKernWarning
        lambda eps or cos0 of (i, j, k) and (i, k, j) differ by more than 1e-4.
    """
    check_style(file, ("sw",))
    p = select(file, elements)
    n = len(p.species)
    for at in np.ndindex(n, n, n):
        _check(p, (at[0], at[1], at[2]))
    pair = {name: p.pair(name) for name in ("eps", "sigma", "a", "gamma", "A", "B", "p", "q")}
    cutoffs = pair["a"] * pair["sigma"]
    tol = np.minimum(p.pair("tol"), _MAX_TOL)
    shorter = tol > 0.0
    width = np.where(pair["gamma"] < 1.0, pair["gamma"], 1.0) * pair["sigma"]
    cutoffs = cutoffs + np.where(shorter, width / np.log(np.where(shorter, tol, 0.5)), 0.0)
    for i, j in np.argwhere((cutoffs < 0.0) | (cutoffs > MAX_CUTOFF)).tolist():
        raise p.fail(
            (i, j, j), "the cutoff", cutoffs[i, j], f"0 to {MAX_CUTOFF:g} Angstrom (a sigma, tol)"
        )
    if not cutoffs.any():
        raise p.fail((0, 0, 0), "the cutoff", 0.0, "a pair that interacts (a sigma)")
    strength = p.triplet("lambda") * p.triplet("eps")
    cos0 = p.triplet("cos0")
    said = [
        *_unlike(p, "lambda eps", strength, strength.swapaxes(1, 2)),
        *_unlike(p, "cos0", cos0, cos0.swapaxes(1, 2)),
    ]
    if said:
        warnings.warn(f"{p.path}: {said[0]}: their mean is taken", MDKernWarning, stacklevel=4)
    return StillingerWeberModel(
        species=p.species,
        pair=pair,
        cutoffs=cutoffs,
        strength=0.5 * (strength + strength.swapaxes(1, 2)),
        cos0=0.5 * (cos0 + cos0.swapaxes(1, 2)),
    )


def _check(p: Parameters, at: tuple[int, int, int]) -> None:
    """The numbers of an entry that are used. Of (i, j, k) with j != k the others may be anything."""
    of_pair = ("sigma", "a", "gamma", "A", "B", "p", "q", "tol") if at[1] == at[2] else ()
    for name in ("eps", "lambda", *of_pair):
        value = float(p.triplet(name)[at])
        if value < 0.0:
            raise p.fail(at, name, value, "not less than 0")
        if name in ("p", "q") and value > MAX_POWER:
            raise p.fail(at, name, value, f"0 to {MAX_POWER:g}")
    cos0 = float(p.triplet("cos0")[at])
    if abs(cos0) > 1e6:
        raise p.fail(at, "cos0", cos0, "a cosine")


def _unlike(p: Parameters, name: str, values: Array, others: Array) -> list[str]:
    """Where numbers of both orders of the neighbors differ: the first of these."""
    size = np.maximum(np.abs(values), np.abs(others))
    for i, j, k in np.argwhere(np.abs(values - others) > _ALIKE * size).tolist():
        first, second = (" ".join(p.species[x] for x in t) for t in ((i, j, k), (i, k, j)))
        return [f"{name} of {first} is {values[i, j, k]:g} and of {second} {values[i, k, j]:g}"]
    return []
