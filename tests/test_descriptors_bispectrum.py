"""The bispectrum against its definition, LAMMPS's numbers, as the basis of linear models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from contracts import evaluate
from descriptor_checks import SPECIES, DescriptorContract
from reference_data import all_cases, case_id
from snap_data import OWN

from mdkern import reference
from mdkern.calculators import SNAP, LinearModel
from mdkern.descriptors import Bispectrum, from_dict

RADII, WEIGHTS = [0.4, 0.45, 0.5, 0.55, 0.6], [1.0, 0.9, 0.8, -0.7, 0.6]


def definition(descriptor: Bispectrum, atoms: Atoms, centers: Any) -> Any:
    kinds = [descriptor.model.species.index(x) for x in atoms.get_chemical_symbols()]
    b, g = reference.bispectrum(
        atoms.positions, atoms.cell.array, atoms.pbc, kinds, descriptor.model
    )
    return b[centers], g[centers]


class TestWeights(DescriptorContract):
    make = staticmethod(
        lambda **kw: Bispectrum(
            SPECIES, 4.4, 4, radelem=RADII, wj=WEIGHTS, rmin0=0.1, periodic=True, **kw
        )
    )
    reference = staticmethod(
        lambda atoms, centers, _: definition(TestWeights.make(), atoms, centers)
    )


class TestElementsAndProducts(DescriptorContract):
    """Densities of elements that are not given in the order of their numbers; quadratic features."""

    make = staticmethod(
        lambda **kw: Bispectrum(
            ["O", "Na", "Cl", "H", "C"],
            4.4,
            1,
            radelem=RADII,
            wj=WEIGHTS,
            quadraticflag=False,
            chemflag=True,
            bnormflag=True,
            sinner=[1.0, 1.1, 1.2, 0.8, 0.9],
            dinner=[0.5, 0.4, 0.5, 0.6, 0.5],
            periodic=True,
            **kw,
        )
    )
    reference = staticmethod(
        lambda atoms, centers, _: definition(TestElementsAndProducts.make(), atoms, centers)
    )


class TestProducts(DescriptorContract):
    make = staticmethod(
        lambda **kw: Bispectrum(SPECIES, 4.4, 2, quadraticflag=True, periodic=True, **kw)
    )
    reference = staticmethod(
        lambda atoms, centers, _: definition(TestProducts.make(), atoms, centers)
    )


@pytest.mark.quick
@pytest.mark.parametrize(
    ("_name", "kwargs", "_tag", "atoms", "stored"), all_cases("bispectrum_"), ids=case_id
)
@pytest.mark.usefixtures("isa")
def test_agrees_with_lammps(_name: str, kwargs: Any, _tag: str, atoms: Atoms, stored: Any) -> None:
    options = dict(kwargs)
    elements = ["In", "P"] if len(options["radelem"]) == 2 else ["Ta"]
    chem = options.pop("chem", None) is not None
    descriptor = Bispectrum(elements, chemflag=chem, periodic=True, **options)
    values = stored["bispectrum"]
    assert np.abs(descriptor.create(atoms) - values).max() <= 1e-12 * (1 + np.abs(values).max())
    if "dbispectrum" not in stored:
        return
    d = descriptor.derivatives(atoms, return_descriptor=False)
    kinds = np.array([elements.index(x) for x in atoms.get_chemical_symbols()])
    got = np.stack([d[kinds == k].sum(axis=0) for k in range(len(elements))], axis=1)
    scale = 1 + np.abs(stored["dbispectrum"]).max()
    assert np.abs(got - stored["dbispectrum"]).max() <= 1e-11 * scale


def test_names() -> None:
    one = Bispectrum(["W"], 4.7, 2)
    assert one.feature_names() == ["B 0 0 0", "B 1 0 1", "B 1 1 2", "B 2 0 2", "B 2 2 2"]
    two = Bispectrum(["P", "In"], 4.7, 0, chemflag=True)
    assert two.feature_names()[:3] == ["B P P P 0 0 0", "B P P In 0 0 0", "B P In P 0 0 0"]
    products = Bispectrum(["W"], 4.7, 1, quadraticflag=True)
    assert products.feature_names()[2:] == [
        "B 0 0 0 ^ 2 / 2",
        "B 0 0 0 * B 1 0 1",
        "B 1 0 1 ^ 2 / 2",
    ]
    assert from_dict(two.to_dict()).feature_names() == two.feature_names()


@pytest.mark.parametrize("name", ["toy_chem_inner", "toy_quad_chem"])
def test_a_linear_model_on_it_is_snap(name: str, tmp_path: Any) -> None:
    snap = SNAP(OWN / f"{name}.snapcoeff")
    m = snap.potential.model
    descriptor = Bispectrum.from_file(OWN / f"{name}.snapparam")
    rows = [1, 0]  # by atomic number: P, In
    model = LinearModel(descriptor, m.coefficients[rows, 1:], m.coefficients[rows, 0])
    atoms = bulk("NaCl", "rocksalt", a=4.8, cubic=True)
    atoms.symbols = ["In", "P"] * 4
    atoms.rattle(0.1, seed=5)
    got, expected = evaluate(model, atoms), evaluate(snap, atoms)
    for key in ("energies", "forces", "virial"):
        assert np.abs(got[key] - expected[key]).max() <= 1e-11
    model.potential.save(tmp_path / "model.npz")
    again = evaluate(LinearModel(str(tmp_path / "model.npz")), atoms)
    assert np.array_equal(again["forces"], got["forces"])


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"twojmax": -1}, "twojmax: -1"),
        ({"twojmax": 21}, "twojmax: 21; expected at most 20"),
        ({"rcutfac": 0.0}, "rcutfac: 0"),
        ({"rcutfac": 300.0}, "rcutfac: 300.0; expected cutoffs up to 100"),
        ({"radelem": [0.5]}, "radelem: .*expected 2 positive numbers"),
        ({"radelem": [0.5, 0.0]}, "radelem: .*expected 2 positive numbers"),
        ({"wj": [1.0, np.nan]}, "wj: .*expected 2 finite numbers"),
        ({"rfac0": 2.5}, "rfac0: 2.5; expected at most 2"),
        ({"rmin0": 5.0}, "rmin0: 5.0; expected less than"),
        ({"sinner": [1.0, 1.0]}, "sinner, dinner: only one"),
        ({"sinner": [1.0, 1.0], "dinner": [0.5, 0.0]}, "dinner: .*expected 2 positive"),
        ({"switchinnerflag": 1}, "switchinnerflag: 1; expected it with sinner"),
        ({"bzeroflag": 2}, "bzeroflag: 2; expected True or False"),
        ({"chemflag": "yes"}, "chemflag: 'yes'; expected True or False"),
        ({"species": ["W", "W"]}, "species: .*expected each element once"),
    ],
)
def test_bad_parameters(kwargs: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Bispectrum(**{"species": ["W", "Be"], "rcutfac": 4.7, "twojmax": 2, **kwargs})
    with pytest.raises(ValueError, match="attach: False"):
        Bispectrum(["W"], 4.7, 1).derivatives(Atoms("W"), attach=False)
