"""Many structures, one potential."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from mdkern import _core, checks, potentials
from mdkern.calculators import AtomsError, NonFiniteError, is_native
from mdkern.potentials.base import SpeciesMap, not_finite, volume_of, warn_of
from mdkern.terminal import Progress

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["evaluate", "evaluate_iter"]

_OF_CHARGES = ("charges", "born_effective_charges")
PROPERTIES = ("energy", "free_energy", "energies", "forces", "stress", "stresses", *_OF_CHARGES)
GROUP = 64  # structures per call of the core


def evaluate(
    frames: Iterable[Atoms],
    calculator: Any,
    properties: Sequence[str] = ("energy", "forces"),
    threads: int | None = None,
    progress: bool = False,
) -> list[dict[str, Any]]:
    """Energies, forces and stresses of many structures, several at a time.

    Threads take different structures; the results have the same bits for every number of threads, and are those of
    the calculator itself.

    Parameters
    ----------
    frames : iterable of ase.Atoms
        Left as they are; their own calculators do not matter.
    calculator : mdkern.calculators.Calculator
        Any other ASE calculator works too, one structure after the other.
    properties : sequence of str
        Out of ``energy``, ``free_energy`` (eV), ``energies`` (n,), ``forces`` (n, 3) in eV/Angstrom, ``stress`` (6,) and
        ``stresses`` (n, 6) in eV/Angstrom^3, in ASE's signs and order; where the model has charges (NEP), ``charges`` (n,) and
        ``born_effective_charges`` (n, 3, 3) in e; and whatever else the calculator offers, such as ``dipole``.
    threads : int, optional
        By default :func:`mdkern.get_num_threads`.
    progress : bool
        Draw a bar on a terminal.

    Returns
    -------
    list of dict
        One for each structure, with the properties by name.

    Raises
    ------
    TypeError
        `frames` is one structure, or has something else in it; `calculator` is none.
    ValueError
        An unknown property, an element that the potential lacks, a stress without a cell; the message has the index of the
        structure.
    NonFiniteError
        Atoms lie on top of each other.
    """
    if not checks.flag("progress", progress):
        return list(evaluate_iter(frames, calculator, properties, threads))
    known = list(checks.several("frames", frames))
    results = []
    with Progress("evaluate", len(known)) as bar:
        for result in evaluate_iter(known, calculator, properties, threads):
            results.append(result)
            if bar.due():
                bar.show(len(results))
    return results


def evaluate_iter(
    frames: Iterable[Atoms],
    calculator: Any,
    properties: Sequence[str] = ("energy", "forces"),
    threads: int | None = None,
) -> Iterator[dict[str, Any]]:
    """The same, result by result: no more than some structures are held at a time."""
    frames = checks.several("frames", frames)
    if not hasattr(calculator, "implemented_properties"):
        msg = f"calculator: {checks.shown(calculator)}; expected one of mdkern.calculators, or any of ASE's"
        raise TypeError(msg)
    wanted: tuple[Any, ...] = (properties,)
    if not checks.is_single(properties):
        wanted = tuple(properties)
    offered = (*PROPERTIES, *calculator.implemented_properties)
    for name in wanted:
        if name not in offered:
            raise ValueError(f"properties: {name!r}; expected some of {', '.join(PROPERTIES)}")
    n_threads = checks.threads(threads)
    return _results(iter(frames), calculator, wanted, n_threads)


def _results(
    frames: Iterator[Atoms], calculator: Any, wanted: tuple[str, ...], threads: int
) -> Iterator[dict[str, Any]]:
    native = None
    # Born effective charges take further passes over the list of each structure.
    if is_native(calculator) and "born_effective_charges" not in wanted:
        native = _Native.of(calculator.potential)
    first = 0
    while group := list(islice(frames, GROUP)):
        if native is None:
            for k, atoms in enumerate(group):
                yield _one(calculator, atoms, wanted, first + k)
        else:
            yield from _many(native, group, wanted, threads, first)
        first += len(group)


@dataclass(frozen=True)
class _Native:
    """A potential that the core evaluates alone: nothing in it changes, whoever uses the calculator meanwhile."""

    step: Any
    cutoff: float
    kinds: SpeciesMap
    potential: Any

    @classmethod
    def of(cls, potential: Any) -> _Native | None:
        step = getattr(potential, "force_step", lambda: None)()
        if step is None:
            return None
        return cls(step, potential.cutoff, SpeciesMap(potential.species), potential)


def _many(
    native: _Native,
    group: list[Atoms],
    wanted: tuple[str, ...],
    threads: int,
    first: int,
) -> Iterator[dict[str, Any]]:
    inputs = []
    for k, atoms in enumerate(group):
        checks.structure(f"frames[{first + k}]", atoms)
        positions, numbers, cell, pbc = checks.arrays(atoms)
        try:
            inputs.append((positions, cell, pbc, native.kinds(numbers)))
        except ValueError as e:
            raise AtomsError(f"structure {first + k}: {e}") from None
    virials = "stresses" in wanted
    found = _core.evaluate_frames(native.step, native.cutoff, inputs, virials, threads)
    if isinstance(found, tuple):
        raise AtomsError(f"structure {first + found[0]}: {found[1]}")
    for k, (values, (positions, cell, _, _)) in enumerate(zip(found, inputs, strict=True)):
        r = potentials.Result(*values)
        warn_of(native.potential, r.overflow)
        if not math.isfinite(r.energy + sum(r.virial.tolist())):
            raise NonFiniteError(f"structure {first + k}: {not_finite(r, positions)}")
        volume = volume_of(cell)
        everything: dict[str, Any] = {
            "energy": r.energy,
            "free_energy": r.energy,
            "energies": r.energies,
            "forces": r.forces,
        }
        if r.charges is not None:
            everything["charges"] = r.charges
        if volume > 0.0:
            everything["stress"] = r.virial / -volume
            if r.virials is not None:
                everything["stresses"] = r.virials / -volume
        yield _chosen(everything, wanted, first + k)


def _one(calculator: Any, atoms: Atoms, wanted: tuple[str, ...], index: int) -> dict[str, Any]:
    """By the calculator itself, on a copy that it may keep."""
    mine = checks.structure(f"frames[{index}]", atoms).copy()
    mine.calc = None
    mine.set_constraint()
    with getattr(calculator, "lock", nullcontext()):
        try:
            calculator.calculate(mine, list(wanted))
        except AtomsError as e:
            raise AtomsError(f"structure {index}: {e}") from None
        except NonFiniteError as e:
            raise NonFiniteError(f"structure {index}: {e}") from None
        results = {k: np.copy(v) if np.ndim(v) else v for k, v in calculator.results.items()}
        # (n, 3, 3): ASE's writer of extended XYZ fails on them where they stay.
        calculator.results.pop("born_effective_charges", None)
    return _chosen(results, wanted, index)


def _chosen(everything: dict[str, Any], wanted: tuple[str, ...], index: int) -> dict[str, Any]:
    for name in wanted:
        if name not in everything:
            why = "has no cell with a volume" if "stress" in name else "is not offered"
            raise ValueError(f"structure {index}: {name}: {why}")
    return {name: everything[name] for name in wanted}
