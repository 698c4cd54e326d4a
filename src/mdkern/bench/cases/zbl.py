"""ZBL copper, whose atoms are much farther from each other than where it matters: the cost is that of any pair."""

from __future__ import annotations

from typing import Any

import numpy as np

from mdkern import reference
from mdkern.bench.case import EXP, Case, Kernel, pair_counts, potential_case
from mdkern.bench.systems import System
from mdkern.potentials.zbl import ZBL
from mdkern.reference.zbl import zbl

__all__ = ["KERNELS"]

# Root, division, argument; four terms; bare charges, distance from `inner` and its square; polynomial; energy; its slope; force.
_ZBL = 3 + 4 * (EXP + 5) + 3 + 4 + 5 + 3 + 6
COUNTS = pair_counts(_ZBL)


def _case(system: System) -> Case:
    inner, outer = 4.0, 4.8

    def formula(positions: Any, cell: Any, pbc: Any, species: Any) -> reference.Result:
        return zbl(positions, cell, pbc, species, np.array([29.0]), inner, outer)

    potential = ZBL(inner, outer, {"Cu": 29.0})
    return potential_case("zbl", COUNTS, system, potential, formula, 1e-11)


KERNELS = {"zbl": Kernel(_case, COUNTS, ("copper-32000",), ("copper-4000",))}
