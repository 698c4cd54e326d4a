"""One relaxation of many crystals by torch-sim on the CPU, for compare_relax.py, which calls it with torch-sim's interpreter.

    PYTHON benchmarks/compare_torch_sim.py FRAMES.npz

The file has all atoms one behind the other, cells, and the parameters; the answer is one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

import numpy as np


def main() -> int:
    warnings.filterwarnings("ignore")
    import torch
    import torch_sim as ts
    from torch_sim.models.lennard_jones import LennardJonesModel
    from torch_sim.optimizers import frechet_cell_fire
    from torch_sim.runners import generate_force_convergence_fn

    given = np.load(sys.argv[1])
    torch.set_num_threads(int(given["threads"]))
    sigma, epsilon, rc = given["lennard_jones"].tolist()
    model = LennardJonesModel(
        sigma=sigma,
        epsilon=epsilon,
        cutoff=rc,
        dtype=torch.float64,
        compute_stress=True,
        device=torch.device("cpu"),
    )
    counts = torch.as_tensor(given["counts"])

    def state() -> ts.SimState:
        n = int(counts.sum())
        return ts.SimState(
            positions=torch.as_tensor(given["positions"]),
            masses=torch.ones(n, dtype=torch.float64),
            cell=torch.as_tensor(given["cells"]).transpose(1, 2).contiguous(),  # it has columns
            pbc=True,
            atomic_numbers=torch.full((n,), 18),
            system_idx=torch.repeat_interleave(torch.arange(len(counts)), counts),
        )

    def relax(steps: int) -> ts.SimState:
        return ts.optimize(
            state(),
            model,
            optimizer=frechet_cell_fire,
            convergence_fn=generate_force_convergence_fn(float(given["fmax"])),
            max_steps=steps,
            steps_between_swaps=1,
        )

    relax(2)  # whatever is compiled or set up once
    begin, cpu = time.perf_counter(), time.process_time()
    done = relax(int(given["steps"]))
    wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
    print(json.dumps({"wall": wall, "cpu": cpu, "energies": model(done)["energy"].tolist()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
