"""phonopy and matcalc on mdkern's calculators. Where one of them is not installed its tests are skipped."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.filters import UnitCellFilter
from ase.mep import NEB
from ase.optimize import FIRE
from reference_data import shared_folder

import mdkern
from mdkern.bench.nep_models import random_nep
from mdkern.calculators import EAM, NEP, StillingerWeber

GPA = 1.0 / units.GPa
# F. H. Stillinger and T. A. Weber, Phys. Rev. B 31, 5262 (1985), in the units of H. Balamane et al., Phys. Rev. B 46, 2250 (1992).
SILICON = "Si Si Si 2.1683 2.0951 1.80 21.0 1.20 -0.333333333333 7.049556277 0.6022245584 4 0 0"
SI_LATTICE = 5.4309496

needs = {
    name: pytest.mark.skipif(
        importlib.util.find_spec(name) is None, reason=f"needs {name}: pip install '.[ecosystem]'"
    )
    for name in ("phonopy", "matcalc")
}


def stillinger_weber(folder: Path) -> Any:
    (folder / "Si.sw").write_text(SILICON)
    return StillingerWeber(folder / "Si.sw")


def public_nep(*names: str) -> Any:
    folder = shared_folder("nep", "models")
    if folder is None:
        pytest.skip("needs the public NEP models in $MDKERN_TEST_DATA")
    return NEP(folder.joinpath(*names))


# --- phonopy --------------------------------------------------------------------------------------
def displaced(crystal: Atoms, n: int, **options: Any) -> Any:
    """Of phonopy, with its displacements."""
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    unit = PhonopyAtoms(
        crystal.get_chemical_symbols(), cell=crystal.cell[:], positions=crystal.positions
    )
    phonons = Phonopy(unit, supercell_matrix=np.diag([n, n, n]))
    phonons.generate_displacements(distance=0.01, **options)
    return phonons


def cells_of(phonons: Any) -> list[Atoms]:
    return [
        Atoms(c.symbols, cell=c.cell, positions=c.positions, pbc=True)
        for c in phonons.supercells_with_displacements
    ]


def with_forces(phonons: Any, forces: Any) -> Any:
    phonons.forces = np.array(forces)
    phonons.produce_force_constants()
    return phonons


def frequencies(phonons: Any, points: Any) -> Any:
    phonons.run_qpoints(points)
    return np.array(phonons.qpoints.frequencies)


def optical(crystal: Atoms, calc: Any) -> float:
    """THz of two sublattices that move against each other along x, by their forces."""
    h = 1e-3
    slopes = []
    for sign in (1.0, -1.0):
        atoms = crystal.copy()
        atoms.positions[0, 0] += sign * h
        slopes.append(mdkern.evaluate([atoms], calc)[0]["forces"][0, 0] / (sign * h))
    mass = crystal.get_masses()[0] / 2.0
    omega = np.sqrt(-np.mean(slopes) / mass)  # in ASE's units of time
    return float(omega * units.s / (2.0 * np.pi) / 1e12)


POINTS = [[0, 0, 0], [0.5, 0, 0.5], [0.5, 0.5, 0.5], [0.5, 0.25, 0.75], [0.1, 0.0, 0.1]]


@needs["phonopy"]
@pytest.mark.parametrize("model", ["stillinger-weber", "nep", "random nep"])
def test_phonons_of_silicon(model: str, tmp_path: Path) -> None:
    """Force constants by evaluate, on one thread and on three, are those by ASE's plain calculators."""
    lattice = SI_LATTICE
    if model == "stillinger-weber":
        calc = stillinger_weber(tmp_path)
    elif model == "nep":
        calc, lattice = public_nep("Si_2022_NEP4_5body.txt"), 5.45834106
    else:
        calc = NEP(random_nep(tmp_path / "nep.txt", species=["Si"]))
    crystal = bulk("Si", a=lattice)
    options = {"is_plusminus": True, "is_diagonal": False}
    made = []
    for threads in (1, 3):
        phonons = displaced(crystal, 3, **options)
        results = mdkern.evaluate(cells_of(phonons), calc, ("forces",), threads=threads)
        made.append(with_forces(phonons, [r["forces"] for r in results]))
    plain = displaced(crystal, 3, **options)
    cells = cells_of(plain)
    for cell in cells:
        cell.calc = calc
    with_forces(plain, [cell.get_forces() for cell in cells])
    scale = np.abs(plain.force_constants).max()
    assert scale > 0.1
    assert made[0].force_constants.tobytes() == made[1].force_constants.tobytes()
    assert np.abs(made[0].force_constants - plain.force_constants).max() < 1e-10 * scale
    got, wanted = frequencies(made[0], POINTS), frequencies(plain, POINTS)
    stable = wanted > 0.1
    assert np.abs(got - wanted)[stable].max() < 1e-8
    if model == "random nep":
        return
    assert np.abs(got[0, :3]).max() < 1e-3  # translations
    assert stable.sum() == wanted.size - 3
    assert got[0, 3:] == pytest.approx(3 * [optical(crystal, calc)], rel=1e-3)
    if model == "nep":
        # Measured: G. Nilsson and G. Nelin, Phys. Rev. B 6, 3777 (1972).
        assert got[0, 5] == pytest.approx(15.5, rel=0.1)
        assert np.abs(got[1] - [4.49, 4.49, 12.32, 12.32, 13.90, 13.90]).max() < 1.2


@needs["phonopy"]
def test_sound_is_that_of_the_elastic_constants(tmp_path: Path) -> None:
    """Long waves along [100]: sqrt(C11 / density), and sqrt(C44 / density) twice."""
    calc = stillinger_weber(tmp_path)
    crystal = bulk("Si", a=SI_LATTICE)
    phonons = displaced(crystal, 4)
    results = mdkern.evaluate(cells_of(phonons), calc)
    with_forces(phonons, [r["forces"] for r in results])
    phonons.symmetrize_force_constants()
    q = 0.02  # along [100] in the basis of the primitive cell: (0, q, q) is q times 2 pi / a
    found = frequencies(phonons, [[0.0, q, q]])[0, :3]
    density = 8 * crystal.get_masses()[0] * units._amu / (SI_LATTICE * 1e-10) ** 3
    k = 2.0 * q / (SI_LATTICE * 1e-10)  # cycles per metre
    speeds = np.sqrt(np.array([56.4, 56.4, 151.4]) * 1e9 / density)
    assert found * 1e12 == pytest.approx(speeds * k, rel=0.01)


# --- matcalc --------------------------------------------------------------------------------------
def tensor_of(calc: Any, crystal: Atoms, **options: Any) -> Any:
    """(6, 6) in GPa, by matcalc."""
    from matcalc import ElasticityCalc

    small = (-0.002, -0.001, 0.001, 0.002)
    elastic = ElasticityCalc(
        calc,
        fmax=1e-5,
        norm_strains=small,
        shear_strains=small,
        units_GPa=True,
        r2_min=-1.0,  # components that vanish by symmetry are noise, to which no line can be fitted
        **options,
    )
    return elastic.calc(crystal)["elastic_tensor"].voigt


def of_strains(calc: Any, crystal: Atoms) -> tuple[float, float, float]:
    """C11, C12 and C44 in GPa from stresses of cells that are strained as a whole."""
    h = 1e-4
    cells = []
    for a, b in ((0, 0), (1, 2)):
        for sign in (1.0, -1.0):
            strain = np.zeros((3, 3))
            strain[a, b] = strain[b, a] = sign * h / (1 if a == b else 2)
            cells.append(crystal.copy())
            cells[-1].set_cell(crystal.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    plus, minus, yz_plus, yz_minus = (
        r["stress"] for r in mdkern.evaluate(cells, calc, ("stress",))
    )
    normal, shear = (plus - minus) / (2 * h) * GPA, (yz_plus - yz_minus) / (2 * h) * GPA
    return normal[0], normal[1], shear[3]


@needs["matcalc"]
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("symbol", "lattice", "published"),
    # Measured ones, to which X. W. Zhou et al., Phys. Rev. B 69, 144113 (2004) fitted.
    [("Cu", 3.615, (170.0, 122.5, 75.8)), ("Ni", 3.5196, (246.5, 147.3, 124.7))],
)
def test_elastic_constants_of_metals(
    symbol: str, lattice: float, published: tuple[float, ...]
) -> None:
    from matcalc import RelaxCalc

    calc = EAM.zhou2004(["Cu", "Ni"])
    relaxed = RelaxCalc(calc, fmax=1e-5).calc(bulk(symbol, cubic=True))
    assert relaxed["a"] == pytest.approx(lattice, abs=1e-3)
    assert relaxed["is_converged"]
    crystal = bulk(symbol, a=relaxed["a"], cubic=True)
    c = tensor_of(calc, crystal)
    found = (c[0, 0], c[0, 1], c[3, 3])
    assert found == pytest.approx(of_strains(calc, crystal), rel=1e-3)
    assert found == pytest.approx(published, rel=0.01)
    assert np.abs(c - c.T).max() < 0.05
    assert np.abs(c[:3, 3:]).max() < 0.01


@needs["matcalc"]
@pytest.mark.filterwarnings("default")
def test_elastic_constants_and_equation_of_state_of_silicon(tmp_path: Path) -> None:
    """H. Balamane, T. Halicioglu and W. A. Tiller, Phys. Rev. B 46, 2250 (1992).

    Published for an epsilon of 2.3151 eV, to which all of them are proportional: 161.6, 81.6, 60.3, and 117.2 without relaxation of
    the sublattices.
    """
    from matcalc import EOSCalc

    calc = stillinger_weber(tmp_path)
    crystal = bulk("Si", a=SI_LATTICE, cubic=True)
    c = tensor_of(calc, crystal, relax_deformed_structures=True)
    rigid = tensor_of(calc, crystal)
    found = (c[0, 0], c[0, 1], c[3, 3], rigid[3, 3])
    scale = 2.1683 / 2.3151
    assert found == pytest.approx([scale * x for x in (161.6, 81.6, 60.3, 117.2)], rel=2e-3)
    assert rigid[3, 3] == pytest.approx(of_strains(calc, crystal)[2], rel=1e-3)
    state = EOSCalc(calc, fmax=1e-3, max_abs_strain=0.02, n_points=9).calc(crystal)
    assert float(state["bulk_modulus_bm"]) == pytest.approx(101.4, abs=0.5)
    assert state["r2_score_bm"] > 0.9999


def alloy() -> Atoms:
    atoms = bulk("Cu", cubic=True, a=3.55) * (2, 1, 1)
    atoms.symbols[0] = "Ni"
    atoms.set_cell(atoms.cell.array @ np.diag([1.0, 1.0, 1.04]), scale_atoms=True)
    return atoms


@needs["matcalc"]
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "options",
    [
        {"fix_symmetry": True},
        {"fix_atoms": [0, 1]},
        {"relax_cell": False},
        {"cell_filter": UnitCellFilter},
        {"cell_filter_kwargs": {"scalar_pressure": 0.05, "mask": [1, 1, 1, 0, 0, 0]}},
    ],
    ids=str,
)
def test_matcalc_takes_native_optimizers(options: dict[str, Any]) -> None:
    """The same steps as with ASE's class of the same name."""
    from matcalc import RelaxCalc

    calc, crystal = EAM.zhou2004(["Cu", "Ni"]), alloy()
    if "fix_symmetry" not in options:
        crystal.rattle(0.05, seed=2)
    native, plain = (
        RelaxCalc(calc, optimizer=optimizer, fmax=0.01, **options).calc(crystal)
        for optimizer in (mdkern.optimize.FIRE, "FIRE")
    )
    assert native["energy"] == pytest.approx(plain["energy"], abs=1e-9)
    cells = [r["final_structure"].lattice.matrix for r in (native, plain)]
    assert np.abs(cells[0] - cells[1]).max() < 1e-8
    assert np.abs(native["forces"] - plain["forces"]).max() < 1e-8


@needs["matcalc"]
@pytest.mark.filterwarnings("default")
def test_an_equation_of_state_in_one_call() -> None:
    """Volumes and energies of matcalc's, one after the other, are those of mdkern.relax."""
    from matcalc import EOSCalc

    calc = EAM.zhou2004(["Cu", "Ni"])
    (start,) = mdkern.relax([alloy()], calc, fmax=1e-4)
    state = EOSCalc(
        calc,
        optimizer=mdkern.optimize.FIRE,
        fmax=1e-4,
        max_abs_strain=0.02,
        n_points=5,
        relax_structure=False,
    ).calc(start)["eos"]
    frames = []
    for volume in state["volumes"]:
        frames.append(start.copy())
        frames[-1].set_cell(
            start.cell * (volume / start.get_volume()) ** (1.0 / 3.0), scale_atoms=True
        )
    states = mdkern.relax(frames, calc, fmax=1e-4, cell="shape")
    assert all(x.info["converged"] for x in states)
    assert [x.get_volume() for x in states] == pytest.approx(state["volumes"], rel=1e-9)
    energies = [x.get_potential_energy() for x in states]
    assert energies == pytest.approx([float(e) for e in state["energies"]], abs=1e-6)


# --- ASE's nudged elastic band --------------------------------------------------------------------
def test_published_barrier_of_a_vacancy() -> None:
    """Y. Mishin et al., Phys. Rev. B 63, 224106 (2001): 0.689 eV for a jump of the vacancy in copper."""
    folder = shared_folder("potentials")
    if folder is None:
        pytest.skip("needs Cu_mishin1.eam.alloy in $MDKERN_TEST_DATA")
    calc = EAM(folder / "Cu_mishin1.eam.alloy")
    crystal = bulk("Cu", cubic=True, a=3.615) * (3, 3, 3)
    beside = 1 + int(np.argmin(crystal.get_distances(0, range(1, len(crystal)), mic=True)))
    first, last = crystal.copy(), crystal.copy()
    last.positions[beside] = crystal.positions[0]
    for atoms in (first, last):
        del atoms[0]
        atoms.calc = calc
        FIRE(atoms, logfile=None).run(fmax=1e-3)
    bands = []
    for _ in range(2):
        images = [*(first.copy() for _ in range(4)), last.copy()]
        bands.append(NEB(images, method="improvedtangent", climb=True))
        bands[-1].interpolate(mic=True)
    mdkern.batch(bands[0].images, calc)
    for image in bands[1].images:
        image.calc = EAM(folder / "Cu_mishin1.eam.alloy")
    barriers = []
    for band in bands:
        assert FIRE(band, logfile=None).run(fmax=0.01)
        energies = [image.get_potential_energy() for image in band.images]
        barriers.append(max(energies) - energies[0])
    assert barriers[0] == barriers[1]
    assert barriers[0] == pytest.approx(0.689, abs=0.002)
