"""Hook of mkdocs: navigation and tables list the potentials of the registry, so that a new one needs no line in either.

A page keeps its table as text between ``<!-- potentials: NAME -->`` and ``<!-- end -->``, for who reads it without mkdocs.
``python tools/site_potentials.py`` brings the tables of docs/ up to date.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
if importlib.util.find_spec("mdkern") is None:
    sys.path.insert(0, str(ROOT / "src"))  # the site is made without the compiled core

from mdkern import registry

MARKED = re.compile(r"(<!-- potentials: (\w+) -->\n).*?(<!-- end -->)", flags=re.DOTALL)


def entries() -> list[registry.Entry]:
    """Those that have a page here; other packages have their own docs."""
    return [entry for entry in registry.entries() if entry.page and (DOCS / entry.page).exists()]


def pages() -> dict[str, str]:
    """Titles of the pages of potentials, by path."""
    found: dict[str, str] = {}
    for entry in entries():
        if entry.page.startswith("potentials/"):
            found.setdefault(entry.page, entry.title)
    return found


def links() -> list[str]:
    """The pages, for the table of contents."""
    return [f"- [{title}]({page})" for page, title in pages().items()]


def files() -> list[str]:
    """Which class a file belongs to."""
    classes: dict[str, list[str]] = {}
    for entry in entries():
        text = f"[`{entry.calculator}`]({entry.page})"
        if entry.files is not None:
            classes.setdefault(entry.files.formats, []).append(text)
        for word in entry.words:
            classes[f"the word `{word}`"] = [text]
    rows = [f"| {kind} | {', '.join(found)} |" for kind, found in classes.items()]
    return ["| file | class |", "|---|---|", *rows]


def forms() -> list[str]:
    """Potentials of the command line that need no file."""
    rows = []
    for entry, form in registry.forms().values():
        if entry in entries():
            link = f"[{entry.title}]({entry.page})"
            about = " ".join(form.help).replace(entry.title, link, 1)
            rows.append(f"| `{form.example}` | {about} |")
    return ["| text | potential |", "|---|---|", *rows]


TABLES = {"links": links, "files": files, "forms": forms}


def with_tables(text: str) -> str:
    """A page with its tables as the registry has them."""
    return MARKED.sub(lambda m: m[1] + "\n" + "\n".join(TABLES[m[2]]()) + "\n\n" + m[3], text)


def on_config(config: Any) -> Any:
    """Fill the place of the potentials in the navigation."""
    for item in config["nav"]:
        if "Potentials" in item:
            item["Potentials"] = [{title: page} for page, title in pages().items()]
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The text of a page with its tables."""
    return with_tables(markdown)


if __name__ == "__main__":
    for path in sorted(DOCS.rglob("*.md")):
        before = path.read_text(encoding="utf-8")
        after = with_tables(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(path.relative_to(ROOT))
