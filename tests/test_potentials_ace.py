"""ACE and GRACE/FS: the contract, numbers of other codes, formats, descriptor, linear models."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ace_data import (
    TINY,
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
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from contracts import PotentialContract, evaluate, raw

import mdkern
from mdkern import _core, potentials, reference
from mdkern.bench.ace_models import random_grace, random_yace
from mdkern.calculators import ACE, LinearModel
from mdkern.calculators.base import NonFiniteError
from mdkern.descriptors import ACEDescriptor
from mdkern.errors import UnsupportedError
from mdkern.fitting import fit_linear
from mdkern.io.ace import AceModel, read_ace
from mdkern.potentials.ace import coupling_of


def inputs(atoms: Atoms, model: AceModel) -> tuple[Any, ...]:
    kinds = np.array([model.elements.index(x) for x in atoms.get_chemical_symbols()], dtype=int)
    return atoms.positions, atoms.cell.array, atoms.pbc, kinds, model


def defined(name: str, atoms: Atoms, tables: bool = True) -> reference.Result:
    return reference.ace(*inputs(atoms, ace_model(ace_file(name))), tables=tables)


class Model(PotentialContract):
    listed = 60_000
    # Our tables are within 2e-13 of each function, those of the format within 1e-11: slopes of the latter differ by some
    # 1e-9 from those of the functions.
    accuracy = 5e-9

    @pytest.fixture(autouse=True)
    def _room(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        """A ball of two cutoffs is to fit into the crystal."""
        if "definition_of_a_part" in request.node.name:
            monkeypatch.setattr(type(self), "listed", 150_000)


class TestAlloy(Model):
    """Bases, embeddings and numbers of densities differ by element; core repulsion that switches the expansion off."""

    symbols = ("Al", "Ni")
    make = staticmethod(lambda **kw: ACE(ace_model(ace_file("toy_AlNi.yace")), **kw))
    reference = staticmethod(lambda atoms: defined("toy_AlNi.yace", atoms))
    cutoffs = (5.0, 5.4, 5.8)

    def away_from_the_cutoff(self, name: str) -> Atoms:
        """ChebLinear falls to zero within the last bin of its table, where finite differences are no slopes."""
        atoms = super().away_from_the_cutoff(name)
        rng = np.random.default_rng(16)
        while True:
            d = mdkern.neighbor_list("d", atoms, max(self.cutoffs) + 0.1)
            if all((np.abs(d - rc) > 2e-3).all() for rc in self.cutoffs):
                return atoms
            atoms.positions += rng.normal(scale=0.01, size=atoms.positions.shape)


class TestRealHarmonics(Model):
    """GRACE/FS with two elements, four densities, ranks 1 to 4."""

    symbols = ("Al", "Li")
    continuous = "forces"
    make = staticmethod(lambda **kw: ACE(ace_model(ace_file("toy_grace_AlLi.yaml")), **kw))
    reference = staticmethod(lambda atoms: defined("toy_grace_AlLi.yaml", atoms, tables=False))
    accuracy = 1e-10


@pytest.mark.quick
@pytest.mark.parametrize("name", names())
@pytest.mark.usefixtures("isa")
def test_agrees_with_the_other_codes(name: str) -> None:
    calc = ACE(ace_model(model_file(name)))
    for atoms, stored in frames(name):
        got = evaluate(calc, atoms)
        forces = stored["forces"]
        assert abs(got["energy"] - stored["energy"]) <= 1e-10 * len(atoms)
        assert np.abs(got["energies"] - stored["energies"]).max() <= 2e-10
        assert np.abs(got["forces"] - forces).max() <= 5e-9 * (1 + np.abs(forces).max())
        if "stress" in stored and "stress" in got:
            assert np.abs(got["stress"] - stored["stress"]).max() <= 1e-9


def near(symbols: str, r: float) -> Atoms:
    third = [0.3, 1.9, 0.4]
    return Atoms(symbols, [[0, 0, 0], [r, 0, 0], third])


@pytest.mark.parametrize("r", [0.7, 0.95, 1.1, 1.3, 1.6])
@pytest.mark.parametrize("file", ["toy_zbl_SiOH.yace", "toy_inner_SiOH.yace"])
@pytest.mark.usefixtures("isa")
def test_within_the_inner_cutoff(file: str, r: float) -> None:
    """The nearest neighbor fades the expansion into the repulsion; forces are the slope."""
    calc = ACE(ace_model(ace_file(file)))
    atoms = near("SiOH", r)
    got, expected = evaluate(calc, atoms), defined(file, atoms)
    assert np.abs(got["energies"] - expected.energies).max() <= 1e-10 * (
        1 + np.abs(expected.energies).max()
    )
    assert np.abs(got["forces"] - expected.forces).max() <= 1e-9 * (
        1 + np.abs(expected.forces).max()
    )
    h = 1e-5
    slope = (evaluate(calc, near("SiOH", r + h))["energy"] - evaluate(calc, near("SiOH", r - h))["energy"]) / (2 * h)  # fmt: skip
    assert abs(slope + got["forces"][1, 0]) <= 1e-6 * (1 + abs(slope))


@pytest.mark.parametrize("text", sorted(TINY))
def test_small_files(text: str, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_text(TINY[text])
    model = read_ace(path)
    rng = np.random.default_rng(3)
    atoms = Atoms("X8", rng.uniform(0, 5.0, (8, 3)), cell=[5.2, 5.4, 5.6], pbc=True)
    atoms.symbols = [model.elements[k % len(model.elements)] for k in range(8)]
    atoms.positions[1:] = atoms.positions[0] + 1.6 * np.array(
        [[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)][1:]
    )
    got, expected = evaluate(ACE(path), atoms), reference.ace(*inputs(atoms, model))
    assert np.abs(got["energies"] - expected.energies).max() <= 1e-10
    assert np.abs(got["forces"] - expected.forces).max() <= 1e-9 * (
        1 + np.abs(expected.forces).max()
    )


@pytest.mark.parametrize("l_max", [0, 2, 4, 5, 6, 8])
@pytest.mark.usefixtures("isa")
def test_every_l_max(l_max: int, tmp_path: Path) -> None:
    """Loops over l are compiled for some of them, and once for all others."""
    small = {"n_base": 4, "cutoff": 4.2, "l_max": l_max}
    paths = [
        random_yace(tmp_path / "a.yace", n_max=2, rank3=30, rank4=10, **small),
        random_grace(
            tmp_path / "a.yaml",
            n_max=(3, 2, 2),
            rank3=4,
            densities=3,
            **{**small, "l_max": max(1, l_max)},
        ),
    ]
    atoms = (bulk("Cu", cubic=True) * 2)[:13]
    atoms.rattle(0.1, seed=1)
    for path in paths:
        got, expected = evaluate(ACE(path), atoms), reference.ace(*inputs(atoms, read_ace(path)))
        limit = np.abs(expected.energies).max()
        assert np.abs(got["energies"] - expected.energies).max() <= 1e-10 * limit
        forces = np.abs(expected.forces).max()
        assert np.abs(got["forces"] - expected.forces).max() <= 5e-9 * forces


def test_ace_and_yace_of_the_same_content_give_the_same_bits(tmp_path: Path) -> None:
    calcs = []
    for name, text in (("a", TINY["ace"]), ("b", TINY_ACE_AS_YACE)):
        (tmp_path / name).write_text(text)
        calcs.append(ACE(tmp_path / name))
    atoms = bulk("Al", cubic=True) * 2
    atoms.rattle(0.1, seed=1)
    one, two = (raw(evaluate(calc, atoms, True)) for calc in calcs)
    assert one == two


def test_order_of_elements_and_absent_ones(tmp_path: Path) -> None:
    """A model of two elements on one of them; keys that may be missing."""
    (tmp_path / "a.yaml").write_text(TINY_GRACE)
    short = TINY_GRACE.replace("nnorm: 0.05\n", "")
    for key in ("E0: [0.5, -0.25]\n", "shift: 0.125\n", "scale: 1.5\n"):
        short = short.replace(key, "")
    (tmp_path / "b.yaml").write_text(short)
    atoms = bulk("Li", "fcc", a=4.2, cubic=True)
    atoms.rattle(0.1, seed=2)
    for name in "ab":
        path = tmp_path / f"{name}.yaml"
        expected = reference.ace(*inputs(atoms, read_ace(path)))
        assert abs(evaluate(ACE(path), atoms)["energy"] - expected.energy) <= 1e-9


def test_bad_arguments(tmp_path: Path) -> None:
    path = ace_file("toy_AlNi.yace")
    with pytest.raises(ValueError, match="precision: 'single'; expected 'double'"):
        ACE(path, precision="single")
    with pytest.raises(ValueError, match="precision: 'single'; expected 'double'"):
        ACEDescriptor(path, precision="single")
    (tmp_path / "l").write_text(
        TINY_YACE.replace("lmax: 1, nradbasemax: 3", "lmax: 13, nradbasemax: 3")
    )
    with pytest.raises((UnsupportedError, ValueError)):
        ACE(tmp_path / "l")
    with pytest.raises(ValueError, match=r"atom 1 is Cu; the potential has Al, Ni"):
        evaluate(ACE(path), Atoms("AlCu", [[0, 0, 0], [2, 0, 0]]))


@pytest.mark.usefixtures("isa")
def test_atoms_that_overlap_are_an_error() -> None:
    """Nothing is defined within the first bin of the tables."""
    for r in (0.0, 0.0004):
        with pytest.raises(NonFiniteError, match="overlap"):
            evaluate(ACE(ace_file("toy_Al.ace")), Atoms("Al2", [[0, 0, 0], [r, 0, 0]]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.update(l_max=13), "l_max"),
        (lambda f: f.update(inner=3), "inner"),
        (lambda f: f.update(spline_bins=0.0), "spline_bins"),
        (lambda f: f.update(spline_bins=1e-9), "bins of tables"),
        (lambda f: f["pairs"].pop(), "pairs: 3; expected 4"),
        (lambda f: f["pairs"][1].update(cutoff=-1.0), "cutoff"),
        (lambda f: f["pairs"][1].update(basis=7), "basis"),
        (lambda f: f["centers"].pop(), "centers: 1; expected 2"),
        (lambda f: f["centers"][1].update(m=np.array([1.0, -0.5])), "m: -0.5"),
        (lambda f: f["centers"][0]["a"].__setitem__((0, 1), 99), "a: 99"),
        (lambda f: f["centers"][0]["a"].__setitem__((0, 0), 2), "a: 2"),
        (lambda f: f["centers"][0]["a"].__setitem__((0, 3), 40), "a: 40"),
        (lambda f: f["centers"][0]["terms"][0]["index"].__setitem__((0, 0), -1), "index: -1"),
        (lambda f: f["centers"][0]["rank1"].__setitem__((0, 1), 99), "rank1: 99"),
        (lambda f: f["centers"][0]["terms"][0]["c"].fill(np.inf), "terms: not finite"),
    ],
)
def test_what_the_kernel_counts_with_is_checked(change: Any, message: str) -> None:
    """Fields may come from a model file that nobody trusts."""
    potential = potentials.ACE(ace_model(ace_file("toy_AlNi.yace")))
    fields = pickle.loads(pickle.dumps(potential.core_fields()))
    _core.Potential(fields)
    change(fields)
    with pytest.raises((ValueError, UnsupportedError), match=message):
        _core.Potential(fields)


def test_energy_of_a_descriptor_is_refused() -> None:
    d = ACEDescriptor(ace_file("toy_grace_Si.yaml"))
    table = d._table(bulk("Si"))
    with pytest.raises(ValueError, match="expected its features"):
        d._kernel.compute(table, False, 1)
    with pytest.raises(ValueError, match="expected its energy"):
        potentials.ACE(d.model)._kernel.descriptors(table, 1)


# --- descriptor

FILES = ["toy_AlNi.yace", "toy_zbl_SiOH.yace", "toy_grace_AlLi.yaml"]


def mixture(d: ACEDescriptor, pbc: Any = True) -> Atoms:
    atoms = bulk("Al", "fcc", a=4.1, cubic=True)
    atoms.rattle(0.12, seed=4)
    atoms.symbols = [d.model.elements[k % len(d.species)] for k in range(len(atoms))]
    atoms.pbc = pbc
    return atoms


@pytest.mark.parametrize("file", FILES)
@pytest.mark.usefixtures("isa")
def test_functions_equal_the_definition(file: str) -> None:
    d = ACEDescriptor(ace_file(file))
    atoms = mixture(d)
    expected, at, columns = reference.ace_functions(*inputs(atoms, d.model)), 0, []
    for functions in d.model.functions:
        for f in functions:
            width = 1 if f.couplings.ndim == 1 else f.couplings.shape[1]
            same = [q for q in range(width) if width == 1 or np.array_equal(f.couplings[:, q], coupling_of(f))]  # fmt: skip
            columns.append(at + same[0])
            at += width
    got = d.create(atoms)
    assert got.shape == (len(atoms), d.get_number_of_features()) == (4, len(d.feature_names()))
    assert len(set(d.feature_names())) == d.n_features
    assert np.abs(got - expected[:, columns]).max() <= 1e-10 * np.abs(expected).max()
    assert np.array_equal(d.create([atoms], [[2]])[0], got[[2]])
    assert np.array_equal(d.create(atoms, threads=1), got)
    assert np.array_equal(pickle.loads(pickle.dumps(d)).create(atoms), got)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("pbc", [True, (True, False, True)])
def test_derivatives_are_the_slopes(file: str, pbc: Any) -> None:
    d = ACEDescriptor(ace_file(file))
    atoms = mixture(d, pbc)
    jacobian, values = d.derivatives(atoms)
    assert np.array_equal(values, d.create(atoms))
    h, size = 1e-5, np.abs(jacobian).max()
    for c in range(3):
        up, down = atoms.copy(), atoms.copy()
        up.positions[1, c] += h
        down.positions[1, c] -= h
        slope = (d.create(up) - d.create(down)) / (2 * h)
        assert np.abs(slope - jacobian[:, 1, c]).max() <= 1e-6 * size
    weights = np.random.default_rng(5).normal(size=values.shape)
    gradient, virial = d.vjp(atoms, weights)
    whole = np.einsum("cjxf,cf->jx", jacobian, weights)
    assert np.abs(gradient - whole).max() <= 1e-12 * np.abs(whole).max()
    values = []
    for e in (h, -h):
        strained = atoms.copy()
        strained.set_cell(atoms.cell.array @ (np.eye(3) + e * np.diag([0, 1, 0])), scale_atoms=True)
        values.append((d.create(strained) * weights).sum())
    assert abs((values[0] - values[1]) / (2 * h) + virial[1, 1]) <= 1e-6 * np.abs(virial).max()


@pytest.mark.parametrize("file", FILES)
def test_linear_model_of_the_functions(file: str, tmp_path: Path) -> None:
    d = ACEDescriptor(ace_file(file))
    atoms = mixture(d)
    rng = np.random.default_rng(6)
    weights = rng.normal(size=(len(d.species), d.n_features))
    intercepts = rng.normal(size=len(d.species))
    calc = LinearModel(d, weights, intercepts)
    kinds = np.array([d.species.index(z) for z in atoms.numbers])
    got = evaluate(calc, atoms)
    expected = (weights[kinds] * d.create(atoms)).sum(axis=1) + intercepts[kinds]
    # Functions of rank 1 are summed up before they become tables.
    assert np.abs(got["energies"] - expected).max() <= 1e-10 * np.abs(expected).max()
    gradient, virial = d.vjp(atoms, weights[kinds])
    assert np.abs(got["forces"] + gradient).max() <= 1e-8 * np.abs(gradient).max()
    assert np.abs(got["virial"] - virial).max() <= 1e-8 * np.abs(virial).max()
    with pytest.raises(UnsupportedError, match="expected export"):
        calc.potential.save(tmp_path / "model.npz")
    calc.potential.export(tmp_path / "model.mdk")
    assert raw(evaluate(mdkern.load(tmp_path / "model.mdk"), atoms)) == raw(got)


def test_fit_of_a_linear_model() -> None:
    """What a linear model made is found again."""
    d = ACEDescriptor(ace_file("toy_grace_Si.yaml"))
    true = np.random.default_rng(7).normal(size=d.n_features)
    made, frames_ = LinearModel(d, true, [0.7]), []
    for k in range(8):
        atoms = bulk("Si", cubic=True)
        atoms.rattle(0.15, seed=k)
        values = evaluate(made, atoms)
        atoms.calc = SinglePointCalculator(
            atoms, energy=values["energy"], forces=values["forces"], stress=values["stress"]
        )
        frames_.append(atoms)
    fit = fit_linear(frames_, d, alpha=1e-14)
    assert fit.train["energy"] < 1e-6
    assert fit.train["forces"] < 1e-5 * fit.train["force_spread"]
    assert fit.train["stress"] < 1e-6
