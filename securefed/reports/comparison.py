"""Several runs side by side: their main figures, and one picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from securefed.reports.names import for_picture
from securefed.reports.record import Json
from securefed.reports.whatif_plot import plain_ticks

FIGURES = (
    "setting",
    "secure",
    "clients",
    "rounds",
    "private",
    "epsilon",
    "epsilon_this_run",
    "delta",
    "zero_shot_accuracy",
    "accuracy",
)
"""What is compared, by its name in a report. ``epsilon`` is that of all runs on the same data."""


def compared(reports: Mapping[str, Json]) -> list[Json]:
    """Return one row a run: its name and the figures of its report."""
    return [
        {"run": name}
        | {figure: report[figure] for figure in FIGURES}
        | {"unseen_accuracy": report["unseen"] and report["unseen"]["accuracy"]}
        for name, report in reports.items()
    ]


def draw(reports: Mapping[str, Json], path: Path) -> None:
    """Draw accuracy over rounds, and against epsilon, as PNG or SVG by the file's ending."""
    figure = Figure(figsize=(9.5, 3.8), layout="constrained")
    over, against = figure.subplots(1, 2, sharey=True)
    for name, report in reports.items():
        line = [report["initial_accuracy"], *report["accuracy_by_round"]]
        label = for_picture(name, 32) + ("" if report["private"] else " (NOT PRIVATE)")
        (drawn,) = over.plot(range(len(line)), line, label=label, linestyle="-" if report["private"] else ":")
        if report["private"]:
            against.plot(report["epsilon_this_run"], report["accuracy"], "o", color=drawn.get_color())
        else:
            against.axhline(report["accuracy"], color=drawn.get_color(), linestyle=":", linewidth=1)
    over.set(xlabel="round", ylabel="accuracy on the held-out split")
    against.set(xlabel="ε of the run", xscale="log")
    if spent := [report["epsilon_this_run"] for report in reports.values() if report["private"]]:
        against.set_xlim(min(spent) / 2, max(spent) * 2)
        plain_ticks(against.xaxis, [min(spent) / 2, max(spent) * 2])
    figure.legend(loc="outside lower center", ncols=min(len(reports), 3), frameon=False, fontsize="small")
    for axes in (over, against):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    figure.savefig(path, dpi=150)
