"""`mdkern.bench`: the statistics, the limits, the counts, the cases and the command."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import mdkern
from mdkern import _core
from mdkern.bench import interleave as turns
from mdkern.bench import limits, systems
from mdkern.bench.case import EXP, ready_list
from mdkern.bench.cases.neighbors import same_pairs
from mdkern.bench.kernels import COUNTS, KERNELS
from mdkern.cli.bench import run
from mdkern.cli.output import UsageError

ISAS = mdkern.info()["isas_supported"]


@pytest.fixture(autouse=True)
def _restore_isa() -> Any:
    active = mdkern.get_isa()
    yield
    mdkern.set_isa(active)


# --- turns


def test_ratio_of_constant_factor_is_exact() -> None:
    fast = np.random.default_rng(0).uniform(1.0, 2.0, 15)  # drifts, but both alike
    r = turns.ratio(3.0 * fast, fast)
    assert np.allclose([r.median, r.low, r.high], 3.0, rtol=1e-14)
    assert r.rounds == 15
    assert str(r) == "3.00 [3.00, 3.00]"


def test_interval_covers_the_true_ratio_and_shrinks() -> None:
    rng = np.random.default_rng(1)
    covered, widths = 0, {15: 0.0, 150: 0.0}
    for _ in range(200):
        for n in widths:
            r = turns.ratio(2.0 * np.exp(0.1 * rng.normal(size=n)), np.ones(n))
            widths[n] += (r.high - r.low) / 200
            covered += n == 15 and r.low <= 2.0 <= r.high
    assert 175 <= covered <= 199  # of 200; 95 % wanted, small samples give a little less
    assert widths[150] < 0.5 * widths[15]


def test_ratio_wants_the_same_rounds() -> None:
    with pytest.raises(ValueError, match="expected the same rounds"):
        turns.ratio(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match="expected the same rounds"):
        turns.ratio(np.ones(0), np.ones(0))


def test_calls_take_turns() -> None:
    order: list[str] = []

    def call(name: str) -> Any:
        def work() -> None:
            order.append(name)
            time.sleep(3e-3)

        return work

    before: list[str] = []
    result = turns.interleave(
        {"a": call("a"), "b": call("b")}, rounds=4, sample=1e-3, before=before.append
    )
    assert order == ["a", "a", "b", "b", *4 * ["a", "b"]]  # warm-up, length, rounds
    assert before == ["a", "b", *4 * ["a", "b"]]
    assert result.seconds["a"].shape == (4,)
    assert result.median("a") >= 3e-3


def test_short_calls_are_repeated_and_long_ones_limited() -> None:
    n_calls = 0

    def short() -> None:
        nonlocal n_calls
        n_calls += 1

    result = turns.interleave({"short": short}, rounds=3, sample=2e-3)
    assert n_calls > 1000
    assert result.median("short") < 1e-4
    slow = turns.interleave({"slow": lambda: time.sleep(0.02)}, rounds=15, budget=0.01)
    assert len(slow.seconds["slow"]) == 3


def test_longer_calls_have_larger_ratios() -> None:
    calls = {"a": lambda: time.sleep(0.001), "b": lambda: time.sleep(0.05)}
    r = turns.interleave(calls, rounds=5).ratio("b", "a")
    assert 1.0 < r.low <= r.median <= r.high


# --- limits: the kernels compute what they say


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("threads", [1, 3])
def test_fma_chains_compute(isa: str, single: bool, threads: int) -> None:
    mdkern.set_isa(isa)
    rounds, start = 1000, 5.0
    sums, flops = _core.limits_fma(single, rounds, start, threads)
    threads = threads if mdkern.info()["openmp"] else 1
    # 12 chains from start, start + 1, ...; each x - 1 shrinks by the factor in every round
    expected = 1.0 + (start + 5.5 - 1.0) * _core.FMA_FACTOR**rounds
    assert sums.shape == (threads,)
    assert np.abs(sums - expected).max() <= (1e-3 if single else 1e-12)
    lanes = flops / (2 * 12 * rounds * threads)
    assert lanes in {"scalar": (1,), "neon": (4, 8), "avx2": (4, 8), "avx512": (8, 16)}[isa]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 64, 1003])
def test_streams_compute(isa: str, threads: int, n: int) -> None:
    mdkern.set_isa(isa)
    rng = np.random.default_rng(n)
    b, c = rng.integers(0, 1000, (2, n)).astype(float)
    room = np.full(n + 16, -1.0)
    a = room[8 : 8 + n]
    for op, expected in ((0, np.full(n, 3.0)), (1, b), (2, b + 3.0 * c)):
        a[:] = 0.0
        _core.limits_stream(op, a, b, c, 3.0, 2, threads)
        assert np.array_equal(a, expected)
        assert np.all(room[:8] == -1.0)
        assert np.all(room[8 + n :] == -1.0)
    sums = _core.limits_stream(3, a, b, c, 3.0, 2, threads)
    assert sums.sum() == a.sum()  # integers: exact in any order


def test_limits_refuse_bad_arguments() -> None:
    a = np.zeros(8)
    with pytest.raises(ValueError, match="op: 4; expected 0 to 3"):
        _core.limits_stream(4, a, a, a, 1.0, 1, 1)
    with pytest.raises(ValueError, match="repeats: 0; expected an integer >= 1"):
        _core.limits_stream(0, a, a, a, 1.0, 0, 1)
    with pytest.raises(ValueError, match="rounds: -1; expected an integer >= 1"):
        _core.limits_fma(False, -1, 1.0, 1)
    with pytest.raises(ValueError, match=r"b: shape \(7\); expected \(8\)"):
        _core.limits_stream(0, a, np.zeros(7), a, 1.0, 1, 1)
    with pytest.raises(TypeError):
        _core.limits_stream(0, a.astype(np.float32), a, a, 1.0, 1, 1)


@pytest.fixture(scope="module")
def measured() -> limits.Limits:
    return limits.measure(2, quick=True)


def test_limits_are_plausible(measured: limits.Limits) -> None:
    for isa in ISAS:
        for precision in ("double", "single"):
            for threads in (1, 2):
                assert 1e8 < measured.flops(isa, precision, threads) < 1e14
    names = ["read L1", "read L2", "read L3", "write", "copy", "triad", "read"]
    if sys.platform == "linux":
        names += ["write fresh 4 kB pages", "write fresh huge pages"]
    for name in names:
        for threads in (1, 2):
            assert 1e7 < measured.bandwidth(name, threads) < 1e14
    # Vectors of four or eight doubles beat single numbers, however busy the machine is.
    best = max(measured.flops(isa, "double", 1) for isa in ISAS)
    assert best >= (1.2 if len(ISAS) > 1 else 1.0) * measured.flops("scalar", "double", 1)


def test_limits_know_their_levels(measured: limits.Limits) -> None:
    caches = measured.caches
    assert 0 < caches["L1"] < caches["L2"] < caches["L3"]
    assert measured.level(1e3, 1) == "read L1"
    assert measured.level(caches["L2"], 1) == "read L2"
    assert measured.level(2 * caches["L2"], 2) == "read L2"
    assert measured.level(caches["L3"], 1) == "read L3"
    assert measured.level(2.0 * caches["L3"], 8) == "read"
    with pytest.raises(KeyError, match="no limit 'fma half'"):
        measured.flops("scalar", "half", 1)


# --- counts: the arithmetic of the kernels, transcribed, on numbers that count


@dataclass
class Tally:
    """A number that counts the operations it takes part in."""

    total: list[int]

    def _did(self, n: int = 1) -> Tally:
        self.total[0] += n
        return self

    def __add__(self, _: object) -> Tally:
        return self._did()

    __sub__ = __mul__ = __truediv__ = __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __add__

    def sqrt(self) -> Tally:
        return self._did()

    round = sqrt


def fma(a: Any, b: Any, c: Any) -> Tally:
    number = next(x for x in (a, b, c) if isinstance(x, Tally))
    return number._did(2)


def horner(z: Tally, n: int) -> Tally:
    """Polynomial of n coefficients."""
    for _ in range(n - 1):
        z = fma(z, z, 1.0)
    return z


def exponential(x: Tally) -> Tally:  # cpp/simd/math.hpp, exp
    n = (x * 1.4427).round()
    d = fma(n, 0.69, x)
    r = fma(n, 1e-14, d)
    lost = fma(n, 1e-14, d - r)
    z = r * r
    p = r + fma(z, fma(r, horner(z, 5), horner(z, 5)), lost)
    return (1.0 + p) * n


def vector(x: Tally) -> Tally:  # cpp/forces/pair_loop.hpp, before the pair
    dx, dy, dz = x - x, x - x, x - x
    return fma(dx, dx, fma(dy, dy, dz * dz))


def gather(x: Tally, e: Tally, g: Tally) -> None:  # and after it
    e + e  # energy
    gx, gy, gz = g * x, g * x, g * x
    for f in (gx, gy, gz):
        f + f
    for a in (gx, gy, gz, gy, gx, gx):
        fma(a, x, x)


def share(x: Tally, e: Tally, g: Tally) -> None:  # the same with half lists
    gx, gy, gz = g * x, g * x, g * x
    for a in (gx, gy, gz, gy, gx, gx):
        fma(a, x, x)
    for f in (0.5 * e, gx, gy, gz):  # row j
        f + f
    e + e  # row i
    for _ in range(3):
        fma(g, x, x)


def lennard_jones(x: Tally) -> None:
    q = 1.0 / vector(x)
    q3 = q * q * q
    aq = 1.0 * q3
    e = fma(aq - 1.0, q3, 1.0)
    g = fma(-12.0, aq, 1.0) * (q3 * q)
    gather(x, e, g)


def morse(x: Tally) -> None:
    r = vector(x).sqrt()
    b = exponential(-1.0 * (r - 1.0))
    e = fma(1.0 * b, b - 2.0, 1.0)
    slope = 1.0 * b * (b - 1.0)
    gather(x, e, slope / r)


def eam(x: Tally) -> None:
    def locate(r: Tally) -> Tally:
        u = r * 1.0
        return u - u.round()

    def cubic(p: Tally) -> Tally:
        return fma(fma(fma(1.0, p, 1.0), p, 1.0), p, 1.0)

    def slope(p: Tally) -> Tally:
        return fma(fma(3.0 * p, p, 2.0 * p), p, 1.0)

    p = locate(vector(x).sqrt())  # densities
    f = cubic(p)
    x + f, x + f
    r = vector(x).sqrt()  # forces
    inverse = 1.0 / r
    p = locate(r)
    f = slope(p)
    e = cubic(p) * inverse
    embedding = fma(1.0, f, 1.0 * f)
    g = fma(e, inverse, fma(slope(p), inverse, embedding) * 1.0) * inverse
    share(x, e, g)


@pytest.mark.parametrize(
    ("name", "arithmetic"),
    [
        ("lennard_jones", lennard_jones),
        ("lennard_jones_single", lennard_jones),
        ("morse", morse),
        ("eam", eam),
    ],
)
def test_counts_are_those_of_the_arithmetic(name: str, arithmetic: Any) -> None:
    total = [0]
    arithmetic(Tally(total))
    directions = 2 if name == "eam" else 1  # a half list evaluates a pair once
    assert total[0] == directions * COUNTS[name].flops


def test_count_of_the_exponential() -> None:
    total = [0]
    exponential(Tally(total))
    assert total[0] == EXP


def test_list_writes_what_it_returns() -> None:
    atoms = systems.make("cell-4").atoms
    arrays = mdkern.neighbor_list("ijdDS", atoms, 5.0)
    assert sum(a.nbytes for a in arrays) == COUNTS["neighbor_list"].written * len(arrays[0])


# --- systems and cases


SMALL = [name for name in systems.SYSTEMS if int(name.rpartition("-")[2]) <= 5000]


@pytest.mark.parametrize("name", SMALL)
def test_systems_are_the_same_every_time(name: str) -> None:
    a, b = systems.make(name), systems.make(name)
    assert a.atoms == b.atoms
    assert len(a.atoms) == int(name.rpartition("-")[2])
    assert a.cutoff > 0.0
    if name not in ("gas-5000", "molecule-20"):
        assert mdkern.neighbor_list("d", a.atoms, a.cutoff).min() > 0.7


def test_systems_are_told_apart() -> None:
    assert systems.make("slab-4000").atoms.pbc.tolist() == [True, True, False]
    assert not systems.make("gas-5000").atoms.pbc.any()
    assert not np.allclose(systems.make("triclinic-4096").atoms.cell.angles(), 90.0)
    with pytest.raises(ValueError, match="'copper-7': unknown; expected one of copper-4000"):
        systems.make("copper-7")


@pytest.mark.parametrize("name", list(KERNELS))
def test_cases_agree_and_notice(name: str, measured: limits.Limits) -> None:
    metal = not name.startswith("lennard_jones")
    small = systems.make("cell-108") if metal else systems.make("argon-4000")
    case = KERNELS[name].make(small)
    expected = case.baseline()
    for isa in ISAS:
        mdkern.set_isa(isa)
        for threads in (1, 2):
            case.agree(case.run(threads), expected)
    for peer in case.peers.values():
        case.agree(expected, peer(1))
    with pytest.raises(AssertionError):
        case.agree(spoiled(case.run(1)), expected)
    assert case.n_pairs > 0
    floor = case.floor(measured, ISAS[-1], 1)
    assert 0.0 < floor.seconds < 1.0
    assert case.floor(measured, "scalar", 1).seconds >= floor.seconds


def test_baseline_gets_its_list_for_nothing(monkeypatch: Any) -> None:
    """Otherwise the times compared would be those of two different tasks."""
    case = KERNELS["morse"].make(systems.make("cell-256"))
    first = case.baseline()

    def refuse(*_: Any) -> None:
        raise AssertionError("the baseline searched for pairs")

    for name in ("neighbor_list", "neighbor_list_binned"):
        monkeypatch.setattr(f"mdkern.reference.pairs.{name}", refuse)
        monkeypatch.setattr(f"mdkern.reference.{name}", refuse)
    assert np.array_equal(case.baseline().forces, first.forces)


def test_unused_ready_list_is_an_error() -> None:
    unused = "asked 0 times for its pairs; expected once"
    with pytest.raises(RuntimeError, match=unused), ready_list((None, None, None)):
        pass
    assert mdkern.reference.neighbor_list("d", [[0, 0, 0], [1, 0, 0]], np.eye(3), False, 2.0).size


def spoiled(result: Any) -> Any:
    """The result with one small error."""
    if isinstance(result, int):
        return result - 1
    if isinstance(result, tuple):
        i, j, d, D, S = result
        return i, j, d + 1e-9 * (np.arange(len(d)) == 5), D, S
    forces = result.forces.copy()
    forces[3, 1] += 1e-3
    return replace(result, forces=forces)


def test_other_pairs_are_noticed() -> None:
    atoms = systems.make("cell-32").atoms
    whole = mdkern.neighbor_list("ijdDS", atoms, 5.0)
    shuffled = tuple(a[::-1] for a in whole)
    same_pairs(whole, shuffled)
    same_pairs(whole, (*whole[:3], None, whole[4]))
    with pytest.raises(AssertionError, match="pairs"):
        same_pairs(whole, tuple(a[1:] for a in whole))
    other = whole[1].copy()
    other[0] = (other[0] + 1) % len(atoms)
    with pytest.raises(AssertionError, match="different pairs"):
        same_pairs(whole, (whole[0], other, *whole[2:]))


# --- the command


def options(**kwargs: Any) -> Any:
    defaults = {
        "quick": True,
        "score": False,
        "only": None,
        "json": False,
        "threads": 2,
        "output": None,
    }
    return SimpleNamespace(**{**defaults, **kwargs})


def test_unknown_name_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"--only: 'vashishta'; expected .*neighbor_list"):
        run(options(only="vashishta"))


def test_run_gives_json_and_pictures(tmp_path: Any) -> None:
    pytest.importorskip("matplotlib")
    script = (
        "import sys; from types import SimpleNamespace; from mdkern.cli.bench import run;"
        "sys.exit(run(SimpleNamespace(quick=True, score=False, only='morse', json=True, threads=2,"
        "output=sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document == json.loads((tmp_path / "out" / "bench.json").read_text())
    around = document["environment"]
    assert {"cpu", "isa", "threads", "wait_policy", "compiler", "numpy"} <= set(around)
    assert {row["name"] for row in document["limits"]} >= {"fma double", "triad", "read L1"}
    found = {(m["name"], m["threads"]): m for m in document["measurements"]}
    assert ("numpy", 1) in found
    assert all((f"{isa} x1", 1) in found for isa in ISAS)
    for m in found.values():
        assert m["kernel"] == "morse"
        assert m["seconds"] > 0.0
        assert m["ns_per_pair"] == pytest.approx(1e9 * m["seconds"] / m["n_pairs"])
        r = m["speedup"]
        assert 0.0 < r["low"] <= r["median"] <= r["high"]
        if m["isa"]:
            # A floor that is passed by far would be no floor; the margin is for a busy machine.
            assert 0.0 < m["share"] < 1.5
    pictures = {p.name for p in (tmp_path / "out").iterdir()}
    assert pictures == {"bench.json"} | {
        f"{name}.{suffix}"
        for name in ("speedup", "scaling", "roofline")
        for suffix in ("svg", "png")
    }
    svg = (tmp_path / "out" / "roofline.svg").read_text()
    assert svg.lstrip().startswith("<?xml")
    assert len(svg) > 10_000


def test_tables_for_people(capsys: Any) -> None:
    assert run(options(only="limits")) == 0
    shown = capsys.readouterr().out
    assert "Limits of this machine" in shown
    assert mdkern.info()["cpu"] in shown
    assert "write" in shown
