"""EAM: the contract for files and for the built-in metals, LAMMPS's numbers, ASE, messages."""

from __future__ import annotations

import warnings
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.eam import EAM as AseEAM
from contracts import SYSTEMS, PotentialContract, ThreadsUnderSanitizers, evaluate
from reference_data import OWN, all_cases, case_id, shared_folder

import mdkern
from mdkern import potentials, reference
from mdkern.calculators import EAM
from mdkern.errors import FormatError, MDKernWarning, UnsupportedError
from mdkern.io.eam import read_eam
from mdkern.md import VelocityVerlet
from mdkern.potentials import zhou2004
from mdkern.reference import Result

# Some structures are denser than the tables: that this is said has tests of its own.
pytestmark = pytest.mark.filterwarnings("ignore:.*a density is beyond the end of the table")
ALLOY, FS = str(OWN / "synthetic.eam.alloy"), str(OWN / "synthetic.eam.fs")
FUNCFL = {"Al": str(OWN / "synthetic_Al.eam"), "Cu": str(OWN / "synthetic_Cu.eam")}


def place(atoms: Atoms) -> tuple[Any, Any, Any]:
    return atoms.positions, atoms.cell.array, atoms.pbc


def kinds(atoms: Atoms, species: Any) -> Any:
    return np.array([list(species).index(x) for x in atoms.get_chemical_symbols()], dtype=int)


def tabulated(path: Any, atoms: Atoms) -> Result:
    tables = read_eam(path)
    return reference.eam(*place(atoms), kinds(atoms, tables.species), tables)


def closed(atoms: Atoms, elements: list[str], cutoff: float | None = None) -> Result:
    return reference.eam_zhou2004(*place(atoms), kinds(atoms, elements), elements, cutoff)


class Metal(PotentialContract):
    listed = 200_000


class Binary(Metal):
    """Files: how their tables end is up to them; energies of these end at zero to seven digits."""

    symbols = ("Cu", "Al")
    a = 4.1


class TestAlloy(Binary):
    make = staticmethod(lambda **kw: EAM(ALLOY, **kw))
    reference = staticmethod(lambda atoms: tabulated(ALLOY, atoms))
    jump = 1e-6


class TestFinnisSinclair(Binary):
    make = staticmethod(lambda **kw: EAM(FS, **kw))
    reference = staticmethod(lambda atoms: tabulated(FS, atoms))
    jump = 1e-6


class TestFuncflMixed(Binary):
    make = staticmethod(lambda **kw: EAM(FUNCFL, **kw))
    reference = staticmethod(lambda atoms: tabulated(FUNCFL, atoms))
    jump = 1e-6


class TestFuncfl(ThreadsUnderSanitizers, Metal):
    symbols = ("Al",)
    a = 4.1
    make = staticmethod(lambda **kw: EAM(FUNCFL["Al"], **kw))
    reference = staticmethod(lambda atoms: tabulated(FUNCFL["Al"], atoms))
    jump = 1e-6


class TestZhouCopper(Metal):
    """The kernel reads tables of the closed formulas: 1e-9 instead of rounding."""

    make = staticmethod(lambda **kw: EAM.zhou2004(["Cu"], **kw))
    reference = staticmethod(lambda atoms: closed(atoms, ["Cu"]))
    accuracy = 1e-9
    continuous = "forces"


class TestZhouAlloy(Metal):
    symbols = ("Cu", "Ni", "Al")
    make = staticmethod(lambda **kw: EAM.zhou2004(["Al", "Cu", "Ni"], **kw))
    reference = staticmethod(lambda atoms: closed(atoms, ["Al", "Cu", "Ni"]))
    accuracy = 1e-9
    continuous = "forces"


class TestZhouShortCutoff(Metal):
    symbols = ("Fe", "Pt")
    make = staticmethod(lambda **kw: EAM.zhou2004(["Fe", "Pt"], cutoff=4.7, **kw))
    reference = staticmethod(lambda atoms: closed(atoms, ["Fe", "Pt"], 4.7))
    accuracy = 1e-9
    continuous = "forces"


# --- half lists: tiles of rows, images -----------------------------------------------------------


def _many_tiles(name: str) -> Atoms:
    """Copper and aluminium in no order, many ranges long in the directions of the tiles."""
    rng = np.random.default_rng(11)
    atoms = bulk("Cu", "fcc", a=4.1, cubic=name != "triclinic") * (
        (16, 15, 14) if name == "triclinic" else (12, 11, 6)
    )
    if name == "slab":
        atoms.pbc = (True, True, False)
    if name == "free":
        atoms.pbc = False
        atoms.cell = None
    if name == "narrow":  # one tile, its images on all sides
        atoms = bulk("Cu", "fcc", a=4.1, cubic=True) * (1, 1, 60)
    atoms.positions += rng.normal(scale=0.08, size=atoms.positions.shape)
    atoms.symbols[rng.random(len(atoms)) < 0.4] = "Al"
    return atoms[rng.permutation(len(atoms))]


@pytest.mark.parametrize("name", ["crystal", "triclinic", "slab", "free", "narrow"])
@pytest.mark.usefixtures("isa")
def test_many_tiles(name: str) -> None:
    """Every pair once, on either side: equal to the definition, and the same for all threads."""
    atoms = _many_tiles(name)
    expected = tabulated(FS, atoms)
    scale = np.abs(expected.forces).max()
    bits = set()
    for threads in (1, 2, 3, 7):
        got = evaluate(EAM(FS, threads=threads), atoms, stresses=name != "free")
        assert np.abs(got["energies"] - expected.energies).max() <= 1e-11
        assert np.abs(got["forces"] - expected.forces).max() <= 1e-11 * scale
        assert np.abs(got["forces"].sum(axis=0)).max() <= 1e-11 * scale
        if name != "free":
            assert np.abs(got["virial"] - expected.virial).max() <= 1e-11 * scale * len(atoms)
            assert np.abs(got["stresses"].sum(axis=0) - got["stress"]).max() <= 1e-11
        bits.add(b"".join(np.asarray(got[k]).tobytes() for k in sorted(got)))
    assert len(bits) == 1


# --- LAMMPS -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("_name", "kwargs", "_tag", "atoms", "stored"), all_cases("eam_"), ids=case_id
)
@pytest.mark.usefixtures("isa")
def test_agrees_with_lammps(
    _name: str, kwargs: dict[str, Any], _tag: str, atoms: Atoms, stored: dict[str, Any]
) -> None:
    got = evaluate(EAM(**kwargs), atoms)
    forces = stored["forces"]
    assert abs(got["energy"] - stored["energy"]) <= 1e-10 * len(atoms)
    assert np.abs(got["energies"] - stored["energies"]).max() <= 1e-10
    assert np.abs(got["forces"] - forces).max() <= 1e-9 * (1 + np.abs(forces).max())
    if "stress" in stored:
        assert np.abs(got["stress"] - stored["stress"]).max() <= 1e-11


@pytest.mark.parametrize("name", SYSTEMS)
def test_is_close_to_ase_on_a_fine_table(name: str) -> None:
    """ASE interpolates with other splines: the difference is that of the interpolations."""
    folder = shared_folder("potentials")
    if folder is None:
        pytest.skip("MDKERN_TEST_DATA is not set")
    path = str(folder / "Cu_mishin1.eam.alloy")
    atoms = SYSTEMS[name](3.7)
    mine, theirs = EAM(path), AseEAM(potential=path)
    energy = mine.get_potential_energy(atoms) - theirs.get_potential_energy(atoms)
    assert abs(energy) <= 1e-11 * len(atoms)
    assert np.abs(mine.get_forces(atoms) - theirs.get_forces(atoms)).max() <= 1e-8


# --- the built-in metals --------------------------------------------------------------------------

EQUILIBRIUM = zhou2004._load()["equilibrium_untruncated"]


def crystal(symbol: str, a: float) -> Atoms:
    stored = EQUILIBRIUM[symbol]
    c = a * stored["c_over_a"] if stored["structure"] == "hcp" else None
    return bulk(symbol, stored["structure"], a=a, c=c)


@pytest.mark.parametrize("symbol", EQUILIBRIUM)
def test_equilibrium_of_the_metals(symbol: str) -> None:
    """Near the published potential's own minimum.

    The switch takes the last half Angstrom away and with it up to 60 meV (hcp and bcc metals, whose
    shells lie there) and 0.3 % of the lattice constant.
    """
    calc = EAM.zhou2004([symbol])
    lengths = EQUILIBRIUM[symbol]["a"] * np.linspace(0.985, 1.015, 13)
    energies = [
        calc.get_potential_energy(atoms) / len(atoms)
        for atoms in (crystal(symbol, a) for a in lengths)
    ]
    k = int(np.argmin(energies))
    assert 0 < k < len(lengths) - 1
    curve = np.polyfit(lengths[k - 1 : k + 2], energies[k - 1 : k + 2], 2)
    a = -curve[1] / (2 * curve[0])
    assert abs(a / EQUILIBRIUM[symbol]["a"] - 1) <= 0.006
    assert abs(min(energies) - EQUILIBRIUM[symbol]["energy"]) <= 0.06


@pytest.mark.quick
@pytest.mark.parametrize("pair", list(combinations(list(EQUILIBRIUM), 2))[::7])
def test_alloys_equal_the_closed_formulas(pair: tuple[str, str]) -> None:
    elements = list(pair)
    re = max(zhou2004.zhou2004_parameters()[x]["re"] for x in pair)
    atoms = SYSTEMS["crystal"](np.sqrt(2) * re)
    atoms.symbols[:] = [pair[k % 2] for k in range(len(atoms))]
    got, expected = evaluate(EAM.zhou2004(elements), atoms), closed(atoms, elements)
    swapped = evaluate(EAM.zhou2004(elements[::-1]), atoms)
    limit = 1e-9 * (1 + np.abs(expected.forces).max())
    for values in (got, swapped):
        assert abs(values["energy"] - expected.energy) <= 1e-10 * len(atoms)
        assert np.abs(values["forces"] - expected.forces).max() <= limit
        assert np.abs(values["virial"] - expected.virial).max() <= limit * len(atoms)


@pytest.mark.quick
def test_far_compressed_and_far_expanded_metals_are_finite() -> None:
    """All three pieces of the embedding function, and the end of the tables."""
    calc = EAM.zhou2004(["Cu", "Pt"])
    for symbol in ("Cu", "Pt"):
        for a in (1.9, 2.6, 3.3, 4.5, 6.0, 8.0):
            atoms = bulk(symbol, "fcc", a=a)
            got, expected = evaluate(calc, atoms), closed(atoms, ["Cu", "Pt"])
            assert abs(got["energy"] - expected.energy) <= 1e-9 * (1 + abs(expected.energy))


# --- beyond the tables ----------------------------------------------------------------------------

BEYOND = "a density is beyond the end of the table, 27; F goes on in a straight line there"


def compressed(factor: float = 0.66) -> Atoms:
    atoms = bulk("Al", cubic=True, a=4.1 * factor) * 4
    atoms.rattle(0.02, seed=1)
    return atoms


def largest_density(atoms: Atoms) -> float:
    t = read_eam(ALLOY)
    i, d = reference.neighbor_list("id", *place(atoms), t.cutoff)
    f = np.interp(d, t.dr * np.arange(t.density.shape[2]), t.density[0, 0])
    return float(np.bincount(i, weights=f).max())


@pytest.mark.quick
def test_a_density_beyond_the_table_warns_once() -> None:
    dense, normal = compressed(), compressed(1.0)
    assert largest_density(normal) < 27.0 < largest_density(dense)
    calc = EAM(ALLOY)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calc.get_potential_energy(normal)
    with pytest.warns(MDKernWarning, match=f"synthetic.eam.alloy: {BEYOND}") as caught:
        calc.get_potential_energy(dense)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dense.rattle(0.01, seed=2)
        calc.get_potential_energy(dense)
        EAM.zhou2004(["Al"]).get_potential_energy(dense)
    # F is a straight line there.
    t = read_eam(ALLOY)
    assert (
        abs(
            reference.eam(*place(dense), np.zeros(len(dense), dtype=int), t).energy
            - calc.get_potential_energy(dense)
        )
        < 1e-8
    )


def test_a_density_beyond_the_table_is_said_by_dynamics_and_many_structures() -> None:
    atoms = compressed()
    atoms.calc = EAM(ALLOY)
    dynamics = VelocityVerlet(atoms, 0.01 * units.fs)
    with pytest.warns(MDKernWarning, match=BEYOND):
        dynamics.run(2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dynamics.run(2)
    with pytest.warns(MDKernWarning, match=BEYOND) as caught:
        mdkern.evaluate([compressed(), compressed(1.0), compressed()], EAM(ALLOY), threads=2)
    assert len(caught) == 1


# --- files and parameters -------------------------------------------------------------------------


def test_a_choice_of_elements() -> None:
    atoms = SYSTEMS["crystal"](4.1)
    whole, part = EAM(ALLOY), EAM(ALLOY, elements=["Cu"])
    assert part.species == ("Cu",)
    assert set(whole.species) == {"Cu", "Al"}
    a, b = evaluate(whole, atoms), evaluate(part, atoms)
    assert a["forces"].tobytes() == b["forces"].tobytes()
    swapped = EAM(FS, elements=list(reversed(EAM(FS).species)))
    atoms.symbols[::3] = "Al"
    a, b = evaluate(EAM(FS), atoms), evaluate(swapped, atoms)
    assert swapped.species == tuple(reversed(EAM(FS).species))
    assert a["forces"].tobytes() == b["forces"].tobytes()


def average_atoms(fs: bool) -> list[str]:
    """The synthetic file with a third type of made-up tables in the middle: Al, X, Cu."""
    t = read_eam(FS if fs else ALLOY)
    n_r = t.density.shape[2]
    f, r_phi = np.full(n_r, 0.7), np.linspace(0.1, 0.0, n_r)
    header = {"Al": "13 27.0 4.0 fcc", "Cu": "29 63.5 3.6 fcc", "X": "0 45.0 0.0 average"}
    names, own = ["Al", "X", "Cu"], {"Al": 0, "Cu": 1}
    lines = ["one", "two", "three", "3 Al X Cu"]
    lines.append(f"{t.embedding.shape[1]} {t.drho!r} {n_r} {t.dr!r} {t.cutoff!r}")
    for a in names:
        tables = [t.embedding[own.get(a, 0)]]
        for b in names if fs else names[:1]:
            known = a in own and (b in own or not fs)
            tables.append(t.density[own[a], own[b]] if known else f)
        lines += [header[a], *(" ".join(map(repr, x.tolist())) for x in tables)]
    for k, a in enumerate(names):
        for b in names[: k + 1]:
            x = t.r_phi[own[a], own[b]] if a in own and b in own else r_phi
            lines.append(" ".join(map(repr, x.tolist())))
    return lines


@pytest.mark.parametrize("fs", [False, True])
def test_types_that_are_no_element(fs: bool, tmp_path: Path) -> None:
    plain = FS if fs else ALLOY
    atoms = bulk("Al", cubic=True, a=4.1) * 2
    atoms.symbols[::3] = "Cu"
    atoms.rattle(0.1, seed=1)
    right = EAM(plain).get_potential_energy(atoms)
    lines = average_atoms(fs)
    path = tmp_path / "average"
    path.write_text("\n".join(lines))
    for elements in (None, ["Al", "Cu"], ["Cu", "Al"], ["X", "Al", "Cu"]):
        calc = EAM(path, elements=elements)
        assert calc.species == tuple(elements or ("Al", "X", "Cu"))
        assert abs(calc.get_potential_energy(atoms) - right) < 1e-10
    atoms.symbols[5] = "X"
    mixed = EAM(path).get_potential_energy(atoms)
    assert abs(mixed - right) > 1.0
    t = read_eam(path)
    numbers = kinds(atoms, ["Al", "X", "Cu"])
    assert abs(reference.eam(*place(atoms), numbers, t).energy - mixed) < 1e-9
    with pytest.raises(ValueError, match="atom 5 is X; the potential has Al, Cu"):
        EAM(path, elements=["Al", "Cu"]).get_potential_energy(atoms)
    # Another name stands for ASE's X, too; several such types are a choice of the user's.
    lines[3] = "3 Al average Cu"
    path.write_text("\n".join(lines))
    for elements in (None, ["Al", "average", "Cu"], ["Al", "X", "Cu"]):
        calc = EAM(path, elements=elements)
        assert calc.species == ("Al", "X", "Cu")
        assert calc.get_potential_energy(atoms) == mixed
    lines[3] = "3 A1 A2 Cu"
    path.write_text("\n".join(lines))
    message = r"types A1, A2 are no chemical elements; name the types .*elements=\['Cu', 'A1'\]"
    for make in (EAM, mdkern.load):
        with pytest.raises(UnsupportedError, match=message):
            make(path)
    with pytest.raises(ValueError, match="expected at most one of A1, A2"):
        EAM(path, elements=["A1", "A2"])
    assert EAM(path, elements=["Cu"]).species == ("Cu",)
    assert EAM(path, elements=["A2", "Cu"]).species == ("X", "Cu")


def test_names_alone_are_not_taken_for_average_atoms(tmp_path: Path) -> None:
    text = "one\ntwo\nthree\n1 {}\n6 0.5 6 0.25 1.5\n29 63.5\n" + "1 1 1 1 1 1\n" * 3
    path = tmp_path / "x"
    path.write_text(text.format("CU"))
    with pytest.raises(UnsupportedError, match="types CU are no chemical elements"):
        EAM(path)
    path.write_text(text.format("X"))
    assert EAM(path).species == ("X",)


def test_kinds_of_files_are_told_by_content(tmp_path: Path) -> None:
    for source in (ALLOY, FS, FUNCFL["Al"]):
        copy = tmp_path / "potential.txt"
        copy.write_bytes(Path(source).read_bytes())
        atoms = Atoms("Al2", [[0, 0, 0], [2.7, 0, 0]])
        a, b = (evaluate(EAM(path), atoms) for path in (source, copy))
        assert a["energy"] == b["energy"]


@pytest.mark.parametrize("build", [EAM, potentials.EAM])
def test_bad_parameters(build: Any) -> None:
    with pytest.raises(
        ValueError, match=r"elements: 'Zn' is not in .*synthetic.eam.alloy, which has"
    ):
        build(ALLOY, elements=["Zn"])
    with pytest.raises(ValueError, match=r"elements: .*expected a list of different"):
        build(ALLOY, elements=["Cu", "Cu"])
    with pytest.raises(ValueError, match=r"elements: .*expected a list"):
        build(ALLOY, elements="Cu")
    with pytest.raises(ValueError, match=r"elements: .*expected a list"):
        build(ALLOY, elements=[])
    with pytest.raises(ValueError, match=r"cutoff: 5.0; files bring their own"):
        build(ALLOY, cutoff=5.0)
    with pytest.raises(ValueError, match="precision: 'single'; EAM is offered in 'double' only"):
        build(ALLOY, precision="single")
    with pytest.raises(ValueError, match="elements: None; expected a list"):
        build("zhou2004")
    with pytest.raises(ValueError, match="species: got 'Xe', expected one of Cu"):
        build.zhou2004(["Xe"])
    with pytest.raises(ValueError, match=r"cutoff: 0.2; expected a number above"):
        build.zhou2004(["Cu"], cutoff=0.2)
    with pytest.raises(OSError):
        build("no_such_file.eam")


def test_a_broken_file_names_path_and_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.eam.alloy"
    lines = Path(ALLOY).read_text().splitlines()
    lines[7] = "not a number"
    path.write_text("\n".join(lines))
    with pytest.raises(FormatError, match=r"broken.eam.alloy:8: ") as caught:
        EAM(path)
    assert caught.value.line == 8
    assert caught.value.path == str(path)
