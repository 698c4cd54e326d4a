"""Text files as people have them: byte order marks, and lines that end as on any system."""

from __future__ import annotations

import os
from pathlib import Path

from mdkern.io.files import read_bytes

__all__ = ["HEAD_BYTES", "read_head", "read_text", "show"]

HEAD_BYTES = 65536  # enough to tell what a file is


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
