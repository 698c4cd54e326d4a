"""Buckingham."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from mdkern import checks
from mdkern.potentials.base import InCore, pair_entries

__all__ = ["Buckingham"]


class Buckingham(InCore):
    r"""Buckingham potential, one kind of atom or a mixture; with C = 0 the Born-Mayer potential.

    .. math:: \phi(r) = A e^{-r/\rho} - C / r^6, \quad r < r_c

    (R. A. Buckingham, Proc. R. Soc. London A 168, 264 (1938)). Half of each pair's energy belongs to either atom. There are no
    charges. For C > 0 phi falls to minus infinity at short distance: atoms pushed over the barrier fall onto each other.

    Parameters
    ----------
    A : float, optional
        eV, not negative. `A`, `rho` and `C` serve atoms of any element.
    rho : float, optional
        Angstrom.
    C : float, optional
        eV Angstrom^6, not negative. Default 0.
    rc : float, optional
        Cutoff in Angstrom, also of those `pairs` that have none of their own.
    pairs : dict, optional
        ``{"O-O": {"A": 1388.773, "rho": 0.3623, "C": 175.0, "rc": 5.5}, ...}``, instead of `A`, `rho` and `C`: one entry for every
        pair of the elements that occur, as there is no mixing rule. ``"A": 0`` without ``"C"`` is a pair that does not interact.
    shift : bool
        Subtract phi(rc) from every pair inside the cutoff (LAMMPS's ``pair_modify shift yes``).

    Raises
    ------
    ValueError
        Missing, contradictory, non-finite or negative parameters; unknown elements.
    """

    core_name = "buckingham"

    def __init__(
        self,
        *,
        A: float | None = None,
        rho: float | None = None,
        C: float | None = None,
        rc: float | None = None,
        pairs: Mapping[str, Mapping[str, float]] | None = None,
        shift: bool = False,
        precision: str = "double",
    ) -> None:
        # Every potential takes it; this one has no choice to offer.
        checks.double_only("Buckingham", precision)
        if pairs is not None and not (A is None and rho is None and C is None):
            raise ValueError("pairs and A, rho, C: both given; expected one of them")
        shift = checks.flag("shift", shift)
        self.species: tuple[str, ...] | None = None
        given: dict[frozenset[str], Mapping[str, Any]] = {
            frozenset("*"): {"A": A, "rho": rho, "C": C}
        }
        if pairs is not None:
            given = pair_entries(pairs, ("A", "rho"), ("C", "rc"))
            self.species = _by_number({symbol for ends in given for symbol in ends})
        names = self.species or ("*",)
        self._table = np.zeros((len(names), len(names), 8))
        self.cutoff = 0.0
        for a, b in combinations_with_replacement(range(len(names)), 2):
            ends = frozenset((names[a], names[b]))
            if ends not in given:
                raise ValueError(
                    f"pairs: no {names[a]}-{names[b]}; expected every pair of {', '.join(names)}"
                )
            where = "" if pairs is None else f" for {names[a]}-{names[b]}"
            cutoff, self._table[a, b] = _row({"rc": rc, **given[ends]}, where, shift)
            self._table[b, a] = self._table[a, b]
            self.cutoff = max(self.cutoff, cutoff)
        self.make()

    def fields(self) -> dict[str, Any]:
        """Parameters of the kernel (cpp/potentials/buckingham.hpp)."""
        return {"cutoff": self.cutoff, "table": self._table}


def _by_number(symbols: set[str]) -> tuple[str, ...]:
    from ase.data import atomic_numbers

    if not symbols:
        raise ValueError("pairs: {}; expected at least one pair such as 'O-O'")
    for symbol in sorted(symbols):
        if symbol not in atomic_numbers:
            raise ValueError(f"pairs: unknown chemical symbol {symbol!r}")
    return tuple(sorted(symbols, key=lambda symbol: atomic_numbers[symbol]))


def _row(entry: Mapping[str, Any], where: str, shift: bool) -> tuple[float, list[float]]:
    """Cutoff of a pair, and its parameters as the kernel reads them (cpp/potentials/buckingham.hpp)."""

    c = entry.get("C")
    a = checks.not_negative("A", entry["A"], where)
    c = checks.not_negative("C", 0.0 if c is None else c, where)
    rho, rc = (checks.positive(name, entry[name], where) for name in ("rho", "rc"))
    phi = a * math.exp(-rc / rho) - c / rc**6
    return rc, [a, 1.0 / rho, c, -phi if shift else 0.0, rc * rc, 0.0, 0.0, 0.0]
