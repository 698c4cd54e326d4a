"""Lennard-Jones argon, in both precisions."""

from __future__ import annotations

from functools import partial
from typing import Any

from mdkern import reference
from mdkern.bench.case import Case, Kernel, pair_counts, potential_case
from mdkern.bench.systems import ARGON, System
from mdkern.potentials.lennard_jones import LennardJones

__all__ = ["KERNELS"]

_LJ = 1 + 2 + 1 + 3 + 4  # 1/r^2, its cube, a/r^6, energy, force over distance
DOUBLE = pair_counts(_LJ)
SINGLE = pair_counts(_LJ, single=True)


def _case(precision: str, system: System) -> Case:
    epsilon, sigma, rc = ARGON["epsilon"], ARGON["sigma"], ARGON["rc"]

    def formula(positions: Any, cell: Any, pbc: Any, species: Any) -> reference.Result:
        return reference.lennard_jones(positions, cell, pbc, species, epsilon, sigma, rc)

    single = precision == "single"
    return potential_case(
        "lennard_jones_single" if single else "lennard_jones",
        SINGLE if single else DOUBLE,
        system,
        LennardJones(sigma=sigma, epsilon=epsilon, rc=rc, precision=precision),
        formula,
        2e-5 if single else 1e-11,
    )


KERNELS = {
    "lennard_jones": Kernel(
        partial(_case, "double"), DOUBLE, ("argon-4000", "argon-32000"), ("argon-4000",)
    ),
    "lennard_jones_single": Kernel(
        partial(_case, "single"), SINGLE, ("argon-32000",), ("argon-4000",)
    ),
}
