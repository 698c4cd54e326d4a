"""From models of n2p2 to the tables of the kernel: distinct factors, sets of functions of triplets, nets that see raw functions."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.behler_parrinello import BehlerParrinelloModel, Member
from mdkern.io.symmetry_functions import ANGULAR, CLOSED, COMPACT, WEIGHTED, SymmetryFunction

__all__ = ["function_union", "kernel_fields", "range_of"]

Array = NDArray[np.float64]

MOST_WEIGHTED = (
    2**20
)  # functions of all pairs of elements; ten elements with a hundred functions have 55,000

_ACTIVATIONS = {
    "l": "linear",
    "t": "tanh",
    "s": "sigmoid",
    "p": "softplus",
    "r": "relu",
    "g": "gaussian",
    "c": "cosine",
    "S": "sigmoid",  # of minus the argument
    "e": "decay",
    "h": "square",
}


@dataclass(frozen=True, slots=True)
class Function:
    """A symmetry function with what its member says of the cutoff function, in Angstrom."""

    of: SymmetryFunction
    cutoff_type: int
    alpha: float

    def __hash__(self) -> int:
        return hash((self.of, self.cutoff_type, self.alpha))


def _functions(member: Member, element: int) -> list[Function]:
    """Compact functions have no cutoff function: members may differ in it."""
    return [
        Function(f, -1, 0.0) if f.kind in COMPACT else Function(f, member.cutoff_type, member.alpha)
        for f in member.functions[element]
    ]


def function_union(model: BehlerParrinelloModel, element: int) -> list[Function]:
    """Functions of an element of all members, each once: of one member they are in its order."""
    return list(dict.fromkeys(f for member in model.members for f in _functions(member, element)))


def range_of(model: BehlerParrinelloModel, element: int) -> tuple[Array, Array]:
    """Of each function of the union the range that all members have seen in their training."""
    union = {f: k for k, f in enumerate(function_union(model, element))}
    lower, upper = np.full(len(union), -np.inf), np.full(len(union), np.inf)
    for member in model.members:
        scaling = member.scaling[element]
        for f, low, high in zip(
            _functions(member, element), scaling.lower, scaling.upper, strict=True
        ):
            k = union[f]
            lower[k], upper[k] = max(lower[k], low), min(upper[k], high)
    return lower, upper


@dataclass(slots=True)
class Rows:
    """Rows of a table, each once."""

    width: int
    place: dict[Hashable, int] = field(default_factory=dict)

    def __call__(self, *row: float) -> int:
        return self.place.setdefault(row, len(self.place))

    def array(self) -> Array:
        return np.array(list(self.place), dtype=np.float64).reshape(-1, self.width)


@dataclass(slots=True)
class Tables:
    """Of all elements: cutoff functions, factors of distances, factors of angles."""

    length: float
    cutoffs: Rows = field(default_factory=lambda: Rows(3))
    factors: Rows = field(default_factory=lambda: Rows(7))
    angles: Rows = field(default_factory=lambda: Rows(4))

    def factor(self, f: Function) -> int:
        of, unit = f.of, self.length
        if of.kind in COMPACT:
            return self.factors(
                1, _shape(of.sub), of.sub.endswith("a"), 0, of.rl * unit, of.rc * unit, 0
            )
        rc = of.rc * unit
        inner = 0.0 if f.cutoff_type in (0, 2, 3) else f.alpha * rc
        cutoff = self.cutoffs(f.cutoff_type, rc, inner)
        return self.factors(0, 0, 0, cutoff, of.eta / unit**2, of.rs * unit, 0)

    def angle(self, f: Function) -> int:
        of = f.of
        if of.kind in COMPACT:
            return self.angles(1, _shape(of.sub), math.radians(of.thl), math.radians(of.thr))
        return self.angles(0, 0, of.lam, of.zeta)


def _shape(sub: str) -> int:
    return 0 if sub[0] == "e" else int(sub[1])


def kernel_fields(model: BehlerParrinelloModel, length: float, energy: float) -> dict[str, Any]:
    """Everything in Angstrom and eV (cpp/potentials/behler_parrinello)."""
    from ase.data import atomic_numbers

    charges = [float(atomic_numbers[symbol]) for symbol in model.species]
    tables = Tables(length)
    unions = [function_union(model, e) for e in range(len(charges))]
    n, angular = len(charges), sum(f.of.kind in WEIGHTED and f.of.kind in ANGULAR for u in unions for f in u)  # fmt: skip
    if angular * n * (n + 1) // 2 > MOST_WEIGHTED:
        raise UnsupportedError(
            f"{model.path}: {angular} weighted functions of pairs of neighbors with {n} elements: more than {MOST_WEIGHTED} of one pair of"
            " elements each"
        )
    elements = [
        _element(tables, union, charges)
        | dict(zip(("lower", "upper"), range_of(model, e), strict=True))
        for e, union in enumerate(unions)
    ]
    members = model.members
    with np.errstate(over="ignore", invalid="ignore"):
        bias = sum((m.mean_energy + m.atom_energies for m in members), np.zeros(len(charges)))
        bias *= energy / len(members)
        nets = [_net(m, e, union) for m in members for e, union in enumerate(unions)]
        scale = np.array([energy / (len(members) * m.conv_energy) for m in members])
    layers = [layer[key] for net in nets for layer in net["layers"] for key in ("w", "b")]
    if not all(np.isfinite(x).all() for x in (bias, scale, *layers)):
        raise FormatError("weights, ranges or energies so large that products overflow", model.path)
    return {
        "cutoffs": tables.cutoffs.array(),
        "factors": tables.factors.array(),
        "angles": tables.angles.array(),
        "elements": elements,
        "nets": nets,
        "scale": scale,
        "bias": bias,
    }


def _element(tables: Tables, union: list[Function], charges: list[float]) -> dict[str, Any]:
    radial: list[list[tuple[int, int, float]]] = [[] for _ in charges]
    sets: dict[tuple[int, int, bool], list[tuple[int, int, int, float]]] = {}
    for feature, f in enumerate(union):
        factor = tables.factor(f)
        if f.of.kind not in ANGULAR:
            for (s,), weight in _species(f.of, charges, 1):
                radial[s].append((factor, feature, weight))
            continue
        scale = 1.0 if f.of.kind in COMPACT else 2.0 ** (1.0 - f.of.zeta)
        for (a, b), weight in _species(f.of, charges, 2):
            key = a, b, f.of.kind in CLOSED
            sets.setdefault(key, []).append((factor, tables.angle(f), feature, scale * weight))
    rows = [row for of_species in radial for row in of_species]
    near = sorted({factor for of_set in sets.values() for factor, *_ in of_set})
    return {
        "radial_first": np.cumsum([0, *map(len, radial)], dtype=np.int32),
        "radial": np.array([row[:2] for row in rows], dtype=np.int32).reshape(-1, 2),
        "radial_weight": np.array([row[2] for row in rows], dtype=np.float64),
        "near": np.array(near, dtype=np.int32),
        "sets": [_set(key, sets[key], near) for key in sorted(sets)],
    }


def _species(
    f: SymmetryFunction, charges: list[float], n: int
) -> Iterator[tuple[tuple[int, ...], float]]:
    """Species of the neighbors, ascending, and the weight."""
    if f.kind not in WEIGHTED:
        yield f.neighbors, 1.0
        return
    for species in combinations_with_replacement(range(len(charges)), n):
        yield species, math.prod(charges[s] for s in species)


def _set(
    key: tuple[int, int, bool], functions: list[tuple[int, int, int, float]], near: list[int]
) -> dict[str, Any]:
    functions = sorted(functions)
    factors = sorted({factor for factor, *_ in functions})
    angles = sorted({angle for _, angle, *_ in functions})
    counts = [sum(f[0] == factor for f in functions) for factor in factors]
    return {
        "pair": np.array(key[:2], dtype=np.int32),
        "closed": key[2],
        "factor": np.array([near.index(factor) for factor in factors], dtype=np.int32),
        "first": np.cumsum([0, *counts], dtype=np.int32),
        "angle": np.array(angles, dtype=np.int32),
        "function": np.array([(angles.index(f[1]), f[2]) for f in functions], dtype=np.int32),
        "weight": np.array([f[3] for f in functions]),
    }


def _net(member: Member, element: int, union: list[Function]) -> dict[str, Any]:
    """With the scaling of the inputs, and rows of zeros for functions that are other members'."""
    net, scaling = member.networks[element], member.scaling[element]
    place = {f: k for k, f in enumerate(union)}
    first = np.zeros((len(union), net.weights[0].shape[1]))
    at = [place[f] for f in _functions(member, element)]
    np.add.at(first, at, scaling.slope[:, None] * net.weights[0])  # a function may be there twice
    weights = first, *net.weights[1:]
    biases = net.biases[0] + scaling.shift @ net.weights[0], *net.biases[1:]
    signs = [-1.0 if letter == "S" else 1.0 for letter in net.activations]
    layers = [
        {"w": sign * w, "b": sign * b, "activation": _ACTIVATIONS[letter], "resnet": False}
        for sign, w, b, letter in zip(signs, weights, biases, net.activations, strict=True)
    ]
    return {"layers": layers}
