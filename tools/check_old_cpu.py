"""Small neighbor list and Lennard-Jones against NumPy, on an emulated CPU.

``qemu-x86_64 -cpu Nehalem python tools/check_old_cpu.py scalar``: the argument is the instruction
set that must be chosen there. An instruction that this CPU lacks ends the process.
"""

from __future__ import annotations

import sys

import numpy as np

import mdkern
from mdkern import _core, reference
from mdkern.potentials import LennardJones

CUTOFF = 5.0


def main(isa: str) -> None:
    assert mdkern.get_isa() == isa, f"chose {mdkern.get_isa()}, expected {isa}: {mdkern.info()}"
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*3 * [np.arange(4.0)], indexing="ij"), axis=-1).reshape(-1, 3)
    positions = 2.7 * grid + rng.uniform(-0.2, 0.2, grid.shape)
    cell, pbc = np.diag([10.8, 10.8, 12.0]), np.array([True, True, False])

    ours = mdkern.primitive_neighbor_list("ijS", pbc, cell, positions, CUTOFF)
    theirs = reference.neighbor_list("ijS", positions, cell, pbc, CUTOFF)
    pairs = [
        {(i, j, *s) for i, j, s in zip(*x[:2], x[2].tolist(), strict=True)} for x in (ours, theirs)
    ]
    assert pairs[0] == pairs[1]
    assert len(pairs[0]) == len(ours[0]) > 0

    species = np.zeros(len(positions), dtype=np.int32)
    table = _core.NeighborTable(CUTOFF, 0.3)
    table.update(positions, cell, pbc, species, 1)
    result = LennardJones(sigma=2.4, epsilon=0.01, rc=CUTOFF).compute(table)
    expected = reference.lennard_jones(positions, cell, pbc, species, 0.01, 2.4, CUTOFF)
    scale = np.abs(expected.forces).max()
    error = np.abs(result.forces - expected.forces).max() / scale
    assert error <= 1e-12, error
    assert abs(result.energy - expected.energy) <= 1e-12 * abs(expected.energy)
    print(f"{isa}: {len(pairs[0])} pairs, largest difference of forces {error:.1e} relative")


if __name__ == "__main__":
    main(sys.argv[1])
