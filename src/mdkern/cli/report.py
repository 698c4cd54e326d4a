"""``mdkern md --report``: one self-contained page about a run."""

from __future__ import annotations

import html
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mdkern.cli import plots
from mdkern.cli.observer import diffusion_texts
from mdkern.cli.output import number, plus_minus, writing
from mdkern.tuning import Choice

if TYPE_CHECKING:
    from mdkern.cli.dynamics import Run
    from mdkern.cli.observer import Observer

__all__ = ["write"]


def write(path: str, run: Run, watched: Observer, facts: Mapping[str, Any]) -> None:
    """Write the page: pictures as SVG inside, numbers as tables and as JSON at the end."""
    curve, moved = watched.radial(), watched.moved
    figures = [
        ("Conserved energy", lambda ax: _energy(ax, run)),
        ("Temperature", lambda ax: _series(ax, run, "temperature_K", "T / K", plots.ORANGE)),
    ]
    if np.isfinite(run.column("pressure_GPa")).all():
        figures.append(
            ("Pressure", lambda ax: _series(ax, run, "pressure_GPa", "p / GPa", plots.RED))
        )
    if curve is not None:
        label = f"mean of {max(1, len(watched.frames))} frames"
        figures.append(
            ("Radial distribution", lambda ax: plots.draw_rdf(ax, curve, plots.TEAL, label))
        )
    if moved is not None:
        figures.append(("Mean square displacement", lambda ax: plots.draw_msd(ax, moved)))
    pictures = "\n".join(f"<figure>{_svg(draw, name)}</figure>" for name, draw in figures)
    title = f"{facts['formula']}, {facts['n_atoms']:,} atoms, {facts['ensemble']}"
    page = _PAGE.format(
        title=html.escape(title),
        summary=_table(
            _rows(
                facts,
                run.why_no_drift(),
                diffusion_texts(moved.diffusion if moved else {}, "±", "Å", "²"),
            )
        ),
        pictures=pictures,
        provenance=_table(_provenance(facts)),
        data=html.escape(json.dumps(_plain(facts), indent=1), quote=False),
    )
    with writing(path):
        Path(path).write_text(page, encoding="utf-8")


def _svg(draw: Callable[[Any], object], name: str) -> str:
    with plots.style():
        figure = plots.new_figure(5.2, 3.3)
        ax = figure.subplots()
        draw(ax)
        ax.set_title(name)
        figure.tight_layout()
        text = io.StringIO()
        # A date or random ids would make two reports of one run differ.
        with plots.hashed(name):
            figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue().partition("<svg")[2].join(("<svg", ""))


def _energy(ax: Any, run: Run) -> None:
    if np.isfinite(run.column("conserved_eV")).all():
        plots.draw_drift(ax, run)
        return
    total = 1e3 * (run.column("etot_eV") - run.column("etot_eV")[0]) / run.n_atoms
    ax.plot(run.column("time_ps"), total, color=plots.BLUE, lw=1, label="total energy")
    ax.set(xlabel="time / ps", ylabel="ΔE / (meV/atom)")
    ax.legend(loc="upper right")


def _series(ax: Any, run: Run, column: str, label: str, color: str) -> None:
    time, values = run.column("time_ps"), run.column(column)
    mean = float(values[run.settled()].mean())
    ax.plot(time, values, color=color, lw=0.8)
    ax.axhline(mean, color="#22303c", lw=1, ls="--", label=f"mean {mean:.4g}")
    ax.set(xlabel="time / ps", ylabel=label, xlim=(time[0], max(time[-1], time[0] + 1e-9)))
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.2 * (high - low))  # room for the legend
    ax.legend(loc="upper right")


def _rows(
    facts: Mapping[str, Any], why_no_drift: str, diffusion: Mapping[str, str]
) -> list[tuple[str, str]]:
    def mean(key: str, unit: str) -> str:
        value = facts[key]
        return "-" if value is None else f"{value['mean']:.5g} ± {value['std']:.2g} {unit}"

    drift = plus_minus(
        facts["drift_meV_per_atom_per_ns"],
        facts["drift_error_meV_per_atom_per_ns"],
        "meV/atom/ns",
        "±",
    )
    return [
        ("steps", f"{facts['steps']:,}, {facts['time_ps']:.6g} ps"),
        ("energy at the end", f"{number(facts['energy_end_eV_per_atom'], 8)} eV/atom"),
        ("drift", why_no_drift or drift),
        ("fluctuation", f"{number(facts['fluctuation_meV_per_atom'], 3, 'meV/atom')}"),
        ("temperature", mean("temperature_K", "K")),
        ("pressure", mean("pressure_GPa", "GPa")),
        *diffusion.items(),
        ("speed", f"{number(facts['ns_per_day'], 3)} ns/day"),
        ("", f"{number(facts['steps_per_s'])} steps/s"),
        ("", f"{number(facts['atom_steps_per_s'], 3)} atom-steps/s"),
        *([("tuned", str(Choice(**facts["tuned"])))] if facts.get("tuned") else []),
        ("ended", facts["failure"] or ("by Ctrl-C" if facts["interrupted"] else "as asked")),
    ]


def _provenance(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    names = ("structure", "potential", "potential_sha256", "seed", "timestep_fs", "version", "isa")
    more = ("threads", "skin_A", "neighbor_list_builds", "command")
    return [(name.replace("_", " "), str(facts[name])) for name in names + more]


def _table(rows: list[tuple[str, str]]) -> str:
    cells = (
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>" for name, text in rows
    )
    return f"<table>{''.join(cells)}</table>"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #22303c; max-width: 74rem; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.5rem; margin-bottom: 0.2rem; }}
h2 {{ font-size: 1.1rem; margin-top: 2rem; }}
table {{ border-collapse: collapse; }}
th {{ text-align: left; font-weight: 500; color: #7a8793; padding: 0.15rem 1.5rem 0.15rem 0; white-space: nowrap; vertical-align: top; }}
td {{ padding: 0.15rem 0; overflow-wrap: anywhere; }}
.pictures {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); gap: 1rem; }}
figure {{ margin: 0; }}
figure svg {{ width: 100%; height: auto; }}
pre {{ background: #f4f6f8; padding: 1rem; overflow-x: auto; font-size: 12px; }}
</style>
</head>
<body>
<h1>{title}</h1>
{summary}
<div class="pictures">
{pictures}
</div>
<h2>To repeat it</h2>
{provenance}
<details><summary>All numbers as JSON</summary><pre id="facts">{data}</pre></details>
</body>
</html>
"""
