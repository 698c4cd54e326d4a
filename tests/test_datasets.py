"""Many frames: data sets, executors, Dask, journals, frames and workers that fail."""

from __future__ import annotations

import gzip
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones as AseLennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io import read, write
from cli_checks import one_error, run_json

import mdkern
from mdkern.calculators import EAM, AtomsError, LennardJones, NonFiniteError
from mdkern.cli import main
from mdkern.errors import FormatError, InUseError, MDKernWarning, UnsupportedError
from mdkern.evaluation import evaluate_iter
from mdkern.io.labels import read_labels
from mdkern.io.structures import count_frames, iter_frames, quick_count, read_frames
from mdkern.journal import Journal, digest
from mdkern.shards import WorkerError

EXECUTORS = {"threads": lambda: ThreadPoolExecutor(2), "processes": lambda: ProcessPoolExecutor(2)}


def frames(n: int, size: int = 2) -> list[Atoms]:
    out = []
    for k in range(n):
        atoms = bulk("Cu", cubic=True, a=3.5 + 0.01 * (k % 20)) * (1 + k % 3, size, 1)
        atoms.rattle(0.1, seed=k)
        out.append(atoms)
    return out


def with_bad() -> list[Atoms]:
    """Not a number, an element that is not there, two atoms in one place; 3, 4 and 6 of them."""
    out = frames(9)
    out[3].positions[1, 2] = np.nan
    out[4].numbers[0] = 92
    out[6].positions[1] = out[6].positions[0]
    return out


def same(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> bool:
    """To the last bit."""
    return all(
        x.keys() == y.keys()
        and all(np.asarray(x[k]).tobytes() == np.asarray(y[k]).tobytes() for k in x)
        for x, y in zip(a, b, strict=True)
    )


# --- formats of data sets --------------------------------------------------------------------------


def systems() -> dict[str, list[Atoms]]:
    """Two of DeePMD-kit's: water in a box, of two sets, and a cluster without labels of the cell."""
    rng = np.random.default_rng(1)
    out: dict[str, list[Atoms]] = {"water": [], "free": []}
    for k in range(5):
        for name, many in out.items():
            atoms = molecule("H2O" if name == "water" else "CH4", vacuum=2.0)
            atoms.rattle(0.05, seed=k)
            atoms.pbc = name == "water"
            if name == "free":
                atoms.cell[:] = 0.0
            results = {"energy": float(rng.normal()), "forces": rng.normal(size=(len(atoms), 3))}
            if name == "water":
                results["stress"] = rng.normal(size=6)
            atoms.calc = SinglePointCalculator(atoms, **results)
            many.append(atoms)
    return out


def arrays_of(many: list[Atoms]) -> dict[str, Any]:
    arrays: dict[str, Any] = {
        "coord": [a.positions.ravel() for a in many],
        "energy": [a.get_potential_energy() for a in many],
        "force": [a.get_forces().ravel() for a in many],
    }
    if many[0].pbc.all():
        arrays["box"] = [a.cell.array.ravel() for a in many]
        arrays["virial"] = [-a.get_volume() * a.get_stress(voigt=False).ravel() for a in many]
    return {name: np.array(value) for name, value in arrays.items()}


def write_deepmd(root: Path) -> None:
    for name, many in systems().items():
        folder = root / name
        symbols = sorted(set(many[0].symbols))
        for k, part in enumerate((many[:2], many[2:])):
            (folder / f"set.00{k}").mkdir(parents=True)
            for what, array in arrays_of(part).items():
                np.save(folder / f"set.00{k}" / f"{what}.npy", array)
        types = [symbols.index(s) for s in many[0].symbols]
        (folder / "type.raw").write_text("\n".join(map(str, types)) + "\n")
        (folder / "type_map.raw").write_text("\n".join(symbols))
        if name == "free":
            (folder / "nopbc").touch()


def write_hdf5(path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, many in systems().items():
            group = file.create_group(f"all/{name}")
            symbols = sorted(set(many[0].symbols))
            group["type.raw"] = [symbols.index(s) for s in many[0].symbols]
            group["type_map.raw"] = np.array(symbols, dtype="S")
            for k, part in enumerate((many[:2], many[2:])):
                for what, array in arrays_of(part).items():
                    group[f"set.00{k}/{what}.npy"] = array
            if name == "free":
                group["nopbc"] = True


def check_systems(found: list[Atoms]) -> None:
    wanted = [a for name in sorted(systems()) for a in systems()[name]]
    for a, b in zip(found, wanted, strict=True):
        assert np.array_equal(a.numbers, b.numbers)
        assert np.array_equal(a.positions, b.positions)
        assert np.array_equal(a.cell.array, b.cell.array)
        assert np.array_equal(a.pbc, b.pbc)
        labels = read_labels(a).values
        assert labels["energy"] == b.get_potential_energy()
        assert np.array_equal(labels["forces"], b.get_forces())
        assert ("stress" in labels) == b.pbc.all()
        if "stress" in labels:
            assert np.abs(labels["stress"] - b.get_stress()).max() <= 1e-14


@pytest.mark.parametrize("kind", ["folder", "hdf5"])
def test_inputs_of_models_that_frames_cannot_hold(kind: str, here: Path) -> None:
    notes: list[str] = []
    if kind == "folder":
        write_deepmd(here / "data")
        read_frames("data", warn=notes.append)
        np.save(here / "data" / "water" / "set.001" / "fparam.npy", np.ones((1, 2)))
    else:
        write_hdf5(here / "data")
        read_frames("data", warn=notes.append)
        h5py = pytest.importorskip("h5py")
        with h5py.File("data", "a") as file:
            file["all/water/set.001/fparam.npy"] = np.ones((1, 2))
    assert not notes
    read_frames("data", warn=notes.append)
    (note,) = notes
    assert note.startswith("data: fparam: not used")


@pytest.mark.parametrize("kind", ["folder", "hdf5"])
def test_data_sets_of_deepmd_kit(kind: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "data" if kind == "folder" else "data.hdf5"
    (write_deepmd if kind == "folder" else write_hdf5)(here / name)
    check_systems(read_frames(name))
    check_systems(list(iter_frames(name)))
    assert count_frames(name) == quick_count(name) == 10
    assert quick_count(name, slice(1, None, 3)) == 3
    for index in ("4:8", "::-3", "-1:"):
        some = [a.positions for a in iter_frames(name, index)]
        every = [a.positions for a in read_frames(name)][
            slice(*[int(x) if x else None for x in index.split(":")])
        ]
        assert all(map(np.array_equal, some, every))
        assert len(some) == len(every) > 0
    facts = run_json(capsys, "info", name, "--index", "0")
    assert (facts["frames"], facts["n_atoms"], sorted(facts["labels"])) == (
        10,
        5,
        ["energy", "forces"],
    )
    facts = run_json(capsys, "evaluate", name, "--potential", "lj:epsilon=0.01,sigma=1.5,rc=4")
    assert facts["errors"]["forces"]["values"] == 120
    assert facts["labels"]["stress"]["frames"] == 5
    words = ("--index", "0", "--potential", "lj:epsilon=0.01,sigma=1.5,rc=4,smooth=true")
    assert main(["validate", name, *words]) in (0, 1)
    assert "forces of the file (before --rattle): largest difference" in capsys.readouterr().err


def test_frames_of_several_sizes_and_what_is_wrong_with_a_data_set(here: Path) -> None:
    root = here / "mixed"
    (root / "set.000").mkdir(parents=True)
    coord = np.arange(18.0).reshape(2, 9)
    np.save(root / "set.000" / "coord.npy", coord.astype(np.float32))
    np.save(root / "set.000" / "real_atom_types.npy", np.array([[1, 0, 0], [1, 1, -1]]))
    (root / "type.raw").write_text("0 0 0")
    with pytest.raises(FormatError, match=r"mixed: no type_map.raw.*deepmd:species=O-H"):
        read_frames("mixed")
    (root / "nopbc").touch()
    a, b = read_frames("mixed", format="deepmd:species=H-O")
    assert (str(a.symbols), str(b.symbols)) == ("OH2", "O2")
    assert b.positions.dtype == np.float64
    assert np.array_equal(b.positions, coord[1, :6].reshape(2, 3))
    assert a.calc is None
    (root / "type_map.raw").write_text("OW HW")
    with pytest.raises(FormatError, match="type 'OW' is no element"):
        read_frames("mixed")
    (root / "type_map.raw").write_text("O")
    with pytest.raises(FormatError, match="frame 0: type 1; there are elements for 0 to 0"):
        read_frames("mixed")
    np.save(root / "set.000" / "energy.npy", np.zeros(3))
    with pytest.raises(
        FormatError, match=r"set.000/energy: float64 \(3,\); expected numbers \(2, 1\)"
    ):
        read_frames("mixed", format="deepmd:species=H-O")
    (root / "nopbc").unlink()
    (root / "set.000" / "energy.npy").write_bytes(b"no array")
    with pytest.raises(FormatError, match=r"energy.npy: no array of NumPy"):
        read_frames("mixed", format="deepmd:species=H-O")
    (root / "set.000" / "energy.npy").unlink()
    with pytest.raises(FormatError, match="no box, and no file nopbc"):
        read_frames("mixed", format="deepmd:species=H-O")
    (here / "empty").mkdir()
    with pytest.raises(FormatError, match="expected a data set of DeePMD-kit"):
        read_frames("empty", format="deepmd")
    with pytest.raises(ValueError, match="expected details as in deepmd:species=O-H"):
        read_frames("mixed", format="deepmd:H-O")


@pytest.mark.usefixtures("here")
def test_databases_and_compressed_files() -> None:
    structures = [a for many in systems().values() for a in many]
    with connect("set.db") as database:
        for k, atoms in enumerate(structures):
            database.write(atoms, REF_energy=float(k))
    assert count_frames("set.db") == quick_count("set.db") == 10
    for index in (slice(None), slice(1, 8, 3), slice(None, None, -2), slice(-2, None)):
        found, wanted = list(iter_frames("set.db", index)), structures[index]
        assert [read_labels(a).values["energy"] for a in found] == [*map(float, range(10))][index]
        for a, b in zip(found, wanted, strict=True):
            assert np.array_equal(a.positions, b.positions)
            assert np.array_equal(a.get_forces(), b.get_forces())
    write("set.extxyz", structures)
    with gzip.open("set.extxyz.gz", "wb") as file:
        file.write(Path("set.extxyz").read_bytes())
    assert quick_count("set.extxyz.gz") == 10
    for a, b in zip(iter_frames("set.extxyz.gz"), read("set.extxyz", ":"), strict=True):
        assert a == b
        assert np.array_equal(a.get_forces(), b.get_forces())
    first = iter_frames("set.extxyz")
    with Path("set.extxyz").open("a") as file:
        file.write("3\nnonsense\n")
    assert len(next(first)) == 3  # the end is not looked at
    with pytest.raises(FormatError, match="no frames at index 20: there are 10"):
        next(iter_frames("set.db", 20))


@pytest.mark.usefixtures("here")
def test_h5md_of_mdkern(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("h5py")
    frames(1)[0].write("cu.extxyz")
    run = ("md", "cu.extxyz", "--potential", "zhou2004", "--steps", "20", "--interval", "10")
    for name in ("run.h5md", "run.traj"):
        run_json(capsys, *run, "--seed", "1", "--temperature", "300", "-o", name)
    for a, b in zip(iter_frames("run.h5md"), read("run.traj", ":"), strict=True):
        assert np.array_equal(a.positions, b.positions)
        assert np.array_equal(a.get_forces(), b.get_forces())
        assert a.get_potential_energy() == b.get_potential_energy()
    facts = run_json(capsys, "evaluate", "run.h5md", "--potential", "zhou2004")
    assert facts["errors"]["energy"]["largest"] <= 1e-12


def test_folders_without_frames(here: Path) -> None:
    (here / "empty").mkdir()
    with pytest.raises(FormatError, match=r"empty: a folder; expected a file, or a data set"):
        read_frames("empty")
    (here / "raw").mkdir()
    (here / "raw" / "type.raw").write_text("0 0\n")
    (here / "raw" / "type_map.raw").write_text("Cu\n")
    with pytest.raises(FormatError, match=r"raw: no set.000, .*dpdata:deepmd/raw reads them"):
        read_frames("raw")


@pytest.mark.usefixtures("here")
def test_h5md_goes_on_with_velocities_and_masses(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("h5py")
    atoms = frames(1)[0]
    for heavy in (False, True):
        if heavy:
            atoms.set_masses(atoms.get_masses() + np.arange(len(atoms)) % 2)
        atoms.write("cu.traj")
        run = ("md", "cu.traj", "--potential", "zhou2004", "--steps", "20", "--interval", "10")
        for name in ("run.h5md", "run.traj"):
            run_json(capsys, *run, "--seed", "1", "--temperature", "300", "-o", name, "--overwrite")
        for a, b in zip(iter_frames("run.h5md"), read("run.traj", ":"), strict=True):
            assert np.allclose(a.get_momenta(), b.get_momenta(), rtol=1e-14, atol=0)
            assert np.array_equal(a.get_masses(), b.get_masses())
            assert a.has("masses") == heavy
            assert a.info == {key: b.info[key] for key in ("step", "time_ps")}
        facts = run_json(capsys, "md", "run.h5md", "--potential", "zhou2004", "--steps", "0")
        assert facts["velocities"].startswith("from run.h5md")


def test_dpdata(here: Path) -> None:
    write_deepmd(here / "data")
    with pytest.raises(ValueError, match="expected dpdata's name of the format"):
        read_frames("data/water", format="dpdata")
    pytest.importorskip("dpdata")
    own = read_frames("data/water")
    for a, b in zip(own, read_frames("data/water", format="dpdata:deepmd/npy"), strict=True):
        assert np.array_equal(a.numbers, b.numbers)
        assert np.allclose(a.positions, b.positions, atol=1e-6)
        assert np.allclose(a.get_forces(), b.get_forces(), atol=1e-6)
        assert np.allclose(a.get_stress(), b.get_stress(), atol=1e-6)


# --- executors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", EXECUTORS)
def test_results_are_those_without_an_executor(kind: str) -> None:
    structures, calc = frames(300), EAM.zhou2004(["Cu"])
    names = ("energy", "forces", "stress", "energies")
    wanted = mdkern.evaluate(structures, calc, names)
    with EXECUTORS[kind]() as executor:
        assert same(mdkern.evaluate(structures, calc, names, executor=executor), wanted)
        assert same(list(evaluate_iter(iter(structures), calc, names, executor=executor)), wanted)
        assert mdkern.evaluate([], calc, executor=executor) == []
        (a, b), few = frames(2), frames(2)
        for atoms, result in zip(
            few, mdkern.evaluate([a, b], EMT(), executor=executor), strict=True
        ):
            atoms.calc = EMT()
            assert result["energy"] == atoms.get_potential_energy()
        # What a calculator was used for before is nothing to the workers.
        calc.get_potential_energy(a)
        assert same(mdkern.evaluate(structures, calc, names, executor=executor), wanted)


@pytest.mark.parametrize("kind", EXECUTORS)
def test_bad_frames_are_recorded(kind: str) -> None:
    structures, calc = with_bad(), EAM.zhou2004(["Cu"])
    good = [k for k in range(9) if k not in (3, 4, 6)]
    wanted = mdkern.evaluate([structures[k] for k in good], calc)
    with EXECUTORS[kind]() as executor:
        for options in ({"executor": executor}, {"on_error": "record"}):
            with pytest.warns(MDKernWarning, match="3 structures were not evaluated; structure 3:"):
                found = mdkern.evaluate(structures, calc, **options)
            assert same([found[k] for k in good], wanted)
            assert list(found[3]) == ["error"]
            assert "positions[1, 2] is nan" in found[3]["error"]
            assert "atom 0 is U" in found[4]["error"]
            assert "atoms overlap" in found[6]["error"]
        for options in ({}, {"executor": executor, "on_error": "raise"}):
            with pytest.raises(AtomsError, match=r"structure 3: positions\[1, 2\] is nan"):
                mdkern.evaluate(structures, calc, **options)
            with pytest.raises(NonFiniteError, match="structure 2: energy nan"):
                mdkern.evaluate([structures[0], structures[1], structures[6]], calc, **options)
        with pytest.raises(TypeError, match=r"frames\[1\]: 5; expected an ase.Atoms"):
            mdkern.evaluate([structures[0], 5], calc, executor=executor)
        with pytest.warns(MDKernWarning, match="structure 1: stress: has no cell"):
            mdkern.evaluate(
                [structures[0], molecule("H2O")], LennardJones(epsilon=0.01, sigma=2.0, rc=5.0),
                "stress", executor=executor,
            )  # fmt: skip
    with pytest.raises(ValueError, match="on_error: 'ignore'; expected 'raise' or 'record'"):
        mdkern.evaluate(structures, calc, on_error="ignore")
    with pytest.raises(TypeError, match=r"executor: 2; expected one of concurrent.futures"):
        mdkern.evaluate(structures, calc, executor=2)


class Counting(EMT):
    """Counts how often it is unpickled, by thread."""

    sent: dict[int, int] = {}  # noqa: RUF012
    calls = 0

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        me = threading.get_ident()
        self.sent[me] = self.sent.get(me, 0) + 1

    def calculate(self, *args: Any, **kwargs: Any) -> None:
        type(self).calls += 1
        super().calculate(*args, **kwargs)


def test_memory_is_bounded_and_the_model_comes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mdkern.shards.FRAMES", 20)
    taken = 0

    def passing(structures: list[Atoms]) -> Iterator[Atoms]:
        nonlocal taken
        for atoms in structures:
            taken += 1
            yield atoms

    ahead, calc = 0, EAM.zhou2004(["Cu"])
    with ThreadPoolExecutor(2) as executor:
        many = passing(frames(20) * 50)
        for k, _ in enumerate(evaluate_iter(many, calc, executor=executor)):
            ahead = max(ahead, taken - k)
        assert taken == 1000
        assert ahead <= 20 * 7  # two shards for each worker, two more, and the one in hand
        Counting.sent.clear()
        assert len(mdkern.evaluate(frames(12), Counting(), executor=executor)) == 12
        assert 1 <= len(Counting.sent) <= 2
        assert set(Counting.sent.values()) == {1}
        monkeypatch.setattr("mdkern.shards.ATOMS", 4)
        taken = 0
        results = evaluate_iter(passing(frames(30)), calc, executor=executor)
        next(results)
        assert taken <= 7  # each a shard
        assert len(list(results)) == 29
    calc = EMT()
    calc.lock = threading.Lock()
    with (
        ThreadPoolExecutor(1) as executor,
        pytest.raises(UnsupportedError, match="calculator: cannot be sent to the workers"),
    ):
        mdkern.evaluate(frames(1), calc, executor=executor)


class Elsewhere(Executor):
    """An executor whose workers do not see the files of this machine."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(2)
        self.sizes: list[int] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        name, source, *rest = args
        self.sizes.append(len(source) if isinstance(source, bytes) else 0)
        source = source if isinstance(source, bytes) else "/nowhere/job"
        return self.pool.submit(fn, name, source, *rest, **kwargs)


def test_workers_on_other_machines_ask_for_the_model() -> None:
    structures, calc = frames(400), EAM.zhou2004(["Cu"])
    executor = Elsewhere()
    found = mdkern.evaluate(iter(structures), calc, executor=executor)
    assert same(found, mdkern.evaluate(structures, calc))
    assert 1 <= sum(n > 0 for n in executor.sizes) <= len(executor.sizes) / 2
    executor.pool.shutdown()


class Deadly(EMT):
    """Ends its process at the structure of one atom."""

    def calculate(self, atoms: Any = None, *args: Any, **kwargs: Any) -> None:
        if len(atoms) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        super().calculate(atoms, *args, **kwargs)


def test_results_from_a_journal_are_each_their_own(here: Path) -> None:
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=1)
    calc = EAM.zhou2004(["Cu"])
    for _ in range(2):
        found = mdkern.evaluate([atoms, atoms.copy()], calc, journal=here / "twins.journal")
        assert found[0]["forces"].tobytes() == found[1]["forces"].tobytes()
        found[0]["forces"][:] = 0.0
        assert found[1]["forces"].any()


@pytest.mark.parametrize("make", [EMT, AseLennardJones])
def test_a_calculator_of_others_may_be_used_again(make: Any, here: Path) -> None:
    """It is the same model with the results and lists that a call has left in it; with other parameters it is none."""
    structures = [bulk("Cu", cubic=True, a=a) for a in (3.5, 3.6, 3.7)]
    calc = make()
    results = evaluate_iter(structures, calc, journal=here / "a.journal")
    first = next(results)
    results.close()
    for frames in (structures, structures[::-1]):
        found = mdkern.evaluate(frames, calc, journal=here / "a.journal")
        assert first["energy"] in [x["energy"] for x in found]
    mdkern.evaluate(structures, make(), journal=here / "a.journal")
    for _ in range(2):
        mdkern.relax(structures, calc, steps=1, cell="none", journal=here / "b.journal")
    calc.parameters["own"] = 1.0
    with pytest.raises(FormatError, match="the journal of another model"):
        mdkern.evaluate(structures, calc, journal=here / "a.journal")


def test_a_pool_that_breaks_says_so_and_the_journal_goes_on(here: Path) -> None:
    structures = frames(12)
    structures.insert(8, bulk("Cu"))
    with (
        pytest.raises(
            WorkerError, match=r": not evaluated: a process of the pool was killed.*j\.run"
        ),
        ProcessPoolExecutor(1) as executor,
    ):
        mdkern.evaluate(structures, Deadly(), executor=executor, journal="j.run")
    assert (here / "j.run").stat().st_size > 2000
    with (
        pytest.raises(WorkerError, match="journal=FILE would keep"),
        ProcessPoolExecutor(1) as pool,
    ):
        mdkern.evaluate(structures, Deadly(), executor=pool)


def test_what_is_finished_is_not_done_again(here: Path) -> None:
    structures = frames(10)
    wanted = mdkern.evaluate(structures, Counting())
    Counting.calls = 0
    results = evaluate_iter(structures, Counting(), journal="run.journal")
    assert same([next(results) for _ in range(4)], wanted[:4])
    results.close()
    assert Counting.calls == 4
    size = (here / "run.journal").stat().st_size
    found = mdkern.evaluate(structures[::-1], Counting(), journal="run.journal")
    assert Counting.calls == 10
    assert same(found, wanted[::-1])
    with ThreadPoolExecutor(2) as executor:
        found = mdkern.evaluate(structures, Counting(), executor=executor, journal="run.journal")
    assert Counting.calls == 10
    assert same(found, wanted)
    # Killed while it wrote: the last record is not whole.
    os.truncate("run.journal", (size + (here / "run.journal").stat().st_size) // 2 + 3)
    assert same(mdkern.evaluate(structures, Counting(), journal="run.journal"), wanted)
    assert 10 < Counting.calls < 20
    # A damaged one too: what follows is done again.
    data = bytearray((here / "run.journal").read_bytes())
    data[size - 3] ^= 1
    (here / "run.journal").write_bytes(data)
    assert same(mdkern.evaluate(structures, Counting(), journal="run.journal"), wanted)

    calc = EAM.zhou2004(["Cu"])
    mdkern.evaluate(structures, calc, journal="eam.journal")
    calc.get_potential_energy(structures[0])  # no part of the model
    with pytest.warns(MDKernWarning):
        mdkern.evaluate(with_bad(), calc, journal="eam.journal", on_error="record")
    for other in (EAM.zhou2004(["Cu", "Ni"]), Counting()):
        with pytest.raises(FormatError, match="the journal of another model"):
            mdkern.evaluate(structures, other, journal="eam.journal")
    with pytest.raises(FormatError, match="of other results"):
        mdkern.evaluate(structures, calc, "energy", journal="eam.journal")
    (here / "text").write_text("words\n")
    with pytest.raises(FormatError, match="text: no journal of mdkern"):
        mdkern.evaluate(structures, calc, journal="text")
    book = Journal("eam.journal.2", "job")
    book.add([digest([1])], [{"a": 1.5, "b": "x", "c": np.arange(6).reshape(2, 3), "d": True}])
    with pytest.raises(InUseError, match="another run writes"):
        Journal("eam.journal.2", "job")
    book.close()
    with closing(Journal("eam.journal.2", "job")) as book:
        again = book.get(digest([1]))
    assert again is not None
    assert (again["a"], again["b"], again["d"]) == (1.5, "x", True)
    assert np.array_equal(again["c"], [[0, 1, 2], [3, 4, 5]])


def test_the_command_goes_on(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write("set.extxyz", with_bad())
    words = ("evaluate", "set.extxyz", "--potential", "zhou2004")
    assert main([*words]) == 2
    one_error(capsys, "set.extxyz: frame 3 of those read: atom 1 is at")
    facts = run_json(capsys, *words, "--on-error", "record")
    assert [bad["frame"] for bad in facts["bad_frames"]] == [3, 4, 6]
    assert "is U; the potential has Cu" in facts["bad_frames"][1]["error"]
    capsys.readouterr()
    words = (
        "evaluate",
        "set.extxyz",
        "--on-error",
        "record",
        "--potential",
        "lj:epsilon=0.1,sigma=2.3,rc=5",
    )
    facts = run_json(capsys, *words, "-o", "a.extxyz", "--journal", "run.journal")
    assert [bad["frame"] for bad in facts["bad_frames"]] == [3, 6]
    assert facts["frames"] == 9
    assert "nan" in read("a.extxyz", 3).info["error"]
    first = (here / "a.extxyz").read_bytes()
    os.truncate("run.journal", (here / "run.journal").stat().st_size // 2)
    (here / "a.extxyz").write_bytes(first[:1000])
    run_json(capsys, *words, "-o", "a.extxyz", "--journal", "run.journal")
    assert (here / "a.extxyz").read_bytes() == first
    assert main([*words, "-o", "a.extxyz"]) == 2
    one_error(capsys, "a.extxyz: exists")
    assert main([*words, "--workers", "2"]) == 2
    one_error(capsys, "--workers: expected --scheduler local")


@pytest.mark.usefixtures("here")
def test_several_frames_are_relaxed(capsys: pytest.CaptureFixture[str]) -> None:
    write("set.extxyz", frames(3))
    words = ("relax", "set.extxyz", "--potential", "zhou2004", "--fmax", "0.05")
    facts = run_json(capsys, *words, "--index", ":", "-o", "all.extxyz")
    assert facts["converged"] == 3
    for k, atoms in enumerate(read("all.extxyz", ":")):
        one = run_json(capsys, *words, "--index", str(k))
        assert facts["results"][k]["steps"] == one["steps"]
        assert facts["results"][k]["energy"] == one["after"]["energy_eV"]
        assert np.linalg.norm(atoms.get_forces(), axis=1).max() <= 0.05
    assert run_json(capsys, *words, "--index", ":", "--steps", "1", status=1)["converged"] == 0
    capsys.readouterr()
    assert main([*words, "--index", "1", "--journal", "x"]) == 2
    one_error(capsys, "--journal: for several frames")


# --- Dask ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
        with (
            distributed.LocalCluster(**options, silence_logs=50) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client


@pytest.mark.parametrize("shards", ["files", "bytes", "lost files"])
def test_dask_gives_the_same_bits_and_survives_a_killed_worker(
    shards: str, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shards == "bytes":  # as on other machines
        monkeypatch.setattr("mdkern.pools_dask.LOOPBACK", ("no address",))
    elif shards == "lost files":
        monkeypatch.setattr("mdkern.pools_dask.Path.write_bytes", lambda _, data: len(data))
    structures, calc = frames(20, size=6) * 60, EAM.zhou2004(["Cu"])
    wanted = mdkern.evaluate(structures, calc)
    pids = client.run(os.getpid)
    assert len(set(pids.values())) == 2

    def with_a_kill() -> Iterator[Atoms]:
        for k, atoms in enumerate(structures):
            if k == 700:  # shards are on their way
                os.kill(next(iter(pids.values())), signal.SIGKILL)
            yield atoms

    assert same(mdkern.evaluate(with_a_kill(), calc, executor=client), wanted)
    client.wait_for_workers(2, timeout=30)
    assert set(client.run(os.getpid).values()) != set(pids.values())
    assert same(mdkern.evaluate(structures[:200], calc, executor=client), wanted[:200])
    with pytest.warns(MDKernWarning, match="3 structures"):
        bad = mdkern.evaluate(with_bad(), calc, executor=client)
    assert [k for k, result in enumerate(bad) if "error" in result] == [3, 4, 6]
    held = client.run(lambda: len(sys.modules["mdkern.worker"].__dict__["_payloads"]))
    assert set(held.values()) == {0}  # nothing stays behind


def test_commands_by_a_scheduler(
    client: Any, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("set.extxyz", frames(8))
    scheduler = ("--scheduler", client.scheduler.address)
    words = ("evaluate", "set.extxyz", "--potential", "zhou2004")
    for name, more in (("a.extxyz", ()), ("b.extxyz", scheduler)):
        run_json(capsys, *words, "-o", name, *more)
    assert (here / "a.extxyz").read_bytes() == (here / "b.extxyz").read_bytes()
    words = ("relax", "set.extxyz", "--potential", "zhou2004", "--fmax", "0.05")
    for name, more in (("c.extxyz", ("--index", ":")), ("d.extxyz", scheduler)):
        run_json(capsys, *words, "-o", name, *more)
    assert (here / "c.extxyz").read_bytes() == (here / "d.extxyz").read_bytes()
    words = ("describe", "set.extxyz", "--n-max", "3", "--l-max", "2")
    for name, more in (("e.npz", ()), ("f.npz", (*scheduler, "--journal", "f.journal"))):
        run_json(capsys, *words, "-o", name, *more)
    a, b = np.load("e.npz")["features"], np.load("f.npz")["features"]
    assert np.abs(a - b).max() <= 1e-12 * np.abs(a).max()
    monkeypatch.setattr("mdkern.cli.scheduler.WAIT", 0.3)
    words = ("evaluate", "set.extxyz", "--potential", "zhou2004", "--scheduler")
    for wrong in ("tcp://127.0.0.1:9", "nowhere"):
        assert main([*words, wrong]) == 2
        one_error(capsys, f"--scheduler {wrong}: no scheduler of Dask answers there")
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main([*words, "local"]) == 2
    one_error(capsys, "pip install 'mdkern[dask]'")
