"""What a file of Stillinger-Weber or Tersoff holds, for ``mdkern info``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mdkern.io.stillinger_weber import read_stillinger_weber, stillinger_weber_model
from mdkern.io.tersoff import read_tersoff, tersoff_model
from mdkern.io.three_body import ThreeBodyFile
from mdkern.registry import Description

__all__ = ["describe_stillinger_weber", "describe_tersoff"]


def describe_stillinger_weber(path: str | os.PathLike[str]) -> Description:
    """Of a ``.sw`` file."""
    file = read_stillinger_weber(path)
    model = stillinger_weber_model(file)
    return _describe(
        file, "Stillinger-Weber (.sw)", model.species, model.cutoff, ("Stillinger-Weber",)
    )


def describe_tersoff(path: str | os.PathLike[str]) -> Description:
    """Of a file of any style."""
    file = read_tersoff(path)
    model = tersoff_model(file)
    topics = ["Tersoff"]
    if len(model.species) > 1 and not model.is_mod:
        topics.append("Tersoff, several elements")
    if model.is_mod:
        topics.append("Tersoff, modified")
    if file.style == "tersoff/zbl":
        topics.append("Tersoff with ZBL")
    return _describe(
        file, f"Tersoff (pair_style {file.style})", model.species, model.cutoff, tuple(topics)
    )


def _describe(
    file: ThreeBodyFile,
    kind: str,
    species: tuple[str, ...],
    cutoff: float,
    topics: tuple[str, ...],
) -> Description:
    others = [name for name in file.names if name not in species]
    facts: dict[str, Any] = {
        "format": kind,
        "style": file.style,
        "species": list(species),
        "cutoff_A": cutoff,
        "entries": len(file.entries),
        "names_without_all_triplets": others,
    }
    fields = {
        "format": kind,
        "species": ", ".join(species),
        "cutoff": f"{cutoff:.6g} A",
        "entries": str(len(file.entries)),
    }
    if others:
        fields["not used"] = f"{', '.join(others)}: no elements, or not with all triplets"
    with Path(file.path).open(encoding="utf-8", errors="replace") as lines:
        comment = [
            line for line in (lines.readline(2000) for _ in range(3)) if line.startswith("#")
        ]
    return Description(facts=facts, fields=fields, topics=topics, comment=comment)
