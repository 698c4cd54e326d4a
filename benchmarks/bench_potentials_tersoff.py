"""Tersoff silicon on a ready list."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.kernel("tersoff")
def test_tersoff(timed: Any, system: str, way: Any) -> None:
    timed("tersoff", system, way)
