"""ASE's bands, displaced cells and matcalc on mdkern, by turns with ASE's plain way, as a Markdown table.

    OPENBLAS_NUM_THREADS=1 python benchmarks/compare_clients.py            (2 minutes)
    OPENBLAS_NUM_THREADS=1 python benchmarks/compare_clients.py --quick    (20 seconds)

The plain way uses mdkern's calculators too: one for each image of a band, one for all displaced cells, ASE's optimizers. matcalc's
cases need ``pip install '.[ecosystem]'``. Times are of the wall clock and of the CPU; ratios are medians over the rounds.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ase.mep
import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.optimize import FIRE

import mdkern
import mdkern.optimize
from mdkern.bench import environment
from mdkern.bench.nep_models import PUBLIC_SIZES, random_nep
from mdkern.calculators import EAM, NEP, StillingerWeber
from mdkern.mep import NEB

_SILICON = "Si Si Si 2.1683 2.0951 1.80 21.0 1.20 -0.333333333333 7.049556277 0.6022245584 4 0 0"
Calls = Mapping[str, Callable[[], Any]]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9, help="in which all take turns (default 9)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, mdkern.get_num_threads()])
    parser.add_argument("--quick", action="store_true", help="3 rounds")
    args = parser.parse_args()
    rounds = 3 if args.quick else args.rounds
    print(f"{environment(1)['cpu']}, {environment(1)['isa']}, mdkern {mdkern.__version__}")
    print(
        "\n| case | way | threads | ms | ms of CPU | faster by | by CPU |\n|---|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as folder:
        for threads in sorted(set(args.threads)):
            mdkern.set_num_threads(threads)
            for name, calls in _cases(Path(folder)).items():
                _compare(name, calls, threads, rounds)
    return 0


def _compare(name: str, calls: Calls, threads: int, rounds: int) -> None:
    seconds: dict[str, list[tuple[float, float]]] = {way: [] for way in calls}
    for _ in range(rounds):
        for way, call in calls.items():
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            seconds[way].append((time.perf_counter() - wall, time.process_time() - cpu))
    plain = np.array(seconds[next(iter(calls))])
    for way, times in seconds.items():
        ms = 1e3 * np.median(times, axis=0)
        ratio = np.median(plain / np.array(times), axis=0)
        print(
            f"| {name} | {way} | {threads} | {ms[0]:.2f} | {ms[1]:.2f} | {ratio[0]:.2f} | {ratio[1]:.2f} |",
            flush=True,
        )


def _cases(folder: Path) -> dict[str, Calls]:
    """By name; the first way of each is the plain one."""
    nep = NEP(random_nep(folder / "nep.txt", **PUBLIC_SIZES["UNEP-v1"]))  # type: ignore[arg-type]
    eam = EAM.zhou2004(["Cu"])
    (folder / "Si.sw").write_text(_SILICON)
    cases = {
        "band of 7, EAM, 107 atoms, 20 steps": _band(3, eam),
        "band of 7, EAM, 255 atoms, 20 steps": _band(4, eam),
        "band of 7, NEP, 107 atoms, 20 steps": _band(3, nep),
        "48 displaced cells, Stillinger-Weber, 504 atoms": _displaced(
            StillingerWeber(folder / "Si.sw"), "Si", 5.431
        ),
        "48 displaced cells, NEP, 504 atoms": _displaced(nep, "Cu", 3.615),
    }
    if importlib.util.find_spec("matcalc") is not None:
        cases |= _matcalc(EAM.zhou2004(["Cu", "Ni"]))
    return cases


# --- bands ----------------------------------------------------------------------------------------
def _band(repeats: int, calculator: Any) -> Calls:
    crystal = bulk("Cu", cubic=True, a=3.615) * ((repeats,) * 3)
    beside = 1 + int(np.argmin(crystal.get_distances(0, range(1, len(crystal)), mic=True)))
    ends = [crystal.copy(), crystal.copy()]
    ends[1].positions[beside] = crystal.positions[0]
    for end in ends:
        del end[0]
    images = [*(ends[0].copy() for _ in range(6)), ends[1]]
    ase.mep.NEB(images, method="improvedtangent").interpolate(mic=True)

    def walk(neb: Any) -> None:
        # Steps that do not depend on whether a model's forces make sense.
        FIRE(neb, logfile=None, dt=1e-4, dtmax=1e-4).run(fmax=1e-9, steps=20)

    def plain() -> None:
        band = [image.copy() for image in images]
        state = calculator.__getstate__()
        for image in band:
            image.calc = type(calculator).__new__(type(calculator))
            image.calc.__setstate__(dict(state, parameters=dict(state["parameters"])))
        walk(ase.mep.NEB(band, method="improvedtangent", climb=True))

    def batch() -> None:
        band = [image.copy() for image in images]
        mdkern.batch(band, calculator)
        walk(ase.mep.NEB(band, method="improvedtangent", climb=True))

    def own() -> None:
        walk(NEB([image.copy() for image in images], climb=True, calculator=calculator))

    return {"a calculator for each": plain, "mdkern.batch": batch, "mdkern.mep.NEB": own}


# --- displaced cells ------------------------------------------------------------------------------
def _displaced(calculator: Any, symbol: str, a: float) -> Calls:
    crystal = bulk(symbol, cubic=True, a=a)
    crystal *= (4, 4, 4) if len(crystal) == 8 else (4, 4, 8)
    del crystal[:8]
    cells: list[Atoms] = []
    for k in range(48):
        cells.append(crystal.copy())
        cells[-1].positions[k // 6, k // 2 % 3] += 0.01 * (-1) ** k

    def plain() -> list[Any]:
        found = []
        for cell in cells:
            atoms = cell.copy()
            atoms.calc = calculator
            found.append(atoms.get_forces())
        return found

    return {
        "get_forces of each": plain,
        "mdkern.evaluate": lambda: mdkern.evaluate(cells, calculator, ("forces",)),
    }


# --- matcalc --------------------------------------------------------------------------------------
def _matcalc(calculator: Any) -> dict[str, Calls]:
    from matcalc import ElasticityCalc, EOSCalc, RelaxCalc

    warnings.simplefilter("ignore")
    crystal = bulk("Cu", cubic=True, a=3.6) * (2, 2, 1)
    crystal.symbols[::3] = "Ni"
    crystal.rattle(0.05, seed=1)
    volumes = np.linspace(0.94, 1.06, 11) ** (1.0 / 3.0)

    def relaxed(optimizer: Any) -> Callable[[], Any]:
        return lambda: RelaxCalc(calculator, optimizer=optimizer, fmax=1e-3).calc(crystal)

    def state(optimizer: Any) -> Callable[[], Any]:
        calc = EOSCalc(calculator, optimizer=optimizer, fmax=1e-3, max_abs_strain=0.02)
        return lambda: calc.calc(crystal)

    def elastic(optimizer: Any) -> Callable[[], Any]:
        calc = ElasticityCalc(
            calculator,
            fmax=1e-3,
            relax_deformed_structures=True,
            relax_calc_kwargs={"optimizer": optimizer},
        )
        return lambda: calc.calc(crystal)

    def native_state() -> None:
        (start,) = mdkern.relax([crystal], calculator, fmax=1e-3)
        frames = []
        for scale in volumes:
            frames.append(start.copy())
            frames[-1].set_cell(start.cell * scale, scale_atoms=True)
        mdkern.relax(frames, calculator, fmax=1e-3, cell="shape")

    ase_fire, own_fire = "FIRE", mdkern.optimize.FIRE
    return {
        "RelaxCalc, EAM, 16 atoms": {
            "ASE's FIRE": relaxed(ase_fire),
            "mdkern's": relaxed(own_fire),
        },
        "EOSCalc, 11 volumes": {
            "ASE's FIRE": state(ase_fire),
            "mdkern's": state(own_fire),
            "mdkern.relax": native_state,
        },
        "ElasticityCalc, 24 strains": {
            "ASE's FIRE": elastic(ase_fire),
            "mdkern's": elastic(own_fire),
        },
    }


if __name__ == "__main__":
    raise SystemExit(main())
