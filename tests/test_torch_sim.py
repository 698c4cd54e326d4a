"""mdkern.torch_sim.Model inside the real torch-sim, 0.3 and 0.6. Without it the tests are skipped."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, fcc111, molecule
from ase.filters import FrechetCellFilter
from ase.geometry import find_mic
from ase.md import VelocityVerlet
from ase.optimize import FIRE

import mdkern
from mdkern.bench.nep_models import random_nep
from mdkern.calculators import EAM, NEP, LennardJones

if importlib.util.find_spec("torch_sim") is None:
    pytest.skip("needs torch-sim: pip install '.[torch-sim]'", allow_module_level=True)

import torch
import torch_sim as ts
from torch_sim.models.interface import validate_model_outputs
from torch_sim.models.lennard_jones import LennardJonesModel

from mdkern.torch_sim import Model

IS_NEW = hasattr(ts, "Optimizer")  # names of optimizers and integrators, since 0.4
CPU = torch.device("cpu")
ARGON = {"sigma": 3.4, "epsilon": 0.0104, "rc": 8.5}

pytestmark = pytest.mark.filterwarnings("default")  # of torch and torch-sim


def state_of(frames: list[Atoms], dtype: Any = torch.float64) -> Any:
    return ts.io.atoms_to_state(frames, CPU, dtype)


def copper(n: int, seed: int) -> Atoms:
    """Triclinic, and with atoms outside the cell."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Cu", a=3.6) * (n, 1, 2)
    atoms.set_cell(
        atoms.cell.array @ (np.eye(3) + rng.normal(scale=0.03, size=(3, 3))), scale_atoms=True
    )
    atoms.rattle(0.08, seed=seed)
    atoms.positions[0] += 2 * atoms.cell[1]
    return atoms


def separate(output: dict[str, Any], counts: list[int]) -> list[Any]:
    return np.split(output["forces"].numpy(), np.cumsum(counts)[:-1])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_torch_sim_finds_what_it_wants_of_a_model(dtype: Any) -> None:
    """Its own checks: shapes, one system and several, nothing changed, whole cells moved, a molecule."""
    model = Model(LennardJones(sigma=1.5, epsilon=0.01, rc=5.0), dtype=dtype)
    validate_model_outputs(model, CPU, dtype)
    output = model(state_of([molecule("C6H6")], dtype))
    assert {x.dtype for x in output.values()} == {dtype}
    assert output["energy"].abs().item() > 1e-3
    assert not output["stress"].any()  # no cell


@pytest.mark.parametrize("name", ["eam", "nep"])
def test_a_batch_is_its_systems_one_by_one(name: str, tmp_path: Any) -> None:
    calc: Any
    if name == "eam":
        calc = EAM.zhou2004(["Cu"])
    else:
        calc = NEP(random_nep(tmp_path / "nep.txt", species=["Cu"]))
    frames = [copper(n, seed=n) for n in (1, 3, 2)]
    state = state_of(frames)
    output = Model(calc)(state)
    assert output["stress"].shape == (3, 3, 3)
    for k, (atoms, forces) in enumerate(
        zip(frames, separate(output, [len(a) for a in frames]), strict=True)
    ):
        atoms.calc = calc
        assert output["energy"][k].item() == pytest.approx(atoms.get_potential_energy(), abs=1e-12)
        assert np.abs(forces - atoms.get_forces()).max() < 1e-12
        assert np.abs(output["stress"][k].numpy() - atoms.get_stress(voigt=False)).max() < 1e-14
        assert np.abs(forces).max() > 0.01
    for threads in (1, 3):
        again = Model(calc, threads=threads)(state)
        assert all(torch.equal(output[key], again[key]) for key in output)
    # Systems need not be in order.
    last_first = torch.tensor([2 - k for k in state.system_idx.tolist()])
    state.system_idx, state.cell = last_first, state.cell.flip(0)
    turned = Model(calc)(state)
    assert torch.equal(turned["forces"], output["forces"])
    assert torch.equal(turned["stress"], output["stress"].flip(0))


def test_a_slab_is_periodic_in_two_directions() -> None:
    """Which 0.3 has no word for: its states of Atoms have one flag, here set by hand."""
    slab = fcc111("Cu", (2, 2, 3), vacuum=1.5)
    slab.rattle(0.05, seed=1)
    state = state_of([slab])
    state.pbc = torch.tensor([True, True, False])
    slab.pbc = (True, True, False)
    slab.calc = EAM.zhou2004(["Cu"])
    output = Model(slab.calc)(state)
    assert output["energy"].item() == pytest.approx(slab.get_potential_energy(), abs=1e-12)
    assert np.abs(output["forces"].numpy() - slab.get_forces()).max() < 1e-12
    assert np.abs(output["stress"][0].numpy() - slab.get_stress(voigt=False)).max() < 1e-14
    energies = []
    for pbc in (True, False):
        state.pbc = torch.tensor([pbc] * 3)
        energies.append(Model(slab.calc)(state)["energy"].item())
    assert min(abs(e - output["energy"].item()) for e in energies) > 1e-3


def test_their_lennard_jones_is_ours() -> None:
    """An implementation that is not ours: energies, forces, and the sign of stresses."""
    frames = [bulk("Ar", a=a, cubic=True) * (3, 3, 3) for a in (4.9, 5.4)]
    for k, atoms in enumerate(frames):
        atoms.rattle(0.1, seed=k)
    state = state_of(frames)
    ours = Model(LennardJones(**ARGON, shift=False))(state)
    theirs = LennardJonesModel(
        sigma=3.4, epsilon=0.0104, cutoff=8.5, dtype=torch.float64, compute_stress=True, device=CPU
    )(state)
    pressures = [ours["stress"][k].trace().item() for k in (0, 1)]
    assert pressures[0] < 0 < pressures[1]  # compressed, stretched
    # Forces and stresses of 0.3 are twice the derivatives of its own energies.
    factors = {"energy": 1, "forces": 1 if IS_NEW else 2, "stress": 1 if IS_NEW else 2}
    for key, factor in factors.items():
        assert ours[key].shape == theirs[key].shape
        assert torch.allclose(factor * ours[key], theirs[key], rtol=1e-9, atol=1e-11), key


def test_what_is_not_wanted_is_not_there() -> None:
    state = state_of([copper(1, 0)])
    model = Model(EAM.zhou2004(["Cu"]), compute_forces=False, compute_stress=False)
    assert set(model(state)) == {"energy"}
    model.compute_forces = True
    assert set(model(state)) == {"energy", "forces"}
    model.compute_stress = True
    assert set(model(state)) == {"energy", "forces", "stress"}
    assert not model(state)["forces"].requires_grad
    assert model.memory_scales_with == "n_atoms"


def test_relaxed_cells_are_those_of_mdkern_and_ase() -> None:
    calc = EAM.zhou2004(["Cu", "Ni"])
    frames = []
    for k in range(3):
        atoms = bulk("Cu", cubic=True, a=3.55 + 0.05 * k)
        atoms.symbols[:k] = "Ni"
        atoms.rattle(0.02, seed=k)
        frames.append(atoms)
    if IS_NEW:
        how = {
            "optimizer": ts.Optimizer.fire,
            "init_kwargs": {"cell_filter": ts.CellFilter.frechet},
        }
    else:
        how = {"optimizer": ts.frechet_cell_fire}
    close = ts.generate_force_convergence_fn(1e-3, include_cell_forces=True)
    done = ts.optimize(
        frames, Model(calc), convergence_fn=close, max_steps=500, steps_between_swaps=1, **how
    )
    final = done.to_atoms()
    ours = mdkern.relax(frames, calc, fmax=1e-3, cell="full")
    for atoms, theirs, native in zip(frames, final, ours, strict=True):
        theirs.calc = atoms.calc = calc
        assert FIRE(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-3, steps=500)
        energies = [x.get_potential_energy() for x in (theirs, native, atoms)]
        assert energies == pytest.approx([energies[2]] * 3, abs=2e-6)
        assert np.abs(theirs.get_forces()).max() < 2e-3
        assert theirs.get_volume() == pytest.approx(atoms.get_volume(), rel=1e-3)
        theirs.calc = atoms.calc = None


def test_dynamics_are_those_of_ase() -> None:
    """Velocity Verlet of two crystals at once, from torch-sim's own velocities."""
    calc = EAM.zhou2004(["Cu"])
    frames = [bulk("Cu", cubic=True, a=3.6) * n for n in (2, 1)]
    model, dt = Model(calc), 2.0 * units.fs
    state, kT = state_of(frames), torch.tensor(600 * units.kB, dtype=torch.float64)
    if IS_NEW:
        state.rng = 1
        state = ts.nve_init(state, model, kT=kT)
    else:
        init, update = ts.nve(model, dt=torch.tensor(dt, dtype=torch.float64), kT=kT)
        state = init(state, seed=1)
    ends = np.cumsum([len(a) for a in frames])
    for atoms, momenta in zip(
        frames, np.split(state.momenta.numpy().copy(), ends[:-1]), strict=True
    ):
        atoms.set_masses(state.masses[: len(atoms)].numpy())
        atoms.set_momenta(momenta)
        atoms.calc = EAM.zhou2004(["Cu"])
        VelocityVerlet(atoms, dt).run(40)
    for _ in range(40):
        if IS_NEW:
            state = ts.nve_step(state, model, dt=torch.tensor(dt, dtype=torch.float64))
        else:
            state = update(state)
    moved = np.split(state.positions.numpy(), ends[:-1])
    for atoms, positions, start in zip(frames, moved, (2, 1), strict=True):
        still = (bulk("Cu", cubic=True, a=3.6) * start).positions
        # torch-sim wraps positions.
        assert find_mic(positions - atoms.positions, atoms.cell)[1].max() < 1e-9
        assert find_mic(positions - still, atoms.cell)[1].max() > 0.05


def test_the_runners_of_torch_sim() -> None:
    calc = EAM.zhou2004(["Cu"])
    frames = [copper(n, seed=n) for n in (1, 2)]
    model = Model(calc)
    found = ts.static(frames, model)
    few = ts.BinningAutoBatcher(
        model, memory_scales_with=model.memory_scales_with, max_memory_scaler=5
    )  # atoms of a batch: one system
    again = ts.static(frames, model, autobatcher=few)
    assert [r["potential_energy"] for r in again] == [r["potential_energy"] for r in found]
    for atoms, result in zip(frames, found, strict=True):
        energy = mdkern.evaluate([atoms], calc, ("energy",))[0]["energy"]
        assert result["potential_energy"].item() == pytest.approx(energy, abs=1e-12)
    hot = ts.integrate(
        [a.copy() for a in frames],
        Model(calc, dtype=torch.float32),
        integrator=ts.Integrator.nvt_langevin if IS_NEW else ts.nvt_langevin,
        n_steps=20,
        timestep=0.002,
        temperature=300.0,
    )
    assert hot.positions.dtype == torch.float32
    assert torch.isfinite(hot.positions).all()
    assert hot.energy.shape == (2,)
    assert (hot.momenta != 0).all()


def test_bad_arguments() -> None:
    calc = EAM.zhou2004(["Cu"])
    with pytest.raises(TypeError, match=r"calculator: .*nothing.*; expected one of mdkern"):
        Model("nothing")
    with pytest.raises(TypeError, match=r"calculator: .*EAM.*; expected one of mdkern"):
        Model(EAM)
    with pytest.raises(ValueError, match="device: cuda; expected cpu"):
        Model(calc, device="cuda")
    with pytest.raises(ValueError, match=r"dtype: torch.float16; expected torch.float64"):
        Model(calc, dtype=torch.float16)
    with pytest.raises((TypeError, ValueError), match="threads: 0"):
        Model(calc, threads=0)
    model = Model(calc)
    with pytest.raises(TypeError, match=r"state: 3; expected a torch_sim.SimState"):
        model(3)
    with pytest.raises(
        ValueError, match=r"state: positions of torch.float32; expected torch.float64"
    ):
        model(state_of([copper(1, 0)], torch.float32))
    elsewhere = state_of([copper(1, 0)])
    elsewhere.positions = elsewhere.positions.to("meta")
    with pytest.raises(ValueError, match="state: on meta; expected cpu"):
        model(elsewhere)
    with pytest.raises(ValueError, match=r"system 1: .*'?Ag"):
        model(state_of([copper(1, 0), bulk("Ag")]))
    atoms = copper(1, 0)
    atoms.positions[1] = atoms.positions[0]
    with pytest.raises(mdkern.calculators.NonFiniteError, match="system 0: "):
        model(state_of([atoms]))


def test_without_torch_sim_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch_sim", "torch_sim.models", "torch_sim.models.interface"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "mdkern.torch_sim")
    with pytest.raises(ImportError, match="needs torch-sim: pip install torch-sim-atomistic"):
        importlib.import_module("mdkern.torch_sim")
