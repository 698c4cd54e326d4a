"""What the files of a SNAP hold, for ``mdkern info``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mdkern.io.snap import bispectrum_triples, read_snap
from mdkern.registry import Description

__all__ = ["describe_snap"]


def describe_snap(path: str | os.PathLike[str]) -> Description:
    """Of coefficients and parameters, either of which may be named."""
    m = read_snap(path)
    flags = {
        name: bool(getattr(m, name))
        for name in ("switch", "bzero", "quadratic", "chem", "bnorm", "wselfall")
    }
    facts: dict[str, Any] = {
        "format": "SNAP",
        "species": list(m.species),
        "cutoff_A": m.cutoff,
        "twojmax": m.twojmax,
        "n_triples": len(bispectrum_triples(m.twojmax)),
        "n_components": m.n_components,
        "n_coefficients": m.coefficients.shape[1],
        "rcutfac": m.rcutfac,
        "rfac0": m.rfac0,
        "rmin0_A": m.rmin0,
        "radii": m.radii.tolist(),
        "weights": m.weights.tolist(),
        **flags,
        "sinner_A": None if m.sinner is None else m.sinner.tolist(),
        "dinner_A": None if m.dinner is None else m.dinner.tolist(),
    }
    on = [name for name, value in flags.items() if value]
    if m.sinner is not None:
        on.append("switchinner")
    elements = (
        f"{s} R {r:g} w {w:g}" for s, r, w in zip(m.species, m.radii, m.weights, strict=True)
    )
    fields = {
        "format": f"SNAP, {'quadratic' if m.quadratic else 'linear'}",
        "species": ", ".join(m.species),
        "cutoff": f"{m.cutoff:.6g} A",
        "2J": str(m.twojmax),
        "components": f"{m.n_components} of the bispectrum",
        "coefficients": f"{m.coefficients.shape[1]:,} per element",
        "elements": ", ".join(elements),
        "theta0": f"rfac0 {m.rfac0:g}, rmin0 {m.rmin0:g} A",
        "flags": ", ".join(on) or "none",
    }
    topics = ["SNAP"]
    topics += ["SNAP, quadratic"] if m.quadratic else []
    topics += ["SNAP, explicit elements"] if m.chem else []
    with Path(m.path).open(encoding="utf-8", errors="replace") as file:
        lines = [file.readline(2000) for _ in range(8)]
    comment = [line for line in lines if line.lstrip().startswith("#")]
    return Description(facts=facts, fields=fields, topics=tuple(topics), comment=comment)
