"""Tersoff and its variants: the contract, LAMMPS's numbers, ASE, bonds without neighbors, messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from contracts import PotentialContract, ThreadsUnderSanitizers, evaluate
from reference_data import OWN, all_cases, case_id

import mdkern
from mdkern import reference
from mdkern.calculators import StillingerWeber, Tersoff
from mdkern.io.tersoff import read_tersoff, tersoff_model
from mdkern.md import VelocityVerlet
from mdkern.reference import Result

FILES = {
    name: str(OWN / name)
    for name in (
        "toy_Si.tersoff",
        "toy_SiC.tersoff",
        "toy_SiC.tersoff.mod",
        "toy_Si.tersoff.modc",
        "toy_SiC.tersoff.zbl",
    )
}
PLAIN, TWO, MOD, MODC, ZBL = FILES.values()


def definition(path: str, atoms: Atoms) -> Result:
    model = tersoff_model(read_tersoff(path))
    kinds = np.array([model.species.index(s) for s in atoms.get_chemical_symbols()], dtype=int)
    return reference.tersoff(atoms.positions, atoms.cell.array, atoms.pbc, kinds, model)


def cutoffs(path: str) -> tuple[float, ...]:
    """All distances where something begins or ends: those of the pairs and of the triplets."""
    model = tersoff_model(read_tersoff(path))
    tables = (model.pair, model.triplet)
    ends = [(t["R"] + s * t["D"]).ravel() for t in tables for s in (1, -1)]
    return tuple(np.unique(np.concatenate(ends)))


class Bonds(PotentialContract):
    continuous = "forces"
    listed = 23_000
    a = 3.8
    reach = 3.1  # a bond of a neighbor, and what is around its other end


class TestOneElement(ThreadsUnderSanitizers, Bonds):
    symbols = ("Si",)
    make = staticmethod(lambda **kw: Tersoff(PLAIN, **kw))
    reference = staticmethod(lambda atoms: definition(PLAIN, atoms))
    cutoffs = cutoffs(PLAIN)


class TestTwoElements(Bonds):
    symbols = ("Si", "C")
    make = staticmethod(lambda **kw: Tersoff(TWO, **kw))
    reference = staticmethod(lambda atoms: definition(TWO, atoms))
    cutoffs = cutoffs(TWO)
    jump = (
        1e-3  # with n = 0.7 forces go to zero as the distance from the cutoff to the power of 0.4
    )


class TestModified(Bonds):
    symbols = ("Si", "C")
    make = staticmethod(lambda **kw: Tersoff(MOD, **kw))
    reference = staticmethod(lambda atoms: definition(MOD, atoms))
    cutoffs = cutoffs(MOD)


class TestModifiedC(Bonds):
    symbols = ("Si",)
    make = staticmethod(lambda **kw: Tersoff(MODC, **kw))
    reference = staticmethod(lambda atoms: definition(MODC, atoms))
    cutoffs = cutoffs(MODC)


class TestZBL(Bonds):
    """The rest of the repulsion at the cutoff is small, and jumps; forces as above."""

    symbols = ("Si", "C")
    make = staticmethod(lambda **kw: Tersoff(ZBL, **kw))
    reference = staticmethod(lambda atoms: definition(ZBL, atoms))
    cutoffs = cutoffs(ZBL)
    jump = 1e-3


@pytest.mark.parametrize(
    ("_name", "kwargs", "_tag", "atoms", "stored"), all_cases("tersoff_"), ids=case_id
)
@pytest.mark.usefixtures("isa")
def test_agrees_with_lammps(
    _name: str, kwargs: dict[str, Any], _tag: str, atoms: Atoms, stored: dict[str, Any]
) -> None:
    got = evaluate(Tersoff(**kwargs), atoms)
    forces = stored["forces"]
    assert abs(got["energy"] - stored["energy"]) <= 1e-10 * len(atoms)
    assert np.abs(got["energies"] - stored["energies"]).max() <= 1e-10
    assert np.abs(got["forces"] - forces).max() <= 1e-9 * (1 + np.abs(forces).max())
    if "stress" in stored:
        assert np.abs(got["stress"] - stored["stress"]).max() <= 1e-11


@pytest.mark.parametrize("path", [PLAIN, TWO])
def test_agrees_with_ase(path: str) -> None:
    of_ase = pytest.importorskip("ase.calculators.tersoff", reason="needs ASE 3.25")
    atoms = bulk("Si", "diamond", a=5.0, cubic=True)
    if path == TWO:
        atoms.symbols[4:] = "C"
    atoms.rattle(0.15, seed=4)
    # ASE's Tersoff has no images of its own.
    big = atoms * 2
    mine, theirs = evaluate(Tersoff(path), big), of_ase.Tersoff.from_lammps(path)
    big.calc = theirs
    assert abs(big.get_potential_energy() - mine["energy"]) <= 1e-10 * len(big)
    assert np.abs(big.get_forces() - mine["forces"]).max() <= 1e-9


@pytest.mark.parametrize("name", FILES)
@pytest.mark.usefixtures("isa")
def test_bonds_without_other_neighbors(name: str) -> None:
    """b is one where zeta is zero, and its derivative finite; the same where it is almost zero."""
    calc = Tersoff(FILES[name])
    pair = Atoms("Si2", [[0, 0, 0], [0, 0, 2.3]])
    got, expected = evaluate(calc, pair), definition(FILES[name], pair)
    assert np.isfinite(got["forces"]).all()
    assert np.abs(got["forces"] - expected.forces).max() <= 1e-12 * np.abs(expected.forces).max()
    model = calc.potential.model
    k = model.species.index("Si")
    end = model.triplet["R"][k, k, k] + model.triplet["D"][k, k, k]
    for gap in (1e-3, 1e-6, 1e-9, 1e-12, 0.0, -1e-9):
        three = Atoms("Si3", [[0, 0, 0], [0, 0, 2.3], [0.6 * (end - gap), 0.8 * (end - gap), 0]])
        got, expected = evaluate(calc, three), definition(FILES[name], three)
        assert np.isfinite(got["forces"]).all()
        scale = np.abs(expected.forces).max()
        assert np.abs(got["forces"] - expected.forces).max() <= 1e-9 * scale
        assert abs(got["energy"] - expected.energy) <= 1e-11 * abs(expected.energy)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.usefixtures("isa")
def test_many_neighbors(name: str) -> None:
    """More pairs of neighbors than are kept between the passes; images of an atom are its neighbors."""
    atoms = bulk("Si", "fcc", a=2.7, cubic=True) * (2, 1, 1)
    if "SiC" in name:
        atoms.symbols[::3] = "C"
    atoms.rattle(0.02, seed=3)
    got, expected = evaluate(Tersoff(FILES[name]), atoms), definition(FILES[name], atoms)
    scale = np.abs(expected.forces).max() + np.abs(expected.energies).max()
    assert np.abs(got["forces"] - expected.forces).max() <= 1e-11 * scale
    assert np.abs(got["energies"] - expected.energies).max() <= 1e-11 * scale
    assert np.abs(got["virial"] - expected.virial).max() <= 1e-10 * scale


@pytest.mark.usefixtures("isa")
def test_a_cutoff_that_is_a_step(tmp_path: Path) -> None:
    words = Path(PLAIN).read_text().split("\n", 1)[1].split()
    words[14] = "0"
    path = tmp_path / "step.tersoff"
    path.write_text(" ".join(words))
    atoms = bulk("Si", "diamond", a=5.0, cubic=True)
    atoms.rattle(0.2, seed=4)
    got, expected = evaluate(Tersoff(path), atoms), definition(str(path), atoms)
    assert np.abs(got["forces"] - expected.forces).max() <= 1e-11 * np.abs(expected.forces).max()


@pytest.mark.usefixtures("isa")
def test_exponentials_that_are_clipped(tmp_path: Path) -> None:
    """Neighbors at very different distances and a steep exponential: as in LAMMPS a constant beyond 69.0776."""
    words = Path(PLAIN).read_text().split("\n", 1)[1].split()
    for m, lam3 in (("3", "4.0"), ("1", "90.0")):
        words[3], words[5] = m, lam3
        path = tmp_path / "steep.tersoff"
        path.write_text(" ".join(words))
        atoms = Atoms("Si3", [[0, 0, 0], [0, 0, 2.5], [1.2, 0.3, 0]])
        got, expected = evaluate(Tersoff(path), atoms), definition(str(path), atoms)
        assert np.isfinite(got["forces"]).all()
        scale = np.abs(expected.forces).max()
        assert np.abs(got["forces"] - expected.forces).max() <= 1e-11 * scale
        assert abs(got["energy"] - expected.energy) <= 1e-11 * abs(expected.energy)


def test_a_switch_far_from_its_middle(tmp_path: Path) -> None:
    """Of tersoff/zbl: an exponential that would be infinite."""
    entries = read_tersoff(OWN / "toy_GaAs.tersoff.zbl").entries
    numbers = next(x for names, _, x in entries if set(names) == {"Ga"})
    path = tmp_path / "steep.tersoff.zbl"
    energies = []
    for steepness in ("300", "3000"):
        path.write_text(f"Ga Ga Ga {b' '.join(numbers[:-2]).decode()} 1.0 {steepness}")
        atoms = Atoms("Ga2", [[0, 0, 0], [0.5, 0.1, 0]])
        got = evaluate(Tersoff(path), atoms)
        assert np.isfinite(got["forces"]).all()
        energies.append(got["energy"])
    assert energies[0] == pytest.approx(energies[1], rel=1e-12)


def test_dynamics_keep_the_energy() -> None:
    atoms = bulk("SiC", "zincblende", a=4.6, cubic=True) * 2
    atoms.calc = Tersoff(TWO)
    atoms.rattle(0.02, seed=1)
    start = atoms.get_total_energy()
    VelocityVerlet(atoms, 0.2 * units.fs).run(300)
    assert abs(atoms.get_total_energy() - start) < 2e-3 * len(atoms)
    assert atoms.get_temperature() > 20


@pytest.mark.parametrize("name", ["toy_GaAs.tersoff.modc", "toy_GaAs.tersoff.zbl"])
def test_one_entry_of_two_by_the_order_of_the_atoms(name: str) -> None:
    """The caller's order, however rows are sorted: in dynamics as in a call, and with any number of threads."""
    calc = Tersoff(OWN / name)
    assert calc.potential.model.by_index
    atoms = bulk("GaAs", "zincblende", a=4.8, cubic=True) * 3
    atoms = atoms[np.random.default_rng(6).permutation(len(atoms))]
    atoms.rattle(0.03, seed=1)
    atoms.calc = calc
    start = atoms.get_total_energy()
    VelocityVerlet(atoms, 0.3 * units.fs).run(150)
    assert abs(atoms.get_total_energy() - start) < 1e-3 * len(atoms)
    for threads in (1, 3):
        got = evaluate(Tersoff(OWN / name, threads=threads), atoms)
        assert np.abs(got["forces"] - atoms.get_forces()).max() < 1e-11
        expected = definition(str(OWN / name), atoms)
        assert abs(got["energy"] - expected.energy) < 1e-10 * len(atoms)
    # The order does play a part.
    turned = atoms[::-1] if len(atoms) % 2 else atoms[[*range(1, len(atoms)), 0]]
    assert abs(evaluate(calc, turned)["energy"] - got["energy"]) > 1e-9


@pytest.mark.parametrize("name", FILES)
def test_export_gives_the_same_bits(name: str, tmp_path: Path) -> None:
    calc = Tersoff(FILES[name])
    calc.potential.export(tmp_path / "x.mdk")
    atoms = bulk("Si", "diamond", a=5.0, cubic=True) * 2
    atoms.rattle(0.1, seed=2)
    a, b = evaluate(calc, atoms), evaluate(mdkern.load(tmp_path / "x.mdk"), atoms)
    assert a["forces"].tobytes() == b["forces"].tobytes()
    assert a["energies"].tobytes() == b["energies"].tobytes()


def test_a_choice_of_elements() -> None:
    whole = Tersoff(TWO)
    one = Tersoff(whole.potential.source, elements=["C"])
    assert (whole.species, one.species) == (("Si", "C"), ("C",))
    atoms = bulk("C", "diamond", a=4.4, cubic=True)
    atoms.rattle(0.1, seed=2)
    a, b = evaluate(whole, atoms), evaluate(one, atoms)
    assert np.abs(a["forces"] - b["forces"]).max() < 1e-12 * np.abs(a["forces"]).max()
    assert one.cutoff < whole.cutoff


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"precision": "single"}, "precision: 'single'; Tersoff is offered in 'double' only"),
        ({"elements": ["Ge"]}, "elements: 'Ge' is not in .*toy_SiC.tersoff, which has Si, C"),
        ({"style": "sw"}, "style: 'sw'; expected one of tersoff, tersoff/mod"),
        ({"elements": [["C"]]}, "expected a list of different chemical symbols"),
    ],
)
def test_bad_arguments(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Tersoff(TWO, **kwargs)


def test_what_another_potential_has_read() -> None:
    source = Tersoff(TWO).potential.source
    assert Tersoff(source, elements=np.array(["C", "Si"]), style="tersoff").species == ("C", "Si")
    with pytest.raises(
        ValueError, match=r"toy_SiC.tersoff: style: 'tersoff'; expected tersoff/mod"
    ):
        Tersoff(source, style="tersoff/mod")
    with pytest.raises(ValueError, match=r"toy_SiC.tersoff: style: 'tersoff'; expected sw"):
        StillingerWeber(source)
    with pytest.raises(ValueError, match="style: 'sw'; expected tersoff or tersoff/mod"):
        Tersoff(StillingerWeber(OWN / "toy_GaAs.sw").potential.source)
