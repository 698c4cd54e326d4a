"""Writes the tiny models, as mace-torch saves them: ``TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1 python make.py`` (mace-torch 0.3.16, PyTorch 2.13)."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from e3nn import o3
from mace import modules

FOLDER = Path(__file__).parent / "models"


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
        "atomic_energies": np.full((len(heads), 2), -1.5),
        "avg_num_neighbors": 7.5,
        "correlation": 2,
        "gate": torch.nn.functional.silu,
        "MLP_irreps": o3.Irreps("2x0e"),
        "radial_MLP": [4, 4],
        "use_reduced_cg": False,
    }
    model = kind(
        interaction_cls_first=blocks(first),
        interaction_cls=blocks(other),
        hidden_irreps=o3.Irreps(hidden),
        **chosen | options,
    )
    out = io.BytesIO()
    torch.save(model, out)
    with gzip.GzipFile(FOLDER / f"{name}.model.gz", "wb", mtime=0) as file:
        file.write(out.getvalue())


def main() -> None:
    scaled = {"atomic_inter_scale": 0.5, "atomic_inter_shift": 0.1}
    torch.set_default_dtype(torch.float32)
    write("tiny_plain", modules.MACE, "", "Residual", "2x0e+2x1o")
    torch.set_default_dtype(torch.float64)
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
    write(
        "tiny_nonlinear",
        modules.ScaleShiftMACE,
        "ResidualNonLinear",
        "ResidualNonLinear",
        "2x0e+2x1o",
        apply_cutoff=False,
        use_agnostic_product=True,
        readout_cls=modules.NonLinearBiasReadoutBlock,
        gate=torch.tanh,
        edge_irreps=o3.Irreps("1x0e+1x1o"),
        **scaled,
    )


if __name__ == "__main__":
    main()
