"""Tersoff potential and its variants."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from mdkern import checks
from mdkern.io.tersoff import read_tersoff, tersoff_model
from mdkern.io.three_body import ThreeBodyFile, check_style
from mdkern.potentials.base import InCore

__all__ = ["Tersoff"]

# Constants of the repulsion at short range, as in LAMMPS's tersoff/zbl: e0 in e^2 / (eV Angstrom), a length in Angstrom.
_E0, _LENGTH = 0.00552635, 0.8854 * 0.529
_NO_WIDTH = 1e30  # 1 / Angstrom


class Tersoff(InCore):
    r"""Tersoff potential from a file of LAMMPS, plain or of a variant.

    .. math::

        E = \tfrac12 \sum_i \sum_{j \ne i} f_C(r_{ij}) \left[f_R(r_{ij}) + b_{ij} f_A(r_{ij})\right], \qquad
        b_{ij} = \left(1 + (\beta \zeta_{ij})^n\right)^{-1/2n}, \qquad
        \zeta_{ij} = \sum_{k \ne i, j} f_C(r_{ik})\, g(\theta_{ijk})\, e^{(\lambda_3 (r_{ij} - r_{ik}))^m}

    Read are files for LAMMPS's ``pair_style tersoff`` (J. Tersoff, Phys. Rev. B 37, 6991 (1988) and 39, 5566 (1989)), ``tersoff/mod`` and ``tersoff/mod/c``
    (T. Kumagai et al., Comput. Mater. Sci. 39, 457 (2007)), and ``tersoff/zbl`` (R. Devanathan et al., J. Nucl. Mater. 253, 47 (1998)), with which energies and
    forces agree. Half of the energy of each half of a bond belongs to either atom.

    Parameters
    ----------
    path : str
        A file, eV and Angstrom; the style follows from its content. Or `source` of another Tersoff.
    elements : sequence of str, optional
        Use only these elements of the file, by default all whose triplets are complete.
    style : str, optional
        ``"tersoff"``, ``"tersoff/mod"``, ``"tersoff/mod/c"`` or ``"tersoff/zbl"``, where the content of the file allows for two of them.

    Raises
    ------
    FormatError, UnsupportedError, OSError
        From reading the file.
    ValueError
        Elements that the file does not have, a style that is none.
    """

    core_name = "tersoff"

    def __init__(
        self,
        path: str | os.PathLike[str] | ThreeBodyFile,
        elements: Sequence[str] | None = None,
        *,
        style: str | None = None,
        precision: str = "double",
    ) -> None:
        # Every potential takes it; this one has no choice to offer.
        checks.double_only("Tersoff", precision)
        #: The file as read, with all elements.
        self.source = path if isinstance(path, ThreeBodyFile) else read_tersoff(path, style)
        if style is not None:
            check_style(self.source, (style,))
        self.model = tersoff_model(self.source, elements)
        self.species, self.cutoff = self.model.species, self.model.cutoff
        self.make()

    def fields(self) -> dict[str, Any]:
        """Tables of the kernel (cpp/potentials/tersoff.hpp)."""
        m, pair, triplet = self.model, self.model.pair, self.model.triplet
        n = len(m.species)
        reach = pair["R"] + pair["D"]
        of_pair = np.zeros((n, n, 24))
        columns: list[Any] = [reach**2, *_middle(pair["R"], pair["D"])]
        columns += [pair[name] for name in ("A", "lam1", "B", "lam2", "c0")]
        # A smaller beta zeta changes nothing in b; what it would do to the derivative is left out, as in LAMMPS.
        least = (1e-16 / pair["q"]) ** (1.0 / pair["eta"])
        columns += [pair["beta"], pair["eta"], pair["q"], least]
        for k, column in enumerate(columns):
            of_pair[..., k] = column
        is_zbl = m.style == "tersoff/zbl"
        if is_zbl:
            z_i, z_j = pair["Z_i"], pair["Z_j"]
            of_pair[..., 16] = z_i * z_j / (4.0 * np.pi * _E0)
            of_pair[..., 17] = (z_i**0.23 + z_j**0.23) / _LENGTH
            of_pair[..., 18] = pair["zcut"]
            of_pair[..., 19] = pair["zscale"]
        of_triplet = np.zeros((n, n, n, 16))
        if m.is_mod:
            angle = [triplet[name] for name in ("c1", "c2", "c3", "h", "c4", "c5")]
        else:
            gamma, d2 = triplet["gamma"], triplet["d"] ** 2
            none = np.zeros((n, n, n))
            angle = [gamma, gamma * triplet["c"] ** 2 / d2, d2, triplet["cos0"], none, none]
        own = (triplet["lam3"], triplet["m"] == 3.0, *_middle(triplet["R"], triplet["D"]))
        for k, column in enumerate((*angle, *own)):
            of_triplet[..., k] = column
        return {
            "cutoff": m.cutoff,
            "reach2": np.ascontiguousarray(m.reach**2),
            "by_index": m.by_index,
            "pair": of_pair,
            "triplet": of_triplet,
            "mod": m.is_mod,
            "zbl": is_zbl,
            "decays": bool(triplet["lam3"].any()),
            "one_angle": bool((of_triplet[..., :8] == of_triplet[:, :1, :1, :8]).all()),
            "one_cutoff": all(
                bool((triplet[name] == pair[name][:, None, :]).all()) for name in ("R", "D")
            ),
        }


def _middle(R: Any, D: Any) -> tuple[Any, Any]:
    """R and 1 / D. A step, D = 0, is one of no width that no distance meets in its middle."""
    smooth = D > 1e-15
    return np.where(smooth, R, R * (1.0 + 1e-12)), np.where(
        smooth, 1.0 / np.where(smooth, D, 1.0), _NO_WIDTH
    )
