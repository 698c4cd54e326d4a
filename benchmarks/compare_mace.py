"""MACE of mdkern and of mace-torch, by turns: energy, forces and stress through ASE, full-size models.

    python benchmarks/compare_mace.py                       (5 minutes; where mace-torch is installed, with it)
    python benchmarks/compare_mace.py --model my.model --structure frame.xyz

Models are random ones of the shapes of MACE-MP-0 small and medium and MACE-OFF small, made on the spot: by mace-torch, which saves
them as it saves any other, or where it is not installed by mdkern. Energies and forces are compared before anything is timed.
"""

from __future__ import annotations

import argparse
import json
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.io import read
from turns import deviations, evaluation, take_turns

import mdkern
from mdkern.bench import environment
from mdkern.bench.limits import Limits, measure
from mdkern.bench.mace_models import PUBLIC_SHAPES, random_mace
from mdkern.calculators import MACE

# Multiply-adds per atom of energy, forces and stress with tables, for as many neighbors as the crystals below have.
MEGA_OPERATIONS = {"small": 3.2, "medium": 8.0, "off-small": 1.5}


def made_by_torch(shape: str, path: Path) -> None:
    """A random model as mace-torch makes and saves one."""
    import torch
    from e3nn import o3
    from mace import modules

    own = PUBLIC_SHAPES[shape]
    off = shape == "off-small"
    k = own.get("channels", 128)
    numbers = (
        [1, 6, 7, 8, 9, 15, 16, 17, 35, 53]
        if off
        else [z for z in range(1, 95) if not 84 <= z <= 88]
    )
    first = "RealAgnosticInteractionBlock" if off else "RealAgnosticResidualInteractionBlock"
    torch.manual_seed(1)
    torch.set_default_dtype(torch.float64)
    kinds = modules.interaction_classes
    model = (modules.MACE if off else modules.ScaleShiftMACE)(
        r_max=4.5 if off else 6.0,
        num_bessel=8 if off else 10,
        num_polynomial_cutoff=5,
        max_ell=3,
        interaction_cls=kinds["RealAgnosticResidualInteractionBlock"],
        interaction_cls_first=kinds[first],
        num_interactions=2,
        num_elements=len(numbers),
        hidden_irreps=o3.Irreps(f"{k}x0e" + (f" + {k}x1o" if own.get("l_hidden") else "")),
        MLP_irreps=o3.Irreps("16x0e"),
        atomic_energies=np.linspace(-10.0, -1.0, len(numbers)),
        avg_num_neighbors=38.0 if off else 76.0,
        atomic_numbers=numbers,
        correlation=3,
        gate=torch.nn.functional.silu,
        **({} if off else {"atomic_inter_scale": 0.8, "atomic_inter_shift": 0.16}),
    )
    torch.save(model, path)


def crystal(shape: str, n: int) -> Atoms:
    """fcc of random elements with as many neighbors as water (OFF) or a metal (MP) has: 38 or 76 and some."""
    off = shape == "off-small"
    edge = max(1, round((n / 4) ** (1 / 3)))
    atoms = bulk("Cu", "fcc", a=3.42 if off else 3.615, cubic=True) * edge
    rng = np.random.default_rng(1)
    atoms.symbols = rng.choice(["H", "C", "N", "O"] if off else ["O", "Cu"], len(atoms))
    atoms.rattle(0.05, seed=1)
    return atoms


def torch_version() -> str | None:
    try:
        return version("mace-torch")
    except PackageNotFoundError:
        return None


def compare(name: str, atoms: Atoms, model: Any, limits: Limits, args: Any) -> dict[str, Any]:
    ways: dict[str, Any] = {
        "mdkern double": MACE(model, args.head, threads=1),
        "mdkern single": MACE(model, args.head, precision="single", threads=1),
    }
    if torch_version() is not None and isinstance(model, str):
        from mace.calculators import MACECalculator

        head = {} if args.head is None else {"head": args.head}
        for kind in ("float64", "float32"):
            ways[f"mace-torch {kind}"] = MACECalculator(
                model_paths=model, device="cpu", default_dtype=kind, **head
            )
    for way, (energy, forces) in deviations(atoms, ways).items():
        limit = 1e-4 if "single" in way or "32" in way else 1e-6
        assert energy <= limit, (way, energy)
        assert forces <= limit, (way, forces)
    turns = take_turns({way: evaluation(atoms, calc) for way, calc in ways.items()}, args.rounds)
    for way in ways:
        share = ""
        if name in MEGA_OPERATIONS and way in ("mdkern double", "mdkern single"):
            peak = limits.flops(mdkern.get_isa(), way.split()[1], 1)
            share = f"{turns.median(way) / len(atoms) / (2e6 * MEGA_OPERATIONS[name] / peak):.2f}"
        base = "mdkern double" if "64" in way or "double" in way else "mdkern single"
        print(
            f"| {name} | {len(atoms)} | {way} | {1e6 * turns.median(way) / len(atoms):.1f} | {turns.ratio(way, base)} | {share} |",
            flush=True,
        )
    return {
        "model": name,
        "atoms": len(atoms),
        "seconds": {k: v.tolist() for k, v in turns.seconds.items()},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--shapes", nargs="+", choices=sorted(MEGA_OPERATIONS), default=list(MEGA_OPERATIONS))
    add("--model", metavar="FILE", help="a file in place of these")
    add("--head", help="of the file's model")
    add(
        "--structure",
        metavar="FILE",
        help="for the file's model; by default nothing is known of it",
    )
    add("--atoms", type=int, default=108)
    add("--rounds", type=int, default=7)
    add("-o", "--output", metavar="FILE", help="JSON")
    args = parser.parse_args()
    if args.model and not args.structure:
        parser.error("--model needs --structure")
    around = environment(1)
    peer = torch_version()
    print(
        f"{around['cpu']}, {around['isa']}, mdkern {mdkern.__version__}, mace-torch {peer or 'not installed'}, {os.cpu_count()} CPUs\n"
    )
    print(
        "| model | atoms | way | us per atom | times mdkern of this precision | times the floor |\n"
        + "|---" * 6
        + "|"
    )
    rows, limits = [], measure(1, quick=True)
    if args.model:
        rows.append(compare(args.model, read(args.structure), args.model, limits, args))
    else:
        folder = Path(mkdtemp())
        for shape in args.shapes:
            model: Any = random_mace(**PUBLIC_SHAPES[shape])
            if peer is not None:
                path = folder / f"{shape}.model"
                made_by_torch(shape, path)
                model = str(path)
            rows.append(compare(shape, crystal(shape, args.atoms), model, limits, args))
    if args.output:
        text = json.dumps({"environment": around, "results": rows}, indent=2)
        Path(args.output).write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
