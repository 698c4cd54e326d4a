"""What an EAM file holds, for ``mdkern info``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mdkern.io.eam import read_eam
from mdkern.registry import Description

__all__ = ["describe_eam"]

_FORMATS = {
    "funcfl": "EAM, funcfl (.eam)",
    "alloy": "EAM, setfl (.eam.alloy)",
    "fs": "EAM, Finnis-Sinclair (.eam.fs)",
}


def describe_eam(path: str | os.PathLike[str]) -> Description:
    """Of a file in any of the three formats."""
    t = read_eam(path)
    facts: dict[str, Any] = {
        "format": _FORMATS[t.kind],
        "species": list(t.species),
        "masses_amu": t.masses.tolist(),
        "cutoff_A": t.cutoff,
        "tables": {
            "n_r": t.r_phi.shape[-1],
            "dr_A": t.dr,
            "n_rho": t.embedding.shape[-1],
            "drho": t.drho,
            "rho_max": t.rho_max,
        },
    }
    masses = (f"{s} {m:.5g}" for s, m in zip(t.species, t.masses.tolist(), strict=True))
    fields = {
        "format": facts["format"],
        "species": ", ".join(t.species),
        "masses": ", ".join(masses) + " amu",
        "cutoff": f"{t.cutoff:.6g} A",
        "r tables": f"{t.r_phi.shape[-1]} knots, spacing {t.dr:.6g} A",
        "density tables": f"{t.embedding.shape[-1]} knots, spacing {t.drho:.6g}, F up to {t.rho_max:.6g}",
    }
    topics = ("EAM", "EAM, Finnis-Sinclair") if t.kind == "fs" else ("EAM",)
    with Path(path).open(encoding="utf-8", errors="replace") as file:
        comment = [file.readline(2000) for _ in range(1 if t.kind == "funcfl" else 3)]
    return Description(facts=facts, fields=fields, topics=topics, comment=comment)
