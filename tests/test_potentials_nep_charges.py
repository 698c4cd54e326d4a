"""NEP with charges: definition, GPUMD's code, Madelung's constant, derivatives, threads, dynamics."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from ase.io import read
from contracts import ISAS, VOIGT, evaluate, raw

import mdkern
from mdkern import reference
from mdkern.bench.nep_models import random_nep
from mdkern.calculators import NEP
from mdkern.errors import UnsupportedError
from mdkern.io.nep import read_nep
from mdkern.md import IsotropicMTKNPT, VelocityVerlet

OWN = Path(__file__).resolve().parent / "data" / "nep"
MODELS = ["synthetic_nep4_zbl_charge1", "synthetic_nep4_charge2", "synthetic_nep4_charge3"]


def path_of(name: str) -> str:
    return str(OWN / f"{name}.txt")


def inputs(atoms: Atoms, path: str) -> tuple[Any, ...]:
    model = read_nep(path)
    kinds = np.array([model.species.index(x) for x in atoms.get_chemical_symbols()], dtype=int)
    return atoms.positions, atoms.cell.array, atoms.pbc, kinds, model


def oxide(n: int, scale: float = 0.1) -> Atoms:
    rng = np.random.default_rng(n)
    atoms = bulk("MgO", "rocksalt", a=4.2) * (n, n, n)
    strain = np.eye(3) + rng.normal(scale=0.03, size=(3, 3))
    atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
    atoms.positions += rng.normal(scale=scale, size=atoms.positions.shape)
    return atoms


def molecule() -> Atoms:
    return Atoms("OMg2O", [[0, 0, 0], [1.9, 0.2, 0.1], [-0.3, 2.0, 0.4], [2.2, 2.4, -0.3]])


SYSTEMS: dict[str, Callable[[], Atoms]] = {
    "crystal": lambda: oxide(3),
    "one_pair": lambda: oxide(1),
    "long": lambda: oxide(2) * (1, 1, 5),
    "left_handed": lambda: _turned(oxide(2)),
}


def _turned(atoms: Atoms) -> Atoms:
    """An oblique left-handed cell of the same lattice, atoms outside of it."""
    atoms.set_cell(np.array([[0, 1, 0], [1, 2, 0], [0, -1, 1]]) @ atoms.cell.array)
    atoms.positions += np.random.default_rng(1).integers(-2, 3, (len(atoms), 3)) @ atoms.cell.array
    return atoms


@pytest.mark.quick
@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.usefixtures("isa")
def test_equals_the_definition(name: str, system: str) -> None:
    atoms, path = SYSTEMS[system](), path_of(name)
    got, expected = evaluate(NEP(path), atoms, True), reference.nep(*inputs(atoms, path))
    scale = np.abs(expected.forces).max() + np.abs(expected.energies).max()
    assert np.abs(got["energies"] - expected.energies).max() <= 2e-12 * scale
    assert abs(got["energy"] - expected.energy) <= 2e-12 * scale * len(atoms)
    assert np.abs(got["forces"] - expected.forces).max() <= 2e-12 * scale
    assert np.abs(got["virial"] - expected.virial).max() <= 1e-11 * scale * len(atoms)
    assert np.abs(got["charges"] - reference.nep_charges(*inputs(atoms, path))).max() <= 1e-13
    assert abs(got["charges"].sum()) <= 1e-14 * len(atoms)
    total = got["stresses"].sum(axis=0)
    assert np.abs(total - got["stress"]).max() <= 1e-12 * scale * len(atoms) / atoms.get_volume()


@pytest.mark.usefixtures("isa")
def test_charges_of_mode_3_in_a_molecule() -> None:
    """Without periodic directions: nothing but pairs."""
    atoms, path = molecule(), path_of("synthetic_nep4_charge3")
    got, expected = evaluate(NEP(path), atoms), reference.nep(*inputs(atoms, path))
    assert np.abs(got["forces"] - expected.forces).max() <= 1e-12
    assert abs(got["energy"] - expected.energy) <= 1e-12
    assert np.abs(got["charges"]).max() > 1e-3


@pytest.mark.usefixtures("isa")
def test_mode_3_agrees_with_gpumds_code() -> None:
    """Energies and charges; its forces are not the slope of its energy, ours are."""
    name = "synthetic_nep4_charge3"
    with np.load(OWN / f"{name}.npz", allow_pickle=False) as ref:
        for k, atoms in enumerate(read(OWN / f"{name}.extxyz", ":")):
            got = evaluate(NEP(path_of(name)), atoms)
            assert np.abs(got["energies"] - ref[f"{k}_energies"]).max() <= 1e-12
            assert np.abs(got["charges"] - ref[f"{k}_charges"]).max() <= 1e-13
            born = NEP(path_of(name)).get_property("born_effective_charges", atoms)
            assert np.abs(born.reshape(-1, 9) - ref[f"{k}_becs"]).max() <= 1e-12


# --- the sum itself -------------------------------------------------------------------------------


def fixed_charges(folder: Path, mode: int, charge: float, r_cut: float) -> str:
    """A model of Na and Cl with charges +- `charge` wherever they are, and no other energy."""
    b0 = np.arctanh(0.5)  # tanh(-b0) = -1/2, whatever the descriptors
    values: list[float] = []
    for q in (charge, -charge):
        values += [0.0, 0.0, b0, 0.0, -2 * q]
    values += [1.0, 0.0] + [0.0] * 8 + [1.0, 1.0]
    header = f"nep4_charge{mode} 2 Na Cl\ncutoff {r_cut} 4 9 9\nn_max 0 0\nbasis_size 0 0\nl_max 1\nANN 1 0"
    path = folder / "fixed.txt"
    path.write_text("\n".join([header, *(f"{x!r}" for x in map(float, values))]) + "\n")
    return str(path)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 3)])
@pytest.mark.usefixtures("isa")
def test_madelungs_constant(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    """Rocksalt, 1.7475645946 (O. Emersleben, Math. Nachr. 4, 468 (1951)), to what the sum keeps, erfc(pi)."""
    a, charge = 5.64, 0.8
    calc = NEP(fixed_charges(tmp_path, 1, charge, 9.0))
    atoms = bulk("NaCl", "rocksalt", a=a) * shape
    got = evaluate(calc, atoms)
    exact = -1.74756459463318 * 14.399645 * charge**2 / (a / 2) / 2
    assert np.abs(np.abs(got["charges"]) - charge).max() <= 1e-14
    assert abs(got["energy"] / len(atoms) - exact) <= 2e-5 * abs(exact)
    # The energy goes with 1/length: the trace of the virial is the energy.
    assert abs(np.trace(got["virial"]) / len(atoms) - exact) <= 1e-3 * abs(exact)


# --- derivatives ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_forces_and_virial_are_slopes_of_the_energy(name: str) -> None:
    """Of reciprocal vectors and pairs some cross their cutoff, at 5e-5 and 1e-5 of the value at zero."""
    atoms, calc = oxide(2, 0.15), NEP(path_of(name))
    got, rng = evaluate(calc, atoms), np.random.default_rng(2)
    scale = 1.0 + np.abs(got["forces"]).max()
    for k in range(6):
        d = rng.normal(size=atoms.positions.shape)
        if k > 1:
            d[np.arange(len(d)) != k] = 0.0
        d /= np.linalg.norm(d)
        ends, h = [], 1e-4
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions += sign * h * d
            ends.append(evaluate(calc, moved)["energy"])
        assert abs((ends[0] - ends[1]) / (2 * h) + (got["forces"] * d).sum()) <= 2e-6 * scale
    for a, b in zip(*VOIGT, strict=True):
        ends, h = [], 1e-5
        for sign in (1, -1):
            strain = np.eye(3)
            strain[a, b] += sign * h / 2
            strain[b, a] += sign * h / 2
            moved = atoms.copy()
            moved.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            ends.append(evaluate(calc, moved)["energy"])
        assert abs((ends[0] - ends[1]) / (2 * h) + got["virial"][a, b]) <= 1e-5 * len(atoms) * scale


# --- bits, lists, dynamics -----------------------------------------------------------------------


@pytest.mark.quick
@pytest.mark.parametrize("name", MODELS)
def test_threads_and_instruction_sets_agree(name: str) -> None:
    atoms = oxide(7)
    results = []
    for isa in ISAS:
        mdkern.set_isa(isa)
        of_threads = [
            evaluate(NEP(path_of(name), threads=n), atoms, stresses=True) for n in (1, 2, 3)
        ]
        assert raw(of_threads[0]) == raw(of_threads[1]) == raw(of_threads[2])
        results.append(of_threads[0])
    for other in results[1:]:
        for key, value in results[0].items():
            size = np.abs(value).max() * (len(atoms) if key == "virial" else 1)
            assert np.abs(other[key] - value).max() <= 1e-12 * max(1.0, size), key


def test_single_precision() -> None:
    atoms = oxide(3)
    for name in MODELS:
        single, double = (
            evaluate(NEP(path_of(name), precision=p), atoms) for p in ("single", "double")
        )
        assert np.abs(single["forces"] - double["forces"]).max() <= 2e-5
        assert np.abs(single["charges"] - double["charges"]).max() <= 1e-6


@pytest.mark.parametrize("name", MODELS)
def test_a_kept_list_equals_a_new_one(name: str) -> None:
    """The reciprocal vectors follow the cell, the rows of the list the atoms."""
    atoms, rng = oxide(3), np.random.default_rng(3)
    kept, fresh = NEP(path_of(name), skin=0.6), NEP(path_of(name), skin=0.0)
    for _ in range(5):
        got, expected = evaluate(kept, atoms), evaluate(fresh, atoms)
        for key in ("energies", "forces", "virial", "charges"):
            assert np.abs(got[key] - expected[key]).max() <= 1e-11 * len(atoms)
        atoms.positions += rng.normal(scale=0.02, size=atoms.positions.shape)
        strain = np.eye(3) + rng.normal(scale=0.002, size=(3, 3))
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
    assert kept.n_builds < 5


def test_native_dynamics_conserve_the_energy() -> None:
    atoms = oxide(3, 0.05)
    atoms.set_momenta(np.random.default_rng(1).normal(scale=1.0, size=(len(atoms), 3)))
    atoms.calc = NEP(path_of("synthetic_nep4_zbl_charge1"))
    begin = atoms.get_total_energy()
    VelocityVerlet(atoms, timestep=0.5 * units.fs).run(60)
    assert abs(atoms.get_total_energy() - begin) <= 1e-5 * len(atoms)
    fresh = evaluate(NEP(path_of("synthetic_nep4_zbl_charge1"), skin=0.0), atoms)
    assert np.abs(atoms.get_forces() - fresh["forces"]).max() <= 1e-9
    # Charges of a run belong to the atoms in the caller's order, not in that of the table's rows.
    assert np.abs(atoms.calc.results["charges"] - fresh["charges"]).max() <= 1e-12


def test_native_barostat_moves_the_reciprocal_vectors() -> None:
    path = path_of("synthetic_nep4_charge2")
    atoms = oxide(3, 0.05)
    atoms.set_momenta(np.random.default_rng(1).normal(scale=1.0, size=(len(atoms), 3)))
    atoms.calc = NEP(path)
    before = atoms.get_volume()
    IsotropicMTKNPT(
        atoms, timestep=0.5 * units.fs, temperature_K=300, pressure_au=0.05, tdamp=20.0, pdamp=50.0
    ).run(30)
    assert abs(atoms.get_volume() / before - 1) > 1e-5
    fresh = evaluate(NEP(path, skin=0.0), atoms)
    assert np.abs(atoms.get_forces() - fresh["forces"]).max() <= 1e-9


# --- as a calculator ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [1, 2])
def test_open_directions_are_refused(mode: int) -> None:
    calc = NEP(path_of(MODELS[mode - 1]))
    slab = oxide(2)
    slab.pbc = (True, True, False)
    for atoms in (molecule(), slab):
        with pytest.raises(mdkern.MDKernError, match=r"pbc: not periodic in all three directions"):
            calc.calculate(atoms)


def test_a_cell_with_too_many_waves_is_refused() -> None:
    atoms = Atoms("OMg", [[0, 0, 0], [2, 0, 0]], cell=[3000.0] * 3, pbc=True)
    with pytest.raises(mdkern.MDKernError, match=r"cell: .* more than 1e8 waves"):
        NEP(path_of("synthetic_nep4_charge2")).calculate(atoms)


def test_results_and_copies(tmp_path: Path) -> None:
    atoms, path = oxide(2), path_of("synthetic_nep4_zbl_charge1")
    atoms.calc = mdkern.load(path)
    charges = atoms.get_charges()
    assert charges.shape == (len(atoms),)
    again = pickle.loads(pickle.dumps(atoms.calc))
    assert np.array_equal(again.get_charges(atoms), charges)
    plain = NEP(random_nep(tmp_path / "plain.txt", species=["O", "Mg"]))
    with pytest.raises(PropertyNotImplementedError):
        plain.get_charges(atoms)
    with pytest.raises(UnsupportedError, match=r"plain.txt:1: nep4: a model without charges"):
        plain.calculate(atoms, ["born_effective_charges"])


@pytest.mark.parametrize("name", MODELS)
def test_born_charges_equal_the_definition(name: str) -> None:
    atoms = oxide(2)
    got = [
        NEP(path_of(name), threads=n).get_property("born_effective_charges", atoms) for n in (1, 2)
    ]
    expected = reference.nep_born_charges(*inputs(atoms, path_of(name)))
    assert np.array_equal(got[0], got[1])
    assert np.abs(got[0] - expected).max() <= 1e-12
