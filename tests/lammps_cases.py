"""Run by test_lammps_external.py under mpiexec: what LAMMPS has with mdkern attached, as arrays in a file.

``python lammps_cases.py OUT [RESTART]``: all of CASES into OUT (.npz), `RESTART` is a folder with a restart file of another number of processes.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import messages_data
import numpy as np
from ase import Atoms
from ase.build import bulk
from deepmd_data import model_file
from deepmd_data import system as deepmd_system
from mace_data import mace_file
from mpi4py import MPI  # before lammps: it loads the MPI library

from mdkern import MDKernWarning, calculators
from mdkern.lammps import attach

DATA = Path(__file__).resolve().parent / "data"
COMM = MPI.COMM_WORLD
Values = dict[str, Any]

MADE: dict[str, Any] = {
    "lj": lambda: calculators.LennardJones(
        epsilon={"Cu": 0.01, "Ni": 0.02}, sigma={"Cu": 2.2, "Ni": 2.1}, rc=5.0, ro=4.0, smooth=True
    ),
    "eam": lambda: calculators.EAM.zhou2004(["Cu", "Ni"]),
    "nep_charges": lambda: calculators.NEP(DATA / "nep" / "synthetic_nep4_charge2.txt"),
    "nep_zbl": lambda: calculators.NEP(DATA / "nep" / "synthetic_nep4_zbl_typewise.txt"),
    "nep": lambda: calculators.NEP(DATA / "nep" / "synthetic_nep4_highorder.txt"),
    "mace": lambda: calculators.MACE(mace_file("layers3")),
    "deepmd": lambda: calculators.DeepPotential(model_file("se_e2_a_dt")),
    "deepmd_blend": lambda: calculators.DeepPotential(model_file("zbl")),
    "deepmd_sum": lambda: calculators.DeepPotential(model_file("linear")),
}
MOVING = ("eam", "lj", "nep_zbl", "mace", "deepmd")  # the first alone where processes share cores


def structure(name: str) -> Atoms:
    """A triclinic cell with its first vector along x, as LAMMPS wants it."""
    if name.startswith("deepmd"):
        atoms = deepmd_system("crystal").repeat((2, 1, 1))
        atoms.set_cell(atoms.cell.standard_form()[0], scale_atoms=True)
        return atoms
    species = MADE[name]().species
    atoms = bulk("Cu", a=3.65, cubic=True).repeat((4, 3, 3))
    atoms.rattle(0.08, seed=3)
    atoms.symbols = [species[(k * k) % len(species)] for k in range(len(atoms))]
    atoms.set_cell(atoms.cell.array + np.array([[0, 0, 0], [0.4, 0, 0], [0.2, -0.3, 0]]), True)
    return atoms


def open_lammps(atoms: Atoms | None = None, elements: Any = None, before: str = "") -> Any:
    from lammps import lammps

    lmp = lammps(cmdargs=["-log", "none", "-screen", "none"])
    if atoms is None:
        return lmp
    elements = elements or sorted(set(atoms.symbols))
    (xx, _, _), (xy, yy, _), (xz, yz, zz) = atoms.cell.array.tolist()
    lmp.commands_string(f"""
        units metal
        atom_modify map yes
        boundary {" ".join("p" if p else "f" for p in atoms.pbc)}
        {before}
        box tilt large
        region box prism 0 {xx!r} 0 {yy!r} 0 {zz!r} {xy!r} {xz!r} {yz!r}
        create_box {len(elements)} box
    """)
    for t, symbol in enumerate(elements, 1):
        lmp.command(f"mass {t} {Atoms(symbol).get_masses()[0]:.17g}")
    kinds = [elements.index(s) + 1 for s in atoms.symbols]
    lmp.create_atoms(len(atoms), list(range(1, len(atoms) + 1)), kinds, atoms.positions.ravel().tolist())  # fmt: skip
    return lmp


def look(lmp: Any) -> Values:
    """All that LAMMPS has of the present atoms; virials are -dE/d(strain) in eV, in LAMMPS's order."""
    lmp.commands_string("""
        compute look_e all pe/atom
        compute look_s all stress/atom NULL virial
        compute look_p all pressure NULL virial
        compute look_sum all reduce sum c_look_e c_look_s[1]
        thermo_style custom step pe etotal c_look_sum[1] c_look_p[1]
        run 0
    """)
    low, high, xy, yz, xz, _, _ = lmp.extract_box()
    (a, b, c) = np.subtract(high, low)
    to_ev = a * b * c / lmp.extract_global("nktv2p")
    out = {
        "pe": lmp.get_thermo("pe"),
        "x": gather(lmp, "x") - low,
        "type": np.array(lmp.gather_atoms("type", 0, 1)),
        "forces": gather(lmp, "f"),
        "cell": np.array([[a, 0, 0], [xy, b, 0], [xz, yz, c]]),
        "energies": np.array(lmp.gather("c_look_e", 1, 1)),
        "virials": -np.array(lmp.gather("c_look_s", 1, 6)).reshape(-1, 6)
        / lmp.extract_global("nktv2p"),
        "virial": to_ev * np.ctypeslib.as_array(lmp.extract_compute("look_p", 0, 1), (6,)),
        "n_own": np.array(COMM.allgather(lmp.extract_setting("nlocal"))),
    }
    lmp.command("thermo_style one")
    for name in ("sum", "e", "s", "p"):
        lmp.command(f"uncompute look_{name}")
    return out


def gather(lmp: Any, name: str) -> Any:
    """(n, 3), in the order of tags."""
    return np.array(lmp.gather_atoms(name, 1, 3)).reshape(-1, 3)


def messages(folder: Path) -> Values:
    """Values of ghosts that are added up between two parts of an evaluation."""
    calc = messages_data.load(folder / "libmessage_passing.so", folder / "messages.mdk")
    lmp = open_lammps(structure("eam"))
    attach(lmp, calc)
    return look(lmp)


def static(name: str) -> Values:
    lmp = open_lammps(structure(name))
    attach(lmp, MADE[name]())
    return look(lmp)


def moving(name: str) -> Values:
    """Atoms that go to other processes, with newton off; the energies say whether forces are their derivatives."""
    lmp = open_lammps(structure(name), before="newton off")
    with attach(lmp, MADE[name]()):
        lmp.commands_string("""
            neighbor 0.2 bin
            neigh_modify delay 0 every 1 check yes
            fix move all nve
            velocity all create 900 17 dist gaussian loop geom
            timestep 0.0004
            run 0
        """)
        start, here = lmp.get_thermo("etotal"), own_tags(lmp)
        lmp.command("run 60")
        out = {"drift": lmp.get_thermo("etotal") - start, "kinetic": lmp.get_thermo("ke")}
        out["migrated"] = COMM.allreduce(len(own_tags(lmp) - here))
        return out | look(lmp)


def own_tags(lmp: Any) -> set[int]:
    n = lmp.extract_setting("nlocal")
    return set(lmp.numpy.extract_atom("id", nelem=n).tolist()) if n else set()


def some_types() -> Values:
    """Atoms without an element take no part."""
    atoms = structure("eam")
    lmp = open_lammps(atoms)
    attach(lmp, MADE["eam"](), ["Cu", None])
    return look(lmp)


def beside_a_pair_style() -> Values:
    """Ghosts further out than the pair style alone would have."""
    lmp = open_lammps(structure("eam"))
    lmp.commands_string("pair_style lj/cut 3.0\npair_coeff * * 0.01 2.2\nneighbor 0.5 bin")
    native = look(lmp)
    attach(lmp, MADE["eam"]())
    out = look(lmp)
    for key in ("pe", "forces", "energies", "virial", "virials"):
        out[key] = out[key] - native[key]
    return out


def two_and_one_again() -> Values:
    """Several calculators, in either order of their cutoffs; detached, nothing is left of one."""
    lmp = open_lammps(structure("eam"))
    with attach(lmp, MADE["lj"](), fix_id="first"):
        second = attach(lmp, MADE["eam"](), fix_id="second")
        both = look(lmp)
        second.detach()
        one = look(lmp)
    none = look(lmp)
    attach(lmp, MADE["eam"]())
    return {
        **{f"both_{k}": v for k, v in both.items()},
        **{f"one_{k}": v for k, v in one.items()},
        "none_pe": none["pe"],
        "none_forces": none["forces"],
        **look(lmp),
    }


def types_that_change() -> Values:
    """Of own atoms and ghosts, in LAMMPS's memory and without a new list, as `fix atom/swap` does it."""
    lmp = open_lammps(structure("eam"))
    attach(lmp, MADE["eam"]())
    lmp.commands_string("fix move all nve\nvelocity all create 300 17 loop geom\nrun 3")
    n = lmp.extract_setting("nlocal") + lmp.extract_setting("nghost")
    tags, types = (lmp.numpy.extract_atom(name, nelem=n) for name in ("id", "type"))
    types[tags % 5 == 0] = 2
    lmp.command("run 2 pre no")
    low = lmp.extract_box()[0]
    return {
        "ago": lmp.extract_setting("neigh_ago"),
        "pe": lmp.get_thermo("pe"),
        "x": gather(lmp, "x") - low,
        "type": np.array(lmp.gather_atoms("type", 0, 1)),
        "forces": gather(lmp, "f"),
    }


def constant_pressure() -> Values:
    lmp = open_lammps(structure("eam"))
    attach(lmp, MADE["eam"]())
    lmp.commands_string("""
        velocity all create 300 17 dist gaussian
        fix move all npt temp 300 300 0.1 tri 0 0 0.5
        run 40
    """)
    return {"volume": lmp.get_thermo("vol")} | look(lmp)


def minimized() -> Values:
    lmp = open_lammps(structure("eam"))
    attach(lmp, MADE["eam"]())
    lmp.commands_string("min_style cg\nminimize 0 1e-2 500 2000")
    return look(lmp)


def slab() -> Values:
    """Processes without atoms, and free sides; `balance` and tiles after it."""
    atoms = structure("eam")
    atoms.set_cell(np.diag([14.6, 10.95, 60.0]))
    atoms.center(axis=2)
    atoms.pbc = (True, True, False)
    lmp = open_lammps(atoms, before="processors 1 1 *")
    attach(lmp, MADE["eam"]())
    out = {f"before_{k}": v for k, v in look(lmp).items()}
    lmp.commands_string("comm_style tiled\nbalance 1.05 rcb")
    return out | look(lmp)


def small_box() -> Values:
    """Atoms whose own images are within the cutoff."""
    atoms = bulk("Cu", a=3.7, cubic=True)
    atoms.rattle(0.1, seed=1)
    lmp = open_lammps(atoms)
    attach(lmp, MADE["eam"]())
    return look(lmp)


def restarted(folder: Path, source: int) -> Values:
    """From the restart file that the run on `source` processes left; no file is one of ours."""
    lmp = open_lammps()
    lmp.command(f"read_restart {folder / f'{source}.restart'}")
    attach(lmp, MADE["eam"]())
    out = {f"before_{k}": v for k, v in look(lmp).items()}
    lmp.commands_string("fix move all nve\nrun 50")
    return out | look(lmp)


def to_be_restarted(folder: Path) -> Values:
    lmp = open_lammps(structure("eam"))
    attach(lmp, MADE["eam"]())
    lmp.commands_string(f"""
        velocity all create 600 17 dist gaussian loop geom
        fix move all nve
        run 50
        write_restart {folder / f"{COMM.size}.restart"}
        unfix move
    """)
    before = look(lmp)
    lmp.commands_string("fix move all nve\nrun 50")
    return {f"before_{k}": v for k, v in before.items()} | look(lmp)


def main(folder: Path, source: str | None) -> None:
    warnings.simplefilter("error", MDKernWarning)
    found: dict[str, Values] = {f"static_{name}": static(name) for name in MADE}
    if (folder / "messages.mdk").exists():
        found["messages"] = messages(folder)
    found |= {f"moving_{name}": moving(name) for name in MOVING[: 1 if COMM.size > 2 else None]}
    for case in (
        some_types, beside_a_pair_style, two_and_one_again, types_that_change,
        constant_pressure, minimized, slab, small_box
    ):  # fmt: skip
        found[case.__name__] = case()
    if source is None:
        found["restart"] = to_be_restarted(folder)
    else:
        found["restart"] = restarted(folder, int(source))
    if COMM.rank == 0:
        flat = {f"{case}/{key}": value for case, d in found.items() for key, value in d.items()}
        np.savez(folder / f"{COMM.size}.npz", **flat)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
