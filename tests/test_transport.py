"""Correlation functions, their integrals and errors: signals with known answers, hand-made units, liquid argon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk

from mdkern import analysis
from mdkern.calculators import LennardJones
from mdkern.cli.dynamics import draw_velocities
from mdkern.md import Bussi

Array = np.ndarray[Any, Any]


def remembered(
    rng: np.random.Generator, runs: int, n: int, dt: float, decay: float, omega: float = 0.0
) -> Array:
    """Ornstein-Uhlenbeck processes, (n, runs), of variance one: correlation exp(-t / decay) cos(omega t)."""
    factor = np.exp(dt * (-1 / decay + 1j * omega))
    noise = np.sqrt(1 - abs(factor) ** 2) * rng.normal(size=(n, runs, 2)).view(complex)[..., 0]
    out = np.empty((n, runs))
    state = rng.normal(size=(runs, 2)).view(complex)[:, 0]
    for k in range(n):
        state = factor * state + noise[k]
        out[k] = state.real
    return out


def trapezoids(dt: float, decay: float, omega: float = 0.0) -> float:
    """The integral of that correlation over all samples at lags k dt."""
    factor = np.exp(dt * (-1 / decay + 1j * omega))
    return float((dt * (0.5 + factor / (1 - factor))).real)


# --- autocorrelation


@pytest.mark.quick
def test_autocorrelation_against_its_definition() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(53, 2)) + 3.0
    for centred in (True, False):
        got = analysis.autocorrelation(x, centred=centred)
        y = x - x.mean(axis=0) if centred else x
        assert got.shape == (53, 2)
        for k in (0, 1, 13, 52):
            assert np.allclose(got[k], (y[k:] * y[: 53 - k]).mean(axis=0), rtol=1e-12, atol=1e-12)
    assert np.allclose(analysis.autocorrelation(x, 7), analysis.autocorrelation(x)[:8], atol=1e-12)
    rho = analysis.autocorrelation(x[:, 0], normalized=True)
    assert rho[0] == 1.0
    assert rho.shape == (53,)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 97, 100, 1009])
def test_autocorrelation_of_any_length(n: int) -> None:
    x = np.random.default_rng(n).normal(size=n)
    wanted = np.correlate(x, x, "full")[n - 1 :] / (n - np.arange(n))
    assert np.allclose(analysis.autocorrelation(x, centred=False), wanted, atol=1e-12)


# --- value and error of integrals

DT, TIMES = 0.15, 6000
SIGNALS: dict[str, tuple[Callable[[np.random.Generator], Array], float]] = {
    "white noise": (lambda rng: rng.normal(size=(TIMES, 300)), DT / 2),
    "Ornstein-Uhlenbeck": (
        lambda rng: remembered(rng, 300, TIMES, DT, 1.0),
        trapezoids(DT, 1.0),
    ),
    "damped oscillation": (
        lambda rng: remembered(rng, 300, TIMES, DT, 1.0, 3.0),
        trapezoids(DT, 1.0, 3.0),
    ),
    "fast and slow": (
        lambda rng: (
            0.8**0.5 * remembered(rng, 300, TIMES, DT, 0.2)
            + 0.2**0.5 * remembered(rng, 300, TIMES, DT, 1.5)
        ),
        0.8 * trapezoids(DT, 0.2) + 0.2 * trapezoids(DT, 1.5),
    ),
}


def test_the_trapezoids_of_these_signals_are_their_integrals() -> None:
    assert trapezoids(1e-3, 2.0) == pytest.approx(2.0, rel=1e-6)
    assert trapezoids(1e-3, 2.0, 3.0) == pytest.approx(2.0 / 37.0, rel=1e-4)
    assert trapezoids(DT, 1.0) == pytest.approx(1.0, rel=2e-3)


@pytest.mark.parametrize("signal", SIGNALS)
def test_error_bars_hold_two_thirds(signal: str) -> None:
    """100 runs of three components each: values, and how many lie within one and two of their errors."""
    make, wanted = SIGNALS[signal]
    x = make(np.random.default_rng(7)).reshape(TIMES, 100, 3)
    found = [analysis.green_kubo(x[:, k], DT) for k in range(100)]
    assert {f.kind for f in found} <= {"converged", "unconverged"}
    good = [f for f in found if f.kind == "converged"]
    assert len(good) >= 95
    values = np.array([f.value for f in good])
    deviations = (values - wanted) / np.array([f.error for f in good])
    assert abs(values.mean() / wanted - 1.0) < 0.04
    assert 0.55 <= np.mean(np.abs(deviations) < 1) <= 0.85
    assert np.mean(np.abs(deviations) < 2) >= 0.85
    assert values.std() < 0.2 * wanted


def test_displacements_of_integrated_fluxes() -> None:
    """Einstein's and Helfand's way to the same coefficient, with errors that hold as well."""
    make, wanted = SIGNALS["Ornstein-Uhlenbeck"]
    x = make(np.random.default_rng(12)).reshape(TIMES, 100, 3)
    found = [analysis.green_kubo(x[:, k], DT, method="einstein") for k in range(100)]
    good = [f for f in found if f.kind == "converged"]
    assert len(good) >= 95
    deviations = np.array([((f.value or 0) - wanted) / (f.error or 1) for f in good])
    assert abs(np.mean([f.value or 0 for f in good]) / wanted - 1.0) < 0.04
    assert 0.55 <= np.mean(np.abs(deviations) < 1) <= 0.85
    # The mean over the integrals from the window to twice that, by other sums.
    for f in good[:5]:
        end = round((f.window or 0) / DT)
        over = f.integral[end : 2 * end + 1].mean()
        assert f.value == pytest.approx(over, abs=0.5 * (f.error or 0))


def test_a_given_window_has_the_error_of_theory() -> None:
    """J. E. Jones and K. K. Mandadapu, J. Chem. Phys. 136, 154102 (2012): K sqrt(4 T / t) of one long series."""
    make, wanted = SIGNALS["Ornstein-Uhlenbeck"]
    x = make(np.random.default_rng(3))
    found = [analysis.green_kubo(x[:, k], DT, cutoff=6.0) for k in range(100)]
    good = [f for f in found if f.kind == "converged"]
    assert len(good) > 90
    assert {f.window for f in good} == {6.0}
    assert {f.rule for f in good} == {"given"}
    values = np.array([f.value for f in good])
    theory = wanted * np.sqrt(4 * 6.0 / (TIMES * DT))
    assert values.std() == pytest.approx(theory, rel=0.3)
    assert np.mean([f.error for f in good]) == pytest.approx(theory, rel=0.35)


def test_a_result_has_what_it_says() -> None:
    rng = np.random.default_rng(2)
    x = remembered(rng, 3, 20000, 0.1, 1.0) * [1.0, 2.0, 3.0] + [5.0, -2.0, 0.0]
    found = analysis.green_kubo(x, 0.1 * np.arange(20000), factor=2.0, unit="W")
    assert found.kind == "converged"
    assert found.value is not None
    assert found.error is not None
    assert found.window is not None
    assert found.along is not None
    assert found.along_error is not None
    assert np.mean(found.along) == pytest.approx(found.value)
    for k in range(3):
        wanted = 2.0 * (k + 1) ** 2
        assert found.along[k] == pytest.approx(wanted, abs=4 * found.along_error[k])
    assert found.correlation[0] == pytest.approx(14 / 3, rel=0.1)
    assert found.time[1] == pytest.approx(0.1)
    end = round(found.window / 0.1)
    assert found.integral[end] == pytest.approx(found.value)
    assert found.integral_error[end] <= found.error
    assert len({len(a) for a in (found.time, found.correlation, found.integral)}) == 1
    assert str(found).startswith(f"{found.value:.2f}"[:3])
    assert "W; integral up to" in str(found)
    assert "array" not in repr(found)
    # The factor and the sign of the flux change nothing else.
    other = analysis.green_kubo(-x, 0.1)
    assert other.value == pytest.approx(found.value / 2)
    assert other.window == found.window


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.12914, 0.0113, "0.129 +/- 0.011"),
        (2.9e-4, 1.4e-5, "0.000290 +/- 0.000014"),
        (2.9e-5, 1.44e-6, "(2.90 +/- 0.14)e-05"),
        (123456.0, 3210.0, "123456 +/- 3210"),
        (0.01, 0.25, "0.01 +/- 0.25"),
        (1.0, 0.0, "1 +/- 0"),
    ],
)
def test_text_of_a_value(value: float, error: float, text: str) -> None:
    empty = np.zeros(0)
    found = analysis.GreenKubo(
        "converged", "m", "found", 10, 2.0, empty, empty, empty, empty, empty,
        value=value, error=error, window=0.5,
    )  # fmt: skip
    assert str(found) == f"{text} m; integral up to 0.5 ps (found), 10 blocks of 2 ps"


# --- where there is no value


def test_what_has_no_value() -> None:
    rng = np.random.default_rng(4)
    # The derivative of a series that stays where it is: nothing is transported.
    still = np.diff(remembered(rng, 3, 20001, 0.1, 1.0), axis=0)
    found = analysis.green_kubo(still, 0.1)
    assert found.kind == "zero"
    assert found.value is None
    assert found.bound is not None
    assert 0 <= found.bound < 0.01 * found.correlation[0]
    assert str(found).startswith("none seen: below")
    # A run of few decay times, a random walk, and one that is remembered for ever.
    for x in (
        remembered(rng, 3, 400, 0.1, 1.0),
        np.cumsum(rng.normal(size=(5000, 3)), axis=0),
        np.sin(0.01 * np.arange(5000.0)),
        1.0 + 1e-3 * np.arange(5000.0),
    ):
        found = analysis.green_kubo(x, 0.1)
        assert (found.kind, found.value, found.error) == ("unconverged", None, None)
        assert "too short" in str(found)
    found = analysis.green_kubo(rng.normal(size=150), 0.1)
    assert (found.kind, found.value) == ("short", None)
    assert "expected 16 samples in each of 10 blocks" in str(found)
    # A drift that was not subtracted.
    found = analysis.green_kubo(5.0 + remembered(rng, 3, 20000, 0.1, 1.0), 0.1, centred=False)
    assert found.kind == "unconverged"


def test_samples_that_are_too_far_apart() -> None:
    rng = np.random.default_rng(11)
    advice = "of the correlation: record more often"
    assert advice in str(analysis.green_kubo(rng.normal(size=2000), 0.1))
    assert advice in str(analysis.green_kubo(remembered(rng, 1, 20000, 1.0, 1.0), 1.0))
    assert advice not in str(analysis.green_kubo(remembered(rng, 1, 20000, 0.3, 1.0), 0.3))


def test_a_cutoff_that_is_too_early() -> None:
    x = remembered(np.random.default_rng(5), 3, 40000, 0.1, 1.0)
    early = analysis.green_kubo(x, 0.1, cutoff=0.5)
    assert (early.kind, early.value, early.window) == ("unconverged", None, 0.5)
    assert "goes on changing behind the cutoff of 0.5 ps" in str(early)
    late = analysis.green_kubo(x, 0.1, cutoff=8.0)
    assert late.value == pytest.approx(1.0, abs=4 * (late.error or 0))


BAD: list[tuple[dict[str, Any], str]] = [
    ({"flux": np.zeros((5, 2, 3))}, r"flux: shape \(5, 2, 3\); expected \(n,\) or \(n, components\)"),
    ({"flux": np.zeros((0, 3))}, r"flux: shape \(0, 3\)"),
    ({"flux": np.ones((100, 2))}, "flux: component 0 is constant, 1; expected fluctuations"),
    ({"flux": np.arange(15.0)}, "flux: 15 samples; expected at least 2 for each of 10 blocks"),
    ({"flux": ["a", "b"]}, "flux: of type"),
    ({"flux": 1e200 * np.arange(100.0)}, "flux: numbers up to 9.9e.201; expected another unit"),
    ({"time": 0.0}, "time: 0.0; expected a positive finite number"),
    ({"time": np.arange(99.0)}, r"time: shape \(99,\); expected \(100,\)"),
    ({"time": np.arange(100.0) ** 2}, "time: expected equal intervals"),
    ({"time": -np.arange(100.0)}, "time: expected equal intervals"),
    ({"blocks": 2}, "blocks: 2; expected an integer >= 3"),
    ({"blocks": 10.0}, "blocks: 10.0; expected an integer"),
    ({"cutoff": -1.0}, "cutoff: -1.0; expected a positive"),
    ({"cutoff": 3.0}, "cutoff: 3; expected at least the interval, 1, and at most 2.5, a quarter of one of 10 blocks"),
    ({"cutoff": 0.5}, "cutoff: 0.5; expected at least the interval, 1"),
    ({"method": "kubo"}, "method: 'kubo'; expected one of green-kubo, einstein"),
    ({"factor": np.nan}, "factor: nan"),
    ({"centred": "no"}, "centred: 'no'"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_input_is_told_by_name(arguments: dict[str, Any], message: str) -> None:
    x = np.random.default_rng(0).normal(size=(100, 3))
    with pytest.raises(ValueError, match=message):
        analysis.green_kubo(**({"flux": x, "time": 1.0} | arguments))


def test_bad_input_of_the_others() -> None:
    x = np.random.default_rng(0).normal(size=(200, 3))
    x[7, 1] = np.nan
    with pytest.raises(ValueError, match=r"flux\[7, 1\] is nan; expected finite numbers"):
        analysis.thermal_conductivity(x, 0.1, 300, 100)
    with pytest.raises(ValueError, match=r"x\[7, 1\] is nan"):
        analysis.autocorrelation(x)
    x[7, 1] = 0.0
    with pytest.raises(ValueError, match="temperature: 0; expected a positive"):
        analysis.thermal_conductivity(x, 0.1, 0, 100)
    with pytest.raises(ValueError, match="volume: -1; expected a positive"):
        analysis.thermal_conductivity(x, 0.1, 300, -1)
    with pytest.raises(ValueError, match=r"pressure: shape \(200, 3\); expected \(n, 6\)"):
        analysis.viscosity(x, 0.1, 300, 100)
    with pytest.raises(ValueError, match="pressure: component 0 is constant, 1; expected"):
        analysis.viscosity(np.ones((200, 6)), 0.1, 300, 100)
    with pytest.raises(ValueError, match="pressure: 2 samples; expected at least 2 for each"):
        analysis.viscosity(np.ones((2, 6)), 0.1, 300, 100)
    with pytest.raises(ValueError, match="temperature: inf"):
        analysis.viscosity(np.ones((200, 6)), 0.1, np.inf, 100)
    with pytest.raises(ValueError, match=r"velocities: shape \(200, 3\); expected \(n_times"):
        analysis.green_kubo_diffusion(x, 0.1)
    with pytest.raises(ValueError, match="velocities: up to 0; expected those of a run"):
        analysis.green_kubo_diffusion(np.zeros((200, 4, 3)), 0.1)
    with pytest.raises(ValueError, match="velocities: 5 times; expected at least 2"):
        analysis.green_kubo_diffusion(np.ones((5, 4, 3)), 0.1)
    with pytest.raises(ValueError, match="lags: 200; expected an integer from 0 to 199"):
        analysis.autocorrelation(x, 200)
    with pytest.raises(ValueError, match=r"x: 3\.0; expected an array"):
        analysis.autocorrelation(3.0)
    with pytest.raises(ValueError, match="x: a constant column"):
        analysis.autocorrelation(np.full(50, 0.1), normalized=True)


# --- units and tensors


def test_units_of_the_thermal_conductivity() -> None:
    """By hand, in SI: J of variance (2 eV A / ASE time)^2, remembered for 0.5 ps, 100 K, 8000 A^3."""
    e, k_b, amu = 1.602176634e-19, 1.380649e-23, 1.66053906660e-27
    ase_time = 1e-10 * np.sqrt(amu / e)
    variance = (2.0 * e * 1e-10 / ase_time) ** 2
    wanted = variance * 0.5e-12 / (8000e-30 * k_b * 100.0**2)
    x = 2.0 * remembered(np.random.default_rng(1), 3, 100_000, 0.02, 0.5)
    found = analysis.thermal_conductivity(x, 0.02, 100.0, 8000.0)
    assert found.unit == "W/m/K"
    assert found.value == pytest.approx(wanted, abs=3 * (found.error or 0))
    assert (found.error or 1) < 0.1 * wanted


def test_units_and_components_of_the_viscosity() -> None:
    """By hand, in SI; all five components of Daivis and Evans, from nine numbers."""
    e, k_b = 1.602176634e-19, 1.380649e-23
    deviation = 0.01 * e * 1e30  # 0.01 eV/A^3
    wanted = 5000e-30 / (k_b * 90.0) * deviation**2 * 0.2e-12
    rng = np.random.default_rng(6)
    five = 0.01 * remembered(rng, 5, 60_000, 0.02, 0.2)
    trace = 0.3 * rng.normal(size=60_000) + 0.5  # the pressure itself is no part of it
    xy, xz, yz, a, b = five.T
    third = b / 3**0.5
    p = np.stack([trace + a - third, trace - a - third, trace + 2 * third, yz, xz, xy], axis=1)
    found = analysis.viscosity(p, 0.02, 90.0, 5000.0)
    assert found.unit == "Pa s"
    assert found.value == pytest.approx(wanted, abs=3 * (found.error or 0))
    assert (found.error or 1) < 0.1 * wanted
    direct = analysis.green_kubo(five, 0.02)
    assert np.allclose(found.along or (), (found.value or 0) / (direct.value or 1) * np.array(direct.along))  # fmt: skip
    # Sign and trace do not matter, and of a full tensor its symmetric part is taken.
    tensor = np.empty((60_000, 3, 3))
    tensor[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] = -p
    twist = rng.normal(size=(60_000, 3))
    tensor[:, [2, 2, 1], [1, 0, 0]] = -p[:, 3:] - 2 * twist
    tensor[:, [1, 0, 0], [2, 2, 1]] += 2 * twist
    tensor[:, [0, 1, 2], [0, 1, 2]] += 7.0
    again = analysis.viscosity(tensor, 0.02, 90.0, 5000.0)
    # -p and twist: (-p + 2 twist - p - 2 twist) / 2.
    assert again.value == pytest.approx(found.value, rel=1e-9)


def test_the_five_components_are_the_whole_tensor() -> None:
    """V / (10 k T) times the double contraction of the symmetric traceless tensor, at lag zero."""
    rng = np.random.default_rng(8)
    p = rng.normal(size=(400, 3, 3))
    p = p + p.swapaxes(1, 2)
    found = analysis.viscosity(p, 1.0, 1.0 / units.kB, 1.0)
    traceless = p - p.trace(axis1=1, axis2=2)[:, None, None] * np.eye(3) / 3
    # Each component without its mean, which is linear in the tensor.
    traceless = traceless - traceless.mean(axis=0)
    wanted = (traceless**2).sum(axis=(1, 2)).mean() / 10
    assert found.correlation[0] == pytest.approx(wanted)


def test_diffusion_of_brownian_particles() -> None:
    """Langevin: D = k T / (m gamma); in ASE's units of velocity, by hand."""
    rng = np.random.default_rng(9)
    ase_time = 1e-10 * np.sqrt(1.66053906660e-27 / 1.602176634e-19) * 1e12  # ps
    v = 0.01 * remembered(rng, 3 * 50, 3000, 0.05, 0.4).reshape(3000, 50, 3)
    wanted = (0.01 / ase_time) ** 2 * 0.4
    found = analysis.green_kubo_diffusion(v, 0.05)
    assert found.unit == "Angstrom^2/ps"
    assert found.value == pytest.approx(wanted, abs=3 * (found.error or 0))
    assert (found.error or 1) < 0.05 * wanted
    assert len(found.along or ()) == 3


def test_velocities_in_pieces_of_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    v = remembered(np.random.default_rng(10), 3 * 20, 1000, 0.1, 0.2).reshape(1000, 20, 3)
    whole = analysis.green_kubo_diffusion(v, 0.1)
    monkeypatch.setattr("mdkern.analysis.transport._NUMBERS", 3 * 3 * 1000)
    pieces = analysis.green_kubo_diffusion(v, 0.1)
    assert np.allclose(whole.correlation, pieces.correlation, rtol=1e-12, atol=1e-12)
    assert whole.value == pytest.approx(pieces.value, rel=1e-10)


# --- vibrations


def test_lines_of_vibrations() -> None:
    """Atoms of two masses with 2 and 5 THz: lines there, with the shares of the kinetic energy."""
    rng = np.random.default_rng(13)
    t = 0.02 * np.arange(5000)
    phases = rng.uniform(0, 2 * np.pi, (5000 // 500, 6, 3))
    v = np.empty((5000, 6, 3))
    for block, at in enumerate(np.split(np.arange(5000), 10)):
        for atom in range(6):
            nu = 2.0 if atom < 3 else 5.0
            v[at, atom] = np.cos(2 * np.pi * nu * t[at, None] + phases[block, atom])
    frequency, density, error = analysis.vibrational_density(v, t, [1, 1, 1, 3, 3, 3])
    width = frequency[1] - frequency[0]
    assert width == pytest.approx(0.1)
    assert density.sum() * width == pytest.approx(1.0)
    for nu, share in ((2.0, 0.25), (5.0, 0.75)):
        near = np.abs(frequency - nu) < 0.25
        assert density[near].sum() * width == pytest.approx(share, abs=1e-3)
        assert frequency[near][density[near].argmax()] == pytest.approx(nu)
    assert (error < 0.05 * density.max()).all()
    # One kind of atoms: no masses are needed. White noise: the same at every frequency.
    white = rng.normal(size=(4000, 30, 3))
    frequency, density, error = analysis.vibrational_density(white, 0.01)
    flat = density[2:-2]
    assert flat.mean() == pytest.approx(1 / 50.0, rel=0.02)
    assert 0.55 < np.mean(np.abs(flat - 1 / 50.0) < error[2:-2]) < 0.8


def test_vibrations_of_bad_input() -> None:
    v = np.random.default_rng(0).normal(size=(100, 4, 3))
    with pytest.raises(ValueError, match=r"masses: shape \(3,\); expected \(4,\) positive"):
        analysis.vibrational_density(v, 0.1, [1, 1, 1])
    with pytest.raises(ValueError, match="masses: shape"):
        analysis.vibrational_density(v, 0.1, [1, 1, 1, 0])
    with pytest.raises(
        ValueError, match="velocities: 100 times; expected at least 8 for each of 20"
    ):
        analysis.vibrational_density(v, 0.1, blocks=20)
    with pytest.raises(ValueError, match="velocities: all of them zero"):
        analysis.vibrational_density(0 * v, 0.1)
    with pytest.raises(ValueError, match=r"velocities: shape \(100, 4\)"):
        analysis.vibrational_density(v[:, :, 0], 0.1)


# --- liquid argon


def liquid(density: float, temperature: float, steps: int) -> Atoms:
    """108 atoms of argon (g/cm^3, K), melted and brought to equilibrium."""
    atoms = bulk("Ar", a=(4 * 39.948 * 1.66053907 / density) ** (1 / 3), cubic=True) * (3, 3, 3)
    draw_velocities(atoms, 600, np.random.default_rng(0))
    atoms.calc = LennardJones(epsilon=119.8 * units.kB, sigma=3.405, rc=8.5125, skin=0.8)
    for kelvin in (300.0, temperature):
        Bussi(atoms, 5 * units.fs, temperature_K=kelvin, taut=200 * units.fs, seed=1).run(steps)
    return atoms


def test_diffusion_of_argon_from_velocities_and_from_positions() -> None:
    """Rahman's state, see test_analysis; 0.20 with 108 atoms by its correction for the size of the cell."""
    atoms = liquid(1.374, 94.4, 3000)
    dynamics = Bussi(atoms, 5 * units.fs, temperature_K=94.4, taut=2000 * units.fs, seed=1)
    velocities, positions = [], []

    def look() -> None:
        velocities.append(atoms.get_velocities())
        positions.append(atoms.get_positions())

    dynamics.attach(look, interval=5)
    dynamics.run(10_000)
    masses = atoms.get_masses()
    dt = 5 * 5e-3
    still = analysis.without_drift(velocities, masses)
    kubo = analysis.green_kubo_diffusion(still, dt, blocks=5, cutoff=1.7)
    moved = analysis.without_drift(positions, masses)
    einstein = analysis.diffusion(dt * np.arange(len(moved)), moved)
    assert kubo.kind == "converged"
    assert einstein.kind == "diffusive"
    assert kubo.value is not None
    assert kubo.error is not None
    assert kubo.value == pytest.approx(einstein.value, abs=3 * (einstein.error or 0))
    assert abs(kubo.value - 0.21) < 0.02 + 3 * kubo.error
    assert kubo.error < 0.04
    # Equipartition, and the cage that throws atoms back.
    thermal = units.kB * 94.4 / masses[0] * 107 / 108
    assert kubo.correlation[0] == pytest.approx(thermal, rel=0.05)
    assert kubo.correlation.min() < -0.02 * kubo.correlation[0]


def test_conductivity_and_viscosity_of_argon() -> None:
    """Near the triple point, T* = 0.722 and 0.8442 / sigma^3, where others found 6.95(12) and 3.27(6) in reduced units.

    S. Viscardy, J. Servantie and P. Gaspard, J. Chem. Phys. 126, 184512 and 184513 (2007), with 1372 atoms: 0.1306 W/m/K and
    0.295 mPa s. A run of 150 ps with 108 atoms has errors of 15 %.
    """
    atoms = liquid(1.4185, 86.5, 3000)
    dynamics = Bussi(atoms, 5 * units.fs, temperature_K=86.5, taut=2000 * units.fs, seed=1)
    dynamics.record_fluxes(5)
    dynamics.run(30_000)
    fluxes = dynamics.recorded_fluxes()
    temperature = float(fluxes.kinetic.mean()) / (1.5 * units.kB * 107)
    assert temperature == pytest.approx(86.5, abs=4)
    # The crystal, which may live for long at this density, has a pressure below zero.
    assert 0.02 < fluxes.pressure[:, :3].mean() / units.GPa < 0.05
    state = (5 * 5e-3, temperature, atoms.get_volume())
    for found, wanted in (
        (analysis.thermal_conductivity(fluxes.heat, *state, cutoff=1.8), 0.1306),
        (analysis.viscosity(fluxes.pressure, *state, cutoff=2.5), 2.95e-4),
    ):
        at = found.time.searchsorted(found.window or 0.0)
        assert 0.03 * wanted < found.integral_error[at] < 0.35 * wanted
        assert abs(found.integral[at] - wanted) < 0.05 * wanted + 3 * found.integral_error[at]
    # The other way to it, with the same series.
    other = analysis.viscosity(fluxes.pressure, *state, cutoff=2.5, method="einstein")
    if found.value is not None:
        assert other.value == pytest.approx(found.value, abs=2 * (found.error or 0))
