"""``.yace``: potentials of the atomic cluster expansion as pacemaker exports them."""

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
    told,
)
from mdkern.io.ace_model import AceBond, AceEmbedding, AceModel, Array
from mdkern.io.ace_products import MAX_DENSITIES, MAX_RANK, FunctionList, Limits
from mdkern.io.yaml_text import Document, Node

__all__ = ["BASES", "by_element", "radial_basis", "read_yace"]

BASES = ("ChebExpCos", "ChebPow", "ChebLinear", "SBessel")
_INNER = ("density", "distance", "zbl")
_NAMES = {
    "mus": "mus",
    "ns": "ns",
    "ls": "ls",
    "ms": "ms_combs",
    "couplings": "ctildes",
    "coefficients": "",
}


def read_yace(document: Document) -> AceModel:
    """The model of a parsed file.

    Raises
    ------
    FormatError, UnsupportedError
    """
    root = Fields(document, document.root, "")
    elements = root.symbols("elements")
    n = len(elements)
    e0 = np.zeros(n)
    if "E0" in root:
        e0 = root.reals("E0", n, "one for each element")
    bins = root.real("deltaSplineBins", 1e-5, 1.0, default=0.001)
    bonds = _Bonds(root, n)
    embeddings = _embeddings(root, n)
    functions = _functions(root, bonds.limits, embeddings)
    return AceModel(
        path=document.path,
        format="yace",
        kind="ace",
        elements=elements,
        e0=e0,
        scale=1.0,
        shift=0.0,
        norm=1.0,
        embeddings=embeddings,
        n_radial_base=bonds.shape[2],
        n_radial_max=bonds.shape[0],
        l_max=bonds.shape[1] - 1,
        bonds=bonds.read(),
        inner=bonds.inner(),
        spline_bins=bins,
        species_weights=np.ones((n, bonds.shape[0])),
        functions=tuple(f for f, _ in functions),
        products=tuple(p for _, p in functions),
    )


def _indexed(root: Fields, key: str, n: int) -> dict[int, Node]:
    """Entries of a map whose keys are indices of elements."""
    part = root.within(key)
    out = {}
    for name, node in part.map.items():
        if not (isinstance(name, str) and name.isascii() and name.isdigit() and int(name[:9]) < n):
            part.document.fail(f"{key}: key {name!r:.60}; expected an index of an element, 0 to {n - 1}", node.at)  # fmt: skip
        if int(name) in out:
            part.document.fail(f"{key}: element {int(name)} is given twice", node.at)
        out[int(name)] = node
    return out


def by_element(root: Fields, key: str, n: int) -> list[list[Node]]:
    """Lists of a map whose keys are indices of elements, last entry first; an element without one has an empty one.

    Who takes the entries with ``pop`` lets their memory go.
    """
    found = _indexed(root, key, n)
    out: list[list[Node]] = [[] for _ in range(n)]
    for e, node in found.items():
        entries = [] if node.value is None else node.value
        if not isinstance(entries, list) and (not isinstance(entries, array) or len(entries)):
            root.document.fail(f"{key} of element {e}: {told(node)}; expected a list of functions", node.at)  # fmt: skip
        node.value = None
        out[e] = list(entries)[::-1]
    return out


def _embeddings(root: Fields, n: int) -> tuple[AceEmbedding, ...]:
    found = _indexed(root, "embeddings", n)
    for e in range(n):
        if e not in found:
            root.fail("embeddings", f"nothing for element {e}; expected all of 0 to {n - 1}")
    return tuple(
        _embedding(Fields(root.document, found[e], f"embeddings of element {e}")) for e in range(n)
    )


def _embedding(part: Fields) -> AceEmbedding:
    n_density = part.integer("ndensity", 1, MAX_DENSITIES)
    return embedding(
        part.text("npoti"),
        part.reals("FS_parameters", 2 * n_density, "w and m for each density"),
        (part.real("rho_core_cutoff"), part.real("drho_core_cutoff", 0.0)),
        lambda message: part.refuse("npoti", message),
        lambda message: part.fail("FS_parameters", message),
    )


def radial_basis(name: str, refuse: Any) -> Any:
    """A name as the model has it; `refuse` takes a message."""
    if name.startswith("ACE.jl"):
        refuse(
            f"radial functions {name[:40]!r} of ACE.jl (Julia); they are not evaluated: mdkern reads the potentials of pacemaker"
        )
    if name == "TEST_SBessel":
        return "SBessel"
    if name.startswith("TEST_"):
        return "zero"
    if name not in BASES:
        refuse(f"radial basis {name[:40]!r}; mdkern evaluates {', '.join(BASES)}")
    return name


class _Bonds:
    """Radial functions of all ordered pairs: sizes first, numbers then."""

    def __init__(self, root: Fields, n: int) -> None:
        self.root = root
        part = root.within("bonds")
        self.pairs: dict[tuple[int, int], Fields] = {}
        for key, node in part.map.items():
            pair = key
            if isinstance(key, str):  # quoted: "[0, 1]"
                words = key.strip("[] ").replace(",", " ").split()
                pair = tuple(int(w) for w in words if w.isascii() and w.isdigit() and len(w) < 9)
            if len(pair) != 2 or not all(0 <= e < n for e in pair):
                part.document.fail(
                    f"bonds: key {key!r:.60}; expected a pair of elements, each 0 to {n - 1}",
                    node.at,
                )
            if pair in self.pairs:
                part.document.fail(f"bonds: {list(pair)} is given twice", node.at)
            self.pairs[pair] = Fields(root.document, node, f"bonds of {list(pair)}")
        for pair in ((a, b) for a in range(n) for b in range(n)):
            if pair not in self.pairs:
                root.fail("bonds", f"nothing for {list(pair)}; expected all ordered pairs")
        sizes = [self.size(bond) for bond in self.pairs.values()]
        self.shape: tuple[int, int, int] = tuple(max(column) for column in zip(*sizes, strict=True))
        check_size(len(self.pairs), self.shape, lambda message: root.fail("bonds", message))
        self.limits = Limits(n, self.shape[2], self.shape[0], self.shape[1] - 1)

    @staticmethod
    def size(bond: Fields) -> tuple[int, int, int]:
        # The basis first: files of other programs have other keys for the rest.
        radial_basis(bond.text("radbasename"), lambda message: bond.refuse("radbasename", message))
        return (
            bond.integer("nradmax", 0, MAX_RADIAL),
            bond.integer("lmax", 0, MAX_L) + 1,
            bond.integer("nradbasemax", 0, MAX_RADIAL),
        )

    def inner(self) -> Any:
        """One setting for all: that of the last pair of elements, wherever the file has it, as in the reference."""
        inner = "density"
        for _, bond in sorted(self.pairs.items()):
            inner = bond.text("inner_cutoff_type", "density")
            if inner not in _INNER:
                bond.refuse("inner_cutoff_type", f"{inner[:40]!r}; mdkern evaluates {', '.join(_INNER)}")  # fmt: skip
        return inner

    def read(self) -> dict[tuple[int, int], AceBond]:
        inner = self.inner()
        return {pair: self.bond(bond, inner) for pair, bond in sorted(self.pairs.items())}

    def bond(self, part: Fields, inner: str) -> AceBond:
        basis = radial_basis(
            part.text("radbasename"), lambda message: part.refuse("radbasename", message)
        )
        parameters = part.reals("radparameters") if "radparameters" in part else np.zeros(0)
        parameter = float(parameters[0]) if len(parameters) else 0.0
        if basis in ("ChebExpCos", "ChebPow") and not 0 < parameter <= 100:
            part.fail("radparameters", f"lambda {parameter:g}; expected more than 0 and at most 100, as {basis} has it")  # fmt: skip
        cutoff = part.real("rcut", 1e-3, MAX_CUTOFF)
        dcut = part.real("dcut", 0.0, MAX_CUTOFF, default=0.0)
        prehc = part.real("prehc", default=0.0)
        lambdahc = part.real("lambdahc", default=0.0)
        r_in = part.real("rcut_in", 0.0, MAX_CUTOFF, default=0.0)
        d_in = part.real("dcut_in", 0.0, MAX_CUTOFF, default=0.0)
        if inner == "zbl":
            if d_in == 0:
                part.fail("dcut_in", "0 with inner_cutoff_type zbl; expected the width in which ZBL takes over")  # fmt: skip
            if not 0 < dcut < cutoff:
                part.fail(
                    "dcut",
                    f"{dcut:g} with inner_cutoff_type zbl; expected the width in which ZBL is switched off, less than rcut",
                )
        return AceBond(
            basis=basis,
            parameter=parameter,
            coefficients=self.coefficients(part),
            cutoff=cutoff,
            dcut=dcut,
            prehc=prehc if inner == "zbl" else abs(prehc),
            lambdahc=abs(lambdahc),
            r_in=r_in,
            d_in=d_in,
        )

    def coefficients(self, part: Fields) -> Array:
        """radcoefficients[n][l][k], the rest 0."""
        key = "radcoefficients"
        shape = self.size(part)
        out = np.zeros(self.shape)
        if not shape[0]:
            return out

        def fail(node: Node, what: str, count: int) -> NoReturn:
            part.fail(key, f"{told(node)}; expected {what}: {count}", node.at)

        rows = array("d")
        top = part.get(key)
        by_n = top.value
        if not isinstance(by_n, list) or len(by_n) != shape[0]:
            fail(top, "one for each n, nradmax", shape[0])
        for node in by_n:
            if not isinstance(node.value, list) or len(node.value) != shape[1]:
                fail(node, "one for each l, lmax + 1", shape[1])
            for leaf in node.value:
                values = flat(leaf)
                if values is None or len(values) != shape[2]:
                    fail(leaf, "one number for each k, nradbasemax", shape[2])
                rows.extend(values)
        table = np.frombuffer(rows).reshape(shape)
        if not (np.abs(table) <= 1e30).all():
            part.fail(key, "a number that is not finite")
        out[: shape[0], : shape[1], : shape[2]] = table
        return out


def _functions(root: Fields, limits: Limits, embeddings: tuple[AceEmbedding, ...]) -> list[Any]:
    document = root.document
    found = by_element(root, "functions", limits.n_elements)
    out = []
    for e, of_element in enumerate(embeddings):
        name = f"functions of element {e}"
        n_density = len(of_element.weights)

        def fail(message: str, at: int, name: str = name) -> NoReturn:
            document.fail(f"{name}, {message}", at)

        functions = FunctionList("ace", n_density, limits, _NAMES, fail)
        while found[e]:
            _function(Fields(document, found[e].pop(), name), e, n_density, functions)
        out.append(functions.finish())
    return out


def _function(part: Fields, e: int, n_density: int, functions: FunctionList) -> None:
    rank = part.integer("rank", 1, MAX_RANK)
    if "mu0" in part:
        part.integer("mu0", e, e)
    mine = part.integer("ndensity", 1, MAX_DENSITIES)
    if mine > n_density:
        part.fail("ndensity", f"{mine}; expected at most {n_density}, as the embedding of the element has")  # fmt: skip
    ms = part.numbers("ms_combs")
    count = part.integer("num_ms_combs", 1, max(1, len(ms)))
    if count * rank != len(ms):
        part.fail("ms_combs", f"{len(ms)} numbers; expected {count * rank}, num_ms_combs times rank")  # fmt: skip
    couplings: Any = part.numbers("ctildes", count * mine, "num_ms_combs times ndensity")
    if mine < n_density:  # the other densities have none
        wide = np.zeros((count, n_density))
        wide[:, :mine] = np.frombuffer(couplings).reshape(count, mine)
        couplings = array("d", wide.ravel())
    functions.add(
        part.node.at,
        rank,
        part.numbers("mus"),
        part.numbers("ns"),
        part.numbers("ls"),
        ms,
        couplings,
        (),
    )
