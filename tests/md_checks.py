"""Systems and helpers of the tests of molecular dynamics."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.md import langevin, verlet

from mdkern import _core, md
from mdkern.calculators import EAM, LennardJones
from mdkern.moving import degrees_of_freedom

FS = units.fs
KELVIN = 500.0
PRESSURE = 1.0 * units.GPa


def copper(repeat: int = 3, kelvin: float = 2 * KELVIN, **kwargs: Any) -> Atoms:
    """Hot copper with the built-in EAM: 108 atoms or so."""
    atoms = bulk("Cu", cubic=True) * repeat
    return _started(atoms, kelvin, EAM.zhou2004(["Cu"], **{"skin": 0.4, **kwargs}))


def argon(repeat: int = 3, kelvin: float = 120.0, **kwargs: Any) -> Atoms:
    """Argon whose forces end smoothly at the cutoff."""
    atoms = bulk("Ar", cubic=True, a=5.4) * repeat
    parameters = {"epsilon": 0.0104, "sigma": 3.4, "rc": 7.5, "smooth": True, "skin": 0.6}
    return _started(atoms, kelvin, LennardJones(**{**parameters, **kwargs}))


def _started(atoms: Atoms, kelvin: float, calc: Any) -> Atoms:
    rng = np.random.default_rng(1)
    width = np.sqrt(atoms.get_masses()[:, None] * units.kB * kelvin)
    momenta = width * rng.normal(size=(len(atoms), 3))
    atoms.set_momenta(momenta - momenta.mean(axis=0))
    atoms.calc = calc
    return atoms


class Replay:
    """The random numbers of one of our integrators, in the order in which ASE's asks for them."""

    def __init__(self, dynamics: Any, n: int) -> None:
        self.seed, self.n = dynamics.seed, n
        self.n_dof = float(degrees_of_freedom(dynamics.atoms))
        self.step = self.calls = 0

    def standard_normal(self, size: Any = None) -> Any:
        if size in (None, (1,)):  # Bussi: one number, until ASE 3.28 an array of it
            normal, self.squares = _core.md_bussi_noise(self.seed, self.step, self.n_dof)
            return normal if size is None else np.array([normal])
        both = _core.md_normals(np.arange(self.n, dtype=np.int32), self.seed, self.step)
        part = both[:, 3 * self.calls : 3 * self.calls + 3]
        self.step += self.calls
        self.calls = 1 - self.calls
        return part

    def standard_gamma(self, shape: float) -> float:
        assert shape == 0.5 * (self.n_dof - 1)
        self.step += 1
        return 0.5 * self.squares


MTK = (3 * FS, KELVIN, PRESSURE, 100 * FS, 300 * FS)
_MASK = np.array([True, False, True])


def friction_of_each(atoms: Atoms) -> Any:
    """One of each atom, some of them none, in ASE's shape (n, 1)."""
    return 0.04 / FS * (np.arange(len(atoms)) % 5)[:, None]


def ase_class(module: str, name: str) -> Any:
    """A class of ASE's dynamics; the test is skipped where this version of ASE has none to compare with."""
    try:
        of_ase = importlib.import_module(f"ase.md.{module}")
    except ImportError:
        pytest.skip(f"this ASE has no {name}")
    # Before ASE 3.26, which brought MTKNPT, chains took sub-steps of a third whatever their number.
    if module == "nose_hoover_chain" and not hasattr(of_ase, "MTKNPT"):
        pytest.skip("the chains of this ASE have other sub-steps: needs 3.26")
    if not hasattr(of_ase, name):
        pytest.skip(f"this ASE has no {name}")
    return getattr(of_ase, name)


# Name: our integrator, ASE's with the same random numbers.
INTEGRATORS: dict[str, tuple[Callable[..., Any], Callable[[Atoms, Any], Any]]] = {
    "verlet": (
        lambda atoms, **kw: md.VelocityVerlet(atoms, 3 * FS, **kw),
        lambda atoms, _: verlet.VelocityVerlet(atoms, 3 * FS),
    ),
    "langevin": (
        lambda atoms, **kw: md.Langevin(
            atoms, 3 * FS, temperature_K=KELVIN, friction=0.02 / FS, seed=7, **kw
        ),
        lambda atoms, ours: langevin.Langevin(
            atoms,
            3 * FS,
            temperature_K=KELVIN,
            friction=0.02 / FS,
            fixcm=False,
            rng=Replay(ours, len(atoms)),
        ),
    ),
    "langevin_each": (
        lambda atoms, **kw: md.Langevin(
            atoms, 3 * FS, temperature_K=KELVIN, friction=friction_of_each(atoms), seed=9, **kw
        ),
        lambda atoms, ours: langevin.Langevin(
            atoms,
            3 * FS,
            temperature_K=KELVIN,
            friction=friction_of_each(atoms),
            fixcm=False,
            rng=Replay(ours, len(atoms)),
        ),
    ),
    "bussi": (
        lambda atoms, **kw: md.Bussi(atoms, 3 * FS, KELVIN, 100 * FS, seed=8, **kw),
        lambda atoms, ours: ase_class("bussi", "Bussi")(
            atoms, 3 * FS, KELVIN, 100 * FS, rng=Replay(ours, len(atoms))
        ),
    ),
    "nose_hoover": (
        lambda atoms, **kw: md.NoseHooverChain(atoms, 3 * FS, KELVIN, 100 * FS, 4, 2, **kw),
        lambda atoms, _: ase_class("nose_hoover_chain", "NoseHooverChainNVT")(
            atoms, 3 * FS, KELVIN, 100 * FS, 4, 2
        ),
    ),
    "isotropic_mtk": (
        lambda atoms, **kw: md.IsotropicMTKNPT(atoms, *MTK, **kw),
        lambda atoms, _: ase_class("nose_hoover_chain", "IsotropicMTKNPT")(atoms, *MTK),
    ),
    "mtk": (
        lambda atoms, **kw: md.MTKNPT(atoms, *MTK, 2, 4, 2, 2, **kw),
        lambda atoms, _: ase_class("nose_hoover_chain", "MTKNPT")(atoms, *MTK, 2, 4, 2, 2),
    ),
    "masked_mtk": (
        lambda atoms, **kw: md.MaskedMTKNPT(atoms, *MTK, mask=(True, False, True), **kw),
        lambda atoms, _: ase_class("nose_hoover_chain", "MaskedMTKNPT")(atoms, *MTK, mask=_MASK),
    ),
}


def assert_same(a: Atoms, b: Atoms) -> None:
    """The same bits of positions, momenta, cell, energy, forces and stress."""
    for one, other in (
        (a.positions, b.positions),
        (a.get_momenta(), b.get_momenta()),
        (a.cell.array, b.cell.array),
        (a.get_forces(), b.get_forces()),
        (a.get_potential_energies(), b.get_potential_energies()),
        (a.calc.virial, b.calc.virial),
    ):
        assert one.tobytes() == other.tobytes()
    assert a.get_potential_energy() == b.get_potential_energy()
