"""Stillinger-Weber: the contract, LAMMPS's numbers, what is special about it, messages."""

from __future__ import annotations

import warnings
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
from mdkern.calculators import StillingerWeber
from mdkern.errors import MDKernWarning
from mdkern.io.stillinger_weber import read_stillinger_weber, stillinger_weber_model
from mdkern.md import VelocityVerlet
from mdkern.reference import Result

# Published numbers: F. H. Stillinger and T. A. Weber, Phys. Rev. B 31, 5262 (1985).
SILICON = "Si Si Si 2.1683 2.0951 1.8 21.0 1.2 -0.333333333333 7.049556277 0.6022245584 4 0 0\n"
PAIR = str(OWN / "toy_GaAs.sw")


@pytest.fixture(scope="module")
def silicon(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("sw") / "Si.sw"
    path.write_text(SILICON)
    return str(path)


def definition(path: str, atoms: Atoms, elements: list[str] | None = None) -> Result:
    model = stillinger_weber_model(read_stillinger_weber(path), elements)
    kinds = np.array([model.species.index(s) for s in atoms.get_chemical_symbols()], dtype=int)
    return reference.stillinger_weber(atoms.positions, atoms.cell.array, atoms.pbc, kinds, model)


class Covalent(PotentialContract):
    continuous = "forces"
    listed = 60_000


class TestOneElement(ThreadsUnderSanitizers, Covalent):
    symbols = ("Ga",)
    a = 3.9
    make = staticmethod(lambda **kw: StillingerWeber(PAIR, elements=["Ga"], **kw))
    reference = staticmethod(lambda atoms: definition(PAIR, atoms, ["Ga"]))


class TestTwoElements(Covalent):
    """Powers that differ from pair to pair, parameters of triplets of their own."""

    symbols = ("As", "Ga")
    a = 3.9
    make = staticmethod(lambda **kw: StillingerWeber(PAIR, **kw))
    reference = staticmethod(lambda atoms: definition(PAIR, atoms))
    cutoffs = tuple(stillinger_weber_model(read_stillinger_weber(PAIR)).cutoffs.ravel())


@pytest.mark.parametrize(
    ("_name", "kwargs", "_tag", "atoms", "stored"), all_cases("sw_"), ids=case_id
)
@pytest.mark.usefixtures("isa")
def test_agrees_with_lammps(
    _name: str, kwargs: dict[str, Any], _tag: str, atoms: Atoms, stored: dict[str, Any]
) -> None:
    got = evaluate(StillingerWeber(**kwargs), atoms)
    forces = stored["forces"]
    assert abs(got["energy"] - stored["energy"]) <= 1e-10 * len(atoms)
    assert np.abs(got["energies"] - stored["energies"]).max() <= 1e-10
    assert np.abs(got["forces"] - forces).max() <= 1e-9 * (1 + np.abs(forces).max())
    if "stress" in stored:
        assert np.abs(got["stress"] - stored["stress"]).max() <= 1e-11


@pytest.mark.quick
def test_silicon_crystal(silicon: str) -> None:
    """Diamond: the angles are those of the formula, so what is left is two pair energies of -epsilon per atom."""
    a = 4 / np.sqrt(3) * 2 ** (1 / 6) * 2.0951
    calc = StillingerWeber(silicon)
    atoms = bulk("Si", "diamond", a=a)
    atoms.calc = calc
    assert atoms.get_potential_energy() / 2 == pytest.approx(-2 * 2.1683, abs=1e-4)
    assert np.abs(atoms.get_stress()).max() < 1e-4
    assert mdkern.load(silicon).species == ("Si",)


@pytest.mark.usefixtures("isa")
def test_pairs_that_do_not_interact_are_zeros(tmp_path: Path) -> None:
    """All numbers of their entries: the powers too, which then differ from those of the others."""
    numbers, none = SILICON.removeprefix("Si Si Si "), "0 " * 11 + "\n"
    mixed = ("Si Si Si", "Si O O", "O Si Si")
    path = tmp_path / "SiO.sw"
    for powers in ("4 0", "4.5 0.5"):
        path.write_text(
            "".join(
                f"{a} {b} {c} {numbers.replace('4 0', powers, 1) if f'{a} {b} {c}' in mixed else none}"
                for a in ("Si", "O")
                for b in ("Si", "O")
                for c in ("Si", "O")
            )
        )
        atoms = Atoms(
            "OSiSiOO", [[0, 0, 0], [2.2, 0, 0], [0, 2.1, 0.3], [0.4, 0.1, 2.3], [2, 2, 2]]
        )
        got, expected = evaluate(StillingerWeber(path), atoms), definition(str(path), atoms)
        assert np.abs(expected.forces).max() > 1
        assert np.abs(got["forces"] - expected.forces).max() < 1e-12
        assert np.abs(got["energies"] - expected.energies).max() < 1e-12


def test_a_distance_whose_root_is_the_cutoff(tmp_path: Path) -> None:
    """Its square is the last number below the cutoff's, and its root is the cutoff."""
    path = tmp_path / "x.sw"
    path.write_text(SILICON.replace("2.0951", "2.5"))
    near = [2.318965024689639, 3.85647523190104, 0]
    assert near[0] ** 2 + near[1] ** 2 < 4.5**2
    atoms = Atoms("Si3", [[0, 0, 0], near, [0, 0, 2.3]])
    got = evaluate(StillingerWeber(path), atoms)
    without = evaluate(StillingerWeber(path), atoms[[0, 2]])
    assert got["energy"] == pytest.approx(without["energy"], rel=1e-14)


@pytest.mark.usefixtures("isa")
def test_many_neighbors(silicon: str) -> None:
    """Far more than in any crystal, of few atoms and of many; images of an atom are its neighbors."""
    for atoms in (
        bulk("Si", "fcc", a=2.6, cubic=True),
        bulk("Si", "diamond", a=3.4, cubic=True) * 2,
    ):
        atoms.rattle(0.02, seed=3)
        got, expected = evaluate(StillingerWeber(silicon), atoms), definition(silicon, atoms)
        scale = np.abs(expected.forces).max() + abs(expected.energy)
        assert np.abs(got["forces"] - expected.forces).max() <= 1e-12 * scale
        assert np.abs(got["energies"] - expected.energies).max() <= 1e-12 * scale
        assert np.abs(got["virial"] - expected.virial).max() <= 1e-11 * scale


def test_dynamics_keep_the_energy(silicon: str) -> None:
    atoms = bulk("Si", "diamond", a=5.431, cubic=True) * 2
    atoms.rattle(0.05, seed=1)
    atoms.calc = StillingerWeber(silicon)
    start = atoms.get_total_energy()
    VelocityVerlet(atoms, units.fs).run(200)
    assert abs(atoms.get_total_energy() - start) < 3e-4 * len(atoms)
    assert atoms.get_temperature() > 20


def test_export_gives_the_same_bits(tmp_path: Path) -> None:
    calc = StillingerWeber(PAIR)
    calc.potential.export(tmp_path / "ga_as.mdk")
    atoms = bulk("GaAs", "zincblende", a=5.2, cubic=True) * 2
    atoms.rattle(0.1, seed=2)
    again = mdkern.load(tmp_path / "ga_as.mdk")
    a, b = evaluate(calc, atoms), evaluate(again, atoms)
    assert a["forces"].tobytes() == b["forces"].tobytes()
    assert a["energies"].tobytes() == b["energies"].tobytes()


def test_orders_that_differ(tmp_path: Path) -> None:
    """The mean of both orders; said only where they differ by more than the digits of a table."""
    lines = Path(PAIR).read_text().splitlines()
    at = next(k for k, line in enumerate(lines) if line.startswith("Ga Ga As"))
    words = lines[at].split()
    path = tmp_path / "x.sw"

    def with_strength(factor: float) -> StillingerWeber:
        changed = [*words[:6], repr(float(words[6]) * factor), *words[7:]]
        path.write_text("\n".join([*lines[:at], " ".join(changed), *lines[at + 1 :]]))
        return StillingerWeber(path)

    atoms = bulk("GaAs", "zincblende", a=4.2, cubic=True) * 2
    atoms.symbols[::3] = "Ga"
    atoms.rattle(0.1, seed=2)
    expected = evaluate(StillingerWeber(PAIR), atoms)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        near = evaluate(with_strength(1 + 2e-5), atoms)
    assert 0 < abs(near["energy"] / expected["energy"] - 1) < 1e-5
    with pytest.warns(MDKernWarning, match="lambda eps of Ga Ga As is .* and of Ga As Ga"):
        far = with_strength(1.5)
    got, mean = evaluate(far, atoms), definition_quiet(str(path), atoms)
    assert np.abs(got["forces"] - mean.forces).max() < 1e-11
    assert abs(got["energies"] - mean.energies).max() < 1e-11


@pytest.mark.usefixtures("isa")
def test_elements_that_do_not_interact(tmp_path: Path) -> None:
    """All numbers zero for one element alone, as in files of layered crystals: other powers, no cutoff."""
    lines = Path(PAIR).read_text().splitlines()
    at = next(k for k, line in enumerate(lines) if line.startswith("Ga Ga Ga"))
    path = tmp_path / "x.sw"
    path.write_text("\n".join([*lines[:at], "Ga Ga Ga" + " 0" * 11, *lines[at + 2 :]]))
    atoms = bulk("GaAs", "zincblende", a=4.6, cubic=True) * 2
    atoms.symbols[::3] = "Ga"
    atoms.rattle(0.1, seed=2)
    for system in (atoms, atoms[[a.symbol == "Ga" for a in atoms]]):
        got, expected = evaluate(StillingerWeber(path), system), definition(str(path), system)
        scale = 1.0 + np.abs(expected.forces).max()
        assert np.abs(got["forces"] - expected.forces).max() <= 1e-12 * scale
        assert np.abs(got["energies"] - expected.energies).max() <= 1e-12 * scale


def definition_quiet(path: str, atoms: Atoms) -> Result:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MDKernWarning)
        return definition(path, atoms)


def test_a_choice_of_elements() -> None:
    whole = StillingerWeber(PAIR)
    swapped = StillingerWeber(PAIR, elements=list(reversed(whole.species)))
    again = StillingerWeber(whole.potential.source, elements=["As"])
    assert swapped.species == tuple(reversed(whole.species))
    assert again.species == ("As",)
    atoms = bulk("GaAs", "zincblende", a=4.6, cubic=True)
    atoms.rattle(0.1, seed=2)
    a, b = evaluate(whole, atoms), evaluate(swapped, atoms)
    assert np.abs(a["forces"] - b["forces"]).max() < 1e-13
    atoms.symbols[:] = "As"
    a, b = evaluate(whole, atoms), evaluate(again, atoms)
    assert np.abs(a["forces"] - b["forces"]).max() < 1e-12
    atoms.symbols[3] = "Ga"
    with pytest.raises(ValueError, match="atom 3 is Ga; the potential has As"):
        again.get_potential_energy(atoms)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"precision": "single"}, "precision: 'single'; StillingerWeber is offered in 'double'"),
        ({"elements": ["Si"]}, "elements: 'Si' is not in .*toy_GaAs.sw, which has Ga, As"),
        ({"elements": []}, r"elements: \[\]; expected a list of different chemical symbols"),
        ({"elements": "Ga"}, "elements: 'Ga'; expected a list"),
        ({"elements": ["Ga", "Ga"]}, "expected a list of different"),
        ({"elements": np.array([["Ga"]])}, "expected a list of different"),
        ({"elements": 31}, "elements: 31; expected a list of different"),
    ],
)
def test_bad_arguments(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StillingerWeber(PAIR, **kwargs)
