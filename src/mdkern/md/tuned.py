"""What a run chooses for itself: the skin of its neighbor list, and how many threads."""

from __future__ import annotations

import time
from typing import Any

from ase.md.md import MolecularDynamics

from mdkern import _runtime, checks, tuning
from mdkern.errors import MDKernError
from mdkern.moving import alone

__all__ = ["LoopTrial", "SelfTuning", "TrialError"]


_WORTH_A_LOOK = 200  # steps: into the file, which takes a millisecond or two


class LoopTrial:
    """A loop of the core that goes its own way from the present state, for :func:`mdkern.tuning.search`."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop

    def span(self, steps: int) -> tuple[float, int]:
        """Seconds of so many steps, and how often the list was built.

        It is the processor time of the calling thread, which works as long as any other does, and not that of the clock: what
        other processes did meanwhile does not count.

        Raises
        ------
        TrialError
            The run cannot go on.
        """
        before, begin = self._loop.n_builds, time.thread_time()
        _, failure, _, raised = self._loop.run(steps, 0, 0.0)
        seconds = time.thread_time() - begin
        if raised is not None:
            raise raised
        if failure:
            raise TrialError(f"a trial of {steps} steps stopped: {failure}")
        return seconds, self._loop.n_builds - before


class TrialError(MDKernError):
    """A trial that cannot go on, as the run itself could not."""


class SelfTuning(MolecularDynamics):
    """The part of the integrators that measures, and takes over what was measured: see :mod:`mdkern.tuning`."""

    #: What was chosen for this run, and what it gained; None: nothing was looked up or measured.
    tuned: tuning.Choice | None = None
    _skin: float | None
    _looked = False
    _asked = 0  # steps so far

    def _calculator(self) -> Any:
        raise NotImplementedError

    def _prepare(self) -> None:
        raise NotImplementedError

    def _another_loop(self, skin: float, threads: int) -> Any:
        """A loop of its own from the present state of the atoms."""
        raise NotImplementedError

    def _skin_of(self, calc: Any) -> float:
        """Of the run: as it was given, as it was chosen, or the calculator's."""
        if self._skin is not None:
            return self._skin
        if self.tuned is not None and self.tuned.skin is not None:
            return self.tuned.skin
        own: float = calc.parameters["skin"]
        return own

    def _threads_of(self, calc: Any) -> int:
        """Of the run; 0: the package's setting, which a choice never exceeds."""
        own: int = calc.n_threads
        if own == 0 and self.tuned is not None and self.tuned.threads is not None:
            return min(self.tuned.threads, _runtime.get_num_threads())
        return own

    @alone
    def tune(self, **kwargs: Any) -> list[tuning.Measured]:
        """Measure skin and threads now, keep the choice in the file and take it over for this run.

        Steps are taken on copies of the present state (some 2000, by turns): the atoms stay where they are, and the run has the
        bits of one with ``skin=`` the chosen one. Start where temperature and density are those of the run. A skin that was
        given to the integrator stays, as do threads that were given to the calculator.

        Parameters
        ----------
        **kwargs
            Of :func:`mdkern.tuning.search`: ``skins``, ``spans``, ``steps``, ``most_seconds``.

        Returns
        -------
        list of mdkern.tuning.Measured
            What was measured; the choice is `tuned`.

        Raises
        ------
        TrialError
            The run cannot go on.
        """
        self.tuned = None
        self._prepare()
        calc, key = self._calculator(), self._keys()[0]
        if self._skin is not None:
            kwargs["skins"] = None
        own_threads = calc.n_threads != 0
        threads = calc.n_threads or _runtime.get_num_threads()
        choice, rows = tuning.search(
            lambda skin, n: LoopTrial(self._another_loop(skin, n)),
            self._skin_of(calc),
            threads,
            fewer_threads=not own_threads,
            **kwargs,
        )
        if rows:
            tuning.keep(key, choice)
        self.tuned, self._looked = choice, True
        return rows

    @alone
    def choose(self, steps: int) -> tuning.Choice | None:
        """Take over what is stored for this run, or measure, as ``MDKERN_TUNE`` says; `run` asks so at its start.

        Parameters
        ----------
        steps : int
            That will be taken: nothing is measured for fewer than 20000 (`mdkern.tuning.LEAST_STEPS`).

        Returns
        -------
        mdkern.tuning.Choice or None
            Also `tuned`.
        """
        checks.whole("steps", steps)
        mode, worth = tuning.MODE, steps >= tuning.LEAST_STEPS
        if mode == "off" or self.tuned is not None or (self._looked and not worth):
            return self.tuned
        self._asked += steps
        if mode == "" and self._asked < _WORTH_A_LOOK:
            return None
        self._looked = True
        calc = self._calculator()
        skin = self._skin is None and mode != ""
        threads = calc.n_threads == 0 and _runtime.get_num_threads() > 1
        if not (skin or threads):
            return None
        kept = {} if mode == "measure" else tuning.all_choices()
        if kept:  # only then: the hash of a large model takes a while
            found = next((kept[key] for key in self._keys() if key in kept), None)
            if found is not None:
                part = found.only(skin=skin, threads=threads)
                self.tuned = part if mode or part.threads is not None else None
                return self.tuned
        if worth and mode in ("once", "measure"):
            try:
                self.tune()
            except TrialError:  # the run itself will say why
                self.tuned = None
        return self.tuned

    def _keys(self) -> tuple[str, str]:
        """Of choices where this much was given by hand, and where nothing was."""
        calc = self._calculator()
        given = [] if self._skin is None else [f"skin {self._skin:g} A given"]
        given += ["threads given"] if calc.n_threads else []
        threads = calc.n_threads or _runtime.get_num_threads()
        whole = tuning.key_of(calc, self.atoms, self.dt, threads)
        return " | ".join([whole, *given]), whole
