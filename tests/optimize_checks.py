"""Systems and helpers of the tests of relaxations."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms, optimize
from ase.build import bulk, fcc111
from ase.constraints import FixAtoms
from ase.io.jsonio import encode

from mdkern import optimize as native
from mdkern.calculators import EAM, LennardJones, Morse

# Name: class of ours, class of ASE's, arguments that both take.
OPTIMIZERS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "fire": (native.FIRE, optimize.FIRE, {}),
    "fire_downhill": (
        native.FIRE,
        optimize.FIRE,
        {"downhill_check": True, "dt": 0.4, "dtmax": 2.5, "maxstep": 0.5, "Nmin": 1},
    ),
    "fire2": (native.FIRE2, optimize.FIRE2, {"Nmin": 3, "dt": 0.3}),
    "abc_fire": (native.FIRE2, optimize.FIRE2, {"use_abc": True, "maxstep": 0.1}),
    "lbfgs": (native.LBFGS, optimize.LBFGS, {}),
    "lbfgs_short": (native.LBFGS, optimize.LBFGS, {"memory": 4, "damping": 0.8, "alpha": 40.0}),
    "bfgs": (native.BFGS, optimize.BFGS, {"maxstep": 0.1}),
}


def alloy(seed: int = 3, **kwargs: Any) -> Atoms:
    """A perturbed crystal of copper and nickel, 16 atoms."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Cu", cubic=True) * (2, 2, 1)
    atoms.symbols[::3] = "Ni"
    atoms.positions += rng.normal(0, 0.1, (16, 3))
    atoms.set_cell(atoms.cell @ (np.eye(3) + rng.normal(0, 0.02, (3, 3))), scale_atoms=True)
    atoms.calc = EAM.zhou2004(["Cu", "Ni"], **kwargs)
    return atoms


def cluster(n: int = 13) -> Atoms:
    """A free cluster, the same with every instruction set to 1e-12 Angstrom."""
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, 3))
    atoms = Atoms(f"Ar{n}", 4.0 * n ** (1 / 3) * x / np.linalg.norm(x, axis=1)[:, None])
    atoms.calc = LennardJones(epsilon=0.3, sigma=3.0, rc=12.0)
    # Apart from each other. The steps are too long to settle: after 150 of them last bits have grown to 0.02 Angstrom.
    for _ in range(25):
        atoms.positions += 2.0 * np.clip(atoms.get_forces(), -0.1, 0.1)
    return atoms


def slab() -> Atoms:
    """A surface whose lowest layer stays."""
    atoms = fcc111("Cu", (2, 2, 4), vacuum=6.0, periodic=False)
    atoms.rattle(0.08, seed=5)
    atoms.set_constraint(FixAtoms(mask=atoms.get_tags() == 4))
    atoms.calc = EAM.zhou2004(["Cu"])
    return atoms


def molecule() -> Atoms:
    """Four atoms with bonds of Morse potentials."""
    atoms = Atoms("H4", [[0, 0, 0], [0.9, 0.1, 0], [0.2, 1.0, 0.1], [0.4, 0.3, 0.9]])
    atoms.calc = Morse(D=1.0, alpha=1.5, r0=1.0, rc=8.0)
    return atoms


def large() -> Atoms:
    """Of 864 atoms, for runs that take a while."""
    atoms = bulk("Cu", cubic=True) * 6
    atoms.rattle(0.1, seed=1)
    atoms.calc = EAM.zhou2004(["Cu"])
    return atoms


def bits(atoms: Atoms) -> tuple[bytes, bytes, float]:
    """Positions, cell and energy, to the last bit."""
    return atoms.positions.tobytes(), atoms.cell.array.tobytes(), atoms.get_potential_energy()


def jsonable(value: Any) -> bool:
    return bool(encode(value))
