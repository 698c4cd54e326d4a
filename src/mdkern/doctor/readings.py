"""What is read: plain values, and the names of ``mdkern doctor --json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = [
    "Core",
    "Cpu",
    "Extra",
    "Installation",
    "Kernel",
    "Load",
    "Memory",
    "Package",
    "Readings",
    "SelfTest",
    "Threads",
    "Tuning",
]


@dataclass(frozen=True)
class Package:
    """A requirement: name, versions that are wanted (``>=1.24``), the installed one (None: it is missing), whether it is one of them."""

    name: str
    wanted: str
    installed: str | None
    ok: bool


@dataclass(frozen=True)
class Extra:
    """What an extra asks for, with what the extras in it ask for."""

    name: str
    packages: tuple[Package, ...]

    @property
    def ready(self) -> bool:
        return all(package.ok for package in self.packages)


@dataclass(frozen=True)
class Installation:
    """Where mdkern is, and what it needs.

    Attributes
    ----------
    version : str or None
        Of the metadata that pip keeps; None: there are none.
    python, executable, system : str
        Version and file of Python; system and processor.
    folder : str
        Of the package that is imported.
    source : str or None
        Of an editable installation: the folder of its sources.
    newer_source : str or None
        A source in C++ that is newer than the compiled library.
    others : tuple of str
        Further folders with metadata of mdkern: only the first counts.
    command : str or None
        ``mdkern`` on PATH.
    command_is_other : bool
        Whether that belongs to another environment.
    requires : tuple of Package
        What every user needs.
    extras : tuple of Extra
    """

    version: str | None
    python: str
    executable: str
    system: str
    folder: str
    source: str | None = None
    newer_source: str | None = None
    others: tuple[str, ...] = ()
    command: str | None = None
    command_is_other: bool = False
    requires: tuple[Package, ...] = ()
    extras: tuple[Extra, ...] = ()


@dataclass(frozen=True)
class Core:
    """What the compiled core says of itself, as `mdkern.info`."""

    version: str
    compiler: str
    isa: str
    isas_compiled: tuple[str, ...]
    isas_supported: tuple[str, ...]
    threads: int
    available_cpus: int
    openmp: bool
    cpu: str


@dataclass(frozen=True)
class Cpu:
    """The processor; frequencies in MHz, throttling as events since the machine started."""

    name: str
    runs: tuple[str, ...] = ()
    translated: bool = False
    governor: str | None = None
    driver: str | None = None
    frequency: float | None = None
    frequency_limit: float | None = None
    frequency_most: float | None = None
    throttled: int | None = None


@dataclass(frozen=True)
class Threads:
    """CPUs that the process may use, and what decides on threads.

    Attributes
    ----------
    cpus : int
        Of the machine.
    affinity, affinity_with_core : int or None
        In the mask of this process, before and after the core was loaded.
    cores : int or None
        Physical ones behind the CPUs of the mask.
    quota : float or None
        CPUs that control groups leave: the tightest limit of a container, a job, a slice of systemd.
    held_back : float or None
        Share of the periods in which that limit stopped the process.
    environment : dict
        Variables that concern threads, kernels and libraries.
    runtimes : tuple of str
        Files of OpenMP runtimes in this process.
    bundled : dict
        Runtimes that other installed packages bring along, by package.
    """

    cpus: int
    affinity: int | None = None
    affinity_with_core: int | None = None
    cores: int | None = None
    quota: float | None = None
    held_back: float | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    runtimes: tuple[str, ...] = ()
    bundled: Mapping[str, str] = field(default_factory=dict)

    @property
    def usable(self) -> float:
        """CPUs that there are for this process."""
        cpus = float(self.affinity or self.cpus)
        return cpus if self.quota is None else min(cpus, self.quota)


@dataclass(frozen=True)
class Memory:
    """In bytes; `huge_pages` is always, madvise or never."""

    total: int | None = None
    available: int | None = None
    limit: int | None = None
    used: int | None = None
    huge_pages: str | None = None

    @property
    def left(self) -> int | None:
        """What this process may still take."""
        inside = None if self.limit is None else max(0, self.limit - (self.used or 0))
        given = [x for x in (self.available, inside) if x is not None]
        return min(given) if given else None


@dataclass(frozen=True)
class Load:
    """Of others, while this process slept: CPUs that were busy, CPUs that the host of a virtual machine took; the load of one minute."""

    busy: float | None = None
    stolen: float | None = None
    average: float | None = None


@dataclass(frozen=True)
class Kernel:
    """One kernel with one instruction set against its definition in NumPy: relative error, and what is allowed."""

    isa: str
    name: str
    error: float
    tolerance: float
    failure: str = ""

    @property
    def ok(self) -> bool:
        return not self.failure and self.error <= self.tolerance


@dataclass(frozen=True)
class SelfTest:
    """Kernels; how much faster `threads` threads are than one, and how many CPUs they got; why nothing could be tried."""

    kernels: tuple[Kernel, ...] = ()
    threads: int | None = None
    speedup: float | None = None
    cpus: float | None = None
    failure: str = ""


@dataclass(frozen=True)
class Tuning:
    """The file of ``mdkern tune``: how many choices it has, and what is wrong with it."""

    file: str = ""
    choices: int = 0
    complaints: tuple[str, ...] = ()


@dataclass(frozen=True)
class Readings:
    """Everything; `core` is None where it cannot be loaded, and `complaints` are what it said."""

    installation: Installation
    cpu: Cpu
    threads: Threads
    core: Core | None = None
    complaints: tuple[str, ...] = ()
    memory: Memory = Memory()
    load: Load = Load()
    self_test: SelfTest = SelfTest()
    tuning: Tuning = Tuning()
