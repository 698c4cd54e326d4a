"""``mdkern info``: the installation, a potential file, or a structure."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mdkern.cli import info_own
from mdkern.cli.options import add_reading, refuse_empty, warn_of_many_threads
from mdkern.cli.output import (
    UsageError,
    number,
    one_line,
    print_fields,
    print_json,
    print_table,
    warning,
)
from mdkern.cli.potential import files_of, sha256
from mdkern.registry import Description, Entry, papers, recognised, resolve

HELP = "the installation, or what is in a potential or structure file"
DESCRIPTION = (
    "Without FILE: version, compiler, instruction set, threads and CPU. With FILE: what a potential\n"
    "file holds (told by its content), a summary of a structure that ASE reads, or what a file that\n"
    "mdkern wrote holds: checkpoint, log, H5MD, features, pairs, linear model."
)
EPILOG = """\
examples:
  mdkern info
  mdkern info Cu_mishin1.eam.alloy
  mdkern info water.dp                  a model of DeePMD-kit
  mdkern info zhou2004                  the built-in EAM of sixteen metals
  mdkern info trajectory.extxyz --json
  mdkern info cu.data --format lammps-data:species=Cu
  mdkern info run.npz                   a checkpoint, or arrays that another command wrote
  mdkern info --cite                    papers to cite
"""

# What a result obtained with mdkern rests on, by topic.
PAPERS = {
    "ASE": "A. Hjorth Larsen et al., J. Phys.: Condens. Matter 29, 273002 (2017)",
    "NumPy": "C. R. Harris et al., Nature 585, 357 (2020)",
    "neighbor lists": "L. Verlet, Phys. Rev. 159, 98 (1967); "
    "B. Quentrec and C. Brot, J. Comput. Phys. 13, 430 (1973)",
    **papers(),
    "velocity Verlet": "W. C. Swope et al., J. Chem. Phys. 76, 637 (1982)",
    "Bussi thermostat": "G. Bussi, D. Donadio and M. Parrinello, J. Chem. Phys. 126, 014101 (2007)",
    "Langevin thermostat": "E. Vanden-Eijnden and G. Ciccotti, Chem. Phys. Lett. 429, 310 (2006)",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="potential, structure (- for standard input), or zhou2004",
    )
    parser.add_argument("--cite", action="store_true", help="print the papers to cite")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument(
        "--index",
        type=int,
        default=-1,
        metavar="N",
        help="frame of a structure file (default: the last)",
    )
    add_reading(parser)


def run(args: argparse.Namespace) -> int:
    if args.cite:
        _cite(args)
    elif args.file is None:
        _installation(args)
    elif args.file == "zhou2004":
        _zhou2004(args.json)
    else:
        _file(args)
    return 0


def _installation(args: argparse.Namespace) -> None:
    import mdkern

    facts = mdkern.info()
    if args.threads is None:  # else that has been looked at
        warn_of_many_threads(facts["threads"], facts["available_cpus"])
    if args.json:
        print_json({**facts, "python": sys.version.split()[0]})
        return
    print_fields("", {**installation_fields(facts), "Python": sys.version.split()[0]})


def installation_fields(facts: Mapping[str, Any]) -> dict[str, str]:
    """What `mdkern.info` says, for people."""
    return {
        "mdkern": facts["version"],
        "instruction set": f"{facts['isa']} (this CPU runs {', '.join(facts['isas_supported'])}; "
        f"built in: {', '.join(facts['isas_compiled'])})",
        "threads": f"{facts['threads']} of {facts['available_cpus']} available CPUs",
        "OpenMP": "yes" if facts["openmp"] else "no: kernels run on one thread",
        "CPU": facts["cpu"],
        "compiler": facts["compiler"],
    }


def _cite(args: argparse.Namespace) -> None:
    from mdkern.io.eam_facts import describe_eam

    topics, known = list(PAPERS), dict(PAPERS)
    comment: list[str] = []
    if args.file is not None:
        topics = ["ASE", "NumPy", "neighbor lists"]
        if args.file == "zhou2004":
            topics += ["EAM", "EAM, zhou2004"]
        else:
            entry = recognised(args.file) if Path(args.file).exists() else None
            # Of what nobody recognises, the reader of EAM says what is wrong.
            found = describe_eam(args.file) if entry is None else _description(args.file, entry)
            known |= {} if entry is None else {entry.title: entry.citation}
            topics += found.topics
            comment = _comment(found)
    if args.json:
        print_json({"papers": {topic: known[topic] for topic in topics}, "comment": comment})
        return
    width = max(map(len, topics))
    for topic in topics:
        print(f"{topic:{width}}  {known[topic]}")
    for line in comment:
        print(f"{'the file says':{width}}  {line}")


def _zhou2004(as_json: bool) -> None:
    from mdkern.potentials.zhou2004 import default_cutoff, zhou2004_parameters

    parameters = zhou2004_parameters()
    rows = {
        symbol: {"mass_amu": p["mass"], "r_e_A": p["re"], "cutoff_A": default_cutoff([symbol])}
        for symbol, p in parameters.items()
    }
    if as_json:
        print_json(
            {"format": "built-in EAM", "elements": rows, "citation": PAPERS["EAM, zhou2004"]}
        )
        return
    print_table(
        f"Built-in EAM: {PAPERS['EAM, zhou2004']}",
        ("element", "mass / amu", "r_e / A", "cutoff / A"),
        [
            (s, f"{v['mass_amu']:.3f}", f"{v['r_e_A']:.4f}", f"{v['cutoff_A']:.4f}")
            for s, v in rows.items()
        ],
    )


def _file(args: argparse.Namespace) -> None:
    from mdkern.errors import FormatError, UnsupportedError
    from mdkern.io.eam_facts import describe_eam
    from mdkern.io.foreign import recognise
    from mdkern.io.structures import format_of

    path, as_json = args.file, args.json
    folder = path != "-" and Path(path).is_dir()
    entry = recognised(path) if folder and not args.format and not args.occupancy else None
    if entry is not None:
        _print(path, _description(path, entry), as_json)
        return
    if path == "-" or args.format or args.occupancy or folder:
        _structure(args)
        return
    if not Path(path).exists():
        raise UsageError(f"{path}: no such file")
    refuse_empty(path)
    entry = recognised(path) if Path(path).is_file() else None
    # Files of EAM have no mark: what looks like one may be something else, and what nobody recognises is tried as one.
    marked = None if entry is None or entry.name == "eam" else entry
    if marked is not None and marked.files is not None and marked.files.describe:
        _print(path, _description(path, marked), as_json)
        return
    if info_own.print_own(path, as_json):
        return
    if marked is not None:
        _print(path, _description(path, marked), as_json)
        return
    try:
        found = describe_eam(path)
    except (FormatError, UnsupportedError) as e:
        kind = recognise(path) if entry is None else None
        if isinstance(e, UnsupportedError) and (kind is None or kind.kind == "potential"):
            raise
        no_potential = e
    else:
        _print(path, found, as_json)
        return
    if format_of(path):
        _structure(args)
        return
    try:
        _structure(args)
    except FormatError as e:
        raise UsageError(f"not a potential ({no_potential}), nor a structure ({e})") from e


def _description(path: str, entry: Entry) -> Description:
    """By the potential's own function; without one, what every potential has."""
    if entry.files is not None and entry.files.describe:
        found: Description = resolve(entry.files.describe)(path)
        return found
    from mdkern import calculators

    model = getattr(calculators, entry.calculator)(path)
    facts: dict[str, Any] = {
        "format": "" if entry.files is None else entry.files.formats,
        "species": None if model.species is None else list(model.species),
        "cutoff_A": model.cutoff,
    }
    fields = {
        "format": facts["format"],
        "species": "any" if model.species is None else ", ".join(model.species),
        "cutoff": f"{model.cutoff:.6g} A",
    }
    return Description(facts=facts, fields=fields, topics=tuple(entry.papers) or (entry.title,))


def _print(path: str, found: Description, as_json: bool) -> None:
    comment = _comment(found)
    facts = {"path": path, **found.facts, **({"comment": comment} if found.comment else {})}
    size, digest = sum(p.stat().st_size for p in files_of(path)), sha256(path)
    if as_json:
        print_json({**facts, "bytes": size, "sha256": digest})
        return
    fields = {**found.fields, "size": f"{size:,} bytes", "sha256": digest}
    fields.update({f"line {k + 1}": line for k, line in enumerate(comment)})
    print_fields(one_line(path), fields)


def _comment(found: Description) -> list[str]:
    """What a file says about itself, in printable lines."""
    return [line for line in (one_line(x, 300) for x in found.comment) if line]


def _named(keys: Mapping[str, str]) -> str:
    return ", ".join(k if k == v else f"{k} ({v})" for k, v in keys.items())


def _structure(args: argparse.Namespace) -> None:
    from mdkern.io.labels import read_labels
    from mdkern.io.structures import read_counted
    from mdkern.io.velocities import take_velocities

    path, policy = args.file, args.occupancy or "refuse"
    atoms, n_frames = read_counted(path, args.index, args.format, policy, warning)
    results = sorted(atoms.calc.results) if atoms.calc is not None else []
    labels = read_labels(atoms)
    velocities, notes = take_velocities(atoms)
    for note in notes:
        warning(f"{path}: {note}")
    periodic = "".join(c for c, p in zip("abc", atoms.pbc, strict=True) if p)
    volume = abs(float(atoms.cell.volume))
    facts: dict[str, Any] = {
        "path": path,
        "frames": n_frames,
        "index": args.index,
        "formula": atoms.get_chemical_formula(empirical=False),
        "n_atoms": len(atoms),
        "species": sorted(set(atoms.get_chemical_symbols())),
        "cell_lengths_A": atoms.cell.lengths().tolist(),
        "cell_angles_deg": atoms.cell.angles().tolist() if volume > 0 else None,
        "pbc": atoms.pbc.tolist(),
        "volume_A3": volume or None,
        "density_g_cm3": float(atoms.get_masses().sum()) / volume * 1.66053907 if volume else None,
        "momenta": bool(atoms.has("momenta")),
        "velocities": velocities or None,
        "results": results,
        "labels": labels.keys,
    }
    if args.json:
        print_json(facts)
        return
    zero = facts["momenta"]
    shown = "the last" if args.index == -1 else args.index
    cell = " ".join(f"{x:.5g}" for x in facts["cell_lengths_A"]) + " A"
    if facts["cell_angles_deg"] is not None:
        cell += ", " + " ".join(f"{x:.5g}" for x in facts["cell_angles_deg"]) + " degrees"
    print_fields(
        one_line(path),
        {
            "frames": f"{n_frames:,}" + (f" (shown: {shown})" if n_frames > 1 else ""),
            "atoms": f"{len(atoms):,}",
            "formula": facts["formula"],
            "cell": cell,
            "periodic along": ", ".join(periodic) or "nothing",
            "volume": number(facts["volume_A3"], 6, "A^3"),
            "density": number(facts["density_g_cm3"], 4, "g/cm^3"),
            "momenta": f"yes ({velocities})" if velocities else ("zero" if zero else "no"),
            "results": ", ".join(results) or "none",
            **({"labels": _named(labels.keys)} if labels.keys else {}),
        },
    )
