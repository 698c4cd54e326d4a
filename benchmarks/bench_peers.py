"""Whole evaluations by ASE's calculators, and pair forces per MD step by LAMMPS, if installed."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import peers
import pytest
from ways import Way, machine, quick, ratio_info, thread_counts, time_by_turns

import mdkern
from mdkern.bench.interleave import Turns, interleave
from mdkern.bench.systems import make

N_ATOMS = 4000
OURS = {f"mdkern-{n}": n for n in thread_counts()}
LAMMPS = {"lammps": "", "lammps opt": "opt", "lammps omp": "omp"}


def model_of(name: str) -> peers.Model:
    model = peers.MODELS[name]
    if not model.available():
        pytest.skip(f"no {model.file} in $MDKERN_TEST_DATA/potentials")
    return model


def way_of(by: str) -> Way:
    return Way(by, mdkern.get_isa(), OURS[by]) if by in OURS else Way(by)


@cache
def calculators(name: str) -> dict[str, Any]:
    """Evaluations that build their neighbor lists, by ASE and by ours."""
    model = model_of(name)
    atoms = make(f"{model.system}-{N_ATOMS}").atoms
    found = {"ase": peers.evaluation(atoms, peers.ase_calculator(model), 1.0)}
    for by, n in OURS.items():
        found[by] = peers.evaluation(atoms, peers.own_calculator(model, n), 1.0)
    return found


@cache
def calculator_turns(name: str) -> Turns:
    return interleave(calculators(name), rounds=3 if quick() else 15, budget=30.0)


@pytest.mark.parametrize("by", ["ase", *OURS])
@pytest.mark.parametrize("name", list(peers.MODELS))
def test_calculator(benchmark: Any, name: str, by: str) -> None:
    if quick() and name != "lennard-jones":
        pytest.skip("ASE takes seconds per call")
    model, calls = model_of(name), calculators(name)
    assert abs(calls[by]() - calls["ase"]()) <= peers.ase_tolerance(model) * N_ATOMS
    benchmark.group = f"ASE calculator, {name}, {N_ATOMS} atoms"
    benchmark.extra_info["n_atoms"] = N_ATOMS
    if turns := time_by_turns(benchmark, calls, by, partial(calculator_turns, name), way_of(by)):
        benchmark.extra_info["ase_over_this"] = ratio_info(turns, "ase", by)


def steps() -> int:
    return 10 if quick() else 100


@cache
def runs_of(name: str) -> dict[str, Any]:
    """Ours with a skin of 0.6, LAMMPS with 1 Angstrom; compare_lammps.py looks for the best."""
    model = model_of(name)
    start = peers.equilibrated(model, N_ATOMS, 50 if quick() else 500)
    potential = peers.own_potential(model)
    found: dict[str, Any] = {
        by: peers.OwnRun(potential, start, model.timestep, 0.6, n) for by, n in OURS.items()
    }
    for style, suffix in LAMMPS.items():
        try:
            found[style] = peers.LammpsRun(model, start, suffix, 1.0)
        except (ImportError, OSError, LookupError):
            continue
    return found


@cache
def step_turns(name: str) -> Turns:
    calls = {
        by: (peers.pair_and_neigh if by in LAMMPS else peers.own_steps)(run, steps())
        for by, run in runs_of(name).items()
    }
    return peers.take_turns(calls, 3 if quick() else 15)


@pytest.mark.parametrize("by", [*OURS, *LAMMPS])
@pytest.mark.parametrize("name", list(peers.MODELS))
def test_md_step(benchmark: Any, name: str, by: str) -> None:
    """pytest-benchmark times whole runs, integrator included; the ratio is of forces and lists."""
    runs = runs_of(name)
    if by not in runs:
        pytest.skip(f"{by}: not installed")
    run, own = runs[by], runs["mdkern-1"]
    if by in LAMMPS:
        peers.check_energies(by, run, own, steps())
    else:
        run.reset()
        own.reset()
        assert run.result.energy == own.result.energy
    benchmark.group = f"MD step, {name}, {N_ATOMS} atoms"
    if benchmark.disabled:
        benchmark(partial(run.steps, 1))
        return
    turns = step_turns(name)
    run.reset()
    benchmark.pedantic(partial(run.steps, steps()), rounds=3, iterations=1)
    benchmark.extra_info.update(
        n_atoms=N_ATOMS,
        seconds_per_step=turns.median(by),
        this_over_mdkern=ratio_info(turns, by, "mdkern-1"),
        **machine(way_of(by)),
    )
