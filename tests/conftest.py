"""Settings of every test: instruction sets, threads, Hypothesis."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Before NumPy is imported. BLAS has little to do here, and where something else runs on the machine the threads of
# OpenBLAS wait for each other at every call: the relaxations of ASE that ours are compared with took 25 times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from ase.build import bulk
from ase.io import write
from hypothesis import HealthCheck, settings

import mdkern

# What runs choose does not depend on what the user keeps.
_FOLDER = tempfile.TemporaryDirectory(prefix="mdkern-tests-")
os.environ["MDKERN_TUNE_FILE"] = str(Path(_FOLDER.name, "tuning.json"))
os.environ.pop("MDKERN_TUNE", None)
mdkern.tuning.MODE = ""  # as it was read at import

collect_ignore = ["toy_potential"]  # its tests run where it is built in: .ci/run

pytest.register_assert_rewrite(
    "cli_checks", "contracts", "descriptor_checks", "md_checks", "neighbor_checks"
)


def pytest_configure(config: pytest.Config) -> None:
    """Our warnings are errors wherever they point to; pyproject.toml would import mdkern too early."""
    config.addinivalue_line("filterwarnings", "error::mdkern.MDKernWarning")


settings.register_profile(
    "mdkern",
    deadline=None,
    max_examples=25,
    derandomize=bool(os.environ.get("CI")),
    database=None,
    # `isa` and `threads` are set before the first example and hold for all of them.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("mdkern")


@pytest.fixture(autouse=True)
def _settings() -> Iterator[None]:
    """No test leaves its number of threads or instruction set to the next one."""
    threads, isa = mdkern.get_num_threads(), mdkern.get_isa()
    yield
    mdkern.set_num_threads(threads)
    mdkern.set_isa(isa)


def isas() -> list[str]:
    """Instruction sets to test: all that are built in and that this CPU has, or the last of them."""
    supported: list[str] = mdkern.info()["isas_supported"]
    return supported[-1:] if os.environ.get("MDKERN_TEST_ISAS") == "widest" else supported


@pytest.fixture(params=isas())
def isa(request: pytest.FixtureRequest) -> str:
    """Runs the test once for each of them."""
    mdkern.set_isa(request.param)
    return str(request.param)


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> int:
    """Runs the test with one, two and three threads, whatever the number of CPUs."""
    mdkern.set_num_threads(request.param)
    return int(request.param)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def copper(here: Path) -> str:
    write(here / "cu.extxyz", bulk("Cu", a=3.63, cubic=True) * (3, 3, 3))
    return "cu.extxyz"


@pytest.fixture
def argon(here: Path) -> str:
    write(here / "ar.extxyz", bulk("Ar", a=5.4, cubic=True) * (4, 4, 4))
    return "ar.extxyz"
