"""The fixed list of ``mdkern bench --score``: systems, work and right results of version 1.

The numbers of a version never change. `work` is the formula of docs/score.md on the numbers of atoms and pairs of the
system: it does not follow the kernels, so that shares of several releases can be compared. A change of the list, of a
system, a count or a result is another version.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from mdkern import _core, neighbors
from mdkern.bench.kernels import KERNELS
from mdkern.bench.systems import ARGON, make

__all__ = ["CASES", "GEMM", "MD_STEPS", "SOAP_SETTINGS", "VERSION", "ScoreCase", "Size"]

VERSION = 1
TOLERANCE = 1e-8  # relative; instruction sets and mathematics libraries round differently
SOAP_SETTINGS: dict[str, Any] = {"r_cut": 5.0, "n_max": 8, "l_max": 6, "sigma": 0.5}
GEMM = (64, 1600, 240)  # rows, depth, columns: the largest product of the standard Deep Potential
MD_STEPS = 10

Run = Callable[[int], Any]  # of the number of threads
Values = Callable[[Any], dict[str, float]]


@dataclass(frozen=True, slots=True)
class Size:
    """A system by its name, the operations or bytes of one call, and the numbers that must come out."""

    system: str
    work: int
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class ScoreCase:
    """One line of the score.

    Attributes
    ----------
    name : str
    bound : {"compute", "memory"}
        What its share is a share of.
    make : function of the system's name
        Returns the call, a function of the number of threads, and what takes the numbers out of its result.
    full, quick : Size
    each : bool
        Whether each thread does all the work, as it has no loop of its own to share.
    """

    name: str
    bound: str
    make: Callable[[str], tuple[Run, Values]]
    full: Size
    quick: Size
    each: bool = False

    def check(self, found: dict[str, float], size: Size) -> None:
        """Raises AssertionError, with names and numbers, unless `found` are the values of `size` within rounding."""
        assert found.keys() == size.values.keys(), f"{self.name}: {[*found]}"
        for name, expected in size.values.items():
            right = abs(found[name] - expected) <= TOLERANCE * abs(expected)
            assert right, (
                f"{self.name}, {size.system}: {name} {found[name]!r}; expected {expected!r}"
            )


def _sums(array: Any) -> dict[str, float]:
    flat = np.ascontiguousarray(array).reshape(-1)
    return {"sum": float(flat.sum()), "norm": float(np.sqrt(flat @ flat))}


def _energy_and_forces(energy: float, forces: Any) -> dict[str, float]:
    return {"energy": float(energy), "forces": _sums(forces)["norm"]}


def _gemm(system: str) -> tuple[Run, Values]:
    rows, depth, columns = GEMM
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(rows, depth)), rng.normal(size=(depth, columns))
    repeats = int(system.rpartition("-")[2])

    @cache
    def pool(threads: int) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(threads)

    def product() -> Any:
        return _core.dense_gemm(a, b, False, repeats)

    def run(threads: int) -> Any:
        if threads == 1:
            return [product()]
        jobs = [pool(threads).submit(product) for _ in range(threads)]
        return [job.result() for job in jobs]

    def values(products: Any) -> dict[str, float]:
        c = products[0][:, :columns]
        for other in products[1:]:
            assert np.array_equal(other[:, :columns], c), "threads differ in a product"
        return _sums(c)

    return run, values


def _potential(kernel: str, system: str) -> tuple[Run, Values]:
    case = KERNELS[kernel].make(make(system))
    return case.run, lambda result: _energy_and_forces(result.energy, result.forces)


def _soap(system: str) -> tuple[Run, Values]:
    from mdkern.descriptors import SOAP

    atoms = make(system).atoms
    soap = SOAP(["Si"], periodic=True, **SOAP_SETTINGS)
    return lambda threads: soap.create(atoms, threads=threads), _sums


def _soap_jacobian(system: str) -> tuple[Run, Values]:
    from mdkern.descriptors import SOAP

    atoms = make(system).atoms
    soap = SOAP(["Si"], periodic=True, **SOAP_SETTINGS)

    def run(threads: int) -> Any:
        return soap.derivatives_sparse(atoms, attach=True, threads=threads)

    def values(jacobian: Any) -> dict[str, float]:
        # The sum is of numbers that cancel.
        return {"bytes": jacobian.values.nbytes, "norm": _sums(jacobian.values)["norm"]}

    return run, values


def _neighbor_list(system: str) -> tuple[Run, Values]:
    s = make(system)

    def run(threads: int) -> Any:
        return neighbors.neighbor_list("ijdDS", s.atoms, s.cutoff, threads=threads)

    def values(arrays: Any) -> dict[str, float]:
        i, j, d, D, S = arrays
        inside = S @ s.atoms.cell.array + s.atoms.positions[j]
        worst = np.abs(inside - s.atoms.positions[i] - D).max()
        assert worst <= 1e-10, f"D differs from r_j - r_i + S @ cell by {worst}"
        return {"pairs": len(i), "distances": float(d.sum()), "vectors": _sums(D)["norm"]}

    return run, values


def _dynamics(system: str) -> tuple[Run, Values]:
    from ase import units

    from mdkern.calculators import LennardJones
    from mdkern.md import VelocityVerlet

    argon: dict[str, Any] = {**ARGON}
    start = make(system).atoms
    width = np.sqrt(start.get_masses()[:, None] * units.kB * 120)
    momenta = width * np.random.default_rng(7).normal(size=(len(start), 3))

    @cache
    def dynamics(threads: int) -> Any:
        atoms = start.copy()
        atoms.set_momenta(momenta)
        atoms.calc = LennardJones(**argon, threads=threads)
        return VelocityVerlet(atoms, 5 * units.fs, skin=0.8)  # given: nothing is tuned

    def run(threads: int) -> Any:
        loop = dynamics(threads)
        loop.atoms.positions, loop.atoms.arrays["momenta"][...] = start.positions, momenta
        loop.run(MD_STEPS)
        return loop.atoms

    def values(atoms: Any) -> dict[str, float]:
        return _energy_and_forces(atoms.get_total_energy(), atoms.get_forces())

    return run, values


CASES = (
    ScoreCase(
        "gemm",
        "compute",
        _gemm,
        Size("products-96", 4_718_592_000, {"sum": 3211.5427952577484, "norm": 4918.514662251742}),
        Size("products-4", 196_608_000, {"sum": 3211.5427952577484, "norm": 4918.514662251742}),
        each=True,
    ),
    ScoreCase(
        "nep",
        "compute",
        partial(_potential, "nep"),
        Size(
            "copper-32000",
            2_668_101_876,
            {"energy": 3433.154012299206, "forces": 40.45415358455896},
        ),
        Size("cell-256", 21_310_032, {"energy": 27.636275894625, "forces": 3.4667228440736597}),
    ),
    ScoreCase(
        "deep_potential",
        "compute",
        partial(_potential, "deep_potential"),
        Size(
            "water-12288",
            28_991_373_120,
            {"energy": -6243.683026407429, "forces": 115.29980355654621},
        ),
        Size("water-375", 884_106_360, {"energy": -190.533070427525, "forces": 20.07472564642819}),
    ),
    ScoreCase(
        "mace_small",
        "compute",
        partial(_potential, "mace_small"),
        Size(
            "copper-2048",
            13_572_667_392,
            {"energy": -3323.9326792036154, "forces": 91.45222424676838},
        ),
        Size("cell-32", 212_074_496, {"energy": -52.09748390711135, "forces": 11.109971280214719}),
    ),
    ScoreCase(
        "soap",
        "compute",
        _soap,
        Size("silicon-8000", 1_058_004_374, {"sum": 586910.6552939655, "norm": 4629.118183048248}),
        Size("silicon-216", 28_573_468, {"sum": 15846.576814613589, "norm": 760.823625994257}),
    ),
    ScoreCase(
        "neighbor_list",
        "memory",
        _neighbor_list,
        Size(
            "copper-256000",
            898_113_760,
            {"pairs": 10919222, "distances": 41453669.63675982, "vectors": 12840.326208502045},
        ),
        Size(
            "copper-4000",
            14_028_960,
            {"pairs": 170562, "distances": 647459.3323154952, "vectors": 1604.6438370519834},
        ),
    ),
    ScoreCase(
        "lennard_jones",
        "memory",
        partial(_potential, "lennard_jones"),
        Size(
            "argon-500000", 147_363_768, {"energy": -30078.02097286781, "forces": 55.28686641388756}
        ),
        Size(
            "argon-4000", 1_179_608, {"energy": -240.49507964530164, "forces": 5.1518478934207685}
        ),
    ),
    ScoreCase(
        "dynamics",
        "memory",
        _dynamics,
        Size(
            "argon-256000",
            1_225_573_680,
            {"energy": -11439.615897669362, "forces": 32.03546693488713},
        ),
        Size("argon-4000", 19_156_080, {"energy": -178.72502305547258, "forces": 4.04715456221614}),
    ),
    ScoreCase(
        "soap_jacobian",
        "memory",
        _soap_jacobian,
        Size("silicon-1000", 429_395_904, {"bytes": 429395904, "norm": 714.5377640917193}),
        Size("silicon-216", 92_776_320, {"bytes": 92776320, "norm": 331.4904979817368}),
    ),
)
