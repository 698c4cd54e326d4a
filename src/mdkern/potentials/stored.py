"""Potentials from model files of mdkern."""

from __future__ import annotations

import os
from typing import Any

from mdkern.io.mdk import ModelFile, read_model_file
from mdkern.potentials.base import InCore, say_once

__all__ = ["StoredModel"]


class StoredModel(InCore):
    """A potential as ``mdkern export`` wrote it: an EAM, a NEP, a Deep Potential or another that the core evaluates.

    Results have the bits of the potential that was exported.

    Parameters
    ----------
    path : str
        A ``.mdk`` file, or what :func:`mdkern.io.mdk.read_model_file` made of one.

    Raises
    ------
    FormatError
        The file does not follow the format, or does not make a model.
    OSError
        The file cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str] | ModelFile) -> None:
        self.source = path if isinstance(path, ModelFile) else read_model_file(path)
        self.species: tuple[str, ...] | None = self.source.species
        self.make()
        self.cutoff: float = self._kernel.cutoff

    def core_fields(self) -> dict[str, Any]:
        """The fields as they were read."""
        return self.source.fields

    def make(self) -> None:
        """Make the core's potential from the fields."""
        message = (
            f"{self.source.path}: more neighbors than the model has room for, of which the farthest are left out, a "
            "density beyond the end of its table, or symmetry functions beyond the range of the training"
        )
        self._unsaid = [message]
        super().make()

    def warn(self, overflow: bool) -> None:
        """Say once what :attr:`Result.overflow` means; for who evaluates by :meth:`force_step`."""
        if overflow:
            say_once(self._unsaid)
