"""DScribe, featomic and mdkern by turns: SOAP and ACSF, values and gradients, as a Markdown table.

    python benchmarks/compare_descriptors.py            (2 minutes)
    python benchmarks/compare_descriptors.py --quick    (1 minute)

Needs ``pip install dscribe featomic``. One thread each. SOAP: 512 atoms of silicon, displaced by 0.05 Angstrom, of one
element and with four elements at random, r_cut 5, n_max 8, l_max 6, sigma 0.5. featomic has 8 radial functions and r_cut 5
too, but sees no atom beyond it, where DScribe and mdkern see neighbors up to 6.86 Angstrom: 2.6 times as many. ACSF: 56 functions on
water, r_cut 6. Values are compared with DScribe's before anything is timed.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("RAYON_NUM_THREADS", "1")  # featomic's threads; read when it is loaded

import numpy as np
from ase import Atoms
from ase.build import bulk

import mdkern
from mdkern.bench import environment
from mdkern.bench.interleave import interleave
from mdkern.bench.systems import make
from mdkern.descriptors import ACSF, SOAP

SOAP_SETTINGS = {"r_cut": 5.0, "n_max": 8, "l_max": 6, "sigma": 0.5, "periodic": True}
ACSF_SETTINGS = {
    "r_cut": 6.0,
    "g2_params": [[eta, rs] for eta in (0.05, 0.5, 2.0) for rs in (0.0, 1.5, 3.0)],
    "g4_params": [
        [eta, zeta, lam] for eta in (0.005, 0.03) for zeta in (1, 4, 16) for lam in (-1, 1)
    ],
    "periodic": True,
}
Calls = dict[str, Callable[[], Any]]


def silicon(symbols: list[str], repeats: int = 4) -> Atoms:
    atoms = bulk("Si", cubic=True) * repeats
    rng = np.random.default_rng(1)
    atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
    atoms.symbols[:] = [symbols[k] for k in rng.integers(0, len(symbols), len(atoms))]
    return atoms


def featomic_calls(atoms: Atoms) -> Calls:
    try:
        from featomic import SoapPowerSpectrum
    except ImportError:
        return {}
    s = SOAP_SETTINGS
    calculator = SoapPowerSpectrum(
        cutoff={"radius": s["r_cut"], "smoothing": {"type": "ShiftedCosine", "width": 0.5}},
        density={"type": "Gaussian", "width": s["sigma"], "center_atom_weight": 1.0},
        basis={
            "type": "TensorProduct",
            "max_angular": s["l_max"],
            "radial": {"type": "Gto", "max_radial": s["n_max"] - 1},
        },
    )
    return {
        "values": lambda: calculator.compute(atoms, use_native_system=True),
        "gradients": lambda: calculator.compute(
            atoms, gradients=["positions"], use_native_system=True
        ),
    }


def dscribe_descriptor(name: str, **settings: Any) -> Any:
    try:
        import dscribe.descriptors
    except ImportError:
        return None
    return getattr(dscribe.descriptors, name)(**settings)


def compare(title: str, atoms: Atoms, ours: Any, theirs: Any, featomic: Calls, quick: bool) -> None:
    n = len(atoms)
    rng = np.random.default_rng(0)
    values = ours.create(atoms)
    if theirs is not None:
        expected = theirs.create(atoms)
        error = np.abs(values - expected).max() / np.abs(expected).max()
        assert error < 1e-7, f"{title}: values differ by {error} of the largest"
    weights = rng.normal(size=values.shape)
    # Centers of the Jacobian, as many as fit into the memory that is kept between calls.
    fit = int(
        230e6 / (24.0 * values.shape[1] * len(mdkern.neighbor_list("i", atoms, ours.reach)) / n)
    )
    some = list(range(0, n, -(-n // min(n, fit))))
    calls: Calls = {
        "mdkern values": lambda: ours.create(atoms),
        "mdkern vjp": lambda: ours.vjp(atoms, weights),
        "mdkern sparse": lambda: ours.derivatives_sparse(atoms, some),
    }
    per = dict.fromkeys(calls, n)
    per["mdkern sparse"] = len(some)
    if theirs is not None:
        calls["dscribe values"] = lambda: theirs.create(atoms)
    for what, call in featomic.items():
        calls[f"featomic {what}"] = call
    turns = interleave(calls, rounds=3 if quick else 15, budget=10.0 if quick else 22.0)
    print(f"\n{title}, {n} atoms, {values.shape[1]} features\n")
    print("| | us per atom | mdkern is faster by |\n|---|---|---|")
    for name in calls:
        us = 1e6 * turns.median(name) / per.get(name, n)
        ratios = []
        against = ["mdkern values"] if name.endswith("values") else ["mdkern vjp", "mdkern sparse"]
        if not name.startswith("mdkern"):
            for own in against:
                r = turns.ratio(name, own)
                scale = per[own] / n
                ratios.append(
                    f"{own.split()[1]} {r.median * scale:.1f} [{r.low * scale:.1f}, {r.high * scale:.1f}]"
                )
        print(f"| {name} | {us:.2f} | {', '.join(ratios)} |")


def threads(atoms: Atoms, ours: Any, title: str) -> None:
    weights = np.random.default_rng(0).normal(size=ours.create(atoms).shape)
    calls: Calls = {}
    for k in (1, 2):
        calls[f"values {k}"] = lambda k=k: ours.create(atoms, threads=k)  # type: ignore[misc]
        calls[f"vjp {k}"] = lambda k=k: ours.vjp(atoms, weights, threads=k)  # type: ignore[misc]
    turns = interleave(calls, rounds=15, budget=6.0)
    for what in ("values", "vjp"):
        print(f"{title}, {what}: two threads {turns.ratio(f'{what} 1', f'{what} 2')} times faster")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    around = environment(1)
    print(f"{around['cpu']}, {around['isa']}, mdkern {mdkern.__version__}")
    cases = []
    for title, symbols in (
        ("SOAP, one element", ["Si"]),
        ("SOAP, four elements", ["C", "O", "Si", "Ge"]),
    ):
        atoms = silicon(symbols)
        settings = {"species": symbols, **SOAP_SETTINGS}
        cases.append((title, atoms, SOAP(**settings), dscribe_descriptor("SOAP", **settings)))
    water = make("water-3000").atoms
    settings = {"species": ["H", "O"], **ACSF_SETTINGS}
    cases.append(("ACSF", water, ACSF(**settings), dscribe_descriptor("ACSF", **settings)))
    with mdkern.num_threads(1):
        for title, atoms, ours, theirs in cases:
            peer = featomic_calls(atoms) if isinstance(ours, SOAP) else {}
            compare(title, atoms, ours, theirs, peer, args.quick)
    print()
    for title, atoms, ours, _ in cases:
        threads(atoms, ours, title)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
