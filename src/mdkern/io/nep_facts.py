"""What a ``nep.txt`` holds, for ``mdkern info``."""

from __future__ import annotations

import os
from typing import Any

from mdkern.io.nep import NepModel, read_nep
from mdkern.registry import Description

__all__ = ["describe_nep"]


def describe_nep(path: str | os.PathLike[str]) -> Description:
    """Of a model that is a potential, or one of dipoles or polarizabilities."""
    model = read_nep(path)
    facts: dict[str, Any] = {
        "format": f"NEP{model.version}, {model.tag}",
        "kind": model.kind,
        "species": list(model.species),
        "cutoff_radial_A": _cutoff(model.rc_radial),
        "cutoff_angular_A": _cutoff(model.rc_angular),
        "n_radial": model.c_radial.shape[0],
        "n_angular": model.c_angular.shape[0],
        "basis_radial": model.c_radial.shape[1],
        "basis_angular": model.c_angular.shape[1],
        "l_max": model.l_max,
        "bodies": list(model.bodies),
        "n_descriptors": model.n_descriptors,
        "n_neurons": model.hidden,
        "n_parameters": model.n_values,
        "charge_mode": None if model.charge is None else model.charge.mode,
        "zbl": _zbl(model),
    }
    networks = (
        "one network" if len(model.networks.w0) == 1 else f"{len(model.networks.w0)} networks"
    )
    return Description(
        facts=facts,
        fields={
            "format": facts["format"],
            "predicts": _predicts(model),
            "species": ", ".join(model.species),
            "radial": f"{facts['n_radial']} functions of {facts['basis_radial']} terms, "
            f"cutoff {_range(model.rc_radial)}",
            "angular": f"{facts['n_angular']} functions of {facts['basis_angular']} terms, "
            f"cutoff {_range(model.rc_angular)}",
            "descriptor": f"{model.n_descriptors} numbers: l up to {model.l_max}"
            + (f", and {', '.join(model.bodies)}" if model.bodies else ""),
            "network": f"{networks} of {model.hidden} neurons",
            "parameters": f"{model.n_values:,}",
            "ZBL": facts["zbl"] or "no",
            **({} if model.charge is None else {"charges": _CHARGES[model.charge.mode]}),
        },
        topics=_topics(model),
    )


def _topics(model: NepModel) -> tuple[str, ...]:
    """Papers of the registry's entry that a model rests on."""
    topics = ["NEP3, the descriptor"]
    topics += ["NEP4"] if model.version >= 4 else []
    topics += ["NEP, GPUMD 4"] if model.version >= 5 else []
    topics += ["NEP, tensors"] if model.kind != "potential" else []
    topics += ["Ewald sum"] if model.charge is not None else []
    topics += ["ZBL"] if model.zbl is not None else []
    return tuple(topics)


_CHARGES = {
    1: "Ewald sum",
    2: "reciprocal part of the Ewald sum",
    3: "real part of the Ewald sum, shifted",
}


def _predicts(model: NepModel) -> str:
    if model.kind != "potential":
        return model.kind
    return "energy and forces" if model.charge is None else "energy, forces and charges"


def _cutoff(rc: Any) -> float | list[float]:
    """One number where all types have the same."""
    return float(rc[0]) if rc.min() == rc.max() else rc.tolist()


def _range(rc: Any) -> str:
    return f"{rc[0]:g} A" if rc.min() == rc.max() else f"{rc.min():g} to {rc.max():g} A by type"


def _zbl(model: NepModel) -> str | None:
    if model.zbl is None:
        return None
    if model.zbl.phi is not None:
        return "flexible: parameters for each pair of types"
    inner, outer = model.zbl.inner, model.zbl.outer
    if outer.min() == outer.max():
        return f"universal, switched off from {inner[0, 0]:g} to {outer[0, 0]:g} A"
    return f"universal, switched off from 0 to {outer.min():.3g} .. {outer.max():.3g} A by type"
