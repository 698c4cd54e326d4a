"""Cases of soft spheres for make_lammps_references.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def cases(add: Callable[..., Any]) -> None:
    """LAMMPS has the energy without the factor of one half."""
    add("soft_sphere", "SoftSphere", {"k": 2.0, "rc": 3.4}, ["Ar"], 4.2,
        ["pair_style harmonic/cut", "pair_coeff 1 1 1.0 3.4"])  # fmt: skip
