"""What a MACE model holds, for ``mdkern info``."""

from __future__ import annotations

import os
from typing import Any

from mdkern.io.mace import MaceModel, mace_format, read_mace
from mdkern.registry import Description

__all__ = ["describe_mace"]

_FORMATS = {
    "npz": "MACE (.npz)",
    "model": "MACE (.model)",
    "script": "MACE (TorchScript)",
}
_BASES = {
    "bessel": "Bessel functions",
    "gaussian": "Gaussians",
    "chebyshev": "Chebyshev polynomials",
}
_TRANSFORMS = {"none": "", "agnesi": ", Agnesi transform", "soft": ", soft transform"}


def describe_mace(path: str | os.PathLike[str]) -> Description:
    """Blocks, features, cutoff, species, heads and sizes of a model."""
    model = read_mace(path)
    meta = model.meta
    radial, layers = meta["radial"], meta["layers"]
    facts: dict[str, Any] = {
        "format": _FORMATS[mace_format(path) or "npz"],
        "model": meta["model"],
        "species": list(model.species),
        "heads": meta["heads"],
        "cutoff_A": model.cutoff,
        "blocks": [layer["type"] for layer in layers],
        "irreps": [_irreps(layer["irreps_out"]) for layer in layers],
        "max_ell": meta["max_ell"],
        "correlation": [max(layer["correlation"]) for layer in layers],
        "radial_basis": {"type": radial["type"], "size": radial["num_basis"]},
        "transform": radial["transform"],
        "cutoff_power": radial["p"],
        "avg_num_neighbors": [layer["avg_num_neighbors"] for layer in layers],
        "zbl": meta["zbl"] is not None,
        "n_parameters": _parameters(model),
        "precision": meta["source_dtype"],
    }
    heads = facts["heads"]
    return Description(
        facts=facts,
        fields={
            "format": f"{facts['format']}, weights in {facts['precision']}",
            "model": facts["model"],
            "species": ", ".join(facts["species"]),
            "heads": ", ".join(heads) if len(heads) < 9 else f"{len(heads)}: {heads[0]}, ...",
            "cutoff": f"{facts['cutoff_A']:g} A",
            "radial": f"{radial['num_basis']} {_BASES[radial['type']]}"
            f"{_TRANSFORMS[radial['transform']]}, switched off with p = {radial['p']}",
            **{f"layer {t + 1}": _layer(layer) for t, layer in enumerate(layers)},
            "harmonics": f"l up to {meta['max_ell']}",
            "parameters": f"{facts['n_parameters']:,}",
            "ZBL": "yes" if facts["zbl"] else "no",
        },
        topics=("MACE", "ZBL") if facts["zbl"] else ("MACE",),
    )


def _layer(layer: dict[str, Any]) -> str:
    kind = layer["type"].removeprefix("RealAgnostic").removesuffix("InteractionBlock") or "plain"
    return f"{kind}, {_irreps(layer['irreps_out'])}, correlation {max(layer['correlation'])}"


def _irreps(found: list[list[int]]) -> str:
    return "+".join(f"{k}x{ell}{'e' if parity > 0 else 'o'}" for k, ell, parity in found)


def _parameters(model: MaceModel) -> int:
    """Numbers that were trained: weights, not coupling coefficients, radii or constants."""
    fixed = ("atomic_", "scale", "shift", "radial.", "zbl.")
    return sum(
        a.size
        for name, a in model.arrays.items()
        if not name.startswith(fixed) and ".U" not in name and ".conv." not in name
    )
