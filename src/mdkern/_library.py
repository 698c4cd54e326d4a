"""Where programs in C find mdkern: the header and the shared library."""

from __future__ import annotations

import sys
from pathlib import Path

from mdkern import _core

__all__ = ["get_include", "get_library"]


def get_include() -> str:
    """Folder of ``mdkern.h``, the C interface."""
    return str(_folder() / "include")


def get_library() -> str:
    """Path of the shared library to link with: all potentials, without Python."""
    ending = {"darwin": "dylib", "win32": "dll"}.get(sys.platform, "so")
    return str(_folder() / f"libmdkern.{ending}")


def _folder() -> Path:
    # Beside the compiled module: an editable install has the Python files elsewhere.
    return Path(_core.__file__).parent
