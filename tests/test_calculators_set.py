"""Changing parameters: what is changed is changed, the model stays as it was read, the rest stays as it was."""

from __future__ import annotations

import copy
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from deepmd_data import model_file, system

from mdkern.bench.mace_models import random_mace
from mdkern.bench.nep_models import random_nep
from mdkern.calculators import (
    EAM,
    MACE,
    NEP,
    Calculator,
    DeepPotential,
    LennardJones,
    LinearModel,
    ModelDeviation,
    NEPTensor,
    Sum,
    load,
)
from mdkern.descriptors import ACSF, SOAP, DeepPotSE, MACEDescriptor, NEPDescriptor
from mdkern.errors import MDKernWarning
from mdkern.io.mace import write_mace
from mdkern.md import VelocityVerlet, read_checkpoint, write_checkpoint

pytestmark = pytest.mark.quick

CLASSICAL = Path(__file__).parent / "data" / "classical"


def copper() -> Atoms:
    atoms = bulk("Cu", cubic=True) * 2
    atoms.rattle(0.05, seed=1)
    return atoms


def oxides() -> Atoms:
    return system("crystal")


def write_nep(path: Path, seed: int = 1, kind: str = "") -> Path:
    random_nep(path, species=["Cu"], cutoffs=(4.0, 3.0), kind=kind, seed=seed)
    return path


def write_linear(path: Path, seed: int = 1) -> Path:
    soap = SOAP(species=["Cu"], r_cut=4.0, n_max=2, l_max=1, periodic=True)
    weights = np.random.default_rng(seed).normal(size=soap.get_number_of_features())
    LinearModel(soap, weights).save(path)
    return path


def write_random_mace(path: Path, seed: int = 1) -> Path:
    write_mace(path, random_mace(channels=4, num_basis=4, radial=(8,), r_max=4.0, seed=seed))
    return path


def write_deepmd(path: Path, seed: int = 1) -> Path:
    source = Path(model_file("se_e2_a_dt" if seed == 1 else "se_e2_r"))
    shutil.copy(source, path)
    return path


def write_eam(path: Path, seed: int = 1) -> Path:
    shutil.copy(CLASSICAL / ("synthetic.eam.alloy" if seed == 1 else "synthetic.eam.fs"), path)
    return path


# Class, file, what writes one, structure, a parameter of the potential beside the file with another value.
FILES: dict[str, tuple[Any, str, Callable[..., Path], Callable[[], Atoms], dict[str, Any]]] = {
    "nep": (NEP, "nep.txt", write_nep, copper, {"precision": "single"}),
    "mace": (MACE, "mace.npz", write_random_mace, copper, {"precision": "single"}),
    "mace exact": (MACE, "mace.npz", write_random_mace, copper, {"radial": "exact"}),
    "deepmd": (DeepPotential, "model.yaml", write_deepmd, oxides, {"tabulate": False}),
    "deepmd single": (DeepPotential, "model.yaml", write_deepmd, oxides, {"precision": "single"}),
    "eam": (EAM, "synthetic.eam", write_eam, copper, {"elements": ["Cu"]}),
    "linear": (LinearModel, "linear.npz", write_linear, copper, {}),
}


@pytest.mark.parametrize("fate", ["replaced", "gone", "elsewhere"])
@pytest.mark.parametrize("name", FILES)
def test_a_model_once_read_stays(
    name: str, fate: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever becomes of its file: with other threads and skin, with other parameters, in copies."""
    kind, file, write, structure, change = FILES[name]
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write(Path(file))
    atoms = structure()
    calc: Calculator = kind(file)
    right = calc.get_potential_energy(atoms)
    changed = kind(file, **change).get_potential_energy(atoms)
    if fate == "elsewhere":
        monkeypatch.chdir(tmp_path)
    else:
        Path(file).unlink()
        if fate == "replaced":
            write(Path(file), seed=2)
            assert kind(file).get_potential_energy(atoms) != right
    calc.set(threads=1)
    assert calc.get_potential_energy(atoms) == right
    calc.set(skin=0.5)
    assert abs(calc.get_potential_energy(atoms) - right) < 1e-10 * abs(right)
    for other in (copy.deepcopy(calc), pickle.loads(pickle.dumps(calc))):
        other.set(threads=2, **change)
        assert abs(other.get_potential_energy(atoms) - changed) < 1e-10 * abs(changed)
    if change:
        calc.set(**change)
        assert abs(calc.get_potential_energy(atoms) - changed) < 1e-10 * abs(changed)
        assert set(change) < set(calc.parameters)
    assert calc.parameters[next(iter(calc.parameters))] == file
    if fate == "elsewhere":
        write(Path("other"), seed=2)
        before = calc.get_potential_energy(atoms)
        name_of_path = next(iter(calc.parameters))
        if kind is not EAM:
            assert calc.set(**{name_of_path: "other"}) == {name_of_path: "other"}
            assert calc.get_potential_energy(atoms) != before


def test_all_elements_of_a_file_stay(tmp_path: Path) -> None:
    """Also those that were not chosen at first."""
    path = write_eam(tmp_path / "x.eam")
    calc = EAM(path, elements=["Cu"])
    atoms = copper()
    atoms.symbols[::3] = "Al"
    right = EAM(path).get_potential_energy(atoms)
    path.unlink()
    calc.set(elements=["Al", "Cu"])
    assert abs(calc.get_potential_energy(atoms) - right) < 1e-10 * abs(right)


def test_tensors_and_deviations_keep_their_models(tmp_path: Path) -> None:
    atoms = copper()
    dipole = write_nep(tmp_path / "dipole.txt", kind="dipole")
    calc = load(dipole)
    assert isinstance(calc, NEPTensor)
    right = calc.get_dipole_moment(atoms)
    paths = [str(write_nep(tmp_path / f"{k}.txt", seed=k)) for k in (1, 2)]
    several = ModelDeviation(paths)
    energy = several.get_potential_energy(atoms)
    devi = several.deviation["max_devi_f"]
    for path in tmp_path.glob("*.txt"):
        path.unlink()
    calc.set(skin=0.1, precision="single")
    assert np.allclose(calc.get_dipole_moment(atoms), right, rtol=1e-3)
    several.set(threads=1)
    assert several.get_potential_energy(atoms) == energy
    assert copy.deepcopy(several).deviation["max_devi_f"] == devi


def test_what_was_read_serves_others(tmp_path: Path) -> None:
    """A potential's model makes other potentials and descriptors, without its file."""
    nep, deep = write_nep(tmp_path / "nep.txt"), write_deepmd(tmp_path / "model.yaml")
    mace = write_random_mace(tmp_path / "mace.npz")
    first, second, third = NEP(nep), DeepPotential(deep), MACE(mace)
    q, d = NEPDescriptor(nep).create(copper()), DeepPotSE(deep).create(oxides())
    h = MACEDescriptor(mace).create(copper())
    for path in (nep, deep, mace):
        path.unlink()
    assert np.array_equal(NEPDescriptor(first.potential.model).create(copper()), q)
    assert np.array_equal(DeepPotSE(second.potential.model).create(oxides()), d)
    assert np.array_equal(MACEDescriptor(third.potential.model).create(copper()), h)
    again = NEP(first.potential.model)
    assert again.parameters["path"] == str(nep)
    assert again.get_potential_energy(copper()) == first.get_potential_energy(copper())
    # Another model in the place of a file of the same name is another one.
    other = NEP(write_nep(nep, seed=2))
    assert first.set(path=other.potential.model) == {"path": str(nep)}
    assert first.get_potential_energy(copper()) == other.get_potential_energy(copper())


def test_the_same_values_change_nothing(tmp_path: Path) -> None:
    path = write_nep(tmp_path / "nep.txt")
    calc = NEP(str(path), threads=2, skin=0.4)
    atoms = copper()
    calc.get_forces(atoms)
    potential, results = calc.potential, calc.results
    for values in (
        {},
        {"threads": 2},
        {"skin": 0.4, "precision": "double"},
        {"path": path},
        {"path": str(path), "threads": 2},
    ):
        assert calc.set(**values) == {}
        assert calc.potential is potential
        assert calc.results is results
    lj = LennardJones(sigma={"Ar": 3.4}, epsilon={"Ar": 0.01}, pairs={})
    assert lj.set(sigma={"Ar": 3.4}, shift=True, mixing="lorentz-berthelot") == {}
    assert lj.set(sigma={"Ar": 3.5}) == {"sigma": {"Ar": 3.5}}


def test_the_list_stays_where_threads_change() -> None:
    calc = EAM.zhou2004(["Cu"])
    atoms = copper()
    forces = calc.get_forces(atoms)
    assert calc.set(threads=2) == {"threads": 2}
    assert calc.results == {}
    assert np.array_equal(calc.get_forces(atoms), forces)
    assert calc.n_builds == 1
    atoms.positions += 0.01
    calc.get_forces(atoms)
    assert calc.n_builds == 1
    calc.set(skin=0.5)
    assert calc.n_builds == 0
    calc.get_forces(atoms)
    assert calc.n_builds == 1


@pytest.mark.parametrize(
    "bad",
    [
        {"threads": 0},
        {"threads": 1.5},
        {"skin": -1.0},
        {"skin": float("nan")},
        {"threads": 1, "skin": -0.1},
        {"precision": "half"},
        {"path": "no such file"},
        {"precision": "single", "skin": -1.0},
        {"threads": 2, "path": "no such file"},
    ],
)
def test_a_bad_value_leaves_everything(bad: dict[str, Any], tmp_path: Path) -> None:
    calc = NEP(str(write_nep(tmp_path / "nep.txt")), threads=3)
    atoms = copper()
    energy = calc.get_potential_energy(atoms)
    kept = (dict(calc.parameters), calc.potential, calc.results, calc.n_threads, calc._table)
    with pytest.raises((ValueError, OSError)):
        calc.set(**bad)
    assert kept == (calc.parameters, calc.potential, calc.results, calc.n_threads, calc._table)
    assert not calc.calculation_required(atoms, ["energy"])
    assert calc.get_potential_energy(atoms) == energy


def test_dynamics_go_on_where_threads_change(tmp_path: Path) -> None:
    path = write_nep(tmp_path / "nep.txt")
    runs = []
    for change in ({}, {"threads": 2}):
        atoms = copper()
        atoms.calc = NEP(str(path))
        dynamics = VelocityVerlet(atoms, 1.0)
        dynamics.run(4)
        atoms.calc.set(**change)
        dynamics.run(4)
        runs.append((atoms.positions.tobytes(), dynamics.n_builds))
    assert runs[0] == runs[1]


def test_checkpoint_with_another_model_says_so(tmp_path: Path) -> None:
    atoms = copper()
    path = write_nep(tmp_path / "nep.txt")
    atoms.calc = NEP(path)
    dynamics = VelocityVerlet(atoms, 1.0)
    dynamics.run(3)
    write_checkpoint(tmp_path / "run.npz", dynamics)
    checkpoint = read_checkpoint(tmp_path / "run.npz")
    checkpoint.dynamics(NEP(path)).run(1)
    write_nep(path, seed=2)
    with pytest.warns(MDKernWarning, match="another model or other parameters"):
        checkpoint.dynamics(NEP(path))


def test_arrays_that_change_later() -> None:
    """What is evaluated, what is kept beside it and what copies are made from are one, whatever the caller writes into an array."""
    atoms = copper()
    parts = [LennardJones(sigma=2.3, epsilon=0.4), LennardJones(sigma=2.2, epsilon=0.1)]
    weights = np.array([1.0, 2.0])
    both = Sum(parts, weights=weights)
    before = both.get_potential_energy(atoms)
    weights[1] = 0.0
    assert copy.deepcopy(both).parameters["weights"].tolist() == [1.0, 2.0]
    both.set(skin=0.5)
    assert both.get_potential_energy(atoms) == pytest.approx(before, rel=1e-12)
    assert both.set(weights=weights).keys() == {"weights"}
    assert both.get_potential_energy(atoms) == pytest.approx(
        parts[0].get_potential_energy(atoms), rel=1e-12
    )


def test_arrays_of_linear_models_that_change_later(tmp_path: Path) -> None:
    species, weighting = ["Cu"], {"function": "poly", "r0": 5.0, "c": 1.0, "m": 1.0}
    soap = SOAP(species, 4.0, 2, 1, weighting=weighting, periodic=True)
    weights = np.ones((1, soap.get_number_of_features()))
    model = LinearModel(soap, weights)
    atoms = copper()
    energy = model.get_potential_energy(atoms)
    weights *= 2.0
    species.append("Ni")
    weighting["r0"] = 6.0
    model.save(tmp_path / "model.npz")
    for same in (
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        load(tmp_path / "model.npz"),
        LinearModel(copy.deepcopy(soap), weights / 2.0),
        LinearModel(pickle.loads(pickle.dumps(soap)), weights / 2.0),
    ):
        same.reset()
        assert same.species == ("Cu",)
        assert same.get_potential_energy(atoms) == energy
    assert model.set(weights=weights).keys() == {"weights"}
    assert model.get_potential_energy(atoms) == pytest.approx(2.0 * energy, rel=1e-12)


def test_parameters_of_symmetry_functions_that_change_later() -> None:
    atoms = copper()
    g2 = np.array([[1.0, 0.0], [2.0, 1.0]])
    acsf = ACSF(["Cu"], 4.0, g2_params=g2, periodic=True)
    before = acsf.create(atoms)
    g2[:] = 9.0
    for same in (acsf, copy.deepcopy(acsf), pickle.loads(pickle.dumps(acsf))):
        assert np.array_equal(same.create(atoms), before)
    model = LinearModel(acsf, np.ones(acsf.get_number_of_features()))
    assert model.get_potential_energy(atoms) == pytest.approx(before.sum(), rel=1e-12)


def test_parts_that_change_later(tmp_path: Path) -> None:
    """A sum keeps the parts that it was made of, until it is given others."""
    atoms = copper()
    nep = write_nep(tmp_path / "nep.txt")
    part, other = LennardJones(sigma=2.3, epsilon=0.4), NEP(nep)
    alone, theirs = part.get_potential_energy(atoms), other.get_potential_energy(atoms)
    both, read = Sum([part, other], weights=[1.0, 0.0]), Sum([part, nep], weights=[1.0, 0.0])
    part.set(epsilon=0.8)
    nep.unlink()
    for total in (both, read, copy.deepcopy(both), pickle.loads(pickle.dumps(read))):
        assert total.get_potential_energy(atoms) == pytest.approx(alone, rel=1e-12)
        total.set(weights=[0.5, 1.0])
        assert total.get_potential_energy(atoms) == pytest.approx(0.5 * alone + theirs, rel=1e-12)
    assert Sum(**both.todict()).get_potential_energy(atoms) == both.get_potential_energy(atoms)
    assert both.set(parts=[part, other]).keys() == {"parts"}
    assert both.get_potential_energy(atoms) == pytest.approx(alone + theirs, rel=1e-12)


def test_a_subclass_without_a_calculate_of_its_own_is_native(tmp_path: Path) -> None:
    """That of NEP has one, which is mdkern's."""

    class Named(NEP):
        title = "mine"

    atoms, twin = copper(), copper()
    path = write_nep(tmp_path / "nep.txt")
    atoms.calc, twin.calc = Named(path), NEP(path)
    for a in (atoms, twin):
        VelocityVerlet(a, 1.0).run(3)
    assert np.array_equal(atoms.positions, twin.positions)
    Sum([atoms.calc, LennardJones()]).get_potential_energy(atoms)
