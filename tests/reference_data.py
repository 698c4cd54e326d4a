"""Reference numbers for the tests: our own in tests/data, larger sets outside the repository.

Both folders hold ``cases.json``, ``NAME.extxyz`` and ``NAME.npz`` in one layout; a potential that came later may have its list
in a ``cases_POTENTIAL.json`` of its own. The outside one
is ``$MDKERN_TEST_DATA/potentials/cases``; without that variable `shared_cases` yields nothing, and
pytest skips what is parametrised with it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read

OWN = Path(__file__).resolve().parent / "data" / "classical"
Case = tuple[str, dict[str, Any], str, Atoms, dict[str, Any]]


def shared_folder(*parts: str) -> Path | None:
    """Folder of the outside data (or one below it), None without MDKERN_TEST_DATA."""
    root = os.environ.get("MDKERN_TEST_DATA")
    return Path(root, *parts) if root else None


def own_cases(prefix: str) -> Iterator[Case]:
    """(name, kwargs, frame tag, atoms, reference) of the repository's own references.

    kwargs are the constructor arguments with complete file paths. reference has ``energy``,
    ``forces``, ``energies``, ``virial`` (6, eV: stress times volume, in ASE's sign and order) and,
    with some periodic direction, ``stress``; the SNAP sets also have descriptors.
    """
    yield from _cases(OWN, OWN, prefix)


def shared_cases(prefix: str) -> Iterator[Case]:
    """The same from $MDKERN_TEST_DATA/potentials."""
    folder = shared_folder("potentials")
    if folder is not None:
        yield from _cases(folder / "cases", folder, prefix)


def all_cases(prefix: str) -> list[Case]:
    """Own and shared cases together."""
    return [*own_cases(prefix), *shared_cases(prefix)]


def case_id(value: object) -> str | None:
    """Readable test ids: ``pytest.mark.parametrize(..., ids=case_id)``."""
    return value if isinstance(value, str) else ""


@cache
def _case_list(folder: Path) -> list[dict[str, Any]]:
    lists = [folder / "cases.json", *sorted(folder.glob("cases_*.json"))]
    return [case for path in lists for case in json.loads(path.read_text())]


def _cases(folder: Path, files: Path, prefix: str) -> Iterator[Case]:
    for case in _case_list(folder):
        name = case["name"]
        if not name.startswith(prefix):
            continue
        kwargs = {key: _complete(key, value, files) for key, value in case["kwargs"].items()}
        with np.load(folder / f"{name}.npz", allow_pickle=False) as stored:
            arrays = dict(stored)
        for k, atoms in enumerate(read(folder / f"{name}.extxyz", ":", format="extxyz")):
            start = f"{k}_"
            reference: dict[str, Any] = {
                key.removeprefix(start): value
                for key, value in arrays.items()
                if key.startswith(start)
            }
            yield name, kwargs, str(atoms.info["tag"]), atoms, reference


def _complete(key: str, value: Any, folder: Path) -> Any:
    """Stored file names are relative to the data folder."""
    if not key.endswith("path"):
        return value
    if isinstance(value, dict):
        return {symbol: str(folder / name) for symbol, name in value.items()}
    return str(folder / value)
