"""Print the lowest versions that pyproject.toml declares, as a constraints file for pip.

    python tools/lowest_versions.py > lowest.txt
    PIP_CONSTRAINT=lowest.txt PIP_BUILD_CONSTRAINT=lowest.txt pip install '.[test]'

For the build, the package and what the tests need; a requirement without a lower bound is an error.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

try:
    import tomllib
except ImportError:  # Python 3.10
    from pip._vendor import tomli as tomllib

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)>=(?P<version>[\w.]+)\s*(?P<marker>;.*)?")


def lowest(requirement: str) -> str:
    """``name>=1.2; marker`` as ``name==1.2; marker``."""
    match = REQUIREMENT.fullmatch(requirement)
    if match is None:
        sys.exit(f"{PYPROJECT}: {requirement!r}; expected NAME>=VERSION, with a marker or without")
    return f"{match['name']}=={match['version']}{match['marker'] or ''}"


def main() -> None:
    table = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
    project = table["project"]
    requirements = [*table["build-system"]["requires"], *project["dependencies"]]
    for extra in ("cli", "plot", "h5md", "deepmd", "dask", "symmetry", "test"):
        requirements += project["optional-dependencies"][extra]
    for requirement in dict.fromkeys(requirements):
        if not requirement.startswith("mdkern["):  # the other extras
            print(lowest(requirement))


if __name__ == "__main__":
    main()
