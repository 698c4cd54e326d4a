"""The picture of ``mdkern demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mdkern.analysis import radial_distribution
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

_HEAT = ("#14365a", "#3f8fc0", "#f3e6bd", "#e9822d", "#a81f24")

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
            2,
            2,
            left=0.055,
            right=0.975,
            bottom=0.065,
            top=0.88,
            hspace=0.3,
            wspace=0.21,
            height_ratios=(1.18, 1.0),
        )
        _crystal(figure, figure.add_subplot(grid[0, 0]), crystal, kept[-1], run)
        energies = grid[0, 1].subgridspec(2, 1, hspace=0.12, height_ratios=(1, 1.15))
        _energies(figure.add_subplot(energies[0]), figure.add_subplot(energies[1]), run)
        _structure(figure.add_subplot(grid[1, 0]), crystal, kept)
        _speed(figure.add_subplot(grid[1, 1]), comparisons)
        _title(figure, run)
        save(figure, path)


def _title(figure: Any, run: Run) -> None:
    import mdkern

    facts = mdkern.info()
    figure.text(0.03, 0.965, "mdkern", fontsize=21, weight="bold", color=INK, va="center")
    rates = run.rates()
    figure.text(
        0.15,
        0.974,
        f"{run.n_atoms:,} copper atoms, EAM, {1e-3 * run.steps * run.timestep:.3g} ps NVE with velocity"
        f" Verlet at {run.timestep:g} fs: {rates['steps_per_s'] or 0:,.0f} steps/s, {rates['ns_per_day'] or 0:,.0f} ns/day",
        fontsize=11,
        va="center",
    )
    figure.text(
        0.15,
        0.949,
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
    centred = crystal.positions + shift - crystal.positions.mean(axis=0)
    turned = centred @ _view(azimuth=32.0, elevation=27.0)
    # A weak perspective: nearer atoms are larger.
    scale = 1.0 / (1.0 - 0.12 * turned[:, 2] / float(np.ptp(turned[:, 0])))
    order = np.argsort(turned[:, 2])
    x, y = (turned[order, :2] * scale[order, None]).T
    # Limits by hand: one Angstrom is as long in either direction and fills the panel's height.
    box = ax.get_position()
    width, height = box.width * figure.get_figwidth(), box.height * figure.get_figheight()
    spacing = crystal.cell[0, 0] / _cells(crystal) / np.sqrt(2)
    span = float(np.ptp(y)) + 1.2 * spacing
    middle = 0.5 * float(y.max() + y.min())
    ax.set_ylim(middle - span / 2, middle + span / 2)
    ax.set_xlim(-0.54 * span * width / height, 0.46 * span * width / height)
    ax.set_axis_off()
    points = 72 * height / span  # per Angstrom
    diameter = 0.92 * spacing * scale[order]
    drawn = ax.scatter(
        x,
        y,
        s=(points * diameter) ** 2,
        c=distance[order],
        cmap=LinearSegmentedColormap.from_list("heat", _HEAT),
        vmin=0.0,
        vmax=float(np.quantile(distance, 0.99)),
        linewidths=0.06 * points,
        edgecolors="#10202e",
        clip_on=False,
    )
    # A highlight turns discs into spheres. Only atoms on top get one: it is drawn over everything.
    top = _on_top(x, y, 0.5 * spacing)
    lit = 0.18 * diameter[top]
    ax.scatter(
        x[top] - lit, y[top] + lit, s=(1.3 * points * lit) ** 2, color="white", alpha=0.5, lw=0
    )
    bar = figure.colorbar(drawn, cax=ax.inset_axes((0.93, 0.12, 0.025, 0.72)))
    bar.set_label("distance from lattice site / Å")
    bar.outline.set_visible(False)
    temperature = float(run.column("temperature_K")[run.settled()].mean())
    ax.set_title(
        f"{len(atoms):,} atoms after {1e-3 * run.steps * run.timestep:.3g} ps at {temperature:.0f} K"
    )


def _cells(crystal: Atoms) -> int:
    cells: int = round((len(crystal) / 4) ** (1 / 3))
    return cells


def _view(azimuth: float, elevation: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Columns: right, up and towards the viewer."""
    a, e = np.radians(azimuth), np.radians(elevation)
    towards = np.array([np.cos(e) * np.sin(a), -np.cos(e) * np.cos(a), np.sin(e)])
    right = np.array([np.cos(a), np.sin(a), 0.0])
    return np.column_stack([right, np.cross(towards, right), towards])


def _on_top(
    x: np.ndarray[Any, np.dtype[np.float64]],
    y: np.ndarray[Any, np.dtype[np.float64]],
    radius: float,
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
    for ax in (top, bottom):
        ax.yaxis.set_label_coords(-0.075, 0.5)


def _structure(ax: Any, crystal: Atoms, kept: list[Atoms]) -> None:
    curve = radial_distribution(kept, bins=240)
    draw_rdf(ax, curve, TEAL)
    a = crystal.cell[0, 0] / _cells(crystal)
    axis = ax.get_xaxis_transform()  # heights as fractions of the panel
    for square, count in FCC_SHELLS:
        r = a * np.sqrt(square / 2)
        if r < curve[0][-1]:
            ax.axvline(r, ymax=0.8, color=RED, lw=1.1, ls=(0, (4, 2)))
            ax.text(r, 0.815, str(count), transform=axis, ha="center", color=RED, fontsize=10)
    ax.plot([], [], color=RED, lw=1.1, ls=(0, (4, 2)), label="start: fcc shells and their atoms")
    ax.plot([], [], color=TEAL, label=f"end: mean of {len(kept)} frames")
    ax.set_title("Radial distribution")
    ax.set(xlim=(1.5, curve[0][-1]), ylim=(0, 1.32 * float(curve[1].max())))
    ax.legend(loc="upper right", ncols=2, handlelength=1.8)


def _speed(ax: Any, comparisons: list[Comparison]) -> None:
    import mdkern

    for k, c in enumerate(comparisons):
        for offset, ratio, seconds, color in (
            (0.0, c.over_ase, c.ase_seconds, BLUE),
            (0.8, c.over_numpy, c.numpy_seconds, ORANGE),
        ):
            place = 2.2 * k + offset
            ax.barh(place, ratio - 1.0, left=1.0, height=0.72, color=color)
            number = ax.annotate(
                f" {_rounded(ratio)}×",
                (max(ratio, 1.0), place),
                va="center",
                weight="bold",
                color=color,
                fontsize=12,
            )
            ax.annotate(
                f"   {_time(seconds)} → {_time(c.seconds)}",
                (1.0, 0.5),
                xycoords=number,
                va="center",
                color=GREY,
                fontsize=9,
            )
    largest = max(max(c.over_ase, c.over_numpy) for c in comparisons)
    ax.set_xscale("log")
    ax.set_xlim(1.0, 10.0 * largest**1.25)
    ax.set_yticks(
        [2.2 * k + 0.4 for k in range(len(comparisons))],
        [f"{c.name}\n{c.n_atoms:,} atoms" for c in comparisons],
    )
    ax.tick_params(axis="y", length=0)
    ax.invert_yaxis()
    ax.grid(visible=False, axis="y")
    ax.spines["left"].set_visible(False)
    ax.set_title("Times faster")
    threads = mdkern.get_num_threads()
    ax.set_xlabel(
        f"one evaluation, new neighbor list; mdkern {threads} thread{'s' if threads > 1 else ''},"
        " ASE and NumPy one"
    )
    for label, color in (("than ASE's own", BLUE), ("than vectorised NumPy", ORANGE)):
        ax.barh([0], [0], color=color, label=label)
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, handlelength=1.2)


def _rounded(x: float) -> str:
    return f"{x:,.0f}" if x >= 10 else f"{x:.2g}"


def _time(seconds: float) -> str:
    if seconds >= 1.0:
        return f"{seconds:.3g} s"
    if seconds >= 1e-3:
        return f"{1e3 * seconds:.3g} ms"
    return f"{1e6 * seconds:.3g} µs"
