"""Folders of n2p2 and RuNNer: ``input.nn``, ``scaling.data`` and ``weights.*.data`` of networks of the second generation.

A folder is one model; a folder of folders ``nnp-*``, as CP2K's committees have them, is several, which may share ``input.nn`` and
``scaling.data`` of the folder above. Nothing is trusted: counts are
checked against what ``input.nn`` says before networks are made, and what is not evaluated is refused by name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mdkern.errors import FormatError
from mdkern.io.files import FileModel
from mdkern.io.input_nn import (
    atom_energies_of,
    elements_of,
    functions_of,
    read_settings,
    refuse_others,
    scaling_mode_of,
    topologies_of,
)
from mdkern.io.network_data import Network, Scaling, read_scaling, read_weights
from mdkern.io.symmetry_functions import SymmetryFunction, cutoff_of
from mdkern.io.text import read_head

__all__ = [
    "BehlerParrinelloModel",
    "Member",
    "is_behler_parrinello",
    "read_behler_parrinello",
]

Array = NDArray[np.float64]

_KEYS = re.compile(
    rb"^[ \t]*(number_of_elements|symfunction_short|nnp_type|global_nodes_short|global_symfunction_short)\b",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Member:
    """One folder. Everything by element, in the order of atomic numbers; lengths and energies in the folder's units.

    Attributes
    ----------
    path : str
        The folder.
    cutoff_type, alpha : int, float
        Shape of the cutoff function and the fraction of the radius where it begins.
    functions : tuple of tuple of SymmetryFunction
        In the order of the network's inputs.
    scaling : tuple of Scaling
    networks : tuple of Network
        ``normalize_nodes`` is folded into their numbers.
    scaling_mode : str
        "scale", "center", "scale and center", "sigma" or "none".
    mean_energy, conv_energy : float
        E = sum / conv_energy + mean_energy for each atom.
    atom_energies : (n_elements,) array
    """

    path: str
    cutoff_type: int
    alpha: float
    functions: tuple[tuple[SymmetryFunction, ...], ...]
    scaling: tuple[Scaling, ...]
    networks: tuple[Network, ...]
    scaling_mode: str
    mean_energy: float
    conv_energy: float
    atom_energies: Array

    @property
    def cutoff(self) -> float:
        """Largest radius of a function, in the folder's unit."""
        return max(f.rc for of_element in self.functions for f in of_element)


@dataclass(frozen=True, slots=True)
class BehlerParrinelloModel(FileModel):
    """What the folders of a model hold; several are a committee, whose mean is the energy."""

    path: str
    species: tuple[str, ...]
    members: tuple[Member, ...]

    @property
    def cutoff(self) -> float:
        """Largest radius of a function, in the folder's unit."""
        return max(member.cutoff for member in self.members)


def is_behler_parrinello(path: str | os.PathLike[str]) -> bool:
    """Whether it is a folder with an ``input.nn``, one of folders ``nnp-*`` with such, or an ``input.nn``."""
    path = Path(path)
    if path.is_dir():
        return (path / "input.nn").is_file() or bool(_members(path))
    head = read_head(path)
    return b"\0" not in head and _KEYS.search(head) is not None


def read_behler_parrinello(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
) -> BehlerParrinelloModel:
    """Read a folder, its ``input.nn``, a folder of folders ``nnp-*``, or several of these.

    Raises
    ------
    FormatError
        A file does not follow the format, or members of a committee are of different elements.
    UnsupportedError
        A model with something that is not evaluated; names it.
    OSError
        A file cannot be read.
    """
    given = [path] if isinstance(path, (str, os.PathLike)) else list(path)
    if not given:
        raise ValueError("path: an empty list; expected at least one folder")
    inputs = [member for p in given for member in _inputs(Path(p))]
    read = [_read_member(*member) for member in inputs]
    species = read[0][0]
    for k, (elements, _) in enumerate(read):
        if elements != species:
            raise FormatError(
                f"elements {' '.join(elements)}; expected {' '.join(species)} as in {inputs[0][0]}",
                inputs[k][0],
            )
    return BehlerParrinelloModel(
        path=", ".join(os.fspath(p) for p in given),
        species=species,
        members=tuple(member for _, member in read),
    )


def _members(folder: Path) -> list[Path]:
    """Folders ``nnp-*`` with weights, in the order of their numbers."""
    found = [p for p in folder.glob("nnp-*") if p.is_dir() and any(p.glob("weights.*.data"))]

    def place(p: Path) -> tuple[int, str]:
        number = re.fullmatch(r"nnp-(\d{1,9})", p.name)
        return (int(number[1]) if number else 10**9, p.name)

    return sorted(found, key=place)


def _inputs(path: Path) -> list[tuple[Path, Path]]:
    """Of each member its ``input.nn``, which may be that of the folder above, and its folder."""
    if not path.is_dir():
        return [(path, path.parent)]
    own, members = path / "input.nn", _members(path)
    if own.is_file() and (not members or any(path.glob("weights.*.data"))):
        return [(own, path)]
    if not members:
        raise FormatError("neither input.nn nor folders nnp-* with weights", path)
    return [(p / "input.nn" if (p / "input.nn").is_file() else own, p) for p in members]


def _read_member(path: Path, folder: Path) -> tuple[tuple[str, ...], Member]:
    from ase.data import atomic_numbers

    settings = read_settings(path)
    refuse_others(settings)
    species = elements_of(settings)
    functions = functions_of(settings, species)
    line, words = settings.required("cutoff_type")
    cutoff_type, alpha = cutoff_of(settings.path, line, words)
    mode = scaling_mode_of(settings)
    low, high = settings.number("scale_min_short", 0.0), settings.number("scale_max_short", 1.0)
    normalised = [settings.one(k) is not None for k in ("mean_energy", "conv_energy", "conv_length")]  # fmt: skip
    if any(normalised) and not all(normalised):
        raise settings.error("mean_energy, conv_energy, conv_length: expected all of them or none")
    conv_energy = settings.number("conv_energy", 1.0)
    if conv_energy <= 0.0 or settings.number("conv_length", 1.0) <= 0.0:
        raise settings.error("conv_energy, conv_length: expected positive numbers")
    topologies = topologies_of(settings, species)
    ranges = folder / "scaling.data"
    if not ranges.exists() and path.parent != folder:
        ranges = path.parent / "scaling.data"
    sizes = [len(f) for f in functions]
    scaling = read_scaling(ranges, sizes, mode, low, high)
    per_node = settings.one("normalize_nodes") is not None
    networks = tuple(
        read_weights(folder / f"weights.{atomic_numbers[symbol]:03d}.data", n, choices, per_node)
        for symbol, n, choices in zip(species, sizes, topologies, strict=True)
    )
    return species, Member(
        path=os.fspath(folder),
        cutoff_type=cutoff_type,
        alpha=alpha,
        functions=functions,
        scaling=scaling,
        networks=networks,
        scaling_mode=mode,
        mean_energy=settings.number("mean_energy", 0.0),
        conv_energy=conv_energy,
        atom_energies=atom_energies_of(settings, species),
    )
