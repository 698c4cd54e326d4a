"""Write structures and LAMMPS reference numbers to tests/data/classical.

usage: python tools/make_lammps_references.py [CASES.py]
needs: numpy, ase, the `lammps` Python module (serial run, double precision)

Without an argument: the cases below, listed in cases.json. With a file `tools/lammps_NAME.py`, which brings the cases of another
potential as its function ``cases(add)``: those, listed in cases_NAME.json; tests read all lists.

The stored decimals of the extxyz files are the positions that LAMMPS evaluated.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.io import read, write
from lammps import lammps

OUT = Path(__file__).resolve().parent.parent / "tests" / "data" / "classical"


def frames(a: float, elements: list[str], seed: int) -> list[Atoms]:
    """Small fcc-based structures in every boundary condition."""
    rng = np.random.default_rng(seed)
    out: list[Atoms] = []

    def add(tag: str, atoms: Atoms, amplitude: float) -> None:
        atoms.symbols[:] = [elements[k % len(elements)] for k in rng.permutation(len(atoms))]
        atoms.positions += rng.uniform(-amplitude, amplitude, size=(len(atoms), 3))
        atoms.info = {"tag": tag}
        out.append(atoms)

    def strain(size: float) -> Any:
        return np.eye(3) + size * rng.uniform(-1, 1, size=(3, 3))

    tiny = bulk("Cu", "fcc", a=a)
    tiny.set_cell(tiny.cell.array @ strain(0.03), scale_atoms=True)
    add("primitive_triclinic", tiny, 0.0)
    add("crystal_rattled", bulk("Cu", "fcc", a=a, cubic=True) * (2, 2, 2), 0.1)
    skewed = make_supercell(bulk("Cu", "fcc", a=a), np.array([[3, 1, 0], [-1, 2, 1], [0, 1, 2]]))
    skewed.set_cell(skewed.cell.array @ strain(0.05), scale_atoms=True)
    add("sheared_unwrapped", skewed, 0.12)
    skewed.positions += rng.integers(-2, 3, size=(len(skewed), 3)) @ skewed.cell.array
    add("hot", bulk("Cu", "fcc", a=0.98 * a, cubic=True) * (3, 2, 1), 0.35)
    cluster = bulk("Cu", "fcc", a=a, cubic=True) * (3, 3, 3)
    centre = cluster.positions.mean(axis=0)
    near = np.argsort(np.linalg.norm(cluster.positions - centre, axis=1), kind="stable")
    cluster = Atoms(f"Cu{19}", cluster.positions[near[:19]] - centre)
    add("cluster", cluster, 0.15)
    slab = bulk("Cu", "fcc", a=a, cubic=True) * (2, 2, 1)
    slab.pbc = (True, True, False)
    slab.positions[:, 2] += 4.0
    slab.cell[2, 2] += 8.0
    add("slab_TTF", slab, 0.15)
    wire = bulk("Cu", "fcc", a=a, cubic=True) * (1, 1, 3)
    wire.pbc = (False, False, True)
    wire.positions[:, :2] += 4.0
    wire.cell[0, 0] += 8.0
    wire.cell[1, 1] += 8.0
    add("wire_FFT", wire, 0.15)
    add("dimer", Atoms("Cu2", [[0, 0, 0], [0.68 * a, 0.08 * a, -0.12 * a]]), 0.0)
    add("isolated", Atoms("Cu", [[0.1, 0.2, 0.3]]), 0.0)
    return out


def evaluate(atoms: Atoms, commands: list[str], elements: list[str]) -> dict[str, Any]:
    """One static evaluation; results in the orientation and signs of ASE."""
    pbc = np.array(atoms.pbc)
    cell, positions = np.array(atoms.cell), atoms.positions.copy()
    if not pbc.any():  # any box will do for a cluster
        positions = positions - positions.min(axis=0) + 10.0
        cell = np.diag(positions.max(axis=0) + 10.0)
    # LAMMPS wants a lower triangular cell: cell = triangle @ rotation
    q, upper = np.linalg.qr(cell.T)
    signs = np.sign(np.diag(upper))
    triangle, rotation = (upper * signs[:, None]).T, (q * signs).T
    assert np.linalg.det(rotation) > 0, "left-handed cells are not handled here"
    fractional = np.linalg.solve(cell.T, positions.T).T
    fractional[:, pbc] %= 1.0
    inside = fractional @ triangle
    n = len(atoms)
    lmp = lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
    (xx, _, _), (xy, yy, _), (xz, yz, zz) = triangle.tolist()
    region = f"0 {xx:.17g} 0 {yy:.17g} 0 {zz:.17g} {xy:.17g} {xz:.17g} {yz:.17g}"
    setup = [
        "units metal",
        "atom_style atomic",
        "atom_modify map array sort 0 0",
        "boundary " + " ".join("p" if p else "f" for p in pbc),
        "box tilt large",
        f"region box prism {region} units box",
        f"create_box {len(elements)} box",
    ]
    if not np.any([xy, xz, yz]):
        setup[5] = f"region box block 0 {xx:.17g} 0 {yy:.17g} 0 {zz:.17g} units box"
    lmp.commands_list(setup)
    types = [elements.index(symbol) + 1 for symbol in atoms.get_chemical_symbols()]
    lmp.create_atoms(n, list(range(1, n + 1)), types, inside.ravel().tolist())
    assert lmp.get_natoms() == n
    lmp.commands_list(["mass * 1.0", *commands])
    lmp.commands_list(
        [
            "neighbor 0.3 bin",
            "neigh_modify one 5000 page 100000",
            "compute eatom all pe/atom",
            "compute pressure all pressure NULL virial",
            "compute total all reduce sum c_eatom",
            "thermo_style custom step pe c_pressure[1] c_total",  # evaluates both computes
            "thermo_modify norm no",
            "run 0 post no",
        ]
    )
    order = np.argsort(lmp.numpy.extract_atom("id")[:n])
    xx, yy, zz, xy, xz, yz = lmp.numpy.extract_compute("pressure", 0, 1)
    factor = -lmp.extract_global("nktv2p")
    stress = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]) / factor
    stress = rotation.T @ stress @ rotation
    virial = stress * abs(np.linalg.det(cell))
    result: dict[str, Any] = {
        "energy": np.float64(lmp.get_thermo("pe")),
        "forces": lmp.numpy.extract_atom("f")[:n][order] @ rotation,
        "energies": np.array(lmp.numpy.extract_compute("eatom", 1, 1))[:n][order],
        "virial": virial[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]],
        "version": lmp.version(),
    }
    if pbc.any():
        result["stress"] = result["virial"] / abs(np.linalg.det(cell))
    lmp.close()
    return result


def cases(source: str | None) -> list[dict[str, Any]]:
    """Constructor arguments and the LAMMPS commands that mean the same."""
    out: list[dict[str, Any]] = []

    def add(name: str, calculator: str, kwargs: dict[str, Any], elements: list[str], a: float,
            commands: list[str]) -> None:  # fmt: skip
        out.append(
            {
                "name": name,
                "calculator": calculator,
                "kwargs": kwargs,
                "elements": elements,
                "lattice_constant": a,
                "seed": 100 + len(out),
                "lammps": commands,
            }
        )

    if source is not None:
        runpy.run_path(source)["cases"](add)
        return out
    ar = {"sigma": 3.405, "epsilon": 0.0103}
    coeff = "pair_coeff 1 1 0.0103 3.405"
    add("lj_cut", "LennardJones", {**ar, "rc": 7.5, "shift": False}, ["Ar"], 5.26,
        ["pair_style lj/cut 7.5", coeff])  # fmt: skip
    add("lj_shift", "LennardJones", {**ar, "rc": 7.5, "shift": True}, ["Ar"], 5.26,
        ["pair_style lj/cut 7.5", "pair_modify shift yes", coeff])  # fmt: skip
    add("lj_force_shift", "LennardJones", {**ar, "rc": 7.5, "force_shift": True}, ["Ar"], 5.26,
        ["pair_style lj/smooth/linear 7.5", coeff])  # fmt: skip
    pairs = {"Ar-Ar": (0.0103, 3.405, 7.1), "Ar-Ne": (0.006, 3.1, 6.3), "Ne-Ne": (0.0031, 2.78, 5)}
    add("lj_mixture", "LennardJones",
        {"pairs": {key: dict(zip(("epsilon", "sigma", "rc"), v, strict=True))
                   for key, v in pairs.items()}, "shift": True},
        ["Ar", "Ne"], 4.9,
        ["pair_style lj/cut 7.1", "pair_modify shift yes"]
        + [f"pair_coeff {ij} {pairs[k][0]} {pairs[k][1]} {pairs[k][2]}"
           for ij, k in (("1 1", "Ar-Ar"), ("1 2", "Ar-Ne"), ("2 2", "Ne-Ne"))])  # fmt: skip
    for mixing, word in (("lorentz-berthelot", "arithmetic"), ("geometric", "geometric")):
        add(f"lj_mixing_{word}", "LennardJones",
            {"sigma": {"Ar": 3.405, "Ne": 2.78}, "epsilon": {"Ar": 0.0103, "Ne": 0.0031},
             "rc": 7.0, "shift": False, "mixing": mixing}, ["Ar", "Ne"], 4.9,
            ["pair_style lj/cut 7.0", f"pair_modify mix {word}", coeff,
             "pair_coeff 2 2 0.0031 2.78"])  # fmt: skip
    morse = {"D": 0.34, "alpha": 1.36, "r0": 2.87}
    for shift in (False, True):
        add("morse_shift" if shift else "morse_cut", "Morse", {**morse, "rc": 6.0, "shift": shift},
            ["Cu"], 3.61, ["pair_style morse 6.0", f"pair_modify shift {'yes' if shift else 'no'}",
                           "pair_coeff 1 1 0.34 1.36 2.87"])  # fmt: skip
    for style, kind in (("alloy", "eam/alloy"), ("fs", "eam/fs")):
        name = f"synthetic.eam.{style}"
        for dense, a in (("", 3.9), ("_dense", 2.63)):
            # the elements in LAMMPS's order differ from the file's, as in a user's script
            add(f"eam_{style}{dense}", "EAM", {"path": name}, ["Cu", "Al"], a,
                [f"pair_style {kind}", f"pair_coeff * * {OUT / name} Cu Al"])  # fmt: skip
    one, two = "synthetic_Al.eam", "synthetic_Cu.eam"
    add("eam_funcfl", "EAM", {"path": one}, ["Al"], 3.9,
        ["pair_style eam", f"pair_coeff 1 1 {OUT / one}"])  # fmt: skip
    for dense, a in (("", 3.9), ("_dense", 2.63)):
        add(f"eam_funcfl_mixed{dense}", "EAM", {"path": {"Al": one, "Cu": two}}, ["Al", "Cu"], a,
            ["pair_style eam", f"pair_coeff 1 1 {OUT / one}",
             f"pair_coeff 2 2 {OUT / two}"])  # fmt: skip
    # Short-range part of the silica model of van Beest et al., Phys. Rev. Lett. 64, 1955 (1990).
    oxygen = {"A": 1388.773, "rho": 0.36231884, "C": 175.0}
    for shift in (False, True):
        add("buckingham_shift" if shift else "buckingham_cut", "Buckingham",
            {**oxygen, "rc": 6.0, "shift": shift}, ["O"], 3.9,
            ["pair_style buck 6.0", f"pair_modify shift {'yes' if shift else 'no'}",
             "pair_coeff 1 1 1388.773 0.36231884 175.0"])  # fmt: skip
    silica = {"O-O": {**oxygen, "rc": 5.7}, "O-Si": {"A": 18003.7572, "rho": 0.20520481,
              "C": 133.5381, "rc": 5.1}, "Si-Si": {"A": 0.0, "rho": 1.0}}  # fmt: skip
    add("buckingham_mixture", "Buckingham", {"pairs": silica, "rc": 4.4, "shift": True},
        ["Si", "O"], 3.9,
        ["pair_style buck 4.4", "pair_modify shift yes",
         "pair_coeff 2 2 1388.773 0.36231884 175.0 5.7",
         "pair_coeff 1 2 18003.7572 0.20520481 133.5381 5.1", "pair_coeff 1 1 0 1 0"])  # fmt: skip
    return out


def main() -> None:
    source = sys.argv[1] if len(sys.argv) > 1 else None
    of = "" if source is None else Path(source).stem.replace("lammps", "", 1)
    stored = []
    for case in cases(source):
        name, elements = case["name"], case["elements"]
        path = OUT / f"{name}.extxyz"
        made = frames(case.pop("lattice_constant"), elements, case.pop("seed"))
        write(path, made, format="extxyz", columns=["symbols", "positions"])
        data: dict[str, Any] = {}
        tags = []
        for k, atoms in enumerate(read(path, ":", format="extxyz")):
            result = evaluate(atoms, case["lammps"], elements)
            case["lammps_version"] = result.pop("version")
            data |= {f"{k}_{key}": value for key, value in result.items()}
            tags.append({"tag": atoms.info["tag"], "natoms": len(atoms)})
        np.savez_compressed(OUT / f"{name}.npz", **data)
        case["lammps"] = [line.replace(f"{OUT}/", "") for line in case["lammps"]]
        stored.append({**case, "frames": tags})
        print(name, [f"{float(data[f'{k}_energy']):.4f}" for k in range(len(tags))], flush=True)
    (OUT / f"cases{of}.json").write_text(json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    main()
