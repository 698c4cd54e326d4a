"""The file that keeps what was chosen."""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
import tempfile
import warnings
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mdkern.errors import FormatError, MDKernWarning
from mdkern.tuning.choice import Choice

__all__ = ["all_choices", "forget", "keep", "key_of", "path", "stored"]

_FORMAT = "mdkern tuning 1"
_MOST_BYTES, _MOST_CHOICES, _MOST_SKIN, _MOST_GAIN = 1 << 20, 1000, 20.0, 1e6


def path() -> Path:
    """The file: $MDKERN_TUNE_FILE, or mdkern/tuning.json in the user's folder of caches."""
    if given := os.environ.get("MDKERN_TUNE_FILE"):
        return Path(os.path.expanduser(given))  # noqa: PTH111 - Path's raises where there is no home
    caches = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(caches):  # noqa: PTH117 - so says the standard
        caches = os.path.expanduser("~/.cache")  # noqa: PTH111
        if caches.startswith("~"):  # a container's user without a home
            # Windows has such a folder for each user, and no numbers of them.
            user = os.getuid() if hasattr(os, "getuid") else "user"
            caches = str(Path(tempfile.gettempdir(), f"mdkern-{user}"))
    return Path(caches, "mdkern", "tuning.json")


def _is_special(file: Path) -> bool:
    """Whether something is there that is no file: reading a pipe may never end, and /dev/null must stay."""
    try:
        return not stat.S_ISREG(file.stat().st_mode)
    except OSError:
        return False


def key_of(calculator: Any, atoms: Any, timestep: float, threads: int) -> str:
    """What a choice is good for: model, size, motion, machine, version.

    The number of atoms counts by powers of two, how far one moves in a step (root mean square) by powers of four: from a crystal
    half of the kinetic energy goes into the potential one.
    """
    from mdkern import _runtime
    from mdkern.evaluation import model_hash

    out = hashlib.sha256()
    potential = (
        calculator.potential
    )  # what has no numbers for the core is hashed without its calculator's results
    model_hash(out, calculator if hasattr(potential, "core_fields") else potential)
    move = timestep * math.sqrt(float((atoms.get_velocities() ** 2).sum()) / max(1, len(atoms)))
    info = _runtime.info()
    return " | ".join(
        (
            f"{type(calculator).__name__} {out.hexdigest()[:16]}",
            f"{_power(2, len(atoms)):g} atoms",
            f"{_power(4, move):.3g} A per step",
            f"{threads} threads",
            str(info["isa"]),
            " ".join(str(info["cpu"]).split()),
            f"{info['available_cpus']} CPUs",
            f"mdkern {info['version']}",
        )
    )


def _power(base: int, x: float) -> float:
    """The nearest one."""
    return float(base) ** round(math.log(x, base)) if x > 0.0 else 0.0


def stored(key: str) -> Choice | None:
    """The choice that is kept for a key."""
    return all_choices().get(key)


def all_choices() -> dict[str, Choice]:
    """Everything in the file; nothing, with a warning, where it cannot be read."""
    file = path()
    if _is_special(file):
        _warn(f"{file}: no regular file; it is not used")
        return {}
    try:
        with file.open("rb") as f:
            data = f.read(_MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as e:
        _warn(f"{file}: {e.strerror}; it is not used")
        return {}
    try:
        return _parsed(data, str(file))
    except FormatError as e:
        _warn(f"{e}; it is not used, and is replaced when something is kept")
        return {}


def _parsed(data: bytes, name: str) -> dict[str, Choice]:
    from mdkern.io.documents import decode, json_of

    if len(data) > _MOST_BYTES:
        raise FormatError(f"more than {_MOST_BYTES >> 20} MB", name)
    found = json_of(decode(data, name), name)
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        raise FormatError("no file of choices of this version of mdkern", name)
    choices = found.get("choices")
    if not isinstance(choices, dict) or len(choices) > _MOST_CHOICES:
        raise FormatError(f"choices: expected up to {_MOST_CHOICES} of them by name", name)
    return {key: _choice(value, f"{name}: {key!r}") for key, value in choices.items()}


def _choice(value: Any, where: str) -> Choice:
    """From what the file says."""

    def number(name: str, most: float, may_lack: bool = False, zero: bool = False) -> Any:
        x = value.get(name)
        if x is None and may_lack:
            return None
        good = isinstance(x, (int, float)) and not isinstance(x, bool)
        if not (good and 0.0 <= x <= most and (zero or x > 0.0)):
            raise FormatError(f"{where}: {name} is {x!r:.40}; expected a number up to {most:g}")
        return x

    if not isinstance(value, dict):
        raise FormatError(f"{where}: expected numbers by name")
    threads = number("threads", 65536, may_lack=True)
    if threads is not None and threads != int(threads):
        raise FormatError(f"{where}: threads is {threads}; expected an integer")
    skin = number("skin", _MOST_SKIN, may_lack=True)
    return Choice(
        None if skin is None else float(skin),
        None if threads is None else int(threads),
        float(number("skin_gain", _MOST_GAIN)),
        float(number("threads_gain", _MOST_GAIN)),
        float(number("from_skin", _MOST_SKIN, zero=True)),
    )


def keep(key: str, choice: Choice) -> None:
    """Keep a choice; where the file cannot be written, or could not be read afterwards, a warning says so.

    The file is written aside and renamed: whoever reads it sees it whole. Of two processes that write at the same time, the
    choice of one may be lost, and is measured again.
    """
    try:
        _choice(asdict(choice), repr(key))
    except FormatError as e:
        _warn(f"{e}; it is not kept")
        return
    choices = all_choices()
    choices.pop(key, None)
    choices[key] = choice
    _write(dict(list(choices.items())[-_MOST_CHOICES // 2 :]))


def forget(words: str = "") -> list[str]:
    """Remove the choices whose keys have these words in them, by default all; returns their keys."""
    choices = all_choices()
    gone = [key for key in choices if words.lower() in key.lower()]
    if words:
        if gone:
            _write({key: choice for key, choice in choices.items() if key not in gone})
    elif not _is_special(path()):  # also a file that cannot be read
        with suppress(FileNotFoundError):
            path().unlink()
    return gone


def _write(choices: dict[str, Choice]) -> None:
    file = Path(os.path.realpath(path()))  # a link stays one
    if _is_special(file):
        _warn(f"{file}: no regular file; choices are not kept")
        return
    document = {"format": _FORMAT, "choices": {key: asdict(c) for key, c in choices.items()}}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(prefix=file.name, dir=file.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as f:
                json.dump(document, f, indent=1)
            Path(aside).replace(file)
        except BaseException:
            with suppress(OSError):
                Path(aside).unlink()
            raise
    except OSError as e:
        _warn(f"{file}: {e.strerror}; choices are not kept")


def _warn(text: str) -> None:
    warnings.warn(f"MDKERN_TUNE: {text}", MDKernWarning, stacklevel=3)
