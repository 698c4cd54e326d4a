"""Structures per second: sets of crystals relaxed by `mdkern.relax`, beside ASE's loop with the same calculator."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from mdkern.bench.crystals import CLOSE_PACKED, PROTOTYPES, crystals
from mdkern.bench.nep_models import morse_nep
from mdkern.bench.relax_check import by_ase
from mdkern.bench.relaxations import ELEMENTS, METALS
from mdkern.bench.scratch import scratch_folder
from mdkern.errors import MDKernWarning

__all__ = ["NAMES", "Screening", "measure", "screen"]

FMAX, STEPS = 0.01, 500
_SMALL = ("Na", "Mg", "Cl", "Ti", "Cu", "Au")  # of the quick model, which is soon written


@dataclass(frozen=True, slots=True)
class Screening:
    """A set of crystals, relaxed with all of the cell.

    Attributes
    ----------
    name : str
        Of the model.
    n, n_atoms, steps, converged : int
        Crystals, their atoms, the steps of all, and how many converged.
    threads : int
    seconds, cpu : float
        Of the whole call: medians of the rounds; wall and of the processors.
    ase : float
        Seconds of ASE's FIRE with FrechetCellFilter for the same set, from a part of it, by its steps.
    """

    name: str
    n: int
    n_atoms: int
    steps: int
    converged: int
    threads: int
    seconds: float
    cpu: float
    ase: float

    @property
    def per_second(self) -> float:
        """Crystals."""
        return self.n / self.seconds

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **asdict(self),
            "per_second": self.per_second,
            "faster_than_ase": self.ase / self.seconds,
        }


def _nep(species: Sequence[str]) -> Any:
    from mdkern.calculators import NEP

    return NEP(morse_nep(scratch_folder() / "nep.txt", species=species))


def _eam() -> Any:
    from mdkern.calculators import EAM

    return EAM.zhou2004(METALS)


NAMES = ("relaxation, EAM alloys", "relaxation, NEP")


def _model(name: str, quick: bool) -> tuple[Any, Sequence[str], Sequence[str]]:
    """Calculator, elements, prototypes."""
    if name == NAMES[0]:
        return _eam(), METALS, CLOSE_PACKED
    elements = _SMALL if quick else ELEMENTS
    return _nep(elements), elements, tuple(PROTOTYPES)


def screen(frames: Sequence[Any], calculator: Any, threads: int) -> list[Any]:
    """Relaxed frames."""
    from mdkern import relax

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MDKernWarning)  # of frames that do not converge
        return relax(frames, calculator, fmax=FMAX, steps=STEPS, threads=threads)


def _clocked(call: Callable[[], Any]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def measure(name: str, threads: int, *, quick: bool) -> list[Screening]:
    """Structures per second with one thread and with `threads`, in turn.

    Raises
    ------
    AssertionError
        If ASE's loop takes another number of steps to a converged crystal, or threads change a bit.
    """
    calc, elements, kinds = _model(name, quick)
    n, rounds, beside = (30, 2, 1) if quick else (300, 5, 6)
    frames = crystals(n, elements, kinds=kinds)
    n = len(frames)
    counts = sorted({1, threads})
    found: dict[int, list[Any]] = {}
    times: dict[int, list[tuple[float, float]]] = {k: [] for k in counts}

    def run(k: int) -> None:
        found[k] = screen(frames, calc, k)

    for _ in range(rounds):
        for k in counts:
            times[k].append(_clocked(partial(run, k)))
    for k in counts:
        for a, b in zip(found[1], found[k], strict=True):
            assert np.array_equal(a.positions, b.positions), f"{k} threads changed the result"
    steps = [frame.info["steps"] for frame in found[1]]
    done = [k for k in range(n) if found[1][k].info["converged"]]
    shortest = sorted(done, key=lambda k: steps[k])
    picked = shortest[:beside] if quick else shortest[:: max(1, len(done) // beside)]
    ase = _ase_seconds({k: frames[k] for k in picked}, calc, steps)
    out = []
    for k in counts:
        wall, cpu = np.median(times[k], axis=0).tolist()
        n_atoms = sum(len(frame) for frame in frames)
        out.append(
            Screening(name, n, n_atoms, sum(steps), len(done), k, wall, cpu, ase * sum(steps))
        )
    return out


def _ase_seconds(frames: dict[int, Any], calc: Any, steps: Sequence[int]) -> float:
    """Of a step of ASE's loop, with these frames."""
    spent = 0.0
    for k, frame in frames.items():
        atoms = frame.copy()
        atoms.calc = calc
        run = by_ase(atoms)
        spent += _clocked(partial(run.run, FMAX, STEPS))[0]
        assert run.nsteps == steps[k], f"ASE takes {run.nsteps} steps, mdkern {steps[k]}"
    return spent / max(1, sum(steps[k] for k in frames))
