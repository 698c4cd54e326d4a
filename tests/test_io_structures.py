"""Reading of structure files: formats, partial occupancy, masses, velocities, reference values. LAMMPS's: test_io_lammps.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.io import read, write
from reference_data import OWN

import mdkern
from mdkern.calculators import EAM, NEP
from mdkern.errors import FormatError
from mdkern.io.labels import read_labels
from mdkern.io.structures import (
    count_frames,
    parse_index,
    read_frames,
    read_structure,
    with_results,
)
from mdkern.io.velocities import take_velocities

CIF = """data_{name}
_cell_length_a 4
_cell_length_b 4
_cell_length_c 4
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M '{group}'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
{rows}
"""


def cif(rows: str, group: str = "P 1", name: str = "x") -> str:
    return CIF.format(name=name, group=group, rows=rows.replace("; ", "\n"))


# --- partial occupancy ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "group", "said", "formula"),
    [
        ("Cu1 Cu 0 0 0 0.5; Ni1 Ni 0 0 0 0.5", "F m -3 m", "Cu1/Ni1: Cu 0.5, Ni 0.5", "Cu4"),
        ("Ni1 Ni 0 0 0 0.5; Cu1 Cu 0 0 0 0.5", "F m -3 m", "Ni1/Cu1: Ni 0.5, Cu 0.5", "Ni4"),
        ("Cu1 Cu 0 0 0 0.25(1); Ni1 Ni 0 0 0 0.75(1)", "F m -3 m", "Cu 0.25, Ni 0.75", "Ni4"),
        (
            "A Cu 0 0 0 0.25; B Ni 0 0 0 0.35; C Co 0 0 0 0.4",
            "P 1",
            "A/B/C: Cu 0.25, Ni 0.35, Co 0.4",
            "Co",
        ),
        ("Cu1 Cu 0 0 0 0.9; O1 O .5 .5 .5 1", "P 1", "Cu1: Cu 0.9, vacant 0.1", "CuO"),
        ("Li1 Li 0 0 0 0.3; O1 O .5 .5 .5 1", "P 1", "Li1: Li 0.3, vacant 0.7", "LiO"),
        ("A Cu 0 0 0 0.6; B Ni 0 0 0 0.3; O1 O .5 .5 .5 1", "P 1", "Ni 0.3, vacant 0.1", "CuO"),
        # Two rows, one element: 0.6 of the site together.
        ("F2 Fe2+ 0 0 0 0.2; F3 Fe3+ 0 0 0 0.4; O1 O .5 .5 .5 1", "P 1", "F2/F3: Fe 0.6", "FeO"),
    ],
)
def test_partial_occupancy(rows: str, group: str, said: str, formula: str, here: Path) -> None:
    path = here / "site.cif"
    path.write_text(cif(rows, group))
    with pytest.raises(FormatError, match=f"site.cif: occupancy below 1: .*{re.escape(said)}"):
        read_structure(path)
    notes: list[str] = []
    atoms = read_structure(path, occupancy="majority", warn=notes.append)
    assert atoms.get_chemical_formula() == Atoms(formula).get_chemical_formula()
    (note,) = notes
    assert said in note
    assert ("Equal shares at" in note) == (said.count("0.5") == 2)
    # What is written is full, and is read without a word.
    write("out.extxyz", atoms)
    assert str(read_structure("out.extxyz").symbols) == str(atoms.symbols)
    with pytest.warns(mdkern.errors.MDKernWarning, match="occupancy below 1"):
        read_structure(path, occupancy="majority")


@pytest.mark.parametrize(
    "rows",
    [
        "Cu1 Cu 0 0 0 1; Ni1 Ni .5 .5 .5 1.000",
        "Cu1 Cu 0 0 0 ?; Ni1 Ni .5 .5 .5 .",
        "Cu1 Cu 0 0 0 0.9995(3); Ni1 Ni .5 .5 .5 1",
        "C1 Cu1+ 0 0 0 0.33; C2 Cu2+ 0 0 0 0.67; Ni1 Ni .5 .5 .5 1",  # one element, full
    ],
)
def test_full_sites(rows: str, here: Path) -> None:
    (here / "full.cif").write_text(cif(rows))
    assert str(read_structure("full.cif").symbols) == "CuNi"
    without = re.sub(r"_atom_site_occupancy\n", "", cif("Cu1 Cu 0 0 0; Ni1 Ni .5 .5 .5"))
    (here / "without.cif").write_text(without)
    assert str(read_structure("without.cif").symbols) == "CuNi"
    assert not [key for key in read_structure("full.cif").info if str(key).startswith("_")]


def test_sites_that_exclude_each_other(here: Path) -> None:
    """One atom on two places: neither is the majority."""
    (here / "split.cif").write_text(cif("A Cu 0 0 0 0.5; B Cu 0.05 0 0 0.5; O O .5 .5 .5 1"))
    with pytest.raises(FormatError, match=r"site A: Cu 0.5, vacant 0.5; site B: Cu 0.5"):
        read_structure("split.cif")
    with pytest.raises(FormatError, match=r"split.cif: atoms 0 \(Cu\) and 1 \(Cu\).* 0.2 Angstrom"):
        read_structure("split.cif", occupancy="majority", warn=lambda _: None)
    (here / "symmetry.cif").write_text(cif("A Cu 0 0 0 0.5; B Ni .5 .5 0 0.5", "F m -3 m"))
    with pytest.raises(FormatError, match=r"site B: Ni 0.5, vacant 0.5: coincides by symmetry"):
        read_structure("symmetry.cif", occupancy="majority", warn=lambda _: None)


def test_occupancy_of_one_of_many_blocks(here: Path) -> None:
    blocks = cif("A Cu 0 0 0 1", name="one") + cif("A Cu 0 0 0 0.5", name="two")
    (here / "two.cif").write_text(blocks)
    assert str(read_structure("two.cif", 0).symbols) == "Cu"
    for index in (-1, 1, ":"):
        with pytest.raises(FormatError, match=r"two.cif.*: occupancy below 1: site A: Cu 0.5"):
            read_frames("two.cif", index)
    assert count_frames("two.cif") == 2


@pytest.mark.parametrize("name", ["from.extxyz", "from.traj"])
def test_occupancy_survives_in_files_of_ase(name: str, here: Path) -> None:
    (here / "site.cif").write_text(cif("A Cu 0 0 0 0.6; B Ni 0 0 0 0.4"))
    write(name, read("site.cif"))
    with pytest.raises(FormatError, match=r"occupancy below 1: .*Cu 0.6, Ni 0.4"):
        read_structure(name)
    atoms = read_structure(name, occupancy="majority", warn=lambda _: None)
    assert str(atoms.symbols) == "Cu"


PDB = """CRYST1   10.000   10.000   10.000  90.00  90.00  90.00 P 1           1
ATOM      1  N  ASER A   1       1.000   1.000   1.000  {}  0.00           N
ATOM      2  N  BSER A   1       1.300   1.000   1.000  {}  0.00           N
ATOM      3  CA  SER A   1       2.400   1.000   1.000  {}  0.00           C
END
"""


def test_alternatives_of_pdb(here: Path) -> None:
    (here / "a.pdb").write_text(PDB.format("0.40", "0.60", "1.00"))
    with pytest.raises(FormatError, match=r"a.pdb: occupancy below 1: .*N of SER 1\): N 0.4"):
        read_structure("a.pdb")
    notes: list[str] = []
    atoms = read_structure("a.pdb", occupancy="majority", warn=notes.append)
    assert str(atoms.symbols) == "NC"
    assert atoms.positions[0].tolist() == [1.3, 1.0, 1.0]
    assert "alternative locations: atoms 0" in notes[0]
    # Equal shares: the first; marks without shares are alternatives all the same.
    for shares in (("0.50", "0.50", "1.00"), ("1.00", "1.00", "1.00")):
        (here / "b.pdb").write_text(PDB.format(*shares) + PDB.format("0.20", "0.80", "1.00"))
        with pytest.raises(FormatError, match="occupancy below 1"):
            read_structure("b.pdb", 0)
        first, second = read_frames("b.pdb", ":", occupancy="majority", warn=lambda _: None)
        assert [a.positions[0, 0] for a in (first, second)] == [1.0, 1.3]
    # A column of zeros was never filled.
    plain = PDB.replace("ASER", " SER").replace("BSER", " SER").format("0.00", "0.00", "0.00")
    (here / "c.pdb").write_text(plain)
    assert len(read_structure("c.pdb")) == 3


MODEL = """MODEL {n:8d}
ATOM      1  O   HOH     1       {x:.3f}   1.000   1.000  1.00  0.00           O
ATOM      2  H   HOH     1       1.900   1.000   1.000  1.00  0.00           H
ENDMDL
"""


def test_models_of_pdb(here: Path) -> None:
    cell = "CRYST1   12.000   13.000   14.000  90.00  90.00  90.00 P 1\n"
    text = "".join(MODEL.format(n=n, x=1.0 + 0.1 * n) for n in range(3))
    (here / "a.pdb").write_text(cell + text + "END\n")
    assert count_frames("a.pdb") == 3  # ASE: a fourth one, without atoms
    frames = read_frames("a.pdb")
    assert [len(f) for f in frames] == [2, 2, 2]
    assert [f.cell.lengths().tolist() for f in frames] == [[12.0, 13.0, 14.0]] * 3
    assert all(f.pbc.all() for f in frames)
    assert read_structure("a.pdb").positions[0, 0] == pytest.approx(1.2)
    assert read_structure("a.pdb", 0).positions[0, 0] == pytest.approx(1.0)
    # The cell of the last CRYST1 before a model is its own.
    (here / "b.pdb").write_text(text + cell.replace("12.0", "15.0") + text)
    lengths = [f.cell.lengths()[0] for f in read_frames("b.pdb")]
    assert lengths == [0.0, 0.0, 0.0, 15.0, 15.0, 15.0]
    # What the format has where there is no crystal.
    (here / "c.pdb").write_text("CRYST1    1.000    1.000    1.000  90.00  90.00  90.00\n" + text)
    for frame in read_frames("c.pdb"):
        assert frame.cell.rank == 0
        assert not frame.pbc.any()
    (here / "d.pdb").write_text("HEADER    NOTHING\nEND\n")
    with pytest.raises(FormatError, match=r"d.pdb: no frames at index -1: there are 0"):
        read_structure("d.pdb")


# --- POSCAR ---------------------------------------------------------------------------------------


POSCAR = """{title}
1.0
4 0 0
0 4 0
0 0 4
{elements}1 1
{selective}Direct
0 0 0 {flags}
0.5 0.5 0.5 T T T
"""


def test_flags_of_poscar(here: Path) -> None:
    lines = {"title": "a test", "elements": "Na Cl\n", "selective": "Selective dynamics\n"}
    (here / "POSCAR").write_text(POSCAR.format(**lines, flags="F F F"))
    (constraint,) = read_structure("POSCAR").constraints
    assert constraint.get_indices().tolist() == [0]
    for flag in ("f", ".FALSE.", "False", ".f."):
        (here / "POSCAR").write_text(POSCAR.format(**lines, flags=f"T T {flag}"))
        with pytest.raises(FormatError, match=rf"POSCAR:10: flag '{flag}'.*expected T or F"):
            read_structure("POSCAR")
    (here / "POSCAR").write_text(POSCAR.format(**lines, flags="t .TRUE. T"))
    assert not read_structure("POSCAR").constraints
    # Without the line nobody reads flags.
    (here / "POSCAR").write_text(POSCAR.format(**{**lines, "selective": ""}, flags="f f f"))
    assert not read_structure("POSCAR").constraints


def test_velocities_of_poscar(here: Path) -> None:
    text = POSCAR.format(title="a test", elements="Na Cl\n", selective="", flags="")
    for mode in ("\n", "Cartesian\n"):
        (here / "POSCAR").write_text(text + mode + "0.001 0 0\n0 0 0\n")
        assert read_structure("POSCAR").get_velocities()[0, 0] * units.fs == pytest.approx(0.001)
    (here / "POSCAR").write_text(text + "Direct\n0.001 0 0\n0 0 0\n")
    with pytest.raises(FormatError, match=r"POSCAR:11: velocities in units of the cell"):
        read_structure("POSCAR")


def test_elements_of_poscar_that_are_guessed(here: Path) -> None:
    notes: list[str] = []
    text = POSCAR.format(title="Na Cl", elements="", selective="", flags="")
    (here / "POSCAR").write_text(text)
    assert str(read_structure("POSCAR", warn=notes.append).symbols) == "NaCl"
    (note,) = notes
    assert "no line of elements" in note
    (here / "POSCAR").write_text(
        POSCAR.format(title="x", elements="Na Cl\n", selective="", flags="")
    )
    read_structure("POSCAR", warn=notes.append)
    assert len(notes) == 1


# --- formats, frames ------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
def test_format_and_index() -> None:
    frames = [bulk("Cu", a=3.6 + 0.01 * k) for k in range(5)]
    write("a@1.xyz", frames)  # not a part of the name to ASE
    write("POSCAR", frames[0])
    write("a.traj", frames)
    assert [len(read_frames("a@1.xyz", i)) for i in (":", "1:3", "::2", 0, -5)] == [5, 2, 3, 1, 1]
    assert read_structure("a@1.xyz", 3).cell == pytest.approx(frames[3].cell.array)
    for name in ("a@1.xyz", "a.traj"):
        assert count_frames(name) == 5
        for index in (5, -6, "7:"):
            with pytest.raises(
                FormatError, match=f"{name}: no frames at index {index}: there are 5"
            ):
                read_frames(name, index)
    assert [len(read_frames("POSCAR", i)) for i in (":", "0:3", 0, -1)] == [1] * 4
    with pytest.raises(FormatError, match="POSCAR: no frames at index 1: there is 1"):
        read_structure("POSCAR", 1)
    Path("noname").write_bytes(Path("POSCAR").read_bytes())
    with pytest.raises(FormatError, match=r"noname: the format cannot be told.*--format NAME"):
        read_structure("noname")
    for format in ("vasp", "poscar"):
        assert read_structure("noname", format=format).cell == pytest.approx(frames[0].cell.array)
    for wrong, near in (("lamps-data", "lammps-data"), ("xzy", "xyz"), ("qqqqq", "ase info")):
        with pytest.raises(ValueError, match=f"format '{wrong}'.*{near}"):
            read_structure("POSCAR", format=wrong)
    with pytest.raises(ValueError, match="vasp takes no details"):
        read_structure("POSCAR", format="vasp:species=Cu")
    with pytest.raises(FormatError, match="POSCAR: ASE cannot read it as extxyz"):
        read_structure("POSCAR", format="extxyz")
    with pytest.raises(FileNotFoundError, match="absent"):
        read_structure("absent")
    with pytest.raises(ValueError, match="occupancy: 'any'; expected"):
        read_structure("POSCAR", occupancy="any")
    for content in ("", "\n \n"):
        Path("empty.cif").write_text(content)
        with pytest.raises(FormatError, match=r"empty.cif: is empty"):
            read_structure("empty.cif")


@pytest.mark.usefixtures("here")
def test_columns_that_nobody_names() -> None:
    notes: list[str] = []
    rows = "Cu 0 0 0 0.1 0.2 0.3\nCu 2 2 2 0.1 0.2 0.3\n"
    for second, said in (
        ("", "rows of 7 columns, and no Properties= names them, and 4 are usual"),
        ("Properties=species:S:1:pos:R:3", "rows of 7 columns, and Properties= names 4"),
        ('properties="species:S:1:pos:R:3"', "rows of 7 columns, and Properties= names 4"),
        ("Properties=species:S:1:pos:R:3:forces:R:3", ""),
    ):
        Path("a.xyz").write_text(f"2\n{second}\n{rows}" * 3)
        notes.clear()
        assert len(read_frames("a.xyz", warn=notes.append)) == 3
        assert bool(notes) == bool(said)
        assert not said or said in notes[0]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_frames_behind_a_blank_line_are_not_lost(end: str) -> None:
    frame = f"1{end}{end}Cu 0 0 0{end}"
    Path("a.xyz").write_bytes((frame + frame + end + frame + frame).encode())
    for index in (0, -1, ":"):
        if index == 0:
            assert len(read_structure("a.xyz", 0)) == 1  # nothing behind it is looked at
            continue
        with pytest.raises(FormatError, match=r"a.xyz:7: a blank line in front of further frames"):
            read_frames("a.xyz", index)
    with pytest.raises(FormatError, match=r"a.xyz:7: a blank line"):
        count_frames("a.xyz")
    # Blank lines at the end, and text that is no frame, are common.
    for rest in (end, 3 * end, f"{end}connectivity: 1 2{end}"):
        Path("a.xyz").write_bytes((frame + frame + rest).encode())
        assert len(read_frames("a.xyz")) == count_frames("a.xyz") == 2


@pytest.mark.usefixtures("here")
def test_marks_line_ends_and_other_encodings() -> None:
    write("a.xyz", bulk("Cu"))
    write("a.data", bulk("Cu", cubic=True), format="lammps-data", masses=True)
    for name in ("a.xyz", "a.data"):
        plain = Path(name).read_bytes()
        for content in (b"\xef\xbb\xbf" + plain, plain.replace(b"\n", b"\r\n")):
            Path(name).write_bytes(content)
            assert set(read_structure(name).symbols) == {"Cu"}
    Path("a.data").write_bytes("Kupfer für\n".encode("latin-1") + plain.partition(b"\n")[2])
    assert str(read_structure("a.data").symbols) == "Cu4"


def test_parse_index() -> None:
    assert parse_index("-1") == -1
    assert parse_index("1:5:2") == slice(1, 5, 2)
    assert parse_index(":") == slice(None)
    for text in ("", "a", "1:2:0", "1:2:3:4", "1.5", "1,2"):
        with pytest.raises(ValueError, match=re.escape(f"index {text!r}: expected")):
            parse_index(text)


def test_second_line_as_gpumd_reads_it(here: Path) -> None:
    """Keys in any case, spaces around the sign, masses: ASE leaves cell and forces out without a word."""
    rows = "Cu 0 0 0 1 2 3 60\nNi 2 2 2 4 5 6 61\n"
    (here / "train.xyz").write_text(
        '2\nlattice = "4 0 0 1 5 0 0 0 6" Energy=-1.5 VIRIAL="1 4 5 4 2 6 5 6 3"'
        f" properties=Species:S:1:Pos:R:3:Force:R:3:mass:R:1\n{rows}"
    )
    atoms = read_structure("train.xyz")
    assert atoms.cell.array.tolist() == [[4, 0, 0], [1, 5, 0], [0, 0, 6]]
    assert atoms.pbc.all()
    assert atoms.get_masses().tolist() == [60, 61]
    labels = read_labels(atoms)
    assert labels.keys == {"energy": "Energy", "forces": "force", "stress": "VIRIAL"}
    assert labels.values["energy"] == -1.5
    assert labels.values["forces"].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert labels.values["stress"] * -120 == pytest.approx([1, 2, 3, 6, 5, 4])
    for masses, said in (("60 0", "0.0 for atom 1"), ("-1 60", "-1.0 for atom 0")):
        a, b = masses.split()
        (here / "bad.xyz").write_text(
            f"2\nProperties=species:S:1:pos:R:3:mass:R:1\nCu 0 0 0 {a}\nCu 2 2 2 {b}\n"
        )
        with pytest.raises(FormatError, match=f"column mass: {said}"):
            read_structure("bad.xyz")


# --- velocities -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vel", "velo", "velocities", "velocity", "Vel"])
def test_columns_of_velocities(name: str) -> None:
    atoms = Atoms("CuNi", [[0, 0, 0], [3, 0, 0]])
    column = np.array([[1e-3, 0, 0], [0, -2e-3, 0]])
    atoms.arrays[name] = column
    source, notes = take_velocities(atoms)
    assert source == f"column {name}, Angstrom/fs"
    assert notes == []
    assert atoms.get_velocities() * units.fs == pytest.approx(column)
    assert name not in atoms.arrays
    atoms.arrays["vel"] = 2 * column
    source, notes = take_velocities(atoms)
    assert "momenta" in source
    assert "column vel is not used" in notes[0]
    assert atoms.get_velocities() * units.fs == pytest.approx(column)


def test_columns_that_are_no_velocities() -> None:
    def atoms_with(name: str, column: Any) -> Atoms:
        atoms = Atoms("CuNi", [[0, 0, 0], [3, 0, 0]])
        atoms.arrays[name] = np.array(column)
        return atoms

    with pytest.raises(FormatError, match=r"column vel: expected three numbers per atom.*\(2,\)"):
        take_velocities(atoms_with("vel", [1.0, 2.0]))
    with pytest.raises(FormatError, match=r"column vel: .* for atom 1; expected finite"):
        take_velocities(atoms_with("vel", [[0.0, 0, 0], [np.nan, 0, 0]]))
    source, notes = take_velocities(atoms_with("vel", np.zeros((2, 3))))
    assert (source, notes) == ("", ["column vel is all zero"])
    for name, column in (("my_velocity", np.ones((2, 3))), ("vx", np.ones(2))):
        source, notes = take_velocities(atoms_with(name, column))
        assert source == ""
        assert f"column {name} is not used" in notes[0]


# --- reference values -----------------------------------------------------------------------------

TENSOR = np.array([[1.0, 4, 5], [4, 2, 6], [5, 6, 3]]) / 100
VOIGT = [0.01, 0.02, 0.03, 0.06, 0.05, 0.04]


def labelled(info: dict[str, Any], arrays: dict[str, Any] | None = None) -> Atoms:
    atoms = bulk("Cu", cubic=True)
    atoms.info.update(info)
    atoms.arrays.update(arrays or {})
    return atoms


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stress", TENSOR),
        ("stress", TENSOR.ravel()),
        ("REF_stress", np.array(VOIGT)),
        ("dft_stress", TENSOR[None]),
        *((n, "virial") for n in ("virial", "virials", "REF_virial", "REF_virials", "dft_virial")),
    ],
)
def test_names_of_stresses(name: str, value: Any) -> None:
    volume = bulk("Cu", cubic=True).get_volume()
    given = -volume * TENSOR if isinstance(value, str) else value
    labels = read_labels(labelled({name: given}))
    assert labels.keys == {"stress": name}
    assert labels.values["stress"] == pytest.approx(VOIGT)
    assert read_labels(labelled({name: np.eye(3)[:2]})).unused[name].startswith("shape (2, 3)")
    skew = read_labels(labelled({name: TENSOR + 0.1 * np.eye(3, k=1)}))
    assert skew.unused == {name: "the tensor is not symmetric"}


@pytest.mark.parametrize(
    ("energy", "forces"),
    [
        ("energy", "forces"),
        ("Energy", "force"),
        ("REF_energy", "REF_forces"),
        ("ref_energy", "ref_forces"),
        ("dft_energy", "dft_force"),
        ("DFT_energy", "DFT_forces"),
        ("energy_dft", "forces_dft"),
        ("total_energy", "forces"),
        ("free_energy", "forces"),
    ],
)
def test_names_of_energies_and_forces(energy: str, forces: str) -> None:
    f = np.arange(12.0).reshape(4, 3)
    labels = read_labels(labelled({energy: -3.5}, {forces: f}))
    assert labels.keys == {"energy": energy, "forces": forces}
    assert labels.values["energy"] == -3.5
    assert np.array_equal(labels.values["forces"], f)
    assert not labels.unused
    assert not labels.differing


def test_precedence_and_what_is_left_out() -> None:
    f = np.arange(12.0).reshape(4, 3)
    atoms = labelled(
        {"energy": 1.0, "REF_energy": 2.0, "free_energy": 2.0, "config_energy_weight": 1.0},
        {"my_forces": f, "energies": np.ones(4), "initial_charges": np.ones(4)},
    )
    labels = read_labels(atoms)
    assert labels.keys == {"energy": "REF_energy"}
    assert labels.differing == {"energy": ["energy"]}
    assert labels.unused == {"my_forces": "not a known name", "energies": "per atom"}
    named = read_labels(atoms, {"energy": "energy", "forces": "my_forces"})
    assert named.keys == {"energy": "energy", "forces": "my_forces"}
    assert named.values["energy"] == 1.0
    assert read_labels(atoms, {"energy": "none"}).keys == {}
    with pytest.raises(FormatError, match=r"my_forces: shape \(4, 3\); expected one number"):
        read_labels(atoms, {"energy": "my_forces"})
    with pytest.raises(ValueError, match="expected one of them"):
        read_labels(atoms, {"stress": "a", "virial": "b"})
    both = labelled({"virial": np.eye(3), "stress": np.eye(3)})
    assert read_labels(both).keys == {"stress": "virial"}
    assert read_labels(both).differing == {"stress": ["stress"]}
    assert read_labels(both, {"virial": "none"}).keys == {"stress": "stress"}
    cluster = Atoms("Cu2", [[0, 0, 0], [2, 0, 0]], info={"virial": np.eye(3)})
    assert "no volume" in read_labels(cluster).unused["virial"]


def test_stress_of_a_run_of_gpumd() -> None:
    """There it is a pressure, with the kinetic part."""
    atoms = bulk("Cu", cubic=True) * 2
    atoms.rattle(0.05, seed=1)
    atoms.calc = EAM.zhou2004(["Cu"])
    velocities = np.random.default_rng(0).normal(scale=2e-3, size=(32, 3))  # Angstrom/fs
    moving = atoms.copy()
    moving.set_velocities(velocities / units.fs)
    moving.calc = atoms.calc
    pressure = -moving.get_stress(voigt=False, include_ideal_gas=True)
    frame = atoms.copy()
    frame.info.update(Time=1.0, stress=pressure)
    frame.arrays["vel"] = velocities
    assert read_labels(frame).values["stress"] == pytest.approx(atoms.get_stress(), abs=1e-12)
    frame.info["virial"] = -atoms.get_volume() * atoms.get_stress(voigt=False)
    assert read_labels(frame).keys == {"stress": "virial"}
    assert not read_labels(frame).differing
    del frame.arrays["vel"], frame.info["virial"]
    assert "kinetic part" in read_labels(frame).unused["stress"]
    assert read_labels(frame, {"stress": "stress"}).keys == {"stress": "stress"}


# --- Born effective charges -----------------------------------------------------------------------


@pytest.mark.usefixtures("here")
def test_born_effective_charges_are_written() -> None:
    path = str(OWN.parent / "nep" / "synthetic_nep4_charge2.txt")
    atoms = bulk("MgO", "rocksalt", a=4.2) * (2, 2, 2)
    atoms.rattle(0.1, seed=0)
    atoms.calc = NEP(path)
    born = atoms.calc.get_property("born_effective_charges", atoms)
    energy = atoms.get_potential_energy()
    write("plain.extxyz", atoms)  # ASE's writer has no columns for (n, 3, 3)
    assert read("plain.extxyz").get_potential_energy() == pytest.approx(energy, abs=1e-6)
    (results,) = mdkern.evaluate([atoms], atoms.calc, ["energy", "born_effective_charges"])
    write("out.extxyz", with_results(atoms.copy(), results))
    got = read("out.extxyz")
    assert np.abs(got.arrays["bec"].reshape(-1, 3, 3) - born).max() < 1e-7
    assert got.get_potential_energy() == pytest.approx(energy, abs=1e-6)
