"""Objects that Python threads share: right numbers or an error that says so, never a crash, nothing wrong kept.

What used to end the interpreter runs in a child, and so does what is likely to do it next time.
"""

from __future__ import annotations

import copy
import pickle
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import thread_checks
from ase import Atoms, units
from deepmd_data import model_file
from thread_checks import (
    N_THREADS,
    close,
    copper,
    in_threads,
    mace_model,
    nep_file,
    oxides,
    same,
)

import mdkern
from mdkern import _core
from mdkern.calculators import (
    EAM,
    MACE,
    NEP,
    Calculator,
    DeepPotential,
    LennardJones,
    LinearModel,
    ModelDeviation,
    Morse,
)
from mdkern.descriptors import ACSF, SOAP, Bispectrum, DeepPotSE, MACEDescriptor, NEPDescriptor
from mdkern.errors import InUseError, MDKernWarning
from mdkern.md import Langevin, VelocityVerlet


def linear() -> LinearModel:
    soap = SOAP(
        species=["Cu"], r_cut=4.0, n_max=3, l_max=2, sigma=0.5, periodic=True, smooth_cutoff=0.5
    )
    weights = np.random.default_rng(1).normal(size=soap.get_number_of_features()) * 1e-3
    return LinearModel(soap, weights)


def in_child(call: str) -> None:
    thread_checks.in_child(call, __name__)


# --- one calculator -------------------------------------------------------------------------------

CALCULATORS: dict[str, tuple[Callable[[], Calculator], Callable[[int], Atoms]]] = {
    "lj": (lambda: LennardJones(epsilon=0.0103, sigma=2.3, rc=6.0), copper),
    "morse": (lambda: Morse(D=0.3, alpha=1.4, r0=2.9, rc=6.0), copper),
    "eam": (lambda: EAM.zhou2004(["Cu"]), copper),
    "linear": (linear, copper),
    "nep": (lambda: NEP(nep_file()), oxides),
    "mace": (lambda: MACE(mace_model()), oxides),
    "deepmd": (lambda: DeepPotential(model_file("se_e2_a_dt")), oxides),
    "zbl": (lambda: DeepPotential(model_file("overflow_zbl")), oxides),
    "deviation": (
        lambda: ModelDeviation([EAM.zhou2004(["Cu"]), EAM.zhou2004(["Cu"], cutoff=5.0)]),
        copper,
    ),
}


def everything(calc: Calculator, atoms: Atoms) -> list[Any]:
    """All that is asked for by atoms, and then what is not."""
    out = [calc.get_potential_energy(atoms), calc.get_forces(atoms), calc.get_stress(atoms)]
    out += [calc.virial, calc.get_potential_energies(atoms), calc.get_stresses(atoms)]
    if isinstance(calc, ModelDeviation):
        out.append(calc.deviation["forces"])
    return out


def share_calculator(kind: str, turns: int = 2) -> None:
    warnings.simplefilter("ignore")
    make, structure = CALCULATORS[kind]
    frames = [structure(k) for k in range(N_THREADS)]
    right = [everything(make(), atoms) for atoms in frames]
    for _ in range(turns):
        shared = make()

        def work(k: int, shared: Calculator = shared) -> None:
            for _ in range(5):
                got = everything(shared, frames[k])
                assert all(close(a, b) for a, b in zip(got, right[k], strict=True)), k
                assert shared.n_builds > 0

        in_threads(work)
        for k in range(N_THREADS):  # nothing wrong is kept
            assert close(shared.get_forces(frames[k]), right[k][1])


@pytest.mark.parametrize("kind", CALCULATORS)
def test_threads_share_a_calculator(kind: str) -> None:
    in_child(f"share_calculator({kind!r})")


@pytest.mark.quick
@pytest.mark.parametrize("kind", ["lj", "zbl"])
def test_threads_share_a_calculator_here(kind: str) -> None:
    """In this process, for the sanitizers."""
    with warnings.catch_warnings():
        share_calculator(kind, 1)


class Doubled(EAM):
    """A subclass of a user with work of its own around the evaluation."""

    def calculate(
        self, atoms: Any = None, properties: Any = ("energy",), changes: Any = ()
    ) -> None:
        super().calculate(atoms, properties, changes)
        energy = self.results["energy"]
        for _ in range(50):  # time for other threads
            pass
        self.results["energy"] = 2.0 * energy


def share_subclass() -> None:
    frames = [copper(k) for k in range(N_THREADS)]
    right = [2.0 * EAM.zhou2004(["Cu"]).get_potential_energy(a) for a in frames]
    shared = Doubled("zhou2004", elements=["Cu"])

    def work(k: int) -> None:
        for _ in range(30):
            assert shared.get_potential_energy(frames[k]) == right[k]

    in_threads(work)


def test_threads_share_a_subclass() -> None:
    in_child("share_subclass()")


def share_and_change() -> None:
    """While threads evaluate, others copy the calculator and change its parameters."""
    frames = [copper(k) for k in range(N_THREADS)]
    values = [
        [LennardJones(epsilon=e, sigma=2.3, rc=6.0).get_potential_energy(a) for e in (0.01, 0.02)]
        for a in frames
    ]
    shared = LennardJones(epsilon=0.01, sigma=2.3, rc=6.0)

    def work(k: int) -> None:
        for turn in range(40):
            if k == 0:
                shared.set(
                    epsilon=(0.01, 0.02)[turn % 2], skin=0.1 * (turn % 3), threads=1 + turn % 2
                )
            elif k == 1:
                mine = copy.deepcopy(shared) if turn % 2 else pickle.loads(pickle.dumps(shared))
                assert mine.get_potential_energy(frames[k]) in values[k]
            else:
                assert shared.get_potential_energy(frames[k]) in values[k]

    in_threads(work)


def test_threads_share_a_calculator_that_changes() -> None:
    in_child("share_and_change()")


@pytest.mark.quick
def test_virial_is_that_of_the_threads_own_evaluation() -> None:
    calc = EAM.zhou2004(["Cu"])
    frames = [copper(0), copper(1)]
    right = []
    for atoms in frames:
        mine = EAM.zhou2004(["Cu"])
        mine.get_forces(atoms)
        right.append(mine.virial)
    turn = [threading.Event(), threading.Event()]

    def work(k: int) -> None:
        if k == 1:
            turn[0].wait(10)
        calc.get_forces(frames[k])
        turn[k].set()
        turn[1].wait(10)
        assert same(calc.virial, right[k])

    in_threads(work, 2)
    assert same(calc.virial, right[1])  # this thread asked for none: of the last of all
    calc.set(skin=0.5)
    assert calc.virial is None


@pytest.mark.quick
def test_results_belong_to_the_atoms_as_they_were_taken() -> None:
    """Atoms that another thread moves during the evaluation: the next call must not find old results for new atoms."""
    calc = EAM.zhou2004(["Cu"])
    atoms = copper(0)
    before = calc.get_potential_energy(atoms)
    compute = calc.potential.compute

    def compute_and_move(*args: Any, **kwargs: Any) -> Any:
        result = compute(*args, **kwargs)
        atoms.positions[0, 0] += 0.3
        return result

    atoms.positions[1, 1] += 0.2
    right = EAM.zhou2004(["Cu"]).get_potential_energy(atoms)
    calc.potential.compute = compute_and_move
    assert calc.get_potential_energy(atoms) == right != before
    calc.potential.compute = compute
    assert calc.get_potential_energy(atoms) == EAM.zhou2004(["Cu"]).get_potential_energy(atoms)


# --- evaluate -------------------------------------------------------------------------------------

OVERFLOW = (
    "overflow",
    "overflow_dpa1",
    "overflow_zbl",
    "overflow_linear",
    "overflow_hybrid_dpa1",
    "overflow_table",
)


@pytest.mark.parametrize("name", OVERFLOW)
def test_evaluate_of_models_without_room_for_all_neighbors(name: str) -> None:
    """The same bits for every number of threads, those of the calculator, and one warning."""
    frames = [
        oxides(k) * (2, 3, 3) for k in range(40)
    ]  # so many that threads do meet on two busy cores
    for atoms in frames:
        atoms.set_cell(0.88 * atoms.cell, scale_atoms=True)  # more neighbors than any has room for
    wanted = ("energy", "energies", "forces", "stress", "stresses")
    found = []
    for threads in (1, 4, 8):
        calc = DeepPotential(model_file(name))
        with pytest.warns(MDKernWarning, match="more neighbors than sel") as said:
            found.append(mdkern.evaluate(frames, calc, wanted, threads=threads))
        assert len(said) == 1
    with pytest.warns(MDKernWarning, match="more neighbors than sel"):
        one = DeepPotential(model_file(name)).get_forces(frames[0])
    assert close(found[0][0]["forces"], one)
    wrong = [
        (k, key)
        for results in found[1:]
        for k, (a, b) in enumerate(zip(found[0], results, strict=True))
        for key in wanted
        if not same(a[key], b[key])
    ]
    assert not wrong


@pytest.mark.quick
def test_evaluate_warns_of_overflow_alone() -> None:
    """A calculator that says it for one structure does not say it for others, nor for its companions."""
    roomy, tight = model_file("se_e2_a_dt"), model_file("overflow")
    with warnings.catch_warnings():
        warnings.simplefilter("error", MDKernWarning)
        mdkern.evaluate([oxides(0)], DeepPotential(roomy))
        mdkern.evaluate([Atoms("O2", [[0, 0, 0], [1.5, 0, 0]])], DeepPotential(tight))
    with pytest.warns(MDKernWarning) as said:
        ModelDeviation([tight, roomy]).get_potential_energy(oxides(0))
    ours = [w for w in said if issubclass(w.category, MDKernWarning)]
    assert [str(w.message).split(":")[0] for w in ours] == [tight]


def share_evaluate() -> None:
    frames = [copper(k) for k in range(8)]
    shared = EAM.zhou2004(["Cu"])
    right = mdkern.evaluate(frames, EAM.zhou2004(["Cu"]), ("energy", "forces"), threads=1)
    deviation = CALCULATORS["deviation"][0]()  # which goes through the calculator itself

    def work(k: int) -> None:
        for _ in range(5):
            for calc in (shared, deviation):
                got = mdkern.evaluate(frames, calc, ("energy", "forces"), threads=1 + k)
                assert all(close(a["forces"], b["forces"]) for a, b in zip(got, right, strict=True))
            assert close(shared.get_potential_energy(frames[k]), right[k]["energy"])

    in_threads(work)


def test_threads_share_the_calculator_of_evaluate() -> None:
    in_child("share_evaluate()")


# --- neighbor lists, descriptors, potentials -------------------------------------------------------


def share_functions() -> None:
    frames = [copper(k) for k in range(N_THREADS)]
    letters = "ijdDS"
    right = [mdkern.neighbor_list(letters, a, 4.0) for a in frames]

    def work(k: int) -> None:
        for _ in range(20):
            for got in (
                mdkern.neighbor_list(letters, frames[k], 4.0, threads=1 + k % 2),
                mdkern.neighbor_list_batch(letters, [frames[k - 1], frames[k]], 4.0)[1],
            ):
                assert all(same(a, b) for a, b in zip(got, right[k], strict=True))

    in_threads(work)


def test_threads_make_neighbor_lists() -> None:
    in_child("share_functions()")


def share_list() -> None:
    frames = [copper(k) for k in range(N_THREADS)]
    pairs = []
    for atoms in frames:
        alone = mdkern.NeighborList(4.0, skin=0.2)
        alone.update(atoms)
        pairs.append((alone.n_pairs, alone.D.sum(), [a.copy() for a in alone.neighbors(3)]))
    shared = mdkern.NeighborList(4.0, skin=0.2)
    refused = []

    def work(k: int) -> None:
        for _ in range(60):
            shared.update(frames[k])
            try:
                n, held, total = shared.n_pairs, shared.j, shared.D.sum()
                near = shared.neighbors(3)
            except InUseError:
                refused.append(k)
                continue
            assert (n, total) == pairs[k][:2]
            assert all(same(a, b) for a, b in zip(near, pairs[k][2], strict=True))
            assert len(held) == n  # an array that is held stays as it is
        copy.deepcopy(shared)

    in_threads(work)
    print(len(refused), "of", 60 * N_THREADS, "refused")


def test_threads_share_a_neighbor_list() -> None:
    in_child("share_list()")


@pytest.mark.quick
def test_neighbor_list_of_another_thread() -> None:
    nl = mdkern.NeighborList(3.0)
    first, second = copper(0), copper(1)
    nl.update(first)
    kept = nl.j
    before = kept.copy()
    go, done = threading.Event(), threading.Event()

    def update() -> None:
        nl.update(second)
        done.set()
        go.wait(10)

    thread = threading.Thread(target=update)
    thread.start()
    assert done.wait(10)
    for read in (lambda: nl.n_pairs, lambda: nl.neighbors(0), lambda: nl.S):
        with pytest.raises(InUseError, match="updated it since"):
            read()
    assert in_threads(lambda _: nl.n_pairs, 1) == [
        len(mdkern.neighbor_list("i", second, 3.0))
    ]  # a thread that never updated it reads what there is
    go.set()
    thread.join()
    assert nl.n_pairs == len(mdkern.neighbor_list("i", second, 3.0))
    assert same(kept, before)
    nl.update(first)
    assert nl.n_pairs == len(kept)
    assert pickle.loads(pickle.dumps(nl)).n_builds == nl.n_builds


def described(descriptor: Any, atoms: Atoms) -> list[Any]:
    values = descriptor.create(atoms)
    out = [values, *descriptor.vjp(atoms, np.ones(values.shape))]
    if not isinstance(descriptor, MACEDescriptor):
        out += descriptor.derivatives(atoms, centers=[0, 5], include=[0, 1, 2])
    return out


def share_descriptor(kind: str) -> None:
    species = ["O", "H", "Cu"]
    shared = {
        "soap": lambda: SOAP(species=species, r_cut=4.0, n_max=3, l_max=2, periodic=True),
        "acsf": lambda: ACSF(
            species=species,
            r_cut=4.0,
            g2_params=[[1.0, 1.0]],
            g4_params=[[1.0, 1.0, 1.0]],
            periodic=True,
        ),
        "bispectrum": lambda: Bispectrum(species, 4.0, 3, periodic=True),
        "nep": lambda: NEPDescriptor(nep_file()),
        "mace": lambda: MACEDescriptor(mace_model()),
        "deepmd": lambda: DeepPotSE(model_file("se_e2_a_dt")),
    }[kind]()
    frames = [oxides(k) for k in range(N_THREADS)]
    right = [described(shared, a) for a in frames]

    def work(k: int) -> None:
        for _ in range(10):
            got = described(shared, frames[k])
            assert all(same(a, b) for a, b in zip(got, right[k], strict=True))

    in_threads(work)


@pytest.mark.parametrize("kind", ["soap", "acsf", "bispectrum", "nep", "mace", "deepmd"])
def test_threads_share_a_descriptor(kind: str) -> None:
    in_child(f"share_descriptor({kind!r})")


def table_of(atoms: Atoms, cutoff: float, kinds: Any = None) -> Any:
    table = _core.NeighborTable(cutoff, 0.0)
    kinds = np.zeros(len(atoms), dtype=np.int32) if kinds is None else kinds
    table.update(atoms.positions, atoms.cell.array, atoms.pbc, kinds, 1)
    return table


def share_potential() -> None:
    """A potential, and calculators made around it by ModelDeviation, with a table per thread."""
    calc = EAM.zhou2004(["Cu"])
    potential = calc.potential
    frames = [copper(k) for k in range(N_THREADS)]
    right = [EAM.zhou2004(["Cu"]).get_forces(a) for a in frames]

    def work(k: int) -> None:
        table = table_of(frames[k], potential.cutoff)
        deviation = ModelDeviation([calc, calc])
        for _ in range(30):
            assert close(potential.compute(table, threads=1).forces, right[k])
            assert close(deviation.get_forces(frames[k]), right[k])

    in_threads(work)


def test_threads_share_a_potential() -> None:
    in_child("share_potential()")


@pytest.mark.quick
def test_a_table_serves_one_thread_at_a_time() -> None:
    """Whatever else is asked of it meanwhile raises; the thread that has it may use it again."""
    atoms = copper(0)
    inside, go = threading.Event(), threading.Event()
    inner = EAM.zhou2004(["Cu"]).potential

    class Waiting:
        cutoff, species = inner.cutoff, inner.species

        def compute(self, neighbors: Any, **kwargs: Any) -> Any:
            result = inner.compute(neighbors, **kwargs)  # inside of the loop's own use
            inside.set()
            assert go.wait(10)
            return result

    table = table_of(atoms, inner.cutoff)
    loop = _core.MdLoop(table, None, Waiting(), 1)
    n = len(atoms)
    zeros = np.zeros(n, dtype=np.int32)
    loop.set_atoms(np.ones(n), np.ones(n, dtype=bool), zeros, atoms.pbc, 3.0 * n, False)
    loop.use_verlet(0.1)
    place = (atoms.positions, np.zeros((n, 3)), atoms.cell.array)
    thread = threading.Thread(target=loop.place, args=place)
    thread.start()
    try:
        assert inside.wait(10)
        for use in (
            lambda: table.update(atoms.positions, atoms.cell.array, atoms.pbc, zeros, 1),
            lambda: table.arrays("ij", 1),
            lambda: table.species,
            lambda: table.n_builds,
            lambda: inner.compute(table),
            lambda: loop.run(1, 0, 0.0),
            loop.state,
            lambda: loop.energy,
            lambda: loop.set_threads(2),
            lambda: loop.last,
            lambda: loop.use_langevin(0.1, 0.1, np.ones(1), 1),
            lambda: loop.use_verlet(0.2),
        ):
            with pytest.raises(InUseError, match="in use by another thread"):
                use()
    finally:
        go.set()
        thread.join()
    assert loop.last.forces.shape == (n, 3)
    assert loop.run(1, 0, 0.0)[0] == 1
    assert issubclass(InUseError, RuntimeError)


def share_moving_atoms() -> None:
    """Atoms that another thread moves all the time: any numbers, but no crash, and none that are kept for others."""
    cluster = copper(3)
    cluster.pbc = False
    moving = [cluster, copper(2)]
    stop = threading.Event()

    def move() -> None:
        rng = np.random.default_rng(0)
        start = [a.positions.copy() for a in moving]
        while not stop.is_set():
            for a, x in zip(moving, start, strict=True):
                np.add(x, rng.normal(scale=3.0, size=x.shape), out=a.positions)

    thread = threading.Thread(target=move)
    thread.start()
    calc = LennardJones(epsilon=0.01, sigma=0.5, rc=4.0, smooth=True)
    nl = mdkern.NeighborList(3.0)
    soap = SOAP(species=["Cu"], r_cut=3.0, n_max=2, l_max=1)
    try:
        for _ in range(40):
            for a in moving:
                mdkern.neighbor_list("ijd", a, 4.0)
                nl.update(a)
                calc.calculate(a)
                soap.create(a)
            mdkern.neighbor_list_batch("ij", moving * 4, 3.0)
            mdkern.evaluate(moving * 4, calc)
    finally:
        stop.set()
        thread.join()
    for a in moving:
        got, fresh = calc.get_forces(a), copy.deepcopy(calc)
        fresh.reset()
        assert same(got, fresh.get_forces(a))


def test_atoms_that_another_thread_moves() -> None:
    in_child("share_moving_atoms()")


# --- molecular dynamics ---------------------------------------------------------------------------


def moving_copper(k: int) -> Atoms:
    atoms = copper(k)
    rng = np.random.default_rng(k)
    atoms.set_momenta(rng.normal(scale=1.0, size=(len(atoms), 3)))
    return atoms


def share_calculator_of_dynamics() -> None:
    def run(k: int, calc: Any) -> list[Any]:
        atoms = moving_copper(k)
        atoms.calc = calc
        energies: list[float] = []
        dynamics = Langevin(atoms, 2 * units.fs, temperature_K=300, friction=0.01, seed=k)
        dynamics.attach(lambda: energies.append(atoms.get_potential_energy()), interval=3)
        dynamics.run(30)
        return [atoms.positions, atoms.get_momenta(), energies, atoms.get_stress()]

    for kind in (
        "eam",
        "deviation",
    ):  # a potential of the core, and one that is reached through Python
        make = CALCULATORS[kind][0]
        right = [run(k, make()) for k in range(N_THREADS)]
        shared = make()
        got = in_threads(lambda k, shared=shared: run(k, shared))  # type: ignore[misc]
        for a, b in zip(got, right, strict=True):
            assert all(same(x, y) for x, y in zip(a[:2], b[:2], strict=True))
            # An evaluation that the other dynamics makes necessary starts from another list.
            assert np.abs(np.array(a[2]) - b[2]).max() < 1e-9
            assert np.abs(a[3] - b[3]).max() < 1e-12


def test_dynamics_share_a_calculator() -> None:
    in_child("share_calculator_of_dynamics()")


@pytest.mark.quick
def test_dynamics_on_the_same_atoms_exclude_each_other() -> None:
    atoms = moving_copper(0)
    atoms.calc = EAM.zhou2004(["Cu"])
    first, second = VelocityVerlet(atoms, 1.0), VelocityVerlet(atoms, 1.0)
    inside, go = threading.Event(), threading.Event()

    def wait() -> None:
        first.state()  # an observer may use what it observes
        second.get_conserved_energy()
        inside.set()
        assert go.wait(10)

    first.attach(wait, interval=2)
    thread = threading.Thread(target=first.run, args=(3,))
    thread.start()
    try:
        assert inside.wait(10)
        for use in (
            lambda: first.run(1),
            lambda: second.run(1),
            lambda: next(iter(second.irun(1))),
            second.step,
            first.state,
            first.get_conserved_energy,
            lambda: first.advance(1),
        ):
            with pytest.raises(InUseError, match="atoms are in use by another thread"):
                use()
    finally:
        go.set()
        thread.join()
    assert first.nsteps == 3
    alone = moving_copper(0)
    alone.calc = EAM.zhou2004(["Cu"])
    VelocityVerlet(alone, 1.0).run(3)
    assert same(alone.positions, atoms.positions)
    second.run(1)


def test_deviation_of_native_dynamics_is_of_the_last_step() -> None:
    atoms = moving_copper(0)
    atoms.calc = CALCULATORS["deviation"][0]()
    VelocityVerlet(atoms, 1.0).run(3)
    fresh = CALCULATORS["deviation"][0]()
    fresh.calculate(atoms)
    assert np.allclose(
        atoms.calc.deviation["forces"], fresh.deviation["forces"], rtol=1e-9, atol=1e-12
    )
