"""Integrators by their names in ASE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms, units
from numpy.typing import ArrayLike

from mdkern import checks
from mdkern.calculators import AtomsError
from mdkern.errors import UnsupportedError
from mdkern.md.dynamics import NativeDynamics
from mdkern.moving import degrees_of_freedom

__all__ = [
    "MTKNPT",
    "Bussi",
    "IsotropicMTKNPT",
    "Langevin",
    "MaskedMTKNPT",
    "NoseHooverChain",
    "NoseHooverChainNVT",
    "VelocityVerlet",
]


class VelocityVerlet(NativeDynamics):
    r"""Constant energy (NVE) by velocity Verlet, bit for bit ASE's :class:`ase.md.verlet.VelocityVerlet`.

    .. math::

        p &\leftarrow p + \tfrac{\Delta t}{2} F(r), \quad
        r \leftarrow r + \Delta t \, p / m, \quad
        p \leftarrow p + \tfrac{\Delta t}{2} F(r)

    Parameters
    ----------
    atoms, timestep, trajectory, logfile, loginterval, skin, ...
        See :class:`NativeDynamics`.
    """

    ase_name = "ase.md.verlet.VelocityVerlet"

    def _scheme(self) -> tuple[Any, ...]:
        return ("use_verlet",)


class _Stochastic(NativeDynamics):
    """Random numbers from a counter: the seed, the step and the atom say which, not the order of their use."""

    temperature_K: float

    def _set_seed(self, seed: int | None, rng: Any) -> None:
        if seed is not None and rng is not None:
            raise ValueError("seed and rng: both given; expected one")
        if rng is not None:  # ASE's argument: a seed is drawn from it
            if not (hasattr(rng, "integers") or hasattr(rng, "randint")):
                raise TypeError(
                    f"rng: {rng!r}; expected a generator of NumPy's, such as "
                    "numpy.random.default_rng(1) (seed=1 takes a number)"
                )
            seed = int(rng.integers(2**63) if hasattr(rng, "integers") else rng.randint(2**31))
        elif seed is None:
            seed = int(np.random.SeedSequence().generate_state(2, np.uint64)[0])
        self.seed = checks.whole("seed", seed, most=2**64 - 1)

    def _kT(self) -> float:
        """In eV; ValueError where the attribute was set to what is no temperature."""
        return units.kB * checks.not_negative("temperature_K", self.temperature_K)

    def _checked_seed(self) -> int:
        return checks.whole("seed", self.seed, most=2**64 - 1)

    @property
    def temp(self) -> float:
        """Temperature in eV, as ASE keeps it."""
        return units.kB * self.temperature_K

    @temp.setter
    def temp(self, value: float) -> None:
        self.temperature_K = checks.not_negative("temp", value, unit="eV") / units.kB


class Langevin(_Stochastic):
    r"""Constant temperature by friction and noise, the scheme of :class:`ase.md.langevin.Langevin`.

    E. Vanden-Eijnden and G. Ciccotti, Chem. Phys. Lett. 429, 310 (2006), equation 23.

    Parameters
    ----------
    atoms, timestep
        See :class:`NativeDynamics`.
    temperature_K : float
        Kelvin.
    friction : float, or array (n,) or (n, 1)
        In inverse units of ASE's time, such as ``0.01 / units.fs``; of all atoms, or of each. Attribute ``fr``.
    fixcm : bool
        Only False: ASE deprecates the other, which does not sample the right distribution. Use the constraint ``FixCom``.
    seed : int, optional
        Of the random numbers; by default a new one. Attribute ``seed``.
    rng : optional
        A NumPy generator, as ASE has it: the seed is drawn from it.

    Raises
    ------
    ValueError, TypeError
        Parameters that are missing, not finite or negative.
    """

    ase_name = "ase.md.langevin.Langevin"

    def __init__(
        self,
        atoms: Atoms,
        timestep: float,
        temperature: float | None = None,
        friction: ArrayLike | None = None,
        fixcm: bool = False,
        *,
        temperature_K: float | None = None,
        rng: Any = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        if friction is None:
            raise TypeError("friction: missing; expected a number in inverse ASE time units")
        if checks.flag("fixcm", fixcm):
            raise UnsupportedError(
                "fixcm=True: deprecated by ASE, as it does not sample the canonical distribution; expected "
                "the constraint ase.constraints.FixCom"
            )
        self.atoms = checks.structure("atoms", atoms)
        self.set_friction(friction)
        self.set_temperature(temperature, temperature_K)
        self._set_seed(seed, rng)
        super().__init__(atoms, timestep, **kwargs)

    def set_temperature(
        self, temperature: float | None = None, temperature_K: float | None = None
    ) -> None:
        """Change the temperature (K); also during a run, from an observer."""
        for name, value in (("temperature", temperature), ("temperature_K", temperature_K)):
            if value is not None:
                checks.not_negative(name, value)
        kelvin = self._process_temperature(temperature, temperature_K, "eV")
        self.temperature_K = checks.not_negative("temperature_K", kelvin)

    def set_friction(self, friction: ArrayLike) -> None:
        """Change the friction, of all atoms or of each; also during a run, from an observer."""
        expected = "number >= 0, or one for each atom"
        if checks.is_single(friction):
            self._friction: Any = checks.number("friction", friction, expected, least=0.0)
            return
        n = len(self.atoms)
        rates = checks.numbers("friction", friction, f"a {expected}")
        if n == 0 or rates.shape not in ((n,), (n, 1)):
            raise ValueError(f"friction: shape {rates.shape}; expected a {expected}, ({n},)")
        if checks.finite("friction", rates).min() < 0.0:
            raise ValueError(f"friction: has {rates.min()}; expected numbers >= 0")
        self._friction = rates.copy()

    @property
    def fr(self) -> Any:
        """The friction, by ASE's name: a float, or a copy of those of the atoms. Setting it is :meth:`set_friction`."""
        rates = self._friction
        return rates if isinstance(rates, float) else rates.copy()

    @fr.setter
    def fr(self, value: ArrayLike) -> None:
        self.set_friction(value)

    def set_timestep(self, timestep: float) -> None:
        """Change the time step, in ASE's unit of time."""
        self.dt = checks.positive("timestep", timestep)

    @property
    def fix_com(self) -> bool:
        """False, by ASE's name: see `fixcm`."""
        return False

    def _own_parameters(self) -> dict[str, Any]:
        rates = self._friction
        friction = rates if isinstance(rates, float) else rates.ravel().tolist()
        return {"temperature_K": self.temperature_K, "friction": friction, "seed": self.seed}

    def _scheme(self) -> tuple[Any, ...]:
        return ("use_langevin", self._kT(), np.ravel(self._friction), self._checked_seed())


class Bussi(_Stochastic):
    """Constant temperature by stochastic velocity rescaling, :class:`ase.md.bussi.Bussi`.

    G. Bussi, D. Donadio and M. Parrinello, J. Chem. Phys. 126, 014101 (2007), equation A7.

    Parameters
    ----------
    atoms, timestep
        See :class:`NativeDynamics`.
    temperature_K : float
        Kelvin.
    taut : float
        Time constant, in ASE's unit of time.
    seed, rng
        See :class:`Langevin`.

    Raises
    ------
    ValueError
        Velocities that are all zero, or a bad parameter.
    """

    ase_name = "ase.md.bussi.Bussi"

    def __init__(
        self,
        atoms: Atoms,
        timestep: float,
        temperature_K: float,
        taut: float,
        rng: Any = None,
        *,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.set_temperature(temperature_K)
        self.taut = checks.positive("taut", taut)
        self._set_seed(seed, rng)
        super().__init__(atoms, timestep, **kwargs)
        self.ndof = degrees_of_freedom(atoms)
        if np.isclose(atoms.get_kinetic_energy(), 0.0, rtol=0, atol=1e-12):
            raise ValueError(
                "atoms: kinetic energy is zero; expected velocities, which Bussi scales"
            )

    @property
    def target_kinetic_energy(self) -> float:
        """Mean kinetic energy in eV at the temperature."""
        return 0.5 * self.temp * float(self.ndof)

    @property
    def transferred_energy(self) -> float:
        """Energy in eV that the thermostat has given to the atoms so far."""
        return 0.0 if self._loop is None else -float(self._loop.reservoir_energy)

    def set_temperature(self, temperature_K: float) -> None:
        """Change the temperature (K); also during a run, from an observer."""
        self.temperature_K = checks.not_negative("temperature_K", temperature_K)

    def _own_parameters(self) -> dict[str, Any]:
        return {"temperature_K": self.temperature_K, "taut": self.taut, "seed": self.seed}

    def _scheme(self) -> tuple[Any, ...]:
        taut = checks.positive("taut", self.taut)
        return ("use_bussi", self._kT(), taut, self._checked_seed())


class NoseHooverChain(NativeDynamics):
    """Constant temperature by a Nose-Hoover chain, :class:`ase.md.nose_hoover_chain.NoseHooverChainNVT`.

    G. J. Martyna, M. L. Klein and M. E. Tuckerman, J. Chem. Phys. 97, 2635 (1992). Deterministic;
    ``get_conserved_energy()`` is the constant of motion.

    Parameters
    ----------
    atoms, timestep
        See :class:`NativeDynamics`.
    temperature_K : float
        Kelvin.
    tdamp : float
        Time scale of the thermostat in ASE's unit of time, some 100 time steps.
    tchain, tloop : int
        Length of the chain, and sub-steps of its integration.

    Notes
    -----
    With constraints the thermostat aims at the degrees of freedom that are left; ASE's counts three per atom.
    """

    ase_name = "ase.md.nose_hoover_chain.NoseHooverChainNVT"

    def __init__(
        self,
        atoms: Atoms,
        timestep: float,
        temperature_K: float,
        tdamp: float,
        tchain: int = 3,
        tloop: int = 1,
        **kwargs: Any,
    ) -> None:
        self.temperature_K = checks.positive("temperature_K", temperature_K)
        self.tdamp = checks.positive("tdamp", tdamp)
        self.tchain, self.tloop = (
            checks.whole("tchain", tchain, 1, 1000),
            checks.whole("tloop", tloop, 1, 1000),
        )
        super().__init__(atoms, timestep, **kwargs)

    def _own_parameters(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("temperature_K", "tdamp", "tchain", "tloop")}

    def _scheme(self) -> tuple[Any, ...]:
        n_dof = float(degrees_of_freedom(self.atoms))
        kT = units.kB * checks.positive("temperature_K", self.temperature_K)
        tdamp = checks.positive("tdamp", self.tdamp)
        chain = (checks.whole(name, getattr(self, name), 1, 1000) for name in ("tchain", "tloop"))
        return ("use_nose_hoover", kT, tdamp, *chain, n_dof)


NoseHooverChainNVT = NoseHooverChain
"""ASE's name of :class:`NoseHooverChain`."""


class _Mtk(NativeDynamics):
    _shape = "full"
    _mask: Any = np.ones(3, dtype=bool)
    _moves_cell = True

    def __init__(
        self,
        atoms: Atoms,
        timestep: float,
        temperature_K: float,
        pressure_au: float,
        tdamp: float,
        pdamp: float,
        tchain: int = 3,
        pchain: int = 3,
        tloop: int = 1,
        ploop: int = 1,
        **kwargs: Any,
    ) -> None:
        self.temperature_K = checks.positive("temperature_K", temperature_K)
        self.pressure_au = checks.number("pressure_au", pressure_au)
        self.tdamp, self.pdamp = checks.positive("tdamp", tdamp), checks.positive("pdamp", pdamp)
        self._chains = (
            checks.whole("tchain", tchain, 1, 1000),
            checks.whole("pchain", pchain, 1, 1000),
            checks.whole("tloop", tloop, 1, 1000),
            checks.whole("ploop", ploop, 1, 1000),
        )
        self._needs_of(atoms)
        self._cell0 = np.array(atoms.cell.array)
        super().__init__(atoms, timestep, **kwargs)

    def _needs(self) -> None:
        self._needs_of(self.atoms)

    def _needs_of(self, atoms: Atoms) -> None:
        if len(atoms.constraints) > 0:
            name = type(atoms.constraints[0]).__name__
            raise UnsupportedError(f"constraint {name}: expected none at constant pressure")
        if not atoms.pbc.all() or atoms.cell.rank < 3:
            raise AtomsError(
                f"pbc: {atoms.pbc.tolist()}; expected a cell periodic in all directions"
            )

    def _own_parameters(self) -> dict[str, Any]:
        names = ("temperature_K", "pressure_au", "tdamp", "pdamp")
        chains = dict(zip(("tchain", "pchain", "tloop", "ploop"), self._chains, strict=True))
        return {name: getattr(self, name) for name in names} | chains

    def _scheme(self) -> tuple[Any, ...]:
        kT = units.kB * checks.positive("temperature_K", self.temperature_K)
        pressure = checks.number("pressure_au", self.pressure_au)
        tdamp, pdamp = checks.positive("tdamp", self.tdamp), checks.positive("pdamp", self.pdamp)
        damps = (kT, pressure, tdamp, pdamp)
        return ("use_mtk", *damps, *self._chains, self._cell0, self._shape, self._mask)


class IsotropicMTKNPT(_Mtk):
    """Constant pressure and temperature, volume fluctuations: :class:`ase.md.nose_hoover_chain.IsotropicMTKNPT`.

    Paper, arguments and errors are those of :class:`MTKNPT`.
    """

    ase_name = "ase.md.nose_hoover_chain.IsotropicMTKNPT"
    _shape = "isotropic"


class MTKNPT(_Mtk):
    """Constant pressure and temperature, all lengths and angles of the cell fluctuate: :class:`ase.md.nose_hoover_chain.MTKNPT`.

    G. J. Martyna, D. J. Tobias and M. L. Klein, J. Chem. Phys. 101, 4177 (1994).
    ``get_conserved_energy()`` is the constant of motion.

    Parameters
    ----------
    atoms, timestep
        See :class:`NativeDynamics`. Periodic in all directions, without constraints.
    temperature_K : float
        Kelvin.
    pressure_au : float
        eV/Angstrom^3, such as ``1 * units.bar``.
    tdamp, pdamp : float
        Time scales of thermostat and barostat in ASE's unit of time, some 100 and 1000 time steps.
    tchain, pchain, tloop, ploop : int
        Lengths of their Nose-Hoover chains, and sub-steps.

    Raises
    ------
    UnsupportedError
        Atoms with constraints.
    ValueError
        A cell that is not periodic in all directions, or a bad parameter.
    """

    ase_name = "ase.md.nose_hoover_chain.MTKNPT"


class MaskedMTKNPT(_Mtk):
    """Constant pressure and temperature, chosen cell lengths fluctuate: :class:`ase.md.nose_hoover_chain.MaskedMTKNPT`.

    Paper, errors and all arguments but the last are those of :class:`MTKNPT`.

    Parameters
    ----------
    mask : three bools, or 0 and 1
        Which of the vectors a, b, c may change their length.
    """

    ase_name = "ase.md.nose_hoover_chain.MaskedMTKNPT"
    _shape = "masked"

    def __init__(self, *args: Any, mask: Sequence[bool], **kwargs: Any) -> None:
        self._mask = checks.directions("mask", mask).copy()
        if not self._mask.any():
            raise ValueError(f"mask: {mask!r}; expected one True at least")
        super().__init__(*args, **kwargs)

    def _own_parameters(self) -> dict[str, Any]:
        return super()._own_parameters() | {"mask": list(self.mask)}

    @property
    def mask(self) -> tuple[bool, ...]:
        return tuple(self._mask.tolist())
