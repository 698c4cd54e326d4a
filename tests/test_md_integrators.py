"""Every integrator against ASE's, step by step; observers, restarts, threads and instruction sets."""

from __future__ import annotations

import _thread
import contextlib
import io
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixCom, Hookean
from ase.io import read
from ase.md.verlet import VelocityVerlet
from md_checks import FS, INTEGRATORS, Replay, argon, assert_same, copper

import mdkern
from mdkern import _core, md, reference
from mdkern.calculators import LennardJones, Morse
from mdkern.errors import FormatError, UnsupportedError

# ASE's formulas with constraints recompute momenta from positions, and lose digits there.
TOLERANCE = 1e-12


# --- random numbers ------------------------------------------------------------------------------
@pytest.mark.quick
def test_philox_known_answers() -> None:
    """The known answers that come with Random123, the authors' own code."""
    cases = (
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    )
    for counter, key, words in cases:
        assert reference.philox4x32(counter, key).tolist() == words


@pytest.mark.quick
@pytest.mark.parametrize(("seed", "step"), [(0, 0), (2**64 - 1, 2**40 + 3), (12345, 77)])
@pytest.mark.usefixtures("isa")
def test_normal_deviates(seed: int, step: int) -> None:
    atoms = np.random.default_rng(0).permutation(1000).astype(np.int32)
    got = _core.md_normals(atoms, seed, step)
    assert np.abs(got - reference.normal_deviates(atoms, seed, step)).max() <= 1e-13
    # One atom's numbers are its own, whoever is drawn beside it.
    assert got[17].tobytes() == _core.md_normals(atoms[17:18].copy(), seed, step)[0].tobytes()
    assert got.tobytes() == _core.md_normals(atoms, seed, step, threads=3).tobytes()


def test_distribution_of_deviates() -> None:
    z = np.array(_core.md_normals(np.arange(100_000, dtype=np.int32), 3, 4))
    n = len(z)
    assert np.abs(z.mean(axis=0)).max() <= 4.5 / np.sqrt(n)
    assert np.abs(z.var(axis=0) - 1.0).max() <= 4.5 * np.sqrt(2 / n)
    assert np.abs((z**3).mean(axis=0)).max() <= 4.5 * np.sqrt(15 / n)
    assert np.abs((z**4).mean(axis=0) - 3.0).max() <= 4.5 * np.sqrt(96 / n)
    assert np.abs(np.corrcoef(z.T) - np.eye(6)).max() <= 4.5 / np.sqrt(n)
    for n_dof in (2.0, 7.0, 100.0):
        pairs = np.array([_core.md_bussi_noise(1, k, n_dof) for k in range(20_000)])
        squares = pairs[:, 1]
        error = np.sqrt(2 * (n_dof - 1) / len(pairs))
        assert abs(squares.mean() - (n_dof - 1)) <= 4.5 * error
        assert abs(squares.var() / (2 * (n_dof - 1)) - 1.0) <= 0.15
        assert abs(pairs[:, 0].mean()) <= 4.5 / np.sqrt(len(pairs))


# --- against ASE ---------------------------------------------------------------------------------
@pytest.mark.quick
def test_velocity_verlet_has_the_bits_of_ase() -> None:
    a, b = copper(), copper()
    mine, theirs = INTEGRATORS["verlet"][0](a), INTEGRATORS["verlet"][1](b, None)
    for steps in (1, 4, 60):
        assert mine.run(steps)
        theirs.run(steps)
        assert_same(a, b)
    assert mine.n_builds == b.calc.n_builds > 3
    assert mine.nsteps == 65
    assert mine.get_time() == theirs.get_time()


@pytest.mark.parametrize("name", INTEGRATORS)
@pytest.mark.usefixtures("isa")
def test_step_by_step_against_ase(name: str) -> None:
    a, b = copper(), copper()
    mine = INTEGRATORS[name][0](a)
    theirs = INTEGRATORS[name][1](b, mine)
    for steps in (1, 1, 3, 20, 35):
        mine.run(steps)
        theirs.run(steps)
        scale = np.abs(b.get_momenta()).max()
        assert np.abs(a.positions - b.positions).max() <= TOLERANCE
        assert np.abs(a.get_momenta() - b.get_momenta()).max() <= TOLERANCE * scale
        assert np.abs(a.cell.array - b.cell.array).max() <= TOLERANCE
        assert abs(a.get_potential_energy() - b.get_potential_energy()) <= 1e-10
        if hasattr(theirs, "get_conserved_energy"):
            assert abs(mine.get_conserved_energy() - theirs.get_conserved_energy()) <= 1e-9
    if name == "bussi":
        assert abs(mine.transferred_energy - theirs.transferred_energy) <= 1e-10


@pytest.mark.quick
@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("name", ["verlet", "langevin", "langevin_each"])
def test_against_the_definition(name: str) -> None:
    """The loops of NumPy, with the forces of the calculator."""
    a = copper()
    twin = a.copy()
    twin.calc = copper().calc

    def forces(r: Any) -> Any:
        twin.positions = r
        return twin.get_forces()

    mine = INTEGRATORS[name][0](a)
    arguments = (a.positions, a.get_momenta(), a.get_masses(), forces, 3 * FS, 25)
    if name == "verlet":
        r, p = reference.velocity_verlet(*arguments)
    else:
        more = {"kT": units.kB * mine.temperature_K, "friction": mine.fr, "seed": mine.seed}
        r, p = reference.langevin(*arguments, **more)
    mine.run(25)
    assert np.abs(a.positions - r).max() <= TOLERANCE
    assert np.abs(a.get_momenta() - p).max() <= TOLERANCE * np.abs(p).max()


@pytest.mark.parametrize("name", ["verlet", "langevin", "bussi"])
@pytest.mark.parametrize("constraint", [FixAtoms([0, 3, 50]), FixCom()], ids=["FixAtoms", "FixCom"])
def test_constraints_against_ase(name: str, constraint: Any) -> None:
    a, b = copper(), copper()
    for atoms in (a, b):  # unequal masses: the centre of mass is not the mean
        atoms.set_masses(np.where(np.arange(len(atoms)) % 3, 63.5, 40.0))
        atoms.set_constraint(constraint)
        if isinstance(constraint, FixAtoms):  # ASE's Bussi counts what fixed atoms start with
            momenta = atoms.get_momenta()
            momenta[constraint.index] = 0.0
            atoms.set_momenta(momenta)
    mine = INTEGRATORS[name][0](a)
    theirs = INTEGRATORS[name][1](b, mine)
    start = a.get_center_of_mass()
    fixed = a.positions[[0, 3, 50]].copy()
    for steps in (1, 1, 30):
        mine.run(steps)
        theirs.run(steps)
        scale = np.abs(b.get_momenta()).max()
        assert np.abs(a.positions - b.positions).max() <= TOLERANCE
        assert np.abs(a.get_momenta() - b.get_momenta()).max() <= TOLERANCE * scale
    if isinstance(constraint, FixCom):
        assert np.abs(a.get_center_of_mass() - start).max() <= 1e-12
        assert np.abs(a.get_momenta().sum(axis=0)).max() <= 1e-10
    else:
        assert np.array_equal(a.positions[[0, 3, 50]], fixed)
        assert not a.get_momenta()[[0, 3, 50]].any()


@pytest.mark.parametrize("pbc", [(True, True, True), (True, True, False), (False, False, False)])
def test_open_directions_and_atoms_outside_the_cell(pbc: Any) -> None:
    states = []
    for _ in range(2):
        atoms = argon(2)
        atoms.pbc = pbc
        atoms.positions += [40.0, -3.0, 17.0]
        states.append(atoms)
    a, b = states
    INTEGRATORS["verlet"][0](a).run(80)
    INTEGRATORS["verlet"][1](b, None).run(80)
    assert_same(a, b)


def test_a_cell_smaller_than_the_cutoff_and_a_single_atom() -> None:
    for atoms in (bulk("Ar", a=5.3), Atoms("Ar", cell=3 * [3.9], pbc=True), Atoms("Ar")):
        atoms.set_momenta(np.ones((len(atoms), 3)))
        b = atoms.copy()
        for each in (atoms, b):
            each.calc = LennardJones(epsilon=0.0104, sigma=3.4, rc=7.5, skin=0.5)
        INTEGRATORS["verlet"][0](atoms).run(40)
        INTEGRATORS["verlet"][1](b, None).run(40)
        assert_same(atoms, b)


def test_no_atoms_at_all() -> None:
    atoms = Atoms(cell=[5, 5, 5], pbc=True)
    atoms.calc = LennardJones()
    dynamics = md.VelocityVerlet(atoms, FS)
    dynamics.run(3)
    assert (dynamics.nsteps, atoms.get_potential_energy()) == (3, 0.0)


def test_without_a_skin() -> None:
    a, b = argon(skin=0.0), argon(skin=0.0)
    mine = INTEGRATORS["verlet"][0](a)
    mine.run(20)
    INTEGRATORS["verlet"][1](b, None).run(20)
    assert_same(a, b)
    assert mine.n_builds == 21


class _Python(Morse, potential=Morse.potential_class, ase_name="python"):
    """A potential that the core reaches through Python only, as a new one may be."""

    def _apply(self, potential: Any) -> None:
        class Plain:
            cutoff, species = potential.cutoff, potential.species

            def compute(self, neighbors: Any, **kw: Any) -> Any:
                assert set(kw) == {"threads"}
                return potential.compute(neighbors, **kw)

        super()._apply(Plain())


@pytest.mark.quick
def test_a_potential_without_native_step() -> None:
    pairs = []
    for kind in (Morse, _Python):
        atoms = copper()
        atoms.calc = kind(D=0.34, alpha=1.36, r0=2.87, rc=6.0, shift=True)
        dynamics = INTEGRATORS["langevin"][0](atoms)
        dynamics.run(30)
        pairs.append(atoms)
    # The sum over atoms has another order.
    a, b = pairs
    assert a.positions.tobytes() == b.positions.tobytes()
    assert a.get_forces().tobytes() == b.get_forces().tobytes()
    assert a.get_potential_energies().tobytes() == b.get_potential_energies().tobytes()


def test_a_potential_that_raises_leaves_the_last_good_step() -> None:
    class Broken(_Python, potential=Morse.potential_class, ase_name="broken"):
        def _apply(self, potential: Any) -> None:
            super()._apply(potential)
            inner, calls = self.potential, []

            class Failing:
                cutoff, species = inner.cutoff, inner.species

                def compute(self, neighbors: Any, **kw: Any) -> Any:
                    calls.append(1)
                    if len(calls) == 6:
                        raise RuntimeError("out of order")
                    return inner.compute(neighbors, **kw)

            self.potential = Failing()

    a, b = copper(), copper()
    a.calc = Broken(D=0.34, alpha=1.36, r0=2.87, rc=6.0, shift=True)
    b.calc = _Python(D=0.34, alpha=1.36, r0=2.87, rc=6.0, shift=True)
    dynamics = md.VelocityVerlet(a, 3 * FS)
    with pytest.raises(RuntimeError, match="out of order"):
        dynamics.run(100)
    assert dynamics.nsteps == 4
    md.VelocityVerlet(b, 3 * FS).run(4)
    assert a.positions.tobytes() == b.positions.tobytes()
    assert a.get_momenta().tobytes() == b.get_momenta().tobytes()


# --- one trajectory, however it is cut -------------------------------------------------------------
@pytest.mark.parametrize("name", INTEGRATORS)
def test_bits_do_not_depend_on_who_looks_threads_or_restarts(name: str, tmp_path: Path) -> None:
    make = INTEGRATORS[name][0]
    whole, parts = copper(), copper()
    make(whole).run(300)
    watched = make(parts)
    watched.attach(parts.get_stress, interval=7)
    watched.attach(watched.get_conserved_energy, interval=11)
    watched.run(40)
    for _ in watched.irun(5):
        pass
    watched.run(88)
    md.write_checkpoint(tmp_path / "run.npz", watched, {"note": "half"})
    with mdkern.num_threads(3):
        checkpoint = md.read_checkpoint(tmp_path / "run.npz")
        assert (checkpoint.steps, checkpoint.meta["extra"]) == (133, {"note": "half"})
        again = checkpoint.dynamics(copper(threads=2).calc)
        again.run(167)
    assert again.nsteps == 300
    assert_same(whole, again.atoms)
    watched.run(167)
    assert_same(whole, parts)


def test_threads_of_a_larger_system() -> None:
    """Above the size from which teams work."""
    states = []
    for threads in (1, 2, 3):
        atoms = argon(14, threads=threads)  # 10976 atoms
        atoms.set_constraint(FixCom())
        INTEGRATORS["langevin"][0](atoms).run(12)
        states.append(atoms)
    assert_same(states[0], states[1])
    assert_same(states[0], states[2])


def test_instruction_sets_agree() -> None:
    states = []
    for isa in mdkern.info()["isas_supported"]:
        mdkern.set_isa(isa)
        atoms = copper()
        INTEGRATORS["langevin"][0](atoms).run(20)
        states.append(atoms)
    for other in states[1:]:
        assert np.abs(other.positions - states[0].positions).max() <= 1e-12


# --- ASE's interface -------------------------------------------------------------------------------
@pytest.mark.quick
def test_observers_see_whole_steps() -> None:
    a, b = copper(), copper()
    seen: dict[str, list[Any]] = {"ours": [], "ase": []}

    def look(name: str, dynamics: Any) -> None:
        atoms = dynamics.atoms
        seen[name].append(
            (
                dynamics.nsteps,
                dynamics.get_time(),
                atoms.get_potential_energy(),
                atoms.get_kinetic_energy(),
                atoms.get_forces().tobytes(),
            )
        )

    for name, dynamics in (
        ("ours", INTEGRATORS["verlet"][0](a)),
        ("ase", INTEGRATORS["verlet"][1](b, None)),
    ):
        dynamics.attach(look, 3, name, dynamics)
        dynamics.attach(look, -5, name, dynamics)
        dynamics.insert_observer(look, 0, 4, name, dynamics)
        dynamics.run(13)
        dynamics.run(2)
    assert [entry[0] for entry in seen["ours"]] == [0, 0, 3, 4, 5, 6, 8, 9, 12, 12, 15]
    assert seen["ours"] == seen["ase"]


def test_an_observer_costs_no_evaluation() -> None:
    atoms = copper()
    dynamics = INTEGRATORS["verlet"][0](atoms)
    dynamics.attach(lambda: (atoms.get_potential_energy(), atoms.get_stress()), 1)
    dynamics.run(5)
    assert atoms.calc.n_builds == 0  # its own list was never needed
    assert atoms.get_stresses().shape == (108, 6)  # this one is evaluated
    assert atoms.calc.n_builds == 1


@pytest.mark.quick
def test_observers_may_change_atoms_and_parameters() -> None:
    a, b = copper(), copper()
    for atoms, which in ((a, 0), (b, 1)):
        ours = INTEGRATORS["langevin"][0](atoms)
        dynamics = ours if which == 0 else INTEGRATORS["langevin"][1](atoms, ours)

        def kick(atoms: Atoms = atoms, dynamics: Any = dynamics) -> None:
            if dynamics.nsteps == 4:
                atoms.positions[5] += 0.05
            if dynamics.nsteps == 8:
                atoms.set_momenta(0.5 * atoms.get_momenta())
            if dynamics.nsteps == 12:
                dynamics.set_temperature(temperature_K=50)
                atoms.wrap()
            if dynamics.nsteps == 16:
                atoms.set_cell(atoms.cell.array * 1.01, scale_atoms=True)

        dynamics.attach(kick, 4)
        dynamics.run(24)
    assert np.abs(a.positions - b.positions).max() <= 1e-11
    assert np.abs(a.get_momenta() - b.get_momenta()).max() <= 1e-10


@pytest.mark.parametrize("name", ["isotropic_mtk", "mtk", "masked_mtk"])
def test_a_cell_that_is_set_in_a_run_stays(name: str) -> None:
    atoms = copper()
    dynamics = INTEGRATORS[name][0](atoms)
    dynamics.run(20)
    before = dynamics.get_conserved_energy()
    atoms.set_cell(atoms.cell.array * 1.03, scale_atoms=True)
    wanted, begin = atoms.get_volume(), dynamics.get_conserved_energy()
    assert abs(begin - before) > 1e-2
    dynamics.run(1)
    assert atoms.get_volume() == pytest.approx(wanted, rel=2e-2)
    dynamics.run(20)
    assert dynamics.get_conserved_energy() == pytest.approx(begin, abs=0.2)
    # With another calculator, too, the cell goes on from where it is.
    wanted = atoms.get_volume()
    atoms.calc = Morse(D=0.34, alpha=1.36, r0=2.87, rc=6.0)
    dynamics.run(1)
    assert atoms.get_volume() == pytest.approx(wanted, rel=2e-2)


def test_changes_between_runs() -> None:
    a, b = copper(), copper()
    mine, theirs = INTEGRATORS["verlet"][0](a), INTEGRATORS["verlet"][1](b, None)
    for step in range(4):
        for atoms in (a, b):
            if step == 1:
                atoms.set_masses(50.0 * np.ones(len(atoms)))
            if step == 2:
                atoms.calc = Morse(D=0.34, alpha=1.36, r0=2.87, rc=6.0)
            if step == 3:
                atoms.set_constraint(FixAtoms([1]))
        mine.run(10)
        theirs.run(10)
        assert np.abs(a.positions - b.positions).max() <= TOLERANCE


def test_step_and_irun_like_ase() -> None:
    a, b = copper(), copper()
    mine, theirs = INTEGRATORS["verlet"][0](a), INTEGRATORS["verlet"][1](b, None)
    assert list(mine.irun(4)) == list(theirs.irun(4)) == [False] * 4 + [True]
    assert mine.step().tobytes() == theirs.step().tobytes()
    assert mine.nsteps == theirs.nsteps
    assert_same(a, b)
    assert mine.run(0)


@pytest.mark.parametrize("name", ["langevin", "bussi", "verlet", "nose_hoover"])
def test_steps_that_nobody_counts_have_random_numbers_of_their_own(
    name: str, tmp_path: Path
) -> None:
    make = INTEGRATORS[name][0]
    atoms, twin, third = copper(2), copper(2), copper(2)
    make(twin).run(24)
    dynamics, counted = make(atoms), make(third)
    for k in range(8):
        dynamics.step()
        counted.step()
        counted.nsteps += 1
        if k % 2:  # whoever looks
            dynamics.get_conserved_energy()
            counted.get_conserved_energy()
    assert dynamics.nsteps == 0
    dynamics.run(5)
    assert dynamics.nsteps == 5
    dynamics.step()
    md.write_checkpoint(tmp_path / "a.npz", dynamics)
    again = md.read_checkpoint(tmp_path / "a.npz").dynamics(copper(2).calc)
    assert again.nsteps == 14
    assert list(dynamics.irun(4))[-1]
    dynamics.step()
    dynamics.advance(5)
    again.run(10)
    counted.run(16)
    for other in (twin, again.atoms, third):
        assert_same(atoms, other)


def test_logfile_and_trajectory(tmp_path: Path) -> None:
    texts, frames = [], []
    for k in (0, 1):
        atoms = copper(2)
        log, name = io.StringIO(), str(tmp_path / f"{k}.traj")
        verlet = md.VelocityVerlet if k == 0 else VelocityVerlet
        with verlet(atoms, 3 * FS, name, log, 5) as dynamics:
            dynamics.run(20)
        texts.append(log.getvalue())
        frames.append(read(name, ":"))
    assert texts[0] == texts[1]
    assert len(texts[0].splitlines()) == 6
    for one, other in zip(*frames, strict=True):
        assert one.positions.tobytes() == other.positions.tobytes()
        assert one.get_forces().tobytes() == other.get_forces().tobytes()
        assert one.get_potential_energy() == other.get_potential_energy()


def test_rng_of_ase_gives_the_seed() -> None:
    for rng in (np.random.default_rng, np.random.RandomState):
        seeds = {md.Bussi(copper(2), FS, 300, 100 * FS, rng=rng(3)).seed for _ in range(2)}
        assert len(seeds) == 1
    assert md.Bussi(copper(2), FS, 300, 100 * FS).seed != md.Bussi(copper(2), FS, 300, 9 * FS).seed


def test_description_in_trajectories() -> None:
    text = md.Langevin(copper(2), FS, temperature_K=300, friction=0.1, seed=5).todict()
    assert text["type"] == "molecular-dynamics"
    assert text["md-type"] == "Langevin"
    assert (text["temperature_K"], text["friction"], text["seed"]) == (300, 0.1, 5)


# --- refused ---------------------------------------------------------------------------------------
def test_other_calculators_are_refused() -> None:
    atoms = copper(2)
    atoms.calc = EMT()
    with pytest.raises(TypeError, match=r"EMT.*ase\.md\.verlet\.VelocityVerlet"):
        md.VelocityVerlet(atoms, FS)
    atoms.calc = None
    with pytest.raises(TypeError, match=r"none.*ase\.md\.bussi\.Bussi"):
        md.Bussi(atoms, FS, 300, FS)

    class Corrected(Morse, potential=Morse.potential_class, ase_name="corrected"):
        def calculate(self, *args: Any, **kwargs: Any) -> None:
            super().calculate(*args, **kwargs)

    atoms.calc = Corrected(D=0.3, alpha=1.4, r0=2.9, rc=6)  # what it adds would be lost
    with pytest.raises(TypeError, match="Corrected"):
        md.VelocityVerlet(atoms, FS)


def test_other_constraints_are_refused() -> None:
    atoms = copper(2)
    atoms.set_constraint(Hookean(0, 1, 5.0))
    with pytest.raises(UnsupportedError, match="Hookean"):
        md.VelocityVerlet(atoms, FS)
    atoms.set_constraint([FixCom(), FixAtoms([1])])
    with pytest.raises(UnsupportedError, match="one of them"):
        md.VelocityVerlet(atoms, FS)
    atoms.set_constraint(FixAtoms([0]))
    with pytest.raises(UnsupportedError, match="FixAtoms"):
        md.MTKNPT(atoms, FS, 300, 0.0, FS, FS)
    atoms.set_constraint()
    atoms.pbc = (True, True, False)
    with pytest.raises(ValueError, match="pbc"):
        md.MTKNPT(atoms, FS, 300, 0.0, FS, FS)


def test_atoms_that_cannot_be_run() -> None:
    atoms = copper(2)
    atoms.set_masses([0.0] + [63.5] * 31)
    with pytest.warns(UserWarning, match="Zero mass"):
        dynamics = md.VelocityVerlet(atoms, FS)
    with pytest.raises(ValueError, match=r"masses\[0\]"):
        dynamics.run(1)
    atoms = copper(2)
    atoms.set_momenta(0 * atoms.get_momenta())
    with pytest.raises(ValueError, match="kinetic energy"):
        md.Bussi(atoms, FS, 300, 100 * FS)
    atoms.set_momenta(np.full((32, 3), np.nan))
    with pytest.raises(ValueError, match=r"momenta\[0\]"):
        md.VelocityVerlet(atoms, FS).run(1)
    atoms = copper(2)
    atoms.numbers[3] = 54
    with pytest.raises(ValueError, match="atom 3 is Xe"):
        md.VelocityVerlet(atoms, FS).run(1)


# --- what goes wrong during a run ------------------------------------------------------------------
def test_overlap_stops_at_the_last_good_step() -> None:
    """One atom shoots at another: the step and an atom are named, the atoms are those before."""
    atoms = argon(2, smooth=False, shift=True)
    momenta = atoms.get_momenta()
    momenta[5] = 5000 * (atoms.positions[6] - atoms.positions[5]) / 3
    atoms.set_momenta(momenta)
    twin = atoms.copy()
    twin.calc = argon(2, smooth=False, shift=True).calc
    dynamics = md.VelocityVerlet(atoms, 1 * FS)
    with pytest.raises(md.DynamicsError, match=r"step \d+: atom \d+") as caught:
        dynamics.run(100_000)
    assert caught.value.step == dynamics.nsteps + 1
    assert 0 <= caught.value.atom < len(atoms)
    assert np.isfinite(atoms.positions).all()
    assert np.isfinite(atoms.get_total_energy())
    md.VelocityVerlet(twin, 1 * FS).run(dynamics.nsteps)
    assert_same(atoms, twin)


def test_an_atom_that_flies_away() -> None:
    atoms = argon(2)
    atoms.pbc = False
    momenta = atoms.get_momenta()
    momenta[7] = [1e6, 0, 0]
    atoms.set_momenta(momenta)
    dynamics = md.VelocityVerlet(atoms, 5 * FS)
    with pytest.raises(md.DynamicsError, match=r"atom 7 moved .* in one step") as caught:
        dynamics.run(10)
    assert (caught.value.atom, caught.value.step, dynamics.nsteps) == (7, 1, 0)


def test_a_long_run_goes_back_one_step_only() -> None:
    """Beyond the interval at which states are kept."""
    atoms = argon(2)
    dynamics = INTEGRATORS["langevin"][0](atoms)
    dynamics.attach(lambda: dynamics.set_temperature(temperature_K=1e9), -700)
    with pytest.raises(md.DynamicsError):
        dynamics.run(2000)
    assert dynamics.nsteps >= 700
    assert np.isfinite(atoms.get_forces()).all()


def test_interrupted_run_ends_at_a_whole_step() -> None:
    atoms = copper()
    dynamics = INTEGRATORS["verlet"][0](atoms)
    timer = threading.Timer(0.3, _thread.interrupt_main)
    # A process that was started in the background may ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            dynamics.run(300_000)
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)
    twin = copper()
    INTEGRATORS["verlet"][0](twin).run(dynamics.nsteps)
    assert 10 < dynamics.nsteps < 300_000
    assert_same(atoms, twin)


# --- checkpoints -----------------------------------------------------------------------------------
def test_checkpoint_keeps_constraints_masses_and_atoms(tmp_path: Path) -> None:
    for constraint in (FixAtoms([0, 3]), FixCom()):
        atoms = copper(2)
        atoms.set_constraint(constraint)
        atoms.set_masses(np.arange(1.0, 33.0))
        dynamics = INTEGRATORS["langevin"][0](atoms)
        dynamics.run(20)
        md.write_checkpoint(tmp_path / "a.npz", dynamics)
        held = md.read_checkpoint(tmp_path / "a.npz")
        other = held.dynamics(copper(2).calc)
        mine = held.dynamics(copper(2).calc, atoms=copper(2) * 1)
        assert len(mine.atoms.constraints) == 0
        dynamics.run(20)
        other.run(20)
        assert_same(atoms, other.atoms)
        assert np.array_equal(other.atoms.get_masses(), atoms.get_masses())
    with pytest.raises(ValueError, match="other elements"):
        held.dynamics(copper(2).calc, atoms=copper(1))


@pytest.mark.filterwarnings("ignore:Zero mass encountered")
def test_checkpoint_with_atoms_without_a_mass(tmp_path: Path) -> None:
    """Those that FixAtoms holds need none."""
    atoms = copper(2)
    atoms.set_constraint(FixAtoms([0, 3]))
    atoms.set_masses([0.0, *[63.0] * 2, 0.0, *[63.0] * 28])
    dynamics = INTEGRATORS["verlet"][0](atoms)
    dynamics.run(5)
    md.write_checkpoint(tmp_path / "a.npz", dynamics)
    again = md.read_checkpoint(tmp_path / "a.npz").dynamics(copper(2).calc)
    dynamics.run(5)
    again.run(5)
    assert_same(atoms, again.atoms)


def test_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    dynamics = INTEGRATORS["verlet"][0](copper(2))
    dynamics.run(5)
    md.write_checkpoint(path, dynamics)
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]
    good = path.read_bytes()
    rng = np.random.default_rng(0)
    for k in range(60):
        data = bytearray(good)
        if k % 3 == 0:
            data = data[: int(rng.integers(len(data)))]
        else:
            for at in rng.integers(0, len(data) if k % 2 else 2000, 6):
                data[at] = rng.integers(256)
        path.write_bytes(bytes(data))
        # The damage may lie where it does not matter.
        with contextlib.suppress(FormatError):
            md.read_checkpoint(path)
    path.write_bytes(b"no archive")
    with pytest.raises(FormatError, match="not a checkpoint"):
        md.read_checkpoint(path)
    np.savez(path, x=np.zeros(3))
    with pytest.raises(FormatError, match="other arrays"):
        md.read_checkpoint(path)
    with pytest.raises(FileNotFoundError):
        md.read_checkpoint(tmp_path / "absent.npz")


def test_an_interrupted_write_keeps_the_former_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.npz"
    dynamics = INTEGRATORS["verlet"][0](copper(2))
    md.write_checkpoint(path, dynamics)
    before = path.read_bytes()
    dynamics.run(5)

    def stop(*_args: Any, **_kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", stop)
    with pytest.raises(KeyboardInterrupt):
        md.write_checkpoint(path, dynamics)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]


def test_replay_gives_what_the_kernel_draws() -> None:
    """The oracle of these tests is itself checked: atom by atom, xi before eta."""
    dynamics = INTEGRATORS["langevin"][0](copper(2))
    replay = Replay(dynamics, 32)
    expected = reference.normal_deviates(np.arange(32), dynamics.seed, 0)
    assert np.abs(replay.standard_normal((32, 3)) - expected[:, :3]).max() <= 1e-13
    assert np.abs(replay.standard_normal((32, 3)) - expected[:, 3:]).max() <= 1e-13
    later = reference.normal_deviates(np.arange(32), dynamics.seed, 1)
    assert np.abs(replay.standard_normal((32, 3)) - later[:, :3]).max() <= 1e-13
