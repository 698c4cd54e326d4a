"""What the library draws on a terminal: tables, progress, and JSON for programs."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, TextIO

__all__ = ["Progress", "fancy", "print_json", "print_table"]


def fancy(stream: TextIO) -> bool:
    """Whether to draw with rich: a terminal that wants it, and rich is installed."""
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    try:
        import rich  # noqa: F401
    except ImportError:
        return False
    return True


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
    total : int or None
        Steps to be done; None: not known.
    enabled : bool
        False draws nothing.
    """

    def __init__(self, label: str, total: int | None, enabled: bool = True) -> None:
        self._label, self._total = label, None if total is None else max(total, 1)
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
            share = f"{done:,}" if self._total is None else f"{100 * done // self._total:3d} %"
            sys.stderr.write(f"\r{f'{self._label}: {share}  {note}':78.78}")
            sys.stderr.flush()
