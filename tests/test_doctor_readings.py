"""What mdkern doctor reads, from trees of files that look like a system's, and from this machine."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mdkern
from mdkern import _core, doctor
from mdkern.doctor import installation, selftest, system

GIB = 1 << 30
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@linux
def test_limits_of_the_groups_around_count_too(tmp_path: Path) -> None:
    """Version 2: the least of the quotas on the way up."""
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/job/step\n",
            "proc/self/mountinfo": "31 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n",
            "sys/fs/cgroup/job/step/cpu.max": "max 100000\n",
            "sys/fs/cgroup/job/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/job/cpu.stat": "usage_usec 5\nnr_periods 200\nnr_throttled 50\n",
            "sys/fs/cgroup/cpu.max": "400000 100000\n",
            "sys/fs/cgroup/job/memory.max": "2147483648\n",
            "sys/fs/cgroup/job/memory.current": "1073741824\n",
            "sys/fs/cgroup/job/step/memory.max": "max\n",
            "proc/meminfo": "MemTotal:  8388608 kB\nMemFree: 1 kB\nMemAvailable:  4194304 kB\n",
            "sys/kernel/mm/transparent_hugepage/enabled": "always madvise [never]\n",
        },
    )
    threads = system.read_threads(root, {0, 1, 5})
    assert (threads.affinity, threads.quota, threads.held_back) == (3, 1.5, 0.25)
    assert threads.usable == 1.5
    memory = system.read_memory(root)
    assert memory == doctor.Memory(8 * GIB, 4 * GIB, 2 * GIB, GIB, "never")
    assert memory.left == GIB


@linux
def test_limits_of_the_old_groups(tmp_path: Path) -> None:
    """Version 1, in a container; no less memory than the machine has is no limit."""
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n0::/\n",
            "proc/self/mountinfo": "32 31 0:29 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro master:9 - cgroup cgroup rw,cpu,cpuacct\n"
            "33 31 0:30 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "8589934592\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "4096\n",
            "proc/meminfo": "MemTotal:  8388608 kB\nMemAvailable:  4194304 kB\n",
        },
    )
    assert system.read_threads(root, {0}).quota == 0.5
    assert system.read_memory(root).limit is None
    (root / "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us").write_text("-1\n")
    assert system.read_threads(root, {0}).quota is None


def test_a_core_that_is_older_than_the_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which the findings tell of an editable installation: a reading that it has no word for must not end the command."""
    monkeypatch.delattr(_core, "cgroup_cpus")
    monkeypatch.delattr(_core, "cgroup_memory")
    readings = doctor.read(self_test=False)
    assert readings.threads.quota is None
    assert readings.memory.limit is None


def test_hyperthreads_and_variables(tmp_path: Path) -> None:
    siblings = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    root = tree(tmp_path, {siblings.format(k): f"{k % 2},{k % 2 + 2}\n" for k in range(4)})
    given = {"OMP_NUM_THREADS": "2", "HOME": "/", "MDKERN_ISA": "avx2", "SLURM_JOB_ID": "1"}
    threads = system.read_threads(root, {0, 1, 2, 3}, given.items())
    assert threads.cores == 2
    assert threads.environment == {"MDKERN_ISA": "avx2", "OMP_NUM_THREADS": "2"}
    assert system.read_threads(root, {0, 2}).cores == 1


def test_frequencies_and_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    cpu = "sys/devices/system/cpu/cpu0/"
    flags = "avx2 fma bmi1 bmi2 popcnt avx512f"
    root = tree(
        tmp_path,
        {
            "proc/cpuinfo": f"processor\t: 0\nmodel name\t: Fast CPU\nflags\t\t: {flags}\n",
            cpu + "cpufreq/scaling_governor": "powersave\n",
            cpu + "cpufreq/scaling_driver": "acpi-cpufreq\n",
            cpu + "cpufreq/scaling_cur_freq": "1200000\n",
            cpu + "cpufreq/scaling_max_freq": "2000000\n",
            cpu + "cpufreq/cpuinfo_max_freq": "3500000\n",
            cpu + "thermal_throttle/core_throttle_count": "3\n",
            cpu + "thermal_throttle/package_throttle_count": "12\n",
        },
    )
    assert system.read_cpu(root) == doctor.Cpu(
        "Fast CPU", ("scalar", "avx2"), False, "powersave", "acpi-cpufreq", 1200.0, 2000.0, 3500.0, 12
    )  # fmt: skip


def test_nothing_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without /proc, /sys, load averages and masks."""
    monkeypatch.delattr(os, "getloadavg", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "system", lambda: "Elsewhere")
    monkeypatch.setattr(platform, "machine", lambda: "AMD64")
    assert system.affinity() is None
    assert system.read_cpu(tmp_path) == doctor.Cpu("unknown")
    assert system.read_memory(tmp_path) == doctor.Memory()
    assert system.read_load(tmp_path, None) == doctor.Load()
    assert system.read_threads(tmp_path, None) == doctor.Threads(os.cpu_count() or 1)


@linux
def test_the_features_are_those_that_the_core_finds() -> None:
    info = mdkern.info()
    runs = system.read_cpu().runs
    assert [isa for isa in runs if isa in info["isas_compiled"]] == info["isas_supported"]


@linux
def test_others_that_keep_a_cpu_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stat(busy: int, idle: int, steal: int) -> None:
        rows = [f"cpu{k} {busy} 0 0 {idle} 0 0 0 {steal} 0 0" for k in range(2)]
        tree(tmp_path, {"proc/stat": "\n".join(["cpu 1 1 1 1 1 1 1 1 1 1", *rows, "intr 0"])})

    stat(100, 100, 0)
    monkeypatch.setattr(system.time, "sleep", lambda _: stat(150, 130, 20))  # type: ignore[attr-defined]
    load = system.read_load(tmp_path, frozenset({0, 1}))
    assert load.busy == pytest.approx(1.0)
    assert load.stolen == pytest.approx(0.4)


LINES = [
    "numpy>=1.24; python_version < '3.99'",
    "numpy>=99; python_version >= '3.99'",
    "ase>=3.23",
    "rich>=13.0; extra == 'cli'",
    "h5py>=3.12; extra == 'h5md'",
    "mdkern[cli,h5md]; extra == 'test'",
    "pytest>=7; extra == 'test'",
    "matcalc>=0.7; python_version >= '3.99' and extra == 'test'",
    "mdkern[test]; extra == 'dev'",
]


def test_requirements_of_the_metadata() -> None:
    versions = {"numpy": "1.21.0", "ase": "3.27.0b1", "rich": "13.0", "h5py": "3.9"}
    needed, extras = installation.requirements(LINES, ["test", "cli", "h5md", "dev"], versions.get)
    assert needed == (
        doctor.Package("numpy", ">=1.24", "1.21.0", False),
        doctor.Package("ase", ">=3.23", "3.27.0b1", True),
    )
    found = {extra.name: {p.name: p.ok for p in extra.packages} for extra in extras}
    assert found["cli"] == {"rich": True}
    assert found["test"] == found["dev"] == {"rich": True, "h5py": False, "pytest": False}
    assert {extra.name: extra.ready for extra in extras} == {
        "cli": True,
        "dev": False,
        "h5md": False,
        "test": False,
    }


def test_requirements_without_the_package_that_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    assert installation.requirements(LINES, ["cli"]) == ((), ())


def test_requirements_of_this_installation() -> None:
    try:
        mine = metadata.distribution("mdkern")
    except metadata.PackageNotFoundError:
        pytest.skip("mdkern is not installed")
    names = mine.metadata.get_all("Provides-Extra") or []
    needed, extras = installation.requirements(mine.requires or [], names)
    assert {p.name for p in needed} == {"numpy", "ase"}
    assert all(p.ok for p in needed)
    assert {extra.name for extra in extras} == set(names) >= {"cli", "h5md", "dask"}


def test_a_source_that_is_newer_than_the_library(tmp_path: Path) -> None:
    root = tree(tmp_path, {"cpp/core/a.cpp": "", "cpp/tests/t.cpp": "", "CMakeLists.txt": "", "lib/core.so": ""})  # fmt: skip
    core = root / "lib/core.so"
    for path in root.rglob("*.*"):
        os.utime(path, (1000, 1000))
    assert installation.newer_source(root, core) is None
    os.utime(root / "cpp/tests/t.cpp", (2000, 2000))
    assert installation.newer_source(root, core) is None
    os.utime(root / "cpp/core/a.cpp", (2000, 2000))
    assert installation.newer_source(root, core) == str(root / "cpp/core/a.cpp")


def test_where_an_editable_installation_has_its_sources() -> None:
    origin = {"url": "file:///home/a%20b/mdkern", "dir_info": {"editable": True}}
    assert installation.editable_source(json.dumps(origin)) == Path("/home/a b/mdkern")
    assert installation.editable_source(json.dumps({**origin, "dir_info": {}})) is None
    assert installation.editable_source(None) is None
    for damaged in ("{", "[]", "null"):
        assert installation.editable_source(damaged) is None


def test_whose_command_is_on_the_path(tmp_path: Path) -> None:
    root = tree(tmp_path, {f"{x}/mdkern": "" for x in ("env", "other", "shims")})
    (root / "home").mkdir()
    (root / "home/mdkern").symlink_to(root / "env/mdkern")
    for folder, expected in (("env", True), ("home", True), ("shims", True), ("other", False)):
        assert installation.belongs(root / folder / "mdkern", [root / "env"]) is expected


def test_runtimes_among_libraries(tmp_path: Path) -> None:
    names = ("libgomp.so.1.0.0", "libgomp-a34b3233.so.1.0.0", "libiomp5.so", "libomp.dylib", "libomptarget.rtl.so",
             "libm.so.6", "libstdc++.so.6", "libompi.so.40")  # fmt: skip
    found = installation.runtimes(str(tmp_path / name) for name in names)
    assert {Path(name).name for name in found} == set(names[:4])
    tree(tmp_path, {"libgomp.so.1.0.0": ""})
    (tmp_path / "libgomp.so.1").symlink_to(tmp_path / "libgomp.so.1.0.0")
    assert len(installation.runtimes([str(tmp_path / "libgomp.so.1"), str(tmp_path / names[0])])) == 1  # fmt: skip


@linux
def test_runtimes_are_those_that_threadpoolctl_finds() -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl")
    theirs = {x["filepath"] for x in threadpoolctl.threadpool_info() if x["user_api"] == "openmp"}
    ours = installation.runtimes(installation.libraries())
    assert {str(Path(x).resolve()) for x in theirs} == set(ours)
    assert bool(ours) >= mdkern.info()["openmp"]


def test_a_kernel_that_is_wrong_is_found() -> None:
    want = {"forces": np.array([[1.0, -2.0], [0.5, 0.0]])}

    def kernel(call: Callable[[], Any]) -> doctor.Kernel:
        return selftest.compared("avx2", "EAM", (call, want))

    def fails() -> Any:
        raise RuntimeError("no memory")

    assert kernel(lambda: {"forces": want["forces"] * (1 + 1e-12)}).ok
    assert not kernel(lambda: {"forces": want["forces"] + 1e-6}).ok
    assert not kernel(lambda: {"forces": want["forces"] * np.nan}).ok
    assert "shape (1, 2); expected (2, 2)" in kernel(lambda: {"forces": want["forces"][:1]}).failure
    assert kernel(fails).failure == "RuntimeError: no memory"
