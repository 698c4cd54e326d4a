"""Deep Potential models of DeePMD-kit in plain NumPy.

Dense, as the formulas are: every centre has ``N`` slots for neighbors, also empty ones. An empty slot has a row of
zeros in the environment matrix before it is normalised, hence one that is not zero behind it, and it counts.

L. Zhang et al., Phys. Rev. Lett. 120, 143001 (2018); L. Zhang et al., NeurIPS 31 (2018); J. Zeng et al., J. Chem.
Phys. 159, 054801 (2023); D. Zhang et al., npj Comput. Mater. 10, 94 (2024) for dpa1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdkern.io.deepmd_models import (
    DeepModel,
    EnsembleModel,
    Fitting,
    Model,
    PairTab,
    StandardModel,
    ZblModel,
)
from mdkern.reference.deepmd_descriptors import Slots, embed
from mdkern.reference.deepmd_nets import net_backward, net_forward
from mdkern.reference.pairs import Float, PairList, Result, pair_list, sum_at

__all__ = ["deepmd", "deepmd_descriptors"]

Pairs = tuple[tuple[int, int], ...]


class _Atoms(NamedTuple):
    """Energies of atoms, and ``p_ij = dE_i / d(r_j - r_i)`` of each pair (pairs, 3)."""

    energies: Float
    gradients: Float


def deepmd(
    positions: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    species: ArrayLike,
    model: DeepModel,
    fparam: ArrayLike | None = None,
) -> Result:
    r"""Energy, forces and virial.

    .. math:: E = \sum_i N_{t_i}(\mathcal D_i) + b_{t_i}

    with the descriptors of `deepmd_descriptors` and the fitting network N of the type of atom i.

    Parameters
    ----------
    positions, cell, pbc
        As in `neighbor_list` (Angstrom).
    species : (n,) int array
        Index of each atom's element in ``model.species``.
    model : DeepModel
    fparam : array, optional
        Frame parameters, where the model has them.

    Returns
    -------
    Result
    """
    pairs = pair_list(positions, cell, pbc, species, model.cutoff)
    kinds = np.asarray(species, dtype=np.int64)
    out = _evaluate(model.model, pairs, kinds, fparam, ())
    p = out.gradients
    forces = np.stack(
        [sum_at(pairs.i, x, pairs.n) - sum_at(pairs.j, x, pairs.n) for x in p.T], axis=1
    )
    return Result(float(out.energies.sum()), out.energies, forces, -pairs.D.T @ p)


def deepmd_descriptors(
    positions: ArrayLike, cell: ArrayLike, pbc: ArrayLike, species: ArrayLike, model: DeepModel
) -> Float:
    """Descriptors of a standard model, (n, width)."""
    assert isinstance(model.model, StandardModel)
    pairs = pair_list(positions, cell, pbc, species, model.cutoff)
    kinds = np.asarray(species, dtype=np.int64)
    slots = _slots(model.model, pairs, kinds, model.model.pair_exclude)
    return embed(model.model.descriptor, pairs, slots, kinds)[0]


def _evaluate(
    model: Model,
    pairs: PairList,
    kinds: NDArray[np.int64],
    fparam: ArrayLike | None,
    removed: Pairs,
) -> _Atoms:
    """`removed` are the pairs of types that the models around this one exclude."""
    removed = removed + model.pair_exclude
    if isinstance(model, StandardModel):
        out = _standard(model, pairs, kinds, fparam, removed)
    elif isinstance(model, PairTab):
        out = _pair_table(model, pairs, kinds, removed)
    elif isinstance(model, ZblModel):
        out = _zbl(model, pairs, kinds, fparam, removed)
    else:
        assert isinstance(model, EnsembleModel)
        parts = [_evaluate(m, pairs, kinds, fparam, removed) for m in model.models]
        weighted = zip(model.weights, parts, strict=True)
        energies, gradients = np.zeros(pairs.n), np.zeros((len(pairs.r), 3))
        for w, part in weighted:
            energies, gradients = energies + w * part.energies, gradients + w * part.gradients
        out = _Atoms(energies, gradients)
    silent = np.isin(kinds, model.atom_exclude)
    energies = np.where(silent, 0.0, out.energies + model.out_bias[kinds])
    return _Atoms(energies, np.where(silent[pairs.i, None], 0.0, out.gradients))


def _slots(
    model: StandardModel | PairTab, pairs: PairList, kinds: NDArray[np.int64], removed: Pairs
) -> Slots:
    mixed = not isinstance(model, StandardModel) or model.descriptor.mixed
    return Slots.fill(pairs, kinds, model.r_cut, model.sel, mixed).without(removed, pairs)


def _standard(
    model: StandardModel,
    pairs: PairList,
    kinds: NDArray[np.int64],
    fparam: ArrayLike | None,
    removed: Pairs,
) -> _Atoms:
    x, back = embed(model.descriptor, pairs, _slots(model, pairs, kinds, removed), kinds)
    energies, slope = _fitting(model.fitting, x, kinds, fparam)
    return _Atoms(energies, back(slope))


def _fitting(
    fitting: Fitting, x: Float, kinds: NDArray[np.int64], fparam: ArrayLike | None
) -> tuple[Float, Float]:
    """Energies and their derivatives by the descriptors."""
    given = fitting.fparam if fparam is None else np.asarray(fparam, dtype=np.float64)
    tail = np.zeros(0)
    if len(fitting.fparam_avg):
        assert given is not None, "fparam"
        tail = (given - fitting.fparam_avg) * fitting.fparam_inv_std
    energies, slope = np.zeros(len(x)), np.zeros_like(x)
    for t in np.unique(kinds):
        mine = np.flatnonzero(kinds == t)
        if t in fitting.exclude_types:
            continue
        net = fitting.net(int(t))
        rows = np.concatenate([x[mine], np.broadcast_to(tail, (len(mine), len(tail)))], axis=1)
        y, tape = net_forward(net, rows)
        energies[mine] = y[:, 0] + fitting.bias[t]
        if fitting.zero[t]:
            nothing = np.concatenate([np.zeros(x.shape[1]), tail])[None]
            energies[mine] -= net_forward(net, nothing)[0][0, 0]
        slope[mine] = net_backward(net, tape, np.ones_like(y))[:, : x.shape[1]]
    return energies, slope


def _pair_table(
    model: PairTab, pairs: PairList, kinds: NDArray[np.int64], removed: Pairs
) -> _Atoms:
    """Half of the cubic piece's value for each neighbor in the list."""
    slots = _slots(model, pairs, kinds, removed)
    k = slots.table[slots.table >= 0]
    r = pairs.r[k]
    u = (r - model.r_min) / model.step
    pieces = model.table.shape[2]
    piece = np.clip(u.astype(np.int64), 0, pieces - 1)
    a3, a2, a1, a0 = model.table[pairs.a[k], pairs.b[k], piece].T
    f = u - u.astype(np.int64)
    inside = (r < model.r_cut) & (r < model.r_min + pieces * model.step)
    e = np.where(inside, ((a3 * f + a2) * f + a1) * f + a0, 0.0)
    slope = np.where(inside, ((3 * a3 * f + 2 * a2) * f + a1) / model.step, 0.0)
    gradients = np.zeros((len(pairs.r), 3))
    gradients[k] = (0.5 * slope / r)[:, None] * pairs.D[k]
    return _Atoms(sum_at(pairs.i[k], 0.5 * e, pairs.n), gradients)


def _zbl(
    model: ZblModel,
    pairs: PairList,
    kinds: NDArray[np.int64],
    fparam: ArrayLike | None,
    removed: Pairs,
) -> _Atoms:
    r"""The table's weight goes from 1 to 0 with :math:`\sigma_i = \sum r e^{-r/a} / \sum e^{-r/a}`."""
    deep = _evaluate(model.model, pairs, kinds, fparam, removed)
    table = _evaluate(model.table, pairs, kinds, fparam, removed)
    longer = model.table if model.table.sel.sum() >= model.model.sel.sum() else model.model
    slots = _slots(longer, pairs, kinds, removed + longer.pair_exclude)
    k = slots.table[slots.table >= 0]
    r, i = pairs.r[k], pairs.i[k]
    e = np.exp(-r / model.alpha)
    above, below = sum_at(i, r * e, pairs.n), np.maximum(sum_at(i, e, pairs.n), 1e-20)
    sigma = above / below
    u = np.clip((sigma - model.sw_r_min) / (model.sw_r_max - model.sw_r_min), 0.0, 1.0)
    c = np.where(sigma != 0.0, 1 - 10 * u**3 + 15 * u**4 - 6 * u**5, 0.0)
    dc = (-30 * u**2 + 60 * u**3 - 30 * u**4) / (model.sw_r_max - model.sw_r_min)
    gradients = (1 - c)[pairs.i, None] * deep.gradients + c[pairs.i, None] * table.gradients
    d_sigma = e * (1 - r / model.alpha + sigma[i] / model.alpha) / below[i]
    pull = ((table.energies - deep.energies) * dc)[i] * d_sigma / r
    gradients[k] += pull[:, None] * pairs.D[k]
    return _Atoms((1 - c) * deep.energies + c * table.energies, gradients)
