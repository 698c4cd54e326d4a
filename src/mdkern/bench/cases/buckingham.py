"""Buckingham argon."""

from __future__ import annotations

from typing import Any

from mdkern import reference
from mdkern.bench.case import EXP, Case, Kernel, pair_counts, potential_case
from mdkern.bench.systems import ARGON, System
from mdkern.potentials.buckingham import Buckingham

__all__ = ["KERNELS"]

_BUCKINGHAM = 3 + EXP + 4 + 2 + 6  # root, division, argument; A exp and C / r^6; energy; slope
COUNTS = pair_counts(_BUCKINGHAM)


def _case(system: System) -> Case:
    # Minimum at 3.87 Angstrom and 0.0106 eV deep, like argon.
    A, rho, C, rc = 9576.0, 0.27643, 62.4, ARGON["rc"]

    def formula(positions: Any, cell: Any, pbc: Any, species: Any) -> reference.Result:
        return reference.buckingham(positions, cell, pbc, species, A, rho, C, rc)

    potential = Buckingham(A=A, rho=rho, C=C, rc=rc)
    return potential_case("buckingham", COUNTS, system, potential, formula, 1e-11)


KERNELS = {"buckingham": Kernel(_case, COUNTS, ("argon-32000",), ("argon-4000",))}
