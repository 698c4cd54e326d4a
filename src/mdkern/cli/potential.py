"""The option ``--potential``: a file, or a built-in potential with parameters."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdkern.cli.options import refuse_empty
from mdkern.cli.output import UsageError
from mdkern.io.foreign import READ

if TYPE_CHECKING:
    from mdkern.calculators import Calculator

__all__ = ["HELP", "Potential", "is_built_in", "make_potential", "sha256"]

_FILES = (",\n" + 59 * " ").join(READ)
HELP = f"""\
potentials:
  FILE                                    told by content: {_FILES}
  zhou2004                                built-in EAM: Cu Ag Au Ni Pd Pt Al Pb Fe Mo Ta W Mg Co Ti Zr
  lj:epsilon=0.0103,sigma=3.405,rc=8.5    Lennard-Jones (eV, Angstrom); also ro, shift, force_shift,
                                          smooth, mixing, precision; by element: sigma.Ar=3.4,...
  morse:D=0.3429,alpha=1.3588,r0=2.866,rc=8   Morse (eV, 1/Angstrom, Angstrom); also shift
  buckingham:A=1388.8,rho=0.3623,C=175,rc=5.5 Buckingham (eV, Angstrom); also shift
  A file named like a built-in potential is reached by ./NAME.
"""


_NUMBER, _WORD, _SWITCH = "a number", "a word", "true or false"
_PARAMETERS = {
    "zhou2004": {"cutoff": _NUMBER, "precision": _WORD},
    "lj": {
        **dict.fromkeys(("sigma", "epsilon", "rc", "ro"), _NUMBER),
        **dict.fromkeys(("shift", "force_shift", "smooth"), _SWITCH),
        **dict.fromkeys(("mixing", "precision"), _WORD),
    },
    "morse": {
        **dict.fromkeys(("D", "alpha", "r0", "rc"), _NUMBER),
        "shift": _SWITCH,
        "precision": _WORD,
    },
    "buckingham": {
        **dict.fromkeys(("A", "rho", "C", "rc"), _NUMBER),
        "shift": _SWITCH,
        "precision": _WORD,
    },
}
BUILT_IN = tuple(_PARAMETERS)


@dataclass(frozen=True)
class Potential:
    """A calculator and where it came from."""

    calculator: Calculator
    spec: str
    path: str | None
    sha256: str | None


def is_built_in(spec: str) -> bool:
    """Whether a ``--potential`` text names no file."""
    return spec.partition(":")[0] in BUILT_IN


def make_potential(spec: str, symbols: Sequence[str], skin: float) -> Potential:
    """Calculator for a ``--potential`` text and the elements of a structure.

    Raises
    ------
    UsageError
        Unknown names or values.
    FormatError, OSError
        From reading a file.
    """
    from mdkern import calculators

    name, _, rest = spec.partition(":")
    if not is_built_in(spec):
        if not Path(spec).exists():
            raise UsageError(
                f"--potential {spec}: no such file; built in are {', '.join(BUILT_IN)}"
            )
        refuse_empty(spec, "--potential")
        calculator = calculators.load(spec, skin=skin)
        if "forces" not in calculator.implemented_properties:
            what = ", ".join(calculator.implemented_properties)
            raise UsageError(f"--potential {spec}: a model of {what}, which has no energy")
        return Potential(calculator, spec, str(Path(spec).resolve()), sha256(spec))
    parameters = _parameters(name, rest)
    _check_parameters(spec, parameters, _PARAMETERS[name])
    made: Calculator
    try:
        if name == "lj":
            made = calculators.LennardJones(skin=skin, **parameters)
        elif name == "morse":
            made = calculators.Morse(skin=skin, **parameters)
        elif name == "buckingham":
            made = calculators.Buckingham(skin=skin, **parameters)
        else:
            made = calculators.EAM.zhou2004(sorted(set(symbols)), skin=skin, **parameters)
    except (TypeError, ValueError) as e:
        raise UsageError(f"--potential {spec}: {e}") from e
    return Potential(made, spec, None, None)


def _parameters(name: str, text: str) -> dict[str, Any]:
    """``a=1,b.Ar=2`` as ``{"a": 1.0, "b": {"Ar": 2.0}}``."""
    out: dict[str, Any] = {}
    for item in filter(None, text.split(",")):
        key, equals, value = item.partition("=")
        key, dot, symbol = key.strip().partition(".")
        if not (key and equals and value) or (dot and not symbol):
            raise UsageError(f"--potential {name}: {item!r}; expected NAME=VALUE")
        table = out.setdefault(key, {}) if dot else out
        place = symbol if dot else key
        if not isinstance(table, dict) or place in table:
            raise UsageError(f"--potential {name}: {key!r} is given twice")
        table[place] = _value(value.strip())
    return out


def _check_parameters(spec: str, parameters: Mapping[str, Any], known: Mapping[str, str]) -> None:
    for key, given in parameters.items():
        if key not in known:
            raise UsageError(
                f"--potential {spec}: no parameter {key!r}; expected {', '.join(known)}"
            )
        kind = {_NUMBER: float, _SWITCH: bool, _WORD: str}[known[key]]
        for value in given.values() if isinstance(given, dict) else [given]:
            if not isinstance(value, kind):
                raise UsageError(f"--potential {spec}: {key}: {value!r}; expected {known[key]}")


def _value(text: str) -> float | bool | str:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text


def sha256(path: str) -> str:
    """Hash of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
