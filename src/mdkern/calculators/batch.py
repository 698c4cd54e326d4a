"""Structures that are evaluated together, such as the images of a nudged elastic band."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mdkern import _core, checks
from mdkern.calculators.base import AtomsError, Calculator, NonFiniteError, is_native
from mdkern.errors import UnsupportedError
from mdkern.potentials.base import result_of

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Batch", "batch"]


def batch(images: Iterable[Atoms], calculator: Any) -> list[Calculator]:
    """Give each image a calculator, such that all images are evaluated together.

    The first of them that is asked for energy, forces or stress evaluates all that have changed since, in one call of the core:
    its threads take different images. Results have the same bits as those of a calculator for each image alone, for every
    number of threads. Each image keeps a neighbor list of its own. So it suits what moves many images and then looks at each,
    such as ASE's ``NEB`` in all of its forms, under any optimizer.

    Parameters
    ----------
    images : sequence of ase.Atoms
        Their calculators are replaced. They may differ in elements, cell and number of atoms.
    calculator : mdkern.calculators.Calculator
        What each image gets a copy of, with its skin and number of threads; they share one potential. It stays as it is.

    Returns
    -------
    list of mdkern.calculators.Calculator
        Those of the images. Copies and pickles of them, as of any image, are calculators by themselves. A calculator whose
        image has another one in the meantime is left out, and so is one that ``set`` has given another potential, until it is
        asked itself.

    Raises
    ------
    TypeError
        `images` is one structure, or has something else in it; `calculator` is none of mdkern's.
    ValueError
        An image is there twice.
    UnsupportedError
        The potential is not evaluated by the core alone.

    An image that cannot be evaluated raises its error when it is asked itself, as it would alone; the message begins with the
    number of the image.
    """
    wanted = checks.structures("images", images, same=True)
    first: dict[int, int] = {}
    for k, image in enumerate(wanted):
        if id(image) in first:
            raise ValueError(
                f"images[{k}] is images[{first[id(image)]}]; expected different structures: "
                "copy() makes one of its own"
            )
        first[id(image)] = k
    if not isinstance(calculator, Calculator):
        msg = f"calculator: {checks.shown(calculator)}; expected one of mdkern.calculators"
        raise TypeError(msg)
    if not is_native(calculator) or _step_of(calculator) is None:
        raise UnsupportedError(
            f"calculator: {type(calculator).__name__} is not evaluated by the core alone; expected one that is: "
            "give each image a calculator of its own"
        )
    return Batch(wanted, calculator).calculators


def _step_of(calculator: Calculator) -> Any:
    return getattr(calculator.potential, "force_step", lambda: None)()


class Batch:
    """Images and their calculators, which evaluate together; see :func:`mdkern.batch`.

    Its calculators share one lock: whichever is asked evaluates the others too.
    """

    def __init__(self, images: list[Atoms], calculator: Calculator) -> None:
        self.images = images
        self.calculators = []
        lock = threading.RLock()
        state = calculator.__getstate__()
        for image in images:
            mine = type(calculator).__new__(type(calculator))
            mine.__setstate__(
                dict(state, _atoms=None, _last=None, parameters=dict(state["parameters"]))
            )
            mine.reset()
            mine.lock = lock
            mine.batch = self
            self.calculators.append(mine)
            image.calc = mine

    def evaluate(self, asked: Calculator, atoms: Atoms | None, virials: bool) -> None:
        """Evaluate these atoms by the calculator that was asked for them, and every other image that has changed.

        Raises
        ------
        AtomsError, NonFiniteError
            Of the one that was asked; others keep theirs until they are asked.
        """
        todo = []
        for calculator, image in zip(self.calculators, self.images, strict=True):
            if calculator is asked:
                try:
                    todo.append((calculator, *calculator.gather(atoms)))
                except AtomsError as e:
                    raise AtomsError(self._named(asked, e)) from None
            elif self._is_due(calculator, image, asked):
                try:
                    todo.append((calculator, *calculator.gather(image)))
                except (AtomsError, ValueError, TypeError):
                    continue  # said when it is asked
        found = _core.evaluate_tables(
            _step_of(asked), [entry[1:] for entry in todo], 6 if virials else 0, asked.n_threads
        )
        error: Exception | None = None
        for (calculator, _, snapshot, _), values in zip(todo, found, strict=True):
            try:
                if isinstance(values, str):
                    raise AtomsError(values)
                calculator.accept_finite(result_of(calculator.potential, values), snapshot)
            except (AtomsError, NonFiniteError) as e:
                if calculator is asked:
                    error = type(e)(self._named(asked, e))
        if error is not None:
            raise error

    def _is_due(self, calculator: Calculator, image: Atoms, asked: Calculator) -> bool:
        """Whether an image has changed since its last evaluation, and the potential that was asked is its own."""
        if image.calc is not calculator or calculator.potential is not asked.potential:
            return False
        if not calculator.results:
            return True
        try:
            return bool(calculator.check_state(image))
        except (ValueError, TypeError):
            return False  # said when it is asked

    def _named(self, calculator: Calculator, error: Exception) -> str:
        k = next(k for k, mine in enumerate(self.calculators) if mine is calculator)
        return f"image {k}: {error}"
