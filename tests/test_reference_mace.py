"""The readable definition of MACE against mace-torch's numbers, and against itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from mace_data import frames, mace_model, names, species_of

from mdkern.io.mace import MaceModel
from mdkern.reference.mace import mace, mace_descriptors
from mdkern.reference.mace_pairs import harmonics
from mdkern.reference.pairs import Result

NAMES = names()
if not NAMES:
    pytest.skip("no models: neither tests/data/mace nor MDKERN_TEST_DATA", allow_module_level=True)


def place(model: MaceModel, atoms: Atoms) -> tuple[Any, ...]:
    return atoms.positions, atoms.cell.array, atoms.pbc, species_of(model, atoms), model


def evaluate(model: MaceModel, atoms: Atoms, head: str | None = None) -> Result:
    return mace(*place(model, atoms), head=head)


@pytest.mark.parametrize("name", NAMES)
def test_numbers_of_mace_torch(name: str) -> None:
    model = mace_model(name)
    tried = 0
    for atoms, head, expected in frames(name):
        found = evaluate(model, atoms, head)
        energies, forces = expected["energies"], expected["forces"]
        assert abs(found.energy - expected["energy"]) < 1e-10 * len(atoms)
        np.testing.assert_allclose(found.energies, energies, rtol=0, atol=1e-10)
        largest = max(1.0, np.abs(forces).max())
        np.testing.assert_allclose(found.forces, forces, rtol=0, atol=1e-9 * largest)
        if "stress" in expected:
            stress = -found.virial.ravel()[[0, 4, 8, 5, 2, 1]] / atoms.get_volume()
            largest = max(1e-3, np.abs(expected["stress"]).max())
            np.testing.assert_allclose(stress, expected["stress"], rtol=0, atol=1e-9 * largest)
            tried += 1
    assert tried > 0


@pytest.mark.parametrize("name", NAMES)
def test_derivatives(name: str) -> None:
    check_derivatives(mace_model(name))


def test_derivatives_of_what_no_model_here_has() -> None:
    """Each block with the cutoff at the other place, and another readout."""
    for name in NAMES:
        model = mace_model(name)
        radial = model.meta["radial"]
        flipped = {**radial, "apply_cutoff": not radial["apply_cutoff"]}
        act = {"silu": "sigmoid", "tanh": "silu"}
        readouts = [r | {"act": act[r["act"]]} if "act" in r else r for r in model.meta["readouts"]]
        check_derivatives(
            replace(model, meta={**model.meta, "radial": flipped, "readouts": readouts})
        )


def check_derivatives(model: MaceModel) -> None:
    """Forces and virial of a small structure by central differences along a random direction and strain."""
    random = np.random.default_rng(3)
    head = model.meta["heads"][0]
    symbols = model.arrays["atomic_numbers"][[0, -1, 0, 1]]
    at = np.array([[0, 0, 0], [1.6, 0.1, 0], [0.2, 1.7, 0.3], [0.1, -0.3, 1.8]])
    atoms = Atoms(symbols, at, cell=[[3.6, 0, 0], [0.4, 3.7, 0], [0, 0.3, 3.8]], pbc=(1, 1, 0))
    found = evaluate(model, atoms, head)
    way, strain = random.normal(size=(4, 3)), random.normal(size=(3, 3))
    strain += strain.T

    def at_step(h: float, *, strained: bool) -> float:
        moved = atoms.copy()
        if strained:
            moved.set_cell(atoms.cell.array @ (np.eye(3) + h * strain), scale_atoms=True)
        else:
            moved.positions += h * way
        return evaluate(model, moved, head).energy

    for strained, slope in ((False, -(found.forces * way).sum()), (True, -(found.virial * strain).sum())):  # fmt: skip
        h = 1e-4
        e = [at_step(k * h, strained=strained) for k in (-2, -1, 1, 2)]
        expected = (e[0] - 8 * e[1] + 8 * e[2] - e[3]) / (12 * h)
        assert slope == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_descriptors_are_scalars_of_all_layers() -> None:
    for name in NAMES:
        model = mace_model(name)
        atoms = next(frames(name))[0]
        found = mace_descriptors(*place(model, atoms))
        channels = model.arrays["node_embedding"].shape[1]
        assert found.shape == (len(atoms), channels * len(model.meta["layers"]))
        turned = atoms.copy()
        turned.rotate(37.0, (1, 2, 3), rotate_cell=True)
        np.testing.assert_allclose(mace_descriptors(*place(model, turned)), found, atol=1e-11 * np.abs(found).max())  # fmt: skip
        # What the first readout, which is linear, makes of them is the energy without the others.
        first = model.meta["readouts"][0]
        if len(model.meta["readouts"]) == 1 or model.meta["zbl"] is not None or len(model.meta["heads"]) > 1:  # fmt: skip
            continue
        alone = replace(model, meta={**model.meta, "readouts": [first]})
        energies = evaluate(alone, atoms).energies
        scalars = found[:, first["layer"] * channels : (first["layer"] + 1) * channels]
        read = scalars @ model.arrays["R0.lin.0"][:, 0]
        own = model.arrays["atomic_energies"][0][species_of(model, atoms)]
        expected = own + model.arrays["scale"][0] * read + model.arrays["shift"][0]
        np.testing.assert_allclose(energies, expected, atol=1e-10)


def test_heads() -> None:
    several = [name for name in NAMES if len(mace_model(name).meta["heads"]) > 1]
    for name in several:
        model = mace_model(name)
        atoms = next(frames(name))[0]
        heads = model.meta["heads"]
        energies = {head: evaluate(model, atoms, head).energy for head in heads}
        assert len(set(energies.values())) == len(energies)
        assert evaluate(model, atoms).energy == energies["Default"]
        renamed = replace(model, meta={**model.meta, "heads": [f"{head}s" for head in heads]})
        for wrong in (None, "nobody's"):
            with pytest.raises(ValueError, match=f"head: {wrong!r}; expected one of"):
                evaluate(renamed, atoms, wrong)
    one = mace_model(next(name for name in NAMES if name not in several))
    atoms = Atoms([int(one.arrays["atomic_numbers"][0])])
    assert evaluate(one, atoms).energy == evaluate(one, atoms, one.meta["heads"][0]).energy


def test_parts_of_a_system_do_not_see_each_other() -> None:
    """Pairs and atoms are worked on in parts, some of one structure, some of another."""
    name = next(n for n in ("small_0e", *NAMES) if n in NAMES)
    model = mace_model(name)
    one = molecule("CH3CH2OH") if 6 in model.arrays["atomic_numbers"] else next(frames(name))[0]
    one.pbc = False
    one.cell = None
    many = one.copy()
    for k in range(1, 12):
        other = one.copy()
        other.positions += [30.0 * k, 0, 0]
        many += other
    found, alone = evaluate(model, many), evaluate(model, one)
    np.testing.assert_allclose(found.energies.reshape(12, -1), np.tile(alone.energies, (12, 1)), atol=1e-11)  # fmt: skip
    np.testing.assert_allclose(found.forces.reshape(12, -1, 3)[7], alone.forces, atol=1e-11)
    empty = evaluate(model, one[:0])
    assert empty.energy == 0.0
    assert empty.forces.shape == (0, 3)


def test_harmonics() -> None:
    random = np.random.default_rng(1)
    u = random.normal(size=(50, 3))
    u /= np.linalg.norm(u, axis=1)[:, None]
    Y, dY = harmonics(u, 5)
    for ell in range(6):
        np.testing.assert_allclose((Y[:, ell * ell : (ell + 1) ** 2] ** 2).sum(axis=1), 2 * ell + 1)
    x, y, z = u.T
    np.testing.assert_allclose(Y[:, 1:4], np.sqrt(3) * u)
    second = [np.sqrt(15) * x * z, np.sqrt(15) * x * y, np.sqrt(5) * (y**2 - (x**2 + z**2) / 2), np.sqrt(15) * y * z, np.sqrt(15) / 2 * (z**2 - x**2)]  # fmt: skip
    np.testing.assert_allclose(Y[:, 4:9], np.transpose(second), atol=1e-14)
    h, way = 1e-5, random.normal(size=3)
    slope = (harmonics(u + h * way, 5)[0] - harmonics(u - h * way, 5)[0]) / (2 * h)
    np.testing.assert_allclose(dY @ way, slope, atol=1e-6)
