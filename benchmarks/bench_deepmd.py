"""Deep Potential with random models: the standard size on a ready list, and every kind of descriptor."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from ways import quick

from mdkern import reference
from mdkern.bench.deepmd_models import random_deepmd
from mdkern.bench.scratch import scratch_folder
from mdkern.bench.systems import make
from mdkern.calculators import DeepPotential

# The net of three bodies is evaluated for every pair of neighbors.
SMALLER: dict[str, Any] = {"r_cut": 4.0, "sel": (16, 30), "neuron": (4, 8, 16)}
KINDS = ("se_e2_a", "se_e2_r", "se_e3", "dpa1_strip", "dpa1_concat", "dpa1_attention")


@pytest.mark.kernel("deep_potential")
def test_deep_potential(timed: Any, system: str, way: Any) -> None:
    timed("deep_potential", system, way)


@pytest.mark.kernel("deep_potential_single")
def test_deep_potential_single(timed: Any, system: str, way: Any) -> None:
    timed("deep_potential_single", system, way)


@cache
def calculator(kind: str) -> DeepPotential:
    size: dict[str, Any] = (
        {"neuron": (4, 8), "axis_neuron": 4, "fitting": (16, 16)} if quick() else {}
    )
    size |= SMALLER if kind == "se_e3" else {}
    path = random_deepmd(scratch_folder() / f"{kind}.json", kind=kind, **size)
    return DeepPotential(path, threads=1)


@pytest.mark.parametrize("by", ["mdkern", "numpy"])
@pytest.mark.parametrize("kind", KINDS)
def test_kinds(benchmark: Any, kind: str, by: str) -> None:
    """Forces through ASE after a small move, and the definition in NumPy."""
    atoms, calc = make("water-375").atoms.copy(), calculator(kind)
    atoms = atoms[:24] if quick() else atoms
    model = calc.potential.model
    numbers = [model.species.index(x) for x in atoms.get_chemical_symbols()]

    def ours() -> Any:
        atoms.positions[0, 0] += 1e-6
        return calc.get_forces(atoms)

    def numpy() -> Any:
        return reference.deepmd(atoms.positions, atoms.cell, atoms.pbc, numbers, model).forces

    difference = np.abs(ours() - numpy()).max()
    assert difference <= 1e-9 * np.abs(ours()).max()
    benchmark.group = f"Deep Potential, {kind}, {len(atoms)} atoms"
    benchmark.pedantic(ours if by == "mdkern" else numpy, rounds=5 if by == "mdkern" else 1)
