"""Virials of nine components and heat fluxes, against their definition."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.constraints import FixAtoms
from potentials_data import DATA, MADE, lennard_jones, of_species, system_of

import mdkern
from mdkern import calculators, errors
from mdkern.analysis import heat_flux

ROWS, COLUMNS = (0, 1, 2, 0, 0, 1, 1, 2, 2), (0, 1, 2, 1, 2, 2, 0, 0, 1)
WITHOUT = ["nep_charges"]
WITH = [name for name in MADE if name not in WITHOUT and "single" not in name]
QUICK = ("lj", "eam_fs", "stillinger_weber", "tersoff", "nep", "zbl", "mace")


def matrices(nine: Any) -> Any:
    """(..., 3, 3)"""
    out = np.empty((*np.shape(nine)[:-1], 3, 3))
    out[..., ROWS, COLUMNS] = nine
    return out


def cluster(calc: Any, n: int) -> Atoms:
    """The innermost atoms of the structure of a potential."""
    atoms = system_of(calc)
    distance = np.linalg.norm(atoms.positions - atoms.cell.sum(axis=0) / 2, axis=1)
    inner = np.argsort(distance)[:n]
    return Atoms(atoms.numbers[inner], atoms.positions[inner])


def energies(calc: Any, atoms: Atoms) -> Any:
    calc.calculate(atoms, ["energies"])
    return calc.results["energies"].copy()


def slopes(calc: Any, atoms: Atoms, i: int, h: float = 1e-4) -> Any:
    """dU_j/dr_i, (n, 3), by central differences of fourth order."""
    moved, out = atoms.copy(), np.empty((len(atoms), 3))
    for c in range(3):

        def difference(step: float, c: int = c) -> Any:
            u = []
            for sign in (1.0, -1.0):
                moved.positions[...] = atoms.positions
                moved.positions[i, c] += sign * step
                u.append(energies(calc, moved))
            return (u[0] - u[1]) / (2.0 * step)

        out[:, c] = (4.0 * difference(h / 2) - difference(h)) / 3.0
    return out


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.quick if n in QUICK else ()) for n in WITH]
)
def test_definition(name: str) -> None:
    calc = MADE[name]()
    atoms = cluster(calc, 8)
    w = matrices(calc.get_virials(atoms))
    scale = np.abs(w).max()
    assert scale > 1e-3
    for i in (0, 3, 7):
        apart = atoms.positions - atoms.positions[i]
        assert np.abs(w[i] - apart.T @ slopes(calc, atoms, i)).max() < 1e-7 * scale


@pytest.mark.parametrize("name", WITH)
def test_periodic_structures(name: str) -> None:
    """Sums, the other results with the same bits, and what images collect: as in a repeated cell."""
    calc = MADE[name]()
    atoms = system_of(calc)
    if len(atoms) > 60:
        atoms = atoms[:24]  # a lattice with vacancies in its cell
    calc.calculate(atoms, ["energy"])
    plain, before = dict(calc.results), calc.virial
    w = matrices(calc.get_virials(atoms))
    total = w.sum(axis=0)
    assert np.abs((total + total.T) / 2 - before).max() < 1e-10 * np.abs(w).sum()
    table = calc._table
    with_nine = calc.potential.compute(table, virials=9)
    for key in ("energies", "forces"):
        assert getattr(with_nine, key).tobytes() == plain[key].tobytes(), key
    assert with_nine.virial.tobytes() == calc.potential.compute(table).virial.tobytes()
    with mdkern_threads(3):
        assert calc.get_virials(atoms).tobytes() == with_nine.virials.tobytes()
    twice = matrices(calc.get_virials(atoms.repeat((2, 1, 1))))
    assert np.abs(twice - np.concatenate([w, w])).max() < 1e-9 * np.abs(w).max()


class mdkern_threads:
    """So many threads of the package."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __enter__(self) -> None:
        self.before = mdkern.get_num_threads()
        mdkern.set_num_threads(self.n)

    def __exit__(self, *_: object) -> None:
        mdkern.set_num_threads(self.before)


# --- the rate of sum e r ------------------------------------------------------------------------


def started(name: str, n: int = 12, kelvin: float = 600.0) -> Atoms:
    calc = MADE[name]()
    atoms = cluster(calc, n)
    atoms.calc = calc
    return heated(atoms, kelvin)


def heated(atoms: Atoms, kelvin: float) -> Atoms:
    velocities = np.random.default_rng(3).normal(size=(len(atoms), 3))
    velocities *= np.sqrt(kelvin * units.kB / atoms.get_masses())[:, None]
    atoms.set_velocities(velocities)
    return atoms


def energy_centre(atoms: Atoms) -> Any:
    """sum of e r, with e the energies of atoms, kinetic and potential."""
    own = 0.5 * atoms.get_masses() * (atoms.get_velocities() ** 2).sum(axis=1)
    return (atoms.get_potential_energies() + own) @ atoms.positions


@pytest.mark.parametrize(
    "name", ["lj", "eam_fs", "stillinger_weber", "tersoff", "nep", "mace", "se_e2_a_dt", "d3_abc"]
)
@pytest.mark.parametrize("fixed", [False, True])
def test_rate_of_the_energy_centre(name: str, fixed: bool) -> None:
    """Of a free cluster: by differences of fourth order along the trajectory."""
    atoms = started(name)
    if fixed:
        atoms.set_constraint(FixAtoms([1, 5]))
        atoms.set_momenta(atoms.get_momenta())
    dt = 0.02 * units.fs
    dynamics = mdkern.md.VelocityVerlet(atoms, dt)
    dynamics.record_fluxes(1)
    centres = []
    for _ in range(5):
        dynamics.run(1)
        centres.append(energy_centre(atoms))
    rate = (8.0 * (centres[3] - centres[1]) - (centres[4] - centres[0])) / (12.0 * dt)
    found = dynamics.recorded_fluxes()
    assert found.step.tolist() == [1, 2, 3, 4, 5]
    scale = np.abs(found.potential).max() + np.abs(found.convective).max()
    assert np.abs(rate - found.heat[2]).max() < 1e-5 * scale


def test_six_components_are_not_it() -> None:
    """Of forces of three bodies; so the test above can fail."""
    atoms = started("stillinger_weber")
    calc = atoms.calc
    six = calc.potential.compute(_table(calc, atoms), virials=True).virials
    mirrored = six[:, [0, 1, 2, 5, 4, 3, 5, 4, 3]]
    nine = calc.get_virials(atoms)
    assert np.abs(mirrored - nine).max() > 0.05 * np.abs(nine).max()


def _table(calc: Any, atoms: Atoms) -> Any:
    calc.calculate(atoms, ["energy"])
    return calc._table


# --- what is recorded ---------------------------------------------------------------------------


def periodic(name: str = "lj", kelvin: float = 300.0) -> Atoms:
    calc = MADE[name]()
    atoms = of_species(calc.species)
    atoms.calc = calc
    return heated(atoms, kelvin)


@pytest.mark.quick
@pytest.mark.parametrize("name", ["lj", "stillinger_weber", "nep"])
def test_recorded_is_heat_flux_of_frames(name: str) -> None:
    atoms = periodic(name)
    dynamics = mdkern.md.VelocityVerlet(atoms, units.fs)
    dynamics.record_fluxes(4)
    frames: list[Atoms] = []
    dynamics.attach(lambda: frames.append(atoms.copy()), interval=4)
    dynamics.run(14)
    found = dynamics.recorded_fluxes()
    assert found.step.tolist() == [4, 8, 12]
    assert len(found) == 3
    assert len(dynamics.recorded_fluxes()) == 0
    frames = frames[1:]
    results = mdkern.evaluate(frames, atoms.calc, ("energies", "virials", "stress"))
    potential, convective = heat_flux(
        atoms.get_masses(),
        [frame.get_velocities() for frame in frames],
        [r["energies"] for r in results],
        [r["virials"] for r in results],
    )
    assert potential == pytest.approx(found.potential, rel=1e-9, abs=1e-9)
    assert convective == pytest.approx(found.convective, rel=1e-9, abs=1e-9)
    assert found.heat == pytest.approx(potential + convective, rel=1e-9, abs=1e-9)
    for k, (frame, r) in enumerate(zip(frames, results, strict=True)):
        p, v = frame.get_momenta(), frame.get_velocities()
        kinetic = (p.T @ v / frame.cell.volume)[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        assert found.pressure[k] == pytest.approx(kinetic - r["stress"], abs=1e-12)
        assert found.kinetic[k] == pytest.approx(frame.get_kinetic_energy())
        assert found.volume[k] == pytest.approx(frame.cell.volume)


@pytest.mark.parametrize("name", ["lj", "eam_fs", "tersoff", "nep"])
def test_bits(name: str) -> None:
    """Of records for every number of threads; of trajectories with and without."""
    runs = []
    for threads, every in ((1, 3), (2, 3), (5, 3), (1, 0)):
        atoms = periodic(name)
        atoms.calc.set(threads=threads)
        dynamics = mdkern.md.NoseHooverChain(
            atoms, units.fs, temperature_K=300, tdamp=50 * units.fs
        )
        dynamics.record(2)
        dynamics.record_fluxes(every)
        dynamics.run(9)
        f = dynamics.recorded_fluxes()
        rows = np.column_stack([f.step, f.potential, f.convective, f.pressure])
        moved = (atoms.positions.tobytes(), atoms.get_momenta().tobytes())
        runs.append((*moved, dynamics.recorded().tobytes(), rows.tobytes()))
    assert len(set(runs[:3])) == 1
    assert runs[3][:3] == runs[0][:3]


def test_cells_that_move() -> None:
    """Barostats read the virial, which has the same bits where heat fluxes are recorded."""
    ends = []
    for every in (0, 1):
        atoms = periodic("eam_fs")
        dynamics = mdkern.md.IsotropicMTKNPT(
            atoms,
            units.fs,
            temperature_K=300,
            pressure_au=0.0,
            tdamp=50 * units.fs,
            pdamp=500 * units.fs,
        )
        dynamics.record_fluxes(every)
        dynamics.run(10)
        ends.append(atoms.positions.tobytes() + atoms.cell.array.tobytes())
    assert ends[0] == ends[1]


def test_record_of_the_present_step() -> None:
    atoms = started("lj")
    dynamics = mdkern.md.VelocityVerlet(atoms, units.fs)
    assert len(dynamics.recorded_fluxes()) == 0
    dynamics.record_fluxes_now()
    found = dynamics.recorded_fluxes()
    parts = heat_flux(
        atoms.get_masses(),
        atoms.get_velocities(),
        atoms.get_potential_energies(),
        atoms.calc.get_virials(),
    )
    assert found.potential[0] == pytest.approx(parts[0], rel=1e-10)
    assert found.convective[0] == pytest.approx(parts[1], rel=1e-10)
    assert np.isnan(found.pressure).all()  # of a cluster


@pytest.mark.quick
def test_rows_outlast_the_loop_that_recorded_them() -> None:
    """What is constrained or changed in between makes another one."""
    atoms = periodic("lj")
    dynamics = mdkern.md.VelocityVerlet(atoms, units.fs)
    dynamics.record_fluxes(1)
    dynamics.record(2)
    dynamics.run(3)
    atoms.set_constraint(FixAtoms([0]))
    dynamics.run(2)
    atoms.calc = MADE["lj"]()
    dynamics.run(2)
    assert dynamics.recorded_fluxes().step.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert dynamics.recorded()[:, 0].tolist() == [2, 4, 6]
    assert len(dynamics.recorded_fluxes()) == len(dynamics.recorded()) == 0


def test_pressure_alone() -> None:
    """Of a potential without a heat flux too."""
    atoms = periodic("nep_charges")
    dynamics = mdkern.md.VelocityVerlet(atoms, units.fs)
    dynamics.record_fluxes(2, heat=False)
    dynamics.run(4)
    found = dynamics.recorded_fluxes()
    assert np.isnan(found.heat).all()
    assert np.isfinite(found.pressure).all()
    assert found.pressure.shape == (2, 6)


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITHOUT)
def test_potentials_without(name: str) -> None:
    calc = MADE[name]()
    atoms = of_species(calc.species)
    atoms.calc = calc
    kind = type(calc.potential).__name__
    with pytest.raises(errors.UnsupportedError, match=kind):
        calc.get_virials(atoms)
    with pytest.raises(errors.UnsupportedError, match=kind):
        mdkern.md.VelocityVerlet(atoms, units.fs).record_fluxes(5)
    with pytest.raises(errors.UnsupportedError, match=kind):
        mdkern.evaluate([atoms], calc, ["virials"])
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(errors.UnsupportedError, match=f"nine components: {kind}"),
    ):
        mdkern.evaluate([atoms], calc, ["virials"], executor=pool, on_error="record")
    assert calc.potential.compute(_table(calc, atoms), virials=6).virials.shape == (len(atoms), 6)
    with pytest.raises(errors.UnsupportedError, match=f"Sum, whose part {kind}"):
        (calc + calculators.ZBL(1.0, 2.0)).get_virials(atoms)


def test_calculator_that_is_replaced() -> None:
    calc = MADE["nep_charges"]()
    atoms = of_species(calc.species)
    atoms.calc = MADE["lj"]()
    dynamics = mdkern.md.VelocityVerlet(atoms, units.fs)
    dynamics.record_fluxes(1)
    atoms.calc = calc
    with pytest.raises(errors.UnsupportedError, match="NEP"):
        dynamics.run(1)


def test_arguments() -> None:
    calc = MADE["lj"]()
    atoms = of_species(None)
    for bad, shown in ((7, "7"), ("nine", "'nine'"), (9.0, "9.0")):
        with pytest.raises(ValueError, match=f"virials: {shown}; expected"):
            calc.potential.compute(_table(calc, atoms), virials=bad)
    atoms.calc = calc
    dynamics = mdkern.md.VelocityVerlet(atoms, units.fs)
    with pytest.raises(ValueError, match="every"):
        dynamics.record_fluxes(-1)
    v, u, w = np.zeros((4, 5, 3)), np.zeros((4, 5)), np.zeros((4, 5, 9))
    m = np.ones(5)
    assert [x.shape for x in heat_flux(m, v, u, w)] == [(4, 3), (4, 3)]
    for bad, message in (
        ((m, v[..., :2], u, w), "velocities: shape"),
        ((m[:4], v, u, w), r"masses: shape \(4,\); expected \(5,\)"),
        ((m, v, u[0], w), "energies: shape"),
        ((m, v, u, w[..., :6]), r"virials: shape \(4, 5, 6\); expected \(4, 5, 9\)"),
        ((m, v, u + np.nan, w), r"energies\[0, 0\] is nan; expected finite"),
        ((m, v + np.inf, u, w), r"velocities\[0, 0, 0\] is inf; expected finite"),
    ):
        with pytest.raises(ValueError, match=message):
            heat_flux(*bad)


def test_stresses_and_virials_together() -> None:
    calc = MADE["stillinger_weber"]()
    atoms = of_species(calc.species)
    (both,) = mdkern.evaluate([atoms], calc, ["stresses", "virials", "energy"])
    (alone,) = mdkern.evaluate([atoms], calc, ["stresses"])
    assert both["stresses"].tobytes() == alone["stresses"].tobytes()
    assert both["virials"] == pytest.approx(calc.get_virials(atoms), rel=1e-9, abs=1e-9)


def test_several_models() -> None:
    calc = calculators.ModelDeviation([MADE["lj"](), lennard_jones(threads=1)])
    atoms = of_species(None)
    assert calc.get_virials(atoms).tobytes() == MADE["lj"]().get_virials(atoms).tobytes()


def test_lammps() -> None:
    """The same virials and heat flux as ``compute heat/flux`` with ``centroid/stress/atom``."""
    theirs = np.load(DATA / "heat_flux" / "heat_flux.npz")
    atoms = Atoms(
        f"Ar{len(theirs['positions'])}", theirs["positions"], cell=theirs["cell"], pbc=True
    )
    calc = calculators.LennardJones(epsilon=0.0104, sigma=3.4, rc=5.1, shift=False)
    velocities = theirs["velocities"] / (1e3 * units.fs)  # of Angstrom / ps
    virials = calc.get_virials(atoms)
    assert virials == pytest.approx(theirs["virials"], rel=1e-6, abs=1e-7)
    u = energies(calc, atoms)
    assert u == pytest.approx(theirs["energies"], rel=1e-7)
    masses = np.full(len(atoms), theirs["masses"][0])
    potential, convective = heat_flux(masses, velocities, u, virials)
    scale = 1e3 * units.fs
    assert convective * scale == pytest.approx(theirs["flux"][3:], rel=1e-5)
    assert (potential + convective) * scale == pytest.approx(theirs["flux"][:3], rel=1e-5)
