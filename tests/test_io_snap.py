"""Readers of SNAP: content, what the files say of each other, messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference_data import shared_folder
from snap_data import OWN, snap_text

import mdkern
from mdkern.errors import FormatError, MDKernError, UnsupportedError
from mdkern.io.snap import bispectrum_triples, is_snap, read_snap
from mdkern.io.snap_facts import describe_snap

COEFF = "# c\n\n1 6 # numbers\n\n'W' 0.5 1.0 # R, w\n1.5\n0.1 # B[1]\n-2e-1\n3D-1\n.4\n5.\n"
PARAM = "# c\nrcutfac 4.7\ntwojmax 2 # 2J\n\nchunksize 100\nrmin0 0.1\n"


def write(folder: Path, coeff: str, param: str) -> Path:
    (folder / "x.snapparam").write_text(param)
    path = folder / "x.snapcoeff"
    path.write_text(coeff)
    return path


def test_content(tmp_path: Path) -> None:
    for ends in ("\n", "\r\n", "\r"):
        path = tmp_path / "x.snapcoeff"
        path.write_bytes(b"\xef\xbb\xbf" + COEFF.replace("\n", ends).encode())
        (tmp_path / "x.snapparam").write_bytes(PARAM.replace("\n", ends).encode())
        m = read_snap(path)
        assert m.species == ("W",)
        assert (m.radii.tolist(), m.weights.tolist()) == ([0.5], [1.0])
        assert m.coefficients.tolist() == [[1.5, 0.1, -0.2, 0.3, 0.4, 5.0]]
        assert (m.twojmax, m.rcutfac, m.rfac0, m.rmin0) == (2, 4.7, 0.99363, 0.1)
        assert (m.switch, m.bzero) == (True, True)
        assert not any((m.quadratic, m.chem, m.bnorm, m.wselfall))
        assert m.sinner is None
        assert m.cutoff == 4.7
        assert is_snap(path)
        assert is_snap(tmp_path / "x.snapparam")


def test_the_files_may_have_any_name(tmp_path: Path) -> None:
    write(tmp_path, COEFF, PARAM)
    a, b = (
        (tmp_path / "x.snapcoeff").rename(tmp_path / "a"),
        (tmp_path / "x.snapparam").rename(tmp_path / "b"),
    )
    assert read_snap(a, b).species == read_snap(b, a).species == ("W",)
    with pytest.raises(FileNotFoundError, match=r"its parameters are not at .*a.snapparam"):
        read_snap(a)
    with pytest.raises(FileNotFoundError, match=r"its coefficients are not at .*b.snapcoeff"):
        read_snap(b)


def test_numbers_of_components() -> None:
    counts = [len(bispectrum_triples(n)) for n in (2, 4, 6, 8, 10, 14)]
    assert counts == [5, 14, 30, 55, 91, 204]


def test_own_files() -> None:
    m = read_snap(OWN / "toy_chem_inner.snapcoeff")
    assert m.species == ("In", "P")
    assert m.chem
    assert m.wselfall
    assert m.sinner is not None
    assert m.sinner.tolist() == [2.0, 1.7]
    assert m.n_components == 64
    m = read_snap(OWN / "toy_quad_chem.snapcoeff")
    assert m.quadratic
    assert m.coefficients.shape == (2, 861)


def test_published_files() -> None:
    folder = shared_folder("potentials")
    if folder is None:
        pytest.skip("MDKERN_TEST_DATA is not set")
    paths = [*folder.glob("*.snapcoeff"), *folder.glob("*.snapparam")]
    assert len(paths) >= 16
    for path in paths:
        assert is_snap(path)
        assert describe_snap(path).facts["n_components"] == read_snap(path).n_components
    others = [p for p in folder.iterdir() if p.is_file() and ".snap" not in p.name]
    assert not [p for p in others if is_snap(p)]


def test_facts() -> None:
    found = describe_snap(OWN / "toy_chem_inner.snapparam")
    assert found.facts["species"] == ["In", "P"]
    assert found.facts["cutoff_A"] == pytest.approx(4.7 * 1.08)
    assert found.fields["flags"] == "switch, bzero, chem, wselfall, switchinner"
    assert found.topics == ("SNAP", "SNAP, explicit elements")
    assert found.comment == ["# toy SNAP, made for tests\n"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1 6 #", "1 #", r"x.snapcoeff:3: '1'; expected two integers"),
        ("1 6 #", "0 6 #", r"x.snapcoeff:3: number of elements: '0'; expected an integer from 1"),
        ("1 6 #", "1 x #", r"x.snapcoeff:3: number of coefficients: 'x'; expected an integer"),
        ("1 6 #", "99 99999999 #", r"x.snapcoeff:3: .* more than a file of \d+ bytes can hold"),
        ("'W' 0.5 1.0", "'W' 0.5", r"x.snapcoeff:5: .*expected an element's name, radius and w"),
        ("'W' 0.5", "'W' -0.5", r"x.snapcoeff:5: radius: '-0.5'; expected a positive number"),
        ("'W' 0.5", "'W' nan", r"x.snapcoeff:5: radius: 'nan'; expected a finite number"),
        ("'W'", "'?'", r"x.snapcoeff:5: element: .*expected a name"),
        ("3D-1", "3D-1 4", r"x.snapcoeff:9: '3D-1 4'; expected one number, coefficient 4 of 6 of W"),
        ("3D-1", "inf", r"x.snapcoeff:9: coefficient: 'inf'; expected a finite number"),
        (".4\n5.\n", ".4\n", r"the file ends; expected coefficient 6 of 6 of W"),
        ("5.\n", "5.\n7\n", r"x.snapcoeff:12: '7' behind the last coefficient"),
        ("1 6 #", "1 5 #", r"x.snapcoeff:11: '5.' behind the last coefficient"),
    ],
)  # fmt: skip
def test_bad_coefficients(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in COEFF
    with pytest.raises(FormatError, match=message):
        read_snap(write(tmp_path, COEFF.replace(old, new), PARAM))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rcutfac 4.7", "", "no rcutfac; it is required"),
        ("twojmax 2", "", "no twojmax; it is required"),
        ("twojmax 2", "twojmax 4", "6 coefficients per element; expected 15 by twojmax 4"),
        ("twojmax 2", "twojmax 2.5", r"x.snapparam:3: twojmax: '2.5'; expected an integer"),
        ("rcutfac 4.7", "rcutfac 4.7 1", r"x.snapparam:2: rcutfac: 2 values; expected one"),
        ("rcutfac 4.7", "rcutfac", r"x.snapparam:2: rcutfac: 0 values; expected one"),
        ("rcutfac 4.7", "rcutfac -1", r"x.snapparam:2: rcutfac: '-1'; expected a positive number"),
        ("rcutfac 4.7", "rcutfac 470", "cutoff 470 Angstrom by the largest radius and rcutfac"),
        ("rmin0 0.1", "rmin0 4.8", "rmin0 4.8; expected less than the smallest cutoff, 4.7"),
        ("rmin0 0.1", "rfac0 3", "rfac0: '3'; expected at most 2"),
        ("rmin0 0.1", "bzeroflag 2", r"bzeroflag: '2'; expected an integer from 0 to 1"),
        ("rmin0 0.1", "rmin0 0\nrmin0 1", r"x.snapparam:7: rmin0 a second time"),
        ("rmin0 0.1", "nonsense 1", r"x.snapparam:6: keyword 'nonsense'; expected one of rcutfac"),
        ("rmin0 0.1", "switchinnerflag 1", "switchinnerflag 1 without sinner"),
        ("rmin0 0.1", "sinner 1", r"x.snapparam:6: sinner without switchinnerflag 1"),
        ("rmin0 0.1", "switchinnerflag 1\nsinner 1 2\ndinner 1", "sinner: 2 numbers; expected 1"),
        ("rmin0 0.1", "switchinnerflag 1\nsinner 1\ndinner 0", "dinner: 0; expected positive"),
        ("rmin0 0.1", "quadraticflag 1", "6 coefficients per element; expected 21 by"),
    ],
)
def test_bad_parameters(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in PARAM
    with pytest.raises(FormatError, match=message):
        read_snap(write(tmp_path, COEFF, PARAM.replace(old, new)))


def test_too_large_an_angular_momentum(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"x.snapparam:3: twojmax 21; up to 20"):
        read_snap(write(tmp_path, COEFF, PARAM.replace("twojmax 2", "twojmax 21")))


def test_other_units(tmp_path: Path) -> None:
    """As LAMMPS, which finds them in the first line of either file."""
    for units, found in (("metal", None), ("real", "real")):
        line = f"# DATE: 2020-01-01 UNITS: {units} CONTRIBUTOR: nobody\n"
        for coeff, param in ((line + COEFF, PARAM), (COEFF, line + PARAM)):
            path = write(tmp_path, coeff, param)
            if found is None:
                read_snap(path)
                continue
            with pytest.raises(UnsupportedError, match=r"x\.snap.*:1: units 'real' are not supp"):
                read_snap(path)


def test_the_same_element_twice(tmp_path: Path) -> None:
    coeff, param = snap_text(("W", "Be"))
    with pytest.raises(FormatError, match="element: 'W' a second time"):
        read_snap(write(tmp_path, coeff.replace("Be", "W"), param))


def test_empty_and_cut_files(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="the file is empty"):
        read_snap(write(tmp_path, "", PARAM))
    with pytest.raises(FormatError, match="the file is empty"):
        read_snap(write(tmp_path, COEFF, " \n"))
    for k in range(10, len(COEFF) - 4, 7):
        with pytest.raises((MDKernError, FileNotFoundError)):
            read_snap(write(tmp_path, COEFF[:k], PARAM))


def test_load_names_what_is_wrong(tmp_path: Path) -> None:
    path = write(tmp_path, COEFF.replace("1 6 #", "1 7 #"), PARAM)
    with pytest.raises(FormatError, match="coefficient 7 of 7"):
        mdkern.load(path)
    path.write_text("damaged")
    with pytest.raises(FormatError, match=r"x.snapcoeff:1: 'damaged'; expected two integers"):
        mdkern.load(path)


def test_coefficients_are_exact(tmp_path: Path) -> None:
    coeff, param = snap_text(("W", "Be"), twojmax=4)
    m = read_snap(write(tmp_path, coeff, param))
    values: Any = [float(x) for x in coeff.split("\n")[4:19]]
    assert np.array_equal(m.coefficients[0], values)
