"""Relaxations: mdkern's optimizers beside ASE's with the same calculators, and beside torch-sim's batch on the CPU.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/compare_relax.py           (5 minutes)
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/compare_relax.py --quick   (half a minute)
    python benchmarks/compare_relax.py --check       (200 structures, 20 minutes: paths and minima against ASE)
    python benchmarks/compare_relax.py --torch-sim PYTHON       an interpreter that has torch-sim, with the other tables

Everything is taken in turn, and processor time stands beside wall time where threads do not matter. Published models of
$MDKERN_TEST_DATA take part in ``--check`` where they are there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import mdkern
from mdkern import _core
from mdkern.bench import environment
from mdkern.bench.crystals import CLOSE_PACKED, PROTOTYPES, crystals
from mdkern.bench.nep_models import morse_nep
from mdkern.bench.relax_check import by_ase, check, native, verdict
from mdkern.bench.relaxations import ELEMENTS, METALS, relaxations
from mdkern.calculators import EAM, NEP, LennardJones
from mdkern.potentials.base import list_cutoff

_FMAX, _STEPS = 0.01, 500
_ARGON = {"sigma": 3.405, "epsilon": 0.0104, "rc": 8.5}


def run_check(args: argparse.Namespace) -> int:
    data = os.environ.get("MDKERN_TEST_DATA")
    with tempfile.TemporaryDirectory() as folder:
        cases = relaxations(Path(folder), None if data is None else Path(data))
        rows = []
        for k in range(args.first, min(args.last, len(cases))):
            minimum, other = ("LBFGS", "FIRE") if k % 2 else ("FIRE", "LBFGS")
            methods = (other, *(("BFGS", "FIRE2") if k % 8 == 0 else ()))
            begin = time.perf_counter()
            fmax = args.fmax if k % 4 == 0 or k % 8 == 1 else max(args.fmax, 1e-3)
            row = check(cases[k], methods, minimum, fmax)
            row |= {"verdict": verdict(row), "seconds": round(time.perf_counter() - begin, 2)}
            rows.append(row)
            print(json.dumps(row), flush=True)
        found = [row["verdict"] for row in rows]
        bad = found.count("BAD")
        print(
            f"{found.count('good')} of {len(rows)} agree, {found.count('sensitive')} are sensitive to rounding, {bad} differ"
        )
        if args.output:
            Path(args.output).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 1 if bad else 0


# --- speed


def clocked(call: Callable[[], Any]) -> tuple[float, float]:
    """Wall and processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def in_turn(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, np.ndarray]:
    """(rounds, 2) seconds of each, wall and processor."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            found[name].append(clocked(call))
    return {name: np.array(times) for name, times in found.items()}


def row(*cells: object) -> None:
    print("| " + " | ".join(str(c) for c in cells) + " |", flush=True)


def heading(*cells: str) -> None:
    print()
    row(*cells)
    row(*len(cells) * ["---"])


def models(folder: Path) -> dict[str, tuple[Any, tuple[str, ...], tuple[str, ...]]]:
    """Calculator, elements and prototypes."""
    nep = NEP(morse_nep(folder / "nep.txt", species=ELEMENTS), threads=1)
    return {
        "NEP, 89 elements": (nep, ELEMENTS, tuple(PROTOTYPES)),
        "EAM alloys": (EAM.zhou2004(METALS, threads=1), METALS, CLOSE_PACKED),
    }


def compare_steps(
    name: str, calc: Any, elements: Any, kinds: Any, rounds: int
) -> list[dict[str, Any]]:
    """What a step takes beside the evaluation of the potential on a ready list."""
    out = []
    for n in (4, 16, 48):
        atoms = crystals(1, elements, kinds=kinds, atoms=(n, n), seed=5)[0]
        atoms.calc = calc
        native(atoms).run(1e-3, 200)  # near the minimum, where lists stay
        table = _core.NeighborTable(
            calc.cutoff, calc.parameters["skin"], list_cutoff=list_cutoff(calc.potential)
        )
        numbers = calc.species_map(atoms.numbers)
        table.update(atoms.positions, atoms.cell.array, atoms.pbc, numbers, 1)
        begin = atoms.copy()
        begin.rattle(0.01, seed=1)

        def evaluate(calc: Any = calc, table: Any = table) -> float:
            cpu = time.process_time()
            for _ in range(200):
                calc.potential.compute(table, threads=1)
            return (time.process_time() - cpu) / 200

        def steps(method: str, cell: str, begin: Any = begin, calc: Any = calc) -> float:
            spent = 0.0
            for _ in range(10):
                atoms = begin.copy()
                atoms.calc = calc
                optimizer = native(atoms, method, cell)
                optimizer.run(0.0, 0)
                cpu = time.process_time()
                optimizer.run(0.0, 20)
                spent += time.process_time() - cpu
            return spent / 200

        calls: dict[str, Callable[[], float]] = {"evaluation": evaluate}
        for method in ("FIRE", "LBFGS"):
            for cell in ("none", "full"):
                calls[f"{method}, {cell}"] = partial(steps, method, cell)
        samples = [[call() for call in calls.values()] for _ in range(rounds)]
        times = dict(zip(calls, 1e6 * np.median(samples, axis=0), strict=True))
        row(name, n, *(f"{t:.1f}" for t in times.values()))
        out.append({"model": name, "n_atoms": n, "us_per_step": times})
    return out


def compare_one(name: str, calc: Any, elements: Any, kinds: Any, rounds: int) -> dict[str, Any]:
    """Whole relaxations of crystals of 16 atoms: ours, then ASE's, both by FIRE with all of the cell."""
    frames = crystals(rounds, elements, kinds=kinds, atoms=(16, 16), seed=6)
    ratios, cpu, steps = [], [], []
    for frame in frames:
        runs = {}

        def call(
            make: Callable[..., Any], label: str, frame: Any = frame, runs: Any = runs
        ) -> None:
            atoms = frame.copy()
            atoms.calc = calc
            runs[label] = make(atoms)
            runs[label].run(_FMAX, _STEPS)

        call(native, "native")
        times = in_turn(
            {"native": lambda: call(native, "native"), "ase": lambda: call(by_ase, "ase")}, 1
        )
        assert runs["native"].nsteps == runs["ase"].nsteps, "not the same path"
        ratios.append(times["ase"][0, 0] / times["native"][0, 0])
        cpu.append(times["ase"][0, 1] / times["native"][0, 1])
        steps.append((runs["native"].nsteps, *times["native"][0], *times["ase"][0]))
    n, _, own, _, theirs = np.array(steps).sum(axis=0)
    row(
        name,
        len(frames),
        int(n),
        f"{1e6 * own / n:.1f}",
        f"{1e3 * theirs / n:.2f}",
        f"{np.median(ratios):.0f}",
        f"{np.median(cpu):.0f}",
    )
    return {
        "model": name,
        "steps": int(n),
        "cpu_us_per_step": 1e6 * own / n,
        "ratios_wall": ratios,
        "ratios_cpu": cpu,
    }


def compare_many(
    name: str, calc: Any, elements: Any, kinds: Any, n: int, rounds: int
) -> dict[str, Any]:
    """Structures per second of a set on one thread and on two, and of ASE's loop on a part of it."""
    frames = crystals(n, elements, kinds=kinds)
    last: dict[int, Any] = {}

    def relax(threads: int) -> Callable[[], None]:
        def run() -> None:
            last[threads] = mdkern.relax(frames, calc, fmax=_FMAX, steps=_STEPS, threads=threads)

        return run

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mdkern.errors.MDKernWarning)
        times = in_turn({"1": relax(1), "2": relax(2)}, rounds)
    for a, b in zip(last[1], last[2], strict=True):
        assert np.array_equal(a.positions, b.positions), "threads changed the bits"
    part = frames[:: max(1, n // 10)]
    begin, cpu = time.perf_counter(), time.process_time()
    for frame in part:
        atoms = frame.copy()
        atoms.calc = calc
        by_ase(atoms).run(_FMAX, _STEPS)
    ase = (time.perf_counter() - begin) / len(part), (time.process_time() - cpu) / len(part)
    one, two = (n / np.median(times[k], axis=0) for k in ("1", "2"))
    gain = float(np.median(times["1"][:, 0] / times["2"][:, 0]))
    done = sum(a.info["converged"] for a in last[1])
    row(
        name,
        n,
        done,
        f"{one[0]:.1f}",
        f"{one[1]:.1f}",
        f"{two[0]:.1f}",
        f"{gain:.2f}",
        f"{1 / ase[0]:.3f}",
        f"{one[1] * ase[1]:.0f}",
    )
    return {
        "model": name,
        "n": n,
        "converged": done,
        "per_second": one.tolist(),
        "on_two": two.tolist(),
        "gain": gain,
        "ase_per_second": [1 / x for x in ase],
    }


def compare_torch_sim(python: str, folder: Path, n: int) -> dict[str, Any]:
    """Lennard-Jones crystals by torch-sim on one thread, and ours in turn."""
    calc = LennardJones(**_ARGON, shift=False, threads=1)  # cut, as torch-sim has it
    # Symmetric matrices of the cell: with others torch-sim 0.3's own list takes rows for columns.
    frames = crystals(n, ["Ar"], kinds=["fcc"])
    for frame in frames:  # from covalent radii to argon's
        cell = 0.9 * (frame.cell.array + frame.cell.array.T)
        frame.set_cell(cell, scale_atoms=True)
    file = folder / "frames.npz"
    np.savez(
        file,
        threads=1,
        lennard_jones=list(_ARGON.values()),
        counts=[len(a) for a in frames],
        positions=np.concatenate([a.positions for a in frames]),
        cells=np.array([a.cell.array for a in frames]),
        fmax=_FMAX / 10,
        steps=_STEPS,
    )
    worker = [python, str(Path(__file__).with_name("compare_torch_sim.py")), str(file)]
    answer = json.loads(subprocess.run(worker, check=True, capture_output=True, text=True).stdout)
    found: list[Any] = []
    wall, cpu = clocked(
        lambda: found.append(mdkern.relax(frames, calc, fmax=_FMAX / 10, steps=_STEPS, threads=1))
    )
    energies = np.array([a.get_potential_energy() / len(a) for a in found[0]])
    theirs = np.array(answer["energies"]) / [len(a) for a in frames]
    same = int((np.abs(energies - theirs) < 1e-4).sum())
    row(
        "Lennard-Jones",
        n,
        f"{n / cpu:.1f}",
        f"{n / answer['cpu']:.3f}",
        f"{answer['cpu'] / cpu:.0f}",
        f"{same} of {n}",
    )
    return {
        "n": n,
        "per_second": [n / wall, n / cpu],
        "torch_sim": [n / answer["wall"], n / answer["cpu"]],
        "same": same,
    }


def run_speed(args: argparse.Namespace) -> dict[str, Any]:
    out: dict[str, Any] = {"steps": [], "one": [], "many": []}
    with tempfile.TemporaryDirectory() as folder:
        known = models(Path(folder))
        heading(
            "model",
            "atoms",
            "evaluation, us",
            "FIRE, us per step",
            "with cell",
            "LBFGS",
            "with cell",
        )
        for name, model in known.items():
            out["steps"] += compare_steps(name, *model, 3 if args.quick else 9)
        heading(
            "16 atoms, full cell",
            "crystals",
            "steps",
            "native, CPU us per step",
            "ASE, CPU ms per step",
            "faster by, wall",
            "CPU",
        )
        for name, model in known.items():
            out["one"].append(compare_one(name, *model, 3 if args.quick else 11))
        heading(
            "4 to 60 atoms",
            "crystals",
            "converged",
            "per second, 1 thread",
            "per CPU second",
            "2 threads",
            "gain",
            "ASE, per second",
            "native is faster by, CPU",
        )
        for name, model in known.items():
            out["many"].append(
                compare_many(name, *model, 50 if args.quick else 1000, 1 if args.quick else 3)
            )
        if args.torch_sim:
            heading(
                "torch-sim",
                "crystals",
                "native, per CPU second",
                "torch-sim, per CPU second",
                "native is faster by",
                "same energy",
            )
            out["torch_sim"] = compare_torch_sim(
                args.torch_sim, Path(folder), 20 if args.quick else 50
            )
    return out


def main() -> int:
    args = _arguments()
    warnings.filterwarnings("ignore", message="logm result may be inaccurate")
    if args.check:
        return run_check(args)
    around = environment(1)
    print(
        f"{around['cpu']}, {around['isa']}, mdkern {mdkern.__version__}, load average {around['load_average']:.2f}"
    )
    results = run_speed(args)
    if args.output:
        text = json.dumps({"environment": around, "results": results}, indent=2)
        Path(args.output).write_text(text + "\n", encoding="utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--check", action="store_true", help="paths and minima of 200 structures against ASE")
    add("--first", type=int, default=0, help="with --check: from this structure on")
    add("--last", type=int, default=200, help="with --check: up to, and without, this one")
    add("--fmax", type=float, default=1e-6, help="with --check: of the minima (eV/Angstrom)")
    add("--torch-sim", metavar="PYTHON", help="an interpreter with torch-sim")
    add("--quick", action="store_true", help="fewer structures")
    add("-o", "--output", metavar="FILE", help="JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
