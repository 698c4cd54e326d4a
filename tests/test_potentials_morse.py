"""Morse: the contract, LAMMPS's numbers, ASE's calculator, messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.morse import MorsePotential
from contracts import SYSTEMS, PotentialContract, evaluate
from reference_data import all_cases, case_id

from mdkern import potentials, reference
from mdkern.calculators import Morse
from mdkern.reference import Result

D, ALPHA, R0, RC = 0.34, 1.36, 2.87, 6.1
ASE_NAMES = {"epsilon": D, "rho0": ALPHA * R0, "r0": R0, "rcut1": 1.5, "rcut2": 2.1}


def defined(atoms: Atoms, **how: Any) -> Result:
    zero = np.zeros(len(atoms), dtype=int)
    place = (atoms.positions, atoms.cell.array, atoms.pbc)
    return reference.morse(*place, zero, D, ALPHA, R0, RC, **how)


class TestCut(PotentialContract):
    make = staticmethod(lambda **kw: Morse(D=D, alpha=ALPHA, r0=R0, rc=RC, **kw))
    reference = staticmethod(defined)
    continuous = "nothing"


class TestShift(PotentialContract):
    make = staticmethod(lambda **kw: Morse(D=D, alpha=ALPHA, r0=R0, rc=RC, shift=True, **kw))
    reference = staticmethod(lambda atoms: defined(atoms, shift=True))


class TestSwitch(PotentialContract):
    make = staticmethod(lambda **kw: Morse(**ASE_NAMES, **kw))
    reference = staticmethod(
        lambda atoms: reference.morse_ase(atoms.positions, atoms.cell.array, atoms.pbc, **ASE_NAMES)
    )
    continuous = "forces"


@pytest.mark.parametrize(
    ("_name", "kwargs", "_tag", "atoms", "stored"), all_cases("morse_"), ids=case_id
)
@pytest.mark.usefixtures("isa")
def test_agrees_with_lammps(
    _name: str, kwargs: dict[str, Any], _tag: str, atoms: Atoms, stored: dict[str, Any]
) -> None:
    got = evaluate(Morse(**kwargs), atoms)
    forces = stored["forces"]
    assert abs(got["energy"] - stored["energy"]) <= 1e-10 * len(atoms)
    assert np.abs(got["energies"] - stored["energies"]).max() <= 1e-10
    assert np.abs(got["forces"] - forces).max() <= 1e-9 * (1 + np.abs(forces).max())
    if "stress" in stored:
        assert np.abs(got["stress"] - stored["stress"]).max() <= 1e-11


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.usefixtures("isa")
def test_is_that_of_ase(name: str) -> None:
    atoms = SYSTEMS[name](3.7)
    mine, theirs = Morse(**ASE_NAMES), MorsePotential(**ASE_NAMES)
    for key in ("energy", "energies", "forces", "stress")[: 4 if atoms.cell.rank == 3 else 3]:
        a, b = (calc.get_property(key, atoms) for calc in (mine, theirs))
        assert np.shape(a) == np.shape(b)
        assert np.abs(np.subtract(a, b)).max() <= 1e-12 * (1 + np.abs(b).max())


def test_defaults_are_those_of_ase() -> None:
    atoms = Atoms("H3", [[0, 0, 0], [1.1, 0, 0], [0, 1.2, 1.9]])
    mine, theirs = Morse(), MorsePotential()
    assert mine.cutoff == 2.7
    a, b = (calc.get_property("forces", atoms) for calc in (mine, theirs))
    assert np.abs(a - b).max() <= 1e-12 * np.abs(b).max()


def test_minimum_of_a_dimer() -> None:
    got = evaluate(Morse(D=D, alpha=ALPHA, r0=R0, rc=RC), Atoms("Cu2", [[0, 0, 0], [0, R0, 0]]))
    assert abs(got["energy"] + D) <= 1e-15
    assert np.abs(got["forces"]).max() <= 1e-14


GOOD = {"D": D, "alpha": ALPHA, "r0": R0, "rc": RC}
BAD: list[tuple[dict[str, Any], str]] = [
    ({**GOOD, "D": -1.0}, "D: -1.0; expected a positive finite number"),
    ({**GOOD, "alpha": 0.0}, "alpha: 0.0"),
    ({**GOOD, "r0": np.nan}, "r0: nan"),
    ({**GOOD, "rc": np.inf}, "rc: inf"),
    ({**GOOD, "precision": "single"}, "precision: 'single'; Morse is offered in 'double' only"),
    ({**GOOD, "epsilon": 1.0}, "both given"),
    ({**GOOD, "rcut1": 1.0}, "rc and rcut1, rcut2: both given"),
    ({"D": D, "alpha": ALPHA, "rc": RC}, "r0: None"),
    ({"alpha": ALPHA, "r0": R0, "rc": RC}, "D: None"),
    ({"rcut1": 2.0, "rcut2": 1.0}, "expected rcut1 < rcut2"),
    ({"shift": True}, "shift: needs rc"),
    ({"rho0": -1.0}, "rho0: -1.0"),
]


@pytest.mark.parametrize("build", [Morse, potentials.Morse])
@pytest.mark.parametrize(("kwargs", "text"), BAD)
def test_bad_parameters(kwargs: dict[str, Any], text: str, build: Any) -> None:
    with pytest.raises(ValueError, match=text):
        build(**kwargs)
