"""What `describe` does with frames, here or in workers: see :class:`mdkern.shards.Job`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdkern import _core, checks
from mdkern.errors import MDKernError
from mdkern.journal import digest
from mdkern.worker import Failure

__all__ = ["Description"]

_NUMBERS = 2**20  # that come back from a shard


@dataclass
class Description:
    """Descriptors of frames, (environments, features) each."""

    descriptor: Any
    label = "describe"

    @property
    def shard(self) -> int:
        """Some megabytes of features."""
        return max(1, _NUMBERS // int(self.descriptor.get_number_of_features()))

    def fingerprint(self) -> str:
        """From the arguments."""
        told = json.dumps(self.descriptor.to_dict(), sort_keys=True)
        return hashlib.sha256(f"describe {_core.__version__} {told}".encode()).hexdigest()

    def pack(self, atoms: Any, name: str) -> Any:
        """Arrays."""
        return checks.arrays(checks.structure(name, atoms))

    def key(self, packed: Any) -> bytes:
        """Of the arrays."""
        return digest(packed)

    def run(self, frames: Sequence[Any], threads: int) -> Iterator[dict[str, Any] | Failure]:
        """The array ``features`` of each."""
        from ase import Atoms

        for positions, numbers, cell, pbc in frames:
            atoms = Atoms(numbers, positions, cell=cell, pbc=pbc)
            try:
                checks.finite("positions", positions)
                rows = self.descriptor.create(atoms, threads=threads or None)
            except (MDKernError, ValueError) as e:
                yield Failure(e)
            else:
                yield {"features": np.atleast_2d(rows)}
