"""MACE models: as .npz, and as PyTorch writes them; what is refused, and what must not happen with files that nobody trusts."""

from __future__ import annotations

import copy
import json
import os
import pickle
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_checks import one_error
from torch_data import (
    OWN,
    TINY,
    archive,
    name,
    npz_models,
    numbers,
    tensor,
    text,
    tiny,
    torch_file,
    torch_models,
    unpacked,
)

from mdkern.cli import main
from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.coupling import coupling
from mdkern.io.mace import MaceModel, is_mace, mace_format, read_mace, write_mace
from mdkern.io.mace_contract import check_model
from mdkern.io.mace_facts import describe_mace
from mdkern.io.mace_modules import read_modules
from mdkern.io.pickled import Record, read_pickle
from mdkern.io.torch_file import TorchFile, read_torch_file

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
        assert packed.name.startswith(("tiny", "single"))
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


# --- modules


@pytest.fixture(scope="module")
def tiny_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TorchFile]:
    folder = tmp_path_factory.mktemp("tiny")
    out = {}
    for which in TINY:
        (folder / which).write_bytes(archive(tiny(which)))
        out[which] = read_torch_file(folder / which, "a MACE model")
    return out


def read(file: TorchFile) -> tuple[dict[str, Any], dict[str, Any]]:
    """As often as one likes: a file hands out its bytes once."""
    return check_model(file.path, *read_modules(TorchFile(file.path, file.root, file.members)))


def _member(root: Any, where: str) -> Any:
    for key in where.split("."):
        state = root.state
        groups = (state.get("_parameters"), state.get("_buffers"), state.get("_modules"), state)
        root = next(g[key] for g in groups if isinstance(g, dict) and key in g)
    return root


@pytest.mark.parametrize(
    ("which", "where", "change", "message"),
    [
        ("plain", "", "mace.modules.models.AtomicDipolesMACE", "models.AtomicDipolesMACE is not read; MACE"),
        ("plain", "", "mace.modules.extensions.PolarMACE", "PolarMACE is not read"),
        ("plain", "interactions.0", "mace.modules.blocks.RealAgnosticAttResidualInteractionBlock",
         r"interactions.0: mace.modules.blocks.RealAgnosticAttResidual\w+ is not read"),
        ("plain", "interactions.0.linear", "cuequivariance_torch.operations.linear.EquivariantLinear",
         "interactions.0.linear: cuequivariance.* is not read; Linear is"),
        ("plain", "interactions.0.linear", "mace.modules.lora.LoRAO3Linear", "lora"),
        ("plain", "readouts.1", "mace.modules.blocks.NonLinearDipoleReadoutBlock", "DipoleReadout"),
        ("plain", "radial_embedding.bessel_fn", "mace.modules.radial.SineBasis", "SineBasis"),
        ("density", "radial_embedding.distance_transform", "x.OtherTransform", "OtherTransform"),
        ("density", "pair_repulsion_fn", "x.OtherPairs", "OtherPairs"),
        ("nonlinear", "interactions.1.equivariant_nonlin", "x.Sum", "Sum is not read"),
        ("plain", "products.0.symmetric_contractions", "x.FusedContraction", "FusedContraction"),
    ],
)  # fmt: skip
def test_classes_that_are_refused(
    tiny_files: dict[str, TorchFile], which: str, where: str, change: str, message: str
) -> None:
    file = tiny_files[f"tiny_{which}"]
    record = _member(file.root, where) if where else file.root
    known, record.name = record.name, change
    try:
        with pytest.raises(UnsupportedError, match=message):
            read(file)
    finally:
        record.name = known


@pytest.mark.parametrize(
    ("which", "where", "key", "value", "kind", "message"),
    [
        ("plain", "", "embedding_specs", {"charge": 1}, UnsupportedError, "embedding_specs: inputs such as charge"),
        ("plain", "", "heads", ["a", "b"], FormatError, "atomic_energies: 2 numbers; expected 4"),
        ("plain", "", "heads", [], FormatError, "heads"),
        ("plain", "", "heads", [None], FormatError, "heads"),
        ("plain", "products.0.symmetric_contractions.contractions.0", "correlation", 4, UnsupportedError,
         "correlation: 4 is not evaluated; 1 to 3 are"),
        ("plain", "readouts.1.non_linearity.acts.0", "f", Record("x.elu", ()), UnsupportedError, "f: elu is not evaluated"),
        ("plain", "interactions.0.conv_tp_weights.layer0.act", "f", Record("torch.tanh", ()), UnsupportedError,
         "tanh is not evaluated; silu is"),
        ("plain", "interactions.0.conv_tp_weights.layer0", "var_in", 2.0, UnsupportedError, "var_in"),
        ("plain", "interactions.0", "avg_num_neighbors", "many", FormatError, "avg_num_neighbors: expected a number"),
        ("plain", "interactions.0", "avg_num_neighbors", float("inf"), FormatError, "avg_num_neighbors"),
        ("plain", "interactions.0.conv_tp", "instructions", [], UnsupportedError, "path 0 is another"),
        ("plain", "interactions.0.linear_up", "instructions", [(0, 0)], FormatError, "instructions"),
        ("plain", "interactions.0.linear_up", "instructions", [(7, 0, (2, 2), 1.0)], FormatError, "out of range"),
        ("plain", "interactions.0.linear_up", "irreps_out", ((2, (0, 1)), (1, (1, -1))), UnsupportedError,
         r"irreps_out: 2x0e\+1x1o; irreps Kx0e\+Kx1o"),
        ("plain", "interactions.0.linear_up", "irreps_out", ((2, (0, -1)),), UnsupportedError, "2x0o"),
        ("plain", "interactions.0.linear_up", "irreps_out", 5, UnsupportedError, "irreps_out"),
        ("plain", "", "interactions", [], FormatError, "interactions: no module"),
        ("density", "radial_embedding.cutoff_fn", "p", 5.5, FormatError, "meta.radial.p"),
        ("nonlinear", "interactions.0.equivariant_nonlin", "_act_gate", Record("torch.tanh", ()), UnsupportedError,
         "_act_gate: tanh is not evaluated; sigmoid is"),
        ("nonlinear", "interactions.0.conv_tp_weights.net.1", "eps", 1e-6, UnsupportedError, "eps"),
    ],
)  # fmt: skip
def test_options_that_are_refused(
    tiny_files: dict[str, TorchFile],
    which: str,
    where: str,
    key: str,
    value: Any,
    kind: type[Exception],
    message: str,
) -> None:
    file = tiny_files[f"tiny_{which}"]
    state = (_member(file.root, where) if where else file.root).state
    groups = [
        g for g in (state.get("_parameters"), state.get("_buffers"), state.get("_modules")) if g
    ]
    holder = next((g for g in groups if key in g), state)
    had, known = key in holder, holder.get(key)
    holder[key] = value
    try:
        with pytest.raises(kind, match=message) as caught:
            read(file)
        assert str(caught.value).startswith(file.path)
    finally:
        if had:
            holder[key] = known
        else:
            del holder[key]


def test_torchscript_that_is_refused(tmp_path: Path) -> None:
    path = unpacked(OWN / "corr1-lammps.pt.gz", tmp_path)
    file = read_torch_file(path, "a MACE model")
    model = _member(file.root, "model")
    heads = model.state["heads"]
    model.state["heads"] = Record("torch.jit._pickle.restore_type_tag", (["a", "b"], "List[str]"))
    with pytest.raises(UnsupportedError, match="heads: LAMMPS's file for one of several heads"):
        read(file)
    model.state["heads"] = heads
    read(file)
    linear = _member(file.root, "model.products.0.linear").state
    irreps = linear.pop("irreps_out")
    with pytest.raises(UnsupportedError, match="no 'irreps_out'; TorchScript does not keep all"):
        read(file)
    linear["irreps_out"] = irreps
    for key in file.members:
        if "_normalize_activation" in key:
            file.members[key] = file.members[key].replace(b"torch.silu(x)", b"torch.relu(x)")
    with pytest.raises(UnsupportedError, match="relu is not evaluated"):
        read(file)


def _older(state: dict[str, Any]) -> None:
    for key in ("heads", "apply_cutoff", "use_agnostic_product", "edge_irreps"):
        state.pop(key, None)


def test_older_versions(tmp_path: Path) -> None:
    """Options that they do not write have the values that they had; numbers of NumPy's are numbers."""
    (tmp_path / "x").write_bytes(archive(tiny("tiny_plain")))
    new, old = (read_torch_file(tmp_path / "x", "a MACE model") for _ in range(2))
    _older(old.root.state)
    for t in "01":
        _older(_member(old.root, f"products.{t}").state)
    _older(_member(old.root, "radial_embedding").state)
    number = Record(
        "numpy.core.multiarray.scalar",
        (Record("numpy.dtype", ("f8", 0, 1)), Record("_codecs.encode", (np.float64(7.5).tobytes().decode("latin-1"), "latin1"))),
    )  # fmt: skip
    _member(old.root, "interactions.0").state["avg_num_neighbors"] = number
    assert read_modules(old)[0] == read_modules(new)[0]


@pytest.mark.parametrize("which", TINY)
def test_whatever_is_missing(tiny_files: dict[str, TorchFile], which: str) -> None:
    """Each entry of each module left out, or another thing: read as it is, or refused."""
    file = tiny_files[which]
    holders: list[dict[str, Any]] = []
    todo, seen = [file.root], set()
    while todo:
        state = todo.pop().state
        if isinstance(state, dict) and id(state) not in seen:
            seen.add(id(state))
            groups = [
                state,
                *(
                    state[k]
                    for k in ("_parameters", "_buffers", "_modules")
                    if isinstance(state.get(k), dict)
                ),
            ]
            holders += groups
            todo += [v for group in groups for v in group.values() if isinstance(v, Record)]
    rng = np.random.default_rng(3)
    junk = [
        None,
        0,
        -1,
        2**70,
        "x",
        [],
        {},
        (),
        ((1, (0, 1)),),
        float("nan"),
        True,
        Record("x.Y", ()),
        file.root,
    ]
    outcomes: set[str] = set()
    said: list[str] = []
    entries = [(holder, key) for holder in holders for key in holder if not key.endswith("_hooks")]
    for holder, key in [entries[n] for n in rng.permutation(len(entries))[:150]]:
        known = holder.pop(key)
        value = junk[rng.integers(len(junk))]
        if value is not None:
            holder[key] = value
        try:
            read(file)
            outcomes.add("read")
        except (FormatError, UnsupportedError) as e:
            outcomes.add(type(e).__name__)
            said.append(str(e))
        finally:
            holder[key] = known
    assert outcomes == {"read", "FormatError", "UnsupportedError"}
    assert all(message.startswith(file.path) for message in said)


def test_no_whole_model(tmp_path: Path) -> None:
    path = tmp_path / "x.model"
    weights = b"\x80\x02}" + text("a.weight") + tensor((2,), (1,), 2) + b"s."
    path.write_bytes(torch_file(weights, s0=b"\0" * 16))
    assert not is_mace(path)
    with pytest.raises(UnsupportedError, match="without a whole model of MACE"):
        read_mace(path)
    with pytest.raises(
        UnsupportedError, match="weights or a checkpoint of a training, not a whole"
    ):
        read_modules(read_torch_file(path, "a MACE model"))


# --- files that nobody trusts


def _malicious(command: str) -> list[bytes]:
    class System:
        def __reduce__(self) -> Any:
            return (os.system, (command,))

    class Eval:
        def __reduce__(self) -> Any:
            return (eval, (f"__import__('os').system({command!r})",))

    class State:
        def __reduce__(self) -> Any:
            return (os.system, (command,), {"a": System()}, iter([1]), iter([("k", Eval())]))

    programs = [pickle.dumps(made(), 2) for made in (System, Eval, State)]
    build = b"\x80\x02" + name("posix", "system") + text(command) + b"\x85R}b."
    named = b"\x80\x02" + name("mdkern.errors", "FormatError") + b")\x81" + text(command) + b"b."
    callee = b"\x80\x02" + name("os", "system") + b")R" + text(command) + b"\x85R."
    return [*programs, build, named, callee]


@pytest.mark.parametrize("n", range(6))
def test_nothing_is_executed(n: int, tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    program = _malicious(f"touch {mark}")[n]
    found = read_pickle(program, "x", "data.pkl")
    assert isinstance(found, Record)
    path = tmp_path / "x.model"
    path.write_bytes(torch_file(program))
    with pytest.raises((FormatError, UnsupportedError)):
        read_mace(path)
    # And inside of what looks like a model.
    whole = b"\x80\x02" + name("mace.modules.models", "MACE") + b")\x81}" + text("heads")
    path.write_bytes(torch_file(whole + program[2:-1] + b"sb."))
    assert is_mace(path)
    with pytest.raises((FormatError, UnsupportedError)):
        read_mace(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("program", "kind", "message"),
    [
        (b"", FormatError, "no pickle of protocol 2"),
        (b"}.", FormatError, "no pickle of protocol 2"),
        (b"\x80\x04}.", UnsupportedError, "protocol 4; 2 is read"),
        (b"\x80\x02", FormatError, "ends before"),
        (b"\x80", FormatError, "ends before"),
        (b"\x80\x02.", FormatError, "damaged"),
        (b"\x80\x02t.", FormatError, "damaged"),
        (b"\x80\x02\x86.", FormatError, "damaged"),
        (b"\x80\x02(NN\x86R.", FormatError, "damaged"),
        (b"\x80\x02NN(\x86t.", FormatError, "a mark above the stack"),
        (b"\x80\x02h\x07.", FormatError, "nothing is remembered as 7"),
        (b"\x80\x02Nj\xff\xff\xff\xff.", FormatError, "nothing is remembered as 4294967295"),
        (b"\x80\x02q\x07.", FormatError, "damaged"),
        (b"\x80\x02X\xff\xff\xff\xffab.", FormatError, "ends before"),
        (b"\x80\x02\x8a\xff\x01.", FormatError, "ends before"),
        (b"\x80\x02G\x00.", FormatError, "ends before"),
        (b"\x80\x02NNR.", FormatError, "arguments that are no tuple"),
        (b"\x80\x02N]R.", FormatError, "arguments that are no tuple"),
        (b"\x80\x02NNb.", FormatError, "the state of what is no object"),
        (b"\x80\x02](NNu.", FormatError, "items of what is no map"),
        (b"\x80\x02}(Nu.", FormatError, "a key without a value"),
        (b"\x80\x02}Na.", FormatError, "elements of what is no list"),
        (b"\x80\x02c" + b"a" * 300 + b"\nb\n.", FormatError, "a name that does not end"),
        (b"\x80\x02cos\nsystem.", FormatError, "a name that does not end"),
        (b"\x80\x02N0.", UnsupportedError, "operation b'0'"),
        (b"\x80\x02(ios\nsystem\n.", UnsupportedError, "operation b'i'"),
        (b"\x80\x02cos\nsystem\n(o.", UnsupportedError, "operation b'o'"),
        (b"\x80\x02\x82\x01.", UnsupportedError, "operation b'.x82'"),
        (b"\x80\x02P1\n.", UnsupportedError, "operation b'P'"),
        (b"\x80\x02\x93.", UnsupportedError, "operation b'.x93'"),
        (b"\x80\x02" + b"N" * 300_000 + b".", FormatError, "more than 262144 operations"),
        (b"\x80\x02" + (text("a" * 250) * 5000) + b".", FormatError, "bytes of texts"),
        (b"\x80\x02" + b"N" * (65 * 2**20), FormatError, "expected at most 67108864"),
    ],
)  # fmt: skip
def test_damaged_pickles(program: bytes, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        read_pickle(program, "file", "data.pkl")
    assert str(caught.value).startswith("file: data.pkl")


def test_pickles_that_hold_themselves_or_are_deep() -> None:
    itself = read_pickle(b"\x80\x02]q\x00h\x00a.", "x", "y")
    assert itself[0] is itself
    state = read_pickle(b"\x80\x02" + name("a", "B") + b")\x81q\x00h\x00b.", "x", "y")
    assert state.state is state
    for deep in (
        b"N" + b"\x85" * 200_000,
        b"]" + b"q\x00]q\x01h\x00a" * 50_000,
        name("a", "B") + (b"q\x00h\x00" + b"\x85\x81") * 40_000,
    ):
        read_pickle(b"\x80\x02" + deep + b".", "x", "y")  # and nothing overflows where it is let go


def test_keys_and_texts_that_nobody_reads() -> None:
    found = read_pickle(b"\x80\x02}(K\x01K\x02NNX\x01\x00\x00\x00aK\x03)Nu.", "x", "y")
    assert found == {"a": 3}
    assert read_pickle(b"\x80\x02" + text("a" * 257) + b".", "x", "y") is None
    assert read_pickle(b"\x80\x02X\x02\x00\x00\x00\xff\xfe.", "x", "y") == "\ufffd\ufffd"
    assert read_pickle(
        b"\x80\x02ccollections\nOrderedDict\n)R(" + text("k") + b"Nu.", "x", "y"
    ) == {"k": None}


@pytest.mark.parametrize(
    ("program", "kind", "message"),
    [
        (tensor((4,), (1,), 4), None, ""),
        (tensor((2, 2), (2, 1), 4), None, ""),
        (tensor((2, 2), (1, 2), 4), None, ""),
        (tensor((), (), 4, 3), None, ""),
        (tensor((0, 5), (0, 0), 4), None, ""),
        (tensor((5,), (1,), 4), FormatError, r"shape \(5,\) with strides \(1,\) in a storage of 4 numbers"),
        (tensor((4,), (1,), 4, 1), FormatError, "in a storage of 4"),
        (tensor((1,), (1,), 4, -1), FormatError, "do not fit together"),
        (tensor((2,), (-1,), 4, 3), FormatError, "do not fit together"),
        (tensor((4,), (0,), 4), FormatError, "in a storage of 4"),
        (tensor((1000, 2), (0, 1), 4), FormatError, "in a storage of 4"),
        (tensor((2, 2, 2), (1, 1, 1), 4), FormatError, "in a storage of 4"),
        (tensor((2**40, 2**40), (1, 1), 4), FormatError, "in a storage of 4"),
        (tensor((2**62,), (1,), 4), FormatError, "do not fit together"),
        (tensor((2,), (2**47,), 4), FormatError, "in a storage of 4"),
        (tensor((2,), (1, 1), 4), FormatError, "do not fit together"),
        (tensor((1,) * 9, (1,) * 9, 4), FormatError, "do not fit together"),
        (tensor((4,), (1,), 5), FormatError, "a storage of 32 bytes"),
        (tensor((4,), (1,), 2**60), FormatError, "a storage of 32 bytes"),
        (tensor((4,), (1,), 4, kind="FloatStorage"), FormatError, "a storage of 32 bytes; expected 4"),
        (tensor((8,), (1,), 8, kind="FloatStorage"), None, ""),
        (tensor((4,), (1,), 4, kind="HalfStorage"), UnsupportedError, "torch.HalfStorage; double and single"),
        (tensor((4,), (1,), 4, kind="QInt8Storage"), UnsupportedError, "QInt8Storage"),
        (tensor((4,), (1,), 4, key="1"), FormatError, "no such storage"),
        (tensor((4,), (1,), 4, key="../data.pkl"), FormatError, "no such storage"),
        (tensor((4,), (1,), 4, build=name("torch._utils", "_rebuild_sparse_tensor")), UnsupportedError,
         "torch._utils._rebuild_sparse_tensor is not read"),
        (name("torch._utils", "_rebuild_tensor_v2") + b")R", FormatError, "without size and strides"),
        (name("torch._utils", "_rebuild_tensor_v2") + numbers(0, 0, 0, 0) + b"R", FormatError, "without a storage"),
        (b"NQ", UnsupportedError, "persistent is not read"),
        (b"N", FormatError, "no tensor"),
    ],
)  # fmt: skip
def test_tensors(
    program: bytes, kind: type[Exception] | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "x"
    path.write_bytes(torch_file(b"\x80\x02" + program + b".", s0=np.arange(4.0).tobytes()))
    file = read_torch_file(path, "a model")
    if kind is None:
        array = file.array(file.root, "w")
        assert not array.flags.writeable or not array.size
        assert np.isin(array, np.frombuffer(file.members["data/0"], array.dtype)).all()
        return
    with pytest.raises(kind, match=message) as caught:
        file.array(file.root, "w")
    assert str(caught.value).startswith(f"{path}: w: ")


def test_a_storage_cannot_be_handed_out_without_end(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(torch_file(b"\x80\x02" + tensor((1000,), (1,), 1000) + b".", s0=b"\0" * 8000))
    file = read_torch_file(path, "a model")
    assert file.array(file.root, "w").shape == (1000,)
    with pytest.raises(FormatError, match="more bytes together than the file"):
        [file.array(file.root, "w") for _ in range(3)]


def test_archives(tmp_path: Path) -> None:
    path = tmp_path / "x.model"
    whole = tiny("tiny_plain")
    root = next(key for key in whole if key.endswith("data.pkl"))
    bomb = {root: whole[root] + b"\0" * 2**25}
    for members, kind, message in (
        ({**whole, "b/data.pkl": b""}, FormatError, "expected one member NAME/data.pkl"),
        ({**whole, root.replace("data.pkl", "byteorder"): b"big"}, UnsupportedError, "big-endian"),
    ):
        path.write_bytes(archive(members))
        with pytest.raises(kind, match=message):
            read_mace(path)
    path.write_bytes(archive(bomb, zipfile.ZIP_DEFLATED))
    with pytest.raises(FormatError, match="bytes in"):
        read_torch_file(path, "a model")
    path.write_bytes(archive({f"x/{n}": b"" for n in range(21_000)}))
    start = time.perf_counter()
    with pytest.raises(FormatError, match="21000 arrays"):
        read_torch_file(path, "a model")
    assert time.perf_counter() - start < 2.0
    # Deflated members are read.
    path.write_bytes(archive(whole, zipfile.ZIP_DEFLATED))
    check_model(path, *read_modules(read_torch_file(path, "a model")))
    data = archive(whole)
    for cut in (len(data) // 3, len(data) - 30):
        path.write_bytes(data[:cut])
        with pytest.raises((FormatError, UnsupportedError)):
            read_mace(path)
