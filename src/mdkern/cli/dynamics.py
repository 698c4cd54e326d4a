"""Molecular dynamics with ASE's integrators: start, loop, samples."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mdkern.cli.analysis import Drift, energy_drift
from mdkern.cli.output import Progress, UsageError
from mdkern.errors import MDKernError

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["COLUMNS", "Run", "Sampler", "draw_velocities", "make_integrator", "simulate"]

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


def make_integrator(
    atoms: Atoms,
    ensemble: str,
    *,
    timestep: float,
    temperature: float,
    tau: float,
    rng: np.random.Generator,
) -> Any:
    """ASE's integrator for "nve", "bussi" or "langevin"; times in fs, temperature in K."""
    from ase import units
    from ase.md.langevin import Langevin
    from ase.md.verlet import VelocityVerlet

    if ensemble == "nve":
        return VelocityVerlet(atoms, timestep * units.fs)
    if ensemble == "langevin":
        friction = 1.0 / (tau * units.fs)
        return Langevin(
            atoms,
            timestep * units.fs,
            temperature_K=temperature,
            friction=friction,
            fixcm=False,
            rng=rng,
        )
    try:
        from ase.md.bussi import Bussi
    except ImportError:
        raise UsageError("--thermostat bussi: needs ASE 3.24 or later") from None
    return Bussi(
        atoms, timestep * units.fs, temperature_K=temperature, taut=tau * units.fs, rng=rng
    )


class Sampler:
    """Energies, temperature and pressure of the running simulation."""

    def __init__(self, atoms: Atoms, integrator: Any, timestep: float) -> None:
        from ase import units

        self._atoms, self._integrator, self._timestep = atoms, integrator, timestep
        self._gpa = units.GPa
        self._conserves = hasattr(integrator, "transferred_energy") or not hasattr(
            integrator, "temp"
        )
        self._has_pressure = atoms.cell.rank == 3 and bool(atoms.pbc.all())

    def __call__(self, step: int) -> tuple[float, ...]:
        """One row of `COLUMNS`; NaN where a quantity is not defined."""
        atoms = self._atoms
        potential, kinetic = atoms.get_potential_energy(), atoms.get_kinetic_energy()
        conserved = np.nan
        if self._conserves:
            # A Bussi thermostat counts what it has put in; Langevin noise is not counted by ASE.
            conserved = potential + kinetic - getattr(self._integrator, "transferred_energy", 0.0)
        pressure = np.nan
        if self._has_pressure:
            # 2 Ekin / 3V is the ideal-gas part of the momenta as they are.
            static = -float(np.mean(atoms.get_stress()[:3]))
            pressure = (static + 2.0 / 3.0 * kinetic / atoms.get_volume()) / self._gpa
        return (
            step,
            1e-3 * step * self._timestep,
            potential,
            kinetic,
            potential + kinetic,
            conserved,
            atoms.get_temperature(),
            pressure,
        )


@dataclass
class Run:
    """What a simulation did.

    Attributes
    ----------
    n_atoms : int
    timestep : float
        fs
    steps : int
        Steps done.
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


def simulate(
    run: Run,
    integrator: Any,
    sampler: Sampler,
    steps: int,
    *,
    sample_every: int,
    frame_every: int,
    on_sample: Callable[[tuple[float, ...]], None] = lambda _row: None,
    on_frame: Callable[[int], None] = lambda _step: None,
    progress: bool = True,
    label: str = "md",
) -> None:
    """Integrate `steps` steps and record them in `run`.

    Samples are taken at step 0, every `sample_every` steps and at the end; frames likewise. The first
    Ctrl-C ends the run after the step in progress, with everything written that was due.

    Raises
    ------
    MDKernError, MemoryError
        The very first evaluation fails; later failures end the run and are put into `run.failure`.
    """
    begin = time.perf_counter()
    with _interruptible() as asked, Progress(label, steps, progress) as bar:
        try:
            for step, _ in enumerate(integrator.irun(steps)):
                run.steps = step
                stop = bool(asked)  # read once: the signal may come at any time
                last = stop or step == steps
                if last or step % sample_every == 0:
                    run.rows.append(sampler(step))
                    on_sample(run.rows[-1])
                if last or step % frame_every == 0:
                    on_frame(step)
                run.seconds = time.perf_counter() - begin
                if bar.due():
                    bar.show(step, _speed(run))
                if stop:
                    run.interrupted = step < steps
                    break
        except (MDKernError, MemoryError) as e:
            if not run.rows:
                raise
            run.failure = str(e)


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
