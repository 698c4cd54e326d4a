"""MACE: random models of the public models' shapes, from tables of the radial functions, in double and single precision."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

from mdkern import reference
from mdkern.bench.case import ATOM, INDEX, ROW, Case, Counts, Kernel, potential_case
from mdkern.bench.mace_models import PUBLIC_SHAPES, random_mace
from mdkern.bench.systems import System
from mdkern.io.mace import MaceModel
from mdkern.io.mace_contract import paths_of
from mdkern.potentials.mace import MACE
from mdkern.reference.mace import mace

__all__ = ["KERNELS"]

# Kernel name, shape of the model, neighbors of an atom within the cutoff in the system it is timed on.
_SHAPES: dict[str, tuple[str, float]] = {
    "mace_small": ("small", 78.0),
    "mace_small_single": ("small", 78.0),
    "mace_medium": ("medium", 78.0),
    "mace_medium_single": ("medium", 78.0),
    "mace_density": ("density", 78.0),
    "mace_off": ("off-small", 39.8),
}
_ELL = 3
_TERMS = {0: 94, 1: 328}  # monomials of a product of up to three factors, by the l they couple to


def _counts(shape: str, neighbors: float, size: int) -> Counts:
    """Per pair, of the algorithm without nets: multiply-adds of a channel, each two operations.

    Of a pair and layer: value and slope of every path's radial function (5 and 4; 4 and 3 in single precision), with T = sum_m2 C Y, of (2 l1 + 1)(2 l3 + 1) entries a path,
    the message T u R and in reverse T g, u T g, (R u) g and R (T g). The first layer's u are of the species, and part of R. Of an atom both ways: linear maps; monomials, some
    six each. Loaded are the coefficients of one interval of the radial table: six of a polynomial of degree five, or five of degree four in single precision.
    """
    given: dict[str, Any] = PUBLIC_SHAPES[shape]
    K, l_hidden = given.get("channels", 128), given.get("l_hidden", 0)
    degree = 4 if size == 4 else 5  # of the tables
    pair = rows = atom = stream = 0.0
    for first in (True, False):
        l_in, l_out = (0, l_hidden) if first else (l_hidden, 0)
        paths, l3 = paths_of(l_in, _ELL)
        ends = [(2 * l1 + 1, 2 * l3[q] + 1) for l1, _, q in paths]
        entries = sum(a * b for a, b in ends)
        incoming, outgoing = (sum(x) for x in zip(*ends, strict=True))
        pair += (
            (2 * degree - 1) * len(paths) + 3 * entries + (0 if first else 3 * incoming + outgoing)
        )
        rows += (degree + 1) * len(paths)
        n_in, n_out = (l_in + 1) ** 2, (l_out + 1) ** 2
        linear = (0 if first else n_in) + outgoing + min(n_in, n_out) + n_out
        atom += 2 * K * linear + 6 * sum(_TERMS[ell] for ell in range(l_out + 1))
        stream += 2 * (n_in + outgoing + (_ELL + 1) ** 2)
    return Counts(
        2.0 * K * (pair + atom / neighbors),
        INDEX + ROW + K * size * rows,
        INDEX,
        ATOM + K * size * stream,
    )


@cache
def _model(shape: str) -> MaceModel:
    return random_mace(**PUBLIC_SHAPES[shape])


def _kinds(species: tuple[str, ...], atoms: Any) -> np.ndarray:
    """Species numbers: by symbol, or all in turn where the system has others."""
    symbols = atoms.get_chemical_symbols()
    if set(symbols) <= set(species):
        return np.array([species.index(s) for s in symbols], dtype=np.int64)
    return np.arange(len(symbols)) % len(species)


def _case(kernel: str, system: System) -> Case:
    single = kernel.endswith("_single")
    potential = MACE(_model(_SHAPES[kernel][0]), precision="single" if single else "double")

    def formula(positions: Any, cell: Any, pbc: Any, species: Any) -> reference.Result:
        return mace(positions, cell, pbc, species, potential.model)

    kinds = _kinds(potential.species, system.atoms)
    return potential_case(
        kernel, COUNTS[kernel], system, potential, formula, 2e-5 if single else 1e-7, kinds
    )


COUNTS = {
    name: _counts(shape, neighbors, 4 if name.endswith("_single") else 8)
    for name, (shape, neighbors) in _SHAPES.items()
}
_SYSTEMS = {"mace_off": (("water-375",), ("water-81",))}
KERNELS = {
    name: Kernel(
        partial(_case, name), COUNTS[name], *_SYSTEMS.get(name, (("cell-256",), ("cell-8",)))
    )
    for name in _SHAPES
}
