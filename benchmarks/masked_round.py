"""A whole masked sum in one process: seconds, bytes a client, peak memory; small cohorts and large ones.

The floor is the plain sum of the same vectors through the same loop. Large cohorts run on the sparse graph (a tenth may
leave, a tenth may be corrupt); what one client sends and receives must grow like the logarithm of the cohort. A large
cohort of identities shares one vector, so that memory shows the protocol and not the data, and runs in a process of its
own, whose peak is then the cohort's.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.timing import ratio
from securefed.aggregation.base import secure_sum
from securefed.aggregation.identity import Federation, is_signed
from securefed.aggregation.masked import MaskedSum
from securefed.aggregation.parameters import Context, Parameters, default_threshold
from securefed.aggregation.plain import PlainSum
from securefed.aggregation.session import Session
from securefed.rng import secure, seeded

CONTEXT = Context(task="benchmark", round=0, model=bytes(32), plan=bytes(32))


def run(quick: bool) -> dict[str, object]:
    """Measure and return the figures."""
    hundred = _hundred(dim=10_000 if quick else 100_000, repetitions=2 if quick else 5)
    cohorts = (200,) if quick else (300, 1_000, 3_000, 10_000)
    return {
        "seconds": hundred["seconds"],
        "ratio_to_plain": hundred["ratio_to_plain"],
        "hundred_clients": hundred,
        "sparse": [_alone(clients) for clients in cohorts],
    }


def _alone(clients: int) -> dict[str, object]:
    """Return the figures of a large cohort, from a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_large, clients, dim=10_000).result()


def _parameters(clients: int, dim: int) -> Parameters:
    names = tuple(f"client-{place:05d}" for place in range(clients))
    threshold = default_threshold(clients)
    return Parameters(bits=32, dim=dim, cohort=names, threshold=threshold, context=CONTEXT)


def _hundred(*, dim: int, repetitions: int) -> dict[str, object]:
    """One hundred clients of which ten leave before they send their vectors."""
    public = _parameters(100, dim)
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
        start = last[0] = time.process_time()
        total = secure_sum(server, clients, lost=lost, record=clock)
        end = time.process_time()
        phases["reveal"] += end - last[0]
        return total, {**phases, "all": end - start}

    masked, plain = [], []
    for _ in range(repetitions):
        total, seconds = one(MaskedSum(public, members))
        expected, floor = one(PlainSum(public))
        if not np.array_equal(total, expected):
            raise AssertionError("the masked sum differs from the plain one")
        masked.append(seconds)
        plain.append(floor["all"])
    whole = [seconds["all"] for seconds in masked]
    quartiles = statistics.quantiles(whole, n=4)
    return {
        "clients": 100,
        "dim": dim,
        "dropouts": len(leaving),
        "seconds": statistics.median(whole),
        "seconds_quartiles": [quartiles[0], quartiles[2]],
        "seconds_by_phase": {phase: statistics.median(s[phase] for s in masked) for phase in masked[0]},
        "plain_seconds": statistics.median(plain),
        "ratio_to_plain": ratio(whole, plain),
        "share_of_masking_and_agreement": 1 - statistics.median(plain) / statistics.median(whole),
    }


def _large(clients: int, *, dim: int) -> dict[str, object]:
    """A cohort on the sparse graph; one client in twenty leaves before it sends its vector."""
    public = _parameters(clients, dim)
    members = Federation.throwaway(public.cohort, rng=secure())
    scheme = MaskedSum(public, members)
    vector = np.arange(dim, dtype=np.uint64)
    leaving = set(public.cohort[::20])
    bytes_of: Counter[tuple[str, str]] = Counter()

    def count(phase: str, client: str, direction: str, message: bytes) -> None:
        if client == public.cohort[1]:
            bytes_of[phase, direction] += len(message)

    start = time.process_time()
    server = scheme.server()
    roles = {name: scheme.client(name, vector, rng=secure()) for name in public.cohort}
    lost: Callable[[str, str], bool] = lambda phase, name: phase == "mask" and name in leaving  # noqa: E731
    total = secure_sum(server, roles, lost=lost, record=count)
    seconds = time.process_time() - start
    if not np.array_equal(total, vector * np.uint64(clients - len(leaving)) & public.modulus_mask):
        raise AssertionError("the masked sum is wrong")
    topology = Session(public, members.roster).topology
    return {
        "clients": clients,
        "dim": dim,
        "neighbours": topology.degree,
        "witnesses": topology.witnesses,
        "seconds": seconds,
        "milliseconds_a_client": 1000 * seconds / clients,
        "bytes_a_client": sum(bytes_of.values()),
        "bytes_beside_the_vector": sum(bytes_of.values()) - bytes_of["mask", "answer"],
        "peak_megabytes_of_the_process": _peak_megabytes(),
    }


def _peak_megabytes() -> float:
    """Return this process's peak on Linux; ``getrusage`` would count its parent's, which it was forked from."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
