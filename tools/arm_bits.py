"""The bits of a libmdkern.so for AArch64, under emulation, against those of the mdkern that is installed here.

    python tools/arm_bits.py LIBRARY

examples/c/two_domains.c computes energies and forces of every potential of tests/potentials_data.py, in a whole system and in two
domains, from model files of this machine. Scalar code must give the same bits on both machines; NEON the same bits for one thread
and for two, and those of scalar code to rounding. Needs g++-aarch64-linux-gnu and qemu-user; exit status 1 where something differs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

import mdkern

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from potentials_data import IN_DOMAINS, MADE, system_of

EMULATOR = ("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu")


def compiled(compiler: str, library: Path, program: Path) -> Path:
    """two_domains.c; fused multiply-adds in its own sums would be other bits."""
    source = ROOT / "examples" / "c" / "two_domains.c"
    flags = ["-O2", "-ffp-contract=off", f"-I{mdkern.get_include()}"]
    link = [str(library), f"-Wl,-rpath,{library.parent}", "-lm", "-lpthread"]
    subprocess.run([compiler, *flags, str(source), *link, "-o", str(program)], check=True)
    return program


def write_system(path: Path, atoms: Atoms, species: tuple[str, ...] | None) -> None:
    kinds = [0 if species is None else species.index(s) for s in atoms.symbols]
    rows = [" ".join(map(repr, v)) for v in atoms.cell.array.tolist()]
    rows += [
        f"{kind} " + " ".join(map(repr, x))
        for kind, x in zip(kinds, atoms.positions.tolist(), strict=True)
    ]
    path.write_text("\n".join([str(len(atoms)), *rows]) + "\n", encoding="utf-8")


def printed(command: tuple[str, ...], name: str, isa: str, threads: int, folder: Path) -> str:
    done = subprocess.run(
        [*command, f"{name}.mdk", f"{name}.txt"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MDKERN_ISA": isa, "MDKERN_NUM_THREADS": str(threads)},
    )
    if done.returncode != 0:
        sys.exit(f"{name}, {isa}: {done.stderr}")
    return done.stdout


def numbers(text: str) -> Any:
    words = [word for word in text.split() if word not in ("whole", "domains")]
    return np.array([float.fromhex(word) for word in words])


def main(library: Path) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        here = (str(compiled("cc", Path(mdkern.get_library()), folder / "here")),)
        there = (*EMULATOR, str(compiled("aarch64-linux-gnu-gcc", library, folder / "there")))

        def compared(name: str) -> tuple[list[str], float]:
            expected = printed(here, name, "scalar", 1, folder)
            wrong = []
            if printed(there, name, "scalar", 2, folder) != expected:
                wrong.append(f"{name}: scalar code of the two machines")
            one, two = (printed(there, name, "neon", n, folder) for n in (1, 2))
            if one != two:
                wrong.append(f"{name}: NEON with one thread and with two")
            scalar = numbers(expected)
            error = np.abs(numbers(one) - scalar).max() / np.abs(scalar).max()
            if not error <= (1e-5 if "single" in name else 1e-13):
                wrong.append(f"{name}: NEON and scalar code by {error:.1e} of the largest number")
            return wrong, error

        for name in IN_DOMAINS:
            calc = MADE[name]()
            calc.potential.export(folder / f"{name}.mdk")
            write_system(folder / f"{name}.txt", system_of(calc), calc.species)
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            results = dict(zip(IN_DOMAINS, pool.map(compared, IN_DOMAINS), strict=True))
    wrong = [line for lines, _ in results.values() for line in lines]
    largest = max((e for name, (_, e) in results.items() if "single" not in name), default=0.0)
    for line in wrong:
        print(f"differs: {line}")
    print(
        f"{len(IN_DOMAINS)} potentials, {len(wrong)} differences; NEON within {largest:.1e} of scalar code"
    )
    return 1 if wrong or not IN_DOMAINS else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("python tools/arm_bits.py LIBRARY")
    sys.exit(main(Path(sys.argv[1]).resolve()))
