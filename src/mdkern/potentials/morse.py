"""Morse."""

from __future__ import annotations

from typing import Any

import numpy as np

from mdkern import checks
from mdkern.potentials.base import InCore

__all__ = ["Morse"]


class Morse(InCore):
    r"""Morse potential between atoms of any element.

    .. math:: \phi(r) = D \left[e^{-2 \alpha (r - r_0)} - 2 e^{-\alpha (r - r_0)}\right], \quad r < r_c

    (P. M. Morse, Phys. Rev. 34, 57 (1929)). Half of each pair's energy belongs to either atom.

    Parameters
    ----------
    D : float
        Depth of the well in eV.
    alpha : float
        1/Angstrom.
    r0 : float
        Distance of the minimum in Angstrom.
    rc : float, optional
        Cutoff in Angstrom.
    shift : bool
        Subtract phi(rc) from every pair inside the cutoff.
    epsilon, rho0, rcut1, rcut2 : float
        The names of ASE's ``MorsePotential``: ``epsilon = D``, ``rho0 = alpha r0``; without `rc` the potential is switched off
        between ``rcut1 r0`` and ``rcut2 r0`` as there (defaults 1.9 and 2.7). `r0` has ASE's default 1 then.

    Raises
    ------
    ValueError
        Missing, contradictory, non-finite or non-positive parameters.
    """

    core_name = "morse"
    species: tuple[str, ...] | None = None

    def __init__(
        self,
        *,
        D: float | None = None,
        alpha: float | None = None,
        r0: float | None = None,
        rc: float | None = None,
        shift: bool = False,
        epsilon: float | None = None,
        rho0: float | None = None,
        rcut1: float | None = None,
        rcut2: float | None = None,
        precision: str = "double",
    ) -> None:
        # Every potential takes it; this one has no choice to offer.
        checks.double_only("Morse", precision)
        if (D is not None and epsilon is not None) or (alpha is not None and rho0 is not None):
            raise ValueError("D and epsilon, alpha and rho0: both given; expected one of each")
        if rc is not None and (rcut1 is not None or rcut2 is not None):
            raise ValueError("rc and rcut1, rcut2: both given; expected one kind of cutoff")
        ase_names = D is None and alpha is None
        self._r0 = checks.positive("r0", 1.0 if r0 is None and ase_names else r0)
        self._D = checks.positive(
            "D", D if D is not None else 1.0 if epsilon is None and ase_names else epsilon
        )
        if alpha is None:
            alpha = (
                6.0 if rho0 is None and ase_names else checks.positive("rho0", rho0)
            ) / self._r0
        self._alpha = checks.positive("alpha", alpha)
        self._e0 = 0.0
        shift = checks.flag("shift", shift)
        if rc is not None:
            self.cutoff = self._r_on = checks.positive("rc", rc)
            if shift:
                x = np.exp(-self._alpha * (self.cutoff - self._r0))
                self._e0 = -float(self._D * x * (x - 2.0))
        else:
            if shift:
                raise ValueError("shift: needs rc; the switch between rcut1 and rcut2 ends at zero")
            self._r_on = self._r0 * checks.positive("rcut1", 1.9 if rcut1 is None else rcut1)
            self.cutoff = self._r0 * checks.positive("rcut2", 2.7 if rcut2 is None else rcut2)
            if not self._r_on < self.cutoff:
                raise ValueError(f"rcut1, rcut2: {rcut1!r}, {rcut2!r}; expected rcut1 < rcut2")
        self.make()

    def fields(self) -> dict[str, Any]:
        """Parameters of the kernel (cpp/potentials/morse.hpp)."""
        return {
            "D": self._D,
            "alpha": self._alpha,
            "r0": self._r0,
            "cutoff": self.cutoff,
            "e0": self._e0,
            "r_on": self._r_on,
        }
