"""The main job's accuracy: five seeds, real digits and world domains, in every setting, beside zero-shot.

Work: the complete run of ``examples/dp_cachefl.py`` on the embedded model, reports included. Hyper-parameters are those
of ``securefed.recipes``, chosen on other, generated domains; the held-out split is looked at once, at the end of each
run.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from securefed import recipes, runs
from securefed.data.world import OBJECTS
from securefed.reports.report import Json, RunRecord, build

TASKS: dict[str, dict[str, Any]] = {
    "digits": {"data": "digits", "partition": "iid"},
    "world": {
        "data": "world:sketch,neon,chalk,painting",
        "partition": "domain+dirichlet:0.5",
        "classes": OBJECTS[:12],
        "records": 3200,
    },
}
CASES: dict[str, dict[str, Any]] = {
    "none": {"setting": "none", "secure": "plain"},
    "distributed epsilon 4": {"epsilon": 4.0},
    "distributed epsilon 1": {"epsilon": 1.0},
    "per-client epsilon 4": {"setting": "per-client", "epsilon": 4.0},
}


def run(quick: bool) -> dict[str, object]:
    """Measure and return the figures."""
    seeds = range(1 if quick else 5)
    tasks = dict(list(TASKS.items())[:1]) if quick else TASKS
    cases = dict(list(CASES.items())[:2]) if quick else CASES
    found: dict[str, object] = {"clients": 8, "delta": 1e-5, "seeds": len(seeds)}
    for name, task in tasks.items():
        reports = {
            case: [_report({**task, **choices, "seed": seed}) for seed in seeds] for case, choices in cases.items()
        }
        found[name] = _figures(reports)
    return found


def _figures(reports: Mapping[str, list[Json]]) -> dict[str, object]:
    zero_shot = [report["zero_shot_accuracy"] for report in next(iter(reports.values()))]
    without = statistics.mean(report["accuracy"] for report in reports["none"])
    figures: dict[str, object] = {"zero_shot": _spread(zero_shot)}
    for case, all_seeds in reports.items():
        accuracies = [report["accuracy"] for report in all_seeds]
        figures[case] = {
            **_spread(accuracies),
            "above_zero_shot": statistics.mean(accuracies) - statistics.mean(zero_shot),
            "below_none": without - statistics.mean(accuracies),
            "rounds": all_seeds[0]["rounds"],
            "epsilon": all_seeds[0]["epsilon"],
        }
    return figures


def _spread(values: list[float]) -> dict[str, object]:
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.mean(values), "stdev": deviation, "each": values}


def _report(choices: Mapping[str, Any]) -> Json:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        runs.execute(recipes.cachefl(**choices), out)
        return build(RunRecord.read(out))
