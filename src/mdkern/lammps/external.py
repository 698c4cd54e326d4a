"""A calculator inside a running LAMMPS, by ``fix external``: nothing to compile."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mdkern import _core, checks, get_num_threads
from mdkern.errors import UnsupportedError
from mdkern.lammps.elements import elements_of
from mdkern.lammps.halo import Halo, RankError, Ranks, abort
from mdkern.lammps.rows import RowModel, RowResult

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Coupling", "attach"]

# mdkern's order xx, yy, zz, yz, xz, xy in LAMMPS's xx, yy, zz, xy, xz, yz.
_TO_LAMMPS = [0, 1, 2, 5, 4, 3]

Array = NDArray[np.float64]


def attach(
    lmp: Any,
    calculator: Any,
    types: Sequence[str | None] | None = None,
    *,
    fix_id: str = "mdkern",
    threads: int | None = None,
    lammps_skin: float = 2.0,
) -> Coupling:
    """Add a calculator's energy and forces to a LAMMPS instance, on any number of MPI processes.

    It makes a ``fix external`` with energy and virial switched on, so that thermodynamic output, ``compute pe/atom`` and ``compute stress/atom``,
    barostats and ``minimize`` have them. Where no pair style is set, it sets ``pair_style zero`` with the potential's cutoff; one that is set stays, and what
    it computes is added.

    Parameters
    ----------
    lmp : lammps.lammps
        After its box has been made. All processes of its communicator call `attach` together.
    calculator : mdkern.calculators.Calculator
        Any whose potential can be exported. Its ``skin`` is that of mdkern's own list between the steps in which LAMMPS makes a new one.
    types : sequence of (str or None), optional
        Chemical symbol of each LAMMPS type, in their order; atoms of a type with None take no part. By default from ``labelmap``, else from the masses.
    fix_id : str
        Of the fix; a second calculator needs another one.
    threads : int, optional
        Of each process. By default the calculator's, and 1 where there are several processes and the calculator has none set.
    lammps_skin : float
        Angstrom, at least that of LAMMPS's ``neighbor`` command. Only where another pair style is set: ghosts are then asked for by
        ``comm_modify cutoff`` within the potential's cutoff and this.

    Returns
    -------
    Coupling
        To detach it again. As a context manager it does so at the end, and gives errors of the evaluation as what they are.

    Raises
    ------
    TypeError
        `calculator` is none of mdkern's.
    ValueError
        `types` that do not fit, or that do not follow from labels and masses; a `fix_id` that is in use.
    UnsupportedError
        Other units than metal; a LAMMPS that is too old; a potential that the compiled core does not evaluate, or not in parts.
    """
    return Coupling(lmp, calculator, types, fix_id, threads, lammps_skin)


class Coupling:
    """A calculator in a LAMMPS instance: see :func:`attach`, which makes it.

    Attributes
    ----------
    fix_id : str
    elements : tuple of (str or None)
        Chemical symbol of each LAMMPS type.
    error : BaseException or None
        Why the last evaluation failed; LAMMPS stops then, in all processes.
    n_builds : int
        How often this process made its neighbor list.
    """

    def __init__(
        self,
        lmp: Any,
        calculator: Any,
        types: Sequence[str | None] | None,
        fix_id: str,
        threads: int | None,
        lammps_skin: float,
    ) -> None:
        self._lmp, self.fix_id = lmp, fix_id
        _check_lammps(lmp, fix_id)
        self._ranks = Ranks(_communicator(lmp))
        try:
            self._threads = _threads(threads, calculator, self._ranks.size)
            self._lammps_skin = checks.not_negative("lammps_skin", lammps_skin, unit="Angstrom")
            self._model = RowModel(calculator)
            self._skin = float(calculator.parameters["skin"])
            self.elements, self._kind_of_type = elements_of(lmp, calculator, types)
        except BaseException as e:
            self._ranks.fail(e)
            raise
        self._ranks.agree()
        self.error: BaseException | None = None
        self.n_builds = 0
        self._rows: Any = None  # which of LAMMPS's rows take part; None: all
        self._halo: Halo | None = None
        self._own_zero = False  # LAMMPS's pair style is one that a coupling has set
        self._ask_for_ghosts()
        self._start()

    # --- LAMMPS's side
    def _ask_for_ghosts(self) -> None:
        lmp, cutoff = self._lmp, self._model.cutoff
        others = [c for c in _couplings(lmp) if lmp.has_id("fix", c.fix_id)]
        style = lmp.extract_global("pair_style")
        self._own_zero = style == "none" or (style == "zero" and any(c._own_zero for c in others))
        if self._own_zero:
            widest = max([cutoff, *(c._model.cutoff for c in others)])
            lmp.commands_list([f"pair_style zero {widest!r} nocoeff", "pair_coeff * *"])
        else:
            widest = max(c._model.cutoff + c._lammps_skin for c in [self, *others])
            lmp.command(f"comm_modify cutoff {widest!r}")
        _couplings(lmp)[:] = [*others, self]

    def _start(self) -> None:
        name = self.fix_id
        self._lmp.commands_list(
            [
                f"fix {name} all external pf/callback 1 1",
                f"fix_modify {name} energy yes virial yes",
                f"variable {name}_failed internal 0",
                f"fix {name}_failed all halt 1 v_{name}_failed > 0 error hard",
            ]
        )
        self._lmp.set_fix_external_callback(name, self._callback, None)

    def detach(self) -> None:
        """Take the calculator out of LAMMPS. All processes call it together; once is enough."""
        lmp, name = self._lmp, self.fix_id
        if lmp.lmp is None or self not in _couplings(lmp):  # closed, or detached already
            return
        _couplings(lmp).remove(self)
        if lmp.has_id("fix", name):
            lmp.commands_list(
                [f"unfix {name}_failed", f"variable {name}_failed delete", f"unfix {name}"]
            )
        lmp.callback.pop(name, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        error = self.error
        try:
            self.detach()
        finally:
            if raised is not None and error is not None:
                raise error from raised

    # --- one evaluation
    def _callback(
        self, _caller: Any, step: int, n_local: int, _tags: Any, _x: Any, f: Array
    ) -> None:
        """What LAMMPS calls in every step. Nothing may leave it: ctypes would only print the exception, and LAMMPS go on."""
        f[:] = 0.0
        lmp = self._lmp
        if lmp.lib.lammps_has_error(lmp.lmp):
            return  # in all processes, as LAMMPS is about to stop
        try:
            try:
                result, totals, home = self._evaluate(step, n_local)
            except RankError as e:
                self._stop(e)
                return
            except BaseException as e:  # noqa: BLE001
                self._stop(self._ranks.fail(e))
                return
            self._give(result, totals, home, n_local, f)
            if self.error is not None:  # of an earlier run
                self.error = None
                lmp.set_internal_variable(f"{self.fix_id}_failed", 0.0)
        except BaseException as e:  # noqa: BLE001
            # Not at an agreement, so that the others cannot be told.
            if self._ranks.comm is None:
                self._stop(e)
                return
            abort(self._ranks.comm)

    def _evaluate(self, step: int, n_local: int) -> tuple[RowResult, Array, Array]:
        """Result, sums of (energy, virial) over processes, and forces (and virials) of own atoms that take part."""
        lmp = self._lmp
        n_all = n_local + lmp.extract_setting("nghost")
        x = _per_atom(lmp, "x", n_all)
        types = _per_atom(lmp, "type", n_all)
        changed = new = lmp.extract_setting("neigh_ago") == 0 or self._halo is None
        if new:
            self._take_rows(n_local, types)
        elif not np.array_equal(types, self._types):
            self._change_types(types)
            changed = True
        if self._rows is not None:
            x = np.ascontiguousarray(x[self._rows])
        if new:
            self._ranks.agree()
            self._halo = Halo(self._ranks, self._tags[: self._n_own], self._tags[self._n_own :])
            if self._halo.error is not None:
                raise self._halo.error
            self._x_of_lammps = x.copy()
        elif not self._own_zero and _moved(x, self._x_of_lammps, self._lammps_skin):
            raise RuntimeError(f"lammps_skin: {self._lammps_skin}; atoms moved by more than half of it between two lists of LAMMPS, whose skin is larger")  # fmt: skip
        if new or _moved(x, self._x_of_list, self._skin):
            self._build(x)
            changed = True
        want_virials = lmp.extract_global("vflag_atom") == step
        result = self._model.compute(
            x,
            self._kinds,
            self._first,
            self._index,
            changed=changed,
            threads=self._threads,
            forward=self._forward,
            reverse=self._reverse,
            total=None if self._ranks.comm is None else self._add_up,
            box=_box(lmp) if self._model.long_range else None,
            virials=want_virials,
        )
        totals = self._ranks.agree(np.array([result.energy, *result.virial]))
        assert self._halo is not None
        rows = result.forces
        if result.virials is not None:
            rows = np.hstack([rows, result.virials])
        return result, totals, self._halo.reverse(rows)

    def _take_rows(self, n_local: int, types: NDArray[np.int32]) -> None:
        """What belongs to LAMMPS's list: who takes part, and as what."""
        lmp = self._lmp
        if lmp.extract_global("respa_levels"):  # None with verlet
            raise UnsupportedError(
                "run_style respa; expected verlet, as respa calls no fix external"
            )
        tags = _per_atom(lmp, "id", len(types)).astype(np.int64)
        if tags.min(initial=1) < 1:
            raise UnsupportedError("atom_modify id no; expected atoms with tags")
        kinds = self._kind_of_type[types]
        self._types, self._n_own, self._rows = types.copy(), n_local, None
        if (kinds < 0).any():
            self._rows = np.flatnonzero(kinds >= 0)
            self._n_own = int(np.searchsorted(self._rows, n_local))
            kinds, tags = kinds[self._rows], tags[self._rows]
        self._kinds, self._tags = np.ascontiguousarray(kinds), tags

    def _change_types(self, types: NDArray[np.int32]) -> None:
        """Between two lists of LAMMPS, as in Monte Carlo moves."""
        if len(types) != len(self._types):
            raise RuntimeError(f"{len(types)} atoms and ghosts; expected the {len(self._types)} of LAMMPS's last list")  # fmt: skip
        kinds = self._kind_of_type[types]
        if ((kinds < 0) != (self._kind_of_type[self._types] < 0)).any():
            raise UnsupportedError("types of atoms changed to or from one without an element between two lists of LAMMPS")  # fmt: skip
        self._types = types.copy()
        self._kinds = kinds if self._rows is None else kinds[self._rows]

    def _build(self, x: Array) -> None:
        """Neighbors of own atoms among all rows, which have no periodic images: LAMMPS's ghosts are these."""
        table = _core.NeighborTable(self._model.cutoff + self._skin, 0.0)
        table.update(x, np.zeros((3, 3)), np.zeros(3, dtype=bool), self._kinds, self._threads)
        first, index = table.arrays("j", self._threads)
        self._first = np.ascontiguousarray(first[: self._n_own + 1])
        self._index = index[: self._first[-1]].astype(np.int32)
        self._x_of_list = x.copy()
        self.n_builds += 1

    def _forward(self, values: Array) -> None:
        self._ranks.agree()
        assert self._halo is not None
        self._halo.forward(values)

    def _reverse(self, values: Array) -> None:
        self._ranks.agree()
        assert self._halo is not None
        values[: self._n_own] = self._halo.reverse(values)

    def _add_up(self, values: Array) -> None:
        self._ranks.agree()
        self._ranks.add_up(values)

    def _give(self, result: RowResult, totals: Array, home: Array, n_local: int, f: Array) -> None:
        """Hand LAMMPS the results."""
        lmp, name = self._lmp, self.fix_id
        own = slice(n_local) if self._rows is None else self._rows[: self._n_own]
        f[own] = home[:, :3]
        lmp.fix_external_set_energy_global(name, float(totals[0]))
        lmp.fix_external_set_virial_global(name, totals[1:][_TO_LAMMPS].tolist())
        if n_local == 0:
            return
        energies = np.zeros(n_local)
        energies[own] = result.energies
        lmp.numpy.fix_external_set_energy_peratom(name, energies)
        if result.virials is not None:
            virials = np.zeros((n_local, 6))
            virials[own] = home[:, 3:][:, _TO_LAMMPS]
            lmp.numpy.fix_external_set_virial_peratom(name, virials)

    def _stop(self, error: BaseException) -> None:
        """Make LAMMPS stop with an error, in all processes: no result of this evaluation is one."""
        lmp, name = self._lmp, self.fix_id
        self.error = error
        self._halo = None
        lmp.fix_external_set_energy_global(name, float("nan"))
        # LAMMPS has no call that raises an error without ending the program. Its text for a fix that is not there goes on
        # with "does not exist".
        text = f"{name}: {type(error).__name__}: {error}; a result"
        # In a step the fix halt raises LAMMPS's error; before the first, where it does not look, one that LAMMPS
        # keeps until its present command ends.
        lmp.set_internal_variable(f"{name}_failed", 1.0)
        lmp.lib.lammps_error(lmp.lmp, 0, f"fix {text} does not exist".encode())
        lmp.lib.lammps_fix_external_set_vector_length(lmp.lmp, text.encode(), 1)


def _couplings(lmp: Any) -> list[Coupling]:
    """Those of a LAMMPS instance; cleared boxes take their fixes with them, so that some may be gone."""
    found: list[Coupling] = vars(lmp).setdefault("mdkern_couplings", [])
    return found


def _moved(x: Array, before: Array, skin: float) -> bool:
    """Whether two atoms may have come closer by more than the skin."""
    step = x - before
    return bool(4.0 * np.einsum("ij,ij->i", step, step).max(initial=0.0) > skin * skin)


def _per_atom(lmp: Any, name: str, n: int) -> Any:
    """LAMMPS's array of own atoms and ghosts; a process without any has none."""
    if n == 0:
        return np.zeros((0, 3)) if name == "x" else np.zeros(0, dtype=np.int32)
    return lmp.numpy.extract_atom(name, nelem=n)


def _check_lammps(lmp: Any, fix_id: str) -> None:
    if not all(hasattr(lmp, name) for name in ("set_fix_external_callback", "extract_setting")):
        raise TypeError(f"lmp: {checks.shown(lmp)}; expected a lammps.lammps")
    if lmp.extract_global_datatype("vflag_atom") in (None, -1):
        raise UnsupportedError(f"lmp: LAMMPS of {lmp.version()}; expected 20250722 or later")
    if lmp.extract_global("units") != "metal":
        raise UnsupportedError(
            f"units {lmp.extract_global('units')}; expected metal, as mdkern has Angstrom and eV"
        )
    if lmp.extract_setting("box_exist") != 1:
        raise ValueError(
            "lmp: no box; expected one, as create_box, read_data and read_restart make it"
        )
    if not re.fullmatch(r"\w+", fix_id, re.ASCII):
        raise ValueError(f"fix_id: {fix_id!r}; expected letters, digits and underscores")
    for name in (fix_id, f"{fix_id}_failed"):
        if lmp.has_id("fix", name):
            raise ValueError(f"fix_id: {fix_id!r}; LAMMPS has a fix {name} already")


def _box(lmp: Any) -> tuple[Array, NDArray[np.int32]]:
    """Cell and periodicity of LAMMPS's present box."""
    low, high, xy, yz, xz, periodic, _ = lmp.extract_box()
    sides = np.subtract(high, low)
    cell = np.array([[sides[0], 0.0, 0.0], [xy, sides[1], 0.0], [xz, yz, sides[2]]])
    return cell, np.array(periodic, dtype=np.int32)


def _communicator(lmp: Any) -> Any:
    if lmp.extract_setting("world_size") == 1:
        return None
    comm = lmp.get_mpi_comm()
    if comm is None:
        raise UnsupportedError("LAMMPS runs on several processes; expected mpi4py beside it")
    return comm


def _threads(threads: int | None, calculator: Any, n_processes: int) -> int:
    n = checks.threads(threads) or getattr(calculator, "n_threads", 0)
    return int(n) or (1 if n_processes > 1 else get_num_threads())
