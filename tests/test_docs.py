"""README.md and docs/: their code runs, prints what they say, and their excerpts are the sources.

A page is read from top to bottom in one namespace, in a folder of its own where ``tests`` is the repository's folder of tests:

* ```` ```python ```` blocks are executed; a ```` ```text ```` block that follows is what they print,
  with ``...`` for anything;
* ```` ```console ```` blocks: lines ``$ mdkern ...`` are run, the lines below them are what they print;
* ``<!-- file: name -->`` in front of a block that fetches this file: the tests put a made one of its shape there;
* ``<!-- needs: dask -->`` in front of a block runs it, and compares what it prints, only where these packages are installed;
* ``<!-- excerpt: path -->`` in front of a block says that it is a part of that file;
* ``<!-- compiles: path -->`` in front of a C++ block says that it compiles with this include path.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mdkern.bench.nep_models import morse_nep
from mdkern.bench.relaxations import ELEMENTS

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
REPOSITORY = "https://github.com/mdkern/mdkern/blob/main/"
MARK = re.compile(r"<!-- (file|needs|excerpt|compiles): (.+) -->")
# What a page has its reader fetch, by the name of the file.
MADE = {"nep89_20250409.txt": lambda name: morse_nep(name, species=ELEMENTS)}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A fenced block: language, text, line number of its first line, marks in front of it."""

    language: str
    text: str
    line: int
    marks: dict[str, str]
    after: str  # language of the block in front, where nothing but empty lines lies between

    @property
    def needs(self) -> list[str]:
        return [name.strip() for name in self.marks.get("needs", "").split(",") if name.strip()]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks_of(page: Path) -> list[Block]:
    found: list[Block] = []
    marks: dict[str, str] = {}
    fence, language, start, after = "", "", 0, ""
    lines = page.read_text(encoding="utf-8").split("\n")
    for k, line in enumerate(lines):
        if fence:
            if line == fence:
                text = "\n".join(lines[start:k]) + "\n"
                found.append(Block(language, text, start + 1, marks, after))
                fence, marks, after = "", {}, language
        elif match := re.fullmatch(r"(`{3,})(\w*)", line):
            fence, language, start = match[1], match[2], k + 1
        elif match := MARK.fullmatch(line):
            marks[match[1]] = match[2]
        elif line.strip():
            marks, after = {}, ""
    assert not fence, f"{name(page)}:{start}: the block does not end"
    return found


def installed(packages: list[str]) -> bool:
    try:
        for package in packages:
            importlib.import_module(package)
    except ImportError:
        return False
    return True


def assert_output(got: str, expected: str, where: str) -> None:
    if not doctest.OutputChecker().check_output(expected, got, FLAGS):
        pytest.fail(f"{where} prints\n{got}\nbut the page says\n{expected}", pytrace=False)


def run_console(block: Block, page: Path) -> None:
    """``$ mdkern ARGUMENTS``, each with the lines that it prints (none: not compared)."""
    for k, part in enumerate(re.split(r"^\$ ", block.text, flags=re.MULTILINE)):
        if k == 0:
            assert not part.strip(), f"{name(page)}:{block.line}: expected '$ mdkern ...'"
            continue
        command, _, expected = part.replace("\\\n", " ").partition("\n")
        words = shlex.split(command)
        assert words[0] == "mdkern", f"{name(page)}:{block.line}: {command}"
        run = subprocess.run(
            [sys.executable, "-m", *words], capture_output=True, text=True, timeout=120, check=False
        )
        assert run.returncode == 0, f"$ {command}\n{run.stderr}"
        if expected.strip():
            assert_output(run.stdout, expected, f"{name(page)}:{block.line}: $ {command}")


@dataclass
class Reader:
    """Runs the blocks of a page in order."""

    page: Path
    namespace: dict[str, Any]
    printed: str = ""

    def read(self, block: Block) -> None:
        where = f"{name(self.page)}:{block.line}"
        if "file" in block.marks:
            assert block.marks["file"] in block.text, where
            MADE[block.marks["file"]](block.marks["file"])
        if block.language == "python":
            # Empty lines in front, so that a traceback has the page's line numbers.
            code = compile("\n" * (block.line - 1) + block.text, str(self.page), "exec")
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(code, self.namespace)  # noqa: S102
            self.printed = out.getvalue()
        elif block.language == "text" and block.after == "python":
            assert_output(self.printed, block.text, where)
        elif block.language == "console":
            run_console(block, self.page)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a page is read; relative entries of the module path keep their meaning."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(str(Path(p).resolve()) for p in sys.path if p))
    monkeypatch.setenv("NO_COLOR", "1")
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def executed(page: Path) -> list[Block]:
    return [block for block in blocks_of(page) if "excerpt" not in block.marks]


@pytest.mark.parametrize("page", PAGES, ids=name)
@pytest.mark.usefixtures("folder")
def test_the_code_of_a_page_runs(page: Path) -> None:
    reader = Reader(page, {"__name__": "__main__"})
    skipped = False
    for block in executed(page):
        # The output belongs to the block in front of it.
        skipped = (skipped and block.after == "python" and block.language == "text") or bool(
            block.needs
        )
        if not skipped:
            reader.read(block)


OPTIONAL = [
    pytest.param(page, block, id=f"{name(page)}:{block.line}")
    for page in PAGES
    for block in executed(page)
    if block.needs
]


@pytest.mark.parametrize(("page", "optional"), OPTIONAL)
@pytest.mark.usefixtures("folder")
@pytest.mark.filterwarnings("default")  # of other packages
def test_code_that_needs_another_package(page: Path, optional: Block) -> None:
    if not installed(optional.needs):
        pytest.skip(f"needs {', '.join(optional.needs)}")
    reader = Reader(page, {"__name__": "__main__"})
    done = False
    for block in executed(page):
        if done:
            if block.language == "text" and block.after == "python":
                reader.read(block)  # what the optional block prints
            break
        if block.line == optional.line or (block.language == "python" and not block.needs):
            reader.read(block)
        done = block.line == optional.line


EXCERPTS = [
    pytest.param(block, id=f"{name(page)}:{block.line}")
    for page in PAGES
    for block in blocks_of(page)
    if "excerpt" in block.marks
]


@pytest.mark.parametrize("block", EXCERPTS)
def test_an_excerpt_is_part_of_its_file(block: Block) -> None:
    text = (ROOT / block.marks["excerpt"]).read_text(encoding="utf-8")
    assert block.text.strip("\n")
    assert block.text in text, f"{block.marks['excerpt']} does not hold\n{block.text}"


COMPILED = [
    pytest.param(block, id=f"{name(page)}:{block.line}")
    for page in PAGES
    for block in blocks_of(page)
    if "compiles" in block.marks
]


@pytest.mark.parametrize("block", COMPILED)
def test_cpp_compiles(block: Block) -> None:
    compiler = shutil.which(os.environ.get("CXX", "c++"))
    if compiler is None:
        pytest.skip("no C++ compiler")
    include = f"-I{ROOT / block.marks['compiles']}"
    flags = ["-std=c++17", "-Wall", "-Werror", "-fsyntax-only", "-x", "c++", include, "-"]
    run = subprocess.run(
        [compiler, *flags],
        input=block.text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr


def test_there_are_pages_and_code() -> None:
    assert len(PAGES) > 10
    assert sum(block.language == "python" for page in PAGES for block in blocks_of(page)) > 30
    assert len(EXCERPTS) > 10


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files(page: Path) -> None:
    text = re.sub(
        r"^(`{3,}).*?^\1$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    targets = re.findall(r"\]\(([^)]+)\)", text) + re.findall(r"(?m)^\[[^]]+\]: (.+)$", text)
    for target in filter(None, (target.partition("#")[0] for target in targets)):
        inside = target.startswith(REPOSITORY)
        if ":" in target and not inside:
            continue  # somebody else's page
        # PyPI shows the README without the files beside it.
        assert inside or page.name != "README.md", f"README.md: {target}; expected {REPOSITORY}..."
        file = ROOT / target.removeprefix(REPOSITORY) if inside else page.parent / target
        assert file.exists(), f"{name(page)}: {target}"


@pytest.fixture(scope="module")
def hook() -> dict[str, Any]:
    """What mkdocs calls to list the potentials."""
    return runpy.run_path(str(ROOT / "tools" / "site_potentials.py"))


def test_every_page_is_in_the_navigation(hook: dict[str, Any]) -> None:
    listed = re.findall(r":\s*(\S+\.md)\s*$", (ROOT / "mkdocs.yml").read_text(), flags=re.MULTILINE)
    assert not [page for page in listed if page.startswith("potentials/")]
    nav = hook["on_config"]({"nav": [{"Start": "index.md"}, {"Potentials": []}]})["nav"]
    assert nav[0] == {"Start": "index.md"}
    of_potentials = [page for item in nav[1]["Potentials"] for page in item.values()]
    assert "potentials/eam.md" in of_potentials
    pages = sorted(name(page).removeprefix("docs/") for page in PAGES[1:])
    assert sorted([*listed, *of_potentials]) == pages


def test_tables_of_potentials_are_those_of_the_registry(hook: dict[str, Any]) -> None:
    """No line of them is out of date; a new potential's line may be missing where the site's hook has not run."""
    seen = set()
    for page in PAGES:
        for match in hook["MARKED"].finditer(page.read_text(encoding="utf-8")):
            lines = [line for line in match[0].splitlines()[1:-1] if line]
            made = hook["TABLES"][match[2]]()
            assert len(lines) > 3
            assert set(lines) <= set(made), name(page)
            assert [line for line in made if line in lines] == lines
            seen.add(match[2])
    assert seen == set(hook["TABLES"])


@pytest.fixture(scope="module")
def scores() -> dict[str, Any]:
    """What mkdocs calls to list the machines."""
    return runpy.run_path(str(ROOT / "tools" / "site_scores.py"))


def test_the_table_of_machines_is_that_of_the_results(scores: dict[str, Any]) -> None:
    text = scores["PAGE"].read_text(encoding="utf-8")
    assert len(scores["MARKED"].findall(text)) == 1
    assert scores["with_table"](text) == text, "run python tools/site_scores.py"
    assert scores["on_page_markdown"](text) == text
    # Pages without the marks stay as they are.
    assert scores["on_page_markdown"]("# Other\n") == "# Other\n"


def machine(compute: float, **changes: Any) -> dict[str, Any]:
    """A result as `mdkern bench --score --json` prints it, as far as the table reads it."""
    of = {"threads": 1, "peak": 59e9, "bandwidth": 28.3e9, "compute": compute, "memory": 0.25}
    return {
        "schema": 1,
        "score": 1,
        "comparable": True,
        "marks": [],
        "date": "2026-11-30",
        "machine": {"cpu": "A | B", "isa": "avx2"},
        "software": {"version": "0.1.0", "compiler": "gcc 12.2.0"},
        "scores": [of, {**of, "threads": 4, "peak": 236e9}],
        **changes,
    }


def test_machines_are_listed_by_their_score(scores: dict[str, Any], tmp_path: Path) -> None:
    assert scores["table"](tmp_path) == ["No machine yet."]
    named = {"cpu": "generic", "name": "Laptop", "isa": "neon"}
    for k, found in enumerate((machine(0.4), machine(0.5, machine=named))):
        (tmp_path / f"{k}.json").write_text(json.dumps(found))
    *_, first, second = scores["table"](tmp_path)
    assert first.startswith("| Laptop, neon | 1 | 1, 4 | 59, 236 | 50.0 %, 50.0 % | 28.3, 28.3 |")
    assert first.endswith("| 25.0 %, 25.0 % | 0.1.0, gcc 12.2.0, 2026-11-30 |")
    assert second.startswith("| A / B, avx2 | 1 | 1, 4 | 59, 236 | 40.0 %, 40.0 % |")
    assert first.count("|") == second.count("|") == scores["HEADER"][1].count("|")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "expected the output of mdkern bench --score --json"),
        ("[]", "schema None; expected 1"),
        (json.dumps(machine(0.4, schema=2)), "schema 2; expected 1"),
        (
            json.dumps(machine(0.4, comparable=False, marks=[{"name": "loaded", "text": "busy"}])),
            "not for the table: loaded: busy",
        ),
    ],
)
def test_a_result_that_is_not_for_the_table(
    text: str, reason: str, scores: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(ValueError, match=rf"m\.json: .*{re.escape(reason)}"):
        scores["table"](tmp_path)


def test_commands_of_the_readme() -> None:
    """The two lines that a newcomer copies."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for line in (
        "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/mdkern demo",
        "python3 -m venv .venv-test && .venv-test/bin/pip install '.[test]' && .venv-test/bin/python -m pytest",
    ):
        assert f"\n{line}\n" in text
