"""Our reader of HDF5: every form in which h5py writes a model, and damaged files."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mdkern
from mdkern.errors import FormatError, UnsupportedError
from mdkern.io import hdf5_data
from mdkern.io.hdf5 import Group, read_hdf5
from mdkern.io.hdf5_file import checksum

DATA = Path(__file__).parent / "data" / "deepmd" / "water_random.dp"
SHAPES = [(5,), (17, 33), (2, 3, 4), (), (0,), (150, 80)]
TYPES = ["f8", "f4", "i4", ">f8", "i8", "f2", "u1", ">i2"]
PACKED = {"compression": "gzip", "shuffle": True, "fletcher32": True}
TEXT = '{"model": "\u00e9"}' * 50


def arrays(n: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(n)
    return {
        f"variable_{k:04d}": (100 * rng.random(SHAPES[k % 6])).astype(TYPES[k % 8])
        for k in range(n)
    }


def write(path: Path, version: str, options: dict[str, Any], n: int, **kwargs: Any) -> Any:
    h5py = pytest.importorskip("h5py")
    values = arrays(n)
    try:
        file = h5py.File(path, "w", libver=version, **kwargs)
    except ValueError:
        pytest.skip(f"this h5py does not write {version}")
    with file:
        file.attrs["json"] = TEXT
        for name, value in values.items():
            file.create_dataset(name, data=value, **(options if value.ndim and value.size else {}))
    return values


def check(path: Path, values: dict[str, np.ndarray]) -> None:
    text, found = read_hdf5(path, "json")
    assert text == TEXT
    assert set(found) == set(values)
    for name, value in values.items():
        assert found[name].dtype == value.dtype
        assert np.array_equal(found[name], value), name


@pytest.mark.parametrize("version", ["earliest", "v108", "v110", "v112", "latest"])
@pytest.mark.parametrize(
    "options", [{}, {"compression": "gzip"}, PACKED, {"chunks": True}, {"fletcher32": True}]
)
def test_what_h5py_writes(version: str, options: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    # Six names stand in the header of a new group, forty in a heap.
    for n, order in ((6, False), (40, False), (40, True)):
        check(path, write(path, version, options, n, track_order=order))


@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_many_datasets(version: str, tmp_path: Path) -> None:
    """A tree of several levels, a heap of many blocks."""
    path = tmp_path / "x.h5"
    check(path, write(path, version, {}, 2000))


@pytest.mark.parametrize("version", ["earliest", "v108", "latest"])
def test_chunks_of_all_sizes(version: str, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "x.h5"
    values = {}
    with h5py.File(path, "w", libver=version) as file:
        file.attrs["json"] = TEXT
        for chunks, shape in (
            ((2, 3), (50, 70)),
            ((7, 70), (50, 70)),
            ((1, 1), (40, 60)),
            ((50, 70), (50, 70)),
        ):
            for most in ((None, None), (None, 100), shape):
                if version == "latest" and most[1] == 100:
                    continue  # an extensible array
                for options in ({}, PACKED):
                    name = f"d{len(values)}"
                    values[name] = np.random.default_rng(len(values)).random(shape)
                    file.create_dataset(name, data=values[name], chunks=chunks, maxshape=most, **options)  # fmt: skip
        file.create_dataset("empty", shape=(30, 4), chunks=(7, 2), dtype="f4", fillvalue=2.5)
        file.create_dataset("late", shape=(3, 4), dtype="f8", fillvalue=-1.5)
        values["empty"] = np.full((30, 4), 2.5, "f4")
        values["late"] = np.full((3, 4), -1.5)
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((2, 3))
        compact = h5py.h5d.create(file.id, b"compact", h5py.h5t.IEEE_F64LE, space, properties)
        values["compact"] = np.arange(6.0).reshape(2, 3)
        compact.write(h5py.h5s.ALL, h5py.h5s.ALL, values["compact"])
    check(path, values)


@pytest.mark.parametrize("version", ["earliest", "v108", "latest"])
def test_groups_and_attributes(version: str, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "x.h5"
    with h5py.File(path, "w", libver=version) as file:
        deep = file.create_group("a/b")
        for k in range(30):
            deep.attrs[f"number {k}"] = 1.5 * k
        deep.attrs["fixed"] = np.bytes_(b"abc")
        deep.attrs["text"] = "d\u00e9f"
        deep.attrs["empty"] = ""
        deep.attrs["array"] = np.arange(12).reshape(3, 4)
        deep.attrs["texts"] = ["x", "\u00fc"]
        deep.attrs["many texts"] = ["x"] * 65
        if version != "earliest":
            deep.attrs["large"] = np.arange(20000.0)
        deep["data"] = np.arange(7)
        file["same"] = deep["data"]
    root = Group.open("x.h5", path.read_bytes())
    group = root.group("a/b")
    assert group.attribute("number 29") == 43.5
    assert group.attribute("fixed") == "abc"
    assert group.attribute("text") == "d\u00e9f"
    assert group.attribute("empty") == ""
    assert np.array_equal(group.attribute("array"), np.arange(12).reshape(3, 4))
    assert group.attribute("absent") is None
    if version != "earliest":
        assert np.array_equal(group.attribute("large"), np.arange(20000.0))
    assert np.array_equal(group.attribute("texts"), ["x", "\u00fc"])
    with pytest.raises(UnsupportedError, match="'many texts' of 65 texts"):
        group.attribute("many texts")
    assert "a/b/data" in root
    assert "a/c/data" not in root
    assert np.array_equal(root.dataset("a/b/data").read(3), [0, 1, 2])
    assert np.array_equal(root.dataset("same").read(), np.arange(7))
    with pytest.raises(FormatError, match="no 'c'"):
        root.group("a/c")
    with pytest.raises(FormatError, match="'a': a group; expected numbers"):
        root.dataset("a").read()


def test_other_features_are_refused_by_name(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "x.dp"

    def refused(text: str, make: Any, version: str = "earliest") -> None:
        with h5py.File(path, "w", libver=version) as file:
            file.attrs["json"] = "{}"
            make(file)
        with pytest.raises(UnsupportedError, match=text) as caught:
            read_hdf5(path, "json")
        assert f"python -m mdkern.io.by_h5py {path} NEW" in str(caught.value)

    numbers = np.arange(100.0)
    for text, version, options in (
        ("'x' with HDF5's filter 32000", "earliest", {"data": numbers, "compression": "lzf"}),
        ("'x' with chunks in an index of kind 4", "latest", {"data": numbers, "maxshape": (None,), "chunks": (8,)}),
        ("'x', of another HDF5 type", "earliest", {"data": numbers + 1j}),
    ):  # fmt: skip
        refused(text, lambda file, o=options: file.create_dataset("x", **o), version)
    # What the message says is a way out.
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["json"] = TEXT
        file.create_dataset("x", data=np.arange(100.0), maxshape=(None,), compression="lzf")
    new = tmp_path / "new.dp"
    command = [sys.executable, "-m", "mdkern.io.by_h5py", str(path), str(new)]
    subprocess.run(command, check=True)
    check(new, {"x": np.arange(100.0)})
    again = subprocess.run(command, check=False, capture_output=True, text=True)
    assert again.returncode == 1  # nothing is replaced
    assert "exists" in again.stderr


def test_a_damaged_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte of the header changed in all ways: refused, or read with the same names; h5py is not asked."""
    good = DATA.read_bytes()
    names = set(read_hdf5(DATA, "json")[1])
    path = tmp_path / "bad.dp"
    rng = random.Random(0)
    n_refused = 0
    # The attribute's type, whose damage ended the interpreter, in all ways.
    at = good.index(b"json\0\0\0\0") + 8
    places = [(at + k, v) for k in range(8) for v in range(0, 256, 5)]
    places += [(rng.randrange(2200), rng.randrange(256)) for _ in range(300)]
    monkeypatch.setitem(sys.modules, "h5py", None)
    for place, value in places:
        bad = bytearray(good)
        bad[place] = value
        path.write_bytes(bad)
        try:
            text, found = read_hdf5(path, "json")
        except (FormatError, UnsupportedError):
            n_refused += 1
        else:
            assert text
            assert len(found) <= len(names)
    assert n_refused > 100


def test_damage_of_newer_files_is_seen_by_their_checksums(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    values = write(path, "latest", PACKED, 40)
    good = path.read_bytes()
    rng = random.Random(1)
    refused = 0
    for _ in range(150):
        bad = bytearray(good)
        bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        path.write_bytes(bad)
        try:
            found = read_hdf5(path, "json")[1]
        except (FormatError, UnsupportedError):
            refused += 1
            continue
        # Only what has no sum may differ: the text, small arrays that are not in chunks, unused bytes.
        assert set(found) == set(values)
    assert refused > 100


def test_cycles_and_bombs(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "x.dp"
    good = bytearray(DATA.read_bytes())
    at = good.index(b"TREE")
    struct.pack_into("<BBH", good, at + 4, 0, 1, 3)  # three children, all of them the node itself
    for k in range(3):
        struct.pack_into("<Q", good, at + 32 + 16 * k, at)
    path.write_bytes(good)
    with pytest.raises(FormatError, match="tree node"):
        read_hdf5(path, "json")
    # 256 MB of zeros in some kB; as much without a chunk in the file.
    for data in (
        {"data": np.zeros(2**25), "compression": "gzip"},
        {"shape": (2**25,), "dtype": "f8", "chunks": (2**10,)},
    ):
        with h5py.File(path, "w") as file:
            file.attrs["json"] = "{}"
            file.create_dataset("x", **data)
        with pytest.raises(FormatError, match="more than a file of"):
            read_hdf5(path, "json")
    # Contiguous data that begin at the same place.
    with h5py.File(path, "w") as file:
        file.attrs["json"] = "{}"
        for k in range(60):
            file[f"x{k}"] = np.arange(50000.0) if k == 0 else np.arange(50000.0) + k
        first = file["x0"].id.get_offset()
        others = [file[f"x{k}"].id.get_offset() for k in range(60)]
    bad = path.read_bytes()
    for other in others:
        bad = bad.replace(struct.pack("<QQ", other, 400000), struct.pack("<QQ", first, 400000))
    path.write_bytes(bad[: first + 400000].ljust(len(bad) // 8, b"\0"))
    with pytest.raises(FormatError):
        read_hdf5(path, "json")


def test_sums() -> None:
    """lookup3 as published; fletcher32 as h5py's files have it (test_what_h5py_writes)."""
    assert checksum(b"Four score and seven years ago") == 0x17770551
    assert checksum(b"") == 0xDEADBEEF
    assert hdf5_data._fletcher32(b"\x00\x01\x00\x02\x03") == (0x0303, 1 * 3 + 2 * 2 + 0x300)


def test_a_model_from_a_new_file(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    text, values = read_hdf5(DATA, "json")
    path = tmp_path / "new.dp"
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["json"] = text
        for name, value in values.items():
            file.create_dataset(name, data=value, **(PACKED if value.ndim else {}))
    from ase.build import molecule

    energies = []
    for model in (DATA, path):
        water = molecule("H2O")
        water.calc = mdkern.load(model)
        energies.append(water.get_potential_energy())
    assert energies[0] == energies[1]
