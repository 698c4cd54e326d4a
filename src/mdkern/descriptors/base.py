"""What every descriptor shares: structures, centers, derivatives, memory.

A descriptor derives from :class:`Descriptor`, calls its constructor, and sets ``_kernels`` to an object of the core with the
methods ``values``, ``vjp``, ``sparse_jacobian``, ``dense_jacobian`` and ``strain``; the rest of the interface is here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdkern import _core, checks
from mdkern.descriptors.jacobian import SparseJacobian
from mdkern.descriptors.memory import check_memory

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Descriptor", "Environments", "species_numbers"]

Float = NDArray[np.float64]
_STEP = 1e-4  # Angstrom, of DScribe's central differences
_MARGIN = 1e-9  # relative: the list holds what rounding puts beyond the cutoff, kernels decide


@dataclass(frozen=True, slots=True)
class Environments:
    """A neighbor table, the centers in it, and how many of its atoms are real."""

    table: Any
    centers: NDArray[np.int32] | None
    n_atoms: int
    n_centers: int


def species_numbers(species: Any) -> tuple[int, ...]:
    """Atomic numbers of symbols or numbers, sorted, each once.

    Raises
    ------
    ValueError
        None at all, an unknown symbol, a number that is no element.
    """
    from ase.data import atomic_numbers

    if isinstance(species, (str, bytes)) or not hasattr(species, "__iter__"):
        raise ValueError(f"species: {species!r}; expected a list of symbols or atomic numbers")
    found = set()
    for item in species:
        z: Any = atomic_numbers.get(item) if isinstance(item, str) else item
        real = isinstance(z, Real) and not isinstance(z, bool)
        if not real or z not in range(1, 119):
            raise ValueError(f"species: {item!r}; expected a chemical symbol or an atomic number")
        found.add(int(z))
    if not found:
        raise ValueError("species: empty; expected at least one symbol or atomic number")
    return tuple(sorted(found))


class Descriptor:
    """Base of descriptors of atomic environments.

    Attributes
    ----------
    species : tuple of int
        Atomic numbers, ascending.
    r_cut : float
        Cutoff in Angstrom, as given.
    reach : float
        Distance in Angstrom within which atoms matter.
    """

    _kernels: Any  # object of the core
    _arguments: dict[str, Any]  # of the constructor: what a copy is made from
    _attach = False  # what `attach=None` means in derivatives
    _points = True  # centers may be positions

    def __init__(
        self,
        species: Any,
        r_cut: float,
        reach: float,
        *,
        periodic: bool = False,
        sparse: bool = False,
        dtype: str = "float64",
        average: str = "off",
    ) -> None:
        if dtype not in ("float64", "float32"):
            raise ValueError(f"dtype: {dtype!r}; expected 'float64' or 'float32'")
        if average not in ("off", "inner", "outer"):
            raise ValueError(f"average: {average!r}; expected 'off', 'inner' or 'outer'")
        self._arguments = {name: _held(value) for name, value in self._arguments.items()}
        self.species = species_numbers(species)
        self.r_cut, self.reach = float(r_cut), float(reach)
        self.periodic, self.sparse = (
            checks.flag("periodic", periodic),
            checks.flag("sparse", sparse),
        )
        self.average = average
        self.dtype = np.dtype(dtype)
        self._kind = np.full(256, -1, dtype=np.int32)
        self._kind[list(self.species)] = np.arange(len(self.species))

    # The compiled part is made anew from the parameters.
    def __getstate__(self) -> dict[str, Any]:
        return {"arguments": self._arguments}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state["arguments"])  # type: ignore[misc]

    def __deepcopy__(self, memo: dict[int, Any]) -> Descriptor:
        return type(self)(**self._arguments)

    def to_dict(self) -> dict[str, Any]:
        """Name and arguments as JSON has them; :func:`mdkern.descriptors.from_dict` makes it again."""
        return {
            "descriptor": type(self).__name__,
            **{k: _plain(v) for k, v in self._arguments.items()},
        }

    # --- what a descriptor tells about itself

    def get_number_of_features(self) -> int:
        """Length of the descriptor of one center."""
        return int(self._kernels.n_features)

    def feature_names(self) -> list[str]:
        """A name for every feature, in order."""
        raise NotImplementedError

    # --- values

    def create(
        self,
        a: Atoms | Sequence[Atoms],
        centers: Any = None,
        n_jobs: int | None = None,
        only_physical_cores: bool = False,
        verbose: bool = False,
        *,
        threads: int | None = None,
    ) -> Any:
        """Descriptors of the environments of a structure, or of each of a list of structures.

        Parameters
        ----------
        a : ase.Atoms or list of ase.Atoms
            The structure, or several of them.
        centers : list, optional
            Indices of atoms, or positions (k, 3) in Angstrom; by default all atoms. For a list of structures one such
            list per structure.
        n_jobs, threads : int, optional
            Threads of this call; by default :func:`mdkern.get_num_threads`. `n_jobs` is DScribe's name; below 1 it means the default.
        only_physical_cores, verbose
            Accepted for DScribe's sake, without effect.

        Returns
        -------
        (n_centers, n_features) array, or a list of them
            (n_features,) where the descriptor averages over centers.

        Raises
        ------
        ValueError
            An element that is not in `species`, a structure without atoms, centers out of range.
        """
        del only_physical_cores, verbose
        team = _team(n_jobs, threads)
        if not checks.is_structure(a):
            pairs = checks.paired("a", a, "centers", centers)
            return [self.create(x, c, threads=team or None) for x, c in pairs]
        env = self.environments(cast("Atoms", a), centers, team)
        return self._output(self._values(env, team))

    def _output(self, values: Any) -> Any:
        if not self.sparse:
            return values
        import sparse

        return sparse.COO.from_numpy(values)

    def _values(self, env: Environments, team: int) -> Any:
        values = self._kernels.values(env.table, env.centers, self.dtype == np.float32, team)
        return (
            values.mean(axis=0, dtype=np.float64).astype(self.dtype)
            if self.average != "off"
            else values
        )

    # --- derivatives

    def derivatives(
        self,
        a: Atoms | Sequence[Atoms],
        centers: Any = None,
        include: Any = None,
        exclude: Any = None,
        method: str = "auto",
        attach: bool | None = None,
        return_descriptor: bool = True,
        n_jobs: int | None = None,
        only_physical_cores: bool = False,
        verbose: bool = False,
        *,
        threads: int | None = None,
    ) -> Any:
        """Derivatives of the descriptors by positions of atoms.

        Parameters
        ----------
        include, exclude : list of int, optional
            Atoms by whose positions to differentiate (not both); by default all. For a list of structures one list for all of
            them, or one for each.
        method : {"auto", "analytical", "numerical"}
            "numerical": central differences with DScribe's step, to compare. The others are analytical.
        attach : bool, optional
            Whether a center given as an index moves with its atom. By default as in DScribe: SOAP False, ACSF True.
        return_descriptor : bool
            Also return the descriptors.

        Returns
        -------
        d : (n_centers, n_atoms, 3, n_features) array
            1 / Angstrom. One row where the descriptor averages over centers.
        c : the result of `create`, if `return_descriptor`
            For a list of structures both are lists.

        Raises
        ------
        MemoryError
            The array would not fit: see :meth:`derivatives_sparse`.
        """
        del only_physical_cores, verbose
        team = _team(n_jobs, threads)
        if not checks.is_structure(a):
            pairs = checks.paired("a", a, "centers", centers)
            both = [
                self.derivatives(x, c, i, e, method, attach, True, threads=team or None)
                for (x, c), i, e in zip(
                    pairs,
                    _each("include", include, len(pairs)),
                    _each("exclude", exclude, len(pairs)),
                    strict=True,
                )
            ]
            d = [x for x, _ in both]
            return (d, [x for _, x in both]) if return_descriptor else d
        a = cast("Atoms", a)
        if method not in ("auto", "analytical", "numerical"):
            raise ValueError(f"method: {method!r}; expected 'auto', 'analytical' or 'numerical'")
        if self.sparse and method != "numerical":
            jacobian = self.derivatives_sparse(
                a, centers, include, exclude, attach, threads=team or None
            )
            d = jacobian.to_sparse()
            return (d, self.create(a, centers, threads=team or None)) if return_descriptor else d
        env = self.environments(a, centers, team)
        wanted = _included(env.n_atoms, include, exclude)
        moving = self._attached(attach)
        rows = 1 if self.average != "off" else env.n_centers
        shape = (rows, len(wanted), 3, self.get_number_of_features())
        check_memory(shape, self.dtype, "derivatives_sparse or vjp, or dtype='float32'")
        if method == "numerical":
            out = self._numerical(a, centers, wanted, moving, shape, team)
        else:
            out = np.zeros(shape, dtype=self.dtype)
            self._dense(env, _columns(env, wanted), moving, out, team)
        out = self._output(out)
        return (out, self._output(self._values(env, team))) if return_descriptor else out

    def derivatives_sparse(
        self,
        a: Atoms,
        centers: Any = None,
        include: Any = None,
        exclude: Any = None,
        attach: bool | None = None,
        *,
        threads: int | None = None,
    ) -> SparseJacobian:
        """:meth:`derivatives` of one structure, for the atoms within the cutoff of each center alone.

        Raises
        ------
        MemoryError
            The blocks would not fit; raised before the memory is taken.
        """
        team = checks.threads(threads)
        env = self.environments(a, centers, team)
        wanted = _included(env.n_atoms, include, exclude)
        moving = self._attached(attach)
        features = self.get_number_of_features()
        shape = (env.n_centers, len(wanted), 3, features)
        if self.average != "off":
            check_memory((1, *shape[1:]), self.dtype, "vjp, or dtype='float32'")
            out = np.zeros((1, *shape[1:]), dtype=self.dtype)
            self._dense(env, _columns(env, wanted), moving, out, team)
            center = np.zeros(len(wanted), dtype=np.int64)
            return SparseJacobian.whole(center, np.arange(len(wanted)), out[0], (1, *shape[1:]))
        # Every block belongs to one pair or more, or to the center itself.
        blocks = min(env.table.n_listed + env.n_centers, env.n_centers * len(wanted))
        check_memory(
            (blocks, 3, features), self.dtype, "vjp, or fewer centers at a time, or dtype='float32'"
        )
        return self._neighbor_blocks(env, wanted, moving, self.dtype == np.float32, shape, team)

    def derivatives_strain(
        self, a: Atoms, centers: Any = None, *, threads: int | None = None
    ) -> Any:
        """Derivatives by strain, (n_centers, 3, 3, n_features): positions and cell map by ``r -> r (1 + strain)``.

        Element ``[c, x, y]`` is the change with ``strain[x, y]``; one row where the descriptor averages over centers.
        """
        team = checks.threads(threads)
        env = self.environments(a, centers, team)
        check_memory(
            (env.n_centers, 3, 3, self.get_number_of_features()), np.dtype(float), "fewer centers"
        )
        d = self._strain(env, team)
        return d.mean(axis=0, keepdims=True) if self.average != "off" else d

    def vjp(
        self,
        a: Atoms,
        weights: ArrayLike,
        centers: Any = None,
        *,
        threads: int | None = None,
    ) -> tuple[Float, Float]:
        """Gradient and virial of a weighted sum of features, ``E = sum(weights * create(a))``.

        No Jacobian is formed: memory is that of the features and the pairs. Centers that are atoms move with them.

        Parameters
        ----------
        weights : (n_centers, n_features) array
            Or (n_features,): the same for every center, or those of an average.

        Returns
        -------
        gradient : (n_atoms, 3) array
            ``dE/dr``, the negative of the forces of a model with energy E.
        virial : (3, 3) array
            ``-dE/d(strain)``, as the virial of a potential.
        """
        team = checks.threads(threads)
        env = self.environments(a, centers, team)
        w = checks.numbers("weights", weights)
        features = self.get_number_of_features()
        rows = 1 if self.average != "off" else env.n_centers
        if w.shape not in ((features,), (rows, features)) or not np.isfinite(w).all():
            raise ValueError(
                f"weights: shape {w.shape}; expected finite numbers of shape ({rows}, {features}) or ({features},)"
            )
        w = np.ascontiguousarray(w.reshape(-1, features))
        row = np.zeros(env.n_centers, dtype=np.int64)
        if len(w) > 1:
            row += np.arange(env.n_centers)
        gradient, virials, _ = self._gradients(env, w, row, team)
        return gradient[: env.n_atoms], virials.sum(axis=0).reshape(3, 3)

    # --- what a descriptor may do its own way

    def _gradients(self, env: Environments, w: Float, row: Any, team: int) -> Any:
        if self.average != "off":
            w = w / env.n_centers
        return self._weighted(env, w, row, team)

    def _weighted(self, env: Environments, w: Float, row: Any, team: int) -> Any:
        return self._kernels.vjp(env.table, env.centers, w, row, team)

    def _dense(self, env: Environments, column: Any, attach: bool, out: Any, team: int) -> None:
        average = self.average != "off"
        factor = 1.0 / env.n_centers if average else 1.0
        self._kernels.dense_jacobian(
            env.table, env.centers, column, attach, factor, average, out, team
        )

    def _strain(self, env: Environments, team: int) -> Any:
        return self._kernels.strain(env.table, env.centers, team)

    def _neighbor_blocks(
        self, env: Environments, wanted: Any, moving: bool, single: bool, shape: Any, team: int
    ) -> SparseJacobian:
        """The Jacobian by the atoms `wanted`, as the kernel lays it out: whole blocks or packed ones."""
        center, atom, values, *packing = self._kernels.sparse_jacobian(
            env.table, env.centers, _columns(env, wanted), moving, single, team
        )
        if packing:
            return SparseJacobian(center, atom, values, packing[0], shape)
        return SparseJacobian.whole(center, atom, values, shape)

    def summed(self, env: Environments, team: int) -> tuple[Float, Float, Float]:
        """Features summed over the centers (n_features,), and derivatives of the sum by positions (n_atoms, 3, n_features) and strain."""
        shape = (env.n_centers, env.n_atoms, 3, self.get_number_of_features())
        jacobian = self._neighbor_blocks(env, np.arange(env.n_atoms), True, False, shape, team)
        atom, values = jacobian.atom, jacobian.values
        order = np.argsort(atom, kind="stable")
        first = np.flatnonzero(np.diff(atom[order], prepend=-1))
        gradient = np.zeros((env.n_atoms, *values.shape[1:]))
        gradient[atom[order][first]] = np.add.reduceat(values[order], first, axis=0)
        values = self._kernels.values(env.table, env.centers, False, team)
        return values.sum(axis=0), gradient, self._strain(env, team).sum(axis=0)

    # --- structures

    def _attached(self, attach: bool | None) -> bool:
        return self._attach if attach is None else checks.flag("attach", attach)

    def environments(self, a: Atoms, centers: Any, team: int) -> Environments:
        """The structure as the core has it, with its neighbors and centers; `team` is a number of threads, 0: the package's."""
        checks.structure("a", a)
        positions, numbers = checks.positions(a.positions), checks.atomic_numbers(a.numbers)
        n = len(positions)
        if n == 0:
            raise ValueError("structure: no atoms; expected at least one")
        kinds = np.where((numbers > 0) & (numbers < 256), self._kind[numbers % 256], -1)
        if (kinds < 0).any():
            from ase.data import chemical_symbols

            k = int(np.argmax(kinds < 0))
            known = ", ".join(chemical_symbols[z] for z in self.species)
            raise ValueError(
                f"atom {k} is {a.symbols[k]}, which is not in species; the descriptor has {known}"
            )
        at, points = _split_centers(centers, n)
        if len(points) and not self._points:
            raise ValueError("centers: positions; expected indices of atoms")
        if len(points):
            positions = np.concatenate([positions, points])
            kinds = np.concatenate([kinds, np.full(len(points), -1)])
        pbc = checks.directions("pbc", a.pbc) & self.periodic
        table = _core.NeighborTable(self.reach * (1.0 + _MARGIN), 0.0)
        table.update(
            positions,
            checks.cell(a.cell),
            pbc,
            np.ascontiguousarray(kinds, dtype=np.int32),
            team,
        )
        return Environments(table, at, n, n if at is None else len(at))

    def _numerical(
        self, a: Atoms, centers: Any, wanted: Any, attach: bool, shape: Any, team: int
    ) -> Any:
        """Central differences of `create`."""
        out = np.zeros(shape)
        if not attach:  # points stay where they are
            at, points = _split_centers(centers, len(a))
            places = np.concatenate([a.positions, points])
            centers = places if at is None else places[at]
        for column, atom in enumerate(wanted):
            for x in range(3):
                for sign in (1, -1):
                    moved = a.copy()
                    moved.positions[atom, x] += sign * _STEP
                    d = self._values(self.environments(moved, centers, team), team)
                    out[:, column, x] += sign * d.reshape(shape[0], -1) / (2 * _STEP)
        return out.astype(self.dtype)


def _held(value: Any, depth: int = 4) -> Any:
    """An argument as it is now, whatever the caller writes into it later: copies and files are made from it.

    None is nested deeper than `depth`: what a damaged file nests beyond it is refused by the checks that follow.
    """
    if isinstance(value, np.ndarray):
        return value.copy()
    if depth == 0:
        return value
    if isinstance(value, Mapping):
        return {k: _held(v, depth - 1) for k, v in value.items()}
    if type(value) in (list, tuple, set):
        return type(value)(_held(v, depth - 1) for v in value)
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def _team(n_jobs: int | None, threads: int | None) -> int:
    if n_jobs is not None:
        jobs = checks.whole("n_jobs", n_jobs, -(2**31))
        threads = jobs if threads is None and jobs >= 1 else threads
    return checks.threads(threads)


def _split_centers(centers: Any, n: int) -> tuple[NDArray[np.int32] | None, Float]:
    """Indices, where those from n on are the points that come with them."""
    none = np.zeros((0, 3))
    if centers is None:
        return None, none
    if checks.is_single(centers):
        raise ValueError(
            f"centers: {checks.shown(centers)}; expected a list of indices of atoms or positions"
        )
    centers = list(centers)
    if not centers:
        raise ValueError("centers: empty; expected indices of atoms or positions")
    index: list[int] = []
    points: list[Any] = []
    for k, item in enumerate(centers):
        value = np.zeros(0) if np.ma.isMaskedArray(item) else _as_array(item)
        if value.ndim == 0 and value.dtype.kind in "iu":
            if not 0 <= int(value) < n:
                raise ValueError(f"centers[{k}]: {item}; expected an atom from 0 to {n - 1}")
            index.append(int(value))
        elif value.shape == (3,) and value.dtype.kind in "fiu" and np.isfinite(value).all():
            index.append(n + len(points))
            points.append(value.astype(np.float64))
        else:
            raise ValueError(
                f"centers[{k}]: {checks.shown(item)}; expected the index of an atom or three coordinates"
            )
    return np.array(index, dtype=np.int32), np.array(points) if points else none


def _as_array(item: Any) -> NDArray[Any]:
    try:
        return np.asarray(item)
    except ValueError:  # rows of different lengths
        return np.zeros(0)


def _included(n: int, include: Any, exclude: Any) -> NDArray[np.int64]:
    """Atoms by whose positions to differentiate."""
    if include is not None and exclude is not None:
        raise ValueError("include, exclude: both given; expected one of them")
    name, given = ("include", include) if include is not None else ("exclude", exclude)
    if given is None:
        return np.arange(n)
    at = checks.indices(name, given, n)
    if name == "include" and not at.size:
        raise ValueError("include: empty; expected indices of atoms")
    if len(np.unique(at)) != len(at):
        raise ValueError(f"{name}: {checks.shown(given)}; expected each atom once")
    return at if name == "include" else np.setdiff1d(np.arange(n), at)


def _each(name: str, given: Any, n: int) -> list[Any]:
    """Of n structures: the same list for all, or one for each."""
    if given is None or checks.is_single(given) or all(checks.is_single(x) for x in given):
        return n * [given]
    if len(given) != n:
        raise ValueError(
            f"{name}: {len(given)} lists for {n} structures; expected one list, or {n}"
        )
    return list(given)


def _columns(env: Environments, wanted: Any) -> NDArray[np.int32]:
    """Column of each atom of the table among the wanted ones, -1 for the others."""
    points = 0 if env.centers is None else max(0, int(env.centers.max()) + 1 - env.n_atoms)
    column = np.full(env.n_atoms + points, -1, dtype=np.int32)
    column[wanted] = np.arange(len(wanted))
    return column
