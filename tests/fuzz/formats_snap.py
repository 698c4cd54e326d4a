"""Coefficients and parameters of SNAP: both files in one, either damaged, which are written apart before they are read."""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random
from typing import Any

from formats import model_format, reader
from mutants import damage_text

from mdkern.calculators import SNAP

sys.path.append(str(Path(__file__).parent.parent))  # where snap_data is

from snap_data import snap_text

_BETWEEN = b"\n====\n"
_SEEDS = (
    snap_text(("Cu", "Ni"), twojmax=1, bzeroflag=0, rmin0=0.1),
    snap_text(
        ("Cu", "Ni"),
        twojmax=1,
        chemflag=1,
        quadraticflag=1,
        switchinnerflag=1,
        sinner="1.0 1.1",
        dinner="0.5 0.6",
    ),
)


def mutant(rng: Random) -> bytes:
    coeff, param = rng.choice(_SEEDS)
    if rng.random() < 0.5:
        return damage_text(rng, coeff) + _BETWEEN + param.encode()
    return coeff.encode() + _BETWEEN + damage_text(rng, param)


def potential(path: str, rng: Random) -> Any:
    coeff, _, param = Path(path).read_bytes().partition(_BETWEEN)
    Path(path).write_bytes(coeff)
    Path(path).with_suffix(".snapparam").write_bytes(param)
    return reader(SNAP)(path, rng)


FORMAT = model_format("snap", ".snapcoeff", mutant, potential)
