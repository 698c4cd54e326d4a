"""Messages and numbers of the command line. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mdkern.errors import MDKernError
from mdkern.terminal import Progress, fancy, print_json, print_table

__all__ = [
    "Progress",
    "UsageError",
    "error",
    "fancy",
    "note",
    "number",
    "one_line",
    "plus_minus",
    "print_fields",
    "print_json",
    "print_table",
    "warning",
    "writing",
]


class UsageError(MDKernError, ValueError):
    """Wrong usage or input: one line on stderr, exit status 2."""


def one_line(text: str, limit: int = 600) -> str:
    """Text that may come from a file, as one printable line of bounded length."""
    words = "".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split()
    line = " ".join(words)
    return line if len(line) <= limit else line[: limit - 3] + "..."


def error(text: str) -> None:
    print(f"mdkern: error: {one_line(text)}", file=sys.stderr)


def note(text: str) -> None:
    """What the program chose, where a reader of its output would ask."""
    print(f"mdkern: {one_line(text)}", file=sys.stderr)


def warning(text: str) -> None:
    print(f"mdkern: warning: {one_line(text)}", file=sys.stderr)


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """What fails while a file is written names the file: the system's error has no name where a disk is full."""
    try:
        yield
    except OSError as e:
        # HDF5 puts the system's error somewhere into a long text.
        reason = re.search(r"error message = '([^']*)'", str(e))
        if reason or e.errno is None:
            text = reason[1] if reason else one_line(str(e), 200)
            raise UsageError(f"{path}: {text}") from e
        if e.filename is None:
            e.filename = str(path)
        raise


def number(value: float | None, digits: int = 4, unit: str = "") -> str:
    """Short form for people, with thousands separated; a dash where there is no value."""
    if value is None or not math.isfinite(value):
        return "-"
    if abs(value) >= 10 ** (digits - 1):
        text = f"{value:,.0f}"
    else:
        text = f"{value:.{digits}g}"
    return f"{text} {unit}".rstrip()


def plus_minus(value: float | None, error: float | None, unit: str = "", sign: str = "+/-") -> str:
    """Value and error with the digits that the error leaves."""
    if value is None or error is None or not (math.isfinite(value) and math.isfinite(error)):
        return "-"
    decimals = 1 - math.floor(math.log10(error)) if error > 0.0 else 4
    if not 0 <= decimals <= 9:
        return f"{value:.3g} {sign} {error:.2g} {unit}".rstrip()
    return f"{value:.{decimals}f} {sign} {error:.{decimals}f} {unit}".rstrip()


def print_fields(title: str, fields: Mapping[str, str]) -> None:
    """Names and values in two columns."""
    print_table(title, (), [(name, text) for name, text in fields.items()], right=False)
