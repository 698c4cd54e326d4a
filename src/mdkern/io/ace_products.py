"""Functions of the atomic cluster expansion: checked as they are read, then merged into distinct products of A."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from mdkern.io.ace_model import AceFunction, AceGroup, AceProducts, Array, Indices

__all__ = ["MAX_DENSITIES", "MAX_RANK", "FunctionList", "Limits"]

MAX_RANK = 12
MAX_DENSITIES = 64
MAX_MAGNITUDE = 1e30

Numbers = Sequence[float]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Limits:
    """Numbers of elements and of n from 1, for rank 1 and for the others, and the largest l."""

    n_elements: int
    n_rank1: int
    n_radial: int
    l_max: int


class FunctionList:
    """Functions of one central element in the order of the file.

    Parameters
    ----------
    kind : {"ace", "grace"}
    n_density : int
    limits : Limits
    names : dict
        What the file calls "mus", "ns", "ls", "ms" and "couplings" and "coefficients", for messages.
    fail : callable
        Takes a message and the place in the file, and raises.
    """

    def __init__(
        self,
        kind: Literal["ace", "grace"],
        n_density: int,
        limits: Limits,
        names: dict[str, str],
        fail: Callable[[str, int], NoReturn],
    ) -> None:
        self.kind = kind
        self.n_density = n_density
        self.limits = limits
        self.names = names
        self.fail = fail
        self.order: list[tuple[int, int]] = []  # rank, index among the functions of that rank
        self.ranks: dict[int, _Rank] = {}

    def add(
        self,
        at: int,
        rank: int,
        mus: Numbers,
        ns: Numbers,
        ls: Numbers,
        ms: Numbers,
        couplings: Numbers,
        coefficients: Numbers,
    ) -> None:
        """One more function; `ms` and `couplings` are flat, one row for each term, `coefficients` are those of GRACE/FS."""
        n_terms, rest = divmod(len(ms), rank)
        wide = self.n_density if self.kind == "ace" else 1
        for key, values in (("mus", mus), ("ns", ns), ("ls", ls)):
            if len(values) != rank:
                self.fail(
                    f"{self.names[key]}: {len(values)} numbers; expected {rank}, as many as the rank", at
                )  # fmt: skip
        if rest or not n_terms:
            self.fail(f"{self.names['ms']}: {len(ms)} numbers; expected a multiple of the rank, {rank}", at)  # fmt: skip
        if len(couplings) != n_terms * wide:
            each = "density" if self.kind == "ace" else "term"
            self.fail(
                f"{self.names['couplings']}: {len(couplings)} numbers; expected {n_terms * wide}, "
                f"for {n_terms} terms one for each {each}",
                at,
            )
        if self.kind == "grace" and len(coefficients) != self.n_density:
            self.fail(
                f"{self.names['coefficients']}: {len(coefficients)} numbers; expected {self.n_density}, one for each density",
                at,
            )
        table = self.ranks.setdefault(rank, _Rank())
        self.order.append((rank, len(table.at)))
        table.at.append(at)
        table.counts.append(n_terms)
        for mine, values in zip(
            (table.mus, table.ns, table.ls, table.ms, table.couplings, table.coefficients),
            (mus, ns, ls, ms, couplings, coefficients),
            strict=True,
        ):
            mine.extend(values)

    def finish(self) -> tuple[tuple[AceFunction, ...], AceProducts]:
        """The functions, and the same as products."""
        found = {
            rank: _Checked(self, rank, self.ranks.pop(rank)).functions()
            for rank in sorted(self.ranks)
        }
        functions = tuple(found[rank][k] for rank, k in self.order)
        return functions, merged(self.kind, self.n_density, found)


class _Rank:
    """Flat numbers of all functions of one rank."""

    def __init__(self) -> None:
        self.at: list[int] = []
        self.counts: list[int] = []
        self.mus, self.ns, self.ls, self.ms = array("d"), array("d"), array("d"), array("d")
        self.couplings, self.coefficients = array("d"), array("d")


class _Checked:
    """The numbers of one rank as arrays: all are whole and in their range, or the first function where not is named."""

    def __init__(self, owner: FunctionList, rank: int, table: _Rank) -> None:
        self.owner, self.rank, self.at = owner, rank, table.at
        self.counts = np.array(table.counts)
        limits, kind = owner.limits, owner.kind
        alone = rank == 1 and kind == "ace"
        one = np.ones_like(self.counts)
        n_most = limits.n_rank1 if alone else limits.n_radial
        self.mus = self.whole(table.mus, "mus", 0, limits.n_elements - 1, one)
        self.ns = self.whole(table.ns, "ns", 1, n_most, one) - 1
        self.ls = self.whole(table.ls, "ls", 0, 0 if alone else limits.l_max, one)
        l = np.repeat(self.ls, self.counts, axis=0)
        self.ms = self.whole(table.ms, "ms", -l, l, self.counts)
        wide = owner.n_density if kind == "ace" else 1
        self.couplings = self.real(table.couplings, "couplings", wide, self.counts)
        if kind == "ace":
            self.coefficients = np.ones((len(self.at), owner.n_density))
        else:
            self.couplings = self.couplings[:, 0]
            self.coefficients = self.real(table.coefficients, "coefficients", owner.n_density, one)

    def whole(self, values: array[float], key: str, low: Any, high: Any, counts: Whole) -> Indices:
        x = np.frombuffer(values).reshape(-1, self.rank)
        bad = ~((x >= low) & (x <= high) & (x == np.rint(x)))
        if bad.any():
            row, column = np.argwhere(bad)[0]
            low, high = (int(np.broadcast_to(y, x.shape)[row, column]) for y in (low, high))
            self.blame(row, counts, key, x[row, column], f"an integer from {low} to {high}")
        return np.asarray(x, np.int32)

    def real(self, values: array[float], key: str, wide: int, counts: Whole) -> Array:
        x = np.frombuffer(values).reshape(-1, wide).copy()
        bad = ~(np.abs(x) <= MAX_MAGNITUDE)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            self.blame(row, counts, key, x[row, column], "a finite number")
        return np.asarray(x)

    def blame(self, row: int, counts: Whole, key: str, value: float, expected: str) -> NoReturn:
        function = int(np.searchsorted(np.cumsum(counts), row, side="right"))
        name = self.owner.names[key]
        self.owner.fail(f"{name}: {value:g}; expected {expected}", self.at[function])

    def functions(self) -> list[AceFunction]:
        ends = np.cumsum(self.counts).tolist()
        starts = [0, *ends[:-1]]
        return [
            AceFunction(
                mus=self.mus[k],
                ns=self.ns[k],
                ls=self.ls[k],
                ms=self.ms[start:end],
                couplings=self.couplings[start:end],
                coefficients=self.coefficients[k],
            )
            for k, (start, end) in enumerate(zip(starts, ends, strict=True))
        ]


def merged(
    kind: Literal["ace", "grace"], n_density: int, by_rank: dict[int, list[AceFunction]]
) -> AceProducts:
    """Equal products once, with the sum of their coefficients; those whose coefficients are all 0 are left out."""
    rows: dict[int, Whole] = {}
    values: dict[int, Array] = {}
    rank1 = np.zeros((0, 2), np.int32)
    rank1_coefficients = np.zeros((0, n_density))
    for rank, functions in by_rank.items():
        counts = np.array([len(f.ms) for f in functions])
        base = np.stack([_code(f.mus, f.ns, f.ls) for f in functions])
        m = np.concatenate([f.ms for f in functions])
        if kind == "ace":
            c = np.concatenate([f.couplings for f in functions])
        else:
            c = np.concatenate([np.outer(f.couplings, f.coefficients) for f in functions])
        codes = np.repeat(base, counts, axis=0)
        if kind == "ace" and rank == 1:
            codes, rank1_coefficients = _summed(codes, c)
            rank1 = _decoded(codes[:, 0])[:, :2]
            continue
        if kind == "ace":
            codes, c = _one_of_mirrors(codes, m, c)
        else:
            codes = np.sort(codes + m, axis=1)
        codes, sums = _summed(codes, c)
        if len(codes):
            rows[rank], values[rank] = codes, sums
    used = np.unique(np.concatenate([codes.ravel() for codes in rows.values()])) if rows else np.zeros(0, np.int64)  # fmt: skip
    return AceProducts(
        rank1=rank1,
        rank1_coefficients=rank1_coefficients,
        a_index=_decoded(used),
        terms={rank: np.searchsorted(used, codes).astype(np.int32) for rank, codes in rows.items()},
        coefficients=values,
        groups=_groups(by_rank) if kind == "grace" else (),
    )


# 16 bits for each of mu, n, l and m, which is added: integers ascend as (mu, n, l, m) do.
_M = 1 << 15


def _code(mus: Any, ns: Any, ls: Any) -> Whole:
    mu, n, l = (np.asarray(x, dtype=np.int64) for x in (mus, ns, ls))
    return np.asarray(((mu << 16 | n) << 16 | l) << 16 | _M)


def _decoded(codes: Whole) -> Indices:
    low = 0xFFFF
    parts = [codes >> 48, codes >> 32 & low, codes >> 16 & low, (codes & low) - _M]
    return np.stack(parts, axis=1).astype(np.int32)


def _one_of_mirrors(base: Whole, m: Indices, c: Array) -> tuple[Whole, Array]:
    """Rows, or the greater of a row and its mirror: Re prod A_-m = (-1)^(sum of m) Re prod A_m."""
    codes, other = np.sort(base + m, axis=1), np.sort(base - m, axis=1)
    first = np.argmax(codes != other, axis=1)[:, None]
    turn = (np.take_along_axis(other, first, 1) > np.take_along_axis(codes, first, 1))[:, 0]
    sign = np.where(turn & (m.sum(axis=1) % 2 == 1), -1.0, 1.0)
    codes[turn] = other[turn]
    return codes, c * sign[:, None]


def _summed(codes: Whole, c: Array) -> tuple[Whole, Array]:
    """Distinct rows, ascending, and the sums of what belongs to equal ones; rows whose sums are all 0 are left out."""
    order = np.lexsort(codes.T[::-1])
    ascending = codes[order]
    new = np.ones(len(codes), dtype=bool)
    new[1:] = (ascending[1:] != ascending[:-1]).any(axis=1)
    distinct = ascending[new]
    where = np.empty(len(codes), dtype=np.int64)
    where[order] = np.cumsum(new) - 1
    sums = np.stack([np.bincount(where, x, len(distinct)) for x in c.T], axis=1)
    kept = (sums != 0).any(axis=1)
    return distinct[kept], sums[kept]


def _groups(by_rank: dict[int, list[AceFunction]]) -> tuple[AceGroup, ...]:
    """Functions of equal monomials and couplings; of one n that has several of them the coefficients are added."""
    known: dict[
        tuple[bytes, ...], tuple[Whole, Array]
    ] = {}  # most functions have the lists of others
    found: dict[tuple[int, bytes, bytes], tuple[Whole, Array, dict[int, Array]]] = {}
    for rank, functions in by_rank.items():
        for f in functions:
            raw = f.ls.tobytes(), f.ms.tobytes(), f.couplings.tobytes()
            if raw not in known:
                known[raw] = _monomials(f)
            codes, couplings = known[raw]
            key = rank, codes.tobytes(), couplings.tobytes()
            by_n = found.setdefault(key, (codes, couplings, {}))[2]
            n = int(f.ns[0])
            by_n[n] = by_n[n] + f.coefficients if n in by_n else f.coefficients
    out = []
    for (rank, _, _), (codes, couplings, by_n) in found.items():
        if not len(codes):
            continue
        ns = sorted(by_n)
        out.append(
            AceGroup(
                ns=np.array(ns, np.int32),
                lm=_decoded(codes.reshape(-1))[:, 2:].reshape(-1, rank, 2),
                couplings=couplings,
                coefficients=np.stack([by_n[n] for n in ns]),
            )
        )
    return tuple(out)


def _monomials(f: AceFunction) -> tuple[Whole, Array]:
    """Codes of the factors without n, each monomial once, and the sums of its couplings."""
    codes = np.sort(_code(0, 0, f.ls) + f.ms, axis=1)
    codes, couplings = _summed(codes, f.couplings[:, None])
    return codes, couplings[:, 0]
