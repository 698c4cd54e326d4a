"""Positions of a run, kept for its report and picture, and what they say about structure and diffusion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mdkern.analysis import Diffusion, diffusion, mean_square_displacement, radial_distribution
from mdkern.cli.dynamics import SKIP
from mdkern.cli.output import number, plus_minus

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Moved", "Observer", "diffusion_texts"]

LOOKS = 200  # positions kept for the mean square displacement
MOST_ATOMS = 2000  # of which they are kept
FRAMES = 8  # of the second half, for the radial distribution


@dataclass(frozen=True)
class Moved:
    """Lags in ps, and by element the mean square displacement in Angstrom^2 and what it says."""

    lags: Any
    square: Mapping[str, Any]
    diffusion: Mapping[str, Diffusion]


class Observer:
    """Positions of a run; a bounded number of them."""

    def __init__(self, atoms: Atoms, steps: int, timestep: float) -> None:
        from ase.constraints import FixAtoms

        self._atoms, self._steps, self._timestep = atoms, steps, timestep
        self.every = max(1, steps // LOOKS)
        fixed = [i for c in atoms.constraints if isinstance(c, FixAtoms) for i in c.get_indices()]
        # Fixed atoms do not diffuse, and hold the whole in its place.
        self._drifts = not fixed
        self._chosen = _some_of_each(np.delete(np.arange(len(atoms)), fixed), atoms.numbers)
        self._masses = atoms.get_masses()
        self._start: tuple[Any, Any] | None = None  # cell and positions
        self._first = -1
        self._steps_seen: list[int] = []
        self._displacements: list[Any] = []
        self.frames: list[Atoms] = []
        self._stride = max(self.every, steps // (2 * FRAMES) or 1)

    @property
    def formula(self) -> str:
        return str(self._atoms.get_chemical_formula(empirical=True))

    def look(self, step: int) -> None:
        if self._first < 0:
            self._first = step
        done = step - self._first
        if step % self.every == 0:
            self._displacements.append(self._displacement())
            self._steps_seen.append(step)
        if 2 * done >= self._steps and (not self.frames or done % self._stride < self.every):
            self.frames.append(self._atoms.copy())
            del self.frames[:-FRAMES]

    def _displacement(self) -> Any:
        """Of the chosen atoms since the first look, against the motion of the whole, which is no diffusion."""
        cell, positions = self._atoms.cell.array, self._atoms.positions
        if self._start is None:
            self._start = cell.copy(), positions.copy()
        before, origin = self._start
        if not np.array_equal(cell, before):
            # Nor is it diffusion where a barostat scales positions with the cell.
            positions = positions @ np.linalg.solve(cell, before)
        moved = positions - origin
        if self._drifts:
            moved = moved - (self._masses[:, None] * moved).sum(axis=0) / self._masses.sum()
        return moved[self._chosen].astype(np.float32)

    def radial(self) -> tuple[Any, Any] | None:
        """Radial distribution of the kept frames; None without a periodic cell."""
        frames = self.frames or [self._atoms.copy()]
        periodic = frames[0].cell.rank == 3 and bool(frames[0].pbc.all())
        return radial_distribution(frames) if periodic else None

    @cached_property
    def moved(self) -> Moved | None:
        """After the run; None where there are no two looks after its first fifth, or no atom may move."""
        begin = int(SKIP * len(self._steps_seen))
        steps = np.array(self._steps_seen[begin:])
        if len(steps) < 2 or len(self._chosen) == 0:
            return None
        lags = 1e-3 * self._timestep * (steps - steps[0])
        r = np.array(self._displacements[begin:])
        symbols = np.array(self._atoms.get_chemical_symbols())[self._chosen]
        groups = {s: r[:, symbols == s] for s in dict.fromkeys(symbols.tolist())}
        return Moved(
            lags,
            {s: mean_square_displacement(x).sum(axis=1) for s, x in groups.items()},
            {s: diffusion(lags, x) for s, x in groups.items()},
        )


def _some_of_each(atoms: Any, numbers: Any) -> Any:
    """At most `MOST_ATOMS`, evenly from each element."""
    elements = np.unique(numbers[atoms])
    chosen = [np.zeros(0, dtype=int)]
    for z in elements:
        of = atoms[numbers[atoms] == z]
        most = max(1, MOST_ATOMS // len(elements))
        chosen.append(of[np.unique(np.linspace(0, len(of) - 1, most).astype(int))])
    return np.sort(np.concatenate(chosen))


def diffusion_texts(
    found: Mapping[str, Diffusion],
    sign: str = "+/-",
    angstrom: str = "A",
    square: str = "^2",
) -> dict[str, str]:
    """A title and a sentence for each element."""
    if not found:
        return {
            "diffusion coefficient": "no value: expected a longer run, with atoms that may move"
        }
    area = angstrom + square
    alone = len(found) == 1
    return {
        "diffusion coefficient" if alone else f"diffusion coefficient, {symbol}": _text(
            d, sign, area
        )
        for symbol, d in found.items()
    }


def _text(d: Diffusion, sign: str, area: str) -> str:
    from mdkern.analysis import FEWEST_TIMES

    if d.kind == "short":
        return f"no value: the run is too short; expected positions at {FEWEST_TIMES} times or more"
    lags = f"lags of {number(d.begin, 3)} to {number(d.end, 3)} ps"
    growth = f"t^{plus_minus(d.exponent, d.exponent_error, sign=sign)}"
    if d.value is not None:
        value = plus_minus(d.value, d.error, f"{area}/ps", sign)
        return f"{value} = {number(1e-4 * d.value, 3)} cm^2/s; line through {lags}, MSD ~ {growth}"
    if d.kind == "superdiffusive":
        return (
            f"no value: MSD ~ {growth} at {lags}, faster than linear: the run is too short,"
            " velocities are not forgotten"
        )
    below = f"D below {number(d.bound, 2)} {area}/ps"
    if d.kind == "none":
        return f"none seen: MSD {number(d.displacement, 3)} {area} at {lags} does not grow beyond its error; {below}"
    return f"no value: MSD ~ {growth} at {lags}, slower than linear; {below}"
