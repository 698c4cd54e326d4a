"""ACE and GRACE/FS: random models of the sizes of published ones."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

from mdkern.bench.ace_models import random_grace, random_yace
from mdkern.bench.case import ATOM, INDEX, ROW, Case, Counts, Kernel, potential_case
from mdkern.bench.scratch import scratch_folder
from mdkern.bench.systems import System
from mdkern.potentials.ace import ACE
from mdkern.reference.ace import ace
from mdkern.reference.pairs import Result

__all__ = ["KERNELS"]

_NEIGHBORS = {"ace": 140.0, "ace_grace": 134.0}  # in copper, within 7.4 and 7 Angstrom


def _flops(
    neighbors: float, channels: float, outer: int, l_max: int, terms: float, per_term: float
) -> float:
    """Operations per atom, as cpp/potentials/ace/ace_kernel.cpp counts them.

    Of a neighbor: channels and slopes from tables, 19; harmonics, twice; products of channels and harmonics, of which there
    are `outer`, into A, and of dE/dA with channels and slopes; sums over l and m of the gradient. Then the terms of the
    densities there and back.
    """
    pairs = l_max * (l_max + 1) // 2  # (l, m > 0)
    harmonics = 2 * (10 * l_max + 2 * pairs) + 2 * pairs
    gradient = 12 * pairs + 20 * l_max + 60
    return neighbors * (19 * channels + harmonics + 6 * outer + gradient) + terms * per_term


# 8 channels of l = 0 (R, a function for each density, core) and 5 of each other l; 20 and 15, each times a factor of the
# element. Terms: complex with two densities, real with four.
COUNTS = {
    name: Counts(flops / n, INDEX + 2 * ROW, INDEX, ATOM + 30 * ROW)
    for name, n, flops in (
        ("ace", _NEIGHBORS["ace"], _flops(140.0, 38, 8 + 5 * 48, 6, 6000.0, 17.0)),
        (
            "ace_grace",
            _NEIGHBORS["ace_grace"],
            _flops(134.0, 95 * 21 / 19, 20 + 15 * 35, 5, 1500.0, 18.0),
        ),
    )
}


@cache
def _path(kernel: str) -> str:
    """File of a random model, written once per process."""
    if kernel == "ace":
        return random_yace(scratch_folder() / "ace.yace")
    return random_grace(scratch_folder() / "ace.yaml")


def _case(kernel: str, system: System) -> Case:
    potential = ACE(_path(kernel))

    def formula(positions: Any, cell: Any, pbc: Any, species: Any) -> Result:
        return ace(positions, cell, pbc, species, potential.model)

    n, elements = len(system.atoms), len(potential.species)
    kinds = np.random.default_rng(4).integers(0, elements, n)
    return potential_case(kernel, COUNTS[kernel], system, potential, formula, 1e-8, kinds)


KERNELS = {
    name: Kernel(partial(_case, name), COUNTS[name], ("cell-256",), ("cell-32",)) for name in COUNTS
}
