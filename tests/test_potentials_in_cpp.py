"""Every potential by its contract in C++, without Python: cpp/tests/test_potentials.cpp on the installed library."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from potentials_data import MADE

import mdkern

pytestmark = pytest.mark.quick
ROOT = Path(__file__).parent.parent
SANITIZED = "libasan" in os.environ.get("LD_PRELOAD", "")


def test_potentials_in_cpp(tmp_path: Path) -> None:
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if compiler is None or not (ROOT / "cpp").is_dir():
        pytest.skip("no C++ compiler, or no sources")
    library = mdkern.get_library()
    program = tmp_path / "test_potentials"
    flags = ["-std=c++17", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'cpp'}"]
    if SANITIZED:
        flags += ["-fsanitize=address,undefined", "-g1"]
    isas = mdkern.info()["isas_compiled"]
    if "avx512" in isas:
        flags += ["-DMDKERN_HAVE_AVX2=1", "-DMDKERN_HAVE_AVX512=1"]
    source = str(ROOT / "cpp" / "tests" / "test_potentials.cpp")
    link = [library, f"-Wl,-rpath,{Path(library).parent}", "-lpthread"]
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    subprocess.run(
        [compiler, *flags, source, *link, "-o", str(program)], check=True, env=environment
    )
    for name, make in MADE.items():
        make().potential.export(tmp_path / f"{name}.mdk")
    models = sorted(f"{name}.mdk" for name in MADE)
    # All repetitions where all kernels are built; other builds are tested beside such a one.
    few = SANITIZED or isas == ["scalar"] or os.environ.get("MDKERN_TEST_ISAS") == "widest"
    done = subprocess.run(
        [str(program), *(["--few"] if few else []), *models],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "MDKERN_ISA": mdkern.get_isa()},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(models)} models, 0 failures" in done.stdout
