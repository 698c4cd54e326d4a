"""Calculators of ASE by turns: the same frame, an evaluation each, results compared before time is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from ase import Atoms

from mdkern.bench.interleave import Turns

__all__ = ["deviations", "evaluation", "take_turns"]


def evaluation(
    atoms: Atoms,
    calc: Any,
    clock: Callable[[], float] = time.perf_counter,
    sample: float = 0.0,
) -> Callable[[], float]:
    """A call that moves an atom by little, asks for energy, forces and stress, and returns its seconds by `clock`.

    It repeats that for `sample` seconds and returns the mean: as in a run of dynamics, the caches are then its own.
    """
    atoms = atoms.copy()
    atoms.calc = calc
    rng = np.random.default_rng(0)

    def call() -> float:
        seconds, n = 0.0, 0
        while n == 0 or seconds < sample:
            atoms.positions[0] += rng.normal(size=3) * 1e-6
            begin = clock()
            atoms.get_potential_energy()
            atoms.get_forces()
            atoms.get_stress()
            seconds += clock() - begin
            n += 1
        return seconds / n

    return call


def deviations(atoms: Atoms, ways: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Of each way from the first: energy in eV per atom, and the largest of forces relative to the largest force."""
    results = {}
    for name, calc in ways.items():
        frame = atoms.copy()
        frame.calc = calc
        results[name] = frame.get_potential_energy(), frame.get_forces()
    (energy, forces), *_ = results.values()
    return {
        name: (
            float(abs(e - energy) / len(atoms)),
            float(np.abs(f - forces).max() / np.abs(forces).max()),
        )
        for name, (e, f) in results.items()
    }


def take_turns(calls: Mapping[str, Callable[[], float]], rounds: int) -> Turns:
    """Calls that return their seconds, one of each in every round, after one that is not counted."""
    for call in calls.values():
        call()
    seconds = {name: np.empty(rounds) for name in calls}
    for k in range(rounds):
        for name, call in calls.items():
            seconds[name][k] = call()
    return Turns(seconds)
