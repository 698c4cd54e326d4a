"""Stillinger-Weber and Tersoff silicon, with the published parameters."""

from __future__ import annotations

from functools import cache
from typing import Any

from mdkern.bench.case import ATOM, EXP, INDEX, ROW, VECTOR, Case, Counts, Kernel, potential_case
from mdkern.bench.scratch import scratch_folder
from mdkern.bench.systems import System
from mdkern.potentials.stillinger_weber import StillingerWeber
from mdkern.potentials.tersoff import Tersoff
from mdkern.reference.pairs import Result
from mdkern.reference.stillinger_weber import stillinger_weber
from mdkern.reference.tersoff import tersoff

__all__ = ["KERNELS_STILLINGER_WEBER", "KERNELS_TERSOFF"]

# F. H. Stillinger and T. A. Weber, Phys. Rev. B 31, 5262 (1985); J. Tersoff, Phys. Rev. B 37, 6991 (1988).
_FILES = {
    "Si.sw": "Si Si Si 2.1683 2.0951 1.8 21.0 1.2 -0.333333333333 7.049556277 0.6022245584 4 0 0",
    "Si.tersoff": "Si Si Si 3 1 1.3258 4.8381 2.0417 0 22.956 0.33675 1.3258 95.373 3 0.2 3.2394 3264.7",
}
_LOG = (
    30  # cpp/simd/math.hpp: exponent and mantissa, a division, a polynomial of seven multiply-adds
)
_SINK = (
    3 + 12 + 4 + 4
)  # sums of the centre, virial, the neighbor's entry, what is added up afterwards
# Pairs within the cutoff and triplets j < k of an atom: of a crystal at rest, 4 and 6.
_TRIPLETS = 1.5  # per pair
# Root, divisions, unit vector 11; the exponentials; phi and its slope 18; h 3; moments 17; their
# derivatives 15 + 5 + 8, gradient 12, energies 6.
_SW = VECTOR + 11 + 2 * EXP + 18 + 3 + 17 + 28 + 12 + 6 + _SINK
# Root, unit vector 5; two exponentials and the bond's functions 14; order: two logarithms, two
# exponentials 12; gradient 15 and energies 6. Of a triplet: cosine 5, g 11, exponential, its inverse and
# slopes 12; zeta 6; derivatives 24; sums 16.
_TERSOFF_TRIPLET = 5 + 11 + EXP + 12 + 6 + 24 + 16
_TERSOFF = (
    VECTOR + 5 + 2 * EXP + 14 + 2 * _LOG + 2 * EXP + 12 + 21 + _SINK + _TRIPLETS * _TERSOFF_TRIPLET
)


def _counts(flops: float) -> Counts:
    # Rows twice, for the distance and for the slot; the neighbor's entry read and written.
    return Counts(flops, INDEX + 4 * ROW, INDEX, ATOM + 10 * ROW)


COUNTS_STILLINGER_WEBER, COUNTS_TERSOFF = _counts(_SW), _counts(_TERSOFF)


@cache
def _path(name: str) -> str:
    path = scratch_folder() / name
    path.write_text(_FILES[name] + "\n")
    return str(path)


def _stillinger_weber(system: System) -> Case:
    potential = StillingerWeber(_path("Si.sw"))

    def formula(positions: Any, cell: Any, pbc: Any, species: Any) -> Result:
        return stillinger_weber(positions, cell, pbc, species, potential.model)

    return potential_case(
        "stillinger_weber", COUNTS_STILLINGER_WEBER, system, potential, formula, 1e-11
    )


def _tersoff(system: System) -> Case:
    potential = Tersoff(_path("Si.tersoff"))

    def formula(positions: Any, cell: Any, pbc: Any, species: Any) -> Result:
        return tersoff(positions, cell, pbc, species, potential.model)

    return potential_case("tersoff", COUNTS_TERSOFF, system, potential, formula, 1e-11)


_SYSTEMS = (("silicon-1000",), ("silicon-1000",))
KERNELS_STILLINGER_WEBER = {
    "stillinger_weber": Kernel(_stillinger_weber, COUNTS_STILLINGER_WEBER, *_SYSTEMS)
}
KERNELS_TERSOFF = {"tersoff": Kernel(_tersoff, COUNTS_TERSOFF, *_SYSTEMS)}
