"""MACE: the contract on models of every block, numbers of mace-torch, tables, heads, single precision."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from contracts import PotentialContract, ThreadsUnderSanitizers
from mace_data import mace_model, species_of

from mdkern import reference
from mdkern.bench.mace_models import DENSITY, DENSITY_RESIDUAL, PLAIN, RESIDUAL, random_mace
from mdkern.calculators import MACE
from mdkern.io.mace import MaceModel


@cache
def random_model(**kw: Any) -> MaceModel:
    small = {"channels": 5, "num_basis": 5, "radial": (8, 8), "r_max": 3.6, "neighbors": 14}
    return random_mace(**{**small, **kw})


@cache
def narrow(name: str, width: int = 8, r_max: float = 3.6) -> MaceModel:
    """A stored model with fewer neurons in its radial nets and fewer neighbors: its tables are made in milliseconds."""
    model = mace_model(name)
    radial, arrays = model.meta["radial"], dict(model.arrays)
    arrays["radial.freq"] = arrays["radial.freq"] * radial["r_max"] / r_max
    for key, value in arrays.items():
        layer, _, rest = key.partition(".")
        net, _, what = rest.partition(".")
        if net not in ("radial", "density") or layer == "radial":
            continue
        if what[0] == "W" and what != "W0":
            value = value[:width] * np.sqrt(len(value) / min(width, len(value)))
        last = f"{layer}.{net}.W{int(what[1:]) + 1}" not in arrays
        arrays[key] = value if last else value[..., :width]
    return replace(model, meta={**model.meta, "radial": {**radial, "r_max": r_max}}, arrays=arrays)


_defined: dict[Any, reference.Result] = {}


def defined(model: MaceModel, atoms: Atoms) -> reference.Result:
    """The definition's result; of a structure once, as every instruction set asks for it."""
    place = atoms.positions, atoms.cell.array, atoms.pbc, atoms.numbers
    key = (id(model), *(x.tobytes() for x in place))
    if key not in _defined:
        _defined[key] = reference.mace(*place[:3], species_of(model, atoms), model)
    return _defined[key]


class Model(PotentialContract):
    continuous = "forces"
    accuracy = 1e-7
    listed = 4_000
    reach = np.inf
    symbols: ClassVar[tuple[str, ...]] = ("O", "Cu")


class TestVectors(ThreadsUnderSanitizers, Model):
    """The shape of MACE-MP-0a medium."""

    make = staticmethod(lambda **kw: MACE(random_model(l_hidden=1), **kw))
    reference = staticmethod(lambda atoms: defined(random_model(l_hidden=1), atoms))


class TestDensityWithRepulsion(Model):
    """That of MACE-MPA-0: densities, the transform of Agnesi, ZBL."""

    model = staticmethod(
        lambda: random_model(
            l_hidden=1, blocks=(DENSITY, DENSITY_RESIDUAL), repulsion=True, species=("O", "Cu", "W")
        )
    )
    symbols = ("O", "Cu", "W")
    make = staticmethod(lambda **kw: MACE(TestDensityWithRepulsion.model(), **kw))
    reference = staticmethod(lambda atoms: defined(TestDensityWithRepulsion.model(), atoms))


class TestNonLinear(Model):
    """That of MACE-MH-1."""

    symbols = ("O", "Au")
    make = staticmethod(lambda **kw: MACE(narrow("mh_like"), **kw))
    reference = staticmethod(lambda atoms: defined(narrow("mh_like"), atoms))


class TestTensors(Model):
    """That of MACE-MP-0a large."""

    make = staticmethod(lambda **kw: MACE(random_model(l_hidden=2), **kw))
    reference = staticmethod(lambda atoms: defined(random_model(l_hidden=2), atoms))


class TestThreeLayers(Model):
    """The first without self connection, as those of MACE-OFF; correlation 2."""

    model = staticmethod(
        lambda: random_model(blocks=(PLAIN, RESIDUAL, RESIDUAL), l_hidden=1, correlation=2)
    )
    make = staticmethod(lambda **kw: MACE(TestThreeLayers.model(), **kw))
    reference = staticmethod(lambda atoms: defined(TestThreeLayers.model(), atoms))
