"""The three formats of the atomic cluster expansion: .yace, .ace texts, and GRACE/FS .yaml."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from formats import model_format, reader
from mutants import damage_text, number_near

from mdkern.calculators import ACE
from mdkern.io.ace import AceModel, is_ace, read_ace
from mdkern.io.ace_facts import describe_ace
from mdkern.reference.ace import ace, ace_functions

sys.path.append(str(Path(__file__).parent.parent))  # where ace_data is

from ace_data import TINY

_RADIAL = (
    "ChebExpCos",
    "ChebPow",
    "ChebLinear",
    "SBessel",
    "TEST_SBessel",
    "TEST_x",
    "ACE.jl.Basic",
)
_KINDS = ("FinnisSinclair", "FinnisSinclairShiftedScaled", "density", "distance", "zbl")
_MARKS = ("[", "]", "{", "}", "? ", "- ", ": ", ",", "'", '"', "#", "|", "&a", "*a", "!x", "---")
_WORDS = (
    *_RADIAL,
    *_KINDS,
    *_MARKS,
    *"0 1 2 -1 3 0.5 1e30 1e-30 1e400 nan inf .inf 7 1000 99999999 0x1 1_0 true null ~ [] {} [0] [0,0] Si O X".split(),  # noqa: SIM905
)


def mutant(rng: Random) -> bytes:
    """Numbers, words, lines and bytes; of braces and lists, pieces taken out or put in twice."""
    text = rng.choice([TINY["yace"], TINY["yace"], TINY["ace"], TINY["grace"]])
    if rng.random() < 0.2:
        kind = rng.choice(["density", "distance", "zbl"])
        text = text.replace("inner_cutoff_type: density", f"inner_cutoff_type: {kind}")
    what = rng.random()
    if what < 0.4:
        for _ in range(rng.choice([1, 1, 2, 4])):
            number = rng.choice(list(re.finditer(r"-?\b[0-9.]+", text)))
            new = number_near(rng, number[0]) if rng.random() < 0.8 else rng.choice(_WORDS)
            text = text[: number.start()] + new + text[number.end() :]
        return text.encode()
    if what < 0.6:
        marks = [k for k, letter in enumerate(text) if letter in "[]{},:()<>="]
        for _ in range(rng.choice([1, 1, 2])):
            begin, end = sorted(rng.sample(marks, 2)) if rng.random() < 0.3 else (k := rng.choice(marks), k + 1)  # fmt: skip
            piece = rng.choice(["", text[begin:end] * 2, *rng.sample(_MARKS, 2)])
            text = text[:begin] + piece + text[end:]
            marks = [k for k, letter in enumerate(text) if letter in "[]{},:()<>="] or [0, 1]
        if rng.random() < 0.5:
            return text.encode()
    return damage_text(rng, text, _WORDS)


def potential(path: str, rng: Random) -> Any:
    """The calculator of what was read; of some files what the command line shows, and the definition's result."""
    is_ace(path)
    if rng.random() < 0.1:
        describe_ace(path)
    if rng.random() < 0.2:
        evaluate(read_ace(path))
    return reader(ACE)(path, rng)


def evaluate(model: AceModel) -> None:
    """By the definition: indices are within their arrays."""
    n = min(6, 2 * len(model.elements))
    species = np.arange(n) % len(model.elements)
    positions = np.random.default_rng(5).uniform(0, 4.0, (n, 3))
    with np.errstate(all="ignore"):
        result = ace(positions, np.eye(3), False, species, model, tables=False)
        values = ace_functions(positions, np.eye(3), False, species, model, tables=False)
    assert result.forces.shape == (n, 3)
    assert len(values) == n
    for embedding in model.embeddings:
        assert np.isfinite(embedding.weights).all()
        assert np.isfinite(embedding.exponents).all()
    for bond in model.bonds.values():
        assert np.isfinite(bond.coefficients).all()


FORMAT = model_format("ace", ".yace", mutant, potential)
