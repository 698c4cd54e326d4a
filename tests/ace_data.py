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
    """Structures of a case with their reference: energy, energies, forces and, where some direction is periodic, stress."""
    start = _files()[name][1]
    with np.load(f"{start}.npz", allow_pickle=False) as stored:
        arrays = dict(stored)
    for k, atoms in enumerate(read(f"{start}.extxyz", ":", format="extxyz")):
        mine = f"{k}_"
        yield (
            atoms,
            {key.removeprefix(mine): v for key, v in arrays.items() if key.startswith(mine)},
        )
