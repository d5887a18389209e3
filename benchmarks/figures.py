"""Draw docs/figures/growth.png and docs/figures/cohorts.png from the measurement of growth.

python -m benchmarks.figures
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
FIGURES = ROOT / "docs" / "figures"

SHOWN = {
    "clients": {
        "milliseconds_a_client": "ms of a client",
        "server_milliseconds_a_client": "ms of the server, for each client",
        "server_megabytes": "MB of the server",
    },
    "coordinates": {"milliseconds_a_client": "ms of a client", "server_megabytes": "MB of the server"},
    "records": {"clipped_sum_milliseconds": "ms of a clipped sum"},
    "classes": {"clipped_sum_milliseconds": "ms of a clipped sum"},
    "rounds": {"epsilon_milliseconds": "ms for epsilon"},
}
"""What the growth figure shows along each axis, and what it calls it."""


def main() -> None:
    """Draw every figure of which there are measurements."""
    FIGURES.mkdir(parents=True, exist_ok=True)
    if (results := RESULTS / "growth.json").exists():
        found = json.loads(results.read_text(encoding="utf-8"))
        growth(found, FIGURES / "growth.png")
        cohorts(found["cohorts"], FIGURES / "cohorts.png")


def cohorts(rows: Sequence[Mapping[str, Any]], target: Path) -> None:
    """Draw what a client of a cohort costs."""
    clients = [row["clients"] for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    left.plot(clients, [row["neighbours"] for row in rows], "o-")
    left.set(xscale="log", ylim=(0, None), xlabel="clients (log scale)", ylabel="neighbours of a client")
    right.plot(clients, [row["bytes_beside_the_vector"] / 1000 for row in rows], "o-", label="kB beside the vector")
    right.plot(clients, [row["milliseconds_a_client"] for row in rows], "s--", label="ms")
    right.set(xscale="log", ylim=(0, None), xlabel="clients (log scale)", ylabel="for one client")
    _finish(left, right)
    figure.savefig(target, dpi=120)
    plt.close(figure)


def growth(found: Mapping[str, Any], target: Path) -> None:
    """Draw what grows along each axis, both scales logarithmic: a straight line's slope is the exponent."""
    figure, axes = plt.subplots(1, len(SHOWN), figsize=(3.4 * len(SHOWN), 4.2), layout="constrained")
    for axis, (name, shown) in zip(axes, SHOWN.items(), strict=True):
        for mark, (key, label) in zip("os^", shown.items(), strict=False):
            exponent = found[name]["growth"][key]["exponent"]
            axis.plot(
                found[name]["sizes"], found[name]["figures"][key], f"{mark}-", label=f"{label}, slope {exponent:.2f}"
            )
        axis.set(xscale="log", yscale="log", xlabel=name, ylim=_decades(found[name]["figures"][key] for key in shown))
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize="small", loc="lower left", bbox_to_anchor=(0, 1))
    figure.savefig(target, dpi=120)
    plt.close(figure)


def _decades(series: Iterable[Sequence[float]]) -> tuple[float, float]:
    """Return whole powers of ten around all figures, so that slopes of one look alike along every axis."""
    figures = [figure for each in series for figure in each if figure > 0]
    return 10 ** math.floor(math.log10(min(figures))), 10 ** (math.floor(math.log10(max(figures))) + 1)


def _finish(*axes: Axes) -> None:
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        if axis.get_legend_handles_labels()[1]:
            axis.legend(frameon=False, fontsize="small")


if __name__ == "__main__":
    main()
