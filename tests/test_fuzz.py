"""Damaged files: every reader refuses, or reads what can be evaluated (tests/fuzz; the long run is `nox -s fuzz`)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from programs_data import EMULATOR, SANITIZED

FUZZ = Path(__file__).parent / "fuzz"
FORMATS = (
    *("eam_alloy", "eam_fs", "eam_funcfl", "nep", "dp", "json", "yaml", "linear", "checkpoint"),
    "h5md",
    "stored",
    *sorted(path.stem.partition("_")[2] for path in FUZZ.glob("formats_*.py")),
)
# Longer times, and no bounds of memory: qemu leaves those of its guest aside.
SLOW = SANITIZED or bool(EMULATOR)

pytestmark = [
    pytest.mark.quick,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the inputs run in forked processes"),
]


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files(name: str, tmp_path: Path) -> None:
    # Under the sanitizers where arrays reach C++; an input takes twenty times as long there, and in an emulator.
    inputs = os.environ.get("MDKERN_FUZZ_INPUTS", "200" if SLOW else "1000")
    arguments = ["--format", name, "--inputs", inputs, "--seed", "12"]
    done = subprocess.run(
        [sys.executable, str(FUZZ), *arguments, *(["--sanitized"] if SLOW else [])],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    if "skipped" in done.stdout:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{name}: {inputs} inputs" in done.stdout
    # Damage that is always refused tries nothing behind the reader, and damage that never is tries no reader.
    assert "evaluated" in done.stdout
    assert "FormatError" in done.stdout


@pytest.mark.skipif(bool(EMULATOR), reason="no bounds of memory in an emulator")
def test_the_harness_finds_what_it_looks_for(tmp_path: Path) -> None:
    """A reader that crashes, hangs, takes memory, or raises something else: each is a finding, and the rest goes on."""
    code = f"""
import os, sys
sys.path.insert(0, {str(FUZZ)!r})
import harness

def read(path, rng):
    k = open(path, "rb").read()[0]
    if k == 1: os.abort()
    if k == 2:
        while True: pass
    if k == 3: bytearray(1 << 30)
    if k == 4: raise KeyError("x")
    if k == 5: raise ValueError("not FormatError")
    if k == 6: raise harness.FormatError("refused")

kind = harness.Format("x", ".x", lambda rng: bytes([rng.randrange(7)]), read, lambda model: None)
harness.CPU_SECONDS = 0.2
report = harness.run(kind, 40, 1)
assert report.inputs == 40, report
print(*sorted({{f["outcome"] + f["finding"][:12] for f in report.findings}}), sorted(report.outcomes), sep="\\n")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    expected = ["KeyErrorKeyError: 'x", "MemoryErrorMemoryError:", "ValueErrorValueError:"]
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines[:3] == expected
    assert lines[3:5] == ["diedmore than 2", "diedthe process"]
    assert "FormatError" in lines[5]
    assert "evaluated" in lines[5]
