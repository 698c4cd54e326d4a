"""Text files as people have them: byte order marks, and lines that end as on any system."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mdkern.errors import UnsupportedError
from mdkern.io.files import read_bytes

__all__ = ["HEAD_BYTES", "check_units", "read_head", "read_text", "show"]

HEAD_BYTES = 65536  # enough to tell what a file is

_UNITS = re.compile(rb"UNITS:\s*([A-Za-z]+)")


def read_head(path: str | os.PathLike[str]) -> bytes:
    """The first bytes, as :func:`read_text` gives them."""
    with Path(path).open("rb") as file:
        return _plain(file.read(HEAD_BYTES))


def read_text(path: str | os.PathLike[str], most: int) -> bytes:
    r"""Bytes of a text file without UTF-8's byte order mark; ``\r`` is made ``\n`` where it alone ends the lines.

    Raises
    ------
    FormatError
        More than `most` bytes.
    OSError
        The file cannot be read.
    """
    return _plain(read_bytes(path, most))


def _plain(data: bytes) -> bytes:
    data = data.removeprefix(b"\xef\xbb\xbf")
    return data if b"\n" in data else data.replace(b"\r", b"\n")


def show(word: bytes) -> str:
    """A token for a message: readable and never long."""
    text = word[:200].decode("utf-8", "backslashreplace")
    return repr(text if len(text) <= 40 else text[:40] + "...")


def check_units(path: str | os.PathLike[str], data: bytes) -> None:
    """Units that the first line of a potential of LAMMPS may name, as LAMMPS looks for them there.

    Raises
    ------
    UnsupportedError
        Others than ``metal``.
    """
    match = _UNITS.search(data.partition(b"\n")[0])
    if match and match[1] != b"metal":
        raise UnsupportedError(
            f"{os.fspath(path)}:1: units {show(match[1])} are not supported; expected 'metal'"
        )
