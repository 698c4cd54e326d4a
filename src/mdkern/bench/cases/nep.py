"""NEP: random models of the public models' sizes."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

from mdkern import reference
from mdkern.bench.case import ATOM, INDEX, ROW, Case, Counts, Kernel, potential_case
from mdkern.bench.nep_models import PUBLIC_SIZES, random_nep
from mdkern.bench.scratch import scratch_folder
from mdkern.bench.systems import System
from mdkern.potentials.nep import NEP

__all__ = ["KERNELS"]

# Kernel name, size of the model, neighbors of an atom within the radial and the angular cutoff in the
# system it is timed on.
_SIZES: dict[str, tuple[str, float, float]] = {
    "nep": ("UNEP-v1", 78.0, 42.0),
    "nep_single": ("UNEP-v1", 78.0, 42.0),
    "nep_alloy": ("UNEP-v1", 78.0, 42.0),
    "nep_silicon": ("Si_2022_5body", 28.0, 28.0),
    "nep_carbon": ("C_2024", 240.0, 46.0),
    "nep_water": ("water", 90.7, 26.9),
    "nep_charges": ("water, charges", 90.7, 26.9),
}
_WAVES = 9000  # reciprocal vectors of 3,000 atoms of water


def _flops(size: str, radial: float, angular: float) -> float:
    """Operations per atom, as cpp/potentials/nep/nep_kernel.cpp counts them.

    Chebyshev series of one species; the sums over functions n and over the M = (l_max + 1)^2 - 1 angular
    functions; the network both ways.
    """
    model: dict[str, Any] = PUBLIC_SIZES[size]
    (n_r, n_a), (k_r, k_a) = (tuple(x + 1 for x in model[key]) for key in ("n_max", "basis"))
    n_lm = 24
    n_d = n_r + n_a * (4 + len(model["bodies"]))
    per_radial = 60 + 4 * k_r + 20 + 6 * k_r
    per_angular = 50 + 4 * n_a * k_a + 2 * n_a * n_lm + 100 + 4 * n_a * n_lm + 6 * n_lm
    per_atom = 4 * n_d * model["hidden"] + 40 * model["hidden"] + 60 * n_a * 16
    total = radial * per_radial + angular * per_angular + per_atom
    if "kind" in model:
        # Descriptors twice; pairs with erfc; reciprocal vectors (cpp/potentials/coulomb.hpp).
        total += radial * (60 + 4 * k_r) + angular * (50 + 4 * n_a * k_a + 2 * n_a * n_lm)
        total += 2 * n_d * model["hidden"] + radial * 130 + 12 * _WAVES
    return float(total)


@cache
def _path(size: str) -> str:
    """File of a random model of this size, written once per process."""
    model: dict[str, Any] = PUBLIC_SIZES[size]
    return random_nep(scratch_folder() / f"{size}.txt", **model)


def _kinds(kernel: str, species: tuple[str, ...], atoms: Any) -> np.ndarray:
    """Species numbers: by symbol; any of them at random for an alloy."""
    n = len(atoms)
    if kernel == "nep_alloy":
        return np.random.default_rng(4).integers(0, len(species), n)
    places = {symbol: k for k, symbol in enumerate(species)}
    return np.array([places.get(s, 0) for s in atoms.get_chemical_symbols()], dtype=np.int64)


def _case(kernel: str, system: System) -> Case:
    path, single = _path(_SIZES[kernel][0]), kernel == "nep_single"
    potential = NEP(path, precision="single" if single else "double")

    def formula(positions: Any, cell: Any, pbc: Any, species: Any) -> reference.Result:
        return reference.nep(positions, cell, pbc, species, potential.model)

    kinds = _kinds(kernel, potential.species, system.atoms)
    return potential_case(
        kernel, COUNTS[kernel], system, potential, formula, 2e-5 if single else 1e-11, kinds
    )


# Some ten entries of forces per atom, written twice and read once (force_blocks.hpp).
COUNTS = {
    name: Counts(_flops(size, n_r, n_a) / n_r, INDEX + 2 * ROW, INDEX, ATOM + 30 * ROW)
    for name, (size, n_r, n_a) in _SIZES.items()
}
_SYSTEMS = {
    "nep_silicon": ("silicon-1000", "silicon-216"),
    "nep_carbon": ("diamond-1000", "diamond-216"),
    "nep_water": ("water-3000", "water-81"),
    "nep_charges": ("water-3000", "water-81"),
}
KERNELS = {
    name: Kernel(
        partial(_case, name),
        COUNTS[name],
        *((x,) for x in _SYSTEMS.get(name, ("copper-4000", "cell-256"))),
    )
    for name in _SIZES
}
