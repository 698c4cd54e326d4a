"""NEP: the contract on random models, numbers of GPUMD's CPU code, tensors, single precision."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from ase.io import read
from ase.md.verlet import VelocityVerlet as AseVelocityVerlet
from contracts import VOIGT, PotentialContract, ThreadsUnderSanitizers, evaluate, raw
from reference_data import shared_folder

import mdkern
from mdkern import potentials, reference
from mdkern.bench.nep_models import PUBLIC_SIZES, random_nep
from mdkern.bench.scratch import scratch_folder
from mdkern.calculators import NEP, NEPTensor
from mdkern.errors import UnsupportedError
from mdkern.io.nep import read_nep
from mdkern.md import VelocityVerlet

OWN = Path(__file__).resolve().parent / "data" / "nep"
# Forces of mode 3 have a test of their own (test_potentials_nep_charges.py).
SYNTHETIC = sorted(path.stem for path in OWN.glob("*.txt") if "charge3" not in path.stem)
PUBLIC = [
    "BaTiO3_NEP4_ZBL",
    "BaZrO3_NEP4",
    "C_2024_NEP4",
    "CH_NEP3",
    "PbTe_NEP3",
    "PbTe_qNEP4_charge1",
    "Si_2022_NEP4_5body",
    "UNEP-v1_2024_NEP4_ZBL",
    "water_NEP4",
    "water_qNEP4_charge2",
]


@cache
def model_path(**kw: Any) -> str:
    """A random model, written once."""
    kw = {key: list(x) if isinstance(x, tuple) else x for key, x in kw.items()}
    return random_nep(scratch_folder() / "nep.txt", **kw)


def inputs(atoms: Atoms, model: Any) -> tuple[Any, ...]:
    kinds = np.array([model.species.index(x) for x in atoms.get_chemical_symbols()], dtype=int)
    return atoms.positions, atoms.cell.array, atoms.pbc, kinds, model


def defined(path: str, atoms: Atoms) -> reference.Result:
    return reference.nep(*inputs(atoms, read_nep(path)))


class Model(PotentialContract):
    continuous = "forces"
    listed = 200_000
    accuracy = 2e-12


class TestAlloyWithRepulsion(Model):
    """Typewise cutoffs and ZBL ranges, more species than fit one vector of neighbors."""

    path = str(OWN / "synthetic_nep4_zbl_typewise.txt")
    symbols = ("Al", "C", "W")
    make = staticmethod(lambda **kw: NEP(TestAlloyWithRepulsion.path, **kw))
    reference = staticmethod(lambda atoms: defined(TestAlloyWithRepulsion.path, atoms))
    cutoffs = (3.5, 4.0, 4.5, 5.0, 5.25, 5.5, 5.75, 6.0)


class TestOneSpecies(ThreadsUnderSanitizers, Model):
    """Radial and angular cutoff alike, five bodies, one network (NEP3)."""

    symbols = ("Cu",)
    path = staticmethod(
        lambda: model_path(
            species=("Cu",), version=3, cutoffs=(4.5, 4.5), bodies=("222", "1111"), seed=3
        )
    )
    make = staticmethod(lambda **kw: NEP(TestOneSpecies.path(), **kw))
    reference = staticmethod(lambda atoms: defined(TestOneSpecies.path(), atoms))


# --- GPUMD's code -------------------------------------------------------------------------------


def cases(names: list[str], folder: Path | None) -> Iterator[Any]:
    for name in names:
        missing = folder is None
        marks = [pytest.mark.skip("MDKERN_TEST_DATA is not set")] if missing else []
        yield pytest.param(name, folder, id=name, marks=marks)


def stored(name: str, folder: Path) -> Iterator[tuple[str, Atoms, dict[str, Any]]]:
    """Path of the model, structure and results of each frame."""
    flat = folder == OWN
    models, structures, refs = (
        (folder, folder, folder)
        if flat
        else (folder / "models", folder / "structures", folder / "refs")
    )
    with np.load(refs / f"{name}.npz", allow_pickle=False) as file:
        arrays = dict(file)
    for k, atoms in enumerate(read(structures / f"{name}.extxyz", ":")):
        start = f"{k}_"
        yield (
            str(models / f"{name}.txt"),
            atoms,
            {key.removeprefix(start): x for key, x in arrays.items() if key.startswith(start)},
        )


def close(got: Any, expected: Any, limit: float) -> bool:
    return bool(np.abs(got - expected).max() <= limit * max(1.0, np.abs(expected).max()))


ALL = [*cases(SYNTHETIC, OWN), *cases(PUBLIC, shared_folder("nep"))]


@pytest.mark.quick
@pytest.mark.parametrize(("name", "folder"), ALL)
@pytest.mark.usefixtures("isa")
def test_agrees_with_gpumds_code(name: str, folder: Path) -> None:
    for path, atoms, ref in stored(name, folder):
        calc = NEP(path)
        got = evaluate(calc, atoms, stresses=True)
        assert abs(got["energy"] - ref["energy"]) <= 5e-10 * len(atoms)
        assert np.abs(got["energies"] - ref["energies"]).max() <= 5e-10
        assert close(got["forces"], ref["forces"], 1e-10)
        assert close(got["virial"], ref["virial"], 1e-10)
        if "charges" in ref:
            assert close(got["charges"], ref["charges"], 1e-12)
            born = calc.get_property("born_effective_charges", atoms)
            assert close(born, ref["becs"].reshape(-1, 3, 3), 1e-11)
        if atoms.pbc.all():
            assert close(got["stress"], ref["stress"], 1e-10)
        w = ref["virials"].reshape(-1, 3, 3)
        w = (w + w.transpose(0, 2, 1))[:, VOIGT[0], VOIGT[1]] / 2
        if atoms.cell.rank == 3:
            assert close(-got["stresses"] * atoms.get_volume(), w, 1e-10)


@pytest.mark.parametrize(("name", "folder"), ALL)
def test_the_definition_agrees_with_gpumds_code(name: str, folder: Path) -> None:
    for path, atoms, ref in stored(name, folder):
        if len(atoms) > 40:
            continue
        arguments = inputs(atoms, read_nep(path))
        got = reference.nep(*arguments)
        assert abs(got.energy - ref["energy"]) <= 5e-10 * len(atoms)
        assert close(got.forces, ref["forces"], 1e-10)
        assert close(got.virial, ref["virial"], 1e-10)
        assert close(
            reference.nep_descriptors(*arguments)[: len(ref["descriptors"])],
            ref["descriptors"],
            1e-9,
        )


@pytest.mark.parametrize(("name", "folder"), ALL)
@pytest.mark.usefixtures("isa")
def test_single_precision(name: str, folder: Path) -> None:
    """Energies of some models are differences of large numbers: relative to those of the atoms."""
    for path, atoms, ref in stored(name, folder):
        got = evaluate(NEP(path, precision="single"), atoms)
        scale = max(1.0, np.abs(ref["energies"]).max())
        assert abs(got["energy"] - ref["energy"]) <= 1e-5 * len(atoms) * scale
        assert close(got["forces"], ref["forces"], 1e-5)
        assert close(got["virial"], ref["virial"], 3e-5)


# --- models of every shape ------------------------------------------------------------------------


def mixed(species: Any, a: float, n: int = 2) -> Atoms:
    rng = np.random.default_rng(len(species))
    atoms = bulk("Cu", "fcc", a=a, cubic=True) * (n, n, n)
    atoms.symbols[:] = rng.permutation(np.resize(np.array(species), len(atoms)))
    atoms.positions += rng.normal(scale=0.1, size=atoms.positions.shape)
    return atoms


SHAPES: dict[str, dict[str, Any]] = {
    "smallest": {"species": ("H",), "n_max": (0, 0), "basis": (0, 0), "l_max": 1, "hidden": 1},
    "l_2": {"species": ("Cu",), "l_max": 2, "bodies": ("222", "112"), "n_max": (1, 2)},
    "l_3": {"species": ("C", "H"), "l_max": 3, "bodies": ("123", "233"), "n_max": (6, 5)},
    "l_5": {"species": ("O",), "l_max": 5, "bodies": ("134", "1111"), "n_max": (3, 8)},
    "l_6": {"species": ("O",), "l_max": 6, "n_max": (12, 3), "basis": (16, 3)},
    "l_7": {"species": ("O", "Si"), "l_max": 7, "version": 5, "hidden": 9},
    "many_functions": {"species": ("Fe",), "n_max": (31, 31), "basis": (31, 31), "hidden": 3},
    "five_types": {"species": ("Al", "Ni", "Ti", "V", "W"), "zbl": (1.5, 2.9)},
    "flexible_pairs": {"species": ("Al", "Ni", "Ti"), "zbl": (0, 0)},
    "small_factor": {"species": ("Al", "Ni"), "zbl": (1.0, 3.0, 0.9), "version": 3},
}


@pytest.mark.quick
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.usefixtures("isa")
def test_models_of_every_shape(shape: str) -> None:
    path = model_path(**SHAPES[shape])
    atoms = mixed(SHAPES[shape]["species"], 3.4)
    got, expected = evaluate(NEP(path), atoms), defined(path, atoms)
    scale = np.abs(expected.forces).max() + np.abs(expected.energies).max()
    assert np.abs(got["energies"] - expected.energies).max() <= 1e-11 * scale
    assert np.abs(got["forces"] - expected.forces).max() <= 1e-11 * scale
    assert np.abs(got["virial"] - expected.virial).max() <= 1e-10 * scale * len(atoms)


@pytest.mark.parametrize("name", PUBLIC_SIZES)
def test_the_same_bits_for_any_number_of_threads(name: str) -> None:
    path = model_path(
        **{k: tuple(v) if isinstance(v, list) else v for k, v in PUBLIC_SIZES[name].items()}
    )
    atoms = mixed(PUBLIC_SIZES[name]["species"], 4.0, 5)
    for precision in ("double", "single"):
        results = [
            raw(evaluate(NEP(path, precision=precision, threads=n), atoms, stresses=True))
            for n in (1, 2, 3, 8)
        ]
        assert results[0] == results[1] == results[2] == results[3]


@pytest.mark.usefixtures("isa")
def test_many_neighbors() -> None:
    """More than the 1000 that other codes stop at."""
    path = model_path(species=("Cu",), cutoffs=(9.0, 8.0), n_max=(1, 1), basis=(2, 2), l_max=2)
    atoms = mixed(("Cu",), 2.1, 1)
    assert len(mdkern.neighbor_list("i", atoms, 9.0)) > 1000 * len(atoms)
    got, expected = evaluate(NEP(path), atoms), defined(path, atoms)
    scale = np.abs(expected.forces).max() + np.abs(expected.energies).max()
    assert np.abs(got["forces"] - expected.forces).max() <= 1e-11 * scale


@pytest.mark.usefixtures("isa")
def test_atoms_at_one_place_are_reported() -> None:
    calc = NEP(model_path(species=("Cu",)))
    with pytest.raises(mdkern.MDKernError, match="atoms overlap near"):
        calc.calculate(Atoms("Cu2", [[1, 1, 1], [1, 1, 1]]))


# --- tensors ------------------------------------------------------------------------------------


@pytest.mark.quick
@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.usefixtures("isa")
def test_tensors_equal_the_definition(version: int) -> None:
    atoms = mixed(("O", "H"), 3.6)
    for kind, define in (
        ("dipole", reference.nep_dipole),
        ("polarizability", reference.nep_polarizability),
    ):
        path = model_path(species=("O", "H"), kind=kind, version=version, bodies=("222", "1111"))
        calc = mdkern.load(path)
        assert isinstance(calc, NEPTensor)
        got, expected = calc.get_property(kind, atoms), define(*inputs(atoms, read_nep(path)))
        assert np.abs(got - expected).max() <= 1e-11 * np.abs(expected).max()
        again = pickle.loads(pickle.dumps(calc))
        assert np.array_equal(again.get_property(kind, atoms), got)
        for call in (calc.get_potential_energy, calc.get_forces, calc.get_stress):
            with pytest.raises(PropertyNotImplementedError):
                call(atoms)
    assert np.array_equal(calc.get_polarizability(atoms), got)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("water_NEP4_dipole", "dipole"), ("BaZrO3_NEP4_polarizability", "polarizability")],
)
def test_tensors_agree_with_gpumds_code(name: str, kind: str) -> None:
    folder = shared_folder("nep")
    if folder is None:
        pytest.skip("MDKERN_TEST_DATA is not set")
    for path, atoms, ref in stored(name, folder):
        got = NEPTensor(path).get_property(kind, atoms)
        if kind == "polarizability":
            got = got.flat[[0, 4, 8, 1, 5, 6]]
        assert close(got, ref[kind], 1e-10)


def test_the_wrong_class_for_a_model() -> None:
    potential, dipole = model_path(species=("O",)), model_path(species=("O",), kind="dipole")
    with pytest.raises(UnsupportedError, match="a dipole model has no energy; use NEPTensor"):
        NEP(dipole)
    with pytest.raises(UnsupportedError, match="a potential; use NEP"):
        NEPTensor(potential)


# --- as a calculator -------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [NEP, potentials.NEP, NEPTensor])
def test_bad_parameters(build: Any) -> None:
    with pytest.raises(ValueError, match="precision: 'half'; expected 'double' or 'single'"):
        build(
            model_path(species=("O",), kind="dipole" if build is NEPTensor else ""),
            precision="half",
        )
    with pytest.raises(OSError):
        build("no_such_nep.txt")


def test_unknown_elements_are_named() -> None:
    with pytest.raises(ValueError, match="atom 1 is Xe; the potential has O, H"):
        NEP(model_path(species=("O", "H"))).get_potential_energy(
            Atoms("OXe", [[0, 0, 0], [2, 0, 0]])
        )


@pytest.mark.quick
@pytest.mark.parametrize("threads", [1, 2])
def test_native_dynamics_equal_ases(threads: int) -> None:
    """The list is made anew several times: blocks of rows must follow."""
    path = model_path(species=("O", "H"))
    ends = []
    for verlet in (VelocityVerlet, AseVelocityVerlet):
        atoms = mixed(("O", "H"), 3.9, 3)
        atoms.set_momenta(np.random.default_rng(1).normal(scale=2.0, size=(len(atoms), 3)))
        atoms.calc = NEP(path, skin=0.2, threads=threads)
        verlet(atoms, timestep=0.5 * units.fs).run(40)
        ends.append((atoms.positions.copy(), atoms.get_potential_energy()))
        fresh = NEP(path, skin=0.0).get_potential_energy(atoms)
        assert abs(ends[-1][1] - fresh) <= 1e-9 * (1 + abs(fresh))
    assert np.abs(ends[0][0] - ends[1][0]).max() <= 1e-9


def test_copies_and_parameters() -> None:
    path = model_path(species=("O", "H"))
    atoms = mixed(("O", "H"), 3.9)
    calc = NEP(path, precision="single")
    assert calc.species == ("O", "H")
    assert calc.cutoff == 5.0
    assert calc.todict()["path"] == path
    expected = raw(evaluate(calc, atoms))
    assert raw(evaluate(pickle.loads(pickle.dumps(calc)), atoms)) == expected
    calc.set(precision="double")
    double = evaluate(calc, atoms)
    assert raw(double) == raw(evaluate(mdkern.load(path), atoms)) != expected
