"""Hook of mkdocs: pages of the Python interface, made of the docstrings, and links to them from every page.

The pages are made for the site alone: what they consist of are instructions to mkdocstrings, which say nothing to who reads docs/ on
GitHub. Names are those of ``__all__``, read from the sources, and the potentials those of the registry.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import posixpath
import re
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "src"
if importlib.util.find_spec("mdkern") is None:
    sys.path.insert(0, str(SOURCES))  # the site is made without the compiled core

from mdkern import registry

# Pages: title, what it is for, modules whose public names it has.
PAGES = {
    "neighbors": ("Neighbor lists", ("mdkern.neighbors",)),
    "calculators": ("Calculators", ("mdkern.calculators", "mdkern.calculators.batch")),
    "potentials": ("Potentials", ("mdkern.potentials",)),
    "evaluation": ("Many frames", ("mdkern.evaluation", "mdkern.relaxation")),
    "md": ("Molecular dynamics", ("mdkern.md",)),
    "optimize": ("Optimizers, bands", ("mdkern.optimize", "mdkern.mep")),
    "descriptors": ("Descriptors", ("mdkern.descriptors",)),
    "analysis": ("Analysis, fits", ("mdkern.analysis", "mdkern.fitting")),
    "settings": ("Threads, instruction sets", ("mdkern._runtime", "mdkern._library", "mdkern.errors")),
    "tuning": ("Tuning, doctor", ("mdkern.tuning", "mdkern.doctor")),
    "io": ("Structure files", ("mdkern.io.structures", "mdkern.io.labels")),
    "lammps": ("LAMMPS", ("mdkern.lammps", "mdkern.lammps.mliap")),
    "registry": ("Registry", ("mdkern.registry",)),
    "reference": ("Definitions in NumPy", ("mdkern.reference",)),
}  # fmt: skip
# Modules that users do not name: they take the names from mdkern. Others of their names are internal, but for some.
HOMES = {"mdkern.calculators.batch", "mdkern.neighbors", "mdkern.evaluation", "mdkern.relaxation", "mdkern._runtime", "mdkern._library",
         "mdkern.errors"}  # fmt: skip
FURTHER = {
    "mdkern.errors.InUseError",
    "mdkern.evaluation.Evaluation",
    "mdkern.evaluation.evaluate_iter",
}


@dataclass(frozen=True)
class Name:
    """A public name: how users write it, where its docstring is, and further names of it."""

    shown: str
    source: str
    others: tuple[str, ...] = ()


def tree(module: str) -> ast.Module:
    path = SOURCES.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def written(module: str, name: str) -> Any:
    """The value of a name of a module, as far as it is written down."""
    for node in tree(module).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise ValueError(f"{module}: no {name}")


@functools.cache
def of_package() -> dict[str, str]:
    """Names that mdkern itself has, by their modules' names for them."""
    lazy = {
        f"mdkern.{home}.{name}": f"mdkern.{name}"
        for name, home in written("mdkern", "_LAZY").items()
    }
    top = written("mdkern", "__all__")
    errors = written("mdkern.errors", "__all__")
    return lazy | {f"mdkern.errors.{name}": f"mdkern.{name}" for name in errors if name in top}


def names(module: str) -> list[Name]:
    """Public names of a module in the order of their page."""
    own = [f"{module}.{name}" for name in written(module, "__all__")]
    if module == "mdkern.potentials":
        found = [Name(name, name) for name in own]
        for entry in sorted(registry.entries(), key=lambda entry: entry.calculator):
            source = entry.potential.replace(":", ".")
            shown, calculator = (
                f"mdkern.{x}.{entry.calculator}" for x in ("potentials", "calculators")
            )
            found.append(Name(shown, source, (calculator,)))
        return found
    if module == "mdkern.reference":
        sources = (
            name.replace(":", ".") for entry in registry.entries() for name in entry.reference
        )
        of_potentials = {f"{module}.{source.rpartition('.')[2]}": source for source in sources}
        return [
            *(Name(name, name) for name in own),
            *(Name(*x) for x in sorted(of_potentials.items())),
        ]
    short = of_package()
    return [
        Name(short.get(name, name), name)
        for name in own
        if module not in HOMES or name in short or name in FURTHER
    ]


@functools.cache
def table() -> dict[str, str]:
    """Page of each public name, under all names that it has."""
    out: dict[str, str] = {}
    for page, (_, modules) in PAGES.items():
        for module in modules:
            out[module] = page
            for name in names(module):
                out |= dict.fromkeys((name.shown, name.source, *name.others), page)
    return out


# --- docstrings: the reStructuredText that they have, as Markdown ---------------------------------

ROLE = re.compile(r":(?:class|func|meth|mod|attr):`~?([\w.]+)`")
MATH = re.compile(r":math:`([^`]+)`")
BLOCK = re.compile(r"^\.\. math::[ ]*(.*)\n((?:[ \t]+\S.*\n|[ \t]*\n)*)", flags=re.MULTILINE)

PARAMETERS = re.compile(r"^Parameters\n-+\n(?:.+\n|\n(?!\w+\n---))+", flags=re.MULTILINE)
# Parameters that share a description: griffe would take the default and the type of the first for all.
SHARED = re.compile(r"^([*\w]+(?:, [*\w]+)+)( : .*)?\n((?: {4}.+\n)*)", flags=re.MULTILINE)


def markdown(text: str, module: str = "") -> str:
    """A docstring of `module` with formulas between dollars, and links to the names that have a page."""

    def formula(match: re.Match[str]) -> str:
        lines = [match[1], *textwrap.dedent(match[2]).strip().splitlines()]
        body = "\n".join(line for line in lines if line.strip())
        if ("&" in body or "\\\\" in body) and r"\begin" not in body:
            body = rf"\begin{{aligned}}{body}\end{{aligned}}"  # as Sphinx does
        return f"\n$$\n{body}\n$$\n\n"

    def apart(match: re.Match[str]) -> str:
        each = (f"{name}{match[2] or ''}\n{match[3]}" for name in match[1].split(", "))
        return "".join(each)

    def role(match: re.Match[str]) -> str:
        for name in (match[1], f"{module}.{match[1]}", f"{module.rpartition('.')[0]}.{match[1]}"):
            if name in table():
                return f"[`{match[1]}`](api:{name})"
        return f"`{match[1]}`"

    out = BLOCK.sub(formula, text + "\n")
    out = PARAMETERS.sub(lambda match: SHARED.sub(apart, match[0]), out)
    return ROLE.sub(role, MATH.sub(r"$\1$", out)).strip("\n")


# --- pages ---------------------------------------------------------------------------------------


def page(key: str) -> str:
    """The Markdown of a page."""
    title, modules = PAGES[key]
    out = [f"# {title}", ""]
    for module in modules:
        if len(modules) > 1 and not module.startswith("mdkern._"):
            out += [f"## {module}", ""]
        about = markdown(ast.get_docstring(tree(module)) or "", module)
        out += [f'<a id="{module}"></a>', "", about, ""]
        if module == "mdkern.potentials":
            out += [OF_CALCULATORS, ""]
        for name in names(module):
            out += [f'<a id="{x}"></a>' for x in (name.shown, *name.others) if x != name.source]
            last = name.shown.rpartition(".")[2]
            level = 3 if len(modules) > 1 else 2
            out += ["", f"::: {name.source}", "    options:", f"      heading: {name.shown}",
                    f"      toc_label: {last}", f"      heading_level: {level}", ""]  # fmt: skip
    return "\n".join(out)


OF_CALCULATORS = """\
Each of the classes below is also an ASE calculator of the same name: `mdkern.calculators.NEP` takes the arguments of `mdkern.potentials.NEP`,
and those of [`Calculator`](api:mdkern.calculators.Calculator). The guide has a page for each potential."""


def start() -> str:
    """The page that lists all names."""
    out = ["# Python interface", "", "All public names, by what they are for; `import mdkern` loads what is used, when it is used.", ""]  # fmt: skip
    out += ["| page | names |", "|---|---|"]
    for key, (title, modules) in PAGES.items():
        shown = [name.shown for module in modules for name in names(module)]
        links = ", ".join(f"[`{name.rpartition('.')[2]}`](api:{name})" for name in shown)
        out.append(f"| [{title}]({key}.md) | {links} |")
    return "\n".join(out) + "\n"


def on_config(config: Any) -> Any:
    """Fill the place of the interface in the navigation."""
    pages = [{title: f"api/{key}.md"} for key, (title, _) in PAGES.items()]
    for item in config["nav"]:
        if "Python interface" in item:
            item["Python interface"] = ["api/index.md", *pages]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages, which are in no folder."""
    from mkdocs.structure.files import File

    made = {"index": start(), **{key: page(key) for key in PAGES}}
    for key, text in made.items():
        files.append(File.generated(config, f"api/{key}.md", content=text))
    return files


# Links to names, and code that is no link, no heading and no block.
LINK = re.compile(r'href="api:([\w.]+)"')
CODE = re.compile(r"<(a|pre|h\d)\b.*?</\1>|<code>(mdkern(?:\.\w+)+)(?:\([^<]*\))?</code>", flags=re.DOTALL)  # fmt: skip
PRIVATE_BASE = re.compile(
    r'<p class="doc doc-class-bases">\s*Bases: <code><[^>]+>_\w+</[^>]+></code></p>'
)
links: set[tuple[str, str]] = set()  # page and name


def on_page_content(content: str, page: Any, **_: Any) -> str:
    """Public names in the text of a page become links."""

    def href(name: str) -> str:
        key = table()[name]
        links.add((key, name))
        return f'href="{posixpath.relpath(f"api/{key}", page.url or ".")}/#{name}"'

    def link(match: re.Match[str]) -> str:
        known = match[2] in table()
        return f"<a {href(match[2])}>{match[0]}</a>" if known else match[0]

    content = PRIVATE_BASE.sub("", content)
    return CODE.sub(link, LINK.sub(lambda match: href(match[1]), content))


def on_post_build(config: Any, **_: Any) -> None:
    """Each of these links leads to a place of its page."""
    for key in {key for key, _ in links}:
        text = Path(config["site_dir"], "api", key, "index.html").read_text(encoding="utf-8")
        lost = {name for at, name in links if at == key} - set(re.findall(r'id="([^"]+)"', text))
        if lost:
            raise ValueError(f"api/{key}: nothing has the name {', '.join(sorted(lost))}")
