"""What follows from readings. No function here looks at the machine."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from mdkern.doctor.readings import Readings

__all__ = ["Finding", "findings"]

Level = Literal["error", "warning", "note"]
_LEVELS: tuple[Level, ...] = ("error", "warning", "note")
_ISSUES = "https://github.com/mdkern/mdkern/issues"
_THREADS_PAGE = "https://github.com/mdkern/mdkern/blob/main/docs/threads.md"
_REBUILD = "pip install --force-reinstall --no-deps --no-cache-dir mdkern"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or could be better.

    Attributes
    ----------
    level : str
        "error": results are wrong or mdkern does not run; "warning": something to be changed; "note": good to know.
    code : str
        Short name that stays the same between versions.
    says : str
        What was found.
    advice : str
        What to do: a command, or a variable and its value.
    """

    level: Level
    code: str
    says: str
    advice: str


def findings(readings: Readings) -> list[Finding]:
    """Everything that follows, the worst first."""
    found = [finding for check in _CHECKS for finding in check(readings)]
    return sorted(found, key=lambda finding: _LEVELS.index(finding.level))


def _core(r: Readings) -> Iterator[Finding]:
    """Does it load, and are its numbers right?"""
    if r.core is None:
        says = "; ".join(r.complaints) or "unknown reason"
        variable = next((name for name in r.threads.environment if name in says), None)
        advice = f"unset {variable}" if variable else _lacking(r) or _REBUILD
        yield Finding("error", "core-missing", f"the compiled core cannot be loaded: {says}", advice)  # fmt: skip
        return
    for says in r.complaints:
        bad = next((name for name in r.threads.environment if name in says), None)
        advice = f"unset {bad}" if bad else f"see {_THREADS_PAGE}"
        yield Finding("warning", "core-complains", says, advice)
    if r.self_test.failure:
        yield Finding(
            "error",
            "self-test-failed",
            f"the self-test could not run: {r.self_test.failure}",
            _lacking(r) or "pip install --upgrade mdkern",
        )
    wrong = [kernel for kernel in r.self_test.kernels if not kernel.ok]
    good = {kernel.isa for kernel in r.self_test.kernels} - {kernel.isa for kernel in wrong}
    instead = next((isa for isa in reversed(r.core.isas_supported) if isa in good), None)
    for kernel in wrong:
        text = kernel.failure or f"relative error {kernel.error:.2g}, at most {kernel.tolerance:g}"
        report = f"report `mdkern doctor --json` to {_ISSUES}"
        yield Finding(
            "error",
            "wrong-numbers",
            f"{kernel.name} with {kernel.isa} fails: {text}",
            f"export MDKERN_ISA={instead}; {report}" if instead else report,
        )


def _lacking(r: Readings) -> str:
    """How to get what everybody needs and is not there."""
    wanted = [f"'{p.name}{p.wanted}'" for p in r.installation.requires if not p.ok]
    return f"pip install --upgrade {' '.join(wanted)}" if wanted else ""


def _installation(r: Readings) -> Iterator[Finding]:
    """Is it the one that is meant, and is what it needs there?"""
    here = r.installation
    for package in here.requires:
        if not package.ok:
            says = f"{package.name} is missing"
            if package.installed is not None:
                says = f"{package.name} {package.installed} is installed, {package.wanted} is needed"  # fmt: skip
            level: Level = "error" if package.installed is None else "warning"
            yield Finding(level, "requirement", says, _lacking(r))
    old: dict[str, list[str]] = {}
    for extra in here.extras:
        for package in extra.packages:
            if package.installed is not None and not package.ok:
                old.setdefault(f"{package.name} {package.installed} is not {package.wanted}", []).append(extra.name)  # fmt: skip
    for says, extras in old.items():
        yield Finding(
            "warning",
            "extra-version",
            f"{says}, which the extra {', '.join(extras)} asks for",
            f"pip install --upgrade 'mdkern[{extras[0]}]'",
        )
    if here.version is None:
        yield Finding(
            "note",
            "no-metadata",
            f"{here.folder} is imported without being installed: ASE does not find the calculators",
            "pip install .",
        )
    elif r.core is not None and here.version != r.core.version:
        yield Finding(
            "warning",
            "version-mixed",
            f"pip knows mdkern {here.version}, the compiled core is {r.core.version}",
            "pip install ." if here.source is None else "pip install -e .",
        )
    if here.newer_source is not None:
        yield Finding(
            "warning",
            "build-stale",
            f"{here.newer_source} is newer than the compiled library",
            f"pip install -e {here.source}",
        )
    if here.others:
        yield Finding(
            "warning",
            "installed-twice",
            f"mdkern is installed a second time in {', '.join(here.others)}",
            "pip uninstall mdkern, until none is left; then install it once",
        )
    if here.command_is_other:
        yield Finding(
            "warning",
            "command-other",
            f"PATH's mdkern is {here.command}, of another environment than {here.executable}",
            f"run {here.executable} -m mdkern, or activate its environment",
        )


def _isa(r: Readings) -> Iterator[Finding]:
    """Are the kernels the fastest that the CPU runs?"""
    if r.cpu.translated:
        yield Finding(
            "warning",
            "translated",
            "this Python is made for x86-64 and is translated for an Apple processor",
            "install Python for arm64 (python3 -c 'import platform; print(platform.machine())' prints arm64)",
        )
    if r.core is None:
        return
    best = r.core.isas_supported[-1]
    if r.core.isa != best:
        by_variable = r.threads.environment.get("MDKERN_ISA") == r.core.isa
        yield Finding(
            "warning",
            "isa-below-best",
            f"kernels use {r.core.isa} by {f'MDKERN_ISA={r.core.isa}' if by_variable else 'mdkern.set_isa'}; {best} is faster",
            "unset MDKERN_ISA" if by_variable else f'mdkern.set_isa("{best}")',
        )
    absent = [isa for isa in r.cpu.runs if isa not in r.core.isas_compiled]
    if absent:
        yield Finding(
            "warning",
            "isa-not-built",
            f"this CPU runs {absent[-1]}, which is not in this build ({', '.join(r.core.isas_compiled)})",
            f"{_REBUILD} --no-binary mdkern (without -DMDKERN_ISAS)",
        )


def _openmp(r: Readings) -> Iterator[Finding]:
    """Runtimes, and variables that bind or limit their threads."""
    if r.core is not None and not r.core.openmp:
        yield Finding(
            "warning",
            "no-openmp",
            "built without OpenMP: kernels run on one thread",
            f"macOS: brew install libomp; then {_REBUILD} --no-binary mdkern",
        )
        return
    given = r.threads.environment
    t = r.threads
    # mdkern's own threads leave the place that GCC's runtime binds the process to.
    kept = r.core is None or r.core.available_cpus <= (t.affinity_with_core or 0)
    if t.affinity and t.affinity_with_core and t.affinity_with_core < t.affinity and kept:
        names = [name for name in ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY") if name in given]  # fmt: skip
        yield Finding(
            "warning",
            "threads-bound",
            f"the OpenMP runtime binds this process to {t.affinity_with_core} of {t.affinity} CPUs"
            f" ({', '.join(names) or 'its own choice'}): all threads of mdkern run there",
            f"unset {' '.join(names) or 'OMP_PROC_BIND OMP_PLACES'}",
        )
    limit = given.get("OMP_THREAD_LIMIT", "").strip()
    if r.core is not None and limit.isdigit() and int(limit) < r.core.threads:
        yield Finding(
            "warning",
            "threads-limited",
            f"OMP_THREAD_LIMIT={limit} is less than the {r.core.threads} threads of mdkern",
            "unset OMP_THREAD_LIMIT",
        )
    if len(t.runtimes) > 1:
        names = [PurePath(name).name for name in t.runtimes]
        # LLVM's and Intel's are one code: two copies of it in a process end it.
        alike = sum("gomp" not in name for name in names) > 1
        yield Finding(
            "warning",
            "openmp-runtimes",
            f"{len(names)} OpenMP runtimes in this process, each with threads of its own"
            f"{' and two that do not bear each other' if alike else ''}: {', '.join(t.runtimes)}",
            f"export OMP_NUM_THREADS=1 MDKERN_NUM_THREADS={math.ceil(t.usable)}, or take all packages from one channel",
        )
    elif any(PurePath(x).name.partition(".")[0].partition("-")[0] != "libgomp" for x in t.bundled.values()):  # fmt: skip
        text = ", ".join(f"{file} ({package})" for package, file in sorted(t.bundled.items()))
        yield Finding(
            "note",
            "openmp-bundled",
            f"packages bring OpenMP runtimes of another kind: {text}",
            f"in programs that use both: export OMP_NUM_THREADS=1 MDKERN_NUM_THREADS={math.ceil(t.usable)}",
        )
    spins = [f"{k}={given[k]}" for k in ("OMP_WAIT_POLICY", "KMP_BLOCKTIME", "GOMP_SPINCOUNT")
             if given.get(k, "").strip().lower() in ("active", "infinite", "infinity")]  # fmt: skip
    if spins:
        yield Finding(
            "note",
            "threads-spin",
            f"{', '.join(spins)}: threads of other libraries keep CPUs busy while they wait",
            "export OMP_WAIT_POLICY=passive",
        )


def _threads(r: Readings) -> Iterator[Finding]:
    """Is their number right?"""
    t, given = r.threads, r.threads.environment
    if t.quota is not None and t.held_back is not None and t.held_back > 0.05:
        yield Finding(
            "note",
            "quota-reached",
            f"the container or job was stopped in {100 * t.held_back:.0f} % of the periods of its limit of {t.quota:g} CPUs",
            "a higher limit (docker run --cpus, the job's CPUs), or fewer threads",
        )
    if r.core is None or not r.core.openmp:
        return
    n, cpus = r.core.threads, t.affinity or t.cpus
    share = given.get("SLURM_CPUS_PER_TASK", "").strip()
    if n > cpus:
        yield _fewer("threads-over-cpus", n, f"on {cpus} CPUs wait for each other", cpus)
    elif t.quota is not None and n > math.ceil(t.quota):
        says = f"in a container or job that is limited to {t.quota:g} CPUs: it is stopped when they are used up"  # fmt: skip
        yield _fewer("threads-over-quota", n, says, max(1, math.floor(t.quota)))
    elif share.isdigit() and 0 < int(share) < n:
        yield _fewer("threads-over-task", n, f"in a task of Slurm with {share} CPUs", int(share))
    elif n < min(math.ceil(t.usable), r.core.available_cpus):
        by = next((x for x in ("MDKERN_NUM_THREADS", "OMP_NUM_THREADS") if given.get(x)), None)
        if by is not None:
            yield Finding(
                "note",
                "threads-few",
                f"{by}={given[by]} leaves {math.ceil(t.usable) - n} of {math.ceil(t.usable)} CPUs idle",
                f"export MDKERN_NUM_THREADS={math.ceil(t.usable)}",
            )
    if t.cores and t.cores < n <= cpus:
        yield Finding(
            "note",
            "hyperthreads",
            f"{n} threads on {t.cores} cores: two threads of a core share its arithmetic",
            f"compare with MDKERN_NUM_THREADS={t.cores}; mdkern tune measures it for a structure",
        )


def _fewer(code: str, n: int, says: str, instead: int) -> Finding:
    return Finding("warning", code, f"{n} threads {says}", f"export MDKERN_NUM_THREADS={instead}")


def _speedup(r: Readings) -> Iterator[Finding]:
    """Did threads help, and were the CPUs free?"""
    n, cpus = r.self_test.threads, r.threads.affinity or r.threads.cpus
    busy, stolen = r.load.busy or 0.0, r.load.stolen or 0.0
    if busy > 0.5:
        free = max(1, math.floor(cpus - busy))
        used = r.core.threads if r.core else cpus
        fewer = f", or export MDKERN_NUM_THREADS={free}" if free < used else ""
        yield Finding(
            "warning",
            "busy",
            f"other programs keep {busy:.1f} of {cpus} CPUs busy",
            f"end them (top shows which){fewer}",
        )
    if stolen > 0.05 * cpus:
        yield Finding(
            "warning",
            "stolen",
            f"the host of this virtual machine takes {stolen:.1f} of {cpus} CPUs",
            "a machine with CPUs of its own; timings vary here",
        )
    if n is None or r.self_test.speedup is None or r.self_test.speedup >= 1.0 + 0.3 * (n - 1):
        return
    got = "" if r.self_test.cpus is None else f", and got {r.self_test.cpus:.1f} CPUs"
    loaded = busy > 0.5 or stolen > 0.05 * cpus
    yield Finding(
        "note" if loaded else "warning",
        "threads-gain-little",
        f"{n} threads are {r.self_test.speedup:.2f} times as fast as one{got}",
        "try again on a quiet machine" if loaded else f"compare mdkern doctor with MDKERN_NUM_THREADS={max(1, n // 2)}; {_THREADS_PAGE} has more",
    )  # fmt: skip


def _memory(r: Readings) -> Iterator[Finding]:
    left = r.memory.left
    if left is not None and left < 1 << 30:
        where = ""
        if r.memory.limit is not None and left < (r.memory.available or left + 1):
            where = f" of the container's or job's {r.memory.limit / 2**30:.1f} GiB"
        yield Finding(
            "warning",
            "memory-low",
            f"{left / 2**20:.0f} MiB{where} are left; a neighbor list takes up to 72 bytes per pair",
            "end other programs, or raise that limit (docker run --memory, the job's memory)",
        )
    if r.memory.huge_pages == "never":
        yield Finding(
            "note",
            "huge-pages-off",
            "transparent huge pages are off: large arrays take longer to fill",
            "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled",
        )


def _frequency(r: Readings) -> Iterator[Finding]:
    cpu = r.cpu
    # Drivers of Intel and AMD call a policy powersave that goes as fast as there is work.
    own_policy = cpu.driver is not None and "pstate" in cpu.driver
    if cpu.governor == "powersave" and not own_policy:
        yield Finding(
            "warning",
            "governor",
            "the governor powersave keeps the CPU at its lowest frequency",
            "sudo cpupower frequency-set -g performance",
        )
    if cpu.frequency_limit and cpu.frequency_most and cpu.frequency_limit < 0.9 * cpu.frequency_most:  # fmt: skip
        yield Finding(
            "note",
            "frequency-limited",
            f"the CPU is limited to {cpu.frequency_limit:.0f} of {cpu.frequency_most:.0f} MHz",
            f"sudo cpupower frequency-set -u {cpu.frequency_most:.0f}MHz",
        )
    if cpu.throttled:
        yield Finding(
            "note",
            "throttled",
            f"the CPU was slowed down for its temperature {cpu.throttled:,} times since the start",
            "see to its cooling where timings vary",
        )


def _tuning(r: Readings) -> Iterator[Finding]:
    for says in r.tuning.complaints:
        bad_mode = "MDKERN_TUNE" in says and r.tuning.file == ""
        yield Finding(
            "error" if bad_mode else "warning",
            "tuning",
            says,
            "unset MDKERN_TUNE" if bad_mode else f"move {r.tuning.file} away, or export MDKERN_TUNE_FILE=another",
        )  # fmt: skip


_CHECKS = (_core, _installation, _isa, _openmp, _threads, _speedup, _memory, _frequency, _tuning)
