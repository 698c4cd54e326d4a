"""Random models of the atomic cluster expansion of the sizes of published ones, as files."""

from __future__ import annotations

import os
from functools import cache
from itertools import combinations_with_replacement, product
from math import factorial, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["random_grace", "random_yace"]

Array = NDArray[np.float64]


@cache
def _three_j(a: int, b: int, c: int) -> Array:
    """Wigner's 3j symbols of (x, y), z = -x - y, by Racah's formula; indices are m + l."""
    out = np.zeros((2 * a + 1, 2 * b + 1, 2 * c + 1))
    if not abs(a - b) <= c <= a + b:
        return out
    f = factorial
    norm = f(a + b - c) * f(a - b + c) * f(b + c - a) / f(a + b + c + 1)
    for x, y in product(range(-a, a + 1), range(-b, b + 1)):
        z = -x - y
        if abs(z) > c:
            continue
        total = 0.0
        for t in range(max(0, b - c - x, a - c + y), min(a + b - c, a - x, b + y) + 1):
            total += (-1) ** t / (
                f(t) * f(c - b + t + x) * f(c - a + t - y) * f(a + b - c - t) * f(a - t - x) * f(b - t + y)
            )  # fmt: skip
        size = f(a + x) * f(a - x) * f(b + y) * f(b - y) * f(c + z) * f(c - z)
        out[x + a, y + b, z + c] = (-1) ** (a - b - z) * total * sqrt(norm * size)
    return out


@cache
def _real_three_j(a: int, b: int, c: int) -> Array:
    """The same for real harmonics; real numbers where a + b + c is even."""
    tensor = _three_j(a, b, c).astype(complex)
    for axis, l in enumerate((a, b, c)):
        u = np.zeros((2 * l + 1, 2 * l + 1), complex)
        u[l, l] = 1.0
        for m in range(1, l + 1):
            u[l + m, l + m], u[l + m, l - m] = (-1) ** m / sqrt(2), 1 / sqrt(2)
            u[l - m, l + m], u[l - m, l - m] = (-1) ** m / (sqrt(2) * 1j), -1 / (sqrt(2) * 1j)
        tensor = np.moveaxis(np.tensordot(u.conj(), tensor, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(tensor.real)


def _coupling(ls: tuple[int, ...], real: bool) -> Array | None:
    """An invariant of harmonics of these l, indices m + l; None: there is none of even parity."""
    three = _real_three_j if real else _three_j
    if len(ls) == 1:
        return np.ones(1) if ls == (0,) else None
    if len(ls) == 2:
        l = ls[0]
        if ls[0] != ls[1]:
            return None
        return three(l, l, 0)[:, :, 0] if not real else np.eye(2 * l + 1) / sqrt(2 * l + 1)
    if sum(ls) % 2:
        return None
    if len(ls) == 3:
        return three(*ls) if np.any(three(*ls)) else None
    a, b, c, d = ls
    for middle in range(abs(a - b), a + b + 1):
        if (a + b + middle) % 2 == 0 and abs(c - d) <= middle <= c + d:
            left, right = three(a, b, middle), three(middle, c, d)
            if not real:  # the middle one with m on one side is that with -m on the other
                signs = (-1.0) ** (np.arange(2 * middle + 1) - middle)
                right = right[::-1] * signs[:, None, None]
            return np.tensordot(left, right, axes=(2, 0))
    return None


def _terms(ls: tuple[int, ...], real: bool) -> list[tuple[tuple[int, ...], float]]:
    """(m of each factor, coefficient); of complex ones with all m negated only one, doubled."""
    tensor = _coupling(ls, real)
    if tensor is None:
        return []
    found = []
    for place in np.argwhere(np.abs(tensor) > 1e-12):
        ms = tuple(int(p) - l for p, l in zip(place, ls, strict=True))
        c = float(tensor[tuple(place)])
        if real or not any(ms):
            found.append((ms, c))
        elif next(m for m in ms if m) > 0:
            found.append((ms, 2.0 * c))
    return found


def _numbers(x: Any) -> str:
    return "[" + ", ".join(f"{v:.12g}" for v in np.ravel(x)) + "]"


def random_yace(
    path: str | os.PathLike[str],
    *,
    element: str = "Cu",
    cutoff: float = 7.4,
    n_max: int = 5,
    l_max: int = 6,
    n_base: int = 16,
    rank3: int = 548,
    rank4: int = 70,
    seed: int = 1,
) -> str:
    """A ``.yace`` of one element with two densities: by default of the size of Cu-PBE (Y. Lysogorskiy et al., npj Comput. Mater. 7, 97
    (2021)), 742 functions. It describes no material.

    Parameters
    ----------
    path : str
        File to be written.
    element : str
    cutoff : float
        Angstrom.
    n_max, l_max, n_base : int
        Radial functions R_nl, and g_k of which they consist.
    rank3, rank4 : int
        Numbers of functions of these ranks. All of rank 1 and 2 are there.
    seed : int

    Returns
    -------
    str
        The path.
    """
    rng = np.random.default_rng(seed)
    radial = rng.normal(size=(n_max, l_max + 1, n_base)) / (1 + np.arange(n_base)) ** 2
    shells = [(l, n) for l in range(l_max + 1) for n in range(1, n_max + 1)]
    chosen: list[tuple[tuple[int, int], ...]] = [((0, n),) for n in range(1, n_base + 1)]
    chosen += [
        pair for pair in combinations_with_replacement(shells, 2) if pair[0][0] == pair[1][0]
    ]
    for rank, number, most in ((3, rank3, min(l_max, 4)), (4, rank4, 2)):
        all_of = [
            x
            for x in combinations_with_replacement([s for s in shells if s[0] <= most], rank)
            if _coupling(tuple(l for l, _ in x), False) is not None
        ]
        places = np.sort(rng.permutation(len(all_of))[:number])
        chosen += [all_of[k] for k in places]
    lines = []
    for factors in chosen:
        ls, ns = tuple(l for l, _ in factors), [n for _, n in factors]
        terms = _terms(ls, False)
        c = np.outer([x for _, x in terms], rng.normal(size=2)) * 0.02 ** (len(ls) - 1)
        ms = [m for row, _ in terms for m in row]
        lines.append(
            f"    - {{mu0: 0, rank: {len(ls)}, ndensity: 2, num_ms_combs: {len(terms)}, mus: {[0] * len(ls)}, "
            f"ns: {ns}, ls: {list(ls)}, ms_combs: {ms}, ctildes: {_numbers(c)}}}"
        )
    text = f"""elements: [{element}]
E0: [0]
deltaSplineBins: 0.001
embeddings:
  0: {{ndensity: 2, FS_parameters: [1, 1, 1, 0.5], npoti: FinnisSinclairShiftedScaled, rho_core_cutoff: 100000, drho_core_cutoff: 250}}
bonds:
  [0, 0]: {{nradmax: {n_max}, lmax: {l_max}, nradbasemax: {n_base}, radbasename: ChebPow, radparameters: [2], radcoefficients: [{", ".join("[" + ", ".join(_numbers(x) for x in row) + "]" for row in radial)}], prehc: 100, lambdahc: 2, rcut: {cutoff}, dcut: 0.01}}
functions:
  0:
"""
    Path(path).write_text(text + "\n".join(lines) + "\n")
    return os.fspath(path)


def random_grace(
    path: str | os.PathLike[str],
    *,
    elements: tuple[str, ...] = ("Cu", "Ni"),
    cutoff: float = 7.0,
    n_max: tuple[int, int, int] = (20, 15, 10),
    l_max: int = 5,
    n_base: int = 20,
    densities: int = 4,
    rank3: int = 9,
    seed: int = 1,
) -> str:
    """A GRACE/FS ``.yaml``: by default of the size of gracemaker's FS preset "medium". It describes no material.

    Parameters
    ----------
    path : str
        File to be written.
    elements : tuple of str
    cutoff : float
        Angstrom.
    n_max : tuple of int
        Of the functions of rank 1, 2 and 3.
    l_max, n_base : int
        Largest l; number of radial functions g_k.
    densities : int
    rank3 : int
        Number of functions of rank 3 for each n.
    seed : int

    Returns
    -------
    str
        The path.
    """
    rng = np.random.default_rng(seed)
    crad = rng.normal(size=(n_max[0], l_max + 1, n_base)) / (1 + np.arange(n_base)) ** 2
    triples = [x for x in combinations_with_replacement(range(l_max), 3) if _terms(x, True)]
    triples = sorted(triples, key=sum)[:rank3]
    shapes: list[tuple[tuple[int, ...], int]] = [((0,), n_max[0])]
    shapes += [((l, l), n_max[1]) for l in range(l_max + 1)]
    shapes += [(x, n_max[2]) for x in triples]
    exponents = [1.0, 0.5, 2.0, 0.75, 0.25][:densities]
    lines = []
    for e in range(len(elements)):
        lines.append(f"  {e}:")
        for ls, last in shapes:
            terms = _terms(ls, True)
            ms = [m for row, _ in terms for m in row]
            for n in range(1, last + 1):
                lines.append(
                    f"    - {{mu0: {e}, ns: {n}, ls: {list(ls)}, ms_combs: {ms}, "
                    f"gen_cgs: {_numbers([c for _, c in terms])}, ndensity: {densities}, "
                    f"coeff: {_numbers(rng.normal(size=densities))}, rank: {len(ls)}}}"
                )
    z = rng.normal(size=(len(elements), n_max[0]))
    text = f"""elements: [{", ".join(elements)}]
nnorm: 0.0125
emb_spec: {{params: {_numbers([x for m in exponents for x in (1.0, m)])}, type: FinnisSinclairShiftedScaled}}
radial_basis: {{Z: {_numbers(z)}, Z_shape: [{len(elements)}, {n_max[0]}], crad: {_numbers(crad)}, crad_shape: [{n_max[0]}, {l_max + 1}, {n_base}], cutoff: {cutoff}, n_rad_base: {n_base}, nradmax: {n_max[0]}, radbasename: SBessel}}
functions:
"""
    Path(path).write_text(text + "\n".join(lines) + "\n")
    return os.fspath(path)
