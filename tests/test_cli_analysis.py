"""What the command line reports of a run: drift and its error, radial distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

import mdkern
from mdkern.cli import analysis


def correlated(rng: np.random.Generator, n: int, memory: float) -> np.ndarray[Any, Any]:
    """Series whose samples remember their predecessors, with variance one."""
    noise = rng.standard_normal(n) * np.sqrt(1 - memory**2)
    out = np.empty(n)
    out[0] = rng.standard_normal()
    for k in range(1, n):
        out[k] = memory * out[k - 1] + noise[k]
    return out


@pytest.mark.parametrize("memory", [0.0, 0.9])
def test_error_of_the_drift(memory: float) -> None:
    """The true slope lies within two standard errors about as often as it should."""
    rng = np.random.default_rng(1)
    time_axis = np.linspace(0, 10, 1000)
    deviations = []
    for _ in range(200):
        fit = analysis.energy_drift(time_axis, 3 + 0.7 * time_axis + correlated(rng, 1000, memory))
        assert fit is not None
        deviations.append((fit.slope - 0.7) / fit.error)
    assert 0.75 < np.std(deviations) < 1.35
    assert np.mean(np.abs(deviations) < 2) > 0.88


def test_drift_of_a_line_and_of_too_little() -> None:
    fit = analysis.energy_drift([0, 1, 2, 3, 4], [1, 3, 5, 7, 9])
    assert fit is not None
    assert (fit.slope, fit.offset) == pytest.approx((2, 1))
    assert fit.error < 1e-12
    assert analysis.energy_drift([0, 1, 2], [1, 2, 3]) is None
    assert analysis.energy_drift([], []) is None


def test_radial_distribution() -> None:
    rng = np.random.default_rng(2)
    gas = [
        Atoms(numbers=[1] * 2000, positions=rng.uniform(0, 30, (2000, 3)), cell=[30] * 3, pbc=True)
    ]
    r, g = analysis.radial_distribution(gas, r_max=8, bins=40)
    assert np.abs(g[20:] - 1).max() < 0.05
    crystal = bulk("Cu", a=3.6, cubic=True) * (2, 2, 2)
    r, g = analysis.radial_distribution([crystal, crystal], r_max=4.2, bins=210)
    shells = 4 * np.pi * r**2 * g * (r[1] - r[0]) * len(crystal) / crystal.cell.volume
    assert shells[r < 3].sum() == pytest.approx(12, rel=1e-3)
    assert shells[r > 3].sum() == pytest.approx(6, rel=1e-3)


def test_radial_distribution_of_large_systems_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    crystal = bulk("Cu", a=3.6, cubic=True) * (3, 3, 3)
    monkeypatch.setattr(analysis, "MAX_PAIRS", 2000)
    r, _ = analysis.radial_distribution([crystal])
    assert len(mdkern.neighbor_list("i", crystal, r[-1])) < 4000
    assert r[-1] < 4
