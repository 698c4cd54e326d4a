"""The NumPy definitions against LAMMPS, ASE, finite differences and published equilibria."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations_with_replacement, product
from typing import Any

import ase.neighborlist
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.eam import EAM as AseEAM
from ase.calculators.lj import LennardJones as AseLennardJones
from ase.calculators.morse import MorsePotential
from numpy.typing import NDArray
from reference_data import all_cases, case_id, shared_folder

from mdkern import reference
from mdkern.io.eam import read_eam
from mdkern.potentials import zhou2004
from mdkern.reference import Result

VOIGT = ([0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1])
LISTS = [reference.neighbor_list, reference.neighbor_list_binned]


def geometry(atoms: Atoms) -> tuple[Any, Any, Any]:
    return atoms.positions, atoms.cell.array, atoms.pbc


def species_of(atoms: Atoms, order: list[str] | tuple[str, ...]) -> NDArray[np.int64]:
    return np.array([list(order).index(symbol) for symbol in atoms.get_chemical_symbols()])


def evaluate(atoms: Atoms, name: str, kwargs: dict[str, Any]) -> Result:
    """Result of the reference function that a stored case asks for."""
    place = geometry(atoms)
    if name.startswith("eam"):
        tables = read_eam(kwargs["path"])
        return reference.eam(*place, species_of(atoms, tables.species), tables)
    if name.startswith("morse"):
        zero = np.zeros(len(atoms), dtype=int)
        table = (kwargs[key] for key in ("D", "alpha", "r0", "rc"))
        return reference.morse(*place, zero, *table, shift=kwargs["shift"])
    options = {key: kwargs.get(key, False) for key in ("shift", "force_shift")}
    if "pairs" in kwargs:
        names = sorted({part for key in kwargs["pairs"] for part in key.split("-")})
        epsilon, sigma, rc = (
            [[kwargs["pairs"]["-".join(sorted((a, b)))][key] for a in names] for b in names]
            for key in ("epsilon", "sigma", "rc")
        )
        return reference.lennard_jones(
            *place, species_of(atoms, names), epsilon, sigma, rc, **options
        )
    if "mixing" in kwargs:
        names = list(kwargs["sigma"])
        e, s = (np.array([kwargs[key][k] for k in names]) for key in ("epsilon", "sigma"))
        sigma = np.add.outer(s, s) / 2
        if kwargs["mixing"] == "geometric":
            sigma = np.sqrt(np.multiply.outer(s, s))
        epsilon = np.sqrt(np.multiply.outer(e, e))
        return reference.lennard_jones(
            *place, species_of(atoms, names), epsilon, sigma, kwargs["rc"], **options
        )
    zero = np.zeros(len(atoms), dtype=int)
    return reference.lennard_jones(
        *place, zero, kwargs["epsilon"], kwargs["sigma"], kwargs["rc"], **options
    )


CASES = [case for prefix in ("lj_", "morse_", "eam_") for case in all_cases(prefix)]


@pytest.mark.parametrize(("name", "kwargs", "_tag", "atoms", "stored"), CASES, ids=case_id)
def test_agrees_with_lammps(
    name: str, kwargs: dict[str, Any], _tag: str, atoms: Atoms, stored: dict[str, Any]
) -> None:
    result = evaluate(atoms, name, kwargs)
    force_scale = 1 + np.abs(stored["forces"]).max()
    assert abs(result.energy - stored["energy"]) <= 1e-10 * len(atoms)
    assert np.abs(result.energies - stored["energies"]).max() <= 1e-10
    assert np.abs(result.forces - stored["forces"]).max() <= 1e-9 * force_scale
    assert np.abs(-result.virial[VOIGT] - stored["virial"]).max() <= 1e-10 * len(atoms)
    assert np.abs(result.virial - result.virial.T).max() <= 1e-11 * len(atoms) * force_scale
    if "stress" in stored:
        stress = -result.virial[VOIGT] / atoms.get_volume()
        assert np.abs(stress - stored["stress"]).max() <= 1e-11


def sample(symbols: str, a: float, seed: int = 3) -> Atoms:
    """Small skewed cell with two kinds of atoms, some outside the cell."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Cu", "fcc", a=a, cubic=True) * (2, 1, 1)
    atoms.symbols[:] = [symbols[:2], symbols[2:]] * 4
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.05 * rng.normal(size=(3, 3))), True)
    atoms.positions += 0.1 * rng.normal(size=(8, 3))
    atoms.positions += rng.integers(-1, 2, size=(8, 3)) @ atoms.cell.array
    return atoms


ArrayFunction = Callable[..., Result]
TABLE = np.array([[0.2, 0.3], [0.3, 0.25]])
SIGMA = np.array([[2.3, 2.4], [2.4, 2.5]])
RC = np.array([[5.1, 5.3], [5.3, 5.6]])
MODELS: dict[str, ArrayFunction] = {
    "lj_shift": lambda *g: reference.lennard_jones(*g, TABLE, SIGMA, RC),
    "lj_force_shift": lambda *g: reference.lennard_jones(*g, TABLE, SIGMA, RC, force_shift=True),
    "lj_smooth": lambda *g: reference.lennard_jones(*g, TABLE, SIGMA, RC, smooth=True, onset=4.0),
    "morse": lambda *g: reference.morse(*g, TABLE, 1.3, SIGMA, RC, shift=True),
    "morse_switch": lambda *g: reference.morse(*g, TABLE, 1.3, SIGMA, RC, onset=3.9),
    "eam_alloy": lambda *g: reference.eam(*g, read_eam(all_path("eam_alloy"))),
    "eam_fs": lambda *g: reference.eam(*g, read_eam(all_path("eam_fs"))),
    "eam_funcfl": lambda *g: reference.eam(*g, read_eam(all_path("eam_funcfl_mixed"))),
    "zhou2004": lambda *g: reference.eam_zhou2004(*g, ["Al", "Cu"]),
    "zhou2004_bcc": lambda *g: reference.eam_zhou2004(*g, ["Fe", "Pt"], cutoff=5.0),
}


def all_path(name: str) -> Any:
    return next(case[1]["path"] for case in all_cases(name) if case[0] == name)


@pytest.mark.parametrize("pbc", [(1, 1, 1), (1, 0, 1), (0, 0, 0)])
@pytest.mark.parametrize("model", MODELS)
def test_derivatives(model: str, pbc: tuple[int, int, int]) -> None:
    atoms = sample("AlCu", 3.9)
    atoms.pbc = pbc
    species = species_of(atoms, ["Al", "Cu"])
    result = MODELS[model](*geometry(atoms), species)
    h = 1e-5
    scale = 1 + np.abs(result.forces).max()

    def energy(positions: NDArray[np.float64], cell: NDArray[np.float64]) -> float:
        return MODELS[model](positions, cell, atoms.pbc, species).energy

    x, cell = atoms.positions, atoms.cell.array
    for atom, axis in product((0, 5), range(3)):
        step = np.zeros_like(x)
        step[atom, axis] = h
        slope = (energy(x + step, cell) - energy(x - step, cell)) / (2 * h)
        assert abs(slope + result.forces[atom, axis]) <= 2e-7 * scale
    for a, b in combinations_with_replacement(range(3), 2):
        strain = np.zeros((3, 3))
        strain[a, b] += h / 2
        strain[b, a] += h / 2
        up, down = np.eye(3) + strain, np.eye(3) - strain
        slope = (energy(x @ up, cell @ up) - energy(x @ down, cell @ down)) / (2 * h)
        assert abs(slope + result.virial[a, b]) <= 2e-6 * scale
    assert np.abs(result.forces.sum(axis=0)).max() <= 1e-11 * scale
    assert abs(result.energies.sum() - result.energy) <= 1e-11 * scale


def compare_with_ase(atoms: Atoms, result: Result, tolerance: float) -> None:
    assert np.abs(result.energies - atoms.get_potential_energies()).max() <= tolerance
    assert np.abs(result.forces - atoms.get_forces()).max() <= tolerance
    if atoms.cell.rank == 3:
        stress = -result.virial[VOIGT] / atoms.get_volume()
        assert np.abs(stress - atoms.get_stress()).max() <= tolerance


@pytest.mark.parametrize("pbc", [True, (True, False, True), False])
@pytest.mark.parametrize("smooth", [False, True])
def test_lennard_jones_is_that_of_ase(smooth: bool, pbc: Any) -> None:
    atoms = sample("ArAr", 5.0)
    atoms.pbc = pbc
    parameters = {"epsilon": 0.0103, "sigma": 3.3, "rc": 8.1}
    zero = np.zeros(len(atoms), dtype=int)
    for onset in (None, 6.0) if smooth else (None,):
        atoms.calc = AseLennardJones(**parameters, smooth=smooth, ro=onset)
        result = reference.lennard_jones(
            *geometry(atoms), zero, 0.0103, 3.3, 8.1, smooth=smooth, onset=onset
        )
        compare_with_ase(atoms, result, 1e-12)


@pytest.mark.parametrize("pbc", [True, (True, False, True), False])
def test_morse_is_that_of_ase(pbc: Any) -> None:
    atoms = sample("CuCu", 3.7)
    atoms.pbc = pbc
    parameters = {"epsilon": 0.34, "rho0": 3.9, "r0": 2.87, "rcut1": 1.5, "rcut2": 2.1}
    atoms.calc = MorsePotential(**parameters)
    compare_with_ase(atoms, reference.morse_ase(*geometry(atoms), **parameters), 1e-12)


def test_eam_is_close_to_ase_on_a_fine_table() -> None:
    folder = shared_folder("potentials")
    if folder is None:
        pytest.skip("MDKERN_TEST_DATA is not set")
    path = folder / "Cu_mishin1.eam.alloy"
    atoms = sample("CuCu", 3.7)
    atoms.calc = AseEAM(potential=str(path))
    result = reference.eam(*geometry(atoms), np.zeros(8, dtype=int), read_eam(path))
    assert abs(result.energy - atoms.get_potential_energy()) <= 1e-11 * len(atoms)
    assert np.abs(result.forces - atoms.get_forces()).max() <= 1e-8


def test_tables_must_be_symmetric_and_complete() -> None:
    atoms = sample("AlCu", 3.9)
    species = species_of(atoms, ["Al", "Cu"])
    with pytest.raises(ValueError, match="epsilon: expected a symmetric"):
        reference.lennard_jones(*geometry(atoms), species, [[1, 2], [3, 4]], 2.0, 5.0)
    with pytest.raises(ValueError, match=r"sigma: expected a symmetric \(2, 2\)"):
        reference.lennard_jones(*geometry(atoms), species, 1.0, [[1.0]], 5.0)


# --- neighbour lists ---------------------------------------------------------------------------


def canonical(i: Any, j: Any, S: Any, *rest: Any) -> tuple[Any, ...]:
    order = np.lexsort((S[:, 2], S[:, 1], S[:, 0], j, i))
    return tuple(part[order] for part in (i, j, S, *rest))


def random_box(seed: int) -> tuple[Atoms, float]:
    """Any boundary condition, skewed or tiny cells, atoms far outside, coincident atoms."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 30))
    cell = np.diag(rng.uniform(2, 9, size=3)) + rng.uniform(-3, 3, size=(3, 3))
    while abs(np.linalg.det(cell)) < 20:
        cell += np.diag(rng.uniform(0, 3, size=3))
    positions = rng.uniform(-1, 2, size=(n, 3)) @ cell
    if n > 3:
        positions[1] = positions[0]
    pbc = rng.integers(0, 2, size=3).astype(bool)
    return Atoms(f"H{n}", positions, cell=cell, pbc=pbc), float(rng.uniform(1, 7))


@pytest.mark.parametrize("build", LISTS)
@pytest.mark.parametrize("seed", range(24))
def test_neighbor_list_is_that_of_ase(build: Any, seed: int) -> None:
    atoms, cutoff = random_box(seed)
    for self_interaction in (False, True):
        mine = build("ijSdD", *geometry(atoms), cutoff, self_interaction)
        theirs = ase.neighborlist.neighbor_list(
            "ijSdD", atoms, cutoff, self_interaction=self_interaction
        )
        assert np.all(np.diff(mine[0]) >= 0)
        assert [part.dtype for part in mine] == [part.dtype for part in theirs]
        a, b = canonical(*mine[:3], *mine[3:]), canonical(*theirs[:3], *theirs[3:])
        for mine_part, their_part in zip(a[:3], b[:3], strict=True):
            assert np.array_equal(mine_part, their_part)
        assert np.abs(a[3] - b[3]).max(initial=0) <= 1e-12
        assert np.abs(a[4] - b[4]).max(initial=0) <= 1e-12


@pytest.mark.parametrize("build", LISTS)
def test_neighbor_list_of_an_elongated_box_with_many_bins(build: Any) -> None:
    rng = np.random.default_rng(5)
    size = [30, 9, 11]
    atoms = Atoms("H300", rng.uniform(0, 1, (300, 3)) * size, cell=size, pbc=[1, 0, 1])
    mine = canonical(*build("ijS", *geometry(atoms), 2.0))
    theirs = canonical(*ase.neighborlist.neighbor_list("ijS", atoms, 2.0))
    assert all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))


@pytest.mark.parametrize("build", LISTS)
def test_neighbor_list_edge_cases(build: Any) -> None:
    none = build("ijdDS", np.zeros((0, 3)), np.eye(3), True, 2.0)
    assert [part.shape for part in none] == [(0,), (0,), (0,), (0, 3), (0, 3)]
    assert [part.dtype.kind for part in none] == list("iiffi")
    # strictly below the cutoff; a square lattice has 4 neighbours at 1
    square = (np.zeros((1, 3)), np.diag([1.0, 1.0, 0.0]), (True, True, False))
    assert len(build("d", *square, 1.0)) == 0
    assert len(build("d", *square, 1.0000001)) == 4
    # vectors of open directions are ignored, whatever they hold
    singular = np.array([[3.0, 0, 0], [3.0, 0, 0], [np.nan, 0, np.inf]])
    line = build("iS", [[0, 0, 0], [0, 1, 0]], singular, (True, False, False), 3.1)
    assert len(line[0]) == 6
    assert not line[1][:, 1:].any()
    wide = build("i", [[0, 0, 0], [1e6, 0, 0], [1e6, 1, 0]], np.zeros((3, 3)), False, 2.0)
    assert wide.tolist() == [1, 2]


@pytest.mark.parametrize("build", LISTS)
def test_neighbor_list_refuses_bad_input(build: Any) -> None:
    good = (np.zeros((1, 3)), np.eye(3), True)
    with pytest.raises(ValueError, match="quantities: got 'ix'"):
        build("ix", *good, 1.0)
    for cutoff in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="cutoff: got"):
            build("i", *good, cutoff)
    with pytest.raises(ValueError, match="got NaN or infinity"):
        build("i", [[np.nan, 0, 0]], np.eye(3), True, 1.0)
    with pytest.raises(ValueError, match="linearly dependent"):
        build("i", np.zeros((1, 3)), np.ones((3, 3)), True, 1.0)


# --- Zhou 2004 ---------------------------------------------------------------------------------

PARAMETERS = zhou2004.zhou2004_parameters()
ELEMENTS = list(PARAMETERS)
PAIRS = list(combinations_with_replacement(ELEMENTS, 2))


def untruncated_energy(symbol: str, a: float, c: float | None, structure: str) -> float:
    """Energy per atom with all neighbours up to 3.2 re; every site of these is alike."""
    cell = bulk(symbol, structure, a=a, c=c) if c else bulk(symbol, structure, a=a)
    reach = 3.2 * PARAMETERS[symbol]["re"]
    i, d = reference.neighbor_list("id", *geometry(cell), reach)
    d = d[i == 0]
    phi, _ = zhou2004.pair_function(symbol, symbol, d)
    rho = zhou2004.density_function(symbol, d)[0].sum()
    return float(zhou2004.embedding_function(symbol, rho)[0] + 0.5 * phi.sum())


@pytest.mark.parametrize("symbol", ELEMENTS)
def test_zhou_equilibria(symbol: str) -> None:
    stored = zhou2004._load()["equilibrium_untruncated"][symbol]
    a, structure = stored["a"], stored["structure"]
    c = a * stored["c_over_a"] if structure == "hcp" else None
    energy = untruncated_energy(symbol, a, c, structure)
    assert abs(energy - stored["energy"]) <= 1e-6
    # a minimum in a (volume) and c/a; the stored lengths have five decimals
    h = 2e-3
    trials = [(a + s * h, c * (a + s * h) / a if c else None) for s in (-1, 0, 1)]
    if c:
        shapes = [(a, c + s * h) for s in (-1, 0, 1)]
        assert abs(minimum(symbol, shapes, structure)) * h <= 5e-5
    assert abs(minimum(symbol, trials, structure)) * h <= 2e-5


def minimum(symbol: str, lengths: list[tuple[float, float | None]], structure: str) -> float:
    """Offset of the parabola's minimum from the middle point, in steps."""
    low, middle, high = (untruncated_energy(symbol, a, c, structure) for a, c in lengths)
    assert low + high - 2 * middle > 0
    return 0.5 * (low - high) / (low + high - 2 * middle)


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_zhou_derivatives_and_repulsion(a: str, b: str) -> None:
    rc = zhou2004.default_cutoff([a, b])
    r = np.linspace(0.3, rc - 1e-3, 400)
    h = 1e-5
    _, df, _, dphi = zhou2004.switched_functions(a, b, r, rc)
    up, down = (zhou2004.switched_functions(a, b, r + s * h, rc) for s in (1, -1))
    assert np.abs((up[0] - down[0]) / (2 * h) - df).max() <= 1e-8 * np.abs(df).max()
    assert np.abs((up[2] - down[2]) / (2 * h) - dphi).max() <= 1e-8 * np.abs(dphi).max()
    # finite, positive and falling at short range, down to contact
    close = np.linspace(0, 0.7 * min(PARAMETERS[a]["re"], PARAMETERS[b]["re"]), 200)
    phi, slope = zhou2004.pair_function(a, b, close)
    assert (phi > 0).all()
    assert (slope < 0).all()
    assert np.array_equal(zhou2004.pair_function(b, a, r)[0], zhou2004.pair_function(a, b, r)[0])


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_zhou_tables_agree_with_the_formulas(a: str, b: str) -> None:
    tables = zhou2004.tabulate([a, b] if a != b else [a])
    start = 0.7 * min(PARAMETERS[a]["re"], PARAMETERS[b]["re"])
    r = np.random.default_rng(0).uniform(start, tables.cutoff, size=6000)
    r = np.append(r, np.arange(1, 6) * 1e-9 + tables.cutoff - 1e-8)
    f, df, _, dphi = zhou2004.switched_functions(a, b, r, tables.cutoff)
    n_cell = tables.density.shape[2]
    assert (n_cell - 1.001) * tables.dr < tables.cutoff <= (n_cell + 1e-5) * tables.dr
    cell = np.minimum((r / tables.dr).astype(int), n_cell - 1)
    p = r / tables.dr - cell

    def lookup(table: NDArray[np.float64]) -> tuple[Any, Any]:
        c3, c2, c1, c0 = table[cell].T
        return ((c3 * p + c2) * p + c1) * p + c0, ((3 * c3 * p + 2 * c2) * p + c1) / tables.dr

    value, slope = lookup(tables.density[0, 0])
    assert np.abs(slope - df).max() <= 1e-10 * np.abs(df).max()
    assert np.abs(value - f).max() <= 1e-12 * np.abs(f).max()
    value, slope = lookup(tables.r_phi[0, -1])
    assert np.abs(slope / r - value / r**2 - dphi).max() <= 1e-10 * np.abs(dphi).max()
    assert np.isfinite(tables.r_phi).all()
    assert np.isfinite(tables.density).all()
    assert tables.species == ((a, b) if a != b else (a,))
    assert tables.embedding.shape[1] == 16


@pytest.mark.parametrize("symbol", ELEMENTS)
def test_zhou_embedding(symbol: str) -> None:
    p = PARAMETERS[symbol]
    (row,) = zhou2004.embedding_parameters([symbol])
    assert row[0] == p["rho_n_factor"] * p["rho_e"]
    assert row[2] == 1.15 * p["rho_e"]
    assert row[4:15].tolist() == [p[k] for k in zhou2004._EMBEDDING_COLUMNS[4:]]
    rho = np.linspace(0.013, 3, 1999) * p["rho_e"]
    h = 1e-5 * p["rho_e"]
    smooth = np.all([np.abs(rho - edge) > 2 * h for edge in row[:3]], axis=0)
    up, down = (zhou2004.embedding_function(symbol, rho + s * h)[0] for s in (1, -1))
    slope = zhou2004.embedding_function(symbol, rho)[1]
    assert np.abs((up - down) / (2 * h) - slope)[smooth].max() <= 1e-8 * np.abs(slope).max()
    # the published pieces meet to their printed digits
    jump = zhou2004.embedding_function(symbol, row[:3] * (1 + 1e-12))[0]
    jump -= zhou2004.embedding_function(symbol, row[:3] * (1 - 1e-12))[0]
    assert np.abs(jump).max() <= 2e-3
    assert abs(zhou2004.embedding_function(symbol, 0.0)[0]) <= 2e-6


def test_zhou_switch() -> None:
    s, ds = zhou2004.switch_function([1.0, 4.5, 4.75, 5.0, 6.0], 5.0)
    assert s.tolist() == [1, 1, 0.5, 0, 0]
    assert ds.tolist() == [0, 0, -30 / 16 / 0.5, 0, 0]
    assert abs(zhou2004.default_cutoff(["Cu", "Al"]) - 10**0.5 / 2 * 2**0.5 * 2.863924) <= 1e-12


def test_zhou_bad_input() -> None:
    with pytest.raises(ValueError, match="species: got 'Xe', expected one of Cu, Ag"):
        zhou2004.tabulate(["Xe"])
    with pytest.raises(ValueError, match="expected different elements"):
        zhou2004.tabulate(["Cu", "Cu"])
    with pytest.raises(ValueError, match="species: got no element"):
        zhou2004.tabulate([])
    for cutoff in (0.4, np.inf, np.nan, -3.0):
        with pytest.raises(ValueError, match=r"cutoff: .*; expected a number above 0.5 Angstrom"):
            zhou2004.tabulate(["Cu"], cutoff=cutoff)
    with pytest.raises(ValueError, match="n_r: got 3"):
        zhou2004.tabulate(["Cu"], n_r=3)


def test_zhou_crystal_with_the_switch() -> None:
    """The switch moves the energy of Cu by meV, and alloys bind."""
    atoms = bulk("Cu", "fcc", a=3.615)
    result = reference.eam_zhou2004(*geometry(atoms), [0], ["Cu"])
    assert abs(result.energy + 3.54) <= 0.02
    alloy = sample("CuNi", 3.57)
    mixed = reference.eam_zhou2004(*geometry(alloy), species_of(alloy, ["Cu", "Ni"]), ["Cu", "Ni"])
    swapped = reference.eam_zhou2004(
        *geometry(alloy), species_of(alloy, ["Ni", "Cu"]), ["Ni", "Cu"]
    )
    assert np.abs(mixed.forces - swapped.forces).max() <= 1e-12
    assert mixed.energy < -3 * len(alloy)
