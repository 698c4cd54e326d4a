"""The tools that compare two builds, those that count, and what scripts make of arguments and of programs that fail."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mdkern.bench.kernels import KERNELS

ROOT = Path(__file__).resolve().parent.parent
CASE = "neighbor_list open-20 2.5"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, cwd=ROOT
    )


def test_golden_finds_a_changed_fingerprint(tmp_path: Path) -> None:
    file = str(tmp_path / "golden.json")
    tool = ("tools/golden.py", "compare", file, "--only", CASE)
    assert run("tools/golden.py", "write", file, "--only", CASE).returncode == 0
    same = run(*tool)
    assert same.returncode == 0, same.stderr
    assert " 0 differ" in same.stdout
    stored = json.loads(Path(file).read_text())
    first = next(iter(stored))
    stored[first]["number False d"] = "another"
    del stored[first]["number False S"]
    Path(file).write_text(json.dumps(stored))
    other = run(*tool)
    assert other.returncode == 1
    assert f"differs: {first}: number False d" in other.stdout
    assert f"differs: {first}: number False S" in other.stdout
    assert " 2 differ" in other.stdout


def test_compare_builds_times_every_case() -> None:
    done = run("benchmarks/compare_builds.py", sys.executable, sys.executable, "--quick")
    assert done.returncode == 0, done.stderr
    *rows, worst = done.stdout.splitlines()
    ratios = {row[:44].strip(): float(row[44:].split()[0]) for row in rows}
    assert {"LennardJones, 20 atoms", "MD step EAM, 108 atoms", "SOAP values"} <= set(ratios)
    kernels = {name.split(",")[0].removeprefix("kernel ") for name in ratios}
    assert {name for name in KERNELS if not name.endswith("_single")} <= kernels
    assert all(0.1 < x < 10 for x in ratios.values())
    name, ratio = worst.removeprefix("worst: ").rsplit(", ", 1)
    assert float(ratio) == ratios[name] == min(ratios.values())


@pytest.mark.parametrize("isa", ["avx2", "neon"])
def test_arm_model_counts_the_rounds_of_a_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isa: str
) -> None:
    """Of a program that says itself how often its loops go round."""
    spec = importlib.util.spec_from_file_location("arm_model", ROOT / "tools" / "arm_model.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "arm_model", tool)
    spec.loader.exec_module(tool)
    machine = next(m for m in tool.MACHINES if m.isa == isa)
    programs = (f"{machine.tools}gcc", f"{machine.tools}objdump", machine.emulator[0], "gcc")
    if missing := [program for program in programs if shutil.which(program) is None]:
        pytest.skip(f"no {missing[0]}")
    source, program = tmp_path / "program.c", tmp_path / "program"
    source.write_text("""#include <stdio.h>
__attribute__((noinline)) unsigned counted(unsigned rows, unsigned columns) {
    unsigned x = 1;
    for (unsigned i = 0; i < rows; ++i) {
        for (unsigned j = 0; j < columns; ++j) __asm__ volatile("" : "+r"(x));
        if (i % 8 == 7) x = x * 3 + 1;
    }
    return x;
}
int main(void) { return printf("%u\\n", counted(40, 1000)) < 0; }
""")
    flags = ("-O1", "-static", "-no-pie")
    subprocess.run([programs[0], *flags, str(source), "-o", str(program)], check=True)
    counts, printed = tool.count(
        machine, program, tool.build_plugin(tmp_path), [], tmp_path / "counts"
    )
    x = 1
    for _ in range(5):
        x = 3 * x + 1
    assert int(printed) == x
    (body,) = (
        b for name, b in tool.disassemble(machine, program, "counted").items() if name == "counted"
    )
    for insn in body:
        insn.count = counts.get(insn.address, 0)
    parts = list(tool.pieces(machine, "counted", body))
    loops = [part for part in parts if part.is_loop]
    assert loops[0].rounds == 40 * 1000
    assert 2 <= len(loops[0].body) <= 4
    assert {part.rounds for part in parts} <= {40000, 40, 39, 35, 5, 1}
    assert sum(insn.count for insn in body) == sum(i.count for part in parts for i in part.body)


def stand_in(path: Path, script: str = "exit 1") -> None:
    """A program that is a few lines of the shell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def run_tool(
    name: str, *arguments: str, cwd: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A script of tools/ with the programs of the folder `bin` in front of those of this machine."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    around = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}  # of the sanitizers
    around["PATH"] = f"{cwd / 'bin'}{os.pathsep}{around['PATH']}"
    return subprocess.run(
        [bash, str(ROOT / "tools" / name), *arguments],
        cwd=cwd,
        env={**around, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


FOR_ARM = ("apt-get", "dpkg", "aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++", "qemu-aarch64", "cmake", "ninja")  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        ([], {}, "FOLDER: not given; expected arm_python.sh FOLDER"),
        (["{}/a"], {"PATH": "/nowhere"}, "apt-get: not on PATH"),
        (["{}/a"], {"PYTHON": "no-python"}, "no-python: not on PATH"),
        (["{}/a"], {"PYTHON": "ninja"}, "PYTHON: 'ninja'; expected a Python that has pip"),
        *[(["{}/" + name], {}, "expected a path without spaces, quotes and backslashes")
          for name in ("it's", 'a"b', "a b", "a\\b")],
    ],
)  # fmt: skip
def test_what_the_emulated_python_needs_is_said_first(
    arguments: list[str], environment: dict[str, str], said: str, tmp_path: Path
) -> None:
    """tools/arm_python.sh: an argument or a program that is missing, before anything is fetched."""
    for name in FOR_ARM:
        stand_in(tmp_path / "bin" / name)
    stand_in(tmp_path / "bin" / "python", "exit 0")
    made = [argument.format(tmp_path) for argument in arguments]
    done = run_tool("arm_python.sh", *made, cwd=tmp_path, **{"PYTHON": "python", **environment})
    assert done.returncode == 1
    assert said in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


# A Python that writes down what it is asked for, and installs what the scripts look for afterwards.
PYTHON = """
echo "$*" >>"$LOG"
case $* in
*pip\\ install*--target*)
    while [ "$1" != --target ]; do shift; done
    mkdir -p "$2/mdkern" && : >"$2/mdkern/libmdkern.so" ;;
-c*potentials_data*) [ "$FAILING" != models ] ;;
esac
"""
# A compiler of programs that fail where they are to.
COMPILER = """
case $* in -print-file-name=*) echo /nowhere; exit ;; esac
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\n[ "$FAILING" != "%s$([ "$1" != --large ] || echo -large)" ]\\n' "${2##*/}" >"$2"
chmod +x "$2"
"""


@pytest.mark.parametrize(
    "failing", ["", "models", "test_potentials", "test_threads", "test_threads-large"]
)
def test_every_program_under_threadsanitizer_counts(failing: str, tmp_path: Path) -> None:
    """tools/tsan.sh: one that fails, whatever those after it say."""
    stand_in(tmp_path / "bin" / "python", PYTHON)
    stand_in(tmp_path / "bin" / "compiler", COMPILER)
    stand_in(tmp_path / "bin" / "ldd", f"echo 'libomp.so => {tmp_path}/libomp.so (0x0)'")
    (tmp_path / "libomp.so").touch()
    (tmp_path / "libarcher.so").touch()
    log = tmp_path / "log"
    # A relative path is one of the folder that the script is called in.
    done = run_tool("tsan.sh", "bin/python", cwd=tmp_path, CXX="compiler", LOG=str(log), FAILING=failing)  # fmt: skip
    assert (done.returncode != 0) == bool(failing), done.stderr
    assert "potentials_data" in log.read_text()


def test_a_relative_path_of_python_is_the_callers(tmp_path: Path) -> None:
    """Of tools/sanitize.sh, which works elsewhere."""
    stand_in(tmp_path / "bin" / "python", PYTHON)
    stand_in(tmp_path / "bin" / "compiler", COMPILER)
    log = tmp_path / "log"
    done = run_tool("sanitize.sh", "bin/python", "-x", cwd=tmp_path, CXX="compiler", LOG=str(log))
    assert done.returncode == 0, done.stderr
    assert log.read_text().splitlines()[-1] == "-m pytest -m quick -x"
