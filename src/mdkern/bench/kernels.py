"""Each kernel as a case: what to call, its NumPy baseline, and the work that it cannot avoid.

The counts are per pair of the list and per atom, read off the kernel sources as docs/benchmarks.md
explains. A multiply-add counts two operations; addition, multiplication, division, square root and
rounding one each; comparisons, masks, integers and permutations none.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from mdkern import _core, neighbors, potentials, reference
from mdkern.bench.deepmd import DEEP_NEIGHBORS, deep_flops, deep_kinds, deep_path
from mdkern.bench.limits import Limits
from mdkern.bench.nep import NEP_SIZES, nep_flops, nep_kinds, nep_path
from mdkern.bench.peers import neighbor_peers
from mdkern.bench.systems import ARGON, System
from mdkern.io.eam import EamTables
from mdkern.potentials import zhou2004

__all__ = ["COUNTS", "KERNELS", "Case", "Counts", "Floor", "Kernel", "same_pairs"]


@dataclass(frozen=True, slots=True)
class Counts:
    """Work of one kernel per pair, and where noted per atom.

    Attributes
    ----------
    flops : float
        Floating-point operations per pair.
    loads : float
        Bytes per pair that come from a cache, whichever holds them: rows of neighbors, table rows.
    stream, stream_atom : float
        Bytes per pair and per atom of arrays that are walked through once, read or written.
    written : float
        Bytes per pair of new output arrays.
    """

    flops: float
    loads: float
    stream: float
    stream_atom: float
    written: float = 0.0


# Shared by the pair kernels (cpp/forces/pair_loop.hpp).
_VECTOR = 3 + 5  # difference of coordinates; its square by one product and two multiply-adds
_GATHER = 1 + 3 + 3 + 12  # energy, g times vector, force, virial by six multiply-adds
_EXP = 33  # cpp/simd/math.hpp: reduction 8, two polynomials of four multiply-adds 16, the rest 9
_CUBIC, _SLOPE = 6, 6  # three multiply-adds; two and the factors 3 and 2
_ROW, _INDEX = 32, 4
_LJ = 1 + 2 + 1 + 3 + 4  # 1/r^2, its cube, a/r^6, energy, force over distance
_MORSE = 3 + _EXP + 4 + 3 + 1  # argument, exponential, energy, slope, division
_BUCKINGHAM = 3 + _EXP + 4 + 2 + 6  # root, division, argument; A exp and C / r^6; energy; slope
_LOCATE = 1 + 3  # square root; place in the table, its cell, the fraction
# Half lists: g times vector, virial; half of the energy and four additions to row j; energy and
# three multiply-adds for row i.
_SHARED = 3 + 12 + 1 + 4 + 1 + 6
_EAM_DENSITY = _VECTOR + _LOCATE + _CUBIC + 2
_EAM_FORCE = _VECTOR + _LOCATE + 1 + _SLOPE + (_CUBIC + 1) + _SLOPE + 3 + 6 + _SHARED
_CANDIDATES = 7.2  # distance tests per pair kept, measured: copper, groups of eight centres
_TEST_LOADS = 3 * 8 + _INDEX  # coordinates and row number of a candidate
_POOL_SHARE = 0.25  # of the memory available: freed outputs kept for the next (cpp/core/pool.hpp)
_FILL = 3 * 7 + 6  # D = r_j - r_i + S @ cell, and its length
# Bookkeeping and output of an atom: row, start and length of its list, index, energy, force.
_ATOM = _ROW + 8 + 4 + 4 + 8 + 24

COUNTS: dict[str, Counts] = {
    "neighbor_list": Counts(
        flops=_CANDIDATES * _VECTOR + _FILL,
        loads=_CANDIDATES * _TEST_LOADS + _INDEX + 16 + _ROW,
        stream=2 * _INDEX,
        stream_atom=3 * _ROW,
        written=8 + 8 + 8 + 24 + 24,
    ),
    "neighbor_table": Counts(
        flops=_CANDIDATES * _VECTOR,
        loads=_CANDIDATES * _TEST_LOADS,
        stream=_INDEX,
        stream_atom=3 * _ROW,
    ),
    "lennard_jones": Counts(_VECTOR + _LJ + _GATHER, _INDEX + _ROW, _INDEX, _ATOM),
    "lennard_jones_single": Counts(
        _VECTOR + _LJ + _GATHER, _INDEX + _ROW / 2, _INDEX, _ATOM + _ROW
    ),
    "morse": Counts(_VECTOR + _MORSE + _GATHER, _INDEX + _ROW, _INDEX, _ATOM),
    "buckingham": Counts(_VECTOR + _BUCKINGHAM + _GATHER, _INDEX + _ROW, _INDEX, _ATOM),
    # Two passes over a half list, so half of this per pair and direction; the second pass reads the
    # list of pairs that the first one kept. Loads: rows, tables, sums of row j.
    "eam": Counts(
        (_EAM_DENSITY + _EAM_FORCE) / 2,
        (2 * (_INDEX + _ROW) + 32 + 64 + 8 + _ROW) / 2,
        3 * _INDEX / 2,
        _ATOM + 2 * _ROW + 24 + 2 * _ROW,
    ),
    **{  # some ten entries of forces per atom, written twice and read once (force_blocks.hpp)
        name: Counts(nep_flops(size, n_r, n_a) / n_r, _INDEX + 2 * _ROW, _INDEX, _ATOM + 30 * _ROW)
        for name, (size, n_r, n_a) in NEP_SIZES.items()
    },
    **{
        name: Counts(
            deep_flops(DEEP_NEIGHBORS) / DEEP_NEIGHBORS,
            _INDEX + 2 * _ROW,
            _INDEX,
            _ATOM + 30 * _ROW,
        )
        for name in ("deep_potential", "deep_potential_single")
    },
}


@dataclass(frozen=True, slots=True)
class Floor:
    """The least time that a limit of the machine allows, in seconds, and the name of that limit."""

    seconds: float
    limit: str


@dataclass(frozen=True, slots=True)
class Case:
    """A kernel on a system.

    Attributes
    ----------
    run : function of the number of threads
        The kernel.
    baseline : function
        The same in NumPy.
    agree : function of two results
        Raises AssertionError unless they are equal within rounding.
    peers : dict of name to function of the number of threads
        The same by other packages that are installed.
    """

    kernel: str
    system: System
    n_pairs: int
    run: Callable[[int], Any]
    baseline: Callable[[], Any]
    agree: Callable[[Any, Any], None]
    peers: dict[str, Callable[[int], Any]] = field(default_factory=dict)

    @property
    def precision(self) -> str:
        return "single" if self.kernel.endswith("_single") else "double"

    @property
    def flops(self) -> float:
        """Operations of one call."""
        return COUNTS[self.kernel].flops * self.n_pairs

    @property
    def stream(self) -> float:
        """Bytes of one call that are walked through, output included."""
        c = COUNTS[self.kernel]
        return (c.stream + c.written) * self.n_pairs + c.stream_atom * len(self.system.atoms)

    def floor(self, limits: Limits, isa: str, threads: int) -> Floor:
        """The limit that binds: the longest of the times for operations, loads and arrays."""
        c = COUNTS[self.kernel]
        written = c.written * self.n_pairs
        level = limits.level(self.stream, threads)
        place = "memory" if level == "read" else level.removeprefix("read ")
        times = {
            "flops": self.flops / limits.flops(isa, self.precision, threads),
            "loads, L1": c.loads * self.n_pairs / limits.bandwidth("read L1", threads),
            f"stream, {place}": (self.stream - written) / limits.bandwidth(level, threads),
            # Stores into a cache are not faster than loads from it.
            f"write, {place}": _seconds_to_write(written, limits, level, threads),
        }
        limit = max(times, key=lambda name: times[name])
        return Floor(times[limit], limit)


def _seconds_to_write(size: float, limits: Limits, level: str, threads: int) -> float:
    """Output of so many bytes: into what `level` reads, or memory, mapped as far as the pool goes."""
    if level != "read":
        return size / limits.bandwidth(level, threads)
    warm = min(size, _POOL_SHARE * _core.available_memory())
    seconds = warm / limits.bandwidth("write", threads)
    if size > warm:
        seconds += (size - warm) / limits.bandwidth("write fresh huge pages", threads)
    return seconds


def _table_of(system: System, cutoff: float, kinds: Any) -> Any:
    """The core's neighbor table of a system."""
    table = _core.NeighborTable(cutoff, 0.0)
    table.update(*system.arrays, kinds.astype(np.int32), 0)
    return table


def _listed(system: System, cutoff: float) -> tuple[Any, Any, Any]:
    """i, j and D of all pairs, by the binned NumPy reference."""
    i, j, D = reference.neighbor_list_binned("ijD", *system.arrays, cutoff)
    return i, j, D


@contextmanager
def _ready_list(pairs: tuple[Any, Any, Any]) -> Iterator[None]:
    """The NumPy potentials use this list instead of making one, as the kernels do.

    Raises
    ------
    RuntimeError
        If they did not: the time would be that of another task, and every ratio to it flattering.
    """
    module = importlib.import_module("mdkern.reference.pairs")
    searches = ("neighbor_list", "neighbor_list_binned")
    originals = [getattr(module, name) for name in searches]
    used = 0

    def ready(*_args: Any, **_kwargs: Any) -> tuple[Any, Any, Any]:
        nonlocal used
        used += 1
        return pairs

    try:
        for name in searches:
            setattr(module, name, ready)
        yield
    finally:
        for name, original in zip(searches, originals, strict=True):
            setattr(module, name, original)
    if used != 1:
        raise RuntimeError(f"the NumPy baseline asked {used} times for its pairs; expected once")


def _order(i: Any, j: Any, S: Any) -> Any:
    return np.lexsort((S[:, 2], S[:, 1], S[:, 0], j, i))


def same_pairs(ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> None:
    """Both (i, j, d, D, S) hold the same pairs, to 1e-10 Angstrom; `theirs` may lack D."""
    assert len(ours[0]) == len(theirs[0]), f"{len(ours[0])} and {len(theirs[0])} pairs"
    a, b = _order(ours[0], ours[1], ours[4]), _order(theirs[0], theirs[1], theirs[4])
    for k in (0, 1, 4):
        assert np.array_equal(ours[k][a], theirs[k][b]), "different pairs"
    for k in (2, 3):
        if theirs[k] is not None:
            worst = np.abs(ours[k][a] - theirs[k][b]).max(initial=0.0)
            assert worst <= 1e-10, f"distances differ by {worst}"


def _neighbor_list_case(system: System) -> Case:
    def run(threads: int) -> Any:
        return neighbors.neighbor_list("ijdDS", system.atoms, system.cutoff, threads=threads)

    n_pairs = len(run(1)[0])
    peers = {
        peer.name: peer.caller(system)
        for peer in neighbor_peers()
        if n_pairs * peer.bytes_per_pair < 0.5 * _core.available_memory()
    }

    def baseline() -> Any:
        return reference.neighbor_list_binned("ijdDS", *system.arrays, system.cutoff)

    return Case("neighbor_list", system, n_pairs, run, baseline, same_pairs, peers)


def _neighbor_table_case(system: System) -> Case:
    kinds = np.zeros(len(system.atoms), dtype=np.int32)
    table = _core.NeighborTable(system.cutoff, 0.0)  # no skin: every update builds

    def run(threads: int) -> Any:
        table.update(*system.arrays, kinds, threads)
        return table.n_listed

    def baseline() -> Any:
        return len(reference.neighbor_list_binned("ij", *system.arrays, system.cutoff)[0])

    def agree(a: int, b: int) -> None:
        # Without a skin the table also keeps what lies beyond the cutoff by no more than rounding.
        assert b <= a <= b + 4, f"{a} and {b} pairs"

    return Case("neighbor_table", system, int(run(1)), run, baseline, agree)


def _potential_case(
    kernel: str,
    system: System,
    potential: Any,
    formula: Callable[..., reference.Result],
    tolerance: float,
    kinds: Any = None,
) -> Case:
    """A potential on a ready list, against its NumPy formulas on a ready list.

    `formula` takes positions, cell, pbc and species; `tolerance` is relative to the largest force.
    `kinds` are species numbers, by default all zero.
    """
    if kinds is None:
        kinds = np.zeros(len(system.atoms), dtype=np.int64)
    table = _table_of(system, potential.cutoff, kinds)
    pairs: list[Any] = []

    def run(threads: int) -> Any:
        return potential.compute(table, threads=threads)

    def baseline() -> Any:
        if not pairs:
            pairs.append(_listed(system, potential.cutoff))
        with _ready_list(pairs[0]):
            return formula(*system.arrays, kinds)

    def agree(a: Any, b: Any) -> None:
        scale = 1.0 + np.abs(b.forces).max(initial=0.0)
        energy = abs(a.energy - b.energy) / max(1, len(system.atoms))
        force = np.abs(a.forces - b.forces).max(initial=0.0)
        assert energy <= tolerance * scale, f"energy per atom differs by {energy} eV"
        assert force <= tolerance * scale, f"forces differ by {force} eV/Angstrom"

    return Case(kernel, system, int(table.n_listed), run, baseline, agree)


def _lennard_jones_case(precision: str, system: System) -> Case:
    epsilon, sigma, rc = ARGON["epsilon"], ARGON["sigma"], ARGON["rc"]

    def formula(positions: Any, cell: Any, pbc: Any, species: Any) -> reference.Result:
        return reference.lennard_jones(positions, cell, pbc, species, epsilon, sigma, rc)

    single = precision == "single"
    return _potential_case(
        "lennard_jones_single" if single else "lennard_jones",
        system,
        potentials.LennardJones(sigma=sigma, epsilon=epsilon, rc=rc, precision=precision),
        formula,
        2e-5 if single else 1e-11,
    )


def _morse_case(system: System) -> Case:
    # Copper: L. A. Girifalco and V. G. Weizer, Phys. Rev. 114, 687 (1959).
    depth, alpha, r0, rc = 0.3429, 1.3588, 2.866, 6.0

    def formula(positions: Any, cell: Any, pbc: Any, species: Any) -> reference.Result:
        return reference.morse(positions, cell, pbc, species, depth, alpha, r0, rc)

    potential = potentials.Morse(D=depth, alpha=alpha, r0=r0, rc=rc)
    return _potential_case("morse", system, potential, formula, 1e-11)


def _buckingham_case(system: System) -> Case:
    # Minimum at 3.87 Angstrom and 0.0106 eV deep, like argon.
    A, rho, C, rc = 9576.0, 0.27643, 62.4, ARGON["rc"]

    def formula(positions: Any, cell: Any, pbc: Any, species: Any) -> reference.Result:
        return reference.buckingham(positions, cell, pbc, species, A, rho, C, rc)

    potential = potentials.Buckingham(A=A, rho=rho, C=C, rc=rc)
    return _potential_case("buckingham", system, potential, formula, 1e-11)


def _eam_case(system: System) -> Case:
    tables = _copper_tables()

    def formula(positions: Any, cell: Any, pbc: Any, species: Any) -> reference.Result:
        return reference.eam(positions, cell, pbc, species, tables)

    # Two tabulations of the same functions: equal to the error of the splines.
    return _potential_case("eam", system, potentials.EAM.zhou2004(["Cu"]), formula, 1e-9)


def _nep_case(kernel: str, system: System) -> Case:
    path, single = nep_path(NEP_SIZES[kernel][0]), kernel == "nep_single"
    potential = potentials.NEP(path, precision="single" if single else "double")

    def formula(positions: Any, cell: Any, pbc: Any, species: Any) -> reference.Result:
        return reference.nep(positions, cell, pbc, species, potential.model)

    kinds = nep_kinds(kernel, potential.species, system.atoms)
    return _potential_case(kernel, system, potential, formula, 2e-5 if single else 1e-11, kinds)


def _deep_case(precision: str, system: System) -> Case:
    potential = potentials.DeepPotential(deep_path(), precision=precision)

    def formula(positions: Any, cell: Any, pbc: Any, species: Any) -> reference.Result:
        return reference.deepmd(positions, cell, pbc, species, potential.model)

    name, tolerance = (
        ("deep_potential", 1e-9) if precision == "double" else ("deep_potential_single", 2e-5)
    )
    kinds = deep_kinds(potential.species, system.atoms)
    return _potential_case(name, system, potential, formula, tolerance, kinds)


def _copper_tables() -> EamTables:
    """Copper of Zhou et al. as a file would hold it: the baseline looks up, as the kernel does."""
    z = zhou2004.tabulate(["Cu"])
    drho = 0.01
    rho = drho * np.arange(10001)
    end = [(0, 0), (0, 0), (0, 1)]  # the last knot, where the functions are zero
    return EamTables(
        kind="alloy",
        path="zhou2004",
        species=z.species,
        masses=z.masses,
        cutoff=z.cutoff,
        dr=z.dr,
        drho=drho,
        rho_max=float(rho[-1]),
        embedding=zhou2004.embedding_function("Cu", rho)[0][None],
        density=np.pad(z.density[..., 3], end),
        r_phi=np.pad(z.r_phi[..., 3], end),
    )


@dataclass(frozen=True, slots=True)
class Kernel:
    """How to make the case of a kernel, and the systems to run it on."""

    make: Callable[[System], Case]
    systems: tuple[str, ...]
    quick: tuple[str, ...]


KERNELS: dict[str, Kernel] = {
    "neighbor_list": Kernel(
        _neighbor_list_case,
        ("copper-32000", "water-24000", "cell-32", "molecule-20"),
        ("copper-4000", "molecule-20"),
    ),
    "neighbor_table": Kernel(_neighbor_table_case, ("copper-32000",), ("copper-4000",)),
    "lennard_jones": Kernel(
        lambda s: _lennard_jones_case("double", s), ("argon-4000", "argon-32000"), ("argon-4000",)
    ),
    "lennard_jones_single": Kernel(
        lambda s: _lennard_jones_case("single", s), ("argon-32000",), ("argon-4000",)
    ),
    "morse": Kernel(_morse_case, ("copper-32000",), ("copper-4000",)),
    "buckingham": Kernel(_buckingham_case, ("argon-32000",), ("argon-4000",)),
    "eam": Kernel(_eam_case, ("copper-4000", "copper-32000"), ("copper-4000",)),
    "nep": Kernel(partial(_nep_case, "nep"), ("copper-4000",), ("cell-256",)),
    "nep_single": Kernel(partial(_nep_case, "nep_single"), ("copper-4000",), ("cell-256",)),
    "nep_alloy": Kernel(partial(_nep_case, "nep_alloy"), ("copper-4000",), ("cell-256",)),
    "nep_silicon": Kernel(partial(_nep_case, "nep_silicon"), ("silicon-1000",), ("silicon-216",)),
    "nep_carbon": Kernel(partial(_nep_case, "nep_carbon"), ("diamond-1000",), ("diamond-216",)),
    "nep_water": Kernel(partial(_nep_case, "nep_water"), ("water-3000",), ("water-375",)),
    "nep_charges": Kernel(partial(_nep_case, "nep_charges"), ("water-3000",), ("water-375",)),
    "deep_potential": Kernel(partial(_deep_case, "double"), ("water-375",), ("water-375",)),
    "deep_potential_single": Kernel(partial(_deep_case, "single"), ("water-375",), ("water-375",)),
}
