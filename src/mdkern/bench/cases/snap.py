"""SNAP: random coefficients of the sizes of published potentials."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

from mdkern.bench.case import ATOM, INDEX, ROW, VECTOR, Case, Counts, Kernel, potential_case
from mdkern.bench.scratch import scratch_folder
from mdkern.bench.snap_models import random_snap
from mdkern.bench.systems import System
from mdkern.io.snap import bispectrum_triples
from mdkern.potentials.snap import SNAP
from mdkern.reference import Result
from mdkern.reference.snap import snap

__all__ = ["KERNELS", "products", "walk"]

_NEIGHBORS = 42.0  # of an atom of copper within 4.7 Angstrom
_SIZES: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "snap": (("Cu",), {"twojmax": 8, "rcutfac": 4.7}),
    "snap_small": (("Cu",), {"twojmax": 6, "rcutfac": 4.7}),
    "snap_quadratic": (("Cu",), {"twojmax": 6, "rcutfac": 4.7, "quadraticflag": 1}),
    # Of the two elements the larger one has a cutoff of 5.0 Angstrom: as many neighbors.
    "snap_elements": (("Cu", "Ni"), {"twojmax": 6, "rcutfac": 4.45, "chemflag": 1}),
}


def products(twojmax: int, blocks: int = 1, components: bool = False) -> float:
    """Operations of an atom for Y, or for the components (cpp/descriptors/bispectrum_couple.hpp)."""
    total = 0.0
    for j1 in range(twojmax + 1):
        for j2 in range(j1 + 1):
            top = min(j1 + j2, twojmax)
            top -= (j1 + j2 - top) % 2
            most = twojmax + 1
            if components:
                most = (top - j1 - j2 % 2) // 2 + 1 if top >= j1 else 0

            def rows(m: int, j1: int = j1, j2: int = j2, top: int = top) -> int:
                return (top - max(j1 - j2, abs(2 * m - j1 - j2))) // 2 + 1

            for mb in range((j1 + j2) // 2 + 1):
                high = min(j1, mb)
                alike = high - max(0, mb - j2, (mb + 1) // 2 if j1 == j2 else 0) + 1
                every = high - max(0, mb - j2) + 1
                # Pairs of elements, of which those of equal j1 and j2 count once.
                mixed = blocks * (blocks - 1) // (2 if j1 == j2 else 1)
                ends = blocks * alike + mixed * every
                for ma in range((mb if 2 * mb == j1 + j2 else j1 + j2) + 1):
                    n = min(rows(mb), rows(ma), most)
                    if n > 0:
                        inner = min(j1, ma) - max(0, ma - j2) + 1
                        total += ends * (inner * (6 + 4 * n) + 4 * n)
                        total += (blocks + mixed) * blocks * 4 * n
    return total


def walk(twojmax: int) -> float:
    """Operations of a neighbor: its functions twice, their sum, four products with Y (cpp/descriptors/bispectrum_batch.hpp)."""
    numbers = sum((j // 2 + 1) * (j + 1) for j in range(twojmax + 1))
    return numbers * (2 * 14 + 2 + 4 * 4) + VECTOR + 130


def _counts(elements: tuple[str, ...], parameters: dict[str, Any]) -> Counts:
    two_j = parameters["twojmax"]
    blocks = len(elements) if parameters.get("chemflag") else 1
    flops = products(two_j, blocks)
    if parameters.get("quadraticflag"):
        k = len(bispectrum_triples(two_j))
        flops += products(two_j, blocks, components=True) + 3 * k * k
    # Some ten entries of forces per atom, written twice and read once (force_blocks.hpp).
    return Counts(flops / _NEIGHBORS + walk(two_j), INDEX + 2 * ROW, INDEX, ATOM + 30 * ROW)


@cache
def _path(kernel: str) -> str:
    """Coefficients, written once per process."""
    elements, parameters = _SIZES[kernel]
    return random_snap(scratch_folder() / f"{kernel}.snapcoeff", elements, **parameters)


def _case(kernel: str, system: System) -> Case:
    potential = SNAP(_path(kernel))

    def formula(positions: Any, cell: Any, pbc: Any, species: Any) -> Result:
        return snap(positions, cell, pbc, species, potential.model)

    n = len(potential.model.species)
    kinds = np.random.default_rng(4).integers(0, n, len(system.atoms))
    return potential_case(kernel, COUNTS[kernel], system, potential, formula, 1e-11, kinds)


COUNTS = {name: _counts(*size) for name, size in _SIZES.items()}
KERNELS = {
    name: Kernel(partial(_case, name), COUNTS[name], ("copper-108",), ("cell-8",))
    for name in _SIZES
}
