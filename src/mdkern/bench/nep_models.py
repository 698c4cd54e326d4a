"""Random neuroevolution models of any size, for tests and benchmarks: the format without the physics.

Numbers are scaled so that energies are some eV per atom and forces some eV/Angstrom, as those of trained models.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mdkern.io.nep import BODY_ORDERS

__all__ = ["PUBLIC_SIZES", "random_nep"]

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
