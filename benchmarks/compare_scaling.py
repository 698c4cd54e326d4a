"""Weak scaling of ``pair_style mdkern``, measured on one and two processes and modelled for many: docs/scaling.md.

    python benchmarks/compare_scaling.py            (6 minutes)
    python benchmarks/compare_scaling.py --quick    (1 minute)

Measured here: LAMMPS's own times of one process (Pair, Neigh, others) with 4,000 to 108,000 atoms and a new list in every
20th step, numbers of ghosts and bytes, latency and bandwidth of messages between two processes of this machine. Not measured: any network, and
cores that share memory. The model takes their numbers from the command line.

    t(step) = t1(n) + messages latency + bytes (out / share of the node's bandwidth + (1 - out) / memory's) + (log2 P latency) / 100

n atoms per process, t1(n) the time of one process whose periodic images are its ghosts, six messages for every exchange of
positions, forces and the potential's own values, and one sum over all processes in a hundred steps. A node is a cube of
processes: of their faces, out = cores^(-1/3) look at another node.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from ase.build import bulk
from ase.io import write
from compare_plugin import BIN, cases

import mdkern
from mdkern.bench import environment

# Bytes per ghost and step: positions to ghosts, forces from them, and a number for each exchange of the potential.
_EXCHANGES = {"eam": 1, "nep": 0}

_PING = """
import sys
import numpy as np
from mpi4py import MPI
comm, rank = MPI.COMM_WORLD, MPI.COMM_WORLD.rank
for size, times in ((8, 20000), (1 << 20, 400)):
    data = np.zeros(size, np.uint8)
    best = 1e9
    for _ in range(7):
        comm.Barrier()
        begin = MPI.Wtime()
        for _ in range(times):
            if rank == 0:
                comm.Send(data, 1)
                comm.Recv(data, 1)
            else:
                comm.Recv(data, 0)
                comm.Send(data, 0)
        best = min(best, (MPI.Wtime() - begin) / (2 * times))
    if rank == 0:
        print(size, best)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--models", nargs="+", choices=list(_EXCHANGES), default=list(_EXCHANGES))
    add("--latency", type=float, default=2.0, help="of the network, us (default 2)")
    add("--bandwidth", type=float, default=12.5, help="of a node, GB/s (default 12.5)")
    add("--cores", type=int, default=64, help="of a node, which share its bandwidth (default 64)")
    add("--rounds", type=int, default=5)
    add("--quick", action="store_true", help="smaller systems, one round")
    args = parser.parse_args()
    around = environment(1)
    print(f"{around['cpu']}, {around['isa']}, mdkern {mdkern.__version__}\n")
    latency, bandwidth = _ping()
    print(f"two processes here: latency {1e6 * latency:.2f} us, {bandwidth / 1e9:.1f} GB/s\n")
    print(
        "| model | atoms per process | ghosts | ns per atom: pair | lists | other | 1 process | 2 processes | bytes sent per step |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    measured = {}
    for name in args.models:
        for side in (10, 15) if args.quick else (10, 15, 20, 30):
            measured[name, 4 * side**3] = _measure(name, side, args)
    print("\nMODEL, nothing of this was run:")
    print(f"latency {args.latency} us, {args.bandwidth} GB/s for {args.cores} cores\n")
    print(
        "| model | atoms | atoms per core | cores | ms per step | of it communication | efficiency | ns per day, 1 fs |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for (name, n), (seconds, ghosts) in measured.items():
        for atoms in (10**6, 10**9):
            _model(name, n, seconds, ghosts, atoms, bandwidth, args)
    return 0


def _measure(name: str, side: int, args: argparse.Namespace) -> tuple[float, float]:
    (case,) = cases([name], True, False)
    steps = 100 if name == "eam" else 20
    with tempfile.TemporaryDirectory() as folder:
        mdkern.load(case.model).potential.export(Path(folder) / "model.mdk")
        one = _run(folder, case, (side, side, side), 1, steps, args)
        two = _run(folder, case, (2 * side, side, side), 2, steps, args)
    n = 4 * side**3
    per_atom = 1e9 / n
    sent = one["ghosts"] * (48 + 8 * _EXCHANGES[name])
    other = one["loop"] - one["Pair"] - one["Neigh"]
    print(
        f"| {name} | {n} | {one['ghosts']:.0f} | {per_atom * one['Pair']:.0f} | {per_atom * one['Neigh']:.0f} | "
        f"{per_atom * other:.0f} | {per_atom * one['loop']:.0f} | {per_atom * two['loop']:.0f} | {sent:.0f} |",
        flush=True,
    )
    return one["loop"], one["ghosts"]


def _run(folder: str, case, cells, ranks: int, steps: int, args) -> dict[str, float]:
    """Medians over the rounds, in seconds per step; the number of ghosts of a process."""
    atoms = bulk(
        "Cu", a=case.atoms.cell[0, 0] / round(case.atoms.cell[0, 0] / 3.62), cubic=True
    ).repeat(cells)
    write(Path(folder) / "atoms.data", atoms, format="lammps-data", masses=True, units="metal")
    (Path(folder) / "in.lammps").write_text(
        "units metal\natom_style atomic\nread_data atoms.data\npair_style mdkern\npair_coeff * * model.mdk Cu\n"
        "velocity all create 600 77\nneighbor 1.0 bin\nneigh_modify delay 0 every 20 check no\nfix 1 all nve\n"
        f"thermo 100\nrun {max(steps // 5, 1)} post no\nrun {steps}\n",
        encoding="utf-8",
    )
    found = []
    for _ in range(1 if args.quick else args.rounds):
        run = subprocess.run(
            [
                str(BIN / "mpiexec"),
                "-n",
                str(ranks),
                str(BIN / "lmp"),
                "-in",
                "in.lammps",
                "-log",
                "none",
            ],
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if "Nghost" not in run.stdout:
            raise SystemExit(run.stdout[-1000:] + run.stderr[-1000:])
        values = {"loop": float(re.findall(r"Loop time of (\S+)", run.stdout)[-1])}
        for part in ("Pair", "Neigh"):
            values[part] = float(
                re.findall(rf"^{part}\s*\|[^|]*\|\s*(\S+)", run.stdout, re.MULTILINE)[-1]
            )
        values = {key: value / steps for key, value in values.items()}
        values["ghosts"] = float(re.findall(r"Nghost:\s+(\S+) ave", run.stdout)[-1])
        found.append(values)
    return {key: float(np.median([v[key] for v in found])) for key in found[0]}


def _ping() -> tuple[float, float]:
    run = subprocess.run(
        [str(BIN / "mpiexec"), "-n", "2", sys.executable, "-c", _PING],
        capture_output=True,
        text=True,
        check=True,
    )
    (_, short), (size, long) = (map(float, line.split()) for line in run.stdout.splitlines())
    return short, size / long


def _model(
    name: str, n: int, seconds: float, ghosts: float, atoms: int, inside: float, args
) -> None:
    cores = max(1, round(atoms / n))
    exchanges = 2 + _EXCHANGES[name]
    communication = 0.0
    if cores > 1:
        latency, bandwidth = 1e-6 * args.latency, 1e9 * args.bandwidth / args.cores
        sent = ghosts * (48 + 8 * _EXCHANGES[name])
        out = args.cores ** (-1 / 3)
        communication = 6 * exchanges * latency + sent * (out / bandwidth + (1 - out) / inside)
        communication += math.log2(cores) * latency / 100
    step = seconds + communication
    print(
        f"| {name} | {atoms:.0e} | {n} | {cores} | {1e3 * step:.2f} | {100 * communication / step:.0f} % | "
        f"{seconds / step:.2f} | {86400 / step * 1e-6:.1f} |"
    )


if __name__ == "__main__":
    sys.exit(main())
