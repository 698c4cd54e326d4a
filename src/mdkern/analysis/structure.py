"""Radial distribution and shells of distances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdkern import checks

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["distance_shells", "radial_distribution", "rdf"]

Float = NDArray[np.float64]

MAX_PAIRS = 2e7  # of one frame: bounds the memory of a radial distribution


def radial_distribution(
    frames: Sequence[Atoms], r_max: float | None = None, bins: int = 200
) -> tuple[Float, Float]:
    r"""Radial distribution function g(r) of periodic structures, averaged over frames.

    .. math:: g(r) = \frac{V}{N^2} \left\langle \sum_{i \ne j} \frac{\delta(r - r_{ij})}{4 \pi r^2} \right\rangle

    Parameters
    ----------
    frames : sequence of Atoms
        With cells of rank 3, each with at least one atom.
    r_max : float, optional
        Angstrom; by default 3.6 times the cube root of the volume per atom. Smaller for very large systems, whose pairs
        up to there would not fit.
    bins : int
        Number of intervals from 0 to `r_max`.

    Returns
    -------
    r, g : (bins,) arrays
        Centres of the bins in Angstrom, and g.

    Raises
    ------
    TypeError
        Something else than a list of structures.
    ValueError
        No frames, a frame without atoms or without a volume, a radius that is not positive, no bins.
    """
    from mdkern.neighbors import neighbor_list

    frames = checks.structures("frames", frames)
    if not frames:
        raise ValueError("frames: none; expected at least one")
    for k, atoms in enumerate(frames):
        if len(atoms) == 0 or atoms.cell.rank < 3:
            raise ValueError(
                f"frames[{k}]: {len(atoms)} atoms, cell of rank {atoms.cell.rank}; expected atoms in a cell of rank 3"
            )
    bins = checks.whole("bins", bins, 1)
    if r_max is not None:
        r_max = checks.positive("r_max", r_max)
    n = max(len(atoms) for atoms in frames)
    volume = min(float(atoms.cell.volume) / len(atoms) for atoms in frames)
    if r_max is None:
        r_max = 3.6 * volume ** (1 / 3)
    r_max = min(r_max, (MAX_PAIRS / n * volume * 3 / (4 * np.pi)) ** (1 / 3))
    edges = np.linspace(0.0, r_max, bins + 1)
    g = np.zeros(bins)
    for atoms in frames:
        counts = np.histogram(neighbor_list("d", atoms, r_max), edges)[0]
        g += counts * atoms.cell.volume / len(atoms) ** 2
    shell = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    return 0.5 * (edges[1:] + edges[:-1]), g / shell / len(frames)


rdf = radial_distribution
"""The short name of :func:`radial_distribution`, as others have it."""


def distance_shells(distances: ArrayLike, n_atoms: int, gap: float) -> list[dict[str, Any]]:
    """Groups of distances that lie closer to each other than `gap` (Angstrom).

    Parameters
    ----------
    distances : (m,) array
        Of pairs counted in both directions, Angstrom.
    n_atoms : int
        Atoms that the pairs are of.
    gap : float
        Distances farther apart than this belong to different shells, Angstrom.

    Returns
    -------
    list of dict
        ``mean``, ``min``, ``max`` (Angstrom) and ``per_atom``, nearest first.
    """
    d = np.sort(np.asarray(distances, dtype=np.float64))
    if len(d) == 0:
        return []
    starts = np.concatenate([[0], np.flatnonzero(np.diff(d) > gap) + 1, [len(d)]])
    return [
        {
            "mean": float(d[a:b].mean()),
            "min": float(d[a]),
            "max": float(d[b - 1]),
            "per_atom": (b - a) / n_atoms,
        }
        for a, b in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    ]
