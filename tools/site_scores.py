"""Hook of mkdocs: the table of machines in docs/score.md lists the results in docs/scores, one file for each machine.

``python tools/site_scores.py`` brings the table up to date, which the page keeps as text between ``<!-- scores -->`` and
``<!-- end -->``. A result that is not for the table (`comparable` is false), or of another form, is refused by its name.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "score.md"
FOLDER = ROOT / "docs" / "scores"
MARKED = re.compile(r"(<!-- scores -->\n).*?(<!-- end -->)", flags=re.DOTALL)
SCHEMA = 1
HEADER = [
    "| machine | score | threads | peak, GFLOP/s | computing | memory, GB/s | walking memory | mdkern, compiler, date |",
    "|---|---|---|---|---|---|---|---|",
]


def result(path: Path) -> dict[str, Any]:
    """The document of a file.

    Raises
    ------
    ValueError
        It is no result for the table; the message has the file and the reason.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as e:
        msg = f"{path}: {e}; expected the output of mdkern bench --score --json"
        raise ValueError(msg) from e
    schema = found.get("schema") if isinstance(found, dict) else None
    if schema != SCHEMA:
        msg = f"{path}: schema {schema!r}; expected {SCHEMA}"
        raise ValueError(msg)
    if found["comparable"] is not True or found["marks"]:
        why = "; ".join(f"{mark['name']}: {mark['text']}" for mark in found["marks"])
        msg = f"{path}: not for the table: {why}"
        raise ValueError(msg)
    return dict(found)


def line(found: dict[str, Any]) -> str:
    """A machine: one thread, then all threads."""
    machine, scores = found["machine"], found["scores"]

    def each(name: str, scale: float, digits: int, unit: str = "") -> str:
        return ", ".join(f"{scale * score[name]:.{digits}f}{unit}" for score in scores)

    cells = (
        f"{machine.get('name', machine['cpu'])}, {machine['isa']}",
        str(found["score"]),
        ", ".join(str(score["threads"]) for score in scores),
        each("peak", 1e-9, 0),
        each("compute", 100, 1, " %"),
        each("bandwidth", 1e-9, 1),
        each("memory", 100, 1, " %"),
        f"{found['software']['version']}, {found['software']['compiler']}, {found['date']}",
    )
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def table(folder: Path = FOLDER) -> list[str]:
    """Newest score first, and within it the largest share of the peak with all threads."""
    found = [result(path) for path in sorted(folder.glob("*.json"))]
    found.sort(key=lambda one: (-one["score"], -one["scores"][-1]["compute"]))
    return [*HEADER, *map(line, found)] if found else ["No machine yet."]


def with_table(text: str) -> str:
    """A page with the table as the files have it."""
    return MARKED.sub(lambda m: m[1] + "\n" + "\n".join(table()) + "\n\n" + m[2], text)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The text of a page with its table."""
    return with_table(markdown)


if __name__ == "__main__":
    before = PAGE.read_text(encoding="utf-8")
    after = with_table(before)
    if after != before:
        PAGE.write_text(after, encoding="utf-8")
        print(PAGE.relative_to(ROOT))
