"""A potential on rows and a list of a parallel code: the C interface (``mdkern.h``) from Python."""

from __future__ import annotations

import ctypes
import os
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdkern import checks
from mdkern._library import get_library
from mdkern.calculators.base import AtomsError, NonFiniteError, is_native
from mdkern.errors import InUseError, MDKernError, UnsupportedError
from mdkern.potentials.base import warn_of

__all__ = ["RowModel", "RowResult"]

_API_VERSION = 3
_ERRORS: dict[int, type[Exception]] = {
    1: AtomsError,
    4: MemoryError,
    5: NonFiniteError,
    8: InUseError,
}

Array = NDArray[np.float64]
Change = Callable[[Array], None]
Box = tuple[Array, NDArray[np.int32]]


class _Atoms(ctypes.Structure):
    _fields_ = (
        ("n_own", ctypes.c_int64),
        ("n_all", ctypes.c_int64),
        ("x", ctypes.c_void_p),
        ("type", ctypes.c_void_p),
        ("cell", ctypes.c_void_p),
        ("pbc", ctypes.c_void_p),
    )


class _List(ctypes.Structure):
    _fields_ = (
        ("first", ctypes.c_void_p),
        ("index", ctypes.c_void_p),
        ("ilist", ctypes.c_void_p),
        ("numneigh", ctypes.c_void_p),
        ("firstneigh", ctypes.c_void_p),
        ("mask", ctypes.c_int32),
        ("changed", ctypes.c_int),
        ("half", ctypes.c_int),
    )


# Of forward and of reverse.
_EXCHANGE = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_double), ctypes.c_int, ctypes.c_int
)


_SUM = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_double), ctypes.c_int64
)


class _Exchange(ctypes.Structure):
    _fields_ = (
        ("forward", _EXCHANGE),
        ("reverse", _EXCHANGE),
        ("sum", _SUM),
        ("user", ctypes.c_void_p),
    )


class _Results(ctypes.Structure):
    _fields_ = (
        ("energy", ctypes.c_double),
        ("virial", ctypes.c_double * 6),
        ("energies", ctypes.c_void_p),
        ("forces", ctypes.c_void_p),
        ("virials", ctypes.c_void_p),
        ("charges", ctypes.c_void_p),
        ("overflow", ctypes.c_int),
        ("forces_alone", ctypes.c_int),
    )


@dataclass(frozen=True, slots=True)
class RowResult:
    """What own rows give; virials are ``-dE/d(strain)`` in eV, Voigt order xx, yy, zz, yz, xz, xy.

    ``energy`` in eV and ``virial`` (6,) are sums over own rows; ``energies`` (n_own,); ``forces`` (n_all, 3) in eV/Angstrom and ``virials``
    (n_all, 6) have on ghosts what own rows put there.
    """

    energy: float
    virial: Array
    energies: Array
    forces: Array
    virials: Array | None


class RowModel:
    """A calculator's potential, evaluated on own rows and ghosts with a full list. One thread at a time.

    Parameters
    ----------
    calculator : mdkern.calculators.Calculator

    Attributes
    ----------
    cutoff : float
        Angstrom.
    exchanges : int
        How often an evaluation exchanges values of ghosts, either way.
    long_range : bool
        Whether it has charges, and needs a box and sums over processes.

    Raises
    ------
    TypeError
        It is no calculator of mdkern.
    UnsupportedError
        The compiled core does not evaluate its potential, or not in parts of a system.
    """

    def __init__(self, calculator: Any) -> None:
        if not is_native(calculator):
            msg = f"calculator: {checks.shown(calculator)}; expected one of mdkern.calculators"
            raise TypeError(msg)
        self._potential = calculator.potential
        if not hasattr(self._potential, "export"):
            msg = f"calculator: {type(calculator).__name__} has no model file; expected a potential that mdkern export writes"
            raise UnsupportedError(msg)
        lib = _library()
        model, space = ctypes.c_void_p(), ctypes.c_void_p()
        with tempfile.TemporaryDirectory(prefix="mdkern-") as folder:
            path = os.path.join(folder, "model.mdk")  # noqa: PTH118
            self._potential.export(path)
            _check(lib, lib.mdkern_model_open(os.fsencode(path), ctypes.byref(model)))
        self._lib, self._model, self._space = lib, model, space
        weakref.finalize(self, _destroy, lib, model, space)
        _check(lib, lib.mdkern_workspace_create(model, ctypes.byref(space)))
        self.cutoff = float(lib.mdkern_model_cutoff(model))
        self.exchanges = int(lib.mdkern_model_exchanges(model))
        self.long_range = bool(lib.mdkern_model_long_range(model))
        # One atom alone: what the potential cannot do in parts of a system shows now.
        one = np.zeros(1, dtype=np.int32)
        none = np.zeros(2, dtype=np.int64)
        try:
            box = (np.eye(3) * (1.0 + self.cutoff), np.ones(3, dtype=np.int32))
            self.compute(np.zeros((1, 3)), one, none, one, changed=True, threads=1, box=box)
        except AtomsError as e:
            raise UnsupportedError(f"calculator: {type(calculator).__name__}: {e}") from None

    def compute(
        self,
        x: Array,
        kinds: NDArray[np.int32],
        first: NDArray[np.int64],
        index: NDArray[np.int32],
        *,
        changed: bool,
        threads: int,
        forward: Change | None = None,
        reverse: Change | None = None,
        total: Change | None = None,
        box: Box | None = None,
        virials: bool = False,
    ) -> RowResult:
        """Evaluate the own rows, which are the first ``len(first) - 1``.

        Parameters
        ----------
        x : (n_all, 3) array
            Positions in Angstrom, C-contiguous.
        kinds : (n_all,) array
            Species numbers.
        first, index : (n_own + 1,), (n_pairs,) arrays
            Neighbors of row i are ``index[first[i]:first[i + 1]]``: all within the cutoff, and perhaps more.
        changed : bool
            Whether anything but `x` is other than in the last call.
        threads : int
            At least 1.
        forward : callable
            Called with a view (n_all, width) of values, to give ghosts those of their atoms; what it raises is raised here.
        reverse : callable
            Called with a view (n_all, width) of values, to add to own rows those of the ghosts that stand for them; what it raises is raised here.
        total : callable
            Called with an array (n,), to give it the sums over all processes; None: there is one. For models with charges.
        box : (3, 3) array of the cell's vectors as rows, (3,) array of periodic or not
            For models with charges.
        virials : bool
            Whether virials of atoms are wanted.

        Raises
        ------
        AtomsError
            Atoms that the potential cannot treat.
        NonFiniteError
            The energy or a force is not finite.
        """
        n_all, n_own = len(x), len(first) - 1
        energies, forces = np.empty(n_own), np.empty((n_all, 3))
        of_atoms = np.empty((n_all, 6)) if virials else None
        raised: list[BaseException] = []

        def calling(change: Change | None) -> Any:
            def call(_: Any, values: Any, width: int, stride: int) -> int:
                try:
                    if change is not None and n_all > 0:
                        flat = np.ctypeslib.as_array(values, (stride * (n_all - 1) + width,))
                        rows = np.lib.stride_tricks.as_strided(
                            flat, (n_all, width), (8 * stride, 8)
                        )
                        change(rows)
                    elif change is not None:
                        change(np.empty((0, width)))
                except BaseException as e:  # noqa: BLE001 - it must not get lost in the C code in between
                    raised.append(e)
                    return 1
                return 0

            return _EXCHANGE(call)

        def add_up(_: Any, values: Any, n: int) -> int:
            try:
                if total is not None:
                    total(np.ctypeslib.as_array(values, (n,)))
            except BaseException as e:  # noqa: BLE001
                raised.append(e)
                return 1
            return 0

        exchange = _Exchange(calling(forward), calling(reverse), _SUM(add_up), None)
        cell, pbc = (None, None) if box is None else (a.ctypes.data for a in box)
        results = _Results(0.0, (ctypes.c_double * 6)(), energies.ctypes.data, forces.ctypes.data,
                           None if of_atoms is None else of_atoms.ctypes.data, None, 0, 0)  # fmt: skip
        status = self._lib.mdkern_compute(
            self._model,
            self._space,
            ctypes.byref(_Atoms(n_own, n_all, x.ctypes.data, kinds.ctypes.data, cell, pbc)),
            ctypes.byref(
                _List(first.ctypes.data, index.ctypes.data, None, None, None, 0, int(changed), 0)
            ),
            ctypes.byref(exchange),
            threads,
            ctypes.byref(results),
        )
        if raised:
            raise raised[0]
        _check(self._lib, status)
        warn_of(self._potential, bool(results.overflow))
        return RowResult(results.energy, np.array(results.virial[:]), energies, forces, of_atoms)


def _library() -> Any:
    lib = ctypes.CDLL(get_library())
    lib.mdkern_error_message.restype = ctypes.c_char_p
    lib.mdkern_model_cutoff.restype = ctypes.c_double
    if lib.mdkern_api_version() != _API_VERSION:
        msg = f"{get_library()}: version {lib.mdkern_api_version()} of the C interface; expected {_API_VERSION}"
        raise MDKernError(msg)
    return lib


def _check(lib: Any, status: int) -> None:
    if status != 0:
        raise _ERRORS.get(status, MDKernError)(lib.mdkern_error_message().decode())


def _destroy(lib: Any, model: ctypes.c_void_p, space: ctypes.c_void_p) -> None:
    lib.mdkern_workspace_destroy(space)
    lib.mdkern_model_close(model)
