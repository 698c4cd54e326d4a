"""Whether a machine was itself while it was measured: thresholds, and what they say in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "CPU_SHARE",
    "SPREAD",
    "STEAL",
    "TWO_THREADS",
    "Mark",
    "Observed",
    "cpu_ticks",
    "marks",
    "parse_ticks",
    "spread",
    "stolen",
]

SPREAD = 0.10  # of the readings of a limit
CPU_SHARE = 0.95  # of the time of one thread's calls that it had a CPU
STEAL = 0.05  # of the CPU time, which the hypervisor gave to others
TWO_THREADS = 1.6  # times the multiply-adds of one: cores of their own give 2, less what the clock falls; one core 1


@dataclass(frozen=True, slots=True)
class Observed:
    """What `marks` judges.

    Attributes
    ----------
    peak, bandwidth : mapping of number of threads to sequence of float
        FLOP/s and B/s: the readings before, in the middle and after.
    cpu_share : float
        CPU time over elapsed time of the calls with one thread.
    steal : float or None
        Share of the machine's CPU time that went to other virtual machines; None where the system does not tell.
    threads, cpus : int
        Asked for, and available to this process.
    quick : bool
    isa, best : str
        Instruction set of the kernels, and the fastest that this build has for this machine.
    """

    peak: Mapping[int, Sequence[float]]
    bandwidth: Mapping[int, Sequence[float]]
    cpu_share: float
    steal: float | None
    threads: int
    cpus: int
    quick: bool = False
    isa: str = ""
    best: str = ""

    @property
    def two_threads(self) -> float | None:
        """Multiply-adds of two threads over those of one, best readings; None where one was measured."""
        return max(self.peak[2]) / max(self.peak[1]) if 2 in self.peak else None


@dataclass(frozen=True, slots=True)
class Mark:
    """Why a result is not for the table: one word for programs, a sentence for people."""

    name: str
    text: str


def spread(readings: Sequence[float]) -> float:
    """1 - least / largest."""
    return 1.0 - min(readings) / max(readings)


def marks(seen: Observed) -> list[Mark]:
    """What is wrong with a result; nothing if it is for the table."""
    found = []
    if seen.quick:
        found.append(Mark("quick", "--quick: smaller systems, not those of the score"))
    if seen.isa != seen.best:
        found.append(
            Mark(
                "isa",
                f"kernels use {seen.isa}, the peak is that of {seen.best}, which this machine has: unset MDKERN_ISA",
            )
        )
    for name, unit, limit in (
        ("peak", "GFLOP/s", seen.peak),
        ("bandwidth", "GB/s", seen.bandwidth),
    ):
        for threads, readings in limit.items():
            if not spread(readings) <= SPREAD:
                values = ", ".join(f"{x / 1e9:.1f}" for x in readings)
                found.append(
                    Mark(
                        "unsteady",
                        f"{name} of {_threads(threads)} before, in the middle and after: {values} {unit}, "
                        f"{100 * spread(readings):.0f} % apart; at most {100 * SPREAD:.0f} % are allowed. "
                        "The clock was throttled, or others use the machine",
                    )
                )
    if not seen.cpu_share >= CPU_SHARE:
        found.append(
            Mark(
                "loaded",
                f"calls of one thread had a CPU for {100 * seen.cpu_share:.0f} % of their time; "
                f"at least {100 * CPU_SHARE:.0f} % are wanted. Other processes run on this machine",
            )
        )
    if seen.steal is not None and not seen.steal <= STEAL:
        found.append(
            Mark(
                "stolen",
                f"the hypervisor gave {100 * seen.steal:.0f} % of the CPU time to others; "
                f"at most {100 * STEAL:.0f} % are allowed",
            )
        )
    if seen.threads > seen.cpus:
        found.append(
            Mark("oversubscribed", f"{_threads(seen.threads)} on {seen.cpus} available CPUs")
        )
    if seen.two_threads is not None and not seen.two_threads >= TWO_THREADS:
        found.append(
            Mark(
                "oversubscribed",
                f"two threads multiply {seen.two_threads:.2f} times as much as one; at least {TWO_THREADS} "
                "is wanted. They share a core (SMT), or the CPUs have other work. "
                "--threads 1 measures such a machine",
            )
        )
    return found


def _threads(n: int) -> str:
    return f"{n} thread{'s' if n > 1 else ''}"


def cpu_ticks() -> tuple[int, int] | None:
    """Ticks of all CPUs since the start of the system, and those of them that were stolen; None if unknown."""
    try:
        return parse_ticks(Path("/proc/stat").read_text(encoding="ascii"))
    except OSError:
        return None


def parse_ticks(text: str) -> tuple[int, int] | None:
    """`cpu_ticks` of the text of ``/proc/stat``: user nice system idle iowait irq softirq steal, then guests within user."""
    words = text.partition("\n")[0].split()
    if len(words) < 9 or words[0] != "cpu" or not all(word.isdigit() for word in words[1:9]):
        return None
    ticks = [int(word) for word in words[1:9]]
    return sum(ticks), ticks[7]


def stolen(before: tuple[int, int] | None, after: tuple[int, int] | None) -> float | None:
    """Share of the ticks between two readings that were stolen; None where there were none."""
    if before is None or after is None or after[0] <= before[0]:
        return None
    return (after[1] - before[1]) / (after[0] - before[0])
