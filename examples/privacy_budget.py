"""What a budget buys: accuracy against epsilon in three settings of privacy.

    python examples/privacy_budget.py --quick

Thirty-two clients share 1,437 real handwritten digits. The whole study (without ``--quick``) repeats every run with
five seeds of data and draws one plot. Updates are added in the clear here, because masked sums of the same vectors are
bit-identical and take longer; nothing about the noise differs.

Hyper-parameters follow from the level of noise and were chosen on other data (``securefed/recipes.py``).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Any

EPSILONS = (0.5, 1.0, 2.0, 4.0, 8.0)
SETTINGS = ("distributed", "per-client", "client-level")
SEEDS = (0, 1, 2, 3, 4)
CLIENTS, DELTA = 32, 1e-5
COLOURS = dict(zip(SETTINGS, ("#0b6e99", "#b3541e", "#5b7f2b"), strict=True))


@dataclass(frozen=True)
class Case:
    """One run; without a target it is not private."""

    setting: str
    target: float | None
    seed: int


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", type=Path, default=Path("runs/privacy_budget"), help="folder for the JSON and the plot"
    )
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--quick", action="store_true", help="one seed, three budgets, 400 records, eight clients")
    return parser.parse_args(arguments)


def measure(case: Case, quick: bool) -> dict[str, Any]:
    """Carry out one run; return what its report says."""
    import torch

    from securefed import recipes, runs
    from securefed.reports.report import RunRecord, build

    torch.set_num_threads(1)
    plan = recipes.cachefl(
        setting=case.setting,
        epsilon=case.target,
        delta=DELTA,
        clients=8 if quick else CLIENTS,
        records=400 if quick else None,
        secure="plain",
        seed=case.seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        runs.execute(plan, Path(folder))
        report = build(RunRecord.read(Path(folder)))
    figures = ("accuracy", "zero_shot_accuracy", "epsilon", "epsilon_server_view", "rounds")
    return asdict(case) | {name: report.get(name) for name in figures}


def study(*, jobs: int, quick: bool) -> dict[str, Any]:
    """Carry out every run; return all figures and what they come to."""
    seeds, epsilons = (SEEDS[:1], EPSILONS[1::2]) if quick else (SEEDS, EPSILONS)
    cases = [Case(*place) for place in product(SETTINGS, epsilons, seeds)]
    cases += [Case("none", None, seed) for seed in seeds]
    with ProcessPoolExecutor(jobs) as pool:
        found = []
        for done in pool.map(measure, cases, [quick] * len(cases)):
            found.append(done)
            print("{setting:13} epsilon {target} seed {seed} accuracy {accuracy:.3f}".format(**done), flush=True)
    return {"delta": DELTA, "clients": 8 if quick else CLIENTS, "summary": summary(found, epsilons), "runs": found}


def summary(found: list[dict[str, Any]], epsilons: tuple[float, ...]) -> dict[str, Any]:
    """Return mean and standard deviation of accuracy over the seeds."""

    def spread(values: list[float]) -> dict[str, float]:
        return {"mean": mean(values), "stdev": stdev(values) if len(values) > 1 else 0.0}

    def accuracies(setting: str, target: float | None) -> list[float]:
        return [run["accuracy"] for run in found if (run["setting"], run["target"]) == (setting, target)]

    return {
        "zero-shot": spread([run["zero_shot_accuracy"] for run in found if run["setting"] == "none"]),
        "none": spread(accuracies("none", None)),
        **{s: {f"{e:g}": spread(accuracies(s, e)) for e in epsilons} for s in SETTINGS},
    }


def plot(figures: dict[str, Any], path: Path) -> None:
    """Draw accuracy against epsilon, one standard deviation either way."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    known = figures["summary"]
    figure = Figure(figsize=(7.6, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for setting in SETTINGS:
        places = [float(epsilon) for epsilon in known[setting]]
        axes.errorbar(
            places,
            [point["mean"] for point in known[setting].values()],
            yerr=[point["stdev"] for point in known[setting].values()],
            color=COLOURS[setting],
            marker="o",
            capsize=3,
            label=setting,
        )
    for name, style, label in (("none", "-", "ε = ∞ (not private)"), ("zero-shot", ":", "zero-shot")):
        level = known[name]["mean"]
        axes.axhline(level, color="#555555", linestyle=style, linewidth=1)
        axes.annotate(label, (4.0, level), xytext=(0, 3), textcoords="offset points", color="#555555", ha="center")
    axes.set_xscale("log", base=2)
    axes.set_xticks([float(e) for e in known[SETTINGS[0]]], labels=list(known[SETTINGS[0]]))
    axes.set(
        xlabel=f"ε for the whole run, at δ = {figures['delta']:g}, against a coalition",
        ylabel="accuracy on held-out digits",
        title=f"What a privacy budget buys: CacheFL, {figures['clients']} clients",
    )
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(path, dpi=120)


def main(arguments: list[str] | None = None) -> int:
    """Run the study, keep its figures and the plot."""
    options = parse(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    figures = study(jobs=options.jobs, quick=options.quick)
    (options.out / "privacy_budget.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    plot(figures, options.out / "privacy_budget.png")
    print(f"{options.out / 'privacy_budget.png'}")

    known = figures["summary"]
    private = [run for run in figures["runs"] if run["target"] is not None]
    assert all(run["epsilon_server_view"] <= run["epsilon"] <= run["target"] * (1 + 1e-9) for run in private)
    if not options.quick:
        # The noise of shares adds up once; noise that protects each message by itself is added by every client.
        assert all(known["distributed"][e]["mean"] > known["per-client"][e]["mean"] for e in ("0.5", "1"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
