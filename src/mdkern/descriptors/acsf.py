"""Atom-centered symmetry functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import ArrayLike, NDArray

from mdkern import _core, checks
from mdkern.descriptors.base import Descriptor, Environments

__all__ = ["ACSF"]

Float = NDArray[np.float64]
_MAX_INTEGER = 64  # larger powers by exp and log, where the base cannot be negative
_MAX_LOG = math.log(1e300)


class ACSF(Descriptor):
    r"""Atom-centered symmetry functions of J. Behler, J. Chem. Phys. 134, 074106 (2011).

    With :math:`f(r) = \tfrac12 (1 + \cos(\pi r / r_c))`, sums over neighbors j and unordered pairs j, k of neighbors,

    .. math::
       G^1 &= \sum f(r_j), \quad G^2 = \sum e^{-\eta (r_j - R_s)^2} f(r_j), \quad G^3 = \sum \cos(\kappa r_j) f(r_j) \\
       G^4 &= 2^{1-\zeta} \sum (1 + \lambda \cos\theta)^\zeta e^{-\eta (r_j^2 + r_k^2 + r_{jk}^2)} f(r_j) f(r_k) f(r_{jk}) \\
       G^5 &= 2^{1-\zeta} \sum (1 + \lambda \cos\theta)^\zeta e^{-\eta (r_j^2 + r_k^2)} f(r_j) f(r_k)

    Names, values and order of features are those of DScribe 2.1: per species G1, G2, G3; then per pair of species
    (0, 0), (1, 0), (1, 1), (2, 0), ... G4, G5; species by atomic number.

    Parameters
    ----------
    species : list of str or int
        Chemical symbols or atomic numbers.
    r_cut : float
        Angstrom.
    g2_params : (k, 2) array, optional
        Rows (eta, R_s), in 1 / Angstrom^2 and Angstrom.
    g3_params : (k,) array, optional
        kappa in 1 / Angstrom.
    g4_params, g5_params : (k, 3) array, optional
        Rows (eta, zeta, lambda), eta in 1 / Angstrom^2. lambda is any finite number, as in DScribe, though Behler's are +-1; beyond
        these zeta has to be an integer, as ``1 + lambda cos`` may be negative.
    periodic, sparse, dtype
        As for :class:`SOAP`.

    Raises
    ------
    ValueError
        A parameter out of range, tables of the wrong shape.
    """

    _attach = True
    _points = False

    def __init__(
        self,
        species: Any = None,
        r_cut: float | None = None,
        g2_params: ArrayLike | None = None,
        g3_params: ArrayLike | None = None,
        g4_params: ArrayLike | None = None,
        g5_params: ArrayLike | None = None,
        periodic: bool = False,
        sparse: bool = False,
        dtype: str = "float64",
    ) -> None:
        self._arguments = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        end = checks.positive("r_cut", r_cut)
        super().__init__(species, end, end, periodic=periodic, sparse=sparse, dtype=dtype)
        self.g2 = _rows("g2_params", g2_params, 2)
        self.g3 = _rows("g3_params", g3_params, 1)[:, 0].copy()
        self.g4 = _angular("g4_params", g4_params)
        self.g5 = _angular("g5_params", g5_params)
        if (self.g2[:, 0] <= 0).any():
            raise ValueError(f"g2_params: eta {self.g2[:, 0].min()}; expected positive numbers")
        self._kernels = _core.Acsf(self.core_fields())

    def core_fields(self) -> dict[str, Any]:
        """What the core makes the descriptor from (``cpp/descriptors/acsf_model.hpp``)."""
        return {
            "kind": "acsf",
            "n_species": len(self.species),
            "cutoff": float(self.reach),
            "g2": self.g2,
            "g3": self.g3,
            "closed": _factors(self.g4),
            "open": _factors(self.g5),
        }

    def __repr__(self) -> str:
        names = ", ".join(f"{k}={v!r}" for k, v in self._arguments.items() if v is not None)
        return f"ACSF({names})"

    def feature_names(self) -> list[str]:
        """As "G2 H eta=1 R_s=0"."""
        symbols = [chemical_symbols[z] for z in self.species]
        out = []
        for s in symbols:
            out.append(f"G1 {s}")
            out += [f"G2 {s} eta={eta:g} R_s={rs:g}" for eta, rs in self.g2]
            out += [f"G3 {s} kappa={kappa:g}" for kappa in self.g3]
        for a in range(len(symbols)):
            for b in range(a + 1):
                for name, rows in (("G4", self.g4), ("G5", self.g5)):
                    out += [
                        f"{name} {symbols[b]}-{symbols[a]} eta={eta:g} zeta={zeta:g} lambda={lam:g}"
                        for eta, zeta, lam in rows
                    ]
        return out

    def _attached(self, attach: bool | None) -> bool:
        if attach is not None and not checks.flag("attach", attach):
            raise ValueError(
                "attach: False; the centers of ACSF are atoms and move with them, expected True"
            )
        return True

    def _dense(self, env: Environments, column: Any, attach: bool, out: Any, team: int) -> None:
        self._kernels.dense_jacobian(env.table, env.centers, column, attach, out, team)


def _rows(name: str, given: ArrayLike | None, width: int) -> Float:
    if given is None:
        return np.zeros((0, width))
    rows: Float = checks.numbers(name, given, f"rows of {width} finite numbers").copy()
    if width == 1 and rows.ndim == 1:
        rows = rows[:, None]
    if rows.size == 0:
        return np.zeros((0, width))
    if rows.ndim != 2 or rows.shape[1] != width or not np.isfinite(rows).all():
        raise ValueError(f"{name}: {checks.shown(given)}; expected rows of {width} finite numbers")
    return rows


def _angular(name: str, given: ArrayLike | None) -> Float:
    rows = _rows(name, given, 3)
    for eta, zeta, lam in rows:
        if eta < 0:
            raise ValueError(f"{name}: eta {eta:g}; expected a number >= 0")
        if zeta <= 0:
            raise ValueError(f"{name}: zeta {zeta:g}; expected a positive number")
        if abs(lam) > 1 and zeta != int(zeta):
            raise ValueError(
                f"{name}: zeta {zeta:g} with lambda {lam:g}; expected an integer zeta, as 1 + lambda cos may be negative"
            )
        if zeta * math.log1p(abs(lam)) > _MAX_LOG:
            raise ValueError(
                f"{name}: zeta {zeta:g} with lambda {lam:g}; expected (1 + |lambda|)^zeta below 1e300"
            )
    return rows


def _exponent(x: float, of: float) -> int:
    """k where x = k of within rounding and k is small, else 0."""
    if of <= 0:
        return 0
    k = round(x / of)
    return k if 1 <= k <= _MAX_INTEGER and abs(x - k * of) <= 4e-16 * x else 0


def _earlier(values: Any, candidates: Any, i: int) -> tuple[int, int]:
    """The candidate of which value i is the smallest power, and the exponent; (-1, 0): none."""
    found = [(_exponent(values[i], values[j]), j) for j in candidates]
    k, j = min(((k, j) for k, j in found if k), default=(0, -1))
    return j, k


def _factors(rows: Float) -> dict[str, Any]:
    """Each function as a product: indices of the distinct factors, and of what each of them is a power (acsf.hpp)."""
    eta, eta_of = np.unique(rows[:, 0], return_inverse=True)
    eta_power = [_earlier(eta, range(i), i) for i in range(len(eta))]
    angle, angle_of = np.unique(
        rows[:, [2, 1]], axis=0, return_inverse=True
    )  # by lambda, then zeta
    lam, lambda_of = np.unique(angle[:, 0], return_inverse=True)
    lambda_of, zeta = lambda_of.ravel(), angle[:, 1].copy()
    zeta_power = []
    for i, z in enumerate(zeta):
        j, k = _earlier(zeta, [j for j in range(i) if lambda_of[j] == lambda_of[i]], i)
        most = _MAX_INTEGER if abs(angle[i, 0]) <= 1 else math.inf
        whole = int(z) if z == int(z) and z <= most else 0
        zeta_power.append((j, k) if k else (-1, whole))
    integers = {
        "eta_of": eta_of,
        "angle_of": angle_of,
        "lambda_of": lambda_of,
        "eta_power": np.reshape(eta_power, (-1, 2)),
        "zeta_power": np.reshape(zeta_power, (-1, 2)),
    }
    return {
        **{k: np.ascontiguousarray(np.asarray(v), dtype=np.int32) for k, v in integers.items()},
        "eta_of": np.asarray(eta_of).ravel().astype(np.int32),
        "angle_of": np.asarray(angle_of).ravel().astype(np.int32),
        "factor": 2.0 ** (1.0 - rows[:, 1]),
        "eta": eta,
        "zeta": zeta,
        "lambda": lam,
    }
