r"""Positions and cell as one set of coordinates, in NumPy: the definition.

A deformation F takes the first cell and the positions in it, both as rows, to those of a moment: h = h_0 F^T and x = y F^T. An
optimizer moves rows of three numbers: y, and below them c F (ASE's UnitCellFilter) or c log F
(FrechetCellFilter), with c the number of atoms.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["coordinates", "exponential", "exponential_derivative", "forces", "logarithm", "place"]

Array = NDArray[np.float64]


def exponential(a: Array) -> Array:
    """exp(a), by scaling to a small norm, Taylor's series, and squaring."""
    halvings = max(0, math.ceil(math.log2(max(float(np.abs(a).sum()), 1e-300) / 0.5)))
    b = a / 2.0**halvings
    term: Array = np.eye(len(a))
    total: Array = term.copy()
    for n in range(1, 25):
        term = term @ b / n
        total += term
    for _ in range(halvings):
        total[:] = total @ total
    return total


def exponential_derivative(a: Array, w: Array) -> Array:
    r"""The derivative of exp(a + t w) by t at t = 0: the upper right block of

    .. math:: \exp \begin{pmatrix} a & w \\ 0 & a \end{pmatrix}
    """
    n = len(a)
    size = max(float(np.abs(w).sum()), 1e-300)
    both: Array = exponential(np.block([[a, w / size], [np.zeros((n, n)), a]]))
    return np.multiply(both[:n, n:], size)


def logarithm(a: Array) -> Array:
    """The principal logarithm, by square roots until the matrix is near the identity, and a series.

    Raises
    ------
    ValueError
        An eigenvalue is zero or negative, so that there is none.
    """
    values = np.linalg.eigvals(a)
    if np.any((values.real <= 0) & (np.abs(values.imag) <= 1e-7 * np.abs(values))):
        raise ValueError(f"matrix with the eigenvalues {values}; expected none that is zero or negative")  # fmt: skip
    one, root, halvings = np.eye(len(a)), np.array(a, float), 0
    while np.abs(root - one).sum() > 0.2:
        # Denman and Beavers: x and z go to the square root and its inverse.
        x, z = root, one
        for _ in range(60):
            x, z = 0.5 * (x + np.linalg.inv(z)), 0.5 * (z + np.linalg.inv(x))
        root, halvings = x, halvings + 1
    step = np.linalg.solve(root + one, root - one)
    total: Array = np.zeros_like(one)
    for k in range(1, 40, 2):
        total += np.linalg.matrix_power(step, k) / k
    total *= 2.0 ** (halvings + 1)
    return total


def _deformation(rows: Array, logarithmic: bool, mask: Array) -> Array:
    change: Array = exponential(rows) if logarithmic else rows.copy()
    change -= np.eye(3)
    change *= mask.T
    change += np.eye(3)
    return change


def coordinates(
    x: Array, cell: Array, first_cell: Array, logarithmic: bool, factor: float
) -> Array:
    """Coordinates (n + 3, 3) of positions (n, 3) in a cell."""
    f = np.linalg.solve(first_cell, cell).T
    return np.vstack([np.linalg.solve(f, x.T).T, factor * (logarithm(f) if logarithmic else f)])


def place(
    q: Array, first_cell: Array, logarithmic: bool, factor: float, mask: Array
) -> tuple[Array, Array]:
    """Positions (n, 3) and cell of coordinates; what `mask` (3, 3) has a zero for stays as in the first cell."""
    f = _deformation(q[-3:] / factor, logarithmic, mask)
    return q[:-3] @ f.T, first_cell @ f.T


def forces(
    f_atoms: Array,
    virial: Array,
    cell: Array,
    first_cell: Array,
    logarithmic: bool,
    factor: float,
    mask: Array,
    pressure: float = 0.0,
    hydrostatic: bool = False,
    constant_volume: bool = False,
) -> Array:
    r"""Minus the gradient of E + p V by the coordinates, (n + 3, 3), where nothing is masked or projected.

    With the virial W = -dE/d(strain) - p V, a step dF changes E + p V by -tr((W F^{-T})^T dF). By log F it is the adjoint of the
    derivative of the exponential, that is the derivative at the transpose.

    Parameters
    ----------
    f_atoms : (n, 3) array
    virial : (3, 3) array
        -dE/d(strain), eV.
    cell, first_cell : (3, 3) arrays
    logarithmic : bool
    factor : float
    mask : (3, 3) array
        Components of the virial that count.
    pressure : float
        eV/Angstrom^3.
    hydrostatic, constant_volume : bool
        The third of its trace in place of the virial; rows without their trace.
    """
    deformation = np.linalg.solve(first_cell, cell).T
    w = virial - pressure * abs(np.linalg.det(cell)) * np.eye(3)
    inverse = np.linalg.inv(deformation).T
    if not logarithmic:
        w = w @ inverse
    if hydrostatic:
        w = np.eye(3) * np.trace(w) / 3.0
    w = w * mask
    if logarithmic:
        w = exponential_derivative(logarithm(deformation).T, w @ inverse)
    if constant_volume:
        w = w - np.eye(3) * np.trace(w) / 3.0
    return np.vstack([f_atoms @ deformation, w / factor])
