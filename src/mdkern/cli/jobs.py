"""What `describe` and `relax` do with frames, here or in workers: see :class:`mdkern.shards.Job`."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mdkern import _core, checks
from mdkern.cli.optimize import Settings, optimizer, target
from mdkern.errors import MDKernError
from mdkern.evaluation import model_hash
from mdkern.io.labels import drop_labels
from mdkern.journal import digest
from mdkern.worker import Failure

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Description", "Relaxation"]

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


@dataclass
class Relaxation:
    """The nearest minimum of each frame."""

    calculator: Any
    settings: Settings
    label = "relax"
    shard = 1  # steps of an optimizer
    sent = False

    def __getstate__(self) -> dict[str, Any]:
        self.calculator.reset()
        return {"calculator": self.calculator, "settings": self.settings, "sent": True}

    def fingerprint(self) -> str:
        """From the model and what the optimizer does."""
        out = hashlib.sha256(f"relax {_core.__version__} {asdict(self.settings)}".encode())
        model_hash(out, self.calculator)
        return out.hexdigest()

    def pack(self, atoms: Any, name: str) -> Any:
        """A copy with its constraints, without the energies of other positions."""
        mine = checks.structure(name, atoms).copy()
        mine.calc = None
        drop_labels(mine)
        return mine

    def key(self, packed: Any) -> bytes:
        """Of all that moves or does not move."""
        kept = pickle.dumps([c.todict() for c in packed.constraints])
        return digest([*checks.arrays(packed), packed.get_masses(), np.frombuffer(kept, np.uint8)])

    def run(self, frames: Sequence[Any], threads: int) -> Iterator[dict[str, Any] | Failure]:
        """Positions, cell, results, ``steps`` and whether it ``converged``."""
        if self.sent:
            self.calculator.set(threads=threads)
        for atoms in frames:
            try:
                yield self._relaxed(atoms)
            except (MDKernError, ValueError, RuntimeError) as e:
                yield Failure(e)

    def _relaxed(self, atoms: Atoms) -> dict[str, Any]:
        if not len(atoms):
            raise ValueError("no atoms")
        checks.finite("positions", atoms.positions)
        # Each frame begins with a list of its own, so that its bits do not depend on the frames before it.
        skin = self.calculator.parameters["skin"]
        self.calculator.set(skin=skin + 1.0)
        self.calculator.set(skin=skin)
        atoms.calc = self.calculator
        before = atoms.get_potential_energy()
        with optimizer(target(atoms, self.settings), self.settings) as steps:
            converged = steps.run(fmax=self.settings.fmax, steps=self.settings.steps)
        names = ("energy", "forces", "stress") if atoms.cell.rank == 3 else ("energy", "forces")
        return {
            "positions": atoms.positions.copy(),
            "cell": atoms.cell.array.copy(),
            "before": float(before),
            "steps": int(steps.nsteps),
            "converged": bool(converged),
            "fmax": float(np.linalg.norm(atoms.get_forces(), axis=1).max()),
            **{name: self.calculator.get_property(name, atoms) for name in names},
        }
