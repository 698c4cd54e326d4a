"""The command line: results, files, exit status, one-line errors."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read, write
from cli_checks import one_error, process, run_json
from reference_data import OWN

import mdkern
from mdkern.calculators import EAM
from mdkern.cli import main, output
from mdkern.cli.potential import sha256

LJ = "lj:epsilon=0.0103,sigma=3.405,rc=8.5"
COMMANDS = (
    "info",
    "doctor",
    "neighbors",
    "describe",
    "md",
    "relax",
    "evaluate",
    "validate",
    "demo",
    "bench",
)


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
        (("neighbors", "cu.extxyz", "--cutoff", "Cu-Ni=3,Ni-Cu=2.9"), "Ni-Cu is given twice"),
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
        (("md", "cu.extxyz", "--potential", LJ, "--log", "a", "--checkpoint", "a"), "two outputs"),
        (("md", "nickel.extxyz", "--potential", "zhou2004", "--steps", "1"), "Xe"),
        (("md", "nickel.extxyz", "--potential", str(OWN / "synthetic.eam.alloy")), "Ni"),
        (("md", "nan.extxyz", "--potential", LJ), "nan.extxyz: atom 1"),
        (("neighbors", "nan.extxyz", "--cutoff", "3"), "nan.extxyz: atom 1"),
        (("md", "empty.extxyz", "--potential", LJ), "no atoms"),
        (("evaluate", "empty.extxyz", "--potential", "zhou2004"), "no atoms in any frame"),
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
    assert captured.err.startswith("mdkern: velocities: drawn at 300 K, seed ")
    assert captured.err.count("\n") == 1
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
