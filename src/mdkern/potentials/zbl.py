"""Screened nuclear repulsion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from mdkern import checks
from mdkern.potentials.base import InCore

__all__ = ["ZBL"]


class ZBL(InCore):
    r"""Repulsion of screened nuclei at short distance, with the universal screening function.

    .. math:: \phi(r) = \frac{k Z_i Z_j}{r} \sum_m c_m e^{-d_m r / a_{ij}} + S(r), \quad
              a_{ij} = \frac{0.4685\,\text{Å}}{Z_i^{0.23} + Z_j^{0.23}}, \quad r < r_\text{outer}

    (J. F. Ziegler, J. P. Biersack, U. Littmark, The Stopping and Range of Ions in Solids (1985)). S is constant up to `inner`; from
    there on a polynomial takes the energy and its first two derivatives to zero at `outer`. k = 14.399645 eV Angstrom, and the four
    c and d, are those of LAMMPS's ``pair_style zbl``. Half of each pair's energy belongs to either atom.

    Parameters
    ----------
    inner, outer : float
        Where the switch begins and ends, in Angstrom; 0 < inner < outer.
    z : dict, optional
        Charge of the nucleus of each element, ``{"W": 74.0, ...}``: the potential then has these elements only. By default it has all
        elements, with their atomic numbers.

    Raises
    ------
    ValueError
        Distances that are not positive or not in this order, charges outside 0 to 1000, unknown elements.
    """

    core_name = "zbl"

    def __init__(
        self,
        inner: float,
        outer: float,
        z: Mapping[str, float] | None = None,
        *,
        precision: str = "double",
    ) -> None:
        # Every potential takes it; this one has no choice to offer.
        checks.double_only("ZBL", precision)
        self.inner = checks.positive("inner", inner)
        self.outer = checks.positive("outer", outer)
        if not self.inner < self.outer:
            raise ValueError(f"inner: {self.inner}; expected less than outer, {self.outer}")
        self.z = _charges(z)
        self.species: tuple[str, ...] | None = tuple(self.z)
        self.cutoff = self.outer
        self.make()

    def fields(self) -> dict[str, Any]:
        """Parameters of the core (cpp/potentials/zbl.cpp)."""
        return {
            "inner": self.inner,
            "outer": self.outer,
            "charges": np.array(list(self.z.values())),
        }


def _charges(z: Mapping[str, float] | None) -> dict[str, float]:
    if z is None:
        return {chemical_symbols[n]: float(n) for n in range(1, len(chemical_symbols))}
    given: Any = z
    if not isinstance(given, Mapping) or not given:
        raise ValueError(f"z: {z!r}; expected the charge of each element, such as {{'W': 74.0}}")
    for symbol in z:
        if symbol not in atomic_numbers or symbol == "X":
            raise ValueError(f"z: unknown chemical symbol {symbol!r}")
    charges = {
        symbol: checks.positive("z", z[symbol], f" for {symbol}")
        for symbol in sorted(z, key=lambda symbol: atomic_numbers[symbol])
    }
    for symbol, charge in charges.items():
        if charge > 1000.0:
            raise ValueError(f"z: {charge} for {symbol}; expected at most 1000")
    return charges
