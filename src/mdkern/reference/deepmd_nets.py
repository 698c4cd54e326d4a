"""Dense networks of DeePMD-kit's models in plain NumPy, forward and reverse."""

from __future__ import annotations

import numpy as np

from mdkern.io.deepmd_models import Dpa1, Layer, Net
from mdkern.reference.pairs import Float

__all__ = ["activate", "net_backward", "net_forward", "strip_table", "type_vectors"]


def activate(name: str, x: Float, threshold: float = 0.0) -> tuple[Float, Float]:
    """An activation function and its derivative.

    ``silut`` is silu below its threshold a, and ``tanh(silu'(a) (x - a)) + silu(a)`` above; ``gelu`` is the form
    with tanh.
    """
    one = np.ones_like(x)
    if name == "tanh":
        y = np.tanh(x)
        return y, 1 - y**2
    if name == "relu":
        return np.maximum(x, 0.0), one * (x > 0)
    if name == "relu6":
        return np.clip(x, 0.0, 6.0), one * ((x > 0) & (x < 6))
    if name == "softplus":
        return np.logaddexp(x, 0.0), _sigmoid(x)
    if name == "sigmoid":
        y = _sigmoid(x)
        return y, y * (1 - y)
    if name == "silu":
        y = _sigmoid(x)
        return x * y, y * (1 + x * (1 - y))
    if name == "silut":
        value, slope = activate("silu", x)
        at, steep = (float(v[0]) for v in activate("silu", np.array([threshold])))
        t = np.tanh(steep * (x - threshold))
        above = x >= threshold
        return np.where(above, t + at, value), np.where(above, steep * (1 - t**2), slope)
    if name == "gelu":
        c = np.sqrt(2 / np.pi)
        t = np.tanh(c * (x + 0.044715 * x**3))
        slope = 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * c * (1 + 3 * 0.044715 * x**2)
        return 0.5 * x * (1 + t), slope
    assert name == "linear", name
    return x, one


def _sigmoid(x: Float) -> Float:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


def net_forward(net: Net, x: Float) -> tuple[Float, list[Float]]:
    """Output of rows of inputs, and what `net_backward` needs: each layer's slope dh/d(x w + b)."""
    slopes = []
    for layer in net.layers:
        z = x @ layer.w if layer.b is None else x @ layer.w + layer.b
        h, slope = activate(layer.activation, z, layer.threshold)
        if layer.idt is not None:
            h, slope = h * layer.idt, slope * layer.idt
        x = h + _skip(layer, x)
        slopes.append(slope)
    return x, slopes


def _skip(layer: Layer, x: Float) -> Float | float:
    if layer.skip == 2:
        return np.concatenate([x, x], axis=-1)
    return x if layer.skip else 0.0


def net_backward(net: Net, slopes: list[Float], g: Float) -> Float:
    """Gradient by the inputs from the gradient by the outputs."""
    for layer, slope in zip(reversed(net.layers), reversed(slopes), strict=True):
        through = (g * slope) @ layer.w.T
        if layer.skip:
            n = layer.w.shape[0]
            through = through + sum(g[..., k * n : (k + 1) * n] for k in range(layer.skip))
        g = through
    return g


def type_vectors(d: Dpa1) -> Float:
    """(T + 1, n_tebd) type vectors; the last, of empty slots, is zero."""
    vectors = net_forward(d.type_embedding, np.eye(d.type_embedding.n_in))[0]
    return np.concatenate([vectors, np.zeros((1, d.n_tebd))])


def strip_table(d: Dpa1) -> Float:
    """(T, T, M) factors by the types of centre and neighbor, where the types enter apart ("strip")."""
    assert d.strip_net is not None
    v = type_vectors(d)[:-1]
    t, n = v.shape
    x = np.broadcast_to(v, (t, t, n))
    if not d.one_side:
        x = np.concatenate([x, np.broadcast_to(v[:, None], (t, t, n))], axis=-1)
    return net_forward(d.strip_net, x)[0]
