"""What the kernel of Deep Potential models takes for descriptors beside se_e2_a, and for models of several parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    PairTab,
    SeR,
    SeT,
    StandardModel,
    ZblModel,
)

__all__ = ["blended_kernel", "descriptor_kernel", "part_of", "table_kernel", "weighted_kernel"]

Array = NDArray[np.float64]
MakeNet = Callable[[Any], Any]
Part = TypeVar("Part", StandardModel, PairTab)


def descriptor_kernel(
    d: Any, common: dict[str, Any], make_net: MakeNet, shortest: float, path: str
) -> Any:
    """The kernel's descriptor for ``d``; `common` has its environment, `make_net` makes nets, tables begin at `shortest`.

    Raises
    ------
    UnsupportedError
        The descriptor is not evaluated.
    """
    if isinstance(d, SeR):
        return _core.DeepSeR(_core.DeepEnv(**common), [make_net(net) for net in d.nets], shortest)
    if isinstance(d, SeT):
        n = len(d.sel)
        nets = [make_net(d.net(a, b)) for b in range(n) for a in range(n)]
        return _core.DeepSeT(_core.DeepEnv(**common), nets)
    if isinstance(d, Dpa1):
        return _dpa1(d, common, make_net, shortest, path)
    raise UnsupportedError(f"{path}: model.descriptor.type: {d.kind!r} is not evaluated")


def _dpa1(d: Dpa1, common: dict[str, Any], make_net: MakeNet, shortest: float, path: str) -> Any:
    n, strip, n_slots = len(d.davg), d.tebd_mode == "strip", int(np.sum(d.sel))
    if np.any(d.davg != 0.0) and not (strip and d.smooth):
        # DeePMD-kit fills empty slots with the type of the first atom of a frame.
        raise UnsupportedError(
            f"{path}: model.descriptor.@variables.davg: means other than 0 with tebd_input_mode {d.tebd_mode!r} and "
            f"smooth_type_embedding {d.smooth} make energies depend on the order of atoms"
        )
    make = make_net(d.type_embedding)
    types = np.array([make.value(row) for row in np.eye(n)])
    sides = [np.broadcast_to(types[None], (n, n, d.n_tebd))]
    if not d.one_side:
        sides.append(np.broadcast_to(types[:, None], (n, n, d.n_tebd)))
    vectors = np.ascontiguousarray(np.concatenate(sides, axis=2))  # [i][j]: of j, then of i
    factor = None
    if d.strip_net is not None:
        of_pair = make_net(d.strip_net)
        factor = np.array(
            [[of_pair.value(np.ascontiguousarray(v)) for v in row] for row in vectors]
        )
    net = make_net(d.net)
    return _core.DeepDpa1(
        env=_core.DeepEnv(
            **{
                **common,
                "sel": np.zeros(n, dtype=np.int32),
                "n_listed": min(common["n_listed"], n_slots),
            }
        ),
        n_slots=n_slots,
        net=net,
        axis=d.axis_neuron,
        constants=np.zeros((n, n, 0)) if strip else vectors,
        factor=factor,
        padding=_padding(d, net) if strip else None,
        tail=types if d.concat_output else np.zeros((n, 0)),
        attention=[_attention(layer, d.scale) for layer in d.attention],
        smooth=d.smooth,
        normalize=d.normalize,
        dotr=d.dotr,
        r_table=shortest,
    )


def _padding(d: Dpa1, net: Any) -> Array:
    """``X_0 G`` of an empty slot for each type of the centre: no other slot attends to it, nor it to others."""
    rows = []
    for s in -d.davg[:, 0] / d.dstd[:, 0]:
        g = net.value(np.array([s]))
        for layer in d.attention:
            z = g + layer.b_out
            g = layer.norm_w * (z - z.mean()) / np.sqrt(z.var() + layer.eps) + layer.norm_b
        rows.append(s * g)
    return np.array(rows)


def _attention(layer: AttentionLayer, scale: float) -> tuple[Any, ...]:
    def affine(w: Array, b: Array) -> Any:
        return _core.DeepNet(
            [(np.ascontiguousarray(w), np.ascontiguousarray(b), None, "linear", False)]
        )

    split = zip(np.split(layer.w_in, 3, axis=1), np.split(layer.b_in, 3), strict=True)
    out = affine(layer.w_out, layer.b_out)
    return [affine(w, b) for w, b in split], out, layer.norm_w, layer.norm_b, scale, layer.eps


def table_kernel(m: PairTab) -> Any:
    """The kernel of a pair table. Pairs that the model excludes have none, excluded atoms no energy."""
    table = np.array(m.table, dtype=np.float64, order="C")
    for a, b in m.pair_exclude:
        table[a, b] = table[b, a] = 0.0
    keep = _kept(m)
    return _core.PairTab(
        table=table,
        bias=m.out_bias * keep,
        keep=keep if m.atom_exclude else None,
        r_min=m.r_min,
        step=m.step,
        r_end=min(m.r_cut, m.r_min + m.step * table.shape[2]),
        r_cut=m.r_cut,
        sel=int(np.sum(m.sel)),
    )


def blended_kernel(m: ZblModel, net: Any, table: Any) -> Any:
    """A net and a table; the softened distance is taken over the list with more slots, as in DeePMD-kit."""
    longer = m.table if np.sum(m.table.sel) >= np.sum(m.model.sel) else m.model
    present = np.ones((len(m.type_map),) * 2)
    for a, b in m.pair_exclude:
        present[a, b] = present[b, a] = 0.0
    return _core.BlendedSteps(
        net=net,
        table=table,
        length=m.alpha,
        inner=m.sw_r_min,
        outer=m.sw_r_max,
        r_cut=longer.r_cut,
        sel=int(np.sum(longer.sel)),
        present=present if m.pair_exclude else None,
    )


def weighted_kernel(
    m: ZblModel | EnsembleModel, parts: Sequence[Any], weights: Sequence[float]
) -> Any:
    """Sum of weighted parts, with the outer model's bias."""
    return _core.WeightedSteps(
        steps=list(parts), weights=list(weights), bias=(m.out_bias * _kept(m)).tolist()
    )


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
