"""ASE's constraints, natively: each against ASE's own on random structures, and what is refused."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest
from ase import Atoms, constraints
from ase.build import bulk, fcc111, molecule
from ase.filters import FrechetCellFilter, UnitCellFilter

from mdkern import _core
from mdkern.errors import UnsupportedError
from mdkern.optimize.constraints import fix_symmetry, native_constraints


def adjusted(atoms: Atoms, new: np.ndarray, forces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions and forces as ASE's constraints leave them."""
    x, f = new.copy(), forces.copy()
    for c in atoms.constraints:
        c.adjust_positions(atoms, x)
        c.adjust_forces(atoms, f)
    return x, f


def compare(atoms: Atoms) -> None:
    rng = np.random.default_rng(8)
    made, cell = native_constraints(atoms), atoms.cell.array.copy()
    for _ in range(3):
        new = atoms.positions + rng.normal(scale=0.3, size=(len(atoms), 3))
        forces = rng.normal(size=(len(atoms), 3))
        x, f = adjusted(atoms, new, forces)
        y, g = new, forces
        for c in made:
            y = c.adjust_positions(cell, atoms.get_positions(), y)
            g = c.adjust_forces(cell, g)
        assert np.abs(x - y).max() < 1e-13
        assert np.abs(f - g).max() < 1e-13
        assert np.abs(new - y).max() > 1e-3


@pytest.mark.quick
@pytest.mark.parametrize(
    "made",
    [
        [constraints.FixAtoms([0, -1])],
        [constraints.FixAtoms(mask=[True, False, True])],
        [constraints.FixCom()],
        [constraints.FixCartesian([1, 2], (True, False, True))],
        [constraints.FixCartesian([0, 1]), constraints.FixCom()],
        [constraints.FixCom(), constraints.FixAtoms([1]), constraints.FixCartesian([-1])],
    ],
    ids=lambda made: "-".join(type(c).__name__ for c in made),
)
def test_constraints_are_those_of_ase(made: list[Any]) -> None:
    atoms = molecule("H2O")
    atoms.set_constraint(made)
    compare(atoms)


def test_masses_of_the_atoms_count() -> None:
    atoms = molecule("CH3OH")
    atoms.set_masses(np.arange(1.0, 1.0 + len(atoms)))
    atoms.set_constraint(constraints.FixCom())
    compare(atoms)


def test_masses_without_a_centre() -> None:
    atoms = molecule("H2O")
    atoms.set_constraint(constraints.FixCom())
    for masses, message in (
        ([0, 0, 0], "all masses are zero"),
        ([1, -2, 1], "mass of atom 1 is -2"),
    ):
        atoms.set_masses(masses)
        with pytest.raises(ValueError, match=message):
            native_constraints(atoms)
    atoms.set_masses([1, 0, 3])
    compare(atoms)


def crystals() -> dict[str, Atoms]:
    diamond = bulk("Si", cubic=True)
    rutile = Atoms(
        "Ti2O4",
        scaled_positions=[
            (0, 0, 0), (0.5, 0.5, 0.5), (0.305, 0.305, 0), (0.695, 0.695, 0), (0.805, 0.195, 0.5),
            (0.195, 0.805, 0.5),
        ],
        cell=[4.6, 4.6, 2.95],
        pbc=True,
    )  # fmt: skip
    wurtzite = bulk("ZnO", "wurtzite", a=3.25, c=5.2)
    supercell = bulk("NaCl", "rocksalt", a=5.64, cubic=True) * (2, 1, 2)
    return {
        "fcc": bulk("Cu"),
        "diamond": diamond,
        "rutile": rutile,
        "wurtzite": wurtzite,
        "supercell": supercell,
        "hcp": bulk("Mg"),
        "triclinic": Atoms("CNO", positions=[(0, 0, 0), (1, 1.1, 0.3), (2, 0.4, 1.9)], cell=[[4, 0.3, 0.1], [0, 5, 0.2], [0.3, 0.1, 6]], pbc=True),
    }  # fmt: skip


@pytest.mark.parametrize("name", crystals())
def test_symmetry_is_that_of_ase(name: str) -> None:
    pytest.importorskip("spglib")
    atoms = crystals()[name]
    constraint = constraints.FixSymmetry(atoms)
    atoms.set_constraint(constraint)
    rng = np.random.default_rng(9)
    atoms.set_cell(atoms.cell.array * 1.02, scale_atoms=True, apply_constraint=False)
    (made,) = native_constraints(atoms)
    cell, n = atoms.cell.array.copy(), len(atoms)
    for _ in range(3):
        new = atoms.positions + rng.normal(scale=0.1, size=(n, 3))
        forces = rng.normal(size=(n, 3))
        x, f = adjusted(atoms, new, forces)
        assert np.abs(made.adjust_positions(cell, atoms.get_positions(), new) - x).max() < 1e-13
        assert np.abs(made.adjust_forces(cell, forces) - f).max() < 1e-13
        stress = rng.normal(size=6)
        ours = made.adjust_virial(cell, stress)
        constraint.adjust_stress(atoms, stress)
        assert np.abs(ours - stress).max() < 1e-13
        wanted = cell @ (np.eye(3) + rng.uniform(-0.1, 0.1, size=(3, 3)))
        ours = made.adjust_cell(cell, wanted)
        constraint.adjust_cell(atoms, wanted)
        assert np.abs(ours - wanted).max() < 1e-13


def test_symmetry_without_positions_or_cell() -> None:
    pytest.importorskip("spglib")
    atoms = bulk("Mg")
    rng = np.random.default_rng(2)
    new, cell = atoms.positions + rng.normal(size=(2, 3)), atoms.cell.array.copy()
    wanted = cell * 1.01 + 0.01
    for positions in (True, False):
        atoms.set_constraint(fix_symmetry(atoms, positions=positions, cell=not positions))
        (made,) = native_constraints(atoms)
        kept = made.adjust_positions(cell, atoms.get_positions(), new)
        assert np.array_equal(kept, new) != positions
        assert np.array_equal(made.adjust_cell(cell, wanted), wanted) == positions


@pytest.mark.parametrize("kind", ["logarithm", "deformation"])
@pytest.mark.parametrize("name", ["rutile", "wurtzite", "supercell"])
def test_filter_with_symmetry_is_that_of_ase(kind: str, name: str) -> None:
    """Random steps of positions and cell through ASE's filter and ours, from a structure that is not symmetric either."""
    pytest.importorskip("spglib")
    atoms = crystals()[name]
    n, rng = len(atoms), np.random.default_rng(4)
    atoms.set_constraint([constraints.FixSymmetry(atoms), constraints.FixCom()])
    atoms.set_positions(
        atoms.positions + rng.normal(scale=0.02, size=(n, 3)), apply_constraint=False
    )
    peer = (FrechetCellFilter if kind == "logarithm" else UnitCellFilter)(atoms)
    mine = _core.CellFilter(
        n, atoms.cell.array.copy(), kind, np.ones((3, 3)), False, False, 0.0, 0.0
    )
    made = native_constraints(atoms)
    shift = np.zeros((n + 3, 3))
    if kind == "logarithm":
        shift[n:] = n * np.log(n) * np.eye(3)
    x, cell = atoms.get_positions(), atoms.cell.array.copy()
    q = mine.coordinates(x)
    for _ in range(8):
        step = rng.normal(scale=0.05, size=q.shape)
        peer.set_positions(q + step + shift)
        q, x, cell = mine.place(q + step, x, cell, made)
        assert np.abs(x - atoms.positions).max() < 2e-12
        assert np.abs(cell - atoms.cell.array).max() < 2e-12
        assert np.abs(q - (peer.get_positions() - shift)).max() < 1e-11
    assert np.abs(cell - peer.orig_cell).max() > 1e-2


def test_cells_that_change_too_much() -> None:
    pytest.importorskip("spglib")
    atoms = bulk("Cu", cubic=True)
    atoms.set_constraint(constraints.FixSymmetry(atoms))
    (made,) = native_constraints(atoms)
    with pytest.raises(RuntimeError, match=r"strained by 0\.3 in one step.* 0\.25"):
        made.adjust_cell(atoms.cell.array.copy(), atoms.cell.array * 1.3)


def test_space_group_of_a_start_that_is_slightly_off() -> None:
    spglib = pytest.importorskip("spglib")
    atoms = crystals()["rutile"]
    atoms.positions += np.random.default_rng(1).normal(scale=1e-3, size=(6, 3))
    atoms.set_constraint(fix_symmetry(atoms, symprec=0.05))
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    assert spglib.get_spacegroup(cell, 1e-5) == "P4_2/mnm (136)"


@pytest.mark.parametrize(
    "constraint",
    [
        constraints.Hookean(0, 1, 5.0, 1.0),
        constraints.FixBondLength(0, 1),
        constraints.FixedPlane(0, (0, 0, 1)),
        type("Mine", (constraints.FixAtoms,), {})([0]),
    ],
    ids=lambda c: type(c).__name__,
)
def test_others_are_refused_by_name(constraint: Any) -> None:
    atoms = molecule("H2O")
    atoms.set_constraint(constraint)
    with pytest.raises(UnsupportedError, match=rf"^constraint {type(constraint).__name__}: .*ase\.optimize\.FIRE"):  # fmt: skip
        native_constraints(atoms, "ase.optimize.FIRE")


def test_atoms_that_are_not_there() -> None:
    atoms = molecule("H2O")
    for index in (3, -4):
        atoms.set_constraint(constraints.FixAtoms([index]))
        with pytest.raises(ValueError, match=rf"constraint FixAtoms: atom {index}; expected"):
            native_constraints(atoms)


def test_symmetry_of_other_atoms() -> None:
    pytest.importorskip("spglib")
    constraint = constraints.FixSymmetry(bulk("Cu", cubic=True))
    atoms = bulk("Cu")
    atoms.set_constraint(constraint)
    with pytest.raises(ValueError, match="FixSymmetry: made for 4 atoms; expected 1"):
        native_constraints(atoms)
    # Operations that are no group of this structure: what ASE would average is then not the same at equal atoms.
    constraint.symm_map[0] = np.roll(constraint.symm_map[0], 1)
    atoms = bulk("Cu", cubic=True)
    atoms.set_constraint(constraint)
    with pytest.raises(ValueError, match="no group"):
        native_constraints(atoms)


def test_structures_without_a_space_group() -> None:
    pytest.importorskip("spglib")
    with pytest.raises(ValueError, match=r"cell: .*expected three vectors that span a volume"):
        fix_symmetry(fcc111("Cu", (1, 1, 2)))
    atoms = bulk("Cu", cubic=True)
    atoms.positions[1] = atoms.positions[0]
    with pytest.raises(ValueError, match="spglib finds no space group of Cu4"):
        fix_symmetry(atoms)


def test_spglib_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "spglib":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ImportError, match=r"pip install mdkern\[symmetry\]"):
        fix_symmetry(bulk("Cu"))
