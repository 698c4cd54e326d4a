"""SOAP against its definition, DScribe's numbers, finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from descriptor_checks import (
    SPECIES,
    DescriptorContract,
    check_shared,
    cluster,
    crystal,
    gradient_tolerance,
    indices,
    make,
    own_arrays,
    own_cases,
    own_structure,
    relative,
    shared_cases,
    slab,
)

from mdkern.descriptors import SOAP
from mdkern.descriptors.radial import tabulate
from mdkern.reference.soap import (
    power_blocks,
    radial_gto,
    radial_polynomial,
    reach,
    soap,
    solid_harmonics,
)

CASES = own_cases("SOAP")
NUMBERS = np.array([1, 6, 8, 11, 17])


def definition(atoms: Atoms, centers: Any, gradient: bool, **kwargs: Any) -> Any:
    kinds = np.searchsorted(NUMBERS, atoms.numbers)
    return soap(
        atoms.positions, atoms.cell.array, atoms.pbc, kinds, centers, n_species=5, gradient=gradient, **kwargs
    )  # fmt: skip


class TestOneVector(DescriptorContract):
    make = staticmethod(lambda **kw: SOAP(SPECIES, 3.5, 3, 4, sigma=0.4, periodic=True, **kw))
    reference = staticmethod(
        lambda a, c, g: definition(a, c, g, r_cut=3.5, n_max=3, l_max=4, sigma=0.4)
    )


class TestSeveralVectors(DescriptorContract):
    """More radial functions than any register holds, compressed."""

    make = staticmethod(
        lambda **kw: SOAP(
            SPECIES, 4.0, 9, 2, sigma=0.5, compression={"mode": "mu1nu1"}, periodic=True, **kw
        )
    )
    reference = staticmethod(
        lambda a, c, g: definition(a, c, g, r_cut=4.0, n_max=9, l_max=2, sigma=0.5, mode="mu1nu1")
    )
    accuracy = 1e-10


class TestPolynomial(DescriptorContract):
    make = staticmethod(
        lambda **kw: SOAP(
            SPECIES, 3.2, 4, 3, sigma=0.5, rbf="polynomial", periodic=True,
            weighting={"function": "pow", "r0": 2.0, "c": 1.1, "d": 0.7, "m": 3.0},
            compression={"mode": "mu2"}, **kw,
        )
    )  # fmt: skip
    reference = staticmethod(
        lambda a, c, g: definition(
            a, c, g, r_cut=3.2, n_max=4, l_max=3, sigma=0.5, rbf="polynomial", mode="mu2",
            weighting={"function": "pow", "r0": 2.0, "c": 1.1, "d": 0.7, "m": 3.0},
        )
    )  # fmt: skip


# --- DScribe


@pytest.mark.quick
@pytest.mark.parametrize("case", CASES, ids=lambda c: c["name"])
@pytest.mark.usefixtures("isa")
def test_dscribe(case: dict[str, Any]) -> None:
    descriptor, stored, atoms = make(case), own_arrays(), own_structure(case["structure"])
    name = case["name"]
    expected = stored[f"{name}/values"]
    got = descriptor.create(atoms, indices(stored[f"{name}/centers"]))
    assert relative(got.reshape(expected.shape), expected) <= case["rtol_of_max"]
    for key, attach in (("deriv_attach", True), ("deriv_fixed", False)):
        if f"{name}/{key}" in stored:
            centers = indices(stored[f"{name}/{key}_centers"])
            got = descriptor.derivatives(atoms, centers, attach=attach, return_descriptor=False)
            expected = stored[f"{name}/{key}"]
            assert relative(got[:, : expected.shape[1]], expected) <= gradient_tolerance(case)


@pytest.mark.parametrize("case", shared_cases("SOAP"), ids=lambda c: c["name"])
def test_dscribe_all(case: dict[str, Any]) -> None:
    check_shared(case)


# --- tables


@pytest.mark.parametrize(
    ("make_f", "r_cut", "n_max", "l_max", "sigma"),
    [
        (radial_gto, 5.0, 8, 6, 0.5),
        (radial_gto, 4.0, 4, 20, 0.3),
        (radial_gto, 6.0, 4, 4, 1.0),
        (radial_polynomial, 4.0, 4, 4, 0.5),
    ],
)
def test_the_proven_error_of_the_radial_functions_holds(
    make_f: Any, r_cut: float, n_max: int, l_max: int, sigma: float
) -> None:
    f, end = make_f(r_cut, n_max, l_max, sigma), reach(r_cut, sigma)
    t = tabulate(f, end, sigma, np.ones(l_max + 1))
    assert t.bound.max() <= 1e-12
    r = np.random.default_rng(0).uniform(0, end, 2000)
    n_cells = len(t.table)
    place = r / end * n_cells
    cell = np.minimum(place.astype(int), n_cells - 1)
    u = 2 * (place - cell) - 1
    got = sum(np.moveaxis(t.table[cell][:, :, k, :n_max], 0, 2) * u**k for k in range(8))
    l = np.arange(l_max + 1)[:, None, None]
    exact = f(r)
    error = np.abs(got - exact) * r**l
    # Rounding of the functions themselves, which cancel: beta reaches 1e4 and more.
    assert (error.max(axis=2) / np.abs(exact * r**l).max(axis=2)).max() <= 1e-11


def test_harmonics_are_those_of_scipy() -> None:
    scipy = pytest.importorskip("scipy.special")
    d = np.random.default_rng(0).normal(size=(7, 3))
    r = np.linalg.norm(d, axis=1)
    y, _ = solid_harmonics(20, d)
    theta, phi = np.arccos(d[:, 2] / r), np.arctan2(d[:, 1], d[:, 0])
    if not hasattr(scipy, "sph_harm_y"):
        pytest.skip("an older SciPy")
    for l in (0, 1, 2, 7, 20):
        for m in range(l + 1):
            z = scipy.sph_harm_y(l, m, theta, phi) * (-1) ** m * r**l
            at = l * l + max(0, 2 * m - 1)
            assert (
                np.abs(y[:, at] - z.real * (np.sqrt(2) if m else 1)).max() <= 1e-11 * (r**l).max()
            )
            if m:
                assert np.abs(y[:, at + 1] - z.imag * np.sqrt(2)).max() <= 1e-11 * (r**l).max()


# --- options


@pytest.mark.parametrize("average", ["inner", "outer"])
@pytest.mark.parametrize("mode", ["off", "mu1nu1"])
@pytest.mark.usefixtures("isa")
def test_averages(average: str, mode: str) -> None:
    descriptor = SOAP(SPECIES, 3.5, 3, 3, sigma=0.4, average=average, compression={"mode": mode}, periodic=True)  # fmt: skip
    settings = {
        "r_cut": 3.5,
        "n_max": 3,
        "l_max": 3,
        "sigma": 0.4,
        "average": average,
        "mode": mode,
    }
    for atoms in (crystal(), cluster()):
        centers = [4, 0, 1]
        values, slopes = definition(atoms, centers, True, **settings)
        got = descriptor.create(atoms, centers)
        assert got.shape == (descriptor.get_number_of_features(),)
        assert relative(got, values[0]) <= 1e-12
        d = descriptor.derivatives(atoms, centers, attach=True, return_descriptor=False)
        assert d.shape == slopes.shape
        assert relative(d, slopes) <= 1e-11
        assert np.array_equal(
            descriptor.derivatives_sparse(atoms, centers, attach=True).to_dense(), d
        )
        w = np.random.default_rng(0).normal(size=len(got))
        gradient, virial = descriptor.vjp(atoms, w, centers)
        assert relative(gradient, np.einsum("f,axf->ax", w, d[0])) <= 1e-12
        strain = descriptor.derivatives_strain(atoms, centers)
        assert strain.shape == (1, 3, 3, len(got))
        assert relative(virial, -np.einsum("f,xyf->xy", w, strain[0])) <= 1e-12


@pytest.mark.usefixtures("isa")
def test_centers_anywhere() -> None:
    atoms = slab()
    points = np.array([[0.3, 0.2, 1.0], [20.0, -7.0, 1.5], atoms.positions[2]])
    descriptor = SOAP(SPECIES, 3.5, 4, 4, sigma=0.4, periodic=True)
    settings = {"r_cut": 3.5, "n_max": 4, "l_max": 4, "sigma": 0.4}
    values, slopes = definition(atoms, points, True, **settings)
    got = descriptor.create(atoms, points)
    assert relative(got, values) <= 1e-11
    # Mixed with indices, in any order; a point on an atom sees that atom.
    mixed = descriptor.create(atoms, [3, points[0].tolist(), 1])
    assert np.array_equal(mixed[1], got[0])
    assert relative(got[2], descriptor.create(atoms, [2])[0]) <= 1e-12
    d = descriptor.derivatives(atoms, points, return_descriptor=False)
    assert relative(d, slopes) <= 1e-10
    numerical = descriptor.derivatives(
        atoms, points[:2], method="numerical", return_descriptor=False
    )
    assert relative(numerical, d[:2]) <= 1e-6
    w = np.random.default_rng(0).normal(size=got.shape)
    assert relative(descriptor.vjp(atoms, w, points)[0], np.einsum("cf,caxf->ax", w, d)) <= 1e-12


def test_attach_is_about_the_center_alone() -> None:
    atoms = crystal()
    descriptor = SOAP(SPECIES, 3.5, 4, 4, sigma=0.4, periodic=True)
    settings = {"r_cut": 3.5, "n_max": 4, "l_max": 4, "sigma": 0.4}
    fixed = descriptor.derivatives(atoms, [5, 2], return_descriptor=False)
    _, slopes = definition(atoms, [5, 2], True, attach=False, **settings)
    assert relative(fixed, slopes) <= 1e-10
    points = descriptor.derivatives(atoms, atoms.positions[[5, 2]], return_descriptor=False)
    assert relative(points, fixed) <= 1e-12
    moving = descriptor.derivatives(atoms, [5, 2], attach=True, return_descriptor=False)
    assert np.abs(moving.sum(axis=1)).max() <= 1e-9 * np.abs(moving).max()


@pytest.mark.parametrize(
    "weighting",
    [
        None,
        {"function": "poly", "r0": 3.5, "c": 1, "m": 1},
        {"function": "pow", "r0": 2.0, "c": 1.0, "d": 1.0, "m": 3.0},
    ],
)
@pytest.mark.parametrize("average", ["off", "inner", "outer"])
def test_numerical_derivatives_with_centers_that_stay(weighting: Any, average: str) -> None:
    """DScribe's default: an atom on a center leaves it, and its own term changes."""
    atoms = crystal()
    descriptor = SOAP(
        SPECIES, 3.5, 3, 3, sigma=0.5, weighting=weighting, average=average, periodic=True
    )
    for centers in (None, [5, 2], [[0.3, 0.2, 0.1], 5]):
        settings = {"centers": centers, "include": [2, 5], "return_descriptor": False}
        right = descriptor.derivatives(atoms, attach=False, **settings)
        got = descriptor.derivatives(atoms, attach=False, method="numerical", **settings)
        assert relative(got, right) <= 1e-6
        moving = descriptor.derivatives(atoms, attach=True, method="numerical", **settings)
        assert relative(moving, right) > 1e-3


@pytest.mark.parametrize("width", [0.5, 2.0])
def test_smooth_cutoff(width: float) -> None:
    """Nothing jumps at the reach, and slopes are slopes there too."""
    descriptor = SOAP(["H"], 3.0, 4, 3, sigma=0.5, smooth_cutoff=width)
    sharp = SOAP(["H"], 3.0, 4, 3, sigma=0.5)
    end = descriptor.reach

    def pair(r: float) -> Atoms:
        return Atoms("H2", [[0, 0, 0], [0, 0, r]])

    def jump(d: SOAP) -> float:
        return float(
            np.abs(d.create(pair(end - 1e-7), [0]) - d.create(pair(end + 1e-7), [0])).max()
        )

    assert jump(descriptor) <= 1e-15
    assert jump(sharp) > 1e-7
    for r in (end - 0.4 * width, end - 0.7 * width):
        d = descriptor.derivatives(pair(r), [0], attach=True, return_descriptor=False)
        numerical = descriptor.derivatives(
            pair(r), [0], method="numerical", attach=True, return_descriptor=False
        )
        assert relative(numerical, d) <= 1e-6
    near = end - width - 0.01
    assert relative(descriptor.create(pair(near), [0]), sharp.create(pair(near), [0])) <= 1e-14


@pytest.mark.parametrize("l_max", [0, 1, 13, 20])
@pytest.mark.usefixtures("isa")
def test_any_angular_momentum(l_max: int) -> None:
    atoms = cluster()
    descriptor = SOAP(SPECIES, 3.0, 2, l_max, sigma=0.4)
    settings = {"r_cut": 3.0, "n_max": 2, "l_max": l_max, "sigma": 0.4}
    values, slopes = definition(atoms, [0, 5], True, **settings)
    d, c = descriptor.derivatives(atoms, [0, 5], attach=True)
    assert relative(c, values) <= 1e-11
    assert relative(d, slopes) <= 1e-10
    w = np.random.default_rng(0).normal(size=c.shape)
    expected = np.einsum("cf,caxf->ax", w, d)
    assert relative(descriptor.vjp(atoms, w, [0, 5])[0], expected) <= 1e-12


def test_rotation_where_dscribe_fails() -> None:
    """The polynomial basis with l_max of 10 and more."""
    atoms = cluster()
    descriptor = SOAP(SPECIES, 3.0, 3, 11, sigma=0.4, rbf="polynomial")
    q, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    turned = atoms.copy()
    turned.positions = atoms.positions @ q
    assert relative(descriptor.create(turned), descriptor.create(atoms)) <= 1e-11


def test_locations_and_names() -> None:
    for mode in ("off", "crossover", "mu2", "mu1nu1"):
        d = SOAP(["O", "H", 1], 3.0, 2, 1, compression={"mode": mode})
        assert d.species == (1, 8)
        assert len(d.feature_names()) == d.get_number_of_features()
    d = SOAP(["O", "H"], 3.0, 2, 1)
    names = d.feature_names()
    assert names[d.get_location(("H", "O"))][:2] == ["H-O l=0 n=0 m=0", "H-O l=0 n=0 m=1"]
    assert d.get_location(("O", "H")) == d.get_location((1, 8))
    assert [(a, b) for a, b, _ in power_blocks(2, "off")] == [(0, 0), (0, 1), (1, 1)]
    with pytest.raises(ValueError, match="expected two of"):
        d.get_location(("H", "C"))


def test_sparse_output() -> None:
    pytest.importorskip("sparse")
    atoms = cluster()
    dense = SOAP(SPECIES, 3.0, 2, 2)
    d = SOAP(SPECIES, 3.0, 2, 2, sparse=True)
    assert np.array_equal(d.create(atoms).todense(), dense.create(atoms))
    jacobian, values = d.derivatives(atoms, [0, 1])
    expected, _ = dense.derivatives(atoms, [0, 1])
    assert np.array_equal(jacobian.todense(), expected)
    assert values.shape == (2, d.get_number_of_features())
    numerical, again = d.derivatives(atoms, [0, 1], method="numerical")
    differences = dense.derivatives(atoms, [0, 1], method="numerical", return_descriptor=False)
    assert np.array_equal(numerical.todense(), differences)
    assert np.array_equal(again.todense(), values.todense())
    matrix = dense.derivatives_sparse(atoms, [0, 1]).to_scipy()
    dr = np.random.default_rng(0).normal(size=(len(atoms), 3))
    assert relative(matrix @ dr.ravel(), np.einsum("caxf,ax->cf", expected, dr).ravel()) <= 1e-12


@pytest.mark.quick
@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("attach", [True, False])
def test_only_features_that_can_change_are_stored(attach: bool) -> None:
    """Parts cover every block once; what they leave out is zero by the definition, not by luck."""
    atoms = cluster()
    d = SOAP(SPECIES, 3.0, 2, 2)
    packed = d.derivatives_sparse(atoms, [0, 1, 4], attach=attach)
    values, exact = definition(atoms, [0, 1, 4], True, r_cut=3.0, n_max=2, l_max=2, attach=attach)
    assert values.shape[1] == packed.shape[3]
    seen = np.zeros(len(packed.center), dtype=int)
    stored = 0
    for block, feature, values in packed.blocks():
        seen[block] += 1
        stored += values.size
        whole = exact[packed.center[block], packed.atom[block]]
        assert relative(values, whole[:, :, feature]) <= 1e-11
        assert not np.delete(whole, feature, axis=2).any()
    assert (seen == 1).all()
    assert packed.packed.size == stored < 0.8 * packed.values.size
    assert packed.nbytes < 8 * packed.values.size


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"r_cut": 1.0}, "r_cut: 1.0; expected more than 1 Angstrom with rbf='gto'"),
        ({"r_cut": -2.0}, "r_cut: -2.0"),
        ({"r_cut": None}, "r_cut: missing"),
        ({"n_max": 0}, "n_max: 0; expected an integer from 1 to 64"),
        ({"n_max": None}, "n_max: None"),
        ({"n_max": 2.5}, "n_max: 2.5"),
        ({"n_max": 40}, "n_max: 40; so many radial functions are linearly dependent"),
        ({"l_max": 21}, "l_max: 21; expected an integer from 0 to 20"),
        ({"sigma": 0.0}, "sigma: 0.0"),
        ({"rbf": "gauss"}, "rbf: 'gauss'; expected 'gto' or 'polynomial'"),
        ({"average": "all"}, "average: 'all'"),
        ({"dtype": "float16"}, "dtype: 'float16'"),
        ({"species": []}, "species: empty"),
        ({"species": ["Xx"]}, "species: 'Xx'"),
        ({"species": "H"}, "species: 'H'; expected a list"),
        ({"species": [0]}, "species: 0"),
        ({"compression": {"mode": "mu3"}}, "compression: mode 'mu3'"),
        ({"compression": {"modus": "off"}}, "compression: key 'modus'"),
        ({"compression": {"species_weighting": {"H": 1.0}}}, "species_weighting"),
        ({"weighting": {"function": "cos"}}, "weighting: function 'cos'"),
        ({"weighting": {"function": "poly", "r0": 2.0}}, "weighting: c: None"),
        ({"weighting": {"function": "pow", "r0": 1, "c": 1, "d": 0, "m": 2}}, "infinite on the center"),
        ({"weighting": {"w1": 1}}, "weighting"),
        ({"smooth_cutoff": 99.0}, "smooth_cutoff: 99.0"),
    ],
)  # fmt: skip
def test_messages_of_the_constructor(arguments: dict[str, Any], text: str) -> None:
    good = {"species": ["H", "O"], "r_cut": 4.0, "n_max": 3, "l_max": 2}
    with pytest.raises(ValueError, match=text):
        SOAP(**{**good, **arguments})


def test_r_cut_from_the_weighting() -> None:
    w = {"function": "poly", "r0": 4.2, "c": 1.3, "m": 2.0}
    assert SOAP(["H"], None, 3, 2, weighting=w).r_cut == 4.2
    w = {"function": "pow", "r0": 2.0, "c": 1.0, "d": 1.0, "m": 2.0}
    assert abs(SOAP(["H"], None, 3, 2, weighting=w).r_cut - 2.0 * 99**0.5) <= 1e-12
    w = {"function": "exp", "c": 2, "d": 1, "r0": 2, "threshold": 1e-3}
    assert abs(SOAP(["H"], None, 3, 2, weighting=w).r_cut - 2.0 * np.log(1999.0)) <= 1e-12


def test_a_weighting_that_reaches_far() -> None:
    """As DScribe's suite has it: all atoms of a molecule, at their own weights, within a cutoff of 999 Angstrom."""
    w = {"function": "pow", "threshold": 1e-3, "c": 1, "d": 1, "m": 1, "r0": 1}
    descriptor = SOAP(["H", "O"], None, 1, 1, weighting=w)
    assert abs(descriptor.r_cut - 999.0) <= 1e-9
    water = Atoms("OHH", [[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]])
    near = descriptor.create(water)
    assert np.isfinite(near).all()
    # One atom alone has the weight 1 / (1 + r) of its distance, and the power spectrum is quadratic; far away r F(r) is smooth.
    one = descriptor.create(Atoms("H", [[0, 0, 0]]), [[0, 0, 0]])
    slow = SOAP(["H", "O"], 999.0, 1, 1)
    plain = slow.create(Atoms("H", [[0, 0, 3.0]]), [[0, 0, 0]])
    weighted = descriptor.create(Atoms("H", [[0, 0, 3.0]]), [[0, 0, 0]])
    assert relative(weighted, plain / 16.0) <= 1e-11
    assert relative(one, slow.create(Atoms("H"), [[0, 0, 0]])) <= 1e-11
