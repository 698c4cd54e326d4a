"""DeePMD-kit's folders of arrays: types, elements, and sets of .npy files, packed into an archive here."""

from __future__ import annotations

import io
import shutil
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from harness import REFUSED, Format
from mutants import WORDS, damage_bytes, damage_text

from mdkern.io.structures import iter_frames


def _npy(array: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


@cache
def _seeds() -> list[dict[str, bytes]]:
    rng = np.random.default_rng(5)
    plain = {
        "type.raw": b"0\n1\n1\n",
        "type_map.raw": b"O\nH\n",
        "set.000/coord.npy": _npy(rng.normal(size=(4, 9))),
        "set.000/box.npy": _npy(np.tile(9.0 * np.eye(3).ravel(), (4, 1))),
        "set.000/energy.npy": _npy(np.arange(4.0)),
        "set.000/force.npy": _npy(rng.normal(size=(4, 9)).astype(np.float32)),
        "set.001/coord.npy": _npy(rng.normal(size=(2, 9))),
        "set.001/box.npy": _npy(np.tile(9.0 * np.eye(3).ravel(), (2, 1))),
        "set.001/virial.npy": _npy(np.ones((2, 9))),
    }
    mixed = {
        "type.raw": b"0\n0\n",
        "type_map.raw": b"Cu\nNi\n",
        "nopbc": b"",
        "set.000/coord.npy": _npy(rng.normal(size=(3, 6))),
        "set.000/real_atom_types.npy": _npy(np.array([[0, 1], [1, 1], [0, -1]])),
    }
    return [plain, mixed]


def _mutant(rng: Random) -> bytes:
    members = dict(rng.choice(_seeds()))
    for _ in range(rng.choice([1, 1, 2])):
        name = rng.choice(list(members))
        what = rng.random()
        if what < 0.1:
            members.pop(name)
            if not members:
                break
        elif name.endswith(".raw"):
            members[name] = damage_text(rng, members[name].decode(errors="replace"))
        elif what < 0.5 and members[name]:
            members[name] = damage_bytes(rng, members[name])
        else:
            shape = rng.choice([(), (0,), (4,), (4, 9), (4, 3, 3), (2, 9), (9, 4), (4, 10), (1, 0)])
            kind = rng.choice(["<f8", "<f4", "<i8", "<c16", "?", "<U3", "<f2", ">f8"])
            array = np.zeros(shape, kind)
            if array.size and array.dtype.kind in "fi":
                array.flat[0] = rng.choice([0, 1, -1, 7, 1000, 2**31])
            members[name] = _npy(array)
    if rng.random() < 0.05:
        members[rng.choice(["set.002/coord.npy", "set.x/coord.npy", "sub/type.raw"])] = rng.choice(WORDS).encode("utf-8", "surrogatepass")  # fmt: skip
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def _read(path: str, _: Random) -> list[Any]:
    folder = tempfile.mkdtemp(prefix="npy-", dir=Path(path).parent)
    try:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
        if not list(Path(folder).rglob("type.raw")):
            raise FileNotFoundError("no data set is left")
        return list(iter_frames(folder))
    finally:
        shutil.rmtree(folder)


def _use(frames: list[Any]) -> None:
    for atoms in frames:
        n = len(atoms)
        assert atoms.positions.shape == (n, 3)
        assert atoms.numbers.min(initial=0) >= 0
        if atoms.calc is not None and "forces" in atoms.calc.results:
            assert atoms.get_forces().shape == (n, 3)


FORMAT = Format("npy_folder", ".zip", _mutant, _read, _use, refused=REFUSED)
