"""mdkern's potentials as a model of torch-sim: its batched optimizers and integrators, on all cores of a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress

from mdkern import checks
from mdkern.evaluation import Evaluation
from mdkern.shards import run_job
from mdkern.worker import Failure

try:
    import torch
    from torch_sim.models.interface import ModelInterface
except ImportError as e:
    msg = f"mdkern.torch_sim needs torch-sim: pip install torch-sim-atomistic ({e})"
    raise ImportError(msg, name=e.name) from e

__all__ = ["Model"]


class Model(ModelInterface):  # type: ignore[misc]
    """A ``torch_sim`` model whose systems are evaluated together in the core, as :func:`mdkern.evaluate` does.

    Results have the same bits for every number of threads, and do not depend on what else is in the batch. Nothing of
    them can be differentiated by PyTorch: the tensors are leaves.

    Parameters
    ----------
    calculator : mdkern.calculators.Calculator
        Any other ASE calculator works too, one system after the other.
    device : torch.device or str, optional
        The CPU, which is the default; states are there too.
    dtype : torch.dtype
        ``torch.float64`` or ``torch.float32``: of the states, to which runners of torch-sim convert, and of the results. The
        core computes in the precision of the calculator.
    compute_forces, compute_stress : bool
        Whether results have ``forces`` and ``stress``. Both can be set later.
    threads : int, optional
        By default :func:`mdkern.get_num_threads`.

    Raises
    ------
    TypeError
        `calculator` is none.
    ValueError
        Another device or dtype.
    """

    def __init__(
        self,
        calculator: Any,
        device: Any = None,
        dtype: Any = torch.float64,
        *,
        compute_forces: bool = True,
        compute_stress: bool = True,
        threads: int | None = None,
    ) -> None:
        super().__init__()
        self._device = torch.device("cpu" if device is None else device)
        if self._device.type != "cpu":
            raise ValueError(f"device: {device!s}; expected cpu")
        if dtype not in (torch.float64, torch.float32):
            raise ValueError(f"dtype: {dtype}; expected torch.float64 or torch.float32")
        self.calculator = checks.calculator(calculator)
        self.threads = checks.threads(threads) or None
        self._dtype = dtype
        self._compute_forces = checks.flag("compute_forces", compute_forces)
        self._compute_stress = checks.flag("compute_stress", compute_stress)
        # Lists of neighbors are those of the few systems that threads work on: the batch adds its atoms.
        self._memory_scales_with = "n_atoms"

    @property
    def compute_forces(self) -> bool:
        """Whether results have ``forces``."""
        return self._compute_forces

    @compute_forces.setter
    def compute_forces(self, value: bool) -> None:
        self._compute_forces = checks.flag("compute_forces", value)

    @property
    def compute_stress(self) -> bool:
        """Whether results have ``stress``."""
        return self._compute_stress

    @compute_stress.setter
    def compute_stress(self, value: bool) -> None:
        self._compute_stress = checks.flag("compute_stress", value)

    def forward(self, state: Any, **_: Any) -> dict[str, Any]:
        """Results of every system of a state; what other models are told by keywords does not matter here.

        Parameters
        ----------
        state : torch_sim.SimState
            With cell vectors as columns. Atoms may lie outside the cell, and the cell may be smaller than the cutoff.

        Returns
        -------
        dict of torch.Tensor
            ``energy`` (n_systems,) in eV, ``forces`` (n_atoms, 3) in eV/Angstrom, ``stress`` (n_systems, 3, 3) in eV/Angstrom^3,
            positive under tension: zeros for a system that has no cell with a volume.

        Raises
        ------
        TypeError
            `state` is none.
        ValueError
            Its dtype is not that of the model; it is not on the CPU; an element that the potential lacks. The message has the
            index of the system.
        NonFiniteError
            Atoms lie on top of each other.
        """
        wanted = ["energy"]
        if self._compute_forces:
            wanted.append("forces")
        if self._compute_stress:
            wanted.append("stress")
        frames, order = self._frames(state)
        job = Evaluation(self.calculator, tuple(wanted), where_there=("stress",))
        results = []
        for k, result in enumerate(job.warned(run_job(job, frames, None, self.threads))):
            if isinstance(result, Failure):
                raise result.of(f"system {k}")
            results.append(result)
        found = {"energy": np.array([r["energy"] for r in results])}
        if self._compute_forces:
            found["forces"] = np.empty((len(order), 3))
            found["forces"][order] = np.concatenate([r["forces"] for r in results])
        if self._compute_stress:
            none = np.zeros(6)
            found["stress"] = np.stack(
                [voigt_6_to_full_3x3_stress(r.get("stress", none)) for r in results]
            )
        return {name: torch.from_numpy(x).to(self._dtype) for name, x in found.items()}

    def _frames(self, state: Any) -> tuple[Iterator[Atoms], Any]:
        """Structures of a state, and which of its atoms these have, one behind the other."""
        if not hasattr(state, "system_idx"):
            msg = f"state: {checks.shown(state)}; expected a torch_sim.SimState"
            raise TypeError(msg)
        if state.positions.dtype != self._dtype:
            raise ValueError(
                f"state: positions of {state.positions.dtype}; expected {self._dtype}, the dtype of the model"
            )
        if state.positions.device.type != "cpu":
            raise ValueError(f"state: on {state.positions.device}; expected cpu")
        positions, cells = (x.detach().numpy().astype(float) for x in (state.positions, state.cell))
        systems, numbers = state.system_idx.numpy(), state.atomic_numbers.numpy()
        pbc = np.broadcast_to(np.asarray(state.pbc), 3)  # one flag, or one for each direction
        order = np.argsort(systems, kind="stable")
        ends = np.cumsum(np.bincount(systems, minlength=len(cells)))
        frames = (
            Atoms(numbers[own], positions[own], cell=cell.T, pbc=pbc)
            for own, cell in zip(np.split(order, ends[:-1]), cells, strict=True)
        )
        return frames, order
