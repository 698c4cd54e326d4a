"""``mdkern evaluate``: a potential on many frames, with errors where they carry reference values."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mdkern.cli import potential
from mdkern.cli.options import add_reading, check_outputs, dataset, frames_index
from mdkern.cli.output import (
    UsageError,
    number,
    one_line,
    print_fields,
    print_json,
    print_table,
    warning,
)
from mdkern.cli.scheduler import DATASET_HELP, Bad, Many, add_many, connected
from mdkern.errors import FormatError
from mdkern.io.labels import KEYS, Labels, read_labels

if TYPE_CHECKING:
    from ase import Atoms

HELP = "energies and forces of many frames, and how well they agree with reference values"
DESCRIPTION = (
    "Evaluate a potential on the frames of a file, several at a time. Where the frames carry energies,\n"
    "forces or stresses (of a reference calculation), errors are reported and can be drawn."
)
EPILOG = (
    potential.HELP
    + """
examples:
  mdkern evaluate frames.extxyz --potential Cu.eam.alloy -o out.extxyz --plot parity.png
  mdkern evaluate run.traj --index 0:100:10 --potential zhou2004 --json
  mdkern evaluate deepmd_data/ --potential model.dp --scheduler local --journal run.journal -o out.extxyz

Reference values are read under the names of ASE (energy, forces, stress), GPUMD (force, virial), MACE
(REF_energy, REF_forces, REF_stress, REF_virials), QUIP (dft_energy, dft_force, dft_virial) and NequIP
(total_energy), in any case; REF_ and dft_ go before plain names, a virial (eV) before a stress. What looks
like one and is not used is named on stderr.

The output has the frames with the potential's energy, forces and stress as results, and charges where
the model has some; reference values stay in ref_energy, ref_forces, ref_stress and ref_charges. Errors
of energies are per atom.
"""
)
QUANTITIES = {
    "energy": ("eV/atom", "energy / (eV/atom)"),
    "forces": ("eV/A", "force components / (eV/Å)"),
    "stress": ("eV/A^3", "stress components / (eV/Å³)"),
    "charges": ("e", "charges / e"),  # where the model has some
}
_PER_ATOM = ("forces", "charges")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("frames", metavar="FRAMES", help=DATASET_HELP)
    add("--potential", required=True, metavar="P", help="file or built-in potential, see below")
    add(
        "--index",
        type=frames_index,
        default=":",
        metavar="A:B:C",
        help="which frames, as in Python (default all)",
    )
    add("-o", "--output", metavar="FILE", help="frames with results, .extxyz, .xyz or .traj")
    add("--plot", metavar="FILE.png", help="parity plots against the reference values")
    add("--overwrite", action="store_true", help="replace existing outputs")
    add("--json", action="store_true", help="summary as one JSON document on stdout")
    add_many(parser)
    add_reading(parser)
    keys = parser.add_argument_group("reference values (default: the usual names, see below)")
    for kind in KEYS:
        keys.add_argument(f"--{kind}-key", metavar="NAME", help=f"name of the {kind}, or none")


def run(args: argparse.Namespace) -> int:
    from mdkern.cli.trajectory import BackgroundWriter, open_trajectory, trajectory_format
    from mdkern.evaluation import Evaluation

    if args.output and trajectory_format(args.output) == "h5md":
        raise UsageError(f"-o {args.output}: frames of different sizes do not fit H5MD")
    if args.plot:
        from mdkern.cli.plots import check_picture

        check_picture(args.plot)
    continued = Many.continued(args, args.output, args.plot)
    outputs, inputs = [args.output, args.plot], [args.frames, *potential.inputs_of(args.potential)]
    check_outputs([*outputs, args.journal], inputs, args.overwrite, [*continued, args.journal])
    keys = {kind: getattr(args, f"{kind}_key") for kind in KEYS}
    keys = {kind: name for kind, name in keys.items() if name}
    if keys.get("stress", "none") != "none" and keys.get("virial", "none") != "none":
        raise UsageError("--stress-key and --virial-key: expected one of them")
    frames = dataset(args)
    chosen = potential.for_frames(args.potential, frames.again, record=frames.recorded)
    charges = ["charges"] if "charges" in chosen.calculator.implemented_properties else []
    job = Evaluation(chosen.calculator, ("energy", "forces", "stress", *charges), ("stress",))
    errors = Comparison(keys, bool(args.plot))
    n_frames = n_atoms = 0
    begin = time.perf_counter()
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(connected(args))
        many = Many(args, client, frames.number)
        results = many.results(job, frames.frames, zip_labels(args.frames, keys))
        stack.enter_context(contextlib.closing(results))
        begin = time.perf_counter()
        sink = None
        with many.until_interrupted():
            for (atoms, labels), result in results:
                if sink is None and args.output:  # now that the first frame is there
                    mode: Any = "w" if args.overwrite or continued else "x"
                    sink = BackgroundWriter(open_trajectory(args.output, mode))
                    stack.enter_context(contextlib.closing(sink))
                frame = _frame(atoms, labels) if sink is not None else atoms
                if "error" in result:
                    frame.info["error"] = result.pop("error")
                else:
                    errors.add(len(atoms), labels, result)
                if sink is not None:
                    sink.write(frame, result)
                n_frames, n_atoms = n_frames + 1, n_atoms + len(atoms)
    seconds = time.perf_counter() - begin
    errors.warn(args.frames)
    many.bad.warn(args.frames)
    if args.plot:
        if not errors.found():
            raise UsageError(f"--plot: {args.frames} has no reference values")
        _plot(args.plot, errors)
    _report(args, chosen, (n_frames, n_atoms, seconds), errors, many.bad)
    return 130 if many.interrupted else 0


def _frame(atoms: Atoms, labels: Labels) -> Atoms:
    """Copy with the reference values as ref_..."""
    frame: Atoms = atoms.copy()
    for name in QUANTITIES:  # the results take these names
        frame.info.pop(name, None)
        frame.arrays.pop(name, None)
    for name, value in labels.values.items():
        if name in _PER_ATOM:
            frame.arrays[f"ref_{name}"] = value
        else:
            frame.info[f"ref_{name}"] = value
    return frame


def zip_labels(path: str, keys: dict[str, str]) -> Callable[[Atoms], tuple[Atoms, Labels]]:
    """A frame with its reference values, for frame after frame of a file."""
    counted = itertools.count()

    def with_labels(atoms: Atoms) -> tuple[Atoms, Labels]:
        k = next(counted)
        try:
            return atoms, read_labels(atoms, keys)
        except FormatError as e:
            raise UsageError(f"{path}: frame {k} of those read: {e}") from e

    return with_labels


@dataclass
class _Sums:
    """Of the differences of one quantity."""

    values: int = 0
    total: float = 0.0
    absolute: float = 0.0
    squares: float = 0.0
    largest: float = 0.0

    def add(self, d: Any) -> None:
        import numpy as np

        self.values += d.size
        self.total += float(d.sum())
        self.absolute += float(np.abs(d).sum())
        self.squares += float((d * d).sum())
        self.largest = max(self.largest, float(np.abs(d).max()))


class Comparison:
    """Differences of reference and computed values, without those that are not finite.

    Parameters
    ----------
    keys : dict
        Names of reference values that were asked for.
    pairs : bool
        Keep all values, for a picture.
    """

    def __init__(self, keys: dict[str, str], pairs: bool) -> None:
        self._asked, self._keep = keys, pairs
        self._pairs: dict[str, tuple[list[Any], list[Any]]] = {k: ([], []) for k in QUANTITIES}
        self._sums: dict[str, _Sums] = {k: _Sums() for k in QUANTITIES}
        self._without_number: Counter[str] = Counter()
        self._without_result: Counter[str] = Counter()
        self._frames: Counter[str] = Counter()
        self._n = 0
        self._names: dict[str, Counter[str]] = {}
        self._unused: dict[str, str] = {}
        self._differing: Counter[tuple[str, str, str]] = Counter()

    def add(self, n_atoms: int, labels: Labels, result: dict[str, Any]) -> None:
        import numpy as np

        self._n += 1
        self._unused.update(labels.unused)
        for quantity, name in labels.keys.items():
            self._names.setdefault(quantity, Counter())[name] += 1
            for other in labels.differing.get(quantity, ()):
                self._differing[quantity, name, other] += 1
        for name, value in labels.values.items():
            if name not in result:
                self._without_result[name] += 1
                continue
            scale = n_atoms if name == "energy" else 1
            reference, computed = (np.ravel(x) / scale for x in (value, result[name]))
            finite = np.isfinite(reference)
            self._without_number[name] += int((~finite).sum())
            self._frames[name] += 1
            if finite.any():
                self._sums[name].add(computed[finite] - reference[finite])
                if self._keep:
                    self._pairs[name][0].append(reference[finite])
                    self._pairs[name][1].append(computed[finite])

    def labels(self) -> dict[str, dict[str, Any]]:
        """Which names were used in how many frames, and how many values were left out as they are no numbers."""
        return {
            quantity: {
                "names": dict(used),
                "frames": self._frames[quantity],
                "not_finite": self._without_number[quantity],
            }
            for quantity, used in self._names.items()
        }

    def unused(self) -> dict[str, str]:
        """Names that look like reference values, with the reason why they are none."""
        return self._unused

    def warn(self, path: str) -> None:
        """What of the reference values is not as one may think."""
        used = self.labels()
        found = {name for counted in self._names.values() for name in counted}
        for kind, name in self._asked.items():
            if name not in ("none", *found) and self._n:
                raise UsageError(f"--{kind}-key {name}: no frame of {path} has it")
        if self.unused():
            named = "; ".join(f"{name} ({why})" for name, why in self.unused().items())
            warning(f"{path}: look like reference values and are not used: {named}; --{KEYS[0]}-key NAME"
                    " and others name some")  # fmt: skip
        for (quantity, name, other), n in self._differing.items():
            warning(
                f"{path}: {quantity}: {name} is used; {other} has other values ({n:,} of the frames)"
            )
        for quantity, facts in used.items():
            n, lost, all_frames = facts["frames"], self._without_result[quantity], self._n
            if facts["not_finite"]:
                warning(
                    f"{path}: {quantity}: {facts['not_finite']:,} reference values are not finite and left out"
                )
            if lost:
                why = (
                    "these frames have no cell"
                    if quantity == "stress"
                    else "the potential has none"
                )
                warning(f"{path}: {quantity}: {lost:,} reference values are not compared: {why}")
            elif n < all_frames:
                warning(f"{path}: {quantity}: {n:,} of {all_frames:,} frames have reference values")

    def found(self) -> dict[str, tuple[Any, Any]]:
        """Name to (reference, computed), flat."""
        import numpy as np

        return {
            name: (np.concatenate(a), np.concatenate(b))
            for name, (a, b) in self._pairs.items()
            if a
        }

    def summary(self) -> dict[str, dict[str, float | str | int]]:
        """Root mean square, mean absolute and largest error of each quantity."""
        return {
            name: {
                "unit": QUANTITIES[name][0],
                "values": d.values,
                "rmse": math.sqrt(d.squares / d.values),
                "mae": d.absolute / d.values,
                "largest": d.largest,
                "mean": d.total / d.values,
            }
            for name, d in self._sums.items()
            if d.values
        }


def _plot(path: str, errors: Comparison) -> None:
    from mdkern.cli import plots

    found, summary = errors.found(), errors.summary()
    with plots.style():
        figure = plots.new_figure(4.3 * len(found), 4.1)
        axes = figure.subplots(1, len(found), squeeze=False)[0]
        for ax, (name, (reference, computed)) in zip(axes, found.items(), strict=True):
            low = float(min(reference.min(), computed.min()))
            high = float(max(reference.max(), computed.max()))
            room = 0.05 * (high - low) or 1e-3
            span = (low - room, high + room)
            ax.plot(span, span, color=plots.GREY, lw=1)
            size = 12 if len(reference) < 500 else 3
            ax.scatter(
                reference, computed, s=size, color=plots.BLUE, alpha=0.5, lw=0, rasterized=True
            )
            e = summary[name]
            ax.text(
                0.04,
                0.96,
                f"RMSE {e['rmse']:.3g}\nMAE {e['mae']:.3g}\n{e['values']:,} values",
                transform=ax.transAxes,
                va="top",
            )
            ax.set(xlim=span, ylim=span, aspect="equal", title=name.capitalize())
            ax.set(xlabel=f"reference {QUANTITIES[name][1]}", ylabel="this potential")
            ax.locator_params(nbins=5)  # small stresses have long labels
        figure.tight_layout()
        plots.save(figure, path)


def _not_done(bad: Bad) -> str:
    return f" ({len(bad.frames):,} frames failed)" if bad.frames else ""


def _used(quantity: str, facts: dict[str, Any]) -> str:
    names = ", ".join(facts["names"])
    return quantity if names == quantity else f"{quantity} from {names}"


def _report(
    args: argparse.Namespace,
    chosen: potential.Potential,
    amount: tuple[int, int, float],
    errors: Comparison,
    bad: Bad,
) -> None:
    import mdkern

    summary = errors.summary()
    n_frames, n_atoms, seconds = amount
    facts = {
        "frames": n_frames,
        "atoms": n_atoms,
        "potential": one_line(chosen.path or chosen.spec, 2000),
        "potential_sha256": chosen.sha256 or "built-in",
        "errors": summary,
        "labels": errors.labels(),
        "labels_not_used": errors.unused(),
        "seconds": seconds,
        "atoms_per_s": n_atoms / seconds if seconds > 0 else None,
        "threads": mdkern.get_num_threads() if args.scheduler is None else args.threads or 1,
        "scheduler": args.scheduler,
        "bad_frames": bad.frames,
        "isa": mdkern.get_isa(),
        "version": mdkern.__version__,
        "files": {"frames": args.output, "plot": args.plot},
    }
    if args.json:
        print_json(facts)
        return
    print_fields(
        "",
        {
            "frames": f"{one_line(args.frames)}: {n_frames:,} frames, {n_atoms:,} atoms{_not_done(bad)}",
            "potential": str(facts["potential"]),
            "time": f"{seconds:.3g} s, {number(n_atoms / max(seconds, 1e-9), 3)} atoms/s",
            "reference": "; ".join(_used(*item) for item in errors.labels().items()) or "none",
            "written": ", ".join(one_line(f) for f in (args.output, args.plot) if f) or "nothing",
        },
    )
    if not summary:
        return
    print()
    rows = [
        (
            name,
            f"{e['values']:,}",
            *(f"{e[k]:.4g}" for k in ("rmse", "mae", "largest")),
            str(e["unit"]),
        )
        for name, e in summary.items()
    ]
    print_table("errors", ("quantity", "values", "RMSE", "MAE", "largest", "unit"), rows)
