"""Buckingham on a ready list."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.kernel("buckingham")
def test_buckingham(timed: Any, system: str, way: Any) -> None:
    timed("buckingham", system, way)
