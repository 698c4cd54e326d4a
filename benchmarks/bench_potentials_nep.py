"""NEP on a ready list: random models of the sizes of public ones, in double and single precision."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.kernel("nep")
def test_nep(timed: Any, system: str, way: Any) -> None:
    timed("nep", system, way)


@pytest.mark.kernel("nep_single")
def test_nep_single(timed: Any, system: str, way: Any) -> None:
    timed("nep_single", system, way)


@pytest.mark.kernel("nep_alloy")
def test_nep_alloy(timed: Any, system: str, way: Any) -> None:
    timed("nep_alloy", system, way)


@pytest.mark.kernel("nep_silicon")
def test_nep_silicon(timed: Any, system: str, way: Any) -> None:
    timed("nep_silicon", system, way)


@pytest.mark.kernel("nep_carbon")
def test_nep_carbon(timed: Any, system: str, way: Any) -> None:
    timed("nep_carbon", system, way)


@pytest.mark.kernel("nep_water")
def test_nep_water(timed: Any, system: str, way: Any) -> None:
    timed("nep_water", system, way)


@pytest.mark.kernel("nep_charges")
def test_nep_charges(timed: Any, system: str, way: Any) -> None:
    timed("nep_charges", system, way)
