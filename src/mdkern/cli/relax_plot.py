"""The picture of ``mdkern relax --plot``: energies, volumes and steps of many frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mdkern.cli.plots import BLUE, GREY, INK, ORANGE, RED, TEAL, new_figure, save, style

if TYPE_CHECKING:
    from mdkern.relaxation_settings import Settings

__all__ = ["plot_rows"]

_FEW = 60  # frames that are drawn one by one


def plot_rows(path: str, rows: Sequence[Mapping[str, Any]], settings: Settings) -> None:
    """Energy per atom, volume per atom and steps, before and after.

    Parameters
    ----------
    path : str
        .png, .svg or .pdf.
    rows : sequence of dict
        See :func:`mdkern.cli.relax_report.row_of`.
    settings : mdkern.relaxation_settings.Settings
    """
    done = [row for row in rows if row["energy"] is not None]
    with style():
        figure = new_figure(10.0, 7.1)
        axes = figure.subplots(2, 2)
        _energies(axes[0, 0], done)
        _gains(axes[0, 1], done)
        _volumes(axes[1, 0], done)
        _steps(axes[1, 1], rows, settings)
        n = sum(bool(row["converged"]) for row in rows)
        failed = sum(bool(row["failed"]) for row in rows)
        told = f"{n:,} of {len(rows):,} frames converged"
        if failed:
            told += f", {failed:,} failed"
        told += f"; {settings.optimizer}, cell {settings.cell}, fmax {settings.fmax:g} eV/Å"
        figure.suptitle(told, x=0.012, ha="left", fontsize=10, color=GREY)
        figure.tight_layout(rect=(0, 0, 1, 0.98), w_pad=2.5, h_pad=2.0)
        save(figure, path)


def _per_atom(rows: Sequence[Mapping[str, Any]], name: str) -> Any:
    return np.array([row[name] / row["n_atoms"] for row in rows], dtype=float)


def _nothing(ax: Any, title: str, why: str = "no frame was evaluated") -> None:
    ax.set_title(title)
    ax.text(0.5, 0.5, why, ha="center", color=GREY, transform=ax.transAxes)
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)


def _energies(ax: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Of each frame, before and after."""
    if not rows:
        return _nothing(ax, "Energy")
    x = np.array([row["frame"] for row in rows])
    before, after = _per_atom(rows, "before"), _per_atom(rows, "energy")
    few = len(rows) <= _FEW
    if few:
        ax.vlines(x, after, before, color=GREY, lw=1)
        ax.set_xlim(x.min() - 0.6, x.max() + 0.6)
    size = 28 if few else 8
    ax.scatter(x, before, s=size, facecolor="white", edgecolor=ORANGE, lw=1.2 if few else 0.6, label="before", zorder=3)  # fmt: skip
    ax.scatter(x, after, s=size, color=BLUE, lw=0, label="after", zorder=4)
    # Frames that began with atoms on top of each other would hide all others.
    # Under pressure the energy may rise.
    low = float(min(after.min(), before.min()))
    high = float(np.percentile(before, 95))
    high = max(high, float(after.max()))
    room = 0.06 * max(high - low, 1e-3)
    hidden = int((before > high + 2 * room).sum())
    ax.set_ylim(low - room, high + 2 * room)
    ax.ticklabel_format(axis="y", useOffset=False)
    title = "Energy" if not hidden else f"Energy ({hidden} began above)"
    ax.set(title=title, xlabel="frame", ylabel="E / (eV/atom)")
    ax.xaxis.get_major_locator().set_params(integer=True)
    # Beside the title: frames may be anywhere.
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 0.99), ncols=2, handletextpad=0.2)
    return None


def _gains(ax: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """By how much energies became lower."""
    title = "Energy gained"
    if not rows:
        return _nothing(ax, title)
    gained = 1e3 * (_per_atom(rows, "before") - _per_atom(rows, "energy"))
    least = float(gained.min())
    if least > 0.0 and float(gained.max()) > 100.0 * least:
        edges = np.geomspace(0.999 * least, 1.001 * gained.max(), _bins(rows) + 1)
        ax.set_xscale("log")
    else:
        edges = np.histogram_bin_edges(gained, _bins(rows))
    ax.hist(gained, bins=edges, color=BLUE, alpha=0.85, lw=0)
    middle = float(np.median(gained))
    ax.axvline(middle, color=INK, lw=1, ls="--", label=f"median {middle:.3g} meV/atom")
    ax.set(title=title, xlabel="E before − after / (meV/atom)", ylabel="frames")
    _whole(ax)
    ax.legend(loc="upper right")
    return None


def _volumes(ax: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Before and after, or, where no volume has changed, what is left of the forces."""
    every, rows = rows, [row for row in rows if row["volume"] is not None]
    before, after = _per_atom(rows, "volume_before"), _per_atom(rows, "volume")
    if not rows or np.allclose(before, after, rtol=1e-9):
        return _forces(ax, every)
    ends = [min(before.min(), after.min()), max(before.max(), after.max())]
    room = 0.05 * max(ends[1] - ends[0], 1e-3)
    limits = (ends[0] - room, ends[1] + room)
    ax.plot(limits, limits, color=GREY, lw=1, ls=":", zorder=1)
    for good, color, label in ((True, TEAL, "converged"), (False, ORANGE, "not converged")):
        chosen = np.array([bool(row["converged"]) is good for row in rows])
        if chosen.any():
            size = 26 if len(rows) <= _FEW else 10
            ax.scatter(
                before[chosen], after[chosen], s=size, color=color, alpha=0.8, lw=0, label=label
            )
    change = 100 * (after / before - 1)
    ax.set(
        title=f"Volume, {change.mean():+.2g} % on average",
        xlabel="V before / (Å³/atom)",
        ylabel="V after / (Å³/atom)",
        xlim=limits,
        ylim=limits,
    )
    ax.legend(loc="best", handletextpad=0.2)
    return None


def _forces(ax: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    title = "Longest force at the end"
    if not rows:
        return _nothing(ax, title)
    left = np.array([row["fmax"] for row in rows], dtype=float)
    left = left[left > 0.0]
    if not left.size:
        return _nothing(ax, title, "all forces are zero")
    if left.max() > 10.0 * left.min():
        edges = np.geomspace(0.999 * left.min(), 1.001 * left.max(), _bins(rows) + 1)
        ax.set_xscale("log")
    else:  # a logarithmic axis would have no room for its numbers
        edges = np.histogram_bin_edges(left, _bins(rows))
        ax.locator_params(axis="x", nbins=6)
    ax.hist(left, bins=edges, color=TEAL, alpha=0.85, lw=0)
    ax.set(title=title, xlabel="F / (eV/Å)", ylabel="frames")
    _whole(ax)
    return None


def _steps(ax: Any, rows: Sequence[Mapping[str, Any]], settings: Settings) -> None:
    """How many were taken, by how the frames ended."""
    kinds: dict[str, tuple[str, list[int]]] = {
        "converged": (TEAL, []),
        "not converged": (ORANGE, []),
        "failed": (RED, []),
    }
    for row in rows:
        kind = "failed" if row["failed"] else "converged" if row["converged"] else "not converged"
        kinds[kind][1].append(int(row["steps"]))
    shown = {name: (c, steps) for name, (c, steps) in kinds.items() if steps}
    every = [x for _, steps in shown.values() for x in steps]
    # Whole numbers of steps in each bar.
    width = max(1, -(-(max(every) - min(every) + 1) // _bins(rows)))
    edges = np.arange(min(every) - 0.5, max(every) + width + 0.5, width)
    ax.hist(
        [steps for _, steps in shown.values()],
        bins=edges,
        stacked=True,
        color=[color for color, _ in shown.values()],
        label=[f"{name}: {len(steps):,}" for name, (_, steps) in shown.items()],
        alpha=0.85,
        lw=0,
    )
    if kinds["not converged"][1]:
        ax.axvline(settings.steps, color=INK, lw=1, ls="--")
    ax.set(title="Steps", xlabel="steps", ylabel="frames")
    _whole(ax)
    ax.legend(loc="best")


def _bins(rows: Sequence[Any]) -> int:
    return int(np.clip(2 * np.sqrt(len(rows)), 6, 40))


def _whole(ax: Any) -> None:
    """Frames are counted, and the legend needs room above the bars."""
    ax.yaxis.get_major_locator().set_params(integer=True)
    ax.set_ylim(0, 1.3 * ax.get_ylim()[1])
