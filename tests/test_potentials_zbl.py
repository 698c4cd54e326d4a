"""ZBL: the contract, LAMMPS's numbers, the switch, messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from contracts import PotentialContract, evaluate
from reference_data import all_cases, case_id

from mdkern import potentials
from mdkern.calculators import ZBL
from mdkern.reference import Result
from mdkern.reference.zbl import zbl

CHARGES = {"Si": 13.2, "O": 8.0}


def of_silica(atoms: Atoms) -> Result:
    names = list(CHARGES)
    kinds = np.array([names.index(x) for x in atoms.get_chemical_symbols()], dtype=int)
    place = (atoms.positions, atoms.cell.array, atoms.pbc)
    return zbl(*place, kinds, list(CHARGES.values()), 2.9, 4.6)


def of_elements(atoms: Atoms) -> Result:
    place = (atoms.positions, atoms.cell.array, atoms.pbc)
    kinds = np.searchsorted([13, 29], atoms.numbers)
    return zbl(*place, kinds, [13.0, 29.0], 3.3, 4.6)


class TestCharges(PotentialContract):
    symbols = ("Si", "O")
    make = staticmethod(lambda **kw: ZBL(2.9, 4.6, CHARGES, **kw))
    reference = staticmethod(of_silica)
    continuous = "forces"


class TestElements(PotentialContract):
    """All elements, with their atomic numbers."""

    symbols = ("Cu", "Al")
    make = staticmethod(lambda **kw: ZBL(inner=3.3, outer=4.6, **kw))
    reference = staticmethod(of_elements)
    continuous = "forces"


@pytest.mark.quick
@pytest.mark.parametrize(
    ("_name", "kwargs", "_tag", "atoms", "stored"), all_cases("zbl_"), ids=case_id
)
@pytest.mark.usefixtures("isa")
def test_agrees_with_lammps(
    _name: str, kwargs: dict[str, Any], _tag: str, atoms: Atoms, stored: dict[str, Any]
) -> None:
    got = evaluate(ZBL(**kwargs), atoms)
    forces = stored["forces"]
    assert abs(got["energy"] - stored["energy"]) <= 1e-10 * len(atoms)
    assert np.abs(got["energies"] - stored["energies"]).max() <= 1e-10
    assert np.abs(got["forces"] - forces).max() <= 1e-9 * (1 + np.abs(forces).max())
    if "stress" in stored:
        assert np.abs(got["stress"] - stored["stress"]).max() <= 1e-11


def test_energy_and_two_derivatives_reach_zero() -> None:
    """Of a dimer at the outer distance: the energy falls with the third power of what is left."""
    calc = ZBL(inner=1.0, outer=2.0)

    def energy(r: float) -> float:
        return float(evaluate(calc, Atoms("W2", [[0, 0, 0], [0, 0, r]]))["energy"])

    near, far = energy(2.0 - 2e-3), energy(2.0 - 1e-3)
    assert near > 0.0
    assert near / far == pytest.approx(8.0, rel=0.02)
    assert energy(2.0) == 0.0


def test_species_and_cutoff() -> None:
    calc = ZBL(inner=4.0, outer=4.8)
    assert calc.cutoff == 4.8
    assert calc.species is not None
    assert calc.species[73] == "W"
    assert len(calc.species) == 118
    assert ZBL(4.0, 4.8, {"W": 74, "Be": 4}).species == ("Be", "W")


BAD: list[tuple[dict[str, Any], str]] = [
    ({"inner": 0.0, "outer": 2.0}, "inner: 0.0; expected a positive finite number"),
    ({"inner": 1.0, "outer": np.inf}, "outer: inf"),
    ({"inner": 2.0, "outer": 2.0}, "inner: 2.0; expected less than outer, 2.0"),
    ({"inner": 1.0, "outer": 2.0, "z": {}}, "z: {}; expected the charge of each element"),
    ({"inner": 1.0, "outer": 2.0, "z": 74.0}, "z: 74.0; expected the charge of each element"),
    ({"inner": 1.0, "outer": 2.0, "z": {"Qq": 1.0}}, "z: unknown chemical symbol 'Qq'"),
    ({"inner": 1.0, "outer": 2.0, "z": {"W": -74.0}}, "z: -74.0 for W"),
    ({"inner": 1.0, "outer": 2.0, "z": {"W": 1e4}}, "z: 10000.0 for W; expected at most 1000"),
    ({"inner": 1.0, "outer": 2.0, "precision": "single"}, "ZBL is offered in 'double' only"),
]


@pytest.mark.parametrize("build", [ZBL, potentials.ZBL])
@pytest.mark.parametrize(("kwargs", "text"), BAD)
def test_bad_parameters(kwargs: dict[str, Any], text: str, build: Any) -> None:
    with pytest.raises(ValueError, match=text):
        build(**kwargs)
