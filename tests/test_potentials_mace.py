"""MACE: the contract on models of every block, numbers of mace-torch, tables, heads, single precision."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.io import read, write
from cli_checks import one_error, run_json
from contracts import PotentialContract, ThreadsUnderSanitizers, evaluate, raw
from mace_data import OWN, frames, mace_file, mace_model, names, species_of

import mdkern
from mdkern import potentials, reference
from mdkern.bench.mace_models import DENSITY, DENSITY_RESIDUAL, PLAIN, RESIDUAL, random_mace
from mdkern.calculators import MACE, ModelDeviation, NonFiniteError
from mdkern.cli import main
from mdkern.errors import UnsupportedError
from mdkern.io.mace import MaceModel, write_mace
from mdkern.io.mdk import describe_model_file, write_model_file
from mdkern.md import VelocityVerlet


@cache
def random_model(**kw: Any) -> MaceModel:
    small = {"channels": 5, "num_basis": 5, "radial": (8, 8), "r_max": 3.6, "neighbors": 14}
    return random_mace(**{**small, **kw})


@cache
def narrow(name: str, width: int = 8, r_max: float = 3.6) -> MaceModel:
    """A stored model with fewer neurons in its radial nets and fewer neighbors: its tables are made in milliseconds."""
    model = mace_model(name)
    radial, arrays = model.meta["radial"], dict(model.arrays)
    arrays["radial.freq"] = arrays["radial.freq"] * radial["r_max"] / r_max
    for key, value in arrays.items():
        layer, _, rest = key.partition(".")
        net, _, what = rest.partition(".")
        if net not in ("radial", "density") or layer == "radial":
            continue
        if what[0] == "W" and what != "W0":
            arrays[key] = value[:width] * np.sqrt(len(value) / min(width, len(value)))
        if f"{layer}.{net}.W{int(what[1:]) + 1}" in arrays:
            arrays[key] = arrays[key][..., :width]
    return replace(model, meta={**model.meta, "radial": {**radial, "r_max": r_max}}, arrays=arrays)


_defined: dict[Any, reference.Result] = {}


def defined(model: MaceModel, atoms: Atoms) -> reference.Result:
    """The definition's result; of a structure once, as every instruction set asks for it."""
    place = atoms.positions, atoms.cell.array, atoms.pbc, atoms.numbers
    key = (id(model), *(x.tobytes() for x in place))
    if key not in _defined:
        _defined[key] = reference.mace(*place[:3], species_of(model, atoms), model)
    return _defined[key]


class Model(PotentialContract):
    continuous = "forces"
    accuracy = 1e-7
    listed = 4_000
    reach = np.inf
    symbols: ClassVar[tuple[str, ...]] = ("O", "Cu")


class TestVectors(ThreadsUnderSanitizers, Model):
    """The shape of MACE-MP-0a medium."""

    make = staticmethod(lambda **kw: MACE(random_model(l_hidden=1), **kw))
    reference = staticmethod(lambda atoms: defined(random_model(l_hidden=1), atoms))


class TestDensityWithRepulsion(Model):
    """That of MACE-MPA-0: densities, the transform of Agnesi, ZBL."""

    model = staticmethod(
        lambda: random_model(
            l_hidden=1, blocks=(DENSITY, DENSITY_RESIDUAL), repulsion=True, species=("O", "Cu", "W")
        )
    )
    symbols = ("O", "Cu", "W")
    make = staticmethod(lambda **kw: MACE(TestDensityWithRepulsion.model(), **kw))
    reference = staticmethod(lambda atoms: defined(TestDensityWithRepulsion.model(), atoms))


class TestNonLinear(Model):
    """That of MACE-MH-1."""

    symbols = ("O", "Au")
    make = staticmethod(lambda **kw: MACE(narrow("mh_like"), **kw))
    reference = staticmethod(lambda atoms: defined(narrow("mh_like"), atoms))


class TestTensors(Model):
    """That of MACE-MP-0a large."""

    make = staticmethod(lambda **kw: MACE(random_model(l_hidden=2), **kw))
    reference = staticmethod(lambda atoms: defined(random_model(l_hidden=2), atoms))


class TestThreeLayers(Model):
    """The first without self connection, as those of MACE-OFF; correlation 2."""

    model = staticmethod(
        lambda: random_model(blocks=(PLAIN, RESIDUAL, RESIDUAL), l_hidden=1, correlation=2)
    )
    make = staticmethod(lambda **kw: MACE(TestThreeLayers.model(), **kw))
    reference = staticmethod(lambda atoms: defined(TestThreeLayers.model(), atoms))


# --- mace-torch -----------------------------------------------------------------------------------


# Of energies of atoms (eV), of forces and stresses relative to the largest, or to 1 eV/Angstrom and 1e-3 eV/Angstrom^3.
LIMITS = {
    ("exact", "double"): (1e-10, 1e-9, 1e-9),
    ("table", "double"): (1e-7, 1e-7, 1e-7),
    ("table", "single"): (2e-5, 2e-5, 2e-5),
}


@pytest.mark.parametrize("name", names())
@pytest.mark.usefixtures("isa")
def test_agrees_with_mace_torch(name: str) -> None:
    """One calculator for all structures, whose elements differ."""
    model = mace_model(name)
    for (radial, precision), (energy, force, stress) in LIMITS.items():
        calcs: dict[Any, MACE] = {}
        for atoms, head, ref in frames(name):
            if head not in calcs:
                calcs[head] = MACE(model, head, radial=radial, precision=precision)
            got = evaluate(calcs[head], atoms, stresses=True)
            scale = np.abs(ref["energies"]).max() if precision == "single" else 1.0
            limit = energy * max(1.0, scale)
            assert abs(got["energy"] - ref["energy"]) <= limit * len(atoms)
            assert np.abs(got["energies"] - ref["energies"]).max() <= limit
            limit = force * max(1.0, np.abs(ref["forces"]).max())
            assert np.abs(got["forces"] - ref["forces"]).max() <= limit
            assert ("stress" in ref) == bool(atoms.pbc.all())
            if "stress" in ref:
                limit = stress * max(1e-3, np.abs(ref["stress"]).max())
                assert np.abs(got["stress"] - ref["stress"]).max() <= limit


def test_files_of_pytorch_give_the_same(tmp_path: Path) -> None:
    atoms = next(atoms for atoms, _, _ in frames("corr1") if len(atoms) > 2)
    calc = MACE(OWN / "models" / "corr1.model")
    got, expected = evaluate(calc, atoms), evaluate(MACE(mace_file("corr1")), atoms)
    limit = 1e-12 * np.abs(expected["energies"]).max()
    assert np.abs(got["energies"] - expected["energies"]).max() <= limit
    assert np.abs(got["forces"] - expected["forces"]).max() <= limit
    write_mace(tmp_path / "again.npz", calc.potential.model)
    assert raw(evaluate(mdkern.load(tmp_path / "again.npz"), atoms)) == raw(got)


# --- heads ------------------------------------------------------------------------------------------


def small(model: MaceModel, n: int = 2) -> Atoms:
    """Cells smaller than the cutoff, of some elements of the model."""
    species = potentials.MACE(model, model.meta["heads"][0]).species
    atoms = bulk("Cu", a=3.6, cubic=True) * (n, 1, 1)
    atoms.symbols[:] = [species[k * k % len(species)] for k in range(len(atoms))]
    atoms.rattle(0.1, seed=3)
    return atoms


def test_heads() -> None:
    model = mace_model("multihead")
    atoms = small(model)
    found = {head: MACE(model, head).get_potential_energy(atoms) for head in model.meta["heads"]}
    assert len(set(found.values())) == 3
    assert MACE(model).get_potential_energy(atoms) == found["Default"]
    calc = MACE(model, head="pbe")
    assert calc.get_potential_energy(atoms) == found["pbe"]
    calc.set(head="wB97M")
    assert calc.get_potential_energy(atoms) == found["wB97M"]
    with pytest.raises(ValueError, match="head: 'PBE'; expected one of 'Default', 'pbe', 'wB97M'"):
        MACE(model, "PBE")
    nameless = replace(model, meta={**model.meta, "heads": ["a", "b", "c"]})
    with pytest.raises(ValueError, match="head: None; expected one of 'a', 'b', 'c'"):
        MACE(nameless)
    assert MACE(nameless, "b").get_potential_energy(atoms) == found["pbe"]
    with pytest.raises(ValueError, match="head: 'dft'; expected one of 'Default'"):
        MACE(mace_model("corr1"), "dft")


# --- atoms alone, and at the cutoff -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["layers3", "mh_like", "off_like", "reduced_cg"])
@pytest.mark.usefixtures("isa")
def test_an_atom_alone(name: str) -> None:
    """Still has readouts and self connections; and so have two at the distance of the cutoff."""
    model = mace_model(name)
    calc = MACE(model)
    a, b = calc.species[:2]
    alone = {x: evaluate(calc, Atoms(x)) for x in (a, b)}
    for x, got in alone.items():
        assert abs(got["energy"] - defined(model, Atoms(x)).energy) <= 1e-10
        assert not got["forces"].any()
        assert not got["virial"].any()
        boxed = Atoms(x, cell=[30, 30, 30], pbc=True)
        assert evaluate(calc, boxed)["energy"] == got["energy"]
    for r in (calc.cutoff, np.nextafter(calc.cutoff, 9.0), 1.5 * calc.cutoff):
        got = evaluate(calc, Atoms([a, b], [[0, 0, 0], [0, 0, r]]))
        assert got["energy"] == alone[a]["energy"] + alone[b]["energy"]
        assert not got["forces"].any()
    near = evaluate(calc, Atoms([a, b], [[0, 0, 0], [0, 0, 0.8 * calc.cutoff]]))
    assert near["forces"].any()


# --- species and tables -----------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["double", "single"])
def test_tables_are_made_when_elements_come(precision: str) -> None:
    """A calculator that has met others before gives the same bits as a new one."""
    model = narrow("mh_like")
    calc = MACE(model, precision=precision)
    for symbols in ("Au2", "Cu", "CuAu", "O2Cu", "Au", "OCuAu", "Cu2"):
        atoms = Atoms(symbols, cell=[3.3, 3.1, 3.6], pbc=True)
        atoms.positions[:] = 0.41 * np.arange(len(atoms))[:, None] * [3.3, 3.1, 3.6]
        expected = evaluate(MACE(model, precision=precision), atoms, stresses=True)
        assert raw(evaluate(calc, atoms, stresses=True)) == raw(expected), symbols
    with pytest.raises(ValueError, match="atom 1 is Xe; the potential has O, Cu, Au"):
        calc.get_potential_energy(Atoms("OXe", [[0, 0, 0], [2, 0, 0]]))


def test_threads_share_a_potential_whose_tables_are_not_made_yet() -> None:
    """Frames of other elements each, so that several threads want new tables at once."""
    model = narrow("mh_like")
    several = [small(model) for _ in range(24)]
    for k, atoms in enumerate(several):
        atoms.symbols[:] = ["O", "Cu", "Au"][k % 3]
        atoms.symbols[: k % 8] = ["Cu", "Au", "O"][k // 3 % 3]
    expected = [evaluate(MACE(model), atoms) for atoms in several]
    for threads in (2, 4):
        found = mdkern.evaluate(several, MACE(model), ("energy", "forces"), threads=threads)
        for got, right in zip(found, expected, strict=True):
            assert got["energy"] == right["energy"]
            assert got["forces"].tobytes() == right["forces"].tobytes()


def test_radial_functions_that_no_table_holds() -> None:
    model = random_model(seed=5)
    wild = replace(
        model, arrays={**model.arrays, "radial.freq": 4000.0 * model.arrays["radial.freq"]}
    )
    atoms = small(model)
    with pytest.raises(
        UnsupportedError,
        match=r"intervals from .* A on do not give a table within .* radial='exact'",
    ):
        MACE(wild).get_potential_energy(atoms)
    got, expected = evaluate(MACE(wild, radial="exact"), atoms), defined(wild, atoms)
    assert np.abs(got["forces"] - expected.forces).max() <= 1e-9 * np.abs(expected.forces).max()


@pytest.mark.usefixtures("isa")
def test_atoms_at_one_place_are_reported() -> None:
    for name in ("corr1", "reduced_cg"):
        calc = MACE(mace_model(name))
        x = calc.species[0]
        with pytest.raises(
            NonFiniteError, match=r"atoms overlap near .*, or numbers of the model overflow"
        ):
            calc.calculate(Atoms([x, x], [[1, 1, 1], [1, 1, 1]]))


# --- single precision -------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_single_precision_has_the_same_bits_for_every_number_of_threads(threads: int) -> None:
    model = random_model(l_hidden=1)
    atoms = small(model) * (3, 5, 5)
    assert len(atoms) == 600
    expected = raw(evaluate(MACE(model, precision="single", threads=1), atoms, stresses=True))
    got = evaluate(MACE(model, precision="single", threads=threads), atoms, stresses=True)
    assert raw(got) == expected


def test_numbers_that_single_precision_does_not_have() -> None:
    model = random_model(seed=4)
    large = replace(model, arrays={**model.arrays, "L1.up.0": 1e50 * model.arrays["L1.up.0"]})
    with pytest.raises(UnsupportedError, match=r"numbers up to .*; expected at most 3\.4e\+38"):
        MACE(large, precision="single")


# --- as a calculator --------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [MACE, potentials.MACE])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"precision": "half"}, "precision: 'half'; expected 'double' or 'single'"),
        ({"radial": "spline"}, "radial: 'spline'; expected 'table' or 'exact'"),
        ({"head": "dft"}, "head: 'dft'; expected one of 'Default'"),
    ],
)
def test_bad_parameters(build: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(mace_file("corr1"), **arguments)
    with pytest.raises(OSError):
        build("no_such.model")


def test_copies_and_parameters() -> None:
    path = str(mace_file("layers3"))
    calc = MACE(path, precision="single")
    atoms = small(mace_model("layers3"))
    assert (calc.species, calc.cutoff) == (("O", "Cu", "Au"), 3.5)
    assert calc.todict()["path"] == path
    single = raw(evaluate(calc, atoms))
    assert raw(evaluate(pickle.loads(pickle.dumps(calc)), atoms)) == single
    assert raw(evaluate(copy.deepcopy(calc), atoms)) == single
    calc.set(precision="double")
    double = raw(evaluate(calc, atoms))
    assert double == raw(evaluate(mdkern.load(path), atoms)) != single
    calc.set(radial="exact")
    assert raw(evaluate(calc, atoms)) == raw(evaluate(MACE(path, radial="exact"), atoms)) != double


def test_model_deviation() -> None:
    models = [random_model(l_hidden=1, seed=seed) for seed in (1, 2)]
    atoms = small(models[0])
    calc = ModelDeviation([MACE(model) for model in models])
    forces = [MACE(model).get_forces(atoms) for model in models]
    assert np.array_equal(calc.get_forces(atoms), forces[0])
    deviation = np.linalg.norm(forces[0] - forces[1], axis=1) / 2
    assert calc.deviation["max_devi_f"] == pytest.approx(deviation.max(), rel=1e-12)
    assert deviation.max() > 0.01


@pytest.mark.parametrize("precision", ["double", "single"])
def test_dynamics_conserve_the_energy(precision: str) -> None:
    atoms = small(random_model(l_hidden=1)) * (1, 2, 2)
    atoms.set_momenta(np.random.default_rng(1).normal(scale=1.5, size=(len(atoms), 3)))
    atoms.calc = MACE(random_model(l_hidden=1), precision=precision)
    energies = [atoms.get_total_energy()]
    dynamics = VelocityVerlet(atoms, timestep=0.25 * units.fs)
    for _ in range(8):
        dynamics.run(25)
        energies.append(atoms.get_total_energy())
    assert np.ptp(energies) <= 2e-5 * len(atoms)
    assert abs(atoms.get_kinetic_energy()) > 1.0
    fresh = MACE(random_model(l_hidden=1), precision=precision, skin=0.0)
    assert atoms.get_potential_energy() == pytest.approx(fresh.get_potential_energy(atoms), rel=1e-7 if precision == "single" else 1e-12)  # fmt: skip


# --- files and the command line -----------------------------------------------------------------------


def test_exported_models_have_all_elements(tmp_path: Path) -> None:
    """Although a calculator has made tables for those of its structures only."""
    model = narrow("mh_like")
    calc = MACE(model, "omat", precision="single")
    calc.get_potential_energy(Atoms("Cu2", [[0, 0, 0], [0, 0, 2.5]]))
    calc.potential.export(tmp_path / "model.mdk")
    again = mdkern.load(tmp_path / "model.mdk")
    assert again.species == calc.species
    atoms = small(model)
    assert len(set(atoms.symbols)) > 1
    expected = evaluate(MACE(model, "omat", precision="single"), atoms, stresses=True)
    assert raw(evaluate(again, atoms, stresses=True)) == raw(expected)


def test_the_command_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_mace("mace.npz", random_model(l_hidden=1))
    model = random_model(l_hidden=1)
    atoms = small(model)
    atoms.calc = MACE(model)
    right = atoms.get_potential_energy()
    write("labelled.extxyz", [atoms])
    facts = run_json(capsys, "info", "mace.npz")
    assert facts["cutoff_A"] == 3.6
    assert facts["heads"] == ["Default"]
    assert main(["export", "mace.npz", "-o", "mace.mdk"]) == 0
    capsys.readouterr()
    for potential in ("mace.npz", "mace.mdk"):
        assert main(["validate", "labelled.extxyz", "--potential", potential]) == 0
        capsys.readouterr()
        found = run_json(capsys, "evaluate", "labelled.extxyz", "--potential", potential)
        assert found["errors"]["energy"]["rmse"] < 1e-8
    relax = ["relax", "labelled.extxyz", "--potential", "mace.mdk", "-o", "r.extxyz"]
    assert main([*relax, "--steps", "5"]) == 1  # not converged so soon
    assert read(here / "r.extxyz").get_potential_energy() < right


def test_texts_of_a_model_file_that_nobody_trusts(tmp_path: Path) -> None:
    path = tmp_path / "model.mdk"
    fields = MACE(mace_model("corr1"), radial="exact").potential.core_fields()
    write_model_file(
        path, {**fields, "head": "a\x1b[2J\n", "format": "x" * 999}, ["H", "C", "N", "O"]
    )
    found = describe_model_file(path)
    assert found.fields["head"] == r"'a\x1b[2J\n'"
    assert found.fields["format"] == found.facts["format"] == "model file of mdkern (.mdk)"
    assert (found.facts["precision"], found.facts["radial"]) == ("double", "exact")


@pytest.mark.usefixtures("here")
def test_export_of_a_head(capsys: pytest.CaptureFixture[str]) -> None:
    two_heads = ["export", str(mace_file("multihead")), "-o", "pbe.mdk"]
    assert main([*two_heads, "--set", "head=pbe", "precision=single"]) == 0
    chosen = MACE(mace_file("multihead"), "pbe", precision="single")
    facts = run_json(capsys, "info", "pbe.mdk")
    chosen_there = {key: facts[key] for key in ("head", "precision", "radial")}
    assert chosen_there == {"head": "pbe", "precision": "single", "radial": "table"}
    assert main(["info", "pbe.mdk"]) == 0
    shown = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert ["head", "pbe"] in shown
    assert ["precision", "single"] in shown
    atoms = small(chosen.potential.model)
    assert raw(evaluate(mdkern.load("pbe.mdk"), atoms)) == raw(evaluate(chosen, atoms))
    for given, message in (("head=dft", "head: 'dft'"), ("head", "'head'")):
        capsys.readouterr()
        assert main([*two_heads, "--overwrite", "--set", given]) == 2
        one_error(capsys, message)
    for given in ("tails=2", "skin=1", "path=a"):
        name = given.partition("=")[0]
        assert main([*two_heads, "--overwrite", "--set", "head=pbe", given]) == 2
        one_error(capsys, f"no parameter '{name}'; expected head, precision, radial")
    assert main(["export", "pbe.mdk", "-o", "again.mdk", "--set", "head=pbe"]) == 2
    one_error(capsys, "no parameter 'head'; the potential has none")
    assert main(["export", "lj:sigma=3,epsilon=1", "-o", "lj.mdk", "--set", "rc=9"]) == 2
    one_error(capsys, "--set rc=9: of a file's potential; expected lj:rc=9")
