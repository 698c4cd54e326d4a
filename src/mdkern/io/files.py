"""Bytes of files that are not trusted."""

from __future__ import annotations

import os
from pathlib import Path

from mdkern.errors import FormatError

__all__ = ["FileModel", "read_bytes"]


class FileModel:
    """Base of what the readers make of potential files; as a parameter of a calculator it stands for its `path`."""

    __slots__ = ()
    path: str


def read_bytes(path: str | os.PathLike[str], most: int) -> bytes:
    """All bytes of a file, where they are not more than `most`: memory is taken as they come.

    Raises
    ------
    FormatError
        The file is larger.
    OSError
        It cannot be read.
    """
    parts: list[bytes] = []
    size = 0
    with Path(path).open("rb") as file:
        said = os.fstat(file.fileno()).st_size
        while size <= most and said <= most and (part := file.read(65536 if parts else said + 1)):
            parts.append(part)
            size += len(part)
    if max(size, said) > most:
        raise FormatError(f"larger than {most} bytes", os.fspath(path))
    return b"".join(parts)
