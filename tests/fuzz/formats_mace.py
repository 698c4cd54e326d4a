"""MACE models as .npz: descriptions, arrays and archives that lie."""

from __future__ import annotations

import sys
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
from formats import model_format
from mutants import damage_archive

from mdkern.calculators import MACE
from mdkern.io.mace import read_mace, write_mace

sys.path.append(str(Path(__file__).parent.parent))  # where torch_data is

from torch_data import TINY, archive, tiny


@cache
def _seeds() -> list[dict[str, bytes]]:
    out = []
    with tempfile.TemporaryDirectory() as folder:
        for which in TINY:
            model, path = Path(folder, "x.model"), Path(folder, "x.npz")
            model.write_bytes(archive(tiny(which)))
            write_mace(path, read_mace(model))
            with zipfile.ZipFile(path) as file:
                out.append({name: file.read(name) for name in file.namelist()})
    return out


def mutant(rng: Random) -> bytes:
    return damage_archive(rng, rng.choice(_seeds()), "meta.npy")


def potential(path: str, rng: Random) -> MACE:
    """The calculator of what was read; written and read again, the model is the same."""
    model = read_mace(path)
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        write_mace(file.name, model)
        again = read_mace(file.name)
    assert again.meta == model.meta
    for name, array in model.arrays.items():
        assert np.isfinite(array).all()
        assert array.tobytes() == again.arrays[name].tobytes()
    return MACE(
        model,
        rng.choice(model.meta["heads"]),
        precision=rng.choice(["double", "single"]),
        radial=rng.choice(["table", "exact"]),
    )


FORMAT = model_format("mace", ".npz", mutant, potential)
