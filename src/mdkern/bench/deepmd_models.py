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

__all__ = ["KINDS", "random_deepmd"]

KINDS = ("se_e2_a", "se_e2_r", "se_e3", "dpa1_strip", "dpa1_concat", "dpa1_attention")
_TEBD = 8  # numbers that stand for a type in dpa1


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
    kind: str = "se_e2_a",
    seed: int = 0,
) -> str:
    """Write a model as JSON; by default of the size of the water models of DeePMD-kit.

    Parameters
    ----------
    path : str
        File to write.
    species, sel, r_cut, r_cut_smth, neuron, axis_neuron, fitting, one_side, activation
        As in the training input of DeePMD-kit (Angstrom). dpa1 has the sum of `sel`.
    kind : {"se_e2_a", "se_e2_r", "se_e3", "dpa1_strip", "dpa1_concat", "dpa1_attention"}
        Of the descriptor; dpa1 with 8 numbers for each type, the last with two attention layers of 128.
    seed : int

    Returns
    -------
    str
        `path`.

    Raises
    ------
    ValueError
        An unknown `kind`.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: {kind!r}; expected one of {', '.join(KINDS)}")
    rng = np.random.default_rng(seed)
    n, mixed, outer = len(species), kind.startswith("dpa1"), kind not in ("se_e2_r", "se_e3")
    columns = 1 if kind == "se_e2_r" else 4
    means, spread = rng.uniform(0.02, 0.08, n), rng.uniform(0.1, 0.2, n)
    davg, dstd = np.zeros((n, sum(sel), columns)), np.empty((n, sum(sel), columns))
    if not mixed:
        davg[..., 0] = means[:, None]
    dstd[:] = spread[:, None, None] / ([1, 2, 2, 2][:columns])
    descriptor: dict[str, Any] = {
        "@class": "Descriptor",
        "@version": 2,
        "type": kind.partition("_")[0] if mixed else kind,
        "rcut": r_cut,
        "rcut_smth": r_cut_smth,
        "sel": [sum(sel)] if mixed else list(sel),
        "@variables": {"davg": _array(davg), "dstd": _array(dstd)},
    }

    def nets(number: int, n_in: int, ndim: int) -> dict[str, Any]:
        made = [_net(rng, "Embedding", [n_in, *neuron], activation) for _ in range(number)]
        return _collection(made, ndim, n, "embedding_network")

    width = neuron[-1] * (axis_neuron if outer else 1)
    if mixed:
        strip = kind == "dpa1_strip"
        types = _net(rng, "Embedding", [n, _TEBD], "linear")
        descriptor |= {
            "tebd_dim": _TEBD,
            "tebd_input_mode": "strip" if strip else "concat",
            "type_embedding": {"embedding": types},
            "embeddings": nets(1, 1 if strip else 1 + 2 * _TEBD, 0),
            "attn_layer": 0,
        }
        if strip:
            descriptor["embeddings_strip"] = nets(1, 2 * _TEBD, 0)
        if kind == "dpa1_attention":
            layers = [_attention(rng, neuron[-1], 128) for _ in range(2)]
            descriptor |= {
                "attn_layer": 2,
                "attn": 128,
                "attention_layers": {"attention_layers": layers},
            }
        width += _TEBD
    elif kind == "se_e3":
        descriptor["embeddings"] = nets(n * n, 1, 2)
    elif kind == "se_e2_r":
        descriptor["embeddings"] = nets(n, 1, 1)
    else:
        descriptor["embeddings"] = nets(n if one_side else n * n, 1, 1 if one_side else 2)
        descriptor["type_one_side"] = one_side
    if outer:
        descriptor["axis_neuron"] = axis_neuron
    number = 1 if mixed else n
    energies = [_net(rng, "Fitting", [width, *fitting, 1], activation) for _ in range(number)]
    fit = {
        "@class": "Fitting",
        "@version": 4,
        "type": "ener",
        "dim_descrpt": width,
        "mixed_types": mixed,
        "nets": _collection(energies, 0 if mixed else 1, n, "fitting_network"),
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


def _attention(rng: np.random.Generator, width: int, hidden: int) -> dict[str, Any]:
    def affine(n_in: int, n_out: int) -> dict[str, Any]:
        w = rng.normal(scale=1 / np.sqrt(n_in), size=(n_in, n_out))
        variables = {"w": _array(w), "b": _array(rng.normal(scale=0.1, size=n_out)), "idt": None}
        return {
            "@class": "Layer",
            "@version": 2,
            "activation_function": "none",
            "@variables": variables,
        }

    norm = {
        "w": _array(rng.uniform(0.5, 1.5, width)),
        "b": _array(rng.normal(scale=0.1, size=width)),
    }
    return {
        "attention_layer": {
            "in_proj": affine(width, 3 * hidden),
            "out_proj": affine(hidden, width),
        },
        "attn_layer_norm": {"@class": "LayerNorm", "@version": 1, "@variables": norm},
    }


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
