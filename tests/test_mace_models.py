"""Random MACE models: their tables are those of models of mace-torch, their numbers of the size of trained ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk, molecule
from mace_data import mace_model, names
from numpy.typing import NDArray

from mdkern.bench.mace_models import PUBLIC_SHAPES, _products, random_mace
from mdkern.io.coupling import coupling
from mdkern.io.mace import read_mace, write_mace
from mdkern.reference.mace import mace, mace_descriptors

MODELS = [name for name in ("medium_1o", "large_2e", "lmax4_tanh") if name in names()]


@pytest.mark.parametrize("name", MODELS)
def test_couplings(name: str) -> None:
    model = mace_model(name)
    for t, layer in enumerate(model.meta["layers"]):
        index, value = (model.arrays[f"L{t}.conv.cg_{what}"] for what in ("idx", "val"))
        for q, (l1, l2, slot) in enumerate(layer["paths"]):
            l3 = layer["irreps_mid"][slot][1]
            stored = np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1))
            stored[tuple(index[index[:, 0] == q, 1:].T)] = value[index[:, 0] == q]
            made = np.sqrt(2 * l3 + 1) * coupling(l1, l2, l3)
            np.testing.assert_allclose(made, stored, rtol=0, atol=1e-13)


def polynomials(index: NDArray[Any], value: NDArray[Any], nu: int, n_m: int) -> NDArray[Any]:
    """(p, m * monomials): what each p is as polynomials, wherever its entries stand."""
    monomials, of = np.unique(np.sort(index[:, 1 : nu + 1], axis=1), axis=0, return_inverse=True)
    out = np.zeros((index[:, -1].max() + 1, n_m, 16**nu))
    at = monomials @ 16 ** np.arange(nu)
    np.add.at(out, (index[:, -1], index[:, 0], at[of.ravel()]), value)
    return out.reshape(len(out), -1)


@pytest.mark.skipif("large_2e" not in MODELS, reason="needs the model large_2e")
@pytest.mark.parametrize("ell", [0, 1, 2])
def test_products_span_what_those_of_models_do(ell: int) -> None:
    arrays = mace_model("large_2e").arrays
    for nu in (1, 2, 3):
        name = f"L0.prod.{ell}.U{nu}"
        stored = polynomials(arrays[f"{name}.idx"].astype(int), arrays[f"{name}.val"], nu, 2 * ell + 1)  # fmt: skip
        index, value, n = _products(ell, nu, 3)
        made = polynomials(index.astype(int), value, nu, 2 * ell + 1)
        assert len(made) == n <= len(stored)
        rank = np.linalg.matrix_rank(stored, tol=1e-9)
        assert np.linalg.matrix_rank(made, tol=1e-9) == rank
        assert np.linalg.matrix_rank(np.vstack([stored, made]), tol=1e-9) == rank
        used = [np.abs(x).max(axis=0) > 1e-12 for x in (stored, made)]
        np.testing.assert_array_equal(*used)


@pytest.mark.parametrize("shape", PUBLIC_SHAPES)
def test_numbers_of_a_random_model(shape: str, tmp_path: Path) -> None:
    model = random_mace(**PUBLIC_SHAPES[shape])
    write_mace(tmp_path / "model.npz", model)
    again = read_mace(tmp_path / "model.npz")
    assert again.meta == model.meta
    assert all((again.arrays[key] == value).all() for key, value in model.arrays.items())
    other = random_mace(**PUBLIC_SHAPES[shape], seed=2)
    assert (other.arrays["L0.up.0"] != model.arrays["L0.up.0"]).any()
    if shape == "off-small":
        atoms = molecule("C6H6", cell=[8, 8, 4], pbc=True)
        kinds = (atoms.numbers == 6).astype(int)
    else:
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.1, seed=1)
        kinds = np.arange(len(atoms)) % 2
    place = (atoms.positions, atoms.cell.array, atoms.pbc, kinds, model)
    assert 0.1 < np.sqrt(np.mean(mace(*place).forces ** 2)) < 10.0
    features = mace_descriptors(*place)
    n = model.arrays["node_embedding"].shape[1]
    for t in (0, 1):
        assert 0.1 < np.std(features[:, t * n : (t + 1) * n]) < 10.0
