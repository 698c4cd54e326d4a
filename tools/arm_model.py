"""Instructions of kernels on AArch64 and on x86-64, counted under emulation, and cycles of their loops in models of processors.

    python tools/arm_model.py FOLDER [KERNEL...]

builds a few kernels and a small driver for both machines in FOLDER, with CMake's flags, runs them under qemu with a plugin that counts
how often each instruction runs, follows the way that their loops mostly take, and lets llvm-mca say how many cycles a round takes. No
hardware is measured: the models know neither caches nor wrong guesses of branches, nor that a load waits for a store to the same place.

Needs mdkern, cmake, g++, g++-aarch64-linux-gnu, qemu-user and llvm-19 (LLVM 17 is the first with a model of Neoverse V1). LLVM's
apple-m1 is the model of the A7 (Cyclone): 6 instructions a cycle and two multiply-adds, where an M1 has 8 and four.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SKIN = 0.3  # of the driver
MCA = "llvm-mca-19"
ROUNDS = 200
# Potentials register themselves, so a part of the library is a library. The scalar kernels are not built: nothing calls them.
SOURCES = [
    *("core/*.cpp", "model/*.cpp", "neighbors/*.cpp", "forces/*.cpp", "capi/*.cpp", "math/*.cpp"),
    *("nn/*.cpp", "potentials/lennard_jones*.cpp", "potentials/eam*.cpp", "potentials/nep/*.cpp"),
]


@dataclass(frozen=True)
class Machine:
    """A backend, how to build and run it, and processors that it is modelled on."""

    isa: str
    tools: str  # prefix of the compiler and objdump
    cmake: tuple[str, ...]
    emulator: tuple[str, ...]
    triple: str
    models: tuple[str, ...]
    leaves: str  # instructions that end a block for good
    branch: str


MACHINES = (
    Machine(
        "avx2",
        "",
        (),
        ("qemu-x86_64", "-cpu", "Haswell"),
        "x86_64",
        ("znver4",),
        r"jmp|ret\w*",
        r"j\w+",
    ),
    Machine(
        "neon",
        "aarch64-linux-gnu-",
        ("-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64"),
        ("qemu-aarch64",),
        "aarch64",
        ("neoverse-v1", "neoverse-v2", "apple-m1"),
        r"b|br|ret",
        r"b|b\.\w+|cbn?z|tbn?z",
    ),
)


@dataclass(frozen=True)
class Kernel:
    """What the driver runs, and which functions belong to the kernel."""

    name: str
    run: str  # a model of models(), or "gemm"
    functions: str  # searched in their names
    half: bool = False


KERNELS = (
    Kernel("neighbor search", "lj", r"neighbor_search|search_chunk"),
    Kernel("Lennard-Jones", "lj", r"pair_rows|lennard_jones"),
    Kernel("EAM, densities", "eam", r"densities|eam_density", True),
    Kernel("EAM, forces", "eam", r"tile_rows|TileLoop|eam_force", True),
    Kernel("NEP, radial", "nep", r"radial_"),
    Kernel("NEP, angular", "nep", r"angular_"),
    Kernel("NEP, all", "nep", r"neon::|avx2::"),
    Kernel("GEMM", "gemm", r"gemm"),
)


def run(*command: Any, **options: Any) -> str:
    """Standard output of a command that succeeds."""
    done = subprocess.run(
        [str(c) for c in command], capture_output=True, text=True, check=False, **options
    )
    if done.returncode:
        sys.exit(f"{shlex.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


# --- build


def flags(machine: Machine, folder: Path) -> tuple[list[str], list[str]]:
    """Command lines of CMake for a kernel of this backend, and for what is compiled once."""
    run(
        "cmake", "-S", ROOT, "-B", folder / "cmake", "-DCMAKE_BUILD_TYPE=Release", "-DMDKERN_TESTS=ON",
        "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", f"-DCMAKE_CXX_COMPILER={machine.tools}g++", *machine.cmake,
    )  # fmt: skip
    commands = json.loads((folder / "cmake" / "compile_commands.json").read_text())

    def of(output: str) -> list[str]:
        words = next(shlex.split(c["command"]) for c in commands if output in c["command"])
        return words[: words.index("-o")]

    return of(f"test_dense_{machine.isa}_objects.dir"), of("test_symmetric.dir/test_symmetric.cpp")


def build(machine: Machine, folder: Path) -> Path:
    """The driver for a machine; sources that did not change since are not compiled again."""
    kernel, plain = flags(machine, folder)
    plain += [f"-DMDKERN_HAVE_{machine.isa.upper()}=1", '-DMDKERN_VERSION="model"', "-O1"]
    launcher = [ccache] if (ccache := shutil.which("ccache")) else []
    sources = [path for glob in SOURCES for path in sorted((ROOT / "cpp").glob(glob))]
    objects: list[Path] = []

    def compile_one(source: Path) -> None:
        words = kernel if source.name.endswith("_kernel.cpp") else plain
        run(*launcher, *words, "-c", source, "-o", folder / f"{source.stem}.o")

    sources.append(ROOT / "tools" / "arm" / "driver.cpp")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(compile_one, sources))
    objects = [folder / f"{source.stem}.o" for source in sources]
    driver = folder / "driver"
    # Weak calls to what is not built end at address 0.
    run(
        f"{machine.tools}g++", "-static", "-no-pie", *objects, "-o", driver, "-Wl,--unresolved-symbols=ignore-all",
    )  # fmt: skip
    return driver


# --- counts


def build_plugin(folder: Path) -> Path:
    """The plugin of qemu that counts."""
    plugin = folder / "count.so"
    source = ROOT / "tools" / "arm" / "count.c"
    run("gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", source, "-o", plugin)
    return plugin


@dataclass
class Instruction:
    address: int
    text: str
    count: int = 0

    @property
    def name(self) -> str:
        return self.text.split()[0]

    def target(self, machine: Machine) -> int | None:
        """Where a branch goes; None of other instructions."""
        if not re.fullmatch(machine.branch, self.name):
            return None
        found = re.search(r"\b([0-9a-f]+) <", self.text)
        return int(found[1], 16) if found else None


def disassemble(machine: Machine, driver: Path, of: str = "") -> dict[str, list[Instruction]]:
    """Instructions of the functions whose names have `of`, by default those of kernels."""
    of = of or f"::{machine.isa}::"
    functions: dict[str, list[Instruction]] = {}
    body: list[Instruction] | None = None
    for line in run(f"{machine.tools}objdump", "-dC", "--no-show-raw-insn", driver).splitlines():
        if line.endswith(">:"):
            name = line[line.index("<") + 1 : -2]
            body = functions.setdefault(name, []) if of in name else None
        elif body is not None and (found := re.match(r"\s*([0-9a-f]+):\s+(\S.*)", line)):
            body.append(Instruction(int(found[1], 16), found[2]))
    return functions


def count(
    machine: Machine, driver: Path, plugin: Path, arguments: list[str], out: Path
) -> tuple[dict[int, int], str]:
    """How often each instruction ran, and what the driver printed."""
    printed = run(*machine.emulator, "-plugin", f"{plugin},out={out}", driver, *arguments)
    pairs = (line.split() for line in out.read_text().splitlines())
    return {int(at, 16): int(n) for at, n in pairs}, printed


# --- loops


@dataclass
class Piece:
    """Instructions that run one after another, `rounds` times: a round of a loop, or what is between loops."""

    body: list[Instruction]
    rounds: int
    is_loop: bool
    function: str


def pieces(machine: Machine, name: str, body: list[Instruction]) -> Iterator[Piece]:
    """Loops of a function by number of rounds, along the way that is taken most; then what is in none of them."""
    where = {insn.address: k for k, insn in enumerate(body)}
    used: set[int] = set()
    for head in sorted(range(len(body)), key=lambda k: (-body[k].count, k)):
        way: list[int] = []
        k = head
        while 0 <= k < len(body) and body[k].count and k not in used and k not in way:
            way.append(k)
            target = where.get(body[k].target(machine) or 0)
            ahead = k + 1 < len(body) and not re.fullmatch(machine.leaves, body[k].name)
            if target is not None and not (ahead and body[target].count <= body[k + 1].count):
                k = target
            else:
                k = k + 1 if ahead else -1
        if way and k == head:
            used.update(way)
            yield Piece([body[k] for k in way], min(body[k].count for k in way), True, name)
    rest = [k for k in range(len(body)) if body[k].count and k not in used]
    for rounds, group in groupby(rest, key=lambda k: body[k].count):
        yield Piece([body[k] for k in group], rounds, False, name)


def cycles(machine: Machine, model: str, parts: list[Piece]) -> list[float]:
    """Of a round of each piece, by llvm-mca: simulated where it is a loop, else what its instructions take of the busiest unit."""
    text = []
    for k, part in enumerate(parts):
        text.append(f"# LLVM-MCA-BEGIN {k}")
        for insn in part.body:  # branches go on behind themselves
            line = re.sub(r"//.*|#\s+[0-9a-f]+ <.*", "", insn.text)
            text.append(re.sub(r"\b[0-9a-f]+ <.*", "1f\n1:", line))
        text.append(f"# LLVM-MCA-END {k}")
    out = run(
        MCA, f"-mtriple={machine.triple}", f"-mcpu={model}", f"-iterations={ROUNDS}", "-json", "-instruction-info=0",
        "-resource-pressure=0", input="\n".join(text) + "\n",
    )  # fmt: skip
    found = {}
    for region in json.loads(out)["CodeRegions"]:
        summary = region["SummaryView"]
        k = int(region["Name"])
        in_loop = summary["TotalCycles"] / ROUNDS
        found[k] = in_loop if parts[k].is_loop else summary["BlockRThroughput"]
    return [found[k] for k in range(len(parts))]


# --- runs


def write_runs(folder: Path) -> dict[str, tuple[list[str], float]]:
    """Arguments of the driver for each run, and by how many pairs (of a full list) or multiply-adds its counts are divided."""
    from ase.build import bulk

    import mdkern
    from mdkern.bench.nep_models import random_nep
    from mdkern.calculators import EAM, NEP, LennardJones

    copper = bulk("Cu", cubic=True) * (6, 6, 6)
    argon = bulk("Ar", a=5.4, cubic=True) * (6, 6, 6)
    nep = random_nep(folder / "nep.txt", species=["Cu"])
    made = {
        "lj": (LennardJones(sigma=3.4, epsilon=0.0104, rc=8.5), argon),
        "eam": (EAM.zhou2004(["Cu"]), copper),
        "nep": (NEP(nep, precision="double"), copper),
    }
    runs: dict[str, tuple[list[str], float]] = {}
    for name, (calc, atoms) in made.items():
        atoms.rattle(0.05, seed=1)
        model, file = folder / f"{name}.mdk", folder / f"{name}.atoms"
        calc.potential.export(model)
        with file.open("wb") as out:
            np.array([len(atoms)], np.int64).tofile(out)
            atoms.cell.array.tofile(out)
            atoms.positions.tofile(out)
            np.zeros(len(atoms), np.int32).tofile(out)
        radius = calc.potential.cutoff + SKIN
        runs[name] = ([str(model), str(file)], len(mdkern.neighbor_list("i", atoms, radius)))
    m, n, k = 64, 48, 120
    runs["gemm"] = (["gemm", str(m), str(n), str(k)], m * n * k)
    return runs


def report(
    machine: Machine, kernel: Kernel, functions: dict[str, list[Instruction]], per: float
) -> dict[str, float]:
    """Prints the loops of a kernel; instructions per pair, the part of them in loops, and cycles per pair in each model."""
    parts = [
        part
        for name, body in functions.items()
        if re.search(kernel.functions, name)
        for part in pieces(machine, name, body)
    ]
    total = sum(insn.count for part in parts for insn in part.body)
    parts = [part for part in parts if part.rounds * len(part.body) >= 0.001 * total]
    rounds = [cycles(machine, model, parts) for model in machine.models]
    print(f"\n{kernel.name}, {machine.isa}")
    for part, each in zip(parts, zip(*rounds, strict=True), strict=True):
        share = part.rounds * len(part.body) / total
        if share >= 0.03:
            listed = ", ".join(
                f"{model} {c:.1f}" for model, c in zip(machine.models, each, strict=True)
            )
            kind = "loop" if part.is_loop else "once"
            print(
                f"  {100 * share:3.0f} % {kind} at {part.body[0].address:x} of {len(part.body)} instructions: {listed}"
                f"  {re.sub(r'.*namespace.::', '', part.function)[:50]}"
            )
    in_loops = sum(part.rounds * len(part.body) for part in parts if part.is_loop) / total
    taken = {
        model: sum(c * part.rounds for c, part in zip(each, parts, strict=True)) / per
        for model, each in zip(machine.models, rounds, strict=True)
    }
    return {"instructions": total / per, "in loops": in_loops, **taken}


def print_table(results: dict[str, dict[str, float]]) -> None:
    """All kernels: a row each."""
    columns = list(next(iter(results.values())))
    print("\n" + " | ".join(["kernel", *columns]))
    for name, row in results.items():
        print(" | ".join([name, *(f"{row[c]:.3g}" for c in columns)]))


def main() -> None:
    """Builds, runs and prints."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1]).resolve()
    names = [kernel.name for kernel in KERNELS]
    wanted = sys.argv[2:] or names
    for name in wanted:
        if name not in names:
            sys.exit(f"kernel: '{name}'; expected one of {', '.join(names)}")
    programs = [
        "cmake",
        "gcc",
        MCA,
        *(f"{m.tools}g++" for m in MACHINES),
        *(m.emulator[0] for m in MACHINES),
    ]
    if missing := [program for program in programs if shutil.which(program) is None]:
        sys.exit(f"not found: {', '.join(missing)}")
    folder.mkdir(parents=True, exist_ok=True)
    plugin = build_plugin(folder)
    runs = write_runs(folder)
    results: dict[str, dict[str, float]] = {name: {} for name in wanted}
    for machine in MACHINES:
        own = folder / machine.isa
        own.mkdir(exist_ok=True)
        driver = build(machine, own)
        code = disassemble(machine, driver)
        for name in sorted({kernel.run for kernel in KERNELS if kernel.name in wanted}):
            arguments, pairs = runs[name]
            counts, printed = count(machine, driver, plugin, arguments, own / f"{name}.counts")
            print(f"\n{name}, {machine.isa}: {printed.strip()}")
            for body in code.values():
                for insn in body:
                    insn.count = counts.get(insn.address, 0)
            for kernel in KERNELS:
                if kernel.run == name and kernel.name in wanted:
                    row = report(machine, kernel, code, pairs / 2 if kernel.half else pairs)
                    results[kernel.name].update((f"{machine.isa} {k}", v) for k, v in row.items())
    print_table(results)


if __name__ == "__main__":
    main()
