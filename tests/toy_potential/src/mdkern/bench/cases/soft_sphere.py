"""Soft spheres, as large as copper atoms at 5 Angstrom."""

from __future__ import annotations

from typing import Any

from mdkern.potentials.soft_sphere import SoftSphere
from mdkern.reference.soft_sphere import soft_sphere

from mdkern.bench.case import Case, Kernel, pair_counts, potential_case
from mdkern.bench.systems import System
from mdkern.reference.pairs import Result

__all__ = ["KERNELS"]

COUNTS = pair_counts(2 + 2 + 2)  # root, overlap; energy; slope over distance


def _case(system: System) -> Case:
    k, rc = 2.0, 5.0

    def formula(positions: Any, cell: Any, pbc: Any, species: Any) -> Result:
        return soft_sphere(positions, cell, pbc, species, k, rc)

    return potential_case("soft_sphere", COUNTS, system, SoftSphere(k=k, rc=rc), formula, 1e-11)


KERNELS = {"soft_sphere": Kernel(_case, COUNTS, ("copper-32000",), ("copper-4000",))}
