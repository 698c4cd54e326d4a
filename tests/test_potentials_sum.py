"""Sums: the contract, against ASE's SumCalculator, elements in other orders, shorter lists, messages."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.mixing import SumCalculator
from ase.io import read, write
from contracts import PotentialContract, evaluate
from reference_data import case_id, shared_cases, shared_folder
from test_potentials_zbl import CHARGES, of_silica

import mdkern
from mdkern import calculators, md, potentials, reference
from mdkern.calculators import EAM, ZBL, Buckingham, LennardJones, Morse, Sum
from mdkern.reference import Result

DATA = Path(__file__).parent / "data"
# The other order of elements than that of CHARGES, and a cutoff so much longer that lists are shortened.
REPULSION: dict[str, dict[str, float]] = {
    "O-O": {"A": 1388.8, "rho": 0.3623, "C": 175.0, "rc": 5.7},
    "O-Si": {"A": 18003.8, "rho": 0.2052, "C": 133.5, "rc": 6.3},
    "Si-Si": {"A": 900.0, "rho": 0.3, "rc": 4.4},
}


def _buckingham(atoms: Atoms) -> Result:
    kinds = np.array([["O", "Si"].index(x) for x in atoms.get_chemical_symbols()], dtype=int)
    place = (atoms.positions, atoms.cell.array, atoms.pbc)
    rows = (("O-O", "O-Si"), ("O-Si", "Si-Si"))
    tables = (
        np.array([[REPULSION[key].get(name, 0.0) for key in row] for row in rows])
        for name in ("A", "rho", "C", "rc")
    )
    return reference.buckingham(*place, kinds, *tables, shift=True)


def _added(*parts: tuple[float, Callable[[Atoms], Result]]) -> Callable[[Atoms], Result]:
    def total(atoms: Atoms) -> Result:
        found = [(w, part(atoms)) for w, part in parts]
        return Result(
            *(
                sum(w * getattr(r, name) for w, r in found)
                for name in ("energy", "energies", "forces", "virial")
            )
        )

    return total


def silica(**kw: Any) -> Any:
    return Sum([ZBL(2.9, 4.6, CHARGES), Buckingham(pairs=REPULSION, shift=True)], **kw)


class TestOtherOrder(PotentialContract):
    symbols = ("Si", "O")
    make = staticmethod(silica)
    reference = staticmethod(_added((1.0, of_silica), (1.0, _buckingham)))
    cutoffs = (4.4, 4.6, 5.7, 6.3)


class TestWeights(PotentialContract):
    symbols = ("Si", "O")
    make = staticmethod(lambda **kw: silica(weights=[-0.5, 2.0], **kw))
    reference = staticmethod(_added((-0.5, of_silica), (2.0, _buckingham)))
    cutoffs = (4.4, 4.6, 5.7, 6.3)


def _copper() -> Atoms:
    atoms = bulk("Cu", cubic=True).repeat((3, 3, 2))
    atoms.rattle(0.1, seed=3)
    atoms.symbols[::3] = "Al"
    return atoms


def _eam() -> Any:
    return EAM(DATA / "classical" / "synthetic.eam.alloy")  # half lists


def _zhou() -> Any:
    return EAM.zhou2004(["Cu", "Al"])  # the other order


def _parts() -> list[Any]:
    return [_eam(), ZBL(1.4, 2.7), LennardJones(epsilon=0.01, sigma=2.3, rc=9.0), _zhou()]


@pytest.mark.quick
@pytest.mark.usefixtures("isa")
def test_agrees_with_ases_sum_while_atoms_move() -> None:
    """Of parts whose lists are shortened, half and full, some without elements of their own."""
    atoms, same = _copper(), _copper()
    atoms.calc = Sum(_parts(), skin=0.4)
    same.calc = SumCalculator(_parts())
    rng = np.random.default_rng(2)
    for _ in range(8):
        atoms.positions += rng.normal(scale=0.04, size=atoms.positions.shape)
        same.positions[:] = atoms.positions
        one = evaluate(atoms.calc, atoms, stresses=True)
        assert one["energy"] == pytest.approx(same.get_potential_energy(), rel=1e-13)
        for name in ("forces", "stress", "energies", "stresses"):
            expected = same.calc.get_property(name, same)
            assert np.abs(one[name] - expected).max() <= 1e-12 * np.abs(expected).max()
    assert 1 < atoms.calc.n_builds < 8


def test_plus() -> None:
    a, b, c, d = _parts()
    a.set(skin=0.7, threads=1)
    total = a + b + c
    assert [type(p).__name__ for p in total.potential.parts] == ["EAM", "ZBL", "LennardJones"]
    assert total.parameters["skin"] == 0.7
    assert total.n_threads == 1
    assert len(((a + b) + (c + d)).potential.parts) == 4
    weighted = Sum([a, b], weights=[1.0, 0.5]) + c
    assert len(weighted.potential.parts) == 2  # weights are kept: the sum is one part
    atoms = _copper()
    energies = [p.get_potential_energy(atoms) for p in (a, b, c)]
    assert total.get_potential_energy(atoms) == pytest.approx(sum(energies), rel=1e-14)
    expected = energies[0] + 0.5 * energies[1] + energies[2]
    assert weighted.get_potential_energy(atoms) == pytest.approx(expected, rel=1e-14)
    with pytest.raises(TypeError, match="unsupported operand"):
        a + 1.0


def test_elements_that_all_parts_have() -> None:
    total = _eam() + ZBL(1.0, 2.0, {"Al": 13, "Au": 79})
    assert total.species == ("Al",)
    assert (ZBL(1.0, 2.0, {"Al": 13, "Au": 79, "Cu": 29}) + _eam()).species == ("Al", "Cu")
    assert (Morse(D=0.3, alpha=1.4, r0=2.9, rc=6) + LennardJones(rc=6)).species is None
    with pytest.raises(ValueError, match="atom 1 is Cu; the potential has Al"):
        total.get_potential_energy(_copper())


def test_one_part_has_its_own_bits() -> None:
    atoms = _copper()
    for make in (_eam, _zhou):
        one, other = evaluate(make(), atoms), evaluate(Sum([make()]), atoms)
        assert one["energy"] == other["energy"]
        assert one["forces"].tobytes() == other["forces"].tobytes()


def test_kept(tmp_path: Path) -> None:
    """In pickles, ASE's files and model files, with the same bits."""
    atoms = _copper()
    atoms.calc = total = Sum(_parts(), weights=[1.0, 0.5, 2.0, 1.0])
    energy = atoms.get_potential_energy()
    assert pickle.loads(pickle.dumps(total)).get_potential_energy(atoms) == energy
    write(tmp_path / "sum.traj", atoms)
    assert read(tmp_path / "sum.traj").get_potential_energy() == energy
    total.potential.export(tmp_path / "sum.mdk")
    stored = mdkern.load(tmp_path / "sum.mdk")
    assert stored.species == total.species
    assert stored.get_potential_energy(atoms) == energy
    nested = stored + Morse(D=0.3, alpha=1.4, r0=2.9, rc=6.0)
    expected = energy + Morse(D=0.3, alpha=1.4, r0=2.9, rc=6.0).get_potential_energy(atoms)
    assert nested.get_potential_energy(atoms) == pytest.approx(expected, rel=1e-14)


def test_native_dynamics_and_batches() -> None:
    """As ASE's own loop and single evaluations have them."""
    atoms, parts = _copper(), _parts()
    rng = np.random.default_rng(4)
    atoms.set_momenta(rng.normal(scale=1.0, size=(len(atoms), 3)))
    other = atoms.copy()
    atoms.calc = Sum(parts)
    md.VelocityVerlet(atoms, timestep=2 * units.fs).run(40)
    other.calc = SumCalculator(_parts())
    from ase.md.verlet import VelocityVerlet

    VelocityVerlet(other, timestep=2 * units.fs).run(40)
    assert np.abs(atoms.positions - other.positions).max() <= 1e-11
    frames = [_copper() for _ in range(3)]
    for k, frame in enumerate(frames):
        frame.rattle(0.1, seed=k)
    for frame, result in zip(frames, mdkern.evaluate(frames, Sum(parts)), strict=True):
        assert result["energy"] == Sum(parts).get_potential_energy(frame)


def test_deviation_of_sums() -> None:
    atoms = _copper()
    d = [potentials.Sum([_eam(), ZBL(1.0, x)]) for x in (2.6, 2.9)]
    calc = calculators.ModelDeviation(d)
    atoms.calc = calc
    forces = [Sum([part]).get_forces(atoms) for part in d]
    atoms.get_forces()
    spread = np.sqrt((np.std(forces, axis=0) ** 2).sum(axis=1))
    assert np.abs(calc.deviation["forces"] - spread).max() <= 1e-12


@pytest.mark.parametrize(
    ("_name", "kwargs", "_tag", "atoms", "stored"), list(shared_cases("overlay_")), ids=case_id
)
@pytest.mark.usefixtures("isa")
def test_agrees_with_lammps(
    _name: str, kwargs: dict[str, Any], _tag: str, atoms: Atoms, stored: dict[str, Any]
) -> None:
    folder = shared_folder("potentials")
    assert folder is not None
    parts = [
        getattr(calculators, name)(
            **how | ({"path": folder / how["path"]} if "path" in how else {})
        )
        for name, how in kwargs["parts"]
    ]
    got = evaluate(Sum(parts), atoms)
    forces = stored["forces"]
    assert abs(got["energy"] - stored["energy"]) <= 1e-10 * len(atoms)
    assert np.abs(got["energies"] - stored["energies"]).max() <= 1e-10
    assert np.abs(got["forces"] - forces).max() <= 1e-9 * (1 + np.abs(forces).max())
    if "stress" in stored:
        assert np.abs(got["stress"] - stored["stress"]).max() <= 1e-11


def test_a_dense_atom_is_warned_of_once() -> None:
    atoms = _copper()
    atoms.set_cell(atoms.cell * 0.6, scale_atoms=True)
    with pytest.warns(mdkern.errors.MDKernWarning) as alone:
        _eam().get_potential_energy(atoms)
    with pytest.warns(mdkern.errors.MDKernWarning) as added:
        Sum([_eam(), ZBL(1.0, 2.0)]).get_potential_energy(atoms)
    assert str(added[0].message) == str(alone[0].message)
    with pytest.warns(mdkern.errors.MDKernWarning, match="a part of the sum"):
        Sum([_eam(), _eam()]).get_potential_energy(atoms)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"parts": []}, r"parts: \[\]; expected a list of calculators or files, not empty"),
    ({"parts": "a.eam.alloy"}, "parts: 'a.eam.alloy'; expected a list"),
    ({"parts": [3.0]}, r"parts\[0\]: 3.0; expected a file or one of mdkern's calculators"),
    ({"parts": [ZBL(1, 2)], "weights": [1.0, 2.0]}, "weights: .*; expected 1 finite numbers"),
    ({"parts": [ZBL(1, 2)], "weights": [np.nan]}, "weights: .*; expected 1 finite numbers"),
    (
        {"parts": [ZBL(1, 2, {"W": 74}), ZBL(1, 2, {"Be": 4})]},
        "parts: no element that all have: W; Be",
    ),
    ({"parts": [ZBL(1, 2)], "precision": "single"}, "precision: 'single'; a Sum is in 'double'"),
]


@pytest.mark.parametrize("build", [Sum, potentials.Sum])
@pytest.mark.parametrize(("kwargs", "text"), BAD)
def test_bad_parameters(kwargs: dict[str, Any], text: str, build: Any) -> None:
    with pytest.raises(ValueError, match=text):
        build(**kwargs)


def test_parts_that_the_core_does_not_evaluate() -> None:
    committee = calculators.ModelDeviation([_eam(), _eam()])
    with pytest.raises(ValueError, match=r"parts\[0\]: ModelDeviation; expected a potential"):
        Sum([committee])


@pytest.mark.parametrize(
    ("species", "message"),
    [
        (np.array([[0, 2]], np.int32), "species: 2 for part 0; expected 0 to 1"),
        (np.array([[-1, 0]], np.int32), "species: -1 for part 0"),
        (np.zeros((2, 2), np.int32), r"species: shape \(2, 2\)"),
        (np.zeros((1, 0), np.int32), "species"),
    ],
)
def test_fields_of_a_damaged_file(species: Any, message: str) -> None:
    fields = Sum([_eam()]).potential.core_fields() | {"species": species}
    with pytest.raises(ValueError, match=message):
        mdkern._core.Potential(fields)


def test_with_dispersion() -> None:
    """D3 looks for its neighbors itself, far beyond the lists of the other parts, which stay as short as they are alone."""
    from mdkern.calculators import D3

    def dispersion() -> Any:
        return D3("pbe", cutoff=14.0, cn_cutoff=9.0)

    atoms, same = _copper(), _copper()
    atoms.calc = total = dispersion() + _eam() + ZBL(1.4, 2.7)
    assert total.species == ("Al", "Cu")
    assert total.cutoff == 14.0
    assert total.potential.force_step().list_cutoff == _eam().cutoff
    same.calc = SumCalculator([dispersion(), _eam(), ZBL(1.4, 2.7)])
    rng = np.random.default_rng(5)
    for _ in range(4):
        atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
        same.positions[:] = atoms.positions
        assert atoms.get_potential_energy() == pytest.approx(same.get_potential_energy(), rel=1e-12)
        assert np.abs(atoms.get_forces() - same.get_forces()).max() <= 1e-11
        assert np.abs(atoms.get_stress() - same.get_stress()).max() <= 1e-12
    from ase.md.verlet import VelocityVerlet

    momenta = rng.normal(scale=1.0, size=(len(atoms), 3))
    for system, make in ((atoms, md.VelocityVerlet), (same, VelocityVerlet)):
        system.set_momenta(momenta)
        make(system, timestep=2 * units.fs).run(25)
    assert np.abs(atoms.positions - same.positions).max() <= 1e-11


def test_calculators_with_results_of_their_own_are_refused() -> None:
    """Their potential is not all that they give."""

    class Shifted(LennardJones, potential=LennardJones.potential_class, ase_name="shifted"):
        def calculate(self, *args: Any, **kwargs: Any) -> None:
            super().calculate(*args, **kwargs)
            self.results["energy"] += 1.0

    plain, own = LennardJones(), Shifted()
    for k, make in enumerate((lambda: Sum([plain, own]), lambda: plain + own, lambda: own + plain)):
        at = 0 if k == 2 else 1
        with pytest.raises(
            mdkern.UnsupportedError, match=rf"parts\[{at}\]: Shifted, which has a `c"
        ):
            make()
    with pytest.raises(mdkern.UnsupportedError, match="models: Shifted, which has a `calculate`"):
        calculators.ModelDeviation([plain, own])
