"""The what-if picture of a plan: epsilon against colluders and dropouts, and accuracy against epsilon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from securefed.plan import Plan
from securefed.privacy.gdp import gaussian_epsilon, mu_of
from securefed.reports.record import Json
from securefed.reports.regions import level_of, table

BLUE, ORANGE, GREY = "#3b6ea5", "#c2571a", "#555555"

SPAN = (0.25, 32.0)
"""Epsilons of the right panel, as far as their noise was measured."""


def draw(plan: Plan, shown: Json, path: Path) -> None:
    """Draw it as PNG, SVG or PDF by the file's ending.

    Args:
        plan: The plan.
        shown: What :func:`securefed.reports.whatif.what_if` returned for it.
        path: The file.
    """
    figure = Figure(figsize=(10.5, 4.6), layout="constrained")
    degraded, reached = figure.subplots(1, 2)
    _degradation(degraded, plan, shown)
    _accuracy(reached, plan, shown)
    for axes in (degraded, reached):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    figure.savefig(path, dpi=150)


def _degradation(axes: Any, plan: Plan, shown: Json) -> None:
    rows = shown["degradation"]
    if not rows:
        _empty(axes, "no differential privacy:\nnothing to degrade")
        return
    for dropouts, style in zip(sorted({row["dropouts"] for row in rows}), ("o--", "o-"), strict=False):
        line = [(row["colluders"], row["epsilon"]) for row in rows if row["dropouts"] == dropouts]
        axes.plot(*zip(*line, strict=True), style, color=BLUE, markersize=4, label=f"{dropouts} dropouts")
    planned = next(row for row in rows if row["planned"])
    axes.plot(
        planned["colluders"], planned["epsilon"], "o", color=ORANGE, markersize=9, label="what the ledger charges"
    )
    axes.set(xlabel=f"colluding clients of {plan.clients}", ylabel=f"ε at δ = {plan.delta:g}", yscale="log")
    axes.set_title("If more collude or drop out than planned", fontsize="medium")
    plain_ticks(axes.yaxis, [row["epsilon"] for row in rows])
    _legend(axes)


def _accuracy(axes: Any, plan: Plan, shown: Json) -> None:
    found = shown["region"]
    if found is None or plan.epsilon is None:
        reason = "without noise" if plan.epsilon is None else "accuracy was not measured\nfor plans of this kind"
        _empty(axes, reason)
        return
    epsilons, means, deviations = _curve(plan)
    axes.fill_between(epsilons, means - deviations, means + deviations, color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(epsilons, means, color=BLUE, label=f"{plan.adapter.kind}: mean and standard deviation")
    axes.axhline(found["zero_shot"], color=GREY, linestyle=":", label="zero-shot")
    axes.plot(plan.epsilon, found["expected"], "o", color=ORANGE, markersize=9, label="this plan")
    if "wanted_accuracy" in shown:
        axes.axhline(shown["wanted_accuracy"], color=ORANGE, linestyle="--", linewidth=1, label="wanted")
    axes.set(xlabel=f"ε at δ = {plan.delta:g}, all else as planned", ylabel="accuracy", xscale="log")
    axes.set_title("Accuracy on the domains where it was measured", fontsize="medium")
    plain_ticks(axes.xaxis, list(epsilons))
    _legend(axes)


def _curve(plan: Plan) -> tuple[Any, Any, Any]:
    """Return epsilons whose level of noise was measured, mean accuracies and their standard deviations."""
    rows, zero = table()["adapters"][plan.adapter.kind], table()["zero_shot"]["mean"]
    levels = [row["level"] for row in rows]
    unit = level_of(plan) * mu_of(plan.epsilon or 0.0, plan.delta)  # the level at mu = 1
    least = max(gaussian_epsilon(unit / levels[-1], plan.delta), SPAN[0])
    epsilons = np.geomspace(least, max(SPAN[1], 2 * least, plan.epsilon or 0.0), 80)
    here = [unit / mu_of(epsilon, plan.delta) for epsilon in epsilons]
    gains, deviations = (np.interp(here, levels, [row[name] for row in rows]) for name in ("gain", "stdev"))
    return epsilons, zero + gains, deviations


def _legend(axes: Any) -> None:
    """Name the lines below the panel, where they hide nothing."""
    axes.legend(frameon=False, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)


def _empty(axes: Any, reason: str) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, reason, ha="center", transform=axes.transAxes)


def plain_ticks(axis: Any, values: list[float]) -> None:
    """Write a logarithmic axis in plain numbers, a few within the values."""
    steps = [base * 10.0**power for power in range(-2, 5) for base in (1, 1.5, 2, 3, 5, 7)]
    ticks = [step for step in steps if min(values) * 0.9 <= step <= max(values) * 1.1]
    axis.set_ticks(ticks[:: 1 + len(ticks) // 9], minor=False)
    axis.set_ticks([], minor=True)
    axis.set_major_formatter("{x:g}")
