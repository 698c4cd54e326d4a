"""Behler-Parrinello: the contract on models with every type of function, numbers of n2p2's nnp-predict, units, committees."""

from __future__ import annotations

import json
import pickle
import shutil
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from contracts import SYSTEMS, VOIGT, PotentialContract, ThreadsUnderSanitizers, _colour, evaluate
from hdnnp_data import COMPACT, DATA, GAUSSIAN, MODELS, folder, ranged
from reference_data import shared_folder

import mdkern
from mdkern import reference
from mdkern.bench.behler_parrinello_models import WATER_FUNCTIONS, random_behler_parrinello
from mdkern.bench.scratch import scratch_folder
from mdkern.calculators import BehlerParrinello, ModelDeviation, NonFiniteError
from mdkern.cli import main
from mdkern.descriptors import BehlerParrinelloDescriptor
from mdkern.errors import MDKernWarning
from mdkern.io.behler_parrinello import read_behler_parrinello

# Models here are random: structures are beyond the ranges that they say.
pytestmark = pytest.mark.filterwarnings("ignore:.*beyond the range of the training")
PLAIN = {"length_unit": "angstrom", "energy_unit": "eV"}


def make(path: Any, **kw: Any) -> BehlerParrinello:
    return BehlerParrinello(path, **PLAIN, **kw)


def defined(path: Any, atoms: Atoms, **kw: float) -> reference.Result:
    model = read_behler_parrinello(path)
    kinds = [model.species.index(s) for s in atoms.get_chemical_symbols()]
    return reference.behler_parrinello(
        atoms.positions, atoms.cell.array, atoms.pbc, kinds, model, **kw
    )


def structure(name: str = "triclinic") -> Atoms:
    return _colour(SYSTEMS[name](3.7), ("Cu", "O"))


class Model(PotentialContract):
    symbols = ("Cu", "O")
    continuous = "forces"
    listed = 40_000
    accuracy = 2e-12


class TestGaussian(ThreadsUnderSanitizers, Model):
    """Types 2, 3, 9, 12 and 13; the cutoff function begins at alpha rc."""

    make = staticmethod(lambda **kw: make(folder("gaussian"), **kw))
    reference = staticmethod(lambda atoms: defined(folder("gaussian"), atoms))
    cutoffs = (3.0, 3.6, 3.8, 3.9, 4.0, 4.1, 4.2)


class TestCompact(Model):
    """Types 20 to 25."""

    make = staticmethod(lambda **kw: make(folder("compact"), **kw))
    reference = staticmethod(lambda atoms: defined(folder("compact"), atoms))
    cutoffs = (3.0, 3.2, 3.8, 3.9, 4.0, 4.1, 4.2)


class TestCommittee(Model):
    """Members with different functions: each sees its own."""

    paths = (folder("mixed"), folder("gaussian", seed=2))
    make = staticmethod(lambda **kw: make(list(TestCommittee.paths), **kw))
    reference = staticmethod(lambda atoms: defined(list(TestCommittee.paths), atoms))
    cutoffs = (3.0, 3.2, 3.6, 3.8, 3.9, 4.0, 4.1, 4.2)


def close_to_the_definition(path: Any, atoms: Atoms, tolerance: float = 1e-12) -> None:
    got, expected = evaluate(make(path), atoms), defined(path, atoms)
    scale = float(np.abs(expected.forces).max() + np.abs(expected.energies).max())
    largest = np.abs(expected.forces).max()
    assert largest > 1e-7
    assert np.abs(got["energies"] - expected.energies).max() <= tolerance * scale
    assert np.abs(got["forces"] - expected.forces).max() <= min(tolerance * scale, 1e-8 * largest)
    assert np.abs(got["virial"] - expected.virial).max() <= 10 * tolerance * scale * len(atoms)


@pytest.mark.parametrize("alpha", [0.0, 0.35])
@pytest.mark.parametrize("kind", range(9))
def test_cutoff_functions(kind: int, alpha: float) -> None:
    close_to_the_definition(folder("gaussian", cutoff=f"{kind} {alpha}"), structure())


@pytest.mark.parametrize("letter", "ltsprgcSeh")
def test_activations(letter: str) -> None:
    for letters in (f"{letter}tl", f"t{letter}{'l' if letter == 'r' else letter}"):
        close_to_the_definition(folder("gaussian", activations=letters), structure())


@pytest.mark.parametrize(
    "scaling",
    [
        "",
        "scale_symmetry_functions,scale_min_short 0.1",
        "center_symmetry_functions",
        "scale_symmetry_functions,center_symmetry_functions,scale_max_short 2.0",
        "scale_symmetry_functions_sigma,normalize_nodes",
    ],
)
def test_scaling(scaling: str) -> None:
    close_to_the_definition(folder("gaussian", scaling=scaling), structure())


@pytest.mark.parametrize("shape", ["p1", "p2", "p3", "p4", "e"])
@pytest.mark.parametrize("suffix", ["", "a"])
def test_shapes(shape: str, suffix: str) -> None:
    functions = [" ".join([*line.split()[:-1], shape + suffix]) for line in COMPACT]
    path = ranged(scratch_folder() / f"n2p2-shape-{shape}{suffix}", functions=functions)
    # p4 of the definition, a polynomial of degree nine as n2p2 has it, loses three digits to cancellation.
    close_to_the_definition(path, structure("cluster"), 1e-11)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.usefixtures("isa")
def test_stored_numbers(name: str) -> None:
    stored = json.loads((DATA / name / "expected.json").read_text())
    atoms = Atoms(stored["symbols"], stored["positions"], cell=stored["cell"], pbc=True)
    got = evaluate(make(DATA / name), atoms)
    assert abs(got["energy"] - stored["energy"]) < 1e-12
    for key in ("energies", "forces"):
        assert np.abs(got[key] - stored[key]).max() < 1e-12
    assert np.abs(got["virial"] - stored["virial"]).max() < 1e-11


# --- n2p2 -----------------------------------------------------------------------------------------


@cache
def published(name: str) -> tuple[Atoms, dict[str, Any]]:
    """The structure of ``input.data`` in Angstrom, and units."""
    path = shared_folder("n2p2")
    assert path is not None
    unit = 1.0 if name == "Cu2S_PBE" else units.Bohr
    cell, symbols, positions = [], [], []
    for line in (path / name / "input.data").read_text().splitlines():
        words = line.split()
        if words[0] == "lattice":
            cell.append([float(x) for x in words[1:4]])
        elif words[0] == "atom":
            positions.append([float(x) for x in words[1:4]])
            symbols.append(words[4])
        elif words[0] == "end":
            break
    kw = PLAIN if unit == 1.0 else {}
    return Atoms(symbols, np.array(positions) * unit, cell=np.array(cell) * unit, pbc=True), kw


@pytest.mark.skipif(shared_folder("n2p2") is None, reason="MDKERN_TEST_DATA is not set")
@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("name", ["Cu2S_PBE", "H2O_RPBE-D3", "Ethylbenzene_SCAN"])
def test_numbers_of_nnp_predict(name: str) -> None:
    atoms, kw = published(name)
    path = shared_folder("n2p2", name)
    stored = np.load(path / "reference.npz")
    got = evaluate(BehlerParrinello(path, **kw), atoms)
    length, energy = (1.0, 1.0) if kw else (units.Bohr, units.Hartree)
    assert abs(got["energy"] / energy - stored["energy"]) <= 1e-14 * abs(stored["energy"])
    assert np.abs(got["forces"] * length / energy - stored["forces"]).max() < 2e-13
    assert np.abs(stored["forces"]).max() > 0.02


def test_units() -> None:
    path, atoms = folder("mixed"), structure()
    expected = defined(path, atoms, length=units.Bohr, energy=units.Hartree)
    close = Atoms(atoms)
    for kw in (
        {},
        {"length_unit": "bohr", "energy_unit": "Hartree"},
        {"length_unit": units.Bohr, "energy_unit": units.Hartree},
    ):
        got = evaluate(BehlerParrinello(path, **kw), close)
        assert abs(got["energy"] - expected.energy) < 1e-11
        assert np.abs(got["forces"] - expected.forces).max() < 1e-11
    for name, factor in (("kcal/mol", units.kcal / units.mol), ("rydberg", units.Rydberg)):
        calc = BehlerParrinello(path, length_unit="angstrom", energy_unit=name)
        per_unit = evaluate(make(path), atoms)["energy"]
        assert evaluate(calc, atoms)["energy"] == pytest.approx(per_unit * factor, rel=1e-13)
    for kw, message in (
        ({"length_unit": "mile"}, "length_unit: 'mile'; expected a number or one of bohr"),
        ({"energy_unit": 0.0}, "energy_unit: 0.0; expected a positive finite number"),
        ({"length_unit": float("nan")}, "length_unit: nan; expected a positive finite number"),
        ({"length_unit": None}, "length_unit: None; expected a positive finite number"),
        ({"precision": "single"}, "precision: 'single'; BehlerParrinello is offered in 'double' only"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            BehlerParrinello(path, **kw)


# --- symmetry functions ---------------------------------------------------------------------------


@pytest.mark.usefixtures("isa")
def test_atoms_in_line_beside_powers_of_the_angle() -> None:
    """n2p2 has no compact function of the angle at exactly 0 or 180 degrees, also where the same pairs of neighbors have other functions."""
    compact = "Cu 22 Cu Cu -4.0 4.0 -60 60 p2", "Cu 22 Cu Cu -4.0 4.0 120 240 p2"
    path = random_behler_parrinello(
        scratch_folder() / "n2p2-line",
        species=("Cu",),
        functions=["Cu 9 Cu Cu 0.05 1 2 4.0", *compact],
        cutoff="1",
        hidden=(3,),
        activations="tl",
    )
    descriptor = BehlerParrinelloDescriptor(path, length_unit="angstrom")
    for ratio in (0.3, 0.37, -0.41, 0.49, -0.53):
        atoms = Atoms("Cu3", [[0, 0, 0], [3.1, 0, 0], [3.1 * ratio, 0, 0]])
        assert descriptor.create(atoms)[0, 0] > 0.01 or ratio < 0
        assert (descriptor.create(atoms)[:, 1:] == 0.0).all()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.usefixtures("isa")
def test_symmetry_functions(name: str) -> None:
    atoms, path = structure(), folder(name)
    descriptor = BehlerParrinelloDescriptor(path, length_unit="angstrom")
    kinds = [descriptor.species.index(s) for s in atoms.get_chemical_symbols()]
    expected = reference.symmetry_functions(
        atoms.positions, atoms.cell.array, atoms.pbc, kinds, descriptor.model
    )
    got = descriptor.create(atoms)
    assert got.shape == (len(atoms), max(map(descriptor.n_functions, ("O", "Cu"))))
    for row, of_atom in zip(got, expected, strict=True):
        assert np.abs(row[: len(of_atom)] - of_atom).max() <= 1e-13 * (1 + np.abs(of_atom).max())
        assert not row[len(of_atom) :].any()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.usefixtures("isa")
def test_derivatives_of_symmetry_functions(name: str) -> None:
    atoms = structure("cluster")[:7]
    descriptor = BehlerParrinelloDescriptor(folder(name), length_unit="angstrom")
    jacobian, values = descriptor.derivatives(atoms)
    assert np.array_equal(values, descriptor.create(atoms))
    h = 1e-5
    for j, c in ((0, 0), (5, 2)):
        up, down = atoms.copy(), atoms.copy()
        up.positions[j, c] += h
        down.positions[j, c] -= h
        slope = (descriptor.create(up) - descriptor.create(down)) / (2 * h)
        assert np.abs(slope - jacobian[:, j, c]).max() <= 1e-7 * np.abs(jacobian).max()
    w = np.random.default_rng(0).normal(size=values.shape)
    gradient, virial = descriptor.vjp(atoms, w)
    expected = np.einsum("cf,cjxf->jx", w, jacobian)
    assert np.abs(gradient - expected).max() <= 1e-12 * np.abs(expected).max()
    assert np.abs(virial + atoms.positions.T @ gradient).max() <= 1e-11 * np.abs(virial).max()


def test_the_order_of_functions() -> None:
    """n2p2's: by type, cutoff, eta, ...; compact ones by their shape first."""
    functions = read_behler_parrinello(folder("gaussian")).members[0].functions[1]
    assert [f.kind for f in functions] == [2, 2, 3, 3, 3, 9, 9, 12, 13]
    assert [f.rc for f in functions] == [4.0, 4.2, 3.6, 4.0, 4.0, 4.0, 4.2, 3.9, 3.8]
    compact = read_behler_parrinello(folder("compact")).members[0].functions[1]
    assert [f.kind for f in compact] == [20, 20, 20, 21, 21, 22, 22, 23, 24, 25]
    assert [f.sub for f in compact[:3]] == ["p1", "p2a", "p3"]
    thirteen = functions[-1]  # eta, then rs, lambda, zeta
    assert (thirteen.eta, thirteen.rs, thirteen.lam, thirteen.zeta) == (0.08, 0.2, 1.0, 3.0)


def functions_of(path: Any, atoms: Atoms) -> Any:
    return BehlerParrinelloDescriptor(path, length_unit="angstrom").create(atoms)


def test_in_line(tmp_path: Path) -> None:
    """At 0 and 180 degrees a compact function of the angle is zero, whatever its ends; a power has its value."""
    functions = ["Cu 22 Cu Cu -4 4 -90 90 p2", "Cu 9 Cu Cu 0.1 1 2 4", "Cu 3 Cu Cu 0.1 -1 1 4"]
    path = random_behler_parrinello(tmp_path / "x", species=("Cu",), functions=functions)
    model = read_behler_parrinello(path)
    for x in (2.0, -1.5):
        atoms = Atoms("Cu3", [[0, 0, 0], [1.0, 0, 0], [x, 0, 0]])
        got = functions_of(path, atoms)
        expected = reference.symmetry_functions(
            atoms.positions, np.zeros((3, 3)), False, [0] * 3, model
        )
        assert np.abs(got - np.array(expected)).max() < 1e-14
        assert got[0, 2] == 0.0
        assert np.isfinite(evaluate(make(path), atoms)["forces"]).all()
    assert functions_of(path, Atoms("Cu3", [[0, 0, 0], [1.0, 0, 0], [1.0, 0.5, 0]]))[0, 2] > 0.01


def test_more_triplets_than_are_kept() -> None:
    """Tiles that the thread's scratch has no room for are made again on the way back."""
    path = ranged(
        scratch_folder() / "n2p2-many", cutoff="1",
        functions=[line.replace("4.0", "10.5") for line in GAUSSIAN[2:4] * 3 + COMPACT[3:4]]
        + ["O 3 Cu O 0.1 1 2 10.5", "O 3 Cu Cu 0.1 1 2.5 10.5"],
    )  # fmt: skip
    close_to_the_definition(path, structure("triclinic"))


# --- committees -----------------------------------------------------------------------------------


@pytest.fixture
def committee(tmp_path: Path) -> Path:
    for k in (1, 2, 10):
        shutil.copytree(folder("gaussian", seed=k), tmp_path / "all" / f"nnp-{k}")
    return tmp_path / "all"


def test_committee(committee: Path) -> None:
    atoms = structure()
    calc = mdkern.load(committee, **PLAIN)
    paths = [committee / f"nnp-{k}" for k in (1, 2, 10)]
    members = [evaluate(make(path), atoms) for path in paths]
    got = evaluate(calc, atoms)
    assert calc.potential.n_members == 3
    assert [m.path for m in calc.potential.model.members] == [str(p) for p in paths]
    for key in ("energy", "forces", "virial"):
        mean = np.mean([m[key] for m in members], axis=0)
        assert np.abs(got[key] - mean).max() < 1e-13
    for name in ("input.nn", "scaling.data"):  # one for all members
        shutil.copy(paths[0] / name, committee)
        (paths[0] / name).unlink()
    shared = evaluate(make(committee), atoms)
    assert np.array_equal(shared["forces"], got["forces"])
    for name in ("input.nn", "scaling.data"):
        shutil.copy(committee / name, paths[0])
    listed = evaluate(make(paths), atoms)
    assert np.array_equal(listed["forces"], got["forces"])
    spread = np.std([m["forces"] for m in members], axis=0)
    deviation = ModelDeviation([make(path) for path in paths])
    evaluate(deviation, atoms)
    expected = np.sqrt((spread**2).sum(axis=1))
    assert np.abs(deviation.deviation["forces"] - expected).max() < 1e-13
    again = pickle.loads(pickle.dumps(make(paths)))
    assert np.array_equal(evaluate(again, atoms)["forces"], got["forces"])


# --- what is reported -----------------------------------------------------------------------------


def test_extrapolations() -> None:
    path = random_behler_parrinello(
        scratch_folder() / "n2p2-range", species=("Cu",), functions=["Cu 2 Cu 0.1 0 4", "Cu 9 Cu Cu 0.1 1 1 4"],
        cutoff="6", spread=100.0,
    )  # fmt: skip
    inside = SYSTEMS["crystal"](3.7)
    calc = make(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calc.calculate(inside)
    assert not calc.potential.extrapolations(inside).any()
    alone = Atoms("Cu3", [[0, 0, 0], [3.99, 0, 0], [20, 0, 0]])
    with pytest.warns(MDKernWarning, match="symmetry functions of some atoms are beyond the range"):
        calc.calculate(alone)
    assert calc.potential.extrapolations(alone).tolist() == [2, 2, 2]


def test_atoms_on_top_of_each_other() -> None:
    for name in MODELS:
        atoms = Atoms("CuOCu", [[0, 0, 0], [0, 0, 0], [2.0, 0, 0]])
        with pytest.raises(NonFiniteError):
            make(folder(name)).get_potential_energy(atoms)


def test_load_info_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, atoms = DATA / "mixed", structure()
    expected = evaluate(make(path), atoms)
    for form in (path, path / "input.nn"):
        calc = mdkern.load(form, **PLAIN)
        assert isinstance(calc, BehlerParrinello)
        assert evaluate(calc, atoms)["energy"] == expected["energy"]
        assert main(["info", str(form), "--json"]) == 0
        facts = json.loads(capsys.readouterr().out)
        assert facts["species"] == ["O", "Cu"]
        assert facts["n_functions"] == {"O": 6, "Cu": 14}
        assert facts["hidden"] == {"O": [6, 4], "Cu": [5, 4, 3]}
        assert facts["activations"]["Cu"] == "Shgs"
        assert facts["atom_energies"] == {"O": -2.5, "Cu": 0.75}
    assert main(["info", str(path)]) == 0
    assert "functions of Cu" in capsys.readouterr().out
    calc.potential.export(tmp_path / "x.mdk")
    got = evaluate(mdkern.load(tmp_path / "x.mdk"), atoms)
    assert got["energy"] == expected["energy"]
    assert np.array_equal(got["forces"], expected["forces"])
    assert np.abs(got["stress"] + expected["virial"][VOIGT] / atoms.get_volume()).max() < 1e-15


def test_water_functions() -> None:
    """The model of the benchmark: thirty functions of O, twenty-seven of H, as the published one has."""
    counts = [sum(f.startswith(c) for f in WATER_FUNCTIONS) for c in "OH"]
    assert counts == [30, 27]
