"""What simulations are judged by: drift and its error, radial distribution, diffusion."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk

import mdkern
from mdkern import analysis
from mdkern.calculators import LennardJones
from mdkern.cli.dynamics import draw_velocities
from mdkern.md import Bussi


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
    monkeypatch.setattr("mdkern.analysis.structure.MAX_PAIRS", 2000)
    r, _ = analysis.radial_distribution([crystal])
    assert len(mdkern.neighbor_list("i", crystal, r[-1])) < 4000
    assert r[-1] < 4


def test_radial_distribution_tells_what_it_cannot_take() -> None:
    crystal = bulk("Cu", cubic=True)
    assert analysis.rdf is analysis.radial_distribution
    assert analysis.msd is analysis.mean_square_displacement
    with pytest.raises(TypeError, match="frames: one Atoms; expected a list of them"):
        analysis.rdf(crystal)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="frames: none; expected at least one"):
        analysis.rdf([])
    with pytest.raises(ValueError, match=r"frames\[1\]: 1 atoms, cell of rank 0"):
        analysis.rdf([crystal, Atoms("Cu")])
    with pytest.raises(ValueError, match="r_max: -1; expected a positive"):
        analysis.rdf([crystal], r_max=-1)
    with pytest.raises(ValueError, match="bins: 0; expected an integer >= 1"):
        analysis.rdf([crystal], bins=0)


# --- mean square displacement and diffusion ------------------------------------------------------


def test_mean_square_displacement_against_its_definition() -> None:
    rng = np.random.default_rng(0)
    r = np.cumsum(rng.normal(size=(60, 5, 3)), axis=0) + 1000.0
    got = analysis.mean_square_displacement(r)
    for lag in (0, 1, 7, 30, 59):
        wanted = ((r[lag:] - r[: len(r) - lag]) ** 2).mean(axis=(0, 1))
        assert np.abs(got[lag] - wanted).max() <= 1e-8
    # In pieces of bounded memory: the same.
    many = rng.normal(size=(40, 50, 3))
    whole = analysis.mean_square_displacement(many)
    pieces = [analysis.mean_square_displacement(many[:, k : k + 5]) for k in range(0, 50, 5)]
    assert np.allclose(whole, np.mean(pieces, axis=0), rtol=1e-12)


def walk(rng: np.random.Generator, times: int, atoms: int, d: float, dt: float) -> Any:
    """Steps of variance 2 D dt along each axis."""
    return np.cumsum(rng.normal(scale=np.sqrt(2 * d * dt), size=(times, atoms, 3)), axis=0)


@pytest.mark.parametrize(("times", "atoms"), [(200, 100), (200, 8), (25, 200), (1000, 30)])
def test_error_of_the_diffusion_coefficient(times: int, atoms: int) -> None:
    """Random walks: about two thirds of the results lie within one standard error."""
    d, dt, deviations = 0.35, 0.2, []
    for seed in range(60):
        r = walk(np.random.default_rng(seed), times, atoms, d, dt)
        found = analysis.diffusion(dt * np.arange(times), r)
        assert found.kind == "diffusive"
        assert found.value is not None
        assert found.error is not None
        assert found.along is not None
        assert np.mean(found.along) == pytest.approx(found.value)
        assert found.error < 0.3 * d
        deviations.append((found.value - d) / found.error)
    assert 0.55 <= np.mean(np.abs(deviations) < 1) <= 0.9
    assert np.abs(deviations).max() < 4.5
    assert abs(np.mean(deviations)) < 0.4


def test_drift_of_the_whole_is_no_diffusion() -> None:
    rng = np.random.default_rng(5)
    masses = np.where(np.arange(300) % 2, 1.0, 4.0)
    r = walk(rng, 200, 300, 0.2, 0.1)
    t = 0.1 * np.arange(200)
    moving = r + 3.0 * t[:, None, None]
    assert analysis.diffusion(t, moving).kind == "superdiffusive"
    still = analysis.without_drift(moving, masses)
    assert np.abs(np.einsum("tac,a->tc", still, masses)).max() < 1e-9
    found = analysis.diffusion(t, still)
    assert found.value == pytest.approx(0.2, abs=4 * (found.error or 0))


def trapped(rng: np.random.Generator, times: int, atoms: int, half: float, step: float) -> Any:
    """Random walks between hard walls at +-half."""
    out = np.zeros((times, atoms, 3))
    for k in range(1, times):
        moved = out[k - 1] + rng.normal(scale=step, size=(atoms, 3))
        out[k] = half - np.abs((moved + half) % (4 * half) - 2 * half)
    return out


def fractional(rng: np.random.Generator, times: int, atoms: int, exponent: float) -> Any:
    """Fractional Brownian motion, whose mean square displacement is the lag to this power."""
    t = np.arange(1.0, times)
    covariance = t[:, None] ** exponent + t**exponent - np.abs(t[:, None] - t) ** exponent
    factor = np.linalg.cholesky(0.5 * covariance)
    out = np.zeros((times, atoms, 3))
    out[1:] = (factor @ rng.normal(size=(times - 1, 3 * atoms))).reshape(-1, atoms, 3)
    return out


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("atoms", [20, 200])
def test_what_is_no_diffusion(seed: int, atoms: int) -> None:
    rng = np.random.default_rng(seed)
    t = 0.5 * np.arange(250)

    def kind(r: Any) -> str:
        found = analysis.diffusion(t, r)
        assert (found.value is None) == (found.kind != "diffusive")
        assert (found.bound is not None) == (found.kind in ("none", "subdiffusive"))
        return found.kind

    still = rng.normal(size=(atoms, 3))
    assert kind(np.broadcast_to(still, (250, atoms, 3))) == "none"
    assert kind(still * t[:, None, None]) == "superdiffusive"
    assert kind(still + 0.1 * rng.normal(size=(250, atoms, 3))) == "none"
    assert kind(trapped(rng, 250, atoms, 2.0, 0.5)) in ("none", "subdiffusive")
    assert kind(trapped(rng, 250, atoms, 4.0, 0.5)) in ("none", "subdiffusive")
    assert kind(fractional(rng, 250, atoms, 0.5)) == "subdiffusive"
    assert kind(fractional(rng, 250, atoms, 1.6)) == "superdiffusive"
    assert kind(fractional(rng, 250, atoms, 1.0)) == "diffusive"


@pytest.mark.parametrize("periods", [0.2, 0.5, 1, 1.3, 1.6, 2, 4, 10, 100])
def test_vibrations_are_no_diffusion(periods: float) -> None:
    """Harmonic crystals, in runs from a fraction of a vibration to many: between flight and turn M is straight for a while."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        frequencies, phases = rng.uniform(0.2, 1.8, (60, 3, 8)), rng.uniform(0, 7, (60, 3, 8))
        t = periods * np.linspace(0, 1, 200)
        r = np.cos(2 * np.pi * frequencies * t[:, None, None, None] + phases).sum(axis=-1)
        assert analysis.diffusion(t, r).value is None


def test_vibrations_beside_diffusion() -> None:
    """An offset of the mean square displacement does not change its slope."""
    rng = np.random.default_rng(9)
    r = walk(rng, 200, 300, 0.05, 0.1) + rng.normal(scale=0.2, size=(200, 300, 3))
    found = analysis.diffusion(0.1 * np.arange(200), r)
    assert found.exponent is not None
    assert found.exponent < 0.85
    assert found.value == pytest.approx(0.05, abs=3.5 * (found.error or 0))


def test_liquid_argon() -> None:
    """Rahman's argon (Phys. Rev. 136, A405, 1964): 0.243 Angstrom^2/ps at 94.4 K and 1.374 g/cm^3 with 864 atoms.

    In a periodic cell D is too small by 2.84 k T / (6 pi eta L) (Yeh and Hummer, J. Phys. Chem. B 108, 15873, 2004), with a
    viscosity of 0.25 mPa s: 0.22 with 256 atoms.
    """
    edge = (4 * 39.948 * 1.66053907 / 1.374) ** (1 / 3)
    atoms = bulk("Ar", a=edge, cubic=True) * (4, 4, 4)
    draw_velocities(atoms, 500, np.random.default_rng(0))
    atoms.calc = LennardJones(epsilon=0.0103, sigma=3.405, rc=8.5, skin=0.8)
    dynamics = Bussi(atoms, 5 * units.fs, temperature_K=94.4, taut=500 * units.fs, seed=1)
    dynamics.run(3000)
    times, positions = [], []

    def look() -> None:
        times.append(5e-3 * dynamics.nsteps)
        positions.append(atoms.get_positions())

    dynamics.attach(look, interval=25)
    dynamics.run(5000)
    found = analysis.diffusion(times, positions)
    assert found.kind == "diffusive"
    assert found.value is not None
    assert found.error is not None
    assert found.error < 0.03
    assert abs(found.value - 0.22) < 0.02 + 3 * found.error


def test_diffusion_needs_equal_times_and_finite_positions() -> None:
    r = np.zeros((30, 2, 3))
    with pytest.raises(ValueError, match="time: expected equal intervals"):
        analysis.diffusion(np.arange(30.0) ** 2, r)
    with pytest.raises(ValueError, match=r"time: shape \(29,\); expected \(30,\)"):
        analysis.diffusion(np.arange(29.0), r)
    with pytest.raises(ValueError, match=r"positions: shape \(30, 3\)"):
        analysis.diffusion(np.arange(30.0), r[:, 0])
    r[3, 1, 2] = np.nan
    with pytest.raises(ValueError, match=r"positions\[3, 1, 2\] is nan"):
        analysis.diffusion(np.arange(30.0), r)
    short = analysis.diffusion(np.arange(10.0), np.zeros((10, 2, 3)))
    assert (short.kind, short.value, short.bound) == ("short", None, None)


def test_what_is_no_array_of_finite_numbers_is_told_by_name() -> None:
    """Of functions that had NumPy's own messages, or NaN."""
    r, w, huge = np.zeros((30, 2, 3)), np.zeros((2, 9)), 10**400
    for bad, message in (
        (1j, "complex"),
        ("x", "text|str"),
        ([[1], [2, 3]], r"\[\[1"),
        (huge, "00"),
    ):
        for name, call in (
            ("positions", analysis.msd),
            ("positions", lambda x: analysis.without_drift(x, [1, 1])),
            ("masses", lambda x: analysis.without_drift(r, x)),
            ("time", lambda x: analysis.diffusion(x, r)),
            ("x", analysis.correlation_time),
            ("time", lambda x: analysis.energy_drift(x, r[:, 0, 0])),
            ("energy", lambda x: analysis.energy_drift(np.arange(30.0), x)),
            ("virials", lambda x: analysis.heat_flux([1, 1], r[0], [0, 0], x)),
            ("masses", lambda x: analysis.heat_flux(x, r[0], [0, 0], w)),
        ):
            with pytest.raises(ValueError, match=rf"^{name}: .*(?:{message}).*; expected"):
                call(bad)
    for masses in ([0, 0], [-1, 2], [1, 1, 1], [[1, 1]]):
        with pytest.raises(ValueError, match=r"masses: shape \(.*\); expected \(2,\)"):
            analysis.without_drift(r, masses)
    with pytest.raises(ValueError, match=r"x: shape \(30, 2, 3\); expected a series"):
        analysis.correlation_time(r)
    with pytest.raises(ValueError, match=r"energy: shape \(29,\); expected"):
        analysis.energy_drift(np.arange(30.0), np.zeros(29))
    with pytest.raises(ValueError, match=r"energy\[2\] is nan; expected finite"):
        analysis.energy_drift([0, 1, 2, 3], [0, 1, np.nan, 3])
    with pytest.raises(TypeError, match="unit: 3; expected a text"):
        analysis.green_kubo(np.random.default_rng(1).normal(size=400), 0.1, unit=3)  # type: ignore[arg-type]
