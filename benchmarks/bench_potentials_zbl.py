"""ZBL on a ready list."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.kernel("zbl")
def test_zbl(timed: Any, system: str, way: Any) -> None:
    timed("zbl", system, way)
