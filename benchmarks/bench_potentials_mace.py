"""MACE on a ready list: random models of the shapes of public ones, in double and single precision."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.kernel("mace_small")
def test_mace_small(timed: Any, system: str, way: Any) -> None:
    timed("mace_small", system, way)


@pytest.mark.kernel("mace_small_single")
def test_mace_small_single(timed: Any, system: str, way: Any) -> None:
    timed("mace_small_single", system, way)


@pytest.mark.kernel("mace_medium")
def test_mace_medium(timed: Any, system: str, way: Any) -> None:
    timed("mace_medium", system, way)


@pytest.mark.kernel("mace_medium_single")
def test_mace_medium_single(timed: Any, system: str, way: Any) -> None:
    timed("mace_medium_single", system, way)


@pytest.mark.kernel("mace_density")
def test_mace_density(timed: Any, system: str, way: Any) -> None:
    timed("mace_density", system, way)


@pytest.mark.kernel("mace_off")
def test_mace_off(timed: Any, system: str, way: Any) -> None:
    timed("mace_off", system, way)
