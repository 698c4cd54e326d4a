"""How a machine and an installation stand: what was read from them, and what follows.

Reading and judging are apart. :func:`read` looks at the machine, :func:`findings` knows nothing but what was read, so that every
finding can be had of a machine that is not there. What a system does not tell (``/proc`` on macOS) is None or empty, and nothing
follows from it.
"""

from __future__ import annotations

from mdkern.doctor.examination import read
from mdkern.doctor.findings import Finding, findings
from mdkern.doctor.readings import (
    Core,
    Cpu,
    Extra,
    Installation,
    Kernel,
    Load,
    Memory,
    Package,
    Readings,
    SelfTest,
    Threads,
    Tuning,
)

__all__ = [
    "Core",
    "Cpu",
    "Extra",
    "Finding",
    "Installation",
    "Kernel",
    "Load",
    "Memory",
    "Package",
    "Readings",
    "SelfTest",
    "Threads",
    "Tuning",
    "findings",
    "read",
]
