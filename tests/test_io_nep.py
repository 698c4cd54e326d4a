"""Files of NEP: header variants, exact counts, and what is refused."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

import mdkern
from mdkern import _core
from mdkern.bench.nep_models import random_nep
from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.nep import is_nep, read_nep

OWN = Path(__file__).resolve().parent / "data" / "nep"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nep")


def lines_of(folder: Path, **kw: Any) -> list[str]:
    kw = {"species": ["O", "H"], "n_max": (1, 1), "basis": (1, 1), "hidden": 2, "l_max": 3, **kw}
    return Path(random_nep(folder / "made.txt", **kw)).read_text().splitlines()


def write(folder: Path, lines: list[str]) -> Path:
    path = folder / "nep.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def with_line(lines: list[str], number: int, text: str) -> list[str]:
    return [text if k == number - 1 else line for k, line in enumerate(lines)]


# --- what is read ---------------------------------------------------------------------------------


def test_header_and_numbers() -> None:
    m = read_nep(OWN / "synthetic_nep4_zbl_typewise.txt")
    assert (m.tag, m.version, m.kind, m.species) == ("nep4_zbl", 4, "potential", ("Al", "C", "W"))
    assert m.rc_radial.tolist() == [6.0, 4.5, 5.5]
    assert m.rc_angular.tolist() == [5.0, 3.5, 4.5]
    assert (m.l_max, m.bodies, m.hidden) == (3, ("222",), 24)
    assert m.c_radial.shape == (5, 11, 3, 3)
    assert m.c_angular.shape == (7, 10, 3, 3)
    assert m.n_descriptors == len(m.q_scaler) == 5 + 7 * 4
    assert m.zbl is not None
    assert m.zbl.phi is None
    # 0.7 times the sum of two radii of 1.66667 and 1.0 Angstrom
    assert abs(m.zbl.outer[0, 1] - min(2.5, 0.7 * (1.50667 + 1.0))) < 1e-12
    five = read_nep(OWN / "synthetic_nep5.txt")
    assert len(set(five.networks.bias)) == 2


def test_order_of_the_numbers(folder: Path) -> None:
    lines = lines_of(folder)
    n = len(lines) - 6
    m = read_nep(write(folder, lines[:6] + [str(float(k)) for k in range(n)]))
    n_d = m.n_descriptors
    assert m.networks.w0[0, 1, 0] == n_d
    assert m.networks.b0[0, 0] == 2 * n_d
    assert m.networks.w1[0, 1] == 2 * n_d + 3
    assert m.networks.w0[1, 0, 0] == 2 * n_d + 4
    b1 = 2 * (2 * n_d + 4)
    assert m.networks.bias.tolist() == [b1, b1]
    assert m.c_radial[0, 0, 0, 1] == b1 + 2
    assert m.c_radial[0, 0, 1, 0] == b1 + 3
    assert m.c_radial[0, 1, 0, 0] == b1 + 5
    assert m.c_radial[1, 0, 0, 0] == b1 + 9
    assert m.c_angular[0, 0, 0, 0] == b1 + 17
    assert m.q_scaler[-1] == n - 1


def test_order_of_a_flexible_table(folder: Path) -> None:
    lines = lines_of(folder, species=["O", "H", "C"], zbl=[0, 0])
    for k in range(6):
        for q in range(10):
            lines[-60 + 10 * k + q] = str(float(10 * k + q))
    zbl = read_nep(write(folder, lines)).zbl
    assert zbl is not None
    assert zbl.phi is not None
    assert (zbl.inner / 10).tolist() == [[0, 1, 2], [1, 3, 4], [2, 4, 5]]
    assert zbl.outer[1, 2] == 41
    assert zbl.phi[2, 1].tolist() == [42, 43, 44, 45, 46, 47, 48, 49]


def test_old_and_new_flags(folder: Path) -> None:
    lines = lines_of(folder, l_max=4, bodies=["222", "1111"])
    for text in ("l_max 4 2 1", "l_max 4 1 1", "l_max 4 1 1 0 0 0 0", "l_max 4 2 1 0"):
        assert read_nep(write(folder, with_line(lines, 5, text))).bodies == ("222", "1111")
    plain = lines_of(folder, l_max=4)
    for text in ("l_max 4", "l_max 4 0", "l_max 4 0 0", "l_max   4 0 0 0 0 0 0 "):
        assert read_nep(write(folder, with_line(plain, 5, text))).bodies == ()


def test_cutoff_lines(folder: Path) -> None:
    lines = lines_of(folder)
    for text in ("cutoff 6 4", "cutoff 6.0 4 251 80", "cutoff 6 4.0 250.8 79.2"):
        m = read_nep(write(folder, with_line(lines, 2, text)))
        assert m.rc_radial.tolist() == [6.0, 6.0]
        assert m.rc_angular.tolist() == [4.0, 4.0]
    m = read_nep(write(folder, with_line(lines, 2, "cutoff 6 4 5 3 250 80")))
    assert m.rc_radial.tolist() == [6.0, 5.0]
    assert m.pair_cutoffs(m.rc_angular).tolist() == [[4.0, 3.5], [3.5, 3.0]]


@pytest.mark.parametrize("end", ["\r\n", " \n", "\n\n"])
def test_white_space(folder: Path, end: str) -> None:
    lines = lines_of(folder)
    path = folder / "spaced.txt"
    path.write_bytes(("\n".join(lines[:6]) + "\n" + end.join(lines[6:]) + end).encode())
    assert np.array_equal(read_nep(path).c_angular, read_nep(write(folder, lines)).c_angular)


def test_byte_order_mark(folder: Path) -> None:
    plain = "\n".join(lines_of(folder)).encode() + b"\n"
    path = folder / "marked.txt"
    for content in (
        b"\xef\xbb\xbf" + plain,
        b"\xef\xbb\xbf" + plain.replace(b"\n", b"\r\n"),
        plain.replace(b"\n", b"\r"),
    ):
        path.write_bytes(content)
        assert is_nep(path)
        assert np.array_equal(
            read_nep(path).c_angular, read_nep(write(folder, lines_of(folder))).c_angular
        )
        assert type(mdkern.load(path)).__name__ == "NEP"


def test_told_by_content(folder: Path) -> None:
    path = folder / "anything.dat"
    path.write_bytes((OWN / "synthetic_nep5.txt").read_bytes())
    assert is_nep(path)
    assert type(mdkern.load(path)).__name__ == "NEP"
    assert not is_nep(OWN / "README.md")
    with pytest.raises(FormatError, match=r"begins with .*: no format that is known; mdkern reads"):
        mdkern.load(OWN / "README.md")
    # A damaged file is reported by the reader it is for, and by no other.
    damaged = write(folder, with_line(lines_of(folder), 3, "n_max 4"))
    with pytest.raises(FormatError, match=r"nep.txt:3: 1 values behind 'n_max'") as caught:
        mdkern.load(damaged)
    assert "EAM" not in str(caught.value)


# --- what is refused ------------------------------------------------------------------------------

BAD = {
    (1, "nep4 2 O Hx"): "unknown chemical symbol 'Hx'",
    (1, "nep4 2 O Cm"): "unknown chemical symbol 'Cm'; expected one of H to Pu",
    (1, "nep4 2 O O"): "expected different ones",
    (1, "nep4 3 O H"): "2 chemical symbols; expected 3",
    (1, "nep4 0"): "number of types: '0'; expected an integer from 1 to 94",
    (1, "nep4"): "no number of types",
    (1, "nep4 x O H"): "number of types: 'x'",
    (2, "cutoff 6"): "1 values behind 'cutoff'",
    (2, "cutoff 6 4 5 3"): None,
    (2, "cutoff 4 6 10 10"): "angular cutoff 6; expected at most the radial cutoff 4",
    (2, "cutoff nan 4"): "cutoff: 'nan'; expected a number",
    (2, "cutoff 0 0"): "cutoff: '0'",
    (2, "cutoff 1e3 4"): "cutoff: '1e3'; expected a number from 0.001 to 100",
    (2, "cutof 6 4"): "'cutof'; expected 'cutoff'",
    (2, ""): "nothing; expected 'cutoff'",
    (3, "n_max 1 -1"): "n_max: '-1'; expected an integer from 0 to 31",
    (3, "n_max 1 1_0"): "n_max: '1_0'",
    (3, "n_max 1 99999999"): "n_max: '99999999'",
    (4, "basis_size 1 1.5"): "basis_size: '1.5'",
    (5, "l_max 9 0 0"): "l_max: '9'; expected an integer from 1 to 8",
    (5, "l_max 0"): "l_max: '0'",
    (5, "l_max 3 0 0 0 0 0 1"): "descriptors 134 with l_max 3; expected l_max of at least 4",
    (5, "l_max 3 0 0 0 0 0 0 1"): "8 values behind 'l_max'",
    (6, "ANN 0 0"): "neurons: '0'",
    (6, "ANN 2"): "1 values behind 'ANN'",
    (6, "ANN 3 0"): "numbers behind the header; expected",
    (9, "0x10"): "'0x10'; expected a finite number",
    (9, "nan"): "'nan'; expected a finite number",
    (9, "1e999"): "'1e999'; expected a finite number",
    (9, "1e200"): "'1e200'; expected a finite number",
    (9, "1_0"): "'1_0'; expected a finite number",
    (9, "1e"): "'1e'; expected a finite number",
    (9, "--1"): "'--1'; expected a finite number",
    (9, "1 2"): "numbers behind the header; expected",
    (9, ""): "numbers behind the header; expected",
}


@pytest.mark.parametrize(("where", "message"), BAD.items(), ids=str)
def test_bad_lines_are_named(folder: Path, where: tuple[int, str], message: str | None) -> None:
    path = write(folder, with_line(lines_of(folder), *where))
    if message is None:
        read_nep(path)
        return
    with pytest.raises(FormatError) as caught:
        read_nep(path)
    assert message in str(caught.value)
    expected = len(path.read_text().splitlines()) if "numbers behind" in message else where[0]
    assert caught.value.line == expected
    assert str(caught.value).startswith(f"{path}:{expected}: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("zbl 1", "1 values behind 'zbl'"),
        ("zbl 2 1", "zbl cutoffs 2 1; expected inner < outer"),
        ("zbl 0 -1", "zbl cutoff: '-1'"),
        ("zbl 1 2 0", "zbl factor 0; expected more than 0"),
        ("cutoff 5 4", "'cutoff'; expected 'zbl'"),
    ],
)
def test_bad_zbl_lines(folder: Path, text: str, message: str) -> None:
    path = write(folder, with_line(lines_of(folder, zbl=[1, 2]), 2, text))
    with pytest.raises(FormatError) as caught:
        read_nep(path)
    assert message in str(caught.value)
    assert caught.value.line == 2


def test_bad_flexible_table(folder: Path) -> None:
    lines = lines_of(folder, zbl=[0, 0])
    lines[-9] = "0.1"
    with pytest.raises(FormatError, match=r"flexible zbl, pair 3: cutoffs .* expected 0 <= inner"):
        read_nep(write(folder, lines))


def test_charges_are_read(folder: Path) -> None:
    lines = lines_of(folder, zbl=[0, 0], kind="charge2")
    model = read_nep(write(folder, lines))
    assert model.charge is not None
    assert (model.charge.mode, model.kind) == (2, "potential")
    assert model.charge.networks.w1.shape == model.networks.w1.shape
    assert 1.0 <= model.charge.sqrt_eps_inf <= 2.0
    for changed in (lines[:-1], [*lines, "0.5"]):
        with pytest.raises(FormatError, match=rf"numbers .*expected {model.n_values}"):
            read_nep(write(folder, changed))


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("nep4_charge4", "models of kind 'charge4'"),
        ("nep4_charge", "models of kind 'charge'"),
        ("nep3_charge1", "models of kind 'charge1'"),
        ("nep4_vdw", r"models with dispersion \(vdw\)"),
        ("nep4_charge1_vdw", r"models with dispersion \(vdw\)"),
        ("nep3_temperature", "with a temperature"),
        ("nep4_zbl_temperature", "with a temperature"),
        ("nep4_spin", "models of kind 'spin'"),
        ("nep4_zbl_dipole", "models of kind 'dipole'"),
        ("nep2", "NEP2; mdkern evaluates NEP3, NEP4 and NEP5"),
        ("nep", "NEP1; mdkern evaluates"),
        ("nep6", "NEP6; mdkern evaluates"),
    ],
)
def test_what_is_not_evaluated_is_named(folder: Path, tag: str, message: str) -> None:
    path = write(folder, with_line(lines_of(folder), 1, f"{tag} 2 O H"))
    for reader in (read_nep, mdkern.load):
        with pytest.raises(UnsupportedError, match=rf"nep.txt:1: {tag}: .*{message}"):
            reader(path)


def test_two_hidden_layers_are_refused(folder: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"nep.txt:6: networks of two hidden layers"):
        read_nep(write(folder, with_line(lines_of(folder), 6, "ANN 2 3")))


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"nep4", b"nep4 1 O\n", b"\x00\xff" * 40, b"nep4 \xff 1"]
)
def test_pieces_of_files(folder: Path, content: bytes) -> None:
    path = folder / "piece.txt"
    path.write_bytes(content)
    with pytest.raises(FormatError):
        read_nep(path)


# --- damage ----------------------------------------------------------------------------------------

TINY: dict[str, dict[str, Any]] = {
    "nep5, flexible zbl": {"zbl": [0, 0], "version": 5},
    "typewise cutoffs and zbl": {"zbl": [0.7, 1.4, 0.6], "cutoffs": [5, 4, 4.5, 3]},
    "charges": {"kind": "charge3", "l_max": 4, "bodies": ["222", "1111"]},
    "polarizability, nep3": {"kind": "polarizability", "version": 3},
}
TINY_LINES: dict[str, list[str]] = {}
FOUR = [[0, 0, 0], [1.2, 0.2, 0.1], [-0.3, 1.5, 0.4], [1.1, 1.9, -0.6]]
WORDS = """nan -nan inf -inf 1e400 -1e400 1e101 1e99 -1e99 1e-320 0 -0 -1 1 2 3 9 31 94 1000 999999999 99999999999
    0x10 1_0 1d5 1e 1e+ . - + -- x O Pu nep4 nep5_zbl zbl cutoff l_max ANN \u0663 \xff"""
WORD = st.sampled_from([*WORDS.split(), "9" * 400, "0" * 400 + "1", "1e" + "9" * 40, "\0"])
NUMBER = st.sampled_from(["1e100", "-1e99", "1e50", "-1e20", "1e-320", "-1", "0", "7"])


@st.composite
def damaged(draw: st.DrawFn, lines: list[str]) -> bytes:
    """Other parameters; or words deleted, doubled, replaced, put in, lines exchanged, the file cut off."""
    rows = [line.split(" ") for line in lines]
    header = next(k for k, row in enumerate(rows) if row[0] == "ANN") + 1
    odd = draw(st.booleans())
    for _ in range(draw(st.integers(1, 3))):
        if not odd:
            rows[draw(st.integers(header, len(rows) - 1))] = [draw(NUMBER)]
            continue
        k = draw(st.integers(0, header - 1) | st.integers(0, len(rows) - 1))
        row = rows[k] = rows[k] or [""]
        at, what = draw(st.integers(0, len(row) - 1)), draw(st.integers(0, 4))
        if what == 0:
            del row[at]
        elif what < 3:
            row.insert(at, row[at] if what == 1 else draw(WORD))
        elif what == 3:
            rows[k], rows[k - 1] = rows[k - 1], rows[k]
        else:
            row[at] = draw(WORD)
    data = "\n".join(" ".join(row) for row in rows).encode()
    return data[: draw(st.integers(0, len(data)))] if odd and draw(st.booleans()) else data


@pytest.mark.quick
@pytest.mark.parametrize("name", TINY)
@settings(max_examples=120)
@given(data=st.data())
def test_damaged_files_are_refused_or_make_sense(
    name: str, data: st.DataObject, folder: Path
) -> None:
    """What is read has finite parameters that belong together, and gives finite numbers or an error of ours."""
    path = folder / "damaged.txt"
    lines = TINY_LINES.setdefault(name, lines_of(folder, **TINY[name]))
    path.write_bytes(data.draw(damaged(lines)))
    told = ""
    try:
        model = read_nep(path)
    except (FormatError, UnsupportedError) as error:
        told = str(error)
    if told:
        assert told.startswith(str(path))
        return
    n, n_d = len(model.species), model.n_descriptors
    assert model.networks.w0.shape == (len(model.networks.bias), model.hidden, n_d)
    assert n_d == len(model.c_radial) + len(model.c_angular) * (model.l_max + len(model.bodies))
    assert model.c_radial.shape[2:] == model.c_angular.shape[2:] == (n, n)
    arrays = (*asdict(model.networks).values(), model.c_radial, model.c_angular, model.q_scaler)
    assert all(np.isfinite(a).all() for a in arrays)
    assert 0.0 < model.cutoff <= 100.0
    atoms = Atoms(2 * [model.species[0], model.species[-1]], FOUR)
    try:
        calc = mdkern.load(path, precision=data.draw(st.sampled_from(["double", "single"])))
        calc.calculate(atoms)
    except mdkern.MDKernError:
        return
    assert all(np.isfinite(value).all() for value in calc.results.values())


@pytest.mark.quick
@given(data=st.data())
def test_damaged_files_raise_nothing_else(data: st.DataObject, folder: Path) -> None:
    content = bytearray("\n".join(lines_of(folder, zbl=[0, 0], version=5)).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(
            st.integers(0, min(len(content) - 1, 160)) | st.integers(0, len(content) - 1)
        )
        piece = data.draw(st.binary(max_size=3) | st.sampled_from([b"9", b"-", b"e", b"\n", b" "]))
        content[at : at + data.draw(st.integers(0, 3))] = piece
    path = folder / "damaged.txt"
    path.write_bytes(bytes(content))
    with contextlib.suppress(FormatError, UnsupportedError):
        read_nep(path)


def test_numbers_are_rounded_as_python_rounds_them() -> None:
    rng = np.random.default_rng(5)
    words = [f"{x:.{k % 20}e}" for k, x in enumerate(rng.normal(size=2000) * 10.0 ** rng.integers(-320, 308, 2000))]  # fmt: skip
    words += [repr(x) for x in rng.normal(size=500).tolist()]
    words += ["0", "-0", "+.5", "5.", "1e22", "1e23", "9007199254740993", "-9007199254740992e-22", "1e-400", "0" * 300 + "1", "0." + "0" * 300 + "1e300"]  # fmt: skip
    text = " \t\r\n\v\f".join(words).encode()
    found = _core.read_numbers(text, len(words))
    assert found.tobytes() == np.array([float(word) for word in words]).tobytes()
    assert len(_core.read_numbers(text, 7)) == 8
    assert np.isinf(_core.read_numbers(b"1e99999999999999999999", 1)[0])
    for word in ("nan", "inf", "1_0", "0x1", "1e", "1e+", ".", "+", "-.e1", "1.2.3", "1-2", "1d0", "\0", "1\0", "\u00b9"):  # fmt: skip
        assert _core.read_numbers(f"1 {word} 2".encode(), 3) is None, word
    assert len(_core.read_numbers(b"", 0)) == 0
