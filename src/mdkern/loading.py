"""Which potential a file belongs to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.foreign import refusal
from mdkern.registry import Entry, entries, entries_with_files, recognised, resolve

__all__ = ["entry_of", "has_own_calculate", "potential_of"]


def entry_of(path: str | os.PathLike[str]) -> Entry:
    """The potential whose model a file holds, told by its content, or that a word such as "zhou2004" stands for.

    Raises
    ------
    UnsupportedError
        The file is of a kind that is not read: the message says what it looks like, the way out, and what is read.
    FormatError
        No reader recognises the content.
    OSError
        The file cannot be read.
    """
    name = os.fspath(path)
    for entry in entries():
        if name in entry.words:
            return entry
    found = recognised(path)
    if found is not None:
        return found
    error = refusal(path)
    if isinstance(error, FormatError):
        for entry, files in entries_with_files():
            if any(part in Path(path).name.lower() for part in files.names):
                return entry  # its reader says what is wrong
    raise error


def has_own_calculate(calculator: Any) -> bool:
    """Whether a calculator evaluates by a method that is not mdkern's: its potential alone does not give its results then."""
    calculate = getattr(type(calculator), "calculate", None)
    return calculate is not None and calculate.__module__.partition(".")[0] != "mdkern"


def potential_of(name: str, model: Any) -> Any:
    """The potential of one of mdkern's calculators, or of a file; a potential is its own. `name` is the argument, for messages.

    Raises
    ------
    ValueError
        The model is something else.
    UnsupportedError
        A calculator whose potential alone does not give its results, and from reading a file.
    FormatError, OSError
        From reading a file.
    """
    if isinstance(model, (str, os.PathLike)):
        model = resolve(entry_of(model).potential)(model)
    elif hasattr(model, "potential") and has_own_calculate(model):
        raise UnsupportedError(
            f"{name}: {type(model).__name__}, which has a `calculate` of its own; expected a calculator whose potential "
            "gives its results (ase.calculators.mixing.SumCalculator adds any calculators)"
        )
    potential = getattr(model, "potential", model)
    if not hasattr(potential, "compute") or not hasattr(potential, "species"):
        raise ValueError(f"{name}: {model!r}; expected a file or one of mdkern's calculators")
    return potential
