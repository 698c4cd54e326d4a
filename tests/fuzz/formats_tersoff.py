"""Damaged files of Tersoff, of all styles."""

from __future__ import annotations

from random import Random

from formats import DATA, model_format, reader
from mutants import damage_text

from mdkern.calculators import Tersoff

_NAMES = (
    "toy_Si.tersoff",
    "toy_SiC.tersoff",
    "toy_SiC.tersoff.mod",
    "toy_Si.tersoff.modc",
    "toy_SiC.tersoff.zbl",
)
_SEEDS = [(DATA / "classical" / name).read_text() for name in _NAMES]
# ruff: noqa: SIM905 - words
_WORDS = tuple("0 -1 1 3 0.5 14 100 1e9 1e100 1e-300 1e308 nan inf Si C Xx # 2.0 99.9 1D5".split())


def mutant(rng: Random) -> bytes:
    return damage_text(rng, rng.choice(_SEEDS), _WORDS)


FORMAT = model_format("tersoff", ".tersoff", mutant, reader(Tersoff))
