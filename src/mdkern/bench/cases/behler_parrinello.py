"""Behler-Parrinello: a random model with as many functions of the same kinds as the published one of water."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from mdkern import reference
from mdkern.bench.behler_parrinello_models import WATER_FUNCTIONS, random_behler_parrinello
from mdkern.bench.case import ATOM, EXP, INDEX, ROW, Case, Counts, Kernel, potential_case
from mdkern.bench.scratch import scratch_folder
from mdkern.bench.systems import System
from mdkern.potentials.behler_parrinello import BehlerParrinello
from mdkern.reference.behler_parrinello import behler_parrinello

__all__ = ["KERNELS"]

_O, _H = 35.8, 71.6  # neighbors of an atom of water within 6.35 Angstrom
_IN_REACH = 15 / 32  # of two points in a ball, how often they are nearer than its radius
_STEP = 44  # tanh^3 of 1 - r / rc and its slope


def _set(pairs: float, factors: int, functions: int, angles: int) -> float:
    """Operations of a set of narrow functions, as cpp/potentials/behler_parrinello has them.

    Of a pair of neighbors the square of the third side, 8. Of a triplet that is in reach: cosine, sum of squares, product of cutoff
    functions 11; the third side 14 and its cutoff function; one Gaussian by exp, the others as powers of it, some 6 each, times the
    cutoff; factors of the angle, 4 forward and 6 back; sums of the functions; weights of the factors and slopes; gradients of j and k.
    """
    gaussians = EXP + 1 + 6 * (factors - 1) + factors
    forward = 11 + 14 + _STEP + gaussians + 4 * angles + factors + 2 * functions
    back = 6 * angles + 4 * functions + 6 * factors + 8 + 37
    return pairs * (8 + _IN_REACH * (forward + back))


def _flops() -> float:
    """Of an atom: O has sets of three pairs of species, H of two; sixteen functions of neighbors; both ways through the network."""
    oo, oh, hh = _O * (_O - 1) / 2, _O * _H, _H * (_H - 1) / 2
    oxygen = _set(hh, 3, 6, 4) + _set(oh, 2, 4, 4) + _set(oo, 2, 4, 4)
    hydrogen = _set(oh, 4, 7, 4) + _set(oo, 2, 4, 4)
    neighbors = (_O + _H) * (40 + 8 * (EXP + 12))
    network = 4 * (28 * 25 + 25 * 25 + 25) + 50 * 40
    return (oxygen + 2 * hydrogen) / 3 + neighbors + network


@cache
def _path() -> str:
    return random_behler_parrinello(
        scratch_folder() / "n2p2",
        species=("O", "H"),
        functions=WATER_FUNCTIONS,
        settings=("scale_symmetry_functions_sigma",),
        bounds=(-1e9, 1e9),
    )


def _case(system: System) -> Case:
    potential = BehlerParrinello(_path(), length_unit="angstrom")

    def formula(positions: Any, cell: Any, pbc: Any, species: Any) -> reference.Result:
        return behler_parrinello(
            positions, cell, pbc, species, potential.model, energy=potential.energy
        )

    symbols = system.atoms.get_chemical_symbols()
    if set(symbols) <= set(potential.species):
        kinds = np.array([potential.species.index(s) for s in symbols], dtype=np.int64)
    else:  # a metal, for a quick look
        kinds = (np.arange(len(symbols)) % 3 == 0).astype(np.int64)
    return potential_case(
        "behler_parrinello", COUNTS["behler_parrinello"], system, potential, formula, 1e-11, kinds
    )


# Some ten entries of forces per atom, written twice and read once (force_blocks.hpp).
COUNTS = {
    "behler_parrinello": Counts(_flops() / (_O + _H), INDEX + 2 * ROW, INDEX, ATOM + 30 * ROW)
}
KERNELS = {
    "behler_parrinello": Kernel(_case, COUNTS["behler_parrinello"], ("water-375",), ("cell-32",))
}
