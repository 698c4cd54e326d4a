"""Energies, forces and stresses of many frames: `mdkern.evaluate`, ASE's loop over frames, NumPy's."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.stress import full_3x3_to_voigt_6_stress
from ways import Way, quick, ratio_info, thread_counts, time_by_turns

import mdkern
from mdkern import reference
from mdkern.bench.interleave import Turns, interleave
from mdkern.bench.systems import ARGON
from mdkern.calculators import LennardJones

SIZES = (32,) if quick() else (4, 32, 256)
WAYS = (*(f"evaluate-{n}" for n in thread_counts()), "ase", "numpy")
PROPERTIES = ("energy", "forces", "stress")


@cache
def frames(n_atoms: int) -> list[Any]:
    """Rattled cells of argon, as a training set has them."""
    cell = bulk("Ar", a=5.3, cubic=True).repeat(round((n_atoms / 4) ** (1 / 3)))
    found = []
    for k in range(8 if quick() else 200):
        frame = cell.copy()
        frame.rattle(0.2, seed=k)
        found.append(frame)
    assert len(cell) == n_atoms
    return found


@cache
def runs(n_atoms: int) -> dict[str, Callable[[], Any]]:
    """Functions that return the properties of all frames."""
    given = frames(n_atoms)
    calculator = LennardJones(**ARGON, threads=1)

    def evaluate(threads: int) -> Any:
        results = mdkern.evaluate(given, calculator, PROPERTIES, threads=threads)
        return [tuple(r[name] for name in PROPERTIES) for r in results]

    def ase() -> Any:
        results = []
        for frame in given:
            frame.calc = calculator
            energy, forces = frame.get_potential_energy(), frame.get_forces()
            results.append((energy, forces, frame.get_stress()))
            frame.calc = None
        return results

    def numpy() -> Any:
        results = []
        for frame in given:
            arrays = (frame.positions, frame.cell.array, frame.pbc, np.zeros(n_atoms, dtype=int))
            r = reference.lennard_jones(*arrays, ARGON["epsilon"], ARGON["sigma"], ARGON["rc"])
            stress = full_3x3_to_voigt_6_stress(r.virial) / -frame.get_volume()
            results.append((r.energy, r.forces, stress))
        return results

    ours = {f"evaluate-{n}": partial(evaluate, n) for n in thread_counts()}
    return {**ours, "ase": ase, "numpy": numpy}


@cache
def turns(n_atoms: int) -> Turns:
    return interleave(runs(n_atoms), rounds=3 if quick() else 15, budget=15.0)


@pytest.mark.parametrize("by", WAYS)
@pytest.mark.parametrize("n_atoms", SIZES)
def test_evaluate(benchmark: Any, n_atoms: int, by: str) -> None:
    calls = runs(n_atoms)
    for one, other in zip(calls[by](), calls["numpy"](), strict=True):
        for x, y in zip(one, other, strict=True):
            assert np.abs(x - y).max() <= 1e-11
    benchmark.group = f"evaluate, {len(frames(n_atoms))} frames of {n_atoms} atoms"
    way = Way(by, mdkern.get_isa(), int(by.partition("-")[2] or 1))
    benchmark.extra_info.update(n_atoms=n_atoms, frames=len(frames(n_atoms)))
    if found := time_by_turns(benchmark, calls, by, partial(turns, n_atoms), way):
        benchmark.extra_info["over_evaluate"] = ratio_info(found, by, "evaluate-1")
