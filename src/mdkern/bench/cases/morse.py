"""Morse copper."""

from __future__ import annotations

from typing import Any

from mdkern import reference
from mdkern.bench.case import EXP, Case, Kernel, pair_counts, potential_case
from mdkern.bench.systems import System
from mdkern.potentials.morse import Morse

__all__ = ["KERNELS"]

_MORSE = 3 + EXP + 4 + 3 + 1  # argument, exponential, energy, slope, division
COUNTS = pair_counts(_MORSE)


def _case(system: System) -> Case:
    # Copper: L. A. Girifalco and V. G. Weizer, Phys. Rev. 114, 687 (1959).
    depth, alpha, r0, rc = 0.3429, 1.3588, 2.866, 6.0

    def formula(positions: Any, cell: Any, pbc: Any, species: Any) -> reference.Result:
        return reference.morse(positions, cell, pbc, species, depth, alpha, r0, rc)

    potential = Morse(D=depth, alpha=alpha, r0=r0, rc=rc)
    return potential_case("morse", COUNTS, system, potential, formula, 1e-11)


KERNELS = {"morse": Kernel(_case, COUNTS, ("copper-32000",), ("copper-4000",))}
