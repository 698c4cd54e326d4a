"""Pictures, drawn with matplotlib's Agg canvas; matplotlib is only imported where one is drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mdkern.cli.output import UsageError, plus_minus, writing

if TYPE_CHECKING:
    from mdkern.cli.dynamics import Run
    from mdkern.cli.observer import Moved, Observer

__all__ = [
    "BLUE",
    "GREY",
    "ORANGE",
    "RED",
    "TEAL",
    "check_picture",
    "check_report",
    "draw_msd",
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
    with writing(path):
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


def plot_run(path: str, run: Run, watched: Observer) -> None:
    """Energy, temperature, radial distribution and mean square displacement of a simulation.

    Parameters
    ----------
    path : str
        .png, .svg or .pdf.
    run : Run
    watched : Observer
        Panels of what it does not know are left out.
    """
    curve, moved, n_frames = watched.radial(), watched.moved, len(watched.frames)
    draw: list[Callable[[Any], None]] = [
        lambda ax: _energy_panel(ax, run),
        lambda ax: _temperature_panel(ax, run),
    ]
    if curve is not None:
        label = "" if n_frames <= 1 else f"mean of {n_frames} frames"
        draw.append(lambda ax: draw_rdf(ax, curve, TEAL, label))
    if moved is not None:
        draw.append(lambda ax: draw_msd(ax, moved))
    rows, columns = (2, 2) if len(draw) == 4 else (1, len(draw))
    with style():
        figure = new_figure(4.4 * columns + (rows > 1) * 1.2, 0.3 + 3.4 * rows)
        for ax, panel in zip(figure.subplots(rows, columns).flat, draw, strict=True):
            panel(ax)
        rates = run.rates()
        speed = "" if rates["steps_per_s"] is None else f", {rates['steps_per_s']:,.0f} steps/s"
        figure.suptitle(
            f"{watched.formula}: {run.n_atoms:,} atoms, {run.steps:,} steps of {run.timestep:g} fs{speed}",
            x=0.012,
            ha="left",
            fontsize=10,
            color=GREY,
        )
        figure.tight_layout(rect=(0, 0, 1, 0.99), w_pad=2)
        save(figure, path)


def _temperature_panel(ax: Any, run: Run) -> None:
    time, kelvin = run.column("time_ps"), run.column("temperature_K")
    ax.plot(time, kelvin, color=ORANGE, lw=1)
    mean = float(kelvin[run.settled()].mean())
    ax.axhline(mean, color=INK, lw=1, ls="--", label=f"mean {mean:.0f} K")
    ax.set(title="Temperature", xlabel="time / ps", ylabel="T / K")
    ax.set_xlim(time[0], max(time[-1], time[0] + 1e-9))
    ax.legend(loc="upper right")


def _energy_panel(ax: Any, run: Run) -> None:
    if np.isfinite(run.column("conserved_eV")).all():
        draw_drift(ax, run)
        ax.set_title("Conserved energy")
        return
    total = 1e3 * (run.column("etot_eV") - run.column("etot_eV")[0]) / run.n_atoms
    ax.plot(run.column("time_ps"), total, color=BLUE, lw=1)
    ax.set(title="Total energy", xlabel="time / ps", ylabel="ΔE / (meV/atom)")


def draw_msd(ax: Any, moved: Moved) -> None:
    """Mean square displacement of each element up to half of the time, and the lines that gave a coefficient."""
    half = max(1, len(moved.lags) // 2)
    words = {"none": "no diffusion seen", "short": "run too short"}
    colors = (BLUE, ORANGE, TEAL, RED, INK, GREY)
    for k, (symbol, square) in enumerate(moved.square.items()):
        d, color = moved.diffusion[symbol], colors[k % len(colors)]
        label = f"{symbol}: {words.get(d.kind, d.kind)}"
        if d.value is not None:
            label = f"{symbol}: D = {plus_minus(d.value, d.error, 'Å²/ps', '±')}"
        ax.plot(moved.lags[: half + 1], square[: half + 1], color=color, label=label)
        if d.value is not None and d.begin is not None and d.end is not None:
            fitted = (moved.lags >= d.begin * 0.999) & (moved.lags <= d.end * 1.001)
            t = moved.lags[fitted]
            line = square[fitted].mean() + 6 * d.value * (t - t.mean())
            ax.plot(t, line, color=INK, lw=1.2, ls="--", zorder=3)
    ax.set(title="Mean square displacement", xlabel="lag / ps", ylabel="MSD / Å²")
    ax.set(xlim=(0, moved.lags[half]), ylim=(0, None))
    low, high = ax.get_ylim()
    ax.set_ylim(low, high * (1.1 + 0.1 * len(moved.square)))  # room for the legend
    ax.legend(loc="upper left")


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
