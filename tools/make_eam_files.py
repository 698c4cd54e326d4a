"""Write the synthetic EAM files of tests/data/classical.

usage: python tools/make_eam_files.py

The functions are made up for the tests and describe no material; the symbols Al and Cu are
labels. Grids are coarse on purpose, so that the interpolation rule shows in the numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

OUT = Path(__file__).resolve().parent.parent / "tests" / "data" / "classical"
CUTOFF = 5.2
SPECIES = ("Al", "Cu")
HEADER = {"Al": "13 26.98 4.05 fcc", "Cu": "29 63.55 3.61 fcc"}
Array = NDArray[np.float64]


def taper(r: Array, cutoff: float) -> Array:
    """Falls to zero at the cutoff with zero slope."""
    return np.where(r < cutoff, (1 - (r / cutoff) ** 2) ** 2, 0.0)


def density(source: str, centre: str, r: Array, cutoff: float = CUTOFF) -> Array:
    """Made-up density; `centre` matters only in the Finnis-Sinclair file."""
    height = {"Al": 1.1, "Cu": 1.6}[source] * {"Al": 1.0, "Cu": 0.87}[centre]
    width = {"Al": 1.3, "Cu": 1.5}[source] + {"Al": 0.0, "Cu": 0.05}[centre]
    return height * np.exp(-width * (r - 2.6)) * taper(r, cutoff)


def embedding(element: str, rho: Array) -> Array:
    scale = {"Al": 1.2, "Cu": 0.9}[element]
    return -scale * (np.sqrt(rho + 0.04) - 0.2) + 0.004 * scale * rho**2


def pair(a: str, b: str, r: Array) -> Array:
    depth = {"AlAl": 0.21, "AlCu": 0.26, "CuCu": 0.18}["".join(sorted((a, b)))]
    centre = {"AlAl": 2.8, "AlCu": 2.65, "CuCu": 2.5}["".join(sorted((a, b)))]
    decay = np.exp(-1.4 * (r - centre))
    return depth * (decay**2 - 2 * decay) * taper(r, CUTOFF)


def charge(element: str, r: Array, cutoff: float) -> Array:
    return {"Al": 3.1, "Cu": 4.2}[element] * np.exp(-0.9 * r) * taper(r, cutoff)


def block(values: Iterable[float], per_line: int) -> str:
    words = [f"{value:.15e}" for value in values]
    lines = [" ".join(words[k : k + per_line]) for k in range(0, len(words), per_line)]
    return "\n".join(lines) + "\n"


def write_setfl(path: Path, finnis_sinclair: bool, per_line: int) -> None:
    n_rho, drho, n_r, dr = 301, 0.09, 381, CUTOFF / 380
    rho, r = np.arange(n_rho) * drho, np.arange(n_r) * dr
    text = "UNITS: metal synthetic tables of mdkern, made by tools/make_eam_files.py\n"
    text += "they describe no material\nfree to use\n"
    text += f"2 {' '.join(SPECIES)}\n{n_rho} {drho} {n_r} {dr!r} {CUTOFF}\n"
    for a in SPECIES:
        text += HEADER[a] + "\n" + block(embedding(a, rho), per_line)
        for b in SPECIES if finnis_sinclair else SPECIES[:1]:
            text += block(density(a, b, r), per_line)
    for k, a in enumerate(SPECIES):
        for b in SPECIES[: k + 1]:
            text += block(r * pair(a, b, r), per_line)
    path.write_text(text)


def write_funcfl(path: Path, element: str, n_rho: int, n_r: int, cutoff: float) -> None:
    drho, dr = 22.0 / (n_rho - 1), (cutoff + 0.03) / (n_r - 1)
    rho, r = np.arange(n_rho) * drho, np.arange(n_r) * dr
    text = "synthetic tables of mdkern, made by tools/make_eam_files.py\n"
    text += f"{HEADER[element]}\n{n_rho} {drho!r} {n_r} {dr!r} {cutoff}\n"
    text += block(embedding(element, rho), 5)
    text += block(charge(element, r, cutoff), 5)
    text += block(density(element, "Al", r, cutoff), 5)
    path.write_text(text)


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    write_setfl(OUT / "synthetic.eam.alloy", finnis_sinclair=False, per_line=5)
    write_setfl(OUT / "synthetic.eam.fs", finnis_sinclair=True, per_line=4)
    write_funcfl(OUT / "synthetic_Al.eam", "Al", n_rho=250, n_r=300, cutoff=5.0)
    write_funcfl(OUT / "synthetic_Cu.eam", "Cu", n_rho=280, n_r=260, cutoff=4.7)
