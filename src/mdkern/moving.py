"""What dynamics and relaxations share: one thread at a time moves atoms, and how a step fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast
from weakref import WeakValueDictionary

from ase import Atoms
from ase.calculators.calculator import CalculationFailed

from mdkern.errors import InUseError, MDKernError

__all__ = ["StepError", "alone", "degrees_of_freedom", "lock_of"]

# One for each Atoms object that something moves, by its id: two that move the same atoms exclude each other.
_LOCKS: WeakValueDictionary[int, Any] = WeakValueDictionary()
_LOCKS_LOCK = threading.Lock()


def lock_of(atoms: Atoms) -> Any:
    """The lock of these atoms, which who moves them keeps."""
    with _LOCKS_LOCK:
        return _LOCKS.setdefault(id(atoms), threading.RLock())


def degrees_of_freedom(atoms: Atoms) -> int:
    """Those that constraints leave, as ASE counts them, whose ``Atoms`` has a method for it only since 3.24."""
    return 3 * len(atoms) - int(sum(c.get_removed_dof(atoms) for c in atoms.constraints))


class StepError(MDKernError, CalculationFailed):
    """A step that cannot be taken: atoms overlap or fly away, a number is not finite.

    The atoms are left as they were after the last good step.

    Attributes
    ----------
    step : int
        The step that failed; ``step - 1`` is the last good one.
    atom : int or None
        Index of the atom that it failed at, where one can be named.
    reason : str
        The message without the step.
    """

    def __init__(self, reason: str, step: int, atom: int | None) -> None:
        super().__init__(f"step {step}: {reason}")
        self.reason, self.step, self.atom = reason, step, atom


Method = TypeVar("Method", bound=Callable[..., Any])


def alone(method: Method) -> Method:
    """A method that no other thread may call on these atoms meanwhile; the same one may, from an observer.

    The object has the lock as ``_lock``.
    """

    @wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not self._lock.acquire(blocking=False):
            raise InUseError(
                f"{type(self).__name__}.{method.__name__}: the atoms are in use by another thread, which moves them"
            )
        try:
            return method(self, *args, **kwargs)
        finally:
            self._lock.release()

    return cast("Method", call)
