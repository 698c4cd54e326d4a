"""Lennard-Jones: the contract, LAMMPS's numbers, ASE's calculator, single precision, messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.lj import LennardJones as AseLennardJones
from ase.md.verlet import VelocityVerlet
from contracts import SYSTEMS, PotentialContract, ThreadsUnderSanitizers, evaluate
from reference_data import all_cases, case_id

from mdkern import potentials, reference
from mdkern.calculators import LennardJones
from mdkern.reference import Result

EPSILON, SIGMA, RC = 0.0103, 3.405, 7.6


def place(atoms: Atoms) -> tuple[Any, Any, Any]:
    return atoms.positions, atoms.cell.array, atoms.pbc


def alike(atoms: Atoms, **how: Any) -> Result:
    zero = np.zeros(len(atoms), dtype=int)
    return reference.lennard_jones(*place(atoms), zero, EPSILON, SIGMA, RC, **how)


def argon(**kw: Any) -> Any:
    return LennardJones(epsilon=EPSILON, sigma=SIGMA, rc=RC, **kw)


class Argon(PotentialContract):
    symbols = ("Ar",)
    a = 5.3


class TestShift(Argon):
    make = staticmethod(argon)
    reference = staticmethod(alike)


class TestCut(ThreadsUnderSanitizers, Argon):
    make = staticmethod(lambda **kw: argon(shift=False, **kw))
    reference = staticmethod(lambda atoms: alike(atoms, shift=False))
    continuous = "nothing"


class TestForceShift(Argon):
    make = staticmethod(lambda **kw: argon(force_shift=True, **kw))
    reference = staticmethod(lambda atoms: alike(atoms, force_shift=True))
    continuous = "forces"


class TestSmooth(Argon):
    make = staticmethod(lambda **kw: argon(smooth=True, ro=5.5, **kw))
    reference = staticmethod(lambda atoms: alike(atoms, smooth=True, onset=5.5))
    continuous = "forces"


NAMES = ["Ne", "Ar", "Kr"]
S, E, R = ({"Ne": 2.8, "Ar": 3.4, "Kr": 3.65}, {"Ne": 3e-3, "Ar": 0.01, "Kr": 0.014},
           {"Ne": 6.1, "Ar": 7.0, "Kr": 7.4})  # fmt: skip


def mixture(atoms: Atoms, mixing: str = "lorentz-berthelot", **how: Any) -> Result:
    kinds = np.array([NAMES.index(x) for x in atoms.get_chemical_symbols()], dtype=int)
    s, e, r = (np.array([table[x] for x in NAMES]) for table in (S, E, R))

    def mean(x: Any) -> Any:
        geometric = np.sqrt(np.multiply.outer(x, x))
        return geometric if mixing == "geometric" else np.add.outer(x, x) / 2

    epsilon = np.sqrt(np.multiply.outer(e, e))
    if "pair" in how:
        epsilon[0, 2] = epsilon[2, 0] = how.pop("pair")
    return reference.lennard_jones(*place(atoms), kinds, epsilon, mean(s), mean(r), **how)


class Mixture(PotentialContract):
    symbols = tuple(NAMES)
    a = 5.0
    cutoffs = tuple(sorted({(R[x] + R[y]) / 2 for x in NAMES for y in NAMES}))


class TestMixture(Mixture):
    make = staticmethod(lambda **kw: LennardJones(sigma=S, epsilon=E, rc=R, **kw))
    reference = staticmethod(mixture)


class TestGeometricForceShift(Mixture):
    make = staticmethod(
        lambda **kw: LennardJones(
            sigma=S, epsilon=E, rc=R, mixing="geometric", force_shift=True, **kw
        )
    )
    reference = staticmethod(lambda atoms: mixture(atoms, "geometric", force_shift=True))
    continuous = "forces"
    cutoffs = tuple(sorted({(R[x] * R[y]) ** 0.5 for x in NAMES for y in NAMES}))


class TestMixtureSmooth(Mixture):
    make = staticmethod(lambda **kw: LennardJones(sigma=S, epsilon=E, rc=R, smooth=True, **kw))
    reference = staticmethod(lambda atoms: mixture(atoms, smooth=True))
    continuous = "forces"


OWN = {"Kr-Ne": {"epsilon": 0.02, "sigma": (S["Ne"] + S["Kr"]) / 2}}


class TestOwnPair(Mixture):
    make = staticmethod(lambda **kw: LennardJones(sigma=S, epsilon=E, rc=R, pairs=OWN, **kw))
    reference = staticmethod(lambda atoms: mixture(atoms, pair=0.02))


# --- LAMMPS -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("_name", "kwargs", "_tag", "atoms", "stored"), all_cases("lj_"), ids=case_id
)
@pytest.mark.usefixtures("isa")
def test_agrees_with_lammps(
    _name: str, kwargs: dict[str, Any], _tag: str, atoms: Atoms, stored: dict[str, Any]
) -> None:
    got = evaluate(LennardJones(**kwargs), atoms)
    n, forces = len(atoms), stored["forces"]
    assert abs(got["energy"] - stored["energy"]) <= 1e-10 * n
    assert np.abs(got["energies"] - stored["energies"]).max() <= 1e-10
    assert np.abs(got["forces"] - forces).max() <= 1e-9 * (1 + np.abs(forces).max())
    if "stress" in stored:
        assert np.abs(got["stress"] - stored["stress"]).max() <= 1e-11


# --- ASE ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.usefixtures("isa")
def test_is_that_of_ase(name: str, smooth: bool) -> None:
    atoms = SYSTEMS[name](5.3)
    keys = ("energy", "energies", "forces", "stress", "stresses")
    theirs = AseLennardJones(epsilon=EPSILON, sigma=SIGMA, rc=RC, smooth=smooth)
    mine = argon(smooth=smooth)
    for key in keys if atoms.cell.rank == 3 else keys[:3]:
        a, b = (calc.get_property(key, atoms) for calc in (mine, theirs))
        assert np.shape(a) == np.shape(b)
        assert np.abs(np.subtract(a, b)).max() <= 1e-13 * (1 + np.abs(b).max())


def test_defaults_are_those_of_ase() -> None:
    atoms = Atoms("X3", [[0, 0, 0], [1.2, 0, 0], [0, 1.4, 2.0]])
    mine, theirs = LennardJones(), AseLennardJones()
    assert mine.cutoff == 3.0
    a, b = (calc.get_property("forces", atoms) for calc in (mine, theirs))
    assert np.abs(a - b).max() <= 1e-13 * np.abs(b).max()
    assert abs(mine.get_potential_energy(atoms) - theirs.get_potential_energy(atoms)) <= 1e-13


def test_minimum_of_a_dimer() -> None:
    atoms = Atoms("Ar2", [[0, 0, 0], [2 ** (1 / 6) * SIGMA, 0, 0]])
    got = evaluate(argon(shift=False), atoms)
    assert abs(got["energy"] + EPSILON) <= 1e-15
    assert np.abs(got["forces"]).max() <= 1e-15


# --- single precision ---------------------------------------------------------------------------


@pytest.mark.quick
@pytest.mark.parametrize("how", [{}, {"force_shift": True}, {"smooth": True}, {"shift": False}])
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.usefixtures("isa")
def test_single_precision(name: str, mixed: bool, how: dict[str, Any]) -> None:
    contract = TestMixture() if mixed else TestShift()
    atoms = contract.system(name)
    kw = {"sigma": S, "epsilon": E, "rc": R} if mixed else {}
    if not mixed:
        kw = {"sigma": SIGMA, "epsilon": EPSILON, "rc": RC}
    exact = evaluate(LennardJones(**kw, **how), atoms, True)
    got = evaluate(LennardJones(**kw, **how, precision="single"), atoms, True)
    assert got["forces"].dtype == got["energies"].dtype == np.float64
    largest = np.abs(exact["energies"]).sum()
    assert abs(got["energy"] - exact["energy"]) <= 1e-5 * largest
    scale = contract.scale(exact)
    assert np.abs(got["forces"] - exact["forces"]).max() <= 1e-4 * scale
    assert np.abs(got["virial"] - exact["virial"]).max() <= 1e-4 * scale * len(atoms) * RC
    if name == "crystal":  # it is another computation
        assert got["forces"].tobytes() != exact["forces"].tobytes()


def test_single_precision_far_from_the_origin() -> None:
    atoms = TestShift().system("cluster")
    exact = evaluate(argon(), atoms)
    atoms.positions += 1e4
    got = evaluate(argon(precision="single"), atoms)
    assert np.abs(got["forces"] - exact["forces"]).max() <= 1e-4 * TestShift.scale(exact)


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_single_precision_gives_the_same_bits_for_every_number_of_threads(threads: int) -> None:
    atoms = TestShift().large()
    expected = evaluate(argon(precision="single", threads=1), atoms)
    got = evaluate(argon(precision="single", threads=threads), atoms)
    for key in ("energies", "forces", "stress"):
        assert got[key].tobytes() == expected[key].tobytes()


@pytest.mark.parametrize("precision", ["double", "single"])
def test_energy_is_conserved(precision: str) -> None:
    """Solid argon at 30 K, 1 ps: fluctuation of the total energy per atom."""
    atoms = bulk("Ar", "fcc", a=5.3, cubic=True) * 3
    rng = np.random.default_rng(1)
    width = np.sqrt(atoms.get_masses()[:, None] * 60 * units.kB)  # half of it goes into the bonds
    atoms.set_momenta(width * rng.normal(size=(len(atoms), 3)))
    atoms.calc = argon(force_shift=True, precision=precision)
    energies = []
    dynamics = VelocityVerlet(atoms, 4 * units.fs)
    dynamics.attach(lambda: energies.append(atoms.get_total_energy()))
    dynamics.run(250)
    total = np.array(energies) / len(atoms)
    kinetic = atoms.get_kinetic_energy() / len(atoms)
    assert kinetic > 1e-3
    assert total.std() <= 2e-3 * kinetic
    assert abs(total[-50:].mean() - total[:50].mean()) <= 2e-3 * kinetic


# --- parameters ---------------------------------------------------------------------------------

BAD = [
    ({"sigma": -1.0}, "sigma: -1.0; expected a positive finite number"),
    ({"sigma": 0.0}, "sigma: 0.0"),
    ({"epsilon": np.nan}, "epsilon: nan"),
    ({"rc": np.inf}, "rc: inf"),
    ({"rc": -2.0}, "rc: -2.0"),
    ({"mixing": "none"}, "mixing: 'none'; expected one of .*geometric"),
    ({"precision": "half"}, "precision: 'half'; expected 'double' or 'single'"),
    ({"force_shift": True, "smooth": True}, "force_shift and smooth: both set"),
    ({"smooth": True, "ro": 5.0, "rc": 4.0}, "ro: 5.0; expected a number between 0 and rc"),
    ({"smooth": True, "ro": -1.0}, "ro: -1.0"),
    ({"smooth": True, "ro": np.nan}, "ro: nan"),
    ({"sigma": {"Ar": 3.4}, "epsilon": {"Kr": 0.1}}, "no value for (Ar|Kr)"),
    ({"sigma": {"Ar": 3.4}}, "epsilon: missing for Ar"),
    ({"sigma": {"Qq": 3.4}, "epsilon": 1.0}, "unknown chemical symbol 'Qq'"),
    ({"pairs": {"Ar": {"epsilon": 1, "sigma": 1}}}, "key 'Ar'; expected two symbols"),
    ({"pairs": {"Ar-Ar": {"epsilon": 1}}}, "expected epsilon, sigma and perhaps rc"),
    ({"pairs": {"Ar-Ar": {"epsilon": 1, "sigma": 1, "x": 2}}}, "expected epsilon, sigma"),
    ({"pairs": {"Ar-Ar": {"epsilon": -1, "sigma": 1}}}, "epsilon: -1"),
    (
        {"pairs": {"Ar-Kr": {"epsilon": 1, "sigma": 1}, "Kr-Ar": {"epsilon": 1, "sigma": 1}}},
        "'Kr-Ar' is given twice",
    ),
]


@pytest.mark.parametrize("build", [LennardJones, potentials.LennardJones])
@pytest.mark.parametrize(("kwargs", "text"), BAD)
def test_bad_parameters(kwargs: dict[str, Any], text: str, build: Any) -> None:
    with pytest.raises(ValueError, match=text):
        build(**kwargs)


def test_defaults_of_the_parameters() -> None:
    assert LennardJones(sigma=2.0).cutoff == 6.0
    assert LennardJones(sigma=2.0).species is None
    calc = LennardJones(sigma={"Kr": 3.6, "Ar": 3.4}, epsilon=0.01)
    assert calc.species == ("Ar", "Kr")
    assert calc.cutoff == pytest.approx(3 * 3.6)
