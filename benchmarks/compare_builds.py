"""Times of two installs of mdkern by turns: python benchmarks/compare_builds.py OLD_PYTHON NEW_PYTHON [--quick]

Lists, calculators, dynamics and SOAP as they are called, and the kernels of `mdkern bench`, which every potential brings. A
child process of each interpreter stays alive; in each round either runs every case once, in alternating order, with one thread.
Cases that one of them lacks are named, not run. Ratios are old/new: above 1 the new build is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

WORKER = r"""
import functools, json, sys, tempfile, time
import numpy as np
import mdkern
from ase import units
from mdkern import calculators as c, descriptors, md
from mdkern.bench import systems
from mdkern.bench.deepmd_models import random_deepmd
from mdkern.bench.kernels import KERNELS
from mdkern.bench.nep_models import random_nep

folder, rng, cases = tempfile.TemporaryDirectory(), np.random.default_rng(1), {}
nep = random_nep(folder.name + "/nep.txt", species=["Cu"])
deep = random_deepmd(folder.name + "/deep.json", neuron=(8, 16, 32), fitting=(32, 32))
argon = dict(sigma=3.405, epsilon=0.0104, rc=8.5)
kinds = {
    "LennardJones": (lambda: c.LennardJones(**argon), "argon"),
    "Morse": (lambda: c.Morse(D=0.34, alpha=1.36, r0=2.87, rc=6.0), "copper"),
    "Buckingham": (lambda: c.Buckingham(A=9576.0, rho=0.27643, C=62.4, rc=8.5), "argon"),
    "EAM": (lambda: c.EAM("zhou2004", elements=["Cu"]), "copper"),
    "NEP": (lambda: c.NEP(nep), "copper"),
    "DeepPotential": (lambda: c.DeepPotential(deep), "water"),
}

def atoms_of(kind, n):
    size = "3000" if kind == "water" else str(max(n, 108))
    atoms = systems.make(f"{kind}-{size}").atoms
    return atoms[:20] if n == 20 else atoms

def forces(make, atoms):
    calc = make()
    shift = rng.normal(scale=1e-3, size=atoms.positions.shape)
    def run(state=[1]):
        state[0] = -state[0]
        atoms.positions += state[0] * shift
        calc.calculate(atoms)
    return run

def steps(make, atoms):
    atoms.calc = make()
    dynamics = md.VelocityVerlet(atoms, units.fs)
    return lambda: dynamics.run(1)

sizes = [20] if sys.argv[1] == "quick" else [20, 4000]
for n in sizes:
    for name, (make, kind) in kinds.items():
        atoms = atoms_of(kind, n)
        cases[f"{name}, {len(atoms)} atoms"] = forces(make, atoms)
    a = atoms_of("copper", n)
    cases[f"neighbor_list, {n} atoms"] = lambda a=a: mdkern.neighbor_list("ijdDS", a, 5.0)
for n in [108] if sys.argv[1] == "quick" else [108, 4000]:
    for name in ("LennardJones", "EAM"):
        make, kind = kinds[name]
        cases[f"MD step {name}, {n} atoms"] = steps(make, atoms_of(kind, n))
soap = descriptors.SOAP(["Cu"], r_cut=4.0, n_max=6, l_max=4, periodic=True)
crystal = systems.make("copper-108").atoms
cases["SOAP values"] = lambda: soap.create(crystal)
cases["SOAP derivatives"] = lambda: soap.derivatives(crystal, include=[0, 1])
for name, kernel in KERNELS.items():
    system = kernel.quick[0]
    if sys.argv[1] == "all" or not name.endswith("_single"):
        made = kernel.make(systems.make(system))
        cases[f"kernel {name}, {system}"] = functools.partial(made.run, 1)
repeats = {}
for name, run in cases.items():
    run()
    start = time.perf_counter()
    run()
    repeats[name] = max(1, int(2e-3 / (time.perf_counter() - start)))
print(json.dumps(list(cases)), flush=True)
for line in sys.stdin:
    name = json.loads(line)
    start = time.perf_counter()
    for _ in range(repeats[name]):
        cases[name]()
    print(json.dumps((time.perf_counter() - start) / repeats[name]), flush=True)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--quick", action="store_true", help="small systems, few rounds")
    args = parser.parse_args()
    env = {**os.environ, "OMP_NUM_THREADS": "1", "MDKERN_NUM_THREADS": "1"}
    children = [
        subprocess.Popen(
            [python, "-c", WORKER, "quick" if args.quick else "all"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=Path.home(),
        )
        for python in (args.old, args.new)
    ]  # fmt: skip

    def ask(child: subprocess.Popen[str], name: str) -> float:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps(name) + "\n")
        child.stdin.flush()
        return float(json.loads(child.stdout.readline()))

    lists = [json.loads(child.stdout.readline()) for child in children if child.stdout]
    names = [name for name in lists[0] if name in lists[1]]
    for name in sorted({*lists[0], *lists[1]} - {*names}):
        print(f"{name}: in one of them only", file=sys.stderr)
    ratios: dict[str, list[float]] = {name: [] for name in names}
    for k in range(5 if args.quick else 25):
        for name in names:
            order = (0, 1) if k % 2 else (1, 0)
            times = {at: ask(children[at], name) for at in order}
            ratios[name].append(times[0] / times[1])
    for child in children:
        child.communicate()
    quartiles = {name: np.percentile(x, [50, 25, 75]) for name, x in ratios.items()}
    for name, (median, low, high) in quartiles.items():
        print(f"{name:44} {median:.3f}  ({low:.3f} to {high:.3f})")
    worst = min(quartiles, key=lambda name: float(quartiles[name][0]))
    print(f"worst: {worst}, {quartiles[worst][0]:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
