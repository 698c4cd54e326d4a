"""MACE in plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mdkern.io.mace import MaceModel
from mdkern.reference.mace_layers import Layer, add
from mdkern.reference.mace_pairs import Pairs, sigmoid, silu, zbl
from mdkern.reference.pairs import Float, Result, pair_list, sum_at

__all__ = ["mace", "mace_descriptors"]


def mace(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    species: ArrayLike,
    model: MaceModel,
    head: str | None = None,
) -> Result:
    r"""Energy, forces and virial.

    .. math:: E_i = E^0_{s_i} + \text{scale} \Big(\text{ZBL}_i + \sum_t \mathcal{R}_t(h^{t+1}_i)\Big) + \text{shift}

    where each layer makes features h of those of the neighbors: messages are summed over pairs (:class:`~mdkern.reference.mace_layers.Messages`), mixed linearly,
    multiplied with each other up to the correlation order and mixed again. Batatia et al., NeurIPS 35 (2022), arXiv:2206.07697.

    Parameters
    ----------
    positions, cell, pbc
        As in `neighbor_list` (Angstrom).
    species : (n,) int array
        Index of each atom's element in the model's ``atomic_numbers``.
    model : MaceModel
    head : str, optional
        Which of the model's heads; by default the only one, or the one that is called default, in capitals or not.

    Returns
    -------
    Result

    Raises
    ------
    ValueError
        `head` is none of the model's, or None where there are several and none is called default.
    """
    arrays, g = model.arrays, model.head(head)
    pairs, layers, h = _features(positions, cell, pbc, species, model)
    kind = np.asarray(species, dtype=np.int64)
    scale = arrays["scale"][g]
    read = np.zeros(len(kind))
    by_h = [[np.zeros_like(x) for x in of_layer] for of_layer in h]
    for k, readout in enumerate(model.meta["readouts"]):
        t = readout["layer"] + 1
        e, slope = _read(model, k, g, h[t][0][:, 0])
        read += e
        by_h[t][0][:, 0] += scale * slope
    pull = np.zeros_like(pairs.D)
    if model.meta["zbl"] is not None:
        phi, d_phi = zbl(pairs)
        read += sum_at(pairs.i, 0.5 * phi, len(kind))
        pull -= (0.5 * scale * d_phi)[:, None] * pairs.direction
    energies = arrays["atomic_energies"][g][kind] + scale * read + arrays["shift"][g]
    for t in range(len(layers) - 1, -1, -1):
        add(by_h[t], layers[t].backward(by_h[t + 1], pull))
    n = len(kind)
    forces = np.stack([sum_at(pairs.i, x, n) - sum_at(pairs.j, x, n) for x in pull.T], axis=1)
    return Result(float(energies.sum()), energies, forces, -pairs.D.T @ pull)


def mace_descriptors(
    positions: ArrayLike, cell: ArrayLike, pbc: ArrayLike, species: ArrayLike, model: MaceModel
) -> Float:
    """The scalar features of all layers, one behind the other: (n, layers * channels).

    What ``get_descriptors(atoms, invariants_only=True)`` of mace-torch's calculator gives. Arguments are those of :func:`mace`.
    """
    _, _, h = _features(positions, cell, pbc, species, model)
    return np.hstack([of_layer[0][:, 0] for of_layer in h[1:]])


def _features(
    positions: ArrayLike, cell: ArrayLike, pbc: ArrayLike, species: ArrayLike, model: MaceModel
) -> tuple[Pairs, list[Layer], list[list[Float]]]:
    """Pairs, layers with what their backward needs, and features: of the embedding, then of each layer."""
    r_max = model.meta["radial"]["r_max"]
    pairs = Pairs.of(model, pair_list(positions, cell, pbc, species, r_max))
    kind = np.asarray(species, dtype=np.int64)
    h = [[model.arrays["node_embedding"][kind][:, None, :]]]
    layers: list[Layer] = []
    for t in range(len(model.meta["layers"])):
        layers.append(Layer(model, t, pairs, kind))
        h.append(layers[t].forward(h[t]))
    return pairs, layers, h


def _read(model: MaceModel, k: int, g: int, s: Float) -> tuple[Float, Float]:
    """Energies of a readout (n,) and their derivatives by the scalars (n, channels)."""
    arrays, readout = model.arrays, model.meta["readouts"][k]
    if f"R{k}.lin.0" in arrays:
        w = arrays[f"R{k}.lin.0"][:, g]
        return s @ w, np.broadcast_to(w, s.shape)
    # A head's energy is made of hidden columns of its own.
    width = readout["hidden_per_head"]
    mine = slice(g * width, (g + 1) * width)
    x, slope = _act(readout, s @ arrays[f"R{k}.lin1.0"])
    w = arrays[f"R{k}.lin2.0"][mine, g]
    if f"R{k}.mid.0" not in arrays:
        return x[:, mine] @ w, (slope[:, mine] * w) @ arrays[f"R{k}.lin1.0"][:, mine].T
    y, slope_y = _act(readout, x @ arrays[f"R{k}.mid.0"][:, mine] + arrays[f"R{k}.mid.0.bias"][mine])  # fmt: skip
    by_x = (slope_y * w) @ arrays[f"R{k}.mid.0"][:, mine].T
    return y @ w + arrays[f"R{k}.lin2.0.bias"][g], (slope * by_x) @ arrays[f"R{k}.lin1.0"].T


def _act(readout: dict[str, Any], x: Float) -> tuple[Float, Float]:
    c = readout["act_cst"]
    if readout["act"] == "silu":
        y, slope = silu(x)
    elif readout["act"] == "tanh":
        y = np.tanh(x)
        slope = 1.0 - y * y
    else:
        y = sigmoid(x)
        slope = y * (1.0 - y)
    return c * y, c * slope
