"""Models of DeePMD-kit with reference values: small ones of ours (tests/data/deepmd), larger ones outside."""

from __future__ import annotations

import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read
from reference_data import shared_folder

from mdkern.bench.scratch import scratch_folder

HERE = Path(__file__).resolve().parent / "data" / "deepmd"
SYMBOLS = ("O", "H", "Cu")
SYSTEMS = ("crystal", "free", "alone")
WATER = ("water_se_e2_a", "water_se_e2_a_small", "water_se_e2_a_twoside", "water_se_e2_r")

Values = dict[str, Any]


@cache
def _folder() -> Path:
    folder = scratch_folder()
    with zipfile.ZipFile(HERE / "models.zip") as archive:
        archive.extractall(folder)
    return folder


@cache
def names() -> list[str]:
    with zipfile.ZipFile(HERE / "models.zip") as archive:
        return sorted(Path(name).stem for name in archive.namelist())


def model_file(name: str) -> str:
    return str(next(_folder().glob(name + ".*")))


@cache
def _references() -> dict[str, Any]:
    with np.load(HERE / "references.npz", allow_pickle=False) as stored:
        return dict(stored)


def system(name: str) -> Atoms:
    r = _references()
    atoms = Atoms([SYMBOLS[t] for t in r[f"{name}/types"]], r[f"{name}/positions"])
    if f"{name}/cell" in r:
        atoms.set_cell(r[f"{name}/cell"])
        atoms.pbc = True
    return atoms


def reference_of(model: str, name: str) -> Values:
    """energy, force, atom_energy and perhaps virial by DeePMD-kit."""
    start = f"{model}/{name}/"
    return {k.removeprefix(start): v for k, v in _references().items() if k.startswith(start)}


def water_cases(model: str) -> list[tuple[str, Atoms, Values]]:
    """File, atoms and values of the outside models."""
    folder = shared_folder("deepmd")
    assert folder is not None
    with np.load(folder / f"{model}.npz", allow_pickle=False) as stored:
        values = dict(stored)
    out = []
    for atoms in read(folder / "structures.extxyz", ":"):
        start = atoms.info["name"] + "/"
        of = {k.removeprefix(start): v for k, v in values.items() if k.startswith(start)}
        out.append((str(folder / f"{model}.dp"), atoms, of))
    return out


def inputs(atoms: Atoms, model: Any) -> tuple[Any, ...]:
    kinds = np.array([model.species.index(x) for x in atoms.get_chemical_symbols()], dtype=int)
    return atoms.positions, atoms.cell.array, atoms.pbc, kinds, model
