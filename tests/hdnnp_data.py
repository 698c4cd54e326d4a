"""Small folders of n2p2 that have everything that there is, made from seeds; those of the first seed are in tests/data/n2p2 as well."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from contracts import SYSTEMS, _colour

from mdkern.bench.behler_parrinello_models import random_behler_parrinello
from mdkern.bench.scratch import scratch_folder
from mdkern.io.behler_parrinello import read_behler_parrinello
from mdkern.reference import symmetry_functions

DATA = Path(__file__).parent / "data" / "n2p2"

# Every type, with shifts, odd exponents, all shapes, in no order; lengths in Angstrom. No angular factor is
# other than zero at 0 or 180 degrees, where n2p2 has none, as crystals have neighbors in line.
GAUSSIAN = [
    "Cu 2 O 0.9 1.1 4.0",
    "Cu 2 Cu 0.3 0.0 4.2",
    "Cu 3 O Cu 0.11 1 1.0 4.0 0.4",
    "Cu 3 Cu O 0.11 -1 4.0 4.0",
    "Cu 9 O O 0.05 -1 2.0 4.2",
    "Cu 9 Cu Cu 0.05 1 1.5 4.0 0.9",
    "Cu 12 0.4 0.3 3.9",
    "Cu 13 0.08 0.2 1 3 3.8",
    "Cu 3 Cu Cu 0.02 0.7 1 3.6",
    "O 2 Cu 0.9 1.1 4.0",
    "O 13 0.03 0.0 -1 1 4.0",
    "O 9 Cu O 0.07 1 16 3.9",
    "O 9 O Cu 0.07 -1 0 3.9",
    "O 3 O O 0.0 1 1 3.0",
    "O 12 1.4 0.9 3.9",
    "O 2 O 0.0 0.0 4.2",
    "O 3 Cu Cu 0.07 -1 7 4.1",
]
COMPACT = [
    "Cu 20 O -4.0 4.0 p1",
    "Cu 20 Cu 1.0 4.2 p2a",
    "Cu 20 Cu -1.0 3.2 p3",
    "Cu 21 O Cu -4.0 4.0 0 180 p2",
    "Cu 21 Cu Cu 0.5 4.2 20 150 p4a",
    "Cu 22 O O -4.1 4.1 40.5 140 p3a",
    "Cu 22 Cu O 1.0 3.9 0 120 e",
    "Cu 23 0.2 4.0 ea",
    "Cu 24 -3.9 3.9 60 180 p1a",
    "Cu 25 0.4 4.1 30 100 p4",
    "O 20 Cu -3.8 3.8 e",
    "O 21 O Cu -4.0 4.0 10 170 ea",
    "O 22 Cu Cu -3.0 3.0 0 180 p1",
    "O 23 -4.0 4.0 p2a",
    "O 24 0.3 4.0 45 175 p3",
    "O 25 -4.2 4.2 5 110 e",
]
MODELS: dict[str, dict[str, Any]] = {
    "gaussian": {"functions": GAUSSIAN, "cutoff": "6 0.2", "hidden": (7, 5), "activations": "tpl"},
    "compact": {
        "functions": COMPACT,
        "cutoff": "1",
        "hidden": (9,),
        "activations": "sl",
        "settings": ("scale_symmetry_functions_sigma", "scale_min_short -0.1", "scale_max_short 0.9", "normalize_nodes"),
    },
    "mixed": {
        "functions": [*GAUSSIAN[:9], *COMPACT[:5], *GAUSSIAN[9:12], *COMPACT[10:13]],
        "cutoff": "2",
        "hidden": (6, 4),
        "activations": "gcl",
        "nodes": {"Cu": ((5, 4, 3), "Shgs")},
        "settings": (
            "scale_symmetry_functions_sigma",
            "mean_energy -1.25",
            "conv_energy 3.5",
            "conv_length 2.0",
            "atom_energy O -2.5",
            "atom_energy Cu 0.75",
            "nnp_type 2G-HDNNP",
        ),
    },
}  # fmt: skip


@cache
def folder(name: str, seed: int = 1, **changes: str) -> str:
    """One of MODELS, perhaps with another ``cutoff``, ``activations`` or words for the scaling; elements not in the order of Z."""
    settings = {**MODELS[name], **{k: v for k, v in changes.items() if k != "scaling"}}
    if "scaling" in changes:
        settings["settings"] = tuple(filter(None, changes["scaling"].split(",")))
        scaled = "scale" in changes["scaling"]
        settings["size"] = 1.0 if scaled else 0.05
    where = scratch_folder() / "-".join(
        ["n2p2", name, str(seed), *(f"{k}-{v}" for k, v in changes.items())]
    ).replace(" ", "_").replace(",", "-")
    return ranged(where, seed=seed, **settings)


def ranged(where: Path, **settings: Any) -> str:
    """A folder whose ranges are those of the functions in two structures, so that no network is at the end of its range."""
    path = random_behler_parrinello(where, species=("Cu", "O"), **settings)
    model = read_behler_parrinello(path)
    found: dict[str, list[Any]] = {"Cu": [], "O": []}
    for structure in ("triclinic", "cluster"):
        atoms = _colour(SYSTEMS[structure](3.7), ("Cu", "O"))
        symbols = atoms.get_chemical_symbols()
        kinds = [model.species.index(s) for s in symbols]
        values = symmetry_functions(atoms.positions, atoms.cell.array, atoms.pbc, kinds, model)
        for symbol, of_atom in zip(symbols, values, strict=True):
            found[symbol].append(of_atom)
    ranges = {}
    for symbol, rows in found.items():
        g = np.array(rows)
        low, width = g.min(axis=0), np.maximum(np.ptp(g, axis=0), 1e-3 + 0.1 * g.max(axis=0))
        ranges[symbol] = np.stack([low, low + width, low + 0.4 * width, 0.3 * width], axis=1)
    by_sigma = any("sigma" in line for line in settings.get("settings", ()))
    return random_behler_parrinello(
        where,
        species=("Cu", "O"),
        ranges=ranges,
        bounds=(-1e9, 1e9) if by_sigma else None,
        **settings,
    )
