"""D3 on a ready table."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.kernel("d3")
def test_d3(timed: Any, system: str, way: Any) -> None:
    timed("d3", system, way)
