"""Files of other methods and formats, given as potentials: what the message says."""

from __future__ import annotations

import gzip
import io
import pickle
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write
from cli_checks import one_error
from reference_data import OWN, shared_folder

import mdkern
from mdkern.calculators import EAM, NEP, DeepPotential, LinearModel
from mdkern.cli import main
from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.foreign import recognise
from mdkern.io.snap import is_snap
from mdkern.io.text import HEAD_BYTES
from mdkern.io.yaml_text import parse_yaml
from mdkern.loading import entry_of
from mdkern.registry import entries_with_files, file_formats, resolve

READ = file_formats()
READS = f"mdkern reads {', '.join(READ[:-1])} and {READ[-1]}"
CONVERT = "dp convert-backend MODEL model.dp"
WHOLE = "of MACE whole models are read, as torch.save"
NUMBERS = [str(0.5 + k) for k in range(40)]


def archive(members: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", kind) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return out.getvalue()


def torch(module: str, script: bool) -> bytes:
    """The layout of PyTorch's files: a pickle, and with TorchScript the code that belongs to it."""
    members = {
        "net/data.pkl": b"\x80\x02c" + module.encode() + b"\nNet\n",
        "net/data/0": b"\0" * 64,
    }
    if script:
        members["net/code/__torch__/" + module.replace(".", "/") + ".py"] = b"class Net: pass"
    return archive(members)


def node(name: bytes, operation: bytes) -> bytes:
    """A node of TensorFlow's GraphDef."""
    body = b"\n" + bytes([len(name)]) + name + b"\x12" + bytes([len(operation)]) + operation
    return b"\n" + bytes([len(body)]) + body + bytes(range(128, 256)) * 4


def npz(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def three_body(n: int) -> bytes:
    words = ["Si", "Si", "Si", *NUMBERS[:n], "Si", "Si", "C", *NUMBERS[:n]]
    return ("# comment\n" + " ".join(words[: n // 2]) + "\n " + " ".join(words[n // 2 :])).encode()


SAMPLES: dict[str, tuple[bytes, str]] = {
    "graph.pb": (node(b"o_energy", b"Identity"), f"frozen graph of TensorFlow.*{CONVERT}"),
    "graph": (node(b"descrpt_attr/rcut", b"Const"), f"frozen graph of TensorFlow.*{CONVERT}"),
    "frozen.pth": (torch("deepmd.pt.model", True), f"TorchScript.*DeePMD-kit: '{CONVERT}'"),
    "model.ckpt.pt": (torch("collections", False), f"file of PyTorch: if it is of DeePMD-kit, '{CONVERT}'"),
    "cut.pth": (b"PK\x03\x04" + b"\1" * 200, f"a model of PyTorch .*'{CONVERT}'"),
    "weights.model": (torch("collections", False), f"without a whole model of MACE: {WHOLE}"),
    "training.pt": (archive({"x/data.pkl": b"\x80\x02}cmace.modules.models\n"}), f"PyTorch without a whole.*: {WHOLE}"),
    "cut.model": (b"PK\x03\x04" + b"\1" * 200, f"a damaged model of MACE .*: {WHOLE}"),
    "old.model": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", f"of its old format.: PyTorch can load .*{WHOLE}"),
    "nequip.pth": (torch("nequip.nn", True), "of NequIP"),
    "x.pkl": (pickle.dumps({"a": 1}), "a pickle of Python: not opened"),
    "x.zip": (archive({"a.txt": b"text"}, zipfile.ZIP_DEFLATED), "a zip archive: unpack it first"),
    "x.npz": (npz(a=np.zeros(3)), r"arrays of NumPy \(.npz\) that are no linear model and none of MACE"),
    "x.npy": (b"\x93NUMPY\x01\x00", "one array of NumPy"),
    "nep.txt.gz": (gzip.compress(b"nep4 1 Cu"), "compressed by gzip: unpack it first"),
"SiO.vashishta": (three_body(14), "Vashishta"),
    "no-suffix": (three_body(9), "parameters of three-body terms of LAMMPS"),
    "Si.sw.mod": (three_body(11), "parameters of three-body terms of LAMMPS"),
    "fit.yaml": (b"deltaSplineBins: 0.001\nspecies:\n  - speciesblock: Al\n    nbody: []\n", "a fit of pacemaker .*pace_yaml2yace"),
    "input.yaml": (b"cutoff: 7\npotential:\n  deltaSplineBins: 0.001\n  elements: [Al]\n", "input of a fit: pace_yaml2yace"),
    "Al.asi": (npz(a=np.zeros(3)), "an active set of ACE .*the .yace beside it is the potential"),
    "library.meam": (b"# c\n'Cu' 'fcc' 12. 29 63.55\n5.1 3.6\n", "a library of MEAM"),
    "Cu.meam": (b"# c\nrc = 4.5\nCmin(1,1,1) = 0.8\n", "parameters of MEAM"),
    "weights.001.data": (b"# Neural network connection values (weights and biases).\n 0.5 a 1\n", "n2p2: pass their folder"),
    "gap.xml": (b"<GAP_2020>\n<Potential label='GAP' init_args='IP GAP'/>\n<GAP_params>\n", "GAP, of QUIP"),
    "ffield.reax": (b"Reactive\n 39       ! Number of general parameters\n 50.0\n", "ReaxFF"),
    "Si.edip": (b"unknown content\n", r"EDIP \(.edip\)"),
    "C.lcbop": (b"DATE: 2007-06-11 UNITS: metal CONTRIBUTOR: N. N.\n1.0\n", "LAMMPS for another pair style"),
    "tersoff.txt": (b"tersoff_1989 2 Si C\n1.0 2.0\n", "another potential of GPUMD"),
    "nep.in": (b"type 1 Cu\ncutoff 8 4\n", "nep.in, .*nep.txt is its result"),
    "in.lammps": (b"units metal\npair_style eam/alloy\npair_coeff * * Cu.eam.alloy Cu\n", "input script of LAMMPS"),
    "page.eam.alloy": (b"\n<!DOCTYPE html>\n<html>", "a web page: download the file itself"),
    "lfs.dp": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS: 'git lfs pull'"),
    "wide.eam": ("\ufeffone\n".encode("utf-16-le"), "text in UTF-16: save it as UTF-8"),
    "x.json": (b'{"a": [1, 2]}', "a JSON file without a model"),
    "data.lmp": (b"LAMMPS data file\r\n\r\n8 atoms\r\n1 atom types\r\n", "a data file of LAMMPS: atoms"),
    "dump.x": (b"ITEM: TIMESTEP\n0\n", "a dump of LAMMPS: atoms, not a potential"),
}  # fmt: skip


def refused(path: Path, call: Callable[[Any], Any]) -> UnsupportedError:
    with pytest.raises(UnsupportedError) as caught:
        call(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: looks like ")
    assert text.count(str(path)) == 1
    assert text.endswith(READS)
    assert "\n" not in text
    assert len(text) < 700
    return caught.value


@pytest.mark.parametrize("name", SAMPLES)
def test_what_it_looks_like(tmp_path: Path, name: str) -> None:
    content, message = SAMPLES[name]
    path = tmp_path / name
    path.write_bytes(content)
    assert not isinstance(refused(path, mdkern.load), FormatError)
    for reader in (EAM, NEP, DeepPotential, LinearModel):
        assert str(refused(path, reader)) == str(refused(path, mdkern.load))
    with pytest.raises(UnsupportedError, match=message):
        mdkern.load(path)


@pytest.mark.parametrize(
    "name", ["x.xyz", "x.extxyz", "x.cif", "POSCAR", "x.traj", "x.pdb", "x.lmp"]
)
def test_structures(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    options = {"format": "lammps-data"} if name == "x.lmp" else {}
    write(path, bulk("Cu", cubic=True), **options)
    assert "atoms, not a potential" in str(refused(path, mdkern.load))
    found = recognise(path)
    assert found is not None
    assert found.kind == "structure"


def test_other_readers_of_ours() -> None:
    nep, eam = OWN.parent / "nep" / "synthetic_nep4_highorder.txt", OWN / "synthetic_Al.eam"
    for path, reader, what in (
        (nep, EAM, "NEP (nep.txt)"),
        (eam, NEP, "EAM (.eam, .eam.alloy, .eam.fs)"),
        (eam, DeepPotential, "EAM (.eam, .eam.alloy, .eam.fs)"),
    ):
        assert f"looks like {what}: mdkern.load takes it; " in str(refused(path, reader))


def test_hdf5(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    for group, what in (
        ("h5md", "a trajectory in H5MD: atoms"),
        ("other", "an HDF5 file without a model"),
    ):
        with h5py.File(tmp_path / "x.h5", "w") as file:
            file.create_group(group)
        assert f"looks like {what}" in str(refused(tmp_path / "x.h5", mdkern.load))


def test_nothing_known(tmp_path: Path) -> None:
    for content, message in (
        (b"", "the file is empty"),
        (b" \r\n", "the file is empty"),
        (b"\xef\xbb\xbf", "the file is empty"),
        (b"\0\1\2" * 30, "binary data: no format that is known"),
        (b"abc \xff", r"begins with 'abc \\\\xff': no format that is known"),
        (b"PK\x03\x04nonsense", r"begins with .*: no format that is known"),
    ):
        path = tmp_path / "x.dat"
        path.write_bytes(content)
        with pytest.raises(FormatError, match=message) as caught:
            mdkern.load(path)
        assert str(caught.value).endswith(READS)
        assert caught.value.path == str(path)


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        mdkern.load(tmp_path)
    (tmp_path / "saved_model").mkdir()
    (tmp_path / "saved_model" / "saved_model.pb").write_bytes(b"")
    with pytest.raises(UnsupportedError, match=f"SavedModel of TensorFlow: '{CONVERT}'"):
        mdkern.load(tmp_path / "saved_model")


def test_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write("cu.xyz", bulk("Cu"))
    for name in ("graph.pb", "SiO.vashishta"):
        Path(name).write_bytes(SAMPLES[name][0])
        for command in (["evaluate", "cu.xyz", "--potential", name], ["info", name]):
            assert main(command) == 2
            one_error(capsys, f"error: {name}: looks like ", READS)
    assert main(["info", "cu.xyz"]) == 0
    capsys.readouterr()
    main(["md", "--help"])
    text = capsys.readouterr().out
    assert all(kind in text for kind in READ)


def test_archives_are_not_opened(tmp_path: Path) -> None:
    """Neither what an archive says of its size nor a pickle in it is trusted."""
    path = tmp_path / "x.npz"
    path.write_bytes(archive({"a.npy": b"\0" * 10**7, "b.npy": b""}, zipfile.ZIP_DEFLATED))
    assert "that are no linear model" in str(refused(path, mdkern.load))

    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.write_text, (tmp_path / "executed", "x"))

    for name, content in (
        ("x.pkl", pickle.dumps(Bomb())),
        ("x.pt", archive({"x/data.pkl": pickle.dumps(Bomb())})),
    ):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, mdkern.load)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "piece",
    [
        b" ",
        b"\n",
        b"9",
        b"a ",
        b"1 \n",
        b"rc ",
        b"# c\n",
        b"data_\n",
        b"<Potential ",
        b"'a'\n",
        b"1.",
        b"UNITS: ",
        b"potential:\n",
        b"Si ",
        b"-1.5e3 ",
        b"{a: [",
        b"elements: ",
        b"Si 1.0 ",
        b"symfunction_short ",
    ],
)
def test_patterns_take_no_time(tmp_path: Path, piece: bytes) -> None:
    path = tmp_path / "x"
    for before in (b"", b"# DATE: 2000", b"1", b"x\n1"):
        path.write_bytes((before + piece * HEAD_BYTES)[:HEAD_BYTES] + b"!")
        for ask in (recognise, *(resolve(files.recognise) for _, files in entries_with_files())):
            start = time.process_time()
            ask(path)
            assert time.process_time() - start < 5.0, ask.__name__


def test_shared_files() -> None:
    """Those of LAMMPS are all known by their content; archives are said to be archives."""
    folder = shared_folder()
    if folder is None:
        pytest.skip("MDKERN_TEST_DATA is not set")
    kinds = {
        "*.sw": "stillinger_weber",
        "*.tersoff*": "tersoff",
        "*.snapcoeff": "snap",
        "*.snapparam": "snap",
        "*.yace": "ace",
    }
    for pattern, name in kinds.items():
        paths = sorted((folder / "potentials").glob(pattern))
        assert paths
        assert {entry_of(path).name for path in paths} == {name}
    for path in sorted((folder / "mace" / "models").glob("*.gz")):
        assert "gzip" in str(refused(path, mdkern.load))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_many_comments_are_looked_at_once(end: str, tmp_path: Path) -> None:
    """The CR of Windows was read as a part of the comment and of the end of its line: twice as long with every line."""
    comments = [f"# a comment of line {k}" for k in range(21)]
    entry = "Si Si Si 2.1683 2.0951 1.80 21.0 1.20 -0.333333333333 7.049556277 0.6022245584 4 0 0"
    path = tmp_path / "Si.sw"
    path.write_bytes(end.join([*comments, entry, ""]).encode())
    begin = time.process_time()
    assert entry_of(path).name == "stillinger_weber"
    assert not is_snap(path)
    text = end.join([*comments, "", "key: value", ""])
    assert parse_yaml(text.encode(), "a.yaml") is not None
    assert time.process_time() - begin < 1.0
