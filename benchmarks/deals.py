"""What it costs to deal keys for every round anew, and for eight rounds at once: phases, bytes, work of all parties.

The work is that of every client and the server in one process, so it is the sum of what they do, not what anybody waits
for; over a network it is the phases that are waited for.
"""

from __future__ import annotations

import statistics
from collections import Counter
from functools import partial

import numpy as np

from benchmarks.timing import interleaved, ratio
from securefed.aggregation.base import secure_sum
from securefed.aggregation.identity import Federation
from securefed.aggregation.masked import MaskedSum
from securefed.aggregation.parameters import Context, Deal, Parameters, default_threshold
from securefed.aggregation.table import Table
from securefed.rng import secure

ROUNDS, DIM = 8, 5120


def run(quick: bool) -> dict[str, object]:
    """Return figures by size of the cohort; bytes are a client's in one round."""
    sizes, repetitions = ((5, 8), 2) if quick else ((8, 32, 100), 5)
    return {
        "rounds": ROUNDS,
        "dim": DIM,
        "bits": 32,
        "cohorts": [_cohort(clients, repetitions=repetitions) for clients in sizes],
    }


def _cohort(clients: int, *, repetitions: int) -> dict[str, object]:
    names = tuple(f"client-{place:03d}" for place in range(clients))
    members = Federation.throwaway(names, rng=secure())
    ways = {name: partial(_rounds, members, names, serves) for name, serves in (("alone", 1), ("dealt", ROUNDS))}
    seconds = interleaved(ways, repetitions=repetitions)
    return {
        "clients": clients,
        **{
            name: {**_a_round(way(), clients), "seconds": statistics.median(seconds[name]) / ROUNDS}
            for name, way in ways.items()
        },
        "seconds_alone_over_dealt": ratio(seconds["alone"], seconds["dealt"]),
    }


def _a_round(sent: Counter[str], clients: int) -> dict[str, float]:
    """Return what one round takes, on average over those of a deal."""
    return {
        "phases": sent["phases"] / ROUNDS,
        "bytes_up": sent["answer"] / ROUNDS / clients,
        "bytes_down": sent["request"] / ROUNDS / clients,
    }


def _rounds(members: Federation, names: tuple[str, ...], serves: int) -> Counter[str]:
    """Add vectors in eight rounds, and return how many phases they took and how many bytes travelled."""
    table, vector, sent = Table(), np.arange(DIM, dtype=np.uint64), Counter[str]()
    for number in range(ROUNDS):
        deal = table.deal or Deal(number, 0, serves)
        context = Context(task="deals", round=number, model=bytes([number]) * 32, plan=bytes(32), dealt=deal)
        threshold = default_threshold(len(names))
        public = Parameters(bits=32, dim=DIM, cohort=names, threshold=threshold, context=context)
        scheme, phases = MaskedSum(public, members, table=table), set[str]()
        roles = {name: scheme.client(name, vector, rng=secure()) for name in names}
        server = scheme.server()

        def record(phase: str, name: str, way: str, data: bytes, phases: set[str] = phases) -> None:
            phases.add(phase)
            sent[way] += len(data)

        secure_sum(server, roles, record=record)
        table.keep(server)
        sent["phases"] += len(phases)
    return sent
