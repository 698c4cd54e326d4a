"""``mdkern evaluate``: a potential on many frames, with errors where they carry reference values."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mdkern.cli import potential
from mdkern.cli.options import STRUCTURE_HELP, add_reading, check_outputs, frames_index, read_frames
from mdkern.cli.output import (
    Progress,
    UsageError,
    number,
    one_line,
    print_fields,
    print_json,
    print_table,
    warning,
)
from mdkern.errors import FormatError, MDKernError
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
    add("frames", metavar="FRAMES", help=STRUCTURE_HELP)
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
    add_reading(parser)
    keys = parser.add_argument_group("reference values (default: the usual names, see below)")
    for kind in KEYS:
        keys.add_argument(f"--{kind}-key", metavar="NAME", help=f"name of the {kind}, or none")


def run(args: argparse.Namespace) -> int:
    from mdkern.cli.trajectory import BackgroundWriter, open_trajectory, trajectory_format

    if args.output and trajectory_format(args.output) == "h5md":
        raise UsageError(f"-o {args.output}: frames of different sizes do not fit H5MD")
    if args.plot:
        from mdkern.cli.plots import check_picture

        check_picture(args.plot)
    check_outputs([args.output, args.plot], [args.frames, args.potential], args.overwrite)
    keys = {kind: getattr(args, f"{kind}_key") for kind in KEYS}
    keys = {kind: name for kind, name in keys.items() if name}
    if keys.get("stress", "none") != "none" and keys.get("virial", "none") != "none":
        raise UsageError("--stress-key and --virial-key: expected one of them")
    frames = read_frames(args.frames, args.index, args)
    labels = _labels(args.frames, frames, keys)
    symbols = sorted({s for atoms in frames for s in atoms.symbols.species()})
    chosen = potential.make_potential(args.potential, symbols, 0.3)
    errors = Comparison(labels)
    done = 0
    interrupted = False
    begin = time.perf_counter()
    with contextlib.ExitStack() as stack:
        sink = None
        if args.output:
            sink = BackgroundWriter(open_trajectory(args.output, "w" if args.overwrite else "x"))
            stack.enter_context(contextlib.closing(sink))
        bar = stack.enter_context(Progress("evaluate", len(frames), not args.json))
        try:
            for atoms, result in _results(frames, chosen.calculator, args):
                errors.add(len(atoms), labels[done], result)
                if sink is not None:
                    sink.write(_frame(atoms, labels[done]), result)
                done += 1
                if bar.due():
                    bar.show(done)
        except KeyboardInterrupt:
            interrupted = True
    seconds = time.perf_counter() - begin
    errors.warn(args.frames)
    if args.plot:
        if not errors.found():
            raise UsageError(f"--plot: {args.frames} has no reference values")
        _plot(args.plot, errors)
    _report(args, chosen, frames[:done], errors, seconds)
    return 130 if interrupted else 0


def _results(
    frames: list[Atoms], calculator: Any, args: argparse.Namespace
) -> Iterator[tuple[Atoms, dict[str, Any]]]:
    """Each frame with its results; stress where it has a cell."""
    from mdkern.evaluation import GROUP, evaluate_iter

    def has_cell(atoms: Atoms) -> bool:
        return bool(atoms.cell.rank == 3)

    charges = ["charges"] if "charges" in calculator.implemented_properties else []
    first = 0
    while first < len(frames):  # runs of frames that are alike
        kind, last = has_cell(frames[first]), first + 1
        while last < len(frames) and last < first + GROUP and has_cell(frames[last]) == kind:
            last += 1
        names = ["energy", "forces", *(["stress"] if kind else []), *charges]
        part = frames[first:last]
        try:
            yield from zip(part, evaluate_iter(part, calculator, names), strict=True)
        except MDKernError as e:
            raise UsageError(f"{args.frames}, from frame {first} on: {e}") from e
        first = last


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


def _labels(path: str, frames: list[Atoms], keys: dict[str, str]) -> list[Labels]:
    """Reference values of all frames; a name that was asked for is in one of them."""
    labels = []
    for k, atoms in enumerate(frames):
        try:
            labels.append(read_labels(atoms, keys))
        except FormatError as e:
            raise UsageError(f"{path}: frame {k} of those read: {e}") from e
    found = {name for each in labels for name in each.keys.values()}
    for kind, name in keys.items():
        if name != "none" and name not in found:
            raise UsageError(f"--{kind}-key {name}: no frame of {path} has it")
    return labels


class Comparison:
    """Pairs of reference and computed values, without those that are not finite."""

    def __init__(self, labels: list[Labels]) -> None:
        self._labels = labels
        self._pairs: dict[str, tuple[list[Any], list[Any]]] = {k: ([], []) for k in QUANTITIES}
        self._without_number: Counter[str] = Counter()
        self._without_result: Counter[str] = Counter()
        self._frames: Counter[str] = Counter()

    def add(self, n_atoms: int, labels: Labels, result: dict[str, Any]) -> None:
        import numpy as np

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
                self._pairs[name][0].append(reference[finite])
                self._pairs[name][1].append(computed[finite])

    def labels(self) -> dict[str, dict[str, Any]]:
        """Which names were used in how many frames, and how many values were left out as they are no numbers."""
        names: dict[str, Counter[str]] = {}
        for each in self._labels:
            for quantity, name in each.keys.items():
                names.setdefault(quantity, Counter())[name] += 1
        return {
            quantity: {
                "names": dict(used),
                "frames": self._frames[quantity],
                "not_finite": self._without_number[quantity],
            }
            for quantity, used in names.items()
        }

    def unused(self) -> dict[str, str]:
        """Names that look like reference values, with the reason why they are none."""
        return {name: why for each in self._labels for name, why in each.unused.items()}

    def warn(self, path: str) -> None:
        """What of the reference values is not as one may think."""
        used = self.labels()
        if self.unused():
            named = "; ".join(f"{name} ({why})" for name, why in self.unused().items())
            warning(f"{path}: look like reference values and are not used: {named}; --{KEYS[0]}-key NAME"
                    " and others name some")  # fmt: skip
        differing: Counter[tuple[str, str, str]] = Counter()
        for each in self._labels:
            for quantity, others in each.differing.items():
                differing.update((quantity, each.keys[quantity], other) for other in others)
        for (quantity, name, other), n in differing.items():
            warning(
                f"{path}: {quantity}: {name} is used; {other} has other values ({n:,} of the frames)"
            )
        for quantity, facts in used.items():
            n, lost, all_frames = facts["frames"], self._without_result[quantity], len(self._labels)
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
        import numpy as np

        out: dict[str, dict[str, float | str | int]] = {}
        for name, (reference, computed) in self.found().items():
            d = computed - reference
            out[name] = {
                "unit": QUANTITIES[name][0],
                "values": len(d),
                "rmse": float(np.sqrt(np.mean(d**2))),
                "mae": float(np.mean(np.abs(d))),
                "largest": float(np.abs(d).max()),
                "mean": float(d.mean()),
            }
        return out


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


def _used(quantity: str, facts: dict[str, Any]) -> str:
    names = ", ".join(facts["names"])
    return quantity if names == quantity else f"{quantity} from {names}"


def _report(
    args: argparse.Namespace,
    chosen: potential.Potential,
    frames: list[Atoms],
    errors: Comparison,
    seconds: float,
) -> None:
    import mdkern

    summary = errors.summary()
    n_atoms = sum(len(atoms) for atoms in frames)
    facts = {
        "frames": len(frames),
        "atoms": n_atoms,
        "potential": one_line(chosen.path or chosen.spec, 2000),
        "potential_sha256": chosen.sha256 or "built-in",
        "errors": summary,
        "labels": errors.labels(),
        "labels_not_used": errors.unused(),
        "seconds": seconds,
        "atoms_per_s": n_atoms / seconds if seconds > 0 else None,
        "threads": mdkern.get_num_threads(),
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
            "frames": f"{one_line(args.frames)}: {len(frames):,} frames, {n_atoms:,} atoms",
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
