"""The atomic cluster expansion (ACE), and GRACE/FS."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdkern import checks
from mdkern.errors import UnsupportedError
from mdkern.io.ace import AceFunction, AceModel, read_ace
from mdkern.potentials.base import InCore

__all__ = ["ACE", "fields_of"]

Array = NDArray[np.float64]
Indices = NDArray[np.int32]

_BASES = {"ChebExpCos": 0, "ChebPow": 1, "ChebLinear": 2, "SBessel": 3, "zero": 4}
_INNER = {"density": 0, "distance": 1, "zbl": 2}
_MOST_L, _MOST_DENSITIES, _MOST_RANK = 12, 16, 32  # cpp/potentials/ace/ace.hpp, ace_graph.hpp


class ACE(InCore):
    r"""Atomic cluster expansion: ``.yace`` and ``.ace`` files of pacemaker, GRACE/FS ``.yaml`` files of gracemaker.

    .. math:: E = \sum_i \Big[ P(\rho^c_i) \sum_p w_p\, f_{m_p}(\rho_{ip}) + \rho^c_i + E_0 \Big], \qquad
        \rho_{ip} = \sum_t c_{tp} \,\mathrm{Re} \prod_k A_{i,tk}, \qquad
        A_{i,\mu nlm} = \sum_{j \in \mu} R_{nl}(r_{ij})\, Y_{lm}(\hat{\mathbf r}_{ij})

    with the core repulsion :math:`\rho^c_i = \sum_j h(r_{ij})` (R. Drautz, Phys. Rev. B 99, 014104 (2019); Y. Lysogorskiy et
    al., npj Comput. Mater. 7, 97 (2021)). GRACE/FS models have real harmonics and A that are summed over the elements of
    the neighbors with weights (A. Bochkarev et al., Phys. Rev. X 14, 021036 (2024)).

    Parameters
    ----------
    path : str
        A file, whose format is told by its content; or what :func:`mdkern.io.ace.read_ace` made of one.
    precision : {"double"}
        Single precision is not offered.

    Raises
    ------
    ValueError
        Another precision.
    FormatError
        The file does not follow its format.
    UnsupportedError
        A model with something that is not evaluated; names it.
    OSError
        The file cannot be read.
    """

    core_name = "ace"

    def __init__(
        self, path: str | os.PathLike[str] | AceModel, *, precision: str = "double"
    ) -> None:
        self.model = path if isinstance(path, AceModel) else read_ace(path)
        self.precision = checks.precision(precision)
        if self.precision != "double":
            raise ValueError(f"precision: {precision!r}; expected 'double', which ACE needs")
        self.species: tuple[str, ...] = self.model.elements
        self.cutoff = self.model.cutoff
        self.make()

    @property
    def source(self) -> AceModel:
        """The model as read."""
        return self.model

    def fields(self) -> dict[str, Any]:
        """Arrays of the kernel (cpp/potentials/ace/ace_model.cpp)."""
        return fields_of(self.model)


def fields_of(model: AceModel, *, functions: bool = False) -> dict[str, Any]:
    """The model as the kernel reads it: with what the densities sum up to, or with its functions one by one."""
    from ase.data import atomic_numbers

    _check_limits(model)
    n = len(model.elements)
    real = model.kind == "grace"
    pairs = [(0, 0)] if real else [(i, j) for i in range(n) for j in range(n)]
    fields: dict[str, Any] = {
        "real": real,
        "l_max": int(model.l_max),
        "n_max": int(model.n_radial_max),
        "n_base": int(model.n_radial_base),
        "spline_bins": float(model.spline_bins),
        "inner": _INNER[model.inner],
        "e0": _doubles(model.e0 + model.shift),
        "charges": np.array([float(atomic_numbers[x]) for x in model.elements]),
        "species_weights": _doubles(model.norm * model.species_weights),
        "pairs": [
            {
                "basis": _BASES[bond.basis],
                "parameter": float(bond.parameter),
                "c": _doubles(bond.coefficients),
                "cutoff": float(bond.cutoff),
                "dcut": float(bond.dcut),
                "prehc": float(bond.prehc),
                "lambdahc": float(bond.lambdahc),
                "r_in": float(bond.r_in),
                "d_in": float(bond.d_in),
            }
            for bond in (model.bonds[pair] for pair in pairs)
        ],
        "centers": [_center(model, i, functions) for i in range(n)],
    }
    return fields


def _check_limits(model: AceModel) -> None:
    """Refuse what is larger than the kernel's arrays."""
    densities = max(len(e.weights) for e in model.embeddings)
    ranks = [len(f.ns) for functions in model.functions for f in functions]
    for name, value, most in (
        ("lmax", model.l_max, _MOST_L),
        ("ndensity", densities, _MOST_DENSITIES),
        ("rank", max(ranks, default=0), _MOST_RANK),
    ):
        if value > most:
            raise UnsupportedError(f"{model.path}: {name} {value}; expected at most {most}")


def _center(model: AceModel, i: int, functions: bool) -> dict[str, Any]:
    embedding, products = model.embeddings[i], model.products[i]
    center: dict[str, Any] = {
        "shifted": embedding.kind == "FinnisSinclairShiftedScaled",
        "w": _doubles(model.scale * embedding.weights),
        "m": _doubles(embedding.exponents),
        "rho_cut": float(embedding.rho_cut),
        "drho_cut": float(embedding.drho_cut),
    }
    if functions:
        return center | {"functions": _functions(model, model.functions[i])}
    return center | {
        "rank1": _indices(products.rank1).reshape(-1, 2),
        "rank1_c": _doubles(products.rank1_coefficients).reshape(-1, len(embedding.weights)),
        "a": _indices(products.a_index).reshape(-1, 4),
        "terms": [
            {"index": _indices(products.terms[r]), "c": _doubles(products.coefficients[r])}
            for r in sorted(products.terms)
        ],
    }


def _functions(model: AceModel, functions: tuple[AceFunction, ...]) -> dict[str, Any]:
    """Factors (mu, n, l) of each function, m of its terms, and the coefficients that are its value's."""
    factors, ms, couplings = [], [], []
    for f in functions:
        one = np.column_stack([f.mus, f.ns, f.ls])
        if model.kind == "ace" and len(f.ns) == 1:
            one[:, 2] = -1  # a sum of the g_k, which has no l
        factors.append(one)
        ms.append(np.ravel(f.ms))
        couplings.append(coupling_of(f))
    return {
        "rank": _indices([len(f.ns) for f in functions]),
        "terms": _indices([len(f.ms) for f in functions]),
        "factors": _indices(np.concatenate([*factors, np.zeros((0, 3))])),
        "ms": _indices(np.concatenate([*ms, np.zeros(0)])),
        "c": _doubles(np.concatenate([*couplings, np.zeros(0)])),
    }


def coupling_of(f: AceFunction) -> Array:
    """Coefficients of the terms of B; of a function that has some for each density, those of the first that is not zero."""
    if f.couplings.ndim == 1:
        return f.couplings
    used = np.flatnonzero(np.any(f.couplings != 0.0, axis=0))
    return _doubles(f.couplings[:, used[0] if len(used) else 0])


def _doubles(x: Any) -> Array:
    return np.ascontiguousarray(x, dtype=np.float64)


def _indices(x: Any) -> Indices:
    return np.ascontiguousarray(x, dtype=np.int32)
