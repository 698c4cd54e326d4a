"""Files of the atomic cluster expansion: ``.yace``, old ``.ace`` texts, and GRACE/FS ``.yaml``, told apart by content."""

from __future__ import annotations

from mdkern.io.ace_model import (
    AceBond,
    AceEmbedding,
    AceFunction,
    AceGroup,
    AceModel,
    AceProducts,
)

__all__ = ["AceBond", "AceEmbedding", "AceFunction", "AceGroup", "AceModel", "AceProducts"]
