"""ACE models with reference numbers: our own in tests/data/ace, and those in $MDKERN_TEST_DATA that are not ours to ship."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read
from reference_data import shared_folder

from mdkern.io.ace import AceModel, read_ace

OWN = Path(__file__).resolve().parent / "data" / "ace"


def ace_file(name: str) -> Path:
    """A model of the repository."""
    return OWN / name


@cache
def ace_model(path: Path) -> AceModel:
    return read_ace(path)


@cache
def _files() -> dict[str, tuple[Path, Path]]:
    """Model, and structures without their suffix, of each case."""
    found = {
        case["name"]: (OWN / case["kwargs"]["path"], OWN / case["name"])
        for case in json.loads((OWN / "cases.json").read_text())
    }
    shared = shared_folder("potentials")
    if shared is not None and (shared / "Cu-PBE-core-rep.yace").exists():
        found["ace_cu"] = shared / "Cu-PBE-core-rep.yace", shared / "cases" / "ace_cu"
    return found


def names() -> list[str]:
    return sorted(_files())


def model_file(name: str) -> Path:
    """Of a case."""
    return _files()[name][0]


def frames(name: str) -> Iterator[tuple[Atoms, dict[str, Any]]]:
    """Structures of a case with their reference: energy, energies, forces and, of some periodic ones, stress."""
    start = _files()[name][1]
    with np.load(f"{start}.npz", allow_pickle=False) as stored:
        arrays = dict(stored)
    for k, atoms in enumerate(read(f"{start}.extxyz", ":", format="extxyz")):
        mine = f"{k}_"
        yield (
            atoms,
            {key.removeprefix(mine): v for key, v in arrays.items() if key.startswith(mine)},
        )


# --- small files, to be changed by tests

TINY_YACE = """\
elements: [Si, O]
E0: [-1.5, 0.25]
deltaSplineBins: 0.001
embeddings:
  0: {ndensity: 2, FS_parameters: [1, 1, 0.5, 0.5], npoti: FinnisSinclairShiftedScaled, rho_core_cutoff: 40, drho_core_cutoff: 5}
  1: {ndensity: 1, FS_parameters: [1, 1.5], npoti: FinnisSinclair, rho_core_cutoff: 100, drho_core_cutoff: 25}
bonds:
  [0, 0]: {nradmax: 2, lmax: 1, nradbasemax: 3, radbasename: ChebPow, radparameters: [2], radcoefficients: [[[0.5, -0.2, 0.1], [0.3, 0.2, -0.6]], [[0.1, 0.4, 0.2], [0.7, -0.1, 0.3]]], prehc: 20, lambdahc: 1.5, rcut: 4, dcut: 0.5, rcut_in: 1.1, dcut_in: 0.3, inner_cutoff_type: density}
  [0, 1]: {nradmax: 1, lmax: 1, nradbasemax: 2, radbasename: ChebExpCos, radparameters: [4.5], radcoefficients: [[[0.3, 0.4], [0.2, -0.5]]], prehc: 10, lambdahc: 1.2, rcut: 4.5, dcut: 0.01, rcut_in: 1.1, dcut_in: 0.3, inner_cutoff_type: density}
  [1, 0]: {nradmax: 1, lmax: 1, nradbasemax: 2, radbasename: SBessel, radparameters: [1], radcoefficients: [[[0.3, 0.4], [0.2, -0.5]]], prehc: 10, lambdahc: 1.2, rcut: 4.5, dcut: 0.01, rcut_in: 1.1, dcut_in: 0.3, inner_cutoff_type: density}
  [1, 1]: {nradmax: 0, lmax: 0, nradbasemax: 1, radbasename: ChebLinear, radparameters: [1], radcoefficients: [], prehc: 0, lambdahc: 1, rcut: 3.5, dcut: 0.01, rcut_in: 1.1, dcut_in: 0.3, inner_cutoff_type: density}
functions:
  0:
    - {mu0: 0, rank: 1, ndensity: 2, num_ms_combs: 1, mus: [0], ns: [2], ls: [0], ms_combs: [0], ctildes: [0.7, -0.2]}
    - {mu0: 0, rank: 1, ndensity: 2, num_ms_combs: 1, mus: [1], ns: [1], ls: [0], ms_combs: [0], ctildes: [0.4, 0.3]}
    - {mu0: 0, rank: 2, ndensity: 2, num_ms_combs: 2, mus: [0, 1], ns: [1, 1], ls: [1, 1], ms_combs: [0, 0, -1, 1], ctildes: [0.3, 0.1, -0.6, -0.2]}
    - {mu0: 0, rank: 3, ndensity: 2, num_ms_combs: 2, mus: [0, 0, 0], ns: [1, 2, 1], ls: [1, 1, 0], ms_combs: [1, -1, 0, 0, 0, 0], ctildes: [0.5, 0.2, -0.25, -0.1]}
  1:
    - {mu0: 1, rank: 1, ndensity: 1, num_ms_combs: 1, mus: [0], ns: [1], ls: [0], ms_combs: [0], ctildes: [0.6]}
    - {mu0: 1, rank: 2, ndensity: 1, num_ms_combs: 1, mus: [0, 0], ns: [1, 1], ls: [0, 0], ms_combs: [0, 0], ctildes: [-0.2]}
"""

TINY_ACE = """\
# of one element

nelements=1
elements: Al

lmax=1
embedding-function: FinnisSinclairShiftedScaled
4 FS parameters:  1.0 1.0 0.5 0.5
core energy-cutoff parameters: 40.0 5.0
E0: -1.5

radbasename=ChebExpCos
nradbase=3
nradmax=2
cutoffmax=4.0
deltaSplineBins=0.001
core repulsion parameters: 20.0 1.5
radparameter= 4.5
cutoff= 4.0
dcut= 0.5
crad= 0.5 0.3 0.1 0.7
 -0.2 0.2 0.4 -0.1
 0.1 -0.6 0.2 0.3

rankmax=3
ndensitymax=2

num_c_tilde_max=4
num_ms_combinations_max=2
total_basis_size_rank1: 1
ctilde_basis_func: rank=1 ndens=2 mu0=0 mu=( 0 )
n=( 2 )
l=( 0 )
num_ms=1
< 0 >:  0.7 -0.2
total_basis_size: 2
ctilde_basis_func: rank=2 ndens=2 mu0=0 mu=( 0  0 )
n=( 1  2 )
l=( 1  1 )
num_ms=2
< 0  0 >:  0.3 0.1
< -1  1 >:  -0.6 -0.2
ctilde_basis_func: rank=3 ndens=2 mu0=0 mu=( 0  0  0 )
n=( 1  2  1 )
l=( 1  1  0 )
num_ms=2
< 1 -1 0 >:  0.5 0.2
< 0 0 0 >:  -0.25 -0.1
"""

# The same in the other format.
TINY_ACE_AS_YACE = """\
elements: [Al]
E0: [-1.5]
deltaSplineBins: 0.001
embeddings:
  0: {ndensity: 2, FS_parameters: [1, 1, 0.5, 0.5], npoti: FinnisSinclairShiftedScaled, rho_core_cutoff: 40, drho_core_cutoff: 5}
bonds:
  [0, 0]: {nradmax: 2, lmax: 1, nradbasemax: 3, radbasename: ChebExpCos, radparameters: [4.5], radcoefficients: [[[0.5, -0.2, 0.1], [0.3, 0.2, -0.6]], [[0.1, 0.4, 0.2], [0.7, -0.1, 0.3]]], prehc: 20, lambdahc: 1.5, rcut: 4, dcut: 0.5}
functions:
  0:
    - {mu0: 0, rank: 1, ndensity: 2, num_ms_combs: 1, mus: [0], ns: [2], ls: [0], ms_combs: [0], ctildes: [0.7, -0.2]}
    - {mu0: 0, rank: 2, ndensity: 2, num_ms_combs: 2, mus: [0, 0], ns: [1, 2], ls: [1, 1], ms_combs: [0, 0, -1, 1], ctildes: [0.3, 0.1, -0.6, -0.2]}
    - {mu0: 0, rank: 3, ndensity: 2, num_ms_combs: 2, mus: [0, 0, 0], ns: [1, 2, 1], ls: [1, 1, 0], ms_combs: [1, -1, 0, 0, 0, 0], ctildes: [0.5, 0.2, -0.25, -0.1]}
"""

TINY_GRACE = """\
elements: [Al, Li]
nnorm: 0.05
emb_spec: {params: [1.0, 1.0, 0.5, 2.0], type: FinnisSinclairShiftedScaled}
radial_basis: {Z: [0.8, -0.3, 1.2, 0.4], Z_shape: [2, 2], crad: [0.5, -0.2, 0.1, 0.3, 0.2, -0.6, 0.1, 0.4, 0.2, 0.7, -0.1, 0.3], crad_shape: [2, 2, 3], cutoff: 4.0, n_rad_base: 3, nradmax: 2, radbasename: SBessel}
functions:
  0:
    - {mu0: 0, ns: 1, ls: [0], ms_combs: [0], gen_cgs: [1.0], ndensity: 2, coeff: [4.0, 1.0], rank: 1}
    - {mu0: 0, ns: 2, ls: [0], ms_combs: [0], gen_cgs: [1.0], ndensity: 2, coeff: [3.0, -2.0], rank: 1}
    - {mu0: 0, ns: 1, ls: [1, 1], ms_combs: [-1, -1, 0, 0, 1, 1], gen_cgs: [0.5, 0.5, 0.5], ndensity: 2, coeff: [30.0, 10.0], rank: 2}
    - {mu0: 0, ns: 2, ls: [0, 1, 1], ms_combs: [0, -1, -1, 0, 0, 0, 0, 1, 1], gen_cgs: [0.3, 0.3, 0.3], ndensity: 2, coeff: [-50.0, 20.0], rank: 3}
  1:
    - {mu0: 1, ns: 1, ls: [0], ms_combs: [0], gen_cgs: [1.0], ndensity: 2, coeff: [2.0, 3.0], rank: 1}
E0: [0.5, -0.25]
shift: 0.125
scale: 1.5
"""

TINY = {"yace": TINY_YACE, "ace": TINY_ACE, "grace": TINY_GRACE}
