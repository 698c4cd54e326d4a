"""The native loop behind ASE's interface of molecular dynamics."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixCom

from mdkern import _core, checks, potentials
from mdkern.calculators import AtomsError, Calculator, is_native
from mdkern.errors import MDKernWarning, UnsupportedError
from mdkern.fluxes import Fluxes
from mdkern.md.tuned import SelfTuning
from mdkern.moving import StepError, alone, degrees_of_freedom, lock_of
from mdkern.potentials.base import list_cutoff, need_nine_virials, warn_of

__all__ = ["DynamicsError", "NativeDynamics"]


class DynamicsError(StepError):
    """A run that cannot go on, and the step that failed (:class:`mdkern.moving.StepError`)."""


class NativeDynamics(SelfTuning):
    """Base of the integrators: :class:`ase.md.md.MolecularDynamics`, whose steps are taken in the core.

    Between two observers (or the start and the end of a run) no Python runs. When an observer is due, at the end of
    ``run``, and when something goes wrong, positions, momenta and cell of the atoms and the results of their
    calculator are those of the step, bit for bit what a step-by-step run has. An observer may change atoms: the
    run goes on from there. Dynamics may share a calculator. While atoms are moved, what another thread asks of dynamics on
    the same atoms raises :class:`~mdkern.errors.InUseError`.

    These are the parameters of every integrator, beside its own.

    Parameters
    ----------
    atoms : ase.Atoms
        With a calculator of :mod:`mdkern.calculators`. Constraints: ``FixAtoms`` or ``FixCom``.
    timestep : float
        In ASE's unit of time (``2 * ase.units.fs``).
    trajectory, logfile, loginterval, append_trajectory
        As in ASE.
    skin : float, optional
        Of the neighbor list in Angstrom; by default the calculator's, or with ``MDKERN_TUNE`` what is fastest.

    Raises
    ------
    TypeError
        The calculator is not one of mdkern's; the message names ASE's integrator, which takes any.
    UnsupportedError
        Constraints other than the above.
    DynamicsError
        During a run: see there.
    """

    #: ASE's class of the same method, for messages.
    ase_name = "ase.md.md.MolecularDynamics"
    _moves_cell = False
    _sample_every = 0
    _flux_every = 0
    _heat = False
    _uncounted = 0  # steps of `step` that its caller did not count in `nsteps`
    _stepped: int | None = None  # `nsteps` at the last call of `step`

    def __init__(
        self,
        atoms: Atoms,
        timestep: float,
        trajectory: Any = None,
        logfile: IO[str] | str | None = None,
        loginterval: int = 1,
        *,
        skin: float | None = None,
        **kwargs: Any,
    ) -> None:
        checks.structure("atoms", atoms)
        timestep = checks.positive("timestep", timestep)
        self._skin = None if skin is None else checks.not_negative("skin", skin, unit="Angstrom")
        self._loop: Any = None
        self._made: tuple[Any, ...] = ()
        self._masses_given: tuple[Any, ...] = ()
        self._masses_found = b""
        self._configured: tuple[Any, ...] = ()
        self._variables: Any = None
        # Rows of former loops that nobody has taken yet.
        self._samples: list[Any] = []
        self._fluxes: list[Any] = []
        self.atoms = atoms
        self._lock = lock_of(atoms)
        self._calculator()
        self._constraints()
        super().__init__(atoms, timestep, trajectory, logfile, loginterval, **kwargs)

    # --- what an integrator adds
    def _scheme(self) -> tuple[Any, ...]:
        """Name of the core's method that chooses the scheme, and its arguments behind the time step."""
        raise NotImplementedError

    def _needs(self) -> None:
        """Raise where the atoms cannot be treated by this integrator."""

    def todict(self) -> dict[str, Any]:
        """Description for trajectory files."""
        return {**super().todict(), **self._own_parameters()}  # type: ignore[no-untyped-call]

    # --- from atoms to the core
    def _calculator(self) -> Calculator:
        calc: Any = self.atoms.calc
        if not is_native(calc):
            what = "none" if calc is None else type(calc).__name__
            raise TypeError(
                f"atoms.calc: {what}; expected one of mdkern.calculators, whose atoms stay in the core. "
                f"With any other calculator use {self.ase_name}"
            )
        if "forces" not in calc.implemented_properties:
            raise TypeError(f"atoms.calc: {type(calc).__name__}; expected one that has forces")
        checked: Calculator = calc
        return checked

    def _constraints(self) -> tuple[bytes, bool]:
        """(a byte for every atom, 1: it is mobile; whether the centre of mass is fixed)."""
        mobile, fix_com = b"\1" * len(self.atoms), False
        for constraint in self.atoms.constraints:
            if type(constraint) is FixCom:
                fix_com = True
            elif type(constraint) is FixAtoms:
                mask = np.array(np.frombuffer(mobile, dtype=bool))
                mask[constraint.index] = False
                mobile = mask.tobytes()
            else:
                raise UnsupportedError(
                    f"constraint {type(constraint).__name__}: expected FixAtoms or FixCom; {self.ase_name} "
                    "takes others"
                )
        if fix_com and b"\0" in mobile:
            raise UnsupportedError("constraints FixAtoms and FixCom: expected one of them")
        return mobile, fix_com

    def _masses(self, numbers: bytes) -> bytes:
        """Of all atoms; looked up where elements or masses have changed."""
        own = self.atoms.arrays.get("masses")
        given = (numbers, None if own is None else own.tobytes())
        if given != self._masses_given:
            self._masses_given = given
            self._masses_found = np.asarray(self.atoms.get_masses(), dtype=np.float64).tobytes()
        return self._masses_found

    def _prepare(self) -> None:
        """Bring the core up to date with atoms, calculator and parameters, whatever has changed.

        Where nothing has, no function of NumPy runs: these leave Python's lock to a thread that writes frames, which gives
        it back after a switch interval (5 ms) only.
        """
        atoms, calc = self.atoms, self._calculator()
        positions, numbers, cell, pbc = checks.arrays(atoms)
        numbers_bytes = numbers.tobytes()
        masses = self._masses(numbers_bytes)
        mobile, fix_com = self._constraints()
        skin = self._skin_of(calc)
        made = (
            calc.potential,
            skin,
            numbers_bytes,
            masses,
            pbc.tobytes(),
            mobile,
            fix_com,
        )
        if made != self._made:
            self._make(calc, skin, (numbers, masses, pbc, mobile, fix_com))
            self._made = made
        self._loop.set_threads(self._threads_of(calc))
        self._loop.steps = self._taken()
        self._configure()
        self._place(positions, cell)

    def _make(self, calc: Calculator, skin: float, arrays: tuple[Any, ...]) -> None:
        loop = self._new_loop(calc, skin, arrays)
        if self._loop is not None:
            self._variables = self._loop.variables
            self._samples.append(self._loop.take_samples())
            self._fluxes.append(self._loop.take_fluxes())
        self._loop, self._configured = loop, ()

    def _new_loop(self, calc: Calculator, skin: float, arrays: tuple[Any, ...]) -> Any:
        numbers, masses, pbc, mobile, fix_com = arrays
        masses, mobile = np.frombuffer(masses, dtype=float), np.frombuffer(mobile, dtype=bool)
        good = np.isfinite(masses) & ((masses > 0.0) | ~mobile)
        if not good.all():
            k = int(np.argmin(good))
            raise AtomsError(f"masses[{k}] is {masses[k]}; expected a positive finite number (amu)")
        self._needs()
        if self._flux_every and self._heat:
            need_nine_virials(calc.potential)
        try:
            kinds = calc.species_map(numbers)
        except ValueError as e:
            raise AtomsError(str(e)) from None
        table = _core.NeighborTable(calc.cutoff, skin, list_cutoff=list_cutoff(calc.potential))
        make: Any = getattr(calc.potential, "force_step", lambda: None)
        loop = _core.MdLoop(table, make(), calc.potential, calc.n_threads)
        n_dof = float(degrees_of_freedom(self.atoms))
        loop.set_atoms(masses, mobile, kinds, pbc, n_dof, fix_com)
        return loop

    def _another_loop(self, skin: float, threads: int) -> Any:
        positions, numbers, cell, pbc = checks.arrays(self.atoms)
        mobile, fix_com = self._constraints()
        arrays = (numbers, self._masses(numbers.tobytes()), pbc, mobile, fix_com)
        loop = self._new_loop(self._calculator(), skin, arrays)
        loop.set_threads(threads)
        loop.steps = self._taken()
        name, *arguments = self._scheme()
        getattr(loop, name)(self.dt, *arguments)
        loop.place(positions, np.ascontiguousarray(self.atoms.get_momenta(), dtype=float), cell)
        return loop

    def _configure(self) -> None:
        """Hand parameters over that have changed, such as the temperature."""
        checks.positive("timestep", self.dt)
        name, *arguments = self._scheme()
        wanted = (
            name,
            self.dt,
            *(a.tobytes() if isinstance(a, np.ndarray) else a for a in arguments),
        )
        if wanted == self._configured:
            return
        getattr(self._loop, name)(self.dt, *arguments)
        if self._variables is not None:
            self._loop.variables = self._variables
            self._variables = None
        self._configured = wanted

    def _place(self, positions: Any, cell: Any) -> None:
        momenta = self.atoms.arrays.get("momenta")
        if momenta is None:
            momenta = np.zeros((len(self.atoms), 3))
        momenta = np.ascontiguousarray(momenta, dtype=np.float64)
        if self._loop.is_at(positions, momenta, cell):
            return
        if not np.isfinite(momenta).all():
            k = int(np.argmin(np.isfinite(momenta).all(axis=1)))
            raise AtomsError(f"momenta[{k}] is {momenta[k]}; expected finite numbers")
        try:
            self._loop.place(positions, momenta, cell)
        except ValueError as e:
            raise AtomsError(str(e)) from None

    # --- from the core to atoms
    def _publish(self) -> None:
        """Positions, momenta and cell into the atoms, in place."""
        arrays = self.atoms.arrays
        x, p = arrays["positions"], arrays["momenta"]
        h = np.empty((3, 3))
        ready = all(a.dtype == np.float64 and a.flags.c_contiguous for a in (x, p))
        if not ready:
            x, p = np.empty((len(self.atoms), 3)), np.empty((len(self.atoms), 3))
        self._loop.publish(x, p, h)
        if not ready:
            arrays["positions"][...], arrays["momenta"][...] = x, p
        if self._moves_cell:
            self.atoms.cell[...] = h
        self._publish_results()

    def _publish_results(self) -> None:
        """The core's energy, forces, virial, and charges where the model has some, as the calculator's results."""
        energy, energies, forces, virial, charges, spread = self._loop.results()
        calc = self._calculator()
        if spread is None:
            deviation = getattr(self._loop.last, "deviation", None)
        else:
            deviation = calc.potential.deviation_of(*spread)
        result = potentials.Result(
            energy, energies, forces, virial, None, charges, deviation=deviation
        )
        calc.accept(result, _core.Snapshot(*checks.arrays(self.atoms)))
        warn_of(calc.potential, self._loop.overflow)

    # --- the loop
    @alone
    def run(self, steps: int = 50) -> bool:
        """Take `steps` steps. True: all were taken."""
        self._begin(steps)
        while self.nsteps < self.max_steps:
            self._advance(min(self._until_due(), self.max_steps - self.nsteps))
            self._observe()
        return True

    def irun(self, steps: int = 50) -> Iterator[bool]:
        """The same as a generator: yields after the start and every step."""
        self._begin(steps)
        yield self.nsteps == self.max_steps
        while self.nsteps < self.max_steps:
            self._next()
            yield self.nsteps == self.max_steps

    @alone
    def _begin(self, steps: int) -> None:
        self._start(steps)
        if self.nsteps == 0:
            self._publish_results()
            self._observe()

    @alone
    def _next(self) -> None:
        self._settle()
        self._prepare()
        self._advance(1)
        self._observe()

    @alone
    def step(self) -> Any:
        """One step, without observers; returns the forces. As in ASE the caller counts it in ``nsteps``, or does not."""
        self._settle()
        self._prepare()
        self._advance(1)
        self.nsteps -= 1
        self._stepped = self.nsteps
        return self.atoms.get_forces(md=True)

    def _taken(self) -> int:
        """Steps taken, counted or not: of this number are the random numbers of the next one, which must not come twice."""
        return self.nsteps + self._uncounted + (self._stepped == self.nsteps)

    def _settle(self) -> None:
        """Before further steps: the caller of the last :meth:`step` has counted it, or will not."""
        self._uncounted += self._stepped == self.nsteps
        self._stepped = None

    def _start(self, steps: int) -> None:
        self._settle()
        self.max_steps = self.nsteps + checks.whole("steps", steps)
        self.choose(steps)
        self._prepare()

    def _until_due(self) -> int:
        """Steps to the next observer."""
        nearest = self.max_steps - self.nsteps
        for _, interval, _, _ in self.observers:
            if interval > 0:
                nearest = min(nearest, interval - self.nsteps % interval)
            elif -interval > self.nsteps:
                nearest = min(nearest, -interval - self.nsteps)
        return max(1, nearest)

    def _observe(self) -> None:
        before = self.nsteps
        self.log()  # type: ignore[no-untyped-call]
        self.call_observers()  # type: ignore[no-untyped-call]
        if self.observers and before < self.max_steps:
            self._prepare()

    @alone
    def advance(self, steps: int, most_seconds: float = 0.0) -> int:
        """Take steps without observers; returns how many, which may be fewer after `most_seconds` (0: no limit)."""
        self._settle()
        self.choose(steps)
        self._prepare()
        return self._advance(steps, most_seconds)

    def _advance(self, steps: int, most_seconds: float = 0.0) -> int:
        """Take steps in the core, then publish; raises where it could not go on."""
        try:
            done, failure, atom, raised = self._loop.run(
                steps, self._sample_every, most_seconds, self._flux_every, self._heat
            )
        except BaseException:
            self._publish_after_failure()
            raise
        self.nsteps += done
        self._publish()
        if failure:
            raise DynamicsError(failure, self.nsteps + 1, atom if atom >= 0 else None)
        if raised is not None:
            raise raised
        return int(done)

    def _publish_after_failure(self) -> None:
        """Where the potential itself raised: the core is at the last good step, if it could go back."""
        try:
            self.nsteps = self._loop.steps - self._uncounted
            self._publish()
        except Exception:  # noqa: BLE001 - the first one is what the caller is told
            self._made = ()

    # --- samples
    def record(self, every: int) -> None:
        """Record energies in the core every so many steps from now on, without leaving it; 0: no more."""
        self._sample_every = checks.whole("every", every)

    @alone
    def record_now(self) -> None:
        """Record the present step, whatever the interval."""
        self._prepare()
        self._loop.sample()

    @alone
    def recorded(self) -> Any:
        """What was recorded since the last call.

        Returns
        -------
        (n, 6) array
            Step, potential and kinetic energy (eV), volume (Angstrom^3), trace of the virial (eV), energy of thermostat
            and barostat (eV; NaN where it is not known): the sum of the energies is conserved. Pressure is
            ``(virial + 2 kinetic) / (3 volume)``.
        """
        rows = [np.empty((0, 6)), *self._samples]
        self._samples.clear()
        return np.concatenate(rows if self._loop is None else [*rows, self._loop.take_samples()])

    def record_fluxes(self, every: int, heat: bool = True) -> None:
        """Record heat flux and pressure tensor in the core every so many steps from now on, without leaving it; 0: no more.

        The trajectory has the same bits with and without. A step that is recorded with the heat flux takes some percent longer, and
        the present state is not recorded until it is due: :meth:`record_fluxes_now` does.

        Parameters
        ----------
        every : int
            By the count of steps of the dynamics.
        heat : bool
            False: the pressure tensor alone, which every potential has.

        Raises
        ------
        UnsupportedError
            The potential has no heat flux: see :meth:`mdkern.calculators.Calculator.get_virials`.

        Notes
        -----
        Atoms that FixAtoms holds have no velocity and carry nothing; the flux is exact for the others. FixCom takes a little energy off
        each step, which the flux does not know of.
        """
        every, heat = checks.whole("every", every), checks.flag("heat", heat)
        if every and heat:
            need_nine_virials(self._calculator().potential)
        self._flux_every, self._heat = every, heat

    @alone
    def record_fluxes_now(self) -> None:
        """Record the fluxes of the present step, whatever the interval; the heat flux too unless ``heat=False`` was asked for."""
        heat = self._heat or not self._flux_every
        if heat:
            need_nine_virials(self._calculator().potential)
        self._prepare()
        self._loop.sample_fluxes(heat)

    @alone
    def recorded_fluxes(self) -> Fluxes:
        """What :meth:`record_fluxes` recorded since the last call, as arrays: :class:`mdkern.analysis.Fluxes`."""
        rows = [np.empty((0, 15)), *self._fluxes]
        self._fluxes.clear()
        new = [] if self._loop is None else [self._loop.take_fluxes()]
        return Fluxes.of_rows(np.concatenate([*rows, *new]))

    # --- state
    def parameters(self) -> dict[str, Any]:
        """Arguments that make this integrator again, beside the atoms; JSON types."""
        skin = self._skin_of(self._calculator())
        return {"timestep": self.dt, "skin": skin, **self._own_parameters()}

    def _own_parameters(self) -> dict[str, Any]:
        return {}

    @alone
    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Arrays and plain values from which :meth:`restore` goes on with the same bits."""
        self._prepare()
        arrays = self._loop.state()
        del arrays["step"]
        mobile, fix_com = self._constraints()
        arrays.update(
            numbers=self.atoms.numbers.astype(np.int64),
            masses=self.atoms.get_masses(),
            pbc=np.array(self.atoms.pbc, dtype=bool),
            fixed=~np.frombuffer(mobile, dtype=bool),
        )
        return arrays, {
            "integrator": type(self).__name__,
            "parameters": self.parameters(),
            "steps": self._taken(),
            "potential_energy": float(self._loop.energy),
            "fix_com": fix_com,
            "version": _core.__version__,
            "isa": _core.get_isa(),
        }

    @alone
    def restore(self, checkpoint: Any) -> None:
        """Go on from a :class:`~mdkern.md.checkpoint.Checkpoint` of the same atoms.

        Warns where the potential gives another energy than the run had: another model, or other parameters.
        """
        self.nsteps, self._uncounted, self._stepped = checkpoint.steps, 0, None
        self._prepare()
        names = (
            "positions",
            "momenta",
            "cell",
            "built_positions",
            "built_cell",
            "sums",
            "variables",
        )
        self._loop.restore(self.nsteps, *(checkpoint.arrays[name] for name in names))
        self._publish()
        before, now = checkpoint.meta.get("potential_energy"), float(self._loop.energy)
        # Single precision is within this; checkpoints of earlier versions have no energy.
        if before is not None and abs(now - before) > 1e-5 * abs(before) + 1e-6 * len(self.atoms):
            warnings.warn(
                f"the potential energy at the checkpoint is {now:.8g} eV, and was {before:.8g} eV in the run: "
                "another model or other parameters",
                MDKernWarning,
                stacklevel=2,
            )

    @property
    def n_builds(self) -> int:
        """How often the neighbor list was built so far."""
        return 0 if self._loop is None else int(self._loop.n_builds)

    @alone
    def get_conserved_energy(self) -> float:
        """Energy of atoms, thermostat and barostat together (eV): constant but for the finite time step. NaN: nothing is."""
        self._prepare()
        loop = self._loop
        return float(loop.energy + loop.kinetic_energy + loop.reservoir_energy)
