"""DFT-D3 dispersion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from ase.units import Bohr, Hartree

from mdkern import checks
from mdkern.potentials.base import InCore
from mdkern.potentials.d3_parameters import (
    MOST_Z,
    damping_name,
    damping_parameters,
    tables,
)

__all__ = ["D3"]

# The names that dftd3.ase has for cutoffs and widths.
_REALSPACE = {
    "disp2": "cutoff",
    "disp3": "abc_cutoff",
    "cn": "cn_cutoff",
    "width2": "width",
    "width3": "abc_width",
}


class D3(InCore):
    r"""DFT-D3 dispersion with zero damping, Becke-Johnson damping or one of their modified forms.

    .. math::

        E = -\tfrac12 \sum_{ij} C_6^{ij} \left(\frac{s_6}{r^6 + R_{ij}^6} + \frac{s_8 Q_{ij}}{r^8 + R_{ij}^8}\right), \qquad
        C_6^{ij} = \sum_{pq} W_p(CN_i) W_q(CN_j) C_6^{pq}

    with :math:`R = a_1 \sqrt{Q} + a_2` (``bj``; other dampings: docs/potentials/d3.md), S. Grimme, J. Antony, S. Ehrlich and H. Krieg, J. Chem. Phys. 132, 154104
    (2010); S. Grimme, S. Ehrlich and L. Goerigk, J. Comput. Chem. 32, 1456 (2011). It is added to what density functionals,
    or models that were fitted to them, miss. Half of each pair's energy belongs to either atom, a third of each triangle's
    to each of its three. Elements up to Lr (Z = 103).

    Parameters
    ----------
    method : str, optional
        Density functional, such as ``"pbe"`` or ``"B3-LYP"``. Without one `params` has all that has no default.
    damping : str
        ``"bj"``, ``"zero"``, ``"bjm"`` or ``"zerom"``; also ``"d3bj"``, ``"d3zero"``, ``"d3bjm"``, ``"d3mbj"``, ``"d3zerom"``, ``"d3mzero"``.
    params : dict, optional
        Numbers in place of the functional's: s6, s8, s9, alp and a1, a2 (Becke-Johnson; a2 in bohr) or rs6, rs8, bet (zero damping).
    abc : bool
        Add the three-body term: s9 = 1, where `params` has no other.
    cutoff, cn_cutoff, abc_cutoff : float
        Angstrom; of pairs, of coordination numbers, and of the three sides of triangles, inclusive. By default 60, 40 and 40 bohr.
    width, cn_width, abc_width : float
        Angstrom before each cutoff over which the terms go smoothly to zero. By default they end there.
    elements : sequence of str, optional
        Only these elements. By default all of them.
    xc, cnthr
        Other names of `method` and `cn_cutoff`.
    realspace_cutoff : dict, optional
        Cutoffs and widths as ``dftd3.ase`` has them: disp2, disp3, cn, width2, width3, in Angstrom.
    params_tweaks : dict, optional
        `params` as ``dftd3.ase`` has them: s9 is 1 where it is not among them.

    Raises
    ------
    ValueError
        Unknown functionals, dampings and parameters, a functional without this damping, widths above their cutoffs.
    """

    core_name = "d3"

    def __init__(
        self,
        method: str | None = None,
        damping: str = "bj",
        *,
        params: Mapping[str, float] | None = None,
        abc: bool = False,
        cutoff: float = 60 * Bohr,
        cn_cutoff: float = 40 * Bohr,
        abc_cutoff: float = 40 * Bohr,
        width: float = 0.0,
        cn_width: float = 0.0,
        abc_width: float = 0.0,
        precision: str = "double",
        elements: Sequence[str] | None = None,
        xc: str | None = None,
        cnthr: float | None = None,
        realspace_cutoff: Mapping[str, float] | None = None,
        params_tweaks: Mapping[str, float] | None = None,
    ) -> None:
        # Every potential takes it; this one has no choice to offer.
        checks.double_only("D3", precision)
        if xc is not None:
            method = _other_name("xc", xc, "method", method)
        s9 = 1.0 if checks.flag("abc", abc) else 0.0
        if params_tweaks is not None:
            params = _other_name("params_tweaks", params_tweaks, "params", params)
            s9 = 1.0
        ranges = {
            "cutoff": cutoff,
            "cn_cutoff": cn_cutoff,
            "abc_cutoff": abc_cutoff,
            "width": width,
            "cn_width": cn_width,
            "abc_width": abc_width,
        }
        if cnthr is not None:
            ranges["cn_cutoff"] = cnthr
        ranges.update(_realspace(realspace_cutoff))
        self._ranges = _checked(ranges)
        #: One of bj, zero, bjm, zerom.
        self.damping = damping_name(damping)
        #: All numbers of the damping by name.
        self.parameters = damping_parameters(method, self.damping, params, s9)
        self.species: tuple[str, ...] | None = _species(elements)
        self.cutoff = max(
            self._ranges["cutoff"],
            self._ranges["cn_cutoff"],
            self._ranges["abc_cutoff"] if self.parameters["s9"] else 0.0,
        )
        self.make()

    def fields(self) -> dict[str, Any]:
        """Parameters of the kernel (cpp/potentials/d3/d3.hpp): lengths in Angstrom, C6 in eV Angstrom^6."""
        t, c = tables(), self.parameters
        z = np.array([atomic_numbers[symbol] for symbol in self.species or ()])
        count = t.first[z + 1] - t.first[z]
        rows = np.concatenate([np.arange(t.first[k], t.first[k + 1]) for k in z])
        return {
            **self._ranges,
            "damping": "bj" if self.damping.startswith("bj") else "zero",
            "s6": c["s6"],
            # The root of three C6 in other units.
            "s9": c["s9"] / Hartree**0.5,
            "alp": c["alp"],
            "pair": self._pair(z),
            "first": np.concatenate([[0], np.cumsum(count)]).astype(np.int32),
            "ref_cn": t.ref_cn[rows],
            "c6": t.c6[np.ix_(rows, rows)] * (Hartree * Bohr**6),
        }

    def _pair(self, z: Any) -> Any:
        """Rows of eight for each pair of species."""
        t, c = tables(), self.parameters
        q = 3 * t.sqrt_q[z][:, None] * t.sqrt_q[z]  # bohr^2
        r0 = t.r0[np.ix_(z, z)]
        pair = np.zeros((len(z), len(z), 8))
        if self.damping.startswith("bj"):
            radius = (c["a1"] * np.sqrt(q) + c["a2"]) * Bohr
            pair[..., 0], pair[..., 1] = radius**6, radius**8
        else:
            six, eight = c["rs6"] * r0 * Bohr, c["rs8"] * r0 * Bohr
            pair[..., 0], pair[..., 1], pair[..., 6], pair[..., 7] = (
                1 / six,
                1 / eight,
                six**2,
                eight**2,
            )
            pair[..., 3] = c.get("bet", 0.0) * r0
        pair[..., 2] = c["s8"] * q * Bohr**2
        pair[..., 4] = (t.rcov[z][:, None] + t.rcov[z]) * Bohr
        pair[..., 5] = r0 * Bohr
        return pair


def _other_name(other: str, value: Any, name: str, given: Any) -> Any:
    if given is not None:
        raise ValueError(f"{other} and {name}: both given; expected one of them")
    return value


def _realspace(given: Any) -> dict[str, float]:
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not set(given) <= set(_REALSPACE):
        raise ValueError(
            f"realspace_cutoff: {checks.shown(given)}; expected a dict with some of {', '.join(_REALSPACE)}"
        )
    return {_REALSPACE[key]: value for key, value in given.items()}


def _checked(ranges: Mapping[str, float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in ranges.items():
        if name.endswith("cutoff"):
            found[name] = checks.positive(name, value)
            continue
        found[name] = checks.not_negative(name, value, unit="Angstrom")
        limit = found[name.replace("width", "cutoff")]
        if found[name] > limit:
            raise ValueError(f"{name}: {value!r}; expected at most its cutoff, {limit:g} Angstrom")
    return found


def _species(elements: Sequence[str] | None) -> tuple[str, ...]:
    if elements is None:
        return tuple(chemical_symbols[1 : MOST_Z + 1])
    if isinstance(elements, str) or not elements or len(set(elements)) != len(elements):
        raise ValueError(f"elements: {elements!r}; expected a list of different chemical symbols")
    for symbol in elements:
        if not 1 <= atomic_numbers.get(symbol, 0) <= MOST_Z:
            raise ValueError(
                f"elements: {symbol!r}; expected elements up to {chemical_symbols[MOST_Z]}"
            )
    return tuple(elements)
