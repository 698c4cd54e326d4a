"""The native loop of relaxations behind ASE's interface of optimizers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from ase.optimize.optimize import Optimizer

from mdkern import _core, checks
from mdkern.errors import UnsupportedError
from mdkern.moving import StepError, alone, lock_of
from mdkern.optimize.cells import atoms_and_cell
from mdkern.optimize.relaxed import Relaxed
from mdkern.optimize.restart import read_restart, write_restart

__all__ = ["NativeOptimizer", "RelaxationError"]

_MOST_STEPS = 100_000_000
_CHUNK_SECONDS = 0.5  # that lines of a log are held back at most
_WRITE_SECONDS = 10.0  # between two restart files of one run


class RelaxationError(StepError):
    """A relaxation that cannot go on, the cell's explosion included (:class:`mdkern.moving.StepError`).

    The results of the calculator too are those of the last good step.
    """


class NativeOptimizer(Optimizer):
    """Base of the optimizers: :class:`ase.optimize.optimize.Optimizer`, whose steps are taken in the core.

    Between two observers (or the start and the end of a run) no Python runs. When an observer is due, at the end of ``run``, and
    when something goes wrong, positions and cell of the atoms and the results of their calculator are those of the
    step, bit for bit what a step-by-step run has. An observer may change atoms: the run goes on from there.

    These are the parameters of every optimizer, beside its own.

    Parameters
    ----------
    atoms : ase.Atoms, ase.filters.FrechetCellFilter or ase.filters.UnitCellFilter
        With a calculator of :mod:`mdkern.calculators`. Constraints: ``FixAtoms``, ``FixCom``, ``FixCartesian``,
        ``FixSymmetry``.
    restart : str, optional
        A file to go on with the same bits: read where it exists (the atoms are moved to where it has them), written at the
        end of every run, and every ten seconds meanwhile.
    logfile, trajectory, append_trajectory, loginterval
        As in ASE.
    cell : {"none", "volume", "shape", "full"}
        What of the cell relaxes: nothing, its volume (ASE's ``hydrostatic_strain``), its shape (``constant_volume``), all.
    mask : (6,) or (3, 3) array of bool, optional
        Components of the strain that relax: xx, yy, zz, yz, xz, xy.
    hydrostatic : bool
        As ``cell="volume"``.
    scalar_pressure : float
        eV/Angstrom^3 (``5 * ase.units.GPa``).
    filter : {"frechet", "unit"}
        Coordinates of the cell: those of ASE's FrechetCellFilter, or of UnitCellFilter.
    skin : float, optional
        Of the neighbor list in Angstrom; by default the calculator's.

    Raises
    ------
    TypeError
        The calculator is not one of mdkern's; the message names ASE's optimizer, which takes any.
    UnsupportedError
        Other constraints, filters and callbacks than the above; potentials that are not in the core.
    FormatError
        `restart` is no restart file.
    ValueError
        Other arguments, and a restart file of other atoms or of another optimizer.
    RelaxationError
        During a run: see there.
    """

    #: ASE's class of the same method, for messages.
    ase_name = "ase.optimize.optimize.Optimizer"
    _scheme_name: ClassVar[str] = ""
    _scheme_parameters: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        atoms: Any,
        restart: Any = None,
        logfile: Any = None,
        trajectory: Any = None,
        append_trajectory: bool = False,
        *,
        loginterval: int = 1,
        cell: str = "none",
        mask: Any = None,
        hydrostatic: bool = False,
        scalar_pressure: float = 0.0,
        filter: str = "frechet",
        skin: float | None = None,
        **kwargs: Any,
    ) -> None:
        self._atoms, self.cell_settings = atoms_and_cell(
            atoms, cell, mask, hydrostatic, scalar_pressure, filter, self.ase_name
        )
        skin = None if skin is None else checks.not_negative("skin", skin, unit="Angstrom")
        self._relaxed = Relaxed(
            self._atoms, self.cell_settings, skin, self._scheme_name, self.ase_name
        )
        self._relaxed.make(self._parameters())
        self._logging = logfile is not None
        self._written = time.monotonic()
        self._lock = lock_of(self._atoms)
        self.fmax: Any
        saved = None if restart is None else read_restart(restart)
        super().__init__(
            atoms, restart, logfile, trajectory, append_trajectory=append_trajectory, **kwargs
        )
        # Only the trajectory is attached so far; of late ASE has this argument too.
        every = checks.whole("loginterval", loginterval, least=1)
        self.observers = [(f, every, args, named) for f, _, args, named in self.observers]
        if saved is not None:
            try:
                self._restore(saved)
            except BaseException:
                self.close()  # type: ignore[no-untyped-call]  # files that ASE has opened
                raise

    def initialize(self) -> None:
        """Nothing: the core begins with the first run."""

    def read(self) -> None:
        """Nothing: a restart file is read before, and taken over behind."""

    def todict(self) -> dict[str, Any]:
        """Description for trajectory files."""
        found: dict[str, Any] = {**super().todict(), **self._parameters()}  # type: ignore[no-untyped-call]
        if self.cell_settings.kind != "none":
            found["cell"] = self.cell_settings.as_dict()
        return found

    @property
    def _loop(self) -> Any:
        return self._relaxed.loop

    def _prepare(self) -> None:
        self._relaxed.prepare(self._parameters())

    def _parameters(self) -> dict[str, Any]:
        """The optimizer's own, checked: numbers here, their ranges in the core."""
        found: dict[str, Any] = {}
        for name in self._scheme_parameters:
            value = getattr(self, name)
            if name in ("Nmin", "memory"):
                found[name] = checks.whole(name, value)
            elif name in ("downhill_check", "use_abc"):
                found[name] = checks.flag(name, value)
            else:
                found[name] = checks.number(name, value)
        return found

    # --- the loop
    def run(self, fmax: float = 0.05, steps: int = _MOST_STEPS) -> bool:  # type: ignore[override]
        """Relax until no force on an atom or the cell is as long as `fmax`, in at most `steps` steps.

        Parameters
        ----------
        fmax : float
            eV/Angstrom; of rows of the cell as ASE's filter has them.
        steps : int

        Returns
        -------
        bool
            Whether it is converged.

        Raises
        ------
        RelaxationError
            The relaxation cannot go on.
        """
        return self._run(fmax, steps)

    @alone
    def _run(self, fmax: float, steps: int) -> bool:
        converged = self._begin(fmax, steps)
        with self._saved():
            while not converged and self.nsteps < self.max_steps:
                self._advance(min(self._until_due(), self.max_steps - self.nsteps))
                converged = self._observe()
        return converged

    def irun(self, fmax: float = 0.05, steps: int = _MOST_STEPS) -> Iterator[bool]:  # type: ignore[override]
        """The same as a generator: yields after the start and every step whether it is converged."""
        converged = self._begin(fmax, steps)
        with self._saved():
            yield converged
            while not converged and self.nsteps < self.max_steps:
                converged = self._next()
                yield converged

    @alone
    def _begin(self, fmax: float, steps: int) -> bool:
        self.fmax = checks.not_negative("fmax", fmax, unit="eV/Angstrom")
        self.max_steps = self.nsteps + checks.whole("steps", steps)
        self._prepare()
        self._relaxed.publish()
        if self.nsteps == 0:
            self._log([(self._loop.energy, self._loop.largest_force, time.time())])
            if self._begins_trajectory():
                return self._observe()
        return self._is_converged()

    @alone
    def _next(self) -> bool:
        self._prepare()
        self._advance(1)
        return self._observe()

    @alone
    def step(self, *args: Any) -> None:
        """One step, without observers and log."""
        if args:
            raise UnsupportedError(f"step: forces given; expected none. {self.ase_name} takes them")
        self._prepare()
        self._take(1, 0.0, traced=False)
        self._relaxed.publish()
        self.nsteps -= 1  # ASE's caller counts

    @alone
    def converged(self, forces: Any = None, *, gradient: Any = None) -> bool:
        """Whether no force is as long as the ``fmax`` of the last run; of the atoms where none are given."""
        if self.fmax is None:
            raise ValueError("converged: no fmax yet; expected a call of run before")
        given = gradient if forces is None else forces
        if given is not None:
            rows = checks.numbers("forces", given).reshape(-1, 3)
            return bool(np.sqrt((rows**2).sum(axis=1)).max(initial=0.0) < self.fmax)
        self._prepare()
        return self._is_converged()

    def _is_converged(self) -> bool:
        return bool(self._loop.largest_force < self.fmax)

    def _begins_trajectory(self) -> bool:
        """Whether observers see the start: not where a trajectory is continued, which has it."""
        trajectory: Any = self.trajectory
        if trajectory is None:
            return True
        empty = getattr(self, "_traj_is_empty", None)  # of late in ASE; before, it is open
        return bool(empty() if empty is not None else len(trajectory) == 0)

    def _until_due(self) -> int:
        """Steps to the next observer."""
        nearest = self.max_steps - self.nsteps
        for _, interval, _, _ in self.observers:
            if interval > 0:
                nearest = min(nearest, interval - self.nsteps % interval)
            elif -interval > self.nsteps:
                nearest = min(nearest, -interval - self.nsteps)
        return max(1, nearest)

    def _observe(self) -> bool:
        """Call observers, who may have changed the atoms. Returns whether it is converged."""
        if self.observers:
            self.call_observers()  # type: ignore[no-untyped-call]
            if self._is_late():
                self._save()
            self._prepare()
        return self._is_converged()

    def _advance(self, steps: int) -> None:
        """Take steps in the core, fewer where it converges, then publish; raises where it could not go on."""
        target = self.nsteps + steps
        try:
            self._advance_to(target)
        except KeyboardInterrupt:
            if self.nsteps == target:  # a run that goes on would not tell observers of this step
                self._relaxed.publish()
                self.call_observers()  # type: ignore[no-untyped-call]
            raise

    def _advance_to(self, target: int) -> None:
        while self.nsteps < target:
            if self._take(target - self.nsteps, self.fmax, traced=self._logging):
                break
            if self._is_late():
                self._relaxed.publish()
                self._save()
        self._relaxed.publish()

    def _take(self, steps: int, fmax: float, *, traced: bool) -> bool:
        """Some of these steps, and their lines of the log. Returns whether it is converged."""
        seconds = _CHUNK_SECONDS if traced else 0.0 if self.restart is None else _WRITE_SECONDS
        before, failed = self._loop.steps, True
        try:
            _, converged, failure, atom, raised = self._loop.run(steps, fmax, seconds, traced)
            failed = False
        finally:
            self.nsteps += self._loop.steps - before
            if traced:
                self._log(self._loop.take_trace().tolist())
            if failed:
                self._after_exception()
        if failure or raised is not None:
            self._relaxed.publish()
        if failure:
            raise RelaxationError(failure, self.nsteps + 1, atom if atom >= 0 else None)
        if raised is not None:
            raise raised
        return bool(converged)

    def _after_exception(self) -> None:
        """Where the potential itself raised: the core is at the last good step."""
        try:
            self._relaxed.publish()
        except Exception:  # noqa: BLE001 - the first one is what the caller is told
            self._relaxed.forget()

    def _log(self, rows: Any) -> None:
        """Lines of the log, of the last steps up to the present one."""
        if not self._logging or not len(rows):
            return
        name = type(self).__name__
        lines = []
        first = self.nsteps - len(rows) + 1
        if first == 0:
            lines.append(
                f"{' ' * len(name)}  {'Step':>4} {'Time':>8} {'Energy':>15}  {'fmax':>12}\n"
            )
        for k, (energy, largest, seconds) in enumerate(rows):
            at = time.strftime("%H:%M:%S", time.localtime(seconds))
            lines.append(f"{name}:  {first + k:3d} {at} {energy:15.6f} {largest:15.6f}\n")
        self.logfile.write("".join(lines))
        if type(self.logfile).__name__ != "Log":  # ASE's own of late, which has flushed
            getattr(self.logfile, "flush", lambda: None)()

    # --- restart files
    @contextmanager
    def _saved(self) -> Iterator[None]:
        """A restart file behind it, whatever happens; of two exceptions the first is what the caller is told."""
        try:
            yield
        except BaseException:
            with suppress(Exception):
                self._save()
            raise
        self._save()

    def _is_late(self) -> bool:
        """Whether a restart file is due in the middle of a run."""
        return self.restart is not None and time.monotonic() - self._written > _WRITE_SECONDS

    def _save(self) -> None:
        if self.restart is None or self._loop is None or not self._loop.placed:
            return
        if self.comm.rank == 0:
            write_restart(self.restart, self)
        self._written = time.monotonic()

    @alone
    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Arrays and plain values from which a restart goes on with the same bits."""
        self._prepare()
        arrays = self._loop.state()
        remembered = arrays.pop("optimizer")
        arrays.update(
            numbers=self._atoms.numbers.astype(np.int64), pbc=np.array(self._atoms.pbc, dtype=bool)
        )
        arrays.update({f"optimizer_{name}": a for name, a in remembered.items()})
        return arrays, {
            "optimizer": type(self).__name__,
            "parameters": self._parameters(),
            "cell": self.cell_settings.as_dict(),
            "steps": self.nsteps,
            "version": _core.__version__,
            "isa": _core.get_isa(),
        }

    @alone
    def _restore(self, saved: tuple[dict[str, Any], dict[str, Any]]) -> None:
        arrays, meta = saved
        own = {
            "optimizer": type(self).__name__,
            "numbers": self._atoms.numbers.tolist(),
            "pbc": self._atoms.pbc.tolist(),
        }
        theirs = {**meta, "numbers": arrays["numbers"].tolist(), "pbc": arrays["pbc"].tolist()}
        for name, value in self.cell_settings.as_dict().items():
            own[f"cell {name}"] = value
            theirs[f"cell {name}"] = meta["cell"].get(name)
        for name, value in own.items():
            if theirs[name] != value:
                raise ValueError(
                    f"restart: {self.restart} has {name} {checks.shown(theirs[name])}; expected {checks.shown(value)}, "
                    "as it is here"
                )
        self._prepare()
        state = {name: a for name, a in arrays.items() if not name.startswith("optimizer_")}
        state["optimizer"] = {
            name.removeprefix("optimizer_"): a
            for name, a in arrays.items()
            if name.startswith("optimizer_")
        }
        self._loop.restore(state)
        # Where everything begins anew later, as with another calculator, what is remembered refers to this cell.
        self.cell_settings = replace(self.cell_settings, first=arrays["first_cell"])
        self._relaxed.cell_settings = self.cell_settings
        self.nsteps = meta["steps"]
        self._atoms.cell[...] = arrays["cell"]
        self._relaxed.publish()

    @property
    def n_builds(self) -> int:
        """How often the neighbor list was built so far."""
        return 0 if self._loop is None else int(self._loop.n_builds)
