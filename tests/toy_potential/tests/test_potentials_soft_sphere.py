"""Soft spheres: the contract, and every place where a registered potential shows."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.io import read, write
from contracts import PotentialContract, evaluate
from reference_data import all_cases, case_id

import mdkern
from mdkern import _core, reference
from mdkern._ase_plugin import __ase_plugins__
from mdkern.bench.kernels import KERNELS
from mdkern.calculators import SoftSphere
from mdkern.cli import main
from mdkern.errors import FormatError
from mdkern.md import VelocityVerlet
from mdkern.registry import entries

K, RC = 2.0, 4.6
VOIGT = [[0, 5, 4], [5, 1, 3], [4, 3, 2]]


def definition(atoms: Atoms) -> reference.Result:
    zero = np.zeros(len(atoms), dtype=int)
    return reference.soft_sphere(atoms.positions, atoms.cell.array, atoms.pbc, zero, K, RC)


class TestSoftSphere(PotentialContract):
    symbols = ("Cu", "Ar")
    make = staticmethod(lambda **kw: SoftSphere(k=K, rc=RC, **kw))
    reference = staticmethod(definition)
    continuous = "forces"


@pytest.mark.parametrize(
    ("name", "kwargs", "tag", "atoms", "stored"), all_cases("soft_"), ids=case_id
)
def test_lammps(
    name: str, kwargs: dict[str, Any], tag: str, atoms: Atoms, stored: dict[str, Any]
) -> None:
    del name, tag
    got = evaluate(SoftSphere(**kwargs), atoms)
    assert abs(got["energy"] - stored["energy"]) <= 1e-10 * len(atoms)
    assert np.abs(got["forces"] - stored["forces"]).max() <= 1e-9
    # Stored is stress times volume.
    assert np.abs(got["virial"] + stored["virial"][VOIGT]).max() <= 1e-9 * len(atoms)


@pytest.fixture
def atoms() -> Atoms:
    made = bulk("Ar", "fcc", a=5.4, cubic=True) * 3
    made.set_momenta(np.random.default_rng(1).normal(scale=1.0, size=(len(made), 3)))
    return made


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "argon.soft"
    path.write_text(f"soft-sphere\nk {K}\nrc {RC}\n")
    return str(path)


def test_the_core_has_it() -> None:
    assert "soft_sphere" in _core.potential_names()
    assert isinstance(SoftSphere(k=K, rc=RC).potential.force_step(), _core.Potential)


def test_dynamics_without_python_conserve_the_energy(atoms: Atoms) -> None:
    atoms.calc = SoftSphere(k=K, rc=RC)
    before = atoms.get_total_energy()
    start = atoms.get_positions()
    VelocityVerlet(atoms, timestep=units.fs).run(200)
    assert abs(atoms.get_total_energy() - before) < 1e-4 * len(atoms)
    assert np.abs(atoms.positions - start).max() > 0.05
    forces = atoms.get_forces()
    assert np.abs(forces - definition(atoms).forces).max() < 1e-11


def test_evaluate_gives_the_bits_of_the_calculator(atoms: Atoms) -> None:
    frames = [atoms.copy() for _ in range(5)]
    rng = np.random.default_rng(2)
    for frame in frames:
        frame.positions += rng.normal(scale=0.1, size=(len(atoms), 3))
    found = mdkern.evaluate(frames, SoftSphere(k=K, rc=RC), properties=("energy", "forces"))
    for frame, values in zip(frames, found, strict=True):
        frame.calc = SoftSphere(k=K, rc=RC, skin=0.0)
        assert values["energy"] == frame.get_potential_energy()
        assert np.array_equal(values["forces"], frame.get_forces())


def test_load_and_pickle(atoms: Atoms, file: str) -> None:
    calc = mdkern.load(file)
    assert type(calc) is SoftSphere
    assert calc.name == "mdkern-soft-sphere"
    again = pickle.loads(pickle.dumps(calc))
    assert again.get_potential_energy(atoms) == calc.get_potential_energy(atoms) > 0.0


def test_messages(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="k: -1"):
        SoftSphere(k=-1, rc=2)
    path = tmp_path / "bad.soft"
    path.write_text("soft-sphere\nk 1e999\nrc -1\n")
    with pytest.raises(
        FormatError, match=r"bad\.soft:2: expected 'k' and a number above 0, at most 100"
    ):
        mdkern.load(path)


def test_command_line(atoms: Atoms, file: str, tmp_path: Path, capsys: Any) -> None:
    frames = str(tmp_path / "in.extxyz")
    write(frames, atoms)
    energies = []
    for k, spec in enumerate((f"soft_sphere:k={K},rc={RC}", file)):
        out = str(tmp_path / f"out{k}.extxyz")
        assert main(["evaluate", frames, "--potential", spec, "-o", out]) == 0
        energies.append(read(out).get_potential_energy())
    assert energies[0] == energies[1] > 0.0
    capsys.readouterr()
    assert main(["info", file, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cutoff_A"] == RC
    assert main(["info", "--cite", file]) == 0
    assert "O'Hern" in capsys.readouterr().out


def test_it_is_in_every_list() -> None:
    assert "soft_sphere" in {entry.name for entry in entries()}
    assert "SoftSphere" in mdkern.calculators.__all__
    assert "SoftSphere" in mdkern.potentials.__all__
    assert "soft_sphere" in reference.__all__
    assert KERNELS["soft_sphere"].counts.flops == 33
    if __ase_plugins__:  # an ASE that has plug-ins
        assert "mdkern-soft-sphere" in {plugin.name for plugin in __ase_plugins__}
