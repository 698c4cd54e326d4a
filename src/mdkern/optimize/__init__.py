"""Relaxation at native speed, with the call conventions of :mod:`ase.optimize`.

Change the import and nothing else: ``from mdkern.optimize import FIRE``. Positions, cell, forces and the neighbor list stay in
the core from one observer to the next.
"""

from __future__ import annotations

from mdkern.optimize.base import NativeOptimizer, RelaxationError
from mdkern.optimize.optimizers import BFGS, FIRE, FIRE2, LBFGS

__all__ = ["BFGS", "FIRE", "FIRE2", "LBFGS", "NativeOptimizer", "RelaxationError"]
