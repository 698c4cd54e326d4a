"""Skin and threads of molecular dynamics: measured on the model, the size and the machine at hand, kept in a small file.

Another number of threads keeps every bit of a trajectory; another skin does not: sums run over the neighbors in the order
of the list. So a run takes over a skin only where the user asked for it, see `MODE`.
"""

from __future__ import annotations

import os

from mdkern.tuning.choice import Choice
from mdkern.tuning.store import all_choices, forget, keep, key_of, path, stored
from mdkern.tuning.trials import SKINS, Measured, Trial, search

__all__ = [
    "LEAST_STEPS",
    "MODE",
    "SKINS",
    "Choice",
    "Measured",
    "Trial",
    "all_choices",
    "forget",
    "keep",
    "key_of",
    "path",
    "search",
    "stored",
]

MODES = ("off", "once", "measure")


def _mode() -> str:
    given = os.environ.get("MDKERN_TUNE", "").strip()
    if given and given not in MODES:
        raise ImportError(
            f"mdkern: environment variable MDKERN_TUNE: {given!r} is unknown; expected one of: {', '.join(MODES)}"
        )
    return given


MODE = _mode()
"""What runs do: "" (unset) take over stored threads, which keep the bits; "once" takes over stored skins as well, and measures
where nothing is stored; "measure" measures in every long run; "off" nothing."""

LEAST_STEPS = 20_000
"""Steps of a run that is worth measuring for: that takes two to three thousand."""
