"""Whole relaxations with constraints, and with cells and masks, step by step against ASE's optimizers."""

from __future__ import annotations

import itertools
from typing import Any

import ase
import numpy as np
import pytest
from ase import Atoms, constraints, optimize
from ase.build import add_adsorbate, bulk, fcc111
from ase.filters import FrechetCellFilter, UnitCellFilter

from mdkern import optimize as native
from mdkern.calculators import EAM
from mdkern.optimize.constraints import fix_symmetry

MASK_HOLDS = tuple(int(n) for n in ase.__version__.split(".")[:2]) >= (3, 29)


def rattled(atoms: Atoms, seed: int, size: float = 0.05, strain: float = 0.0) -> Atoms:
    rng = np.random.default_rng(seed)
    change = np.eye(3) + strain * rng.normal(size=(3, 3))
    atoms.set_cell(atoms.cell.array @ change, scale_atoms=True)
    atoms.positions += rng.normal(scale=size, size=(len(atoms), 3))
    atoms.calc = EAM.zhou2004(sorted(set(atoms.symbols)))
    return atoms


def slab() -> Atoms:
    atoms = fcc111("Cu", (2, 2, 3), vacuum=6.0)
    add_adsorbate(atoms, "Ni", 1.6, "fcc")
    return rattled(atoms, 3)


def alloy(strain: float = 0.02) -> Atoms:
    atoms = bulk("Cu", cubic=True, a=3.8)
    atoms.symbols[[0, 1]] = "Au"
    return rattled(atoms * (2, 1, 1), 5, strain=strain)


def fixed_layers(atoms: Atoms) -> list[Any]:
    return [constraints.FixAtoms(mask=atoms.positions[:, 2] < atoms.positions[:, 2].min() + 1.0)]


CONSTRAINTS: dict[str, Any] = {
    "none": lambda _: [],
    "FixAtoms": fixed_layers,
    "FixCom": lambda _: [constraints.FixCom()],
    "FixCartesian": lambda _: [constraints.FixCartesian([0, 3, 5], (True, True, False))],
    "all": lambda atoms: [*fixed_layers(atoms), constraints.FixCartesian([-1]), constraints.FixCom()],
}  # fmt: skip


def paths(ours: Any, theirs: Any, steps: int) -> tuple[float, float]:
    """Largest difference of positions and of cells over the steps of two optimizers, which end together."""
    mine, peer = (getattr(o, "optimizable", o).iterimages() for o in (ours, theirs))
    a, b = next(iter(mine)), next(iter(peer))
    apart = [0.0, 0.0]
    for _ in itertools.zip_longest(
        ours.irun(fmax=1e-6, steps=steps), theirs.irun(fmax=1e-6, steps=steps)
    ):
        apart[0] = max(apart[0], float(np.abs(a.positions - b.positions).max()))
        apart[1] = max(apart[1], float(np.abs(a.cell.array - b.cell.array).max()))
    assert steps >= ours.nsteps == theirs.nsteps > 3
    return apart[0], apart[1]


@pytest.mark.parametrize("which", CONSTRAINTS)
@pytest.mark.parametrize("method", ["FIRE", "LBFGS", "BFGS"])
def test_slabs_take_the_path_of_ase(method: str, which: str) -> None:
    pair = []
    for module in (native, optimize):
        atoms = slab()
        atoms.set_constraint(CONSTRAINTS[which](atoms))
        pair.append(getattr(module, method)(atoms, logfile=None))
    assert paths(*pair, 30)[0] < 1e-10


CELLS: list[tuple[str, str, dict[str, Any]]] = [
    ("none", "FIRE", {}),
    ("none", "LBFGS", {"mask": [1, 1, 0, 0, 0, 1]}),
    ("none", "FIRE", {"hydrostatic_strain": True}),
    ("none", "LBFGS", {"constant_volume": True}),
    ("none", "BFGS", {"scalar_pressure": 0.06}),
    ("FixAtoms", "LBFGS", {}),
    ("FixCom", "FIRE", {"mask": [1, 0, 1, 0, 1, 0], "scalar_pressure": -0.03}),
    ("all", "LBFGS", {"hydrostatic_strain": True}),
]


@pytest.mark.parametrize("filter", [FrechetCellFilter, UnitCellFilter])
@pytest.mark.parametrize(("which", "method", "options"), CELLS)
def test_cells_take_the_path_of_ase(
    which: str, method: str, options: dict[str, Any], filter: Any
) -> None:
    if "mask" in options and not MASK_HOLDS:
        pytest.skip("this ASE lets what is masked move where the cell was deformed otherwise")
    pair = []
    for module in (native, optimize):
        atoms = alloy()
        atoms.set_constraint(CONSTRAINTS[which](atoms))
        pair.append(getattr(module, method)(filter(atoms, **options), logfile=None))
    x, cell = paths(*pair, 15)
    assert x < 1e-9
    assert cell < 1e-9


def symmetric() -> dict[str, Atoms]:
    """Structures with a free coordinate of an atom or of the cell, far from their minimum."""
    layers = Atoms(
        "CuAuNiAu",
        scaled_positions=[(0, 0, 0.02), (0.5, 0.5, 0.28), (0, 0, 0.5), (0.5, 0.5, 0.74)],
        cell=[2.8, 2.8, 7.4],
        pbc=True,
    )
    hexagonal = bulk("Ti", "hcp", a=3.05, c=4.5) * (1, 1, 2)
    hexagonal.symbols[[0, 1]] = "Mg"
    cubic = bulk("Cu", cubic=True, a=3.9)
    cubic.symbols[0] = "Au"
    return {"layers": layers, "hexagonal": hexagonal, "L1_2": cubic}


@pytest.mark.parametrize("name", symmetric())
@pytest.mark.parametrize("method", ["FIRE", "LBFGS"])
def test_symmetry_is_kept_on_the_path_of_ase(method: str, name: str) -> None:
    spglib = pytest.importorskip("spglib")

    def group(atoms: Atoms) -> str:
        cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
        return str(spglib.get_spacegroup(cell, 1e-6))

    pair, images = [], []
    for module in (native, optimize):
        atoms = symmetric()[name]
        # A start that is symmetric but for noise, which the constraint removes from atoms and cell.
        rattled(atoms, 2, size=1e-4, strain=1e-4)
        atoms.set_constraint(fix_symmetry(atoms, 0.02))
        images.append(atoms)
        pair.append(getattr(module, method)(FrechetCellFilter(atoms), logfile=None))
    before = group(images[0])
    assert before == group(symmetric()[name])
    assert before != "P1 (1)"
    x, cell = paths(*pair, 20)
    assert x < 1e-9
    assert cell < 1e-9
    first = images[0].cell.array.copy()
    assert pair[0].run(fmax=1e-3, steps=500)
    assert np.abs(images[0].cell.array - symmetric()[name].cell.array).max() > 0.02
    assert np.abs(first - images[0].cell.array).max() < 1.0
    assert group(images[0]) == before


def test_symmetry_and_fixed_atoms_together() -> None:
    """In the order in which they are set, as ASE applies them."""
    pytest.importorskip("spglib")
    ends = []
    for order in (1, -1):
        pair = []
        for module in (native, optimize):
            atoms = symmetric()["layers"]
            rattled(atoms, 2, size=0.0)
            made = [fix_symmetry(atoms, 0.02), constraints.FixAtoms([0]), constraints.FixCom()]
            rattled(atoms, 9, size=0.03)
            atoms.set_constraint(made[::order])
            pair.append(module.FIRE(FrechetCellFilter(atoms), logfile=None))
        assert max(paths(*pair, 15)) < 1e-9
        ends.append(atoms.get_positions())
    assert np.abs(ends[0] - ends[1]).max() > 1e-6


def test_constraints_may_change_between_runs() -> None:
    pair = []
    for module in (native, optimize):
        atoms = slab()
        pair.append(module.FIRE(atoms, logfile=None))
    for made in ([], [constraints.FixCom()], [constraints.FixAtoms([1])]):
        for o in pair:
            next(iter(o.optimizable.iterimages())).set_constraint(made)
        for o in pair:
            o.run(fmax=0.0, steps=5)
        a, b = (next(iter(o.optimizable.iterimages())) for o in pair)
        assert np.abs(a.positions - b.positions).max() < 1e-10


class _Unread(list[Any]):
    """Numbers that take long to read."""

    def __repr__(self) -> str:
        raise AssertionError("read")


def test_operations_are_not_read_at_every_step() -> None:
    """A supercell has thousands, each with a map of all atoms; a constraint that is replaced is noticed."""
    pytest.importorskip("spglib")
    atoms = bulk("Cu", cubic=True, a=3.7)
    atoms.calc = EAM.zhou2004(["Cu"])
    both = [fix_symmetry(atoms), fix_symmetry(atoms, cell=False)]
    for constraint in both:
        constraint.symm_map = _Unread(constraint.symm_map)
    atoms.set_constraint(both[0])
    optimizer = native.FIRE(atoms, logfile=None, cell="full")
    optimizer.attach(lambda: None)
    optimizer.run(1e-9, 3)
    known = optimizer._relaxed._constraints_now()
    assert known == optimizer._relaxed._constraints_now()
    atoms.set_constraint(both[1])
    assert known != optimizer._relaxed._constraints_now()


def test_a_cell_that_is_strained_too_much_at_once() -> None:
    """ASE raises and loses the step; here the last good structure is there."""
    pytest.importorskip("spglib")
    atoms = bulk("Cu", cubic=True, a=2.6)
    atoms.calc = EAM.zhou2004(["Cu"])
    atoms.set_constraint(constraints.FixSymmetry(atoms))
    opt = native.FIRE(atoms, logfile=None, cell="full", maxstep=4.0, dt=0.5)
    with pytest.raises(native.RelaxationError, match=r"FixSymmetry: the cell is strained by"):
        opt.run(fmax=1e-4, steps=50)
    assert np.isfinite(atoms.get_potential_energy())
    assert atoms.cell.volume == pytest.approx(2.6**3, rel=0.9)
