"""Deep Potential with random models: the standard size on a ready list, and every kind of descriptor."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from ways import Way, quick, ratio_info, time_by_turns

import mdkern
from mdkern import reference
from mdkern.bench.deepmd_models import KINDS, random_deepmd
from mdkern.bench.interleave import Turns, interleave
from mdkern.bench.scratch import scratch_folder
from mdkern.bench.systems import make
from mdkern.calculators import DeepPotential

# The net of three bodies is evaluated for every pair of neighbors.
SMALLER: dict[str, Any] = {"r_cut": 4.0, "sel": (16, 30), "neuron": (4, 8, 16)}


@pytest.mark.kernel("deep_potential")
def test_deep_potential(timed: Any, system: str, way: Any) -> None:
    timed("deep_potential", system, way)


@pytest.mark.kernel("deep_potential_single")
def test_deep_potential_single(timed: Any, system: str, way: Any) -> None:
    timed("deep_potential_single", system, way)


@cache
def runs(kind: str) -> tuple[Any, dict[str, Any]]:
    """Atoms, and functions that return forces after a small move: through ASE, and by the definition in NumPy."""
    atoms = make("water-375").atoms.copy()
    size: dict[str, Any] = {}
    if quick():
        atoms, size = atoms[:24], {"neuron": (4, 8), "axis_neuron": 4, "fitting": (16, 16)}
    size |= SMALLER if kind == "se_e3" else {}
    path = random_deepmd(scratch_folder() / f"{kind}.json", kind=kind, **size)
    calc = DeepPotential(path, threads=1)
    model = calc.potential.model
    numbers = [model.species.index(x) for x in atoms.get_chemical_symbols()]

    def ours() -> Any:
        atoms.positions[0, 0] += 1e-9
        return calc.get_forces(atoms)

    def numpy() -> Any:
        return reference.deepmd(atoms.positions, atoms.cell, atoms.pbc, numbers, model).forces

    return atoms, {"mdkern": ours, "numpy": numpy}


@cache
def turns(kind: str) -> Turns:
    return interleave(runs(kind)[1], rounds=3 if quick() else 9, budget=20.0)


@pytest.mark.parametrize("by", ["mdkern", "numpy"])
@pytest.mark.parametrize("kind", KINDS)
def test_kinds(benchmark: Any, kind: str, by: str) -> None:
    atoms, calls = runs(kind)
    forces = calls["mdkern"]()
    assert np.abs(forces - calls["numpy"]()).max() <= 1e-9 * np.abs(forces).max()
    benchmark.group = f"Deep Potential, {kind}, {len(atoms)} atoms"
    benchmark.extra_info["n_atoms"] = len(atoms)
    way = Way(by, mdkern.get_isa(), 1)
    if found := time_by_turns(benchmark, calls, by, partial(turns, kind), way):
        benchmark.extra_info["over_mdkern"] = ratio_info(found, by, "mdkern")
