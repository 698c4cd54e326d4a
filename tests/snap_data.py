"""Files of SNAP with random numbers."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mdkern.bench.scratch import scratch_folder
from mdkern.io.snap import bispectrum_triples

OWN = Path(__file__).resolve().parent / "data" / "classical"


def snap_text(elements: tuple[str, ...], seed: int = 1, **parameters: Any) -> tuple[str, str]:
    """Texts of the two files. Coefficients have no symmetry."""
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


@cache
def snap_file(elements: tuple[str, ...], seed: int = 1, **parameters: Any) -> str:
    """Path of the coefficients; the parameters lie beside them."""
    coeff, param = snap_text(elements, seed, **parameters)
    name = f"{'-'.join(elements)}_{seed}_{abs(hash(tuple(parameters.items())))}"
    path = scratch_folder() / f"{name}.snapcoeff"
    path.write_text(coeff)
    path.with_suffix(".snapparam").write_text(param)
    return str(path)
