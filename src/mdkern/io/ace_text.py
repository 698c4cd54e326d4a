"""Old ``.ace`` texts: the content of a ``.yace`` of one element, as words in a fixed order."""

from __future__ import annotations

import re
from array import array
from typing import Any, NoReturn

import numpy as np

from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.ace_fields import (
    MAX_CUTOFF,
    MAX_L,
    MAX_RADIAL,
    check_embedding,
    check_size,
    check_symbols,
)
from mdkern.io.ace_model import AceBond, AceEmbedding, AceModel, Array
from mdkern.io.ace_products import MAX_DENSITIES, MAX_RANK, FunctionList, Limits
from mdkern.io.ace_yace import radial_basis
from mdkern.io.text import show

__all__ = ["read_ace_text"]

_WORD = re.compile(r"\s*(\S{1,400})")
_NUMBER = re.compile(r"[-+]?(?:\d{1,400}(?:\.\d{0,400})?|\.\d{1,400})(?:[eE][-+]?\d{1,4})?")
_HEAD = re.compile(
    r"\s*ctilde_basis_func:\s*rank\s*=\s*(\d{1,9})\s+ndens\s*=\s*(\d{1,9})\s+mu0\s*=\s*(\d{1,9})\s+mu\s*=\s*\(([\d\s]*)\)"
    r"\s*n\s*=\s*\(([\d\s]*)\)\s*l\s*=\s*\(([\d\s]*)\)\s*num_ms\s*=\s*(\d{1,9})"
)
_NAMES = {"mus": "mu", "ns": "n", "ls": "l", "ms": "ms", "couplings": "ctilde", "coefficients": ""}


def read_ace_text(data: bytes, path: str) -> AceModel:
    """The model of a text.

    Raises
    ------
    FormatError, UnsupportedError
    """
    try:
        text = data.decode("utf-8" if len(data) < 2**23 else "ascii")
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        raise FormatError("a letter that is not UTF-8 (or, in a file of more than 8 MB, not ASCII)", path, line) from None  # fmt: skip
    return _Reader(text, path).read()


class _Reader:
    def __init__(self, text: str, path: str) -> None:
        self.text = text
        self.path = path
        self.at = 0  # behind what was read
        self.last = 0  # before it

    def fail(self, message: str, at: int | None = None) -> NoReturn:
        at = self.last if at is None else at
        at += len(self.text[at : at + 4096]) - len(self.text[at : at + 4096].lstrip())
        raise FormatError(message, self.path, self.text.count("\n", 0, at) + 1)

    def refuse(self, message: str) -> NoReturn:
        line = self.text.count("\n", 0, self.at) + 1
        raise UnsupportedError(f"{self.path}:{line}: {message}")

    # --- words

    def optional(self, name: str) -> bool:
        """Whether `name` is next; it is passed then. Spaces in it stand for any spaces."""
        pattern = r"\s*" + r"\s+".join(map(re.escape, name.split()))
        pattern = re.sub(r"(\\?[=:])$", r"\\s*\1", pattern)
        match = re.compile(pattern).match(self.text, self.at)
        if match is None:
            return False
        self.last, self.at = self.at, match.end()
        return True

    def expect(self, name: str) -> None:
        if not self.optional(name):
            self.fail(f"{self.shown()}; expected {name!r}", self.at)

    def shown(self) -> str:
        match = _WORD.match(self.text, self.at)
        return show(match[1].encode()) if match else "the end of the file"

    def word(self, what: str) -> str:
        match = _WORD.match(self.text, self.at)
        if match is None:
            self.fail(f"the end of the file; expected {what}", self.at)
        self.last, self.at = self.at, match.end()
        return match[1]

    def real(self, what: str, low: float = -1e30, high: float = 1e30) -> float:
        word = self.word(what)
        if not _NUMBER.fullmatch(word) or not low <= float(word) <= high:
            self.fail(f"{what}: {show(word.encode())}; expected a number from {low:g} to {high:g}")
        return float(word)

    def integer(self, what: str, low: int, high: int) -> int:
        word = self.word(what)
        if not re.fullmatch("[0-9]{1,9}", word) or not low <= int(word) <= high:
            self.fail(f"{what}: {show(word.encode())}; expected an integer from {low} to {high}")
        return int(word)

    def reals(self, count: int, what: str) -> Array:
        """So many numbers."""
        return np.array([self.real(what) for _ in range(count)])

    # --- parts

    def read(self) -> AceModel:
        found = re.search(r"^[ \t]*nelements[ \t]*=", self.text, re.MULTILINE)
        self.at = found.start() if found else 0
        self.expect("nelements=")
        n = self.integer("nelements", 1, 10**6)
        if n != 1:
            self.refuse(
                f"nelements={n}; of .ace files those with one element are read, as the format is ambiguous beyond:"
                " save the potential as .yace (pace_yaml2yace of pacemaker)"
            )
        self.expect("elements:")
        element = self.word("a chemical symbol")
        check_symbols([element], self.fail)
        self.expect("lmax=")
        l_max = self.integer("lmax", 0, MAX_L)
        embedding = self.embedding()
        e0 = self.real("E0") if self.optional("E0:") else 0.0
        bond, bins, n_base, n_max = self.radial(l_max)
        most = []
        for name in ("rankmax=", "ndensitymax=", "num_c_tilde_max=", "num_ms_combinations_max="):
            self.expect(name)
            most.append(self.integer(name[:-1], 0, 10**9))
        functions = FunctionList(
            "ace", len(embedding.weights), Limits(1, n_base, n_max, l_max), _NAMES, self.fail
        )
        for name, ranks in (("total_basis_size_rank1:", (1, 1)), ("total_basis_size:", (2, MAX_RANK))):  # fmt: skip
            self.expect(name)
            for _ in range(self.integer(name[:-1], 0, len(self.text))):
                self.function(functions, ranks, len(embedding.weights))
        if self.text[self.at :].strip():
            self.fail(f"{self.shown()}; expected the end of the file", self.at)
        listed, products = functions.finish()
        return AceModel(
            path=self.path,
            format="ace",
            kind="ace",
            elements=(element,),
            e0=np.array([e0]),
            scale=1.0,
            shift=0.0,
            norm=1.0,
            embeddings=(embedding,),
            n_radial_base=n_base,
            n_radial_max=n_max,
            l_max=l_max,
            bonds={(0, 0): bond},
            inner="density",
            spline_bins=bins,
            species_weights=np.ones((1, n_max)),
            functions=(listed,),
            products=(products,),
        )

    def embedding(self) -> AceEmbedding:
        kind = self.word("its name") if self.optional("embedding-function:") else ""
        count = self.integer("number of FS parameters", 0, 2 * MAX_DENSITIES)
        self.expect("FS parameters:")
        parameters = self.reals(count, "FS parameters")
        if not kind:
            if not (parameters[1::2] == 1).all():
                self.fail(
                    "FS parameters with exponents other than 1; expected an embedding-function: before them"
                )
            kind = "FinnisSinclair"
        name, weights, exponents = check_embedding(kind, parameters, self.refuse, self.fail)
        self.expect("core energy-cutoff parameters:")
        cuts = self.real("rho_core_cutoff"), self.real("drho_core_cutoff")
        return AceEmbedding(name, weights, exponents, *cuts)

    def radial(self, l_max: int) -> tuple[AceBond, float, int, int]:
        self.expect("radbasename=")
        basis: Any = radial_basis(self.word("a radial basis"), self.refuse)
        self.expect("nradbase=")
        n_base = self.integer("nradbase", 0, MAX_RADIAL)
        self.expect("nradmax=")
        n_max = self.integer("nradmax", 0, MAX_RADIAL)
        check_size(1, (n_max, l_max + 1, n_base), self.fail)
        self.expect("cutoffmax=")
        self.real("cutoffmax", 0.0, MAX_CUTOFF)
        self.expect("deltaSplineBins=")
        bins = self.real("deltaSplineBins", 1e-5, 1.0)
        self.expect("core repulsion parameters:")
        prehc, lambdahc = abs(self.real("prehc")), abs(self.real("lambdahc"))
        self.expect("radparameter=")
        parameter = self.real("radparameter", 0.0, 100.0)
        if basis in ("ChebExpCos", "ChebPow") and not parameter:
            self.fail(f"radparameter: 0; expected more than 0, as {basis} has it")
        self.expect("cutoff=")
        cutoff = self.real("cutoff", 1e-3, MAX_CUTOFF)
        self.expect("dcut=")
        dcut = self.real("dcut", 0.0, cutoff)
        self.expect("crad=")
        crad = self.reals(n_base * n_max * (l_max + 1), "crad").reshape(n_base, n_max, l_max + 1)
        bond = AceBond(
            basis=basis,
            parameter=parameter,
            coefficients=np.ascontiguousarray(crad.transpose(1, 2, 0)),
            cutoff=cutoff,
            dcut=dcut,
            prehc=prehc,
            lambdahc=lambdahc,
            r_in=0.0,
            d_in=0.0,
        )
        return bond, bins, n_base, n_max

    def function(self, functions: FunctionList, ranks: tuple[int, int], n_density: int) -> None:
        match = _HEAD.match(self.text, self.at)
        if match is None:
            self.fail(
                f"{self.shown()}; expected ctilde_basis_func: rank= ndens= mu0= mu=( ) n=( ) l=( ) num_ms=",
                self.at,
            )
        begin = self.last = self.at
        rank, n_mine, mu0, n_ms = (int(match[k]) for k in (1, 2, 3, 7))
        for name, value, low, high in (("rank", rank, *ranks), ("ndens", n_mine, n_density, n_density), ("mu0", mu0, 0, 0)):  # fmt: skip
            if not low <= value <= high:
                expected = f"{low}" if low == high else f"{low} to {high}"
                self.fail(f"{name}={value}; expected {expected}")
        mu, n, l = (array("d", map(float, match[k].split())) for k in (4, 5, 6))
        ms, couplings = array("d"), array("d")
        self.at = match.end()
        for _ in range(n_ms):
            self.term(ms, couplings, rank, n_density)
        functions.add(begin, rank, mu, n, l, ms, couplings, ())

    def term(self, ms: array[float], couplings: array[float], rank: int, n_density: int) -> None:
        """``< m .. >: c ..``"""
        text, at = self.text, self.at
        close = text.find(">", at, at + 4096)
        if close < 0 or not text.startswith("<", at := at + len(text[at:close]) - len(text[at:close].lstrip())):  # fmt: skip
            self.fail(f"{self.shown()}; expected '< m .. >: ctilde ..'", self.at)
        words = text[at + 1 : close].split()
        if len(words) != rank:
            self.fail(f"{len(words)} numbers between < and >; expected {rank}, the rank", at)
        for word in words:
            if not re.fullmatch("[-+]?[0-9]{1,4}", word):
                self.fail(f"{show(word.encode())}; expected an integer m", at)
            ms.append(float(word))
        self.last, self.at = at, close + 1
        self.expect(":")
        for _ in range(n_density):
            couplings.append(self.real("ctilde"))
