"""The functions inside models of the atomic cluster expansion."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdkern import _core, checks
from mdkern.descriptors.model import ModelDescriptor
from mdkern.errors import UnsupportedError
from mdkern.io.ace import AceFunction, AceModel, read_ace
from mdkern.potentials.ace import coupling_of, fields_of
from mdkern.potentials.base import SpeciesMap

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["ACEDescriptor"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Environments:
    """Atoms and those of them whose features are wanted."""

    atoms: Atoms
    centers: NDArray[np.int64]


class ACEDescriptor(ModelDescriptor):
    r"""Descriptor of an ACE or GRACE/FS model: the functions B whose weighted sums are its densities.

    .. math:: B_{if} = \sum_t c_{ft} \,\mathrm{Re} \prod_k A_{i, \mu_k n_k l_k m_{tk}}

    (R. Drautz, Phys. Rev. B 99, 014104 (2019)), with the generalised Clebsch-Gordan coefficients c of a GRACE/FS file. A
    ``.yace`` or ``.ace`` file has their products with coefficients of the fit, for each density: c are those of the first
    density, or of the first in which the function has any, as in ``projections`` of python-ace. Dimensionless. Columns
    are, element after element, the functions in the order of the file; an atom has zeros in those of other elements.
    What functions do not have a part in is left out: embedding, core repulsion and what it switches off.

    A model that is linear in the functions, :class:`mdkern.potentials.LinearModel`, costs as much as an ACE with one density.

    Parameters
    ----------
    path : str
        A file as :class:`mdkern.potentials.ACE` takes it; or the `model` of one.
    precision : {"double"}
        The only one; other potentials have "single" as well.
    threads : int, optional
        Threads of each call; by default :func:`mdkern.get_num_threads`.

    Raises
    ------
    ValueError
        Another precision.
    FormatError, UnsupportedError, OSError
        From reading the file.

    Attributes
    ----------
    r_cut : float
        The largest of all pairs of elements (Angstrom).
    species : tuple of int
        Atomic numbers of the elements, in the order of the file.
    """

    average = "off"
    periodic = True
    species: tuple[int, ...]  # type: ignore[assignment]

    def __init__(
        self,
        path: str | os.PathLike[str] | AceModel,
        *,
        precision: str = "double",
        threads: int | None = None,
    ) -> None:
        from ase.data import atomic_numbers

        self.model = path if isinstance(path, AceModel) else read_ace(path)
        if checks.precision(precision) != "double":
            raise ValueError(f"precision: {precision!r}; expected 'double', which ACE needs")
        self.species = tuple(int(atomic_numbers[x]) for x in self.model.elements)
        self.r_cut = self.reach = self.model.cutoff
        self.n_features = self.model.n_functions
        if self.n_features == 0:
            raise UnsupportedError(f"{self.model.path}: no functions; expected at least one")
        self._start(threads)

    def _make(self) -> None:
        self._kernel = self._make_kernel()
        self._kinds = SpeciesMap(self.model.elements)

    def _make_kernel(self) -> Any:
        return _core.Potential({"potential": "ace"} | fields_of(self.model, functions=True))

    def create(
        self,
        a: Atoms | Sequence[Atoms],
        centers: ArrayLike | None = None,
        *,
        threads: int | None = None,
    ) -> Any:
        """Descriptors of atoms.

        Parameters
        ----------
        a : ase.Atoms or list of ase.Atoms
            The structure, or several of them.
        centers : sequence of int, optional
            Indices of the atoms wanted; by default all. For a list of structures one such sequence each.
        threads : int, optional
            In place of those of the descriptor.

        Returns
        -------
        (n_centers, n_features) array, or a list of them
        """
        if threads is None:
            return super().create(a, centers)
        other = object.__new__(ACEDescriptor)
        other.__dict__.update(self.__dict__, _n_threads=checks.threads(threads))
        return ModelDescriptor.create(other, a, centers)

    def feature_names(self) -> list[str]:
        """Name of each feature, such as ``"Al: Ni(1,0) Al(2,1) Al(2,1)"``: element of the atom; of each factor element, n from 1
        and l. Rank 1 of a ``.yace`` has n alone, GRACE/FS no elements; several with the same factors are numbered.
        """
        names = []
        for element, functions in zip(self.model.elements, self.model.functions, strict=True):
            seen: Counter[str] = Counter()
            for f in functions:
                name = f"{element}: {self._factors(f)}"
                seen[name] += 1
                names.append(f"{name} #{seen[name]}" if seen[name] > 1 else name)
        return names

    def _factors(self, f: AceFunction) -> str:
        grace = self.model.kind == "grace"
        rank1 = not grace and len(f.ns) == 1
        return " ".join(
            f"{'' if grace else self.model.elements[mu]}({n + 1}{'' if rank1 else f',{l}'})"
            for mu, n, l in zip(f.mus.tolist(), f.ns.tolist(), f.ls.tolist(), strict=True)
        )

    def to_dict(self) -> dict[str, Any]:
        """What the descriptor was made from, for those who list parameters. It names a file, so :func:`~mdkern.descriptors.from_dict`
        does not take it."""
        return {"descriptor": "ACEDescriptor", "path": self.model.path}

    # --- for linear models and their fits

    def linear_fields(self, weights: Array, intercepts: Array) -> dict[str, Any]:
        """What the core makes sum_f weights_if B_if + intercepts_i from: an ACE with one density, f(x) = x."""
        fields = fields_of(self.model, functions=True)
        fields |= {"potential": "ace", "e0": np.ascontiguousarray(intercepts, dtype=np.float64)}
        at = 0
        for e, (center, functions) in enumerate(
            zip(fields["centers"], self.model.functions, strict=True)
        ):
            own = weights[e, at : at + len(functions)]
            at += len(functions)
            del center["functions"]
            center.update(shifted=True, w=np.ones(1), m=np.ones(1), rho_cut=0.0, drho_cut=0.0)
            center.update(_linear_terms(functions, own, self.model.kind == "ace"))
        for pair in fields["pairs"]:  # a core repulsion, and what goes with it, is no function
            pair["prehc"] = 0.0
        if self.model.inner == "zbl":
            fields["inner"] = 0
        return fields

    def environments(self, a: Atoms, centers: Any, team: int) -> _Environments:  # noqa: ARG002 - the name is the callers'
        """For :func:`mdkern.fitting.fit_linear`."""
        return _Environments(a, np.asarray(centers, dtype=np.int64))

    def summed(self, env: _Environments, team: int) -> tuple[Array, Array, Array]:
        """Features summed over the centers (n_features,), and derivatives of the sum by positions (n_atoms, 3, n_features) and strain
        (3, 3, n_features): one :meth:`vjp` for each feature that the centers have.
        """
        n = len(env.atoms)
        values = self.create(env.atoms, threads=team or None)[env.centers].sum(axis=0)
        gradient, strain = np.zeros((n, 3, self.n_features)), np.zeros((3, 3, self.n_features))
        ends = np.cumsum([0] + [len(functions) for functions in self.model.functions])
        present = np.unique(env.atoms.numbers[env.centers])
        for e, number in enumerate(self.species):
            for f in range(ends[e], ends[e + 1]) if number in present else ():
                w = np.zeros((n, self.n_features))
                w[env.centers, f] = 1.0
                gradient[:, :, f], virial = self.vjp(env.atoms, w)
                strain[:, :, f] = -virial
        return cast("Array", values), gradient, strain


def _linear_terms(functions: tuple[AceFunction, ...], weights: Array, ace: bool) -> dict[str, Any]:
    """Products of one element as the kernel reads those of an ACE (cpp/potentials/ace/ace_model.cpp)."""
    by_rank: dict[int, list[tuple[NDArray[Any], Array]]] = {}
    rank1, rank1_c = [], []
    for f, weight in zip(functions, weights.tolist(), strict=True):
        c = weight * coupling_of(f)
        if ace and len(f.ns) == 1:
            rank1.append((int(f.mus[0]), int(f.ns[0])))
            rank1_c.append(float(c.sum()))
            continue
        factors = np.broadcast_to(np.column_stack([f.mus, f.ns, f.ls]), (len(f.ms), len(f.ns), 3))
        by_rank.setdefault(len(f.ns), []).append(
            (np.concatenate([factors, f.ms[:, :, None]], axis=2), c)
        )
    all_factors = [x.reshape(-1, 4) for parts in by_rank.values() for x, _ in parts]
    index, place = np.unique(
        np.concatenate([*all_factors, np.zeros((0, 4), dtype=np.int64)]),
        axis=0,
        return_inverse=True,
    )
    place, terms, at = place.reshape(-1), [], 0
    for rank, parts in by_rank.items():
        c = np.concatenate([c for _, c in parts])
        rows = place[at : at + rank * len(c)].reshape(-1, rank)
        at += rows.size
        terms.append({"index": np.ascontiguousarray(rows, dtype=np.int32), "c": c[:, None].copy()})
    return {
        "rank1": np.array(rank1, dtype=np.int32).reshape(-1, 2),
        "rank1_c": np.array(rank1_c, dtype=np.float64).reshape(-1, 1),
        "a": np.ascontiguousarray(index, dtype=np.int32),
        "terms": terms,
    }
