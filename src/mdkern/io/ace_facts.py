"""What a file of the atomic cluster expansion holds, for ``mdkern info``."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from mdkern.io.ace import AceModel, read_ace
from mdkern.registry import Description

__all__ = ["describe_ace"]

_FORMATS = {"yace": "ACE (.yace)", "ace": "ACE (.ace, text)", "grace": "GRACE/FS (.yaml)"}
_INNER = {
    "density": "switches the expansion off where its density is large",
    "distance": "within an inner cutoff",
    "zbl": "ZBL within an inner cutoff",
}


def describe_ace(path: str | os.PathLike[str]) -> Description:
    """Elements, cutoffs, radial bases, functions of each rank, densities and repulsion of a model."""
    model = read_ace(path)
    cutoffs = sorted({bond.cutoff for bond in model.bonds.values()})
    bases = sorted({bond.basis for bond in model.bonds.values()})
    ranks = [Counter(len(f.mus) for f in functions) for functions in model.functions]
    products = sum(
        len(p.rank1) + sum(len(rows) for rows in p.terms.values()) for p in model.products
    )
    repulsion = model.kind == "ace" and any(bond.prehc != 0 for bond in model.bonds.values())
    facts: dict[str, Any] = {
        "format": _FORMATS[model.format],
        "species": list(model.elements),
        "cutoff_A": cutoffs[0] if len(cutoffs) == 1 else cutoffs,
        "radial_basis": bases,
        "n_radial_base": model.n_radial_base,
        "n_radial_max": model.n_radial_max,
        "l_max": model.l_max,
        "n_functions": [len(functions) for functions in model.functions],
        "n_functions_by_rank": [dict(sorted(counts.items())) for counts in ranks],
        "n_products": products,
        "embeddings": [
            {
                "kind": e.kind,
                "weights": e.weights.tolist(),
                "exponents": e.exponents.tolist(),
            }
            for e in model.embeddings
        ],
        "core_repulsion": model.inner if repulsion else None,
        "E0_eV": model.e0.tolist(),
    }
    return Description(
        facts=facts,
        fields={
            "format": facts["format"],
            "species": ", ".join(model.elements),
            "cutoff": f"{cutoffs[0]:g} A"
            if len(cutoffs) == 1
            else f"{cutoffs[0]:g} to {cutoffs[-1]:g} A by pair",
            "radial": f"{model.n_radial_max} functions of {model.n_radial_base} terms, {', '.join(bases)}",
            "angular": f"l up to {model.l_max}",
            "functions": _functions(model, ranks),
            "products": f"{products:,}, equal ones once",
            "embedding": _embedding(model),
            "repulsion": _INNER[model.inner] if repulsion else "no",
            "E0": _constants(model),
        },
        topics=("ACE", "GRACE/FS") if model.kind == "grace" else ("ACE", "ACE, pacemaker"),
    )


def _functions(model: AceModel, ranks: list[Counter[int]]) -> str:
    """In all, and how many of each rank."""
    total = sum(ranks, Counter())
    of_rank = ", ".join(f"{n:,} of rank {rank}" for rank, n in sorted(total.items()))
    each = "" if len(ranks) == 1 else f" for {len(ranks)} elements"
    return f"{model.n_functions:,}{each}" + (f": {of_rank}" if of_rank else "")


def _embedding(model: AceModel) -> str:
    """Each kind with its exponents once."""
    found: dict[str, list[str]] = {}
    for element, e in zip(model.elements, model.embeddings, strict=True):
        text = f"{e.kind}, exponents {', '.join(f'{m:g}' for m in e.exponents)}"
        found.setdefault(text, []).append(element)
    if len(found) == 1:
        return next(iter(found))
    return "; ".join(f"{_few(symbols)}: {text}" for text, symbols in found.items())


def _few(symbols: list[str]) -> str:
    return " ".join(symbols) if len(symbols) < 9 else f"{symbols[0]} .. ({len(symbols)} elements)"


def _constants(model: AceModel) -> str:
    values = [f"{x:g}" for x in model.e0.tolist()]
    return ", ".join(values) + " eV" if len(values) < 9 else f"{len(values)} numbers"
