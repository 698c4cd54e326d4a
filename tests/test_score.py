"""`mdkern bench --score`: the work that it counts, the results that it wants, what it says of the machine, the command."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import units
from cli_checks import run_json

import mdkern
from mdkern import reference
from mdkern.bench.deepmd_models import random_deepmd
from mdkern.bench.kernels import COUNTS, KERNELS
from mdkern.bench.mace_models import PUBLIC_SHAPES, random_mace
from mdkern.bench.nep_models import PUBLIC_SIZES, random_nep
from mdkern.bench.score import document, geometric_mean
from mdkern.bench.score.cases import (
    CASES,
    GEMM,
    MD_STEPS,
    SOAP_SETTINGS,
    VERSION,
    ScoreCase,
    Size,
)
from mdkern.bench.score.marks import Observed, marks, parse_ticks, stolen
from mdkern.bench.systems import ARGON, make
from mdkern.calculators import LennardJones
from mdkern.cli import main
from mdkern.io.deepmd import read_deepmd
from mdkern.io.nep import read_nep
from mdkern.reference.soap import soap as soap_of_numpy

BY_NAME = {case.name: case for case in CASES}

# --- work: counted from the arrays of the models and the pairs of the list, multiply-adds as two


@cache
def pairs(system: str, cutoff: float) -> int:
    """Pairs within the cutoff, both directions: by NumPy where that takes no gigabytes."""
    s = make(system)
    if len(s.atoms) <= 1000:
        return len(reference.neighbor_list_binned("i", *s.arrays, cutoff))
    return len(mdkern.neighbor_list("i", s.atoms, cutoff))


def gemm(system: str) -> int:
    rows, depth, columns = GEMM
    return 2 * rows * depth * columns * int(system.removeprefix("products-"))


def nep(system: str, folder: Path) -> int:
    shape: dict[str, Any] = PUBLIC_SIZES["UNEP-v1"]
    model = read_nep(random_nep(folder / "nep.txt", **shape))
    n_angular, k_angular = model.c_angular.shape[:2]
    k_radial = model.c_radial.shape[1]
    harmonics = (model.l_max + 1) ** 2 - 1
    hidden, descriptors = model.networks.w0.shape[1:]
    sums = 4 * n_angular * k_angular + 6 * n_angular * harmonics + 6 * harmonics
    atom = 4 * hidden * descriptors + 40 * hidden + 60 * n_angular * model.l_max**2
    return (
        pairs(system, float(model.rc_radial[0])) * (80 + 10 * k_radial)
        + pairs(system, float(model.rc_angular[0])) * (150 + sums)
        + len(make(system).atoms) * atom
    )


def deep_potential(system: str, folder: Path) -> int:
    standard = read_deepmd(random_deepmd(folder / "dp.json")).model
    widths = [layer.w.shape for layer in standard.fitting.nets[0].layers]
    axes, channels = standard.descriptor.axis_neuron, 100
    assert widths[0][0] == axes * channels
    net = sum(m * n for m, n in widths) - axes * (axes - 1) // 2 * widths[0][1]
    tanh = 30 * sum(n for _, n in widths[:-1])
    pair = 2 * channels * ((5 + 5 + 4) + (4 + 4 + 2)) + 60
    atom = 2 * 3 * channels * axes * 4 + 2 * 2 * net + tanh
    return pairs(system, 6.0) * pair + len(make(system).atoms) * atom


def mace_small(system: str) -> int:
    arrays, meta = (model := random_mace(**PUBLIC_SHAPES["small"])).arrays, model.meta
    K = arrays["node_embedding"].shape[1]
    pair = atom = 0
    for t, layer in enumerate(meta["layers"]):
        ells = [(l1, l2) for l1, l2, _ in layer["paths"]]
        assert all(l1 == 0 for l1, _ in ells)  # scalars between layers: l3 = l2
        outgoing = sum(2 * l2 + 1 for _, l2 in ells)
        pair += 9 * len(ells) + 3 * outgoing + (3 * len(ells) + outgoing if t else 0)
        for name in arrays:
            kind, _, ell = name.removeprefix(f"L{t}.").rpartition(".")
            if name.startswith(f"L{t}.") and kind in ("up", "lin", "skip", "prod.lin"):
                # Features of the first layer are of the species: no map of atoms.
                atom += 0 if kind == "up" and t == 0 else 2 * K * (2 * int(ell) + 1)
        monomials = {
            tuple(sorted(row[1:-1]))
            for nu in (1, 2, 3)
            for row in arrays[f"L{t}.prod.0.U{nu}.idx"].tolist()
        }
        atom += 6 * len(monomials)
    n = len(make(system).atoms)
    return 2 * K * (pairs(system, 6.0) * pair + n * atom)


def soap(system: str) -> int:
    n_max, l_max = SOAP_SETTINGS["n_max"], SOAP_SETTINGS["l_max"]
    reach = SOAP_SETTINGS["r_cut"] + SOAP_SETTINGS["sigma"] * np.sqrt(-2 * np.log(1e-3))
    n = len(make(system).atoms)
    pair = 14 * (l_max + 1) * n_max + 2 * (l_max + 1) ** 2 * n_max + 5 * (l_max + 1) ** 2
    # A centre is a neighbor of itself.
    return (pairs(system, reach) + n) * pair + n * n_max * (n_max + 1) * (l_max + 1) ** 2


def neighbor_list(system: str) -> int:
    n = len(make(system).atoms)
    written = sum(np.dtype(t).itemsize * k for t, k in (("i8", 5), ("f8", 4)))  # i j S, d D
    return pairs(system, make(system).cutoff) * (written + 8) + 96 * n


def lennard_jones(system: str) -> int:
    return 4 * pairs(system, ARGON["rc"]) + 80 * len(make(system).atoms)


def dynamics(system: str) -> int:
    return MD_STEPS * (lennard_jones(system) + 184 * len(make(system).atoms))


def soap_jacobian(system: str) -> int:
    n_max, l_max = SOAP_SETTINGS["n_max"], SOAP_SETTINGS["l_max"]
    reach = SOAP_SETTINGS["r_cut"] + SOAP_SETTINGS["sigma"] * np.sqrt(-2 * np.log(1e-3))
    i, j = mdkern.neighbor_list("ij", make(system).atoms, reach)
    blocks = len({*zip(i.tolist(), j.tolist(), strict=True)} | {(k, k) for k in set(i.tolist())})
    return blocks * 3 * (n_max * (n_max + 1) // 2 * (l_max + 1)) * 8


COUNTED: dict[str, Callable[..., int]] = {
    "gemm": gemm,
    "nep": nep,
    "deep_potential": deep_potential,
    "mace_small": mace_small,
    "soap": soap,
    "neighbor_list": neighbor_list,
    "lennard_jones": lennard_jones,
    "dynamics": dynamics,
    "soap_jacobian": soap_jacobian,
}


def counted(name: str, system: str, folder: Path) -> int:
    needs_file = name in ("nep", "deep_potential")
    return COUNTED[name](system, folder) if needs_file else COUNTED[name](system)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_work_is_what_models_and_pairs_say(case: ScoreCase, tmp_path: Path) -> None:
    assert case.quick.work == counted(case.name, case.quick.system, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_work_of_the_whole_systems(case: ScoreCase, tmp_path: Path) -> None:
    assert case.full.work == counted(case.name, case.full.system, tmp_path)


@pytest.mark.parametrize(
    ("name", "cutoff"),
    [("nep", 6.0), ("deep_potential", 6.0), ("mace_small", 6.0), ("lennard_jones", ARGON["rc"])],
)
def test_work_is_that_of_the_benchmarks(name: str, cutoff: float) -> None:
    """Those count by the mean number of neighbors, and may follow the kernels later; the score does not."""
    case, count = BY_NAME[name], COUNTS[name]
    system = case.quick.system
    n, n_pairs = len(make(system).atoms), pairs(system, cutoff)
    work = count.stream * n_pairs + count.stream_atom * n
    if case.bound == "compute":
        work = count.flops * n_pairs
    assert case.quick.work == pytest.approx(work, rel=0.06)


def test_each_product_is_counted_for_each_thread() -> None:
    assert [case.name for case in CASES if case.each] == ["gemm"]
    assert {case.bound for case in CASES} == {"compute", "memory"}
    assert len(BY_NAME) == len(CASES)


# --- results: the stored numbers are those of the definitions, whatever computes them


def norm(array: Any) -> float:
    return float(np.sqrt(np.sum(np.asarray(array) ** 2)))


@pytest.mark.parametrize("name", ["nep", "deep_potential", "mace_small", "lennard_jones"])
def test_stored_energies_and_forces_are_those_of_numpy(name: str) -> None:
    size = BY_NAME[name].quick
    found = KERNELS[name].make(make(size.system)).baseline()
    BY_NAME[name].check({"energy": found.energy, "forces": norm(found.forces)}, size)


def test_stored_products_and_pairs_are_those_of_numpy() -> None:
    rows, depth, columns = GEMM
    rng = np.random.default_rng(5)
    product = rng.normal(size=(rows, depth)) @ rng.normal(size=(depth, columns))
    for size in (BY_NAME["gemm"].quick, BY_NAME["gemm"].full):
        BY_NAME["gemm"].check({"sum": float(product.sum()), "norm": norm(product)}, size)
    case = BY_NAME["neighbor_list"]
    s = make(case.quick.system)
    d, D = reference.neighbor_list_binned("dD", *s.arrays, s.cutoff)
    case.check(
        {"pairs": len(d), "distances": float(d.sum()), "vectors": norm(D)},
        case.quick,
    )


def test_stored_descriptors_are_those_of_numpy() -> None:
    """The definition takes long: some atoms of it stand for all, whose sum and norm are stored."""
    case = BY_NAME["soap"]
    atoms = make(case.quick.system).atoms
    run, values = case.make(case.quick.system)
    found = run(1)
    case.check(values(found), case.quick)
    jacobian = BY_NAME["soap_jacobian"].make(case.quick.system)[0](1)
    some = [0, 7, 100, 215]
    kinds = np.zeros(len(atoms), dtype=np.int64)
    system = (atoms.positions, atoms.cell.array, atoms.pbc, kinds)
    expected, _ = soap_of_numpy(*system, some, n_species=1, **SOAP_SETTINGS)
    assert np.abs(found[some] - expected).max() <= 1e-8 * np.abs(expected).max()
    _, slopes = soap_of_numpy(*system, [7], n_species=1, gradient=True, **SOAP_SETTINGS)
    assert slopes is not None
    error = np.abs(jacobian.to_dense()[7] - slopes[0]).max()
    assert error <= 1e-8 * np.abs(slopes).max()


def test_stored_dynamics_is_that_of_numpy() -> None:
    """The integrator's definition on our forces, which are NumPy's at the end."""
    size = BY_NAME["dynamics"].quick
    atoms = make(size.system).atoms
    momenta = np.random.default_rng(7).normal(size=(len(atoms), 3))
    masses = atoms.get_masses()
    momenta *= np.sqrt(masses[:, None] * units.kB * 120)
    atoms.calc = LennardJones(**ARGON)

    def forces(r: Any) -> Any:
        atoms.positions = r
        return atoms.get_forces()

    arguments = (atoms.positions.copy(), momenta, masses, forces, 5 * units.fs, MD_STEPS)
    r, p = reference.velocity_verlet(*arguments)
    species = np.zeros(len(r), dtype=np.int64)
    system = (r, atoms.cell.array, atoms.pbc, species)
    end = reference.lennard_jones(*system, ARGON["epsilon"], ARGON["sigma"], ARGON["rc"])
    energy = end.energy + float(np.sum(p**2 / (2 * masses[:, None])))
    BY_NAME["dynamics"].check({"energy": energy, "forces": norm(end.forces)}, size)


@pytest.mark.parametrize("isa", mdkern.info()["isas_supported"])
def test_every_instruction_set_gives_the_stored_numbers(isa: str) -> None:
    active = mdkern.get_isa()
    mdkern.set_isa(isa)
    try:
        for case in CASES:
            run, values = case.make(case.quick.system)
            for threads in (1, 3):
                case.check(values(run(threads)), case.quick)
    finally:
        mdkern.set_isa(active)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_wrong_number_is_noticed(case: ScoreCase) -> None:
    case.check(case.full.values, case.full)
    for name, value in case.full.values.items():
        for wrong in (value * (1 + 1e-7), float("nan")):
            with pytest.raises(AssertionError, match=rf"{case.name}, .*: {name} .*; expected"):
                case.check({**case.full.values, name: wrong}, case.full)


# --- marks, by readings that are fed


def seen(**changes: Any) -> Observed:
    given: dict[str, Any] = {
        "peak": {1: (60e9, 59e9, 58e9), 2: (118e9, 118e9, 117e9)},
        "bandwidth": {1: (28e9, 28e9, 27e9), 2: (29e9, 29e9, 29e9)},
        "cpu_share": 0.99,
        "steal": 0.0,
        "threads": 2,
        "cpus": 2,
    }
    return Observed(**{**given, **changes})


def test_an_idle_machine_has_no_marks() -> None:
    assert marks(seen()) == []
    assert marks(seen(steal=None)) == []
    assert seen().two_threads == pytest.approx(118 / 60)
    one = seen(peak={1: (60e9,) * 3}, bandwidth={1: (28e9,) * 3}, threads=1)
    assert one.two_threads is None
    assert marks(one) == []


@pytest.mark.parametrize(
    ("changes", "name", "text"),
    [
        (
            {"peak": {1: (60e9, 60e9, 53e9), 2: (118e9,) * 3}},
            "unsteady",
            r"peak of 1 thread before.*: 60\.0, 60\.0, 53\.0 GFLOP/s, 12 % apart",
        ),
        (
            {"bandwidth": {1: (28e9,) * 3, 2: (24e9, 29e9, 29e9)}},
            "unsteady",
            r"bandwidth of 2 threads .*: 24\.0, 29\.0, 29\.0 GB/s, 17 % apart",
        ),
        ({"cpu_share": 0.94}, "loaded", "had a CPU for 94 %"),
        ({"cpu_share": float("nan")}, "loaded", "had a CPU for nan %"),
        ({"steal": 0.06}, "stolen", "gave 6 % of the CPU time"),
        ({"cpus": 1}, "oversubscribed", "2 threads on 1 available CPUs"),
        (
            {"peak": {1: (60e9,) * 3, 2: (66e9,) * 3}},
            "oversubscribed",
            r"two threads multiply 1\.10 times as much",
        ),
        ({"quick": True}, "quick", "smaller systems"),
        ({"isa": "scalar", "best": "avx2"}, "isa", "kernels use scalar, the peak is that of avx2"),
    ],
)
def test_marks(changes: dict[str, Any], name: str, text: str) -> None:
    (mark,) = marks(seen(**changes))
    assert mark.name == name
    assert re.search(text, mark.text)


def test_thresholds_are_where_the_page_says() -> None:
    """Just inside none, just outside one."""
    for share, found in ((0.901, 0), (0.899, 1)):
        assert len(marks(seen(bandwidth={1: (1e9, share * 1e9, 1e9)}))) == found
    for ratio, found in ((1.601, 0), (1.599, 1)):
        assert len(marks(seen(peak={1: (60e9,) * 3, 2: (ratio * 60e9,) * 3}))) == found
    for steal, found in ((0.0499, 0), (0.0501, 1)):
        assert len(marks(seen(steal=steal))) == found
    page = (Path(__file__).parents[1] / "docs" / "score.md").read_text(encoding="utf-8")
    for said in ("more than 10 %", "less than 95 %", "more than 5 %", "less than 1.6 times"):
        assert said in page


def test_stolen_time() -> None:
    before = parse_ticks("cpu  100 0 50 800 10 0 5 35 0 0\ncpu0 1 2 3\n")
    after = parse_ticks("cpu  180 0 60 800 10 0 5 45 7 0\n")
    assert before == (1000, 35)
    assert stolen(before, after) == pytest.approx(10 / 100)
    assert stolen(before, before) is None
    assert stolen(None, after) is None
    for text in ("", "cpu 1 2 3\n", "cpu a b c d e f g h\n", "intr 1 2 3 4 5 6 7 8\n"):
        assert parse_ticks(text) is None


# --- from times to scores


def test_scores_are_geometric_means_of_shares_of_the_best_reading() -> None:
    assert geometric_mean([0.1, 0.4]) == pytest.approx(0.2)
    assert geometric_mean([0.3]) == pytest.approx(0.3)
    size = Size("none", 12_000_000_000, {})
    gemm_like = ScoreCase("a", "compute", BY_NAME["gemm"].make, size, size, each=True)
    plain = replace(gemm_like, name="b", each=False)
    memory = replace(plain, name="c", bound="memory")
    timed = [
        (gemm_like, size, {1: 0.8, 2: 0.8}),
        (plain, size, {1: 0.5, 2: 0.4}),
        (memory, size, {1: 2.0, 2: 1.0}),
    ]
    around = {
        **dict.fromkeys(("system", "wait_policy", "python", "numpy", "load_average"), "?"),
        **mdkern.info(),
    }
    found = document(seen(), timed, around, {"L1": 1}, 3.0)
    one, two = found["scores"]
    # 12 G in 0.8 s of 60 G/s, in 0.5 s; of two threads 24 G in 0.8 s of 118 G/s, 12 G in 0.4 s.
    assert one["compute"] == pytest.approx(np.sqrt(12 / 0.8 / 60 * (12 / 0.5 / 60)))
    assert two["compute"] == pytest.approx(np.sqrt(24 / 0.8 / 118 * (12 / 0.4 / 118)))
    assert (one["memory"], two["memory"]) == pytest.approx((12 / 2 / 28, 12 / 29))
    assert (one["peak"], two["bandwidth"]) == (60e9, 29e9)
    assert [row["work"] for row in found["cases"][:2]] == [size.work, 2 * size.work]
    assert found["comparable"] is True
    assert found["marks"] == []
    assert found["steadiness"]["spread"] == pytest.approx(1 / 28)  # of 28 and 27 GB/s
    assert document(seen(steal=0.5), timed, around, {}, 3.0)["comparable"] is False


# --- the command


def test_quick_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "folder"
    arguments = ("--score", "--quick", "--threads", "2", "-o", str(out))
    found = run_json(capsys, "bench", *arguments)
    assert found == json.loads((out / "score.json").read_text(encoding="utf-8"))
    assert (found["schema"], found["score"], found["comparable"]) == (1, VERSION, False)
    assert "quick" in [mark["name"] for mark in found["marks"]]
    assert [score["threads"] for score in found["scores"]] == [1, 2]
    assert [(row["name"], row["threads"]) for row in found["cases"]] == [
        (case.name, n) for case in CASES for n in (1, 2)
    ]
    for score in found["scores"]:
        for bound, limit in (("compute", "peak"), ("memory", "bandwidth")):
            shares = [
                row["rate"] / score[limit]
                for row in found["cases"]
                if (row["bound"], row["threads"]) == (bound, score["threads"])
            ]
            assert score[bound] == pytest.approx(np.exp(np.mean(np.log(shares))))
            assert 0.0 < score[bound] < 1.0
    for row in found["cases"]:
        assert row["rate"] == pytest.approx(row["work"] / row["seconds"])
    assert {len(x) for x in found["steadiness"]["peak"].values()} == {3}
    assert 0.0 < found["steadiness"]["cpu_share"] < 1.05


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> list[ScoreCase]:
    """Two cases instead of all, for what is not about numbers."""
    cases = [BY_NAME["nep"], BY_NAME["lennard_jones"]]
    monkeypatch.setattr("mdkern.bench.score.CASES", cases)
    return cases


def test_words_for_people(short: list[ScoreCase], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--score", "--quick", "--threads", "1"]) == 0
    shown = capsys.readouterr().out
    for case in short:
        assert f"{case.name}, {case.quick.system}" in shown
    assert "multiply-add peak" in shown
    assert "not for the table, quick: " in shown


def test_a_slower_instruction_set_is_not_for_the_table(
    short: list[ScoreCase], capsys: pytest.CaptureFixture[str]
) -> None:
    assert short
    before, best = mdkern.get_isa(), mdkern.info()["isas_supported"][-1]
    try:
        for isa in ("scalar", best):
            mdkern.set_isa(isa)
            found = run_json(capsys, "bench", "--score", "--quick", "--threads", "1")
            assert ("isa" in [mark["name"] for mark in found["marks"]]) is (isa != best)
    finally:
        mdkern.set_isa(before)


def test_a_wrong_kernel_gives_no_score(
    short: list[ScoreCase], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = replace(short[0].quick, values={**short[0].quick.values, "energy": 27.0})
    monkeypatch.setattr("mdkern.bench.score.CASES", [replace(short[0], quick=wrong), short[1]])
    assert main(["bench", "--score", "--quick", "--json"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "no score: nep, cell-256: energy 27.63" in shown.err
    assert "expected 27.0" in shown.err


def test_what_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "--score", "--only", "nep"]) == 2
    assert "--only: 'nep'; --score has a fixed list" in capsys.readouterr().err
    (tmp_path / "file").touch()
    monkeypatch.setattr("mdkern.bench.score.measure", lambda *_, **__: pytest.fail("measured"))
    assert main(["bench", "--score", "-o", str(tmp_path / "file")]) == 2
    assert str(tmp_path / "file") in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setattr("mdkern._core.available_memory", lambda: 2e9)
    assert main(["bench", "--score"]) == 2
    assert "takes 3.0 GB of memory; available are 2.0 GB" in capsys.readouterr().err
