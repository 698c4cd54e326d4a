"""Python threads side by side, with the bits of one thread: on every Python, and in earnest on one without a GIL.

What threads share by mistake, or take turns with, is in test_thread_safety.py.
"""

from __future__ import annotations

import copy
import os
import queue
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import thread_checks
from ase import Atoms, units
from ase.build import bulk, molecule
from deepmd_data import model_file
from programs_data import PATIENCE
from thread_checks import N_THREADS, copper, in_threads, mace_model, nep_file, oxides, same

import mdkern
from mdkern import _core
from mdkern.calculators import EAM, MACE, NEP, Calculator, DeepPotential, LennardJones
from mdkern.errors import InUseError
from mdkern.lammps.rows import RowModel
from mdkern.md import Langevin
from mdkern.optimize import FIRE, LBFGS

FREE = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
LETTERS = "ijdDS"


def in_child(call: str) -> None:
    thread_checks.in_child(call, __name__)


def all_same(a: Any, b: Any) -> bool:
    return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))


def numbers(calc: Calculator, atoms: Atoms) -> list[Any]:
    return [calc.get_potential_energy(atoms), calc.get_forces(atoms), calc.get_stress(atoms)]


@pytest.mark.quick
@pytest.mark.skipif(not FREE, reason="this Python has a GIL")
def test_the_gil_stays_off() -> None:
    """An extension that does not declare itself switches it on, with a warning."""
    code = (
        "import sys, mdkern.calculators, mdkern.md, mdkern.optimize; print(sys._is_gil_enabled())"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHON_GIL"}
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "False"
    assert "mdkern" not in said.stderr


def import_at_once() -> None:
    """The first use of everything, by all threads: one module, one class of each name, the same numbers."""
    assert "mdkern" in sys.modules  # by this file; what it has not touched is made below
    names = ["Morse", "Buckingham", "ZBL", "StillingerWeber", "Tersoff", "SNAP", "Sum", "D3"]

    def work(_: int) -> list[Any]:
        found: list[Any] = [getattr(mdkern.calculators, name) for name in names]
        found += [mdkern.tuning, mdkern.analysis, mdkern.reference, mdkern.fitting, mdkern.mep]
        found += [mdkern.relax, mdkern.evaluate, mdkern.load, mdkern.__version__]
        return found

    first, *others = in_threads(work, 2 * N_THREADS)
    for found in others:
        assert all(a is b for a, b in zip(found, first, strict=True))


def test_first_uses_in_threads() -> None:
    in_child("import_at_once()")


def test_imports_in_threads() -> None:
    """The import of the package itself, in an interpreter that has nothing of it."""
    code = """
import threading
from concurrent.futures import ThreadPoolExecutor
import numpy, ase.build
atoms = ase.build.bulk("Cu", cubic=True) * 4
gate = threading.Barrier(8)
def work(k):
    gate.wait(60)
    import mdkern
    from mdkern.calculators import EAM
    i, d = mdkern.neighbor_list("id", atoms, 4.0)
    return EAM, d.tobytes(), EAM.zhou2004(["Cu"]).get_forces(atoms.copy()).tobytes()
with ThreadPoolExecutor(8) as pool:
    found = list(pool.map(work, range(8)))
import mdkern
assert all(f[0] is found[0][0] and f[1:] == found[0][1:] for f in found)
assert found[0][1] == mdkern.neighbor_list("d", atoms, 4.0).tobytes()
"""
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=300 * PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr


# --- neighbor lists -------------------------------------------------------------------------------


@pytest.mark.quick
def test_neighbor_lists_of_the_same_atoms() -> None:
    """Of one Atoms object, by all threads: small ones, which keep the GIL where there is one, and others."""
    water = molecule("H2O")
    shared = [water, bulk("Cu", cubic=True) * 2, bulk("Cu", cubic=True) * 5, copper(1)]
    right = [mdkern.neighbor_list(LETTERS, a, 4.0) for a in shared]
    rules = {("Cu", "Cu"): 3.5, ("O", "H"): 1.2}
    ruled = [mdkern.neighbor_list("ijd", a, rules) for a in shared]

    def work(k: int) -> None:
        for turn in range(25):
            at = (k + turn) % len(shared)
            assert all_same(mdkern.neighbor_list(LETTERS, shared[at], 4.0), right[at])
            assert all_same(mdkern.neighbor_list("ijd", shared[at], rules), ruled[at])
        for got, expected in zip(
            mdkern.neighbor_list_batch(LETTERS, shared, 4.0), right, strict=True
        ):
            assert all_same(got, expected)

    in_threads(work)


def grow() -> None:
    """Arrays of all sizes out of the pool of outputs, some given back by another thread than the one that took them."""
    sizes = [3, 6, 4, 9, 5, 12, 7]  # up to 6912 atoms: from NumPy's arrays to blocks of some MB
    crystals = {n: bulk("Cu", cubic=True) * n for n in sizes}
    right = {n: mdkern.neighbor_list(LETTERS, a, 4.0, threads=1) for n, a in crystals.items()}
    handed: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()

    def work(k: int) -> None:
        for turn in range(10):
            n = sizes[(2 * k + turn) % len(sizes)]
            handed.put((n, mdkern.neighbor_list(LETTERS, crystals[n], 4.0, threads=1 + k % 2)))
            other, got = handed.get()
            assert all_same(got, right[other])

    in_threads(work)


def test_pool_of_output_arrays() -> None:
    in_child("grow()")


def small_and_moving() -> None:
    """Lists of few atoms that another thread moves meanwhile: of some positions, and whole."""
    atoms = bulk("Cu", cubic=True) * (3, 3, 3)
    start = atoms.positions.copy()
    stop = threading.Event()

    def move() -> None:
        rng = np.random.default_rng(0)
        while not stop.is_set():
            np.add(start, rng.normal(scale=2.0, size=start.shape), out=atoms.positions)

    mover = threading.Thread(target=move)
    mover.start()

    def work(_: int) -> None:
        for _ in range(150):
            i, j, d, D, S = mdkern.neighbor_list(LETTERS, atoms, 4.0)
            assert d.max(initial=0.0) <= 4.0
            assert np.allclose(np.linalg.norm(D, axis=1), d, rtol=0, atol=1e-12)
            there = np.lexsort((*S.T, j, i))
            back = np.lexsort((*-S.T, i, j))  # every pair is there in both directions
            assert same(i[there], j[back])
            assert same(j[there], i[back])

    try:
        in_threads(work)
    finally:
        stop.set()
        mover.join()


def test_small_lists_of_moving_atoms() -> None:
    in_child("small_and_moving()")


# --- calculators ----------------------------------------------------------------------------------

CALCULATORS: dict[str, tuple[Callable[[], Calculator], Callable[[int], Atoms]]] = {
    "lj": (lambda: LennardJones(epsilon=0.0103, sigma=2.3, rc=6.0), copper),
    "eam": (lambda: EAM.zhou2004(["Cu"]), copper),
    "nep": (lambda: NEP(nep_file()), oxides),
    "mace": (lambda: MACE(mace_model()), oxides),
    "deepmd": (lambda: DeepPotential(model_file("se_e2_a_dt")), oxides),
}


@pytest.mark.quick
@pytest.mark.parametrize("kind", CALCULATORS)
def test_a_calculator_for_each_thread(kind: str) -> None:
    """All made at once from one file or one set of parameters, while one thread changes the number of threads."""
    make, structure = CALCULATORS[kind]
    frames = [structure(k) for k in range(N_THREADS)]

    def work(k: int) -> list[Any]:
        calc = make()
        found = []
        for turn in range(4):
            if k == 0:
                mdkern.set_num_threads(1 + turn % 3)
            found += numbers(calc, frames[(k + turn) % len(frames)])
        return found

    right = [work(k) for k in range(N_THREADS)]
    for got, expected in zip(in_threads(work), right, strict=True):
        assert all_same(got, expected)


def share_potential(kind: str) -> None:
    """One potential, a table for each thread: what MACE makes on demand is made by several at once."""
    make, structure = CALCULATORS[kind]
    frames = [structure(k) for k in range(N_THREADS)]
    for k, atoms in enumerate(frames):  # different elements need different tables
        atoms.symbols[:] = np.where(np.arange(len(atoms)) % 2, atoms.symbols, atoms.symbols[k])

    def evaluated(potential: Any, k: int) -> list[Any]:
        table = _core.NeighborTable(potential.cutoff, 0.0)
        kinds = mdkern.potentials.base.SpeciesMap(potential.species)(frames[k].numbers)
        table.update(frames[k].positions, frames[k].cell.array, frames[k].pbc, kinds, 1)
        r = potential.compute(table, virials=True, threads=1 + k % 2)
        return [r.energy, r.forces, r.virial, r.virials]

    right = [evaluated(make().potential, k) for k in range(N_THREADS)]
    for _ in range(3):
        shared = make().potential
        for got, expected in zip(
            in_threads(lambda k, p=shared: evaluated(p, k)),  # type: ignore[misc]
            right,
            strict=True,
        ):
            assert all_same(got, expected)


@pytest.mark.quick
@pytest.mark.parametrize("kind", CALCULATORS)
def test_a_potential_for_all_threads(kind: str) -> None:
    share_potential(kind)


def change_isa() -> None:
    """Another instruction set between two kernels of an evaluation: other roundings, nothing else."""
    isas = mdkern.info()["isas_supported"]
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            for name in isas:
                mdkern.set_isa(name)

    changer = threading.Thread(target=change)
    right = {
        kind: [numbers(make(), structure(k)) for k in range(2)]
        for kind, (make, structure) in CALCULATORS.items()
    }
    changer.start()

    def work(k: int) -> None:
        for kind, (make, structure) in CALCULATORS.items():
            calc = make()
            for turn in range(6):
                at = (k + turn) % 2
                for a, b in zip(numbers(calc, structure(at)), right[kind][at], strict=True):
                    assert np.allclose(a, b, rtol=1e-5, atol=1e-5), kind

    try:
        in_threads(work)
    finally:
        stop.set()
        changer.join()


@pytest.mark.skipif(len(mdkern.info()["isas_supported"]) == 1, reason="one instruction set")
def test_instruction_set_that_changes() -> None:
    in_child("change_isa()")


# --- many structures, relaxations, dynamics --------------------------------------------------------


@pytest.mark.quick
def test_evaluate_and_relax_in_threads() -> None:
    frames = [copper(k) for k in range(4)]

    def work(k: int) -> list[Any]:
        calc = EAM.zhou2004(["Cu"])
        mine = frames[k:] + frames[:k]
        found: list[Any] = []
        for r in mdkern.evaluate(mine, calc, ("energy", "forces", "stress"), threads=1 + k % 2):
            found += [r["energy"], r["forces"], r["stress"]]
        for r in mdkern.relax(mine, calc, fmax=0.2, steps=5, threads=1 + k % 2):
            found += [r.positions, r.cell.array, r.get_potential_energy(), r.get_forces()]
        return found

    right = [work(k) for k in range(N_THREADS)]
    for got, expected in zip(in_threads(work), right, strict=True):
        assert all_same(got, expected)


@pytest.mark.quick
def test_dynamics_and_optimizers_in_threads() -> None:
    def work(k: int) -> list[Any]:
        atoms = copper(k)
        atoms.calc = EAM.zhou2004(["Cu"])
        LBFGS(atoms, cell="full").run(fmax=0.05, steps=5)
        found = [atoms.positions.copy(), atoms.cell.array.copy()]
        atoms.set_momenta(np.random.default_rng(k).normal(size=(len(atoms), 3)))
        Langevin(atoms, 2 * units.fs, temperature_K=300, friction=0.01, seed=k).run(10)
        return [*found, atoms.positions.copy(), atoms.get_momenta(), atoms.get_stress()]

    right = [work(k) for k in range(N_THREADS)]
    for got, expected in zip(in_threads(work), right, strict=True):
        assert all_same(got, expected)


def moved(kind: Any, run: dict[str, Any], n: int) -> tuple[Any, list[int]]:
    """Positions after n threads have run one dynamics or optimizer, and who was refused."""
    atoms = copper(3)
    atoms.calc = EAM.zhou2004(["Cu"])
    shared = kind(atoms)
    refused: list[int] = []

    def work(k: int) -> None:
        try:
            shared.run(**run)
        except InUseError:
            refused.append(k)

    in_threads(work, n)
    return atoms.positions, refused


def share_movers() -> None:
    """One optimizer for all threads: one runs, the others are refused, or come when it is done."""

    def langevin(atoms: Atoms) -> Langevin:
        return Langevin(atoms, 2 * units.fs, temperature_K=300, friction=0.01, seed=1)

    alone = moved(FIRE, {"fmax": 0.02}, 1)[0]
    steps = [moved(langevin, {"steps": 100 * n}, 1)[0] for n in range(1, N_THREADS + 1)]
    for _ in range(3):
        assert same(moved(FIRE, {"fmax": 0.02}, N_THREADS)[0], alone)
        got, refused = moved(langevin, {"steps": 100}, N_THREADS)
        # Between two runs the dynamics starts from the momenta that it has: the same bits as in one.
        assert same(got, steps[N_THREADS - len(refused) - 1])


def test_threads_share_an_optimizer_and_a_dynamics() -> None:
    in_child("share_movers()")


# --- what serves one thread at a time --------------------------------------------------------------


def rows_of_copper() -> tuple[Atoms, RowModel, tuple[Any, ...]]:
    """A cluster, a model of the C interface with its one workspace, and what they are called with."""
    atoms = copper(0)
    atoms.pbc = False
    model = RowModel(EAM.zhou2004(["Cu"]))
    nl = mdkern.NeighborList(model.cutoff, skin=0.0)
    nl.update(atoms)
    kinds = np.zeros(len(atoms), dtype=np.int32)
    return atoms, model, (atoms.positions, kinds, nl.first, nl.j.astype(np.int32))


def share_workspace() -> None:
    """The C interface through ctypes, which never holds the GIL: the right bits, or InUseError."""
    _, model, arguments = rows_of_copper()

    def forces() -> Any:
        return model.compute(*arguments, changed=True, threads=1).forces

    right = forces()
    done: list[int] = []

    def work(k: int) -> None:
        for _ in range(50):
            try:
                assert same(forces(), right)
            except InUseError:
                pass
            else:
                done.append(k)

    in_threads(work)
    assert done


def test_threads_share_a_workspace() -> None:
    in_child("share_workspace()")


@pytest.mark.quick
def test_a_workspace_serves_one_call_at_a_time() -> None:
    """Also where the other call comes from a callback of the first."""
    atoms, model, arguments = rows_of_copper()

    def again(_: Any) -> None:
        model.compute(*arguments, changed=True, threads=1)

    with pytest.raises(InUseError, match="workspace: in use by another call"):
        model.compute(*arguments, changed=True, threads=1, forward=again)
    right = copy.deepcopy(EAM.zhou2004(["Cu"])).get_forces(atoms)
    got = model.compute(*arguments, changed=True, threads=1).forces
    assert np.allclose(got, right, rtol=0, atol=1e-9)
