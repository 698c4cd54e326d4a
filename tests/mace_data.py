"""MACE models with reference numbers: our own in tests/data/mace, all of them in $MDKERN_TEST_DATA/mace."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read
from numpy.typing import NDArray
from reference_data import shared_folder

from mdkern.io.mace import MaceModel, read_mace

OWN = Path(__file__).resolve().parent / "data" / "mace"


def folders() -> list[Path]:
    """Where models, structures and references are looked for; the first that has a file is taken."""
    shared = shared_folder("mace")
    return [folder for folder in (OWN, shared) if folder is not None]


def names() -> list[str]:
    """Of the models whose reference numbers are here."""
    found = {path.stem for folder in folders() for path in folder.glob("refs/*.npz")}
    return sorted(name for name in found if _find(f"models/{name}.npz"))


def _find(name: str) -> Path | None:
    return next((path for folder in folders() if (path := folder / name).exists()), None)


def mace_file(name: str) -> Path:
    """The ``.npz`` of a model."""
    path = _find(f"models/{name}.npz")
    assert path is not None, name
    return path


@cache
def mace_model(name: str) -> MaceModel:
    return read_mace(mace_file(name))


@cache
def _stored(name: str) -> tuple[list[Atoms], dict[str, NDArray[Any]]]:
    structures, refs = _find(f"structures/{name}.extxyz"), _find(f"refs/{name}.npz")
    assert structures is not None, name
    assert refs is not None, name
    with np.load(refs) as data:
        return read(structures, ":"), dict(data)


def frames(name: str) -> Iterator[tuple[Atoms, str | None, dict[str, Any]]]:
    """Atoms, head and reference of each: energy, energies, forces and, with full periodicity, stress."""
    structures, refs = _stored(name)
    for k, atoms in enumerate(structures):
        reference = {key.partition("_")[2]: v for key, v in refs.items() if key.startswith(f"{k}_")}
        yield atoms.copy(), atoms.info.get("head"), reference


def species_of(model: MaceModel, atoms: Atoms) -> list[int]:
    numbers = model.arrays["atomic_numbers"].tolist()
    return [numbers.index(z) for z in atoms.numbers]
