"""Neighbor lists: ASE's meaning and types, several times faster."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from mdkern import _core
from mdkern.errors import InUseError

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import ArrayLike, NDArray

    Cutoff = float | Mapping[tuple[str | int, str | int], float] | ArrayLike

__all__ = ["NeighborList", "neighbor_list", "neighbor_list_batch", "primitive_neighbor_list"]


def neighbor_list(
    quantities: str,
    a: Atoms,
    cutoff: Cutoff,
    self_interaction: bool = False,
    *,
    max_pairs: int | None = None,
    threads: int | None = None,
) -> Any:
    """All pairs of atoms closer than a cutoff: a drop-in for ``ase.neighborlist.neighbor_list``.

    A pair is ``(i, j, S)`` with ``D = r_j - r_i + S @ cell`` and ``d = |D| < cutoff``, strictly; every
    pair appears in both directions, periodic images of one atom included.

    Parameters
    ----------
    quantities : str
        Letters of ``"ijdDS"``: ``i`` and ``j`` int64 (n_pairs,), ``d`` float64 (n_pairs,) in
        Angstrom, ``D`` float64 (n_pairs, 3), ``S`` int64 (n_pairs, 3).
    a : ase.Atoms
        Any mix of periodic directions. Atoms may lie outside the cell.
    cutoff : float, dict or array
        One cutoff for all pairs; ``{("H", "O"): 1.2, (1, 1): ...}`` by symbols or atomic numbers,
        where absent pairs have no neighbors; or one radius per atom, pair cutoff
        ``radius[i] + radius[j]``. In Angstrom.
    self_interaction : bool
        Return every atom as its own neighbor too (``S = 0``, ``d = 0``).
    max_pairs : int, optional
        Refuse longer lists. By default, what fits into the memory that is available.
    threads : int, optional
        Threads of this call; by default :func:`mdkern.get_num_threads`.

    Returns
    -------
    array or tuple of arrays
        In the order asked for; a single array for a single letter. Sorted by ``i``; within one
        ``i`` in an order that depends on the input alone.

    Raises
    ------
    ValueError
        Non-finite positions or cell, dependent periodic cell vectors, negative or non-finite
        cutoff, unknown letters.
    MemoryError
        If the list would not fit; raised before the memory is taken.
    """
    if max_pairs is None and (threads is None or (type(threads) is int and threads > 0)):
        # The usual call, straight to the core: below a hundred atoms every microsecond counts.
        quick = _core.neighbor_list_quick(
            quantities,
            a.arrays["positions"],
            a.cell.array,
            a.pbc,
            cutoff,
            self_interaction,
            threads or 0,
        )
        if quick is not None:
            return quick
    numbers = a.numbers if isinstance(cutoff, Mapping) else None
    return _neighbor_list(
        quantities,
        a.pbc,
        _matrix(a.cell.array, "cell"),
        _matrix(a.positions, "positions"),
        cutoff,
        numbers,
        self_interaction,
        max_pairs,
        threads,
    )


def primitive_neighbor_list(
    quantities: str,
    pbc: ArrayLike,
    cell: ArrayLike,
    positions: ArrayLike,
    cutoff: Cutoff,
    numbers: ArrayLike | None = None,
    self_interaction: bool = False,
    *,
    max_pairs: int | None = None,
    threads: int | None = None,
) -> Any:
    """:func:`neighbor_list` on plain arrays.

    Parameters are those of :func:`neighbor_list`, and: ``pbc`` (3,) bool or one bool, ``cell`` (3, 3) with
    the cell vectors as rows, ``positions`` (n, 3), all in Angstrom; ``numbers`` (n,) atomic numbers, needed with
    a dict of cutoffs.
    """
    pbc_array = np.ascontiguousarray(np.broadcast_to(np.asarray(pbc, dtype=bool), 3))
    return _neighbor_list(
        quantities,
        pbc_array,
        _matrix(cell, "cell"),
        _matrix(positions, "positions"),
        cutoff,
        numbers,
        self_interaction,
        max_pairs,
        threads,
    )


def neighbor_list_batch(
    quantities: str,
    structures: Sequence[Atoms],
    cutoff: Cutoff,
    self_interaction: bool = False,
    *,
    threads: int | None = None,
) -> list[Any]:
    """:func:`neighbor_list` of many structures in one call, threads working on different ones.

    Returns a list with, per structure, what :func:`neighbor_list` returns. With one radius per atom ``cutoff``
    is a sequence of such arrays, one per structure. Errors name the structure.
    """
    structures = list(structures)
    per_atom = not isinstance(cutoff, (Mapping, Real))
    if per_atom and len(cutoff) != len(structures):  # type: ignore[arg-type]
        msg = f"cutoff: {len(cutoff)} arrays of radii for {len(structures)} structures"  # type: ignore[arg-type]
        raise ValueError(msg)
    inputs = []
    for k, a in enumerate(structures):
        rule = cutoff[k] if per_atom else cutoff  # type: ignore[index]
        numbers = a.numbers if isinstance(cutoff, Mapping) else None
        try:
            inputs.append((a.positions, a.cell.array, a.pbc, *_rule(rule, numbers, len(a))))
        except ValueError as e:
            msg = f"structure {k}: {e}"
            raise ValueError(msg) from None
    return _core.neighbor_list_batch(quantities, inputs, bool(self_interaction), _threads(threads))


class NeighborList:
    """A neighbor list that is kept while atoms move.

    Built for ``cutoff + skin`` and kept until a pair could have come within the cutoff unseen, that is until the
    two largest displacements since the build sum to more than the skin (a change of the cell counts too).
    What it returns are the pairs within ``cutoff`` at the present positions, as :func:`neighbor_list` does. Its arrays are
    the caller's: an update makes new ones.

    It holds one structure at a time. A thread that updated it and finds that another one, still running, has updated it since
    gets an :class:`~mdkern.errors.InUseError` instead of that one's pairs.

    Parameters
    ----------
    cutoff : float, dict or array
        As in :func:`neighbor_list`, in Angstrom.
    skin : float
        In Angstrom. 0 rebuilds at every update.
    half : bool
        Each pair once: the direction with ``i < j``, and for ``i == j`` the one whose first non-zero ``S`` is positive.
    self_interaction : bool
        As in :func:`neighbor_list`.

    Examples
    --------
    >>> from ase.build import bulk
    >>> atoms = bulk("Cu", cubic=True)
    >>> nl = NeighborList(3.0, skin=0.5)
    >>> nl.update(atoms)
    True
    >>> nl.n_pairs
    48
    >>> atoms.positions += 0.01
    >>> nl.update(atoms)
    False
    """

    def __init__(
        self,
        cutoff: Cutoff,
        *,
        skin: float = 0.3,
        half: bool = False,
        self_interaction: bool = False,
        threads: int | None = None,
    ) -> None:
        self.cutoff = cutoff
        self.skin = _skin(skin)
        self.half = bool(half)
        self.self_interaction = bool(self_interaction)
        self.threads = threads
        self._builds = 0
        self._start()
        if not isinstance(cutoff, Mapping):
            _rule(cutoff, None, None)  # complain early

    def _start(self) -> None:
        """What belongs to one process: a copy starts empty."""
        self._table: Any = None
        self._rule_key: Any = None
        self._arrays: dict[str, NDArray[Any]] = {}
        self._lock = threading.RLock()
        self._updater: threading.Thread | None = None
        self._of_thread = threading.local()  # whether a thread ever updated it

    def update(self, atoms: Atoms) -> bool:
        """Bring the list up to date. True where it was rebuilt, False where the skin still held."""
        with self._lock:
            self._of_thread.updated = True
            self._updater = threading.current_thread()
            return self._update(atoms)

    def _update(self, atoms: Atoms) -> bool:
        numbers = np.ascontiguousarray(atoms.numbers, dtype=np.int64)
        largest, radii, species, table = _rule(self.cutoff, numbers, len(atoms))
        if species is None:
            species = numbers.astype(np.int32)
        # A dict of cutoffs numbers the species of these atoms: with others the table is another one.
        key = None if table is None else (table.tobytes(), tuple(np.unique(numbers)))
        if self._table is None or (table is not None and key != self._rule_key):
            if self._table is not None:
                self._builds += self._table.n_builds
            self._table = _core.NeighborTable(
                largest,
                self.skin,
                radii=radii,
                table=table,
                self_interaction=self.self_interaction,
                half=self.half,
                exact=True,
            )
            self._rule_key = key
        self._arrays = {}
        positions = np.ascontiguousarray(atoms.positions, dtype=np.float64)
        return bool(
            self._table.update(
                positions, atoms.cell.array, atoms.pbc, species, _threads(self.threads)
            )
        )

    def __getstate__(self) -> dict[str, Any]:
        own = ("_table", "_rule_key", "_arrays", "_lock", "_updater", "_of_thread")
        state = {k: v for k, v in self.__dict__.items() if k not in own}
        return {**state, "_builds": self.n_builds}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._start()
        self.__dict__.update(state)

    def _overtaken(self) -> bool:
        """Whether another thread, still running, has updated it since this one did."""
        last = self._updater
        if last is None or last.ident == threading.get_ident():
            return False
        return getattr(self._of_thread, "updated", False) and last.is_alive()

    def _get(self, name: str) -> NDArray[Any]:
        with self._lock:
            return self._made(name)

    def _made(self, name: str) -> NDArray[Any]:
        if self._overtaken():
            msg = "NeighborList: in use by another thread, which has updated it since this one did; expected one per thread"
            raise InUseError(msg)
        if self._table is None or self._table.n_atoms < 0:
            msg = "NeighborList: empty; call update(atoms) first"
            raise RuntimeError(msg)
        if name not in self._arrays:
            letters = "ijS" if name in ("first", "i", "j", "S") else "dD"
            first, values = self._table.arrays(letters, _threads(self.threads))
            self._arrays["first"] = first
            self._arrays.update(zip(letters, values, strict=True))
        return self._arrays[name]

    def neighbors(self, i: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Neighbors of atom ``i``: their indices (k,) and the offsets ``S`` of their cells (k, 3)."""
        with self._lock:
            first, j, S = (self._made(name) for name in ("first", "j", "S"))
        n = len(first) - 1
        if not -n <= i < n:
            msg = f"i: {i}; expected an atom from 0 to {n - 1}"
            raise IndexError(msg)
        part = slice(first[i % n], first[i % n + 1])
        return j[part], S[part]

    @property
    def first(self) -> NDArray[np.int64]:
        """Where the pairs of each atom begin, (n + 1,)."""
        return self._get("first")

    @property
    def i(self) -> NDArray[np.int64]:
        """First atom of each pair, (n_pairs,)."""
        return self._get("i")

    @property
    def j(self) -> NDArray[np.int64]:
        """Second atom of each pair, (n_pairs,)."""
        return self._get("j")

    @property
    def S(self) -> NDArray[np.int64]:
        """Cell offsets of the second atom, (n_pairs, 3)."""
        return self._get("S")

    @property
    def d(self) -> NDArray[np.float64]:
        """Distances in Angstrom, (n_pairs,)."""
        return self._get("d")

    @property
    def D(self) -> NDArray[np.float64]:
        """Vectors from the first to the second atom in Angstrom, (n_pairs, 3)."""
        return self._get("D")

    @property
    def n_pairs(self) -> int:
        """Pairs within the cutoff."""
        return len(self._get("j"))

    @property
    def n_builds(self) -> int:
        """How often the list was built."""
        with self._lock:
            return self._builds + (0 if self._table is None else int(self._table.n_builds))


def _skin(skin: object) -> float:
    if not (isinstance(skin, (float, int, np.floating, np.integer)) and 0.0 <= skin < np.inf):
        msg = f"skin: {skin!r}; expected a finite number >= 0 (Angstrom)"
        raise ValueError(msg)
    return float(skin)


def _threads(threads: object) -> int:
    """Threads of one call for the core: 0 stands for the package's setting."""
    if threads is None:
        return 0
    if isinstance(threads, bool) or not isinstance(threads, (int, np.integer)) or threads < 1:
        msg = f"threads: {threads!r}; expected an integer >= 1"
        raise ValueError(msg)
    return int(threads)


def _matrix(x: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.ascontiguousarray(x, dtype=np.float64)
    if array.ndim == 1 and name == "cell" and array.shape == (3,):
        array = np.diag(array)
    if array.size == 0 and name == "positions":
        array = array.reshape(0, 3)
    return array


def _check_cutoff(x: Any, name: str) -> float:
    value = float(x)
    if not (value >= 0.0 and value < np.inf):
        msg = f"{name}: {x!r}; expected a finite number >= 0 (Angstrom)"
        raise ValueError(msg)
    return value


def _rule(cutoff: Any, numbers: Any, n: int | None) -> tuple[float, Any, Any, Any]:
    """(largest cutoff, radii, species, table) as the core wants them."""
    if isinstance(cutoff, Mapping):
        return _pair_rule(cutoff, numbers)
    if isinstance(cutoff, (int, float)) or np.ndim(cutoff) == 0:
        return _check_cutoff(cutoff, "cutoff"), None, None, None
    radii = np.ascontiguousarray(cutoff, dtype=np.float64)
    if n is not None and radii.shape != (n,):
        msg = (
            f"cutoff: shape {radii.shape}; expected a number, a dict, or one radius per atom ({n},)"
        )
        raise ValueError(msg)
    bad = ~(np.isfinite(radii) & (radii >= 0.0))
    if bad.any():
        k = int(np.argmax(bad))
        msg = f"cutoff[{k}]: {radii[k]}; expected a finite radius >= 0 (Angstrom)"
        raise ValueError(msg)
    return 2.0 * float(radii.max(initial=0.0)), radii, None, None


def _pair_rule(cutoff: Mapping[Any, Any], numbers: Any) -> tuple[float, Any, Any, Any]:
    from ase.data import atomic_numbers

    def number(x: Any) -> int:
        if isinstance(x, str):
            if x not in atomic_numbers:
                msg = f"cutoff: unknown chemical symbol {x!r} in a key"
                raise ValueError(msg)
            return int(atomic_numbers[x])
        return int(x)

    if numbers is None:
        msg = "numbers: missing; expected one atomic number per atom with a dict of cutoffs"
        raise ValueError(msg)
    kinds, species = np.unique(np.asarray(numbers), return_inverse=True)
    place = {int(z): k for k, z in enumerate(kinds)}
    table = np.zeros((len(kinds), len(kinds)))
    for key, value in cutoff.items():
        if not (isinstance(key, tuple) and len(key) == 2):
            msg = f"cutoff: key {key!r}; expected a pair of symbols or atomic numbers"
            raise ValueError(msg)
        a, b = (place.get(number(x)) for x in key)
        r = _check_cutoff(value, f"cutoff[{key!r}]")
        if a is not None and b is not None:
            table[a, b] = table[b, a] = r
    return float(table.max(initial=0.0)), None, species.astype(np.int32), table


def _neighbor_list(
    quantities: str,
    pbc: Any,
    cell: Any,
    positions: Any,
    cutoff: Any,
    numbers: Any,
    self_interaction: bool,
    max_pairs: int | None,
    threads: int | None,
) -> Any:
    largest, radii, species, table = _rule(cutoff, numbers, len(positions))
    return _core.neighbor_list(
        quantities,
        positions,
        cell,
        pbc,
        largest,
        radii,
        species,
        table,
        bool(self_interaction),
        0.0 if max_pairs is None else float(max_pairs),
        0 if threads is None else _threads(threads),
    )
