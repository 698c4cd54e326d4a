"""SNAP on a ready list: random coefficients of the sizes of published potentials, linear, quadratic and with densities by element."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.kernel("snap")
def test_snap(timed: Any, system: str, way: Any) -> None:
    timed("snap", system, way)


@pytest.mark.kernel("snap_small")
def test_snap_small(timed: Any, system: str, way: Any) -> None:
    timed("snap_small", system, way)


@pytest.mark.kernel("snap_quadratic")
def test_snap_quadratic(timed: Any, system: str, way: Any) -> None:
    timed("snap_quadratic", system, way)


@pytest.mark.kernel("snap_elements")
def test_snap_elements(timed: Any, system: str, way: Any) -> None:
    timed("snap_elements", system, way)
