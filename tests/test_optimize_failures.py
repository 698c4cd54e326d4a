"""Optimizers that are interrupted, fail, or refuse: restart files, errors, arguments."""

from __future__ import annotations

import io
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixBondLength
from ase.filters import ExpCellFilter, FrechetCellFilter, StrainFilter, UnitCellFilter
from ase.io.trajectory import Trajectory
from ase.mep import NEB
from optimize_checks import OPTIMIZERS, alloy, bits, large, slab

from mdkern import optimize
from mdkern.calculators import EAM, AtomsError, NEPTensor
from mdkern.errors import FormatError, InUseError, UnsupportedError
from mdkern.optimize import BFGS, FIRE, FIRE2, LBFGS, RelaxationError, base


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
def test_a_restart_of_a_relaxed_cell_and_then_another_calculator() -> None:
    """What the optimizer remembers refers to the first cell of the first run, not to that of the atoms it was given."""
    a = alloy()
    first = LBFGS(a, "r.npz", None, cell="full")
    first.run(1e-9, 10)
    b = a.copy()
    b.calc = a.calc
    second = LBFGS(b, "r.npz", None, cell="full")
    for atoms, optimizer in ((a, first), (b, second)):
        atoms.calc = EAM.zhou2004(["Cu", "Ni"], skin=0.7)
        optimizer.run(1e-9, 5)
    assert bits(a) == bits(b)


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
    with pytest.raises(ValueError, match=r"restart: r\.npz has cell kind 'none'; expected 'logar"):
        LBFGS(alloy(), "r.npz", None, cell="full")
    with pytest.raises(ValueError, match=r"restart: r\.npz has numbers"):
        LBFGS(slab(), "r.npz", None)
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


@pytest.mark.parametrize("filter", ["frechet", "unit"])
def test_a_cell_that_is_refused_leaves_nothing_behind(filter: str) -> None:
    """An observer's mistake, of which it takes back the cell alone: what was never evaluated is not taken for good."""
    atoms = alloy()
    optimizer = LBFGS(atoms, logfile=None, cell="full", filter=filter)
    optimizer.run(0.01, 3)
    good = atoms.cell.array.copy()
    atoms.positions[0] += 0.3
    atoms.cell[0] *= -1.0
    for _ in range(2):
        with pytest.raises(AtomsError, match="cell: its vectors have the other handedness"):
            optimizer.run(0.01, 1)
    atoms.cell[...] = good
    optimizer.run(0.01, 0)
    fresh = alloy()
    fresh.set_cell(good)
    fresh.positions[...] = atoms.positions
    assert np.abs(atoms.get_forces() - fresh.get_forces()).max() < 1e-9
    assert atoms.get_potential_energy() == pytest.approx(fresh.get_potential_energy(), abs=1e-9)
    for kind in (FrechetCellFilter, UnitCellFilter):
        moved = kind(alloy())
        moved.atoms.cell[0] *= -1.0
        with pytest.raises(AtomsError, match="cell: its vectors have the other handedness"):
            FIRE(moved, logfile=None).run()


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


class _Interrupted:
    """A loop in whose fourth call a signal comes."""

    def __init__(self, loop: Any) -> None:
        self._loop, self._calls = loop, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def run(self, *args: Any) -> Any:
        self._calls += 1
        done = self._loop.run(*args)
        if self._calls == 4:
            signal.raise_signal(signal.SIGINT)
        return done


@pytest.mark.usefixtures("here")
def test_observers_see_every_step_of_an_interrupted_run() -> None:
    """The step under way is done when the signal is seen, and the restart file has it."""
    a, b = alloy(), alloy()
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with LBFGS(a, "r.npz", None, "t.traj") as first:
            first.run(1e-9, 0)
            first._relaxed.loop = _Interrupted(first._relaxed.loop)
            with pytest.raises(KeyboardInterrupt):
                first.run(1e-9, 10)
    finally:
        signal.signal(signal.SIGINT, old)
    assert first.nsteps == 4
    with LBFGS(b, "r.npz", None, "t.traj", append_trajectory=True) as second:
        second.run(1e-9, 3)
    with Trajectory("t.traj") as trajectory:
        energies = [atoms.get_potential_energy() for atoms in trajectory]
    assert len(energies) == 8
    assert energies == sorted(energies, reverse=True)


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
        (lambda: FIRE(alloy(), cell="full", mask=[[1], [1, 1]]), ValueError, r"mask: \[\[1"),
        (lambda: FIRE(alloy(), cell="shape", mask=[1, 1, 0, 0, 0, 1]), ValueError, "mask: .*cell='shape' needs xx, yy and zz"),
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
        (lambda: FIRE2(alloy(), use_abc="no"), ValueError, "use_abc: 'no'"),
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
