"""Embedded-atom method in plain NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from mdkern.io.eam import EamTables, spline_coefficients
from mdkern.potentials import zhou2004
from mdkern.reference.pairs import Float, Int, PairList, Result, pair_list, sum_at, sum_pairs

__all__ = ["eam", "eam_zhou2004"]

Curve = tuple[Float, Float]  # values and derivatives


def eam(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    species: ArrayLike,
    tables: EamTables,
) -> Result:
    r"""Energy, forces and virial from EAM tables.

    .. math::

        E = \sum_i F_i(\rho_i) + \tfrac12 \sum_{ij} \phi_{ij}(r_{ij}), \qquad
        \rho_i = \sum_j f_{j \to i}(r_{ij})

    Atom energies are F_i plus half of the pair terms. Above ``tables.rho_max`` F goes on along
    its last slope.

    Parameters
    ----------
    positions, cell, pbc
        As in `neighbor_list` (Angstrom).
    species : (n,) int array
        Index of each atom's element in ``tables.species``.
    tables : EamTables

    Returns
    -------
    Result
    """
    f = spline_coefficients(tables.density)
    z = spline_coefficients(tables.r_phi)
    F = spline_coefficients(tables.embedding)

    def density(source: Int, centre: Int, r: Float) -> Curve:
        return _spline(f, (source, centre), r, tables.dr)

    def pair(a: Int, b: Int, r: Float) -> Curve:
        value, slope = _spline(z, (a, b), r, tables.dr)
        return value / r, slope / r - value / r**2

    def embedding(a: Int, rho: Float) -> Curve:
        value, slope = _spline(F, (a,), rho, tables.drho)
        return value + slope * np.maximum(rho - tables.rho_max, 0.0), slope

    pairs = pair_list(positions, cell, pbc, species, tables.cutoff)
    return _evaluate(pairs, np.asarray(species, dtype=np.int64), density, pair, embedding)


def eam_zhou2004(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    species: ArrayLike,
    elements: Sequence[str],
    cutoff: float | None = None,
) -> Result:
    """Same sums with the closed formulas of `mdkern.potentials.zhou2004`, no tables.

    `species` counts the atoms' elements in `elements`.
    """
    rc = zhou2004.checked_cutoff(elements, cutoff)

    def density(source: Int, centre: Int, r: Float) -> Curve:
        return _by_species(lambda a, b, x: _functions(a, b, x)[:2], r, source, centre)

    def pair(a: Int, b: Int, r: Float) -> Curve:
        return _by_species(lambda a, b, x: _functions(a, b, x)[2:], r, a, b)

    def embedding(a: Int, rho: Float) -> Curve:
        return _by_species(lambda k, x: zhou2004.embedding_function(elements[k], x), rho, a)

    def _functions(a: int, b: int, r: Float) -> tuple[Float, ...]:
        return zhou2004.switched_functions(elements[a], elements[b], r, rc)

    pairs = pair_list(positions, cell, pbc, species, rc)
    return _evaluate(pairs, np.asarray(species, dtype=np.int64), density, pair, embedding)


def _evaluate(
    pairs: PairList,
    species: Int,
    density: Callable[[Int, Int, Float], Curve],
    pair: Callable[[Int, Int, Float], Curve],
    embedding: Callable[[Int, Float], Curve],
) -> Result:
    """Two passes: densities, then forces."""
    i, j, a, b, r = pairs.i, pairs.j, pairs.a, pairs.b, pairs.r
    at_i, d_at_i = density(b, a, r)  # what j contributes at i
    d_at_j = density(a, b, r)[1]
    rho = sum_at(i, at_i, pairs.n)
    energy, d_energy = embedding(species, rho)
    phi, d_phi = pair(a, b, r)
    return sum_pairs(pairs, phi, d_energy[i] * d_at_i + d_energy[j] * d_at_j + d_phi, own=energy)


def _spline(coefficients: Float, row: tuple[Int, ...], x: Float, delta: float) -> Curve:
    """Cubic of the cell that holds x; constant index beyond the ends, p at most one."""
    p = x / delta
    # np.clip first: a huge density must not overflow the integer
    m = np.clip(p, 0, coefficients.shape[-2] - 1).astype(np.int64)
    p = np.minimum(p - m, 1.0)
    cell = (*row, m)
    c3, c2, c1, c0 = coefficients[cell].T
    return ((c3 * p + c2) * p + c1) * p + c0, ((3 * c3 * p + 2 * c2) * p + c1) / delta


def _by_species(function: Callable[..., Sequence[Float]], x: Float, *kinds: Int) -> Curve:
    """Evaluate a function that differs between (pairs of) species."""
    value, slope = np.zeros_like(x), np.zeros_like(x)
    for key in np.unique(np.stack(kinds, axis=1), axis=0):
        mine = np.all([kind == k for kind, k in zip(kinds, key, strict=True)], axis=0)
        value[mine], slope[mine] = function(*(int(k) for k in key), x[mine])
    return value, slope
