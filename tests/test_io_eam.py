"""EAM readers: content, resampling, error messages, mutated files."""

from __future__ import annotations

import pickle
import random
import re
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from reference_data import OWN, own_cases, shared_folder

from mdkern.errors import FormatError, MDKernError, MDKernWarning, UnsupportedError
from mdkern.io import eam as reader
from mdkern.io.eam import EamTables, read_eam, spline_coefficients
from mdkern.reference import neighbor_list

ALLOY, FS = OWN / "synthetic.eam.alloy", OWN / "synthetic.eam.fs"
FUNCFL_AL, FUNCFL_CU = OWN / "synthetic_Al.eam", OWN / "synthetic_Cu.eam"


def setfl_text(ns: int = 1, fs: bool = False, n: int = 6) -> str:
    """A tiny valid file: value k of table t is t + k / 100."""
    symbols = ["Al", "Cu", "Ni"][:ns]
    text = f"one\ntwo\nthree\n{ns} {' '.join(symbols)}\n{n} 0.5 {n} 0.25 1.5\n"
    table = 0

    def block() -> str:
        nonlocal table
        table += 1
        return " ".join(str(table + k / 100) for k in range(n)) + "\n"

    for k in range(ns):
        text += f"{k + 1} 10.5 4.0 fcc\n" + block()
        text += "".join(block() for _ in range(ns if fs else 1))
    return text + "".join(block() for _ in range(ns * (ns + 1) // 2))


def funcfl_text(n: int = 6) -> str:
    rows = [" ".join(str(t + k / 100) for k in range(n)) for t in (1, 2, 3)]
    return f"comment\n29 63.5 3.6 fcc\n{n} 0.5 {n} 0.25 1.2\n" + "\n".join(rows) + "\n"


def read_text(tmp_path: Path, text: str | bytes, name: str = "x.eam") -> EamTables:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_eam(str(path))


def test_setfl_layout(tmp_path: Path) -> None:
    tables = read_text(tmp_path, setfl_text(ns=2))
    assert tables.kind == "alloy"
    assert tables.species == ("Al", "Cu")
    assert tables.masses.tolist() == [10.5, 10.5]
    assert (tables.cutoff, tables.dr, tables.drho, tables.rho_max) == (1.5, 0.25, 0.5, 2.5)
    assert tables.embedding[:, 0].tolist() == [1, 3]
    assert tables.density[:, :, 0].tolist() == [[2, 2], [4, 4]]  # source, centre
    assert tables.r_phi[:, :, 0].tolist() == [[5, 6], [6, 7]]
    assert tables.r_phi[0, 1, 3] == 6.03


def test_finnis_sinclair_layout(tmp_path: Path) -> None:
    tables = read_text(tmp_path, setfl_text(ns=3, fs=True))
    assert tables.kind == "fs"
    assert tables.density[:, :, 0].tolist() == [[2, 3, 4], [6, 7, 8], [10, 11, 12]]
    assert tables.r_phi[2, :, 0].tolist() == [16, 17, 18]


def test_content_decides_and_lines_may_break_anywhere(tmp_path: Path) -> None:
    text = setfl_text(ns=2, fs=True)
    assert read_text(tmp_path, text, "name.eam.alloy").kind == "fs"
    head, body = text.split("\n")[:6], text.split("\n")[6:]
    numbers = " ".join(body[:3]).split()
    rewritten = "\n".join(head) + "\n" + "\n".join(numbers) + "\n\n" + "\n".join(body[3:])
    assert np.array_equal(read_text(tmp_path, rewritten).density, read_text(tmp_path, text).density)
    crlf = read_text(tmp_path, text.replace("\n", "\r\n"))
    assert np.array_equal(crlf.r_phi, read_text(tmp_path, text).r_phi)


def test_fortran_exponents(tmp_path: Path) -> None:
    text = ALLOY.read_text()
    head, body = text.split("\n", 5)[:5], text.split("\n", 5)[5]
    body = body.replace("e-", "D-").replace("e+", "d+")
    a, b = read_eam(str(ALLOY)), read_text(tmp_path, "\n".join([*head, body]))
    assert np.array_equal(a.embedding, b.embedding)
    assert np.array_equal(a.r_phi, b.r_phi)


def test_funcfl_loses_its_last_knot(tmp_path: Path) -> None:
    tables = read_text(tmp_path, funcfl_text(n=8))
    assert tables.kind == "funcfl"
    assert tables.species == ("Cu",)
    assert tables.embedding.shape == (1, 7)
    assert tables.r_phi.shape == (1, 1, 7)
    assert tables.rho_max == 3.5  # of the file, not of the resampled table
    assert np.allclose(tables.embedding[0], 1 + np.arange(7) / 100, rtol=0, atol=1e-14)
    charge = 2 + np.arange(7) / 100
    assert np.allclose(tables.r_phi[0, 0], 27.2 * 0.529 * charge**2, rtol=1e-14)


def test_funcfl_mixture_is_symmetric_and_on_the_coarser_grid() -> None:
    tables = read_eam({"Al": str(FUNCFL_AL), "Cu": str(FUNCFL_CU)})
    al, cu = read_eam(str(FUNCFL_AL)), read_eam(str(FUNCFL_CU))
    assert tables.species == ("Al", "Cu")
    assert tables.cutoff == max(al.cutoff, cu.cutoff)
    assert tables.dr == max(al.dr, cu.dr)
    assert tables.drho == max(al.drho, cu.drho)
    assert np.array_equal(tables.r_phi, tables.r_phi.transpose(1, 0, 2))
    assert np.array_equal(tables.density[0, 0], tables.density[0, 1])


def test_funcfl_mapping_key_wins_with_a_warning() -> None:
    with pytest.warns(MDKernWarning, match="is for Al, used for Ni"):
        assert read_eam({"Ni": str(FUNCFL_AL)}).species == ("Ni",)


def test_mapping_errors() -> None:
    with pytest.raises(FormatError, match="only funcfl files can be mixed") as info:
        read_eam({"Al": str(FUNCFL_AL), "Cu": str(ALLOY)})
    assert info.value.path == str(ALLOY)
    assert info.value.line == 4
    with pytest.raises(ValueError, match="'Xx', expected a chemical symbol"):
        read_eam({"Xx": str(FUNCFL_AL)})
    with pytest.raises(ValueError, match="0 entries"):
        read_eam({})


BROKEN = [
    # line, old, new, message
    (4, "2 Al Cu", "0 Al Cu", "'0': expected the number of elements"),
    (4, "2 Al Cu", "119 Al Cu", "'119': expected the number of elements"),
    (4, "2 Al Cu", "2 Al", "2 elements declared, 1 symbols found: 'Al'"),
    (4, "2 Al Cu", "2 Al Cu Ni", "2 elements declared, 3 symbols found: 'Al Cu Ni'"),
    (4, "2 Al Cu", "2 Al Cu elements", "2 elements declared, 3 symbols"),
    (4, "2 Al Cu", "2 Al 7", "'7': expected a chemical symbol or another name of a type"),
    (4, "2 Al Cu", "2 Al Al", "'Al' twice"),
    (4, "2 Al Cu", "2 1.0 Al", "expected the number of elements and their symbols"),
    (5, "6 0.5", "6.0 0.5", "'6.0': expected Nrho, an integer"),
    (5, "6 0.5", "2 0.5", "'2': expected Nrho, an integer from 5"),
    (5, "6 0.5", "99999999999999999999 0.5", "expected Nrho, an integer"),
    (5, "6 0.5", "6 -0.5", "'-0.5': expected drho, a positive finite"),
    (5, "0.25 1.5", "nan 1.5", "'nan': expected dr"),
    (5, "0.25 1.5", "0.25 1e9", "'1e9': expected the cutoff, at most 100"),
    (5, "0.25 1.5", "0.25 1.5 7 8", "found 7 numbers: expected five, Nrho drho Nr dr cutoff"),
    (6, "1 10.5", "x 10.5", "'x 10.5 4.0 fcc': expected Z, mass, .* of Al, Z an integer"),
    (6, "1 10.5", "1 0", "'0': expected the mass, a positive"),
    (7, "1.03", "1.0.3", "'1.0.3': expected F.rho. of Al"),
    (7, "1.03", "1_03", "'1_03': expected F.rho. of Al"),
    (7, "1.03", "inf", "'inf': expected F.rho. of Al"),
    (7, "1.03", "1e999", "'1e999': expected F.rho. of Al, a finite number"),
    (7, "1.0 1.01", "1.0 x 1.01", "'x': expected F.rho. of Al"),
    (9, "2 10.5", "2.0 10.5", "'2.0 10.5 4.0 fcc': expected .*|'fcc': expected the density"),
]


@pytest.mark.parametrize(("line", "old", "new", "message"), BROKEN)
def test_setfl_errors_name_line_and_token(
    tmp_path: Path, line: int, old: str, new: str, message: str
) -> None:
    lines = setfl_text(ns=2).split("\n")
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new)
    with pytest.raises(FormatError, match=message) as info:
        read_text(tmp_path, "\n".join(lines))
    assert info.value.line == line
    assert str(info.value).startswith(f"{tmp_path / 'x.eam'}:{line}: ")
    assert info.value.path == str(tmp_path / "x.eam")


def test_funcfl_errors(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=":2: found '0': expected the atomic number"):
        read_text(tmp_path, funcfl_text().replace("29 63.5", "0 63.5"))
    with pytest.raises(FormatError, match=":6: file ends after 4 of 6 values of the density"):
        read_text(tmp_path, funcfl_text().replace(" 3.04 3.05", ""))
    with pytest.raises(FormatError, match=r":7: found '5', .* expected the end of the file"):
        read_text(tmp_path, funcfl_text() + "5\n")


def test_counts_are_checked_before_allocation(tmp_path: Path) -> None:
    text = setfl_text(n=50).replace("\n50 0.5 50", "\n300 0.5 50")
    with pytest.raises(FormatError, match=r"file ends|declared, but only"):
        read_text(tmp_path, text)
    for text in (setfl_text(), funcfl_text()):
        huge = text.replace("\n6 0.5 6 ", "\n6 0.5 1000000000000 ")
        with pytest.raises(FormatError, match="'1000000000000': expected Nr"):
            read_text(tmp_path, huge)


def test_not_an_eam_file(tmp_path: Path) -> None:
    for text in (b"line\n\0\1\2", "hello\n", "a\nb\nc\nAl Cu\n6 0.5 6 0.25 1.5\n"):
        with pytest.raises(FormatError, match=r":4: found .*expected the number of elements"):
            read_text(tmp_path, text)
    for text, kind in (
        (b"\x89HDF\r\n\x1a\n", "Deep Potential"),
        ("Si Si Si 3.0 1.0\n", "parameters of three-body terms"),
        ("{}\n" * 9, "a JSON file"),
    ):
        with pytest.raises(UnsupportedError, match=f"looks like {kind}.*mdkern reads EAM"):
            read_text(tmp_path, text)
    with pytest.raises(FormatError, match=r"x.eam: the file is empty; mdkern reads EAM"):
        read_text(tmp_path, b"\xef\xbb\xbf \n")
    with pytest.raises(FileNotFoundError):
        read_eam(str(tmp_path / "none"))
    with pytest.raises(OSError):
        read_eam(str(tmp_path))


def test_size_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_FILE_BYTES", 100)
    with pytest.raises(FormatError, match="larger than 100 bytes"):
        read_text(tmp_path, setfl_text(n=50))


def rows(numbers: list[str], width: int) -> str:
    return "".join(" ".join(numbers[k : k + width]) + "\n" for k in range(0, len(numbers), width))


def narrow(text: str, extra: tuple[str, ...] = (), width: int = 4) -> str:
    """A file of the functions above with a few numbers on each line of a table, `extra` behind each table."""
    return "".join(
        line + "\n"
        if len(words) < 6 or any(c.isalpha() for c in line)
        else rows([*words, *extra], width)
        for line in text.splitlines()
        for words in [line.split()]
    )


ONE_MORE = "ignore:.*1 number more than the:mdkern.errors.MDKernWarning"
LAYOUTS = {
    "comment lines": lambda t: t.replace("\n", "\n# 1.0 Cu\n").replace("\n# 1.0 Cu\n", "\n", 3),
    "comments behind": lambda t: "".join(
        line + (" # 7 8 9" if k > 2 else "") + "\n" for k, line in enumerate(t.splitlines())
    ),
    "blank lines": lambda t: t.replace("\n", "\n \t\n").replace("\n \t\n", "\n", 3),
    "further words": lambda t: t.replace(" fcc", " fcc relaxed 1 2").replace(
        "0.5 6 0.25", "0.5 6\n0.25"
    ),
    "words behind the grid": lambda t: re.sub(r"(0\.25 \S+)", r"\1 Nrho drho Nr dr cutoff", t),
    "two words": lambda t: t.replace(" 4.0 fcc", "").replace(" 3.6 fcc", ""),
    "mass alone": lambda t: re.sub(r" (10.5|63.5) \S+ fcc", r"\n\1", t),
    "short lines": narrow,
    "one number on a line": lambda t: narrow(t, (), 1),
    "one number more": lambda t: narrow(t, ("9.5",)),
    "words behind tables": lambda t: narrow(t, ("of", "7")),
    "text behind the tables": lambda t: t + "\nend of 3 tables\n1 2 3\n",
    "no line end": str.rstrip,
    "Latin-1": lambda t: t.replace("comment", "\xe9").replace("one", "\xc5").encode("latin-1"),
    "UTF-8": lambda t: t.replace("comment", "\xe9").replace("one", "\u212b").encode(),
    "D exponents": lambda t: re.sub(r"(\d\.\d+)", r"\1D+00", t),
    "d exponents": lambda t: re.sub(r"(\d\.\d+)", r"\1d0", t),
    "CRLF": lambda t: t.replace("\n", "\r\n"),
    "CR": lambda t: t.replace("\n", "\r"),
    "byte order mark": lambda t: b"\xef\xbb\xbf" + t.encode(),
    "tabs": lambda t: t.replace(" ", "\t"),
}


@pytest.mark.filterwarnings(ONE_MORE)
@pytest.mark.parametrize("form", ["funcfl", "alloy", "fs"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_that_lammps_reads(tmp_path: Path, name: str, form: str) -> None:
    text = {"funcfl": funcfl_text(), "alloy": setfl_text(3), "fs": setfl_text(3, fs=True)}[form]
    changed = LAYOUTS[name](text)
    plain, tables = read_text(tmp_path, text), read_text(tmp_path, changed, "changed")
    assert (tables.kind, tables.species) == (plain.kind, plain.species)
    assert (tables.cutoff, tables.dr, tables.drho) == (plain.cutoff, plain.dr, plain.drho)
    for field in ("masses", "embedding", "density", "r_phi"):
        assert np.array_equal(getattr(tables, field), getattr(plain, field)), field


def test_numbers_too_many_are_said(tmp_path: Path) -> None:
    with pytest.warns(
        MDKernWarning,
        match=r"x.eam: 1 number more than the 6 of F.rho. on line 5, and so in 2 more tables: left out",
    ):
        read_text(tmp_path, narrow(funcfl_text(), ("9.5",)))
    with pytest.warns(
        MDKernWarning, match=r"1 number more than the five of Nrho .* on line 3: left"
    ):
        read_text(tmp_path, funcfl_text().replace("0.25 1.2", "0.25 1.2 7"))
    with pytest.raises(FormatError, match=r":4: found 6 numbers: expected five"):
        read_text(tmp_path, funcfl_text().replace("0.25 1.2", "0.25\n1.2 7"))
    lines = setfl_text(1).rstrip().splitlines()
    last = rows([*lines[-1].split(), "7", "8"], 5)
    with pytest.warns(
        MDKernWarning, match=r"2 numbers more than the 6 of .*Al-Al on line 10: left"
    ):
        read_text(tmp_path, "\n".join([*lines[:-1], last]))


AMBIGUOUS = [
    # what is done to line 7, F of Al, and line 8, its density, of six numbers each; the message
    (
        "a b c d e f\n9",
        "A B C D E F",
        r":9: 7 numbers on lines 8 to 9 for the 6 of the density of Al",
    ),
    (
        "a b c\nd e f\n9 9 9",
        "A B C\nD E F",
        r"'5.0 5.0 5.0': expected Z, mass, .* of Cu|:12: found",
    ),
    (
        "a b c\nd e",
        "A B\nC D\nE F",
        r"'2 10.5 4.0 fcc' after 4 of 6.*\(further up, 1 number more than the 6 of F.rho. of Al on line 9\)",
    ),
    ("a b c d e", "A B C D E F", r":8: 11 numbers on lines 7 to 8 for the 6 of F"),
    (
        "a b c d",
        "e f A B C D\nE F",
        r":8: 10 numbers on lines 7 to 8 for the 6 of F",
    ),
    (
        "a b c d e f",
        "A B C D E",
        r":9: found '2 10.5 4.0 fcc' after 5 of 6 values of the density of Al",
    ),
]


@pytest.mark.parametrize(("f", "density", "message"), AMBIGUOUS)
def test_counts_that_disagree_are_refused(
    tmp_path: Path, f: str, density: str, message: str
) -> None:
    """No number is taken for another table's: LAMMPS reads some of these, and wrongly."""
    lines = setfl_text(2).splitlines()
    for k, layout in ((6, f), (7, density)):
        lines[k] = re.sub("[a-zA-Z9]", "5.0", layout)
    with pytest.raises(FormatError, match=message):
        read_text(tmp_path, "\n".join(lines))


def test_lines_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r":7: a line of more than 1048576 bytes"):
        read_text(tmp_path, setfl_text().replace("1.03", "1.03" + " " * 2**20))


def test_names_of_types(tmp_path: Path) -> None:
    for names in ("Al Cu X", "X Al Cu", "Al average-1 Cu"):
        tables = read_text(tmp_path, setfl_text(3, fs=True).replace("Al Cu Ni", names))
        assert tables.species == tuple(names.split())
    zero = setfl_text(3).replace("Al Cu Ni", "Al Cu X").replace("3 10.5 4.0 fcc", "0 0")
    assert read_text(tmp_path, zero).masses.tolist() == [10.5, 10.5, 0.0]


def test_unsupported_relatives(tmp_path: Path) -> None:
    text = setfl_text(ns=2)
    adp = "".join(" ".join(["0.5"] * 6) + "\n" for _ in range(6))  # u and w of three pairs
    for more in (adp, adp + "text\n", adp.replace("\n", " # u\n")):
        with pytest.raises(UnsupportedError, match=r":15: .*angular-dependent \(ADP\)"):
            read_text(tmp_path, text + more)
    with pytest.raises(FormatError, match=r":15: found '0.5', the first of 30 numbers behind"):
        read_text(tmp_path, text + adp[:-24])
    with pytest.raises(UnsupportedError, match=r":15: a polynomial of degree 2 .*eam/cd"):
        read_text(tmp_path, text + "2 1.0 -0.5 0.25\n")
    with pytest.raises(FormatError, match=r":15: found '2', the first of 3 numbers behind"):
        read_text(tmp_path, text + "2 1.0 -0.5\n")
    for ns in (1, 2):
        he = setfl_text(ns, fs=True).replace("0.25 1.5", "0.25 1.5 2.0 # rho_max")
        with pytest.raises(UnsupportedError, match=r":5: a sixth number, '2.0'.* eam/he"):
            read_text(tmp_path, he)
    with pytest.raises(UnsupportedError, match="units 'real'"):
        read_text(tmp_path, text.replace("one", "UNITS: real"))


def test_errors_survive_pickling() -> None:
    error = FormatError("bad", path="a.eam", line=3)
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.path, copy.line) == ("a.eam:3: bad", "a.eam", 3)
    assert isinstance(copy, MDKernError)
    assert isinstance(copy, ValueError)
    assert str(FormatError("bad")) == "bad"
    assert str(FormatError("bad", line=2)) == "line 2: bad"


def test_spline_reproduces_quadratics_inside_and_is_c1() -> None:
    x = np.arange(12.0)
    c = spline_coefficients(2 - 3 * x + 0.5 * x**2)
    assert c.shape == (11, 4)
    inner = c[1:-1]  # the two-point slopes at the ends are exact for straight lines only
    assert np.abs(inner[:, 0]).max() <= 1e-13
    assert np.abs(inner[:, 1] - 0.5).max() <= 1e-13
    assert np.abs(inner[:, 2] - (-3 + x[1:-2])).max() <= 1e-13
    rough = spline_coefficients(np.random.default_rng(1).normal(size=(2, 3, 9)))
    assert rough.shape == (2, 3, 8, 4)
    assert np.abs(rough.sum(axis=-1)[..., :-1] - rough[..., 1:, 3]).max() <= 1e-14
    slope = rough @ np.array([3.0, 2.0, 1.0, 0.0])
    assert np.abs(slope[..., :-1] - rough[..., 1:, 2]).max() <= 1e-14


@pytest.mark.parametrize("n", [3, 4, 5])
def test_spline_of_few_knots_is_exact_for_lines(n: int) -> None:
    c = spline_coefficients(1 + 2 * np.arange(n))
    assert np.array_equal(c[:, 2], np.full(n - 1, 2.0))
    assert not c[:, :2].any()
    with pytest.raises(ValueError, match="at least 3 knots"):
        spline_coefficients([1.0, 2.0])


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to four edits of the kinds that damaged or hostile files show."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        span = len(out) if rng.random() < 0.5 else min(len(out), 200)  # headers are hit often
        at = rng.randrange(span + 1)
        kind = rng.randrange(8)
        if kind == 0:
            del out[at:]
        elif kind == 1:
            del out[at : at + rng.randint(1, 40)]
        elif kind == 2:
            out[at:at] = rng.choice(
                [b"nan", b"-inf", b"1e400", b"9" * 30, b"\0", b"\xff", b" 0 ", b"-", b"\n",
                 b"1D5", b" 118 ", b"_", "٣".encode(), b"1e99 " * 20, b"Cu ", b"#"]
            )  # fmt: skip
        elif kind == 3 and at < len(out):
            out[at] = rng.randrange(256)
        elif kind == 4:
            out[at:at] = out[at : at + rng.randint(1, 300)]
        elif kind == 5:
            lines = bytes(out).split(b"\n")
            rng.shuffle(lines)
            out = bytearray(b"\n".join(lines))
        elif kind == 6:
            words = bytes(out).split(b" ")
            words[rng.randrange(len(words))] = rng.choice([b"0", b"-1", b"%d" % 2**63, b"1e308"])
            out = bytearray(b" ".join(words))
        else:
            lines = bytes(out).split(b"\n")
            del lines[rng.randrange(min(len(lines), 8))]
            out = bytearray(b"\n".join(lines))
    return bytes(out)


@pytest.mark.parametrize("source", ["funcfl", "alloy", "fs"])
def test_mutated_files_raise_only_format_errors(tmp_path: Path, source: str) -> None:
    rng = random.Random(7)
    seeds = {
        "funcfl": funcfl_text(8),
        "alloy": setfl_text(2, n=8),
        "fs": setfl_text(3, fs=True, n=8),
    }
    path = tmp_path / "mutated"
    refused = 0
    slowest = 0.0
    for _ in range(1000):
        path.write_bytes(mutate(seeds[source].encode(), rng))
        start = time.process_time()
        try:
            with np.errstate(all="raise"), warnings.catch_warnings():
                warnings.simplefilter("ignore", MDKernWarning)  # the element was mutated
                tables = read_eam({"Cu": path, "Al": FUNCFL_AL} if rng.random() < 0.1 else path)
        except (FormatError, UnsupportedError):
            refused += 1
        else:
            arrays = (tables.embedding, tables.density, tables.r_phi, tables.masses)
            assert all(np.isfinite(a).all() for a in arrays)
            assert np.isfinite(spline_coefficients(tables.r_phi)).all()
        slowest = max(slowest, time.process_time() - start)
    assert refused >= 500
    assert slowest <= 5.0


@pytest.mark.parametrize(
    ("name", "kind", "species"),
    [
        ("Cu_u3.eam", "funcfl", ("Cu",)),
        ("CuNi.eam.alloy", "alloy", ("Ni", "Cu")),
        ("NiAlH_jea.eam.alloy", "alloy", ("Ni", "Al", "H")),
        ("Fe_mm.eam.fs", "alloy", ("Fe",)),  # one element: both formats are the same
        ("Cu_mishin1.eam.alloy", "alloy", ("Cu",)),
    ],
)
def test_published_files(name: str, kind: str, species: tuple[str, ...]) -> None:
    folder = shared_folder("potentials")
    if folder is None:
        pytest.skip("MDKERN_TEST_DATA is not set")
    tables = read_eam(folder / name)
    assert tables.kind == kind
    assert tables.species == species


@pytest.mark.parametrize("name", ["eam_alloy_dense", "eam_fs_dense", "eam_funcfl_mixed_dense"])
def test_dense_cases_leave_the_table(name: str) -> None:
    """The LAMMPS references named dense do exercise the continuation beyond rho_max."""
    beyond = total = 0
    for _, kwargs, _, atoms, _ in own_cases(name):
        tables = read_eam(kwargs["path"])
        species = np.array([tables.species.index(s) for s in atoms.get_chemical_symbols()])
        i, j, d = neighbor_list("ijd", atoms.positions, atoms.cell, atoms.pbc, tables.cutoff)
        knots = np.minimum((d / tables.dr).round().astype(int), tables.density.shape[2] - 1)
        f = tables.density[species[j], species[i], knots]
        rho = np.bincount(i, weights=f, minlength=len(atoms))
        beyond += int((rho > tables.rho_max).sum())
        total += len(atoms)
    assert total / 4 <= beyond < total
