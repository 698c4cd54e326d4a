"""Arguments and attributes of the integrators, as ASE has them; what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.constraints import FixAtoms, FixCom, FixedPlane
from ase.md import langevin
from md_checks import FS, INTEGRATORS, MTK, argon, ase_class, assert_same, copper, friction_of_each

from mdkern import md
from mdkern.calculators import LennardJones
from mdkern.errors import UnsupportedError
from mdkern.moving import degrees_of_freedom


def _langevin(atoms: Atoms, friction: Any) -> md.Langevin:
    return md.Langevin(atoms, FS, temperature_K=300, friction=friction, seed=1)


@pytest.mark.parametrize("mask", [(1, 0, 1), [1.0, 0.0, 1.0], np.array([1, 0, 1])])
def test_masks_of_zero_and_one(mask: Any) -> None:
    a, b = copper(2), copper(2)
    INTEGRATORS["masked_mtk"][0](b).run(5)
    mine = md.MaskedMTKNPT(a, *MTK, mask=mask)
    mine.run(5)
    assert mine.mask == (True, False, True)
    assert_same(a, b)


def test_attributes_of_ase() -> None:
    """What scripts read off ASE's integrators, and set."""
    rng = np.random.default_rng(0)
    ours = md.Bussi(copper(2), FS, 300, 100 * FS, seed=1)
    theirs = ase_class("bussi", "Bussi")(copper(2), FS, 300, 100 * FS, rng=rng)
    for name in ("temp", "taut", "ndof", "target_kinetic_energy", "transferred_energy", "dt"):
        assert getattr(ours, name) == getattr(theirs, name), name
    ours.temp = 2 * theirs.temp
    assert ours.temperature_K == 600
    settings = {"temperature_K": 300, "friction": 0.1}
    ours = md.Langevin(copper(2), FS, **settings)
    theirs = langevin.Langevin(copper(2), FS, fixcm=False, rng=rng, **settings)
    for name in ("temp", "fr", "fix_com", "dt"):
        assert getattr(ours, name) == getattr(theirs, name), name


@pytest.mark.quick
@pytest.mark.parametrize(
    "constraints", [[], [FixCom()], [FixAtoms([0, 2]), FixedPlane(3, (0, 0, 1))]]
)
def test_degrees_of_freedom(constraints: list[Any]) -> None:
    """Those of ASE's temperature: its method for the number is younger than the lowest version."""
    atoms = copper(2)
    atoms.set_constraint(constraints)
    of_ase = 2.0 * atoms.get_kinetic_energy() / (units.kB * atoms.get_temperature())
    assert degrees_of_freedom(atoms) == pytest.approx(of_ase, rel=1e-12)
    assert (degrees_of_freedom(atoms) == 3 * len(atoms)) == (not constraints)


def test_friction_per_atom() -> None:
    """Equal ones have the bits of one number; an observer may change them; each atom feels its own."""
    a, b = copper(2), copper(2)
    _langevin(a, 0.02 / FS).run(20)
    _langevin(b, np.full(len(b), 0.02 / FS)).run(20)
    assert_same(a, b)
    mine = _langevin(b, 0.0)
    mine.attach(
        lambda: mine.set_friction(friction_of_each(b).ravel()) if mine.nsteps == 3 else None
    )
    mine.run(10)
    twin = _langevin(a, 0.0)
    twin.run(3)
    twin.set_friction(friction_of_each(a))
    twin.run(7)
    assert_same(a, b)
    # Free atoms without noise slow down by their own friction alone.
    free = Atoms("Ar3", [[0, 0, 0], [0, 0, 50], [0, 50, 0]], calculator=LennardJones(rc=3.0))
    free.set_velocities(np.ones((3, 3)))
    rates = np.array([0.0, 0.01, 0.03]) / FS
    md.Langevin(free, FS, temperature_K=0, friction=rates).run(100)
    assert np.abs(free.get_velocities() / np.exp(-rates * 100 * FS)[:, None] - 1.0).max() <= 1e-3


def test_friction_by_its_name_in_ase(tmp_path: Path) -> None:
    """An observer may set it, as a number of whatever kind."""
    atoms, twin = copper(2), copper(2)
    dynamics = md.Langevin(atoms, FS, temperature_K=300, friction=0.01, seed=1)
    other = md.Langevin(twin, FS, temperature_K=300, friction=0.01, seed=1)
    for given in (0, [0.02] * len(atoms), np.arange(len(atoms)) % 2, np.float32(0.5)):
        dynamics.fr = given
        other.set_friction(given)
        dynamics.run(3)
        other.run(3)
        md.write_checkpoint(tmp_path / "run.npz", dynamics)
        kept = md.read_checkpoint(tmp_path / "run.npz").meta["parameters"]["friction"]
        assert np.array_equal(kept, np.asarray(given, dtype=float))
    assert np.array_equal(atoms.positions, twin.positions)
    dynamics.fr = rates = np.full(len(atoms), 0.01)
    rates[:] = dynamics.fr[:] = -1.0
    assert (dynamics.fr == 0.01).all()
    for bad in (-1.0, "0.1", np.full(3, 0.1)):
        with pytest.raises(ValueError, match="friction: "):
            dynamics.fr = bad


@pytest.mark.parametrize(
    ("name", "attribute", "bad"),
    [
        ("langevin", "temperature_K", -5.0),
        ("langevin", "seed", "1"),
        ("bussi", "temperature_K", np.nan),
        ("bussi", "taut", 0.0),
        ("nose_hoover", "temperature_K", "300"),
        ("nose_hoover", "tdamp", -1.0),
        ("nose_hoover", "tchain", 2.5),
        ("mtk", "temperature_K", 0),
        ("mtk", "pressure_au", np.inf),
        ("mtk", "pdamp", None),
    ],
)
def test_attributes_that_are_set_are_checked(name: str, attribute: str, bad: Any) -> None:
    """By the next run, as by the constructor; a good one then goes on."""
    atoms = copper(2)
    dynamics = INTEGRATORS[name][0](atoms)
    dynamics.run(1)
    before = getattr(dynamics, attribute)
    setattr(dynamics, attribute, bad)
    with pytest.raises(ValueError, match=f"^{attribute}: "):
        dynamics.run(1)
    setattr(dynamics, attribute, before)
    dynamics.run(1)
    twin = copper(2)
    INTEGRATORS[name][0](twin).run(2)
    assert_same(atoms, twin)


def test_a_checkpoint_of_many_frictions(tmp_path: Path) -> None:
    """Each atom's is kept to the last bit, however many there are."""
    atoms = argon(25)
    rates = np.random.default_rng(0).random(len(atoms))
    dynamics = _langevin(atoms, rates)
    md.write_checkpoint(tmp_path / "a.npz", dynamics)
    held = md.read_checkpoint(tmp_path / "a.npz")
    assert held.dynamics(atoms.calc).fr.tobytes() == rates.tobytes()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda a: md.VelocityVerlet(a, 0.0), ValueError, "timestep"),
        (lambda a: md.VelocityVerlet(a, np.nan), ValueError, "timestep"),
        (lambda a: md.VelocityVerlet(a, "2"), ValueError, "timestep: '2'; expected a positive"),
        (lambda a: md.VelocityVerlet(a, 2 + 0j), ValueError, "timestep"),
        (lambda a: md.VelocityVerlet(a, True), ValueError, "timestep: True"),
        (lambda _: md.VelocityVerlet("cu.xyz", FS), TypeError, "atoms: 'cu.xyz'; expected an ase"),
        (lambda a: md.VelocityVerlet(a, FS, skin=-1), ValueError, "skin"),
        (lambda a: md.VelocityVerlet(a, FS, skin="0.3"), ValueError, "skin: '0.3'"),
        (lambda a: md.VelocityVerlet(a, FS).run(-1), ValueError, "steps"),
        (lambda a: md.VelocityVerlet(a, FS).run(1.5), ValueError, "steps"),
        (lambda a: md.Langevin(a, FS, temperature_K=300), TypeError, "friction"),
        (lambda a: md.Langevin(a, FS, temperature_K=-1, friction=1), ValueError, "temperature_K"),
        (lambda a: md.Langevin(a, FS, temperature_K=3, friction=-1), ValueError, "friction"),
        (lambda a: md.Langevin(a, FS, temperature_K=3, friction=np.ones(4)), ValueError, "friction"),
        (lambda a: _langevin(a, np.ones((3, 4))), ValueError, r"friction: shape .*one for each"),
        (lambda a: _langevin(a, np.ones((len(a), 3))), ValueError, "friction: shape"),
        (lambda a: _langevin(a, -np.ones(len(a))), ValueError, "friction: has -1.0"),
        (lambda a: _langevin(a, np.full(len(a), np.nan)), ValueError, r"friction\[0\] is nan"),
        (lambda a: _langevin(a, ["0.1"] * len(a)), ValueError, "friction: of type str"),
        (lambda a: _langevin(a, np.ones(len(a)) * 1j), ValueError, "friction: of type complex128"),
        (lambda a: _langevin(a, "0.1"), ValueError, "friction: '0.1'"),
        (lambda a: md.Langevin(a, FS, temperature_K="9", friction=1), ValueError, "temperature_K: '9'"),
        (lambda a: md.Langevin(a, FS, friction=1), TypeError, "temperature_K"),
        (
            lambda a: md.Langevin(a, FS, temperature_K=3, friction=1, fixcm=True),
            UnsupportedError,
            "FixCom",
        ),
        (lambda a: md.Langevin(a, FS, temperature_K=3, friction=1, seed=-1), ValueError, "seed"),
        (lambda a: md.Bussi(a, FS, 300, 0.0), ValueError, "taut"),
        (lambda a: md.Bussi(a, FS, 300, FS, seed=1, rng=np.random), ValueError, "seed and rng"),
        (lambda a: md.Bussi(a, FS, 300, FS, rng=1), TypeError, "rng: 1; expected a generator"),
        (lambda a: md.NoseHooverChain(a, FS, 300, 100 * FS, tchain=0), ValueError, "tchain"),
        (lambda a: md.NoseHooverChain(a, FS, 0, 100 * FS), ValueError, "temperature_K"),
        (lambda a: md.MTKNPT(a, FS, 300, np.inf, FS, FS), ValueError, "pressure_au"),
        (lambda a: md.MTKNPT(a, FS, 300, 0, FS, -FS), ValueError, "pdamp"),
        (lambda a: md.MTKNPT(a, FS, 300, "1", FS, FS), ValueError, "pressure_au: '1'"),
        (lambda a: md.Bussi(a, FS, 300, "1"), ValueError, "taut: '1'"),
        *(
            (lambda a, m=m: md.MaskedMTKNPT(a, FS, 300, 0, FS, FS, mask=m), ValueError, "mask: ")
            for m in ((2, 0, 1), (0, 0, 0), ("T", "F", "T"), "TFT", (1, 0), True, None, (1, np.nan, 0))
        ),
    ],
)  # fmt: skip
def test_bad_arguments(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make(copper(2))
