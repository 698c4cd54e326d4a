"""Stillinger-Weber silicon on a ready list."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.kernel("stillinger_weber")
def test_stillinger_weber(timed: Any, system: str, way: Any) -> None:
    timed("stillinger_weber", system, way)
