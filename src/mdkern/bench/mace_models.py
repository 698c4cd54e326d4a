"""Random MACE models of any size, for tests and benchmarks: the format without the physics.

Numbers are scaled so that features are of order one and forces some eV/Angstrom, as those of trained models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdkern.io.coupling import coupling
from mdkern.io.mace import MaceModel
from mdkern.io.mace_contract import BLOCKS, FORMAT, VERSION, check_model, irreps, paths_of

__all__ = ["PUBLIC_SHAPES", "random_mace"]

PLAIN, RESIDUAL, DENSITY, DENSITY_RESIDUAL, _ = BLOCKS
C_SILU = 1.6791767923989418  # 1 / r.m.s. of silu of a normal deviate

Array = NDArray[Any]

# Shapes of public models: what the time of an evaluation depends on.
PUBLIC_SHAPES: dict[str, dict[str, Any]] = {
    # MACE-MP-0a: Batatia et al., arXiv:2401.00096
    "small": {},
    "medium": {"l_hidden": 1},
    # MPA-0 and OMAT-0 medium
    "density": {"l_hidden": 1, "blocks": (DENSITY, DENSITY_RESIDUAL), "repulsion": True},
    # MACE-OFF23 small: Kovacs et al., JACS 147, 17598 (2025)
    "off-small": {
        "channels": 96,
        "blocks": (PLAIN, RESIDUAL),
        "num_basis": 8,
        "r_max": 4.5,
        "species": ("H", "C", "N", "O", "F", "P", "S", "Cl", "Br", "I"),
        "neighbors": 38,
        "nearest": 1.0,
    },
}


def random_mace(
    *,
    species: Sequence[str] = ("O", "Cu"),
    channels: int = 128,
    l_hidden: int = 0,
    max_ell: int = 3,
    correlation: int = 3,
    blocks: Sequence[str] = (RESIDUAL, RESIDUAL),
    num_basis: int = 10,
    p: int = 5,
    r_max: float = 6.0,
    radial: Sequence[int] = (64, 64, 64),
    repulsion: bool = False,
    neighbors: float = 76.0,
    nearest: float = 2.5,
    seed: int = 1,
) -> MaceModel:
    """A model with random weights; by default of the shape of MACE-MP-0a small.

    Parameters
    ----------
    species : sequence of str
        Chemical symbols.
    channels : int
    l_hidden : int
        Features between layers are scalars (0), and vectors (1), ...
    max_ell, correlation, num_basis, p, r_max
        As in a model's description (Angstrom).
    blocks : sequence of str
        The interaction block of each layer; not the one that is not linear.
    radial : sequence of int
        Widths of the hidden layers of the radial nets.
    repulsion : bool
        Whether it has the transform of Agnesi, and ZBL.
    neighbors : float
        About how many an atom will have within the cutoff; sums are scaled by it.
    nearest : float
        About the distance of the nearest (Angstrom), where the radial basis is largest; it is scaled by it.
    seed : int

    Returns
    -------
    MaceModel
    """
    from ase.data import atomic_numbers, covalent_radii

    rng = np.random.default_rng(seed)
    numbers = np.array([atomic_numbers[s] for s in species], dtype=np.int64)
    S, K = len(species), channels

    def weights(*shape: int, fan_in: float | None = None) -> Array:
        return rng.normal(scale=1.0 / sqrt(fan_in or shape[-2]), size=shape)

    arrays: dict[str, Array] = {
        "atomic_numbers": numbers,
        "atomic_energies": rng.uniform(-5.0, -1.0, size=(1, S)),
        "scale": np.array([10.0 if repulsion else 1.0]),
        "shift": np.zeros(1),
        "node_embedding": rng.normal(size=(S, K)),
        "radial.freq": np.arange(1, num_basis + 1) * np.pi / r_max,
        "radial.prefactor": np.array([sqrt(2.0 / r_max)]),
    }
    # The basis has some tenths, and the cutoff makes less of it; of numbers from 0 to 1 it is larger.
    gain = 2.0 if repulsion else 4.8 * nearest * (r_max / 6.0) ** 1.5
    layers = []
    for t, block in enumerate(blocks):
        l_in, l_out = l_hidden if t else 0, 0 if t == len(blocks) - 1 else l_hidden
        residual = "Residual" in block
        paths, l3 = paths_of(l_in, max_ell)
        up, target = irreps(K, l_in), irreps(K, max_ell)
        layers.append(
            {
                "type": block,
                "irreps_in": up,
                "irreps_up": up,
                "irreps_mid": [target[ell] for ell in l3],
                "irreps_target": target,
                "irreps_skip": irreps(K, l_out) if residual else target,
                "irreps_out": irreps(K, l_out),
                "paths": paths,
                "avg_num_neighbors": neighbors / 4.0,
                "radial_layers": len(radial) + 1,
                "agnostic_product": False,
                "use_sc": residual,
                "correlation": [correlation] * (l_out + 1),
            }
        )
        name = f"L{t}"
        entries = [(q, *at, value) for q, (l1, l2, _) in enumerate(paths) for at, value in _entries(sqrt(2 * l3[q] + 1) * coupling(l1, l2, l3[q]))]  # fmt: skip
        arrays[f"{name}.conv.cg_idx"] = np.array([e[:4] for e in entries], dtype=np.int32)
        arrays[f"{name}.conv.cg_val"] = np.array([e[4] for e in entries])
        sizes = [num_basis, *radial, len(l3) * K]
        for k, (n_in, n_out) in enumerate(pairwise(sizes)):
            w = weights(n_in, n_out)
            arrays[f"{name}.radial.W{k}"] = w * (C_SILU if k else gain)
        if "Density" in block:
            layers[t]["density_layers"] = 1
            arrays[f"{name}.density.W0"] = gain * weights(num_basis, 1)
        for ell in range(l_in + 1):
            arrays[f"{name}.up.{ell}"] = weights(K, K)
        for ell in range(max_ell + 1):
            arrays[f"{name}.lin.{ell}"] = weights(l3.count(ell) * K, K)
        for ell in range(min(l_in, l_out) + 1 if residual else max_ell + 1):
            arrays[f"{name}.skip.{ell}"] = weights(S, K, K)
        for ell in range(l_out + 1):
            arrays[f"{name}.prod.lin.{ell}"] = weights(K, K)
            for nu in range(1, correlation + 1):
                index, value, n_paths = _products(ell, nu, max_ell)
                at = f"{name}.prod.{ell}"
                arrays[f"{at}.U{nu}.idx"], arrays[f"{at}.U{nu}.val"] = index, value
                # Of powers of numbers of order one, and sums over their components.
                arrays[f"{at}.W{nu}"] = weights(S, n_paths, K, fan_in=n_paths * 4.0 ** (nu - 1))
    last = len(blocks) - 1
    readouts: list[dict[str, Any]] = []
    for t in range(last):
        readouts.append({"type": "LinearReadoutBlock", "layer": t})
        arrays[f"R{t}.lin.0"] = weights(K, 1)
    readouts.append({"type": "NonLinearReadoutBlock", "layer": last, "act": "silu", "act_cst": C_SILU, "hidden_per_head": 16})  # fmt: skip
    arrays[f"R{last}.lin1.0"], arrays[f"R{last}.lin2.0"] = weights(K, 16), weights(16, 1)
    meta: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "model": "ScaleShiftMACE",
        "source_dtype": "float64",
        "heads": ["Default"],
        "max_ell": max_ell,
        "sh_irreps": irreps(1, max_ell),
        "radial": {
            "type": "bessel",
            "num_basis": num_basis,
            "p": p,
            "r_max": r_max,
            "apply_cutoff": True,
            "transform": "none",
        },
        "zbl": None,
        "layers": layers,
        "readouts": readouts,
    }
    if repulsion:
        radii = covalent_radii[numbers]
        arrays["radial.covalent_radii"] = arrays["zbl.covalent_radii"] = radii
        meta["radial"] |= {"transform": "agnesi", "agnesi": {"q": 0.9183, "p": 4.5791, "a": 1.0805}}
        meta["zbl"] = {"a_exp": 0.3, "a_prefactor": 0.4543, "c": [0.1818, 0.5099, 0.2802, 0.02817], "p": p}  # fmt: skip
    name = "random MACE model"
    return MaceModel(name, *check_model(name, meta, arrays))


def _entries(values: Array) -> Iterator[tuple[tuple[int, ...], float]]:
    """Indices and values of what is not zero."""
    for at in np.argwhere(np.abs(values) > 1e-12).tolist():
        yield tuple(at), float(values[tuple(at)])


@cache
def _products(ell: int, nu: int, max_ell: int) -> tuple[Array, Array, int]:
    """U of `nu` factors that couple to `ell`: indices (m, a_1 .. a_nu, p), values, number of p.

    Two factors are coupled, and a third to what comes out. What comes out has the parity of its l: couplings by way of the
    other parity, which models have too, span nothing that these do not.
    """
    n = (max_ell + 1) ** 2

    def slot(l1: int) -> slice:
        return slice(l1 * l1, (l1 + 1) ** 2)

    def pairs(l12: int) -> list[Array]:
        """(2 l12 + 1, n, n) of each pair of factors."""
        out = []
        for l1 in range(max_ell + 1):
            for l2 in range(max_ell + 1):
                if abs(l1 - l2) <= l12 <= l1 + l2 and (l1 + l2 + l12) % 2 == 0:
                    U = np.zeros((2 * l12 + 1, n, n))
                    U[:, slot(l1), slot(l2)] = coupling(l1, l2, l12).transpose(2, 0, 1)
                    out.append(U)
        return out

    found: list[Array] = []
    if nu == 1:
        found = [np.eye(n)[slot(ell)]]
    elif nu == 2:
        found = pairs(ell)
    else:
        for l12 in range(2 * max_ell + 1):
            for l3 in range(max_ell + 1):
                if abs(l12 - l3) <= ell <= l12 + l3 and (l12 + l3 + ell) % 2 == 0:
                    C = coupling(l12, l3, ell)
                    for two in pairs(l12):
                        U = np.zeros((2 * ell + 1, n, n, n))
                        U[..., slot(l3)] = np.einsum("qab,qcm->mabc", two, C)
                        found.append(U)
    entries = [(*at, p, value) for p, U in enumerate(found) for at, value in _entries(U)]
    index = np.array([e[:-1] for e in entries], dtype=np.int16)
    return index, np.array([e[-1] for e in entries]), len(found)
