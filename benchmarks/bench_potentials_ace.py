"""ACE and GRACE/FS on a ready list: random models of the sizes of published ones."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.kernel("ace")
def test_ace(timed: Any, system: str, way: Any) -> None:
    timed("ace", system, way)


@pytest.mark.kernel("ace_grace")
def test_ace_grace(timed: Any, system: str, way: Any) -> None:
    timed("ace_grace", system, way)
