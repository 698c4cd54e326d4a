"""Coordinates of relaxing cells against ASE's filters, matrix functions against scipy's, forces against differences of the energy."""

from __future__ import annotations

from typing import Any

import ase
import numpy as np
import pytest
import scipy.linalg
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixAtoms
from ase.filters import FrechetCellFilter, UnitCellFilter

from mdkern import _core
from mdkern.calculators import EAM
from mdkern.optimize.constraints import native_constraints
from mdkern.reference import cell_filter as reference

# From this version on a mask of ASE's filters holds what it masks, not the force on it alone.
MASK_HOLDS = tuple(int(n) for n in ase.__version__.split(".")[:2]) >= (3, 29)


def strained(seed: int = 1) -> Atoms:
    rng = np.random.default_rng(seed)
    atoms = bulk("Cu", cubic=True)
    atoms *= (2, 1, 1)
    atoms.positions += rng.normal(scale=0.1, size=(len(atoms), 3))
    atoms.set_cell(atoms.cell.array + rng.normal(scale=0.15, size=(3, 3)), scale_atoms=True)
    atoms.calc = EAM.zhou2004(["Cu"])
    return atoms


def native(atoms: Atoms, kind: str, mask_: Any, **options: Any) -> _core.CellFilter:
    """The filter that ASE's of the same options is compared with."""
    return _core.CellFilter(
        len(atoms),
        atoms.cell.array.copy(),
        kind,
        np.array(mask_, np.float64, order="C"),
        options.get("hydrostatic_strain", False),
        options.get("constant_volume", False),
        options.get("scalar_pressure", 0.0),
        options.get("factor", 0.0),
    )


def virial(atoms: Atoms) -> np.ndarray:
    return -atoms.get_stress() * atoms.get_volume()


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


@pytest.mark.quick
@pytest.mark.parametrize("size", [1e-6, 1e-3, 0.05, 0.3, 1.0])
def test_matrix_functions_are_those_of_scipy(size: float) -> None:
    rng = np.random.default_rng(7)
    for _ in range(20):
        a, w = rng.normal(scale=size, size=(3, 3)), rng.normal(size=(3, 3))
        e = _core.matrix3_exponential(a)
        # scipy's loses digits from a norm of 1 on; against 50 digits of mpmath ours had 3e-15 there.
        assert relative(e, scipy.linalg.expm(a)) < (1e-14 if size < 1 else 1e-12)
        exact = scipy.linalg.expm_frechet(a, w, compute_expm=False)
        assert relative(_core.matrix3_exponential_derivative(a, w), exact) < 1e-14
        log = _core.matrix3_logarithm(e)
        if log is None:  # turned by half a circle and more, where the principal one is another
            assert np.iscomplexobj(scipy.linalg.logm(e))
            continue
        # scipy's has the digits of e - 1.
        assert np.abs(log - scipy.linalg.logm(e)).max() < 3e-15 + 2e-14 * np.abs(log).max()
        assert relative(_core.matrix3_exponential(log), e) < 2e-14


@pytest.mark.parametrize(
    "matrix",
    [np.diag([-1.0, -1.0, 1.0]), np.diag([-1.0, 1.0, 1.0]), np.diag([0.0, 1.0, 1.0]), -np.eye(3)],
)
def test_matrices_without_a_real_logarithm(matrix: np.ndarray) -> None:
    assert _core.matrix3_logarithm(matrix) is None
    with pytest.raises(ValueError, match="negative"):
        reference.logarithm(matrix)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"mask": [1, 1, 0, 0, 0, 1]},
    {"mask": [False, False, True, False, False, False]},
    {"mask": np.array([[1, 0, 1], [1, 1, 0], [0, 0, 1]])},
    {"hydrostatic_strain": True},
    {"constant_volume": True},
    {"scalar_pressure": 0.05, "factor": 3.5},
    {"mask": [1, 0, 1, 0, 1, 0], "scalar_pressure": -0.05, "constant_volume": True},
    {"mask": [1, 1, 0, 1, 1, 1], "hydrostatic_strain": True},
]


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(o) or "plain")
@pytest.mark.parametrize("kind", ["logarithm", "deformation"])
def test_filter_is_that_of_ase(kind: str, options: dict[str, Any], fixed: bool) -> None:
    """Five random steps: coordinates, forces, positions, cell and energy of every one."""
    if "mask" in options and not MASK_HOLDS:
        pytest.skip("this ASE lets what is masked move where the cell was deformed otherwise")
    atoms, n = strained(), 8
    if fixed:
        atoms.set_constraint(FixAtoms([0, 5]))
    ours = dict(options)
    factor = ours.pop("factor", None)
    name = "exp_cell_factor" if kind == "logarithm" else "cell_factor"
    theirs = {**ours, name: factor} if factor else ours
    peer = (FrechetCellFilter if kind == "logarithm" else UnitCellFilter)(atoms, **theirs)
    mine = native(atoms, kind, peer.mask, **options)
    constraints = native_constraints(atoms)
    shift = np.zeros((n + 3, 3))
    if kind == "logarithm":  # ASE takes the logarithm of n F
        shift[n:] = (factor or n) * np.log(n) * np.eye(3)
    x, cell = atoms.get_positions(), atoms.cell.array.copy()
    q = mine.coordinates(x)
    rng = np.random.default_rng(3)
    for _ in range(5):
        assert np.abs(q - (peer.get_positions() - shift)).max() < 2e-12
        exact = peer.get_forces()
        assert relative(mine.forces(atoms.get_forces(), virial(atoms), cell), exact) < 1e-12
        energy = mine.energy(atoms.get_potential_energy(), cell)
        assert energy == pytest.approx(peer.get_potential_energy(), abs=1e-11)
        step = rng.normal(scale=0.03, size=q.shape)
        peer.set_positions(q + step + shift)
        q, x, cell = mine.place(q + step, x, cell, constraints)
        assert np.abs(x - atoms.positions).max() < 2e-12
        assert np.abs(cell - atoms.cell.array).max() < 2e-12


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(o) or "plain")
@pytest.mark.parametrize("kind", ["logarithm", "deformation"])
def test_filter_is_the_reference(kind: str, options: dict[str, Any]) -> None:
    atoms, log = strained(), kind == "logarithm"
    mask = np.array(options.get("mask", np.ones((3, 3))), float)
    if mask.shape == (6,):
        xx, yy, zz, yz, xz, xy = mask
        mask = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    factor = options.get("factor", float(len(atoms)))
    first = atoms.cell.array.copy()
    mine = native(atoms, kind, mask, **options)
    rng = np.random.default_rng(5)
    x, cell = atoms.get_positions(), first
    q = mine.coordinates(x)
    for _ in range(4):
        wanted = q + rng.normal(scale=0.05, size=q.shape)
        q, x, cell = mine.place(wanted, x, cell, [])
        exact_x, exact_cell = reference.place(wanted, first, log, factor, mask)
        assert np.abs(x - exact_x).max() < 1e-13
        assert np.abs(cell - exact_cell).max() < 1e-13
        assert np.abs(q - reference.coordinates(x, cell, first, log, factor)).max() < 1e-13
        f, v = rng.normal(size=x.shape), rng.normal(size=6)
        tensor = v[[[0, 5, 4], [5, 1, 3], [4, 3, 2]]]
        exact = reference.forces(
            f, tensor, cell, first, log, factor, mask, options.get("scalar_pressure", 0.0),
            options.get("hydrostatic_strain", False), options.get("constant_volume", False),
        )  # fmt: skip
        assert relative(mine.forces(f, v, cell), exact) < 1e-13


@pytest.mark.parametrize("kind", ["logarithm", "deformation"])
@pytest.mark.parametrize("pressure", [0.0, 0.06])
def test_forces_are_the_gradient(kind: str, pressure: float) -> None:
    """Minus the change of energy and p V along random directions of the coordinates, at a cell that is much deformed."""
    atoms = strained(4)
    mine = native(atoms, kind, np.ones((3, 3)), scalar_pressure=pressure)
    rng = np.random.default_rng(2)
    x, cell = atoms.get_positions(), atoms.cell.array.copy()
    start = mine.coordinates(x)
    start[8:] += rng.normal(scale=0.1 * len(atoms), size=(3, 3))

    def energy(q: np.ndarray) -> float:
        _, positions, h = mine.place(q, x, cell, [])
        atoms.set_cell(h)
        atoms.set_positions(positions)
        return mine.energy(atoms.get_potential_energy(), h)

    for _ in range(4):
        along = rng.normal(size=start.shape)
        h = 3e-5
        slope = (energy(start + h * along) - energy(start - h * along)) / (2 * h)
        energy(start)
        forces = mine.forces(atoms.get_forces(), virial(atoms), atoms.cell.array.copy())
        assert slope == pytest.approx(-float((forces * along).sum()), rel=1e-6, abs=1e-6)


def test_projections_hold_what_they_say() -> None:
    atoms = strained(6)
    f, v = atoms.get_forces(), virial(atoms)
    volume = native(atoms, "logarithm", np.ones((3, 3)), constant_volume=True)
    shape = native(atoms, "logarithm", np.ones((3, 3)), hydrostatic_strain=True)
    x, cell = atoms.get_positions(), atoms.cell.array.copy()
    for mine in (volume, shape):
        q, y, h = mine.coordinates(x), x, cell
        for _ in range(5):
            q, y, h = mine.place(q + 0.05 * mine.forces(f, v, h), y, h, [])
        change = np.linalg.solve(cell, h)
        assert np.abs(change - np.eye(3)).max() > 1e-3
        if mine is volume:
            assert np.linalg.det(change) == pytest.approx(1.0, abs=1e-13)
        else:
            assert np.abs(change - change[0, 0] * np.eye(3)).max() < 1e-14


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell": np.diag([4.0, 4.0, 0.0])}, "volume 0; expected three vectors"),
        ({"cell": np.full((3, 3), np.nan)}, "volume"),
        ({"kind": "strain"}, "kind: 'strain'; expected 'none', 'deformation' or 'logarithm'"),
        ({"mask": np.full((3, 3), 0.5)}, "mask: 0.5; expected 0 or 1"),
        ({"mask": np.ones(6)}, "mask"),
        ({"pressure": np.inf}, "pressure: inf; expected a finite number"),
        ({"factor": -1.0}, "factor: -1; expected a positive number"),
    ],
)
def test_options_that_make_no_sense(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "n": 2, "cell": 4.0 * np.eye(3), "kind": "logarithm", "mask": np.ones((3, 3)), "hydrostatic": False,
        "constant_volume": False, "pressure": 0.0, "factor": 0.0,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        _core.CellFilter(**{**arguments, **change})


def test_steps_that_cannot_be() -> None:
    atoms = strained()
    x, cell = atoms.get_positions(), atoms.cell.array.copy()
    mine = native(atoms, "deformation", np.ones((3, 3)))
    q = mine.coordinates(x)
    q[8] *= -1.0
    with pytest.raises(RuntimeError, match="inside out"):
        mine.place(q, x, cell, [])
    log = native(atoms, "logarithm", np.ones((3, 3)))
    q = log.coordinates(x)
    q[8, 0] = 1e6
    with pytest.raises(RuntimeError, match="not finite"):
        log.place(q, x, cell, [])
    # What is masked of half a turn leaves a matrix without a logarithm.
    half = native(atoms, "logarithm", np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]))
    q = half.coordinates(x)
    q[8:] = 8 * np.pi * np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 0]])
    with pytest.raises(RuntimeError, match="no real logarithm"):
        half.place(q, x, cell, [])
