"""``mdkern describe``: descriptors of the atoms of a file, a map of them, a chemiscope file."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

from mdkern.cli.options import (
    add_reading,
    check_outputs,
    dataset,
    frames_index,
    non_negative_int,
    positive,
    positive_int,
)
from mdkern.cli.output import (
    UsageError,
    number,
    one_line,
    print_fields,
    print_json,
    writing,
)
from mdkern.cli.scheduler import DATASET_HELP, Many, add_many, connected

if TYPE_CHECKING:
    from ase import Atoms

HELP = "descriptors of a structure or a trajectory, their map"
DESCRIPTION = (
    "SOAP or ACSF of every atom of every frame, as arrays; a map of the atoms by the first two\n"
    "principal components; a file for https://chemiscope.org."
)
EPILOG = """\
examples:
  mdkern describe run.extxyz --descriptor soap --r-cut 5 --n-max 8 --l-max 6 -o features.npz
  mdkern describe run.extxyz --descriptor soap --map map.png --color element --chemiscope map.json
  mdkern describe water.extxyz --descriptor acsf --r-cut 6 --g2 0.5,1.5 --g4 0.005,1,-1 -o g.npz

features.npz has the arrays features (environments, features), frame, atom, numbers, feature_names,
and descriptor: the arguments as JSON.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("frames", metavar="FRAMES", help=DATASET_HELP)
    parser.add_argument(
        "--index", type=frames_index, default=":", metavar="A:B:C", help="frames (default: all)"
    )
    parser.add_argument("--descriptor", choices=("soap", "acsf"), default="soap")
    parser.add_argument("--species", metavar="H,O", help="elements (default: those of the frames)")
    parser.add_argument(
        "--r-cut", type=positive, default=5.0, metavar="R", help="Angstrom (default 5)"
    )
    parser.add_argument("--no-periodic", action="store_true", help="ignore periodic directions")
    parser.add_argument("--average", choices=("off", "inner", "outer"), default="off",
                        help="one descriptor per frame (soap)")  # fmt: skip
    soap = parser.add_argument_group("soap")
    soap.add_argument(
        "--n-max", type=positive_int, default=8, metavar="N", help="radial functions (default 8)"
    )
    soap.add_argument(
        "--l-max",
        type=non_negative_int,
        default=6,
        metavar="L",
        help="angular momentum (default 6)",
    )
    soap.add_argument(
        "--sigma", type=positive, default=0.5, metavar="S", help="Angstrom (default 0.5)"
    )
    soap.add_argument("--rbf", choices=("gto", "polynomial"), default="gto")
    soap.add_argument("--compression", choices=("off", "mu2", "mu1nu1", "crossover"), default="off")
    soap.add_argument(
        "--smooth-cutoff", type=positive, metavar="W", help="width of a smooth end (Angstrom)"
    )
    acsf = parser.add_argument_group("acsf (repeat for several functions)")
    acsf.add_argument("--g2", type=_numbers(2), action="append", metavar="ETA,RS")
    acsf.add_argument("--g3", type=_numbers(1), action="append", metavar="KAPPA")
    acsf.add_argument("--g4", type=_numbers(3), action="append", metavar="ETA,ZETA,LAMBDA")
    acsf.add_argument("--g5", type=_numbers(3), action="append", metavar="ETA,ZETA,LAMBDA")
    out = parser.add_argument_group("output")
    out.add_argument("-o", "--output", metavar="FEATURES.npz", help="write the arrays")
    out.add_argument("--map", metavar="MAP.png", help="draw the first two principal components")
    out.add_argument("--color", default="element", metavar="WHAT",
                     help="of the map: element, frame, energy, or an array or entry of the file")  # fmt: skip
    out.add_argument("--chemiscope", metavar="MAP.json", help="write a file for chemiscope.org")
    out.add_argument("--overwrite", action="store_true", help="replace existing outputs")
    out.add_argument("--json", action="store_true", help="one JSON document on stdout")
    add_many(parser)
    add_reading(parser)


def _numbers(n: int) -> Callable[[str], list[float]]:
    def parse(text: str) -> list[float]:
        try:
            values = [float(x) for x in text.split(",")]
        except ValueError:
            values = []
        if len(values) != n:
            raise argparse.ArgumentTypeError(f"{text!r}; expected {n} numbers, as in 0.5,1.0")
        return values

    return parse


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from mdkern.cli.plots import check_picture

    if args.output is not None and not args.output.endswith(".npz"):
        raise UsageError(f"-o {args.output}: expected a name that ends in .npz")
    if args.chemiscope is not None and not args.chemiscope.endswith(".json"):
        raise UsageError(f"--chemiscope {args.chemiscope}: expected a name that ends in .json")
    if args.map is not None:
        check_picture(args.map, "--map")
    outputs = [args.output, args.map, args.chemiscope]
    continued = Many.continued(args, *outputs)
    check_outputs(
        [*outputs, args.journal], [args.frames], args.overwrite, [*continued, args.journal]
    )
    anew = args.overwrite or bool(continued)
    found = dataset(args)
    frames = list(found.frames)
    descriptor = _descriptor(args, frames)
    frames, rows, many, seconds = _describe(descriptor, frames, args)
    features = np.concatenate(rows) if rows else np.zeros((0, descriptor.get_number_of_features()))
    averaged = args.average != "off"
    frame = (
        np.arange(len(frames))
        if averaged
        else np.repeat(np.arange(len(frames)), [len(a) for a in frames])
    )
    atom = (
        np.zeros(len(frames), dtype=np.int64)
        if averaged
        else np.concatenate([np.arange(len(a)) for a in frames])
    )
    numbers = None if averaged else np.concatenate([a.numbers for a in frames])
    if args.output is not None:
        arrays: dict[str, Any] = {
            "features": features,
            "frame": frame,
            "atom": atom,
            "numbers": np.zeros(0, dtype=np.int64) if numbers is None else numbers,
            "feature_names": np.array(descriptor.feature_names()),
            "descriptor": np.array(json.dumps(descriptor.to_dict())),
        }
        mode = "wb" if anew else "xb"
        with writing(args.output), open(args.output, mode) as file:  # noqa: PTH123
            np.savez(file, **arrays)
    facts: dict[str, Any] = {
        "frames": len(frames),
        "environments": len(features),
        "features": int(features.shape[1]),
        "descriptor": descriptor.to_dict(),
        "seconds": seconds,
        "us_per_environment": 1e6 * seconds / max(1, sum(len(a) for a in frames)),
        "bad_frames": many.bad.frames,
    }
    many.bad.warn(args.frames)
    if args.map is not None or args.chemiscope is not None:
        points, explained = principal_components(features)
        facts["explained_variance"] = explained
        if args.map is not None:
            _draw(args, frames, points, explained, frame, numbers)
        if args.chemiscope is not None:
            document = chemiscope(frames, points, frame, atom, descriptor, averaged)
            mode = "w" if anew else "x"
            with writing(args.chemiscope), open(args.chemiscope, mode, encoding="utf-8") as file:  # noqa: PTH123
                json.dump(document, file)
    if args.json:
        print_json(facts)
    else:
        _print(args, facts)
    return 130 if many.interrupted else 0


def _descriptor(args: argparse.Namespace, frames: list[Atoms]) -> Any:
    from mdkern.descriptors import ACSF, SOAP

    if args.species is None:
        species: list[Any] = sorted({int(z) for a in frames for z in set(a.numbers.tolist())})
    else:
        species = [s.strip() for s in args.species.split(",") if s.strip()]
    periodic = not args.no_periodic and any(a.pbc.any() for a in frames)
    try:
        if args.descriptor == "acsf":
            if args.average != "off":
                raise UsageError("--average: for soap only")
            return ACSF(
                species,
                args.r_cut,
                args.g2,
                None if args.g3 is None else [k for (k,) in args.g3],
                args.g4,
                args.g5,
                periodic=periodic,
            )
        return SOAP(
            species,
            args.r_cut,
            args.n_max,
            args.l_max,
            args.sigma,
            args.rbf,
            compression={"mode": args.compression},
            average=args.average,
            periodic=periodic,
            smooth_cutoff=args.smooth_cutoff,
        )
    except ValueError as e:
        raise UsageError(str(e)) from e


def _describe(
    descriptor: Any, frames: list[Atoms], args: argparse.Namespace
) -> tuple[list[Atoms], list[Any], Many, float]:
    """Frames that have descriptors, these, and how it went."""
    from mdkern.cli.jobs import Description

    good, rows = [], []
    with connected(args) as client:
        many = Many(args, client, len(frames))
        begin = time.perf_counter()
        results = many.results(Description(descriptor), frames)
        with closing(results), many.until_interrupted():
            for atoms, result in results:
                if "error" not in result:
                    good.append(atoms)
                    rows.append(result["features"])
        return good, rows, many, time.perf_counter() - begin


def principal_components(features: Any) -> tuple[Any, list[float]]:
    """The first two principal components (n, 2), and the share of the variance that each explains."""
    import numpy as np

    x = features - features.mean(axis=0)
    total = float(np.einsum("ij,ij->", x, x))
    n, f = x.shape
    # The smaller of the two Gram matrices has the same eigenvalues.
    if n <= f:
        values, vectors = np.linalg.eigh(x @ x.T)
        points = vectors[:, ::-1][:, :2] * np.sqrt(np.maximum(values[::-1][:2], 0.0))
    else:
        values, vectors = np.linalg.eigh(x.T @ x)
        points = x @ vectors[:, ::-1][:, :2]
    if points.shape[1] < 2:
        points = np.pad(points, ((0, 0), (0, 2 - points.shape[1])))
    # The sign of a component is arbitrary: make its largest entry positive.
    flip = np.sign(points[np.abs(points).argmax(axis=0), [0, 1]])
    share = [float(max(v, 0.0)) / total if total > 0 else 0.0 for v in values[::-1][:2]]
    return points * np.where(flip == 0, 1.0, flip), share


def chemiscope(
    frames: list[Atoms], points: Any, frame: Any, atom: Any, descriptor: Any, averaged: bool
) -> dict[str, Any]:
    """The document that chemiscope.org loads (its JSON format, version 1)."""
    import mdkern

    target = "structure" if averaged else "atom"
    structures = []
    for a in frames:
        entry: dict[str, Any] = {"size": len(a), "names": a.get_chemical_symbols()}
        entry.update(zip("xyz", a.positions.T.tolist(), strict=True))
        if a.cell.rank == 3:
            entry["cell"] = a.cell.array.ravel().tolist()
        structures.append(entry)
    properties: dict[str, Any] = {
        f"PCA {k + 1}": {"target": target, "values": points[:, k].tolist()} for k in range(2)
    }
    if averaged:
        properties["frame"] = {"target": target, "values": frame.tolist()}
    else:
        symbols = [s for a in frames for s in a.get_chemical_symbols()]
        properties["element"] = {"target": target, "values": symbols}
        properties["frame"] = {"target": target, "values": frame.tolist()}
    document: dict[str, Any] = {
        "meta": {
            "name": f"{type(descriptor).__name__} map",
            "description": f"Made by mdkern {mdkern.__version__}: {descriptor!r}",
        },
        "structures": structures,
        "properties": properties,
        "settings": {
            "map": {
                "x": {"property": "PCA 1"},
                "y": {"property": "PCA 2"},
                "color": {"property": "frame"},
            }
        },
    }
    if not averaged:
        document["environments"] = [
            {"structure": int(s), "center": int(c), "cutoff": descriptor.r_cut}
            for s, c in zip(frame, atom, strict=True)
        ]
    return document


def _values(what: str, frames: list[Atoms], frame: Any, averaged: bool) -> Any:
    """A number for every point of the map."""
    import numpy as np

    if what == "frame":
        return frame.astype(float)
    per_frame, per_atom = [], []
    for k, a in enumerate(frames):
        results = {} if a.calc is None else a.calc.results
        found = a.arrays.get(what, results.get(what, a.info.get(what)))
        if found is None:
            raise UsageError(f"--color {what}: frame {k} has no such array, result or entry")
        try:
            value = np.asarray(found, dtype=np.float64)
        except (TypeError, ValueError):
            raise UsageError(f"--color {what}: not numbers") from None
        if value.ndim == 2 and value.shape == (len(a), 3):
            value = np.linalg.norm(value, axis=1)
        if value.shape == (len(a),):
            per_atom.append(value)
        elif value.ndim == 0:
            per_frame.append(float(value) / (len(a) if what == "energy" else 1))
        else:
            raise UsageError(
                f"--color {what}: shape {value.shape}; expected a number per atom or frame"
            )
    if len(per_frame) == len(frames):
        return np.array(per_frame)[frame]
    if len(per_atom) < len(frames):
        raise UsageError(f"--color {what}: some frames have it per atom, others not")
    return np.array([v.mean() for v in per_atom]) if averaged else np.concatenate(per_atom)


def _draw(
    args: argparse.Namespace, frames: list[Atoms], points: Any, explained: list[float], frame: Any, numbers: Any
) -> None:  # fmt: skip
    import numpy as np

    from mdkern.cli.plots import new_figure, save, style

    with style():
        figure = new_figure(6.4, 5.2)
        axes = figure.add_subplot()
        small = {"s": max(3.0, min(22.0, 3e4 / len(points))), "linewidths": 0, "alpha": 0.8}
        if args.color == "element" and numbers is not None:
            from ase.data import chemical_symbols
            from ase.data.colors import jmol_colors

            for z in np.unique(numbers):
                of = numbers == z
                # White hydrogen would not be seen.
                colour = np.asarray(jmol_colors[z]) * (0.6 if min(jmol_colors[z]) > 0.85 else 0.9)
                axes.scatter(*points[of].T, color=colour, label=chemical_symbols[z], **small)
            axes.legend(markerscale=2.0)
        else:
            what = "frame" if args.color == "element" else args.color
            values = _values(what, frames, frame, numbers is None)
            shown = axes.scatter(*points.T, c=values, cmap="viridis", **small)
            label = "energy per atom (eV)" if what == "energy" else what
            figure.colorbar(shown, ax=axes, label=label)
        share = [
            f"component {k + 1} ({100 * x:.1f} % of the variance)"
            for k, x in enumerate([*explained, 0.0][:2])
        ]
        axes.set(xlabel=share[0], ylabel=share[1])
        axes.set_title(f"{args.descriptor.upper()}, {len(points):,} environments")
        figure.tight_layout()
        save(figure, args.map)


def _print(args: argparse.Namespace, facts: dict[str, Any]) -> None:
    import mdkern

    d = facts["descriptor"]
    fields = {
        "frames": f"{facts['frames']:,}",
        "environments": f"{facts['environments']:,}",
        "descriptor": f"{d['descriptor']}, {facts['features']:,} features, r_cut {d['r_cut']:g} A",
        "time": f"{facts['seconds']:.3g} s, {number(facts['us_per_environment'], 3)} us per atom "
        f"({mdkern.get_num_threads()} threads, {mdkern.get_isa()})",
    }
    if "explained_variance" in facts:
        share = ", ".join(f"{100 * x:.1f} %" for x in facts["explained_variance"])
        fields["components"] = f"{share} of the variance"
    for name, path in (("arrays", args.output), ("map", args.map), ("chemiscope", args.chemiscope)):
        if path is not None:
            fields[name] = path
    print_fields(one_line(args.frames), fields)
