"""Files of Stillinger-Weber and Tersoff: how entries are told apart, what is used of them, what is refused."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from reference_data import OWN, shared_folder

import mdkern
from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.stillinger_weber import (
    StillingerWeberModel,
    read_stillinger_weber,
    stillinger_weber_model,
)
from mdkern.io.tersoff import TersoffModel, read_tersoff, tersoff_model
from mdkern.io.three_body import STYLES, is_stillinger_weber, is_tersoff
from mdkern.io.three_body_facts import describe_stillinger_weber, describe_tersoff

SW = "2.1683 2.0951 1.8 21.0 1.2 -0.333 7.0 0.6 4 0 0"
PLAIN = "3 1.0 1.3 4.8 2.0 0.0 22.9 0.33 1.3 95.3 3.0 0.2 3.2 3264.7"
MOD = "1 2.38 -.365 1.0 1.0 1.34 121.0 3.0 0.3 3.23 3281.5 .938 .2 730418.7 1000000.0 1.0 26.0"
MODC, ZBL = f"{MOD} -0.005", f"{PLAIN} 14 14 0.95 14"
NUMBERS = {"tersoff": PLAIN, "tersoff/mod": MOD, "tersoff/mod/c": MODC, "tersoff/zbl": ZBL}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "parameters"


def sw(path: Path, text: str, elements: list[str] | None = None) -> StillingerWeberModel:
    path.write_text(text)
    return stillinger_weber_model(read_stillinger_weber(path), elements)


def tersoff(
    path: Path, text: str, elements: list[str] | None = None, style: str | None = None
) -> TersoffModel:
    path.write_text(text)
    return tersoff_model(read_tersoff(path, style), elements)


def entries(numbers: str, *elements: str) -> str:
    return "".join(f"{i} {j} {k} {numbers}\n" for i in elements for j in elements for k in elements)


def changed(numbers: str, names: tuple[str, ...], **to: str) -> str:
    words = numbers.split()
    for name, word in to.items():
        words[names.index(name)] = word
    return "Si Si Si " + " ".join(words)


# --- what is read ---------------------------------------------------------------------------------


def test_lines_and_comments(file: Path) -> None:
    """Entries go over lines as they like; comments anywhere; any end of lines; Fortran's exponents."""
    text = "# one\n\nSi Si Si 2.1683 # eps\n\n  2.0951 1.8 21.0 1.2 -0.333\n# more\n7.0D0 0.6 4 0 0"
    plain = sw(file, "Si Si Si " + SW)
    for variant in (text, text.replace("\n", "\r\n"), text.replace("\n", "\r"), "\ufeff" + text):
        model = sw(file, variant)
        assert model.species == ("Si",)
        assert all((model.pair[k] == plain.pair[k]).all() for k in plain.pair)
    assert plain.cutoff == 2.0951 * 1.8
    assert plain.strength.tolist() == [[[21.0 * 2.1683]]]


@pytest.mark.parametrize(("style", "numbers"), NUMBERS.items())
def test_styles_are_told_apart(style: str, numbers: str, file: Path) -> None:
    model = tersoff(file, f"# comment\nSi Si Si {numbers}\n")
    assert model.style == style
    assert is_tersoff(file)
    assert not is_stillinger_weber(file)
    assert mdkern.load(file).potential.source.style == style
    assert describe_tersoff(file).facts["style"] == style
    assert tersoff(file, f"Si Si Si {numbers}\n", style=style).style == style


def test_a_file_of_two_styles(tmp_path: Path) -> None:
    """Both formats have 21 words: numbers that fit either need a word of the user's, or a name."""
    numbers = "1 1 1 1 1.0 1 1 3.0 0.2 3.2 3264.7 1 1 1 14 14 1.0 1.0"
    path = tmp_path / "x"
    message = "could be of tersoff/mod/c or tersoff/zbl; say which by style='tersoff/mod/c'"
    with pytest.raises(UnsupportedError, match=message):
        tersoff(path, "Si Si Si " + numbers)
    assert tersoff(path, "Si Si Si " + numbers, style="tersoff/mod/c").style == "tersoff/mod/c"
    assert tersoff(tmp_path / "x.modc", "Si Si Si " + numbers).style == "tersoff/mod/c"
    named = tmp_path / "x.tersoff.zbl"
    named.write_text("Si Si Si " + numbers)
    assert read_tersoff(named).style == "tersoff/zbl"
    with pytest.raises(FormatError, match=r"R of Si Si Si is 3264.7: expected R"):
        tersoff(path, "Si Si Si " + numbers.replace("14 14", "0 0"), style="tersoff/zbl")
    with pytest.raises(FormatError, match=r"x:1: the entry of Si Si Si is none of tersoff/zbl"):
        tersoff(path, "Si Si Si " + numbers.replace("1 1 1 1 1.0", "2 1 1 1 2.0"))


def test_elements(file: Path) -> None:
    """All that are complete, in the order of the file; others may be anything."""
    text = entries(SW, "Si", "C") + "Ge Ge Ge nonsense" + " x" * 10 + "\nSi Ge Ge " + SW + "\n"
    assert sw(file, text).species == ("Si", "C")
    assert sw(file, text, ["C", "Si"]).species == ("C", "Si")
    assert describe_stillinger_weber(file).facts["names_without_all_triplets"] == ["Ge"]
    # Names that are no symbols, and elements without mixtures: the first.
    text = f"Si(B) Si(B) Si(B) {SW}\nSi Si Si {SW}\nC C C {SW}\n"
    assert sw(file, text).species == ("Si",)
    assert sw(file, text, ["C"]).species == ("C",)
    for elements, message in (
        (["Ge"], r"elements: 'Ge' is not in .*, which has Si\(B\), Si, C"),
        (["Si(B)"], r"elements: 'Si\(B\)'; expected a chemical symbol"),
    ):
        with pytest.raises(ValueError, match=message):
            sw(file, text, elements)
    with pytest.raises(FormatError, match="no entry of Si Si C: expected all 8 triplets of Si, C"):
        sw(file, text, ["Si", "C"])
    with pytest.raises(FormatError, match=r"no element with an entry of its own among Si\(B\)"):
        sw(file, f"Si(B) Si(B) Si(B) {SW}")
    with pytest.raises(
        FormatError, match=r":2: a second entry of Si Si Si: the first is on line 1"
    ):
        sw(file, f"Si Si Si {SW}\nSi Si Si {SW}")
    assert sw(file, f"Si Si Si {SW}\nC C C {SW}\nC C C {SW}", ["Si"]).species == ("Si",)


def test_numbers_that_are_not_used(file: Path) -> None:
    """Of (i, j, k) with j != k: what belongs to pairs may be zero, or nonsense."""
    names = STYLES["sw"]
    mixed = changed(SW, names, sigma="-1", a="-2", gamma="-3", A="-4", p="1e9", tol="-1")
    mixed = mixed.removeprefix("Si Si Si ")
    text = entries(SW, "Si", "C")
    for i, j, k in (("Si", "Si", "C"), ("Si", "C", "Si"), ("C", "Si", "C"), ("C", "C", "Si")):
        text = text.replace(f"{i} {j} {k} {SW}", f"{i} {j} {k} {mixed}")
    assert sw(file, text).cutoffs.shape == (2, 2)
    zero = PLAIN.split()
    for name in ("n", "beta", "lam2", "B", "lam1", "A"):
        zero[STYLES["tersoff"].index(name)] = "0"
    text = entries(PLAIN, "Si", "C").replace(f"Si Si C {PLAIN}", "Si Si C " + " ".join(zero))
    assert tersoff(file, text).species == ("Si", "C")


def test_tol_shortens_the_cutoff(file: Path) -> None:
    end = 2.0951 * 1.8
    for tol, gamma, s in (("1e-4", "1.2", 1.0), ("1e-4", "0.5", 0.5), ("0.3", "1.2", 1.0)):
        model = sw(file, changed(SW, STYLES["sw"], tol=tol, gamma=gamma))
        expected = end + s * 2.0951 / np.log(min(float(tol), 0.01))
        assert model.cutoff == pytest.approx(expected, rel=1e-14)


def test_one_entry_of_two(file: Path) -> None:
    assert not sw(file, entries(SW, "Si", "C")).by_index
    text = entries(SW, "Si", "C")
    other = text.replace(
        f"C Si Si {SW}", changed(SW, STYLES["sw"], sigma="2.2").replace("Si Si Si", "C Si Si")
    )
    assert sw(file, other).by_index
    gamma = text.replace(
        f"C Si Si {SW}", changed(SW, STYLES["sw"], gamma="1.3").replace("Si Si Si", "C Si Si")
    )
    assert not sw(file, gamma).by_index


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", FormatError, "the file is empty"),
        ("hello\n", FormatError, r":1: found 'hello': expected an entry, three elements and 11"),
        ("Si Si 1.0\n", FormatError, "expected an entry, three elements"),
        ("Si Si Si 1.0\n", FormatError, r":1: the first entry has 4 words: expected 14 \(sw\)"),
        (f"Si Si Si {SW} 1\n", FormatError, "the first entry has 15 words"),
        (f"Si Si Si {SW}\nC C C {SW} 1", FormatError, r":2: an entry of 15 words: expected 14"),
        (f"Si Si Si {SW}\nC C C 1.0 2.0", FormatError, r":2: an entry of 5 words: expected 14"),
        (f"Si Si Si {SW}\nC C C 1\nC C C {SW}", FormatError, r":2: an entry of 4 words"),
        (f"Si Si Si {SW}\n1 2 3", FormatError, ":1: the first entry has 17 words: expected three elements and 11 numbers"),
        (f"Si Si Si {SW}\nC C C {SW}\n1 2 3", FormatError, r":3: found '1 2 3': expected an entry"),
        (f"Si Si Si {SW}".replace("7.0", "nan"), FormatError, "found 'nan': expected A of Si Si Si"),
        (f"Si Si Si {SW}".replace("2.1683 ", "1e200 "), FormatError, "found '1e200': expected eps of Si Si Si"),
        (f"# UNITS: real\nSi Si Si {SW}", UnsupportedError, ":1: units 'real' are not supported"),
        (f"Si Si Si {PLAIN}", UnsupportedError, "looks like Tersoff .*: mdkern.load takes it"),
        ("Si Si Si " + changed(SW, STYLES["sw"], a="50")[9:], FormatError, "the cutoff of Si Si Si is 104.755"),
        ("Si Si Si " + changed(SW, STYLES["sw"], a="0")[9:], FormatError, "expected a pair that interacts"),
        ("Si Si Si " + changed(SW, STYLES["sw"], tol="0.01", a="0.1")[9:], FormatError, "the cutoff of Si Si Si is -"),
        ("Si Si Si " + changed(SW, STYLES["sw"], eps="-1")[9:], FormatError, r":1: eps of Si Si Si is -1: expected not less than 0"),
        ("Si Si Si " + changed(SW, STYLES["sw"], p="101")[9:], FormatError, "p of Si Si Si is 101: expected 0 to 100"),
    ],
)  # fmt: skip
def test_bad_stillinger_weber(text: str, error: type[Exception], message: str, file: Path) -> None:
    with pytest.raises(error, match=message):
        sw(file, text)


@pytest.mark.parametrize(
    ("style", "to", "message"),
    [
        ("tersoff", {"m": "2"}, "m of Si Si Si is 2: expected 1 or 3"),
        ("tersoff", {"n": "0"}, "n of Si Si Si is 0: expected more than 0"),
        ("tersoff", {"n": "1e-9"}, "n of Si Si Si is 1e-09: expected 0.001 to 1000"),
        ("tersoff", {"d": "0"}, "d of Si Si Si is 0: expected at least 1e-30"),
        ("tersoff", {"D": "4"}, "D of Si Si Si is 4: expected at most R = 3"),
        ("tersoff", {"R": "-1"}, "R of Si Si Si is -1: expected not less than 0"),
        ("tersoff", {"R": "100"}, "R of Si Si Si is 100: expected R . D at most 100 Angstrom"),
        ("tersoff", {"R": "0", "D": "0"}, "R . D of Si Si Si is 0: expected a pair that interacts"),
        ("tersoff", {"lam1": "-1"}, "lam1 of Si Si Si is -1"),
        ("tersoff", {"A": "1e101"}, "found '1e101': expected A of Si Si Si, a finite number"),
        ("tersoff/mod", {"beta_ters": "2"}, "beta_ters of Si Si Si is 2: expected 1"),
        ("tersoff/mod", {"c3": "0"}, "c3 of Si Si Si is 0: expected more than 0"),
        ("tersoff/mod", {"eta": "-1"}, "eta of Si Si Si is -1: expected more than 0"),
        ("tersoff/zbl", {"zscale": "-1"}, "zscale of Si Si Si is -1"),
        ("tersoff/zbl", {"Z_j": "6.5"}, "the entry of Si Si Si is none of tersoff/zbl"),
    ],
)  # fmt: skip
def test_bad_tersoff(style: str, to: dict[str, str], message: str, file: Path) -> None:
    with pytest.raises(FormatError, match=message):
        tersoff(file, changed(NUMBERS[style], STYLES[style], **to))


def test_other_styles_by_their_names(tmp_path: Path) -> None:
    """LAMMPS's sw/mod, gw, Vashishta and EDIP have as many words in their entries."""
    for name, numbers in (("tmd.sw.mod", SW), ("SiC.gw", PLAIN), ("SiO.vashishta", PLAIN)):
        path = tmp_path / name
        path.write_text(f"Si Si Si {numbers}\n")
        assert not is_stillinger_weber(path)
        assert not is_tersoff(path)
        with pytest.raises(UnsupportedError, match=r"looks like (parameters of|Vashishta)"):
            mdkern.load(path)


def test_damaged_files_say_what_is_wrong(tmp_path: Path) -> None:
    """By their names, where nobody recognises the content."""
    path = tmp_path / "x.sw"
    path.write_text("Si Si Si 1.0 2.0\n")
    with pytest.raises(FormatError, match=r"x.sw:1: the first entry has 5 words"):
        mdkern.load(path)
    path = tmp_path / "x.tersoff"
    path.write_text(f"Si Si Si 5{PLAIN[1:]}\n")
    with pytest.raises(FormatError, match=r"x.tersoff:1: m of Si Si Si is 5: expected 1 or 3"):
        mdkern.load(path)


def test_own_and_shared_files() -> None:
    folder = shared_folder("potentials")
    folders = [OWN] if folder is None else [OWN, folder]
    found = [p for f in folders for pattern in ("*.sw", "*.tersoff*") for p in f.glob(pattern)]
    assert len(found) >= 10
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path in found:
            assert is_stillinger_weber(path) == (path.suffix == ".sw")
            assert is_tersoff(path) == (path.suffix != ".sw")
            describe = describe_stillinger_weber if path.suffix == ".sw" else describe_tersoff
            description = describe(path)
            assert description.facts["cutoff_A"] > 1.0
            assert description.facts["names_without_all_triplets"] == []
            assert description.comment
