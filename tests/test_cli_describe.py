"""``mdkern describe``: arrays, pictures, chemiscope files, messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.io import read, write

from mdkern.cli import main
from mdkern.cli.describe import principal_components
from mdkern.descriptors import ACSF, SOAP, from_dict


@pytest.fixture
def frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    monkeypatch.chdir(tmp_path)
    out = []
    for k in range(3):
        a = molecule("CH3CH2OH") if k == 1 else bulk("NaCl", "rocksalt", a=5.6, cubic=True)
        a.rattle(0.1, seed=k)
        a.info["score"] = float(k)
        a.arrays["charge_like"] = np.arange(len(a), dtype=float)
        out.append(a)
    write("frames.extxyz", out)
    return read("frames.extxyz", ":")  # with the digits of the file


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["describe", "frames.extxyz", *arguments, "--json"]) == 0
    loaded: dict[str, Any] = json.loads(capsys.readouterr().out)
    return loaded


SMALL = ("--r-cut", "3", "--n-max", "3", "--l-max", "2")


def test_soap(frames: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    facts = run(capsys, *SMALL, "-o", "f.npz", "--chemiscope", "map.json")
    n = sum(map(len, frames))
    assert (facts["frames"], facts["environments"]) == (3, n)
    with np.load("f.npz") as data:
        arrays = dict(data)
    descriptor = from_dict(json.loads(str(arrays["descriptor"])))
    assert isinstance(descriptor, SOAP)
    assert descriptor.periodic
    assert np.array_equal(arrays["features"], np.concatenate(descriptor.create(frames)))
    assert arrays["features"].shape[1] == len(arrays["feature_names"]) == facts["features"]
    assert np.array_equal(arrays["frame"], np.repeat([0, 1, 2], [len(a) for a in frames]))
    assert arrays["atom"].tolist() == [k for a in frames for k in range(len(a))]
    assert arrays["numbers"].tolist() == [z for a in frames for z in a.numbers]

    document = json.loads(Path("map.json").read_text())
    assert [s["size"] for s in document["structures"]] == [len(a) for a in frames]
    assert "cell" in document["structures"][0]
    assert "cell" not in document["structures"][1]
    assert len(document["environments"]) == n
    for p in document["properties"].values():
        assert p["target"] == "atom"
        assert len(p["values"]) == n
    assert document["meta"]["name"] == "SOAP map"


def test_averages_and_acsf(frames: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    facts = run(capsys, *SMALL, "--average", "outer", "-o", "f.npz", "--chemiscope", "map.json")
    assert facts["environments"] == 3
    document = json.loads(Path("map.json").read_text())
    assert document["properties"]["PCA 1"]["target"] == "structure"
    assert "environments" not in document
    facts = run(
        capsys, "--descriptor", "acsf", "--r-cut", "3", "--g2", "0.5,1", "--g2", "1,0", "--g3", "0.7",
        "--g4", "0.1,2,-1", "--index", "1", "-o", "g.npz", "--no-periodic",
    )  # fmt: skip
    with np.load("g.npz") as data:
        descriptor = from_dict(json.loads(str(data["descriptor"])))
        assert isinstance(descriptor, ACSF)
        assert np.array_equal(data["features"], descriptor.create(frames[1]))
    assert facts["frames"] == 1


@pytest.mark.parametrize("color", ["element", "frame", "score", "charge_like"])
@pytest.mark.usefixtures("frames")
def test_map(color: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    assert main(["describe", "frames.extxyz", *SMALL, "--map", "map.png", "--color", color]) == 0
    assert "of the variance" in capsys.readouterr().out
    assert Path("map.png").read_bytes().startswith(b"\x89PNG")


def test_principal_components() -> None:
    rng = np.random.default_rng(0)
    for shape in ((40, 7), (7, 40)):
        x = rng.normal(size=shape)
        points, share = principal_components(x)
        u, s, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
        expected = (u * s)[:, :2]
        assert np.abs(np.abs(points) - np.abs(expected)).max() <= 1e-10
        assert np.abs(np.array(share) - (s**2 / (s**2).sum())[:2]).max() <= 1e-12
    points, share = principal_components(np.ones((3, 5)))
    assert np.abs(points).max() <= 1e-12
    assert share == [0.0, 0.0]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--r-cut", "0.9"], "r_cut: 0.9; expected more than 1 Angstrom"),
        (["--l-max", "21"], "l_max: 21"),
        (["--species", "H,O"], "frames.extxyz: frame 0: atom 0 is Na, which is not in species"),
        (["-o", "f.txt"], "-o f.txt"),
        (["--map", "f.txt"], "--map f.txt"),
        (["--chemiscope", "f.txt"], "--chemiscope f.txt"),
        (["--index", "7:"], "no frames at index 7:"),
        (["--g2", "1"], "'1'; expected 2 numbers"),
        (["--descriptor", "acsf", "--average", "inner"], "--average: for soap only"),
        (["--map", "m.png", "--color", "mass_like"], "--color mass_like: frame 0 has no such"),
    ],
)
@pytest.mark.usefixtures("frames")
def test_wrong_input(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    if "--map" in arguments:
        pytest.importorskip("matplotlib")
    assert main(["describe", "frames.extxyz", *arguments]) == 2
    captured = capsys.readouterr()
    assert text in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.usefixtures("frames")
def test_outputs_are_protected(capsys: pytest.CaptureFixture[str]) -> None:
    Path("f.npz").write_text("mine")
    assert main(["describe", "frames.extxyz", *SMALL, "-o", "f.npz"]) == 2
    assert "f.npz: exists" in capsys.readouterr().err
    assert Path("f.npz").read_text() == "mine"
    assert main(["describe", "no.extxyz"]) == 2
    assert "no such file" in capsys.readouterr().err
