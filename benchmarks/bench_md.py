"""Steps of velocity Verlet: the native loop, ASE's loop and NumPy's, all with our potential."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from ase import units
from ase.md.verlet import VelocityVerlet as AseVerlet
from ways import Way, quick, ratio_info, time_by_turns

import mdkern
from mdkern import md, reference
from mdkern.bench.interleave import Turns, interleave
from mdkern.bench.systems import ARGON, make
from mdkern.calculators import LennardJones

SYSTEMS = ("argon-108",) if quick() else ("argon-108", "argon-4000", "argon-32000")
WAYS = ("native", "ase", "numpy")
TIMESTEP = 5 * units.fs


def steps(system: str) -> int:
    return 10 if quick() else max(10, 200_000 // len(make(system).atoms))


@cache
def runs(system: str) -> dict[str, Any]:
    """Functions that take some steps from the same start and return the positions."""
    start = make(system).atoms
    rng = np.random.default_rng(7)
    width = np.sqrt(start.get_masses()[:, None] * units.kB * 240)
    momenta = width * rng.normal(size=(len(start), 3))
    n = steps(system)

    def with_loop(kind: Any) -> Any:
        atoms = start.copy()
        atoms.set_momenta(momenta)
        atoms.calc = LennardJones(**ARGON, skin=0.8, threads=1)
        dynamics = kind(atoms, TIMESTEP)

        def run() -> Any:
            atoms.positions, atoms.arrays["momenta"][...] = start.positions, momenta
            dynamics.run(n)
            return atoms.positions.copy()

        return run

    atoms = start.copy()
    atoms.calc = LennardJones(**ARGON, skin=0.8, threads=1)

    def forces(r: Any) -> Any:
        atoms.positions = r
        return atoms.get_forces()

    def numpy() -> Any:
        arguments = (start.positions, momenta, start.get_masses(), forces, TIMESTEP, n)
        return reference.velocity_verlet(*arguments)[0]

    return {"native": with_loop(md.VelocityVerlet), "ase": with_loop(AseVerlet), "numpy": numpy}


@cache
def turns(system: str) -> Turns:
    return interleave(runs(system), rounds=3 if quick() else 15, budget=15.0)


@pytest.mark.parametrize("by", WAYS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_velocity_verlet(benchmark: Any, system: str, by: str) -> None:
    calls = runs(system)
    assert np.abs(calls[by]() - calls["numpy"]()).max() <= 1e-9
    benchmark.group = f"velocity Verlet, {system}, {steps(system)} steps"
    benchmark.extra_info.update(n_atoms=len(make(system).atoms), steps=steps(system))
    way = Way(by, mdkern.get_isa(), 1)
    if found := time_by_turns(benchmark, calls, by, partial(turns, system), way):
        benchmark.extra_info["over_native"] = ratio_info(found, by, "native")
