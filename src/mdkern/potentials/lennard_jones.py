"""Lennard-Jones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mdkern import checks
from mdkern.potentials.base import InCore, pair_entries

__all__ = ["LennardJones"]

_PLAIN, _FORCE_SHIFT, _SMOOTH = 0, 1, 2
_MIXING = ("lorentz-berthelot", "geometric")


class LennardJones(InCore):
    r"""Lennard-Jones potential, one kind of atom or a mixture.

    .. math:: \phi(r) = 4 \epsilon \left[(\sigma/r)^{12} - (\sigma/r)^6\right], \quad r < r_c

    Half of each pair's energy belongs to either atom. At the cutoff the pair energy is shifted to zero (`shift`, ASE's
    habit and LAMMPS's ``pair_modify shift yes``), shifted together with the force (`force_shift`, LAMMPS's ``lj/smooth/linear``), switched
    off smoothly (`smooth`, ASE's switch from `ro` on), or simply cut.

    Parameters
    ----------
    sigma : float or dict of symbol to float
        Angstrom. A number serves atoms of any element. Default 1, as in ASE.
    epsilon : float or dict of symbol to float
        eV. Default 1.
    rc : float or dict of symbol to float, optional
        Cutoff in Angstrom; by default 3 sigma (of each pair).
    ro : float, optional
        Onset of the switch with ``smooth=True``; by default 0.66 rc.
    shift, force_shift, smooth : bool
        How the pair energy ends; `force_shift` and `smooth` go before `shift`.
    mixing : {"lorentz-berthelot", "geometric"}
        Unlike pairs: sigma and rc by arithmetic or geometric means, epsilon by the geometric one.
    pairs : dict, optional
        ``{"Ar-Kr": {"epsilon": 0.0122, "sigma": 3.52, "rc": 8.8}}``: parameters of a pair, before any mixing.
        ``rc`` may be left out where `rc` is given.
    precision : {"double", "single"}
        "single" evaluates pair terms in float32: forces to about 1e-5 of the largest in boxes up to 300
        Angstrom, less in wider ones. Sums over atoms stay in float64.

    Raises
    ------
    ValueError
        A parameter that is missing, not finite or not positive; unknown elements or mixing rule.
    """

    core_name = "lennard_jones"

    def __init__(
        self,
        *,
        sigma: float | Mapping[str, float] | None = None,
        epsilon: float | Mapping[str, float] | None = None,
        rc: float | Mapping[str, float] | None = None,
        ro: float | None = None,
        shift: bool = True,
        force_shift: bool = False,
        smooth: bool = False,
        mixing: str = "lorentz-berthelot",
        pairs: Mapping[str, Mapping[str, float]] | None = None,
        precision: str = "double",
    ) -> None:
        if mixing not in _MIXING:
            raise ValueError(f"mixing: {mixing!r}; expected one of {_MIXING}")
        shift, smooth = checks.flag("shift", shift), checks.flag("smooth", smooth)
        force_shift = checks.flag("force_shift", force_shift)
        if force_shift and smooth:
            raise ValueError(
                "force_shift and smooth: both set; expected one way to end the potential"
            )
        given = pair_entries(pairs or {}, ("epsilon", "sigma"), ("rc",))
        symbols = _symbols(sigma, epsilon, rc, given)
        self.species: tuple[str, ...] | None = tuple(symbols) or None
        self._style = _FORCE_SHIFT if force_shift else _SMOOTH if smooth else _PLAIN
        self._single = checks.precision(precision) == "single"
        names = symbols or ["*"]
        self._table = np.zeros((len(names), len(names), 8))
        cutoffs = []
        for a, first in enumerate(names):
            for b, second in enumerate(names[: a + 1]):
                own = given.get(frozenset((first, second)), {})
                e, s, r = _mixed(own, sigma, epsilon, rc, first, second, mixing)
                self._table[a, b] = self._table[b, a] = _row(self._style, e, s, r, ro, shift)
                cutoffs.append(r)
        self.cutoff = max(cutoffs)
        self.make()

    def fields(self) -> dict[str, Any]:
        """Parameters of the kernel (cpp/potentials/lennard_jones.hpp)."""
        return {
            "cutoff": self.cutoff,
            "style": self._style,
            "table": self._table,
            "single": self._single,
        }


def _symbols(sigma: Any, epsilon: Any, rc: Any, pairs: dict[frozenset[str], Any]) -> list[str]:
    from ase.data import atomic_numbers

    found: dict[str, None] = {}
    for source in (sigma, epsilon, rc):
        if isinstance(source, Mapping):
            found.update(dict.fromkeys(source))
    for ends in pairs:
        found.update(dict.fromkeys(sorted(ends)))
    for symbol in found:
        if symbol not in atomic_numbers:
            raise ValueError(f"unknown chemical symbol {symbol!r} among the parameters")
    return sorted(found, key=lambda s: atomic_numbers[s])


def _of(value: Any, symbol: str, name: str, default: float | None) -> float:
    if isinstance(value, Mapping):
        if symbol not in value:
            raise ValueError(f"{name}: no value for {symbol}; got {dict(value)}")
        value = value[symbol]
    if value is None:
        value = default
    if value is None:
        raise ValueError(f"{name}: missing for {symbol}")
    where = "" if symbol == "*" else f" for {symbol}"
    return checks.positive(name, value, where)


def _mixed(
    own: Mapping[str, float], sigma: Any, epsilon: Any, rc: Any, a: str, b: str, mixing: str
) -> tuple[float, float, float]:
    """(epsilon, sigma, rc) of a pair."""
    default = None if isinstance(sigma, Mapping) or isinstance(epsilon, Mapping) else 1.0
    name = f"{a}-{b}"
    if own:
        e, s = (_of(own[key], name, key, None) for key in ("epsilon", "sigma"))
        if "rc" in own:
            return e, s, _of(own["rc"], name, "rc", None)
    else:
        ea, eb = (_of(epsilon, x, "epsilon", default) for x in (a, b))
        sa, sb = (_of(sigma, x, "sigma", default) for x in (a, b))
        e = float(np.sqrt(ea * eb))
        s = 0.5 * (sa + sb) if mixing == "lorentz-berthelot" else float(np.sqrt(sa * sb))
    ra, rb = (_of(rc, x, "rc", 3.0 * s) for x in (a, b))
    return e, s, 0.5 * (ra + rb) if mixing == "lorentz-berthelot" else float(np.sqrt(ra * rb))


def _row(style: int, e: float, s: float, rc: float, ro: float | None, shift: bool) -> list[float]:
    """Parameters of one pair as the kernel reads them (cpp/potentials/lennard_jones.hpp)."""
    a, b = 4.0 * e * s**12, 4.0 * e * s**6
    phi, slope = a / rc**12 - b / rc**6, (-12.0 * a / rc**12 + 6.0 * b / rc**6) / rc
    if style == _FORCE_SHIFT:
        return [a, b, rc * rc, rc * slope - phi, slope, 0.0, 0.0, 0.0]
    if style == _SMOOTH:
        onset = 0.66 * rc if ro is None else checks.number("ro", ro)
        if not 0.0 < onset < rc:
            raise ValueError(f"ro: {ro!r}; expected a number between 0 and rc = {rc}")
        gap = rc * rc - onset * onset
        return [a, b, rc * rc, 0.0, onset * onset, gap**-3, 0.0, 0.0]
    return [a, b, rc * rc, -phi if shift else 0.0, 0.0, 0.0, 0.0, 0.0]
