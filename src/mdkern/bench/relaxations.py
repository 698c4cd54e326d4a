"""Two hundred relaxations with their calculators, on which the optimizers are compared with ASE's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from mdkern.bench.crystals import CLOSE_PACKED, crystals, molecules, perturb, prototype, slabs
from mdkern.bench.nep_models import morse_nep

Atoms = Any  # ase.Atoms, whose methods have no types

__all__ = ["ELEMENTS", "METALS", "STIFF", "Relaxation", "relaxations"]

GPA = 1.0 / 160.21766208  # in eV / Angstrom^3
METALS = (
    *("Cu", "Ag", "Au", "Ni", "Pd", "Pt", "Al", "Pb"),
    *("Fe", "Mo", "Ta", "W", "Mg", "Co", "Ti", "Zr"),
)
STIFF = (
    "Cu",
    "Ni",
    "Pd",
    "Pt",
    "Fe",
    "Mo",
    "Ta",
    "W",
)  # these hold together under a tension of 10 GPa
# H to Pu but five: the 89 elements of universal models.
ELEMENTS = tuple(x for x in chemical_symbols[1:95] if x not in ("Po", "At", "Rn", "Fr", "Ra"))
_OF_SMALL_NEP = ("Li", "C", "O", "Na", "Mg", "Si", "Cl", "Ti", "Cu", "Ba", "W", "Au")


@dataclass(frozen=True, slots=True)
class Relaxation:
    """A structure, what to relax it with, and how.

    Attributes
    ----------
    name : str
        Group and number: ``eam-crystal-7``.
    atoms : ase.Atoms
        With constraints, without a calculator.
    calculator
        Shared by the group.
    cell : {"full", "none"}
        Whether the cell relaxes.
    pressure : float
        GPa.
    """

    name: str
    atoms: Atoms
    calculator: Any
    cell: str = "full"
    pressure: float = 0.0

    @property
    def scalar_pressure(self) -> float:
        """In eV/Angstrom^3, as ASE's filters take it."""
        return self.pressure * GPA


def _eam(_folder: Path, _data: Path | None) -> Iterator[Relaxation]:
    from mdkern.calculators import EAM

    calc = EAM.zhou2004(METALS, threads=1)
    for k, frame in enumerate(crystals(46, METALS, kinds=CLOSE_PACKED, atoms=(4, 24), seed=1)):
        yield Relaxation(f"eam-crystal-{k}", frame, calc, "none" if k % 5 == 4 else "full")
    for k, frame in enumerate(crystals(24, STIFF, kinds=CLOSE_PACKED, atoms=(4, 16), seed=2)):
        yield Relaxation(f"eam-pressure-{k}", frame, calc, "full", -10.0 if k % 2 else 10.0)
    for k, frame in enumerate(slabs(20, [*STIFF, "Al", "Ag"])):
        yield Relaxation(f"eam-slab-{k}", frame, calc, "none")
    for k, frame in enumerate(molecules(16, METALS)):
        yield Relaxation(f"eam-molecule-{k}", frame, calc, "none")


def _nep(folder: Path, _data: Path | None) -> Iterator[Relaxation]:
    from mdkern.calculators import NEP

    path = morse_nep(folder / "morse_nep.txt", species=_OF_SMALL_NEP, hidden=30)
    calc = NEP(path, threads=1)
    for k, frame in enumerate(crystals(30, _OF_SMALL_NEP, atoms=(4, 16), seed=3)):
        yield Relaxation(f"nep-crystal-{k}", frame, calc, "none" if k % 5 == 4 else "full")
    for k, frame in enumerate(
        crystals(10, ("Cu", "Ti", "W", "Au"), kinds=CLOSE_PACKED, atoms=(4, 12), seed=4)
    ):
        yield Relaxation(f"nep-pressure-{k}", frame, calc, "full", -10.0 if k % 2 else 10.0)
    for k, frame in enumerate(molecules(10, _OF_SMALL_NEP, atoms=(4, 12), seed=5)):
        yield Relaxation(f"nep-molecule-{k}", frame, calc, "none")


def _published(_folder: Path, data: Path | None) -> Iterator[Relaxation]:
    """With the published models that are there."""
    import ase
    from ase.build import bulk, molecule

    from mdkern.calculators import EAM, NEP, DeepPotential

    if data is None:
        return
    rng = np.random.default_rng(6)
    models = data / "nep" / "models"

    def found(
        name: str, file: Path, make: Callable[[Path], Any], frames: list[tuple[Atoms, str, float]]
    ) -> Iterator[Relaxation]:
        if not file.is_file():
            return
        calc = make(file)
        for k, (frame, cell, pressure) in enumerate(frames):
            perturb(frame, rng, 0.05, 0.02 if cell == "full" else 0.0)
            yield Relaxation(f"{name}-{k}", frame, calc, cell, pressure)

    def nep(path: Path) -> Any:
        return NEP(path, threads=1)

    silicon = bulk("Si", cubic=True)
    yield from found(
        "si-nep",
        models / "Si_2022_NEP4_5body.txt",
        nep,
        [(silicon.copy(), cell, p) for cell in ("full", "none") for p in (0.0, 10.0, -5.0)][:4],
    )
    carbon = bulk("C", cubic=True)
    yield from found(
        "c-nep",
        models / "C_2024_NEP4.txt",
        nep,
        [(carbon.copy(), "full", p) for p in (0.0, 10.0, -10.0)] + [(carbon.copy(), "none", 0.0)],
    )
    lead = bulk("PbTe", "rocksalt", a=6.46, cubic=True)
    yield from found(
        "pbte-nep",
        models / "PbTe_NEP3.txt",
        nep,
        [(lead.copy(), "full", 0.0), (lead.copy(), "full", 2.0), (lead.copy(), "none", 0.0)],
    )
    perovskite = prototype("perovskite", ["Ba", "Zr", "O"])
    perovskite.set_cell(4.2 * np.eye(3), scale_atoms=True)
    yield from found(
        "bazro3-nep",
        models / "BaZrO3_NEP4.txt",
        nep,
        [(perovskite.repeat((2, 1, 1)), "full", p) for p in (0.0, 10.0, -10.0)]
        + [(perovskite.copy(), "none", 0.0)],
    )
    unep = ("Ag", "Al", "Au", "Cr", "Cu", "Mg", "Mo", "Ni", "Pb", "Pd", "Pt", "Ta", "Ti", "V", "W")
    alloys = crystals(12, unep, kinds=CLOSE_PACKED, atoms=(4, 16), seed=7)
    yield from found(
        "unep",
        models / "UNEP-v1_2024_NEP4_ZBL.txt",
        nep,
        [(frame, "full", 0.0) for frame in alloys],
    )
    nickel = crystals(8, ("Cu", "Ni"), kinds=CLOSE_PACKED, atoms=(4, 16), seed=8)
    yield from found(
        "cuni-eam",
        data / "potentials" / "CuNi.eam.alloy",
        lambda path: EAM(path, threads=1),
        [(frame, "full", 10.0 if k % 4 == 3 else 0.0) for k, frame in enumerate(nickel)],
    )
    water = []
    for n in (1, 2, 3):
        frame = ase.Atoms()
        for m in range(n):
            one = molecule("H2O")
            one.rotate(float(rng.uniform(0, 180)), "xyz"[m])
            one.translate([2.9 * m, 0.0, 0.3 * m])
            frame += one
        water.append((frame, "none", 0.0))
        boxed = frame.copy()
        boxed.set_cell([2.9 * n + 1.0, 5.0, 5.0])
        boxed.pbc = True
        water.append((boxed, "none", 0.0))
    yield from found(
        "water-deepmd",
        data / "deepmd" / "water_se_e2_a.dp",
        lambda path: DeepPotential(path, threads=1),
        [(frame.copy(), cell, p) for frame, cell, p in water for _ in range(2)][:10],
    )


def _random_deepmd(folder: Path, _data: Path | None) -> Iterator[Relaxation]:
    from mdkern.bench.deepmd_models import random_deepmd
    from mdkern.calculators import DeepPotential

    path = random_deepmd(
        folder / "random_deepmd.json",
        sel=(200, 400),
        neuron=(5, 10),
        axis_neuron=4,
        fitting=(20, 20),
    )
    calc = DeepPotential(path, threads=1)
    rng = np.random.default_rng(9)
    for k in range(200):
        frame = prototype("fluorite", ["O", "H"]).repeat((1, 1, 1 + k % 2))
        perturb(frame, rng, 0.1, 0.02)
        yield Relaxation(f"deepmd-random-{k}", frame, calc, "none" if k % 3 == 2 else "full")


_GROUPS = (_eam, _nep, _published, _random_deepmd)


def relaxations(folder: Path, data: Path | None = None, n: int = 200) -> list[Relaxation]:
    """The first n relaxations of the set; what published models there are take the place of random ones.

    Parameters
    ----------
    folder : path
        Where models are written.
    data : path, optional
        Of published models: ``nep/models``, ``potentials`` and ``deepmd`` in it, as $MDKERN_TEST_DATA has them.
    n : int
        At most 360.
    """
    made: list[Relaxation] = []
    for group in _GROUPS:
        for case in group(folder, data):
            made.append(case)
            if len(made) == n:
                return made
    return made
