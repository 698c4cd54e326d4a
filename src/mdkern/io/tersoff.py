"""Tersoff files of four styles: the numbers of :mod:`mdkern.io.three_body` as the formulas take them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdkern.io.three_body import (
    MAX_CUTOFF,
    STYLES,
    TERSOFF,
    Parameters,
    ThreeBodyFile,
    check_style,
    is_tersoff,
    read_three_body,
    select,
)

__all__ = ["TersoffModel", "is_tersoff", "read_tersoff", "tersoff_model"]

MAX_POWER = 1000.0
MIN_WIDTH = 1e-30  # of g in the cosine: its square and the inverse of that are numbers

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TersoffModel:
    r"""Parameters of some elements, of any style.

    Attributes
    ----------
    style : str
        LAMMPS's name: ``tersoff``, ``tersoff/mod``, ``tersoff/mod/c`` or ``tersoff/zbl``.
    species : tuple of str, length n
    pair : dict of (n, n) arrays
        Of entries (i, j, j): ``A lam1 B lam2 R D``; ``c0``, zero but in mod/c; ``beta``, ``eta`` and ``q`` of
        :math:`b = (1 + (\beta \zeta)^\eta)^{-q}`, q = 1 / (2 n); in zbl also ``Z_i Z_j zcut zscale``.
    triplet : dict of (n, n, n) arrays
        Of entries (i, j, k): ``R D``; ``m`` (1 or 3) and ``lam3`` of the exponential (mod: beta and alpha); of g: ``gamma c d cos0``, or
        ``h c1 c2 c3 c4 c5``.
    """

    style: str
    species: tuple[str, ...]
    pair: dict[str, Array]
    triplet: dict[str, Array]

    @property
    def is_mod(self) -> bool:
        """Whether cutoff function and g are those of Kumagai et al."""
        return self.style.startswith("tersoff/mod")

    @property
    def by_index(self) -> bool:
        """Whether the repulsion of two atoms depends on which of both comes first: see :func:`mdkern.io.three_body.one_direction`."""
        names = ("A", "lam1", "R", "D", "c0", "zcut", "zscale")
        tables = (self.pair[name] for name in names if name in self.pair)
        other = (
            bool((self.pair["Z_i"] != self.pair["Z_j"].T).any()) if "Z_i" in self.pair else False
        )
        return other or any(bool((table != table.T).any()) for table in tables)

    @property
    def reach(self) -> Array:
        """(n, n): beyond it an atom of the second kind is no partner of a bond of the first, nor changes one."""
        own = self.pair["R"] + self.pair["D"]
        own = np.maximum(own, own.T)
        other = self.triplet["R"] + self.triplet["D"]
        return np.asarray(np.maximum(own, other.max(axis=1)))

    @property
    def cutoff(self) -> float:
        """The largest (Angstrom)."""
        return float(self.reach.max())


def read_tersoff(path: str | os.PathLike[str], style: str | None = None) -> ThreeBodyFile:
    """Entries of a file; see :func:`mdkern.io.three_body.read_three_body` for what is raised.

    `style`: one of LAMMPS's names, where the file is not to decide.
    """
    if style is not None and style not in TERSOFF:
        raise ValueError(f"style: {style!r}; expected one of {', '.join(TERSOFF)}")
    return read_three_body(path, TERSOFF, style=style)


def tersoff_model(file: ThreeBodyFile, elements: Sequence[str] | None = None) -> TersoffModel:
    """The parameters of these elements, by default of all that are complete.

    Raises
    ------
    ValueError
        Elements that the file does not have; a file of another style.
    FormatError
        Triplets that are missing, numbers that make no potential.
    """
    check_style(file, TERSOFF)
    p = select(file, elements)
    mod = p.style.startswith("tersoff/mod")
    n = len(p.species)
    for at in np.ndindex(n, n, n):
        _check(p, (at[0], at[1], at[2]), mod)
    pair = {name: p.pair(name) for name in ("A", "lam1", "B", "lam2", "R", "D")}
    none = np.zeros((n, n))
    pair["c0"] = p.pair("c0") if p.style == "tersoff/mod/c" else none
    power = np.where(p.pair("n") > 0.0, p.pair("n"), 1.0)  # zero only where B is
    pair["q"] = 0.5 / power
    pair["beta"] = none + 1.0 if mod else p.pair("beta")
    pair["eta"] = p.pair("eta") if mod else power
    if p.style == "tersoff/zbl":
        pair |= {name: p.pair(name) for name in ("Z_i", "Z_j", "zcut", "zscale")}
    triplet = {name: p.triplet(name) for name in ("R", "D")}
    if mod:
        triplet |= {"m": p.triplet("beta"), "lam3": p.triplet("alpha")}
        names: tuple[str, ...] = ("h", "c1", "c2", "c3", "c4", "c5")
    else:
        names = ("m", "lam3", "gamma", "c", "d", "cos0")
    triplet |= {name: p.triplet(name) for name in names}
    model = TersoffModel(style=p.style, species=p.species, pair=pair, triplet=triplet)
    if not model.cutoff > 0.0:
        raise p.fail((0, 0, 0), "R + D", model.cutoff, "a pair that interacts")
    return model


def _check(p: Parameters, at: tuple[int, int, int], mod: bool) -> None:
    """The numbers of an entry that are used. Of (i, j, k) with j != k some may be anything."""
    own = at[1] == at[2]
    numbers = {name: float(p.triplet(name)[at]) for name in STYLES[p.style]}

    def want(name: str, good: bool, expected: str) -> None:
        if not good:
            raise p.fail(at, name, numbers[name], expected)

    power = "beta" if mod else "m"
    want(power, numbers[power] in (1.0, 3.0), "1 or 3")
    least_zero = ["R", "D", *(() if mod else ("gamma", "c"))]
    if own:
        least_zero += ["A", "B", "lam1", "lam2", *(() if mod else ("beta",))]
    for name in least_zero:
        want(name, numbers[name] >= 0.0, "not less than 0")
    want("D", numbers["D"] <= numbers["R"], f"at most R = {numbers['R']:g}")
    want("R", numbers["R"] + numbers["D"] <= MAX_CUTOFF, f"R + D at most {MAX_CUTOFF:g} Angstrom")
    if mod:
        want("beta_ters", numbers["beta_ters"] == 1.0, "1")
        want("c3", numbers["c3"] > 0.0, "more than 0")
    else:
        want("d", numbers["d"] >= MIN_WIDTH, f"at least {MIN_WIDTH:g}")
    for name in ("n", "eta") if mod else ("n",):
        if own:
            least = numbers["B"] == 0.0 and name == "n"
            want(name, numbers[name] > 0.0 or (least and numbers[name] == 0.0), "more than 0")
            want(
                name,
                1e-3 <= numbers[name] <= MAX_POWER or numbers[name] == 0.0,
                f"0.001 to {MAX_POWER:g}",
            )
    if p.style == "tersoff/zbl" and own:
        for name in ("Z_i", "Z_j", "zscale"):
            want(name, numbers[name] >= 0.0, "not less than 0")
        want("Z_i", numbers["Z_i"] + numbers["Z_j"] > 0.0, "a charge of one of both")
