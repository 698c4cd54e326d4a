"""Deep Potential: DeePMD-kit's numbers, the definition in NumPy, the contract, deviations, descriptors."""

from __future__ import annotations

import copy
import json
import pickle
import warnings
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.md.verlet import VelocityVerlet as AseVelocityVerlet
from contracts import VOIGT, PotentialContract, ThreadsUnderSanitizers, evaluate
from deepmd_data import (
    HERE,
    SYSTEMS,
    WATER,
    inputs,
    model_file,
    names,
    reference_of,
    shared_folder,
    system,
    water_cases,
)

import mdkern
from mdkern import _core, potentials, reference
from mdkern.bench.deepmd_models import random_deepmd
from mdkern.bench.scratch import scratch_folder
from mdkern.calculators import DeepPotential, LennardJones, ModelDeviation
from mdkern.descriptors import DeepPotSE
from mdkern.errors import MDKernWarning, UnsupportedError
from mdkern.io.deepmd import read_deepmd
from mdkern.md import VelocityVerlet
from mdkern.potentials.deepmd import fields_of

OVERFLOW = pytest.mark.filterwarnings("ignore:.*more neighbors than sel")


def tolerance(name: str) -> float:
    """Relative: DeePMD-kit does the arithmetic of float32 models in single precision."""
    return 3e-6 if "float32" in name else 1e-10


@cache
def random_model(**kw: Any) -> str:
    """A small random model, written once."""
    kw = {"neuron": (3, 6), "axis_neuron": 3, "fitting": (8, 8)} | kw
    return random_deepmd(scratch_folder() / "m.json", **kw)


def check(
    name: str, values: dict[str, Any], energy: float, energies: Any, forces: Any, virial: Any
) -> None:
    """Against DeePMD-kit's values, relative to the largest."""
    tol = tolerance(name)
    scale = np.abs(values["atom_energy"]).max()
    assert abs(energy - values["energy"]) <= tol * scale * len(energies)
    assert np.abs(energies - values["atom_energy"]).max() <= tol * scale
    largest = max(1e-3, np.abs(values["force"]).max())
    assert np.abs(forces - values["force"]).max() <= 10 * tol * largest
    if "virial" in values:
        expected = values["virial"]
        assert np.abs(virial - expected).max() <= 10 * tol * np.abs(expected).max()


# --- DeePMD-kit's numbers -------------------------------------------------------------------------


@pytest.mark.parametrize("where", SYSTEMS)
@pytest.mark.parametrize("name", names())
def test_definition_has_the_numbers_of_deepmd_kit(name: str, where: str) -> None:
    r = reference.deepmd(*inputs(system(where), read_deepmd(model_file(name))))
    check(name, reference_of(name, where), r.energy, r.energies, r.forces, r.virial)


def _poison() -> None:
    """Memory that the next arrays get holds no zeros."""
    for k in range(1, 40):
        np.full(1000 * k + 17, np.nan)


@OVERFLOW
@pytest.mark.quick
@pytest.mark.parametrize("tabulate", [True, False])
@pytest.mark.parametrize("name", names())
@pytest.mark.usefixtures("isa")
def test_kernels_have_the_numbers_of_deepmd_kit(name: str, tabulate: bool) -> None:
    calc = DeepPotential(model_file(name), tabulate=tabulate)
    for where in SYSTEMS:
        _poison()
        r = evaluate(calc, system(where))
        values = reference_of(name, where)
        check(name, values, r["energy"], r["energies"], r["forces"], r["virial"])


@pytest.mark.parametrize("name", WATER)
@pytest.mark.usefixtures("isa")
def test_water(name: str) -> None:
    if shared_folder("deepmd") is None:
        pytest.skip("needs MDKERN_TEST_DATA")
    for kw in ({}, {"tabulate": False}):
        calc: DeepPotential | None = None
        for path, atoms, values in water_cases(name):
            calc = calc or DeepPotential(path, **kw)
            r = evaluate(calc, atoms, stresses=True)
            assert abs(r["energy"] - values["energy"]) <= 1e-10 * abs(values["energy"])
            assert np.abs(r["energies"] / values["atom_energy"] - 1).max() <= 1e-10
            largest = max(1e-3, np.abs(values["forces"]).max())
            assert np.abs(r["forces"] - values["forces"]).max() <= 1e-9 * largest
            assert np.abs(r["virial"] - values["virial"]).max() <= 1e-9 * largest * len(atoms)
            if "stresses" in r:
                per_atom = values["atom_virial"]
                both = (0.5 * (per_atom + per_atom.transpose(0, 2, 1)))[:, VOIGT[0], VOIGT[1]]
                got = -r["stresses"] * atoms.get_volume()
                assert np.abs(got - both).max() <= 1e-9 * np.abs(both).max()


# --- the definition -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hybrid", "dpa1_attention", "dpa1_strip", "zbl", "linear"])
def test_definition_is_a_derivative(name: str) -> None:
    model = read_deepmd(model_file(name))
    rng = np.random.default_rng(3)
    for where in ("crystal", "free"):
        atoms = system(where)
        r = reference.deepmd(*inputs(atoms, model))
        for step in rng.normal(size=(2, *atoms.positions.shape)):
            e = []
            for sign in (1, -1):
                moved = atoms.copy()
                moved.positions += sign * 1e-4 * step
                e.append(reference.deepmd(*inputs(moved, model)).energy)
            slope = (r.forces * step).sum()
            assert abs((e[0] - e[1]) / 2e-4 + slope) < 2e-7 * (1 + np.abs(r.forces).max())


VARIANTS = {
    "exclusions": {"pair_exclude": ((0, 0), (1, 2)), "atom_exclude": (1,)},
    "bias": {"out_bias": np.array([0.3, -0.2, 0.1])},
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", ["se_e2_r", "se_e3", "dpa1_attention", "zbl", "linear", "hybrid"])
def test_options_of_whole_models(name: str, variant: str) -> None:
    model = read_deepmd(model_file(name))
    model = replace(model, model=replace(model.model, **VARIANTS[variant]))
    calc = DeepPotential(model_file(name))
    calc.potential._kernel = _core.Potential(fields_of(model))
    atoms = system("crystal")
    got, expected = evaluate(calc, atoms), reference.deepmd(*inputs(atoms, model))
    assert np.abs(got["energies"] - expected.energies).max() < 1e-11
    assert (
        np.abs(got["forces"] - expected.forces).max()
        < 1e-11 * np.abs(expected.forces).max() + 1e-13
    )


class TestContract(ThreadsUnderSanitizers, PotentialContract):
    symbols = ("O", "H")
    continuous = "forces"
    listed = 200_000
    accuracy = 2e-11  # of tables
    path = staticmethod(lambda: random_model(species=("O", "H"), sel=(60, 60), r_cut=5.0))
    make = staticmethod(lambda **kw: DeepPotential(TestContract.path(), **kw))
    reference = staticmethod(
        lambda atoms: reference.deepmd(*inputs(atoms, read_deepmd(TestContract.path())))
    )


# --- calculator -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("isa")
def test_overflow_warns_once() -> None:
    calc = DeepPotential(model_file("overflow"))
    atoms = system("crystal")
    with pytest.warns(MDKernWarning, match="sel"):
        calc.calculate(atoms)
    atoms.rattle(0.01, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calc.calculate(atoms)


def test_overflow_warns_in_native_dynamics() -> None:
    """At the start four neighbors fit; while the run lasts more come near."""
    atoms = Atoms("O6", [[0, 0, 0], [3, 0, 0], [-3, 0, 0], [0, 3, 0], [0, -3, 0], [0, 0, 4.3]])
    atoms.set_velocities([[0, 0, 0]] * 5 + [[0, 0, -0.5]])
    atoms.calc = DeepPotential(model_file("overflow"))
    dynamics = VelocityVerlet(atoms, timestep=0.05)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dynamics.run(1)
    with pytest.warns(MDKernWarning, match="more neighbors than sel"):
        dynamics.run(30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dynamics.run(5)


@OVERFLOW
@pytest.mark.parametrize("name", names())
@pytest.mark.usefixtures("isa")
def test_single_precision(name: str) -> None:
    one, two = (DeepPotential(model_file(name), precision=p) for p in ("single", "double"))
    for where in ("crystal", "free"):
        a, b = evaluate(one, system(where)), evaluate(two, system(where))
        assert np.abs(a["forces"] - b["forces"]).max() <= 2e-4 * np.abs(b["forces"]).max()
        assert np.abs(a["energies"] - b["energies"]).max() <= 2e-6


def test_frame_parameters() -> None:
    path = model_file("se_e2_a_dt")
    atoms = system("crystal")
    model = read_deepmd(path)
    default = evaluate(DeepPotential(path), atoms)["energy"]
    assert evaluate(DeepPotential(path, fparam=[0.3, -0.2]), atoms)["energy"] == default
    other = evaluate(DeepPotential(path, fparam=[1.0, 2.0]), atoms)
    expected = reference.deepmd(*inputs(atoms, model), fparam=[1.0, 2.0])
    assert abs(other["energy"] - expected.energy) < 1e-10
    assert other["energy"] != default
    for bad in ([1.0], [1.0, np.nan], [1.0, 2.0, 3.0]):
        with pytest.raises(ValueError, match="fparam"):
            DeepPotential(path, fparam=bad)
    with pytest.raises(ValueError, match="fparam"):
        DeepPotential(model_file("hybrid"), fparam=[1.0])


def test_copies_and_settings() -> None:
    calc = mdkern.load(model_file("zbl"))
    assert isinstance(calc, DeepPotential)
    atoms = system("crystal")
    forces = evaluate(calc, atoms)["forces"]
    for other in (pickle.loads(pickle.dumps(calc)), copy.deepcopy(calc)):
        assert np.array_equal(evaluate(other, atoms)["forces"], forces)
    calc.set(precision="single", skin=0.5)
    assert 0 < np.abs(evaluate(calc, atoms)["forces"] - forces).max() < 1e-3
    with pytest.raises(ValueError, match="precision"):
        DeepPotential(model_file("zbl"), precision="half")
    with pytest.raises(ValueError, match="the potential has O, H, Cu"):
        calc.calculate(Atoms("Au"))


def test_tables_or_nets() -> None:
    assert DeepPotential(model_file("se_e2_a_dt")).potential.tabulated
    assert not DeepPotential(model_file("se_e2_a_dt"), tabulate=False).potential.tabulated
    assert not DeepPotential(model_file("act_relu_relu6")).potential.tabulated


def test_very_close_atoms_go_through_the_net() -> None:
    """Nearer than the tables reach: nothing is extrapolated."""
    path = random_model()
    for r in (0.02, 0.1, 0.3, 0.6):
        atoms = Atoms("OHH", [[0, 0, 0], [r, 0, 0], [0, 1.1, 0]])
        a, b = (evaluate(DeepPotential(path, tabulate=t), atoms) for t in (True, False))
        assert np.abs(a["forces"] - b["forces"]).max() <= 1e-9 * np.abs(b["forces"]).max()


def test_dynamics_in_the_core_equal_those_of_ase() -> None:
    atoms = bulk("Cu", cubic=True, a=3.9) * 2
    atoms.symbols[::3] = "O"
    atoms.rattle(0.05, seed=2)
    atoms.set_velocities(np.random.default_rng(1).normal(scale=0.01, size=(32, 3)))
    path = random_model(species=("Cu", "O"), sel=(90, 90), r_cut=5.0)
    runs = []
    for driver in (VelocityVerlet, AseVelocityVerlet):
        moving = atoms.copy()
        moving.calc = DeepPotential(path)
        driver(moving, timestep=1.0 * units.fs).run(20)
        runs.append(moving)
    assert np.abs(runs[0].positions - runs[1].positions).max() < 1e-10


# --- deviations -----------------------------------------------------------------------------------


def test_deviation_is_that_of_deepmd_kit() -> None:
    paths = [random_model(seed=s, sel=(20, 20), r_cut=4.0) for s in (1, 2, 3)]
    atoms = system("crystal")
    atoms.symbols[atoms.symbols == "Cu"] = "O"
    calc = ModelDeviation(paths)
    assert calc.deviation == {}
    got = evaluate(calc, atoms)
    each = [evaluate(DeepPotential(p), atoms) for p in paths]
    assert np.array_equal(got["forces"], each[0]["forces"])
    spread = np.std([r["forces"] for r in each], axis=0)
    per_atom = np.linalg.norm(spread, axis=1)
    d = calc.deviation
    assert np.allclose(d["forces"], per_atom, rtol=1e-12)
    assert abs(d["max_devi_f"] - per_atom.max()) < 1e-12
    assert abs(d["min_devi_f"] - per_atom.min()) < 1e-12
    assert abs(d["avg_devi_f"] - per_atom.mean()) < 1e-12
    virial = np.std([r["virial"] for r in each], axis=0) / len(atoms)
    assert abs(d["max_devi_v"] - virial.max()) < 1e-12
    assert abs(d["avg_devi_v"] - np.sqrt((virial**2).mean())) < 1e-12
    assert abs(d["devi_e"] - np.std([r["energy"] for r in each]) / len(atoms)) < 1e-12
    atoms.rattle(0.01, seed=4)
    calc.calculate(atoms)
    assert calc.n_builds == 1
    assert calc.deviation["max_devi_f"] != d["max_devi_f"]


def test_deviation_of_what_does_not_fit() -> None:
    path = random_model()
    with pytest.raises(ValueError, match="at least two"):
        ModelDeviation([path])
    with pytest.raises(ValueError, match="at least two"):
        ModelDeviation(path)
    with pytest.raises(ValueError, match=r"models\[1\]: species"):
        ModelDeviation([path, random_model(species=("H", "O"))])
    with pytest.raises(ValueError, match="expected a file"):
        ModelDeviation([path, 3.0])
    lj = LennardJones(epsilon=0.01, sigma=2.5)
    same = ModelDeviation([lj, LennardJones(epsilon=0.01, sigma=2.5)])
    same.calculate(bulk("Cu", cubic=True))
    assert same.deviation["max_devi_f"] == 0.0


@pytest.mark.parametrize("name", ["se_e2_r", "dpa1_concat", "dpa1_strip", "dpa1_attention"])
@pytest.mark.usefixtures("isa")
def test_tables_hand_over_to_the_nets(name: str) -> None:
    """Nearer than half the shortest distance of the training data, here 0.5 Angstrom."""
    calc, exact = (DeepPotential(model_file(name), tabulate=t) for t in (True, False))
    assert calc.potential.tabulated
    assert not exact.potential.tabulated
    atoms = system("crystal")
    atoms.positions[1] = atoms.positions[0] + [0.21, 0.17, 0.0]
    one, two = evaluate(calc, atoms), evaluate(exact, atoms)
    assert np.abs(one["forces"] - two["forces"]).max() < 1e-9 * np.abs(two["forces"]).max()
    assert not np.array_equal(one["forces"], two["forces"])


@pytest.mark.parametrize("kind", ["se_e2_a", "se_e2_r", "dpa1_strip", "dpa1_concat"])
def test_statistics_that_would_need_endless_tables(kind: str) -> None:
    """The range of the embedding net is that of the file's statistics: no memory is taken at its word."""
    path = Path(random_model(kind=kind, neuron=(4, 8), axis_neuron=4, fitting=(8, 8)))
    atoms = Atoms("OH2", [[0, 0, 0], [0, 0, 1.1], [0, 1.0, 0.2]])
    tree = json.loads(path.read_text())
    spread = tree["model"]["descriptor"]["@variables"]["dstd"]
    for size, tabulated in ((0.05, True), (1e-6, False), (1e-12, False)):
        spread["value"] = np.full(np.shape(spread["value"]), size).tolist()
        path.write_text(json.dumps(tree))
        calc = DeepPotential(path)
        assert calc.potential.tabulated is tabulated
        exact = evaluate(DeepPotential(path, tabulate=False), atoms)["forces"]
        assert np.abs(evaluate(calc, atoms)["forces"] - exact).max() <= 1e-9 * np.abs(exact).max()


# --- descriptor -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["se_e2_a_exclude", "hybrid", "dpa1_concat"])
@pytest.mark.usefixtures("isa")
def test_descriptor(name: str) -> None:
    d = DeepPotSE(model_file(name))
    atoms = system("crystal")
    expected = reference.deepmd_descriptors(*inputs(atoms, d.model))
    got = d.create(atoms)
    assert got.shape == (len(atoms), d.get_number_of_features())
    assert np.abs(got - expected).max() <= 1e-11 * np.abs(expected).max()
    assert np.array_equal(d.create([atoms], [[3, -1]])[0], got[[3, -1]])
    again = pickle.loads(pickle.dumps(d))
    assert np.array_equal(again.create(atoms), got)
    rng = np.random.default_rng(5)
    w = rng.normal(size=got.shape)
    gradient, virial = d.vjp(atoms, w)
    step = rng.normal(size=atoms.positions.shape)
    strain = 1e-5 * rng.normal(size=(3, 3))
    q = []
    for sign in (1, -1):
        moved, strained = atoms.copy(), atoms.copy()
        moved.positions += sign * 1e-5 * step
        strained.set_cell(atoms.cell.array @ (np.eye(3) + sign * strain), scale_atoms=True)
        q.append([(w * d.create(a)).sum() for a in (moved, strained)])
    slopes = (np.array(q[0]) - q[1]) / 2
    scale = np.abs(gradient).max()
    assert abs(slopes[0] - 1e-5 * (gradient * step).sum()) < 1e-11 * scale * 10
    assert abs(slopes[1] + (virial * strain).sum()) < 1e-11 * np.abs(virial).max() * 10


@pytest.mark.parametrize("name", ["act_gelu_sigmoid", "se_e3", "hybrid_dpa1", "dpa1_attention"])
@pytest.mark.parametrize("where", ["crystal", "free"])
@pytest.mark.usefixtures("isa")
def test_descriptor_derivatives(name: str, where: str) -> None:
    d, atoms = DeepPotSE(model_file(name)), system(where)
    n = len(atoms)
    everything, values = d.derivatives(atoms)
    assert everything.shape == (n, n, 3, d.get_number_of_features())
    assert np.array_equal(values, d.create(atoms))
    step = np.random.default_rng(3).normal(size=(n, 3))
    up, down = atoms.copy(), atoms.copy()
    up.positions += 1e-5 * step
    down.positions -= 1e-5 * step
    slopes = (d.create(up) - d.create(down)) / 2e-5
    assert (
        np.abs(np.einsum("ijxf,jx->if", everything, step) - slopes).max()
        < 1e-7 * np.abs(slopes).max()
    )
    w = np.random.default_rng(4).normal(size=values.shape)
    summed = np.einsum("ijxf,if->jx", everything, w)
    assert np.abs(summed - d.vjp(atoms, w)[0]).max() < 1e-11 * np.abs(summed).max()
    part, q = d.derivatives(atoms, centers=[2, 0, 2], include=[1, -1])
    assert np.abs(part - everything[np.ix_([2, 0, 2], [1, n - 1])]).max() < 1e-14
    assert np.array_equal(q, values[[2, 0, 2]])


def test_descriptor_arguments() -> None:
    assert DeepPotSE.from_model(HERE / "water_random.dp").species == ("O", "H")
    with pytest.raises(UnsupportedError, match="zbl"):
        DeepPotSE(model_file("zbl"))
    with pytest.raises(ValueError, match="weights"):
        DeepPotSE(model_file("hybrid")).vjp(system("free"), np.zeros((6, 2)))
    with pytest.raises(MemoryError, match=r"derivatives of shape .* GiB"):
        DeepPotSE(HERE / "water_random.dp").derivatives(bulk("O", "fcc", a=3.0) * (60, 60, 60))


def test_potential_without_a_calculator() -> None:
    p = potentials.DeepPotential(HERE / "water_random.dp")
    assert (p.species, p.cutoff) == (("O", "H"), 6.0)
