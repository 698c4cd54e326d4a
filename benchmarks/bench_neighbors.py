"""Neighbor lists: all output arrays, and the table that potentials use."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.kernel("neighbor_list")
def test_neighbor_list(timed: Any, system: str, way: Any) -> None:
    timed("neighbor_list", system, way)


@pytest.mark.kernel("neighbor_table")
def test_neighbor_table(timed: Any, system: str, way: Any) -> None:
    timed("neighbor_table", system, way)
