"""Write the models with charges of this folder, their structures and reference numbers (needs calorine)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.io import read, write
from calorine.calculators import CPUNEP

from mdkern.bench.nep_models import random_nep

HERE = Path(__file__).resolve().parent
MODELS: dict[str, dict[str, Any]] = {
    "synthetic_nep4_zbl_charge1": {"kind": "charge1", "zbl": (1.0, 2.2)},
    "synthetic_nep4_charge2": {"kind": "charge2"},
    "synthetic_nep4_charge3": {"kind": "charge3"},
}


def structures(seed: int) -> list[Atoms]:
    """A distorted crystal, and a small oblique cell."""
    rng = np.random.default_rng(seed)
    large = bulk("MgO", "rocksalt", a=4.2, cubic=True) * (2, 2, 1)
    small = bulk("MgO", "rocksalt", a=4.3) * (2, 1, 1)
    for atoms in (large, small):
        strain = np.eye(3) + rng.normal(scale=0.06, size=(3, 3))
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        atoms.positions += rng.normal(scale=0.12, size=atoms.positions.shape)
    return [large, small]


def main() -> None:
    """All files."""
    for seed, (name, kind) in enumerate(MODELS.items()):
        path = HERE / f"{name}.txt"
        size: dict[str, Any] = {"n_max": (3, 2), "basis": (6, 6), "hidden": 6}
        random_nep(
            path, species=["O", "Mg"], bodies=["222", "1111"], seed=seed + 70, **size, **kind
        )
        frames = HERE / f"{name}.extxyz"
        write(frames, structures(seed))
        arrays: dict[str, Any] = {}
        for k, atoms in enumerate(read(frames, ":")):
            atoms.calc = CPUNEP(str(path))
            atoms.get_potential_energy()
            got, volume = atoms.calc.results, atoms.get_volume()
            virials = got["stresses"] * volume
            values = {key: got[key] for key in ("energy", "energies", "charges")}
            values["becs"] = got["born_effective_charges"]
            values["descriptors"] = atoms.calc.get_descriptors()
            if kind["kind"] != "charge3":  # see README.md
                values |= {"forces": got["forces"], "virials": virials, "stress": got["stress"]}
                values["virial"] = virials.sum(axis=0).reshape(3, 3)
            arrays |= {f"{k}_{key}": value for key, value in values.items()}
        np.savez_compressed(HERE / f"{name}.npz", **arrays)


if __name__ == "__main__":
    main()
