"""Lennard-Jones on a ready list, in both precisions."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.kernel("lennard_jones")
def test_double(timed: Any, system: str, way: Any) -> None:
    timed("lennard_jones", system, way)


@pytest.mark.kernel("lennard_jones_single")
def test_single(timed: Any, system: str, way: Any) -> None:
    timed("lennard_jones_single", system, way)
