"""Exceptions and warnings of mdkern."""

from __future__ import annotations

import os

__all__ = ["FormatError", "InUseError", "MDKernError", "MDKernWarning", "UnsupportedError"]


class MDKernError(Exception):
    """Base class of every exception that mdkern defines."""


class FormatError(MDKernError, ValueError):
    """A file does not follow its format.

    Parameters
    ----------
    message : str
        What was found and what was expected.
    path : path-like, optional
        File that was read.
    line : int, optional
        Line in that file, counted from 1.

    Notes
    -----
    The text reads ``path:line: message``; `path` and `line` are attributes too.
    """

    def __init__(
        self,
        message: str,
        path: str | os.PathLike[str] | None = None,
        line: int | None = None,
    ) -> None:
        where = "" if path is None else f"{os.fspath(path)}:"
        if line is not None:
            where += f"{line}:" if where else f"line {line}:"
        super().__init__(f"{where} {message}" if where else message)
        self.path = None if path is None else os.fspath(path)
        self.line = line


class UnsupportedError(MDKernError, NotImplementedError):
    """The input is valid, but asks for something that mdkern does not do."""


class InUseError(MDKernError, RuntimeError):
    """Another thread is using an object that serves one at a time, and waiting for it would not give what was asked for."""


class MDKernWarning(UserWarning):
    """Base class of every warning that mdkern emits."""
