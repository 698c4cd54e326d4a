r"""Random numbers of molecular dynamics: Philox4x32-10 and normal deviates from it.

J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, SC11 (2011), doi 10.1145/2063384.2063405. Four words of 32 bits
follow from a counter of four and a key of two words: ten rounds of

.. math::

    (c_0, c_1, c_2, c_3) \leftarrow
    (\mathrm{hi}(M_1 c_2) \oplus c_1 \oplus k_0, \; \mathrm{lo}(M_1 c_2), \;
     \mathrm{hi}(M_0 c_0) \oplus c_3 \oplus k_1, \; \mathrm{lo}(M_0 c_0))

where the key grows by the golden ratio and :math:`\sqrt 3 - 1` from round to round.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["normal_deviates", "philox4x32"]

_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


def philox4x32(counter: ArrayLike, key: ArrayLike) -> NDArray[np.uint32]:
    """Random words.

    Parameters
    ----------
    counter : (..., 4) array of uint32
    key : (2,) array of uint32

    Returns
    -------
    (..., 4) array of uint32
    """
    c = [np.asarray(x, dtype=np.uint64) for x in np.moveaxis(np.asarray(counter), -1, 0)]
    k = [int(x) for x in np.asarray(key)]
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [
            (b >> _SHIFT) ^ c[1] ^ np.uint64(k[0]),
            b & _LOW,
            (a >> _SHIFT) ^ c[3] ^ np.uint64(k[1]),
            a & _LOW,
        ]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(c, axis=-1).astype(np.uint32)


def normal_deviates(atoms: ArrayLike, seed: int, step: int) -> NDArray[np.float64]:
    r"""Six normal deviates for each atom at a step.

    Counter ``(atom, low and high word of step, 0 ... 2)``, key: low and high word of the seed. Each call makes two numbers u and
    v in (0, 1] of 53 bits, and :math:`\sqrt{-2 \ln u} \cos 2 \pi v`, :math:`\sqrt{-2 \ln u} \sin 2 \pi v` (G. E. P. Box and
    M. E. Muller, Ann. Math. Stat. 29, 610, 1958).

    Parameters
    ----------
    atoms : (n,) array of int
    seed, step : int
        From 0 to 2**64 - 1.

    Returns
    -------
    (n, 6) array
    """
    ids = np.asarray(atoms)
    counter = np.zeros((len(ids), 3, 4), dtype=np.uint32)
    counter[..., 0] = ids[:, None]
    counter[..., 1], counter[..., 2] = step & 0xFFFFFFFF, step >> 32
    counter[..., 3] = np.arange(3)
    word = philox4x32(counter, [seed & 0xFFFFFFFF, seed >> 32])
    u, v = _unit_interval(word[..., 0], word[..., 1]), _unit_interval(word[..., 2], word[..., 3])
    radius, angle = np.sqrt(-2.0 * np.log(u)), 2.0 * np.pi * v
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    out: NDArray[np.float64] = pairs.reshape(len(ids), 6)
    return out


def _unit_interval(high: Any, low: Any) -> Any:
    return ((high >> 5) * 67108864.0 + (low >> 6) + 0.5) * 2.0**-53
