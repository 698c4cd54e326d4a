"""Atoms, and the loop of the core that relaxes them: each is brought up to date with the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixSymmetry

from mdkern import _core, checks, potentials
from mdkern.calculators import AtomsError, Calculator, is_native
from mdkern.errors import MDKernError, UnsupportedError
from mdkern.optimize.cells import CellSettings
from mdkern.optimize.constraints import native_constraints
from mdkern.potentials.base import warn_of

__all__ = ["Relaxed"]


class Relaxed:
    """Atoms that are relaxed in the core.

    Parameters
    ----------
    atoms : ase.Atoms
    cell : CellSettings
    skin : float or None
        None: the calculator's.
    scheme : str
        The core's method that chooses the optimizer.
    ase_name : str
        ASE's optimizer of the same method, for messages.

    Attributes
    ----------
    loop
        The core's, once :meth:`prepare` was called.
    """

    def __init__(
        self, atoms: Atoms, cell: CellSettings, skin: float | None, scheme: str, ase_name: str
    ) -> None:
        self.atoms, self.cell_settings, self.ase_name = atoms, cell, ase_name
        self._skin, self._scheme = skin, scheme
        self.loop: Any = None
        self._made: tuple[Any, ...] = ()
        self._configured: tuple[Any, ...] = ()
        self._constrained: tuple[Any, ...] = ()
        self.calculator()
        native_constraints(atoms, ase_name)

    def calculator(self) -> Calculator:
        """The atoms' calculator; TypeError where the core cannot take it."""
        calc: Any = self.atoms.calc
        if not is_native(calc):
            what = "none" if calc is None else type(calc).__name__
            raise TypeError(
                f"atoms.calc: {what}; expected one of mdkern.calculators, whose atoms stay in the core. "
                f"With any other calculator use {self.ase_name}"
            )
        wanted = ["forces"] + ["stress"] * (self.cell_settings.kind != "none")
        for name in wanted:
            if name not in calc.implemented_properties:
                raise TypeError(
                    f"atoms.calc: {type(calc).__name__}, which has no {name}; expected one that has"
                )
        checked: Calculator = calc
        return checked

    def prepare(self, parameters: dict[str, Any]) -> None:
        """Bring the core up to date with atoms, calculator and parameters, whatever has changed."""
        calc = self.calculator()
        positions, numbers, cell, pbc = checks.arrays(self.atoms)
        skin = calc.parameters["skin"] if self._skin is None else self._skin
        made = (calc.potential, skin, numbers.tobytes(), pbc.tobytes())
        constrained = self._constraints_now()
        try:
            if made != self._made:
                former = self.loop.state() if self.loop.placed else None
                self.make(parameters)
                self._place(calc, positions, numbers, cell, pbc)
                if former is not None and len(former["positions"]) == len(positions):
                    # Another calculator, say: the optimizer remembers what it did, as ASE's does.
                    self.loop.restore(self.loop.state() | {"optimizer": former["optimizer"]})
                self._made, self._constrained = made, constrained
                return
            self.loop.set_threads(calc.n_threads)
            self._configure(parameters)
            if constrained != self._constrained:
                self.loop.set_constraints(native_constraints(self.atoms, self.ase_name))
                self._constrained = constrained
            elif self.loop.placed and self.loop.is_at(positions, cell):
                return
            if self.loop.placed:
                self.loop.go_on(positions, cell)
            else:
                self._place(calc, positions, numbers, cell, pbc)
        except ValueError as e:
            raise e if isinstance(e, MDKernError) else AtomsError(str(e)) from None

    def make(self, parameters: dict[str, Any]) -> None:
        """A new loop; ValueError for parameters that make no sense."""
        calc = self.calculator()
        skin = calc.parameters["skin"] if self._skin is None else self._skin
        potential = getattr(calc.potential, "force_step", lambda: None)()
        if potential is None:
            raise UnsupportedError(
                f"atoms.calc: {type(calc).__name__}, whose potential is not in the core alone; expected another one. "
                f"{self.ase_name} takes it"
            )
        self.loop = _core.RelaxLoop(potential, skin, calc.n_threads)
        self.loop.set_cell(*self.cell_settings.arguments())
        self._configured = ()
        self._configure(parameters)

    def _place(self, calc: Calculator, positions: Any, numbers: Any, cell: Any, pbc: Any) -> None:
        self.loop.set_constraints(native_constraints(self.atoms, self.ase_name))
        first = None if self.cell_settings.kind == "none" else self.cell_settings.first
        self.loop.place(positions, cell, pbc, calc.species_map(numbers), first)

    def _constraints_now(self) -> tuple[Any, ...]:
        """What tells the present constraints from others."""
        constraints = self.atoms.constraints
        if not constraints:
            return ()
        masses = self.atoms.get_masses().tobytes()  # FixCom's
        return (masses, *(_content(c) for c in constraints))

    def _configure(self, parameters: dict[str, Any]) -> None:
        """Hand parameters over that have changed."""
        wanted = tuple(parameters.values())
        if wanted != self._configured:
            getattr(self.loop, self._scheme)(*wanted)
            self._configured = wanted

    def publish(self) -> None:
        """Positions and cell into the atoms, in place, and the results into their calculator."""
        x = self.atoms.arrays["positions"]
        h = np.empty((3, 3))
        ready = x.dtype == np.float64 and x.flags.c_contiguous
        if not ready:
            x = np.empty((len(self.atoms), 3))
        self.loop.publish(x, h)
        if not ready:
            self.atoms.arrays["positions"][...] = x
        if self.cell_settings.kind != "none":
            self.atoms.cell[...] = h
        energy, energies, forces, virial, charges, spread = self.loop.results()
        calc = self.calculator()
        deviation = None if spread is None else calc.potential.deviation_of(*spread)
        result = potentials.Result(
            energy, energies, forces, virial, None, charges, deviation=deviation
        )
        calc.accept(result, _core.Snapshot(*checks.arrays(self.atoms)))
        warn_of(calc.potential, self.loop.overflow)

    def forget(self) -> None:
        """Begin anew at the next :meth:`prepare`."""
        self._made = ()


class _Same:
    """Equal to the same object alone."""

    def __init__(self, what: Any) -> None:
        self._what = what

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self._what is other._what

    __hash__ = None  # type: ignore[assignment]


def _content(constraint: Any) -> tuple[Any, ...]:
    """Type and values of a constraint."""
    if type(constraint) is FixSymmetry:
        # Found when it is made, and so many numbers that to look at them takes longer than a step.
        found = _Same(constraint.rotations), _Same(constraint.symm_map)
        return type(constraint), *found, constraint.do_adjust_positions, constraint.do_adjust_cell
    values = (
        (name, v.tobytes() if isinstance(v, np.ndarray) else repr(v))
        for name, v in sorted(vars(constraint).items())
    )
    return (type(constraint), *values)
