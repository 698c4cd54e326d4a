"""Random SNAP files of any size, for tests and benchmarks: the format without the physics."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mdkern.io.snap import bispectrum_triples

__all__ = ["random_snap", "snap_text"]


def snap_text(elements: Sequence[str], *, seed: int = 1, **parameters: Any) -> tuple[str, str]:
    """Texts of the coefficients and of the parameters, which are keywords of ``.snapparam``.

    Radii are 0.5 and more, weights 1 and less. Coefficients have no symmetry.
    """
    parameters = {"rcutfac": 4.0, "twojmax": 3, **parameters}
    n = len(bispectrum_triples(parameters["twojmax"]))
    n *= len(elements) ** 3 if parameters.get("chemflag") else 1
    rng = np.random.default_rng(seed)
    width = 1 + n + (n * (n + 1) // 2 if parameters.get("quadraticflag") else 0)
    text = f"# random\n\n{len(elements)} {width}\n"
    for k, element in enumerate(elements):
        values = rng.normal(scale=3e-3, size=width)
        values[n + 1 :] *= 1e-2
        text += f"{element} {0.5 + 0.06 * k} {1.0 - 0.2 * k}\n"
        text += "".join(f"{x:.17g}\n" for x in values)
    return text, "# random\n" + "".join(f"{key} {value}\n" for key, value in parameters.items())


def random_snap(path: str | os.PathLike[str], elements: Sequence[str], **options: Any) -> str:
    """Write both files: coefficients at `path`, parameters beside them. Returns the path."""
    coeff, param = snap_text(elements, **options)
    Path(path).write_text(coeff, encoding="utf-8")
    Path(path).with_suffix(".snapparam").write_text(param, encoding="utf-8")
    return os.fspath(path)
