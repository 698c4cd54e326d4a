"""EAM copper, both passes."""

from __future__ import annotations

from typing import Any

import numpy as np

from mdkern import reference
from mdkern.bench.case import (
    ATOM,
    CUBIC,
    INDEX,
    LOCATE,
    ROW,
    SHARED,
    SLOPE,
    VECTOR,
    Case,
    Counts,
    Kernel,
    potential_case,
)
from mdkern.bench.systems import System
from mdkern.io.eam import EamTables
from mdkern.potentials import zhou2004
from mdkern.potentials.eam import EAM

__all__ = ["KERNELS"]

_DENSITY = VECTOR + LOCATE + CUBIC + 2
_FORCE = VECTOR + LOCATE + 1 + SLOPE + (CUBIC + 1) + SLOPE + 3 + 6 + SHARED
# Two passes over a half list, so half of this per pair and direction; the second pass reads the
# list of pairs that the first one kept. Loads: rows, tables, sums of row j.
COUNTS = Counts(
    (_DENSITY + _FORCE) / 2,
    (2 * (INDEX + ROW) + 32 + 64 + 8 + ROW) / 2,
    3 * INDEX / 2,
    ATOM + 2 * ROW + 24 + 2 * ROW,
)


def _case(system: System) -> Case:
    tables = _copper_tables()

    def formula(positions: Any, cell: Any, pbc: Any, species: Any) -> reference.Result:
        return reference.eam(positions, cell, pbc, species, tables)

    # Two tabulations of the same functions: equal to the error of the splines.
    return potential_case("eam", COUNTS, system, EAM.zhou2004(["Cu"]), formula, 1e-9)


def _copper_tables() -> EamTables:
    """Copper of Zhou et al. as a file would hold it: the baseline looks up, as the kernel does."""
    z = zhou2004.tabulate(["Cu"])
    drho = 0.01
    rho = drho * np.arange(10001)
    end = [(0, 0), (0, 0), (0, 1)]  # the last knot, where the functions are zero
    return EamTables(
        kind="alloy",
        path="zhou2004",
        species=z.species,
        masses=z.masses,
        cutoff=z.cutoff,
        dr=z.dr,
        drho=drho,
        rho_max=float(rho[-1]),
        embedding=zhou2004.embedding_function("Cu", rho)[0][None],
        density=np.pad(z.density[..., 3], end),
        r_phi=np.pad(z.r_phi[..., 3], end),
    )


KERNELS = {"eam": Kernel(_case, COUNTS, ("copper-4000", "copper-32000"), ("copper-4000",))}
