"""Linear models: exact derivatives, files, fits to data made by a potential and to real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, Hookean
from ase.io import read
from ase.md.verlet import VelocityVerlet
from contracts import ISAS, PotentialContract, evaluate, raw
from reference_data import shared_folder

import mdkern
from mdkern.calculators import LennardJones, LinearModel
from mdkern.descriptors import ACSF, SOAP
from mdkern.fitting import errors, fit_linear
from mdkern.reference import Result
from mdkern.reference.soap import soap

SETTINGS = {"r_cut": 2.4, "n_max": 3, "l_max": 3, "sigma": 0.3}


def small(**kwargs: Any) -> SOAP:
    return SOAP(["Cu", "Ag"], **SETTINGS, periodic=True, **kwargs)


def weights_of(descriptor: Any) -> Any:
    rng = np.random.default_rng(7)
    w = rng.normal(size=(len(descriptor.species), descriptor.get_number_of_features()))
    return 1e-3 * w


def by_definition(atoms: Atoms) -> Result:
    """Energy and derivatives from the Jacobian of the definition; virial from the pair vectors of a cluster of images."""
    descriptor = small()
    w, b = weights_of(descriptor), np.array([0.3, -0.2])
    kinds = np.searchsorted([29, 47], atoms.numbers)
    values, slopes = soap(
        atoms.positions, atoms.cell.array, atoms.pbc, kinds, np.arange(len(atoms)), n_species=2, gradient=True, **SETTINGS
    )  # fmt: skip
    energies = np.einsum("cf,cf->c", w[kinds], values) + b[kinds]
    forces = -np.einsum("cf,caxf->ax", w[kinds], slopes)
    strain = descriptor.derivatives_strain(atoms)
    virial = -np.einsum("cf,cxyf->xy", w[kinds], strain)
    return Result(float(energies.sum()), energies, forces, 0.5 * (virial + virial.T))


class LinearContract(PotentialContract):
    """The contract of potentials; a few atoms give each thread work."""

    symbols = ("Cu", "Ag")
    listed = 3000

    def test_same_bits_for_every_number_of_threads(self) -> None:
        atoms = self.large()
        for isa in ISAS:
            mdkern.set_isa(isa)
            expected = raw(evaluate(self.make(threads=1), atoms, True))
            for threads in (1, 2, 3, 8):
                assert raw(evaluate(self.make(threads=threads), atoms, True)) == expected


class TestLinearSOAP(LinearContract):
    make = staticmethod(lambda **kw: LinearModel(small(), weights_of(small()), [0.3, -0.2], **kw))
    reference = staticmethod(by_definition)
    continuous = "nothing"
    accuracy = 1e-11


class TestSmooth(LinearContract):
    make = staticmethod(
        lambda **kw: LinearModel(small(smooth_cutoff=0.8), weights_of(small()), [0.3, -0.2], **kw)
    )
    reference = staticmethod(by_definition)
    continuous = "forces"

    # The definition has no smooth end.
    test_equals_the_definition = None  # type: ignore[assignment]
    test_large_equals_the_definition_of_a_part = None  # type: ignore[assignment]


def test_acsf_too() -> None:
    d = ACSF(["Cu"], 4.0, g2_params=[[1.0, 2.0]], g4_params=[[0.1, 2, 1]], periodic=True)
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=1)
    atoms.calc = LinearModel(d, [0.1, 0.2, -0.3])
    e, h = [], 1e-5
    for sign in (1, -1):
        b = atoms.copy()
        b.positions[1, 2] += sign * h
        b.calc = atoms.calc
        e.append(b.get_potential_energy())
    assert abs(-(e[0] - e[1]) / (2 * h) - atoms.get_forces()[1, 2]) <= 1e-8


def test_files(tmp_path: Path) -> None:
    d = small(
        smooth_cutoff=0.5,
        compression={"mode": "mu1nu1", "species_weighting": {"Cu": 1.0, "Ag": 0.7}},
    )
    calc = LinearModel(d, weights_of(d), [1.0, 2.0])
    path = tmp_path / "model.npz"
    calc.save(path)
    atoms = bulk("Cu", cubic=True)
    atoms.symbols[1] = "Ag"
    atoms.rattle(0.1, seed=1)
    calc.calculate(atoms)
    for other in (mdkern.load(path), LinearModel(path)):
        other.calculate(atoms)
        assert other.results["energy"] == calc.results["energy"]
        assert np.array_equal(other.results["forces"], calc.results["forces"])
    json.dumps(calc.parameters["descriptor"])  # what ASE writes into its files

    good = dict(np.load(path))
    for change, text in (
        ({"format": np.array("other")}, "format 'other'"),
        ({"descriptor": np.array("{")}, "JSON"),
        ({"descriptor": np.array('{"descriptor": "MBTR"}')}, "descriptor: 'MBTR'; expected one of"),
        ({"descriptor": np.array('{"descriptor": "SOAP", "q": 1}')}, "descriptor SOAP: .*'q'"),
        ({"weights": np.zeros((2, 3))}, r"weights: shape \(2, 3\)"),
        ({"weights": np.full(good["weights"].shape, np.nan)}, "expected finite numbers"),
        ({"intercepts": np.array(["a", "b"])}, "intercepts: <U1 array"),
        ({"weights": None}, "no array 'weights'"),
    ):
        bad = {k: v for k, v in {**good, **change}.items() if v is not None}
        np.savez(tmp_path / "bad.npz", **bad)
        with pytest.raises(mdkern.FormatError, match=text) as caught:
            LinearModel(tmp_path / "bad.npz")
        assert caught.value.path == str(tmp_path / "bad.npz")
    (tmp_path / "no.npz").write_bytes(b"PK\x03\x04nonsense")
    with pytest.raises(mdkern.FormatError, match="not a linear model"):
        LinearModel(tmp_path / "no.npz")


def test_messages() -> None:
    d = small()
    with pytest.raises(ValueError, match="weights: missing"):
        LinearModel(d)
    with pytest.raises(ValueError, match=r"weights: shape \(3,\)"):
        LinearModel(d, np.zeros(3))
    with pytest.raises(ValueError, match=r"intercepts: shape \(3,\)"):
        LinearModel(d, weights_of(d), np.zeros(3))
    for other in (
        SOAP(["Cu"], **SETTINGS),
        SOAP(["Cu"], **SETTINGS, periodic=True, average="inner"),
    ):
        with pytest.raises(ValueError, match="expected one with average='off' and periodic=True"):
            LinearModel(other, np.zeros(other.get_number_of_features()))


# --- fits


def argon(n: int, seed: int = 0) -> list[Atoms]:
    """Frames with energies, forces and stresses of Lennard-Jones argon."""
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(n):
        atoms = bulk("Ar", cubic=True, a=5.3 * rng.uniform(0.97, 1.03)) * 2
        atoms.positions += rng.normal(scale=0.2, size=atoms.positions.shape)
        atoms.calc = LennardJones(sigma=3.4, epsilon=0.0104, rc=6.0, smooth=True)
        atoms.calc.calculate(atoms)
        results = {k: atoms.calc.results[k] for k in ("energy", "forces", "stress")}
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    return frames


def test_a_fit_to_lennard_jones() -> None:
    frames = argon(12)
    d = SOAP(["Ar"], 5.0, 8, 2, sigma=0.5, periodic=True, smooth_cutoff=1.0)
    fit = fit_linear(frames[:8], d, validation=frames[8:], alpha=[1e-10, 1e-8, 1e-2])
    assert fit.alpha in (1e-10, 1e-8)
    assert fit.validation["forces"] <= 0.05 * fit.validation["force_spread"]
    assert fit.validation["energy"] <= 1e-3
    assert fit.validation["stress"] <= 2e-3
    # What the fit predicts from its equations is what the calculator computes.
    found = errors(frames[8:], fit.calculator())
    for key, value in fit.validation.items():
        assert abs(found[key] - value) <= 1e-9 + 1e-6 * value


def test_a_fit_with_acsf_and_energies_alone() -> None:
    frames = argon(10)
    for a in frames:
        a.calc = SinglePointCalculator(a, energy=a.calc.results["energy"])
    d = ACSF(["Ar"], 6.0, g2_params=[[1.0, r] for r in (3.0, 3.5, 4.0, 4.5, 5.0)], periodic=True)
    fit = fit_linear(frames, d, alpha=1e-9)
    assert set(fit.train) == {"energy"}
    assert fit.train["energy"] <= 5e-4


def test_fits_agree_between_forms_of_derivatives() -> None:
    """SOAP sums its Jacobian in the kernel; the general way gives the same rows."""
    from mdkern.descriptors import Descriptor

    d = small()
    atoms = bulk("Cu", cubic=True)
    atoms.symbols[:2] = "Ag"
    atoms.rattle(0.1, seed=1)
    env = d.environments(atoms, [0, 2, 3], 0)
    for a, b in zip(d.summed(env, 0), Descriptor.summed(d, env, 0), strict=True):
        assert np.abs(a - b).max() <= 1e-12 * np.abs(b).max()


def test_messages_of_the_fit() -> None:
    frames, d = argon(1), SOAP(["Ar"], 5.0, 2, 1, periodic=True)
    for arguments, text in (
        ({"frames": []}, "frames: empty"),
        ({"alpha": 0.0}, "alpha: 0.0"),
        ({"alpha": [1.0, 2.0]}, "expected `validation` frames"),
        ({"force_weight": -1}, "force_weight: -1"),
        ({"force_weight": "1"}, "force_weight: '1'; expected a finite number"),
        ({"alpha": "1e-6"}, "alpha: '1e-6'; expected a positive"),
        ({"alpha": []}, "alpha: empty"),
        ({"alpha": [1e-6, None]}, "alpha: None"),
        ({"energy_weight": 0, "force_weight": 0, "stress_weight": 0}, "none has data"),
        ({"frames": [bulk("Ar")]}, "frame 0: no energy"),
    ):
        with pytest.raises(ValueError, match=text):
            fit_linear(**{"frames": frames, "descriptor": d, **arguments})
    for name in ("frames", "validation"):
        with pytest.raises(TypeError, match=f"{name}: one Atoms; expected a list of them"):
            fit_linear(**{"frames": frames, "descriptor": d, name: bulk("Ar")})
        with pytest.raises(TypeError, match=rf"{name}: 'train.xyz'; expected a list of ase\.Atoms"):
            fit_linear(**{"frames": frames, "descriptor": d, name: "train.xyz"})
        with pytest.raises(TypeError, match=rf"{name}\[0\]: 'a.xyz'; expected an ase\.Atoms"):
            fit_linear(**{"frames": frames, "descriptor": d, name: ["a.xyz"]})


def test_results_of_other_atoms_are_refused() -> None:
    d = SOAP(["Ar"], 5.0, 2, 1, periodic=True)
    frames = argon(3)
    fit = fit_linear(frames, d)
    frames[1].positions[0] += 0.1
    for part in ({"frames": frames}, {"frames": frames[:1], "validation": frames[1:2]}):
        at = 1 if len(part["frames"]) > 1 else 0
        with pytest.raises(ValueError, match=f"frame {at}: other positions than those that the r"):
            fit_linear(**part, descriptor=d)
    with pytest.raises(ValueError, match="frame 1: other positions than those that"):
        errors(frames, fit.calculator())
    shared = LennardJones(sigma=3.4, epsilon=0.0104, rc=6.0)
    frames = argon(2)
    for atoms in frames:
        atoms.calc = shared
        atoms.get_forces()
    with pytest.raises(ValueError, match="frame 0: other positions, cell than those that the r"):
        fit_linear(frames, d)


def test_frames_of_other_elements_are_refused() -> None:
    """Without an atom that the descriptor knows there would be an equation that says nothing."""
    d = SOAP(["Ar"], 5.0, 2, 1, periodic=True)
    frames = argon(2)
    other = frames[1].copy()
    other.symbols[:] = "Kr"
    other.calc = SinglePointCalculator(other, energy=-1.0)
    text = "frame 1: atom 0 is Kr; expected the elements of the descriptor, Ar"
    with pytest.raises(ValueError, match=text):
        fit_linear([*frames[:1], other, *(20 * frames)], d)
    with pytest.raises(ValueError, match=text):
        fit_linear(frames, d, validation=[frames[1], other])


def test_errors_are_those_of_the_model_whatever_constraints_hold() -> None:
    frames = argon(2)
    calc = LennardJones(sigma=3.5, epsilon=0.0104, rc=6.0, smooth=True)
    free = errors(frames, calc)
    for atoms in frames:
        atoms.set_constraint([FixAtoms(range(20)), Hookean(0, 1, k=5.0, rt=1.0)])
    assert errors(frames, calc) == free


def test_water() -> None:
    """DFT data: the error on held-out frames beside the spread of the forces, and conservation of energy."""
    folder = shared_folder("water")
    if folder is None:
        pytest.skip("needs MDKERN_TEST_DATA")
    frames = read(folder / "water_dft_60.extxyz", ":")
    held = [a for a in frames if a.info["source"].startswith("data_3")]
    rest = [a for a in frames if not a.info["source"].startswith("data_3")]
    d = SOAP(["H", "O"], 4.0, 4, 3, sigma=0.5, periodic=True, smooth_cutoff=1.0)
    fit = fit_linear(rest[::3], d, alpha=[1e-8, 1e-6], validation=held[::5])
    assert fit.validation["force_spread"] >= 0.7
    assert fit.validation["forces"] <= 0.12 * fit.validation["force_spread"]
    assert fit.validation["energy"] <= 2e-3
    atoms = held[0].copy()
    atoms.calc = fit.calculator()
    scale = np.sqrt(300 * units.kB * atoms.get_masses())[:, None]
    atoms.set_momenta(scale * np.random.default_rng(0).normal(size=(len(atoms), 3)))

    def swing(step: float) -> float:
        b = atoms.copy()
        b.calc = atoms.calc
        total: list[float] = []
        dyn = VelocityVerlet(b, step * units.fs)
        dyn.attach(lambda: total.append(b.get_total_energy()))
        dyn.run(round(12 / step))
        return float(np.std(total)) / len(b)

    coarse, fine = swing(0.5), swing(0.25)
    assert coarse <= 1e-4  # eV per atom, of 0.04 kinetic
    assert 2.5 <= coarse / fine <= 5.5  # second order, as the integrator is


def test_the_old_name_works_with_a_warning() -> None:
    import mdkern

    with pytest.warns(DeprecationWarning, match=r"mdkern\.models\.fit_linear is mdkern\.fitting"):
        assert mdkern.models.fit_linear is fit_linear
    with pytest.raises(AttributeError, match="nothing"):
        _ = mdkern.models.nothing
