"""Extension of griffe, which reads docstrings for mkdocstrings: their reStructuredText becomes Markdown."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import griffe

sys.path.insert(0, str(Path(__file__).resolve().parent))

from site_api import markdown


class Docstrings(griffe.Extension):  # type: ignore[misc, unused-ignore]
    """Formulas and links, before the sections of a docstring are told apart."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        if obj.docstring is not None:
            module = obj.path if obj.is_module else obj.module.path
            obj.docstring.value = markdown(obj.docstring.value, module)
