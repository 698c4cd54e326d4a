"""Readings of the machine, from the files of Linux below `root` and from ``sysctl`` of macOS."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mdkern.doctor.readings import Cpu, Load, Memory, Threads

__all__ = ["affinity", "read_cpu", "read_load", "read_memory", "read_threads"]

# What decides on threads, kernels and their speed, of ours and of others.
VARIABLES = re.compile(
    r"MDKERN_|OMP_|GOMP_|KMP_|LD_PRELOAD$|SLURM_CPUS_PER_TASK$"
    r"|(OPENBLAS|MKL|BLIS|NUMEXPR)_NUM_THREADS$|VECLIB_MAXIMUM_THREADS$"
)
RUNTIME = re.compile(r"lib(?:gomp|omp|iomp5(?:md)?)(?:-\w+)?\.(?:so|dylib|dll)")
# Features that the kernels are compiled with, as Linux names them.
_AVX2 = {"avx2", "fma", "bmi1", "bmi2", "popcnt"}
_AVX512 = _AVX2 | {"avx512f", "avx512dq", "avx512vl", "avx512bw"}


def _text(path: Path) -> str:
    """What a file holds; nothing where it is not there or not for us."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _integer(path: Path) -> int | None:
    text = _text(path)
    return int(text) if re.fullmatch(r"\d+", text) else None


def _sysctl(name: str) -> str:
    """A value of macOS, nothing elsewhere."""
    if platform.system() != "Darwin":
        return ""
    with suppress(OSError, subprocess.SubprocessError):
        run = subprocess.run(
            ["sysctl", "-n", name], capture_output=True, text=True, timeout=5, check=False
        )
        return run.stdout.strip()
    return ""


def affinity() -> frozenset[int] | None:
    """CPUs that this process may run on, where the system tells."""
    get = getattr(os, "sched_getaffinity", None)
    return None if get is None else frozenset(get(0))


def read_cpu(root: Path = Path("/")) -> Cpu:
    """Name, instruction sets that it runs, frequencies."""
    facts = dict(
        re.findall(r"^([^\t:]+)\s*: (.*)$", _text(root / "proc/cpuinfo"), flags=re.MULTILINE)
    )
    name = facts.get("model name") or _sysctl("machdep.cpu.brand_string") or platform.processor()
    cpu = root / "sys/devices/system/cpu/cpu0"
    throttle = [_integer(cpu / "thermal_throttle" / f"{x}_throttle_count") for x in ("core", "package")]  # fmt: skip
    throttled = [x for x in throttle if x is not None]

    def mhz(file: str) -> float | None:
        khz = _integer(cpu / "cpufreq" / file)
        return None if khz is None else khz / 1000

    return Cpu(
        name or "unknown",
        _runs(platform.machine().lower(), set(facts.get("flags", "").split())),
        _sysctl("sysctl.proc_translated") == "1",
        _text(cpu / "cpufreq/scaling_governor") or None,
        _text(cpu / "cpufreq/scaling_driver") or None,
        mhz("scaling_cur_freq"),
        mhz("scaling_max_freq"),
        mhz("cpuinfo_max_freq"),
        max(throttled, default=None),
    )


def _runs(machine: str, flags: set[str]) -> tuple[str, ...]:
    """Instruction sets of ours that a CPU runs; nothing where its features are not known."""
    if machine in ("aarch64", "arm64"):
        return ("scalar", "neon")
    if not flags:
        return ()
    return (
        "scalar",
        *(["avx2"] if flags >= _AVX2 else []),
        *(["avx512"] if flags >= _AVX512 else []),
    )


def _numbers(path: Path) -> dict[str, int]:
    """A file of lines ``name number``."""
    return {k: int(v) for k, v in re.findall(r"^(\w+):? +(\d+)", _text(path), flags=re.MULTILINE)}


def _group_limit(kind: str, root: Path) -> Any:
    """What the core says of a limit of control groups; None as well where it cannot be loaded, or is older than this file."""
    try:
        from mdkern import _core
    except Exception:  # noqa: BLE001 - a damaged NumPy raises anything, which is told elsewhere
        return None
    ask = getattr(_core, f"cgroup_{kind}", None)  # that it is older is told elsewhere, too
    return None if ask is None else ask("" if root == Path("/") else str(root))


def _quota(root: Path) -> tuple[float | None, float | None]:
    """CPUs that control groups allow, and the share of periods in which they stopped the process."""
    found = _group_limit("cpus", root)
    if found is None:
        return None, None
    stat = _numbers(Path(found[1]) / "cpu.stat")
    periods = stat.get("nr_periods")
    return found[0], stat.get("nr_throttled", 0) / periods if periods else None


def read_threads(
    root: Path = Path("/"),
    mask: Iterable[int] | None = None,
    environment: Iterable[tuple[str, str]] = (),
) -> Threads:
    """CPUs and limits; `mask` are the CPUs of the process."""
    cpus = None if mask is None else sorted(mask)
    quota, held = _quota(root)
    siblings = {
        _text(root / f"sys/devices/system/cpu/cpu{k}/topology/thread_siblings_list")
        for k in cpus or ()
    } - {""}
    cores = _sysctl("hw.physicalcpu")
    return Threads(
        os.cpu_count() or 1,
        None if cpus is None else len(cpus),
        None,
        len(siblings) or (int(cores) if cores.isdigit() else None),
        quota,
        held,
        {name: value for name, value in sorted(environment) if VARIABLES.match(name)},
    )


def read_memory(root: Path = Path("/")) -> Memory:
    """Of the machine and of the control groups, in bytes."""
    info = _numbers(root / "proc/meminfo")
    total = _sysctl("hw.memsize")
    all_of_it = 1024 * info["MemTotal"] if "MemTotal" in info else None
    found = _group_limit("memory", root)
    if found is not None and all_of_it is not None and found[0] >= all_of_it:
        found = None  # more than the machine has limits nothing
    huge = re.search(r"\[(\w+)\]", _text(root / "sys/kernel/mm/transparent_hugepage/enabled"))
    return Memory(
        int(total) if total.isdigit() else all_of_it,
        1024 * info["MemAvailable"] if "MemAvailable" in info else None,
        None if found is None else int(found[0]),
        None if found is None else int(found[1]),
        huge[1] if huge else None,
    )


def _times(root: Path, mask: Iterable[int]) -> tuple[float, float, float]:
    """Busy, stolen and all time of these CPUs, in ticks."""
    busy = stolen = every = 0.0
    names = {f"cpu{k}" for k in mask}
    for line in _text(root / "proc/stat").splitlines():
        words = line.split()
        if words and words[0] in names and len(words) >= 9:
            user, nice, system, idle, wait, irq, soft, steal = map(float, words[1:9])
            busy += user + nice + system + irq + soft
            stolen += steal
            every += user + nice + system + idle + wait + irq + soft + steal
    return busy, stolen, every


def read_load(
    root: Path = Path("/"), mask: frozenset[int] | None = None, seconds: float = 0.3
) -> Load:
    """What others do while this process sleeps."""
    average: float | None = None
    with suppress(AttributeError, OSError):  # Windows has none
        average = os.getloadavg()[0]
    cpus = mask or frozenset()
    before = _times(root, cpus)
    if before[2] == 0.0:
        return Load(average=average)
    time.sleep(seconds)
    after = _times(root, cpus)
    every = after[2] - before[2]
    if every <= 0.0:
        return Load(average=average)
    share = len(cpus) / every
    return Load(share * (after[0] - before[0]), share * (after[1] - before[1]), average)
