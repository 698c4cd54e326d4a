"""Buckingham: the contract, LAMMPS's numbers, the Born-Mayer special case, messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from contracts import PotentialContract, evaluate
from reference_data import all_cases, case_id

from mdkern import potentials, reference
from mdkern.calculators import Buckingham
from mdkern.reference import Result

# Short-range part of the silica model of van Beest et al., Phys. Rev. Lett. 64, 1955 (1990).
A, RHO, C, RC = 1388.773, 0.36231884, 175.0, 5.7
OXYGEN = {"A": A, "rho": RHO, "C": C, "rc": RC}
SILICA: dict[str, dict[str, float]] = {
    "O-O": OXYGEN,
    "O-Si": {"A": 18003.7572, "rho": 0.20520481, "C": 133.5381, "rc": 5.1},
    "Si-Si": {"A": 900.0, "rho": 0.3, "rc": 4.4},
}


def alike(atoms: Atoms, **how: Any) -> Result:
    zero = np.zeros(len(atoms), dtype=int)
    place = (atoms.positions, atoms.cell.array, atoms.pbc)
    return reference.buckingham(*place, zero, A, RHO, C, RC, **how)


def mixture(atoms: Atoms, **how: Any) -> Result:
    kinds = np.array([["O", "Si"].index(x) for x in atoms.get_chemical_symbols()], dtype=int)
    tables = [
        [
            [SILICA[key].get(name, 0.0) for key in row]
            for row in (("O-O", "O-Si"), ("O-Si", "Si-Si"))
        ]
        for name in ("A", "rho", "C", "rc")
    ]
    return reference.buckingham(
        atoms.positions, atoms.cell.array, atoms.pbc, kinds, *map(np.array, tables), **how
    )


class TestCut(PotentialContract):
    symbols = ("O",)
    make = staticmethod(lambda **kw: Buckingham(**OXYGEN, **kw))
    reference = staticmethod(alike)
    continuous = "nothing"


class TestShift(PotentialContract):
    symbols = ("O",)
    make = staticmethod(lambda **kw: Buckingham(**OXYGEN, shift=True, **kw))
    reference = staticmethod(lambda atoms: alike(atoms, shift=True))


class TestMixture(PotentialContract):
    symbols = ("Si", "O")
    make = staticmethod(lambda **kw: Buckingham(pairs=SILICA, shift=True, **kw))
    reference = staticmethod(lambda atoms: mixture(atoms, shift=True))
    cutoffs = (4.4, 5.1, 5.7)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("_name", "kwargs", "_tag", "atoms", "stored"), all_cases("buckingham_"), ids=case_id
)
@pytest.mark.usefixtures("isa")
def test_agrees_with_lammps(
    _name: str, kwargs: dict[str, Any], _tag: str, atoms: Atoms, stored: dict[str, Any]
) -> None:
    got = evaluate(Buckingham(**kwargs), atoms)
    forces = stored["forces"]
    assert abs(got["energy"] - stored["energy"]) <= 1e-10 * len(atoms)
    assert np.abs(got["energies"] - stored["energies"]).max() <= 1e-10
    assert np.abs(got["forces"] - forces).max() <= 1e-9 * (1 + np.abs(forces).max())
    if "stress" in stored:
        assert np.abs(got["stress"] - stored["stress"]).max() <= 1e-11


def test_dimer() -> None:
    """The formula by hand, and without the attraction (Born-Mayer)."""
    for c in (0.0, C):
        got = evaluate(Buckingham(A=A, rho=RHO, C=c, rc=RC), Atoms("O2", [[0, 0, 0], [0, 2, 0]]))
        decay = A * np.exp(-2 / RHO)
        assert abs(got["energy"] - (decay - c / 64)) <= 1e-14 * decay
        force = decay / RHO - 6 * c / 128
        assert np.abs(got["forces"] - [[0, -force, 0], [0, force, 0]]).max() <= 1e-13


def test_a_pair_without_interaction() -> None:
    calc = Buckingham(pairs={**SILICA, "Si-Si": {"A": 0, "rho": 1}}, rc=4.0)
    got = evaluate(calc, Atoms("Si2", [[0, 0, 0], [0, 0, 1.5]]))
    assert got["energy"] == 0.0
    assert not got["forces"].any()


def test_species_and_cutoff() -> None:
    assert Buckingham(**OXYGEN).species is None
    calc = Buckingham(pairs=SILICA)
    assert calc.species == ("O", "Si")
    assert calc.cutoff == RC
    assert Buckingham(pairs={"O-O": {"A": 1, "rho": 1}}, rc=3.0).cutoff == 3.0


BAD: list[tuple[dict[str, Any], str]] = [
    ({**OXYGEN, "A": -1.0}, "A: -1.0; expected a finite number >= 0"),
    ({**OXYGEN, "rho": 0.0}, "rho: 0.0; expected a positive finite number"),
    ({**OXYGEN, "C": np.nan}, "C: nan"),
    ({**OXYGEN, "rc": np.inf}, "rc: inf"),
    ({**OXYGEN, "A": "1"}, "A: '1'; expected a finite number"),
    ({"rho": RHO, "rc": RC}, "A: None"),
    ({"A": A, "rc": RC}, "rho: None"),
    ({"A": A, "rho": RHO}, "rc: None"),
    ({**OXYGEN, "precision": "single"}, "precision: 'single'; Buckingham is offered in 'double'"),
    ({"A": 1.0, "pairs": SILICA}, "pairs and A, rho, C: both given"),
    ({"pairs": {}}, "pairs: {}; expected at least one pair"),
    ({"pairs": {"O": OXYGEN}}, "pairs: key 'O'; expected two symbols"),
    ({"pairs": {"O-Qq": OXYGEN}}, "pairs: unknown chemical symbol 'Qq'"),
    ({"pairs": {"O-Si": OXYGEN}}, "pairs: no O-O; expected every pair of O, Si"),
    ({"pairs": {"O-O": {"A": 1.0}}}, "expected A, rho and perhaps C, rc"),
    ({"pairs": {"O-O": {"A": 1.0, "rho": 0.3}}}, "rc: None for O-O"),
    ({"pairs": {**SILICA, "Si-O": OXYGEN}}, "pairs: 'Si-O' is given twice"),
    ({"pairs": {"O-O": {**OXYGEN, "C": -1.0}}}, "C: -1.0 for O-O"),
]


@pytest.mark.parametrize("build", [Buckingham, potentials.Buckingham])
@pytest.mark.parametrize(("kwargs", "text"), BAD)
def test_bad_parameters(kwargs: dict[str, Any], text: str, build: Any) -> None:
    with pytest.raises(ValueError, match=text):
        build(**kwargs)
