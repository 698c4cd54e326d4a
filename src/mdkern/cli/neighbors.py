"""``mdkern neighbors``: the neighbor list of a structure."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from mdkern.cli.options import STRUCTURE_HELP, add_reading, check_outputs, positive, read_structure
from mdkern.cli.output import (
    UsageError,
    number,
    one_line,
    print_fields,
    print_json,
    print_table,
    warning,
    writing,
)

if TYPE_CHECKING:
    from ase import Atoms

HELP = "pairs, coordination and distance shells of a structure"
DESCRIPTION = (
    "All pairs of atoms closer than the cutoff, periodic images included, each pair in both\n"
    "directions: coordination numbers, distance shells, time and memory."
)
EPILOG = """\
examples:
  mdkern neighbors POSCAR --cutoff 5
  mdkern neighbors alloy.cif --cutoff Cu-Cu=3.0,Cu-Ni=2.9,Ni-Ni=2.8
  mdkern neighbors run.extxyz --index 0 --cutoff 6 -o pairs.npz

pairs.npz has the arrays i, j, d, D, S as in ase.neighborlist (distances in Angstrom),
and cutoff where there is a single one.
"""

LETTERS = "ijdDS"
MAX_SHELLS = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("structure", metavar="STRUCTURE", help=STRUCTURE_HELP)
    parser.add_argument(
        "--cutoff",
        required=True,
        type=_cutoff,
        metavar="R",
        help="Angstrom; or by elements: A-B=R,A-C=R,...",
    )
    parser.add_argument(
        "--index", type=int, default=-1, metavar="N", help="frame of the file (default: the last)"
    )
    parser.add_argument(
        "--gap",
        type=positive,
        default=0.05,
        metavar="D",
        help="distances further apart than this are different shells (Angstrom, default 0.05)",
    )
    parser.add_argument("-o", "--output", metavar="PAIRS.npz", help="write the pairs")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    add_reading(parser)


def _cutoff(text: str) -> Any:
    if "=" not in text:
        return positive(text)
    table: dict[tuple[str, str], float] = {}
    for item in text.split(","):
        key, _, value = item.partition("=")
        a, dash, b = key.strip().partition("-")
        if not (a and dash and b):
            raise argparse.ArgumentTypeError(f"{item!r}; expected A-B=R with two chemical symbols")
        radius = positive(value)
        if table.get((a, b), table.get((b, a), radius)) != radius:
            raise argparse.ArgumentTypeError(
                f"{item!r}: {a}-{b} is given twice; expected one cutoff"
            )
        table[a, b] = radius
    return table


def run(args: argparse.Namespace) -> int:
    import numpy as np

    if args.output is not None and not args.output.endswith(".npz"):
        raise UsageError(f"-o {args.output}: expected a name that ends in .npz")
    check_outputs([args.output], [args.structure], args.overwrite)
    atoms = read_structure(args.structure, args.index, args)
    try:
        arrays, seconds = _timed(atoms, args.cutoff)
    except ValueError as e:
        raise UsageError(f"{args.structure}: {e}") from e
    _warn_of_absent_elements(args, atoms)
    facts = _facts(args, atoms, arrays, seconds)
    if args.output is not None:
        mode = "wb" if args.overwrite else "xb"
        with writing(args.output), open(args.output, mode) as file:  # noqa: PTH123
            np.savez(file, **arrays, **({"cutoff": args.cutoff} if _single(args) else {}))
    if args.json:
        print_json(facts)
    else:
        _print(facts)
    return 0


def _warn_of_absent_elements(args: argparse.Namespace, atoms: Atoms) -> None:
    if _single(args):
        return
    present = set(atoms.get_chemical_symbols())
    for pair in args.cutoff:
        absent = [symbol for symbol in dict.fromkeys(pair) if symbol not in present]
        if absent:
            warning(
                f"--cutoff {'-'.join(pair)}: {args.structure} has no {' and no '.join(absent)};"
                f" its elements are {', '.join(sorted(present)) or 'none'}"
            )


def _single(args: argparse.Namespace) -> bool:
    return not isinstance(args.cutoff, dict)


def _timed(atoms: Atoms, cutoff: Any) -> tuple[dict[str, Any], float]:
    """The list, and the median time of building it."""
    import numpy as np

    import mdkern

    times: list[float] = []
    arrays: dict[str, Any] = {}
    begin = time.perf_counter()
    while len(times) < 3 or (len(times) < 50 and time.perf_counter() - begin < 0.3):
        arrays.clear()  # the memory of one list, not of two
        start = time.perf_counter()
        values = mdkern.neighbor_list(LETTERS, atoms, cutoff)
        times.append(time.perf_counter() - start)
        arrays.update(zip(LETTERS, values, strict=True))
        del values
    return arrays, float(np.median(times))


def _facts(
    args: argparse.Namespace, atoms: Atoms, arrays: dict[str, Any], seconds: float
) -> dict[str, Any]:
    import numpy as np

    import mdkern
    from mdkern.analysis import distance_shells

    n, pairs = len(atoms), len(arrays["i"])
    coordination = np.bincount(arrays["i"], minlength=n)
    counts = np.bincount(coordination) if n else np.zeros(0, dtype=np.int64)
    symbols = np.array(atoms.get_chemical_symbols())
    by_element = {
        s: float(coordination[symbols == s].mean()) for s in sorted(set(symbols.tolist()))
    }
    memory = sum(a.nbytes for a in arrays.values())
    cutoff = args.cutoff if _single(args) else {"-".join(k): v for k, v in args.cutoff.items()}
    return {
        "structure": args.structure,
        "formula": atoms.get_chemical_formula(empirical=True),
        "n_atoms": n,
        "cutoff": cutoff,
        "n_pairs": pairs,
        "coordination": {
            "mean": float(coordination.mean()) if n else None,
            "min": int(coordination.min()) if n else None,
            "max": int(coordination.max()) if n else None,
            "by_element": by_element,
            "histogram": {int(k): int(counts[k]) for k in np.flatnonzero(counts)},
        },
        "shells": distance_shells(arrays["d"], n, args.gap),
        "seconds": seconds,
        "ns_per_pair": 1e9 * seconds / pairs if pairs else None,
        "bytes": memory,
        "bytes_per_pair": memory / pairs if pairs else None,
        "threads": mdkern.get_num_threads(),
        "isa": mdkern.get_isa(),
        "version": mdkern.__version__,
    }


def _print(facts: dict[str, Any]) -> None:
    c = facts["coordination"]
    cutoff = facts["cutoff"]
    if isinstance(cutoff, dict):
        cutoff = ", ".join(f"{k} {v:g}" for k, v in cutoff.items())
    else:
        cutoff = f"{cutoff:g}"
    elements = ", ".join(f"{s} {v:.4g}" for s, v in c["by_element"].items())
    print_fields(
        one_line(facts["structure"]),
        {
            "atoms": f"{facts['n_atoms']:,} ({facts['formula'] or 'none'})",
            "cutoff": f"{cutoff} A",
            "pairs": f"{facts['n_pairs']:,} (both directions)",
            "coordination": number(c["mean"])
            + ("" if c["mean"] is None else f" (from {c['min']} to {c['max']})"),
            "by element": elements or "-",
            "time": f"{1e3 * facts['seconds']:.3g} ms, {number(facts['ns_per_pair'], 3)} ns per pair "
            f"({facts['threads']} threads, {facts['isa']})",
            "memory": f"{facts['bytes'] / 2**20:.3g} MiB, {number(facts['bytes_per_pair'], 3)} bytes"
            f" per pair ({', '.join(LETTERS)})",
        },
    )
    _print_histogram(c["histogram"], facts["n_atoms"])
    shells = facts["shells"]
    if shells:
        print()
        print_table(
            "distance shells",
            ("shell", "distance / A", "from", "to", "neighbors per atom"),
            [
                (
                    str(k + 1),
                    *(f"{s[x]:.4f}" for x in ("mean", "min", "max")),
                    f"{s['per_atom']:.4g}",
                )
                for k, s in enumerate(shells[:MAX_SHELLS])
            ],
        )
        if len(shells) > MAX_SHELLS:
            print(f"  and {len(shells) - MAX_SHELLS} more (--json has all)")


def _print_histogram(histogram: dict[int, int], n: int) -> None:
    if not histogram:
        return
    most = max(histogram.values())
    shown = sorted(sorted(histogram, key=lambda k: -histogram[k])[:16])
    print()
    print_table(
        "coordination" + ("" if len(shown) == len(histogram) else " (the 16 most frequent)"),
        ("neighbors", "atoms", "share", ""),
        [
            (
                str(k),
                f"{histogram[k]:,}",
                f"{100 * histogram[k] / n:.1f} %",
                ("#" * max(1, round(24 * histogram[k] / most))).ljust(24),
            )
            for k in shown
        ],
    )
