"""A calculator for ``pair_style mliap unified``, in a LAMMPS that has ML-IAP with Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

# Only LAMMPS brings the class that its pair style takes.
from lammps.mliap.mliap_unified_abc import MLIAPUnified
from numpy.typing import NDArray

from mdkern import checks
from mdkern.errors import UnsupportedError
from mdkern.lammps.halo import abort
from mdkern.lammps.rows import RowModel, RowResult

__all__ = ["MLIAP"]

Array = NDArray[Any]


class MLIAP(MLIAPUnified):  # type: ignore[misc]  # without LAMMPS the base is unknown
    """A calculator as a model of ``pair_style mliap unified``.

    LAMMPS hands over the vectors to the neighbors of its own atoms, and takes the derivatives of each atom's energy by them. That is what the calculator
    gives where the energy of an atom depends on the vectors to its neighbors alone: NEP, Deep Potential, linear models, pair potentials. EAM,
    pair tables and models that pass messages need values of ghosts in between, which this way does not bring.

    Parameters
    ----------
    calculator : mdkern.calculators.Calculator
    elements : sequence of str, optional
        Chemical symbols that ``pair_coeff * *`` may name; by default the calculator's species.
    threads : int, optional
        By default the calculator's, or 1.

    Raises
    ------
    TypeError
        `calculator` is none of mdkern's.
    ValueError
        `elements` that the potential lacks; none, where it takes any element.
    UnsupportedError
        A potential that the compiled core does not evaluate, or whose energies of atoms depend on more than the vectors to their neighbors.

    Notes
    -----
    The object can be pickled: ``pair_style mliap unified FILE`` reads what ``MLIAP(...).pickle(FILE)`` wrote.
    """

    def __init__(
        self, calculator: Any, elements: Sequence[str] | None = None, *, threads: int | None = None
    ) -> None:
        from ase.data import atomic_numbers

        self.calculator = calculator
        self._model = RowModel(calculator)
        self._threads = checks.threads(threads) or calculator.n_threads or 1
        names = calculator.species if elements is None else elements
        if names is None or isinstance(names, str) or len(names) == 0:
            raise ValueError(f"elements: {names!r}; expected a list of chemical symbols")
        for symbol in names:
            if symbol not in (calculator.species or atomic_numbers):
                have = ", ".join(calculator.species or ["any element"])
                raise ValueError(f"elements: {symbol!r}; the potential has {have}")
        self._kinds: NDArray[np.int32] = calculator.species_map(
            np.array([atomic_numbers[s] for s in names])
        )
        # LAMMPS's cutoff is twice this.
        super().__init__(None, list(names), 1, 1, 0.5 * self._model.cutoff)
        self._by_pairs = self._is_sum_of_pairs()

    def compute_descriptors(self, data: Any) -> None:
        """Nothing: all is done in :meth:`compute_forces`."""

    def compute_gradients(self, data: Any) -> None:
        """Nothing: all is done in :meth:`compute_forces`."""

    def compute_forces(self, data: Any) -> None:
        """Energies of LAMMPS's own atoms, and their derivatives by the vectors to the neighbors; LAMMPS calls it in each step.

        LAMMPS stops where it raises. Where there are several processes, the others would wait for this one, so it ends them all.

        Parameters
        ----------
        data
            LAMMPS's ``MLIAPDataPy``. Read are ``nlistatoms``, ``npairs``, ``numneighs``, ``ielems``, ``jelems``, ``rij``; set are ``eatoms``, ``energy``, and
            the forces by ``update_pair_forces``.
        """
        try:
            self._give(data)
        except BaseException:
            _end_all()
            raise

    def _give(self, data: Any) -> None:
        n = data.nlistatoms
        count = np.zeros(0, dtype=np.int64) if n == 0 else np.asarray(data.numneighs[:n])
        first = np.zeros(n + 1, dtype=np.int64)
        np.cumsum(count, out=first[1:])
        # Pairs behind those are of ghosts, where LAMMPS lists them; their energies are other processes' own.
        m = int(first[-1])
        gradients = np.zeros((data.npairs, 3))
        energies = np.zeros(n)
        if n > 0:
            kinds_i = self._kinds[data.ielems[:n]]
            kinds_j = self._kinds[data.jelems[:m]] if m else kinds_i[:0]
            rij = np.asarray(data.rij[:m], dtype=np.float64) if m else np.zeros((0, 3))
            energies, gradients[:m] = self._evaluate(first, kinds_i, kinds_j, rij)
        if n > 0:
            data.eatoms = energies
        data.energy = float(energies.sum())
        if data.npairs > 0:
            data.update_pair_forces(gradients)

    def _evaluate(
        self, first: Array, kinds_i: Array, kinds_j: Array, rij: Array
    ) -> tuple[Array, Array]:
        """E_i (n,) and dE_i/dr_ij (n_pairs, 3)."""
        if self._by_pairs:
            r = self._pairs(first, kinds_i, kinds_j, rij)
            centre = np.repeat(np.arange(len(kinds_i)), np.diff(first))
            # Each is half of a pair, and its force that of the whole.
            energies = np.bincount(centre, r.energies, len(kinds_i))
            return energies, 0.5 * r.forces[: len(rij)]
        r = self._stars(first, kinds_i, kinds_j, rij)
        return r.energies, -r.forces[len(kinds_i) :]

    def _stars(self, first: Array, kinds_i: Array, kinds_j: Array, rij: Array) -> RowResult:
        """Each atom in the origin with ghosts of its own around it: the force on a ghost is the derivative by one vector."""
        n = len(kinds_i)
        return self._compute(
            np.concatenate([np.zeros((n, 3)), rij]),
            np.concatenate([kinds_i, kinds_j]),
            first,
            np.arange(n, n + len(rij)),
        )

    def _pairs(self, first: Array, kinds_i: Array, kinds_j: Array, rij: Array) -> RowResult:
        """Each pair alone, as an atom with one ghost."""
        m = len(rij)
        return self._compute(
            np.concatenate([np.zeros((m, 3)), rij]),
            np.concatenate([np.repeat(kinds_i, np.diff(first)), kinds_j]),
            np.arange(m + 1),
            np.arange(m, 2 * m),
        )

    def _compute(self, x: Array, kinds: Array, first: Array, index: Array) -> RowResult:
        return self._model.compute(
            x,
            np.ascontiguousarray(kinds, dtype=np.int32),
            np.ascontiguousarray(first, dtype=np.int64),
            np.ascontiguousarray(index, dtype=np.int32),
            changed=True,
            threads=self._threads,
        )

    def _is_sum_of_pairs(self) -> bool:
        """Whether the core leaves ghosts without forces, as for pair potentials; False: they have those of the atom's energy. Tried on random atoms."""
        name = type(self.calculator).__name__
        if self._model.exchanges > 0:
            raise UnsupportedError(
                f"calculator: {name} needs values of ghosts, which pair_style mliap does not exchange; expected mdkern.lammps.attach for it"
            )
        rng = np.random.default_rng(1)
        first = np.concatenate([[0], np.cumsum(rng.integers(1, 7, size=64))])
        n, m = len(first) - 1, int(first[-1])
        kinds_i, kinds_j = rng.choice(self._kinds, size=n), rng.choice(self._kinds, size=m)
        way = rng.normal(size=(m, 3))
        way /= np.linalg.norm(way, axis=1)[:, None]
        rij = rng.uniform(0.3, 1.0, size=(m, 1)) * self._model.cutoff * way
        stars = self._stars(first, kinds_i, kinds_j, rij)
        on_centre, on_ghosts = stars.forces[:n], np.add.reduceat(stars.forces[n:], first[:-1])
        largest = np.abs(on_centre).max()
        if np.abs(on_centre + on_ghosts).max() <= 1e-9 * largest:
            return False
        pairs = self._pairs(first, kinds_i, kinds_j, rij)
        of_pairs = np.add.reduceat(pairs.forces[:m], first[:-1])
        energies = np.add.reduceat(pairs.energies, first[:-1])
        if (
            not stars.forces[n:].any()
            and np.abs(of_pairs - on_centre).max() <= 1e-9 * largest
            and np.allclose(energies, stars.energies, rtol=1e-9)
        ):
            return True
        raise UnsupportedError(
            f"calculator: {name} adds pair and many-body terms, whose derivatives by single vectors the core does not give; "
            "expected mdkern.lammps.attach for it"
        )

    def __getstate__(self) -> dict[str, Any]:
        return {
            "calculator": self.calculator,
            "elements": self.element_types,
            "threads": self._threads,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["calculator"], state["elements"], threads=state["threads"])  # type: ignore[misc]


def _end_all() -> None:
    try:
        from mpi4py import MPI
    except ImportError:  # the others cannot be reached
        return
    if MPI.Is_initialized() and MPI.COMM_WORLD.Get_size() > 1:
        abort(MPI.COMM_WORLD)
