"""What the core takes for descriptors of Deep Potential models beside se_e2_a, and for models of several parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mdkern import _core
from mdkern.errors import UnsupportedError
from mdkern.io.deepmd_models import (
    AttentionLayer,
    Dpa1,
    EnsembleModel,
    Net,
    PairTab,
    SeR,
    SeT,
    StandardModel,
    ZblModel,
)

__all__ = [
    "blended_fields",
    "descriptor_fields",
    "net_fields",
    "part_of",
    "sum_fields",
    "table_fields",
]

Array = NDArray[np.float64]
Part = TypeVar("Part", StandardModel, PairTab)


def net_fields(net: Net) -> dict[str, Any]:
    """A dense net, layer by layer."""

    def name(layer: Any) -> str:
        return f"silut:{layer.threshold!r}" if layer.activation == "silut" else layer.activation

    return {
        "layers": [
            {"w": x.w, "b": x.b, "idt": x.idt, "activation": name(x), "resnet": x.resnet}
            for x in net.layers
        ]
    }


def descriptor_fields(
    d: Any, environment: dict[str, Any], shortest: float, path: str
) -> dict[str, Any]:
    """The fields of ``d``; tables begin at `shortest`.

    Raises
    ------
    UnsupportedError
        The descriptor is not evaluated.
    """
    if isinstance(d, SeR):
        nets = [net_fields(net) for net in d.nets]
        return {"kind": "se_r", "environment": environment, "nets": nets, "r_table": shortest}
    if isinstance(d, SeT):
        n = len(d.sel)
        nets = [net_fields(d.net(a, b)) for b in range(n) for a in range(n)]
        return {"kind": "se_t", "environment": environment, "nets": nets, "r_table": 0.0}
    if isinstance(d, Dpa1):
        return _dpa1(d, environment, shortest, path)
    raise UnsupportedError(f"{path}: model.descriptor.type: {d.kind!r} is not evaluated")


def _dpa1(d: Dpa1, environment: dict[str, Any], shortest: float, path: str) -> dict[str, Any]:
    n, strip, n_slots = len(d.davg), d.tebd_mode == "strip", int(np.sum(d.sel))
    if np.any(d.davg != 0.0) and not (strip and d.smooth):
        # DeePMD-kit fills empty slots with the type of the first atom of a frame.
        raise UnsupportedError(
            f"{path}: model.descriptor.@variables.davg: means other than 0 with tebd_input_mode {d.tebd_mode!r} and "
            f"smooth_type_embedding {d.smooth} make energies depend on the order of atoms"
        )
    embedding = net_fields(d.type_embedding)
    types = np.array([_core.net_value(embedding, row) for row in np.eye(n)])
    sides = [np.broadcast_to(types[None], (n, n, d.n_tebd))]
    if not d.one_side:
        sides.append(np.broadcast_to(types[:, None], (n, n, d.n_tebd)))
    vectors = np.ascontiguousarray(np.concatenate(sides, axis=2))  # [i][j]: of j, then of i
    factor = None
    if d.strip_net is not None:
        of_pair = net_fields(d.strip_net)
        factor = np.array(
            [[_core.net_value(of_pair, np.ascontiguousarray(v)) for v in row] for row in vectors]
        )
    net = net_fields(d.net)
    return {
        "kind": "dpa1",
        "environment": environment
        | {
            "sel": np.zeros(n, dtype=np.int32),
            "n_listed": min(environment["n_listed"], n_slots),
        },
        "n_slots": n_slots,
        "nets": [net],
        "axis": d.axis_neuron,
        "constants": np.zeros((n, n, 0)) if strip else vectors,
        "factor": factor,
        "padding": _padding(d, net) if strip else None,
        "tail": types if d.concat_output else np.zeros((n, 0)),
        "attention": [_attention(layer, d.scale) for layer in d.attention],
        "smooth": d.smooth,
        "normalize": d.normalize,
        "dotr": d.dotr,
        "r_table": shortest,
    }


def _padding(d: Dpa1, net: dict[str, Any]) -> Array:
    """``X_0 G`` of an empty slot for each type of the centre: no other slot attends to it, nor it to others."""
    rows = []
    for s in -d.davg[:, 0] / d.dstd[:, 0]:
        g = _core.net_value(net, np.array([s]))
        for layer in d.attention:
            z = g + layer.b_out
            g = layer.norm_w * (z - z.mean()) / np.sqrt(z.var() + layer.eps) + layer.norm_b
        rows.append(s * g)
    return np.array(rows)


def _attention(layer: AttentionLayer, scale: float) -> dict[str, Any]:
    def affine(w: Array, b: Array) -> dict[str, Any]:
        w, b = np.ascontiguousarray(w), np.ascontiguousarray(b)
        return {"layers": [{"w": w, "b": b, "activation": "linear", "resnet": False}]}

    split = zip(np.split(layer.w_in, 3, axis=1), np.split(layer.b_in, 3), strict=True)
    return {
        "project": [affine(w, b) for w, b in split],
        "out": affine(layer.w_out, layer.b_out),
        "gain": layer.norm_w,
        "shift": layer.norm_b,
        "scale": float(scale),
        "epsilon": float(layer.eps),
    }


def table_fields(m: PairTab) -> dict[str, Any]:
    """The fields of a pair table. Pairs that the model excludes have none, excluded atoms no energy."""
    table = np.array(m.table, dtype=np.float64, order="C")
    for a, b in m.pair_exclude:
        table[a, b] = table[b, a] = 0.0
    keep = _kept(m)
    return {
        "potential": "pair_table",
        "table": table,
        "bias": m.out_bias * keep,
        "keep": keep if m.atom_exclude else None,
        "r_min": float(m.r_min),
        "step": float(m.step),
        "r_end": float(min(m.r_cut, m.r_min + m.step * table.shape[2])),
        "r_cut": float(m.r_cut),
        "sel": int(np.sum(m.sel)),
    }


def blended_fields(m: ZblModel, net: dict[str, Any], table: dict[str, Any]) -> dict[str, Any]:
    """A net and a table; the softened distance is taken over the list with more slots, as in DeePMD-kit."""
    longer = m.table if np.sum(m.table.sel) >= np.sum(m.model.sel) else m.model
    present = np.ones((len(m.type_map),) * 2)
    for a, b in m.pair_exclude:
        present[a, b] = present[b, a] = 0.0
    return {
        "potential": "blended",
        "net": net,
        "table": table,
        "length": float(m.alpha),
        "inner": float(m.sw_r_min),
        "outer": float(m.sw_r_max),
        "r_cut": float(longer.r_cut),
        "sel": int(np.sum(longer.sel)),
        "present": present if m.pair_exclude else None,
    }


def sum_fields(
    m: ZblModel | EnsembleModel, parts: Sequence[dict[str, Any]], weights: Sequence[float]
) -> dict[str, Any]:
    """Sum of weighted parts, with the outer model's bias."""
    return {
        "potential": "sum",
        "parts": list(parts),
        "weights": np.array(weights, dtype=np.float64),
        "bias": m.out_bias * _kept(m),
    }


def part_of(m: ZblModel | EnsembleModel, part: Part) -> Part:
    """A part with the exclusions of the whole."""
    return replace(
        part,
        pair_exclude=tuple({*part.pair_exclude, *m.pair_exclude}),
        atom_exclude=tuple({*part.atom_exclude, *m.atom_exclude}),
    )


def _kept(m: Any) -> Array:
    """1 for types with energy, 0 for others."""
    return np.array([float(t not in m.atom_exclude) for t in range(len(m.type_map))])
