"""Folders of n2p2 and RuNNer: ``input.nn``, ``scaling.data`` and ``weights.*.data`` of networks of the second generation.

A folder is one model; a folder of folders ``nnp-*``, as CP2K's committees have them, is several. Nothing is trusted: counts are
checked against what ``input.nn`` says before networks are made, and what is not evaluated is refused by name.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.files import FileModel
from mdkern.io.network_data import Network, Scaling, read_scaling, read_weights
from mdkern.io.symmetry_functions import SymmetryFunction, cutoff_of, parse_function
from mdkern.io.text import read_head, read_text, show

__all__ = [
    "BehlerParrinelloModel",
    "Member",
    "is_behler_parrinello",
    "read_behler_parrinello",
]

Array = NDArray[np.float64]

MOST_BYTES = 2**24  # of an input.nn
MOST_LAYERS, MOST_NODES, MOST_FUNCTIONS = (
    15,
    4096,
    4096,
)  # hidden layers, nodes of one; functions of an element
ACTIVATIONS = "ltsprgcSeh"
"""Letters of ``global_activation_short``: linear, tanh, sigmoid, softplus, ReLU, Gaussian, cosine, 1 - sigmoid, exponential, square."""

# Keywords that change what is predicted, and that are not evaluated.
_REFUSED = {
    "global_symfunction_short": "symmetry functions of all elements in one line",
    "element_symfunction_short": "symmetry functions of an element in one line",
    "cutoff_alpha": "an inner cutoff in a line of its own; expected it as the second argument of cutoff_type",
    "use_electrostatics": "charges",
    "use_electrostatic_nn": "charges",
    "electrostatic_type": "charges",
    "symfunction_electrostatic": "charges",
    "use_vdw": "van der Waals terms",
    "use_damping": "damping",
    "use_ensemble": "ensembles in one file",
}
_KEYS = re.compile(
    rb"^[ \t]*(number_of_elements|symfunction_short|nnp_type|global_nodes_short|global_symfunction_short)\b",
    re.MULTILINE,
)
_GENERATIONS = ("2g", "2g-hdnnp", "hdnnp_2g", "hdnnp-2g", "2")


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
    folders = [folder for p in given for folder in _folders(Path(p))]
    read = [_read_member(folder) for folder in folders]
    species = read[0][0]
    for k, (elements, _) in enumerate(read):
        if elements != species:
            raise FormatError(
                f"elements {' '.join(elements)}; expected {' '.join(species)} as in {folders[0]}",
                folders[k] / "input.nn",
            )
    return BehlerParrinelloModel(
        path=", ".join(os.fspath(p) for p in given),
        species=species,
        members=tuple(member for _, member in read),
    )


def _members(folder: Path) -> list[Path]:
    found = [p for p in folder.glob("nnp-*") if (p / "input.nn").is_file()]

    def place(p: Path) -> tuple[int, str]:
        number = re.fullmatch(r"nnp-(\d{1,9})", p.name)
        return (int(number[1]) if number else 10**9, p.name)

    return sorted(found, key=place)


def _folders(path: Path) -> list[Path]:
    if not path.is_dir():
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such folder, expected one with an input.nn")
        if path.name != "input.nn":
            raise FormatError("expected a folder, or the file input.nn in it", path)
        return [path.parent]
    if (path / "input.nn").is_file():
        return [path]
    found = _members(path)
    if not found:
        raise FormatError("neither input.nn nor folders nnp-* with one in it", path)
    return found


# --- input.nn --------------------------------------------------------------------------------------


@dataclass(slots=True)
class Settings:
    """Lines of ``input.nn`` by keyword: numbers of lines and arguments."""

    path: Path
    lines: dict[str, list[tuple[int, list[str]]]] = field(default_factory=dict)

    def error(self, message: str, line: int | None = None) -> FormatError:
        return FormatError(message, self.path, line)

    def all(self, key: str) -> list[tuple[int, list[str]]]:
        return self.lines.get(key, [])

    def one(self, key: str) -> tuple[int, list[str]] | None:
        """The only line of a keyword; given twice it must say the same."""
        found = self.all(key)
        for line, words in found[1:]:
            if words != found[0][1]:
                raise self.error(f"{key}: given in line {found[0][0]} with other values", line)
        return found[0] if found else None

    def required(self, key: str) -> tuple[int, list[str]]:
        found = self.one(key)
        if found is None:
            raise self.error(f"no line {key}")
        return found

    def number(self, key: str, default: float) -> float:
        found = self.one(key)
        if found is None:
            return default
        line, words = found
        if not words:
            raise self.error(f"{key}: no value; expected a number", line)
        return number(self, line, words[0], key)

    def count(self, line: int, word: str, what: str, least: int, most: int) -> int:
        if not re.fullmatch(r"\d{1,9}", word) or not least <= int(word) <= most:
            raise self.error(
                f"{what}: {show(word.encode())}; expected a number from {least} to {most}", line
            )
        return int(word)


def number(settings: Settings, line: int, word: str, what: str) -> float:
    """A finite number of a line."""
    try:
        value = float(word.replace("d", "e").replace("D", "e"))
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in word:
        raise settings.error(f"{what}: {show(word.encode())}; expected a number", line)
    return value


def _settings(path: Path) -> Settings:
    settings = Settings(path)
    text = read_text(path, MOST_BYTES).decode("utf-8", "backslashreplace")
    for k, line in enumerate(text.split("\n"), 1):
        words = re.split(r"[#!]", line, maxsplit=1)[0].split()
        if words:
            settings.lines.setdefault(words[0], []).append((k, words[1:]))
    if not settings.lines:
        raise FormatError("no keywords in it; expected those of n2p2", path)
    return settings


def _refuse(settings: Settings) -> None:
    for key, what in _REFUSED.items():
        for line, _ in settings.all(key)[:1]:
            raise UnsupportedError(f"{settings.path}:{line}: {key}: {what}; not evaluated")
    for key, known in (
        ("nnp_type", _GENERATIONS),
        ("nnp_gen", _GENERATIONS),
        ("nn_type", ("1",)),
        ("nn_type_short", ("1",)),
    ):
        found = settings.one(key)
        if found and (not found[1] or found[1][0].lower() not in known):
            value = show(" ".join(found[1]).encode())
            raise UnsupportedError(
                f"{settings.path}:{found[0]}: {key}: {value}; only networks of the second generation"
                f" ({known[0].upper()}) are evaluated"
            )


def _elements(settings: Settings) -> tuple[str, ...]:
    """In the order of atomic numbers, which is n2p2's whatever the line says."""
    from ase.data import atomic_numbers

    line, words = settings.required("number_of_elements")
    n = settings.count(line, words[0] if words else "", "number_of_elements", 1, 118)
    line, words = settings.required("elements")
    if len(words) != n:
        raise settings.error(f"elements: {len(words)} of them; expected {n}", line)
    for word in words:
        if not 1 <= atomic_numbers.get(word, 0) <= 118:
            raise settings.error(
                f"elements: {show(word.encode())}; expected chemical symbols", line
            )
    if len(set(words)) != n:
        raise settings.error(f"elements: {' '.join(words)}; expected different ones", line)
    return tuple(sorted(words, key=atomic_numbers.__getitem__))


def _element(settings: Settings, line: int, words: list[str], species: tuple[str, ...]) -> int:
    word = words[0] if words else ""
    if word not in species:
        raise settings.error(
            f"element {show(word.encode())}; expected one of {' '.join(species)}", line
        )
    return species.index(word)


def _functions(
    settings: Settings, species: tuple[str, ...]
) -> tuple[tuple[SymmetryFunction, ...], ...]:
    found: list[list[SymmetryFunction]] = [[] for _ in species]
    for line, words in settings.all("symfunction_short"):
        centre = _element(settings, line, words, species)
        found[centre].append(parse_function(settings.path, line, words[1:], species))
        if len(found[centre]) > MOST_FUNCTIONS:
            raise UnsupportedError(
                f"{settings.path}:{line}: more than {MOST_FUNCTIONS} functions of {species[centre]}"
            )
    for symbol, of_element in zip(species, found, strict=True):
        if not of_element:
            raise settings.error(f"no symfunction_short of {symbol}")
    return tuple(tuple(sorted(f, key=lambda x: x.key)) for f in found)


def _topologies(
    settings: Settings, species: tuple[str, ...]
) -> list[list[tuple[tuple[int, ...], str]]]:
    """For each element the numbers of hidden nodes and letters that it may have: the first of n2p2, the second of RuNNer.

    ``element_nodes_short EL N1 N2 ...`` of n2p2 and ``element_nodes_short EL LAYER N`` of RuNNer look alike with two
    hidden layers; the number of weights tells which it is.
    """
    line, words = settings.required("global_hidden_layers_short")
    depth = settings.count(line, words[0] if words else "", "global_hidden_layers_short", 0, MOST_LAYERS)  # fmt: skip
    depths = [depth] * len(species)
    for line, words in settings.all("element_hidden_layers_short"):
        e = _element(settings, line, words, species)
        depths[e] = settings.count(
            line, words[1] if len(words) > 1 else "", "element_hidden_layers_short", 0, MOST_LAYERS
        )
    found = settings.one("global_nodes_short")
    if found is None and depth > 0:
        raise settings.error("no line global_nodes_short")
    line, words = found or (0, [])
    nodes = tuple(settings.count(line, w, "global_nodes_short", 1, MOST_NODES) for w in words)
    activation_line, letters = settings.required("global_activation_short")
    out = []
    for e, symbol in enumerate(species):
        listed, layered = _nodes(settings, e, species, nodes, depths[e])
        if len(listed) != depths[e] and len(layered) != depths[e]:
            raise settings.error(
                f"{symbol}: nodes of {len(listed)} hidden layers; expected {depths[e]}", line
            )
        activations = _activations(settings, e, species, letters)
        for letter in activations:
            if len(letter) != 1 or letter not in ACTIVATIONS:
                raise UnsupportedError(
                    f"{settings.path}:{activation_line}: activation {show(letter.encode())}; expected letters of {ACTIVATIONS}"
                )
        if len(activations) != depths[e] + 1:
            raise settings.error(
                f"{symbol}: {len(activations)} activations; expected {depths[e] + 1}, one for each"
                " hidden layer and one for the output",
                activation_line,
            )
        choices = [x for x in dict.fromkeys((listed, layered)) if len(x) == depths[e]]
        out.append([(x, "".join(activations)) for x in choices])
    return out


def _nodes(
    settings: Settings, e: int, species: tuple[str, ...], nodes: tuple[int, ...], depth: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    listed, layered = nodes, list(nodes) if len(nodes) == depth else [0] * depth
    for line, words in settings.all("element_nodes_short"):
        if _element(settings, line, words, species) != e:
            continue
        numbers = tuple(
            settings.count(line, w, "element_nodes_short", 1, MOST_NODES) for w in words[1:]
        )
        if len(numbers) not in (depth, 2):
            raise settings.error(
                f"element_nodes_short: {len(numbers)} numbers; expected {depth}, or a layer and its nodes",
                line,
            )
        listed = numbers
        if len(numbers) == 2 and numbers[0] <= depth:
            layered[numbers[0] - 1] = numbers[1]
    return listed, listed if 0 in layered else tuple(layered)


def _activations(
    settings: Settings, e: int, species: tuple[str, ...], letters: list[str]
) -> list[str]:
    for line, words in settings.all("element_activation_short"):
        if _element(settings, line, words, species) != e:
            continue
        if any(word.isdigit() for word in words[1:]):
            raise UnsupportedError(
                f"{settings.path}:{line}: element_activation_short: activations of single nodes, as"
                " RuNNer has them; expected one letter for each layer"
            )
        letters = words[1:]
    return letters


def _scaling_mode(settings: Settings) -> str:
    scale, center, sigma = (
        settings.one(key) is not None
        for key in (
            "scale_symmetry_functions",
            "center_symmetry_functions",
            "scale_symmetry_functions_sigma",
        )
    )
    if sigma and (scale or center):
        raise UnsupportedError(
            f"{settings.path}: scale_symmetry_functions_sigma beside scale_symmetry_functions or"
            " center_symmetry_functions; expected one of them"
        )
    if sigma:
        return "sigma"
    if scale:
        return "scale and center" if center else "scale"
    return "center" if center else "none"


def _atom_energies(settings: Settings, species: tuple[str, ...]) -> Array:
    energies = np.zeros(len(species))
    known: dict[int, str] = {}
    for line, words in settings.all("atom_energy"):
        e = _element(settings, line, words, species)
        if len(words) < 2:
            raise settings.error("atom_energy: no value; expected an element and a number", line)
        if known.setdefault(e, words[1]) != words[1]:
            raise settings.error(f"atom_energy: {species[e]} has another one before", line)
        energies[e] = number(settings, line, words[1], "atom_energy")
    return energies


# --- a folder ---------------------------------------------------------------------------------------


def _read_member(folder: Path) -> tuple[tuple[str, ...], Member]:
    from ase.data import atomic_numbers

    settings = _settings(folder / "input.nn")
    _refuse(settings)
    species = _elements(settings)
    functions = _functions(settings, species)
    line, words = settings.required("cutoff_type")
    cutoff_type, alpha = cutoff_of(settings.path, line, words)
    mode = _scaling_mode(settings)
    low, high = settings.number("scale_min_short", 0.0), settings.number("scale_max_short", 1.0)
    normalised = [settings.one(k) is not None for k in ("mean_energy", "conv_energy", "conv_length")]  # fmt: skip
    if any(normalised) and not all(normalised):
        raise settings.error("mean_energy, conv_energy, conv_length: expected all of them or none")
    conv_energy = settings.number("conv_energy", 1.0)
    if conv_energy <= 0.0 or settings.number("conv_length", 1.0) <= 0.0:
        raise settings.error("conv_energy, conv_length: expected positive numbers")
    topologies = _topologies(settings, species)
    sizes = [len(f) for f in functions]
    scaling = read_scaling(folder / "scaling.data", sizes, mode, low, high)
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
        atom_energies=_atom_energies(settings, species),
    )
