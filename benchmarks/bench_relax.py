"""Relaxations with all of the cell: a set of crystals by `mdkern.relax`, and by ASE's loop in NumPy and SciPy with our calculator."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from ways import Way, quick, ratio_info, time_by_turns

import mdkern
from mdkern.bench.crystals import CLOSE_PACKED, crystals
from mdkern.bench.interleave import Turns, interleave
from mdkern.bench.relax_check import by_ase
from mdkern.calculators import EAM

ELEMENTS = ("Cu", "Ni", "Al", "Pd")
WAYS = ("native-1", "native-2", "ase")
FMAX, STEPS = 0.01, 10 if quick() else 500


@cache
def frames(n_atoms: int) -> list[Any]:
    kinds = [kind for kind in CLOSE_PACKED if kind != "hcp"]
    n = 1 if quick() else 20
    return crystals(n, ELEMENTS, kinds=kinds, atoms=(n_atoms, n_atoms), seed=n_atoms)


@cache
def runs(n_atoms: int) -> dict[str, Any]:
    """Functions that relax the set and return the positions of all."""
    calc = EAM.zhou2004(ELEMENTS, threads=1)

    def native(threads: int) -> Any:
        done = mdkern.relax(
            frames(n_atoms), calc, fmax=FMAX, steps=STEPS, threads=threads, on_error="raise"
        )
        return np.concatenate([atoms.positions for atoms in done])

    def ase() -> Any:
        found = []
        for frame in frames(n_atoms):
            atoms = frame.copy()
            atoms.calc = calc
            by_ase(atoms).run(FMAX, STEPS)
            found.append(atoms.positions)
        return np.concatenate(found)

    return {"native-1": partial(native, 1), "native-2": partial(native, 2), "ase": ase}


@cache
def expected(n_atoms: int) -> Any:
    """ASE's result."""
    return runs(n_atoms)["ase"]()


@cache
def turns(n_atoms: int) -> Turns:
    return interleave(runs(n_atoms), rounds=3, budget=1.0 if quick() else 30.0)


@pytest.mark.filterwarnings("ignore:logm result may be inaccurate")
@pytest.mark.parametrize("by", WAYS)
@pytest.mark.parametrize("n_atoms", [16] if quick() else [4, 16, 48])
def test_relaxation(benchmark: Any, n_atoms: int, by: str) -> None:
    calls = runs(n_atoms)
    if by != "ase":
        assert np.abs(calls[by]() - expected(n_atoms)).max() <= 1e-6
    benchmark.group = (
        f"relaxation with the cell, {len(frames(n_atoms))} crystals of {n_atoms} atoms"
    )
    benchmark.extra_info.update(n_atoms=n_atoms, structures=len(frames(n_atoms)))
    way = Way(by, mdkern.get_isa(), 2 if by == "native-2" else 1)
    if found := time_by_turns(benchmark, calls, by, partial(turns, n_atoms), way):
        benchmark.extra_info["over_native"] = ratio_info(found, by, "native-1")
