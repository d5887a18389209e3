"""A whole masked sum of one hundred clients in one process, beside the plain sum.

Ten of them leave before they send their vectors. Seconds by phase, beside the plain sum of the same vectors through the
same loop, and with a million coordinates too. All keys are dealt in this round. The floor is timed beside it: the
keystreams that the clients and then the server add, the two X25519 exchanges of every client with every other, and the
plain sum.

Seconds are those of the processor, of all threads; ``clock_seconds`` are those that somebody waits, with ``threads``
that add the masks of long vectors.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable

import numpy as np
from cryptography.hazmat.primitives.ciphers.modes import GCM

from benchmarks.floors import exchange_seconds, keystreams
from benchmarks.large import parameters
from benchmarks.timing import ratio
from securefed.aggregation.base import secure_sum
from securefed.aggregation.identity import Federation, is_signed
from securefed.aggregation.masked import MaskedSum
from securefed.aggregation.masks import THREADS
from securefed.aggregation.plain import PlainSum
from securefed.rng import secure, seeded


def run(quick: bool) -> dict[str, object]:
    """Measure and return the figures."""
    hundred = _hundred(dim=10_000 if quick else 100_000, repetitions=2 if quick else 5)
    million = {} if quick else {"hundred_clients_of_a_million": _hundred(dim=1_000_000, repetitions=4)}
    return {
        "seconds": hundred["seconds"],
        "ratio_to_plain": hundred["ratio_to_plain"],
        "hundred_clients": hundred,
        **million,
    }


def _hundred(*, dim: int, repetitions: int) -> dict[str, object]:
    """One hundred clients of which ten leave before they send their vectors."""
    public = parameters(100, dim)
    vectors = {name: seeded(0, name).uint64(dim) & public.modulus_mask for name in public.cohort}
    members = Federation.throwaway(public.cohort, rng=secure())
    leaving = set(public.cohort[::10])

    def lost(phase: str, name: str) -> bool:
        return phase in ("mask", "plain") and name in leaving

    def one(scheme: MaskedSum | PlainSum) -> tuple[np.ndarray, dict[str, float]]:
        is_signed.cache_clear()
        phases: defaultdict[str, float] = defaultdict(float)
        last = [0.0]

        def clock(phase: str, client: str, direction: str, message: bytes) -> None:
            now = time.process_time()
            phases[phase] += now - last[0]
            last[0] = now

        server = scheme.server()
        clients = {name: scheme.client(name, vectors[name], rng=secure()) for name in public.cohort}
        waited, start = time.perf_counter(), time.process_time()
        last[0] = start
        total = secure_sum(server, clients, lost=lost, record=clock)
        end = time.process_time()
        phases["reveal"] += end - last[0]
        return total, {**phases, "all": end - start, "clock": time.perf_counter() - waited}

    stayed, fewer = len(public.cohort) - len(leaving), len(leaving)
    streams = 100 * stayed + stayed * (1 + fewer)  # a survivor's masks; then its own, and those with who left
    masked, plain, floors = [], [], []
    for _ in range(repetitions):
        total, seconds = one(MaskedSum(public, members))
        expected, floor = one(PlainSum(public))
        if not np.array_equal(total, expected):
            raise AssertionError("the masked sum differs from the plain one")
        masked.append(seconds)
        plain.append(floor["all"])
        mask = _seconds(lambda: keystreams(100, vectors[public.cohort[0]], GCM(bytes(12)))) / 100
        floors.append(streams * mask + 2 * 100 * 99 * exchange_seconds() + floor["all"])
    whole = [seconds["all"] for seconds in masked]
    quartiles = statistics.quantiles(whole, n=4)
    return {
        "clients": 100,
        "dim": dim,
        "dropouts": len(leaving),
        "threads": THREADS,
        "clock_seconds": statistics.median(seconds["clock"] for seconds in masked),
        "clock_seconds_spread": [pick(seconds["clock"] for seconds in masked) for pick in (min, max)],
        "seconds": statistics.median(whole),
        "seconds_quartiles": [quartiles[0], quartiles[2]],
        "seconds_by_phase": {
            phase: statistics.median(s[phase] for s in masked) for phase in masked[0] if phase != "clock"
        },
        "plain_seconds": statistics.median(plain),
        "floor_seconds": statistics.median(floors),
        "ratio_to_floor": ratio(whole, floors),
        "ratio_to_plain": ratio(whole, plain),
        "share_of_masking_and_agreement": 1 - statistics.median(plain) / statistics.median(whole),
    }


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
