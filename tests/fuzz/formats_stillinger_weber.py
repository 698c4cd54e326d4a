"""Damaged files of Stillinger-Weber, with one element and with two."""

from __future__ import annotations

from random import Random

from formats import DATA, model_format, reader
from mutants import damage_text

from mdkern.calculators import StillingerWeber

_SEEDS = [(DATA / "classical" / name).read_text() for name in ("toy_GaAs.sw", "toy_Ga_tol.sw")]
# ruff: noqa: SIM905 - words
_WORDS = tuple("0 -1 1 0.5 4 100 1e9 1e100 1e-300 1e308 nan inf Ga As Si Xx # 2.0 99.9 1D5".split())


def mutant(rng: Random) -> bytes:
    return damage_text(rng, rng.choice(_SEEDS), _WORDS)


FORMAT = model_format("stillinger_weber", ".sw", mutant, reader(StillingerWeber))
