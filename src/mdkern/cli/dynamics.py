"""Molecular dynamics of the command line: start, integrator, loop, samples."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mdkern.analysis import Drift, energy_drift
from mdkern.cli.output import Progress
from mdkern.errors import MDKernError

if TYPE_CHECKING:
    from ase import Atoms

    from mdkern.md import NativeDynamics

__all__ = ["COLUMNS", "Ensemble", "Run", "draw_velocities", "make_integrator", "simulate"]

COLUMNS = (
    "step",
    "time_ps",
    "epot_eV",
    "ekin_eV",
    "etot_eV",
    "conserved_eV",
    "temperature_K",
    "pressure_GPa",
)
# Averages and the drift leave out the start, where energy is still passed from kinetic to potential.
SKIP = 0.2
_CHUNK = 0.1  # seconds between two looks at progress and Ctrl-C


def draw_velocities(atoms: Atoms, temperature: float, rng: np.random.Generator) -> None:
    """Maxwell-Boltzmann momenta without net momentum, scaled to the temperature (K) exactly."""
    from ase import units

    masses = atoms.get_masses()[:, None]
    momenta = rng.standard_normal((len(atoms), 3)) * np.sqrt(masses * units.kB * temperature)
    momenta -= masses * momenta.sum(axis=0) / masses.sum()
    atoms.set_momenta(momenta)
    now = atoms.get_temperature()
    if now > 0.0:
        atoms.set_momenta(atoms.get_momenta() * np.sqrt(temperature / now))


@dataclass(frozen=True)
class Ensemble:
    """What is held constant; times in fs, temperature in K, pressure in GPa.

    `thermostat`: "bussi", "langevin" or "nose-hoover"; `barostat`: "isotropic" or "full"; None: not there.
    """

    timestep: float
    thermostat: str | None = None
    barostat: str | None = None
    temperature: float = 300.0
    tau: float = 100.0
    pressure: float = 0.0
    tau_pressure: float = 1000.0


def make_integrator(
    atoms: Atoms, ensemble: Ensemble, seed: int, skin: float | None = None
) -> NativeDynamics:
    """The native integrator of an ensemble; without a skin that of the calculator, or a measured one."""
    from ase import units

    from mdkern import md

    fs, e = units.fs, ensemble
    kelvin, tau, dt = e.temperature, e.tau * fs, e.timestep * fs
    if e.barostat is not None:
        kind = md.IsotropicMTKNPT if e.barostat == "isotropic" else md.MTKNPT
        return kind(atoms, dt, kelvin, e.pressure * units.GPa, tau, e.tau_pressure * fs, skin=skin)
    if e.thermostat is None:
        return md.VelocityVerlet(atoms, dt, skin=skin)
    if e.thermostat == "langevin":
        return md.Langevin(
            atoms, dt, temperature_K=kelvin, friction=1.0 / tau, seed=seed, skin=skin
        )
    if e.thermostat == "bussi":
        return md.Bussi(atoms, dt, kelvin, tau, seed=seed, skin=skin)
    return md.NoseHooverChain(atoms, dt, kelvin, tau, skin=skin)


@dataclass
class Run:
    """What a simulation did.

    Attributes
    ----------
    n_atoms : int
    timestep : float
        fs
    first : int
        Steps done before, in the run that this one goes on with.
    steps : int
        Steps done here.
    seconds : float
        Wall time of the loop, output included.
    interrupted : bool
        Ended by Ctrl-C.
    failure : str
        Why it broke off, empty if it did not.
    rows : list of tuples
        Samples, see `COLUMNS`.
    """

    n_atoms: int
    timestep: float
    first: int = 0
    steps: int = 0
    seconds: float = 0.0
    interrupted: bool = False
    failure: str = ""
    rows: list[tuple[float, ...]] = field(default_factory=list)

    def column(self, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        """One of `COLUMNS` over all samples."""
        k = COLUMNS.index(name)
        return np.array([row[k] for row in self.rows], dtype=np.float64)

    def settled(self) -> slice:
        """Samples that averages and the drift are taken from: all but the first fifth."""
        return slice(int(SKIP * len(self.rows)), None)

    def drift(self) -> Drift | None:
        """Line through the conserved energy in meV/atom against ns; None where none is known."""
        part = self.settled()
        energy = self.column("conserved_eV")[part]
        if len(energy) == 0 or not np.isfinite(energy).all():
            return None
        return energy_drift(
            1e-3 * self.column("time_ps")[part], 1e3 * (energy - energy[0]) / self.n_atoms
        )

    def why_no_drift(self) -> str:
        """A sentence where `drift` is None; empty where it is not."""
        if self.drift() is not None:
            return ""
        if not np.isfinite(self.column("conserved_eV")).all():
            return "none known: the thermostat has no conserved energy"
        seen = len(self.rows[self.settled()])
        return f"unknown: {seen} samples after the first fifth of the run; expected 4 or more"

    def rates(self) -> dict[str, float | None]:
        """Steps/s, ns/day and atom-steps/s."""
        if not self.steps or self.seconds <= 0.0:
            return dict.fromkeys(("steps_per_s", "ns_per_day", "atom_steps_per_s"))
        speed = self.steps / self.seconds
        return {
            "steps_per_s": speed,
            "ns_per_day": speed * self.timestep * 86400e-6,
            "atom_steps_per_s": speed * self.n_atoms,
        }

    def summary(self) -> dict[str, Any]:
        """Numbers of the run, for JSON."""
        part = self.settled()
        drift = self.drift()
        total = self.column("etot_eV") / self.n_atoms
        return {
            "steps": self.steps,
            "first_step": self.first,
            "time_ps": 1e-3 * self.steps * self.timestep,
            "wall_s": self.seconds,
            **self.rates(),
            "energy_start_eV_per_atom": float(total[0]) if len(total) else None,
            "energy_end_eV_per_atom": float(total[-1]) if len(total) else None,
            "drift_meV_per_atom_per_ns": drift.slope if drift else None,
            "drift_error_meV_per_atom_per_ns": drift.error if drift else None,
            "fluctuation_meV_per_atom": drift.rms if drift else None,
            "temperature_K": _statistics(self.column("temperature_K")[part]),
            "pressure_GPa": _statistics(self.column("pressure_GPa")[part]),
        }


def _statistics(x: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float] | None:
    if len(x) == 0 or not np.isfinite(x).all():
        return None
    return {"mean": float(x.mean()), "std": float(x.std())}


class _Rows:
    """Rows of `COLUMNS` from what the core recorded; NaN where a quantity is not defined."""

    def __init__(self, dynamics: NativeDynamics, timestep: float) -> None:
        from ase import units

        from mdkern.moving import degrees_of_freedom

        atoms = dynamics.atoms
        self._dynamics, self._timestep, self._gpa = dynamics, timestep, units.GPa
        n_dof = degrees_of_freedom(atoms)
        self._kelvin = 2.0 / (n_dof * units.kB) if n_dof else np.nan
        self._has_pressure = atoms.cell.rank == 3 and bool(atoms.pbc.all())

    def take(self) -> list[tuple[float, ...]]:
        out: list[tuple[float, ...]] = []
        for row in self._dynamics.recorded().tolist():
            step, potential, kinetic, volume, virial, reservoir = row
            total, time_ps = potential + kinetic, 1e-3 * step * self._timestep
            pressure = np.nan
            if self._has_pressure:
                pressure = (virial + 2.0 * kinetic) / (3.0 * volume) / self._gpa
            kelvin = self._kelvin * kinetic
            conserved = total + reservoir
            out.append((int(step), time_ps, potential, kinetic, total, conserved, kelvin, pressure))
        return out


def simulate(
    run: Run,
    dynamics: NativeDynamics,
    steps: int,
    *,
    sample_every: int,
    on_sample: Callable[[tuple[float, ...]], None] = lambda _row: None,
    calls: Sequence[tuple[int, Callable[[int], None]]] = (),
    progress: bool = True,
    label: str = "md",
) -> None:
    """Integrate `steps` steps and record them in `run`.

    Samples are taken at the start, at multiples of `sample_every` and at the end, in the core. The functions of `calls`
    get the number of the step at the start, at multiples of their interval and at the end. The first Ctrl-C ends the
    run after the step in progress, with everything written that was due; where the run cannot go on, its end is the last
    good step.

    Raises
    ------
    MDKernError, MemoryError
        The very first evaluation fails; later failures end the run and are put into `run.failure`.
    """
    begin = time.perf_counter()
    rows = _Rows(dynamics, run.timestep)
    run.first = dynamics.nsteps
    end = run.first + steps
    called = [-1] * len(calls)

    def record(force: bool) -> None:
        new = rows.take()
        if force and (new or run.rows or [(-1,)])[-1][0] != dynamics.nsteps:
            dynamics.record_now()
            new += rows.take()
        run.rows += new
        for row in new:
            on_sample(row)

    def call(force: bool) -> None:
        step = dynamics.nsteps
        for k, (every, function) in enumerate(calls):
            if called[k] != step and (force or step % every == 0):
                called[k] = step
                function(step)

    with _interruptible() as asked, Progress(label, steps, progress) as bar:
        dynamics.record(sample_every)
        dynamics.advance(0)
        record(True)
        call(True)
        while dynamics.nsteps < end:
            step = dynamics.nsteps
            due = min([end - step] + [every - step % every for every, _ in calls])
            try:
                dynamics.advance(due, _CHUNK)
            except (MDKernError, MemoryError) as e:
                run.failure = getattr(e, "reason", str(e))
            run.steps = dynamics.nsteps - run.first
            stop = bool(asked) or bool(run.failure)  # read once: the signal may come at any time
            last = stop or dynamics.nsteps == end
            record(last)
            call(last)
            run.seconds = time.perf_counter() - begin
            if bar.due():
                bar.show(run.steps, _speed(run))
            if stop:
                run.interrupted = not run.failure and dynamics.nsteps < end
                break


def _speed(run: Run) -> str:
    rates = run.rates()
    if rates["steps_per_s"] is None:
        return ""
    temperature = f", T = {run.rows[-1][6]:.0f} K" if run.rows else ""
    return f"{rates['steps_per_s']:.0f} steps/s, {rates['ns_per_day']:.1f} ns/day{temperature}"


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Collects the first SIGINT in a list instead of raising; the second one raises as usual."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.getsignal(signal.SIGINT)

    def remember(number: int, _frame: object) -> None:
        asked.append(number)
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, remember)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
