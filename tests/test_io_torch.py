"""Files of PyTorch that nobody trusts: hostile pickles, tensors and archives that lie, modules of MACE that are not evaluated."""

from __future__ import annotations

import os
import pickle
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch_data import (
    OWN,
    TINY,
    archive,
    name,
    numbers,
    tensor,
    text,
    tiny,
    torch_file,
    unpacked,
)

from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.mace import is_mace, read_mace
from mdkern.io.mace_contract import check_model
from mdkern.io.mace_modules import read_modules
from mdkern.io.pickled import Record, read_pickle
from mdkern.io.torch_file import TorchFile, read_torch_file

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
        ("plain", "interactions.0.linear", "cuequivariance_torch.operations.linear.Linear", "Linear is not read; Linear is; mace_cueq_to_e3nn of mace-torch makes"),
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
        (b"\x80\x02cos\n\x1b[2J\n.", FormatError, "cannot be printed"),
        (b"\x80\x02N0.", FormatError, "damaged"),
        (b"\x80\x02N1.", FormatError, "damaged"),
        (b"\x80\x02N2.", UnsupportedError, "operation b'2'"),
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
    holder: list[Any] = []
    holder.append((holder, 1))
    again = read_pickle(pickle.dumps(holder[0], 2), "x", "y")
    assert again[0][0] is again
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
        (tensor((0, 2**47, 2**47), (1, 1, 1), 4), FormatError, "too large"),
        (tensor((5,), (1,), 4), FormatError, r"shape \(5,\) with strides \(1,\) in a storage of 4 numbers"),
        (tensor((4,), (1,), 4, 1), FormatError, "in a storage of 4"),
        (tensor((1,), (1,), 4, -1), FormatError, "do not fit together"),
        (tensor((2,), (-1,), 4, 3), FormatError, "do not fit together"),
        (tensor((4,), (0,), 4), FormatError, "in a storage of 4"),
        (tensor((1000, 2), (0, 1), 4), FormatError, "in a storage of 4"),
        (tensor((2, 2, 2), (1, 1, 1), 4), FormatError, "in a storage of 4"),
        (tensor((2**40, 2**40), (1, 1), 4), FormatError, "too large"),
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
    for kept, most in ((True, 2), (False, 17)):
        with pytest.raises(FormatError, match="more bytes together than the file"):
            [file.array(file.root, "w", kept) for _ in range(most)]


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
    start = time.process_time()
    with pytest.raises(FormatError, match="21000 arrays"):
        read_torch_file(path, "a model")
    assert time.process_time() - start < 10.0
    # Deflated members are read.
    path.write_bytes(archive(whole, zipfile.ZIP_DEFLATED))
    check_model(path, *read_modules(read_torch_file(path, "a model")))
    data = archive(whole)
    for cut in (len(data) // 3, len(data) - 30):
        path.write_bytes(data[:cut])
        with pytest.raises((FormatError, UnsupportedError)):
            read_mace(path)
