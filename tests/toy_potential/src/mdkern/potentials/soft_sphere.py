"""Soft spheres."""

from __future__ import annotations

import os
import re
from typing import Any

from mdkern import checks
from mdkern.errors import FormatError
from mdkern.io.text import read_head, read_text
from mdkern.potentials.base import InCore

__all__ = ["SoftSphere", "is_soft_sphere"]

_MARK = b"soft-sphere"
_MOST = 100.0  # of either parameter; more is a damaged file


class SoftSphere(InCore):
    r"""Spheres that repel each other where they overlap.

    .. math:: \phi(r) = \tfrac{k}{2} (r_c - r)^2, \quad r < r_c

    Parameters
    ----------
    path : str, optional
        File of three lines: ``soft-sphere``, ``k`` and its value, ``rc`` and its value. In place of the others.
    k : float, optional
        eV/Angstrom^2.
    rc : float, optional
        Diameter in Angstrom.

    Raises
    ------
    ValueError
        Missing, non-finite or negative parameters, or a file and parameters.
    FormatError, OSError
        From reading the file.
    """

    core_name = "soft_sphere"
    species: tuple[str, ...] | None = None

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        k: float | None = None,
        rc: float | None = None,
    ) -> None:
        if path is not None:
            if k is not None or rc is not None:
                raise ValueError("path and k, rc: both given; expected one of them")
            k, rc = _read(path)
        self.k: float = checks.positive("k", k)
        self.cutoff: float = checks.positive("rc", rc)
        self.make()

    def fields(self) -> dict[str, Any]:
        """Parameters of the kernel (cpp/potentials/soft_sphere.hpp)."""
        return {"k": self.k, "cutoff": self.cutoff}


def is_soft_sphere(path: str | os.PathLike[str]) -> bool:
    """Whether the first line is the mark of these files."""
    return read_head(path).split(b"\n", 1)[0].strip() == _MARK


def _read(path: str | os.PathLike[str]) -> tuple[float, float]:
    lines = read_text(path, 1000).splitlines()
    found = []
    for line, name in enumerate(("k", "rc"), start=2):
        text = lines[line - 1] if line <= len(lines) else b""
        match = re.fullmatch(rf"\s*{name}\s+([\d.eE+-]{{1,40}})\s*".encode(), text)
        try:
            value = float(match[1]) if match else 0.0
        except ValueError:
            value = 0.0
        if not 0.0 < value <= _MOST:
            raise FormatError(
                f"expected {name!r} and a number above 0, at most {_MOST:g}", path, line
            )
        found.append(value)
    return found[0], found[1]
