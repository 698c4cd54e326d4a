"""Task runner: ``nox -s lint|tests|cpp|bench|docs|isa|sanitize|tsan|stubs|tidy``, or all of .ci/run with ``nox -s ci``."""

from __future__ import annotations

from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["lint", "tests"]
nox.options.default_venv_backend = "venv"

BUILD = Path("build")


@nox.session
def lint(session: nox.Session) -> None:
    """Linters, formatters, types, spelling."""
    session.install("ruff", "mypy", "codespell", "clang-format", "ase", "rich")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("codespell")
    sources = sorted(str(p) for p in Path("cpp").rglob("*.?pp"))
    session.run("clang-format", "--dry-run", "-Werror", *sources)


@nox.session
def tests(session: nox.Session) -> None:
    """The test suite, on the installed package."""
    session.install(".[test]")
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
def sanitize(session: nox.Session) -> None:
    """Quick tests under AddressSanitizer and UndefinedBehaviorSanitizer."""
    session.install("ase", "numpy", "pytest", "hypothesis", "threadpoolctl", "pytest-benchmark")
    session.run("bash", "tools/sanitize.sh", "python", *session.posargs, external=True)


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
        env={"SKBUILD_BUILD_DIR": str(folder), "SKBUILD_CMAKE_DEFINE": "CMAKE_EXPORT_COMPILE_COMMANDS=ON"},
    )  # fmt: skip
    sources = sorted(
        str(p)
        for part in ("core", "neighbors", "potentials", "bindings")
        for p in Path("cpp", part).glob("*.cpp")
        if not p.name.endswith("_kernel.cpp")
    )
    session.run("clang-tidy", "--quiet", "-p", str(folder), *sources)


@nox.session(venv_backend="none")
def ci(session: nox.Session) -> None:
    """What must pass before a change lands."""
    session.run("bash", ".ci/run")
