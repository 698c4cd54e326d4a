"""Programs of cpp/tests on the installed library, without Python: every potential by its contract, and what threads share."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from potentials_data import MADE
from programs_data import EMULATOR, SANITIZED

import mdkern

pytestmark = pytest.mark.quick
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a model of every potential, which takes longer to write than a program to compile."""
    place = tmp_path_factory.mktemp("models")
    for model, make in MADE.items():
        make().potential.export(place / f"{model}.mdk")
    return place


def built(name: str, folder: Path) -> tuple[Path, dict[str, str], list[str]]:
    """A program of cpp/tests, linked to the installed library; its environment, and models that it takes."""
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if compiler is None or not (ROOT / "cpp").is_dir():
        pytest.skip("no C++ compiler, or no sources")
    library = mdkern.get_library()
    program = folder / name
    # With sanitizers, -O1 takes twice as long to compile as -O0, and the kernels are in the library.
    flags = ["-std=c++17", "-fPIC", "-O0" if SANITIZED else "-O1", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'cpp'}"]  # fmt: skip
    if SANITIZED:
        flags += ["-fsanitize=address,undefined", "-g1"]
    flags += [f"-DMDKERN_HAVE_{isa.upper()}=1" for isa in mdkern.info()["isas_compiled"]]
    source = str(ROOT / "cpp" / "tests" / f"{name}.cpp")
    link = [library, f"-Wl,-rpath,{Path(library).parent}", "-lpthread"]
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    subprocess.run(
        [compiler, *flags, source, *link, "-o", str(program)], check=True, env=environment
    )
    models = sorted(f"{model}.mdk" for model in MADE)
    return program, {**environment, "MDKERN_ISA": mdkern.get_isa()}, models


def run(program: Path, environment: dict[str, str], arguments: list[str]) -> str:
    done = subprocess.run(
        [*EMULATOR, str(program), *arguments],
        cwd=program.parent,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_potentials_in_cpp(folder: Path) -> None:
    """cpp/tests/test_potentials.cpp: every potential by its contract, without Python."""
    program, environment, models = built("test_potentials", folder)
    # All repetitions where all kernels are built; other builds are tested beside such a one.
    isas = mdkern.info()["isas_compiled"]
    few = (
        SANITIZED
        or EMULATOR
        or isas == ["scalar"]
        or os.environ.get("MDKERN_TEST_ISAS") == "widest"
    )
    said = run(program, environment, [*(["--few"] if few else []), *models])
    assert f"{len(models)} models, 0 failures" in said


# Under AddressSanitizer the threads of the tests in Python do; races are ThreadSanitizer's: tools/tsan.sh
@pytest.mark.skipif(SANITIZED, reason="takes a minute under the sanitizers")
def test_threads_in_cpp(folder: Path) -> None:
    """cpp/tests/test_threads.cpp: what threads share, without Python."""
    program, environment, models = built("test_threads", folder)
    assert f"{len(models)} models, 0 failures" in run(program, environment, models)
