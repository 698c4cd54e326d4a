"""D3: the contract, s-dftd3's numbers, coordination numbers, functionals, messages."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import read
from ase.units import Bohr
from contracts import PotentialContract, evaluate

import mdkern
from mdkern import _core, potentials, reference
from mdkern.calculators import D3, LennardJones
from mdkern.potentials.d3_parameters import damping_parameters, tables
from mdkern.reference import Result

SHORT = {"cutoff": 6.0, "cn_cutoff": 5.0}
SMOOTH = {**SHORT, "width": 1.5, "cn_width": 1.0}
ABC = {"abc_cutoff": 4.5, "abc_width": 0.7}


def definition(damping: str, parameters: dict[str, float], **ranges: float) -> Any:
    def result(atoms: Atoms) -> Result:
        place = (atoms.positions, atoms.cell.array, atoms.pbc, atoms.numbers)
        return reference.d3(*place, damping, parameters, **ranges)

    return staticmethod(result)


class Contract(PotentialContract):
    reach = 3.05  # cn_cutoff, cutoff, cn_cutoff
    accuracy = 1e-11
    listed = 40_000


class TestCut(Contract):
    symbols = ("O", "H")
    make = staticmethod(lambda **kw: D3("pbe", **SHORT, **kw))
    reference = definition("bj", damping_parameters("pbe", "bj", None, 0.0), **SHORT)
    continuous = "nothing"


class TestSmooth(Contract):
    symbols = ("C", "Cl", "Cu")
    make = staticmethod(lambda **kw: D3("r2scan", **SMOOTH, **kw))
    reference = definition("bj", damping_parameters("r2scan", "bj", None, 0.0), **SMOOTH)
    continuous = "forces"
    cutoffs = (5.0, 6.0)


class TestZero(Contract):
    symbols = ("Si", "O")
    make = staticmethod(lambda **kw: D3("pbe", "zero", **SMOOTH, **kw))
    reference = definition("zero", damping_parameters("pbe", "zero", None, 0.0), **SMOOTH)
    continuous = "forces"
    cutoffs = (5.0, 6.0)


class TestTriangles(Contract):
    symbols = ("N", "Ga")
    listed = 15_000
    make = staticmethod(lambda **kw: D3("pbe", "zerom", abc=True, **SMOOTH, **ABC, **kw))
    reference = definition("zerom", damping_parameters("pbe", "zerom", None, 1.0), **SMOOTH, **ABC)
    continuous = "forces"
    cutoffs = (4.5, 5.0, 6.0)


# --- numbers of s-dftd3 -------------------------------------------------------------------------

SHARED = Path(os.environ.get("MDKERN_TEST_DATA", "")) / "d3"
OWN = Path(__file__).parent / "data" / "d3"


def assert_close(calc: Any, atoms: Atoms, stored: dict[str, Any]) -> None:
    got = evaluate(calc, atoms)
    n = len(atoms)
    assert abs(got["energy"] - stored["energy"]) <= 2e-10 * n
    assert np.abs(got["energies"] - stored["energies"]).max() <= 2e-10
    for key, value in (("forces", got["forces"]), ("virial", -got["virial"])):
        limit = 1e-10 + 2e-9 * np.abs(stored[key]).max()
        assert np.abs(value - stored[key]).max() <= limit


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data")
@pytest.mark.usefixtures("isa")
def test_agrees_with_sdftd3_on_all_cases() -> None:
    frames = read(SHARED / "structures.extxyz", ":")
    for case in json.loads((SHARED / "cases.json").read_text()):
        calc = D3(**case["kwargs"], skin=0.0)
        assert calc.potential.parameters == case["parameters"]
        with np.load(SHARED / f"{case['name']}.npz") as stored:
            for k in case["frames"]:
                keys = ("energy", "energies", "forces", "virial")
                assert_close(calc, frames[k], {key: stored[f"{k}_{key}"] for key in keys})


CASES = json.loads((OWN / "sdftd3.json").read_text())


@pytest.mark.quick
@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['name']}")
@pytest.mark.usefixtures("isa")
def test_agrees_with_sdftd3(case: dict[str, Any]) -> None:
    atoms = Atoms(case["symbols"], case["positions"], cell=case["cell"], pbc=case["pbc"])
    got = evaluate(D3(**case["kwargs"]), atoms)
    forces = np.array(case["forces"])
    assert abs(got["energy"] - case["energy"]) <= 1e-9 * len(atoms)
    assert np.abs(got["forces"] - forces).max() <= 1e-10 + 2e-9 * np.abs(forces).max()


# --- pieces -------------------------------------------------------------------------------------


def test_coordination_numbers_by_hand() -> None:
    """Of two atoms, and of a chain, whose images count."""
    t = tables()
    x = (t.rcov[8] + t.rcov[1]) * Bohr / 0.96
    cn = reference.d3_coordination([[0, 0, 0], [0.96, 0, 0]], np.zeros((3, 3)), [0] * 3, [8, 1])
    assert np.abs(cn - 1 / (1 + np.exp(-16 * (x - 1)))).max() <= 1e-15
    chain = reference.d3_coordination(
        [[0, 0, 0]], np.diag([1.4, 20, 20]), [True, False, False], [6], cn_cutoff=2.0
    )
    x = 2 * t.rcov[6] * Bohr / 1.4
    assert abs(chain[0] - 2 / (1 + np.exp(-16 * (x - 1)))) <= 1e-15


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data")
def test_coordination_numbers_of_sdftd3() -> None:
    frames = read(SHARED / "structures.extxyz", ":")
    with np.load(SHARED / "pbe_bj.npz") as stored:
        for k, atoms in enumerate(frames):
            place = (atoms.positions, atoms.cell.array, atoms.pbc, atoms.numbers)
            assert np.abs(reference.d3_coordination(*place) - stored[f"{k}_cn"]).max() <= 2e-10


def test_slope_by_the_coordination_number() -> None:
    """D_i = dE/dCN_i of pairs and triangles, which forces are made of, against differences."""
    module = importlib.import_module("mdkern.reference.d3")
    atoms = molecule("CH3CONH2")
    parameters = damping_parameters("pbe", "bj", None, 1.0)
    place = (atoms.positions, np.zeros((3, 3)), [False] * 3, atoms.numbers)
    pairs = module._bohr(reference.pairs.pair_list(*place, 20.0))

    def sums(cn: Any) -> Any:
        weights = module._weights(cn, atoms.numbers)
        two = module._two_body(pairs, weights, "bj", parameters, 60.0, 0.0)
        return module._Triangles(weights, parameters, 40.0, 0.0).add(two, pairs)

    cn, h = reference.d3_coordination(*place), 1e-4
    slope = sums(cn).by_cn
    for i in range(len(atoms)):
        step = h * np.eye(len(atoms))[i]
        up, down = sums(cn + step).energies.sum(), sums(cn - step).energies.sum()
        assert abs((up - down) / (2 * h) - slope[i]) <= 1e-7 * np.abs(slope).max()


@pytest.mark.usefixtures("isa")
def test_far_from_every_reference() -> None:
    """Crushed hydrogen has a coordination number that no reference has: the nearest one counts alone."""
    atoms = bulk("Cu", "fcc", a=0.8)
    atoms.symbols = "H"
    place = (atoms.positions, atoms.cell.array, atoms.pbc, atoms.numbers)
    assert reference.d3_coordination(*place, cn_cutoff=6.0)[0] > 13
    parameters = damping_parameters("pbe", "bj", None, 0.0)
    expected = reference.d3(*place, "bj", parameters, **SHORT)
    got = evaluate(D3("pbe", **SHORT), atoms)
    assert np.isfinite(got["energy"])
    assert abs(got["energy"] - expected.energy) <= 1e-12 * abs(expected.energy)


@pytest.mark.usefixtures("isa")
def test_alone_and_far_apart() -> None:
    assert evaluate(D3("pbe"), Atoms("Ar"))["energy"] == 0.0
    pair = Atoms("Ar2", [[0, 0, 0], [60 * Bohr + 0.01, 0, 0]])
    got = evaluate(D3("pbe"), pair)
    assert got["energy"] == 0.0
    assert not got["forces"].any()
    images = evaluate(D3("pbe", cutoff=20.0, cn_cutoff=20.0), bulk("Ar", "fcc", a=5.3))
    assert images["energy"] < -0.05
    assert np.abs(images["forces"]).max() <= 1e-15


def test_the_cutoff_itself_is_inside() -> None:
    pair = Atoms("Ar2", [[0, 0, 0], [8.0, 0, 0]])
    assert evaluate(D3("pbe", cutoff=8.0), pair)["energy"] < 0.0
    assert evaluate(D3("pbe", cutoff=np.nextafter(8.0, 0)), pair)["energy"] == 0.0


def test_smooth_to_the_second_derivative() -> None:
    """At the beginning and the end of the width, of a pair: differences of h in r change with h^3."""
    calc = D3("pbe", cutoff=9.0, width=2.0)

    def curvature(r: float, h: float) -> float:
        energies = [
            evaluate(calc, Atoms("Xe2", [[0, 0, 0], [r + k * h, 0, 0]]))["energy"]
            for k in (-1, 0, 1)
        ]
        return (energies[0] - 2 * energies[1] + energies[2]) / h**2

    for edge in (7.0, 9.0):
        steps = [abs(curvature(edge + h, h) - curvature(edge - h, h)) for h in (0.004, 0.002)]
        assert steps[1] <= 0.6 * steps[0]
        assert steps[1] <= 0.1 * abs(curvature(8.0, 0.002))


@pytest.mark.usefixtures("isa")
def test_half_of_a_pair_and_a_third_of_a_triangle() -> None:
    trimer = Atoms("Kr3", [[0, 0, 0], [3.8, 0, 0], [0.4, 4.1, 0]])
    two, three = (evaluate(D3("pbe", abc=abc), trimer)["energies"] for abc in (False, True))
    assert np.ptp(three - two) <= 1e-15
    pairs = [evaluate(D3("pbe"), trimer[[a, b]])["energy"] for a, b in ((0, 1), (0, 2), (1, 2))]
    # Krypton has one reference: pairs do not know of the third atom.
    assert abs(two[0] - (pairs[0] + pairs[1]) / 2) <= 1e-14
    assert abs(two.sum() - sum(pairs)) <= 1e-14


@pytest.mark.usefixtures("isa")
def test_a_table_with_a_longer_list_and_many_species() -> None:
    """Potentials that share a table have the longest cutoff of all; elements of a column may be few."""
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True) * 2
    atoms.numbers = 1 + np.random.default_rng(1).permutation(len(atoms)) % 103
    atoms.rattle(0.1, seed=2)
    calc = D3("pbe", **SHORT)
    expected = evaluate(calc, atoms)
    for cutoff, listed in ((6.0, True), (11.0, True), (11.0, False)):
        table = _core.NeighborTable(cutoff, 0.3, list_cutoff=cutoff if listed else 0.0)
        kinds = calc.species_map(atoms.numbers)
        table.update(atoms.positions, atoms.cell.array, atoms.pbc, kinds, 1)
        got = calc.potential.compute(table)
        assert abs(got.energy - expected["energy"]) <= 1e-11
        assert np.abs(got.forces - expected["forces"]).max() <= 1e-11


def test_no_list_is_made() -> None:
    atoms = bulk("Ar", "fcc", a=5.3, cubic=True) * 2
    calc = D3("pbe")
    atoms.calc = calc
    atoms.get_potential_energy()
    assert calc._table.n_listed == 0
    lj = LennardJones(epsilon=0.01, sigma=3.4, rc=6.0)
    evaluate(lj, atoms)
    assert lj._table.n_listed > 0


@pytest.mark.usefixtures("isa")
def test_rows_that_leave_their_columns() -> None:
    """Within a skin, however wide, atoms may come far: they are found where they are."""
    rng = np.random.default_rng(3)
    atoms = bulk("Cu", "fcc", a=3.8, cubic=True) * 2
    calc = D3("pbe", **SHORT, skin=4.0)
    for size in (0.0, 0.1, 0.3, 0.6, 0.9):
        atoms.positions += rng.uniform(-size, size, atoms.positions.shape)
        got, expected = evaluate(calc, atoms), evaluate(D3("pbe", **SHORT), atoms)
        assert abs(got["energy"] - expected["energy"]) <= 1e-12 * len(atoms)
        assert np.abs(got["forces"] - expected["forces"]).max() <= 1e-12
    assert calc.n_builds == 1


# --- parameters ---------------------------------------------------------------------------------


def test_names_of_functionals_and_dampings() -> None:
    one = D3("b3lyp").potential
    for name in ("B3-LYP", "b3_lyp", "B3LYP5"):
        assert D3(name).potential.parameters == one.parameters
    assert D3(xc="b3lyp", cnthr=9.0).potential._ranges["cn_cutoff"] == 9.0
    for name, damping in (("d3bj", "bj"), ("D3(BJ)", "bj"), ("d3mbj", "bjm"), ("d3mzero", "zerom")):
        assert D3("pbe", name).potential.damping == damping
    assert D3("pbe", params={"s8": 0.5}).potential.parameters["s8"] == 0.5
    assert D3("pbe", "zero", params={"sr6": 1.3}).potential.parameters["rs6"] == 1.3
    assert D3("pbe").potential.parameters["s9"] == 0.0
    assert D3("pbe", abc=True).potential.parameters["s9"] == 1.0
    assert D3("pbe", abc=True, params={"s9": 0.7}).potential.parameters["s9"] == 0.7


def test_arguments_of_dftd3_ase() -> None:
    own = {"s8": 0.7875, "a1": 0.4289, "a2": 4.4407}
    calc = D3(damping="d3bj", params_tweaks=own, realspace_cutoff={"disp2": 9, "disp3": 5, "cn": 7})
    same = D3("pbe", abc=True, cutoff=9, abc_cutoff=5, cn_cutoff=7)
    atoms = molecule("C6H6")
    assert evaluate(calc, atoms)["energy"] == evaluate(same, atoms)["energy"]


def test_every_functional_is_finite() -> None:
    from mdkern.potentials.d3_parameters import _functionals

    atoms = molecule("CH3OH")
    found, _ = _functionals()
    assert len(found) == 171
    elements = ["C", "O", "H"]
    for name, dampings in found.items():
        for damping in dampings:
            got = evaluate(D3(name, damping, elements=elements, **SHORT), atoms)
            assert np.isfinite(got["forces"]).all()
            assert abs(got["energy"]) < 1.0


def test_elements_and_cutoff() -> None:
    calc = D3("pbe")
    assert calc.cutoff == 60 * Bohr
    assert len(calc.species or ()) == 103
    assert D3("pbe", cutoff=5.0, cn_cutoff=5.0).cutoff == 5.0
    assert D3("pbe", cutoff=5.0, cn_cutoff=5.0, abc=True, abc_cutoff=8.0).cutoff == 8.0
    few = D3("pbe", elements=["H", "O"])
    water = molecule("H2O")
    assert evaluate(few, water)["energy"] == evaluate(calc, water)["energy"]
    with pytest.raises(ValueError, match="atom 1 is Rf; the potential has H, He"):
        evaluate(calc, Atoms("HRf", [[0, 0, 0], [0, 0, 2]]))
    last = evaluate(calc, Atoms("Lr2", [[0, 0, 0], [0, 0, 3.5]]))
    assert -1.0 < last["energy"] < 0.0


def test_atoms_on_top_of_each_other() -> None:
    for damping in ("bj", "zero"):
        with pytest.raises(mdkern.calculators.base.NonFiniteError, match="overlap"):
            evaluate(D3("pbe", damping), Atoms("O2", [[0, 0, 0], [0, 0, 0]]))


BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "params: no s8, a1, a2; expected a method"),
    ({"damping": "zero", "params": {"s8": 1.0}}, "params: no rs6"),
    ({"method": "pbx"}, "method: 'pbx'; near it: pbe.*expected one of b1b95, "),
    ({"method": 3}, "method: 3; "),
    ({"method": "pbe", "damping": "op"}, "damping: 'op'; expected one of bj, zero, bjm, zerom"),
    ({"method": "m06", "damping": "bj"}, "m06 has no parameters for damping 'bj'; .* zero"),
    ({"method": "pbe", "params": {"a3": 1.0}}, "params: 'a3' is no parameter of 'bj'; expected s6"),
    ({"method": "pbe", "params": {"rs6": 1.0}}, "'rs6' is no parameter of 'bj'"),
    ({"method": "pbe", "params": {"s8": np.nan}}, r"params\['s8'\]: nan"),
    ({"method": "pbe", "params": {"s8": "1"}}, r"params\['s8'\]: '1'"),
    ({"method": "pbe", "params": 3}, "params: 3; expected a dict"),
    ({"method": "pbe", "params": {1: 3.0}}, "params: 1 is no parameter"),
    (
        {"method": "pbe", "damping": "zero", "params": {"rs6": 1.0, "sr6": 1.0}},
        "params: rs6 is given twice",
    ),
    ({"method": "pbe", "damping": "zero", "params": {"rs6": 0.0}}, r"params\['rs6'\]: 0.0"),
    ({"method": "pbe", "cutoff": -1.0}, "cutoff: -1.0; expected a positive"),
    ({"method": "pbe", "cutoff": 5.0, "width": 6.0}, "width: 6.0; expected at most its cutoff, 5"),
    ({"method": "pbe", "cn_width": -1.0}, "cn_width: -1.0"),
    ({"method": "pbe", "abc": "yes"}, "abc: 'yes'; expected True or False"),
    ({"method": "pbe", "xc": "pbe"}, "xc and method: both given"),
    ({"method": "pbe", "realspace_cutoff": {"disp": 3}}, "realspace_cutoff: .*expected a dict"),
    ({"params": {}, "params_tweaks": {}}, "params_tweaks and params: both given"),
    ({"method": "pbe", "precision": "single"}, "D3 is offered in 'double' only"),
    ({"method": "pbe", "elements": ["Rf"]}, "elements: 'Rf'; expected elements up to Lr"),
    ({"method": "pbe", "elements": []}, "elements: .*expected a list"),
]


@pytest.mark.parametrize("build", [D3, potentials.D3])
@pytest.mark.parametrize(("kwargs", "text"), BAD)
def test_bad_parameters(kwargs: dict[str, Any], text: str, build: Any) -> None:
    with pytest.raises(ValueError, match=text):
        build(**kwargs)


BAD_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"damping": "op"}, "damping is 'op'; expected 'bj' or 'zero'"),
    ({"width": 7.0}, "width is 7.0*; expected 0 to its cutoff"),
    ({"first": np.array([0, 2, 2], np.int32)}, "first: expected the first reference"),
    ({"first": np.array([0, -5, 5], np.int32)}, "first: expected the first reference"),
    ({"first": np.array([0, 2**31 - 1, 5], np.int32)}, "first: expected the first reference"),
    ({"c6": np.zeros((5, 4))}, "c6: shape"),
    ({"alp": 0.0}, "alp"),
]


@pytest.mark.parametrize(("changed", "text"), BAD_FIELDS)
def test_bad_fields(changed: dict[str, Any], text: str) -> None:
    """A model file may hold anything."""
    fields = D3("pbe", elements=["H", "O"], **SHORT).potential.core_fields()
    assert fields["first"].tolist() == [0, 2, 5]
    with pytest.raises(ValueError, match=text):
        _core.Potential({**fields, **changed})


def test_the_licence_of_the_tables_is_there() -> None:
    folder = Path(potentials.d3_parameters.__file__).parent / "d3_tables"
    assert "Apache License" in (folder / "LICENSE-APACHE-2.0.txt").read_text()
    notice = (folder / "NOTICE").read_text()
    assert "tad-dftd3" in notice
    assert "tad-mctc" in notice
