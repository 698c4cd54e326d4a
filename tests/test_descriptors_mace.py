"""MACEDescriptor: mace-torch's numbers, vjp by finite differences and by the potential, arguments."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from contracts import evaluate
from mace_data import OWN, frames, mace_file, mace_model, names, species_of

import mdkern
from mdkern.calculators import MACE
from mdkern.descriptors import MACEDescriptor
from mdkern.errors import UnsupportedError
from mdkern.reference.mace import mace_descriptors

with np.load(OWN / "features.npz") as data:
    STORED = dict(data)
SEEN = sorted({key.rpartition("_")[0] for key in STORED})


def defined(name: str, atoms: Atoms) -> Any:
    model = mace_model(name)
    place = atoms.positions, atoms.cell.array, atoms.pbc, species_of(model, atoms)
    return mace_descriptors(*place, model)


def small(name: str) -> Atoms:
    """Two cells of some elements of the model, smaller than its cutoff."""
    species = MACEDescriptor(mace_model(name)).species
    atoms = bulk("Cu", a=3.5, cubic=True) * (2, 1, 1)
    atoms.symbols[:] = [species[k % len(species)] for k in range(len(atoms))]
    atoms.rattle(0.1, seed=3)
    return atoms


@pytest.mark.parametrize("name", SEEN)
@pytest.mark.usefixtures("isa")
def test_numbers_of_mace_torch(name: str) -> None:
    double = MACEDescriptor(mace_model(name))
    single = MACEDescriptor(mace_model(name), precision="single")
    tried = 0
    for k, (atoms, _, _) in enumerate(frames(name)):
        expected = STORED[f"{name}_{k}"]
        largest = max(1.0, np.abs(expected).max())
        assert np.abs(double.create(atoms) - expected).max() <= 1e-7 * largest
        assert np.abs(single.create(atoms) - expected).max() <= 2e-5 * largest
        tried += len(atoms) > 1
    assert tried > 0


@pytest.mark.parametrize("name", names())
def test_equals_the_definition(name: str) -> None:
    atoms = small(name)
    expected = defined(name, atoms)
    found = MACEDescriptor(mace_file(name)).create(atoms)
    assert np.abs(found - expected).max() <= 1e-7 * np.abs(expected).max()


def test_the_definition_gives_the_numbers_of_mace_torch() -> None:
    for name in SEEN:
        for k, (atoms, _, _) in enumerate(frames(name)):
            expected = STORED[f"{name}_{k}"]
            error = np.abs(defined(name, atoms) - expected).max()
            assert error <= 1e-10 * max(1.0, np.abs(expected).max())


@pytest.mark.quick
@pytest.mark.parametrize("name", ["large_2e", "layers3", "mh_like", "reduced_cg"])
@pytest.mark.usefixtures("isa")
def test_vjp_is_the_slope(name: str) -> None:
    atoms, d = small(name), MACEDescriptor(mace_model(name))
    rng = np.random.default_rng(0)
    w = rng.normal(size=(len(atoms), d.get_number_of_features()))
    gradient, virial = d.vjp(atoms, w)
    way, strain = rng.normal(size=(len(atoms), 3)), rng.normal(size=(3, 3))
    strain += strain.T

    def at(h: float, *, strained: bool) -> float:
        moved = atoms.copy()
        if strained:
            moved.set_cell(atoms.cell.array @ (np.eye(3) + h * strain), scale_atoms=True)
        else:
            moved.positions += h * way
        return float((w * d.create(moved)).sum())

    for strained, slope in ((False, (gradient * way).sum()), (True, -(virial * strain).sum())):
        h = 1e-4
        q = [at(k * h, strained=strained) for k in (-2, -1, 1, 2)]
        expected = (q[0] - 8 * q[1] + 8 * q[2] - q[3]) / (12 * h)
        assert slope == pytest.approx(expected, rel=1e-6, abs=1e-6 * np.abs(gradient).max())


@pytest.mark.parametrize("precision", ["double", "single"])
def test_a_readout_of_them_is_the_potential(precision: str) -> None:
    """Its last one is linear here, and so are the weights."""
    model = mace_model("corr1")
    K = model.arrays["R0.lin.0"].shape[0]
    first = next(r for r in model.meta["readouts"] if r["type"] == "LinearReadoutBlock")
    linear = replace(model, meta={**model.meta, "readouts": [first]})
    atoms = small("corr1")
    calc, d = MACE(linear, precision=precision), MACEDescriptor(linear, precision=precision)
    got = evaluate(calc, atoms)
    w = np.zeros((len(atoms), d.get_number_of_features()))
    at = first["layer"] * K
    w[:, at : at + K] = model.arrays["scale"][0] * model.arrays["R0.lin.0"][:, 0]
    gradient, virial = d.vjp(atoms, w)
    limit = 1e-11 if precision == "double" else 1e-5
    largest = np.abs(got["forces"]).max()
    assert largest > 1e-3
    assert np.abs(gradient + got["forces"]).max() <= limit * largest
    assert np.abs(virial - got["virial"]).max() <= limit * len(atoms) * largest
    own = model.arrays["atomic_energies"][0] + model.arrays["shift"][0]
    energies = own[species_of(model, atoms)] + (w * d.create(atoms)).sum(axis=1)
    assert np.abs(energies - got["energies"]).max() <= limit * np.abs(energies).max()


def test_symmetries() -> None:
    atoms, d = small("mh_like"), MACEDescriptor(mace_model("mh_like"))
    q = d.create(atoms)
    limit = 1e-11 * np.abs(q).max()
    turned = atoms.copy()
    turned.rotate(37.0, (1, 2, 3), rotate_cell=True)
    mirrored = atoms.copy()
    mirrored.positions *= -1
    mirrored.set_cell(-atoms.cell.array)
    order = np.random.default_rng(1).permutation(len(atoms))
    assert np.abs(d.create(turned) - q).max() <= limit
    assert np.abs(d.create(mirrored) - q).max() <= limit
    assert np.abs(d.create(atoms[order]) - q[order]).max() <= limit
    assert np.abs(d.create(atoms * (1, 2, 1)) - np.tile(q, (2, 1))).max() <= limit


def test_names_choices_and_copies() -> None:
    d, atoms = MACEDescriptor(mace_file("layers3")), small("layers3")
    names = d.feature_names()
    assert len(names) == len(set(names)) == d.get_number_of_features() == 24
    assert names[0] == "layer 1 k=0"
    assert names[8] == "layer 2 k=0"
    assert names[-1] == "layer 3 k=7"
    assert (d.r_cut, d.species) == (3.5, ("O", "Cu", "Au"))
    q = d.create(atoms)
    again = pickle.loads(pickle.dumps(d))
    assert np.array_equal(again.create(atoms), q)
    assert np.array_equal(MACEDescriptor(d.model).create(atoms), q)
    assert np.array_equal(d.create(atoms, centers=[3, 0]), q[[3, 0]])
    many = d.create([atoms, atoms[:3]])
    assert np.array_equal(many[0], q)
    assert many[1].shape == (3, 24)
    assert d.create(Atoms()).shape == (0, 24)


def test_heads_have_the_same_features() -> None:
    """Those of a model without a default one as well."""
    model = mace_model("multihead")
    atoms = small("multihead")
    q = MACEDescriptor(model).create(atoms)
    nameless = replace(model, meta={**model.meta, "heads": ["a", "b", "c"]})
    with pytest.raises(ValueError, match="head: None"):
        MACE(nameless)
    assert np.array_equal(MACEDescriptor(nameless).create(atoms), q)


@pytest.mark.parametrize("precision", ["double", "single"])
def test_the_same_bits_for_any_number_of_threads(precision: str) -> None:
    atoms = small("large_2e") * (3, 6, 6)
    d = MACEDescriptor(mace_model("large_2e"), precision=precision)
    w = np.random.default_rng(0).normal(size=(len(atoms), d.get_number_of_features()))
    found = []
    for n in (1, 2, 3, 4):
        with mdkern.num_threads(n):
            gradient, virial = d.vjp(atoms, w)
            found.append((d.create(atoms).tobytes(), gradient.tobytes(), virial.tobytes()))
    assert len(set(found)) == 1


def test_bad_arguments() -> None:
    d, atoms = MACEDescriptor(mace_model("corr1")), small("corr1")
    with pytest.raises(UnsupportedError, match=r"derivatives: .*neighbors of neighbors.*vjp"):
        d.derivatives(atoms, centers=[0])
    with pytest.raises(ValueError, match=r"weights: shape \(2, 3\); expected \(8, 16\)"):
        d.vjp(atoms, np.ones((2, 3)))
    with pytest.raises(ValueError, match="atom 0 is Xe; the potential has H, C, N, O"):
        d.create(Atoms("Xe"))
    with pytest.raises(ValueError, match="precision: 'half'"):
        MACEDescriptor(mace_model("corr1"), precision="half")
    with pytest.raises(ValueError, match="threads: 0"):
        MACEDescriptor(mace_model("corr1"), threads=0)
    with pytest.raises(FileNotFoundError):
        MACEDescriptor("not_there.model")
