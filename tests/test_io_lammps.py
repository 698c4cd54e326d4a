"""LAMMPS's data files and text dumps: what ASE's readers make of them, and what is said or mended."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.io import lammpsdata, write

from mdkern.errors import FormatError
from mdkern.io.labels import read_labels
from mdkern.io.structures import count_frames, format_of, read_frames, read_structure


def alloy() -> Atoms:
    atoms = bulk("Cu", cubic=True)
    atoms.symbols[0] = "Ni"
    atoms.set_initial_charges([0.1, 0.2, -0.1, -0.2])
    atoms.set_velocities(np.random.default_rng(0).normal(scale=0.01, size=(4, 3)))
    return atoms


@pytest.mark.parametrize("style", ["atomic", "charge", "full"])
@pytest.mark.parametrize("said", [True, False])
def test_lammps_data(style: str, said: bool, here: Path) -> None:
    atoms = alloy()
    options: dict[str, Any] = {"format": "lammps-data", "atom_style": style}
    write("with.data", atoms, masses=True, velocities=True, **options)
    write("without.data", atoms, **options)
    for name in ("with.data", "without.data"):
        text = Path(name).read_text()
        Path(name).write_text(text if said else text.replace(f"Atoms # {style}", "Atoms"))
    notes: list[str] = []
    got = read_structure("with.data", warn=notes.append)
    assert "units metal are assumed" in notes[0]
    assert str(got.symbols) == str(atoms.symbols)
    assert np.abs(got.positions - atoms.positions).max() < 1e-10
    assert np.abs(got.get_velocities() - atoms.get_velocities()).max() < 1e-10
    with pytest.raises(
        FormatError, match=r"without.data: 2 atom types and no section Masses.*spec"
    ):
        read_structure("without.data")
    for species, symbols in (("Cu-Ni", "NiCu3"), ("Ag-Au", "AuAg3")):
        got = read_structure("without.data", format=f"lammps-data:species={species}")
        assert str(got.symbols) == symbols
    with pytest.raises(FormatError, match="species=Cu: the file has 2 atom types"):
        read_structure("without.data", format="lammps-data:species=Cu")
    assert format_of(here / "with.data") == "lammps-data"


def data_file(
    masses: str = "1 58.7; 2 63.5", atoms: str = "# atomic", first: str = "", n: int = 2
) -> str:
    lines = ["1 2 0 0 0", "2 1 1.8 1.8 0"]
    body = [first, "", "2 atoms", f"{n} atom types", "0 4 xlo xhi", "0 4 ylo yhi", "0 4 zlo zhi"]
    body += ["", "Masses", "", *masses.split("; ")] if masses else []
    return "\n".join([*body, "", f"Atoms {atoms}", "", *lines, ""])


def test_elements_of_lammps_types(here: Path) -> None:
    for masses, symbols in (
        ("1 58.7; 2 63.5", "CuNi"),
        ("1 1.0 # Ni; 2 1.0 # Cu", "CuNi"),
        ("1 28 # silicon; 2 207", "PbSi"),
    ):
        (here / "a.data").write_text(data_file(masses))
        assert str(read_structure("a.data").symbols) == symbols
    labels = "1 58.7; 2 63.5\n\nAtom Type Labels\n\n1 Al\n2 Ag"
    (here / "a.data").write_text(data_file(labels))
    if "Atom Type Labels" in inspect.getsource(lammpsdata):  # younger than ASE 3.26
        assert str(read_structure("a.data").symbols) == "AgAl"
    (here / "a.data").write_text(data_file("1 58.7; 2 50.0"))
    with pytest.raises(FormatError, match="type 2 has mass 50, which is no element's; --format"):
        read_structure("a.data")
    # LAMMPS says the units in the first line of what it writes.
    velocities = data_file(first="LAMMPS data file via write_data, units = real")
    (here / "a.data").write_text(velocities + "\nVelocities\n\n1 1e-3 0 0\n2 0 0 0\n")
    atoms = read_structure("a.data")
    assert atoms.get_velocities()[0, 0] * units.fs == pytest.approx(1e-3)  # Angstrom/fs
    metal = read_structure("a.data", format="lammps-data:units=metal")
    assert metal.get_velocities()[0, 0] * units.fs == pytest.approx(1e-6)  # Angstrom/ps
    (here / "a.data").write_text(data_file(first="LAMMPS data file via write_data, units = lj"))
    with pytest.raises(FormatError, match="LAMMPS units lj"):
        read_structure("a.data")


def test_labels_of_types_follow_their_atoms(here: Path) -> None:
    """LAMMPS writes atoms in any order; ASE sorts their positions, and not the labels of their types."""
    if "Atom Type Labels" not in inspect.getsource(lammpsdata):
        pytest.skip("ASE before 3.27 reads no labels")
    labels = "1 58.7; 2 63.5\n\nAtom Type Labels\n\n1 Ni\n2 Cu"
    for style, middle in (("atomic", ""), ("charge", " 0.5"), ("full", " 0.5")):
        first = " 1" if style == "full" else ""
        rows = f"2{first} Cu{middle} 1.8 1.8 0\n1{first} Ni{middle} 0 0 0"
        text = data_file(labels, f"# {style}").replace("1 2 0 0 0\n2 1 1.8 1.8 0", rows)
        assert rows in text
        (here / "a.data").write_text(text + "\nVelocities\n\n1 0.1 0 0\n2 0 0 0\n")
        atoms = read_structure("a.data", format="lammps-data:units=metal")
        where = {a.symbol: (a.position.tolist(), round(a.mass, 3)) for a in atoms}
        assert where == {"Ni": ([0, 0, 0], 58.7), "Cu": ([1.8, 1.8, 0], 63.5)}
        assert str(atoms.symbols) == "NiCu"
        assert atoms.get_velocities()[0].any()
        assert not atoms.get_velocities()[1].any()


def test_lammps_styles(here: Path) -> None:
    (here / "a.data").write_text(data_file(atoms="# sphere"))
    with pytest.raises(FormatError, match="LAMMPS atom style sphere: ASE reads atomic, charge"):
        read_structure("a.data")
    six = data_file(atoms="").replace("1 2 0 0 0", "1 2 1 0 0 0").replace("2 1 1.8", "2 1 2 1.8")
    (here / "a.data").write_text(six)
    with pytest.raises(FormatError, match=r"Atoms with 6 columns.*lammps-data:atom_style=NAME"):
        read_structure("a.data")
    got = {}
    for style in ("charge", "molecular"):
        atoms = read_structure("a.data", format=f"lammps-data:atom_style={style}")
        got[style] = str(atoms.symbols)
    assert got == {"charge": "CuNi", "molecular": "NiCu"}
    (here / "a.data").write_text(data_file().partition("Atoms")[0])
    with pytest.raises(FormatError, match="without a section Atoms"):
        read_structure("a.data")
    (here / "a.data").write_text(data_file("1 58.7; 2 x"))
    with pytest.raises(FormatError, match=r"a.data:12: Masses: '2 x'"):
        read_structure("a.data")


DUMP = """ITEM: TIMESTEP
{step}
ITEM: NUMBER OF ATOMS
2
ITEM: BOX BOUNDS pp pp ff
0 10
0 10
0 10
ITEM: ATOMS id type {name}x y z vx vy vz fx fy fz
2 2 {b}4 1 1 -1 0 0 0.5 0 0
1 1 {a}1 1 1 1 0 0 -0.5 0 0
"""


def test_lammps_dump(here: Path) -> None:
    plain = "".join(DUMP.format(step=k, name="", a="", b="") for k in range(3))
    (here / "a.dump").write_text(plain)
    with pytest.raises(FormatError, match=r"a.dump: a LAMMPS dump with types.*species=Cu-Ni"):
        read_structure("a.dump")
    frames = read_frames("a.dump", format="lammps-dump-text:species=Cu-Ni", warn=lambda _text: None)
    assert [str(f.symbols) for f in frames] == ["CuNi"] * 3
    assert frames[0].pbc.tolist() == [True, True, False]
    assert frames[0].get_velocities()[0, 0] * 1000 * units.fs == pytest.approx(1.0)
    # ASE makes an energy of zero beside the forces, which the file does not say.
    assert read_labels(frames[0]).keys == {"forces": "forces"}
    assert count_frames("a.dump", "lammps-dump-text:species=Cu-Ni") == 3
    Path("a.bin").write_bytes(bytes(100))
    with pytest.raises(FormatError, match=r"a.bin: a binary LAMMPS dump"):
        read_structure("a.bin", format="lammps-dump-binary")
    for name, a, b in (("element ", "Cu ", "Ni "), ("mass ", "63.546 ", "58.69 ")):
        (here / "b.dump").write_text(DUMP.format(step=0, name=name, a=a, b=b))
        assert str(read_structure("b.dump", warn=lambda _text: None).symbols) == "CuNi"
    # LAMMPS writes C where nobody told it the elements; masses may be anything: what is said goes first.
    for name, a, b in (("element ", "C ", "C "), ("mass ", "12.0 ", "12.5 ")):
        (here / "b.dump").write_text(DUMP.format(step=0, name=name, a=a, b=b))
        atoms = read_structure(
            "b.dump", format="lammps-dump-text:species=Cu-Ni,units=metal", warn=lambda _text: None
        )
        assert str(atoms.symbols) == "CuNi"
        masses = [12.0, 12.5] if name == "mass " else [63.546, 58.693]
        assert atoms.get_masses() == pytest.approx(masses, abs=1e-3)
        with pytest.raises(FormatError, match=r"b.dump: species=Cu: the file has atom type 2"):
            read_structure("b.dump", format="lammps-dump-text:species=Cu,units=metal")
    (here / "b.dump").write_text(
        DUMP.format(step=0, name="element ", a="C ", b="C ").replace("id type", "id mol")
    )
    with pytest.raises(FormatError, match=r"species=Cu-Ni: .* without a column type"):
        read_structure("b.dump", format="lammps-dump-text:species=Cu-Ni")


def test_rows_of_a_lammps_dump(here: Path) -> None:
    say = "lammps-dump-text:species=Cu-Ni,units=metal"
    plain = DUMP.format(step=0, name="", a="", b="")
    (here / "a.dump").write_text(plain + "\n\n")  # blank lines at the end
    assert str(read_structure("a.dump", format=say).symbols) == "CuNi"
    (here / "a.dump").write_text(plain[:-12])  # was being written
    with pytest.raises(FormatError, match=r"a.dump:11: 7 words; expected 11: id type x"):
        read_structure("a.dump", format=say)
    (here / "a.dump").write_text(plain.replace("2 2 4", "2 Ni 4"))
    with pytest.raises(FormatError, match=r"a.dump:10: type: 'Ni'; expected a number"):
        read_structure("a.dump", format=say)


@pytest.mark.parametrize("types", [True, False])
def test_masses_of_a_lammps_dump(types: bool, here: Path) -> None:
    """Heavy water, whose hydrogen has the element's name and twice its mass."""
    notes: list[str] = []
    text = "".join(
        DUMP.format(step=k, name="element mass ", a="H 2.014 ", b="O 15.999 ") for k in range(2)
    )
    if not types:
        text = text.replace("id type", "id").replace("\n2 2 ", "\n2 ").replace("\n1 1 ", "\n1 ")
    (here / "a.dump").write_text("ITEM: UNITS\nmetal\n" + text)
    for frame in read_frames("a.dump", warn=notes.append):
        assert str(frame.symbols) == "HO"
        assert frame.get_masses().tolist() == [2.014, 15.999]
        assert frame.get_velocities()[0, 0] * 1000 * units.fs == pytest.approx(1.0)
    assert not notes
    mixed = text.replace("O 15.999", "H 1.008").replace("\n2 2 ", "\n2 1 ")
    (here / "a.dump").write_text("ITEM: UNITS\nmetal\n" + mixed)
    read_frames("a.dump", warn=notes.append)
    assert "column mass is not used: several masses of one" in notes[0]
