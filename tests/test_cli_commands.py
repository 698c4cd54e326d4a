"""What all commands have in common: disks that are full, threads, help, messages; files of mdkern's own in ``info``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write
from cli_checks import one_error, run_json
from reference_data import OWN

import mdkern
from mdkern.calculators import EAM, ZBL, LinearModel
from mdkern.cli import comparison, main, output
from mdkern.cli.potential import sha256
from mdkern.descriptors import SOAP

LJ = "lj:epsilon=0.0103,sigma=3.405,rc=8.5"
MD = ("md", "cu.extxyz", "--potential", "zhou2004", "--steps", "20")
FULL = Path("/dev/full")

needs_full = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")


# --- a disk that is full -------------------------------------------------------------------------
@needs_full
@pytest.mark.parametrize(
    ("command", "option", "name"),
    [
        (MD, "--log", "full.csv"),
        (MD, "-o", "full.extxyz"),
        (MD, "-o", "full.traj"),
        (MD, "-o", "full.h5md"),
        (MD, "--plot", "full.png"),
        (MD, "--report", "full.html"),
        (("relax", "cu.extxyz", "--potential", "zhou2004"), "-o", "full.extxyz"),
        (("evaluate", "cu.extxyz", "--potential", "zhou2004"), "-o", "full.extxyz"),
        (("neighbors", "cu.extxyz", "--cutoff", "3"), "-o", "full.npz"),
        (("describe", "cu.extxyz", "--r-cut", "3"), "-o", "full.npz"),
        (("describe", "cu.extxyz", "--r-cut", "3"), "--chemiscope", "full.json"),
    ],
)
def test_a_full_disk_names_the_file(
    command: tuple[str, ...],
    option: str,
    name: str,
    copper: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    del copper
    if name.endswith(".h5md"):
        pytest.importorskip("h5py")
    Path(name).symlink_to(FULL)
    if name.endswith(".traj"):  # ASE puts a new file where a link is
        from ase.io.trajectory import TrajectoryWriter

        class Full(TrajectoryWriter):
            def write(self, *_: object, **__: object) -> None:
                raise OSError(28, "No space left on device")

        monkeypatch.setattr("ase.io.trajectory.TrajectoryWriter", Full)
    assert main([*command, option, name, "--overwrite"]) == 2
    # A run says first where its velocities come from.
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"mdkern: error: {name}: No space left on device"


@needs_full
def test_a_full_disk_behind_the_standard_output() -> None:
    for arguments in (("info",), ("info", "--json"), ()):
        with FULL.open("wb") as full:
            run = subprocess.run(
                [sys.executable, "-m", "mdkern", *arguments],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                timeout=60,
                check=False,
            )
        assert run.returncode == 2
        assert run.stderr == "mdkern: error: standard output: No space left on device\n"


def test_errors_of_writing_keep_what_they_say() -> None:
    with pytest.raises(PermissionError) as caught, output.writing("a.csv"):
        raise PermissionError(13, "Permission denied", "b.csv")
    assert caught.value.filename == "b.csv"
    with (
        pytest.raises(output.UsageError, match=r"a\.h5md: out of patience"),
        output.writing("a.h5md"),
    ):
        raise OSError("out of patience")


# --- usage ---------------------------------------------------------------------------------------
def test_without_a_command_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == captured.out
    assert "mdkern demo" in captured.out


def test_more_threads_than_cpus(copper: str, capsys: pytest.CaptureFixture[str]) -> None:
    cpus = mdkern.info()["available_cpus"]
    assert main(["neighbors", copper, "--cutoff", "3", "--threads", str(cpus + 1)]) == 0
    text = capsys.readouterr().err
    assert text.startswith(f"mdkern: warning: {cpus + 1} threads on {cpus} available CPUs")
    assert text.count("\n") == 1
    assert main(["neighbors", copper, "--cutoff", "3", "--threads", str(cpus)]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("lj:colour=2", ("'colour'", "sigma, epsilon, rc, ro, shift")),
        ("lj:skin=2", ("'skin'", "sigma")),
        ("lj:sigma=wide", ("sigma: 'wide'", "a number")),
        ("lj:sigma.Cu=wide", ("sigma: 'wide'", "a number")),
        ("lj:sigma=true", ("sigma: True", "a number")),
        ("lj:shift=7", ("shift: 7.0", "true or false")),
        ("lj:mixing=3", ("mixing: 3.0", "a word")),
        ("morse:d=0.3", ("'d'", "D, alpha, r0, rc")),
        ("buckingham:a=3", ("'a'", "A, rho, C, rc")),
        ("zhou2004:rc=5", ("'rc'", "cutoff")),
        ("zhou2004 + ", ("zhou2004 + ", "both sides")),
        ("zhou2004 +  + zbl:inner=1,outer=2", ("both sides",)),
        ("zhou2004 + none.eam", ("none.eam: no such file", "zbl")),
        ("zhou2004 + zbl:inner=1", ("zbl:inner=1", "outer")),
        ("zhou2004 + zbl:inner=1,outer=2,z.W=74", ("no element that all have: Cu; W",)),
    ],
)
def test_parameters_of_built_in_potentials(
    spec: str, parts: tuple[str, ...], copper: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["md", copper, "--potential", spec]) == 2
    one_error(capsys, "--potential ", *parts)


def test_the_hash_of_a_folder_is_that_of_its_model(tmp_path: Path) -> None:
    """Runs may write beside a model, and are continued where its own files are the same."""
    folder = tmp_path / "nnp"
    shutil.copytree(Path(__file__).parent / "data" / "n2p2" / "compact", folder)
    before = sha256(str(folder))
    assert sha256(str(folder / "input.nn")) == before
    (folder / "trajectory.xyz").write_text("1\n\nH 0 0 0\n")
    assert sha256(str(folder)) == before
    with (folder / "weights.008.data").open("a") as file:
        file.write("# a comment\n")
    assert sha256(str(folder)) != before
    assert sha256(str(folder / "input.nn")) == sha256(str(folder))
    other = folder / "other.nn"
    shutil.copy(folder / "input.nn", other)
    before = sha256(str(other))
    other.write_text(other.read_text() + "# a comment\n")
    assert sha256(str(other)) != before


def test_no_file_of_a_potential_is_replaced(
    copper: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a part of a sum nor a file of a model's folder."""
    shutil.copytree(Path(__file__).parent / "data" / "n2p2" / "compact", here / "nnp")
    part, zbl = str(here / "part.mdk"), "zbl:inner=1.4,outer=3.0"
    assert main(["export", zbl, "-o", part]) == 0
    capsys.readouterr()
    before = (here / "part.mdk").read_bytes()
    for spec, own in ((f"{zbl} + {part}", part), ("nnp", "nnp/scaling.data")):
        run = ["md", copper, "--steps", "1", "--potential", spec, "--log", own, "--overwrite"]
        assert main(run) == 2
        one_error(capsys, "is an input")
        assert main(["evaluate", copper, "--potential", spec, "--journal", own]) == 2
        one_error(capsys, "is an input")
    assert main(["export", f"{zbl} + {part}", "-o", part, "--overwrite"]) == 2
    one_error(capsys, "is an input")
    assert (here / "part.mdk").read_bytes() == before
    assert main(["export", f"zhou2004 + {zbl}", "-o", str(here / "sum.mdk")]) == 2
    one_error(capsys, "--elements: none")


@pytest.mark.parametrize("command", ["md", "relax", "evaluate"])
def test_a_sum_of_potentials(
    command: str, copper: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the calculators have it; files by their complete paths, whose content a restart compares."""
    other = Path(OWN / "synthetic.eam.alloy")
    shutil.copy(other, "Al Cu.eam.alloy")
    spec = "Al Cu.eam.alloy + zbl:inner=1.4,outer=3.0 + zhou2004"
    more = {"md": ("--steps", "0"), "relax": ("--steps", "0"), "evaluate": ()}[command]
    found = run_json(capsys, command, copper, "--potential", spec, *more, "-o", "out.extxyz")
    text = json.dumps(found)
    assert f"{here / 'Al Cu.eam.alloy'} + zbl:inner=1.4,outer=3.0 + zhou2004" in text
    atoms = read("out.extxyz")
    total = EAM(other) + ZBL(1.4, 3.0) + EAM.zhou2004(["Cu"])
    expected = total.get_potential_energy(read(copper))
    assert atoms.get_potential_energy() == pytest.approx(expected, rel=1e-10)


def test_a_sum_as_a_model_file(
    copper: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(tmp_path / "sum.mdk")
    spec = "zhou2004 + zbl:inner=1.4,outer=3.0"
    assert main(["export", spec, "--elements", "Cu", "-o", model]) == 0
    capsys.readouterr()
    total = EAM.zhou2004(["Cu"]) + ZBL(1.4, 3.0)
    atoms = read(copper)
    assert mdkern.load(model).get_potential_energy(atoms) == total.get_potential_energy(atoms)
    assert main(["export", spec, "--set", "a=1", "--elements", "Cu", "-o", "new.mdk"]) == 2
    one_error(capsys, "--set a=1", "not of a sum")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("md", "cu.extxyz", "--potential", "none.eam"), ("--potential none.eam", "empty")),
        (("md", "--restart", "none.npz"), ("--restart none.npz", "empty")),
        (("info", "none.eam"), ("none.eam", "empty")),
        (("md", "cu.extxyz", "--potential", LJ, "--steps", "1" + 20 * "0"), ("--steps", "up to")),
        (
            ("describe", "cu.extxyz", "--r-cut", "1e7"),
            ("sigma: 0.5", "too small beside the cutoff"),
        ),
        (("demo", "--seed", "-5"), ("--seed", "'-5'", "an integer >= 0")),
        (("validate", "cu.extxyz"), ("--potential: missing",)),
        (("validate", "cu.extxyz", "b.xyz", "--potential", LJ), ("b.xyz", "second structure")),
    ],
)
def test_wrong_input(
    arguments: tuple[str, ...],
    parts: tuple[str, ...],
    copper: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    del copper
    for name in ("none.eam", "none.npz"):
        Path(name).touch()
    assert main(arguments) == 2
    one_error(capsys, *parts)


def test_cutoff_of_an_absent_element(copper: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["neighbors", copper, "--cutoff", "Cu-Cu=3,Cu-Ni=2.9,Ni-O=2", "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        "mdkern: warning: --cutoff Cu-Ni: cu.extxyz has no Ni; its elements are Cu",
        "mdkern: warning: --cutoff Ni-O: cu.extxyz has no Ni and no O; its elements are Cu",
    ]
    assert json.loads(captured.out)["n_pairs"] == 108 * 12
    assert main(["neighbors", copper, "--cutoff", "Cu-Cu=3"]) == 0
    assert capsys.readouterr().err == ""


def test_order_of_validate(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here / "ar.xyz", Atoms("Ar3", 3.9 * np.eye(3)))
    ways = (("ar.xyz", "--potential", LJ), (LJ, "ar.xyz"), ("ar.xyz", LJ))
    found = [run_json(capsys, "validate", *way) for way in ways]
    assert found[0] == found[1] == found[2]
    assert (found[0]["structure"], found[0]["potential"]) == ("ar.xyz", LJ)


# --- what a run says of itself -------------------------------------------------------------------
def test_md_says_why_there_is_no_drift(copper: str, capsys: pytest.CaptureFixture[str]) -> None:
    base = ("md", copper, "--potential", "zhou2004", "--temperature", "300", "--seed", "1")
    assert main([*base, "--steps", "10"]) == 0
    text = capsys.readouterr().out
    assert "drift          unknown: 2 samples after the first fifth of the run; expected 4" in text
    assert "built once" in text
    assert main([*base, "--steps", "200", "--timestep", "3"]) == 0
    text = capsys.readouterr().out
    assert "meV/atom/ns, fluctuation" in text
    assert "built 1 times" not in text


def test_relax_says_whether_it_converged(copper: str, capsys: pytest.CaptureFixture[str]) -> None:
    base = ("relax", copper, "--potential", "zhou2004", "--cell", "full", "--fmax", "0.02")
    assert main(base) == 0
    assert (
        "converged      yes: no force or stress of the cell above 0.02" in capsys.readouterr().out
    )
    assert main([*base, "--steps", "1"]) == 1
    captured = capsys.readouterr()
    assert "converged      no: " in captured.out
    assert captured.err.startswith("mdkern: error: not converged after 1 steps")
    assert "expected 0.02" in captured.err


def test_demo_without_matplotlib(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    one = comparison.Comparison("EAM", 256, 1e-3, 2e-3, 1.0, 0.1, 1e3, 1e2, 0.5, 0.0, False, "eV/A")
    monkeypatch.setattr(comparison, "compare", lambda *_args: [replace(one, agrees=True)])
    assert main(["demo", "--quick", "--atoms", "108", "--steps", "200"]) == 0
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "warning: no picture, only the table: pictures need matplotlib" in captured.err
    assert "energy drift" in captured.out
    assert "1,000 x" in captured.out
    assert "demo.extxyz" in captured.out
    assert "demo.png" not in captured.out
    assert [path.name for path in (here / "mdkern-demo").iterdir()] == ["demo.extxyz"]


# --- threads of BLAS -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("command", "given", "expected"),
    [("relax", None, "1"), ("relax", "2", "2"), ("describe", None, "")],
)
def test_blas_has_one_thread(command: str, given: str | None, expected: str, here: Path) -> None:
    """Set before NumPy reads it, unless the user has set it; not where large matrices are diagonalised."""
    write(here / "dimer.xyz", Atoms("Ar2", [[0, 0, 0], [3.9, 0, 0]]))
    rest = {"relax": ["--potential", LJ], "describe": ["--r-cut", "5"]}[command]
    script = (
        "import os, sys; from mdkern.cli import main; assert 'numpy' not in sys.modules;"
        f"sys.argv = {['mdkern', command, 'dimer.xyz', *rest]!r}; main();"
        "print('BLAS', os.environ.get('OPENBLAS_NUM_THREADS', ''));"
        "import threadpoolctl; print([x['num_threads'] for x in threadpoolctl.threadpool_info() if x['user_api'] == 'blas'])"
    )
    pytest.importorskip("threadpoolctl")
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    if given:
        environment["OPENBLAS_NUM_THREADS"] = given
    run = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    setting, threads = run.stdout.splitlines()[-2:]
    assert setting.strip() == f"BLAS {expected}".strip()
    if expected == "1":
        assert set(json.loads(threads)) <= {1}


# --- info of files of our own --------------------------------------------------------------------
def test_info_of_what_a_run_writes(copper: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = (
        "md",
        copper,
        "--potential",
        "zhou2004",
        "--ensemble",
        "nvt",
        "--timestep",
        "2",
        "--seed",
        "5",
    )
    files = ("--log", "run.csv", "--checkpoint", "run.npz", "-o", "run.extxyz", "--interval", "25")
    run_json(capsys, *run, "--steps", "50", *files)
    facts = run_json(capsys, "info", "run.npz")
    assert (facts["steps"], facts["n_atoms"], facts["formula"]) == (50, 108, "Cu")
    assert facts["time_ps"] == pytest.approx(0.1)
    assert facts["integrator"] == "Bussi"
    assert facts["extra"]["seed"] == 5
    assert main(["info", "run.npz"]) == 0
    text = capsys.readouterr().out
    for part in ("checkpoint", "50, 0.1 ps", "zhou2004", "mdkern md --restart run.npz", "108, Cu"):
        assert part in text
    facts = run_json(capsys, "info", "run.csv")
    assert (facts["samples"], facts["first_step"], facts["last_step"]) == (6, 0, 50)
    assert facts["header"]["seed"] == 5
    assert main(["info", "run.csv"]) == 0
    assert "log of mdkern md" in capsys.readouterr().out
    assert run_json(capsys, "info", "run.extxyz")["n_atoms"] == 108


def test_info_of_h5md(copper: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("h5py")
    assert copper == MD[1]
    run_json(capsys, *MD, "-o", "run.h5md", "--interval", "10", "--seed", "3")
    facts = run_json(capsys, "info", "run.h5md")
    assert (facts["frames"], facts["n_atoms"], facts["last_step"]) == (3, 108, 20)
    assert facts["last_time_ps"] == pytest.approx(0.02)
    assert facts["creator"]["mdkern_seed"] == "3"
    assert main(["info", "run.h5md"]) == 0
    assert "H5MD" in capsys.readouterr().out
    Path("cut.h5md").write_bytes(Path("run.h5md").read_bytes()[:3000])
    assert main(["info", "cut.h5md"]) == 2
    one_error(capsys, "cut.h5md", "HDF5")


def test_info_of_arrays(copper: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_json(
        capsys, "describe", copper, "--r-cut", "3", "--n-max", "3", "--l-max", "2", "-o", "f.npz"
    )
    facts = run_json(capsys, "info", "f.npz")
    assert facts["arrays"]["features"] == [108, 18]
    assert facts["descriptor"]["n_max"] == 3
    run_json(capsys, "neighbors", copper, "--cutoff", "3", "-o", "p.npz")
    facts = run_json(capsys, "info", "p.npz")
    assert (facts["n_pairs"], facts["cutoff"]) == (1296, 3.0)
    soap = SOAP(["Cu"], 3.0, 3, 2, periodic=True)
    LinearModel(soap, np.ones(soap.get_number_of_features())).save("model.npz")
    facts = run_json(capsys, "info", "model.npz")
    assert (facts["species"], facts["n_features"]) == (["Cu"], 18)
    for name, word in (("f.npz", "SOAP"), ("p.npz", "1,296"), ("model.npz", "18 features")):
        assert main(["info", name]) == 0
        assert word in capsys.readouterr().out
    np.savez("other.npz", a=1)
    assert main(["info", "other.npz"]) == 2
    one_error(capsys, "other.npz")
