"""MACE: numbers of channels, layers, irreps and neurons that no model of the tests has, against the definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from contracts import evaluate
from mace_data import species_of
from test_potentials_mace import defined, random_model

from mdkern.bench.mace_models import DENSITY, DENSITY_RESIDUAL, PLAIN, RESIDUAL
from mdkern.calculators import MACE
from mdkern.descriptors import MACEDescriptor
from mdkern.reference.mace import mace_descriptors

# Work goes through channels by chunks of at most twelve lines, which is 96 numbers in double precision and 192 in single.
SHAPES: dict[str, dict[str, Any]] = {
    "smallest": {"channels": 1, "max_ell": 0, "correlation": 1, "num_basis": 1, "radial": ()},
    "scalars": {"channels": 7, "max_ell": 0, "correlation": 3},
    "one_layer": {"blocks": (RESIDUAL,), "channels": 9},
    "four_layers": {
        "blocks": (PLAIN, DENSITY, RESIDUAL, DENSITY_RESIDUAL), "l_hidden": 1, "max_ell": 2
    },
    "third_rank": {"l_hidden": 3, "max_ell": 3, "channels": 3, "correlation": 2},
    "l_4": {"l_hidden": 1, "max_ell": 4, "channels": 2, "correlation": 2},
    "vectors_products_of_one": {"l_hidden": 1, "correlation": 1},
    "one_species": {"species": ("Cu",), "repulsion": True, "blocks": (DENSITY, DENSITY_RESIDUAL)},
    "densities_far_apart": {"blocks": (DENSITY, DENSITY), "num_basis": 8, "r_max": 3.0, "seed": 3},
    "two_chunks": {"channels": 130, "max_ell": 1, "l_hidden": 1, "correlation": 2},
    "three_chunks": {"channels": 200, "max_ell": 1, "correlation": 2},
}  # fmt: skip


def structure(species: tuple[str, ...]) -> Atoms:
    atoms = bulk("Cu", a=3.6, cubic=True) * (2, 1, 1)
    atoms.symbols[:] = [species[k * k % len(species)] for k in range(len(atoms))]
    atoms.rattle(0.15, seed=3)
    return atoms


@pytest.mark.quick
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.usefixtures("isa")
def test_models_of_every_shape(shape: str) -> None:
    model = random_model(**SHAPES[shape])
    atoms = structure(MACEDescriptor(model).species)
    expected = defined(model, atoms)
    kinds = species_of(model, atoms)
    features = mace_descriptors(atoms.positions, atoms.cell.array, atoms.pbc, kinds, model)
    scale = np.abs(expected.forces).max() + np.abs(expected.energies).max()
    for radial, precision, limit in (
        ("exact", "double", 1e-12),
        ("table", "double", 5e-7),
        ("table", "single", 5e-5),
    ):
        got = evaluate(MACE(model, radial=radial, precision=precision), atoms)
        assert np.abs(got["energies"] - expected.energies).max() <= limit * scale
        assert np.abs(got["forces"] - expected.forces).max() <= limit * scale
        size = len(atoms) * model.meta["radial"]["r_max"]
        assert np.abs(got["virial"] - expected.virial).max() <= limit * scale * size
    for precision, limit in (("double", 5e-7), ("single", 5e-5)):
        found = MACEDescriptor(model, precision=precision).create(atoms)
        assert np.abs(found - features).max() <= limit * np.abs(features).max()
