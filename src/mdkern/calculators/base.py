"""The adapter that makes an ASE calculator of any potential."""

from __future__ import annotations

import copy
import inspect
import math
import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import CalculationFailed, InputError, all_changes, equal
from ase.calculators.calculator import Calculator as AseCalculator

from mdkern import _core, checks
from mdkern.errors import MDKernError
from mdkern.io.files import FileModel
from mdkern.loading import has_own_calculate
from mdkern.potentials.base import (
    Result,
    SpeciesMap,
    list_cutoff,
    need_nine_virials,
    not_finite,
    properties_of,
)

__all__ = ["AtomsError", "Calculator", "NonFiniteError", "is_native"]


class AtomsError(MDKernError, InputError, ValueError):
    """Atoms that a potential cannot treat."""


class NonFiniteError(MDKernError, CalculationFailed):
    """The energy or a force is not finite: atoms lie on top of each other."""


class Calculator(AseCalculator):
    """Base of mdkern's calculators.

    Energy, forces and stress are computed together, in one call of the core; per-atom stresses where asked for. The neighbor
    list is kept while atoms have moved less than the skin allows. A change of the atoms is found by one
    comparison of bytes. Results are eV, eV/Angstrom, eV/Angstrom^3 in ASE's signs and order.

    Threads may share a calculator: they take turns, and each gets the results of the atoms that it asked for.

    Parameters of every calculator, beside those of its potential:

    threads : int, optional
        Threads of each evaluation; by default :func:`mdkern.get_num_threads`.
    skin : float
        Angstrom beyond the cutoff that the neighbor list covers. A larger skin means fewer builds and longer lists.
    precision : {"double", "single"}
        Precision of the inner loops, where the potential offers a choice.
    atoms : ase.Atoms, optional
        Attach the calculator to these atoms.

    Attributes
    ----------
    potential
        The object with the parameters; ``potential.compute`` is the call of the kernel.
    cutoff : float
        Angstrom.
    species : tuple of str or None
        Elements that the potential has; None: any.
    species_map : SpeciesMap
        From atomic numbers to the numbers of these species.
    n_threads : int
        Threads of each evaluation; 0: the package's setting.
    virial : (3, 3) array
        ``-dE/d(strain)`` of the last evaluation in eV, also for free clusters.
    n_builds : int
        How often the neighbor list was built.
    lock : threading.RLock
        Held during each evaluation; calculators of one batch have one in common. Threads that share the calculator hold it
        while they look at ``results`` or ``atoms``, which belong to the last evaluation of any of them.
    batch : mdkern.calculators.batch.Batch or None
        With whom it evaluates together, see :func:`mdkern.batch`. Copies and pickles are in none.
    """

    implemented_properties: ClassVar[list[str]] = [  # type: ignore[misc]
        "energy",
        "free_energy",
        "energies",
        "forces",
        "stress",
        "stresses",
    ]
    ignored_changes: ClassVar[set[str]] = {"initial_charges", "initial_magmoms"}  # type: ignore[misc]
    discard_results_on_any_change = True
    potential_class: ClassVar[Any] = None

    # Not `name`: in Python 3.10 that is a positional parameter of ABCMeta.__new__.
    def __init_subclass__(cls, potential: Any = None, ase_name: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if potential is None:
            return
        cls.potential_class = potential
        cls.name = ase_name  # type: ignore[assignment, method-assign]
        own = inspect.signature(potential.__init__).parameters.values()
        common = inspect.signature(Calculator.__init__).parameters
        extra = [common[key] for key in ("threads", "skin", "atoms")]
        cls.__signature__ = inspect.Signature([p for p in own if p.name != "self"] + extra)  # type: ignore[attr-defined]
        cls.__doc__ = (potential.__doc__ or "") + (
            "\n    Beside these every calculator takes ``threads``, ``skin`` and ``atoms``: see :class:`Calculator`.\n"
        )

    def __init__(
        self,
        *args: Any,
        threads: int | None = None,
        skin: float = 0.3,
        atoms: Atoms | None = None,
        **kwargs: Any,
    ) -> None:
        if self.potential_class is None:
            msg = "Calculator is the base class; use one of mdkern.calculators such as EAM"
            raise TypeError(msg)
        self._start()
        super().__init__()  # type: ignore[no-untyped-call]
        try:
            bound = inspect.signature(self.potential_class).bind(*args, **kwargs)
        except TypeError as e:
            msg = f"{type(self).__name__}: {e}"
            raise TypeError(msg) from None
        self.parameters.update({k: _plain(v) for k, v in bound.arguments.items()})
        self.parameters.update(threads=threads, skin=skin)
        self._apply(self.potential_class(*bound.args, **bound.kwargs))
        if atoms is not None:
            atoms.calc = self

    def __add__(self, other: Any) -> Calculator:
        """:class:`mdkern.calculators.Sum` of both, with the threads and the skin of the first."""
        if not isinstance(other, Calculator):
            return NotImplemented
        from mdkern import calculators

        common = {key: self.parameters[key] for key in ("threads", "skin")}
        made: Calculator = calculators.__getattr__("Sum")(_terms(self) + _terms(other), **common)
        return made

    def _start(self) -> None:
        """What belongs to one process: it is neither copied nor pickled."""
        self.lock = threading.RLock()
        self._of_thread = threading.local()  # Result of the last evaluation that a thread asked for
        self._snapshot: Any = None
        self._atoms: Atoms | None = None
        self._table: Any = None
        self._table_of: Any = None
        self.batch: Any = None

    def _apply(self, potential: Any) -> None:
        """Take over a potential and the present threads and skin."""
        n_threads = checks.threads(self.parameters["threads"])
        skin = checks.not_negative("skin", self.parameters["skin"], unit="Angstrom")
        self.n_threads = n_threads
        self.potential = potential
        self.cutoff: float = potential.cutoff
        self.species: tuple[str, ...] | None = potential.species
        self.species_map = SpeciesMap(self.species)
        if self._table_of != (potential, skin):
            self._table, self._table_of = None, (potential, skin)
        self._last: Any = None  # Result of the last evaluation
        self._of_thread = threading.local()
        self.reset()

    def set(self, **kwargs: Any) -> dict[str, Any]:
        """Change parameters; where one did change, the results so far are dropped. Returns what changed.

        A file is read again only where its path changes: with other parameters the model stays as it was read. Where
        a value is refused, everything stays as it was.
        """
        arguments = inspect.signature(self.potential_class).parameters
        known = {*arguments, "threads", "skin"}
        unknown = sorted(set(kwargs) - known)
        if unknown:
            msg = f"{type(self).__name__} has no parameter {unknown[0]!r}; it has {', '.join(sorted(known))}"
            raise TypeError(msg)
        with self.lock:
            before = dict(self.parameters)
            now = {k: p.default for k, p in arguments.items()} | before
            changed = {k: _plain(v) for k, v in kwargs.items() if not _same(v, now[k])}
            if not changed:
                return {}
            self.parameters.update(changed)
            try:
                self._apply(self._changed_potential(kwargs, changed))
            except BaseException:
                self.parameters.clear()
                self.parameters.update(before)
                raise
            return changed

    def _changed_potential(self, given: Mapping[str, Any], changed: Mapping[str, Any]) -> Any:
        """The potential with the present parameters, of which those in `changed` are new."""
        if changed.keys() <= {"threads", "skin"}:
            return self.potential
        own = {k: given[k] if k in changed else v for k, v in self.parameters.items()}
        del own["threads"], own["skin"]
        source = getattr(self.potential, "source", None)
        if source is not None and "path" not in changed:
            own["path"] = source
        made_of: dict[str, Any] = getattr(self.potential, "made_of", dict)()
        own.update({k: v for k, v in made_of.items() if k not in changed})
        return self.potential_class(**own)

    # --- the atoms of the last evaluation: a snapshot of bytes; an Atoms object is only made for who asks
    @property
    def atoms(self) -> Atoms | None:
        """Copy of the atoms of the last evaluation (positions, numbers, cell, pbc)."""
        with self.lock:
            if self._atoms is None and self._snapshot is not None:
                positions, numbers, cell, pbc = self._snapshot.arrays()
                self._atoms = Atoms(numbers=numbers, positions=positions, cell=cell, pbc=pbc)
            return self._atoms

    @atoms.setter
    def atoms(self, value: Atoms | None) -> None:
        with self.lock:
            self._atoms = None if value is None else value.copy()
            self._snapshot = None if value is None else _core.Snapshot(*checks.arrays(value))

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """What changed since the last evaluation; exact, whatever `tol`."""
        del tol
        with self.lock:
            if self._snapshot is None:
                return ["positions", "numbers", "cell", "pbc"]
            changes: list[str] = self._snapshot.changes(*checks.arrays(atoms))
            return changes

    def get_property(
        self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True
    ) -> Any:
        """One property of these atoms, evaluated where they are not those of the last evaluation; see ASE."""
        with self.lock:
            value = super().get_property(name, atoms, allow_calculation)  # type: ignore[no-untyped-call]
            self._of_thread.last = self._last
            return value

    def calculation_required(self, atoms: Atoms, properties: Sequence[str]) -> bool:
        """Whether a property is not there yet for these atoms."""
        with self.lock:
            return bool(super().calculation_required(atoms, properties))  # type: ignore[no-untyped-call]

    def reset(self) -> None:
        """Forget the results."""
        with self.lock:
            super().reset()  # type: ignore[no-untyped-call]

    def gather(self, atoms: Atoms | None) -> tuple[Any, Any, Any]:
        """The neighbor table, as it was; a copy of the atoms as the core has them, and their species numbers."""
        if atoms is None:
            atoms = self.atoms
            if atoms is None:
                msg = "calculate: no atoms given, and none evaluated before"
                raise AtomsError(msg)
        positions, numbers, cell, pbc = checks.arrays(atoms)
        snapshot = _core.Snapshot(positions, numbers, cell, pbc)
        try:
            if self._table is None:
                self._table = _core.NeighborTable(
                    self.cutoff, self.parameters["skin"], list_cutoff=list_cutoff(self.potential)
                )
            return self._table, snapshot, self.species_map(numbers)
        except ValueError as e:
            raise AtomsError(str(e)) from None

    def _take(self, atoms: Atoms | None) -> Any:
        """Copy of the atoms as the core has them, and the neighbor table brought up to date with it."""
        table, snapshot, kinds = self.gather(atoms)
        try:
            table.update(snapshot, kinds, self.n_threads)
        except ValueError as e:
            raise AtomsError(str(e)) from None
        return snapshot

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Evaluate everything in one call; `stresses` only where asked for."""
        del system_changes
        with self.lock:
            if self.batch is not None:
                self.batch.evaluate(self, atoms, "stresses" in properties)
                return
            snapshot = self._take(atoms)
            try:
                r = self.potential.compute(
                    self._table, virials="stresses" in properties, threads=self.n_threads
                )
            except ValueError as e:
                raise AtomsError(str(e)) from None
            self.accept_finite(r, snapshot)

    def accept_finite(self, r: Result, snapshot: Any) -> None:
        """:meth:`accept`, or NonFiniteError."""
        if not math.isfinite(r.energy + sum(r.virial.tolist())):
            raise NonFiniteError(not_finite(r, snapshot.arrays()[0]))
        self.accept(r, snapshot)

    def get_virials(self, atoms: Atoms | None = None) -> Any:
        r"""Virials of the atoms, from which heat fluxes are made: evaluates, and leaves the results as they are.

        .. math:: W_i = \sum_j (r_j - r_i) \otimes \frac{\partial U_j}{\partial r_i}

        with the energies U of atoms that ``energies`` has. Their sum is :attr:`virial`.

        Parameters
        ----------
        atoms : ase.Atoms, optional
            By default those of the last evaluation.

        Returns
        -------
        (n, 9) array
            eV; components xx, yy, zz, xy, xz, yz, yx, zx, zy, the first of each for r.

        Raises
        ------
        UnsupportedError
            The potential has none: NEP with charges.
        NonFiniteError
            Atoms lie on top of each other.
        """
        with self.lock:
            need_nine_virials(self.potential)
            snapshot = self._take(atoms)
            try:
                r = self.potential.compute(self._table, virials=9, threads=self.n_threads)
            except ValueError as e:
                raise AtomsError(str(e)) from None
            if not math.isfinite(r.energy + sum(r.virial.tolist())):
                raise NonFiniteError(not_finite(r, snapshot.arrays()[0]))
            return r.virials

    def accept(self, r: Result, snapshot: Any) -> None:
        """Make these the results, and the atoms of the snapshot those that they belong to: for who evaluates the potential."""
        self._store(properties_of(r, snapshot.cell), r, snapshot)

    def _store(self, results: dict[str, Any], result: Any, snapshot: Any) -> None:
        with self.lock:
            self.results = results
            self._last = self._of_thread.last = result
            self._atoms, self._snapshot = None, snapshot

    def _last_result(self) -> Any:
        """Of the last evaluation that this thread asked for; where it asked for none, of the last of all. None: none yet."""
        return getattr(self._of_thread, "last", self._last)

    @property
    def virial(self) -> Any:
        """``-dE/d(strain)`` of the last evaluation, (3, 3) in eV; None before the first.

        Where threads share the calculator: of the last evaluation that this thread asked for.
        """
        last = self._last_result()
        if last is None:
            return None
        xx, yy, zz, yz, xz, xy = last.virial
        return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])

    @property
    def n_builds(self) -> int:
        """How often the neighbor list was built since the parameters were set."""
        with self.lock:
            return 0 if self._table is None else int(self._table.n_builds)

    def __getstate__(self) -> dict[str, Any]:
        with self.lock:
            state = self.__dict__.copy()
            # Results and parameters are replaced or added to while the state is written.
            state.update(
                _atoms=self.atoms, results=dict(self.results), parameters=dict(self.parameters)
            )
        for name in ("lock", "batch", "_of_thread", "_snapshot", "_table", "_table_of"):
            del state[name]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._start()
        atoms = state.pop("_atoms")
        self.__dict__.update(state)
        self._table_of = (self.potential, self.parameters["skin"])
        self.atoms = atoms

    def __deepcopy__(self, memo: dict[int, Any]) -> Calculator:
        import pickle

        twin: Calculator = pickle.loads(pickle.dumps(self))
        memo[id(self)] = twin
        return twin


def is_native(calculator: Any) -> bool:
    """Whether its potential alone gives energy, forces and stress: one of ours, unless a subclass has another `calculate`."""
    return isinstance(calculator, Calculator) and not has_own_calculate(calculator)


def _terms(calculator: Calculator) -> list[Any]:
    """The parts of a plain sum, so that ``a + b + c`` is one of three; other calculators are one term."""
    from mdkern.potentials.sum import Sum

    potential = calculator.potential
    plain = type(potential) is Sum and bool((potential.weights == 1.0).all())
    return list(calculator.parameters["parts"]) if plain else [calculator]


def _same(value: Any, parameter: Any) -> bool:
    """Whether a parameter has this value already."""
    if isinstance(value, FileModel):
        return False
    try:
        return bool(equal(_plain(value), parameter))
    except ValueError:  # NumPy cannot compare lists of lists of different lengths
        return False


def _plain(value: Any) -> Any:
    """A parameter as JSON types: what ASE writes into .traj, .json and .db files."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, FileModel):
        return value.path
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, Calculator):  # a part of a sum, which its owner may change later
        part = copy.copy(value)
        part.reset()
        part._last = None
        return part
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return value.copy()  # that of the caller may change, and has to differ from this one then
    return value.item() if isinstance(value, np.generic) else value
