"""What `mdkern bench` shows: tables, a JSON document, pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mdkern.bench.limits import Limits
from mdkern.terminal import print_table

if TYPE_CHECKING:
    from mdkern.bench import Measurement
    from mdkern.bench.screening import Screening

__all__ = ["document", "print_limits", "print_measurements", "print_screenings", "title", "write"]


def title(around: dict[str, Any]) -> str:
    """CPU, ISA and threads: what every table and picture must say."""
    n = around["threads"]
    return f"{around['cpu']}, {around['isa']}, {n} thread{'s' if n > 1 else ''}"


def print_limits(limits: Limits, around: dict[str, Any]) -> None:
    """The limits, one row per kind, one column per number of threads."""
    counts = sorted({row.threads for row in limits.rows})
    kinds = dict.fromkeys((row.name, row.isa, row.unit) for row in limits.rows)
    values = {(row.name, row.isa, row.threads): row.value for row in limits.rows}
    rows = [
        [
            f"{name}, {isa}" if name.startswith("fma") else name,
            "G" + unit,
            *(f"{values[name, isa, n] / 1e9:.1f}" for n in counts),
        ]
        for name, isa, unit in kinds
    ]
    header = ["limit", "unit", *(f"{n} thread{'s' if n > 1 else ''}" for n in counts)]
    print_table(f"Limits of this machine: {title(around)}", header, rows)
    print()


def print_measurements(results: list[Measurement]) -> None:
    """Every implementation: time, per pair, over NumPy, and the share of its limit."""
    if not results:
        return
    rows = [
        [
            f"{m.kernel}, {m.system}",
            m.name,
            f"{m.n_pairs}",
            _time(m.seconds),
            f"{m.ns_per_pair:.2f}",
            str(m.speedup),
            "" if m.share is None else f"{100 * m.share:.0f} % of {m.limit}",
        ]
        for m in results
    ]
    header = ["kernel, system", "by", "pairs", "time", "ns/pair", "x NumPy [95 %]", "of the limit"]
    print_table("Kernels", header, rows)


def print_screenings(results: list[Screening]) -> None:
    """Sets of crystals: how many are relaxed in a second, and the same by ASE's loop."""
    rows = [
        [
            s.name,
            f"{s.n} of {s.n_atoms / s.n:.0f} atoms",
            f"{s.converged}",
            f"{s.steps / s.n:.0f}",
            f"{s.threads}",
            f"{s.per_second:.1f}",
            f"{1e6 * s.cpu / s.steps:.1f}",
            f"{s.ase / s.seconds:.0f}",
        ]
        for s in results
    ]
    header = [
        "model",
        "crystals",
        "converged",
        "steps",
        "threads",
        "per second",
        "us/step",
        "x ASE",
    ]
    print()
    print_table("Relaxations with all of the cell", header, rows)


def _time(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def document(
    around: dict[str, Any],
    limits: Limits,
    results: list[Measurement],
    screenings: Sequence[Screening] = (),
) -> dict[str, Any]:
    """Everything, as JSON types."""
    return {
        "environment": around,
        "caches": limits.caches,
        "limits": limits.to_list(),
        "measurements": [m.to_dict() for m in results],
        "screenings": [s.to_dict() for s in screenings],
    }


def write(
    folder: Path,
    around: dict[str, Any],
    limits: Limits,
    results: list[Measurement],
    screenings: Sequence[Screening] = (),
) -> None:
    """bench.json; with measurements also speedup, scaling and roofline as .svg and .png."""
    text = json.dumps(document(around, limits, results, screenings), indent=2)
    (folder / "bench.json").write_text(text + "\n", encoding="utf-8")
    if not results:
        return
    for name, draw in (("speedup", _speedup), ("scaling", _scaling), ("roofline", _roofline)):
        figure = draw(around, limits, results)
        for suffix in ("svg", "png"):
            figure.savefig(folder / f"{name}.{suffix}", dpi=150, bbox_inches="tight")


def _axes(around: dict[str, Any], what: str, height: float) -> tuple[Any, Any]:
    # The object interface: no window system, no global state.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, height))
    axes = figure.add_subplot()
    axes.set_title(f"{what}\n{title(around)}", fontsize=10)
    return figure, axes


def _speedup(around: dict[str, Any], limits: Limits, results: list[Measurement]) -> Any:
    """Bars with intervals, logarithmic; one group per kernel and system."""
    del limits
    shown = [m for m in results if m.name != "numpy"]
    figure, axes = _axes(around, "Speed over the NumPy reference", 1.2 + 0.26 * len(shown))
    names = list(dict.fromkeys(m.name for m in shown))
    labels, position = [], 0.0
    group = ""
    for m in shown:
        position += 1.0 if group == f"{m.kernel}, {m.system}" else 1.7
        group = f"{m.kernel}, {m.system}"
        s = m.speedup
        axes.barh(position, s.median, color=f"C{names.index(m.name) % 10}", height=0.85)
        error = [[s.median - s.low], [s.high - s.median]]
        axes.errorbar(s.median, position, xerr=error, color="black", capsize=2, lw=1)
        labels.append((position, f"{group}: {m.name}"))
    axes.set_yticks([y for y, _ in labels], [text for _, text in labels], fontsize=7)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.axvline(1.0, color="black", lw=0.8)
    axes.set_xlabel("times faster than NumPy; bar: median, whisker: 95 % interval")
    return figure


def _scaling(around: dict[str, Any], limits: Limits, results: list[Measurement]) -> Any:
    """Speed over one thread against the number of threads, with the ideal line."""
    del limits
    figure, axes = _axes(around, "Speed over one thread", 4.2)
    own = [m for m in results if m.isa == around["isa"]]
    most = max(m.threads for m in own)
    axes.plot([1, most], [1, most], "k--", lw=1, label="ideal")
    for kernel, system in dict.fromkeys((m.kernel, m.system) for m in own):
        line = sorted(
            (m.threads, m.seconds) for m in own if (m.kernel, m.system) == (kernel, system)
        )
        threads, seconds = np.array(line).T
        axes.plot(threads, seconds[0] / seconds, "o-", label=f"{kernel}, {system}")
    axes.set_xlabel("threads")
    axes.set_ylabel("times faster than one thread")
    axes.set_xticks(sorted({m.threads for m in own}))
    axes.legend(fontsize=7)
    return figure


def _roofline(around: dict[str, Any], limits: Limits, results: list[Measurement]) -> Any:
    """Operations per second over operations per walked byte, below the roofs of one thread."""
    figure, axes = _axes({**around, "threads": 1}, "Roofline, double precision", 4.8)
    x = np.logspace(-2, 3, 200)
    for k, isa in enumerate(around["isas_supported"]):
        peak = limits.flops(isa, "double", 1)
        axes.axhline(peak / 1e9, color=f"C{k}", lw=0.8, ls=":")
        axes.text(x[-1], peak / 1e9, f"fma {isa}", fontsize=7, ha="right", va="bottom")
    peak = max(limits.flops(isa, "double", 1) for isa in around["isas_supported"])
    for name in ("read", "read L3", "read L2", "read L1"):
        roof = np.minimum(limits.bandwidth(name, 1) * x, peak) / 1e9
        axes.plot(x, roof, color="black", lw=0.8)
        text = "memory" if name == "read" else name[5:]
        axes.text(x[0], roof[0], text, fontsize=7, va="bottom")
    points = [
        m
        for m in results
        if m.isa and m.threads == 1 and m.flops > 0 and not m.kernel.endswith("_single")
    ]
    kernels = list(dict.fromkeys(f"{m.kernel}, {m.system}" for m in points))
    for m in points:
        k = around["isas_supported"].index(m.isa)
        marker = "osD^vP*X<>"[kernels.index(f"{m.kernel}, {m.system}") % 10]
        label = f"{m.kernel}, {m.system}" if m.isa == around["isa"] else None
        axes.plot(m.flops / m.stream, m.flops / m.seconds / 1e9, marker, color=f"C{k}", label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("operations per byte walked through")
    axes.set_ylabel("GFLOP/s")
    axes.legend(fontsize=7, loc="lower right")
    return figure
