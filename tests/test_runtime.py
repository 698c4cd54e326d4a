"""Threads, instruction sets, environment, fork, GIL, floating-point state."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from neighbor_checks import gas

import mdkern
from mdkern.calculators import EAM, LennardJones, Morse

OURS = ("MDKERN_NUM_THREADS", "MDKERN_ISA", "OMP_NUM_THREADS")
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
openmp = pytest.mark.skipif(not mdkern.info()["openmp"], reason="built without OpenMP")


def python(code: str, timeout: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter with only the given variables of ours."""
    env = {key: value for key, value in os.environ.items() if key not in OURS}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**env, "OPENBLAS_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def output(code: str, **environment: str) -> str:
    run = python(code, **environment)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


# --- environment --------------------------------------------------------------------------------

SHOW = "import mdkern; print(mdkern.get_num_threads())"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"MDKERN_NUM_THREADS": "3"}, 3),
        ({"MDKERN_NUM_THREADS": " 3 "}, 3),
        ({"OMP_NUM_THREADS": "5"}, 5),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"OMP_NUM_THREADS": " 3 "}, 3),
        ({"OMP_NUM_THREADS": "5", "MDKERN_NUM_THREADS": "2"}, 2),
        ({"OMP_NUM_THREADS": "5", "MDKERN_NUM_THREADS": ""}, 5),
    ],
)
def test_number_of_threads_from_the_environment(environment: dict[str, str], expected: int) -> None:
    assert output(SHOW, **environment) == str(expected)


@linux
def test_number_of_threads_is_the_cpus_of_this_process() -> None:
    limit = len(os.sched_getaffinity(0))
    assert 1 <= int(output(SHOW)) <= limit
    cpu = min(os.sched_getaffinity(0))
    assert output(f"import os; os.sched_setaffinity(0, {{{cpu}}}); {SHOW}") == "1"


BOUND = """
import os
from ase.build import bulk
import mdkern
mdkern.neighbor_list("i", bulk("Ar", a=5.3, cubic=True) * 20, 8.0, threads=2)
widest = max(len(os.sched_getaffinity(int(task))) for task in os.listdir("/proc/self/task"))
print(mdkern.info()["available_cpus"], widest)
"""


@linux
@openmp
@pytest.mark.parametrize(
    "variables",
    [{"OMP_PROC_BIND": "true"}, {"OMP_PROC_BIND": "spread", "OMP_PLACES": "cores"}],
    ids=str,
)
def test_variables_that_bind_threads_leave_ours_alone(variables: dict[str, str]) -> None:
    """GCC's runtime binds the thread that loads it to one CPU; our workers go back to all that there were."""
    cpus = len(os.sched_getaffinity(0))
    assert output(BOUND, **variables).split() == [str(cpus)] * 2


CHOSEN = """
import os
from ase.build import bulk
import mdkern
mdkern.info()  # loads the core
os.sched_setaffinity(0, {CPU})
mdkern.neighbor_list("i", bulk("Ar", a=5.3, cubic=True) * 20, 8.0, threads=2)
masks = [os.sched_getaffinity(int(task)) for task in os.listdir("/proc/self/task")]
print(mdkern.info()["available_cpus"], len(masks) > 1, all(mask == {CPU} for mask in masks))
"""


@linux
@openmp
@pytest.mark.skipif(sys.platform == "linux" and len(os.sched_getaffinity(0)) < 2, reason="one CPU")
@pytest.mark.parametrize(
    "variables", [{}, {"OMP_PROC_BIND": "true"}, {"OMP_PLACES": "threads"}], ids=str
)
def test_cpus_that_somebody_chose_stay(variables: dict[str, str]) -> None:
    """Workers go where the process was sent after the import, also where the runtime binds them elsewhere."""
    code = CHOSEN.replace("CPU", str(max(os.sched_getaffinity(0))))
    assert output(code, **variables) == "1 True True"


@pytest.mark.parametrize(
    "value", ["0", "-1", "two", "1.5", "2,2", "3x", "99999999999999999999", "0x2"]
)
def test_a_bad_number_of_threads_is_an_import_error(value: str) -> None:
    run = python("import mdkern", MDKERN_NUM_THREADS=value)
    assert run.returncode == 1
    message = run.stderr.strip().splitlines()[-1]
    assert message.startswith("ImportError")
    assert f"MDKERN_NUM_THREADS: '{value}' is not valid; expected an integer from 1" in message


@pytest.mark.parametrize("value", ["0", "abc", "-1", "1.5", "99999999999999999999", ",2", " "])
def test_somebody_elses_bad_number_of_threads_is_passed_over(value: str) -> None:
    """OMP_NUM_THREADS is every library's: what is wrong is said once, and the available CPUs count."""
    run = python(SHOW, OMP_NUM_THREADS=value)
    assert run.returncode == 0
    assert run.stdout.strip() == output(SHOW)
    said = f"MDKernWarning: mdkern: environment variable OMP_NUM_THREADS: '{value}' is not valid"
    assert run.stderr.count(said) == 1
    assert "; expected an integer from 1 to 65536; it is ignored" in run.stderr
    quiet = python(SHOW, OMP_NUM_THREADS=value, MDKERN_NUM_THREADS="2")
    assert (quiet.stdout.strip(), "MDKernWarning" in quiet.stderr) == ("2", False)


def test_a_bad_instruction_set_is_an_import_error() -> None:
    supported = mdkern.info()["isas_supported"]
    for value in ("sse2", "AVX2", "avx1024", "scalar,avx2"):
        run = python("import mdkern", MDKERN_ISA=value)
        assert run.returncode == 1
        message = run.stderr.strip().splitlines()[-1]
        assert message.startswith("ImportError")
        assert f"MDKERN_ISA: '{value}' is unknown; expected one of: auto" in message
        assert all(name in message for name in supported)
    for value in {"avx2", "avx512", "neon"} - set(mdkern.info()["isas_compiled"]):
        assert "is not supported by this build" in python("import mdkern", MDKERN_ISA=value).stderr
    for value in set(mdkern.info()["isas_compiled"]) - set(supported):
        assert "is not supported by this CPU" in python("import mdkern", MDKERN_ISA=value).stderr


def test_instruction_set_from_the_environment() -> None:
    show = "import mdkern; print(mdkern.get_isa())"
    for name in mdkern.info()["isas_supported"]:
        assert output(show, MDKERN_ISA=name) == name
    best = mdkern.info()["isas_supported"][-1]
    assert output(show, MDKERN_ISA="auto") == output(show, MDKERN_ISA="") == output(show) == best


@linux
@pytest.mark.skipif(platform.machine() != "x86_64", reason="x86 flags")
def test_the_best_instruction_set_of_this_cpu_is_chosen() -> None:
    text = Path("/proc/cpuinfo").read_text()
    flags = set(next(x for x in text.splitlines() if x.startswith("flags")).split())
    avx2 = {"avx2", "fma", "bmi1", "bmi2", "popcnt"} <= flags
    avx512 = avx2 and {"avx512f", "avx512dq", "avx512vl", "avx512bw"} <= flags
    expected = ["scalar"] + ["avx2"] * avx2 + ["avx512"] * avx512
    info = mdkern.info()
    assert info["isas_supported"] == [x for x in expected if x in info["isas_compiled"]]
    assert set(info["isas_compiled"]) == {"scalar", "avx2", "avx512"}


# --- settings -----------------------------------------------------------------------------------


def test_info() -> None:
    info = mdkern.info()
    assert info["version"] == mdkern.__version__
    assert info["isa"] == mdkern.get_isa()
    assert info["threads"] == mdkern.get_num_threads()
    assert info["available_cpus"] >= 1
    assert isinstance(info["openmp"], bool)
    assert info["compiler"].split()[0] in {"gcc", "clang"}
    assert info["cpu"]
    mdkern.set_isa("scalar")
    mdkern.set_num_threads(7)
    assert (mdkern.info()["isa"], mdkern.info()["threads"]) == ("scalar", 7)


@pytest.mark.parametrize("n", [0, -1, 1.5, "2", True, None, 65537, np.float64(2)])
def test_set_num_threads_refuses(n: Any) -> None:
    before = mdkern.get_num_threads()
    with pytest.raises(ValueError, match=r"n: .*expected an integer from 1 to 65536"):
        mdkern.set_num_threads(n)
    with pytest.raises(ValueError, match="n: "), mdkern.num_threads(n):
        pytest.fail("must not enter")
    assert mdkern.get_num_threads() == before


OTHER = sorted({"avx2", "neon"} - set(mdkern.info()["isas_compiled"]))


@pytest.mark.parametrize("name", [*OTHER, "", "AVX2", None, 3])
def test_set_isa_refuses(name: Any) -> None:
    before = mdkern.get_isa()
    with pytest.raises(ValueError, match=r"isa: .*expected"):
        mdkern.set_isa(name)
    assert mdkern.get_isa() == before


def test_num_threads_is_restored() -> None:
    mdkern.set_num_threads(np.int64(3))
    with mdkern.num_threads(5):
        assert mdkern.get_num_threads() == 5
        with mdkern.num_threads(2):
            assert mdkern.get_num_threads() == 2
        assert mdkern.get_num_threads() == 5
    assert mdkern.get_num_threads() == 3
    with pytest.raises(KeyError), mdkern.num_threads(4):
        raise KeyError
    assert mdkern.get_num_threads() == 3


# --- threads that run ---------------------------------------------------------------------------

COUNT = """
import os
import numpy as np
import mdkern

def n_threads():
    return len(os.listdir("/proc/self/task"))

edge = 70.0
positions = np.random.default_rng(0).uniform(0, edge, (30_000, 3))
mdkern.get_num_threads()
before = n_threads()

def started(**kw):
    mdkern.primitive_neighbor_list("d", True, np.eye(3) * edge, positions, 4.0, **kw)
    return n_threads() - before
"""


@linux
@openmp
@pytest.mark.parametrize(
    ("code", "environment", "expected"),
    [
        ("print(started())", {"MDKERN_NUM_THREADS": "1"}, 0),
        ("print(started())", {"MDKERN_NUM_THREADS": "3"}, 2),
        ("print(started())", {"OMP_NUM_THREADS": "2"}, 1),
        ("print(started(threads=3))", {"MDKERN_NUM_THREADS": "1"}, 2),
        ("print(started(threads=1))", {"MDKERN_NUM_THREADS": "3"}, 0),
        ("mdkern.set_num_threads(2); print(started())", {"MDKERN_NUM_THREADS": "4"}, 1),
        ("mdkern.set_num_threads(2); print(started(threads=3))", {}, 2),
        ("mdkern.set_num_threads(4)\nwith mdkern.num_threads(2): print(started())", {}, 1),
    ],
)
def test_order_of_precedence(code: str, environment: dict[str, str], expected: int) -> None:
    environment = {"OMP_NUM_THREADS": "4", **environment}
    assert output(COUNT + code, **environment) == str(expected)


@linux
@openmp
def test_threadpoolctl_limits_are_honoured() -> None:
    pytest.importorskip("threadpoolctl")
    code = """
from threadpoolctl import threadpool_limits
with threadpool_limits(1):
    print(started())
print(started())
"""
    assert output(COUNT + code, OMP_NUM_THREADS="3").split() == ["0", "2"]


@linux
@openmp
def test_small_systems_start_no_threads() -> None:
    code = """
from ase.build import bulk
from mdkern.calculators import EAM
atoms = bulk("Cu", cubic=True) * 2
EAM.zhou2004(["Cu"]).get_forces(atoms)
mdkern.neighbor_list("ijdDS", atoms, 4.0)
print(n_threads() - before)
"""
    assert output(COUNT + code, MDKERN_NUM_THREADS="4") == "0"


@linux
@openmp
@pytest.mark.parametrize("policy", ["active", "passive"])
def test_workers_without_work_sleep(policy: str) -> None:
    """Whatever OpenMP's own threads would do: they spin for good with "active"."""
    code = """
import time
print(started())
begin = time.process_time()
time.sleep(0.5)
print(time.process_time() - begin < 0.1)
"""
    assert output(COUNT + code, MDKERN_NUM_THREADS="3", OMP_WAIT_POLICY=policy).split() == [
        "2",
        "True",
    ]


@linux
@openmp
def test_fewer_threads_than_asked_for() -> None:
    """The OpenMP runtime may give fewer; the work is done all the same."""
    code = """
i = mdkern.primitive_neighbor_list("i", True, np.eye(3) * edge, positions, 4.0, threads=1)
assert np.array_equal(mdkern.primitive_neighbor_list("i", True, np.eye(3) * edge, positions, 4.0, threads=4), i)
print(n_threads() - before)
"""
    assert output(COUNT + code, OMP_THREAD_LIMIT="2") in ("1", "2")


@linux
@openmp
def test_python_threads_that_ask_for_teams_at_the_same_time() -> None:
    code = """
from concurrent.futures import ThreadPoolExecutor
def work(k):
    return mdkern.primitive_neighbor_list("d", True, np.eye(3) * edge, positions + 0.1 * k, 4.0).tobytes()
right = [work(k) for k in range(4)]
with ThreadPoolExecutor(4) as pool:
    for _ in range(5):
        assert list(pool.map(work, range(4))) == right
print("same")
"""
    assert output(COUNT + code, MDKERN_NUM_THREADS="3") == "same"


# --- fork ---------------------------------------------------------------------------------------

FORK = """
import multiprocessing as mp
import os
import numpy as np
from ase.build import bulk
import mdkern
from mdkern.calculators import EAM, LennardJones

atoms = bulk("Cu", cubic=True) * 14
atoms.positions += np.random.default_rng(0).normal(scale=0.05, size=atoms.positions.shape)

def kernels(threads=2):
    out = [EAM.zhou2004(["Cu"], cutoff=4.5, threads=threads).get_forces(atoms).tobytes(),
           LennardJones(sigma=2.3, epsilon=0.4, rc=4.5, threads=threads).get_forces(atoms).tobytes(),
           mdkern.neighbor_list("ijdDS", atoms, 4.0, threads=threads)[3].tobytes()]
    return hash(tuple(out))

def work(_):
    return kernels()

if __name__ == "__main__":
"""


@linux
@pytest.mark.parametrize("before", ["2", "1", None])
def test_fork_after_a_parallel_kernel(before: str | None) -> None:
    """With libgomp a child would wait for threads that its parent had."""
    code = f"""
    {f"expected = kernels({before})" if before else "pass"}
    with mp.get_context("fork").Pool(2) as pool:
        got = pool.map_async(work, range(6)).get(timeout=20)
    expected = kernels(2)
    assert got == [expected] * 6, got
    with mp.get_context("fork").Pool(2) as pool:
        got = pool.map_async(work, range(6)).get(timeout=20)
    assert got == [expected] * 6, got
    print("same")
"""
    assert output(FORK + code, PYTHONHASHSEED="0") == "same"


@linux
def test_fork_in_a_fork() -> None:
    code = """
    expected = kernels(2)
    child = os.fork()
    if child == 0:  # a child that computes, forks and computes
        ok = kernels(2) == expected
        with mp.get_context("fork").Pool(2) as pool:
            ok &= pool.map_async(work, range(3)).get(timeout=20) == [expected] * 3
        ok &= kernels(2) == expected
        os._exit(0 if ok else 7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert kernels(2) == expected
    print("same")
"""
    assert output(FORK + code, PYTHONHASHSEED="0") == "same"


def test_spawned_processes_give_the_same_bits() -> None:
    code = """
import hashlib
from ase.build import bulk
from mdkern.calculators import EAM
atoms = bulk("Cu", cubic=True) * 4
atoms.rattle(0.1, seed=1)
print(hashlib.sha256(EAM.zhou2004(["Cu"]).get_forces(atoms).tobytes()).hexdigest())
"""
    assert len({output(code, MDKERN_NUM_THREADS=n) for n in ("1", "2", "3")}) == 1


# --- GIL ----------------------------------------------------------------------------------------


def one_large(n: int) -> Any:
    """Radii for which much is searched and little found: time goes into the build."""
    radii = np.full(n, 0.1)
    radii[0] = 5.0
    return radii


def long_call(name: str) -> Any:
    """A call that is one kernel for nearly all of its time."""
    if name == "batch":
        several = [gas(4000, 0.08, seed=k) for k in range(8)]
        return lambda: mdkern.neighbor_list_batch("ijdD", several, 7.0, threads=1)
    if name == "batch_search":
        several = [gas(4000, 0.08, seed=k) for k in range(8)]
        radii = [one_large(4000)] * 8
        return lambda: mdkern.neighbor_list_batch("i", several, radii, threads=1)
    atoms = gas(30_000, 0.08)
    if name == "neighbor_list":
        return lambda: mdkern.neighbor_list("ijdD", atoms, 7.0, threads=1)
    if name == "search":
        return lambda: mdkern.neighbor_list("i", atoms, one_large(30_000), threads=1)
    if name == "NeighborList":
        return lambda: mdkern.NeighborList(9.0, threads=1).update(atoms)
    lattice = bulk("Cu", cubic=True) * 20
    calc = {
        "lj": lambda: LennardJones(sigma=2.0, rc=9.0, threads=1),
        "morse": lambda: Morse(D=0.3, alpha=1.0, r0=2.8, rc=8.0, threads=1),
        "eam": lambda: EAM.zhou2004(["Cu"], cutoff=8.0, threads=1),
    }[name]()
    calc.calculate(lattice)  # the neighbor list
    return lambda: calc.calculate(lattice)


@pytest.mark.parametrize(
    "name",
    ["neighbor_list", "search", "batch", "batch_search", "NeighborList", "lj", "morse", "eam"],
)
def test_other_python_threads_go_on_during_a_call(name: str) -> None:
    """Held, the GIL would let the ticker wake once or twice; one good attempt of ten is enough."""
    call = long_call(name)
    most = 0.0
    for _ in range(10):
        ticks: list[float] = []
        stop = threading.Event()

        def tick(ticks: list[float] = ticks, stop: threading.Event = stop) -> None:
            while not stop.is_set():
                ticks.append(time.perf_counter())
                time.sleep(0.001)

        ticker = threading.Thread(target=tick)
        ticker.start()
        start = time.perf_counter()
        call()
        end = time.perf_counter()
        stop.set()
        ticker.join()
        assert end - start > 0.01
        inside = [start, *(t for t in ticks if start < t < end), end]
        most = max(most, 1 - np.diff(inside).max() / (end - start))
        if most > 0.6:
            break
    assert most > 0.6  # the longest silence is a small part of the call


# --- floating point -------------------------------------------------------------------------------


@pytest.mark.quick
@pytest.mark.usefixtures("isa")
def test_subnormal_numbers_survive() -> None:
    """A library built with -ffast-math switches them off for the whole process."""
    atoms = bulk("Cu", cubic=True) * 12
    LennardJones(sigma=2.3, epsilon=0.4, rc=5.0, threads=2).get_forces(atoms)
    LennardJones(sigma=2.3, epsilon=0.4, rc=5.0, precision="single").get_forces(atoms)
    Morse(D=0.3, alpha=1.0, r0=2.8, rc=5.0).get_forces(atoms)
    EAM.zhou2004(["Cu"], cutoff=5.0).get_forces(atoms)
    mdkern.neighbor_list("ijdDS", atoms, 4.0)
    mdkern.neighbor_list_batch("ijdDS", [atoms], 4.0)
    tiny = np.full(64, np.finfo(float).tiny)
    assert ((tiny / 4) > 0).all()
    assert (tiny / 4 * 4 == tiny).all()
    assert 5e-324 * 1.0 > 0.0
    with np.errstate(under="raise"), pytest.raises(FloatingPointError):
        np.divide(tiny, 3.0)


@pytest.mark.usefixtures("isa")
def test_the_rounding_of_python_is_untouched() -> None:
    mdkern.neighbor_list("d", bulk("Cu", cubic=True), 5.0)
    assert 1.0 + 2.0**-53 == 1.0
    assert 1.0 + 1.5 * 2.0**-53 > 1.0
