"""Skin and threads of molecular dynamics: what is chosen, kept and taken over. No test looks at a real clock."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.io import write
from cli_checks import one_error, run_json
from md_checks import FS, INTEGRATORS, argon, assert_same, copper

import mdkern
from mdkern import MDKernWarning, md, tuning
from mdkern.calculators import EAM, LinearModel
from mdkern.cli import main
from mdkern.descriptors import ACSF
from mdkern.md import tuned
from mdkern.md.tuned import TrialError
from mdkern.tuning import Choice, Measured, search


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "caches" / "tuning.json"
    monkeypatch.setenv("MDKERN_TUNE_FILE", str(path))
    return path


def mode(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """As MDKERN_TUNE at import, with short runs worth measuring."""
    monkeypatch.setattr(tuning, "MODE", name)
    monkeypatch.setattr(tuning, "LEAST_STEPS", 10)
    monkeypatch.setattr(tuned, "_WORTH_A_LOOK", 12)


# --- the search, on machines that are made up ---------------------------------------------------------------------------------

Cost = Callable[[float, int], tuple[float, float]]


class Machine:
    """Trials whose steps take `cost(skin, threads)`: (seconds, steps from build to build), a build as long as five steps."""

    def __init__(self, cost: Cost, noise: float = 0.0, room: float = math.inf) -> None:
        self.cost, self.noise, self.room = cost, noise, room
        self.now = 0.0
        self.made: list[tuple[float, int]] = []
        self.random = np.random.default_rng(0)

    def trial(self, skin: float, threads: int) -> Any:
        if skin > self.room:
            raise MemoryError
        self.made.append((skin, threads))
        return _Run(self, *self.cost(skin, threads))

    def search(self, skin: float = 0.3, threads: int = 1, **kwargs: Any) -> Choice:
        return search(self.trial, skin, threads, clock=lambda: self.now, **kwargs)[0]


class _Run:
    def __init__(self, machine: Machine, seconds: float, interval: float) -> None:
        self.machine, self.seconds, self.interval, self.done = machine, seconds, interval, 0

    def span(self, steps: int) -> tuple[float, int]:
        before = self.done // self.interval
        self.done += steps
        builds = int(self.done // self.interval - before)
        took = self.seconds * (steps + 5 * builds)
        if self.machine.random.random() < self.machine.noise:  # somebody else had the CPU
            took += 100 * self.seconds
        self.machine.now += took
        return took, builds


def liquid(skin: float, threads: int) -> tuple[float, float]:
    """Best at 0.8: longer lists take longer, and are built more rarely."""
    return 1e-3 * (6 + skin) ** 3 / 250 / threads, max(1.0, 20 * skin)


@pytest.mark.quick
def test_the_fastest_skin_is_found() -> None:
    machine = Machine(liquid)
    choice = machine.search()
    costs = {s: liquid(s, 1)[0] * (1 + 5 / liquid(s, 1)[1]) for s in tuning.SKINS}
    best = min(costs.values())
    assert choice.skin is not None
    assert costs[choice.skin] <= 1.02 * best < 0.95 * costs[0.3]
    assert choice.gain == pytest.approx(costs[0.3] / costs[choice.skin], rel=0.02)
    assert choice.threads is None
    assert str(choice).startswith(f"skin {choice.skin:g} A, 1.")


def test_noise_does_not_change_the_choice() -> None:
    """In every fourth span another process had the CPU for as long as a hundred steps."""
    assert Machine(liquid, noise=0.25).search().skin in (0.6, 0.8, 1.0)
    same = Machine(lambda _s, _n: (1e-3, 20.0), noise=0.25)
    assert same.search() == Choice()


def test_less_than_three_percent_is_no_reason() -> None:
    assert Machine(lambda s, _: (1e-3 * (0.98 if s > 0.3 else 1.0), 40.0)).search() == Choice()
    found = Machine(lambda s, _: (1e-3 * (0.96 if s > 0.3 else 1.0), 40.0)).search()
    assert found.skin == 0.4  # all are alike: the smallest
    assert found.skin_gain == pytest.approx(1 / 0.96)


def test_where_no_list_is_built_the_skin_stays() -> None:
    """What a shorter one costs is not seen, however much faster its steps are."""
    machine = Machine(lambda s, _: (1e-3 * (1 + s), 1e9))
    assert machine.search() == Choice()
    assert (0.6, 1) not in machine.made


def test_shorter_skins_where_longer_ones_are_slower() -> None:
    machine = Machine(lambda s, _: (1e-3 * (1 + s), 50.0))
    assert machine.search().skin == 0.2
    assert (0.6, 1) not in machine.made  # 0.4 was slower already
    assert machine.search(skin=0.3, skins=None) == Choice()


def test_where_the_list_is_not_built_any_more_a_longer_one_is_not_tried() -> None:
    machine = Machine(lambda s, _: (1e-3, 10.0 if s < 0.6 else 1e9))
    assert machine.search().skin == 0.6
    assert max(machine.made) == (0.6, 1)


def test_memory_and_time_end_the_search() -> None:
    assert Machine(liquid, room=0.5).search().skin == 0.4
    machine = Machine(liquid)
    assert machine.search(most_seconds=1.5 * 400 * liquid(0.3, 1)[0]).skin in (0.4, 0.6)
    assert max(machine.made)[0] < 0.8


@pytest.mark.parametrize(("gain", "expected"), [(1.05, None), (1.2, 2)])
def test_fewer_threads_need_ten_percent(gain: float, expected: int | None) -> None:
    """Eight threads where two are the fastest."""
    of_threads = {1: 2.0, 2: 1.0 / gain, 4: 1.0 / gain**0.5, 8: 1.0}
    machine = Machine(lambda _s, n: (1e-3 * of_threads[n], 40.0))
    choice = machine.search(threads=8)
    assert choice.threads == expected
    assert choice.skin is None
    assert machine.search(threads=8, fewer_threads=False) == Choice()
    if expected:
        assert str(choice) == "2 threads, 1.20 times as fast as all"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"skins": (0.3, -1.0)}, r"skins\[1\]: -1.0; expected a positive"),
        ({"skins": ("0.8",)}, r"skins\[0\]: '0.8'"),
        ({"skins": 0.8}, "skins: 0.8; expected a sequence"),
        ({"skins": "0.8"}, "skins: '0.8'; expected a sequence"),
        ({"spans": 0}, "spans: 0; expected an integer >= 1"),
        ({"steps": 2.5}, "steps: 2.5"),
        ({"most_seconds": 0}, "most_seconds: 0"),
    ],
)
def test_wrong_arguments(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Machine(liquid).search(**wrong)


def test_a_clock_that_stands_still() -> None:
    assert Machine(lambda _s, _n: (0.0, 10.0)).search(threads=4) == Choice()


def test_what_was_measured() -> None:
    _, rows = search(Machine(liquid).trial, 0.3, 2, spans=40, steps=5, clock=lambda: 0.0)
    assert rows[0] == Measured(0.3, 2, rows[0].seconds, rows[0].interval, 1.0)
    assert [m.skin for m in rows[1:4]] == [0.4, 0.6, 0.8]
    assert [m.threads for m in rows[-2:]] == [2, 1]
    assert rows[-1].gain == pytest.approx(0.5)


# --- the file -----------------------------------------------------------------------------------------------------------------


def test_where_the_file_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MDKERN_TUNE_FILE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert tuning.path() == tmp_path / "mdkern" / "tuning.json"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert tuning.path() == tmp_path / "home" / ".cache" / "mdkern" / "tuning.json"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert tuning.path() == tmp_path / "home" / ".cache" / "mdkern" / "tuning.json"
    monkeypatch.setenv("MDKERN_TUNE_FILE", "~/here.json")
    assert tuning.path() == tmp_path / "home" / "here.json"
    monkeypatch.delenv("MDKERN_TUNE_FILE")
    monkeypatch.setattr(os.path, "expanduser", lambda text: text)  # nobody's home
    assert tuning.path().name == "tuning.json"
    assert tuning.path().is_absolute()


@pytest.mark.quick
def test_choices_are_kept_and_forgotten(file: Path) -> None:
    assert tuning.all_choices() == {}
    first, second = Choice(skin=0.8, skin_gain=1.25), Choice(threads=1, threads_gain=1.5)
    tuning.keep("EAM a", Choice())
    tuning.keep("EAM a", first)
    tuning.keep("NEP b", second)
    assert tuning.all_choices() == {"EAM a": first, "NEP b": second}
    assert tuning.stored("EAM a") == first
    assert tuning.stored("EAM") is None
    assert [p.name for p in file.parent.iterdir()] == ["tuning.json"]
    assert tuning.forget("SNAP") == []
    assert tuning.forget("eam") == ["EAM a"]
    assert tuning.forget() == ["NEP b"]
    assert not file.exists()


BAD = {
    "no JSON": b"skin = 3",
    "no text": b"\xff\xfe\x00",
    "nothing": b"",
    "another format": b'{"format": "mdkern tuning 0", "choices": {}}',
    "a list": b"[1, 2]",
    "choices as a list": b'{"format": "mdkern tuning 1", "choices": [1]}',
    "too long": b" " * (1 << 21),
    "too deep": b"[" * 100_000,
} | {
    f"{value}": json.dumps(
        {
            "format": "mdkern tuning 1",
            "choices": {"a": {"skin_gain": 1, "threads_gain": 1, "from_skin": 0.3, **value}},
        }
    ).encode()
    for value in (
        {"skin": -1},
        {"skin": "0.8"},
        {"skin": 1e9},
        {"skin": math.nan},
        {"skin": True},
        {"threads": 0},
        {"threads": 1.5},
        {"threads": 10**9},
        {"skin_gain": None},
        {"from_skin": []},
    )
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_read_is_not_used_but_remade(name: str, file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(BAD[name])
    with pytest.warns(MDKernWarning, match="MDKERN_TUNE: .*tuning.json.*is not used"):
        assert tuning.all_choices() == {}
    with pytest.warns(MDKernWarning):
        tuning.keep("a", Choice(skin=0.5))
    assert tuning.all_choices() == {"a": Choice(skin=0.5)}


@pytest.mark.parametrize(
    "choice", [Choice(skin=25.0), Choice(from_skin=30.0), Choice(skin=0.5, skin_gain=math.inf)]
)
@pytest.mark.usefixtures("file")
def test_what_could_not_be_read_is_not_written(choice: Choice) -> None:
    """It would take all other choices with it."""
    tuning.keep("a", Choice(skin=0.5))
    with pytest.warns(MDKernWarning, match="'b': .*; it is not kept"):
        tuning.keep("b", choice)
    assert tuning.all_choices() == {"a": Choice(skin=0.5)}


def test_folders_that_cannot_be_written(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.parent.write_text("a file where a folder should be")
    with pytest.warns(MDKernWarning, match="choices are not kept"):
        tuning.keep("a", Choice())
    monkeypatch.setenv("MDKERN_TUNE_FILE", str(file.parent.parent))
    with pytest.warns(MDKernWarning, match="is not used"):
        assert tuning.all_choices() == {}


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_neither_read_nor_replaced(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = tmp_path / "pipe" if kind == "pipe" else Path(os.devnull)
    if kind == "pipe":
        os.mkfifo(name)
    monkeypatch.setenv("MDKERN_TUNE_FILE", str(name))
    with pytest.warns(MDKernWarning, match="no regular file"):
        assert tuning.all_choices() == {}
    with pytest.warns(MDKernWarning, match="no regular file"):
        tuning.keep("a", Choice())
    with pytest.warns(MDKernWarning):
        tuning.forget()
    assert name.exists()
    assert not name.is_file()


def test_a_link_stays_one(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link.json").symlink_to(file)
    monkeypatch.setenv("MDKERN_TUNE_FILE", str(tmp_path / "link.json"))
    tuning.keep("a", Choice())
    assert (tmp_path / "link.json").is_symlink()
    assert file.is_file()
    assert tuning.stored("a") == Choice()


def test_the_file_does_not_grow_without_end(file: Path) -> None:
    tuning.keep("first", Choice())
    document = json.loads(file.read_text())
    document["choices"] |= {f"{k}": document["choices"]["first"] for k in range(900)}
    file.write_text(json.dumps(document))
    tuning.keep("last", Choice())
    names = list(tuning.all_choices())
    assert len(names) == 500
    assert names[-1] == "last"
    assert "first" not in names


def test_many_writers_leave_a_whole_file(file: Path) -> None:
    seen: list[set[str]] = []

    def write_some(name: str) -> None:
        for k in range(30):
            tuning.keep(f"{name} {k}", Choice(skin=0.5))
            seen.append(
                set(tuning.all_choices())
            )  # a warning, which is an error, where it is not whole

    writers = [threading.Thread(target=write_some, args=(name,)) for name in "abcd"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(seen) == 120
    assert all(seen)
    assert [p.name for p in file.parent.iterdir()] == ["tuning.json"]


def test_keys() -> None:
    """What makes another key, and what does not."""
    atoms = copper(2)
    key = tuning.key_of(atoms.calc, atoms, FS, 2)
    assert key.startswith("EAM ")
    assert "| 32 atoms |" in key
    assert mdkern.get_isa() in key
    moved = atoms.copy()
    moved.rattle(0.1)
    assert tuning.key_of(copper(2).calc, moved, 1.01 * FS, 2) == key
    others = [
        tuning.key_of(EAM.zhou2004(["Ni"]), atoms, FS, 2),
        tuning.key_of(atoms.calc, copper(3), FS, 2),
        tuning.key_of(atoms.calc, atoms, 4 * FS, 2),
        tuning.key_of(atoms.calc, copper(2, kelvin=60.0), FS, 2),
        tuning.key_of(atoms.calc, atoms, FS, 1),
    ]
    assert len({key, *others}) == 6
    atoms.set_momenta(np.zeros((32, 3)))
    assert "| 0 A per step |" in tuning.key_of(atoms.calc, atoms, FS, 2)


def test_the_key_of_a_linear_model_is_that_of_its_numbers() -> None:
    """Not of what its calculator computed last."""
    descriptor = ACSF(["Cu"], 4.0, g2_params=[[1.0, 0.0], [0.5, 1.0]], periodic=True)
    n = descriptor.get_number_of_features()
    keys = []
    for weight in (1.0, 1.0, 2.0):
        atoms = copper(2)
        atoms.calc = LinearModel(descriptor, np.full((1, n), weight), [0.0])
        if len(keys) == 1:
            atoms.get_forces()
        keys.append(tuning.key_of(atoms.calc, atoms, FS, 1))
    assert keys[0] == keys[1] != keys[2]


# --- runs ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Each search that a run makes; it always finds 0.8 Angstrom and one thread."""
    made: list[dict[str, Any]] = []

    def found(_trial: Any, skin: float, threads: int, **kwargs: Any) -> Any:
        made.append({"skin": skin, "threads": threads, **kwargs})
        return (
            Choice(0.8, 1, 1.25, 1.5, 0.6).only(
                skin=kwargs.get("skins", True) is not None, threads=kwargs["fewer_threads"]
            ),
            [Measured(skin, threads, 1e-3, 10.0, 1.0)],
        )

    monkeypatch.setattr(tuning, "search", found)
    return made


def ran(skin: float | None = None, steps: int = 20, **kwargs: Any) -> Any:
    """A run whose list is built several times."""
    mine = md.VelocityVerlet(argon(3, kelvin=600.0, **kwargs), 20 * FS, skin=skin)
    mine.run(steps)
    return mine


def same_bits(a: Any, b: Any) -> bool:
    return bool(a.atoms.positions.tobytes() == b.atoms.positions.tobytes())


def test_another_skin_changes_bits_and_another_number_of_threads_none() -> None:
    """Why a skin is not taken over unless somebody asked for it."""
    reference = ran()
    assert not same_bits(ran(0.8), reference)
    assert np.abs(ran(0.8).atoms.positions - reference.atoms.positions).max() <= 1e-10
    for threads in (1, 2, 3):
        assert same_bits(ran(threads=threads), reference)


@pytest.mark.quick
@pytest.mark.usefixtures("file")
def test_once_measures_where_nothing_is_kept(
    searches: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    mode(monkeypatch, "once")
    mdkern.set_num_threads(2)
    mine = ran()
    assert searches == [{"skin": 0.6, "threads": 2, "fewer_threads": True}]
    assert mine.tuned == Choice(0.8, 1, 1.25, 1.5, 0.6)
    assert mine.tuned.gain == 1.875
    assert mine.parameters()["skin"] == 0.8
    again = ran()
    assert len(searches) == 1
    assert again.tuned == mine.tuned
    monkeypatch.setattr(tuning, "MODE", "off")
    assert same_bits(mine, ran(0.8))
    assert same_bits(again, mine)


@pytest.mark.usefixtures("file")
def test_measure_measures_anew_and_off_never(
    searches: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    mode(monkeypatch, "measure")
    mine = ran()
    mine.run(20)
    assert len(searches) == 1  # of one run
    ran()
    assert len(searches) == 2
    monkeypatch.setattr(tuning, "MODE", "off")
    assert ran().tuned is None
    assert len(searches) == 2


def test_unset_takes_over_threads_alone(
    file: Path, searches: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is measured, nothing is written, no bit is another."""
    mode(monkeypatch, "")
    mdkern.set_num_threads(2)
    reference = ran()
    assert reference.tuned is None
    assert not file.exists()
    ran(steps=0).tune()
    assert len(searches) == 1
    mine = ran(steps=11)
    assert mine.tuned is None  # hardly worth a look
    mine.run(9)
    assert mine.tuned == Choice(None, 1, 1.0, 1.5, 0.6)
    assert mine.parameters()["skin"] == 0.6
    assert same_bits(mine, reference)
    tuning.keep(next(iter(tuning.all_choices())), Choice(skin=0.8))
    assert ran().tuned is None
    with mdkern.num_threads(1):
        assert ran().tuned is None


@pytest.mark.usefixtures("file")
def test_what_was_given_stays(searches: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is kept of such runs is not taken for what others would have found."""
    mode(monkeypatch, "once")
    mdkern.set_num_threads(2)
    mine = ran(0.5)
    assert searches[-1] == {"skin": 0.5, "threads": 2, "fewer_threads": True, "skins": None}
    assert mine.tuned == Choice(None, 1, 1.0, 1.5, 0.6) == ran(0.5).tuned
    assert mine.parameters()["skin"] == 0.5
    assert len(searches) == 1
    mine = ran(threads=2)
    assert searches[-1] == {"skin": 0.6, "threads": 2, "fewer_threads": False}
    assert ran(0.5, threads=2).tuned is None
    assert len(searches) == 2
    assert ran().tuned == Choice(0.8, 1, 1.25, 1.5, 0.6)
    assert len(searches) == 3
    assert len(tuning.all_choices()) == 3
    assert ran(0.4).tuned.threads == 1  # from the last one: nothing is kept for this skin
    assert len(searches) == 3


@pytest.mark.usefixtures("file", "searches")
def test_a_choice_does_not_exceed_the_threads_that_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mode(monkeypatch, "once")
    mdkern.set_num_threads(3)
    mine = ran()
    mine.tuned = Choice(threads=2)
    used: list[int] = []
    monkeypatch.setattr(type(mine), "_threads_of", lambda self, calc: used.append(_before(self, calc)) or used[-1])  # fmt: skip
    mine.run(1)
    mdkern.set_num_threads(1)
    mine.run(1)
    assert used[0] == 2
    assert used[-1] == 1


_before = md.VelocityVerlet._threads_of


@pytest.mark.usefixtures("file")
def test_short_runs_are_not_measured(searches: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    mode(monkeypatch, "once")
    mine = ran(steps=9)
    assert mine.tuned is None
    for _ in mine.irun(5):
        pass
    assert searches == []
    mine.run(10)
    assert mine.tuned.skin == 0.8
    with pytest.raises(ValueError, match="steps: -1; expected an integer >= 0"):
        mine.choose(-1)


@pytest.mark.parametrize("name", INTEGRATORS)
@pytest.mark.usefixtures("file")
def test_trials_leave_the_run_alone(name: str) -> None:
    """After measuring, a run has the bits of one that was given the skin, whatever the integrator."""
    a, b = copper(2), copper(2)
    make = INTEGRATORS[name][0]
    mine, twin = make(a), make(b, skin=0.9)
    rows = mine.tune(spans=2, steps=3, skins=(0.9,))
    assert_same(a, b)
    assert 0.4 in {m.skin for m in rows} <= {0.4, 0.9}
    assert all(m.seconds > 0.0 for m in rows)
    mine.tuned = Choice(skin=0.9)
    mine.run(15)
    twin.run(15)
    assert_same(a, b)
    assert mine.nsteps == 15


@pytest.mark.usefixtures("file")
def test_a_checkpoint_has_the_chosen_skin(tmp_path: Path) -> None:
    mine, whole = ran(steps=5), ran(0.8, steps=5)
    mine = md.VelocityVerlet(mine.atoms, 20 * FS)
    whole = md.VelocityVerlet(whole.atoms, 20 * FS, skin=0.8)
    whole.atoms.positions, whole.atoms.arrays["momenta"][...] = (
        mine.atoms.positions,
        mine.atoms.get_momenta(),
    )
    mine.tuned = Choice(skin=0.8)
    mine.run(7)
    md.write_checkpoint(tmp_path / "a.npz", mine)
    rest = md.read_checkpoint(tmp_path / "a.npz").dynamics(argon(1).calc)
    rest.run(13)
    whole.run(20)
    assert rest.atoms.positions.tobytes() == whole.atoms.positions.tobytes()


@pytest.mark.usefixtures("file")
def test_a_run_that_cannot_go_on_says_so_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def shot() -> Any:
        atoms = copper(2)
        momenta = atoms.get_momenta()
        momenta[5] = [0, 0, 1e6]
        atoms.set_momenta(momenta)
        return md.VelocityVerlet(atoms, FS)

    with pytest.raises(TrialError, match="a trial of 10 steps stopped: atom 5 moved"):
        shot().tune()
    mode(monkeypatch, "once")
    with pytest.raises(md.DynamicsError, match="step 1: atom 5 moved"):
        shot().run(20)
    assert tuning.all_choices() == {}


# --- environment and command line ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["import mdkern", "import mdkern.cli as c, sys; sys.exit(c.main(['info']))"])  # fmt: skip
def test_a_bad_variable_is_an_error_at_import(code: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "MDKERN_TUNE": "always"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode != 0
    expected = "mdkern: environment variable MDKERN_TUNE: 'always' is unknown; expected one of: off, once, measure"
    assert expected in run.stderr


@pytest.mark.parametrize(("value", "expected"), [("", ""), (" once ", "once"), ("off", "off")])
def test_modes(value: str, expected: str) -> None:
    code = "import mdkern; print(repr(mdkern.tuning.MODE))"
    env = {**os.environ, "MDKERN_TUNE": value}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True)
    assert run.stdout.decode().strip() == repr(expected)


@pytest.fixture
def hot(here: Path, file: Path) -> str:
    del file
    write(here / "hot.extxyz", copper(2))
    return "hot.extxyz"


def test_tune_measures_shows_and_forgets(hot: str, capsys: pytest.CaptureFixture[str]) -> None:
    start = ("tune", hot, "--potential", "zhou2004", "--steps", "4")
    facts = run_json(capsys, *start)
    assert facts["n_atoms"] == 32
    assert {m["skin"] for m in facts["measured"]} >= {0.3}
    assert set(facts["choice"]) == {"skin", "threads", "skin_gain", "threads_gain", "from_skin", "gain"}  # fmt: skip
    assert main([*start, "--temperature", "300", "--repeat", "1", "1", "2"]) == 0
    text = capsys.readouterr()
    assert "64 atoms" in text.out
    assert "steps per build" in text.out
    assert main(["tune", "--show"]) == 0
    assert "2 kept" in capsys.readouterr().out
    kept = run_json(capsys, "tune", "--show")
    assert len(kept["choices"]) == 2
    assert len(run_json(capsys, "tune", "--forget", "64 atoms")["forgotten"]) == 1
    assert main(["tune", "--forget"]) == 0
    assert "1 forgotten" in capsys.readouterr().out
    assert run_json(capsys, "tune", "--show")["choices"] == {}


def test_wrong_usage_of_tune(hot: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, expected in (
        ((), "STRUCTURE, --show or --forget: expected one of them"),
        ((hot, "--show"), "expected one of them"),
        ((hot,), "--potential: missing"),
        ((hot, "--potential", "zhou2004", "--steps", "0"), "expected an integer >= 1"),
        ((hot, "--potential", "sw"), "no such file"),
        (
            (hot, "--potential", "zhou2004", "--seconds", "1e-9", "--json"),
            "--seconds: 1e-09; nothing was measured",
        ),
    ):
        assert main(["tune", *arguments]) == 2
        one_error(capsys, expected)


@pytest.mark.usefixtures("searches")
def test_md_says_what_was_chosen(
    hot: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mode(monkeypatch, "once")
    start = ("md", hot, "--potential", "zhou2004", "--steps", "12", "--threads", "2")
    facts = run_json(capsys, *start)
    assert facts["skin_A"] == 0.8
    assert facts["tuned"] == {"skin": 0.8, "threads": 1, "skin_gain": 1.25, "threads_gain": 1.5, "from_skin": 0.6}  # fmt: skip
    assert main([*start]) == 0
    out = capsys.readouterr().out
    assert "skin 0.8 A, 1.25 times as fast as with 0.6 A; 1 thread, 1.50 times as fast" in out
    assert run_json(capsys, *start, "--skin", "0.5")["skin_A"] == 0.5
    assert main([*start, "--report", "run.html"]) == 0
    capsys.readouterr()
    page = Path("run.html").read_text()
    assert "skin 0.8 A, 1.25 times as fast as with 0.6 A" in page
    assert "skin A" in page
    monkeypatch.setattr(tuning, "MODE", "")
    facts = run_json(capsys, *start)
    assert facts["skin_A"] == 0.6
    assert facts["tuned"]["skin"] is None
    tuning.forget()
    assert main([*start]) == 0
    assert "tuned" not in capsys.readouterr().out
