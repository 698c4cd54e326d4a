"""mdkern doctor: bad machines are told, good ones are not; the command."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import mdkern
from mdkern import doctor
from mdkern.cli import main
from mdkern.doctor import selftest, system

GIB = 1 << 30
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

# A machine with eight CPUs on which all is well.
CORE = doctor.Core(
    version="1.0",
    compiler="gcc 13.1",
    isa="avx2",
    isas_compiled=("scalar", "avx2", "avx512"),
    isas_supported=("scalar", "avx2"),
    threads=8,
    available_cpus=8,
    openmp=True,
    cpu="A CPU",
)
GOOD = doctor.Readings(
    installation=doctor.Installation(
        version="1.0",
        python="3.12.1",
        executable="/env/bin/python",
        system="Linux 6.1, x86_64",
        folder="/env/lib/mdkern",
        command="/env/bin/mdkern",
        requires=(doctor.Package("numpy", ">=1.24", "2.1.0", True),),
        extras=(
            doctor.Extra("cli", (doctor.Package("rich", ">=13.0", "13.7", True),)),
            doctor.Extra("h5md", (doctor.Package("h5py", ">=3.12", None, False),)),
        ),
    ),
    cpu=doctor.Cpu("A CPU", ("scalar", "avx2"), False, "powersave", "amd-pstate-epp", 3000.0, 4000.0, 4000.0, 0),
    threads=doctor.Threads(8, 8, 8, 8, 8.0, 0.0, {"MDKERN_NUM_THREADS": "8"}, ("/usr/lib/libgomp.so.1",)),
    core=CORE,
    memory=doctor.Memory(16 * GIB, 9 * GIB, 8 * GIB, GIB, "madvise"),
    load=doctor.Load(0.1, 0.0, 0.2),
    self_test=doctor.SelfTest((doctor.Kernel("avx2", "EAM", 1e-12, 1e-9),), 8, 6.1, 7.9),
    tuning=doctor.Tuning("/home/a/.cache/mdkern/tuning.json", 2),
)  # fmt: skip


def changed(part: str, **values: Any) -> doctor.Readings:
    return replace(GOOD, **{part: replace(getattr(GOOD, part), **values)})


def with_variables(**variables: str) -> doctor.Readings:
    return changed("threads", environment=variables)


def kernels(*errors: tuple[str, float]) -> doctor.Readings:
    return changed(
        "self_test", kernels=tuple(doctor.Kernel(isa, "EAM", error, 1e-9) for isa, error in errors)
    )


NO_NUMPY = replace(GOOD.installation, requires=(doctor.Package("numpy", ">=1.24", None, False),))
BAD = {
    "core-missing": [
        (replace(GOOD, core=None, complaints=("No module named 'numpy'",), installation=NO_NUMPY), "error", "numpy", "pip install --upgrade 'numpy>=1.24'"),
        (replace(GOOD, core=None, complaints=("no libmdkern.so",)), "error", "no libmdkern.so", "pip install"),
        (replace(with_variables(MDKERN_ISA="x"), core=None, complaints=("MDKERN_ISA: 'x' is unknown",)), "error", "'x'", "unset MDKERN_ISA"),
    ],
    "core-complains": [
        (replace(with_variables(OMP_NUM_THREADS="x"), complaints=("OMP_NUM_THREADS: 'x' is not valid",)), "warning", "'x'", "unset OMP_NUM_THREADS"),
    ],
    "self-test-failed": [(changed("self_test", failure="ImportError: ase"), "error", "ase", "pip install")],
    "wrong-numbers": [
        (kernels(("scalar", 1e-12), ("avx2", 1e-3)), "error", "EAM with avx2 fails: relative error 0.001", "export MDKERN_ISA=scalar; report"),
        (kernels(("scalar", float("nan"))), "error", "nan", "report"),
        (changed("self_test", kernels=(doctor.Kernel("avx2", "EAM", 0.0, 1e-9, "ValueError: shape"),)), "error", "ValueError: shape", "report"),
    ],
    "requirement": [
        (changed("installation", requires=(doctor.Package("numpy", ">=1.24", "1.21.0", False),)), "warning", "numpy 1.21.0 is installed, >=1.24 is needed", "pip install --upgrade 'numpy>=1.24'"),
        (changed("installation", requires=(doctor.Package("ase", ">=3.23", None, False),)), "error", "ase is missing", "pip install --upgrade 'ase>=3.23'"),
    ],
    "extra-version": [
        (changed("installation", extras=(doctor.Extra("h5md", (doctor.Package("h5py", ">=3.12", "3.7", False),)),)), "warning", "h5py 3.7 is not >=3.12", "'mdkern[h5md]'"),
    ],
    "no-metadata": [(changed("installation", version=None), "note", "/env/lib/mdkern", "pip install .")],
    "version-mixed": [(changed("installation", version="0.9"), "warning", "0.9", "pip install .")],
    "build-stale": [(changed("installation", source="/src", newer_source="/src/cpp/a.cpp"), "warning", "/src/cpp/a.cpp", "pip install -e /src")],
    "installed-twice": [(changed("installation", others=("/usr/lib",)), "warning", "/usr/lib", "pip uninstall mdkern")],
    "command-other": [(changed("installation", command="/usr/bin/mdkern", command_is_other=True), "warning", "/usr/bin/mdkern", "/env/bin/python -m mdkern")],
    "translated": [(changed("cpu", translated=True), "warning", "Apple", "arm64")],
    "isa-below-best": [
        (replace(with_variables(MDKERN_ISA="scalar"), core=replace(CORE, isa="scalar")), "warning", "scalar by MDKERN_ISA=scalar; avx2", "unset MDKERN_ISA"),
        (replace(with_variables(MDKERN_ISA="auto"), core=replace(CORE, isa="scalar")), "warning", "scalar by mdkern.set_isa; avx2", 'mdkern.set_isa("avx2")'),
    ],
    "isa-not-built": [
        (changed("core", isa="scalar", isas_compiled=("scalar",), isas_supported=("scalar",)), "warning", "avx2", "without -DMDKERN_ISAS"),
    ],
    "no-openmp": [(changed("core", openmp=False, threads=1), "warning", "one thread", "brew install libomp")],
    "threads-bound": [
        (replace(with_variables(OMP_PROC_BIND="true"), core=replace(CORE, available_cpus=1, threads=1), threads=replace(GOOD.threads, environment={"OMP_PROC_BIND": "true"}, affinity_with_core=1)), "warning", "1 of 8 CPUs (OMP_PROC_BIND)", "unset OMP_PROC_BIND"),
    ],
    "threads-limited": [(with_variables(OMP_THREAD_LIMIT="4"), "warning", "OMP_THREAD_LIMIT=4", "unset OMP_THREAD_LIMIT")],
    "openmp-runtimes": [
        (changed("threads", runtimes=("/a/libgomp.so.1", "/b/libomp.so")), "warning", "2 OpenMP runtimes", "export OMP_NUM_THREADS=1 MDKERN_NUM_THREADS=8"),
        (changed("threads", runtimes=("/a/libomp.so", "/b/libiomp5.so")), "warning", "do not bear each other", "one channel"),
    ],
    "openmp-bundled": [(changed("threads", bundled={"torch": "libiomp5.so"}), "note", "libiomp5.so (torch)", "OMP_NUM_THREADS=1")],
    "threads-spin": [
        (with_variables(OMP_WAIT_POLICY="ACTIVE"), "note", "OMP_WAIT_POLICY=ACTIVE", "passive"),
        (with_variables(KMP_BLOCKTIME="infinite"), "note", "KMP_BLOCKTIME=infinite", "passive"),
    ],
    "quota-reached": [(changed("threads", held_back=0.4), "note", "40 %", "--cpus")],
    "threads-over-cpus": [(changed("threads", affinity=2, affinity_with_core=2), "warning", "8 threads on 2 CPUs", "export MDKERN_NUM_THREADS=2")],
    "threads-over-quota": [(changed("threads", quota=2.5), "warning", "limited to 2.5 CPUs", "export MDKERN_NUM_THREADS=2")],
    "threads-over-task": [(with_variables(SLURM_CPUS_PER_TASK="3"), "warning", "Slurm with 3 CPUs", "export MDKERN_NUM_THREADS=3")],
    "threads-few": [
        (replace(with_variables(OMP_NUM_THREADS="1"), core=replace(CORE, threads=1)), "note", "OMP_NUM_THREADS=1 leaves 7 of 8", "export MDKERN_NUM_THREADS=8"),
    ],
    "hyperthreads": [(changed("threads", cores=4), "note", "8 threads on 4 cores", "MDKERN_NUM_THREADS=4")],
    "busy": [
        (changed("load", busy=6.2), "warning", "6.2 of 8 CPUs", "export MDKERN_NUM_THREADS=1"),
        (replace(changed("load", busy=6.2), core=None), "warning", "6.2 of 8 CPUs", "export MDKERN_NUM_THREADS=1"),
    ],
    "stolen": [(changed("load", stolen=2.0), "warning", "2.0 of 8 CPUs", "machine")],
    "threads-gain-little": [
        (changed("self_test", speedup=1.1), "warning", "8 threads are 1.10 times", "MDKERN_NUM_THREADS=4"),
        (replace(changed("self_test", speedup=1.1), load=doctor.Load(3.0)), "note", "and got 7.9 CPUs", "quiet machine"),
    ],
    "memory-low": [
        (changed("memory", available=GIB // 2), "warning", "512 MiB are left", "--memory"),
        (changed("memory", used=8 * GIB - (100 << 20)), "warning", "100 MiB of the container's or job's 8.0 GiB", "--memory"),
    ],
    "huge-pages-off": [(changed("memory", huge_pages="never"), "note", "huge pages", "transparent_hugepage/enabled")],
    "governor": [(changed("cpu", driver="acpi-cpufreq"), "warning", "powersave", "-g performance")],
    "frequency-limited": [(changed("cpu", frequency_limit=2000.0), "note", "2000 of 4000 MHz", "-u 4000MHz")],
    "throttled": [(changed("cpu", throttled=1234), "note", "1,234 times", "cooling")],
    "tuning": [
        (changed("tuning", complaints=("tuning.json: no regular file",)), "warning", "no regular file", "MDKERN_TUNE_FILE"),
        (replace(GOOD, tuning=doctor.Tuning(complaints=("MDKERN_TUNE: 'x' is unknown",))), "error", "'x'", "unset MDKERN_TUNE"),
    ],
}  # fmt: skip


def test_a_machine_on_which_all_is_well() -> None:
    assert doctor.findings(GOOD) == []


def test_a_system_that_tells_nothing() -> None:
    """Windows, or a sandbox without /proc and /sys: no finding from what is not known."""
    bare = replace(
        GOOD,
        cpu=doctor.Cpu("unknown"),
        threads=doctor.Threads(8),
        memory=doctor.Memory(),
        load=doctor.Load(),
        self_test=doctor.SelfTest(),
        tuning=doctor.Tuning(),
    )
    assert doctor.findings(bare) == []


CASES = [
    pytest.param(code, *case, id=f"{code}-{k}")
    for code, cases in BAD.items()
    for k, case in enumerate(cases)
]


@pytest.mark.parametrize(("code", "readings", "level", "says", "advice"), CASES)
def test_a_bad_machine_is_told(
    code: str, readings: doctor.Readings, level: str, says: str, advice: str
) -> None:
    found = [finding for finding in doctor.findings(readings) if finding.code == code]
    assert len(found) == 1
    assert found[0].level == level
    assert says in found[0].says
    assert advice in found[0].advice


def test_no_fewer_threads_than_one_are_advised() -> None:
    alone = replace(changed("load", busy=6.2), core=replace(CORE, threads=1))
    (busy,) = (finding for finding in doctor.findings(alone) if finding.code == "busy")
    assert busy.advice == "end them (top shows which)"


def test_the_file_of_tuning_is_not_removed_blindly() -> None:
    """It may be a folder, or somebody's file by a mistake in the variable."""
    tuning = doctor.Tuning("/etc", complaints=("/etc: no regular file",))
    (finding,) = doctor.findings(replace(GOOD, tuning=tuning))
    assert finding.advice == "move /etc away, or export MDKERN_TUNE_FILE=another"


def test_every_finding_is_tried() -> None:
    source = ast.parse(Path(sys.modules["mdkern.doctor.findings"].__file__ or "").read_text())
    place = {"Finding": 1, "_fewer": 0}  # which argument is the code
    codes = [
        node.args[place[node.func.id]]
        for node in ast.walk(source)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in place
    ]
    assert {code.value for code in codes if isinstance(code, ast.Constant)} == set(BAD)


def test_the_worst_comes_first() -> None:
    several = replace(
        changed("memory", huge_pages="never"),
        core=replace(CORE, threads=9),
        self_test=replace(GOOD.self_test, failure="x"),
    )
    assert [f.level for f in doctor.findings(several)] == ["error", "warning", "note"]


# --- the command ---------------------------------------------------------------------------------


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mdkern", "doctor", *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_kernels_of_this_machine_pass() -> None:
    before = mdkern.get_isa()
    test = selftest.run(0.05)
    assert {k.isa for k in test.kernels} == set(mdkern.info()["isas_supported"])
    assert all(k.ok and k.error < 1e-9 for k in test.kernels)
    assert len(test.kernels) == 3 * len(mdkern.info()["isas_supported"])
    assert mdkern.get_isa() == before
    assert (test.speedup is None) == (test.threads is None)


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json", "--no-test"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    document = json.loads(captured.out)
    assert list(document) == [
        "schema", "ok", "findings", "installation", "cpu", "threads", "core", "complaints", "memory", "load",
        "self_test", "tuning",
    ]  # fmt: skip
    assert (document["schema"], document["ok"]) == (1, True)
    assert document["core"]["isa"] == mdkern.get_isa()
    for finding in document["findings"]:
        assert set(finding) == {"level", "code", "says", "advice"}


def test_a_wrong_kernel_is_exit_status_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "read", lambda _: kernels(("avx2", 0.5)))
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "wrong: EAM with avx2" in out
    assert "error" in out
    monkeypatch.setattr(doctor, "read", lambda _: changed("threads", quota=1.0))
    assert main(["doctor"]) == 0
    assert "-> export MDKERN_NUM_THREADS=1" in capsys.readouterr().out
    monkeypatch.setattr(doctor, "read", lambda _: GOOD)
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "nothing to mend" in out
    assert "lacks h5py" in out


@pytest.mark.parametrize("variable", ["MDKERN_ISA", "MDKERN_NUM_THREADS", "MDKERN_TUNE"])
def test_what_keeps_mdkern_from_starting_is_said(variable: str) -> None:
    run = process("--no-test", **{variable: "nonsense"})
    assert run.returncode == 1
    assert "'nonsense'" in run.stdout
    assert f"-> unset {variable}" in run.stdout


@pytest.mark.parametrize("error", ["ImportError", "RuntimeError"])
def test_what_a_damaged_numpy_says_is_said(tmp_path: Path, error: str) -> None:
    """And the core's "initialization failed" is not all that is said of it."""
    (tmp_path / "numpy.py").write_text(f"raise {error}('a library of NumPy is missing')")
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    run = process("--json", PYTHONPATH=os.pathsep.join(paths))
    assert run.returncode == 1
    (finding, *_) = json.loads(run.stdout)["findings"]
    assert finding["code"] == "core-missing"
    assert "a library of NumPy is missing" in finding["says"]


@linux
@pytest.mark.skipif(len(system.affinity() or ()) < 2, reason="needs two CPUs")
@pytest.mark.skipif("gcc" not in mdkern.info()["compiler"], reason="another OpenMP runtime")
def test_threads_leave_the_place_that_the_runtime_binds() -> None:
    run = process("--no-test", "--json", OMP_PROC_BIND="true")
    assert "threads-bound" not in [x["code"] for x in json.loads(run.stdout)["findings"]]
