"""``mdkern md`` beyond a plain run: ensembles, checkpoints, restart, formats, the report."""

from __future__ import annotations

import html
import html.parser
import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.io import read, write
from cli_checks import is_drawn, one_error, process, run_json

from mdkern import _core, md
from mdkern.cli import main, trajectory
from mdkern.cli.dynamics import Ensemble, make_integrator
from mdkern.errors import UnsupportedError

LJ = "lj:epsilon=0.0103,sigma=3.405,rc=8.5,force_shift=true"


@pytest.fixture
def argon(here: Path) -> str:
    write(here / "ar.extxyz", bulk("Ar", a=5.4, cubic=True) * (3, 3, 3))
    return "ar.extxyz"


ENSEMBLES: dict[str, tuple[str, ...]] = {
    "nve": (),
    "bussi": ("--ensemble", "nvt"),
    "langevin": ("--ensemble", "nvt", "--thermostat", "langevin"),
    "nose-hoover": ("--ensemble", "nvt", "--thermostat", "nose-hoover"),
    "isotropic": ("--ensemble", "npt", "--pressure", "0.1"),
    "full": ("--ensemble", "npt", "--barostat", "full", "--tau-pressure", "500"),
}


@pytest.mark.parametrize("name", ENSEMBLES)
def test_restart_has_the_bits_of_an_unbroken_run(
    name: str, argon: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """500 + 500 = 1000 steps, down to the frames, the log and the last state."""
    start = ("md", argon, "--potential", LJ, *ENSEMBLES[name], "--temperature", "60")
    start = (*start, "--timestep", "4", "--seed", "5", "--interval", "250")
    whole = ("--steps", "1000", "-o", "a.traj", "--log", "a.csv", "--checkpoint", "a.npz")
    facts = run_json(capsys, *start, *whole)
    assert facts["steps"] == 1000
    half = ("--steps", "500", "-o", "b.traj", "--log", "b.csv", "--checkpoint", "b.npz")
    run_json(capsys, *start, *half)
    rest = ("--steps", "500", "-o", "c.traj", "--log", "c.csv", "--checkpoint", "b.npz")
    facts = run_json(
        capsys, "md", "--restart", "b.npz", *rest, "--interval", "250", "--threads", "2"
    )
    assert (facts["first_step"], facts["steps"], facts["seed"]) == (500, 500, 5)
    a, b = md.read_checkpoint("a.npz"), md.read_checkpoint("b.npz")
    assert a.steps == b.steps == 1000
    for key, value in a.arrays.items():
        assert value.tobytes() == b.arrays[key].tobytes(), key
    frames = [read(f, ":") for f in ("a.traj", "b.traj", "c.traj")]
    assert [f.info["step"] for f in frames[0]] == [0, 250, 500, 750, 1000]
    for one, other in zip(frames[0], frames[1] + frames[2][1:], strict=True):
        assert one.positions.tobytes() == other.positions.tobytes()
        assert one.get_momenta().tobytes() == other.get_momenta().tobytes()
        assert one.cell.array.tobytes() == other.cell.array.tobytes()
    logs = [Path(f).read_text().splitlines()[2:] for f in ("a.csv", "b.csv", "c.csv")]
    assert logs[0] == logs[1] + logs[2][1:]


def test_restart_of_a_killed_run(argon: str, here: Path) -> None:
    """What is on disk when the process is gone is enough, and the same as of a run that was not."""
    arguments = ("md", argon, "--potential", LJ, "--temperature", "60", "--seed", "1")
    arguments = (*arguments, "--threads", "1")
    more = ("--checkpoint", "run.npz", "--checkpoint-interval", "200")
    more = (*more, "-o", "run.extxyz", "--log", "run.csv", "--interval", "50")
    with process(*arguments, *more, "--steps", "100000000", cwd=here) as p:
        deadline = time.monotonic() + 60
        state = here / "run.npz"
        while not state.exists() or md.read_checkpoint(state).steps < 600:
            assert time.monotonic() < deadline
            assert p.poll() is None
            time.sleep(0.02)
        p.send_signal(signal.SIGKILL)
    checkpoint = md.read_checkpoint(state)
    assert checkpoint.steps % 200 == 0
    steps = str(checkpoint.steps)
    assert main([*arguments, "--steps", steps, "--checkpoint", "twin.npz"]) == 0
    twin = md.read_checkpoint("twin.npz")
    assert twin.arrays["positions"].tobytes() == checkpoint.arrays["positions"].tobytes()
    assert main(["md", "--restart", "run.npz", "--steps", "70", *more[-6:]]) == 0
    more = ("-o", "twin.extxyz", "--log", "twin.csv", "--interval", "50")
    assert main([*arguments, "--steps", str(checkpoint.steps + 70), *more]) == 0
    _same_files("twin.extxyz", "run.extxyz")
    _same_files("twin.csv", "run.csv")
    left = [f.name for f in here.iterdir() if f.name.startswith(".run.npz")]
    assert len(left) <= 1  # a file that was being written


def _same_files(one: str, other: str) -> None:
    """Frames, and samples, to the last bit; text to the letter but for the command in its head."""
    if one.endswith(".h5md"):
        h5py = pytest.importorskip("h5py")
        with h5py.File(one) as a, h5py.File(other) as b:
            for name in set(trajectory.SERIES) - {"particles/all/charge/value"}:
                assert np.array_equal(a[name][:], b[name][:]), name
    elif one.endswith(".traj"):
        for a, b in zip(read(one, ":"), read(other, ":"), strict=True):
            a.info.pop("mdkern_command", None)
            b.info.pop("mdkern_command", None)
            assert a.info == b.info
            assert list(a.arrays) == list(b.arrays)
            assert all(np.array_equal(x, b.arrays[k]) for k, x in a.arrays.items())
            assert all(np.array_equal(x, b.calc.results[k]) for k, x in a.calc.results.items())
    else:
        command = re.compile(r' mdkern_command="[^"]*"|"command": "[^"]*"')
        assert command.sub("", Path(one).read_text()) == command.sub("", Path(other).read_text())


@pytest.mark.parametrize("suffix", ["extxyz", "traj", "h5md"])
def test_files_of_a_restart_are_those_of_an_unbroken_run(
    suffix: str, argon: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ended between two frames and gone on with, and killed between its checkpoint and its end."""
    if suffix == "h5md":
        pytest.importorskip("h5py")
    atoms = read(argon)
    atoms.arrays["weight"] = np.linspace(0, 1, len(atoms))
    atoms.info["origin"] = "a crystal"
    write("named.extxyz", atoms)
    start = ("md", "named.extxyz", "--potential", LJ, "--ensemble", "nvt", "--seed", "5")
    start = (*start, "--temperature", "60", "--interval", "30", "--log-interval", "7")

    def files(name: str) -> tuple[str, ...]:
        return ("-o", f"{name}.{suffix}", "--log", f"{name}.csv")

    run_json(capsys, *start, "--steps", "200", *files("whole"))
    run_json(capsys, *start, "--steps", "95", *files("ended"), "--checkpoint", "ended.npz")
    rest = ("--steps", "105")
    run_json(capsys, "md", "--restart", "ended.npz", *rest, *files("ended"))
    # What a kill at step 170 leaves behind, the last checkpoint being of step 120.
    run_json(capsys, *start, "--steps", "120", "--checkpoint", "killed.npz")
    run_json(capsys, *start, "--steps", "170", *files("killed"))
    for name in ("killed.extxyz", "killed.csv"):
        if Path(name).exists():
            with Path(name).open("a") as file:
                file.write("108\nLattice=")  # it was writing at that moment
    run_json(capsys, "md", "--restart", "killed.npz", "--steps", "80", *files("killed"))
    for name in ("ended", "killed"):
        _same_files(f"whole.{suffix}", f"{name}.{suffix}")
        _same_files("whole.csv", f"{name}.csv")
    # Once more from the same checkpoint: nothing is there twice.
    run_json(capsys, "md", "--restart", "killed.npz", "--steps", "80", *files("killed"))
    _same_files(f"whole.{suffix}", f"killed.{suffix}")
    _same_files("whole.csv", "killed.csv")
    # Files of other runs stay as they are.
    run_json(capsys, *start[:-6], "--seed", "6", "--steps", "1", *files("other"))
    for other, part in (
        (("-o", f"other.{suffix}"), "another run: seed 6"),
        (("-o", f"ended.{suffix}", "--log", "other.csv"), "other.csv: is of another run"),
    ):
        before = [Path(f"{name}.{suffix}").read_bytes() for name in ("other", "ended")]
        assert main(["md", "--restart", "killed.npz", *other]) == 2
        assert part in capsys.readouterr().err
        assert before == [Path(f"{name}.{suffix}").read_bytes() for name in ("other", "ended")]


def test_a_restart_refuses_files_that_do_not_go_on(
    argon: str, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ("md", argon, "--potential", LJ, "--seed", "1")
    run_json(capsys, *base, "--steps", "5", "--checkpoint", "run.npz")
    again = ("md", "--restart", "run.npz", "--steps", "20")
    run_json(capsys, *again, "-o", "late.traj", "--checkpoint", "late.npz")
    run_json(capsys, "md", "--restart", "late.npz", "--steps", "5", "-o", "later.traj")
    Path("empty.extxyz").touch()
    Path("broken.traj").write_text("no trajectory")
    write("plain.extxyz", read(argon))
    Path("other.csv").write_text("# {}\nstep,energy\n0,1\n")
    for outputs, part in (
        (("-o", "later.traj"), "later.traj: begins at step 25, run.npz is at 5"),
        (("-o", "empty.extxyz"), "empty.extxyz: exists, and cannot be continued"),
        (("-o", "broken.traj"), "broken.traj: exists, and cannot be continued"),
        (("-o", "plain.extxyz"), "plain.extxyz: exists, and cannot be continued"),
        (("--log", "other.csv"), "other.csv: exists, and cannot be continued"),
    ):
        assert main([*again, *outputs]) == 2
        one_error(capsys, part, "--overwrite")
    run_json(capsys, *again, "-o", "later.traj", "--overwrite")
    assert read("later.traj", 0).info["step"] == 5
    assert main(["md", "--restart", "late.npz", "--steps", "1000", "-o", "later.traj"]) == 0
    assert "a part is missing" not in capsys.readouterr().err


def test_a_restart_says_what_it_takes(argon: str, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["md", argon, "--potential", LJ, "--steps", "3", "--checkpoint", "run.npz"]
    assert main(base) == 0
    capsys.readouterr()
    for extra, part in (
        (["--timestep", "3"], "--timestep: the checkpoint says it"),
        (["--ensemble", "nve"], "--ensemble"),
        (["--new-velocities"], "--new-velocities"),
        (["--potential", "zhou2004"], "Ar"),
        (["-o", "run.npz"], "run.npz"),
    ):
        assert main(["md", "--restart", "run.npz", *extra]) == 2
        assert part in capsys.readouterr().err
    assert main(["md", "--restart", argon]) == 2
    one_error(capsys, argon, "not a checkpoint")
    assert main(["md", "--restart", "absent.npz"]) == 2
    one_error(capsys, "absent.npz")
    assert main(["md", "--restart", "run.npz", argon]) == 2
    one_error(capsys, "expected one of them")
    assert main(base) == 2
    one_error(capsys, "run.npz: exists")


def test_a_changed_potential_file_is_noticed(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from reference_data import OWN

    text = (OWN / "synthetic.eam.alloy").read_text()
    Path("model.eam.alloy").write_text(text)
    write(here / "cu.extxyz", bulk("Cu", a=3.63, cubic=True) * 2)
    base = ["md", "cu.extxyz", "--potential", "model.eam.alloy", "--steps", "3"]
    assert main([*base, "--checkpoint", "run.npz"]) == 0
    assert main(["md", "--restart", "run.npz", "--steps", "3"]) == 0
    Path("model.eam.alloy").write_text("another comment" + text)
    capsys.readouterr()
    assert main(["md", "--restart", "run.npz", "--steps", "3"]) == 2
    one_error(capsys, "another content")


def test_constant_pressure(argon: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = ("md", argon, "--potential", LJ, "--ensemble", "npt", "--pressure", "0.2")
    more = ("--temperature", "50", "--timestep", "4", "--steps", "6000", "--seed", "2")
    facts = run_json(capsys, *run, *more, "--tau-pressure", "400", "-o", "run.traj")
    assert (facts["ensemble"], facts["barostat"]) == ("npt", "isotropic")
    assert facts["pressure_GPa"]["mean"] == pytest.approx(0.2, abs=0.02)
    assert facts["temperature_K"]["mean"] == pytest.approx(50, abs=4)
    assert facts["fluctuation_meV_per_atom"] < 0.02
    assert read("run.traj").get_volume() != read("run.traj", 0).get_volume()


@pytest.mark.parametrize(
    ("extra", "part"),
    [
        (("--ensemble", "npt", "--thermostat", "bussi"), "--thermostat"),
        (("--pressure", "1"), "--pressure: expected --ensemble npt"),
        (("--barostat", "full"), "--barostat"),
        (("--ensemble", "nvt", "--tau-pressure", "100"), "--tau-pressure"),
        (("--ensemble", "npt", "--pressure", "inf"), "--pressure"),
        (("--ensemble", "npt", "--temperature", "0"), "--temperature 0"),
        (("--report", "run.pdf"), ".html"),
        (("--checkpoint", "no/run.npz"), "no/run.npz"),
        (("--checkpoint-interval", "0"), "--checkpoint-interval"),
    ],
)
def test_bad_options(
    extra: tuple[str, ...], part: str, argon: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["md", argon, "--potential", LJ, *extra, "--steps", "1"]) == 2
    one_error(capsys, part)


def test_npt_needs_a_periodic_cell(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here / "dimer.xyz", Atoms("Ar2", [[0, 0, 0], [3.9, 0, 0]]))
    assert main(["md", "dimer.xyz", "--potential", LJ, "--ensemble", "npt"]) == 2
    one_error(capsys, "dimer.xyz", "periodic in all directions")


def test_a_run_that_cannot_go_on_keeps_its_last_good_frame(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Step and atom are named, and the frame before is on disk."""
    atoms = bulk("Ar", a=5.4, cubic=True) * 3
    momenta = np.zeros((len(atoms), 3))
    momenta[40, 0] = 2e3  # meets the next atom after some steps
    atoms.set_momenta(momenta)
    write(here / "shot.extxyz", atoms)
    files = ("-o", "run.extxyz", "--log", "run.csv", "--interval", "10000")
    arguments = ["md", "shot.extxyz", "--potential", LJ, "--timestep", "0.2", *files]
    assert main([*arguments, "--steps", "100000", "--checkpoint", "run.npz"]) == 1
    err = capsys.readouterr().err
    assert "stopped after step" in err
    assert "atom " in err
    step = int(err.split("stopped after step ")[1].split(":")[0])
    frames = read("run.extxyz", ":")
    assert [f.info["step"] for f in frames] == [0, step]
    assert 0 < step < 10000
    assert np.isfinite(frames[-1].get_forces()).all()
    assert md.read_checkpoint("run.npz").steps == step
    assert int(Path("run.csv").read_text().splitlines()[-1].split(",")[0]) == step


def test_h5md(argon: str, capsys: pytest.CaptureFixture[str]) -> None:
    h5py = pytest.importorskip("h5py")
    base = ("md", argon, "--potential", LJ, "--seed", "3", "--steps", "60", "--interval", "20")
    run_json(capsys, *base, "-o", "run.h5md")
    run_json(capsys, *base, "-o", "run.traj")
    frames = read("run.traj", ":")
    with h5py.File("run.h5md") as file:
        assert file["h5md"].attrs["version"].tolist() == [1, 1]
        assert file["h5md/creator"].attrs["name"] == "mdkern"
        assert "--seed 3" in file["h5md/creator"].attrs["mdkern_command"]
        particles = file["particles/all"]
        assert particles["box"].attrs["dimension"] == 3
        assert list(particles["box"].attrs["boundary"]) == 3 * ["periodic"]
        assert particles["position/step"][:].tolist() == [0, 20, 40, 60]
        assert particles["position/time"][:] == pytest.approx([0, 0.02, 0.04, 0.06])
        assert particles["species"][:].tolist() == [18] * 108
        for k, frame in enumerate(frames):
            assert np.array_equal(particles["position/value"][k], frame.positions)
            assert np.array_equal(particles["force/value"][k], frame.get_forces())
            assert np.array_equal(particles["box/edges/value"][k], frame.cell.array)
            velocities = frame.get_velocities() * 1000 * units.fs
            assert np.abs(particles["velocity/value"][k] - velocities).max() <= 1e-12
            energy = file["observables/potential_energy/value"][k]
            assert energy == frame.get_potential_energy()


class _Page(html.parser.HTMLParser):
    """Tags, text, and whatever a page would fetch from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href") and not (value or "").startswith("#"):
                self.links.append(str(value))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def facts_of(page: str) -> dict[str, Any]:
    """The numbers that a page has at its end."""
    text = page.split('<pre id="facts">')[1].split("</pre>", maxsplit=1)[0]
    found: dict[str, Any] = json.loads(html.unescape(text))
    return found


def test_report(argon: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = ("md", argon, "--potential", LJ, "--ensemble", "nvt", "--temperature", "140")
    more = ("--timestep", "5", "--steps", "4000", "--seed", "2", "--report", "run.html")
    facts = run_json(capsys, *run, *more)
    page = _Page()
    text = Path("run.html").read_text(encoding="utf-8")
    page.feed(text)
    assert page.tags.count("svg") == 5
    assert page.links == []
    assert "<script" not in text
    assert "@import" not in text
    shown = " ".join(page.text)
    for part in ("ns/day", "atom-steps/s", "diffusion coefficient", "Å²/ps", "Radial distribution"):
        assert part in shown
    data = facts_of(text)
    assert data["steps"] == facts["steps"] == 4000
    assert data["seed"] == 2
    assert len(text) < 600_000
    moved = facts["diffusion"]["Ar"]
    # Solid or liquid, whatever it is at 140 K and this density: the page, the table and JSON say the same.
    assert (moved["kind"] == "diffusive") == (moved["value"] is not None)
    assert data["diffusion"]["Ar"] == moved


def test_transport(
    argon: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Conductivity and viscosity of the run without its first fifth, as the library has them; refused where there is no volume."""
    run = ("md", argon, "--potential", LJ, "--ensemble", "nvt", "--temperature", "140")
    more = ("--timestep", "5", "--seed", "2", "--transport", "5")
    found = run_json(capsys, *run, *more, "--steps", "6000")["transport"]
    assert set(found) == {"thermal_conductivity", "viscosity"}
    for coefficient in found.values():
        assert coefficient["kind"] in ("converged", "zero", "unconverged")
        assert (coefficient["value"] is None) == (coefficient["kind"] != "converged")
        assert coefficient["blocks"] == 10
    assert found["viscosity"]["unit"] == "Pa s"
    assert main([*run, *more, "--steps", "200"]) == 0
    assert "viscosity             no value: the run is too short" in capsys.readouterr().out
    for steps in ("0", "100"):  # 20 samples, of which 16 count
        assert main([*run, *more, "--steps", steps]) == 0
        assert "viscosity             no value: expected a longer run" in capsys.readouterr().out
    assert main(["md", argon, "--potential", LJ, "--ensemble", "npt", *more]) == 2
    assert "--transport: expected --ensemble nve or nvt" in capsys.readouterr().err
    assert main([*run, "--thermostat", "langevin", *more, "--steps", "5"]) == 0
    assert "--transport: the friction of the Langevin thermostat" in capsys.readouterr().err
    write("dimer.xyz", Atoms("Ar2", [[0, 0, 0], [0, 0, 3.8]]))
    assert main(["md", "dimer.xyz", "--potential", LJ, *more]) == 2
    assert "--transport: expected a structure with a cell" in capsys.readouterr().err

    # A potential without a heat flux still has a pressure tensor.
    def none(_: Any) -> None:
        raise UnsupportedError("virials of nine components: this one has none")

    monkeypatch.setattr("mdkern.md.dynamics.need_nine_virials", none)
    for steps, kind in (("200", "short"), ("5", "none")):
        found = run_json(capsys, *run, *more, "--steps", steps)["transport"]
        assert found["thermal_conductivity"]["kind"] == "none"
        assert "this one has none" in found["thermal_conductivity"]["reason"]
        assert found["viscosity"]["kind"] == kind


def diffusion_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[Any, str]:
    """Of the command with --report and --plot: the numbers, and what the page says."""
    assert main(["md", *arguments, "--seed", "3", "--report", "run.html", "--plot", "run.png"]) == 0
    assert is_drawn(Path("run.png"))
    text = Path("run.html").read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    shown, table = " ".join(page.text), capsys.readouterr().out
    for part in ("none seen", "line through", "the run is too short"):
        assert (part in table) == (part in shown)
    for name in ("run.html", "run.png"):
        Path(name).unlink()
    return facts_of(text)["diffusion"], shown


def test_diffusion_of_a_crystal_is_none(copper: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Atoms of solid copper do not leave their places in 2 ps: no coefficient, but a bound."""
    run = (copper, "--potential", "zhou2004", "--temperature", "600", "--timestep", "2")
    found, text = diffusion_of(capsys, *run, "--steps", "1000")
    assert found["Cu"]["kind"] == "none"
    assert found["Cu"]["value"] is None
    assert 0 <= found["Cu"]["bound"] < 0.01
    assert "none seen" in text
    assert "no diffusion seen" in text  # in the picture
    # Shorter than the vibrations.
    found, text = diffusion_of(capsys, *run, "--steps", "40")
    assert found["Cu"]["kind"] == "superdiffusive"
    assert "the run is too short" in text


def test_diffusion_by_element(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A liquid of two elements has two coefficients; fixed atoms have none."""
    liquid = bulk("Ar", a=5.6, cubic=True) * (3, 3, 3)
    liquid.symbols[::2] = "Xe"
    liquid.set_constraint(FixAtoms([0, 1]))
    write(here / "liquid.extxyz", liquid)
    run = ("liquid.extxyz", "--potential", LJ, "--ensemble", "nvt", "--temperature", "180")
    found, text = diffusion_of(capsys, *run, "--steps", "5000", "--timestep", "5")
    assert {k: (d["kind"], d["n_atoms"]) for k, d in found.items()} == {
        "Ar": ("diffusive", 53),
        "Xe": ("diffusive", 53),
    }
    assert 0.1 < found["Xe"]["value"] < found["Ar"]["value"] < 2.0
    assert "diffusion coefficient, Xe" in text
    assert "line through lags of" in text


def test_barostat_is_no_diffusion(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A crystal that expands moves every atom, but none from its place."""
    write(here / "small.extxyz", bulk("Cu", a=3.45, cubic=True) * (3, 3, 3))
    run = ("small.extxyz", "--potential", "zhou2004", "--temperature", "300", "--ensemble", "npt")
    found, _ = diffusion_of(capsys, *run, "--steps", "1500", "--tau-pressure", "300")
    assert found["Cu"]["kind"] == "none"
    assert found["Cu"]["displacement"] < 0.2


def test_report_of_a_cluster_and_of_no_steps(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(here / "dimer.xyz", Atoms("Ar2", [[0, 0, 0], [3.9, 0, 0]]))
    base = ("md", "dimer.xyz", "--potential", LJ, "--temperature", "5")
    run_json(capsys, *base, "--steps", "100", "--report", "a.html")
    run_json(capsys, *base, "--steps", "0", "--report", "b.html")
    for name in ("a.html", "b.html"):
        assert Path(name).read_text().count("<svg") == (3 if name == "a.html" else 2)


# --- parts -----------------------------------------------------------------------------------------
def _frame(k: int) -> Atoms:
    atoms = bulk("Ar", cubic=True)
    atoms.info.update(step=k, time_ps=0.0)
    atoms.calc = SinglePointCalculator(atoms, energy=float(k), forces=np.zeros((4, 3)))
    return atoms


def test_extxyz_is_written_to_the_letter_of_ase() -> None:
    from io import StringIO

    from ase.constraints import FixAtoms

    rng = np.random.default_rng(0)
    for case in range(8):
        atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True) * (1, 1, 1 + case % 3)
        atoms.positions += rng.normal(scale=10.0 ** (case - 3), size=atoms.positions.shape)
        atoms.set_momenta(rng.normal(size=(len(atoms), 3)))
        atoms.info.update(step=case, name="two words", mdkern_command="mdkern md 'a b'")
        results: dict[str, Any] = {"energy": -1.5, "forces": rng.normal(size=(len(atoms), 3))}
        if case % 2:
            results["stress"] = rng.normal(size=6)
            atoms.arrays["ref_forces"] = rng.normal(size=(len(atoms), 3))
            atoms.arrays["weight"] = rng.normal(size=len(atoms))
        if case == 4:
            atoms.pbc = (True, False, True)
            atoms.set_tags(range(len(atoms)))
        if case == 5:
            atoms.set_constraint(FixAtoms([1]))
        if case == 6:
            results["energies"] = rng.normal(size=len(atoms))
        if case == 7:
            atoms = atoms[:1]
            results["forces"] = results["forces"][:1]
        atoms.calc = SinglePointCalculator(atoms, **results)
        wanted = StringIO()
        write(wanted, atoms, format="extxyz")
        assert trajectory.extxyz_text(atoms) == wanted.getvalue()


def test_numbers_are_formatted_to_the_letter_of_printf() -> None:
    """Ties, signs, large and strange numbers, and many others."""
    rng = np.random.default_rng(1)
    ties = [k / 2**m for m in range(1, 28) for k in (1, 3, -5, 1001, -99999)]
    edges = [0.0, -0.0, 5e-9, 9e7, 8.99999999e7, 99999999.999999995, 1e300, 5e-324]
    strange = [np.inf, -np.inf, np.nan]
    many = rng.normal(size=20000) * 10.0 ** rng.integers(-12, 12, 20000)
    values = np.array([*ties, *edges, *np.negative(edges), *strange, *many])
    rows = _core.format_rows(["X"] * len(values), np.ascontiguousarray(values[:, None]))
    assert rows.decode().splitlines() == [f"X  {x:16.8f}" for x in values]


def test_background_writer_keeps_order_and_raises() -> None:
    class Slow:
        def __init__(self) -> None:
            self.got: list[int] = []
            self.closed = False

        def write(self, frame: Atoms) -> None:
            time.sleep(0.002)
            if frame.info["step"] == 99:
                raise OSError(28, "No space left on device")
            self.got.append(frame.info["step"])

        def close(self) -> None:
            self.closed = True

    slow = Slow()
    writer = trajectory.BackgroundWriter(slow)
    for k in range(30):
        writer.write(_frame(k), {"energy": float(k)})
    writer.close()
    assert slow.got == list(range(30))
    assert slow.closed
    slow = Slow()
    writer = trajectory.BackgroundWriter(slow)
    writer.write(_frame(99), {})
    time.sleep(0.1)
    with pytest.raises(OSError, match="No space"):
        writer.write(_frame(1), {})
    writer.close()
    assert slow.got == []


def test_a_full_disk_ends_the_run_with_one_line(
    argon: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    Path("run.extxyz").symlink_to("/dev/full")
    arguments = ["md", argon, "--potential", LJ, "--steps", "5000", "--interval", "100"]
    assert main([*arguments, "-o", "run.extxyz", "--overwrite"]) == 2
    assert "No space left" in capsys.readouterr().err


@pytest.mark.parametrize("thermostat", ["bussi", "langevin", "nose-hoover", None])
def test_integrators_by_name(thermostat: str | None) -> None:
    from mdkern.calculators import LennardJones

    atoms = bulk("Ar", cubic=True) * 2
    atoms.set_momenta(np.ones((32, 3)))
    atoms.calc = LennardJones()
    made: Any = make_integrator(atoms, Ensemble(2.0, thermostat, temperature=90, tau=50), 3)
    names = {"bussi": "Bussi", "langevin": "Langevin", "nose-hoover": "NoseHooverChain"}
    assert type(made).__name__ == names.get(thermostat or "", "VelocityVerlet")
    assert made.dt == 2 * units.fs
    if thermostat:
        assert made.temperature_K == 90
