"""D3 of water: three passes over the pairs within 12 Angstrom, which no list holds."""

from __future__ import annotations

from typing import Any

from mdkern import reference
from mdkern.bench.case import ATOM, VECTOR, Case, Counts, Kernel, potential_case
from mdkern.bench.systems import System
from mdkern.potentials.base import SpeciesMap
from mdkern.potentials.d3 import D3

__all__ = ["KERNELS"]

_ROOT = 1 + 2 + 1 + 2 + 2  # 1 / r from the estimate
_POLYNOMIAL = 1 + 2 + 22  # u, two squares, eleven multiply-adds
_FORCE = 3 + 3 + 12  # g times vector, sums, virial
_REFERENCES = (2 * 2 + 3) / 3  # of a neighbor: two for each H, three for O
_COUNT = VECTOR + _ROOT + _POLYNOMIAL + 1
_DAMPED = 1 + 2 + 2 + 1 + 1 + 2 + 2 + 1 + 1 + 2 + 2 + 1  # g and h with one division
_PAIR = VECTOR + _DAMPED + 4 * _REFERENCES + 1 + _FORCE
_PULL = VECTOR + _ROOT + _POLYNOMIAL + 4 + 2 + _FORCE
# Loads: coordinates three times, weights, D.
COUNTS = Counts(_COUNT + _PAIR + _PULL, 3 * 24 + 8 * _REFERENCES + 8, 0.0, ATOM + 3 * 96)


def _case(system: System) -> Case:
    ranges = {"cutoff": 12.0, "cn_cutoff": 12.0}
    potential = D3("pbe", elements=["H", "O"], **ranges)
    numbers = system.atoms.numbers

    def formula(positions: Any, cell: Any, pbc: Any, species: Any) -> reference.Result:
        del species
        parameters = potential.parameters
        return reference.d3(positions, cell, pbc, numbers, "bj", parameters, **ranges)

    kinds = SpeciesMap(potential.species)(numbers)
    return potential_case("d3", COUNTS, system, potential, formula, 1e-11, kinds)


KERNELS = {"d3": Kernel(_case, COUNTS, ("water-375",), ("water-375",))}
