"""The tools that compare two builds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CASE = "neighbor_list open-20 2.5"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, cwd=ROOT
    )


def test_golden_finds_a_changed_fingerprint(tmp_path: Path) -> None:
    file = str(tmp_path / "golden.json")
    tool = ("tools/golden.py", "compare", file, "--only", CASE)
    assert run("tools/golden.py", "write", file, "--only", CASE).returncode == 0
    same = run(*tool)
    assert same.returncode == 0, same.stderr
    assert " 0 differ" in same.stdout
    stored = json.loads(Path(file).read_text())
    first = next(iter(stored))
    stored[first]["number False d"] = "another"
    del stored[first]["number False S"]
    Path(file).write_text(json.dumps(stored))
    other = run(*tool)
    assert other.returncode == 1
    assert f"differs: {first}: number False d" in other.stdout
    assert f"differs: {first}: number False S" in other.stdout
    assert " 2 differ" in other.stdout


def test_compare_builds_times_every_case() -> None:
    done = run("benchmarks/compare_builds.py", sys.executable, sys.executable, "--quick")
    assert done.returncode == 0, done.stderr
    *rows, worst = done.stdout.splitlines()
    ratios = {row[:32].strip(): float(row[32:].split()[0]) for row in rows}
    assert {"LennardJones, 20 atoms", "MD step EAM, 108 atoms", "SOAP values"} <= set(ratios)
    assert all(0.1 < x < 10 for x in ratios.values())
    name, ratio = worst.removeprefix("worst: ").rsplit(", ", 1)
    assert float(ratio) == ratios[name] == min(ratios.values())
