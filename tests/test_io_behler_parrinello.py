"""Folders of n2p2: what is read, and what every refusal says."""

from __future__ import annotations

import re
import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hdnnp_data import DATA

import mdkern
from mdkern.calculators import BehlerParrinello
from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.behler_parrinello import is_behler_parrinello, read_behler_parrinello
from mdkern.potentials.behler_parrinello_tables import kernel_fields

INPUT = """\
number_of_elements 2
elements O H   ! in any order
cutoff_type 1
global_hidden_layers_short 2
global_nodes_short 3 2
global_activation_short t t l
symfunction_short H 2 H 0.1 0.0 6.0
symfunction_short O 2 H 0.1 0.0 6.0
symfunction_short O 3 H H 0.1 1.0 1.0 6.0
"""


def weights(*sizes: int) -> str:
    n = sum((a + 1) * b for a, b in pairwise(sizes))
    return "# w\n" + "".join(f"{0.01 * k:.3f} a 1\n" for k in range(n))


SCALING = """\
# a comment
1 1 0.0 1.0 0.5 0.1
2 1 0.0 1.0 0.5 0.1
2 2 0.0 2.0 0.5 0.1
"""
FILES = {
    "input.nn": INPUT,
    "scaling.data": SCALING,
    "weights.001.data": weights(1, 3, 2, 1),
    "weights.008.data": weights(2, 3, 2, 1),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_what_is_read(folder: Path) -> None:
    model = read_behler_parrinello(folder)
    assert model.species == ("H", "O")
    assert model.cutoff == 6.0
    (member,) = model.members
    assert [len(f) for f in member.functions] == [1, 2]
    assert member.scaling_mode == "none"
    w = member.networks[1].weights
    assert [x.shape for x in w] == [(2, 3), (3, 2), (2, 1)]
    # All outputs of input 1, then those of input 2, then the biases.
    assert np.allclose(w[0], [[0, 0.01, 0.02], [0.03, 0.04, 0.05]])
    assert np.allclose(member.networks[1].biases[0], [0.06, 0.07, 0.08])
    assert is_behler_parrinello(folder)
    assert is_behler_parrinello(folder / "input.nn")
    assert not is_behler_parrinello(folder / "scaling.data")
    assert not is_behler_parrinello(DATA)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("6.0\n", "6.0D0\n"),
        ("\n", "\r\n"),
        ("number_of", "use_short_nn\n\tepochs 5\nnumber_of"),
        ("cutoff_type 1", "cutoff_type 1\nnnp_type 2G-HDNNP\ncutoff_type 1"),
        ("O 3 H H 0.1 1.0 1.0 6.0", "O 3 H H 0.1 1.0 1.0 6.0 0.0"),
    ],
)
def test_other_ways_to_say_it(old: str, new: str, folder: Path) -> None:
    expected = read_behler_parrinello(folder).members[0].functions
    (folder / "input.nn").write_bytes(INPUT.replace(old, new).encode())
    assert read_behler_parrinello(folder).members[0].functions == expected


def test_weighted_functions_of_many_elements(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is one of every pair of elements: a small file would be a large model."""
    (folder / "input.nn").write_text(
        INPUT.replace("O 3 H H 0.1 1.0 1.0 6.0", "O 13 0.1 0.0 1.0 1.0 6.0")
    )
    model = read_behler_parrinello(folder)
    kernel_fields(model, 1.0, 1.0)
    monkeypatch.setattr("mdkern.potentials.behler_parrinello_tables.MOST_WEIGHTED", 2)
    with pytest.raises(UnsupportedError, match="1 weighted functions of pairs of neighbors with 2"):
        kernel_fields(model, 1.0, 1.0)


def test_scaling_data_of_runner(folder: Path) -> None:
    """Without sigma, with the range of the energies at the end."""
    text = re.sub(r" 0.1$", "", SCALING, flags=re.MULTILINE) + "-1.5 2.5\n"
    (folder / "scaling.data").write_text(text)
    (folder / "input.nn").write_text(INPUT + "scale_symmetry_functions\n")
    scaling = read_behler_parrinello(folder).members[0].scaling[1]
    assert scaling.slope.tolist() == [1.0, 0.5]
    (folder / "scaling.data").unlink()
    with pytest.raises(FileNotFoundError):
        read_behler_parrinello(folder)
    (folder / "input.nn").write_text(INPUT)
    assert np.isinf(read_behler_parrinello(folder).members[0].scaling[1].upper).all()


@pytest.mark.parametrize(
    ("lines", "hidden"),
    [
        ("element_nodes_short O 4 2", [4, 2]),  # n2p2: all layers
        ("element_nodes_short O 2 4", [3, 4]),  # RuNNer: a layer and its nodes
        ("element_nodes_short O 1 4\nelement_nodes_short O 2 5", [4, 5]),
        ("element_hidden_layers_short O 1\nelement_nodes_short O 4\nelement_activation_short O s l", [4]),
        ("element_hidden_layers_short O 3\nelement_nodes_short O 4 3 2\nelement_activation_short O s t p l", [4, 3, 2]),
        ("element_hidden_layers_short O 0\nelement_activation_short O l", []),
    ],
)  # fmt: skip
def test_networks_of_single_elements(lines: str, hidden: list[int], folder: Path) -> None:
    (folder / "input.nn").write_text(INPUT + lines + "\n")
    (folder / "weights.008.data").write_text(weights(2, *hidden, 1))
    networks = read_behler_parrinello(folder).members[0].networks
    assert [len(b) for b in networks[1].biases] == [*hidden, 1]
    assert [len(b) for b in networks[0].biases] == [3, 2, 1]


BAD_INPUT = [
    ("number_of_elements 2", "number_of_elements 3", r"input.nn:2: elements: 2 of them; expected 3"),
    ("number_of_elements 2\n", "", "input.nn: no line number_of_elements"),
    ("number_of_elements 2", "number_of_elements x", "input.nn:1: number_of_elements: 'x'; expected a number from 1 to 118"),
    ("elements O H", "elements O Q", "input.nn:2: elements: 'Q'; expected chemical symbols"),
    ("elements O H", "elements O O", "input.nn:2: elements: O O; expected different ones"),
    ("cutoff_type 1", "", "input.nn: no line cutoff_type"),
    ("cutoff_type 1", "cutoff_type 9", "input.nn:3: cutoff_type '9'; expected 0 to 8"),
    ("cutoff_type 1", "cutoff_type 1 1.0", "input.nn:3: alpha 1; expected it from 0 to below 1"),
    ("cutoff_type 1", "cutoff_type 1\ncutoff_type 2", "input.nn:4: cutoff_type: given in line 3 with other values"),
    ("_short 3 2", "_short 3", "input.nn:5: H: nodes of 1 hidden layers; expected 2"),
    ("_short 3 2", "_short 3 2 2", "nodes of 3 hidden layers; expected 2"),
    ("_short 3 2", "_short 3 99999", "input.nn:5: global_nodes_short: '99999'; expected a number from 1 to 4096"),
    ("layers_short 2", "layers_short 99", "input.nn:4: global_hidden_layers_short: '99'; expected a number from 0 to 15"),
    ("_short t t l", "_short t t", "input.nn:6: H: 2 activations; expected 3, one for each hidden layer"),
    ("_short t t l", "_short t x l", "input.nn:6: activation 'x'; expected letters of ltsprgcSeh"),
    ("H 2 H 0.1 0.0 6.0", "N 2 H 0.1 0.0 6.0", "input.nn:7: element 'N'; expected one of H O"),
    ("H 2 H 0.1 0.0 6.0", "H 2 N 0.1 0.0 6.0", "input.nn:7: element 'N'; expected one of H O"),
    ("H 2 H 0.1 0.0 6.0", "H 4 H 0.1 0.0 6.0", "input.nn:7: symmetry function of type '4'; expected one of 2, 3, 9, 12, 13, 20,"),
    ("H 2 H 0.1 0.0 6.0", "H 2 H 0.1 0.0", "input.nn:7: 2 arguments .* type 2; expected e1 eta rs rc|3 arguments"),
    ("1.0 1.0 6.0", "1.0 1.0 6.0 0.1 0.2", "input.nn:9: 8 arguments .* expected e1 e2 eta lambda zeta rc perhaps rs"),
    ("H 2 H 0.1", "H 2 H x", "input.nn:7: eta: 'x'; expected a number"),
    ("H 2 H 0.1", "H 2 H nan", "input.nn:7: eta: 'nan'; expected a number"),
    ("H 2 H 0.1", "H 2 H -0.1", "input.nn:7: eta -0.1; expected it not below zero"),
    ("0.1 0.0 6.0\nsymfunction_short O 2", "0.1 0.0 0.0\nsymfunction_short O 2", "input.nn:7: rc 0; expected a positive number"),
    ("0.1 0.0 6.0\nsymfunction_short O 2", "0.1 0.0 1e3\nsymfunction_short O 2", "input.nn:7: rc 1000; expected at most 200"),
    ("H 2 H 0.1", "H 2 H 1e300", r"input.nn:7: eta 1e\+300; expected at most 1e\+100"),
    ("0.1 1.0 1.0 6.0", "0.1 1.0 5000.5 6.0", "input.nn:9: zeta 5000.5; expected at most 1000"),
    ("H 2 H 0.1 0.0 6.0", "H 20 H 2.0 1.0 p2", "input.nn:7: radii 2 and 1; expected ascending ones"),
    ("H 2 H 0.1 0.0 6.0", "H 20 H 0.0 1.0 p5", "input.nn:7: compact function 'p5'; expected p1, p2, p3, p4 or e"),
    ("H 2 H 0.1 0.0 6.0", "H 22 H H 0 1 90 90 p1", "input.nn:7: angles 90 and 90; expected ascending ones"),
    ("H 2 H 0.1 0.0 6.0", "O 2 H 0.1 0.0 6.0", "input.nn: no symfunction_short of H"),
    ("cutoff_type 1", "cutoff_type 1\nnnp_type 4G-HDNNP", "input.nn:4: nnp_type: '4G-HDNNP'; only networks of the second generation"),
    ("cutoff_type 1", "cutoff_type 1\nnnp_gen 3", "input.nn:4: nnp_gen: '3'"),
    ("cutoff_type 1", "cutoff_type 1\nuse_electrostatics", "input.nn:4: use_electrostatics: charges; not evaluated"),
    ("cutoff_type 1", "cutoff_type 1\nglobal_symfunction_short 2 0.1 0 6", "input.nn:4: global_symfunction_short: "),
    ("cutoff_type 1", "cutoff_type 1\nconv_energy 2.0", "conv_length: expected all of them or none"),
    ("cutoff_type 1", "cutoff_type 1\nmean_energy 0\nconv_length 1\nconv_energy -2.0", "expected positive numbers"),
    ("cutoff_type 1", "cutoff_type 1\natom_energy H", "input.nn:4: atom_energy: no value"),
    ("cutoff_type 1", "cutoff_type 1\natom_energy H 1\natom_energy H 2", "input.nn:5: atom_energy: H has another one before"),
    ("cutoff_type 1", "cutoff_type 1\nscale_symmetry_functions\nscale_symmetry_functions_sigma", "expected one of them"),
    ("cutoff_type 1", "cutoff_type 1\nscale_min_short", "input.nn:4: scale_min_short: no value; expected a number"),
    ("cutoff_type 1", "cutoff_type 1\nelement_activation_short H 1 2 t", "input.nn:4: element_activation_short: activations of single nodes"),
    ("cutoff_type 1", "cutoff_type 1\nelement_nodes_short H 1 2 3", "input.nn:4: element_nodes_short: 3 numbers; expected 2, or"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), BAD_INPUT)
def test_bad_input(old: str, new: str, message: str, folder: Path) -> None:
    assert old in INPUT
    (folder / "input.nn").write_text(INPUT.replace(old, new))
    with pytest.raises((FormatError, UnsupportedError), match=message):
        read_behler_parrinello(folder)


BAD_FILES = [
    ("scaling.data", "2 2 0.0 2.0 0.5 0.1\n", "", "scaling.data: no row of function 2 2"),
    ("scaling.data", "2 2 ", "2 3 ", "scaling.data:4: function '2 3'; expected 1 to 2"),
    ("scaling.data", "2 2 ", "3 1 ", "scaling.data:4: function '3 1'; expected elements 1 to 2"),
    ("scaling.data", "2 2 ", "2 1 ", "scaling.data:4: function 2 1 is given twice"),
    ("scaling.data", "2 2 0.0", "2 2 x", "scaling.data:4: 'x'; expected a finite number"),
    ("scaling.data", "2 2 0.0 2.0", "2 2 0.0 0.0", "scaling.data:4: function 2 2: a range of 0, by which it is divided"),
    ("scaling.data", "1 1 0.0 1.0 0.5 0.1", "1 1 0.0 1.0", "scaling.data:2: 4 numbers; expected element, function, min"),
    ("scaling.data", "2 2 0.0 2.0", "2 2 0.0 1e-300", "divided; expected a positive number, and not such a small one"),
    ("weights.001.data", "0.000 a 1\n", "", "weights.001.data: 16 weights; expected 17, those of 1 inputs, 3 2 hidden nodes"),
    ("weights.001.data", "0.010 a 1", "0.010 a 1\n0.5", "weights.001.data: more weights; expected 17"),
    ("scaling.data", "2 1 0.0 1.0 0.5 0.1", "2 1", "scaling.data:3: 2 numbers; expected at least 5 but at the end"),
    ("weights.008.data", "0.010 a", "inf a", "weights.008.data:3: 'inf'; expected a finite number"),
    ("weights.008.data", "0.010 a", "1_0 a", "weights.008.data:3: '1_0'; expected a finite number"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "message"), BAD_FILES)
def test_bad_files(name: str, old: str, new: str, message: str, folder: Path) -> None:
    assert old in FILES[name]
    (folder / name).write_text(FILES[name].replace(old, new))
    (folder / "input.nn").write_text(INPUT + "scale_symmetry_functions\n")
    with pytest.raises(FormatError, match=message):
        read_behler_parrinello(folder)


def test_products_that_overflow(folder: Path) -> None:
    (folder / "input.nn").write_text(INPUT + "scale_symmetry_functions\n")
    (folder / "scaling.data").write_text(SCALING.replace("2 1 0.0 1.0", "2 1 0.0 1e-9"))
    text = FILES["weights.008.data"].replace("0.010 a", "1e305 a")
    (folder / "weights.008.data").write_text(text)
    with pytest.raises(FormatError, match="so large that products overflow"):
        BehlerParrinello(folder)


def test_lines_that_mean_nothing_take_no_memory(folder: Path) -> None:
    """A line of two bytes must not become an object of a hundred; rows beyond those that are expected are not kept."""
    expected = read_behler_parrinello(folder).members[0].functions
    (folder / "input.nn").write_text("a\n" * 100_000 + INPUT)
    tracemalloc.start()
    assert read_behler_parrinello(folder).members[0].functions == expected
    (folder / "weights.001.data").write_text("1\n" * 100_000)
    with pytest.raises(FormatError, match="more weights; expected 17"):
        read_behler_parrinello(folder)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2e6
    (folder / "input.nn").write_text(INPUT + "symfunction_short H 2 H 0.1 0.0 6.0\n" * 5000)
    with pytest.raises(UnsupportedError, match=r"input.nn:.*: more than 4096 functions of H"):
        read_behler_parrinello(folder)


def test_committees_and_folders(folder: Path) -> None:
    with pytest.raises(FormatError, match=r"neither input.nn nor folders nnp-\* with weights"):
        BehlerParrinello(DATA)
    with pytest.raises(ValueError, match="path: an empty list"):
        BehlerParrinello([])
    with pytest.raises(FormatError, match="elements O Cu; expected H O as in"):
        BehlerParrinello([folder, DATA / "mixed"])
    other = folder / "other.nn"  # of the folder, instead of input.nn
    other.write_text(INPUT + "atom_energy O -2.0\n")
    assert read_behler_parrinello(other).members[0].atom_energies.tolist() == [0.0, -2.0]
    (folder / "weights.001.data").unlink()
    with pytest.raises(FileNotFoundError):
        mdkern.load(folder)
    empty = folder / "empty"
    empty.mkdir()
    (empty / "input.nn").write_text("# nothing\n")
    with pytest.raises(FormatError, match="no keywords in it"):
        mdkern.load(empty)
    (folder / "weights.008.data").write_text("# Neural network connection values\n0.5 a 1\n")
    with pytest.raises(UnsupportedError, match="pass their folder"):
        mdkern.load(folder / "weights.008.data")


def test_what_is_no_folder(folder: Path) -> None:
    """A file is read as an input.nn, whatever its name."""
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_behler_parrinello("nowhere")
    with pytest.raises(FormatError, match=r"scaling.data: no line number_of_elements"):
        read_behler_parrinello(folder / "scaling.data")
    (folder / "input.nn").rename(folder / "other.nn")
    assert read_behler_parrinello(folder / "other.nn").species == ("H", "O")
