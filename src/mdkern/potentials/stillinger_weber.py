"""Stillinger-Weber potential."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from mdkern import checks
from mdkern.io.stillinger_weber import read_stillinger_weber, stillinger_weber_model
from mdkern.io.three_body import ThreeBodyFile
from mdkern.potentials.base import InCore

__all__ = ["StillingerWeber"]


class StillingerWeber(InCore):
    r"""Stillinger-Weber potential from a file of LAMMPS (``.sw``).

    .. math::

        E = \sum_{i<j} A \epsilon \left[B (\sigma/r)^p - (\sigma/r)^q\right] h_{ij}(1)
          + \sum_i \sum_{j<k} \lambda \epsilon \left(\cos\theta_{jik} - \cos\theta_0\right)^2 h_{ij}(\gamma) h_{ik}(\gamma),
        \qquad h(\gamma) = \exp\frac{\gamma \sigma}{r - a \sigma}

    (F. H. Stillinger and T. A. Weber, Phys. Rev. B 31, 5262 (1985).) Energies and forces agree with LAMMPS's ``pair_style sw``.
    Half of a pair's energy belongs to either atom, a third of a triplet's to each of the three.

    Parameters
    ----------
    path : str
        A ``.sw`` file, eV and Angstrom. Or `source` of another StillingerWeber.
    elements : sequence of str, optional
        Use only these elements of the file, by default all whose triplets are complete.

    Raises
    ------
    FormatError, UnsupportedError, OSError
        From reading the file.
    ValueError
        Elements that the file does not have.

    Warns
    -----
    MDKernWarning
        Numbers that should be equal for both orders of two elements, as lambda epsilon of (i, j, k) and (i, k, j), differ by more than 1e-4. Their
        mean is taken.
    """

    core_name = "stillinger_weber"

    def __init__(
        self,
        path: str | os.PathLike[str] | ThreeBodyFile,
        elements: Sequence[str] | None = None,
        *,
        precision: str = "double",
    ) -> None:
        # Every potential takes it; this one has no choice to offer.
        checks.double_only("StillingerWeber", precision)
        #: The file as read, with all elements.
        self.source = path if isinstance(path, ThreeBodyFile) else read_stillinger_weber(path)
        self.model = stillinger_weber_model(self.source, elements)
        self.species, self.cutoff = self.model.species, self.model.cutoff
        self.make()

    def fields(self) -> dict[str, Any]:
        """Tables of the kernel (cpp/potentials/stillinger_weber.hpp)."""
        m, pair = self.model, self.model.pair
        n = len(m.species)
        # Beside a shorter cutoff by `tol`, all ends where the exponentials do.
        end = np.minimum(m.cutoffs, pair["a"] * pair["sigma"])
        strength = pair["A"] * pair["eps"]
        # Pairs that do not interact, whose numbers may all be zero, take shapes of one that does: (0 / r)^0 by logarithms would be no number.
        idle = end <= 0.0
        pair = {name: np.where(idle, x.flat[end.argmax()], x) for name, x in pair.items()}
        table = np.zeros((n, n, 16))
        columns = (
            end**2, pair["a"] * pair["sigma"], pair["gamma"] * pair["sigma"], pair["sigma"],
            strength, strength * pair["B"], pair["p"], pair["q"],
        )  # fmt: skip
        for k, column in enumerate(columns):
            table[..., k] = column
        return {
            "cutoff": self.cutoff,
            "reach2": np.ascontiguousarray(np.maximum(end, end.T) ** 2),
            "by_index": m.by_index,
            "pair": table,
            "strength": np.ascontiguousarray(m.strength),
            "cos0": np.ascontiguousarray(m.cos0),
            "whole_p": _whole(pair["p"]),
            "whole_q": _whole(pair["q"]),
        }


def _whole(powers: Any) -> int:
    """The power that all pairs have, if it is a whole number; else -1."""
    power = float(powers.flat[0])
    same = bool((powers == power).all())
    return int(power) if same and power == int(power) else -1
