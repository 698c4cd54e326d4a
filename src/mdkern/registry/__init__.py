"""One entry for each potential, from which everything that lists potentials follows.

Calculators, :func:`mdkern.load`, ASE's plug-ins, the command line, benchmarks and the tables of the docs read it: a potential is
added without a line in any of them. Entries are found in two places:

* modules of this folder, each with an ``ENTRY``;
* entry points of other installed packages in the group ``mdkern.potentials``, each an :class:`Entry`.

ASE loads this package for everybody who uses ASE, so it imports nothing of mdkern: what an entry refers to is named as
``"module:object"`` and imported by :func:`resolve` where it is needed.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import pkgutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

__all__ = [
    "GROUP",
    "NUMBER",
    "SWITCH",
    "WORD",
    "Description",
    "Entry",
    "Files",
    "Form",
    "entries",
    "entries_with_files",
    "file_formats",
    "forms",
    "papers",
    "recognised",
    "resolve",
]

GROUP = "mdkern.potentials"
"""Group of entry points in which other packages name their entries."""

NUMBER = "a number"
"""Kind of a parameter that is a number."""
WORD = "a word"
"""Kind of a parameter that is a word."""
SWITCH = "true or false"
"""Kind of a parameter that is true or false."""
"""Kinds of parameters on the command line, as messages have them."""


@dataclass(frozen=True, kw_only=True)
class Files:
    """Files that hold models of a potential. The potential's class and its calculator take the path as their first argument.

    Attributes
    ----------
    formats : str
        For messages and tables: "NEP (nep.txt)". Entries that share a format have the same text.
    recognise : str
        Function of a path that says by the content of the file whether it is one.
    rank : int
        Entries are asked in this order. A mark that no other format can have, such as a magic number, goes first; a
        structure of numbers, which may be met by chance, last.
    names : tuple of str
        Parts of file names that belong to this format alone: of a file that nobody recognises, its reader says what is wrong.
    describe : str
        Function of a path that returns a :class:`Description`, for ``mdkern info``. Without one the command shows what every
        potential has.
    folder : tuple of str
        Where a model may be a folder: patterns of the names of its files, as :meth:`pathlib.Path.glob` takes them. `recognise` is then
        asked about folders, too.
    """

    formats: str
    recognise: str
    rank: int = 50
    names: tuple[str, ...] = ()
    describe: str = ""
    folder: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Form:
    """A potential on the command line without a file: ``--potential NAME:A=1,B=2``.

    Attributes
    ----------
    name : str
    parameters : dict
        Kind (`NUMBER`, `WORD` or `SWITCH`) of each parameter.
    example : str
        The text that the help shows: ``"lj:epsilon=0.0103,sigma=3.405,rc=8.5"``.
    help : tuple of str
        Lines of the help, beside the example.
    make : str
        Function of the elements of the structure (sorted), ``skin`` and the parameters that returns the calculator; by
        default the calculator itself is called, without the elements.
    """

    name: str
    parameters: Mapping[str, str]
    example: str
    help: tuple[str, ...]
    make: str = ""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A potential.

    Attributes
    ----------
    name : str
        As files and folders have it: "buckingham".
    title : str
        As people have it: "Buckingham".
    calculator : str
        Name of the class in :mod:`mdkern.calculators`, which is made from this entry.
    potential : str
        The potential's class, which :mod:`mdkern.potentials` has too.
    ase_name : str
        ``Calculator.name``, also the name of ASE's plug-in.
    base : str
        Subclass of :class:`mdkern.calculators.Calculator` with what this calculator has more.
    papers : dict
        What a result rests on, by topic: ``mdkern info --cite``.
    citation : str
        For ASE's plug-in; by default the first of the papers.
    words : tuple of str
        What :func:`mdkern.load` takes in place of a file.
    files : Files or None
    form : Form or None
    benchmarks : str
        Dictionary of :class:`mdkern.bench.case.Kernel` by name.
    reference : tuple of str
        Definitions in NumPy, which :mod:`mdkern.reference` has too.
    page : str
        Of the docs: "potentials/buckingham.md".
    order : int
        Of tables and lists; entries with equal numbers by name.
    """

    name: str
    title: str
    calculator: str
    potential: str
    ase_name: str
    base: str = "mdkern.calculators.base:Calculator"
    papers: Mapping[str, str] = field(default_factory=dict)
    citation: str = ""
    words: tuple[str, ...] = ()
    files: Files | None = None
    form: Form | None = None
    benchmarks: str = ""
    reference: tuple[str, ...] = ()
    page: str = ""
    order: int = 1000

    def __post_init__(self) -> None:
        if not self.citation:
            object.__setattr__(self, "citation", next(iter(self.papers.values()), ""))


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a file holds.

    Attributes
    ----------
    facts : dict
        For programs. Path, size and checksum are added to them.
    fields : dict of str
        The same for people.
    topics : tuple of str
        Which of the entry's papers the model rests on.
    comment : list of str
        What the file says about itself: free text, not trusted.
    """

    facts: Mapping[str, Any]
    fields: Mapping[str, str]
    topics: tuple[str, ...]
    comment: list[str] = field(default_factory=list)


@cache
def entries() -> tuple[Entry, ...]:
    """Of all potentials that are installed, in the order of tables. An entry of another package that is no good is left out."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    found = {name: importlib.import_module(f"{__name__}.{name}").ENTRY for name in names}
    taken = {x for entry in found.values() for x in _names(entry)}
    for point in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda p: p.value):
        entry = _of_package(point)
        if entry is None:
            continue
        clash = taken & _names(entry)
        if clash:
            _warn(point, f"{min(clash)!r} is the name of another potential")
            continue
        found[entry.name] = entry
        taken |= _names(entry)
    return tuple(sorted(found.values(), key=lambda entry: (entry.order, entry.name)))


def _names(entry: Entry) -> set[str]:
    """Names by which users reach a potential: no two may have the same."""
    form = () if entry.form is None else (entry.form.name,)
    return {entry.name, entry.calculator, entry.ase_name, *form, *entry.words}


def _of_package(point: importlib.metadata.EntryPoint) -> Entry | None:
    try:
        entry = point.load()
    except Exception as e:  # noqa: BLE001 - whatever the other package does; mdkern goes on without it
        _warn(point, f"{type(e).__name__}: {e}")
        return None
    if not isinstance(entry, Entry):
        _warn(point, f"{type(entry).__name__}; expected mdkern.registry.Entry")
        return None
    return entry


def _warn(point: importlib.metadata.EntryPoint, what: str) -> None:
    from mdkern.errors import MDKernWarning

    warnings.warn(
        f"entry point {point.name} = {point.value} of {GROUP}: {what}; this potential is left out",
        MDKernWarning,
        stacklevel=2,
    )


def resolve(name: str) -> Any:
    """The object that ``"module:object"`` names."""
    return pkgutil.resolve_name(name)


def entries_with_files() -> list[tuple[Entry, Files]]:
    """In the order in which they are asked whether a file is theirs."""
    found = [(entry, entry.files) for entry in entries() if entry.files is not None]
    return sorted(found, key=lambda x: x[1].rank)


def recognised(path: str | os.PathLike[str]) -> Entry | None:
    """The potential whose model a file or folder holds, told by its content; None: nobody's.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    is_folder = Path(path).is_dir()
    asked = (
        entry
        for entry, files in entries_with_files()
        if (files.folder or not is_folder) and resolve(files.recognise)(path)
    )
    return next(asked, None)


def file_formats() -> tuple[str, ...]:
    """Formats of potential files that are read."""
    return tuple(dict.fromkeys(e.files.formats for e in entries() if e.files is not None))


def forms() -> dict[str, tuple[Entry, Form]]:
    """Potentials of the command line by name: first those that need no parameters."""
    found = [(entry, entry.form) for entry in entries() if entry.form is not None]
    found.sort(key=lambda x: ":" in x[1].example)
    return {form.name: (entry, form) for entry, form in found}


def papers() -> dict[str, str]:
    """Of all potentials by topic."""
    return {topic: paper for entry in entries() for topic, paper in entry.papers.items()}
