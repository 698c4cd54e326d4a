"""Weights of modules of e3nn and MACE, with constants of activations, fan-ins and norms of paths folded in."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdkern.io.mace_contract import MAX_MLP
from mdkern.io.mace_records import Module, fields_of
from mdkern.io.pickled import Name, Record

__all__ = [
    "activation",
    "biased_network",
    "by_species",
    "close",
    "function_name",
    "linear",
    "network",
]

Array = NDArray[np.float64]

_CST = {"silu": 1.6791767923989418, "sigmoid": 1.8467055342154763, "tanh": 1.5937334472592695}
_FUNCTION = re.compile(rb"torch\.(\w{1,20})\(x\)")


def linear(m: Module, biased: bool = False) -> dict[int, Array]:
    """Weights [in, out] of an e3nn.o3.Linear for each output slot, rows of its inputs one below the other; `biased`: it may have offsets."""
    m.be("Linear")
    inputs, outputs = m.irreps("irreps_in"), m.irreps("irreps_out")
    blocks: dict[int, list[Array]] = {}
    flat, at, last = m.flat("weight"), 0, (-1, -1)
    for row in m.rows("instructions"):
        fields = fields_of(row)
        if len(fields) != 4 or not all(type(n) is int for n in fields[:2]) or type(fields[3]) is not float:  # fmt: skip
            m.bad("instructions", "expected (input, output, shape, norm)")
        i, o, _, norm = fields
        if biased and i == -1 and norm == 1.0:  # an offset, as it is
            continue
        if not (0 <= i < len(inputs) and 0 <= o < len(outputs) and (i, o) > last):
            m.bad("instructions", f"input {i}, output {o} out of range or out of order")
        if inputs[i][1:] != outputs[o][1:]:
            m.bad("instructions", f"input {i} and output {o} of different kinds")
        rows, columns = inputs[i][0], outputs[o][0]
        part = flat[at : at + rows * columns]
        if rows < 1 or columns < 1 or part.size != rows * columns:
            m.bad("weight", f"{flat.size} numbers; too few for the irreps")
        block = np.multiply(part.reshape(rows, columns), norm, dtype=np.float64)
        blocks.setdefault(o, []).append(block)
        at += part.size
        last = (i, o)
    if at != flat.size:
        m.bad("weight", f"{flat.size} numbers; expected {at}")
    return {o: np.concatenate(parts) if len(parts) > 1 else parts[0] for o, parts in blocks.items()}


def by_species(m: Module, n_species: int) -> dict[int, Array]:
    """Weights [species, in, out] of a FullyConnectedTensorProduct with the one-hot species, by l."""
    m.be("FullyConnectedTensorProduct")
    k, top = m.channels("irreps_out")
    k_in, l_in = m.channels("irreps_in1")
    both = range(min(l_in, top) + 1)
    for ell, row in zip(both, m.rows("instructions"), strict=False):
        fields, norm = fields_of(row), math.sqrt((2 * ell + 1) / (k_in * n_species))
        if fields[:5] != (ell, 0, ell, "uvw", True) or not close(fields[5:6], norm):
            m.refuse("instructions", f"expected l = {ell} with the norm {norm:g}")
    flat = m.flat("weight", len(both) * k_in * n_species * k)
    parts = flat.reshape(len(both), k_in, n_species, k).transpose(0, 2, 1, 3)
    out = {ell: np.array(parts[ell], np.float64, order="C") for ell in both}
    for ell in both:
        out[ell] /= math.sqrt(k_in * n_species)
    return out


def close(found: tuple[Any, ...], norm: float) -> bool:
    """Whether the one value is this norm of a path, in single precision at least."""
    return len(found) == 1 and type(found[0]) is float and abs(found[0] - norm) < 1e-6 * norm


def activation(m: Module) -> tuple[str, float]:
    """Function and constant of e3nn's normalize2mom."""
    m.be("normalize2mom")
    if m.file.is_script:
        # Of the class, TorchScript keeps the text only: one line, of which the function's name is looked at.
        path = f"code/{m.value.name.replace('.', '/').rpartition('/')[0]}.py"
        found = _FUNCTION.search(m.file.members.get(path, b""))
        function = found[1].decode() if found else "unknown"
    else:
        function = function_name(m.get("f"))
    if function not in _CST:
        m.refuse("f", f"{function} is not evaluated; {', '.join(_CST)} are")
    return function, m.number("cst") if m.has("cst") else _CST[function]


def function_name(value: Any) -> str:
    """Name of a function: as such, or as an attribute of something."""
    if isinstance(value, Record) and value.name == "__builtin__.getattr" and len(value.args) == 2:
        value = value.args[1]
    name = value.name if isinstance(value, (Name, Record)) else value
    return name.rpartition(".")[2].lower() if isinstance(name, str) else "unknown"


def network(m: Module) -> list[Array]:
    """Weights of e3nn's FullyConnectedNet with silu: each layer's constant is in the next one's weights."""
    m.be("FullyConnectedNet")
    out: list[Array] = []
    constant = 1.0
    while m.has(f"layer{len(out)}"):
        layer = m.module(f"layer{len(out)}")
        layer.be("_Layer")
        w = layer.array("weight", None, None)
        if layer.number("var_in") != 1.0 or layer.number("var_out") != 1.0:
            layer.refuse("var_in", "other variances than 1 are not evaluated")
        out.append(w * (constant / math.sqrt(max(len(w), 1))))
        last = not m.has(f"layer{len(out)}")
        if last != (not layer.has("act")):
            layer.bad("act", "expected an activation in all layers but the last")
        if not last:
            function, constant = activation(layer.module("act"))
            if function != "silu":
                layer.refuse("act", f"{function} is not evaluated; silu is")
    return out


def biased_network(m: Module) -> Iterator[tuple[str, Array]]:
    """Weights, offsets, gains and offsets of norms of a RadialMLP, by W0, b0, g0, h0, W1, ..."""
    m.be("RadialMLP")
    steps = m.module("net").modules(3 * MAX_MLP)
    for n, step in enumerate(steps):
        layer, role = divmod(n, 3)
        step.be(("Linear", "LayerNorm", "SiLU")[role])
        if role == 0:
            yield f"W{layer}", step.array("weight", None, None).T
            yield f"b{layer}", step.array("bias", None)
        elif role == 1:
            if step.number("eps") != 1e-5:
                step.refuse("eps", "expected 1e-5")
            yield f"g{layer}", step.array("weight", None)
            yield f"h{layer}", step.array("bias", None)
    if len(steps) % 3 != 1:
        m.bad("net", f"{len(steps)} modules; expected Linear, LayerNorm, SiLU, .., Linear")
