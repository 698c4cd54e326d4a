"""The optimizers: arguments of ASE's classes of the same names, and the schemes of the core."""

from __future__ import annotations

from typing import Any

from mdkern import checks
from mdkern.errors import UnsupportedError
from mdkern.optimize.base import NativeOptimizer

__all__ = ["BFGS", "FIRE", "FIRE2", "LBFGS"]

_MAXSTEP, _ALPHA = 0.2, 70.0  # Angstrom, eV/Angstrom^2; ASE's defaults


class FIRE(NativeOptimizer):
    """The fast inertial relaxation engine, step by step :class:`ase.optimize.FIRE`.

    Bitzek et al., Phys. Rev. Lett. 97, 170201 (2006). Every optimizer has the parameters of :class:`NativeOptimizer`, this one also:

    Parameters
    ----------
    dt, dtmax : float
        Time step at first, and the longest.
    maxstep : float, optional
        The longest step, the norm over all coordinates, in Angstrom; by default 0.2.
    Nmin, finc, fdec, astart, fa, a
        As in ASE.
    downhill_check : bool
        Go back where a step led to a higher energy.
    position_reset_callback
        Is refused: use ASE's class for it.
    """

    ase_name = "ase.optimize.FIRE"
    _scheme_name = "use_fire"
    _scheme_parameters = (
        *("dt", "maxstep", "dtmax", "Nmin", "finc", "fdec", "astart", "fa", "a"),
        "downhill_check",
    )

    def __init__(
        self,
        atoms: Any,
        restart: Any = None,
        logfile: Any = "-",
        trajectory: Any = None,
        dt: float = 0.1,
        maxstep: float | None = None,
        maxmove: float | None = None,
        dtmax: float = 1.0,
        Nmin: int = 5,
        finc: float = 1.1,
        fdec: float = 0.5,
        astart: float = 0.1,
        fa: float = 0.99,
        a: float = 0.1,
        downhill_check: bool = False,
        position_reset_callback: Any = None,
        **kwargs: Any,
    ) -> None:
        if maxmove is not None:
            raise ValueError(f"maxmove: {checks.shown(maxmove)}; expected maxstep in its place")
        _no_callback(position_reset_callback, self.ase_name)
        self.dt, self.dtmax = dt, dtmax
        self.maxstep = _MAXSTEP if maxstep is None else maxstep
        self.Nmin, self.finc, self.fdec = Nmin, finc, fdec
        self.astart, self.fa, self.a = astart, fa, a
        self.downhill_check = downhill_check
        super().__init__(atoms, restart, logfile, trajectory, **kwargs)


class FIRE2(NativeOptimizer):
    """FIRE 2.0 and ABC-FIRE, step by step :class:`ase.optimize.FIRE2`.

    Guenole et al., Comput. Mater. Sci. 175, 109584 (2020); Echeverri Restrepo and Andric, Comput. Mater. Sci. 218, 111978 (2023).
    Every optimizer has the parameters of :class:`NativeOptimizer`, this one also:

    Parameters
    ----------
    dt, dtmax, dtmin : float
        Time step at first, the longest and the shortest.
    maxstep : float
        The longest step, the norm over all coordinates, in Angstrom; with `use_abc` of every coordinate.
    Nmin, finc, fdec, astart, fa
        As in ASE.
    use_abc : bool
        ABC-FIRE.
    """

    ase_name = "ase.optimize.FIRE2"
    _scheme_name = "use_fire2"
    _scheme_parameters = (
        *("dt", "maxstep", "dtmax", "dtmin", "Nmin", "finc", "fdec", "astart", "fa"),
        "use_abc",
    )

    def __init__(
        self,
        atoms: Any,
        restart: Any = None,
        logfile: Any = "-",
        trajectory: Any = None,
        dt: float = 0.1,
        maxstep: float | None = _MAXSTEP,
        dtmax: float = 1.0,
        dtmin: float = 2e-3,
        Nmin: int = 20,
        finc: float = 1.1,
        fdec: float = 0.5,
        astart: float = 0.25,
        fa: float = 0.99,
        position_reset_callback: Any = None,
        use_abc: bool = False,
        **kwargs: Any,
    ) -> None:
        _no_callback(position_reset_callback, self.ase_name)
        self.dt, self.dtmax, self.dtmin = dt, dtmax, dtmin
        self.maxstep = _MAXSTEP if maxstep is None else maxstep
        self.Nmin, self.finc, self.fdec = Nmin, finc, fdec
        self.astart, self.fa = astart, fa
        self.use_abc = use_abc
        super().__init__(atoms, restart, logfile, trajectory, **kwargs)


class LBFGS(NativeOptimizer):
    """Limited-memory BFGS, step by step :class:`ase.optimize.LBFGS`.

    Liu and Nocedal, Math. Program. 45, 503 (1989). Every optimizer has the parameters of :class:`NativeOptimizer`, this one also:

    Parameters
    ----------
    maxstep : float, optional
        The longest step of one atom in Angstrom, by default 0.2.
    memory : int
        Steps that are remembered.
    damping : float
        Multiplies every step.
    alpha : float
        Curvature at first, eV/Angstrom^2.
    use_line_search
        Is refused: use ASE's class for it.
    """

    ase_name = "ase.optimize.LBFGS"
    _scheme_name = "use_lbfgs"
    _scheme_parameters = ("maxstep", "memory", "damping", "alpha")

    def __init__(
        self,
        atoms: Any,
        restart: Any = None,
        logfile: Any = "-",
        trajectory: Any = None,
        maxstep: float | None = None,
        memory: int = 100,
        damping: float = 1.0,
        alpha: float = 70.0,
        use_line_search: bool = False,
        **kwargs: Any,
    ) -> None:
        if checks.flag("use_line_search", use_line_search):
            raise UnsupportedError(
                f"use_line_search: True; expected False. {self.ase_name} has a line search, with the same calculator"
            )
        self.maxstep = _MAXSTEP if maxstep is None else maxstep
        self.memory, self.damping, self.alpha = memory, damping, alpha
        super().__init__(atoms, restart, logfile, trajectory, **kwargs)


class BFGS(NativeOptimizer):
    """BFGS with a dense matrix, step by step :class:`ase.optimize.BFGS`; for up to 1000 atoms.

    Every optimizer has the parameters of :class:`NativeOptimizer`, this one also:

    Parameters
    ----------
    maxstep : float, optional
        The longest step of one atom in Angstrom, by default 0.2.
    alpha : float, optional
        Curvature at first, by default 70 eV/Angstrom^2.

    Raises
    ------
    ValueError
        More than 1000 rows of coordinates, atoms and cell together.
    """

    ase_name = "ase.optimize.BFGS"
    _scheme_name = "use_bfgs"
    _scheme_parameters = ("maxstep", "alpha")

    def __init__(
        self,
        atoms: Any,
        restart: Any = None,
        logfile: Any = "-",
        trajectory: Any = None,
        append_trajectory: bool = False,
        maxstep: float | None = None,
        alpha: float | None = None,
        **kwargs: Any,
    ) -> None:
        self.maxstep = _MAXSTEP if maxstep is None else maxstep
        self.alpha = _ALPHA if alpha is None else alpha
        kwargs["append_trajectory"] = append_trajectory
        super().__init__(atoms, restart, logfile, trajectory, **kwargs)


def _no_callback(callback: Any, ase_name: str) -> None:
    if callback is not None:
        raise UnsupportedError(
            f"position_reset_callback: {checks.shown(callback)}; expected None. {ase_name} calls it, with the same "
            "calculator"
        )
