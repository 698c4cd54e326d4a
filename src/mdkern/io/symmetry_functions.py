"""Symmetry functions of n2p2: lines ``symfunction_short`` and ``cutoff_type`` of an ``input.nn``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.text import show

__all__ = ["ANGULAR", "CLOSED", "COMPACT", "WEIGHTED", "SymmetryFunction", "cutoff_of", "number", "parse_function"]  # fmt: skip

COMPACT = (20, 21, 22, 23, 24, 25)
"""Types of compact functions; the others are Gaussians times the cutoff function."""
ANGULAR = (3, 9, 13, 21, 22, 24, 25)
"""Types of functions of triplets."""
CLOSED = (3, 13, 21, 24)
"""Those with a factor of the third side."""
WEIGHTED = (12, 13, 23, 24, 25)
"""Types over all elements, times the atomic numbers of the neighbors."""

# Arguments behind the central element and the type; "?" may be absent.
_ARGUMENTS = {
    2: "e1 eta rs rc",
    3: "e1 e2 eta lambda zeta rc ?rs",
    9: "e1 e2 eta lambda zeta rc ?rs",
    12: "eta rs rc",
    13: "eta rs lambda zeta rc",
    20: "e1 rl rc sub",
    21: "e1 e2 rl rc thl thr sub",
    22: "e1 e2 rl rc thl thr sub",
    23: "rl rc sub",
    24: "rl rc thl thr sub",
    25: "rl rc thl thr sub",
}
# Larger numbers are damaged files: they would exhaust the memory later, or overflow as 2^(1 - zeta) does in n2p2.
_MOST = {"rc": 200.0, "rs": 1e6, "rl": 1e6, "eta": 1e100, "zeta": 1000.0, "lambda": 1e6, "thl": 1e6, "thr": 1e6}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SymmetryFunction:
    """One function of a central element; lengths in the folder's unit.

    Attributes
    ----------
    kind : int
        n2p2's type: 2, 3, 9, 12, 13, 20 to 25.
    neighbors : tuple of int
        Species numbers of the neighbors, one or two in ascending order; none: of all elements, weighted.
    rc : float
        Where the function ends.
    eta, rs, zeta, lam : float
        Of Gaussians, and of (1 + lambda cos)^zeta.
    rl : float
        Where a compact function begins.
    thl, thr : float
        Degrees, where the angular factor of a compact function begins and ends.
    sub : str
        Shape of a compact function: p1, p2, p3, p4 or e; with an `a` behind it the radial factors are asymmetric.
    """

    kind: int
    neighbors: tuple[int, ...]
    rc: float
    eta: float = 0.0
    rs: float = 0.0
    zeta: float = 1.0
    lam: float = 0.0
    rl: float = 0.0
    thl: float = 0.0
    thr: float = 0.0
    sub: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        """Functions of an element are network inputs in the order of this."""
        if self.kind not in COMPACT:
            if self.kind not in ANGULAR:
                return (self.kind, self.rc, self.eta, self.rs, *self.neighbors)
            return (self.kind, self.rc, self.eta, self.rs, self.zeta, self.lam, *self.neighbors)
        angles = (self.thl, self.thr) if self.kind in ANGULAR else ()
        return (self.kind, self.sub, *self.neighbors, self.rc, self.rl, *angles)


def number(path: Path, line: int, word: str, what: str) -> float:
    """A finite number of a line; FormatError says where there is none."""
    try:
        value = float(word.replace("d", "e").replace("D", "e"))
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in word:
        raise FormatError(f"{what}: {show(word.encode())}; expected a number", path, line)
    return value


def parse_function(
    path: Path, line: int, words: list[str], species: tuple[str, ...]
) -> SymmetryFunction:
    """From what stands behind the central element in a line ``symfunction_short``.

    Raises
    ------
    FormatError
        Arguments that are missing, too many, no numbers, or out of range.
    UnsupportedError
        Another type or shape.
    """
    word = words[0] if words else ""
    kind = int(word) if re.fullmatch(r"\d{1,4}", word) else -1
    if kind not in _ARGUMENTS:
        raise UnsupportedError(
            f"{path}:{line}: symmetry function of type {show(word.encode())}; expected one of"
            f" {', '.join(map(str, _ARGUMENTS))}"
        )
    names = _ARGUMENTS[kind].split()
    least = sum(not name.startswith("?") for name in names)
    given = words[1:]
    if not least <= len(given) <= len(names):
        raise FormatError(
            f"{len(given)} arguments of a symmetry function of type {kind}; expected {' '.join(names).replace('?', 'perhaps ')}",
            path,
            line,
        )
    neighbors, values, sub = [], {}, ""
    for name, arg in zip((n.removeprefix("?") for n in names), given, strict=False):
        if name in ("e1", "e2"):
            if arg not in species:
                raise FormatError(
                    f"element {show(arg.encode())}; expected one of {' '.join(species)}", path, line
                )
            neighbors.append(species.index(arg))
        elif name == "sub":
            if not re.fullmatch(r"(p[1-4]|e)a?", arg):
                raise UnsupportedError(
                    f"{path}:{line}: compact function {show(arg.encode())}; expected p1, p2, p3, p4 or e, perhaps with an a"
                )
            sub = arg
        else:
            values["lam" if name == "lambda" else name] = number(path, line, arg, name)
    out = SymmetryFunction(kind, tuple(sorted(neighbors)), sub=sub, **values)
    _check(path, line, out)
    return out


def _check(path: Path, line: int, f: SymmetryFunction) -> None:
    if not f.rc > 0.0:
        raise FormatError(f"rc {f.rc:g}; expected a positive number", path, line)
    for name, most in _MOST.items():
        value = getattr(f, name.replace("lambda", "lam"))
        if abs(value) > most:
            raise FormatError(f"{name} {value:g}; expected at most {most:g}", path, line)
    if f.kind in COMPACT:
        if not f.rl < f.rc:
            raise FormatError(f"radii {f.rl:g} and {f.rc:g}; expected ascending ones", path, line)
        if f.kind in ANGULAR and not f.thl < f.thr:
            raise FormatError(f"angles {f.thl:g} and {f.thr:g}; expected ascending ones", path, line)  # fmt: skip
        return
    if f.eta < 0.0:
        raise FormatError(f"eta {f.eta:g}; expected it not below zero", path, line)
    if f.kind in ANGULAR and f.zeta < 0.0:
        raise FormatError(f"zeta {f.zeta:g}; expected it not below zero", path, line)


def cutoff_of(path: Path, line: int, words: list[str]) -> tuple[int, float]:
    """Type and alpha of a line ``cutoff_type``."""
    word = words[0] if words else ""
    if not re.fullmatch(r"[0-8]", word):
        raise UnsupportedError(f"{path}:{line}: cutoff_type {show(word.encode())}; expected 0 to 8")
    alpha = number(path, line, words[1], "alpha") if len(words) > 1 else 0.0
    if not 0.0 <= alpha < 1.0:
        raise FormatError(f"alpha {alpha:g}; expected it from 0 to below 1", path, line)
    return int(word), alpha
