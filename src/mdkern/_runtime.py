"""Threads and instruction set of the core."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mdkern import _core, checks

__all__ = ["get_isa", "get_num_threads", "info", "num_threads", "set_isa", "set_num_threads"]


def get_num_threads() -> int:
    """Number of threads of calls without a ``threads`` argument."""
    return int(_core.get_num_threads())


def set_num_threads(n: int) -> None:
    """Set the number of threads, for the whole process.

    Parameters
    ----------
    n : int
        Of calls without a ``threads`` argument; results have the same bits for each.

    Raises
    ------
    ValueError
        If `n` is not an integer from 1 to 65536.
    """
    _core.set_num_threads(checks.whole("n", n, 1, 65536))


@contextmanager
def num_threads(n: int) -> Iterator[None]:
    """``with mdkern.num_threads(4): ...`` sets the number of threads and restores it afterwards, after exceptions too.

    Parameters
    ----------
    n : int
        As of :func:`set_num_threads`.

    Raises
    ------
    ValueError
        If `n` is not an integer from 1 to 65536.
    """
    before = get_num_threads()
    set_num_threads(n)
    try:
        yield
    finally:
        set_num_threads(before)


def get_isa() -> str:
    """Instruction set of the kernels: "avx512", "avx2", "neon" or "scalar"."""
    return str(_core.get_isa())


def set_isa(name: str) -> None:
    """Choose the instruction set of the kernels, for tests and benchmarks.

    Parameters
    ----------
    name : str
        "auto" (the best that was built and that this CPU runs), "avx512", "avx2", "neon" or "scalar".

    Raises
    ------
    ValueError
        If `name` is unknown, not built in, or not run by this CPU; the message lists what is accepted.
    """
    given: object = name
    if not isinstance(given, str):
        msg = f"isa: {name!r}; expected a string such as 'auto'"
        raise ValueError(msg)  # noqa: TRY004
    _core.set_isa(given)


def info() -> dict[str, Any]:
    """Version, compiler, instruction sets (active, compiled, supported), threads, OpenMP and CPU."""
    built = _core.build_info()
    return {
        "version": _core.__version__,
        "compiler": built["compiler"],
        "isa": get_isa(),
        "isas_compiled": list(built["isas_compiled"]),
        "isas_supported": list(built["isas_supported"]),
        "threads": get_num_threads(),
        "available_cpus": int(_core.available_cpus()),
        "openmp": bool(built["openmp"]),
        "cpu": built["cpu"],
    }
