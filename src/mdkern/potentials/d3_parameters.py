"""What D3 takes from tables: references of the elements, parameters of density functionals.

The tables are in the folder ``d3_tables``, under the Apache License 2.0: its notice and licence are beside them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdkern import checks

__all__ = ["A0", "DAMPINGS", "D3Tables", "damping_name", "damping_parameters", "tables"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

A0 = 0.529177210903
"""Bohr radius in Angstrom (CODATA 2018), by which tables of radii are divided."""

MOST_Z = 103

# Parameters of each damping, beside s6, s8, s9 and alp, which all have; None: there is no default.
DAMPINGS: Mapping[str, Mapping[str, float | None]] = {
    "bj": {"a1": None, "a2": None},
    "zero": {"rs6": None, "rs8": 1.0},
    "bjm": {"a1": None, "a2": None},
    "zerom": {"rs6": None, "rs8": 1.0, "bet": 0.0},
}
_COMMON: Mapping[str, float | None] = {"s6": 1.0, "s8": None, "s9": 0.0, "alp": 14.0}
_OTHER_NAMES = {"sr6": "rs6", "sr8": "rs8", "beta": "bet", "alpha6": "alp"}
_DAMPING_NAMES = {
    **{name: name for name in DAMPINGS},
    **{f"d3{name}": name for name in DAMPINGS},
    "d3mbj": "bjm",
    "d3mzero": "zerom",
}


@dataclass(frozen=True)
class D3Tables:
    """By atomic number Z, of which 0 is unused and 103 the last.

    Attributes
    ----------
    first : (105,) array
        The references of an element are rows first[Z] to first[Z + 1] of the following two.
    ref_cn : (338,) array
        Coordination numbers.
    c6 : (338, 338) array
        Hartree bohr^6.
    rcov : (104,) array
        Covalent radii in bohr, 4/3 of the table's.
    sqrt_q : (104,) array
        C8_ij = 3 C6_ij sqrt_q_i sqrt_q_j.
    r0 : (104, 104) array
        Radii of pairs in bohr.
    """

    first: Int
    ref_cn: Float
    c6: Float
    rcov: Float
    sqrt_q: Float
    r0: Float


@cache
def tables() -> D3Tables:
    """The tables of the package."""
    with files(__package__).joinpath("d3_tables/tables.npz").open("rb") as file:
        stored = dict(np.load(file, allow_pickle=False))
    root_z = np.sqrt(np.arange(MOST_Z + 1.0))
    return D3Tables(
        first=stored["first"].astype(np.int64),
        ref_cn=stored["ref_cn"],
        c6=_symmetric(stored["c6"], len(stored["ref_cn"])),
        rcov=stored["rcov"] * (4.0 / 3.0) / A0,
        sqrt_q=np.sqrt(0.5 * stored["r4_over_r2"] * root_z),
        r0=_symmetric(stored["r0"], MOST_Z + 1) / A0,
    )


def _symmetric(upper: Float, n: int) -> Float:
    full: Float = np.zeros((n, n))
    full[np.triu_indices(n)] = upper
    full.T[np.triu_indices(n)] = upper
    return full


@cache
def _functionals() -> tuple[dict[str, dict[str, dict[str, Any]]], dict[str, str]]:
    """Functionals with the parameters of each damping, and their names by the form that names are compared in."""
    text = files(__package__).joinpath("d3_tables/functionals.json").read_text(encoding="utf-8")
    stored = json.loads(text)
    found = stored["functionals"]
    names = {_plain(alias): name for alias, name in stored["aliases"].items()}
    names.update({_plain(name): name for name in found})
    return found, names


def _plain(name: str) -> str:
    return re.sub(r"[-_/ .()]", "", name.lower())


def damping_name(damping: Any) -> str:
    """One of `DAMPINGS`, from any of its names; ValueError for others."""
    found = _DAMPING_NAMES.get(_plain(damping)) if isinstance(damping, str) else None
    if found is None:
        names = ", ".join(_DAMPING_NAMES)
        raise ValueError(f"damping: {checks.shown(damping)}; expected one of {names}")
    return found


def damping_parameters(
    method: str | None, damping: str, params: Mapping[str, float] | None, s9: float
) -> dict[str, float]:
    """The parameters of a damping: those of a functional, and what `params` has in their place.

    Parameters
    ----------
    method : str or None
        Name or alias of a functional. None: all that have no default must be in `params`.
    damping : str
        As `damping_name` returns it.
    params : dict or None
    s9 : float
        Where `params` has none.

    Raises
    ------
    ValueError
        Unknown functionals and parameters, functionals without this damping, missing or non-finite numbers.
    """
    known = {**_COMMON, **DAMPINGS[damping]}
    found = {**known, "s9": s9}
    if method is not None:
        found.update(_of_functional(method, damping))
    found.update(_given(params, damping, known))
    missing = [name for name, value in found.items() if value is None]
    if missing:
        raise ValueError(
            f"params: no {', '.join(missing)}; expected a method, or {', '.join(n for n, x in known.items() if x is None)} with {damping!r}"
        )
    values = {name: float(value) for name, value in found.items() if value is not None}
    _check(values)
    return values


def _of_functional(method: Any, damping: str) -> dict[str, float]:
    all_of_them, names = _functionals()
    name = names.get(_plain(method)) if isinstance(method, str) else None
    if name is None:
        raise ValueError(f"method: {checks.shown(method)}; {_expected(method, all_of_them)}")
    have = all_of_them[name]
    if damping not in have:
        raise ValueError(
            f"method: {name} has no parameters for damping {damping!r}; it has them for {', '.join(sorted(have))}"
        )
    # One functional has no s8: its term is not there.
    return {"s8": 0.0} | {key: value for key, value in have[damping].items() if key != "doi"}


def _expected(method: Any, names: Mapping[str, Any]) -> str:
    import difflib

    near = difflib.get_close_matches(_plain(str(method)), names, n=5, cutoff=0.5)
    hint = f"near it: {', '.join(near)}; " if near else ""
    return f"{hint}expected one of {', '.join(names)}"


def _given(params: Any, damping: str, known: Mapping[str, Any]) -> dict[str, float]:
    if params is None:
        return {}
    if not isinstance(params, Mapping):
        raise ValueError(  # noqa: TRY004 - as all that is wrong with arguments
            f"params: {checks.shown(params)}; expected a dict such as {{'s8': 0.7875}}"
        )
    found: dict[str, float] = {}
    for key, value in params.items():
        name = _OTHER_NAMES.get(key, key) if isinstance(key, str) else ""
        if name not in known:
            raise ValueError(
                f"params: {checks.shown(key)} is no parameter of {damping!r}; expected {', '.join(known)}"
            )
        if name in found:
            raise ValueError(f"params: {name} is given twice, also as {key}")
        found[name] = checks.number(f"params[{key!r}]", value)
    return found


def _check(values: Mapping[str, float]) -> None:
    """Lengths and exponents with which the damping of `zero` and `zerom` has no pole. Some functionals have a1 or s8 below zero."""
    for name in ("rs6", "rs8", "alp"):
        if name in values:
            checks.positive(f"params[{name!r}]", values[name])
    if "bet" in values:
        checks.not_negative("params['bet']", values["bet"])
