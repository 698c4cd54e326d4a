"""What is installed: one version, complete and current stubs, nothing that does not belong there."""

from __future__ import annotations

import ast
import importlib
import json
import re
from importlib import metadata
from importlib.resources import files
from pathlib import Path

import pytest

import mdkern
from mdkern import _core


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
    assert installed.files
    for path in installed.files:
        assert re.match(r"mdkern/|mdkern-[^/]*\.dist-info/|.*bin/mdkern$", path.as_posix()), path
        assert path.suffix not in (".cpp", ".hpp", ".o", ".a"), path


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
