"""The seeded structures of `mdkern.bench`, and the optimizers against ASE's on some of them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ase.data import covalent_radii

import mdkern
from mdkern.bench import limits, screening
from mdkern.bench.crystals import PROTOTYPES, crystals, molecules, prototype, slabs
from mdkern.bench.nep_models import morse_nep
from mdkern.bench.relax_check import check, compared, verdict
from mdkern.bench.relaxations import ELEMENTS, relaxations
from mdkern.calculators import EAM, NEP
from mdkern.cli.bench import run as bench


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    made = relaxations(tmp_path_factory.mktemp("models"))
    assert len(made) == 200
    return {case.name: case for case in made}


# --- structures


@pytest.mark.parametrize("name", list(PROTOTYPES))
def test_prototypes_are_crystals(name: str) -> None:
    p = PROTOTYPES[name]
    atoms = prototype(name, ["Na", "Cl", "Cu"][: p.n_kinds])
    assert len(atoms) == len(p.sites) == len(p.kinds)
    i, j, d = mdkern.neighbor_list("ijd", atoms, 4.0)
    radius = covalent_radii[atoms.numbers]
    assert (d / (radius[i] + radius[j])).min() >= 0.9 - 1e-9
    assert 0.2 < (4 / 3 * np.pi * radius**3).sum() / atoms.get_volume() <= 0.7 + 1e-9


def test_names_and_elements_are_checked() -> None:
    with pytest.raises(ValueError, match="prototype 'A15': unknown; expected one of fcc"):
        prototype("A15", ["W"])
    with pytest.raises(ValueError, match="elements: 1; expected 2 for rocksalt"):
        prototype("rocksalt", ["Na"])
    with pytest.raises(ValueError, match=r"atoms: \(7, 7\); expected numbers"):
        crystals(1, ["Cu"], kinds=["fcc"], atoms=(7, 7))


def test_sets_are_the_same_every_time() -> None:
    assert len(ELEMENTS) == len(set(ELEMENTS)) == 89
    first, again = crystals(40, ELEMENTS), crystals(40, ELEMENTS)
    assert first == again
    assert first != crystals(40, ELEMENTS, seed=2)
    assert {4, 60} >= {min(map(len, first)), 60}
    assert all(4 <= len(a) <= 60 and a.pbc.all() for a in first)
    assert len({a.info["prototype"] for a in first}) > 8
    for slab in slabs(6, ["Cu", "W"]):
        fixed = slab.constraints[0].get_indices()
        assert 0 < len(fixed) < len(slab)
        assert slab.pbc.tolist() == [True, True, False]
    for a in molecules(6, ["Cu", "Ni"]):
        assert not a.pbc.any()
        assert 4 <= len(a) <= 20


def test_atoms_bind_in_the_model_with_morse_potentials(tmp_path: Path) -> None:
    import ase

    calc = NEP(morse_nep(tmp_path / "nep.txt", species=["Na", "Cl", "Cu"], hidden=10))
    for pair in (["Na", "Cl"], ["Cu", "Cu"], ["Na", "Cu"]):
        r = np.arange(1.5, 6.5, 0.05)
        energy = []
        for x in r:
            atoms = ase.Atoms(pair, positions=[[0, 0, 0], [x, 0, 0]])
            atoms.calc = calc
            energy.append(atoms.get_potential_energy())
        energy = np.array(energy) - energy[-1]
        wanted = covalent_radii[[ase.data.atomic_numbers[s] for s in pair]].sum()
        assert abs(r[energy.argmin()] - wanted) < 0.35
        assert -0.7 < energy.min() < -0.1
        assert energy[0] > 1.0


# --- against ASE

PATHS = [f"eam-crystal-{k}" for k in (0, 4, 9)] + [
    "eam-pressure-0",
    "eam-pressure-1",
    *(f"eam-slab-{k}" for k in range(4)),
    *(f"eam-molecule-{k}" for k in range(4)),
    "nep-crystal-4",
    "nep-crystal-9",
    "nep-pressure-1",
    *(f"nep-molecule-{k}" for k in range(3)),
    "deepmd-random-2",
    "deepmd-random-5",
]


@pytest.mark.filterwarnings("ignore:logm result may be inaccurate")
@pytest.mark.parametrize("name", PATHS)
def test_paths_are_ases(cases: dict[str, Any], name: str) -> None:
    case = cases[name]
    limit = 1e-10 if case.cell == "none" else 1e-8
    found = compared(case, "FIRE", 0.0, 20)
    assert found["failure"] == ["", ""]
    assert found["steps"] == [20, 20]
    assert found["place"] <= limit
    assert found["energy"] <= 1e-10


@pytest.mark.filterwarnings("ignore:logm result may be inaccurate")
@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("eam-slab-1", "LBFGS"),
        ("eam-molecule-2", "FIRE"),
        ("nep-molecule-1", "FIRE2"),
        ("eam-crystal-4", "BFGS"),
        ("eam-pressure-0", "FIRE"),
    ],
)
def test_minima_are_ases(cases: dict[str, Any], name: str, method: str) -> None:
    found = compared(cases[name], method, 1e-6, 1500)
    assert found["converged"] == [True, True]
    assert found["place"] <= 1e-4
    assert found["energy"] <= 1e-6


def test_a_difference_is_noticed(cases: dict[str, Any], monkeypatch: Any) -> None:
    case = cases["eam-slab-1"]
    assert verdict(check(case, ("LBFGS",), "FIRE", 1e-2)) == "good"
    from mdkern.bench import relax_check

    honest = relax_check.native

    def longer(atoms: Any, *args: Any) -> Any:
        atoms.positions[-1] += 1e-3
        return honest(atoms, *args)

    monkeypatch.setattr(relax_check, "native", longer)
    assert verdict(check(case, ("LBFGS",), "FIRE", 1e-2)) == "BAD"


# --- structures per second


def test_screenings_are_measured_and_shown(capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(screening, "METALS", ("Cu", "Ni", "Al", "Pd"))
    monkeypatch.setattr(screening, "crystals", lambda _, *args, **kw: crystals(4, *args, **kw))
    monkeypatch.setattr(limits, "measure", lambda *_, **__: SimpleNamespace(rows=[]))
    given = {"quick": True, "score": False, "only": "relaxation, EAM", "json": False}
    assert bench(SimpleNamespace(**given, threads=2, output=None)) == 0
    shown = capsys.readouterr().out
    assert "Relaxations with all of the cell" in shown
    assert shown.count("relaxation, EAM alloys") == 2  # one thread and two
    found = screening.measure("relaxation, EAM alloys", 1, quick=True)
    assert len(found) == 1
    row = found[0].to_dict()
    assert (row["n"], row["converged"], row["threads"]) == (4, 4, 1)
    assert row["per_second"] == pytest.approx(4 / row["seconds"])
    assert row["faster_than_ase"] > 1.0  # by two orders of magnitude, on any machine


def test_lists_under_a_strained_cell_miss_no_pair() -> None:
    """Results at the end of a run, from a list that was made some strains ago, are those of a new one."""
    calc = EAM.zhou2004(["Cu", "Al"], threads=1)
    fresh = EAM.zhou2004(["Cu", "Al"], threads=1, skin=0.0)
    frames = crystals(12, ["Cu", "Al"], kinds=["fcc", "CsCl", "L12"], atoms=(4, 16), strain=0.08)
    for steps in (3, 20):
        for atoms in mdkern.relax(frames, calc, fmax=1e-3, steps=steps, threads=1):
            again = atoms.copy()
            again.calc = fresh
            assert np.abs(again.get_forces() - atoms.get_forces()).max() <= 1e-10
            assert abs(again.get_potential_energy() - atoms.get_potential_energy()) <= 1e-10
