"""Arguments of public functions: one place that takes them, or says which one is wrong, its value, and what was expected.

NumPy converts almost anything without a word: ``bool("F")`` is true, ``float("3.0")`` a number, and complex numbers lose their
imaginary parts. Here nothing is guessed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "arrays",
    "atomic_numbers",
    "calculator",
    "cell",
    "directions",
    "double_only",
    "finite",
    "flag",
    "indices",
    "is_single",
    "is_structure",
    "not_negative",
    "number",
    "numbers",
    "paired",
    "positions",
    "positive",
    "precision",
    "several",
    "shown",
    "structure",
    "structures",
    "threads",
    "whole",
]

_FLOAT, _INTEGER, _BOOL = np.dtype(np.float64), np.dtype(np.int64), np.dtype(np.bool_)
_LARGEST = float(np.finfo(np.float64).max)
_LONGEST = 60  # characters of a value in a message


def shown(value: object) -> str:
    """The value as a message has it."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _scalar(value: Any) -> Any:
    """A number of Python for an array without dimensions; anything else as it is."""
    if isinstance(value, np.ndarray) and value.ndim == 0 and not np.ma.isMaskedArray(value):
        return value[()]
    return value


def is_single(x: Any) -> bool:
    """Whether it is no sequence: a number, a text, an array without dimensions."""
    if isinstance(x, (str, bytes)):
        return True
    return not hasattr(x, "__len__") or getattr(x, "ndim", 1) == 0


def _is_real(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, (bool, np.timedelta64))


def number(
    name: str,
    value: Any,
    expected: str = "finite number",
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    of: str = "",
) -> float:
    """A real, finite number.

    Parameters
    ----------
    name : str
        Of the argument, for the message.
    value
        An int, a float or NumPy's: no text, no bool, nothing complex.
    expected : str
        What the message says.
    above, least : float
        Bounds that the number has to exceed, or to reach.
    of : str
        Whose it is, behind the value in the message, such as " for Ar-Kr".

    Raises
    ------
    ValueError
        Anything else.
    """
    value = _scalar(value)
    if _is_real(value):
        try:
            x = float(value)
        except OverflowError:
            x = math.inf
        if math.isfinite(x) and x > above and x >= least:
            return x
    raise ValueError(f"{name}: {shown(value)}{of}; expected a {expected}")


def positive(name: str, value: Any, of: str = "") -> float:
    """A finite number above zero; ValueError otherwise."""
    return number(name, value, "positive finite number", above=0.0, of=of)


def not_negative(name: str, value: Any, of: str = "", unit: str = "") -> float:
    """A finite number from zero on; ValueError otherwise."""
    expected = f"finite number >= 0 ({unit})" if unit else "finite number >= 0"
    return number(name, value, expected, least=0.0, of=of)


def whole(name: str, value: Any, least: int = 0, most: int = 2**62) -> int:
    """An integer from `least` to `most`; ValueError otherwise."""
    value = _scalar(value)
    if isinstance(value, (int, np.integer)) and _is_real(value) and least <= value <= most:
        return int(value)
    bounds = f">= {least}" if most >= 2**62 else f"from {least} to {most}"
    raise ValueError(f"{name}: {shown(value)}; expected an integer {bounds}")


def flag(name: str, value: Any) -> bool:
    """True or False, also as 0 and 1; ValueError for anything else, such as words, which Python takes for true."""
    value = _scalar(value)
    if isinstance(value, (bool, np.bool_)) or (_is_real(value) and value in (0, 1)):
        return bool(value)
    raise ValueError(f"{name}: {shown(value)}; expected True or False")


def directions(name: str, value: Any, *, one_for_all: bool = False) -> NDArray[np.bool_]:
    """Which of the three cell vectors, (3,) bool, from bools or 0 and 1; ValueError for anything else.

    With `one_for_all` a single value serves all three.
    """
    if type(value) is np.ndarray and value.dtype is _BOOL and value.shape == (3,):
        return np.ascontiguousarray(value)
    each = _scalar(value)
    if one_for_all and not isinstance(each, Iterable):
        each = (each, each, each)
    try:
        found = np.array([flag(name, x) for x in each])
    except (TypeError, ValueError):
        found = np.zeros(0, dtype=bool)
    if len(found) != 3:
        one = ", or one for all" if one_for_all else ""
        raise ValueError(f"{name}: {shown(value)}; expected three of True and False{one}")
    return found


def _listed(x: Any) -> Any:
    """An iterable that is no sequence as a list."""
    return x if hasattr(x, "__len__") or not isinstance(x, Iterable) else list(x)


def numbers(name: str, x: Any, expected: str = "real numbers") -> NDArray[np.float64]:
    """A C-contiguous float64 array of real numbers, whatever its shape; finite or not.

    Raises
    ------
    ValueError
        Text, bools, complex numbers, dates, masked entries, rows of different lengths.
    """
    if type(x) is np.ndarray and x.dtype is _FLOAT and x.flags.c_contiguous:
        return x
    return np.ascontiguousarray(_real(name, x, expected), dtype=np.float64)


def _real(name: str, x: Any, expected: str) -> NDArray[Any]:
    """An array of integers or floats, by what stands in it."""
    if np.ma.is_masked(x):
        raise ValueError(f"{name}: has masked entries; expected {expected}, all of them given")
    try:
        array = np.asarray(_listed(x))
    except ValueError:  # rows of different lengths
        raise ValueError(f"{name}: {shown(x)}; expected an array of {expected}") from None
    if array.size == 0:
        return np.zeros(array.shape)
    if array.dtype.kind == "O":  # numbers of other kinds, such as fractions, one by one
        for v in array.flat:
            if not (_is_real(v) and abs(v) <= _LARGEST):
                raise ValueError(f"{name}: has {shown(v)}; expected {expected}")
        array = array.astype(np.float64)
    if array.dtype.kind not in "iuf":
        first = array.reshape(-1)[0]
        kind = array.dtype.name if array.dtype.names is None else str(array.dtype)
        raise ValueError(
            f"{name}: of type {kind} such as {shown(first.item())}; expected {expected}"
        )
    return array


def finite(name: str, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same array; ValueError names the first entry that is not finite."""
    good = np.isfinite(x)
    if not good.all():
        at = np.unravel_index(int(np.argmin(good)), x.shape)
        where = ", ".join(str(k) for k in at)
        raise ValueError(f"{name}[{where}] is {x[at]}; expected finite numbers")
    return x


def positions(x: Any, name: str = "positions") -> NDArray[np.float64]:
    """(n, 3) in float64; ValueError for anything else. Whether they are finite the core finds out."""
    array = numbers(name, x)
    if array.shape == (0,):
        return array.reshape(0, 3)
    return _shaped(name, array, "n")


def cell(x: Any, name: str = "cell") -> NDArray[np.float64]:
    """Cell vectors as rows, (3, 3) in float64, also from the three lengths of an orthorhombic one; ValueError for anything else."""
    array = numbers(name, getattr(x, "array", x))  # of an ase.cell.Cell
    return _shaped(name, np.diag(array).copy() if array.shape == (3,) else array, "3")


def _shaped(name: str, array: NDArray[np.float64], rows: str) -> NDArray[np.float64]:
    if array.ndim != 2 or array.shape[1] != 3 or (rows == "3" and len(array) != 3):
        shape = ", ".join(map(str, array.shape))
        raise ValueError(f"{name}: shape ({shape}); expected ({rows}, 3)")
    return array


def atomic_numbers(x: Any, name: str = "numbers") -> NDArray[np.int64]:
    """(n,) int64; ValueError for anything that is no integer."""
    if type(x) is np.ndarray and x.dtype is _INTEGER and x.ndim == 1 and x.flags.c_contiguous:
        return x
    array = _real(name, x, "atomic numbers")
    if array.ndim != 1:
        raise ValueError(f"{name}: shape {array.shape}; expected one atomic number per atom, (n,)")
    out = np.zeros(array.shape, dtype=np.int64)
    with np.errstate(invalid="ignore"):
        out[...] = array
    if not np.array_equal(out, array):
        bad = array[out != array][0]
        raise ValueError(f"{name}: has {bad}; expected atomic numbers")
    return out


def indices(name: str, x: Any, n: int, least: int = 0) -> NDArray[np.int64]:
    """Indices of atoms from `least` to ``n - 1``, (k,); ValueError for anything else."""
    try:
        array = np.asarray(_listed(x))
    except ValueError:  # rows of different lengths
        array = np.zeros((0, 0))
    if is_single(x) or array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(f"{name}: {shown(x)}; expected a list of indices of atoms")
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    bad = (array < least) | (array >= n)
    if bad.any():
        raise ValueError(f"{name}: {array[bad][0]}; expected atoms from {least} to {n - 1}")
    return array.astype(np.int64)


def is_structure(x: Any) -> bool:
    """Whether it has what is read of ``ase.Atoms``."""
    return all(hasattr(x, name) for name in ("positions", "numbers", "cell", "pbc"))


def structure(name: str, x: Any) -> Any:
    """The same atoms; TypeError where it is something else."""
    if is_structure(x):
        return x
    hint = "" if not isinstance(x, str) else ": read the file with ase.io.read"
    raise TypeError(f"{name}: {shown(x)}; expected an ase.Atoms{hint}")


def calculator(x: Any) -> Any:
    """The same calculator; TypeError where it is something else, such as a class of them."""
    if isinstance(x, type) or not hasattr(x, "implemented_properties"):
        msg = f"calculator: {shown(x)}; expected one of mdkern.calculators, or any of ASE's"
        raise TypeError(msg)
    return x


def structures(name: str, x: Any, *, same: bool = False) -> list[Any]:
    """A list of atoms; TypeError where it is one structure, a name, or has something else among them.

    Those of an iterator are copied, as it may yield the same atoms again, moved; with `same` they are what it yields.
    """
    copies = not (same or hasattr(x, "__len__"))
    each = (structure(f"{name}[{k}]", a) for k, a in enumerate(several(name, x)))
    return [a.copy() for a in each] if copies else list(each)


def paired(name: str, x: Any, other_name: str, other: Any) -> list[tuple[Any, Any]]:
    """Each of a list of structures with its own entry of another list, or None; ValueError where these do not fit."""
    many = structures(name, x)
    if other is None:
        return [(a, None) for a in many]
    if is_single(other):
        raise ValueError(f"{other_name}: {shown(other)}; expected a list for each structure")
    each = list(other)
    if len(each) != len(many):
        raise ValueError(
            f"{other_name}: {len(each)} entries for {len(many)} structures; expected a list for each structure"
        )
    for k, own in enumerate(each):
        if own is not None and is_single(own):
            raise ValueError(f"{other_name}[{k}]: {shown(own)}; expected a list for each structure")
    return list(zip(many, each, strict=True))


def several(name: str, x: Any) -> Iterable[Any]:
    """The same iterable, of which each item has still to be looked at; TypeError for one structure, text, and what has no items."""
    if is_structure(x):
        raise TypeError(f"{name}: one Atoms; expected a list of them: [atoms]")
    if isinstance(x, (str, bytes)) or not isinstance(x, Iterable):
        hint = ": read the file with ase.io.read" if isinstance(x, str) else ""
        raise TypeError(f"{name}: {shown(x)}; expected a list of ase.Atoms{hint}")
    return x


def arrays(atoms: Any) -> tuple[Any, Any, Any, Any]:
    """Positions, atomic numbers, cell and periodic directions as the core takes them."""
    try:
        own = atoms.arrays
    except AttributeError:
        structure("atoms", atoms)
        raise
    return (
        numbers("positions", own["positions"]),
        atomic_numbers(own["numbers"]),
        numbers("cell", atoms.cell.array),
        directions("pbc", atoms.pbc),
    )


def elements(value: Any) -> tuple[str, ...]:
    """Names of elements, each once and at least one; ValueError otherwise."""
    names = list(value) if isinstance(value, (list, tuple, np.ndarray)) else []
    if not names or not all(isinstance(x, str) for x in names) or len(set(names)) != len(names):
        raise ValueError(f"elements: {shown(value)}; expected a list of different chemical symbols")
    return tuple(str(x) for x in names)


def threads(value: object) -> int:
    """Threads of one call for the core: 0 stands for the package's setting."""
    return 0 if value is None else whole("threads", value, 1)


def double_only(name: str, value: str) -> None:
    """The precision of a potential, `name`, that has no choice to offer; ValueError for others."""
    if value != "double":
        raise ValueError(f"precision: {value!r}; {name} is offered in 'double' only")


def precision(value: str) -> str:
    """The precision of a kernel's inner loops, where there is a choice."""
    if value not in ("double", "single"):
        raise ValueError(f"precision: {value!r}; expected 'double' or 'single'")
    return value
