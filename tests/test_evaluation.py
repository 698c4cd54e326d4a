"""mdkern.evaluate, and the commands evaluate, relax and validate."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones as AseLennardJones
from ase.constraints import FixAtoms
from ase.io import read, write
from cli_checks import is_drawn, one_error, run_json

import mdkern
from mdkern.analysis import radial_distribution
from mdkern.bench.nep_models import random_nep
from mdkern.calculators import EAM, NEP, LennardJones, NEPTensor, NonFiniteError
from mdkern.cli import main
from mdkern.descriptors import SOAP
from mdkern.md import VelocityVerlet
from mdkern.mep import NEB
from mdkern.validation import validate

LJ = "lj:epsilon=0.0103,sigma=3.405,rc=8.5"


def frames(n: int = 150) -> list[Atoms]:
    """Crystals, slabs and clusters of different sizes."""
    out = []
    for k in range(n):
        atoms = bulk("Cu", cubic=True, a=3.5 + 0.01 * (k % 20)) * (1 + k % 3, 2, 1)
        atoms.rattle(0.1, seed=k)
        if k % 5 == 4:
            atoms.pbc = (True, False, True)
        out.append(atoms)
    return out


# --- mdkern.evaluate -------------------------------------------------------------------------------
@pytest.mark.quick
@pytest.mark.usefixtures("isa")
def test_results_are_those_of_the_calculator() -> None:
    calc = EAM.zhou2004(["Cu"])
    names = ("energy", "free_energy", "energies", "forces", "stress")
    structures = frames(70)
    per_atom = mdkern.evaluate(structures, calc, (*names, "stresses"))
    for k, result in enumerate(mdkern.evaluate(structures, calc, names)):
        assert tuple(result) == names
        assert tuple(per_atom[k]) == (*names, "stresses")
        fresh = EAM.zhou2004(["Cu"], skin=0.0)
        for name in names:
            got, wanted = result[name], fresh.get_property(name, structures[k])
            assert np.shape(got) == np.shape(wanted)
            assert np.asarray(got).tobytes() == np.asarray(wanted).tobytes()
        wanted = fresh.get_property("stresses", structures[k])
        assert per_atom[k]["stresses"].tobytes() == wanted.tobytes()
        assert np.abs(per_atom[k]["stress"] - result["stress"]).max() <= 1e-14


def test_structures_that_are_left_over_get_all_threads_and_the_same_bits() -> None:
    """Large ones: of three with two threads the last, of two with four both."""
    many = [bulk("Cu", cubic=True, a=3.6 + 0.01 * k) * (6, 6, 12) for k in range(5)]
    for k, atoms in enumerate(many):
        atoms.rattle(0.1, seed=k)
    calc = EAM.zhou2004(["Cu"])
    for n in (1, 2, 3, 5):
        one = mdkern.evaluate(many[:n], calc, ("energy", "forces", "stresses"), threads=1)
        for threads in (2, 3, 4, 8):
            other = mdkern.evaluate(
                many[:n], calc, ("energy", "forces", "stresses"), threads=threads
            )
            for a, b in zip(one, other, strict=True):
                for name, value in a.items():
                    assert np.asarray(value).tobytes() == np.asarray(b[name]).tobytes()
    many[2].positions[0] = many[2].positions[1]
    bad = [*many[:2], Atoms("Ar", cell=[9, 9, 9], pbc=True)]
    for threads in (1, 2, 8):
        with pytest.raises(ValueError, match="structure 2"):
            mdkern.evaluate(bad, calc, threads=threads)
        with pytest.raises(NonFiniteError, match="structure 2"):
            mdkern.evaluate(many[:3], LennardJones(), threads=threads)


def test_threads_generators_and_defaults() -> None:
    calc = EAM.zhou2004(["Cu"])
    one = mdkern.evaluate(frames(), calc, threads=1)
    assert list(one[0]) == ["energy", "forces"]
    for threads in (2, 3, None):
        other = mdkern.evaluate(iter(frames()), calc, threads=threads, progress=threads == 2)
        assert len(other) == 150
        for a, b in zip(one, other, strict=True):
            assert a["energy"] == b["energy"]
            assert a["forces"].tobytes() == b["forces"].tobytes()
    assert mdkern.evaluate([], calc) == []
    with mdkern.num_threads(2):
        large = bulk("Cu", cubic=True) * 12
        large.rattle(0.1, seed=1)
        a, b = mdkern.evaluate([large], calc, "forces"), mdkern.evaluate([large], calc, "forces", 1)
        assert a[0]["forces"].tobytes() == b[0]["forces"].tobytes()


def test_frames_are_left_alone_and_constraints_do_not_count() -> None:
    atoms = frames(1)[0]
    atoms.calc = EMT()
    atoms.set_constraint(FixAtoms([0]))
    before = atoms.copy()
    (result,) = mdkern.evaluate([atoms], EAM.zhou2004(["Cu"]))
    assert np.abs(result["forces"][0]).max() > 0.0
    assert atoms == before
    assert isinstance(atoms.calc, EMT)
    assert atoms.calc.atoms is None


def test_charges_are_those_of_the_calculator(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of many frames by threads, in the files of `mdkern evaluate` and `mdkern md`, and during dynamics."""
    path = str(Path(__file__).parent / "data" / "nep" / "synthetic_nep4_charge2.txt")
    structures = []
    for k in range(10):
        atoms = bulk("MgO", "rocksalt", a=4.2) * (1 + k % 2, 1, 2)
        atoms.rattle(0.1, seed=k)
        structures.append(atoms)
    names = ("energy", "forces", "stress", "charges")
    fresh = [NEP(path, skin=0.0) for _ in structures]
    for threads in (1, 2):
        for calc, atoms, result in zip(
            fresh,
            structures,
            mdkern.evaluate(structures, fresh[0], names, threads=threads),
            strict=True,
        ):
            for name in names:
                wanted = calc.get_property(name, atoms)
                assert np.asarray(result[name]).tobytes() == np.asarray(wanted).tobytes()
    (born,) = mdkern.evaluate(structures[:1], fresh[0], "born_effective_charges")
    wanted = fresh[0].get_property("born_effective_charges", structures[0])
    assert np.array_equal(born["born_effective_charges"], wanted)
    with pytest.raises(ValueError, match=r"structure 0: charges: is not offered"):
        mdkern.evaluate(frames(1), EAM.zhou2004(["Cu"]), "charges")

    write(here / "frames.extxyz", structures)
    run_json(capsys, "evaluate", "frames.extxyz", "--potential", path, "-o", "out.extxyz")
    for calc, atoms in zip(fresh, read("out.extxyz", ":"), strict=True):
        assert np.abs(atoms.get_charges() - calc.get_charges()).max() <= 1e-8
    facts = run_json(capsys, "evaluate", "out.extxyz", "--potential", path, "-o", "again.extxyz")
    assert facts["errors"]["charges"]["largest"] <= 1e-8
    assert "ref_charges" in read("again.extxyz").arrays
    assert (
        "charges"
        not in run_json(
            capsys, "evaluate", "frames.extxyz", "--potential", "lj:epsilon=0.01,sigma=2,rc=5"
        )["errors"]
    )
    run = ("md", "frames.extxyz", "--potential", path, "--steps", "20", "--interval", "10")
    for name in ("run.traj", "run.h5md"):
        run_json(capsys, *run, "--temperature", "100", "--seed", "1", "-o", name)
    moved = read("run.traj", ":")
    assert len(moved) == 3
    for atoms in moved:
        assert np.abs(atoms.get_charges() - fresh[0].get_charges(atoms)).max() <= 1e-12
    h5py = pytest.importorskip("h5py")
    with h5py.File("run.h5md") as file:
        values = file["particles/all/charge/value"][:]
    assert np.array_equal(values, [atoms.get_charges() for atoms in moved])


def test_tensors_are_evaluated_and_do_not_move_atoms(tmp_path: Path) -> None:
    calc = NEPTensor(random_nep(tmp_path / "nep.txt", species=["Cu"], kind="dipole"))
    structures = frames(3)
    for atoms, result in zip(structures, mdkern.evaluate(structures, calc, "dipole"), strict=True):
        assert np.array_equal(result["dipole"], calc.get_property("dipole", atoms))
    with pytest.raises(ValueError, match="structure 0: energy: is not offered"):
        mdkern.evaluate(structures, calc)
    structures[0].calc = calc
    with pytest.raises(TypeError, match="NEPTensor; expected one that has forces"):
        VelocityVerlet(structures[0], 1.0)


def test_other_calculators_work_too() -> None:
    structures = frames(3)
    for atoms, result in zip(structures, mdkern.evaluate(structures, EMT()), strict=True):
        mine = atoms.copy()
        mine.calc = EMT()
        assert result["energy"] == pytest.approx(mine.get_potential_energy(), rel=1e-12)
        assert np.abs(result["forces"] - mine.get_forces()).max() <= 1e-12

    class Python(LennardJones, potential=LennardJones.potential_class, ase_name="python"):
        def calculate(self, *args: Any, **kwargs: Any) -> None:
            super().calculate(*args, **kwargs)

    a = mdkern.evaluate(structures, Python(sigma=2.3, epsilon=0.4))
    b = mdkern.evaluate(structures, LennardJones(sigma=2.3, epsilon=0.4))
    for one, other in zip(a, b, strict=True):
        assert np.abs(one["forces"] - other["forces"]).max() <= 1e-12


@pytest.mark.parametrize("progress", [False, True])
def test_the_same_atoms_may_come_again(progress: bool, tmp_path: Path) -> None:
    """What makes frames one by one may move one structure on, as the steps of a run do."""

    def walk() -> Iterator[Atoms]:
        atoms = frames(1)[0]
        for _ in range(70):
            atoms.positions += 0.01 * np.sin(np.arange(3 * len(atoms))).reshape(-1, 3)
            atoms.set_cell(1.0005 * atoms.cell.array)
            yield atoms

    def compared(results: list[dict[str, Any]]) -> None:
        for atoms, result in zip(walk(), results, strict=True):
            assert result["energy"] == calc.get_potential_energy(atoms)

    calc = EAM.zhou2004(["Cu"], skin=0.0)
    compared(mdkern.evaluate(walk(), calc, progress=progress))
    compared(mdkern.evaluate(walk(), calc, progress=progress, journal=tmp_path / "journal"))
    with ThreadPoolExecutor(2) as pool:
        compared(mdkern.evaluate(walk(), calc, progress=progress, executor=pool))
    compared(mdkern.evaluate([a.copy() for a in walk()], calc, journal=tmp_path / "journal"))


def test_the_same_atoms_may_come_again_elsewhere() -> None:
    def walk() -> Iterator[Atoms]:
        atoms = bulk("Cu", cubic=True)
        for _ in range(3):
            atoms.positions[0] += 0.3
            yield atoms

    soap = SOAP(["Cu"], 4.0, 2, 1, periodic=True)
    apart = [atoms.copy() for atoms in walk()]
    for function in (
        lambda frames: mdkern.neighbor_list_batch("d", frames, 4.0),
        soap.create,
        lambda frames: soap.derivatives(frames, return_descriptor=False),
        lambda frames: radial_distribution(frames, 4.0),
    ):
        for one, other in zip(function(walk()), function(apart), strict=True):
            assert np.array_equal(one, other)
    # Where atoms are to be changed they are those that came.
    images = [atoms.copy() for atoms in walk()]
    mdkern.batch(iter(images), EAM.zhou2004(["Cu"]))
    assert all(image.calc is not None for image in images)
    band = NEB(iter(images))
    assert all(one is other for one, other in zip(band.images, images, strict=True))


def test_nothing_is_left_of_the_frame_before() -> None:
    """ASE's calculators write into the results that are there: the molecule has no stress."""
    both = [bulk("Cu"), molecule("N2")]
    with pytest.raises(ValueError, match="structure 1: stress: has no cell with a volume"):
        mdkern.evaluate(both, AseLennardJones(), ("energy", "stress"))
    with pytest.warns(mdkern.MDKernWarning, match="1 structure was not evaluated; structure 1: "):
        found = mdkern.evaluate(both, AseLennardJones(), ("energy", "stress"), on_error="record")
    assert "stress" in found[0]
    assert set(found[1]) == {"error"}


def test_bad_frames_are_named() -> None:
    calc = EAM.zhou2004(["Cu"])
    structures = frames(80)
    with pytest.raises(ValueError, match="'volume'"):
        mdkern.evaluate(structures, calc, ("volume",))
    with pytest.raises(ValueError, match="threads"):
        mdkern.evaluate(structures, calc, threads=0)
    structures[70].numbers[2] = 54
    with pytest.raises(ValueError, match="structure 70: atom 2 is Xe"):
        mdkern.evaluate(structures, calc)
    structures[70] = Atoms("Cu", [[np.nan, 0, 0]])
    with pytest.raises(ValueError, match=r"structure 70: positions\[0, 0\]"):
        mdkern.evaluate(structures, calc)
    structures[70] = Atoms("Cu2", [[0, 0, 0], [2.5, 0, 0]])
    with pytest.raises(ValueError, match="structure 70: stress: has no cell"):
        mdkern.evaluate(structures, calc, ("stress",))
    with pytest.raises(NonFiniteError, match=r"structure 1: .*overlap"):
        mdkern.evaluate([Atoms("Ar"), Atoms("Ar2")], LennardJones())


# --- mdkern evaluate -------------------------------------------------------------------------------
def _reference_file(path: Path) -> list[Atoms]:
    """Frames with the results of another calculator."""
    structures = frames(12)
    for atoms in structures:
        atoms.calc = EMT()
        atoms.get_forces()
        if atoms.pbc.all():
            atoms.get_stress()
    write(path, structures)
    return structures


def test_what_is_no_list_of_frames() -> None:
    calc, atoms = LennardJones(), bulk("Ar", cubic=True)
    with pytest.raises(TypeError, match=r"frames: one Atoms; expected a list of them: \[atoms\]"):
        mdkern.evaluate(atoms, calc)
    for thing in ("frames.xyz", None, 3, calc):
        for progress in (False, True):
            with pytest.raises(TypeError, match=r"frames: .*expected a list of ase\.Atoms"):
                mdkern.evaluate(thing, calc, progress=progress)
    for ours in (calc, EMT()):
        with pytest.raises(TypeError, match=r"frames\[1\]: 'x'; expected an ase\.Atoms"):
            mdkern.evaluate([bulk("Cu"), "x"], ours)
    with pytest.raises(
        TypeError, match=r"calculator: <class .*EAM.*expected one of mdkern\.calculators"
    ):
        mdkern.evaluate([bulk("Cu")], EAM)
    with pytest.raises(TypeError, match=r"calculator: \[.*expected one of mdkern\.calculators"):
        mdkern.evaluate([atoms], [atoms])
    assert mdkern.evaluate([], calc) == []
    assert mdkern.evaluate([Atoms()], calc)[0]["energy"] == 0.0
    for properties in (None, 3, ["energy", 3]):
        with pytest.raises(ValueError, match=r"properties: (None|3); expected some of energy"):
            mdkern.evaluate([atoms], calc, properties)


def test_evaluate_command(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    structures = _reference_file(here / "frames.extxyz")
    files = ("-o", "out.extxyz", "--plot", "parity.png")
    facts = run_json(capsys, "evaluate", "frames.extxyz", "--potential", "zhou2004", *files)
    calc = EAM.zhou2004(["Cu"])
    assert facts["frames"] == 12
    results = mdkern.evaluate(structures, calc)
    difference = np.concatenate(
        [r["forces"] - a.get_forces() for r, a in zip(results, structures, strict=True)]
    )
    per_atom = [
        (r["energy"] - a.get_potential_energy()) / len(a)
        for r, a in zip(results, structures, strict=True)
    ]
    errors = facts["errors"]
    assert errors["forces"]["rmse"] == pytest.approx(np.sqrt((difference**2).mean()), rel=1e-6)
    assert errors["forces"]["values"] == difference.size
    assert errors["energy"]["mae"] == pytest.approx(np.abs(per_atom).mean(), rel=1e-6)
    assert errors["energy"]["largest"] == pytest.approx(np.abs(per_atom).max(), rel=1e-6)
    assert errors["stress"]["values"] > 0
    written = read("out.extxyz", ":")
    for frame, result, atoms in zip(written, results, structures, strict=True):
        assert frame.get_potential_energy() == pytest.approx(result["energy"], abs=1e-6)
        assert np.abs(frame.get_forces() - result["forces"]).max() <= 1e-6
        assert frame.info["ref_energy"] == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
        assert np.abs(frame.arrays["ref_forces"] - atoms.get_forces()).max() <= 1e-7
    assert is_drawn(Path("parity.png")) or Path("parity.png").stat().st_size > 20_000
    # Its own output against itself: what was written is read back.
    own = [word for k in ("energy", "forces", "stress") for word in (f"--{k}-key", k)]
    again = run_json(capsys, "evaluate", "out.extxyz", "--potential", "zhou2004", *own)
    assert again["errors"]["forces"]["largest"] <= 1e-6


def test_evaluate_command_without_reference(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here / "mixed.extxyz", [bulk("Ar") * 2, Atoms("Ar3", np.eye(3) * 4), bulk("Ar") * 3])
    facts = run_json(capsys, "evaluate", "mixed.extxyz", "--potential", LJ, "-o", "out.traj")
    assert (facts["frames"], facts["errors"]) == (3, {})
    assert [len(a) for a in read("out.traj", ":")] == [8, 3, 27]
    facts = run_json(capsys, "evaluate", "mixed.extxyz", "--potential", LJ, "--index", "1")
    assert facts["atoms"] == 3
    facts = run_json(capsys, "evaluate", "mixed.extxyz", "--potential", LJ, "--index", "::2")
    assert facts["atoms"] == 35
    assert main(["evaluate", "mixed.extxyz", "--potential", LJ]) == 0
    assert "atoms/s" in capsys.readouterr().out
    assert main(["evaluate", "mixed.extxyz", "--potential", LJ, "--plot", "a.png"]) == 2
    one_error(capsys, "no reference values")


def test_evaluate_command_records_an_element_that_a_built_in_potential_lacks(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    several = frames(3)
    several[1].numbers[2] = 92
    write(here / "set.extxyz", several)
    words = ("evaluate", "set.extxyz", "--potential", "zhou2004", "--on-error")
    facts = run_json(capsys, *words, "record", "-o", "out.extxyz")
    assert [bad["frame"] for bad in facts["bad_frames"]] == [1]
    assert "U" in read("out.extxyz", 1).info["error"]
    assert read("out.extxyz", 2).calc.results["energy"] < 0.0
    capsys.readouterr()
    assert main([*words, "raise"]) == 2
    one_error(capsys, "U")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("absent.extxyz", "--potential", LJ), "absent.extxyz: no such file"),
        (("frames.extxyz", "--potential", LJ, "--index", "50:"), "no frames"),
        (("frames.extxyz", "--potential", LJ, "--index", "x:"), "--index"),
        (("frames.extxyz", "--potential", LJ, "-o", "frames.extxyz"), "is an input"),
        (("frames.extxyz", "--potential", LJ, "-o", "out.h5md"), "H5MD"),
        (("xenon.extxyz", "--potential", "zhou2004"), "Xe"),
    ],
)
def test_evaluate_command_bad_input(
    arguments: tuple[str, ...], part: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(here / "frames.extxyz", frames(2))
    write(here / "xenon.extxyz", Atoms("Xe2", [[0, 0, 0], [3, 0, 0]]))
    assert main(["evaluate", *arguments]) == 2
    one_error(capsys, part)


# --- mdkern relax ----------------------------------------------------------------------------------
@pytest.mark.parametrize("optimizer", ["fire", "lbfgs", "bfgs"])
def test_relax_positions(optimizer: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    atoms = bulk("Cu", cubic=True, a=3.615)
    atoms.rattle(0.05, seed=1)
    write(here / "cu.extxyz", atoms)
    base = ("relax", "cu.extxyz", "--potential", "zhou2004", "--optimizer", optimizer)
    files = ("-o", "out.extxyz", "--trajectory", "way.traj")
    facts = run_json(capsys, *base, "--fmax", "0.001", *files)
    assert facts["converged"]
    assert facts["after"]["fmax_eV_per_A"] <= 0.001
    assert facts["after"]["energy_eV_per_atom"] == pytest.approx(-3.53998, abs=1e-4)
    relaxed = read("out.extxyz")
    assert relaxed.get_potential_energy() == pytest.approx(facts["after"]["energy_eV"], abs=1e-6)
    assert len(read("way.traj", ":")) == facts["steps"] + 1


def test_relax_the_cell(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    atoms = bulk("Cu", cubic=True, a=3.65)
    atoms.set_cell(atoms.cell.array @ [[1, 0.02, 0], [0, 1.01, 0], [0, 0, 1]], scale_atoms=True)
    write(here / "cu.extxyz", atoms)
    base = ("relax", "cu.extxyz", "--potential", "zhou2004", "--optimizer", "lbfgs")
    facts = run_json(capsys, *base, "--cell", "full", "--fmax", "0.01", "-o", "out.extxyz")
    assert facts["converged"]
    cell = read("out.extxyz").cell.cellpar()
    assert cell == pytest.approx([3.615] * 3 + [90] * 3, abs=0.05)
    assert abs(facts["after"]["pressure_GPa"]) <= 0.1


def test_relax_parts_of_the_cell(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    atoms = bulk("Cu", cubic=True, a=3.65)
    atoms.set_cell(atoms.cell.array @ np.diag([1.02, 1.0, 0.99]), scale_atoms=True)
    write(here / "cu.extxyz", atoms)
    base = ("relax", "cu.extxyz", "--potential", "zhou2004", "--optimizer", "lbfgs")
    shape = run_json(capsys, *base, "--cell", "shape")
    assert shape["after"]["volume_A3"] == pytest.approx(atoms.get_volume(), rel=1e-9)
    a, b, c = shape["after"]["cell_lengths_angles"][:3]
    assert (a, c) == (pytest.approx(b, abs=8e-3), pytest.approx(b, abs=8e-3))
    volume = run_json(capsys, *base, "--cell", "volume", "--pressure", "5")
    a, b, c = volume["after"]["cell_lengths_angles"][:3]
    assert (a / b, c / b) == (pytest.approx(1.02, rel=1e-6), pytest.approx(0.99, rel=1e-6))
    assert volume["after"]["pressure_GPa"] == pytest.approx(5, abs=0.05)
    fixed = run_json(capsys, *base)
    assert fixed["after"]["cell_lengths_angles"] == fixed["before"]["cell_lengths_angles"]


def test_relax_a_cluster_keeps_constraints(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    atoms = Atoms("Ar3", [[0, 0, 0], [4.2, 0, 0], [1.5, 3.6, 0.3]])
    atoms.set_constraint(FixAtoms([0]))
    write(here / "trimer.traj", atoms)
    base = ["relax", "trimer.traj", "--potential", LJ, "--fmax", "1e-5"]
    facts = run_json(capsys, *base, "--steps", "3000", "-o", "out.traj")
    # Three pairs at the minimum, shifted by the value at the cutoff.
    shift = 4 * ((3.405 / 8.5) ** 12 - (3.405 / 8.5) ** 6)
    assert facts["after"]["energy_eV"] == pytest.approx(3 * 0.0103 * (-1 - shift), rel=1e-5)
    assert np.array_equal(read("out.traj").positions[0], atoms.positions[0])
    assert main([*base, "--steps", "2"]) == 1
    captured = capsys.readouterr()
    assert "(not converged)" in captured.out
    assert "not converged after 2 steps" in captured.err


@pytest.mark.parametrize(
    ("extra", "part"),
    [
        (("--cell", "full"), "--cell full"),
        (("--pressure", "1"), "--pressure"),
        (("--fmax", "0"), "--fmax"),
        (("--trajectory", "way.xyz"), ".traj"),
        (("-o", "out.nothing"), "out.nothing"),
        (("--optimizer", "newton"), "newton"),
    ],
)
def test_relax_bad_options(
    extra: tuple[str, ...], part: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(here / "dimer.xyz", Atoms("Ar2", [[0, 0, 0], [3.9, 0, 0]]))
    assert main(["relax", "dimer.xyz", "--potential", LJ, *extra]) == 2
    one_error(capsys, part)


# --- mdkern validate -------------------------------------------------------------------------------
def test_validate_passes_what_is_right(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here / "cu.extxyz", bulk("Cu", cubic=True) * 2)
    facts = run_json(capsys, "validate", "zhou2004", "cu.extxyz")
    assert facts["passed"]
    assert len(facts["checks"]) == 14
    assert main(["validate", LJ, "cu.extxyz", "--rattle", "0"]) == 0
    text = capsys.readouterr().out
    assert text.count("pass") == 14
    write(here / "cluster.xyz", Atoms("Ar4", 3.9 * np.eye(4, 3)))
    assert len(run_json(capsys, "validate", LJ, "cluster.xyz")["checks"]) == 11


class _Wrong:
    """Lennard-Jones with a fault."""

    def __init__(self, fault: str) -> None:
        from mdkern.potentials import LennardJones as Potential

        self._inner = Potential(sigma=3.4, epsilon=0.01, rc=7.0)
        self.cutoff, self.species, self._fault = self._inner.cutoff, None, fault
        self._calls = 0

    def compute(self, neighbors: Any, **kwargs: Any) -> Any:
        from dataclasses import replace

        r = self._inner.compute(neighbors, **kwargs)
        self._calls += 1
        if self._fault == "forces":
            return replace(r, forces=1.001 * r.forces)
        if self._fault == "virial":
            return replace(r, virial=r.virial * [1, 1, 1, 2, 1, 1])
        if self._fault == "energies":
            return replace(r, energies=r.energies + 1e-3)
        if self._fault == "bits":
            return replace(r, energy=r.energy * (1 + self._calls % 2 * 2e-16))
        if self._fault == "threads":
            return replace(r, forces=r.forces * (1 + 1e-15 * mdkern.get_num_threads()))
        return replace(r, forces=r.forces + 1e-6)  # momentum


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ("forces", "force = -dE/dx"),
        ("virial", "stress = dE/d(strain) / V"),
        ("energies", "sum of energies"),
        ("bits", "repeated, same bits"),
        ("threads", "1, 2, 3, 8 threads, same bits"),
        ("momentum", "sum of forces"),
    ],
)
def test_validate_finds_faults(fault: str, name: str) -> None:
    atoms = bulk("Ar", cubic=True, a=5.3) * 2
    atoms.rattle(0.2, seed=1)
    calc = LennardJones(sigma=3.4, epsilon=0.01, rc=7.0)
    calc.potential = _Wrong(fault)
    failed = {check.name for check in validate(atoms, calc) if not check.passed}
    assert name in failed


def test_validate_command_fails_with_status_one(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A potential that jumps where a neighbor stands: the difference quotient is wrong."""
    write(here / "dimer.xyz", Atoms("Ar2", [[0, 0, 0], [8.5, 0, 0]]))
    spec = "lj:epsilon=0.0103,sigma=3.405,rc=8.5,shift=false"
    assert main(["validate", spec, "dimer.xyz", "--rattle", "0"]) == 1
    captured = capsys.readouterr()
    assert "FAIL" in captured.out
    assert captured.err.startswith("mdkern: error: check failed: force = -dE/dx")


def test_validate_command_bad_input(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here / "water.xyz", molecule("H2O"))
    assert main(["validate", "zhou2004", "water.xyz"]) == 2
    one_error(capsys, "H")
    assert main(["validate", LJ, "absent.xyz"]) == 2
    one_error(capsys, "absent.xyz")
    write(here / "large.extxyz", bulk("Ar", cubic=True) * 12)
    assert main(["validate", LJ, "large.extxyz"]) == 2
    one_error(capsys, "6912 atoms")
