"""Adapt one CLIP model together, without showing anybody an image: CacheFL with differential privacy.

    python examples/dp_cachefl.py --epsilon 4

Eight clients share 1,437 real handwritten digits. Each trains the keys of a cache beside a small frozen CLIP model; in
every round it sends the clipped sum of its records' gradients with its share of integer noise, under masks that cancel
only in the sum over clients. The server learns that noisy sum. What each client's data was charged stands in a ledger
that was written before the noise was drawn, and the report's epsilon is computed from it.

Takes about half a minute on two cores; needs no network and no GPU.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from securefed.errors import BudgetExceeded, SecureFedError


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapter", default="cachefl", help="cachefl, fedclip, flora, linear, clip-adapter or prompts")
    parser.add_argument("--epsilon", type=float, default=4.0, help="target, per record or client (default 4)")
    parser.add_argument("--delta", type=float, default=1e-5, help="target, below 1 / records (default 1e-5)")
    parser.add_argument("--data", default="digits", help="digits, or world:DOMAIN[,DOMAIN] such as world:sketch,neon")
    parser.add_argument("--partition", default="iid", help="iid, dirichlet:ALPHA, domain or domain+dirichlet:ALPHA")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rounds", type=int, help="model updates (default: chosen by the noise)")
    parser.add_argument(
        "--setting", default="distributed", help="distributed, per-client, client-level or none (not private)"
    )
    parser.add_argument(
        "--local-steps", type=int, default=1, help="steps of a client in each round (per-client, client-level)"
    )
    parser.add_argument("--sampling", default="full", help="full, poisson or shuffled")
    parser.add_argument("--sampling-rate", type=float, default=1.0, help="share of the records in a step")
    parser.add_argument("--secure", default="mask", help="mask, ckks, bfv, or plain (the server sees every update)")
    parser.add_argument("--dropouts", type=int, default=0, help="clients that vanish in each round (simulated)")
    parser.add_argument("--max-dropouts", type=int, help="dropouts that the noise is sized for (default 2 of 8)")
    parser.add_argument("--max-colluders", type=int, help="colluders that the noise is sized for (default 1)")
    parser.add_argument(
        "--seed", type=int, default=0, help="of data split, partition and generated images; never of noise"
    )
    parser.add_argument("--ledger", type=Path, help="folder of ledgers that earlier runs charged (default: a new one)")
    parser.add_argument(
        "--budget", type=float, help="epsilon that new ledgers allow over all runs (default: --epsilon)"
    )
    parser.add_argument("--mirror", type=Path, help="folder in another place that remembers how far each ledger came")
    parser.add_argument("--out", type=Path, help="new folder for the run (default: runs/TIME)")
    parser.add_argument("--compare", action="store_true", help="also train without privacy, on the same simulated data")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the example; return the exit code: 0 ok, 1 refused by a ledger, 2 bad input."""
    options = parse(arguments)
    try:
        demonstrate(options)
    except BudgetExceeded as refusal:
        print(f"refused: {refusal}", file=sys.stderr)
        return 1
    except SecureFedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def demonstrate(options: argparse.Namespace) -> None:
    """Plan, run, report, check."""
    from securefed import recipes, runs
    from securefed.reports import render
    from securefed.reports.report import RunRecord, build
    from securefed.reports.verify import verify

    names = ("data", "partition", "clients", "rounds", "local_steps", "sampling", "sampling_rate", "setting", "secure")
    targets = ("adapter", "epsilon", "delta", "seed", "max_dropouts", "max_colluders")
    choices = {name: getattr(options, name) for name in (*names, *targets)}
    plan = recipes.recipe(**choices)
    out = options.out or Path("runs") / time.strftime("%Y%m%d-%H%M%S")
    print(f"{plan.clients} clients, {plan.rounds} rounds, {plan.setting}, updates travel by {plan.secure}: {out}")

    started = time.perf_counter()
    runs.execute(
        plan,
        out,
        ledgers=options.ledger,
        budget=options.budget,
        mirrors=options.mirror,
        vanishing=options.dropouts,
        on_round=print_round,
    )
    report = build(RunRecord.read(out))
    render.write(report, out)
    verify(out)
    print_report(report, out, seconds=time.perf_counter() - started)
    if options.compare:
        compare(choices)

    stored = json.loads((out / "report.json").read_text())
    assert len(stored["accuracy_by_round"]) == plan.rounds
    assert stored["epsilon"] is None or stored["epsilon_this_run"] <= options.epsilon


def print_round(number: int, accuracy: float) -> None:
    """Show that the run goes on."""
    print(f"  round {number:3d}   accuracy {accuracy:.3f}", flush=True)


def print_report(report: dict[str, Any], out: Path, *, seconds: float) -> None:
    """Print what came out, and what the server saw."""
    for warning in report["warnings"]:
        print(f"\n*** {warning}")
    print(f"\nzero-shot accuracy    {report['zero_shot_accuracy']:.3f}")
    if report["spend"]:
        print(f"accuracy              {report['accuracy']:.3f}  at epsilon {report['epsilon_target']:g}")
        print(f"epsilon in the ledger {report['epsilon']:.4f}  at delta {report['delta']:g}, worst client, all runs")
        print(f"  of which this run   {report['epsilon_this_run']:.4f}")
        print(f"  as the server sees  {report['epsilon_server_view']:.4f}  without colluders")
    else:
        print(f"accuracy              {report['accuracy']:.3f}  NOT PRIVATE")
    print(f"the server saw        {what_the_server_saw(report)}")
    stages = ", ".join(f"{stage} {spent:.1f}" for stage, spent in report["seconds"].items())
    print(f"seconds               {seconds:.1f} in all: {stages}")
    print(f"report                {out / 'report.md'}")
    print(f"check it with         securefed verify {out}")


def what_the_server_saw(report: dict[str, Any]) -> str:
    """Return one line about the server's view."""
    sums = report["secure_sum"]["survivors_by_round"]
    members = f"{min(map(len, sums))} to {max(map(len, sums))} clients"
    if report["secure"] == "plain":
        return f"every client's update, and {len(sums)} sums over {members}"
    return f"{len(sums)} noisy sums over {members}, and no client's update"


def compare(choices: dict[str, Any]) -> None:
    """Train the same adapter without privacy: possible here because the data is simulated."""
    from securefed import recipes, runs
    from securefed.reports.report import RunRecord, build

    plan = recipes.recipe(**choices | {"setting": "none", "secure": "plain", "sampling": "full", "sampling_rate": 1.0})
    with tempfile.TemporaryDirectory() as folder:
        runs.execute(plan, Path(folder))
        report = build(RunRecord.read(Path(folder)))
    print(f"without privacy       {report['accuracy']:.3f}  NOT PRIVATE, for comparison only, nothing was kept")


if __name__ == "__main__":
    sys.exit(main())
