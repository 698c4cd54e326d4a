"""Embedded-atom method."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase.data import atomic_numbers

from mdkern import checks
from mdkern.errors import UnsupportedError
from mdkern.io.eam import EamTables, read_eam, spline_coefficients
from mdkern.potentials.base import InCore, say_once
from mdkern.potentials.zhou2004 import tabulate

__all__ = ["EAM"]


class EAM(InCore):
    r"""Embedded-atom method, from a file or built in.

    .. math:: E = \sum_i F_i(\rho_i) + \tfrac12 \sum_{ij} \phi_{ij}(r_{ij}), \qquad \rho_i = \sum_j f_{j}(r_{ij})

    (M. S. Daw and M. I. Baskes, Phys. Rev. B 29, 6443 (1984); Finnis-Sinclair files: f depends on both elements.) Tables are interpolated
    with LAMMPS's splines, so that energies and forces agree with ``pair_style eam``, ``eam/alloy`` and ``eam/fs``.
    The energy of an atom is its F and half of its pair terms. Beyond the last density of a file's table F goes on in a straight line, as in LAMMPS;
    a :class:`~mdkern.errors.MDKernWarning` says so once.

    Parameters
    ----------
    path : str, or dict of symbol to str
        A ``.eam`` (funcfl), ``.eam.alloy`` (setfl) or ``.eam.fs`` file, told apart by content; ``{"Cu": path, "Ni": path}`` mixes funcfl files; the word
        ``"zhou2004"`` stands for the built-in parameters, see :meth:`zhou2004`. Or `source` of another EAM.
    elements : sequence of str, optional
        Use only these types of the file. A type that stands for no element, as those of average atoms, is ASE's symbol X (number 0)
        and may be named so, too; of several such types one can be used. Needed with ``"zhou2004"``.
    cutoff : float, optional
        Only with ``"zhou2004"``: where the functions end, in Angstrom.

    Raises
    ------
    FormatError, UnsupportedError, OSError
        From reading the file.
    ValueError
        Elements that the file or the parameter set does not have.
    """

    core_name = "eam"

    def __init__(
        self,
        path: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]] | EamTables,
        *,
        elements: Sequence[str] | None = None,
        cutoff: float | None = None,
        precision: str = "double",
    ) -> None:
        #: The tables as read, of all elements; None where the functions are built in.
        self.source: EamTables | None = None
        # Every potential takes it; this one has no choice to offer.
        checks.double_only("EAM", precision)
        if isinstance(path, str) and path == "zhou2004":
            if elements is None or isinstance(elements, str) or len(elements) == 0:
                raise ValueError(
                    f"elements: {elements!r}; expected a list such as ['Cu', 'Ni'] with 'zhou2004'"
                )
            built_in = tabulate(elements, cutoff=cutoff)
            self.species, self.cutoff = built_in.species, built_in.cutoff
            self._set(
                "zhou2004",
                built_in.dr,
                built_in.density,
                built_in.r_phi,
                1.0,
                0.0,
                built_in.embedding,
            )
            return
        if cutoff is not None:
            raise ValueError(
                f"cutoff: {cutoff!r}; files bring their own, expected it only with 'zhou2004'"
            )
        self.source = path if isinstance(path, EamTables) else read_eam(path)
        t = _select(self.source, elements)
        self.species, self.cutoff = t.species, t.cutoff
        self._set(
            "table",
            t.dr,
            spline_coefficients(t.density),
            spline_coefficients(t.r_phi),
            t.drho,
            t.rho_max,
            spline_coefficients(t.embedding),
        )

    @classmethod
    def zhou2004(cls, elements: Sequence[str], *, cutoff: float | None = None) -> EAM:
        """Sixteen metals and their alloys: Cu, Ag, Au, Ni, Pd, Pt, Al, Pb, Fe, Mo, Ta, W, Mg, Co, Ti, Zr.

        X. W. Zhou, R. A. Johnson and H. N. G. Wadley, Phys. Rev. B 69, 144113 (2004). The functions are
        switched off over the last 0.5 Angstrom before `cutoff` (by default sqrt(10)/2 of the largest fcc lattice constant sqrt(2) re).
        """
        return cls("zhou2004", elements=elements, cutoff=cutoff)

    def _set(
        self,
        kind: str,
        dr: float,
        density: Any,
        r_phi: Any,
        drho: float,
        rho_max: float,
        embed: Any,
    ) -> None:
        # The kernel's row: f of the neighbor at the centre, then r phi; first axis the centre (cpp/potentials/eam.hpp).
        radial = np.concatenate([density.transpose(1, 0, 2, 3), r_phi], axis=-1)
        self._kind, self._dr, self._drho, self._rho_max = kind, dr, drho, rho_max
        self._radial = radial
        self._embed = np.ascontiguousarray(embed)
        path = self.source.path if self.source is not None else "zhou2004"
        self._unsaid = [
            f"{path}: a density is beyond the end of the table, {rho_max:g}; F goes on in a straight line there, as in LAMMPS"
        ]
        self.make()

    def fields(self) -> dict[str, Any]:
        """Tables of the kernel (cpp/potentials/eam.hpp)."""
        return {
            "cutoff": self.cutoff,
            "dr": self._dr,
            "radial": self._radial,
            "embedding": self._kind,
            "drho": self._drho,
            "rho_max": self._rho_max,
            "embed": self._embed,
        }

    def warn(self, overflow: bool) -> None:
        """Say once what :attr:`Result.overflow` means; for who evaluates by :meth:`force_step`."""
        if overflow:
            say_once(self._unsaid)


def _select(t: EamTables, elements: Sequence[str] | None) -> EamTables:
    """The tables of the types to use, under ASE's symbols: a type that stands for no element is its X."""
    others = [name for name in t.species if atomic_numbers.get(name, 0) == 0]
    real = [name for name in t.species if name not in others]
    if elements is None:
        if len(others) > 1 or (others not in ([], ["X"]) and not real):
            raise UnsupportedError(
                f"{t.path}: types {', '.join(others)} are no chemical elements; name the types to use, at most one of these"
                f" (it is ASE's X), as in elements={[*real, others[0]]}"
            )
        elements = t.species
    elements = checks.elements(elements)
    names = [others[0] if e == "X" and len(others) == 1 else e for e in elements]
    missing = [e for e in names if e not in t.species]
    if missing:
        raise ValueError(
            f"elements: {missing[0]!r} is not in {t.path}, which has {', '.join(t.species)}"
        )
    if sum(e in others for e in names) > 1:
        raise ValueError(
            f"elements: {list(elements)}; expected at most one of {', '.join(others)}, which is ASE's X"
        )
    k = [t.species.index(e) for e in names]
    return EamTables(
        kind=t.kind,
        path=t.path,
        species=tuple("X" if e in others else e for e in names),
        masses=t.masses[k],
        cutoff=t.cutoff,
        dr=t.dr,
        drho=t.drho,
        rho_max=t.rho_max,
        embedding=t.embedding[k],
        density=t.density[np.ix_(k, k)],
        r_phi=t.r_phi[np.ix_(k, k)],
    )
