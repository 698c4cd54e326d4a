"""SOAP."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from mdkern import _core, checks
from mdkern.descriptors.base import Descriptor, Environments, species_numbers
from mdkern.descriptors.radial import RadialTable, tabulate

__all__ = ["SOAP"]

Float = NDArray[np.float64]
_MODES = ("off", "mu2", "mu1nu1", "crossover")
_WEIGHTS = {None: 0, "poly": 1, "pow": 2, "exp": 3}
_L_MAX = 20


class SOAP(Descriptor):
    r"""Smooth overlap of atomic positions: the power spectrum of the density of neighbors.

    .. math:: p^{Z Z'}_{nn'l} = \pi \sqrt{\tfrac{8}{2l+1}} \sum_m c^Z_{nlm} c^{Z'}_{n'lm}

    (A. P. Bartok, R. Kondor and G. Csanyi, Phys. Rev. B 87, 184115 (2013)); names, values and order of features are those of
    DScribe 2.1 (L. Himanen et al., Comput. Phys. Commun. 247, 106949 (2020)).

    Parameters
    ----------
    species : list of str or int
        Chemical symbols or atomic numbers.
    r_cut : float
        Cutoff of the radial functions in Angstrom, above 1 with "gto". Atoms up to ``r_cut + 3.717 sigma`` count. By
        default from `weighting`.
    n_max, l_max : int
        Number of radial functions; highest angular momentum, up to 20.
    sigma : float
        Width of the Gaussians in Angstrom.
    rbf : {"gto", "polynomial"}
        Orthonormal radial functions, of Gaussians times ``r**l`` or of powers of ``r_cut - r``.
    weighting : dict, optional
        ``{"function": "poly", "r0":, "c":, "m":}``, ``{"function": "pow", "r0":, "c":, "d":, "m":}``, ``{"function": "exp", "r0":, "c":,
        "d":}``, each with an optional ``"w0"``: the weight of the atom on the center; or ``{"w0":}`` alone.
    average : {"off", "inner", "outer"}
        Average over centers of nothing, the coefficients, or the power spectrum.
    compression : dict
        ``{"mode": "off" | "mu2" | "mu1nu1" | "crossover", "species_weighting": {"H": 1.0, ...}}``
    periodic : bool
        Whether periodic directions of the structures count.
    sparse : bool
        Return arrays of the package `sparse`.
    dtype : {"float64", "float32"}
        Of the results; computed in double precision.
    smooth_cutoff : float, optional
        Width in Angstrom of a switch that brings the weight of a neighbor to zero at the end of the reach, with two
        continuous derivatives. Without it a neighbor appears with a small jump, and dynamics does not conserve energy.

    Raises
    ------
    ValueError
        A parameter out of range, or radial functions that are linearly dependent within rounding.
    """

    def __init__(
        self,
        species: Any,
        r_cut: float | None = None,
        n_max: int | None = None,
        l_max: int | None = None,
        sigma: float = 1.0,
        rbf: str = "gto",
        weighting: Mapping[str, Any] | None = None,
        compression: Mapping[str, Any] | None = None,
        average: str = "off",
        periodic: bool = False,
        sparse: bool = False,
        dtype: str = "float64",
        *,
        smooth_cutoff: float | None = None,
    ) -> None:
        self._arguments = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        self.weighting = _check_weighting(weighting)
        r_cut = (
            _weighting_reach(self.weighting) if r_cut is None else checks.positive("r_cut", r_cut)
        )
        self.sigma = checks.positive("sigma", sigma)
        if rbf not in ("gto", "polynomial"):
            raise ValueError(f"rbf: {rbf!r}; expected 'gto' or 'polynomial'")
        if rbf == "gto" and r_cut <= 1.0:
            raise ValueError(f"r_cut: {r_cut!r}; expected more than 1 Angstrom with rbf='gto'")
        self.n_max = checks.whole("n_max", n_max, 1, 64)
        self.l_max = checks.whole("l_max", l_max, 0, _L_MAX)
        self.rbf = rbf
        from mdkern.reference.soap import reach

        end = reach(r_cut, self.sigma)
        super().__init__(
            species, r_cut, end, periodic=periodic, sparse=sparse, dtype=dtype, average=average
        )
        self.smooth_cutoff = (
            0.0 if smooth_cutoff is None else checks.positive("smooth_cutoff", smooth_cutoff)
        )
        if self.smooth_cutoff > end:
            raise ValueError(f"smooth_cutoff: {smooth_cutoff}; expected at most the reach, {end:g}")
        self.mode, self.species_weights = self._check_compression(compression)
        self._kernels = _core.Soap(self.core_fields())

    def __repr__(self) -> str:
        names = ", ".join(f"{k}={v!r}" for k, v in self._arguments.items() if v is not None)
        return f"SOAP({names})"

    def _check_compression(self, compression: Mapping[str, Any] | None) -> tuple[str, Float]:
        given = dict(compression or {})
        unknown = set(given) - {"mode", "species_weighting"}
        if unknown:
            raise ValueError(
                f"compression: key {min(unknown)!r}; expected 'mode', 'species_weighting'"
            )
        mode = given.get("mode", "off")
        if mode not in _MODES:
            raise ValueError(f"compression: mode {mode!r}; expected one of {', '.join(_MODES)}")
        weights = given.get("species_weighting")
        if weights is None:
            return mode, np.ones(len(self.species))
        try:
            by_number = {
                species_numbers([k])[0]: checks.number(f"of {k}", v)
                for k, v in dict(weights).items()
            }
        except (TypeError, ValueError) as e:
            raise ValueError(
                f"species_weighting: {weights!r}; expected species to numbers: {e}"
            ) from e
        if set(by_number) != set(self.species):
            names = ", ".join(chemical_symbols[z] for z in self.species)
            raise ValueError(
                f"species_weighting: {dict(weights)}; expected one number for each of {names}"
            )
        values = np.array([by_number[z] for z in self.species])
        if not np.isfinite(values).all():
            raise ValueError(f"species_weighting: {dict(weights)}; expected finite numbers")
        return mode, values

    def _blocks(self) -> list[tuple[int, int]]:
        from mdkern.reference.soap import power_blocks

        n = len(self.species)
        blocks = [(a, b) for a, b, _ in power_blocks(n, self.mode)]
        return [(0, 0)] if self.mode == "mu2" else blocks

    def core_fields(self) -> dict[str, Any]:
        """What the core makes the descriptor from (``cpp/descriptors/soap_model.hpp``)."""
        n = len(self.species)
        w = self.weighting
        table = _table(self.rbf, self.r_cut, self.n_max, self.l_max, self.sigma)
        self.radial_error = float(table.bound.max())
        channel = np.zeros(n) if self.mode == "mu2" else np.arange(n)
        w0 = w.get("w0")
        return {
            "kind": "soap",
            "n_max": int(self.n_max),
            "l_max": int(self.l_max),
            "cutoff": float(self.reach),
            "table": table.table,
            "harmonics": _harmonics(self.l_max),
            "channel": channel.astype(np.int32),
            "species_weight": self.species_weights,
            "blocks": np.reshape(np.array(self._blocks(), dtype=np.int32), (-1, 2)),
            "total": n if self.mode == "mu1nu1" else -1,
            "weighting": int(_WEIGHTS[w.get("function")]),
            **{f"weight_{key}": float(w.get(key, 1.0)) for key in ("c", "d", "m", "r0")},
            "weight_w0": None if w0 is None else float(w0),
            "switch_width": float(self.smooth_cutoff),
        }

    def get_location(self, species: tuple[Any, Any]) -> slice:
        """Where the features of a pair of species are.

        Raises
        ------
        ValueError
            A species that the descriptor lacks, or a mode of compression without pairs.
        """
        pair = [species_numbers([x])[0] for x in species]
        if len(pair) != 2 or any(z not in self.species for z in pair):
            raise ValueError(f"species: {species!r}; expected two of {self.species}")
        if self.mode in ("mu2", "mu1nu1") or (self.mode == "crossover" and pair[0] != pair[1]):
            raise ValueError(
                f"species: {species!r}; compression {self.mode!r} has no such features"
            )
        wanted = tuple(sorted(self.species.index(z) for z in pair))
        start = 0
        for block in self._blocks():
            size = self._block_size(block)
            if block == wanted:
                return slice(start, start + size)
            start += size
        raise AssertionError

    def _block_size(self, block: tuple[int, int]) -> int:
        n = self.n_max
        return (self.l_max + 1) * (n * (n + 1) // 2 if block[0] == block[1] else n * n)

    def feature_names(self) -> list[str]:
        """As "H-O l=0 n=0 m=1": species (or "all"), l, n and n'."""
        symbols = [*(chemical_symbols[z] for z in self.species), "all"]
        if self.mode == "mu2":
            symbols = ["all"]
        out = []
        for a, b in self._blocks():
            for l in range(self.l_max + 1):
                for n in range(self.n_max):
                    out += [
                        f"{symbols[a]}-{symbols[b]} l={l} n={n} m={m}"
                        for m in range(n if a == b else 0, self.n_max)
                    ]
        return out

    # --- an average of the coefficients is not an average of features

    def _mean(self, env: Environments, team: int) -> Any:
        return self._kernels.mean(env.table, env.centers, team) if self.average == "inner" else None

    def _values(self, env: Environments, team: int) -> Any:
        if self.average != "inner":
            return super()._values(env, team)
        return self._kernels.power(self._mean(env, team)).astype(self.dtype, copy=False)

    def _weighted(self, env: Environments, w: Float, row: Any, team: int) -> Any:
        return self._kernels.vjp(env.table, env.centers, w, row, self._mean(env, team), team)

    def _dense(self, env: Environments, column: Any, attach: bool, out: Any, team: int) -> None:
        average = self.average != "off"
        factor = 1.0 / env.n_centers if average else 1.0
        mean = self._mean(env, team)
        self._kernels.dense_jacobian(
            env.table, env.centers, column, attach, mean, factor, average, out, team
        )

    def summed(self, env: Environments, team: int) -> tuple[Float, Float, Float]:
        f = self.get_number_of_features()
        gradient = np.zeros((1, env.n_atoms, 3, f))
        column = np.arange(env.n_atoms, dtype=np.int32)
        self._kernels.dense_jacobian(
            env.table, env.centers, column, True, None, 1.0, True, gradient, team
        )
        values = self._kernels.values(env.table, env.centers, False, team)
        return values.sum(axis=0), gradient[0], self._strain(env, team).sum(axis=0)

    def _strain(self, env: Environments, team: int) -> Any:
        return self._kernels.strain(env.table, env.centers, self._mean(env, team), team)


def _check_weighting(weighting: Mapping[str, Any] | None) -> dict[str, Any]:
    w = dict(weighting or {})
    kind = w.get("function")
    needed = {
        None: (),
        "poly": ("r0", "c", "m"),
        "pow": ("r0", "c", "d", "m"),
        "exp": ("r0", "c", "d"),
    }
    if kind not in needed:
        raise ValueError(f"weighting: function {kind!r}; expected 'poly', 'pow' or 'exp'")
    allowed = {"function", "w0", *needed[kind], *(("threshold",) if kind in ("pow", "exp") else ())}
    if kind is None and "w0" not in w and weighting:
        raise ValueError(f"weighting: {w}; expected a 'function' or 'w0'")
    for key in w:
        if key not in allowed:
            raise ValueError(f"weighting: key {key!r}; expected {', '.join(sorted(allowed))}")
    for key in needed[kind]:
        w[key] = checks.not_negative(f"weighting: {key}", w.get(key))
    if kind is not None and not (w["r0"] > 0 and w["c"] > 0):
        raise ValueError(f"weighting: r0 {w['r0']}, c {w['c']}; expected positive numbers")
    if "w0" in w:
        w["w0"] = checks.not_negative("weighting: w0", w["w0"])
    if "threshold" in w:
        w["threshold"] = checks.positive("weighting: threshold", w["threshold"])
    if kind == "pow" and w["d"] == 0 and "w0" not in w:
        raise ValueError(
            "weighting: 'pow' with d = 0 is infinite on the center; expected d > 0, or w0"
        )
    return w


def _weighting_reach(w: Mapping[str, Any]) -> float:
    """r_cut where it is not given."""
    kind, t = w.get("function"), w.get("threshold", 1e-2)
    if kind == "poly":
        return float(w["r0"])
    if kind in ("pow", "exp") and w["c"] / t > w["d"] + (kind == "exp"):
        x = w["c"] / t - w["d"]
        return float(w["r0"] * (x ** (1.0 / w["m"]) if kind == "pow" else math.log(x)))
    raise ValueError("r_cut: missing; expected a number, or a weighting that ends")


@lru_cache(maxsize=32)
def _table(rbf: str, r_cut: float, n_max: int, l_max: int, sigma: float) -> RadialTable:
    from mdkern.reference.soap import radial_gto, radial_polynomial, reach

    end = reach(r_cut, sigma)
    l = np.arange(l_max + 1)
    # Harmonics of r / end, and the factor of the power spectrum in the coefficients.
    scale = np.asarray(end**l * np.sqrt(np.pi * np.sqrt(8.0 / (2 * l + 1))), dtype=np.float64)
    # A weighting may reach a thousand Angstrom, where the quadrature of polynomials would take minutes.
    if rbf == "gto":
        return tabulate(radial_gto(r_cut, n_max, l_max, sigma), end, sigma, scale, most=1 << 14)
    return tabulate(radial_polynomial(r_cut, n_max, l_max, sigma), end, sigma, scale)


@lru_cache(maxsize=32)
def _harmonics(l_max: int) -> Float:
    """Rows a, b, f, e of (l, m): q_lm = a z q_(l-1)m - b r^2 q_(l-2)m, dq/dz = f q_(l-1)m, dq/dx = -x e q_(l-1)(m+1).

    S_lm = q_lm (Re, Im)(x + iy)^m; the row of l = m has q_mm = a q_(m-1)(m-1).
    """

    def norm(l: int, m: int) -> float:
        ratio = math.exp(math.lgamma(l - m + 1) - math.lgamma(l + m + 1))
        return math.sqrt((2 - (m == 0)) * (2 * l + 1) / (4 * math.pi) * ratio)

    rows = []
    for l in range(l_max + 1):
        for m in range(l + 1):
            n = norm(l, m)
            a = b = f = e = 0.0
            if l == m:
                a = n if m == 0 else (2 * m - 1) * n / norm(m - 1, m - 1)
            else:
                a = (2 * l - 1) / (l - m) * n / norm(l - 1, m)
                f = (l + m) * n / norm(l - 1, m)
            if l - 2 >= m:
                b = (l + m - 1) / (l - m) * n / norm(l - 2, m)
            if l - 1 >= m + 1:
                e = n / norm(l - 1, m + 1)
            rows.append((a, b, f, e))
    return np.array(rows)
