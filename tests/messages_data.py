"""The potential of message_passing.cpp, which needs both ways of the exchange: its library, and its model files."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from programs_data import SANITIZED

import mdkern
from mdkern.io.mdk import write_model_file

ROOT = Path(__file__).parent.parent


COMPILER = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")


def can_build() -> bool:
    """With sanitizers a library that is loaded first would need their runtime before it."""
    return COMPILER is not None and (ROOT / "cpp").is_dir() and not SANITIZED


def build(folder: Path) -> Path:
    """The library; it registers the potential wherever it is loaded. Skips the test where it cannot be built."""
    if not can_build():
        pytest.skip("no C++ compiler, or no sources, or sanitizers")
    library, out = mdkern.get_library(), folder / "libmessage_passing.so"
    source = Path(__file__).with_name("message_passing.cpp")
    subprocess.run(
        [str(COMPILER), "-std=c++17", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror",
         f"-I{ROOT / 'cpp'}", str(source), library, f"-Wl,-rpath,{Path(library).parent}", "-o", str(out)],
        check=True,
    )  # fmt: skip
    return out


def write_model(path: Path, width: int = 21) -> None:
    fields = {"potential": "message_passing_test", "cutoff": 4.2, "scale": 1e-4 / width, "width": float(width)}  # fmt: skip
    write_model_file(path, fields, None)


def load(library: Path, path: Path) -> Any:
    """A calculator; the library stays loaded."""
    ctypes.CDLL(str(library))
    return mdkern.load(path)
