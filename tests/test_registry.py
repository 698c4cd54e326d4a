"""The registry: a potential is added without a line in any file."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from programs_data import PATIENCE

from mdkern import calculators, potentials, reference, registry
from mdkern._ase_plugin import __ase_plugins__
from mdkern.bench.kernels import KERNELS

ROOT = Path(__file__).resolve().parent.parent
TOY = Path(__file__).resolve().parent / "toy_potential"

# A potential of another package, in Python alone: its entry, and what the entry names.
ENTRY = """
from mdkern.registry import NUMBER, Entry, Files, Form

ENTRY = Entry(
    name="spring",
    title="Springs",
    calculator="Spring",
    potential="other_package:Spring",
    ase_name="other-spring",
    papers={"Springs": "M. Born and J. E. Mayer, Z. Phys. 75, 1 (1932)"},
    files=Files(formats="springs (.spring)", recognise="other_package:is_spring"),
    form=Form(
        name="spring",
        parameters={"k": NUMBER, "rc": NUMBER},
        example="spring:k=1,rc=3",
        help=("Springs (eV/Angstrom^2, Angstrom)",),
    ),
    benchmarks="other_package:KERNELS",
    reference=("other_package:springs",),
)
"""
PACKAGE = """
from pathlib import Path

from mdkern import reference
from mdkern.bench.case import Kernel, pair_counts, potential_case
from mdkern.potentials import Buckingham, Result


class Spring:
    # exp(-r), k times as stiff.

    species = None

    def __init__(self, path=None, *, k=1.0, rc=3.0):
        self.k = k if path is None else float(Path(path).read_text().split()[1])
        self.cutoff = rc
        self.unit = Buckingham(A=1.0, rho=1.0, rc=rc, shift=True)

    def compute(self, neighbors, *, virials=False, threads=0):
        r, k = self.unit.compute(neighbors, threads=threads), self.k
        return Result(k * r.energy, k * r.energies, k * r.forces, k * r.virial, None)


def is_spring(path):
    with open(path, "rb") as file:
        return file.read(7) == b"spring "


def springs(*arrays):
    *system, k, rc = arrays
    return reference.buckingham(*system, k, 1.0, 0.0, rc, shift=True)


def case(system):
    def formula(*arrays):
        return springs(*arrays, 1.0, 3.0)

    return potential_case("spring", COUNTS, system, Spring(), formula, 1e-11)


COUNTS = pair_counts(40)
KERNELS = {"spring": Kernel(case, COUNTS, ("copper-4000",), ("copper-4000",))}
"""

# Every place where a potential shows, as one dictionary.
SEEN = """
import contextlib, io, json, pickle, sys
import numpy as np
from ase.build import bulk
from ase.io import write

{before}
import mdkern
from mdkern import calculators, potentials, reference
from mdkern._ase_plugin import __ase_plugins__
from mdkern.bench.kernels import KERNELS
from mdkern.bench.systems import make
from mdkern.cli import main
from mdkern.md import VelocityVerlet


def printed(*words):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(list(words)) == 0
    return out.getvalue()


open("a.spring", "w").write("spring 1.0")
atoms = bulk("Cu", cubic=True) * 3
atoms.rattle(0.1, seed=1)
write("in.extxyz", atoms)
atoms.calc = mdkern.load("a.spring")
first = atoms.get_total_energy()
VelocityVerlet(atoms, 1.0).run(5)
calc = pickle.loads(pickle.dumps(atoms.calc))
case = KERNELS["spring"].make(make("cell-108"))
case.agree(case.run(1), case.baseline())
print(json.dumps({{
    "class": type(calc) is calculators.Spring and calc.potential_class is potentials.Spring,
    "name": calc.name,
    "module": type(calc).__module__,
    "listed": ["Spring" in x.__all__ for x in (calculators, potentials)] + ["springs" in reference.__all__],
    "drift": abs(atoms.get_total_energy() - first) / len(atoms),
    "plugins": [(x.name, x.citation, x.implementation is calculators.Spring) for x in __ase_plugins__ if "spring" in x.name],
    "kernels": list(KERNELS),
    "cite": printed("info", "--cite"),
    "cited": printed("info", "--cite", "a.spring"),
    "info": printed("info", "a.spring"),
    "evaluate": printed("evaluate", "in.extxyz", "--potential", "spring:k=1,rc=3", "--json"),
    "help": __import__("mdkern.cli.potential").cli.potential.HELP,
    "formats": mdkern.registry.file_formats(),
}}))
"""


def outside(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run code where `folder` is on the path of modules, as the folder of an environment is."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)])},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120 * PATIENCE,
        check=False,
    )


def install(folder: Path, entry_points: str, name: str = "other_package") -> None:
    """What pip leaves of a package that has these entry points."""
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{entry_points}\n")


def check_spring(run: subprocess.CompletedProcess[str]) -> None:
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    seen: dict[str, Any] = json.loads(run.stdout)
    assert seen["class"]
    assert (seen["name"], seen["module"]) == ("other-spring", "mdkern.calculators")
    assert seen["listed"] == [True, True, True]
    assert seen["drift"] < 1e-3
    paper = "M. Born and J. E. Mayer, Z. Phys. 75, 1 (1932)"
    if __ase_plugins__:  # an ASE that has them
        assert seen["plugins"] == [["other-spring", paper, True]]
    assert "spring" in seen["kernels"]
    assert paper in seen["cite"]
    assert seen["cited"].splitlines()[-1] == f"Springs         {paper}"
    assert "springs (.spring)" in seen["info"]
    assert json.loads(seen["evaluate"])["frames"] == 1
    row = "\n  spring:k=1,rc=3                         Springs (eV/Angstrom^2, Angstrom)\n"
    assert row in seen["help"]
    assert "springs (.spring)" in seen["formats"]
    assert f",\n{'':59}springs (.spring)" in seen["help"]


@pytest.mark.quick
def test_a_potential_of_another_package(tmp_path: Path) -> None:
    (tmp_path / "other_package.py").write_text(PACKAGE)
    (tmp_path / "other_package_entry.py").write_text(ENTRY)
    install(tmp_path, "spring = other_package_entry:ENTRY")
    check_spring(outside(tmp_path, SEEN.format(before="")))


def test_a_potential_whose_entry_is_laid_into_the_folder(tmp_path: Path) -> None:
    (tmp_path / "other_package.py").write_text(PACKAGE)
    (tmp_path / "entries").mkdir()
    (tmp_path / "entries" / "spring.py").write_text(ENTRY)
    before = "import mdkern.registry\nmdkern.registry.__path__.append('entries')"
    check_spring(outside(tmp_path, SEEN.format(before=before)))


@pytest.mark.parametrize(
    ("point", "code", "message"),
    [
        ("missing_package:ENTRY", "", "ModuleNotFoundError: No module named 'missing_package'"),
        ("other:ENTRY", "ENTRY = 1 / 0", "ZeroDivisionError: division by zero"),
        ("other:ENTRY", "ENTRY = 'spring'", "str; expected mdkern.registry.Entry"),
        (
            "other:ENTRY",
            "from mdkern.registry.eam import ENTRY",
            "'EAM' is the name of another potential",
        ),
    ],
)
def test_an_entry_that_is_no_good_is_left_out(
    point: str, code: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "other.py").write_text(code)
    install(tmp_path, f"mine = {point}")
    run = outside(
        tmp_path, "from mdkern.calculators import EAM; print(EAM.zhou2004(['Cu']).cutoff)"
    )
    assert run.returncode == 0, run.stderr
    assert float(run.stdout) > 5.0
    said = f"MDKernWarning: entry point mine = {point} of mdkern.potentials: {message}; this potential is left out"
    assert said in run.stderr


# --- the entries of mdkern -----------------------------------------------------------------------


@pytest.mark.quick
def test_entries_are_complete() -> None:
    own = [e for e in registry.entries() if e.potential.startswith("mdkern.")]
    assert len(own) >= 9
    for entry in own:
        assert entry.citation, entry.name
        assert (ROOT / "docs" / entry.page).exists(), entry.name
        made = getattr(calculators, entry.calculator)
        assert (made.name, made.__name__) == (entry.ase_name, entry.calculator)
        assert made.potential_class is getattr(potentials, entry.calculator)
        assert issubclass(made, registry.resolve(entry.base))
        for name in entry.reference:
            assert getattr(reference, name.partition(":")[2]) is registry.resolve(name)
        if entry.benchmarks:
            assert registry.resolve(entry.benchmarks).keys() <= KERNELS.keys()
        for name in () if entry.files is None else (entry.files.recognise, entry.files.describe):
            assert not name or callable(registry.resolve(name))
        if entry.form is not None:
            assert entry.form.example.partition(":")[0] == entry.form.name
            assert not entry.form.make or callable(registry.resolve(entry.form.make))
    names = [x for e in own for x in {e.name, e.calculator, e.ase_name, *e.words}]
    names += [name for name in registry.forms() if name not in names]
    assert len(set(names)) == len(names)
    pages = {entry.page for entry in own}
    assert {f"potentials/{p.name}" for p in (ROOT / "docs" / "potentials").glob("*.md")} <= pages


@pytest.mark.quick
def test_files_are_asked_in_the_order_of_their_marks() -> None:
    asked = [entry.name for entry, _ in registry.entries_with_files()]
    known = ["linear", "nep_tensor", "nep", "deepmd", "eam"]
    assert [name for name in asked if name in known] == known
    assert asked[-1] == "eam"


def test_names_that_are_not_there() -> None:
    for module in (calculators, potentials):
        with pytest.raises(
            AttributeError, match=f"module '{module.__name__}' has no attribute 'No'"
        ):
            _ = module.No
        assert set(module.__all__) <= set(dir(module))


def test_threads_get_the_same_class() -> None:
    """A calculator's class is made at its first use; pickle wants the one that the module has."""
    code = """
import threading
from mdkern import calculators
found, barrier = [], threading.Barrier(8)
def use():
    barrier.wait()
    found.append(calculators.Morse)
threads = [threading.Thread(target=use) for _ in range(8)]
[t.start() for t in threads], [t.join() for t in threads]
assert len(found) == 8 and len(set(found)) == 1 and found[0] is calculators.Morse
"""
    run = outside(Path.cwd(), code)
    assert run.returncode == 0, run.stderr


# --- a potential with a kernel, laid over the tree: built and run by .ci/run ---------------------


@pytest.mark.quick
def test_the_toy_potential_touches_no_file() -> None:
    files = [
        p.relative_to(TOY) for p in TOY.rglob("*") if p.is_file() and "__pycache__" not in p.parts
    ]
    files.remove(Path("README.md"))  # stays where it is
    there = {str(path) for path in files}
    assert not [path for path in sorted(there) if (ROOT / path).exists()]
    for wanted in (
        r"cpp/potentials/\w+_kernel\.cpp", r"cpp/potentials/soft_sphere\.cpp", r"src/mdkern/potentials/\w+\.py",
        r"src/mdkern/registry/\w+\.py", r"src/mdkern/reference/\w+\.py", r"src/mdkern/bench/cases/\w+\.py",
        r"tests/test_\w+\.py", r"tests/fuzz/formats_\w+\.py", r"tests/data/classical/cases_\w+\.json", r"tools/lammps_\w+\.py", r"benchmarks/bench_\w+\.py", r"docs/potentials/\w+\.md",
    ):  # fmt: skip
        assert any(re.fullmatch(wanted, path) for path in there), wanted
