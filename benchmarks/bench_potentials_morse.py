"""Morse on a ready list."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.kernel("morse")
def test_morse(timed: Any, system: str, way: Any) -> None:
    timed("morse", system, way)
