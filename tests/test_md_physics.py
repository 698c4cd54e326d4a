"""What trajectories must have: conserved energies, the right distributions, averages from the literature."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from md_checks import FS, argon, copper

from mdkern import md
from mdkern.analysis import correlation_time, energy_drift
from mdkern.calculators import EAM, LennardJones
from mdkern.moving import degrees_of_freedom


def samples(dynamics: Any, steps: int, every: int) -> Any:
    """Rows of (step, potential, kinetic, volume, trace of the virial, reservoir), taken in the core."""
    dynamics.record(every)
    dynamics.run(steps)
    return dynamics.recorded()


def mean_and_error(x: Any) -> tuple[float, float]:
    return float(x.mean()), float(x.std() * np.sqrt(correlation_time(x) / len(x)))


# --- conserved energy --------------------------------------------------------------------------------
CONSERVING = {
    "verlet": md.VelocityVerlet,
    "bussi": lambda a, dt: md.Bussi(a, dt, 300, 1e7 * FS, seed=1),
    "nose_hoover": lambda a, dt: md.NoseHooverChain(a, dt, 300, 50 * FS),
    "isotropic_mtk": lambda a, dt: md.IsotropicMTKNPT(a, dt, 300, 0.0, 50 * FS, 200 * FS),
    "mtk": lambda a, dt: md.MTKNPT(a, dt, 300, 0.0, 50 * FS, 200 * FS),
    "masked_mtk": lambda a, dt: md.MaskedMTKNPT(
        a, dt, 300, 0.0, 50 * FS, 200 * FS, mask=(True, True, False)
    ),
}


@pytest.mark.parametrize("name", CONSERVING)
def test_half_the_step_a_quarter_of_the_fluctuation(name: str) -> None:
    spread = []
    for divide in (1, 2):
        atoms = copper(kelvin=600)
        dynamics = CONSERVING[name](atoms, 2 * FS / divide)
        rows = samples(dynamics, 400 * divide, divide)
        assert len(rows) == 400
        assert rows[:, 0].tolist() == [divide * (k + 1) for k in range(400)]
        energy = rows[:, 1] + rows[:, 2] + rows[:, 5]
        assert abs(energy[-1] - dynamics.get_conserved_energy()) <= 1e-9
        kinetic = rows[:, 2].mean()
        spread.append(energy.std())
        assert spread[-1] <= 1e-3 * kinetic
    assert 3.3 <= spread[0] / spread[1] <= 4.7


@pytest.mark.slow
@pytest.mark.parametrize(("system", "fs"), [("argon", 2.0), ("argon", 1.0), ("copper", 2.0)])
def test_no_drift_over_a_hundred_picoseconds(system: str, fs: float) -> None:
    """1 meV/atom/ns and two standard errors of the fit."""
    atoms = argon(kelvin=160) if system == "argon" else copper(kelvin=600, skin=0.6)
    dynamics = md.VelocityVerlet(atoms, fs * FS)
    dynamics.run(500)
    rows = samples(dynamics, int(1e5 / fs), 20)
    drift = energy_drift(1e-6 * fs * rows[:, 0], 1e3 * (rows[:, 1] + rows[:, 2]) / len(atoms))
    assert drift is not None
    assert abs(drift.slope) <= 1.0 + 2.0 * drift.error
    assert drift.error <= 0.5


# --- thermostats ---------------------------------------------------------------------------------------
THERMOSTATS = {
    "langevin": lambda a: md.Langevin(a, 2 * FS, temperature_K=150, friction=1 / (80 * FS), seed=3),
    "bussi": lambda a: md.Bussi(a, 2 * FS, 150, 20 * FS, seed=3),
    "nose_hoover": lambda a: md.NoseHooverChain(a, 2 * FS, 150, 40 * FS),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", THERMOSTATS)
def test_canonical_distribution(name: str) -> None:
    """Kinetic energy: gamma distributed, the right shares for light and heavy atoms, normal momenta.

    With the centre of mass fixed the share of an atom is 3/2 kT (1 - m / M), M the mass of all.
    """
    atoms = argon(2, kelvin=300)
    light = np.arange(len(atoms)) % 2 == 0
    atoms.set_masses(np.where(light, 10.0, 40.0))
    if name != "langevin":  # the others keep the momentum that they start with
        from ase.constraints import FixCom

        atoms.set_constraint(FixCom())
    dynamics = THERMOSTATS[name](atoms)
    dynamics.run(2000)
    shares: list[Any] = []
    momenta: list[Any] = []
    scale = np.sqrt(atoms.get_masses()[:, None] * units.kB * 150)

    def look() -> None:
        p = atoms.get_momenta()
        energies = 0.5 * (p**2).sum(axis=1) / atoms.get_masses()
        shares.append((energies[light].mean(), energies[~light].mean()))
        momenta.append(p / scale)

    dynamics.attach(look, 40)
    rows = samples(dynamics, 100_000, 10)
    n_dof = degrees_of_freedom(atoms)
    kinetic = rows[:, 2] / (0.5 * units.kB * 150)  # chi square with n_dof
    mean, error = mean_and_error(kinetic)
    assert abs(mean - n_dof) <= 4.5 * error + 2e-3 * n_dof
    assert error <= 5e-3 * n_dof
    square, error = mean_and_error((kinetic - mean) ** 2)
    assert abs(square - 2 * n_dof) <= 4.5 * error + 0.02 * n_dof
    assert error <= 0.1 * 2 * n_dof
    for share, mass in zip(np.array(shares).T, (10.0, 40.0), strict=True):
        mean, error = mean_and_error(share)
        free = 1.0 if name == "langevin" else 1.0 - mass / atoms.get_masses().sum()
        assert error <= 2e-4
        assert abs(mean - 1.5 * units.kB * 150 * free) <= 4.5 * error + 1e-5
    z = np.array(momenta).ravel()
    assert abs((z**4).mean() / (z**2).mean() ** 2 - 3.0) <= 0.06


@pytest.mark.slow
def test_lennard_jones_fluid_against_the_literature() -> None:
    """Energy and pressure at T* = 0.85, rho* = 0.82.

    NIST Standard Reference Simulation Website (SRD 173), Lennard-Jones Fluid Properties, page "MC": NVT Monte Carlo with
    cuts at 3 sigma and long-range corrections. U* = -5.7947, p* = 0.55355. The equation of state of J. Kolafa and
    I. Nezbeda, Fluid Phase Equilibria 100, 1 (1994), which is no more exact than its fit, has -5.7957 and 0.542 there.
    """
    epsilon, sigma, kelvin, rho, rc = 0.0104, 3.4, 0.85, 0.82, 3.0
    atoms = bulk("Ar", cubic=True, a=(4 / rho) ** (1 / 3) * sigma) * 5
    momenta = np.random.default_rng(1).normal(size=(len(atoms), 3))
    atoms.set_momenta(momenta - momenta.mean(axis=0))
    target = kelvin * epsilon / units.kB
    atoms.set_momenta(atoms.get_momenta() * np.sqrt(2 * target / atoms.get_temperature()))
    atoms.calc = LennardJones(epsilon=epsilon, sigma=sigma, rc=rc * sigma, shift=False, skin=0.7)
    dynamics = md.Bussi(atoms, 5 * FS, target, 200 * FS, seed=1)
    dynamics.run(5000)
    rows = samples(dynamics, 20_000, 10)
    n = len(atoms)
    tail = rc**-9 / 3 - rc**-3
    energy = rows[:, 1] / (n * epsilon) + 8 / 3 * np.pi * rho * tail
    pressure = (rows[:, 4] + 2 * rows[:, 2]) / (3 * rows[:, 3]) * sigma**3 / epsilon
    pressure += 16 / 3 * np.pi * rho**2 * (2 / 3 * rc**-9 - rc**-3)
    for values, wanted, most in ((energy, -5.7947, 5e-3), (pressure, 0.55355, 0.03)):
        mean, error = mean_and_error(values)
        assert error <= most
        assert abs(mean - wanted) <= 4.5 * error


# --- barostats -----------------------------------------------------------------------------------------
def _bulk_modulus(calc: Any, a: float) -> float:
    pressures = []
    for scale in (0.999, 1.001):
        atoms = bulk("Cu", a=a * scale, cubic=True)
        atoms.calc = calc
        pressures.append(-atoms.get_stress()[:3].mean())
    return float((pressures[0] - pressures[1]) / (3 * np.log(1.001 / 0.999)))


@pytest.mark.slow
def test_copper_at_constant_pressure() -> None:
    """Lattice constant, mean pressure, and the fluctuation of the volume: kT V / B."""
    calc = EAM.zhou2004(["Cu"], skin=0.4)
    kelvin = 100.0
    atoms = bulk("Cu", cubic=True, a=3.64) * 3
    momenta = np.random.default_rng(2).normal(size=(len(atoms), 3))
    momenta -= momenta.mean(axis=0)
    atoms.set_momenta(momenta * np.sqrt(2 * atoms.get_masses()[:, None] * units.kB * kelvin))
    atoms.calc = calc
    dynamics = md.IsotropicMTKNPT(atoms, 4 * FS, kelvin, 0.0, 100 * FS, 300 * FS)
    dynamics.run(5000)
    rows = samples(dynamics, 60_000, 10)
    n, volume = len(atoms), rows[:, 3]
    lengths = (4 * volume / n) ** (1 / 3)
    mean_length, error = mean_and_error(lengths)
    # At rest 3.6150 (the published 3.61496 and the switch at the cutoff); then thermal expansion.
    assert error <= 2e-4
    assert 3.6150 + 3e-3 <= mean_length <= 3.6150 + 15e-3
    assert atoms.cell.lengths() == pytest.approx(3 * lengths[-1], rel=1e-12)
    pressure, error = mean_and_error((rows[:, 4] + 2 * rows[:, 2]) / (3 * volume) / units.GPa)
    assert error <= 0.05
    assert abs(pressure) <= 4.5 * error
    expected = units.kB * kelvin * volume.mean() / _bulk_modulus(calc, mean_length)
    # The vibrations of a cold crystal exchange energy slowly: the volume keeps one amplitude for long,
    # and only long blocks show how uncertain its square is.
    blocks = ((volume - volume.mean()) ** 2).reshape(12, -1).mean(axis=1)
    error = blocks.std(ddof=1) / np.sqrt(len(blocks))
    assert error <= 0.2 * expected
    assert abs(blocks.mean() - expected) <= 4.5 * error + 0.05 * expected


@pytest.mark.slow
def test_thermal_expansion_of_copper() -> None:
    """Mishin's EAM at 300 K: experiment has 1.65e-5 / K, and 3.615 Angstrom is the lattice at rest."""
    root = os.environ.get("MDKERN_TEST_DATA")
    file = Path(root or "", "potentials", "Cu_mishin1.eam.alloy")
    if not root or not file.is_file():
        pytest.skip("needs MDKERN_TEST_DATA")
    atoms = copper(kelvin=600)
    atoms.calc = EAM(file, skin=0.4)
    dynamics = md.IsotropicMTKNPT(atoms, 4 * FS, 300, 0.0, 100 * FS, 300 * FS)
    dynamics.run(3000)
    rows = samples(dynamics, 20_000, 10)
    mean, error = mean_and_error((4 * rows[:, 3] / len(atoms)) ** (1 / 3))
    assert error <= 5e-4
    assert abs((mean / 3.615 - 1.0) / 300 - 1.6e-5) <= 0.15e-5 + 4.5 * error / 3.615 / 300


def test_all_barostats_find_the_same_cell() -> None:
    """From a strained box; a masked length stays."""
    lengths = {}
    for name in ("isotropic_mtk", "mtk", "masked_mtk"):
        atoms = copper(kelvin=100)
        atoms.set_cell(
            atoms.cell.array * (1.004 if name != "masked_mtk" else 1.0), scale_atoms=True
        )
        start = atoms.cell.lengths()
        kinds = {"isotropic_mtk": md.IsotropicMTKNPT, "mtk": md.MTKNPT}
        arguments = (atoms, 3 * FS, 50.0, 0.0, 100 * FS, 300 * FS)
        if name == "masked_mtk":
            dynamics = md.MaskedMTKNPT(*arguments, mask=(True, True, False))
        else:
            dynamics = kinds[name](*arguments)
        dynamics.run(1000)
        cells: list[Any] = []

        def look(atoms: Atoms = atoms, cells: list[Any] = cells) -> None:
            cells.append(atoms.cell.lengths())

        dynamics.attach(look, 10)
        dynamics.run(4000)
        lengths[name] = np.mean(cells, axis=0) / 3
        if name == "masked_mtk":
            assert abs(atoms.cell.lengths()[2] - start[2]) <= 1e-12
    assert np.abs(lengths["isotropic_mtk"] - 3.620).max() <= 4e-3
    assert np.abs(lengths["mtk"] - lengths["isotropic_mtk"]).max() <= 4e-3
