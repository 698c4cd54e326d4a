"""SNAP: the contract on random files, LAMMPS's numbers, coefficients without symmetry, repulsion, messages."""

from __future__ import annotations

import pickle
from functools import cache
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from contracts import VOIGT, PotentialContract, ThreadsUnderSanitizers, evaluate
from reference_data import all_cases, case_id
from snap_data import OWN, snap_file

import mdkern
from mdkern import reference
from mdkern.calculators import SNAP
from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.snap import read_snap
from mdkern.reference import Result


@cache
def _defined(path: str, positions: bytes, cell: bytes, pbc: tuple[bool, ...], kinds: bytes) -> Any:
    return reference.snap(
        np.frombuffer(positions).reshape(-1, 3),
        np.frombuffer(cell).reshape(3, 3),
        pbc,
        np.frombuffer(kinds, dtype=np.int64),
        read_snap(path),
    )


def defined(path: str, atoms: Atoms) -> Result:
    """The definition, once for the instruction sets."""
    species = read_snap(path).species
    kinds = np.array([species.index(x) for x in atoms.get_chemical_symbols()], dtype=np.int64)
    result: Result = _defined(
        path,
        atoms.positions.tobytes(),
        atoms.cell.array.tobytes(),
        tuple(atoms.pbc.tolist()),
        kinds.tobytes(),
    )
    return result


class Model(PotentialContract):
    continuous = "forces"
    listed = 30_000
    accuracy = 3e-12
    a = 3.9
    reach = 2.05


class TestWeights(ThreadsUnderSanitizers, Model):
    """Two elements by weights, an odd 2J, a polar angle that begins behind the nearest neighbors' distance."""

    symbols = ("Cu", "Ni")
    path = staticmethod(lambda: snap_file(("Cu", "Ni"), twojmax=5, rmin0=0.4, rfac0=0.97))
    make = staticmethod(lambda **kw: SNAP(TestWeights.path(), **kw))
    reference = staticmethod(lambda atoms: defined(TestWeights.path(), atoms))
    cutoffs = (4.0, 4.24, 4.48)


class TestUnsymmetric(Model):
    """Densities by element, inner switching, coefficients that differ where components are equal."""

    symbols = ("In", "P")
    path = staticmethod(
        lambda: snap_file(
            ("In", "P"),
            rcutfac=3.3,
            chemflag=1,
            wselfallflag=1,
            switchinnerflag=1,
            sinner="2.0 1.7",
            dinner="0.7 0.5",
        )
    )
    make = staticmethod(lambda **kw: SNAP(TestUnsymmetric.path(), **kw))
    reference = staticmethod(lambda atoms: defined(TestUnsymmetric.path(), atoms))
    cutoffs = (3.3, 3.498, 3.696)


class TestQuadratic(Model):
    symbols = ("In", "P")
    path = staticmethod(
        lambda: snap_file(
            ("In", "P"), rcutfac=3.3, twojmax=2, chemflag=1, bnormflag=1, quadraticflag=1
        )
    )
    make = staticmethod(lambda **kw: SNAP(TestQuadratic.path(), **kw))
    reference = staticmethod(lambda atoms: defined(TestQuadratic.path(), atoms))
    cutoffs = (3.3, 3.498, 3.696)


def test_without_a_switch_the_energy_jumps() -> None:
    path = snap_file(("Cu",), switchflag=0, bzeroflag=0)
    energies = [
        evaluate(SNAP(path), Atoms("Cu2", [[0, 0, 0], [r, 0, 0]]))["energy"]
        for r in (4.0 - 1e-9, 4.0 + 1e-9)
    ]
    assert abs(energies[0] - energies[1]) > 1e-4
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=2)
    got, expected = evaluate(SNAP(path), atoms), defined(path, atoms)
    assert np.abs(got["forces"] - expected.forces).max() <= 1e-12


@pytest.mark.parametrize("two_j", [0, 1, 7, 9])
def test_any_angular_momentum(two_j: int) -> None:
    path = snap_file(("Cu",), twojmax=two_j, rcutfac=3.2)
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=3)
    expected = defined(path, atoms)
    for isa in mdkern.info()["isas_supported"]:
        mdkern.set_isa(isa)
        got = evaluate(SNAP(path), atoms)
        limit = 1e-11 * (1 + np.abs(expected.energies).max())
        assert np.abs(got["energies"] - expected.energies).max() <= limit
        assert np.abs(got["forces"] - expected.forces).max() <= limit


def test_neighbors_nearer_than_rmin0_and_beyond_a_half_turn() -> None:
    """The polar angle is below zero or above pi: the signs of LAMMPS's formula."""
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=4)
    for parameters in ({"rmin0": 2.7}, {"rfac0": 1.2}):
        path = snap_file(("Cu",), **parameters)
        got, expected = evaluate(SNAP(path), atoms), defined(path, atoms)
        assert np.abs(got["energies"] - expected.energies).max() <= 1e-11
        assert np.abs(got["forces"] - expected.forces).max() <= 1e-10


# --- LAMMPS -------------------------------------------------------------------------------------


@pytest.mark.quick
@pytest.mark.parametrize(
    ("name", "kwargs", "_tag", "atoms", "stored"), all_cases("snap_"), ids=case_id
)
@pytest.mark.usefixtures("isa")
def test_agrees_with_lammps(name: str, kwargs: Any, _tag: str, atoms: Atoms, stored: Any) -> None:
    got = evaluate(SNAP(**kwargs), atoms)
    # Coefficients of InP are symmetric to the digits of the file only; LAMMPS's forces are not their energy's slope then.
    rounded = 10 if name.startswith("snap_inp") else 1
    forces = stored["forces"]
    assert abs(got["energy"] - stored["energy"]) <= 1e-10 * len(atoms)
    assert np.abs(got["energies"] - stored["energies"]).max() <= 1e-10
    assert np.abs(got["forces"] - forces).max() <= rounded * 1e-9 * (1 + np.abs(forces).max())
    limit = rounded * 1e-9 * (1 + np.abs(stored["virial"]).max())
    assert np.abs(got["virial"][VOIGT] + stored["virial"]).max() <= limit


# --- files and elements -------------------------------------------------------------------------


def crystal() -> Atoms:
    atoms = bulk("NaCl", "rocksalt", a=4.6, cubic=True)
    atoms.symbols = ["In", "P"] * 4
    atoms.rattle(0.1, seed=5)
    return atoms


def test_either_file_is_taken() -> None:
    path = str(OWN / "toy_chem_inner.snapcoeff")
    other = path.replace("coeff", "param")
    expected = evaluate(SNAP(path, other), crystal())
    for calc in (
        SNAP(path),
        SNAP(other),
        SNAP(other, path),
        mdkern.load(path),
        mdkern.load(other),
        SNAP(SNAP(path).potential.source),
    ):
        got = evaluate(calc, crystal())
        assert got["energy"] == expected["energy"]
        assert np.array_equal(got["forces"], expected["forces"])
    again = pickle.loads(pickle.dumps(SNAP(path).potential))
    assert again.species == ("In", "P")


def test_elements_are_chosen_and_ordered() -> None:
    path = snap_file(("Cu", "Ni", "X1"), sinner="1 2 3", dinner="1 1 1", switchinnerflag=1)
    with pytest.raises(UnsupportedError, match=r"types X1 are no chemical elements"):
        SNAP(path)
    atoms = bulk("Cu", cubic=True)
    atoms.symbols[1] = "Ni"
    atoms.rattle(0.1, seed=6)
    one, other = SNAP(path, elements=["Cu", "Ni"]), SNAP(path, elements=["Ni", "Cu"])
    a, b = evaluate(one, atoms), evaluate(other, atoms)
    assert np.abs(a["forces"] - b["forces"]).max() <= 1e-13
    assert SNAP(path, elements=["Ni"]).species == ("Ni",)
    assert SNAP(path, elements=["Cu"]).cutoff == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"elements": ["In"]}, r"elements: \['In'\]; expected all of In, P, as chemflag is 1"),
        ({"elements": ["In", "Ga"]}, r"elements: 'Ga' is not in .*, which has In, P"),
        ({"elements": "In"}, r"elements: 'In'; expected a list"),
        ({"precision": "single"}, r"precision: 'single'; SNAP is offered in 'double' only"),
        ({"zbl": {"inner": 4.0}}, r"zbl: .*expected a dict of inner, outer and perhaps z"),
        ({"zbl": {"inner": 4.0, "outer": 3.0}}, r"zbl: inner: 4.0; expected less than outer, 3.0"),
        ({"zbl": {"inner": 0.0, "outer": 3.0}}, r"zbl: inner"),
        ({"zbl": {"inner": 3.0, "outer": 4.0, "z": {"In": 49}}}, r"expected the charge of P too"),
        ({"zbl": {"inner": 3.0, "outer": 4.0, "z": {"In": 49, "P": -1}}}, r"zbl: z: -1"),
    ],
)
def test_bad_arguments(kwargs: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SNAP(OWN / "toy_chem_inner.snapcoeff", **kwargs)


def test_repulsion_is_added() -> None:
    path = OWN / "toy_chem_inner.snapcoeff"
    zbl = {"inner": 2.0, "outer": 5.5, "z": {"P": 15, "In": 49}}
    both = SNAP(path, zbl=zbl)
    assert both.cutoff == 5.5
    assert both.species == ("In", "P")
    alone, pair = SNAP(path), mdkern.calculators.ZBL(**zbl)
    got, a, b = (evaluate(c, crystal()) for c in (both, alone, pair))
    assert got["energy"] == pytest.approx(a["energy"] + b["energy"], rel=1e-13)
    assert np.abs(got["forces"] - a["forces"] - b["forces"]).max() <= 1e-10
    default = SNAP(path, zbl={"inner": 2.0, "outer": 5.5})
    assert evaluate(default, crystal())["energy"] == got["energy"]


def test_fields_that_do_not_fit() -> None:
    potential = SNAP(OWN / "toy_chem_inner.snapcoeff").potential
    fields = potential.core_fields()
    for name, value, message in (
        ("twojmax", 21, "twojmax: 21; expected"),
        ("block", np.array([0, 2], dtype=np.int32), "block: 2"),
        ("block", np.array([0, 0], dtype=np.int32), "block: 0"),
        ("radii", np.array([0.5, -1.0]), "radii: -1"),
        ("rmin0", 99.0, "rmin0: 99"),
        ("rcutfac", 1e6, "rcutfac: "),
        ("dinner", np.array([0.5, 0.0]), "dinner: 0"),
    ):
        bad = fields | {"basis": fields["basis"] | {name: value}}
        with pytest.raises(ValueError, match=message):
            mdkern._core.Potential(bad)
    with pytest.raises(ValueError, match="coefficients"):
        mdkern._core.Potential(fields | {"coefficients": np.zeros((2, 3))})


def test_atoms_on_top_of_each_other_are_refused() -> None:
    for path in (snap_file(("Cu",)), snap_file(("Cu",), quadraticflag=1)):
        atoms = Atoms("Cu3", [[0, 0, 0], [0, 0, 0], [2, 0, 0]], calculator=SNAP(path))
        with pytest.raises(mdkern.calculators.NonFiniteError, match="atoms overlap"):
            atoms.get_forces()


def test_a_file_of_another_method_is_named() -> None:
    with pytest.raises(UnsupportedError, match=r"EAM .*mdkern.load takes it"):
        SNAP(OWN / "synthetic.eam.alloy")


def test_a_missing_file_is_named(tmp_path: Any) -> None:
    path = tmp_path / "alone.snapcoeff"
    path.write_bytes((OWN / "toy_chem_inner.snapcoeff").read_bytes())
    with pytest.raises(FileNotFoundError, match=r"parameters are not at .*alone.snapparam"):
        SNAP(path)
    with pytest.raises(
        FormatError,
        match=r"65 coefficients per element; expected 15 by twojmax 4, quadraticflag 0 and chemflag 0",
    ):
        SNAP(path, snap_file(("In", "P"), twojmax=4).replace("coeff", "param"))
