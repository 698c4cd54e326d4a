"""The old name of `mdkern.fitting`, for one release."""

from __future__ import annotations

import warnings
from typing import Any

from mdkern import fitting

__all__ = ["LinearFit", "errors", "fit_linear"]  # noqa: F822 - __getattr__ finds them


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'mdkern.models' has no attribute {name!r}")
    msg = f"mdkern.models.{name} is mdkern.fitting.{name} now; the old name goes with the next release"
    warnings.warn(msg, DeprecationWarning, stacklevel=2)
    return getattr(fitting, name)
