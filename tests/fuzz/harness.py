"""Runs inputs in a forked process, which is started again where it dies, and says what came out.

An input is made from a seed and its number alone, so that a finding can be repeated.
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mdkern.errors import FormatError, MDKernWarning, UnsupportedError

CPU_SECONDS = 2.0
MEMORY_FACTOR, MEMORY_BYTES = 4, 64 * 2**20
SILENCE = 120.0  # wall clock seconds after which a worker is taken to wait for ever
REFUSED = (FormatError, UnsupportedError, OSError)


@dataclass(frozen=True)
class Format:
    """A file format under test.

    Attributes
    ----------
    name, suffix : str
    mutant : callable
        Bytes of a damaged file, by a generator of random numbers.
    read : callable
        Reads a path; may raise what is in `refused`.
    use : callable
        Evaluates what was read; may raise what is in `unusable`.
    """

    name: str
    suffix: str
    mutant: Callable[[random.Random], bytes]
    read: Callable[[str, random.Random], Any]
    use: Callable[[Any], None]
    refused: tuple[type[BaseException], ...] = REFUSED
    unusable: tuple[type[BaseException], ...] = ()


@dataclass
class Report:
    name: str
    inputs: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    slowest: tuple[float, int] = (0.0, 0)  # seconds, input
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[dict[str, Any]] = field(default_factory=list)

    def line(self) -> str:
        said = ", ".join(f"{k} {n}" for k, n in sorted(self.outcomes.items()))
        return (
            f"{self.name}: {self.inputs} inputs, {self.seconds:.0f} s (CPU {self.cpu:.0f} s, input {self.slowest[1]} took "
            f"{self.slowest[0]:.2f} s), {said}; {len(self.findings)} findings"
        )


def generator(kind: Format, seed: int, index: int) -> random.Random:
    return random.Random(f"{kind.name}/{seed}/{index}")


def _limits(more: int, sanitized: bool) -> None:
    """No more bytes of memory than there are now and `more`."""
    if not sanitized and sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[5])
        room = pages * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_DATA, (room, resource.RLIM_INFINITY))


def _unlimited() -> None:
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def attempt(kind: Format, path: str, rng: random.Random) -> str:
    """What reading and using the file gives; raises what it must not."""
    stage = ""
    try:
        model = kind.read(path, rng)
        stage = "evaluation: "
        kind.use(model)
    except kind.refused as e:
        return stage + type(e).__name__
    except kind.unusable as e:
        if not stage:
            raise
        return stage + type(e).__name__
    except MemoryError as e:
        # Ours say what is needed before it is taken; others were too late.
        if type(e) is not MemoryError or not str(e) or "std::bad_alloc" in str(e):
            raise
        return stage + "MemoryError"
    return "evaluated"


def one(kind: Format, seed: int, index: int, folder: str, sanitized: bool = False) -> str:
    """One input, within its limits."""
    rng = generator(kind, seed, index)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = kind.mutant(rng)
    path = f"{folder}/x{kind.suffix}"
    Path(path).write_bytes(data)
    _limits(MEMORY_FACTOR * len(data) + MEMORY_BYTES, sanitized)
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS * (20 if sanitized else 1))
    try:
        return attempt(kind, path, rng)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        _unlimited()


def _work(kind: Format, seed: int, first: int, end: int, out: int, sanitized: bool) -> None:
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", MDKernWarning)
    warnings.simplefilter("ignore", DeprecationWarning)  # of ASE under new versions of NumPy
    with tempfile.TemporaryDirectory() as folder:
        for index in range(first, end):
            began = time.process_time()
            said: dict[str, Any] = {"index": index}
            try:
                said["outcome"] = one(kind, seed, index, folder, sanitized)
            except BaseException as e:  # noqa: BLE001 - whatever comes out is a finding
                said["outcome"] = type(e).__name__
                frames = traceback.extract_tb(e.__traceback__)
                said["finding"] = f"{type(e).__name__}: {str(e)[:200]}"
                said["where"] = [f"{Path(f.filename).name}:{f.lineno}" for f in frames[-4:]]
            said["cpu"] = round(time.process_time() - began, 4)
            os.write(out, json.dumps(said).encode() + b"\n")


def run(kind: Format, inputs: int, seed: int, first: int = 0, sanitized: bool = False) -> Report:
    """Run inputs `first` to `first + inputs`."""
    report = Report(kind.name)
    began = time.perf_counter()
    kind.mutant(generator(kind, seed, first))  # makes its seed files here, once
    index, end = first, first + inputs
    while index < end:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            faulthandler.disable()
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            try:
                _work(kind, seed, index, end, writer, sanitized)
            finally:
                os._exit(0)
        os.close(writer)
        buffer = b""
        while True:
            if not select.select([reader], [], [], SILENCE)[0]:
                os.kill(pid, signal.SIGKILL)
            part = os.read(reader, 1 << 16)
            if not part:
                break
            *lines, buffer = (buffer + part).split(b"\n")
            for line in lines:
                said = json.loads(line)
                index = said["index"] + 1
                report.inputs += 1
                report.outcomes[said["outcome"]] += 1
                report.slowest = max(report.slowest, (said["cpu"], said["index"]))
                report.cpu += said["cpu"]
                if "finding" in said:
                    report.findings.append(said)
        os.close(reader)
        _, status = os.waitpid(pid, 0)
        if index < end:
            number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            names = {signal.SIGPROF: "more than 2 s of CPU", signal.SIGKILL: "no answer"}
            why = names.get(number, f"the process died: signal {number}, status {status}")
            report.findings.append({"index": index, "outcome": "died", "finding": why})
            report.inputs += 1
            report.outcomes["died"] += 1
            index += 1
    report.seconds = time.perf_counter() - began
    return report
