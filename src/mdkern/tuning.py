"""Skin and threads of molecular dynamics: measured on the model, the size and the machine at hand, kept in a small file.

Another number of threads keeps every bit of a trajectory; another skin does not: sums run over the neighbors in the order
of the list. So a run takes over a skin only where the user asked for it, see `MODE`.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from mdkern.errors import FormatError, MDKernWarning

__all__ = [
    "LEAST_STEPS",
    "MODE",
    "SKINS",
    "Choice",
    "Measured",
    "Trial",
    "all_choices",
    "forget",
    "keep",
    "key_of",
    "path",
    "search",
    "stored",
]

MODES = ("off", "once", "measure")


def _mode() -> str:
    given = os.environ.get("MDKERN_TUNE", "").strip()
    if given and given not in MODES:
        raise ImportError(
            f"mdkern: environment variable MDKERN_TUNE: {given!r} is unknown; expected one of: {', '.join(MODES)}"
        )
    return given


MODE = _mode()
"""What runs do: "" (unset) take over stored threads, which keep the bits; "once" takes over stored skins as well, and measures
where nothing is stored; "measure" measures in every long run; "off" nothing."""

LEAST_STEPS = 20_000
"""Steps of a run that is worth measuring for: it takes some 2000."""

SKINS = (0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.4)
"""Angstrom."""

# What is gained must exceed what a busy machine makes believe; a wrong number of threads costs more than a wrong skin.
_LEAST_GAIN, _LEAST_GAIN_OF_THREADS = 1.03, 1.10
_WORSE = 0.97  # than the best so far: candidates beyond are not tried
_ALIKE = 0.99  # the smallest skin within so much of the fastest is taken: it needs less memory
_FORMAT = "mdkern tuning 1"
_MOST_BYTES, _MOST_CHOICES, _MOST_SKIN, _MOST_GAIN = 1 << 20, 1000, 20.0, 1e6


@dataclass(frozen=True)
class Choice:
    """What was chosen, and how many times as fast it was as what it replaces.

    Attributes
    ----------
    skin : float or None
        Angstrom; None: that of the run stays.
    threads : int or None
        None: all stay.
    skin_gain, threads_gain : float
        How many times as fast.
    from_skin : float
        What it was compared with.
    """

    skin: float | None = None
    threads: int | None = None
    skin_gain: float = 1.0
    threads_gain: float = 1.0
    from_skin: float = 0.3

    @property
    def gain(self) -> float:
        """How many times as fast both are together."""
        return self.skin_gain * self.threads_gain

    def __str__(self) -> str:
        parts = []
        if self.skin is not None:
            parts.append(
                f"skin {self.skin:g} A, {self.skin_gain:.2f} times as fast as with {self.from_skin:g} A"
            )
        if self.threads is not None:
            many = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
            parts.append(f"{many}, {self.threads_gain:.2f} times as fast as all")
        return "; ".join(parts) or "as it was: nothing to gain"

    def only(self, *, skin: bool, threads: bool) -> Choice:
        """The part that a run may take over."""
        part = self
        if not skin:
            part = replace(part, skin=None, skin_gain=1.0)
        if not threads:
            part = replace(part, threads=None, threads_gain=1.0)
        return part


@dataclass(frozen=True)
class Measured:
    """One skin and number of threads: seconds per step, steps from build to build (inf: none seen), how many times as fast as
    what it was compared with, in turn."""

    skin: float
    threads: int
    seconds: float
    interval: float
    gain: float


class Trial(Protocol):
    """A run with one skin and number of threads."""

    def span(self, steps: int) -> tuple[float, int]:
        """Take so many steps; returns seconds, and how often the list was built."""
        ...


def search(
    trial: Callable[[float, int], Trial],
    skin: float,
    threads: int,
    *,
    skins: Sequence[float] | None = SKINS,
    fewer_threads: bool = True,
    spans: int = 20,
    steps: int = 10,
    most_seconds: float = 30.0,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Choice, list[Measured]]:
    """The fastest skin, then the fastest number of threads, each against what there was, by turns.

    Parameters
    ----------
    trial : callable
        Makes a run from skin (Angstrom) and threads.
    skin, threads
        What there is: it stays unless something else is faster by 3 % (skin) or 10 % (threads).
    skins : sequence of float or None
        Candidates; None: the skin stays.
    fewer_threads : bool
        Whether half of the threads, a quarter, ... down to one are tried.
    spans, steps : int
        Each comparison takes so many spans of so many steps, of either run in turn.
    most_seconds : float
        No comparison begins later.

    Returns
    -------
    Choice, list of Measured
        What was chosen; everything that was measured.
    """
    end = clock() + most_seconds
    rows: list[Measured] = []

    def against(
        skin: float, threads: int, candidates: Iterable[tuple[float, int]], end: float
    ) -> list[Measured]:
        """Candidates one after the other, until they get worse, or the list is no longer built at all."""
        found: list[Measured] = []
        for pair in candidates:
            if clock() > end:
                break
            try:
                # Both from the start: what heats up or melts does so in both.
                present, other = trial(skin, threads), trial(*pair)
            except MemoryError:
                break
            now, then = _by_turns((present, other), spans, steps)
            if not found:
                rows.append(Measured(skin, threads, *now, 1.0))
            if pair[0] != skin and math.isinf(now[1]):
                break  # no list is built: a longer one gains nothing, and what a shorter one costs is not seen
            found.append(Measured(*pair, *then, now[0] / then[0]))
            top = max(1.0, *(m.gain for m in found))
            if found[-1].gain < _WORSE * top or math.isinf(then[1]):
                break
        rows.extend(found)
        return found

    def best(
        skin: float, threads: int, candidates: Iterable[tuple[float, int]], least: float
    ) -> Measured | None:
        """The one that is faster by `least`, also when it is measured once more: of several the luckiest looks best."""
        picked = _pick(against(skin, threads, candidates, end), least)
        if picked is None:
            return None
        again = against(skin, threads, [(picked.skin, picked.threads)], math.inf)
        slower = min([picked, *again], key=lambda m: m.gain)
        return slower if again and slower.gain >= least else None

    choice = Choice()
    if skins is not None:
        longer = sorted(s for s in skins if s > skin)
        shorter = sorted((s for s in skins if 0.0 < s < skin), reverse=True)
        for direction in (longer, shorter):
            found = best(skin, threads, ((s, threads) for s in direction), _LEAST_GAIN)
            if found is not None:
                choice = Choice(found.skin, skin_gain=found.gain, from_skin=skin)
                skin = found.skin
            if found is not None or not rows or math.isinf(rows[0].interval):
                break
    if fewer_threads and threads > 1:
        halves = [threads >> k for k in range(1, threads.bit_length())]
        found = best(skin, threads, ((skin, n) for n in halves), _LEAST_GAIN_OF_THREADS)
        if found is not None:
            choice = replace(choice, threads=found.threads, threads_gain=found.gain)
    return choice, rows


def _pick(found: list[Measured], least: float) -> Measured | None:
    """The fastest one, or the smallest of those that are hardly slower."""
    top = max((m.gain for m in found), default=0.0)
    if top < least:
        return None
    return min((m for m in found if m.gain >= _ALIKE * top), key=lambda m: (m.skin, m.threads))


def _by_turns(trials: Sequence[Trial], spans: int, steps: int) -> list[tuple[float, float]]:
    """(seconds per step, steps from build to build) of each."""
    for run in trials:
        run.span(steps)  # memory is touched, threads are awake
    seen: list[list[tuple[float, int]]] = [[] for _ in trials]
    for _ in range(spans):
        for run, of_run in zip(trials, seen, strict=True):
            of_run.append(run.span(steps))
    return [(_mean(of_run) / steps, _interval(of_run, steps)) for of_run in seen]


def _mean(spans: Sequence[tuple[float, int]]) -> float:
    """Mean seconds of a span, whatever else the machine did meanwhile.

    Spans in which the list was built equally often are alike. Others only ever delay them: what an eighth of a kind reached
    counts as often as the kind came.
    """
    kinds: dict[int, list[float]] = defaultdict(list)
    for seconds, builds in spans:
        kinds[builds].append(seconds)
    return sum(len(x) * sorted(x)[(len(x) - 1) // 8] for x in kinds.values()) / len(spans)


def _interval(spans: Sequence[tuple[float, int]], steps: int) -> float:
    builds = sum(built for _, built in spans)
    return steps * len(spans) / builds if builds else math.inf


# --- the file ------------------------------------------------------------------------------------------------------------------


def path() -> Path:
    """The file: $MDKERN_TUNE_FILE, or mdkern/tuning.json in the user's folder of caches."""
    if given := os.environ.get("MDKERN_TUNE_FILE"):
        return Path(os.path.expanduser(given))  # noqa: PTH111 - Path's raises where there is no home
    caches = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(caches):  # noqa: PTH117 - so says the standard
        caches = os.path.expanduser("~/.cache")  # noqa: PTH111
        if caches.startswith("~"):  # a container's user without a home
            caches = str(Path(tempfile.gettempdir(), f"mdkern-{os.getuid()}"))
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
    """Keep a choice; where the file cannot be written, a warning says so.

    The file is written aside and renamed: whoever reads it sees it whole. Of two processes that write at the same time, the
    choice of one may be lost, and is measured again.
    """
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
