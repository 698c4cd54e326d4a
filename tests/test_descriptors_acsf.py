"""ACSF against its definition, DScribe's numbers, finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from descriptor_checks import (
    SPECIES,
    DescriptorContract,
    check_shared,
    crystal,
    indices,
    make,
    own_arrays,
    own_cases,
    own_structure,
    relative,
    shared_cases,
)

from mdkern.descriptors import ACSF
from mdkern.reference.acsf import acsf

NUMBERS = np.array([1, 6, 8, 11, 17])
G2 = [[1.0, 1.0], [0.5, 2.0], [2.0, 0.0]]
G3 = [0.5, 1.2]
# Powers of each other, none, integer, not integer, large; eta a multiple, and zero; a lambda beyond +-1.
G4 = [[0.01, 1, 1], [0.05, 2, -1], [0.02, 4.5, 1], [0.0, 16, -1], [0.013, 8, -1], [0.03, 3, 2.5]]
G5 = [[0.01, 1, 1], [0.05, 3, -1], [0.01, 70, 0.5], [0.02, 1, -2], [0.02, 5, -2], [0.0, 70, 1.2]]


def definition(atoms: Atoms, centers: Any, gradient: bool) -> Any:
    kinds = np.searchsorted(NUMBERS, atoms.numbers)
    return acsf(
        atoms.positions, atoms.cell.array, atoms.pbc, kinds, centers, n_species=5, r_cut=4.0,
        g2=G2, g3=G3, g4=G4, g5=G5, gradient=gradient,
    )  # fmt: skip


class TestACSF(DescriptorContract):
    make = staticmethod(
        lambda **kw: ACSF(
            SPECIES,
            4.0,
            g2_params=G2,
            g3_params=G3,
            g4_params=G4,
            g5_params=G5,
            periodic=True,
            **kw,
        )
    )
    reference = staticmethod(definition)
    accuracy = 1e-13


@pytest.mark.quick
@pytest.mark.parametrize("case", own_cases("ACSF"), ids=lambda c: c["name"])
@pytest.mark.usefixtures("isa")
def test_dscribe(case: dict[str, Any]) -> None:
    descriptor, stored, atoms = make(case), own_arrays(), own_structure(case["structure"])
    name = case["name"]
    got = descriptor.create(atoms, indices(stored[f"{name}/centers"]))
    assert relative(got, stored[f"{name}/values"]) <= 1e-12
    expected = stored[f"{name}/deriv_attach"]
    centers = indices(stored[f"{name}/deriv_attach_centers"])
    got = descriptor.derivatives(atoms, centers, return_descriptor=False)
    assert relative(got[:, : expected.shape[1]], expected) <= 1e-12


@pytest.mark.parametrize("case", shared_cases("ACSF"), ids=lambda c: c["name"])
def test_dscribe_all(case: dict[str, Any]) -> None:
    check_shared(case)


@pytest.mark.parametrize("zeta", [1, 1.5, 2, 4.5])
@pytest.mark.usefixtures("isa")
def test_collinear_neighbors(zeta: float) -> None:
    """1 + lambda cos is zero there, up to rounding; DScribe gives NaN for zeta that is not an integer."""
    d = ACSF(["H"], 4.0, g4_params=[[0.1, zeta, 1], [0.1, zeta, -1]], g5_params=[[0.1, zeta, 1]])
    for direction in ([0, 0, 1], [1, 2, 3], [0.3, -0.7, 0.1]):
        u = 0.9 * np.array(direction) / np.linalg.norm(direction)
        atoms = Atoms("H3", [np.zeros(3), u, -u * 1.1])
        slopes, values = d.derivatives(atoms)
        assert np.isfinite(values).all()
        assert np.isfinite(slopes).all()
        kinds = np.zeros(3, dtype=int)
        expected, _ = acsf(
            atoms.positions, np.zeros((3, 3)), False, kinds, [0, 1, 2], n_species=1, r_cut=4.0,
            g4=[[0.1, zeta, 1], [0.1, zeta, -1]], g5=[[0.1, zeta, 1]],
        )  # fmt: skip
        assert relative(values, expected) <= 1e-12


@pytest.mark.parametrize(("zeta", "lam"), [(1, 3.0), (2, -4.0), (3, 3.0), (80, -1.5)])
@pytest.mark.usefixtures("isa")
def test_a_lambda_beyond_one(zeta: int, lam: float) -> None:
    """Any finite lambda as in DScribe, where 1 + lambda cos may be negative: the formula, with nothing cut off."""
    eta, r_cut, sides = 0.1, 4.0, (1.0, 1.3)
    d = ACSF(["H"], r_cut, g5_params=[[eta, zeta, lam]])
    for cos in (-0.95, -0.2, 0.3, 0.9):
        other = sides[1] * np.array([cos, np.sqrt(1 - cos * cos), 0.0])
        atoms = Atoms("H3", [[0, 0, 0], [sides[0], 0, 0], other])
        f = [0.5 * (1 + np.cos(np.pi * r / r_cut)) for r in sides]
        decay = np.exp(-eta * (sides[0] ** 2 + sides[1] ** 2))
        right = 2.0 ** (1 - zeta) * (1 + lam * cos) ** zeta * decay * f[0] * f[1]
        assert abs(d.create(atoms, [0])[0, 1] / right - 1.0) <= 1e-11
        slopes = d.derivatives(atoms, return_descriptor=False)
        numerical = d.derivatives(atoms, method="numerical", return_descriptor=False)
        assert relative(numerical, slopes) <= 1e-6


def test_without_functions() -> None:
    d = ACSF(["Na", "Cl"], 3.0, periodic=True)
    assert d.get_number_of_features() == 2
    assert d.feature_names() == ["G1 Na", "G1 Cl"]
    assert d.create(crystal()).shape == (8, 2)
    alone = ACSF(["H"], 3.0, g4_params=[[0.1, 1, 1]]).create(Atoms("H"))
    assert np.array_equal(alone, [[0.0, 0.0]])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"r_cut": 0.0}, "r_cut: 0.0"),
        ({"r_cut": None}, "r_cut: None"),
        ({"species": None}, "species: None"),
        ({"g2_params": [[1.0]]}, "g2_params: .*expected rows of 2 finite numbers"),
        ({"g2_params": [[-1.0, 0.0]]}, "g2_params: eta -1"),
        ({"g3_params": [[1.0, 2.0]]}, "g3_params"),
        ({"g4_params": [[0.1, 1.0]]}, "g4_params: .*expected rows of 3"),
        ({"g4_params": [[0.1, 0.0, 1.0]]}, "g4_params: zeta 0"),
        (
            {"g5_params": [[0.1, 1.5, 2.0]]},
            "g5_params: zeta 1.5 with lambda 2; expected an integer",
        ),
        (
            {"g4_params": [[0.1, 0.5, -1.1]]},
            "g4_params: zeta 0.5 with lambda -1.1; expected an int",
        ),
        ({"g4_params": [[0.1, 1000, 1]]}, "g4_params: zeta 1000 with lambda 1; expected .* below"),
        ({"g4_params": [["0.1", "2", "1"]]}, "g4_params: of type str.* such as '0.1'"),
        ({"g4_params": [[0.1, 2, 1 + 1j]]}, "g4_params: of type complex128"),
        ({"r_cut": "4"}, "r_cut: '4'; expected a positive finite number"),
        ({"periodic": "F"}, "periodic: 'F'; expected True or False"),
        ({"g5_params": [[np.nan, 1.0, 1.0]]}, "g5_params"),
    ],
)
def test_messages_of_the_constructor(arguments: dict[str, Any], text: str) -> None:
    good = {"species": ["H", "O"], "r_cut": 4.0}
    with pytest.raises(ValueError, match=text):
        ACSF(**{**good, **arguments})


def test_centers_are_atoms() -> None:
    d = ACSF(["Na", "Cl"], 3.0, periodic=True)
    with pytest.raises(ValueError, match="expected indices of atoms"):
        d.create(crystal(), [[0.0, 0.0, 0.0]])
    with pytest.raises(ValueError, match="attach: False"):
        d.derivatives(crystal(), attach=False)
