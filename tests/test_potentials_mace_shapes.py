"""MACE: numbers of channels, layers, irreps and neurons that no model of the tests has, against the definition."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from contracts import evaluate
from mace_data import species_of
from test_potentials_mace import defined, narrow, random_model

from mdkern.bench.mace_models import DENSITY, DENSITY_RESIDUAL, PLAIN, RESIDUAL
from mdkern.calculators import MACE
from mdkern.descriptors import MACEDescriptor
from mdkern.io.mace import MaceModel
from mdkern.io.mace_contract import check_model
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


# Axes of arrays that are channels, one behind the other as often as it fits: of features (K) or of edges (E).
CHANNELS = {
    "node_embedding": " K", "up": "KE", "lin": "EK", "res": "EK", "lin2": "KK", "skip": "KK", "source": " K", "target": " K",
    "radial.W3": " E", "radial.b3": "E", "prod.W": "  K", "prod.lin": "KK", "R.lin": "K ", "R.lin1": "K ",
}  # fmt: skip


def kind_of(key: str) -> str:
    """Name of an array in CHANNELS."""
    owner, _, rest = key.partition(".")
    parts = rest.split(".")
    if owner[0] == "R":
        return f"R.{parts[0]}"
    if owner[0] != "L" or parts[0] == "radial":
        return rest or key
    if parts[0] == "prod":
        return "prod.W" if parts[-1][0] == "W" else f"prod.{parts[1]}"
    return parts[0]


def repeated(a: Any, axis: int, n: int, times: int) -> Any:
    """Each n numbers along an axis so many times."""
    shape = list(a.shape)
    grouped = a.reshape(*shape[:axis], -1, n, *shape[axis + 1 :])
    shape[axis] *= times
    return np.concatenate([grouped] * times, axis=axis + 1).reshape(shape)


def widened(model: MaceModel, times: int) -> MaceModel:
    """A non-linear model with so many times as many channels, each with numbers of its own."""
    rng, arrays = np.random.default_rng(2), {}
    first, n_basis = model.meta["layers"][0], model.meta["radial"]["num_basis"]
    base = {"K": first["irreps_out"][0][0], "E": first["irreps_up"][0][0]}
    for key, given in model.arrays.items():
        a, axes = given, CHANNELS.get(kind_of(key), "")
        for axis, kind in enumerate(axes):
            if kind != " ":
                a = repeated(a, axis, base[kind], times)
        if key.endswith((".radial.W0", ".density.W0")):  # the elements of a pair, behind the basis
            a = np.vstack([a[:n_basis], repeated(a[n_basis:], 0, base["K"], times) / times])
        if len(axes) > 1 and axes[0] != " ":  # a sum over channels
            a = a / times
        arrays[key] = a * rng.uniform(0.4, 1.6, a.shape) if axes else a
    layers = [
        {
            key: [[n * times, *x] for n, *x in value] if key.startswith("irreps") else value
            for key, value in layer.items()
        }
        for layer in model.meta["layers"]
    ]
    wide = replace(model, meta={**model.meta, "layers": layers}, arrays=arrays)
    check_model("widened", wide.meta, wide.arrays)
    return wide


@cache
def made(shape: str) -> MaceModel:
    if shape in SHAPES:
        return random_model(**SHAPES[shape])
    name, _, times = shape.partition(" x ")
    return widened(narrow(name), int(times))


@pytest.mark.quick
@pytest.mark.parametrize("shape", [*SHAPES, "mh_like x 3", "mh_like x 25"])
@pytest.mark.usefixtures("isa")
def test_models_of_every_shape(shape: str) -> None:
    model = made(shape)
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


def wider(model: MaceModel, t: int, times: int) -> MaceModel:
    """The same model with so many copies of the channels of layer t between Linear_up and Linear, each with its part."""
    layers = [dict(x) for x in model.meta["layers"]]
    arrays, layer = dict(model.arrays), layers[t]
    edges = layer["irreps_up"][0][0]
    for key in ("irreps_up", "irreps_mid"):
        layer[key] = [[times * edges, *x[1:]] for x in layer[key]]
    for name, array in model.arrays.items():
        owner, _, rest = name.partition(".")
        if owner != f"L{t}":
            continue
        if rest.startswith("up."):
            arrays[name] = np.tile(array, (1, times))
        elif rest == f"radial.W{layer['radial_layers'] - 1}":
            by_path = array.reshape(len(array), -1, edges)
            arrays[name] = np.tile(by_path, (1, 1, times)).reshape(len(array), -1)
        elif rest.startswith("lin."):
            by_path = array.reshape(-1, edges, array.shape[1])
            arrays[name] = np.tile(by_path, (1, times, 1)).reshape(-1, array.shape[1]) / times
    return MaceModel(model.path, *check_model(model.path, model.meta | {"layers": layers}, arrays))


def test_layers_of_different_widths() -> None:
    model = random_model(blocks=(RESIDUAL,) * 4, l_hidden=1, max_ell=2, correlation=2, channels=5)
    wide = wider(wider(model, 2, 4), 3, 14)
    atoms = structure(("O", "Cu"))
    first, second = (
        evaluate(MACE(model, radial="exact"), atoms),
        evaluate(MACE(wide, radial="exact"), atoms),
    )
    assert np.abs(first["forces"] - second["forces"]).max() <= 1e-11 * np.abs(first["forces"]).max()


@pytest.mark.parametrize("size", [1e-8, 1e-3, 1e6])
def test_tables_do_not_depend_on_how_large_radial_functions_are(size: float) -> None:
    model = random_model(blocks=(DENSITY, DENSITY_RESIDUAL))
    arrays = dict(model.arrays)
    for t, layer in enumerate(model.meta["layers"]):
        arrays[f"L{t}.radial.W{layer['radial_layers'] - 1}"] = (
            size * arrays[f"L{t}.radial.W{layer['radial_layers'] - 1}"]
        )
        for o in range(len(layer["irreps_target"])):
            arrays[f"L{t}.lin.{o}"] = arrays[f"L{t}.lin.{o}"] / size
    atoms = structure(("O", "Cu"))
    expected = evaluate(MACE(model, radial="exact"), atoms)
    got = evaluate(MACE(replace(model, arrays=arrays)), atoms)
    assert (
        np.abs(got["forces"] - expected["forces"]).max() <= 1e-7 * np.abs(expected["forces"]).max()
    )
