"""``input.nn`` of n2p2 and RuNNer: keywords, networks' sizes, symmetry functions."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.symmetry_functions import SymmetryFunction, number, parse_function
from mdkern.io.text import read_text, show

__all__ = [
    "Settings",
    "atom_energies_of",
    "elements_of",
    "functions_of",
    "read_settings",
    "refuse_others",
    "scaling_mode_of",
    "topologies_of",
]

Array = NDArray[np.float64]

MOST_BYTES, MOST_LINES = 2**24, 100_000  # of an input.nn; lines that are kept
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
_KNOWN = {
    *_REFUSED,
    *("nnp_type", "nnp_gen", "nn_type", "nn_type_short"),
    *("number_of_elements", "elements", "symfunction_short", "cutoff_type"),
    *("global_hidden_layers_short", "global_nodes_short", "global_activation_short"),
    *("element_hidden_layers_short", "element_nodes_short", "element_activation_short"),
    *("scale_symmetry_functions", "center_symmetry_functions", "scale_symmetry_functions_sigma"),
    *("scale_min_short", "scale_max_short", "normalize_nodes", "atom_energy"),
    *("mean_energy", "conv_energy", "conv_length"),
}
_GENERATIONS = ("2g", "2g-hdnnp", "hdnnp_2g", "hdnnp-2g", "2")


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
        return number(self.path, line, words[0], key)

    def count(self, line: int, word: str, what: str, least: int, most: int) -> int:
        if not re.fullmatch(r"\d{1,9}", word) or not least <= int(word) <= most:
            raise self.error(
                f"{what}: {show(word.encode())}; expected a number from {least} to {most}", line
            )
        return int(word)


def read_settings(path: Path) -> Settings:
    """Lines with keywords that matter, one at a time: what a file of 16 MB takes follows from what is kept of it."""
    settings, kept, empty = Settings(path), 0, True
    for k, line in enumerate(io.BytesIO(read_text(path, MOST_BYTES)), 1):
        words = line.partition(b"#")[0].partition(b"!")[0].split(None, 64)
        if not words:
            continue
        empty = False
        key = words[0].decode("latin-1")
        if key not in _KNOWN:
            continue  # of trainings
        kept += 1
        if kept > MOST_LINES:
            raise UnsupportedError(f"{path}:{k}: more than {MOST_LINES} lines with keywords")
        settings.lines.setdefault(key, []).append(
            (k, [word.decode("utf-8", "backslashreplace") for word in words[1:]])
        )
    if empty:
        raise FormatError("no keywords in it; expected those of n2p2", path)
    return settings


def refuse_others(settings: Settings) -> None:
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


def elements_of(settings: Settings) -> tuple[str, ...]:
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


def functions_of(
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


def topologies_of(
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


def scaling_mode_of(settings: Settings) -> str:
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


def atom_energies_of(settings: Settings, species: tuple[str, ...]) -> Array:
    energies = np.zeros(len(species))
    known: dict[int, str] = {}
    for line, words in settings.all("atom_energy"):
        e = _element(settings, line, words, species)
        if len(words) < 2:
            raise settings.error("atom_energy: no value; expected an element and a number", line)
        if known.setdefault(e, words[1]) != words[1]:
            raise settings.error(f"atom_energy: {species[e]} has another one before", line)
        energies[e] = number(settings.path, line, words[1], "atom_energy")
    return energies
