"""Deep Potential on a ready list: a random model of the standard size, in double and single precision."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.kernel("deep_potential")
def test_deep_potential(timed: Any, system: str, way: Any) -> None:
    timed("deep_potential", system, way)


@pytest.mark.kernel("deep_potential_single")
def test_deep_potential_single(timed: Any, system: str, way: Any) -> None:
    timed("deep_potential_single", system, way)
