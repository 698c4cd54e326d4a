"""mdkern.mep: nudged elastic bands."""

from __future__ import annotations

import copy
from typing import Any

import ase.mep
import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc100
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.io import read
from ase.optimize import BFGS, FIRE

import mdkern
from mdkern.calculators import EAM
from mdkern.mep import NEB


def copper() -> Any:
    return EAM.zhou2004(["Cu"])


def jump(n: int = 5, skewed: bool = False) -> list[Atoms]:
    """An atom jumps into the vacancy beside it; every atom is wrapped into the cell, so that some steps cross its faces."""
    crystal = bulk("Cu", a=3.615, cubic=not skewed) * ((4, 3, 3) if skewed else (2, 2, 2))
    crystal.rattle(0.02, seed=1)
    beside = 1 + int(np.argmin(crystal.get_distances(0, range(1, len(crystal)), mic=True)))
    first, last = crystal.copy(), crystal.copy()
    last.positions[beside] = crystal.positions[0]
    del first[0]
    del last[0]
    images = [*(first.copy() for _ in range(n - 1)), last]
    ase.mep.NEB(images, method="improvedtangent").interpolate(mic=True)
    for k, image in enumerate(images):
        if 0 < k < n - 1:
            image.rattle(0.02, seed=k)
        image.wrap()
    return images


def hop() -> list[Atoms]:
    """An atom on a slab, whose lower layers do not move."""
    ends = []
    for offset in ((0, 0), (1, 0)):
        slab = fcc100("Cu", (2, 2, 3), vacuum=6.0)
        add_adsorbate(slab, "Cu", 1.8, "hollow", offset=offset)
        slab.set_constraint(FixAtoms([atom.index for atom in slab if atom.tag > 1]))
        ends.append(slab)
    images = [*(ends[0].copy() for _ in range(4)), ends[1]]
    ase.mep.NEB(images, method="improvedtangent").interpolate()
    return images


def cluster() -> list[Atoms]:
    images = jump()
    for image in images:
        image.pbc = False
    return images


def pair(images: list[Atoms], **options: Any) -> tuple[Any, Any]:
    """The same band of ours and of ASE."""
    others = [image.copy() for image in images]
    for image in others:
        image.calc = copper()
    return (
        NEB(images, calculator=copper(), **options),
        ase.mep.NEB(others, **{"method": "improvedtangent", **options}),
    )


@pytest.mark.parametrize("climb", [False, True])
@pytest.mark.parametrize("system", [jump, lambda: jump(skewed=True), hop, cluster, lambda: jump(3)])
def test_the_band_walks_as_ases(system: Any, climb: bool) -> None:
    k = [0.1 + 0.02 * i for i in range(len(system()) - 1)]
    ours, theirs = pair(system(), climb=climb, k=k)
    for optimizer in (FIRE, BFGS):
        optimizer(ours, logfile=None).run(fmax=1e-3, steps=6)
        optimizer(theirs, logfile=None).run(fmax=1e-3, steps=6)
    assert np.abs(ours.get_positions() - theirs.get_positions()).max() < 1e-9
    assert np.abs(ours.get_forces() - theirs.get_forces()).max() < 1e-9
    assert np.abs(ours.energies - theirs.energies).max() < 1e-9
    for image, forces in zip(ours.images[1:-1], ours.real_forces[1:-1], strict=True):
        assert forces.tobytes() == image.get_forces(apply_constraint=False).tobytes()
    assert ours.imax == theirs.imax
    assert ours.get_potential_energy() == pytest.approx(theirs.get_potential_energy(), abs=1e-9)
    assert len(ours.residuals) == len(theirs.residuals)
    if ours.residuals:  # a climbing image alone has none
        assert ours.get_residual() == pytest.approx(theirs.get_residual(), abs=1e-9)


def test_forces_are_computed_once_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pair(jump())
    n_calls = {"_band_forces": 0, "get_forces": 0}

    def counted(name: str) -> Any:
        method = getattr(NEB, name)

        def call(self: Any) -> Any:
            n_calls[name] += 1
            return method(self)

        return call

    for name in n_calls:
        monkeypatch.setattr(NEB, name, counted(name))
    FIRE(ours, logfile=None).run(fmax=1e-3, steps=5)
    assert n_calls["_band_forces"] == 6
    assert n_calls["get_forces"] > 10
    # The caller may write to what it gets.
    ours.get_forces()[:] = 0.0
    assert np.abs(ours.get_forces()).max() > 0.01
    # Whatever the forces depend on.
    FIRE(theirs, logfile=None).run(fmax=1e-3, steps=5)
    changes = [
        lambda neb: setattr(neb, "climb", True),
        lambda neb: neb.k.__setitem__(1, 0.3),
        lambda neb: neb.images[2].rattle(0.01, seed=3),
        lambda neb: neb.images[1].calc.set(cutoff=5.0),
        lambda neb: neb.images[0].rattle(0.01, seed=4),  # the tangent beside it
        lambda neb: setattr(neb.images[3], "calc", EAM.zhou2004(["Cu"], cutoff=5.2)),
        lambda neb: neb.images[2].set_constraint(FixAtoms([0, 1, 2])),
        lambda neb: neb.images[2].constraints[0].index.__setitem__(0, 5),
    ]
    for change in changes:
        before = ours.get_forces()
        change(ours)
        change(theirs)
        assert np.abs(ours.get_forces() - theirs.get_forces()).max() < 1e-9
        assert np.abs(ours.get_forces() - before).max() > 1e-6


@pytest.mark.parametrize(
    "options",
    [
        {"method": "aseneb"},
        {"method": "eb"},
        {"method": "string"},
        {"method": "spline", "precon": "Exp"},
        {"parallel": True},
        {"remove_rotation_and_translation": True},
        {"dynamic_relaxation": True, "fmax": 0.05},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("default")  # of ASE's preconditioners
def test_other_kinds_of_bands_are_ases(options: dict[str, Any]) -> None:
    made = []
    for kind in (NEB, ase.mep.NEB):
        images = cluster() if "remove_rotation_and_translation" in options else jump()
        mdkern.batch(images, copper())
        if "dynamic_relaxation" in options:
            with pytest.warns(FutureWarning):
                neb = kind(images, **{"method": "improvedtangent", **options})
        else:
            neb = kind(images, **{"method": "improvedtangent", **options})
        FIRE(neb, logfile=None).run(fmax=0.05, steps=3)
        made.append(neb.get_positions())
    assert made[0].tobytes() == made[1].tobytes()


def test_other_calculators(tmp_path: Any) -> None:
    images = jump()
    for image in images:
        image.calc = EMT()
    others = copy.deepcopy(images)
    ours, theirs = NEB(images), ase.mep.NEB(others, method="improvedtangent")
    assert ours.get_forces().tobytes() == theirs.get_forces().tobytes()
    shared = copper()
    for image in images:
        image.calc = shared
    with pytest.raises(ValueError, match="share the same calculator"):
        ours.get_forces()
    # Ends whose energies are known.
    images, others = jump(), jump()
    for band in (images, others):
        mdkern.batch(band[1:-1], copper())
        for end in (band[0], band[-1]):
            end.calc = copper()
            energy, forces = end.get_potential_energy(), end.get_forces()
            end.calc = SinglePointCalculator(end, energy=energy, forces=forces)
    ours, theirs = NEB(images), ase.mep.NEB(others, method="improvedtangent")
    assert np.abs(ours.get_forces() - theirs.get_forces()).max() < 1e-9
    with FIRE(ours, logfile=None, trajectory=str(tmp_path / "band.traj")) as dynamics:
        dynamics.run(fmax=0.05, steps=1)
    written = read(tmp_path / "band.traj", "-5:")
    assert [image.get_potential_energy() for image in written] == list(ours.energies)
    for image, forces in zip(written[1:-1], ours.real_forces[1:-1], strict=True):
        assert image.get_forces().tobytes() == forces.tobytes()


def test_images_of_equal_energies() -> None:
    """No tangent, and no division by zero."""
    images = [bulk("Cu", cubic=True) for _ in range(3)]
    ours = NEB(images, calculator=copper())
    assert np.abs(ours.get_forces()).max() < 1e-9


def test_too_few() -> None:
    images = jump()
    for few in ([], images[:1], images[:2], iter(images[:2])):
        with pytest.raises(ValueError, match=r"images: [012]; expected at least 3"):
            NEB(few)
    for k in ([0.1, 0.1], "x", None, np.nan, [[0.1] * 4], [0.1, 0.1, 0.1, np.inf]):
        with pytest.raises(ValueError, match=r"^k.*; expected|^k.*expected finite"):
            NEB(images, k=k)
    with pytest.raises(TypeError, match=r"images\[1\]: 3; expected an ase.Atoms"):
        NEB([images[0], 3, images[1]])
    assert NEB(images).images is images
