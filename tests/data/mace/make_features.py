"""Writes features.npz with mace-torch 0.3.16: ``TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1 python make_features.py FOLDER`` with the ``.model`` files."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from ase.io import read
from mace.calculators import MACECalculator

FOLDER = Path(__file__).parent
NAMES = ("corr1", "large_2e", "layers3", "mh_like", "reduced_cg")


def main(models: Path) -> None:
    found = {}
    for name in NAMES:
        path = str(models / f"{name}.model")
        head = {"head": "Default"} if name == "mh_like" else {}
        calc = MACECalculator(model_paths=path, device="cpu", default_dtype="float64", **head)
        for k, atoms in enumerate(read(FOLDER / "structures" / f"{name}.extxyz", ":")):
            found[f"{name}_{k}"] = calc.get_descriptors(atoms, invariants_only=True)
    np.savez_compressed(FOLDER / "features.npz", **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
