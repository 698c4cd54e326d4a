"""mdkern's calculators as ASE expects calculators to be."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import ase
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import (
    CalculationFailed,
    InputError,
    PropertyNotImplementedError,
    all_changes,
)
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from ase.outputs import all_outputs
from reference_data import OWN

import mdkern
from mdkern.calculators import EAM, Buckingham, Calculator, LennardJones, Morse, load
from mdkern.errors import FormatError, MDKernError
from mdkern.registry import file_formats

ALLOY = OWN / "synthetic.eam.alloy"
MAKERS = {
    "lj": lambda **kw: LennardJones(epsilon=0.4, sigma=2.3, rc=5.5, **kw),
    "lj_mixture": lambda **kw: LennardJones(
        epsilon={"Cu": 0.4, "Ni": 0.3}, sigma={"Cu": 2.3, "Ni": 2.2}, rc=5.5, **kw
    ),
    "lj_pairs": lambda **kw: LennardJones(
        pairs={"Cu-Cu": {"epsilon": 0.4, "sigma": 2.3, "rc": 5.0}}, force_shift=True, **kw
    ),
    "morse": lambda **kw: Morse(D=0.34, alpha=1.36, r0=2.87, rc=6.0, **kw),
    "eam": lambda **kw: EAM(ALLOY, **kw),
    "zhou2004": lambda **kw: EAM.zhou2004(["Cu", "Ni"], **kw),
}


def copper(seed: int = 0, repeat: int = 2) -> Atoms:
    atoms = bulk("Cu", cubic=True) * repeat
    atoms.positions += np.random.default_rng(seed).normal(scale=0.05, size=atoms.positions.shape)
    return atoms


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest) -> Any:
    return MAKERS[request.param]


class Counted(EAM, potential=mdkern.potentials.EAM, ase_name="counted"):
    """Counts the calls of the kernel."""

    calls = 0

    def _apply(self, potential: Any) -> None:
        super()._apply(potential)
        compute, owner = potential.compute, self

        class Counting:
            def compute(self, *args: Any, **kw: Any) -> Any:
                owner.calls += 1
                return compute(*args, **kw)

            def __getattr__(self, name: str) -> Any:
                return getattr(potential, name)

        self.potential = Counting()


# --- results ------------------------------------------------------------------------------------


@pytest.mark.quick
def test_results_are_what_ase_defines(make: Any) -> None:
    atoms = copper()
    calc = make()
    atoms.calc = calc
    n = len(atoms)
    shapes = {"energies": (n,), "forces": (n, 3), "stress": (6,), "stresses": (n, 6)}
    for key, shape in shapes.items():
        value = calc.get_property(key, atoms)
        assert value.dtype == np.float64
        assert value.shape == shape
        assert value.flags.writeable
        assert np.isfinite(value).all()
    assert type(calc.get_property("energy", atoms)) is float
    assert calc.get_property("free_energy", atoms) == atoms.get_potential_energy()
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()
    assert set(calc.results) == set(calc.implemented_properties)
    assert set(calc.results) <= set(all_outputs)
    assert np.array_equal(atoms.get_stresses(), calc.results["stresses"])
    full = atoms.get_stress(voigt=False)
    assert np.abs(full + calc.virial / atoms.get_volume()).max() <= 1e-14
    assert atoms.get_properties(["energy", "forces"])["energy"] == atoms.get_potential_energy()


def test_writing_into_results_does_not_reach_the_cache() -> None:
    atoms = copper()
    atoms.calc = MAKERS["lj"]()
    forces = atoms.get_forces()
    kept = forces.copy()
    forces[:] = 7.0
    assert np.array_equal(atoms.get_forces(), kept)


def test_calls_with_keywords_and_defaults(make: Any) -> None:
    atoms = copper()
    a, b, c = make(), make(), make()
    a.calculate(atoms=atoms, properties=("energy",), system_changes=all_changes)
    b.calculate(atoms=atoms, properties=["forces"])
    c.calculate(atoms)
    assert a.results["energy"] == b.results["energy"] == c.results["energy"]
    energy = c.results["energy"]
    c.calculate()
    assert c.results["energy"] == energy


@pytest.mark.parametrize("cell", [None, [[9, 0, 0], [0, 9, 0], [0, 0, 0]]])
def test_no_stress_without_a_volume(cell: Any) -> None:
    atoms = Atoms("Cu3", [[0, 0, 0], [2.5, 0, 0], [0, 2.6, 0]], cell=cell)
    atoms.calc = MAKERS["lj"]()
    atoms.get_forces()
    for ask in (atoms.get_stress, atoms.get_stresses):
        with pytest.raises(PropertyNotImplementedError):
            ask()
    assert "stress" not in atoms.calc.results
    atoms.set_cell([9, 9, 9])
    assert atoms.get_stress().shape == (6,)
    with pytest.raises(PropertyNotImplementedError):
        atoms.get_magnetic_moments()


def test_the_atoms_are_not_touched(make: Any) -> None:
    atoms = copper()
    atoms.positions -= 40.0  # outside the cell: must not be wrapped
    before = pickle.dumps(atoms.arrays), atoms.cell.array.copy(), dict(atoms.info)
    calc = make()
    calc.get_property("stresses", atoms)
    assert pickle.dumps(atoms.arrays) == before[0]
    assert np.array_equal(atoms.cell.array, before[1])
    assert atoms.info == before[2]
    assert atoms.calc is None


@pytest.mark.quick
def test_no_atoms(make: Any) -> None:
    atoms = Atoms(cell=[3, 3, 3], pbc=True)
    atoms.calc = make()
    for _ in range(2):
        assert atoms.get_potential_energy() == 0.0
        assert atoms.get_forces().shape == (0, 3)
        assert not atoms.get_stress().any()
    assert atoms.calc.check_state(atoms) == []
    assert len(atoms.calc.atoms) == 0


def test_numbers_of_other_types_are_fine() -> None:
    calc = MAKERS["lj"]()
    atoms = copper()
    expected = calc.get_forces(atoms)
    atoms.arrays["numbers"] = atoms.numbers.astype(np.int32)
    atoms.arrays["positions"] = np.asfortranarray(atoms.positions)
    assert np.array_equal(calc.get_forces(atoms), expected)


# --- caching ------------------------------------------------------------------------------------


def test_one_kernel_call_for_energy_forces_and_stress() -> None:
    atoms = copper()
    atoms.calc = calc = Counted("zhou2004", elements=["Cu"])
    for _ in range(3):
        atoms.get_potential_energy()
        atoms.get_forces()
        atoms.get_stress()
        atoms.get_potential_energies()
    assert calc.calls == 1
    atoms.get_stresses()
    assert calc.calls == 2
    atoms.get_stresses()
    atoms.get_forces()
    assert calc.calls == 2
    atoms.positions[0, 0] += 1e-3
    atoms.get_forces()
    assert calc.calls == 3


@pytest.mark.quick
def test_every_change_is_seen_and_nothing_else_counts() -> None:
    atoms = copper()
    atoms.calc = calc = Counted("zhou2004", elements=["Cu", "Ni"])
    atoms.get_forces()
    atoms.set_initial_charges(np.zeros(len(atoms)))
    atoms.set_initial_magnetic_moments(np.ones(len(atoms)))
    atoms.set_tags(1)
    atoms.info["note"] = "x"
    atoms.set_momenta(np.ones((len(atoms), 3)))
    atoms.set_array("own", np.ones(len(atoms)))
    atoms.get_forces()
    assert calc.calls == 1
    changes = [
        lambda: atoms.positions.__setitem__((-1, 2), np.nextafter(atoms.positions[-1, 2], 9)),
        lambda: atoms.cell.array.__setitem__((0, 0), np.nextafter(atoms.cell[0, 0], 99)),
        lambda: atoms.set_pbc((True, True, False)),
        lambda: atoms.symbols.__setitem__(-1, "Ni"),
        atoms.pop,
        lambda: atoms.append("Ni"),
    ]
    names = ["positions", "cell", "pbc", "numbers"]
    for k, change in enumerate(changes):
        change()
        if k < 4:
            assert calc.check_state(atoms) == [names[k]]
            assert calc.check_state(atoms, tol=1.0) == [names[k]]
        assert calc.calculation_required(atoms, ["forces"])
        atoms.get_forces()
        assert calc.calls == k + 2
        assert calc.check_state(atoms) == []
        assert not calc.calculation_required(atoms, ["energy", "forces"])


def test_swapping_back_gives_the_old_numbers() -> None:
    a, b = copper(1), copper(2)
    calc = MAKERS["eam"]()
    first = [calc.get_forces(x) for x in (a, b)]
    for _ in range(3):
        assert np.abs(calc.get_forces(a) - first[0]).max() <= 1e-13
        assert np.abs(calc.get_forces(b) - first[1]).max() <= 1e-13


def test_get_property_without_atoms_and_without_calculation() -> None:
    calc = MAKERS["lj"]()
    assert calc.atoms is None
    assert calc.virial is None
    assert calc.n_builds == 0
    atoms = copper()
    assert calc.get_property("energy", atoms, allow_calculation=False) is None
    with pytest.raises(MDKernError, match="no atoms given"):
        calc.get_property("energy")
    energy = calc.get_property("energy", atoms)
    assert calc.get_property("energy") == energy
    assert calc.get_potential_energy() == energy
    atoms.positions[0] += 0.1
    assert calc.get_property("energy", atoms, allow_calculation=False) is None


def test_atoms_of_the_last_evaluation_are_a_copy() -> None:
    atoms = copper()
    calc = MAKERS["lj"]()
    calc.get_forces(atoms)
    assert calc.atoms is not atoms
    assert ase.calculators.calculator.compare_atoms(atoms, calc.atoms) == []
    moved = atoms.copy()
    moved.positions += 0.1
    assert ase.calculators.calculator.compare_atoms(calc.atoms, moved) == ["positions"]
    calc.reset()
    assert calc.results == {}


def test_attaching_at_construction() -> None:
    atoms = copper()
    calc = MAKERS["lj"](atoms=atoms)
    assert atoms.calc is calc
    assert np.isfinite(atoms.get_potential_energy())


def test_set() -> None:
    atoms = copper()
    calc = MAKERS["lj"]()
    before = calc.get_potential_energy(atoms)
    assert calc.set(epsilon=0.8) == {"epsilon": 0.8}
    assert calc.results == {}
    assert abs(calc.get_potential_energy(atoms) - 2 * before) <= 1e-12 * abs(before)
    assert calc.parameters["epsilon"] == 0.8
    assert calc.set() == {}
    assert calc.set(epsilon=0.8, skin=0.3) == {}
    assert calc.set(rc=6.5) == {"rc": 6.5}
    assert calc.cutoff == 6.5
    fresh = LennardJones(epsilon=0.8, sigma=2.3, rc=6.5)
    assert calc.get_potential_energy(atoms) == fresh.get_potential_energy(atoms)
    with pytest.raises(TypeError, match=r"LennardJones has no parameter 'depth'; it has .*epsilon"):
        calc.set(depth=1.0)
    energy = calc.get_potential_energy(atoms)
    with pytest.raises(ValueError, match=r"sigma: -1.0"):
        calc.set(sigma=-1.0, epsilon=5.0)
    assert calc.parameters["sigma"] == 2.3
    assert calc.parameters["epsilon"] == 0.8
    calc.reset()
    assert calc.get_potential_energy(atoms) == energy


@pytest.mark.parametrize("value", [None, "0.3", True, np.nan, -0.1, 1j, [0.3]])
def test_a_skin_that_is_none(value: Any) -> None:
    with pytest.raises(ValueError, match=r"skin: .*; expected a finite number >= 0 \(Angstrom\)"):
        LennardJones(skin=value)
    with pytest.raises(ValueError, match=r"skin: "):
        LennardJones().set(skin=value)


@pytest.mark.parametrize("value", ["0.1", True, 1j, [1.0], np.nan, 0, np.datetime64(1, "s")])
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda x: LennardJones(epsilon=x), "epsilon"),
        (lambda x: LennardJones(sigma={"Ar": x}, epsilon={"Ar": 1.0}), "sigma"),
        (lambda x: LennardJones(rc=x), "rc"),
        (lambda x: LennardJones(rc=9.0, ro=x, smooth=True), "ro"),
        (lambda x: Morse(D=x, alpha=1.0, r0=1.0, rc=3.0), "D"),
        (lambda x: Morse(rho0=x), "rho0"),
        (lambda x: Buckingham(A=1.0, rho=x, rc=3.0), "rho"),
        (lambda x: EAM.zhou2004(["Cu"], cutoff=x), "cutoff"),
    ],
)
def test_parameters_that_are_no_numbers(make: Any, name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: .*; expected a"):
        make(value)


def test_arrays_of_atoms_that_are_no_numbers() -> None:
    """Whoever writes into atoms.arrays goes past ASE's own checks."""
    for name, x, text in (
        ("positions", np.ones((2, 3)) * 1j, "positions: of type complex128"),
        ("positions", np.ma.array(np.ones((2, 3)), mask=np.eye(3)[:2]), "positions: has masked"),
        ("positions", np.full((2, 3), "1.0"), "positions: of type str"),
        ("numbers", np.array([18.5, 18.0]), "numbers: has 18.5; expected atomic numbers"),
        ("numbers", np.array([18, 18j]), "numbers: of type complex128"),
    ):
        atoms = Atoms("Ar2", [[0, 0, 0], [0, 0, 3.8]])
        atoms.arrays[name] = x
        with pytest.raises(ValueError, match=text):
            LennardJones().calculate(atoms)
        with pytest.raises(ValueError, match=text):
            mdkern.evaluate([atoms], LennardJones())
    with pytest.raises(TypeError, match=r"atoms: 'ar.xyz'; expected an ase\.Atoms"):
        LennardJones().calculate("ar.xyz")


# --- parameters, files, copies --------------------------------------------------------------------


def test_parameters_are_json(make: Any, tmp_path: Path) -> None:
    atoms = copper()
    atoms.calc = calc = make(skin=0.4, threads=1)
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    kept = calc.todict()
    assert json.loads(json.dumps(kept)) == kept
    assert kept["skin"] == 0.4
    again = type(calc)(**kept)
    assert again.get_potential_energy(atoms) == energy
    for name in ("x.traj", "x.json", "x.extxyz"):
        write(tmp_path / name, atoms)
        back = read(tmp_path / name)
        assert abs(back.get_potential_energy() - energy) <= 1e-7
        assert np.abs(back.get_forces() - forces).max() <= 1e-7
        assert isinstance(back.calc, SinglePointCalculator)
    for name in ("x.traj", "x.json"):
        assert read(tmp_path / name).calc.name == calc.name


def test_ase_databases(make: Any, tmp_path: Path) -> None:
    connect = pytest.importorskip("ase.db").connect
    atoms = copper()
    atoms.calc = make()
    atoms.get_forces()
    with connect(tmp_path / "x.db") as database:
        row = database.get(database.write(atoms))
    assert abs(row.energy - atoms.get_potential_energy()) <= 1e-12
    assert row.calculator == atoms.calc.name
    assert json.loads(json.dumps(row.calculator_parameters))["skin"] == 0.3


def test_names() -> None:
    assert [make().name for make in MAKERS.values()] == ["mdkern-lj"] * 3 + ["mdkern-morse"] + [
        "mdkern-eam"
    ] * 2


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_are_independent(make: Any, duplicate: Any) -> None:
    atoms = copper()
    calc = make(skin=0.5, threads=1)
    energy = calc.get_potential_energy(atoms)
    other = duplicate(calc)
    assert type(other) is type(calc)
    assert other.parameters == calc.parameters
    assert other.results.keys() == calc.results.keys()
    assert other.check_state(atoms) == []
    assert other.get_potential_energy(atoms) == energy
    atoms.positions[0] += 0.2
    moved = other.get_potential_energy(atoms)
    assert moved != energy
    assert calc.results["energy"] == energy
    assert abs(calc.get_potential_energy(atoms) - moved) <= 1e-12 * abs(moved)
    before = duplicate(make())
    assert abs(before.get_potential_energy(atoms) - moved) <= 1e-12 * abs(moved)
    before.set(skin=0.1)
    assert abs(before.get_potential_energy(atoms) - moved) <= 1e-12 * abs(moved)


def test_a_copy_of_atoms_with_a_calculator() -> None:
    atoms = copper()
    atoms.calc = MAKERS["eam"]()
    energy = atoms.get_potential_energy()
    twin = pickle.loads(pickle.dumps(atoms))
    assert twin.get_potential_energy() == energy
    assert copy.deepcopy(atoms).get_potential_energy() == energy


# --- what cannot be computed ----------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*a density is beyond the end of the table")
@pytest.mark.quick
def test_atoms_on_top_of_each_other(make: Any) -> None:
    for distance in (0.0, 5e-324, 1e-200):
        calc = make()
        atoms = Atoms("Cu3", [[0, 0, 0], [0, 0, 2.5], [0, distance, 2.5]])
        with pytest.raises(
            CalculationFailed, match=r"force on atom 1 .*expected finite .*atoms overlap near"
        ) as e:
            calc.get_potential_energy(atoms)
        assert isinstance(e.value, MDKernError)
        assert calc.results == {}
        atoms.positions[2] = [0, 2.5, 0]
        assert np.isfinite(calc.get_potential_energy(atoms))


@pytest.mark.quick
@pytest.mark.parametrize("name", ["lj_mixture", "eam", "zhou2004"])
def test_unknown_elements(name: str) -> None:
    calc = MAKERS[name]()
    atoms = copper()
    atoms.symbols[5] = "Xe"
    with pytest.raises(InputError, match=r"atom 5 is Xe; the potential has .*Cu") as e:
        calc.get_forces(atoms)
    assert isinstance(e.value, ValueError)
    assert isinstance(e.value, MDKernError)
    atoms.numbers[5] = 300
    with pytest.raises(InputError, match="atom 5 is Z = 300"):
        calc.get_forces(atoms)
    atoms.symbols[5] = "Cu"
    assert np.isfinite(calc.get_forces(atoms)).all()


@pytest.mark.quick
def test_bad_geometry(make: Any) -> None:
    calc = make()
    atoms = copper()
    calc.get_forces(atoms)
    for spoil, text in (
        (lambda a: a.positions.__setitem__((3, 2), np.nan), r"positions\[3, 2\] is nan"),
        (lambda a: a.positions.__setitem__((3, 2), np.inf), r"positions\[3, 2\] is inf"),
        (lambda a: a.cell.array.__setitem__((1, 1), np.nan), r"cell\[1, 1\] is nan"),
        (lambda a: a.cell.array.__setitem__(2, a.cell[1]), "linearly dependent"),
    ):
        bad = atoms.copy()
        spoil(bad)
        with pytest.raises(InputError, match=text):
            calc.get_forces(bad)
        with pytest.raises(InputError, match=text):  # not from a cache either
            calc.get_forces(bad)
    assert np.isfinite(calc.get_forces(atoms)).all()


@pytest.mark.parametrize(
    ("kwargs", "error", "text"),
    [
        ({"skin": -0.1}, ValueError, "skin: -0.1; expected a finite number >= 0"),
        ({"skin": np.nan}, ValueError, "skin: nan"),
        ({"skin": True}, ValueError, "skin: True"),
        ({"threads": 0}, ValueError, "threads: 0; expected an integer >= 1"),
        ({"threads": 1.5}, ValueError, "threads: 1.5"),
        ({"epsilom": 1.0}, TypeError, "LennardJones: .*epsilom"),
    ],
)
def test_common_parameters(kwargs: dict[str, Any], error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        LennardJones(**kwargs)


def test_the_base_class_is_no_calculator() -> None:
    with pytest.raises(TypeError, match=r"base class; use one of mdkern.calculators"):
        Calculator()


# --- load ---------------------------------------------------------------------------------------


def test_load_goes_by_content(tmp_path: Path) -> None:
    atoms = bulk("Al", cubic=True)
    for name in ("synthetic.eam.alloy", "synthetic.eam.fs", "synthetic_Al.eam"):
        renamed = tmp_path / "data.bin"
        renamed.write_bytes((OWN / name).read_bytes())
        calc = load(renamed, skin=0.7)
        assert isinstance(calc, EAM)
        assert calc.parameters["skin"] == 0.7
        assert calc.get_potential_energy(atoms) == EAM(OWN / name).get_potential_energy(atoms)
    calc = mdkern.load("zhou2004", elements=["Al"])
    assert calc.species == ("Al",)


@pytest.mark.parametrize("path", [5, None, b"nep.txt", ["nep.txt"]])
def test_load_wants_a_path(path: Any) -> None:
    with pytest.raises(TypeError, match=r"^path: .*; expected a path, or the name"):
        mdkern.load(path)


def test_load_says_what_it_reads(tmp_path: Path) -> None:
    path = tmp_path / "x.dat"
    path.write_text("nothing of this\nis a potential\n")
    with pytest.raises(FormatError) as e:
        load(path)
    begin, _, formats = str(e.value).partition("; mdkern reads ")
    assert begin == f"{path}: begins with 'nothing of this': no format that is known"
    assert formats.startswith("EAM (.eam, .eam.alloy, .eam.fs), ")
    assert formats.endswith(" and model files of mdkern (.mdk)")
    assert all(name in formats for name in file_formats())
    assert e.value.path == str(path)
    named = path.rename(tmp_path / "x.eam.alloy")
    with pytest.raises(FormatError, match=r"x.eam.alloy:4: found .*symbols"):
        load(named)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent")
    with pytest.raises(IsADirectoryError):
        load(tmp_path)


# --- processes and threads ------------------------------------------------------------------------


def test_one_calculator_per_python_thread() -> None:
    systems = [copper(k) for k in range(8)]
    expected = [MAKERS["eam"]().get_forces(atoms).tobytes() for atoms in systems]
    wrong: list[str] = []

    def work(k: int) -> None:
        try:
            calc = MAKERS["eam"]()
            for _ in range(25):
                if calc.get_forces(systems[k]).tobytes() != expected[k]:
                    wrong.append(f"thread {k}: other bits")
                calc.reset()
                calc._table = None
        except Exception as e:  # noqa: BLE001 - a failure in a thread must reach the test
            wrong.append(repr(e))

    workers = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
        assert not worker.is_alive()
    assert wrong == []


GROWTH = """
import numpy as np
from ase.build import bulk
from mdkern.calculators import EAM, LennardJones, Morse

def resident():
    return 4096 * int(open("/proc/self/statm").read().split()[1])

atoms = bulk("Cu", cubic=True)
rng = np.random.default_rng(0)
start = atoms.positions.copy()
calcs = [LennardJones(epsilon=0.4, sigma=2.3, rc=4.0), LennardJones(rc=4.0, precision="single"),
         Morse(D=0.3, alpha=1.4, r0=2.9, rc=4.0), EAM.zhou2004(["Cu"], cutoff=4.0)]

def step(k):
    atoms.positions = start + 0.1 * rng.normal(size=start.shape)
    calcs[k % 4].get_property("stresses" if k % 8 < 4 else "forces", atoms)

for k in range(1000):
    step(k)
before = resident()
for k in range(20_000):
    step(k)
print(resident() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads memory from /proc")
def test_no_growth_over_many_calls() -> None:
    out = subprocess.run(
        [sys.executable, "-c", GROWTH], capture_output=True, text=True, timeout=120, check=False
    )
    assert out.returncode == 0, out.stderr
    assert int(out.stdout) <= 2**20


# --- finite differences ---------------------------------------------------------------------------


def test_finite_differences_of_ase(make: Any) -> None:
    atoms = copper(repeat=1)
    exact = make()
    fd = pytest.importorskip("ase.calculators.fd", reason="needs ASE 3.24")
    atoms.calc = fd.FiniteDifferenceCalculator(make(), eps_disp=1e-5, eps_strain=1e-6)
    assert np.abs(atoms.get_forces() - exact.get_forces(atoms)).max() <= 1e-6
    assert np.abs(atoms.get_stress() - exact.get_stress(atoms)).max() <= 1e-6


def test_a_molecule_of_a_dimer_curve() -> None:
    """ASE's names, used as in its own documentation."""
    atoms = molecule("N2")
    atoms.calc = LennardJones(sigma=1.0, epsilon=0.5)
    atoms.set_distance(0, 1, 2 ** (1 / 6))
    assert np.abs(atoms.get_forces()).max() <= 1e-13
