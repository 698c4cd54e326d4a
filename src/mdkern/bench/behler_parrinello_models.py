"""Random models of n2p2, for tests and benchmarks: folders as n2p2 has them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["WATER_FUNCTIONS", "random_behler_parrinello"]


def _water() -> list[str]:
    """As many functions of the same kinds as the published model of water has (30 of O, 27 of H), in Angstrom."""
    lines, rc = [], 6.35
    for centre in "HO":
        for neighbor in "HO":
            lines += [f"{centre} 2 {neighbor} {eta} 0.0 {rc}" for eta in (0.0035, 0.035, 0.1, 0.2)]
            lines += [f"{centre} 2 {neighbor} {eta} 1.0 {rc}" for eta in (0.5, 1.0, 2.0, 5.0)]
    for eta, zeta in ((0.245, 1), (0.105, 1), (0.035, 4)):
        for lam in (1, -1):
            lines += [f"O 3 H H {eta} {lam} {zeta} {rc}", f"H 3 O H {eta} {lam} {zeta} {rc}"]
    lines.append(f"H 3 O H 0.7 1 1 {rc}")
    for eta, zeta in ((0.105, 1), (0.0035, 4)):
        for lam in (1, -1):
            pairs = ("O 3 O H", "H 3 O O", "O 3 O O")
            lines += [f"{pair} {eta} {lam} {zeta} {rc}" for pair in pairs]
    return lines


WATER_FUNCTIONS = _water()


def random_behler_parrinello(
    folder: str | os.PathLike[str],
    *,
    species: Sequence[str],
    functions: Sequence[str],
    cutoff: str = "2",
    hidden: Sequence[int] = (25, 25),
    activations: str = "ttl",
    settings: Sequence[str] = ("scale_symmetry_functions", "center_symmetry_functions"),
    nodes: Mapping[str, tuple[Sequence[int], str]] | None = None,
    spread: float = 2.0,
    ranges: Mapping[str, Any] | None = None,
    bounds: tuple[float, float] | None = None,
    size: float = 1.0,
    seed: int = 1,
) -> str:
    """Write a folder; weights and ranges of the functions are random numbers.

    Parameters
    ----------
    folder : path
        Made where there is none.
    species : sequence of str
        In the order of the line ``elements``.
    functions : sequence of str
        What stands behind ``symfunction_short``.
    cutoff : str
        What stands behind ``cutoff_type``.
    hidden, activations : sequence of int, str
        Of all elements.
    settings : sequence of str
        Further lines.
    nodes : dict of str to (hidden, activations), optional
        Of single elements.
    spread : float
        Size of the ranges of the functions.
    ranges : dict of str to (n_functions, 4) array, optional
        Minimum, maximum, mean and sigma of the functions of each element instead.
    bounds : (float, float), optional
        Minimum and maximum of all functions instead, where these are scaled by sigma: so wide that nothing is beyond them.
    size : float
        Of the weights, those of n inputs being about size / sqrt(n).
    seed : int

    Returns
    -------
    str
        The folder.
    """
    from ase.data import atomic_numbers

    path, rng, nodes = Path(folder), np.random.default_rng(seed), nodes or {}
    path.mkdir(parents=True, exist_ok=True)
    lines = [
        f"number_of_elements {len(species)}",
        f"elements {' '.join(species)}  # in any order",
        f"cutoff_type {cutoff}",
        f"global_hidden_layers_short {len(hidden)}",
        f"global_nodes_short {' '.join(map(str, hidden))}",
        f"global_activation_short {' '.join(activations)}",
        *settings,
    ]
    for symbol, (sizes, letters) in nodes.items():
        lines += [
            f"element_hidden_layers_short {symbol} {len(sizes)}",
            f"element_nodes_short {symbol} {' '.join(map(str, sizes))}",
            f"element_activation_short {symbol} {' '.join(letters)}",
        ]
    lines += [f"symfunction_short {function}" for function in functions]
    (path / "input.nn").write_text("\n".join(lines) + "\n")
    scaling = ["# e_index sf_index sf_min sf_max sf_mean sf_sigma"]
    for e, symbol in enumerate(sorted(species, key=atomic_numbers.__getitem__), 1):
        n_in = sum(function.split()[0] == symbol for function in functions)
        for s in range(1, n_in + 1):
            low, width, place = rng.uniform(0, 0.3), spread * rng.uniform(0.8, 1.5), rng.uniform(0.2, 0.4)  # fmt: skip
            row = (low, low + width, low + place * width, width / 4)
            if ranges is not None:
                row = tuple(ranges[symbol][s - 1])
            if bounds is not None:
                row = (*bounds, *row[2:])
            scaling.append(f"{e} {s} " + " ".join(f"{x:.15e}" for x in row))
        sizes = nodes[symbol][0] if symbol in nodes else hidden
        (path / f"weights.{atomic_numbers[symbol]:03d}.data").write_text(_weights(rng, size, (n_in, *sizes, 1)))  # fmt: skip
    (path / "scaling.data").write_text("\n".join(scaling) + "\n")
    return os.fspath(path)


def _weights(rng: Any, size: float, sizes: Sequence[int]) -> str:
    lines = ["# weights and biases"]
    for k, (n, m) in enumerate(pairwise(sizes), 1):
        for i in range(n):
            lines += [
                f"{size * rng.normal() / np.sqrt(n):.15e} a {k} {i + 1} {j + 1}" for j in range(m)
            ]
        lines += [f"{rng.normal() * 0.3:.15e} b {k} {j + 1}" for j in range(m)]
    return "\n".join(lines) + "\n"
