"""A short trial: kernels against their definitions, and what threads gain."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from mdkern.doctor.readings import Kernel, SelfTest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Float = NDArray[np.float64]
    # What a kernel says, and what its definition in NumPy says, by name.
    Case = tuple[Callable[[], Mapping[str, Float]], Mapping[str, Float]]

__all__ = ["compared", "run"]

TOLERANCE = 1e-9  # of the largest number; rounding leaves some 1e-14, the tables of EAM 5e-11
_CUTOFF = 5.0


def _cases() -> dict[str, Case]:
    """A small crystal, each atom out of place, by three kernels."""
    import numpy as np
    from ase.build import bulk

    import mdkern
    from mdkern import reference
    from mdkern.calculators import EAM, LennardJones

    atoms = bulk("Cu", cubic=True) * 3
    atoms.rattle(0.1, seed=0)
    where = (atoms.positions, atoms.cell.array, atoms.pbc)
    species = np.zeros(len(atoms), np.int32)
    epsilon, sigma = 0.1, 2.3

    def pairs() -> dict[str, Float]:
        i, j, d = mdkern.neighbor_list("ijd", atoms, _CUTOFF)
        return {"pairs": _sorted(i, j, d)}

    def potential(make: Callable[[], Any]) -> Callable[[], dict[str, Float]]:
        def run() -> dict[str, Float]:
            calc = make()
            forces = calc.get_forces(atoms)
            return {"energies": calc.results["energies"], "forces": forces, "virial": calc.virial}

        return run

    def expected(result: reference.Result) -> dict[str, Float]:
        return {"energies": result.energies, "forces": result.forces, "virial": result.virial}

    everything = reference.neighbor_list("ijd", *where, _CUTOFF)
    lj = reference.lennard_jones(*where, species, epsilon, sigma, _CUTOFF)
    eam = reference.eam_zhou2004(*where, species, ["Cu"])
    return {
        "neighbor list": (pairs, {"pairs": _sorted(*everything)}),
        "Lennard-Jones": (
            potential(lambda: LennardJones(sigma=sigma, epsilon=epsilon, rc=_CUTOFF)),
            expected(lj),
        ),
        "EAM": (potential(lambda: EAM.zhou2004(["Cu"])), expected(eam)),
    }


def _sorted(i: Any, j: Any, d: Any) -> Float:
    import numpy as np

    order = np.lexsort((d, j, i))
    return np.stack((i[order], j[order], d[order]))


def compared(isa: str, name: str, case: Case) -> Kernel:
    import numpy as np

    call, expected = case
    try:
        found = call()
        worst = 0.0
        for key, want in expected.items():
            got = found[key]
            if got.shape != want.shape:
                raise ValueError(f"{key}: shape {got.shape}; expected {want.shape}")
            error = float(np.abs(got - want).max() / np.abs(want).max())
            worst = error if not error <= worst else worst  # NaN stays
    except Exception as e:  # noqa: BLE001 - a kernel that fails in any way is what is looked for
        return Kernel(isa, name, float("nan"), TOLERANCE, f"{type(e).__name__}: {e}")
    return Kernel(isa, name, worst, TOLERANCE)


def _kernels() -> tuple[Kernel, ...]:
    import mdkern

    cases, before = _cases(), mdkern.get_isa()
    try:
        out = []
        for isa in mdkern.info()["isas_supported"]:
            mdkern.set_isa(isa)
            out += [compared(isa, name, case) for name, case in cases.items()]
        return tuple(out)
    finally:
        mdkern.set_isa(before)


def _speedup(threads: int, seconds: float) -> tuple[float, float]:
    """How much faster `threads` threads are than one, and how many CPUs they got."""
    from ase.build import bulk

    import mdkern
    from mdkern.bench.interleave import interleave
    from mdkern.calculators import EAM

    atoms = bulk("Cu", cubic=True) * 12
    atoms.rattle(0.05, seed=0)
    calc: Any = EAM.zhou2004(["Cu"])

    def evaluate(n: int) -> Callable[[], object]:
        def call() -> None:
            with mdkern.num_threads(n):
                atoms.positions[0, 0] += 1e-7  # what has not moved is not computed again
                calc.get_forces(atoms)

        return call

    many = evaluate(threads)
    turns = interleave({"one": evaluate(1), "many": many}, rounds=25, budget=seconds, sample=0.0)
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(5):
        many()
    share = (time.process_time() - cpu) / (time.perf_counter() - wall)
    return float(turns.seconds["one"].min() / turns.seconds["many"].min()), share


def run(seconds: float = 0.3) -> SelfTest:
    """Try everything; `seconds` are those of the comparison of threads."""
    import mdkern

    kernels, info = _kernels(), mdkern.info()
    # More threads than CPUs tell nothing.
    threads = min(info["threads"], info["available_cpus"]) if info["openmp"] else 1
    if threads < 2:
        return SelfTest(kernels)
    return SelfTest(kernels, threads, *_speedup(threads, seconds))
