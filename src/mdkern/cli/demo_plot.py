"""The picture of ``mdkern demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mdkern.cli.analysis import radial_distribution
from mdkern.cli.plots import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    RED,
    TEAL,
    draw_drift,
    draw_rdf,
    new_figure,
    save,
    style,
)

if TYPE_CHECKING:
    from ase import Atoms

    from mdkern.cli.comparison import Comparison
    from mdkern.cli.dynamics import Run

__all__ = ["plot_demo"]

# Neighbors of an fcc atom: squared distance in units of a^2 / 2, and how many there are.
FCC_SHELLS = ((1, 12), (2, 6), (3, 24), (4, 12), (5, 24), (6, 8), (7, 48))


def plot_demo(
    path: Path,
    crystal: Atoms,
    kept: list[Atoms],
    run: Run,
    comparisons: list[Comparison],
) -> None:
    """Four panels: the crystal, its energy over time, radial distribution, speed.

    Parameters
    ----------
    path : Path
    crystal : Atoms
        The perfect crystal of the start.
    kept : list of Atoms
        Frames of the second half of the run.
    run : Run
    comparisons : list of Comparison
    """
    with style():
        figure = new_figure(13.0, 9.4)
        grid = figure.add_gridspec(
            2, 2, left=0.055, right=0.975, bottom=0.07, top=0.875, hspace=0.34, wspace=0.2
        )
        _crystal(figure, figure.add_subplot(grid[0, 0]), crystal, kept[-1], run)
        energies = grid[0, 1].subgridspec(2, 1, hspace=0.12, height_ratios=(1, 1.15))
        _energies(figure.add_subplot(energies[0]), figure.add_subplot(energies[1]), run)
        _structure(figure.add_subplot(grid[1, 0]), crystal, kept, run)
        _speed(figure.add_subplot(grid[1, 1]), comparisons)
        _title(figure, run)
        save(figure, path)


def _title(figure: Any, run: Run) -> None:
    import mdkern

    facts = mdkern.info()
    figure.text(0.03, 0.965, "mdkern", fontsize=21, weight="bold", color=INK, va="center")
    rates = run.rates()
    figure.text(
        0.125,
        0.974,
        f"{run.n_atoms:,} copper atoms, EAM, {1e-3 * run.steps * run.timestep:.3g} ps NVE with ASE's velocity"
        f" Verlet at {run.timestep:g} fs: {rates['steps_per_s'] or 0:,.0f} steps/s, {rates['ns_per_day'] or 0:,.0f} ns/day",
        fontsize=11,
        va="center",
    )
    figure.text(
        0.125,
        0.95,
        f"version {facts['version']}, {facts['cpu']}, {facts['threads']} threads, {facts['isa']},"
        f" {facts['compiler']}",
        fontsize=9.5,
        color=GREY,
        va="center",
    )


def _crystal(figure: Any, ax: Any, crystal: Atoms, atoms: Atoms, run: Run) -> None:
    """The cube from a corner, atoms coloured by the distance from their lattice sites."""
    from matplotlib.colors import LinearSegmentedColormap

    shift = atoms.positions - crystal.positions
    shift -= shift.mean(axis=0)
    distance = np.linalg.norm(shift, axis=1)
    centred = crystal.positions + shift - crystal.cell.array.sum(axis=0) / 2
    turned = centred @ _view(azimuth=35.0, elevation=24.0)
    size = float(np.ptp(turned[:, 0]))
    # A weak perspective: nearer atoms are larger.
    scale = 1.0 / (1.0 - 0.15 * turned[:, 2] / size)
    order = np.argsort(turned[:, 2])
    x, y = (turned[order, :2] * scale[order, None]).T
    colors = LinearSegmentedColormap.from_list("heat", ["#163a5f", "#3f8fc0", "#f2e3b3", "#e9822d", "#a81f24"])
    limit = float(np.quantile(distance, 0.995))
    ax.set_aspect("equal")
    ax.set_axis_off()
    half = 0.56 * float(np.ptp(y))
    ax.set_ylim(-half, half)
    # Diameter of 0.9 nearest-neighbor distances, in points.
    height = ax.get_position().height * figure.get_figheight() * 72
    diameter = 0.9 * crystal.cell[0, 0] / _cells(crystal) / np.sqrt(2) * height / (2 * half)
    area = (diameter * scale[order]) ** 2
    drawn = ax.scatter(
        x, y, s=area, c=distance[order], cmap=colors, vmin=0, vmax=limit, linewidths=0.35, edgecolors="#10202e"
    )
    # A highlight makes discs look like spheres; drawn in between, it would be hidden correctly, so
    # only the atoms on top get one.
    top = _on_top(x, y, 0.5 * diameter * 2 * half / height)
    offset = 0.16 * diameter * 2 * half / height
    ax.scatter(x[top] - offset, y[top] + offset, s=0.05 * area[top], color="white", alpha=0.55, lw=0)
    bar = figure.colorbar(drawn, ax=ax, shrink=0.72, pad=0.02, aspect=22)
    bar.set_label("distance from lattice site / Å")
    bar.outline.set_visible(False)
    temperature = float(run.column("temperature_K")[run.settled()].mean())
    ax.set_title(f"{len(atoms):,} atoms after {1e-3 * run.steps * run.timestep:.3g} ps at {temperature:.0f} K")


def _cells(crystal: Atoms) -> int:
    return round((len(crystal) / 4) ** (1 / 3))


def _view(azimuth: float, elevation: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Columns: right, up and towards the viewer."""
    a, e = np.radians(azimuth), np.radians(elevation)
    towards = np.array([np.cos(e) * np.sin(a), -np.cos(e) * np.cos(a), np.sin(e)])
    right = np.array([np.cos(a), np.sin(a), 0.0])
    return np.column_stack([right, np.cross(towards, right), towards])


def _on_top(
    x: np.ndarray[Any, np.dtype[np.float64]], y: np.ndarray[Any, np.dtype[np.float64]], radius: float
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Atoms whose centre no later (nearer) disc covers; atoms are ordered back to front."""
    from mdkern.neighbors import primitive_neighbor_list

    flat = np.column_stack([x, y, np.zeros_like(x)])
    i, j = primitive_neighbor_list("ij", False, np.eye(3), flat, radius)
    covered = np.zeros(len(x), dtype=bool)
    covered[i[j > i]] = True
    return np.flatnonzero(~covered)


def _energies(top: Any, bottom: Any, run: Run) -> None:
    time = run.column("time_ps")
    for name, label, color in (
        ("ekin_eV", "kinetic", ORANGE),
        ("epot_eV", "potential", TEAL),
        ("etot_eV", "total", BLUE),
    ):
        values = run.column(name)
        start = run.column("epot_eV")[0] if name == "epot_eV" else 0.0
        if name == "etot_eV":
            start = values[0] - run.column("ekin_eV")[0]
        top.plot(time, 1e3 * (values - start) / run.n_atoms, color=color, label=label, lw=1.2)
    top.set(title="Energy is conserved", ylabel="E / (meV/atom)", xlim=(0, time[-1]))
    top.set_ylim(0, 1e3 * run.column("ekin_eV")[0] / run.n_atoms * 1.38)
    top.tick_params(labelbottom=False)
    top.legend(loc="upper right", ncols=3, handlelength=1.4)
    draw_drift(bottom, run)
    bottom.set_ylabel("ΔE total / (µeV/atom)")


def _structure(ax: Any, crystal: Atoms, kept: list[Atoms], run: Run) -> None:
    curve = radial_distribution(kept, bins=240)
    draw_rdf(ax, curve, TEAL)
    a = crystal.cell[0, 0] / _cells(crystal)
    top = 1.12 * float(curve[1].max())
    for square, count in FCC_SHELLS:
        r = a * np.sqrt(square / 2)
        if r < curve[0][-1]:
            ax.axvline(r, ymax=0.86, color=RED, lw=1.1, ls=(0, (4, 2)))
            ax.text(r, 0.875 * top, str(count), ha="center", va="bottom", color=RED, fontsize=9.5)
    ax.plot([], [], color=RED, lw=1.1, ls=(0, (4, 2)), label="start: fcc shells and their atoms")
    ax.plot([], [], color=TEAL, label=f"end: mean of {len(kept)} frames")
    ax.set_title("Radial distribution")
    ax.set(xlim=(1.5, curve[0][-1]), ylim=(0, 1.17 * top))
    ax.legend(loc="upper right", ncols=2, handlelength=1.8)


def _speed(ax: Any, comparisons: list[Comparison]) -> None:
    names, place = [], 0.0
    ticks = []
    for c in comparisons:
        for offset, ratio, seconds, color in (
            (0.0, c.over_ase, c.ase_seconds, BLUE),
            (0.8, c.over_numpy, c.numpy_seconds, ORANGE),
        ):
            ax.barh(place + offset, ratio, left=0, height=0.7, color=color)
            ax.text(
                ratio * 1.08,
                place + offset,
                f"{_rounded(ratio)}×",
                va="center",
                weight="bold",
                color=color,
                fontsize=11,
            )
            label = f"{_time(seconds)} → {_time(c.seconds)}"
            ax.text(1.12, place + offset, label, va="center", color="white", fontsize=9)
        ticks.append(place + 0.4)
        names.append(f"{c.name}\n{c.n_atoms:,} atoms")
        place += 2.2
    largest = max(max(c.over_ase, c.over_numpy) for c in comparisons)
    ax.set_xscale("log")
    ax.set_xlim(1, largest * 4)
    ax.set_yticks(ticks, names)
    ax.tick_params(axis="y", length=0)
    ax.invert_yaxis()
    ax.grid(visible=False, axis="y")
    ax.spines["left"].set_visible(False)
    ax.set_title("Times faster, one evaluation with a new neighbor list")
    ax.set_xlabel("ratio of times, taken in turn on this machine")
    for label, color in (("than ASE's own", BLUE), ("than vectorised NumPy", ORANGE)):
        ax.barh([0], [0], color=color, label=label)
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 0.02))


def _rounded(x: float) -> str:
    return f"{x:,.0f}" if x >= 10 else f"{x:.2g}"


def _time(seconds: float) -> str:
    if seconds >= 1.0:
        return f"{seconds:.3g} s"
    if seconds >= 1e-3:
        return f"{1e3 * seconds:.3g} ms"
    return f"{1e6 * seconds:.3g} µs"
