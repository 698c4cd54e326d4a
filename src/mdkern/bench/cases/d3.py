"""D3 of water: three passes over the pairs within 12 Angstrom, which no list holds."""

from __future__ import annotations

from typing import Any

from mdkern.bench.case import ATOM, VECTOR, Case, Counts, Kernel, potential_case
from mdkern.bench.systems import System
from mdkern.potentials.base import SpeciesMap
from mdkern.potentials.d3 import D3
from mdkern.reference.d3 import d3
from mdkern.reference.pairs import Result

__all__ = ["KERNELS"]

_CUTOFF = 12.0  # Angstrom

_ROOT = 1 + 2 + 1 + 2 + 2  # 1 / r from the estimate
_POWER = 1 + 3 + 12 + 1  # u, its rest and the square of that, six multiply-adds, scale
_FORCE = 3 + 3 + 12  # g times vector, sums, virial
_REFERENCES = (2 * 2 + 3) / 3  # of a neighbor: two for each H, three for O
_COUNT = VECTOR + _ROOT + _POWER + 4 + 1
_DAMPED = 1 + 2 + 2 + 1 + 1 + 2 + 2 + 1 + 1 + 2 + 2 + 1  # g and h with one division
_PAIR = VECTOR + _DAMPED + 4 * _REFERENCES + 1 + _FORCE
_PULL = VECTOR + _ROOT + _POWER + 5 + 4 + 2 + _FORCE
# Loads: coordinates three times, weights, D.
COUNTS = Counts(_COUNT + _PAIR + _PULL, 3 * 24 + 8 * _REFERENCES + 8, 0.0, ATOM + 3 * 96)


def _case(system: System) -> Case:
    potential = D3(
        "pbe", elements=sorted(set(system.atoms.symbols)), cutoff=_CUTOFF, cn_cutoff=_CUTOFF
    )
    numbers = system.atoms.numbers

    def formula(positions: Any, cell: Any, pbc: Any, species: Any) -> Result:
        del species
        parameters = potential.parameters
        return d3(positions, cell, pbc, numbers, "bj", parameters, _CUTOFF, _CUTOFF)

    kinds = SpeciesMap(potential.species)(numbers)
    return potential_case("d3", COUNTS, system, potential, formula, 1e-11, kinds)


KERNELS = {"d3": Kernel(_case, COUNTS, ("water-375",), ("water-81",))}
