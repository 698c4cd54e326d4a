"""MACE models: as .npz, and as PyTorch writes them; what is refused, and what must not happen with files that nobody trusts."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.io import read as read_atoms
from cli_checks import one_error
from torch_data import (
    OWN,
    TINY,
    archive,
    npz_models,
    tiny,
    torch_file,
    torch_models,
    unpacked,
)

from mdkern.cli import main
from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.coupling import coupling
from mdkern.io.mace import MaceModel, mace_format, read_mace, write_mace
from mdkern.io.mace_contract import check_model
from mdkern.io.mace_facts import describe_mace

# --- what is read


@pytest.mark.parametrize("path", npz_models(), ids=lambda p: p.stem)
def test_npz(path: Path, tmp_path: Path) -> None:
    model = read_mace(path)
    assert model.path == str(path)
    with np.load(path, allow_pickle=False) as stored:
        assert {*model.arrays, "meta"} == set(stored.files)
        for key, array in model.arrays.items():
            assert array.dtype == stored[key].dtype
            assert array.flags.c_contiguous
            assert array.flags.aligned
            np.testing.assert_array_equal(array, stored[key])
        said = json.loads(stored["meta"].tobytes())
    for layer in said["layers"]:
        layer.pop("lin_src", None)  # follows from the slots
    assert model.meta == said
    write_mace(tmp_path / "new.npz", model)
    again = read_mace(tmp_path / "new.npz")
    assert again.meta == model.meta
    for key, array in again.arrays.items():
        np.testing.assert_array_equal(array, model.arrays[key])


@pytest.mark.parametrize("packed", torch_models(), ids=lambda p: f"{p.parent.name}/{p.name}")
def test_files_of_pytorch(packed: Path, tmp_path: Path) -> None:
    """They have the arrays that a program which runs mace-torch took from the same model."""
    path = unpacked(packed, tmp_path)
    model = read_mace(path)
    assert mace_format(path) == ("script" if ".pt" in packed.name else "model")
    other = packed.parent / f"{packed.name.partition('.')[0].removesuffix('-lammps')}.npz"
    if not other.exists():
        assert packed.name.startswith(("tiny", "single"))  # no such program for these
        return
    expected = read_mace(other)
    assert model.meta == expected.meta
    assert set(model.arrays) == set(expected.arrays)
    for key, array in model.arrays.items():
        wanted = expected.arrays[key]
        assert array.dtype == wanted.dtype
        atol = 2e-15 * np.abs(wanted).max() if array.dtype.kind == "f" else 0
        np.testing.assert_allclose(array, wanted, rtol=0, atol=atol, err_msg=key)


def test_single_precision(tmp_path: Path) -> None:
    model = read_mace(unpacked(OWN / "single_f32.model.gz", tmp_path))
    assert model.meta["source_dtype"] == "float32"
    embedding = model.arrays["node_embedding"] * 3**0.5
    assert embedding.dtype == np.float64
    np.testing.assert_allclose(embedding, embedding.astype(np.float32), rtol=1e-15)


@pytest.mark.parametrize("which", TINY)
def test_tiny(which: str, tmp_path: Path) -> None:
    """Without compiled code, and through .npz."""
    path = tmp_path / "x.model"
    path.write_bytes(archive(tiny(which)))
    model = read_mace(path)
    whole = read_mace(unpacked(OWN / f"{which}.model.gz", tmp_path))
    write_mace(tmp_path / "x.npz", model)
    again = read_mace(tmp_path / "x.npz")
    assert again.meta == model.meta == whole.meta
    for key, array in model.arrays.items():
        np.testing.assert_array_equal(array, whole.arrays[key])
        np.testing.assert_array_equal(array, again.arrays[key])


@pytest.mark.parametrize(
    "which", ["tiny_plain", "tiny_density", "tiny_nonlinear", "tiny_0_3_3", "tiny_0_3_14"]
)
def test_energies(which: str, tmp_path: Path) -> None:
    """What mace-torch gets, here and with versions that save other classes: the definition gets it with these arrays."""
    reference = pytest.importorskip("mdkern.reference.mace")
    model = read_mace(unpacked(OWN / f"{which}.model.gz", tmp_path))
    species = {z: k for k, z in enumerate(model.arrays["atomic_numbers"].tolist())}
    results = np.load(OWN.parent / "refs" / f"{which}.npz")
    for k, atoms in enumerate(read_atoms(OWN.parent / "structures" / f"{which}.extxyz", ":")):
        numbers = [species[z] for z in atoms.numbers.tolist()]
        got = reference.mace(
            atoms.positions, atoms.cell.array, atoms.pbc, numbers, model, atoms.info.get("head")
        )
        assert abs(got.energy - results[f"{k}_energy"]) < 1e-12
        forces = results[f"{k}_forces"]
        np.testing.assert_allclose(
            got.forces, forces, rtol=0, atol=1e-12 * max(1.0, np.abs(forces).max())
        )


def test_coupling() -> None:
    for l1, l2, l3 in ((0, 0, 0), (1, 0, 1), (1, 1, 2), (2, 3, 3), (4, 4, 6)):
        c = coupling(l1, l2, l3)
        assert c.shape == (2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1)
        assert abs(np.linalg.norm(c) - 1.0) < 1e-14
        assert c[l1, l2, l3] > 0.0
    np.testing.assert_allclose(coupling(3, 0, 3)[:, 0], np.eye(7) / 7**0.5, atol=1e-15)
    # Of three vectors: y y -> the middle component of l = 2, xz -> its first, in e3nn's order (y is the axis).
    c = coupling(1, 1, 2)
    assert abs(c[1, 1, 2] / c[0, 0, 2] + 2.0) < 1e-14
    assert set(map(tuple, np.argwhere(c[:, :, 0]).tolist())) == {(0, 2), (2, 0)}
    with pytest.raises(ValueError, match="even sum"):
        coupling(1, 1, 1)


def test_facts(tmp_path: Path) -> None:
    found = describe_mace(OWN / "mh_like.npz")
    assert found.facts["species"] == ["O", "Cu", "Au"]
    assert found.facts["heads"] == ["omat", "Default"]
    assert found.facts["irreps"] == ["16x0e+16x1o", "16x0e"]
    assert found.facts["zbl"] is True
    assert found.fields["layer 1"] == "ResidualNonLinear, 16x0e+16x1o, correlation 3"
    assert (
        found.fields["radial"] == "10 Bessel functions, Agnesi transform, switched off with p = 5"
    )
    assert found.topics == ("MACE", "ZBL")
    other = describe_mace(OWN / "corr1.model")
    assert other.fields["format"] == "MACE (.model), weights in float64"
    assert other.fields["cutoff"] == "4.5 A"
    assert other.topics == ("MACE",)
    script = describe_mace(unpacked(OWN / "corr1-lammps.pt.gz", tmp_path))
    assert script.facts == other.facts | {"format": "MACE (TorchScript)"}


def test_convert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    source = str(OWN / "corr1.model")
    assert main(["convert", "mace", source, "c.npz"]) == 0
    assert "c.npz: " in capsys.readouterr().err
    assert read_mace("c.npz").meta == read_mace(source).meta
    assert main(["convert", "mace", source, "c.npz"]) == 2
    one_error(capsys, "c.npz", "--overwrite")
    assert main(["convert", "mace", "c.npz", "c.npz", "--overwrite"]) == 2
    one_error(capsys, "c.npz")
    assert main(["convert", "mace", source, "c.model"]) == 2
    one_error(capsys, "c.model: expected a name that ends in .npz")
    Path("bad.model").write_bytes(torch_file(b"\x80\x02}."))
    assert main(["convert", "mace", "bad.model", "d.npz"]) == 2
    one_error(capsys, "bad.model: looks like a file of PyTorch without a whole model of MACE")
    assert not Path("d.npz").exists()


# --- the format


def _good() -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    model = read_mace(OWN / "corr1.npz")
    return copy.deepcopy(model.meta), dict(model.arrays)


def _put(tree: Any, path: str, value: Any) -> None:
    *keys, last = [int(key) if key.isdigit() else key for key in path.split("/")]
    for key in keys:
        tree = tree[key]
    tree[last] = value


@pytest.mark.parametrize(
    ("where", "value", "kind", "message"),
    [
        ("format", "mace", FormatError, "meta.format: 'mace'; expected 'mdkern-mace'"),
        ("version", 2, UnsupportedError, "meta.version: 2 is not evaluated; version 1 is"),
        ("version", True, UnsupportedError, "meta.version: True"),
        ("model", "AtomicDipolesMACE", UnsupportedError, "meta.model: 'AtomicDipolesMACE' is not"),
        ("source_dtype", "float16", UnsupportedError, "float16"),
        ("heads", [], FormatError, "meta.heads"),
        ("heads", ["a", "a"], FormatError, "meta.heads"),
        ("heads", ["\ud800"], FormatError, "meta.heads"),
        ("heads", ["a", "b"], FormatError, r"atomic_energies: shape \(1, 4\); expected \(2, 4\)"),
        ("max_ell", 9, UnsupportedError, "meta.max_ell: 9 is not evaluated; at most 6"),
        ("max_ell", -1, FormatError, "meta.max_ell: -1"),
        ("sh_irreps", [[1, 0, 1]], FormatError, "meta.sh_irreps"),
        ("radial", None, FormatError, "meta.radial: nothing; expected a map"),
        ("radial/type", "cosine", UnsupportedError, "meta.radial.type: 'cosine'"),
        ("radial/num_basis", 9, FormatError, r"radial.freq: shape \(8,\); expected \(9,\)"),
        ("radial/num_basis", 10**9, FormatError, "meta.radial.num_basis"),
        ("radial/p", 0, FormatError, "meta.radial.p"),
        ("radial/r_max", 0.0, FormatError, "meta.radial.r_max"),
        ("radial/r_max", float("nan"), FormatError, "meta.radial.r_max"),
        ("radial/r_max", 1e9, FormatError, "meta.radial.r_max"),
        ("radial/apply_cutoff", 1, FormatError, "meta.radial.apply_cutoff"),
        ("radial/transform", "agnesi", FormatError, "meta.radial.agnesi"),
        ("zbl", {}, FormatError, "zbl.covalent_radii"),
        ("layers", [], FormatError, "meta.layers"),
        ("layers", [{}] * 17, FormatError, "meta.layers"),
        ("layers/0", 3, FormatError, r"meta.layers\[0\]"),
        ("layers/0/type", "RealAgnosticAttResidualInteractionBlock", UnsupportedError, "Att"),
        ("layers/0/irreps_in", [[8, 0, -1]], FormatError, r"meta.layers\[0\].irreps_in"),
        ("layers/0/irreps_up", [[0, 0, 1]], FormatError, "irreps_up"),
        ("layers/0/irreps_up", [[4, 0, 1]], FormatError, "irreps_mid"),
        ("layers/0/irreps_out", [[8, 0, 1], [4, 1, -1]], FormatError, "irreps_out"),
        ("layers/0/irreps_out", [[8, 0, 1]] * 9, FormatError, "irreps_out"),
        ("layers/0/paths/1", [0, 1, 5], FormatError, "paths"),
        ("layers/1/paths/2/2", 1000, FormatError, "paths"),
        ("layers/0/correlation", [4, 4], UnsupportedError, "correlation.*at most 3"),
        ("layers/0/correlation", [1], FormatError, "correlation"),
        ("layers/0/correlation", [2, 2], FormatError, r"no array 'L0.prod.0.W2'"),
        ("layers/0/avg_num_neighbors", 0.0, FormatError, "avg_num_neighbors"),
        ("layers/0/radial_layers", 5, FormatError, "no array 'L0.radial.W4'"),
        ("layers/0/radial_layers", 10**6, FormatError, "radial_layers"),
        ("layers/0/agnostic_product", True, FormatError, r"L0.prod.0.W1: shape \(4, 1, 8\)"),
        ("readouts", [], FormatError, "meta.readouts"),
        ("readouts/0/layer", 1, FormatError, r"meta.readouts\[1\].layer: 1"),
        ("readouts/0/type", "LinearDipoleReadoutBlock", UnsupportedError, "Dipole"),
        ("readouts/1/act", "relu", UnsupportedError, "'relu' is not evaluated; silu, tanh"),
        ("readouts/1/act_cst", 0, FormatError, "act_cst"),
        ("readouts/1/hidden_per_head", 17, FormatError, "R1.lin1.0: shape"),
        ("readouts/1/hidden_per_head", 1024, FormatError, "R1.lin1.0: shape"),
        ("readouts/1/hidden_per_head", 1025, UnsupportedError, "hidden_per_head: 1025 is not evaluated; at most 1024"),
    ],
)  # fmt: skip
def test_descriptions_that_are_refused(
    where: str, value: Any, kind: type[Exception], message: str
) -> None:
    meta, arrays = _good()
    _put(meta, where, value)
    with pytest.raises(kind, match=message) as caught:
        check_model("file.npz", meta, arrays)
    assert str(caught.value).startswith("file.npz: ")


def test_hidden_numbers_of_all_heads() -> None:
    """A readout with offsets has a layer that reads those of all heads: together they are limited."""
    model = read_mace(OWN / "nonlinear_bias.npz")
    meta, arrays = copy.deepcopy(model.meta), dict(model.arrays)
    meta["heads"] = [f"head {k}" for k in range(65)]
    for name, axis in {"atomic_energies": 0, "scale": 0, "shift": 0, "R0.lin.0": 1}.items():
        arrays[name] = np.repeat(arrays[name], 65, axis)
    expected = (
        r"readouts\[1\].hidden_per_head: 16 is not evaluated; at most 1024 for all of 65 heads"
    )
    with pytest.raises(UnsupportedError, match=expected):
        check_model("file.npz", meta, arrays)
    meta["readouts"][1]["type"] = "NonLinearReadoutBlock"  # each head reads its own
    with pytest.raises(FormatError, match=r"R1.lin1.0: shape"):
        check_model("file.npz", meta, arrays)


def _set(index: tuple[int, ...], value: float) -> Callable[[Any], Any]:
    def change(array: Any) -> Any:
        array = array.copy()
        array[index] = value
        return array

    return change


@pytest.mark.parametrize(
    ("array", "change", "message"),
    [
        ("L1.up.1", None, r"no array 'L1.up.1'; expected one of shape \(8, 8\)"),
        ("L1.up.1", lambda a: a[:7], r"L1.up.1: shape \(7, 8\); expected \(8, 8\)"),
        ("L1.up.1", lambda a: a.astype(np.float32), "float32 array; expected float64"),
        ("L1.up.1", lambda a: a.astype("U5"), "<U5 array; expected float64"),
        ("L1.up.1", _set((0, 0), np.nan), "L1.up.1: numbers that are not finite"),
        ("node_embedding", lambda a: a[:, :0], "0 channels; expected 1 to"),
        ("atomic_numbers", _set((0,), 119), "atomic_numbers: .* expected different ones, 1 to 118"),
        ("atomic_numbers", _set((0,), 6), "expected different ones"),
        ("atomic_numbers", lambda a: a.astype(np.float64), "float64 array; expected int64"),
        ("atomic_numbers", lambda a: a[:0], "no rows"),
        ("L1.conv.cg_idx", _set((4, 0), 99), r"L1.conv.cg_idx: row 4: \[99, .*expected 0 to"),
        ("L1.conv.cg_idx", _set((4, 0), -1), "row 4: .*expected 0 to"),
        ("L1.conv.cg_idx", _set((0, 1), 1), r"row 0: \[0, 1, 0, 0\]; expected 0 to \[\d+, 0, 0, 0\]"),
        ("L1.conv.cg_idx", lambda a: np.repeat(a, 9, axis=0), "rows; expected at most"),
        ("L1.conv.cg_idx", lambda a: a.astype(np.int8), "int8 array; expected int32"),
        ("L0.prod.1.U1.idx", _set((0, 0), 3), r"L0.prod.1.U1.idx: row 0: .*expected 0 to \[2, 8, 0\]"),
        ("L0.prod.1.U1.idx", _set((0, 1), 9), "expected 0 to"),
        ("L0.prod.1.U1.idx", _set((0, 2), 1), "expected 0 to"),
        ("L0.prod.1.U1.idx", lambda a: a[:0], "no rows"),
        ("L0.prod.1.U1.val", lambda a: a[:1], r"U1.val: shape \(1,\); expected \(3,\)"),
        ("L0.radial.W1", lambda a: a[:, :0], r"L0.radial.W1: 0 columns"),
        ("R0.lin.0", lambda a: a[0], r"R0.lin.0: shape \(1,\); expected \(8, 1\)"),
    ],
)  # fmt: skip
def test_arrays_that_are_refused(array: str, change: Any, message: str) -> None:
    meta, arrays = _good()
    if change is None:
        del arrays[array]
    else:
        arrays[array] = change(arrays[array])
    with pytest.raises(FormatError, match=message) as caught:
        check_model("file.npz", meta, arrays)
    assert str(caught.value).startswith("file.npz: ")


def test_every_array_is_needed(tmp_path: Path) -> None:
    """Whatever is left out or a row too long is found; what the format does not have is left out."""
    meta, arrays = _good()
    for key in arrays:
        rest = {k: a for k, a in arrays.items() if k != key}
        with pytest.raises(FormatError):
            check_model("x", meta, rest)
        with pytest.raises(FormatError):
            check_model("x", meta, rest | {key: np.concatenate([arrays[key]] * 2)})
    write_mace(tmp_path / "x.npz", MaceModel("", {**meta, "b": 1}, {**arrays, "a": np.zeros(1)}))
    model = read_mace(tmp_path / "x.npz")
    assert set(model.arrays) == set(arrays)
    assert model.meta == meta


def test_arrays_that_are_not_as_numpy_lays_them_out(tmp_path: Path) -> None:
    meta, arrays = _good()
    odd = {k: np.asfortranarray(a) for k, a in arrays.items()}
    odd["shift"] = odd["shift"].astype(">f8")
    _, kept = check_model("x", meta, odd)
    for key, array in kept.items():
        assert array.flags.c_contiguous
        assert array.dtype.isnative
        np.testing.assert_array_equal(array, arrays[key])
    np.savez(tmp_path / "x.npz", **arrays, meta=np.zeros(2**20 + 1, np.uint8))
    with pytest.raises(
        FormatError, match=r"meta: uint8 array of shape .*; expected at most 1048576"
    ):
        read_mace(tmp_path / "x.npz")
    np.savez(tmp_path / "x.npz", **arrays, meta=np.frombuffer(b"[" * 10**5, np.uint8))
    with pytest.raises(FormatError, match="JSON"):
        read_mace(tmp_path / "x.npz")
