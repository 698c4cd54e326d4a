"""Minimum energy paths: ASE's nudged elastic band, with all images evaluated together and little work besides."""

from __future__ import annotations

from typing import Any

import ase.mep
import numpy as np
from ase.geometry import find_mic
from numpy.typing import NDArray

from mdkern import checks
from mdkern.calculators.base import Calculator
from mdkern.calculators.batch import batch

__all__ = ["NEB"]

Array = NDArray[np.float64]


class NEB(ase.mep.NEB):
    r""":class:`ase.mep.NEB`, faster: change the import, and nothing else.

    Forces on the images are, with the improved tangents :math:`\hat\tau` of Henkelman and Jonsson (J. Chem. Phys. 113, 9978, 2000),

    .. math:: \mathbf F_i - (\mathbf F_i\cdot\hat\tau_i)\hat\tau_i + k(|\mathbf R_{i+1}-\mathbf R_i| - |\mathbf R_i-\mathbf R_{i-1}|)\hat\tau_i

    and :math:`\mathbf F_i - 2(\mathbf F_i\cdot\hat\tau_i)\hat\tau_i` on the highest one of a climbing band (J. Chem. Phys. 113, 9901, 2000).
    Optimizers ask for them several times a step: here they are computed once, unless an image has changed in between. They
    agree with ASE's to the last digits. With another method, a preconditioner, ``parallel=True``, dynamic relaxation, or where the calculator of a moving image
    is not one of mdkern's, ASE's own code runs.

    Parameters
    ----------
    images : list of ase.Atoms
        The path, with both ends.
    calculator : mdkern.calculators.Calculator, optional
        What all images are evaluated with, see :func:`mdkern.batch`, which replaces their calculators and says what it raises.
        None: they have theirs.
    method : str
        As in ASE; "improvedtangent" by default.
    **kwargs
        As in ASE: spring constants in eV/Angstrom^2, and so on.

    Raises
    ------
    ValueError
        Fewer than three images, fewer spring constants than there are springs, or such as are no finite numbers.
    """

    def __init__(
        self,
        images: Any,
        k: Any = 0.1,
        climb: bool = False,
        parallel: bool = False,
        remove_rotation_and_translation: bool = False,
        world: Any = None,
        method: str = "improvedtangent",
        *args: Any,
        calculator: Any = None,
        **kwargs: Any,
    ) -> None:
        each = checks.structures("images", images, same=True)
        if not isinstance(images, list):  # a list stays the caller's, as ASE has it
            images = each
        if len(images) < 3:
            raise ValueError(f"images: {len(images)}; expected at least 3, with both ends")
        springs = checks.finite("k", checks.numbers("k", k))
        if not checks.is_single(k) and (springs.ndim > 1 or len(springs) < len(images) - 1):
            raise ValueError(
                f"k: {checks.shown(k)}; expected one number, or {len(images) - 1} of them"
            )
        own = (k, climb, parallel, remove_rotation_and_translation, world, method)
        super().__init__(images, *own, *args, **kwargs)  # type: ignore[no-untyped-call]
        self._forces: Array | None = None  # those of the last evaluation, and what they belong to
        self._seen: tuple[Any, ...] = ()
        if calculator is not None:
            batch(self.images, calculator)

    def get_forces(self) -> Array:
        """Forces of all images but the ends, ((n_images - 2) n_atoms, 3) in eV/Angstrom."""
        if not self._is_ours():
            self._forces = None
            return np.asarray(super().get_forces())  # type: ignore[no-untyped-call]
        if self._forces is None or not self._is_unchanged():
            self._forces = None
            self._forces = self._band_forces()
            self._seen = self._now()
        forces: Array = self._forces.copy()
        return forces

    def _is_ours(self) -> bool:
        calculators = [image.calc for image in self.images]
        return (
            self.method == "improvedtangent"
            and self.precon in (None, "ID")
            and not (self.parallel or self.remove_rotation_and_translation)
            and not getattr(self, "dynamic_relaxation", False)
            and all(isinstance(calc, Calculator) for calc in calculators[1:-1])
            and all(hasattr(calc, "results") for calc in (calculators[0], calculators[-1]))
            and len({id(calc) for calc in calculators}) == len(calculators)
        )

    def _now(self) -> tuple[Any, ...]:
        """What the forces depend on, beside the atoms: an evaluation makes a new dict of results."""
        results = [image.calc.results for image in self.images]
        return (bool(self.climb), list(self.k), results)

    def _is_unchanged(self) -> bool:
        climb, k, results = self._seen
        if climb != bool(self.climb) or k != list(self.k):
            return False
        return all(
            image.calc.results is known
            and not image.constraints  # they may have changed, and cost little
            and not image.calc.check_state(image)
            for image, known in zip(self.images, results, strict=True)
        )

    def _band_forces(self) -> Array:
        images, n = self.images, self.nimages
        forces = np.empty((n - 2, self.natoms, 3))
        real = np.zeros((n, self.natoms, 3))
        energies = np.empty(n)
        for i, image in enumerate(images):
            energies[i] = image.get_potential_energy()
            if 0 < i < n - 1:
                real[i] = image.get_forces(apply_constraint=False)
                forces[i - 1] = image.get_forces() if image.constraints else real[i]
        self.energies, self.real_forces = energies, real
        self.imax = 1 + int(np.argsort(energies[1:-1])[-1])
        self.emax = energies[self.imax]

        steps = self._steps()
        lengths = np.sqrt(np.einsum("inc,inc->i", steps, steps))
        self.residuals = []
        for i in range(1, n - 1):
            force = forces[i - 1]
            tangent = _tangent(energies[i - 1 : i + 2], steps[i - 1], steps[i])
            along = np.vdot(force, tangent)
            if i == self.imax and self.climb:
                force -= 2.0 * along * tangent
                continue
            force += (lengths[i] * self.k[i] - lengths[i - 1] * self.k[i - 1] - along) * tangent
            self.residuals.append(np.abs(force).max())
        found: Array = forces.reshape((-1, 3))
        return found

    def _steps(self) -> Array:
        """From each image to the next, (n_images - 1, n_atoms, 3), to the nearest periodic image of each atom."""
        first = self.images[0]
        steps: Array = np.diff(np.stack([image.positions for image in self.images]), axis=0)
        if not first.pbc.any():
            return steps
        cells = [image.cell.array for image in self.images]
        if any((cell != cells[0]).any() for cell in cells):
            for step, image in zip(steps, self.images, strict=False):
                step[:] = find_mic(step, image.cell, image.pbc)[0]
            return steps
        # No lattice vector is shorter than the distance of two planes of the cell: a step below half of it is the shortest one.
        reciprocal = np.linalg.inv(first.cell.complete().array)
        limit = 0.25 / np.einsum("ci,ci->i", reciprocal, reciprocal).max()
        far = np.einsum("inc,inc->in", steps, steps) >= 0.99 * limit
        if far.any():
            steps[far] = find_mic(steps[far], first.cell, first.pbc)[0]
        return steps


def _tangent(energies: Array, before: Array, after: Array) -> Array:
    """Improved tangent at an image, of length 1, from the energies of three images and the steps between them."""
    low, here, high = energies.tolist()
    tangent: Array
    if high > here > low:
        tangent = after.copy()
    elif high < here < low:
        tangent = before.copy()
    else:
        larger, smaller = (
            max(abs(high - here), abs(low - here)),
            min(abs(high - here), abs(low - here)),
        )
        up, down = (larger, smaller) if high > low else (smaller, larger)
        tangent = after * up + before * down
    length = np.linalg.norm(tangent)
    if length > 0.0:
        tangent /= length
    return tangent
