"""What every potential promises; a potential's test file names its systems and inherits the checks.

class TestMorse(PotentialContract):
    make = staticmethod(lambda **kw: Morse(D=0.3, alpha=1.4, r0=2.9, rc=6.0, **kw))
    reference = staticmethod(lambda atoms: mdkern.reference.morse(...))
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any, ClassVar

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111

import mdkern
from mdkern.reference import Result

VOIGT = ([0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1])
ISAS = mdkern.info()["isas_supported"]
Values = dict[str, Any]


def evaluate(calc: Any, atoms: Atoms, stresses: bool = False) -> Values:
    """All results of one evaluation, and the virial (3, 3), which clusters have too."""
    calc.calculate(atoms, ("stresses",) if stresses else ("energy",))
    return {**calc.results, "virial": calc.virial}


def raw(values: Values) -> dict[str, bytes]:
    return {key: np.asarray(value).tobytes() for key, value in values.items()}


# --- systems ------------------------------------------------------------------------------------


def _colour(atoms: Atoms, symbols: tuple[str, ...]) -> Atoms:
    """Elements in a fixed irregular order."""
    kinds = np.random.default_rng(len(atoms)).permutation(len(atoms)) % len(symbols)
    atoms.symbols[:] = [symbols[k] for k in kinds]
    return atoms


def _crystal(a: float) -> Atoms:
    atoms = bulk("Cu", "fcc", a=a, cubic=True) * 2
    atoms.positions += np.random.default_rng(1).normal(scale=0.03 * a, size=atoms.positions.shape)
    return atoms


def _triclinic(a: float) -> Atoms:
    """Smaller than the cutoff, sheared, left-handed, atoms outside the cell."""
    rng = np.random.default_rng(2)
    atoms = bulk("Cu", "fcc", a=a) * (2, 2, 1)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(scale=0.07, size=(3, 3))), True)
    atoms.positions += rng.normal(scale=0.03 * a, size=(4, 3))
    atoms.positions += rng.integers(-2, 3, size=(4, 3)) @ atoms.cell.array
    atoms.set_cell(np.array([[0, 1, 0], [1, 2, 0], [0, -1, 1]]) @ atoms.cell.array)
    return atoms


def _slab(a: float) -> Atoms:
    atoms = fcc111("Cu", (2, 2, 3), a=a, vacuum=a)
    atoms.positions += np.random.default_rng(3).normal(scale=0.03 * a, size=atoms.positions.shape)
    return atoms


def _wire(a: float) -> Atoms:
    atoms = bulk("Cu", "fcc", a=a, cubic=True) * (1, 1, 2)
    atoms.pbc = (False, False, True)
    atoms.positions += np.random.default_rng(4).normal(scale=0.03 * a, size=atoms.positions.shape)
    return atoms


def _cluster(a: float) -> Atoms:
    return Atoms("Cu14", _crystal(a).positions[:14])


SYSTEMS: dict[str, Callable[[float], Atoms]] = {
    "dimer": lambda a: Atoms("Cu2", [[0, 0, 0], [0.4 * a, 0.5 * a, 0.2 * a]]),
    "one_atom_cell": lambda a: bulk("Cu", "fcc", a=0.98 * a),
    "crystal": _crystal,
    "triclinic": _triclinic,
    "slab": _slab,
    "wire": _wire,
    "cluster": _cluster,
    "isolated": lambda _: Atoms("Cu", [[1.0, 2.0, 3.0]], cell=[90, 90, 90], pbc=True),
}
MOVING = ["crystal", "triclinic", "slab", "wire", "cluster"]


@cache
def _cutoff(contract: type[PotentialContract]) -> float:
    """Some potentials take a while to build."""
    return float(contract.make().cutoff)


class PotentialContract:
    """Checks for a calculator that is a function of positions, cell and elements."""

    make: ClassVar[Callable[..., Any]]  # calculator, with its common keywords
    reference: ClassVar[Callable[[Atoms], Result]]  # the NumPy definition
    symbols: ClassVar[tuple[str, ...]] = ("Cu",)
    a: ClassVar[float] = 3.7  # lattice constant of the fcc structures, Angstrom
    accuracy: ClassVar[float] = 1e-12  # kernel against definition, relative
    # what is continuous at the cutoff: "nothing", "energy" or "forces"
    continuous: ClassVar[str] = "energy"
    cutoffs: ClassVar[tuple[float, ...]] = ()  # where something may jump; default: calc.cutoff
    listed: ClassVar[int] = 450_000  # pairs that give each of eight threads work
    reach: ClassVar[float] = 2.05  # cutoffs around an atom that its force depends on; inf: no end
    jump: ClassVar[float] = 1e-7  # what counts as continuous, relative

    @property
    def rc(self) -> float:
        return _cutoff(type(self))

    def system(self, name: str) -> Atoms:
        return _colour(SYSTEMS[name](self.a), self.symbols)

    def large(self) -> Atoms:
        """A crystal with more than `listed` pairs."""
        rng = np.random.default_rng(5)
        atoms = bulk("Cu", "fcc", a=self.a, cubic=True)
        rc = self.rc + 0.3
        per_atom = 4 / self.a**3 * 4 / 3 * np.pi * rc**3
        n = int(np.ceil((1.07 * self.listed / per_atom / 4) ** (1 / 3)))
        atoms = _colour(atoms * (n, n, n), self.symbols)
        atoms.positions += rng.normal(scale=0.02 * self.a, size=atoms.positions.shape)
        return atoms

    @staticmethod
    def scale(values: Any) -> float:
        """Largest force, or where symmetry cancels forces the largest atom energy per Angstrom."""
        forces, energies = (
            (values["forces"], values["energies"])
            if isinstance(values, dict)
            else (values.forces, values.energies)
        )
        return float(np.abs(forces).max(initial=0.0) + np.abs(energies).max(initial=0.0))

    # --- definition ---------------------------------------------------------------------------

    @pytest.mark.quick
    @pytest.mark.parametrize("stresses", [False, True])
    @pytest.mark.parametrize("name", SYSTEMS)
    @pytest.mark.usefixtures("isa")
    def test_equals_the_definition(self, name: str, stresses: bool) -> None:
        atoms = self.system(name)
        got, expected = evaluate(self.make(), atoms, stresses), self.reference(atoms)
        limit = self.accuracy * self.scale(expected)
        n = len(atoms)
        assert abs(got["energy"] - expected.energy) <= limit * n
        assert got["free_energy"] == got["energy"]
        assert np.abs(got["energies"] - expected.energies).max() <= limit
        assert np.abs(got["forces"] - expected.forces).max() <= limit
        assert np.abs(got["virial"] - expected.virial).max() <= limit * n * self.rc
        assert self.scale(expected) > 0 or name == "isolated"

    @pytest.mark.parametrize("name", SYSTEMS)
    @pytest.mark.usefixtures("isa")
    def test_parts_sum_to_the_whole(self, name: str) -> None:
        atoms = self.system(name)
        got = evaluate(self.make(), atoms, stresses=True)
        n, limit = len(atoms), 1e-13 * self.scale(got) * len(atoms)
        assert isinstance(got["energy"], float)
        assert got["energies"].shape == (n,)
        assert got["forces"].shape == (n, 3)
        assert abs(got["energies"].sum() - got["energy"]) <= limit
        assert np.abs(got["forces"].sum(axis=0)).max() <= 10 * limit
        assert np.abs(got["virial"] - got["virial"].T).max() == 0.0
        if atoms.cell.rank == 3:
            assert got["stress"].shape == (6,)
            assert got["stresses"].shape == (n, 6)
            volume = atoms.get_volume()
            close = limit * self.rc / volume
            assert np.abs(got["stresses"].sum(axis=0) - got["stress"]).max() <= close
            assert np.abs(got["stress"] + got["virial"][VOIGT] / volume).max() <= close
        else:
            assert "stress" not in got
            assert "stresses" not in got

    # --- derivatives --------------------------------------------------------------------------

    def away_from_the_cutoff(self, name: str) -> Atoms:
        """No pair so near to a cutoff that a finite difference would cross it."""
        rng = np.random.default_rng(6)
        cutoffs = self.cutoffs or (self.rc,)
        while True:
            atoms = self.system(name)
            atoms.positions += rng.normal(scale=0.01, size=atoms.positions.shape)
            d = mdkern.neighbor_list("d", atoms, max(cutoffs) + 0.1)
            if all((np.abs(d - rc) > 1e-4).all() for rc in cutoffs):
                return atoms

    @pytest.mark.parametrize("name", MOVING)
    @pytest.mark.usefixtures("isa")
    def test_forces_are_the_slope_of_the_energy(self, name: str) -> None:
        atoms = self.away_from_the_cutoff(name)
        rng = np.random.default_rng(7)
        calc, h = self.make(), 2e-5
        got = evaluate(calc, atoms)
        for k in range(6):
            direction = rng.normal(size=atoms.positions.shape)
            if k >= 2:  # single coordinates
                direction = np.zeros_like(direction)
                direction[rng.integers(len(atoms)), k % 3] = 1.0
            direction /= np.linalg.norm(direction)
            up, down = atoms.copy(), atoms.copy()
            up.positions += h * direction
            down.positions -= h * direction
            slope = (evaluate(calc, up)["energy"] - evaluate(calc, down)["energy"]) / (2 * h)
            assert abs(slope + (got["forces"] * direction).sum()) <= 1e-7 * (1 + self.scale(got))

    @pytest.mark.parametrize("name", MOVING)
    @pytest.mark.usefixtures("isa")
    def test_virial_is_the_slope_under_strain(self, name: str) -> None:
        atoms = self.away_from_the_cutoff(name)
        calc, h = self.make(), 5e-6
        got = evaluate(calc, atoms)
        for a, b in zip(*VOIGT, strict=True):
            energies = []
            for sign in (1, -1):
                strain = np.eye(3)
                strain[a, b] += sign * h / 2
                strain[b, a] += sign * h / 2
                moved = atoms.copy()
                moved.set_cell(atoms.cell.array @ strain)
                moved.positions = atoms.positions @ strain
                energies.append(evaluate(calc, moved)["energy"])
            slope = (energies[0] - energies[1]) / (2 * h)
            assert abs(slope + got["virial"][a, b]) <= 1e-6 * len(atoms) * (1 + self.scale(got))

    # --- symmetries ---------------------------------------------------------------------------

    def assert_same(self, got: Values, expected: Values, order: Any = slice(None)) -> None:
        limit = 1e-11 * self.scale(expected)
        assert abs(got["energy"] - expected["energy"]) <= limit * len(expected["energies"])
        assert np.abs(got["energies"] - expected["energies"][order]).max() <= limit
        assert np.abs(got["forces"] - expected["forces"][order]).max() <= limit
        size = limit * len(expected["energies"]) * self.rc
        assert np.abs(got["virial"] - expected["virial"]).max() <= size

    @pytest.mark.parametrize("name", MOVING)
    @pytest.mark.usefixtures("isa")
    def test_translation_and_wrapping(self, name: str) -> None:
        atoms = self.away_from_the_cutoff(name)
        calc = self.make()
        expected = evaluate(calc, atoms)
        moved = atoms.copy()
        moved.positions += [0.37, -12.1, 5.03]
        self.assert_same(evaluate(calc, moved), expected)
        moved.wrap()
        self.assert_same(evaluate(calc, moved), expected)
        n = np.random.default_rng(8).integers(-3, 4, (len(atoms), 3)) * atoms.pbc
        moved.positions += n @ atoms.cell.array
        self.assert_same(evaluate(self.make(), moved), expected)

    @pytest.mark.parametrize("name", MOVING)
    @pytest.mark.usefixtures("isa")
    def test_rotation(self, name: str) -> None:
        atoms = self.away_from_the_cutoff(name)
        expected = evaluate(self.make(), atoms)
        Q, _ = np.linalg.qr(np.random.default_rng(9).normal(size=(3, 3)))
        turned = atoms.copy()
        turned.set_cell(atoms.cell.array @ Q)
        turned.positions = atoms.positions @ Q
        got = evaluate(self.make(), turned)
        got["forces"] = got["forces"] @ Q.T
        got["virial"] = Q @ got["virial"] @ Q.T
        self.assert_same(got, expected)

    @pytest.mark.parametrize("name", MOVING)
    @pytest.mark.usefixtures("isa")
    def test_permutation(self, name: str) -> None:
        atoms = self.system(name)
        order = np.random.default_rng(10).permutation(len(atoms))
        self.assert_same(evaluate(self.make(), atoms[order]), evaluate(self.make(), atoms), order)

    @pytest.mark.parametrize("name", ["one_atom_cell", "triclinic", "slab", "wire"])
    @pytest.mark.usefixtures("isa")
    def test_supercell(self, name: str) -> None:
        atoms = self.away_from_the_cutoff(name)
        expected = evaluate(self.make(), atoms)
        m = np.where(atoms.pbc, [2, 1, 3], 1)
        got = evaluate(self.make(), atoms * m)
        n = int(np.prod(m))
        repeated = {
            "energy": n * expected["energy"],
            "energies": np.tile(expected["energies"], n),
            "forces": np.tile(expected["forces"], (n, 1)),
            "virial": n * expected["virial"],
        }
        self.assert_same(got, repeated)

    # --- cutoff -------------------------------------------------------------------------------

    @pytest.mark.usefixtures("isa")
    def test_at_the_cutoff(self) -> None:
        """A third atom keeps the density of EAM away from zero."""
        calc = self.make()
        energy = force = scale = 0.0  # largest jumps over all pairs of elements
        for a, b, rc in product(self.symbols, self.symbols, self.cutoffs or (self.rc,)):
            values = []
            for r in (rc * (1 - 1e-9), rc * (1 + 1e-9)):
                atoms = Atoms([a, b, a], [[0, 0, 0], [r, 0, 0], [0, 0.75 * self.a, 0]])
                values.append(evaluate(calc, atoms))
            below, above = values
            energy = max(energy, abs(above["energy"] - below["energy"]))
            force = max(force, np.abs(above["forces"] - below["forces"]).max())
            scale = max(scale, self.scale(above))
        assert (energy <= self.jump * scale) == (self.continuous != "nothing")
        assert (force <= self.jump * scale) == (self.continuous == "forces")

    def test_nothing_beyond_the_cutoff(self) -> None:
        calc = self.make()
        pair = Atoms(self.symbols[0] * 2, [[0, 0, 0], [calc.cutoff * 1.0001, 0, 0]])
        alone = evaluate(calc, Atoms(self.symbols[0]))["energy"]
        got = evaluate(calc, pair)
        assert abs(got["energy"] - 2 * alone) <= 1e-15
        assert not got["forces"].any()
        assert not got["virial"].any()

    # --- bits ---------------------------------------------------------------------------------

    @pytest.mark.quick
    @pytest.mark.parametrize("name", SYSTEMS)
    def test_instruction_sets_agree(self, name: str) -> None:
        atoms = self.system(name)
        results = []
        for isa in ISAS:
            mdkern.set_isa(isa)
            results.append(evaluate(self.make(), atoms, stresses=True))
        for other in results[1:]:
            limit = 1e-12 * self.scale(results[0])
            for key in results[0]:
                size = len(atoms) * self.rc if key == "virial" else len(atoms)
                assert np.abs(other[key] - results[0][key]).max() <= limit * size

    def test_same_bits_for_every_number_of_threads(self) -> None:
        atoms = self.large()
        assert len(mdkern.neighbor_list("i", atoms, self.rc + 0.3)) > self.listed
        for isa in ISAS:
            mdkern.set_isa(isa)
            for stresses in (False, True):
                expected = raw(evaluate(self.make(threads=1), atoms, stresses))
                for threads in (1, 2, 3, 8):
                    calc = self.make(threads=threads)
                    for _ in range(2):
                        assert raw(evaluate(calc, atoms, stresses)) == expected, (isa, threads)

    @pytest.mark.parametrize("name", ["crystal", "slab"])
    @pytest.mark.usefixtures("isa", "threads")
    def test_repeated_calls_give_the_same_bits(self, name: str) -> None:
        atoms, calc = self.system(name), self.make()
        expected = raw(evaluate(calc, atoms, True))
        for _ in range(20):
            assert raw(evaluate(calc, atoms, True)) == expected
        assert raw(evaluate(self.make(), atoms, True)) == expected

    def test_large_equals_the_definition_of_a_part(self) -> None:
        """Forces on the atoms inside a ball depend on what is around the ball only."""
        atoms = self.large()
        calc = self.make()
        got = evaluate(calc, atoms)
        centre = atoms.cell.array.sum(axis=0) / 2
        d = np.linalg.norm(atoms.positions - centre, axis=1)
        inner, part = d < 0.5 * self.a, d < 0.5 * self.a + self.reach * calc.cutoff
        assert inner.sum() > 0
        cut = atoms if part.all() else Atoms(atoms.symbols[part], atoms.positions[part])
        expected = self.reference(cut)
        limit = self.accuracy * self.scale(expected) * 10
        mine = np.flatnonzero(inner)
        theirs = np.flatnonzero(inner[part])
        assert np.abs(got["forces"][mine] - expected.forces[theirs]).max() <= limit
        assert np.abs(got["energies"][mine] - expected.energies[theirs]).max() <= limit

    # --- neighbor list ------------------------------------------------------------------------

    @pytest.mark.quick
    @pytest.mark.parametrize("name", MOVING)
    @pytest.mark.usefixtures("isa")
    def test_a_kept_list_equals_a_new_one(self, name: str) -> None:
        atoms = self.system(name)
        rng = np.random.default_rng(11)
        calc, fresh = self.make(skin=0.5), self.make(skin=0.0)
        for step in range(12):
            got, expected = evaluate(calc, atoms), evaluate(fresh, atoms)
            limit = 1e-12 * self.scale(expected)
            assert np.abs(got["forces"] - expected["forces"]).max() <= limit
            assert np.abs(got["energies"] - expected["energies"]).max() <= limit
            close = limit * len(atoms) * calc.cutoff
            assert np.abs(got["virial"] - expected["virial"]).max() <= close
            atoms.positions += rng.normal(scale=0.02, size=atoms.positions.shape)
            if step % 3 == 2:
                strain = np.eye(3) + rng.normal(scale=0.002, size=(3, 3))
                atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        assert 1 <= calc.n_builds <= 8
        assert fresh.n_builds == 12

    def test_other_atoms_between_calls(self) -> None:
        """One calculator goes from system to system, larger and smaller, and back."""
        calc = self.make()
        names = [*SYSTEMS, *reversed(SYSTEMS)]
        for name in names:
            atoms = self.system(name)
            assert raw(evaluate(calc, atoms, True)) == raw(evaluate(self.make(), atoms, True))
        atoms = self.system("crystal")
        for change in (
            lambda a: a.pop(3),
            lambda a: a.set_pbc((1, 0, 0)),
            lambda a: a.append(a[0]),
        ):
            change(atoms)
            atoms.positions[-1] += 0.9
            assert raw(evaluate(calc, atoms)) == raw(evaluate(self.make(), atoms))

    @pytest.mark.quick
    @pytest.mark.usefixtures("isa")
    def test_no_atoms(self) -> None:
        got = evaluate(self.make(), Atoms(), stresses=True)
        assert got["energy"] == 0.0
        assert got["forces"].shape == (0, 3)
        assert got["energies"].shape == (0,)
        assert not got["virial"].any()
        boxed = evaluate(self.make(), Atoms(cell=[3, 3, 3], pbc=True), stresses=True)
        assert boxed["stresses"].shape == (0, 6)
        assert not boxed["stress"].any()


class ThreadsUnderSanitizers:
    """In front of one contract per kernel: its test of threads, which is long, runs under the sanitizers too."""

    @pytest.mark.quick
    def test_same_bits_for_every_number_of_threads(self) -> None:
        super().test_same_bits_for_every_number_of_threads()  # type: ignore[misc]
