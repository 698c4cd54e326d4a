"""NEPDescriptor: GPUMD's numbers, derivatives by finite differences, vjp, arguments."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from test_potentials_nep import ALL, SHAPES, close, mixed, model_path, stored

import mdkern
from mdkern.calculators import NEP
from mdkern.descriptors import NEPDescriptor


@pytest.mark.quick
@pytest.mark.parametrize(("name", "folder"), ALL)
@pytest.mark.usefixtures("isa")
def test_agrees_with_gpumds_code(name: str, folder: Path) -> None:
    for path, atoms, ref in stored(name, folder):
        expected = ref["descriptors"]
        single, double = (
            NEPDescriptor(path, precision=p).create(atoms)[: len(expected)]
            for p in ("single", "double")
        )
        assert close(double, expected, 1e-9)
        assert close(single, expected, 1e-5)


def small() -> tuple[str, Atoms]:
    atoms = mixed(("O", "H", "C"), 3.7, 1) * (2, 1, 1)
    atoms.rattle(0.05, seed=3)
    path = model_path(
        species=("O", "H", "C"), n_max=(2, 2), basis=(4, 4), bodies=("222", "1111"), hidden=5
    )
    return path, atoms


@pytest.mark.parametrize("pbc", [True, (True, False, True), False])
@pytest.mark.usefixtures("isa")
def test_derivatives_are_the_slopes(pbc: Any) -> None:
    path, atoms = small()
    atoms.pbc = pbc
    d = NEPDescriptor(path)
    jacobian, values = d.derivatives(atoms)
    assert jacobian.shape == (len(atoms), len(atoms), 3, d.get_number_of_features())
    assert np.array_equal(values, d.create(atoms))
    h = 1e-4
    for j in (0, 5):
        for c in range(3):
            up, down = atoms.copy(), atoms.copy()
            up.positions[j, c] += h
            down.positions[j, c] -= h
            slope = (d.create(up) - d.create(down)) / (2 * h)
            assert np.abs(slope - jacobian[:, j, c]).max() <= 1e-6 * np.abs(jacobian).max()
    assert np.abs(jacobian.sum(axis=1)).max() <= 1e-12 * np.abs(jacobian).max()


@pytest.mark.quick
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.usefixtures("isa")
def test_vjp_is_the_contracted_jacobian(shape: str) -> None:
    path = model_path(**SHAPES[shape])
    atoms = mixed(SHAPES[shape]["species"], 3.4, 1)
    d = NEPDescriptor(path)
    w = np.random.default_rng(0).normal(size=(len(atoms), d.get_number_of_features()))
    gradient, virial = d.vjp(atoms, w)
    expected = np.einsum("cf,cjxf->jx", w, d.derivatives(atoms, return_descriptor=False))
    assert np.abs(gradient - expected).max() <= 1e-12 * np.abs(virial).max()
    h = 1e-5
    for a, b in ((0, 0), (1, 2)):
        values = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[a, b] += sign * h / 2
            strain[b, a] += sign * h / 2
            moved = atoms.copy()
            moved.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            values.append((w * d.create(moved)).sum())
        slope = (values[0] - values[1]) / (2 * h)
        assert abs(slope + virial[a, b]) <= 1e-6 * np.abs(virial).max()


def test_a_network_on_the_descriptor_is_the_potential() -> None:
    path, atoms = small()
    d, m = NEPDescriptor(path), NEPDescriptor(path).model
    q = d.create(atoms)
    weights = np.empty_like(q)
    for k, symbol in enumerate(atoms.get_chemical_symbols()):
        t = m.species.index(symbol)
        h = np.tanh(m.networks.w0[t] @ q[k] - m.networks.b0[t])
        weights[k] = (m.networks.w1[t] * (1 - h**2)) @ m.networks.w0[t]
    calc = NEP(path)
    calc.calculate(atoms)
    gradient, virial = d.vjp(atoms, weights)
    assert np.abs(gradient + calc.results["forces"]).max() <= 1e-12
    assert np.abs(virial - calc.virial).max() <= 1e-11


def test_choices_of_atoms() -> None:
    path, atoms = small()
    d = NEPDescriptor(path)
    n = len(atoms)
    everything, values = d.derivatives(atoms)
    part, q = d.derivatives(atoms, centers=[5, 1, 5], include=[2, -1, 2])
    assert np.array_equal(part, everything[np.ix_([5, 1, 5], [2, n - 1, 2])])
    assert np.array_equal(q, values[[5, 1, 5]])
    without = d.derivatives(atoms, exclude=[0, 3], return_descriptor=False)
    assert np.array_equal(without, np.delete(everything, [0, 3], axis=1))
    assert d.derivatives(atoms, centers=[])[0].shape == (0, n, 3, d.get_number_of_features())
    assert np.array_equal(d.create(atoms, centers=[3, 0]), values[[3, 0]])
    many = d.create([atoms, atoms[:3]], centers=[[0], [1, 2]])
    assert np.array_equal(many[0], values[[0]])
    assert [x.shape[0] for x in d.create([atoms, atoms[:3]])] == [n, 3]


def test_names_and_copies() -> None:
    path, atoms = small()
    d = NEPDescriptor(path)
    names = d.feature_names()
    assert len(names) == len(set(names)) == d.get_number_of_features()
    assert names[0] == "radial n=0"
    assert names[3] == "l=1 n=0"
    assert names[-1] == "1111 n=2"
    assert (d.r_cut, d.species) == (5.0, ("O", "H", "C"))
    again = pickle.loads(pickle.dumps(d))
    assert np.array_equal(again.create(atoms), d.create(atoms))


@pytest.mark.parametrize("precision", ["double", "single"])
def test_the_same_bits_for_any_number_of_threads(precision: str) -> None:
    path, _ = small()
    atoms = mixed(("O", "H", "C"), 3.9, 6)
    d = NEPDescriptor(path, precision=precision)
    w = np.random.default_rng(0).normal(size=(len(atoms), d.get_number_of_features()))
    found = []
    for n in (1, 2, 3, 8):
        with mdkern.num_threads(n):
            gradient, virial = d.vjp(atoms, w)
            found.append((d.create(atoms).tobytes(), gradient.tobytes(), virial.tobytes()))
    assert len(set(found)) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d, a: d.vjp(a, np.ones((2, 3))), r"weights: shape \(2, 3\); expected \(8, "),
        (lambda d, a: d.vjp(a, np.full((8, 21), np.nan)), "weights: not finite"),
        (lambda d, a: d.create(a, centers=[8]), "centers: 8; expected atoms from -8 to 7"),
        (lambda d, a: d.create(a, centers=[0.5]), "centers: .* expected a list of indices"),
        (lambda d, a: d.create([a], centers=[0]), r"centers\[0\]: 0; expected a list for each"),
        (lambda d, a: d.create(a, centers=["O"]), r"centers: \['O'\]; expected a list of indices"),
        (lambda d, a: d.create(a, centers=0), "centers: 0; expected a list of indices"),
        (lambda d, a: d.create([a], centers=[[0], [1]]), "centers: 2 entries for 1 structures"),
        (lambda d, a: d.derivatives(a, include=[-9]), "include: -9; expected"),
        (lambda d, a: d.derivatives(a, exclude=[99]), "exclude: 99; expected"),
        (lambda d, a: d.derivatives(a, include=[0], exclude=[1]), "include, exclude: both given"),
        (lambda d, a: d.derivatives(a, method="numerical"), "method: 'numerical'; expected 'auto'"),
        (lambda d, a: d.derivatives(a, attach=False), "attach: False; the centers are atoms"),
        (lambda d, _: d.create(Atoms("Xe")), "atom 0 is Xe; the potential has O, H, C"),
    ],
)
def test_bad_arguments(call: Any, message: str) -> None:
    path, atoms = small()
    with pytest.raises(ValueError, match=message):
        call(NEPDescriptor(path), atoms)
    for thing in ("water.xyz", None, 3):
        with pytest.raises(TypeError, match=r"a: .*expected a list of ase\.Atoms"):
            NEPDescriptor(path).create(thing)
        with pytest.raises(TypeError, match=r"a: .*expected an ase\.Atoms"):
            NEPDescriptor(path).derivatives(thing)
        with pytest.raises(TypeError, match=r"a: .*expected an ase\.Atoms"):
            NEPDescriptor(path).vjp(thing, np.ones((8, 21)))
    with pytest.raises(TypeError, match=r"a\[0\]: 'water.xyz'; expected an ase\.Atoms"):
        NEPDescriptor(path).create(["water.xyz"])
    with pytest.raises(ValueError, match="threads: 0"):
        NEPDescriptor(path, threads=0)
