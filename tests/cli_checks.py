"""Helpers of the tests of the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mdkern.cli import main


def run_json(
    capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0
) -> dict[str, Any]:
    assert main([*arguments, "--json"]) == status
    captured = capsys.readouterr()
    loaded: dict[str, Any] = json.loads(captured.out)
    return loaded


def one_error(capsys: pytest.CaptureFixture[str], *parts: str) -> None:
    """Exactly one line on stderr, nothing on stdout."""
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("mdkern: error: ")
    assert captured.err.count("\n") == 1
    for part in parts:
        assert part in captured.err


def process(*arguments: str, **kwargs: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "mdkern", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)


def is_drawn(path: Path) -> bool:
    """Whether a picture has many colours and ink in each quarter."""
    from matplotlib.image import imread

    image = imread(path)[..., :3]
    height, width = (n // 2 for n in image.shape[:2])
    quarters = (image[y:, x:][:height, :width] for y in (0, height) for x in (0, width))
    return all(float((part.min(axis=2) < 0.7).mean()) > 0.005 for part in quarters)
