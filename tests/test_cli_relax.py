"""mdkern relax: many frames with rows, tables, pictures and journals; restarts, masks and pressures of one."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.constraints import FixBondLengths
from ase.io import read, write
from cli_checks import is_drawn, one_error, run_json

import mdkern
from mdkern.calculators import EAM
from mdkern.cli import main

ZHOU = ("--potential", "zhou2004")


def frames(n: int) -> list[Atoms]:
    out = []
    for k in range(n):
        atoms = bulk("Cu", cubic=True, a=3.55 + 0.01 * k) * (1, 1, 1 + k % 2)
        atoms.rattle(0.05, seed=k)
        out.append(atoms)
    return out


@pytest.fixture
def many(here: Path) -> str:
    """Frame 2 has atoms on top of each other."""
    several = frames(6)
    several[2].positions[1] = several[2].positions[0]
    write(here / "many.extxyz", several)
    return "many.extxyz"


def test_rows_of_many_frames(many: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("relax", many, *ZHOU, "--cell", "full", "--jsonl", "a.jsonl", "--table", "a.csv")
    facts = run_json(capsys, *words, "-o", "a.extxyz", "--index", ":", status=1)
    assert (facts["frames"], facts["converged"], facts["failed"]) == (6, 5, 1)
    assert [bad["frame"] for bad in facts["bad_frames"]] == [2]
    rows = [json.loads(line) for line in Path("a.jsonl").read_text().splitlines()]
    with Path("a.csv").open() as file:
        cells = list(csv.DictReader(file))
    assert facts["results"] == [row for row in rows if not row["failed"]]
    calc = EAM.zhou2004(["Cu"])
    with pytest.warns(mdkern.MDKernWarning, match="1 frame failed"):
        wanted = mdkern.relax(frames_of(many), calc, steps=1000)
    for k, (row, cell, out, atoms) in enumerate(
        zip(rows, cells, read("a.extxyz", ":"), wanted, strict=True)
    ):
        assert row["frame"] == k
        assert row["steps"] == atoms.info["steps"] == int(cell["steps"])
        assert row["converged"] is (k != 2)
        assert out.info["converged"] == row["converged"]
        if k == 2:
            assert "atoms overlap" in row["stopped"]
            assert out.info["stopped"] == row["stopped"] == cell["stopped"]
            assert (row["energy"], cell["energy"]) == (None, "")
            continue
        assert row["energy"] == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
        assert float(cell["volume"]) == pytest.approx(atoms.get_volume(), rel=1e-9)
        assert row["cell"] == pytest.approx(atoms.cell.cellpar().tolist(), abs=1e-8)
        assert row["before"] > row["energy"]
        assert out.get_potential_energy() == pytest.approx(row["energy"], abs=1e-7)
    assert main([*words, "--overwrite"]) == 1  # all frames, without --index
    captured = capsys.readouterr()
    assert "6 frames, 1 failed" in captured.out
    assert "frame 2: atom 0: energy or force is not finite" in captured.err
    assert captured.out.count("%") == 5
    assert main([*words, "--overwrite", "--on-error", "raise"]) == 2
    assert "frame 2: " in capsys.readouterr().err


def test_an_element_that_a_built_in_potential_lacks(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    several = frames(3)
    several[1].numbers[2] = 92
    write(here / "set.extxyz", several)
    words = ("relax", "set.extxyz", *ZHOU, "--index", ":")
    facts = run_json(capsys, *words, status=1)
    assert facts["converged"] == 2
    assert facts["bad_frames"] == [{"frame": 1, "error": "atom 2 is U; the potential has Cu"}]
    capsys.readouterr()
    assert main([*words, "--on-error", "raise"]) == 2
    one_error(capsys, "U")
    write(here / "all.extxyz", Atoms("U2", [[0, 0, 0], [0, 0, 2]]))
    assert main(["relax", "all.extxyz", *ZHOU, "--index", ":"]) == 2
    one_error(capsys, "U")


def frames_of(name: str) -> list[Atoms]:
    found: list[Atoms] = read(name, ":")
    return found


@pytest.mark.parametrize("cell", ["none", "full"])
def test_a_picture_of_many_frames(cell: str, many: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    words = ("relax", many, *ZHOU, "--cell", cell, "--steps", "30", "--fmax", "0.03")
    assert main([*words, "--plot", "p.png"]) == 1
    assert "p.png" in capsys.readouterr().out
    assert is_drawn(Path("p.png"))


@pytest.mark.usefixtures("here")
def test_a_picture_of_molecules() -> None:
    """They have no volumes, but forces."""
    pytest.importorskip("matplotlib")
    pairs = [Atoms("Cu2", [[0, 0, 0], [0, 0, 2.2 + 0.1 * k]]) for k in range(4)]
    write("pairs.extxyz", pairs)
    write("alone.extxyz", [Atoms("Cu")] * 2)
    for name, words in (("pairs", ">"), ("alone", "all forces are zero")):
        assert main(["relax", f"{name}.extxyz", *ZHOU, "--plot", "p.svg", "--overwrite"]) == 0
        text = Path("p.svg").read_text()
        assert words in text
        assert "Longest force" in text
        assert "no frame was evaluated" not in text
        assert "began above" not in text


def test_a_picture_where_all_failed(here: Path) -> None:
    pytest.importorskip("matplotlib")
    write(here / "bad.extxyz", [Atoms("Cu2", np.zeros((2, 3)))] * 2)
    assert main(["relax", "bad.extxyz", *ZHOU, "--plot", "p.svg"]) == 1
    assert Path("p.svg").stat().st_size > 1000


def test_an_interrupted_run_goes_on(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import mdkern.cli.relax_report as report

    write(here / "set.extxyz", frames(12))
    words = ("relax", "set.extxyz", *ZHOU, "--index", ":", "--jsonl", "a.jsonl", "-o", "a.extxyz")
    assert main([*words, "--overwrite"]) == 0
    wanted = [Path(name).read_bytes() for name in ("a.extxyz", "a.jsonl")]
    for name in ("a.extxyz", "a.jsonl"):
        Path(name).unlink()
    assert not Path("a.extxyz.journal").exists()
    line, taken = report.LineWriter.line, [0]

    def interrupted(self: Any, row: Any) -> str:
        taken[0] += 1
        if taken[0] > 5:
            raise KeyboardInterrupt
        return line(self, row)

    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(report.LineWriter, "line", interrupted)
        assert main([*words]) == 130
    assert "interrupted; the same command goes on" in capsys.readouterr().err
    assert len(Path("a.jsonl").read_text().splitlines()) == 5
    # Another limit is another job.
    assert main([*words, "--fmax", "0.02"]) == 2
    one_error(capsys, "a.extxyz.journal: the journal of another model, or of other results")
    assert main([*words]) == 0
    told = capsys.readouterr().err
    assert "of 12 frames were finished already, in a.extxyz.journal" in told
    assert int(told.split("mdkern: ")[1].split()[0]) >= 5
    assert [Path(name).read_bytes() for name in ("a.extxyz", "a.jsonl")] == wanted
    assert not Path("a.extxyz.journal").exists()
    assert main([*words]) == 2
    one_error(capsys, "a.extxyz: exists")
    # A journal of other settings does not matter where the outputs are replaced.
    with monkeypatch.context() as patch:
        patch.setattr(report.LineWriter, "line", interrupted)
        assert main([*words, "--overwrite", "--fmax", "0.02"]) == 130
    assert main([*words, "--overwrite"]) == 0
    assert [Path(name).read_bytes() for name in ("a.extxyz", "a.jsonl")] == wanted
    capsys.readouterr()
    Path("a.extxyz.journal").write_text("of somebody else")
    assert main([*words, "--overwrite"]) == 2
    one_error(capsys, "a.extxyz.journal: no journal of mdkern")
    assert Path("a.extxyz.journal").read_text() == "of somebody else"
    Path("a.extxyz.journal").unlink()
    # One that is named stays.
    facts = run_json(capsys, *words, "--overwrite", "--journal", "own.journal")
    assert facts["taken_over"] == 0
    facts = run_json(capsys, *words, "--overwrite", "--journal", "own.journal")
    assert facts["taken_over"] == 12
    assert facts["files"]["journal"] == "own.journal"


def test_cells_masks_and_pressures(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slab = fcc111("Cu", (1, 1, 3), a=3.7, vacuum=6.0)
    slab.info.clear()
    write(here / "slab.extxyz", slab)
    words = ("relax", "slab.extxyz", *ZHOU, "--cell", "full")
    assert main([*words]) == 2
    one_error(capsys, "--cell full: slab.extxyz: ", "not periodic along vector 2")
    facts = run_json(capsys, *words, "--mask", "110001")
    assert facts["converged"]
    before, after = (facts[x]["cell_lengths_angles"] for x in ("before", "after"))
    assert after[2] == pytest.approx(before[2], abs=1e-9)
    assert after[0] < before[0] - 0.01
    write(here / "cu.extxyz", frames(1)[0])
    words = ("relax", "cu.extxyz", *ZHOU, "--optimizer", "lbfgs")
    facts = run_json(capsys, *words, "--cell", "full", "--pressure", "-3", "--fmax", "0.001")
    assert facts["after"]["pressure_GPa"] == pytest.approx(-3.0, abs=0.02)
    none = run_json(capsys, *words, "--cell", "none")
    assert run_json(capsys, *words, "--cell", "fixed") == none
    assert none["cell"] == "none"


def test_symmetry(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["relax", "fct.extxyz", *ZHOU, "--cell", "full"]
    atoms = bulk("NiAl", "cesiumchloride", a=3.0) * (1, 1, 2)
    atoms.set_cell(atoms.cell.array * [1, 1, 1.05], scale_atoms=True)
    write(here / "fct.extxyz", [atoms, atoms])
    pytest.importorskip("spglib")
    facts = run_json(capsys, *words, "--symmetry", "-o", "one.extxyz")
    a, b, c, *angles = facts["after"]["cell_lengths_angles"]
    assert a == pytest.approx(b, abs=1e-10)
    assert angles == pytest.approx([90] * 3, abs=1e-9)
    assert facts["after"]["volume_A3"] != pytest.approx(facts["before"]["volume_A3"], rel=1e-3)
    del c
    several = run_json(capsys, *words, "--symmetry", "--index", ":", "-o", "all.extxyz")
    assert several["converged"] == 2
    assert several["results"][1]["cell"] == pytest.approx(
        facts["after"]["cell_lengths_angles"], abs=1e-9
    )


def test_without_spglib(copper: str, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert main(["relax", copper, *ZHOU, "--symmetry"]) == 2
    one_error(capsys, "--symmetry: needs spglib: pip install")


@pytest.mark.parametrize("optimizer", ["fire", "fire2", "lbfgs", "bfgs"])
def test_a_run_goes_on_from_its_restart_file(
    optimizer: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(here / "cu.extxyz", frames(2)[1])
    words = ("relax", "cu.extxyz", *ZHOU, "--optimizer", optimizer, "--cell", "full")
    words += ("--fmax", "1e-4")
    facts = run_json(capsys, *words, "-o", "once.extxyz", "--trajectory", "once.traj")
    more = ("--restart", "state.npz", "-o", "two.extxyz", "--trajectory", "two.traj")
    assert run_json(capsys, *words, *more, "--steps", "9", status=1)["steps"] == 9
    assert main([*words, *more]) == 0
    assert "state.npz: goes on after step 9" in capsys.readouterr().err
    assert Path("two.extxyz").read_bytes() == Path("once.extxyz").read_bytes()
    assert len(read("two.traj", ":")) == len(read("once.traj", ":")) == facts["steps"] + 1
    assert main([*words, *more, "--cell", "none"]) == 2
    one_error(capsys, "restart: state.npz has cell")


def test_a_relaxation_that_cannot_go_on(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here / "cu.extxyz", frames(1)[0])
    words = ("relax", "cu.extxyz", *ZHOU, "--cell", "full", "--pressure", "-200")
    facts = run_json(capsys, *words, "-o", "out.extxyz", status=1)
    assert "the cell explodes" in facts["failure"]
    assert not facts["converged"]
    assert 1.0 < facts["after"]["volume_A3"] / facts["before"]["volume_A3"] <= 8.0
    assert read("out.extxyz").get_volume() == pytest.approx(facts["after"]["volume_A3"], rel=1e-6)
    assert main([*words]) == 1
    captured = capsys.readouterr()
    assert "converged      no: step" in captured.out
    assert "the cell explodes" in captured.err
    many = run_json(capsys, *words, "--index", ":", status=1)
    assert "the cell explodes" in many["bad_frames"][0]["error"]


def test_constraints_that_go_by_ase(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    atoms = frames(1)[0]
    atoms.set_constraint(FixBondLengths([[0, 1]]))
    write(here / "cu.traj", atoms)
    words = ("relax", "cu.traj", *ZHOU, "--fmax", "0.05")
    facts = run_json(capsys, *words, "-o", "out.traj")
    assert facts["converged"]
    length = atoms.get_distance(0, 1, mic=True)
    assert read("out.traj").get_distance(0, 1, mic=True) == pytest.approx(length, abs=1e-6)
    assert main([*words, "--restart", "state.npz"]) == 2
    one_error(capsys, "--restart: the potential or a constraint of cu.traj needs ASE's optimizer")


def test_the_last_of_several_frames_is_said_to_be(
    many: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["relax", many, *ZHOU]) == 0
    assert f"{many}: the last of 6 frames; --index : relaxes all" in capsys.readouterr().err
    assert main(["relax", many, *ZHOU, "--index", "-1"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("extra", "part"),
    [
        (("--mask", "11000"), "--mask: '11000'"),
        (("--mask", "110001"), "--mask: expected --cell"),
        (("--cell", "all"), "all"),
        (("--table", "a.txt", "--index", ":"), "--table a.txt"),
        (("--plot", "a.gif", "--index", ":"), "--plot a.gif"),
        (("--plot", "a.png", "--index", "0"), "--plot: for several frames"),
        (("--trajectory", "a.traj", "--index", ":"), "--trajectory: for one structure"),
        (("--restart", "a.npz", "--index", ":"), "--restart: for one structure"),
        (("--jsonl", "-"), "--jsonl -: expected the name of a file"),
        (("--jsonl", "many.extxyz"), "many.extxyz: is an input"),
        (("--jsonl", "a.x", "--table", "b.csv", "-o", "a.x"), "a.x"),
        (("--restart", "many.extxyz"), "many.extxyz: is an input"),
        (("--cell", "shape", "--mask", "110001"), "and cell='shape' needs xx, yy and zz"),
        (("--index", ":", "-o", "a.h5md"), "frames of different sizes do not fit H5MD"),
        (("--index", ":", "-o", "a.cif"), "-o a.cif: expected a name that ends in .extxyz"),
    ],
)
def test_bad_options(
    extra: tuple[str, ...], part: str, many: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["relax", many, *ZHOU, *extra]) == 2
    assert part in capsys.readouterr().err
