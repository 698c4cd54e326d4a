"""``mdkern md`` and ``mdkern demo``: plain runs, their outputs, interruption."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.io import read, write
from cli_checks import is_drawn, one_error, process, run_json
from reference_data import OWN, shared_folder

import mdkern
from mdkern.calculators import EAM, LennardJones
from mdkern.cli import comparison, main
from mdkern.cli.potential import sha256

LJ = "lj:epsilon=0.0103,sigma=3.405,rc=8.5"


def test_md_nve(copper: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(OWN / "synthetic.eam.alloy")
    arguments = ("md", copper, "--potential", path, "--temperature", "300", "--timestep", "2")
    outputs = ("-o", "run.extxyz", "--interval", "50", "--log", "run.csv", "--plot", "run.png")
    facts = run_json(capsys, *arguments, *outputs, "--steps", "330", "--seed", "7")
    assert facts["steps"] == 330
    assert facts["potential_sha256"] == sha256(path)
    assert facts["time_ps"] == pytest.approx(0.66)
    assert facts["fluctuation_meV_per_atom"] < 0.05
    assert 100 < facts["temperature_K"]["mean"] < 300
    frames = read("run.extxyz", ":")
    assert [f.info["step"] for f in frames] == [0, 50, 100, 150, 200, 250, 300, 330]
    first, last = frames[0], frames[-1]
    assert first.get_temperature() == pytest.approx(300, rel=1e-6)
    assert np.abs(last.get_momenta().sum(axis=0)).max() < 1e-5
    assert first.info["mdkern_version"] == mdkern.__version__
    assert first.info["mdkern_isa"] == mdkern.get_isa()
    assert first.info["mdkern_seed"] == 7
    assert first.info["mdkern_potential_sha256"] == sha256(path)
    assert "--seed 7" in first.info["mdkern_command"]
    assert "mdkern_version" not in last.info
    again = last.copy()
    again.calc = EAM(path)
    assert last.get_potential_energy() == pytest.approx(again.get_potential_energy(), abs=1e-4)
    assert np.abs(last.get_forces() - again.get_forces()).max() < 1e-6
    lines = Path("run.csv").read_text().splitlines()
    assert json.loads(lines[0].removeprefix("# "))["seed"] == 7
    rows = list(csv.DictReader(lines[1:]))
    assert [int(row["step"]) for row in rows] == list(range(0, 331, 10))
    total = [float(row["epot_eV"]) + float(row["ekin_eV"]) for row in rows]
    assert np.allclose(total, [float(row["etot_eV"]) for row in rows], atol=1e-6)
    assert float(rows[-1]["temperature_K"]) == pytest.approx(last.get_temperature(), abs=0.01)
    assert is_drawn(Path("run.png"))


def test_md_pressure(argon: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Virial and momenta, against the sum that ASE forms."""
    arguments = ("md", argon, "--potential", LJ, "--steps", "0", "--temperature", "80")
    facts = run_json(capsys, *arguments, "-o", "start.traj")
    start = read("start.traj")
    start.calc = LennardJones(epsilon=0.0103, sigma=3.405, rc=8.5)
    wanted = -start.get_stress(include_ideal_gas=True)[:3].mean() / units.GPa
    assert facts["pressure_GPa"]["mean"] == pytest.approx(wanted, rel=1e-9)
    assert facts["steps_per_s"] is None
    assert facts["drift_meV_per_atom_per_ns"] is None


def test_md_repeats_and_is_reproducible(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here / "cell.cif", bulk("Cu", a=3.63, cubic=True))
    ends = []
    for name, seed in (("a.traj", "5"), ("b.traj", "5"), ("c.traj", "6")):
        arguments = ("md", "cell.cif", "--potential", "zhou2004", "--repeat", "2", "3", "4")
        facts = run_json(capsys, *arguments, "--steps", "20", "--seed", seed, "-o", name)
        assert facts["n_atoms"] == 96
        ends.append(read(name).positions)
    assert np.array_equal(ends[0], ends[1])
    assert not np.allclose(ends[0], ends[2])
    frames = read("a.traj", ":")
    assert frames[0].info["mdkern_seed"] == 5
    assert [f.info["step"] for f in frames] == [0, 20]
    assert frames[-1].get_forces().shape == (96, 3)


def test_md_goes_on_with_the_velocities_of_the_file(
    argon: str, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ("--potential", LJ, "--timestep", "4", "--steps", "10")
    run_json(capsys, "md", argon, *base, "--temperature", "90", "-o", "one.traj")
    assert main(["md", "one.traj", *base, "--temperature", "50", "-o", "two.traj"]) == 0
    assert "has velocities" in capsys.readouterr().err
    one, two = read("one.traj"), read("two.traj", 0)
    assert np.array_equal(one.get_momenta(), two.get_momenta())
    run_json(
        capsys, "md", "one.traj", *base, "--temperature", "50", "--new-velocities", "-o", "new.traj"
    )
    assert read("new.traj", 0).get_temperature() == pytest.approx(50)
    parts = (
        "md",
        argon,
        "--potential",
        LJ,
        "--timestep",
        "4",
        "--seed",
        "3",
        "--temperature",
        "90",
    )
    run_json(capsys, *parts, "--steps", "20", "-o", "whole.traj")
    run_json(capsys, *parts, "--steps", "10", "-o", "half.traj")
    run_json(capsys, "md", "half.traj", *base, "-o", "rest.traj")
    assert np.abs(read("whole.traj").positions - read("rest.traj").positions).max() < 1e-10


@pytest.mark.parametrize("thermostat", ["bussi", "langevin"])
def test_md_nvt(thermostat: str, argon: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("md", argon, "--potential", LJ, "--ensemble", "nvt", "--thermostat", thermostat)
    facts = run_json(
        capsys,
        *arguments,
        "--temperature",
        "60",
        "--steps",
        "1500",
        "--timestep",
        "4",
        "--seed",
        "1",
    )
    assert facts["temperature_K"]["mean"] == pytest.approx(60, abs=4)
    known = facts["drift_meV_per_atom_per_ns"] is not None
    assert known == (thermostat == "bussi")
    if known:  # the energy without what the thermostat has put in
        assert facts["fluctuation_meV_per_atom"] < 0.01


def test_md_lennard_jones_parameters(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mixture = bulk("Ar", a=5.4, cubic=True) * (2, 2, 2)
    mixture.symbols[:16] = "Kr"
    write(here / "mix.extxyz", mixture)
    spec = "lj:sigma.Ar=3.4,sigma.Kr=3.6,epsilon.Ar=0.01,epsilon.Kr=0.014,rc=8,shift=false"
    facts = run_json(
        capsys, "md", "mix.extxyz", "--potential", spec, "--steps", "0", "--temperature", "0"
    )
    mixture.calc = LennardJones(
        sigma={"Ar": 3.4, "Kr": 3.6}, epsilon={"Ar": 0.01, "Kr": 0.014}, rc=8, shift=False
    )
    wanted = mixture.get_potential_energy() / len(mixture)
    assert facts["energy_end_eV_per_atom"] == pytest.approx(wanted, rel=1e-9)
    assert main(["md", "mix.extxyz", "--potential", "morse:D=0.01,alpha=1.4,r0=3.8,rc=8"]) == 0


def test_md_cluster(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No cell: no pressure, no radial distribution, and a picture all the same."""
    write(here / "dimer.xyz", Atoms("Ar2", [[0, 0, 0], [3.9, 0, 0]]))
    arguments = ("md", "dimer.xyz", "--potential", LJ, "--temperature", "20", "--steps", "200")
    facts = run_json(capsys, *arguments, "--plot", "dimer.png", "--timestep", "2")
    assert facts["pressure_GPa"] is None
    assert Path("dimer.png").stat().st_size > 10_000


def test_outputs_are_protected(copper: str, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["md", copper, "--potential", "zhou2004", "--steps", "2"]
    Path("run.extxyz").write_text("precious")
    original = Path(copper).read_bytes()
    os.link(copper, "link.extxyz")
    Path("soft.extxyz").symlink_to(copper)
    assert main([*base, "-o", "run.extxyz"]) == 2
    one_error(capsys, "run.extxyz: exists", "--overwrite")
    assert Path("run.extxyz").read_text() == "precious"
    for name in (copper, f"./{copper}", "link.extxyz", "soft.extxyz"):
        assert main([*base, "-o", name, "--overwrite"]) == 2
        one_error(capsys, "is an input")
    Path("log.csv").write_text("precious")
    assert main([*base, "--log", "log.csv"]) == 2
    one_error(capsys, "log.csv: exists")
    assert main([*base, "-o", "run.extxyz", "--log", "log.csv", "--overwrite"]) == 0
    assert len(read("run.extxyz", ":")) == 2
    assert Path(copper).read_bytes() == original
    capsys.readouterr()
    Path("pairs.npz").write_text("precious")
    assert main(["neighbors", copper, "--cutoff", "3", "-o", "pairs.npz"]) == 2
    one_error(capsys, "pairs.npz: exists")


def test_a_folder_without_permission_is_said_before_any_work(
    copper: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the result of the work would be lost. Root may write everywhere, so the system's answer is made up."""
    Path("closed").mkdir()
    Path("old.extxyz").write_text("old")
    monkeypatch.setattr(
        "mdkern.cli.options.os.access",
        lambda path, _mode: Path(path).name not in ("closed", "old.extxyz"),
    )
    relax = ("relax", copper, "--potential", "zhou2004", "-o")
    for output, what in (("closed/new.extxyz", "its folder"), ("old.extxyz", "the file")):
        assert main([*relax, output, "--overwrite"]) == 2
        one_error(capsys, f"{output}: no permission to write; expected {what}")
    assert Path("old.extxyz").read_text() == "old"


def test_a_potential_in_a_folder_with_blanks_is_found_again(
    copper: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("my  folder").mkdir()
    shutil.copy(OWN / "synthetic.eam.alloy", "my  folder/Cu  a.eam.alloy")
    run = ("md", copper, "--potential", "my  folder/Cu  a.eam.alloy", "--steps", "3")
    run_json(capsys, *run, "--checkpoint", "run.npz")
    assert run_json(capsys, "md", "--restart", "run.npz", "--steps", "2")["steps"] == 2


@pytest.mark.parametrize("name", ["POSCAR", "out.vasp"])
def test_a_structure_that_the_output_has_no_place_for(
    name: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said before the work, of which nothing would be left."""
    write("dimer.xyz", Atoms("Cu2", [[0, 0, 0], [0, 0, 2.4]]))
    assert main(["relax", "dimer.xyz", "--potential", "zhou2004", "-o", name]) == 2
    one_error(capsys, f"-o {name}: ASE cannot write dimer.xyz so", "Lattice", "expected")
    assert not (here / name).exists()
    assert main(["relax", "dimer.xyz", "--potential", "zhou2004", "-o", "out.xyz"]) == 0


@pytest.mark.parametrize("command", ["md", "relax", "evaluate"])
def test_names_that_a_file_leaves_empty(
    command: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A PDB file without names of residues, of which a column of nothing became."""
    row = "HETATM{k:5d} CU   {name:4s}{k:5d}    {x:8.3f}   1.000   1.000  1.00  0.00          CU\n"
    text = "".join(row.format(k=k, x=2.4 * k, name=name) for k, name in ((1, ""), (2, "A B")))
    (here / "a.pdb").write_text(text + "END\n")
    more = ("--steps", "1", "--fmax", "100") if command == "relax" else ("--steps", "1")
    words = (command, "a.pdb", "--potential", "zhou2004", "-o", "out.extxyz")
    run_json(capsys, *words, *(() if command == "evaluate" else more))
    atoms = read("out.extxyz")
    assert atoms.arrays["residuenames"].tolist() == ["_", "A_B"]
    assert atoms.get_forces().shape == (2, 3)


def test_md_that_blows_up(argon: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Finished frames and the summary are kept, the status is 1."""
    arguments = ["md", argon, "--potential", LJ, "--timestep", "1e9", "--temperature", "1e6"]
    assert main([*arguments, "--steps", "200", "--interval", "1", "-o", "run.extxyz"]) == 1
    captured = capsys.readouterr()
    velocities, error = captured.err.splitlines()
    assert velocities.startswith("mdkern: velocities: drawn at 1e+06 K, seed ")
    assert error.startswith("mdkern: error: stopped after step")
    assert "run.extxyz" in captured.out
    frames = read("run.extxyz", ":")
    assert np.isfinite(frames[-1].get_potential_energy())


@pytest.mark.parametrize("name", ["run.extxyz", "run.traj"])
def test_md_interrupted(name: str, copper: str, here: Path) -> None:
    arguments = ("md", copper, "--potential", "zhou2004", "--steps", "100000000", "--json")
    outputs = ("-o", name, "--log", "run.csv", "--interval", "20", "--threads", "1")
    with process(*arguments, *outputs, cwd=here) as p:
        log = here / "run.csv"
        deadline = time.monotonic() + 60
        while not (log.exists() and log.read_text().count("\n") > 12):
            assert p.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=60)
    assert p.returncode == 130
    assert err == b""
    facts = json.loads(out)
    assert facts["interrupted"] is True
    frames = read(here / name, ":")
    assert frames[-1].info["step"] == facts["steps"] > 100
    assert [f.info["step"] for f in frames[:-1]] == list(range(0, facts["steps"], 20))
    assert log.read_text().splitlines()[-1].startswith(f"{facts['steps']},")


REAL = [
    ("Cu_mishin1.eam.alloy", "Cu", 3.62, "fcc"),
    ("Fe_mm.eam.fs", "Fe", 2.86, "bcc"),
    ("Ni_u3.eam", "Ni", 3.53, "fcc"),
]


@pytest.mark.parametrize(("name", "element", "a", "lattice"), REAL)
def test_md_with_published_potentials(
    name: str, element: str, a: float, lattice: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shared_folder("potentials")
    if folder is None:
        pytest.skip("MDKERN_TEST_DATA is not set")
    write(here / "crystal.cif", bulk(element, lattice, a=a, cubic=True))
    facts = run_json(
        capsys,
        *("md", "crystal.cif", "--potential", str(folder / name), "--repeat", "4", "4", "4"),
        *("--temperature", "600", "--steps", "1500", "--timestep", "2", "--seed", "1"),
    )
    assert facts["temperature_K"]["mean"] == pytest.approx(300, abs=40)
    assert facts["fluctuation_meV_per_atom"] < 0.02
    bound = 1.0 + 3.0 * facts["drift_error_meV_per_atom_per_ns"]
    assert abs(facts["drift_meV_per_atom_per_ns"]) <= bound
    assert main(["info", str(folder / name)]) == 0
    assert element in capsys.readouterr().out


@pytest.mark.slow
def test_demo(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ("demo", "--quick", "--atoms", "256", "--steps", "400", "-o", "out")
    facts = run_json(capsys, *base)
    assert facts["failed_checks"] == []
    assert facts["temperature_K"]["mean"] == pytest.approx(600, abs=60)
    assert [c["name"] for c in facts["comparisons"]] == ["neighbor list", "Lennard-Jones", "EAM"]
    for c in facts["comparisons"]:
        assert c["agrees"] is True
        assert c["over_ase"] == pytest.approx(c["ase_seconds"] / c["seconds"], rel=3)
        assert c["over_ase"] > 1
    assert is_drawn(here / "out" / "demo.png")
    frames = read(here / "out" / "demo.extxyz", ":")
    assert [len(f) for f in frames] == [256] * 5
    assert frames[0].info["mdkern_potential"] == "zhou2004"
    assert main(base) == 2
    one_error(capsys, "exists")


def test_demo_reports_failed_checks(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = comparison.Comparison("EAM", 256, 1e-3, 2e-3, 1.0, 0.1, 1e3, 1e2, 0.5, 0.0, False, "eV/A")
    good = replace(one, name="Lennard-Jones", agrees=True)
    monkeypatch.setattr(comparison, "compare", lambda *_args: [good, one])
    base = ("demo", "--quick", "--atoms", "108", "--steps", "200")
    assert main(base) == 1
    captured = capsys.readouterr()
    assert (
        captured.err
        == "mdkern: error: check failed: EAM: differs by 0.5 eV/A from ASE, 0 from NumPy\n"
    )
    assert "1,000 x" in captured.out
    monkeypatch.setattr(comparison, "compare", lambda *_args: [good])
    assert main(base) == 0  # its own folder may be written again
    assert capsys.readouterr().err == ""
    assert (here / "mdkern-demo" / "demo.png").exists()


def test_setfl_of_the_built_in_potential(here: Path) -> None:
    comparison.write_setfl(str(here / "Cu.eam.alloy"), "Cu", comparison.CUTOFF)
    atoms = bulk("Cu", a=3.6, cubic=True) * (2, 2, 2)
    atoms.rattle(0.1, seed=1)
    forces = []
    for calculator in (EAM("Cu.eam.alloy"), EAM.zhou2004(["Cu"], cutoff=comparison.CUTOFF)):
        atoms.calc = calculator
        forces.append(atoms.get_forces())
    assert np.abs(forces[0] - forces[1]).max() < 1e-5


def test_picture_without_matplotlib(
    copper: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["md", copper, "--potential", "zhou2004", "--plot", "run.png"]) == 2
    one_error(capsys, "mdkern[plot]")
