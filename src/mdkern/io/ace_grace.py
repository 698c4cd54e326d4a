"""GRACE/FS ``.yaml``: what gracemaker exports of its FS models, products of real A that are summed over all neighbours."""

from __future__ import annotations

from array import array
from typing import Any, NoReturn

import numpy as np

from mdkern.io.ace_fields import (
    MAX_CUTOFF,
    MAX_L,
    MAX_RADIAL,
    Fields,
    check_size,
    embedding,
    flat,
    number,
)
from mdkern.io.ace_model import AceBond, AceModel, Array
from mdkern.io.ace_products import MAX_RANK, FunctionList, Limits
from mdkern.io.ace_yace import by_element
from mdkern.io.yaml_text import Document

__all__ = ["read_grace"]

_NAMES = {
    "mus": "mus",
    "ns": "ns",
    "ls": "ls",
    "ms": "ms_combs",
    "couplings": "gen_cgs",
    "coefficients": "coeff",
}


def read_grace(document: Document) -> AceModel:
    """The model of a parsed file.

    Raises
    ------
    FormatError, UnsupportedError
    """
    root = Fields(document, document.root, "")
    elements = root.symbols("elements")
    n = len(elements)
    spec = root.within("emb_spec")
    part = root.within("radial_basis")
    one = embedding(
        spec.text("type"),
        spec.reals("params"),
        (0.0, 0.0),
        lambda message: spec.refuse("type", message),
        lambda message: spec.fail("params", message),
    )
    bond, weights = _radial(part, n)
    shape: Any = bond.coefficients.shape
    limits = Limits(n, 0, shape[0], shape[1] - 1)
    functions = _functions(root, limits, len(one.weights))
    e0 = np.zeros(n)
    if "E0" in root:
        e0 = root.reals("E0", n, "one for each element")
    return AceModel(
        path=document.path,
        format="grace",
        kind="grace",
        elements=elements,
        e0=e0,
        scale=root.real("scale", default=1.0),
        shift=root.real("shift", default=0.0),
        norm=root.real("nnorm", default=1.0),
        embeddings=(one,) * n,
        n_radial_base=shape[2],
        n_radial_max=shape[0],
        l_max=shape[1] - 1,
        bonds={(a, b): bond for a in range(n) for b in range(n)},
        inner="density",
        spline_bins=0.001,
        species_weights=weights,
        functions=tuple(f for f, _ in functions),
        products=tuple(p for _, p in functions),
    )


def _radial(part: Fields, n: int) -> tuple[AceBond, Array]:
    """One set of radial functions for all pairs, and the weights of the neighbours' elements."""
    basis = part.text("radbasename")
    if basis != "SBessel":
        part.refuse("radbasename", f"{basis[:40]!r}; GRACE/FS is evaluated with SBessel")
    n_base = part.integer("n_rad_base", 1, MAX_RADIAL)
    n_max = part.integer("nradmax", 1, MAX_RADIAL)
    shape = part.integers("crad_shape", 3, 1, MAX_RADIAL)
    for key, k, size in (("nradmax", 0, n_max), ("n_rad_base", 2, n_base)):
        if shape[k] != size:
            part.fail("crad_shape", f"{list(shape)}; expected {size} as number {k + 1}, as {key} says")  # fmt: skip
    if shape[1] > MAX_L + 1:
        part.fail("crad_shape", f"{shape[1] - 1} as largest l; expected at most {MAX_L}")
    check_size(1, (shape[0], shape[1], shape[2]), lambda message: part.fail("crad_shape", message))
    z_shape = part.integers("Z_shape", 2, 1, MAX_RADIAL)
    if z_shape != (n, n_max):
        part.fail("Z_shape", f"{list(z_shape)}; expected {[n, n_max]}, elements and nradmax")
    crad = part.reals("crad", shape[0] * shape[1] * shape[2], "the product of crad_shape")
    weights = part.reals("Z", n * n_max, "the product of Z_shape")
    bond = AceBond(
        basis="SBessel",
        parameter=0.0,
        coefficients=crad.reshape(shape),
        cutoff=part.real("cutoff", 1e-3, MAX_CUTOFF),
        dcut=0.0,
        prehc=0.0,
        lambdahc=0.0,
        r_in=0.0,
        d_in=0.0,
    )
    return bond, weights.reshape(n, n_max)


def _functions(root: Fields, limits: Limits, n_density: int) -> list[Any]:
    document = root.document
    found = by_element(root, "functions", limits.n_elements)
    out = []
    for e in range(limits.n_elements):
        name = f"functions of element {e}"

        def fail(message: str, at: int, name: str = name) -> NoReturn:
            document.fail(f"{name}, {message}", at)

        functions = FunctionList("grace", n_density, limits, _NAMES, fail)
        while found[e]:
            entry = found[e].pop()
            part = Fields(document, entry, name)
            ls = part.numbers("ls")
            if not 1 <= len(ls) <= MAX_RANK:
                part.fail("ls", f"{len(ls)} numbers; expected 1 to {MAX_RANK}")
            rank = part.integer("rank", 1, MAX_RANK) if "rank" in part else len(ls)
            if "mu0" in part:
                part.integer("mu0", e, e)
            part.integer("ndensity", n_density, n_density)
            functions.add(
                entry.at,
                rank,
                [0.0] * rank,
                _ns(part, rank),
                ls,
                part.numbers("ms_combs"),
                part.numbers("gen_cgs"),
                part.numbers("coeff"),
            )
        out.append(functions.finish())
    return out


def _ns(part: Fields, rank: int) -> list[float] | array[float]:
    """One n for all factors."""
    node = part.get("ns")
    value = number(node)
    if value is not None:
        return [value] * rank
    values = flat(node)
    if values is None or len(values) != rank or len(set(values)) != 1:
        part.fail("ns", "expected one integer, which all factors share")
    return values
