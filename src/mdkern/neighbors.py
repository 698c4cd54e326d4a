"""Neighbor lists: ASE's meaning and types, several times faster."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mdkern import _core, checks
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
    max_nbins: float = 1e6,
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
    max_nbins : float
        ASE's bound on the number of its bins; here without effect, as memory is bounded without it.
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
    TypeError
        `a` is no ``Atoms``, `quantities` no text.
    ValueError
        Non-finite positions or cell, dependent periodic cell vectors, negative or non-finite
        cutoff, unknown letters; text, complex numbers or bools where numbers are expected.
    MemoryError
        If the list would not fit; raised before the memory is taken.
    """
    usual = max_pairs is None and max_nbins == 1e6
    if usual and (threads is None or (type(threads) is int and threads > 0)):
        # The usual call, straight to the core: below a hundred atoms every microsecond counts.
        try:
            if type(cutoff) is int:
                cutoff = float(cutoff)  # type: ignore[unreachable]  # a float for the checker
            quick = _core.neighbor_list_quick(
                quantities,
                a.arrays["positions"],
                a.cell.array,
                a.pbc,
                cutoff,
                self_interaction,
                threads or 0,
            )
        except (AttributeError, OverflowError):  # not an Atoms, no cutoff: which is said below
            quick = None
        if quick is not None:
            return quick
    checks.structure("a", a)
    return _neighbor_list(
        quantities,
        a.pbc,
        a.cell,
        checks.positions(a.positions),
        cutoff,
        a.numbers,
        self_interaction,
        max_nbins,
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
    use_scaled_positions: bool = False,
    max_nbins: float = 1e6,
    *,
    max_pairs: int | None = None,
    threads: int | None = None,
) -> Any:
    """:func:`neighbor_list` on plain arrays, a drop-in for ``ase.neighborlist.primitive_neighbor_list``.

    Results and errors, and the parameters that are not below, are those of :func:`neighbor_list`.

    Parameters
    ----------
    pbc : three bools (or 0 and 1), or one for all directions
        Along which cell vectors atoms repeat.
    cell : (3, 3) or (3,) array
        Cell vectors as rows, or the lengths of an orthorhombic cell, in Angstrom.
    positions : (n, 3) array
        Angstrom.
    numbers : (n,) array of int, optional
        Atomic numbers, needed with a dict of cutoffs.
    use_scaled_positions : bool
        The positions are ``positions @ cell``.
    """
    x = checks.positions(positions)
    if checks.flag("use_scaled_positions", use_scaled_positions):
        cell = checks.finite("cell", checks.cell(cell))
        x = checks.finite("positions", x) @ cell
    return _neighbor_list(
        quantities,
        checks.directions("pbc", pbc, one_for_all=True),
        cell,
        x,
        cutoff,
        numbers,
        self_interaction,
        max_nbins,
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

    Parameters
    ----------
    quantities, self_interaction
        As of :func:`neighbor_list`.
    structures : sequence of ase.Atoms
        Of any size each.
    cutoff : float, dict, or sequence of arrays
        As of :func:`neighbor_list`; with one radius per atom a sequence of such arrays, one per structure.
    threads : int, optional
        By default :func:`mdkern.get_num_threads`.

    Returns
    -------
    list
        Per structure, what :func:`neighbor_list` returns.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As of :func:`neighbor_list`; the message names the structure.
    """
    structures = checks.structures("structures", structures)
    rules = len(structures) * [cutoff]
    if not (isinstance(cutoff, Mapping) or checks.is_single(cutoff)):
        rules = list(cutoff)  # type: ignore[arg-type]
        if len(rules) != len(structures):
            msg = f"cutoff: {len(rules)} arrays of radii for {len(structures)} structures"
            raise ValueError(msg)
    inputs = []
    for k, (a, rule) in enumerate(zip(structures, rules, strict=True)):
        try:
            x = checks.positions(a.positions)
            pbc = checks.directions("pbc", a.pbc)
            inputs.append((x, checks.cell(a.cell), pbc, *_rule(rule, a.numbers, len(x))))
        except ValueError as e:
            msg = f"structure {k}: {e}"
            raise ValueError(msg) from None
    itself = checks.flag("self_interaction", self_interaction)
    return _core.neighbor_list_batch(_letters(quantities), inputs, itself, checks.threads(threads))


class NeighborList:
    """A neighbor list that is kept while atoms move.

    Built for ``cutoff + skin`` and kept until a pair could have come within the cutoff unseen, that is until the
    two largest displacements since the build sum to more than the skin (a change of the cell counts too).
    What it returns are the pairs within ``cutoff`` at the present positions, as :func:`neighbor_list` does. Its arrays are
    the caller's: an update makes new ones. Parameters are attributes: what one of them, an entry of the dict or of the array is set
    to counts from the next update on.

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
        self.skin = checks.not_negative("skin", skin, unit="Angstrom")
        self.half = checks.flag("half", half)
        self.self_interaction = checks.flag("self_interaction", self_interaction)
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
        checks.structure("atoms", atoms)
        with self._lock:
            self._of_thread.updated = True
            self._updater = threading.current_thread()
            return self._update(atoms)

    def _update(self, atoms: Atoms) -> bool:
        numbers = checks.atomic_numbers(atoms.numbers)
        largest, radii, species, table = _rule(self.cutoff, numbers, len(atoms))
        if species is None:
            species = numbers.astype(np.int32)
        # Attributes may be set, and arrays of radii and dicts written into. A dict of cutoffs numbers the species of these
        # atoms: with others the table is another one.
        key: tuple[Any, ...] = (largest, self.skin, self.half, self.self_interaction)
        if radii is not None:
            key += (radii.tobytes(),)
        elif table is not None:
            key += (table.tobytes(), tuple(np.unique(numbers)))
        if self._table is None or key != self._rule_key:
            if self._table is not None:
                self._builds += self._table.n_builds
            self._table = _core.NeighborTable(
                largest,
                checks.not_negative("skin", self.skin, unit="Angstrom"),
                radii=radii,
                table=table,
                self_interaction=checks.flag("self_interaction", self.self_interaction),
                half=checks.flag("half", self.half),
                exact=True,
            )
            self._rule_key = key
        self._arrays = {}
        positions, cell = checks.positions(atoms.positions), checks.cell(atoms.cell)
        pbc = checks.directions("pbc", atoms.pbc)
        return bool(self._table.update(positions, cell, pbc, species, checks.threads(self.threads)))

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
            first, values = self._table.arrays(letters, checks.threads(self.threads))
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


def _letters(quantities: object) -> str:
    """What the core has still to look at letter by letter."""
    if not isinstance(quantities, str):
        msg = f"quantities: {checks.shown(quantities)}; expected a str of the letters 'ijdDS'"
        raise TypeError(msg)
    return quantities


def _rule(cutoff: Any, numbers: Any, n: int | None) -> tuple[float, Any, Any, Any]:
    """(largest cutoff, radii, species, table) as the core wants them."""
    if isinstance(cutoff, Mapping):
        return _pair_rule(cutoff, numbers)
    if checks.is_single(cutoff):
        return checks.not_negative("cutoff", cutoff, unit="Angstrom"), None, None, None
    radii = checks.numbers("cutoff", cutoff, "a number, a dict, or one radius per atom (Angstrom)")
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
        return checks.whole("cutoff: atomic number in a key", x)

    if numbers is None:
        msg = "numbers: missing; expected one atomic number per atom with a dict of cutoffs"
        raise ValueError(msg)
    kinds, species = np.unique(checks.atomic_numbers(numbers), return_inverse=True)
    place = {int(z): k for k, z in enumerate(kinds)}
    table = np.zeros((len(kinds), len(kinds)))
    for key, value in cutoff.items():
        if not (isinstance(key, tuple) and len(key) == 2):
            msg = f"cutoff: key {key!r}; expected a pair of symbols or atomic numbers"
            raise ValueError(msg)
        a, b = (place.get(number(x)) for x in key)
        r = checks.not_negative(f"cutoff[{key!r}]", value, unit="Angstrom")
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
    max_nbins: float,
    max_pairs: int | None,
    threads: int | None,
) -> Any:
    if max_nbins != np.inf:
        checks.number("max_nbins", max_nbins, "number >= 1", least=1.0)
    most = (
        0.0 if max_pairs is None else checks.number("max_pairs", max_pairs, "number >= 1", least=1)
    )
    return _core.neighbor_list(
        _letters(quantities),
        positions,
        checks.cell(cell),
        checks.directions("pbc", pbc),
        *_rule(cutoff, numbers, len(positions)),
        checks.flag("self_interaction", self_interaction),
        most,
        checks.threads(threads),
    )
