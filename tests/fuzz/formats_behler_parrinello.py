"""Folders of n2p2: texts of input.nn, scaling.data and weights, packed into an archive here."""

from __future__ import annotations

import io
import shutil
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from random import Random

from formats import model_format
from mutants import WORDS, damage_bytes, damage_text

import mdkern
from mdkern.bench.behler_parrinello_models import random_behler_parrinello
from mdkern.calculators import BehlerParrinello

_UNITS = {"length_unit": "angstrom", "energy_unit": "eV"}
_FUNCTIONS = [
    "O 2 H 0.3 0.0 4.0", "O 3 H O 0.1 1 2 4.0 0.5", "O 9 H H 0.1 -1 1.5 3.0", "O 13 0.1 0.2 1 4 4.0",
    "O 23 -4 4 p1", "O 22 H H -3 3 0 180 p2a", "H 20 O 0.5 4 e", "H 21 O H -4 4 20 150 p3a",
    "H 12 0.4 0.0 4.0", "H 24 0 4 0 120 p4", "H 25 0 3 60 180 ea",
]  # fmt: skip


@cache
def _seeds() -> list[dict[str, bytes]]:
    out = []
    for k, (activations, settings) in enumerate(
        [
            ("tpl", ["scale_symmetry_functions", "center_symmetry_functions", "atom_energy O -2.0"]),
            ("gsh", ["scale_symmetry_functions_sigma", "normalize_nodes", "nnp_type 2G-HDNNP",
                     "mean_energy -1.0", "conv_energy 2.0", "conv_length 1.5"]),
        ]
    ):  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            random_behler_parrinello(
                folder, species=("O", "H"), functions=_FUNCTIONS, hidden=(3, 2), activations=activations,
                settings=settings, cutoff=f"{1 + 5 * k} 0.1", nodes={"O": ((2,), "tl")},
            )  # fmt: skip
            out.append({p.name: p.read_bytes() for p in sorted(Path(folder).iterdir())})
    return out


def _mutant(rng: Random) -> bytes:
    members = dict(rng.choice(_seeds()))
    for _ in range(rng.choice([1, 1, 2])):
        name = "input.nn" if rng.random() < 0.6 else rng.choice(list(members))
        if name not in members:
            continue
        what = rng.random()
        if what < 0.05:
            members.pop(name)
        elif what < 0.85:
            members[name] = damage_text(rng, members[name].decode("latin-1"))
        elif what < 0.95:
            members[name] = damage_bytes(rng, members[name])
        else:
            members[name] += rng.choice(WORDS).encode() + b"\n"
    members = members or {"input.nn": b""}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return out.getvalue()


def _read(path: str, rng: Random) -> BehlerParrinello:
    folder = Path(tempfile.mkdtemp())
    try:
        with zipfile.ZipFile(path) as file:
            file.extractall(folder)
        if not (folder / "input.nn").exists() or rng.random() < 0.5:
            return BehlerParrinello(folder, **_UNITS)
        return mdkern.load(folder, **_UNITS)
    finally:
        shutil.rmtree(folder)


FORMAT = model_format("behler_parrinello", ".zip", _mutant, _read)
