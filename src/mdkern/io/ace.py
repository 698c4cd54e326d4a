"""Files of the atomic cluster expansion: ``.yace``, old ``.ace`` texts, and GRACE/FS ``.yaml``, told apart by content.

R. Drautz, Phys. Rev. B 99, 014104 (2019); Y. Lysogorskiy et al., npj Comput. Mater. 7, 97 (2021); A. Bochkarev,
Y. Lysogorskiy and R. Drautz, Phys. Rev. X 14, 021036 (2024).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from mdkern.errors import FormatError
from mdkern.io.ace_grace import read_grace
from mdkern.io.ace_model import (
    AceBond,
    AceEmbedding,
    AceFunction,
    AceGroup,
    AceModel,
    AceProducts,
)
from mdkern.io.ace_text import read_ace_text
from mdkern.io.ace_yace import read_yace
from mdkern.io.foreign import check_foreign
from mdkern.io.text import read_head, read_text
from mdkern.io.yaml_text import MAX_BYTES, parse_yaml

__all__ = [
    "AceBond",
    "AceEmbedding",
    "AceFunction",
    "AceGroup",
    "AceModel",
    "AceProducts",
    "is_ace",
    "read_ace",
]

# Keys at the beginning of a line, or, where the whole file is one map in braces, behind its marks. Those of pacemaker's fits
# are in other files that have some of the keys as well.
_KEY = rb"^['\"]?(?:%s)['\"]?[ \t]*:(?=\s)"
_BRACED = rb"[{,]\s*['\"]?(?:%s)['\"]?[ \t]*:"
_GRACE = rb"emb_spec|radial_basis"
_YACE = rb"deltaSplineBins|bonds"
_YACE_TOO = rb"elements|embeddings|functions|E0"
_FIT = rb"species|potential"
_TEXT = re.compile(rb"^[ \t]*nelements[ \t]*=", re.MULTILINE)
_TEXT_TOO = re.compile(rb"(?:^|\s)(?:lmax[ \t]*=|elements[ \t]*:|radbasename[ \t]*=)", re.MULTILINE)


def _format(head: bytes) -> Literal["yace", "ace", "grace"] | None:
    braced = re.match(rb"(?:\s|#[^\n]*\n|---)*\{", head[:4096])

    def has(keys: bytes) -> bool:
        found = re.search(_KEY % keys, head, re.MULTILINE)
        return bool(found or (braced and re.search(_BRACED % keys, head)))

    if has(_FIT):
        return None
    if has(_GRACE) or (has(rb"functions") and b"gen_cgs" in head):
        return "grace"
    if (has(rb"functions") and b"ctildes" in head) or (has(_YACE) and has(_YACE_TOO)):
        return "yace"
    if _TEXT.search(head) and _TEXT_TOO.search(head):
        return "ace"
    return None


def is_ace(path: str | os.PathLike[str]) -> bool:
    """Whether the beginning has the keys of one of the three formats."""
    return _format(read_head(path)) is not None


def read_ace(path: str | os.PathLike[str]) -> AceModel:
    """Parameters of a potential.

    Parameters
    ----------
    path : path-like
        ``.yace``, ``.ace`` with one element, or GRACE/FS ``.yaml``; the content decides.

    Returns
    -------
    AceModel

    Raises
    ------
    FormatError
        The file does not follow its format; the message has line, key, value, and what was expected.
    UnsupportedError
        A file of another kind, or a radial basis, embedding or inner cutoff that is not evaluated.
    OSError
        The file cannot be read.
    """
    name = os.fspath(path)
    kind = None if Path(name).is_dir() else _format(read_head(path))
    if kind is None:
        check_foreign(path)
        raise FormatError(
            "no file of ACE: expected the keys of a .yace (elements:, bonds:, functions:), of a GRACE/FS .yaml (emb_spec:,"
            " radial_basis:) or of an .ace text (nelements=)",
            path,
        )
    data = read_text(path, MAX_BYTES)
    if kind == "ace":
        return read_ace_text(data, name)
    document = parse_yaml(data, name)
    del data
    return read_grace(document) if kind == "grace" else read_yace(document)
