"""Runs of optimizers: logs, observers, trajectories, restarts, failures, and what is refused."""

from __future__ import annotations

import io
import re
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixBondLength
from ase.filters import ExpCellFilter, FrechetCellFilter, StrainFilter, UnitCellFilter
from ase.io import read
from ase.mep import NEB
from optimize_checks import OPTIMIZERS, alloy, bits, jsonable, slab
from potentials_data import MADE, system_of

from mdkern import optimize
from mdkern.calculators import EAM, AtomsError, LennardJones, ModelDeviation, NEPTensor
from mdkern.errors import FormatError, InUseError, UnsupportedError
from mdkern.optimize import BFGS, FIRE, FIRE2, LBFGS, RelaxationError, base

TIME = re.compile(r"\d\d:\d\d:\d\d")


def large() -> Atoms:
    """Of 864 atoms, for runs that take a while."""
    atoms = bulk("Cu", cubic=True) * 6
    atoms.rattle(0.1, seed=1)
    atoms.calc = EAM.zhou2004(["Cu"])
    return atoms


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


# --- restarts
@pytest.mark.parametrize("cell", ["none", "full"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_restart_goes_on_with_the_same_bits(here: Path, name: str, cell: str) -> None:
    ours, _, kwargs = OPTIMIZERS[name]
    a, b = alloy(), alloy()
    ours(a, logfile=None, cell=cell, **kwargs).run(1e-8, 40)
    first = ours(b, "r.npz", None, cell=cell, **kwargs)
    first.run(1e-8, 17)
    c = alloy()
    c.positions += 0.01  # the file has the place to go on from
    text = io.StringIO()
    second = ours(c, "r.npz", text, cell=cell, **kwargs)
    assert bits(b) == bits(c)
    second.run(1e-8, 23)
    assert second.nsteps == 40
    assert text.getvalue().splitlines()[0].split()[1] == "18"
    assert bits(a) == bits(c)
    assert [p.name for p in here.iterdir()] == ["r.npz"]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("logfile", [None, "-"])
def test_a_long_run_writes_meanwhile(monkeypatch: pytest.MonkeyPatch, logfile: Any) -> None:
    """What a killed process leaves behind, without observers: a file that changes no bit of the run."""
    monkeypatch.setattr(base, "_WRITE_SECONDS", 1e-3)
    monkeypatch.setattr(base, "_CHUNK_SECONDS", 1e-3)
    written: list[int] = []
    write = base.write_restart

    def noted(path: Any, optimizer: Any) -> None:
        written.append(optimizer.nsteps)
        write(path, optimizer)

    monkeypatch.setattr(base, "write_restart", noted)
    a, b = large(), large()
    FIRE(a, "r.npz", logfile).run(1e-9, 60)
    FIRE(b, logfile=None).run(1e-9, 60)
    assert bits(a) == bits(b)
    assert len(written) > 1
    assert written[-1] == 60


@pytest.mark.usefixtures("here")
def test_restarts_that_do_not_fit() -> None:
    LBFGS(alloy(), "r.npz", None).run(0.05, 3)
    other = alloy()
    other.symbols[0] = "Cu"
    open_ = alloy()
    open_.pbc = False
    Path("ase.json").write_text("[1, 2]")
    Path("cut.npz").write_bytes(Path("r.npz").read_bytes()[:500])
    with pytest.raises(ValueError, match=r"restart: r\.npz has optimizer 'LBFGS'; expected 'FIRE'"):
        FIRE(alloy(), "r.npz", None)
    with pytest.raises(ValueError, match=r"restart: r\.npz has cell"):
        LBFGS(alloy(), "r.npz", None, cell="full")
    with pytest.raises(ValueError, match=r"restart: r\.npz has numbers"):
        LBFGS(other, "r.npz", None)
    with pytest.raises(ValueError, match=r"restart: r\.npz has pbc"):
        LBFGS(open_, "r.npz", None)
    with pytest.raises(ValueError, match="kept is 2; expected no more than memory"):
        LBFGS(alloy(), "r.npz", None, memory=1)
    for name in ("ase.json", "cut.npz"):
        with pytest.raises(FormatError, match=name):
            LBFGS(alloy(), name, None)


@pytest.mark.usefixtures("here")
def test_damaged_restarts_are_refused() -> None:
    LBFGS(alloy(), "r.npz", None, cell="full").run(0.05, 3)
    good = dict(np.load("r.npz"))
    bad: list[dict[str, Any]] = [
        {"positions": good["positions"][:4]},
        {"positions": np.full_like(good["positions"], np.nan)},
        {"coordinates": good["coordinates"][:16]},
        {"meta": np.frombuffer(b"{}", np.uint8)},
        {"optimizer_r0": good["optimizer_r0"][:5]},
        {"optimizer_numbers": np.array([1.0, 1e9])},
        {"deformation": np.zeros((3, 3))},
        {"other": np.zeros(3)},
    ]
    for change in bad:
        np.savez("bad.npz", **{**good, **change})
        with pytest.raises(ValueError, match=r"bad|state of the|kept"):
            LBFGS(alloy(), "bad.npz", None, cell="full")
    Path("r.npz").unlink()
    FIRE(alloy(), "r.npz", None).run(0.05, 3)
    good = dict(np.load("r.npz"))
    for k, name in enumerate(("dt", "a", "steps downhill"), 1):
        numbers = good["optimizer_numbers"].copy()
        numbers[k] = -1e200
        np.savez("bad.npz", **{**good, "optimizer_numbers": numbers})
        with pytest.raises(ValueError, match=f"state of the optimizer: {name} is -1e"):
            FIRE(alloy(), "bad.npz", None)


# --- failures
def test_atoms_that_overlap() -> None:
    atoms = alloy()
    atoms.positions[5] = atoms.positions[2]
    before = atoms.positions.copy()
    for ours, _, kwargs in OPTIMIZERS.values():
        with pytest.raises(AtomsError, match=r"atom (2|5): energy or force is not finite"):
            ours(atoms, logfile=None, **kwargs).run()
        assert np.array_equal(atoms.positions, before)


def test_positions_that_are_not_finite() -> None:
    atoms = alloy()
    atoms.positions[4, 1] = np.nan
    with pytest.raises(AtomsError, match="4"):
        FIRE(atoms, logfile=None).run()


def test_a_cell_that_explodes() -> None:
    """Under tension a crystal comes apart; the last good geometry is kept, and the log ends there."""
    atoms, text = alloy(), io.StringIO()
    optimizer = FIRE(atoms, logfile=text, cell="full", scalar_pressure=-1.0, maxstep=5.0)
    with pytest.raises(RelaxationError, match="the cell explodes: its volume went from 19") as e:
        optimizer.run(1e-3, 1000)
    assert e.value.step == optimizer.nsteps + 1
    assert e.value.atom is None
    assert len(text.getvalue().splitlines()) == optimizer.nsteps + 2
    assert alloy().cell.volume < atoms.cell.volume <= 8 * alloy().cell.volume
    fresh = atoms.copy()
    fresh.calc = alloy().calc
    assert abs(fresh.get_potential_energy() - atoms.calc.results["energy"]) <= 1e-8
    assert np.abs(fresh.get_forces() - atoms.calc.results["forces"]).max() <= 1e-8


def test_an_atom_that_flies() -> None:
    atoms = alloy()
    atoms.positions[5] = atoms.positions[2] + [0.0, 0.0, 0.3]
    before = atoms.positions.copy()
    optimizer = FIRE(atoms, logfile=None, maxstep=1e3, dt=2.0)
    with pytest.raises(RelaxationError, match=r"step 1: atom \d+ would move .* Angstrom") as e:
        optimizer.run()
    assert e.value.atom in (2, 5)
    assert np.array_equal(atoms.positions, before)
    # A shorter step, and it goes on.
    optimizer.maxstep, optimizer.dt = 0.2, 0.1
    assert optimizer.run(0.05, 500)


@pytest.mark.usefixtures("here")
def test_a_failure_leaves_a_restart_file_of_the_last_good_step() -> None:
    atoms, again = alloy(), alloy()
    settings = {"cell": "full", "scalar_pressure": -1.0, "maxstep": 5.0}
    with pytest.raises(RelaxationError) as e:
        FIRE(atoms, "r.npz", None, **settings).run(1e-3, 1000)
    assert e.value.step > 1
    assert FIRE(again, "r.npz", None, **settings).nsteps == e.value.step - 1
    assert bits(again) == bits(atoms)


def test_signals_stop_a_run() -> None:
    atoms = large()
    optimizer = FIRE(atoms, logfile=None)
    old = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            optimizer.run(0.0)
    finally:
        signal.signal(signal.SIGALRM, old)
    assert optimizer.nsteps > 0
    fresh = atoms.copy()
    fresh.calc = EAM.zhou2004(["Cu"])
    assert abs(fresh.get_potential_energy() - atoms.calc.results["energy"]) <= 1e-7


def test_two_threads_do_not_move_the_same_atoms() -> None:
    atoms = alloy()
    first, second = FIRE(atoms, logfile=None), LBFGS(atoms, logfile=None)
    met: list[BaseException] = []

    def other() -> None:
        try:
            second.run(0.1, 1)
        except InUseError as e:
            met.append(e)

    def observe() -> None:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    first.attach(observe, -2)
    first.run(1e-3, 4)
    assert "another thread" in str(met[0])


# --- arguments
class Other(EMT):  # type: ignore[misc]
    """A calculator that is not of mdkern."""


def _with(calc: Any, atoms: Any = None) -> Any:
    made = alloy() if atoms is None else atoms
    made.calc = calc
    return made


def _bonded() -> Atoms:
    atoms = alloy()
    atoms.set_constraint(FixBondLength(0, 1))
    return atoms


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: FIRE("cu.xyz"), TypeError, "atoms: 'cu.xyz'; expected"),
        (lambda: FIRE(_with(None)), TypeError, "atoms.calc: none; .* use ase.optimize.FIRE"),
        (lambda: LBFGS(_with(Other())), TypeError, "atoms.calc: Other; .* use ase.optimize.LBFGS"),
        (lambda: BFGS(_bonded()), UnsupportedError, "constraint FixBondLengths: .*ase.optimize.BFGS"),
        (lambda: FIRE(StrainFilter(alloy())), UnsupportedError, "atoms: StrainFilter; .*ase.optimize.FIRE"),
        (lambda: FIRE(alloy(), cell="all"), ValueError, "cell: 'all'; expected one of none"),
        (lambda: FIRE(alloy(), cell=None), ValueError, "cell: None"),
        (lambda: FIRE(alloy(), cell="full", filter="exp"), ValueError, "filter: 'exp'"),
        (lambda: FIRE(alloy(), mask=[1] * 6), ValueError, "mask: given, but cell='none'"),
        (lambda: FIRE(alloy(), hydrostatic=True), ValueError, "hydrostatic: given"),
        (lambda: FIRE(alloy(), scalar_pressure=1.0), ValueError, "scalar_pressure: given"),
        (lambda: FIRE(alloy(), cell="full", mask=[1] * 5), ValueError, r"mask: .*expected 6"),
        (lambda: FIRE(alloy(), cell="full", mask=[2] * 6), ValueError, r"mask: \[2"),
        (lambda: FIRE(alloy(), cell="full", mask="ttffff"), ValueError, r"mask: 'ttffff'"),
        (lambda: FIRE(alloy(), cell="shape", hydrostatic=True), ValueError, "hydrostatic: True"),
        (lambda: FIRE(alloy(), cell="full", hydrostatic="yes"), ValueError, "hydrostatic: 'yes'"),
        (lambda: FIRE(alloy(), cell="full", scalar_pressure=np.inf), ValueError, "scalar_pressure: inf"),
        (lambda: FIRE(FrechetCellFilter(alloy()), cell="full"), ValueError, "cell: given, and atoms are"),
        (lambda: FIRE(FrechetCellFilter(alloy()), scalar_pressure=1), ValueError, "scalar_pressure: given"),
        (lambda: FIRE(alloy(), skin=-1.0), ValueError, "skin: -1.0"),
        (lambda: FIRE(alloy(), dt=0.0), ValueError, "dt is 0; expected a positive"),
        (lambda: FIRE(alloy(), dt="0.1"), ValueError, "dt: '0.1'"),
        (lambda: FIRE(alloy(), maxstep=-0.1), ValueError, "maxstep is -0.1"),
        (lambda: FIRE(alloy(), maxmove=0.1), ValueError, "maxmove: 0.1; expected maxstep"),
        (lambda: FIRE(alloy(), Nmin=2.5), ValueError, "Nmin: 2.5"),
        (lambda: FIRE(alloy(), a=2.0), ValueError, "a is 2; expected 0 to 1"),
        (lambda: FIRE(alloy(), downhill_check="no"), ValueError, "downhill_check: 'no'"),
        (lambda: FIRE(alloy(), position_reset_callback=print), UnsupportedError, "ase.optimize.FIRE calls it"),
        (lambda: FIRE2(alloy(), dtmin=-1), ValueError, "dtmin is -1"),
        (lambda: LBFGS(alloy(), maxstep=1.5), ValueError, "maxstep is 1.5; expected above 0 and at most 1"),
        (lambda: LBFGS(alloy(), memory=-1), ValueError, "memory: -1"),
        (lambda: LBFGS(alloy(), alpha=0), ValueError, "alpha is 0"),
        (lambda: LBFGS(alloy(), use_line_search=True), UnsupportedError, "ase.optimize.LBFGS has a line"),
        (lambda: BFGS(alloy(), alpha=np.nan), ValueError, "alpha: nan"),
        (lambda: FIRE(alloy(), typo=1), TypeError, "typo"),
        (lambda: FIRE(alloy(), restart=3), TypeError, "restart: 3; expected the path"),
        (lambda: FIRE(alloy(), restart="."), IsADirectoryError, "restart: . is a folder"),
        (lambda: FIRE(alloy(), restart="nowhere/a.npz"), FileNotFoundError, "restart: nowhere/a.npz"),
        (lambda: FIRE(NEB([alloy(), alloy(), alloy()], method="string")), TypeError, "such as NEB"),
        (lambda: FIRE(alloy(), loginterval=0), ValueError, "loginterval: 0"),
        (lambda: FIRE(alloy(), logfile=None).run(-1.0), ValueError, "fmax: -1.0"),
        (lambda: FIRE(alloy(), logfile=None).run("0.1"), ValueError, "fmax: '0.1'"),
        (lambda: FIRE(alloy(), logfile=None).run(0.1, 1.5), ValueError, "steps: 1.5"),
        (lambda: FIRE(alloy(), logfile=None).converged(), ValueError, "converged: no fmax yet"),
    ],
)  # fmt: skip
def test_bad_arguments(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_old_exponential_filter_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="ExpCellFilter; expected Atoms, FrechetCellFilter"):
        optimize.FIRE(ExpCellFilter(alloy()))


def test_systems_that_are_refused() -> None:
    cluster = Atoms("Cu4", np.random.default_rng(0).normal(size=(4, 3)) * 2.5)
    with pytest.raises(AtomsError, match="cell: volume 0; expected three vectors that span"):
        FIRE(_with(EAM.zhou2004(["Cu"]), cluster), logfile=None, cell="full").run()
    many = _with(EAM.zhou2004(["Cu"]), bulk("Cu", cubic=True) * (6, 6, 7))
    many.rattle(0.1)
    with pytest.raises(
        ValueError, match=r"BFGS: 1008 rows .* at most 1000. LBFGS takes any number"
    ):
        BFGS(many, logfile=None).run()
    dipole = Path(__file__).parent / "data/nep/dipole/nep.txt"
    if dipole.exists():
        with pytest.raises(TypeError, match="NEPTensor, which has no forces"):
            FIRE(_with(NEPTensor(dipole)))


def test_steps_by_hand_and_forces_given() -> None:
    a, b = alloy(), alloy()
    ours, ases, _ = OPTIMIZERS["fire"]
    mine, theirs = ours(a, logfile=None), ases(b, logfile=None)
    for _ in range(5):
        mine.step()
        theirs.step()
    assert mine.nsteps == theirs.nsteps == 0
    assert np.abs(a.positions - b.positions).max() <= 1e-12
    mine.run(0.3, 0)
    assert mine.converged(np.full((3, 3), 0.1))
    assert not mine.converged(np.full((3, 3), 0.2))
    with pytest.raises(UnsupportedError, match="step: forces given"):
        mine.step(a.get_forces())


def test_a_converged_slab_stays() -> None:
    atoms = slab()
    optimizer = LBFGS(atoms, logfile=None)
    assert optimizer.run(1e-3)
    steps = optimizer.nsteps
    assert optimizer.run(1e-3)
    assert optimizer.nsteps == steps
    assert optimizer.n_builds >= 1
    still = slab()
    fixed = still.constraints[0].index
    assert np.array_equal(atoms.positions[fixed], still.positions[fixed])
