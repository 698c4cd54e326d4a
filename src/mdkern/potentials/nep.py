"""Neuroevolution potentials (NEP)."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdkern import _core, checks
from mdkern.errors import UnsupportedError
from mdkern.io.nep import BODY_ORDERS, NepModel, NepNetworks, read_nep
from mdkern.potentials.base import InCore
from mdkern.potentials.nep_tables import cubic_terms, index, polynomial, weight

__all__ = ["NEP", "NEPTensor", "fields_of", "kernel_of"]

_LANES = 16  # lengths that the kernel reads by vectors are multiples of this (cpp/potentials/nep/nep.hpp)

# Ziegler, Biersack, Littmark (1985), with the constants of GPUMD.
_COULOMB = 14.399645  # e^2 / (4 pi eps0) in eV Angstrom
_UNIVERSAL = (0.18175, 3.1998, 0.50986, 0.94229, 0.28022, 0.4029, 0.02817, 0.20162)

Array = NDArray[Any]


class NEP(InCore):
    r"""Neuroevolution potential of GPUMD: NEP3, NEP4 and NEP5, with and without ZBL, and NEP4 with charges (qNEP).

    .. math:: E = \sum_i \sum_\mu w^1_\mu \tanh\Big(\sum_d w^0_{\mu d}\, q_{id} - b^0_\mu\Big) - b

    with descriptors q of two to five bodies (Z. Fan et al., J. Chem. Phys. 157, 114801 (2022); K. Song et al.,
    Nat. Commun. 15, 10208 (2024)). Energies of atoms and, as GPUMD has them, virials of atoms credited to the neighbor of
    each pair; ``stresses`` has their symmetric part.

    Models with charges (``nep4_charge1`` to ``3``) add :math:`E_C(Q)` of charges :math:`Q_i = \sum_\mu w^c_\mu \tanh(...)`
    less their mean: 1, an Ewald sum; 2, its reciprocal part; 3, its real part, shifted. Their calculator also has
    "charges" and "born_effective_charges" (see :meth:`born_effective_charges`). 1 and 2 need a periodic cell.

    Parameters
    ----------
    path : str
        A ``nep.txt`` file, or what :func:`mdkern.io.nep.read_nep` made of one: `model` of another potential.
    precision : {"double", "single"}
        Of the loops over neighbors and the network. With "single", positions are subtracted and forces and energies
        added up in double; energies are then good to some 1e-6 relative, forces to some 1e-5 of the largest.

    Raises
    ------
    FormatError
        The file does not follow the format.
    UnsupportedError
        A model with dispersion or temperature, or one of a tensor (see :class:`NEPTensor`).
    OSError
        The file cannot be read.
    """

    core_name = "nep"

    def __init__(
        self, path: str | os.PathLike[str] | NepModel, *, precision: str = "double"
    ) -> None:
        self.model = path if isinstance(path, NepModel) else read_nep(path)
        if self.model.kind != "potential":
            raise UnsupportedError(
                f"{self.model.path}:1: a {self.model.kind} model has no energy; use NEPTensor"
            )
        self.precision = checks.precision(precision)
        self.species: tuple[str, ...] = self.model.species
        self.cutoff: float = self.model.cutoff
        self.make()

    def make(self) -> None:
        """Make the core's potential from the present parameters."""
        self._kernel = kernel_of(self.model, precision=self.precision)

    @property
    def source(self) -> NepModel:
        """The model as read."""
        return self.model

    def fields(self) -> dict[str, Any]:
        """Arrays of the kernel (cpp/potentials/nep/nep.hpp)."""
        return fields_of(self.model, precision=self.precision)

    def born_effective_charges(self, neighbors: Any, *, threads: int = 0) -> Array:
        r"""Born effective charges of a model with charges on a neighbor table, (n, 3, 3) in e.

        .. math:: Z_i = \sqrt{\epsilon_\infty} \Big(Q_i \mathbf 1 + \tfrac12 \sum_j (\mathbf r_{ij} \otimes
            \mathbf p_{ij} - \mathbf r_{ji} \otimes \mathbf p_{ji})\Big), \quad
            \mathbf p_{ij} = \partial Q_i / \partial \mathbf r_{ij}

        The square root is a parameter of the model.

        Raises
        ------
        UnsupportedError
            The model has no charges.
        """
        if self.model.charge is None:
            raise UnsupportedError(
                f"{self.model.path}:1: {self.model.tag}: a model without charges"
            )
        raw, sums = self._kernel.born(neighbors, threads)
        z = sums.reshape(-1, 3, 3)
        charges = raw - raw.mean() if len(raw) else raw
        z += charges[:, None, None] * np.eye(3)
        return np.asarray(self.model.charge.sqrt_eps_inf * z)


class NEPTensor:
    r"""Dipole or polarizability model of GPUMD (N. Xu et al., J. Chem. Theory Comput. 20, 3273 (2024)).

    .. math:: \boldsymbol\mu = -\sum_{ij} r_{ij}^2\, \mathbf p_{ij}, \qquad
        \boldsymbol\alpha = \sum_i P_i\, \mathbf 1 - \sum_{ij} \mathbf r_{ij} \otimes \mathbf p_{ij}, \qquad
        \mathbf p_{ij} = \partial U_i / \partial \mathbf r_{ij}

    in the units of the training data.

    Parameters
    ----------
    path : str
        A ``nep.txt`` file of kind dipole or polarizability.
    precision : {"double", "single"}
        As for :class:`NEP`.

    Raises
    ------
    FormatError, OSError
        As :class:`NEP`.
    UnsupportedError
        The model is a potential.
    """

    def __init__(
        self, path: str | os.PathLike[str] | NepModel, *, precision: str = "double"
    ) -> None:
        self.model = path if isinstance(path, NepModel) else read_nep(path)
        if self.model.kind == "potential":
            raise UnsupportedError(f"{self.model.path}:1: a potential; use NEP")
        self.precision = checks.precision(precision)
        self.species: tuple[str, ...] = self.model.species
        self.cutoff: float = self.model.cutoff
        self.kind = self.model.kind
        self._make()

    def _make(self) -> None:
        self._kernel = kernel_of(self.model, precision=self.precision)
        self._scalar = None
        if self.model.scalar is not None:
            self._scalar = kernel_of(self.model, self.model.scalar, precision=self.precision)

    @property
    def source(self) -> NepModel:
        """The model as read."""
        return self.model

    def compute(self, neighbors: Any, *, threads: int = 0) -> Array:
        """Dipole (3,) or polarizability (3, 3) on a neighbor table."""
        virial = self._kernel.compute(neighbors, False, threads)[3]
        if self._scalar is None:
            return np.asarray(virial[:3])
        xx, yy, zz, yz, xz, xy = virial
        isotropic = self._scalar.compute(neighbors, False, threads)[0]
        return np.asarray(
            np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]) + isotropic * np.eye(3)
        )

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_kernel", "_scalar")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._make()


def kernel_of(
    model: NepModel, networks: NepNetworks | None = None, *, precision: str = "double"
) -> Any:
    """The core's potential for a model, with other networks than its own on request."""
    return _core.Potential({"potential": "nep"} | fields_of(model, networks, precision=precision))


def fields_of(
    model: NepModel, networks: NepNetworks | None = None, *, precision: str = "double"
) -> dict[str, Any]:
    """The model as the kernel reads it (layouts: cpp/potentials/nep/nep.hpp)."""
    real = np.float32 if precision == "single" else np.float64
    rc_radial, rc_angular = (model.pair_cutoffs(x) for x in (model.rc_radial, model.rc_angular))
    keep = rc_radial.copy()
    arrays: dict[str, Any] = _angular_algebra(model)
    if model.zbl is not None:
        arrays |= _repulsion(model)
        keep = np.maximum(keep, np.minimum(model.zbl.outer, rc_angular.max()))
    uniform = all(np.ptp(x) == 0.0 for x in (rc_radial, rc_angular, keep))
    value_r, slope_r = _series(model.c_radial)
    value_a, slope_a = _series(model.c_angular)
    tables: dict[str, Array] = {
        "inverse_rc_radial": 1.0 / rc_radial,
        "inverse_rc_angular": 1.0 / rc_angular,
        "rc2_angular": rc_angular**2,
        "radial_kn": _pad(value_r.transpose(2, 3, 1, 0)),
        "radial_nk": _pad(np.stack([value_r, slope_r]).transpose(3, 4, 1, 0, 2)),
        "angular": np.stack([value_a, slope_a]).transpose(3, 4, 1, 2, 0),
    }
    net = model.networks if networks is None else networks
    w0 = net.w0 * model.q_scaler
    tables |= {
        "w0_dh": _pad(w0.transpose(0, 2, 1)),
        "w0_hd": _pad(w0),
        "b0": _pad(net.b0),
        "w1": _pad(net.w1),
    }
    if model.charge is not None:
        tables["w1_charge"] = _pad(model.charge.networks.w1)
        arrays["rc2_radial"] = rc_radial**2
        arrays["charge_range"] = float(model.rc_radial.max())
        arrays["charge_mode"] = model.charge.mode
    largest = max(float(np.abs(x).max(initial=0.0)) for x in tables.values())
    end = float(np.finfo(real).max)
    if largest > end:
        raise UnsupportedError(
            f"{model.path}: numbers up to {largest:.3g}; expected at most {end:.3g} with precision={precision!r}"
        )
    arrays |= {name: np.ascontiguousarray(x, dtype=real) for name, x in tables.items()}
    arrays |= {"bias": net.bias, "keep": keep**2}
    return {
        **arrays,
        "l_max": model.l_max,
        "n_radial": model.c_radial.shape[0],
        "n_angular": model.c_angular.shape[0],
        "k_radial": model.c_radial.shape[1],
        "k_angular": model.c_angular.shape[1],
        "hidden": model.hidden,
        "cutoff": float(keep.max()),
        "uniform_cutoff": bool(uniform),
        "dipole": model.kind == "dipole",
        "single": real is np.float32,
    }


def _series(c: Array) -> tuple[Array, Array]:
    """Chebyshev coefficients of P and dP/dx, where sum_k c_k (T_k + 1)/2 with f_0 = fc is fc P."""
    value = 0.5 * c
    value[:, 0] = c[:, 0] + 0.5 * c[:, 1:].sum(axis=1)
    slope = np.zeros_like(value)
    if c.shape[1] > 1:
        slope[:, :-1] = np.polynomial.chebyshev.chebder(value, axis=1)
    return value, slope


def _pad(x: Array) -> Array:
    """Zeros behind the last axis up to a multiple of the lanes."""
    widths = [(0, 0)] * (x.ndim - 1) + [(0, -x.shape[-1] % _LANES)]
    return np.pad(x, widths)


def _basis_place(l_max: int, m: int, part: str, k: int) -> int:
    """Place of z^k Re/Im (x + i y)^m in the kernel's sums; 0 is the constant (cpp/potentials/nep/nep_basis.hpp)."""
    if m == 0:
        return k
    return (
        (l_max + 1)
        + sum(2 * (l_max - q + 1) for q in range(1, m))
        + ((l_max - m + 1) * (part == "s") + k)
    )


def _angular_algebra(model: NepModel) -> dict[str, Array]:
    """Harmonics by monomials, weights of the 3-body and terms of the 4- and 5-body descriptors."""
    rows, coefficients = [], []
    weights = np.empty((model.l_max + 1) ** 2 - 1)
    for l in range(1, model.l_max + 1):
        for m in range(l + 1):
            for part in ("c", "s") if m else ("c",):
                place = index(l, m, part)
                weights[place] = weight(l, m) * (2 if m else 1)
                for k, c in enumerate(polynomial(l, m)[0]):
                    if c:
                        rows.append((place, _basis_place(model.l_max, m, part, k)))
                        coefficients.append(float(c))
    bodies: list[tuple[int, int]] = []
    terms: list[tuple[int, int, int]] = []
    term_c: list[float] = []
    for name in model.bodies:
        if name == "1111":
            bodies.append((-1, -1))
            continue
        begin = len(terms)
        for value, i, j, k in cubic_terms(*BODY_ORDERS[name]):
            terms.append((i, j, k))
            term_c.append(value)
        bodies.append((begin, len(terms)))
    return {
        "map": np.array(rows, dtype=np.int32).reshape(-1, 2),
        "map_c": np.array(coefficients),
        "weight": weights,
        "bodies": np.array(bodies, dtype=np.int32).reshape(-1, 2),
        "terms": np.array(terms, dtype=np.int32).reshape(-1, 3),
        "term_c": np.array(term_c, dtype=np.float64),
    }


def _repulsion(model: NepModel) -> dict[str, Any]:
    from ase.data import atomic_numbers

    assert model.zbl is not None
    z = np.array([atomic_numbers[s] for s in model.species], dtype=np.float64)
    n = len(z)
    phi = np.broadcast_to(_UNIVERSAL, (n, n, 8)) if model.zbl.phi is None else model.zbl.phi
    power = z**0.23
    outer_range = min(float(model.zbl.outer.max()), float(model.rc_angular.max()))
    return {
        "zbl_inner": np.ascontiguousarray(model.zbl.inner),
        "zbl_outer": np.ascontiguousarray(model.zbl.outer),
        "zbl_charge": _COULOMB * np.outer(z, z),
        "zbl_inverse_length": (power[:, None] + power[None, :]) * 2.134563,
        "zbl_phi": np.ascontiguousarray(phi),
        "zbl_range": outer_range,
    }
