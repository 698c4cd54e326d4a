"""mdkern inside the real i-PI: as a driver that takes all beads at once, and over sockets. Without it the tests are skipped."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.socketio import SocketClient

import mdkern
from mdkern.calculators import EAM, LennardJones

if importlib.util.find_spec("ipi") is None:
    pytest.skip("needs i-PI: pip install '.[ecosystem]'", allow_module_level=True)

from ipi.pes import load_pes
from ipi.pes._ase import ASEDriver
from ipi.scripting import InteractiveSimulation, simulation_xml

import mdkern.i_pi
from mdkern.i_pi import Driver

FILE = mdkern.i_pi.__file__
MODEL = Path(__file__).parent / "data" / "classical" / "synthetic_Cu.eam"
BOHR = 1.8897261  # per Angstrom, as i-PI has it
BEADS = 4
MOTION = "<motion mode='dynamics'><dynamics mode='nve'><timestep units='femtosecond'> 1.0 </timestep></dynamics></motion>"

pytestmark = pytest.mark.filterwarnings("default")  # of i-PI


def crystal() -> Atoms:
    return bulk("Cu", cubic=True, a=3.615) * (2, 1, 1)


def beads(n: int, seed: int = 0) -> tuple[list[Any], list[Any]]:
    """Cells and positions as i-PI has them: bohr, triclinic, vectors as columns."""
    rng = np.random.default_rng(seed)
    atoms = crystal()
    cells, positions = [], []
    for _ in range(n):
        strain = np.eye(3) + rng.normal(scale=0.02, size=(3, 3))
        moved = atoms.positions @ strain + rng.normal(scale=0.05, size=(len(atoms), 3))
        cells.append((atoms.cell.array @ strain).T * BOHR)
        positions.append(moved * BOHR)
    return cells, positions


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    ase.io.write("start.xyz", crystal())
    return tmp_path


def test_numbers_are_those_of_the_driver_of_i_pi_for_ase(folder: Path) -> None:
    """Units, the order of cells and the sign of virials, by code that is not ours."""
    calc = EAM(MODEL)
    theirs = ASEDriver(str(folder / "start.xyz"))
    theirs.ase_calculator = calc
    ours = Driver(crystal(), calc)
    cells, positions = beads(5)
    together = ours(list(cells), list(positions))
    assert len(together) == 5
    for cell, pos, got in zip(cells, positions, together, strict=True):
        energy, forces, virial, _ = theirs(cell, pos)
        assert got[0] == pytest.approx(float(energy), abs=1e-12)
        # i-PI's unit of forces is that of energies by that of lengths to seven digits.
        assert np.abs(got[1] - forces).max() < 1e-6 * np.abs(forces).max()
        assert np.abs(got[2].ravel() - virial).max() < 1e-11
        assert np.abs(virial).max() > 1e-3
        assert got[3] == ""
        alone = Driver(crystal(), calc)(cell, pos)
        assert alone[0] == got[0]
        assert np.array_equal(alone[1], got[1])


def test_each_bead_keeps_its_neighbor_list() -> None:
    driver = Driver(crystal(), EAM(MODEL))
    cells, positions = beads(3)
    for k in range(4):
        driver(list(cells), [p + 0.01 * k for p in positions])
    assert [image.calc.n_builds for image in driver.images] == [1, 1, 1]
    fewer = driver(list(cells[:2]), list(positions[:2]))
    assert len(fewer) == 2
    more = driver(cells + cells, positions + positions)
    assert [r[0] for r in more[:2]] == [r[0] for r in fewer]


def test_a_template_without_periodic_directions() -> None:
    atoms = molecule("CH4")
    driver = Driver(atoms, LennardJones(sigma=1.5, epsilon=0.01, rc=3.0))
    energy, forces, virial, _ = driver(np.eye(3) * 3.0 * BOHR, atoms.positions * BOHR)
    atoms.calc = LennardJones(sigma=1.5, epsilon=0.01, rc=3.0)
    assert energy == pytest.approx(atoms.get_potential_energy() / units.Hartree, rel=1e-6)
    assert np.abs(forces).max() > 1e-3
    assert np.abs(virial).max() > 1e-3


def xml(forces: str, output: str | None = None) -> str:
    """Four beads."""
    heat = 300 * units.kB
    text: str = simulation_xml(replicas(), forces, MOTION, temperature=heat, output=output)
    return text.replace("<system>", "<prng><seed>31</seed></prng><system>")


def replicas() -> list[Atoms]:
    out = []
    for k in range(BEADS):
        out.append(crystal())
        out[-1].rattle(0.03, seed=k)
    return out


def test_path_integrals_conserve_energy(folder: Path) -> None:
    """Springs and potential together; with all beads in a call as with one after the other."""
    ends = []
    for batch_size in (BEADS, 1):
        forces = (
            f"<ffdirect name='mdkern'><pes>custom</pes><pes_path>{FILE}</pes_path><batch_size>{batch_size}</batch_size>"
            f"<parameters>{{template: {folder / 'start.xyz'}, calculator: {MODEL}, threads: 2}}</parameters></ffdirect>"
        )
        run = InteractiveSimulation(xml(forces))
        conserved = []
        for _ in range(4):
            run.run(15)
            conserved.append(run.properties("conserved"))
        kinetic = run.properties("kinetic_md")
        assert kinetic > 0.02
        assert np.ptp(conserved) < 2e-3 * kinetic
        calc = EAM(MODEL)
        now = run.get_structures()
        for atoms in now:
            atoms.pbc = True
        direct = [calc.get_potential_energy(atoms) for atoms in now]
        assert run.properties("potential") == pytest.approx(np.mean(direct), abs=1e-5)
        ends.append([atoms.positions for atoms in now])
    assert np.abs(np.subtract(*ends)).max() < 1e-9


# --- i-PI in a process of its own -------------------------------------------------------------------
@contextmanager
def i_pi(folder: Path, more: str = "", steps: int = 5) -> Iterator[str]:
    """i-PI, which listens on a unix socket of this name; it has to come to its end, and energies have to be right."""
    name = f"mdkern-{uuid.uuid4().hex[:12]}"
    output = (
        "<output prefix='run'><properties stride='1' filename='out'> [ step, potential{electronvolt} ] </properties>"
        "<trajectory stride='1' filename='pos' cell_units='angstrom'> positions{angstrom} </trajectory></output>"
        f"<total_steps>{steps}</total_steps>"
    )
    forces = f"<ffsocket name='mdkern' mode='unix'><address>{name}</address>{more}</ffsocket>"
    (folder / "input.xml").write_text(xml(forces, output))
    log = folder / "log"
    with log.open("w") as out:
        command = [sys.executable, str(Path(sys.executable).with_name("i-pi")), "input.xml"]
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
    try:
        for _ in range(600):
            if Path(f"/tmp/ipi_{name}").exists() or process.poll() is not None:
                break
            time.sleep(0.1)
        assert process.poll() is None, log.read_text()
        yield name
        assert process.wait(timeout=60) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
    potentials = np.loadtxt(folder / "run.out")
    calc, energies = EAM(MODEL), []
    for k in range(BEADS):
        frames = ase.io.read(folder / f"run.pos_{k}.xyz", ":")
        for frame in frames:
            frame.set_cell(crystal().cell)
            frame.pbc = True
        energies.append([calc.get_potential_energy(frame) for frame in frames])
    assert potentials.shape == (steps + 1, 2)
    assert potentials[:, 1] == pytest.approx(np.mean(energies, axis=0), abs=1e-4)
    assert np.ptp(potentials[:, 1]) > 1e-3


def test_ase_is_a_client_of_i_pi(folder: Path) -> None:
    with i_pi(folder) as name:
        worker = crystal()
        worker.calc = EAM(MODEL)
        SocketClient(unixsocket=name, timeout=60).run(worker, use_stress=True)


def test_all_beads_at_once_over_a_socket(folder: Path) -> None:
    driver = [sys.executable, str(Path(sys.executable).with_name("i-pi-driver-py")), "-m", "custom"]
    options = f"template=start.xyz,calculator={MODEL}"
    with i_pi(folder, f"<batch_size>{BEADS}</batch_size>") as name:
        command = [*driver, "-P", FILE, "-o", options, "-u", "-a", name]
        client = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert client.returncode == 0, client.stderr


def test_bad_arguments(folder: Path) -> None:
    calc = EAM(MODEL)
    loaded = load_pes("custom", FILE)
    assert loaded.__name__ == "Driver"
    with pytest.raises(TypeError, match=r"template: .*; expected an ase.Atoms"):
        Driver(3, calc)
    with pytest.raises(TypeError, match=r"threads: given beside a calculator"):
        Driver(crystal(), calc, threads=2)
    with pytest.raises(TypeError, match=r"calculator: 3; expected one of mdkern.calculators"):
        Driver(crystal(), 3)
    with pytest.raises(FileNotFoundError):
        Driver(folder / "nothing.xyz", calc)
    driver = Driver(crystal(), calc)
    (cell,), (pos,) = beads(1)
    with pytest.raises(ValueError, match=r"cell: 1 of them for 2 arrays of positions"):
        driver([cell], [pos, pos])
    with pytest.raises(ValueError, match=r"pos: shape \(7, 3\); expected \(8, 3\)"):
        driver(cell, pos[:-1])
    pos[1] = pos[0]
    with pytest.raises(mdkern.calculators.NonFiniteError, match="image 0: "):
        driver(cell, pos)
