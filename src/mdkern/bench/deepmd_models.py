"""Random Deep Potential models of any size, for tests and benchmarks: the format without the physics.

Numbers are scaled so that forces are some eV/Angstrom, as those of trained models.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["random_deepmd"]


def random_deepmd(
    path: str | os.PathLike[str],
    *,
    species: Sequence[str] = ("O", "H"),
    sel: Sequence[int] = (46, 92),
    r_cut: float = 6.0,
    r_cut_smth: float = 0.5,
    neuron: Sequence[int] = (25, 50, 100),
    axis_neuron: int = 16,
    fitting: Sequence[int] = (240, 240, 240),
    one_side: bool = True,
    activation: str = "tanh",
    seed: int = 0,
) -> str:
    """Write an ``se_e2_a`` model as JSON; by default of the size of the water models of DeePMD-kit.

    Parameters
    ----------
    path : str
        File to write.
    species, sel, r_cut, r_cut_smth, neuron, axis_neuron, fitting, one_side, activation
        As in the training input of DeePMD-kit (Angstrom).
    seed : int

    Returns
    -------
    str
        `path`.
    """
    rng = np.random.default_rng(seed)
    n = len(species)
    nets = [
        _net(rng, "Embedding", [1, *neuron], activation) for _ in range(n if one_side else n * n)
    ]
    width = neuron[-1] * axis_neuron
    energies = [_net(rng, "Fitting", [width, *fitting, 1], activation) for _ in range(n)]
    rows = [np.full((sum(sel), 4), 0.0) for _ in range(n)]
    for row in rows:
        row[:, 0] = rng.uniform(0.02, 0.08)
    spread = [np.tile([x, x / 2, x / 2, x / 2], (sum(sel), 1)) for x in rng.uniform(0.1, 0.2, n)]
    descriptor = {
        "@class": "Descriptor",
        "@version": 2,
        "type": "se_e2_a",
        "rcut": r_cut,
        "rcut_smth": r_cut_smth,
        "sel": list(sel),
        "axis_neuron": axis_neuron,
        "type_one_side": one_side,
        "embeddings": _collection(nets, 1 if one_side else 2, n, "embedding_network"),
        "@variables": {"davg": _array(np.array(rows)), "dstd": _array(np.array(spread))},
    }
    fit = {
        "@class": "Fitting",
        "@version": 4,
        "type": "ener",
        "dim_descrpt": width,
        "mixed_types": False,
        "nets": _collection(energies, 1, n, "fitting_network"),
        "@variables": {"bias_atom_e": _array(rng.normal(size=(n, 1)))},
    }
    model = {
        "@class": "Model",
        "@version": 2,
        "type": "standard",
        "type_map": list(species),
        "descriptor": descriptor,
        "fitting": fit,
        "@variables": {"out_bias": _array(np.zeros((1, n, 1)))},
    }
    tree = {"software": "mdkern", "version": "random", "model": model, "@variables": {}}
    Path(path).write_text(json.dumps(tree), encoding="ascii")
    return os.fspath(path)


def _net(rng: np.random.Generator, kind: str, widths: list[int], activation: str) -> dict[str, Any]:
    layers = []
    for k, (n_in, n_out) in enumerate(itertools.pairwise(widths)):
        last = kind == "Fitting" and k == len(widths) - 2
        scale = (4.0 if kind == "Fitting" and k == 0 else 1.0) / np.sqrt(n_in + n_out)
        layers.append(
            {
                "@class": "Layer",
                "@version": 2,
                "activation_function": "none" if last else activation,
                "resnet": not last,
                "@variables": {
                    "w": _array(rng.normal(scale=scale, size=(n_in, n_out))),
                    "b": _array(rng.normal(scale=0.3, size=n_out)),
                    "idt": None,
                },
            }
        )
    return {"@class": kind + "Network", "@version": 1, "precision": "float64", "layers": layers}


def _collection(nets: list[Any], ndim: int, n: int, kind: str) -> dict[str, Any]:
    head = {"@class": "NetworkCollection", "@version": 1, "ndim": ndim, "ntypes": n}
    return {**head, "network_type": kind, "networks": nets}


def _array(x: np.ndarray) -> dict[str, Any]:
    """Six digits: short, and as good as more for random numbers."""
    value = np.round(x, 6).tolist()
    return {"@class": "np.ndarray", "@version": 1, "dtype": "float64", "value": value}
