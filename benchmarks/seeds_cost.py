"""What one masked round of an adapter costs: bytes each way, seconds and memory, in a process of its own.

Work: a private round of eight clients on the embedded model, masks included, whole run on disk; 400 generated images.
Seconds are those of the run's own stages, without loading and encoding; memory is the process's largest.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import tempfile
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from securefed import recipes, runs
from securefed.adapter_choices import KINDS
from securefed.data.world import DIGITS

STAGES = {"train": ["train", "quantise"], "noise": ["noise"], "ledger": ["ledger"], "secure sum": ["protect", "sum"]}


def run(quick: bool) -> dict[str, object]:
    """Measure one adapter or all."""
    return {kind: measure(kind, quick=quick) for kind in (("linear",) if quick else KINDS)}


def measure(kind: str, *, quick: bool) -> dict[str, Any]:
    """Return the figures of one adapter, from a process that did nothing else."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, kind, 80 if quick else 400).result()


def _measured(kind: str, records: int) -> dict[str, Any]:
    plan = recipes.recipe(kind, data="world:sketch,neon", records=records, classes=DIGITS, rounds=1, delta=1e-4)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        runs.execute(plan, out)
        metrics = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        messages = [json.loads(line) for line in (out / "messages.jsonl").read_text().splitlines()]
    sent: dict[str, int] = defaultdict(int)
    for message in messages:
        sent[message["direction"]] += message["bytes"]
    seconds = metrics[-1]["seconds"]
    return {
        "parameters": plan.adapter.parameters(len(plan.classes), plan.feature_dim),
        "travelling": plan.dim,
        "bytes_per_client": {way: total / plan.clients for way, total in sent.items()},
        "seconds": {name: sum(seconds.get(stage, 0.0) for stage in stages) for name, stages in STAGES.items()},
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
