"""Model files of mdkern: a potential's fields, in the layout of safetensors.

Eight bytes with the length of the header, the header in JSON, arrays one behind the other (little endian, C order). The header's
``__metadata__`` has ``mdkern.model``, the version of the format; ``mdkern.species``, chemical symbols with blanks between them; and
``mdkern.text.NAME`` for each field that is a text. ``cpp/model/model_file.hpp`` says it in full, and reads the files.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdkern import _core
from mdkern.errors import FormatError
from mdkern.io.files import FileModel
from mdkern.registry import Description

__all__ = [
    "ModelFile",
    "describe_model_file",
    "is_model_file",
    "read_model_file",
    "write_model_file",
]

_MARK = b'"mdkern.model"'
_TYPES = {"float64": "F64", "float32": "F32", "int64": "I64", "int32": "I32", "uint8": "U8"}

# Numbers of potentials that switch something, as people call them: name, and words for 0 and 1.
_SWITCHES = {"single": ("precision", "double", "single"), "exact": ("radial", "table", "exact")}


@dataclass(frozen=True, slots=True, eq=False)
class ModelFile(FileModel):
    """What a model file says.

    Attributes
    ----------
    path : str
    species : tuple of str or None
        Chemical symbols in the order of the species numbers; None: any element, all alike.
    fields : dict
        Arrays and texts by name, such as ``parts.0.weights``.
    """

    path: str
    species: tuple[str, ...] | None
    fields: dict[str, Any]


def is_model_file(path: str | os.PathLike[str]) -> bool:
    """Whether the file begins as a model file of mdkern."""
    with Path(path).open("rb") as file:
        begin = file.read(4096)
    return begin[8:9] == b"{" and _MARK in begin


def read_model_file(path: str | os.PathLike[str]) -> ModelFile:
    """Read a model file; sizes are checked before memory is taken.

    Raises
    ------
    FormatError
        The file does not follow the format.
    OSError
        The file cannot be read.
    """
    from ase.data import atomic_numbers

    name = os.fspath(path)
    fields, species = _core.read_model_file(name)
    for k, symbol in enumerate(species):
        if symbol not in atomic_numbers or symbol in species[:k]:
            message = f"mdkern.species: {_shown(symbol)}; expected different chemical symbols"
            raise FormatError(message, name)
    return ModelFile(name, tuple(species) or None, fields)


def describe_model_file(path: str | os.PathLike[str]) -> Description:
    """What a model file holds, for ``mdkern info``."""
    model = read_model_file(path)
    arrays = [x for x in model.fields.values() if not isinstance(x, str)]
    # What was chosen, such as the head of a MACE model; texts of parts (names with dots) say what nets are made of.
    texts = {
        k: x
        for k, x in model.fields.items()
        if isinstance(x, str) and "." not in k and k != "potential"
    }
    for field, (name, *words) in _SWITCHES.items():
        if field in model.fields:
            texts[name] = words[int(np.any(model.fields[field]))]
    facts: dict[str, Any] = {
        "format": "model file of mdkern (.mdk)",
        "potential": model.fields["potential"],
        "species": None if model.species is None else list(model.species),
        "cutoff_A": _core.Potential(model.fields).cutoff,
        "arrays": len(arrays),
        "numbers": int(sum(x.size for x in arrays)),
    }
    facts |= {k: x for k, x in texts.items() if k not in facts}
    fields = {
        "format": facts["format"],
        "potential": facts["potential"],
        "species": "any, all alike" if model.species is None else ", ".join(model.species),
        "cutoff": f"{facts['cutoff_A']:.6g} A",
        "fields": f"{facts['arrays']} arrays, {facts['numbers']:,} numbers",
    }
    fields |= {_shown(k): _shown(x) for k, x in texts.items() if k not in fields}
    return Description(facts=facts, fields=fields, topics=())


def _shown(text: str) -> str:
    """A text of a file that nobody trusts: what a terminal would obey is escaped, and the rest of a long one left out."""
    text = text if len(text) <= 200 else text[:197] + "..."
    return text if text.isprintable() else repr(text)


def write_model_file(
    path: str | os.PathLike[str], fields: Mapping[str, Any], species: Sequence[str] | None
) -> None:
    """Write a model file; an existing file is replaced.

    Parameters
    ----------
    path : str
    fields : mapping
        What a potential of the core is made from: arrays, numbers, texts, mappings and lists of such.
    species : sequence of str or None
        Chemical symbols in the order of the species numbers; None: any element, all alike.
    """
    header: dict[str, Any] = {
        "__metadata__": {"mdkern.model": "1", "mdkern.species": " ".join(species or ())}
    }
    arrays: list[NDArray[Any]] = []
    at = 0
    for name, value in _flat("", fields):
        if isinstance(value, str):
            header["__metadata__"][f"mdkern.text.{name}"] = value
            continue
        array = _array(name, value)
        header[name] = {
            "dtype": _TYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
        arrays.append(array)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with Path(path).open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays:
            file.write(array.tobytes())


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Names with dots, and what stands there; None is no field."""
    if isinstance(value, Mapping):
        for key, member in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else key, member)
    elif isinstance(value, list):
        for k, member in enumerate(value):
            yield from _flat(f"{prefix}.{k}", member)
    elif value is not None:
        yield prefix, value


def _array(name: str, value: Any) -> NDArray[Any]:
    array = np.asarray(value)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    if array.dtype.name not in _TYPES:
        raise TypeError(f"{name}: {value!r}; expected a number, a text, or an array of such")
    if sys.byteorder == "big":  # the file's is little
        array = array.byteswap()
    return np.ascontiguousarray(array) if array.ndim else array
