"""Whole evaluations by ASE's calculators, and pair forces per MD step by LAMMPS, where they are installed."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import peers
import pytest
from conftest import Way, machine, quick, ratio_info, time_it

import mdkern
from mdkern.bench.interleave import Turns, interleave
from mdkern.bench.systems import make

N_ATOMS = 4000
LAMMPS_SUFFIXES = {"lammps": "", "lammps opt": "opt", "lammps omp": "omp"}
THREADS = sorted({1, mdkern.get_num_threads()})


def model_of(name: str) -> peers.Model:
    model = peers.MODELS[name]
    if not model.available():
        pytest.skip(f"no {model.file} in $MDKERN_TEST_DATA/potentials")
    return model


def calculators(name: str) -> dict[str, Any]:
    """Evaluations that build their neighbor lists, by ASE and by ours."""
    model = model_of(name)
    atoms = make(f"{model.system}-{N_ATOMS}").atoms
    found = {"ase": peers.evaluation(atoms, peers.ase_calculator(model), 1.0)}
    for n in THREADS:
        found[f"mdkern-{n}"] = peers.evaluation(atoms, peers.own_calculator(model, n), 1.0)
    return found


@cache
def calculator_turns(name: str) -> Turns:
    return interleave(calculators(name), rounds=3 if quick() else 15, budget=30.0)


@pytest.mark.parametrize("by", ["ase", *(f"mdkern-{n}" for n in THREADS)])
@pytest.mark.parametrize("name", list(peers.MODELS))
def test_calculator(benchmark: Any, name: str, by: str) -> None:
    if quick() and by == "ase" and name != "lennard-jones":
        pytest.skip("seconds per call")
    model = model_of(name)
    calls = calculators(name)
    theirs = calls["ase"]() if not quick() or name == "lennard-jones" else None
    call = calls[by]
    if theirs is not None:
        assert abs(call() - theirs) <= peers.ase_tolerance(model) * N_ATOMS
    benchmark.group = f"ASE calculator, {name}, {N_ATOMS} atoms"
    if benchmark.disabled:
        benchmark(call)
        return
    if theirs is None:
        benchmark(call)
        return
    turns = calculator_turns(name)
    time_it(benchmark, call, turns.median(by))
    benchmark.extra_info.update(n_atoms=N_ATOMS, ase_over_this=ratio_info(turns, "ase", by))
    benchmark.extra_info.update(machine(Way("mdkern", mdkern.get_isa(), 1)))


@cache
def start_of(name: str) -> peers.Start:
    return peers.equilibrated(model_of(name), N_ATOMS, 50 if quick() else 500)


@cache
def runs_of(name: str) -> dict[str, Any]:
    """Ours with a skin of 0.6, and every style of LAMMPS with one of 1 Angstrom; compare_lammps.py chooses the best."""
    model, start = model_of(name), start_of(name)
    found: dict[str, Any] = {
        f"mdkern-{n}": peers.OwnRun(peers.own_potential(model), start, model.timestep, 0.6, n)
        for n in THREADS
    }
    for style, suffix in LAMMPS_SUFFIXES.items():
        try:
            found[style] = peers.LammpsRun(model, start, suffix, 1.0)
        except (ImportError, OSError, LookupError):
            continue
    return found


@cache
def step_turns(name: str) -> Turns:
    calls = {
        by: (peers.pair_and_neigh if by in LAMMPS_SUFFIXES else peers.own_steps)(run, steps())
        for by, run in runs_of(name).items()
    }
    return peers.take_turns(calls, 3 if quick() else 15)


def steps() -> int:
    return 10 if quick() else 100


@pytest.mark.parametrize("by", [*(f"mdkern-{n}" for n in THREADS), *LAMMPS_SUFFIXES])
@pytest.mark.parametrize("name", list(peers.MODELS))
def test_md_step(benchmark: Any, name: str, by: str) -> None:
    """pytest-benchmark's time is that of whole runs, integrator included; the ratio is of pair forces and lists alone."""
    runs = runs_of(name)
    if by not in runs:
        pytest.skip(f"{by}: not installed")
    run, own = runs[by], runs["mdkern-1"]
    if by in LAMMPS_SUFFIXES:
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
        **machine(Way("mdkern", mdkern.get_isa(), 1)),
    )
