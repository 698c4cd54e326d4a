"""Gated self-attention over the neighbors of an atom (dpa1) in plain NumPy, with its reverse mode.

D. Zhang et al., npj Comput. Mater. 10, 94 (2024).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mdkern.io.deepmd_models import AttentionLayer, Dpa1
from mdkern.reference.pairs import Float

__all__ = ["attention"]

SHIFT = 20.0  # logits fade to minus this with the switch

Grads = tuple[Float, Float, Float]


def attention(
    d: Dpa1, G: Float, X: Float, w: Float, live: NDArray[np.bool_]
) -> tuple[Float, Callable[[Float], Grads]]:
    """All layers on G (n, N, M); back gives dE/dG, dE/dX and dE/dw."""
    backs = []
    length = np.maximum(np.sqrt((X[..., 1:] ** 2).sum(axis=2, keepdims=True)), 1e-12)
    u = X[..., 1:] / length
    for layer in d.attention:
        G, layer_back = _layer(d, layer, G, u, w, live)
        backs.append(layer_back)

    def back(gG: Float) -> Grads:
        gu, gw = np.zeros_like(u), np.zeros_like(w)
        for layer_back in reversed(backs):
            gG, more_u, more_w = layer_back(gG)
            gu, gw = gu + more_u, gw + more_w
        gX = np.zeros_like(X)
        gX[..., 1:] = (gu - u * (u * gu).sum(axis=2, keepdims=True)) / length
        return gG, gX, gw

    return G, back


def _layer(
    d: Dpa1, layer: AttentionLayer, G: Float, u: Float, w: Float, live: NDArray[np.bool_]
) -> tuple[Float, Callable[[Float], Grads]]:
    """``LayerNorm(G + (A v) W + b)`` with the weights A of `_weights`."""
    qkv = np.split(G @ layer.w_in + layer.b_in, 3, axis=2)
    sizes = [np.sqrt((x**2).sum(axis=2, keepdims=True)) for x in qkv]
    q, k, v = [x / size for x, size in zip(qkv, sizes, strict=True)] if d.normalize else qkv
    A, weights_back = _weights(d, q, k, u, w, live)
    mixed = A @ v
    z = G + mixed @ layer.w_out + layer.b_out
    centred = z - z.mean(axis=2, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=2, keepdims=True) + layer.eps)
    y = centred / spread

    def back(g: Float) -> Grads:
        gy = g * layer.norm_w
        gz = gy - gy.mean(axis=2, keepdims=True) - y * (gy * y).mean(axis=2, keepdims=True)
        gz = gz / spread
        g_mixed = gz @ layer.w_out.T
        gq, gk, gu, gw = weights_back(g_mixed @ v.transpose(0, 2, 1))
        gradients = [gq, gk, A.transpose(0, 2, 1) @ g_mixed]
        if d.normalize:
            gradients = [
                (gx - x * (x * gx).sum(axis=2, keepdims=True)) / size
                for gx, x, size in zip(gradients, (q, k, v), sizes, strict=True)
            ]
        return gz + np.concatenate(gradients, axis=2) @ layer.w_in.T, gu, gw

    return y * layer.norm_w + layer.norm_b, back


def _weights(
    d: Dpa1, q: Float, k: Float, u: Float, w: Float, live: NDArray[np.bool_]
) -> tuple[Float, Callable[[Float], tuple[Float, Float, Float, Float]]]:
    """Softmax of the logits ``scale q k^T``; with the switch in the logits and again behind the softmax if smooth."""
    logits = d.scale * q @ k.transpose(0, 2, 1)
    ww = w[:, :, None] * w[:, None, :]
    if d.smooth:
        faded = (logits + SHIFT) * ww - SHIFT
    else:
        faded = np.where(live[:, None, :], logits, -np.inf)
    with np.errstate(invalid="ignore"):
        e = np.exp(faded - faded.max(axis=2, keepdims=True))
        P = np.where(live[:, :, None], e / e.sum(axis=2, keepdims=True), 0.0)
    A = P * ww if d.smooth else P
    cosines = u @ u.transpose(0, 2, 1)

    def back(g: Float) -> tuple[Float, Float, Float, Float]:
        gu, gw = np.zeros_like(u), np.zeros_like(w)
        if d.dotr:
            g_cos = g * A
            gu = (g_cos + g_cos.transpose(0, 2, 1)) @ u
            g = g * cosines
        gP = g
        if d.smooth:
            gP, g_ww = g * ww, g * P
        g_faded = P * (gP - (gP * P).sum(axis=2, keepdims=True))
        g_logits = g_faded
        if d.smooth:
            g_ww = g_ww + g_faded * (logits + SHIFT)
            g_logits = g_faded * ww
            gw = ((g_ww + g_ww.transpose(0, 2, 1)) * w[:, None, :]).sum(axis=2)
        gq = d.scale * g_logits @ k
        gk = d.scale * g_logits.transpose(0, 2, 1) @ q
        return gq, gk, gu, gw

    return A * cosines if d.dotr else A, back
