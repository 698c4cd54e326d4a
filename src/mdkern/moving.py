"""Who moves atoms: one thread at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast
from weakref import WeakValueDictionary

from ase import Atoms

from mdkern.errors import InUseError

__all__ = ["alone", "lock_of"]

# One for each Atoms object that something moves, by its id: two that move the same atoms exclude each other.
_LOCKS: WeakValueDictionary[int, Any] = WeakValueDictionary()
_LOCKS_LOCK = threading.Lock()


def lock_of(atoms: Atoms) -> Any:
    """The lock of these atoms, which who moves them keeps."""
    with _LOCKS_LOCK:
        return _LOCKS.setdefault(id(atoms), threading.RLock())


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
