"""Tables, progress, JSON and messages. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import json
import math
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from mdkern.errors import MDKernError

__all__ = [
    "Progress",
    "UsageError",
    "error",
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


def fancy(stream: TextIO) -> bool:
    """Whether to draw with rich: a terminal that wants it, and rich is installed."""
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    try:
        import rich  # noqa: F401
    except ImportError:
        return False
    return True


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


def print_json(document: Mapping[str, Any]) -> None:
    """One document on stdout; numbers that are not finite become null."""
    print(json.dumps(_plain(document), indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if hasattr(value, "tolist"):  # NumPy
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def print_fields(title: str, fields: Mapping[str, str]) -> None:
    """Names and values in two columns."""
    print_table(title, (), [(name, text) for name, text in fields.items()], right=False)


def print_table(
    title: str, header: Sequence[str], rows: Sequence[Sequence[str]], right: bool = True
) -> None:
    """Columns of text; all but the first are aligned to the right where `right`."""
    if fancy(sys.stdout):
        _rich_table(title, header, rows, right)
        return
    if title:
        print(title)
    lines = [*([header] if header else []), *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for k, line in enumerate(lines):
        cells = [
            text.rjust(width) if right and column else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  " + "  ".join(cells).rstrip())
        if header and k == 0:
            print("  " + "  ".join("-" * width for width in widths))


def _rich_table(
    title: str, header: Sequence[str], rows: Sequence[Sequence[str]], right: bool
) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD if header else None,
        show_header=bool(header),
        pad_edge=not header,
    )
    for column in range(len(rows[0]) if rows else len(header)):
        table.add_column(
            Text(header[column]) if header else "",
            justify="right" if right and column else "left",
            style="cyan" if column == 0 else None,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(text) for text in row))
    Console().print(table)


class Progress:
    """Progress on stderr: a bar of rich's, a plain line without rich, nothing without a terminal.

    Parameters
    ----------
    label : str
    total : int
        Steps to be done.
    enabled : bool
        False draws nothing.
    """

    def __init__(self, label: str, total: int, enabled: bool = True) -> None:
        self._label, self._total = label, max(total, 1)
        self._plain = enabled and sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        self._rich: Any = None
        self._last = 0.0
        if self._plain and fancy(sys.stderr):
            self._plain = False
            self._rich = self._bar()

    def _bar(self) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = bar.add_task(self._label, total=self._total, note="")
        return bar

    def __enter__(self) -> Progress:  # noqa: PYI034 - Self needs Python 3.11
        if self._rich is not None:
            self._rich.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._rich is not None:
            self._rich.stop()
        elif self._plain:
            sys.stderr.write(f"\r{'':78}\r")
            sys.stderr.flush()

    def due(self) -> bool:
        """Whether it is time to draw again; cheap enough for every step."""
        drawing = self._plain or self._rich is not None
        return drawing and time.monotonic() - self._last >= 0.1

    def show(self, done: int, note: str = "") -> None:
        """Draw `done` of the total, with a short text."""
        self._last = time.monotonic()
        if self._rich is not None:
            self._rich.update(self._task, completed=done, note=note)
        elif self._plain:
            percent = 100 * done // self._total
            sys.stderr.write(f"\r{f'{self._label}: {percent:3d} %  {note}':78.78}")
            sys.stderr.flush()
