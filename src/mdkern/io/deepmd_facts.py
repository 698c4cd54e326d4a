"""What a model of DeePMD-kit holds, for ``mdkern info``."""

from __future__ import annotations

import os
from typing import Any

from mdkern.io.deepmd import read_deepmd
from mdkern.io.deepmd_models import DeepModel
from mdkern.registry import Description

__all__ = ["describe_deepmd"]


def describe_deepmd(path: str | os.PathLike[str]) -> Description:
    """Of a model of any kind that is read."""
    model = read_deepmd(path)
    facts: dict[str, Any] = {
        "format": f"DeePMD-kit model, {model.format}",
        "written_by": " ".join(x for x in ("DeePMD-kit", model.version, model.backend) if x),
        "kind": model.model.kind,
        "species": list(model.species),
        "cutoff_A": model.cutoff,
        "descriptors": _descriptors(model.model),
        "fitting": _fitting(model.model),
        "options": _options(model),
        "min_nbor_dist_A": model.min_nbor_dist,
        "n_parameters": model.n_parameters,
    }
    fields = {
        "format": f"{facts['format']}, {facts['written_by']}",
        "kind": facts["kind"],
        "species": ", ".join(model.species),
        "cutoff": f"{model.cutoff:g} A",
    }
    for k, d in enumerate(facts["descriptors"]):
        fields["descriptor" if k == 0 else f"descriptor {k + 1}"] = (
            f"{d['kind']}, {d['width']} numbers: nets {d['nets']}; from {d['r_cut_smth_A']:g} to "
            f"{d['r_cut_A']:g} A; sel {', '.join(map(str, d['sel']))}; {d['precision']}"
        )
    if facts["fitting"]:
        fields["fitting"] = facts["fitting"]
    fields["options"] = ", ".join(facts["options"]) or "none"
    if model.min_nbor_dist is not None:
        fields["shortest trained"] = f"{model.min_nbor_dist:.4g} A"
    fields["parameters"] = f"{model.n_parameters:,}"
    return Description(facts=facts, fields=fields, topics=_topics(model))


def _topics(model: DeepModel) -> tuple[str, ...]:
    """Papers of the registry's entry that a model rests on."""
    kinds = {x["kind"] for x in _descriptors(model.model)}
    topics = ["Deep Potential", "DeePMD-kit", "Deep Potential, tables"]
    topics += ["Deep Potential, se_e2_a"] if "se_e2_a" in kinds else []
    topics += ["Deep Potential, dpa1"] if "dpa1" in kinds else []
    topics += ["Deep Potential, zbl"] if model.model.kind == "zbl" else []
    return tuple(topics)


def _parts(model: Any) -> list[Any]:
    """Standard models inside a model."""
    if model.kind == "zbl":
        return [model.model]
    if model.kind == "linear":
        return [m for m in model.models if m.kind == "standard"]
    return [model] if model.kind == "standard" else []


def _nets(nets: Any) -> str:
    some = [net for net in nets if net is not None]
    widths = "-".join(map(str, some[0].neurons))
    return f"{len(some)} of {widths} {some[0].layers[0].activation}"


def _descriptors(model: Any) -> list[dict[str, Any]]:
    out = []
    for part in _parts(model):
        d = part.descriptor
        for x in d.parts if d.kind == "hybrid" else (d,):
            out.append(
                {
                    "kind": x.kind,
                    "width": x.width,
                    "nets": _nets([x.net] if x.kind == "dpa1" else x.nets),
                    "r_cut_smth_A": x.r_cut_smth,
                    "r_cut_A": x.r_cut,
                    "sel": x.sel.tolist(),
                    "precision": x.precision,
                }
            )
    return out


def _fitting(model: Any) -> str:
    return "; ".join(f"{_nets(p.fitting.nets)}, {p.fitting.precision}" for p in _parts(model))


def _options(model: DeepModel) -> list[str]:
    """What is not as DeePMD-kit has it by default."""
    out = []
    for part in _parts(model.model):
        d = part.descriptor
        for x in d.parts if d.kind == "hybrid" else (d,):
            one_side = getattr(x, "one_side", None)
            out += [] if one_side is None else [f"type_one_side {str(one_side).lower()}"]
            out += ["exclude_types"] if x.exclude else []
            out += [f"env_protection {x.protection:g}"] if x.protection else []
            if x.kind == "dpa1":
                out.append(f"tebd_input_mode {x.tebd_mode}")
                out += [f"{len(x.attention)} attention layers"] if x.attention else []
        n = len(part.fitting.fparam_avg)
        out += [f"{n} frame parameters"] if n else []
        out += ["atom_ener"] if part.fitting.zero.any() else []
    out += ["pair_exclude_types"] if model.model.pair_exclude else []
    out += ["atom_exclude_types"] if model.model.atom_exclude else []
    return out
