"""Behler-Parrinello networks of n2p2 and RuNNer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import units
from numpy.typing import NDArray

from mdkern import _core, checks
from mdkern.io.behler_parrinello import BehlerParrinelloModel, read_behler_parrinello
from mdkern.potentials.base import InCore, Result, SpeciesMap, say_once
from mdkern.potentials.behler_parrinello_tables import function_union, kernel_fields, range_of

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["BehlerParrinello"]

LENGTHS = {"bohr": units.Bohr, "angstrom": 1.0, "nm": units.nm}
ENERGIES = {
    "hartree": units.Hartree,
    "ev": 1.0,
    "rydberg": units.Rydberg,
    "kcal/mol": units.kcal / units.mol,
    "kj/mol": units.kJ / units.mol,
}


class BehlerParrinello(InCore):
    r"""High-dimensional neural network potential of the second generation, as n2p2 and RuNNer train them.

    .. math:: E = \sum_i \Big[\frac{NN_{e(i)}(\mathbf G_i)}{c} + \bar E + E_0(e_i)\Big]

    with symmetry functions G of the neighbors of atom i (J. Behler and M. Parrinello, Phys. Rev. Lett. 98, 146401 (2007);
    A. Singraber, J. Behler and C. Dellago, J. Chem. Theory Comput. 15, 1827 (2019)). All types of n2p2: 2, 3, 9, 12, 13 and 20 to 25.

    Parameters
    ----------
    path : str or list of str
        A folder with ``input.nn``, ``scaling.data`` and ``weights.*.data``, or its ``input.nn``. A list of folders, or a folder of
        folders ``nnp-*``, is a committee: energy and forces are the mean of its members.
    length_unit : str or float
        Of the files, which do not say: "bohr", "angstrom", "nm", or a number in Angstrom.
    energy_unit : str or float
        "hartree", "eV", "rydberg", "kcal/mol", "kJ/mol", or a number in eV.

    Raises
    ------
    ValueError
        Unknown units.
    FormatError
        A file does not follow the format.
    UnsupportedError
        A model with something that is not evaluated, such as charges; names it.
    OSError
        A file cannot be read.

    Attributes
    ----------
    n_members : int
        Of the committee.
    """

    core_name = "behler_parrinello"

    def __init__(
        self,
        path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | BehlerParrinelloModel,
        *,
        length_unit: str | float = "bohr",
        energy_unit: str | float = "hartree",
        precision: str = "double",
    ) -> None:
        # Every potential takes it; this one has no choice to offer.
        checks.double_only("BehlerParrinello", precision)
        self.length = _unit("length_unit", length_unit, LENGTHS)
        self.energy = _unit("energy_unit", energy_unit, ENERGIES)
        self.model = (
            path if isinstance(path, BehlerParrinelloModel) else read_behler_parrinello(path)
        )
        self.species: tuple[str, ...] = self.model.species
        self.n_members = len(self.model.members)
        message = (
            f"{self.model.path}: symmetry functions of some atoms are beyond the range of the training (scaling.data);"
            " BehlerParrinello.extrapolations counts them"
        )
        self._unsaid = [message]
        self.make()
        self.cutoff = float(self._kernel.cutoff)

    @property
    def source(self) -> BehlerParrinelloModel:
        """The model as read."""
        return self.model

    def fields(self) -> dict[str, Any]:
        """Tables and nets of the kernel (cpp/potentials/behler_parrinello)."""
        return kernel_fields(self.model, self.length, self.energy)

    def extrapolations(self, atoms: Atoms, *, threads: int = 0) -> NDArray[np.int64]:
        """Number of symmetry functions of each atom that are beyond the range of the training: n2p2's extrapolation warnings.

        Of a committee it counts what is beyond the range of any member.

        Returns
        -------
        (n,) int array
        """
        table = _core.NeighborTable(self.cutoff, 0.0)
        kinds = SpeciesMap(self.species)(checks.atomic_numbers(atoms.numbers))
        cell, pbc = checks.cell(atoms.cell), checks.directions("pbc", atoms.pbc)
        table.update(checks.positions(atoms.positions), cell, pbc, kinds, threads)
        values = self._kernel.descriptors(table, threads)
        out = np.zeros(len(values), dtype=np.int64)
        for e in range(len(self.species)):
            lower, upper = range_of(self.model, e)
            g = values[kinds == e, : len(lower)]
            out[kinds == e] = ((g < lower) | (g > upper)).sum(axis=1)
        return out

    def compute(self, neighbors: Any, *, virials: bool | int = False, threads: int = 0) -> Result:
        """Energy, forces and virial; ``overflow`` says that symmetry functions are beyond the range of the training."""
        return super().compute(neighbors, virials=virials, threads=threads)

    def warn(self, overflow: bool) -> None:
        """Say once what :attr:`Result.overflow` means; for who evaluates by :meth:`force_step`."""
        if overflow:
            say_once(self._unsaid)

    def n_functions(self, symbol: str) -> int:
        """Symmetry functions of an element."""
        return len(function_union(self.model, self.species.index(symbol)))


def _unit(name: str, value: str | float, known: dict[str, float]) -> float:
    if isinstance(value, str):
        if value.lower() not in known:
            raise ValueError(f"{name}: {value!r}; expected a number or one of {', '.join(known)}")
        return known[value.lower()]
    return checks.positive(name, value)
