"""Reference cases of descriptors, and what every descriptor promises."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import read
from reference_data import shared_folder

import mdkern
from mdkern.descriptors import ACSF, SOAP

OWN = Path(__file__).resolve().parent / "data" / "descriptors"
CLASSES = {"SOAP": SOAP, "ACSF": ACSF}


def own_cases(kind: str) -> list[dict[str, Any]]:
    return [c for c in json.loads((OWN / "cases.json").read_text()) if c["descriptor"] == kind]


@cache
def own_arrays() -> dict[str, Any]:
    with np.load(OWN / "references.npz") as data:
        return dict(data)


@cache
def own_structure(name: str) -> Atoms:
    return read(OWN / f"{name}.extxyz")


def make(case: dict[str, Any]) -> Any:
    args = dict(case["args"])
    compression = args.get("compression")
    if compression and compression.get("species_weighting"):
        weights = {int(k): v for k, v in compression["species_weighting"].items()}
        args["compression"] = {**compression, "species_weighting": weights}
    return CLASSES[case["descriptor"]](**args)


def indices(centers: Any) -> list[int]:
    return [int(k) for k in centers]


def relative(got: Any, expected: Any) -> float:
    return float(np.abs(got - expected).max() / np.abs(expected).max())


def shared_cases(kind: str) -> list[dict[str, Any]]:
    folder = shared_folder("descriptors", "refs")
    if folder is None:
        return []
    return [c for c in json.loads((folder / "cases.json").read_text()) if c["descriptor"] == kind]


def check_shared(case: dict[str, Any]) -> None:
    """All frames and centers of the full set."""
    folder = shared_folder("descriptors")
    assert folder is not None
    descriptor = make(case)
    with np.load(folder / "refs" / f"{case['name']}.npz") as data:
        for frame in case["frames"]:
            atoms = read(folder / "structures" / case["structure"], frame)
            got = descriptor.create(atoms, indices(data[f"centers_{frame}"]))
            expected = data[f"values_{frame}"]
            assert relative(got.reshape(expected.shape), expected) <= case["rtol_of_max"]
        for key, attach in (("deriv_attach", True), ("deriv_fixed", False)):
            if key not in data.files:
                continue
            atoms = read(folder / "structures" / case["structure"], int(data["deriv_frame"]))
            expected, centers = data[key], indices(data["deriv_centers"])
            got = descriptor.derivatives(atoms, centers, attach=attach, return_descriptor=False)
            assert relative(got, expected) <= gradient_tolerance(case)


def gradient_tolerance(case: dict[str, Any]) -> float:
    # The stored slopes of the polynomial basis carry the rounding of upward Bessel recurrences.
    return 1e-6 if case["args"].get("rbf") == "polynomial" else case["rtol_of_max"]


def crystal() -> Atoms:
    """Two elements, a sheared cell smaller than the cutoffs, atoms outside it."""
    rng = np.random.default_rng(3)
    atoms = bulk("NaCl", "rocksalt", a=5.2, cubic=True)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(scale=0.05, size=(3, 3))), True)
    atoms.positions += rng.normal(scale=0.1, size=atoms.positions.shape)
    atoms.positions[0] += atoms.cell.array[1]
    return atoms


def cluster() -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.positions += np.random.default_rng(4).normal(scale=0.05, size=atoms.positions.shape)
    return atoms


def slab() -> Atoms:
    atoms = crystal()
    atoms.pbc = (True, True, False)
    return atoms


STRUCTURES: dict[str, Callable[[], Atoms]] = {"crystal": crystal, "cluster": cluster, "slab": slab}
SPECIES = ["H", "C", "O", "Na", "Cl"]


class DescriptorContract:
    """Promises that hold for every descriptor; a test class names how to make it and its definition."""

    make: ClassVar[Callable[..., Any]]
    reference: ClassVar[Callable[..., Any]]  # (atoms, centers, gradient) -> values, derivatives
    accuracy: ClassVar[float] = 1e-11

    @pytest.mark.quick
    @pytest.mark.parametrize("name", STRUCTURES)
    @pytest.mark.usefixtures("isa")
    def test_equals_the_definition(self, name: str) -> None:
        atoms, descriptor = STRUCTURES[name](), self.make()
        centers = [0, 3, 2]
        values, slopes = self.reference(atoms, centers, True)
        got = descriptor.create(atoms, centers)
        assert relative(got, values) <= self.accuracy
        d, c = descriptor.derivatives(atoms, centers, attach=True)
        assert d.shape == (3, len(atoms), 3, got.shape[1])
        assert relative(d, slopes) <= 10 * self.accuracy
        assert np.array_equal(c, got)

    @pytest.mark.parametrize("name", STRUCTURES)
    @pytest.mark.usefixtures("isa")
    def test_forms_of_derivatives_agree(self, name: str) -> None:
        atoms, descriptor = STRUCTURES[name](), self.make()
        centers = [5, 1]
        d = descriptor.derivatives(atoms, centers, attach=True, return_descriptor=False)
        sparse = descriptor.derivatives_sparse(atoms, centers, attach=True)
        assert relative(sparse.to_dense(), d) <= 1e-14
        weights = np.random.default_rng(0).normal(size=(2, d.shape[3]))
        gradient, virial = descriptor.vjp(atoms, weights, centers)
        expected = np.einsum("cf,caxf->ax", weights, d)
        assert relative(gradient, expected) <= 1e-12
        assert relative(sparse.vjp(weights), expected) <= 1e-12
        strain = descriptor.derivatives_strain(atoms, centers)
        assert relative(virial, -np.einsum("cf,cxyf->xy", weights, strain)) <= 1e-12
        some = descriptor.derivatives(
            atoms, centers, include=[4, 0], attach=True, return_descriptor=False
        )
        assert np.array_equal(some, d[:, [4, 0]])
        rest = descriptor.derivatives(
            atoms, centers, exclude=[4, 0], attach=True, return_descriptor=False
        )
        assert np.array_equal(rest, np.delete(d, [4, 0], axis=1))

    @pytest.mark.parametrize("name", ["crystal", "cluster"])
    def test_derivatives_are_slopes(self, name: str) -> None:
        atoms, descriptor = STRUCTURES[name](), self.make()
        centers = [0, 2]
        d = descriptor.derivatives(atoms, centers, attach=True, return_descriptor=False)
        slopes = descriptor.derivatives(
            atoms, centers, method="numerical", attach=True, return_descriptor=False
        )
        assert relative(slopes, d) <= 1e-6

    def test_strain_derivatives_are_slopes(self) -> None:
        atoms, descriptor = crystal(), self.make()
        d = descriptor.derivatives_strain(atoms, [1])
        h = 1e-5
        for x, y in ((0, 0), (0, 2), (2, 1)):
            both = []
            for sign in (1, -1):
                f = np.eye(3)
                f[x, y] += sign * h
                b = atoms.copy()
                b.set_cell(b.cell.array @ f, scale_atoms=False)
                b.positions = b.positions @ f
                both.append(descriptor.create(b, [1]))
            assert relative((both[0] - both[1]) / (2 * h), d[:, x, y]) <= 1e-6

    @pytest.mark.parametrize("name", STRUCTURES)
    def test_symmetries(self, name: str) -> None:
        atoms, descriptor = STRUCTURES[name](), self.make()
        values = descriptor.create(atoms)
        rng = np.random.default_rng(1)
        q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        turned = atoms.copy()
        turned.set_cell(atoms.cell.array @ q)
        turned.positions = atoms.positions @ q + 0.7
        assert relative(descriptor.create(turned), values) <= 1e-9
        order = rng.permutation(len(atoms))
        assert relative(descriptor.create(atoms[order]), values[order]) <= 1e-12

    @pytest.mark.quick
    @pytest.mark.usefixtures("threads", "isa")
    def test_bits_do_not_depend_on_threads(self) -> None:
        atoms, descriptor = crystal() * (2, 2, 1), self.make()
        weights = np.random.default_rng(0).normal(size=descriptor.get_number_of_features())

        def run() -> list[bytes]:
            d = descriptor.derivatives_sparse(atoms, [0, 7, 8, 20])
            g, w = descriptor.vjp(atoms, weights)
            return [x.tobytes() for x in (descriptor.create(atoms), d.values, g, w)]

        here = run()
        assert here == run()
        with mdkern.num_threads(1):
            assert here == run()

    def test_single_precision_output(self) -> None:
        atoms, double, single = crystal(), self.make(), self.make(dtype="float32")
        d, c = single.derivatives(atoms, [0, 1])
        assert d.dtype == c.dtype == np.float32
        assert relative(c, double.create(atoms, [0, 1])) <= 1e-6
        assert relative(d, double.derivatives(atoms, [0, 1], return_descriptor=False)) <= 1e-5
        sparse = single.derivatives_sparse(atoms, [0, 1])
        assert np.array_equal(sparse.to_dense(), d)

    def test_lists_and_copies(self) -> None:
        import copy
        import pickle

        descriptor = self.make()
        both = [crystal(), cluster()]
        for other in (pickle.loads(pickle.dumps(descriptor)), copy.deepcopy(descriptor)):
            for a, values in zip(both, other.create(both), strict=True):
                assert np.array_equal(values, descriptor.create(a))
        first = descriptor.create(both, centers=[[1], [0, 2]])
        assert [len(v) for v in first] == [1, 2]
        d, c = descriptor.derivatives(both, centers=[[1], [0]])
        assert [x.shape[1] for x in d] == [len(a) for a in both]
        assert np.array_equal(c[1], first[1][:1])
        whole = {"return_descriptor": False, "centers": [[1], [0]]}
        for include, columns in (([2, 0], ([2, 0], [2, 0])), ([[1], [0, 2]], ([1], [0, 2]))):
            some = descriptor.derivatives(both, include=include, **whole)
            for part, x, k in zip(some, d, columns, strict=True):
                assert np.array_equal(part, x[:, k])
        assert (
            len(descriptor.feature_names())
            == descriptor.get_number_of_features()
            == first[0].shape[1]
        )

    def test_messages(self) -> None:
        descriptor, atoms = self.make(), crystal()
        for arguments, text in (
            ({"centers": [0, 8]}, r"centers\[1\]: 8; expected an atom from 0 to 7"),
            ({"centers": []}, "centers: empty"),
            ({"centers": ["a"]}, r"centers\[0\]: 'a'"),
        ):
            with pytest.raises(ValueError, match=text):
                descriptor.create(atoms, **arguments)
        for centers in ("ab", 3, True):
            with pytest.raises(ValueError, match=r"centers: .*expected a list of indices"):
                descriptor.create(atoms, centers)
        for centers, text in (
            ([0, 1], r"centers\[0\]: 0; expected a list for each structure"),
            ([[0], 1], r"centers\[1\]: 1; expected a list for each structure"),
            ([[0]], "centers: 1 entries for 2 structures"),
            ("ab", "centers: 'ab'; expected a list for each structure"),
            ([["O"], [0]], r"centers\[0\]: 'O'; expected the index"),
            ([[0.5], [0]], r"centers\[0\]: 0.5"),
            ([[True], [0]], r"centers\[0\]: True"),
            ([[0, [1, 2]], [0]], r"centers\[1\]: \[1, 2\]"),
        ):
            for call in (descriptor.create, descriptor.derivatives):
                with pytest.raises(ValueError, match=text):
                    call([atoms, atoms], centers)
        for thing in ("water.xyz", None, 3, 1.5):
            with pytest.raises(TypeError, match=r"a: .*expected a list of ase\.Atoms"):
                descriptor.create(thing)
            with pytest.raises(TypeError, match=r"a: .*expected a list of ase\.Atoms"):
                descriptor.derivatives(thing)
            for call in (descriptor.derivatives_sparse, descriptor.derivatives_strain):
                with pytest.raises(TypeError, match=r"a: .*expected an ase\.Atoms"):
                    call(thing)
            with pytest.raises(TypeError, match=r"a: .*expected an ase\.Atoms"):
                descriptor.vjp(thing, np.zeros(3))
            with pytest.raises(TypeError, match=r"a\[1\]: .*expected an ase\.Atoms"):
                descriptor.create(iter([atoms, thing]))
        with pytest.raises(ValueError, match=r"weights: of type complex128"):
            descriptor.vjp(atoms, np.zeros(descriptor.get_number_of_features(), dtype=complex))
        with pytest.raises(ValueError, match=r"attach: 'F'; expected True or False"):
            descriptor.derivatives(atoms, attach="F")
        with pytest.raises(ValueError, match=r"n_jobs: '2'; expected an integer"):
            descriptor.create(atoms, n_jobs="2")
        with pytest.raises(ValueError, match="structure: no atoms"):
            descriptor.create(Atoms())
        with pytest.raises(ValueError, match="atom 1 is Xe, which is not in species"):
            descriptor.create(Atoms("HXe", [[0, 0, 0], [0, 0, 2]]))
        with pytest.raises(ValueError, match=r"positions\[0"):
            descriptor.create(Atoms("H", [[np.nan, 0, 0]]))
        for arguments, text in (
            ({"include": [9]}, "include: 9; expected atoms from 0 to 7"),
            ({"include": [1, 1]}, "expected each atom once"),
            ({"include": ["O"]}, r"include: \['O'\]; expected a list of indices"),
            ({"exclude": 3}, "exclude: 3; expected a list of indices"),
            ({"include": [[0], [1, 2]]}, "include: .*; expected a list of indices"),
            ({"include": [0], "exclude": [1]}, "both given"),
            ({"method": "fast"}, "method: 'fast'"),
        ):
            with pytest.raises(ValueError, match=text):
                descriptor.derivatives(atoms, **arguments)
        with pytest.raises(ValueError, match=r"weights: shape \(3,\)"):
            descriptor.vjp(atoms, np.zeros(3))
        with pytest.raises(ValueError, match=r"n_jobs|threads"):
            descriptor.create(atoms, threads=0)

    def test_memory_is_refused_in_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from mdkern import _core

        monkeypatch.setattr(_core, "available_memory", lambda: 1e3)
        descriptor, atoms = self.make(), crystal()
        with pytest.raises(MemoryError, match="derivatives_sparse or vjp"):
            descriptor.derivatives(atoms)
        with pytest.raises(MemoryError, match="vjp"):
            descriptor.derivatives_sparse(atoms)
