"""Calculators inside ASE's optimizers, molecular dynamics, NEB and sockets."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.socketio import SocketClient, SocketIOCalculator
from ase.filters import FrechetCellFilter
from ase.md.verlet import VelocityVerlet
from ase.mep import NEB
from ase.optimize import BFGS, FIRE

from mdkern.calculators import EAM, LennardJones, Morse

MAKERS = {
    "lj": (lambda **kw: LennardJones(epsilon=0.0103, sigma=3.4, rc=7.5, force_shift=True, **kw), "Ar", 5.3, 4.0),
    "lj_smooth": (lambda **kw: LennardJones(epsilon=0.0103, sigma=3.4, rc=7.5, smooth=True, **kw), "Ar", 5.3, 4.0),
    "eam": (lambda **kw: EAM.zhou2004(["Cu"], **kw), "Cu", 3.61, 2.0),
}  # fmt: skip


def hot(symbol: str, a: float, kelvin: float, repeat: int = 2) -> Atoms:
    atoms = bulk(symbol, "fcc", a=a, cubic=True) * repeat
    width = np.sqrt(atoms.get_masses()[:, None] * 2 * kelvin * units.kB)
    atoms.set_momenta(width * np.random.default_rng(1).normal(size=(len(atoms), 3)))
    return atoms


def total_energies(atoms: Atoms, fs: float, steps: int) -> Any:
    values: list[float] = []
    dynamics = VelocityVerlet(atoms, fs * units.fs)
    dynamics.attach(lambda: values.append(atoms.get_total_energy() / len(atoms)))
    dynamics.run(steps)
    return np.array(values)


@pytest.mark.parametrize("name", MAKERS)
def test_energy_is_conserved_to_second_order(name: str) -> None:
    """Half the time step, a quarter of the fluctuation: forces are the slope of the energy."""
    make, symbol, a, fs = MAKERS[name]
    spread = []
    for divide in (1, 2):
        atoms = hot(symbol, a, 30 if symbol == "Ar" else 300)
        atoms.calc = make()
        energies = total_energies(atoms, fs / divide, 150 * divide)
        kinetic = atoms.get_kinetic_energy() / len(atoms)
        spread.append(energies.std())
        assert spread[-1] <= 3e-3 * kinetic
        assert atoms.calc.n_builds < 30
    assert 3.3 <= spread[0] / spread[1] <= 4.7


def test_the_skin_decides_how_often_the_list_is_built() -> None:
    make, symbol, a, fs = MAKERS["eam"]
    builds, energies = {}, {}
    for skin in (0.0, 0.3, 1.0):
        atoms = hot(symbol, a, 600)
        atoms.calc = make(skin=skin)
        energies[skin] = total_energies(atoms, fs, 100)
        builds[skin] = atoms.calc.n_builds
    assert builds[0.0] == 101
    assert builds[1.0] < builds[0.3] <= 35
    assert 1 <= builds[1.0] <= 8
    for skin in (0.3, 1.0):
        assert np.abs(energies[skin] - energies[0.0]).max() <= 1e-10


@pytest.mark.parametrize("optimizer", [FIRE, BFGS])
def test_cell_relaxation_finds_the_lattice_constant(optimizer: Any) -> None:
    calc = EAM.zhou2004(["Cu"])
    atoms = bulk("Cu", cubic=True, a=3.7)
    atoms.calc = calc
    strain = np.array([[1.01, 0.02, 0], [0, 0.99, 0], [0, 0.01, 1.0]])
    atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
    atoms.positions[0] += 0.05
    assert optimizer(FrechetCellFilter(atoms), logfile=None).run(fmax=2e-4, steps=400)
    assert np.abs(atoms.get_stress()).max() <= 1e-4
    cell = atoms.cell.cellpar()
    assert np.abs(cell[:3] - 3.615).max() <= 0.01
    assert np.abs(cell[3:] - 90).max() <= 0.05
    lengths = np.linspace(3.58, 3.65, 15)
    energies = [calc.get_potential_energy(bulk("Cu", a=a)) for a in lengths]
    curve = np.polyfit(lengths, energies, 4)
    roots = np.roots(np.polyder(curve))
    minimum = roots[np.argmin(np.abs(roots - 3.615))].real
    assert abs(cell[:3].mean() - minimum) <= 2e-4


def test_an_optimizer_asks_once_per_step() -> None:
    atoms = bulk("Cu", cubic=True) * 2
    atoms.positions += np.random.default_rng(2).normal(scale=0.1, size=atoms.positions.shape)
    calls = 0

    class Counted(Morse, potential=Morse.potential_class, ase_name="counted"):
        def calculate(self, *args: Any, **kw: Any) -> None:
            nonlocal calls
            calls += 1
            super().calculate(*args, **kw)

    atoms.calc = Counted(D=0.34, alpha=1.36, r0=2.87, rc=6.0, shift=True)
    optimizer = FIRE(atoms, logfile=None)
    assert optimizer.run(fmax=0.01, steps=300)
    assert calls == optimizer.nsteps + 1


def test_neb_with_one_calculator_per_image() -> None:
    """An adatom-like hop of a vacancy in copper: the barrier is positive and symmetric."""
    start = bulk("Cu", cubic=True) * 2
    end = start.copy()
    hop = start.positions[1].copy()
    del start[0]
    end.positions[1] = end.positions[0]
    del end[0]
    assert np.linalg.norm(end.positions[0] - hop) > 2
    calc = EAM.zhou2004(["Cu"])
    for atoms in (start, end):
        atoms.calc = EAM.zhou2004(["Cu"])
        BFGS(atoms, logfile=None).run(fmax=0.02, steps=100)
    images = [start] + [start.copy() for _ in range(3)] + [end]
    for image in images[1:-1]:
        image.calc = type(calc)(**calc.todict())
    neb = NEB(images, method="improvedtangent")
    neb.interpolate(mic=True)
    assert FIRE(neb, logfile=None).run(fmax=0.08, steps=200)
    energies = np.array([image.get_potential_energy() for image in images])
    energies -= energies[0]
    assert abs(energies[-1]) <= 1e-3
    assert abs(energies[1] - energies[3]) <= 0.02
    assert 0.3 <= energies[2] <= 1.5


def test_as_a_client_over_a_unix_socket() -> None:
    """i-PI's protocol: what arrives is what the calculator says directly."""
    atoms = bulk("Cu", cubic=True) * 2
    rng = np.random.default_rng(3)
    name = f"mdkern-{uuid.uuid4().hex[:12]}"
    direct = EAM.zhou2004(["Cu"])
    failed: list[BaseException] = []

    def client() -> None:
        try:
            mine = atoms.copy()
            mine.calc = EAM.zhou2004(["Cu"])
            SocketClient(unixsocket=name, timeout=20).run(mine, use_stress=True)
        except BaseException as e:  # noqa: BLE001 - reported by the test
            failed.append(e)

    worker = threading.Thread(target=client, daemon=True)
    with SocketIOCalculator(unixsocket=name, timeout=20) as server:
        worker.start()
        here = atoms.copy()
        here.calc = server
        for _ in range(4):
            here.positions += rng.normal(scale=0.05, size=here.positions.shape)
            forces, expected = here.get_forces(), direct.get_forces(here)
            assert np.abs(forces - expected).max() <= 1e-12
            assert abs(here.get_potential_energy() - direct.get_potential_energy(here)) <= 1e-10
            assert np.abs(here.get_stress() - direct.get_stress(here)).max() <= 1e-13
    worker.join(timeout=20)
    assert not worker.is_alive()
    assert failed == []
