"""Whether a potential is what it must be on a structure: derivatives, invariances, bits."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import mdkern

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Check", "validate"]

_DIFFERENCES = 30  # force components that are differentiated


@dataclass(frozen=True)
class Check:
    """One line of the table.

    Attributes
    ----------
    name : str
    value, bound : float
        Largest deviation found, and what is allowed.
    unit : str
    note : str
    """

    name: str
    value: float
    bound: float
    unit: str
    note: str = ""

    @property
    def passed(self) -> bool:
        return bool(self.value <= self.bound)


def validate(atoms: Atoms, calculator: Any, *, seed: int = 0) -> Iterator[Check]:
    """Check a calculator on a structure, one check at a time.

    Parameters
    ----------
    atoms : ase.Atoms
        Where forces are not all zero; it is left as it is.
    calculator : mdkern.calculators.Calculator
    seed : int
        Of the random directions.

    Yields
    ------
    Check
    """
    t = _Tester(atoms, calculator, np.random.default_rng(seed))
    yield t.finite()
    yield t.force_difference()
    if t.periodic:
        yield t.stress_difference()
    yield t.sum_of_forces()
    yield t.sum_of_energies()
    yield t.translation()
    yield t.rotation()
    yield t.permutation()
    if atoms.pbc.any():
        yield t.wrapping()
        yield t.supercell()
    yield t.skin()
    yield t.repeats()
    yield t.threads()
    yield t.instruction_sets()


class _Tester:
    def __init__(self, atoms: Atoms, calculator: Any, rng: np.random.Generator) -> None:
        self.atoms, self.rng = atoms.copy(), rng
        self.atoms.set_constraint()
        self.calc = calculator
        self.periodic = atoms.cell.rank == 3
        self.n = max(1, len(atoms))
        self.energy, self.forces, self.stress = self._evaluate(self.atoms)
        # The size of the forces that add up: in a perfect crystal the sums are zero.
        self.scale = max(1e-3, float(np.abs(self.forces).max(initial=0.0)))
        if self.stress is not None:
            virial = float(np.abs(self.stress).max()) * self.atoms.get_volume()
            self.scale = max(self.scale, virial / (3.0 * self.n))

    def _evaluate(self, atoms: Atoms) -> tuple[float, Any, Any]:
        """Energy, forces and stress (None without a cell), with a new neighbor list."""
        names = ("energy", "forces", "stress") if self.periodic else ("energy", "forces")
        (r,) = mdkern.evaluate([atoms], self.calc, names)
        return r["energy"], r["forces"], r.get("stress")

    def _energy(self, atoms: Atoms) -> float:
        return float(mdkern.evaluate([atoms], self.calc, ("energy",))[0]["energy"])

    def finite(self) -> Check:
        bad = not np.isfinite(self.energy) or not np.isfinite(self.forces).all()
        return Check("finite energy and forces", float(bad), 0.0, "", f"{self.energy:.8g} eV")

    def force_difference(self) -> Check:
        """Best step width of three, components spread over the atoms."""
        every = [(i, c) for i in range(len(self.atoms)) for c in range(3)]
        picked = self.rng.permutation(len(every))[:_DIFFERENCES]
        worst = 0.0
        for i, c in (every[k] for k in picked):
            best = np.inf
            for h in (1e-3, 3e-4, 1e-4):
                moved = self.atoms.copy()
                values = []
                for step in (h, -h):
                    moved.positions[i, c] = self.atoms.positions[i, c] + step
                    values.append(self._energy(moved))
                slope = (values[1] - values[0]) / (2 * h)
                best = min(best, abs(slope - self.forces[i, c]))
            worst = max(worst, best)
        bound = 1e-6 * max(1.0, self.scale)
        return Check("force = -dE/dx", worst, bound, "eV/A", f"{len(picked)} components")

    def stress_difference(self) -> Check:
        worst = 0.0
        volume = self.atoms.get_volume()
        for k, (a, b) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
            best = np.inf
            for h in (1e-4, 3e-5, 1e-5):
                values = []
                for step in (h, -h):
                    strain = np.eye(3)
                    strain[a, b] += 0.5 * step
                    strain[b, a] += 0.5 * step
                    moved = self.atoms.copy()
                    moved.set_cell(self.atoms.cell.array @ strain, scale_atoms=False)
                    moved.positions = self.atoms.positions @ strain
                    values.append(self._energy(moved))
                slope = (values[0] - values[1]) / (2 * h) / volume
                best = min(best, abs(slope - self.stress[k]))
            worst = max(worst, best)
        return Check("stress = dE/d(strain) / V", worst, 1e-6, "eV/A^3")

    def sum_of_forces(self) -> Check:
        worst = float(np.abs(self.forces.sum(axis=0)).max(initial=0.0))
        return Check("sum of forces", worst, 1e-10 * self.n * max(1.0, self.scale), "eV/A")

    def sum_of_energies(self) -> Check:
        (r,) = mdkern.evaluate([self.atoms], self.calc, ("energies",))
        return Check(
            "sum of energies", abs(r["energies"].sum() - self.energy), 1e-10 * self.n, "eV"
        )

    def _against(
        self, name: str, atoms: Atoms, back: Callable[[Any], Any], note: str = ""
    ) -> Check:
        """Energy per atom and forces of an equivalent structure."""
        energy, forces, _ = self._evaluate(atoms)
        worst = max(
            abs(energy - self.energy) / self.n,
            float(np.abs(back(forces) - self.forces).max(initial=0.0)) / max(1.0, self.scale),
        )
        return Check(name, worst, 1e-9, "eV, eV/A", note)

    def translation(self) -> Check:
        moved = self.atoms.copy()
        moved.positions += self.rng.uniform(-7, 7, 3)
        return self._against("translation", moved, lambda f: f)

    def rotation(self) -> Check:
        q, _ = np.linalg.qr(self.rng.normal(size=(3, 3)))
        q *= np.sign(np.linalg.det(q))
        turned = self.atoms.copy()
        turned.set_cell(self.atoms.cell.array @ q, scale_atoms=False)
        turned.positions = self.atoms.positions @ q
        return self._against("rotation", turned, lambda f: f @ q.T)

    def permutation(self) -> Check:
        order = self.rng.permutation(len(self.atoms))
        return self._against("permutation", self.atoms[order], lambda f: f[np.argsort(order)])

    def wrapping(self) -> Check:
        moved = self.atoms.copy()
        whole = self.rng.integers(-3, 4, (len(moved), 3)) * self.atoms.pbc
        moved.positions += whole @ self.atoms.cell.array
        return self._against("atoms in other cells", moved, lambda f: f)

    def supercell(self) -> Check:
        """Twice the cell, twice the energy."""
        axis = int(np.argmax(self.atoms.pbc))
        times = [1, 1, 1]
        times[axis] = 2
        double = self.atoms * times
        energy, forces, _ = self._evaluate(double)
        worst = max(
            abs(energy / 2 - self.energy) / self.n,
            float(np.abs(forces[: len(self.atoms)] - self.forces).max(initial=0.0))
            / max(1.0, self.scale),
        )
        return Check("supercell", worst, 1e-9, "eV, eV/A")

    def skin(self) -> Check:
        """A list that is kept while atoms move, against a new one."""
        import copy

        kept = copy.deepcopy(self.calc)
        walker = self.atoms.copy()
        walker.calc = kept
        worst = 0.0
        for _ in range(4):
            forces = walker.get_forces()
            worst = max(worst, float(np.abs(forces - self._evaluate(walker)[1]).max(initial=0.0)))
            walker.positions += self.rng.normal(scale=0.02, size=walker.positions.shape)
        return Check("kept neighbor list", worst / self.scale, 1e-12, "of the largest force")

    def _bits(self, name: str, note: str, runs: Iterator[Any]) -> Check:
        first, *others = list(runs)
        different = sum(other != first for other in others)
        return Check(name, float(different), 0.0, "", note)

    def _snapshot(self) -> tuple[float, bytes]:
        energy, forces, _ = self._evaluate(self.atoms)
        return energy, forces.tobytes()

    def repeats(self) -> Check:
        return self._bits("repeated, same bits", "20 times", (self._snapshot() for _ in range(20)))

    def threads(self) -> Check:
        def runs() -> Iterator[Any]:
            for n in (1, 2, 3, 8):
                with mdkern.num_threads(n):
                    yield self._snapshot()

        return self._bits("1, 2, 3, 8 threads, same bits", "", runs())

    def instruction_sets(self) -> Check:
        names = mdkern.info()["isas_supported"]
        before = mdkern.get_isa()
        found = []
        try:
            for name in names:
                mdkern.set_isa(name)
                found.append(self._evaluate(self.atoms)[1])
        finally:
            mdkern.set_isa(before)
        worst = max(
            (float(np.abs(a - b).max(initial=0.0)) for a, b in itertools.combinations(found, 2)),
            default=0.0,
        )
        return Check(
            "instruction sets agree",
            worst / self.scale,
            1e-12,
            "of the largest force",
            ", ".join(names),
        )
