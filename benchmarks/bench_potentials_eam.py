"""EAM copper on a ready list, both passes."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.kernel("eam")
def test_eam(timed: Any, system: str, way: Any) -> None:
    timed("eam", system, way)
