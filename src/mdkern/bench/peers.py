"""Neighbor lists of other packages, where they are installed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from mdkern.bench.systems import System

__all__ = ["NeighborPeer", "neighbor_peers"]

_Call = Callable[[int], tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class NeighborPeer:
    """Another package's full list.

    Attributes
    ----------
    name : str
        Package, with the variant where it has several.
    version : str
    caller : function of a system
        Gives a function of the number of threads that returns (i, j, d, D, S); D is None where the
        package does not make it.
    bytes_per_pair : float
        Memory while it works, measured coarsely.
    threaded : bool
        Whether it heeds the number of threads.
    """

    name: str
    version: str
    caller: Callable[[System], _Call]
    bytes_per_pair: float
    threaded: bool = False


@cache
def neighbor_peers() -> tuple[NeighborPeer, ...]:
    """All that can be imported."""
    found = []
    for package, name, caller, size, threaded in (
        ("ase", "ase", _ase, 1100.0, False),
        ("matscipy", "matscipy", _matscipy, 200.0, False),
        ("vesin", "vesin", _vesin_sorted, 300.0, True),
        ("vesin", "vesin unsorted", _vesin_unsorted, 300.0, True),
        ("pymatgen-core", "pymatgen", _pymatgen, 300.0, False),
    ):
        try:
            found.append(NeighborPeer(name, version(package), caller, size, threaded))
        except PackageNotFoundError:
            continue
    return tuple(found)


def _function(module: str, name: str) -> Any:
    """By name: these packages are optional and mostly without types."""
    return getattr(import_module(module), name)


def _ase(system: System) -> _Call:
    search = _function("ase.neighborlist", "neighbor_list")
    return lambda _threads: search("ijdDS", system.atoms, system.cutoff)


def _matscipy(system: System) -> _Call:
    search = _function("matscipy.neighbours", "neighbour_list")
    return lambda _threads: search("ijdDS", system.atoms, system.cutoff)


def _vesin(system: System, in_order: bool) -> _Call:
    new = _function("vesin", "NeighborList")
    positions, cell, pbc = system.arrays

    def call(threads: int) -> tuple[Any, ...]:
        search = new(cutoff=system.cutoff, full_list=True, sorted=in_order, n_threads=threads)
        return tuple(search.compute(positions, cell, pbc, "ijdDS"))

    return call


def _vesin_sorted(system: System) -> _Call:
    """Sorted by i, as ASE's and ours are."""
    return _vesin(system, True)


def _vesin_unsorted(system: System) -> _Call:
    """In the order in which pairs are found: less work than what the others do."""
    return _vesin(system, False)


def _pymatgen(system: System) -> _Call:
    """Without D, which it does not make: less work than what the others do."""
    search = _function("pymatgen.optimization.neighbors", "find_points_in_spheres")
    positions, cell, pbc = system.arrays
    periodic = np.ascontiguousarray(pbc, dtype=np.int64)

    def call(threads: int) -> tuple[Any, ...]:
        del threads
        i, j, S, d = search(
            positions, positions, system.cutoff, pbc=periodic, lattice=cell, tol=1e-8
        )
        other = (i != j) | S.any(axis=1)  # it also returns every atom as its own neighbor
        return i[other], j[other], d[other], None, S[other].astype(np.int64)

    return call
