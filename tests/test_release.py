"""What a release is made of: versions and Pythons are the same in all files, and the files say what they should."""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mdkern.cli.info import PAPERS

ROOT = Path(__file__).resolve().parent.parent
tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "pip._vendor.tomli")
yaml = pytest.importorskip("yaml")
GITHUB = ROOT / ".github"
if not GITHUB.is_dir():  # a source distribution
    pytest.skip("no .github beside the tests", allow_module_level=True)
FILES = [ROOT / "CITATION.cff", *sorted(GITHUB.rglob("*.yml"))]
# Built and tested by the workflows, and not yet by us: no classifier.
NEXT = "3.14"


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def workflow(name: str) -> Any:
    return read(GITHUB / "workflows" / f"{name}.yml")


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pythons(pyproject: dict[str, Any]) -> list[str]:
    """Of the classifiers."""
    return re.findall(r"Python :: (3\.\d+)", "\n".join(pyproject["project"]["classifiers"]))


def test_lowest_ase(pyproject: dict[str, Any]) -> None:
    (lowest,) = (d for d in pyproject["project"]["dependencies"] if d.startswith("ase"))
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    assert f"- ASE {lowest.partition('>=')[2]} or later" in page
    assert f"an older ASE than {lowest.partition('>=')[2]}" in page


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in read(path)["jobs"].values() for step in job["steps"]]


WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))


def test_one_version(pyproject: dict[str, Any]) -> None:
    version = pyproject["project"]["version"]
    citation = read(ROOT / "CITATION.cff")
    assert citation["version"] == version
    headings = re.findall(
        r"^## \[(.+?)\](?: - (\S+))?$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )
    assert headings[0] == ("Unreleased", "")
    dates = dict(headings[1:])
    assert version in dates
    assert max(dates, key=numbers) == version
    date = citation.get("date-released", "unreleased")
    assert str(date) == dates[version]


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def test_pythons_of_the_tests(pythons: list[str]) -> None:
    matrix = workflow("tests")["jobs"]["tests"]["strategy"]["matrix"]
    assert matrix["python"] == [*pythons, NEXT]
    assert NEXT not in pythons
    assert {row["python"] for row in matrix["include"]} <= set(pythons)


def test_pythons_of_the_wheels(pyproject: dict[str, Any], pythons: list[str]) -> None:
    wheels = pyproject["tool"]["cibuildwheel"]
    expected = [f"cp{p.replace('.', '')}-*" for p in [*pythons, NEXT]] + [
        f"cp{NEXT.replace('.', '')}t-*"
    ]
    assert wheels["build"] == expected
    for architecture in ("x86_64", "aarch64"):
        assert wheels["linux"][f"manylinux-{architecture}-image"] == "manylinux_2_28"
    for skipped in ("cp312-musllinux_x86_64", "cp312-win32"):
        assert any(fnmatch.fnmatch(skipped, pattern) for pattern in wheels["skip"])


def test_systems_of_the_wheels() -> None:
    systems = workflow("wheels")["jobs"]["wheels"]["strategy"]["matrix"]["os"]
    assert systems == ["ubuntu-24.04", "ubuntu-24.04-arm", "macos-15", "macos-15-intel"]


def test_windows_is_built_as_the_page_says_and_not_published(pyproject: dict[str, Any]) -> None:
    jobs = workflow("wheels")["jobs"]
    windows, publish = jobs["windows"], jobs["publish"]
    assert windows["continue-on-error"] is True
    assert "windows" not in publish["needs"]
    # The others' are published, by their names.
    pattern = publish["steps"][0]["with"]["pattern"]
    for job, published in (("sdist", True), ("wheels", True), ("windows", False)):
        (name,) = (s["with"]["name"] for s in jobs[job]["steps"] if "upload" in s.get("uses", ""))
        assert fnmatch.fnmatch(name, pattern) is published
    # By GCC, CMakeLists.txt would build scalar kernels alone.
    table = pyproject["tool"]["cibuildwheel"]["windows"]
    assert "clang64" in table["environment"]["CXX"]
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    assert "MSYS2's `clang64`" in page
    assert "experimental" in page


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_yaml(path: Path) -> None:
    assert isinstance(read(path), dict)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_rights_are_least_and_actions_pinned(path: Path) -> None:
    table = read(path)
    assert table["permissions"] == {"contents": "read"}
    more = {name: job["permissions"] for name, job in table["jobs"].items() if "permissions" in job}
    assert (
        more
        == {
            "tests.yml": {},
            "wheels.yml": {"publish": {"id-token": "write"}},
            "docs.yml": {"deploy": {"pages": "write", "id-token": "write"}},
        }[path.name]
    )
    for job in table["jobs"].values():
        assert job["timeout-minutes"] > 0
    for step in steps(path):
        if "uses" in step:
            assert re.fullmatch(r"[\w./-]+@(v\d[\d.]*|release/v\d+|[0-9a-f]{40})", step["uses"])
        # What others write must not become a part of a script.
        assert "${{" not in step.get("run", "")


def test_publishing_is_for_tags_and_after_the_tests_of_the_wheels(
    pyproject: dict[str, Any],
) -> None:
    publish = workflow("wheels")["jobs"]["publish"]
    assert "tag" in publish["if"]
    assert "push" in publish["if"]
    assert set(publish["needs"]) == {"sdist", "wheels"}
    upload = publish["steps"][-1]
    assert upload["with"] == {"attestations": True}  # no password: trusted publishing
    assert "demo --quick" in pyproject["tool"]["cibuildwheel"]["test-command"]


def test_issue_forms() -> None:
    forms = sorted(GITHUB.glob("ISSUE_TEMPLATE/*.yml"))
    assert {form.stem for form in forms} == {"bug", "wrong_number", "feature", "speed", "config"}
    for form in forms:
        if form.stem in ("bug", "wrong_number", "speed"):
            labels = [field["attributes"]["label"] for field in read(form)["body"]]
            assert any("mdkern doctor --json" in label for label in labels), form


def test_citation(pyproject: dict[str, Any]) -> None:
    """The references are those that `mdkern info FILE --cite` prints for every file."""
    citation = read(ROOT / "CITATION.cff")
    assert citation["authors"] == pyproject["project"]["authors"]
    assert citation["repository-code"] == pyproject["project"]["urls"]["Source"]
    assert " AND ".join(citation["license"]) == pyproject["project"]["license"]
    references = []
    for paper in citation["references"]:
        people = [
            f"{a['given-names']} {a['family-names']}" for a in paper["authors"] if "name" not in a
        ]
        names = " and ".join(people) + (" et al." if "name" in paper["authors"][-1] else "")
        journal = f"{paper['journal']} {paper['volume']}, {paper['start']} ({paper['year']})"
        references.append(f"{names}, {journal}")
    printed = [p for topic in ("ASE", "NumPy", "neighbor lists") for p in PAPERS[topic].split("; ")]
    assert references == printed


def test_security() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "docs/untrusted-files.md" in text
    assert "/security/advisories/new" in text


def test_a_wheel_that_needs_a_younger_glibc_is_found(tmp_path: Path) -> None:
    """By tools/check_wheel.py; preadv2 exists since glibc 2.26, gettid since 2.30."""
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import check_wheel
    finally:
        sys.path.remove(str(ROOT / "tools"))
    exec(check_wheel.example(), {})  # noqa: S102 - as beside the wheel: it needs no file
    library = tmp_path / "libyoung.so"
    source = "long preadv2(void); long gettid(void); long f(void) { return preadv2() + %s(); }"
    try:
        for name in ("preadv2", "gettid"):
            subprocess.run(
                ["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library)],
                input=source % name, text=True, check=True, capture_output=True,
            )  # fmt: skip
            if name == "preadv2":
                check_wheel.check_glibc(library)
        has = {name for _, name in check_wheel.symbols(library, undefined=True)}
    except FileNotFoundError as e:
        pytest.skip(f"needs gcc and binutils: {e}")
    if "gettid" not in has:
        pytest.skip("not a glibc with gettid")
    with pytest.raises(SystemExit, match="gettid"):
        check_wheel.check_glibc(library)
