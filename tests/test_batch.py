"""mdkern.batch: structures that are evaluated together."""

from __future__ import annotations

import copy
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.mep import NEB, AutoNEB, DyNEB
from ase.optimize import BFGS, FIRE
from potentials_data import MADE, system_of

import mdkern
from mdkern.bench.nep_models import random_nep
from mdkern.calculators import EAM, NEP, LennardJones, ModelDeviation, NEPTensor, NonFiniteError
from mdkern.calculators import batch as module
from mdkern.calculators.base import AtomsError
from mdkern.errors import UnsupportedError
from mdkern.md import VelocityVerlet

OWN = Path(__file__).resolve().parent / "data" / "nep"
PROPERTIES = ("energy", "forces", "stress", "energies")


def copper() -> Any:
    return EAM.zhou2004(["Cu"])


def crystals(n: int = 5, seed: int = 0) -> list[Atoms]:
    """Copper of different sizes and cells."""
    out = []
    for k in range(n):
        atoms = bulk("Cu", cubic=True, a=3.55 + 0.02 * k) * (2, 2 + k % 2, 2)
        atoms.rattle(0.05, seed=seed + k)
        out.append(atoms)
    return out


def values(calc: Any, atoms: Atoms, names: tuple[str, ...] = PROPERTIES) -> list[bytes]:
    return [np.asarray(calc.get_property(name, atoms)).tobytes() for name in names]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many structures each call of the core had."""
    sizes: list[int] = []

    class Core:
        @staticmethod
        def evaluate_tables(step: Any, inputs: list[Any], *rest: Any) -> Any:
            sizes.append(len(inputs))
            return mdkern._core.evaluate_tables(step, inputs, *rest)

    monkeypatch.setattr(module, "_core", Core)
    return sizes


# --- results --------------------------------------------------------------------------------------
def walk_alike(calc: Any, images: list[Atoms], steps: int = 6) -> None:
    """Images that walk at random, by a batch and by calculators of their own."""
    alone = [pickle.loads(pickle.dumps(calc)) for _ in images]
    mdkern.batch(images, calc)
    rng = np.random.default_rng(1)
    for step in range(steps):
        for k in rng.permutation(len(images)):
            assert values(images[k].calc, images[k]) == values(alone[k], images[k])
            assert images[k].calc.virial.tobytes() == alone[k].virial.tobytes()
        for k, image in enumerate(images):
            if (step + k) % 3:  # some stay where they are
                image.positions += rng.normal(scale=0.03, size=image.positions.shape)
    assert [image.calc.n_builds for image in images] == [own.n_builds for own in alone]
    assert images[0].calc.n_builds < steps


KINDS = ["sum", "sum_d3", "eam_fs", "tersoff", "nep_single", "nep_charges", "snap", "ace", "mace"]


@pytest.mark.parametrize("name", [*KINDS, "linear_soap", "behler_parrinello", "se_e2_a_dt"])
def test_potentials_have_the_bits_of_a_calculator_alone(name: str) -> None:
    mdkern.set_num_threads(2)
    calc = MADE[name]()
    images = [system_of(calc) for _ in range(3)]
    for k, image in enumerate(images):
        image.rattle(0.02, seed=k)
    walk_alike(calc, images, 3)


@pytest.mark.quick
@pytest.mark.usefixtures("isa")
def test_bits_do_not_depend_on_threads(threads: int) -> None:
    """Of one to seven images: with more threads than images several take one."""
    del threads
    for n in (1, 2, 5):
        walk_alike(copper(), crystals(n), 4)


def test_threads_of_the_calculator() -> None:
    mdkern.set_num_threads(1)
    calc = EAM.zhou2004(["Cu"], threads=8, skin=0.5)
    images = crystals(3)
    mdkern.batch(images, calc)
    for image in images:
        assert image.calc.parameters == calc.parameters
        assert image.calc.n_threads == 8
        assert image.calc.potential is calc.potential
        assert values(image.calc, image) == values(calc, image)


def test_charges_deviations_and_stresses(threads: int) -> None:
    del threads
    oxides = [bulk("MgO", "rocksalt", a=4.2 + 0.02 * k) * (2, 2, 2) for k in range(3)]
    for k, atoms in enumerate(oxides):
        atoms.rattle(0.1, seed=k)
    charged = NEP(OWN / "synthetic_nep4_charge2.txt")
    names = ("charges", "born_effective_charges", "stresses", "energy")
    mdkern.batch(oxides, charged)
    for atoms in oxides:
        alone = copy.deepcopy(charged)
        for name in names:
            got = np.asarray(atoms.calc.get_property(name, atoms))
            assert got.tobytes() == np.asarray(alone.get_property(name, atoms)).tobytes()
    several = ModelDeviation([EAM.zhou2004(["Cu"]), EAM.zhou2004(["Cu"], cutoff=5.0)])
    images = crystals(3)
    mdkern.batch(images, several)
    for image in images:
        alone = copy.deepcopy(several)
        assert values(image.calc, image) == values(alone, image)
        deviation, wanted = image.calc.deviation, alone.deviation
        assert wanted["max_devi_f"] > 0.0
        assert {k: np.asarray(v).tobytes() for k, v in deviation.items()} == {
            k: np.asarray(v).tobytes() for k, v in wanted.items()
        }


# --- who is evaluated when ------------------------------------------------------------------------
def test_one_call_for_all_that_changed(calls: list[int]) -> None:
    images = crystals(5)
    made = mdkern.batch(images, copper())
    assert made == [image.calc for image in images]
    for image in images:
        image.get_forces()
        image.get_potential_energy()
    assert calls == [5]
    images[1].rattle(0.01, seed=1)
    images[3].rattle(0.01, seed=2)
    images[2].get_potential_energy()  # has not changed
    assert calls == [5]
    images[3].get_potential_energy()
    images[1].get_forces()
    assert calls == [5, 2]
    assert images[1].calc.calculation_required(images[1], ["forces"]) is False


def test_who_is_left_out(calls: list[int]) -> None:
    images = crystals(5)
    made = mdkern.batch(images, copper())
    images[0].calc = None
    images[1].calc = copper()
    made[2].set(cutoff=5.0)
    images[4].get_potential_energy()
    assert calls == [2]
    assert images[2].get_potential_energy() == EAM.zhou2004(
        ["Cu"], cutoff=5.0
    ).get_potential_energy(images[2])
    assert calls == [2, 1]
    assert images[1].get_potential_energy() == copper().get_potential_energy(images[1])
    # A calculator that is asked for other atoms.
    other = crystals(1, seed=9)[0]
    assert made[3].get_potential_energy(other) == copper().get_potential_energy(other)
    assert images[3].get_potential_energy() == copper().get_potential_energy(images[3])
    with pytest.raises(AtomsError, match="no atoms given"):
        mdkern.batch(crystals(1), copper())[0].calculate()


def test_the_given_calculator_stays_as_it_is() -> None:
    calc, atoms = copper(), crystals(1)[0]
    atoms.calc = calc
    energy = atoms.get_potential_energy()
    images = crystals(2, seed=5)
    mdkern.batch(images, calc)
    assert images[0].calc.virial is None
    assert images[0].calc.atoms is None
    images[0].get_potential_energy()
    assert calc.batch is None
    assert calc.results["energy"] == energy
    assert calc.atoms == atoms
    images[0].calc.set(skin=0.1)
    assert calc.parameters["skin"] == 0.3


def test_copies_and_pickles_are_by_themselves() -> None:
    images = crystals(3)
    calc = mdkern.batch(images, copper())[0]
    energy = images[0].get_potential_energy()
    for made in (pickle.loads(pickle.dumps(calc)), copy.deepcopy(calc), copy.copy(calc)):
        assert made.batch is None
        assert made.lock is not calc.lock
        assert made.get_potential_energy(images[0]) == energy
    again = copy.deepcopy(images)
    mdkern.batch(again, again[0].calc)
    assert [x.get_potential_energy() for x in again] == [x.get_potential_energy() for x in images]
    assert len({id(x.calc.lock) for x in images}) == 1


def test_native_dynamics_of_an_image() -> None:
    images, alone = crystals(2), crystals(2)
    mdkern.batch(images, copper())
    alone[0].calc = copper()
    for atoms in (images[0], alone[0]):
        VelocityVerlet(atoms, timestep=1.0).run(5)
    assert images[0].positions.tobytes() == alone[0].positions.tobytes()
    assert images[0].get_potential_energy() == alone[0].get_potential_energy()


def test_threads_that_ask_at_once() -> None:
    images = crystals(6)
    mdkern.batch(images, copper())
    wanted = []
    for image in images:
        wanted.append([])
        for step in range(5):
            atoms = image.copy()
            atoms.positions *= 1.0 + 1e-3 * step
            wanted[-1].append(copper().get_potential_energy(atoms))
    found: list[list[float]] = [[] for _ in images]
    starts = [image.positions.copy() for image in images]

    def work(k: int) -> None:
        for step in range(5):
            images[k].positions = starts[k] * (1.0 + 1e-3 * step)
            found[k].append(images[k].get_potential_energy())

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
        assert not thread.is_alive()
    assert np.abs(np.array(found) - wanted).max() < 1e-9


# --- errors ---------------------------------------------------------------------------------------
def test_an_error_is_that_of_the_image_that_has_it() -> None:
    images = crystals(4)
    mdkern.batch(images, copper())
    images[1].positions[3] = images[1].positions[2]
    images[2].symbols[0] = "Xe"
    good = images[0].get_potential_energy()
    assert good == copper().get_potential_energy(images[0])
    for _ in range(2):
        with pytest.raises(NonFiniteError, match=r"^image 1: energy .* overlap"):
            images[1].get_forces()
        with pytest.raises(AtomsError, match=r"^image 2: atom 0 is Xe; the potential has Cu"):
            images[2].get_forces()
    images[3].positions[0, 0] = np.nan
    with pytest.raises(AtomsError, match=r"^image 3: "):
        images[3].get_forces()
    assert images[0].get_potential_energy() == good
    images[1].positions[3] += 1.5
    assert np.isfinite(images[1].get_forces()).all()


def test_bad_arguments(tmp_path: Path) -> None:
    images = crystals(2)
    for bad in (images[0], "images", None, 3):
        with pytest.raises(TypeError, match="images"):
            mdkern.batch(bad, copper())
    with pytest.raises(TypeError, match=r"images\[1\]"):
        mdkern.batch([images[0], "Cu"], copper())
    with pytest.raises(ValueError, match=r"images\[2\] is images\[0\]"):
        mdkern.batch([*images, images[0]], copper())
    for bad in (EMT(), None, "eam", [copper()]):
        with pytest.raises(TypeError, match="calculator: "):
            mdkern.batch(images, bad)
    assert mdkern.batch([], copper()) == []

    class Mine(LennardJones):
        def calculate(self, *args: Any, **kwargs: Any) -> None:
            super().calculate(*args, **kwargs)

    with pytest.raises(UnsupportedError, match="calculator: Mine"):
        mdkern.batch(images, Mine())
    tensor = NEPTensor(random_nep(tmp_path / "nep.txt", species=["Cu"], kind="dipole"))
    with pytest.raises(
        UnsupportedError, match="calculator: NEPTensor is not evaluated by the core"
    ):
        mdkern.batch(images, tensor)
    assert all(image.calc is None for image in images)


# --- ASE's nudged elastic band --------------------------------------------------------------------
def ends() -> tuple[Atoms, Atoms]:
    """An atom of copper beside a vacancy, and in it."""
    crystal = bulk("Cu", cubic=True, a=3.615) * (2, 2, 2)
    first, last = crystal.copy(), crystal.copy()
    beside = 1 + int(np.argmin(crystal.get_distances(0, range(1, len(crystal)), mic=True)))
    last.positions[beside] = crystal.positions[0]
    for atoms in (first, last):
        del atoms[0]
        atoms.set_constraint(FixAtoms([len(atoms) - 1]))
    return first, last


def band(kind: Any, **options: Any) -> Any:
    first, last = ends()
    neb = kind([*(first.copy() for _ in range(5)), last], **options)
    neb.interpolate(mic=True)
    return neb


BANDS = [
    (NEB, {"method": "improvedtangent", "climb": True}),
    (NEB, {"method": "aseneb", "allow_shared_calculator": True}),
    (NEB, {"method": "eb", "climb": True}),
    (NEB, {"method": "spline"}),
    (NEB, {"method": "string"}),
    (NEB, {"method": "improvedtangent", "parallel": True}),
    (
        DyNEB,
        {"method": "improvedtangent", "fmax": 0.05, "dynamic_relaxation": True, "scale_fmax": 1.0},
    ),
]


@pytest.mark.parametrize(("kind", "options"), BANDS, ids=lambda x: str(x)[:60])
def test_a_band_walks_as_with_a_calculator_for_each_image(
    kind: Any, options: dict[str, Any], calls: list[int]
) -> None:
    mdkern.set_num_threads(2)
    together, plain = band(kind, **options), band(kind, **options)
    mdkern.batch(together.images, copper())
    for image in plain.images:
        image.calc = copper()
    for neb, optimizer in ((together, FIRE), (plain, FIRE), (together, BFGS), (plain, BFGS)):
        optimizer(neb, logfile=None).run(fmax=0.05, steps=6)
    assert together.get_positions().tobytes() == plain.get_positions().tobytes()
    energies = [[x.get_potential_energy() for x in neb.images] for neb in (together, plain)]
    assert energies[0] == energies[1]
    assert max(energies[0]) - energies[0][0] > 0.3
    assert calls[0] >= 5
    if kind is not DyNEB:  # that one asks for the forces of all images after the move of each
        # One call a step, beside those for the ends and after the change of the optimizer.
        assert len(calls) <= 16


def test_autoneb(here: Path) -> None:
    """Images come in while it runs."""
    for k, atoms in enumerate(band(NEB).images[::5]):
        atoms.calc = copper()
        atoms.get_potential_energy()
        atoms.write(here / f"jump{k:03d}.traj")

    def attach(images: list[Atoms]) -> None:
        mdkern.batch(images, copper())

    auto = AutoNEB(
        attach,
        "jump",
        method="improvedtangent",
        n_simul=1,
        n_max=4,
        fmax=0.5,
        maxsteps=3,
        parallel=False,
        climb=False,
        optimizer=FIRE,
        smooth_curve=False,
    )
    auto.run()
    assert len(auto.all_images) == 4
