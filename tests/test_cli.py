"""The command line: results, files, exit status, one-line errors."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.io import read, write
from cli_checks import is_drawn, one_error, process, run_json
from reference_data import OWN, shared_folder

import mdkern
from mdkern.calculators import EAM, LennardJones
from mdkern.cli import analysis, comparison, main, output
from mdkern.cli.potential import sha256

LJ = "lj:epsilon=0.0103,sigma=3.405,rc=8.5"
COMMANDS = (
    "info",
    "neighbors",
    "describe",
    "md",
    "relax",
    "evaluate",
    "validate",
    "demo",
    "bench",
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def copper(here: Path) -> str:
    write(here / "cu.extxyz", bulk("Cu", a=3.63, cubic=True) * (3, 3, 3))
    return "cu.extxyz"


@pytest.fixture
def argon(here: Path) -> str:
    write(here / "ar.extxyz", bulk("Ar", a=5.4, cubic=True) * (4, 4, 4))
    return "ar.extxyz"


# --- usage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_help(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--help"]) == 0
    captured = capsys.readouterr()
    assert "examples:" in captured.out
    assert captured.err == ""
    assert not command or "--threads" in captured.out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mdkern {mdkern.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((), "expected a command"),
        (("relaxx",), "relaxx"),
        (("info", "--threads", "0"), "--threads"),
        (("info", "--threads", "two"), "'two'"),
        (("info", "--threads", "70000"), "70000"),
        (("info", "--nonsense"), "--nonsense"),
        (("info", "absent.eam"), "absent.eam: no such file"),
        (("neighbors", "cu.extxyz"), "--cutoff"),
        (("neighbors", "cu.extxyz", "--cutoff", "-1"), "'-1'"),
        (("neighbors", "cu.extxyz", "--cutoff", "nan"), "'nan'"),
        (("neighbors", "cu.extxyz", "--cutoff", "Cu=3"), "A-B=R"),
        (("neighbors", "cu.extxyz", "--cutoff", "Cu-Xx=3"), "Xx"),
        (("neighbors", "cu.extxyz", "--cutoff", "3", "-o", "pairs.txt"), ".npz"),
        (("neighbors", "cu.extxyz", "--cutoff", "3", "--index", "7"), "cu.extxyz"),
        (("neighbors", "cu.extxyz", "--cutoff", "90000"), "periodic images"),
        (("neighbors", "absent.cif", "--cutoff", "3"), "absent.cif"),
        (("neighbors", ".", "--cutoff", "3"), ".: "),
        (("md", "cu.extxyz"), "--potential"),
        (("md", "cu.extxyz", "--potential", "absent.eam"), "absent.eam"),
        (("md", "cu.extxyz", "--potential", "lj:sigma"), "'sigma'"),
        (("md", "cu.extxyz", "--potential", "lj:sigma=-1"), "sigma"),
        (("md", "cu.extxyz", "--potential", "lj:sigma=1,sigma=2"), "twice"),
        (("md", "cu.extxyz", "--potential", "lj:colour=2"), "colour"),
        (("md", "cu.extxyz", "--potential", "cu.extxyz"), "cu.extxyz"),
        (("md", "cu.extxyz", "--potential", LJ, "--timestep", "0"), "--timestep"),
        (("md", "cu.extxyz", "--potential", LJ, "--steps", "-1"), "--steps"),
        (("md", "cu.extxyz", "--potential", LJ, "-o", "run.pdb"), "run.pdb"),
        (("md", "cu.extxyz", "--potential", LJ, "-o", "no/run.traj"), "no/run.traj"),
        (("md", "cu.extxyz", "--potential", LJ, "--plot", "run.txt"), "run.txt"),
        (("md", "cu.extxyz", "--potential", LJ, "--thermostat", "bussi"), "nvt"),
        (("md", "cu.extxyz", "--potential", LJ, "--ensemble", "nvt", "--temperature", "0"), "0"),
        (("md", "cu.extxyz", "--potential", LJ, "-o", "a.xyz", "--log", "a.xyz"), "two outputs"),
        (("md", "nickel.extxyz", "--potential", "zhou2004", "--steps", "1"), "Xe"),
        (("md", "nickel.extxyz", "--potential", str(OWN / "synthetic.eam.alloy")), "Ni"),
        (("md", "nan.extxyz", "--potential", LJ), "nan.extxyz: atom 1"),
        (("neighbors", "nan.extxyz", "--cutoff", "3"), "nan.extxyz: atom 1"),
        (("md", "empty.extxyz", "--potential", LJ), "no atoms"),
        (("md", "noise.xyz", "--potential", LJ), "noise.xyz"),
        (("md", "cluster.xyz", "--potential", LJ, "--repeat", "2", "1", "1"), "cluster.xyz"),
        (("md", "overlap.xyz", "--potential", LJ), "overlap"),
        (("info", "noise.xyz"), "noise.xyz"),
        (("info", "cut.eam.alloy"), "cut.eam.alloy:"),
        (("bench", "--only", "nothing-like-this"), "nothing-like-this"),
    ],
)
def test_wrong_input(
    arguments: tuple[str, ...], part: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write("cu.extxyz", bulk("Cu", cubic=True) * (3, 3, 3))
    write("nickel.extxyz", Atoms("NiXe", [[0, 0, 0], [2.5, 0, 0]]))
    write("cluster.xyz", Atoms("Ar2", [[0, 0, 0], [3.5, 0, 0]]))
    write("overlap.xyz", Atoms("Ar2", [[0, 0, 0], [0, 0, 0]]))
    Path("nan.extxyz").write_text("2\nProperties=species:S:1:pos:R:3\nAr 0 0 0\nAr nan 0 0\n")
    Path("empty.extxyz").write_text("0\n\n")
    Path("noise.xyz").write_bytes(np.random.default_rng(0).bytes(500))
    Path("cut.eam.alloy").write_bytes((OWN / "synthetic.eam.alloy").read_bytes()[:5000])
    before = sorted(here.iterdir())
    assert main(arguments) == 2
    one_error(capsys, part)
    assert sorted(here.iterdir()) == before


def test_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "absent.eam", "--traceback"]) == 2
    text = capsys.readouterr().err
    assert text.startswith("Traceback")
    assert text.splitlines()[-1].startswith("mdkern: error: absent.eam")


def test_unexpected_exceptions_are_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> dict[str, Any]:
        raise KeyError("two\nlines")

    monkeypatch.setattr(mdkern, "info", broken)
    assert main(["info"]) == 2
    one_error(capsys, "KeyError", "--traceback")


def test_keyboard_interrupt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> dict[str, Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(mdkern, "info", interrupted)
    assert main(["info"]) == 130
    one_error(capsys, "interrupted")


def test_threads_are_restored(capsys: pytest.CaptureFixture[str]) -> None:
    before = mdkern.get_num_threads()
    assert run_json(capsys, "info", "--threads", str(before + 1))["threads"] == before + 1
    assert mdkern.get_num_threads() == before


def test_processes() -> None:
    """What the shell sees: status, streams; a light start."""
    with process("info", "--threads", "1") as p:
        out, err = p.communicate(timeout=60)
        assert (p.returncode, err) == (0, b"")
        assert mdkern.__version__.encode() in out.splitlines()[0]
        assert b"\x1b" not in out
    with process("md", "absent.xyz", "--potential", "lj") as p:
        out, err = p.communicate(timeout=60)
        assert (p.returncode, out) == (2, b"")
        assert err == b"mdkern: error: absent.xyz: no such file\n"
    script = (
        "import sys; from mdkern.cli import main; main(['--help']); main(['info']);"
        "sys.exit('ase' in sys.modules or 'matplotlib' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0


@pytest.mark.parametrize("arguments", [("--help",), ("info", "--cite"), ("info", "--json")])
def test_reader_that_leaves(arguments: tuple[str, ...]) -> None:
    with process(*arguments) as p:
        assert p.stdout is not None
        assert p.stderr is not None
        p.stdout.close()
        assert p.stderr.read() == b""
        assert p.wait(timeout=60) == 0


# --- info ----------------------------------------------------------------------------------------


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    facts = run_json(capsys, "info")
    assert {k: facts[k] for k in mdkern.info()} == mdkern.info()
    assert main(["info"]) == 0
    captured = capsys.readouterr()
    assert mdkern.get_isa() in captured.out
    assert captured.err == ""


def test_info_warns_of_too_many_threads(capsys: pytest.CaptureFixture[str]) -> None:
    cpus = mdkern.info()["available_cpus"]
    assert main(["info", "--threads", str(cpus + 1)]) == 0
    text = capsys.readouterr().err
    assert text.startswith(f"mdkern: warning: {cpus + 1} threads on {cpus} available CPUs")
    assert text.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "kind", "species", "cutoff"),
    [
        ("synthetic.eam.alloy", "setfl", ["Al", "Cu"], 5.2),
        ("synthetic.eam.fs", "Finnis-Sinclair", ["Al", "Cu"], 5.2),
        ("synthetic_Al.eam", "funcfl", ["Al"], 5.0),
    ],
)
def test_info_potential(
    name: str, kind: str, species: list[str], cutoff: float, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(OWN / name)
    facts = run_json(capsys, "info", path)
    assert kind in facts["format"]
    assert facts["species"] == species
    assert facts["cutoff_A"] == cutoff
    assert facts["masses_amu"][0] == 26.98
    assert facts["sha256"] == sha256(path)
    assert "synthetic" in facts["comment"][0]
    assert main(["info", path]) == 0
    text = capsys.readouterr().out
    assert all(part in text for part in (kind, ", ".join(species), "knots", "synthetic"))


def test_info_structure_and_built_in(copper: str, capsys: pytest.CaptureFixture[str]) -> None:
    facts = run_json(capsys, "info", copper)
    assert facts["n_atoms"] == 108
    assert facts["density_g_cm3"] == pytest.approx(8.82, abs=0.02)
    assert facts["pbc"] == [True] * 3
    built_in = run_json(capsys, "info", "zhou2004")["elements"]
    assert len(built_in) == 16
    assert built_in["Cu"]["cutoff_A"] == pytest.approx(EAM.zhou2004(["Cu"]).cutoff, rel=1e-12)
    for name in (copper, "zhou2004"):
        assert main(["info", name]) == 0
        assert "Cu" in capsys.readouterr().out


def test_info_cite(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--cite"]) == 0
    assert "Phys. Rev. B 29, 6443" in capsys.readouterr().out
    papers = run_json(capsys, "info", str(OWN / "synthetic.eam.fs"), "--cite")["papers"]
    assert "Finnis" in papers["EAM, Finnis-Sinclair"]
    assert "Morse" not in papers


def test_comments_of_files_are_cleaned(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (OWN / "synthetic_Al.eam").read_text().split("\n", 1)
    (here / "evil.eam").write_text("\x1b[31mred" + "x" * 5000 + "\n" + text[1])
    assert main(["info", "evil.eam"]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) < 400


# --- neighbors -----------------------------------------------------------------------------------


def test_neighbors(copper: str, capsys: pytest.CaptureFixture[str]) -> None:
    facts = run_json(capsys, "neighbors", copper, "--cutoff", "4.6", "-o", "pairs.npz")
    assert facts["n_pairs"] == 108 * (12 + 6 + 24)
    assert facts["coordination"]["histogram"] == {"42": 108}
    assert [s["per_atom"] for s in facts["shells"]] == [12, 6, 24]
    expected = 3.63 * np.sqrt(np.array([1, 2, 3]) / 2)
    assert np.allclose([s["mean"] for s in facts["shells"]], expected, atol=1e-8)
    assert facts["bytes_per_pair"] == 72
    assert facts["seconds"] > 0
    with np.load("pairs.npz", allow_pickle=False) as stored:
        for letter in "ijdDS":
            wanted = mdkern.neighbor_list(letter, read(copper), 4.6)
            assert np.array_equal(stored[letter], wanted)
        assert stored["cutoff"] == 4.6
    assert main(["neighbors", copper, "--cutoff", "4.6"]) == 0
    text = capsys.readouterr().out
    assert "42" in text
    assert "2.5668" in text


def test_neighbors_by_element_and_index(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    water = Atoms("OH2", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    write(here / "two.extxyz", [water, water[:1]])
    facts = run_json(capsys, "neighbors", "two.extxyz", "--cutoff", "O-H=1.2", "--index", "0")
    assert facts["n_pairs"] == 4
    assert facts["coordination"]["by_element"] == {"H": 1.0, "O": 2.0}
    alone = run_json(capsys, "neighbors", "two.extxyz", "--cutoff", "5")
    assert (alone["n_pairs"], alone["shells"], alone["ns_per_pair"]) == (0, [], None)
    for frame in ("0", "1"):
        assert main(["neighbors", "two.extxyz", "--cutoff", "5", "--index", frame]) == 0


# --- md ------------------------------------------------------------------------------------------


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


def test_md_that_blows_up(argon: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Finished frames and the summary are kept, the status is 1."""
    arguments = ["md", argon, "--potential", LJ, "--timestep", "1e9", "--temperature", "1e6"]
    assert main([*arguments, "--steps", "200", "--interval", "1", "-o", "run.extxyz"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("mdkern: error: stopped after step")
    assert captured.err.count("\n") == 1
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


# --- demo ----------------------------------------------------------------------------------------


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


# --- analysis ------------------------------------------------------------------------------------


def correlated(rng: np.random.Generator, n: int, memory: float) -> np.ndarray[Any, Any]:
    """Series whose samples remember their predecessors, with variance one."""
    noise = rng.standard_normal(n) * np.sqrt(1 - memory**2)
    out = np.empty(n)
    out[0] = rng.standard_normal()
    for k in range(1, n):
        out[k] = memory * out[k - 1] + noise[k]
    return out


@pytest.mark.parametrize("memory", [0.0, 0.9])
def test_error_of_the_drift(memory: float) -> None:
    """The true slope lies within two standard errors about as often as it should."""
    rng = np.random.default_rng(1)
    time_axis = np.linspace(0, 10, 1000)
    deviations = []
    for _ in range(200):
        fit = analysis.energy_drift(time_axis, 3 + 0.7 * time_axis + correlated(rng, 1000, memory))
        assert fit is not None
        deviations.append((fit.slope - 0.7) / fit.error)
    assert 0.75 < np.std(deviations) < 1.35
    assert np.mean(np.abs(deviations) < 2) > 0.88


def test_drift_of_a_line_and_of_too_little() -> None:
    fit = analysis.energy_drift([0, 1, 2, 3, 4], [1, 3, 5, 7, 9])
    assert fit is not None
    assert (fit.slope, fit.offset) == pytest.approx((2, 1))
    assert fit.error < 1e-12
    assert analysis.energy_drift([0, 1, 2], [1, 2, 3]) is None
    assert analysis.energy_drift([], []) is None


def test_radial_distribution() -> None:
    rng = np.random.default_rng(2)
    gas = [
        Atoms(numbers=[1] * 2000, positions=rng.uniform(0, 30, (2000, 3)), cell=[30] * 3, pbc=True)
    ]
    r, g = analysis.radial_distribution(gas, r_max=8, bins=40)
    assert np.abs(g[20:] - 1).max() < 0.05
    crystal = bulk("Cu", a=3.6, cubic=True) * (2, 2, 2)
    r, g = analysis.radial_distribution([crystal, crystal], r_max=4.2, bins=210)
    shells = 4 * np.pi * r**2 * g * (r[1] - r[0]) * len(crystal) / crystal.cell.volume
    assert shells[r < 3].sum() == pytest.approx(12, rel=1e-3)
    assert shells[r > 3].sum() == pytest.approx(6, rel=1e-3)


def test_radial_distribution_of_large_systems_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    crystal = bulk("Cu", a=3.6, cubic=True) * (3, 3, 3)
    monkeypatch.setattr(analysis, "MAX_PAIRS", 2000)
    r, _ = analysis.radial_distribution([crystal])
    assert len(mdkern.neighbor_list("i", crystal, r[-1])) < 4000
    assert r[-1] < 4


# --- output --------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_numbers() -> None:
    assert output.number(None) == "-"
    assert output.number(float("nan")) == "-"
    assert output.number(1234567.0) == "1,234,567"
    assert output.number(0.0012345, 3, "s") == "0.00123 s"
    assert output.plus_minus(-0.03741, 0.0769, "eV") == "-0.037 +/- 0.077 eV"
    assert output.plus_minus(615.61, 5.44) == "615.6 +/- 5.4"
    assert output.plus_minus(1.0, None) == "-"
    assert output.one_line("a\x1b[1m\nb\t c") == "a [1m b c"


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json({"a": float("nan"), "b": np.array([1.0, np.inf]), "c": np.float64(2)})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [1.0, None], "c": 2.0}


def without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)


@pytest.mark.parametrize(
    ("prepare", "shown", "escapes"),
    [
        (lambda patch: patch.delenv("NO_COLOR", raising=False), True, True),
        (without_rich, True, False),
        (lambda patch: patch.setenv("NO_COLOR", "1"), False, False),
    ],
)
def test_terminal(
    prepare: Callable[[pytest.MonkeyPatch], None],
    shown: bool,
    escapes: bool,
    argon: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bar on a terminal, plainer without rich, none with NO_COLOR; tables likewise."""
    if escapes:
        pytest.importorskip("rich")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    prepare(monkeypatch)
    out, err = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    assert main(["md", argon, "--potential", LJ, "--steps", "5000"]) == 0
    assert ("steps/s" in err.getvalue()) == shown
    assert ("\x1b" in err.getvalue()) == escapes
    assert "steps/s" in out.getvalue()
    if not escapes:
        assert "\x1b" not in out.getvalue()


def test_no_progress_without_terminal(argon: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["md", argon, "--potential", LJ, "--steps", "50"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "drift" in captured.out


@pytest.mark.parametrize(("name", "value"), [("MDKERN_NUM_THREADS", "0"), ("MDKERN_ISA", "foo")])
def test_bad_environment_is_one_line(name: str, value: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "mdkern", "info"],
        env={**os.environ, name: value},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 2
    assert run.stdout == ""
    (line,) = run.stderr.splitlines()
    assert line.startswith("mdkern: error: ")
    assert name in line
    assert repr(value) in line
