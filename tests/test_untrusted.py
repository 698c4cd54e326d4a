"""What damaged files did before they were tried by tests/fuzz: one test for each kind of finding."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import units
from ase.build import bulk

from mdkern.bench.deepmd_models import random_deepmd
from mdkern.bench.nep_models import random_nep
from mdkern.calculators import NEP, AtomsError, DeepPotential, LennardJones, LinearModel
from mdkern.descriptors import SOAP
from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.archive import read_archive
from mdkern.io.documents import json_of, yaml_of
from mdkern.io.files import read_bytes
from mdkern.md import Langevin, read_checkpoint, write_checkpoint

MB = 2**20
LJ = "lj:epsilon=0.0103,sigma=3.405,rc=5.5"


# --- memory and time


def limited(code: str, more: int = 64 * MB) -> str:
    """Output of a program that may take `more` bytes beyond what it has after imports."""
    program = f"""
import resource, sys
from pathlib import Path
import mdkern
from mdkern.calculators import EAM, NEP, DeepPotential, LinearModel
def limit(path):
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    room = pages * resource.getpagesize() + 4 * Path(path).stat().st_size + {more}
    resource.setrlimit(resource.RLIMIT_DATA, (room, resource.RLIM_INFINITY))
    return path
def refused(kind, path):
    try:
        kind(limit(path))
    except (mdkern.FormatError, mdkern.UnsupportedError) as e:
        print(type(e).__name__, str(e)[-100:])
{code}
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lists.json", '{"model": [' + "[]," * (4 * MB) + "[]]}"),
        ("maps.json", '{"model": [' + '{"a":1},' * MB + "1]}"),
        ("texts.json", '{"model": ["' + 'ab","' * (2 * MB) + '"]}'),
        ("deep.json", '{"model": ' + "[" * 100_000),
        ("wide.json", '{"model": "' + "a" * (9 * MB) + "\u2080" + '"}'),
        ("lists.yaml", "model: [" + "[]," * MB + "[]]"),
        ("deep.yaml", "model: " + "[" * 100_000),
    ],
)  # fmt: skip
def test_texts_that_become_large(name: str, text: str, tmp_path: Path) -> None:
    if name.endswith("yaml"):
        pytest.importorskip("yaml")
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert "FormatError" in limited(f"refused(DeepPotential, {str(path)!r})")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_small_text_takes_little(tmp_path: Path) -> None:
    """Readers took 256 MB at once, whatever the file's size."""
    nep = random_nep(tmp_path / "n.txt", species=["H"], n_max=(1, 1), basis=(1, 1), hidden=2)
    eam = tmp_path / "x.eam"
    eam.write_text("Cu\n29 63.55 3.615 FCC\n5 0.5 5 0.3 1.2\n" + "0 0.1 0.2 0.3 0.4\n" * 3)
    many = tmp_path / "many.txt"
    head = Path(nep).read_text().split("\n")[:7]
    many.write_text("\n".join(head) + "\n" + "0\n" * (5 * MB))
    said = limited(
        f"NEP(limit({nep!r})); EAM(limit({str(eam)!r})); print('fine'); refused(NEP, {str(many)!r})"
    )
    assert said.startswith("fine\nFormatError")
    assert "numbers behind the header; expected" in said


def test_wide_nets_have_no_endless_tables(tmp_path: Path) -> None:
    small: dict[str, Any] = {"sel": (5, 5), "axis_neuron": 2, "fitting": (3, 3), "r_cut": 4.0}
    path = random_deepmd(tmp_path / "w.json", neuron=(2, 3000), **small)
    assert DeepPotential(path, tabulate=False).potential.tabulated is False
    assert DeepPotential(path).potential.tabulated is False
    usual = random_deepmd(tmp_path / "u.json", neuron=(25, 50, 100), **small)
    assert DeepPotential(usual).potential.tabulated
    wide = random_deepmd(tmp_path / "x.json", neuron=(2, 9000), **small)
    with pytest.raises(UnsupportedError, match=r"shape \(2, 9000\); at most"):
        DeepPotential(wide)
    deep = random_deepmd(tmp_path / "d.json", neuron=(2,) * 17, **small)
    with pytest.raises(UnsupportedError, match="layers: a list of 17 is not evaluated; at most 16"):
        DeepPotential(deep)


def test_numbers_of_many_digits(tmp_path: Path) -> None:
    """Their check took time that is quadratic in the digits."""
    path = Path(random_nep(tmp_path / "n.txt", species=["H"], hidden=2))
    lines = path.read_text().split("\n")
    lines[20] = "9" * 500_000
    path.write_text("\n".join(lines))
    with pytest.raises(FormatError, match=":21: '9999"):
        NEP(path)
    with pytest.raises(FormatError, match="more than 399 digits"):
        json_of('{"a": ' + "1" * 500_000 + "}", "x")
    pytest.importorskip("yaml")
    assert isinstance(yaml_of("a: " + "9" * 500_000 + "x", "x")["a"], str)


def test_soap_of_a_tiny_sigma() -> None:
    with pytest.raises(ValueError, match="sigma: 1e-09; too small beside the cutoff"):
        SOAP(species=["H"], r_cut=4.0, n_max=2, l_max=2, sigma=1e-9, rbf="polynomial").create(
            bulk("H", "sc", 2.0)
        )


def test_read_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert read_bytes(path, 5) == b"12345"
    with pytest.raises(FormatError, match="larger than 4 bytes"):
        read_bytes(path, 4)
    if Path("/dev/zero").exists():  # has no size
        with pytest.raises(FormatError, match="larger than 100000 bytes"):
            read_bytes("/dev/zero", 100_000)
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "absent", 4)


# --- archives


def npz(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def npy(header: str, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data


def test_archives_that_are_read(tmp_path: Path) -> None:
    arrays = {
        "a": np.arange(12.0).reshape(3, 4),
        "f": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "empty": np.zeros((0, 3)),
        "scalar": np.array(3.5),
        "text": np.array("d\u00e9f"),
        "flags": np.array([True, False]),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "x.npz", **arrays)
        found = read_archive(tmp_path / "x.npz", "x")
        assert set(found) == set(arrays)
        for name, value in arrays.items():
            assert found[name].dtype == value.dtype
            assert np.array_equal(found[name], value)


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", b"\x80\x04N."),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }\n", b""),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 4611686018427387904), }\n", b""),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,), }\n", b""),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }\n", b""),
        ("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,), }\n", b""),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (((((((((((((\n", b""),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }\n", b"12345678"),
    ],
)  # fmt: skip
def test_arrays_that_lie(header: str, data: bytes, tmp_path: Path) -> None:
    """NumPy's reader raised eleven kinds of exceptions, or took the memory that a header asked for."""
    path = npz(tmp_path / "x.npz", {"a.npy": npy(header, data)})
    with pytest.raises(FormatError, match="not a thing: a: "):
        read_archive(path, "a thing")


def test_archives_that_lie(tmp_path: Path) -> None:
    zeros = io.BytesIO()
    np.save(zeros, np.zeros(2**24))
    bomb = npz(tmp_path / "bomb.npz", {"a.npy": zeros.getvalue()}, zipfile.ZIP_DEFLATED)
    with pytest.raises(FormatError, match="1 arrays of 134217856 bytes in"):
        read_archive(bomb, "x")
    good = npz(tmp_path / "good.npz", {"a.npy": zeros.getvalue()[: 128 + 80]}).read_bytes()
    begin = good.index(b"PK\x01\x02")
    for at, value in (
        (begin + 10, 99),
        (begin + 8, 1),
        (begin + 24, 255),
        (begin + 42, 7),
        (begin, 0),
    ):
        bad = bytearray(good)
        bad[at] = value  # compression, encryption, size, place, mark
        (tmp_path / "bad.npz").write_bytes(bad)
        with pytest.raises(FormatError, match="not x"):
            read_archive(tmp_path / "bad.npz", "x")


def test_linear_models_of_other_arguments(tmp_path: Path) -> None:
    """Types that descriptors do not expect came out as Python's own exceptions."""
    d = SOAP(species=["H"], r_cut=3.0, n_max=2, l_max=1, periodic=True)
    path = tmp_path / "x.npz"
    LinearModel(d, np.ones(d.get_number_of_features())).save(path)
    with np.load(path) as data:
        good = dict(data)
    for key, value in (
        ("descriptor", ["SOAP"]),
        ("n_max", [1]),
        ("species", {"a": {}}),
        ("weighting", {"function": "poly", "r0": 0}),
    ):
        changed = {**json.loads(str(good["descriptor"])), key: value}
        np.savez(path, **{**good, "descriptor": np.array(json.dumps(changed))})
        with pytest.raises(FormatError):
            LinearModel(path)


# --- checkpoints


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    atoms = bulk("Ar", cubic=True)
    atoms.rattle(0.05, seed=1)
    atoms.calc = LennardJones(sigma=3.4, epsilon=0.01, rc=6.0)
    dynamics = Langevin(
        atoms, timestep=units.fs, temperature_K=40, friction=0.01 / units.fs, seed=1
    )
    dynamics.run(2)
    write_checkpoint(tmp_path / "run.npz", dynamics)
    return tmp_path / "run.npz"


def changed(path: Path, arrays: dict[str, Any], **meta: Any) -> Path:
    with np.load(path) as data:
        old = dict(data)
    tree = json.loads(bytes(old["meta"]))
    tree.update(meta)
    text = np.frombuffer(json.dumps(tree).encode(), dtype=np.uint8)
    np.savez(path, **{**old, **arrays, "meta": text})
    return path


def test_a_checkpoint_writes_no_files(checkpoint: Path, tmp_path: Path) -> None:
    """Parameters are arguments of the integrator; these name files that it writes."""
    good = read_checkpoint(checkpoint).meta["parameters"]
    for name in ("logfile", "trajectory", "append_trajectory", "atoms", "unknown"):
        target = tmp_path / "written"
        changed(checkpoint, {}, parameters={**good, name: str(target)})
        with pytest.raises(FormatError, match="parameters"):
            read_checkpoint(checkpoint)
        assert not target.exists()


def test_checkpoints_that_do_not_fit(checkpoint: Path) -> None:
    good = read_checkpoint(checkpoint).meta["parameters"]
    calc = LennardJones(sigma=3.4, epsilon=0.01, rc=6.0)
    read_checkpoint(checkpoint).dynamics(calc).run(1)
    for change, text in (
        ({"skin": 1e30}, "skin"),
        ({"skin": "x"}, "skin"),
        ({"friction": -1.0}, "friction"),
        ({"friction": {"a": 1}}, "friction"),
        ({"temperature_K": "x"}, "checkpoint of Langevin"),
    ):
        changed(checkpoint, {}, parameters={**good, **change})
        with pytest.raises(FormatError, match=text):
            read_checkpoint(checkpoint).dynamics(calc)
    changed(checkpoint, {}, parameters=good, steps=2**70)
    with pytest.raises(FormatError, match="step"):
        read_checkpoint(checkpoint)
    # Of atoms that are held it may be zero.
    for mass, held in ((0.0, False), (-1.0, False), (-1.0, True)):
        arrays = {"masses": np.full(4, mass), "fixed": np.full(4, held)}
        changed(checkpoint, arrays, steps=2)
        with pytest.raises(FormatError, match="masses: expected positive"):
            read_checkpoint(checkpoint)
    flat = np.zeros((3, 3))
    changed(
        checkpoint,
        {"masses": np.ones(4), "fixed": np.zeros(4, dtype=bool), "cell": flat, "built_cell": flat},
    )
    with pytest.raises(AtomsError, match="cell: the periodic cell vectors are linearly dependent"):
        read_checkpoint(checkpoint).dynamics(calc)


# --- H5MD


def test_damaged_h5md_does_not_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """h5py's library ends the process at some of these; here it has one of its own."""
    pytest.importorskip("h5py")
    from mdkern.cli import main

    monkeypatch.chdir(tmp_path)
    bulk("Ar", cubic=True).write("ar.xyz")
    run = ["md", "ar.xyz", "--potential", LJ, "--steps", "30"]
    more = ["--interval", "10", "-o", "run.h5md", "--checkpoint", "run.npz"]
    assert main([*run, *more]) == 0
    good = Path("run.h5md").read_bytes()
    restart = ["md", "--restart", "run.npz", "--steps", "10", "-o", "run.h5md"]
    for place in (
        good.index(b"TREE") + 5,
        good.index(b"SNOD") + 6,
        good.index(b"GCOL") + 8,
        100,
        2000,
    ):
        bad = bytearray(good)
        bad[place] ^= 0xFF
        Path("run.h5md").write_bytes(bad)
        assert main(restart) in (0, 2)
    for data in (b"", good[:1000], b"\x89HDF\r\n\x1a\n"):
        Path("run.h5md").write_bytes(data)
        assert main(restart) == 2
