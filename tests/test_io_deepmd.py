"""Files of DeePMD-kit: three formats, what is refused, and damage."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deepmd_data import WATER, model_file, names, shared_folder
from hypothesis import given, settings
from hypothesis import strategies as st

import mdkern
from mdkern.bench.deepmd_models import random_deepmd
from mdkern.cli import main
from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.deepmd import is_deepmd, read_deepmd
from mdkern.io.deepmd_models import Dpa1, Hybrid, SeA, StandardModel
from mdkern.io.hdf5 import read_hdf5

Tree = dict[str, Any]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    path = tmp_path_factory.mktemp("deepmd") / "m.json"
    random_deepmd(
        path, sel=(3, 4), neuron=(2, 4), axis_neuron=2, fitting=(3, 3), one_side=False, seed=1
    )
    loaded: Tree = json.loads(path.read_text())
    return loaded


def at(tree: Tree, place: str) -> tuple[Any, Any]:
    """Container and key of a place such as ``model.descriptor.sel``."""
    node: Any = tree
    *front, last = place.split(".")
    for key in front:
        node = node[int(key)] if isinstance(node, list) else node[key]
    return node, int(last) if isinstance(node, list) else last


def changed(tree: Tree, place: str, value: Any) -> Tree:
    out = copy.deepcopy(tree)
    node, key = at(out, place)
    node[key] = value
    return out


def save(folder: Path, tree: Any) -> Path:
    path = folder / "m.json"
    path.write_text(json.dumps(tree))
    return path


def array(x: Any) -> Tree:
    x = np.asarray(x, dtype=float)
    return {"@class": "np.ndarray", "dtype": "float64", "value": x.tolist()}


# --- what is read ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", names())
def test_every_kind_is_read_and_described(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = model_file(name)
    assert is_deepmd(path)
    m = read_deepmd(path)
    assert m.species == ("O", "H", "Cu")
    assert m.n_parameters > 100 or name.endswith("table")  # which has no networks
    assert main(["info", path]) == 0
    text = capsys.readouterr().out
    assert f"{m.n_parameters:,}" in text
    assert m.model.kind in text
    assert main(["info", "--json", path]) == 0
    assert json.loads(capsys.readouterr().out)["species"] == ["O", "H", "Cu"]
    assert main(["info", "--cite", path]) == 0
    assert "143001" in capsys.readouterr().out


def test_parts() -> None:
    m = read_deepmd(model_file("se_e2_a_exclude")).model
    assert isinstance(m, StandardModel)
    d = m.descriptor
    assert isinstance(d, SeA)
    assert (d.exclude, d.protection, d.one_side) == (((0, 1), (2, 2)), 0.1, False)
    assert d.net(2, 1) is d.nets[2 + 1 * 3]
    assert (m.pair_exclude, m.atom_exclude) == (((1, 2),), (2,))
    assert m.fitting.zero.tolist() == [False, True, True]
    assert d.davg.shape == d.dstd.shape == (3, 4)
    h = read_deepmd(model_file("hybrid")).model
    assert isinstance(h, StandardModel)
    assert isinstance(h.descriptor, Hybrid)
    assert [p.kind for p in h.descriptor.parts] == ["se_e2_a", "se_e2_r", "se_e3"]
    a = read_deepmd(model_file("dpa1_attention_plain")).model
    assert isinstance(a, StandardModel)
    assert isinstance(a.descriptor, Dpa1)
    assert a.descriptor.scale == 0.7
    assert len(a.descriptor.attention) == 1


def test_own_hdf5_reader_equals_h5py() -> None:
    h5py = pytest.importorskip("h5py")
    for name in ("hybrid", "zbl", "dpa1_attention"):
        text, arrays = read_hdf5(model_file(name), "json")
        with h5py.File(model_file(name)) as file:
            assert text == file.attrs["json"]
            assert set(arrays) == set(file)
            for key, value in arrays.items():
                assert value.dtype == file[key].dtype
                assert np.array_equal(value, file[key][()])


@pytest.mark.parametrize("kind", ["soft", "hard", "external", "group"])
def test_links_in_hdf5_are_refused(kind: str, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    for version in ("earliest", "latest"):
        path = tmp_path / f"{version}.dp"
        with h5py.File(path, "w", libver=version) as file:
            file.attrs["json"] = "{}"
            file["variable_0000"] = np.arange(4.0)
            if kind == "soft":
                file["variable_0001"] = h5py.SoftLink("/variable_0000")
            elif kind == "hard":
                file["variable_0001"] = file["variable_0000"]
            elif kind == "external":
                file["variable_0001"] = h5py.ExternalLink("other.h5", "/x")
            else:
                file.create_group("variable_0001")
        with pytest.raises(FormatError):
            read_deepmd(path)


def test_yaml_equals_hdf5() -> None:
    pytest.importorskip("yaml")
    folder = shared_folder("deepmd")
    if folder is None:
        pytest.skip("needs MDKERN_TEST_DATA")
    for name in WATER[2:]:
        a, b = (read_deepmd(folder / (name + end)) for end in (".dp", ".yaml"))
        assert (a.format, b.format) == ("dp", "yaml")
        assert isinstance(a.model, StandardModel)
        assert isinstance(b.model, StandardModel)
        for x, y in zip(a.model.fitting.nets, b.model.fitting.nets, strict=True):
            assert all(np.array_equal(p.w, q.w) for p, q in zip(x.layers, y.layers, strict=True))


# --- what is refused ------------------------------------------------------------------------------

D, F = "model.descriptor", "model.fitting"
NET = D + ".embeddings.networks.0"
UNSUPPORTED: list[tuple[str, Any]] = [
    ("model.type", "spin"),
    ("model.@version", 9),
    ("model.type_map", ["O", "Xx"]),
    (D + ".type", "dpa2"),
    (D + ".@version", 4),
    (D + ".precision", "bfloat16"),
    (D + ".spin", {"use_spin": [True]}),
    (D + ".some_new_option", 3),
    (D + ".env_mat", {"use_exp_switch": True}),
    (NET + ".layers.0.activation_function", "mish"),
    (NET + ".layers.0.@version", 3),
    (F + ".type", "dipole"),
    (F + ".numb_aparam", 2),
    (F + ".dim_case_embd", 2),
    (F + ".var_name", "dos"),
    (F + ".use_aparam_as_mask", True),
    (F + ".@version", 5),
]
BAD: list[tuple[str, Any]] = [
    ("model", [1]),
    ("model.type_map", []),
    ("model.type_map", ["O", "O"]),
    ("model.pair_exclude_types", [[0, 2]]),
    ("model.atom_exclude_types", [-1]),
    ("model.@variables.out_bias", array([1.0, 2.0, 3.0])),
    ("model.@variables.out_bias", array([1.0, np.nan])),
    (D + ".rcut", -6.0),
    (D + ".rcut", 1e9),
    (D + ".rcut", True),
    (D + ".rcut_smth", 7.0),
    (D + ".sel", [3]),
    (D + ".sel", [3, 10**9]),
    (D + ".sel", [3, 5]),
    (D + ".axis_neuron", 5),
    (D + ".type_one_side", True),
    (D + ".type_one_side", 1),
    (D + ".exclude_types", [[0]]),
    (D + ".@variables.davg", array(np.zeros((2, 6, 4)))),
    (D + ".@variables.dstd", array(np.zeros((2, 7, 4)))),
    (D + ".embeddings.ndim", 1),
    (D + ".embeddings.networks", []),
    (NET + ".layers", []),
    (NET + ".layers.1.@variables.w", array(np.ones((3, 4)))),
    (NET + ".layers.1.@variables.w", {"@class": "np.ndarray", "dtype": "float64", "value": [[1], [2, 3]]}),
    (NET + ".layers.1.@variables.w", "x"),
    (NET + ".layers.0.@variables.b", array([1.0])),
    (NET + ".layers.0.activation_function", "silut:x"),
    (F + ".dim_descrpt", 9),
    (F + ".nets.networks.0.layers.0.@variables.w", array(np.ones((9, 3)))),
    (F + ".nets.networks.0.layers.2.@variables.w", array(np.ones((3, 2)))),
    (F + ".@variables.bias_atom_e", array([1.0])),
    (F + ".numb_fparam", 2),
    (F + ".atom_ener", [1.0, 2.0, 3.0]),
]  # fmt: skip


def key_of(place: str) -> str:
    """The last word of a place that is a name."""
    return [word for word in place.split(".") if not word.isdigit()][-1]


@pytest.mark.parametrize(("place", "value"), UNSUPPORTED, ids=lambda x: str(x)[:40])
def test_unsupported_is_named(tree: Tree, place: str, value: Any, tmp_path: Path) -> None:
    path = save(tmp_path, changed(tree, place, value))
    with pytest.raises(UnsupportedError) as e:
        read_deepmd(path)
    assert key_of(place) in str(e.value) or "use_exp_switch" in str(e.value)
    assert str(path) in str(e.value)


@pytest.mark.parametrize(("place", "value"), BAD, ids=lambda x: str(x)[:40])
def test_bad_values_are_named(tree: Tree, place: str, value: Any, tmp_path: Path) -> None:
    path = save(tmp_path, changed(tree, place, value))
    with pytest.raises((FormatError, UnsupportedError), match=r"expected|array") as e:
        read_deepmd(path)
    assert str(path) in str(e.value)


def test_more_attention_layers_than_the_kernel_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mdkern.io.deepmd.MAX_ATTENTION", 0)
    with pytest.raises(UnsupportedError, match=r"descriptor\.attn_layer: \d is not evaluated"):
        read_deepmd(model_file("dpa1_attention"))


def test_statistics_that_differ_by_slot(tree: Tree, tmp_path: Path) -> None:
    mean = np.zeros((2, 7, 4))
    mean[0, 3, 0] = 1.0
    path = save(tmp_path, changed(tree, D + ".@variables.davg", array(mean)))
    with pytest.raises(UnsupportedError, match="davg"):
        read_deepmd(path)


def missing_is_named(tree: Tree, place: str, folder: Path) -> None:
    out = copy.deepcopy(tree)
    node, key = at(out, place)
    del node[key]
    with pytest.raises((FormatError, UnsupportedError)):
        read_deepmd(save(folder, out))


@pytest.mark.parametrize(
    "place",
    [
        "model",
        "model.type_map",
        D,
        F,
        D + ".rcut",
        D + ".rcut_smth",
        D + ".sel",
        D + ".axis_neuron",
        D + ".embeddings",
        D + ".@variables.dstd",
        NET + ".layers",
        NET + ".layers.0.@variables.w",
        F + ".nets",
        F + ".nets.networks.0.layers.0.@variables",
    ],
)
def test_missing_keys(tree: Tree, place: str, tmp_path: Path) -> None:
    missing_is_named(tree, place, tmp_path)


YAML = {
    "alias": "model: &a {type: standard}\nbackend: *a\n",
    "tag": "model: !!python/object:os.system {}\n",
    "twice": "model: {}\nmodel: {}\n",
    "documents": "model: {}\n---\nmodel: {}\n",
    "broken": "model: {a: [1, 2}\n",
    "deep": "model: " + "[" * 200 + "]" * 200 + "\n",
    "list": "model:\n- 1\n",
    "key": "model:\n  ? [1, 2]\n  : 3\n",
    "nothing": "model: \n",
}


@pytest.mark.parametrize("name", YAML)
def test_bad_yaml(name: str, tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    path = tmp_path / "m.yaml"
    path.write_text(YAML[name])
    with pytest.raises(FormatError):
        read_deepmd(path)


@pytest.mark.parametrize(
    "text",
    ['{"model": {}, "model": {}}', '{"model": ' + "[" * 100_000, '{"model": 1', '{"model": NaN}', "hello", ""],
    ids=range(6),
)  # fmt: skip
def test_bad_text(text: str, tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(text)
    with pytest.raises(FormatError):
        read_deepmd(path)


def test_other_files_are_not_taken_for_models(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_group("h5md")
    (tmp_path / "x.json").write_text('{"1": {"cell": []}}')
    (tmp_path / "x.xyz").write_text("1\nmodel\nCu 0 0 0\n")
    assert not any(is_deepmd(tmp_path / name) for name in ("x.h5", "x.json", "x.xyz"))


# --- damage ---------------------------------------------------------------------------------------


def _damage(make: Callable[[bytes], bytes], data: bytes, path: Path) -> None:
    path.write_bytes(make(data))
    with contextlib.suppress(FormatError, UnsupportedError):
        read_deepmd(path)


@pytest.fixture(scope="module")
def dp(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Path]:
    return Path(model_file("dpa1_concat")).read_bytes(), tmp_path_factory.mktemp("fuzz") / "m.dp"


@settings(max_examples=80)
@given(where=st.floats(0, 1), value=st.binary(min_size=1, max_size=8), cut=st.booleans())
def test_damaged_hdf5(dp: tuple[bytes, Path], where: float, value: bytes, cut: bool) -> None:
    data, path = dp
    # Half of the changes in the part with the structure, which is small.
    k = int(where * 2 * 4000) if where < 0.5 else int((2 * where - 1) * len(data))
    k = min(k, len(data) - 1)
    _damage(lambda d: d[:k] if cut else d[:k] + value + d[k + len(value) :], data, path)


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=3),
    st.just([]),
    st.just({}),
    st.just([[1]]),
)


@settings(max_examples=80)
@given(data=st.data())
def test_trees_with_anything_in_them(
    tree: Tree, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    out = copy.deepcopy(tree)
    node: Any = out["model"]
    while True:
        keys = sorted(node) if isinstance(node, dict) else range(len(node))
        key = data.draw(st.sampled_from(list(keys)))
        if isinstance(node[key], (dict, list)) and node[key] and data.draw(st.integers(0, 5)):
            node = node[key]
            continue
        node[key] = data.draw(LEAVES)
        break
    path = tmp_path_factory.getbasetemp() / "anything.json"
    path.write_text(json.dumps(out))
    with contextlib.suppress(FormatError, UnsupportedError):
        read_deepmd(path)


def test_load_tells_the_file_by_its_content(tmp_path: Path, tree: Tree) -> None:
    calc = mdkern.load(save(tmp_path, tree))
    assert type(calc).__name__ == "DeepPotential"
