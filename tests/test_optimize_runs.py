"""Runs of optimizers: logs, observers, trajectories, potentials of every kind."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.constraints import FixAtoms
from ase.filters import FrechetCellFilter, UnitCellFilter
from ase.io import read
from optimize_checks import OPTIMIZERS, alloy, bits, jsonable
from potentials_data import MADE, system_of

from mdkern.calculators import LennardJones, ModelDeviation
from mdkern.errors import UnsupportedError
from mdkern.optimize import FIRE, LBFGS

TIME = re.compile(r"\d\d:\d\d:\d\d")


def log_of(optimizer: Any, moved: Any, **kwargs: Any) -> list[str]:
    text = io.StringIO()
    optimizer(moved, logfile=text, **kwargs).run(0.05)
    return TIME.sub("hh:mm:ss", text.getvalue()).splitlines()


@pytest.mark.quick
@pytest.mark.parametrize("name", ["fire", "lbfgs"])
def test_logs_are_those_of_ase(name: str) -> None:
    """Also the energy with p V, and rows of the cell among the forces."""
    ours, ases, _ = OPTIMIZERS[name]
    a, b = alloy(), alloy()
    mine = log_of(ours, a, cell="full", scalar_pressure=0.01)
    assert len(mine) > 20
    assert mine == log_of(ases, FrechetCellFilter(b, scalar_pressure=0.01))


@pytest.mark.usefixtures("here")
def test_a_log_in_a_file_grows(capsys: pytest.CaptureFixture[str]) -> None:
    with LBFGS(alloy(), logfile="a.log") as optimizer:
        optimizer.run(0.05)
    before = Path("a.log").read_text()
    with LBFGS(alloy(), logfile="a.log") as optimizer:
        optimizer.run(0.05)
    assert TIME.sub("", Path("a.log").read_text()) == TIME.sub("", before) * 2
    assert not capsys.readouterr().out
    LBFGS(alloy()).run(0.05, 1)
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_long_log_has_a_line_per_step() -> None:
    """More steps than the core records at once."""
    text = io.StringIO()
    atoms = Atoms("Ar2", [[0, 0, 0], [0, 0, 4.0]], calculator=LennardJones(epsilon=1e-3, sigma=3.0))
    optimizer = FIRE(atoms, logfile=text, dt=1e-4, dtmax=1e-4)
    optimizer.run(1e-9, 2500)
    lines = text.getvalue().splitlines()[1:]
    assert [int(line.split()[1]) for line in lines] == list(range(2501))
    assert float(lines[-1].split()[3]) == round(atoms.get_potential_energy(), 6)


@pytest.mark.quick
def test_observers_see_the_atoms_of_the_step() -> None:
    a, b = alloy(), alloy()
    ours, ases, _ = OPTIMIZERS["fire"]
    seen: dict[str, list[Any]] = {}
    for key, atoms, optimizer in (
        ("ours", a, ours(a, logfile=None)),
        ("ase", b, ases(b, logfile=None)),
    ):
        notes = seen.setdefault(key, [])

        def note(
            what: str, atoms: Any = atoms, optimizer: Any = optimizer, notes: Any = notes
        ) -> None:
            energy, forces = atoms.calc.results["energy"], atoms.get_forces()
            assert forces is not None
            notes.append((what, optimizer.nsteps, round(energy, 9), np.round(atoms.positions, 9).tolist()))  # fmt: skip

        optimizer.attach(note, 7, "each")
        optimizer.attach(note, -12, "once")
        optimizer.insert_observer(note, 0, 5, "first")
        optimizer.run(1e-3, 23)
        optimizer.run(1e-3, 4)
        assert optimizer.get_number_of_steps() == 27
    assert seen["ours"] == seen["ase"]
    assert len(seen["ours"]) > 8


def test_observers_change_nothing() -> None:
    for ours, _, kwargs in OPTIMIZERS.values():
        a, b, c = alloy(), alloy(), alloy()
        ours(a, logfile=None, cell="full", **kwargs).run(1e-6, 30)
        watched = ours(b, logfile=io.StringIO(), cell="full", **kwargs)
        watched.attach(lambda b=b: b.get_potential_energy())
        for _ in range(6):
            watched.run(1e-6, 5)
        stepped = ours(c, logfile=None, cell="full", **kwargs)
        assert not any(stepped.irun(1e-6, 30))
        assert bits(a) == bits(b) == bits(c)


@pytest.mark.parametrize("name", ["fire", "lbfgs", "bfgs"])
def test_an_observer_may_move_the_atoms(name: str) -> None:
    """Atoms, the cell, or what is fixed: the run goes on from there, as ASE's does."""
    ours, ases, _ = OPTIMIZERS[name]

    def disturb(atoms: Atoms, optimizer: Any) -> None:
        if optimizer.nsteps == 4:
            atoms.positions[3] += 0.1
        elif optimizer.nsteps == 7:
            atoms.set_cell(atoms.cell * 1.01, scale_atoms=True)
        elif optimizer.nsteps == 9:
            atoms.set_constraint(FixAtoms([0, 1]))

    a, b = alloy(), alloy()
    for atoms, optimizer in (
        (a, ours(FrechetCellFilter(a), logfile=None)),
        (b, ases(FrechetCellFilter(b), logfile=None)),
    ):
        optimizer.attach(disturb, 1, atoms, optimizer)
        optimizer.run(1e-6, 20)
    assert np.abs(a.positions - b.positions).max() <= 1e-8
    assert np.abs(a.cell - b.cell).max() <= 1e-8


def test_another_calculator_in_the_middle() -> None:
    ours, ases, _ = OPTIMIZERS["fire"]
    a, b = alloy(), alloy()
    for atoms, optimizer in ((a, ours(a, logfile=None)), (b, ases(b, logfile=None))):
        optimizer.run(1e-6, 8)
        atoms.calc = LennardJones(epsilon=0.3, sigma=2.2, rc=6.0)
        optimizer.run(1e-6, 8)
    assert np.abs(a.positions - b.positions).max() <= 1e-10


def test_arguments_may_change_in_the_middle() -> None:
    ours, ases, _ = OPTIMIZERS["fire"]
    a, b = alloy(), alloy()
    for atoms, optimizer in ((a, ours(a, logfile=None)), (b, ases(b, logfile=None))):
        assert len(atoms)
        optimizer.run(1e-6, 8)
        optimizer.maxstep = 0.01
        optimizer.run(1e-6, 8)
    assert np.abs(a.positions - b.positions).max() <= 1e-10


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("cell", ["none", "full"])
def test_trajectories(cell: str) -> None:
    """Frames of every step, the start among them, with the results of ASE's run; appended where asked for."""
    a, b = alloy(), alloy()
    ours, ases, _ = OPTIMIZERS["lbfgs"]
    moved = b if cell == "none" else FrechetCellFilter(b)
    with ours(a, logfile=None, trajectory="a.traj", cell=cell) as mine:
        mine.run(1e-4, 6)
    with ases(moved, logfile=None, trajectory="b.traj") as theirs:
        theirs.run(1e-4, 6)
    for mine, theirs in zip(read("a.traj", ":"), read("b.traj", ":"), strict=True):
        assert np.abs(mine.positions - theirs.positions).max() <= 1e-9
        assert np.abs(mine.cell - theirs.cell).max() <= 1e-9
        assert abs(mine.get_potential_energy() - theirs.get_potential_energy()) <= 1e-9
        assert np.abs(mine.get_stress() - theirs.get_stress()).max() <= 1e-9
    more = {"trajectory": "a.traj", "append_trajectory": True, "loginterval": 2}
    with ours(a, logfile=None, **more) as mine:
        mine.run(1e-4, 4)
    assert len(read("a.traj", ":")) == 9


def test_descriptions_are_jsonable() -> None:
    for ours, ases, kwargs in OPTIMIZERS.values():
        mine = ours(alloy(), logfile=None, cell="full", **kwargs)
        mine.run(0.1)
        theirs = ases(alloy(), logfile=None, **kwargs)
        theirs.run(10.0)
        assert set(theirs.todict()) <= set(mine.todict())
        assert jsonable(mine.todict())


# --- potentials
@pytest.mark.parametrize(
    "name", ["lj_single", "sum_d3", "nep_charges", "linear_soap", "mace", "zbl", "deviation"]
)
def test_potentials_of_every_kind(name: str) -> None:
    """Single precision, parts, charges, features, messages between atoms, committees: path and results are ASE's."""

    def made() -> Any:
        if name != "deviation":
            return MADE[name]()
        options = {"sigma": 2.2, "rc": 6.0, "smooth": True}
        return ModelDeviation([LennardJones(epsilon=e, **options) for e in (0.1, 0.12)])

    a = system_of(made())
    b = a.copy()
    a.calc, b.calc = made(), made()
    ours, ases, _ = OPTIMIZERS["lbfgs"]
    ours(a, logfile=None, cell="full", filter="unit").run(1e-9, 4)
    ases(UnitCellFilter(b), logfile=None).run(1e-9, 4)
    assert np.abs(a.positions - b.positions).max() <= 1e-9
    assert set(a.calc.results) == set(b.calc.results)
    for key, value in b.calc.results.items():
        assert np.abs(a.calc.results[key] - value).max() <= 1e-7, key
    if name == "deviation":
        assert abs(a.calc.deviation["max_devi_f"] - b.calc.deviation["max_devi_f"]) <= 1e-8


def test_a_potential_in_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    atoms = alloy()
    monkeypatch.setattr(type(atoms.calc.potential), "force_step", lambda _: None)
    with pytest.raises(UnsupportedError, match=r"atoms.calc: EAM, .* ase.optimize.FIRE takes it"):
        FIRE(atoms)
