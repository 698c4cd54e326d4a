"""Pictures, drawn with matplotlib's Agg canvas; matplotlib is only imported where one is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mdkern.cli.output import UsageError, plus_minus

if TYPE_CHECKING:
    from mdkern.cli.dynamics import Run

__all__ = [
    "BLUE",
    "GREY",
    "ORANGE",
    "RED",
    "TEAL",
    "check_picture",
    "check_report",
    "new_figure",
    "plot_run",
    "save",
]

INK, GREY, GRID = "#22303c", "#7a8793", "#e3e8ec"
BLUE, ORANGE, TEAL, RED = "#2f6db3", "#e08a2e", "#2a9d8f", "#c8453b"
_SUFFIXES = (".png", ".svg", ".pdf")
_STYLE = {
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.5,
    "svg.fonttype": "none",
}


def _matplotlib() -> Any:
    try:
        import matplotlib as mpl
    except ImportError:
        raise UsageError("pictures need matplotlib: pip install 'mdkern[plot]'") from None
    return mpl


def check_picture(name: str, option: str = "--plot") -> None:
    """Complain about the suffix, or that matplotlib is missing, before any work is done."""
    if Path(name).suffix not in _SUFFIXES:
        raise UsageError(f"{option} {name}: expected a name that ends in {', '.join(_SUFFIXES)}")
    _matplotlib()


def check_report(name: str) -> None:
    """The same for a page."""
    if Path(name).suffix not in (".html", ".htm"):
        raise UsageError(f"--report {name}: expected a name that ends in .html")
    _matplotlib()


def new_figure(width: float, height: float) -> Any:
    """Empty figure (inches) with a canvas of its own: no global state of pyplot is touched."""
    _matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def style() -> Any:
    """Context in which axes get this package's look."""
    return _matplotlib().rc_context(_STYLE)


def hashed(salt: str) -> Any:
    """Context in which the ids inside an SVG follow from the picture and `salt`."""
    return _matplotlib().rc_context({"svg.hashsalt": salt})


def save(figure: Any, path: str | Path) -> None:
    """Write the picture; the format follows from the suffix."""
    figure.savefig(path)


def draw_drift(ax: Any, run: Run) -> None:
    """Deviation of the conserved energy in 0.001 meV/atom, and its fitted line."""
    time = run.column("time_ps")
    energy = run.column("conserved_eV")
    settled = run.settled()
    origin = float(np.mean(energy[settled]))
    scaled = 1e6 * (energy - origin) / run.n_atoms
    ax.plot(time, scaled, color=BLUE, lw=0.8)
    drift = run.drift()
    if drift is not None:
        x = time[settled][[0, -1]]
        start = 1e6 * (energy[settled][0] - origin) / run.n_atoms
        # slope: meV/ns is ueV/ps
        y = start + 1e3 * drift.offset + drift.slope * x
        ax.plot(x, y, color=RED, lw=2, label=drift_label(run))
        spread = 6.0 * 1e3 * drift.rms
        low, high = float(np.min(scaled[settled])), float(np.max(scaled[settled]))
        ax.set_ylim(min(low, -spread, -1e-6) * 1.15, max(high, spread, 1e-6) * 1.5)
        ax.legend(loc="upper right", handlelength=1.4)
    ax.set_xlim(time[0], max(time[-1], time[0] + 1e-9))
    ax.set_xlabel("time / ps")
    ax.set_ylabel("ΔE / (µeV/atom)")


def drift_label(run: Run) -> str:
    drift = run.drift()
    if drift is None:
        return "no drift known"
    return f"drift {plus_minus(drift.slope, drift.error, 'meV/atom/ns', '±')}"


def plot_run(path: str, run: Run, name: str, curve: tuple[Any, Any] | None, n_frames: int) -> None:
    """Energy, temperature and radial distribution of a simulation.

    Parameters
    ----------
    path : str
        .png, .svg or .pdf.
    run : Run
    name : str
        Formula, for the title.
    curve : (r, g) or None
        Radial distribution; None leaves the panel out.
    n_frames : int
        Frames that `curve` was averaged over.
    """
    with style():
        columns = 3 if curve is not None else 2
        figure = new_figure(4.4 * columns, 3.7)
        axes = figure.subplots(1, columns)
        _energy_panel(axes[0], run)
        time = run.column("time_ps")
        axes[1].plot(time, run.column("temperature_K"), color=ORANGE, lw=1)
        mean = float(run.column("temperature_K")[run.settled()].mean())
        axes[1].axhline(mean, color=INK, lw=1, ls="--", label=f"mean {mean:.0f} K")
        axes[1].set(title="Temperature", xlabel="time / ps", ylabel="T / K")
        axes[1].set_xlim(0, max(time[-1], 1e-9))
        axes[1].legend(loc="upper right")
        if curve is not None:
            draw_rdf(axes[2], curve, TEAL, "" if n_frames == 1 else f"mean of {n_frames} frames")
        rates = run.rates()
        speed = "" if rates["steps_per_s"] is None else f", {rates['steps_per_s']:,.0f} steps/s"
        figure.suptitle(
            f"{name}: {run.n_atoms:,} atoms, {run.steps:,} steps of {run.timestep:g} fs{speed}",
            x=0.012,
            ha="left",
            fontsize=10,
            color=GREY,
        )
        figure.tight_layout(rect=(0, 0, 1, 0.99), w_pad=2)
        save(figure, path)


def _energy_panel(ax: Any, run: Run) -> None:
    if np.isfinite(run.column("conserved_eV")).all():
        draw_drift(ax, run)
        ax.set_title("Conserved energy")
        return
    total = 1e3 * (run.column("etot_eV") - run.column("etot_eV")[0]) / run.n_atoms
    ax.plot(run.column("time_ps"), total, color=BLUE, lw=1)
    ax.set(title="Total energy", xlabel="time / ps", ylabel="ΔE / (meV/atom)")


def draw_rdf(ax: Any, curve: tuple[Any, Any], color: str, label: str = "") -> None:
    """g(r) as a filled line."""
    r, g = curve
    ax.fill_between(r, g, color=color, alpha=0.25, lw=0)
    ax.plot(r, g, color=color, label=label or None)
    ax.axhline(1.0, color=GREY, lw=0.8, ls=":")
    ax.set(title="Radial distribution", xlabel="r / Å", ylabel="g(r)")
    ax.set(xlim=(0, r[-1]), ylim=(0, 1.12 * max(float(np.max(g)), 1.0)))
    if label:
        ax.legend(loc="upper right")
