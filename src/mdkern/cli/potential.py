"""The option ``--potential``: a file, or a built-in potential with parameters."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdkern.cli.options import refuse_empty
from mdkern.cli.output import UsageError
from mdkern.registry import NUMBER, SWITCH, WORD, file_formats, forms, recognised, resolve

if TYPE_CHECKING:
    from ase import Atoms

    from mdkern.calculators import Calculator

__all__ = [
    "HELP",
    "Potential",
    "files_of",
    "for_frames",
    "inputs_of",
    "is_built_in",
    "make_potential",
    "sha256",
    "terms_of",
]


def _help() -> str:
    """Files and built-in potentials in two columns."""
    told = "told by content: "
    formats = (",\n" + " " * len(told)).join(file_formats())
    rows = [("FILE", told + formats)]
    rows += [(form.example, "\n".join(form.help)) for _, form in forms().values()]
    lines = ["potentials:"]
    for text, about in rows:
        width = max(40, 4 * (len(text) // 4 + 1))
        first, *more = about.split("\n")
        lines.append(f"  {text:{width}}{first}")
        lines += [f"  {'':40}{line}" for line in more]
    notes = (
        "  A file named like a built-in potential is reached by ./NAME.",
        "  'A + B', in quotes and with spaces around the plus, is the sum of two or more of them.",
    )
    return "\n".join([*lines, *notes, ""])


HELP = _help()
_KINDS = {NUMBER: float, SWITCH: bool, WORD: str}


@dataclass(frozen=True)
class Potential:
    """A calculator and where it came from: `path` is the complete path of a file, or a sum with the complete paths of its files."""

    calculator: Calculator
    spec: str
    path: str | None
    sha256: str | None


def is_built_in(spec: str) -> bool:
    """Whether a ``--potential`` text names no file."""
    return all(term.partition(":")[0] in forms() for term in terms_of(spec))


def terms_of(spec: str) -> list[str]:
    """Of a sum; one of a single potential."""
    if " + " not in spec or Path(spec).exists():
        return [spec]
    return [term.strip() for term in spec.split(" + ")]


def inputs_of(spec: str) -> list[str]:
    """The files that a ``--potential`` text names, which no output may replace."""
    terms = [term for term in terms_of(spec) if not is_built_in(term) and Path(term).exists()]
    return [str(path) for term in terms for path in files_of(term)]


def make_potential(
    spec: str, symbols: Sequence[str], skin: float, options: Sequence[str] = ()
) -> Potential:
    """Calculator for a ``--potential`` text and the elements of a structure; ``NAME=VALUE`` as options of a file's potential.

    Raises
    ------
    UsageError
        Unknown names or values.
    FormatError, OSError
        From reading a file.
    """
    from mdkern import calculators

    terms = terms_of(spec)
    if len(terms) > 1:
        if options:
            raise UsageError(f"--set {options[0]}: of the potential of one file, not of a sum")
        if not all(terms):
            raise UsageError(f"--potential {spec}: expected a potential on both sides of each plus")
        return _sum_of(spec, [make_potential(term, symbols, skin) for term in terms], skin)
    name, _, rest = spec.partition(":")
    if not is_built_in(spec):
        if not Path(spec).exists():
            raise UsageError(f"--potential {spec}: no such file; built in are {', '.join(forms())}")
        refuse_empty(spec, "--potential")
        parameters = _parameters(spec, ",".join(options))
        if parameters:
            _check_names(spec, parameters)
        calculator = calculators.load(spec, skin=skin, **parameters)
        if "forces" not in calculator.implemented_properties:
            what = ", ".join(calculator.implemented_properties)
            raise UsageError(f"--potential {spec}: a model of {what}, which has no energy")
        return Potential(calculator, spec, str(Path(spec).resolve()), sha256(spec))
    if options:
        raise UsageError(f"--set {options[0]}: of a file's potential; expected {name}:{options[0]}")
    entry, form = forms()[name]
    parameters = _parameters(name, rest)
    _check_parameters(spec, parameters, form.parameters)
    try:
        made: Calculator
        if form.make:
            made = resolve(form.make)(sorted(set(symbols)), skin=skin, **parameters)
        else:
            made = getattr(calculators, entry.calculator)(skin=skin, **parameters)
    except (TypeError, ValueError) as e:
        raise UsageError(f"--potential {spec}: {e}") from e
    return Potential(made, spec, None, None)


def for_frames(
    spec: str, frames: Callable[[], Iterable[Atoms]], skin: float = 0.3, record: bool = False
) -> Potential:
    """The potential for frames that are read one by one.

    A built-in potential that is made for certain elements needs those of all frames, which are read once more for that. With `record` it is
    made without the elements that it does not know: frames that have them will fail, each by itself.
    """
    built_in = [term.partition(":")[0] for term in terms_of(spec) if is_built_in(term)]
    if not any(forms()[name][1].make for name in built_in):
        return make_potential(spec, (), skin)
    symbols = sorted({s for atoms in frames() for s in atoms.symbols.species()})
    if not symbols:
        raise UsageError(
            f"no atoms in any frame; expected some, as {spec} is made for their elements"
        )
    try:
        return make_potential(spec, symbols, skin)
    except UsageError:
        known = [s for s in symbols if record and _knows(spec, s)]
        if not known or known == symbols:
            raise
    return make_potential(spec, known, skin)


def _knows(spec: str, symbol: str) -> bool:
    try:
        make_potential(spec, [symbol], 0.3)
    except UsageError:
        return False
    return True


def _sum_of(spec: str, parts: Sequence[Potential], skin: float) -> Potential:
    from mdkern.calculators import Sum

    try:
        made = Sum([part.calculator for part in parts], skin=skin)
    except ValueError as e:
        raise UsageError(f"--potential {spec}: {e}") from e
    digests = [part.sha256 for part in parts if part.sha256 is not None]
    digest = hashlib.sha256(" ".join(digests).encode()).hexdigest() if digests else None
    return Potential(made, spec, " + ".join(part.path or part.spec for part in parts), digest)


def _parameters(name: str, text: str) -> dict[str, Any]:
    """``a=1,b.Ar=2`` as ``{"a": 1.0, "b": {"Ar": 2.0}}``."""
    out: dict[str, Any] = {}
    for item in filter(None, text.split(",")):
        key, equals, value = item.partition("=")
        key, dot, symbol = key.strip().partition(".")
        if not (key and equals and value) or (dot and not symbol):
            raise UsageError(f"--potential {name}: {item!r}; expected NAME=VALUE")
        table = out.setdefault(key, {}) if dot else out
        place = symbol if dot else key
        if not isinstance(table, dict) or place in table:
            raise UsageError(f"--potential {name}: {key!r} is given twice")
        table[place] = _value(value.strip())
    return out


def _check_parameters(spec: str, parameters: Mapping[str, Any], known: Mapping[str, str]) -> None:
    for key, given in parameters.items():
        if key not in known:
            raise UsageError(
                f"--potential {spec}: no parameter {key!r}; expected {', '.join(known)}"
            )
        kind = _KINDS[known[key]]
        for value in given.values() if isinstance(given, dict) else [given]:
            if not isinstance(value, kind):
                raise UsageError(f"--potential {spec}: {key}: {value!r}; expected {known[key]}")


def _check_names(path: str, parameters: Mapping[str, Any]) -> None:
    """Of a file's potential, whose first parameter is the path."""
    import inspect

    from mdkern.loading import entry_of

    _, *known = inspect.signature(resolve(entry_of(path).potential)).parameters
    for key in parameters:
        if key not in known:
            expected = f"expected {', '.join(known)}" if known else "the potential has none"
            raise UsageError(f"--set: {path}: no parameter {key!r}; {expected}")


def _value(text: str) -> float | bool | str:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text


def files_of(path: str) -> list[Path]:
    """The file, or all of a model that is a folder, by their names: what else is there may change."""
    one = Path(path)
    entry = recognised(path)
    if entry is None or entry.files is None or not entry.files.folder:
        return [one]
    folder = one if one.is_dir() else one.parent
    found = {p for pattern in entry.files.folder for p in folder.glob(pattern)} | {one}
    return sorted(p for p in found if p.is_file())


def sha256(path: str) -> str:
    """Hash of a file in hexadecimal; of a folder that of the names and the content of the model's files."""
    digest = hashlib.sha256()
    one = Path(path)
    parts = files_of(path)
    for part in parts:
        if parts != [one]:
            folder = one if one.is_dir() else one.parent
            digest.update(part.relative_to(folder).as_posix().encode() + b"\0")
        with part.open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    return digest.hexdigest()
