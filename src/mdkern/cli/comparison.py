"""Timings of ``mdkern demo``: mdkern next to ASE's own code and to vectorised NumPy."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Comparison", "compare", "write_setfl"]

CUTOFF = 5.716  # Angstrom, that of the copper potential
LJ = {"sigma": 2.338, "epsilon": 0.409, "rc": CUTOFF}  # a Lennard-Jones crystal of copper's spacing
LEAST = 0.1  # seconds that one timing of mdkern takes at least


@dataclass(frozen=True)
class Comparison:
    """One task, the same answer from three codes.

    Attributes
    ----------
    name : str
    n_atoms : int
    seconds, serial_seconds : float
        mdkern with its threads, and with one.
    ase_seconds, numpy_seconds : float
        ASE's own code; vectorised NumPy (`mdkern.reference`).
    over_ase, over_numpy : float
        Median over the rounds of the ratio within one round.
    difference_ase, difference_numpy : float
        Largest difference of the results, in `unit`.
    agrees : bool
        Both within their bounds.
    unit : str
    """

    name: str
    n_atoms: int
    seconds: float
    serial_seconds: float
    ase_seconds: float
    numpy_seconds: float
    over_ase: float
    over_numpy: float
    difference_ase: float
    difference_numpy: float
    agrees: bool
    unit: str


@dataclass(frozen=True)
class _Task:
    """Functions of (0 or 1), the number of the structure that is evaluated."""

    name: str
    unit: str
    mdkern: Callable[[int], Any]
    ase: Callable[[int], Any]
    numpy: Callable[[int], Any]
    difference: Callable[[Any, Any], float]
    bounds: tuple[float, float]


def compare(
    large: Atoms,
    small: Atoms,
    rounds: int,
    report: Callable[[int, str], None] = lambda _done, _name: None,
) -> list[Comparison]:
    """Neighbor list, Lennard-Jones and EAM of a copper crystal, timed in turn.

    Every evaluation needs a new neighbor list in every code: structures alternate between two places further
    apart than any skin. EAM is timed on the `small` one, as ASE's needs milliseconds per atom.
    """
    out = []
    with tempfile.TemporaryDirectory() as folder:
        table = str(Path(folder) / "Cu.eam.alloy")
        write_setfl(table, "Cu", CUTOFF)
        makers = ((_neighbors, large), (_lennard_jones, large), (lambda p: _eam(p, table), small))
        for k, (make, atoms) in enumerate(makers):
            moved = atoms.copy()
            moved.positions += 1.3
            task = make((atoms, moved))
            said = partial(_say, report, k * rounds, task.name)
            out.append(_measure(task, len(atoms), rounds, said))
    return out


def _say(report: Callable[[int, str], None], offset: int, name: str, done: int) -> None:
    report(offset + done, name)


def write_setfl(path: str, element: str, cutoff: float, n: int = 2000) -> None:
    """The built-in EAM of one element as a setfl file, which ASE reads too."""
    from ase.data import atomic_numbers

    from mdkern.potentials import zhou2004

    parameters = zhou2004.zhou2004_parameters()[element]
    rho_max = 2.5 * parameters["rho_e"]
    rho = np.linspace(0.0, rho_max, n)
    r = np.linspace(0.0, cutoff, n)
    density, _, pair, _ = zhou2004.switched_functions(element, element, r, cutoff)
    tables = (zhou2004.embedding_function(element, rho)[0], density, r * pair)
    body = ["\n".join(f"{x:.16e}" for x in table) for table in tables]
    head = (
        f"{element} of X. W. Zhou et al., Phys. Rev. B 69, 144113 (2004)\nwritten by mdkern\n\n1 {element}\n"
        f"{n} {rho[1]:.17g} {n} {r[1]:.17g} {cutoff}\n"
        f"{atomic_numbers[element]} {parameters['mass']} 0.0 fcc\n"
    )
    Path(path).write_text(head + "\n".join(body) + "\n", encoding="utf-8")


def _neighbors(pair: tuple[Atoms, Atoms]) -> _Task:
    from ase.neighborlist import neighbor_list

    import mdkern
    from mdkern import reference

    def difference(a: Any, b: Any) -> float:
        """Pairs that only one of the lists has."""
        rows = [np.column_stack([i, j, S]) for i, j, _, S in (a, b)]
        if len(rows[0]) != len(rows[1]):
            return float(abs(len(rows[0]) - len(rows[1])))
        ordered = [row[np.lexsort(row.T)] for row in rows]
        return float((ordered[0] != ordered[1]).any(axis=1).sum())

    def baseline(k: int) -> Any:
        a = pair[k]
        return reference.neighbor_list_binned("ijdS", a.positions, a.cell.array, a.pbc, CUTOFF)

    return _Task(
        "neighbor list",
        "pairs",
        lambda k: mdkern.neighbor_list("ijdS", pair[k], CUTOFF),
        lambda k: neighbor_list("ijdS", pair[k], CUTOFF),
        baseline,
        difference,
        (0.0, 0.0),
    )


def _evaluation(calculator: Any, pair: tuple[Atoms, Atoms]) -> Callable[[int], Any]:
    def evaluate(k: int) -> Any:
        calculator.calculate(pair[k], ["energy", "forces"], ["positions"])
        return calculator.results["forces"]

    calculator.calculate(pair[0], ["energy", "forces"])  # sets up what is kept between calls
    return evaluate


def _force_difference(a: Any, b: Any) -> float:
    return float(np.abs(a - b).max())


def _lennard_jones(pair: tuple[Atoms, Atoms]) -> _Task:
    from ase.calculators.lj import LennardJones as AseLennardJones

    from mdkern import reference
    from mdkern.calculators import LennardJones

    def baseline(k: int) -> Any:
        a = pair[k]
        species = np.zeros(len(a), dtype=np.int64)
        return reference.lennard_jones(
            a.positions, a.cell.array, a.pbc, species, LJ["epsilon"], LJ["sigma"], LJ["rc"]
        ).forces

    return _Task(
        "Lennard-Jones",
        "eV/A",
        _evaluation(LennardJones(sigma=LJ["sigma"], epsilon=LJ["epsilon"], rc=LJ["rc"]), pair),
        _evaluation(AseLennardJones(**LJ), pair),
        baseline,
        _force_difference,
        (1e-9, 1e-9),
    )


def _eam(pair: tuple[Atoms, Atoms], path: str) -> _Task:
    from ase.calculators.eam import EAM as AseEAM

    from mdkern import reference
    from mdkern.calculators import EAM
    from mdkern.io.eam import read_eam

    tables = read_eam(path)

    def baseline(k: int) -> Any:
        a = pair[k]
        species = np.zeros(len(a), dtype=np.int64)
        return reference.eam(a.positions, a.cell.array, a.pbc, species, tables).forces

    return _Task(
        "EAM",
        "eV/A",
        _evaluation(EAM(path), pair),
        _evaluation(AseEAM(potential=path), pair),
        baseline,
        _force_difference,
        # ASE interpolates the same tables with other splines.
        (1e-3, 1e-9),
    )


def _clock(function: Callable[[int], Any], repeats: int, first: int = 0) -> float:
    """Mean time of an evaluation, of the two structures in turn.

    The mean, not the median: where other processes take the CPU, a median of short evaluations would miss
    that, while the long ones of the slow codes cannot.
    """
    start = time.perf_counter()
    for k in range(repeats):
        function((first + k) % 2)
    return (time.perf_counter() - start) / repeats


def _measure(task: _Task, n_atoms: int, rounds: int, report: Callable[[int], None]) -> Comparison:
    import mdkern

    report(0)
    mine = task.mdkern(1)
    differences = (task.difference(mine, task.ase(1)), task.difference(mine, task.numpy(1)))
    repeats = 2 * max(2, int(0.5 * LEAST / _clock(task.mdkern, 2)) + 1)
    times = np.empty((rounds, 4))
    for r in range(rounds):
        times[r, 0] = _clock(task.mdkern, repeats)
        times[r, 1] = _clock(task.ase, 1, r)
        times[r, 2] = _clock(task.numpy, 1, r)
        with mdkern.num_threads(1):
            times[r, 3] = _clock(task.mdkern, repeats)
        report(r + 1)
    typical = np.median(times, axis=0)
    return Comparison(
        name=task.name,
        n_atoms=n_atoms,
        seconds=float(typical[0]),
        serial_seconds=float(typical[3]),
        ase_seconds=float(typical[1]),
        numpy_seconds=float(typical[2]),
        over_ase=float(np.median(times[:, 1] / times[:, 0])),
        over_numpy=float(np.median(times[:, 2] / times[:, 0])),
        difference_ase=differences[0],
        difference_numpy=differences[1],
        agrees=bool(np.all(np.array(differences) <= np.array(task.bounds))),
        unit=task.unit,
    )
