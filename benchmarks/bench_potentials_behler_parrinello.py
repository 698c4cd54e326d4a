"""Behler-Parrinello on a ready list: a random model of the published one's kind, water."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.kernel("behler_parrinello")
def test_behler_parrinello(timed: Any, system: str, way: Any) -> None:
    timed("behler_parrinello", system, way)
