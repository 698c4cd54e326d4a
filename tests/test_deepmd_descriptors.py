"""Deep Potential beyond se_e2_a: too many neighbors, threads, derivatives, pair tables by themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from contracts import evaluate, raw
from deepmd_data import inputs, model_file, system

import mdkern
from mdkern import _core, reference
from mdkern.calculators import DeepPotential, NonFiniteError
from mdkern.errors import MDKernWarning, UnsupportedError
from mdkern.io.deepmd import read_deepmd
from mdkern.io.deepmd_models import Dpa1, EnsembleModel, PairTab, StandardModel
from mdkern.potentials.deepmd import fields_of
from mdkern.reference.pairs import pair_list, sum_pairs

KINDS = (
    "se_e2_r",
    "se_e3",
    "hybrid",
    "dpa1_concat",
    "dpa1_strip",
    "dpa1_attention",
    "zbl",
    "linear",
)

pytestmark = pytest.mark.filterwarnings("ignore:.*more neighbors than sel")

# Energies (eV) of `crowd()` from the NumPy backend of DeePMD-kit 3.2.0, where each atom has more neighbors than slots.
CROWDED = {
    "se_e2_r": -16.502475233876147,
    "se_e3": 86.05983794086629,
    "hybrid": 64.43888520478345,
    "dpa1_concat": 50.8476821901042,
    "dpa1_strip": 36.88780222770089,
    "dpa1_attention": 0.17095044460604036,
}


def crowd() -> Atoms:
    atoms = system("crystal") * (2, 1, 1)
    atoms.set_cell(atoms.cell * 0.6, scale_atoms=True)
    atoms.positions += 0.1 * np.sin(np.arange(3 * len(atoms))).reshape(-1, 3)
    return atoms


def slab() -> Atoms:
    """Periodic in two directions, with close pairs: the range in which zbl blends."""
    atoms = system("crystal")
    atoms.pbc = (True, False, True)
    atoms.positions[1] = atoms.positions[0] + [1.2, 0.3, 0.0]
    atoms.positions[5] = atoms.positions[4] + [0.0, 0.9, 1.1]
    return atoms


@pytest.mark.parametrize("name", CROWDED)
@pytest.mark.usefixtures("isa")
def test_selection_is_that_of_deepmd_kit(name: str) -> None:
    calc = DeepPotential(model_file(name), tabulate=False)
    assert abs(evaluate(calc, crowd())["energy"] - CROWDED[name]) < 1e-11


@pytest.mark.quick
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.usefixtures("isa")
def test_derivatives(name: str) -> None:
    calc = DeepPotential(model_file(name), tabulate=False)
    atoms, rng = slab(), np.random.default_rng(1)
    r = evaluate(calc, atoms)
    expected = reference.deepmd(
        atoms.positions,
        atoms.cell.array,
        atoms.pbc,
        [calc.potential.species.index(x) for x in atoms.symbols],
        read_deepmd(model_file(name)),
    )
    largest = np.abs(expected.forces).max()
    assert np.abs(r["energies"] - expected.energies).max() < 1e-11
    assert np.abs(r["forces"] - expected.forces).max() < 1e-11 * largest
    step, strain = 1e-4 * rng.normal(size=(len(atoms), 3)), 1e-4 * rng.normal(size=(3, 3))
    slopes = []
    for move in (step, None):
        e = []
        for sign in (1, -1):
            moved = atoms.copy()
            if move is None:
                moved.set_cell(atoms.cell.array @ (np.eye(3) + sign * strain), scale_atoms=True)
            else:
                moved.positions += sign * step
            e.append(evaluate(calc, moved)["energy"])
        slopes.append((e[0] - e[1]) / 2)
    assert abs(slopes[0] + (r["forces"] * step).sum()) < 1e-7 * max(1.0, largest)
    assert abs(slopes[1] + (r["virial"] * strain).sum()) < 1e-6 * max(1.0, largest)


@pytest.mark.parametrize("name", KINDS)
def test_threads_and_parts(name: str) -> None:
    atoms = system("crystal") * (4, 4, 3)
    calc = DeepPotential(model_file(name))
    results = []
    for threads in (1, 2, 3):
        mdkern.set_num_threads(threads)
        calc = DeepPotential(model_file(name))
        results.append(evaluate(calc, atoms, stresses=True))
    assert raw(results[0]) == raw(results[1]) == raw(results[2])
    r = results[0]
    assert abs(r["energies"].sum() - r["energy"]) < 1e-9
    assert np.allclose(
        r["stresses"].sum(0), r["stress"], rtol=0, atol=1e-9 * np.abs(r["stresses"]).sum()
    )
    small = evaluate(calc, system("crystal"))
    assert abs(r["energy"] - 48 * small["energy"]) < 1e-9
    assert np.abs(r["forces"].reshape(48, -1, 3) - small["forces"]).max() < 1e-10


# --- pair tables by themselves --------------------------------------------------------------------


def table_model() -> PairTab:
    model = read_deepmd(model_file("linear")).model
    assert isinstance(model, EnsembleModel)
    table = model.models[1]
    assert isinstance(table, PairTab)
    return table


def table_calculator(table: PairTab) -> DeepPotential:
    calc = DeepPotential(model_file("linear"))
    calc.potential._kernel = _core.Potential(
        fields_of(replace(read_deepmd(model_file("linear")), model=table))
    )
    return calc


@pytest.mark.quick
@pytest.mark.usefixtures("isa")
def test_pair_table() -> None:
    table, atoms = table_model(), slab()
    kinds = [table.type_map.index(x) for x in atoms.symbols]
    pairs = pair_list(atoms.positions, atoms.cell.array, atoms.pbc, kinds, table.r_cut)
    u = (pairs.r - table.r_min) / table.step
    k = np.minimum(u.astype(int), table.table.shape[2] - 1)
    a3, a2, a1, a0 = np.moveaxis(table.table[pairs.a, pairs.b, k], -1, 0)
    f, inside = u - k, pairs.r < table.r_min + table.step * table.table.shape[2]
    phi = ((a3 * f + a2) * f + a1) * f + a0
    slope = ((3 * a3 * f + 2 * a2) * f + a1) / table.step
    expected = sum_pairs(pairs, np.where(inside, phi, 0.0), np.where(inside, slope, 0.0))
    got = evaluate(table_calculator(table), atoms)
    assert np.abs(got["energies"] - expected.energies - table.out_bias[kinds]).max() < 1e-12
    assert np.abs(got["forces"] - expected.forces).max() < 1e-11
    assert np.abs(got["virial"] - expected.virial).max() < 1e-10


def test_pair_table_without_some_atoms_and_pairs() -> None:
    table, atoms = table_model(), slab()
    whole = evaluate(table_calculator(table), atoms)["energies"]
    part = replace(table, atom_exclude=(1,), pair_exclude=())
    r = evaluate(table_calculator(part), atoms)
    h = atoms.symbols == "H"
    assert np.all(r["energies"][h] == 0.0)
    assert np.array_equal(r["energies"][~h], whole[~h])
    moved = atoms.copy()
    moved.positions[3, 1] += 1e-5  # an H
    assert atoms.symbols[3] == "H"
    up = evaluate(table_calculator(part), moved)["energy"]
    moved.positions[3, 1] -= 2e-5
    down = evaluate(table_calculator(part), moved)["energy"]
    assert abs((up - down) / 2e-5 + r["forces"][3, 1]) < 1e-7 * np.abs(r["forces"]).max()
    alone = replace(table, pair_exclude=tuple((a, b) for a in range(3) for b in range(a, 3)))
    assert np.all(evaluate(table_calculator(alone), atoms)["forces"] == 0.0)


@pytest.mark.parametrize("without", [(), (1,)])
@pytest.mark.usefixtures("isa")
def test_a_table_leaves_the_farthest_out(without: tuple[int, ...]) -> None:
    table, atoms = replace(table_model(), sel=np.array([9]), atom_exclude=without), slab()
    model = replace(read_deepmd(model_file("linear")), model=table)
    expected = reference.deepmd(*inputs(atoms, model))
    with pytest.warns(MDKernWarning, match="the farthest are left out"):
        got = evaluate(table_calculator(table), atoms)
    assert np.abs(got["energies"] - expected.energies).max() < 1e-12
    assert np.abs(got["forces"] - expected.forces).max() < 1e-11
    assert np.abs(got["virial"] - expected.virial).max() < 1e-10
    whole = evaluate(table_calculator(table_model()), atoms)["energies"]
    assert np.abs(got["energies"] - whole).max() > 1e-6


def test_closer_than_the_table() -> None:
    table = replace(table_model(), r_min=0.9)
    pair = Atoms("OH", [[0, 0, 0], [0.8, 0, 0]])
    with pytest.raises(NonFiniteError):
        table_calculator(table).calculate(pair)
    pair.positions[1, 0] = 1.0
    assert evaluate(table_calculator(table), pair)["energy"] != 0.0


# --- what is refused ------------------------------------------------------------------------------


def test_padding_that_depends_on_the_order_of_atoms() -> None:
    """Means other than zero, where empty slots would have the type of the frame's first atom."""
    whole = read_deepmd(model_file("dpa1_concat"))
    assert isinstance(whole.model, StandardModel)
    assert isinstance(whole.model.descriptor, Dpa1)
    d = replace(whole.model.descriptor, davg=np.full((3, 4), [0.1, 0, 0, 0]))
    with pytest.raises(UnsupportedError, match=r"davg.*concat"):
        fields_of(replace(whole, model=replace(whole.model, descriptor=d)))
