"""Behler-Parrinello networks in plain NumPy, with the symmetry functions of n2p2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mdkern.io.behler_parrinello import BehlerParrinelloModel, Member
from mdkern.io.network_data import Network
from mdkern.io.symmetry_functions import ANGULAR, CLOSED, COMPACT, WEIGHTED, SymmetryFunction
from mdkern.reference.pairs import Float, Int, Result, pair_list, sum_at

__all__ = ["behler_parrinello", "symmetry_functions"]

Values = tuple[Any, Any]  # a function and its derivative, arrays


def behler_parrinello(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    species: ArrayLike,
    model: BehlerParrinelloModel,
    *,
    length: float = 1.0,
    energy: float = 1.0,
) -> Result:
    r"""Energy, forces and virial; of several members the mean.

    .. math:: E = \sum_i \Big[\frac{NN_{e(i)}(\mathbf G_i)}{c} + \bar E + E_0(e_i)\Big]

    J. Behler and M. Parrinello, Phys. Rev. Lett. 98, 146401 (2007); the symmetry functions G are those of
    :func:`symmetry_functions`, scaled as the model says.

    Parameters
    ----------
    positions, cell, pbc
        As in `neighbor_list` (Angstrom).
    species : (n,) int array
        Index of each atom's element in ``model.species``.
    model : BehlerParrinelloModel
    length, energy : float
        Units of the model's files in Angstrom and eV.

    Returns
    -------
    Result
    """
    parts = [
        _member(positions, cell, pbc, species, model, m, length, energy) for m in model.members
    ]
    energies, forces, virial = (np.mean([part[k] for part in parts], axis=0) for k in range(3))
    return Result(float(energies.sum()), energies, forces, virial)


def symmetry_functions(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    species: ArrayLike,
    model: BehlerParrinelloModel,
    *,
    length: float = 1.0,
    member: int = 0,
) -> list[Float]:
    """Functions of each atom in the order of n2p2, not scaled; as many as its element has.

    The arguments are those of :func:`behler_parrinello`.
    """
    kind, i, j, D = _pairs(positions, cell, pbc, species, model, length)
    of = model.members[member]
    charges = _charges(model)
    out = []
    for a in range(len(kind)):
        found = _functions(of, kind[a], D[i == a], kind[j[i == a]], charges)
        out.append(np.array([value for value, _ in found]))
    return out


def _charges(model: BehlerParrinelloModel) -> Float:
    from ase.data import atomic_numbers

    return np.array([float(atomic_numbers[symbol]) for symbol in model.species])


def _pairs(
    positions: ArrayLike, cell: ArrayLike, pbc: ArrayLike, species: ArrayLike,
    model: BehlerParrinelloModel, length: float,
) -> tuple[Int, Int, Int, Float]:  # fmt: skip
    """Everything in the model's unit of length."""
    scaled = np.asarray(positions) / length, np.asarray(cell) / length
    pairs = pair_list(*scaled, pbc, species, model.cutoff)
    return np.asarray(species, dtype=np.int64), pairs.i, pairs.j, pairs.D


def _member(
    positions: ArrayLike, cell: ArrayLike, pbc: ArrayLike, species: ArrayLike,
    model: BehlerParrinelloModel, member: Member, length: float, energy: float,
) -> tuple[Float, Float, Float]:  # fmt: skip
    kind, i, j, D = _pairs(positions, cell, pbc, species, model, length)
    charges = _charges(model)
    energies = np.zeros(len(kind))
    p = np.zeros_like(D)  # dE_i/d(r_j - r_i)
    for a in range(len(kind)):
        near = np.flatnonzero(i == a)
        found = _functions(member, kind[a], D[near], kind[j[near]], charges)
        scaling = member.scaling[kind[a]]
        g = np.array([value for value, _ in found])
        value, slope = _network(member.networks[kind[a]], scaling.shift + scaling.slope * g)
        energies[a] = (
            value / member.conv_energy + member.mean_energy + member.atom_energies[kind[a]]
        )
        for s, (_, gradient) in zip(slope * scaling.slope, found, strict=True):
            p[near] += s / member.conv_energy * gradient
    forces = np.stack([sum_at(i, x, len(kind)) - sum_at(j, x, len(kind)) for x in p.T], axis=1)
    return energies * energy, forces * (energy / length), -D.T @ p * energy


# --- network --------------------------------------------------------------------------------------


def _sigmoid(x: Any) -> Any:
    return np.exp(-np.logaddexp(0.0, -x))


_ACTIVATIONS: dict[str, Callable[[Any], Values]] = {
    "l": lambda x: (x, np.ones_like(x)),
    "t": lambda x: (np.tanh(x), 1 - np.tanh(x) ** 2),
    "s": lambda x: (_sigmoid(x), _sigmoid(x) * _sigmoid(-x)),
    "p": lambda x: (np.logaddexp(0.0, x), _sigmoid(x)),
    "r": lambda x: (np.maximum(x, 0.0), (x > 0.0) * 1.0),
    "g": lambda x: (np.exp(-(x**2) / 2), -x * np.exp(-(x**2) / 2)),
    "c": lambda x: (np.cos(x), -np.sin(x)),
    "S": lambda x: (_sigmoid(-x), -_sigmoid(x) * _sigmoid(-x)),
    "e": lambda x: (np.exp(-x), -np.exp(-x)),
    "h": lambda x: (x**2, 2 * x),
}


def _network(net: Network, x: Float) -> tuple[float, Float]:
    """Output, and its derivatives by the inputs."""
    slopes = []
    for w, b, letter in zip(net.weights, net.biases, net.activations, strict=True):
        x, slope = _ACTIVATIONS[letter](x @ w + b)
        slopes.append(slope)
    back = np.ones(1)
    for w, slope in zip(reversed(net.weights), reversed(slopes), strict=True):
        back = w @ (back * slope)
    return float(x[0]), back


# --- symmetry functions ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Centre:
    """Neighbors of an atom, and its triplets: pairs j < k of neighbors, their cosine and third side."""

    d: Float
    r: Float
    kinds: Int
    charges: Float
    j: Int
    k: Int
    cos: Float
    third: Float
    side: Float

    @classmethod
    def of(cls, d: Float, kinds: Int, charges: Float) -> Centre:
        """From vectors to the neighbors, their species, and atomic numbers of species."""
        j, k = np.triu_indices(len(d), 1)
        r, side = np.linalg.norm(d, axis=1), d[j] - d[k]
        cos = np.einsum("tx,tx->t", d[j], d[k]) / (r[j] * r[k])
        return cls(d, r, kinds, charges, j, k, cos, np.linalg.norm(side, axis=1), side)


def _functions(
    member: Member, element: int, d: Float, kinds: Int, charges: Float
) -> list[tuple[float, Float]]:
    """Value of each function, and its gradient by the vectors."""
    centre = Centre.of(d, kinds, charges)
    return [
        (_angular if f.kind in ANGULAR else _radial)(member, f, centre)
        for f in member.functions[element]
    ]


def _radial_factor(member: Member, f: SymmetryFunction, r: Float) -> Values:
    """Of one distance: a Gaussian times the cutoff function, or a compact function."""
    if f.kind in COMPACT:
        return _compact(r, f.rl, f.rc, f.sub)
    fc, dfc = _cutoff(member.cutoff_type, member.alpha, r, f.rc)
    gauss = np.exp(-f.eta * (r - f.rs) ** 2)
    return gauss * fc, gauss * (dfc - 2 * f.eta * (r - f.rs) * fc)


def _radial(member: Member, f: SymmetryFunction, at: Centre) -> tuple[float, Float]:
    g, dg = _radial_factor(member, f, at.r)
    weight = at.charges[at.kinds] if f.kind in WEIGHTED else (at.kinds == f.neighbors[0]) * 1.0
    return float((weight * g).sum()), (weight * dg / at.r)[:, None] * at.d


def _angular(member: Member, f: SymmetryFunction, at: Centre) -> tuple[float, Float]:
    first, second = at.kinds[at.j], at.kinds[at.k]
    if f.kind in WEIGHTED:
        weight = at.charges[first] * at.charges[second]
    else:
        a, b = f.neighbors
        weight = (((first == a) & (second == b)) | ((first == b) & (second == a))) * 1.0
    if f.kind in CLOSED:
        weight = weight * (at.third < f.rc)
    used = np.flatnonzero(weight)
    weight, j, k, cos, third = weight[used], at.j[used], at.k[used], at.cos[used], at.third[used]
    r, d = at.r, at.d
    g, dg = _radial_factor(member, f, r)
    gj, gk, dgj, dgk = g[j], g[k], dg[j], dg[k]
    closed = f.kind in CLOSED
    h, dh = _radial_factor(member, f, third) if closed else (np.ones_like(cos), np.zeros_like(cos))
    a, da = _angle_factor(f, cos)
    with np.errstate(invalid="ignore", divide="ignore"):
        u = np.where(third[:, None] > 0.0, at.side[used] / third[:, None], 0.0)
    uj, uk = d[j] / r[j][:, None], d[k] / r[k][:, None]
    turn = weight * gj * gk * h * da
    push = (weight * gj * gk * dh * a)[:, None] * u
    on_j = (weight * dgj * gk * h * a)[:, None] * uj
    on_k = (weight * gj * dgk * h * a)[:, None] * uk
    on_j += (turn / r[j])[:, None] * (uk - cos[:, None] * uj) + push
    on_k += (turn / r[k])[:, None] * (uj - cos[:, None] * uk) - push
    gradient = np.stack(
        [sum_at(j, on_j[:, x], len(d)) + sum_at(k, on_k[:, x], len(d)) for x in range(3)], axis=1
    )
    return float((weight * gj * gk * h * a).sum()), gradient


def _angle_factor(f: SymmetryFunction, cos: Float) -> Values:
    """And its derivative by the cosine."""
    if f.kind in COMPACT:
        inside = (cos > -1.0) & (cos < 1.0)
        c = np.where(inside, cos, 0.0)
        left, right = np.radians(f.thl), np.radians(f.thr)
        value, slope = _compact(np.arccos(c), left, right, f.sub.removesuffix("a"))
        return inside * value, inside * slope / -np.sqrt((1 - c) * (1 + c))
    base = 1 + f.lam * cos
    positive = base > 0.0
    base = np.where(positive, base, 1.0)
    scale = positive * 2.0 ** (1 - f.zeta)
    return scale * base**f.zeta, scale * f.zeta * f.lam * base ** (f.zeta - 1)


def _polynomial(p: int, x: Float) -> Values:
    """n2p2's p1 to p4: from 1 at x = 0 to 0 at x = 1."""
    value = {
        1: (2 * x - 3) * x**2 + 1,
        2: ((15 - 6 * x) * x - 10) * x**3 + 1,
        3: (x * (x * (20 * x - 70) + 84) - 35) * x**4 + 1,
        4: (x * (x * ((315 - 70 * x) * x - 540) + 420) - 126) * x**5 + 1,
    }[p]
    return value, -{1: 6, 2: 30, 3: 140, 4: 630}[p] * (x * (1 - x)) ** p


def _bump(x: Float) -> Values:
    """exp(1 - 1 / (1 - x^2))."""
    y = np.where(np.abs(x) < 1.0, 1 - x**2, 1.0)
    value = np.exp(1 - 1 / y) * (np.abs(x) < 1.0)
    return value, value * -2 * x / y**2


def _cutoff(kind: int, alpha: float, r: Float, rc: float) -> Values:
    inside = r < rc
    inner = 0.0 if kind in (2, 3) else alpha * rc
    x = np.clip((r - inner) / (rc - inner), 0.0, 1.0)
    if kind == 0:
        value, slope = np.ones_like(r), np.zeros_like(r)
    elif kind == 1:
        value, slope = (np.cos(np.pi * x) + 1) / 2, -np.pi / 2 * np.sin(np.pi * x)
    elif kind in (2, 3):
        t = np.tanh(1 - x)
        scale = 1.0 if kind == 2 else np.tanh(1.0) ** -3
        value, slope = scale * t**3, scale * -3 * t**2 * (1 - t**2)
    elif kind == 4:
        value, slope = _bump(x)
    else:
        value, slope = _polynomial(kind - 4, x)
    flat = r < inner
    return inside * np.where(flat, 1.0, value), inside * np.where(flat, 0.0, slope / (rc - inner))


def _compact(x: Float, left: float, right: float, sub: str) -> Values:
    half = (right - left) / 2
    offset = x - (left + right) / 2
    a, da = np.abs(offset) / half, np.sign(offset) / half
    inside = (x > left) & (x < right) & (a < 1.0)
    a = np.where(inside, a, 0.0)
    if sub.endswith("a"):
        a, da = a * (2 - a), da * (2 - 2 * a)
    value, slope = _bump(a) if sub[0] == "e" else _polynomial(int(sub[1]), a)
    return inside * value, inside * slope * da
