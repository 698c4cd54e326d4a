"""Writes the tiny models as mace-torch saves them, and what it gets with them (PyTorch 2.13).

``TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1 python make.py tiny_plain tiny_density tiny_nonlinear`` with mace-torch 0.3.16,
``tiny_0_3_3`` and ``tiny_0_3_14`` with these versions: what they save has other classes and fewer options.
"""

from __future__ import annotations

import gzip
import inspect
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.io import write as write_atoms
from e3nn import o3
from mace import modules
from mace.calculators import MACECalculator

FOLDER = Path(__file__).parent


def blocks(name: str) -> Any:
    return modules.interaction_classes[f"RealAgnostic{name}InteractionBlock"]


def write(name: str, kind: Any, first: str, other: str, hidden: str, **options: Any) -> None:
    torch.manual_seed(7)
    heads = options.get("heads", ["Default"])
    chosen: dict[str, Any] = {
        "r_max": 3.0,
        "num_bessel": 3,
        "num_polynomial_cutoff": 5,
        "max_ell": 1,
        "num_interactions": 2,
        "num_elements": 2,
        "atomic_numbers": [1, 6],
        "atomic_energies": np.full((len(heads), 2) if len(heads) > 1 else 2, -1.5),
        "avg_num_neighbors": 7.5,
        "correlation": 2,
        "gate": torch.nn.functional.silu,
        "MLP_irreps": o3.Irreps("2x0e"),
        "radial_MLP": [4, 4],
        "use_reduced_cg": False,
    }
    chosen |= options
    known = inspect.signature(modules.MACE.__init__).parameters
    model = kind(
        interaction_cls_first=blocks(first),
        interaction_cls=blocks(other),
        hidden_irreps=o3.Irreps(hidden),
        **{k: v for k, v in chosen.items() if k in known or k.startswith("atomic_inter")},
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.model")
        torch.save(model, path)
        with gzip.GzipFile(FOLDER / "models" / f"{name}.model.gz", "wb", mtime=0) as file:
            file.write(path.read_bytes())
        results(name, str(path), heads)


def results(name: str, path: str, heads: list[str]) -> None:
    """Of a cluster and a small cell, for each head."""
    rng = np.random.default_rng(5)
    frames, numbers = [], {}
    for head in heads:
        for pbc in (False, True):
            atoms = Atoms(
                "CH4C", rng.uniform(0.0, 3.0, (6, 3)).round(4), cell=[3.1, 3.3, 3.5], pbc=pbc
            )
            options = {"head": head} if len(heads) > 1 else {}
            atoms.calc = MACECalculator(
                model_paths=path, device="cpu", default_dtype="float64", **options
            )
            k = len(frames)
            numbers[f"{k}_energy"] = atoms.get_potential_energy()
            numbers[f"{k}_forces"] = atoms.get_forces()
            if pbc:
                numbers[f"{k}_stress"] = atoms.get_stress()
            atoms.calc = None
            atoms.info |= options
            frames.append(atoms)
    write_atoms(FOLDER / "structures" / f"{name}.extxyz", frames, format="extxyz")
    np.savez_compressed(FOLDER / "refs" / f"{name}.npz", **numbers)


def main(names: list[str]) -> None:
    scaled = {"atomic_inter_scale": 0.5, "atomic_inter_shift": 0.1}
    nonlinear: dict[str, Any] = {
        "apply_cutoff": False,
        "use_agnostic_product": True,
        "edge_irreps": o3.Irreps("1x0e+1x1o"),
        **scaled,
    }
    torch.set_default_dtype(torch.float32)
    if "tiny_plain" in names:
        write("tiny_plain", modules.MACE, "", "Residual", "2x0e+2x1o")
    torch.set_default_dtype(torch.float64)
    if "tiny_0_3_3" in names:
        write("tiny_0_3_3", modules.ScaleShiftMACE, "", "Residual", "2x0e+2x1o", **scaled)
    if "tiny_0_3_14" in names:
        write(
            "tiny_0_3_14",
            modules.ScaleShiftMACE,
            *["ResidualNonLinear"] * 2,
            "2x0e+2x1o",
            **nonlinear,
        )
    if "tiny_nonlinear" in names:
        nonlinear |= {"readout_cls": modules.NonLinearBiasReadoutBlock, "gate": torch.tanh}
        write(
            "tiny_nonlinear",
            modules.ScaleShiftMACE,
            *["ResidualNonLinear"] * 2,
            "2x0e+2x1o",
            **nonlinear,
        )
    if "tiny_density" in names:
        write(
            "tiny_density",
            modules.ScaleShiftMACE,
            "Density",
            "DensityResidual",
            "2x0e",
            pair_repulsion=True,
            distance_transform="Agnesi",
            radial_type="gaussian",
            correlation=[3, 1],
            heads=["Default", "other"],
            atomic_inter_scale=[0.5, 0.6],
            atomic_inter_shift=[0.1, 0.2],
        )


if __name__ == "__main__":
    main(sys.argv[1:])
