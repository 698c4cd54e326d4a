"""How the commands read structure files: formats, frames, partial occupancy, reference values, velocities."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.io import read, write
from cli_checks import one_error, run_json

from mdkern.calculators import EAM
from mdkern.cli import main

ZHOU = ("--potential", "zhou2004")
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("info", "{}"),
    ("neighbors", "{}", "--cutoff", "3"),
    ("describe", "{}", "--r-cut", "4", "--n-max", "2", "--l-max", "1"),
    ("md", "{}", *ZHOU, "--steps", "1"),
    ("relax", "{}", *ZHOU, "--fmax", "10"),
    ("evaluate", "{}", *ZHOU),
)
CIF = """data_alloy
_cell_length_a 3.57
_cell_length_b 3.57
_cell_length_c 3.57
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Cu1 Cu 0 0 0 0.4
Ni1 Ni 0 0 0 0.6
"""


def of(command: tuple[str, ...], name: str) -> list[str]:
    return [word.format(name) for word in command]


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that sets what comes on standard input."""

    def pipe(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return pipe


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c[0])
def test_partial_occupancy(
    command: tuple[str, ...], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "alloy.cif").write_text(CIF)
    words = of(command, "alloy.cif")
    assert main(words) == 2
    one_error(capsys, "alloy.cif: occupancy below 1: site Cu1/Ni1: Cu 0.4, Ni 0.6", "--occupancy")
    assert main([*words, "--occupancy", "majority", "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("mdkern: warning: alloy.cif: occupancy below 1, each site")
    facts = json.loads(captured.out)
    assert facts.get("formula", "Ni") in ("Ni", "Ni4")
    if command[0] == "describe":
        assert facts["descriptor"]["species"] == [28]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c[0])
def test_format_index_and_standard_input(
    command: tuple[str, ...], here: Path, piped: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    write(here / "cu.data", bulk("Cu", cubic=True) * 2, format="lammps-data", specorder=["Cu"])
    write(here / "cu.extxyz", [bulk("Cu", cubic=True) * 2] * 3)
    words = of(command, "cu.data")
    assert main(words) == 2
    one_error(capsys, "cu.data: 1 atom types and no section Masses", "lammps-data:species=Cu")
    assert main([*words, "--format", "lamps-data"]) == 2
    one_error(capsys, "format 'lamps-data'", "lammps-data")
    facts = run_json(capsys, *words, "--format", "lammps-data:species=Cu")
    assert facts.get("n_atoms", 32) == 32
    words = of(command, "cu.extxyz")
    assert main([*words, "--index", "5"]) == 2
    one_error(capsys, "cu.extxyz: no frames at index 5: there are 3")
    (here / "empty.extxyz").write_text("")
    assert main(of(command, "empty.extxyz")) == 2
    one_error(capsys, "empty.extxyz: is empty")
    for data, more in (
        ((here / "cu.extxyz").read_bytes(), ()),
        ((here / "cu.data").read_bytes(), ("--format", "lammps-data:species=Cu")),
    ):
        piped(data)
        facts = run_json(capsys, *of(command, "-"), *more)
        assert facts.get("n_atoms", 32) == 32
    for data, said in (
        (b"", "standard input: is empty"),
        (b"words\n", "standard input: the format"),
    ):
        piped(data)
        assert main(of(command, "-")) == 2
        one_error(capsys, said)


def test_validate_reads_as_the_others(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "alloy.cif").write_text(CIF)
    assert main(["validate", "--help"]) == 0
    assert "--occupancy" in capsys.readouterr().out


def test_info_says_how_many_frames(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = [bulk("Cu", a=3.6 + 0.1 * k, cubic=True) for k in range(4)]
    for name in ("cu.extxyz", "cu.traj", "cu.xyz"):
        write(here / name, frames)
        facts = run_json(capsys, "info", name)
        assert facts["frames"] == 4
        assert facts["cell_lengths_A"][0] == pytest.approx(3.9)
        assert run_json(capsys, "info", name, "--index", "1")["cell_lengths_A"][0] == pytest.approx(
            3.7
        )
    assert main(["info", "cu.extxyz"]) == 0
    assert "frames          4 (shown: the last)" in capsys.readouterr().out
    write(here / "cu.data", frames[0], format="lammps-data", masses=True)
    facts = run_json(capsys, "info", "cu.data")
    assert (facts["frames"], facts["formula"]) == (1, "Cu4")


# --- reference values -----------------------------------------------------------------------------


def gpumd_frame(atoms: Atoms, head: str, columns: dict[str, Any], lattice: str = "Lattice") -> str:
    """A frame as GPUMD's train.xyz has it."""
    cell = " ".join(map(str, atoms.cell.array.ravel()))
    names = "".join(f":{name}:R:{np.size(x) // len(atoms)}" for name, x in columns.items())
    table = np.hstack(
        [atoms.positions, *(np.reshape(x, (len(atoms), -1)) for x in columns.values())]
    )
    rows = [
        f"{s} {' '.join(f'{x:.12f}' for x in row)}"
        for s, row in zip(atoms.symbols, table, strict=True)
    ]
    return "\n".join(
        [
            str(len(atoms)),
            f'{lattice}="{cell}" {head} Properties=species:S:1:pos:R:3{names}',
            *rows,
            "",
        ]
    )


def nine(tensor: Any) -> str:
    return '"' + " ".join(f"{x:.12f}" for x in np.ravel(tensor)) + '"'


@pytest.fixture
def rattled() -> Atoms:
    atoms = bulk("Cu", cubic=True) * 2
    atoms.rattle(0.05, seed=4)
    atoms.calc = EAM.zhou2004(["Cu"])
    return atoms


@pytest.mark.parametrize(
    ("energy", "forces", "tensor", "lattice"),
    [
        ("energy", "force", "virial", "Lattice"),
        ("Energy", "forces", "stress", "lattice"),
        ("REF_energy", "REF_forces", "REF_stress", "Lattice"),
        ("REF_energy", "REF_forces", "REF_virials", "Lattice"),
        ("dft_energy", "dft_force", "dft_virial", "Lattice"),
        ("total_energy", "forces", "virial", "Lattice"),
    ],
)
def test_reference_values(
    energy: str, forces: str, tensor: str, lattice: str, rattled: Atoms, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    """Labels that are off by known amounts."""
    stress = rattled.get_stress(voigt=False) + np.diag([0.02, 0, 0])
    if "virial" in tensor:
        stress = -rattled.get_volume() * stress
    head = f"{energy}={rattled.get_potential_energy() + 32 * 0.003:.12f} {tensor}={nine(stress)}"
    text = gpumd_frame(
        rattled, head, {forces: rattled.get_forces() + np.array([0.01, 0, 0])}, lattice
    )
    (here / "train.xyz").write_text(text)
    assert main(["evaluate", "train.xyz", *ZHOU, "--json", "-o", "out.extxyz"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    facts = json.loads(captured.out)
    for name, right in (("energy", 0.003), ("forces", 0.01 / 3**0.5), ("stress", 0.02 / 6**0.5)):
        assert facts["errors"][name]["rmse"] == pytest.approx(right, abs=1e-9)
    names = {k: v["names"] for k, v in facts["labels"].items()}
    assert names == {"energy": {energy: 1}, "forces": {forces: 1}, "stress": {tensor: 1}}
    frame = read("out.extxyz")
    wanted = rattled.get_stress() + np.array([0.02, 0, 0, 0, 0, 0])
    assert frame.info["ref_stress"] == pytest.approx(wanted, abs=1e-7)
    assert main(["evaluate", "train.xyz", *ZHOU]) == 0
    assert f"stress from {tensor}" in capsys.readouterr().out or tensor == "stress"


def test_reference_values_that_are_named_or_left_out(
    rattled: Atoms, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    f = rattled.get_forces()
    energy = rattled.get_potential_energy()
    head = f"energy={energy + 32} E0={energy:.12f} S={nine(rattled.get_stress(voigt=False))} my_energy=1"
    (here / "a.xyz").write_text(gpumd_frame(rattled, head, {"F": f, "other_forces": f}))
    words = ["evaluate", "a.xyz", *ZHOU, "--json"]
    assert main(words) == 0
    captured = capsys.readouterr()
    assert "not used: my_energy (not a known name); other_forces" in captured.err
    assert json.loads(captured.out)["errors"]["energy"]["mean"] == pytest.approx(-1.0)
    named = ("--energy-key", "E0", "--forces-key", "F", "--stress-key", "S")
    facts = run_json(capsys, *words[:-1], *named)
    assert {k: e["largest"] < 1e-9 for k, e in facts["errors"].items()} == {
        "energy": True, "forces": True, "stress": True,
    }  # fmt: skip
    assert set(run_json(capsys, *words[:-1], "--energy-key", "none")["errors"]) == set()
    for option, said in (
        (("--energy-key", "E9"), "--energy-key E9: no frame of a.xyz has it"),
        (("--forces-key", "E0"), "E0: shape (); expected three numbers per atom"),
        (("--stress-key", "S", "--virial-key", "S"), "--stress-key and --virial-key"),
    ):
        assert main([*words, *option]) == 2
        one_error(capsys, said)


def test_two_reference_values_of_one_quantity(
    rattled: Atoms, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    energy = rattled.get_potential_energy()
    head = f"energy={energy + 32:.12f} REF_energy={energy:.12f}"
    (here / "a.xyz").write_text(gpumd_frame(rattled, head, {}))
    assert main(["evaluate", "a.xyz", *ZHOU, "--json"]) == 0
    captured = capsys.readouterr()
    assert "energy: REF_energy is used; energy has other values" in captured.err
    assert json.loads(captured.out)["errors"]["energy"]["largest"] < 1e-9
    facts = run_json(capsys, "evaluate", "a.xyz", *ZHOU, "--energy-key", "energy")
    assert facts["errors"]["energy"]["mean"] == pytest.approx(-1)


def test_labels_without_a_number(
    rattled: Atoms, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One NaN leaves the figures of all others as they are; frames without labels are counted."""
    energy, f = rattled.get_potential_energy(), rattled.get_forces()
    broken = f + 0.01
    broken[3, 1] = np.nan
    frames = [
        gpumd_frame(
            rattled, f"energy=nan stress={nine(np.full((3, 3), np.nan))}", {"force": broken}
        ),
        gpumd_frame(rattled, f"energy={energy + 3.2:.12f}", {"force": f + 0.01}),
        gpumd_frame(rattled, "", {}),
    ]
    (here / "a.xyz").write_text("".join(frames))
    assert main(["evaluate", "a.xyz", *ZHOU, "--json", "--plot", "parity.png"]) == 0
    captured = capsys.readouterr()
    facts = json.loads(captured.out)
    assert facts["errors"]["energy"]["rmse"] == pytest.approx(0.1)
    assert facts["errors"]["energy"]["values"] == 1
    assert facts["errors"]["forces"]["rmse"] == pytest.approx(0.01)
    assert facts["errors"]["forces"]["values"] == 2 * 96 - 1
    assert "stress" not in facts["errors"]
    assert facts["labels"]["forces"] == {"names": {"force": 2}, "frames": 2, "not_finite": 1}
    for text in (
        "energy: 1 reference values are not finite",
        "forces: 1 reference values are not finite",
        "forces: 2 of 3 frames have reference values",
        "stress: 6 reference values are not finite",
    ):
        assert text in captured.err
    cluster = Atoms("Cu2", [[0, 0, 0], [2.5, 0, 0]], info={"ref_stress": np.ones(6)})
    write("cluster.extxyz", cluster)
    assert main(["evaluate", "cluster.extxyz", *ZHOU]) == 0
    assert (
        "stress: 1 reference values are not compared: these frames have no cell"
        in capsys.readouterr().err
    )


def test_labels_of_a_trajectory(
    rattled: Atoms, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Entries with the names of results: ASE's writer of extended XYZ refuses them beside results."""
    energy = rattled.get_potential_energy()
    atoms = rattled.copy()
    atoms.info.update(energy=energy + 32, virial=np.eye(3))
    write(here / "a.traj", [atoms, atoms])
    facts = run_json(capsys, "evaluate", "a.traj", *ZHOU, "-o", "out.extxyz")
    assert facts["errors"]["energy"]["mean"] == pytest.approx(-1)
    frame = read("out.extxyz")
    assert frame.get_potential_energy() == pytest.approx(energy, abs=1e-6)
    assert frame.info["ref_energy"] == pytest.approx(energy + 32, abs=1e-6)


# --- velocities -----------------------------------------------------------------------------------

RESTART = (
    '2\nLattice="40 0 0 0 40 0 0 0 40" Properties=species:S:1:pos:R:3:mass:R:1:{}:R:3 pbc="T T T"\n'
    "Cu 10 10 10 63.546 {}\nCu 22 10 10 {} {}\n"
)


@pytest.mark.parametrize("name", ["vel", "velo", "velocities", "velocity"])
def test_md_takes_velocities(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two atoms that move apart at 0.001 Angstrom/fs each, without forces."""
    text = RESTART.format(name, "-0.001 0 0", "63.546", "0.001 0 0")
    (here / "restart.xyz").write_text(text)
    words = ("md", "restart.xyz", *ZHOU, "--steps", "10", "--overwrite", "-o", "run.extxyz")
    facts = run_json(capsys, *words, "--log", "run.csv")
    source = f"from restart.xyz: column {name}, Angstrom/fs"
    assert facts["velocities"] == source
    first, last = read("run.extxyz", ":")
    assert last.get_distance(0, 1) == pytest.approx(12.02, abs=1e-6)
    assert first.info["mdkern_velocities"] == source
    assert name not in first.arrays
    assert json.loads(Path("run.csv").read_text().splitlines()[0][1:])["velocities"] == source
    assert main(words) == 0
    captured = capsys.readouterr()
    kelvin = first.get_temperature()
    assert captured.err == f"mdkern: velocities: {source}; {kelvin:.4g} K\n"
    assert f"velocities     {source}" in captured.out
    assert f"yes (column {name}, Angstrom/fs)" in _info(capsys, "restart.xyz")


def _info(capsys: pytest.CaptureFixture[str], name: str) -> str:
    assert main(["info", name]) == 0
    return capsys.readouterr().out


def test_md_uses_the_masses_of_the_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "a.xyz").write_text(RESTART.format("vel", "0 0 0", "120", "0.001 0 0"))
    facts = run_json(capsys, "md", "a.xyz", *ZHOU, "--steps", "1", "-o", "a.extxyz")
    frame = read("a.extxyz", 0)
    assert frame.get_masses().tolist() == [63.546, 120]
    kinetic = 0.5 * 120 * (0.001 / units.fs) ** 2
    assert frame.get_kinetic_energy() == pytest.approx(kinetic, rel=1e-6)
    assert facts["velocities"].startswith("from a.xyz")


def test_md_says_where_velocities_are_from(
    copper: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--steps", "2", "--seed", "3", "--checkpoint", "run.npz", "-o", "run.traj")
    facts = run_json(capsys, "md", copper, *ZHOU, *words)
    assert facts["velocities"] == "drawn at 300 K, seed 3"
    facts = run_json(capsys, "md", "run.traj", *ZHOU, "--steps", "1")
    assert facts["velocities"] == "from run.traj: momenta, as ASE reads them"
    facts = run_json(capsys, "md", "--restart", "run.npz", "--steps", "1")
    assert facts["velocities"] == "from checkpoint run.npz"
    text = RESTART.format("vel", "0 0 0", "63.546", "0 0 0")
    (here / "zero.xyz").write_text(text)
    assert main(["md", "zero.xyz", *ZHOU, "--steps", "0", "--seed", "1"]) == 0
    err = capsys.readouterr().err
    assert "warning: zero.xyz: column vel is all zero\n" in err
    assert "velocities: drawn at 300 K, seed 1" in err
    (here / "new.xyz").write_text(RESTART.format("vel", "0 0 0", "63.546", "0 0.01 0"))
    words = ("--steps", "0", "--seed", "1", "--new-velocities", "--temperature", "50")
    facts = run_json(capsys, "md", "new.xyz", *ZHOU, *words)
    assert facts["velocities"] == "drawn at 50 K, seed 1"
    assert main(["md", "new.xyz", *ZHOU, "--steps", "0", "--temperature", "50"]) == 0
    assert "--temperature: new.xyz has velocities" in capsys.readouterr().err
    (here / "bad.xyz").write_text(text.replace("vel:R:3", "vel:R:2:x:R:1"))
    assert main(["md", "bad.xyz", *ZHOU]) == 2
    one_error(capsys, "bad.xyz: column vel: expected three numbers per atom")
    (here / "other.xyz").write_text(text.replace("vel:R:3", "my_vel:R:3"))
    assert main(["md", "other.xyz", *ZHOU, "--steps", "0"]) == 0
    assert "column my_vel is not used" in capsys.readouterr().err


def test_moving_atoms_lose_old_reference_values(
    rattled: Atoms, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = f"REF_energy=1 virial={nine(np.eye(3))}"
    (here / "a.xyz").write_text(gpumd_frame(rattled, head, {"force": rattled.get_forces()}))
    run_json(capsys, "md", "a.xyz", *ZHOU, "--steps", "5", "-o", "run.extxyz")
    run_json(capsys, "relax", "a.xyz", *ZHOU, "-o", "relaxed.extxyz")
    for name in ("run.extxyz", "relaxed.extxyz"):
        facts = run_json(capsys, "evaluate", name, *ZHOU)
        assert {k: e["largest"] < 1e-6 for k, e in facts["errors"].items()} == {
            "energy": True, "forces": True, "stress": True,
        }  # fmt: skip
