"""What is installed: one version, complete and current stubs, nothing that does not belong there."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from importlib import metadata
from importlib.resources import files
from pathlib import Path

import pytest

import mdkern
from mdkern import MDKernWarning, _core

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def installed() -> metadata.Distribution:
    """The installed distribution; tests that need it are skipped in a source tree on PYTHONPATH."""
    try:
        return metadata.distribution("mdkern")
    except metadata.PackageNotFoundError:
        pytest.skip("mdkern is not installed")


@pytest.fixture(scope="module")
def stub() -> ast.Module:
    return ast.parse(files("mdkern").joinpath("_core.pyi").read_text())


def defined(body: list[ast.stmt]) -> set[str]:
    """Names that statements of a stub define."""
    names = set()
    for node in body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def public(item: object) -> set[str]:
    return {name for name in dir(item) if not name.startswith("_")}


def test_one_version(installed: metadata.Distribution) -> None:
    assert installed.version == _core.__version__ == mdkern.__version__


def test_the_installed_package_is_the_tested_one(installed: metadata.Distribution) -> None:
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        pytest.skip("editable installation")
    root = Path(str(installed.locate_file(""))).resolve()
    for module in (mdkern, _core):
        assert module.__file__ is not None
        assert Path(module.__file__).resolve().is_relative_to(root)


def test_only_the_package_is_installed(installed: metadata.Distribution) -> None:
    """And of sources in C++ those alone that are compiled where LAMMPS is."""
    assert installed.files
    sources = []
    for path in installed.files:
        assert re.match(r"mdkern/|mdkern-[^/]*\.dist-info/|.*bin/mdkern$", path.as_posix()), path
        assert path.suffix not in (".hpp", ".o", ".a"), path
        if path.suffix == ".cpp":
            sources.append(path.as_posix())
    assert sorted(sources) == [
        f"mdkern/lammps/plugin/{name}.cpp" for name in ("pair_mdkern", "plugin")
    ]


def test_requirements(installed: metadata.Distribution) -> None:
    needed = [r for r in installed.requires or [] if "extra ==" not in r]
    assert {re.split(r"[^\w.-]", r)[0] for r in needed} == {"numpy", "ase"}


def test_entry_points(installed: metadata.Distribution) -> None:
    found = {(e.group, e.name): e for e in installed.entry_points}
    assert callable(found["console_scripts", "mdkern"].load())
    assert found["ase.plugins", "mdkern"].load() is importlib.import_module("mdkern._ase_plugin")


def test_typed() -> None:
    assert files("mdkern").joinpath("py.typed").is_file()


def test_stubs_have_the_names_of_the_core(stub: ast.Module) -> None:
    names = defined(stub.body)
    assert {name for name in names if not name.startswith("_")} == public(_core)
    for name in names - {"__all__"}:
        assert hasattr(_core, name), name


def test_stubs_have_the_members_of_the_classes(stub: ast.Module) -> None:
    classes = [node for node in stub.body if isinstance(node, ast.ClassDef)]
    assert classes
    for node in classes:
        members = {name for name in defined(node.body) if not name.startswith("_")}
        cls = getattr(_core, node.name)
        inherited = {name for base in cls.__bases__ for name in public(base)}
        assert members | inherited == public(cls), node.name


def test_stubs_have_the_arguments_of_the_functions(stub: ast.Module) -> None:
    """pybind11 writes the signature into the first line of the docstring."""
    functions = [node for node in stub.body if isinstance(node, ast.FunctionDef)]
    assert functions
    for node in functions:
        signature = str(getattr(_core, node.name).__doc__).splitlines()[0]
        for argument in (*node.args.args, *node.args.kwonlyargs):
            assert re.search(rf"[(,] ?{argument.arg}:", signature), (node.name, signature)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"CXX": "/nonexistent/g++"}, "No C++ compiler (CXX: '/nonexistent/g++')"),
        ({"CXX": "g++", "CXXFLAGS": "-U__GNUC__ -D__GNUC__=8"}, "is GNU 8."),
    ],
)
def test_a_build_without_a_compiler_says_what_is_needed(
    environment: dict[str, str], said: str, tmp_path: Path
) -> None:
    cmake, make = shutil.which("cmake"), shutil.which("ninja") or shutil.which("make")
    if cmake is None or make is None or not shutil.which("g++"):
        pytest.skip("needs cmake, ninja or make, and g++")
    generator = "Ninja" if Path(make).name == "ninja" else "Unix Makefiles"
    run = subprocess.run(
        [cmake, "-G", generator, f"-DCMAKE_MAKE_PROGRAM={make}", "-S", str(ROOT), "-B", str(tmp_path)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )  # fmt: skip
    message = " ".join(run.stderr.split())  # CMake breaks the lines
    assert run.returncode != 0
    assert said in message
    assert "mdkern needs a C++17 compiler, GCC 9 or Clang 10 or newer" in message
    assert "apt install g++" in message


def declared() -> str:
    return (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def extras() -> dict[str, str]:
    """The extras of pyproject.toml, each with the text of its list."""
    table = declared().partition("[project.optional-dependencies]\n")[2].partition("\n[")[0]
    return dict(re.findall(r"^(\w+) = \[(.*?)\]$", table, flags=re.DOTALL | re.MULTILINE))


def test_the_documented_extras_are_those_that_exist() -> None:
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    table = page.partition("## Extras\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", table, flags=re.MULTILINE))
    assert list(rows) == list(extras())
    for name in ("cli", "plot", "h5md", "deepmd", "dask", "dpdata"):
        for package in re.findall(r'"([\w.-]+)', extras()[name]):
            assert package in rows[name], (name, package)


def test_the_lowest_versions_are_those_declared() -> None:
    """tools/lowest_versions.py knows every requirement of the build, the package and the tests."""
    run = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "lowest_versions.py")],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = run.stdout.splitlines()
    names = {re.split("==", line)[0] for line in found}
    assert {"scikit-build-core", "pybind11", "numpy", "ase", "h5py", "pytest"} <= names
    for line in found:
        assert f'"{line.replace("==", ">=", 1)}"' in declared(), line


def test_warnings_of_our_code_are_errors_and_those_of_dependencies_are_not() -> None:
    """Which modules are ours: the filters in pyproject.toml list them, also helpers of tests and benchmarks."""
    for module in ("ase.cell", "numpy.lib", "matplotlib.tests_data", "importlib._bootstrap"):
        with warnings.catch_warnings(record=True) as seen:
            warnings.warn_explicit("theirs", DeprecationWarning, "file.py", 1, module)
        assert len(seen) == 1
    files = [*ROOT.glob("tests/*.py"), *ROOT.glob("benchmarks/*.py")]
    for module in ("mdkern.io.eam", "mdkern", "__main__", *(path.stem for path in files)):
        with pytest.raises(DeprecationWarning, match="ours"):
            warnings.warn_explicit("ours", DeprecationWarning, "file.py", 1, module)
    with pytest.raises(MDKernWarning, match="any"):
        warnings.warn_explicit("any", MDKernWarning, "file.py", 1, "ase.calculators")
