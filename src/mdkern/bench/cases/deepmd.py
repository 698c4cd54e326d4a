"""Deep Potential: a random model of the standard size, in both precisions."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

from mdkern import reference
from mdkern.bench.case import ATOM, INDEX, ROW, Case, Counts, Kernel, potential_case
from mdkern.bench.deepmd_models import random_deepmd
from mdkern.bench.scratch import scratch_folder
from mdkern.bench.systems import System
from mdkern.potentials.deepmd import DeepPotential

__all__ = ["KERNELS"]

_NEIGHBORS = 90.7  # of an atom of water within 6 Angstrom


def _flops(neighbors: float, tabulated: bool = True) -> float:
    """Operations per atom of the standard size, 25-50-100 with 16 axes and 240-240-240; a multiply-add is two.

    Of a neighbor: value and slope of 100 channels, from quintic pieces (5 and 4 multiply-adds) or through the nets (6275
    each), with the first twice where tables make it cheaper than to keep it; four multiply-adds of each channel into T and
    four in reverse, and the slope's. Of an atom: D and its reverse; the fitting net both ways, equal numbers of D once.
    """
    channels, axes = 100, 16
    values = 2 * channels * (5 + 5 + 4) if tabulated else 2 * 2 * 6275 + 10 * 175
    per_neighbor = values + 2 * channels * (4 + 4 + 2) + 60
    fitting = (channels * axes - axes * (axes - 1) // 2) * 240 + 2 * 240 * 240 + 240
    return float(
        neighbors * per_neighbor + 2 * 3 * channels * axes * 4 + 2 * 2 * fitting + 30 * 720
    )


@cache
def _path() -> str:
    """File of the random model, written once per process."""
    return random_deepmd(scratch_folder() / "standard.json")


def _kinds(species: tuple[str, ...], atoms: Any) -> np.ndarray:
    """Species numbers: by symbol, or one third O and two thirds H where the system is no water."""
    symbols = atoms.get_chemical_symbols()
    if set(symbols) <= set(species):
        return np.array([species.index(s) for s in symbols], dtype=np.int64)
    return np.minimum(np.arange(len(symbols)) % 3, 1)


def _case(precision: str, system: System) -> Case:
    potential = DeepPotential(_path(), precision=precision)

    def formula(positions: Any, cell: Any, pbc: Any, species: Any) -> reference.Result:
        return reference.deepmd(positions, cell, pbc, species, potential.model)

    name, tolerance = (
        ("deep_potential", 1e-9) if precision == "double" else ("deep_potential_single", 2e-5)
    )
    kinds = _kinds(potential.species, system.atoms)
    return potential_case(name, COUNTS, system, potential, formula, tolerance, kinds)


COUNTS = Counts(_flops(_NEIGHBORS) / _NEIGHBORS, INDEX + 2 * ROW, INDEX, ATOM + 30 * ROW)
KERNELS = {
    "deep_potential": Kernel(partial(_case, "double"), COUNTS, ("water-375",), ("water-81",)),
    "deep_potential_single": Kernel(
        partial(_case, "single"), COUNTS, ("water-375",), ("water-81",)
    ),
}
