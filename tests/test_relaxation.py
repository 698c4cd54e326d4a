"""mdkern.relax and mdkern.relax_iter: many frames, failures, resume, bits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixBondLengths, FixCartesian, FixCom, FixSymmetry, Hookean
from ase.units import GPa

import mdkern
from mdkern.calculators import EAM, ZBL, LennardJones
from mdkern.errors import FormatError, MDKernWarning
from mdkern.journal import Journal
from mdkern.optimize import FIRE, RelaxationError
from mdkern.relaxation_ase import relaxed_by_ase
from mdkern.relaxation_job import Relaxation
from mdkern.relaxation_settings import Settings
from mdkern.shards import run_job
from mdkern.worker import Failure

ELEMENTS = ("Cu", "Ni", "Al")
BAD = {1: "no atoms", 3: "atoms overlap", 4: "atom 0 is U", 5: "positions[0, 2] is nan", 8: "cell"}


def frames(n: int, seed: int = 0) -> list[Atoms]:
    """Strained, shaken alloys of 4 to 16 atoms."""
    rng = np.random.default_rng(seed)
    out = []
    for k in range(n):
        atoms = bulk("Cu", cubic=True) * (1, 1 + k % 2, 1 + k // 2 % 2)
        atoms.symbols = rng.choice(ELEMENTS, len(atoms))
        strain = np.eye(3) * (1 + 0.03 * rng.normal()) + 0.02 * rng.normal(size=(3, 3))
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        atoms.rattle(0.08, rng=rng)
        out.append(atoms)
    return out


def with_bad() -> list[Atoms]:
    """Those of `BAD` among good ones."""
    out = frames(9)
    out[1] = Atoms(cell=[4, 4, 4], pbc=True)
    out[3].positions[1] = out[3].positions[0]
    out[4].numbers[0] = 92
    out[5].positions[0, 2] = np.nan
    out[8].pbc = False
    out[8].cell[:] = 0.0
    return out


@pytest.fixture(scope="module")
def alloy() -> Any:
    return EAM.zhou2004(list(ELEMENTS))


@pytest.fixture
def blas_alone() -> Iterator[None]:
    """One thread of BLAS: the logarithms of ASE's filter are slow with more."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        yield
        return
    with threadpool_limits(1):
        yield


def bits(atoms: Atoms) -> tuple[Any, ...]:
    """All that came out."""
    results = {} if atoms.calc is None else atoms.calc.results
    numbers = [atoms.positions, atoms.cell.array, *(results[k] for k in sorted(results))]
    return sorted(results), [np.asarray(x).tobytes() for x in numbers], atoms.info


# --- what comes out --------------------------------------------------------------------------------
def test_frames_come_back_relaxed_and_the_given_ones_stay(alloy: Any) -> None:
    given = frames(4)
    given[0].info.update(name="first", energy=-1.0, stopped="by an earlier run")
    given[0].calc = SinglePointCalculator(given[0], energy=3.0)
    given[1].arrays["tag"] = np.arange(len(given[1]))
    before = [(a.positions.copy(), a.cell.array.copy(), dict(a.info)) for a in given]
    out = mdkern.relax(given, alloy, fmax=0.01, cell="full", steps=500, threads=None)
    for atoms, frame, (x, h, info) in zip(given, out, before, strict=True):
        assert np.array_equal(atoms.positions, x)
        assert np.array_equal(atoms.cell.array, h)
        assert atoms.info == info
        assert frame is not atoms
        assert frame.info["converged"] is True
        assert frame.info["failed"] is False
        assert "stopped" not in frame.info
        assert 5 < frame.info["steps"] < 500
        assert 0.0 < frame.info["fmax"] < 0.01
        assert set(frame.calc.results) == {"energy", "forces", "stress"}
        assert np.linalg.norm(frame.get_forces(), axis=1).max() < 0.01
        # Rows of the filter: the virial over the number of atoms.
        assert np.abs(frame.get_stress() * frame.get_volume() / len(frame)).max() < 0.01
        again = frame.copy()
        again.calc = alloy
        assert again.get_potential_energy() == pytest.approx(
            frame.get_potential_energy(), abs=1e-10
        )
        assert again.get_stress() == pytest.approx(frame.get_stress(), abs=1e-12)
    assert out[0].info["name"] == "first"
    assert "energy" not in out[0].info
    assert given[0].calc.results["energy"] == 3.0
    assert np.array_equal(out[1].arrays["tag"], given[1].arrays["tag"])


@pytest.mark.parametrize(
    ("optimizer", "more"),
    [
        ("fire", {"cell": "none"}),
        ("fire", {"cell": "full", "scalar_pressure": 5 * GPa}),
        ("fire", {"cell": "volume", "scalar_pressure": -5 * GPa}),
        ("fire2", {"cell": "shape"}),
        ("lbfgs", {"cell": "full", "mask": [1, 1, 0, 0, 0, 1]}),
        ("bfgs", {"cell": "full", "mask": np.diag([1, 0, 1])}),
    ],
)
@pytest.mark.usefixtures("blas_alone")
def test_the_path_is_that_of_ase(optimizer: str, more: dict[str, Any], alloy: Any) -> None:
    """After 24 steps, or when it is converged before."""
    given = frames(2, seed=5)
    out = mdkern.relax(given, alloy, 0.05, steps=24, optimizer=optimizer, **more)
    settings = Settings.of(optimizer, 0.05, 24, **more)
    for atoms, frame in zip(given, out, strict=True):
        wanted = relaxed_by_ase(atoms.copy(), EAM.zhou2004(list(ELEMENTS)), settings)
        assert frame.info["steps"] == wanted["steps"]
        assert frame.info["converged"] == wanted["converged"]
        assert frame.positions == pytest.approx(wanted["positions"], abs=1e-8)
        assert frame.cell.array == pytest.approx(wanted["cell"], abs=1e-8)
        assert frame.get_potential_energy() == pytest.approx(wanted["energy"], abs=1e-8)
        assert frame.get_stress() == pytest.approx(wanted["stress"], abs=1e-8)
        assert frame.info["fmax"] == pytest.approx(wanted["fmax"], abs=1e-7)


@pytest.mark.parametrize("name", ["FIRE", "FIRE2", "LBFGS", "BFGS"])
def test_bits_are_those_of_the_optimizers(name: str, alloy: Any) -> None:
    (atoms,) = frames(1, seed=3)
    (out,) = mdkern.relax([atoms], alloy, optimizer=name.lower(), scalar_pressure=0.01)
    atoms.calc = alloy
    kind = getattr(mdkern.optimize, name)
    optimizer = kind(atoms, logfile=None, cell="full", scalar_pressure=0.01)
    assert optimizer.run(fmax=0.01)
    assert out.info["steps"] == optimizer.nsteps
    assert np.array_equal(out.positions, atoms.positions)
    assert np.array_equal(out.cell.array, atoms.cell.array)
    assert out.get_potential_energy() == atoms.get_potential_energy()
    assert np.array_equal(out.get_forces(), atoms.get_forces())
    assert np.array_equal(out.get_stress(), atoms.get_stress())


def test_what_stays_of_the_cell(alloy: Any) -> None:
    (atoms,) = frames(1)
    (none,) = mdkern.relax([atoms], alloy, cell="none")
    assert np.array_equal(none.cell.array, atoms.cell.array)
    (shape,) = mdkern.relax([atoms], alloy, cell="shape")
    assert shape.get_volume() == pytest.approx(atoms.get_volume(), rel=1e-9)
    (volume,) = mdkern.relax([atoms], alloy, cell="volume", scalar_pressure=10 * GPa)
    assert volume.cell.array / volume.cell[0, 0] == pytest.approx(
        atoms.cell.array / atoms.cell[0, 0], abs=1e-9
    )
    (same,) = mdkern.relax([atoms], alloy, cell="full", hydrostatic=True, scalar_pressure=10 * GPa)
    assert bits(same) == bits(volume)
    assert -volume.get_stress()[:3].mean() == pytest.approx(10 * GPa, abs=0.01)


def test_steps_that_do_not_suffice(alloy: Any) -> None:
    for steps in (0, 3):
        (out,) = mdkern.relax(frames(1), alloy, steps=steps)
        assert (out.info["converged"], out.info["failed"]) == (False, False)
        assert out.info["steps"] == steps
        assert out.info["stopped"].startswith(f"{steps} steps did not suffice")
        assert out.get_potential_energy() < 0.0
    start = frames(1)[0]
    (out,) = mdkern.relax([start], alloy, steps=0)
    assert np.array_equal(out.positions, start.positions)


# --- bits ------------------------------------------------------------------------------------------
def test_bits_do_not_depend_on_batch_order_or_threads(alloy: Any, threads: int) -> None:
    given = frames(12)
    wanted = [bits(mdkern.relax([a], alloy, threads=1)[0]) for a in given]
    assert [bits(a) for a in mdkern.relax(given, alloy)] == wanted
    assert [bits(a) for a in mdkern.relax(given, alloy, threads=threads)] == wanted
    assert [bits(a) for a in mdkern.relax(given[::-1], alloy)] == wanted[::-1]
    assert [bits(a) for a in mdkern.relax_iter(iter(given), alloy)] == wanted


def test_large_frames_get_all_threads(threads: int) -> None:
    """Of three that are large: one is left when the others are done, and then has all threads."""
    given = []
    for k, n in enumerate((8, 9, 8)):
        atoms = bulk("Ar", cubic=True, a=5.3 + 0.05 * k) * (n, 8, 8)
        atoms.rattle(0.05 * (1 + k), seed=k)
        given.append(atoms)
    calc = LennardJones(sigma=3.4, epsilon=0.0104, rc=6.0)
    out = mdkern.relax(given, calc, cell="none", fmax=0.002, steps=60, threads=threads)
    alone = mdkern.relax(given[1:2], calc, cell="none", fmax=0.002, steps=60, threads=1)
    assert bits(out[1]) == bits(alone[0])
    assert [a.info["failed"] for a in out] == [False] * 3


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_executors_give_the_same_bits(kind: Any, alloy: Any) -> None:
    given = with_bad()
    with pytest.warns(MDKernWarning, match="5 frames failed"):
        here = mdkern.relax(given, alloy)
    with kind(2) as executor, pytest.warns(MDKernWarning, match="5 frames failed"):
        there = mdkern.relax(iter(given), alloy, executor=executor)
    for a, b in zip(here, there, strict=True):
        if a.calc is not None:
            assert bits(a) == bits(b)
        else:
            assert a.info == b.info


# --- frames that fail ------------------------------------------------------------------------------
@pytest.mark.quick
def test_frames_that_fail_say_why_and_the_others_go_on(alloy: Any) -> None:
    given = with_bad()
    with pytest.warns(MDKernWarning, match=r"5 frames failed, .* frame 1: the frame has no atoms"):
        out = mdkern.relax(given, alloy)
    assert [k for k, a in enumerate(out) if a.info["failed"]] == sorted(BAD)
    for k, atoms in enumerate(out):
        if k not in BAD:
            assert atoms.info["converged"]
            continue
        assert BAD[k] in atoms.info["stopped"]
        assert (atoms.info["converged"], atoms.info["steps"]) == (False, 0)
        assert atoms.calc is None
        assert np.array_equal(atoms.positions, given[k].positions, equal_nan=True)
    with pytest.raises(ValueError, match="frame 1: the frame has no atoms"):
        mdkern.relax(given, alloy, on_error="raise")


def test_a_cell_that_explodes_keeps_the_last_good_geometry() -> None:
    """Nuclei that repel each other have no minimum."""
    atoms = bulk("Cu", cubic=True, a=2.4)
    calc = ZBL(inner=2.0, outer=2.5)
    with pytest.warns(MDKernWarning, match="frame 0: .*explodes"):
        (out,) = mdkern.relax([atoms * (2, 2, 2)], ZBL(inner=6.0, outer=7.0), fmax=1e-9, steps=5000)
    assert out.info["failed"]
    assert out.info["steps"] > 5
    growth = out.get_volume() / (atoms * (2, 2, 2)).get_volume()
    assert 2.0 < growth <= 8.0
    again = out.copy()
    again.calc = ZBL(inner=6.0, outer=7.0)
    assert again.get_potential_energy() == pytest.approx(out.get_potential_energy(), rel=1e-10)
    with pytest.raises(RelaxationError, match=r"frame 0: step \d+: .*explodes"):
        mdkern.relax([atoms * (2, 2, 2)], ZBL(inner=6.0, outer=7.0), fmax=1e-9, steps=5000, on_error="raise")  # fmt: skip
    del calc


class Failing(EMT):  # type: ignore[misc]
    """Fails after some evaluations, as a program that crashes."""

    left = 6

    def calculate(self, *args: Any, **kwargs: Any) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError("the disk is full")
        super().calculate(*args, **kwargs)


def test_calculators_of_others(alloy: Any) -> None:
    given = frames(2, seed=1)
    out = mdkern.relax(given, EMT(), fmax=0.05, cell="none", steps=100)
    for atoms, frame in zip(given, out, strict=True):
        assert frame.info["converged"]
        wanted = relaxed_by_ase(atoms.copy(), EMT(), Settings(fmax=0.05, cell="none", steps=100))
        assert np.array_equal(frame.positions, wanted["positions"])
        assert set(frame.calc.results) == {"energy", "forces", "stress"}
    with pytest.warns(MDKernWarning, match="frame 0: OSError: the disk is full"):
        (out0,) = mdkern.relax(given[:1], Failing(), fmax=1e-6, cell="none")
    assert out0.info["failed"]
    assert 0 < out0.info["steps"] < 6
    again = out0.copy()
    again.calc = EMT()
    assert again.get_potential_energy() == pytest.approx(out0.get_potential_energy(), abs=1e-9)
    with pytest.warns(MDKernWarning, match="frame 1: "):
        mixed = mdkern.relax([given[0], with_bad()[5]], EMT(), cell="none", fmax=0.1)
    assert [a.info["failed"] for a in mixed] == [False, True]

    class NoStress(EMT):  # type: ignore[misc]
        implemented_properties = ("energy", "forces")

    with pytest.warns(MDKernWarning, match="NoStress has no stress; expected cell='none'"):
        mdkern.relax(given[:1], NoStress())
    (flat,) = mdkern.relax(given[:1], NoStress(), cell="none", fmax=0.1)
    assert set(flat.calc.results) == {"energy", "forces"}
    del alloy


# --- constraints -----------------------------------------------------------------------------------
def test_constraints_are_obeyed_and_kept() -> None:
    slab = fcc111("Cu", (2, 2, 3), vacuum=6.0)
    slab.pbc = True
    slab.rattle(0.1, seed=2)
    slab.set_constraint([FixAtoms([0, 1, 2, 3]), FixCartesian([5], [True, False, True])])
    calc = EAM.zhou2004(["Cu"])
    (out,) = mdkern.relax([slab], calc, cell="none", fmax=0.02)
    assert out.info["converged"]
    assert np.array_equal(out.positions[:4], slab.positions[:4])
    moved = (out.positions - slab.positions)[5]
    assert (moved[0], moved[2]) == (0.0, 0.0)
    assert moved[1] != 0.0
    assert [type(c) for c in out.constraints] == [FixAtoms, FixCartesian]
    # Results are those of the potential.
    assert np.linalg.norm(out.get_forces(apply_constraint=False)[:4], axis=1).max() > 0.02
    free = bulk("Cu", cubic=True)
    free.rattle(0.1, seed=4)
    free.set_constraint(FixCom())
    (out,) = mdkern.relax([free], calc, cell="none", optimizer="lbfgs")
    assert out.get_center_of_mass() == pytest.approx(free.get_center_of_mass(), abs=1e-9)


def test_constraints_without_a_native_form_go_by_ase(alloy: Any) -> None:
    pairs = frames(2)
    pairs[1].set_constraint(FixBondLengths([[0, 1]]))
    length = pairs[1].get_distance(0, 1, mic=True)
    out = mdkern.relax(pairs, alloy, cell="none", fmax=0.1)
    assert out[1].get_distance(0, 1, mic=True) == pytest.approx(length, abs=1e-6)
    assert out[1].info["converged"]
    assert bits(out[0]) == bits(mdkern.relax(pairs[:1], alloy, cell="none", fmax=0.1)[0])


def test_energies_are_without_what_constraints_add() -> None:
    """A spring has an energy of its own, which who asks the frame gets once."""
    dimer = Atoms("Cu2", [[0, 0, 0], [0, 0, 2.6]])
    spring = Hookean(0, 1, k=5.0, rt=1.5)
    dimer.set_constraint(spring)
    (out,) = mdkern.relax([dimer], EAM.zhou2004(["Cu"]), cell="none", fmax=0.01)
    assert out.info["converged"]
    again = out.copy()
    again.calc = EAM.zhou2004(["Cu"])
    added = spring.adjust_potential_energy(out)
    assert added > 0.01
    assert out.calc.results["energy"] == pytest.approx(
        again.get_potential_energy(apply_constraint=False), abs=1e-12
    )
    assert out.get_potential_energy() == pytest.approx(again.get_potential_energy(), abs=1e-12)


def test_symmetry_is_kept() -> None:
    pytest.importorskip("spglib")
    atoms = bulk("NiAl", "cesiumchloride", a=3.0) * (2, 1, 1)
    atoms.set_cell(atoms.cell.array * [1, 1, 1.04], scale_atoms=True)
    atoms.set_constraint(FixSymmetry(atoms))
    calc = EAM.zhou2004(list(ELEMENTS))
    (out,) = mdkern.relax([atoms], calc)
    assert out.info["converged"]
    lengths = out.cell.lengths()
    assert lengths[0] == pytest.approx(2 * lengths[1], rel=1e-9)


def test_slabs_and_molecules(alloy: Any) -> None:
    slab = fcc111("Cu", (1, 1, 3), a=3.7, vacuum=6.0)
    assert not slab.pbc[2]
    with pytest.warns(MDKernWarning, match="not periodic along vector 2"):
        (bad,) = mdkern.relax([slab], alloy)
    assert bad.info["failed"]
    (out,) = mdkern.relax([slab], alloy, mask=[1, 1, 0, 0, 0, 1])
    assert out.info["converged"]
    assert out.cell[2] == pytest.approx(slab.cell[2], abs=1e-12)
    assert out.cell.lengths()[0] < slab.cell.lengths()[0]
    dimer = Atoms("Cu2", [[0, 0, 0], [0, 0, 2.6]])
    (out,) = mdkern.relax([dimer], alloy, cell="none")
    assert out.info["converged"]
    assert set(out.calc.results) == {"energy", "forces"}


# --- journals and interruptions --------------------------------------------------------------------
def test_an_interrupted_call_goes_on(tmp_path: Path, alloy: Any) -> None:
    book, given = tmp_path / "relax.journal", frames(10)
    wanted = [bits(a) for a in mdkern.relax(given, alloy, threads=1)]
    some = mdkern.relax_iter(given, alloy, threads=1, journal=book)
    for _ in range(3):
        next(some)
    some.close()  # type: ignore[attr-defined]
    known: list[int] = []
    job = Relaxation(alloy, Settings())
    for _ in run_job(job, given, threads=1, journal=book, found=known.append):
        pass
    assert known == list(range(len(known)))
    assert 3 <= len(known) <= 8  # two shards of four are under way
    assert [bits(a) for a in mdkern.relax(given[::-1], alloy, journal=book)] == wanted[::-1]
    fixed = given[0].copy()
    fixed.set_constraint(FixAtoms([0]))
    known.clear()
    list(run_job(job, [fixed, given[0]], journal=book, found=known.append))
    assert known == [1]
    with pytest.raises(FormatError, match="another model, or of other results"):
        mdkern.relax(given, alloy, fmax=0.02, journal=book)


def test_ctrl_c_ends_a_batch_soon_and_keeps_what_is_finished(tmp_path: Path) -> None:
    """Small frames, which are done at once, among one that takes long."""
    calc = LennardJones(sigma=3.4, epsilon=0.0104, rc=8.5)
    long = bulk("Ar", cubic=True, a=5.2) * 30  # seconds, on any machine
    long.rattle(0.2, seed=0)
    small = bulk("Ar", cubic=True, a=5.4)
    small.rattle(0.1, seed=1)
    book = tmp_path / "relax.journal"
    # Shells leave the signal ignored in what they run in the background.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    begin = time.monotonic()
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            mdkern.relax(
                [long, small, small.copy()], calc, cell="none", fmax=1e-12, steps=10**7, threads=2, journal=book
            )  # fmt: skip
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - begin < 30.0  # of a loaded machine
    job = Relaxation(calc, Settings(fmax=1e-12, cell="none", steps=10**7))
    Journal(book, job.fingerprint()).close()  # whole, and of this job


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGINT)", "sys.exit()"])
def test_python_ends_while_the_core_works(end: str) -> None:
    """Its thread does not meet an interpreter that is gone."""
    script = f"""
import os, signal, sys, time
import mdkern
from ase.build import bulk
from mdkern.calculators import LennardJones
signal.signal(signal.SIGINT, signal.default_int_handler)
long = bulk("Ar", cubic=True, a=5.2) * 30
long.rattle(0.1, seed=0)
small = bulk("Ar", cubic=True, a=5.4)
calc = LennardJones(sigma=3.4, epsilon=0.0104, rc=6.0)
some = mdkern.relax_iter([small] * 4 + [long] * 4, calc, cell="none", fmax=1e-13, steps=10**8, threads=1)
next(some)
time.sleep(0.3)
{end}
time.sleep(100)
"""
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == (0 if "exit" in end else -signal.SIGINT), run.stderr
    assert "terminate" not in run.stderr


def test_what_is_finished_of_an_interrupted_shard_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alloy: Any
) -> None:
    """A core that is told to stop while the first and the fourth frame are not done."""
    import mdkern.relaxation_job as module

    book, given = tmp_path / "relax.journal", frames(5)
    real = module._core.relax_frames
    told: list[Any] = []

    class Core:
        def __getattr__(self, name: str) -> Any:
            return getattr(mdkern._core, name)  # type: ignore[attr-defined]

        def relax_frames(self, *args: Any, **kwargs: Any) -> Any:
            results, raised = real(*args, **kwargs)
            results[0] = results[3] = None
            return results, raised

        class StopFlag(module._core.StopFlag):  # type: ignore[name-defined, misc]
            def set(self) -> None:
                told.append(self)

    def interrupted(_self: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_core", Core())
    monkeypatch.setattr(module, "FEWEST", 8)
    monkeypatch.setattr(module._Batch, "results", interrupted)
    with pytest.raises(KeyboardInterrupt):
        mdkern.relax(given, alloy, journal=book)
    monkeypatch.undo()
    assert len(told) == 1
    known: list[int] = []
    list(run_job(Relaxation(alloy, Settings()), given, journal=book, found=known.append))
    assert known == [1, 2, 4]


def test_a_journal_of_frames_with_all_kinds_of_arrays(tmp_path: Path, alloy: Any) -> None:
    given = frames(2)
    given[0].arrays["what"] = np.array([{"a": 1}] * len(given[0]), dtype=object)
    given[0].arrays["name"] = np.array(["x"] * len(given[0]))
    for calc, cell in ((alloy, "full"), (EMT(), "none")):
        book, known = tmp_path / f"{cell}.journal", []
        mdkern.relax(given, calc, fmax=0.2, cell=cell, journal=book)
        # What a calculator of others has in it counts, results too: this is a new one.
        job = Relaxation(alloy if calc is alloy else EMT(), Settings.of(fmax=0.2, cell=cell))
        list(run_job(job, given, journal=book, found=known.append))
        assert known == [0, 1]


def test_the_iterator_holds_some_frames_only(alloy: Any) -> None:
    read = 0

    def many() -> Iterator[Atoms]:
        nonlocal read
        for atoms in frames(8) * 1000:
            read += 1
            yield atoms

    out = mdkern.relax_iter(many(), alloy, fmax=1.0, threads=1)
    next(out)  # of four frames; four more are under way
    assert read == 8
    for _ in range(30):
        next(out)
    assert read < 1000


def test_the_bits_of_a_frame_are_those_of_the_optimizer(alloy: Any) -> None:
    given = frames(6)
    for atoms, out in zip(given, mdkern.relax(given, alloy, steps=40), strict=True):
        atoms.calc = alloy
        FIRE(atoms, logfile=None, cell="full").run(0.01, 40)
        assert np.array_equal(atoms.positions, out.positions)
        assert np.array_equal(atoms.cell.array, out.cell.array)


# --- arguments -------------------------------------------------------------------------------------
@pytest.mark.quick
@pytest.mark.parametrize(
    ("more", "part"),
    [
        ({"fmax": -1.0}, "fmax: -1.0"),
        ({"fmax": float("nan")}, "fmax: nan"),
        ({"steps": -1}, "steps: -1"),
        ({"steps": 1.5}, "steps: 1.5"),
        ({"cell": "fixed"}, "cell: 'fixed'; expected one of none, volume, shape, full"),
        ({"optimizer": "newton"}, "optimizer: 'newton'"),
        ({"scalar_pressure": "1"}, "scalar_pressure: '1'"),
        ({"scalar_pressure": 0.1, "cell": "none"}, "scalar_pressure: 0.1; expected 0"),
        ({"scalar_pressure": 0.1, "cell": "shape"}, "scalar_pressure: 0.1; expected 0"),
        ({"mask": [1, 1, 0]}, "mask: [1, 1, 0]"),
        ({"mask": [1, 1, 1, 0, 0, 2]}, "mask: [1, 1, 1, 0, 0, 2]"),
        ({"mask": 0.5 * np.ones((3, 3))}, "mask: "),
        ({"mask": ["a"] * 6}, "mask: ['a', 'a'"),
        ({"mask": {}}, "mask: {}"),
        (
            {"mask": [1, 1, 0, 0, 0, 1], "cell": "shape"},
            "mask: [1, 1, 0, 0, 0, 1], and cell='shape' needs",
        ),
        (
            {"mask": [1, 1, 0, 0, 0, 1], "cell": "volume"},
            "mask: [1, 1, 0, 0, 0, 1], and cell='volume' needs",
        ),
        (
            {"mask": [1, 1, 0, 0, 0, 1], "hydrostatic": True},
            "mask: [1, 1, 0, 0, 0, 1], and hydrostatic=True",
        ),
        ({"mask": [1] * 6, "cell": "none"}, "mask: of a cell that relaxes"),
        ({"hydrostatic": True, "cell": "none"}, "hydrostatic: of a cell that relaxes"),
        ({"hydrostatic": True, "cell": "shape"}, "hydrostatic: True"),
        ({"hydrostatic": "yes"}, "hydrostatic: 'yes'"),
        ({"threads": 0}, "threads: 0"),
        ({"progress": "no"}, "progress: 'no'"),
        ({"on_error": "ignore"}, "on_error: 'ignore'"),
    ],
)
def test_bad_arguments(more: dict[str, Any], part: str, alloy: Any) -> None:
    with pytest.raises(ValueError, match=r".") as e:
        mdkern.relax(frames(1), alloy, **more)
    assert str(e.value).startswith(part)


def test_what_are_no_frames(alloy: Any) -> None:
    with pytest.raises(TypeError, match="frames: one Atoms"):
        mdkern.relax(frames(1)[0], alloy)
    with pytest.raises(TypeError, match=r"frames\[1\]: 3"):
        mdkern.relax([frames(1)[0], 3], alloy)
    with pytest.raises(TypeError, match="calculator: 3"):
        mdkern.relax(frames(1), 3)
    with pytest.raises(TypeError, match=r"calculator: <class .*EMT"):
        mdkern.relax(frames(1), EMT)
    dipoles = EMT()
    dipoles.implemented_properties = ["dipole"]
    with pytest.raises(TypeError, match="calculator: EMT, which has no forces"):
        mdkern.relax(frames(1), dipoles)
    with pytest.raises(TypeError, match="executor: 3"):
        mdkern.relax(frames(1), alloy, executor=3)
    assert mdkern.relax([], alloy) == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(mdkern.relax(iter(frames(2)), alloy, progress=True, fmax=1.0)) == 2


def test_the_job_is_the_same_for_the_same_settings(alloy: Any) -> None:
    job = Relaxation(alloy, Settings())
    assert job.fingerprint() == Relaxation(alloy, Settings.of()).fingerprint()
    for other in (
        Settings(mask=(1.0,) * 9),
        Settings(scalar_pressure=0.1),
        Settings(optimizer="lbfgs"),
    ):
        assert Relaxation(alloy, other).fingerprint() != job.fingerprint()
    (result,) = job.run([molecule("H2O")], 1)
    assert isinstance(result, Failure)
