"""mdkern's potentials as a force provider of i-PI, which evaluates all replicas (beads) of a path integral together.

i-PI loads this file itself: as ``pes_path`` of an ``<ffdirect>`` with the ``pes`` ``custom``, or by ``i-pi-driver-py -m custom -P``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mdkern
from mdkern import checks

__all__ = ["Driver"]

# What i-PI looks for in a file of this kind.
__DRIVER_NAME__ = "mdkern"
__DRIVER_CLASS__ = "Driver"

Array = NDArray[np.float64]


class Driver:
    """Energies, forces and virials of one structure, or of several in one call of the core (``batch_size`` of i-PI).

    The n-th structure of each call keeps a neighbor list of its own (:func:`mdkern.batch`): with as many structures in
    a call as there are beads, that of a bead. Numbers are those of the calculator under ASE, converted with i-PI's own units.

    Parameters
    ----------
    template : path-like or ase.Atoms
        Which atoms there are, in i-PI's order, and which directions are periodic; a file is read by ASE. Its positions and cell do not
        matter.
    calculator : path-like or mdkern.calculators.Calculator
        A file is read by :func:`mdkern.load`.
    verbosity, verbose : optional
        What i-PI says to every driver; nothing is printed.
    **parameters
        Of the calculator that is read, such as ``threads``.

    Raises
    ------
    TypeError
        `calculator` is none of mdkern; `parameters` beside one that is there already, or such as it does not have.
    UnsupportedError
        The potential is not evaluated by the core alone: ASE's ``SocketClient`` takes any calculator.
    """

    def __init__(
        self,
        template: Any,
        calculator: Any,
        *,
        verbosity: Any = None,  # noqa: ARG002
        verbose: Any = None,  # noqa: ARG002
        **parameters: Any,
    ) -> None:
        from ase.io import read
        from ipi.utils.units import unit_to_internal

        if isinstance(template, (str, os.PathLike)):
            template = read(os.fspath(template))
        if isinstance(calculator, (str, os.PathLike)):
            calculator = mdkern.load(calculator, **parameters)
        elif parameters:
            msg = (
                f"{min(parameters)}: given beside a calculator; expected it with the name of a file"
            )
            raise TypeError(msg)
        self.template = checks.structure("template", template)
        self.calculator = calculator
        self.images = self._copies(1)
        # Of 1 Angstrom and 1 eV. i-PI rounds them to eight digits: others would differ from what it prints.
        self._length: float = unit_to_internal("length", "angstrom", 1.0)
        self._energy: float = unit_to_internal("energy", "electronvolt", 1.0)

    def __call__(self, cell: Any, pos: Any) -> Any:
        """What i-PI calls.

        Parameters
        ----------
        cell : (3, 3) array, or list of them
            Vectors as columns, in bohr.
        pos : (n, 3) array, or list of them
            In bohr.

        Returns
        -------
        tuple, or list of them
            Energy in hartree, forces (n, 3) in hartree/bohr, virial ``-dE/d(strain)`` (3, 3) in hartree, and no further text.

        Raises
        ------
        ValueError
            Numbers of cells and positions differ, or the number of atoms is another than the template's.
        NonFiniteError
            Atoms lie on top of each other; the message has the index of the structure.
        """
        if isinstance(pos, list):
            return self._evaluate(cell, pos)
        return self._evaluate([cell], [pos])[0]

    def _evaluate(self, cells: Sequence[Any], positions: Sequence[Any]) -> list[Any]:
        if len(cells) != len(positions):
            raise ValueError(
                f"cell: {len(cells)} of them for {len(positions)} arrays of positions; expected as many"
            )
        if len(positions) > len(self.images):
            self.images = self._copies(len(positions))
        images = self.images[: len(positions)]
        for image, cell, pos in zip(images, cells, positions, strict=True):
            if np.shape(pos) != image.positions.shape:
                raise ValueError(
                    f"pos: shape {np.shape(pos)}; expected {image.positions.shape}, the atoms of the template"
                )
            image.positions[:] = np.divide(pos, self._length)
            image.cell[:] = np.divide(cell, self._length).T
        return [self._result(image) for image in images]

    def _copies(self, n: int) -> list[Any]:
        images = [self.template.copy() for _ in range(n)]
        for image in images:
            image.set_constraint()  # constraints are i-PI's
        mdkern.batch(images, self.calculator)
        return images

    def _result(self, image: Any) -> tuple[float, Array, Array, str]:
        forces = image.get_forces()  # with energy and virial, of all images that have moved
        return (
            image.get_potential_energy() * self._energy,
            forces * (self._energy / self._length),
            image.calc.virial * self._energy,
            "",
        )
