"""The package as it is imported and found."""

from __future__ import annotations

import importlib
import importlib.metadata
import pickle
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

import mdkern
from mdkern.errors import FormatError, MDKernError, MDKernWarning, UnsupportedError


def output(code: str, *options: str) -> str:
    run = subprocess.run(
        [sys.executable, *options, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return run.stdout.strip()


HEAVY = "print(*[m for m in ('ase', 'numpy', 'scipy', 'matplotlib', 'mdkern._core') if m in sys.modules])"


def test_import_is_light_and_silent() -> None:
    assert output(f"import sys, mdkern; {HEAVY}", "-W", "error") == ""


def test_what_needs_no_ase_does_not_load_it() -> None:
    code = """
import sys, mdkern
mdkern.primitive_neighbor_list("ijdDS", True, [3, 3, 3], [[0, 0, 0]], 4.0)
mdkern.info(), mdkern.get_num_threads(), mdkern.NeighborList(3.0), mdkern.__version__
print("ase" in sys.modules)
"""
    assert output(code, "-W", "error") == "False"


def test_the_plugin_module_does_not_load_the_core() -> None:
    code = "import sys, mdkern._ase_plugin; print('mdkern._core' in sys.modules)"
    assert output(code) == "False"


def test_every_name_is_there() -> None:
    assert len(set(mdkern.__all__)) == len(mdkern.__all__)
    for name in mdkern.__all__:
        assert getattr(mdkern, name) is not None
        assert name in dir(mdkern)
    wanted = {
        "neighbor_list", "primitive_neighbor_list", "neighbor_list_batch", "NeighborList", "load",
        "info", "get_isa", "set_isa", "get_num_threads", "set_num_threads", "num_threads",
        "calculators", "__version__", "FormatError", "UnsupportedError", "MDKernError",
    }  # fmt: skip
    assert wanted <= set(mdkern.__all__)
    with pytest.raises(AttributeError, match="module 'mdkern' has no attribute 'nothing'"):
        _ = mdkern.nothing
    with pytest.raises(ImportError):
        importlib.import_module("mdkern.nothing")


def test_star_import() -> None:
    code = "from mdkern import *; print(neighbor_list.__module__, FormatError.__name__)"
    assert output(code) == "mdkern.neighbors FormatError"


@pytest.mark.parametrize(
    "module", ["calculators", "neighbors", "potentials", "reference", "errors"]
)
def test_all_of_the_modules(module: str) -> None:
    loaded = importlib.import_module(f"mdkern.{module}")
    for name in loaded.__all__:
        item = getattr(loaded, name)
        assert item.__doc__


def test_version_is_that_of_the_project() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", mdkern.__version__)
    project = Path(__file__).resolve().parents[1] / "pyproject.toml"
    if project.exists():
        assert f'version = "{mdkern.__version__}"' in project.read_text()


def test_typed() -> None:
    assert files("mdkern").joinpath("py.typed").is_file()


# --- errors -------------------------------------------------------------------------------------


def test_format_errors() -> None:
    error = FormatError("bad number 'x'", path="some/file", line=7)
    assert str(error) == "some/file:7: bad number 'x'"
    assert (error.path, error.line) == ("some/file", 7)
    assert isinstance(error, (MDKernError, ValueError))
    assert isinstance(error, ValueError)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.path, again.line) == (str(error), "some/file", 7)
    assert str(FormatError("m", path=Path("p"))) == "p: m"
    assert str(FormatError("m", line=3)) == "line 3: m"
    assert str(FormatError("m")) == "m"
    assert FormatError("m").path is None
    assert issubclass(UnsupportedError, MDKernError)
    assert issubclass(UnsupportedError, NotImplementedError)
    assert issubclass(MDKernWarning, UserWarning)


# --- ASE's plugins ------------------------------------------------------------------------------


def test_plugins_point_at_our_calculators() -> None:
    pytest.importorskip("ase._4.plugins.plugin")
    from mdkern._ase_plugin import __ase_plugins__

    found = {}
    for plugin in __ase_plugins__:
        found[plugin.name] = plugin.implementation
        assert plugin.citation
    from mdkern import calculators

    own = [getattr(calculators, name) for name in calculators.__all__]
    own = [x for x in own if isinstance(x, type) and x is not calculators.Calculator]
    found.pop("mdkern", None)  # the neighbor list, of an ASE that takes such
    assert {x.name: x for x in own} == found


def test_ase_lists_the_plugins() -> None:
    try:
        points = importlib.metadata.distribution("mdkern").entry_points
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("mdkern is not installed")
    pytest.importorskip("ase._4.plugins.plugin")
    assert [p.value for p in points if p.group == "ase.plugins"] == ["mdkern._ase_plugin"]
    run = subprocess.run(
        [sys.executable, "-m", "ase", "info", "--plugins"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "mdkern" in run.stdout
