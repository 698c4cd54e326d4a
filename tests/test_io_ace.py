"""Files of the atomic cluster expansion: three formats, other writers, merged products, and what is refused with which words."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ace_data import OWN, TINY, TINY_ACE, TINY_ACE_AS_YACE, TINY_GRACE, TINY_YACE, ace_file

from mdkern.errors import FormatError, MDKernError, UnsupportedError
from mdkern.io.ace import AceModel, is_ace, read_ace
from mdkern.io.ace_facts import describe_ace
from mdkern.io.yaml_text import parse_yaml

# Of processor time. A parser whose time grows with the square of the file would take hours.
ENOUGH_SECONDS = 30.0
TOYS = sorted(path.name for path in OWN.glob("toy_*") if path.suffix in (".yace", ".ace", ".yaml"))


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str | bytes], AceModel]:
    """The model of a text."""

    def of(text: str | bytes) -> AceModel:
        path = tmp_path / "x.pot"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_ace(path)

    return of


def equal(x: Any, y: Any) -> bool:
    """The same values and bits, whatever holds them; paths aside."""
    if isinstance(x, np.ndarray):
        return bool(x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes())
    if isinstance(x, tuple):
        return len(x) == len(y) and all(map(equal, x, y))
    if isinstance(x, dict):
        return list(x) == list(y) and all(equal(x[key], y[key]) for key in x)
    if hasattr(x, "__dataclass_fields__"):
        names = [name for name in x.__dataclass_fields__ if name not in ("path", "format")]
        return all(equal(getattr(x, name), getattr(y, name)) for name in names)
    return bool(x == y)


# --- what is read


def test_the_content_decides(tmp_path: Path) -> None:
    for kind, text in TINY.items():
        for name in ("x.yace", "x.ace", "x.yaml", "x"):
            path = tmp_path / name
            path.write_text(text)
            assert is_ace(path)
            assert read_ace(path).format == kind
    for kind in ("yace", "grace"):  # functions before all other keys
        head, _, functions = TINY[kind].partition("functions:\n")
        path.write_text("functions:\n" + functions + "# x\n" * 20000 + head)
        assert is_ace(path)
        assert read_ace(path).format == kind
    for text in ("", "elements: [Cu]\n", "bonds: 3\n", "nep4 1 Cu\n", "species:\n  - nbody: []\ndeltaSplineBins: 0.001\nelements: [Cu]\n"):  # fmt: skip
        path.write_text(text)
        assert not is_ace(path)


@pytest.mark.parametrize("name", TOYS)
def test_toys(name: str) -> None:
    path = ace_file(name)
    assert is_ace(path)
    model = read_ace(path)
    assert model.path == str(path)
    assert model.n_functions > 20
    assert len(model.bonds) == len(model.elements) ** 2
    facts = describe_ace(path)
    assert facts.facts["species"] == list(model.elements)
    assert sum(facts.facts["n_functions"]) == model.n_functions
    assert f"l up to {model.l_max}" in facts.fields["angular"]


def test_yace(read: Any) -> None:
    model = read(TINY_YACE)
    assert model.elements == ("Si", "O")
    assert model.e0.tolist() == [-1.5, 0.25]
    assert (model.n_radial_base, model.n_radial_max, model.l_max) == (3, 2, 1)
    assert (model.scale, model.shift, model.norm, model.inner) == (1, 0, 1, "density")
    assert model.cutoff == 4.5
    first, second = model.embeddings
    assert first.weights.tolist() == [1, 0.5]
    assert first.exponents.tolist() == [1, 0.5]
    assert (second.kind, second.rho_cut, second.drho_cut) == ("FinnisSinclair", 100, 25)
    bond = model.bonds[0, 1]
    assert (bond.basis, bond.parameter, bond.cutoff, bond.dcut) == ("ChebExpCos", 4.5, 4.5, 0.01)
    assert (bond.prehc, bond.lambdahc, bond.r_in, bond.d_in) == (10, 1.2, 1.1, 0.3)
    assert bond.coefficients.tolist() == [[[0.3, 0.4, 0], [0.2, -0.5, 0]], [[0, 0, 0], [0, 0, 0]]]
    of_silicon = model.functions[0]
    assert [len(f.mus) for f in of_silicon] == [1, 1, 2, 3]
    assert of_silicon[2].mus.tolist() == [0, 1]
    assert of_silicon[2].ns.tolist() == [0, 0]
    assert of_silicon[2].ms.tolist() == [[0, 0], [-1, 1]]
    assert of_silicon[2].couplings.tolist() == [[0.3, 0.1], [-0.6, -0.2]]
    products = model.products[0]
    assert products.rank1.tolist() == [[0, 1], [1, 0]]
    assert products.rank1_coefficients.tolist() == [[0.7, -0.2], [0.4, 0.3]]
    # Of the row with m = -1, 1 and its mirror the greater is kept.
    found = {
        tuple(map(tuple, products.a_index[row].tolist())): c
        for row, c in zip(products.terms[2], products.coefficients[2].tolist(), strict=True)
    }
    assert found == {
        ((0, 0, 1, 0), (1, 0, 1, 0)): [0.3, 0.1],
        ((0, 0, 1, 1), (1, 0, 1, -1)): [-0.6, -0.2],
    }


def test_ace_and_yace_of_the_same_content(read: Any) -> None:
    text, yace = read(TINY_ACE), read(TINY_ACE_AS_YACE)
    assert (text.format, yace.format) == ("ace", "yace")
    assert equal(text, yace)


def test_grace(read: Any) -> None:
    model = read(TINY_GRACE)
    assert (model.kind, model.norm, model.scale, model.shift) == ("grace", 0.05, 1.5, 0.125)
    assert model.species_weights.tolist() == [[0.8, -0.3], [1.2, 0.4]]
    assert model.bonds[1, 0] is model.bonds[0, 1]
    assert model.bonds[0, 0].coefficients[1, 0].tolist() == [0.1, 0.4, 0.2]
    products = model.products[0]
    assert products.a_index.tolist() == [[0, 0, 0, 0], [0, 0, 1, -1], [0, 0, 1, 0], [0, 0, 1, 1],
                                         [0, 1, 0, 0], [0, 1, 1, -1], [0, 1, 1, 0], [0, 1, 1, 1]]  # fmt: skip
    assert products.terms[2].tolist() == [[1, 1], [2, 2], [3, 3]]
    assert products.coefficients[2].tolist() == [[15, 5]] * 3
    assert [g.ns.tolist() for g in products.groups] == [[0, 1], [0], [1]]


def test_grace_without_optional_keys(read: Any) -> None:
    text = re.sub(r"(?m)^(nnorm|E0|shift|scale):.*\n", "", TINY_GRACE).replace(", rank: 2}", "}")
    model = read(text)
    assert (model.norm, model.scale, model.shift) == (1, 1, 0)
    assert model.e0.tolist() == [0, 0]
    assert model.n_functions == 5


@pytest.mark.parametrize("name", [name for name in TOYS if "grace" in name])
def test_groups_are_the_products(name: str) -> None:
    model = read_ace(ace_file(name))
    for products in model.products:
        sums: dict[tuple[Any, ...], Any] = {}
        for group in products.groups:
            assert (np.diff(group.ns) > 0).all()
            for n, c in zip(group.ns.tolist(), group.coefficients, strict=True):
                for lm, coupling in zip(group.lm.tolist(), group.couplings, strict=True):
                    key = tuple((0, n, l, m) for l, m in lm)
                    sums[key] = sums.get(key, 0) + coupling * c
        merged = {
            tuple(map(tuple, products.a_index[row].tolist())): c
            for rank, rows in products.terms.items()
            for row, c in zip(rows, products.coefficients[rank], strict=True)
        }
        assert sums.keys() == merged.keys()
        for key, value in sums.items():
            np.testing.assert_allclose(value, merged[key], rtol=1e-13)
        # Functions of all n share few lists of monomials.
        assert len(products.groups) < sum(len(group.ns) for group in products.groups)


def test_products_are_distinct_and_in_use() -> None:
    for name in TOYS:
        for products in read_ace(ace_file(name)).products:
            index = [tuple(row) for row in products.a_index.tolist()]
            assert index == sorted(set(index))
            used = set()
            for rank, rows in products.terms.items():
                assert (np.diff(rows, axis=1) >= 0).all()
                assert len({tuple(row) for row in rows.tolist()}) == len(rows)
                assert products.coefficients[rank].shape[0] == len(rows)
                used |= set(rows.ravel().tolist())
            assert used == set(range(len(index)))


def _with(line: str, text: str = TINY_YACE) -> str:
    return text.replace(
        "  1:\n    - {mu0: 1, rank: 1", f"    - {line}\n  1:\n    - {{mu0: 1, rank: 1"
    )


def test_equal_products_are_added(read: Any) -> None:
    """Factors in another order, mirrors, and functions that come twice."""
    rank2 = "{mu0: 0, rank: 2, ndensity: 2, num_ms_combs: 3, mus: [1, 0], ns: [1, 1], ls: [1, 1], ms_combs: [0, 0, -1, 1, 1, -1], ctildes: [1, 2, 3, 4, 5, 6]}"
    products = read(_with(rank2)).products[0]
    assert sorted(products.coefficients[2].tolist()) == [[0.3 + 1, 0.1 + 2], [-0.6 + 3 + 5, -0.2 + 4 + 6]]  # fmt: skip
    gone = rank2.replace("[1, 2, 3, 4, 5, 6]", "[-0.3, -0.1, 0, 0, 0, 0]")
    assert read(_with(gone)).products[0].coefficients[2].tolist() == [[-0.6, -0.2]]
    # Sums of m that are odd change the sign of the real part.
    odd = rank2.replace("ms_combs: [0, 0, -1, 1, 1, -1]", "ms_combs: [0, 1, 0, -1, 0, 0]")
    terms = read(_with(odd)).products[0]
    row = terms.terms[2][np.isin(terms.coefficients[2][:, 0], [-2.0])]
    assert terms.a_index[row[0]].tolist() == [[0, 0, 1, 1], [1, 0, 1, 0]]
    assert [1.0 - 3.0, 2.0 - 4.0] in terms.coefficients[2].tolist()


def test_functions_of_fewer_densities(read: Any) -> None:
    text = TINY_YACE.replace("rank: 1, ndensity: 2, num_ms_combs: 1, mus: [1], ns: [1], ls: [0], ms_combs: [0], ctildes: [0.4, 0.3]",
                             "rank: 1, ndensity: 1, num_ms_combs: 1, mus: [1], ns: [1], ls: [0], ms_combs: [0], ctildes: [0.4]")  # fmt: skip
    assert text != TINY_YACE
    assert read(text).products[0].rank1_coefficients.tolist() == [[0.7, -0.2], [0.4, 0]]


def test_elements_without_functions(read: Any) -> None:
    for text in (re.sub(r"(?s)  1:\n    - .*", "", TINY_YACE), re.sub(r"(?s)  1:\n    - .*", "  1: []\n", TINY_YACE)):  # fmt: skip
        model = read(text)
        assert len(model.functions[1]) == 0
        assert len(model.products[1].a_index) == 0
        assert model.products[1].rank1_coefficients.shape == (0, 1)


# --- other writers


def _tree(text: str) -> Any:
    """By PyYAML; lists that are keys are tuples."""
    yaml = pytest.importorskip("yaml")

    class Loader(yaml.SafeLoader):  # type: ignore[name-defined,misc]
        pass

    def mapping(loader: Any, node: Any) -> Any:
        made = [[loader.construct_object(x, deep=True) for x in pair] for pair in node.value]
        return {tuple(key) if isinstance(key, list) else key: value for key, value in made}

    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    return yaml.load(text, Loader)


STYLES: dict[str, dict[str, Any]] = {
    "leaves in flow": {"default_flow_style": None},
    "all in blocks": {"default_flow_style": False},
    "all in braces": {"default_flow_style": True},
    "short lines": {"default_flow_style": None, "width": 30},
    "wide blocks": {"default_flow_style": False, "indent": 6},
    "marks": {"default_flow_style": None, "explicit_start": True, "explicit_end": True},
    "unsorted": {"default_flow_style": None, "sort_keys": False},
    "quoted": {"default_flow_style": None, "default_style": '"'},
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kind", ["yace", "grace"])
def test_styles_of_yaml(read: Any, kind: str, style: str) -> None:
    yaml = pytest.importorskip("yaml")

    class Dumper(yaml.SafeDumper):  # type: ignore[name-defined,misc]
        def ignore_aliases(self, _: Any) -> bool:
            return True

    Dumper.add_representer(
        tuple,
        lambda own, data: own.represent_sequence(
            "tag:yaml.org,2002:seq", list(data), flow_style=True
        ),
    )
    text = yaml.dump(_tree(TINY[kind]), Dumper=Dumper, **STYLES[style])
    text = re.sub("!!(int|float) ", "", text)
    assert equal(read(text), read(TINY[kind]))


def test_parser_agrees_with_pyyaml() -> None:
    text = """\
# a comment: [
plain: one # two
quoted: "a: b \\" #"
single: 'it''s'
empty:
tilde: ~
numbers: [1, -2.5, 3e2,
  4, # four
  5]
mixed: [1, a b, {x: [2], "y":  z}, [], {}]
nested:
  - 1
  - [2, 3]
  -   - a
      - b
  - key: value
    other:
    - x
    - y
text: |
  as it is: [
  here
after: words that
  go on
? [0, 1]
: in: a
  block: b
[1, 2]: {a: 1}
url: http://a.b/c#d
"""
    root = parse_yaml(text.encode(), "x").root

    def plain(node: Any) -> Any:
        value = node.value
        if isinstance(value, dict):
            return {key: plain(x) for key, x in value.items()}
        if isinstance(value, list):
            return [plain(x) for x in value]
        return value if value is None or isinstance(value, str) else list(value)

    expected = {
        "plain": "one",
        "quoted": 'a: b " #',
        "single": "it's",
        "empty": None,
        "tilde": None,
        "numbers": [1, -2.5, 300, 4, 5],
        "mixed": ["1", "a b", {"x": [2], "y": "z"}, [], {}],
        "nested": ["1", [2, 3], ["a", "b"], {"key": "value", "other": ["x", "y"]}],
        "text": "  as it is: [\n  here\n",
        "after": "words that go on",
        (0, 1): {"in": "a", "block": "b"},
        (1, 2): {"a": "1"},
        "url": "http://a.b/c#d",
    }
    assert plain(root) == expected


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: "# top\n\n" + re.sub(r"\n( *)(\S)", r"\n\1# a: [ {\n\1\2", text),
        lambda text: text.replace("\n", " # note: x\n"),
        lambda text: text.rstrip("\n"),
        lambda text: text.replace(": [", ":   [ ").replace(",", " , ").replace("]", " ]"),
        lambda text: text + "metadata: {user: 'me: too', start: 2023-01-02 10:20:30, x: {y: [a, b]}}\nlammps_units: metal\n",
    ],
)  # fmt: skip
def test_hands_and_other_systems(read: Any, change: Any) -> None:
    for kind in ("yace", "grace"):
        assert equal(read(change(TINY[kind])), read(TINY[kind]))


def test_spaces_in_ace_texts(read: Any) -> None:
    model = read(TINY_ACE)
    assert equal(read(TINY_ACE.replace("\n", "\r\n")), model)
    assert equal(read(re.sub("= *", " =  ", TINY_ACE).replace("< ", "<").replace(" >", ">")), model)
    assert equal(read("any line\nof 3 words: x=1\n" + TINY_ACE), model)
    joined = re.sub(r"\n(?!nelements)", "  ", TINY_ACE.partition("\n\n")[2])
    assert equal(read(joined), model)


# --- what is refused

YACE_ERRORS = [
    ("elements: [Si, O]", "elements: [Si, Si]", r"x.pot:1: elements: Si, Si; expected different elements"),
    ("elements: [Si, O]", "elements: [Si, Xx]", r":1: elements: 'Xx'; expected a chemical symbol"),
    ("elements: [Si, O]", "elements: Si", r":1: elements: 'Si'; expected a list of chemical symbols"),
    ("elements: [Si, O]\n", "", r"elements: there is no such key"),
    ("E0: [-1.5, 0.25]", "E0: [-1.5]", r":2: E0: 1 numbers; expected 2, one for each element"),
    ("E0: [-1.5, 0.25]", "E0: [-1.5, 1e400]", r":2: E0: inf; expected finite numbers"),
    ("deltaSplineBins: 0.001", "deltaSplineBins: 0", r":3: deltaSplineBins: '0'; expected a number from 1e-05 to 1"),
    ("ndensity: 2, FS", "ndensity: 1, FS", r":5: embeddings of element 0, FS_parameters: 4 numbers; expected 2, w and m"),
    ("FS_parameters: [1, 1.5]", "FS_parameters: [1, 0]", r":6: embeddings of element 1, FS_parameters: exponent 0; expected"),
    ("  1: {ndensity", "  2: {ndensity", r":6: embeddings: key '2'; expected an index of an element, 0 to 1"),
    ("  [1, 1]: ", "  [1, 2]: ", r":11: bonds: key \(1, 2\); expected a pair of elements, each 0 to 1"),
    ("  [1, 1]: ", "  [1, 0]: ", r":11: key \(1, 0\) is given twice"),
    ("  [1, 1]: ", "  [1]: ", r":11: bonds: key \(1,\); expected a pair"),
    ("nradmax: 1, lmax: 1, nradbasemax: 2, radbasename: SBessel", "nradmax: 2, lmax: 1, nradbasemax: 2, radbasename: SBessel", r":10: bonds of \[1, 0\], radcoefficients: .*one for each n, nradmax: 2"),
    ("nradmax: 1, lmax: 1, nradbasemax: 2, radbasename: SBessel", "nradmax: 1, lmax: 0, nradbasemax: 2, radbasename: SBessel", r"one for each l, lmax \+ 1: 1"),
    ("nradmax: 1, lmax: 1, nradbasemax: 2, radbasename: SBessel", "nradmax: 1, lmax: 1, nradbasemax: 3, radbasename: SBessel", r"one number for each k, nradbasemax: 3"),
    ("nradmax: 2", "nradmax: 1000000", r":8: bonds of \[0, 0\], nradmax: '1000000'; expected an integer from 0 to 512"),
    ("lmax: 0", "lmax: 0.5", r":11: bonds of \[1, 1\], lmax: '0.5'; expected an integer"),
    ("radparameters: [4.5]", "radparameters: [0]", r":9: bonds of \[0, 1\], radparameters: lambda 0; expected more than 0"),
    ("rcut: 3.5", "rcut: 0", r":11: bonds of \[1, 1\], rcut: '0'; expected a number from 0.001 to 100"),
    ("rcut: 3.5", "rcut: nan", r"rcut: 'nan'; expected a number"),
    ("rcut: 3.5, ", "", r":11: bonds of \[1, 1\], rcut: there is no such key"),
    ("dcut_in: 0.3, inner_cutoff_type: density}\nfunctions", "dcut_in: 0, inner_cutoff_type: zbl}\nfunctions", r":11: bonds of \[1, 1\], dcut_in: 0 with inner_cutoff_type zbl"),
    ("[0.7, -0.2]", "[0.7]", r":14: functions of element 0, ctildes: 1 numbers; expected 2, num_ms_combs times ndensity"),
    ("[0.7, -0.2]", "[0.7, 1e31]", r":14: functions of element 0, ctildes: 1e\+31; expected a finite number"),
    ("ms_combs: [0, 0, -1, 1]", "ms_combs: [0, 0, -1]", r":16: functions of element 0, ms_combs: 3 numbers; expected 4, num_ms_combs times rank"),
    ("ms_combs: [0, 0, -1, 1]", "ms_combs: [0, 0, -2, 1]", r":16: functions of element 0, ms_combs: -2; expected an integer from -1 to 1"),
    ("ms_combs: [1, -1, 0, 0, 0, 0]", "ms_combs: [1, -1, 1, 0, 0, 0]", r":17: functions of element 0, ms_combs: 1; expected an integer from 0 to 0"),
    ("ls: [1, 1, 0]", "ls: [1, 2, 0]", r":17: functions of element 0, ls: 2; expected an integer from 0 to 1"),
    ("ls: [1, 1, 0]", "ls: [1, 1]", r":17: functions of element 0, ls: 2 numbers; expected 3, as many as the rank"),
    ("ns: [1, 2, 1]", "ns: [1, 3, 1]", r":17: functions of element 0, ns: 3; expected an integer from 1 to 2"),
    ("ns: [1, 2, 1]", "ns: [0, 2, 1]", r"ns: 0; expected an integer from 1 to 2"),
    ("ns: [2], ls", "ns: [4], ls", r":14: functions of element 0, ns: 4; expected an integer from 1 to 3"),
    ("mus: [0, 1]", "mus: [0, 2]", r":16: functions of element 0, mus: 2; expected an integer from 0 to 1"),
    ("mus: [0, 1]", "mus: [0, x]", r"mus: a list of 2 values; expected a list of numbers"),
    ("mu0: 1, rank: 2", "mu0: 0, rank: 2", r":20: functions of element 1, mu0: '0'; expected an integer from 1 to 1"),
    ("mu0: 1, rank: 2", "mu0: 1, rank: 99", r"rank: '99'; expected an integer from 1 to 12"),
    ("rank: 1, ndensity: 1", "rank: 1, ndensity: 2", r":19: functions of element 1, ndensity: 2; expected at most 1"),
    ("  0:\n    - {", "  0:\n    - x\n    - {", r":14: functions of element 0: 'x'; expected a map"),
    ("functions:\n", "functions: 3\nother:\n", r":12: functions: '3'; expected a map"),
    ("functions:", "more:", r"functions: there is no such key"),
]  # fmt: skip
GRACE_ERRORS = [
    ("Z_shape: [2, 2]", "Z_shape: [2, 3]", r":4: radial_basis, Z_shape: \[2, 3\]; expected \[2, 2\], elements and nradmax"),
    ("Z_shape: [2, 2]", "Z_shape: [2]", r"radial_basis, Z_shape: 1 numbers; expected 2"),
    ("Z: [0.8, ", "Z: [", r"radial_basis, Z: 3 numbers; expected 4, the product of Z_shape"),
    ("crad_shape: [2, 2, 3]", "crad_shape: [2, 3, 2]", r"radial_basis, crad_shape: \[2, 3, 2\]; expected 3 as number 3, as n_rad_base says"),
    ("crad_shape: [2, 2, 3]", "crad_shape: [2, 1, 3]", r"radial_basis, crad: 12 numbers; expected 6, the product of crad_shape"),
    ("crad_shape: [2, 2, 3]", "crad_shape: [2, 400, 3]", r"crad_shape: 399 as largest l; expected at most 24"),
    ("crad: [0.5, ", "crad: [", r"radial_basis, crad: 11 numbers; expected 12"),
    ("crad: [0.5, ", "crad: [1e999, ", r"radial_basis, crad: inf; expected finite numbers"),
    ("nradmax: 2", "nradmax: 3", r"crad_shape: \[2, 2, 3\]; expected 3 as number 1, as nradmax says"),
    ("cutoff: 4.0", "cutoff: -4.0", r"radial_basis, cutoff: '-4.0'; expected a number from 0.001 to 100"),
    ("ms_combs: [-1, -1,", "ms_combs: [-2, -1,", r":9: functions of element 0, ms_combs: -2; expected an integer from -1 to 1"),
    ("ls: [1, 1]", "ls: [1, 2]", r":9: functions of element 0, ls: 2; expected an integer from 0 to 1"),
    ("ls: [1, 1]", "ls: [1]", r":9: functions of element 0, ls: 1 numbers; expected 2"),
    ("gen_cgs: [0.5, 0.5, 0.5]", "gen_cgs: [0.5, 0.5]", r":9: functions of element 0, gen_cgs: 2 numbers; expected 3, for 3 terms one for each term"),
    ("coeff: [30.0, 10.0]", "coeff: [30.0]", r":9: functions of element 0, coeff: 1 numbers; expected 2, one for each density"),
    ("coeff: [30.0, 10.0]", "coeff: [30.0, 1e300]", r":9: functions of element 0, coeff: 1e\+300; expected a finite number"),
    ("ns: 2, ls: [0, 1, 1]", "ns: 3, ls: [0, 1, 1]", r":10: functions of element 0, ns: 3; expected an integer from 1 to 2"),
    ("ns: 2, ls: [0, 1, 1]", "ns: [1, 2, 1], ls: [0, 1, 1]", r":10: functions of element 0, ns: expected one integer, which all factors share"),
    ("ndensity: 2, coeff: [2.0, 3.0]", "ndensity: 1, coeff: [2.0]", r":12: functions of element 1, ndensity: '1'; expected an integer from 2 to 2"),
    ("params: [1.0, 1.0, 0.5, 2.0]", "params: [1.0, 1.0, 0.5]", r":3: emb_spec, params: 3 numbers; expected pairs w m"),
    ("nnorm: 0.05", "nnorm: [0.05]", r":2: nnorm: a list of 1 numbers; expected a number"),
    ("scale: 1.5", "scale: x", r":15: scale: 'x'; expected a number"),
    ("E0: [0.5, -0.25]", "E0: [0.5]", r":13: E0: 1 numbers; expected 2"),
]  # fmt: skip
ACE_ERRORS = [
    ("elements: Al", "elements: Qq", r":4: 'Qq'; expected a chemical symbol"),
    ("lmax=1\n", "lmax=99\n", r":6: lmax: '99'; expected an integer from 0 to 24"),
    ("embedding-function: FinnisSinclairShiftedScaled\n", "", r":7: FS parameters with exponents other than 1; expected an embedding-function"),
    ("E0: -1.5", "E0: abc", r":10: E0: 'abc'; expected a number"),
    ("nradmax=2", "nradmax=3", r"crad: 'rankmax=3'; expected a number"),
    ("nradmax=2", "nrad=2", r":14: 'nrad=2'; expected 'nradmax='"),
    ("radparameter= 4.5", "radparameter= 0", r"radparameter: 0; expected more than 0"),
    ("cutoff= 4.0", "cutoff= 4000", r"cutoff: '4000'; expected a number from 0.001 to 100"),
    ("total_basis_size: 2", "total_basis_size: 3", r"the end of the file; expected ctilde_basis_func:"),
    ("total_basis_size: 2", "total_basis_size: 1", r"'ctilde_basis_func:'; expected the end of the file"),
    ("rank=2 ndens=2", "rank=1 ndens=2", r":37: rank=1; expected 2 to 12"),
    ("rank=2 ndens=2", "rank=2 ndens=1", r":37: ndens=1; expected 2"),
    ("n=( 1  2 )", "n=( 1  3 )", r":37: n: 3; expected an integer from 1 to 2"),
    ("l=( 1  1 )", "l=( 1 )", r":37: l: 1 numbers; expected 2, as many as the rank"),
    ("< -1  1 >:", "< -1 >:", r":42: 1 numbers between < and >; expected 2, the rank"),
    ("< -1  1 >:", "< -3  1 >:", r":37: ms: -3; expected an integer from -1 to 1"),
    ("< -1  1 >:  -0.6 -0.2", "< -1  1 >:  -0.6", r"ctilde: 'ctilde_basis_func:'; expected a number"),
    ("mu0=0 mu=( 0  0 )", "mu0=1 mu=( 0  0 )", r":37: mu0=1; expected 0"),
]  # fmt: skip
ERRORS = [
    *(("yace", *row) for row in YACE_ERRORS),
    *(("grace", *row) for row in GRACE_ERRORS),
    *(("ace", *row) for row in ACE_ERRORS),
]


@pytest.mark.parametrize(("kind", "old", "new", "message"), ERRORS)
def test_damage_is_named(read: Any, kind: str, old: str, new: str, message: str) -> None:
    text = TINY[kind]
    assert old in text
    with pytest.raises(FormatError, match=message) as caught:
        read(text.replace(old, new, 1))
    assert caught.value.line is not None


UNSUPPORTED = [
    ("yace", "SBessel", "ACE.jl.base", r":10: bonds of \[1, 0\], radbasename: .*'ACE.jl.base' of ACE.jl \(Julia\)"),
    ("yace", "SBessel", "Gaussian", r"radial basis 'Gaussian'; mdkern evaluates ChebExpCos, ChebPow, ChebLinear, SBessel"),
    ("yace", "npoti: FinnisSinclair,", "npoti: Tanh,", r":6: embeddings of element 1, npoti: embedding 'Tanh'; mdkern evaluates"),
    ("yace", "type: density}\nfunctions", "type: hard}\nfunctions", r":11: bonds of \[1, 1\], inner_cutoff_type: 'hard'; mdkern evaluates density, distance, zbl"),
    ("ace", "nelements=1", "nelements=2", r":3: nelements=2; .* save the potential as .yace"),
    ("ace", "ChebExpCos", "ACE.jl.Basic", r"'ACE.jl.Basic' of ACE.jl"),
    ("ace", "FinnisSinclairShiftedScaled", "Foo", r"embedding 'Foo'"),
    ("grace", "SBessel", "ChebPow", r":4: radial_basis, radbasename: 'ChebPow'; GRACE/FS is evaluated with SBessel"),
    ("grace", "type: FinnisSinclairShiftedScaled", "type: Foo", r":3: emb_spec, type: embedding 'Foo'"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "old", "new", "message"), UNSUPPORTED)
def test_what_is_not_evaluated(read: Any, kind: str, old: str, new: str, message: str) -> None:
    assert old in TINY[kind]
    with pytest.raises(UnsupportedError, match=message):
        read(TINY[kind].replace(old, new, 1))


def test_other_files(read: Any, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"a fit of pacemaker .*: pace_yaml2yace makes"):
        read(
            "deltaSplineBins: 0.001\nelements: [Al]\nspecies:\n  - speciesblock: Al\n    nbody: []\n"
        )
    with pytest.raises(FormatError, match="no file of ACE: expected the keys"):
        read("hello: [1]\n")
    (tmp_path / "saved_model.pb").write_bytes(b"x")
    (tmp_path / "metadata.yaml").write_text("a: 1\n")
    with pytest.raises(UnsupportedError, match=r"a SavedModel of GRACE .*message-passing"):
        read_ace(tmp_path)


def test_files_of_ace_jl(read: Any) -> None:
    """They have other keys for the radial functions; the message is about the functions."""
    with pytest.raises(UnsupportedError, match=r":10: bonds of \[0, 0\], radbasename: .*'ACE.jl.base' of ACE.jl"):  # fmt: skip
        read(
            "deltaSplineBins: 0.001\nE0:\n  - -105.5\nbonds:\n  [0, 0]:\n    rcut: 5.5\n    recursion_coefficients:\n      B:\n"
            '        - 0.0\n    radbasename: "ACE.jl.base"\n    maxn: 6\nlmax: 1\nembeddings:\n  0:\n    ndensity: 1\n'
            '    FS_parameters:\n      - 1.0\n      - 1.0\n    npoti: "FinnisSinclair"\nelements:\n  - "Al"\nfunctions:\n  0:\n    []\n'
        )


def test_test_bases(read: Any) -> None:
    assert read(TINY_YACE.replace("SBessel", "TEST_SBessel")).bonds[1, 0].basis == "SBessel"
    assert read(TINY_YACE.replace("SBessel", "TEST_foo")).bonds[1, 0].basis == "zero"


def test_inner_cutoff_of_the_last_pair(read: Any) -> None:
    text = TINY_YACE.replace("type: density}\nfunctions", "type: distance}\nfunctions")
    assert read(text).inner == "distance"
    assert read(TINY_YACE.replace("density}\n  [0, 1]", "distance}\n  [0, 1]")).inner == "density"
    assert read(TINY_YACE.replace(", inner_cutoff_type: density", "")).inner == "density"
    # Where the last pair has none, it is density, whatever others have; and the last one of the elements counts.
    others = TINY_YACE.replace(", inner_cutoff_type: density}\nfunctions", "}\nfunctions")
    assert read(others.replace("type: density", "type: distance")).inner == "density"
    lines = text.splitlines(keepends=True)
    at = next(k for k, line in enumerate(lines) if line.startswith("  [1, 1]"))
    assert read("".join([*lines[: at - 3], lines[at], *lines[at - 3 : at], *lines[at + 1 :]])).inner == "distance"  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x 1\n", ":1: '&x 1'; anchors of YAML are refused"),
        ("a: [1, *x]\n", "aliases of YAML are refused"),
        ("a: !!python/object:os.system x\n", "tags of YAML are refused"),
        ("a: 1\n---\nb: 2\n", ":2: a second document"),
        ("a: [1, 2\nb: 3\n", ":2: ': 3'; expected ',' or ']'"),
        ("a: {b: 1\n", ":1: '{' that is not closed"),
        ("a: 'x\n", "' that is not closed"),
        ("a: 1\n   b: 2\n", ":2: ': 2'; expected a key at column 1"),
        ("[1e999, 0]: 1\n", ":1: a list that is a key; expected integers in it"),
        ("a: {[0.5]: 1}\n", ":1: a list that is a key; expected integers in it"),
        ("a: [1, 2-3]\n", ":1: '2-3'; expected a number"),
        ("a: 1\na: 2\n", ":2: key 'a' is given twice"),
        ("{a: 1, a: 2}\n", ":1: key 'a' is given twice"),
        ("a: " + "[" * 40 + "\n", "nested in more than 32 levels"),
        ("a:\n" + "".join(" " * k + "b:\n" for k in range(1, 50)), "nested in more than 32 levels"),
        ("- " * 50 + "a\n", "nested in more than 32 levels"),
        ("a: [" + "{}," * 300_000 + "]\n", "more values than a file of its size may have"),
        ("a: [" + "1," * (2**22 + 2) + "]\n", "a list of more than 4194304 numbers"),
        (b"a: \xff\n", ":1: a letter that is not UTF-8"),
    ],
)
def test_yaml_that_is_refused(text: str | bytes, message: str) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    start = time.process_time()
    with pytest.raises(FormatError, match=re.sub(r"([\[{*])", r"\\\1", message)):
        parse_yaml(data, "x")
    assert time.process_time() - start < ENOUGH_SECONDS


@pytest.mark.parametrize("piece", ["[", "{", "{a: ", "- ", "? ", "a: ", "'", '"', "#\n", " ", "\\", ":", "a,", "[1", '"\\', "1 ", "- 1\n"])  # fmt: skip
def test_parser_takes_no_time(piece: str) -> None:
    for before in ("", "a: ", "a: [", "a: {b: ", 'a: "'):
        start = time.process_time()
        with suppress(MDKernError):
            parse_yaml((before + piece * (200_000 // len(piece))).encode(), "x")
        assert time.process_time() - start < ENOUGH_SECONDS


def test_many_functions_are_read_quickly(read: Any) -> None:
    """1.4 MB."""
    head, _, body = TINY_YACE.partition("functions:\n")
    of_silicon, _, rest = body.partition("  1:\n")
    entries = of_silicon.partition("  0:\n")[2]
    text = f"{head}functions:\n  0:\n{entries * 2500}  1:\n{rest}"
    assert len(text) > 1.3e6
    start = time.process_time()
    model = read(text)
    assert time.process_time() - start < ENOUGH_SECONDS
    assert model.n_functions == 4 * 2500 + 2
    np.testing.assert_allclose(model.products[0].coefficients[2].max(), 0.3 * 2500, rtol=1e-9)
