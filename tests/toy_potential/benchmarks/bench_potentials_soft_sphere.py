"""Soft spheres on a ready list."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.kernel("soft_sphere")
def test_soft_sphere(timed: Any, system: str, way: Any) -> None:
    timed("soft_sphere", system, way)
