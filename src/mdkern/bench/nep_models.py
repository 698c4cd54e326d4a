"""Random neuroevolution models of any size, for tests and benchmarks: the format without the physics.

Numbers are scaled so that energies are some eV per atom and forces some eV/Angstrom, as those of trained models.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mdkern.io.nep import BODY_ORDERS

__all__ = ["PUBLIC_SIZES", "morse_nep", "random_nep"]

_METALS = (
    "Ag",
    "Al",
    "Au",
    "Cr",
    "Cu",
    "Mg",
    "Mo",
    "Ni",
    "Pb",
    "Pd",
    "Pt",
    "Ta",
    "Ti",
    "V",
    "W",
    "Zr",
)

# Shapes of public models: what the time of an evaluation depends on.
PUBLIC_SIZES: dict[str, dict[str, object]] = {
    # Fan et al., J. Chem. Phys. 157, 114801 (2022)
    "Si_2022_5body": {
        "species": ["Si"],
        "cutoffs": [5.0, 5.0],
        "n_max": (10, 10),
        "basis": (10, 10),
        "bodies": ["222", "1111"],
        "hidden": 50,
    },
    # Fan et al., J. Phys.: Condens. Matter 36, 245901 (2024)
    "C_2024": {
        "species": ["C"],
        "cutoffs": [7.0, 4.0],
        "n_max": (12, 8),
        "basis": (16, 12),
        "bodies": ["222", "1111"],
        "hidden": 100,
    },
    # Song et al., Nat. Commun. 15, 10208 (2024)
    "UNEP-v1": {
        "species": _METALS,
        "cutoffs": [6.0, 5.0],
        "n_max": (4, 4),
        "basis": (8, 8),
        "bodies": ["222", "1111"],
        "hidden": 80,
        "zbl": [1.0, 2.0],
    },
    "BaZrO3": {
        "species": ["Ba", "Zr", "O"],
        "cutoffs": [8.0, 4.0],
        "n_max": (8, 6),
        "basis": (8, 8),
        "bodies": ["222"],
        "hidden": 50,
    },
    "water": {
        "species": ["O", "H"],
        "cutoffs": [6.0, 4.0],
        "n_max": (4, 4),
        "basis": (8, 8),
        "bodies": ["222"],
        "hidden": 30,
    },
    "water, charges": {
        "species": ["O", "H"],
        "cutoffs": [6.0, 4.0],
        "n_max": (4, 4),
        "basis": (8, 8),
        "bodies": ["222"],
        "hidden": 30,
        "kind": "charge1",
    },
}


def random_nep(
    path: str | os.PathLike[str],
    *,
    species: Sequence[str],
    cutoffs: Sequence[float] = (5.0, 4.0),
    n_max: tuple[int, int] = (4, 4),
    basis: tuple[int, int] = (8, 8),
    l_max: int = 4,
    bodies: Sequence[str] = (),
    hidden: int = 30,
    zbl: Sequence[float] = (),
    version: int = 4,
    kind: str = "",
    seed: int = 1,
) -> str:
    """Write a model with random parameters.

    Parameters
    ----------
    path : str
        File to write.
    species, n_max, basis, l_max, bodies, hidden, version
        As in the header of ``nep.txt``; `bodies` names the flags that are on.
    cutoffs : sequence of float
        Radial and angular cutoff, for all or for each type.
    zbl : sequence of float
        What follows ``zbl``; ``(0, 0)`` adds a flexible table.
    kind : {"", "dipole", "polarizability", "charge1", "charge2", "charge3"}
        Tensor models, and potentials with charges of some tenths of e.
    seed : int

    Returns
    -------
    str
        The path.
    """
    rng = np.random.default_rng(seed)
    charged = kind.startswith("charge")
    n, (n_r, n_a), (k_r, k_a) = len(species), (x + 1 for x in n_max), (x + 1 for x in basis)
    n_d = n_r + n_a * (l_max + len(bodies))
    tag = f"nep{version}" + ("_zbl" if len(zbl) else "") + (f"_{kind}" if kind else "")
    flags = [str(int(name in bodies)) for name in BODY_ORDERS]
    counts = [f"{x:g}" for x in cutoffs] + ["400", "200"]
    lines = [" ".join([tag, str(n), *species])]
    if len(zbl):
        lines.append(" ".join(["zbl", *(f"{x:g}" for x in zbl)]))
    lines += [
        " ".join(["cutoff", *counts]),
        f"n_max {n_max[0]} {n_max[1]}",
        f"basis_size {basis[0]} {basis[1]}",
        " ".join(["l_max", str(l_max), *flags]),
        f"ANN {hidden} 0",
    ]
    values: list[np.ndarray] = []
    for _ in range(2 if kind == "polarizability" else 1):
        for _ in range(1 if version == 3 else n):
            values += [
                rng.normal(scale=1.0 / np.sqrt(n_d), size=hidden * n_d),
                rng.normal(scale=0.5, size=hidden),
                rng.normal(scale=1.0 / np.sqrt(hidden), size=hidden),
            ]
            if charged:
                values.append(rng.normal(scale=0.5 / np.sqrt(hidden), size=hidden))
            values += [rng.normal(size=1)] if version == 5 else []
        values += [rng.uniform(1.0, 2.0, size=1)] if charged else []
        values.append(rng.normal(size=1))
    values += [rng.normal(size=n * n * n_r * k_r), rng.normal(size=n * n * n_a * k_a)]
    # Sums over some thirty neighbors: angular ones enter squared.
    scale = np.full(n_d, 0.02)
    scale[:n_r] = 0.2
    values.append(scale * rng.uniform(0.5, 1.5, size=n_d))
    if list(zbl[:2]) == [0, 0] and len(zbl):
        for _ in range(n * (n + 1) // 2):
            inner = rng.uniform(0.5, 1.0)
            a, b = rng.dirichlet(np.ones(4)), rng.uniform(0.2, 3.0, size=4)
            pair = np.stack([a, b], axis=1).ravel()
            values.append(np.concatenate([[inner, inner + 1.0], pair]))
    lines += [f"{x:15.7e}" for block in values for x in block]
    Path(path).write_text("\n".join(lines) + "\n")
    return os.fspath(path)


def morse_nep(
    path: str | os.PathLike[str],
    *,
    species: Sequence[str],
    hidden: int = 80,
    part: float = 0.05,
    seed: int = 1,
) -> str:
    """Write a model of the shape of universal ones (UNEP-v1, NEP89) in which atoms attract and repel each other as in a solid.

    Random networks have no minima that look like crystals. Here the first radial function of each pair of elements is a Morse
    potential (least at the sum of the covalent radii, 0.2 to 0.5 eV deep) as well as nine terms can have it, and the first neuron
    passes it on; the others are random and add some tenths of eV. ZBL repels what comes closer.

    Parameters
    ----------
    path : str
        File to write.
    species : sequence of str
    hidden : int
        Neurons of each network.
    part : float
        Of the energy that the random neurons make, in eV.
    seed : int

    Returns
    -------
    str
        The path.
    """
    from ase.data import atomic_numbers, covalent_radii

    rng = np.random.default_rng(seed)
    n, n_r, n_a, k = len(species), 5, 5, 9
    rc = (6.0, 5.0)
    n_d = n_r + n_a * 6
    radius = covalent_radii[[atomic_numbers[s] for s in species]]
    c_radial, c_angular = rng.normal(size=(2, n_r, k, n, n))
    depth = rng.uniform(0.2, 0.5, size=(n, n))
    c_radial[0] = _morse_terms(radius, 0.5 * (depth + depth.T), k, rc[0])
    scaler = np.full(n_d, 0.02)
    scaler[:n_r] = 0.2
    scaler *= rng.uniform(0.5, 1.5, size=n_d)
    scaler[0] = 1.0
    values: list[np.ndarray] = []
    linear = 0.02  # per eV: tanh is as good as straight for energies of atoms
    for _ in species:
        w0 = rng.normal(scale=1.0 / np.sqrt(n_d), size=(hidden, n_d))
        b0 = rng.normal(scale=0.5, size=hidden)
        w1 = rng.normal(scale=part / np.sqrt(hidden), size=hidden)
        w0[:, 0] *= 0.1
        w0[0] = np.where(np.arange(n_d) == 0, linear, 0.0)
        b0[0], w1[0] = 0.0, 0.5 / linear
        values += [w0.ravel(), b0, w1]
    values += [np.zeros(1), c_radial.ravel(), c_angular.ravel(), scaler]
    lines = [
        " ".join(["nep4_zbl", str(n), *species]),
        "zbl 1 2",
        f"cutoff {rc[0]:g} {rc[1]:g} 400 200",
        "n_max 4 4",
        "basis_size 8 8",
        "l_max 4 2 1",
        f"ANN {hidden} 0",
    ]
    lines += [f"{x:15.7e}" for block in values for x in block]
    Path(path).write_text("\n".join(lines) + "\n")
    return os.fspath(path)


def _morse_terms(radius: np.ndarray, depth: np.ndarray, k: int, rc: float) -> np.ndarray:
    """Coefficients (k, n, n) of the Morse potential of each pair of elements, by least squares."""
    r = np.linspace(0.8, rc, 150)
    x = 2.0 * (r / rc - 1.0) ** 2 - 1.0
    switch = 0.5 * (1.0 + np.cos(np.pi * r / rc))
    terms = 0.5 * (np.cos(np.arange(k)[:, None] * np.arccos(np.clip(x, -1.0, 1.0))) + 1.0) * switch
    d = np.clip(radius[:, None] + radius[None], 1.4, 4.0)[..., None]
    b = np.exp(-1.5 * (r - d))
    # Deep inside the shape does not matter, as long as it repels: it grows linearly there.
    wall = np.exp(0.45 * 1.5 * d)
    b = np.where(b > wall, wall, b)
    energy = b * (b - 2.0)
    weight = 1.0 / (1.0 + np.abs(energy))
    out: np.ndarray = np.empty((k, *depth.shape))
    for i, j in np.ndindex(depth.shape):
        w = weight[i, j]
        out[:, i, j] = np.linalg.lstsq((terms * w).T, energy[i, j] * w, rcond=None)[0]
    return np.asarray(out * depth)
