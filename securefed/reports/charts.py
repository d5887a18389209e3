"""The pictures of a report, as places and texts; ``chart.svg.j2`` draws them.

Small enough to be read on a phone as they are, and without a script: a point shows its values when it is pointed at or
reached with the keyboard, and every picture has its table beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import final

from securefed.reports import tables
from securefed.reports.names import short
from securefed.reports.plane import Scale, covering
from securefed.reports.record import Json
from securefed.reports.tables import Table

WIDTH, HEIGHT = 360, 236
LEFT, RIGHT, TOP, BOTTOM = 46, 346, 14, 190

MOST_POINTS = 40
"""Points of a line that can be pointed at; of more, some."""

MOST_BARS = 16
"""Clients whose bars are drawn; the table has all."""

BAR = 22
"""Height of a bar with its room."""


@final
@dataclass(frozen=True, slots=True)
class Point:
    """A place that shows a text; ``tip`` is where that text is centred."""

    x: float
    y: float
    text: str
    color: str
    tip: float


@final
@dataclass(frozen=True, slots=True)
class Line:
    """A line through points, or a level across the picture, with a name in the legend."""

    name: str
    color: str
    points: str
    is_dashed: bool = False


@final
@dataclass(frozen=True, slots=True)
class Bar:
    """A part filled of a whole; upright in the pictures over rounds, lying in the one over clients."""

    x: float
    y: float
    width: float
    height: float
    text: str
    color: str
    label: str = ""
    value: str = ""
    whole: float = 0.0


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """One picture.

    Attributes:
        id: Names it within the page.
        title: What it shows.
        alt: The same for who does not see it, with its main values.
        table: All its values.
    """

    id: str
    title: str
    alt: str
    table: Table = field(repr=False)
    x_label: str = ""
    y_label: str = ""
    height: float = HEIGHT
    x_ticks: Sequence[tuple[float, str]] = ()
    y_ticks: Sequence[tuple[float, str]] = ()
    lines: Sequence[Line] = ()
    points: Sequence[Point] = ()
    bars: Sequence[Bar] = ()


def charts(report: Json) -> list[Chart]:
    """Return the pictures of a report; what a run without privacy does not have is left out."""
    found = [_epsilon(report), _accuracy(report), _curve(report), _budgets(report)] if report["spend"] else []
    return [*(found or [_accuracy_by_round(report)]), _dropouts(report)]


def _epsilon(report: Json) -> Chart:
    spend, number = report["spend"], report["rounds"]
    budget = spend["per_client"][spend["worst_client"]]["budget"]
    mine, total = [0.0, *spend["per_round"]], [spend["before_this_run"], *spend["total_by_round"]]
    series = {"this run": ("first", mine)}
    if total != mine:
        series["all runs on the data"] = ("second", total)
    x = Scale(0, number, LEFT, RIGHT)
    y = Scale(*covering([budget, *total, *mine], zero=True), BOTTOM, TOP)
    lines, points = _series(series, range(number + 1), x, y, lambda at, value: f"round {at}: ε = {value:.4f}")
    level = f"{LEFT},{y.place(budget)} {RIGHT},{y.place(budget)}"
    return Chart(
        id="epsilon",
        title="ε spent over the rounds",
        alt=f"ε of this run rises to {mine[-1]:.4f} over {number} rounds; the worst client's budget is {budget:.4g}.",
        table=tables.spent_by_round(report),
        x_label="round",
        y_label="ε",
        x_ticks=_whole(x),
        y_ticks=y.ticks(),
        lines=[*lines, Line("budget", "rule", level, is_dashed=True)],
        points=points,
    )


def _accuracy(report: Json) -> Chart:
    spent = [0.0, *report["spend"]["per_round"]]
    return _accuracies(report, spent, "Accuracy against ε", "ε of this run", lambda at: f"ε = {at:.4f}")


def _accuracy_by_round(report: Json) -> Chart:
    numbers = [float(number) for number in range(report["rounds"] + 1)]
    return _accuracies(report, numbers, "Accuracy over the rounds", "round", lambda at: f"round {at:.0f}")


def _accuracies(report: Json, at: list[float], title: str, label: str, named: Callable[[float], str]) -> Chart:
    values = [report["initial_accuracy"], *report["accuracy_by_round"]]
    level = report["zero_shot_accuracy"]
    x, y = Scale(0, max(at) or 1.0, LEFT, RIGHT), Scale(*covering([*values, level], zero=False), BOTTOM, TOP)
    lines, points = _series({"adapter": ("first", values)}, at, x, y, lambda a, v: f"{named(a)}: accuracy {v:.4f}")
    across = f"{LEFT},{y.place(level)} {RIGHT},{y.place(level)}"
    return Chart(
        id="accuracy",
        title=title,
        alt=f"Accuracy on the held-out split goes from {values[0]:.4f} to {values[-1]:.4f}; zero-shot has {level:.4f}.",
        table=tables.accuracy_by_round(report),
        x_label=label,
        y_label="accuracy",
        x_ticks=_whole(x) if label == "round" else x.ticks(),
        y_ticks=y.ticks(),
        lines=[*lines, Line("zero-shot", "rule", across, is_dashed=True)],
        points=points,
    )


def _curve(report: Json) -> Chart:
    pairs = [(epsilon, delta) for epsilon, delta in report["bounds"]["delta_curve"] if delta > 0]
    epsilons, deltas = [e for e, _ in pairs], [d for _, d in pairs]
    x = Scale(*covering([0.0, *epsilons], zero=True), LEFT, RIGHT)
    y = Scale(min(deltas), 1.0, BOTTOM, TOP, is_log=True)
    lines, _ = _series({"δ(ε)": ("first", deltas)}, epsilons, x, y, lambda _a, _v: "")
    stated = [
        Point(x.place(e), y.place(float(d)), f"ε = {e:.4f} at δ = {d}", "second", _inside(x.place(e)))
        for d, e in report["bounds"]["epsilon_at"].items()
    ]
    return Chart(
        id="curve",
        title="δ(ε): all that the charges allow",
        alt=f"δ is {deltas[0]:.3g} at ε = 0 and {report['delta']:g} at the stated ε = {report['epsilon']:.4f}.",
        table=tables.delta_curve(report),
        x_label="ε",
        y_label="δ",
        x_ticks=x.ticks(),
        y_ticks=y.ticks(),
        lines=[*lines, Line("at three δ", "second", "")],
        points=stated,
    )


def _budgets(report: Json) -> Chart:
    clients = sorted(report["spend"]["per_client"].items(), key=lambda item: -item[1]["epsilon"])
    drawn = clients[:MOST_BARS]
    across = Scale(0, max(spend["budget"] for _, spend in drawn), 96, 296)
    bars = [
        Bar(
            96,
            TOP + number * BAR,
            round(across.place(spend["epsilon"]) - 96, 2),
            BAR - 10,
            f"{short(name, 40)}: {spend['epsilon']:.4f} of {spend['budget']:.4g} spent, {spend['left']:.4f} left",
            "first",
            label=short(name, 14),
            value=f"{spend['left']:.2f} left",
            whole=round(across.place(spend["budget"]) - 96, 2),
        )
        for number, (name, spend) in enumerate(drawn)
    ]
    least = min(spend["left"] for _, spend in clients)
    some = f", the {MOST_BARS} that spent most" if len(clients) > MOST_BARS else ""
    return Chart(
        id="budgets",
        title=f"ε spent and left, by client{some}",
        alt=f"{len(clients)} clients; the one with least left has {least:.4f} of its budget.",
        table=tables.spend(report),
        height=TOP + len(drawn) * BAR + 6,
        bars=bars,
    )


def _dropouts(report: Json) -> Chart:
    counts = [len(names) for names in report["secure_sum"]["dropped_by_round"]]
    tolerated = report["secure_sum"]["cohort"] - report["secure_sum"]["threshold"]
    x, y = Scale(0, len(counts), LEFT, RIGHT), Scale(0, max([tolerated, *counts, 1]) * 1.15, BOTTOM, TOP)
    wide = (RIGHT - LEFT) / len(counts)
    bars = [
        Bar(
            round(x.place(number) + 0.2 * wide, 2),
            y.place(count),
            round(0.6 * wide, 2),
            round(BOTTOM - y.place(count), 2),
            f"round {number + 1}: {count} dropped out, {report['secure_sum']['cohort'] - count} in the sum",
            "second",
        )
        for number, count in enumerate(counts)
    ]
    level = f"{LEFT},{y.place(tolerated)} {RIGHT},{y.place(tolerated)}"
    step = max(1, round(len(counts) / 6))
    numbers = range(0, len(counts), step)
    return Chart(
        id="dropouts",
        title="Clients that dropped out, by round",
        alt=f"Between {min(counts)} and {max(counts)} clients dropped out of a round; {tolerated} are tolerated.",
        table=tables.members(report),
        x_label="round",
        y_label="clients",
        x_ticks=[(round(x.place(number) + wide / 2, 2), str(number + 1)) for number in numbers],
        y_ticks=_whole(y),
        lines=[Line("tolerated", "rule", level, is_dashed=True)],
        bars=bars,
    )


def _series(
    series: dict[str, tuple[str, list[float]]],
    at: Sequence[float],
    x: Scale,
    y: Scale,
    text: Callable[[float, float], str],
) -> tuple[list[Line], list[Point]]:
    """Return a line for each series, and some of its points with their texts."""
    lines: list[Line] = []
    points: list[Point] = []
    for name, (color, values) in series.items():
        places = [(x.place(a), y.place(v)) for a, v in zip(at, values, strict=True)]
        lines.append(Line(name, color, " ".join(f"{a},{b}" for a, b in places)))
        step = max(1, -(-len(values) // MOST_POINTS))
        chosen = sorted({*range(0, len(values), step), len(values) - 1})
        for i in chosen:
            a, b = places[i]
            points.append(Point(a, b, text(at[i], values[i]), color, _inside(a)))
    return lines, points


def _whole(scale: Scale) -> list[tuple[float, str]]:
    """Return the ticks of a scale of counts."""
    return [(place, text) for place, text in scale.ticks() if "." not in text]


def _inside(x: float) -> float:
    """Return where a text above a place is centred, so that it stays in the picture."""
    return min(max(x, 84.0), WIDTH - 84.0)
