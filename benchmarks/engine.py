"""One federation on three engines, and a thousand clients drawn from ten thousand, some of which leave.

*Engines.* Work: three clients, three rounds of differentially private CacheFL, agents with ledgers and journals on
disk, on Flower's deployment engine (TLS, node keys, one process a party), on its simulation engine (ray's workers,
agents in one process) and embedded, without Flower. The floor is the embedded run: the same agents answer the same
requests one after the other, so what a phase takes longer on an engine is the engine's. That is a little too little for
the engine, since its agents answer side by side. What training, noise and the ledger are of it is timed by the stages
of a run in one process; the rest of the embedded phases is the secure sum. Seconds on the clock, from the metrics that
each run leaves; where Flower or ray is not installed, the engine is skipped and says so. A quick run is embedded only.

*Cohorts.* Work: one masked sum of 10,000 coordinates of 32 bits for each seed, 10,000 clients in the roster, 1,000
drawn into the cohort, all parties in one process, every key and signature real. A plan gives a cohort of this size one
sum along a sparse graph and no groups: a client masks with its neighbours in the graph, hides among all who survive,
and nobody sees a sum of fewer. 0 and 10 % leave before they send a vector, under the default threshold (a tenth of the
cohort may leave); it is below what 30 % leave, so those are measured under the threshold that they need, and its larger
neighbourhoods are the price. Seconds are the processor's, of all parties together and of the server alone; a client's
are those of five clients whose memory of signatures was emptied before each answer, as on a machine of their own.
Memory is that of one process that holds everybody. How often a sum survives is counted on graphs and dropouts alone,
over many more seeds than sums: with exactly so many leaving, and with each client leaving by a coin of that chance,
which sends more than the expected number away about every second time.

*Points.* Smaller cohorts, longer vectors and deals for several rounds, measured in the same way: ``docs/sizing.md`` is
fitted on them.
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.sampled import Case, measured, survival
from securefed import recipes, runs
from securefed.federation import kits
from securefed.federation.agent import Agent
from securefed.federation.embedded import EmbeddedTransport
from securefed.federation.job import Job
from securefed.plan import Plan
from securefed.rng import secure

ROUNDS, TASK, PATIENCE = 3, "engine", 300.0

NEEDS = {"embedded": (), "simulation": ("flwr", "ray"), "deployment": ("flwr",)}
"""Packages that an engine is made of."""

Lines = list[dict[str, Any]]


def run(quick: bool) -> dict[str, object]:
    """Measure and return the figures."""
    return {"engines": engines(quick=quick), **(_small() if quick else _whole())}


def engines(*, quick: bool) -> dict[str, object]:
    """Return seconds a phase and a round on each engine, and whose they are."""
    plan = recipes.cachefl(
        data="world:sketch,neon", records=80, classes=("cat", "star"), clients=3, rounds=ROUNDS, delta=1e-3, epsilon=2.0
    )
    ways = {"embedded": _embedded} | ({} if quick else {"simulation": _simulation, "deployment": _deployment})
    found = {name: _measured(name, way, plan) for name, way in ways.items()}
    stages, floor = _stages(plan), found["embedded"]["round_seconds"]
    for each in found.values():
        if "skipped" not in each:
            each["shares"] = _shares(each["round_seconds"], floor, stages)
    peers = {name: version(name) for name in ("flwr", "ray") if importlib.util.find_spec(name)}
    return {"clients": plan.clients, "rounds": ROUNDS, "dim": plan.dim, "versions": peers, "stages": stages, **found}


def _whole() -> dict[str, object]:
    cases = [Case(registered=10_000, clients=1_000, dim=10_000, tolerated=t, leaving=gone) for t, gone in _LEAVING]
    points = [
        Case(registered=clients, clients=clients, dim=dim, tolerated=0.1, leaving=gone, rounds=rounds)
        for clients, dim, gone, rounds in (
            (150, 10_000, 0.0, 1),
            (150, 10_000, 0.0, 8),
            (300, 10_000, 0.1, 1),
            (300, 100_000, 0.0, 1),
            (300, 100_000, 0.1, 1),
        )
    ]
    return {
        "cohorts": [measured(case, seeds=3) | _survivals(case, seeds=100) for case in cases],
        "points": [measured(case, seeds=1) for case in points],
    }


_LEAVING = ((0.1, 0.0), (0.1, 0.1), (0.3, 0.3))
"""What the threshold tolerates and what leaves."""


def _small() -> dict[str, object]:
    case = Case(registered=1_000, clients=150, dim=1_000, tolerated=0.1, leaving=0.1)
    return {"cohorts": [measured(case, seeds=1) | _survivals(case, seeds=5)], "points": []}


def _survivals(case: Case, *, seeds: int) -> dict[str, float]:
    ways = {"survives": False, "survives_coins": True}
    return {"survival_seeds": seeds} | {
        name: survival(case, seeds=seeds, by_coin=by_coin) for name, by_coin in ways.items()
    }


def _measured(name: str, way: Callable[[Plan, Path], dict[str, Any]], plan: Plan) -> dict[str, Any]:
    """Return the figures of one engine, or what it misses."""
    if missing := [package for package in NEEDS[name] if importlib.util.find_spec(package) is None]:
        return {"skipped": f"{' and '.join(missing)} not installed"}
    with tempfile.TemporaryDirectory() as folder:
        return way(plan, Path(folder) / "federation")


def _embedded(plan: Plan, folder: Path) -> dict[str, Any]:
    kits.write(plan, TASK, folder / "kits", rng=secure())
    start = time.perf_counter()
    job = Job.open(folder / "kits" / "server", folder / "run")
    with ExitStack() as files:
        homes = {name: folder / "kits" / "clients" / name for name in plan.cohort}
        agents = {name: Agent(files.enter_context(kits.open_owner(home))) for name, home in homes.items()}
        begun = time.perf_counter()
        job.run(EmbeddedTransport(agents), longest=PATIENCE)
    return _noted(folder, start_seconds=begun - start, run_seconds=time.perf_counter() - begun)


def _simulation(plan: Plan, folder: Path) -> dict[str, Any]:
    from securefed.federation.flower.simulation import simulated

    start = time.perf_counter()
    with simulated(plan, folder, task=TASK, rng=secure()) as running:
        begun = time.perf_counter()
        running.run(patience=PATIENCE)
        return _noted(folder, start_seconds=begun - start, run_seconds=time.perf_counter() - begun)


def _deployment(plan: Plan, folder: Path) -> dict[str, Any]:
    from securefed.federation.flower.deployment import deployed

    start = time.perf_counter()
    with deployed(plan, folder, task=TASK, rng=secure()) as running:
        begun = time.perf_counter()
        running.run(patience=PATIENCE)
        found = _noted(folder, start_seconds=begun - start, run_seconds=time.perf_counter() - begun)
    database = sum(file.stat().st_size for file in (folder / "flower").glob("state.db*"))
    return found | {"database_bytes": database}


def _noted(folder: Path, *, start_seconds: float, run_seconds: float) -> dict[str, Any]:
    """Return what a run has written down of its phases."""
    lines = _lines(folder / "run")
    phases = [line for line in lines if line["kind"] == "phase"]
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    for line in phases:
        seconds[line["phase"]].append(line["seconds"])
    rounds = [sum(line["seconds"] for line in phases if line["number"] == number) for number in range(1, ROUNDS + 1)]
    return {
        "start_seconds": start_seconds,
        "run_seconds": run_seconds,
        "phases": len(phases),
        "phase_seconds": {phase: statistics.median(each) for phase, each in seconds.items()},
        "round_seconds": {"with_deal": rounds[0], "steady": statistics.median(rounds[1:])},
        "carried_bytes": sum(line["sent"] + line["received"] for line in phases),
    }


def _stages(plan: Plan) -> dict[str, float]:
    """Return seconds a round of what is no secure sum, all clients together, in a run of one process."""
    with tempfile.TemporaryDirectory() as folder:
        runs.execute(plan, Path(folder) / "run")
        seconds = _lines(Path(folder) / "run")[-1]["seconds"]
    train = seconds["train"] + seconds["quantise"]
    return {"train": train / ROUNDS, **{name: seconds[name] / ROUNDS for name in ("noise", "ledger")}}


def _shares(seconds: Mapping[str, float], floor: Mapping[str, float], stages: Mapping[str, float]) -> dict[str, float]:
    """Return whose the seconds of a steady round are, as shares that add up to one."""
    whole, embedded = seconds["steady"], floor["steady"]
    parts = {name: stages[name] / whole for name in stages}
    engine = max(0.0, 1 - embedded / whole)
    return {"engine": engine, "secure_sum": 1 - engine - sum(parts.values()), **parts}


def _lines(folder: Path) -> Lines:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
