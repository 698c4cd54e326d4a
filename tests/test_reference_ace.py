"""The definition of ACE in NumPy: numbers of others, derivatives, symmetries, and what the parts of a model mean."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ace_data import (  # fmt: skip
    TINY,
    TINY_ACE,
    TINY_ACE_AS_YACE,
    TINY_GRACE,
    TINY_YACE,
    ace_file,
    ace_model,
    frames,
    model_file,
    names,
)
from ase import Atoms
from numpy.typing import NDArray

from mdkern.io.ace import AceModel, read_ace
from mdkern.reference.ace import ace, ace_functions
from mdkern.reference.ace_radial import embed, radial, smooth_step
from mdkern.reference.pairs import PairList, Result

pytestmark = pytest.mark.quick
STEP = 1e-5


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], AceModel]:
    def of(text: str) -> AceModel:
        path = tmp_path / "x"
        path.write_text(text)
        return read_ace(path)

    return of


def evaluate(model: AceModel, atoms: Atoms, tables: bool = True) -> Result:
    species = [model.elements.index(symbol) for symbol in atoms.symbols]
    return ace(atoms.positions, atoms.cell.array, atoms.pbc, species, model, tables)


def crystal(model: AceModel, seed: int = 4, n: int = 7) -> Atoms:
    """Some atoms, none of them near another, in an oblique cell smaller than the cutoff."""
    rng = np.random.default_rng(seed)
    points = np.argwhere(np.ones((2, 2, 2)))[:n] * 2.3 + rng.uniform(-0.25, 0.25, (n, 3))
    symbols = [model.elements[k % len(model.elements)] for k in range(n)]
    return Atoms(symbols, points, cell=[[4.6, 0, 0.3], [0.4, 4.7, 0], [0, -0.3, 4.8]], pbc=True)


def stress(result: Result, atoms: Atoms) -> NDArray[Any]:
    s = -result.virial / atoms.get_volume()
    return np.asarray([s[0, 0], s[1, 1], s[2, 2], s[1, 2], s[0, 2], s[0, 1]])


@pytest.mark.parametrize("name", names())
def test_numbers_of_the_format_s_own_evaluators(name: str) -> None:
    model = ace_model(model_file(name))
    seen = 0
    for atoms, stored in frames(name):
        got = evaluate(model, atoms)
        largest = np.abs(stored["forces"]).max()
        assert abs(got.energy - stored["energy"]) <= 1e-10 * len(atoms)
        assert np.abs(got.energies - stored["energies"]).max() <= 1e-10
        assert np.abs(got.forces - stored["forces"]).max() <= 1e-9 * (1 + largest)
        if "stress" in stored:
            assert np.abs(stress(got, atoms) - stored["stress"]).max() <= 1e-9
            seen += 1
    assert seen >= 3


@pytest.mark.parametrize("name", [name for name in names() if "inner_cutoff" not in name])
def test_tables_are_near_the_functions(name: str) -> None:
    """ChebLinear aside, which does not vanish at the cutoff: there the table is the definition."""
    model = ace_model(model_file(name))
    pairs = [k for k, bond in model.bonds.items() if bond.basis == "ChebLinear"]
    for atoms, stored in frames(name):
        if pairs and atoms.pbc.any():
            continue
        got = evaluate(model, atoms, tables=False)
        assert np.abs(got.energies - stored["energies"]).max() <= 1e-8
        assert np.abs(got.forces - stored["forces"]).max() <= 1e-6 * (1 + np.abs(stored["forces"]).max())  # fmt: skip


VARIANTS = {
    "yace": TINY_YACE,
    "distance": TINY_YACE.replace("type: density", "type: distance").replace("rcut_in: 1.1, dcut_in: 0.3", "rcut_in: 2.6, dcut_in: 1.2"),
    "zbl": re.sub("prehc: [0-9.]+", "prehc: 0.5", TINY_YACE).replace("type: density", "type: zbl").replace("dcut: 0.01", "dcut: 0.6").replace("rcut_in: 1.1, dcut_in: 0.3", "rcut_in: 2.3, dcut_in: 1.2"),
    "core": TINY_YACE.replace("rho_core_cutoff: 40, drho_core_cutoff: 5", "rho_core_cutoff: 1.5, drho_core_cutoff: 1.5"),
    "ace": TINY_ACE,
    "grace": TINY_GRACE,
}  # fmt: skip


@pytest.mark.parametrize("kind", VARIANTS)
@pytest.mark.parametrize("tables", [True, False])
def test_forces_and_virial_are_derivatives(read: Any, kind: str, tables: bool) -> None:
    model = read(VARIANTS[kind])
    if not tables:  # its jump at the cutoff has no derivative
        bonds = {k: replace(b, cutoff=1.5) if b.basis == "ChebLinear" else b for k, b in model.bonds.items()}  # fmt: skip
        model = replace(model, bonds=bonds)
    atoms = crystal(model)
    got = evaluate(model, atoms, tables)
    assert np.abs(got.forces).max() > 1e-2
    assert np.abs(got.forces.sum(axis=0)).max() < 1e-11

    def energy(positions: Any, cell: Any) -> float:
        moved = atoms.copy()
        moved.cell[:] = cell
        moved.positions = positions
        return evaluate(model, moved, tables).energy

    r, cell = atoms.positions, atoms.cell.array
    for a, x in ((0, 0), (1, 1), (3, 2), (6, 0)):
        step = np.zeros_like(r)
        step[a, x] = STEP
        slope = (energy(r + step, cell) - energy(r - step, cell)) / (2 * STEP)
        assert abs(slope + got.forces[a, x]) < 1e-6 * (1 + np.abs(got.forces).max())
    for x, y in ((0, 0), (0, 1), (2, 1)):
        strain = np.zeros((3, 3))
        strain[x, y] = strain[y, x] = STEP / (1 if x == y else 2)
        up, down = np.eye(3) + strain, np.eye(3) - strain
        slope = (energy(r @ up, cell @ up) - energy(r @ down, cell @ down)) / (2 * STEP)
        virial = (got.virial[x, y] + got.virial[y, x]) / 2
        assert abs(slope + virial) < 1e-5 * (1 + np.abs(got.virial).max())


@pytest.mark.parametrize("name", ["toy_AlNi.yace", "toy_zbl_SiOH.yace", "toy_grace_AlLi.yaml", "toy_Al.ace"])  # fmt: skip
def test_symmetries(name: str) -> None:
    """Rotations and reflections, permutations; half of the atoms in a cell that is twice as long."""
    model = ace_model(ace_file(name))
    atoms = crystal(model)
    got = evaluate(model, atoms)
    turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    for Q in (turn, -turn):
        turned = Atoms(atoms.symbols, atoms.positions @ Q, cell=atoms.cell.array @ Q, pbc=True)
        again = evaluate(model, turned)
        assert np.abs(again.energies - got.energies).max() < 1e-10
        assert np.abs(again.forces - got.forces @ Q).max() < 1e-9
    order = np.random.default_rng(1).permutation(len(atoms))
    again = evaluate(model, atoms[order])
    assert np.abs(again.forces - got.forces[order]).max() < 1e-11
    twice = evaluate(model, atoms.repeat((1, 2, 1)))
    assert abs(twice.energy - 2 * got.energy) < 1e-9
    assert np.abs(twice.virial - 2 * got.virial).max() < 1e-8


def test_the_cutoff(read: Any) -> None:
    for kind in ("yace", "grace", "ace"):
        model = read(TINY[kind])
        first = model.elements[0]
        rc = model.bonds[0, 0].cutoff
        alone = evaluate(model, Atoms([first], [[0, 0, 0]]))
        assert alone.energy == model.shift + model.e0[0]
        for r, same in ((rc + 1e-9, True), (rc - 0.2, False)):
            pair = evaluate(model, Atoms([first] * 2, [[0, 0, 0], [0, 0, r]]))
            assert bool(pair.energy == 2 * alone.energy) == same
            assert bool((pair.forces == 0).all()) == same


def test_ace_and_yace_of_the_same_content(read: Any) -> None:
    one, two = read(TINY_ACE), read(TINY_ACE_AS_YACE)
    atoms = crystal(one)
    a, b = evaluate(one, atoms), evaluate(two, atoms)
    assert a.energies.tobytes() == b.energies.tobytes()
    assert a.forces.tobytes() == b.forces.tobytes()


def test_numbers_of_grace(read: Any) -> None:
    """E = scale F + shift + E0, and nnorm on every A: once for rank 1, twice for rank 2."""
    atoms = crystal(read(TINY_GRACE))
    species = [0 if symbol == "Al" else 1 for symbol in atoms.symbols]
    e0 = np.array([0.5, -0.25])[species]
    full = evaluate(read(TINY_GRACE), atoms)
    bare = evaluate(read(re.sub(r"(?m)^(E0|shift|scale):.*\n", "", TINY_GRACE)), atoms)
    np.testing.assert_allclose(full.energies, 1.5 * bare.energies + 0.125 + e0, rtol=1e-13)
    np.testing.assert_allclose(full.forces, 1.5 * bare.forces, rtol=1e-11, atol=1e-13)
    model, unit = read(TINY_GRACE), read(TINY_GRACE.replace("nnorm: 0.05\n", ""))
    B, C = functions(model, atoms), functions(unit, atoms)
    ranks = [len(f.mus) for of_element in model.functions for f in of_element]
    np.testing.assert_allclose(B, C * 0.05 ** np.array(ranks), rtol=1e-12)


def test_order_of_elements(read: Any) -> None:
    """The same model with its elements the other way round."""
    text = (
        TINY_GRACE.replace("[Al, Li]", "[Li, Al]")
        .replace("[0.8, -0.3, 1.2, 0.4]", "[1.2, 0.4, 0.8, -0.3]")
        .replace("[0.5, -0.25]", "[-0.25, 0.5]")
    )
    text = re.sub("mu0: ([01])", lambda m: f"mu0: {1 - int(m[1])}", text)
    text = text.replace("  0:\n", "  x:\n").replace("  1:\n", "  0:\n").replace("  x:\n", "  1:\n")
    atoms = crystal(read(TINY_GRACE))
    a, b = evaluate(read(TINY_GRACE), atoms), evaluate(read(text), atoms)
    assert np.abs(a.energies - b.energies).max() < 1e-13
    assert np.abs(a.forces - b.forces).max() < 1e-13


def functions(model: AceModel, atoms: Atoms) -> NDArray[Any]:
    species = [model.elements.index(symbol) for symbol in atoms.symbols]
    return ace_functions(atoms.positions, atoms.cell.array, atoms.pbc, species, model)


@pytest.mark.parametrize("name", ["toy_AlNi.yace", "toy_grace_AlLi.yaml", "toy_Al.ace"])
def test_functions_sum_up_to_the_densities(name: str) -> None:
    """Their sum with the coefficients is the energy of a model with linear embeddings."""
    model = ace_model(ace_file(name))
    linear = tuple(replace(e, kind="FinnisSinclairShiftedScaled", exponents=np.ones_like(e.weights), rho_cut=1e9)
                   for e in model.embeddings)  # fmt: skip
    bonds = {key: replace(bond, prehc=0.0) for key, bond in model.bonds.items()}
    flat = replace(model, embeddings=linear, bonds=bonds, e0=0 * model.e0, shift=0.0, scale=1.0)
    atoms = crystal(model)
    B = functions(flat, atoms)
    weights: list[float] = []
    for e, of_element in zip(linear, model.functions, strict=True):
        for f in of_element:
            weights += e.weights.tolist() if model.kind == "ace" else [f.coefficients @ e.weights]
    assert B.shape == (len(atoms), len(weights))
    np.testing.assert_allclose(B @ weights, evaluate(flat, atoms).energies, rtol=1e-10, atol=1e-12)
    first = len(model.functions[0]) * (len(linear[0].weights) if model.kind == "ace" else 1)
    others = np.array([symbol != model.elements[0] for symbol in atoms.symbols])
    assert (B[others, :first] == 0).all()
    assert (B[~others, :first] != 0).any()


def test_duplicates_do_not_matter(read: Any) -> None:
    """A function twice is that function with twice its coefficients."""
    line = next(x for x in TINY_YACE.split("\n") if "rank: 3" in x)
    doubled = line.replace("[0.5, 0.2, -0.25, -0.1]", "[1.0, 0.4, -0.5, -0.2]")
    twice = read(TINY_YACE.replace(line, f"{line}\n{line}"))
    once = read(TINY_YACE.replace(line, doubled))
    atoms = crystal(once)
    assert np.abs(evaluate(twice, atoms).forces - evaluate(once, atoms).forces).max() < 1e-14


@pytest.mark.parametrize("kind", ["yace", "grace"])
def test_rank_1_alone(read: Any, kind: str) -> None:
    text = "\n".join(line for line in TINY[kind].split("\n") if not re.search("rank: [23]", line))
    model = read(text)
    atoms = crystal(model)
    got = evaluate(model, atoms)
    assert np.isfinite(got.forces).all()
    assert np.abs(got.forces).max() > 1e-3


def test_atoms_within_the_first_bin(read: Any) -> None:
    model = read(TINY_ACE)
    near = Atoms("Al2", [[0, 0, 0], [0, 0, 5e-4]])
    with pytest.raises(ValueError, match=r"atoms 0.0005 Angstrom apart; the tables begin at 0.001"):
        evaluate(model, near)


def test_no_functions_within_the_inner_cutoff(read: Any) -> None:
    """Whatever inner_cutoff_type is; with "density" they jump at rcut_in - dcut_in, here 0.8."""
    for kind in ("density", "distance"):
        model = read(TINY_YACE.replace("type: density", f"type: {kind}"))
        for r, none in ((0.79, True), (0.81, False)):
            near = Atoms("Si2", [[0, 0, 0], [0, 0, r]])
            assert (functions(model, near) == 0).all() == none


@pytest.mark.parametrize("kind", ["FinnisSinclair", "FinnisSinclairShiftedScaled"])
@pytest.mark.parametrize("m", [0.33, 0.5, 1.0, 1.5, 2.0, 3.0])
def test_embeddings(kind: str, m: float) -> None:
    """Odd, 0 at 0, |x|^m far from it; derivatives."""
    x = np.array([-20.0, -1.3, -0.2, -3e-6, -2e-7, 1e-7, 5e-6, 0.1, 0.9, 4.0, 30.0])
    f, df = embed(kind, x, m)
    step = 1e-6 * np.abs(x) if kind == "FinnisSinclair" else np.full_like(x, 1e-6)
    slope = (embed(kind, x + step, m)[0] - embed(kind, x - step, m)[0]) / (2 * step)
    np.testing.assert_allclose(df, slope, rtol=3e-6, atol=1e-9)
    np.testing.assert_allclose(embed(kind, -x, m)[0], -f, rtol=1e-14)
    assert embed(kind, np.zeros(1), m)[0] == 0
    assert abs(abs(f[-1]) - 30.0**m) < max(0.6, 1e-9 * 30.0**m)


def test_smooth_step() -> None:
    t = np.array([0.1, 1.0, 1.25, 1.5, 1.75, 2.0, 3.0])
    p, dp = smooth_step(t, 2.0, 1.0)
    assert p[[0, 1]].tolist() == [1, 1]
    assert p[[5, 6]].tolist() == [0, 0]
    assert p[3] == 0.5
    assert abs(p[2] + p[4] - 1) < 1e-15
    assert dp[[0, 1, 5, 6]].tolist() == [0, 0, 0, 0]
    assert abs(dp[3] + 1.875) < 1e-14
    step, flat = smooth_step(t, 2.0, 0.0)
    assert step.tolist() == [1, 1, 1, 1, 1, 0, 0]
    assert (flat == 0).all()


@pytest.mark.parametrize("basis", ["ChebExpCos", "ChebPow", "ChebLinear", "SBessel", "zero"])
def test_radial_functions(read: Any, basis: str) -> None:
    """Derivatives; smooth at the cutoff but for ChebLinear; the tables reach them there, and 0 at the end."""
    model = read(TINY_ACE_AS_YACE)
    bond = replace(model.bonds[0, 0], basis=basis)
    model = replace(model, bonds={(0, 0): bond})
    rc = bond.cutoff

    def at(r: NDArray[Any], tables: bool) -> Any:
        zero = np.zeros(len(r), int)
        return radial(model, PairList(1, zero, zero, zero, zero, np.zeros((len(r), 3)), r), tables)

    r = np.array([0.4, 1.1, 2.0, 3.2, 3.7, 3.97])
    for tables, error in ((False, 1e-7), (True, 1e-5)):
        got, up, down = at(r, tables), at(r + 1e-6, tables), at(r - 1e-6, tables)
        np.testing.assert_allclose(got.dg, (up.g - down.g) / 2e-6, rtol=error, atol=error)
        np.testing.assert_allclose(got.dR, (up.R - down.R) / 2e-6, rtol=error, atol=error)
        np.testing.assert_allclose(got.dh, (up.h - down.h) / 2e-6, rtol=error, atol=error)
    np.testing.assert_allclose(at(r, True).g, at(r, False).g, atol=1e-11)
    end = at(np.array([rc - 1e-5]), True)
    assert np.abs(end.g).max() < (0.05 if basis == "ChebLinear" else 1e-3)
    assert (np.abs(at(r, True).g).max() == 0) == (basis == "zero")
